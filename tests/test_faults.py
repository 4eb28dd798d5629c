"""Killed half-way, damaged, or raced: the next run succeeds, and nothing half-written is ever read."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from xailib import _cache
from xailib.course import manifest

ROOT = Path(__file__).parents[1]


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch) -> Path:
    folder = tmp_path / "cache"
    monkeypatch.setenv("XAILIB_CACHE", str(folder))
    return folder


def child(code: str, *arguments: object) -> subprocess.Popen:
    """A process of its own that runs ``code`` with the environment of the test."""
    return subprocess.Popen([sys.executable, "-c", code, *map(str, arguments)], cwd=ROOT, env=os.environ, stdout=subprocess.PIPE)


def kill_when(process: subprocess.Popen, ready: Callable[[], bool]) -> None:
    """Kill without warning as soon as ``ready``; it must not have ended before."""
    end = time.monotonic() + 120
    while not ready():
        assert process.poll() is None, "it ended before it could be killed"
        assert time.monotonic() < end, "it never came so far"
        time.sleep(0.005)
    process.kill()
    process.wait()


# --- weights --------------------------------------------------------------------------------------------------------

WEIGHTS = """
import sys
from dataclasses import replace
from pathlib import Path
from xailib.zoo import train

train.RECIPES["digits-cnn"] = replace(train.RECIPES["digits-cnn"], epochs=6)
one_epoch = train.TrainingRun.one_epoch

def noted(run, epoch):
    print(epoch, flush=True)
    one_epoch(run, epoch)

train.TrainingRun.one_epoch = noted
train.make_weights(["digits-cnn"], Path(sys.argv[1]))
"""


def test_a_killed_training_goes_on_and_ends_with_the_same_weights(tmp_path, cache, monkeypatch):
    from xailib.zoo import train

    killed, undisturbed = tmp_path / "killed", tmp_path / "undisturbed"
    killed.mkdir()
    undisturbed.mkdir()
    kill_when(child(WEIGHTS, killed), lambda: bool(list(cache.glob("weights/*.safetensors"))))
    assert [path for path in killed.iterdir() if path.suffix != ".part"] == []

    resumed = child(WEIGHTS, killed)
    epochs = [int(line) for line in resumed.communicate()[0].split()]
    assert resumed.returncode == 0
    assert epochs == list(range(epochs[0], 6))
    assert epochs[0] > 0
    assert not list(cache.glob("weights/*.safetensors"))

    monkeypatch.setitem(train.RECIPES, "digits-cnn", replace(train.RECIPES["digits-cnn"], epochs=6))
    train.make_weights(["digits-cnn"], undisturbed)
    one, other = (manifest.verified("digits-cnn.safetensors", folder) for folder in (killed, undisturbed))
    assert one.read_bytes() == other.read_bytes()


def test_weights_killed_before_the_manifest_was_written_are_refused(tmp_path):
    (tmp_path / "net.safetensors").write_bytes(b"old")
    manifest.record("net.safetensors", origin="a test", licence="MIT", command="make net", folder=tmp_path)
    (tmp_path / "net.safetensors").write_bytes(b"new, and then the power failed")
    with pytest.raises(ValueError, match="make it again with 'make net'"):
        manifest.verified("net.safetensors", tmp_path)
    manifest.record("net.safetensors", origin="a test", licence="MIT", command="make net", folder=tmp_path)
    assert manifest.verified("net.safetensors", tmp_path).read_bytes().startswith(b"new")


HALF_A_MANIFEST = """
import sys, time
from pathlib import Path
from xailib import _cache

def half(part):
    part.write_text('{"net.safetensors": {"sha2')
    time.sleep(600)

_cache.write_atomically(Path(sys.argv[1]) / "MANIFEST.json", half)
"""


def test_half_a_manifest_is_never_seen(tmp_path):
    (tmp_path / "net.safetensors").write_bytes(b"weights")
    manifest.record("net.safetensors", origin="a test", licence="MIT", command="make net", folder=tmp_path)
    kill_when(child(HALF_A_MANIFEST, tmp_path), lambda: any(path.stat().st_size for path in tmp_path.glob("MANIFEST.json*.part")))
    assert json.loads((tmp_path / "MANIFEST.json").read_text()).keys() == {"net.safetensors"}
    assert manifest.problems(tmp_path) == []


# --- cached arrays --------------------------------------------------------------------------------------------------

HALF_A_FILE = """
import time
from xailib import _cache

def half(part, arrays):
    part.write_bytes(b"PK half of an archive")
    time.sleep(600)

_cache._save = half
_cache.cached_arrays("world", "key", lambda: {"x": _cache.np.arange(5)})
"""


def make(calls: list[int] | None = None) -> dict[str, np.ndarray]:
    if calls is not None:
        calls.append(1)
    return {"x": np.arange(5), "y": np.eye(2)}


def test_a_cache_write_killed_half_way_leaves_nothing_to_read(cache):
    kill_when(child(HALF_A_FILE), lambda: any(path.stat().st_size for path in cache.glob("*.part")))
    assert not list(cache.glob("*.npz"))
    calls: list[int] = []
    for _ in range(2):
        np.testing.assert_array_equal(_cache.cached_arrays("world", "key", lambda: make(calls))["x"], np.arange(5))
    assert len(calls) == 1


@pytest.mark.parametrize(
    "damage",
    [
        lambda archive, seal: archive.write_bytes(archive.read_bytes()[:-20]),
        lambda archive, seal: archive.write_bytes(b""),
        lambda archive, seal: archive.write_bytes(archive.read_bytes().replace(b"x.npy", b"z.npy")),
        lambda archive, seal: archive.unlink(),
        lambda archive, seal: seal.unlink(),
        lambda archive, seal: seal.write_text("0" * 64),
        lambda archive, seal: seal.write_bytes(b"\xff\xfe\x00"),
    ],
    ids=["cut short", "empty", "changed", "gone", "no seal", "wrong seal", "no text in the seal"],
)
def test_a_damaged_cache_is_made_again(cache, damage):
    calls: list[int] = []
    _cache.cached_arrays("world", "key", lambda: make(calls))
    damage(cache / "world-key.npz", cache / "world-key.sha256")
    for _ in range(2):
        arrays = _cache.cached_arrays("world", "key", lambda: make(calls))
        assert arrays.keys() == {"x", "y"}
        np.testing.assert_array_equal(arrays["y"], np.eye(2))
    assert len(calls) == 2


def test_a_cache_holds_no_pickle(cache):
    with pytest.raises(ValueError, match="pickle"):
        _cache.cached_arrays("world", "key", lambda: {"x": np.array([{"a": 1}])})
    assert not list(cache.iterdir())


def test_a_failing_writer_leaves_the_old_file(tmp_path):
    path = tmp_path / "file.txt"
    path.write_text("old")

    def fail(part: Path) -> None:
        part.write_text("half")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        _cache.write_atomically(path, fail)
    assert [p.name for p in tmp_path.iterdir()] == ["file.txt"]
    assert path.read_text() == "old"


RACE = """
import sys
import numpy as np
from xailib import _cache

me = int(sys.argv[1])
for turn in range(60):
    arrays = _cache.cached_arrays("race", str(turn % 3), lambda: {"x": np.full(20_000, turn % 3), "y": np.eye(3)})
    assert (arrays["x"] == turn % 3).all() and len(arrays["x"]) == 20_000
    if turn % 5 == me:  # now and then damage what the other one may be reading
        (_cache.cache_dir() / f"race-{turn % 3}.sha256").unlink(missing_ok=True)
"""


def test_two_processes_may_write_the_same_cache(cache):
    children = [child(RACE, me) for me in range(2)]
    assert [process.wait() for process in children] == [0, 0]
    assert not list(cache.glob("*.part"))
    np.testing.assert_array_equal(_cache.cached_arrays("race", "1", make)["x"], np.full(20_000, 1))
