"""Patching: which inner values of a transformer carry an answer? Replace them, one place at a time, and watch the answer move.

Two runs that differ in one fact, a clean and a corrupted one. A value of one run is put into the other, and the difference of
two answers' logits says how much of the fact travelled with it: 0 = as in the corrupted run, 1 = as in the clean one.

Nothing of the caller's model changes. Whole maps put all places of a layer into one batch and start again at that layer.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from xailib import _residual_stream as stream
from xailib import _transformers as transformers
from xailib import _validation as check
from xailib._networks import blocks, undisturbed
from xailib.evaluation import mean_interval
from xailib.results import Attribution
from xailib.zoo.transformer import Transformer, hook_points

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = [
    "LogitLens",
    "PatchMap",
    "Recording",
    "Site",
    "ablate",
    "attention_to",
    "direct_logit_attribution",
    "logit_difference",
    "logit_lens",
    "patch",
    "patch_map",
    "path_patch",
    "record",
]

#: sequences per model call
BATCH_SIZE = 256
#: what can be patched over all layers: the residual stream at three stages, what is added to it, and single heads
PARTS = ("resid_pre", "resid_mid", "resid_post", "attn_out", "mlp.out", "heads")
#: what a head reads from the residual stream
INPUTS = ("queries", "keys", "values")


# --- results ----------------------------------------------------------------------------------------------------------


class Site(NamedTuple):
    """A place in a transformer whose value can be replaced.

    Attributes
    ----------
    point : name of a hook point, such as ``"blocks.0.attention.heads"``; see ``zoo.transformer.hook_points``
    head : int, or None for all; only at points below ``attention``
    position : int (negative from the end), one per sequence (n,), or None for all; at scores and patterns the query's
    """

    point: str
    head: int | None = None
    position: Any = None


Sites = str | Site | Sequence[str | Site]
"""One place or several; text names a hook point with all its heads and positions."""


@dataclass(frozen=True, eq=False)
class Recording:
    """One run of a transformer, kept: ``run["blocks.0.attn_out"]`` is the value there.

    Attributes
    ----------
    tokens : (n, l)
    scores : (n, l, vocabulary), or (n, k) for a classifier, before the softmax
    values : hook point -> array, first axis the sequences; shapes as in ``zoo.transformer``
    """

    tokens: np.ndarray
    scores: np.ndarray
    values: Mapping[str, np.ndarray] = field(repr=False)

    def __getitem__(self, point: str) -> np.ndarray:
        if point not in self.values:
            raise KeyError(f"{point!r} was not recorded; recorded were {check.listed(self.values)}.")
        return self.values[point]

    def __repr__(self) -> str:
        return f"Recording({len(self.tokens)} sequences; {check.listed(self.values, width=100)})"


@dataclass(frozen=True, eq=False)
class PatchMap:
    r"""What each replaced value does to the difference of two logits, pair by pair.

    .. math:: v = \frac{\Delta_{patched} - \Delta_{corrupted}}{\Delta_{clean} - \Delta_{corrupted}}, \qquad
        \Delta = z_{clean\ answer} - z_{corrupted\ answer}

    Attributes
    ----------
    values : (n, ...), one axis for each of ``axes``: 0 = as corrupted, 1 = as clean
    difference : like values, :math:`\Delta_{patched}`, in logits
    clean, corrupted : (n,), :math:`\Delta` of the untouched runs
    axes : name of each axis -> its labels ("layer", "head", "position", "sender")
    method : what was replaced, and in which direction
    """

    values: np.ndarray
    difference: np.ndarray = field(repr=False)
    clean: np.ndarray = field(repr=False)
    corrupted: np.ndarray = field(repr=False)
    axes: Mapping[str, list[str]]
    method: str

    def mean(self) -> np.ndarray:
        """The map of all pairs together: ratio of the mean differences, which no pair with a small gap can blow up."""
        gap = (self.clean - self.corrupted).mean()
        return (self.difference.mean(axis=0) - self.corrupted.mean()) / gap

    def to_frame(self, level: float = 0.95) -> pd.DataFrame:
        """One row per place: labels, ``effect`` (mean over pairs of ``values``) and, from two pairs on, its interval."""
        check.number(level, "level", low=0, high=1, open_low=True, open_high=True)
        places = pd.MultiIndex.from_product(self.axes.values(), names=list(self.axes)).to_frame(index=False)
        flat = self.values.reshape(len(self.values), -1)
        if len(flat) == 1:
            return places.assign(effect=flat[0])
        places[["effect", "low", "high"]] = [mean_interval(column, level=level) for column in flat.T]
        return places

    def plot(self, ax: Axes | None = None, *, labels: Sequence[str] | None = None) -> Axes:
        """The mean map, numbers in its cells; ``labels`` stand in for those of the last axis, such as tokens for positions."""
        return _plot_map(self, ax, labels)

    def __repr__(self) -> str:
        mean, names = self.mean(), list(self.axes)
        best = np.unravel_index(np.abs(mean).argmax(), mean.shape)
        place = ", ".join(f"{name} {self.axes[name][i]}" for name, i in zip(names, best, strict=True))
        return f"PatchMap({self.method}; {len(self.values)} pairs; largest: {place}: {mean[best]:.2f})"


@dataclass(frozen=True, eq=False)
class LogitLens:
    """What the model would answer if it stopped at each stage of the residual stream.

    Attributes
    ----------
    scores : (n, s, vocabulary), the output layer applied to s stages at one position
    stages : s names of hook points, in the order of the computation; the last gives the model's own scores
    """

    scores: np.ndarray = field(repr=False)
    stages: list[str]

    def difference(self, answers: Any) -> np.ndarray:
        """Logit of the first answer minus logit of the second at every stage, (n, s); ``answers`` (n, 2) token numbers."""
        a = stream.answer_pairs(answers, len(self.scores), self.scores.shape[2])
        chosen = np.take_along_axis(self.scores, a[:, None, :], axis=2)
        return chosen[:, :, 0] - chosen[:, :, 1]

    def ranks(self, answers: Any) -> np.ndarray:
        """Place of a token among all, 1 for the most probable, (n, s); ``answers`` (n,) token numbers."""
        a = stream.one_token_each(answers, "answers", len(self.scores), self.scores.shape[2])
        own = np.take_along_axis(self.scores, a[:, None, None], axis=2)
        return 1 + (self.scores > own).sum(axis=2)

    def to_frame(self) -> pd.DataFrame:
        """One row per sequence and stage: the most probable token and its probability."""
        top = self.scores.max(axis=2, keepdims=True)
        best = 1 / np.exp(self.scores - top).sum(axis=2)
        n, s = best.shape
        columns = {"sequence": np.repeat(np.arange(n), s), "stage": np.tile(self.stages, n)}
        return pd.DataFrame(columns | {"token": self.scores.argmax(axis=2).ravel(), "probability": best.ravel()})

    def plot(self, answers: Any, ax: Axes | None = None) -> Axes:
        """Mean logit difference of ``answers`` (n, 2) stage by stage, with its 95 % interval over sequences."""
        return _plot_lens(self, self.difference(answers), ax)

    def __repr__(self) -> str:
        return f"LogitLens({len(self.scores)} sequences; stages {check.listed(self.stages)})"


# --- see a value, replace a value -------------------------------------------------------------------------------------


def record(model: nn.Module, tokens: Any, points: Any = None, *, batch_size: int = BATCH_SIZE) -> Recording:
    """Run a transformer and keep what stops at its hook points.

    Parameters
    ----------
    model : torch module with hook points, such as :class:`xailib.zoo.transformer.Transformer`
    tokens : int array (n, l)
    points : name of a hook point, or list of names; None keeps all
    batch_size : int, sequences per model call

    Returns
    -------
    Recording

    Raises
    ------
    TypeError, ValueError
        If the tokens are no batch that the model can read, or a point is unknown (the message lists the points there are).

    Notes
    -----
    Taught in chapter 12.

    Examples
    --------
    >>> model = Transformer(vocabulary=10, context=6)
    >>> record(model, np.array([[1, 2, 3]]))["blocks.0.attention.pattern"].shape
    (1, 4, 3, 3)
    """
    rows = transformers.token_batch(model, tokens)
    names = hook_points(model) if points is None else _point_names(model, points)
    check.number(batch_size, "batch_size", low=1, integer=True)
    scores, values = transformers.record(model, rows, names, batch_size=batch_size)
    return Recording(rows.cpu().numpy(), stream.numbers(scores), {name: stream.numbers(value) for name, value in values.items()})


def ablate(
    model: nn.Module,
    tokens: Any,
    sites: Sites,
    *,
    to: str = "mean",
    reference: Any = None,
    random_state: Any = 0,
    batch_size: int = BATCH_SIZE,
) -> np.ndarray:
    r"""The model's scores without what certain places say about the sequence.

    .. math:: v \leftarrow 0, \qquad v_i \leftarrow \frac1m \sum_{j=1}^m r_j, \qquad v_i \leftarrow r_{j(i)}

    Parameters
    ----------
    model, tokens, batch_size : as in :func:`record`
    sites : name of a hook point, :class:`Site`, or list of them
    to : {"mean", "zero", "resample"}
        What stands in: the mean over the reference at the same position (padding left out), zero, or the value of another
        sequence of the reference, drawn at random and the same for all sites.
    reference : int array (m, l), or None for ``tokens`` themselves (then no sequence is given its own value)
    random_state : int, Generator or None

    Returns
    -------
    scores, (n, l, vocabulary) or (n, k)

    Raises
    ------
    TypeError, ValueError
        If a site does not exist in the model or in the sequences, or there is no other sequence to draw from.

    Notes
    -----
    Zero is a value that the model may never have met; the mean removes what differs between sequences and keeps what is common;
    a resampled value is a real one, and adds noise of its own. Wang et al. (2022) use means. Taught in chapter 12.

    Examples
    --------
    >>> model = Transformer(vocabulary=10, context=6)
    >>> tokens = np.array([[1, 2, 3], [4, 5, 6]])
    >>> ablate(model, tokens, Site("blocks.0.attention.heads", head=2), to="zero").shape
    (2, 3, 10)
    """
    rows = transformers.token_batch(model, tokens)
    check.one_of(to, "to", ["mean", "zero", "resample"])
    others = rows if reference is None else transformers.token_batch(model, reference, "reference")
    if others.shape[1] != rows.shape[1]:
        raise ValueError(f"reference must have {rows.shape[1]} positions like tokens, not {others.shape[1]}.")
    masks = _masks(model, sites, *rows.shape)
    check.number(batch_size, "batch_size", low=1, integer=True)
    donors = _donors(len(rows), len(others), reference is None, to, check.random_generator(random_state))
    values = transformers.record(model, others, list(masks), batch_size=batch_size)[1]
    if to == "resample":
        instead = {name: value[donors] for name, value in values.items()}
    else:
        weight = _real(model, others) * (1.0 if to == "mean" else 0.0)
        instead = {name: _mean(value, weight).expand(len(rows), *value.shape[1:]) for name, value in values.items()}
    return stream.numbers(_run_with(model, rows, masks, instead, batch_size))


def patch(model: nn.Module, into: Any, source: Any, sites: Sites, *, batch_size: int = BATCH_SIZE) -> np.ndarray:
    """The model's scores on ``into`` when certain places hold the values of the run on ``source``.

    Parameters
    ----------
    model, batch_size : as in :func:`record`
    into, source : int arrays (n, l)
        Row i of one is patched with row i of the other. Corrupted sequences with values of clean ones is *denoising*: are these
        places enough to restore the answer? The reverse is *noising*: are they needed?
    sites : name of a hook point, :class:`Site`, or list of them

    Returns
    -------
    scores, (n, l, vocabulary) or (n, k)

    Raises
    ------
    TypeError, ValueError
        If a site does not exist, or the sequences do not have the same shape.

    Notes
    -----
    Vig et al. (2020); Meng et al. (2022), who call it causal tracing. Taught in chapter 12.

    Examples
    --------
    >>> model = Transformer(vocabulary=10, context=6)
    >>> corrupted, clean = np.array([[1, 2, 3]]), np.array([[1, 4, 3]])
    >>> scores = patch(model, corrupted, clean, Site("blocks.0.resid_pre", position=1))
    >>> bool(np.array_equal(scores, record(model, clean).scores))
    True
    """
    rows, others = stream.same_shape(model, into, source, ("into", "source"))
    masks = _masks(model, sites, *rows.shape)
    check.number(batch_size, "batch_size", low=1, integer=True)
    values = transformers.record(model, others, list(masks), batch_size=batch_size)[1]
    return stream.numbers(_run_with(model, rows, masks, values, batch_size))


def logit_difference(scores: Any, answers: Any, *, at: Any = -1) -> np.ndarray:
    r"""How much a model prefers one answer to another, in logits.

    .. math:: \Delta_i = z_{i, a_{i1}} - z_{i, a_{i2}} = \log \frac{p_{i, a_{i1}}}{p_{i, a_{i2}}}

    Parameters
    ----------
    scores : (n, l, vocabulary), or (n, k) for one answer a sequence
    answers : int array (n, 2), or (2,) for all; the right answer first
    at : int or (n,), position of the answer's scores; the last one by default

    Returns
    -------
    (n,)

    Raises
    ------
    TypeError, ValueError
        If an answer or position is outside of the scores.

    Notes
    -----
    Linear in the scores, and blind to what raises all answers together. Taught in chapter 12.

    Examples
    --------
    >>> logit_difference(np.array([[[0.0, 0.0], [1.0, 3.0]]]), [1, 0]).tolist()
    [2.0]
    """
    z = check.array(scores, "scores", ndim=(2, 3))
    if z.ndim == 3:
        z = z[np.arange(len(z)), stream.positions(at, "at", *z.shape[:2])]
    a = stream.answer_pairs(answers, len(z), z.shape[1])
    return z[np.arange(len(z)), a[:, 0]] - z[np.arange(len(z)), a[:, 1]]


# --- whole maps -------------------------------------------------------------------------------------------------------


def patch_map(
    model: Transformer,
    clean: Any,
    corrupted: Any,
    answers: Any,
    part: str = "resid_pre",
    *,
    by_position: bool = True,
    direction: str = "denoise",
    at: Any = None,
    batch_size: int = 4 * BATCH_SIZE,
) -> PatchMap:
    """Patch one place after the other, over all layers, and see how much of the answer each carries.

    Parameters
    ----------
    model : Transformer
    clean, corrupted : int arrays (n, l), the pairs of sequences
    answers : int array (n, 2), or (2,) for all: what the clean and the corrupted sequence should be answered with
    part : {"resid_pre", "resid_mid", "resid_post", "attn_out", "mlp.out", "heads"}
        The residual stream before, in the middle of and behind a block; what attention or the MLP adds to it; single heads.
    by_position : bool, one place per position; False patches all positions at once
    direction : {"denoise", "noise"}
        ``"denoise"``: values of the clean run into the corrupted one; ``"noise"``: the reverse.
    at : int or (n,), position where the answer is read; None takes the last real token. Unused for classifiers.
    batch_size : int, sequences per model call

    Returns
    -------
    PatchMap
        Axes (layer, position), (layer, head) or (layer, head, position), in either direction 0 = as corrupted and 1 = as clean.

    Raises
    ------
    TypeError, ValueError
        If the sequences of a pair have different lengths, an argument is not one of those listed, or a pair has the same logit
        difference in both runs, so that there is nothing to restore.

    Notes
    -----
    All places of a layer form one batch, and the computation starts again at that layer from the recorded residual stream.
    Meng et al. (2022); Wang et al. (2022). Taught in chapter 12.

    Examples
    --------
    >>> model = Transformer(vocabulary=10, context=6)
    >>> found = patch_map(model, np.array([[1, 2, 3]]), np.array([[1, 4, 3]]), [5, 6])
    >>> found.values.shape, round(float(found.values[0, 0, 1]), 4)
    ((1, 2, 3), 1.0)
    """
    pairs = stream.Pairs.checked(model, clean, corrupted, answers, direction, at)
    check.one_of(part, "part", PARTS)
    if part == "mlp.out" and any(block.mlp is None for block in stream.layers(model)):
        raise ValueError("part 'mlp.out' is not there: this model is attention only.")
    check.flag(by_position, "by_position")
    check.number(batch_size, "batch_size", low=1, integer=True)
    length = pairs.clean.shape[1]
    axes = {"layer": _numbered(len(model.blocks))}
    if part == "heads":
        axes["head"] = _numbered(stream.n_heads(model))
    if by_position:
        axes["position"] = _numbered(length)
    sites = int(np.prod([len(labels) for labels in axes.values()])) // len(model.blocks)
    with undisturbed(model), torch.no_grad():
        parts = [
            stream.map_of(pairs.some(rows), part, by_position, batch_size)
            for rows in blocks(len(pairs.clean), max(1, batch_size // sites))
        ]
    towards = "clean into corrupted" if direction == "denoise" else "corrupted into clean"
    return _finished(parts, axes, f"{part} patched, {towards}")


def path_patch(
    model: Transformer,
    clean: Any,
    corrupted: Any,
    answers: Any,
    receiver: tuple[int, int] | None = None,
    *,
    inputs: Sequence[str] = INPUTS,
    direction: str = "denoise",
    at: Any = None,
    batch_size: int = BATCH_SIZE,
) -> PatchMap:
    """Patch only what one part says *directly* to another: everything between them keeps the values of its own run.

    Parameters
    ----------
    model, clean, corrupted, answers, direction, at, batch_size : as in :func:`patch_map`
    receiver : (layer, head), or None for the logits
        Who is to hear the sender's other value. Behind the receiver everything is computed again.
    inputs : some of ("queries", "keys", "values"), through which a receiving head hears it

    Returns
    -------
    PatchMap
        One axis, ``sender``: all that write into the residual stream before the receiver reads it: the embedding, heads
        ("head 0.2": layer 0, head 2) and MLPs ("MLP 0").

    Raises
    ------
    TypeError, ValueError
        As :func:`patch_map`, and if the receiver does not exist or an input is unknown.

    Notes
    -----
    Wang et al. (2022), Goldowsky-Dill et al. (2023). Heads *and* MLPs in between are held fixed, so that only the straight path
    through the residual stream is patched. Taught in chapter 12.

    Examples
    --------
    >>> model = Transformer(vocabulary=10, context=6, mlp=False)
    >>> found = path_patch(model, np.array([[1, 2, 3]]), np.array([[1, 4, 3]]), [5, 6], receiver=(1, 0))
    >>> found.axes["sender"]
    ['embedded', 'head 0.0', 'head 0.1', 'head 0.2', 'head 0.3']
    """
    pairs = stream.Pairs.checked(model, clean, corrupted, answers, direction, at)
    if receiver is not None:
        stream.checked_receiver(model, receiver)
    wanted = [inputs] if isinstance(inputs, str) else list(inputs) if np.iterable(inputs) else [inputs]
    if not wanted:
        raise ValueError(f"inputs must name at least one of {', '.join(INPUTS)}.")
    for name in wanted:
        check.one_of(name, "inputs", INPUTS)
    check.number(batch_size, "batch_size", low=1, integer=True)
    writers = stream.writers(model, len(model.blocks) if receiver is None else receiver[0])
    with undisturbed(model), torch.no_grad():
        parts = [stream.paths_of(pairs.some(rows), writers, receiver, wanted) for rows in blocks(len(pairs.clean), batch_size)]
    to = "the logits" if receiver is None else f"head {receiver[0]}.{receiver[1]} ({', '.join(wanted)})"
    towards = "clean into corrupted" if direction == "denoise" else "corrupted into clean"
    return _finished(parts, {"sender": writers}, f"direct paths to {to} patched, {towards}")


# --- reading without replacing ----------------------------------------------------------------------------------------


def logit_lens(model: Transformer, tokens: Any, *, at: Any = None, batch_size: int = BATCH_SIZE) -> LogitLens:
    r"""Read the residual stream early: apply the last normalisation and the output layer to every stage.

    .. math:: z^{(s)} = W\, \mathrm{LN}(x^{(s)}) + b

    Parameters
    ----------
    model, tokens, batch_size : as in :func:`record`; the model is a Transformer
    at : int or (n,), position to read; None takes the last real token

    Returns
    -------
    LogitLens

    Raises
    ------
    TypeError, ValueError
        If the tokens are no batch that the model can read, or the position is outside of the sequences.

    Notes
    -----
    Nobody trained the early stages to be read with the last layer's eyes: a lens that shows nothing does not say that nothing is
    there. nostalgebraist (2020). Taught in chapter 12.

    Examples
    --------
    >>> model, tokens = Transformer(vocabulary=10, context=6), np.array([[1, 2, 3]])
    >>> lens = logit_lens(model, tokens)
    >>> bool(np.allclose(lens.scores[:, -1], record(model, tokens).scores[:, -1], atol=1e-6))
    True
    """
    stream.require_transformer(model)
    rows = transformers.token_batch(model, tokens)
    where = stream.read_at(model, rows, at)
    check.number(batch_size, "batch_size", low=1, integer=True)
    stages = ["embedded"]
    for k, block in enumerate(model.blocks):
        stages += [f"blocks.{k}.resid_mid"] * (block.mlp is not None) + [f"blocks.{k}.resid_post"]
    scores = []
    for some in blocks(len(rows), batch_size):
        seen = transformers.record(model, rows[some], stages, batch_size=batch_size)[1]
        i = torch.arange(some.stop - some.start, device=rows.device)
        x = torch.stack([seen[stage][i, where[some]] for stage in stages], dim=1)
        with undisturbed(model), torch.no_grad():
            scores.append(model.output(model.norm(x)))
    return LogitLens(stream.numbers(torch.cat(scores)), stages)


def direct_logit_attribution(
    model: Transformer, tokens: Any, answers: Any, *, at: Any = None, batch_size: int = BATCH_SIZE
) -> Attribution:
    r"""Which part wrote the answer? The logit difference as a sum over all that was added to the residual stream.

    .. math:: \Delta = \sum_c \frac{c - \bar c}{\sigma} \odot \gamma \cdot (w_{a_1} - w_{a_2})
        + \beta \cdot (w_{a_1} - w_{a_2}) + b_{a_1} - b_{a_2}

    Parameters
    ----------
    model, tokens, batch_size : as in :func:`record`; the model is a Transformer
    answers : int array (n, 2), or (2,) for all
    at : int or (n,), position where the answer is read; None takes the last real token

    Returns
    -------
    Attribution
        Features: ``embedded``, each head (``head 0.2``), the bias of each attention output and each MLP; base value: what the
        biases of the last layers prefer. Complete: values and base value add up to the logit difference.

    Raises
    ------
    TypeError, ValueError
        If the tokens or answers do not fit the model.

    Notes
    -----
    :math:`\sigma`, the standard deviation of the whole stream in the last layer normalisation, is held at its value. Exact as a
    sum, and only about the *last* step: a part that works through others is credited to the others. Elhage et al. (2021).
    Taught in chapter 12.

    Examples
    --------
    >>> model = Transformer(vocabulary=10, context=6, mlp=False, n_layers=1, n_heads=2)
    >>> found = direct_logit_attribution(model, np.array([[1, 2, 3]]), [5, 6])
    >>> found.feature_names
    ['embedded', 'head 0.0', 'head 0.1', 'attention bias 0']
    >>> bool(abs(found.efficiency_gap()[0]) < 1e-5)
    True
    """
    stream.require_transformer(model)
    rows = transformers.token_batch(model, tokens)
    where = stream.read_at(model, rows, at)
    chosen = torch.as_tensor(stream.answer_pairs(answers, len(rows), model.output.out_features), device=rows.device)
    check.number(batch_size, "batch_size", low=1, integer=True)
    names = [
        "embedded",
        *stream.points_of(model, "attention.heads"),
        *(stream.points_of(model, "mlp.out")),
        stream.last_stream(model),
    ]
    found = []
    with undisturbed(model), torch.no_grad():
        for some in blocks(len(rows), batch_size):
            seen = transformers.record(model, rows[some], names, batch_size=batch_size)[1]
            i = torch.arange(some.stop - some.start, device=rows.device)
            parts = {name: part[i, where[some]] for name, part in stream.written(model, seen, biases=True).items()}
            x = seen[stream.last_stream(model)][i, where[some]]
            found.append([*stream.direct_effects(model, parts, x, chosen[some]), stream.prefer(model, x, chosen[some])])
    values, base, prediction = (stream.numbers(torch.cat(piece)).astype(float) for piece in zip(*found, strict=True))
    return Attribution(values, base, prediction, list(parts), rows.cpu().numpy(), "direct logit attribution")


def attention_to(model: nn.Module, tokens: Any, targets: Any, *, batch_size: int = BATCH_SIZE) -> np.ndarray:
    r"""How much each head looks where it should: mean attention from each position to its target.

    .. math:: s_{ih} = \frac{1}{|Q_i|} \sum_{q \in Q_i} A^{(h)}_{i, q, t_i(q)}

    Parameters
    ----------
    model, tokens, batch_size : as in :func:`record`
    targets : int array (n, l), or (l,) for all
        For each position the position it should look at, -1 for none. One after the earlier occurrence of the same token: this
        is the *induction score*. The position before: the *previous-token score*.

    Returns
    -------
    (n, layers, heads), each from 0 to 1

    Raises
    ------
    TypeError, ValueError
        If the targets do not fit the tokens, or a sequence has none.

    Notes
    -----
    A score of the pattern: it says where a head looks, not whether anybody uses what it sees. Olsson et al. (2022). Taught in
    chapter 12.

    Examples
    --------
    >>> model = Transformer(vocabulary=10, context=6, n_layers=1, n_heads=2)
    >>> attention_to(model, np.array([[1, 2, 3]]), [0, 0, 1]).shape
    (1, 1, 2)
    """
    rows = transformers.token_batch(model, tokens)
    n, length = rows.shape
    given = np.asarray(targets)
    if given.dtype.kind not in "iu" or given.shape not in ((n, length), (length,)):
        raise TypeError(
            f"targets must be whole numbers of shape {(n, length)} or {(length,)}, like tokens, not {check.shown(targets)}."
        )
    if given.min() < -1 or given.max() >= length:
        raise ValueError(f"targets must be positions from 0 to {length - 1}, or -1 for none.")
    given = np.broadcast_to(given, (n, length))
    counts = (given >= 0).sum(axis=1)
    if not counts.all():
        raise ValueError(f"targets of sequence {int(np.flatnonzero(counts == 0)[0])} are all -1: it has nothing to look at.")
    check.number(batch_size, "batch_size", low=1, integer=True)
    names = [name for name in hook_points(model) if name.endswith("attention.pattern")]
    if not names:
        transformers.point(model, "blocks.0.attention.pattern")
    patterns = transformers.record(model, rows, names, batch_size=batch_size)[1]
    q = np.maximum(given, 0)[:, None, :, None]
    scores = []
    for name in names:
        weight = np.take_along_axis(stream.numbers(patterns[name]), q, axis=3)[..., 0]  # (n, heads, l)
        scores.append((weight * (given >= 0)[:, None, :]).sum(axis=2) / counts[:, None])
    return np.stack(scores, axis=1)


def _finished(parts: list[stream.Part], axes: dict[str, list[str]], method: str) -> PatchMap:
    """Blocks of pairs put together, and normalised."""
    difference, clean, corrupted = (stream.numbers(torch.cat(piece)).astype(float) for piece in zip(*parts, strict=True))
    difference = difference.reshape(len(clean), *(len(labels) for labels in axes.values()))
    gap = clean - corrupted
    if (same := np.flatnonzero(np.abs(gap) < 1e-6)).size:
        raise ValueError(
            f"clean and corrupted have the same logit difference in pair {same[0]}, so there is nothing to restore: leave it out."
        )
    over_places = (slice(None), *[None] * len(axes))
    values = (difference - corrupted[over_places]) / gap[over_places]
    return PatchMap(values, difference, clean, corrupted, axes, method)


def _numbered(n: int) -> list[str]:
    return [str(k) for k in range(n)]


# --- replaced values --------------------------------------------------------------------------------------------------


def _run_with(
    model: nn.Module, rows: Tensor, masks: Mapping[str, Tensor], values: Mapping[str, Tensor], batch_size: int
) -> Tensor:
    """Scores when every masked place holds the given value."""
    scores = []
    with undisturbed(model), torch.no_grad():
        for some in blocks(len(rows), batch_size):
            edits = {name: _replace_by(masks[name][some], values[name][some]) for name in masks}
            with transformers.edited(model, edits):
                scores.append(transformers.run(model, rows[some]))
    return torch.cat(scores)


def _replace_by(mask: Tensor, new: Tensor) -> transformers.Edit:
    return lambda value: torch.where(mask, new, value)


def _donors(n: int, m: int, own: bool, to: str, rng: np.random.Generator) -> Tensor:
    """A row of the reference for each sequence; when they are the same rows, never its own."""
    if to != "resample":
        return torch.arange(0)
    if own and n < 2:
        raise ValueError("tokens hold one sequence, so that there is no other to resample from: give a reference.")
    if not own:
        return torch.as_tensor(rng.integers(m, size=n))
    order = rng.permutation(n)
    donors = np.empty(n, dtype=int)
    donors[order] = np.roll(order, 1)
    return torch.as_tensor(donors)


def _real(model: Any, rows: Tensor) -> Tensor:
    """1 for real tokens, 0 for padding, (m, l)."""
    padding = getattr(model, "padding", None)
    return torch.ones(rows.shape, device=rows.device) if padding is None else (rows != padding).float()


def _mean(value: Tensor, weight: Tensor) -> Tensor:
    """Weighted mean over sequences at every position, with a first axis of length one; zero where there is no weight."""
    w = weight[:, None, :, None] if value.ndim == 4 else weight[:, :, None]
    return (value * w).sum(dim=0, keepdim=True) / w.sum(dim=0, keepdim=True).clamp(min=1)


def _masks(model: nn.Module, sites: Any, n: int, length: int) -> dict[str, Tensor]:
    """Hook point -> where its value is replaced, (n, l, 1) or (n, heads, l, 1)."""
    masks: dict[str, Tensor] = {}
    for site in _checked_sites(model, sites):
        mask = torch.zeros(_mask_shape(model, site.point, n, length), dtype=torch.bool)
        where = mask if site.head is None else mask[:, site.head : site.head + 1]
        if site.position is None:
            where[:] = True
        else:
            position = stream.positions(site.position, "position", n, length)
            where.swapaxes(1, -1)[torch.arange(n), torch.as_tensor(position)] = True
        masks[site.point] = masks[site.point] | mask if site.point in masks else mask
    return {name: mask[..., None].to(next(model.parameters()).device) for name, mask in masks.items()}


def _mask_shape(model: nn.Module, point: str, n: int, length: int) -> tuple[int, ...]:
    heads = _heads_at(model, point)
    return (n, length) if heads is None else (n, heads, length)


def _heads_at(model: nn.Module, point: str) -> int | None:
    """How many heads the value at a hook point has, None if it is not divided into heads."""
    return getattr(model.get_submodule(point.rpartition(".")[0]), "n_heads", None) if "." in point else None


def _checked_sites(model: nn.Module, sites: Any) -> Iterator[Site]:
    if isinstance(sites, str | Site):
        sites = [sites]
    if not isinstance(sites, list | tuple) or not sites:
        raise TypeError(f"sites must be the name of a hook point, a Site, or a list of them, not {check.shown(sites)}.")
    for given in sites:
        if not isinstance(given, str | Site):
            raise TypeError(f"sites must hold names of hook points or Sites, not {check.shown(given)}.")
        site = given if isinstance(given, Site) else Site(given)
        transformers.point(model, site.point)
        heads = _heads_at(model, site.point)
        if site.head is not None and heads is None:
            raise ValueError(f"sites: {site.point!r} is not divided into heads: leave head out, or name a point below attention.")
        if site.head is not None and heads is not None:
            check.number(site.head, "sites: head", low=0, high=heads - 1, integer=True)
        yield site


def _point_names(model: nn.Module, points: Any) -> list[str]:
    names = [points] if isinstance(points, str) else points
    if not isinstance(names, list | tuple) or not names:
        raise TypeError(f"points must be the name of a hook point or a list of names, not {check.shown(points)}.")
    for name in names:
        transformers.point(model, name)
    return list(names)


# --- pictures ---------------------------------------------------------------------------------------------------------


def _plot_map(result: PatchMap, ax: Axes | None, labels: Sequence[str] | None) -> Axes:
    from xailib import plots

    names = list(result.axes)
    values = np.atleast_2d(result.mean())
    if len(names) == 3:
        values = values.reshape(-1, values.shape[-1])
        rows = [f"{layer}.{head}" for layer in result.axes[names[0]] for head in result.axes[names[1]]]
    else:
        rows = result.axes[names[0]] if len(names) == 2 else [""]
    columns = list(labels) if labels is not None else result.axes[names[-1]]
    if len(columns) != values.shape[1]:
        raise ValueError(f"labels must be {values.shape[1]}, one per {names[-1]}, not {len(columns)}.")
    ax = plots.axes(ax, figsize=(1.8 + 0.62 * len(columns), 1.3 + 0.36 * len(rows)))
    limit = max(1.0, float(np.abs(values).max()))
    mesh = ax.imshow(values, cmap=plots.SIGNED_MAP, vmin=-limit, vmax=limit, aspect="auto")
    ax.figure.colorbar(mesh, ax=ax).set_label("0 corrupted, 1 clean", fontsize=8)
    ax.set_xticks(range(len(columns)), columns, rotation=45 if max(map(len, columns)) > 3 else 0)
    ax.set_yticks(range(len(rows)), rows)
    ax.set(xlabel=names[-1], ylabel=".".join(names[:-1]))
    ax.grid(visible=False)
    if values.size <= 96:
        for i, j in np.ndindex(values.shape):
            pale = abs(values[i, j]) < 0.6 * limit
            text = f"{values[i, j] + 0.0:.2f}".replace("-0.00", "0.00")
            ax.text(j, i, text, ha="center", va="center", color="black" if pale else "white", fontsize=8)
    return ax


def _plot_lens(result: LogitLens, difference: np.ndarray, ax: Axes | None) -> Axes:
    from xailib import plots

    ax = plots.axes(ax, figsize=(6.4, 3.2))
    if len(difference) > 1:
        mean, low, high = np.array([mean_interval(column) for column in difference.T]).T
        ax.fill_between(range(len(mean)), low, high, color=plots.ANCHOR, alpha=0.2, lw=0)
    ax.plot(difference.mean(axis=0), "o-", color=plots.ANCHOR)
    ax.axhline(0, color="black", lw=0.8)
    ax.set_xticks(range(len(result.stages)), [stage.replace("blocks.", "") for stage in result.stages], rotation=30, ha="right")
    ax.set(xlabel="stage of the residual stream", ylabel="logit difference")
    return ax
