"""How `make bench` takes time: ours, the peer and the floor in turns, medians."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np

Call = Callable[[], Any]


def row(task: str, ours: Call, peer: str, theirs: Call | None, floor: Call, repeats: int = 7) -> dict[str, Any]:
    """One row of the table; the calls take turns, so that a slow moment of the machine hits all of them.

    ``theirs`` is None where the peer is not installed; a first round that is not measured warms caches up.
    """
    calls = [ours, floor] if theirs is None else [ours, floor, theirs]
    seconds = np.empty((repeats + 1, len(calls)))
    for r in range(repeats + 1):
        for c, call in enumerate(calls):
            start = time.perf_counter()
            call()
            seconds[r, c] = time.perf_counter() - start
    ours_s, floor_s, *rest = np.median(seconds[1:], axis=0)
    return {"task": task, "ours_s": ours_s, "peer": peer, "peer_s": rest[0] if rest else None, "floor_s": floor_s}
