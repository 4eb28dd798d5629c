"""CHiQPM's program: exact and scalable solutions, with what is proved about them. Each is solved once, in a process of its own.

The published solver for 1,000 classes is commercial and needs more than 250 GB of memory; it can not be run here, so no seconds
stand beside ours. The floor is one pass over the table of coverage: max(0, A - price), summed.
"""

from __future__ import annotations

import multiprocessing
import resource
import time
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np

from xailib import chiqpm

SMALL = {"n_classes": 20, "n_candidates": 64, "n_features": 16, "n_per_class": 4}
LARGE = {"n_classes": 1000, "n_candidates": 2048, "n_features": 50, "n_per_class": 5}


def rows() -> list[dict[str, Any]]:
    """Seconds; the peer of the scalable solver is the exact one, where that is possible."""
    table = []
    for family in chiqpm.FAMILIES:
        near, exact = measured(family, "small", "scalable"), measured(family, "small", "exact")
        task = f"CHiQPM, {family}: 20 classes x 64 features"
        table.append(
            {
                "task": task,
                "ours_s": near["seconds"],
                "peer": "ours, exact (HiGHS)",
                "peer_s": exact["seconds"],
                "floor_s": near["floor"],
            }
        )
    for family in chiqpm.FAMILIES:
        for kind in ("large, no redundancy", "large"):
            found = measured(family, kind, "scalable")
            task = f"CHiQPM, {family}: 1,000 x 2,048{', no redundancy' * ('no' in kind)}"
            table.append(
                {
                    "task": task,
                    "ours_s": found["seconds"],
                    "peer": "commercial, > 250 GB",
                    "peer_s": None,
                    "floor_s": found["floor"],
                }
            )
    return table


def report() -> None:
    """Objective, bound, gap and peak memory of every solution of the table.

    ``gap free``: the gap that is left if the same features need meet neither pairs nor uniqueness; the rest is their doing.
    """
    numbers = f"{'seconds':>8} {'peak MB':>8} {'Z':>10} {'bound':>10} {'gap %':>7} {'gap free %':>10} {'below optimum %':>16}"
    print(f"\n{'program':36} {'solver':9} {numbers}")
    for family in chiqpm.FAMILIES:
        best = measured(family, "small", "exact")
        for kind, solver in (
            ("small", "exact"),
            ("small", "scalable"),
            ("large, no redundancy", "scalable"),
            ("large", "scalable"),
        ):
            found = measured(family, kind, solver)
            below = f"{100 * (1 - found['Z'] / best['Z']):16.3f}" if kind == "small" else f"{'-':>16}"
            numbers = "{seconds:8.1f} {megabytes:8.0f} {Z:10.3f} {bound:10.3f} {gap:7.2f} {gap_free:10.2f}".format(**found)
            print(f"{f'{family}, {kind}':36} {solver:9} {numbers} {below}", flush=True)


@cache
def measured(family: str, kind: str, solver: str) -> dict[str, float]:
    """What one solution takes and proves, in a fresh process, so that its peak memory is its own."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(_measure, (family, kind, solver))


def _measure(family: str, kind: str, solver: str) -> dict[str, float]:
    program = chiqpm.instance(family, **(SMALL if kind == "small" else LARGE))
    if "no redundancy" in kind:
        program = replace(program, R=None)
    start = time.perf_counter()
    solution = chiqpm.solve(program) if solver == "scalable" else chiqpm.solve_exactly(program)
    seconds = time.perf_counter() - start
    start = time.perf_counter()
    np.maximum(program.coverage - 0.1, 0.0).sum(axis=1)
    floor = time.perf_counter() - start
    assert program.violations(solution.selected, solution.W) == []
    megabytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    free = solution.details.get("Z_unconstrained", np.nan)
    gap_free = 100 * (solution.bound - free) / solution.Z_A
    proved = {"Z": solution.objective, "bound": solution.bound, "gap": 100 * solution.gap, "gap_free": gap_free}
    return {"seconds": seconds, "floor": floor, "megabytes": megabytes, **proved}
