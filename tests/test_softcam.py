"""The identities of paper and algebra, what training with the penalty does, and models in every state a caller may leave them."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from xailib import saliency, softcam, zoo
from xailib._torchvision import torchvision
from xailib.models import predictor
from xailib.softcam import SoftCAM, convert, edit, edit_maps, evidence, evidence_maps, fit, penalty
from xailib.zoo.architectures import GapCNN

RNG = np.random.default_rng(0)


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def seeded(make, seed: int = 0):
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return make()


def sequential(*, inplace: bool = False, bias: bool = True) -> nn.Sequential:
    def make():
        layers = [nn.Conv2d(3, 4, 3, padding=1), nn.ReLU(inplace), nn.Conv2d(4, 5, 3), nn.BatchNorm2d(5), nn.ReLU(inplace)]
        return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(0.5), nn.Linear(5, 3, bias=bias))

    return seeded(make).double().eval()


def vgg_style() -> nn.Module:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.features = nn.Sequential(nn.Conv2d(3, 6, 3, padding=1), nn.ReLU(True), nn.MaxPool2d(2))
            self.avgpool = nn.AdaptiveAvgPool2d(4)
            layers = [nn.Linear(96, 10), nn.ReLU(True), nn.Dropout(0.3), nn.Linear(10, 7), nn.ReLU(True), nn.Dropout(0.3)]
            self.classifier = nn.Sequential(*layers, nn.Linear(7, 2))

        def forward(self, x):
            return self.classifier(self.avgpool(self.features(x)).flatten(1))

    return seeded(Net)


def tv(name: str, **options) -> nn.Module:
    """A torchvision model with random weights, and running statistics that are not trivial."""
    model = seeded(lambda: getattr(torchvision().models, name)(weights=None, num_classes=4, **options))
    generator = torch.Generator().manual_seed(1)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.copy_(0.1 * torch.randn(module.num_features, generator=generator))
            module.running_var.copy_(0.5 + torch.rand(module.num_features, generator=generator))
    return model.eval()


IMAGES = RNG.random((5, 3, 12, 12))


# --- the identities -------------------------------------------------------------------------------------------------

POOLED = {
    "GapCNN": lambda: seeded(lambda: GapCNN(3, (4, 6), (1,), 3)),
    "GapCNN with batch norm": lambda: seeded(lambda: GapCNN(3, (4, 6), (1,), 3, batch_norm=True)),
    "digits-cnn": lambda: zoo.load("digits-cnn"),
    "birds-cnn": lambda: zoo.load("birds-cnn"),
    "Sequential": sequential,
    "Sequential, in place": lambda: sequential(inplace=True),
    "Sequential without bias": lambda: sequential(bias=False),
    "ResNet-18": lambda: tv("resnet18"),
    "ResNeXt-like": lambda: tv("resnet18", groups=1, norm_layer=nn.BatchNorm2d),
    "DenseNet, rectified in forward": lambda: tv("densenet121"),
    "MobileNet": lambda: tv("mobilenet_v2"),
}


@pytest.mark.parametrize("name", POOLED)
def test_without_penalty_the_scores_are_those_of_the_original(name):
    model = POOLED[name]()
    soft = convert(model)
    assert soft.exact
    channels = next(m.in_channels for m in model.modules() if isinstance(m, nn.Conv2d))
    images = np.random.default_rng(3).random((3, channels, 64, 64))
    before, after = (predictor(m, "logit")(images) for m in (model, soft))
    np.testing.assert_allclose(after, before, atol=1e-5 * max(1, np.abs(before).max()))
    assert before.std() > 0


def test_evidence_is_the_class_activation_map_plus_the_bias():
    model = sequential()
    expected = saliency.cam(model, IMAGES, "4", "8", target=2)
    bias = model[8].bias.detach().numpy()[2]
    heat = evidence_maps(convert(model), IMAGES, 2)
    np.testing.assert_allclose(heat.values, expected.values + bias, atol=1e-12)
    np.testing.assert_allclose(heat.score, expected.score, atol=1e-12)


def test_raw_gradcam_is_evidence_without_bias_per_place():
    model = sequential()
    soft = convert(model)
    A, bias = evidence(soft, IMAGES), model[8].bias.detach().numpy()
    for c in range(3):
        wanted = (A[:, c] - bias[c]) / A[0, 0].size
        np.testing.assert_allclose(saliency.gradcam(soft, IMAGES, "features", c).values, wanted, atol=1e-12)
        np.testing.assert_allclose(saliency.gradcam(model, IMAGES, "4", c).values, wanted, atol=1e-12)
        np.testing.assert_allclose(saliency.gradcam(soft, IMAGES, "head", c).values, A[:, c] / A[0, 0].size, atol=1e-12)


def test_one_map_added_to_all_classes_moves_no_probability():
    A = RNG.normal(size=(2, 3, 4, 4))
    shifted = A + 10 * RNG.normal(size=(2, 1, 4, 4))
    p, q = (torch.softmax(torch.tensor(a).mean(dim=(2, 3)), 1) for a in (A, shifted))
    torch.testing.assert_close(p, q)
    np.testing.assert_allclose(A[:, 1] - A[:, 0], shifted[:, 1] - shifted[:, 0])
    assert abs(penalty(torch.tensor(A), 1, 0) - penalty(torch.tensor(shifted), 1, 0)) > 1  # which one is left, it decides


def test_the_mean_of_every_map_is_the_score():
    soft = convert(sequential())
    heat, against = evidence_maps(soft, IMAGES), evidence_maps(soft, IMAGES, 1, against=2)
    scores = predictor(soft, "logit")(IMAGES)
    np.testing.assert_array_equal(heat.target, scores.argmax(axis=1))
    np.testing.assert_allclose(heat.values.mean(axis=(1, 2)), scores.max(axis=1), atol=1e-12)
    np.testing.assert_allclose(against.values.mean(axis=(1, 2)), scores[:, 1] - scores[:, 2], atol=1e-12)
    assert heat.image_shape == (12, 12)
    assert heat.upsample().shape == (5, 12, 12)
    assert against.against.tolist() == [2] * 5


def test_evidence_does_not_depend_on_the_batch():
    soft = convert(sequential())
    np.testing.assert_allclose(evidence(soft, IMAGES, batch_size=1), evidence(soft, IMAGES, batch_size=5), atol=1e-12)


# --- conversion -----------------------------------------------------------------------------------------------------


def test_a_vgg_style_head_is_replaced_and_says_that_scores_differ():
    model = vgg_style()
    soft = convert(model, random_state=3)
    assert not soft.exact
    assert "weights of its own" in repr(soft)
    assert [type(layer) for layer in soft.head] == [nn.Conv2d, nn.ReLU, nn.Dropout, nn.Conv2d, nn.ReLU, nn.Dropout, nn.Conv2d]
    assert [layer.out_channels for layer in soft.head if isinstance(layer, nn.Conv2d)] == [10, 7, 2]
    assert soft.head[2].p == 0.3
    assert evidence(soft, IMAGES).shape == (5, 2, 6, 6)
    same = convert(model, random_state=3)
    assert all(torch.equal(a, b) for a, b in zip(soft.parameters(), same.parameters(), strict=True))
    assert not torch.equal(soft.head[0].weight, convert(model, random_state=4).head[0].weight)


def test_a_flattened_head_keeps_no_scores_and_is_converted_only_on_demand():
    net = seeded(lambda: nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(400, 2)))
    with pytest.raises(ValueError, match=r"does not end in global average pooling .* kind='vgg'"):
        convert(net)
    assert evidence(convert(net, kind="vgg"), IMAGES).shape == (5, 2, 10, 10)


def test_a_network_that_looks_pooled_but_is_not_is_found_out():
    class Largest(GapCNN):
        def forward(self, x):
            return self.classifier(self.features(x).amax(dim=(2, 3)))

    with pytest.raises(ValueError, match="does not end in global average pooling"):
        convert(seeded(lambda: Largest(3, (4,), (), 2)))


def test_conversion_leaves_the_original_alone():
    model = sequential().train()
    model[2].requires_grad_(False)
    before, modes = copy.deepcopy(model.state_dict()), [m.training for m in model.modules()]
    soft = convert(model)
    assert not any(m.training for m in soft.modules())
    assert not soft.features[2].weight.requires_grad
    assert soft.features[0].weight.requires_grad
    with torch.no_grad():
        for p in soft.parameters():
            p.zero_()
    assert all(torch.equal(v, before[k]) for k, v in model.state_dict().items())
    assert [m.training for m in model.modules()] == modes


def test_half_precision_is_converted_and_explained_but_not_trained():
    model = seeded(lambda: GapCNN(3, (4,), (), 2)).to(torch.bfloat16)
    soft = convert(model)
    assert evidence(soft, IMAGES).dtype == np.float32
    full = evidence(convert(model.float()), IMAGES)
    np.testing.assert_allclose(evidence(soft, IMAGES), full, atol=0.05)
    with pytest.raises(ValueError, match=r"model is in torch.bfloat16.*model.float\(\)"):
        fit(soft, IMAGES, [0, 1, 0, 1, 0], epochs=1)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_model_on_the_gpu_is_converted_trained_and_explained_there():
    soft = convert(sequential().cuda())
    trained = fit(soft, IMAGES, [0, 1, 2, 1, 0], l1=1e-3, epochs=1)
    assert next(trained.parameters()).is_cuda
    np.testing.assert_allclose(evidence(soft, IMAGES), evidence(convert(sequential()), IMAGES), atol=1e-9)


# --- the penalty ----------------------------------------------------------------------------------------------------


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10_000))
def test_penalty_is_the_formula(seed):
    A = np.random.default_rng(seed).normal(size=(3, 2, 4, 5))
    s = 256 / 20
    total, squares = np.abs(A).sum(axis=(1, 2, 3)), (A**2).sum(axis=(1, 2, 3))
    for second, term in (("frobenius", np.sqrt(s * squares)), ("squared", s * squares)):
        found = penalty(torch.tensor(A), 0.3, 0.7, second=second).item()
        assert found == pytest.approx((0.3 * s * total + 0.7 * term).mean())
    raw = penalty(torch.tensor(A), 0.3, 0.7, reference_positions=None).item()
    assert raw == pytest.approx((0.3 * total + 0.7 * np.sqrt(squares)).mean())


@pytest.mark.parametrize("second", ["frobenius", "squared"])
def test_penalty_does_not_depend_on_the_resolution_of_the_same_evidence(second):
    A = torch.tensor(RNG.normal(size=(2, 3, 4, 4)))
    finer = A.repeat_interleave(2, dim=2).repeat_interleave(2, dim=3)
    torch.testing.assert_close(penalty(finer, 0.2, 0.5, second=second), penalty(A, 0.2, 0.5, second=second))


@pytest.mark.parametrize("second", ["frobenius", "squared"])
def test_gradients_of_the_penalty(second):
    A = torch.tensor(RNG.normal(size=(2, 2, 3, 3)), requires_grad=True)
    assert torch.autograd.gradcheck(lambda a: penalty(a, 0.3, 0.2, second=second), (A,))
    s, values = 256 / 9, A.detach().numpy()
    norm = np.sqrt((values**2).sum(axis=(1, 2, 3), keepdims=True))
    slope = np.sqrt(s) * values / norm if second == "frobenius" else 2 * s * values
    penalty(A, 0.3, 0.2, second=second).backward()
    np.testing.assert_allclose(A.grad.numpy(), (0.3 * s * np.sign(values) + 0.2 * slope) / 2, atol=1e-8)


def test_evidence_of_zero_has_a_finite_gradient():
    A = torch.zeros(1, 2, 3, 3, requires_grad=True)
    penalty(A, 0.0, 1.0).backward()
    assert torch.equal(A.grad, torch.zeros_like(A))


def test_read_literally_both_terms_of_the_paper_are_one():
    A = torch.tensor(RNG.normal(size=(2, 3, 4, 4)))
    literal = torch.linalg.vector_norm(A[..., None], dim=-1).sum(dim=(1, 2, 3)).mean()  # the 2-norm of single numbers
    torch.testing.assert_close(literal, penalty(A, 1.0, 0.0, reference_positions=None))
    assert abs(literal - penalty(A, 0.0, 1.0, reference_positions=None)) > 1


def test_the_mean_over_the_batch_is_what_the_first_image_gives_in_expectation_with_less_noise():
    """The released code penalises ``activations[0]``, the first image of a batch that was shuffled."""
    A = torch.tensor(RNG.normal(size=(40, 2, 3, 3)) * RNG.random((40, 1, 1, 1)) * 3)
    each = np.array([penalty(A[[k]], 0.5, 0.5).item() for k in range(40)])
    ours = np.array([penalty(A[order[:8]], 0.5, 0.5).item() for order in (RNG.permutation(40) for _ in range(2000))])
    theirs = np.array([each[RNG.permutation(40)[0]] for _ in range(2000)])
    assert penalty(A, 0.5, 0.5).item() == pytest.approx(each.mean())
    for found in (ours, theirs):
        assert abs(found.mean() - each.mean()) < 5 * found.std() / np.sqrt(2000)
    assert ours.std() < 0.5 * theirs.std()


# --- training -------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def spots():
    """Pictures of noise; those of class 1 have one bright spot, whose place is known."""
    rng = np.random.default_rng(5)
    x = 0.1 * rng.normal(size=(160, 1, 12, 12)).astype(np.float32)
    y = np.arange(160) % 2
    masks = np.zeros((160, 12, 12), dtype=bool)
    for k in np.flatnonzero(y):
        i, j = rng.integers(1, 10, 2)
        x[k, 0, i : i + 2, j : j + 2] += 1
        masks[k, i : i + 2, j : j + 2] = True
    return x, y, masks


@pytest.fixture(scope="module")
def base(spots):
    x, y, _ = spots
    return fit(convert(seeded(lambda: GapCNN(1, (6, 8), (), 2, batch_norm=True))), x, y, epochs=6, batch_size=16)


def test_training_learns_and_the_penalty_shrinks_evidence(spots, base):
    x, y, _ = spots
    assert (evidence(base, x).mean(axis=(2, 3)).argmax(axis=1) == y).mean() > 0.95
    plain, sparse = (fit(base, x, y, l1=l1, epochs=6, batch_size=16) for l1 in (0.0, 3e-3))
    assert np.abs(evidence(sparse, x)).mean() < 0.5 * np.abs(evidence(plain, x)).mean()
    assert (evidence(sparse, x).mean(axis=(2, 3)).argmax(axis=1) == y).mean() > 0.95


def test_training_is_repeatable_and_touches_neither_model_nor_random_numbers(spots, base):
    x, y, _ = spots
    before = copy.deepcopy(base.state_dict())
    torch.manual_seed(3)
    state = torch.get_rng_state()
    one, two = (fit(base, x, y, l2=1e-3, epochs=1, random_state=4) for _ in range(2))
    other = fit(base, x, y, l2=1e-3, epochs=1, random_state=5)
    assert same(one, two)
    assert not same(one, other)
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(v, before[k]) for k, v in base.state_dict().items())
    assert not one.training


def same(a: nn.Module, b: nn.Module) -> bool:
    return all(torch.equal(x, y) for x, y in zip(a.state_dict().values(), b.state_dict().values(), strict=True))


def test_a_black_box_and_its_conversion_learn_the_same(spots):
    """A linear layer behind the mean, and before it: the same function with the same gradients."""
    x, y, _ = spots
    net = seeded(lambda: GapCNN(1, (6, 8), (), 2)).double()
    black, soft = (fit(m, x, y, epochs=1, batch_size=16, learning_rate=1e-3) for m in (net, convert(net)))
    np.testing.assert_allclose(predictor(black, "logit")(x), predictor(soft, "logit")(x), atol=1e-6)
    assert not np.allclose(predictor(black, "logit")(x), predictor(net, "logit")(x), atol=1e-3)


def test_frozen_parts_stay_as_they_are(spots, base):
    x, y, _ = spots
    model = copy.deepcopy(base).train()
    model.features.conv1.requires_grad_(False)
    trained = fit(model, x, y, l1=1e-3, epochs=1)
    assert torch.equal(trained.features.conv1.weight, model.features.conv1.weight)
    assert not torch.equal(trained.features.conv2.weight, model.features.conv2.weight)
    assert [p.requires_grad for p in trained.parameters()] == [p.requires_grad for p in model.parameters()]
    assert model.training
    for p in model.parameters():
        p.requires_grad_(False)
    with pytest.raises(ValueError, match="no parameter that requires a gradient"):
        fit(model, x, y)


def test_training_works_inside_no_grad_and_with_in_place_layers(spots):
    x, y, _ = spots
    net = seeded(lambda: nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(True), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 2)))
    with torch.no_grad():
        trained = fit(convert(net), x, y, l1=1e-4, epochs=1)
    assert not torch.equal(trained.head.weight, convert(net).head.weight)


def test_an_interrupted_training_ends_with_the_same_weights(spots, base, tmp_path, monkeypatch):
    from xailib._training import TrainingRun

    x, y, _ = spots
    how = {"l1": 1e-3, "epochs": 3, "batch_size": 16}
    soft = fit(convert(seeded(lambda: nn.Sequential(base.features, nn.Dropout(0.2), *_tail()))), x, y, epochs=1)
    want = fit(soft, x, y, **how)
    one_epoch, done = TrainingRun.one_epoch, []

    def interrupted(run, epoch):
        if epoch == 2:
            raise KeyboardInterrupt
        one_epoch(run, epoch)

    monkeypatch.setattr(TrainingRun, "one_epoch", interrupted)
    with pytest.raises(KeyboardInterrupt):
        fit(soft, x, y, checkpoint=tmp_path / "state", **how)
    monkeypatch.setattr(TrainingRun, "one_epoch", lambda run, epoch: (done.append(epoch), one_epoch(run, epoch)))
    assert same(want, fit(soft, x, y, checkpoint=tmp_path / "state", **how))
    assert done == [2]


def _tail() -> list[nn.Module]:
    return [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 2)]


@pytest.mark.parametrize("other", ["data", "labels", "penalty", "weights"])
def test_a_state_of_another_training_is_not_taken_up(other, spots, base, tmp_path):
    x, y, _ = spots
    path = tmp_path / "state"
    fit(base, x, y, l1=1e-3, epochs=1, checkpoint=path)
    model, images, labels, l1 = base, x, y, 1e-3
    if other == "data":
        images = x + 1e-3
    if other == "labels":
        labels = 1 - y
    if other == "penalty":
        l1 = 2e-3
    if other == "weights":
        model = fit(base, x, y, epochs=1)
    assert same(fit(model, images, labels, l1=l1, epochs=1, checkpoint=path), fit(model, images, labels, l1=l1, epochs=1))


def test_a_diverging_training_says_so(spots):
    x, y, _ = spots
    net = convert(seeded(lambda: GapCNN(1, (6, 8), (), 2)))
    with pytest.raises(ValueError, match=r"the loss became .* smaller learning_rate"):
        fit(net, x, y, epochs=3, learning_rate=1e30)


def test_a_single_image_is_a_batch(base, spots):
    x, y, _ = spots
    assert isinstance(fit(base, x[:1], y[:1], epochs=1), SoftCAM)


# --- editing --------------------------------------------------------------------------------------------------------


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000))
def test_the_effect_of_an_edit_is_the_mean_of_the_change(seed):
    rng = np.random.default_rng(seed)
    A, where = rng.normal(size=(3, 4, 5, 6)), rng.random((3, 5, 6)) < 0.3
    factor, add, target = rng.normal(), rng.normal(), rng.integers(0, 4, 3)
    moved = edit_maps(A, where, target=target, factor=factor, add=add).mean(axis=(2, 3)) - A.mean(axis=(2, 3))
    wanted = np.zeros((3, 4))
    for n, c in enumerate(target):
        wanted[n, c] = ((factor - 1) * A[n, c][where[n]] + add).sum() / 30
    np.testing.assert_allclose(moved, wanted, atol=1e-12)


def test_edited_scores_of_a_model():
    soft = convert(sequential())
    before = predictor(soft, "logit")(IMAGES)
    A = evidence(soft, IMAGES)
    after = edit(soft, IMAGES, [[3, 4], [0, 0]], target=1)
    np.testing.assert_allclose((before - after)[:, 1], (A[:, 1, 3, 4] + A[:, 1, 0, 0]) / 100, atol=1e-12)
    np.testing.assert_allclose(after[:, [0, 2]], before[:, [0, 2]], atol=1e-12)
    np.testing.assert_allclose(edit(soft, IMAGES, [[3, 4]], factor=1.0, add=5.0) - before, 0.05, atol=1e-12)
    np.testing.assert_allclose(edit(soft, IMAGES, np.ones((10, 10), dtype=bool)), 0, atol=1e-12)


def test_an_edit_does_not_change_its_input():
    A = RNG.normal(size=(1, 2, 3, 3))
    kept = A.copy()
    edit_maps(A, np.ones((3, 3), dtype=bool))
    np.testing.assert_array_equal(A, kept)


def test_a_lookalike_of_where_is_refused():
    A = np.zeros((1, 2, 4, 4))
    with pytest.raises(ValueError, match=r"where must be boolean, \(4, 4\) or \(1, 4, 4\)"):
        edit_maps(A, np.ones((4, 4), dtype=int))
    with pytest.raises(ValueError, match="where must lie on maps of 4 x 4"):
        edit_maps(A, [[0, 4]])


# --- states of the model --------------------------------------------------------------------------------------------


def test_explaining_leaves_no_trace():
    soft = convert(sequential(inplace=True)).train()
    for p in soft.parameters():
        p.requires_grad_(False)
    modes = [m.training for m in soft.modules()]
    with torch.inference_mode():
        values = evidence_maps(soft, IMAGES, 1).values
    assert [m.training for m in soft.modules()] == modes
    assert not any(p.requires_grad for p in soft.parameters())
    np.testing.assert_allclose(values, evidence_maps(convert(sequential()), IMAGES, 1).values, atol=1e-12)


def test_another_models_evidence_is_refused_with_a_hint():
    with pytest.raises(TypeError, match=r"model must be a SoftCAM, not Sequential: make one with softcam.convert"):
        evidence_maps(sequential(), IMAGES)
    with pytest.raises(TypeError, match="SoftCAM already"):
        convert(convert(sequential()))
    with pytest.raises(TypeError, match="must be a SoftCAM to be penalised"):
        fit(sequential(), IMAGES, [0, 1, 2, 1, 0], l1=1.0)


def test_images_of_another_size_are_welcome_and_of_other_channels_refused():
    soft = convert(sequential())
    assert evidence(soft, RNG.random((1, 3, 20, 16))).shape == (1, 3, 18, 14)
    with pytest.raises(ValueError, match="do not go through the model"):
        evidence(soft, RNG.random((1, 1, 12, 12)))
    with pytest.raises(ValueError, match="do not go through the model"):
        evidence(soft, RNG.random((1, 3, 2, 2)))


def test_missing_evidence_is_named():
    soft = convert(sequential())
    with torch.no_grad():
        soft.head[-1].bias[0] = np.nan
    with pytest.raises(ValueError, match="missing or infinite evidence"):
        evidence(soft, IMAGES)


def test_every_other_method_works_on_it():
    soft = convert(sequential())
    assert saliency.integrated_gradients(soft, IMAGES, 1, steps=3).values.shape == (5, 12, 12)
    assert saliency.layercam(soft, IMAGES, "features.1", 1).values.shape == (5, 12, 12)
    assert saliency.guided_backprop(soft, IMAGES, 1).values.shape == (5, 12, 12)
    assert predictor(soft, "probability")(IMAGES).shape == (5, 3)
    assert F.cross_entropy(soft(torch.as_tensor(IMAGES)), torch.tensor([0, 1, 2, 0, 1])).requires_grad


def test_heads_must_keep_places():
    with pytest.raises(TypeError, match="1 x 1 convolutions"):
        softcam.SoftCAM(nn.Identity(), nn.Conv2d(3, 2, 3))
