"""Heat maps for networks: pixel gradients, SmoothGrad, Integrated Gradients, CAM, Grad-CAM, HiResCAM, LayerCAM, sanity checks.

Every map is raw and signed, in units of the class score, so that two images can be compared. Nothing of the caller's model
changes: mode, ``requires_grad``, gradients and hooks are as before, even after an error.
"""

from __future__ import annotations

import copy
import difflib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from xailib import _validation as check
from xailib.results import Heatmap

__all__ = [
    "cam",
    "cascading_randomisation",
    "gradcam",
    "gradient",
    "hirescam",
    "integrated_gradients",
    "layercam",
    "randomise_layers",
    "smoothgrad",
]

Target = Any
"""A class for all images, one class per image, or None for the class each image is given by the model."""


def gradient(model: nn.Module, images: Any, target: Target = None, *, channels: str = "sum", batch_size: int = 32) -> Heatmap:
    r"""How fast the class score changes when one pixel changes: the plain saliency map.

    .. math:: M_{ij} = \sum_c \frac{\partial y_t}{\partial x_{cij}}

    Parameters
    ----------
    model : torch module, (n, channels, height, width) -> (n, k) class scores before the softmax
    images : array or tensor, shape (n, channels, height, width); integers are accepted
    target : int, (n,) ints or None
        The class to explain; None takes the class with the largest score, image by image.
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
    x, target = _arguments(model, images, target, batch_size)
    with _undisturbed(model):
        parts = [_pixel_gradient(model, x[i], target[i]) for i in _blocks(len(x), batch_size)]
    slopes, chosen, score = (np.concatenate(part) for part in zip(*parts, strict=True))
    return Heatmap(_per_pixel(slopes, channels), chosen, "gradient", x.shape[2:], score)


def smoothgrad(
    model: nn.Module,
    images: Any,
    target: Target = None,
    *,
    n_samples: int = 25,
    noise: float = 0.15,
    channels: str = "sum",
    random_state: Any = 0,
    batch_size: int = 32,
) -> Heatmap:
    r"""The gradient averaged over noisy copies of the image.

    .. math:: M = \frac1S \sum_s \nabla_x\, y_t(x + \varepsilon_s),\quad \varepsilon_s \sim N(0, \sigma^2),\quad
        \sigma = \mathrm{noise} \cdot (\max x - \min x)

    Parameters
    ----------
    model, images, target, channels, batch_size : as in :func:`gradient`
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
    x, target = _arguments(model, images, target, batch_size)
    sigma = noise * np.ptp(x, axis=(1, 2, 3), keepdims=True)

    def noisy(image: np.ndarray, _: np.ndarray) -> np.ndarray:
        return x[image] + sigma[image] * rng.standard_normal((len(image), *x.shape[1:]))

    with _undisturbed(model):
        chosen, score = _choose(_class_scores(model, x, batch_size), target)
        weights = np.full(n_samples, 1 / n_samples)
        slopes = _mean_gradient(model, x.shape, noisy, weights, chosen, batch_size)
    return Heatmap(_per_pixel(slopes, channels), chosen, f"SmoothGrad, {n_samples} samples", x.shape[2:], score)


def integrated_gradients(
    model: nn.Module,
    images: Any,
    target: Target = None,
    *,
    baseline: Any = 0.0,
    steps: int = 50,
    batch_size: int = 32,
) -> Heatmap:
    r"""Share out the score difference between a baseline and the image by integrating the gradient along the straight line.

    .. math:: M_{ij} = \sum_c (x_{cij} - b_{cij}) \int_0^1 \frac{\partial y_t(b + \alpha (x - b))}{\partial x_{cij}} d\alpha

    Parameters
    ----------
    model, images, target, batch_size : as in :func:`gradient`
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
    x, target = _arguments(model, images, target, batch_size)
    baselines = _baselines(baseline, x)
    with _undisturbed(model):
        chosen, score = _choose(_class_scores(model, x, batch_size), target)
        parts = [_one_path(model, x, b, chosen, steps, batch_size) for b in baselines]
    values, start = (np.mean(part, axis=0) for part in zip(*parts, strict=True))
    many = f", {len(baselines)} baselines" if len(baselines) > 1 else ""
    return Heatmap(values, chosen, f"integrated gradients, {steps} steps{many}", x.shape[2:], score, start)


def gradcam(
    model: nn.Module,
    images: Any,
    layer: str | nn.Module,
    target: Target = None,
    *,
    relu: bool = False,
    batch_size: int = 32,
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
    return _layer_map("Grad-CAM", _gradcam_rule, model, images, layer, target, relu, batch_size)


def hirescam(
    model: nn.Module,
    images: Any,
    layer: str | nn.Module,
    target: Target = None,
    *,
    relu: bool = False,
    batch_size: int = 32,
) -> Heatmap:
    r"""Channel maps of a layer times their gradients, place by place: no averaging before the product.

    .. math:: M = \sum_k \frac{\partial y_t}{\partial A^k} \odot A^k

    Parameters
    ----------
    model, images, layer, target, relu, batch_size : as in :func:`gradcam`

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
    return _layer_map("HiResCAM", _hirescam_rule, model, images, layer, target, relu, batch_size)


def layercam(
    model: nn.Module,
    images: Any,
    layer: str | nn.Module,
    target: Target = None,
    *,
    relu: bool = False,
    batch_size: int = 32,
) -> Heatmap:
    r"""Channel maps of a layer times the positive part of their gradients, place by place.

    .. math:: M = \sum_k \mathrm{ReLU}\!\left(\frac{\partial y_t}{\partial A^k}\right) \odot A^k

    Parameters
    ----------
    model, images, layer, target, relu, batch_size : as in :func:`gradcam`

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
    return _layer_map("LayerCAM", _layercam_rule, model, images, layer, target, relu, batch_size)


def cam(
    model: nn.Module,
    images: Any,
    layer: str | nn.Module,
    head: str | nn.Module,
    target: Target = None,
    *,
    batch_size: int = 32,
) -> Heatmap:
    r"""The original class activation map of a network that ends in global average pooling and one linear layer.

    .. math:: M = \sum_k w_{tk} A^k, \qquad y_t = b_t + \frac{1}{hw}\sum_{ij} M_{ij}

    Parameters
    ----------
    model, images, layer, target, batch_size : as in :func:`gradcam`
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
    linear = _module(model, head, "head")[1]
    if not isinstance(linear, nn.Linear):
        raise TypeError(f"head must be a linear layer, not {type(linear).__name__}: CAM reads its weights; use gradcam instead.")
    x, target = _arguments(model, images, target, batch_size)
    name, module = _module(model, layer)
    with _undisturbed(model):
        parts = [_cam_block(model, module, name, linear, x[i], target[i]) for i in _blocks(len(x), batch_size)]
    values, chosen, score = (np.concatenate(part) for part in zip(*parts, strict=True))
    return Heatmap(values, chosen, f"CAM at {name}", x.shape[2:], score)


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
    if isinstance(layers, str) or not layers:
        raise ValueError(f"layers must be a list of layer names with at least one entry, not {layers!r}.")
    copied = copy.deepcopy(model)
    chosen = [_module(copied, name)[1] for name in layers]
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
    names = list(layers) if layers is not None else _layers_with_weights(model)[::-1]
    rng = check.random_generator(random_state)
    maps = {"trained": explain(model)}
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
    relu: bool,
    batch_size: int,
) -> Heatmap:
    """Run the model block by block, differentiate its tail, and combine activations and gradients by ``rule``."""
    x, target = _arguments(model, images, target, batch_size)
    name, module = _module(model, layer)
    parts = []
    with _undisturbed(model):
        for i in _blocks(len(x), batch_size):
            tail = _run_from(model, module, name, x[i])
            G, chosen, score = _score_gradient(tail.scores, tail.activation, target[i], f"layer {name!r}")
            parts.append((rule(tail.activation.detach(), G).cpu().numpy(), chosen, score))
    values, chosen, score = (np.concatenate(part) for part in zip(*parts, strict=True))
    return Heatmap(np.maximum(values, 0) if relu else values, chosen, f"{method} at {name}", x.shape[2:], score)


# --- running a model without leaving a trace ---


@contextmanager
def _undisturbed(model: nn.Module) -> Iterator[None]:
    """Evaluation mode, frozen parameters, gradients on; afterwards every submodule and parameter is as it was."""
    modes = [(module, module.training) for module in model.modules()]
    trainable = [p for p in model.parameters() if p.requires_grad]
    try:
        model.eval()
        for p in trainable:
            p.requires_grad_(False)
        with torch.inference_mode(False), torch.enable_grad():
            yield
    finally:
        for module, training in modes:
            module.training = training
        for p in trainable:
            p.requires_grad_(True)


class _Tail(NamedTuple):
    activation: Tensor  # (n, k, h, w), the leaf where the graph begins
    scores: Tensor  # (n, classes)


def _run_from(model: nn.Module, module: nn.Module, name: str, images: np.ndarray) -> _Tail:
    """One forward pass whose graph begins at the output of ``module``."""
    leaves: list[Tensor] = []

    def cut(_module: nn.Module, _inputs: Any, output: Any) -> Tensor:
        _check_activation(output, name, already_seen=bool(leaves))
        # own memory on both sides: neither an in-place layer behind nor one that aliases its input can change the leaf
        leaves.append(output.detach().clone().requires_grad_())
        return leaves[0].clone()

    hook = module.register_forward_hook(cut)
    try:
        scores = _checked_scores(model(_tensor(model, images)), len(images))
    finally:
        hook.remove()
    if not leaves:
        raise ValueError(f"layer {name!r} did not run in the forward pass: choose a layer that the model calls.")
    return _Tail(leaves[0], scores)


def _score_gradient(scores: Tensor, leaf: Tensor, target: np.ndarray, what: str) -> tuple[Tensor, np.ndarray, np.ndarray]:
    """Gradient of each image's class score at ``leaf``; images do not mix in evaluation mode, so one sum serves all."""
    chosen, score = _choose(scores.detach().cpu().numpy(), target)
    picked = scores[torch.arange(len(scores)), torch.as_tensor(chosen)]
    G = torch.autograd.grad(picked.sum(), leaf, allow_unused=True)[0] if picked.requires_grad else None
    if G is None:
        raise ValueError(f"the class score does not depend on {what}, so there is nothing to explain: choose another.")
    return G, chosen, score


def _pixel_gradient(model: nn.Module, images: np.ndarray, target: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    leaf = _tensor(model, images).requires_grad_()
    scores = _checked_scores(model(leaf.clone()), len(images))
    G, chosen, score = _score_gradient(scores, leaf, target, "the pixels")
    return G.cpu().numpy(), chosen, score


def _mean_gradient(
    model: nn.Module,
    shape: tuple[int, ...],
    points: Callable[[np.ndarray, np.ndarray], np.ndarray],
    weights: np.ndarray,
    target: np.ndarray,
    batch_size: int,
) -> np.ndarray:
    """Weighted mean over several points per image; (image, point) pairs fill the batches, so one image is as fast as many."""
    total = np.zeros(shape)
    for block in _blocks(shape[0] * len(weights), batch_size):
        image, point = np.divmod(np.arange(block.start, block.stop), len(weights))
        slopes = _pixel_gradient(model, points(image, point), target[image])[0]
        np.add.at(total, image, weights[point][:, None, None, None] * slopes)
    return total


def _one_path(
    model: nn.Module, x: np.ndarray, baseline: np.ndarray, target: np.ndarray, steps: int, batch_size: int
) -> tuple[np.ndarray, np.ndarray]:
    """Integrated gradients from one baseline, and the score there."""
    nodes, weights = np.polynomial.legendre.leggauss(steps)
    alpha, difference = ((1 + nodes) / 2)[:, None, None, None], x - baseline

    def on_the_line(image: np.ndarray, point: np.ndarray) -> np.ndarray:
        return baseline[image] + alpha[point] * difference[image]

    slopes = _mean_gradient(model, x.shape, on_the_line, weights / 2, target, batch_size)
    _, start = _choose(_class_scores(model, baseline, batch_size), target)
    return _per_pixel(difference * slopes, "sum"), start


def _cam_block(
    model: nn.Module, module: nn.Module, name: str, linear: nn.Linear, images: np.ndarray, target: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    tail = _run_from(model, module, name, images)
    chosen, score = _choose(tail.scores.detach().cpu().numpy(), target)
    A, w = tail.activation.detach(), linear.weight
    if A.shape[1] != w.shape[1] or tail.scores.shape[1] != w.shape[0]:
        raise ValueError(
            f"head has weights {tuple(w.shape)}, which do not join layer {name!r} of {A.shape[1]} channels to the scores."
        )
    M = torch.einsum("nk,nkhw->nhw", w[torch.as_tensor(chosen)], A).cpu().numpy()
    bias = 0.0 if linear.bias is None else linear.bias.cpu().numpy()[chosen]
    if not np.allclose(M.mean(axis=(1, 2)) + bias, score, rtol=1e-3, atol=1e-3):
        raise ValueError(
            f"the score is not the mean of layer {name!r} times the head's weights plus its bias: CAM fails here, use hirescam."
        )
    return M, chosen, score


# --- arguments and outputs ---


def _arguments(model: Any, images: Any, target: Target, batch_size: Any) -> tuple[np.ndarray, np.ndarray]:
    """Checked images (n, c, h, w) and targets (n,), where -1 stands for "the predicted class"."""
    if not isinstance(model, nn.Module):
        raise TypeError(f"model must be a torch module, not {type(model).__name__}: gradients need one.")
    check.number(batch_size, "batch_size", low=1, integer=True)
    x = check.images(images)
    return x, _targets(target, len(x))


def _targets(target: Target, n: int) -> np.ndarray:
    if target is None:
        return np.full(n, -1)
    classes = np.asarray(target)
    if classes.dtype.kind not in "iu" or classes.ndim > 1 or (classes < 0).any():
        raise ValueError(f"target must be a class number from 0, one class number per image, or None, not {target!r}.")
    if classes.ndim == 1 and len(classes) != n:
        raise ValueError(f"target must have one class per image: {n} images, {len(classes)} classes.")
    return np.broadcast_to(classes, n).astype(int)


def _choose(scores: np.ndarray, target: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The class to explain, and its score, for each image."""
    if target.max() >= scores.shape[1]:
        raise ValueError(
            f"target {target.max()} is out of range: the model has {scores.shape[1]} classes, 0 to {scores.shape[1] - 1}."
        )
    chosen = np.where(target < 0, scores.argmax(axis=1), target)
    return chosen, scores[np.arange(len(scores)), chosen]


def _class_scores(model: nn.Module, x: np.ndarray, batch_size: int) -> np.ndarray:
    with torch.no_grad():
        parts = [_checked_scores(model(_tensor(model, x[i])), i.stop - i.start) for i in _blocks(len(x), batch_size)]
    return torch.cat(parts).cpu().numpy()


def _checked_scores(scores: Any, n: int) -> Tensor:
    shape = tuple(scores.shape) if isinstance(scores, Tensor) else type(scores).__name__
    if not isinstance(scores, Tensor) or scores.ndim != 2 or len(scores) != n:
        raise ValueError(f"model must return class scores of shape (n, k): {n} images in, {shape} back.")
    if not torch.isfinite(scores.detach()).all():
        raise ValueError("model returned missing or infinite scores: check it on these images before explaining it.")
    return scores


def _check_activation(output: Any, name: str, *, already_seen: bool) -> None:
    if already_seen:
        raise ValueError(
            f"layer {name!r} runs more than once in a forward pass: give a layer that runs once, such as the block around it."
        )
    if not isinstance(output, Tensor) or output.ndim != 4:
        given = f"shape {tuple(output.shape)}" if isinstance(output, Tensor) else type(output).__name__
        raise ValueError(
            f"layer {name!r} must give maps of shape (n, channels, h, w), but gives {given}: choose a convolution or its block."
        )


def _module(model: Any, layer: Any, what: str = "layer") -> tuple[str, nn.Module]:
    """(dotted name, module) of a layer given either way; the message lists the layers there are."""
    if not isinstance(model, nn.Module):
        raise TypeError(f"model must be a torch module, not {type(model).__name__}: gradients need one.")
    named = {name: module for name, module in model.named_modules(remove_duplicate=False) if name}
    for name, module in named.items():
        if layer is module or (isinstance(layer, str) and layer == name):
            return name, module
    near = difflib.get_close_matches(str(layer), named, n=1) if isinstance(layer, str) else []
    hint = f" (did you mean {near[0]!r}?)" if near else ""
    given = repr(layer) if isinstance(layer, str) else type(layer).__name__
    raise ValueError(f"{what} {given} is not part of the model{hint}; its layers are {', '.join(named)}.")


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


def _tensor(model: nn.Module, images: np.ndarray) -> Tensor:
    """Images in the type and on the device of the model's parameters."""
    first = next((p for p in model.parameters() if p.is_floating_point()), torch.zeros(1, dtype=torch.float64))
    own = np.array(images, dtype=np.float64 if first.dtype == torch.float64 else np.float32, order="C")
    return torch.from_numpy(own).to(first)


def _blocks(n: int, size: int) -> list[slice]:
    return [slice(start, min(start + size, n)) for start in range(0, n, size)]


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
