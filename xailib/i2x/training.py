"""Checkpoints: the states a network passes on its way, collected or kept while training; and fine-tuning in stages."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from xailib import _validation as check
from xailib._networks import class_scores, require_network, undisturbed
from xailib._progress import progress
from xailib._training import TrainingRun, one_thread
from xailib.i2x._inputs import class_labels

__all__ = ["Checkpoints", "collect", "fine_tune", "train"]

State = Mapping[str, Tensor]


@dataclass(frozen=True, eq=False)
class Checkpoints:
    """One network at several moments of its training, the first one first.

    Attributes
    ----------
    model : torch module, the architecture; its weights are those of the last checkpoint
    states : T + 1 state dicts
    steps : (T + 1,), how many updates each state has seen
    """

    model: nn.Module
    states: tuple[State, ...]
    steps: np.ndarray

    @property
    def n_intervals(self) -> int:
        """T, the number of stretches of training between two checkpoints."""
        return len(self.states) - 1

    def at(self, t: int) -> nn.Module:
        """A new module in evaluation mode with the weights of checkpoint t, from 0 to T."""
        check.number(t, "t", low=0, high=self.n_intervals, integer=True)
        model = copy.deepcopy(self.model)
        model.load_state_dict(self.states[t])
        return model.eval()

    def __repr__(self) -> str:
        return f"Checkpoints({len(self.states)} states of a {type(self.model).__name__}, updates {check.listed(self.steps)})"


def collect(models: Sequence[nn.Module | State], *, model: nn.Module | None = None, steps: Any = None) -> Checkpoints:
    """Checkpoints from a list of networks, or of state dicts of one network.

    Parameters
    ----------
    models : list of at least two torch modules or state dicts, in the order of training, the final one last
    model : torch module, the architecture of the state dicts; not needed for a list of modules
    steps : (T + 1,) increasing whole numbers, updates seen by each; default 0, 1, 2, ...

    Returns
    -------
    Checkpoints
        With copies of all weights: what happens to the models later does not change it.

    Raises
    ------
    TypeError, ValueError
        If there are fewer than two, or their weights do not have the same names and shapes.

    Notes
    -----
    Taught in chapter 17.

    Examples
    --------
    >>> collect([nn.Linear(2, 2), nn.Linear(2, 2)])
    Checkpoints(2 states of a Linear, updates 0, 1)
    """
    given = list(models) if isinstance(models, Sequence) and not isinstance(models, str) else []
    if not given or not all(isinstance(one, nn.Module | Mapping) for one in given):
        raise TypeError(f"models must be a list of torch modules or of state dicts, not {check.shown(models)}.")
    if len(given) < 2:
        raise ValueError("models holds one checkpoint, but a change needs two: keep the first state of the training, too.")
    architecture = given[-1] if model is None and isinstance(given[-1], nn.Module) else model
    if not isinstance(architecture, nn.Module):
        raise TypeError(f"model must be a torch module that the state dicts belong to, not {check.shown(model)}.")
    states = tuple(_copied(one.state_dict() if isinstance(one, nn.Module) else one) for one in given)
    for t, state in enumerate(states):
        _same_architecture(state, architecture.state_dict(), t)
    own = copy.deepcopy(architecture).eval()
    own.load_state_dict(states[-1])
    return Checkpoints(own, states, _steps(steps, len(states)))


def train(
    model: nn.Module,
    images: Any,
    labels: Any,
    *,
    keep: Any = 10,
    epochs: int = 1,
    batch_size: int = 64,
    learning_rate: float = 2e-3,
    weight_decay: float = 1e-3,
    random_state: int = 0,
) -> Checkpoints:
    """Train a copy of a classifier with cross-entropy and keep states on the way, the first and the last among them.

    Parameters
    ----------
    model : torch classifier, where training starts; not changed
    images : array or tensor (n, channels, height, width)
    labels : (n,) class numbers from 0
    keep : int T or increasing whole numbers
        T + 1 states, evenly spaced over the updates; or the numbers of updates after which to keep one, at least two.
    epochs, batch_size : int; only whole batches are used
    learning_rate : float, the peak of one cycle
    weight_decay : float
    random_state : int, the order of the images (and dropout): another one, another order, the same start

    Returns
    -------
    Checkpoints

    Raises
    ------
    TypeError, ValueError
        If labels are no classes of the model, the training is shorter than ``keep`` asks, or the loss becomes infinite.

    Notes
    -----
    AdamW with one cycle of the learning rate, one thread: same seed, same weights on the same machine. Taught in chapter 17.

    Examples
    --------
    >>> net = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 2))
    >>> train(net, np.random.default_rng(0).random((8, 1, 6, 6)), [0, 1] * 4, keep=2, epochs=2, batch_size=2).steps
    array([0, 4, 8])
    """
    settings = check_settings(model, batch_size, learning_rate, weight_decay)
    check.number(epochs, "epochs", low=1, integer=True)
    seed = check.number(random_state, "random_state", low=0, integer=True)
    x = check.images(images)
    y = class_labels(labels, len(x))
    size = min(batch_size, len(x))
    recorder = _Recorder(_moments(keep, epochs * (len(x) // size)))
    own = _copy_to_train(model, x, y)
    run = TrainingRun(own, *_tensors(own, x, y), recorder, epochs=epochs, seed=seed, **settings)
    with one_thread(), torch.inference_mode(False), torch.enable_grad():
        for epoch in progress(range(epochs), epochs, "epochs"):
            run.one_epoch(epoch)
    recorder.look(own)
    return Checkpoints(own.eval(), tuple(recorder.states), recorder.moments)


def fine_tune(
    model: nn.Module,
    images: Any,
    labels: Any,
    stages: Sequence[Any],
    *,
    epochs: int = 1,
    batch_size: int = 64,
    learning_rate: float = 2e-3,
    weight_decay: float = 1e-3,
    random_state: int = 0,
) -> list[nn.Module]:
    """Train a copy of a classifier in stages, each on images of its own: curated ones first, then all, say.

    Parameters
    ----------
    model, images, labels, batch_size, learning_rate, weight_decay : as in :func:`train`
    stages : list of index arrays, the images of each stage
    epochs : int, passes over the images of each stage; the paper has one, on more images than digits has
    random_state : int, the order of the images in every stage

    Returns
    -------
    list of modules in evaluation mode, one per stage: the model after it

    Raises
    ------
    TypeError, ValueError
        As :func:`train`, and if a stage is no list of image numbers.

    Notes
    -----
    Li et al. (2026): one epoch on the curated images, then one on all. Every stage starts a new cycle of the learning rate and
    a new optimiser. A stage with fewer images has fewer updates, so a control needs as many images. Taught in chapter 17.

    Examples
    --------
    >>> net = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 2))
    >>> images = np.random.default_rng(0).random((8, 1, 6, 6))
    >>> len(fine_tune(net, images, [0, 1] * 4, [[0, 1, 2, 3], range(8)], batch_size=2))
    2
    """
    settings = check_settings(model, batch_size, learning_rate, weight_decay)
    seed = check.number(random_state, "random_state", low=0, integer=True)
    x = check.images(images)
    y = class_labels(labels, len(x))
    chosen = _stages(stages, len(x))
    check.number(epochs, "epochs", low=1, integer=True)
    own = _copy_to_train(model, x, y)
    after: list[nn.Module] = []
    with one_thread(), torch.inference_mode(False), torch.enable_grad():
        for number, rows in enumerate(progress(chosen, len(chosen), "stages")):
            stage_seed = int(np.random.SeedSequence([seed, number]).generate_state(1)[0])
            run = TrainingRun(own, *_tensors(own, x[rows], y[rows]), _cross_entropy, epochs=epochs, seed=stage_seed, **settings)
            for epoch in range(epochs):
                run.one_epoch(epoch)
            after.append(copy.deepcopy(own).eval())
    return after


# --- while training ---


def _cross_entropy(model: nn.Module, images: Tensor, labels: Tensor) -> Tensor:
    return nn.functional.cross_entropy(model(images), labels)


class _Recorder:
    """The loss of a training, which sees the model before every update and keeps some of the states."""

    def __init__(self, moments: np.ndarray) -> None:
        self.moments, self.updates = moments, 0
        self.states: list[State] = []

    def __call__(self, model: nn.Module, images: Tensor, labels: Tensor) -> Tensor:
        self.look(model)
        self.updates += 1
        return _cross_entropy(model, images, labels)

    def look(self, model: nn.Module) -> None:
        if self.updates in self.moments:
            self.states.append(_copied(model.state_dict()))


def _moments(keep: Any, total: int) -> np.ndarray:
    """Numbers of updates after which a state is kept."""
    if np.ndim(keep) == 0:
        check.number(keep, "keep", low=1, integer=True)
        if keep > total:
            raise ValueError(f"keep is {keep}, but this training has {total} updates: keep fewer states or train longer.")
        return np.unique(np.linspace(0, total, keep + 1).round().astype(int))
    moments = np.asarray(keep)
    if moments.dtype.kind not in "iu" or moments.ndim != 1 or len(moments) < 2 or (np.diff(moments) <= 0).any():
        raise ValueError(f"keep must be a whole number or at least two increasing ones, not {check.shown(keep)}.")
    if moments[0] < 0 or moments[-1] != total:
        raise ValueError(f"keep must lie in 0 to {total}, the updates of this training, and end with {total}, its final model.")
    return moments.astype(int)


def _copy_to_train(model: nn.Module, x: np.ndarray, y: np.ndarray) -> nn.Module:
    """A copy, once one image is known to go through and the labels to be among the classes."""
    own = copy.deepcopy(model)
    with undisturbed(own):
        k = class_scores(own, x[:1], 1).shape[1]
    if y.max() >= k:
        raise ValueError(f"labels go up to {y.max()}, but the model has {k} classes, 0 to {k - 1}.")
    return own


def _tensors(model: nn.Module, x: np.ndarray, y: np.ndarray) -> tuple[Tensor, Tensor]:
    """Images in the model's type, channels last: CPUs train twice as fast on that."""
    dtype = next(p.dtype for p in model.parameters() if p.requires_grad)
    return torch.as_tensor(x).to(dtype=dtype, memory_format=torch.channels_last), torch.as_tensor(y)


# --- arguments ---


def check_settings(model: Any, batch_size: Any, learning_rate: Any, weight_decay: Any) -> dict[str, Any]:
    """What a training needs, once the model can be trained at all."""
    require_network(model)
    trainable = [p for p in model.parameters() if p.requires_grad]
    if not trainable:
        raise ValueError("model has no parameter that requires a gradient, so there is nothing to train: unfreeze some.")
    if trainable[0].dtype not in (torch.float32, torch.float64):
        raise ValueError(f"model is in {trainable[0].dtype}, in which training loses small steps: train model.float().")
    check.number(batch_size, "batch_size", low=1, integer=True)
    check.number(learning_rate, "learning_rate", low=0, open_low=True)
    check.number(weight_decay, "weight_decay", low=0)
    return {"batch_size": batch_size, "peak_learning_rate": learning_rate, "weight_decay": weight_decay}


def _stages(stages: Any, n: int) -> list[np.ndarray]:
    if isinstance(stages, str) or not isinstance(stages, Sequence) or not len(stages):
        raise TypeError(f"stages must be a list of index arrays, at least one, not {check.shown(stages)}.")
    return [np.atleast_1d(check.positions(_indices(rows), "stages: each", n, "image")) for rows in stages]


def _indices(rows: Any) -> Any:
    if rows is None or isinstance(rows, str):
        raise TypeError(f"stages must be a list of index arrays, but one is {check.shown(rows)}.")
    return list(rows) if isinstance(rows, range) else rows


def _copied(state: State) -> State:
    return {name: value.detach().clone() for name, value in state.items()}


def _same_architecture(state: State, wanted: State, t: int) -> None:
    """Raise unless all weights have the names and shapes of the last checkpoint's."""
    for name in [*wanted, *state]:
        have, want = (tuple(s[name].shape) if name in s else "none" for s in (state, wanted))
        if have != want:
            raise ValueError(
                f"models must have one architecture, but checkpoint {t} differs: the shape of {name!r} is {have}, not {want}."
            )


def _steps(steps: Any, n: int) -> np.ndarray:
    if steps is None:
        return np.arange(n)
    a = np.asarray(steps)
    if a.dtype.kind not in "iu" or a.shape != (n,) or (np.diff(a) <= 0).any():
        raise ValueError(f"steps must be {n} increasing whole numbers, one per checkpoint, not {check.shown(steps)}.")
    return a.astype(int)
