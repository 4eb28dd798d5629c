"""What :mod:`xailib.trees` asks of scikit-learn's tree models: their trees, how they see a table, and what they predict.

Every difference between the families ends here: single precision and missing values of grown trees, the shrunken values of
boosting, the double-precision thresholds and coded categories of histogram boosting, the encoders of a pipeline.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from sklearn import ensemble, tree
from sklearn.compose import ColumnTransformer
from sklearn.exceptions import NotFittedError
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import FunctionTransformer, OrdinalEncoder
from sklearn.utils import get_tags
from sklearn.utils.validation import check_is_fitted

from xailib import _validation as check
from xailib.models import Predict


@dataclass(frozen=True)
class Tree:
    """One tree as it was grown, nodes in any order, the root first; -1 where a leaf has no child."""

    left: np.ndarray
    right: np.ndarray
    feature: np.ndarray
    threshold: np.ndarray
    missing_left: np.ndarray
    level_set: np.ndarray  # row of ``levels``, -1 for a numeric test
    levels: np.ndarray  # (sets, 256), which codes go left
    value: np.ndarray  # (nodes, outputs of one tree)
    cover: np.ndarray  # weight of the training rows
    output: int = 0  # the output that the first value belongs to


@dataclass(frozen=True)
class Reader:
    """All that is asked of a model: its trees, how it sees a table, and what it predicts."""

    names: list[str] | None
    n_features: int
    scale: str
    outputs: list[Any] | None
    takes_missing: bool
    predict: Predict
    encode: Callable[[Any], np.ndarray]  # the columns as the trees compare them
    source: np.ndarray  # the model's own column behind each of them
    trees: Callable[[], Iterator[Tree]]
    constant: np.ndarray
    levels: dict[int, list[Any]]


def read(model: Any) -> Reader:
    """The reader of a fitted model or pipeline, or one sentence on why there is none."""
    steps, final = (model.steps[:-1], model.steps[-1][1]) if isinstance(model, Pipeline) else ([], model)
    read_family = next((family for kind, family in _FAMILIES.items() if isinstance(final, kind)), None)
    if read_family is None:
        raise TypeError(
            "model must be a scikit-learn tree, forest, gradient boosting or histogram gradient boosting, or a pipeline that "
            f"ends in one, not {check.shown(type(final).__name__)}: for other models see xailib.shapley."
        )
    try:
        check_is_fitted(model)
    except NotFittedError:
        raise ValueError("model is not fitted: call model.fit(X, y) first.") from None
    reader = read_family(final)
    steps = [step for _, step in steps if step is not None and step != "passthrough"]
    return _behind(steps, model, reader) if steps else reader


def _read_forest(model: Any) -> Reader:
    """Trees and forests: the mean of what their trees hold, probabilities or values."""
    members = getattr(model, "estimators_", [model])
    classes = getattr(model, "classes_", None)
    if classes is None:
        scale, targets, chosen = "prediction", np.arange(model.n_outputs_), np.zeros(model.n_outputs_, int)
        outputs = targets.tolist()
        predict: Predict = model.predict
    else:
        per_target = [classes] if model.n_outputs_ == 1 else classes
        pairs = [(t, c) for t, names in enumerate(per_target) for c in range(len(names)) if len(names) != 2 or c == 1]
        scale, (targets, chosen) = "probability", np.array(pairs).T
        outputs = [per_target[t][c] if model.n_outputs_ == 1 else (t, per_target[t][c]) for t, c in pairs]
        predict = lambda X: _chosen(model.predict_proba(X), pairs)  # noqa: E731

    def trees() -> Iterator[Tree]:
        for member in members:
            yield _grown_tree(member.tree_, member.tree_.value[:, targets, chosen] / len(members), source)

    source = np.arange(model.n_features_in_)
    return _reader_of(model, scale, outputs, predict, _as_float32, source, trees, np.zeros(len(outputs)))


def _chosen(probabilities: Any, pairs: list[tuple[int, int]]) -> np.ndarray:
    """The explained columns of ``predict_proba``, which is a list for several targets."""
    per_target = probabilities if isinstance(probabilities, list) else [probabilities]
    return np.column_stack([per_target[t][:, c] for t, c in pairs])


def _read_boosting(model: Any) -> Reader:
    """Gradient boosting: initial score plus learning rate times trees."""
    n_features, n_outputs = model.n_features_in_, model.estimators_.shape[1]
    if model.init_ != "zero" and getattr(model.init_, "strategy", "uniform") in ("uniform", "stratified"):
        raise ValueError(
            f"model starts from init={check.shown(model.init_)}, whose own dependence on the features is not in the trees: use "
            "the default init or 'zero'."
        )
    classes = getattr(model, "classes_", None)

    def trees() -> Iterator[Tree]:
        for row in model.estimators_:
            for output, member in enumerate(row):
                yield _grown_tree(member.tree_, model.learning_rate * member.tree_.value[:, :, 0], source, output)

    source = np.arange(n_features)
    scale = "prediction" if classes is None else "log-odds" if model.loss == "log_loss" and n_outputs == 1 else "raw score"
    outputs = [0] if n_outputs == 1 else list(classes)  # type: ignore[arg-type]
    predict = model.predict if classes is None else model.decision_function
    constant = model._raw_predict_init(np.zeros((1, n_features), np.float32))[0]
    return _reader_of(model, scale, outputs, predict, _as_float32, source, trees, constant)


def _grown_tree(grown: Any, value: np.ndarray, source: np.ndarray, output: int = 0) -> Tree:
    n = grown.node_count
    return Tree(
        grown.children_left,
        grown.children_right,
        np.where(grown.feature >= 0, source[np.maximum(grown.feature, 0)], -1),
        grown.threshold,
        np.asarray(grown.__getstate__()["nodes"]["missing_go_to_left"], dtype=bool),
        np.full(n, -1),
        np.zeros((0, 256), bool),
        value,
        grown.weighted_n_node_samples,
        output,
    )


def _as_float32(X: Any) -> np.ndarray:
    """Values as scikit-learn's trees see them: rounded to single precision, then compared with double-precision thresholds."""
    rounded = X.to_numpy(np.float32, na_value=np.nan) if isinstance(X, pd.DataFrame) else np.asarray(X, dtype=np.float32)
    return rounded.astype(float)


def _read_histogram_boosting(model: Any) -> Reader:
    """Histogram gradient boosting: thresholds are training values in double precision, categories are codes."""
    n_features, n_outputs = model.n_features_in_, model.n_trees_per_iteration_
    categorical = np.zeros(n_features, bool) if model.is_categorical_ is None else np.asarray(model.is_categorical_)
    levels: dict[int, list[Any]] = {}
    source = np.arange(n_features)
    if model._preprocessor is not None:  # moves the categorical columns to the front
        source = np.concatenate([np.flatnonzero(categorical), np.flatnonzero(~categorical)])
        encoder = model._preprocessor.named_transformers_["encoder"]
        columns = np.flatnonzero(categorical).tolist()
        levels = {j: _without_missing(names) for j, names in zip(columns, encoder.categories_, strict=True)}

    def trees() -> Iterator[Tree]:
        known, place = model._bin_mapper.make_known_categories_bitsets()
        for row in model._predictors:
            for output, member in enumerate(row):
                yield _histogram_tree(member, _bits(known), place, source, output)

    classes = getattr(model, "classes_", None)
    outputs = [0] if n_outputs == 1 else list(classes)  # type: ignore[arg-type]
    if classes is not None:
        scale, predict = ("log-odds" if n_outputs == 1 else "raw score"), model.decision_function
    elif model.loss in ("poisson", "gamma"):
        scale, predict = "logarithm of the prediction", lambda X: model._raw_predict(X)[:, 0]
    else:
        scale, predict = "prediction", model.predict
    encode = lambda X: np.asarray(model._preprocess_X(X, reset=False), dtype=float)  # noqa: E731
    return _reader_of(model, scale, outputs, predict, encode, source, trees, np.ravel(model._baseline_prediction), levels)


def _histogram_tree(member: Any, known: np.ndarray, place: np.ndarray, source: np.ndarray, output: int) -> Tree:
    nodes, sets = member.nodes, _bits(member.raw_left_cat_bitsets)
    is_leaf, missing_left = nodes["is_leaf"].astype(bool), nodes["missing_go_to_left"].astype(bool)
    splits_levels = nodes["is_categorical"].astype(bool) & ~is_leaf
    level_set = np.where(splits_levels, np.cumsum(splits_levels) - 1, -1)
    split = nodes[splits_levels]  # below: codes of levels without a training row go where missing values go
    levels = np.where(known[place[split["feature_idx"]]], sets[split["bitset_idx"]], missing_left[splits_levels][:, None])
    return Tree(
        np.where(is_leaf, -1, nodes["left"].astype(np.int64)),
        np.where(is_leaf, -1, nodes["right"].astype(np.int64)),
        np.where(is_leaf, -1, source[np.where(is_leaf, 0, nodes["feature_idx"])]),
        nodes["num_threshold"].copy(),
        missing_left,
        level_set,
        levels,
        nodes["value"][:, None].copy(),
        nodes["count"].astype(float),
        output,
    )


_FAMILIES: dict[tuple[type, ...], Callable[[Any], Reader]] = {
    # extremely randomised trees are subclasses of trees
    (tree.DecisionTreeRegressor, tree.DecisionTreeClassifier): _read_forest,
    (ensemble.RandomForestRegressor, ensemble.RandomForestClassifier): _read_forest,
    (ensemble.ExtraTreesRegressor, ensemble.ExtraTreesClassifier): _read_forest,
    (ensemble.GradientBoostingRegressor, ensemble.GradientBoostingClassifier): _read_boosting,
    (ensemble.HistGradientBoostingRegressor, ensemble.HistGradientBoostingClassifier): _read_histogram_boosting,
}


def _bits(sets: np.ndarray) -> np.ndarray:
    """Sets of codes, stored as eight words of 32 bits, as (sets, 256) booleans."""
    words = np.asarray(sets, dtype="<u4")
    return np.unpackbits(np.ascontiguousarray(words).view(np.uint8), axis=1, bitorder="little").astype(bool)


def _without_missing(categories: np.ndarray) -> list[Any]:
    return [level for level in categories if not pd.isna(level)]


def _reader_of(
    model: Any,
    scale: str,
    outputs: list[Any],
    predict: Predict,
    encode: Callable[[Any], np.ndarray],
    source: np.ndarray,
    trees: Callable[[], Iterator[Tree]],
    constant: np.ndarray,
    levels: dict[int, list[Any]] | None = None,
) -> Reader:
    names = getattr(model, "feature_names_in_", None)
    return Reader(
        None if names is None else [str(name) for name in names],
        model.n_features_in_,
        scale,
        outputs if len(outputs) > 1 else None,
        bool(get_tags(model).input_tags.allow_nan),
        predict,
        encode,
        source,
        trees,
        np.asarray(constant, dtype=float),
        levels or {},
    )


# pipelines ------------------------------------------------------------------------------------------------------------


def _behind(steps: list[Any], pipeline: Pipeline, final: Reader) -> Reader:
    """A reader of the model at the end of a pipeline, in terms of the columns that enter the pipeline."""
    names = getattr(pipeline, "feature_names_in_", None)
    source, levels = np.arange(pipeline.n_features_in_), dict[int, list[Any]]()
    for step in steps:
        taken, step_levels = _one_to_one(step)
        levels |= {int(source[taken[j]]): names_of_codes for j, names_of_codes in step_levels.items()}
        source = source[taken]
    if len(np.unique(source)) < len(source):
        raise ValueError(f"model's pipeline uses a column twice: {_LAST_STEP}")
    transform = pipeline[:-1].transform
    of_codes = {int(source[j]): codes for j, codes in final.levels.items()}
    for j, codes in of_codes.items():
        levels[j] = [levels[j][int(code)] for code in codes] if j in levels else codes
    return replace(
        final,
        names=None if names is None else [str(name) for name in names],
        n_features=pipeline.n_features_in_,
        predict=lambda X: final.predict(transform(X)),
        encode=lambda X: final.encode(transform(X)),
        source=source[final.source],
        trees=lambda: (replace(t, feature=np.where(t.feature >= 0, source[t.feature], -1)) for t in final.trees()),
        levels=levels,
    )


_LAST_STEP = "explain its last step on transformed columns, trees.shapley(model[-1], model[:-1].transform(X))."


def _one_to_one(step: Any) -> tuple[np.ndarray, dict[int, list[Any]]]:
    """For every output column the input column it encodes, and the names of ordinal codes; a refusal if columns are mixed."""
    if not isinstance(step, ColumnTransformer):
        return np.arange(step.n_features_in_), _codes(step)
    taken, levels = np.full(max(s.stop for s in step.output_indices_.values()), -1), dict[int, list[Any]]()
    for name, part, _ in step.transformers_:
        inputs, outputs = np.asarray(step._transformer_to_input_indices[name], dtype=int), step.output_indices_[name]
        if len(inputs) > 0 and part != "drop":
            levels |= {outputs.start + j: names for j, names in _codes(part).items()}
            taken[outputs] = inputs
    return taken, levels


def _codes(step: Any) -> dict[int, list[Any]]:
    """Names of the codes of an ordinal encoder; nothing for columns that pass as they are."""
    if isinstance(step, OrdinalEncoder):
        if step.max_categories is not None or step.min_frequency is not None:
            return {}  # rare levels share a code: no name is right
        return {j: _without_missing(names) for j, names in enumerate(step.categories_)}
    if step == "passthrough" or (isinstance(step, FunctionTransformer) and step.func is None):
        return {}
    raise ValueError(f"model's pipeline holds {check.shown(step)}, not only ordinal encoding: {_LAST_STEP}")
