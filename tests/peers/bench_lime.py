"""LIME: ours, the package ``lime`` and captum on the same work, measured in turns, medians.

The floor is the model on as many rows as the method asks about, in one batch. The package's explainers are built beforehand;
ours have no such step. Tables: 5,000 samples of a table of 4,000 x 20.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from lime.lime_image import LimeImageExplainer
from lime.lime_tabular import LimeTabularExplainer
from lime.lime_text import LimeTextExplainer
from sklearn.ensemble import HistGradientBoostingRegressor, RandomForestRegressor

from tests.peers.measure import row
from xailib import lime

N_SAMPLES, N_ROWS, N_FEATURES = 5_000, 4_000, 20
Call = Callable[[], Any]


def rows() -> list[dict[str, Any]]:
    """One row per task and peer: seconds of ours, of the peer, and of the floor."""
    X = np.random.default_rng(0).standard_normal((N_ROWS, N_FEATURES))
    y = X[:, 0] * X[:, 1] + np.sin(2 * X[:, 2]) + X[:, 3]
    free = lambda Z: Z[:, 0] * 2.0  # noqa: E731
    boosting = HistGradientBoostingRegressor(random_state=0).fit(X, y).predict
    forest = RandomForestRegressor(100, random_state=0, max_depth=12).fit(X[:2000], y[:2000]).predict
    table = _overhead(free, X)
    for name, model in (("boosting", boosting), ("forest", forest)):
        table.append(
            row(f"table, {N_SAMPLES:,} samples, {name}", _ours(model, X), "lime", _theirs(model, X, 20), _floor(model, X), 5)
        )
    table += [_many(forest, X), _captum(boosting, X)]
    return [*table, _text(), _image()]


def _ours(model: Any, X: np.ndarray, **more: Any) -> Call:
    return lambda: lime.tabular(model, X[:1], X, n_samples=N_SAMPLES, **more)


def _theirs(model: Any, X: np.ndarray, n_features: int, selection: str = "none") -> Call:
    peer = LimeTabularExplainer(X, mode="regression", feature_selection=selection, random_state=0)
    return lambda: peer.explain_instance(X[0], model, num_features=n_features, num_samples=N_SAMPLES)


def _floor(model: Any, X: np.ndarray, n_rows: int = N_SAMPLES) -> Call:
    batch = np.tile(X, (-(-n_rows // len(X)), 1))[:n_rows]
    return lambda: model(batch)


def _overhead(free: Any, X: np.ndarray) -> list[dict[str, Any]]:
    """A model that costs nothing: what is left is the method's own time (at most 6 ms). Then selection alone."""
    Z = (X > 0).astype(float)
    weights, answers = lime.kernel(np.sqrt(N_FEATURES - Z.sum(axis=1)), 3.0), np.column_stack([X[:, 0] + X[:, 1] * X[:, 2]])
    peer = LimeTabularExplainer(X, mode="regression", random_state=0).base
    forward = lambda: lime.fit_local(Z, answers[:, 0], weights, n_features=6)  # noqa: E731
    theirs = lambda: peer.feature_selection(Z, answers[:, 0], weights, 6, "forward_selection")  # noqa: E731
    nothing = _floor(free, X)
    return [
        row("overhead, 20 features, quartiles", _ours(free, X), "lime", _theirs(free, X, 20), nothing, 21),
        row("overhead, 20 features, continuous", _ours(free, X, bins=None), "lime", None, nothing, 21),
        row("overhead, 6 of 20 features, forward", _ours(free, X, n_features=6), "lime",
            _theirs(free, X, 6, "forward_selection"), nothing, 5),
        row(f"forward selection alone, 6 of 20, {N_ROWS:,} samples", forward, "lime", theirs, nothing, 7),
    ]  # fmt: skip


def _many(model: Any, X: np.ndarray) -> dict[str, Any]:
    peer = LimeTabularExplainer(X, mode="regression", feature_selection="none", random_state=0)
    ours = lambda: lime.tabular(model, X[:10], X, n_samples=N_SAMPLES)  # noqa: E731
    theirs = lambda: [peer.explain_instance(x, model, num_features=20) for x in X[:10]]  # noqa: E731
    return row("table, 10 instances, forest", ours, "lime", theirs, _floor(model, X, 10 * N_SAMPLES), 2)


def _captum(model: Any, X: np.ndarray) -> dict[str, Any]:
    """captum replaces features by a baseline; ours does that for an image of one row."""
    try:
        import torch
        from captum.attr import Lime
    except ImportError:
        return row("20 switches, 5,000 samples, boosting", _ours(model, X), "captum", None, _floor(model, X), 3)
    peer = Lime(lambda x: torch.as_tensor(model(x.numpy())))
    x = torch.as_tensor(X[:1])
    theirs = lambda: peer.attribute(x, n_samples=N_SAMPLES, perturbations_per_eval=N_SAMPLES)  # noqa: E731
    picture, each = X[:1].reshape(1, 1, N_FEATURES), np.arange(N_FEATURES)[None]
    of_pictures = lambda images: model(images.reshape(len(images), -1))  # noqa: E731
    how = {"replacement": 0.0, "n_samples": N_SAMPLES, "batch_rows": N_SAMPLES}
    ours = lambda: lime.image(of_pictures, picture, each, **how)  # noqa: E731
    return row("20 switches, 5,000 samples, boosting", ours, "captum", theirs, _floor(model, X), 3)


def _text() -> dict[str, Any]:
    words = [f"word{j}" for j in range(60)]
    one = lambda texts: np.array([len(t) for t in texts]) / 400.0  # noqa: E731
    two = lambda texts: np.column_stack([1 - one(texts), one(texts)])  # noqa: E731
    peer = LimeTextExplainer(bow=False, random_state=0)
    mail = " ".join(words)
    return row(
        "text, 60 words, 5,000 versions, free model", lambda: lime.text(one, mail),
        "lime", lambda: peer.explain_instance(mail, two, num_features=60), lambda: one([mail] * N_SAMPLES), 5,
    )  # fmt: skip


def _image() -> dict[str, Any]:
    picture = np.random.default_rng(0).random((224, 224, 3), dtype=np.float32)
    segments = np.arange(49).reshape(7, 7).repeat(32, 0).repeat(32, 1)
    score = lambda images: images.reshape(len(images), -1)[:, :1000].mean(axis=1)  # noqa: E731
    two = lambda images: np.column_stack([1 - score(images), score(images)])  # noqa: E731
    peer = LimeImageExplainer(random_state=0)
    channels_first = np.moveaxis(picture, -1, 0)

    def theirs() -> None:
        from contextlib import redirect_stderr
        from io import StringIO

        with redirect_stderr(StringIO()):  # its progress bar
            peer.explain_instance(picture, two, num_samples=1000, segmentation_fn=lambda _: segments)

    ours = lambda: lime.image(score, channels_first, segments, batch_rows=32)  # noqa: E731
    batch = np.repeat(picture[None], 32, axis=0)
    return row("image 224 x 224, 49 segments, 1,000 versions, free model", ours, "lime", theirs, lambda: score(batch), 2)
