"""Files of real data: from a folder of your own, from the cache, or downloaded once, checked and kept.

A download goes into ``NAME.part``. Whatever interrupts it, the next call asks the server for the missing bytes only. The final
name appears by renaming, after the SHA-256 is checked: nothing half-written is ever read.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from xailib import _cache

if TYPE_CHECKING:
    from requests import Response

CHUNK_BYTES = 1 << 16
TIMEOUT_S = 30


@dataclass(frozen=True)
class RemoteFile:
    """A published file.

    Attributes
    ----------
    folder : where it lies below ``XAILIB_DATA`` and in the cache ("mnist")
    name : file name
    url : where its publisher offers it
    sha256 : of the published file
    also : other names under which ``XAILIB_DATA`` may hold the same data
    """

    folder: str
    name: str
    url: str
    sha256: str
    also: tuple[str, ...] = ()


def fetch(file: RemoteFile) -> Path:
    """Path of a file: in ``XAILIB_DATA``, else in the cache, else downloaded into the cache.

    Parameters
    ----------
    file : what to fetch. A file in ``XAILIB_DATA`` is yours and taken as it is; one in the cache must have the SHA-256 of
        the published file, or is downloaded again.

    Raises
    ------
    NotADirectoryError
        If ``XAILIB_DATA`` names something that is no folder.
    ConnectionError
        If the download fails: one sentence that says why, and where to put the file by hand.
    """
    own = find_own(file.folder, (file.name, *file.also))
    return own if own is not None else download(file, data_cache() / file.folder)


def own_folder() -> Path | None:
    """The folder named by ``XAILIB_DATA``, if any."""
    named = os.environ.get("XAILIB_DATA")
    if not named:
        return None
    if not Path(named).is_dir():
        raise NotADirectoryError(f"XAILIB_DATA names {named!r}, which is not a folder: correct it or unset it.")
    return Path(named)


def find_own(folder: str, names: Iterable[str]) -> Path | None:
    """The first of ``names`` that ``XAILIB_DATA`` holds in ``folder``."""
    root = own_folder()
    candidates = [] if root is None else [root / folder / name for name in names]
    return next((path for path in candidates if path.is_file()), None)


def data_cache() -> Path:
    """Folder that keeps downloaded data."""
    return _cache.cache_dir() / "data"


def download(file: RemoteFile, folder: Path) -> Path:
    """Path of ``file`` in ``folder``, downloaded unless it lies there with the right SHA-256.

    Parameters
    ----------
    file : what to download
    folder : created if need be

    Raises
    ------
    ConnectionError
        If the server can not be reached, breaks off, or sends a file with another SHA-256. What a broken connection left is
        kept and continued by the next call; a wrong file is deleted.
    """
    path, part = folder / file.name, folder / f"{file.name}.part"
    if path.is_file() and _cache.sha256(path) == file.sha256:
        return path
    import filelock  # here and below: reading a file that is there needs none of these
    import requests

    folder.mkdir(parents=True, exist_ok=True)
    try:
        with filelock.FileLock(folder / f".{file.name}.lock"):  # two processes: the second waits, then finds the file
            return _fetch_and_check(file, folder, part)
    except requests.RequestException as error:
        reason = _reason(error) + ("; what came is kept" if part.exists() else "")
    except ValueError:  # pooch has compared the hashes and deleted the file
        reason = "what came has the wrong SHA-256 and was deleted"
    raise ConnectionError(unavailable(f"{file.folder}/{file.name}", file.url, reason))


def unavailable(name: str, url: str, reason: str) -> str:
    """The one sentence for a file that could not be had."""
    return (
        f"{name} could not be downloaded from {urlsplit(url).hostname} ({reason}). "
        f"Put the file {name} into the folder named by XAILIB_DATA, or connect and call again."
    )


def _fetch_and_check(file: RemoteFile, folder: Path, part: Path) -> Path:
    """Download through pooch: it checks the hash before the file gets its name, and replaces one whose hash is wrong."""
    import pooch

    shelf = pooch.create(folder, base_url="", registry={file.name: f"sha256:{file.sha256}"}, urls={file.name: file.url})
    return Path(shelf.fetch(file.name, downloader=partial(_continue, part)))


def _continue(part: Path, url: str, output_file: str, _pooch: object) -> None:
    """Get the bytes that ``part`` lacks, then hand it to pooch, which checks its hash and renames it."""
    import requests

    done = part.stat().st_size if part.exists() else 0
    headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={done}-"} if done else {})
    with requests.get(url, headers=headers, stream=True, timeout=TIMEOUT_S) as response:
        if response.status_code != requests.codes.requested_range_not_satisfiable:  # else no byte is missing
            response.raise_for_status()
            resumed = response.status_code == requests.codes.partial_content
            _append(response, part, done if resumed else 0)
    os.replace(part, output_file)


def _append(response: Response, part: Path, done: int) -> None:
    """Write what the server sends behind the first ``done`` bytes of ``part``."""
    with open(part, "ab" if done else "wb") as file, _progress(part.stem, done, response) as bar:
        for chunk in response.iter_content(CHUNK_BYTES):
            file.write(chunk)
            bar.update(len(chunk))


def _progress(name: str, done: int, response: Response) -> Any:
    from tqdm.auto import tqdm

    total = done + int(response.headers["Content-Length"]) if "Content-Length" in response.headers else None
    return tqdm(desc=name, total=total, initial=done, unit="B", unit_scale=True, disable=not _someone_watches())


def _someone_watches() -> bool:
    """True in a terminal and in a notebook, so that logs and tests stay clean."""
    shell = sys.modules["IPython"].get_ipython() if "IPython" in sys.modules else None
    return sys.stderr.isatty() or hasattr(shell, "kernel")


def _reason(error: Exception) -> str:
    """Why a request failed, in a few words instead of a library's stack of causes."""
    import requests

    if isinstance(error, requests.HTTPError) and error.response is not None:
        return f"the server answered {error.response.status_code} {error.response.reason}"
    if isinstance(error, requests.exceptions.ChunkedEncodingError):
        return "the connection broke off"
    if isinstance(error, requests.exceptions.SSLError):
        return "its certificate was not accepted"
    return f"no answer within {TIMEOUT_S} s" if isinstance(error, requests.Timeout) else "no connection"
