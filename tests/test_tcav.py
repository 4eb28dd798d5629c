"""Closed forms, activations that are never stale, tests whose level holds, no side effects."""

from __future__ import annotations

import copy
import gc
import os

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from sklearn.linear_model import LogisticRegression, Ridge, SGDClassifier
from sklearn.svm import SVC
from sklearn.tree import DecisionTreeClassifier
from torch import nn

from xailib import _activations, tcav, zoo
from xailib._concept_vectors import Layer, mean_cosine, one_run
from xailib.saliency import gradcam
from xailib.worlds.birds import birds

RNG = np.random.default_rng(0)
TESTS = ["permutation", "t_equal", "t_welch"]


def network(seed: int = 0, *, inplace: bool = False, head: str = "flatten") -> nn.Sequential:
    """A small float64 network with a tail that is not linear: two convolutions, pooling or flatten, a linear layer."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        pool = [nn.AdaptiveAvgPool2d(1), nn.Flatten()] if head == "gap" else [nn.Flatten()]
        layers = [nn.Conv2d(3, 4, 3, padding=1), nn.ReLU(inplace), nn.Conv2d(4, 5, 3, padding=1), nn.ReLU(inplace)]
        return nn.Sequential(*layers, *pool, nn.Linear(5 if head == "gap" else 320, 6)).double()


def linear_network(weights: np.ndarray) -> nn.Sequential:
    """Flatten, then one class score per row of the weights."""
    net = nn.Sequential(nn.Flatten(), nn.Linear(weights.shape[1], len(weights), bias=False)).double()
    net[1].weight.data = torch.tensor(weights)
    return net


def pictures(n: int, seed: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).random((n, 3, 8, 8))


def as_images(rows: np.ndarray) -> np.ndarray:
    return rows[:, None, None, :]


@pytest.fixture(autouse=True)
def _empty_cache():
    tcav.clear_cache()
    yield
    tcav.clear_cache()


@pytest.fixture(autouse=True)
def _same_numbers_in_any_order_of_tests():
    globals()["RNG"] = np.random.default_rng(0)


# --- concept vectors --------------------------------------------------------------------------------------------------


def test_cav_of_two_gaussians_is_the_whitened_difference_of_means():
    """With next to no penalty least squares is Fisher's discriminant; with many examples that of the population."""
    mix = RNG.normal(size=(5, 5))
    shift = np.array([1.0, 0, -1, 0.5, 0])
    A, B = RNG.normal(size=(600, 5)) @ mix.T + shift, RNG.normal(size=(600, 5)) @ mix.T
    v = tcav.cav(A, B, penalty=1e-6, test_share=0).vector
    pooled = (np.cov(A.T) + np.cov(B.T)) / 2
    exact = np.linalg.solve(pooled, A.mean(axis=0) - B.mean(axis=0))
    population = np.linalg.solve(mix @ mix.T, shift)
    assert cosine(v, exact) > 1 - 1e-5
    assert cosine(v, population) > 0.95
    assert cosine(v, shift) < 0.9  # the difference of means itself is another direction


@pytest.mark.parametrize("shape", [(12, 40), (60, 7)], ids=["fewer examples than numbers", "more"])
@pytest.mark.parametrize("loss", ["ridge", "logistic", "svm"])
def test_the_solution_in_the_span_is_scikit_learns(loss, shape):
    rng = np.random.default_rng(2)
    A, B = 3 * rng.normal(size=shape) + 1, 3 * rng.normal(size=(shape[0] + 3, shape[1]))
    X, y = np.concatenate([A, B]), np.repeat([1.0, -1.0], [len(A), len(B)])
    n, s2, penalty = len(X), ((X - X.mean(axis=0)) ** 2).sum(axis=1).mean(), 0.05
    reference = {
        "ridge": Ridge(alpha=n * penalty * s2),
        "logistic": LogisticRegression(C=1 / (n * penalty * s2), tol=1e-10, max_iter=10_000),
        "svm": SVC(kernel="linear", C=1 / (n * penalty * s2), tol=1e-8),
    }[loss].fit(X, y)
    found = tcav.cav(A, B, classifier=loss, penalty=penalty, test_share=0)
    w, b = np.ravel(reference.coef_), np.ravel(reference.intercept_)[0]
    tolerance = {"ridge": 1e-10, "logistic": 2e-4, "svm": 1e-4}[loss]
    np.testing.assert_allclose(found.vector * found.norm, w, atol=tolerance * np.linalg.norm(w))
    np.testing.assert_allclose(found.decision(X), X @ w + b, atol=tolerance * 10)
    assert np.linalg.norm(found.vector) == pytest.approx(1, abs=1e-12)


@given(scale=st.floats(1e-6, 1e6), shift=st.floats(-1e3, 1e3), seed=st.integers(0, 99))
@settings(deadline=None, max_examples=20)
def test_neither_unit_nor_origin_of_the_activations_matters(scale, shift, seed):
    rng = np.random.default_rng(seed)
    A, B = rng.normal(size=(9, 6)) + 1, rng.normal(size=(9, 6))
    plain, moved = tcav.cav(A, B), tcav.cav(scale * (A + shift), scale * (B + shift))
    np.testing.assert_allclose(moved.vector, plain.vector, atol=1e-6)
    assert moved.accuracy == plain.accuracy


def test_exchanging_the_sets_turns_the_vector_around():
    A, B = RNG.normal(size=(10, 4)) + 1, RNG.normal(size=(10, 4))
    for loss in ("ridge", "logistic", "svm"):
        there, back = tcav.cav(A, B, classifier=loss, test_share=0), tcav.cav(B, A, classifier=loss, test_share=0)
        np.testing.assert_allclose(there.vector, -back.vector, atol=1e-5)


def test_accuracy_is_measured_on_examples_that_did_not_train():
    A, B = RNG.normal(size=(30, 500)), RNG.normal(size=(30, 500))
    found = tcav.cav(A, B)
    assert (found.n_train, found.n_test) == (40, 20)
    right = [(found.decision(A) > 0).mean(), (found.decision(B) <= 0).mean()]
    assert np.mean(right) > 0.8  # 500 numbers separate the 20 training examples of a set perfectly
    assert found.accuracy < 0.75  # and say nothing about others
    assert tcav.cav(A + 5, B).accuracy == 1
    assert np.isnan(tcav.cav(A, B, test_share=0).accuracy)


@pytest.mark.parametrize("loss", ["ridge", "logistic", "svm"])
def test_accuracy_of_unequal_sides_is_counted_from_the_middle_between_them(loss):
    """One against five: the classifier's own border hardly ever answers "concept", however well the vector separates."""
    rng = np.random.default_rng(8)
    A, B = rng.normal(size=(40, 3)) + np.array([1.5, 0, 0]), rng.normal(size=(200, 3))
    found = tcav.cav(A, B, classifier=loss, penalty=0.1)
    own_border = ((found.decision(A) > 0).mean() + (found.decision(B) <= 0).mean()) / 2
    assert own_border < 0.7
    assert found.accuracy > 0.72  # the best border reaches stats.norm.cdf(0.75) = 0.77
    equal = tcav.cav(A, B[:40], classifier=loss)
    assert equal.accuracy == pytest.approx(0.77, abs=0.12)


def test_an_estimator_is_fitted_as_it_is_and_stays_as_it_was():
    A, B = RNG.normal(size=(20, 5)) + 1, RNG.normal(size=(20, 5))
    given_model = SGDClassifier(alpha=0.01)
    found = tcav.cav(A, B, classifier=given_model, test_share=0, random_state=4)
    assert not hasattr(given_model, "coef_")
    again = tcav.cav(A, B, classifier=given_model, test_share=0, random_state=4)
    np.testing.assert_array_equal(found.vector, again.vector)  # an estimator without a seed gets ours
    reference = LogisticRegression().fit(np.concatenate([A, B]), np.repeat([1, 0], 20))
    found = tcav.cav(A, B, classifier=LogisticRegression(), test_share=0)
    np.testing.assert_allclose(found.vector * found.norm, reference.coef_[0], atol=1e-5)
    with pytest.raises(ValueError, match="gives no coef_"):
        tcav.cav(A, B, classifier=DecisionTreeClassifier())


def test_alike_examples_are_refused():
    with pytest.raises(ValueError, match="all alike at concept and random"):
        tcav.cav(np.ones((5, 3)), np.ones((5, 3)))


def cosine(a: np.ndarray, b: np.ndarray) -> float:
    return float(a @ b / np.linalg.norm(a) / np.linalg.norm(b))


# --- derivatives ------------------------------------------------------------------------------------------------------


def test_a_linear_head_scores_zero_or_one_with_the_sign_of_w_times_v():
    """The same gradient for every image: the classic trap of the last layer."""
    w = np.array([[2.0, -1.0, 0.0], [0.0, 0.0, 1.0]])
    net, x = linear_network(w), as_images(RNG.normal(size=(7, 3)))
    for direction in np.eye(3)[:2]:
        v = tcav.cav(RNG.normal(size=(20, 3)) * 0.1 + direction, RNG.normal(size=(20, 3)) * 0.1)
        S = tcav.sensitivity(net, x, "0", 0, v)
        np.testing.assert_allclose(S, w[0] @ v.vector, atol=1e-12)
        assert (S > 0).mean() == float(w[0] @ v.vector > 0)
    sets = [as_images(RNG.normal(size=(6, 3))) for _ in range(5)]
    runs = tcav.scores(net, x, 0, {"any": as_images(RNG.normal(size=(6, 3)))}, sets, ["0"]).runs
    assert set(runs["sign_count"]) == {0.0, 1.0}


def test_a_concept_orthogonal_to_the_class_is_not_significant():
    w = np.array([[1.0, 0, 0, 0]])
    net, x = linear_network(w), as_images(RNG.normal(size=(5, 4)))
    dull = as_images(RNG.normal(size=(20, 4)) * [0, 1, 1, 1] + [0, 5, 0, 0])  # what the class reads never varies
    sets = [as_images(RNG.normal(size=(20, 4)) * [0, 1, 1, 1]) for _ in range(19)]
    found = tcav.scores(net, x, 0, {"orthogonal": dull}, sets, ["0"])
    assert found.to_frame()["accuracy"].item() == 1
    assert found.to_frame()["magnitude"].item() == 0
    assert found.test()["p_value"].item() == 1


def test_loss_and_logit_gradients_differ_by_the_expected_gradient():
    net, x = network(), pictures(5)
    G = np.stack([tcav.gradients(net, x, "2", c) for c in range(6)])  # (classes, n, p)
    with torch.no_grad():
        p = net(torch.tensor(x)).softmax(dim=1).numpy()
    expected = G[3] - np.einsum("nc,cnp->np", p, G)
    np.testing.assert_allclose(tcav.gradients(net, x, "2", 3, of="log-probability"), expected, atol=1e-12)
    difference = tcav.gradients(net, x, "2", 3, against=1)
    np.testing.assert_allclose(difference, G[3] - G[1], atol=1e-12)
    np.testing.assert_allclose(tcav.gradients(net, x, "2", 3, against=1, of="log-probability"), difference, atol=1e-12)


@pytest.mark.parametrize("positions", ["all", "mean"])
def test_sensitivity_is_the_change_of_the_score_along_the_vector(positions):
    """Against finite differences of the tail; for channel means, the same step at every position."""
    net, x = network(), pictures(4)
    A = tcav.activations(net, x, "1")
    width = {"all": 256, "mean": 4}[positions]
    v = tcav.cav(RNG.normal(size=(8, width)), RNG.normal(size=(8, width)))
    step = (v.vector if positions == "all" else np.repeat(v.vector, 64)) * 1e-6

    def tail(rows: np.ndarray) -> np.ndarray:
        with torch.no_grad():
            return net[2:](torch.tensor(rows).reshape(-1, 4, 8, 8)).numpy()[:, 2]

    S = tcav.sensitivity(net, x, "1", 2, v, positions=positions)
    np.testing.assert_allclose(S, (tail(A + step) - tail(A - step)) / 2e-6, atol=1e-7)


def test_several_layers_share_one_pass_and_give_each_layers_own_gradient():
    net, x = network(inplace=True), pictures(6)
    together = _activations.gradients(net, x, ["0", "1", "3"], np.array([[2, -1]] * 6), "logit", "all", 4)
    for name, G in together.items():
        np.testing.assert_allclose(G, tcav.gradients(net, x, name, 2), atol=1e-14)
    cam = gradcam(net, x, "3", 2)  # from its own cut: mean gradient of each channel times the channel
    A = tcav.activations(net, x, "3").reshape(6, 5, 8, 8)
    alpha = together["3"].reshape(6, 5, 8, 8).mean(axis=(2, 3), keepdims=True)
    np.testing.assert_allclose((alpha * A).sum(axis=1), cam.values, atol=1e-12)


def test_a_list_of_vectors_gives_a_column_each():
    net, x = network(), pictures(3)
    vs = [tcav.cav(RNG.normal(size=(6, 320)), RNG.normal(size=(6, 320))) for _ in range(2)]
    S = tcav.sensitivity(net, x, "3", 1, vs)
    np.testing.assert_allclose(S, np.column_stack([tcav.sensitivity(net, x, "3", 1, v) for v in vs]))


# --- activations are never stale --------------------------------------------------------------------------------------


class Counting(nn.Module):
    """Counts on the class, so that counting does not change the model."""

    images_seen = 0

    def __init__(self, seed: int = 0, factor: float = 1.0) -> None:
        super().__init__()
        self.body, self.factor = network(seed), factor
        self.register_buffer("shift", torch.zeros(1, dtype=torch.float64))

    def forward(self, x):
        Counting.images_seen += len(x)
        return self.body(x * self.factor + self.shift)


def seen(call) -> int:
    before = Counting.images_seen
    call()
    return Counting.images_seen - before


def test_every_image_goes_through_the_network_once():
    net, x = Counting(), pictures(6)
    assert seen(lambda: tcav.activations(net, x[[0, 1, 2, 1]], "body.0")) == 3
    assert seen(lambda: tcav.activations(net, x[[2, 1, 0]], "body.0")) == 0
    assert seen(lambda: tcav.activations(net, x, "body.0", positions="mean")) == 3
    assert seen(lambda: tcav.activations(net, x, "body.2")) == 6
    plain = _activations_without_memory(net, x, "body.0")
    np.testing.assert_array_equal(tcav.activations(net, x, "body.0"), plain)


CHANGES = {
    "weights": lambda net: net.body[0].weight.data.mul_(2),
    "one weight by an ulp": lambda net: net.body[0].weight.data[0, 0, 0, 0].mul_(1 + 2**-52),
    "buffer": lambda net: net.shift.add_(1),
    "plain attribute": lambda net: setattr(net, "factor", 3.0),
    "layer replaced": lambda net: net.body.__setitem__(0, network(5)[0]),
    "setting of a layer": lambda net: setattr(net.body[0], "padding_mode", "reflect"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_changed_model_never_uses_old_activations(change):
    net, x = Counting(), pictures(3)
    tcav.activations(net, x, "body.0")
    with torch.no_grad():
        CHANGES[change](net)
    assert seen(lambda: tcav.activations(net, x, "body.0")) == 3


def test_another_model_never_uses_the_activations_of_the_first():
    """captum keeps CAVs in a folder and gives those of one model to the next (see the peers' tests)."""
    x, y = pictures(20), pictures(20, seed=2)
    first, second = network(0), network(1)
    cavs = [tcav.cav(tcav.activations(net, x, "2"), tcav.activations(net, y, "2")) for net in (first, second)]
    tcav.clear_cache()
    alone = tcav.cav(tcav.activations(second, x, "2"), tcav.activations(second, y, "2"))
    np.testing.assert_array_equal(cavs[1].vector, alone.vector)
    assert abs(cosine(cavs[0].vector, cavs[1].vector)) < 0.5


def test_a_class_defined_again_under_the_same_name_is_another_model():
    """As in a notebook cell that is run again with other code: same name, same weights, other function."""
    x, answers = pictures(2), []
    for factor in (1.0, -1.0):

        class Net(nn.Module):
            def __init__(self) -> None:
                super().__init__()
                self.body = network()

            def forward(self, x, factor=factor):
                return self.body(factor * x)

        net = Net()
        answers.append(tcav.activations(net, x, "body.0"))
        del net
        gc.collect()
    assert np.abs(answers[0] - answers[1]).max() > 0.1


def test_a_model_that_can_not_be_read_is_not_kept():
    net, x, factor = network(), pictures(2), [1.0]
    net[0].register_forward_hook(lambda _module, _inputs, output: output * factor[0])
    before = tcav.activations(net, x, "1")
    factor[0] = 2.0
    np.testing.assert_allclose(tcav.activations(net, x, "1"), 2 * before)


def test_images_that_differ_only_in_type_or_order_are_different_images():
    net, x = Counting(), np.round(pictures(2) * 9)
    tcav.activations(net, x.astype(np.float32), "body.0")
    assert seen(lambda: tcav.activations(net, x, "body.0")) == 2
    assert seen(lambda: tcav.activations(net, x[:, ::-1], "body.0")) == 2


def test_memory_is_bounded_and_answers_are_fresh(monkeypatch):
    net, x = network(), pictures(8)
    monkeypatch.setattr(_activations, "CACHE_BYTES", 3 * 256 * 8)  # room for three rows
    plain = tcav.activations(net, x, "1")
    assert _activations._CACHE.n_bytes == sum(row.nbytes for row in _activations._CACHE.rows.values()) <= 3 * 256 * 8
    np.testing.assert_array_equal(tcav.activations(net, x, "1"), plain)
    plain[:] = 0  # the caller's array is the caller's
    assert np.abs(tcav.activations(net, x, "1")).max() > 0


def test_only_the_first_image_goes_beyond_the_last_layer():
    net, x = network(), pictures(10)
    ran = []
    hook = net[5].register_forward_hook(lambda _m, inputs, _o: ran.append(len(inputs[0])))
    found = tcav.activations(net, x, "1", batch_size=4)
    hook.remove()
    assert ran == [1]  # the first image goes through the whole network, which checks it
    np.testing.assert_allclose(found, _activations_without_memory(net, x, "1"), atol=1e-14)


def _activations_without_memory(net: nn.Module, x: np.ndarray, layer: str) -> np.ndarray:
    kept = []
    hook = net.get_submodule(layer).register_forward_hook(lambda _m, _i, output: kept.append(output.detach().clone()))
    net(torch.tensor(x))
    hook.remove()
    return kept[0].flatten(1).numpy()


# --- scores -----------------------------------------------------------------------------------------------------------


def found_scores(net: nn.Module | None = None, **options) -> tcav.Scores:
    sets = [pictures(9, seed=s) for s in range(10, 16)]
    concepts = {"bright": pictures(9, seed=3) + 0.5, "plain": pictures(11, seed=4)}
    settings_ = {"layers": ["1", "2"]} | options
    return tcav.scores(net or network(), pictures(8), 2, concepts, sets, **settings_)


def test_scores_are_those_of_the_parts():
    """A run by hand with activations, cav and sensitivity."""
    net, x, C, R = network(), pictures(8), pictures(9, seed=3), pictures(9, seed=4)
    runs = tcav.scores(net, x, 2, {"c": C}, [R], ["1"], test_share=0, controls=False).runs
    v = tcav.cav(tcav.activations(net, C, "1"), tcav.activations(net, R, "1"), test_share=0)
    S = tcav.sensitivity(net, x, "1", 2, v)
    assert runs["sign_count"].item() == (S > 0).mean()
    assert runs["magnitude"].item() == pytest.approx(S.mean(), abs=1e-12)


@pytest.mark.parametrize("classifier", ["ridge", "logistic", "svm", SGDClassifier(alpha=0.01)], ids=str)
def test_every_classifier_gives_all_runs(classifier):
    found = found_scores(classifier=classifier)
    assert found.set_size == 9  # the larger set is cut
    assert len(found.runs) == 2 * (2 * 6 + 6 * 5)
    assert found.runs[["sign_count", "accuracy"]].min().min() >= 0
    frame = found.to_frame()
    assert list(frame["concept"]) == ["bright", "plain"] * 2
    assert frame["stability"].between(-1, 1).all()
    assert found.test()["decision"].isin(["significant", "not significant", "undefined"]).all()


def test_random_sets_meet_in_both_directions():
    random = found_scores().runs.query("kind == 'random' and layer == '2'").set_index(["set", "counterpart"])
    for a, b in [("random 0", "random 3"), ("random 4", "random 1")]:
        there, back = random.loc[(a, b)], random.loc[(b, a)]
        assert there["sign_count"] + back["sign_count"] == pytest.approx(1)
        assert there["magnitude"] == pytest.approx(-back["magnitude"])


def test_stability_is_the_mean_cosine_of_all_pairs():
    X = RNG.normal(size=(40, 12))
    layer = Layer("x", X, np.zeros((1, 12)))
    for classifier in ("ridge", SGDClassifier(random_state=0)):
        learn = tcav._learner(classifier, 0.01, 0.25, 0)
        directions = [one_run(layer, learn, np.arange(8), np.arange(s, s + 8)).direction for s in (8, 16, 24, 32)]
        V = np.array([d.explicit(layer) for d in directions])
        pairs = (V @ V.T)[np.triu_indices(4, 1)]
        np.testing.assert_allclose(np.linalg.norm(V, axis=1), 1)
        assert mean_cosine(layer, directions) == pytest.approx(pairs.mean(), abs=1e-12)


def test_a_planted_concept_is_found_and_its_opposite_is_significant_too():
    """The class reads the first two numbers: one for it, one against it, the third not at all."""
    rng = np.random.default_rng(5)
    net, x = linear_network(np.array([[1.0, -1.0, 0.0]])), as_images(rng.normal(size=(5, 3)))
    concepts = {name: as_images(rng.normal(size=(20, 3)) + 3 * np.eye(3)[j]) for j, name in enumerate("+-0")}
    sets = [as_images(rng.normal(size=(20, 3))) for _ in range(119)]
    table = tcav.scores(net, x, 0, concepts, sets, ["0"]).test().set_index("concept")
    assert table.loc["+", "sign_count"] == 1
    assert table.loc["-", "sign_count"] == 0
    assert list(table["decision"]) == ["significant", "significant", "not significant"]


# --- tests ------------------------------------------------------------------------------------------------------------


def test_every_set_in_turn_as_the_concept_gets_every_rank_once():
    """Why the permutation test is exact: among exchangeable sets each is the most extreme one equally often."""
    net, x = network(), pictures(30)
    sets = [pictures(6, seed=s) for s in range(20, 28)]
    p = [
        tcav.scores(net, x, 2, {"it": one}, sets[:i] + sets[i + 1 :], ["2"], test_share=0).test()["p_value"].item()
        for i, one in enumerate(sets)
    ]
    np.testing.assert_allclose(sorted(p), np.repeat([1, 2, 3, 4], 2) / 4)  # doubled ranks from either end


@pytest.mark.parametrize("variance", ["equal", "welch"])
def test_the_usual_test_is_scipys(variance):
    found = found_scores()
    here = found.runs[found.runs["layer"] == "2"]
    mine, random = here.loc[here["set"] == "bright", "magnitude"], here.loc[here["kind"] == "random", "magnitude"]
    table = found.test("t", variance=variance, statistic="magnitude", correction=None).set_index(["layer", "concept"])
    expected = stats.ttest_ind(mine, random, equal_var=variance == "equal").pvalue
    assert table.loc[("2", "bright"), "p_value"] == pytest.approx(expected, rel=1e-9)
    assert variance.capitalize() in table["test"].iloc[0] or variance == "equal"


def test_corrections_by_definition():
    p = np.array([0.01, 0.04, np.nan, 0.03, 0.005])
    np.testing.assert_allclose(tcav.corrected(p, "bonferroni"), [0.05, 0.2, np.nan, 0.15, 0.025])
    np.testing.assert_allclose(tcav.corrected(p, "holm"), [0.04, 0.09, np.nan, 0.09, 0.025])
    np.testing.assert_array_equal(tcav.corrected(p, None), p)


@given(seed=st.integers(0, 999), n=st.integers(1, 9))
@settings(deadline=None, max_examples=30)
def test_holm_is_never_stricter_than_bonferroni(seed, n):
    p = np.random.default_rng(seed).random(n) ** 3
    holm, bonferroni = tcav.corrected(p, "holm"), tcav.corrected(p, "bonferroni")
    assert (p <= holm).all()
    assert (holm <= bonferroni + 1e-15).all()
    assert (np.diff(holm[np.argsort(p)]) >= 0).all()


def test_undefined_is_said_and_never_called_not_significant():
    few = found_scores().test()
    assert set(few["decision"]) == {"undefined"}  # six random sets: no p is below 2/7
    assert np.isnan(tcav.t_test_p(np.ones(5), np.full(7, 0.5), equal_variance=True))
    assert tcav.t_test_p(np.ones(5), np.array([0.0, 1, 0, 1]), equal_variance=False) == pytest.approx(
        stats.ttest_ind([1.0, 1, 1, 1, 1 - 1e-12], [0.0, 1, 0, 1], equal_var=False).pvalue, rel=1e-6
    )
    # right before a linear head, two random sets: runs are 0 and 1, and one concept run says nothing
    net, x = linear_network(np.array([[1.0, 0.0]])), as_images(RNG.normal(size=(4, 2)))
    sets = [as_images(RNG.normal(size=(5, 2))) for _ in range(2)]
    dull = tcav.scores(net, x, 0, {"c": sets[0]}, [s * [0, 1] for s in sets], ["0"])
    assert dull.test("t", correction=None)["decision"].isin(["undefined", "not significant"]).all()
    with pytest.raises(ValueError, match="controls=True"):
        found_scores(controls=False).test()


class Unread(nn.Module):
    """The birds network, which also sees the corner of the picture, in channels that nothing behind reads."""

    def __init__(self) -> None:
        super().__init__()
        self.net, self.joined = zoo.load("birds-cnn"), nn.Identity()

    def forward(self, x):
        corner = torch.zeros_like(x)
        corner[:, :, :8, :8] = 1
        live = self.net.features[:8](x * (1 - corner))
        tag = x[:, :, :8, :8].mean(dim=(2, 3), keepdim=True).expand(-1, -1, *live.shape[2:])
        maps = self.joined(torch.cat([live, tag], dim=1))
        return self.net.classifier(self.net.features[8:](maps[:, : live.shape[1]]).mean(dim=(2, 3)))


def false_alarms(kind: str, n_concepts: int, n_pool: int, level: float, **options) -> dict[str, int]:
    """How many of the meaningless concepts each test calls significant."""
    world, net = birds(6000), Unread().eval()
    pool = world.X[np.random.default_rng(1).permutation(5000)[:n_pool]]
    edited = pool.copy()
    edited[:, :, :8, :8] = np.array([1.0, 0.0, 1.0])[:, None, None]
    with torch.no_grad():
        assert torch.equal(net(torch.tensor(pool[:200])), net(torch.tensor(edited[:200])))  # the insertion changes no logit
    images = world.X[5000:][world.y[5000:] == 1][:50]
    options["random_state"] = KINDS.index(kind)
    inserted = {"noise against noise": None, "an insertion that nothing reads": edited}[kind]
    found = tcav.false_alarms(net, images, 1, pool, "joined", edited=inserted, n_concepts=n_concepts, **options)
    if inserted is not None:
        assert found["accuracy"].mean() > 0.85  # the layer holds the concept, and the class does not use it
    return {test: int((found[test] <= level + 1e-12).sum()) for test in TESTS}


KINDS = ["noise against noise", "an insertion that nothing reads"]


@pytest.mark.parametrize("kind", KINDS)
def test_false_alarms_in_small(kind):
    """Forty concepts that mean nothing: the usual tests call many of them significant, the permutation test few."""
    alarms = false_alarms(kind, 40, n_pool=200, level=0.1, positions="mean", set_size=10, n_sets=19)
    limit = stats.binom.ppf(0.999, 40, 0.1)
    assert alarms["permutation"] <= limit < min(alarms["t_equal"], alarms["t_welch"])


@pytest.mark.full
@pytest.mark.timeout(600)
@pytest.mark.parametrize("kind", KINDS)
def test_the_permutation_test_keeps_its_level_and_the_usual_test_does_not(kind):
    """200 meaningless concepts: the share called significant at 5 % lies within the binomial interval, or far outside."""
    alarms = false_alarms(kind, 200, n_pool=800, level=0.05, set_size=20)
    low, high = stats.binom.interval(0.95, 200, 0.05)
    assert low <= alarms["permutation"] <= high
    for usual in ("t_equal", "t_welch"):
        assert stats.binomtest(alarms[usual], 200).proportion_ci(0.99).low > 0.25


# --- relative TCAV ----------------------------------------------------------------------------------------------------


def test_relative_to_the_only_other_concept_is_its_mirror_image():
    net, x = network(), pictures(10)
    found = tcav.relative_scores(net, x, 2, {"a": pictures(9, 3) + 0.3, "b": pictures(9, 4)}, ["1"], n_runs=4, n_relabelled=5)
    runs = found.runs[found.runs["kind"] == "concept"].pivot(index="counterpart", columns="set", values="magnitude")
    np.testing.assert_allclose(runs["a"], -runs["b"], atol=1e-12)
    observed = found.null[found.null["role"] == "observed"].set_index("concept")
    assert observed.loc["a", "sign_count"] + observed.loc["b", "sign_count"] == pytest.approx(1)


def test_relative_scores_separate_concepts_that_share_what_random_images_lack():
    """Both concepts are bright; only the first is red. Against random images both point to brightness, relative one to red."""
    rng = np.random.default_rng(6)
    red, bright, x = np.eye(30)[0], np.eye(30)[1], as_images(rng.normal(size=(5, 30)))
    net = linear_network(red[None])
    shown = {"red": 3 * red + 5 * bright, "grey": 5 * bright, "pale": 5 * bright}
    concepts = {name: as_images(rng.normal(size=(25, 30)) + mean) for name, mean in shown.items()}
    found = tcav.relative_scores(net, x, 0, concepts, ["0"])
    assert len(found.runs) == 3 * 20 + 199
    table = found.test(statistic="magnitude").set_index("concept")
    assert table.loc["red", "decision"] == "significant"
    assert table.loc["red", "magnitude"] > 0.5 > abs(table["random"]).max()
    assert found.to_frame().set_index("concept").loc["red", "accuracy"] > 0.7


def test_relative_permutation_keeps_its_level():
    """Names dealt at random to images of one kind: about one in twenty is significant."""
    rng = np.random.default_rng(7)
    net, x = linear_network(rng.normal(size=(1, 6))), as_images(rng.normal(size=(5, 6)))
    alarms = 0
    for seed in range(60):
        concepts = {name: as_images(rng.normal(size=(8, 6))) for name in "abc"}
        found = tcav.relative_scores(net, x, 0, concepts, ["0"], n_runs=2, n_relabelled=39, random_state=seed)
        alarms += int(found.test(correction=None)["p_value"].iloc[0] <= 0.05)
    assert alarms <= stats.binom.ppf(0.999, 60, 0.05)


# --- random sets ------------------------------------------------------------------------------------------------------


def test_random_sets_are_disjoint_unless_bootstrapped():
    pool = np.arange(30.0).reshape(30, 1, 1, 1)
    assert len(np.unique(np.concatenate(tcav.random_sets(pool, 5, 6)))) == 30
    with pytest.raises(ValueError, match="5 sets of 7 without common images need 35"):
        tcav.random_sets(pool, 5, 7)
    drawn = tcav.random_sets(pool, 50, 7, bootstrap=True)
    assert len(drawn) == 50
    assert len(np.unique(np.concatenate(drawn))) == 30


# --- the same again, and nothing left behind --------------------------------------------------------------------------


def test_same_seed_same_result_with_or_without_memory():
    first = found_scores()
    second = found_scores()
    tcav.clear_cache()
    third = found_scores(batch_size=3)
    np.testing.assert_array_equal(first.runs["magnitude"], second.runs["magnitude"])
    np.testing.assert_allclose(first.runs["magnitude"], third.runs["magnitude"], atol=1e-12)
    assert (found_scores(random_state=1).runs["accuracy"] != first.runs["accuracy"]).any()


def test_nothing_is_left_behind(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    net = network()
    net.train()
    net[0].weight.requires_grad_(False)
    before = copy.deepcopy(net.state_dict())
    flags = [(p.requires_grad, p.grad) for p in net.parameters()]
    torch_state = torch.get_rng_state()
    x = pictures(4)
    own = x.copy()
    found_scores(net)
    with pytest.raises(ValueError, match="out of range"):
        tcav.gradients(net, x, "1", 9)
    assert net.training
    assert not any(m._forward_hooks for m in net.modules())
    assert [(p.requires_grad, p.grad) for p in net.parameters()] == flags
    assert all(torch.equal(a, b) for a, b in zip(before.values(), net.state_dict().values(), strict=True))
    assert torch.equal(torch_state, torch.get_rng_state())
    np.testing.assert_array_equal(x, own)
    assert os.listdir(tmp_path) == []


def test_train_mode_frozen_weights_inference_mode_and_in_place_layers_change_nothing():
    reference = found_scores(network()).runs["magnitude"]
    dropping = network()
    dropping.insert(4, nn.Dropout(0.9))
    dropping.train()
    frozen = network().requires_grad_(False)
    for net in (dropping, frozen, network(inplace=True)):
        np.testing.assert_allclose(found_scores(net).runs["magnitude"], reference, atol=1e-12)
    net = network()
    with torch.inference_mode():
        np.testing.assert_allclose(found_scores(net).runs["magnitude"], reference, atol=1e-12)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=["float16", "bfloat16"])
def test_a_model_in_half_precision_is_run_in_single_precision(dtype):
    half = network().to(dtype)
    single = copy.deepcopy(half).float()
    np.testing.assert_array_equal(tcav.gradients(half, pictures(4), "1", 2), tcav.gradients(single, pictures(4), "1", 2))
    np.testing.assert_array_equal(found_scores(half).runs["magnitude"], found_scores(single).runs["magnitude"])
    assert next(half.parameters()).dtype == dtype


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU here")
def test_a_model_on_the_gpu_gives_what_the_cpu_gives():
    on_gpu = network().to("cuda")
    np.testing.assert_allclose(found_scores(on_gpu).runs["magnitude"], found_scores().runs["magnitude"], atol=1e-10)


class Twice(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv, self.idle, self.side = nn.Conv2d(3, 3, 1), nn.Linear(2, 2), nn.Conv2d(3, 2, 1)

    def forward(self, x):
        self.side(x)
        return self.conv(self.conv(x)).mean(dim=(2, 3))


@pytest.mark.parametrize(
    ("layer", "says"),
    [
        ("conv", "runs more than once"),
        ("idle", "did not run"),
        ("side", "not depend on layer 'side'"),
        ("cnov", "did you mean"),
    ],
)
def test_layers_that_can_not_be_used_are_named(layer, says):
    with pytest.raises(ValueError, match=says):
        tcav.gradients(Twice(), pictures(2), layer, 0)


def test_layers_without_maps_work_and_have_no_positions():
    net, x = network(head="gap"), pictures(5)
    assert tcav.activations(net, x, "5").shape == (5, 5)
    with pytest.raises(ValueError, match="positions='mean' needs maps"):
        tcav.activations(net, x, "5", positions="mean")


def test_a_cav_of_another_layer_is_refused():
    v = tcav.cav(RNG.normal(size=(5, 3)), RNG.normal(size=(5, 3)))
    with pytest.raises(ValueError, match="cavs have 3 numbers, but the layer gives 256"):
        tcav.sensitivity(network(), pictures(2), "1", 0, v)


# --- what people see --------------------------------------------------------------------------------------------------


def test_reprs_name_what_was_done():
    v = tcav.cav(RNG.normal(size=(9, 3)), RNG.normal(size=(9, 3)))
    assert repr(v).startswith("Cav(ridge, penalty 0.01; 3 numbers; 12 examples, accuracy")
    assert repr(found_scores()).startswith("Scores(TCAV of the logit, ridge, penalty 0.01; 8 images, sets of 9; bright at 1 ")


@pytest.mark.parametrize("statistic", ["sign_count", "magnitude"])
def test_the_plot_shows_every_run(statistic):
    found = found_scores()
    ax = found.plot(statistic=statistic)
    dots = sum(len(line.get_xdata()) for line in ax.lines if line.get_linestyle() == "None")
    assert dots == 4 * 6 + 4 * 30
    assert [t.get_text() for t in ax.get_legend().get_texts()] == ["random sets", "concept", "mean"]
    found_scores(controls=False).plot()
    plt.close("all")
