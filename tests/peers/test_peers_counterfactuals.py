"""Our counterfactuals beside DiCE's three methods on the same applicants, limits and scores."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from tests.peers.dice import FREE, METHODS, Dice
from xailib import counterfactuals as cf
from xailib import predictor, worlds, zoo

pytest.importorskip("dice_ml", reason="dice-ml is not installed: pip install -e .")
N_APPLICANTS = 4


@pytest.fixture(scope="module")
def loans():
    world, model = worlds.loans(), zoo.load("loans-logistic")
    predict, held_out = predictor(model), world.test[0]
    return world, model, predict, held_out[predict(held_out) > 0.5][:N_APPLICANTS]


def scores(predict, denied, tables, X) -> pd.DataFrame:
    return pd.DataFrame([cf.quality(predict, denied.iloc[[i]], table, X) for i, table in enumerate(tables)])


def test_half_of_dice_s_best_distance_with_every_limit_kept(loans):
    world, model, predict, denied = loans
    X, y = world.train
    fixed = [c for c in X if c not in FREE]
    ours = cf.search_many(predict, denied, X, immutable=fixed, n_counterfactuals=3)
    mine = scores(predict, denied, [r.rows for r in ours], X)
    assert (mine["valid"] == 1).all()
    best = pd.concat(
        [scores(predict, denied, Dice(model, X, y, m).explain(denied, 3, FREE), X)["nearest"] for m in METHODS], axis=1
    )
    best_of_three = best.min(axis=1)
    assert (mine["nearest"] < best_of_three).all()
    assert mine["nearest"].mean() <= 0.5 * best_of_three.mean()


def test_kdtree_finds_nothing_once_a_continuous_feature_is_held(loans):
    world, model, _, denied = loans
    tables = Dice(model, *world.train, "kdtree").explain(denied, 3, FREE)
    assert [len(table) for table in tables] == [0] * N_APPLICANTS


def test_dice_divides_by_one_where_the_mad_is_zero(loans):
    """So leaving the fraud list is as cheap as 0.05 MADs of a count there; ours divides by the mean deviation."""
    world, model, _, _ = loans
    data = Dice(model, *world.train, "random").explainer.data_interface
    assert data.get_mads()["on_fraud_list"] == 0
    assert data.get_valid_mads()["on_fraud_list"] == 1.0
    assert cf.mad_scale(world.train[0]).loc["on_fraud_list", "scale"] < 0.02
    for name in ("age_years", "annual_income_keur"):
        assert cf.mad_scale(world.train[0]).loc[name, "scale"] == pytest.approx(data.get_mads()[name])


def test_our_distance_equals_dice_s_for_continuous_features(loans):
    world, model, _, denied = loans
    X, y = world.train
    data = Dice(model, X, y, "random").explainer.data_interface
    mads = data.get_valid_mads()
    numbers = [c for c in X if pd.api.types.is_numeric_dtype(X[c])]
    a, b = denied.iloc[[0]], denied.iloc[1:]
    theirs = sum(np.abs(b[c].to_numpy() - a[c].iloc[0]) / mads[c] for c in numbers)
    ours = cf.distance(a[numbers], b[numbers], [mads[c] for c in numbers])
    np.testing.assert_allclose(ours, theirs)
