"""How CHiQPM explains: each class's own features in order of strength, the classes that share the beginning, and the tree of it.

Two classes that begin with the same features, in the same order, look alike so far; the first feature in which they part says why
the network took one of them. Contrastive pages show such a feature on examples of both classes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from xailib import _validation as check
from xailib.chiqpm._inputs import activations, assignment, classes

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = [
    "ContrastivePage",
    "Tree",
    "common_prefixes",
    "contrastive_page",
    "level_sets",
    "ordered_features",
    "scaled_heat",
    "tree",
]

SCOPES = ("local", "global")

Prefix = tuple[int, ...]
"""Feature numbers from the strongest on: where a node is, seen from the root."""


# --- prefixes -------------------------------------------------------------------------------------------------------


def ordered_features(features: Any, W: Any) -> np.ndarray:
    r"""For every class its own features, the most active one first.

    .. math:: F^c = (F^c_1, \dots, F^c_{n_{wc}}), \qquad f^*_{F^c_1} \ge f^*_{F^c_2} \ge \dots

    Parameters
    ----------
    features : (n, n_f), normalised and rectified
    W : (n_classes, n_f) bool, the features of each class

    Returns
    -------
    array (n, n_classes, n_wc) of feature numbers

    Raises
    ------
    TypeError, ValueError
        If a feature is negative, or classes have different numbers of features.

    Notes
    -----
    Norrenbrock et al. (2025), eq. 7. Features of equal activation come in the order of their numbers, so that classes that share
    features which are 0 order them alike. Taught in chapter 16.

    Examples
    --------
    >>> ordered_features([[0.5, 2.0, 1.0]], [[True, True, False], [False, True, True]]).tolist()
    [[[1, 0], [1, 2]]]
    """
    own = assignment(W)
    f = activations(features, own.shape[1])
    members = np.nonzero(own)[1].reshape(len(own), -1)
    order = np.argsort(-f[:, members], axis=2, kind="stable")
    return np.take_along_axis(np.broadcast_to(members, order.shape), order, axis=2)


def common_prefixes(features: Any, W: Any, predicted: Any = None) -> np.ndarray:
    r"""With how many features every class begins like the predicted one.

    .. math:: k_c = \max\{n : \delta^c_n = 1\}, \qquad \delta^c_n = \prod_{j \le n} \mathbb 1[F^c_j = F^{\hat y}_j]

    Parameters
    ----------
    features : (n, n_f), normalised and rectified
    W : (n_classes, n_f) bool
    predicted : (n,) class numbers, default those with the largest sums of features (the first of equal ones)

    Returns
    -------
    array (n, n_classes) of whole numbers from 0 to n_wc; n_wc for the predicted class alone

    Raises
    ------
    TypeError, ValueError
        If the arrays do not fit together.

    Notes
    -----
    Norrenbrock et al. (2025), eq. 8. Taught in chapter 16.

    Examples
    --------
    >>> common_prefixes([[0.5, 2.0, 1.0]], [[True, True, False], [False, True, True]]).tolist()
    [[1, 2]]
    """
    order = ordered_features(features, W)
    chosen = predicted_classes(features, W) if predicted is None else classes(predicted, len(order), "predicted", order.shape[1])
    alike = order == order[np.arange(len(order)), chosen][:, None]
    return np.cumprod(alike, axis=2).sum(axis=2)


def predicted_classes(features: Any, W: Any) -> np.ndarray:
    """The class with the largest sum of features, the first of equal ones, (n,)."""
    return (np.asarray(features, dtype=float) @ np.asarray(W, dtype=float).T).argmax(axis=1)


def level_sets(features: Any, W: Any, predicted: Any = None) -> np.ndarray:
    """The hierarchical explanation as sets: which classes can not be told from the predicted one by its first features.

    Parameters
    ----------
    features : (n, n_f), normalised and rectified
    W : (n_classes, n_f) bool
    predicted : (n,) class numbers, default those with the largest sums of features

    Returns
    -------
    array (n, n_wc + 1, n_classes) bool
        Level 0 holds all classes, level l those that share the first l features in the same order, level n_wc the prediction.

    Raises
    ------
    TypeError, ValueError
        If the arrays do not fit together.

    Notes
    -----
    Norrenbrock et al. (2025), section on hierarchical explanations. Taught in chapter 16.

    Examples
    --------
    >>> level_sets([[0.5, 2.0, 1.0]], [[True, True, False], [False, True, True]]).astype(int).tolist()
    [[[1, 1], [1, 1], [0, 1]]]
    """
    shared = common_prefixes(features, W, predicted)
    levels = np.arange(assignment(W).sum(axis=1)[0] + 1)
    return shared[:, None, :] >= levels[:, None]


# --- the tree -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Tree:
    """The classes of one picture, arranged by the features they begin with.

    Attributes
    ----------
    nodes : prefixes that are nodes, the root () first; a node's last number is its feature
    members : node -> classes that end there, because no more of their features are active, or none is left
    activation : (n_f,) of the picture
    predicted : the predicted class
    path : the predicted class's prefix
    n_levels : number of features of a class
    """

    nodes: tuple[Prefix, ...]
    members: dict[Prefix, tuple[int, ...]]
    activation: np.ndarray
    predicted: int
    path: Prefix
    n_levels: int

    @property
    def edges(self) -> list[tuple[Prefix, Prefix]]:
        """Pairs (parent, child)."""
        return [(node[:-1], node) for node in self.nodes if node]

    def children(self, node: Prefix) -> list[Prefix]:
        """Nodes one feature further, the most active one first."""
        if node not in self.nodes:
            raise ValueError(
                f"node must be one of the tree's prefixes, such as {check.shown(self.nodes[-1])}, not {check.shown(node)}."
            )
        below = [child for parent, child in self.edges if parent == node]
        return sorted(below, key=lambda child: (-self.activation[child[-1]], child[-1]))

    @cached_property
    def rows(self) -> dict[Prefix, float]:
        """Height of every node in a drawing: leaves and lists of classes get a row each, a parent is amidst its children."""
        places: dict[Prefix, float] = {}
        self._place((), places, 0)
        return places

    @cached_property
    def member_rows(self) -> dict[Prefix, float]:
        """Height of every list of classes."""
        rows: dict[Prefix, float] = {}
        self._place((), {}, 0, rows)
        return rows

    def _place(self, node: Prefix, places: dict[Prefix, float], row: int, own: dict[Prefix, float] | None = None) -> int:
        """Place a node and all below it from this row on; the next free row comes back."""
        amid: list[float] = []
        if node in self.members:
            amid.append(row)
            if own is not None:
                own[node] = row
            row += 1
        for child in self.children(node):
            row = self._place(child, places, row, own)
            amid.append(places[child])
        places[node] = (amid[0] + amid[-1]) / 2
        return row

    def to_frame(self) -> pd.DataFrame:
        """One row per node: level, feature, activation, prefix, how many classes end there."""
        rows = [
            (
                len(node),
                node[-1] if node else -1,
                self.activation[node[-1]] if node else np.nan,
                node,
                len(self.members.get(node, ())),
            )
            for node in self.nodes
        ]
        return pd.DataFrame(rows, columns=["level", "feature", "activation", "prefix", "classes"])

    def plot(
        self,
        ax: Axes | None = None,
        *,
        class_names: Sequence[str] | None = None,
        feature_names: Sequence[str] | None = None,
        predicted_set: Any = None,
        n_names: int = 2,
    ) -> Axes:
        """Draw the tree from left to right, level by level; the prediction's path is thick, the predicted set is marked.

        Parameters
        ----------
        ax : matplotlib axes, default new ones
        class_names, feature_names : what to write, default numbers
        predicted_set : (n_classes,) bool, optional
        n_names : int, names written of classes that end in one node; the rest is counted
        """
        from xailib.chiqpm import _drawing

        return _drawing.draw_tree(self, ax, class_names, feature_names, predicted_set, n_names)

    def __repr__(self) -> str:
        n = sum(map(len, self.members.values()))
        path = f"the prediction {self.predicted} through features {list(self.path)}"
        return f"Tree({n} classes in {len(self.nodes) - 1} nodes; {path})"


def tree(features: Any, W: Any, *, scope: str = "local", predicted: int | None = None) -> Tree:
    """Arrange the classes of one picture by the features they begin with.

    Parameters
    ----------
    features : (n_f,) of one picture, normalised and rectified
    W : (n_classes, n_f) bool
    scope : {"local", "global"}
        ``"local"``: the classes that share their first feature with the predicted one. ``"global"``: all classes.
    predicted : int, default the class with the largest sum of features

    Returns
    -------
    Tree

    Raises
    ------
    TypeError, ValueError
        If the arrays do not fit together, or nothing is active.

    Notes
    -----
    Norrenbrock et al. (2025): only active features become nodes; a class hangs on its last active one, and classes that hang on
    the same one are drawn together. Taught in chapter 16.

    Examples
    --------
    >>> tree([0.5, 2.0, 1.0], [[True, True, False], [False, True, True]])
    Tree(2 classes in 3 nodes; the prediction 1 through features [1, 2])
    """
    f = activations(check.array(features, "features", ndim=1)[None], assignment(W).shape[1])
    check.one_of(scope, "scope", SCOPES)
    if not f.any():
        raise ValueError("features are all 0 for this picture, so there is no tree: no feature is active.")
    order = ordered_features(f, W)[0]
    if predicted is None:
        predicted = int(predicted_classes(f, W)[0])
    check.number(predicted, "predicted", low=0, high=len(order) - 1, integer=True)
    active = (f[0][order] > 0).sum(axis=1)
    paths = [tuple(int(j) for j in own[:n]) for own, n in zip(order, active, strict=True)]
    first = int(order[predicted, 0])
    shown = [c for c in range(len(order)) if scope == "global" or c == predicted or order[c, 0] == first]
    members: dict[Prefix, tuple[int, ...]] = {}
    for c in shown:
        members[paths[c]] = (*members.get(paths[c], ()), c)
    nodes = sorted({path[:n] for path in members for n in range(len(path) + 1)}, key=lambda node: (len(node), node))
    return Tree(tuple(nodes), members, f[0], predicted, paths[predicted], order.shape[1])


# --- contrastive pages ----------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class ContrastivePage:
    """Two classes side by side: examples of both, and where their common features and their own ones are seen.

    Attributes
    ----------
    classes : (first, second)
    shared, only_first, only_second : feature numbers
    shown : the features on the page
    examples : (2, k) row numbers of the pictures, of the first class and of the second
    images : (2, k, channels, height, width)
    heat : (2, k, len(shown), height, width), from 0 to 1
    activation : (2, k, len(shown))
    """

    classes: tuple[int, int]
    shared: tuple[int, ...]
    only_first: tuple[int, ...]
    only_second: tuple[int, ...]
    shown: tuple[int, ...]
    examples: np.ndarray
    images: np.ndarray
    heat: np.ndarray
    activation: np.ndarray

    def role(self, feature: int) -> str:
        """``"both"``, ``"first"`` or ``"second"``: whose feature it is."""
        check.one_of(feature, "feature", [*self.shared, *self.only_first, *self.only_second])
        return "both" if feature in self.shared else "first" if feature in self.only_first else "second"

    def plot(self, figure: Figure | None = None, *, class_names: Sequence[str] | None = None, gamma: float = 3.0) -> Figure:
        """Pictures in rows, features in columns.

        Parameters
        ----------
        figure : matplotlib figure or subfigure, default a new one
        class_names : of all classes, default numbers
        gamma : float, the heat is raised to this power for display, as in the released code
        """
        from xailib.chiqpm import _drawing

        return _drawing.draw_page(self, figure, class_names, gamma)

    def __repr__(self) -> str:
        first, second = self.classes
        return (
            f"ContrastivePage(classes {first} and {second} share features {list(self.shared)}; only {first}: "
            f"{list(self.only_first)}, only {second}: {list(self.only_second)})"
        )


def contrastive_page(
    images: Any,
    maps: Any,
    features: Any,
    W: Any,
    y: Any,
    pair: Sequence[int],
    *,
    active_mean: Any,
    n_examples: int = 2,
    n_shared: int = 1,
) -> ContrastivePage:
    """What two classes have in common and where they part, on examples of both.

    Parameters
    ----------
    images : (n, channels, height, width) to take examples from
    maps : (n, n_f, h, w) of them
    features : (n, n_f), normalised and rectified
    W : (n_classes, n_f) bool
    y : (n,) true classes
    pair : two class numbers
    active_mean : (n_f,) mean of each feature where it is active, as from ``metrics.active_means`` on training data
    n_examples : int, pictures of each class: those with the largest score for it, among those of the class
    n_shared : int, how many of the common features to show, the strongest on the examples; the classes' own are all shown

    Returns
    -------
    ContrastivePage

    Raises
    ------
    TypeError, ValueError
        If the arrays do not fit together, or a class has too few pictures.

    Notes
    -----
    The heat is that of :func:`scaled_heat`, so that a feature that is hardly active leaves its map dark. Taught in chapter 16.

    Examples
    --------
    >>> rng, W = np.random.default_rng(0), [[True, True, False], [False, True, True]]
    >>> images, maps = rng.random((4, 3, 8, 8)), rng.random((4, 3, 2, 2))
    >>> contrastive_page(images, maps, rng.random((4, 3)), W, [0, 0, 1, 1], (0, 1), active_mean=[1.0] * 3)
    ContrastivePage(classes 0 and 1 share features [1]; only 0: [0], only 1: [2])
    """
    own, x = assignment(W), check.images(images)
    f, labels = activations(features, own.shape[1]), classes(y, len(x), "y", len(own))
    stack = _maps(maps, len(x), own.shape[1])
    if len(f) != len(x):
        raise ValueError(f"features must have one row for each of the {len(x)} images, not {len(f)}.")
    first, second = _pair(pair, len(own))
    check.number(n_examples, "n_examples", low=1, integer=True)
    check.number(n_shared, "n_shared", low=0, integer=True)
    rows = np.stack([_best_examples(f, own, labels, c, n_examples) for c in (first, second)])
    both = np.flatnonzero(own[first] & own[second])
    strongest = both[np.argsort(-f[rows.ravel()][:, both].mean(axis=0), kind="stable")][:n_shared]
    parting = [np.flatnonzero(own[a] & ~own[b]) for a, b in ((first, second), (second, first))]
    shown = np.concatenate([np.sort(strongest), *parting])
    scale = check.array(active_mean, "active_mean", ndim=1, length=own.shape[1])
    heat = scaled_heat(stack[rows.ravel()][:, shown], f[rows.ravel()][:, shown], scale[shown], x.shape[2:])
    numbers = [tuple(map(int, part)) for part in (both, *parting, shown)]
    return ContrastivePage(
        classes=(first, second),
        shared=numbers[0],
        only_first=numbers[1],
        only_second=numbers[2],
        shown=numbers[3],
        examples=rows,
        images=x[rows],
        heat=heat.reshape(*rows.shape, *heat.shape[1:]),
        activation=f[rows][:, :, shown],
    )


def scaled_heat(maps: Any, features: Any, active_mean: Any, size: Sequence[int]) -> np.ndarray:
    r"""Maps as they are shown: from 0 to 1, at image size, and dark where the feature is hardly active.

    .. math:: H = \mathrm{up}\Big(\frac{M - \min M}{\max M - \min M}\Big) \cdot
        \min\Big(1, \frac{f^*}{\bar f^*_\mathrm{active}}\Big)

    Parameters
    ----------
    maps : (n, n_f, h, w)
    features : (n, n_f), normalised and rectified
    active_mean : (n_f,) mean of each feature where it is active, above 0
    size : (height, width) to up-sample to, bilinear with half-pixel centres

    Returns
    -------
    array (n, n_f, height, width) in [0, 1]; a map without any contrast is 0

    Raises
    ------
    TypeError, ValueError
        If the arrays do not fit together.

    Notes
    -----
    Norrenbrock et al. (2025), eqs. 24 and 25. For display they raise it to the power of 3. Taught in chapter 16.

    Examples
    --------
    >>> scaled_heat([[[[0.0, 4.0]]]], [[1.0]], [2.0], (1, 2)).round(4).tolist()
    [[[[0.0, 0.5]]]]
    """
    import torch
    import torch.nn.functional as F

    stack = check.array(maps, "maps", ndim=4)
    f = activations(features, stack.shape[1])
    if len(f) != len(stack):
        raise ValueError(f"features must have one row for each of the {len(stack)} rows of maps, not {len(f)}.")
    scale = check.array(active_mean, "active_mean", ndim=1, length=stack.shape[1])
    if scale.min() <= 0:
        raise ValueError("active_mean must be above 0: it is the mean of a feature where it is active.")
    height, width = _size(size)
    low, high = stack.min(axis=(2, 3), keepdims=True), stack.max(axis=(2, 3), keepdims=True)
    between = (stack - low) / np.where(high > low, high - low, 1.0)
    up = F.interpolate(torch.as_tensor(between), size=(height, width), mode="bilinear", align_corners=False).numpy()
    return up * np.minimum(1.0, f / scale)[:, :, None, None]


def _size(size: Any) -> tuple[int, int]:
    values = np.asarray(size)
    if values.shape != (2,) or values.dtype.kind not in "iu" or values.min() < 1:
        raise ValueError(f"size must be (height, width) in pixels, not {check.shown(size)}.")
    return int(values[0]), int(values[1])


def _maps(maps: Any, n: int, n_features: int) -> np.ndarray:
    stack = check.array(maps, "maps", ndim=4)
    if stack.shape[:2] != (n, n_features):
        raise ValueError(f"maps must be {n_features} for each of the {n} images, one per column of W, not {stack.shape[:2]}.")
    return stack


def _pair(pair: Any, n_classes: int) -> tuple[int, int]:
    values = np.asarray(pair) if np.iterable(pair) and not isinstance(pair, str) else np.array(0)
    if (
        values.shape != (2,)
        or values.dtype.kind not in "iu"
        or values[0] == values[1]
        or not 0 <= values.min() <= values.max() < n_classes
    ):
        raise ValueError(f"pair must be two different class numbers from 0 to {n_classes - 1}, not {check.shown(pair)}.")
    return int(values[0]), int(values[1])


def _best_examples(f: np.ndarray, W: np.ndarray, y: np.ndarray, c: int, k: int) -> np.ndarray:
    """Rows of the class with its largest scores."""
    rows = np.flatnonzero(y == c)
    if len(rows) < k:
        raise ValueError(f"y has only {len(rows)} pictures of class {c}: give more, or a smaller n_examples than {k}.")
    return rows[np.argsort(-(f[rows] @ W[c]), kind="stable")][:k]
