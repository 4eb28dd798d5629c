"""What lies in ``data/``: every shipped file with its hash, size, origin, licence and the command that makes it.

Nothing from ``data/`` is read before its hash is compared with ``data/MANIFEST.json``.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from xailib import _cache
from xailib.course.paths import DATA

FIELDS = ("sha256", "bytes", "origin", "licence", "command")
_WITHOUT_ENTRY = {"MANIFEST.json", "README.md"}
_NO_FOLDER = f"the folder {DATA} is missing: install the course from a checkout with 'pip install -e .'."


def data_dir() -> Path:
    """The folder ``data/`` beside the package, at the root of the repository.

    Raises
    ------
    FileNotFoundError
        If it is not there, which happens when the package was installed without its repository.
    """
    if not DATA.is_dir():
        raise FileNotFoundError(_NO_FOLDER)
    return DATA


def read(folder: Path | None = None) -> dict[str, dict[str, Any]]:
    """The manifest: file name to sha256, bytes, origin, licence and command; empty when nothing was made yet."""
    path = (folder or data_dir()) / "MANIFEST.json"
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}


def verified(name: str, folder: Path | None = None) -> Path:
    """Path of a shipped file whose hash was compared with the manifest.

    Raises
    ------
    FileNotFoundError, ValueError
        If the file is missing, unlisted or changed; the message says which command makes it again.
    """
    folder = folder or data_dir()
    problem = _problem(name, read(folder).get(name), folder)
    if problem:
        raise (ValueError if (folder / name).exists() else FileNotFoundError)(problem)
    return folder / name


def record(name: str, *, origin: str, licence: str, command: str, folder: Path | None = None) -> None:
    """Enter a file that was just written, or enter it anew; the manifest is replaced in one step."""
    folder = folder or data_dir()
    path = folder / name
    entry = {
        "sha256": _cache.sha256(path),
        "bytes": path.stat().st_size,
        "origin": origin,
        "licence": licence,
        "command": command,
    }
    text = json.dumps({**read(folder), name: entry}, indent=2, sort_keys=True) + "\n"
    _cache.write_atomically(folder / "MANIFEST.json", lambda part: part.write_text(text, encoding="utf-8"))


def ship_arrays(name: str, arrays: dict[str, np.ndarray], *, origin: str, command: str, folder: Path | None = None) -> None:
    """Write measured arrays into one compressed file and enter it."""

    def write(part: Path) -> None:
        with open(part, "wb") as file:
            np.savez_compressed(file, allow_pickle=False, **arrays)

    _cache.write_atomically((folder or data_dir()) / name, write)
    record(name, origin=origin, licence="CC-BY-4.0", command=command, folder=folder)


def shipped_arrays(name: str) -> dict[str, np.ndarray]:
    """The arrays of a shipped file, once its hash was compared.

    Raises
    ------
    FileNotFoundError, ValueError
        As :func:`verified`.
    """
    with np.load(verified(name), allow_pickle=False) as stored:
        return {key: stored[key] for key in stored.files}


def problems(folder: Path | None = None) -> list[str]:
    """One sentence for every file that is missing, changed or not listed; an empty list when all is well."""
    folder = folder or DATA
    if not folder.is_dir():
        return [_NO_FOLDER]
    listed = read(folder)
    there = {path.name for path in folder.iterdir() if path.suffix != ".part"} - _WITHOUT_ENTRY
    found = [_problem(name, listed.get(name), folder) for name in sorted({*listed, *there})]
    return [problem for problem in found if problem]


def _problem(name: str, entry: dict[str, Any] | None, folder: Path) -> str:
    """What is wrong with one file, or an empty string."""
    if entry is None:
        return f"data/{name} is not listed in data/MANIFEST.json: run 'make weights' to make the shipped files again."
    missing = [f for f in FIELDS if f not in entry]
    if missing:
        return f"the entry of data/{name} in data/MANIFEST.json lacks {', '.join(missing)}."
    if not (folder / name).exists():
        return f"data/{name} is missing: make it with '{entry['command']}'."
    if _cache.sha256(folder / name) != entry["sha256"]:
        return f"data/{name} does not match its hash in data/MANIFEST.json: make it again with '{entry['command']}'."
    return ""
