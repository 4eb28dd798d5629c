"""Tree Shapley values and partial dependence against brute force over subsets, walks written out slowly, and scikit-learn."""

from __future__ import annotations

import subprocess
import sys
from functools import cache
from itertools import combinations
from math import factorial
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.compose import make_column_transformer
from sklearn.dummy import DummyRegressor
from sklearn.ensemble import (
    ExtraTreesClassifier,
    ExtraTreesRegressor,
    GradientBoostingClassifier,
    GradientBoostingRegressor,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.inspection import partial_dependence as sklearn_pd
from sklearn.linear_model import LinearRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder, StandardScaler
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor, ExtraTreeRegressor

from xailib import effects, trees, worlds, zoo
from xailib.trees import explained_output, leaf_table, partial_dependence, shapley

EXACT = {"rtol": 0, "atol": 1e-10}
P = 4

# data and models ------------------------------------------------------------------------------------------------------


def numbers(n: int = 160, seed: int = 0) -> np.ndarray:
    """Rounded normals: many ties, and values that single precision can not hold."""
    return np.round(np.random.default_rng(seed).normal(size=(n, P)), 1)


def with_gaps(X: np.ndarray, seed: int = 1) -> np.ndarray:
    return np.where(np.random.default_rng(seed).random(X.shape) < 0.15, np.nan, X)


X = numbers()
GAPS = with_gaps(X)
Y = X[:, 0] * X[:, 1] + np.sin(2 * X[:, 2]) + (X[:, 3] > 0)
TWO, THREE = (Y > 0.5).astype(int), np.digitize(Y, [-0.5, 0.8])
CODES = np.column_stack([np.random.default_rng(2).integers(0, 7, len(X)), GAPS[:, 1:]])  # levels in the first column
WEIGHTS = np.random.default_rng(3).integers(0, 4, len(X)).astype(float)

MODELS: dict[str, tuple[Any, np.ndarray, np.ndarray]] = {
    "tree": (DecisionTreeRegressor(max_depth=6, random_state=0), X, Y),
    "tree with gaps": (DecisionTreeRegressor(max_depth=6, random_state=0), GAPS, Y),
    "tree, best first": (DecisionTreeRegressor(max_leaf_nodes=15, random_state=0), X, Y),
    "tree, two targets": (DecisionTreeRegressor(max_depth=5, random_state=0), X, np.column_stack([Y, X[:, 0] - Y])),
    "tree of two classes": (DecisionTreeClassifier(max_depth=5, random_state=0), GAPS, TWO),
    "tree of three classes": (DecisionTreeClassifier(max_depth=5, random_state=0), X, np.array(list("abc"))[THREE]),
    "tree of two targets, classes": (DecisionTreeClassifier(max_depth=4, random_state=0), X, np.column_stack([TWO, THREE])),
    "extra tree": (ExtraTreeRegressor(max_depth=6, random_state=0), X, Y),
    "forest": (RandomForestRegressor(8, random_state=0), GAPS, Y),
    "forest of two classes": (RandomForestClassifier(8, random_state=0), X, TWO),
    "forest of three classes": (RandomForestClassifier(8, random_state=0), GAPS, THREE),
    "extra trees": (ExtraTreesRegressor(8, max_depth=7, random_state=0), X, Y),
    "extra trees, classes": (ExtraTreesClassifier(8, max_depth=7, random_state=0), X, THREE),
    "boosting": (GradientBoostingRegressor(n_estimators=20, random_state=0), X, Y),
    "boosting from zero": (GradientBoostingRegressor(n_estimators=20, init="zero", loss="huber", random_state=0), X, Y),
    "boosting, two classes": (GradientBoostingClassifier(n_estimators=15, random_state=0), X, TWO),
    "boosting, exponential": (GradientBoostingClassifier(n_estimators=15, loss="exponential", random_state=0), X, TWO),
    "boosting, three classes": (GradientBoostingClassifier(n_estimators=10, random_state=0), X, THREE),
    "histogram": (HistGradientBoostingRegressor(max_iter=20, random_state=0), GAPS, Y),
    "histogram, counts": (HistGradientBoostingRegressor(max_iter=15, loss="poisson", random_state=0), GAPS, np.abs(Y)),
    "histogram, levels": (HistGradientBoostingRegressor(max_iter=20, categorical_features=[0], random_state=0), CODES, Y),
    "histogram, two classes": (HistGradientBoostingClassifier(max_iter=15, categorical_features=[0]), CODES, TWO),
    "histogram, three classes": (HistGradientBoostingClassifier(max_iter=10, random_state=0), GAPS, THREE),
    "a leaf alone": (DecisionTreeRegressor(), X, np.full(len(X), 3.0)),
}
every_model = pytest.mark.parametrize("name", MODELS)


@cache
def fitted(name: str) -> tuple[Any, np.ndarray]:
    model, rows, target = MODELS[name]
    return model.fit(rows, target), rows


# the definitions, written out slowly ----------------------------------------------------------------------------------


def shapley_of_game(v: Any, p: int) -> np.ndarray:
    """Shapley values (k, p) or (p,) of ``v(frozenset)`` over all subsets."""
    worth = {frozenset(s): v(frozenset(s)) for size in range(p + 1) for s in combinations(range(p), size)}
    phi = [
        sum(
            factorial(len(s)) * factorial(p - len(s) - 1) / factorial(p) * (worth[s | {j}] - worth[s])
            for s in worth
            if j not in s
        )
        for j in range(p)
    ]
    return np.moveaxis(np.array(phi), 0, -1)


def brute_marginal(predict: Any, x: np.ndarray, background: np.ndarray) -> np.ndarray:
    def v(s: frozenset[int]) -> Any:
        rows = background.copy()
        rows[:, list(s)] = x[list(s)]
        return predict(rows).mean(axis=0)

    return shapley_of_game(v, len(x))


def walk(node: int, x: np.ndarray, known: frozenset[int], t: dict[str, Any]) -> Any:
    """Path-dependent value of one tree: known features decide, others are averaged by training rows."""
    if t["left"][node] < 0:
        return t["value"][node]
    left, right, j = t["left"][node], t["right"][node], t["feature"][node]
    if j in known:
        missing = np.isnan(x[j])
        goes_left = t["missing_left"][node] if missing else t["goes_left"](node, x[j])
        return walk(left if goes_left else right, x, known, t)
    share = t["cover"][left] / t["cover"][node]
    return share * walk(left, x, known, t) + (1 - share) * walk(right, x, known, t)


def grown(tree: Any, value: np.ndarray) -> dict[str, Any]:
    threshold = tree.threshold
    return {
        "left": tree.children_left,
        "right": tree.children_right,
        "feature": tree.feature,
        "goes_left": lambda node, x: np.float32(x).astype(float) <= threshold[node],
        "missing_left": tree.__getstate__()["nodes"]["missing_go_to_left"],
        "cover": tree.weighted_n_node_samples,
        "value": value,
    }


def histogram(predictor: Any, order: np.ndarray) -> dict[str, Any]:
    nodes = predictor.nodes

    def goes_left(node: int, x: float) -> bool:
        if nodes["is_categorical"][node]:
            words = predictor.raw_left_cat_bitsets[nodes["bitset_idx"][node]]
            return bool(int(words[int(x) // 32]) >> (int(x) % 32) & 1)
        return x <= nodes["num_threshold"][node]

    return {
        "left": np.where(nodes["is_leaf"], -1, nodes["left"].astype(int)),
        "right": nodes["right"].astype(int),
        "feature": order[nodes["feature_idx"]],
        "goes_left": goes_left,
        "missing_left": nodes["missing_go_to_left"],
        "cover": nodes["count"].astype(float),
        "value": nodes["value"],
    }


def brute_path_dependent(name: str, x: np.ndarray) -> np.ndarray:
    model, _ = fitted(name)
    if hasattr(model, "_predictors"):
        parts = [[histogram(t, np.arange(P)) for t in row] for row in model._predictors]
        return np.stack([sum(phi_of(t, x) for t in of_class) for of_class in zip(*parts, strict=True)])
    if name.startswith("boosting"):
        rate = model.learning_rate
        parts = [[grown(t.tree_, rate * t.tree_.value[:, 0, 0]) for t in row] for row in model.estimators_]
        return np.stack([sum(phi_of(t, x) for t in of_class) for of_class in zip(*parts, strict=True)])
    members = getattr(model, "estimators_", [model])
    if not hasattr(model, "classes_"):
        return np.mean([phi_of(grown(t.tree_, t.tree_.value[:, :, 0]), x) for t in members], axis=0)
    classes = model.classes_ if model.n_outputs_ > 1 else [model.classes_]
    return np.concatenate(
        [
            np.mean([phi_of(grown(t.tree_, t.tree_.value[:, o, : len(c)]), x) for t in members], axis=0)[len(c) == 2 :]
            for o, c in enumerate(classes)
        ]
    )


def phi_of(t: dict[str, Any], x: np.ndarray) -> np.ndarray:
    return shapley_of_game(lambda s: walk(0, x, s, t), len(x))


# Shapley values -------------------------------------------------------------------------------------------------------


@every_model
def test_marginal_values_equal_brute_force(name):
    model, rows = fitted(name)
    result = shapley(model, rows[:4], rows[60:85])
    predict = explained_output(model)
    np.testing.assert_allclose(result.values, [brute_marginal(predict, x, rows[60:85]) for x in rows[:4]], **EXACT)
    np.testing.assert_allclose(result.base_value, predict(rows[60:85]).mean(axis=0), **EXACT)
    assert result.details["estimand"] == "marginal"
    assert "marginal (background of 25 rows)" in result.method


@every_model
def test_path_dependent_values_equal_brute_force(name):
    model, rows = fitted(name)
    result = shapley(model, rows[:4])
    expected = np.array([brute_path_dependent(name, x) for x in rows[:4]])
    np.testing.assert_allclose(result.values, expected.reshape(result.values.shape), **EXACT)
    assert result.details["estimand"] == "path-dependent"
    assert "neither marginal nor conditional" in result.method


@every_model
@pytest.mark.parametrize("background", [None, slice(60, 90)], ids=["path-dependent", "marginal"])
def test_values_add_up_on_every_training_row(name, background):
    model, rows = fitted(name)
    result = shapley(model, rows, None if background is None else rows[background])
    assert np.abs(result.efficiency_gap()).max() < 1e-9
    np.testing.assert_array_equal(result.prediction, explained_output(model)(rows))


def test_training_rows_lie_on_thresholds_in_double_precision():
    rows = np.random.default_rng(0).normal(size=(300, 3))
    model = HistGradientBoostingRegressor(max_iter=60).fit(rows, rows[:, 0] * rows[:, 1] + np.sin(4 * rows[:, 2]))
    thresholds = np.concatenate([t.nodes["num_threshold"][t.nodes["is_leaf"] == 0] for (t,) in model._predictors])
    flipped = thresholds != thresholds.astype(np.float32)
    assert np.isin(thresholds, rows).mean() > 0.9
    assert flipped.mean() > 0.9  # single precision would move them to one side of the training value
    assert np.abs(shapley(model, rows, rows[:50]).efficiency_gap()).max() < 1e-9
    assert np.abs(shapley(model, rows).efficiency_gap()).max() < 1e-9


@pytest.mark.parametrize("low", [0.1, 0.3, 1 / 3, 1e5 + 0.1])
@pytest.mark.parametrize("histogram_boosting", [False, True], ids=["tree", "histogram"])
def test_a_stump_on_its_threshold(histogram_boosting, low):
    """The next number above the threshold of the model's precision goes the other way; in single precision often not."""
    stump = HistGradientBoostingRegressor(max_iter=1, learning_rate=1.0) if histogram_boosting else DecisionTreeRegressor()
    precision = np.float64 if histogram_boosting else np.float32
    rows = np.column_stack([np.repeat([low, 1.5 * low], 30), np.zeros(60)])
    stump.fit(rows, np.repeat([0.0, 1.0], 30))
    threshold = stump._predictors[0][0].nodes["num_threshold"][0] if histogram_boosting else stump.tree_.threshold[0]
    nearest = precision(threshold)
    below, above = (nearest, np.inf) if nearest <= threshold else (-np.inf, nearest)
    on_it = np.array([[np.nextafter(nearest, precision(end)) if np.isinf(end) else end, 0.0] for end in (below, above)])
    np.testing.assert_allclose(stump.predict(on_it), [0.0, 1.0], atol=1e-12)
    np.testing.assert_allclose(shapley(stump, on_it, on_it).values, [[-0.5, 0.0], [0.5, 0.0]], **EXACT)
    np.testing.assert_allclose(shapley(stump, on_it).values, [[-0.5, 0.0], [0.5, 0.0]], **EXACT)


def test_one_feature_used_many_times_on_a_path():
    rows = np.random.default_rng(0).normal(size=(200, 1))
    model = DecisionTreeRegressor().fit(rows, np.sin(5 * rows[:, 0]))
    for background in (None, rows[:40]):
        result = shapley(model, rows, background)
        np.testing.assert_allclose(result.values[:, 0], model.predict(rows) - result.base_value, **EXACT)


@pytest.fixture(scope="module")
def large() -> tuple[DecisionTreeRegressor, np.ndarray]:
    rows = np.random.default_rng(0).normal(size=(22_000, 3))
    model = DecisionTreeRegressor(random_state=0).fit(rows, rows[:, 0] * rows[:, 1] + rows[:, 2])
    assert model.tree_.node_count > 32_767
    return model, rows


def test_trees_of_more_than_32767_nodes(large):
    model, rows = large
    result = shapley(model, rows[:300], rows[-60:])
    assert np.abs(result.efficiency_gap()).max() < 1e-9
    np.testing.assert_allclose(result.values[:3], [brute_marginal(model.predict, x, rows[-60:]) for x in rows[:3]], **EXACT)
    walked = shapley(model, rows[:3])
    t = grown(model.tree_, model.tree_.value[:, 0, 0])
    np.testing.assert_allclose(walked.values, [phi_of(t, x) for x in rows[:3]], **EXACT)


def test_large_tree_partial_dependence(large):
    model, rows = large
    ours = partial_dependence(model, rows[:200], 0, grid=8)
    np.testing.assert_allclose(ours.values, effects.partial_dependence(model.predict, rows[:200], 0, grid=8).values, **EXACT)


def chain(p: int) -> tuple[DecisionTreeRegressor, np.ndarray]:
    """A tree whose longest path tests ``p`` different features."""
    rows = np.vstack([np.eye(p), np.zeros((1, p))])
    model = DecisionTreeRegressor(random_state=0).fit(rows, [*(1.5 ** np.arange(p)), 0.0])
    return model, rows


@pytest.mark.parametrize("p", [61, 62, 63, 64, 65, 100])
def test_paths_of_more_features_than_a_word_has_bits(p):
    """Each coalition game of a chain has at most two unequal features, so the values follow from a formula."""
    model, rows = chain(p)
    assert np.diff(leaf_table(model)._leaves.start).max() == p
    some = rows[[0, 1, p // 2, p - 1, p]]
    result = shapley(model, some, rows)
    for x, phi in zip(some, result.values, strict=True):
        differs = [np.flatnonzero(x != z) for z in rows]
        expected = np.zeros(p)
        for z, d in zip(rows, differs, strict=True):
            if len(d):  # at most two features differ: a game of two players
                game = brute_marginal(lambda part, z=z, d=d: model.predict(completed(z, d, part)), x[d], z[None, d])
                expected[d] += game / len(rows)
        np.testing.assert_allclose(phi, expected, rtol=1e-10, atol=1e-10 * np.abs(expected).max())
    gaps = shapley(model, rows).efficiency_gap()
    assert np.abs(gaps).max() < 1e-9 * model.predict(rows).max()


def completed(z: np.ndarray, d: np.ndarray, part: np.ndarray) -> np.ndarray:
    rows = np.tile(z, (len(part), 1))
    rows[:, d] = part
    return rows


@pytest.mark.parametrize("name", ["forest", "forest of three classes", "histogram, levels", "histogram, three classes"])
def test_the_plain_loops_equal_the_fast_ones(name, monkeypatch):
    from xailib import _tree_kernels

    model, rows = fitted(name)
    fast = [shapley(model, rows[:20], rows[60:80]), shapley(model, rows[:20])]
    monkeypatch.setattr(_tree_kernels, "MAX_SLOTS", 0)
    plain = [shapley(model, rows[:20], rows[60:80]), shapley(model, rows[:20])]
    for a, b in zip(fast, plain, strict=True):
        np.testing.assert_allclose(a.values, b.values, rtol=0, atol=1e-13)


@settings(deadline=None, max_examples=25)
@given(seed=st.integers(0, 10_000), gaps=st.booleans(), depth=st.integers(1, 7))
def test_random_trees_equal_brute_force(seed, gaps, depth):
    rng = np.random.default_rng(seed)
    rows = rng.integers(0, 4, size=(40, 3)).astype(float)
    rows = with_gaps(rows, seed) if gaps else rows
    model = DecisionTreeRegressor(max_depth=depth, random_state=seed).fit(rows, rng.normal(size=40))
    background = rows[rng.integers(0, 40, 7)]
    np.testing.assert_allclose(
        shapley(model, rows[:2], background).values, [brute_marginal(model.predict, x, background) for x in rows[:2]], **EXACT
    )
    t = grown(model.tree_, model.tree_.value[:, 0, 0])
    np.testing.assert_allclose(shapley(model, rows[:2]).values, [phi_of(t, x) for x in rows[:2]], **EXACT)


def test_values_of_a_forest_are_means_over_its_trees():
    model, rows = fitted("forest")
    whole = shapley(model, rows[:10], rows[60:80]).values
    parts = [shapley(t, rows[:10].astype(np.float32), rows[60:80].astype(np.float32)).values for t in model.estimators_]
    np.testing.assert_allclose(whole, np.mean(parts, axis=0), **EXACT)


def test_a_feature_without_a_split_gets_nothing_and_twins_share():
    rng = np.random.default_rng(0)
    rows = np.column_stack([rng.integers(0, 2, 400), rng.integers(0, 2, 400), rng.normal(size=400)]).astype(float)
    model = DecisionTreeRegressor(max_depth=2).fit(rows, rows[:, 0] * rows[:, 1])
    table = np.array([[a, b, 0.0] for a in (0, 1) for b in (0, 1)], dtype=float)
    values = shapley(model, table, table).values
    np.testing.assert_allclose(values[:, 2], 0, atol=1e-15)
    np.testing.assert_allclose(values[3], [0.375, 0.375, 0], **EXACT)


def test_estimands_differ_where_features_are_correlated():
    z = np.random.default_rng(0).normal(size=(800, 2))
    rows = np.column_stack([z[:, 0], 0.9 * z[:, 0] + 0.44 * z[:, 1]])
    model = RandomForestRegressor(20, max_features=1, random_state=0).fit(rows, rows[:, 0])
    gap = shapley(model, rows[:50], rows).values - shapley(model, rows[:50]).values
    assert np.abs(gap).max() > 0.1


@pytest.mark.parametrize("name", ["forest of three classes", "histogram, levels"])
@pytest.mark.parametrize("background", [False, True])
def test_any_number_of_threads_gives_the_same_numbers(name, background):
    model, rows = fitted(name)
    results = [shapley(model, rows, rows[60:80] if background else None, n_threads=n).values for n in (1, 2, 5)]
    assert all((results[0] == other).all() for other in results)


def test_a_row_explained_alone_gets_the_same_numbers(monkeypatch):
    model, rows = fitted("forest")
    together = shapley(model, rows[:30], rows[60:80]).values
    monkeypatch.setattr(trees, "ROWS_EACH", 7)
    assert (shapley(model, rows[:30], rows[60:80]).values == together).all()
    assert (shapley(model, rows[11:12], rows[60:80]).values[0] == together[11]).all()


def test_weights_of_training_rows_are_the_covers():
    model = DecisionTreeRegressor(max_depth=4).fit(X, Y, sample_weight=WEIGHTS)
    table = leaf_table(model)
    assert table.base_value == pytest.approx(np.average(Y, weights=WEIGHTS), abs=1e-12)
    assert shapley(model, X[:3]).base_value == pytest.approx(np.average(Y, weights=WEIGHTS), abs=1e-12)
    assert table.cover.sum() == WEIGHTS.sum()


def test_single_precision_is_the_models_own():
    """Forests round the table first: values that differ beyond single precision are one value to them."""
    rows = np.random.default_rng(0).normal(size=(300, 2)) * 1e-3 + 1e5
    model = RandomForestRegressor(10, random_state=0).fit(rows, rows[:, 0] - rows[:, 1])
    assert len(np.unique(rows[:, 0].astype(np.float32))) < 200
    assert np.abs(shapley(model, rows, rows[:40]).efficiency_gap()).max() < 1e-9


# missing values and categories -----------------------------------------------------------------------------------------


def levels_frame(n: int = 240) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    kind = rng.choice(["flat", "house", "loft", "cabin"], n).astype(object)
    kind[rng.random(n) < 0.1] = None
    return pd.DataFrame(
        {
            "size": rng.normal(100, 30, n).round(1),
            "kind": pd.Categorical(kind, categories=["cabin", "castle", "flat", "house", "loft"]),
            "rooms": rng.integers(1, 6, n),
        }
    )


@pytest.fixture(scope="module")
def with_levels() -> tuple[HistGradientBoostingRegressor, pd.DataFrame]:
    frame = levels_frame()
    target = frame["size"] * (frame["kind"] == "loft") + 20.0 * frame["rooms"] * frame["kind"].isin(["flat", "house"])
    model = HistGradientBoostingRegressor(categorical_features="from_dtype", max_iter=40, random_state=0)
    return model.fit(frame, target), frame


def brute_frame(predict: Any, x: pd.DataFrame, background: pd.DataFrame) -> np.ndarray:
    def v(s: frozenset[int]) -> Any:
        rows = background.copy()
        for j in s:
            rows.isetitem(j, pd.Series([x.iloc[0, j]] * len(rows), index=rows.index).astype(background.dtypes.iloc[j]))
        return predict(rows).mean()

    return shapley_of_game(v, x.shape[1])


def test_categories_missing_and_never_seen_ones(with_levels):
    model, frame = with_levels
    rows = frame[:12].copy()
    rows.loc[rows.index[0], "kind"] = "castle"  # a level without a training row: treated as missing
    rows.loc[rows.index[1], "kind"] = None
    rows.loc[rows.index[2], "size"] = np.nan
    result = shapley(model, rows, frame[50:80])
    np.testing.assert_allclose(
        result.values[:5], [brute_frame(model.predict, rows[i : i + 1], frame[50:80]) for i in range(5)], **EXACT
    )
    assert np.abs(shapley(model, frame).efficiency_gap()).max() < 1e-9
    assert np.abs(shapley(model, rows).efficiency_gap()).max() < 1e-9


def test_levels_have_their_names_in_the_table(with_levels):
    model, _ = with_levels
    table = leaf_table(model).to_frame()
    of_kind = table[table["feature"] == "kind"]
    assert set(of_kind["levels"].explode().dropna()) == {"cabin", "flat", "house", "loft"}
    assert of_kind["above"].isna().all()
    assert table.loc[table["feature"] == "size", "levels"].isna().all()


def test_unknown_codes_go_where_missing_ones_go():
    model, rows = fitted("histogram, levels")
    strange, missing = rows[:20].copy(), rows[:20].copy()
    strange[:, 0], missing[:, 0] = 99.0, np.nan
    ours = shapley(model, strange, rows[60:80])
    assert np.abs(ours.efficiency_gap()).max() < 1e-9
    np.testing.assert_allclose(ours.values, shapley(model, missing, rows[60:80]).values, **EXACT)


def test_missing_values_take_each_of_the_four_turns():
    """Missing left or right, at a left or a right edge: the tree is grown so that all occur."""
    y = np.where(np.isnan(GAPS[:, 0]), 3.0, 0.0) + np.where(np.isnan(GAPS[:, 1]), -3.0, 0.0) + Y
    model = DecisionTreeRegressor(random_state=0).fit(GAPS, y)
    nodes = leaf_table(model)._nodes
    turns = set(zip(nodes.is_left[1:].tolist(), nodes.missing[1:].tolist(), strict=True))
    assert len(turns) == 4
    assert np.abs(shapley(model, GAPS, GAPS[:30]).efficiency_gap()).max() < 1e-9


# columns and pipelines --------------------------------------------------------------------------------------------------


def test_columns_are_matched_by_name():
    frame = pd.DataFrame(X, columns=list("dbca"))
    model = RandomForestRegressor(5, random_state=0).fit(frame, Y)
    ours = shapley(model, frame[:10], frame[60:80])
    turned = shapley(model, frame[list("abcd")][:10], frame[60:80])
    pd.testing.assert_frame_equal(ours.to_frame(), turned.to_frame()[list("dbca")])
    array = shapley(model, X[:10], X[60:80])
    assert array.feature_names == list("dbca")
    assert (array.values == ours.values).all()
    pd_ours = partial_dependence(model, frame[list("abcd")], "b", grid=5)
    np.testing.assert_allclose(pd_ours.values, effects.partial_dependence(model.predict, frame, "b", grid=5).values, **EXACT)


def test_a_frame_suits_a_model_fitted_to_an_array():
    model, rows = fitted("forest")
    result = shapley(model, pd.DataFrame(rows[:5], columns=list("abcd")), rows[60:80])
    assert result.feature_names == list("abcd")
    np.testing.assert_array_equal(result.values, shapley(model, rows[:5], rows[60:80]).values)


@pytest.mark.parametrize("name", ["loans-boosting", "loans-forest", "houses-boosting"])
def test_pipelines_of_the_zoo_speak_of_the_worlds_columns(name):
    model, world = zoo.load(name), worlds.loans() if name.startswith("loans") else worlds.houses()
    rows = world.test[0]
    result = shapley(model, rows[:40], rows[100:130])
    assert result.feature_names == list(rows.columns)
    assert np.abs(result.efficiency_gap()).max() < 1e-9
    used = set(leaf_table(model).to_frame()["feature"])
    assert (result.to_frame().drop(columns=list(used)) == 0).all(axis=None)
    for feature in (rows.columns[0], rows.columns[-1]):
        ours = partial_dependence(model, rows[:100], feature, grid=6)
        slow = effects.partial_dependence(explained_output(model), rows[:100], feature, grid=6)
        assert list(ours.grid[0]) == list(slow.grid[0])
        np.testing.assert_allclose(ours.values, slow.values, **EXACT)


def ordinal(frame: pd.DataFrame) -> OrdinalEncoder:
    return OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1)


@pytest.mark.parametrize("categorical", [None, [0]], ids=["codes as numbers", "codes as levels"])
def test_a_pipeline_equals_brute_force_on_its_own_columns(categorical):
    frame = levels_frame().dropna().astype({"kind": object})
    columns = make_column_transformer((ordinal(frame), ["kind"]), ("drop", ["size"]), ("passthrough", ["rooms"]))
    model = make_pipeline(columns, HistGradientBoostingRegressor(categorical_features=categorical, max_iter=20))
    model.fit(frame, frame["rooms"] * (frame["kind"] == "loft"))
    result = shapley(model, frame[:5], frame[50:80])
    np.testing.assert_allclose(
        result.values, [brute_frame(model.predict, frame[i : i + 1], frame[50:80]) for i in range(5)], **EXACT
    )
    assert (result.to_frame()["size"] == 0).all()
    known = leaf_table(model).to_frame().query("feature == 'kind'")["levels"].explode()
    assert {"loft", "flat"} <= set(known) <= {"cabin", "flat", "house", "loft"}


def test_a_pipeline_of_an_estimator_alone():
    model, rows = fitted("forest")
    alone = make_pipeline(model)
    np.testing.assert_array_equal(shapley(alone, rows[:5], rows[60:80]).values, shapley(model, rows[:5], rows[60:80]).values)


@pytest.mark.parametrize(
    ("columns", "says"),
    [
        (make_column_transformer((OneHotEncoder(), ["kind"]), ("passthrough", ["rooms"])), "OneHotEncoder.*last step"),
        (make_column_transformer((StandardScaler(), ["rooms"])), "StandardScaler.*last step"),
        (make_column_transformer(("passthrough", ["rooms"]), ("passthrough", ["rooms", "size"])), "twice.*last step"),
    ],
    ids=["one hot", "scaled", "twice"],
)
def test_other_pipelines_are_refused(columns, says):
    frame = levels_frame().dropna()
    model = make_pipeline(columns, DecisionTreeRegressor()).fit(frame, frame["size"])
    with pytest.raises(ValueError, match=says):
        shapley(model, frame)


# partial dependence -----------------------------------------------------------------------------------------------------


@every_model
@pytest.mark.parametrize("features", [0, 2, (0, 1), (3, 1)], ids=str)
def test_partial_dependence_equals_brute_force(name, features):
    model, rows = fitted(name)
    several = explained_output(model)(rows[:1]).ndim == 2
    ours = partial_dependence(model, rows[40:100], features, grid=5, output=0 if several else None)
    expected = np.empty([len(g) for g in ours.grid])
    for place in np.ndindex(expected.shape):
        changed = rows[40:100].copy()
        for j, g, k in zip(np.atleast_1d(features), ours.grid, place, strict=True):
            changed[:, j] = g[k]
        expected[place] = np.reshape(explained_output(model)(changed), (60, -1))[:, 0].mean()
    np.testing.assert_allclose(ours.values, expected, **EXACT)


@pytest.mark.parametrize(
    ("name", "response"),
    [
        ("tree", "auto"),
        ("forest of two classes", "predict_proba"),
        ("boosting", "auto"),
        ("boosting, two classes", "decision_function"),
        ("histogram", "auto"),
        ("histogram, two classes", "decision_function"),
    ],
)
def test_partial_dependence_equals_scikit_learns_brute_method(name, response):
    model, rows = fitted(name)
    grid = np.array([-1.0, -0.25, 0.1, 0.5, 1.2])
    theirs = sklearn_pd(model, rows, [1], method="brute", response_method=response, custom_values={1: grid})
    np.testing.assert_allclose(partial_dependence(model, rows, 1, grid=grid).values, theirs["average"][0], **EXACT)


def test_partial_dependence_of_levels(with_levels):
    model, frame = with_levels
    frame = frame.assign(kind=frame["kind"].cat.remove_unused_categories())
    ours = partial_dependence(model, frame, "kind")
    assert set(ours.grid[0]) == {"cabin", "flat", "house", "loft"}
    for level, value in zip(ours.grid[0], ours.values, strict=True):
        changed = frame.assign(kind=pd.Categorical([level] * len(frame), categories=frame["kind"].cat.categories))
        assert value == pytest.approx(model.predict(changed).mean(), abs=1e-10)
    pair = partial_dependence(model, frame, ("kind", "size"), grid=(["loft", "flat"], np.array([80.0, 120.0])))
    assert pair.values.shape == (2, 2)


def test_partial_dependence_on_complete_levels_uses_the_grid_of_effects(with_levels):
    model, frame = with_levels
    whole = frame.dropna().assign(kind=lambda rows: rows["kind"].cat.remove_unused_categories())
    ours, slow = partial_dependence(model, whole, "kind"), effects.partial_dependence(model.predict, whole, "kind")
    assert ours.grid[0].tolist() == slow.grid[0].tolist()
    np.testing.assert_allclose(ours.values, slow.values, **EXACT)


def test_partial_dependence_does_not_depend_on_threads():
    model, rows = fitted("forest")
    assert (
        partial_dependence(model, rows, 0, n_threads=1).values == partial_dependence(model, rows, 0, n_threads=3).values
    ).all()


def test_partial_dependence_of_one_of_several_outputs():
    model, rows = fitted("forest of three classes")
    curves = [partial_dependence(model, rows, 0, grid=4, output=o).values for o in range(3)]
    np.testing.assert_allclose(np.sum(curves, axis=0), 1.0, **EXACT)
    with pytest.raises(ValueError, match="output must say which of 3 outputs, 0, 1, 2"):
        partial_dependence(model, rows, 0)
    with pytest.raises(ValueError, match=r"output must be a whole number in \[0, 2\], not 3"):
        partial_dependence(model, rows, 0, output=3)


# the table of leaves ----------------------------------------------------------------------------------------------------


@every_model
def test_the_leaves_a_row_passes_add_up_to_the_output(name):
    model, rows = fitted(name)
    table = leaf_table(model)
    frame, values = table.to_frame(), table.value
    for x in rows[:8]:
        seen = np.float32(x).astype(float) if not hasattr(model, "_predictors") else x
        value = pd.Series(dict(zip(table.feature_names, seen, strict=True)))[frame["feature"]].to_numpy()
        in_interval = (frame["above"] < value) & (value <= frame["up_to"])
        in_levels = [levels is not None and v in levels for v, levels in zip(value, frame["levels"], strict=True)]
        passed = np.where(np.isnan(value), frame["missing"], in_interval.to_numpy() | np.array(in_levels, dtype=bool))
        lost = frame["leaf"][~passed.astype(bool)].unique()
        total = table.constant + np.delete(values, lost, axis=0).sum(axis=0)
        np.testing.assert_allclose(np.squeeze(total), np.squeeze(explained_output(model)(x[None])), **EXACT)


def test_a_table_in_words():
    rows = np.array([[0.0, 5.0], [1.0, 5.0], [2.0, 5.0], [2.0, 9.0]])
    table = leaf_table(DecisionTreeRegressor(random_state=0).fit(rows, [0.0, 0.0, 6.0, 7.5]))
    assert (table.n_trees, table.n_leaves, table.scale) == (1, 3, "prediction")
    assert [table.rule(leaf) for leaf in range(3)] == [
        "x0 <= 1.5 -> 0 (2 rows)",
        "x0 > 1.5 and x1 <= 7 -> 6 (1 row)",
        "x0 > 1.5 and x1 > 7 -> 7.5 (1 row)",
    ]
    assert repr(table) == "LeafTable(1 tree; 3 leaves; 2 features; of the prediction)"
    assert table.to_frame()["share"].tolist() == [0.5, 0.5, 0.5, 0.5, 0.5]
    assert leaf_table(MODELS["a leaf alone"][0].fit(X, np.full(len(X), 3.0))).rule(0) == f"always -> 3 ({len(X)} rows)"


# scales and refusals ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "scale"),
    [
        ("tree", "prediction"),
        ("forest of two classes", "probability"),
        ("boosting, two classes", "log-odds"),
        ("boosting, exponential", "raw score"),
        ("boosting, three classes", "raw score"),
        ("histogram, two classes", "log-odds"),
        ("histogram, counts", "logarithm of the prediction"),
    ],
)
def test_the_scale_is_named(name, scale):
    model, rows = fitted(name)
    result = shapley(model, rows[:2])
    assert result.method.endswith(f"of the {scale}")
    assert partial_dependence(model, rows, 0, grid=2, output=0 if result.values.ndim == 3 else None).method.endswith(scale)
    probability = getattr(model, "predict_proba", lambda _: None)(rows[:2])
    if scale == "log-odds":
        np.testing.assert_allclose(result.prediction, np.log(probability[:, 1] / probability[:, 0]), atol=1e-10)
    if scale == "probability":
        np.testing.assert_allclose(result.prediction, probability[:, 1], atol=1e-12)


def test_outputs_are_named():
    model, rows = fitted("tree of three classes")
    assert shapley(model, rows[:1]).details["outputs"] == ["a", "b", "c"]
    model, rows = fitted("tree of two targets, classes")
    assert shapley(model, rows[:1]).details["outputs"] == [(0, 1), (1, 0), (1, 1), (1, 2)]


def test_a_start_that_depends_on_the_features_is_refused():
    model = GradientBoostingRegressor(init=LinearRegression(), n_estimators=3).fit(X, Y)
    with pytest.raises(ValueError, match=r"LinearRegression\(\), whose own dependence on the features"):
        shapley(model, X)
    constant = GradientBoostingRegressor(init=DummyRegressor(strategy="median"), n_estimators=3).fit(X, Y)
    assert np.abs(shapley(constant, X, X[:20]).efficiency_gap()).max() < 1e-9


class Doubled(RandomForestRegressor):
    """Predicts something else than its trees."""

    def predict(self, X: Any) -> np.ndarray:
        return 2 * super().predict(X)


def test_a_model_that_is_not_the_sum_of_its_trees_is_refused():
    with pytest.raises(RuntimeError, match="not the sum of its trees"):
        shapley(Doubled(3, random_state=0).fit(X, Y), X, X[:20])


def test_missing_values_are_refused_where_the_model_refuses_them():
    model, _ = fitted("boosting")
    with pytest.raises(ValueError, match="background has missing or infinite values"):
        shapley(model, X, GAPS)
    with pytest.raises(ValueError, match="X has missing or infinite values"):
        shapley(fitted("forest")[0], np.where(np.isnan(GAPS), np.inf, GAPS))


def test_arguments_are_left_as_they_are():
    frame, background = pd.DataFrame(GAPS[:10]), GAPS[60:80].copy()
    before = frame.copy()
    frame.columns = before.columns = list("abcd")
    background.flags.writeable = False
    shapley(fitted("forest")[0], frame, background)
    partial_dependence(fitted("forest")[0], background, 0, grid=3)
    pd.testing.assert_frame_equal(frame, before)
    np.testing.assert_array_equal(background, GAPS[60:80])


# compiled loops -----------------------------------------------------------------------------------------------------------


def test_every_loop_is_compiled_once():
    from xailib import _tree_kernels as kernels

    for name in ("tree", "forest of three classes", "boosting", "histogram, levels"):
        model, rows = fitted(name)
        frozen = rows[60:80].copy()
        frozen.flags.writeable = False
        shapley(model, np.asfortranarray(rows[:5]), frozen)
        shapley(model, frozen)
        partial_dependence(model, frozen, (0, 1), grid=3, output=0 if name.endswith("classes") else None)
    loops = (kernels.preorder, kernels.merge_paths, kernels.marginal, kernels.path_dependent, kernels.partial_dependence)
    assert [len(loop.signatures) for loop in loops] == [1] * len(loops)


def test_a_folder_that_can_not_be_written_costs_the_cache_only(monkeypatch):
    import numba

    from xailib import _tree_kernels as kernels

    njit, asked = numba.njit, []

    def without_a_folder(**options: Any) -> Any:
        asked.append(options)
        if options.get("cache"):
            raise RuntimeError("cannot cache function: no locator available")
        return njit(**options)

    monkeypatch.setattr(numba, "njit", without_a_folder)
    assert kernels.compiled(lambda a: a + 1)(1) == 2
    assert len(asked) == 2


def test_numba_waits_until_a_tree_is_explained():
    code = "import sys; from xailib import trees; assert 'numba' not in sys.modules and 'shap' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
