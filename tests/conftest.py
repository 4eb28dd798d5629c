"""Shared fixtures: no way out of the machine, a progress file of its own, repeatable threads."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
SHARED_DATASETS = ROOT.parent / "shared" / "datasets"

os.environ.setdefault("OMP_NUM_THREADS", "1")

_connect = socket.socket.connect
_LOOPBACK = ("127.", "::1", "localhost")


def _loopback_only(self: socket.socket, address: object) -> None:
    host = address[0] if isinstance(address, tuple) else ""
    if self.family in (socket.AF_INET, socket.AF_INET6) and not str(host).startswith(_LOOPBACK):
        raise OSError(f"tests are offline: a connection to {host} was refused")
    _connect(self, address)


socket.socket.connect = _loopback_only  # type: ignore[method-assign]


@pytest.fixture(autouse=True)
def own_progress(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A progress file per test."""
    path = tmp_path / "progress.json"
    monkeypatch.setenv("XAILIB_PROGRESS", str(path))
    return path


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Without `-m`, leave out what has its own command."""
    if config.option.markexpr:
        return
    skip = {name: pytest.mark.skip(reason=f"runs in `make {name if name == 'e2e' else 'test-full'}`") for name in ("full", "e2e")}
    for item in items:
        for name, mark in skip.items():
            if name in item.keywords:
                item.add_marker(mark)
