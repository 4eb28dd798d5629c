"""Attention as explanation: maps, rollout, flow, value-weighted norms, and experiments that show what a weight is worth.

Beside them the token attributions to compare with: gradient x input, integrated gradients on the embeddings, occlusion.
Nothing of the caller's model changes: mode, ``requires_grad``, gradients and hooks are as before, even after an error.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import torch
from scipy.sparse import csr_array
from scipy.sparse.csgraph import maximum_flow
from torch import Tensor, nn

from xailib import _validation as check
from xailib._attention_edits import Search, at_read, batches, keeping, read_row, replaced_by, shuffled, torch_jsd
from xailib._networks import Target, blocks
from xailib._token_scores import Task, layer_numbers, one_position_each, places, position_names, read_arguments
from xailib._transformers import edited, record, run
from xailib.results import Attribution

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = [
    "AGGREGATIONS",
    "Adversary",
    "Maps",
    "Permutations",
    "adversary",
    "flow",
    "gradient_x_input",
    "integrated_gradients",
    "jsd",
    "maps",
    "occlusion",
    "permutations",
    "probabilities",
    "rerun",
    "rollout",
    "token_weights",
    "trained_adversary",
    "tvd",
    "value_weighted",
]

#: sequences per model call
BATCH_SIZE = 256
#: ways to make one number per token out of all attention of a model
AGGREGATIONS = ("last layer", "rollout", "flow", "value-weighted")

_FUSIONS: dict[str, Callable[..., np.ndarray]] = {"mean": np.mean, "max": np.max, "min": np.min}
_ROWS_SUM_TO_1 = 1e-4
_FLOW_UNITS = 2**30  # capacities of the flow are whole numbers; all of a row together stay below 2**31


# --- results ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Maps:
    """The attention of every layer and head to a batch of sequences.

    Attributes
    ----------
    values : (layers, n, heads, l, l), query by key; each row sums to 1
    visible : (n, l, l), which keys each query can see: not the future of a causal model, not padding
    read : (n,), the position from which the output is read
    tokens : (n, l)
    """

    values: np.ndarray
    visible: np.ndarray
    read: np.ndarray
    tokens: np.ndarray

    def at_read(self) -> np.ndarray:
        """The row of the position that is read, (layers, n, heads, l)."""
        return self.values[:, np.arange(len(self.read)), :, self.read].swapaxes(0, 1)

    def uniform(self) -> np.ndarray:
        """The same weight for every key that a query sees, shaped like ``values``."""
        return np.broadcast_to((self.visible / self.visible.sum(axis=2, keepdims=True))[:, None], self.values.shape).copy()

    def without(self, keys: Any) -> np.ndarray:
        r"""No attention to some positions, the rest of every row scaled up to 1 again; shaped like ``values``.

        .. math:: A'_{ij} = \frac{A_{ij}\, \mathbf 1[j \notin K]}{\sum_{j' \notin K} A_{ij'}}

        Parameters
        ----------
        keys : int, (n,) ints, or booleans (n, l): what no query looks at any more
            A row in which nothing else has any weight is left as it is; the smallest rest is scaled up.
        """
        n, length = self.tokens.shape
        gone = np.asarray(keys)
        if gone.dtype != bool:
            gone = np.arange(length) == one_position_each(keys, "keys", n, length)[:, None]
        elif gone.shape != (n, length):
            raise ValueError(
                f"keys must be one position, one per sequence, or booleans {(n, length)}, not of shape {gone.shape}."
            )
        kept = np.where(gone[:, None, None, :], 0.0, self.values)
        total = kept.sum(axis=-1, keepdims=True)
        return np.divide(kept, total, out=self.values.copy(), where=total > 0)

    def to_frame(self) -> pd.DataFrame:
        """One row per layer, sequence, head, query and visible key, with its weight."""
        layer, n, head, query, key = np.indices(self.values.shape, sparse=False).reshape(5, -1)
        frame = pd.DataFrame({"layer": layer, "sequence": n, "head": head, "query": query, "key": key})
        frame["weight"] = self.values.ravel()
        return frame[self.visible[n, query, key]].reset_index(drop=True)

    def plot(
        self, ax: Axes | None = None, *, layer: int = 0, head: int | None = None, row: int = 0, names: Sequence[str] | None = None
    ) -> Axes:
        """One sequence at one layer, query by key: of one head, or the mean over heads; keys out of sight are hatched."""
        from xailib import plots

        n_layers, n, n_heads, length, _ = self.values.shape
        check.number(layer, "layer", low=0, high=n_layers - 1, integer=True)
        check.number(row, "row", low=0, high=n - 1, integer=True)
        if head is not None:
            check.number(head, "head", low=0, high=n_heads - 1, integer=True)
        labels = position_names(names, length)
        all_heads = self.values[layer, row]
        shown = all_heads.mean(axis=0) if head is None else all_heads[head]
        ax = plots.axes(ax, figsize=(1.6 + 0.3 * length, 1.2 + 0.26 * length))
        ax.patch.set(hatch="////", edgecolor=plots.CONTEXT, facecolor="white")
        mesh = ax.imshow(np.ma.masked_where(~self.visible[row], shown), cmap="Blues", vmin=0, vmax=1)
        ax.figure.colorbar(mesh, ax=ax, label="attention")
        ax.set_xticks(range(length), labels, rotation=90, fontsize=8)
        ax.set_yticks(range(length), labels, fontsize=8)
        ax.grid(visible=False)
        ax.set(xlabel="key: looked at", ylabel="query: looks")
        return ax

    def __repr__(self) -> str:
        n_layers, n, n_heads, length, _ = self.values.shape
        return f"Maps({n} sequences of {length} tokens; {n_layers} layers of {n_heads} heads)"


@dataclass(frozen=True, eq=False)
class Permutations:
    """What happened to the output when attention weights changed places.

    Attributes
    ----------
    tvd : (n, r), total variation distance between the model's output and that of each permutation
    same_class : (n, r), whether the most likely output stayed
    largest_weight : (n,), the largest attention of the reading position, mean over heads, in the last permuted layer
    layers : which layers were permuted
    """

    tvd: np.ndarray
    same_class: np.ndarray
    largest_weight: np.ndarray
    layers: list[int]

    def to_frame(self) -> pd.DataFrame:
        """One row per sequence: median and largest change, share of permutations with the same answer, largest weight."""
        return pd.DataFrame(
            {
                "median_tvd": np.median(self.tvd, axis=1),
                "largest_tvd": self.tvd.max(axis=1),
                "same_class": self.same_class.mean(axis=1),
                "largest_weight": self.largest_weight,
            }
        )

    def plot(self, ax: Axes | None = None) -> Axes:
        """Each sequence as a dot: how peaked its attention is, and how much a typical permutation changes the output."""
        from xailib import plots

        ax = plots.axes(ax, figsize=(5.4, 3.4))
        ax.plot(self.largest_weight, np.median(self.tvd, axis=1), "o", color=plots.ANCHOR, ms=4, alpha=0.7)
        ax.set(xlim=(0, 1.02), ylim=(-0.02, 1.02), xlabel="largest attention weight", ylabel="median change of output (TVD)")
        return ax

    def __repr__(self) -> str:
        n, r = self.tvd.shape
        layers = ", ".join(map(str, self.layers))
        return f"Permutations({n} sequences, {r} permutations of layer {layers}; median change {np.median(self.tvd):.4f})"


@dataclass(frozen=True, eq=False)
class Adversary:
    """Attention as different as could be found, with nearly the same output.

    Attributes
    ----------
    weights : (n, heads, l), the row of the position that is read, as found
    original : (n, heads, l), the model's own
    jsd : (n,), Jensen-Shannon divergence of the two, mean over heads; at most ln 2 = 0.693
    tvd : (n,), total variation distance of the two outputs, at most ``epsilon``
    epsilon : what was allowed
    layer : where
    """

    weights: np.ndarray
    original: np.ndarray
    jsd: np.ndarray
    tvd: np.ndarray
    epsilon: float
    layer: int

    def to_frame(self) -> pd.DataFrame:
        """One row per sequence: how different the attention, how different the output, and the favourite token of both."""
        ours, theirs = (w.mean(axis=1).argmax(axis=1) for w in (self.original, self.weights))
        return pd.DataFrame({"jsd": self.jsd, "tvd": self.tvd, "top_before": ours, "top_after": theirs})

    def plot(self, ax: Axes | None = None, *, row: int = 0, names: Sequence[str] | None = None) -> Axes:
        """The mean over heads before and after, token by token."""
        from xailib import plots

        check.number(row, "row", low=0, high=len(self.weights) - 1, integer=True)
        places = np.arange(self.weights.shape[2])
        labels = position_names(names, len(places))
        ax = plots.axes(ax, figsize=(7.2, 3.2))
        ax.bar(places - 0.2, self.original[row].mean(axis=0), 0.4, color=plots.ANCHOR, label="the model's own")
        ax.bar(places + 0.2, self.weights[row].mean(axis=0), 0.4, color=plots.POSITIVE, hatch="//", label="the adversary's")
        ax.set_xticks(places, labels, rotation=60, ha="right", fontsize=8)
        ax.set_ylabel("attention, mean over heads")
        ax.legend(fontsize=8)
        return ax

    def __repr__(self) -> str:
        size = f"median JSD {np.median(self.jsd):.3f}, output changed by at most {self.tvd.max():.4f}"
        return f"Adversary(layer {self.layer}, {len(self.jsd)} sequences; {size})"


# --- looking at attention ---------------------------------------------------------------------------------------------


def maps(model: nn.Module, tokens: Any, *, position: Any = None, batch_size: int = BATCH_SIZE) -> Maps:
    r"""Where every head of every layer looks.

    .. math:: A^{lh} = \mathrm{softmax}\Big(\frac{Q_{lh} K_{lh}^\top}{\sqrt k}\Big)

    Parameters
    ----------
    model : torch module with the hook points of ``xailib.zoo.transformer``
    tokens : whole numbers (n, l)
    position : int, (n,) ints or None
        From where the output is read. None is the last token that is no padding, which is where a classifier reads.
    batch_size : int, sequences per model call

    Returns
    -------
    Maps
        ``values`` (layers, n, heads, l, l).

    Raises
    ------
    TypeError, ValueError
        If the model has no hook points, or the tokens are nothing it can read.

    Notes
    -----
    Vaswani et al. (2017), eq. 1. What a query can see is found by a second pass in which all scores are equal. Taught in
    chapter 10.

    Examples
    --------
    >>> from xailib.zoo.transformer import Transformer
    >>> maps(Transformer(vocabulary=10, context=6).eval(), np.array([[1, 2, 3]]))
    Maps(1 sequences of 3 tokens; 2 layers of 4 heads)
    """
    x, read = read_arguments(model, tokens, position, batch_size)
    names = places(model, "pattern")
    values = record(model, x, names, batch_size=batch_size)[1]
    flat = dict.fromkeys(places(model, "scores")[:1], torch.zeros_like)
    with edited(model, flat):
        equal = record(model, x, names[:1], batch_size=batch_size)[1][names[0]]
    patterns = np.stack([values[name].cpu().numpy() for name in names]).astype(np.float64)
    return Maps(patterns, (equal[:, 0] > 0).cpu().numpy(), read, x.cpu().numpy())


def rollout(patterns: Any, *, fusion: str = "mean", residual: float = 0.5) -> np.ndarray:
    r"""How much of each input token reaches each position if attention were the only road: layers multiplied up.

    .. math:: \tilde A_l = (1 - r)\, \mathrm{fuse}_h(A_{lh}) + r I, \qquad R = \tilde A_L \cdots \tilde A_2 \tilde A_1

    Parameters
    ----------
    patterns : Maps, or array (layers, heads, l, l) or (layers, n, heads, l, l), first layer first
    fusion : {"mean", "max", "min"}
        One map of all heads, its rows scaled to sum to 1. A row on which the smallest weights are all zero keeps its token.
    residual : float in [0, 1], share of the residual stream

    Returns
    -------
    (n, l, l), or (l, l) without n: row i says where position i of the last layer comes from; rows sum to 1

    Raises
    ------
    TypeError, ValueError
        If the patterns are no attention: of another shape, negative, or with rows that do not sum to 1.

    Notes
    -----
    Abnar & Zuidema (2020), sect. 3, with equal shares for stream and attention. It ignores values, MLPs and how large the
    stream is. Taught in chapter 10.

    Examples
    --------
    >>> A = np.array([[1.0, 0.0], [0.4, 0.6]])
    >>> rollout([[A], [A]]).round(4).tolist()
    [[1.0, 0.0], [0.36, 0.64]]
    """
    mixed = _mixed(patterns, fusion, residual)
    product = mixed[0]
    for layer in mixed[1:]:
        product = layer @ product
    return product


def flow(patterns: Any, position: Any = None, *, fusion: str = "mean", residual: float = 0.5) -> np.ndarray:
    r"""How much could flow from each input token to one position if every weight were the width of a pipe.

    .. math:: F_j = \text{maximum flow from } (L, i) \text{ to } (0, j), \qquad
        \text{for } L = 2:\; F_j = \sum_m \min(\tilde A_2[i, m],\, \tilde A_1[m, j])

    Parameters
    ----------
    patterns, fusion, residual : as in :func:`rollout`
    position : int, (n,) ints or None, the position i of the last layer; None with Maps is where the output is read, else the last

    Returns
    -------
    (n, l), or (l,) without n: one maximum flow for each input token; they do not sum to 1

    Raises
    ------
    TypeError, ValueError
        As :func:`rollout`, and if the position is not in the sequence.

    Notes
    -----
    Abnar & Zuidema (2020), sect. 3. With two layers no two paths share a pipe, so the sum of the narrowest ones is exact;
    with more, SciPy's maximum flow on capacities in units of 2**-30. Taught in chapter 10.

    Examples
    --------
    >>> A = np.array([[1.0, 0.0], [0.4, 0.6]])
    >>> flow([[A], [A]]).round(4).tolist()
    [0.4, 0.8]
    """
    mixed = _mixed(patterns, fusion, residual)
    single = mixed.ndim == 3
    layers = mixed[:, None] if single else mixed
    if position is None and isinstance(patterns, Maps):
        position = patterns.read
    n, length = layers.shape[1], layers.shape[2]
    at = np.full(n, length - 1) if position is None else one_position_each(position, "position", n, length)
    flows = np.stack([_flow(layers[:, i], at[i]) for i in range(n)])
    return flows[0] if single else flows


def value_weighted(
    model: nn.Module, tokens: Any, *, heads: str = "each", position: Any = None, batch_size: int = BATCH_SIZE
) -> np.ndarray:
    r"""How long the arrow is that each key adds to each query: the weight times what the head writes for that key.

    .. math:: N^h_{ij} = \big\| A^h_{ij}\, f^h(x_j) \big\|, \quad f^h(x) = (x W_V^h + b_V^h)\, W_O^h, \qquad
        N_{ij} = \Big\| \sum_h A^h_{ij}\, f^h(x_j) \Big\|

    Parameters
    ----------
    model, tokens, position, batch_size : as in :func:`maps`
    heads : {"each", "sum"}, norms of every head, or of all heads of a layer together

    Returns
    -------
    (layers, n, heads, l, l), or (layers, n, l, l) for ``"sum"``: in units of the residual stream

    Raises
    ------
    TypeError, ValueError
        As :func:`maps`, and if a layer's ``attention.W_O`` is no linear layer.

    Notes
    -----
    Kobayashi et al. (2020), eq. 5; their f includes the head's part of the output projection, not its bias. It knows what a
    head writes, not whether anyone reads it. Taught in chapter 10.
    """
    check.one_of(heads, "heads", ["each", "sum"])
    x, _ = read_arguments(model, tokens, position, batch_size)
    patterns, values = places(model, "pattern"), places(model, "values")
    projections = [_output_projection(model, name) for name in patterns]
    parts = []
    for rows in blocks(len(x), batch_size):
        seen = record(model, x[rows], [*patterns, *values], batch_size=batch_size)[1]
        each = zip(patterns, values, projections, strict=True)
        parts.append(np.stack([_norms(seen[a], seen[v], W, heads) for a, v, W in each]))
    return np.concatenate(parts, axis=1)


def token_weights(
    model: nn.Module,
    tokens: Any,
    aggregation: str = "last layer",
    *,
    position: Any = None,
    fusion: str = "mean",
    residual: float = 0.5,
    batch_size: int = BATCH_SIZE,
) -> np.ndarray:
    """One number per token: what the attention of the model says about the position that is read.

    Parameters
    ----------
    model, tokens, position, batch_size : as in :func:`maps`
    aggregation : {"last layer", "rollout", "flow", "value-weighted"}
        The last layer's heads fused; rollout or flow through all layers; or the norm of what all heads of the last layer write.
    fusion, residual : as in :func:`rollout`

    Returns
    -------
    (n, l), never negative; padding has 0

    Raises
    ------
    TypeError, ValueError
        As :func:`maps`, and if the aggregation is unknown.

    Notes
    -----
    None of the four has the unit, or the sign, of the prediction. Taught in chapter 10.
    """
    check.one_of(aggregation, "aggregation", AGGREGATIONS)
    check.one_of(fusion, "fusion", _FUSIONS)
    check.number(residual, "residual", low=0, high=1)
    if aggregation == "value-weighted":
        x, read = read_arguments(model, tokens, position, batch_size)
        return value_weighted(model, x, heads="sum", batch_size=batch_size)[-1][np.arange(len(x)), read]
    found = maps(model, tokens, position=position, batch_size=batch_size)
    rows = np.arange(len(found.read))
    if aggregation == "flow":
        return flow(found, fusion=fusion, residual=residual)
    if aggregation == "rollout":
        return rollout(found, fusion=fusion, residual=residual)[rows, found.read]
    return _fused(found.values[-1], fusion)[rows, found.read]


# --- changing attention -----------------------------------------------------------------------------------------------


def rerun(
    model: nn.Module, tokens: Any, patterns: Mapping[int, Any], *, position: Any = None, batch_size: int = BATCH_SIZE
) -> np.ndarray:
    """The model's scores if the attention of some layers were what you say.

    Parameters
    ----------
    model, tokens, position, batch_size : as in :func:`maps`
    patterns : layer -> (n, heads, l, l), what its heads shall look at; an empty dict gives the model's own scores

    Returns
    -------
    (n, k), scores before the softmax, of the position that is read

    Raises
    ------
    TypeError, ValueError
        As :func:`maps`, and if a pattern is negative or has another shape than the layer's own.

    Notes
    -----
    Everything else is computed as always, with what the changed attention makes of it; later layers look where they then
    want, unless they are given too. Taught in chapter 10.
    """
    x, read = read_arguments(model, tokens, position, batch_size)
    names = places(model, "pattern")
    given = _given_patterns(patterns, names, len(x), x.shape[1])
    parts = []
    for rows in blocks(len(x), batch_size):
        edits = {names[layer]: replaced_by(values[rows]) for layer, values in given.items()}
        with edited(model, edits):
            parts.append(at_read(record(model, x[rows], [], batch_size=batch_size)[0], read[rows]))
    return torch.cat(parts).cpu().numpy().astype(np.float64)


def probabilities(scores: Any) -> np.ndarray:
    """Softmax over the last axis.

    Parameters
    ----------
    scores : array (..., k)

    Notes
    -----
    Taught in chapter 10.

    Examples
    --------
    >>> probabilities([0.0, 0.0]).tolist()
    [0.5, 0.5]
    """
    z = check.array(scores, "scores")
    if z.ndim == 0:
        raise ValueError("scores must have at least one dimension: give the scores of all classes.")
    e = np.exp(z - z.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def tvd(p: Any, q: Any) -> np.ndarray:
    r"""Total variation distance of distributions along the last axis: 0 for equal ones, 1 for disjoint ones.

    .. math:: \mathrm{TVD}(p, q) = \tfrac12 \sum_k |p_k - q_k|

    Parameters
    ----------
    p, q : arrays (..., k) that fit together, never negative, each summing to 1

    Notes
    -----
    Jain & Wallace (2019), sect. 3, measure changes of the output with it. Taught in chapter 10.

    Examples
    --------
    >>> round(float(tvd([0.75, 0.25], [0.25, 0.75])), 4)
    0.5
    """
    a, b = _distributions(p, q)
    return np.asarray(np.abs(a - b).sum(axis=-1) / 2)


def jsd(p: Any, q: Any) -> np.ndarray:
    r"""Jensen-Shannon divergence of distributions along the last axis: 0 for equal ones, ln 2 = 0.693 for disjoint ones.

    .. math:: \mathrm{JSD}(p, q) = \tfrac12 \mathrm{KL}(p \,\|\, m) + \tfrac12 \mathrm{KL}(q \,\|\, m), \quad m = \tfrac12 (p + q)

    Parameters
    ----------
    p, q : as in :func:`tvd`

    Notes
    -----
    Jain & Wallace (2019), sect. 3, measure changes of attention with it. Natural logarithm. Taught in chapter 10.

    Examples
    --------
    >>> jsd([1.0, 0.0], [0.0, 1.0]).round(4).tolist()
    0.6931
    """
    a, b = _distributions(p, q)
    m = (a + b) / 2
    return np.asarray(np.maximum(_kl(a, m) + _kl(b, m), 0.0) / 2)


def permutations(
    model: nn.Module,
    tokens: Any,
    *,
    layers: Any = None,
    n_permutations: int = 100,
    position: Any = None,
    random_state: Any = 0,
    batch_size: int = BATCH_SIZE,
) -> Permutations:
    r"""Shuffle the weights of every attention row among the keys it can see, and watch the output.

    .. math:: \Delta_r = \mathrm{TVD}\big(f(x; A),\; f(x; \pi_r(A))\big)

    Parameters
    ----------
    model, tokens, position, batch_size : as in :func:`maps`
    layers : list of ints or None, the layers to permute at once; None is the last one
    n_permutations : int, per sequence; every row of every head gets a permutation of its own
    random_state : int, Generator or None

    Returns
    -------
    Permutations

    Raises
    ------
    TypeError, ValueError
        As :func:`maps`, and if a layer does not exist.

    Notes
    -----
    Jain & Wallace (2019), sect. 4.2.1. Only visible keys change places: a causal model must not see its future. In the last
    layer only the row of the reading position matters. Taught in chapter 10.
    """
    x, read = read_arguments(model, tokens, position, batch_size)
    check.number(n_permutations, "n_permutations", low=1, integer=True)
    names = places(model, "pattern")
    chosen = layer_numbers(layers, len(names))
    children = check.random_generator(random_state).spawn(len(x))
    own = maps(model, x, position=read, batch_size=batch_size)
    before = probabilities(rerun(model, x, {}, position=read, batch_size=batch_size))
    chosen_places = [names[k] for k in chosen]
    after = np.stack(
        [
            _permuted_outputs(model, x[i : i + 1], read[i], chosen_places, own.visible[i], child, n_permutations, batch_size)
            for i, child in enumerate(children)
        ]
    )
    peak = own.at_read()[chosen[-1]].mean(axis=1).max(axis=1)
    same = after.argmax(axis=2) == before.argmax(axis=1)[:, None]
    return Permutations(tvd(after, before[:, None]), same, peak, chosen)


def adversary(
    model: nn.Module,
    tokens: Any,
    *,
    layer: int | None = None,
    epsilon: float = 0.01,
    n_starts: int = 2,
    steps: int = 100,
    learning_rate: float = 0.4,
    position: Any = None,
    random_state: Any = 0,
    batch_size: int = BATCH_SIZE,
) -> Adversary:
    r"""Look for attention that is as different as possible and changes the output by at most epsilon.

    .. math:: \max_{\alpha}\ \frac1H \sum_h \mathrm{JSD}(A^h_{i\cdot}, \alpha^h) \quad\text{such that}\quad
        \mathrm{TVD}\big(f(x; A), f(x; \alpha)\big) \le \varepsilon

    Parameters
    ----------
    model, tokens, position, batch_size : as in :func:`maps`
    layer : int or None, whose reading row i is free; None is the last one
    epsilon : float in (0, 1)
    n_starts, steps, learning_rate : random starts, and Adam on the logits of the free weights from each of them
    random_state : int, Generator or None

    Returns
    -------
    Adversary
        The best weights met on the way that keep the output; at worst the model's own.

    Raises
    ------
    TypeError, ValueError
        As :func:`maps`, and if a number is out of its range.

    Notes
    -----
    Jain & Wallace (2019), sect. 4.2.2, with a search for each sequence alone. What is found is a lower bound, and no
    model: it is searched, not computed from queries and keys (Wiegreffe & Pinter 2019; see :func:`trained_adversary`). Taught in
    chapter 10.
    """
    x, read = read_arguments(model, tokens, position, batch_size)
    check.number(epsilon, "epsilon", low=0, high=1, open_low=True, open_high=True)
    for name, value in {"n_starts": n_starts, "steps": steps}.items():
        check.number(value, name, low=1, integer=True)
    check.number(learning_rate, "learning_rate", low=0, open_low=True)
    names = places(model, "pattern")
    k = layer_numbers(None if layer is None else [layer], len(names), "layer")[0]
    children = check.random_generator(random_state).spawn(len(x))
    own = maps(model, x, position=read, batch_size=batch_size)
    before = torch.as_tensor(probabilities(rerun(model, x, {}, position=read, batch_size=batch_size)))
    original, seen = own.at_read()[k], own.visible[np.arange(len(x)), read]
    start = np.stack([child.normal(size=(n_starts, *original.shape[1:])) for child in children])
    search = Search(model, names[k], epsilon, steps, learning_rate)
    parts = [
        search.best(x[rows], read[rows], original[rows], seen[rows], before[rows], start[rows])
        for rows in blocks(len(x), max(1, batch_size // n_starts))
    ]
    weights, changed = (np.concatenate(part) for part in zip(*parts, strict=True))
    return Adversary(weights, original, jsd(original, weights).mean(axis=1), changed, float(epsilon), k)


def trained_adversary(
    model: nn.Module,
    tokens: Any,
    *,
    layer: int | None = None,
    strength: float = 0.3,
    steps: int = 100,
    learning_rate: float = 0.01,
    position: Any = None,
    random_state: Any = 0,
    batch_size: int = 32,
) -> nn.Module:
    r"""Train a copy of the model to say the same and to look elsewhere: only queries and keys of one layer may change.

    .. math:: \min_{W_Q, W_K}\ \frac1n \sum_x \mathrm{TVD}\big(f(x), f'(x)\big) - \lambda\, \frac1H \sum_h \mathrm{JSD}(A^h, A'^h)

    Parameters
    ----------
    model, tokens, position : as in :func:`maps`
    layer : int or None, whose attention is trained; None is the last one
    strength : float from 0, :math:`\lambda`
    steps, learning_rate, batch_size : of Adam
    random_state : int, Generator or None, the order of the sequences

    Returns
    -------
    torch module, a copy in evaluation mode; everything but queries and keys of the layer is that of the model

    Raises
    ------
    TypeError, ValueError
        As :func:`maps`, and if a number is out of its range.

    Notes
    -----
    Wiegreffe & Pinter (2019), sect. 4: an adversary should be a model, with one set of weights for all sequences. Theirs is
    trained as a whole; here attention is the only change. Judge it on sequences that it was not trained on. Taught in
    chapter 10.
    """
    x, read = read_arguments(model, tokens, position, batch_size)
    check.number(strength, "strength", low=0)
    check.number(steps, "steps", low=1, integer=True)
    check.number(learning_rate, "learning_rate", low=0, open_low=True)
    rng, names = check.random_generator(random_state), places(model, "pattern")
    name = names[layer_numbers(None if layer is None else [layer], len(names), "layer")[0]]
    own = record(model, x, [name], batch_size=BATCH_SIZE)
    target, looked = at_read(own[0], read).softmax(dim=1), read_row(own[1][name], read)
    other = copy.deepcopy(model).eval().requires_grad_(False)
    free = [p for part in ("W_Q", "W_K") for p in _part(other, name, part).requires_grad_(True).parameters()]
    optimiser = torch.optim.Adam(free, lr=learning_rate)
    kept: list[Tensor] = []
    with torch.inference_mode(False), torch.enable_grad(), edited(other, {name: keeping(kept)}):
        for batch in batches(len(x), batch_size, steps, rng):
            kept.clear()
            new = at_read(run(other, x[batch]), read[batch]).softmax(dim=1)
            apart = (new - target[batch]).abs().sum(dim=1) / 2
            loss = (apart - strength * torch_jsd(looked[batch], read_row(kept[0], read[batch])).mean(dim=1)).mean()
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
    for p in other.parameters():
        p.requires_grad_(True)
        p.grad = None
    return other


# --- attributions that use the output ---------------------------------------------------------------------------------


def gradient_x_input(
    model: nn.Module,
    tokens: Any,
    target: Target = None,
    *,
    against: Target = None,
    position: Any = None,
    baseline: Any = "zero",
    skip: Sequence[int] = (),
    names: Sequence[str] | None = None,
    batch_size: int = BATCH_SIZE,
) -> Attribution:
    r"""The score's slope along the embedding of each token.

    .. math:: a_j = (e_j - b_j) \cdot \nabla_{e_j} y

    Parameters
    ----------
    model : torch module with the hook points of ``xailib.zoo.transformer``, and an embedding ``tokens``
    tokens : whole numbers (n, l)
    target : int, (n,) ints or None
        The class, or next token, whose score y is explained; None takes the one with the largest score.
    against : int, (n,) ints or None
        Explain the difference of two scores.
    position : int, (n,) ints or None, from where the score is read, as in :func:`maps`
    baseline : "zero", a token number, or an embedding (d,)
        What stands for "no word". The position of a word is kept: it is no part of the word.
    skip : token numbers that are no words (the start, the mark from which a class is read); they keep their embedding, and get 0
    names : l names for the positions, such as the words
    batch_size : int, sequences per model call

    Returns
    -------
    Attribution
        ``values`` (n, l) in units of the score; ``base_value`` (n,) is the score of the baseline.

    Raises
    ------
    TypeError, ValueError
        If the tokens are nothing the model reads, or a target is no class of it.

    Notes
    -----
    Exact for a score that is linear in the embeddings; otherwise ``efficiency_gap()`` shows how far it is from sharing out
    anything. Taught in chapter 10.
    """
    task = Task.checked(model, tokens, target, against, position, skip, names, batch_size)
    e, b = task.embeddings(baseline)
    G, classes, score = task.gradients(e, np.arange(len(e)), task.classes)
    base = task.scores_at(b, classes)
    return task.attribution((G * (e - b)).sum(axis=2), base, score, "gradient x input")


def integrated_gradients(
    model: nn.Module,
    tokens: Any,
    target: Target = None,
    *,
    against: Target = None,
    position: Any = None,
    baseline: Any = "zero",
    skip: Sequence[int] = (),
    steps: int = 50,
    names: Sequence[str] | None = None,
    batch_size: int = BATCH_SIZE,
) -> Attribution:
    r"""Share out the score difference between a baseline and the text by integrating the gradient between their embeddings.

    .. math:: a_j = (e_j - b_j) \cdot \int_0^1 \nabla_{e_j}\, y\big(b + \alpha (e - b)\big)\, d\alpha

    Parameters
    ----------
    model, tokens, target, against, position, baseline, skip, names, batch_size : as in :func:`gradient_x_input`
    steps : int, points of the Gauss-Legendre rule

    Returns
    -------
    Attribution
        ``values`` (n, l) in units of the score; with ``base_value`` they sum to ``prediction``, up to ``efficiency_gap()``.

    Raises
    ------
    TypeError, ValueError
        As :func:`gradient_x_input`.

    Notes
    -----
    Sundararajan, Taly & Yan (2017), eq. 1. Half a word is no word: the path leads through embeddings that no text has. Taught
    in chapter 10.
    """
    check.number(steps, "steps", low=1, integer=True)
    task = Task.checked(model, tokens, target, against, position, skip, names, batch_size)
    e, b = task.embeddings(baseline)
    score, classes = task.score_and_classes()
    points, weights = np.polynomial.legendre.leggauss(steps)
    mean = task.mean_gradient(e, b, (points + 1) / 2, weights / 2, classes)
    base = task.scores_at(b, classes)
    return task.attribution((mean * (e - b)).sum(axis=2), base, score, f"integrated gradients, {steps} steps")


def occlusion(
    model: nn.Module,
    tokens: Any,
    target: Target = None,
    *,
    against: Target = None,
    position: Any = None,
    replacement: int | None = None,
    skip: Sequence[int] = (),
    names: Sequence[str] | None = None,
    batch_size: int = BATCH_SIZE,
) -> Attribution:
    r"""What the score loses when one token is taken away.

    .. math:: a_j = y(x) - y(x \text{ without } j)

    Parameters
    ----------
    model, tokens, target, against, position, skip, names, batch_size : as in :func:`gradient_x_input`
    replacement : int or None
        The token put in its place; None deletes it, so that what follows moves up by one position.

    Returns
    -------
    Attribution
        ``values`` (n, l) in units of the score; ``base_value`` (n,) is the score with all of these tokens gone, NaN where none
        would be left.

    Raises
    ------
    TypeError, ValueError
        As :func:`gradient_x_input`, and if deletion would leave nothing.

    Notes
    -----
    Zeiler & Fergus (2014) for images; "leave one out" for words (Li, Monroe & Jurafsky 2016). Two words that say the same
    hide each other. Taught in chapter 10.
    """
    task = Task.checked(model, tokens, target, against, position, skip, names, batch_size)
    if replacement is not None:
        high = getattr(model, "vocabulary", np.inf) - 1
        check.number(replacement, "replacement", low=0, high=high, integer=True)
    elif task.x.shape[1] == 1:
        raise ValueError("tokens have one position only, so deletion leaves nothing: give a replacement.")
    score, classes = task.score_and_classes()
    i, j = np.nonzero(task.explained)
    values = np.zeros(task.x.shape)
    values[i, j] = score[i] - task.without(i, np.arange(task.x.shape[1]) == j[:, None], replacement, classes)
    base = task.all_gone(replacement, classes)
    how = "deleted" if replacement is None else f"replaced by token {replacement}"
    return task.attribution(values, base, score, f"occlusion, {how}")


# --- helpers: arguments -----------------------------------------------------------------------------------------------


def _distributions(p: Any, q: Any) -> tuple[np.ndarray, np.ndarray]:
    both = []
    for name, given in {"p": p, "q": q}.items():
        values = check.array(given, name)
        if values.ndim == 0 or (values < 0).any() or (np.abs(values.sum(axis=-1) - 1) > _ROWS_SUM_TO_1).any():
            raise ValueError(f"{name} must hold distributions along its last axis: no negative number, and a sum of 1.")
        both.append(values)
    check.fit_together(p=both[0], q=both[1])
    return both[0], both[1]


def _attention(patterns: Any) -> np.ndarray:
    """Checked attention (layers, heads, l, l) or (layers, n, heads, l, l)."""
    A = patterns.values if isinstance(patterns, Maps) else check.array(patterns, "patterns", ndim=(4, 5))
    if A.shape[-1] != A.shape[-2]:
        raise ValueError(f"patterns must be square, query by key, but their shape is {A.shape}.")
    if (A < 0).any() or (np.abs(A.sum(axis=-1) - 1) > _ROWS_SUM_TO_1).any():
        raise ValueError("patterns must be attention: weights from 0, in rows that sum to 1.")
    return A


def _given_patterns(patterns: Any, names: list[str], n: int, length: int) -> dict[int, np.ndarray]:
    if not isinstance(patterns, Mapping):
        raise TypeError(f"patterns must be a dict of layer number to attention, not {type(patterns).__name__}.")
    given = {}
    for layer, values in patterns.items():
        check.number(layer, "patterns: a layer", low=0, high=len(names) - 1, integer=True)
        A = check.array(values, "patterns", ndim=4)
        if (len(A), *A.shape[2:]) != (n, length, length) or (A < 0).any():
            raise ValueError(f"patterns must be weights from 0 of shape ({n}, heads, {length}, {length}), not {A.shape}.")
        given[int(layer)] = A
    return given


# --- helpers: aggregation ---------------------------------------------------------------------------------------------


def _fused(A: np.ndarray, fusion: str) -> np.ndarray:
    """All heads as one: (..., heads, l, l) -> (..., l, l), rows scaled to 1, or all zero."""
    fused = _FUSIONS[fusion](A, axis=-3)
    total = fused.sum(axis=-1, keepdims=True)
    return np.divide(fused, total, out=np.zeros_like(fused), where=total > 0)


def _mixed(patterns: Any, fusion: str, residual: float) -> np.ndarray:
    """Every layer with its residual stream, (layers, ..., l, l); a row without attention is all stream."""
    check.one_of(fusion, "fusion", _FUSIONS)
    check.number(residual, "residual", low=0, high=1)
    fused = _fused(_attention(patterns), fusion)
    mixed = (1 - residual) * fused + residual * np.eye(fused.shape[-1])
    return np.where(fused.sum(axis=-1, keepdims=True) > 0, mixed, np.eye(fused.shape[-1]))


def _flow(layers: np.ndarray, position: int) -> np.ndarray:
    """Maximum flow from ``position`` of the last layer to every token, (l,); layers (L, l, l)."""
    if len(layers) == 1:
        return layers[0, position]
    if len(layers) == 2:
        return np.minimum(layers[1, position][:, None], layers[0]).sum(axis=0)
    n_layers, length, _ = layers.shape
    edges = np.zeros((length * (n_layers + 1), length * (n_layers + 1)), dtype=np.int32)
    for k, A in enumerate(layers):  # from layer k + 1 down to layer k
        edges[length * (k + 1) : length * (k + 2), length * k : length * (k + 1)] = np.round(_FLOW_UNITS * A)
    pipes, source = csr_array(edges), length * n_layers + position
    return np.array([maximum_flow(pipes, source, j).flow_value for j in range(length)]) / _FLOW_UNITS


def _output_projection(model: nn.Module, pattern: str) -> Tensor:
    return _part(model, pattern, "W_O").weight.detach()


def _part(model: nn.Module, pattern: str, part: str) -> nn.Linear:
    """The linear layer beside a pattern."""
    name = pattern.removesuffix("pattern") + part
    linear = dict(model.named_modules()).get(name)
    if not isinstance(linear, nn.Linear):
        raise TypeError(f"model must have a linear layer {name!r}, as xailib.zoo.transformer.Transformer has.")
    return linear


def _norms(A: Tensor, v: Tensor, W: Tensor, heads: str) -> np.ndarray:
    """Lengths of weight times written value: A (n, h, l, l), v (n, h, l, k), W (d, h k)."""
    n_heads, size = v.shape[1], v.shape[3]
    f = torch.einsum("nhjk,dhk->nhjd", v, W.unflatten(1, (n_heads, size)))
    if heads == "each":
        return (A * f.norm(dim=3)[:, :, None]).cpu().numpy().astype(np.float64)
    return torch.einsum("nhij,nhjd->nijd", A, f).norm(dim=3).cpu().numpy().astype(np.float64)


def _kl(p: np.ndarray, m: np.ndarray) -> np.ndarray:
    ratio = np.divide(p, m, out=np.ones(np.broadcast_shapes(p.shape, m.shape)), where=(p > 0) & (m > 0))
    return (p * np.log(ratio)).sum(axis=-1)


def _permuted_outputs(
    model: nn.Module, x: Tensor, read: int, names: list[str], visible: np.ndarray, rng: Any, n: int, batch_size: int
) -> np.ndarray:
    """Output probabilities of one sequence under n permutations, (n, k)."""
    parts = []
    for rows in blocks(n, batch_size):
        m = rows.stop - rows.start
        with edited(model, {name: shuffled(visible, m, rng) for name in names}):
            parts.append(at_read(record(model, x.expand(m, -1), [], batch_size=m)[0], np.full(m, read)))
    return probabilities(torch.cat(parts).cpu().numpy())
