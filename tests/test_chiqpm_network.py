"""Losses against their formulas, the head against arithmetic, and fine-tuning that changes what it may and nothing else."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from xailib.chiqpm import _pipeline, network
from xailib.chiqpm.network import CHiQPM, describe, diversity_loss, fine_tune, grounding_loss, pooled_features, with_binary_head
from xailib.chiqpm.program import class_correlations
from xailib.zoo.architectures import GapCNN

RNG = np.random.default_rng(0)
W = np.array([[1, 1, 0, 0], [0, 1, 1, 0], [0, 0, 1, 1]], bool)
IMAGES = RNG.random((24, 3, 8, 8))
LABELS = np.arange(24) % 3
SEEDS = st.integers(0, 10_000)


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def small_dense(seed: int = 0) -> GapCNN:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        dense = GapCNN(3, (5, 6), (1,), 3).eval()
        dense.features.conv2.bias.data += 0.3  # no feature is dead
        return dense


def small_net(seed: int = 0) -> CHiQPM:
    dense = small_dense(seed)
    return with_binary_head(dense, [0, 2, 3, 5], W, pooled_features(dense, IMAGES))


# --- losses ---------------------------------------------------------------------------------------------------------


def slow_diversity(maps, scores, weights, beta):
    """The formula with loops."""
    total = 0.0
    for M, z in zip(maps, scores, strict=True):
        w = np.abs(weights[z.argmax()])
        w = w / (np.linalg.norm(w) + 1e-5)
        means = M.mean(axis=(1, 2))
        crowned = np.zeros(M[0].size)
        for m, weight, mean in zip(M, w, means, strict=True):
            e = np.exp(m.ravel() - m.max())
            crowned = np.maximum(crowned, weight * mean / max(means.max(), 1e-6) * e / e.sum())
        total += crowned.sum()
    return -beta * total / len(maps)


@given(SEEDS)
@settings(deadline=None, max_examples=20)
def test_diversity_loss_is_the_formula(seed):
    rng = np.random.default_rng(seed)
    maps, scores, weights = np.maximum(rng.normal(size=(3, 4, 2, 3)), 0), rng.normal(size=(3, 5)), rng.normal(size=(5, 4))
    loss = diversity_loss(*map(torch.tensor, (maps, scores, weights)), strength=0.3)
    assert np.isclose(loss.item(), slow_diversity(maps, scores, weights, 0.3))
    assert -0.3 * np.sqrt(4) <= loss.item() <= 0


def test_features_that_look_apart_are_rewarded():
    apart = torch.zeros(1, 2, 1, 20)
    apart[0, 0, 0, 0] = apart[0, 1, 0, 9] = 50.0
    scores, weights = torch.ones(1, 1), torch.ones(1, 2)
    losses = [diversity_loss(m, scores, weights, strength=1.0).item() for m in (apart, apart[:, [0, 0]])]
    assert np.allclose(losses, [-np.sqrt(2), -np.sqrt(2) / 2], atol=1e-4)


def test_grounding_loss_by_hand():
    f = torch.tensor([[2.0, 1.0, 0.5, 0.0], [0.0, 0.0, 0.0, 0.0]], dtype=torch.float64)
    head = torch.tensor(W, dtype=torch.float64)
    assert np.isclose(grounding_loss(f[:1], torch.tensor([0]), head, factor=1.0).item(), (0.25 - 1.5) / 2)
    assert np.isclose(grounding_loss(f[:1], torch.tensor([0]), head).item(), (2 * 0.25 - 1.5) / 2)
    assert np.isclose(grounding_loss(f, torch.tensor([0, 1]), head).item(), (2 * 0.25 - 1.5) / 2 / 2)


@given(SEEDS, st.floats(0.5, 50))
@settings(deadline=None, max_examples=20)
def test_grounding_loss_has_its_bounds_and_ignores_scale(seed, scale):
    rng = np.random.default_rng(seed)
    f, labels = torch.tensor(rng.exponential(size=(6, 4)) + 0.1), torch.tensor(rng.integers(3, size=6))
    head = torch.tensor(W, dtype=torch.float64)
    loss = grounding_loss(f, labels, head).item()
    assert -1 <= loss <= 2
    assert np.isclose(loss, grounding_loss(scale * f, labels, head).item())


def test_the_scale_of_the_grounding_loss_is_differentiated():
    """A loss that ignores scale has a gradient at right angles to the features; with a detached scale it would not."""
    f = torch.tensor([[2.0, 1.0, 0.5, 0.3]], dtype=torch.float64, requires_grad=True)
    grounding_loss(f, torch.tensor([1]), torch.tensor(W, dtype=torch.float64)).backward()
    assert np.isclose((f.grad * f).sum().item(), 0)
    assert f.grad.abs().sum() > 0.1


# --- the head -------------------------------------------------------------------------------------------------------


def test_the_head_is_arithmetic():
    dense = small_dense()
    X = pooled_features(dense, IMAGES)
    net, chosen = with_binary_head(dense, [5, 0, 2, 3], W, X), [5, 0, 2, 3]
    found = describe(net, IMAGES)
    expected = np.maximum((X[:, chosen] - X[:, chosen].mean(axis=0)) / X[:, chosen].std(axis=0), 0)
    assert np.allclose(found.features, expected, atol=1e-4)
    assert np.allclose(found.scores, expected @ W.T, atol=1e-4)
    assert np.allclose(found.maps, network.feature_maps(dense, IMAGES)[:, chosen], atol=1e-5)
    assert (found.predicted == found.scores.argmax(axis=1)).all()
    with torch.no_grad():
        assert np.allclose(net(torch.tensor(IMAGES, dtype=torch.float32)), found.scores, atol=1e-4)


def test_a_dropped_feature_counts_as_zero():
    """Dropout comes before the mean is taken off, so what is dropped is below it, and cut."""
    net = CHiQPM(nn.Identity(), W, np.full(4, 0.5), np.ones(4), dropout=0.5).train()
    with torch.random.fork_rng():
        torch.manual_seed(0)
        f = net.normalised(torch.ones(200, 4, 2, 2))
    assert set(f.unique().tolist()) == {0.0, 1.5}


def test_a_feature_that_never_varies_is_not_divided_by_zero():
    net = CHiQPM(nn.Identity(), W, np.zeros(4), np.zeros(4)).eval()
    assert torch.isfinite(net(torch.ones(1, 4, 2, 2))).all()
    assert not net(torch.zeros(1, 4, 2, 2)).any()


def test_pooled_features_are_means_of_maps_in_any_batches():
    dense = small_dense()
    maps = network.feature_maps(dense, IMAGES)
    assert np.allclose(maps.mean(axis=(2, 3)), pooled_features(dense, IMAGES, batch_size=5), atol=1e-6)


# --- training -------------------------------------------------------------------------------------------------------


def colours(n: int, seed: int = 0, *, noise: float = 0.2) -> tuple[np.ndarray, np.ndarray]:
    """Pictures of one colour with noise: a network learns them in a few steps."""
    rng = np.random.default_rng(seed)
    y = np.arange(n) % 3
    x = noise * rng.random((n, 3, 8, 8))
    x[np.arange(n), y] += 0.6 * rng.random((n, 1, 1))
    return x, y


DENSE = {"widths": (6, 8), "pool_after": (1,), "epochs": 6, "batch_size": 16}


def test_the_whole_way_learns():
    x, y = colours(240)
    dense = network.train_dense(x, y, **DENSE)
    X = pooled_features(dense, x)
    scores = X @ dense.classifier.weight.detach().numpy().T + dense.classifier.bias.detach().numpy()
    assert (scores.argmax(axis=1) == y).mean() > 0.9
    best = class_correlations(X, y).argmax(axis=0)
    net = with_binary_head(dense, best, np.eye(3), X)
    tuned = fine_tune(net, x, y, cycles=(2, 4), batch_size=16, learning_rate=1e-2)
    assert (describe(tuned, x).predicted == y).mean() > max(0.9, (describe(net, x).predicted == y).mean())


def test_fine_tuning_leaves_head_and_original_alone():
    x, y = colours(48)
    net = small_net()
    before = {k: v.clone() for k, v in net.state_dict().items()}
    tuned = fine_tune(net, x, y, cycles=(1,), batch_size=16)
    for key, value in net.state_dict().items():
        assert torch.equal(value, before[key])
    for name in ("W", "mean", "std"):
        assert torch.equal(getattr(tuned, name), before[name])
    assert not torch.equal(tuned.state_dict()["features.conv2.weight"], before["features.conv2.weight"])
    assert list(tuned.state_dict()) == list(before)
    assert not tuned.training


def test_layers_before_train_from_stay():
    x, y = colours(48)
    net = small_net()
    tuned = fine_tune(net, x, y, cycles=(1,), batch_size=16, train_from="conv2")
    assert torch.equal(tuned.state_dict()["features.conv1.weight"], net.state_dict()["features.conv1.weight"])
    assert not torch.equal(tuned.state_dict()["features.conv2.weight"], net.state_dict()["features.conv2.weight"])
    assert [name for name, _ in tuned.features.named_children()] == [name for name, _ in net.features.named_children()]


def test_same_seed_same_weights_and_another_seed_others():
    x, y = colours(48)
    runs = [fine_tune(small_net(), x, y, cycles=(1, 1), batch_size=16, random_state=s).state_dict() for s in (1, 1, 2)]
    assert all(torch.equal(runs[0][k], runs[1][k]) for k in runs[0])
    assert any(not torch.equal(runs[0][k], runs[2][k]) for k in runs[0])


def test_grounding_stops_in_the_free_epochs(monkeypatch):
    strengths = []
    monkeypatch.setattr(
        network._BinaryLoss, "__call__", lambda self, m, x, y: strengths.append(self.grounding) or m(x).square().mean()
    )
    fine_tune(small_net(), *colours(16), cycles=(1, 2), free_epochs=1, batch_size=16, grounding=3.0)
    assert strengths == [3.0, 3.0, 0.0]


def test_grounding_brings_its_loss_down():
    x, y = colours(240)

    def loss(grounding):
        tuned = fine_tune(small_net(), x, y, cycles=(1,), free_epochs=0, batch_size=16, learning_rate=5e-3, grounding=grounding)
        return grounding_loss(
            torch.tensor(describe(tuned, x).features), torch.tensor(y), torch.tensor(W, dtype=torch.float64)
        ).item()

    assert loss(3.0) < loss(0.0) - 0.05


def test_a_killed_dense_training_goes_on(tmp_path, monkeypatch):
    x, y = colours(48)
    whole = network.train_dense(x, y, **DENSE | {"epochs": 3}).state_dict()
    real = network.TrainingRun.one_epoch

    def killed(self, epoch):
        if epoch == 2:
            raise KeyboardInterrupt
        real(self, epoch)

    monkeypatch.setattr(network.TrainingRun, "one_epoch", killed)
    with pytest.raises(KeyboardInterrupt):
        network.train_dense(x, y, **DENSE | {"epochs": 3}, checkpoint=tmp_path / "state")
    monkeypatch.setattr(network.TrainingRun, "one_epoch", real)
    again = network.train_dense(x, y, **DENSE | {"epochs": 3}, checkpoint=tmp_path / "state").state_dict()
    assert all(torch.equal(whole[k], again[k]) for k in whole)


def test_a_network_with_batch_normalisation_is_refused_with_the_remedy():
    with pytest.raises(ValueError, match="fold it"):
        with_binary_head(GapCNN(3, (4, 6), (1,), 3, batch_norm=True), [0, 1, 2, 3], W, np.ones((5, 6)))


def test_stored_networks_of_the_course_come_back_as_they_were():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        dense = GapCNN(3, network.WIDTHS, network.POOL_AFTER, 3).eval()
    images = RNG.random((4, 3, 16, 16))
    both = _pipeline.Networks(dense, with_binary_head(dense, [5, 0, 2, 90], W, pooled_features(dense, images)))
    again = _pipeline.from_state(both.state_dict())
    assert again.binary.selected.tolist() == [5, 0, 2, 90]
    assert np.array_equal(describe(again.binary, images).scores, describe(both.binary, images).scores)
    assert np.array_equal(pooled_features(again.dense, images), pooled_features(dense, images))


def test_a_state_of_another_training_is_not_taken_up(tmp_path):
    x, y = colours(48)
    state = tmp_path / "state"
    for changed in ({"epochs": 2}, {"epochs": 3, "dropout": 0.5}):
        network.train_dense(x, y, **DENSE | changed, checkpoint=state)
        again = network.train_dense(x, y, **DENSE | {"epochs": 3}, checkpoint=state).state_dict()
        fresh = network.train_dense(x, y, **DENSE | {"epochs": 3}).state_dict()
        assert all(torch.equal(again[k], fresh[k]) for k in fresh)
