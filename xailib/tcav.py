"""TCAV: does a concept that people can show in pictures matter to a class? Concept vectors, scores, and tests that hold.

A concept is a set of images. At a layer, a linear classifier separates it from a set of random images; the normal of the
boundary is the concept activation vector (CAV). The score is the share of a class's images whose logit grows along it. Random
sets in the place of the concept show what such a score is worth.

Nothing of the caller's model changes, and nothing is written to disk: activations are kept in memory, by content.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from scipy import stats
from torch import Tensor, nn

from xailib import _activations
from xailib import _validation as check
from xailib._concept_vectors import LOSSES, Layer, Learner, Run, held_out_accuracy, mean_cosine, one_run
from xailib._networks import Target, arguments, known_layers, module_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = [
    "Cav",
    "Scores",
    "activations",
    "cav",
    "clear_cache",
    "false_alarms",
    "gradients",
    "random_sets",
    "relative_scores",
    "scores",
    "sensitivity",
]

#: images per model call
BATCH_SIZE = 64
#: strength of the penalty of a CAV's classifier, as a share of the activations' mean square
PENALTY = 0.01
#: share of every set that does not train the CAV but measures its accuracy
TEST_SHARE = 1 / 3

_OF = ("logit", "log-probability")
_POSITIONS = ("all", "mean")
_Sets = list[np.ndarray]  # row numbers of each set
_STATISTICS = ("sign_count", "magnitude")


# --- results ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Cav:
    """A concept activation vector: the direction at a layer in which examples become more like the concept.

    Attributes
    ----------
    vector : (p,), unit length, pointing to the concept
    norm : length of the classifier's normal, in its own units
    intercept : of the classifier
    accuracy : share of held-out examples on the right side, mean of both sets: 0.5 is chance; NaN when none were held out
        The border is the classifier's; for sets that differ in size, half-way between their training means along the vector.
    classifier : how it was fitted
    n_train, n_test : examples of both sets together
    """

    vector: np.ndarray
    norm: float
    intercept: float
    accuracy: float
    classifier: str
    n_train: int
    n_test: int

    def decision(self, activations: Any) -> np.ndarray:
        """How far each example lies on the concept's side, (n,): the classifier's output.

        Parameters
        ----------
        activations : (n, p), or (n, ...) with p numbers an example
        """
        A = _flat(activations, "activations")
        if A.shape[1] != len(self.vector):
            raise ValueError(f"activations have {A.shape[1]} numbers an example, but the CAV has {len(self.vector)}.")
        return A @ self.vector * self.norm + self.intercept

    def __repr__(self) -> str:
        measured = f"accuracy {self.accuracy:.2f} on {self.n_test} held-out" if self.n_test else "no examples held out"
        return f"Cav({self.classifier}; {len(self.vector)} numbers; {self.n_train} examples, {measured})"


@dataclass(frozen=True, eq=False)
class Scores:
    """TCAV scores of several concepts, layers and runs, and of random sets in the concepts' place.

    Attributes
    ----------
    runs : one row per CAV: ``layer, kind`` ("concept" or "random"), ``set, counterpart, sign_count, magnitude, accuracy``
        ``sign_count``: share of the images whose score grows along the CAV (strictly). ``magnitude``: mean directional
        derivative along the CAV of unit length. Two random sets make two rows, one for either direction.
    null : what the permutation test compares: ``layer, concept, role`` ("observed" or "null"), ``sign_count, magnitude``
        Here a derivative of exactly zero counts half, so that a CAV and its opposite always make one together.
    stability : mean cosine between a concept's CAVs, indexed by (layer, concept); NaN for a single run
    n_images : number of images of the class
    set_size : examples a set, held-out ones included
    method : what was computed
    """

    runs: pd.DataFrame
    null: pd.DataFrame = field(repr=False)
    stability: pd.Series = field(repr=False)
    n_images: int
    set_size: int
    method: str

    def to_frame(self) -> pd.DataFrame:
        """One row per concept and layer: mean and standard deviation over runs, CAV accuracy and stability."""
        mine = self.runs[self.runs["kind"] == "concept"].groupby(["layer", "set"], sort=False)
        frame = mine.agg(
            runs=("sign_count", "size"),
            sign_count=("sign_count", "mean"),
            sd=("sign_count", "std"),
            magnitude=("magnitude", "mean"),
            accuracy=("accuracy", "mean"),
        )
        frame["stability"] = self.stability.to_numpy()
        return frame.rename_axis(["layer", "concept"]).reset_index()

    def test(
        self,
        method: str = "permutation",
        *,
        statistic: str = "sign_count",
        variance: str = "equal",
        correction: str | None = "holm",
        level: float = 0.05,
    ) -> pd.DataFrame:
        r"""Do concepts score differently from random sets? Two-sided, one row per concept and layer.

        .. math:: p = 2\, \frac{1 + \min(\#\{i : T_i \ge T_C\},\ \#\{i : T_i \le T_C\})}{1 + m}

        Parameters
        ----------
        method : {"permutation", "t"}
            ``"permutation"``: the concept's mean over its counterparts, :math:`T_C`, among those of the :math:`m` random sets,
            each scored against the same company, the concept included.
            ``"t"``: the usual t-test of the concept's runs against all runs of random against random sets.
        statistic : {"sign_count", "magnitude"}
        variance : {"equal", "welch"}, the assumption of the t-test
        correction : {"holm", "bonferroni", None}, over all concepts and layers of this result
        level : float in (0, 1)

        Returns
        -------
        DataFrame
            ``concept, layer``, the statistic, ``random`` (mean of what it is compared with), ``p_value, p_corrected, decision``
            and ``test``, the name of it all. The decision is ``"undefined"`` where no answer is possible: the t-test when no
            run differs from another, the permutation test with too few random sets to reach the level whatever they score
            (its smallest p is 2/(m + 1): 39 sets for one test at 0.05, 40 more for each further test of a correction).

        Raises
        ------
        ValueError
            If there are no runs of random sets to compare with.

        Notes
        -----
        Kim et al. (2018), sect. 3.4, use the t-test. Its runs share the concept images and the class images, so that they are
        not independent and p is too small. A concept that means nothing is one more random set: it is as likely as any other
        to score most extremely, so that the permutation p-value holds exactly, whatever the runs share. It needs random sets
        without common images. Taught in chapter 9.
        """
        check.one_of(method, "method", ["permutation", "t"])
        check.one_of(statistic, "statistic", _STATISTICS)
        check.one_of(variance, "variance", ["equal", "welch"])
        check.one_of(correction, "correction", ["holm", "bonferroni", None])
        check.number(level, "level", low=0, high=1, open_low=True, open_high=True)
        if self.null.empty:
            raise ValueError("there are no random runs to test against: compute the scores with controls=True.")
        rows = [
            {"concept": concept, "layer": layer} | self._compare(layer, concept, method, statistic, variance)
            for layer, concept in self.stability.index
        ]
        frame = pd.DataFrame(rows)
        frame["p_corrected"] = corrected(frame["p_value"].to_numpy(), correction)
        smallest = corrected(frame.pop("smallest").to_numpy(), "bonferroni" if correction else None)
        frame["decision"] = np.where(frame["p_corrected"] <= level, "significant", "not significant")
        frame.loc[frame["p_value"].isna() | (smallest > level), "decision"] = "undefined"
        name = f"t-test, {variance} variances" if method == "t" and variance == "equal" else f"{method}-test"
        name = "t-test, Welch" if method == "t" and variance == "welch" else name
        over = f"{correction.capitalize()} over {len(frame)}" if correction else "no correction"
        frame["test"] = f"{name}, two-sided, {over}"
        return frame

    def _compare(self, layer: str, concept: str, method: str, statistic: str, variance: str) -> dict[str, Any]:
        """Statistic, its comparison, the p-value, and the smallest p-value that was possible."""
        if method == "permutation":
            here = self.null[(self.null["layer"] == layer) & (self.null["concept"] == concept)]
            observed, null = (here.loc[here["role"] == role, statistic].to_numpy() for role in ("observed", "null"))
            p, smallest = permutation_p(observed[0], null), 2 / (1 + len(null))
            return {statistic: observed[0], "random": null.mean(), "p_value": p, "smallest": smallest}
        here = self.runs[self.runs["layer"] == layer]
        mine = here.loc[(here["kind"] == "concept") & (here["set"] == concept), statistic].to_numpy()
        random = here.loc[here["kind"] == "random", statistic].to_numpy()
        p = t_test_p(mine, random, equal_variance=variance == "equal")
        return {statistic: mine.mean(), "random": random.mean(), "p_value": p, "smallest": 0.0}

    def plot(self, ax: Axes | None = None, *, statistic: str = "sign_count") -> Axes:
        """Every run as a dot, by concept and layer; runs of random sets in grey."""
        from xailib import plots

        return plots.concept_scores(self, ax, statistic=statistic)

    def __repr__(self) -> str:
        frame = self.to_frame().iloc[:4]
        first = "; ".join(f"{r.concept} at {r.layer} {r.sign_count:.2f}" for r in frame.itertuples())
        return f"Scores({self.method}; {self.n_images} images, sets of {self.set_size}; {first})"


# --- the parts, one by one --------------------------------------------------------------------------------------------


def activations(
    model: nn.Module, images: Any, layer: str | nn.Module, *, positions: str = "all", batch_size: int = BATCH_SIZE
) -> np.ndarray:
    """What a layer gives for each image, as one row of numbers.

    Parameters
    ----------
    model : torch module, (n, channels, height, width) -> (n, k) class scores
    images : array or tensor, shape (n, channels, height, width)
    layer : module of the model, or its dotted name
        It must run once per pass and give a tensor with one entry per image.
    positions : {"all", "mean"}
        ``"all"``: every channel at every position. ``"mean"``: the mean of each channel over positions.
    batch_size : int, images per model call

    Returns
    -------
    (n, p) float64

    Raises
    ------
    TypeError, ValueError
        If the images are not a finite batch or the layer is unknown (the message lists the layers).

    Notes
    -----
    Rows are kept in memory (512 MiB at most) and used again for the same image, layer and model. Other weights, other
    buffers or another model object never use them. A model in half precision is run in single precision. Taught in chapter 9.

    Examples
    --------
    >>> net = nn.Sequential(nn.Flatten(), nn.Linear(2, 1))
    >>> activations(net, np.array([[[[3.0, 4.0]]]]), "0").tolist()
    [[3.0, 4.0]]
    """
    check.one_of(positions, "positions", _POSITIONS)
    check.number(batch_size, "batch_size", low=1, integer=True)
    name, x = module_of(model, layer)[0], check.images(images)
    return _activations.activations(model, x, [name], positions, batch_size)[name].astype(np.float64)


def gradients(
    model: nn.Module,
    images: Any,
    layer: str | nn.Module,
    target: Target = None,
    *,
    against: Target = None,
    of: str = "logit",
    positions: str = "all",
    batch_size: int = BATCH_SIZE,
) -> np.ndarray:
    r"""How fast the class score changes with each number of a layer, image by image.

    .. math:: g(x) = \nabla_a\, h_t(a) \big|_{a = f_l(x)}

    Parameters
    ----------
    model, images, layer, positions, batch_size : as in :func:`activations`
    target : int, (n,) ints or None
        The class; None takes the class with the largest score, image by image.
    against : int, (n,) ints or None
        Differentiate the difference of two scores.
    of : {"logit", "log-probability"}
        The score before the softmax, or the logarithm after it, which is minus the cross-entropy loss.

    Returns
    -------
    (n, p); with ``positions="mean"`` the effect of the same step at every position

    Raises
    ------
    TypeError, ValueError
        As :func:`activations`, and if the target is no class of the model or the score does not depend on the layer.

    Notes
    -----
    Only the part of the network behind the layer is differentiated. The two kinds differ:
    :math:`\nabla \log p_t = \nabla z_t - \sum_j p_j \nabla z_j`. Taught in chapter 9.

    Examples
    --------
    >>> import torch
    >>> net = nn.Sequential(nn.Flatten(), nn.Linear(2, 1, bias=False))
    >>> net[1].weight.data = torch.tensor([[5.0, -1.0]])
    >>> gradients(net, np.ones((1, 1, 1, 2)), "0", target=0).tolist()
    [[5.0, -1.0]]
    """
    check.one_of(of, "of", _OF)
    check.one_of(positions, "positions", _POSITIONS)
    x, classes = arguments(model, images, target, against, batch_size)
    name = module_of(model, layer)[0]
    return _activations.gradients(model, x, [name], classes, of, positions, batch_size)[name].astype(np.float64)


def cav(
    concept: Any,
    random: Any,
    *,
    classifier: Any = "ridge",
    penalty: float = PENALTY,
    test_share: float = TEST_SHARE,
    random_state: Any = 0,
) -> Cav:
    r"""The direction that separates the activations of concept images from those of random images.

    .. math:: \min_{w, b}\ \frac1n \sum_i \ell(y_i,\ w \cdot a_i + b) + \frac{\lambda s^2}{2} \|w\|^2, \qquad
        v = \frac{w}{\|w\|}, \quad s^2 = \frac1n \sum_i \|a_i - \bar a\|^2

    Parameters
    ----------
    concept, random : activations (n, p), as from :func:`activations`
    classifier : {"ridge", "logistic", "svm"} or a linear scikit-learn classifier
        The loss: half the squared error on labels 1 and -1, logistic, or hinge. An estimator is fitted as it is (a copy) on
        labels 1 (concept) and 0.
    penalty : float from 1e-6, :math:`\lambda`; its strength does not depend on the activations' scale (estimators: unused)
    test_share : float in [0, 1), share of each set that is held out to measure the accuracy
    random_state : int, Generator or None, which examples are held out (and the estimator's seed, if it has none)

    Returns
    -------
    Cav

    Raises
    ------
    TypeError, ValueError
        If a set has fewer than two examples, widths differ, all examples are alike, or the estimator is not linear.

    Notes
    -----
    Kim et al. (2018), sect. 3.2. With n examples in p dimensions the solution lies in the span of the examples, so only an
    n x n problem is solved. Taught in chapter 9.

    Examples
    --------
    >>> found = cav([[2.0, 0.0], [3.0, 0.0]], [[0.0, 0.0], [-1.0, 0.0]], test_share=0)
    >>> found.vector.tolist()
    [1.0, 0.0]
    """
    learn = _learner(classifier, penalty, test_share, random_state)
    A, B = _flat(concept, "concept", min_rows=2), _flat(random, "random", min_rows=2)
    if A.shape[1] != B.shape[1]:
        raise ValueError(f"concept and random must come from one layer, but hold {A.shape[1]} and {B.shape[1]} numbers each.")
    layer = Layer("concept and random", np.concatenate([A, B]), np.zeros((1, A.shape[1])))
    sides = [learn.split(learn.rng.permutation(len(A))), learn.split(len(A) + learn.rng.permutation(len(B)))]
    direction = learn.fit(layer, sides)
    v, n_train = direction.explicit(layer), sum(len(train) for train, _ in sides)
    intercept = direction.intercept - direction.norm * direction.origin(layer) @ v
    accuracy = held_out_accuracy(layer, direction, sides)
    return Cav(v, direction.norm, float(intercept), accuracy, learn.name, n_train, len(layer.X) - n_train)


def sensitivity(
    model: nn.Module,
    images: Any,
    layer: str | nn.Module,
    target: Target,
    cavs: Cav | Sequence[Cav],
    *,
    against: Target = None,
    of: str = "logit",
    positions: str = "all",
    batch_size: int = BATCH_SIZE,
) -> np.ndarray:
    r"""How fast each image's class score grows along a concept vector.

    .. math:: S(x) = \nabla_a\, h_t(f_l(x)) \cdot v

    Parameters
    ----------
    model, images, layer, target, against, of, positions, batch_size : as in :func:`gradients`
    cavs : Cav, or a list of them, which share one backward pass

    Returns
    -------
    (n,) in units of the score per unit step along the CAV; (n, m) for a list of m

    Raises
    ------
    TypeError, ValueError
        As :func:`gradients`, and if a CAV does not fit the layer.

    Notes
    -----
    Kim et al. (2018), eq. 1. The score of a run is ``(sensitivity(...) > 0).mean()``. Taught in chapter 9.
    """
    several = not isinstance(cavs, Cav)
    listed = list(cavs) if isinstance(cavs, Sequence) else [cavs]
    if not listed:
        raise ValueError("cavs is empty: give a Cav or a list of them.")
    widths = {len(check.instance(v, Cav, "cavs" if not several else "every entry of cavs").vector) for v in listed}
    G = gradients(model, images, layer, target, against=against, of=of, positions=positions, batch_size=batch_size)
    if widths != {G.shape[1]}:
        given = check.listed(sorted(widths))
        raise ValueError(f"cavs have {given} numbers, but the layer gives {G.shape[1]} with positions={positions!r}.")
    S = G @ np.column_stack([v.vector for v in listed])
    return S if several else S[:, 0]


def random_sets(pool: Any, n_sets: int, set_size: int, *, bootstrap: bool = False, random_state: Any = 0) -> list[np.ndarray]:
    """Random sets of images from a pool, without common images.

    Parameters
    ----------
    pool : array or tensor, shape (n, channels, height, width)
    n_sets, set_size : int
    bootstrap : bool
        Draw every image with replacement: as many sets as you like from a small pool. Sets then share images, and the
        permutation test of :meth:`Scores.test` no longer holds exactly.
    random_state : int, Generator or None

    Returns
    -------
    list of arrays (set_size, channels, height, width)

    Raises
    ------
    TypeError, ValueError
        If the pool is too small for disjoint sets.

    Notes
    -----
    Taught in chapter 9.

    Examples
    --------
    >>> [len(images) for images in random_sets(np.zeros((10, 1, 2, 2)), 3, 3)]
    [3, 3, 3]
    """
    check.number(n_sets, "n_sets", low=1, integer=True)
    check.number(set_size, "set_size", low=2, integer=True)
    check.flag(bootstrap, "bootstrap")
    rng, x = check.random_generator(random_state), check.images(pool, "pool")
    return [x[rows] for rows in _draw(rng, len(x), n_sets, set_size, bootstrap=bootstrap)]


def clear_cache() -> None:
    """Forget all activations that are kept in memory."""
    _activations.clear()


# --- the scores -------------------------------------------------------------------------------------------------------


def scores(
    model: nn.Module,
    images: Any,
    target: Target,
    concepts: Mapping[str, Any],
    random_sets: Sequence[Any],
    layers: Sequence[str],
    *,
    against: Target = None,
    of: str = "logit",
    classifier: Any = "ridge",
    penalty: float = PENALTY,
    test_share: float = TEST_SHARE,
    positions: str = "all",
    controls: bool = True,
    random_state: Any = 0,
    batch_size: int = BATCH_SIZE,
) -> Scores:
    r"""TCAV: every concept against every random set, at every layer, and random sets against each other.

    .. math:: \mathrm{TCAV} = \frac{|\{x : S(x) > 0\}|}{n}

    Parameters
    ----------
    model, images, target, against, of, positions, batch_size : as in :func:`gradients`
        The images of the class whose score is explained.
    concepts : {name: images (n, channels, height, width)}
    random_sets : list of image arrays, as from :func:`random_sets`
    layers : names of layers
    classifier, penalty, test_share : as in :func:`cav`
    controls : bool
        Also fit random sets against each other, which :meth:`Scores.test` compares with.
    random_state : int, Generator or None, which examples of each set are held out

    Returns
    -------
    Scores
        All sets are cut to the size of the smallest.

    Raises
    ------
    TypeError, ValueError
        As :func:`gradients` and :func:`cav`, and if sets are missing or too small.

    Notes
    -----
    Kim et al. (2018), eq. 2 and sect. 3.4. Each image goes through the network once for all layers; the gradient is taken
    once. The CAV of two random sets serves both directions. Taught in chapter 9.
    """
    check.flag(controls, "controls")
    _settings(of, positions)
    learn = _learner(classifier, penalty, test_share, random_state)
    x, classes = arguments(model, images, target, against, batch_size)
    names = _distinct_layers(model, layers)
    concept_images = _concepts(concepts, x, min_sets=1)
    random_images = _sets(random_sets, "random_sets", x, min_sets=2 if controls else 1)
    pooled, rows = _pooled([*concept_images, *random_images], learn)
    k = len(concept_images)
    spaces = _layers(model, x, classes, pooled, names, of, positions, batch_size)
    parts = [_one_layer(space, list(concepts), rows[:k], rows[k:], learn, controls=controls) for space in spaces]
    what = f"TCAV of the {of}, {learn.name}"
    return _joined(parts, len(x), len(rows[0]), what)


def relative_scores(
    model: nn.Module,
    images: Any,
    target: Target,
    concepts: Mapping[str, Any],
    layers: Sequence[str],
    *,
    n_runs: int = 20,
    n_relabelled: int = 199,
    against: Target = None,
    of: str = "logit",
    classifier: Any = "ridge",
    penalty: float = PENALTY,
    test_share: float = TEST_SHARE,
    positions: str = "all",
    random_state: Any = 0,
    batch_size: int = BATCH_SIZE,
) -> Scores:
    """Relative TCAV: every concept against all other concepts together, instead of against random images.

    Parameters
    ----------
    model, images, target, against, of, positions, batch_size : as in :func:`gradients`
    concepts : {name: images}, at least two
    layers : names of layers
    n_runs : int, CAVs per concept from training examples drawn again within each set, which show the spread
    n_relabelled : int
        Divisions of all examples into sets by chance, which :meth:`Scores.test` compares with.
    classifier, penalty, test_share, random_state : as in :func:`cav`

    Returns
    -------
    Scores
        ``runs`` of kind "concept" are the resamples, those of kind "random" the divisions by chance.

    Raises
    ------
    TypeError, ValueError
        As :func:`scores`.

    Notes
    -----
    Kim et al. (2018), sect. 3.6: the negative examples are the union of the other concepts. The permutation test shuffles the
    examples among the concepts; its null hypothesis is that the names mean nothing. Taught in chapter 9.
    """
    check.number(n_runs, "n_runs", low=2, integer=True)
    check.number(n_relabelled, "n_relabelled", low=1, integer=True)
    _settings(of, positions)
    learn = _learner(classifier, penalty, test_share, random_state)
    x, classes = arguments(model, images, target, against, batch_size)
    names = _distinct_layers(model, layers)
    pooled, rows = _pooled(_concepts(concepts, x, min_sets=2), learn)
    resampled = [_resampled(rows, learn) for _ in range(n_runs)]
    relabelled = [np.split(learn.rng.permutation(np.concatenate(rows)), len(rows)) for _ in range(n_relabelled)]
    spaces = _layers(model, x, classes, pooled, names, of, positions, batch_size)
    parts = [_one_relative_layer(space, list(concepts), rows, resampled, relabelled, learn) for space in spaces]
    return _joined(parts, len(x), len(rows[0]), f"relative TCAV of the {of}, {learn.name}")


def false_alarms(
    model: nn.Module,
    images: Any,
    target: Target,
    pool: Any,
    layer: str | nn.Module,
    *,
    edited: Any = None,
    n_concepts: int = 200,
    n_sets: int = 39,
    set_size: int = 30,
    against: Target = None,
    of: str = "logit",
    classifier: Any = "ridge",
    penalty: float = PENALTY,
    test_share: float = TEST_SHARE,
    positions: str = "all",
    random_state: Any = 0,
    batch_size: int = BATCH_SIZE,
) -> pd.DataFrame:
    """p-values of concepts that mean nothing: how often does each test raise a false alarm on this model?

    Parameters
    ----------
    model, images, layer, target, against, of, positions, batch_size : as in :func:`gradients`
    pool : random images, at least ``(n_sets + 1) * set_size``
    edited : the same images with something inserted, or None
        None: a concept is one more random set. Otherwise it is a random set of edited images: give an insertion that leaves
        the class score as it is.
    n_concepts : int, each with random sets of its own, drawn from the pool anew
    n_sets, set_size : int
    classifier, penalty, test_share, random_state : as in :func:`cav`

    Returns
    -------
    DataFrame
        One row per concept: ``concept, sign_count, accuracy`` (means over runs) and the p-values ``permutation, t_equal,
        t_welch``, without correction. A test that holds has ``(p <= level).mean()`` near the level.

    Raises
    ------
    TypeError, ValueError
        As :func:`scores`, and if the pool is too small.

    Notes
    -----
    Sets of one concept are disjoint. Taught in chapter 9.
    """
    check.number(n_concepts, "n_concepts", low=1, integer=True)
    check.number(n_sets, "n_sets", low=2, integer=True)
    check.number(set_size, "set_size", low=2, integer=True)
    _settings(of, positions)
    learn = _learner(classifier, penalty, test_share, random_state)
    x, classes = arguments(model, images, target, against, batch_size)
    name, pictures = module_of(model, layer)[0], _one_kind(pool, "pool", x)
    _require_enough(len(pictures), n_sets + 1, set_size)
    n, shift = len(pictures), 0
    if edited is not None:
        other = check.images(edited, "edited")
        if other.shape != pictures.shape:
            raise ValueError(f"edited must hold the pool's images, changed: its shape is {other.shape}, not {pictures.shape}.")
        pictures, shift = np.concatenate([pictures, other]), n
    (space,) = _layers(model, x, classes, pictures, [name], of, positions, batch_size)
    rows = []
    for number in range(n_concepts):
        first, *others = _draw(learn.rng, n, n_sets + 1, set_size)
        found = _joined([_one_layer(space, ["it"], [first + shift], others, learn)], len(x), set_size, "")
        rows.append({"concept": number} | found.to_frame().loc[0, ["sign_count", "accuracy"]].to_dict() | _p_values(found))
    return pd.DataFrame(rows)


def _p_values(found: Scores) -> dict[str, float]:
    tests = {"permutation": ("permutation", "equal"), "t_equal": ("t", "equal"), "t_welch": ("t", "welch")}
    tables = {name: found.test(how, variance=variance, correction=None) for name, (how, variance) in tests.items()}
    return {name: float(table["p_value"].iloc[0]) for name, table in tables.items()}


def _one_layer(space: Layer, names: list[str], concepts: _Sets, random: _Sets, learn: Learner, *, controls: bool = True) -> _Part:
    """All runs at one layer; with controls the same statistic for each random set as for the concept, in the same company."""
    m = len(random)
    control = np.full((m, m, 4), np.nan)  # of random set i against j: see Run.summary
    for i, j in itertools.combinations(range(m), 2) if controls else []:
        run = one_run(space, learn, random[i], random[j])
        control[i, j], control[j, i] = run.summary, run.reversed_summary
    part = _Part()
    for name, rows in zip(names, concepts, strict=True):
        runs = [one_run(space, learn, rows, other) for other in random]
        part.add_runs(space.name, "concept", name, [run.summary for run in runs])
        part.stability[space.name, name] = mean_cosine(space, [run.direction for run in runs])
        if controls:
            reverse = np.array([run.reversed_summary for run in runs])
            company = (np.nansum(control, axis=1) + reverse) / m  # each random set against the others and the concept
            part.add_null(space.name, name, np.mean([run.summary for run in runs], axis=0), company)
    for i in range(m if controls else 0):
        part.add_runs(space.name, "random", f"random {i}", control[i], skip=i)
    return part


def _one_relative_layer(
    space: Layer, names: list[str], sets: _Sets, resampled: list[_Sets], relabelled: list[_Sets], learn: Learner
) -> _Part:
    """Each concept against the union of the others: as given, resampled, and divided by chance."""

    def against_others(division: _Sets, k: int) -> Run:
        return one_run(space, learn, division[k], *(rows for j, rows in enumerate(division) if j != k))

    part, chance = _Part(), [against_others(division, 0).summary for division in relabelled]
    for k, name in enumerate(names):
        runs = [against_others(division, k) for division in resampled]
        part.add_runs(space.name, "concept", name, [run.summary for run in runs], counterpart="resample")
        part.stability[space.name, name] = mean_cosine(space, [run.direction for run in runs])
        part.add_null(space.name, name, against_others(sets, k).summary, np.array(chance))
    part.add_runs(space.name, "random", "divided by chance", chance, counterpart="division")
    return part


# --- tests ------------------------------------------------------------------------------------------------------------


def permutation_p(observed: float, null: np.ndarray) -> float:
    """Twice the smaller of the two ranks among exchangeable sets; equal values count against the observed one."""
    above, below = (null >= observed - 1e-12).sum(), (null <= observed + 1e-12).sum()
    return float(min(1.0, 2 * (1 + min(above, below)) / (1 + len(null))))


def t_test_p(mine: np.ndarray, random: np.ndarray, *, equal_variance: bool) -> float:
    """NaN where no run differs from another, so that there is no standard error."""
    if len(mine) < 2 or len(random) < 2 or (np.ptp(mine) < 1e-12 and np.ptp(random) < 1e-12):
        return float("nan")
    parts = [value for runs in (mine, random) for value in (runs.mean(), runs.std(ddof=1), len(runs))]
    return float(stats.ttest_ind_from_stats(*parts, equal_var=equal_variance).pvalue)


def corrected(p: np.ndarray, correction: str | None) -> np.ndarray:
    """p-values that control the chance of any false alarm among all of them; NaN stays and still counts as a test."""
    n, order = len(p), np.argsort(p)
    if correction is None:
        return p
    if correction == "bonferroni":
        return np.minimum(n * p, 1)
    adjusted = np.empty(n)
    adjusted[order] = np.minimum(np.maximum.accumulate((n - np.arange(n)) * p[order]), 1)
    return adjusted


# --- tables -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class _Part:
    """The rows of one layer."""

    runs: list[dict[str, Any]] = field(default_factory=list)
    null: list[dict[str, Any]] = field(default_factory=list)
    stability: dict[tuple[str, str], float] = field(default_factory=dict)

    def add_runs(
        self, layer: str, kind: str, name: str, summaries: Any, *, counterpart: str = "random", skip: int | None = None
    ) -> None:
        for j, (sign_count, magnitude, accuracy, _) in enumerate(summaries):
            if j != skip:
                row = {"layer": layer, "kind": kind, "set": name, "counterpart": f"{counterpart} {j}"}
                self.runs.append(row | {"sign_count": sign_count, "magnitude": magnitude, "accuracy": accuracy})

    def add_null(self, layer: str, concept: str, observed: Any, null: np.ndarray) -> None:
        for role, (_, magnitude, _, sign_count) in [("observed", observed), *(("null", row) for row in null)]:
            row = {"layer": layer, "concept": concept, "role": role}
            self.null.append(row | {"sign_count": sign_count, "magnitude": magnitude})


def _joined(parts: list[_Part], n_images: int, set_size: int, method: str) -> Scores:
    stability = {key: value for part in parts for key, value in part.stability.items()}
    index = pd.MultiIndex.from_tuples(stability, names=["layer", "concept"])
    runs, null = (pd.DataFrame([row for part in parts for row in rows(part)]) for rows in (lambda p: p.runs, lambda p: p.null))
    return Scores(runs, null, pd.Series(list(stability.values()), index), n_images, set_size, method)


# --- sets of examples -------------------------------------------------------------------------------------------------


def _pooled(sets: list[np.ndarray], learn: Learner) -> tuple[np.ndarray, list[np.ndarray]]:
    """All sets in one array, cut to the smallest, and the rows of each, in random order: the last are held out."""
    size = min(len(images) for images in sets)
    chosen = [images[learn.rng.permutation(len(images))[:size]] for images in sets]
    return np.concatenate(chosen), [np.arange(start, start + size) for start in range(0, size * len(sets), size)]


def _resampled(sets: list[np.ndarray], learn: Learner) -> list[np.ndarray]:
    """Training examples drawn again with replacement; those held out stay out of training."""
    return [np.concatenate([learn.rng.choice(train, len(train)), test]) for train, test in map(learn.split, sets)]


def _draw(rng: np.random.Generator, n: int, n_sets: int, size: int, *, bootstrap: bool = False) -> list[np.ndarray]:
    """Row numbers of random sets."""
    if bootstrap:
        return list(rng.integers(n, size=(n_sets, size)))
    _require_enough(n, n_sets, size)
    return list(rng.permutation(n)[: n_sets * size].reshape(n_sets, size))


def _require_enough(n: int, n_sets: int, size: int) -> None:
    if n < n_sets * size:
        need = f"{n_sets} sets of {size} without common images need {n_sets * size}"
        raise ValueError(f"pool has {n} images, but {need}: give more images or ask for fewer or smaller sets.")


def _one_kind(images: Any, name: str, x: np.ndarray) -> np.ndarray:
    """Images of the shape of those that are explained."""
    a = check.images(images, name)
    if a.shape[1:] != x.shape[1:]:
        raise ValueError(f"{name} has images of shape {a.shape[1:]}, but those to explain have {x.shape[1:]}: give one kind.")
    return a


def _concepts(concepts: Any, x: np.ndarray, *, min_sets: int) -> list[np.ndarray]:
    if not isinstance(concepts, Mapping) or not all(isinstance(name, str) for name in concepts):
        raise TypeError(f"concepts must be a dictionary from names to images, not {check.shown(concepts)}.")
    return _sets(list(concepts.values()), "concepts", x, min_sets=min_sets)


def _sets(sets: Any, name: str, x: np.ndarray, *, min_sets: int) -> list[np.ndarray]:
    if isinstance(sets, str) or not np.iterable(sets) or len(list(sets)) < min_sets:
        few = "one set" if min_sets == 1 else f"{min_sets} sets"
        raise ValueError(f"{name} must hold at least {few} of images, not {check.shown(sets)}.")
    checked = [_one_kind(images, f"{name}[{i}]", x) for i, images in enumerate(sets)]
    if min(map(len, checked)) < 2:
        raise ValueError(f"{name} has a set with one image: every set needs at least two.")
    return checked


def _learner(classifier: Any, penalty: Any, test_share: Any, random_state: Any) -> Learner:
    if isinstance(classifier, type) or not (hasattr(classifier, "fit") and hasattr(classifier, "get_params")):
        check.one_of(classifier, "classifier", LOSSES)
    check.number(penalty, "penalty", low=1e-6)
    check.number(test_share, "test_share", low=0, high=1, open_high=True)
    rng = check.random_generator(random_state)
    return Learner(classifier, float(penalty), float(test_share), rng, int(rng.integers(2**31)))


def _settings(of: Any, positions: Any) -> None:
    check.one_of(of, "of", _OF)
    check.one_of(positions, "positions", _POSITIONS)


def _distinct_layers(model: Any, layers: Any) -> list[str]:
    return list(dict.fromkeys(known_layers(model, layers)))


def _flat(values: Any, name: str, *, min_rows: int = 1) -> np.ndarray:
    """Activations as (n, p)."""
    A = check.array(values.detach().cpu() if isinstance(values, Tensor) else values, name)
    if A.ndim < 2 or len(A) < min_rows:
        rows = "one example" if min_rows == 1 else f"{min_rows} examples"
        raise ValueError(f"{name} must have shape (n, p) with at least {rows}, but its shape is {A.shape}.")
    return A.reshape(len(A), -1)


def _layers(
    model: nn.Module, x: np.ndarray, classes: np.ndarray, pooled: np.ndarray, names: list[str], of: str, positions: str, size: int
) -> list[Layer]:
    """Activations of all examples and gradients of the class images, at every layer."""
    G = _activations.gradients(model, x, names, classes, of, positions, size)
    X = _activations.activations(model, pooled, names, positions, size)
    return [Layer(name, X[name], G[name]) for name in names]
