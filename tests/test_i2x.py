"""The identities of the pipeline, planted maps that must be recovered, and controls that must be what they promise."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.decomposition import PCA
from sklearn.linear_model import LinearRegression, Ridge
from torch import nn

from xailib import attention, i2x, saliency, zoo
from xailib.i2x import checks, prototypes
from xailib.zoo.architectures import GapCNN
from xailib.zoo.vit import SmallViT

RNG = np.random.default_rng(0)
LAYER = "features.relu2"


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


IMAGES, LABELS, _ = zoo.digits()
IMAGES, LABELS = IMAGES[:200], LABELS[:200]
START = seeded(lambda: GapCNN(1, (6, 10), (1,), 10))


@pytest.fixture(scope="module")
def checkpoints():
    return i2x.train(START, IMAGES, LABELS, keep=4, epochs=6, batch_size=20, learning_rate=0.02)


@pytest.fixture(scope="module")
def found(checkpoints):
    return i2x.find_prototypes(checkpoints.model, IMAGES, LAYER, 6)


@pytest.fixture(scope="module")
def traced(checkpoints, found):
    return i2x.trace(checkpoints, IMAGES, LABELS, found)


def made_up(dP: np.ndarray, dY: np.ndarray, labels: np.ndarray, counts: np.ndarray | None = None) -> i2x.Trace:
    """A trace with given changes (T, N, K) and (T, N, C)."""
    T, N, K = dP.shape
    P, Y = (np.concatenate([np.zeros((1, *d.shape[1:])), d.cumsum(axis=0)]) for d in (dP, dY))
    assignments = np.arange(N * K).reshape(N, 1, K) % K
    counts = np.ones((N, K), int) if counts is None else counts
    return i2x.Trace(P, Y, counts, assignments, labels, np.arange(T + 1) * 10, "made up")


def effects_with(influence: np.ndarray) -> i2x.Effects:
    influence = np.asarray(influence, float)
    return i2x.Effects(influence, np.ones(influence.shape[:2]), np.arange(len(influence) + 1), "per sample", 1.0)


# --- checkpoints ------------------------------------------------------------------------------------------------------


def test_the_first_checkpoint_is_the_start_and_keeping_states_changes_nothing(checkpoints):
    assert checkpoints.steps.tolist() == [0, 15, 30, 45, 60]
    for name, value in START.state_dict().items():
        torch.testing.assert_close(checkpoints.states[0][name], value)
    few = i2x.train(START, IMAGES, LABELS, keep=[30, 60], epochs=6, batch_size=20, learning_rate=0.02)
    for name in few.states[0]:
        torch.testing.assert_close(few.states[0][name], checkpoints.states[2][name], rtol=0, atol=0)
        torch.testing.assert_close(few.states[1][name], checkpoints.states[4][name], rtol=0, atol=0)


def test_another_seed_is_another_order_from_the_same_start():
    one, other = (i2x.train(START, IMAGES[:40], LABELS[:40], keep=1, batch_size=10, random_state=s) for s in (0, 1))
    weight = "classifier.weight"
    torch.testing.assert_close(one.states[0][weight], other.states[0][weight], rtol=0, atol=0)
    assert (one.states[1][weight] - other.states[1][weight]).abs().max() > 1e-6


def test_a_checkpoint_is_a_model_of_its_own(checkpoints):
    model = checkpoints.at(1)
    with torch.no_grad():
        model.classifier.weight.zero_()
    assert checkpoints.at(1).classifier.weight.abs().sum() > 0
    assert not checkpoints.at(1).training


def test_collected_models_may_change_afterwards():
    models = [seeded(lambda: nn.Linear(2, 2), s) for s in (0, 1)]
    kept = models[0].weight.detach().clone()
    together = i2x.collect(models, steps=[0, 7])
    with torch.no_grad():
        models[0].weight.zero_()
    torch.testing.assert_close(together.at(0).weight, kept)
    states = i2x.collect([m.state_dict() for m in models], model=models[0])
    torch.testing.assert_close(states.at(1).weight, models[1].weight)


def test_one_checkpoint_and_other_architectures_are_refused():
    with pytest.raises(ValueError, match="one checkpoint, but a change needs two"):
        i2x.collect([START])
    with pytest.raises(ValueError, match=r"checkpoint 0 differs: the shape of 'features.conv1.weight' is \(5"):
        i2x.collect([GapCNN(1, (5, 10), (1,), 10), START])
    with pytest.raises(ValueError, match=r"checkpoint 0 differs: the shape of 'features.conv3.weight' is .*, not none"):
        i2x.collect([GapCNN(1, (6, 10, 10), (1,), 10), START])


def test_stages_train_on_their_own_images_one_after_the_other():
    stages = [np.arange(40), np.arange(40, 80)]
    first, second = i2x.fine_tune(START, IMAGES, LABELS, stages, batch_size=10)
    alone = i2x.fine_tune(START, IMAGES, LABELS, stages[:1], batch_size=10)[0]
    elsewhere = i2x.fine_tune(START, IMAGES[:40], LABELS[:40], [range(40)], batch_size=10)[0]
    for model in (alone, elsewhere):  # what is not in a stage has no say
        torch.testing.assert_close(model.state_dict(), first.state_dict(), rtol=0, atol=0)
    assert (first.classifier.weight - second.classifier.weight).abs().max() > 1e-6
    twice = i2x.fine_tune(START, IMAGES, LABELS, stages[:1], batch_size=10, epochs=2)[0]
    assert (twice.classifier.weight - first.classifier.weight).abs().max() > 1e-6


# --- prototypes -------------------------------------------------------------------------------------------------------


def features_of(model, images: np.ndarray = IMAGES) -> np.ndarray:
    with torch.no_grad():
        return model.features(torch.tensor(images)).numpy()


def test_the_axes_are_those_of_a_pca(checkpoints, found):
    vectors = features_of(checkpoints.model).transpose(0, 2, 3, 1).reshape(-1, 10).astype(float)
    pca = PCA(0.95, svd_solver="full").fit(vectors)
    assert len(found.axes) == pca.n_components_ < 10
    np.testing.assert_allclose(found.mean, pca.mean_, atol=1e-6)
    np.testing.assert_allclose(np.abs(found.axes @ pca.components_.T), np.eye(len(found.axes)), atol=1e-4)
    assert found.explained == pytest.approx(pca.explained_variance_ratio_.sum(), abs=1e-6)


def test_each_place_belongs_to_the_nearest_centre(checkpoints, found):
    F = features_of(checkpoints.model)
    Z = (F.transpose(0, 2, 3, 1).astype(float) - found.mean) @ found.axes.T
    distance = np.linalg.norm(Z[..., None, :] - found.centres, axis=-1)
    np.testing.assert_array_equal(found.assign(F), distance.argmin(axis=-1))
    np.testing.assert_array_equal(i2x.assign(checkpoints.model, IMAGES, found, batch_size=7), distance.argmin(axis=-1))


def test_prototypes_are_numbered_by_how_often_they_occur(checkpoints, found):
    assert (np.diff(found.shares) <= 0).all()
    counts = np.bincount(i2x.assign(checkpoints.model, IMAGES, found).ravel(), minlength=6)
    np.testing.assert_allclose(counts / counts.sum(), found.shares, atol=0.05)  # k-means' own labels are a step behind


def test_the_batch_does_not_matter_and_few_vectors_do(checkpoints, found):
    again = i2x.find_prototypes(checkpoints.model, IMAGES, LAYER, 6, batch_size=33)
    np.testing.assert_allclose(again.centres, found.centres, atol=1e-4)
    sampled = i2x.find_prototypes(checkpoints.model, IMAGES, LAYER, 6, max_vectors=160)  # 10 images of 16 places
    assert sampled.centres.shape == (6, len(sampled.axes))
    assert np.abs(sampled.mean - found.mean).max() > 1e-3


def test_planted_clusters_are_found():
    colours = np.array([[3, 0, 0], [0, 3, 0], [0, 0, 3], [3, 3, 3]], float)
    images = RNG.normal(0, 0.05, (30, 3, 4, 4)) + colours[RNG.integers(4, size=(30, 4, 4))].transpose(0, 3, 1, 2)
    net = nn.Sequential(nn.Identity(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(3, 2).double())
    four = i2x.find_prototypes(net, images, "0", 4)
    centres = four.centres @ four.axes + four.mean
    assert np.linalg.norm(centres[:, None] - colours, axis=2).min(axis=0).max() < 0.1


def test_exemplars_are_the_nearest_places_one_per_image(checkpoints, found):
    frame = i2x.exemplars(checkpoints.model, IMAGES, found, n_images=3, batch_size=64)
    a, squared = prototypes.nearest_places(found, features_of(checkpoints.model))
    for k, rows in frame.groupby("prototype"):
        assert rows["rank"].tolist() == list(range(1, len(rows) + 1))
        assert not rows["image"].duplicated().any()
        best = np.sort(np.where(a == k, squared, np.inf).min(axis=(1, 2)))[:3]
        np.testing.assert_allclose(rows["distance"] ** 2, best[: len(rows)], atol=1e-8)
        assert (a[rows["image"], rows["row"], rows["column"]] == k).all()


# --- attention and intensities ----------------------------------------------------------------------------------------


@settings(deadline=None, max_examples=30)
@given(st.integers(1, 5), st.integers(1, 4), st.integers(1, 6), st.integers(0, 2**31))
def test_intensities_keep_the_sum_of_the_map(n, side, K, seed):
    rng = np.random.default_rng(seed)
    maps, a = rng.normal(size=(n, side, side)), rng.integers(K, size=(n, side, side))
    P, counts = i2x.intensities(maps, a, K)
    np.testing.assert_allclose((counts * P).sum(axis=1), maps.sum(axis=(1, 2)), atol=1e-12)
    assert (counts.sum(axis=1) == side * side).all()
    assert (P[counts == 0] == 0).all()
    constant, _ = i2x.intensities(np.full_like(maps, 2.5), a, K)
    np.testing.assert_allclose(constant[counts > 0], 2.5)


def test_a_trace_is_gradcam_at_every_checkpoint(checkpoints, found, traced):
    maps = i2x.attention_maps(checkpoints, IMAGES, LABELS, LAYER)
    for t in range(5):
        model = checkpoints.at(t)
        np.testing.assert_allclose(maps[t], saliency.gradcam(model, IMAGES, LAYER, LABELS, relu=True).values, atol=1e-6)
        np.testing.assert_allclose(traced.P[t], i2x.intensities(maps[t], traced.assignments, 6)[0], atol=1e-6)
        with torch.no_grad():
            wanted = model(torch.tensor(IMAGES)).double().softmax(dim=1).numpy()
        np.testing.assert_allclose(traced.Y[t], wanted, atol=1e-6)
    np.testing.assert_array_equal(traced.assignments, i2x.assign(checkpoints.model, IMAGES, found))
    np.testing.assert_allclose((traced.counts * traced.P[-1]).sum(axis=1), maps[-1].sum(axis=(1, 2)), rtol=1e-5, atol=1e-5)


def test_what_is_absent_does_not_change_and_confidences_stay_on_the_simplex(traced):
    assert (~traced.present).any()
    for t in range(traced.n_intervals):
        assert (traced.dP(t)[~traced.present] == 0).all()
        np.testing.assert_allclose(traced.dY(t).sum(axis=1), 0, atol=1e-14)
    np.testing.assert_allclose(traced.shares.sum(axis=1), 1)
    np.testing.assert_allclose(traced.support().sum(axis=0), 1)
    np.testing.assert_allclose(np.exp(-traced.losses), traced.Y[-1][np.arange(200), LABELS])


def test_a_trace_does_not_depend_on_the_batch(checkpoints, found, traced):
    again = i2x.trace(checkpoints, IMAGES, LABELS, found, batch_size=33)
    np.testing.assert_allclose(again.P, traced.P, atol=1e-5)
    np.testing.assert_array_equal(again.counts, traced.counts)


def test_no_call_is_larger_than_the_batch(found):
    """Memory is bounded: only one batch of features and maps is held at a time."""

    class Net(GapCNN):
        sizes: list[int] = []  # noqa: RUF012, shared by all copies on purpose

        def forward(self, x):
            self.sizes.append(len(x))
            return super().forward(x)

    models = [seeded(lambda: Net(1, (6, 10), (1,), 10), s) for s in (0, 1)]
    six = i2x.find_prototypes(models[1], IMAGES, LAYER, 6, batch_size=32)
    i2x.trace(i2x.collect(models), IMAGES, LABELS, six, batch_size=32)
    i2x.exemplars(models[1], IMAGES, six, batch_size=32)
    assert max(Net.sizes) == 32
    Net.sizes.clear()
    i2x.trace(i2x.collect(models), IMAGES, LABELS, six, batch_size=50)
    assert Net.sizes == [1] + [50] * 8  # one image to count the classes, then every image once at every checkpoint


def test_the_gradient_stops_at_the_layer(found):
    """A network that can not be differentiated below the layer is no problem."""

    class NoWayBack(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x.clone()

        @staticmethod
        def backward(ctx, grad):
            raise AssertionError("the gradient went below the layer")

    class Net(GapCNN):
        def forward(self, x):
            return super().forward(NoWayBack.apply(x))

    models = [seeded(lambda: Net(1, (6, 10), (1,), 10), s) for s in (0, 1)]
    assert i2x.attention_maps(i2x.collect(models), IMAGES[:5], 3, LAYER).shape == (2, 5, 4, 4)
    with pytest.raises(AssertionError):
        i2x.attention_maps(i2x.collect(models), IMAGES[:5], 3, LAYER, source="gradient x input")


def test_options_of_attention(checkpoints, found, traced):
    signed = i2x.attention_maps(checkpoints, IMAGES[:20], LABELS[:20], LAYER, relu=False)
    maps = i2x.attention_maps(checkpoints, IMAGES[:20], LABELS[:20], LAYER)
    assert signed.min() < 0
    np.testing.assert_allclose(maps, np.maximum(signed, 0))
    scaled = i2x.attention_maps(checkpoints, IMAGES[:20], LABELS[:20], LAYER, normalise=True)
    largest = scaled.max(axis=(2, 3))
    assert np.isclose(largest, 1).mean() > 0.5
    np.testing.assert_allclose(largest[~np.isclose(largest, 1)], 0)  # a map without any positive evidence
    other = i2x.trace(checkpoints, IMAGES, LABELS, found, target=3)
    assert np.allclose(other.P[:, LABELS == 3], traced.P[:, LABELS == 3], atol=1e-5)
    assert not np.allclose(other.P[:, LABELS != 3], traced.P[:, LABELS != 3], atol=1e-2)


def test_gradient_x_input_is_averaged_over_the_pixels_of_a_place(checkpoints):
    maps = i2x.attention_maps(checkpoints, IMAGES[:5], LABELS[:5], LAYER, source="gradient x input", relu=False)
    M = saliency.gradient(checkpoints.at(2), IMAGES[:5], LABELS[:5]).values * IMAGES[:5, 0]
    np.testing.assert_allclose(maps[2], M.reshape(5, 4, 2, 4, 2).mean(axis=(2, 4)), atol=1e-6)


def test_a_source_of_ones_own_and_what_it_is_called(checkpoints, found):
    def brightness(model, images, classes):
        return images[:, 0]

    own = i2x.trace(checkpoints, IMAGES[:20], LABELS[:20], found, source=brightness)
    assert own.source == "brightness"
    wanted = IMAGES[:20, 0].reshape(20, 4, 2, 4, 2).mean(axis=(2, 4))
    np.testing.assert_allclose((own.counts * own.P[0]).sum(axis=1), wanted.sum(axis=(1, 2)), rtol=1e-5)


def test_rollout_of_a_small_vision_transformer():
    models = [seeded(lambda: SmallViT(1, 8, 2, 10, width=8, n_heads=2), s) for s in (0, 1)]
    pair = i2x.collect(models)
    maps = i2x.attention_maps(pair, IMAGES[:4], 0, "maps", source="rollout")
    np.testing.assert_allclose(maps.sum(axis=(2, 3)), 1, rtol=1e-5)
    patterns = []
    hooks = [b.attention.pattern.register_forward_hook(lambda _m, _i, out: patterns.append(out)) for b in models[1].blocks]
    with torch.no_grad():
        models[1](torch.tensor(IMAGES[:4]))
    R = attention.rollout(torch.stack(patterns).numpy())
    np.testing.assert_allclose(maps[1].reshape(4, 16), R.mean(axis=1), rtol=1e-5)
    assert hooks
    np.testing.assert_array_equal(maps, i2x.attention_maps(pair, IMAGES[:4], 7, "maps", source="rollout"))  # knows no class
    six = i2x.find_prototypes(models[1], IMAGES, "maps", 6)
    assert i2x.trace(pair, IMAGES, LABELS, six, source="rollout").P.shape == (2, 200, 6)
    assert i2x.trace(pair, IMAGES, LABELS, six).P.any()  # Grad-CAM works on its maps as well


# --- ridge ------------------------------------------------------------------------------------------------------------


@settings(deadline=None, max_examples=25)
@given(st.integers(2, 30), st.integers(1, 6), st.integers(1, 4), st.floats(1e-3, 1e3), st.booleans(), st.integers(0, 2**31))
def test_ridge_is_scikit_learns(N, K, C, alpha, centre, seed):
    rng = np.random.default_rng(seed)
    dP, dY, w = rng.normal(size=(N, K)), rng.normal(size=(N, C)), rng.random(N) + 0.1
    theirs = Ridge(alpha, fit_intercept=centre).fit(dP, dY, w).coef_.reshape(C, K).T
    np.testing.assert_allclose(i2x.ridge(dP, dY, alpha, weights=w, standardise=False, centre=centre), theirs, atol=1e-8)
    scaled = Ridge(alpha, fit_intercept=False).fit(dP / dP.std(axis=0), dY).coef_.reshape(C, K).T / dP.std(axis=0)[:, None]
    np.testing.assert_allclose(i2x.ridge(dP, dY, alpha), scaled, rtol=1e-6, atol=1e-8)


def test_a_planted_map_is_recovered_as_the_penalty_goes_to_zero():
    B = RNG.normal(size=(8, 4))
    B -= B.mean(axis=1, keepdims=True)
    dP = RNG.normal(size=(4000, 8)) * 10.0 ** np.arange(-4, 4)  # prototypes of very different size
    noise = RNG.normal(0, 0.01, (4000, 4))
    clean, noisy = dP @ B, dP @ B + noise - noise.mean(axis=1, keepdims=True)
    np.testing.assert_allclose(i2x.ridge(dP, clean, 1e-9), B, atol=1e-9)
    errors = [
        np.abs(i2x.ridge(dP, noisy, alpha) * dP.std(axis=0)[:, None] - B * dP.std(axis=0)[:, None]).max()
        for alpha in (1e4, 1, 1e-6)
    ]
    assert errors[0] > errors[1] > errors[2] / 2
    assert errors[2] < 0.001


def test_rows_of_beta_sum_to_zero(traced):
    for mode in ("per sample", "grouped"):
        effects = i2x.explain(traced, mode=mode)
        assert np.abs(effects.beta).max() > 1e-3
        np.testing.assert_allclose(effects.influence.sum(axis=2), 0, atol=1e-12)


def test_a_prototype_that_never_changes_has_no_effect():
    dP = RNG.normal(size=(50, 3))
    dP[:, 1] = 0
    beta = i2x.ridge(dP, RNG.normal(size=(50, 2)))
    assert (beta[1] == 0).all()
    assert (beta[[0, 2]] != 0).all()


def test_the_explanation_recovers_what_was_planted_in_each_stretch():
    B = RNG.normal(size=(3, 5, 4))
    dP = RNG.normal(size=(3, 500, 5)) * [1.0, 2.0, 3.0, 4.0, 5.0]
    effects = i2x.explain(made_up(dP, dP @ B, RNG.integers(4, size=500)), alpha=1e-9)
    np.testing.assert_allclose(effects.beta, B, atol=1e-9)
    np.testing.assert_allclose(effects.influence, B * dP.std(axis=1)[:, :, None], atol=1e-8)
    frame = effects.to_frame()
    assert len(frame) == 60
    row = frame.query("interval == 2 and prototype == 4 and label == 1").iloc[0]
    assert row["beta"] == pytest.approx(B[2, 4, 1])
    assert (row["from_step"], row["to_step"]) == (20, 30)


# --- groups -----------------------------------------------------------------------------------------------------------


def blobs(n: int, noise: float = 0.01, groups: int = 3) -> tuple[np.ndarray, np.ndarray]:
    truth = np.arange(n) % groups
    centres = np.eye(3)[:groups] - 1 / 3
    return centres[truth] + np.random.default_rng(1).normal(0, noise, (n, 3)), truth


def same_partition(a: np.ndarray, b: np.ndarray) -> bool:
    return len(pd.crosstab(a, b).to_numpy().nonzero()[0]) == len(np.unique(a)) == len(np.unique(b))


def test_planted_groups_are_found_and_the_rest_joins_the_nearest():
    dY, truth = blobs(600)
    groups = i2x.find_groups(dY, min_cluster_size=10)
    clustered = groups.labels >= 0
    assert groups.found
    assert clustered.mean() > 0.9
    assert same_partition(groups.labels[clustered], truth[clustered])
    sampled = i2x.find_groups(dY, max_rows=150)
    assert sampled.n_sampled == 150
    assert (sampled.labels >= 0).sum() >= 450  # every row that was not sampled has a group
    assert same_partition(sampled.labels[sampled.labels >= 0], truth[sampled.labels >= 0])
    np.testing.assert_allclose(groups.means(dY).sum(axis=1), 0, atol=0.01)
    assert groups.sizes.sum() == clustered.sum()


def test_the_smallest_group_shrinks_until_there_is_little_noise():
    lattice = np.stack(np.meshgrid(*[np.arange(3.0)] * 3), axis=-1).reshape(-1, 3)  # 27 groups of 8, none denser than others
    dY = np.repeat(lattice, 8, axis=0) + 0.01 * np.random.default_rng(1).normal(size=(216, 3))
    groups = i2x.find_groups(dY)
    assert groups.min_cluster_size < 20
    assert groups.noise_share < 0.5
    assert groups.n_groups == 27


def test_only_noise_falls_back_to_one_group_and_says_so():
    dY = np.random.default_rng(0).normal(size=(3, 2)) * [1, 100]
    groups = i2x.find_groups(dY)
    assert not groups.found
    assert groups.labels.tolist() == [0, 0, 0]
    assert "only noise was found: all 3 rows are in one group" in repr(groups)
    assert groups.noise_share == 1


def test_grouped_rows_are_means_weighted_by_size_and_noise_stays_out():
    dY, truth = blobs(90)
    dP = RNG.normal(size=(90, 2)) + truth[:, None]
    labels = np.where(np.arange(90) < 9, -1, truth)
    groups = i2x.Groups(labels, 2, 90, 0.1, found=True)
    effects = i2x.explain(made_up(dP[None], dY[None], truth), mode="grouped", groups=[groups], standardise=False)
    means = [np.stack([v[labels == g].mean(axis=0) for g in range(3)]) for v in (dP, dY)]
    theirs = Ridge(1.0, fit_intercept=False).fit(*means, np.bincount(labels[labels >= 0])).coef_.T
    np.testing.assert_allclose(effects.beta[0], theirs, atol=1e-10)


def test_effects_inside_groups_are_ridges_of_their_rows(traced):
    groups = i2x.Groups(np.where(np.arange(200) < 20, -1, np.arange(200) % 2), 2, 200, 0.1, found=True)
    inside = i2x.group_effects(traced, 1, groups)
    assert inside.shape == (2, 6, 10)
    rows = groups.labels == 1
    np.testing.assert_allclose(inside[1], i2x.ridge(traced.dP(1)[rows], traced.dY(1)[rows]), atol=1e-12)


# --- the structured map -----------------------------------------------------------------------------------------------

#: (T, K, C) = (4, 4, 2): prototype 0 swings, 1 is steady, 2 swings weakly, 3 does nothing
SWINGS = np.array([[1, -1, 1, -1], [2, 2, 2, 2], [0.1, -0.1, 0.1, -0.1], [0, 0, 0, 0]], float).T
STORY = effects_with(np.stack([SWINGS, -SWINGS], axis=2))


def test_uncertain_prototypes_change_their_mind_often_and_strongly():
    frame = i2x.uncertain_prototypes(STORY, (0, 1)).set_index("prototype")
    assert frame.query("uncertain").index.tolist() == [0]
    assert frame.loc[0, ["changes", "swing"]].tolist() == [3, 2.0]
    assert frame.loc[1, ["changes", "swing"]].tolist() == [0, 0.0]
    assert frame.loc[2, "changes"] == 0  # too weak to be counted ...
    weak = i2x.uncertain_prototypes(STORY, (1, 0), active=0.0, swing=0.0).set_index("prototype")
    assert weak.loc[2, ["changes", "swing"]].tolist() == [3, 0.2]  # ... unless all are
    assert weak.query("uncertain").index.tolist() == [0, 2]
    assert i2x.uncertain_prototypes(STORY, (0, 1), min_changes=4)["uncertain"].sum() == 0


def test_the_map_within_a_class_and_between_classes():
    one = STORY.intra_class(1, top=2)
    assert one.query("interval == 0")["prototype"].tolist() == [1, 0]
    assert one.query("interval == 0")["influence"].tolist() == [-2, -1]
    two = STORY.inter_class((0, 1)).query("interval == 1").set_index("prototype")
    assert two.loc[0, ["first", "second", "difference"]].tolist() == [-1, 1, -2]
    assert two["opposite"].tolist() == [True, True, True, False]
    axes = STORY.plot(0)
    assert [label.get_text() for label in axes.get_yticklabels()] == ["P-1", "P-0", "P-2", "P-3"]
    plt.close("all")


def test_shared_prototypes_are_in_all_groups_of_a_class():
    labels, group = np.repeat([0, 0, 1], 10), np.repeat([0, 1, 2], 10)
    counts = np.array([[5, 0, 5], [5, 5, 0], [0, 0, 10]])[group]
    trace = made_up(RNG.normal(size=(1, 30, 3)), RNG.normal(size=(1, 30, 2)), labels, counts)
    trace = replace(trace, assignments=np.zeros((30, 2, 5), int))
    frame = i2x.shared_prototypes(trace, i2x.explain(trace), [i2x.Groups(group, 2, 30, 0.0, found=True)])
    kinds = {(row.label, row.prototype): row.kind for row in frame.itertuples()}
    assert kinds == {(0, 0): "shared", (0, 1): "specialised", (0, 2): "specialised", (1, 2): "shared"}
    assert frame.set_index(["label", "prototype"]).loc[(0, 1), ["n_groups", "n_with"]].tolist() == [2, 1]


def test_classes_separate_in_the_order_that_was_planted():
    labels = np.repeat([0, 1, 2], 20)
    Y = np.full((4, 60, 3), 1 / 3)
    sure = np.eye(3)[labels]
    Y[1:] = np.where(labels[:, None] == 2, sure, [0.5, 0.5, 0.0])  # first it knows class 2 ...
    Y[3] = sure  # ... and last of all 0 from 1
    trace = replace(made_up(np.zeros((3, 60, 2)), np.zeros((3, 60, 3)), labels), Y=Y)
    frame = i2x.separation(trace)
    assert frame[["first", "second", "step"]].to_numpy().tolist() == [[0, 2, 10], [1, 2, 10], [0, 1, 30]]
    never = i2x.separation(replace(trace, Y=Y[::-1]))
    assert (never["checkpoint"] == -1).all()
    assert never["step"].isna().all()


# --- curation and its controls ----------------------------------------------------------------------------------------


def test_curation_leaves_out_what_contains_the_prototypes(traced):
    curation = i2x.curate(traced, [1, 2], (3, 8), share=0.2)
    has = (traced.shares[:, [1, 2]] >= 0.2).any(axis=1) & np.isin(LABELS, (3, 8))
    np.testing.assert_array_equal(curation.removed, np.flatnonzero(has))
    np.testing.assert_array_equal(np.sort(np.concatenate([curation.kept, curation.removed])), np.arange(200))
    everywhere = i2x.curate(traced, [1, 2], share=0.5)
    assert not np.isin(LABELS[everywhere.removed], (3, 8)).all()
    intense = i2x.curate(traced, [0], rule="intensity", quantile=0.8)
    limit = np.quantile(traced.P[-1][traced.present[:, 0], 0], 0.8)
    np.testing.assert_array_equal(intense.removed, np.flatnonzero(traced.present[:, 0] & (traced.P[-1][:, 0] > limit)))


def test_a_class_that_would_be_lost_is_refused(traced):
    with pytest.raises(ValueError, match="leave no image of class"):
        i2x.curate(traced, range(6), share=1 / 16)


@settings(deadline=None, max_examples=30)
@given(st.integers(20, 80), st.integers(1, 4), st.integers(1, 12), st.integers(0, 2**31))
def test_controls_leave_out_as_many_of_each_class_and_loss(n, C, bins, seed):
    rng = np.random.default_rng(seed)
    y, losses, out = rng.integers(C, size=n), rng.exponential(size=n), rng.random(n) < 0.3
    curation = i2x.Curation(np.flatnonzero(~out), np.flatnonzero(out), "drawn")
    plain = i2x.random_removal(curation, y, random_state=seed)
    matched = i2x.matched_removal(curation, y, losses, bins=bins, random_state=seed)
    for control in (plain, matched):
        np.testing.assert_array_equal(control.removed_per_class(y), curation.removed_per_class(y))
        np.testing.assert_array_equal(np.sort(np.concatenate([control.kept, control.removed])), np.arange(n))
    for c in range(C):  # in every tenth of a class by loss the same number
        rows = np.flatnonzero(y == c)
        ordered = rows[np.argsort(losses[rows], kind="stable")]
        part = np.arange(len(rows)) * bins // max(len(rows), 1)
        counts = [np.bincount(part[np.isin(ordered, r.removed)], minlength=bins) for r in (curation, matched)]
        np.testing.assert_array_equal(*counts)


def test_a_matched_control_has_the_same_losses_where_a_random_one_has_not():
    losses = np.random.default_rng(0).exponential(size=400)
    hard = losses > np.quantile(losses, 0.8)
    curation = i2x.Curation(np.flatnonzero(~hard), np.flatnonzero(hard), "hard ones")
    y = np.zeros(400, int)
    matched, plain = i2x.matched_removal(curation, y, losses), i2x.random_removal(curation, y)
    assert abs(losses[matched.removed].mean() / losses[hard].mean() - 1) < 0.05
    assert losses[plain.removed].mean() < 0.6 * losses[hard].mean()
    assert curation.overlap(matched) > 0.9
    assert curation.overlap(plain) < 0.4


def test_all_arms_are_tuned_and_tested(traced):
    curation = i2x.curate(traced, [2], (3, 8), share=0.2)
    run = {"batch_size": 20, "learning_rate": 0.01, "random_state": 3}
    frame = i2x.protocol(START, IMAGES, LABELS, curation, traced.losses, IMAGES[:80], LABELS[:80], (3, 8), **run)
    assert frame["arm"].tolist() == list(i2x.ARMS)
    by_arm = frame.set_index("arm")
    assert (
        by_arm.loc["curated", "n_first"]
        == by_arm.loc["random", "n_first"]
        == by_arm.loc["matched", "n_first"]
        == len(curation.kept)
    )
    assert by_arm.loc["full -> full", "updates"] == 20
    tuned = i2x.fine_tune(START, IMAGES, LABELS, [curation.kept, range(200)], **run)[1]
    with torch.no_grad():
        predicted = tuned(torch.tensor(IMAGES[:80])).argmax(dim=1).numpy()
    assert by_arm.loc["curated -> full", "accuracy"] == (predicted == LABELS[:80]).mean()
    assert by_arm.loc["curated -> full", "confusions"] == i2x.confusions(predicted, LABELS[:80], (3, 8))


def test_the_most_confused_pair_counts_both_ways():
    y, p = np.array([0, 0, 1, 1, 2, 2, 2]), np.array([1, 0, 1, 0, 2, 1, 2])
    assert i2x.most_confused(p, y) == (0, 1)
    assert i2x.confusions(p, y, (1, 0)) == 2
    assert i2x.confusions(p, y, (1, 2)) == 1


# --- is it so? --------------------------------------------------------------------------------------------------------


def planted_story(n: int = 240, true: int = 6, seed: int = 0):
    """Features in ``true`` clusters; only which of them attention goes to moves the confidences."""
    rng = np.random.default_rng(seed)
    centres = 10 * rng.normal(size=(true, 5))
    a = rng.integers(true, size=(n, 4, 4))
    Z = centres[a].reshape(n, 16, 5) + 0.3 * rng.normal(size=(n, 16, 5))
    P = rng.normal(size=(4, n, true)).cumsum(axis=0)
    maps = np.take_along_axis(P, a.reshape(1, n, 16).repeat(4, axis=0), axis=2).reshape(4, n, 4, 4)
    P = np.stack([i2x.intensities(one, a, true)[0] for one in maps])
    dY = np.diff(P, axis=0) @ rng.normal(size=(3, true, 4)) + 0.3 * rng.normal(size=(3, n, 4))
    return Z, maps, np.concatenate([np.zeros((1, n, 4)), dY.cumsum(axis=0)]), rng.integers(4, size=n)


@pytest.mark.parametrize("true", [4, 8])
def test_the_number_of_prototypes_that_was_planted_is_chosen(true):
    Z, maps, Y, labels = planted_story(true=true)
    held_out = list(checks.KFold(5, shuffle=True, random_state=0).split(Z))
    rows = [checks._one_size(Z, maps, Y, labels, K, held_out, 1.0, np.random.default_rng(1)) for K in (2, 4, 8, 16)]
    frame = checks._with_choice(pd.DataFrame(rows))
    assert frame.loc[frame["chosen"], "n_prototypes"].tolist() == [true]
    by_size = frame.set_index("n_prototypes")
    assert by_size.loc[true, "r2"] > 0.9
    assert by_size.loc[true // 2, "r2"] < 0.7
    assert by_size.loc[true, "stability"] > 0.99


def test_class_means_explain_nothing_within_classes():
    """Prototypes that only give the class away, which plain R2 would praise, are worth nothing."""
    rng = np.random.default_rng(0)
    labels = np.arange(300) % 3
    dY = (np.eye(3)[labels] - 1 / 3 + 0.05 * rng.normal(size=(300, 3)))[None]
    dP = (np.eye(3)[labels] + 0.05 * rng.normal(size=(300, 3)))[None]
    fit, test = np.arange(200), np.arange(200, 300)
    assert checks._within_classes(dP, dY, labels, fit, test, 1.0) < 0.05
    rest = dY[0, test] - dP[0, test] @ i2x.ridge(dP[0, fit], dY[0, fit])
    assert 1 - (rest**2).sum() / ((dY[0, test] - dY[0, fit].mean(axis=0)) ** 2).sum() > 0.9


def test_choosing_on_real_checkpoints(checkpoints):
    frame = i2x.choose_n_prototypes(checkpoints, IMAGES, LABELS, LAYER, candidates=(2, 6), folds=3, max_images=120)
    assert frame["n_prototypes"].tolist() == [2, 6]
    assert frame["chosen"].sum() == 1
    again = i2x.choose_n_prototypes(checkpoints, IMAGES, LABELS, LAYER, candidates=(2, 6), folds=3, max_images=120)
    pd.testing.assert_frame_equal(frame, again)


def test_linearity_tells_a_line_from_a_bend():
    rng = np.random.default_rng(0)
    dP, B, labels = rng.normal(size=(1, 500, 3)), rng.normal(size=(3, 2)), rng.integers(2, size=500)
    noise = 0.3 * rng.normal(size=(1, 500, 2))
    line = i2x.linearity(made_up(dP, dP @ B + noise, labels), folds=3).iloc[0]
    bend = i2x.linearity(made_up(dP, np.abs(dP) @ B + noise, labels), folds=3).iloc[0]
    assert line["ridge"] > 0.8
    assert abs(line["gain"]) < 0.02
    assert bend["ridge"] < 0.1
    assert bend["low"] > 0.3
    shifted = i2x.linearity(made_up(dP, dP @ B + noise + 5, labels), folds=3).iloc[0]  # a missing intercept is no bend
    assert shifted["ridge"] < 0 < 0.8 < shifted["intercept"]
    assert abs(shifted["gain"]) < 0.02


def test_linearity_says_when_presence_or_the_class_is_enough():
    rng = np.random.default_rng(0)
    labels = np.arange(600) % 3
    counts = np.eye(3, dtype=int)[labels]
    dP = counts * (1 + 0.1 * rng.normal(size=(600, 3)))
    dY = np.eye(3)[labels] - 1 / 3 + 0.1 * rng.normal(size=(600, 3))
    frame = i2x.linearity(made_up(dP[None], dY[None], labels, counts), model=LinearRegression())
    row = frame.set_index("interval").loc["all"]
    assert min(row["label_only"], row["presence_only"], row["ridge"]) > 0.9
    assert row["presence_only"] >= row["ridge"] - 0.01
    useless = i2x.linearity(made_up(dP[None], rng.normal(size=(1, 600, 3)), labels, counts), model=LinearRegression())
    useless = useless.iloc[-1]
    assert max(useless["label_only"], useless["presence_only"], useless["ridge"]) < 0.05


class Colours(nn.Module):
    """Score of class c is what colour c adds up to; the layer ``places`` sees pixels in blocks of two."""

    def __init__(self) -> None:
        super().__init__()
        self.places = nn.AvgPool2d(2)
        self.gain = nn.Parameter(torch.ones(1))

    def forward(self, x):
        return 4 * self.gain * self.places(x).mean(dim=(2, 3))


def coloured(n: int = 40) -> np.ndarray:
    """Squares of two pixels, each red, green, blue or black."""
    rng = np.random.default_rng(0)
    colour = np.vstack([np.eye(3), np.zeros(3)])[rng.integers(4, size=(n, 4, 4))].transpose(0, 3, 1, 2)
    return np.kron(colour, np.ones((1, 1, 2, 2))).astype(np.float32)


def test_covering_a_prototype_costs_its_own_class():
    images, model = coloured(), Colours()
    four = i2x.find_prototypes(model, images, "places", 4)
    occlusion = i2x.occlude(model, images, four, fill=0.0)
    centres = four.centres @ four.axes + four.mean
    for k, centre in enumerate(centres.round(2)):
        if centre.max() > 0.5:
            assert occlusion.effect[k].argmax() == centre.argmax()
            assert occlusion.effect[k].max() > 0.02
        else:
            assert (occlusion.drop[k] == 0).all()  # black covered with black
    np.testing.assert_allclose(occlusion.drop.sum(axis=1), 0, atol=1e-12)
    np.testing.assert_allclose(
        occlusion.area, (i2x.assign(model, images, four)[..., None] == np.arange(4)).mean(axis=(0, 1, 2)), atol=0.02
    )
    assert (occlusion.std_errors > 0).any()
    assert (occlusion.n_images >= 38).all()
    grown = i2x.occlude(model, images, four, fill=0.0, grow_pixels=1, per_prototype=10)
    assert (grown.area > occlusion.area + 0.1).all()
    assert grown.n_images.tolist() == [10] * 4
    assert len(occlusion.to_frame()) == 12


def test_the_control_covers_as_much_elsewhere():
    mask = np.zeros((4, 4), bool)
    mask[0, :2] = True
    moved = [checks._moved(mask, np.random.default_rng(s)) for s in range(30)]
    assert all(m.sum() == 2 and not (m == mask).all() for m in moved)
    assert len({m.tobytes() for m in moved}) > 5


def test_a_causal_explanation_agrees_and_a_shuffled_one_does_not():
    effect = RNG.normal(size=(30, 4))
    zero = np.zeros_like(effect)
    occlusion = i2x.Occlusion(effect, zero, zero, np.full(30, 50), np.full(30, 0.1))
    true = effects_with(np.stack([effect * 0.25, effect * 0.75]))
    agreement = i2x.causal_check(true, occlusion)
    assert (agreement.rho, agreement.low, agreement.high) == (1.0, 1.0, 1.0)
    shuffled = i2x.causal_check(effects_with(effect[None, RNG.permutation(30)]), occlusion)
    assert shuffled.low < 0 < shuffled.high
    late = effects_with(np.stack([-effect, effect * 0.5]))
    assert i2x.causal_check(late, occlusion).rho == pytest.approx(-1)
    assert i2x.causal_check(late, occlusion, t=1, classes=[1, 2]).rho == pytest.approx(1)
    missing = replace(
        occlusion, n_images=np.where(np.arange(30) < 5, 0, 50), drop=np.where(np.arange(30)[:, None] < 5, np.nan, effect)
    )
    assert i2x.causal_check(true, missing).n_prototypes == 25
    flat = replace(occlusion, drop=zero)
    assert i2x.causal_check(true, flat).rho == 0


def test_everything_is_the_same_with_the_same_seed(checkpoints, found, traced):
    again = i2x.find_prototypes(checkpoints.model, IMAGES, LAYER, 6)
    np.testing.assert_array_equal(again.centres, found.centres)
    one, two = (i2x.occlude(checkpoints.model, IMAGES, found, per_prototype=5, random_state=1) for _ in range(2))
    np.testing.assert_array_equal(one.effect, two.effect)
    one, two = (i2x.causal_check(i2x.explain(traced), one, n_resamples=50, random_state=1) for _ in range(2))
    assert (one.low, one.high) == (two.low, two.high)


def test_models_are_left_as_they_were(found):
    model = seeded(lambda: GapCNN(1, (6, 10), (1,), 10, batch_norm=True)).train()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    five = i2x.find_prototypes(model, IMAGES[:50], "features.relu2", 5)
    i2x.occlude(model, IMAGES[:50], five, per_prototype=3)
    i2x.train(model, IMAGES[:50], LABELS[:50], keep=1, batch_size=10)
    assert model.training
    assert all(p.requires_grad and p.grad is None for p in model.parameters())
    torch.testing.assert_close(dict(model.state_dict()), before, rtol=0, atol=0)
    assert not any(module._forward_hooks for module in model.modules())


def test_representations_say_what_matters(checkpoints, found, traced):
    assert repr(checkpoints) == "Checkpoints(5 states of a GapCNN, updates 0, 15, 30, 45, 60)"
    assert repr(found).startswith("Prototypes(6 at 'features.relu2', in ")
    assert repr(traced) == "Trace(200 images at 5 checkpoints; 6 prototypes on 4x4 places; attention: gradcam)"
    assert "4 stretches of training, 6 prototypes, 10 classes" in repr(i2x.explain(traced))


def test_ridge_and_groups_need_no_torch():
    code = "import sys; from xailib import i2x; i2x.ridge, i2x.find_groups; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
