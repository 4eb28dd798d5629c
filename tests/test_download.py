"""The downloader against a loopback server: resumed after a kill, atomic, checked, clear when offline."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest

from xailib.worlds import _download
from xailib.worlds._download import RemoteFile, download, fetch

PAYLOAD = np.random.default_rng(7).bytes(1_000_000)


class Server(ThreadingHTTPServer):
    """Serves one payload; switches make it slow, forgetful or broken; it notes the Range of every request."""

    payload = PAYLOAD
    honours_range = True
    break_after: int | None = None
    pause_s = 0.0
    status = 200
    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.ranges: list[str | None] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/numbers.bin"


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self):
        wanted = self.headers.get("Range")
        self.server.ranges.append(wanted)
        if self.server.status != 200:
            return self.send_error(self.server.status)
        resume = wanted is not None and self.server.honours_range
        start = int(wanted.removeprefix("bytes=").rstrip("-")) if resume else 0
        if start >= len(self.server.payload):
            return self.send_error(416)
        self.send_response(206 if resume else 200)
        self.send_header("Content-Length", str(len(self.server.payload) - start))
        self.end_headers()
        self.send_slowly(self.server.payload[start : self.server.break_after])

    def send_slowly(self, body: bytes):
        for at in range(0, len(body), 20_000):
            try:
                self.wfile.write(body[at : at + 20_000])
            except OSError:  # the client was killed
                return
            time.sleep(self.server.pause_s)

    def log_message(self, *_):
        pass


@pytest.fixture
def server():
    server = Server()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture
def file(server):
    return RemoteFile("numbers", "numbers.bin", server.url, hashlib.sha256(PAYLOAD).hexdigest(), also=("mine.bin",))


@pytest.fixture(autouse=True)
def _empty_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XAILIB_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("XAILIB_DATA", raising=False)


def one_sentence(error: pytest.ExceptionInfo) -> str:
    text = str(error.value)
    assert "\n" not in text
    assert len(text) < 300
    return text


def test_download_arrives_whole_and_is_kept(server, file, tmp_path):
    path = fetch(file)
    assert path == tmp_path / "cache" / "data" / "numbers" / "numbers.bin"
    assert path.read_bytes() == PAYLOAD
    assert fetch(file) == path
    assert server.ranges == [None]
    assert not list(path.parent.glob("*.part"))


def test_a_broken_file_in_the_cache_is_replaced(server, file):
    path = fetch(file)
    path.write_bytes(b"not the data")
    assert fetch(file).read_bytes() == PAYLOAD
    assert len(server.ranges) == 2


def test_a_read_only_cache_that_holds_the_file_is_enough(server, file, tmp_path):
    (tmp_path / "numbers.bin").write_bytes(PAYLOAD)
    assert download(file, tmp_path).read_bytes() == PAYLOAD
    assert [path.name for path in tmp_path.iterdir()] == ["numbers.bin"]
    assert server.ranges == []


def test_own_folder_comes_first(server, file, tmp_path, monkeypatch):
    own = tmp_path / "own" / "numbers"
    own.mkdir(parents=True)
    monkeypatch.setenv("XAILIB_DATA", str(own.parent))
    (own / "mine.bin").write_bytes(b"under another name")
    assert fetch(file) == own / "mine.bin"
    (own / "numbers.bin").write_bytes(b"under its own name")
    assert fetch(file) == own / "numbers.bin"
    assert server.ranges == []


def test_own_folder_without_the_file_falls_through(file, tmp_path, monkeypatch):
    monkeypatch.setenv("XAILIB_DATA", str(tmp_path))
    assert fetch(file).read_bytes() == PAYLOAD


def test_own_folder_that_is_none_is_named(file, tmp_path, monkeypatch):
    monkeypatch.setenv("XAILIB_DATA", str(tmp_path / "nowhere"))
    with pytest.raises(NotADirectoryError, match="XAILIB_DATA names") as error:
        fetch(file)
    assert "nowhere" in one_sentence(error)


CHILD = """
import sys
from pathlib import Path
from xailib.worlds._download import RemoteFile, download
download(RemoteFile("numbers", "numbers.bin", *sys.argv[1:3]), Path(sys.argv[3]))
"""


def test_a_killed_process_is_continued_by_range(server, file, tmp_path):
    server.pause_s = 0.1
    child = subprocess.Popen([sys.executable, "-c", CHILD, file.url, file.sha256, str(tmp_path)], cwd=Path(__file__).parents[1])
    part = tmp_path / "numbers.bin.part"
    try:
        wait_until(lambda: part.exists() and part.stat().st_size >= 200_000)
    finally:
        child.kill()
        child.wait()
    kept = part.stat().st_size
    assert 200_000 <= kept < len(PAYLOAD)
    assert part.read_bytes() == PAYLOAD[:kept]
    assert not (tmp_path / "numbers.bin").exists()

    server.pause_s = 0.0
    assert download(file, tmp_path).read_bytes() == PAYLOAD
    assert server.ranges == [None, f"bytes={kept}-"]
    assert not part.exists()


def wait_until(true, seconds: float = 60):
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end
        time.sleep(0.01)


def test_a_broken_connection_keeps_what_came_and_says_so(server, file, tmp_path):
    server.break_after = 300_000
    with pytest.raises(ConnectionError, match="connection broke off; what came is kept") as error:
        download(file, tmp_path)
    one_sentence(error)
    kept = (tmp_path / "numbers.bin.part").stat().st_size
    assert 0 < kept <= 300_000
    assert not (tmp_path / "numbers.bin").exists()
    server.break_after = None
    assert download(file, tmp_path).read_bytes() == PAYLOAD
    assert server.ranges[-1] == f"bytes={kept}-"


def test_a_server_without_ranges_starts_again(server, file, tmp_path):
    server.honours_range = False
    (tmp_path / "numbers.bin.part").write_bytes(PAYLOAD[:400_000])
    assert download(file, tmp_path).read_bytes() == PAYLOAD
    assert server.ranges == ["bytes=400000-"]


def test_a_part_that_lacked_only_its_name_is_finished(server, file, tmp_path):
    (tmp_path / "numbers.bin.part").write_bytes(PAYLOAD)
    assert download(file, tmp_path).read_bytes() == PAYLOAD


@pytest.mark.parametrize("left", [b"", b"someone else's bytes", PAYLOAD + b"too much"], ids=["nothing", "foreign", "longer"])
def test_a_wrong_hash_deletes_everything_and_says_so(server, file, tmp_path, left):
    server.payload = PAYLOAD[:-1] + b"!" if not left else PAYLOAD
    (tmp_path / "numbers.bin.part").write_bytes(left)
    with pytest.raises(ConnectionError, match="wrong SHA-256 and was deleted") as error:
        download(file, tmp_path)
    one_sentence(error)
    assert {path.name for path in tmp_path.iterdir()} <= {".numbers.bin.lock"}
    server.payload = PAYLOAD
    assert download(file, tmp_path).read_bytes() == PAYLOAD


def test_offline_gets_one_sentence_with_a_way_out(server, file, tmp_path):
    server.shutdown()
    server.server_close()
    with pytest.raises(ConnectionError) as error:
        download(file, tmp_path)
    assert one_sentence(error) == (
        "numbers/numbers.bin could not be downloaded from 127.0.0.1 (no connection). Put the file numbers/numbers.bin "
        "into the folder named by XAILIB_DATA, or connect and call again."
    )


def test_a_missing_page_is_named(server, file, tmp_path):
    server.status = 404
    with pytest.raises(ConnectionError, match="the server answered 404 Not Found"):
        download(file, tmp_path)


def test_a_silent_server_is_given_up(server, file, tmp_path, monkeypatch):
    monkeypatch.setattr(_download, "TIMEOUT_S", 0.2)
    server.pause_s = 2.0
    with pytest.raises(ConnectionError, match="what came is kept"):
        download(file, tmp_path)
    assert not (tmp_path / "numbers.bin").exists()


def test_two_processes_download_once(server, file, tmp_path):
    server.pause_s = 0.01
    command = [sys.executable, "-c", CHILD, file.url, file.sha256, str(tmp_path)]
    children = [subprocess.Popen(command, cwd=Path(__file__).parents[1]) for _ in range(2)]
    assert [child.wait() for child in children] == [0, 0]
    assert (tmp_path / "numbers.bin").read_bytes() == PAYLOAD
    assert server.ranges == [None]


def test_progress_counts_to_the_end_where_someone_watches(file, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(_download, "_someone_watches", lambda: True)
    (tmp_path / "numbers.bin.part").write_bytes(PAYLOAD[:500_000])
    download(file, tmp_path)
    shown = capsys.readouterr().err
    assert "numbers.bin:  50%" in shown
    assert "100%" in shown


def test_progress_is_silent_otherwise(file, tmp_path, capsys):
    assert not os.isatty(2) or pytest.skip("standard error is a terminal")
    download(file, tmp_path)
    assert "%" not in capsys.readouterr().err
