"""CHiQPM's program: exact and scalable solutions, with what is proved about them. Each is solved once, in a process of its own.

The published solver for 1,000 classes is commercial and needs more than 250 GB of memory; it can not be run here, so no seconds
stand beside ours. The floor is one pass over the table of coverage: max(0, A - price), summed.
"""

from __future__ import annotations

from typing import Any

from xailib import chiqpm
from xailib.experiments.chiqpm_programs import JOBS, measured


def rows() -> list[dict[str, Any]]:
    """Seconds; the peer of the scalable solver is the exact one, where that is possible."""
    return [_row(family, kind) for kind in ("small", "large, no redundancy", "large") for family in chiqpm.FAMILIES]


def _row(family: str, kind: str) -> dict[str, Any]:
    found, small = measured(family, kind, "scalable"), kind == "small"
    size = "20 classes x 64 features" if small else "1,000 x 2,048" + kind.removeprefix("large")
    return {
        "task": f"CHiQPM, {family}: {size}",
        "ours_s": found["seconds"],
        "peer": "ours, exact (HiGHS)" if small else "commercial, > 250 GB",
        "peer_s": measured(family, kind, "exact")["seconds"] if small else None,
        "floor_s": found["floor"],
    }


def report() -> None:
    """Objective, bound, gap and peak memory of every solution of the table."""
    names = f"{'seconds':>8} {'peak MB':>8} {'Z':>10} {'bound':>10} {'gap %':>7} {'unconstrained %':>16} {'below optimum %':>16}"
    print(f"\n{'program':42} {names}")
    for family in chiqpm.FAMILIES:
        best = measured(family, "small", "exact")["Z"]
        for kind, solver in JOBS:
            found = measured(family, kind, solver)
            below = 100 * (1 - found["Z"] / best) if kind == "small" else float("nan")
            form = "{seconds:8.1f} {megabytes:8.0f} {Z:10.3f} {bound:10.3f} {gap:7.2f} {gap_unconstrained:16.2f}"
            print(f"{f'{family}, {kind}, {solver}':42} {form.format(**found)} {below:16.3f}", flush=True)
