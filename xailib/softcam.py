"""SoftCAM: a classifier whose last layer is its explanation.

A network that averages its feature maps and then applies a linear layer is turned into one that applies the linear layer first,
place by place, and averages afterwards. The maps in between, one per class, are the evidence: their means are the scores.
Training may then put a penalty on the evidence itself, so that the network has to be brief.
"""

from __future__ import annotations

import copy
import hashlib
from collections import OrderedDict
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from xailib import _cache
from xailib import _validation as check
from xailib._networks import (
    Target,
    answer,
    arguments,
    as_tensor,
    blocks,
    check_activation,
    class_scores,
    one_class_each,
    question,
    require_network,
    signs,
    undisturbed,
)
from xailib._progress import progress
from xailib._training import TrainingRun, one_thread
from xailib.results import Heatmap

__all__ = ["SoftCAM", "convert", "edit", "edit_maps", "evidence", "evidence_maps", "fit", "penalty"]

BATCH_SIZE = 16
KINDS = ("auto", "pooled", "vgg")
#: published strengths of the penalty belong to maps of 16 x 16
REFERENCE_POSITIONS = 256
#: under the root of the Frobenius norm, whose slope at 0 would not exist
EPSILON = 1e-12
PROBE_SIZE = 96


class SoftCAM(nn.Module):
    r"""A classifier made of feature maps, a head of 1 x 1 convolutions that gives one evidence map per class, and their averages.

    .. math:: A = h(g(x)), \qquad z_c(x) = \frac{1}{hw} \sum_{ij} A_c^{ij}(x)

    Parameters
    ----------
    features : module, images (n, channels, height, width) -> feature maps (n, d, h, w)
    head : module that keeps positions, (n, d, h, w) -> evidence (n, k, h, w)
    exact : bool, whether the scores are those of the classifier this one was made from

    Notes
    -----
    Djoumessi et al. (2025), section 3. Made by :func:`convert`. Because ``forward`` gives class scores, every other method of
    the course works on it. Taught in chapter 14.
    """

    def __init__(self, features: nn.Module, head: nn.Module, *, exact: bool = False) -> None:
        super().__init__()
        require_network(features)
        if not isinstance(head, nn.Module) or not _convolutions(head) or any(_size(c) != (1, 1) for c in _convolutions(head)):
            raise TypeError("head must be a module of 1 x 1 convolutions, so that evidence stays where its features are.")
        self.features, self.head, self.exact = features, head, check.flag(exact, "exact")

    @property
    def n_classes(self) -> int:
        """Number of evidence maps, one per class."""
        return _convolutions(self.head)[-1].out_channels

    def evidence(self, x: Tensor) -> Tensor:
        """Evidence maps (n, k, h, w) of a batch of images given as a tensor; differentiable."""
        if not isinstance(x, Tensor):
            raise TypeError(f"x must be a torch tensor, not {type(x).__name__}: for arrays use xailib.softcam.evidence.")
        return self.head(self.features(x))

    def forward(self, x: Tensor) -> Tensor:
        """Class scores before the softmax, (n, k): the means of the evidence maps."""
        return self.evidence(x).mean(dim=(2, 3))

    def __repr__(self) -> str:
        first, last = _convolutions(self.head)[0], _convolutions(self.head)[-1]
        kept = "the original's weights" if self.exact else "weights of its own: scores differ from the original's until trained"
        return f"SoftCAM({first.in_channels} feature maps -> evidence for {last.out_channels} classes; head with {kept})"


def convert(model: nn.Module, *, kind: str = "auto", random_state: Any = 0) -> SoftCAM:
    r"""A copy of a classifier in which the last layer comes before the averaging: its scores are means of evidence maps.

    .. math:: b_c + \sum_k w_{ck} \frac{1}{hw} \sum_{ij} Z_k^{ij} = \frac{1}{hw} \sum_{ij} \Big(b_c + \sum_k w_{ck} Z_k^{ij}\Big)

    Parameters
    ----------
    model : torch module; it is not changed
        A network of the course, a torchvision model (ResNet, ResNeXt, DenseNet, EfficientNet, MobileNet; VGG, AlexNet), or
        an ``nn.Sequential`` of feature layers, pooling or not, ``Flatten`` and linear layers.
    kind : {"auto", "pooled", "vgg"}
        ``"pooled"``: global average pooling and one linear layer, whose weights become those of a 1 x 1 convolution. The scores
        stay the same, which is tested on an image of noise. ``"vgg"``: any other head is replaced by 1 x 1 convolutions as wide
        as its linear layers, with new weights: no score stays the same, and the copy must be trained. ``"auto"`` takes
        ``"pooled"`` where there is one linear layer.
    random_state : int, Generator or None, for the new weights of ``"vgg"``

    Returns
    -------
    SoftCAM
        In evaluation mode, on the model's device and in its precision; frozen parameters stay frozen.

    Raises
    ------
    TypeError, ValueError
        If features and head can not be told apart, or a ``"pooled"`` conversion changes the scores.

    Notes
    -----
    Djoumessi et al. (2025), section 3. Before any training this is the class activation map of Zhou et al. (2016) plus the bias.
    In training, dropout before the linear layer drops features place by place. Taught in chapter 14.

    Examples
    --------
    >>> net = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 2))
    >>> convert(net)
    SoftCAM(4 feature maps -> evidence for 2 classes; head with the original's weights)
    """
    require_network(model)
    check.one_of(kind, "kind", KINDS)
    rng = check.random_generator(random_state)
    own = copy.deepcopy(model).eval()
    features, head = _split(own)
    linears = [layer for layer in head if isinstance(layer, nn.Linear)]
    if kind == "vgg" or (kind == "auto" and len(linears) > 1):
        return _with_new_head(own, features, head, rng)
    if len(linears) != 1:
        raise ValueError(f"model has {len(linears)} linear layers behind its features, so kind must be 'vgg', not {kind!r}.")
    return _with_same_head(own, features, head, linears[0])


def penalty(
    A: Tensor, l1: float, l2: float, *, second: str = "frobenius", reference_positions: int | None = REFERENCE_POSITIONS
) -> Tensor:
    r"""The ElasticNet penalty on evidence: how much of it there is, image by image, averaged over the batch.

    .. math:: \frac1n \sum_{m=1}^n \Big( \lambda_1 s \sum_{cij} |A_{mc}^{ij}| + \lambda_2 \sqrt{s\, \|A_m\|_F^2} \Big),
        \qquad s = \frac{256}{hw}

    Parameters
    ----------
    A : tensor (n, k, h, w), evidence
    l1, l2 : float, at least 0, strengths of the two terms
    second : {"frobenius", "squared"}
        What the second term is. ``"frobenius"``: the norm of all evidence of an image, not squared, as the released code has it.
        ``"squared"``: :math:`\lambda_2 s \|A_m\|_F^2`, the ridge of statistics.
    reference_positions : int or None
        The strengths are those for maps of so many places, 16 x 16 in the paper: ``s`` makes them mean the same on maps of
        another size. None: s = 1, sums as they are.

    Returns
    -------
    tensor, one number, differentiable

    Raises
    ------
    TypeError, ValueError
        If A is no stack of maps, or a strength is negative.

    Notes
    -----
    Djoumessi et al. (2025), the loss. Read literally, its second term is the norm of single numbers, which is their absolute
    value: both terms would be one. The released code penalises the first image of each batch only; the mean over the batch is
    the same in expectation, with less noise. Taught in chapter 14.

    Examples
    --------
    >>> A = torch.tensor([[[[3.0, -4.0]]]])
    >>> penalty(A, 1.0, 0.0, reference_positions=None), penalty(A, 0.0, 1.0, reference_positions=None)
    (tensor(7.), tensor(5.))
    """
    if not isinstance(A, Tensor) or A.ndim != 4 or A.numel() == 0 or not A.is_floating_point():
        given = f"shape {tuple(A.shape)} of {A.dtype}" if isinstance(A, Tensor) else type(A).__name__
        raise TypeError(f"A must be a tensor of evidence maps, shape (n, k, h, w), in floating point, not {given}.")
    _strengths(l1, l2, second)
    if reference_positions is not None:
        check.number(reference_positions, "reference_positions", low=1, integer=True)
    s = 1.0 if reference_positions is None else reference_positions / (A.shape[2] * A.shape[3])
    total = s * A.abs().sum(dim=(1, 2, 3))
    squares = s * A.square().sum(dim=(1, 2, 3))
    return (l1 * total + l2 * (squares if second == "squared" else (squares + EPSILON).sqrt())).mean()


def fit(
    model: nn.Module,
    images: Any,
    labels: Any,
    *,
    l1: float = 0.0,
    l2: float = 0.0,
    second: str = "frobenius",
    epochs: int = 10,
    batch_size: int = 64,
    learning_rate: float = 2e-3,
    weight_decay: float = 1e-3,
    random_state: int = 0,
    checkpoint: str | Path | None = None,
) -> Any:
    r"""Train a copy of a classifier with cross-entropy plus the penalty on its evidence.

    .. math:: L = \mathrm{CE}(z, y) + \mathrm{penalty}(A; \lambda_1, \lambda_2)

    Parameters
    ----------
    model : SoftCAM; any other torch classifier if ``l1 = l2 = 0``, so that a black box gets the same training; not changed
    images : array or tensor (n, channels, height, width)
    labels : (n,) class numbers from 0
    l1, l2, second : as in :func:`penalty`; l1 alone is the sparse SoftCAM, l2 alone the dense one, both the elastic one
    epochs : int, passes over the images
    batch_size : int; only whole batches are used, those left over come in another epoch
    learning_rate : float, the peak of one cycle
    weight_decay : float
    random_state : int, sets the order of the images (and dropout)
    checkpoint : path, optional
        The state after each epoch goes there, so that a training that was killed goes on and ends with the same weights. A state
        of another training (data, model or settings differ) is not taken up.

    Returns
    -------
    module like ``model``
        In evaluation mode. Frozen parameters are as before.

    Raises
    ------
    TypeError, ValueError
        If labels are no classes of the model, nothing can be trained, or the loss becomes infinite.

    Notes
    -----
    AdamW with one cycle of the learning rate, one thread: same seed, same weights on the same machine. The paper uses SGD with
    Nesterov momentum on pretrained backbones; on the course's small networks AdamW reaches the same accuracy in fewer passes.
    Taught in chapter 14.

    Examples
    --------
    >>> net = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 2))
    >>> images = np.random.default_rng(0).random((8, 1, 6, 6))
    >>> sparse = fit(convert(net), images, [0, 1] * 4, l1=1e-3, epochs=1)
    >>> evidence(sparse, images).shape
    (8, 2, 4, 4)
    """
    require_network(model)
    _strengths(l1, l2, second)
    check.number(epochs, "epochs", low=1, integer=True)
    check.number(batch_size, "batch_size", low=1, integer=True)
    check.number(learning_rate, "learning_rate", low=0, open_low=True)
    check.number(weight_decay, "weight_decay", low=0)
    seed = check.number(random_state, "random_state", low=0, integer=True)
    path = None if checkpoint is None else _file(checkpoint)
    x, y = _training_data(images, labels, _trainable_type(model, penalised=l1 > 0 or l2 > 0))
    settings: dict[str, Any] = {
        "epochs": epochs,
        "batch_size": batch_size,
        "peak_learning_rate": learning_rate,
        "weight_decay": weight_decay,
    }
    own = copy.deepcopy(model)
    _check_classes(own, x, y)
    key = "" if path is None else _training_key(own, x, y, [l1, l2, second, seed, settings])
    loss = partial(_loss, l1=l1, l2=l2, second=second)
    pictures = torch.from_numpy(x).to(memory_format=torch.channels_last)  # CPUs train twice as fast on channels last
    with one_thread(), torch.inference_mode(False), torch.enable_grad():
        _run_epochs(TrainingRun(own, pictures, torch.from_numpy(y), loss, seed=seed, key=key, **settings), path)
    return own.eval()


def evidence(model: SoftCAM, images: Any, *, batch_size: int = BATCH_SIZE) -> np.ndarray:
    r"""Evidence for every class at every place.

    .. math:: A(x), \qquad z_c(x) = \frac{1}{hw} \sum_{ij} A_c^{ij}(x)

    Parameters
    ----------
    model : SoftCAM
    images : array or tensor, shape (n, channels, height, width)
    batch_size : int, images per model call

    Returns
    -------
    array, shape (n, k, h, w), in units of the score; the means over places are the scores

    Raises
    ------
    TypeError, ValueError
        If the model is no SoftCAM, or the images do not go through it.

    Notes
    -----
    The softmax does not change when one map is added to the maps of all classes, so only differences between classes are tied
    to the prediction; what is left open is settled by training with a penalty. Taught in chapter 14.

    Examples
    --------
    >>> net = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 2))
    >>> evidence(convert(net), np.zeros((3, 1, 6, 6))).shape
    (3, 2, 4, 4)
    """
    x, _ = _softcam_arguments(model, images, None, None, batch_size)
    return _evidence(model, x, batch_size)


def evidence_maps(
    model: SoftCAM, images: Any, target: Target = None, *, against: Target = None, batch_size: int = BATCH_SIZE
) -> Heatmap:
    r"""The evidence for one class, or for one class rather than another, as heat maps.

    .. math:: M = A_t \quad\text{or}\quad A_t - A_a, \qquad \frac{1}{hw} \sum_{ij} M_{ij} = z_t \quad\text{or}\quad z_t - z_a

    Parameters
    ----------
    model : SoftCAM
    images : array or tensor, shape (n, channels, height, width); integers are accepted
    target : int, (n,) ints or None
        The class to explain; None takes the class with the largest score, image by image.
    against : int, (n,) ints or None
        Explain the difference of two scores: what speaks for ``target`` rather than for this class.
    batch_size : int, images per model call

    Returns
    -------
    Heatmap
        ``values`` (n, h, w): their mean is ``score``, bias included, with nothing left over.

    Raises
    ------
    TypeError, ValueError
        If the model is no SoftCAM, or the target is none of its classes.

    Notes
    -----
    Djoumessi et al. (2025). With the original's head this is :math:`hw` times Grad-CAM at the features, plus the bias. Taught in
    chapter 14.

    Examples
    --------
    >>> net = nn.Sequential(nn.Identity(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(1, 2))
    >>> net[3].weight.data, net[3].bias.data = torch.tensor([[1.0], [-2.0]]), torch.tensor([0.0, 1.0])
    >>> heat = evidence_maps(SoftCAM(nn.Identity(), convert(net).head), np.array([[[[0.0, 3.0]]]]), target=1)
    >>> heat.values.tolist(), heat.score.tolist()
    ([[[1.0, -5.0]]], [-2.0])
    """
    x, classes = _softcam_arguments(model, images, target, against, batch_size)
    A = _evidence(model, x, batch_size)
    chosen, _ = question(A.mean(axis=(2, 3)), classes)
    M = np.einsum("nk,nkhw->nhw", signs(chosen, A.shape[1]).astype(A.dtype), A)
    compared = chosen[:, 1] if chosen[0, 1] >= 0 else None
    return Heatmap(M, chosen[:, 0], "SoftCAM evidence", x.shape[2:], M.mean(axis=(1, 2)), against=compared)


def edit(
    model: SoftCAM,
    images: Any,
    where: Any,
    *,
    target: Target = None,
    factor: float = 0.0,
    add: float = 0.0,
    batch_size: int = BATCH_SIZE,
) -> np.ndarray:
    r"""Class scores after somebody has changed the evidence: the effect is exact, because scores are nothing but its means.

    .. math:: z_c' = z_c + \frac{1}{hw} \sum_{ij \in \text{where}} \big( (\text{factor} - 1)\, A_c^{ij} + \text{add} \big)

    Parameters
    ----------
    model, images, batch_size : as in :func:`evidence`
    where, target, factor, add : as in :func:`edit_maps`

    Returns
    -------
    array, shape (n, k), class scores

    Raises
    ------
    TypeError, ValueError
        If the model is no SoftCAM, or the places or classes are none of its maps.

    Notes
    -----
    The change is exact for this model. It is no statement about an eye without the lesion: features see their
    surroundings, so taking a lesion out of the picture changes evidence beside it too. Taught in chapter 14.

    Examples
    --------
    >>> net = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 2))
    >>> edit(convert(net), np.ones((1, 1, 6, 6)), np.ones((4, 4), dtype=bool)).tolist()
    [[0.0, 0.0]]
    """
    x, _ = _softcam_arguments(model, images, None, None, batch_size)
    _edit_numbers(factor, add)
    return edit_maps(_evidence(model, x, batch_size), where, target=target, factor=factor, add=add).mean(axis=(2, 3))


def edit_maps(A: np.ndarray, where: Any, *, target: Target = None, factor: float = 0.0, add: float = 0.0) -> np.ndarray:
    r"""Evidence with some of its places changed: deleted, weakened, strengthened or shifted.

    .. math:: A_c^{ij} \leftarrow \text{factor} \cdot A_c^{ij} + \text{add}, \qquad ij \in \text{where},\ c = \text{target}

    Parameters
    ----------
    A : array (n, k, h, w), as from :func:`evidence`
    where : boolean array (h, w) or (n, h, w), or whole numbers (m, 2), rows and columns
        The places to change, at the resolution of the maps.
    target : int, (n,) ints or None
        Whose evidence; None changes that of all classes.
    factor : float, 0 deletes the evidence, 1 keeps it
    add : float, in units of the score

    Returns
    -------
    array like A, float; A itself is not changed

    Raises
    ------
    TypeError, ValueError
        If places or classes are none of the maps'.

    Notes
    -----
    The same change for all classes moves no probability: the softmax sees differences only. Taught in chapter 14.

    Examples
    --------
    >>> A = np.array([[[[4.0, 2.0]], [[1.0, 1.0]]]])
    >>> edit_maps(A, [[0, 1]], target=0)[0].tolist()
    [[[4.0, 0.0]], [[1.0, 1.0]]]
    """
    maps = check.array(A, "A", ndim=4)
    n, k, h, w = maps.shape
    _edit_numbers(factor, add)
    classes = one_class_each(target, "target", n)
    if classes.max() >= k:
        raise ValueError(f"target {classes.max()} is out of range: there is evidence for {k} classes, 0 to {k - 1}.")
    chosen = (classes[:, None] == np.arange(k)) | (classes < 0)[:, None]
    changed = chosen[:, :, None, None] & _places(where, n, h, w)[:, None]
    return np.where(changed, factor * maps + add, maps)


# --- conversion ---


def _split(model: nn.Module) -> tuple[nn.Module, list[nn.Module]]:
    """The feature layers of a classifier, without the pooling behind them, and the layers of its head."""
    if isinstance(model, SoftCAM):
        raise TypeError("model is a SoftCAM already: train it with softcam.fit.")
    children = dict(model.named_children())
    if isinstance(model, nn.Sequential):
        flat = next((k for k, layer in enumerate(model) if isinstance(layer, nn.Flatten)), 0)
        front = _without_pooling(dict(list(children.items())[:flat]))
        head = list(model)[flat + 1 :]
    elif {"features", "classifier"} <= set(children):
        return children["features"], _leaves(children["classifier"])
    else:
        *front_items, last = children.items() if children else [("", nn.Identity())]
        front, head = _without_pooling(dict(front_items)), [last[1]]
    if not front or not any(isinstance(layer, nn.Linear) for layer in head):
        raise ValueError(
            "model must have parts 'features' and 'classifier', or end with pooling and a linear layer, to find its head; "
            f"its parts are {check.listed(children) or 'none'}."
        )
    return nn.Sequential(OrderedDict(front)), head


def _leaves(module: nn.Module) -> list[nn.Module]:
    return [layer for layer in module.modules() if not list(layer.children())]


def _without_pooling(layers: dict[str, nn.Module]) -> dict[str, nn.Module]:
    kept = list(layers.items())
    return dict(kept[:-1] if kept and isinstance(kept[-1][1], nn.AdaptiveAvgPool2d) else kept)


def _with_same_head(model: nn.Module, features: nn.Module, head: list[nn.Module], linear: nn.Linear) -> SoftCAM:
    """The conversion that keeps the scores; of two guesses, rectifier or none behind the features, the one that does."""
    with torch.no_grad():
        layer = nn.Conv2d(linear.in_features, linear.out_features, 1, bias=linear.bias is not None).to(linear.weight)
        for new, old in zip(layer.parameters(), linear.parameters(), strict=True):
            new.copy_(old.reshape(new.shape)).requires_grad_(old.requires_grad)
    dropout = [nn.Dropout(old.p) for old in head if isinstance(old, nn.Dropout)]
    own_head = nn.Sequential(*dropout, layer) if dropout else layer
    # DenseNet rectifies behind its features, in forward
    for front in (features, nn.Sequential(features, nn.ReLU())):
        soft = SoftCAM(front, own_head, exact=True).eval()
        if _same_scores(model, soft):
            return soft
    raise ValueError(
        "model does not end in global average pooling and one linear layer, so that moving its weights changes the scores: "
        "replace its head with kind='vgg' and train again."
    )


def _same_scores(model: nn.Module, soft: SoftCAM) -> bool:
    """True if both give the same scores on noise."""
    x = _probe(model, soft.features)
    try:
        with torch.no_grad():
            before, after = model(x), soft(x)
    except (RuntimeError, ValueError):
        return False
    if not isinstance(before, Tensor) or before.shape != after.shape:
        return False
    tolerance = 50 * torch.finfo(before.dtype).eps
    return bool(torch.allclose(before, after, rtol=tolerance, atol=tolerance * float(before.abs().max())))


def _with_new_head(model: nn.Module, features: nn.Module, head: list[nn.Module], rng: np.random.Generator) -> SoftCAM:
    """1 x 1 convolutions as wide as the linear layers were, rectified and with dropout in between, with weights drawn anew."""
    x = _probe(model, features)
    with torch.no_grad():
        Z = answer(features, x)
    check_activation(Z, "features", already_seen=False)
    widths = [layer.out_features for layer in head if isinstance(layer, nn.Linear)]
    dropout = next((layer.p for layer in head if isinstance(layer, nn.Dropout)), 0.0)
    with torch.random.fork_rng():
        torch.manual_seed(int(rng.integers(2**31)))
        layers: list[nn.Module] = []
        for inputs, outputs in zip([Z.shape[1], *widths], widths, strict=False):
            layers += [nn.Conv2d(inputs, outputs, 1), nn.ReLU(), nn.Dropout(dropout)]
    return SoftCAM(features, nn.Sequential(*layers[:-2]).to(x)).eval()


def _probe(model: nn.Module, features: nn.Module) -> Tensor:
    """Two images of noise with as many channels as the first convolution takes."""
    channels = next((m.in_channels for m in features.modules() if isinstance(m, nn.Conv2d)), None)
    if channels is None:  # features without a convolution keep the channels that the linear layer takes
        channels = next(m.in_features for m in model.modules() if isinstance(m, nn.Linear))
    return as_tensor(model, np.random.default_rng(0).random((2, channels, PROBE_SIZE, PROBE_SIZE)))


def _convolutions(head: nn.Module) -> list[nn.Conv2d]:
    return [layer for layer in head.modules() if isinstance(layer, nn.Conv2d)]


def _size(layer: nn.Conv2d) -> tuple[int, ...]:
    return tuple(layer.kernel_size)


# --- training ---


def _loss(model: nn.Module, images: Tensor, labels: Tensor, *, l1: float, l2: float, second: str) -> Tensor:
    if not isinstance(model, SoftCAM):
        return nn.functional.cross_entropy(model(images), labels)
    A = model.evidence(images)
    loss = nn.functional.cross_entropy(A.mean(dim=(2, 3)), labels)
    return loss + penalty(A, l1, l2, second=second) if l1 > 0 or l2 > 0 else loss


def _run_epochs(run: TrainingRun, path: Path | None) -> None:
    if path is not None:
        run.resume(path)
    for epoch in progress(range(run.epoch, run.epochs), run.epochs - run.epoch, "epochs"):
        run.one_epoch(epoch)
        if path is not None:
            run.save(path)


def _training_data(images: Any, labels: Any, dtype: torch.dtype) -> tuple[np.ndarray, np.ndarray]:
    x, y = check.images(images), np.asarray(labels)
    if y.dtype.kind not in "iu" or y.shape != (len(x),) or (y < 0).any():
        raise ValueError(f"labels must be one class number from 0 for each of the {len(x)} images, not {check.shown(labels)}.")
    return np.array(x, dtype=np.float64 if dtype == torch.float64 else np.float32), y.astype(np.int64)


def _trainable_type(model: nn.Module, *, penalised: bool) -> torch.dtype:
    """The type of a model that can be trained, or one sentence about why it can not."""
    if penalised and not isinstance(model, SoftCAM):
        raise TypeError(f"model must be a SoftCAM to be penalised, not {type(model).__name__}: use softcam.convert(model) first.")
    trainable = [p for p in model.parameters() if p.requires_grad]
    if not trainable:
        raise ValueError("model has no parameter that requires a gradient, so there is nothing to train: unfreeze some.")
    if trainable[0].dtype not in (torch.float32, torch.float64):
        raise ValueError(f"model is in {trainable[0].dtype}, in which training loses small steps: train model.float().")
    return trainable[0].dtype


def _check_classes(model: nn.Module, x: np.ndarray, y: np.ndarray) -> None:
    """Raise unless one image goes through the model and the labels are among its classes."""
    with undisturbed(model):
        k = class_scores(model, x[:1], 1).shape[1]
    if y.max() >= k:
        raise ValueError(f"labels go up to {y.max()}, but the model has {k} classes, 0 to {k - 1}.")


def _training_key(model: nn.Module, x: np.ndarray, y: np.ndarray, settings: list[Any]) -> str:
    """Changes with the data, the weights at the start and every setting."""
    weights = [v.detach().cpu().numpy().tobytes() for v in model.state_dict().values()]
    digests = [hashlib.sha256(part).hexdigest() for part in (x.tobytes(), y.tobytes(), *weights)]
    return _cache.content_key(str(model), digests, settings)


def _strengths(l1: Any, l2: Any, second: Any) -> None:
    check.number(l1, "l1", low=0)
    check.number(l2, "l2", low=0)
    check.one_of(second, "second", ["frobenius", "squared"])


def _file(path: Any) -> Path:
    if not isinstance(path, str | Path) or Path(path).is_dir():
        raise TypeError(f"checkpoint must be the path of a file, or None, not {check.shown(path)}.")
    return Path(path)


# --- evidence ---


def _softcam_arguments(
    model: Any, images: Any, target: Target, against: Target, batch_size: Any
) -> tuple[np.ndarray, np.ndarray]:
    if isinstance(model, nn.Module) and not isinstance(model, SoftCAM):
        raise TypeError(f"model must be a SoftCAM, not {type(model).__name__}: make one with softcam.convert(model).")
    return arguments(model, images, target, against, batch_size)


def _evidence(model: SoftCAM, x: np.ndarray, batch_size: int) -> np.ndarray:
    """Evidence of all images, (n, k, h, w), batch by batch and without a graph."""
    with undisturbed(model), torch.no_grad():
        parts = [_maps(model, as_tensor(model, x[i])) for i in blocks(len(x), batch_size)]
    return torch.cat(parts).float().cpu().numpy() if parts[0].dtype != torch.float64 else torch.cat(parts).cpu().numpy()


def _maps(model: SoftCAM, x: Tensor) -> Tensor:
    """Evidence of one batch; the scores would be as finite as it is."""
    try:
        A = model.evidence(x)
    except RuntimeError as error:
        fit = "give images of the size and with the channels it was made for"
        raise ValueError(f"images of shape {tuple(x.shape)} do not go through the model: {fit}.") from error
    if not torch.isfinite(A).all():
        raise ValueError("model returned missing or infinite evidence: check it on these images before explaining it.")
    return A


def _edit_numbers(factor: Any, add: Any) -> None:
    check.number(factor, "factor")
    check.number(add, "add")


def _places(where: Any, n: int, h: int, w: int) -> np.ndarray:
    """Places as a boolean array (n, h, w)."""
    try:
        given = np.asarray(where)
    except ValueError:
        given = np.empty(0)
    if given.dtype == bool and given.shape in ((h, w), (n, h, w)):
        return np.broadcast_to(given, (n, h, w))
    if given.dtype.kind in "iu" and given.ndim == 2 and given.shape[1] == 2 and len(given):
        if (given < 0).any() or (given >= [h, w]).any():
            raise ValueError(f"where must lie on maps of {h} x {w}, not at {check.shown(where)}.")
        mask = np.zeros((h, w), dtype=bool)
        mask[given[:, 0], given[:, 1]] = True
        return np.broadcast_to(mask, (n, h, w))
    raise ValueError(
        f"where must be boolean, {(h, w)} or {(n, h, w)}, or whole numbers (m, 2), rows and columns, not {check.shown(where)}."
    )
