"""What is claimed about the features of CHiQPM, in numbers, and which part of a bird each of them is.

The numbers of the paper beside the controls that they need: a feature that knows no class at all, but went through a rectifier,
has nearly the largest Contrastiveness there is.
"""

from __future__ import annotations

from collections.abc import Sequence
from statistics import NormalDist
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from xailib import _validation as check
from xailib.chiqpm._inputs import activations, assignment, classes, similarity_matrix

__all__ = [
    "accuracy_ratio",
    "active_means",
    "attribute_similarity",
    "class_independence",
    "contrastiveness",
    "correlation",
    "diversity",
    "feature_health",
    "part_falls",
    "part_overlap",
    "pivot_parts",
    "rectified_control",
    "set_coherence",
    "shared_pairs",
    "structural_grounding",
]

LEAST = 1e-8
TOP = 5
GROUNDED_PAIRS = 25


def accuracy_ratio(predicted: Any, predicted_by_dense: Any, y: Any) -> float:
    """Accuracy as a share of the dense network's, on the same pictures.

    Parameters
    ----------
    predicted, predicted_by_dense : (n,) classes
    y : (n,) true classes

    Returns
    -------
    float

    Raises
    ------
    ValueError
        If the arrays do not fit together, or the dense network is never right.

    Notes
    -----
    Taught in chapter 16.

    Examples
    --------
    >>> accuracy_ratio([0, 1, 1, 1], [0, 1, 0, 0], [0, 1, 0, 0])
    0.5
    """
    truth = classes(y, len(np.atleast_1d(y)))
    ours, theirs = (
        classes(p, len(truth), name) for p, name in ((predicted, "predicted"), (predicted_by_dense, "predicted_by_dense"))
    )
    if not (theirs == truth).any():
        raise ValueError("predicted_by_dense is never right, so there is no ratio.")
    return float((ours == truth).mean() / (theirs == truth).mean())


# --- features -------------------------------------------------------------------------------------------------------


def diversity(maps: Any, weights: Any, predicted: Any, *, k: int = TOP) -> float:
    r"""Scale-Invariant Diversity, SID@k: do the features behind a prediction look at different places?

    .. math:: \frac1n \sum_i \frac1k \sum_p \max_{j \in \mathrm{top}_k(\hat y_i)} S_{ij}^p, \qquad
        S_{ij} = \mathrm{softmax}_p\Big(\frac{M_{ij}}{\overline{|M_{ij}|}}\Big)

    Parameters
    ----------
    maps : (n, n_f, h, w)
    weights : (n_classes, n_f) of the last layer, zeros and ones or any numbers; the k largest of the predicted class count
    predicted : (n,) classes
    k : int

    Returns
    -------
    float in [1/k, 1]; 1/k where all k look at the same place

    Raises
    ------
    TypeError, ValueError
        If the arrays do not fit together, or a predicted class has fewer than k features.

    Notes
    -----
    SID@5 of Norrenbrock et al. (2025). The released code leaves out the last incomplete batch; this does not. Maps are divided by
    their mean before the softmax, so that scale does not matter. Taught in chapter 16.

    Examples
    --------
    >>> maps = np.zeros((1, 2, 1, 100))
    >>> maps[0, 0, 0, 0] = maps[0, 1, 0, 99] = 1.0
    >>> round(diversity(maps, [[1, 1]], [0], k=2), 4), round(diversity(maps[:, [0, 0]], [[1, 1]], [0], k=2), 4)
    (1.0, 0.5)
    """
    stack, w = check.array(maps, "maps", ndim=4), check.array(weights, "weights", ndim=2)
    if w.shape[1] != stack.shape[1]:
        raise ValueError(f"weights must have one column for each of the {stack.shape[1]} maps, not {w.shape[1]}.")
    chosen = classes(predicted, len(stack), "predicted", len(w))
    check.number(k, "k", low=1, high=stack.shape[1], integer=True)
    if (np.count_nonzero(w[chosen], axis=1) < k).any():
        raise ValueError(
            f"k is {k}, but a predicted class has fewer features: take at most {np.count_nonzero(w[chosen], axis=1).min()}."
        )
    top = np.argsort(-w, axis=1, kind="stable")[:, :k]
    per_image = [_softmax(_scaled(image[top[c]])).max(axis=0).sum() / k for image, c in zip(stack, chosen, strict=True)]
    return float(np.mean(per_image))


def _scaled(maps: np.ndarray) -> np.ndarray:
    """(k, places), each divided by its mean size."""
    flat = maps.reshape(len(maps), -1)
    return flat / np.maximum(np.abs(flat).mean(axis=1, keepdims=True), 1e-5)


def _softmax(values: np.ndarray) -> np.ndarray:
    e = np.exp(values - values.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


def class_independence(features: Any, y: Any) -> float:
    r"""Class-Independence: features are shared, none belongs to one class alone.

    .. math:: 1 - \frac{1}{n_f} \sum_j \max_c \frac{\sum_{i: y_i = c} (f_{ij} - \min_i f_{ij})}{\sum_i (f_{ij} - \min_i f_{ij})}

    Parameters
    ----------
    features : (n, n_f) on training data
    y : (n,) true classes

    Returns
    -------
    float in [0, 1): 0 if every feature is on for one class alone; 1 - 1/n_classes if all are on for all classes alike

    Raises
    ------
    TypeError, ValueError
        If the arrays do not fit together.

    Notes
    -----
    Norrenbrock et al. (2025). A feature that never varies counts as independent. Taught in chapter 16.

    Examples
    --------
    >>> class_independence([[1.0, 1.0], [0.0, 1.0], [0.0, 0.0]], [0, 1, 2])
    0.25
    """
    f = check.array(features, "features", ndim=2)
    truth = classes(y, len(f))
    above = f - f.min(axis=0)
    sums = np.stack([above[truth == c].sum(axis=0) for c in np.unique(truth)])
    return float(1 - (sums.max(axis=0) / np.maximum(above.sum(axis=0), LEAST)).mean())


def contrastiveness(features: Any, *, random_state: Any = 0) -> float:
    r"""Contrastiveness: is each feature clearly on or clearly off?

    .. math:: 1 - \frac{1}{n_f} \sum_j \mathrm{OVL}\big(\mathcal N(\mu_{j1}, \sigma_{j1}^2),
        \mathcal N(\mu_{j2}, \sigma_{j2}^2)\big)

    The two normals are the components of a Gaussian mixture fitted to feature j, and OVL is the area under the smaller density.

    Parameters
    ----------
    features : (n, n_f) on training data
    random_state : int, Generator or None, for the start of the mixtures

    Returns
    -------
    float in [0, 1]; a constant feature counts as 0

    Raises
    ------
    TypeError, ValueError
        If there are fewer than two rows.

    Notes
    -----
    Norrenbrock et al. (2025). Set beside it :func:`rectified_control`: a rectifier alone makes a feature "contrastive", because
    its zeros become a component of no width. Taught in chapter 16.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> noise = rng.normal(size=(500, 2))
    >>> contrastiveness(noise) < 0.7, contrastiveness(np.maximum(noise, 0)) > 0.98
    (True, True)
    """
    f = _two_rows(features)
    rng = check.random_generator(random_state)
    return float(1 - np.mean([_overlap(*_components(column, rng)) for column in f.T]))


def active_means(features: Any, *, random_state: Any = 0) -> np.ndarray:
    """Mean of each feature where it is active: of the upper component of a mixture of two normals.

    Parameters
    ----------
    features : (n, n_f) on training data, normalised and rectified
    random_state : int, Generator or None, for the start of the mixtures

    Returns
    -------
    array (n_f,); the mean, and at least a tiny number, for a feature that never varies

    Raises
    ------
    TypeError, ValueError
        If there are fewer than two rows.

    Notes
    -----
    Norrenbrock et al. (2025), eq. 25: the scale of heat maps. Taught in chapter 16.

    Examples
    --------
    >>> active_means([[0.0], [0.1], [2.0], [2.2]]).round(2).tolist()
    [2.1]
    """
    f = activations(_two_rows(features))
    rng = check.random_generator(random_state)
    return np.maximum([_components(column, rng)[1].mean for column in f.T], LEAST)


def _components(values: np.ndarray, rng: np.random.Generator) -> tuple[NormalDist, NormalDist]:
    """Both components of a mixture of two normals, the lower mean first; twice the same one if nothing varies."""
    from sklearn.mixture import GaussianMixture

    if len(np.unique(values)) < 2:
        return (NormalDist(float(values[0]), 1.0),) * 2
    scale = values.std() or 1.0  # the mixture's smallest variance then means the same for every feature
    mixture = GaussianMixture(2, random_state=int(rng.integers(2**31))).fit(values[:, None] / scale)
    moments = sorted(zip(mixture.means_.ravel() * scale, np.sqrt(mixture.covariances_.ravel()) * scale, strict=True))
    return NormalDist(*map(float, moments[0])), NormalDist(*map(float, moments[1]))


def _overlap(one: NormalDist, other: NormalDist) -> float:
    return one.overlap(other)


def _two_rows(features: Any) -> np.ndarray:
    f = check.array(features, "features", ndim=2)
    if len(f) < 2:
        raise ValueError("features must have at least two rows: two components can not be told apart in one.")
    return f


def rectified_control(features: Any, *, random_state: Any = 0) -> np.ndarray:
    r"""Features that know nothing: rectified normal noise, each with as many zeros as the feature it stands for.

    .. math:: \max(0, \epsilon_{ij} + \Phi^{-1}(q_j)), \qquad \epsilon_{ij} \sim \mathcal N(0, 1), \quad
        q_j = \text{share of } f_{ij} > 0

    Parameters
    ----------
    features : (n, n_f), normalised and rectified
    random_state : int, Generator or None

    Returns
    -------
    array (n, n_f); a feature that is never on, or always, is treated as if one row differed

    Raises
    ------
    TypeError, ValueError
        If a feature is negative.

    Notes
    -----
    The control row beside :func:`contrastiveness` and :func:`correlation`. Taught in chapter 16.

    Examples
    --------
    >>> control = rectified_control(np.eye(4).repeat(500, axis=0))
    >>> abs((control > 0).mean() - 0.25) < 0.02
    np.True_
    """
    f = activations(features)
    rng = check.random_generator(random_state)
    share = np.clip((f > 0).mean(axis=0), 1 / len(f) / 2, 1 - 1 / len(f) / 2)
    return np.maximum(rng.normal(size=f.shape) + stats.norm.ppf(share), 0)


def correlation(features: Any) -> float:
    r"""How much each feature repeats another: the mean of the largest cosines.

    .. math:: \frac{1}{n_f} \sum_j \max_{j' \ne j} \frac{f_j \cdot f_{j'}}{\|f_j\| \|f_{j'}\|}

    Parameters
    ----------
    features : (n, n_f) on training data, at least two features

    Returns
    -------
    float; a feature that is always 0 repeats nothing

    Raises
    ------
    TypeError, ValueError
        If there are fewer than two features.

    Notes
    -----
    Norrenbrock et al. (2025); cosines, means are not subtracted. Taught in chapter 16.

    Examples
    --------
    >>> correlation([[1.0, 2.0, 0.0], [0.0, 0.0, 1.0]]).__round__(4)
    0.6667
    """
    return float(_largest_cosines(features).mean())


def _largest_cosines(features: Any) -> np.ndarray:
    f = check.array(features, "features", ndim=2)
    if f.shape[1] < 2:
        raise ValueError("features must have at least two columns: a single feature has none to repeat.")
    unit = f / np.maximum(np.linalg.norm(f, axis=0), LEAST)
    cosines = unit.T @ unit
    np.fill_diagonal(cosines, -np.inf)
    return cosines.max(axis=1)


def feature_health(features: Any) -> pd.DataFrame:
    """Per feature: how often it is on, how strong it is then, and how much it repeats another; collapse shows here.

    Parameters
    ----------
    features : (n, n_f), normalised and rectified

    Returns
    -------
    DataFrame
        ``active`` (share of rows above 0), ``mean_active``, ``largest_cosine``, and ``dead``: never on.

    Raises
    ------
    TypeError, ValueError
        If a feature is negative or there is only one.

    Notes
    -----
    Taught in chapter 16.

    Examples
    --------
    >>> feature_health([[1.0, 0.0, 2.0], [3.0, 0.0, 6.0]])["dead"].tolist()
    [False, True, False]
    """
    f = activations(features)
    on = f > 0
    means = f.sum(axis=0) / np.maximum(on.sum(axis=0), 1)
    table = {"active": on.mean(axis=0), "mean_active": means, "largest_cosine": _largest_cosines(f), "dead": ~on.any(axis=0)}
    return pd.DataFrame(table, index=pd.RangeIndex(f.shape[1], name="feature"))


# --- classes --------------------------------------------------------------------------------------------------------


def attribute_similarity(attributes: Any) -> np.ndarray:
    r"""How alike two classes are in truth: the cosine of their attributes, 0 on the diagonal.

    .. math:: T_{cc'} = \frac{a_c \cdot a_{c'}}{\|a_c\| \|a_{c'}\|}

    Parameters
    ----------
    attributes : (n_classes, n_attributes), True where it applies, or numbers

    Returns
    -------
    array (n_classes, n_classes)

    Raises
    ------
    TypeError, ValueError
        If a class has no attribute.

    Notes
    -----
    Norrenbrock et al. (2025) take the attributes of CUB. Taught in chapter 16.

    Examples
    --------
    >>> attribute_similarity([[1, 1, 0], [0, 1, 0]]).round(4).tolist()
    [[0.0, 0.7071], [0.7071, 0.0]]
    """
    a = check.array(attributes, "attributes", ndim=2)
    norms = np.linalg.norm(a, axis=1)
    if not norms.all():
        raise ValueError(f"attributes of class {int(norms.argmin())} are all 0, so it resembles nothing: give it one.")
    T = (a / norms[:, None]) @ (a / norms[:, None]).T
    np.fill_diagonal(T, 0)
    return T


def structural_grounding(W: Any, similarity: Any, *, n_pairs: int = GROUNDED_PAIRS) -> float:
    r"""Structural Grounding: do classes that are alike in truth share features?

    .. math:: \frac{\sum_{(c, c') \in \mathrm{top}} \cos(W_c, W_{c'})}{\sum_{(c, c') \in \mathrm{top}} T_{cc'}}

    Parameters
    ----------
    W : (n_classes, n_f) bool
    similarity : (n_classes, n_classes), T, true similarity; the diagonal is not used
    n_pairs : int, how many of the most similar pairs count

    Returns
    -------
    float; 1 if such pairs share features exactly as much as they share attributes

    Raises
    ------
    TypeError, ValueError
        If the matrices do not fit together, or the most similar pairs have no similarity.

    Notes
    -----
    Norrenbrock et al. (2025). The released code takes the 50 largest entries of the symmetric matrix, which are 25 pairs. Where
    pairs of equal similarity straddle the edge, they count with the share of them that fits, instead of by their numbers. Taught
    in chapter 16.

    Examples
    --------
    >>> T = np.array([[0, 0.8, 0.1], [0.8, 0, 0.1], [0.1, 0.1, 0]])
    >>> structural_grounding([[1, 1, 0], [1, 0, 1], [0, 1, 1]], T, n_pairs=1).__round__(4)
    0.625
    """
    own = assignment(W).astype(float)
    T = similarity_matrix(similarity, len(own))
    rows, columns = np.triu_indices(len(own), 1)
    check.number(n_pairs, "n_pairs", low=1, high=len(rows), integer=True)
    weight = _top_weights(T[rows, columns], n_pairs)
    cosines = (own @ own.T)[rows, columns] / own[0].sum()
    total = weight @ T[rows, columns]
    if total <= 0:
        raise ValueError(
            f"similarity of the {n_pairs} most similar pairs adds up to {total:g}, so there is nothing to compare with."
        )
    return float(weight @ cosines / total)


def _top_weights(values: np.ndarray, k: int) -> np.ndarray:
    """1 for what is above the k-th largest, and an equal share of the rest for what ties with it."""
    edge = np.sort(values)[-k]
    above, tied = values > edge + LEAST, np.abs(values - edge) <= LEAST
    return above + tied * (k - above.sum()) / tied.sum()


def shared_pairs(W: Any) -> pd.DataFrame:
    """How many features each pair of classes shares.

    Parameters
    ----------
    W : (n_classes, n_f) bool

    Returns
    -------
    DataFrame
        One row per pair: ``first``, ``second``, ``shared``, and ``contrastive``: all but one feature shared.

    Raises
    ------
    TypeError, ValueError
        If W is no assignment.

    Notes
    -----
    Taught in chapter 16.

    Examples
    --------
    >>> shared_pairs([[1, 1, 0], [1, 0, 1]]).to_dict("records")
    [{'first': 0, 'second': 1, 'shared': 1, 'contrastive': True}]
    """
    own = assignment(W)
    rows, columns = np.triu_indices(len(own), 1)
    shared = (own.astype(int) @ own.T)[rows, columns]
    table = {"first": rows, "second": columns, "shared": shared, "contrastive": shared == own[0].sum() - 1}
    return pd.DataFrame(table)


def set_coherence(sets: Any, similarity: Any) -> float:
    """Set Coherence: how alike in truth are the classes that appear together in a prediction set?

    Parameters
    ----------
    sets : (n, n_classes) bool
    similarity : (n_classes, n_classes), true similarity; the diagonal is not used

    Returns
    -------
    float
        Mean similarity over all pairs in all sets of two and more classes, or NaN where there is no such set. Pairs are pooled,
        so that large sets dominate.

    Raises
    ------
    TypeError, ValueError
        If the arrays do not fit together.

    Notes
    -----
    Norrenbrock et al. (2025). Taught in chapter 16.

    Examples
    --------
    >>> set_coherence([[True, True, False], [True, False, False]], [[0, 0.8, 0.1], [0.8, 0, 0.1], [0.1, 0.1, 0]])
    0.8
    """
    chosen = np.asarray(sets)
    if chosen.dtype != bool or chosen.ndim != 2 or chosen.size == 0:
        raise TypeError(
            f"sets must be a table of True and False, one row per picture, one column per class, not {check.shown(sets)}."
        )
    T = similarity_matrix(similarity, chosen.shape[1]).copy()
    np.fill_diagonal(T, 0)
    together = chosen.astype(float).T @ chosen
    np.fill_diagonal(together, 0)
    return float((together * T).sum() / together.sum()) if together.any() else float("nan")


# --- which feature is which part ------------------------------------------------------------------------------------


def part_overlap(maps: Any, features: Any, masks: Any, part_names: Any) -> pd.DataFrame:
    r"""Where a feature is seen: the share of its map that lies on each part, over the pictures in which it is active.

    .. math:: O_{jp} = \frac{\sum_{i: f^*_{ij} > 0} \sum_{q \in \text{part } p} H_{ij}^q / \sum_q H_{ij}^q}{|\{i: f^*_{ij} > 0\}|}

    Parameters
    ----------
    maps : (n, n_f, h, w)
    features : (n, n_f), normalised and rectified
    masks : (n, n_parts, height, width) bool, pixels of each part; maps are scaled from 0 to 1 and up-sampled to this size
    part_names : n_parts names

    Returns
    -------
    DataFrame
        One row per feature, one column per part; NaN for a feature that is never active or has no contrast. Parts may overlap,
        and what lies on none is missing.

    Raises
    ------
    TypeError, ValueError
        If the arrays do not fit together.

    Notes
    -----
    Taught in chapter 16.

    Examples
    --------
    >>> masks = np.array([[[[True, False]], [[False, True]]]])
    >>> part_overlap([[[[4.0, 0.0]]]], [[1.0]], masks, ["beak", "wing"]).to_dict("records")
    [{'beak': 1.0, 'wing': 0.0}]
    """
    from xailib.chiqpm.hierarchy import scaled_heat

    stack, f, where, names = _overlap_arguments(maps, features, masks, part_names)
    total, count = np.zeros((f.shape[1], len(names))), np.zeros(f.shape[1])
    for start in range(0, len(stack), 64):  # up-sampled maps are large
        block = slice(start, start + 64)
        heat = scaled_heat(stack[block], np.ones_like(f[block]), np.ones(f.shape[1]), where.shape[2:])
        energy = heat.sum(axis=(2, 3))
        counts = (f[block] > 0) & (energy > 0)
        on_part = np.einsum("njhw,nphw->njp", heat, where[block].astype(float), optimize=True)
        total += np.where(counts[:, :, None], on_part / np.maximum(energy, LEAST)[:, :, None], 0).sum(axis=0)
        count += counts.sum(axis=0)
    shares = np.where(count[:, None] > 0, total / np.maximum(count, 1)[:, None], np.nan)
    return pd.DataFrame(shares, index=pd.RangeIndex(len(shares), name="feature"), columns=names)


def _overlap_arguments(
    maps: Any, features: Any, masks: Any, part_names: Any
) -> tuple[np.ndarray, np.ndarray, np.ndarray, list[str]]:
    stack = check.array(maps, "maps", ndim=4)
    f = activations(features, stack.shape[1])
    where = np.asarray(masks)
    if len(f) != len(stack):
        raise ValueError(f"features must have one row for each of the {len(stack)} rows of maps, not {len(f)}.")
    if where.dtype != bool or where.ndim != 4 or len(where) != len(stack) or where.size == 0:
        raise ValueError(f"masks must be True and False of shape ({len(stack)}, parts, height, width), not {check.shown(masks)}.")
    names = [str(name) for name in check.texts(part_names, "part_names")]
    if len(names) != where.shape[1]:
        raise ValueError(f"part_names must have {where.shape[1]} names, one per mask, not {len(names)}.")
    return stack, f, where, names


def part_falls(model: Any, world: Any, indices: Any = None) -> pd.DataFrame:
    r"""What a feature depends on: by how much it falls when one part is taken out of the picture, everything else the same.

    .. math:: \Delta_{jp} = \mathrm{mean}_i \big( f^*_j(x_i) - f^*_j(x_i \text{ drawn without part } p) \big)

    Parameters
    ----------
    model : CHiQPM
    world : a birds world
    indices : picture numbers, default all held-out pictures

    Returns
    -------
    DataFrame
        One row per feature, one column per removable part, in units of the normalised feature; means over the pictures that show
        the part. Negative where the feature rises.

    Raises
    ------
    TypeError, ValueError
        If the model has no binary head or the pictures are none of this world's.

    Notes
    -----
    Single deletion of the FunnyBirds protocol (Hesse, Schaub-Meyer & Roth 2023). Taught in chapter 16.
    """
    from xailib.chiqpm.network import CHiQPM, describe
    from xailib.worlds.birds import BirdsTruth

    check.instance(model, CHiQPM, "model")
    truth = getattr(world, "truth", None)
    if not isinstance(truth, BirdsTruth):
        raise TypeError("world must be a birds world, as made by xailib.worlds.birds().")
    held_out = np.arange(world.n_train, len(world.y))
    chosen = held_out if indices is None else np.atleast_1d(check.positions(indices, "indices", len(world.y), "picture"))
    before = describe(model, world.X[chosen]).features
    falls = {}
    for p, part in enumerate(truth.removable_parts):
        rows = np.flatnonzero(truth.present[chosen, p])
        after = describe(model, truth.without(chosen[rows], part)).features if len(rows) else before[:0]
        falls[part] = (before[rows] - after).mean(axis=0) if len(rows) else np.full(before.shape[1], np.nan)
    return pd.DataFrame(falls, index=pd.RangeIndex(before.shape[1], name="feature"))


def pivot_parts(W: Any, falls: Any, pairs: Any, part_names: Any) -> pd.DataFrame:
    r"""Does the feature that tells two siblings apart depend on the part in which they differ?

    .. math:: p_j = \arg\max_p \Delta^c_{jp}, \qquad j \in W_c \setminus W_{c'}

    Parameters
    ----------
    W : (n_classes, n_f) bool
    falls : (n_classes, n_f, n_parts) mean falls on pictures of each class, as from :func:`part_falls` with their numbers
    pairs : triples (class, class, part), such as ``truth.pairs``; those that do not share all features but one are left out
    part_names : n_parts names

    Returns
    -------
    DataFrame
        Two rows per pair: ``of`` and ``against`` (classes), ``feature`` (of the first alone), ``part`` (in which they differ),
        ``found`` (without which the feature falls most), ``fall`` (by how much), ``right``.

    Raises
    ------
    TypeError, ValueError
        If the arrays do not fit together, or a part is unknown.

    Notes
    -----
    A class may also be told by what its sibling lacks. Taught in chapter 16.

    Examples
    --------
    >>> falls = np.zeros((2, 3, 2))
    >>> falls[0, 1], falls[1, 2] = [0.1, 0.9], [0.8, 0.2]
    >>> table = pivot_parts([[1, 1, 0], [1, 0, 1]], falls, [(0, 1, "wing")], ["beak", "wing"])
    >>> table[["feature", "found", "right"]].to_dict("records")
    [{'feature': 1, 'found': 'wing', 'right': True}, {'feature': 2, 'found': 'beak', 'right': False}]
    """
    own, names = assignment(W), [str(name) for name in check.texts(part_names, "part_names")]
    drops = check.array(falls, "falls", ndim=3)
    if drops.shape != (*own.shape, len(names)):
        raise ValueError(f"falls must have shape {(*own.shape, len(names))}, classes by features by parts, not {drops.shape}.")
    rows = []
    for first, second, part in _triples(pairs, len(own), names):
        if (own[first] & own[second]).sum() == own[0].sum() - 1:
            for c, other in ((first, second), (second, first)):
                feature = int(np.flatnonzero(own[c] & ~own[other])[0])
                found = int(drops[c, feature].argmax())
                rows.append((c, other, feature, part, names[found], drops[c, feature, found], names[found] == part))
    return pd.DataFrame(rows, columns=["of", "against", "feature", "part", "found", "fall", "right"])


def _triples(pairs: Any, n_classes: int, parts: list[str]) -> list[tuple[int, int, str]]:
    given: list[Any] = list(pairs) if isinstance(pairs, Sequence | np.ndarray) and not isinstance(pairs, str) else [None]
    if any(not isinstance(pair, Sequence) or isinstance(pair, str) or len(pair) != 3 for pair in given):
        raise TypeError(f"pairs must be a list of (class, class, part), not {check.shown(pairs)}.")
    for first, second, part in given:
        check.one_of(part, "part of a pair in pairs", parts)
        for c in (first, second):
            check.number(c, "class of a pair in pairs", low=0, high=n_classes - 1, integer=True)
    return [(int(first), int(second), str(part)) for first, second, part in given]
