"""Bad arguments of CHiQPM's program, its solvers and its instances: joins the table of tests/bad_input_cases.py."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tests.bad_input_cases import NOTHING, TEXT, Bad, Case, choice, flag, number, seed, vector, whole
from xailib.chiqpm import exact, instances, program, scalable
from xailib.chiqpm.program import Program

RNG = np.random.default_rng(0)
N, F, C = 40, 6, 4
X, Y = RNG.normal(size=(N, F)), np.arange(N) % C
A = program.class_correlations(X, Y)
R = program.redundancy(A)
MAPS = RNG.random((3, F, 4, 4))
SMALL = Program(A, 4, 2, ((0, 1),))
SOLVED = scalable.solve(SMALL, bound_steps=3, shakes=1)

MATRIX = vector(ndim_ok=(2,))
UPPER = [
    *MATRIX,
    Bad("not square", np.zeros((2, 3))),
    Bad("a diagonal", np.eye(3)),
    Bad("negative", np.triu(-np.ones((3, 3)), 1)),
]
NO_PROGRAM = [NOTHING, TEXT, Bad("an array", A), Bad("the class", Program)]
CLASS = whole(-1, C)
NO_W = [
    *MATRIX,
    Bad("too few classes", SOLVED.W[:-1]),
    Bad("too many features", np.ones((C, 5), bool)),
    Bad("counts", 2 * SOLVED.W.astype(int)),
]
NO_SELECTION = [
    NOTHING,
    TEXT,
    Bad("fractions", [0.5, 1.5, 2.5, 3.5]),
    Bad("out of range", [0, 1, 2, F]),
    Bad("negative", [-1, 0, 1, 2]),
    Bad("twice", [0, 0, 1, 2]),
    Bad("empty", []),
]


def good(**arguments: Any) -> Callable[[], dict[str, Any]]:
    return lambda: dict(arguments)


CASES: dict[str, Case] = {
    "chiqpm.program.class_correlations": Case(
        program.class_correlations,
        good(X=X, y=Y),
        {
            "X": [*MATRIX, Bad("a constant feature", np.c_[X, np.ones(N)]), Bad("fewer rows", X[:-1], r"\by\b")],
            "y": [
                *vector(N),
                Bad("a class is missing", Y * 2),
                Bad("fractions", Y / 2),
                Bad("negative", Y - 1),
                Bad("one class", 0 * Y),
            ],
        },
    ),
    "chiqpm.program.redundancy": Case(program.redundancy, good(A=A), {"A": MATRIX}),
    "chiqpm.program.redundancy_threshold": Case(
        program.redundancy_threshold, good(R=R, n_features=3), {"R": UPPER, "n_features": whole(0, F + 1)}
    ),
    "chiqpm.program.penalties": Case(
        program.penalties,
        good(R=R, threshold=0.2),
        {"R": UPPER, "threshold": [bad for bad in number(-0.1) if bad.what != "inf"]},
    ),
    "chiqpm.program.locality_bias": Case(
        program.locality_bias,
        good(maps=MAPS),
        {
            "maps": [
                Bad("nothing", None),
                TEXT,
                Bad("one picture", MAPS[0]),
                Bad("NaN", MAPS * np.nan),
                Bad("too small", MAPS[..., :2]),
                Bad("negative", MAPS - 1),
                Bad("empty", MAPS[:0]),
            ]
        },
    ),
    "chiqpm.program.similar_pairs": Case(
        program.similar_pairs, good(A=A, density=0.5), {"A": MATRIX, "density": [*number(-0.1), Bad("too many", 2.0)]}
    ),
    "chiqpm.program.build_program": Case(
        program.build_program,
        good(X=X, y=Y, n_features=4, n_per_class=2, density=0.25, maps=None, threshold="clique", weights=(1, 1, 1)),
        {
            "X": [*MATRIX, Bad("a constant feature", np.c_[X, np.ones(N)])],
            "y": [*vector(N), Bad("a class is missing", Y * 2)],
            "n_features": [
                *whole(0),
                Bad("more than there are", F + 1),
                Bad("fewer than a class has", 1),
                Bad("too few subsets", 2),
            ],
            "n_per_class": [*whole(0), Bad("more than are kept", 5), Bad("too few subsets", 4)],
            "density": [*number(-0.1), Bad("too many pairs", 2.0)],
            "maps": [TEXT, Bad("too small", MAPS[..., :2]), Bad("other features", MAPS[:, :-1])],
            "threshold": [Bad("unknown", "auto"), Bad("negative", -1.0), NOTHING, Bad("NaN", np.nan)],
            "weights": [*vector(3), Bad("negative", (1, -1, 1)), Bad("no coverage", (0, 1, 1))],
        },
    ),
    "chiqpm.program.Program.objective": Case(
        SMALL.objective, good(selected=SOLVED.selected, W=SOLVED.W), {"selected": NO_SELECTION, "W": NO_W}
    ),
    "chiqpm.program.Program.violations": Case(
        SMALL.violations, good(selected=SOLVED.selected, W=SOLVED.W), {"selected": NO_SELECTION, "W": NO_W}
    ),
    "chiqpm.program.Solution.features_of": Case(SOLVED.features_of, good(c=0), {"c": CLASS}),
    "chiqpm.program.Solution.shared": Case(SOLVED.shared, good(c=0, d=1), {"c": CLASS, "d": CLASS}),
    "chiqpm.program.Solution.pivots": Case(SOLVED.pivots, good(c=0, d=1), {"c": CLASS, "d": CLASS}),
    "chiqpm.exact.solve_exactly": Case(
        exact.solve_exactly, good(program=SMALL, time_limit=20.0), {"program": NO_PROGRAM, "time_limit": number(0)}
    ),
    "chiqpm.scalable.solve": Case(
        scalable.solve,
        good(program=SMALL, bound_steps=2, shakes=1, repairs=5, random_state=0),
        {"program": NO_PROGRAM, "bound_steps": whole(-1), "shakes": whole(-1), "repairs": whole(-1), "random_state": seed()},
    ),
    "chiqpm.instances.instance": Case(
        instances.instance,
        good(
            family="parts", n_classes=8, n_candidates=12, n_features=6, n_per_class=2, density=0.5, siblings=True, random_state=0
        ),
        {
            "family": choice(),
            "n_classes": whole(1),
            "n_candidates": whole(1),
            "n_features": whole(0, 13),
            "n_per_class": whole(0, 7),
            "density": [*number(-0.1), Bad("too many", 4.0)],
            "siblings": flag(),
            "random_state": seed(),
        },
    ),
}
