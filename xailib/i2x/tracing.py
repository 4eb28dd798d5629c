"""What a network attends to at every checkpoint, place by place and prototype by prototype, beside its confidence."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from xailib import _validation as check
from xailib._networks import (
    Target,
    answer,
    as_tensor,
    blocks,
    check_activation,
    checked_scores,
    class_scores,
    module_of,
    one_class_each,
    run_from,
    score_gradient,
    undisturbed,
)
from xailib._progress import progress
from xailib.attention import rollout
from xailib.i2x._inputs import class_labels, interval
from xailib.i2x.prototypes import Prototypes, check_channels, nearest_places
from xailib.i2x.training import Checkpoints

__all__ = ["SOURCES", "Trace", "attention_maps", "intensities", "trace"]

BATCH_SIZE = 256
SOURCES = ("gradcam", "gradient x input", "rollout")
Source = str | Callable[[nn.Module, np.ndarray, np.ndarray], np.ndarray]
"""A name, or a function (model, images, classes) -> maps (n, h, w)."""


@dataclass(frozen=True, eq=False)
class Trace:
    r"""Attention to each prototype and confidence in each class, of each image, at each checkpoint.

    Attributes
    ----------
    P : (T + 1, N, K) float32, intensities: mean attention to the places of each prototype; 0 where it is absent
    Y : (T + 1, N, C), confidences: softmax of the scores
    counts : (N, K), places of each image that belong to each prototype; they do not change
    assignments : (N, h, w), the prototype at each place
    labels : (N,), true classes
    steps : (T + 1,), updates at each checkpoint
    source : what attention is
    """

    P: np.ndarray
    Y: np.ndarray
    counts: np.ndarray
    assignments: np.ndarray
    labels: np.ndarray
    steps: np.ndarray
    source: str

    @property
    def n_intervals(self) -> int:
        """T, the number of stretches of training between two checkpoints."""
        return len(self.P) - 1

    @property
    def present(self) -> np.ndarray:
        """(N, K) bool, which prototypes an image contains at all."""
        return self.counts > 0

    @property
    def shares(self) -> np.ndarray:
        """(N, K), share of an image's places that belong to each prototype; rows sum to 1."""
        return self.counts / self.assignments[0].size

    @property
    def losses(self) -> np.ndarray:
        """(N,), cross-entropy of the final model."""
        return -np.log(np.maximum(self.Y[-1][np.arange(len(self.labels)), self.labels], np.finfo(float).tiny))

    @property
    def predicted(self) -> np.ndarray:
        """(N,), class that the final model says."""
        return self.Y[-1].argmax(axis=1)

    def dP(self, t: int) -> np.ndarray:
        """(N, K), change of the intensities from checkpoint t to the next one; 0 where a prototype is absent."""
        t = interval(t, self.n_intervals)
        return np.subtract(self.P[t + 1], self.P[t], dtype=float)

    def dY(self, t: int) -> np.ndarray:
        """(N, C), change of the confidences from checkpoint t to the next one; rows sum to 0."""
        t = interval(t, self.n_intervals)
        return self.Y[t + 1] - self.Y[t]

    def support(self) -> np.ndarray:
        """(K, h, w), how often each place of an image belongs to each prototype: where in the image it lives."""
        return np.stack([(self.assignments == k).mean(axis=0) for k in range(self.P.shape[2])])

    def __repr__(self) -> str:
        T, N, K = self.P.shape
        h, w = self.assignments.shape[1:]
        return f"Trace({N} images at {T} checkpoints; {K} prototypes on {h}x{w} places; attention: {self.source})"


def trace(
    checkpoints: Checkpoints,
    images: Any,
    labels: Any,
    prototypes: Prototypes,
    *,
    source: Source = "gradcam",
    target: Target = None,
    relu: bool = True,
    normalise: bool = False,
    batch_size: int = BATCH_SIZE,
) -> Trace:
    r"""Attention to prototypes and confidence in classes, at every checkpoint.

    .. math:: P_k^t = \frac{\sum_j \mathbf 1[a_j = k]\, I_j^t}{\sum_j \mathbf 1[a_j = k]}, \qquad Y^t = \mathrm{softmax}(z^t)

    Parameters
    ----------
    checkpoints : Checkpoints
    images : array or tensor (n, channels, height, width)
    labels : (n,) true classes
    prototypes : Prototypes, of the last checkpoint
    source : {"gradcam", "gradient x input", "rollout"} or function, as in :func:`attention_maps`
    target : int, (n,) ints or None
        The class whose attention is followed; None is each image's true class. It is the same at all checkpoints.
    relu, normalise, batch_size : as in :func:`attention_maps`

    Returns
    -------
    Trace
        Of size 4 (T + 1) N K + 8 (T + 1) N C bytes and a little more; maps are held for one batch only.

    Raises
    ------
    TypeError, ValueError
        If the labels are no classes, or the prototypes belong to another layer or network.

    Notes
    -----
    Li et al. (2026). One forward pass of every image at every checkpoint, and a backward pass from the score down to the layer;
    the assignments come for free with the last checkpoint, which is therefore the first to be asked. A prototype that an image
    does not contain has no intensity: it is set to 0 and masked by ``present``. Taught in chapter 17.
    """
    check.instance(prototypes, Prototypes, "prototypes")
    look = looking(checkpoints, prototypes.layer, source, relu, normalise, "the prototypes' layer")
    x = check.images(images)
    y = class_labels(labels, len(x))
    classes = y if target is None else one_class_each(target, "target", len(x))
    check.number(batch_size, "batch_size", low=1, integer=True)
    n_classes = count_classes(checkpoints, x, labels=y, target=classes)
    shape = (len(checkpoints.states), len(x))
    P, Y = np.empty((*shape, prototypes.n_prototypes), np.float32), np.empty((*shape, n_classes))
    assignments: np.ndarray = np.empty(0)
    for t, rows, seen in passes(checkpoints, x, classes, look, batch_size, final_first=True):
        if t == checkpoints.n_intervals:
            check_channels(seen.features.shape[1], prototypes)
            a = nearest_places(prototypes, seen.features)[0]
            assignments = np.empty((len(x), *a.shape[1:]), a.dtype) if rows.start == 0 else assignments
            assignments[rows] = a
        P[t, rows], Y[t, rows] = mean_attention(seen.maps, assignments[rows], P.shape[2])[0], softmax(seen.scores)
    counts = mean_attention(None, assignments, P.shape[2])[1]
    return Trace(P, Y, counts, assignments, y, checkpoints.steps, look.name)


def attention_maps(
    checkpoints: Checkpoints,
    images: Any,
    target: Target,
    layer: str | nn.Module,
    *,
    source: Source = "gradcam",
    relu: bool = True,
    normalise: bool = False,
    batch_size: int = BATCH_SIZE,
) -> np.ndarray:
    r"""Where the network looks at every checkpoint: I at every place of the layer.

    .. math:: I_j^t = \mathrm{ReLU}\Big(\sum_k \alpha_k A_{kj}\Big), \qquad
        \alpha_k = \frac1{hw} \sum_j \frac{\partial z_c}{\partial A_{kj}}

    Parameters
    ----------
    checkpoints : Checkpoints
    images : array or tensor (n, channels, height, width)
    target : int or (n,) ints, the class each map is for
    layer : dotted name, or module of ``checkpoints.model``
    source : {"gradcam", "gradient x input", "rollout"} or function
        Grad-CAM at the layer; pixel gradient times pixel, averaged over the pixels of each place; attention rollout of a vision
        transformer with hook points ``pattern``; or a function (model, images, classes) -> maps (n, h, w).
    relu : bool, whether negative evidence is set to 0
    normalise : bool
        Divide each map by its largest absolute value. Scores grow while a network trains, and raw maps with them.
    batch_size : int, images per model call

    Returns
    -------
    array (T + 1, n, h, w), float32, in units of the score unless normalised

    Raises
    ------
    TypeError, ValueError
        If the layer is unknown or gives no maps, or the target is no class.

    Notes
    -----
    Selvaraju et al. (2017); which class the paper explains, and whether it normalises, is not stated: raw maps of the true class
    are our reading. Taught in chapter 17.
    """
    look = looking(checkpoints, layer, source, relu, normalise, "layer")
    x = check.images(images)
    classes = one_class_each(target, "target", len(x))
    if (classes < 0).any():
        raise ValueError("target must be a class number, or one per image, not None: it must not change during training.")
    check.number(batch_size, "batch_size", low=1, integer=True)
    count_classes(checkpoints, x, target=classes)
    parts: list[list[np.ndarray]] = [[] for _ in checkpoints.states]
    for t, _, seen in passes(checkpoints, x, classes, look, batch_size):
        parts[t].append(seen.maps)
    return np.stack([np.concatenate(part) for part in parts]).astype(np.float32)


def intensities(maps: Any, assignments: Any, n_prototypes: int) -> tuple[np.ndarray, np.ndarray]:
    r"""Mean attention to the places of each prototype, and how many places it has.

    .. math:: P_k = \frac{1}{n_k} \sum_{j: a_j = k} I_j, \qquad n_k = \sum_j \mathbf 1[a_j = k], \qquad
        \sum_k n_k P_k = \sum_j I_j

    Parameters
    ----------
    maps : array (n, h, w), I
    assignments : whole numbers (n, h, w), a
    n_prototypes : int, K

    Returns
    -------
    (n, K) intensities, 0 where a prototype is absent, and (n, K) counts

    Raises
    ------
    TypeError, ValueError
        If the shapes differ, or an assignment is no prototype.

    Notes
    -----
    Li et al. (2026). Taught in chapter 17.

    Examples
    --------
    >>> P, n = intensities([[[1.0, 3.0], [5.0, 0.0]]], [[[0, 0], [2, 2]]], 3)
    >>> P.tolist(), n.tolist()
    ([[2.0, 0.0, 2.5]], [[2, 0, 2]])
    """
    I, a = check.array(maps, "maps", ndim=3), np.asarray(assignments)  # noqa: E741
    check.number(n_prototypes, "n_prototypes", low=1, integer=True)
    if a.dtype.kind not in "iu" or a.shape != I.shape:
        raise ValueError(f"assignments must be whole numbers, one for each place of the maps {I.shape}, not {check.shown(a)}.")
    if a.min() < 0 or a.max() >= n_prototypes:
        raise ValueError(f"assignments must lie in 0 to {n_prototypes - 1}, the numbers of the prototypes.")
    return mean_attention(I, a, n_prototypes)


def mean_attention(maps: np.ndarray | None, assignments: np.ndarray, K: int) -> tuple[np.ndarray, np.ndarray]:
    """:func:`intensities` of arguments that were checked; without maps the counts alone, twice."""
    n = len(assignments)
    cell = (np.arange(n)[:, None] * K + assignments.reshape(n, -1)).ravel()
    counts = np.bincount(cell, minlength=n * K).reshape(n, K)
    if maps is None:
        return counts, counts
    sums = np.bincount(cell, weights=maps.ravel(), minlength=n * K).reshape(n, K)
    return sums / np.maximum(counts, 1), counts


# --- passes ---


class _Seen(NamedTuple):
    """What one batch shows at one checkpoint."""

    maps: np.ndarray  # (n, h, w)
    scores: np.ndarray  # (n, C)
    features: np.ndarray  # (n, d, h, w)


class _Look(NamedTuple):
    """How to look at a model: the layer, what attention is, and what is done to it."""

    layer: str
    see: Callable[[nn.Module, nn.Module, str, np.ndarray, np.ndarray], _Seen]
    name: str
    relu: bool
    normalise: bool

    def __call__(self, model: nn.Module, images: np.ndarray, classes: np.ndarray) -> _Seen:
        seen = self.see(model, model.get_submodule(self.layer), self.layer, images, classes)
        maps = np.maximum(seen.maps, 0) if self.relu else seen.maps
        if self.normalise:
            largest = np.abs(maps).max(axis=(1, 2), keepdims=True)
            maps = np.divide(maps, largest, out=np.zeros_like(maps), where=largest > 0)
        return seen._replace(maps=maps)


def looking(checkpoints: Any, layer: Any, source: Any, relu: Any, normalise: Any, what: str) -> _Look:
    check.instance(checkpoints, Checkpoints, "checkpoints")
    name, _ = module_of(checkpoints.model, layer, what)
    check.flag(relu, "relu")
    check.flag(normalise, "normalise")
    if callable(source):
        return _Look(name, _own_source(source), getattr(source, "__name__", "own"), relu, normalise)
    if not isinstance(source, str) or source not in SOURCES:
        known = check.listed(map(repr, SOURCES))
        raise ValueError(f"source must be one of {known}, or a function, not {check.shown(source)}.")
    if source == "rollout":
        _pattern_modules(checkpoints.model)
    see = {"gradcam": _gradcam, "gradient x input": _gradient_x_input, "rollout": _rollout}[source]
    return _Look(name, see, source, relu, normalise)


def passes(
    checkpoints: Checkpoints,
    x: np.ndarray,
    classes: np.ndarray,
    look: _Look,
    batch_size: int,
    *,
    final_first: bool = False,
) -> Iterator[tuple[int, slice, _Seen]]:
    """(checkpoint, rows, what is seen), one checkpoint after the other, batch by batch."""
    order = list(range(len(checkpoints.states)))[:: -1 if final_first else 1]
    parts = blocks(len(x), batch_size)
    todo = ((t, rows) for t in order for rows in parts)
    model, loaded = checkpoints.model, -1
    for t, rows in progress(todo, len(order) * len(parts), "checkpoints x batches"):
        if t != loaded:
            model, loaded = checkpoints.at(t), t
        with undisturbed(model):
            seen = look(model, x[rows], classes[rows])
        yield t, rows, seen


def count_classes(checkpoints: Checkpoints, x: np.ndarray, **classes: np.ndarray) -> int:
    """Number of classes, once the ones given are known to be among them."""
    model = checkpoints.model
    with undisturbed(model):
        k = class_scores(model, x[:1], 1).shape[1]
    for name, given in classes.items():
        if given.max() >= k:
            raise ValueError(f"{name} {given.max()} is out of range: the model has {k} classes, 0 to {k - 1}.")
    return k


def softmax(scores: np.ndarray) -> np.ndarray:
    """In double precision, so that changes of confidence sum to 0."""
    e = np.exp(scores.astype(float) - scores.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


# --- what attention is ---


def _gradcam(model: nn.Module, module: nn.Module, name: str, images: np.ndarray, classes: np.ndarray) -> _Seen:
    """Only the part behind the layer is differentiated."""
    A, scores = run_from(model, module, name, images)
    G = score_gradient(scores, A, _alone(classes), f"layer {name!r}")[0]
    maps = torch.einsum("nd,ndhw->nhw", G.mean(dim=(2, 3)), A.detach())
    return _Seen(maps.cpu().numpy(), scores.detach().cpu().numpy(), A.detach().cpu().numpy())


def _gradient_x_input(model: nn.Module, module: nn.Module, name: str, images: np.ndarray, classes: np.ndarray) -> _Seen:
    leaf = as_tensor(model, images).requires_grad_()
    with _watching([module]) as outputs:
        scores = checked_scores(answer(model, leaf.clone()), len(images))
    A = _only(outputs, name)
    G = score_gradient(scores, leaf, _alone(classes), "the pixels")[0]
    return _Seen(_on_grid((G * leaf).sum(dim=1), A), scores.detach().cpu().numpy(), A.cpu().numpy())


def _rollout(model: nn.Module, module: nn.Module, name: str, images: np.ndarray, classes: np.ndarray) -> _Seen:
    """From the mean of all patches, or from a class token at the front, back to the patches."""
    modules = _pattern_modules(model)
    with torch.no_grad(), _watching([module]) as own, _watching(modules) as patterns:
        scores = checked_scores(answer(model, as_tensor(model, images)), len(images))
    A = _only(own, name)
    if len(patterns) != len(modules):
        raise ValueError("source 'rollout' needs attention layers that run once each in a forward pass: use 'gradcam'.")
    R = rollout(np.stack([pattern.cpu().numpy() for pattern in patterns]))
    return _Seen(_patches(R, A), scores.cpu().numpy(), A.cpu().numpy())


def _own_source(source: Callable[[nn.Module, np.ndarray, np.ndarray], np.ndarray]) -> Callable[..., _Seen]:
    def see(model: nn.Module, module: nn.Module, name: str, images: np.ndarray, classes: np.ndarray) -> _Seen:
        with torch.no_grad():
            A, scores = run_from(model, module, name, images)
        maps = check.array(source(model, images, classes), "source: its maps", ndim=3, length=len(images))
        return _Seen(_on_grid(torch.as_tensor(maps), A), scores.cpu().numpy(), A.detach().cpu().numpy())

    return see


def _alone(classes: np.ndarray) -> np.ndarray:
    """Classes (n, 2) that are set against no other class."""
    return np.column_stack([classes, np.full(len(classes), -1)])


@contextmanager
def _watching(modules: list[nn.Module]) -> Iterator[list[Tensor]]:
    """The outputs of some modules, in the order in which they run."""
    outputs: list[Tensor] = []
    hooks = [m.register_forward_hook(lambda _m, _i, output: outputs.append(output.detach())) for m in modules]
    try:
        yield outputs
    finally:
        for hook in hooks:
            hook.remove()


def _only(outputs: list[Tensor], name: str) -> Tensor:
    if not outputs:
        raise ValueError(f"layer {name!r} did not run in the forward pass: choose a layer that the model calls.")
    check_activation(outputs[0], name, already_seen=len(outputs) > 1)
    return outputs[0]


def _on_grid(maps: Tensor, A: Tensor) -> np.ndarray:
    """Maps (n, H, W) as means over the pixels of each place of the layer."""
    return F.adaptive_avg_pool2d(maps.detach()[:, None], (A.shape[2], A.shape[3]))[:, 0].cpu().numpy()


def _pattern_modules(model: nn.Module) -> list[nn.Module]:
    """Where the attention of each layer passes by."""
    modules = [module for name, module in model.named_modules() if name.split(".")[-1] == "pattern"]
    if not modules:
        raise ValueError("source 'rollout' needs a transformer whose attention passes modules named 'pattern': use 'gradcam'.")
    return modules


def _patches(R: np.ndarray, A: Tensor) -> np.ndarray:
    """Rollout (n, l, l) as maps (n, h, w): the mean over positions, or the row of a class token at the front."""
    h, w = A.shape[2:]
    if R.shape[1] == h * w:
        return R.mean(axis=1).reshape(-1, h, w)
    if R.shape[1] == h * w + 1:
        return R[:, 0, 1:].reshape(-1, h, w)
    raise ValueError(f"source 'rollout' gives {R.shape[1]} positions, which are not the {h} x {w} places of the layer.")
