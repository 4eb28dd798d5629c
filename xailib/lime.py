r"""LIME: a straight line through the model's answers around one instance.

.. math:: \xi(x) = \arg\min_{g \in \text{linear}} \sum_i \pi_x(z_i)\,\bigl(f(\tilde x_i) - g(z_i)\bigr)^2 + \Omega(g)

Four steps: draw neighbours :math:`\tilde x_i` and say for each, in simple terms :math:`z_i`, what is still as in the instance;
ask the model; weigh by closeness; fit. :func:`fit_local` is the last step; :func:`tabular`, :func:`text` and :func:`image` differ
only in how they draw neighbours.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd
from sklearn.linear_model import lars_path_gram

from xailib import _validation as check
from xailib import models
from xailib.evaluation import IMAGES_PER_CALL, rank_agreement
from xailib.models import BATCH_ROWS, Predict
from xailib.results import Attribution, Heatmap
from xailib.text import keep, split_words

SELECTIONS = ("forward", "highest_weights", "lasso_path")
CENTRES = ("instance", "data")
#: below this the line misses more than half of what the model does around the instance
LOW_FIDELITY = 0.5
#: fewer samples that count per coefficient than this, and a standard error is a guess
FEW_PER_COEFFICIENT = 5
#: fewer samples that count inside, or outside, the instance's bin than this, and its weight and error are guesses
FEW_ON_A_SIDE = 20

Selector = Callable[[np.ndarray, np.ndarray, np.ndarray, int, int], np.ndarray]


@dataclass(frozen=True, eq=False)
class LocalFit:
    """A weighted linear fit, and how far to trust it.

    Attributes
    ----------
    coefficients : (p,), zero for features that were not selected
    intercept : float
    std_errors : (p,), sandwich standard errors; zero for features not selected, NaN (unknown) for columns that never vary
    fidelity : float, weighted R squared: the share of the model's local variation that the line follows
    effective_samples : float, Kish's number: how many equally weighted samples would be as good
    selected : numbers of the selected features, in the order of selection
    """

    coefficients: np.ndarray
    intercept: float
    std_errors: np.ndarray
    fidelity: float
    effective_samples: float
    selected: np.ndarray

    def __repr__(self) -> str:
        return (
            f"LocalFit(fidelity {self.fidelity:.2f}, {self.effective_samples:.0f} effective samples; "
            f"intercept {self.intercept:+.4f}, coefficients {np.array2string(self.coefficients, precision=4, threshold=8)})"
        )


def fit_local(
    Z: Any,
    y: Any,
    weights: Any,
    *,
    ridge: float = 0.0,
    n_features: int | None = None,
    selection: str = "forward",
) -> LocalFit:
    r"""Weighted least squares, or ridge, with an intercept: the last of LIME's four steps.

    .. math:: \hat\beta = (Z_c^\top W Z_c + \alpha I)^{-1} Z_c^\top W y_c, \qquad
        \widehat{\mathrm{Cov}} = A^{-1} \Bigl(\tfrac{n}{n-p-1} \textstyle\sum_i w_i^2 e_i^2 z_{c,i} z_{c,i}^\top\Bigr) A^{-1}

    with :math:`A = Z_c^\top W Z_c + \alpha I`, residuals :math:`e`, and :math:`Z_c, y_c` centred at their weighted means.

    Parameters
    ----------
    Z : (n, p) interpretable features of the samples; the first row is the instance (only "highest_weights" looks at it)
    y : (n,) the model's answers
    weights : (n,) closeness to the instance, not negative
    ridge : float, the penalty alpha. It is *not* scaled by the weights: where they vanish, it wins. 0, least squares, is the
        paper's choice; the package ``lime`` takes 1.
    n_features : int, optional: fit only so many, chosen by ``selection``; all by default
    selection : {"forward", "highest_weights", "lasso_path"}
        Forward: add the feature that reduces the weighted squared error most. Highest weights: largest
        :math:`|\hat\beta_j z_{0j}|` of a ridge with alpha 0.01. Lasso path: the last point with at most ``n_features``.

    Returns
    -------
    LocalFit

    Raises
    ------
    TypeError, ValueError
        If shapes do not fit, weights are negative or all zero, or there are fewer than p + 2 samples.

    Notes
    -----
    Ribeiro, Singh & Guestrin (2016), eq. 1 and algorithm 1. The standard errors assume independent samples, a kernel and a
    selection that were fixed beforehand; they hold also where the model is not linear, and then belong to the coefficients that
    infinitely many samples would give (White 1980), not to a slope of the model. A column that never varies gets 0 with
    an unknown error, columns that say the same share. Taught in chapter 4.

    Examples
    --------
    >>> fit_local([[1, 1], [1, 0], [0, 1], [0, 0]], [6.0, 3.0, 4.0, 1.0], np.ones(4)).coefficients
    array([2., 3.])
    """
    z = check.array(Z, "Z", ndim=2)
    if len(z) < z.shape[1] + 2:
        raise ValueError(f"Z must have at least {z.shape[1] + 2} rows for {z.shape[1]} columns, but has {len(z)}.")
    answers, w = check.array(y, "y", ndim=1, length=len(z)), check.array(weights, "weights", ndim=1, length=len(z))
    if (w < 0).any() or w.max() <= 0:
        raise ValueError("weights must not be negative, and at least one must be positive.")
    _check_fit_options(ridge, n_features, selection)
    return _fit(z, answers, w, ridge, n_features, selection)


def tabular(
    predict: Predict,
    X: Any,
    background: Any,
    *,
    n_samples: int = 5000,
    bins: int | None = 4,
    around: str = "instance",
    kernel_width: float | None = None,
    ridge: float = 0.0,
    n_features: int | None = None,
    selection: str = "forward",
    random_state: Any = 0,
    batch_rows: int = BATCH_ROWS,
    n_jobs: int | None = None,
) -> Attribution:
    r"""LIME for rows of a table.

    With bins, every feature is drawn from its own column, independently of the others, and :math:`z_j = 1` if it fell into the
    instance's bin (or category). Without, numbers are drawn from a normal distribution and :math:`z_j` counts standard deviations
    from the instance. The weight is :math:`\pi = \exp(-\lVert z - z_0 \rVert^2 / 2\sigma^2)`.

    Parameters
    ----------
    predict : function, (n, p) -> (n,) or (n, k)
    X : array or DataFrame, shape (n, p), rows to explain; categories are welcome
    background : like X, the rows neighbours are drawn from; every column must vary
    n_samples : int, model rows per instance; the first one is the instance itself
    bins : int or None
        Quantile bins for numbers (4: quartiles), None to keep them as numbers.
    around : {"instance", "data"}, without bins: centre of the normal distribution (the package ``lime`` takes the data's mean)
    kernel_width : float, the width :math:`\sigma`; 0.75 times the root of p if not given
    ridge, n_features, selection : as in :func:`fit_local`
    random_state : int, Generator or None; every instance has a stream of its own
    batch_rows, n_jobs : rows per model call, and joblib's number of jobs, see :func:`xailib.models.in_blocks`

    Returns
    -------
    Attribution
        ``values`` (n, p), or (n, k, p), in units of the prediction: with bins, what being in this bin (category) adds; without,
        the slope per standard deviation, and per unit of the feature in ``details["slopes"]`` (NaN for categories).
        ``base_value`` is the line's prediction where every z is one lower (with bins: its intercept), so that
        ``efficiency_gap()`` is the model minus the line at the instance. ``std_errors``, ``details["fidelity"]`` (n,),
        ``details["effective_samples"]`` and ``details["warning"]`` say how far to trust it. With bins ``details["share"]`` (n, p)
        is the share of the background in the instance's own bin: ``values * (1 - share)`` sets it against the average row;
        ``details["fewer_side"]`` (n, p) counts the samples in that bin or outside it, whichever is fewer (Kish's number). Below
        some 20 a standard error is too small, with none it is NaN.

    Raises
    ------
    TypeError, ValueError
        If an argument is unusable, before the model is asked; the message says what to do.

    Notes
    -----
    Ribeiro, Singh & Guestrin (2016); kernel and its width as in the package ``lime``, which however draws inside a bin from a
    truncated normal distribution instead of from the column. Neighbours break every tie between columns, so many of them cannot
    exist: the model is asked outside its data. Taught in chapter 4.

    Examples
    --------
    >>> rows = np.random.default_rng(0).uniform(size=(500, 2))
    >>> explanation = tabular(lambda X: 3 * X[:, 0], np.array([[0.9, 0.5]]), rows)
    >>> explanation.values.round(1) + 0.0, explanation.std_errors.round(2)
    (array([[1.4, 0. ]]), array([[0.01, 0.02]]))
    """
    pool = _pool(predict, X, background)
    n, p = len(X), len(pool.names)
    check.number(n_samples, "n_samples", low=p + 2, integer=True)
    if bins is not None:
        check.number(bins, "bins", low=2, integer=True)
    check.one_of(around, "around", CENTRES)
    width = 0.75 * np.sqrt(p) if kernel_width is None else check.number(kernel_width, "kernel_width", low=0, open_low=True)
    _check_fit_options(ridge, n_features, selection)
    if bins is None and selection == "highest_weights":
        raise ValueError(
            "selection 'highest_weights' multiplies each slope by the instance's own z, which is 0 here: use 'forward', or bins."
        )
    streams = check.random_generator(random_state).spawn(n)
    codes = None if bins is None else _all_codes(pool, bins)
    draw = _by_normals(pool, around) if codes is None else _by_bins(pool, codes)

    def explain(block: slice) -> list[tuple[np.ndarray, list[LocalFit], np.ndarray, np.ndarray]]:
        neighbours = [draw(i, n_samples, streams[i]) for i in range(*block.indices(n))]
        rows = pool.stack([rows for rows, _ in neighbours])
        answers = models.batched(predict, rows, batch_rows=batch_rows).reshape(len(neighbours), n_samples, -1)
        return [
            (y[0], *_fits(z, y, width, ridge, n_features, selection))
            for (_, z), y in zip(neighbours, answers, strict=True)
        ]  # fmt: skip

    blocks = models.in_blocks(explain, n, rows_each=n_samples, batch_rows=batch_rows, n_jobs=n_jobs, desc="LIME")
    found = [one for block in blocks for one in block]
    if codes is None:
        details = {"scale": pool.scale}
    else:
        details = {"share": _own_share(codes, pool.n_background), "fewer_side": np.array([side for *_, side in found])}
    words = f"{bins} quantile bins" if bins is not None else f"slope per standard deviation around the {around}"
    return _attribution(pool, X, found, words, {"kernel_width": width, "ridge": ridge, "n_samples": n_samples, **details})


def text(
    predict: Predict,
    texts: Any,
    *,
    n_samples: int = 5000,
    kernel_width: float = 25.0,
    filler: str = "",
    ridge: float = 0.0,
    n_features: int | None = None,
    selection: str = "forward",
    random_state: Any = 0,
    batch_rows: int = BATCH_ROWS,
    n_jobs: int | None = None,
) -> Any:
    r"""LIME for texts: which words, each at its place, push the prediction up or down?

    A neighbour lacks :math:`s` words chosen at random, :math:`s` uniform from 0 to :math:`d`; :math:`z_j = 1` if word
    :math:`j` is there. The weight is :math:`\exp(-D^2 / 2\sigma^2)` with :math:`D = 100\,(1 - \sqrt{(d - s)/d})`, the cosine
    distance in percent. A text with :math:`2^d \le` ``n_samples`` is not sampled: every version is asked once and weighted by
    its probability, so the answer is exact.

    Parameters
    ----------
    predict : function, array of n texts -> (n,)
    texts : one text, or a list (array, Series) of texts; each with at least one word
    n_samples : int, versions per text at most
    kernel_width : float, the width :math:`\sigma`, in percent of cosine distance
    filler : str, what stands in for a missing word; by default the word is deleted
    ridge, n_features, selection : as in :func:`fit_local`
    random_state, batch_rows, n_jobs : as in :func:`tabular`

    Returns
    -------
    Attribution, or a list of them for a list of texts
        ``values`` (d,), one per word; ``base_value`` the line's prediction for no word at all; ``std_errors`` None where exact.

    Raises
    ------
    TypeError, ValueError
        If an argument is unusable, before the model is asked; the message says what to do.

    Notes
    -----
    Ribeiro, Singh & Guestrin (2016), with the distances of the package ``lime``. It draws :math:`s` from 1 to
    :math:`d`, so its weights differ somewhat. Its default treats a repeated word as one (``bow=True``); here each place counts.
    Words are cut by :func:`xailib.text.split_words`. Taught in chapter 4.

    Examples
    --------
    >>> explanation = text(lambda texts: np.array(["prize" in t for t in texts], float), "claim your prize")
    >>> dict(zip(explanation.feature_names, (explanation.values.round(2) + 0.0).tolist()))
    {'claim': 0.0, 'your': 0.0, 'prize': 1.0}
    """
    check.function(predict, "predict")
    one = isinstance(texts, str)
    given = check.texts([texts] if one else texts)
    cut = [split_words(t) for t in given]
    check.number(n_samples, "n_samples", low=max(len(words) for words in cut) + 2, integer=True)
    check.number(kernel_width, "kernel_width", low=0, open_low=True)
    check.instance(filler, str, "filler")
    _check_fit_options(ridge, n_features, selection)
    streams = check.random_generator(random_state).spawn(len(cut))

    def explain(block: slice) -> list[Attribution]:
        chosen = range(*block.indices(len(cut)))
        drawn = [_word_masks(len(cut[i]), n_samples, streams[i]) for i in chosen]
        versions = [keep(cut[i], masks.distinct, filler=filler) for i, masks in zip(chosen, drawn, strict=True)]
        answers = models.batched(predict, np.concatenate(versions), batch_rows=batch_rows, width=1)
        ends = np.cumsum([len(v) for v in versions])[:-1]
        return [
            _of_masks(
                masks, y, _cosine_distance(masks.kept) * 100, (kernel_width, ridge, n_features, selection),
                _numbered(cut[i].words), str(given[i]), "words, each at its place",
            )
            for i, masks, y in zip(chosen, drawn, np.split(answers, ends), strict=True)
        ]  # fmt: skip

    blocks = models.in_blocks(explain, len(cut), rows_each=n_samples, batch_rows=batch_rows, n_jobs=n_jobs, desc="LIME")
    found = [one for block in blocks for one in block]
    return found[0] if one else found


def image(
    predict: Predict,
    images: Any,
    segments: Any,
    *,
    target: Any = None,
    replacement: Any = "mean",
    n_samples: int = 1000,
    kernel_width: float = 0.25,
    ridge: float = 0.0,
    n_features: int | None = None,
    selection: str = "forward",
    random_state: Any = 0,
    batch_rows: int = IMAGES_PER_CALL,
    n_jobs: int | None = None,
) -> Any:
    r"""LIME for images: which segments (superpixels) push the prediction up or down?

    In a neighbour each segment is replaced with probability one half; :math:`z_j = 1` if segment :math:`j` is untouched. The
    weight is :math:`\exp(-D^2 / 2\sigma^2)` with the cosine distance :math:`D`. With :math:`2^d \le` ``n_samples`` every version
    is asked once, and the answer is exact.

    Parameters
    ----------
    predict : function, (n, channels, height, width) -> (n,), or (n, k) together with ``target``
    images : array (channels, height, width) or (n, channels, height, width)
    segments : whole numbers (height, width), the same for all images, or (n, height, width); you choose them, and they decide
    target : int or (n,) ints, the column of ``predict`` to explain
    replacement : "mean" (each segment's mean colour), a number, or an array that broadcasts to one image
    n_samples : int, versions per image at most
    kernel_width, ridge, n_features, selection : as in :func:`text`, the distance here not in percent
    random_state, n_jobs : as in :func:`tabular`
    batch_rows : int, images per model call

    Returns
    -------
    Attribution, or a list of them for several images
        ``values`` (d,), one per segment in the order of its number. :func:`heatmap` paints them onto the pixels.

    Raises
    ------
    TypeError, ValueError
        If an argument is unusable, before the model is asked; the message says what to do.

    Notes
    -----
    Ribeiro, Singh & Guestrin (2016), with the distances of the package ``lime``, whose default segments are quickshift's: ten
    times slower than ``skimage.segmentation.slic``. Taught in chapter 4.

    Examples
    --------
    >>> picture = np.array([[[0.0, 1.0], [0.0, 1.0]]])
    >>> explanation = image(lambda x: x[:, 0, 0, 1], picture, np.array([[0, 1], [0, 1]]), replacement=0.0)
    >>> explanation.values.round(2) + 0.0
    array([0., 1.])
    """
    check.function(predict, "predict")
    given = np.asarray(images.detach().cpu() if hasattr(images, "detach") else images)
    one = given.ndim == 3
    pictures = check.images(given[None] if one else given)
    labels = _segments(segments, pictures)
    classes = None if target is None else _targets(target, len(pictures))
    fills = [_filled(picture, s, replacement) for picture, s in zip(pictures, labels, strict=True)]
    check.number(n_samples, "n_samples", low=int(labels.max()) + 3, integer=True)
    check.number(kernel_width, "kernel_width", low=0, open_low=True)
    check.number(batch_rows, "batch_rows", low=1, integer=True)
    _check_fit_options(ridge, n_features, selection)
    streams = check.random_generator(random_state).spawn(len(pictures))

    def explain(block: slice) -> list[Attribution]:
        return [one_image(i) for i in range(*block.indices(len(pictures)))]

    def one_image(i: int) -> Attribution:
        masks = _segment_masks(int(labels[i].max()) + 1, n_samples, streams[i])
        answers = []
        for start in range(0, len(masks.distinct), batch_rows):
            there = masks.distinct[start : start + batch_rows][:, labels[i]][:, None]
            values = models.batched(predict, np.where(there, pictures[i], fills[i]), batch_rows=batch_rows)
            answers.append(_one_class(values, None if classes is None else int(classes[i])))
        names = [f"segment {j}" for j in range(int(labels[i].max()) + 1)]
        options = (kernel_width, ridge, n_features, selection)
        found = _of_masks(
            masks, np.concatenate(answers), _cosine_distance(masks.kept), options, names, pictures[i], "image segments"
        )
        found.details["target"] = -1 if classes is None else int(classes[i])
        return found

    blocks = models.in_blocks(
        explain, len(pictures), rows_each=n_samples, batch_rows=max(batch_rows, n_samples), n_jobs=n_jobs, desc="LIME"
    )
    found = [one for block in blocks for one in block]
    return found[0] if one else found


def heatmap(explanations: Any, segments: Any) -> Heatmap:
    """Paint the weights of :func:`image` onto the pixels of their segments.

    Parameters
    ----------
    explanations : Attribution from :func:`image`, or a list of them
    segments : as given to :func:`image`

    Returns
    -------
    Heatmap
        ``values`` (n, height, width): every pixel has its segment's weight, in units of the prediction.

    Raises
    ------
    TypeError, ValueError
        If the explanations and segments do not belong together.

    Notes
    -----
    A large segment is no more important than a small one of the same colour: the weight belongs to the segment as a whole.
    Taught in chapter 4.

    Examples
    --------
    >>> picture, segments = np.array([[[0.0, 1.0], [0.0, 1.0]]]), np.array([[0, 1], [0, 1]])
    >>> heatmap(image(lambda x: x[:, 0, 0, 1], picture, segments, replacement=0.0), segments)
    Heatmap(LIME, image segments; 1 map of 2x2; values 0 to 1)
    """
    given = [explanations] if isinstance(explanations, Attribution) else explanations
    if not isinstance(given, list | tuple) or not given or not all(isinstance(e, Attribution) for e in given):
        raise TypeError(
            f"explanations must be an Attribution from lime.image or a list of them, not {check.shown(explanations)}."
        )
    if not all(e.values.ndim == 1 and np.ndim(e.instance) == 3 for e in given):
        raise ValueError("explanations must come from lime.image: these are not of single images.")
    labels = _segments(segments, np.stack([e.instance for e in given]))
    if any(len(e.values) != s.max() + 1 for e, s in zip(given, labels, strict=True)):
        raise ValueError("segments must be those given to lime.image: their number differs from the number of weights.")
    values = np.stack([e.values[s] for e, s in zip(given, labels, strict=True)])
    values[np.abs(values) < 1e-12] = 0.0
    target = np.array([e.details["target"] for e in given])
    score = np.array([float(e.prediction) for e in given])
    return Heatmap(values, target, "LIME, image segments", values.shape[1:], score)


@dataclass(frozen=True, eq=False)
class Stability:
    """How much an explanation changes when only the random samples change.

    Attributes
    ----------
    n_samples : (s,) sizes tried
    values : (s, runs, p), the explanations
    feature_names : p names
    rank_correlation : (s,) mean Spearman correlation over all pairs of runs, signed values
    same_top : (s,) share of pairs of runs that name the same ``top`` features
    stated_errors : (s, p) root mean square of the stated standard errors over the runs that stated one, else NaN
    agreement, top : as given
    enough : the smallest size from which on the rank correlation stays at ``agreement`` or above, or None
    """

    n_samples: np.ndarray
    values: np.ndarray
    feature_names: list[str]
    rank_correlation: np.ndarray
    same_top: np.ndarray
    stated_errors: np.ndarray
    agreement: float
    top: int
    enough: int | None

    @property
    def spread(self) -> np.ndarray:
        """Standard deviation over the runs, (s, p): what the stated standard errors should equal."""
        return self.values.std(axis=1, ddof=1)

    def to_frame(self) -> pd.DataFrame:
        """One row per size: rank correlation, share of equal tops, median spread and median stated error of a coefficient."""
        columns = {
            "rank_correlation": self.rank_correlation,
            f"same_top_{self.top}": self.same_top,
            "spread": np.median(self.spread, axis=1),
            "stated_error": np.median(self.stated_errors, axis=1),
        }
        return pd.DataFrame(columns, index=pd.Index(self.n_samples, name="n_samples"))

    def __repr__(self) -> str:
        enough = f"{self.enough} samples are enough" if self.enough else f"{self.n_samples[-1]} samples are not enough"
        return f"Stability({self.values.shape[1]} runs; {enough} for a rank correlation of {self.agreement:g})"


def stability(
    explain: Callable[[int, int], Attribution],
    *,
    n_samples: Sequence[int] = (100, 300, 1000, 3000),
    n_runs: int = 20,
    agreement: float = 0.9,
    top: int = 3,
    random_state: Any = 0,
) -> Stability:
    """Explain the same instance again and again, with more and more samples: how many are enough?

    Parameters
    ----------
    explain : function (n_samples, random_state) -> Attribution of one instance and one output
    n_samples : increasing sizes to try
    n_runs : int, explanations of each size, each with a seed of its own
    agreement : float in (0, 1], the mean rank correlation between runs that you ask for
    top : int, compare the sets of so many largest features too
    random_state : int, Generator or None

    Returns
    -------
    Stability

    Raises
    ------
    TypeError, ValueError
        If an argument is unusable, or ``explain`` does not return an Attribution of one instance.

    Notes
    -----
    Visani et al. (2022) propose such indices. Features without effect are ranked by noise, so a rank correlation over many of
    them never reaches one; and agreement says nothing about truth: a biased explanation can be perfectly stable. Taught in
    chapter 4.

    Examples
    --------
    >>> rows = np.random.default_rng(0).uniform(size=(500, 3))
    >>> explain = lambda n, seed: tabular(lambda X: X @ [1.0, 0.8, 0.6], rows[:1], rows, n_samples=n, random_state=seed)
    >>> stability(explain, n_samples=(8, 5000), n_runs=5)
    Stability(5 runs; 5000 samples are enough for a rank correlation of 0.9)
    """
    check.function(explain, "explain")
    sizes = check.array(n_samples, "n_samples", ndim=1)
    if (sizes != sizes.astype(int)).any() or sizes.min() < 1 or (np.diff(sizes) <= 0).any():
        raise ValueError(f"n_samples must be increasing whole numbers of at least 1, not {check.shown(n_samples)}.")
    check.number(n_runs, "n_runs", low=2, integer=True)
    check.number(agreement, "agreement", low=0, high=1, open_low=True)
    check.number(top, "top", low=1, integer=True)
    seeds = check.random_generator(random_state).integers(2**31, size=(len(sizes), n_runs))
    runs = [[_one_explanation(explain(int(size), int(seed))) for seed in row] for size, row in zip(sizes, seeds, strict=True)]
    values = np.array([[np.ravel(e.values) for e in row] for row in runs])
    if top > values.shape[2] or values.shape[2] < 2:
        raise ValueError(f"top must be at most the number of features, {values.shape[2]}, of which there must be two or more.")
    correlation, same = np.array([_agreement(v, top) for v in values]).T
    stated = np.ma.masked_invalid([[_stated(e) for e in row] for row in runs])
    root_mean_square = np.sqrt((stated**2).mean(axis=1)).filled(np.nan)
    return Stability(
        sizes.astype(int), values, runs[0][0].feature_names, correlation, same, root_mean_square,
        float(agreement), top, _enough(sizes, correlation >= agreement),
    )  # fmt: skip


def kernel(distances: Any, width: float) -> np.ndarray:
    r"""Weights by closeness: :math:`\exp(-D^2 / 2\sigma^2)`.

    Parameters
    ----------
    distances : (n,) distances from the instance
    width : float, the kernel width :math:`\sigma` > 0

    Returns
    -------
    array, shape (n,), from 0 to 1

    Raises
    ------
    TypeError, ValueError
        If distances are no numbers or the width is not positive.

    Notes
    -----
    As in the package ``lime``, which takes the root of the paper's :math:`\exp(-D^2/\sigma^2)`. Taught in chapter 4.

    Examples
    --------
    >>> kernel([0.0, 1.0, 2.0], 1.0).round(4)
    array([1.    , 0.6065, 0.1353])
    """
    check.number(width, "width", low=0, open_low=True)
    return np.exp(-(check.array(distances, "distances", ndim=1) ** 2) / (2 * width**2))


# the fit ----------------------------------------------------------------------------------------------------------------


def _check_fit_options(ridge: Any, n_features: Any, selection: Any) -> None:
    check.number(ridge, "ridge", low=0)
    if n_features is not None:
        check.number(n_features, "n_features", low=1, integer=True)
    check.one_of(selection, "selection", SELECTIONS)


def _fit(
    Z: np.ndarray, y: np.ndarray, w: np.ndarray, ridge: float, n_features: int | None, selection: str
) -> LocalFit:  # fmt: skip
    """:func:`fit_local` without its checks."""
    n, p = Z.shape
    total, root = w.sum(), np.sqrt(w)
    z_mean, y_mean = w @ Z / total, w @ y / total
    Zw, yw = Z - z_mean, root * (y - y_mean)  # times the root of the weights: then it is ordinary least squares
    Zw *= root[:, None]
    gram, product = Zw.T @ Zw, Zw.T @ yw
    constant = [j for j in np.flatnonzero(np.diag(gram) <= 1e-20 * total * z_mean**2) if Z[:, j].min() == Z[:, j].max()]
    for j in constant:  # what is left of it is the rounding error of its mean
        Zw[:, j] = gram[j] = gram[:, j] = product[j] = 0.0
    chosen = np.arange(p)
    if n_features is not None and n_features < p:
        chosen = _SELECTORS[selection](gram, product, Z[0], n_features, n)
        Zw = Zw[:, chosen]
    inverse = _inverse(gram[np.ix_(chosen, chosen)] + ridge * np.eye(len(chosen)))
    beta = inverse @ product[chosen]
    residuals = yw - Zw @ beta
    around, missed = yw @ yw, residuals @ residuals
    scores = np.multiply(Zw, residuals[:, None], out=Zw)
    covariance = inverse @ (scores.T @ scores) @ inverse * n / max(n - len(chosen) - 1, 1)
    coefficients, std_errors = np.zeros(p), np.zeros(p)
    coefficients[chosen], std_errors[chosen] = beta, np.sqrt(np.maximum(np.diag(covariance), 0))
    std_errors[constant] = np.nan  # nothing was seen, so nothing is known
    follows = 1.0 if around <= 1e-24 * (total * y_mean**2 + around) else 1 - missed / around
    intercept = float(y_mean - z_mean @ coefficients)
    return LocalFit(coefficients, intercept, std_errors, float(follows), float(total**2 / (w @ w)), chosen)


def _inverse(A: np.ndarray) -> np.ndarray:
    """Inverse of a positive semi-definite matrix, scaled to a diagonal of ones first; directions without data get zero."""
    size = np.sqrt(np.diag(A))
    scale = np.divide(1.0, size, out=np.zeros_like(size), where=size > 0)
    return scale[:, None] * np.linalg.pinv(A * scale[:, None] * scale, rcond=1e-12, hermitian=True) * scale


def _forward(gram: np.ndarray, product: np.ndarray, _z0: np.ndarray, n_features: int, _n: int) -> np.ndarray:
    """Take the feature that reduces the squared error most, remove it from the others and from y, and so on.

    One elimination step on the Gram matrix does the removing: no regression is fitted again.
    """
    G, c = gram.copy(), product.copy()
    floor = 1e-10 * np.diag(gram)
    chosen: list[int] = []
    for _ in range(n_features):
        spread = np.diag(G)
        gain = np.divide(c**2, spread, out=np.zeros_like(c), where=spread > floor)
        gain[chosen] = -1.0
        best = int(gain.argmax())
        chosen.append(best)
        if spread[best] > floor[best]:
            step = G[best] / G[best, best]
            c = c - step * c[best]
            G = G - np.outer(step, G[best])
    return np.array(chosen)


def _highest_weights(gram: np.ndarray, product: np.ndarray, z0: np.ndarray, n_features: int, _n: int) -> np.ndarray:
    beta = np.linalg.solve(gram + 0.01 * np.eye(len(gram)), product)
    return np.argsort(-np.abs(beta * z0), kind="stable")[:n_features]


def _lasso_path(gram: np.ndarray, product: np.ndarray, _z0: np.ndarray, n_features: int, n: int) -> np.ndarray:
    _, _, path = lars_path_gram(Xy=product, Gram=gram, n_samples=n, method="lasso")
    sparse = [step for step in path.T if np.count_nonzero(step) <= n_features]
    return np.flatnonzero(sparse[-1]) if sparse else np.array([], dtype=int)


_SELECTORS: dict[str, Selector] = {"forward": _forward, "highest_weights": _highest_weights, "lasso_path": _lasso_path}


def _fits(
    z: np.ndarray, y: np.ndarray, width: float, ridge: float, n_features: int | None, selection: str
) -> tuple[list[LocalFit], np.ndarray, np.ndarray]:
    """One fit for each output, the instance's z, and how many samples count on the emptier side of each bin."""
    z = z.astype(float, copy=False)  # with bins they are booleans
    squared_distance = np.einsum("ij,ij->i", z, z) - 2 * (z @ z[0]) + z[0] @ z[0]
    w = np.exp(-squared_distance / (2 * width**2))
    return [_fit(z, column, w, ridge, n_features, selection) for column in y.T], z[0], _fewer_side(z, w)


def _fewer_side(z: np.ndarray, w: np.ndarray) -> np.ndarray:
    """Kish's number of the samples with z = 1 and of those with z = 0; the smaller, feature by feature."""
    counts, totals, squares = np.array([np.ones(len(w)), w, w**2]) @ z
    inside = np.divide(totals**2, squares, out=np.zeros_like(totals), where=squares > 0)
    totals, squares = np.maximum(w.sum() - totals, 0), w @ w - squares
    outside = np.divide(totals**2, squares, out=np.zeros_like(totals), where=(squares > 0) & (counts < len(w)))
    return np.minimum(inside, outside)


# neighbours in a table --------------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class _Pool:
    """The background rows with the explained rows below them: every neighbour's value is one of these, column by column."""

    columns: list[Any]
    names: list[str]
    labels: Any
    n_background: int
    numeric: np.ndarray
    matrix: np.ndarray | None

    @property
    def scale(self) -> np.ndarray:
        """Standard deviation of each numeric background column, NaN for categories."""
        if self.all_numbers is not None:
            return self.all_numbers[: self.n_background].std(axis=0)
        return np.array(
            [np.std(self.numbers(j)[: self.n_background]) if self.numeric[j] else np.nan for j in range(len(self.names))]
        )

    @property
    def all_numbers(self) -> np.ndarray | None:
        """The pool as one array, where every column is a number."""
        return self.matrix if self.numeric.all() else None

    def numbers(self, j: int) -> np.ndarray:
        return np.asarray(self.columns[j], dtype=float)

    def take(self, places: np.ndarray, flat: np.ndarray | None = None) -> Any:
        """Rows whose column j comes from row ``places[:, j]`` of the pool; ``flat`` are these places, if known already."""
        if self.matrix is not None:
            return self.matrix.take(_flat(places) if flat is None else flat)
        return [column.take(places[:, j]) for j, column in enumerate(self.columns)]

    def stack(self, parts: list[Any]) -> Any:
        """Rows of several instances as one table of the caller's kind."""
        if self.matrix is not None:
            return parts[0] if len(parts) == 1 else np.concatenate(parts)
        joined = parts[0] if len(parts) == 1 else [_joined([part[j] for part in parts]) for j in range(len(self.names))]
        return pd.DataFrame(dict(enumerate(joined)), copy=False).set_axis(self.labels, axis=1)


def _joined(arrays: list[Any]) -> Any:
    return pd.concat([pd.Series(a, copy=False) for a in arrays], ignore_index=True)


def _pool(predict: Any, X: Any, background: Any) -> _Pool:
    check.function(predict, "predict")
    check.table(X)
    check.table(background, "background", min_rows=2)
    if check.feature_names(X) != check.feature_names(background) or isinstance(X, pd.DataFrame) != isinstance(
        background, pd.DataFrame
    ):
        raise ValueError("background must be a table of the same kind as X, with the same columns in the same order.")
    _require_variation(background)
    m = len(background)
    if isinstance(X, np.ndarray):
        both = np.concatenate([background, X])
        plain = both.dtype.kind in "biuf"
        numeric = np.array([plain or check.is_numeric(pd.Series(column).infer_objects()) for column in both.T])
        matrix = both.astype(float, copy=False) if plain else both
        return _Pool(list(matrix.T), check.feature_names(X), None, m, numeric, matrix)
    for name in X.columns:
        if (
            background[name].dtype != X[name].dtype
            and not check.is_numeric(X[name]) == check.is_numeric(background[name]) is True
        ):
            raise ValueError(f"background column {name!r} must have the type (and categories) that X has.")
    both = pd.concat([background, X], ignore_index=True)
    numeric = np.array([check.is_numeric(both.iloc[:, j]) for j in range(both.shape[1])])
    columns = [both.iloc[:, j].array for j in range(both.shape[1])]
    return _Pool(columns, check.feature_names(X), X.columns, m, numeric, None)


def _require_variation(background: Any) -> None:
    """Only a column that begins and ends with the same number, or a category, is looked at more closely."""
    if isinstance(background, np.ndarray) and background.dtype.kind in "biuf":
        suspicious = np.flatnonzero(background[0] == background[-1]).tolist()
    else:
        suspicious = list(range(background.shape[1]))
    for j in suspicious:
        check.varying(background, j, "background column")


def _flat(places: np.ndarray) -> np.ndarray:
    """Positions in the flattened pool: one ``take`` is twice as fast as an index with two arrays."""
    flat = places * places.shape[1]
    flat += np.arange(places.shape[1])
    return flat


def _all_codes(pool: _Pool, bins: int) -> np.ndarray:
    """Number of the bin or category of every value in the pool, column by column."""
    codes = {j: pd.factorize(np.asarray(pool.columns[j]))[0] for j in np.flatnonzero(~pool.numeric).tolist()}
    numeric = np.flatnonzero(pool.numeric).tolist()
    if numeric:
        numbers = np.array([pool.numbers(j) for j in numeric])
        codes |= dict(zip(numeric, _bin_codes(numbers, pool.n_background, bins), strict=True))
    return np.column_stack([codes[j] for j in range(len(codes))])


def _by_bins(pool: _Pool, codes: np.ndarray) -> Callable[[int, int, np.random.Generator], tuple[Any, np.ndarray]]:
    """Draw each feature from its own column; z says whether it fell into the instance's bin or category."""

    def draw(i: int, n_samples: int, rng: np.random.Generator) -> tuple[Any, np.ndarray]:
        places = rng.integers(pool.n_background, size=(n_samples, len(pool.names)))
        places[0] = pool.n_background + i
        flat = _flat(places)
        z = codes.take(flat) == codes[pool.n_background + i]
        return pool.take(places, flat), np.asfortranarray(z)  # the fit is faster column by column

    return draw


def _own_share(codes: np.ndarray, n_background: int) -> np.ndarray:
    """Share of the background rows in the instance's own bin, (n, p)."""
    return np.array([(codes[:n_background] == own).mean(axis=0) for own in codes[n_background:]])


def _bin_codes(numbers: np.ndarray, n_background: int, bins: int) -> np.ndarray:
    """For each row of numbers how many quantiles of its background they exceed: quantile bins, closed on the right.

    Where the largest value fills all of them but the last, it has that bin for itself.
    """
    known = np.sort(numbers[:, :n_background], axis=1)
    largest = known[:, -1:]
    place = np.arange(1, bins) / bins * (n_background - 1)
    below = place.astype(int)
    edges = known[:, below] + (known[:, below + 1] - known[:, below]) * (place - below)
    edges[edges == largest] = np.inf
    for j in np.flatnonzero(np.isinf(edges).all(axis=1)):
        edges[j, 0] = known[j][known[j] < largest[j]][-1]
    codes = np.zeros(numbers.shape, dtype=np.min_scalar_type(bins))
    for edge in edges.T:
        codes += numbers > edge[:, None]  # faster than a search for few edges
    return codes


def _by_normals(pool: _Pool, around: str) -> Callable[[int, int, np.random.Generator], tuple[Any, np.ndarray]]:
    """Numbers from a normal distribution, z in standard deviations from the instance; categories as with bins."""
    scale, m = pool.scale, pool.n_background
    numbers = {j: pool.numbers(j) for j in np.flatnonzero(pool.numeric).tolist()}
    centre = {j: values[:m].mean() for j, values in numbers.items()}
    codes = {j: pd.factorize(np.asarray(pool.columns[j]))[0] for j in np.flatnonzero(~pool.numeric).tolist()}

    def draw(i: int, n_samples: int, rng: np.random.Generator) -> tuple[Any, np.ndarray]:
        # drawn in any case, so that an array and its DataFrame have the same neighbours
        places = rng.integers(m, size=(n_samples, len(pool.names)))
        if pool.all_numbers is not None:
            own = pool.all_numbers[m + i]
            middle = own if around == "instance" else np.array(list(centre.values()))
            steps = rng.standard_normal(places.shape[::-1]).T
            rows = np.multiply(steps, scale, order="C")
            rows += middle
            rows[0] = own
            z = rows - own
            z /= scale
            return rows, z
        places[0] = m + i
        rows, z = pool.take(places), np.empty(places.shape)
        for j in range(len(pool.names)):
            if j in codes:
                z[:, j] = codes[j][places[:, j]] == codes[j][m + i]
                continue
            own = numbers[j][m + i]
            values = (own if around == "instance" else centre[j]) + scale[j] * rng.standard_normal(n_samples)
            values[0] = own
            z[:, j] = (values - own) / scale[j]
            if pool.matrix is not None:
                rows[:, j] = values
            else:
                rows[j] = values
        return rows, z

    return draw


def _attribution(pool: _Pool, X: Any, found: list[Any], words: str, details: dict[str, Any]) -> Attribution:
    """All instances' fits as one result; the output axis disappears for a model with one number per row."""
    predictions = np.array([prediction for prediction, *_ in found])
    fits = [fits for _, fits, *_ in found]
    values = np.array([[f.coefficients for f in row] for row in fits])
    errors = np.array([[f.std_errors for f in row] for row in fits])
    at_instance = np.array(
        [[f.intercept + z0 @ f.coefficients for f in row] for row, (_, _, z0, _) in zip(fits, found, strict=True)]
    )
    base = at_instance - values.sum(axis=2)
    fidelity = np.array([[f.fidelity for f in row] for row in fits])
    effective = np.array([row[0].effective_samples for row in fits])
    details["intercept"] = np.array([[f.intercept for f in row] for row in fits])
    if "scale" in details:
        details["slopes"] = values / details["scale"]
    if values.shape[1] == 1:
        values, errors, base, predictions, fidelity = (a[:, 0] for a in (values, errors, base, predictions, fidelity))
        details |= {key: details[key][:, 0] for key in ("intercept", "slopes") if key in details}
    details |= {"fidelity": fidelity, "effective_samples": effective}
    sentences = [_warning(fidelity, effective, len(fits[0][0].selected)), _rare_sides(pool.names, details.get("fewer_side"))]
    details["warning"] = " ".join(filter(None, sentences))
    method = _method(words, details)
    return Attribution(values, base, predictions, pool.names, X, method, errors, details)


def _method(words: str, details: dict[str, Any]) -> str:
    """What was computed, and in plain sight how well the line fits."""
    fit = f"weighted ridge ({details['ridge']:g})" if details["ridge"] else "weighted least squares"
    low, high = float(np.min(details["fidelity"])), float(np.max(details["fidelity"]))
    fidelity = f"{low:.2f}" if f"{low:.2f}" == f"{high:.2f}" else f"{low:.2f} to {high:.2f}"
    mark = ", TOO LOW" if low < LOW_FIDELITY else ""
    mark += ", TOO FEW SAMPLES COUNT" if "too narrow" in details["warning"] else ""
    return f"LIME, {fit}, {words}, kernel width {details['kernel_width']:.3g}, fidelity {fidelity}{mark}"


def _warning(fidelity: np.ndarray, effective: Any, n_coefficients: int) -> str:
    """Sentences about what should not be trusted; empty when nothing stands out."""
    sentences = []
    low = int(np.count_nonzero(np.asarray(fidelity) < LOW_FIDELITY))
    if low:
        which = "" if np.size(fidelity) == 1 else f" for {low} of {np.size(fidelity)} explanations"
        sentences.append(
            f"fidelity below {LOW_FIDELITY}{which}: around the instance the line misses more than half of what the model does."
        )
    few = int(np.count_nonzero(np.asarray(effective) < FEW_PER_COEFFICIENT * (n_coefficients + 1)))
    if few:
        sentences.append(
            f"only about {np.min(effective):.0f} samples count for {n_coefficients} coefficients: the kernel is too narrow."
        )
    return " ".join(sentences)


def _rare_sides(names: list[str], fewer: np.ndarray | None) -> str:
    """A sentence about features of which one side of the bin was hardly drawn."""
    counts = np.full(len(names), np.inf) if fewer is None else fewer.min(axis=0)
    rare = np.argsort(counts, kind="stable")[: np.count_nonzero(counts < FEW_ON_A_SIDE)]
    if not len(rare):
        return ""
    first = ", ".join(f"{names[j]} ({counts[j]:.0f})" for j in rare[:3]) + (" and others" if len(rare) > 3 else "")
    return f"fewer than {FEW_ON_A_SIDE} samples on one side of the bin of {first}: weight and error are guesses there."


# masks of words and segments --------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class _Masks:
    """What each version keeps, (n, d), with the versions' probabilities when all are listed; the instance comes first.

    ``distinct`` are the different ones, which alone are asked, and ``place`` says where each mask is among them.
    """

    kept: np.ndarray
    probability: np.ndarray | None
    distinct: np.ndarray
    place: np.ndarray


def _word_masks(d: int, n_samples: int, rng: np.random.Generator) -> _Masks:
    """Remove s words, s uniform from 0 to d; every version of a short text."""
    if 2**d <= n_samples:
        kept = _all_masks(d)
        size = kept.sum(axis=1)
        return _listed(kept, 1 / ((d + 1) * np.bincount(size)[size]))
    order = rng.random((n_samples, d)).argsort(axis=1).argsort(axis=1)
    kept = order >= rng.integers(d + 1, size=(n_samples, 1))
    return _drawn(kept)


def _segment_masks(d: int, n_samples: int, rng: np.random.Generator) -> _Masks:
    """Keep each segment with probability one half; every version of a coarse picture."""
    if 2**d <= n_samples:
        return _listed(_all_masks(d), np.full(2**d, 0.5**d))
    return _drawn(rng.integers(2, size=(n_samples, d)).astype(bool))


def _all_masks(d: int) -> np.ndarray:
    """All subsets of d parts, the full one first."""
    return (np.arange(2**d)[::-1, None] >> np.arange(d)) % 2 == 1


def _listed(kept: np.ndarray, probability: np.ndarray) -> _Masks:
    return _Masks(kept, probability, kept, np.arange(len(kept)))


def _drawn(kept: np.ndarray) -> _Masks:
    kept[0] = True
    packed = np.packbits(kept, axis=1)
    rows = np.ascontiguousarray(packed).view(np.dtype((np.void, packed.shape[1]))).ravel()
    _, first, place = np.unique(rows, return_index=True, return_inverse=True)
    return _Masks(kept, None, kept[first], place)


def _cosine_distance(kept: np.ndarray) -> np.ndarray:
    """One minus the cosine of the angle between a mask and the mask of ones; 1 for the empty one."""
    return 1 - np.sqrt(kept.mean(axis=1))


def _of_masks(
    masks: _Masks, answers: np.ndarray, distances: np.ndarray, options: tuple[float, float, int | None, str],
    names: list[str], instance: Any, words: str,
) -> Attribution:  # fmt: skip
    """The explanation of one text or image from the model's answers to its distinct versions."""
    width, ridge, n_features, selection = options
    y, exact = answers[masks.place], masks.probability is not None
    w = np.exp(-(distances**2) / (2 * width**2))
    if masks.probability is not None:
        w = w * masks.probability * len(w)  # mean one over the drawing, so that a ridge means the same
    fit = _fit(masks.kept.astype(float), y, w, ridge, n_features, selection)
    details: dict[str, Any] = {
        "kernel_width": width, "ridge": ridge, "n_samples": len(y), "n_evaluations": len(answers), "exact": exact,
        "intercept": fit.intercept, "fidelity": fit.fidelity, "effective_samples": fit.effective_samples,
    }  # fmt: skip
    details["warning"] = _warning(np.array(fit.fidelity), np.inf if exact else fit.effective_samples, len(fit.selected))
    sampling = "all versions" if exact else f"{len(y)} versions"
    method = _method(f"{words}, {sampling}", details)
    errors = None if exact else fit.std_errors
    return Attribution(fit.coefficients, fit.intercept, float(y[0]), names, instance, method, errors, details)


def _numbered(words: list[str]) -> list[str]:
    """Names that tell a repeated word's places apart: "now", "now (2)"."""
    seen: dict[str, int] = {}
    names = []
    for word in words:
        seen[word] = seen.get(word, 0) + 1
        names.append(word if seen[word] == 1 else f"{word} ({seen[word]})")
    return names


def _segments(segments: Any, images: np.ndarray) -> np.ndarray:
    """Segment numbers 0, 1, ... without gaps, (n, height, width)."""
    given = np.asarray(segments)
    if given.dtype.kind not in "biu":
        raise TypeError(f"segments must be whole numbers, one per pixel, not {given.dtype}.")
    n, (height, width) = len(images), images.shape[2:]
    if given.shape not in ((height, width), (n, height, width)):
        raise ValueError(f"segments must have shape ({height}, {width}) or ({n}, {height}, {width}), not {given.shape}.")
    each = given if given.ndim == 3 else given[None]
    numbered = np.stack([np.unique(s, return_inverse=True)[1].reshape(s.shape) for s in each])
    if (numbered.max(axis=(1, 2)) == 0).any():
        raise ValueError("segments must hold at least two different numbers per image: one segment has no neighbours.")
    return np.broadcast_to(numbered, (n, height, width))


def _filled(image: np.ndarray, segments: np.ndarray, replacement: Any) -> np.ndarray:
    """The picture with every segment replaced."""
    if isinstance(replacement, str):
        check.one_of(replacement, "replacement", ["mean"])
        counts = np.bincount(segments.ravel())
        means = [np.bincount(segments.ravel(), weights=channel.ravel()) / counts for channel in image]
        return np.stack([mean[segments] for mean in means]).astype(image.dtype if image.dtype.kind == "f" else float)
    values = check.array(replacement, "replacement")
    try:
        return np.broadcast_to(values, image.shape).astype(image.dtype if image.dtype.kind == "f" else float)
    except ValueError:
        raise ValueError(f"replacement of shape {values.shape} does not fit an image of shape {image.shape}.") from None


def _targets(target: Any, n: int) -> np.ndarray:
    classes = np.asarray(target)
    if classes.dtype.kind not in "iu" or classes.shape not in ((), (n,)) or (classes < 0).any():
        raise ValueError(f"target must be one class number, or one for each of the {n} images, not {check.shown(target)}.")
    return np.broadcast_to(classes, n)


def _one_class(values: np.ndarray, target: int | None) -> np.ndarray:
    if target is None:
        if values.ndim == 2:
            raise ValueError(f"predict returns {values.shape[1]} columns: say which one to explain with target=.")
        return values
    if values.ndim == 1 or target >= values.shape[1]:
        raise ValueError(f"target {target} is out of range: predict returns an array of shape {values.shape}.")
    return values[:, target]


# stability --------------------------------------------------------------------------------------------------------------


def _one_explanation(found: Any) -> Attribution:
    if not isinstance(found, Attribution) or found.values.ndim == 3 or np.atleast_2d(found.values).shape[0] != 1:
        raise TypeError("explain must return the Attribution of one instance and one output.")
    return found


def _stated(found: Attribution) -> np.ndarray:
    return np.full(found.values.size, np.nan) if found.std_errors is None else np.ravel(found.std_errors)


def _agreement(values: np.ndarray, top: int) -> tuple[float, float]:
    """Mean rank correlation over all pairs of runs, and the share of pairs with the same largest features."""
    first, second = np.array(list(combinations(range(len(values)), 2))).T
    tops = np.sort(np.argsort(-np.abs(values), axis=1, kind="stable")[:, :top], axis=1)
    same = (tops[first] == tops[second]).all(axis=1)
    return float(rank_agreement(values[first], values[second]).mean()), float(same.mean())


def _enough(sizes: np.ndarray, stable: np.ndarray) -> int | None:
    """The smallest size from which on all are stable."""
    unstable = np.flatnonzero(~stable)
    start = 0 if len(unstable) == 0 else int(unstable[-1]) + 1
    return int(sizes[start]) if start < len(sizes) else None
