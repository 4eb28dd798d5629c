"""Our effects against PyALE's and effector's, number for number, where the definitions agree, and shown where they do not."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from xailib.effects import ale, grid_points, partial_dependence

REASON = "{} is not installed: pip install -e .[peers]"


@pytest.fixture(scope="module")
def X() -> np.ndarray:
    z = np.random.default_rng(0).standard_normal((1500, 3))
    return np.column_stack([z[:, 0], 0.9 * z[:, 0] + 0.19**0.5 * z[:, 1], z[:, 2]])


def wavy(X: np.ndarray) -> np.ndarray:
    return np.sin(2 * X[:, 0]) * X[:, 1] + X[:, 0] * X[:, 2] ** 2


class OnFrames:
    """``predict`` on a frame with columns a, b, c."""

    def predict(self, frame: pd.DataFrame) -> np.ndarray:
        return wavy(frame[["a", "b", "c"]].to_numpy())


@pytest.fixture
def frame(X) -> pd.DataFrame:
    return pd.DataFrame(X, columns=["a", "b", "c"])


@pytest.fixture(scope="module")
def one_dimensional():
    return pytest.importorskip("PyALE._src.ALE_1D", reason=REASON.format("PyALE"))


def test_first_order_equals_pyale_on_its_grid(one_dimensional, frame):
    theirs = one_dimensional.aleplot_1D_continuous(frame, OnFrames(), "a", grid_size=20, include_CI=False)
    ours = ale(OnFrames().predict, frame, "a", bins=theirs.index.to_numpy())
    np.testing.assert_allclose(ours.values, theirs["eff"].to_numpy(), atol=1e-10)


def test_pyale_takes_the_quantile_before_type_1(one_dimensional):
    lib = pytest.importorskip("PyALE._src.lib", reason=REASON.format("PyALE"))
    theirs = lib.quantile_ied(pd.Series(range(1, 12)), np.array([0.25, 0.5, 0.75]))
    assert theirs.tolist() == [3, 5, 8]
    assert grid_points(np.arange(1, 12), 4)[1:-1].tolist() == [3, 6, 9]


def test_second_order_equals_pyale_on_its_grid(frame):
    two = pytest.importorskip("PyALE._src.ALE_2D", reason=REASON.format("PyALE"))
    theirs = two.aleplot_2D_continuous(frame, OnFrames(), ["a", "b"], grid_size=8)
    bins = (theirs.index.to_numpy(dtype=float), theirs.columns.to_numpy(dtype=float))
    ours = ale(OnFrames().predict, frame, ("a", "b"), bins=bins)
    assert (ours.details["counts"] == 0).any()
    np.testing.assert_allclose(ours.values, theirs.to_numpy(), atol=1e-10)


def test_counts_equal_pyale(one_dimensional, frame):
    counted = frame.assign(a=np.clip(np.round(frame["a"]), -2, 2).astype(int))
    theirs = one_dimensional.aleplot_1D_discrete(counted, OnFrames(), "a", include_CI=False)
    ours = ale(OnFrames().predict, counted, "a", discrete=True)
    assert ours.grid[0].tolist() == theirs.index.tolist()
    np.testing.assert_allclose(ours.values, theirs["eff"].to_numpy(), atol=1e-10)


def test_interval_of_a_difference_is_too_short_in_pyale(one_dimensional, frame):
    """PyALE's half-width is that of one bin; the accumulated curve collects the errors of all bins on the way."""
    theirs = one_dimensional.aleplot_1D_continuous(frame, OnFrames(), "a", grid_size=20, include_CI=True)
    ours = ale(OnFrames().predict, frame, "a", bins=theirs.index.to_numpy(), n_resamples=300)
    their_width = (theirs["upperCI_95%"] - theirs["lowerCI_95%"]).to_numpy()[1:]
    assert np.median((ours.upper - ours.lower)[1:] / their_width) > 1.2


def test_effector_agrees_up_to_its_centring(X):
    effector = pytest.importorskip("effector", reason=REASON.format("effector"))
    inside = X[np.abs(X[:, 0]) < 2]
    ours = ale(wavy, inside, 0, bins=15, spacing="uniform")
    peer = effector.ALE(inside, wavy, nof_instances="all")
    peer.fit(0, binning_method=effector.axis_partitioning.Fixed(nof_bins=15))
    difference = peer.eval(0, ours.grid[0], centering=True) - ours.values
    assert np.ptp(difference) < 1e-6
    assert abs(difference[0]) > 1e-3  # effector centres over the axis, not over the rows


def test_partial_dependence_equals_effector(X):
    effector = pytest.importorskip("effector", reason=REASON.format("effector"))
    grid = np.linspace(-2, 2, 9)
    theirs = effector.PDP(X, wavy, nof_instances="all").eval(0, grid, centering=False)
    np.testing.assert_allclose(partial_dependence(wavy, X, 0, grid=grid).values, theirs, atol=1e-10)
