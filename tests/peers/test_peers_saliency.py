"""Our maps against captum's and pytorch-grad-cam's, number for number, where the definitions agree."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from xailib._torchvision import torchvision
from xailib.saliency import gradcam, gradient, hirescam, integrated_gradients, layercam, smoothgrad

captum_attr = pytest.importorskip("captum.attr", reason="captum is not installed: pip install -e .[peers]")
torchvision()  # pytorch-grad-cam imports torchvision by itself, which fails beside a CPU torch unless the remedy came first


@pytest.fixture(scope="module")
def net() -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return torchvision().models.resnet18(weights=None, num_classes=10).eval()


@pytest.fixture(scope="module")
def images() -> np.ndarray:
    return np.random.default_rng(0).random((4, 3, 64, 64)).astype(np.float32)


TARGET = [3, 0, 7, 7]


def close(ours: np.ndarray, theirs: torch.Tensor, tolerance: float = 1e-6) -> None:
    theirs = theirs.detach().numpy()
    np.testing.assert_allclose(ours, theirs, atol=tolerance * max(np.abs(theirs).max(), 1), rtol=0)
    assert np.abs(theirs).max() > 1e-4


@pytest.mark.parametrize("layer", ["layer4", "layer3.0", "layer2.1.conv2", "conv1"])
def test_gradcam_equals_captum(net, images, layer):
    peer = captum_attr.LayerGradCam(net, net.get_submodule(layer))
    close(gradcam(net, images, layer, TARGET).values, peer.attribute(torch.tensor(images), TARGET)[:, 0])
    rectified = peer.attribute(torch.tensor(images), TARGET, relu_attributions=True)[:, 0]
    close(gradcam(net, images, layer, TARGET, relu=True).values, rectified)


@pytest.mark.parametrize("inplace", [False, True])
def test_gradcam_equals_captum_in_front_of_a_relu(inplace, images):
    with torch.random.fork_rng():
        torch.manual_seed(1)
        net = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(inplace), nn.Conv2d(8, 8, 3), nn.Flatten(), nn.Linear(8 * 60 * 60, 10))
    peer = captum_attr.LayerGradCam(net, net[0])
    close(gradcam(net, images, "0", TARGET).values, peer.attribute(torch.tensor(images), TARGET)[:, 0])


def test_hirescam_equals_captum_gradient_x_activation(net, images):
    peer = captum_attr.LayerGradientXActivation(net, net.layer3)
    close(hirescam(net, images, "layer3", TARGET).values, peer.attribute(torch.tensor(images), TARGET).sum(1))


def test_gradient_equals_captum_saliency_with_its_sign(net, images):
    peer = captum_attr.Saliency(net)
    signed = peer.attribute(torch.tensor(images, requires_grad=True), TARGET, abs=False)
    close(gradient(net, images, TARGET).values, signed.sum(1))
    close(gradient(net, images, TARGET, channels="largest").values, signed.abs().amax(1))


def test_integrated_gradients_equal_captum(net, images):
    peer = captum_attr.IntegratedGradients(net)
    theirs = peer.attribute(torch.tensor(images), 0.5, TARGET, n_steps=20, method="gausslegendre", internal_batch_size=40)
    close(integrated_gradients(net, images, TARGET, baseline=0.5, steps=20).values, theirs.sum(1), 1e-5)


def test_smoothgrad_agrees_with_captum_within_sampling_error(net, images):
    """Other random numbers, so the two means differ by noise: no more than two seeds of ours do."""
    torch.manual_seed(0)
    one, sigma = images[:1], 0.15 * float(np.ptp(images[:1]))
    peer = captum_attr.NoiseTunnel(captum_attr.Saliency(net))
    theirs = peer.attribute(torch.tensor(one), nt_samples=100, nt_samples_batch_size=25, stdevs=sigma, target=3, abs=False).sum(1)
    first, second = (smoothgrad(net, one, 3, n_samples=100, random_state=seed).values for seed in (0, 1))
    between = np.sqrt(np.mean((first - second) ** 2))
    assert np.sqrt(np.mean((first - theirs.detach().numpy()) ** 2)) < 1.3 * between
    assert between < 0.5 * np.sqrt(np.mean(first**2))


def scaled(maps: np.ndarray) -> np.ndarray:
    """pytorch-grad-cam's scaling: each map minus its minimum, over its maximum."""
    maps = maps - maps.min(axis=(1, 2), keepdims=True)
    return maps / (1e-7 + maps.max(axis=(1, 2), keepdims=True))


@pytest.mark.parametrize(("ours", "name"), [(gradcam, "GradCAM"), (hirescam, "HiResCAM"), (layercam, "LayerCAM")])
def test_rescaled_maps_equal_pytorch_grad_cam(net, images, ours, name):
    peers = pytest.importorskip("pytorch_grad_cam", reason="grad-cam is not installed: pip install -e .[peers]")
    from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget

    with getattr(peers, name)(net, [net.layer3]) as peer:
        theirs = peer(torch.tensor(images), [ClassifierOutputTarget(t) for t in TARGET])
    maps = scaled(ours(net, images, "layer3", TARGET, relu=True).values)
    big = F.interpolate(torch.tensor(maps)[:, None], (64, 64), mode="bilinear", align_corners=False)[:, 0].numpy()
    np.testing.assert_allclose(scaled(big), theirs, atol=2e-6)


def test_pytorch_grad_cam_errs_where_an_inplace_relu_follows_and_we_do_not(images):
    """The reason for cloning the activation; when this fails, the peer has mended it and chapter 8 must say so."""
    peers = pytest.importorskip("pytorch_grad_cam", reason="grad-cam is not installed: pip install -e .[peers]")
    from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget

    with torch.random.fork_rng():
        torch.manual_seed(1)
        layers = [nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Conv2d(8, 8, 3), nn.Flatten(), nn.Linear(8 * 60 * 60, 10)]
    plain, inplace = nn.Sequential(*layers), nn.Sequential(layers[0], nn.ReLU(inplace=True), *layers[2:])
    maps = {}
    for key, net in (("plain", plain), ("inplace", inplace)):
        with peers.GradCAM(net, [net[0]]) as peer:
            maps[key] = peer(torch.tensor(images), [ClassifierOutputTarget(t) for t in TARGET])
    assert np.abs(maps["plain"] - maps["inplace"]).max() > 0.1
    np.testing.assert_array_equal(gradcam(plain, images, "0", TARGET).values, gradcam(inplace, images, "0", TARGET).values)
