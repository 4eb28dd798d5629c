"""Probing: can a property be read off a network's values, is it there beyond what the probe learns by itself, and is it used?

A probe is a small classifier from the values at a hook point to labels. Its accuracy alone says little: a large probe learns any
labels, words carry their own labels, and what can be read need not be used. Hence control tasks and selectivity, splits by word
or sentence, untrained networks, code length, a permutation test with a stated error rate, and erasure: take the direction out and
see whether the behaviour changes.

Probes are scikit-learn classifiers. Rows are positions of sequences; ``groups`` keep rows of one word or sentence on one side of
every split.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import torch
from scipy import stats
from sklearn.pipeline import Pipeline
from torch import Tensor, nn

from xailib import _transformers
from xailib import _validation as check
from xailib._networks import blocks, require_network
from xailib._probes import (
    TEST_SHARE,
    Split,
    accuracies,
    between_means,
    check_splits,
    coded,
    codes_of,
    groups_of,
    labels_of,
    linear,
    mlp,
    name_of,
    nullspaces,
    probe_of,
    random_directions,
    rows_of,
    same_length,
    shuffled,
    splits,
    values_of,
)
from xailib.zoo.transformer import Transformer, hook_points

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = [
    "Amnesic",
    "CodeLength",
    "Detection",
    "Eraser",
    "Measurement",
    "Sweep",
    "activations",
    "amnesic",
    "code_length",
    "control_labels",
    "detect",
    "eraser",
    "linear_probe",
    "measure",
    "mlp_probe",
    "sweep",
    "untrained",
]

#: sequences per model call
BATCH_SIZE = 256
#: the token that fills rows up at their end, as :class:`xailib.text.Vocabulary` has it
PADDING = 0
#: where the blocks of an online code end, as shares of the rows (as in Voita & Titov 2020)
CODE_ENDS = (0.001, 0.002, 0.004, 0.008, 0.016, 0.032, 0.0625, 0.125, 0.25, 0.5, 1.0)

_Behaviour = Callable[[np.ndarray], np.ndarray]


# --- results ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Measurement:
    """How well a probe reads a property, split after split.

    Attributes
    ----------
    accuracy : (r,) share of test rows that the probe labels right
    majority : (r,) the same for the training part's most frequent label
    control : (r,) the same for a probe fitted to a control task on the same split; None without types
    seen : mean share of test rows whose type is also in the training part; NaN without types
    n_train, n_test : rows that train and test in a split, mean
    overlap : rows that test divided by those that do not, before any training rows were left out
    probe : what was fitted
    """

    accuracy: np.ndarray
    majority: np.ndarray
    control: np.ndarray | None
    seen: float
    n_train: float
    n_test: float
    overlap: float
    probe: str

    @property
    def selectivity(self) -> np.ndarray:
        """Accuracy minus control accuracy, (r,)."""
        if self.control is None:
            raise ValueError("there is no control task: give types to measure.")
        return self.accuracy - self.control

    def interval(self, what: str = "accuracy", *, level: float = 0.95) -> tuple[float, float, float]:
        r"""Mean over the splits with an interval that allows for their overlap.

        .. math:: \bar v \pm t_{r-1}\, s\, \sqrt{\tfrac1r + \frac{n_{test}}{n - n_{test}}}

        Parameters
        ----------
        what : {"accuracy", "control", "selectivity", "majority", "gain"}
            ``"gain"``: accuracy minus majority.
        level : float in (0, 1)

        Returns
        -------
        (mean, lower, upper)

        Notes
        -----
        Splits share most of their rows, so the plain :math:`s / \sqrt r` is far too small; the term for the overlap is that of
        Nadeau & Bengio (2003). Cut at what is possible. Where no split differs the interval has no width, which is no certainty:
        n test rows without an error still allow an error rate of about 3.7 / n. Taught in chapter 11.
        """
        check.one_of(what, "what", ["accuracy", "control", "selectivity", "majority", "gain"])
        check.number(level, "level", low=0, high=1, open_low=True, open_high=True)
        values = self.accuracy - self.majority if what == "gain" else getattr(self, what)
        if values is None:
            raise ValueError("what='control' needs a control task: give types to measure.")
        lowest = -1.0 if what in ("gain", "selectivity") else 0.0
        half = _half_width(values, self.overlap, level)
        return float(values.mean()), max(float(values.mean()) - half, lowest), min(float(values.mean()) + half, 1.0)

    def difference(self, other: Measurement, *, level: float = 0.95) -> tuple[float, float, float]:
        r"""Accuracy minus that of another measurement, split by split, with the interval of :meth:`interval`.

        .. math:: \bar d \pm t_{r-1}\, s_d\, \sqrt{\tfrac1r + \frac{n_{test}}{n - n_{test}}},
            \qquad d_j = \text{acc}_j - \text{acc}'_j

        Parameters
        ----------
        other : Measurement on the same splits: the same rows, groups, number of splits and seed
        level : float in (0, 1)

        Returns
        -------
        (mean, lower, upper)

        Raises
        ------
        ValueError
            If the splits cannot be the same ones.

        Notes
        -----
        Two accuracies on the same test rows go up and down together; their difference is much surer than either. Taught in
        chapter 11.
        """
        check.instance(other, Measurement, "other")
        check.number(level, "level", low=0, high=1, open_low=True, open_high=True)
        mine, theirs = ((len(one.accuracy), one.n_test, one.overlap) for one in (self, other))
        if mine != theirs:
            given = f"{theirs[0]} splits with {theirs[1]:g} test rows instead of {mine[0]} with {mine[1]:g}"
            raise ValueError(f"other must come from the same splits, but has {given}: measure both with the same rows and seed.")
        differences = self.accuracy - other.accuracy
        mean, half = float(differences.mean()), _half_width(differences, self.overlap, level)
        return mean, mean - half, mean + half

    def to_frame(self) -> pd.DataFrame:
        """One row each for accuracy, majority, control and selectivity: mean and interval."""
        names = ["accuracy", "majority", *([] if self.control is None else ["control", "selectivity"])]
        rows = [self.interval(name) for name in names]
        return pd.DataFrame(rows, columns=["mean", "low", "high"], index=pd.Index(names, name="what"))

    def plot(self, ax: Axes | None = None) -> Axes:
        """The means as dots with their intervals."""
        from xailib import plots

        frame = self.to_frame()
        ax = plots.axes(ax, figsize=(6.4, 0.9 + 0.4 * len(frame)))
        places = np.arange(len(frame))[::-1]
        ax.hlines(places, frame["low"], frame["high"], color=plots.ANCHOR)
        ax.plot(frame["mean"], places, "o", color=plots.ANCHOR)
        ax.set_yticks(places, frame.index)
        ax.set(xlabel="share of held-out rows", ylim=(-0.5, len(frame) - 0.5))
        return ax

    def __repr__(self) -> str:
        table = "; ".join(f"{r.Index} {r.mean:.2f} ({r.low:.2f} to {r.high:.2f})" for r in self.to_frame().itertuples())
        known = "" if self.control is None else f"; types of {self.seen:.0%} of the test rows seen in training"
        return f"Measurement({self.probe}; {len(self.accuracy)} splits, {self.n_test:.0f} test rows; {table}{known})"


@dataclass(frozen=True, eq=False)
class Detection:
    """Is a property there? Held-out accuracies, and those of the same probe on shuffled labels.

    Attributes
    ----------
    points : the hook points, or the one name ``"values"``
    accuracy : (k,) share of test rows labelled right at each of k points
    null : (m, k) the same after each of m shuffles
    p_value, p_corrected : (k,) alone, and against the best of all points in each shuffle
    level : float
    """

    points: tuple[str, ...]
    accuracy: np.ndarray
    null: np.ndarray = field(repr=False)
    p_value: np.ndarray
    p_corrected: np.ndarray
    level: float

    @property
    def present(self) -> np.ndarray:
        """True where the corrected p-value is at most the level, (k,)."""
        return self.p_corrected <= self.level + 1e-12

    def to_frame(self) -> pd.DataFrame:
        """One row per point: accuracy, mean of the shuffled ones, p-values, decision."""
        return pd.DataFrame(
            {
                "point": self.points,
                "accuracy": self.accuracy,
                "shuffled": self.null.mean(axis=0),
                "p_value": self.p_value,
                "p_corrected": self.p_corrected,
                "decision": np.where(self.present, "present", "not found"),
            }
        )

    def plot(self, ax: Axes | None = None) -> Axes:
        """Accuracies as dots above those of shuffled labels."""
        from xailib import plots

        ax = plots.axes(ax, figsize=(6.4, 3.2))
        shake = np.random.default_rng(0).uniform(-0.12, 0.12, self.null.shape)
        ax.plot(np.arange(len(self.points)) + shake, self.null, "x", color=plots.CONTEXT, ms=4)
        ax.plot(range(len(self.points)), self.accuracy, "o", color=plots.ANCHOR)
        ax.set_xticks(range(len(self.points)), map(_short, self.points))
        ax.set(ylabel="held-out accuracy", title="dots: the labels; crosses: shuffled labels")
        return ax

    def __repr__(self) -> str:
        rows = self.to_frame().iloc[:4].itertuples()
        found = "; ".join(f"{r.point} {r.accuracy:.2f}, p = {r.p_corrected:.3f}, {r.decision}" for r in rows)
        return f"Detection({len(self.null)} shuffles; {found})"


@dataclass(frozen=True, eq=False)
class CodeLength:
    """Bits to send the labels to somebody who has the values, and the probe's recipe.

    Attributes
    ----------
    bits : (r,) length of the online code, one per order of the rows
    uniform_bits : length if every label costs log2(number of classes)
    frequency_bits : (r,) length of an online code that knows the labels' frequencies so far, and no values
    block_bits, block_rows : (r, b) what each block costs, and its number of rows
    probe : what was fitted
    """

    bits: np.ndarray
    uniform_bits: float
    frequency_bits: np.ndarray
    block_bits: np.ndarray = field(repr=False)
    block_rows: np.ndarray = field(repr=False)
    probe: str

    @property
    def compression(self) -> float:
        """Uniform code length divided by the mean online code length; 1 is no better than knowing nothing."""
        return float(self.uniform_bits / self.bits.mean())

    @property
    def information(self) -> float:
        """Bits saved per label against the code that knows the frequencies only; near or below zero: nothing easily read."""
        return float((self.frequency_bits - self.bits).mean() / self.block_rows[0].sum())

    def to_frame(self) -> pd.DataFrame:
        """One row per block of the first order: rows before it, its own rows, bits, bits per label."""
        rows, bits = self.block_rows[0], self.block_bits[0]
        before = np.cumsum(rows) - rows
        return pd.DataFrame({"rows_before": before, "rows": rows, "bits": bits, "bits_per_label": bits / rows})

    def plot(self, ax: Axes | None = None) -> Axes:
        """Bits per label against the rows that came before."""
        from xailib import plots

        ax = plots.axes(ax, figsize=(6.4, 3.2))
        frame = self.to_frame()
        ax.plot(frame["rows_before"].clip(lower=1), frame["bits_per_label"], "o-", color=plots.ANCHOR, label=self.probe)
        ax.axhline(self.uniform_bits / self.block_rows[0].sum(), color=plots.CONTEXT, ls="--", label="uniform code")
        ax.set(xscale="log", xlabel="labels sent before the block", ylabel="bits per label in the block")
        ax.legend()
        return ax

    def __repr__(self) -> str:
        total = f"{self.bits.mean():.0f} bits of {self.uniform_bits:.0f}, compression {self.compression:.2f}"
        return f"CodeLength({self.probe}; {total}; {self.information:+.3f} bits per label beyond the frequencies)"


@dataclass(frozen=True, eq=False)
class Sweep:
    """A probe at several points of a network, beside the same probe on untrained networks of its shape.

    Attributes
    ----------
    measurements : point -> Measurement
    untrained : (networks, points, splits) accuracy on each untrained network, on the same splits; no networks without
    """

    measurements: dict[str, Measurement]
    untrained: np.ndarray

    def to_frame(self) -> pd.DataFrame:
        """One row per point, each with low and high end of the 95 % interval.

        ``accuracy`` and ``selectivity`` over splits; ``untrained`` the mean over untrained networks, and ``learnt`` the accuracy
        minus it, split by split. Its interval allows for other splits *and* other untrained networks: the half-widths of both,
        :math:`\\sqrt{h_{splits}^2 + h_{networks}^2}`.
        """
        rows = []
        for j, (point, one) in enumerate(self.measurements.items()):
            row: dict[str, Any] = {"point": point} | _named("accuracy", one.interval()) | {"majority": one.majority.mean()}
            if one.control is not None:
                row |= {"control": one.control.mean()} | _named("selectivity", one.interval("selectivity"))
            if len(self.untrained):
                row |= {"untrained": self.untrained[:, j].mean()}
                row |= _named("learnt", _learnt(one, self.untrained[:, j]))
            rows.append(row)
        return pd.DataFrame(rows)

    def plot(self, ax: Axes | None = None) -> Axes:
        """Accuracy, control and untrained networks by point."""
        from xailib import plots

        frame, ax = self.to_frame(), plots.axes(ax, figsize=(7, 3.5))
        x = np.arange(len(frame))
        ax.vlines(x, frame["accuracy_low"], frame["accuracy_high"], color=plots.ANCHOR)
        ax.plot(x, frame["accuracy"], "o-", color=plots.ANCHOR, label="trained network")
        if "control" in frame:
            ax.plot(x, frame["control"], "s:", color=plots.NEGATIVE, label="control task")
        if len(self.untrained):
            ax.plot(x, self.untrained.mean(axis=2).T, "x", color=plots.CONTEXT)
            ax.plot(x, frame["untrained"], "x--", color=plots.CONTEXT, label="untrained networks")
        ax.plot(x, frame["majority"], color="black", lw=0.8, label="most frequent label")
        ax.set_xticks(x, map(_short, frame["point"]))
        ax.set(ylabel="held-out accuracy", xlabel="hook point")
        ax.legend(fontsize=8, loc="upper left", bbox_to_anchor=(1.01, 1))
        return ax

    def __repr__(self) -> str:
        rows = self.to_frame().itertuples()
        return f"Sweep({'; '.join(f'{r.point} {r.accuracy:.2f}' for r in rows)}; {len(self.untrained)} untrained networks)"


@dataclass(frozen=True, eq=False)
class Eraser:
    r"""Directions to take out of a value: :math:`x \mapsto x - (x - \mu) V^\top V`.

    Attributes
    ----------
    directions : V, (k, d), at right angles to each other, length 1
    mean : (d,), what the removed part is replaced by, so that a value stays where values are
    method : how the directions were found
    """

    directions: np.ndarray
    mean: np.ndarray
    method: str

    def apply(self, A: Any) -> np.ndarray:
        """The values without the directions, (n, d).

        Parameters
        ----------
        A : (n, d) values
        """
        values = values_of(A, "A", min_rows=1)
        if values.shape[1] != len(self.mean):
            raise ValueError(f"A has {values.shape[1]} numbers a row, but the eraser was made for {len(self.mean)}.")
        return values - (values - self.mean) @ self.directions.T @ self.directions

    def removed_share(self, A: Any) -> float:
        """Share of the values' variance that lies in the directions.

        Parameters
        ----------
        A : (n, d) values, n >= 2
        """
        values = values_of(A, "A", min_rows=2)
        before, after = values.var(axis=0).sum(), self.apply(values).var(axis=0).sum()
        return float(1 - after / before) if before > 0 else 0.0

    def __repr__(self) -> str:
        k, d = self.directions.shape
        return f"Eraser({self.method}; {k} of {d} directions)"


@dataclass(frozen=True, eq=False)
class Amnesic:
    """What a network does without some directions of its values, beside what it does without random ones.

    Attributes
    ----------
    before, after : (n,) behaviour per sequence
    random : (m, n) behaviour without as many random directions
    removed, random_removed : share of the variance at the point that was taken out; (m,) for the random directions
    point, method : where, and how the directions were found
    n_directions : int
    """

    before: np.ndarray
    after: np.ndarray
    random: np.ndarray = field(repr=False)
    removed: float
    random_removed: np.ndarray = field(repr=False)
    point: str
    method: str
    n_directions: int

    @property
    def effect(self) -> float:
        """Mean change of the behaviour."""
        return float((self.after - self.before).mean())

    @property
    def random_effects(self) -> np.ndarray:
        """The same for each set of random directions, (m,)."""
        return (self.random - self.before).mean(axis=1)

    @property
    def p_value(self) -> float:
        """Share of random sets, this one included, that change the behaviour at least as much, in either direction."""
        as_much = np.abs(self.random_effects) >= abs(self.effect) - 1e-12
        return float((1 + as_much.sum()) / (1 + len(as_much)))

    def to_frame(self) -> pd.DataFrame:
        """Untouched, erased, and the mean over random directions: behaviour, share above zero, share of variance removed."""
        rows = {
            "untouched": (self.before.mean(), (self.before > 0).mean(), 0.0),
            "erased": (self.after.mean(), (self.after > 0).mean(), self.removed),
            "random": (self.random.mean(), (self.random > 0).mean(), self.random_removed.mean()),
        }
        columns = ["behaviour", "above_zero", "variance_removed"]
        return pd.DataFrame.from_dict(rows, orient="index", columns=columns).rename_axis("values")

    def plot(self, ax: Axes | None = None) -> Axes:
        """The change without the directions, among the changes without random ones."""
        from xailib import plots

        ax = plots.axes(ax, figsize=(6.4, 2.2))
        shake = np.random.default_rng(0).uniform(-0.25, 0.25, len(self.random))
        ax.plot(self.random_effects, shake, "x", color=plots.CONTEXT, label="random directions")
        ax.plot(self.effect, 0, "o", color=plots.ANCHOR, ms=8, label="the property's directions")
        ax.axvline(0, color="black", lw=0.8)
        ax.set(ylim=(-0.6, 0.6), yticks=[], xlabel="mean change of the behaviour")
        ax.legend(fontsize=8)
        return ax

    def __repr__(self) -> str:
        changed = f"{self.before.mean():.2f} to {self.after.mean():.2f}, random {self.random.mean():.2f}, p = {self.p_value:.3f}"
        return f"Amnesic({self.n_directions} directions by {self.method} at {self.point}: behaviour {changed})"


# --- values -----------------------------------------------------------------------------------------------------------


def activations(
    model: nn.Module,
    tokens: Any,
    point: str,
    positions: Any = None,
    *,
    erase: Mapping[str, Eraser] | None = None,
    erase_positions: Any = None,
    padding: int | None = PADDING,
    batch_size: int = BATCH_SIZE,
) -> np.ndarray:
    """What passes a hook point, as one row of numbers per position.

    Parameters
    ----------
    model : torch module with hook points, such as :class:`xailib.zoo.transformer.Transformer`
    tokens : (n, l) whole numbers
    point : name of a hook point
        Points with an axis of heads give the heads' numbers side by side; attention patterns give the rows of all heads.
    positions : None, int, (n,) ints, (n, l) booleans or "mean"
        Which positions: all real tokens, the same one in each sequence, one per sequence, those marked, or the mean over the
        real tokens of each sequence. Rows come sequence by sequence, in reading order. Counted from 0; none may be padding.
    erase : hook point -> Eraser, or None
        What to take out on the way, which later points then no longer see.
    erase_positions : like ``positions`` (not "mean"): where to take it out; by default at all real tokens
    padding : int or None, the token that fills sequences up at their end, or None if nothing does
    batch_size : int, sequences per model call

    Returns
    -------
    (rows, d) float64

    Raises
    ------
    TypeError, ValueError
        If the hook point is unknown (the message lists the ones there are), the tokens are no batch that the model reads (empty,
        too long, not in its vocabulary), or a position lies outside.

    Notes
    -----
    Taught in chapter 11.

    Examples
    --------
    >>> model = Transformer(vocabulary=10, context=6)
    >>> activations(model, [[1, 2, 3], [4, 5, 6]], "blocks.0.resid_post", positions=2).shape
    (2, 64)
    """
    _transformers.point(model, point)
    x = _transformers.token_batch(model, tokens)
    mean = isinstance(positions, str) and positions == "mean"
    real = _real(x, padding)
    marked = _marked(None if mean else positions, real)
    where = _marked(erase_positions, real, "erase_positions")
    _check_erase(model, erase)
    check.number(batch_size, "batch_size", low=1, integer=True)
    values = _record(model, x, [point], batch_size, erase, where)[1][point]
    return _mean_rows(values, marked) if mean else values[marked].numpy().astype(np.float64)


def untrained(model: nn.Module, random_state: Any = 0) -> nn.Module:
    """A network of the same shape with fresh random weights; the model itself is not changed.

    Parameters
    ----------
    model : torch module all of whose parameters belong to layers that know how to start anew (``reset_parameters``)
    random_state : int, Generator or None

    Raises
    ------
    ValueError
        If a parameter belongs to no such layer: it would stay trained.

    Notes
    -----
    Random networks pass on much of their input, so a probe on one shows what the trained network need not have learnt
    (Zhang & Bowman 2018). Use several seeds. Taught in chapter 11.

    Examples
    --------
    >>> model = Transformer(vocabulary=10, context=6)
    >>> fresh = untrained(model, random_state=1)
    >>> bool((fresh.output.weight == model.output.weight).any())
    False
    """
    require_network(model)
    seed = int(check.random_generator(random_state).integers(2**31))
    resettable = [name for name, module in model.named_modules() if hasattr(module, "reset_parameters")]
    for name, _ in model.named_parameters():
        if name.rpartition(".")[0] not in resettable:
            raise ValueError(f"model's parameter {name!r} belongs to no layer with reset_parameters, so it would stay trained.")
    fresh = copy.deepcopy(model)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        for name in resettable:
            fresh.get_submodule(name).reset_parameters()  # type: ignore[operator]
        if isinstance(fresh, Transformer):  # its own start is smaller than torch's
            for embedding in (fresh.tokens, fresh.positions):
                nn.init.normal_(embedding.weight, std=0.1)
    return fresh


# --- probes -----------------------------------------------------------------------------------------------------------


def linear_probe(penalty: float = 1.0) -> Pipeline:
    r"""Logistic regression on standardised values.

    .. math:: \min_{W, b}\ \sum_i -\log \mathrm{softmax}(W z_i + b)_{y_i} + \frac{\lambda}{2} \|W\|^2

    Parameters
    ----------
    penalty : float above 0, :math:`\lambda`

    Notes
    -----
    Standardised by the training rows, so that the penalty means the same at every hook point. Taught in chapter 11.
    """
    check.number(penalty, "penalty", low=0, open_low=True)
    return linear(penalty)


def mlp_probe(hidden: int = 64, *, penalty: float = 1.0, steps: int = 50) -> Pipeline:
    """One hidden layer of rectified units on standardised values.

    Parameters
    ----------
    hidden : int, units
    penalty : float from 0, on the squared weights
    steps : int, L-BFGS steps; the fit stops there, which limits the probe as its width does

    Notes
    -----
    The more units, the more a probe can learn by itself: measure it with a control task. Taught in chapter 11.
    """
    check.number(hidden, "hidden", low=1, integer=True)
    check.number(penalty, "penalty", low=0)
    check.number(steps, "steps", low=1, integer=True)
    return mlp(hidden, penalty, steps)


def control_labels(types: Any, y: Any, *, random_state: Any = 0) -> np.ndarray:
    r"""The labels of a control task: every type gets one random label, and keeps it wherever it stands.

    .. math:: C(t) \sim \hat p(y) \quad \text{independently for each type } t

    Parameters
    ----------
    types : (n,) numbers or texts
        What a probe could learn by heart. For a property of the word at the probed position, the word. Otherwise that part of
        the sequence on which the property depends (the subject, for the number of the subject read at the verb), so that control
        and property are both functions of the same thing.
    y : (n,) the property's labels: control labels are drawn from their frequencies
    random_state : int, Generator or None

    Returns
    -------
    (n,) labels

    Raises
    ------
    TypeError, ValueError
        If types and labels do not fit together, or there is only one class.

    Notes
    -----
    Hewitt & Liang (2019), sect. 2. Where every row is a type of its own (the author of a sentence), control labels cannot be
    learnt, and their accuracy is that of guessing. Where there are only a few types (four kinds of brackets), any probe learns
    them, and selectivity is zero at best, whatever is encoded: choose finer types. Taught in chapter 11.

    Examples
    --------
    >>> words = np.array(["key", "keys", "key", "doors"])
    >>> labels = control_labels(words, [0, 1, 0, 1])
    >>> bool(labels[0] == labels[2])
    True
    """
    labels = labels_of(y)
    of_row = codes_of(types, "types", len(labels))
    return check.random_generator(random_state).choice(labels, size=of_row.max() + 1)[of_row]


# --- is it there, and beyond what the probe learns? -------------------------------------------------------------------


def measure(
    A: Any,
    y: Any,
    *,
    types: Any = None,
    groups: Any = None,
    probe: Any = "linear",
    n_splits: int = 10,
    test_share: float = TEST_SHARE,
    n_train: int | None = None,
    random_state: Any = 0,
) -> Measurement:
    r"""Held-out accuracy of a probe, of the most frequent label, and of the same probe on a control task.

    .. math:: \text{selectivity} = \text{accuracy on the task} - \text{accuracy on the control task}

    Parameters
    ----------
    A : (n, d) values, as from :func:`activations`
    y : (n,) whole numbers or texts, at least two different
    types : (n,) or None
        What the control task labels, see :func:`control_labels`; every split draws new control labels.
    groups : (n,) or None
        Rows of one group never stand on both sides of a split: words, to keep a probe from knowing them; sentences, where several
        rows come from one.
    probe : {"linear", "mlp"} or a scikit-learn classifier, which is copied
    n_splits : int from 2
    test_share : float in (0, 1), share of the groups
    n_train : int or None, use only so many training rows of each split
    random_state : int, Generator or None

    Returns
    -------
    Measurement

    Raises
    ------
    TypeError, ValueError
        If values, labels, types and groups do not fit together, or there is only one class.

    Notes
    -----
    Hewitt & Liang (2019). A control task is only informative when test types were seen in training (``seen`` near 1): split by
    sentence for selectivity. Split by type, the control is guessing, and the accuracy itself is free of memory. Taught in
    chapter 11.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> A = rng.normal(size=(300, 5))
    >>> measure(A, (A[:, 0] > 0).astype(int)).interval()[0] > 0.9
    True
    """
    values, labels = rows_of(A, y)
    chosen = probe_of(probe)
    kinds = None if types is None else codes_of(types, "types", len(labels))
    of_row = groups_of(groups, len(labels))
    check_splits(n_splits, test_share, low=2)
    if n_train is not None:
        check.number(n_train, "n_train", low=2, integer=True)
    rng = check.random_generator(random_state)
    found = []
    for train, test in splits(of_row, n_splits, test_share, rng):
        overlap = len(test) / len(train)
        train = train if n_train is None else rng.permutation(train)[:n_train]
        one = Split(values, train, test, chosen, int(rng.integers(2**31)))
        control = None if kinds is None else one.accuracy(control_labels(kinds, labels, random_state=rng))
        seen = np.nan if kinds is None else np.isin(kinds[test], kinds[train]).mean()
        found.append((one.accuracy(labels), one.majority(labels), control, seen, len(train), len(test), overlap))
    accuracy, majority, control, *sizes = zip(*found, strict=True)
    controls = None if kinds is None else np.array(control)
    seen, trained, tested, overlap = (float(np.mean(size)) for size in sizes)
    return Measurement(np.array(accuracy), np.array(majority), controls, seen, trained, tested, overlap, name_of(chosen))


def detect(
    A: Any,
    y: Any,
    *,
    groups: Any = None,
    probe: Any = "ridge",
    n_shuffles: int = 99,
    test_share: float = TEST_SHARE,
    level: float = 0.05,
    random_state: Any = 0,
) -> Detection:
    r"""Decide whether a property can be read from values, with a stated rate of false alarms.

    .. math:: p = \frac{1 + \#\{i : T_i \ge T\}}{1 + m}

    :math:`T` is the held-out accuracy on one split, :math:`T_i` the same after the labels were shuffled among the groups.

    Parameters
    ----------
    A : (n, d) values, or a dictionary from names (hook points) to such values
    y : (n,) labels, the same for all rows of a group
    groups : (n,) or None: what was labelled (a sentence, if the property belongs to sentences)
    probe : {"ridge", "linear", "mlp"} or a scikit-learn classifier
        Ridge regression on standardised values solves all shuffles at once; others are fitted again for each.
    n_shuffles : int, m
    test_share : float in (0, 1)
    level : float in (0, 1)
    random_state : int, Generator or None

    Returns
    -------
    Detection
        With several points, ``p_corrected`` compares with the best of them in each shuffle, so that looking at many points costs
        nothing but power.

    Raises
    ------
    TypeError, ValueError
        As :func:`measure`; if labels differ within a group; if so few shuffles can never reach the level.

    Notes
    -----
    If labels were given to groups without regard to their values, each shuffle is as likely as the order we have, so a
    false alarm has at most the probability ``level``, exactly, whatever the probe (Westfall & Young 1993 for several points).
    "Not found" is no proof of absence: state the power. Taught in chapter 11.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> A = rng.normal(size=(300, 5))
    >>> detect(A, (A[:, 0] > 0).astype(int)).present.tolist()
    [True]
    """
    points = dict(A) if isinstance(A, Mapping) else {"values": A}
    if not points:
        raise ValueError("A is empty: give values, or a dictionary from hook points to values.")
    arrays = [values_of(one, "A" if len(points) == 1 else f"A[{name!r}]", min_rows=3) for name, one in points.items()]
    labels = labels_of(y)
    for one in arrays:
        same_length(one, labels)
    chosen = "ridge" if isinstance(probe, str) and probe == "ridge" else probe_of(probe, also=("ridge",))
    of_row = groups_of(groups, len(labels))
    check.number(n_shuffles, "n_shuffles", low=1, integer=True)
    check_splits(1, test_share, low=1)
    check.number(level, "level", low=0, high=1, open_low=True, open_high=True)
    if 1 / (1 + n_shuffles) > level:
        raise ValueError(f"n_shuffles={n_shuffles} cannot reach level={level:g}: take {math.ceil(1 / level) - 1} or more.")
    rng = check.random_generator(random_state)
    Y = shuffled(labels, of_row, n_shuffles, rng)
    ((train, test),) = splits(of_row, 1, test_share, rng)
    T = np.column_stack([accuracies(one, Y, train, test, chosen, int(rng.integers(2**31))) for one in arrays])
    observed, null = T[0], T[1:]
    p = (1 + (null >= observed - 1e-12).sum(axis=0)) / (1 + n_shuffles)
    best = null.max(axis=1, keepdims=True)
    corrected = (1 + (best >= observed - 1e-12).sum(axis=0)) / (1 + n_shuffles)
    return Detection(tuple(map(str, points)), observed, null, p, corrected, float(level))


def code_length(
    A: Any,
    y: Any,
    *,
    groups: Any = None,
    probe: Any = "linear",
    ends: Sequence[float] = CODE_ENDS,
    n_orders: int = 3,
    random_state: Any = 0,
) -> CodeLength:
    r"""Online code length: send the labels block by block, each with a probe fitted to the blocks before.

    .. math:: L = t_1 \log_2 K - \sum_{i \ge 1} \log_2 p_{\theta_i}(y_{t_i+1}, \dots, y_{t_{i+1}} \mid x)

    Parameters
    ----------
    A, y, groups, probe : as in :func:`measure`; a probe needs ``predict_proba``. A group is never cut in two.
    ends : increasing shares of the groups, the last is 1: where blocks end
        The first block is sent with the uniform code, :math:`\log_2 K` bits a label.
    n_orders : int, random orders of the groups
    random_state : int, Generator or None

    Returns
    -------
    CodeLength, in bits

    Raises
    ------
    TypeError, ValueError
        As :func:`measure`, and if the ends do not increase to 1.

    Notes
    -----
    Voita & Titov (2020), sect. 2, online code. The code rewards a property that is *easy* to read: from few examples, with
    certainty. A probe's probabilities count as t rows and the uniform ones as one more, :math:`(t\,p + 1/K) / (t + 1)`, so that
    a label that was never seen costs no infinite number of bits. Taught in chapter 11.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> A = rng.normal(size=(500, 5))
    >>> code_length(A, (A[:, 0] > 0).astype(int)).compression > 2
    True
    """
    values, labels = rows_of(A, y)
    chosen = probe_of(probe)
    if not hasattr(chosen, "predict_proba"):
        raise TypeError(f"probe must give probabilities, and {type(chosen).__name__} has no predict_proba.")
    of_row = groups_of(groups, len(labels))
    shares = check.array(ends, "ends", ndim=1)
    if shares[0] <= 0 or shares[-1] != 1 or (np.diff(shares) <= 0).any():
        raise ValueError(f"ends must increase from above 0 to 1, not {check.shown(ends)}.")
    check.number(n_orders, "n_orders", low=1, integer=True)
    classes, codes = np.unique(labels, return_inverse=True)
    rng = check.random_generator(random_state)
    orders = [coded(values, codes, of_row, len(classes), chosen, shares, rng) for _ in range(n_orders)]
    sent, frequency, rows = (np.array([order[j] for order in orders], dtype=float) for j in range(3))
    uniform = len(labels) * math.log2(len(classes))
    return CodeLength(sent.sum(axis=1), uniform, frequency.sum(axis=1), sent, rows.astype(int), name_of(chosen))


def sweep(
    model: nn.Module,
    tokens: Any,
    y: Any,
    *,
    positions: Any,
    points: Sequence[str] | None = None,
    types: Any = None,
    groups: Any = None,
    probe: Any = "linear",
    n_splits: int = 5,
    n_untrained: int = 5,
    padding: int | None = PADDING,
    random_state: Any = 0,
    batch_size: int = BATCH_SIZE,
) -> Sweep:
    """One probe at every point of a network, and on untrained networks of the same shape.

    Parameters
    ----------
    model, tokens, positions, padding, batch_size : as in :func:`activations`
    y : one label per row that the positions give
    points : names of hook points
        By default the residual stream: ``embedded``, then after attention and after the MLP of each block.
    types, groups, probe, n_splits : as in :func:`measure`; all points and networks share the splits
    n_untrained : int from 0, but not 1: networks, from different seeds; two at least for an interval
    random_state : int, Generator or None

    Returns
    -------
    Sweep

    Raises
    ------
    TypeError, ValueError
        As :func:`activations`, :func:`measure` and :func:`untrained`.

    Notes
    -----
    All points are recorded in one pass. Taught in chapter 11.
    """
    require_network(model)
    names = _stream(model) if points is None else _points(model, points)
    x = _transformers.token_batch(model, tokens)
    mean = isinstance(positions, str) and positions == "mean"
    marked = _marked(None if mean else positions, _real(x, padding))
    labels = labels_of(y)
    rows = len(x) if mean else int(marked.sum())
    if len(labels) != rows:
        raise ValueError(f"y has {len(labels)} labels, but the positions give {rows} rows.")
    if types is not None:
        codes_of(types, "types", rows)
    groups_of(groups, rows)
    chosen = probe_of(probe)
    check_splits(n_splits, TEST_SHARE, low=2)
    check.number(n_untrained, "n_untrained", low=0, integer=True)
    if n_untrained == 1:
        raise ValueError("n_untrained=1 gives no interval: take two networks or more, or 0 for none.")
    check.number(batch_size, "batch_size", low=1, integer=True)
    rng = check.random_generator(random_state)
    seed = int(rng.integers(2**31))
    fresh = [untrained(model, child) for child in rng.spawn(n_untrained)]

    def at_all_points(network: nn.Module, kinds: Any) -> dict[str, Measurement]:
        seen = _record(network, x, names, batch_size)[1]
        read = partial(measure, y=labels, types=kinds, groups=groups, probe=chosen, n_splits=n_splits, random_state=seed)
        return {name: read(_mean_rows(v, marked) if mean else v[marked].numpy()) for name, v in seen.items()}

    random = [[one.accuracy for one in at_all_points(network, None).values()] for network in fresh]
    return Sweep(at_all_points(model, types), np.array(random).reshape(n_untrained, len(names), n_splits))


# --- is it used? ------------------------------------------------------------------------------------------------------


def eraser(
    A: Any,
    y: Any,
    *,
    within: Any = None,
    method: str = "mean",
    max_directions: int = 16,
    random_state: Any = 0,
) -> Eraser:
    r"""The directions along which a linear probe could read a property, to be taken out.

    Parameters
    ----------
    A : (n, d) values
    y : (n,) labels, K different ones
    within : (n,) or None
        Labels of another property to hold fixed: class means are taken within each of its classes and then averaged, so that a
        sample in which the two go together does not tilt the direction towards the other. Only for ``"mean"``.
    method : {"mean", "inlp"}
        ``"mean"``: the span of the differences between class means, K - 1 directions. Afterwards all classes have one mean
        (without ``within``), which is exactly when no linear probe has a smaller convex loss (logistic, hinge, squared) than a
        constant on these rows. Its *accuracy* can still be better, if it was not found by such a loss.
        ``"inlp"``: fit a linear probe, take its normals out, and again, until a probe on held-out rows is no better than the most
        frequent label. It takes more directions out, and more than the property with them.
    max_directions : int, where ``"inlp"`` stops at the latest
    random_state : int, Generator or None; splits of ``"inlp"``

    Returns
    -------
    Eraser

    Raises
    ------
    TypeError, ValueError
        If values and labels do not fit together, there is only one class, all classes have the same mean already, or a class of y
        is missing in one of ``within``.

    Notes
    -----
    ``"mean"``: Haghighatkhah et al. (2022); that equal means are what convex losses need is shown by Belrose et al. (2023), whose
    LEACE does the same with the smallest possible change. ``"inlp"``: Ravfogel et al. (2020). What was found on some rows must be
    tested on others. Taught in chapter 11.

    Examples
    --------
    >>> A = np.array([[0.0, 0.0], [0.0, 2.0], [4.0, 0.0], [4.0, 2.0]])
    >>> remover = eraser(A, [0, 0, 1, 1])
    >>> np.abs(remover.directions).tolist()
    [[1.0, 0.0]]
    >>> remover.apply(A).tolist()
    [[2.0, 0.0], [2.0, 2.0], [2.0, 0.0], [2.0, 2.0]]
    """
    values, labels = rows_of(A, y)
    check.one_of(method, "method", ["mean", "inlp"])
    check.number(max_directions, "max_directions", low=1, integer=True)
    rng = check.random_generator(random_state)
    held = np.zeros(len(labels), dtype=int) if within is None else codes_of(within, "within", len(labels))
    if within is not None and method != "mean":
        raise ValueError(f"within goes with method='mean' only, not with {method!r}: leave it out.")
    V = between_means(values, labels, held) if method == "mean" else nullspaces(values, labels, max_directions, rng)
    return Eraser(V, values.mean(axis=0), method)


def amnesic(
    model: nn.Module,
    tokens: Any,
    point: str,
    remover: Eraser,
    behaviour: _Behaviour,
    *,
    positions: Any = None,
    n_random: int = 19,
    random: str = "isotropic",
    padding: int | None = PADDING,
    random_state: Any = 0,
    batch_size: int = BATCH_SIZE,
) -> Amnesic:
    """Take directions out at a hook point and see what the network does; then as many random ones.

    Parameters
    ----------
    model, tokens, point, padding, batch_size : as in :func:`activations`
    remover : Eraser, best made from other sequences
    behaviour : function of the model's scores, an array (n, ...), to one number per sequence, (n,)
        Such as the score of the right word minus that of the wrong one.
    positions : None, int, (n,) ints or (n, l) booleans, as in :func:`activations`: where to take them out; by default
        at all real tokens
    n_random : int, sets of random directions
    random : {"isotropic", "covariance"}
        Random directions: any, or such as the values vary in, which take more variance out.
    random_state : int, Generator or None

    Returns
    -------
    Amnesic

    Raises
    ------
    TypeError, ValueError
        As :func:`activations`; if the eraser is of another width, or the behaviour gives something else than one finite
        number per sequence.

    Notes
    -----
    Elazar et al. (2021). No change means "not used *here, in this linear form*": what was taken out may be read elsewhere, or
    come back through attention. Taught in chapter 11.
    """
    _transformers.point(model, point)
    x = _transformers.token_batch(model, tokens)
    check.instance(remover, Eraser, "remover")
    check.function(behaviour, "behaviour")
    marked = _marked(positions, _real(x, padding))
    check.number(n_random, "n_random", low=1, integer=True)
    check.one_of(random, "random", ["isotropic", "covariance"])
    rng = check.random_generator(random_state)
    check.number(batch_size, "batch_size", low=1, integer=True)
    scores, seen = _record(model, x, [point], batch_size)
    values = seen[point][marked].numpy().astype(np.float64)
    if values.shape[1] != len(remover.mean):
        raise ValueError(f"remover takes {len(remover.mean)} numbers, but {point!r} has {values.shape[1]}.")

    def without(one: Eraser) -> np.ndarray:
        return _behave(behaviour, _record(model, x, [], batch_size, {point: one}, marked)[0], len(x))

    before = _behave(behaviour, scores, len(x))
    k = len(remover.directions)
    others = [Eraser(V, remover.mean, random) for V in random_directions(values, k, n_random, random, rng)]
    removed = np.array([one.removed_share(values) if len(values) > 1 else 0.0 for one in (remover, *others)])
    found = np.array([without(one) for one in others])
    return Amnesic(before, without(remover), found, float(removed[0]), removed[1:], point, remover.method, k)


# --- hook points and positions ----------------------------------------------------------------------------------------


def _record(
    model: nn.Module,
    x: Tensor,
    names: list[str],
    batch_size: int,
    erase: Mapping[str, Eraser] | None = None,
    where: np.ndarray | None = None,
) -> tuple[np.ndarray, dict[str, Tensor]]:
    """Scores (n, ...), and the values at hook points as (n, l, d), with directions taken out where ``where`` is True."""
    scores, seen = [], []
    for block in blocks(len(x), batch_size):
        edits = {name: partial(_without, name, one, where[block]) for name, one in (erase or {}).items() if where is not None}
        with _transformers.edited(model, edits):
            score, values = _transformers.record(model, x[block], names, batch_size=batch_size)
        scores.append(score.cpu())
        seen.append({name: _by_position(value).cpu() for name, value in values.items()})
    return torch.cat(scores).numpy(), {name: torch.cat([part[name] for part in seen]) for name in names}


def _check_erase(model: nn.Module, erase: Any) -> None:
    if erase is None:
        return
    if not isinstance(erase, Mapping):
        raise TypeError(f"erase must be a dictionary from hook points to Erasers, not {check.shown(erase)}.")
    for name, one in erase.items():
        _transformers.point(model, name)
        check.instance(one, Eraser, f"erase[{name!r}]")


def _by_position(value: Tensor) -> Tensor:
    """(n, l, d) as it is, (n, h, l, k) with the heads side by side as (n, l, h k)."""
    return value if value.ndim == 3 else value.transpose(1, 2).flatten(2)


def _without(name: str, one: Eraser, marked: np.ndarray, value: Tensor) -> Tensor:
    """What an edit makes of a value on its way."""
    rows = _by_position(value)
    if rows.shape[2] != len(one.mean):
        raise ValueError(f"the eraser for {name!r} takes {len(one.mean)} numbers, but there are {rows.shape[2]} at that point.")
    V, mean = (torch.as_tensor(a, dtype=value.dtype, device=value.device) for a in (one.directions, one.mean))
    where = torch.as_tensor(marked, device=value.device)[..., None]
    new = torch.where(where, rows - (rows - mean) @ V.T @ V, rows)
    return new if value.ndim == 3 else new.unflatten(2, (value.shape[1], -1)).transpose(1, 2)


def _real(x: Tensor, padding: Any) -> np.ndarray:
    """True at the tokens of each sequence, (n, l); only the end of a sequence can be padding."""
    rows = x.cpu().numpy()
    if padding is None:
        return np.ones(rows.shape, dtype=bool)
    check.number(padding, "padding", low=0, integer=True)
    real = np.flip(np.cumsum(np.flip(rows != padding, axis=1), axis=1), axis=1) > 0
    if not real.any(axis=1).all():
        raise ValueError(f"tokens hold nothing but padding in sequence {(~real.any(axis=1)).argmax()}: leave it out.")
    return real


def _marked(positions: Any, real: np.ndarray, name: str = "positions") -> np.ndarray:
    """Positions as booleans (n, l); None means every real token."""
    n, length = real.shape
    if positions is None:
        return real
    at = np.asarray(positions) if not isinstance(positions, str) else np.empty(0)
    if at.dtype == bool and at.shape == (n, length):
        marked = at
    elif at.dtype.kind in "iu" and at.shape in [(), (n,)]:
        if at.min() < 0 or at.max() >= length:
            odd = at.min() if at.min() < 0 else at.max()
            raise ValueError(f"{name} must lie in 0 to {length - 1}, but one is {odd}: sequences have {length} positions.")
        marked = np.arange(length) == np.broadcast_to(at, n)[:, None]
    else:
        wanted = f"a whole number, one per sequence ({n}), or booleans of shape {(n, length)}"
        raise TypeError(f"{name} must be {wanted}, not {check.shown(positions)}.")
    if not marked.any():
        raise ValueError(f"{name} mark nothing: give at least one position.")
    if (marked & ~real).any():
        raise ValueError(
            f"{name} mark padding in sequence {(marked & ~real).any(axis=1).argmax()}: give positions of real tokens."
        )
    return marked


def _mean_rows(values: Tensor, marked: np.ndarray) -> np.ndarray:
    """Mean over the marked positions of each sequence, (n, d)."""
    weights = marked / marked.sum(axis=1, keepdims=True)
    return np.einsum("nl,nld->nd", weights, values.numpy().astype(np.float64))


def _stream(model: nn.Module) -> list[str]:
    """The residual stream: embedded, then after each attention and each MLP."""
    known = hook_points(model)
    names = [name for name in known if name == "embedded" or name.endswith((".resid_mid", ".resid_post"))]
    if not names:
        return known or _points(model, ["embedded"])  # without any point: the message that says so
    with_mlp = {name.removesuffix(".mlp.out") for name in known if name.endswith(".mlp.out")}
    both = [name for name in names if not name.endswith(".resid_mid") or name.removesuffix(".resid_mid") in with_mlp]
    return _points(model, both)


def _points(model: nn.Module, points: Any) -> list[str]:
    if isinstance(points, str) or not isinstance(points, Sequence) or not len(points):
        raise TypeError(f"points must be a list of names of hook points, not {check.shown(points)}.")
    for name in points:
        _transformers.point(model, name)
    return list(dict.fromkeys(points))


def _behave(behaviour: _Behaviour, scores: np.ndarray, n: int) -> np.ndarray:
    """One finite number per sequence."""
    found = np.asarray(behaviour(scores))
    if found.shape != (n,) or found.dtype.kind not in "iufb" or not np.isfinite(found).all():
        given = f"{found.dtype} of shape {found.shape}"
        raise ValueError(f"behaviour must return one finite number per sequence, shape {(n,)}, not {given}.")
    return found.astype(float)


# --- small things -----------------------------------------------------------------------------------------------------


def _half_width(values: np.ndarray, overlap: float, level: float = 0.95) -> float:
    """Half of a t interval over splits that share rows; over independent repetitions with ``overlap`` 0."""
    spread = math.sqrt(1 / len(values) + overlap)
    return float(stats.t.ppf((1 + level) / 2, len(values) - 1) * values.std(ddof=1) * spread)


def _learnt(trained: Measurement, untrained: np.ndarray) -> tuple[float, float, float]:
    """Trained minus untrained (networks, splits), with an interval over splits and over networks."""
    differences = trained.accuracy - untrained
    over_splits = _half_width(differences.mean(axis=0), trained.overlap)
    half = math.hypot(over_splits, _half_width(differences.mean(axis=1), 0.0))
    mean = float(differences.mean())
    return mean, mean - half, mean + half


def _named(name: str, interval: tuple[float, float, float]) -> dict[str, float]:
    return dict(zip((name, f"{name}_low", f"{name}_high"), interval, strict=True))


def _short(point: str) -> str:
    """blocks.0.resid_post -> 0 resid_post"""
    return point.removeprefix("blocks.").replace(".", "\n")
