"""CHiQPM's program at the size of ImageNet and in small, on three families: ``python -m xailib.experiments.chiqpm_programs``.

Every program is solved in a process of its own, so that its peak memory is its own. ``make bench`` measures the same again; what
is stored are the numbers of one machine with two cores, for chapter 16. About eight minutes.
"""

from __future__ import annotations

import argparse
import multiprocessing
import resource
import time
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pandas as pd
from tqdm.auto import tqdm

from xailib import chiqpm
from xailib.course import manifest
from xailib.zoo import cards

__all__ = ["main", "measured", "results"]

FILE = "chiqpm_programs.npz"
COMMAND = "python -m xailib.experiments.chiqpm_programs"
ORIGIN = "measured on chiqpm.instance of three families"
SMALL = {"n_classes": 20, "n_candidates": 64, "n_features": 16, "n_per_class": 4}
LARGE = {"n_classes": 1000, "n_candidates": 2048, "n_features": 50, "n_per_class": 5}
#: fewer than by default, to stay below a minute
LARGE_REPAIRS = 3000
#: size of a program -> who solves it
JOBS = (("small", "exact"), ("small", "scalable"), ("large, no redundancy", "scalable"), ("large", "scalable"))
NUMBERS = ("seconds", "megabytes", "Z", "bound", "gap", "gap_unconstrained", "floor")


@cache
def measured(family: str, kind: str, solver: str) -> dict[str, float]:
    """What one solution takes and proves: seconds of one processor, peak memory, objective, bound, gaps in per cent of Z_A.

    ``gap_unconstrained`` is what is left of the gap if the same features need meet neither pairs nor uniqueness. ``floor`` is the
    time of one pass over the table of coverage: max(0, A - price), summed.
    """
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(_measure, (family, kind, solver))


def _measure(family: str, kind: str, solver: str) -> dict[str, float]:
    program = chiqpm.instance(family, **(SMALL if kind == "small" else LARGE))
    if "no redundancy" in kind:
        program = replace(program, R=None)
    repairs = {} if kind == "small" else {"repairs": LARGE_REPAIRS}
    start = time.process_time()
    solution = chiqpm.solve(program, **repairs) if solver == "scalable" else chiqpm.solve_exactly(program)
    seconds = time.process_time() - start
    start = time.process_time()
    np.maximum(program.coverage - 0.1, 0.0).sum(axis=1)
    floor = time.process_time() - start
    assert program.violations(solution.selected, solution.W) == []
    free = solution.details.get("Z_unconstrained", np.nan)
    return {
        "seconds": seconds,
        "megabytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "Z": solution.objective,
        "bound": solution.bound,
        "gap": 100 * solution.gap,
        "gap_unconstrained": 100 * (solution.bound - free) / solution.Z_A,
        "floor": floor,
    }


def results() -> pd.DataFrame:
    """The stored numbers: one row per family and job, columns :data:`NUMBERS`; gaps in per cent, NaN where there is none.

    Raises
    ------
    FileNotFoundError, ValueError
        If the file is missing or was changed; the message says how to make it again.
    """
    stored = manifest.shipped_arrays(FILE)
    index = pd.MultiIndex.from_product([stored["families"].tolist(), stored["jobs"].tolist()], names=["family", "program"])
    return pd.DataFrame(stored["numbers"].reshape(-1, len(NUMBERS)), index, list(NUMBERS))


def main() -> None:
    """Command line."""
    argparse.ArgumentParser(prog=COMMAND, description="CHiQPM's program solved in two sizes, for chapter 16.").parse_args()
    rows: list[dict[str, Any]] = [
        measured(family, *job) for family in tqdm(chiqpm.FAMILIES, desc="programs", unit="family", disable=None) for job in JOBS
    ]
    numbers = np.array([[row[name] for name in NUMBERS] for row in rows], dtype=np.float32)
    arrays = {
        "numbers": numbers.reshape(len(chiqpm.FAMILIES), len(JOBS), -1),
        "families": np.array(chiqpm.FAMILIES),
        "jobs": np.array([", ".join(job) for job in JOBS]),
    }
    manifest.ship_arrays(FILE, arrays, origin=ORIGIN, command=COMMAND)
    cards.write_readme()


if __name__ == "__main__":
    main()
