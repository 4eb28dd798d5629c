"""Gradient methods on a ResNet-18 at 224 x 224: ours, the peer and the floor, measured in turns, medians."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from tests.peers.measure import row
from xailib._torchvision import torchvision
from xailib.saliency import gradcam, gradient, integrated_gradients, smoothgrad


def rows() -> list[dict[str, Any]]:
    """One row per task: seconds of ours, of the peer, and of the floor (the model passes that the method can not avoid)."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        net = torchvision().models.resnet18(weights=None).eval()
    images = np.random.default_rng(0).random((8, 3, 224, 224)).astype(np.float32)
    return [*_gradcam_rows(net, images), *_pixel_rows(net, images[:1])]


def _gradcam_rows(net: nn.Module, images: np.ndarray) -> list[dict[str, Any]]:
    from captum.attr import LayerGradCam

    table = []
    for n in (1, 8):
        x = torch.tensor(images[:n])
        captum = LayerGradCam(net, net.layer4)
        peers = {"captum": lambda x=x, captum=captum: captum.attribute(x, 3), **_grad_cam_package(net, x)}
        tail = _tail_pass(net, x)
        for peer, call in peers.items():
            ours = lambda n=n: gradcam(net, images[:n], "layer4", 3)  # noqa: E731
            floor = lambda x=x, tail=tail: (_forward(net, x), tail())  # noqa: E731
            table.append(row(f"Grad-CAM at layer4, {n} image{'s' if n > 1 else ''}", ours, peer, call, floor))
    return table


def _pixel_rows(net: nn.Module, image: np.ndarray) -> list[dict[str, Any]]:
    from captum.attr import IntegratedGradients, NoiseTunnel, Saliency

    def x() -> Tensor:
        return torch.tensor(image, requires_grad=True)

    steps, samples = 50, 20
    integrated, smooth, saliency = IntegratedGradients(net), NoiseTunnel(Saliency(net)), Saliency(net)
    return [
        row(
            "gradient, 1 image",
            lambda: gradient(net, image, 3),
            "captum",
            lambda: saliency.attribute(x(), 3, abs=False),
            lambda: _forward_and_back(net, image, 1),
        ),
        row(
            f"SmoothGrad, {samples} samples",
            lambda: smoothgrad(net, image, 3, n_samples=samples),
            "captum",
            lambda: smooth.attribute(x(), nt_samples=samples, nt_samples_batch_size=10, stdevs=0.15, target=3, abs=False),
            lambda: _forward_and_back(net, image, samples),
            repeats=3,
        ),
        row(
            f"integrated gradients, {steps} steps",
            lambda: integrated_gradients(net, image, 3, steps=steps),
            "captum",
            lambda: integrated.attribute(x(), target=3, n_steps=steps, internal_batch_size=16),
            lambda: _forward_and_back(net, image, steps),
            repeats=3,
        ),
    ]


def _grad_cam_package(net: nn.Module, x: Tensor) -> dict[str, Callable[[], Any]]:
    """pytorch-grad-cam, where it is installed."""
    if importlib.util.find_spec("pytorch_grad_cam") is None:
        return {}
    from pytorch_grad_cam import GradCAM
    from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget

    def call() -> Any:
        with GradCAM(net, [net.layer4]) as peer:
            return peer(x, [ClassifierOutputTarget(3)] * len(x))

    return {"grad-cam": call}


def _forward(net: nn.Module, x: Tensor) -> Tensor:
    with torch.no_grad():
        return net(x)


def _tail_pass(net: nn.Module, x: Tensor) -> Callable[[], Any]:
    """Forward and backward through what lies behind layer4, from a stored activation."""
    kept: list[Tensor] = []
    hook = net.layer4.register_forward_hook(lambda _m, _i, output: kept.append(output.detach()))
    _forward(net, x)
    hook.remove()

    def call() -> Any:
        A = kept[0].clone().requires_grad_()
        score = net.fc(torch.flatten(net.avgpool(A), 1))[:, 3].sum()
        return torch.autograd.grad(score, A)

    return call


def _forward_and_back(net: nn.Module, image: np.ndarray, passes: int, batch: int = 16) -> None:
    """Gradients of ``passes`` copies of the image, parameters frozen."""
    trainable = [p for p in net.parameters() if p.requires_grad]
    for p in trainable:
        p.requires_grad_(False)
    for start in range(0, passes, batch):
        x = torch.tensor(image).expand(min(batch, passes - start), -1, -1, -1).clone().requires_grad_()
        torch.autograd.grad(net(x)[:, 3].sum(), x)
    for p in trainable:
        p.requires_grad_(True)
