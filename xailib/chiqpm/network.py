"""The networks of CHiQPM: a dense one whose feature maps look at different places, and one with a frozen binary head.

First all features feed all classes (:func:`train_dense`). A program then says which features stay and which few of them each
class gets. :func:`with_binary_head` puts that in place of the last layer, and :func:`fine_tune` lets the features grow into their
new roles.
"""

from __future__ import annotations

import copy
import hashlib
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from xailib import _cache
from xailib import _validation as check
from xailib._networks import answer, as_tensor, blocks, undisturbed
from xailib._progress import progress
from xailib._training import TrainingRun, one_thread
from xailib.chiqpm._inputs import assignment
from xailib.zoo.architectures import GapCNN, folded

__all__ = [
    "CHiQPM",
    "Description",
    "describe",
    "diversity_loss",
    "feature_maps",
    "fine_tune",
    "grounding_loss",
    "pooled_features",
    "train_dense",
    "with_binary_head",
]

#: strengths of the published ResNet-50 models
DIVERSITY, GROUNDING, FACTOR = 0.196, 3.0, 2.0
DROPOUT_DENSE, DROPOUT_BINARY = 0.2, 0.1
#: smallest standard deviation that a feature is divided by, and smallest scale of the grounding loss
LEAST_STD, LEAST_SCALE = 1e-6, 0.01
BATCH_IMAGES = 256
#: convolutions of the course's dense network: 96 maps of 16 x 16 places
WIDTHS, POOL_AFTER = (16, 32, 64, 96), (1, 2)


class CHiQPM(nn.Module):
    r"""Feature maps, their normalised and rectified means, and a sum of a few of them for each class.

    .. math:: f^*_j = \mathrm{ReLU}\Big(\frac{\overline{M_j} - \mu_j}{\sigma_j}\Big), \qquad z_c = \sum_j W_{cj} f^*_j, \quad
        W_{cj} \in \{0, 1\}

    Parameters
    ----------
    features : module, images (n, channels, height, width) -> maps (n, n_f, h, w)
    W : (n_classes, n_f) bool, which features each class is made of, as many for every class
    mean, std : (n_f,), of the means of the maps over training images, before fine-tuning; they stay as they are
    dropout : float in [0, 1), share of features left out in training, before they are normalised: such a feature counts as 0
    selected : (n_f,) numbers the features had in the dense network, default 0 to n_f - 1; for the record

    Notes
    -----
    No bias, and nothing in the head is trained. Made by :func:`with_binary_head`. Taught in chapter 16.
    """

    W: Tensor
    mean: Tensor
    std: Tensor
    selected: Tensor

    def __init__(
        self, features: nn.Module, W: Any, mean: Any, std: Any, *, dropout: float = DROPOUT_BINARY, selected: Any = None
    ) -> None:
        super().__init__()
        if not isinstance(features, nn.Module):
            raise TypeError(f"features must be a torch module, not {type(features).__name__}.")
        chosen = assignment(W)
        check.number(dropout, "dropout", low=0, high=1, open_high=True)
        moments = {name: check.array(a, name, ndim=1, length=chosen.shape[1]) for name, a in (("mean", mean), ("std", std))}
        if (moments["std"] < 0).any():
            raise ValueError("std must not be negative: it holds a standard deviation for each feature.")
        numbers = np.arange(chosen.shape[1]) if selected is None else np.asarray(selected)
        if numbers.dtype.kind not in "iu" or numbers.shape != (chosen.shape[1],) or len(np.unique(numbers)) < len(numbers):
            raise ValueError(f"selected must hold {chosen.shape[1]} different feature numbers, not {check.shown(selected)}.")
        self.features, self.dropout = features, nn.Dropout(dropout)
        self.register_buffer("selected", torch.as_tensor(numbers, dtype=torch.int64))
        self.register_buffer("W", torch.as_tensor(chosen, dtype=torch.float32))
        self.register_buffer("mean", torch.as_tensor(moments["mean"], dtype=torch.float32))
        self.register_buffer("std", torch.as_tensor(moments["std"], dtype=torch.float32))

    def normalised(self, maps: Tensor) -> Tensor:
        """Features (n, n_f) of maps (n, n_f, h, w), at least 0."""
        if not isinstance(maps, Tensor) or maps.ndim != 4 or maps.shape[1] != len(self.mean):
            given = f"shape {tuple(maps.shape)}" if isinstance(maps, Tensor) else type(maps).__name__
            raise ValueError(f"maps must be a tensor of shape (n, {len(self.mean)}, h, w), not {given}.")
        return ((self.dropout(maps.mean(dim=(2, 3))) - self.mean) / self.std.clamp(min=LEAST_STD)).relu()

    def forward(self, x: Tensor) -> Tensor:
        """Class scores, (n, n_classes)."""
        return self.normalised(self.features(x)) @ self.W.T

    def __repr__(self) -> str:
        return f"CHiQPM({self.W.shape[1]} features, {int(self.W[0].sum())} for each of {self.W.shape[0]} classes)"


@dataclass(frozen=True, eq=False)
class Description:
    """What a network with a binary head makes of images.

    Attributes
    ----------
    maps : (n, n_f, h, w) feature maps, at least 0
    features : (n, n_f) normalised and rectified means of the maps
    scores : (n, n_classes) sums of each class's features
    """

    maps: np.ndarray
    features: np.ndarray
    scores: np.ndarray

    @property
    def predicted(self) -> np.ndarray:
        """Class of the largest score, (n,)."""
        return self.scores.argmax(axis=1)

    def __repr__(self) -> str:
        n, k, h, w = self.maps.shape
        return f"Description({n} images, {k} features with maps of {h}x{w}, {self.scores.shape[1]} classes)"


# --- training -------------------------------------------------------------------------------------------------------


def train_dense(
    images: Any,
    labels: Any,
    *,
    diversity: float = DIVERSITY,
    dropout: float = DROPOUT_DENSE,
    widths: Sequence[int] = WIDTHS,
    pool_after: Sequence[int] = POOL_AFTER,
    epochs: int = 8,
    batch_size: int = 64,
    learning_rate: float = 4e-3,
    weight_decay: float = 1e-3,
    random_state: int = 0,
    checkpoint: str | Path | None = None,
) -> GapCNN:
    r"""Train a network in which every class looks at all features, with cross-entropy and the Feature Diversity Loss.

    .. math:: L = \mathrm{CE}(z, y) + L_\mathrm{div}

    Parameters
    ----------
    images : array or tensor (n, channels, height, width)
    labels : (n,) class numbers from 0; the largest says how many classes there are
    diversity : float, strength of :func:`diversity_loss`
    dropout : float in [0, 1), share of features left out in training
    widths, pool_after : of the convolutions, as in ``GapCNN``
    epochs, batch_size, learning_rate, weight_decay : AdamW with one cycle of the learning rate
    random_state : int, for weights, order and dropout
    checkpoint : path, optional; the state after each epoch goes there, and a training that was killed goes on from it

    Returns
    -------
    GapCNN
        In evaluation mode, batch normalisation folded into the convolutions.

    Raises
    ------
    TypeError, ValueError
        If images and labels do not fit together, or the loss becomes infinite.

    Notes
    -----
    Norrenbrock et al. train a ResNet-50 for 150 epochs with SGD; on the course's small network AdamW needs a few. Taught in
    chapter 16.

    Examples
    --------
    >>> images = np.random.default_rng(0).random((8, 1, 8, 8))
    >>> train_dense(images, [0, 1] * 4, widths=(4, 6), pool_after=(1,), epochs=1).classifier
    Linear(in_features=6, out_features=2, bias=True)
    """
    x, y = _training_data(images, labels)
    check.number(diversity, "diversity", low=0)
    check.number(dropout, "dropout", low=0, high=1, open_high=True)
    layers, pools = _whole_numbers(widths, "widths"), _whole_numbers(pool_after, "pool_after", empty=True)
    seed, settings = _settings(random_state, epochs, batch_size, learning_rate, weight_decay)
    path = None if checkpoint is None else _file(checkpoint)
    loss = partial(_dense_loss, diversity=float(diversity), dropout=float(dropout))
    key = "" if path is None else _training_key(x, y, [layers, pools, diversity, dropout, epochs, seed, settings])
    with one_thread(), torch.inference_mode(False), torch.enable_grad():
        torch.manual_seed(seed)
        model = GapCNN(x.shape[1], layers, pools, int(y.max()) + 1, batch_norm=True)
        _run_epochs(TrainingRun(model, x, y, loss, epochs=epochs, seed=seed, key=key, **settings), path)
        return folded(model.eval())


def diversity_loss(maps: Tensor, scores: Tensor, weights: Tensor, *, strength: float = DIVERSITY) -> Tensor:
    r"""Feature Diversity Loss: the features behind a prediction shall be strong in different places.

    .. math:: L_\mathrm{div} = -\frac{\beta}{n} \sum_{i=1}^n \sum_{p} \max_j \; \bar w_{ij} \, g_{ij} \, S_{ij}^p, \qquad
        S_{ij} = \mathrm{softmax}_p(M_{ij}), \quad g_{ij} = \frac{\overline{M_{ij}}}{\max_{j'} \overline{M_{ij'}}}, \quad
        \bar w_i = \frac{|W_{\hat c}|}{\|W_{\hat c}\|_2}

    Parameters
    ----------
    maps : tensor (n, n_f, h, w), at least 0
    scores : tensor (n, n_classes); :math:`\hat c` is the class of the largest
    weights : tensor (n_classes, n_f), of the last layer, dense or binary
    strength : float, :math:`\beta`

    Returns
    -------
    tensor, one number, at most 0, differentiable

    Raises
    ------
    TypeError, ValueError
        If the shapes do not fit together.

    Notes
    -----
    Norrenbrock, Rudolph & Rosenhahn (2022), with the constants of the released code. Taught in chapter 16.

    Examples
    --------
    >>> apart = torch.tensor([[[[9.0, 0.0]], [[0.0, 9.0]]]])
    >>> scores, weights = torch.tensor([[1.0]]), torch.ones(1, 2)
    >>> diversity_loss(apart, scores, weights) < diversity_loss(apart[:, [0, 0]], scores, weights)
    tensor(True)
    """
    check.number(strength, "strength", low=0)
    _check_maps(maps, scores, weights)
    w = weights[scores.argmax(dim=1)].abs()
    w_bar = w / (w.norm(dim=1, keepdim=True) + 1e-5)
    means = maps.mean(dim=(2, 3))
    g = means / means.amax(dim=1, keepdim=True).clamp(min=1e-6)
    S = maps.flatten(2).softmax(dim=2)
    return -strength * ((w_bar * g)[:, :, None] * S).amax(dim=1).sum(dim=1).mean()


def grounding_loss(features: Tensor, labels: Tensor, W: Tensor, *, factor: float = FACTOR) -> Tensor:
    r"""Feature Grounding Loss: the features of the true class shall be on, all others off.

    .. math:: L_\mathrm{feat} = \frac1n \sum_{i=1}^n \frac{\gamma \, \mathrm{mean}_{j: W_{yj} = 0} f^*_{ij} -
        \mathrm{mean}_{j: W_{yj} = 1} f^*_{ij}}{\max(\max_j f^*_{ij},\, 0.01)}

    Parameters
    ----------
    features : tensor (n, n_f), normalised and rectified
    labels : tensor (n,) of true classes
    W : tensor (n_classes, n_f) of zeros and ones
    factor : float, :math:`\gamma`; 2 in the released code, whose comment calls it an accident, and 1 as intended

    Returns
    -------
    tensor, one number in [-1, factor], differentiable; the scale in the denominator is differentiated too

    Raises
    ------
    TypeError, ValueError
        If the shapes do not fit together, or a class has none or all of the features.

    Notes
    -----
    Norrenbrock et al. (2025), with the constants of the released code. Taught in chapter 16.

    Examples
    --------
    >>> f, W = torch.tensor([[2.0, 1.0, 0.0]]), torch.tensor([[1.0, 0.0, 0.0]])
    >>> grounding_loss(f, torch.tensor([0]), W, factor=1.0)
    tensor(-0.7500)
    """
    check.number(factor, "factor", low=0)
    _check_features(features, labels, W)
    on = W[labels].to(features)
    inside = (features * on).sum(dim=1) / on.sum(dim=1)
    outside = (features * (1 - on)).sum(dim=1) / (1 - on).sum(dim=1)
    scale = features.abs().amax(dim=1).clamp(min=LEAST_SCALE)
    return ((factor * outside - inside) / scale).mean()


def with_binary_head(dense: GapCNN, selected: Any, W: Any, features: Any, *, dropout: float = DROPOUT_BINARY) -> CHiQPM:
    """Put a binary head on the selected features of a dense network.

    Parameters
    ----------
    dense : GapCNN without batch normalisation, as from :func:`train_dense`; it is not changed
    selected : (n_f,) numbers of the features to keep, each once
    W : (n_classes, n_f) bool, the features of each class, in the order of ``selected``
    features : (n, F) means of all maps over training images, as from :func:`pooled_features`; they give mean and deviation
    dropout : float in [0, 1), for fine-tuning

    Returns
    -------
    CHiQPM
        In evaluation mode. Its last convolution has only the selected channels.

    Raises
    ------
    TypeError, ValueError
        If a selected feature does not exist or comes twice, W does not fit, or the features are not those of the network.

    Notes
    -----
    Norrenbrock et al. (2025): mean and deviation are those of the dense features, and stay. Taught in chapter 16.

    Examples
    --------
    >>> dense, X = GapCNN(1, (4, 6), (1,), 2), np.random.default_rng(0).random((5, 6))
    >>> with_binary_head(dense, [0, 2, 5], [[True, True, False], [True, False, True]], X)
    CHiQPM(3 features, 2 for each of 2 classes)
    """
    last = _last_convolution(dense)
    X = check.array(features, "features", ndim=2)
    if X.shape[1] != last.out_channels:
        raise ValueError(f"features must have {last.out_channels} columns, one per feature of dense, not {X.shape[1]}.")
    chosen = check.positions(selected, "selected", last.out_channels, "feature")
    if chosen.ndim != 1 or len(np.unique(chosen)) < len(chosen):
        raise ValueError("selected must be a list of feature numbers, each once.")
    own = assignment(W)
    if own.shape[1] != len(chosen):
        raise ValueError(f"W must have one column for each of the {len(chosen)} selected features, not {own.shape[1]}.")
    kept = X[:, chosen]
    layers = _with_channels(dense, chosen)
    return CHiQPM(layers, own, kept.mean(axis=0), kept.std(axis=0), dropout=dropout, selected=chosen).eval()


def fine_tune(
    model: CHiQPM,
    images: Any,
    labels: Any,
    *,
    cycles: Sequence[int] = (1, 1, 1, 3),
    free_epochs: int = 1,
    grounding: float = GROUNDING,
    factor: float = FACTOR,
    diversity: float = DIVERSITY,
    train_from: str | None = None,
    batch_size: int = 64,
    learning_rate: float = 2e-3,
    decay: float = 0.9,
    weight_decay: float = 5e-4,
    random_state: int = 0,
) -> CHiQPM:
    r"""Let the features grow into their roles: the head stays, the convolutions learn.

    .. math:: L = \mathrm{CE}(z, y) + L_\mathrm{div} + \lambda L_\mathrm{feat}

    Parameters
    ----------
    model : CHiQPM; it is not changed
    images : array or tensor (n, channels, height, width)
    labels : (n,) class numbers
    cycles : epochs of each cycle; every cycle has an optimiser of its own, and a peak learning rate ``decay`` times the last
        one's
    free_epochs : int, the last epochs of the last cycle, which go without :math:`L_\mathrm{feat}`
    grounding : float, :math:`\lambda`, strength of :func:`grounding_loss`; 0 switches it off
    factor : float, as in :func:`grounding_loss`
    diversity : float, strength of :func:`diversity_loss`
    train_from : name of the first layer to train ("conv3"), default all: what comes before is computed once and kept in memory
    batch_size, learning_rate, weight_decay : AdamW with one cycle of the learning rate in each cycle
    random_state : int, for order and dropout

    Returns
    -------
    CHiQPM
        In evaluation mode.

    Raises
    ------
    TypeError, ValueError
        If a label is no class of the model, ``train_from`` no layer of it, or the loss becomes infinite.

    Notes
    -----
    Norrenbrock et al. (2025) take SGD and cycles of 10, 10, 10 and 40 epochs, the last 10 of them free, and train the whole
    backbone. The default is this schedule, scaled down. Taught in chapter 16.

    Examples
    --------
    >>> net = CHiQPM(nn.Conv2d(1, 3, 3), [[True, False, False], [False, True, False]], [0.0] * 3, [1.0] * 3)
    >>> fine_tune(net, np.random.default_rng(0).random((8, 1, 6, 6)), [0, 1] * 4, cycles=(1,))
    CHiQPM(3 features, 1 for each of 2 classes)
    """
    check.instance(model, CHiQPM, "model")
    lengths = _whole_numbers(cycles, "cycles")
    check.number(free_epochs, "free_epochs", low=0, high=lengths[-1], integer=True)
    for value, name in ((grounding, "grounding"), (factor, "factor"), (diversity, "diversity")):
        check.number(value, name, low=0)
    check.number(decay, "decay", low=0, high=1, open_low=True)
    seed, settings = _settings(random_state, lengths[0], batch_size, learning_rate, weight_decay)
    x, y = _training_data(images, labels)
    if int(y.max()) >= len(model.W):
        raise ValueError(f"labels go up to {int(y.max())}, but the model has {len(model.W)} classes, 0 to {len(model.W) - 1}.")
    own = copy.deepcopy(model)
    frozen, trained = _split_at(own.features, train_from)
    with one_thread(), torch.inference_mode(False), torch.enable_grad():
        inputs, own.features = _through(frozen, x), trained
        for number, epochs in enumerate(progress(lengths, len(lengths), "fine-tuning")):
            cycle = {**settings, "peak_learning_rate": learning_rate * decay**number, "seed": seed * len(lengths) + number}
            loss = _BinaryLoss(float(diversity), float(grounding), float(factor))
            run = TrainingRun(own, inputs, y, loss, epochs=epochs, **cycle)
            free_from = epochs - free_epochs if number == len(lengths) - 1 else epochs
            for epoch in range(epochs):
                loss.grounding = float(grounding) if epoch < free_from else 0.0
                run.one_epoch(epoch)
    own.features = (
        nn.Sequential(OrderedDict([*frozen.named_children(), *trained.named_children()])) if train_from else own.features
    )
    return own.eval()


# --- what a network makes of images ---------------------------------------------------------------------------------


def feature_maps(model: GapCNN | CHiQPM, images: Any, *, batch_size: int = BATCH_IMAGES) -> np.ndarray:
    """Maps of all features, (n, F, h, w): what is averaged to give a feature.

    Parameters
    ----------
    model : GapCNN or CHiQPM
    images : array or tensor (n, channels, height, width)
    batch_size : int, images per model call

    Returns
    -------
    array, shape (n, F, h, w), float32; 96 maps of 16 x 16 places take 0.1 MB an image

    Raises
    ------
    TypeError, ValueError
        If the images do not go through the model.

    Notes
    -----
    Taught in chapter 16.

    Examples
    --------
    >>> feature_maps(GapCNN(1, (4, 6), (1,), 2), np.zeros((3, 1, 8, 8))).shape
    (3, 6, 4, 4)
    """
    x = _model_and_images(model, images, batch_size)
    return np.concatenate([maps.numpy() for maps in _map_batches(model, x, batch_size)])


def pooled_features(model: GapCNN | CHiQPM, images: Any, *, batch_size: int = BATCH_IMAGES) -> np.ndarray:
    r"""Means of the maps, neither normalised nor rectified: the dense features of the program.

    .. math:: f_j = \overline{M_j}

    Parameters
    ----------
    model : GapCNN or CHiQPM
    images : array or tensor (n, channels, height, width)
    batch_size : int, images per model call

    Returns
    -------
    array, shape (n, F)

    Raises
    ------
    TypeError, ValueError
        If the images do not go through the model.

    Notes
    -----
    Taught in chapter 16.

    Examples
    --------
    >>> pooled_features(GapCNN(1, (4, 6), (1,), 2), np.zeros((3, 1, 8, 8))).shape
    (3, 6)
    """
    x = _model_and_images(model, images, batch_size)
    return np.concatenate([maps.mean(dim=(2, 3)).double().numpy() for maps in _map_batches(model, x, batch_size)])


def describe(model: CHiQPM, images: Any, *, batch_size: int = BATCH_IMAGES) -> Description:
    """Maps, features and scores of images.

    Parameters
    ----------
    model : CHiQPM
    images : array or tensor (n, channels, height, width)
    batch_size : int, images per model call

    Returns
    -------
    Description
        ``maps`` (n, n_f, h, w), ``features`` (n, n_f), ``scores`` (n, n_classes).

    Raises
    ------
    TypeError, ValueError
        If the model has no binary head, or the images do not go through it.

    Notes
    -----
    Scores are summed from the features in double precision, so that equal sums are equal. Taught in chapter 16.

    Examples
    --------
    >>> net = CHiQPM(nn.Conv2d(1, 3, 3), [[True, False, False], [False, True, False]], [0.0] * 3, [1.0] * 3)
    >>> describe(net, np.zeros((2, 1, 6, 6)))
    Description(2 images, 3 features with maps of 4x4, 2 classes)
    """
    check.instance(model, CHiQPM, "model")
    x = _model_and_images(model, images, batch_size)
    maps = list(_map_batches(model, x, batch_size))
    with undisturbed(model), torch.no_grad():
        features = np.concatenate([model.normalised(block).double().numpy() for block in maps])
    W = model.W.double().numpy()
    return Description(np.concatenate([block.numpy() for block in maps]), features, features @ W.T)


def _map_batches(model: GapCNN | CHiQPM, x: np.ndarray, batch_size: int) -> Iterator[Tensor]:
    """Maps batch by batch, on the processor and without a graph."""
    for block in blocks(len(x), batch_size):
        with undisturbed(model), torch.no_grad():
            yield _finite(answer(model.features, as_tensor(model, x[block]).to(memory_format=torch.channels_last))).cpu()


def _finite(maps: Any) -> Tensor:
    if not isinstance(maps, Tensor) or maps.ndim != 4:
        given = f"shape {tuple(maps.shape)}" if isinstance(maps, Tensor) else type(maps).__name__
        raise ValueError(f"features of the model must give maps of shape (n, n_f, h, w), not {given}.")
    if not torch.isfinite(maps).all():
        raise ValueError("model gave missing or infinite feature maps: check its weights and the images.")
    return maps


def _model_and_images(model: Any, images: Any, batch_size: Any) -> np.ndarray:
    if not isinstance(model, GapCNN | CHiQPM):
        raise TypeError(f"model must be a GapCNN or a CHiQPM, not {type(model).__name__}.")
    check.number(batch_size, "batch_size", low=1, integer=True)
    return check.images(images)


# --- losses ---------------------------------------------------------------------------------------------------------


def _dense_loss(model: nn.Module, x: Tensor, y: Tensor, *, diversity: float, dropout: float) -> Tensor:
    net = cast(GapCNN, model)
    maps = net.features(x)
    scores = net.classifier(F.dropout(maps.mean(dim=(2, 3)), dropout))
    return F.cross_entropy(scores, y) + diversity_loss(maps, scores, net.classifier.weight, strength=diversity)


@dataclass
class _BinaryLoss:
    """The loss of fine-tuning; ``grounding`` changes in its course."""

    diversity: float
    grounding: float
    factor: float

    def __call__(self, model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
        net = cast(CHiQPM, model)
        maps = net.features(x)
        features = net.normalised(maps)
        scores = features @ net.W.T
        loss = F.cross_entropy(scores, y) + diversity_loss(maps, scores, net.W, strength=self.diversity)
        return loss + self.grounding * grounding_loss(features, y, net.W, factor=self.factor) if self.grounding else loss


def _check_maps(maps: Any, scores: Any, weights: Any) -> None:
    _tensors(maps=(maps, 4), scores=(scores, 2), weights=(weights, 2))
    if len(scores) != len(maps) or weights.shape != (scores.shape[1], maps.shape[1]):
        shapes = f"maps {tuple(maps.shape)}, scores {tuple(scores.shape)} and weights {tuple(weights.shape)}"
        raise ValueError(f"{shapes} do not fit: one row of scores per image, one row of weights per class, one column per map.")


def _check_features(features: Any, labels: Any, W: Any) -> None:
    _tensors(features=(features, 2), W=(W, 2))
    if W.shape[1] != features.shape[1]:
        raise ValueError(f"W must have one column for each of the {features.shape[1]} features, not {W.shape[1]}.")
    if not isinstance(labels, Tensor) or labels.dtype != torch.int64 or labels.shape != features.shape[:1]:
        raise ValueError(f"labels must be a tensor of one class number for each of the {len(features)} rows of features.")
    if labels.min() < 0 or labels.max() >= len(W):
        raise ValueError(f"labels must be rows of W, 0 to {len(W) - 1}.")
    if ((W.sum(dim=1) == 0) | (W.sum(dim=1) == W.shape[1])).any():
        raise ValueError("W gives a class none or all of the features: every class needs some that are on and some that are off.")


def _tensors(**given: tuple[Any, int]) -> None:
    for name, (value, ndim) in given.items():
        if not isinstance(value, Tensor) or value.ndim != ndim or value.numel() == 0:
            shown = f"shape {tuple(value.shape)}" if isinstance(value, Tensor) else type(value).__name__
            raise TypeError(f"{name} must be a tensor of {ndim} dimensions, not {shown}.")


# --- arguments and loops --------------------------------------------------------------------------------------------


def _run_epochs(run: TrainingRun, path: Path | None) -> None:
    if path is not None:
        run.resume(path)
    for epoch in progress(range(run.epoch, run.epochs), run.epochs - run.epoch, "epochs"):
        run.one_epoch(epoch)
        if path is not None:
            run.save(path)


def _training_data(images: Any, labels: Any) -> tuple[Tensor, Tensor]:
    """Images with the channels of a pixel side by side in memory, on which processors train twice as fast, and labels."""
    x, y = check.images(images), np.asarray(labels)
    if y.dtype.kind not in "iu" or y.shape != (len(x),) or (y < 0).any():
        raise ValueError(f"labels must be one class number from 0 for each of the {len(x)} images, not {check.shown(labels)}.")
    pictures = torch.from_numpy(np.array(x, dtype=np.float32)).to(memory_format=torch.channels_last)
    return pictures, torch.from_numpy(y.astype(np.int64))


def _training_key(x: Tensor, y: Tensor, settings: list[Any]) -> str:
    """Changes with the data and every setting."""
    digests = [hashlib.sha256(part.tobytes()).hexdigest() for part in (x.numpy(), y.numpy())]
    return _cache.content_key(digests, settings)


def _settings(
    random_state: Any, epochs: Any, batch_size: Any, learning_rate: Any, weight_decay: Any
) -> tuple[int, dict[str, Any]]:
    seed = check.number(random_state, "random_state", low=0, integer=True)
    check.number(epochs, "epochs", low=1, integer=True)
    check.number(batch_size, "batch_size", low=1, integer=True)
    check.number(learning_rate, "learning_rate", low=0, open_low=True)
    check.number(weight_decay, "weight_decay", low=0)
    return seed, {"batch_size": batch_size, "peak_learning_rate": learning_rate, "weight_decay": weight_decay}


def _whole_numbers(values: Any, name: str, *, empty: bool = False) -> tuple[int, ...]:
    given = list(values) if isinstance(values, Sequence | np.ndarray) and not isinstance(values, str) else None
    if given is None or (not given and not empty):
        raise TypeError(f"{name} must be a list of whole numbers, not {check.shown(values)}.")
    return tuple(int(check.number(v, f"each of {name}", low=1, integer=True)) for v in given)


def _file(checkpoint: Any) -> Path:
    if not isinstance(checkpoint, str | Path) or Path(checkpoint).is_dir():
        raise TypeError(f"checkpoint must be the path of a file, or None, not {check.shown(checkpoint)}.")
    return Path(checkpoint)


# --- surgery --------------------------------------------------------------------------------------------------------


def _last_convolution(dense: Any) -> nn.Conv2d:
    check.instance(dense, GapCNN, "dense")
    layers = list(dense.features)
    if any(isinstance(layer, nn.BatchNorm2d) for layer in layers):
        raise ValueError("dense still has batch normalisation: fold it with xailib.zoo.architectures.folded(dense.eval()) first.")
    return [layer for layer in layers if isinstance(layer, nn.Conv2d)][-1]


def _with_channels(dense: GapCNN, chosen: np.ndarray) -> nn.Sequential:
    """A copy of the feature layers whose last convolution computes the chosen channels only."""
    own = copy.deepcopy(dense.features)
    name, last = [(n, layer) for n, layer in own.named_children() if isinstance(layer, nn.Conv2d)][-1]
    smaller = nn.Conv2d(
        last.in_channels, len(chosen), cast(Any, last.kernel_size), padding=cast(Any, last.padding), bias=last.bias is not None
    )
    rows = torch.as_tensor(chosen)
    smaller.load_state_dict({key: value[rows] for key, value in last.state_dict().items()})
    setattr(own, name, smaller)
    return own


def _split_at(features: nn.Module, name: Any) -> tuple[nn.Module, nn.Module]:
    """The layers before the one of this name, and the rest."""
    if name is None:
        return nn.Sequential(), features
    layers = OrderedDict(features.named_children())
    check.one_of(name, "train_from", list(layers))
    start = list(layers).index(name)
    parts = list(layers.items())
    return nn.Sequential(OrderedDict(parts[:start])), nn.Sequential(OrderedDict(parts[start:]))


def _through(layers: nn.Module, x: Tensor) -> Tensor:
    """What layers that do not learn make of all images."""
    with torch.no_grad():
        outputs = [layers(x[block]) for block in blocks(len(x), BATCH_IMAGES)] if len(list(layers.children())) else [x]
    return torch.cat(outputs).contiguous(memory_format=torch.channels_last)
