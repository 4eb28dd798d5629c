"""Ten loans, a forest of 100 trees: ours and anchor-exp, same threshold, confidence, tolerance of the race and data, in turns.

anchor-exp accepts ``beam_size`` and never passes it on: its beam holds one rule. So ours runs with a beam of one (like for like)
and with its own default of two. Both stop at six conditions. The floor is the number of rows that our search asks the model for,
times the time per row in one big batch.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pandas as pd

from tests.peers.measure import row
from xailib import anchors, text, worlds, zoo
from xailib.worlds.loans import CATEGORIES

N_LOANS, MAX_CONDITIONS = 10, 6
SAME = {"threshold": 0.95, "delta": 0.1}


def rows() -> list[dict[str, Any]]:
    """One row per task: seconds of ours, of the peer, and of the floor."""
    world, pipeline = worlds.loans(), zoo.load("loans-forest")
    encoder, forest = pipeline[:-1], pipeline[-1]
    names = list(encoder.get_feature_names_out())
    data, applicants = world.train[0][names], world.test[0][names]
    denied = np.flatnonzero(pipeline.predict(world.test[0]) == 1)[:N_LOANS]

    def predict(X: pd.DataFrame) -> np.ndarray:
        """The bare forest on level numbers, so that neither side pays for the encoder."""
        return forest.predict(np.column_stack([X[c].cat.codes if c in CATEGORIES else X[c] for c in names]).astype(float))

    table = []
    for who, chosen in (("denied", denied), ("first", np.arange(N_LOANS))):
        peer = _anchor_exp(encoder, forest, names, world, chosen)
        for settings in ({"beam_width": 1}, {}, {"distribution": "data"}):
            ours = partial(anchors.explain_all, predict, applicants.iloc[chosen], data, epsilon=0.15,
                           max_conditions=MAX_CONDITIONS, **SAME, **settings)  # fmt: skip
            n_rows = sum(a.model_rows for a in ours()) + len(data) + N_LOANS
            floor = _floor(forest, np.asarray(encoder.transform(world.train[0])), n_rows)
            what = ", ".join(f"{k} {v}" for k, v in settings.items()) or "beam_width 2"
            table.append(row(f"anchors, ten {who} loans, {what}", ours, "anchor-exp", peer, floor, repeats=3))
    return [*table, _text_row()]


def _anchor_exp(encoder: Any, forest: Any, names: list[str], world: Any, chosen: np.ndarray) -> Callable[[], Any]:
    from anchor.anchor_tabular import AnchorTabularExplainer

    train, test = (np.asarray(encoder.transform(X)) for X in (world.train[0], world.test[0]))
    levels = {j: list(CATEGORIES[name]) for j, name in enumerate(names) if name in CATEGORIES}
    explainer = AnchorTabularExplainer(["repaid", "default"], names, train.copy(), levels)
    ask = lambda A: forest.predict(A).astype(int)  # noqa: E731
    limits = {**SAME, "tau": 0.15, "max_anchor_size": MAX_CONDITIONS}
    return lambda: [explainer.explain_instance(test[i], ask, **limits) for i in chosen]


def _floor(forest: Any, X: np.ndarray, n_rows: int) -> Callable[[], Any]:
    batch = np.tile(X, (-(-n_rows // len(X)), 1))[:n_rows]
    return lambda: forest.predict(batch)


def _text_row() -> dict[str, Any]:
    """One message of the world, the planted rule as model."""
    import spacy
    from anchor.anchor_text import AnchorText

    world = worlds.messages()
    predict = lambda texts: (world.truth.predict(np.asarray(texts, dtype=object)) > 0.5).astype(int)  # noqa: E731
    message = max(world.X[:50], key=lambda m: len(text.split_words(m)))
    words = text.split_words(message)
    explainer = AnchorText(spacy.blank("en"), ["ham", "spam"], use_unk_distribution=True)
    ours = lambda: anchors.text(predict, message, epsilon=0.15, beam_width=1, **SAME)  # noqa: E731
    masks = np.random.default_rng(0).random((ours().model_rows, len(words))) < 0.5
    theirs = lambda: explainer.explain_instance(message, predict, batch_size=100, **SAME)  # noqa: E731
    versions = text.keep(words, masks, filler="UNK")
    return row(f"anchors, a message of {len(words)} words", ours, "anchor-exp", theirs, lambda: predict(versions), repeats=5)
