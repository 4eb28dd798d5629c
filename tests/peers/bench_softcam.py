"""SoftCAM's evidence and guided backpropagation: ours, the peer and the floor, measured in turns, medians."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import nn

from tests.peers.measure import row
from xailib import softcam
from xailib._torchvision import torchvision
from xailib.saliency import guided_backprop
from xailib.zoo.architectures import GapCNN


def rows() -> list[dict[str, Any]]:
    """Evidence costs one forward pass; captum's Grad-CAM of the same converted network gives the same map but for the bias."""
    from captum.attr import GuidedBackprop, LayerGradCam

    with torch.random.fork_rng():
        torch.manual_seed(0)
        soft = softcam.convert(torchvision().models.resnet18(weights=None).eval())
        small = GapCNN(3, (8, 16, 32, 64), (1, 2, 3), 2).eval()
    rng = np.random.default_rng(0)
    images, pictures = rng.random((8, 3, 224, 224)).astype(np.float32), rng.random((64, 3, 96, 96)).astype(np.float32)
    x, y = torch.tensor(images), torch.tensor(pictures)
    gradcam, guided = LayerGradCam(soft, soft.features), GuidedBackprop(small)
    labels = np.arange(64) % 2
    return [
        row(
            "SoftCAM evidence of ResNet-18, 8 images",
            lambda: softcam.evidence_maps(soft, images, 3),
            "captum (Grad-CAM)",
            lambda: gradcam.attribute(x, 3),
            lambda: _forward(soft, x),
        ),
        row(
            "guided backpropagation, 64 images of 96 x 96",
            lambda: guided_backprop(small, pictures, 1, batch_size=64),
            "captum",
            lambda: guided.attribute(torch.tensor(pictures, requires_grad=True), 1),
            lambda: _forward_and_back(small, y),
        ),
        row(
            "SoftCAM, one epoch of training on 64 images",
            lambda: softcam.fit(softcam.convert(small), pictures, labels, l1=1e-4, epochs=1),
            "-",
            None,
            lambda: _one_step(small, y, torch.as_tensor(labels)),
        ),
    ]


def _forward(net: nn.Module, x: torch.Tensor) -> None:
    with torch.no_grad():
        net(x)


def _forward_and_back(net: nn.Module, x: torch.Tensor) -> None:
    leaf = x.clone().requires_grad_()
    torch.autograd.grad(net(leaf)[:, 1].sum(), leaf)


def _one_step(net: nn.Module, x: torch.Tensor, y: torch.Tensor) -> None:
    nn.functional.cross_entropy(net(x), y).backward()
