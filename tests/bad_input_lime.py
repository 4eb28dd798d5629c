"""Bad arguments of the LIME functions: joins the table of tests/bad_input_cases.py."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tests.bad_input_cases import (
    CONSTANT,
    IMAGES,
    NOTHING,
    TABLE,
    TEXT,
    Bad,
    Case,
    Counted,
    batch_rows,
    choice,
    number,
    predict,
    seed,
    table,
    total,
    vector,
    whole,
    with_value,
)
from xailib import lime

SAMPLES = np.random.default_rng(0).random((20, 3))
SEGMENTS = np.arange(4).reshape(2, 2).repeat(4, 0).repeat(4, 1)
MAILS = ["free prize for you", "see you at lunch"]
N_JOBS = [TEXT, Bad("zero", 0), Bad("a fraction", 1.5)]


def length(texts: Any) -> np.ndarray:
    return np.array([float(len(t)) for t in texts])


def brightness(images: Any) -> np.ndarray:
    return images.mean(axis=(1, 2, 3))


def good(**more: Any) -> Callable[[], dict[str, Any]]:
    return lambda: {"predict": Counted(total), "X": TABLE[:3], "background": TABLE, "n_samples": 30, **more}


def explained() -> Any:
    return lime.image(brightness, IMAGES, SEGMENTS)


FIT = {
    "ridge": number(-0.1),
    "n_features": whole(0, optional=True),
    "selection": choice(),
}
SAMPLING = {"random_state": seed(), "batch_rows": batch_rows(), "n_jobs": N_JOBS}
NOT_SEGMENTS = [
    NOTHING,
    TEXT,
    Bad("fractions", SEGMENTS + 0.5),
    Bad("another size", SEGMENTS[:4]),
    Bad("one segment", np.zeros((8, 8), int)),
    Bad("one row", SEGMENTS[0]),
]

CASES = {
    "lime.fit_local": Case(
        lime.fit_local,
        lambda: {"Z": SAMPLES, "y": SAMPLES[:, 0], "weights": np.ones(20), "n_features": 2},
        FIT
        | {
            "Z": [*vector(20, ndim_ok=(2,)), Bad("too few rows", SAMPLES[:4])],
            "y": vector(20),
            "weights": [*vector(20), Bad("negative", -np.ones(20)), Bad("all zero", np.zeros(20))],
        },
    ),
    "lime.tabular": Case(
        lime.tabular,
        good(),
        FIT
        | SAMPLING
        | {
            "predict": predict(width=None),
            "X": [
                *[bad for bad in table(min_rows=1) if bad.what not in ("one dimension", "three dimensions")],
                Bad("without a column", TABLE[["a", "b"]], "background must be a table of the same kind"),
                Bad("an array", TABLE[["a", "b"]].to_numpy(), "background must be a table of the same kind"),
            ],
            "background": [
                *table(),
                Bad("another order", TABLE[["b", "a", "count", "kind"]]),
                Bad("a constant column", TABLE.assign(b=1.0), "'b' is constant"),
                Bad("a category as text", TABLE.assign(kind=TABLE["kind"].astype(str))),
                Bad("one column more", CONSTANT),
            ],
            "n_samples": [*whole(5)],
            "bins": [*whole(1, optional=True), TEXT],
            "around": choice(),
            "kernel_width": number(0.0, optional=True),
        },
    ),
    "lime.text": Case(
        lime.text,
        lambda: {"predict": Counted(length), "texts": MAILS, "n_samples": 10},
        FIT
        | SAMPLING
        | {
            "predict": [bad for bad in predict() if bad.what != "an estimator"],
            "texts": [
                NOTHING,
                Bad("a number", 3),
                Bad("no text", []),
                Bad("numbers", [1, 2]),
                Bad("no word", "...", "text must have at least one word"),
                Bad("one without a word", [MAILS[0], ""], "text must have at least one word"),
            ],
            "n_samples": whole(5),
            "kernel_width": number(0.0),
            "filler": [NOTHING, Bad("a number", 3), Bad("a list", ["UNK"])],
        },
    ),
    "lime.image": Case(
        lime.image,
        lambda: {"predict": Counted(brightness), "images": IMAGES, "segments": SEGMENTS},
        FIT
        | SAMPLING
        | {
            "predict": predict(width="say which one to explain with target="),
            "images": [
                NOTHING,
                TEXT,
                Bad("a table", IMAGES[0, 0]),
                Bad("NaN", with_value(IMAGES, np.nan)),
                Bad("empty", IMAGES[:0]),
                Bad("another size", IMAGES[:, :, :4], "segments must have shape"),
            ],
            "segments": NOT_SEGMENTS,
            "target": [
                Bad("negative", -1),
                Bad("a fraction", 0.5),
                TEXT,
                Bad("another length", [0, 1]),
                Bad("of a model with one number", 1, "target 1 is out of range", late=True),
            ],
            "replacement": [
                TEXT,
                NOTHING,
                Bad("NaN", np.nan),
                Bad("another image's shape", np.zeros((3, 9, 9))),
            ],
            "n_samples": whole(5),
            "kernel_width": number(0.0),
        },
    ),
    "lime.heatmap": Case(
        lime.heatmap,
        lambda: {"explanations": explained(), "segments": SEGMENTS},
        {
            "explanations": [
                NOTHING,
                TEXT,
                Bad("empty", []),
                Bad("of a table", lime.tabular(total, TABLE[:1], TABLE, n_samples=30)),
                Bad("numbers", [1.0, 2.0]),
            ],
            "segments": [*NOT_SEGMENTS, Bad("others", np.arange(64).reshape(8, 8))],
        },
    ),
    "lime.stability": Case(
        lime.stability,
        lambda: {
            "explain": lambda n, s: lime.tabular(total, TABLE[:1], TABLE, n_samples=n, random_state=s),
            "n_samples": (10, 20),
            "n_runs": 2,
        },
        {
            "explain": [
                NOTHING,
                TEXT,
                Bad("returns numbers", lambda n, s: np.ones(3)),
                Bad("of two rows", lambda n, s: lime.tabular(total, TABLE[:2], TABLE, n_samples=n)),
            ],
            "n_samples": [*vector(), Bad("falling", (20, 10)), Bad("fractions", (10.5, 20)), Bad("zero", (0, 10))],
            "n_runs": whole(1),
            "agreement": number(0.0, 1.1),
            "top": [*whole(0), Bad("more than there are", 5)],
            "random_state": seed(),
        },
    ),
    "lime.kernel": Case(
        lime.kernel,
        lambda: {"distances": [0.0, 1.0], "width": 1.0},
        {"distances": vector(), "width": number(0.0)},
    ),
}
