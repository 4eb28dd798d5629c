"""The small networks of the course, written to be explained: named layers, no in-place operations, global average pooling.

With pooling and one linear layer at the end, a class score is a weighted sum of feature maps averaged over positions, so that
the class activation map is exact (Zhou et al. 2016). Batch normalisation speeds up training and is folded into the
convolutions afterwards: a shipped network consists of convolutions, rectifiers, pooling and one linear layer.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from xailib import _validation as check

_BIRDS = {"in_channels": 3, "widths": (16, 32, 64, 96), "pool_after": (1, 2), "n_classes": 20}
_FUNDUS = {"in_channels": 3, "widths": (8, 16, 32, 64), "pool_after": (1, 2, 3)}

#: name of each shipped network and the arguments of :class:`GapCNN`
SHAPES: dict[str, dict[str, Any]] = {
    "birds-cnn": _BIRDS,
    "birds-cnn-snow": _BIRDS,
    "birds-cnn-marker": _BIRDS,
    "fundus-cnn": {**_FUNDUS, "n_classes": 2},
    "fundus-cnn-grades": {**_FUNDUS, "n_classes": 3},
    "digits-cnn": {"in_channels": 1, "widths": (16, 32, 64), "pool_after": (), "n_classes": 10},
}


class GapCNN(nn.Module):
    r"""Convolutions with rectifiers, global average pooling, one linear layer.

    .. math:: z_c(x) = b_c + \sum_k w_{ck} \frac{1}{HW} \sum_{ij} A_k^{ij}(x)

    Parameters
    ----------
    in_channels : int
    widths : channels of each convolution (3 x 3, zero padding, so that positions are kept)
    pool_after : numbers of the convolutions (from 1) that are followed by 2 x 2 max pooling
    n_classes : int
    batch_norm : bool, normalise before each rectifier (while training; see :func:`folded`)

    Attributes
    ----------
    features : Sequential with layers ``conv1, relu1, pool1, conv2, ...``
    classifier : Linear
    """

    def __init__(
        self, in_channels: int, widths: Sequence[int], pool_after: Sequence[int], n_classes: int, *, batch_norm: bool = False
    ) -> None:
        super().__init__()
        layers: OrderedDict[str, nn.Module] = OrderedDict()
        for k, (inputs, outputs) in enumerate(zip([in_channels, *widths], widths, strict=False), start=1):
            layers[f"conv{k}"] = nn.Conv2d(inputs, outputs, 3, padding=1, bias=not batch_norm)
            if batch_norm:
                layers[f"norm{k}"] = nn.BatchNorm2d(outputs)
            layers[f"relu{k}"] = nn.ReLU()
            if k in pool_after:
                layers[f"pool{k}"] = nn.MaxPool2d(2)
        self.features = nn.Sequential(layers)
        self.classifier = nn.Linear(widths[-1], n_classes)

    def forward(self, x: Tensor) -> Tensor:
        """Class scores before the softmax, (n, n_classes)."""
        return self.classifier(self.features(x).mean(dim=(2, 3)))


def folded(model: GapCNN) -> GapCNN:
    """The same function without batch normalisation layers: each is folded into its convolution.

    Parameters
    ----------
    model : GapCNN in evaluation mode, built with ``batch_norm=True``
    """
    layers = dict(model.features.named_children())
    fused: OrderedDict[str, nn.Module] = OrderedDict()
    for name, layer in layers.items():
        if isinstance(layer, nn.Conv2d):
            norm = cast(nn.BatchNorm2d, layers[name.replace("conv", "norm")])
            fused[name] = fuse_conv_bn_eval(layer, norm)
        elif not isinstance(layer, nn.BatchNorm2d):
            fused[name] = layer
    model.features = nn.Sequential(fused)
    return model


class LinearObserver(nn.Module):
    r"""The ideal observer of one bird's pose: how well does an image match each species, drawn in that pose?

    .. math:: z_c(x) = \sum_p e_c^p(x), \qquad
        e_c^p(x) = \frac{1}{\sigma^2} \Big( (T_c^p - \bar T^p) \cdot x^p - \frac{\|T_c^p\|^2 - \overline{\|T^p\|^2}}{2} \Big)

    This is :math:`-\|x - T_c\|^2 / 2\sigma^2` up to a term that is the same for all classes; :math:`T_c` is the template of
    class c, :math:`p` a pixel, and a bar the mean over classes.

    Parameters
    ----------
    templates : (n_classes, channels, height, width), as from ``truth.templates(index)``
    noise_sd : float, :math:`\sigma`, in units of pixel values

    Attributes
    ----------
    evidence : layer that gives one map of evidence per class, (n, n_classes, height, width); the scores are its sums

    Notes
    -----
    The log posterior under Gaussian pixel noise, with what all classes share subtracted. It is linear in the pixels, so every
    gradient method has a known answer: zero wherever the templates of two classes agree, the score difference has no gradient.
    """

    def __init__(self, templates: np.ndarray, *, noise_sd: float = 1.0) -> None:
        super().__init__()
        check.number(noise_sd, "noise_sd", low=0, open_low=True)
        images = check.array(templates, "templates", ndim=4)
        self.evidence = TemplateEvidence(torch.as_tensor(images, dtype=torch.float32), noise_sd)

    def forward(self, x: Tensor) -> Tensor:
        """Class scores, (n, n_classes)."""
        return self.evidence(x).sum(dim=(2, 3))


class TemplateEvidence(nn.Module):
    """The layer behind :class:`LinearObserver`: evidence for each class at each pixel."""

    def __init__(self, templates: Tensor, noise_sd: float) -> None:
        super().__init__()
        energy = templates.square().sum(dim=1)
        self.weight = nn.Parameter((templates - templates.mean(dim=0)) / noise_sd**2)
        self.bias = nn.Parameter(-0.5 * (energy - energy.mean(dim=0)) / noise_sd**2)

    def forward(self, x: Tensor) -> Tensor:
        """(n, n_classes, height, width)."""
        return torch.einsum("nchw,kchw->nkhw", x, self.weight) + self.bias
