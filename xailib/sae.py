"""Superposition and sparse autoencoders: more features than dimensions, and how to get them back.

A toy model shows why a network stores many sparse features in few dimensions. A sparse autoencoder turns such activations into
latents of which few are on at a time. Planted features say how many of its latents are real, held-out texts what a name is worth,
and clamping what a latent does.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from scipy.optimize import linear_sum_assignment

from xailib import _validation as check

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = [
    "DoseResponse",
    "Fit",
    "NameScore",
    "PhaseDiagram",
    "Planted",
    "Recovery",
    "SparseAutoencoder",
    "TokenActivations",
    "ToyModel",
    "absorption",
    "evaluate",
    "fit",
    "fit_many",
    "frontier",
    "name_latents",
    "pca_dictionary",
    "phase_boundary",
    "phase_diagram",
    "phase_losses",
    "planted",
    "random_dictionary",
    "recovery",
    "score_name",
    "splits",
    "steer",
    "thresholded",
    "token_activations",
    "toy_model",
    "toy_models",
]

KINDS = ("relu", "top-k", "batch-top-k")
#: a feature counts as represented in a toy model when its direction is at least so long (a feature of its own has length 1)
REPRESENTED = 0.5
#: two features with a larger cosine than this share a direction
SHARED = 0.9
#: how a trained pair of features in one dimension may end
STATES = ("first only", "second only", "superposition", "other")
#: a latent speaks for a planted feature only when the feature is on in so many of its firings
PRECISION = 0.8
#: token number 0 of every vocabulary of the course
PADDING = 0


# --- toy models of superposition --------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class ToyModel:
    r"""A linear layer into few dimensions, and back through its own transpose: :math:`x' = \mathrm{ReLU}(W^\top W x + b)`.

    Attributes
    ----------
    W : (m, n), column i is the direction of feature i in the m hidden dimensions
    b : (n,), bias of the output
    density : probability that a feature is on
    importance : (n,), weight of each feature's squared error
    loss : mean weighted squared error on fresh data
    """

    W: np.ndarray
    b: np.ndarray
    density: float
    importance: np.ndarray
    loss: float

    @property
    def norms(self) -> np.ndarray:
        """Length of each feature's direction, (n,): 0 is forgotten, about 1 is kept."""
        return np.linalg.norm(self.W, axis=0)

    @property
    def represented(self) -> np.ndarray:
        """Which features have a direction of their own, (n,): length 0.5 or more, and no other such direction beside it."""
        kept, unit = self.norms >= REPRESENTED, self.W / np.maximum(self.norms, 1e-12)
        near = unit.T @ unit > SHARED
        np.fill_diagonal(near, False)
        return np.asarray(kept & ~(near & kept).any(axis=1))

    @property
    def n_represented(self) -> int:
        """How many features have a direction of their own; two that share one can not be told apart, and neither counts."""
        return int(self.represented.sum())

    @property
    def interference(self) -> np.ndarray:
        r"""How much other features land on each one, (n,): :math:`\sum_{j \ne i} (\hat W_i \cdot W_j)^2`."""
        unit = self.W / np.maximum(self.norms, 1e-12)
        overlap = (unit.T @ self.W) ** 2
        return overlap.sum(axis=1) - np.diag(overlap)

    def reconstruct(self, X: Any) -> np.ndarray:
        """What comes out, (rows, n), when features X (rows, n) go in."""
        X = check.array(X, "X", ndim=2)
        if X.shape[1] != len(self.b):
            raise ValueError(f"X has {X.shape[1]} columns, but the model has {len(self.b)} features.")
        return np.maximum(X @ self.W.T @ self.W + self.b, 0)

    def to_frame(self) -> pd.DataFrame:
        """One row per feature: importance, length, interference, bias."""
        columns = {"importance": self.importance, "length": self.norms, "interference": self.interference, "bias": self.b}
        return pd.DataFrame(columns).rename_axis("feature").reset_index()

    def plot(self, ax: Axes | None = None) -> Axes:
        """Each feature's direction in the first two hidden dimensions; its number stands at the tip."""
        from xailib import plots

        ax = plots.axes(ax, figsize=(3.2, 3.2))
        tips, own = np.vstack([self.W, np.zeros_like(self.W)])[:2].T, self.represented
        labels: dict[tuple[float, float], list[str]] = {}  # features on one direction share a label
        for i, (x, y) in enumerate(tips):
            kept = self.norms[i] >= REPRESENTED
            ax.plot(
                [0, x],
                [0, y],
                color=plots.ANCHOR if own[i] else plots.NEGATIVE if kept else plots.CONTEXT,
                lw=2 if kept else 1,
                ls="-" if own[i] or not kept else "--",
                marker="o",
                ms=4,
                markevery=[1],
            )
            if kept:
                beside = [tip for tip in labels if np.dot(tip, (x, y)) > SHARED * np.linalg.norm(tip) * self.norms[i]]
                labels.setdefault(beside[0] if beside else (x, y), []).append(str(i + 1))
        for (x, y), numbers in labels.items():
            ax.text(1.18 * x, 1.18 * y, ", ".join(numbers), ha="center", va="center", fontsize=9)
        ax.set(xlim=(-1.5, 1.5), ylim=(-1.5, 1.5), aspect="equal", xlabel="hidden dimension 1", ylabel="hidden dimension 2")
        return ax

    def __repr__(self) -> str:
        m, n = self.W.shape
        kept = f"{self.n_represented} represented, loss {self.loss:.4f}"
        return f"ToyModel({n} features, {m} dimensions, density {self.density:g}: {kept})"


def toy_model(
    n_features: int = 5,
    n_hidden: int = 2,
    *,
    density: float = 0.1,
    importance: Any = 0.9,
    steps: int = 1500,
    restarts: int = 4,
    batch_size: int = 512,
    learning_rate: float = 0.02,
    random_state: Any = 0,
) -> ToyModel:
    r"""Train one toy model of superposition; several starts, the best is kept.

    .. math:: x' = \mathrm{ReLU}(W^\top W x + b), \qquad L = \mathrm E \sum_i I_i\, (x_i - x'_i)^2

    Parameters
    ----------
    n_features, n_hidden : int
    density : float in (0, 1], probability that a feature is on; it is then uniform on [0, 1]. Sparsity is 1 minus density.
    importance : float in (0, 1], or (n_features,) positive numbers
        A number r stands for importances 1, r, r^2, ...
    steps, restarts, batch_size : int
    learning_rate : float, falls to 0 in a straight line
    random_state : int, Generator or None

    Returns
    -------
    ToyModel

    Raises
    ------
    TypeError, ValueError
        If an argument is out of its range.

    Notes
    -----
    Elhage et al. (2022), *Toy models of superposition*. Restarts are needed: training often ends in a worse arrangement. Taught
    in chapter 13.

    Examples
    --------
    >>> toy_model(3, 2, density=1.0, steps=300, restarts=2).n_represented
    2
    """
    check.number(density, "density", low=0, high=1, open_low=True)
    return toy_models(
        [density], n_features, n_hidden, importance=importance, steps=steps, restarts=restarts,
        batch_size=batch_size, learning_rate=learning_rate, random_state=random_state,
    )[0]  # fmt: skip


def toy_models(
    densities: Any,
    n_features: int = 5,
    n_hidden: int = 2,
    *,
    importance: Any = 0.9,
    steps: int = 1500,
    restarts: int = 4,
    batch_size: int = 512,
    learning_rate: float = 0.02,
    random_state: Any = 0,
) -> list[ToyModel]:
    """Train a toy model for each density, all of them and all their restarts in one batched tensor.

    Parameters
    ----------
    densities : (r,) numbers in (0, 1]
    importance : as in :func:`toy_model`, or (r, n_features) for models that differ
    n_features, n_hidden, steps, restarts, batch_size, learning_rate, random_state : as in :func:`toy_model`

    Returns
    -------
    list of r ToyModel

    Raises
    ------
    TypeError, ValueError
        If an argument is out of its range.

    Notes
    -----
    Taught in chapter 13.

    Examples
    --------
    >>> [toy.n_represented for toy in toy_models([1.0, 0.05], 3, 2, importance=0.7, steps=600, restarts=2)]
    [2, 3]
    """
    p = check.array(densities, "densities", ndim=1)
    if not ((p > 0) & (p <= 1)).all():
        raise ValueError(f"densities must lie in (0, 1], but one is {p[(p <= 0) | (p > 1)][0]:g}.")
    sizes = {"n_features": n_features, "n_hidden": n_hidden, "steps": steps, "restarts": restarts, "batch_size": batch_size}
    for name, size in sizes.items():
        check.number(size, name, low=1, integer=True)
    check.number(learning_rate, "learning_rate", low=0, open_low=True)
    weight = _importances(importance, len(p), n_features)
    rng = check.random_generator(random_state)
    from xailib import _sae_training as training

    W, b, losses = training.toys(
        np.tile(p, restarts), np.tile(weight, (restarts, 1)), n_hidden,
        steps=steps, batch_size=batch_size, learning_rate=learning_rate, rng=rng,
    )  # fmt: skip
    best = losses.reshape(restarts, len(p)).argmin(axis=0) * len(p) + np.arange(len(p))
    return [ToyModel(W[i], b[i], float(p[j]), weight[j], float(losses[i])) for j, i in enumerate(best)]


def _importances(importance: Any, n_models: int, n_features: int) -> np.ndarray:
    """Importances (models, features) from a decay, one row, or one row per model."""
    values = check.array(importance, "importance", ndim=[0, 1, 2])
    if values.ndim == 0:
        values = check.number(float(values), "importance", low=0, high=1, open_low=True) ** np.arange(n_features)
    if values.shape[-1] != n_features or (values.ndim == 2 and len(values) != n_models):
        raise ValueError(
            f"importance must be one number, {n_features}, or {n_models} rows of {n_features}; its shape is {values.shape}."
        )
    if not (values > 0).all():
        raise ValueError("importance must be positive: leave features out instead of giving them no weight.")
    return np.broadcast_to(values, (n_models, n_features))


def phase_losses(density: Any, importance: Any) -> pd.DataFrame:
    r"""Exact losses of the three ideal answers to "two features, one dimension".

    .. math:: L_{\text{first}} = I\,\big(\tfrac p3 - \tfrac{p^2}4\big), \qquad L_{\text{second}} = \tfrac p3 - \tfrac{p^2}4,
        \qquad L_{\text{superposition}} = (1 + I)\, \tfrac{p^2}6

    Parameters
    ----------
    density : float in (0, 1] or (r,) of them, p
    importance : positive float or (r,) of them, :math:`I`, of the second feature; the first has 1

    Returns
    -------
    DataFrame
        ``density, importance`` and a column for each answer: keep the first feature (and guess the mean of the other), keep the
        second, or put them on opposite ends, :math:`W = (1, -1)`, which costs :math:`\min(x_1, x_2)` in both when both are on.

    Raises
    ------
    TypeError, ValueError
        If an argument is out of its range.

    Notes
    -----
    After Elhage et al. (2022), whose features are uniform on [0, 1] when on. Taught in chapter 13.

    Examples
    --------
    >>> phase_losses(1.0, 1.0).iloc[0, 2:].round(4).to_dict()
    {'first only': 0.0833, 'second only': 0.0833, 'superposition': 0.3333}
    """
    p, I = _density_and_importance(density, importance)  # noqa: E741
    alone = p / 3 - p**2 / 4
    losses = {"first only": I * alone, "second only": alone, "superposition": (1 + I) * p**2 / 6}
    return pd.DataFrame({"density": p, "importance": I, **losses})


def phase_boundary(importance: Any) -> np.ndarray:
    r"""Density below which superposition is the best of the three ideal answers.

    .. math:: p^* = \frac{4I}{2 + 5I} \quad (I \le 1), \qquad \frac{4}{5 + 2I} \quad (I > 1)

    Parameters
    ----------
    importance : positive float or array, :math:`I`, of the second feature

    Returns
    -------
    array of the same shape

    Raises
    ------
    TypeError, ValueError
        If an importance is not positive.

    Notes
    -----
    Where the losses of :func:`phase_losses` are equal. Taught in chapter 13.

    Examples
    --------
    >>> phase_boundary([0.1, 1.0]).round(4).tolist()
    [0.16, 0.5714]
    """
    I = _density_and_importance(1.0, importance)[1]  # noqa: E741
    edge = np.where(I <= 1, 4 * I / (2 + 5 * I), 4 / (5 + 2 * I))
    return edge.reshape(np.shape(importance))


def _density_and_importance(density: Any, importance: Any) -> tuple[np.ndarray, np.ndarray]:
    p, I = check.array(density, "density", ndim=[0, 1]), check.array(importance, "importance", ndim=[0, 1])  # noqa: E741
    check.fit_together(density=p, importance=I)
    if not ((p > 0) & (p <= 1)).all():
        raise ValueError("density must lie in (0, 1].")
    if not (I > 0).all():
        raise ValueError("importance must be positive.")
    p, I = np.broadcast_arrays(np.atleast_1d(p), np.atleast_1d(I))  # noqa: E741
    return p, I


@dataclass(frozen=True, eq=False)
class PhaseDiagram:
    """What trained toy models do with two features and one dimension.

    Attributes
    ----------
    densities : (a,), importances : (c,) of the second feature
    weights : (a, c, 2), the weight of either feature
    losses : (a, c), of the trained models
    """

    densities: np.ndarray
    importances: np.ndarray
    weights: np.ndarray
    losses: np.ndarray

    @property
    def states(self) -> np.ndarray:
        """(a, c) of str: "first only", "second only", "superposition" (both, with opposite signs) or "other"."""
        first, second = (np.abs(self.weights[..., i]) >= REPRESENTED for i in (0, 1))
        opposite = self.weights.prod(axis=2) < 0
        return np.select([first & ~second, second & ~first, first & second & opposite], STATES[:3], STATES[3])

    def to_frame(self) -> pd.DataFrame:
        """One row per cell: density, importance, state, loss, and the best of the three ideal answers with its loss."""
        p, I = np.meshgrid(self.densities, self.importances, indexing="ij")  # noqa: E741
        ideal = phase_losses(p.ravel(), I.ravel())
        answers = ideal[list(STATES[:3])]
        return ideal[["density", "importance"]].assign(
            state=self.states.ravel(), loss=self.losses.ravel(), ideal=answers.idxmin(axis=1), ideal_loss=answers.min(axis=1)
        )

    def plot(self, ax: Axes | None = None) -> Axes:
        """A letter and a shade for each cell, and the border between the ideal answers."""
        from xailib import plots

        ax = plots.axes(ax, figsize=(6.4, 3.8))
        shades = np.select([self.states == state for state in STATES], range(len(STATES)))
        colours = [plots.CONTEXT, "#d8d8d8", plots.TRUTH, "white"]
        for i, p in enumerate(self.densities):
            for j, r in enumerate(self.importances):
                ax.plot(r, p, "s", ms=11, color=colours[shades[i, j]], markeredgecolor="none")
                ax.text(r, p, "12S-"[shades[i, j]], ha="center", va="center", fontsize=7)
        edge = np.geomspace(self.importances.min(), self.importances.max(), 80)
        ax.plot(edge, phase_boundary(edge), color=plots.ANCHOR, lw=2, label="border of the formula")
        for state, colour, letter in zip(STATES[:3], colours, "12S", strict=False):
            ax.plot([], [], "s", ms=9, color=colour, label=f"{letter}: {state}")
        ax.legend(fontsize=8, loc="center left", bbox_to_anchor=(1.01, 0.5))
        ax.set(xscale="log", yscale="log", xlabel="importance of feature 2 (feature 1: 1)", ylabel="density (share of inputs)")
        return ax

    def __repr__(self) -> str:
        counts = pd.Series(self.states.ravel()).value_counts()
        return f"PhaseDiagram({self.losses.size} toy models: " + ", ".join(f"{n} {state}" for state, n in counts.items()) + ")"


def phase_diagram(
    densities: Any = None,
    importances: Any = None,
    *,
    steps: int = 800,
    restarts: int = 3,
    batch_size: int = 256,
    learning_rate: float = 0.02,
    random_state: Any = 0,
) -> PhaseDiagram:
    """Train a grid of toy models with two features and one dimension, all at once.

    Parameters
    ----------
    densities : (a,) numbers in (0, 1]; by default 12 from 0.02 to 1
    importances : (c,) positive numbers, of the second feature; by default 11 from 0.1 to 10
    steps, restarts, batch_size, learning_rate, random_state : as in :func:`toy_model`

    Returns
    -------
    PhaseDiagram

    Raises
    ------
    TypeError, ValueError
        If an argument is out of its range.

    Notes
    -----
    Elhage et al. (2022). Taught in chapter 13.
    """
    p = check.array(np.geomspace(0.02, 1, 12) if densities is None else densities, "densities", ndim=1)
    I = check.array(np.geomspace(0.1, 10, 11) if importances is None else importances, "importances", ndim=1)  # noqa: E741
    if not (I > 0).all():
        raise ValueError("importances must be positive.")
    cells = np.stack(np.meshgrid(p, I, indexing="ij"), axis=-1).reshape(-1, 2)
    pairs = np.column_stack([np.ones(len(cells)), cells[:, 1]])
    toys = toy_models(
        cells[:, 0], 2, 1, importance=pairs, steps=steps, restarts=restarts,
        batch_size=batch_size, learning_rate=learning_rate, random_state=random_state,
    )  # fmt: skip
    weights = np.array([toy.W[0] for toy in toys]).reshape(len(p), len(I), 2)
    return PhaseDiagram(p, I, weights, np.array([toy.loss for toy in toys]).reshape(len(p), len(I)))


# --- activations with planted features ---------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Planted:
    """Activations made of known features.

    Attributes
    ----------
    activations : (n, d), ``codes @ dictionary`` and noise
    codes : (n, f), how strongly each feature is on: 0 for off
    dictionary : (f, d), unit directions of the features
    rates : (f,), probability that a feature is on
    parents : (f,), number of the feature without which this one never fires; -1 for none
    """

    activations: np.ndarray
    codes: np.ndarray
    dictionary: np.ndarray
    rates: np.ndarray
    parents: np.ndarray

    @property
    def coherence(self) -> float:
        """Largest absolute cosine between two features."""
        G = self.dictionary @ self.dictionary.T
        return float(np.abs(G - np.diag(np.diag(G))).max())

    def halves(self) -> tuple[Planted, Planted]:
        """The first three quarters for training and the rest to judge by."""
        cut = 3 * len(self.codes) // 4
        parts = [(self.activations[rows], self.codes[rows]) for rows in (slice(cut), slice(cut, None))]
        first, second = (Planted(a, c, self.dictionary, self.rates, self.parents) for a, c in parts)
        return first, second

    def __repr__(self) -> str:
        (n, f), d = self.codes.shape, self.dictionary.shape[1]
        on = (self.codes > 0).sum(axis=1).mean()
        return f"Planted({f} features in {d} dimensions, {n} rows with {on:.2f} features on, coherence {self.coherence:.2f})"


def planted(
    n: int = 8000,
    n_features: int = 32,
    n_dims: int = 16,
    *,
    n_active: float = 2.0,
    spread: bool = True,
    n_parents: int = 0,
    children: int = 2,
    tied: bool = True,
    noise_sd: float = 0.0,
    random_state: Any = 0,
) -> Planted:
    r"""Activations in which the features are known: sparse, non-negative sums of directions.

    .. math:: a = \sum_i f_i\, d_i + \varepsilon, \qquad f_i \sim U[0.5, 1.5] \text{ with probability } p_i, \text{ else } 0

    Parameters
    ----------
    n : int, rows
    n_features, n_dims : int
    n_active : float, mean number of features that are on in a row (children not counted)
    spread : bool
        True pushes the random directions apart, as training does in a toy model; False leaves them as they fell.
    n_parents, children : int
        The first ``n_parents`` features get so many children each, the features behind them. In 6 of 10 rows in which a parent is
        on, exactly one of its children is.
    tied : bool, False lets children fire at the same rate without regard to their parents: the control
    noise_sd : float, standard deviation of the noise in each dimension
    random_state : int, Generator or None

    Returns
    -------
    Planted

    Raises
    ------
    TypeError, ValueError
        If an argument is out of its range, or there are more children than features.

    Notes
    -----
    Taught in chapter 13.

    Examples
    --------
    >>> planted(1000, 6, 4)
    Planted(6 features in 4 dimensions, 1000 rows with 1.98 features on, coherence 0.39)
    """
    for name, size in {"n": n, "n_features": n_features, "n_dims": n_dims, "children": children}.items():
        check.number(size, name, low=1, integer=True)
    check.number(n_parents, "n_parents", low=0, integer=True)
    free = n_features - n_parents * children
    if free < max(1, n_parents):
        raise ValueError(f"n_parents * children must leave room for the parents among {n_features} features: take fewer of them.")
    check.number(n_active, "n_active", low=0, high=free, open_low=True)
    check.number(noise_sd, "noise_sd", low=0)
    for name, value in {"spread": spread, "tied": tied}.items():
        check.flag(value, name)
    rng = check.random_generator(random_state)
    D = _directions(rng.normal(size=(n_features, n_dims)), 300 if spread else 0)
    parents = np.full(n_features, -1)
    parents[n_parents : n_parents * (1 + children)] = np.repeat(np.arange(n_parents), children)
    rates = np.full(n_features, n_active / free)
    rates[parents >= 0] *= CHILD_SHARE / children
    codes = _firing(n, rates, parents, tied, rng) * rng.uniform(0.5, 1.5, (n, n_features))
    A = codes @ D + noise_sd * rng.normal(size=(n, n_dims))
    return Planted(A, codes, D, rates, parents)


#: share of a parent's rows in which one of its children is on
CHILD_SHARE = 0.6


def _firing(n: int, rates: np.ndarray, parents: np.ndarray, tied: bool, rng: np.random.Generator) -> np.ndarray:
    """Which features are on, (n, f)."""
    on = rng.random((n, len(rates))) < rates
    for parent in np.unique(parents[parents >= 0]) if tied else []:
        own = np.flatnonzero(parents == parent)
        chosen = rng.integers(len(own), size=n)
        has_child = on[:, parent] & (rng.random(n) < CHILD_SHARE)
        on[:, own] = has_child[:, None] & (chosen[:, None] == np.arange(len(own)))
    return on


def _directions(D: np.ndarray, steps: int) -> np.ndarray:
    """Unit rows, pushed apart: steps against the gradient of the sum of the cosines' fourth powers."""
    D = D / np.linalg.norm(D, axis=1, keepdims=True)
    for _ in range(steps):
        G = D @ D.T
        np.fill_diagonal(G, 0)
        D = D - 0.5 * G**3 @ D
        D /= np.linalg.norm(D, axis=1, keepdims=True)
    return D


# --- sparse autoencoders ----------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class SparseAutoencoder:
    r"""Latents of which few are on: :math:`z = \sigma\big((a - c)\, W + b\big)`, :math:`\hat a = z D + c`.

    Attributes
    ----------
    encoder : (d, m), W; encoder_bias : (m,), b
    dictionary : (m, d), D: row j is the direction that latent j writes; of length 1, so latents are in units of the activations
    bias : (d,), c, subtracted before and added after
    kind : "relu", "top-k" or "batch-top-k": what :math:`\sigma` does
    k : latents that are on in a row (batch-top-k: on average); NaN for relu
    l1 : weight of the penalty; NaN for the others
    threshold : what a latent must exceed to be on; 0 but for batch-top-k
    loss : (steps,), share of the variance that was lost in each training batch
    n_resampled : how often a dead latent was started anew
    """

    encoder: np.ndarray
    encoder_bias: np.ndarray
    dictionary: np.ndarray
    bias: np.ndarray
    kind: str
    k: float
    l1: float
    threshold: float
    loss: np.ndarray = field(repr=False)
    n_resampled: int

    @property
    def n_latents(self) -> int:
        """Number of latents, m."""
        return len(self.encoder_bias)

    def encode(self, activations: Any) -> np.ndarray:
        """Latents (n, m) of activations (n, d): non-negative, mostly 0."""
        z = np.maximum((self._checked(activations) - self.bias) @ self.encoder + self.encoder_bias, 0)
        if self.kind == "top-k":
            k = int(self.k)
            z[z < np.partition(z, -k, axis=1)[:, [-k]]] = 0
        elif self.kind == "batch-top-k":
            z[z <= self.threshold] = 0
        return z

    def decode(self, latents: Any) -> np.ndarray:
        """Activations (n, d) that latents (n, m) stand for."""
        z = check.array(latents, "latents", ndim=2)
        if z.shape[1] != self.n_latents:
            raise ValueError(f"latents have {z.shape[1]} columns, but the autoencoder has {self.n_latents} latents.")
        return z @ self.dictionary + self.bias

    def reconstruct(self, activations: Any) -> np.ndarray:
        """What is left of activations (n, d) after a passage through the latents."""
        return self.decode(self.encode(activations))

    def _checked(self, activations: Any) -> np.ndarray:
        A = check.array(activations, "activations", ndim=2)
        if A.shape[1] != len(self.bias):
            raise ValueError(f"activations have {A.shape[1]} columns, but the autoencoder was trained on {len(self.bias)}.")
        return A

    def __repr__(self) -> str:
        strength = f"l1 {self.l1:g}" if self.kind == "relu" else f"k {self.k:g}"
        return f"SparseAutoencoder({self.kind}, {strength}: {len(self.bias)} dimensions, {self.n_latents} latents)"


def fit(
    activations: Any,
    n_latents: int,
    *,
    kind: str = "batch-top-k",
    k: float | None = None,
    l1: float | None = None,
    steps: int = 1000,
    batch_size: int = 256,
    learning_rate: float = 5e-3,
    unit_norm: bool = True,
    resample: bool = True,
    random_state: Any = 0,
) -> SparseAutoencoder:
    r"""Train a sparse autoencoder.

    .. math:: L = \frac{\mathrm E \|a - \hat a\|^2}{\mathrm E \|a - \bar a\|^2} + \lambda\, \mathrm E \sum_j z_j

    Parameters
    ----------
    activations : (n, d)
    n_latents : int, m
    kind : {"batch-top-k", "top-k", "relu"}
        Keep the ``k`` times rows largest latents of a batch (and afterwards those above the threshold that this amounted to), the
        k largest of each row, or all that are positive, with a penalty ``l1`` (:math:`\lambda`) on their sum.
    k : number of latents on in a row; whole for top-k, a mean for batch-top-k
    l1 : float above 0, for ``"relu"``; errors and latents are measured where the mean squared length of the centred activations
        is 1, so it means the same at every layer
    steps, batch_size : int
    learning_rate : float, constant, then falling to 0 in the last 40 %
    unit_norm : bool
        Keeps the dictionary's rows at length 1. Without it a penalty can be dodged: latents shrink and rows grow.
    resample : bool
        Twenty times in the first 80 % of the training, every latent that fires less than a twentieth as often as the average one
        starts anew as an input that is rebuilt badly.
    random_state : int, Generator or None

    Returns
    -------
    SparseAutoencoder

    Raises
    ------
    TypeError, ValueError
        If an argument is out of its range, activations are all alike, or k or l1 does not go with the kind.

    Notes
    -----
    Cunningham et al. (2023) and Bricken et al. (2023) for relu, its unit norm and resampling; Gao et al. (2024) for top-k;
    Bussmann et al. (2024) for batch-top-k. Taught in chapter 13.

    Examples
    --------
    >>> features = planted(2000, 6, 4, n_active=1.0)
    >>> autoencoder = fit(features.activations, 6, k=1, steps=300)
    >>> autoencoder
    SparseAutoencoder(batch-top-k, k 1: 4 dimensions, 6 latents)
    >>> bool(recovery(autoencoder.dictionary, features.dictionary).mean_cosine > 0.95)
    True
    """
    for name, value in {"k": k, "l1": l1}.items():
        if value is not None:
            check.number(value, name)
    A = check.array(activations, "activations", ndim=2)
    return fit_many(
        A[None], n_latents, kind=kind, k=k, l1=l1, steps=steps, batch_size=batch_size, learning_rate=learning_rate,
        unit_norm=unit_norm, resample=resample, random_state=random_state,
    )[0]  # fmt: skip


def fit_many(
    activations: Any,
    n_latents: int,
    *,
    kind: str = "batch-top-k",
    k: Any = None,
    l1: Any = None,
    steps: int = 1000,
    batch_size: int = 256,
    learning_rate: float = 5e-3,
    unit_norm: bool = True,
    resample: bool = True,
    random_state: Any = 0,
) -> list[SparseAutoencoder]:
    """Train several sparse autoencoders of one shape at once: other data, other strengths, or other first weights.

    Parameters
    ----------
    activations : (r, n, d), data for each; or (n, d) for all
    k, l1 : number, or (r,) of them
    n_latents, kind, steps, batch_size, learning_rate, unit_norm, resample, random_state : as in :func:`fit`

    Returns
    -------
    list of r SparseAutoencoder

    Raises
    ------
    TypeError, ValueError
        As :func:`fit`, and if the numbers of data sets and strengths differ.

    Notes
    -----
    One batched tensor: for small layers ten autoencoders take little longer than one. Taught in chapter 13.

    Examples
    --------
    >>> features = planted(500, 6, 4)
    >>> [one.k for one in fit_many(features.activations, 6, k=[1, 2, 3], steps=20)]
    [1.0, 2.0, 3.0]
    """
    A = check.array(activations, "activations", ndim=[2, 3])
    A = A[None] if A.ndim == 2 else A
    if (np.ptp(A, axis=1) == 0).all(axis=1).any():
        raise ValueError("activations are all alike: an autoencoder needs rows that differ.")
    settings = _settings(A, n_latents, kind, k, l1, steps, batch_size, learning_rate, unit_norm, resample)
    rng = check.random_generator(random_state)
    from xailib import _sae_training as training

    found = training.autoencoders(A, training.Settings(**settings), rng)
    return [
        SparseAutoencoder(
            found.encoder[i], found.encoder_bias[i], found.dictionary[i], found.bias[i], kind, float(settings["k"][i]),
            float(settings["l1"][i]), float(found.threshold[i]), found.loss[i], int(found.resampled[i]),
        )
        for i in range(len(found.threshold))
    ]  # fmt: skip


def _settings(
    A: np.ndarray,
    n_latents: int,
    kind: str,
    k: Any,
    l1: Any,
    steps: int,
    batch_size: int,
    learning_rate: float,
    unit_norm: bool,
    resample: bool,
) -> dict[str, Any]:
    """Checked arguments of a training, with one k and one l1 for each autoencoder."""
    check.one_of(kind, "kind", KINDS)
    for name, size in {"n_latents": n_latents, "steps": steps, "batch_size": batch_size}.items():
        check.number(size, name, low=1, integer=True)
    check.number(learning_rate, "learning_rate", low=0, open_low=True)
    for name, value in {"unit_norm": unit_norm, "resample": resample}.items():
        check.flag(value, name)
    needed, other = ("l1", "k") if kind == "relu" else ("k", "l1")
    given = {"k": k, "l1": l1}
    if given[needed] is None or given[other] is not None:
        raise ValueError(f"kind {kind!r} needs {needed} and no {other}: give {needed}=...")
    values = check.array(given[needed], needed, ndim=[0, 1])
    if (values <= 0).any() or (needed == "k" and (values > n_latents).any()):
        raise ValueError(
            f"{needed} must be above 0{f' and at most {n_latents}, the number of latents' if needed == 'k' else ''}."
        )
    if kind == "top-k" and (values != np.round(values)).any():
        raise ValueError("k must be whole for 'top-k'; take 'batch-top-k' for a mean.")
    counts = {len(A), values.size} - {1}
    if len(counts) > 1:
        raise ValueError(f"activations hold {len(A)} data sets, but {needed} has {values.size} values: give one, or as many.")
    each = np.full(max(counts, default=1), values)
    nothing = np.full(len(each), np.nan)
    return {
        "kind": kind, "k": nothing if needed == "l1" else each, "l1": nothing if needed == "k" else each, "n_latents": n_latents,
        "steps": steps, "batch_size": batch_size, "learning_rate": learning_rate, "unit_norm": unit_norm, "resample": resample,
    }  # fmt: skip


# --- how good is one? -------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Fit:
    """How well, and with how few latents, an autoencoder rebuilds activations.

    Attributes
    ----------
    explained : share of the variance that is kept: 1 minus squared error over squared distance from the mean
    l0 : mean number of latents that are on
    dead : share of latents that are never on
    n : rows
    """

    explained: float
    l0: float
    dead: float
    n: int


def evaluate(autoencoder: SparseAutoencoder, activations: Any) -> Fit:
    r"""Reconstruction and sparsity on activations, best on some that did not train it.

    .. math:: 1 - \frac{\sum \|a - \hat a\|^2}{\sum \|a - \bar a\|^2}, \qquad L_0 = \frac1n \sum |\{j : z_j > 0\}|

    Parameters
    ----------
    autoencoder : SparseAutoencoder
    activations : (n, d), at least two rows that differ

    Returns
    -------
    Fit

    Raises
    ------
    TypeError, ValueError
        If the activations do not fit the autoencoder.

    Notes
    -----
    Taught in chapter 13.
    """
    check.instance(autoencoder, SparseAutoencoder, "autoencoder")
    A = autoencoder._checked(activations)
    total = ((A - A.mean(axis=0)) ** 2).sum()
    if total == 0:
        raise ValueError("activations are all alike: no variance can be explained.")
    z = autoencoder.encode(A)
    lost = ((A - autoencoder.decode(z)) ** 2).sum()
    on = z > 0
    return Fit(float(1 - lost / total), float(on.sum(axis=1).mean()), float((~on.any(axis=0)).mean()), len(A))


def thresholded(autoencoder: SparseAutoencoder, activations: Any, k: float) -> SparseAutoencoder:
    """The same weights, read with a threshold: a latent is on where it exceeds what leaves k on in a row, on these activations.

    Parameters
    ----------
    autoencoder : SparseAutoencoder of any kind
    activations : (n, d), best those that trained it
    k : float above 0, mean number of latents on in a row

    Returns
    -------
    SparseAutoencoder
        Of kind "batch-top-k", which is how that kind encodes.

    Raises
    ------
    TypeError, ValueError
        If the activations do not fit, or k is not above 0 and below the number of latents.

    Notes
    -----
    Kinds can be compared only with as many latents on: a weak penalty leaves many faint ones, which a threshold removes. No truth
    is needed. Taught in chapter 13.
    """
    check.instance(autoencoder, SparseAutoencoder, "autoencoder")
    check.number(k, "k", low=0, high=autoencoder.n_latents, open_low=True, open_high=True)
    A = autoencoder._checked(activations)
    z = np.maximum((A - autoencoder.bias) @ autoencoder.encoder + autoencoder.encoder_bias, 0)
    threshold = float(np.sort(z, axis=None)[-max(1, round(k * len(z))) - 1])
    return replace(autoencoder, kind="batch-top-k", k=float(k), l1=np.nan, threshold=threshold)


def frontier(
    train: Any,
    test: Any,
    n_latents: int,
    strengths: Mapping[str, Sequence[float]],
    *,
    steps: int = 1000,
    batch_size: int = 256,
    random_state: Any = 0,
) -> pd.DataFrame:
    """Sparsity against reconstruction: train every kind at every strength, measure on other rows.

    Parameters
    ----------
    train, test : (n, d) and (n', d)
    n_latents, steps, batch_size, random_state : as in :func:`fit`
    strengths : kind -> values of its k (or of l1 for "relu")

    Returns
    -------
    DataFrame
        One row per autoencoder: ``kind, strength, l0, explained, dead``.

    Raises
    ------
    TypeError, ValueError
        As :func:`fit`.

    Notes
    -----
    All strengths of a kind are trained in one batched tensor. Taught in chapter 13.
    """
    check.instance(strengths, Mapping, "strengths")
    if not strengths:
        raise ValueError("strengths is empty: give a kind and its values, such as {'top-k': [2, 4]}.")
    A, other = check.array(train, "train", ndim=2), check.array(test, "test", ndim=2)
    if A.shape[1] != other.shape[1]:
        raise ValueError(f"train has {A.shape[1]} columns and test {other.shape[1]}: take both from one layer.")
    rng, rows = check.random_generator(random_state), []
    for kind, values in strengths.items():
        check.one_of(kind, "a kind in strengths", KINDS)
        each = check.array(values, f"strengths[{kind!r}]", ndim=1)
        k, l1 = (None, each) if kind == "relu" else (each, None)
        found = fit_many(A, n_latents, kind=kind, k=k, l1=l1, steps=steps, batch_size=batch_size, random_state=rng)
        for value, one in zip(each, found, strict=True):
            measured = evaluate(one, other)
            row = {"kind": kind, "strength": value, "l0": measured.l0, "explained": measured.explained, "dead": measured.dead}
            rows.append(row)
    return pd.DataFrame(rows)


# --- recovery of planted features --------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Recovery:
    """Planted features and the latents that were matched with them, one to one.

    Attributes
    ----------
    cosines : (f,), cosine between each feature and its latent's direction; 0 for a feature without a latent
    latents : (f,), the latent's number; -1 for none
    f1, precision, recall : (f,), of "the latent is on" as a test for "the feature is on"; NaN without codes
    """

    cosines: np.ndarray
    latents: np.ndarray
    f1: np.ndarray
    precision: np.ndarray
    recall: np.ndarray

    @property
    def mean_cosine(self) -> float:
        """Mean matched cosine over all features."""
        return float(self.cosines.mean())

    @property
    def mean_f1(self) -> float:
        """Mean F1 over all features."""
        return float(self.f1.mean())

    def to_frame(self) -> pd.DataFrame:
        """One row per feature."""
        columns = ("latents", "cosines", "f1", "precision", "recall")
        names = {"latents": "latent", "cosines": "cosine"}
        return pd.DataFrame({names.get(c, c): getattr(self, c) for c in columns}).rename_axis("feature").reset_index()

    def plot(self, ax: Axes | None = None) -> Axes:
        """All matched cosines, sorted."""
        from xailib import plots

        ax = plots.axes(ax, figsize=(5.6, 3.2))
        ordered = np.sort(self.cosines)[::-1]
        ax.plot(np.arange(1, len(ordered) + 1), ordered, "o", color=plots.ANCHOR, ms=4)
        ax.axhline(self.mean_cosine, color=plots.POSITIVE, ls="--", lw=1.2, label=f"mean {self.mean_cosine:.2f}")
        ax.set(
            xlabel="planted feature, best recovered first", ylabel="matched cosine", ylim=(min(-0.05, ordered[-1] - 0.05), 1.05)
        )
        ax.legend(fontsize=8)
        return ax

    def __repr__(self) -> str:
        f1 = "" if np.isnan(self.f1).all() else f", F1 {self.mean_f1:.2f}"
        return f"Recovery({len(self.cosines)} features: mean matched cosine {self.mean_cosine:.2f}{f1})"


def recovery(dictionary: Any, truth: Any, *, latents: Any = None, codes: Any = None, signed: bool = True) -> Recovery:
    r"""How well a dictionary holds known features: the best one-to-one matching, and its mean cosine.

    .. math:: \max_{\pi} \frac1f \sum_{i=1}^f \cos(d^*_i, d_{\pi(i)})

    Parameters
    ----------
    dictionary : (m, d), learnt directions
    truth : (f, d), planted directions
    latents : (n, m) and codes : (n, f), optional
        Learnt and planted activity on the same rows; then the matched latents are also tested on *when* features are on.
    signed : bool
        True: an opposite direction is a miss, as it must be for latents that are never negative. False takes absolute cosines,
        for dictionaries without a sign, such as principal components.

    Returns
    -------
    Recovery
        A feature without a latent (m < f) has cosine 0 and F1 0.

    Raises
    ------
    TypeError, ValueError
        If shapes do not fit, a direction is zero, or only one of ``latents`` and ``codes`` is given.

    Notes
    -----
    The assignment is exact (Hungarian method; Kuhn, 1955). Taught in chapter 13.

    Examples
    --------
    >>> recovery([[0.0, 2.0], [1.0, 0.0]], np.eye(2)).latents.tolist()
    [1, 0]
    """
    D, T = _directions_of(dictionary, "dictionary"), _directions_of(truth, "truth")
    if D.shape[1] != T.shape[1]:
        raise ValueError(f"dictionary has {D.shape[1]} dimensions and truth {T.shape[1]}: both must live in one layer.")
    check.flag(signed, "signed")
    C = T @ D.T if signed else np.abs(T @ D.T)
    rows, columns = linear_sum_assignment(-C)
    cosines, found = np.zeros(len(T)), np.full(len(T), -1)
    cosines[rows], found[rows] = C[rows, columns], columns
    if (latents is None) != (codes is None):
        raise ValueError("latents and codes belong together: give both or neither.")
    nothing = np.full(len(T), np.nan)
    if latents is None:
        return Recovery(cosines, found, nothing, nothing, nothing)
    z, f = check.array(latents, "latents", ndim=2), check.array(codes, "codes", ndim=2)
    if z.shape[1] != len(D) or f.shape[1] != len(T) or len(z) != len(f):
        raise ValueError(f"latents must be (n, {len(D)}) and codes (n, {len(T)}) of the same n, not {z.shape} and {f.shape}.")
    on = np.zeros((len(f), len(T)), dtype=bool)
    on[:, rows] = z[:, columns] > 0
    return Recovery(cosines, found, *_firing_scores(on, f > 0))


def _firing_scores(says: np.ndarray, true: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """F1, precision and recall of each column; 0 where there is nothing to count."""
    hits, said, there = (says & true).sum(axis=0), says.sum(axis=0), true.sum(axis=0)

    def share(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        return np.divide(a, b, out=np.zeros(len(a)), where=b > 0)

    return share(2 * hits, said + there), share(hits, said), share(hits, there)


def _directions_of(values: Any, name: str) -> np.ndarray:
    """Rows at length 1."""
    D = check.array(values, name, ndim=2)
    lengths = np.linalg.norm(D, axis=1, keepdims=True)
    if (lengths == 0).any():
        raise ValueError(f"{name} has a row of zeros, which is no direction: drop row {int(np.flatnonzero(lengths == 0)[0])}.")
    return D / lengths


def random_dictionary(n_latents: int, n_dims: int, *, random_state: Any = 0) -> np.ndarray:
    """Random unit directions (n_latents, n_dims): what a matching finds by luck.

    Parameters
    ----------
    n_latents, n_dims : int
    random_state : int, Generator or None

    Raises
    ------
    TypeError, ValueError
        If a size is no positive whole number.

    Notes
    -----
    With many latents and few dimensions some direction is always near. Taught in chapter 13.
    """
    for name, size in {"n_latents": n_latents, "n_dims": n_dims}.items():
        check.number(size, name, low=1, integer=True)
    # a stream of its own: with the same seed it would be the very directions that planted() begins with
    rng = check.random_generator(random_state).spawn(1)[0]
    return _directions(rng.normal(size=(n_latents, n_dims)), 0)


def pca_dictionary(activations: Any) -> np.ndarray:
    """Principal components of activations (n, d), each with its opposite: (2 min(n, d), d).

    Parameters
    ----------
    activations : (n, d), at least two rows

    Raises
    ------
    TypeError, ValueError
        If there are no two rows that differ.

    Notes
    -----
    Components have no sign, so both are offered. Taught in chapter 13.
    """
    A = check.array(activations, "activations", ndim=2)
    if len(A) < 2 or (np.ptp(A, axis=0) == 0).all():
        raise ValueError("activations need at least two rows that differ.")
    V = np.linalg.svd(A - A.mean(axis=0), full_matrices=False)[2]
    return np.concatenate([V, -V])


def splits(latents: Any, codes: Any, *, precision: float = PRECISION) -> np.ndarray:
    """How many latents speak for each planted feature, (f,): more than one is feature splitting.

    Parameters
    ----------
    latents : (n, m) and codes : (n, f), learnt and planted activity on the same rows
    precision : float in (0, 1]
        A latent speaks for the feature that it detects best (largest F1), if that feature is on in at least so many of its
        firings. Latents on in fewer than ten rows are left out.

    Returns
    -------
    (f,) ints

    Raises
    ------
    TypeError, ValueError
        If shapes do not fit.

    Notes
    -----
    F1 and not precision decides, because features may be nested: a latent for *poodle* has a *dog* in all its firings, and still
    it speaks for poodles. ``splits(codes, codes)`` is 1 for every feature that is on in ten rows. Taught in chapter 13.

    Examples
    --------
    >>> codes, even = np.repeat(np.eye(2), 20, axis=0), np.arange(40) % 2 == 0
    >>> splits(np.column_stack([codes[:, 0], codes[:, 1] * even, codes[:, 1] * ~even]), codes).tolist()
    [1, 2]
    """
    z, f = check.array(latents, "latents", ndim=2), check.array(codes, "codes", ndim=2)
    if len(z) != len(f):
        raise ValueError(f"latents have {len(z)} rows and codes {len(f)}: give both for the same rows.")
    check.number(precision, "precision", low=0, high=1, open_low=True)
    on, true = (z > 0).astype(float), (f > 0).astype(float)
    fired, hits = on.sum(axis=0), on.T @ true
    f1 = 2 * hits / np.maximum(fired[:, None] + true.sum(axis=0), 1)
    best = f1.argmax(axis=1)
    enough = (fired >= 10) & (hits[np.arange(len(best)), best] >= precision * fired)
    return np.bincount(best[enough], minlength=f.shape[1])


def absorption(autoencoder: SparseAutoencoder, features: Planted) -> pd.DataFrame:
    r"""Does a parent's latent fall silent when a child speaks?

    .. math:: \text{gap} = P(z_P = 0 \mid f_P > 0, f_C > 0) - P(z_P = 0 \mid f_P > 0, \text{no child on})

    Parameters
    ----------
    autoencoder : SparseAutoencoder
    features : Planted, with parents, best rows that did not train the autoencoder

    Returns
    -------
    DataFrame
        One row per child: ``parent, child, latent`` (matched with the parent), ``silent_with_child``, ``silent_alone``, ``gap``
        and ``child_holds_parent``: cosine between the direction of the child's latent and the *parent's* feature.

    Raises
    ------
    TypeError, ValueError
        If there are no parents, or no rows to compare.

    Notes
    -----
    After Chanin et al. (2024), with planted features in the place of probes. "Child on" is another feature's business where the
    features are not tied (``planted(tied=False)``): the control. Taught in chapter 13.
    """
    check.instance(autoencoder, SparseAutoencoder, "autoencoder")
    check.instance(features, Planted, "features")
    children = np.flatnonzero(features.parents >= 0)
    if not len(children):
        raise ValueError("features have no parents: make them with planted(n_parents=...).")
    z, on = autoencoder.encode(features.activations) > 0, features.codes > 0
    found = recovery(autoencoder.dictionary, features.dictionary)
    rows = []
    for child in children:
        parent = features.parents[child]
        siblings = on[:, features.parents == parent]
        together, alone = on[:, parent] & on[:, child], on[:, parent] & ~siblings.any(axis=1)
        if not together.any() or not alone.any():
            raise ValueError(f"no rows show parent {parent} with child {child}, or alone: plant more rows.")
        silent = ~z[:, found.latents[parent]] if found.latents[parent] >= 0 else np.ones(len(z), dtype=bool)
        cosine = autoencoder.dictionary[found.latents[child]] @ features.dictionary[parent] if found.latents[child] >= 0 else 0.0
        rows.append(
            {
                "parent": parent, "child": child, "latent": found.latents[parent], "silent_with_child": silent[together].mean(),
                "silent_alone": silent[alone].mean(), "gap": silent[together].mean() - silent[alone].mean(),
                "child_holds_parent": cosine,
            }
        )  # fmt: skip
    return pd.DataFrame(rows)


# --- names ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class NameScore:
    """The latent as a detector of what its name says.

    Attributes
    ----------
    precision : share of the latent's firings that fit the name
    recall : share of the rows that fit the name in which the latent fires
    f1 : their harmonic mean
    chance : F1 of a name that fits every row
    n_on, n_named : rows in which the latent is on, and rows that fit the name
    """

    precision: float
    recall: float
    f1: float
    chance: float
    n_on: int
    n_named: int


def score_name(latent: Any, fits: Any) -> NameScore:
    r"""Test a name: the latent's activity against the rows that the name fits.

    .. math:: F_1 = \frac{2\, |\text{on} \cap \text{named}|}{|\text{on}| + |\text{named}|}

    Parameters
    ----------
    latent : (n,), activity; above 0 is on
    fits : (n,) booleans, which rows the name would make you expect

    Returns
    -------
    NameScore

    Raises
    ------
    TypeError, ValueError
        If ``fits`` is no boolean array of the same length.

    Notes
    -----
    Only rows that had no part in finding the name are a test. Taught in chapter 13.

    Examples
    --------
    >>> score_name([0.0, 2.0, 0.5, 0.0], np.array([False, True, False, False])).f1
    0.6666666666666666
    """
    z = check.array(latent, "latent", ndim=1)
    named = np.asarray(fits)
    if named.dtype != bool or named.shape != z.shape:
        raise ValueError(f"fits must hold one True or False for each of the {len(z)} rows, not {check.shown(fits)}.")
    f1, precision, recall = (float(v[0]) for v in _firing_scores((z > 0)[:, None], named[:, None]))
    rate = float((z > 0).mean())
    return NameScore(precision, recall, f1, 2 * rate / (1 + rate), int((z > 0).sum()), int(named.sum()))


def name_latents(
    latents: Any,
    words: Any,
    first: Any,
    *,
    n_top: int = 40,
    min_share: float = 0.15,
    min_on: int = 20,
    above: float = 0.0,
) -> pd.DataFrame:
    """Name each latent by the words of its strongest examples, and test the name on rows that were not looked at.

    Parameters
    ----------
    latents : (n, m), activity at each token
    words : (n,) of str, the token
    first : (n,) booleans, rows that may be looked at; the others are the test. Cut between texts, not inside them.
    n_top : int, strongest examples that are read
    min_share : float in (0, 1], a word with at least this share of them is part of the name
    min_on : int, latents that are on in fewer rows of either half are left out
    above : float in [0, 1)
        A latent counts as on above this share of its largest value among the rows that are read; 0 counts every firing.

    Returns
    -------
    DataFrame
        One row per latent, best name first: ``latent, name`` (words, the most frequent first), ``precision, recall, f1``,
        ``seen_f1`` (the same on the rows that gave the name), ``chance`` and ``n_on``; all but seen_f1 on the other rows.

    Raises
    ------
    TypeError, ValueError
        If shapes do not fit, or a half is empty.

    Notes
    -----
    A name is a set of words here, so that a computer can apply it; a name in prose needs a person, or a model, that marks rows
    without seeing the activity (Bills et al., 2023). Taught in chapter 13.
    """
    z = check.array(latents, "latents", ndim=2)
    tokens, look = check.texts(words, "words"), np.asarray(first)
    if len(tokens) != len(z):
        raise ValueError(f"words has {len(tokens)} entries, but latents have {len(z)} rows.")
    if look.dtype != bool or look.shape != (len(z),) or look.all() or not look.any():
        raise ValueError("first must hold one True or False for each row, and both of them.")
    for label, value in {"n_top": n_top, "min_on": min_on}.items():
        check.number(value, label, low=1, integer=True)
    check.number(min_share, "min_share", low=0, high=1, open_low=True)
    check.number(above, "above", low=0, high=1, open_high=True)
    z = np.where(z > above * z[look].max(axis=0), z, 0.0)
    on = z > 0
    enough = np.flatnonzero((on[look].sum(axis=0) >= min_on) & (on[~look].sum(axis=0) >= min_on))
    numbers, known = pd.factorize(tokens)  # comparing whole numbers is fifty times as fast as comparing words
    rows = [_name(int(j), z[:, j], numbers, np.asarray(known), look, n_top, min_share) for j in enough]
    columns = ["latent", "name", "precision", "recall", "f1", "seen_f1", "chance", "n_on"]
    return pd.DataFrame(rows, columns=columns).sort_values("f1", ascending=False, kind="stable", ignore_index=True)


def _name(
    j: int, z: np.ndarray, tokens: np.ndarray, known: np.ndarray, look: np.ndarray, n_top: int, min_share: float
) -> dict[str, Any]:
    """One row of the table of names."""
    seen = np.flatnonzero(look)
    top = seen[np.argsort(-z[seen], kind="stable")[:n_top]]
    counts = np.bincount(tokens[top[z[top] > 0]], minlength=len(known))
    wanted = min(min_share * counts.sum(), counts.max())  # one word at least
    name = sorted(np.flatnonzero(counts >= wanted), key=lambda number: (-counts[number], known[number]))
    fits = np.isin(tokens, name)
    test, own = score_name(z[~look], fits[~look]), score_name(z[look], fits[look])
    numbers = {"precision": test.precision, "recall": test.recall, "f1": test.f1, "seen_f1": own.f1}
    return {"latent": j, "name": tuple(map(str, known[name])), **numbers, "chance": test.chance, "n_on": test.n_on}


# --- transformers -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class TokenActivations:
    """What a hook point carries at each real token.

    Attributes
    ----------
    values : (n, d) float64
    tokens : (n,), the token's number
    sequence, position : (n,), where it stands
    """

    values: np.ndarray
    tokens: np.ndarray
    sequence: np.ndarray
    position: np.ndarray

    def __len__(self) -> int:
        return len(self.tokens)

    def __repr__(self) -> str:
        n, d = self.values.shape
        return f"TokenActivations({n} tokens of {len(np.unique(self.sequence))} sequences, {d} dimensions)"


def token_activations(model: Any, tokens: Any, name: str, *, padding: int | None = PADDING) -> TokenActivations:
    """Activations at a hook point, one row per token; padding is left out.

    Parameters
    ----------
    model : Transformer, or any module with hook points
    tokens : (n, l) whole numbers
    name : hook point with values (n, l, d), such as ``"blocks.0.resid_post"``
    padding : int or None, the token that fills short rows up; None where every token is real

    Returns
    -------
    TokenActivations

    Raises
    ------
    TypeError, ValueError
        If the tokens can not be read, the hook point is unknown (the message lists all), or its values are not (n, l, d).

    Notes
    -----
    Taught in chapter 13.
    """
    from xailib import _transformers as transformers

    batch = transformers.token_batch(model, tokens)
    words = batch.cpu().numpy()
    rows, columns = np.nonzero(_real(words, padding))
    found = transformers.record(model, batch, [name])[1][name]
    if found.ndim != 3:
        raise ValueError(f"{name!r} has values of shape {tuple(found.shape)}, but (sequences, tokens, d) is needed.")
    values = found.cpu().numpy().astype(float)[rows, columns]
    return TokenActivations(values, words[rows, columns], rows, columns)


def _real(tokens: np.ndarray, padding: int | None) -> np.ndarray:
    """Where no padding stands, (n, l)."""
    if padding is None:
        return np.ones(tokens.shape, dtype=bool)
    real = tokens != check.number(padding, "padding", low=0, integer=True)
    if not real.any(axis=1).all():
        raise ValueError(f"tokens have a row that is nothing but padding ({padding}): drop it, or give padding=None.")
    return np.asarray(real)


@dataclass(frozen=True, eq=False)
class DoseResponse:
    """How a model's score follows the value to which a latent is clamped.

    Attributes
    ----------
    values : (v,), clamp values
    scores : (n, v), score of each text at each value
    untouched : (n,), score without clamping
    label : what was clamped
    unit : of the scores
    """

    values: np.ndarray
    scores: np.ndarray
    untouched: np.ndarray
    label: str
    unit: str

    @property
    def slopes(self) -> np.ndarray:
        """Least-squares slope of each text's score, per unit of the clamp value, (n,)."""
        v = self.values - self.values.mean()
        return (self.scores - self.scores.mean(axis=1, keepdims=True)) @ v / (v @ v)

    def effect(self) -> np.ndarray:
        """Change of each text's score from the smallest to the largest value, (n,)."""
        return self.scores[:, self.values.argmax()] - self.scores[:, self.values.argmin()]

    def to_frame(self) -> pd.DataFrame:
        """One row per value: mean score over texts, and its 95 % interval."""
        from xailib.evaluation import mean_interval

        rows = [mean_interval(column) for column in self.scores.T]
        return pd.DataFrame(rows, columns=["mean", "lower", "upper"]).assign(value=self.values)[
            ["value", "mean", "lower", "upper"]
        ]

    def plot(self, ax: Axes | None = None) -> Axes:
        """Every text as a thin line, the mean as a thick one."""
        from xailib import plots

        ax = plots.axes(ax, figsize=(5.6, 3.4))
        ax.plot(self.values, self.scores.T, color=plots.CONTEXT, lw=0.6, alpha=0.6)
        ax.plot(self.values, self.scores.mean(axis=0), color=plots.ANCHOR, lw=2.5, marker="o", ms=4, label="mean")
        ax.set(xlabel=f"{self.label} clamped to", ylabel=self.unit)
        ax.legend(fontsize=8)
        return ax

    def __repr__(self) -> str:
        low, high = self.values.min(), self.values.max()
        return (
            f"DoseResponse({self.label}: {len(self.scores)} texts, clamped to {low:g} ... {high:g}, "
            f"mean effect {self.effect().mean():+.2f} in {self.unit})"
        )


def steer(
    model: Any,
    tokens: Any,
    name: str,
    autoencoder: SparseAutoencoder,
    latent: int,
    values: Any,
    target: int,
    *,
    against: int | None = None,
    direction: Any = None,
    where: Any = None,
    of: str = "logit",
    padding: int | None = PADDING,
) -> DoseResponse:
    r"""Clamp a latent inside a transformer, and read the score at the end: a dose-response curve.

    .. math:: a \leftarrow a + \big(v - z_j(a)\big)\, d_j

    Only the part that the latent writes is changed: what the autoencoder can not rebuild stays as it was.

    Parameters
    ----------
    model : Transformer, or any module with hook points
    tokens : (n, l) whole numbers
    name : hook point at which the autoencoder was trained, values (n, l, d)
    autoencoder : SparseAutoencoder
    latent : int, j
    values : (r,) clamp values, at least two that differ
    target, against : int
        The output to read: a class, or a word to follow the last real token; ``against`` subtracts another one.
    direction : (d,), optional
        Move along this direction (at unit length) in the place of :math:`d_j`: the same doses, so a control of the same norm.
    where : (n, l) booleans, optional; positions at which to clamp, by default every real token
    of : {"logit", "probability"}
    padding : as in :func:`token_activations`

    Returns
    -------
    DoseResponse

    Raises
    ------
    TypeError, ValueError
        If an argument does not fit the model or the autoencoder.

    Notes
    -----
    After Templeton et al. (2024). Nothing of the model is changed. Taught in chapter 13.
    """
    import torch

    from xailib import _transformers as transformers
    from xailib._networks import undisturbed

    batch = transformers.token_batch(model, tokens)
    transformers.point(model, name)
    check.instance(autoencoder, SparseAutoencoder, "autoencoder")
    check.number(latent, "latent", low=0, high=autoencoder.n_latents - 1, integer=True)
    doses = check.array(values, "values", ndim=1)
    if np.ptp(doses) == 0:
        raise ValueError("values must hold at least two different clamp values.")
    check.one_of(of, "of", ["logit", "probability"])
    u, real = _direction(direction, autoencoder, latent), _real(batch.cpu().numpy(), padding)
    mask = torch.as_tensor(_places(where, real), device=batch.device)
    last = torch.as_tensor(real.shape[1] - 1 - real[:, ::-1].argmax(axis=1))
    outputs = {"target": target} if against is None else {"target": target, "against": against}
    for label, number in outputs.items():
        check.number(number, label, low=0, integer=True)

    def read() -> np.ndarray:
        scores = transformers.run(model, batch).double()
        scores = scores if scores.ndim == 2 else scores[torch.arange(len(scores)), last]
        for label, number in outputs.items():
            if number >= scores.shape[1]:
                raise ValueError(f"{label} is {number}, but the model has outputs 0 to {scores.shape[1] - 1}.")
        scores = scores.softmax(dim=1) if of == "probability" else scores
        chosen = scores[:, target] - (scores[:, against] if against is not None else 0)
        return chosen.cpu().numpy()

    with undisturbed(model), torch.no_grad():
        untouched, columns = read(), []
        for dose in doses:
            with transformers.edited(model, {name: _Clamp(autoencoder, latent, float(dose), u, mask)}):
                columns.append(read())
    unit = f"{of} of {target}" + ("" if against is None else f" minus {against}")
    label = f"latent {latent}" if direction is None else f"another direction, doses of latent {latent}"
    return DoseResponse(doses, np.column_stack(columns), untouched, label, unit)


class _Clamp:
    """The edit of :func:`steer` at one dose."""

    def __init__(self, autoencoder: SparseAutoencoder, latent: int, dose: float, u: np.ndarray, mask: Any) -> None:
        self.autoencoder, self.latent, self.dose, self.u, self.mask = autoencoder, latent, dose, u, mask

    def __call__(self, a: Any) -> Any:
        import torch

        if a.ndim != 3 or a.shape[2] != len(self.autoencoder.bias):
            d = len(self.autoencoder.bias)
            raise ValueError(f"name must be a hook point with values (n, l, {d}), the autoencoder's width, not {tuple(a.shape)}.")
        z = self.autoencoder.encode(a.reshape(-1, a.shape[2]).cpu().numpy())[:, self.latent]
        step = np.where(self.mask.cpu().numpy().ravel(), self.dose - z, 0.0)[:, None] * self.u
        return a + torch.as_tensor(step.reshape(a.shape), dtype=a.dtype, device=a.device)


def _direction(direction: Any, autoencoder: SparseAutoencoder, latent: int) -> np.ndarray:
    """The unit direction along which to move."""
    if direction is None:
        return autoencoder.dictionary[latent]
    u = check.array(direction, "direction", ndim=1, length=len(autoencoder.bias))
    if not u.any():
        raise ValueError("direction must not be zero.")
    return u / np.linalg.norm(u)


def _places(where: Any, real: np.ndarray) -> np.ndarray:
    """Positions to clamp, padding never."""
    if where is None:
        return real
    chosen = np.asarray(where)
    if chosen.dtype != bool or chosen.shape != real.shape:
        raise ValueError(f"where must hold True and False in the shape of the tokens, {real.shape}, not {check.shown(where)}.")
    return chosen & real
