"""Heat maps for networks: pixel gradients, SmoothGrad, Integrated Gradients, CAM, Grad-CAM, HiResCAM, LayerCAM, sanity checks.

Every map is raw and signed, in units of the class score, so that two images can be compared. Nothing of the caller's model
changes: mode, ``requires_grad``, gradients and hooks are as before, even after an error.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from xailib import _validation as check
from xailib._networks import (
    Target,
    answer,
    arguments,
    as_tensor,
    blocks,
    checked_scores,
    class_scores,
    known_layers,
    module_of,
    question,
    require_network,
    run_from,
    score_gradient,
    signs,
    undisturbed,
)
from xailib.results import Heatmap

__all__ = [
    "cam",
    "cascading_randomisation",
    "gradcam",
    "gradient",
    "guided_backprop",
    "hirescam",
    "integrated_gradients",
    "layercam",
    "randomise_layers",
    "smoothgrad",
]

#: images per model call: small enough for caches and laptops, large enough that calls cost little
BATCH_SIZE = 16


def gradient(
    model: nn.Module,
    images: Any,
    target: Target = None,
    *,
    against: Target = None,
    channels: str = "sum",
    batch_size: int = BATCH_SIZE,
) -> Heatmap:
    r"""How fast the class score changes when one pixel changes: the plain saliency map.

    .. math:: M_{ij} = \sum_c \frac{\partial y_t}{\partial x_{cij}}

    Parameters
    ----------
    model : torch module, (n, channels, height, width) -> (n, k) class scores before the softmax
    images : array or tensor, shape (n, channels, height, width); integers are accepted
    target : int, (n,) ints or None
        The class to explain; None takes the class with the largest score, image by image.
    against : int, (n,) ints or None
        Explain the difference of two scores: what speaks for ``target`` rather than for this class.
    channels : {"sum", "largest"}
        ``"sum"``: the signed effect of brightening the pixel in all channels at once. ``"largest"``: the largest absolute
        gradient over the channels, never negative (Simonyan et al.).
    batch_size : int, images per model call

    Returns
    -------
    Heatmap
        ``values`` (n, height, width), in score units per unit of pixel brightness.

    Raises
    ------
    TypeError, ValueError
        If the images are not a finite batch, or the target is no class of the model.

    Notes
    -----
    Simonyan, Vedaldi & Zisserman (2014), eq. 3. A local slope: it says nothing about larger changes. Taught in chapter 8.

    Examples
    --------
    >>> linear = nn.Sequential(nn.Flatten(), nn.Linear(4, 1, bias=False))
    >>> linear[1].weight.data = torch.tensor([[3.0, 0.0, -1.0, 2.0]])
    >>> gradient(linear, np.ones((1, 1, 2, 2)), target=0).values[0].tolist()
    [[3.0, 0.0], [-1.0, 2.0]]
    """
    check.one_of(channels, "channels", ["sum", "largest"])
    x, classes = arguments(model, images, target, against, batch_size)
    with undisturbed(model):
        parts = [_pixel_gradient(model, x[i], classes[i]) for i in blocks(len(x), batch_size)]
    return _heatmap("gradient", [p._replace(values=_per_pixel(p.values, channels)) for p in parts], x)


def guided_backprop(
    model: nn.Module,
    images: Any,
    target: Target = None,
    *,
    against: Target = None,
    channels: str = "sum",
    batch_size: int = BATCH_SIZE,
) -> Heatmap:
    r"""The gradient, except that every rectifier lets only positive gradients back through.

    .. math:: R^{l} = \mathbf 1[a^{l} > 0]\; \mathbf 1[R^{l+1} > 0]\; R^{l+1}

    Parameters
    ----------
    model, images, target, against, channels, batch_size : as in :func:`gradient`
        The rectifiers must be ``nn.ReLU`` modules; those in place, or used several times, are welcome.

    Returns
    -------
    Heatmap
        ``values`` (n, height, width), in score units per unit of pixel brightness, though no derivative of anything.

    Raises
    ------
    TypeError, ValueError
        As :func:`gradient`, and if the model has no ``nn.ReLU``: then there is nothing to guide.

    Notes
    -----
    Springenberg et al. (2015), section 3.4. Its pictures are sharp because it partly reconstructs the image, whatever the class
    and the upper weights are (Adebayo et al. 2018; Nie et al. 2018). Taught in chapter 14.

    Examples
    --------
    >>> net = nn.Sequential(nn.ReLU(), nn.Flatten(), nn.Linear(3, 1, bias=False))
    >>> net[2].weight.data = torch.tensor([[2.0, -1.0, 5.0]])
    >>> guided_backprop(net, np.array([[[[1.0, 1.0, -1.0]]]]), target=0).values[0].tolist()
    [[2.0, 0.0, 0.0]]
    """
    check.one_of(channels, "channels", ["sum", "largest"])
    x, classes = arguments(model, images, target, against, batch_size)
    with undisturbed(model), _guided(model):
        parts = [_pixel_gradient(model, x[i], classes[i]) for i in blocks(len(x), batch_size)]
    return _heatmap("guided backpropagation", [p._replace(values=_per_pixel(p.values, channels)) for p in parts], x)


def smoothgrad(
    model: nn.Module,
    images: Any,
    target: Target = None,
    *,
    against: Target = None,
    n_samples: int = 25,
    noise: float = 0.15,
    channels: str = "sum",
    random_state: Any = 0,
    batch_size: int = BATCH_SIZE,
) -> Heatmap:
    r"""The gradient averaged over noisy copies of the image.

    .. math:: M = \frac1S \sum_s \nabla_x\, y_t(x + \varepsilon_s),\quad \varepsilon_s \sim N(0, \sigma^2),\quad
        \sigma = \mathrm{noise} \cdot (\max x - \min x)

    Parameters
    ----------
    model, images, target, against, channels, batch_size : as in :func:`gradient`
    n_samples : int, noisy copies per image
    noise : float in [0, 1], standard deviation as a share of each image's range
    random_state : int, Generator or None

    Returns
    -------
    Heatmap
        ``values`` (n, height, width), in score units per unit of pixel brightness.

    Raises
    ------
    TypeError, ValueError
        As :func:`gradient`, and if ``n_samples`` or ``noise`` is out of range.

    Notes
    -----
    Smilkov et al. (2017). The class is the one of the clean image. For a linear model this is the gradient. Taught in
    chapter 8.
    """
    check.number(n_samples, "n_samples", low=1, integer=True)
    check.number(noise, "noise", low=0, high=1)
    check.one_of(channels, "channels", ["sum", "largest"])
    rng = check.random_generator(random_state)
    x, classes = arguments(model, images, target, against, batch_size)
    sigma = noise * np.ptp(x, axis=(1, 2, 3), keepdims=True)

    def noisy(image: np.ndarray, _: np.ndarray) -> np.ndarray:
        return x[image] + sigma[image] * rng.standard_normal((len(image), *x.shape[1:]), dtype=np.float32)

    with undisturbed(model):
        classes, score = question(class_scores(model, x, batch_size), classes)
        weights = np.full(n_samples, 1 / n_samples)
        slopes = _mean_gradient(model, x.shape, noisy, weights, classes, batch_size)
    return _heatmap(f"SmoothGrad, {n_samples} samples", [_Part(_per_pixel(slopes, channels), classes, score)], x)


def integrated_gradients(
    model: nn.Module,
    images: Any,
    target: Target = None,
    *,
    against: Target = None,
    baseline: Any = 0.0,
    steps: int = 50,
    batch_size: int = BATCH_SIZE,
) -> Heatmap:
    r"""Share out the score difference between a baseline and the image by integrating the gradient along the straight line.

    .. math:: M_{ij} = \sum_c (x_{cij} - b_{cij}) \int_0^1 \frac{\partial y_t(b + \alpha (x - b))}{\partial x_{cij}} d\alpha

    Parameters
    ----------
    model, images, target, against, batch_size : as in :func:`gradient`
    baseline : float, image (channels, height, width), one image each (n, channels, height, width), or a list of these
        Where the path starts. With a list, the maps of the baselines are averaged.
    steps : int, points of the Gauss-Legendre rule per baseline

    Returns
    -------
    Heatmap
        ``values`` (n, height, width) in units of the score. They sum to ``score - baseline_score``;
        ``completeness_gap()`` is what the numerical integral missed, and its largest value stands in the repr.

    Raises
    ------
    TypeError, ValueError
        As :func:`gradient`, and if a baseline does not fit the images.

    Notes
    -----
    Sundararajan, Taly & Yan (2017), eq. 1; several baselines as in Erion et al. (2021). "Absent" means "like the
    baseline": a black pixel is never important against black. Taught in chapter 8.

    Examples
    --------
    >>> class Product(nn.Module):
    ...     def forward(self, x):
    ...         return x.flatten(1).prod(1, keepdim=True)
    >>> result = integrated_gradients(Product(), np.array([[[[2.0, 3.0]]]]), target=0)
    >>> result.values[0].round(6).tolist()
    [[3.0, 3.0]]
    """
    check.number(steps, "steps", low=1, integer=True)
    x, classes = arguments(model, images, target, against, batch_size)
    baselines = _baselines(baseline, x)
    with undisturbed(model):
        classes, score = question(class_scores(model, x, batch_size), classes)
        paths = [_one_path(model, x, b, classes, steps, batch_size) for b in baselines]
    values, start = (np.mean(part, axis=0) for part in zip(*paths, strict=True))
    many = f", {len(baselines)} baselines" if len(baselines) > 1 else ""
    heat = _heatmap(f"integrated gradients, {steps} steps{many}", [_Part(values, classes, score)], x)
    return replace(heat, baseline_score=start)


def gradcam(
    model: nn.Module,
    images: Any,
    layer: str | nn.Module,
    target: Target = None,
    *,
    against: Target = None,
    relu: bool = False,
    batch_size: int = BATCH_SIZE,
) -> Heatmap:
    r"""Channel maps of a layer, each weighted by the mean of its gradient.

    .. math:: \alpha_k = \frac{1}{hw} \sum_{ij} \frac{\partial y_t}{\partial A^k_{ij}}, \qquad M = \sum_k \alpha_k A^k

    Parameters
    ----------
    model : torch module, (n, channels, height, width) -> (n, k) class scores before the softmax
    images : array or tensor, shape (n, channels, height, width); integers are accepted
    layer : module of the model, or its dotted name
        Its output must have shape (n, channels, h, w) and it must run once per pass.
    target : int, (n,) ints or None
        The class to explain; None takes the class with the largest score, image by image.
    against : int, (n,) ints or None
        Explain the difference of two scores: what speaks for ``target`` rather than for this class.
    relu : bool
        Set negative evidence to zero, as the paper does. Off by default: a map with only negative evidence then shows it.
    batch_size : int, images per model call

    Returns
    -------
    Heatmap
        ``values`` (n, h, w) at the layer's resolution, in units of the score; ``upsample()`` brings them to the image's.

    Raises
    ------
    TypeError, ValueError
        If the layer is unknown (the message lists the layers), does not give maps, or the score does not depend on it.

    Notes
    -----
    Selvaraju et al. (2017), eqs. 1 and 2. One forward pass; only the part of the network behind the layer is
    differentiated. Taught in chapter 8.

    Examples
    --------
    >>> net = nn.Sequential(nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(2, 1, bias=False))
    >>> net[3].weight.data = torch.tensor([[4.0, -4.0]])
    >>> images = np.array([[[[1, 0], [0, 0]], [[0, 0], [0, 2]]]])
    >>> gradcam(net, images, "0", target=0).values[0].tolist()
    [[1.0, 0.0], [0.0, -2.0]]
    """
    return _layer_map("Grad-CAM", _gradcam_rule, model, images, layer, target, against, relu, batch_size)


def hirescam(
    model: nn.Module,
    images: Any,
    layer: str | nn.Module,
    target: Target = None,
    *,
    against: Target = None,
    relu: bool = False,
    batch_size: int = BATCH_SIZE,
) -> Heatmap:
    r"""Channel maps of a layer times their gradients, place by place: no averaging before the product.

    .. math:: M = \sum_k \frac{\partial y_t}{\partial A^k} \odot A^k

    Parameters
    ----------
    model, images, layer, target, against, relu, batch_size : as in :func:`gradcam`

    Returns
    -------
    Heatmap
        ``values`` (n, h, w) in units of the score. With a linear tail they sum to the score minus its bias.

    Raises
    ------
    TypeError, ValueError
        As :func:`gradcam`.

    Notes
    -----
    Draelos & Carin (2020). Equal to Grad-CAM where the gradient is the same at every place (global average pooling and a
    linear layer follow). Taught in chapter 8.
    """
    return _layer_map("HiResCAM", _hirescam_rule, model, images, layer, target, against, relu, batch_size)


def layercam(
    model: nn.Module,
    images: Any,
    layer: str | nn.Module,
    target: Target = None,
    *,
    against: Target = None,
    relu: bool = False,
    batch_size: int = BATCH_SIZE,
) -> Heatmap:
    r"""Channel maps of a layer times the positive part of their gradients, place by place.

    .. math:: M = \sum_k \mathrm{ReLU}\!\left(\frac{\partial y_t}{\partial A^k}\right) \odot A^k

    Parameters
    ----------
    model, images, layer, target, against, relu, batch_size : as in :func:`gradcam`

    Returns
    -------
    Heatmap
        ``values`` (n, h, w) in units of the score.

    Raises
    ------
    TypeError, ValueError
        As :func:`gradcam`.

    Notes
    -----
    Jiang et al. (2021), eqs. 5 and 6. Made for early layers, whose single places still matter. It cannot show evidence
    against the class. Taught in chapter 8.
    """
    return _layer_map("LayerCAM", _layercam_rule, model, images, layer, target, against, relu, batch_size)


def cam(
    model: nn.Module,
    images: Any,
    layer: str | nn.Module,
    head: str | nn.Module,
    target: Target = None,
    *,
    against: Target = None,
    batch_size: int = BATCH_SIZE,
) -> Heatmap:
    r"""The original class activation map of a network that ends in global average pooling and one linear layer.

    .. math:: M = \sum_k w_{tk} A^k, \qquad y_t = b_t + \frac{1}{hw}\sum_{ij} M_{ij}

    Parameters
    ----------
    model, images, layer, target, against, batch_size : as in :func:`gradcam`
    head : the linear layer, a module of the model or its dotted name

    Returns
    -------
    Heatmap
        ``values`` (n, h, w): hw times Grad-CAM.

    Raises
    ------
    TypeError, ValueError
        If the score is not the mean of the map plus the bias: the network has another head, so the identity does not hold.

    Notes
    -----
    Zhou et al. (2016), eq. 2. No gradient is needed. Taught in chapter 8.
    """
    linear = module_of(model, head, "head")[1]
    if not isinstance(linear, nn.Linear):
        raise TypeError(f"head must be a linear layer, not {type(linear).__name__}: CAM reads its weights; use gradcam instead.")
    x, classes = arguments(model, images, target, against, batch_size)
    name, module = module_of(model, layer)
    with undisturbed(model):
        parts = [_cam_block(model, module, name, linear, x[i], classes[i]) for i in blocks(len(x), batch_size)]
    return _heatmap(f"CAM at {name}", parts, x)


def randomise_layers(model: nn.Module, layers: Sequence[str], *, random_state: Any = 0) -> nn.Module:
    """A copy of the model in which the named layers, and everything inside them, have fresh random weights.

    Parameters
    ----------
    model : torch module; it is not changed
    layers : dotted names of layers
    random_state : int, Generator or None

    Returns
    -------
    torch module

    Raises
    ------
    ValueError
        If a name is unknown, or a layer with weights of its own cannot initialise itself (``reset_parameters``).

    Notes
    -----
    The layers initialise themselves as they did before training. Taught in chapter 8.
    """
    known_layers(model, layers)
    copied = copy.deepcopy(model)
    chosen = [module_of(copied, name)[1] for name in layers]
    seed = int(check.random_generator(random_state).integers(2**31))
    with torch.random.fork_rng(devices=[]):  # the layers draw from torch's global generator: put it back afterwards
        torch.manual_seed(seed)
        for module in chosen:
            for part in module.modules():
                _reset(part)
    return copied


def cascading_randomisation(
    model: nn.Module,
    explain: Callable[[nn.Module], Heatmap],
    *,
    layers: Sequence[str] | None = None,
    random_state: Any = 0,
) -> dict[str, Heatmap]:
    """Explain the model while its layers are randomised one after the other, from the output to the input.

    Parameters
    ----------
    model : torch module; it is not changed
    explain : function, model -> Heatmap
        For example ``lambda m: gradcam(m, images, "features", target=labels)``. Fix the target: the predicted class of a
        randomised model is another one.
    layers : layer names in the order of randomisation, output first; by default every layer with weights of its own,
        last registered first
    random_state : int, Generator or None

    Returns
    -------
    dict
        ``"trained"`` -> the model's maps, then layer name -> the maps once this layer and all before it in the order are random.

    Raises
    ------
    TypeError, ValueError
        If a layer is unknown or cannot be initialised.

    Notes
    -----
    Adebayo et al. (2018): a map that stays the same when the weights are thrown away did not explain the weights. Taught in
    chapter 8.
    """
    check.function(explain, "explain")
    require_network(model)
    names = _layers_with_weights(model)[::-1] if layers is None else known_layers(model, layers)
    rng = check.random_generator(random_state)
    maps = {"trained": check.instance(explain(model), Heatmap, "the result of explain")}
    for name in names:
        model = randomise_layers(model, [name], random_state=rng)
        maps[name] = explain(model)
    return maps


# --- the three rules that turn activations and gradients into a map; A and G have shape (n, k, h, w) ---


def _gradcam_rule(A: Tensor, G: Tensor) -> Tensor:
    alpha = G.mean(dim=(2, 3), keepdim=True)
    return (alpha * A).sum(dim=1)


def _hirescam_rule(A: Tensor, G: Tensor) -> Tensor:
    return (G * A).sum(dim=1)


def _layercam_rule(A: Tensor, G: Tensor) -> Tensor:
    return (G.relu() * A).sum(dim=1)


def _layer_map(
    method: str,
    rule: Callable[[Tensor, Tensor], Tensor],
    model: nn.Module,
    images: Any,
    layer: str | nn.Module,
    target: Target,
    against: Target,
    relu: bool,
    batch_size: int,
) -> Heatmap:
    """Run the model block by block, differentiate its tail, and combine activations and gradients by ``rule``."""
    x, classes = arguments(model, images, target, against, batch_size)
    name, module = module_of(model, layer)
    check.flag(relu, "relu")
    parts = []
    with undisturbed(model):
        for i in blocks(len(x), batch_size):
            A, scores = run_from(model, module, name, x[i])
            G, chosen, score = score_gradient(scores, A, classes[i], f"layer {name!r}")
            M = rule(A.detach(), G).cpu().numpy()
            parts.append(_Part(np.maximum(M, 0) if relu else M, chosen, score))
    return _heatmap(f"{method} at {name}", parts, x)


# --- gradients at the pixels, and their means along a path or over noise ---


def _pixel_gradient(model: nn.Module, images: np.ndarray, classes: np.ndarray) -> _Part:
    leaf = as_tensor(model, images).requires_grad_()
    scores = checked_scores(answer(model, leaf.clone()), len(images))
    G, chosen, score = score_gradient(scores, leaf, classes, "the pixels")
    return _Part(G.cpu().numpy(), chosen, score)


@contextmanager
def _guided(model: nn.Module) -> Iterator[None]:
    """While it lasts, gradients that arrive at a rectifier lose their negative part; the rectifier's own rule comes on top."""

    def guide(_module: nn.Module, _inputs: Any, output: Tensor) -> None:
        output.register_hook(lambda gradient: gradient.clamp(min=0))

    rectifiers = [module for module in model.modules() if isinstance(module, nn.ReLU)]
    if not rectifiers:
        raise ValueError("model has no nn.ReLU module, so guided backpropagation would be the plain gradient: use gradient.")
    hooks = [module.register_forward_hook(guide) for module in rectifiers]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


def _mean_gradient(
    model: nn.Module,
    shape: tuple[int, ...],
    points: Callable[[np.ndarray, np.ndarray], np.ndarray],
    weights: np.ndarray,
    classes: np.ndarray,
    batch_size: int,
) -> np.ndarray:
    """Weighted mean over several points per image; (image, point) pairs fill the batches, so one image is as fast as many."""
    total = np.zeros(shape)
    for block in blocks(shape[0] * len(weights), batch_size):
        image, point = np.divmod(np.arange(block.start, block.stop), len(weights))
        slopes = _pixel_gradient(model, points(image, point), classes[image]).values
        for i, weight, slope in zip(image, weights[point], slopes, strict=True):
            total[i] += weight * slope
    return total


def _one_path(
    model: nn.Module, x: np.ndarray, baseline: np.ndarray, classes: np.ndarray, steps: int, batch_size: int
) -> tuple[np.ndarray, np.ndarray]:
    """Integrated gradients from one baseline, and the score there."""
    nodes, weights = np.polynomial.legendre.leggauss(steps)
    alpha, difference = ((1 + nodes) / 2)[:, None, None, None], x - baseline

    def on_the_line(image: np.ndarray, point: np.ndarray) -> np.ndarray:
        return baseline[image] + alpha[point] * difference[image]

    slopes = _mean_gradient(model, x.shape, on_the_line, weights / 2, classes, batch_size)
    _, start = question(class_scores(model, baseline, batch_size), classes)
    return _per_pixel(difference * slopes, "sum"), start


def _cam_block(
    model: nn.Module, module: nn.Module, name: str, linear: nn.Linear, images: np.ndarray, classes: np.ndarray
) -> _Part:
    """Class activation maps of one batch, once they are shown to add up to the score."""
    A, scores = (t.detach().cpu().numpy() for t in run_from(model, module, name, images))
    chosen, score = question(scores, classes)
    W = linear.weight.cpu().numpy()
    if A.shape[1] != W.shape[1] or scores.shape[1] != W.shape[0]:
        raise ValueError(f"head has weights {W.shape}, which do not join layer {name!r} of {A.shape[1]} channels to the scores.")
    sign = signs(chosen, len(W))
    M = np.einsum("nk,nkhw->nhw", sign @ W, A)
    bias = 0.0 if linear.bias is None else sign @ linear.bias.cpu().numpy()
    if not np.allclose(M.mean(axis=(1, 2)) + bias, score, rtol=1e-3, atol=1e-3):
        raise ValueError(
            f"the score is not the mean of layer {name!r} times the head's weights plus its bias: CAM fails here, use hirescam."
        )
    return _Part(M, chosen, score)


# --- arguments and outputs ---


class _Part(NamedTuple):
    """What one batch gives."""

    values: np.ndarray
    classes: np.ndarray  # (n, 2): the class explained, and the one it is set against (-1: none)
    score: np.ndarray  # (n,)


def _heatmap(method: str, parts: list[_Part], x: np.ndarray) -> Heatmap:
    values, classes, score = (np.concatenate(part) for part in zip(*parts, strict=True))
    target, against = classes.T
    return Heatmap(values, target, method, x.shape[2:], score, against=against if against[0] >= 0 else None)


def _baselines(baseline: Any, x: np.ndarray) -> list[np.ndarray]:
    """Each baseline as an array shaped like the images."""
    given = baseline if isinstance(baseline, list) else [baseline]
    if not given:
        raise ValueError("baseline is an empty list: give at least one baseline.")
    return [np.broadcast_to(_fitting(b, x), x.shape) for b in given]


def _fitting(baseline: Any, x: np.ndarray) -> np.ndarray:
    values = check.array(baseline, "baseline")
    if values.shape not in ((), x.shape[1:], x.shape):
        raise ValueError(
            f"baseline must be a number, an image {x.shape[1:]} or one image each {x.shape}, but its shape is {values.shape}."
        )
    return values


def _per_pixel(values: np.ndarray, channels: str) -> np.ndarray:
    return values.sum(axis=1) if channels == "sum" else np.abs(values).max(axis=1)


def _layers_with_weights(model: nn.Module) -> list[str]:
    return [name for name, module in model.named_modules() if name and list(module.parameters(recurse=False))]


def _reset(module: nn.Module) -> None:
    initialise = getattr(module, "reset_parameters", None)
    if initialise is not None:
        initialise()
    elif list(module.parameters(recurse=False)):
        raise ValueError(f"{type(module).__name__} cannot initialise itself: give it a reset_parameters method.")
