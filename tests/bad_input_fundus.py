"""Bad arguments of the fundus world and of its truth."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np

from tests.bad_input_cases import INDICES, Bad, Case, choice, flag, number, seed, vector, whole
from xailib import worlds


@cache
def truth() -> Any:
    return worlds.fundus(40).truth


def eye(method: str) -> Callable[..., Any]:
    """A method of the truth, looked up when called, so that importing this file draws nothing."""
    return lambda **arguments: getattr(truth(), method)(**arguments)


WHAT = [
    Bad(what, value, "to leave out")
    for what, value in {
        "unknown": "disc",
        "no such number": 11,
        "a negative number": -1,
        "a fraction": 0.5,
        "a bool": True,
        "unknown in a list": ["red", "cup"],
        "nothing": None,
    }.items()
]

CASES = {
    "worlds.fundus.fundus": Case(
        worlds.fundus,
        lambda: {"n": 40},
        {"n": whole(39), "marker": flag(), "marker_strength": number(-0.1, 1.1), "random_state": seed()},
    ),
    "worlds.fundus.FundusTruth.mask": Case(eye("mask"), lambda: {"what": "red"}, {"what": choice(), "indices": INDICES}),
    "worlds.fundus.FundusTruth.lesion_masks": Case(eye("lesion_masks"), dict, {"indices": INDICES}),
    "worlds.fundus.FundusTruth.predict": Case(
        eye("predict"),
        lambda: {"X": truth().background},
        {
            "X": [
                *vector(ndim_ok=(2,)),
                Bad("three counts", np.zeros((2, 3))),
                Bad("NaN inside", np.full((2, 2), np.nan)),
                Bad("negative", np.array([[1, -1]]), "X must hold counts"),
            ]
        },
    ),
    "worlds.fundus.FundusTruth.render": Case(
        eye("render"),
        lambda: {"indices": 0, "without": ["red", 3]},
        {"indices": INDICES, "without": WHAT, "marker": [bad for bad in flag() if bad.value is not None]},
    ),
    "worlds.fundus.FundusTruth.without": Case(
        eye("without"), lambda: {"indices": 0, "what": "all"}, {"indices": INDICES, "what": WHAT}
    ),
    "worlds.fundus.FundusTruth.with_lesions": Case(
        eye("with_lesions"),
        lambda: {"indices": 0, "red": 0},
        {
            "indices": INDICES,
            "red": whole(-1, 12),
            "bright": whole(-1, 12),
            "faint": [bad for bad in flag() if bad.value is not None],
        },
    ),
    "worlds.fundus.FundusTruth.with_marker": Case(
        eye("with_marker"), lambda: {"indices": 0}, {"indices": INDICES, "present": flag()}
    ),
}
