"""Files that can be made again: keyed by content, checked by hash, written atomically, rebuilt when broken."""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path

import numpy as np
import platformdirs


def cache_dir() -> Path:
    """Folder for caches: ``XAILIB_CACHE`` or the platform's own (``~/.cache/xailib`` on Linux)."""
    return Path(os.environ.get("XAILIB_CACHE") or platformdirs.user_cache_dir("xailib"))


def sha256(path: Path) -> str:
    """Hexadecimal SHA-256 of a file."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def content_key(*parts: object) -> str:
    """Short key from source text and settings: another text, another key."""
    return hashlib.sha256("\x00".join(map(repr, parts)).encode()).hexdigest()[:20]


def source_texts(*names: str) -> list[str]:
    """The text of some of the package's files: what is kept belongs to the code that made it."""
    return [files("xailib").joinpath(name).read_text(encoding="utf-8") for name in names]


def write_atomically(path: Path, write: Callable[[Path], object]) -> None:
    """Let ``write`` fill a temporary file beside ``path``, then rename it: readers see all of it or nothing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=path.name, suffix=".part")
    os.close(handle)
    try:
        write(Path(name))
        os.chmod(name, 0o644)  # mkstemp makes files that only their owner may read
        os.replace(name, path)
    finally:
        Path(name).unlink(missing_ok=True)


def cached_arrays(name: str, key: str, make: Callable[[], dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
    """Arrays from the cache, or made now and kept; a file that fails its hash is made again.

    Parameters
    ----------
    name, key : file name parts; ``key`` should come from :func:`content_key`
    make : called without arguments when there is no valid file
    """
    path = cache_dir() / f"{name}-{key}.npz"
    seal = path.with_suffix(".sha256")
    if _intact(path, seal):
        with np.load(path, allow_pickle=False) as stored:
            return {k: stored[k] for k in stored.files}
    arrays = make()
    write_atomically(path, lambda part: _save(part, arrays))
    write_atomically(seal, lambda part: part.write_text(sha256(path)))
    return arrays


def _intact(path: Path, seal: Path) -> bool:
    """True if both files are there, also while another process replaces them, and the seal holds the hash of the first."""
    try:
        return seal.read_bytes() == sha256(path).encode()
    except OSError:
        return False


def _save(path: Path, arrays: dict[str, np.ndarray]) -> None:
    with open(path, "wb") as file:
        np.savez(file, allow_pickle=False, **arrays)
