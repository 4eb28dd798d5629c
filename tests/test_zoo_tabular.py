"""The tabular zoo: models that take the table as it is, as good as their cards say, and fooled where the course needs it."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.inspection import permutation_importance
from sklearn.metrics import roc_auc_score
from sklearn.utils.validation import check_is_fitted

from xailib import predictor, worlds
from xailib.zoo.tabular import TABULAR, card, held_out, tabular

LOANS, HOUSES = worlds.loans(), worlds.houses()
every_model = pytest.mark.parametrize("name", TABULAR)


def world_of(name: str) -> worlds.World:
    return LOANS if name.startswith("loans") else HOUSES


def test_the_models_of_the_course_are_there():
    assert set(TABULAR) == {"loans-boosting", "loans-forest", "loans-logistic", "houses-boosting", "houses-forest"}


@every_model
def test_model_is_fitted_once_and_shared(name):
    check_is_fitted(TABULAR[name]())
    assert TABULAR[name]() is TABULAR[name]()
    assert tabular(name) is TABULAR[name]()


@every_model
def test_model_takes_the_table_in_any_column_order_and_with_text_for_categories(name):
    f, X = predictor(TABULAR[name]()), world_of(name).X[:200]
    want = f(X)
    assert want.shape == (200,)
    np.testing.assert_array_equal(f(X[X.columns[::-1]]), want)
    text = dict.fromkeys(X.select_dtypes("category"), object)
    np.testing.assert_array_equal(f(X.astype(text)), want)


@every_model
def test_same_data_same_model(name):
    again = tabular(name, world_of(name))
    assert again is not TABULAR[name]()
    np.testing.assert_array_equal(predictor(again)(world_of(name).X), predictor(TABULAR[name]())(world_of(name).X))


@every_model
def test_model_reads_read_only_tables_and_leaves_them_alone(name):
    X = world_of(name).X[:50]
    arrays = {column: X[column].to_numpy(copy=True) for column in X}
    for values in arrays.values():
        values.setflags(write=False)
    frozen = pd.DataFrame(arrays, copy=False)
    before = frozen.copy(deep=True)
    np.testing.assert_array_equal(predictor(TABULAR[name]())(frozen), predictor(TABULAR[name]())(X))
    pd.testing.assert_frame_equal(frozen, before)


# the least share of what can be learnt (oracle minus chance) that each model has learnt on held-out rows
LEARNT = {"loans-boosting": 0.9, "loans-forest": 0.85, "loans-logistic": 0.9, "houses-boosting": 0.9, "houses-forest": 0.7}


@every_model
def test_model_is_good_and_does_not_beat_the_oracle(name):
    chance = {"AUC": 0.5, "accuracy": 1 - LOANS.y.mean(), "R squared": 0.0}
    for metric, (model, oracle) in held_out(name).items():
        assert model < oracle, metric
        if metric != "accuracy":
            assert (model - chance[metric]) / (oracle - chance[metric]) > LEARNT[name], metric
        else:
            assert model > chance[metric] + 0.05


def test_held_out_accuracy_of_the_oracle_is_the_bayes_accuracy():
    oracle = held_out("loans-boosting")["accuracy"][1]
    bayes = LOANS.truth.bayes_accuracy
    assert abs(oracle - bayes) < 3 * np.sqrt(bayes * (1 - bayes) / 2000)


@every_model
def test_card_states_the_scores(name):
    text = card(name)
    assert text.startswith(f"# {name}\n")
    for metric, (model, oracle) in held_out(name).items():
        assert f"| {metric} | {model:.3f} | {oracle:.3f} |" in text


def test_impurity_importance_is_fooled_by_the_customer_number():
    forest = TABULAR["loans-forest"]()
    impurity = pd.Series(forest[-1].feature_importances_, forest[:-1].get_feature_names_out())
    relevant = impurity[sorted(LOANS.truth.relevant)]
    assert (relevant < impurity["customer_number"]).sum() >= 5
    X, y = LOANS.test
    held_out_drop = permutation_importance(forest, X, y, scoring="neg_log_loss", n_repeats=3, random_state=0)
    drop = pd.Series(held_out_drop.importances_mean, X.columns)
    assert drop["customer_number"] < 0.05 * drop.max()


def test_the_forest_never_claims_certainty():
    p = predictor(TABULAR["loans-forest"]())(LOANS.test[0])
    assert 0 < p.min() < p.max() < 1


def test_feature_names_out_are_the_columns_of_the_world():
    forest = TABULAR["houses-forest"]()
    assert set(forest[:-1].get_feature_names_out()) == set(HOUSES.X)


def test_variant_worlds_get_their_own_model():
    third = worlds.loans(third_order=True)
    boosting = tabular("loans-boosting", third)
    X, y = third.test
    assert roc_auc_score(y, predictor(boosting)(X)) > roc_auc_score(y, predictor(tabular("loans-logistic", third))(X)) + 0.02
    loose = tabular("houses-boosting", worlds.houses(correlation=0.0))
    assert not np.array_equal(loose.predict(HOUSES.X), TABULAR["houses-boosting"]().predict(HOUSES.X))


def test_a_tiny_world_without_some_level_can_still_be_explained_on_all_levels():
    model = tabular("loans-logistic", worlds.loans(60))
    assert np.isfinite(predictor(model)(LOANS.X)).all()


@every_model
def test_pipeline_can_be_cloned_and_refitted(name):
    X, y = world_of(name).train
    fresh = clone(TABULAR[name]()).fit(X[:300], y[:300])
    assert predictor(fresh)(X).shape == (len(X),)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: tabular("loans-svm"), "name must be one of 'loans-boosting', 'loans-forest'"),
        (lambda: tabular("loans-forest", HOUSES), "world must be a loans world for 'loans-forest', not .?houses"),
        (lambda: tabular("houses-forest", LOANS), "world must be a houses world for 'houses-forest', not .?loans"),
        (lambda: tabular("houses-forest", 3), "world must be a houses world for 'houses-forest', not 3"),
        (lambda: card("loans-svm"), "name must be one of"),
        (lambda: held_out("loans-svm"), "name must be one of"),
    ],
)
def test_bad_input_gets_a_sentence(call, message):
    with pytest.raises(ValueError, match=message):
        call()
