"""Closed forms, invariances, no side effects, and one clear sentence for bad input."""

from __future__ import annotations

import copy

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from xailib.results import Heatmap
from xailib.saliency import (
    cam,
    cascading_randomisation,
    gradcam,
    gradient,
    guided_backprop,
    hirescam,
    integrated_gradients,
    layercam,
    randomise_layers,
    smoothgrad,
)

CAMS = [gradcam, hirescam, layercam]
PIXEL_METHODS = [gradient, smoothgrad, integrated_gradients]


def network(seed: int = 0, *, inplace: bool = False, head: str = "gap") -> nn.Sequential:
    """A small float64 network: conv, ReLU, conv, ReLU, then global average pooling or flatten, then a linear layer."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        pool = [nn.AdaptiveAvgPool2d(1), nn.Flatten()] if head == "gap" else [nn.Flatten()]
        width = 5 if head == "gap" else 5 * 8 * 8
        layers = [nn.Conv2d(3, 4, 3, padding=1), nn.ReLU(inplace), nn.Conv2d(4, 5, 3, padding=1), nn.ReLU(inplace)]
        return nn.Sequential(*layers, *pool, nn.Linear(width, 6)).double()


class Function(nn.Module):
    """A score written as a function of the flattened image."""

    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, x):
        return self.function(x.flatten(1))[:, None]


@pytest.fixture(scope="module")
def images() -> np.ndarray:
    return np.random.default_rng(1).random((7, 3, 8, 8))


def test_gap_linear_network_makes_gradcam_hirescam_and_cam_one(images):
    net = network()
    expected = cam(net, images, "3", "6", target=2).values / 64
    for method in (gradcam, hirescam):
        np.testing.assert_allclose(method(net, images, "3", target=2).values, expected, atol=1e-12)
    assert np.abs(expected).max() > 1e-6


def test_cam_averages_to_the_score_without_bias(images):
    net = network()
    result = cam(net, images, "3", "6")
    bias = net[6].bias.detach().numpy()[result.target]
    np.testing.assert_allclose(result.values.mean(axis=(1, 2)) + bias, result.score, atol=1e-12)


def test_hirescam_adds_up_under_a_linear_tail_and_gradcam_does_not(images):
    net = network(head="flatten")
    bias = net[5].bias.detach().numpy()[3]
    exact = hirescam(net, images, "3", target=3)
    np.testing.assert_allclose(exact.values.sum(axis=(1, 2)) + bias, exact.score, atol=1e-12)
    averaged = gradcam(net, images, "3", target=3)
    assert np.abs(averaged.values.sum(axis=(1, 2)) + bias - averaged.score).min() > 1e-3


def test_gradcam_by_hand():
    net = nn.Sequential(nn.Identity(), nn.Flatten(), nn.Linear(8, 1, bias=False)).double()
    net[2].weight.data = torch.tensor([[4.0, 0, 0, 0, -1, -1, -1, -1]], dtype=torch.float64)
    A = np.array([[[[1.0, 2], [3, 4]], [[5, 6], [7, 8]]]])
    np.testing.assert_allclose(gradcam(net, A, "0", target=0).values[0], A[0, 0] * 1 - A[0, 1])
    np.testing.assert_allclose(hirescam(net, A, "0", target=0).values[0], [[4 - 5, -6], [-7, -8]])
    np.testing.assert_allclose(layercam(net, A, "0", target=0).values[0], [[4, 0], [0, 0]])


@pytest.mark.parametrize("method", CAMS)
@pytest.mark.parametrize("layer", ["0", "2"])
def test_an_inplace_relu_behind_the_layer_changes_nothing(method, layer, images):
    plain, inplace = network(), network(inplace=True)
    np.testing.assert_array_equal(method(inplace, images, layer).values, method(plain, images, layer).values)


def test_a_layer_that_aliases_its_input_keeps_its_activation(images):
    class Aliasing(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer, self.head = nn.Identity(), nn.Linear(192, 2)

        def forward(self, x):
            hidden = x * 2
            kept = self.layer(hidden)
            hidden.zero_()
            return self.head(kept.flatten(1))

    net = Aliasing().double()
    bias = net.head.bias.detach().numpy()[1]
    result = hirescam(net, images, "layer", target=1)
    np.testing.assert_allclose(result.values.sum(axis=(1, 2)) + bias, result.score, atol=1e-12)


def test_negative_evidence_is_shown_raw_and_becomes_zero_with_relu(images):
    net = network()
    net[6].weight.data = -net[6].weight.data.abs()
    assert (gradcam(net, images, "3", target=0).values <= 0).all()
    assert gradcam(net, images, "3", target=0).values.min() < 0
    assert (gradcam(net, images, "3", target=0, relu=True).values == 0).all()


@pytest.mark.parametrize("method", CAMS)
def test_maps_flip_with_the_image(method, images):
    net = network()
    for conv in (net[0], net[2]):
        conv.weight.data = conv.weight.data + conv.weight.data.flip(-1)  # left-right symmetric filters
    there = method(net, images, "3", target=1).values
    back = method(net, images[..., ::-1], "3", target=1).values
    np.testing.assert_allclose(back, there[..., ::-1], atol=1e-12)


@pytest.mark.parametrize("method", CAMS)
def test_raw_maps_scale_with_the_score_so_images_stay_comparable(method, images):
    net = network()
    single = method(net, images, "3", target=1).values
    net[6].weight.data *= 10
    np.testing.assert_allclose(method(net, images, "3", target=1).values, 10 * single, atol=1e-10)


@pytest.mark.parametrize("method", [*CAMS, *PIXEL_METHODS])
def test_batches_of_any_size_give_the_same_maps(method, images):
    at = ("3",) if method in CAMS else ()
    whole = method(network(), images, *at)
    parts = method(network(), images, *at, batch_size=2)
    np.testing.assert_allclose(parts.values, whole.values, atol=1e-12)
    np.testing.assert_array_equal(parts.target, whole.target)


@pytest.mark.parametrize("method", [*CAMS, *PIXEL_METHODS])
def test_without_a_target_the_predicted_class_is_explained(method, images):
    net, at = network(seed=3), ("3",) if method in CAMS else ()
    with torch.no_grad():
        scores = net(torch.tensor(images)).numpy()
    result = method(net, images, *at)
    np.testing.assert_array_equal(result.target, scores.argmax(1))
    np.testing.assert_allclose(result.score, scores.max(1))
    np.testing.assert_allclose(method(net, images, *at, target=result.target).values, result.values, atol=1e-12)


@pytest.mark.parametrize("method", [gradcam, hirescam, *PIXEL_METHODS])
def test_one_class_against_another_is_the_difference_of_their_maps(method, images):
    net, at = network(head="flatten"), ("3",) if method in CAMS else ()
    difference = method(net, images, *at, target=1).values - method(net, images, *at, target=4).values
    result = method(net, images, *at, target=1, against=4)
    np.testing.assert_allclose(result.values, difference, atol=1e-12)
    np.testing.assert_array_equal(result.against, 4)
    with torch.no_grad():
        scores = net(torch.tensor(images)).numpy()
    np.testing.assert_allclose(result.score, scores[:, 1] - scores[:, 4])


def test_cam_against_another_class_averages_to_the_score_difference(images):
    net = network()
    result = cam(net, images, "3", "6", target=1, against=4)
    bias = net[6].bias.detach().numpy()
    np.testing.assert_allclose(result.values.mean(axis=(1, 2)) + bias[1] - bias[4], result.score, atol=1e-12)


def test_integrated_gradients_of_a_difference_are_complete(images):
    result = integrated_gradients(network(head="flatten"), images, 1, against=4, baseline=0.5)
    assert (np.abs(result.completeness_gap()) < 1e-3).all()


def test_one_target_per_image_equals_one_call_per_image(images):
    target = np.arange(7) % 6
    together = gradcam(network(), images, "3", target).values
    alone = [gradcam(network(), images[i : i + 1], "3", int(t)).values[0] for i, t in enumerate(target)]
    np.testing.assert_allclose(together, alone, atol=1e-12)


@settings(max_examples=25, deadline=None)
@given(st.lists(st.floats(-3, 3), min_size=4, max_size=4))
def test_gradient_and_smoothgrad_of_a_linear_score_are_its_weights(weights):
    w = torch.tensor(weights, dtype=torch.float64)
    net = Function(lambda x: x @ w)
    image = np.random.default_rng(0).random((1, 1, 2, 2))
    for result in (gradient(net, image), smoothgrad(net, image, n_samples=5, noise=0.5)):
        np.testing.assert_allclose(result.values[0].ravel(), weights, atol=1e-12)


def test_gradient_channels_sum_is_signed_and_largest_is_not(images):
    net = network()
    leaf = torch.tensor(images, requires_grad=True)
    net(leaf)[:, 0].sum().backward()
    slopes = leaf.grad.numpy()
    np.testing.assert_allclose(gradient(net, images, 0).values, slopes.sum(1), atol=1e-12)
    np.testing.assert_allclose(gradient(net, images, 0, channels="largest").values, np.abs(slopes).max(1), atol=1e-12)


def test_smoothgrad_repeats_with_its_seed_and_varies_without(images):
    net = network(head="flatten")
    first = smoothgrad(net, images, 0, n_samples=4).values
    np.testing.assert_array_equal(smoothgrad(net, images, 0, n_samples=4).values, first)
    assert np.abs(smoothgrad(net, images, 0, n_samples=4, random_state=1).values - first).max() > 1e-6


def test_guided_backprop_by_hand():
    """Two rectifiers: a gradient is stopped where it is negative on its way back, and where the activation is not positive."""
    net = nn.Sequential(nn.Flatten(), nn.Linear(2, 3, bias=False), nn.ReLU(), nn.Linear(3, 2, bias=False), nn.ReLU()).double()
    net = nn.Sequential(net, nn.Linear(2, 1, bias=False).double())
    W, V, u = torch.tensor([[1.0, 2], [1, -1], [0, 1]]), torch.tensor([[1.0, 1, -1], [2, 0, 1]]), torch.tensor([[3.0, -4]])
    for layer, weight in ((net[0][1], W), (net[0][3], V), (net[1], u)):
        layer.weight.data = weight.double()
    # x = (2, 1) gives (4, 1, 1), then (4, 9): all positive; back: (3, -4) -> (3, 0), (3, 3, -3) -> (3, 3, 0), then (6, 3)
    result = guided_backprop(net, np.array([[[[2.0, 1.0]]]]), 0)
    np.testing.assert_allclose(result.values[0, 0], [6, 3])
    assert gradient(net, np.array([[[[2.0, 1.0]]]]), 0).values[0, 0].tolist() == [-2, -20]


def test_guided_backprop_is_the_gradient_where_nothing_is_negative(images):
    net = network()
    for p in net.parameters():
        p.data.abs_()
    np.testing.assert_allclose(guided_backprop(net, images, 1).values, gradient(net, images, 1).values, atol=1e-12)


def test_guided_backprop_takes_rectifiers_in_place_or_used_twice(images):
    class Twice(nn.Module):
        def __init__(self, inplace):
            super().__init__()
            self.net, self.relu = network(), nn.ReLU(inplace)

        def forward(self, x):
            return self.net[4:](self.relu(self.net[2](self.relu(self.net[0](x)))))

    values = guided_backprop(network(), images, 2).values
    assert np.abs(values - gradient(network(), images, 2).values).max() > 1e-4
    for net in (network(inplace=True), Twice(False), Twice(True)):
        np.testing.assert_array_equal(guided_backprop(net, images, 2).values, values)


def test_guided_backprop_leaves_no_hooks_and_needs_a_rectifier(images):
    net = network()
    before = gradient(net, images, 2).values
    guided_backprop(net, images, 2)
    with pytest.raises(ValueError, match="out of range"):
        guided_backprop(net, images, 9)
    assert not any(module._forward_hooks for module in net.modules())
    np.testing.assert_array_equal(gradient(net, images, 2).values, before)
    with pytest.raises(ValueError, match=r"no nn\.ReLU"):
        guided_backprop(nn.Sequential(nn.Flatten(), nn.Linear(192, 2)), images)


def test_smoothgrad_without_noise_is_the_gradient(images):
    net = network()
    np.testing.assert_allclose(smoothgrad(net, images, noise=0).values, gradient(net, images).values, atol=1e-12)


def test_integrated_gradients_share_a_product_equally():
    result = integrated_gradients(Function(lambda x: x.prod(1)), np.array([[[[2.0, 3.0]]]]))
    np.testing.assert_allclose(result.values[0, 0], [3, 3], atol=1e-12)


def test_integrated_gradients_see_through_saturation_where_the_gradient_is_blind():
    saturated = Function(lambda x: 1 - torch.relu(1 - x.sum(1)))
    image = np.array([[[[2.0]]]])
    assert gradient(saturated, image).values.item() == 0
    assert integrated_gradients(saturated, image).values.item() == pytest.approx(1, abs=0.02)


def test_integrated_gradients_are_complete_to_a_thousandth_at_50_steps(images):
    result = integrated_gradients(network(head="flatten"), images, baseline=0.5)
    difference = np.abs(result.score - result.baseline_score)
    assert (np.abs(result.completeness_gap()) <= 1e-3 * np.maximum(difference, 1)).all()
    assert "largest completeness gap" in repr(result)


def test_integrated_gradients_average_over_several_baselines(images):
    net, own = network(head="flatten"), images[::-1]
    parts = [integrated_gradients(net, images, 0, baseline=b) for b in (0.0, images[0], own)]
    result = integrated_gradients(net, images, 0, baseline=[0.0, images[0], own])
    np.testing.assert_allclose(result.values, np.mean([p.values for p in parts], axis=0), atol=1e-12)
    np.testing.assert_allclose(result.baseline_score, np.mean([p.baseline_score for p in parts], axis=0), atol=1e-12)


def test_a_pixel_equal_to_the_baseline_gets_nothing(images):
    black = images.copy()
    black[:, :, 2, 3] = 0
    assert (integrated_gradients(network(), black).values[:, 2, 3] == 0).all()


def test_a_map_without_a_promised_sum_says_so(images):
    with pytest.raises(ValueError, match="promises no sum"):
        gradcam(network(), images, "3").completeness_gap()


@pytest.mark.parametrize("as_module", [False, True])
def test_layers_are_given_by_name_or_as_modules(as_module, images):
    net = network()
    result = gradcam(net, images, net[2] if as_module else "2")
    assert result.method == "Grad-CAM at 2"
    assert result.values.shape == (7, 8, 8)


@pytest.mark.parametrize("given", [np.uint8, np.int64, np.float32, torch.tensor])
def test_integers_arrays_and_tensors_are_accepted(given, images):
    whole = (images * 255).astype(np.uint8)
    converted = torch.tensor(whole) if given is torch.tensor else whole.astype(given)
    np.testing.assert_allclose(
        gradcam(network(), converted, "3").values, gradcam(network(), whole.astype(float), "3").values, atol=1e-9
    )


def test_read_only_images_stay_untouched(images):
    frozen = images.copy()
    frozen.setflags(write=False)
    for method in PIXEL_METHODS:
        method(network(), frozen)
    np.testing.assert_array_equal(frozen, images)


# --- no trace left ---


def state(net: nn.Module):
    hooks = [len(m._forward_hooks) + len(m._forward_pre_hooks) + len(m._backward_hooks) for m in net.modules()]
    grads = [None if p.grad is None else p.grad.clone() for p in net.parameters()]
    return [m.training for m in net.modules()], [p.requires_grad for p in net.parameters()], hooks, grads


def disturbed() -> nn.Module:
    """A network in a mixed state: partly training, partly frozen, with gradients on the parameters."""
    net = nn.Sequential(
        nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(True), nn.Dropout(0.9), nn.Flatten(), nn.Linear(144, 3)
    ).double()
    net.train()
    net[1].eval()
    net[0].weight.requires_grad_(False)
    for p in net[5].parameters():
        p.grad = torch.ones_like(p)
    return net


def assert_same(before, after):
    assert before[:3] == after[:3]
    for a, b in zip(before[3], after[3], strict=True):
        assert (a is None and b is None) or torch.equal(a, b)


@pytest.mark.parametrize("method", [*CAMS, *PIXEL_METHODS])
def test_modes_gradients_hooks_and_buffers_are_as_before(method, images):
    net = disturbed()
    before, buffers = state(net), copy.deepcopy(net.state_dict())
    method(net, images, *(["0"] if method in CAMS else []))
    assert_same(before, state(net))
    assert all(torch.equal(buffers[k], v) for k, v in net.state_dict().items())


@pytest.mark.parametrize("where", [0, 3, 5])
@pytest.mark.parametrize("method", [*CAMS, *PIXEL_METHODS])
def test_no_trace_is_left_after_an_exception(method, where, images):
    net = disturbed()
    net[where].register_forward_hook(lambda *_: 1 / 0)
    before = state(net)
    with pytest.raises(ZeroDivisionError):
        method(net, images, *(["0"] if method in CAMS else []))
    assert_same(before, state(net))


@pytest.mark.parametrize("method", [*CAMS, *PIXEL_METHODS])
def test_a_frozen_network_inside_no_grad_or_inference_mode_is_explained_all_the_same(method, images):
    net, at = network(), ["3"] if method in CAMS else []
    expected = method(net, images, *at).values
    net.requires_grad_(False)
    for mode in (torch.no_grad, torch.inference_mode):
        with mode():
            np.testing.assert_array_equal(method(net, images, *at).values, expected)


def test_dropout_is_off_so_two_calls_agree(images):
    net = disturbed()
    np.testing.assert_array_equal(gradcam(net, images, "0").values, gradcam(net, images, "0").values)


def test_the_graph_begins_behind_the_layer(images):
    """The layers in front of the chosen one must not be differentiated: their output needs no gradient."""
    net, needs = network(), []
    net[1].register_forward_hook(lambda _m, _i, output: needs.append(output.requires_grad))
    net[3].register_forward_hook(lambda _m, _i, output: needs.append(output.requires_grad))
    gradcam(net, images, "2")
    assert needs == [False, True]


# --- sanity checks ---


def test_randomise_layers_changes_only_the_named_layers_and_no_global_state():
    net, rng = network(), torch.random.get_rng_state()
    weights = copy.deepcopy(net.state_dict())
    copied = randomise_layers(net, ["6"], random_state=0)
    changed = {k for k, v in copied.state_dict().items() if not torch.equal(v, weights[k])}
    assert changed == {"6.weight", "6.bias"}
    assert all(torch.equal(weights[k], v) for k, v in net.state_dict().items())
    assert torch.equal(torch.random.get_rng_state(), rng)
    again = randomise_layers(net, ["6"], random_state=0)
    assert torch.equal(copied[6].weight, again[6].weight)


def test_cascading_randomisation_goes_from_the_output_to_the_input(images):
    net = network()
    maps = cascading_randomisation(net, lambda m: gradcam(m, images, "3", target=0), random_state=1)
    assert list(maps) == ["trained", "6", "2", "0"]
    np.testing.assert_array_equal(maps["trained"].values, gradcam(net, images, "3", target=0).values)
    by_hand = randomise_layers(net, ["6"], random_state=np.random.default_rng(1))
    np.testing.assert_array_equal(maps["6"].values, gradcam(by_hand, images, "3", target=0).values)


def test_a_map_that_ignores_the_model_survives_the_cascade(images):
    edges = gradient(network(), images, 0)
    maps = cascading_randomisation(network(), lambda _: edges)
    assert all(m is edges for m in maps.values())


# --- one sentence for bad input ---


def bad_images():
    ok = np.zeros((2, 3, 8, 8))
    with_nan = ok.copy()
    with_nan[0, 0, 0, 0] = np.nan
    return [
        (with_nan, "1 missing or infinite"),
        (np.full((2, 3, 8, 8), np.inf), "missing or infinite"),
        (ok[0], r"one image\? give images\[None\]"),
        (ok[:0], "at least one image"),
        (ok.astype(str), "must hold numbers"),
        (ok + 1j, "must hold numbers"),
        ("no image", "must hold numbers"),
    ]


@pytest.mark.parametrize(("given", "message"), bad_images())
@pytest.mark.parametrize("method", [*CAMS, *PIXEL_METHODS])
def test_bad_images_get_one_sentence_before_the_model_runs(method, given, message):
    net = network()
    net.register_forward_pre_hook(lambda *_: pytest.fail("the model was called"))
    with pytest.raises((TypeError, ValueError), match=message):
        method(net, given, *(["3"] if method in CAMS else []))


@pytest.mark.parametrize(
    ("target", "message"),
    [
        (6, r"out of range: the model has 6 classes"),
        (-1, "class number from 0"),
        (0.5, "class number from 0"),
        ("cat", "class number from 0"),
        ([0, 1], "7 images, 2 classes"),
        (np.zeros((7, 2), int), "class number from 0"),
    ],
)
@pytest.mark.parametrize("name", ["target", "against"])
@pytest.mark.parametrize("method", [*CAMS, *PIXEL_METHODS])
def test_bad_classes_get_one_sentence(method, name, target, message, images):
    with pytest.raises(ValueError, match=f"{name}.*{message}"):
        method(network(), images, *(["3"] if method in CAMS else []), **{name: target})


class Twice(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.relu, self.unused = nn.Conv2d(3, 3, 1), nn.ReLU(), nn.Conv2d(3, 3, 1)
        self.side, self.head = nn.Conv2d(3, 3, 1), nn.Linear(3, 2)

    def forward(self, x):
        self.side(x)
        return self.head(self.relu(self.relu(self.conv(x)) - 0.1).mean(dim=(2, 3)))


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        ("relu", "runs more than once"),
        ("unused", "did not run"),
        ("side", "does not depend on layer 'side'"),
        ("head", r"must give maps .* but gives shape \(7, 2\)"),
        ("convv", r"did you mean 'conv'\?\); its layers are conv, relu, unused, side, head"),
        ("elsewhere", "its layers are conv, relu, unused, side, head"),
        (nn.ReLU(), "layer ReLU is not part of the model"),
        (3, "layer int is not part of the model"),
    ],
)
def test_bad_layers_get_one_sentence(layer, message, images):
    net = Twice().double()
    before = state(net)
    with pytest.raises(ValueError, match=message):
        gradcam(net, images, layer)
    assert_same(before, state(net))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda x: gradient("model", x), "model must be a torch module"),
        (lambda x: gradcam("model", x, "3"), "model must be a torch module"),
        (lambda x: gradient(nn.Flatten(0), x), r"scores of shape \(n, k\)"),
        (lambda x: gradient(Function(lambda v: v.sum(1) / 0), x), "missing or infinite scores"),
        (lambda x: gradient(Function(lambda v: torch.ones(len(v))), x), "does not depend on the pixels"),
        (lambda x: gradient(network(), x, channels="mean"), "channels must be one of 'sum', 'largest'"),
        (lambda x: gradient(network(), x, batch_size=0), "batch_size must be a whole number"),
        (lambda x: smoothgrad(network(), x, n_samples=0), "n_samples must be a whole number"),
        (lambda x: smoothgrad(network(), x, noise=-0.1), "noise must be a number in"),
        (lambda x: smoothgrad(network(), x, random_state="a"), "random_state must be"),
        (lambda x: integrated_gradients(network(), x, steps=0), "steps must be a whole number"),
        (lambda x: integrated_gradients(network(), x, baseline=np.nan), "baseline has 1 missing"),
        (lambda x: integrated_gradients(network(), x, baseline=np.zeros(5)), "baseline must be a number, an image"),
        (lambda x: integrated_gradients(network(), x, baseline=[]), "empty list"),
        (lambda x: cam(network(), x, "3", "0"), "head must be a linear layer, not Conv2d"),
        (lambda x: cam(network(head="flatten"), x, "3", "5"), "do not join layer"),
        (lambda x: cam(network(), x, "3", "7"), "head '7' is not part of the model"),
        (lambda x: randomise_layers(network(), "6"), "layers must be a list"),
        (lambda x: randomise_layers(network(), ["7"]), "layer '7' is not part"),
        (lambda x: cascading_randomisation(network(), "gradcam"), "explain must be a function"),
    ],
)
def test_other_bad_arguments_get_one_sentence(call, message, images):
    with pytest.raises((TypeError, ValueError), match=message):
        call(images)


def test_cam_refuses_a_network_with_another_head(images):
    net = network()
    net[4] = nn.AdaptiveMaxPool2d(1)
    with pytest.raises(ValueError, match="CAM fails here, use hirescam"):
        cam(net, images, "3", "6")


def test_a_layer_that_cannot_initialise_itself_is_named():
    class Scale(nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = nn.Parameter(torch.ones(1))

    with pytest.raises(ValueError, match="Scale cannot initialise itself"):
        randomise_layers(nn.Sequential(Scale()), ["0"])


# --- the result: up-sampling, table, text, picture ---


def test_upsampling_is_bilinear_with_half_pixel_centres_and_keeps_values():
    low = Heatmap(np.array([[[0.0, 4.0]]]), np.array([0]), "by hand", (1, 4), np.array([1.0]))
    np.testing.assert_allclose(low.upsample()[0, 0], [0, 1, 3, 4])


def test_a_map_as_table_and_as_text(images):
    result = gradcam(network(), images, "3", 0)
    frame = result.to_frame()
    assert frame.shape == (7 * 64, 4)
    assert frame.query("image == 2 and row == 3 and column == 4")["value"].item() == result.values[2, 3, 4]
    assert "7 maps of 8x8" in repr(result)


def test_signed_maps_are_drawn_around_zero_and_share_a_limit_when_asked(images):
    net = network()
    for result, low in ((gradcam(net, images, "3", 0), -1), (gradcam(net, images, "3", 0, relu=True), 0)):
        largest = np.abs(result.upsample()[1]).max()
        drawn = result.plot(index=1).images[-1]
        np.testing.assert_allclose(drawn.get_clim(), [low * largest, largest])
        drawn = result.plot(index=1, image=images[1], limit=2.0).images[-1]
        assert drawn.get_clim() == (low * 2.0, 2.0)
    plt.close("all")


def test_a_map_of_zeros_can_be_drawn():
    blank = Heatmap(np.zeros((1, 4, 4)), np.array([0]), "blank", (8, 8), np.array([0.0]))
    assert blank.plot().images[-1].get_clim() == (0, 1)
    plt.close("all")
