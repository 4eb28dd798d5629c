r"""Exact Shapley values and partial dependence of tree models, from the leaves.

A tree is a sum over its leaves, and a leaf is a product: its value times one indicator per feature on its path,

.. math:: f(x) = c + \sum_{\ell} v_\ell \prod_{j \in D_\ell} 1[x_j \in R_{\ell j}].

Shapley values and partial dependence are linear in the model, so it is enough to know them for one leaf, where they are short
formulas. :func:`leaf_table` shows the leaves, :func:`shapley` and :func:`partial_dependence` add them up.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import joblib
import numpy as np
import pandas as pd
from scipy.special import comb, roots_legendre

from xailib import _validation as check
from xailib import effects
from xailib._progress import progress
from xailib._tree_models import Reader, Tree, read
from xailib.models import Predict
from xailib.results import Attribution, Effect

if TYPE_CHECKING:
    from xailib._tree_kernels import Leaves, Nodes

#: work is cut in pieces that do not depend on the number of threads, so that sums come out the same on any
TREE_PIECES, ROWS_EACH = 16, 512


def shapley(model: Any, X: Any, background: Any = None, *, n_threads: int | None = None) -> Attribution:
    r"""Exact Shapley values of a tree model: marginal with a background, path-dependent without.

    .. math:: \phi_j = \sum_{S \not\ni j} \frac{|S|!\,(p - |S| - 1)!}{p!} \left[v(S \cup j) - v(S)\right]

    With a background, :math:`v(S) = \frac{1}{m} \sum_i f(x_S, z_{i, -S})` (marginal, also called interventional). Without,
    :math:`v(S)` walks down each tree, follows :math:`x` at splits on :math:`S` and takes both ways at the others, weighted
    by the training rows that went there.

    Parameters
    ----------
    model : fitted tree, forest, extra-trees, gradient boosting or histogram gradient boosting of scikit-learn, or a pipeline of
        ordinal encoding and one of them
    X : array or DataFrame, shape (n, p), the rows to explain, as the model takes them; a missing value is welcome where the
        model takes it; columns of a DataFrame are matched by name
    background : array or DataFrame, shape (m, p), or None for path-dependent values
    n_threads : int or None for as many as there are cores; the numbers do not depend on it

    Returns
    -------
    Attribution
        ``values`` (n, p), or (n, k, p) for k outputs, in units of :func:`explained_output`.

    Raises
    ------
    TypeError, ValueError
        If the model is not one of these, or a table does not suit it; the message says what to do.

    Notes
    -----
    Marginal: Lundberg et al. (2020), algorithm 3, per leaf and over distinct patterns of passed conditions. Path-dependent:
    the game of Lundberg et al., algorithm 1, whose values per leaf are an integral that Gauss points give exactly. It is an
    estimand of its own, neither marginal nor conditional, and depends on how the trees were grown. Taught in chapter 5.

    Examples
    --------
    >>> from sklearn import tree
    >>> X, y = np.array([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]]), np.array([0.0, 0.0, 0.0, 1.0])
    >>> shapley(tree.DecisionTreeRegressor().fit(X, y), X[3:], X).values
    array([[0.375, 0.375]])
    """
    reader = read(model)
    data = _data(reader, X, "X")
    against = None if background is None else _data(reader, background, "background")
    n_threads = _threads(n_threads)
    table = _table(reader)
    rows = _columns(reader, data, "X")
    prediction = _explained(reader, data, "X")
    if against is None:
        values = _path_dependent(table, rows, n_threads)
        base, estimand = table.base_value, "path-dependent"
        name = "path-dependent (neither marginal nor conditional)"
    else:
        values = _marginal(table, rows, _columns(reader, against, "background"), n_threads)
        base, estimand = np.atleast_1d(_explained(reader, against, "background").mean(axis=0)), "marginal"
        name = f"marginal (background of {len(against):,} row{'s' if len(against) > 1 else ''})"
    if prediction.ndim == 1:
        values = values[:, 0]
    result = Attribution(
        values[..., _order(reader, X)],
        float(base[0]) if prediction.ndim == 1 else base,
        prediction,
        check.feature_names(X) if isinstance(X, pd.DataFrame) else table.feature_names,
        X,
        f"TreeSHAP, {name}, of the {reader.scale}",
        details={"estimand": estimand, "output": reader.scale, "outputs": reader.outputs, "n_leaves": table.n_leaves},
    )
    return _adding_up(result)


def partial_dependence(
    model: Any,
    background: Any,
    features: Any,
    *,
    grid: Any = 40,
    spacing: str = "quantile",
    output: int | None = None,
    n_threads: int | None = None,
) -> Effect:
    r"""Exact partial dependence of a tree model: what :func:`xailib.effects.partial_dependence` gives, without predictions.

    .. math:: \mathrm{PD}_S(z) = c + \sum_\ell v_\ell \prod_{j \in D_\ell \cap S} 1[z_j \in R_{\ell j}] \;
        \frac{1}{m}\sum_i \prod_{j \in D_\ell \setminus S} 1[x_{ij} \in R_{\ell j}]

    Every background row walks down each tree once, both ways at tests of :math:`S`; the leaves do the rest for the whole grid.

    Parameters
    ----------
    model, n_threads : as in :func:`shapley`
    background : array or DataFrame, shape (m, p), the rows to average over; missing values as the model takes them
    features : name or column number, or a pair of them
    grid, spacing : as in :func:`xailib.effects.partial_dependence`; missing values are no grid points
    output : int, which output of a model with several

    Returns
    -------
    Effect
        ``values`` (k,) or (k1, k2) in units of :func:`explained_output`.

    Raises
    ------
    TypeError, ValueError
        As :func:`shapley`; also for unusable features or grids.

    Notes
    -----
    Not scikit-learn's ``method="recursion"``, which weighs both ways by training rows, ignores the background and answers
    another question. Taught in chapter 5.

    Examples
    --------
    >>> from sklearn import tree
    >>> X, y = np.array([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]]), np.array([0.0, 0.0, 0.0, 1.0])
    >>> partial_dependence(tree.DecisionTreeRegressor().fit(X, y), X, 0, grid=[0.0, 1.0]).values
    array([0. , 0.5])
    """
    reader = read(model)
    data = _data(reader, background, "background")
    rows = _columns(reader, data, "background")
    columns = _features(background, features)
    points = _grids(background, columns, grid, spacing)
    index = _output(reader, output)
    n_threads = _threads(n_threads)
    order = _order(reader, background)
    own = [int(order[j]) for j in columns]
    encoded = [_encoded_grid(reader, data, j, g) for j, g in zip(own, points, strict=True)]
    table = _table(reader)
    values = table.constant[:, None, None] + _averages(table, rows, own, encoded, n_threads)
    shape = [len(g) for g in points]
    known = ~_missing_cells(background)[:, columns].any(axis=1)
    complete = background[known]
    return effects._effect(
        complete, columns, points, values[index].reshape(shape), f"PDP, exact from leaves, of the {reader.scale}"
    )


def leaf_table(model: Any) -> LeafTable:
    """The leaves of all trees of a model as one table: what passes, how many training rows did, and what is added.

    Parameters
    ----------
    model : as in :func:`shapley`

    Returns
    -------
    LeafTable

    Raises
    ------
    TypeError, ValueError
        As :func:`shapley`.

    Notes
    -----
    Conditions on the same feature are merged along the path: a leaf knows one interval, or one set of levels, per feature.
    Taught in chapter 5.

    Examples
    --------
    >>> from sklearn import tree
    >>> X, y = np.array([[0.0], [1.0], [2.0]]), np.array([0.0, 0.0, 6.0])
    >>> table = leaf_table(tree.DecisionTreeRegressor().fit(X, y))
    >>> table.rule(1)
    'x0 > 1.5 -> 6 (1 row)'
    """
    return _table(read(model))


def explained_output(model: Any) -> Predict:
    """The function that :func:`shapley` and :func:`partial_dependence` explain, from the model's own predictions.

    The probability of trees and forests (of the last of two classes, or of every class), the raw score (log-odds) of boosted
    classifiers, the prediction of regressors (its logarithm where the loss says so).

    Parameters
    ----------
    model : as in :func:`shapley`

    Returns
    -------
    function, (n, p) -> (n,) or (n, k)

    Raises
    ------
    TypeError, ValueError
        As :func:`shapley`.

    Notes
    -----
    Taught in chapter 5.

    Examples
    --------
    >>> from sklearn import tree
    >>> X = np.array([[0.0], [1.0], [2.0]])
    >>> explained_output(tree.DecisionTreeClassifier().fit(X, [0, 0, 1]))(X)
    array([0., 0., 1.])
    """
    reader = read(model)
    return lambda X: _explained(reader, _data(reader, X, "X"), "X")


@dataclass(frozen=True, eq=False)
class LeafTable:
    """The leaves of a model: its output is ``constant`` plus the values of the leaves a row falls into.

    Attributes
    ----------
    feature_names : p names
    tree : (L,) number of each leaf's tree
    value : (L, k) what each leaf adds to the k outputs
    cover : (L,) weight of its training rows
    constant : (k,) what is added to all leaves
    base_value : (k,) constant plus leaves, each weighted by the share of training rows that its path keeps
    scale : "probability", "log-odds", "raw score", "prediction" or "logarithm of the prediction"
    """

    feature_names: list[str]
    tree: np.ndarray
    value: np.ndarray
    cover: np.ndarray
    constant: np.ndarray
    scale: str
    _nodes: Nodes = field(repr=False)
    _leaves: Leaves = field(repr=False)
    _first_node: np.ndarray = field(repr=False)  # of each tree, and the end
    _first_leaf: np.ndarray = field(repr=False)
    _levels: dict[int, list[Any]] = field(repr=False)  # names of the codes of encoded columns

    @property
    def n_leaves(self) -> int:
        """Number of leaves of all trees."""
        return len(self.tree)

    @property
    def n_trees(self) -> int:
        """Number of trees; boosting grows one per class and iteration."""
        return len(self._first_leaf) - 1

    @property
    def base_value(self) -> np.ndarray:
        """Mean output along the training rows' ways, shape (k,)."""
        path = np.ones(self.n_leaves)
        np.multiply.at(path, np.repeat(np.arange(self.n_leaves), np.diff(self._leaves.start)), self._leaves.share)
        return self.constant + path @ self.value

    def to_frame(self) -> pd.DataFrame:
        """One row per leaf and feature on its path; a leaf is reached by the rows that pass all of its conditions.

        ``above`` < value <= ``up_to``, or one of ``levels``; ``missing``: a missing value passes; ``share``: how much of the
        training rows the feature's tests keep, multiplied along the path.
        """
        leaves = self._leaves
        leaf = np.repeat(np.arange(self.n_leaves), np.diff(leaves.start))
        frame = pd.DataFrame(
            {
                "tree": self.tree[leaf],
                "leaf": leaf,
                "feature": [self.feature_names[j] for j in leaves.feature],
                "above": np.where(leaves.level_set < 0, leaves.above, np.nan),
                "up_to": np.where(leaves.level_set < 0, leaves.up_to, np.nan),
                "levels": pd.Series(map(self._passing, range(len(leaf))) if self._levels else [None] * len(leaf), dtype=object),
                "missing": leaves.missing,
                "share": leaves.share,
                "cover": self.cover[leaf],
            }
        )
        values = self.value[leaf]
        names = ["value"] if values.shape[1] == 1 else [f"value_{o}" for o in range(values.shape[1])]
        return frame.assign(**{name: values[:, o] for o, name in enumerate(names)})

    def rule(self, leaf: int) -> str:
        """One leaf in words."""
        check.number(leaf, "leaf", low=0, high=self.n_leaves - 1, integer=True)
        conditions = range(self._leaves.start[leaf], self._leaves.start[leaf + 1])
        value = ", ".join(f"{v:.6g}" for v in self.value[leaf])
        rows = f"{self.cover[leaf]:g} row{'' if self.cover[leaf] == 1 else 's'}"
        return f"{' and '.join(map(self._condition, conditions)) or 'always'} -> {value} ({rows})"

    def _condition(self, c: int) -> str:
        """One condition in words."""
        name, above, up_to = self.feature_names[self._leaves.feature[c]], self._leaves.above[c], self._leaves.up_to[c]
        levels = self._passing(c)
        if levels is not None:
            text = f"{name} in {{{', '.join(map(str, levels))}}}"
        elif np.isinf(above) and np.isinf(up_to):
            text = f"{name} is anything" if self._leaves.missing[c] else f"{name} is known"
        else:
            text = f"{f'{above:.6g} < ' if np.isfinite(above) and np.isfinite(up_to) else ''}{name}"
            text += f" <= {up_to:.6g}" if np.isfinite(up_to) else f" > {above:.6g}"
        return text

    def _passing(self, c: int) -> tuple[Any, ...] | None:
        """Levels that pass a condition on an encoded column, None for numbers."""
        leaves, column = self._leaves, int(self._leaves.feature[c])
        names = self._levels.get(column)
        if leaves.level_set[c] >= 0:
            codes = np.flatnonzero(leaves.levels[leaves.level_set[c]])
            return tuple(names[code] for code in codes if code < len(names)) if names else tuple(codes.tolist())
        if names is None:
            return None
        return tuple(name for code, name in enumerate(names) if leaves.above[c] < code <= leaves.up_to[c])

    def __repr__(self) -> str:
        trees = f"{self.n_trees} tree{'s' if self.n_trees > 1 else ''}"
        return f"LeafTable({trees}; {self.n_leaves} leaves; {len(self.feature_names)} features; of the {self.scale})"


# tables ---------------------------------------------------------------------------------------------------------------


def _data(reader: Reader, X: Any, name: str) -> Any:
    """The rows as the model takes them, or one sentence about why it can not."""
    check.table(_filled(X) if reader.takes_missing else X, name)
    if isinstance(X, pd.DataFrame) and reader.names is not None:
        found = {str(c): c for c in X.columns}
        lacking, unknown = [c for c in reader.names if c not in found], [c for c in found if c not in reader.names]
        if lacking or unknown:
            what = f"{'lacks' if lacking else 'has columns the model does not know,'} {check.listed(lacking or unknown, 60)}"
            raise ValueError(f"{name} {what}: give the {len(reader.names)} columns the model was fitted to.")
        return X[[found[c] for c in reader.names]]
    if X.shape[1] != reader.n_features:
        raise ValueError(f"{name} must have the model's {reader.n_features} columns, but its shape is {X.shape}.")
    if reader.names is not None:
        return pd.DataFrame(X, columns=reader.names).infer_objects()
    return X.to_numpy() if isinstance(X, pd.DataFrame) else X


def _missing_cells(X: Any) -> np.ndarray:
    return np.asarray(pd.isna(X))


def _filled(X: Any) -> Any:
    """A copy whose missing values are replaced by the first known one of the column, to check all the others."""
    if not isinstance(X, pd.DataFrame | np.ndarray) or X.ndim != 2 or not _missing_cells(X).any():
        return X
    frame = pd.DataFrame(X).copy()
    for j in np.flatnonzero(_missing_cells(X).any(axis=0)):
        column = frame.iloc[:, j]
        known = column.dropna()
        frame.isetitem(j, column.fillna(known.iloc[0]) if len(known) else np.zeros(len(frame)))
    return frame


def _order(reader: Reader, X: Any) -> np.ndarray:
    """For every column of ``X`` the model's number of it."""
    if not isinstance(X, pd.DataFrame) or reader.names is None:
        return np.arange(reader.n_features)
    return np.array([reader.names.index(str(c)) for c in X.columns])


def _columns(reader: Reader, data: Any, name: str) -> np.ndarray:
    """The numbers that the trees compare, one row per column of the model; columns that no tree sees stay zero."""
    encoded = _asked(reader.encode, data, name)
    columns = np.zeros((reader.n_features, len(encoded)))
    columns[reader.source] = encoded.T
    return columns


def _explained(reader: Reader, data: Any, name: str) -> np.ndarray:
    """What the model itself predicts for the rows, (n,) or (n, k)."""
    prediction = np.asarray(_asked(reader.predict, data, name), dtype=float)
    return prediction.reshape(len(prediction), -1) if reader.outputs else prediction.ravel()


def _asked(function: Callable[[Any], np.ndarray], data: Any, name: str) -> np.ndarray:
    """What the model makes of a table, or one sentence on why it can not."""
    try:
        return function(data)
    except (TypeError, ValueError) as error:
        reason = " ".join(str(error).split()).partition(". ")[0].rstrip(".")
        raise ValueError(f"{name} does not suit the model: {reason[:150]}.") from None


def _table(reader: Reader) -> LeafTable:
    """All trees in one table of nodes, in preorder, and one of leaves."""
    from xailib import _tree_kernels as kernels

    grown = list(reader.trees())
    joined, first_node = _joined([_in_preorder(t) for t in grown])
    leaf_node = np.flatnonzero(joined["is_leaf"])
    leaf = np.full(len(joined["is_leaf"]), -1)
    leaf[leaf_node] = np.arange(len(leaf_node))
    nodes = kernels.Nodes(**{name: _plain(joined[name]) for name in kernels.Nodes._fields if name != "leaf"}, leaf=leaf)
    start = _starts(joined["n_slots"][leaf_node])
    merged = kernels.merge_paths(nodes, joined["parent"], joined["share"], leaf_node, start)
    feature, above, up_to, missing, level_set, share, levels = merged
    first_leaf = np.searchsorted(leaf_node, first_node)
    tree_of_leaf = np.repeat(np.arange(len(grown)), np.diff(first_leaf))
    value, output = _plain(joined["value"][leaf_node]), np.array([t.output for t in grown])[tree_of_leaf]
    return LeafTable(
        feature_names=reader.names or [f"x{j}" for j in range(reader.n_features)],
        tree=tree_of_leaf,
        value=_to_outputs(value, output, len(reader.constant)),
        cover=joined["cover"][leaf_node],
        constant=reader.constant,
        scale=reader.scale,
        _nodes=nodes,
        _leaves=kernels.Leaves(start, feature, above, up_to, missing, level_set, share, value, output, levels),
        _first_node=first_node,
        _first_leaf=first_leaf,
        _levels=reader.levels,
    )


def _joined(parts: list[dict[str, np.ndarray]]) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Tables of single trees one after the other, numbers of rows moved along, and the first row of each."""
    joined = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    first_node, first_set = (_starts([len(part[name]) for part in parts]) for name in ("depth", "levels"))
    tree = np.repeat(np.arange(len(parts)), np.diff(first_node))
    for name, starts in {"parent": first_node, "end": first_node, "level_set": first_set}.items():
        joined[name] = np.where(joined[name] >= 0, joined[name] + starts[tree], -1)
    return joined, first_node


def _to_outputs(value: np.ndarray, output: np.ndarray, n_outputs: int) -> np.ndarray:
    """Values of the leaves (L, k): a leaf of one class's tree adds nothing to the other classes."""
    full = np.zeros((len(value), n_outputs))
    for v in range(value.shape[1]):
        full[np.arange(len(value)), output + v] = value[:, v]
    return full


def _in_preorder(t: Tree) -> dict[str, np.ndarray]:
    """The nodes of one tree in preorder, each with the test on the edge that leads into it."""
    from xailib import _tree_kernels as kernels

    left, right, feature = (_plain(a, np.int64) for a in (t.left, t.right, t.feature))
    order, parent, depth, end, slot, n_slots = kernels.preorder(left, right, feature)
    above = order[np.maximum(parent, 0)]
    is_root, is_left = parent < 0, left[above] == order
    level_set = t.level_set[above]
    tests_levels = ~is_root & (level_set >= 0)
    share = np.divide(t.cover[order], t.cover[above], out=np.zeros(len(order)), where=t.cover[above] > 0)
    return {
        "parent": parent,
        "depth": depth,
        "end": end,
        "slot": slot,
        "n_slots": n_slots,
        "is_leaf": left[order] < 0,
        "feature": np.where(is_root, -1, feature[above]).astype(np.int32),
        "threshold": t.threshold[above],
        "is_left": is_left,
        "missing": t.missing_left[above] == is_left,
        "level_set": np.where(tests_levels, 2 * level_set + ~is_left, -1),
        "levels": np.stack([t.levels, ~t.levels], axis=1).reshape(-1, 256),
        "share": np.where(is_root, 1.0, share),
        "value": t.value[order],
        "cover": t.cover[order],
    }


def _starts(lengths: Any) -> np.ndarray:
    return np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)])


def _plain(a: np.ndarray, dtype: Any = None) -> np.ndarray:
    """Contiguous and writable, so that every kernel is compiled once."""
    return np.require(a, dtype or a.dtype, ["C", "W"])


# sums over leaves -----------------------------------------------------------------------------------------------------


def _marginal(table: LeafTable, rows: np.ndarray, background: np.ndarray, n_threads: int) -> np.ndarray:
    """Values (n, k, p) against a background, both given as columns."""
    from xailib import _tree_kernels as kernels

    d = table._leaves.start[1:] - table._leaves.start[:-1]
    a, b = np.ogrid[: d.max() + 1, : d.max() + 1]
    gain = np.divide(1.0, a * comb(a + b, a), out=np.zeros(np.broadcast_shapes(a.shape, b.shape)), where=a > 0)
    loss = np.ascontiguousarray(gain.T)

    def values(block: slice, trees: slice) -> np.ndarray:
        points = np.ascontiguousarray(np.hstack([rows[:, block], background]))
        rest = (points, points.shape[1] - background.shape[1], gain, loss, len(table.constant))
        if _widest(table, trees) > kernels.MAX_SLOTS:
            return kernels.marginal_plain(table._leaves, *_ends(table._first_leaf, trees), *rest)
        return kernels.marginal(table._nodes, table._leaves, *_ends(table._first_node, trees), *rest)

    return _added(values, table, rows.shape[1], n_threads) / background.shape[1]


def _path_dependent(table: LeafTable, rows: np.ndarray, n_threads: int) -> np.ndarray:
    """Values (n, k, p) that weigh ways by training rows; ``rows`` given as columns."""
    from xailib import _tree_kernels as kernels

    sizes = np.unique((table._leaves.start[1:] - table._leaves.start[:-1] + 1) // 2)
    points, weights = np.full((2, max(sizes.max(), 1), max(sizes.max(), 1)), 0.5)
    for size in sizes[sizes > 0]:
        t, w = roots_legendre(size)
        points[size - 1, :size], weights[size - 1, :size] = (t + 1) / 2, w / 2

    def values(block: slice, trees: slice) -> np.ndarray:
        rest = (np.ascontiguousarray(rows[:, block]), points, weights, len(table.constant))
        if _widest(table, trees) > kernels.MAX_SLOTS:
            return kernels.path_dependent_plain(table._leaves, *_ends(table._first_leaf, trees), *rest)
        return kernels.path_dependent(table._nodes, table._leaves, *_ends(table._first_node, trees), *rest)

    return _added(values, table, rows.shape[1], n_threads)


def _added(values: Callable[[slice, slice], np.ndarray], table: LeafTable, n: int, n_threads: int) -> np.ndarray:
    """Values of all pieces of work, added in their order, whatever the threads do."""
    blocks = [slice(start, min(start + ROWS_EACH, n)) for start in range(0, n, ROWS_EACH)]
    pieces = [(block, trees) for block in blocks for trees in _pieces(table)]
    total = np.zeros((n, len(table.constant), len(table.feature_names)))
    for (block, _), part in zip(pieces, _in_threads(values, pieces, n_threads), strict=True):
        total[block] += part.transpose(1, 0, 2)
    return total


def _averages(table: LeafTable, rows: np.ndarray, columns: list[int], grids: list[np.ndarray], n_threads: int) -> np.ndarray:
    """Mean sum of leaves (k, points, points) with one or two columns set; a missing second grid is one idle point."""
    from xailib import _tree_kernels as kernels

    (p, q), (grid_p, grid_q) = [*columns, -2][:2], [*grids, np.zeros(1)][:2]
    rows = _plain(rows)

    def values(trees: slice) -> np.ndarray:
        first, last = _ends(table._first_node, trees)
        tables = table._nodes, table._leaves
        return kernels.partial_dependence(*tables, first, last, rows, p, grid_p, q, grid_q, len(table.constant))

    return np.sum(list(_in_threads(values, [(trees,) for trees in _pieces(table)], n_threads)), axis=0)


def _pieces(table: LeafTable) -> list[slice]:
    edges = np.linspace(0, table.n_trees, min(table.n_trees, TREE_PIECES) + 1).astype(int)
    return [slice(int(a), int(b)) for a, b in pairwise(edges)]


def _ends(starts: np.ndarray, trees: slice) -> tuple[int, int]:
    return int(starts[trees.start]), int(starts[trees.stop])


def _widest(table: LeafTable, trees: slice) -> int:
    """Most distinct features on one path."""
    first, last = _ends(table._first_leaf, trees)
    return int(np.diff(table._leaves.start[first : last + 1]).max())


def _in_threads(function: Callable[..., np.ndarray], pieces: list[Any], n_threads: int) -> Iterator[np.ndarray]:
    """Results in the order of the pieces; the loops are compiled and free of the interpreter's lock."""
    n_threads = min(n_threads, len(pieces))
    parallel = joblib.Parallel(n_jobs=n_threads, require="sharedmem", return_as="generator")
    results = parallel(joblib.delayed(function)(*piece) for piece in pieces)
    return progress(results, len(pieces), "pieces of the forest")


# arguments ------------------------------------------------------------------------------------------------------------


def _threads(n_threads: int | None) -> int:
    if n_threads is None:
        return joblib.effective_n_jobs(-1)
    return int(check.number(n_threads, "n_threads", low=1, integer=True))


def _features(X: Any, features: Any) -> list[int]:
    """Positions of one or two different features that vary."""
    wanted = list(features) if isinstance(features, list | tuple) else [features]
    if not 1 <= len(wanted) <= 2:
        raise ValueError(f"features must be one feature or a pair, not {check.shown(features)}.")
    columns = [check.column(X, feature, "feature") for feature in wanted]
    if len(set(columns)) < len(columns):
        raise ValueError(f"features must be two different features, not {check.shown(features)}.")
    for j in columns:
        check.varying(X, j)
    return columns


def _grids(X: Any, columns: list[int], grid: Any, spacing: str) -> list[np.ndarray]:
    """Grid points as in :mod:`xailib.effects`, laid out over the rows without a missing value among the features."""
    missing = _missing_cells(X)
    if not missing.any():
        return effects._points(X, columns, grid, spacing, "grid")
    complete = pd.DataFrame(X).iloc[~missing[:, columns].any(axis=1), columns]
    return effects._points(complete.infer_objects(), list(range(len(columns))), grid, spacing, "grid")


def _encoded_grid(reader: Reader, data: Any, j: int, points: np.ndarray) -> np.ndarray:
    """The grid of column ``j`` as the trees see it."""
    rows = effects._replaced(data, np.zeros(len(points), int), [j], [points])
    return _columns(reader, rows, "grid")[j]


def _output(reader: Reader, output: int | None) -> int:
    if reader.outputs is None:
        if output is not None:
            raise ValueError(f"output is for models with several outputs: this one has a single {reader.scale}, leave it out.")
        return 0
    if output is None:
        raise ValueError(
            f"output must say which of {len(reader.outputs)} outputs, {check.listed(reader.outputs, 80)}: give a number from 0."
        )
    return int(check.number(output, "output", low=0, high=len(reader.outputs) - 1, integer=True))


def _adding_up(result: Attribution) -> Attribution:
    """The result, after checking on every row that nothing is lost: a subclass may predict otherwise than its trees."""
    gap = np.abs(result.efficiency_gap())
    if gap.max() > 1e-6 * (1 + np.abs(result.prediction).max()):
        raise RuntimeError(
            f"the model's predictions are not the sum of its trees (largest gap {gap.max():.3g}): it can not be explained."
        )
    return result
