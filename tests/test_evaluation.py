"""Scores against numbers computed by hand, and what a map that says nothing must get."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import spearmanr

from xailib.evaluation import (
    activation_consistency,
    activation_precision,
    activation_sensitivity,
    deletion_curve,
    iou,
    mean_interval,
    patch_deletion,
    pointing_game,
    rank_agreement,
    relevance_mass,
    resampling_effects,
    topk_localisation,
)
from xailib.results import Heatmap

MASK = np.array([[False, True], [False, True]])
SCORES = [pointing_game, iou, relevance_mass]


def one(*rows):
    return np.array([rows], dtype=float)


@pytest.mark.parametrize(
    ("score", "values", "expected"),
    [
        (pointing_game, one([0, 1], [0.5, 0.9]), 1),
        (pointing_game, one([2, 1], [0.5, 0.9]), 0),
        (pointing_game, one([2, 2], [0.5, 0.9]), 1 / 2),
        (pointing_game, one([-3, -1], [-2, -4]), 1),
        (relevance_mass, one([1, 3], [1, 5]), 0.8),
        (relevance_mass, one([-9, 3], [1, -5]), 0.75),
        (iou, one([1, 4], [2, 1]), 1 / 3),
        (iou, one([0, 4], [0, 4]), 1),
        (iou, one([4, 0], [4, 0]), 0),
    ],
)
def test_scores_by_hand(score, values, expected):
    assert score(values, MASK)[0] == pytest.approx(expected)


@pytest.mark.parametrize("score", SCORES)
@pytest.mark.parametrize("value", [0.0, 1.0, -1.0])
def test_a_blank_map_scores_the_share_that_the_mask_covers(score, value):
    mask = np.zeros((4, 5), dtype=bool)
    mask[1, 2:] = True
    assert score(np.full((1, 4, 5), value), mask)[0] == pytest.approx(3 / 20)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000), st.floats(0.01, 100))
def test_scores_do_not_depend_on_the_scale_of_the_map(seed, factor):
    maps = np.random.default_rng(seed).normal(size=(3, 4, 4))
    mask = np.arange(16).reshape(4, 4) % 3 == 0
    for score in SCORES:
        np.testing.assert_allclose(score(factor * maps, mask), score(maps, mask), atol=1e-9)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000))
def test_mass_on_a_mask_and_on_its_complement_add_up_to_one(seed):
    maps = np.random.default_rng(seed).normal(size=(3, 4, 4))
    mask = np.arange(16).reshape(4, 4) % 3 == 0
    np.testing.assert_allclose(relevance_mass(maps, mask) + relevance_mass(maps, ~mask), 1)


def test_iou_at_a_low_threshold_is_the_mask_share_and_at_one_only_the_top():
    maps, mask = one([1, 2], [3, 4]), MASK
    assert iou(maps, mask, threshold=1.0)[0] == pytest.approx(1 / 2)
    assert iou(maps, mask, threshold=0.25)[0] == pytest.approx(1 / 2)
    assert iou(maps, mask, threshold=0.5)[0] == pytest.approx(2 / 3)


def test_a_heatmap_is_brought_to_image_resolution_first():
    low = Heatmap(np.array([[[0.0, 1.0], [0.0, 1.0]]]), np.array([0]), "by hand", (4, 4), np.array([1.0]))
    mask = np.zeros((1, 4, 4), dtype=bool)
    mask[..., 2:] = True
    np.testing.assert_allclose(relevance_mass(low, mask), (0.75 + 1) / (0.25 + 0.75 + 1))
    assert pointing_game(low, mask)[0] == 1


def test_deletion_of_a_linear_model_gives_partial_sums_of_the_sorted_weights():
    w = np.array([1.0, 5.0, 3.0, 2.0])
    curve = deletion_curve(lambda X: X @ w, np.ones((2, 4)), np.tile(w, (2, 1)), steps=4)
    np.testing.assert_allclose(curve.scores, [[11, 6, 3, 1, 0]] * 2)
    np.testing.assert_allclose(curve.fractions, [0, 0.25, 0.5, 0.75, 1])
    np.testing.assert_allclose(curve.area(), (11 / 2 + 6 + 3 + 1) / 4)
    rising = deletion_curve(lambda X: X @ w, np.ones((1, 4)), w[None], steps=4, least_first=True)
    np.testing.assert_allclose(rising.scores, [[11, 10, 8, 5, 0]])


def test_deletion_in_random_order_is_a_straight_line_on_average():
    rng, n = np.random.default_rng(0), 2000
    w = np.array([4.0, 1.0, 1.0, 2.0])
    curve = deletion_curve(lambda X: X @ w, np.ones((n, 4)), rng.random((n, 4)), steps=4)
    error = curve.scores.std(axis=0) / np.sqrt(n)
    assert (np.abs(curve.scores.mean(axis=0) - [8, 6, 4, 2, 0]) <= 4 * error).all()
    assert mean_interval(curve.area() / 8)[1] < 0.5 < mean_interval(curve.area() / 8)[2]


def test_a_pixel_is_deleted_in_all_channels_and_small_calls_change_nothing():
    rng = np.random.default_rng(2)
    X, relevance = rng.random((5, 3, 4, 4)), rng.random((5, 4, 4))
    whole = deletion_curve(lambda X: X.sum(axis=(1, 2, 3)), X, relevance, steps=16, baseline=0.5)
    parts = deletion_curve(lambda X: X.sum(axis=(1, 2, 3)), X, relevance, steps=16, baseline=0.5, batch_rows=7)
    np.testing.assert_allclose(parts.scores, whole.scores)
    top = np.unravel_index(relevance[0].argmax(), (4, 4))
    assert whole.scores[0, 0] - whole.scores[0, 1] == pytest.approx(X[0, :, *top].sum() - 1.5)
    np.testing.assert_allclose(whole.scores[:, -1], 24)


def test_deletion_follows_one_column_for_each_instance():
    X = np.arange(6.0).reshape(3, 2)
    curve = deletion_curve(lambda X: X, X, X, target=[0, 1, 0], steps=2, batch_rows=3)
    np.testing.assert_allclose(curve.scores[:, 0], [0, 3, 4])
    assert curve.to_frame().shape == (3, 3)


def test_a_deletion_curve_is_drawn_in_percent_and_described():
    curve = deletion_curve(lambda X: X.sum(axis=1), np.ones((2, 4)), np.ones((2, 4)), steps=4)
    ax = curve.plot(label="ones")
    np.testing.assert_allclose(ax.lines[0].get_xydata(), [[0, 4], [25, 3], [50, 2], [75, 1], [100, 0]])
    assert "2 instances, 5 points; mean area 2" in repr(curve)
    plt.close("all")


def test_the_interval_covers_the_mean_as_often_as_it_says():
    rng = np.random.default_rng(0)
    covered = np.mean([low <= 0 <= high for _, low, high in (mean_interval(rng.normal(size=8)) for _ in range(2000))])
    assert abs(covered - 0.95) < 4 * np.sqrt(0.95 * 0.05 / 2000)


MAPS = np.random.default_rng(0).random((2, 2, 2))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: pointing_game(MAPS[0], MASK), "maps must have 3 dimensions"),
        (lambda: pointing_game(MAPS * np.nan, MASK), "maps has 8 missing"),
        (lambda: pointing_game(MAPS, MASK.astype(int)), "masks must be boolean"),
        (lambda: pointing_game(MAPS, np.ones((3, 3), bool)), "masks must have the shape of the maps"),
        (lambda: relevance_mass(MAPS, np.zeros((2, 2), bool)), "mask 0 is empty"),
        (lambda: relevance_mass(MAPS, np.stack([MASK, MASK | True])), "mask 1 is full"),
        (lambda: iou(MAPS, MASK, threshold=0), r"threshold must be a number in \(0, 1\]"),
        (lambda: iou(MAPS, MASK, threshold=1.5), "threshold must be a number"),
        (lambda: deletion_curve("f", np.ones((2, 4)), np.ones((2, 4))), "predict must be a function"),
        (lambda: deletion_curve(len, np.ones(4), np.ones(4)), "X must have 2 or 4 dimensions"),
        (lambda: deletion_curve(len, np.ones((2, 4)), np.ones((2, 3))), r"relevance must have shape \(2, 4\)"),
        (lambda: deletion_curve(len, np.ones((2, 4)), np.ones((2, 4)), baseline=np.ones(3)), "does not fit X"),
        (lambda: deletion_curve(len, np.ones((2, 4)), np.ones((2, 4)), steps=0), "steps must be a whole number"),
        (lambda: deletion_curve(lambda X: X, np.ones((2, 4)), np.ones((2, 4))), "say which one to follow"),
        (lambda: deletion_curve(lambda X: X, np.ones((2, 4)), np.ones((2, 4)), target=4), "target 4 is out of range"),
        (lambda: deletion_curve(lambda X: X, np.ones((2, 4)), np.ones((2, 4)), target="a"), "one column number"),
        (lambda: deletion_curve(lambda X: X[:1], np.ones((2, 4)), np.ones((2, 4))), "one row per input row"),
        (lambda: mean_interval(np.ones(1)), "at least two scores"),
        (lambda: mean_interval(np.ones(3), level=1.2), "level must be a number"),
    ],
)
def test_bad_arguments_get_one_sentence(call, message):
    with pytest.raises((TypeError, ValueError), match=message):
        call()


def test_resampling_effects_of_a_linear_model_are_its_weights_times_deviations() -> None:
    rng = np.random.default_rng(0)
    X, Z, w = rng.normal(size=(7, 3)), rng.normal(size=(11, 3)), np.array([2.0, -1.0, 0.0])
    assert np.allclose(resampling_effects(lambda R: R @ w, X, Z), w * (X - Z.mean(axis=0)))


def test_resampling_effects_take_frames_with_categories_in_several_batches() -> None:
    frame = pd.DataFrame({"size": [1.0, 2.0], "kind": pd.Categorical(["a", "b"])})
    predict = lambda R: R["size"].to_numpy() * np.where(R["kind"] == "b", 3.0, 1.0)  # noqa: E731
    whole = resampling_effects(predict, frame, frame)
    assert np.allclose(whole, [[1 - 1.5, 1 - 2.0], [6 - 4.5, 6 - 4.0]])
    assert np.array_equal(whole, resampling_effects(predict, frame, frame, batch_rows=3))
    with pytest.raises(ValueError, match="same columns"):
        resampling_effects(predict, frame, frame[["kind", "size"]])


def test_rank_agreement_equals_scipy_row_by_row() -> None:
    rng = np.random.default_rng(1)
    v, t = rng.integers(0, 5, size=(2, 20, 6)).astype(float)
    wanted = [spearmanr(a, b).statistic for a, b in zip(v, t, strict=True)]
    assert np.allclose(rank_agreement(v, t), wanted)
    assert np.allclose(rank_agreement(-v, t, signed=False), rank_agreement(v, t, signed=False))
    assert np.array_equal(rank_agreement(np.zeros((2, 3)), np.ones((2, 3))), [0, 0])
    with pytest.raises(ValueError, match="same shape"):
        rank_agreement(v, t[:, :2])


# --- the metrics of SoftCAM's paper -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("score", "values", "expected"),
    [
        (activation_precision, one([1, 3], [1, 5]), 6 / 6),  # the smallest positive value becomes 0
        (activation_precision, one([0, 3], [1, 5]), 8 / 9),
        (activation_precision, one([-9, 3], [1, -5]), 0.75),
        (activation_precision, one([4, 0], [4, -1]), 0),
        (activation_sensitivity, one([0, 3], [1, 6]), 0.75),
        (activation_sensitivity, one([10, 5], [-3, 5]), 0.5),
        (activation_sensitivity, one([0, 2], [0, 2]), 1),
    ],
)
def test_scores_of_the_softcam_paper_by_hand(score, values, expected):
    assert score(values, MASK)[0] == pytest.approx(expected)


@pytest.mark.parametrize("score", [activation_precision, activation_sensitivity])
@pytest.mark.parametrize("value", [0.0, 1.0, -1.0])
def test_a_blank_map_scores_nothing_in_the_softcam_paper(score, value):
    assert score(np.full((1, 2, 2), value), MASK)[0] == 0


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000), st.floats(0.01, 100))
def test_precision_is_the_relevance_mass_and_scale_does_not_matter(seed, factor):
    rng = np.random.default_rng(seed)
    maps, masks = rng.normal(size=(3, 6, 6)), rng.random((3, 6, 6)) < 0.4
    masks[:, 0] = [True, False] * 3
    np.testing.assert_allclose(activation_precision(maps, masks), relevance_mass(maps, masks))
    for score in (activation_precision, activation_sensitivity):
        np.testing.assert_allclose(score(factor * maps, masks), score(maps, masks))
    np.testing.assert_allclose(
        topk_localisation(factor * maps, masks, k=4, patch=2), topk_localisation(maps, masks, k=4, patch=2)
    )


def test_bicubic_upsampling_makes_positive_evidence_that_no_network_gave():
    """Why a Heatmap is up-sampled bilinearly here: the paper's code interpolates with overshoot."""
    import torch
    import torch.nn.functional as F

    values = np.full((1, 4, 4), 0.0)
    values[0, 1, 1] = -1.0
    heat = Heatmap(values, np.array([1]), "made up", (16, 16), np.zeros(1))
    mask = np.zeros((16, 16), dtype=bool)
    mask[:2] = True
    bicubic = F.interpolate(torch.tensor(values)[:, None], (16, 16), mode="bicubic", align_corners=False)[:, 0].numpy()
    assert activation_precision(heat, mask)[0] == 0
    assert (heat.upsample() <= 0).all()
    assert bicubic.max() > 0.01
    assert activation_precision(bicubic, mask)[0] > 0.05


def test_consistency_counts_signs_at_the_maps_own_resolution():
    A = np.array([[[2.0, -1.0], [0.0, 3.0]], [[2.0, -1.0], [0.0, -3.0]]])
    np.testing.assert_allclose(activation_consistency(A, np.array([True, False])), [0.5, 0.5])
    np.testing.assert_allclose(activation_consistency(A, np.array([False, True])), [0.25, 0.25])
    heat = Heatmap(A, np.array([1, 1]), "made up", (8, 8), np.zeros(2))
    np.testing.assert_allclose(activation_consistency(heat, np.array([True, False])), [0.5, 0.5])


def test_top_patches_are_pooled_over_images():
    """Two images of 2 x 2 patches of 2 pixels: precision is hits over patches of both together, only patches above 0."""
    maps, masks = np.zeros((2, 4, 4)), np.zeros((2, 4, 4), dtype=bool)
    maps[0, 0, 0], maps[0, 0, 2], maps[0, 2, 0] = 3, 2, 1  # three patches above 0, best first
    maps[1, 3, 3] = 5  # one
    masks[0, 1, 3] = True  # the second patch, in a corner that the map does not show
    masks[1, 2, 2] = True
    np.testing.assert_allclose(topk_localisation(maps, masks, k=4, patch=2), [1 / 2, 2 / 3, 2 / 4, 2 / 4])
    np.testing.assert_allclose(topk_localisation(maps, masks, k=4, patch=2, threshold=2.5), [1 / 2] * 4)
    assert np.isnan(topk_localisation(-maps, masks, k=1, patch=2)).all()


def test_patches_scale_with_the_image_and_cover_its_edge():
    maps, masks = np.zeros((1, 96, 96)), np.zeros((1, 96, 96), dtype=bool)
    maps[0, 0, 0], masks[0, 5, 5] = 1, True
    assert topk_localisation(maps, masks, k=1)[0] == 1  # 33 of 512 pixels are 6 of 96
    masks = np.roll(masks, 1, axis=1)
    assert topk_localisation(maps, masks, k=1)[0] == 0
    edge = np.zeros((1, 5, 5))
    edge[0, 4, 4] = 1
    assert topk_localisation(edge, edge > 0, k=1, patch=2)[0] == 1
    assert topk_localisation(edge, edge > 0, k=9, patch=2)[8] == 1


def test_patch_deletion_by_hand():
    """The class survives while the sum of the picture is above 4; patches of one row go from the largest to the smallest."""
    images = np.array([[[[1.0], [5.0], [3.0], [2.0]]]])

    def predict(x):
        total = x.sum(axis=(1, 2, 3))
        return np.column_stack([total, np.full(len(x), 4.0)])

    curve = patch_deletion(predict, images, images[:, 0], 0, k=4, patch=1)
    np.testing.assert_array_equal(curve.scores, [[1, 1, 0, 0, 0]])
    np.testing.assert_allclose(curve.fractions, [0, 0.25, 0.5, 0.75, 1])
    assert curve.area()[0] == pytest.approx(0.375)
    worst = patch_deletion(predict, images, -images[:, 0], 0, k=3, patch=1)
    np.testing.assert_array_equal(worst.scores, [[1, 1, 1, 1]])
    covered = patch_deletion(predict, images, images[:, 0], 0, k=4, patch=1, baseline=2.0)
    np.testing.assert_array_equal(covered.scores, [[1] * 5])


def test_patch_deletion_follows_confidence_and_never_rises_above_one():
    images = np.array([[[[0.2, 0.5]]], [[[0.1, -0.2]]]])

    def predict(x):
        p = 0.3 + x.sum(axis=(1, 2, 3))
        return np.column_stack([p, 1 - p])

    curve = patch_deletion(predict, images, images[:, 0], 0, k=2, patch=1, score="confidence")
    np.testing.assert_allclose(curve.scores, [[1, 0.5, 0.3], [1, 0.5, 1]])
    np.testing.assert_allclose(
        patch_deletion(predict, images, images[:, 0], [0, 1], k=2, patch=1, score="confidence").scores[1], [1, 1, 0.7 / 0.8]
    )
    with pytest.raises(ValueError, match="predict must give probabilities"):
        patch_deletion(lambda x: 5 * predict(x), images, images[:, 0], 0, k=2, patch=1, score="confidence")


def test_patch_deletion_does_not_depend_on_the_batch_and_equals_pixel_deletion_for_patches_of_one_pixel():
    rng = np.random.default_rng(2)
    images, W = rng.random((3, 1, 3, 3)), rng.normal(size=(9, 2))
    predict = lambda x: np.exp(x.reshape(len(x), -1) @ W) / np.exp(x.reshape(len(x), -1) @ W).sum(axis=1, keepdims=True)  # noqa: E731
    maps = rng.normal(size=(3, 3, 3))
    found = patch_deletion(predict, images, maps, 1, k=9, patch=1, score="confidence")
    again = patch_deletion(predict, images, maps, 1, k=9, patch=1, score="confidence", batch_rows=2)
    np.testing.assert_allclose(found.scores, again.scores)
    pixels = deletion_curve(predict, images, maps, target=1, steps=9).scores
    np.testing.assert_allclose(found.scores, np.minimum(pixels, pixels[:, :1]) / pixels[:, :1])
