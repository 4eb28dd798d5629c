"""What can be compared: maps of captum and pytorch-grad-cam on converted networks, which must be the evidence."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from xailib import softcam
from xailib._torchvision import torchvision
from xailib.saliency import guided_backprop

captum_attr = pytest.importorskip("captum.attr", reason="captum is not installed: pip install -e .[peers]")
torchvision()  # pytorch-grad-cam imports torchvision by itself, which fails beside a CPU torch unless the remedy came first

TARGET = [3, 0, 7, 7]


@pytest.fixture(scope="module")
def net() -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return torchvision().models.resnet18(weights=None, num_classes=10).eval()


@pytest.fixture(scope="module")
def images() -> np.ndarray:
    return np.random.default_rng(0).random((4, 3, 96, 96)).astype(np.float32)


def without_bias(soft: softcam.SoftCAM, images: np.ndarray) -> np.ndarray:
    """(A_c - b_c) / (h w) of each image's class."""
    heat = softcam.evidence_maps(soft, images, TARGET)
    bias = soft.head.bias.detach().numpy()[TARGET]
    return (heat.values - bias[:, None, None]) / heat.values[0].size


@pytest.mark.parametrize("which", ["original", "converted"])
def test_evidence_without_bias_is_captums_gradcam(which, net, images):
    soft = softcam.convert(net)
    model, layer = (net, net.layer4) if which == "original" else (soft, soft.features)
    theirs = captum_attr.LayerGradCam(model, layer).attribute(torch.tensor(images), TARGET)[:, 0].detach().numpy()
    np.testing.assert_allclose(without_bias(soft, images), theirs, atol=1e-6 * np.abs(theirs).max())
    assert np.abs(theirs).max() > 1e-4


def test_evidence_per_place_is_captums_gradcam_at_the_head(net, images):
    soft = softcam.convert(net)
    theirs = captum_attr.LayerGradCam(soft, soft.head).attribute(torch.tensor(images), TARGET)[:, 0].detach().numpy()
    heat = softcam.evidence_maps(soft, images, TARGET)
    np.testing.assert_allclose(heat.values / heat.values[0].size, theirs, atol=1e-6 * np.abs(theirs).max())


def test_rescaled_evidence_is_pytorch_grad_cam(net, images):
    peers = pytest.importorskip("pytorch_grad_cam", reason="grad-cam is not installed: pip install -e .[peers]")
    from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget

    soft = softcam.convert(net)
    with peers.GradCAM(soft, [soft.features]) as peer:
        theirs = peer(torch.tensor(images), [ClassifierOutputTarget(t) for t in TARGET])
    maps = scaled(np.maximum(without_bias(soft, images), 0))
    big = F.interpolate(torch.tensor(maps)[:, None], (96, 96), mode="bilinear", align_corners=False)[:, 0].numpy()
    np.testing.assert_allclose(scaled(big), theirs, atol=5e-6)


def scaled(maps: np.ndarray) -> np.ndarray:
    """pytorch-grad-cam's scaling: each map minus its minimum, over its maximum."""
    maps = maps - maps.min(axis=(1, 2), keepdims=True)
    return maps / (1e-7 + maps.max(axis=(1, 2), keepdims=True))


@pytest.mark.filterwarnings("ignore:Setting backward hooks on ReLU")
@pytest.mark.parametrize("converted", [False, True])
def test_guided_backprop_equals_captum(converted, net, images):
    model = softcam.convert(net) if converted else net
    theirs = captum_attr.GuidedBackprop(model).attribute(torch.tensor(images, requires_grad=True), TARGET).detach()
    for channels, wanted in (("sum", theirs.sum(1)), ("largest", theirs.abs().amax(1))):
        ours = guided_backprop(model, images, TARGET, channels=channels).values
        np.testing.assert_allclose(ours, wanted.numpy(), atol=1e-6 * float(theirs.abs().max()))
    assert theirs.abs().max() > 1e-6
