"""Closed forms of selectivity, code length and erasure; splits that do not leak; a test whose level holds; no side effects."""

from __future__ import annotations

import math

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.linear_model import LogisticRegression
from torch import nn

from xailib import probing, worlds
from xailib._probes import random_directions, splits
from xailib.zoo.transformer import HookPoint, Transformer, hook_points

VOCABULARY, CONTEXT, WIDTH = 20, 9, 16
STREAM = ["embedded", "blocks.0.resid_mid", "blocks.0.resid_post", "blocks.1.resid_mid", "blocks.1.resid_post"]


def network(seed: int = 0, **options) -> Transformer:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return Transformer(VOCABULARY, CONTEXT, width=WIDTH, n_heads=2, padding=0, **options).eval()


def sentences(n: int = 12, length: int = 7, seed: int = 1) -> np.ndarray:
    """Rows of different lengths, padded at their end."""
    rng = np.random.default_rng(seed)
    rows = rng.integers(1, VOCABULARY, (n, length))
    return np.where(np.arange(length) < rng.integers(3, length + 1, n)[:, None], rows, 0)


def seen_at(model: nn.Module, tokens: np.ndarray, name: str) -> np.ndarray:
    """The value at a hook point, by a hook of our own."""
    kept = []
    hook = model.get_submodule(name).register_forward_hook(lambda _, __, value: kept.append(value))
    with torch.no_grad():
        model(torch.tensor(tokens))
    hook.remove()
    return kept[0].numpy()


def clouds(n: int = 300, d: int = 8, gap: float = 2.0, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Two classes whose means lie ``gap`` apart along the first axis."""
    rng = np.random.default_rng(seed)
    y = rng.integers(2, size=n)
    A = rng.normal(size=(n, d))
    A[:, 0] += gap * y
    return A, y


@pytest.fixture(autouse=True)
def _close():
    yield
    plt.close("all")


# --- activations ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("batch_size", [1, 5, 100])
def test_activations_are_the_values_at_the_point(batch_size):
    model, tokens = network(), sentences()
    value = seen_at(model, tokens, "blocks.1.resid_post")
    real = tokens != 0
    last = real.sum(axis=1) - 1

    def read(positions):
        return probing.activations(model, tokens, "blocks.1.resid_post", positions, batch_size=batch_size)

    np.testing.assert_allclose(read(None), value[real], atol=1e-6)
    np.testing.assert_allclose(read(2), value[:, 2], atol=1e-6)
    np.testing.assert_allclose(read(last), value[np.arange(len(tokens)), last], atol=1e-6)
    np.testing.assert_allclose(read(real), value[real], atol=1e-6)
    means = [row[there].mean(axis=0) for row, there in zip(value, real, strict=True)]
    np.testing.assert_allclose(read("mean"), means, atol=1e-6)
    assert read(2).dtype == np.float64


@pytest.mark.parametrize("name", ["blocks.0.attention.heads", "blocks.0.attention.pattern", "blocks.1.attention.queries"])
def test_points_with_heads_give_the_heads_side_by_side(name):
    model, tokens = network(), sentences()
    value = seen_at(model, tokens, name)
    side_by_side = np.concatenate(list(value[:, :, 2].transpose(1, 0, 2)), axis=1)
    np.testing.assert_allclose(probing.activations(model, tokens, name, 2), side_by_side, atol=1e-6)


def test_every_hook_point_can_be_read():
    model, tokens = network(), sentences()
    for name in hook_points(model):
        assert len(probing.activations(model, tokens, name, 1)) == len(tokens)


def test_nothing_of_the_model_changes():
    model, tokens = network().train(), sentences()
    model.output.weight.requires_grad_(False)
    state = {name: value.clone() for name, value in model.state_dict().items()}
    remover = probing.Eraser(np.eye(WIDTH)[:2], np.zeros(WIDTH), "by hand")
    probing.activations(model, tokens, "final", 1, erase={"embedded": remover})
    probing.amnesic(model, tokens, "embedded", remover, lambda scores: scores[:, 1, 3], n_random=2)
    probing.sweep(model, tokens, np.arange(12) % 2, positions=0, n_splits=2, n_untrained=2)
    assert all(module.training for module in model.modules())
    assert not any(module._forward_hooks for module in model.modules())
    assert [p.requires_grad for p in model.output.parameters()] == [False, True]
    assert all(torch.equal(value, state[name]) for name, value in model.state_dict().items())


def test_padding_is_what_fills_the_end_and_can_be_a_word():
    model, tokens = network(), np.array([[3, 0, 4, 0, 0], [1, 2, 3, 4, 5]])
    assert len(probing.activations(model, tokens, "embedded")) == 8  # a 0 inside a sequence stays
    assert len(probing.activations(model, tokens, "embedded", padding=None)) == 10
    assert len(probing.activations(model, tokens, "embedded", padding=5)) == 9
    mean = probing.activations(model, tokens, "embedded", "mean")
    np.testing.assert_allclose(mean[0], seen_at(model, tokens, "embedded")[0, :3].mean(axis=0), atol=1e-6)


def test_positions_must_be_real_tokens():
    model, tokens = network(), sentences()
    short = int((tokens[:, -1] == 0).argmax())
    with pytest.raises(ValueError, match=f"padding in sequence {short}"):
        probing.activations(model, tokens, "embedded", tokens.shape[1] - 1)
    with pytest.raises(ValueError, match="must lie in 0 to 6, but one is -1"):
        probing.activations(model, tokens, "embedded", np.full(len(tokens), -1))  # worlds say "none" with -1


# --- erasing on the way -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["blocks.0.resid_post", "blocks.0.attention.heads"])
@pytest.mark.parametrize("batch_size", [3, 100])
def test_erased_values_are_projected_at_the_marked_positions_only(name, batch_size):
    model, tokens = network(), sentences()
    plain = probing.activations(model, tokens, name, tokens != 0)
    width = plain.shape[1]
    rng = np.random.default_rng(0)
    V = np.linalg.qr(rng.normal(size=(width, 3)))[0].T
    remover = probing.Eraser(V, rng.normal(size=width), "by hand")
    at = np.arange(len(tokens)) % 3
    found = probing.activations(
        model, tokens, name, tokens != 0, erase={name: remover}, erase_positions=at, batch_size=batch_size
    )
    marked = (np.arange(tokens.shape[1]) == at[:, None])[tokens != 0]
    np.testing.assert_allclose(found[marked], remover.apply(plain[marked]), atol=1e-5)
    np.testing.assert_allclose(found[~marked], plain[~marked], atol=1e-6)


def test_later_points_see_the_erased_value_and_earlier_positions_do_not():
    model, tokens = network(), sentences()
    remover = probing.Eraser(np.eye(WIDTH)[:4], np.ones(WIDTH), "by hand")
    before = probing.activations(model, tokens, "final", 1)
    after = probing.activations(model, tokens, "final", 1, erase={"blocks.0.resid_post": remover}, erase_positions=1)
    assert np.abs(before - after).max() > 0.1
    causal = [
        probing.activations(model, tokens, "final", 0, erase=erase, erase_positions=1)
        for erase in (None, {"blocks.0.resid_post": remover})
    ]
    np.testing.assert_allclose(*causal, atol=1e-6)


# --- untrained networks -----------------------------------------------------------------------------------------------


def test_an_untrained_network_has_the_shape_and_none_of_the_weights():
    model = network()
    for p in model.parameters():
        p.data += 1.0  # "trained"
    fresh = probing.untrained(model, random_state=0)
    assert {n: v.shape for n, v in fresh.state_dict().items()} == {n: v.shape for n, v in model.state_dict().items()}
    assert not any((a == b).any() for a, b in zip(fresh.parameters(), model.parameters(), strict=True))
    again, other = probing.untrained(model, random_state=0), probing.untrained(model, random_state=1)
    assert torch.equal(fresh.tokens.weight, again.tokens.weight)
    assert not torch.equal(fresh.tokens.weight, other.tokens.weight)
    assert fresh.tokens.weight.std().item() == pytest.approx(0.1, rel=0.2)  # as the course's transformer starts


def test_untrained_leaves_the_global_seed_alone():
    torch.manual_seed(5)
    wanted = torch.rand(1)
    torch.manual_seed(5)
    probing.untrained(network(), random_state=0)
    assert torch.equal(torch.rand(1), wanted)


def test_a_parameter_that_would_stay_trained_is_refused():
    class Own(nn.Module):
        def __init__(self):
            super().__init__()
            self.scale, self.linear = nn.Parameter(torch.ones(3)), nn.Linear(2, 2)

    with pytest.raises(ValueError, match="'scale' belongs to no layer with reset_parameters"):
        probing.untrained(Own())


# --- control tasks and selectivity ------------------------------------------------------------------------------------


@given(st.integers(0, 1000), st.integers(2, 30))
@settings(deadline=None, max_examples=30)
def test_control_labels_belong_to_types(seed, n_types):
    rng = np.random.default_rng(seed)
    types, y = rng.integers(n_types, size=60), np.arange(60) % 3
    labels = probing.control_labels(types, y, random_state=seed)
    assert all(len(np.unique(labels[types == t])) == 1 for t in np.unique(types))
    assert set(labels) <= set(y)
    letters = np.array([chr(65 + t) for t in types])  # names of types do not matter
    np.testing.assert_array_equal(labels, probing.control_labels(letters, y, random_state=seed))


def test_control_labels_have_the_frequencies_of_the_labels():
    y = np.repeat([0, 1, 2], [700, 200, 100])
    labels = probing.control_labels(np.arange(1000), y, random_state=0)
    found = np.bincount(labels) / 1000
    np.testing.assert_allclose(found, [0.7, 0.2, 0.1], atol=4 * math.sqrt(0.25 / 1000))


def test_fewer_words_than_numbers_any_labels_are_learnt_and_selectivity_is_exactly_zero():
    """20 words in 32 dimensions: a linear probe reads any property of words, and any labels at all."""
    rng = np.random.default_rng(0)
    words = rng.integers(20, size=400)
    A = rng.normal(size=(20, 32))[words]
    found = probing.measure(A, (words < 10).astype(int), types=words)
    assert found.accuracy.min() == found.control.min() == 1.0
    assert found.interval("selectivity") == (0.0, 0.0, 0.0)
    assert found.seen > 0.99


@pytest.mark.parametrize("probe", ["linear", "mlp"])
def test_selectivity_of_random_labels_is_zero(probe):
    """A property that is itself one random label per word: task and control task are the same kind of thing."""
    rng = np.random.default_rng(1)
    differences = []
    for seed in range(6):
        words = rng.integers(60, size=500)
        A = rng.normal(size=(60, 16))[words]
        y = rng.permutation(np.arange(60) % 2)[words]
        differences.append(probing.measure(A, y, types=words, probe=probe, n_splits=3, random_state=seed).selectivity.mean())
    assert abs(np.mean(differences)) < 3 * np.std(differences, ddof=1) / math.sqrt(6) + 0.01


def test_split_by_type_leaves_nothing_to_remember():
    """Words of one side never train: the control is guessing, a direction common to words is still found."""
    rng = np.random.default_rng(2)
    words = rng.integers(60, size=900)
    plural = words >= 30
    A = rng.normal(size=(60, 16))[words] + 4.0 * plural[:, None] * np.eye(16)[0]
    found = probing.measure(A, plural.astype(int), types=words, groups=words)
    assert found.seen == 0
    assert found.interval()[0] > 0.85
    assert abs(found.interval("control")[0] - 0.5) < 0.1


def test_splitting_by_token_leaks_when_sentences_repeat():
    """A coin per sentence, told by nothing: tokens of one sentence on both sides make it readable, sentences do not."""
    rng = np.random.default_rng(3)
    sentence = np.repeat(np.arange(60), 12)
    coin = rng.integers(2, size=60)[sentence]
    A = rng.normal(size=(60, 24))[sentence] + 0.3 * rng.normal(size=(720, 24))
    leaking = probing.measure(A, coin, probe="mlp", n_splits=3)
    clean = probing.measure(A, coin, probe="mlp", groups=sentence, n_splits=3)
    assert leaking.interval()[0] > 0.95
    assert abs(clean.interval()[0] - 0.5) < 0.15


@given(st.integers(3, 40), st.floats(0.05, 0.95), st.integers(0, 100))
@settings(deadline=None, max_examples=50)
def test_splits_never_cut_a_group(n_groups, share, seed):
    rng = np.random.default_rng(seed)
    groups = np.unique(np.append(np.arange(n_groups), rng.integers(n_groups, size=50)), return_inverse=True)[1]
    rng.shuffle(groups)
    for train, test in splits(groups, 3, share, rng):
        assert not set(groups[train]) & set(groups[test])
        assert min(len(train), len(test)) > 0
        assert len(train) + len(test) == len(groups)


def test_measure_is_what_its_parts_say():
    A, y = clouds()
    found = probing.measure(A, y, types=np.arange(300) % 7, n_splits=4, random_state=3)
    np.testing.assert_allclose(found.selectivity, found.accuracy - found.control)
    mean, low, high = found.interval("gain")
    gain = found.accuracy - found.majority
    half = stats.t.ppf(0.975, 3) * gain.std(ddof=1) * math.sqrt(1 / 4 + 100 / 200)
    np.testing.assert_allclose([mean, low, high], [gain.mean(), gain.mean() - half, gain.mean() + half])
    assert (found.n_train, found.n_test) == (200, 100)
    frame = found.to_frame()
    assert list(frame.index) == ["accuracy", "majority", "control", "selectivity"]
    assert "linear probe; 4 splits" in repr(found)
    assert len(found.plot().get_lines()) == 1


def test_without_types_there_is_no_selectivity():
    A, y = clouds()
    found = probing.measure(A, y, n_splits=2)
    with pytest.raises(ValueError, match="give types"):
        _ = found.selectivity
    assert list(found.to_frame().index) == ["accuracy", "majority"]


def test_same_seed_same_result_and_labels_may_be_texts():
    A, y = clouds()
    words = np.where(y == 1, "plural", "singular")
    first, second, texts = (probing.measure(A, labels, probe="mlp", n_splits=2, random_state=4) for labels in (y, y, words))
    np.testing.assert_array_equal(first.accuracy, second.accuracy)
    np.testing.assert_allclose(first.accuracy, texts.accuracy, atol=0.05)


def test_fewer_training_rows_train_fewer():
    A, y = clouds(gap=1.0, d=30)
    few, many = (probing.measure(A, y, n_train=n) for n in (20, None))
    assert (few.n_train, many.n_train) == (20, 200)
    assert few.interval()[0] < many.interval()[0] - 0.05
    assert few.overlap == many.overlap == 0.5


def test_intervals_stay_within_what_is_possible_and_differences_are_paired():
    first = probing.Measurement(np.array([1.0, 0.98, 1.0]), np.full(3, 0.5), np.ones(3), 1.0, 20, 10, 0.5, "linear probe")
    second = probing.Measurement(np.array([0.95, 0.93, 0.95]), np.full(3, 0.5), None, np.nan, 20, 10, 0.5, "linear probe")
    assert first.interval()[2] == 1
    assert first.interval("gain")[2] == pytest.approx(first.interval()[0] - 0.5 + first.interval()[0] - first.interval()[1])
    np.testing.assert_allclose(first.difference(second), 0.05)
    shaken = probing.Measurement(np.array([0.8, 0.9, 0.7]), np.full(3, 0.5), None, np.nan, 20, 10, 0.5, "linear probe")
    mean, low, high = first.difference(shaken)
    d = first.accuracy - shaken.accuracy
    assert high - mean == pytest.approx(mean - low) == pytest.approx(stats.t.ppf(0.975, 2) * d.std(ddof=1) * np.sqrt(1 / 3 + 0.5))


@pytest.mark.full
def test_the_interval_covers_the_expected_accuracy():
    """Over draws of the data: the interval holds what a probe trained on so many rows reaches on fresh ones, on average."""
    covered, truth = [], []
    big, labels = clouds(20_000, gap=1.5, seed=999)
    for seed in range(200):
        A, y = clouds(150, gap=1.5, seed=seed)
        covered.append(probing.measure(A, y, random_state=seed).interval())
        truth.append(LogisticRegression().fit(A[:100], y[:100]).score(big, labels))
    held = [low <= np.mean(truth) <= high for _, low, high in covered]
    assert stats.binom.cdf(sum(held), 200, 0.95) > 0.001


# --- detection --------------------------------------------------------------------------------------------------------


def test_p_values_count_shuffles_and_the_correction_looks_at_the_best_point():
    A, y = clouds(90, gap=1.8)
    other = np.random.default_rng(5).normal(size=(90, 4))
    found = probing.detect({"a": A, "b": other}, y, n_shuffles=39)
    np.testing.assert_allclose(found.p_value, (1 + (found.null >= found.accuracy - 1e-12).sum(axis=0)) / 40)
    best = found.null.max(axis=1)
    np.testing.assert_allclose(found.p_corrected, [(1 + (best >= t - 1e-12).sum()) / 40 for t in found.accuracy])
    assert (found.p_corrected >= found.p_value).all()
    assert found.to_frame().decision.tolist() == ["present", "not found"]
    assert "39 shuffles" in repr(found)
    assert found.plot().get_ylabel() == "held-out accuracy"


def test_labels_of_a_group_are_shuffled_together():
    """A coin per sentence read at every token: with sentences as groups no alarm, without them nearly always."""
    rng = np.random.default_rng(6)
    alarms = {"groups": 0, "rows": 0}
    for seed in range(10):
        sentence = np.repeat(np.arange(40), 8)
        A = rng.normal(size=(40, 20))[sentence] + 0.3 * rng.normal(size=(320, 20))
        coin = rng.integers(2, size=40)[sentence]
        options = {"n_shuffles": 19, "random_state": seed}
        alarms["groups"] += probing.detect(A, coin, groups=sentence, **options).present[0]
        alarms["rows"] += probing.detect(A, coin, **options).present[0]
    assert alarms["groups"] <= 3
    assert alarms["rows"] == 10


def test_labels_that_differ_within_a_group_are_refused():
    with pytest.raises(ValueError, match="y must be the same for all rows of a group"):
        probing.detect(np.ones((6, 2)), [0, 1, 0, 0, 1, 1], groups=[0, 0, 1, 1, 2, 2])


def world_rows(n: int, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Values of an untrained network at the subject, number of the subject, fresh coins, the subject's word."""
    world = worlds.agreement(n, random_state=seed)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = Transformer(len(world.truth.vocabulary), world.X.shape[1], padding=0).eval()
    at = world.truth.subject(world.X)
    A = probing.activations(model, world.X, "blocks.0.resid_post", at)
    return A, world.y, np.random.default_rng(seed).integers(2, size=n), world.X[np.arange(n), at]


def error_rates(repetitions: int, n: int = 150) -> tuple[float, float]:
    """Share of fresh coins found, share of present properties found, at 5 %."""
    alarms, hits = [], []
    for seed in range(repetitions):
        A, number, coin, _ = world_rows(n, seed)
        alarms.append(probing.detect(A, coin, n_shuffles=19, random_state=seed).present[0])
        hits.append(probing.detect(A, number, n_shuffles=19, random_state=seed).present[0])
    return float(np.mean(alarms)), float(np.mean(hits))


def test_absent_and_present_are_told_apart():
    alarm, hit = error_rates(30)
    assert stats.binom.sf(30 * alarm - 1, 30, 0.05) > 0.001
    assert hit > 0.9


@pytest.mark.full
def test_absent_and_present_are_told_apart_at_the_stated_rate():
    """At most 5 % of 400 coins found, at least 95 % of 400 present properties: the stated error."""
    alarm, hit = error_rates(400)
    assert stats.binom.sf(400 * alarm - 1, 400, 0.05) > 0.001
    assert hit > 0.95


@pytest.mark.full
@pytest.mark.parametrize("probe", ["linear", probing.mlp_probe(4, steps=10)], ids=["linear", "mlp"])
def test_the_level_holds_for_every_probe(probe):
    rng = np.random.default_rng(0)
    options = {"probe": probe, "n_shuffles": 19}
    alarms = [
        probing.detect(rng.normal(size=(40, 5)), rng.integers(2, size=40), random_state=seed, **options).present[0]
        for seed in range(200)
    ]
    assert stats.binom.sf(sum(alarms) - 1, 200, 0.05) > 0.001


# --- code length ------------------------------------------------------------------------------------------------------


class Constant(ClassifierMixin, BaseEstimator):
    """Says the first class with probability ``p``, whatever it is shown."""

    def __init__(self, p: float = 0.5) -> None:
        self.p = p

    def fit(self, X, y):
        self.classes_ = np.unique(y)
        return self

    def predict_proba(self, X):
        return np.tile([self.p, 1 - self.p], (len(X), 1))

    def predict(self, X):
        return np.full(len(X), self.classes_[int(self.p < 0.5)])


def test_code_length_by_hand():
    """Eight labels in blocks of 2, 2 and 4; the probe says 3/4 for class 0."""
    y = np.array([0, 1, 0, 1, 0, 1, 0, 1])
    found = probing.code_length(np.zeros((8, 1)), y, probe=Constant(0.75), ends=(0.25, 0.5, 1.0), n_orders=1, random_state=1)
    assert found.uniform_bits == 8
    assert found.block_rows[0].tolist() == [2, 2, 4]
    assert found.block_bits[0, 0] == 2

    def bits(t, zeros, ones):
        return -zeros * math.log2((t * 0.75 + 0.5) / (t + 1)) - ones * math.log2((t * 0.25 + 0.5) / (t + 1))

    possible = {(z2, z4) for z2 in range(3) for z4 in range(5)}
    wanted = {(bits(2, z2, 2 - z2), bits(4, z4, 4 - z4)) for z2, z4 in possible}
    one_class = {(2 * -math.log2((2 + 0.5) / 3), b) for _, b in wanted} | {(2 * -math.log2(0.5 / 3), b) for _, b in wanted}
    assert any(np.allclose(found.block_bits[0, 1:], pair) for pair in wanted | one_class)
    assert found.bits[0] == found.block_bits.sum()


def test_a_probe_that_knows_nothing_costs_what_the_uniform_code_costs():
    rng = np.random.default_rng(0)
    y = rng.permutation(np.arange(400) % 2)
    found = probing.code_length(np.zeros((400, 1)), y, probe=Constant(0.5), ends=(0.1, 0.5, 1))
    assert found.bits == pytest.approx(np.full(3, 400.0))
    assert found.compression == pytest.approx(1)


def test_an_easy_property_has_a_short_code_and_an_absent_one_has_none():
    A, y = clouds(1000, gap=6.0)
    coin = np.random.default_rng(1).integers(2, size=1000)
    easy, absent = probing.code_length(A, y), probing.code_length(A, coin)
    assert easy.compression > 10
    assert easy.information > 0.85
    assert absent.compression < 1
    assert absent.information < 0


def test_frequent_labels_compress_without_any_information():
    """Nine of ten labels alike: the code is short, but no shorter than by the frequencies."""
    rng = np.random.default_rng(2)
    y = (rng.random(1000) < 0.1).astype(int)
    found = probing.code_length(rng.normal(size=(1000, 5)), y)
    entropy = stats.entropy([y.mean(), 1 - y.mean()], base=2)
    assert found.compression > 1.5
    assert found.information < 0.01
    assert found.frequency_bits.mean() / 1000 == pytest.approx(entropy, rel=0.1)


@given(st.integers(0, 500), st.integers(2, 4))
@settings(deadline=None, max_examples=10)
def test_code_length_does_not_depend_on_names_and_never_cuts_a_group(seed, n_classes):
    rng = np.random.default_rng(seed)
    groups = np.repeat(np.arange(40), rng.integers(1, 4, 40))
    y = np.append(np.arange(n_classes), rng.integers(n_classes, size=len(groups) - n_classes))
    A = rng.normal(size=(len(groups), 3))
    options = {"groups": groups, "ends": (0.1, 0.3, 1.0), "n_orders": 2, "random_state": seed}
    found = probing.code_length(A, y, **options)
    renamed = probing.code_length(A, np.array(["a", "b", "c", "d"])[y], **options)
    np.testing.assert_allclose(found.bits, renamed.bits)
    assert (found.block_rows.sum(axis=1) == len(groups)).all()
    assert found.uniform_bits == pytest.approx(len(groups) * math.log2(n_classes))
    np.testing.assert_allclose(found.bits, found.block_bits.sum(axis=1))
    assert np.isfinite(found.bits).all()


def test_a_code_can_be_looked_at():
    A, y = clouds(200)
    found = probing.code_length(A, y)
    frame = found.to_frame()
    assert frame["rows"].sum() == 200
    assert frame["rows_before"].tolist() == [0, *np.cumsum(frame["rows"])[:-1]]
    assert "compression" in repr(found)
    assert found.plot().get_xscale() == "log"


# --- erasing ----------------------------------------------------------------------------------------------------------


@given(st.integers(0, 1000), st.integers(2, 5))
@settings(deadline=None, max_examples=30)
def test_after_erasing_all_classes_have_one_mean(seed, n_classes):
    rng = np.random.default_rng(seed)
    y = np.append(np.arange(n_classes), rng.integers(n_classes, size=80))
    A = rng.normal(size=(len(y), 7)) + rng.normal(size=(n_classes, 7))[y]
    remover = probing.eraser(A, y)
    B = remover.apply(A)
    assert remover.directions.shape == (n_classes - 1, 7)
    np.testing.assert_allclose(remover.directions @ remover.directions.T, np.eye(n_classes - 1), atol=1e-12)
    for label in range(n_classes):
        np.testing.assert_allclose(B[y == label].mean(axis=0), A.mean(axis=0), atol=1e-10)
    np.testing.assert_allclose(remover.apply(B), B, atol=1e-10)
    assert 0 < remover.removed_share(A) < 1


@given(st.integers(0, 1000), st.integers(2, 4), st.integers(1, 3))
@settings(deadline=None, max_examples=30)
def test_within_another_property_its_direction_stays(seed, n_classes, n_held):
    """y and the other property go together in the sample; within, the direction of y is its own, whatever the weights."""
    rng = np.random.default_rng(seed)
    cells = np.repeat(np.arange(n_classes * n_held), rng.integers(1, 30, n_classes * n_held))
    y, held = cells % n_classes, cells // n_classes
    axes = np.linalg.qr(rng.normal(size=(n_classes + n_held, n_classes + n_held)))[0]
    A = axes[y] + 3 * axes[n_classes + held]
    remover = probing.eraser(A, y, within=held)
    assert len(remover.directions) == n_classes - 1
    np.testing.assert_allclose(remover.directions @ axes[n_classes:].T, 0, atol=1e-10)
    if n_held == 1:
        V = probing.eraser(A, y).directions
        np.testing.assert_allclose(remover.directions.T @ remover.directions, V.T @ V, atol=1e-10)


def test_equal_means_bind_convex_losses_and_not_accuracy():
    """One class at -1, -1 and 2, the other at 0: logistic regression says nothing, one threshold is right in 5 of 6."""
    A, y = np.array([[-1.0], [-1], [2], [0], [0], [0]]), np.array([0, 0, 0, 1, 1, 1])
    assert np.abs(LogisticRegression(C=1e6).fit(A, y).coef_).max() < 1e-6
    assert np.mean((A[:, 0] > -0.5) == y) == 5 / 6


def test_after_erasing_no_linear_probe_beats_a_constant_on_these_rows():
    """Equal means: the best log loss of any linear classifier is the entropy of the labels."""
    A, y = clouds(400, gap=3.0)
    B = probing.eraser(A, y).apply(A)
    fitted = LogisticRegression(C=1e6, max_iter=10_000).fit(B, y)
    loss = -np.log(fitted.predict_proba(B)[np.arange(400), y]).mean()
    assert loss == pytest.approx(stats.entropy([y.mean(), 1 - y.mean()]), abs=1e-6)
    assert fitted.score(B, y) == max(y.mean(), 1 - y.mean())


def test_what_was_erased_on_some_rows_is_gone_on_others():
    A, y = clouds(1200, gap=3.0)
    for method in ("mean", "inlp"):
        remover = probing.eraser(A[:800], y[:800], method=method)
        left = probing.measure(remover.apply(A[800:]), y[800:], n_splits=5)
        assert probing.measure(A[800:], y[800:], n_splits=5).interval()[0] > 0.9
        assert left.interval()[0] < 0.6


def test_inlp_goes_on_where_one_direction_is_not_enough():
    """Two directions tell the classes apart, with different spread: their mean difference is one direction; probes find both."""
    rng = np.random.default_rng(0)
    y = np.arange(900) % 3
    A = rng.normal(size=(900, 6)) + 4 * np.eye(6)[y]
    assert len(probing.eraser(A, y).directions) == 2
    remover = probing.eraser(A, y, method="inlp")
    assert 2 <= len(remover.directions) <= 5
    assert len(probing.eraser(A, y, method="inlp", max_directions=1).directions) == 1


def test_within_goes_with_means_only():
    A, y = clouds(40, gap=3.0)
    with pytest.raises(ValueError, match="within goes with method='mean' only"):
        probing.eraser(A, y, within=np.arange(40) % 4 // 2, method="inlp")


def test_nothing_to_erase_is_said():
    A = np.array([[1.0, 0], [-1, 0], [1, 0], [-1, 0]])
    with pytest.raises(ValueError, match="same mean"):
        probing.eraser(A, [0, 0, 1, 1])
    rng = np.random.default_rng(0)
    with pytest.raises(ValueError, match="nothing to take out"):
        probing.eraser(rng.normal(size=(300, 3)), rng.integers(2, size=300), method="inlp")


@given(st.integers(1, 5), st.integers(0, 100), st.sampled_from(["isotropic", "covariance"]))
@settings(deadline=None, max_examples=30)
def test_random_directions_are_orthonormal(k, seed, kind):
    A = np.random.default_rng(seed).normal(size=(50, 8))
    for V in random_directions(A, k, 3, kind, np.random.default_rng(seed)):
        np.testing.assert_allclose(V @ V.T, np.eye(k), atol=1e-12)


# --- is it used? ------------------------------------------------------------------------------------------------------


class Reader(nn.Module):
    """Behaviour is one known direction of the embedding: score = w . x at the last position."""

    def __init__(self, E: np.ndarray, w: np.ndarray) -> None:
        super().__init__()
        self.tokens, self.seen = nn.Embedding.from_pretrained(torch.tensor(E)), HookPoint()
        self.w = torch.tensor(w)

    def forward(self, tokens):
        return self.seen(self.tokens(tokens)) @ self.w


def read_model(seed: int = 0, d: int = 12) -> tuple[Reader, np.ndarray, np.ndarray, np.ndarray]:
    """A model that uses axis 0 only; words have two properties, on axis 0 (used) and on axis 1 (unused)."""
    rng = np.random.default_rng(seed)
    used, unused = np.arange(40) % 2, np.arange(40) // 2 % 2
    E = 0.1 * rng.normal(size=(40, d))
    E[:, 0], E[:, 1] = 2 * used - 1, 2 * unused - 1
    return Reader(E, np.eye(d)[0]), rng.integers(1, 40, (300, 1)), used, unused


def test_erasing_what_is_used_changes_behaviour_as_computed_and_what_is_unused_changes_nothing():
    model, tokens, used, unused = read_model()
    A = probing.activations(model, tokens, "seen", 0)
    for axis, labels in enumerate((used, unused)):
        y = labels[tokens[:, 0]]
        assert probing.measure(A, y).interval()[0] == 1.0  # both can be read perfectly
        remover = probing.Eraser(np.eye(12)[[axis]], A.mean(axis=0), "by hand")
        sign = 2 * used[tokens[:, 0]] - 1
        found = probing.amnesic(model, tokens, "seen", remover, lambda scores, sign=sign: sign * scores[:, 0], positions=0)
        np.testing.assert_allclose(found.before, 1.0)
        wanted = sign * A[:, 0].mean() if axis == 0 else np.ones(300)
        np.testing.assert_allclose(found.after, wanted, atol=1e-12)
        if axis == 0:
            assert found.p_value == pytest.approx(1 / 20)
            assert found.effect < -0.9
        else:
            assert found.effect == pytest.approx(0, abs=1e-12)
            assert found.p_value == 1.0


def test_random_directions_take_their_share():
    """A random direction of d takes 1 / d of a used axis, on average."""
    model, tokens, used, _ = read_model()
    sign = 2 * used[tokens[:, 0]] - 1
    remover = probing.eraser(probing.activations(model, tokens, "seen", 0), used[tokens[:, 0]])
    found = probing.amnesic(model, tokens, "seen", remover, lambda s: sign * s[:, 0], positions=0, n_random=200)
    assert found.random_effects.mean() == pytest.approx(-1 / 12, abs=0.03)
    wide = probing.amnesic(
        model, tokens, "seen", remover, lambda s: sign * s[:, 0], positions=0, n_random=200, random="covariance"
    )
    assert wide.random_removed.mean() > 2 * found.random_removed.mean()
    assert found.removed == pytest.approx(wide.removed)


def test_amnesic_can_be_looked_at():
    model, tokens, used, _ = read_model()
    remover = probing.eraser(probing.activations(model, tokens, "seen", 0), used[tokens[:, 0]])
    found = probing.amnesic(model, tokens, "seen", remover, lambda s: s[:, 0], n_random=5, batch_size=7)
    frame = found.to_frame()
    assert frame.index.tolist() == ["untouched", "erased", "random"]
    assert frame.loc["untouched", "variance_removed"] == 0
    assert "1 directions by mean at seen" in repr(found)
    assert found.plot().get_xlabel() == "mean change of the behaviour"
    assert "1 of 12 directions" in repr(remover)


# --- sweep ------------------------------------------------------------------------------------------------------------


def test_a_sweep_is_a_measurement_at_every_point():
    model, tokens = network(), sentences(60)
    y, words = np.arange(60) % 2, tokens[:, 1]
    found = probing.sweep(model, tokens, y, positions=1, types=words, n_splits=3, n_untrained=2, random_state=3)
    assert list(found.measurements) == STREAM
    seed = int(np.random.default_rng(3).integers(2**31))
    for point, one in found.measurements.items():
        alone = probing.measure(probing.activations(model, tokens, point, 1), y, types=words, n_splits=3, random_state=seed)
        np.testing.assert_allclose(one.accuracy, alone.accuracy)
        np.testing.assert_allclose(one.control, alone.control)
    assert found.untrained.shape == (2, 5, 3)
    frame = found.to_frame()
    np.testing.assert_allclose(frame["learnt"], frame["accuracy"] - frame["untrained"])
    assert {"selectivity", "selectivity_low", "learnt_high", "majority"} <= set(frame)
    assert "2 untrained networks" in repr(found)
    assert len(found.plot().get_xticks()) == 5


def test_learnt_pairs_the_splits_and_allows_for_other_splits_and_networks():
    """By hand, for two networks and three splits: both half-widths, at right angles."""
    trained = probing.Measurement(np.array([0.9, 0.8, 0.7]), np.full(3, 0.5), None, np.nan, 20, 10, 0.5, "linear probe")
    untrained = np.array([[0.6, 0.6, 0.4], [0.7, 0.5, 0.5]])
    row = probing.Sweep({"embedded": trained}, untrained[:, None]).to_frame().iloc[0]
    d = np.array([[0.3, 0.2, 0.3], [0.2, 0.3, 0.2]])
    over_splits = stats.t.ppf(0.975, 2) * d.mean(axis=0).std(ddof=1) * np.sqrt(1 / 3 + 0.5)
    over_networks = stats.t.ppf(0.975, 1) * d.mean(axis=1).std(ddof=1) / np.sqrt(2)
    assert row["learnt"] == pytest.approx(0.25)
    assert row["learnt_high"] - 0.25 == pytest.approx(np.hypot(over_splits, over_networks))


def test_a_sweep_without_controls():
    model, tokens = network(mlp=False), sentences(30)
    found = probing.sweep(model, tokens, np.arange(30) % 2, positions="mean", n_splits=2, n_untrained=0)
    assert list(found.measurements) == ["embedded", "blocks.0.resid_post", "blocks.1.resid_post"]
    assert "learnt" not in found.to_frame()
    assert len(found.plot().get_xticks()) == 3


def test_points_that_repeat_are_probed_once_and_may_be_chosen():
    model, tokens = network(), sentences(30)
    points = ["final", "blocks.1.mlp.hidden", "final"]
    found = probing.sweep(model, tokens, np.arange(30) % 2, positions=0, points=points, n_splits=2, n_untrained=0)
    assert list(found.measurements) == points[:2]
