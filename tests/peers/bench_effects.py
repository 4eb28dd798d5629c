"""Partial dependence, ICE and ALE on 5,000 x 20: ours, the peer and the floor, measured in turns, medians.

The floor is the number of rows the method can not avoid, times the time per row in one big batch. Peers that are not installed
are listed with no time. dalex (GPL-3, and its release for pandas 3 does not install beside our pins) and alibi (Business Source
Licence, needs numpy below 2) are not measured.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
from sklearn.ensemble import HistGradientBoostingRegressor, RandomForestRegressor
from sklearn.inspection import partial_dependence as sklearn_partial_dependence

from tests.peers.measure import row
from xailib.effects import ale, ice, partial_dependence

N_ROWS, N_FEATURES, N_BINS = 5_000, 20, 40
REPEATS = 5

Call = Callable[[], Any]


def rows() -> list[dict[str, Any]]:
    """One row per task and peer: seconds of ours, of the peer, and of the floor."""
    X = np.random.default_rng(0).standard_normal((N_ROWS, N_FEATURES))
    y = X[:, 0] * X[:, 1] + np.sin(2 * X[:, 2]) + X[:, 3]
    boosting = HistGradientBoostingRegressor(random_state=0).fit(X, y)
    forest = RandomForestRegressor(100, random_state=0, max_depth=12).fit(X[:2000], y[:2000])
    table = []
    for name, model, repeats in (("boosting", boosting, REPEATS), ("forest", forest, 3)):
        table += _pd_rows(name, model, X, repeats) + _ale_rows(name, model, X, repeats)
    return table + _pair_rows(boosting, X)


def _pd_rows(name: str, model: Any, X: np.ndarray, repeats: int) -> list[dict[str, Any]]:
    grid = np.linspace(-2, 2, 50)
    floor = _floor(model, X, len(grid) * N_ROWS)
    theirs = {
        "scikit-learn": lambda kind: (
            lambda: sklearn_partial_dependence(model, X, [0], method="brute", kind=kind, custom_values={0: grid})
        )
    }
    table = [
        row(f"PDP, 50 points, {name}", lambda: partial_dependence(model.predict, X, 0, grid=grid),
             "scikit-learn", theirs["scikit-learn"]("average"), floor, repeats),
        row(f"ICE, 50 points, {name}", lambda: ice(model.predict, X, 0, grid=grid),
             "scikit-learn", theirs["scikit-learn"]("individual"), floor, repeats),
    ]  # fmt: skip
    if name == "boosting":
        ours = lambda: partial_dependence(model.predict, X, 0, grid=grid)  # noqa: E731
        table.append(row(f"PDP, 50 points, {name}", ours, "effector", _effector_pdp(model, X, grid), floor, repeats))
    return table


def _ale_rows(name: str, model: Any, X: np.ndarray, repeats: int) -> list[dict[str, Any]]:
    frame, floor = pd.DataFrame(X, columns=[f"x{j}" for j in range(N_FEATURES)]), _floor(model, X, 2 * N_ROWS)
    named = _OnFrames(model)
    of_frame = lambda: ale(named.predict, frame, "x0", bins=N_BINS)  # noqa: E731
    of_array = lambda: ale(model.predict, X, 0, bins=N_BINS, spacing="uniform")  # noqa: E731
    table = [
        row(f"ALE, {N_BINS} bins, {name}", of_frame, "PyALE", _pyale(named, frame, ["x0"], N_BINS), floor, 3 * repeats),
        row(f"ALE, {N_BINS} bins, {name}", of_array, "effector", _effector_ale(model, X), floor, 3 * repeats),
    ]
    with_band = lambda: ale(model.predict, X, 0, bins=N_BINS, n_resamples=200)  # noqa: E731
    again = lambda: [model.predict(np.tile(X, (2, 1))) for _ in range(20)]  # noqa: E731
    table.append(row(f"ALE with band, {name}", with_band, "predicting anew for 20 resamples", again, floor, repeats))
    return table


def _pair_rows(model: Any, X: np.ndarray) -> list[dict[str, Any]]:
    frame = pd.DataFrame(X, columns=[f"x{j}" for j in range(N_FEATURES)])
    named, grid = _OnFrames(model), np.linspace(-2, 2, 10)
    theirs = lambda: sklearn_partial_dependence(  # noqa: E731
        model, X, [0, 1], method="brute", kind="average", custom_values={0: grid, 1: grid}
    )
    pair = lambda: partial_dependence(model.predict, X, (0, 1), grid=grid)  # noqa: E731
    second = lambda: ale(named.predict, frame, ("x0", "x1"), bins=20)  # noqa: E731
    pyale = _pyale(named, frame, ["x0", "x1"], 20)
    return [
        row("PDP of a pair, 10 x 10, boosting", pair, "scikit-learn", theirs, _floor(model, X, 100 * N_ROWS), 3),
        row("ALE of a pair, 20 x 20, boosting", second, "PyALE", pyale, _floor(model, X, 4 * N_ROWS), 3 * REPEATS),
    ]


class _OnFrames:
    """A model that takes frames, for peers that want an object with ``predict``."""

    def __init__(self, model: Any) -> None:
        self.model = model

    def predict(self, frame: pd.DataFrame) -> np.ndarray:
        return self.model.predict(frame.to_numpy())


def _pyale(model: _OnFrames, frame: pd.DataFrame, features: list[str], size: int) -> Call | None:
    if importlib.util.find_spec("PyALE") is None:
        return None
    from PyALE._src.ALE_1D import aleplot_1D_continuous
    from PyALE._src.ALE_2D import aleplot_2D_continuous

    if len(features) == 2:
        return lambda: aleplot_2D_continuous(frame, model, features, grid_size=size)
    return lambda: aleplot_1D_continuous(frame, model, features[0], grid_size=size, include_CI=False)


def _effector_ale(model: Any, X: np.ndarray) -> Call | None:
    if importlib.util.find_spec("effector") is None:
        return None
    import effector

    def call() -> np.ndarray:
        peer = effector.ALE(X, model.predict, nof_instances="all")
        peer.fit(0, binning_method=effector.axis_partitioning.Fixed(nof_bins=N_BINS))
        return peer.eval(0, np.linspace(-2, 2, N_BINS + 1))

    return call


def _effector_pdp(model: Any, X: np.ndarray, grid: np.ndarray) -> Call | None:
    if importlib.util.find_spec("effector") is None:
        return None
    import effector

    return lambda: effector.PDP(X, model.predict, nof_instances="all").eval(0, grid, centering=False)


def _floor(model: Any, X: np.ndarray, n_rows: int) -> Call:
    """Predicting that many rows in batches of 50,000, and nothing else."""
    batch = np.tile(X, (-(-min(n_rows, 50_000) // len(X)), 1))

    def call() -> None:
        for start in range(0, n_rows, len(batch)):
            model.predict(batch[: n_rows - start])

    return call
