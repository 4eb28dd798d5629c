"""Our glass boxes against interpret's own utilities and scikit-learn, number for number."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest
from interpret.glassbox import ExplainableBoostingClassifier
from interpret.utils import purify as their_purify
from sklearn.isotonic import IsotonicRegression
from sklearn.linear_model import LogisticRegression

from xailib import worlds
from xailib.exercises.glassbox import monotone
from xailib.glassbox import design_matrix, edit_shape, linear_reasons, log_odds_table, purified, purify, read_ebm, shape_functions

SETTINGS: dict[str, Any] = {"n_jobs": 1, "outer_bags": 2, "random_state": 0, "learning_rate": 0.05, "max_bins": 64}


@pytest.fixture(scope="module")
def loans():
    return worlds.loans(3000)


@pytest.fixture(scope="module")
def ebm(loans) -> ExplainableBoostingClassifier:
    return ExplainableBoostingClassifier(interactions=2, max_interaction_bins=16, **SETTINGS).fit(*loans.train)


def test_terms_equal_eval_terms_and_probabilities(ebm, loans):
    model = read_ebm(ebm)
    np.testing.assert_allclose(model.contributions(loans.X).values, ebm.eval_terms(loans.X), atol=1e-12)
    np.testing.assert_allclose(model.predict(loans.X), ebm.predict_proba(loans.X)[:, 1], atol=1e-12)


@pytest.mark.parametrize("seed", range(5))
def test_purify_equals_interpret(seed):
    rng = np.random.default_rng(seed)
    table, weights = rng.normal(size=(9, 7)), rng.uniform(0.01, 4, (9, 7))
    ours = purify(table, weights)
    pure, impurities, intercept = their_purify(table.copy(), weights)
    theirs = {key: np.asarray(value) for key, value in impurities}
    np.testing.assert_allclose(ours.pure, pure, atol=1e-9)
    np.testing.assert_allclose(ours.first, theirs[(0,)], atol=1e-9)
    np.testing.assert_allclose(ours.second, theirs[(1,)], atol=1e-9)
    assert ours.constant == pytest.approx(float(np.ravel(intercept)[0]), abs=1e-9)


def test_a_purified_pair_equals_interpret_on_the_machines_own_cells(ebm, loans):
    X = loans.train[0]
    model, pure = read_ebm(ebm), purified(read_ebm(ebm), X)
    before = [term for term in model.terms if len(term.features) == 2]
    after = [term for term in pure.terms if len(term.features) == 2]
    for old, new in zip(before, after, strict=True):
        lived = np.ix_(new.weights.sum(axis=1) > 0, new.weights.sum(axis=0) > 0)
        theirs, _, _ = their_purify(old.scores[lived].copy(), new.weights[lived])
        np.testing.assert_allclose(new.scores[lived], theirs, atol=1e-8)


@pytest.mark.parametrize(("feature", "direction"), [("credit_age_years", "decreasing"), ("prior_defaults", "increasing")])
def test_monotone_edit_equals_monotonize(ebm, loans, feature, direction):
    theirs = copy.deepcopy(ebm)
    theirs.monotonize(feature, increasing=direction == "increasing")
    ours = edit_shape(read_ebm(ebm), feature, monotone=direction)
    np.testing.assert_allclose(ours.score(loans.X), theirs.decision_function(loans.X), atol=1e-9)


def test_monotone_exercise_equals_scikit_learn():
    rng = np.random.default_rng(0)
    for _ in range(20):
        scores, weights = rng.normal(size=12), rng.uniform(0.1, 5, 12)
        theirs = IsotonicRegression().fit_transform(np.arange(12), scores, sample_weight=weights)
        np.testing.assert_allclose(monotone(scores, weights), theirs, atol=1e-10)


def test_shapes_equal_the_machines_global_explanation(ebm, loans):
    """Up to the constant that our centring over the rows takes away."""
    ours = shape_functions(read_ebm(ebm), loans.train[0])
    theirs = ebm.explain_global()
    for k, name in enumerate(ebm.term_names_):
        if " & " in name or ebm.feature_types_in_[k] != "continuous":
            continue
        data = theirs.data(k)
        edges, scores = np.asarray(data["names"], dtype=float), np.asarray(data["scores"])
        at = np.clip(np.searchsorted(edges[1:-1], ours[name].grid[0], side="right"), 0, len(scores) - 1)
        difference = ours[name].values - scores[at]
        assert np.ptp(difference) < 1e-9, name


def test_log_odds_equal_scikit_learn_without_penalty(loans):
    X, y = loans.train
    Z = design_matrix(X.drop(columns=["customer_number", "height_in", "on_fraud_list"]))
    theirs = LogisticRegression(C=np.inf, tol=1e-12, max_iter=10_000, solver="newton-cholesky").fit(Z, y)
    np.testing.assert_allclose(log_odds_table(Z, y)["coefficient"].to_numpy()[1:], theirs.coef_[0], rtol=1e-5, atol=1e-8)


def test_linear_reasons_equal_shap_for_a_linear_model(loans):
    shap = pytest.importorskip("shap")
    X = loans.train[0][["age_years", "annual_income_keur", "prior_defaults"]].astype(float)
    beta, background, rows = np.array([0.02, -0.04, 1.0]), X[:100], X[100:140]
    explainer = shap.LinearExplainer((beta, -1.0), shap.maskers.Independent(background, max_samples=100))
    ours = linear_reasons(beta, rows, background=background, intercept=-1.0)
    np.testing.assert_allclose(ours.values, explainer.shap_values(rows), atol=1e-9)
