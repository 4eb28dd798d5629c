"""LIME against closed forms, slow transcriptions, and the promises of its standard errors."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import LinearRegression, Ridge

from tests.bad_input_cases import Counted
from xailib import evaluation, lime, text, worlds
from xailib.results import Attribution

RNG = np.random.default_rng(0)
ROWS = np.column_stack([RNG.exponential(2, 1500), RNG.normal(size=1500), RNG.integers(1, 6, 1500)])
FRAME = pd.DataFrame(ROWS, columns=["a", "b", "rooms"]).assign(
    kind=pd.Categorical(RNG.choice(["flat", "house", "loft"], 1500, p=[0.5, 0.3, 0.2]))
)
KIND = {"flat": 0.0, "house": 2.0, "loft": -1.0}


def additive(X: np.ndarray) -> np.ndarray:
    return 3 * X[:, 0] - 2 * X[:, 1] + 0.5 * X[:, 2] + 7


def additive_frame(X: pd.DataFrame) -> np.ndarray:
    return 3 * X["a"] - 2 * X["b"] + 0.5 * X["rooms"] + X["kind"].map(KIND).astype(float)


def wavy(X: np.ndarray) -> np.ndarray:
    return np.sin(2 * X[:, 0]) * X[:, 1] + 0.3 * X[:, 2] ** 2


def samples(seed: int, n: int = 60, p: int = 4) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    Z = rng.normal(size=(n, p)) @ rng.normal(size=(p, p))
    return Z, rng.normal(size=n) + Z[:, 0] ** 2, rng.uniform(0.01, 2, n)


# the fit ----------------------------------------------------------------------------------------------------------------


@given(seed=st.integers(0, 10_000), alpha=st.sampled_from([0.0, 0.1, 1.0, 30.0]))
@settings(deadline=None, max_examples=40)
def test_fit_equals_scikit_learns_ridge(seed, alpha):
    Z, y, w = samples(seed)
    ours = lime.fit_local(Z, y, w, ridge=alpha)
    peer = Ridge(alpha=alpha).fit(Z, y, sample_weight=w) if alpha else LinearRegression().fit(Z, y, sample_weight=w)
    np.testing.assert_allclose(ours.coefficients, peer.coef_, atol=1e-8)
    assert ours.intercept == pytest.approx(peer.intercept_, abs=1e-8)
    assert ours.fidelity == pytest.approx(peer.score(Z, y, sample_weight=w), abs=1e-8)


@given(seed=st.integers(0, 10_000), scale=st.floats(1e-6, 1e6))
@settings(deadline=None, max_examples=30)
def test_least_squares_forgets_the_scale_of_weights_and_follows_that_of_features(seed, scale):
    Z, y, w = samples(seed)
    fit, weighted, stretched = lime.fit_local(Z, y, w), lime.fit_local(Z, y, scale * w), lime.fit_local(Z * scale, y, w)
    np.testing.assert_allclose(weighted.coefficients, fit.coefficients, rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(weighted.std_errors, fit.std_errors, rtol=1e-6)
    np.testing.assert_allclose(stretched.coefficients * scale, fit.coefficients, rtol=1e-6, atol=1e-9)
    assert stretched.fidelity == pytest.approx(fit.fidelity, abs=1e-9)


def test_standard_errors_equal_the_sandwich_written_out():
    Z, y, w = samples(3)
    D = np.column_stack([np.ones(len(Z)), Z])
    bread = np.linalg.inv(D.T @ np.diag(w) @ D)
    residuals = y - D @ (bread @ D.T @ (w * y))
    meat = sum((w[i] * residuals[i]) ** 2 * np.outer(D[i], D[i]) for i in range(len(Z)))
    covariance = bread @ meat @ bread * len(Z) / (len(Z) - Z.shape[1] - 1)
    np.testing.assert_allclose(lime.fit_local(Z, y, w).std_errors, np.sqrt(np.diag(covariance))[1:], rtol=1e-9)


def forward_slowly(Z: np.ndarray, y: np.ndarray, w: np.ndarray, k: int) -> list[int]:
    chosen: list[int] = []
    for _ in range(k):
        left = [j for j in range(Z.shape[1]) if j not in chosen]
        scores = [LinearRegression().fit(Z[:, [*chosen, j]], y, w).score(Z[:, [*chosen, j]], y, w) for j in left]
        chosen.append(left[int(np.argmax(scores))])
    return chosen


@given(seed=st.integers(0, 10_000), k=st.integers(1, 4))
@settings(deadline=None, max_examples=25)
def test_forward_selection_equals_refitting_every_candidate(seed, k):
    Z, y, w = samples(seed, p=5)
    assert lime.fit_local(Z, y, w, n_features=k).selected.tolist() == forward_slowly(Z, y, w, k)


def test_selected_features_only_and_refitted():
    Z, y, w = samples(5, p=6)
    for selection in lime.SELECTIONS:
        fit = lime.fit_local(Z, y, w, n_features=2, selection=selection)
        assert len(fit.selected) <= 2
        again = lime.fit_local(Z[:, fit.selected], y, w)
        np.testing.assert_allclose(fit.coefficients[fit.selected], again.coefficients, atol=1e-10)
        assert np.count_nonzero(fit.coefficients) == len(fit.selected)


def test_a_constant_column_gets_nothing_and_twins_share():
    Z, y, w = samples(7, p=2)
    fit = lime.fit_local(np.column_stack([Z, np.ones(len(Z)), Z[:, 0]]), y, w)
    plain = lime.fit_local(Z, y, w)
    np.testing.assert_allclose(fit.coefficients, [*plain.coefficients * [0.5, 1], 0, plain.coefficients[0] / 2], atol=1e-8)
    assert np.isnan(fit.std_errors[2])
    assert lime.fit_local(np.column_stack([Z, Z[:, 0]]), y, w, n_features=3).selected.tolist()[-1] in (0, 2)


def test_a_rare_elsewhere_is_counted_and_warned_about():
    rare = np.zeros(1000)
    rare[:5] = 1.0
    rows = np.column_stack([rare, np.random.default_rng(0).normal(size=1000)])
    ask = lambda n: lime.tabular(lambda X: X[:, 0] + X[:, 1], rows[-1:], rows, n_samples=n, kernel_width=100.0)  # noqa: E731
    found = ask(1000)
    assert 0 < found.details["fewer_side"][0, 0] < 20 < found.details["fewer_side"][0, 1]
    assert "one side of the bin of x0" in found.details["warning"]
    assert "one side" not in ask(20_000).details["warning"]
    unseen = lime.tabular(lambda X: X[:, 0], rows[-1:], rows, n_samples=10)
    assert unseen.details["fewer_side"][0, 0] == 0
    assert np.isnan(unseen.std_errors[0, 0])


def test_a_constant_model_is_followed_perfectly_and_effective_samples_are_kishs():
    Z, _, w = samples(1)
    fit = lime.fit_local(Z, np.full(len(Z), 5.0), w)
    assert (fit.fidelity, fit.intercept) == (1.0, pytest.approx(5.0))
    np.testing.assert_allclose(fit.coefficients, 0, atol=1e-12)
    assert fit.effective_samples == pytest.approx(w.sum() ** 2 / (w**2).sum())
    assert lime.fit_local(Z, Z[:, 0], np.eye(len(Z))[0] + 1e-300).effective_samples == pytest.approx(1)


def test_kernel_is_gaussian():
    np.testing.assert_allclose(lime.kernel([0, 1, 2], 0.5), np.exp([0, -2, -8]))


def coverage(repetitions: int) -> float:
    """Share of 95 % intervals that hold the coefficient of infinitely many samples, where the model is not linear."""
    x = ROWS[:1]
    how = {"kernel_width": 1.5, "bins": 4}
    target = lime.tabular(wavy, x, ROWS, n_samples=1_000_000, batch_rows=1_000_000, random_state=99, **how).values
    hits = []
    for seed in range(repetitions):
        found = lime.tabular(wavy, x, ROWS, n_samples=800, random_state=seed, **how)
        hits.append(np.abs(found.values - target) <= 1.96 * found.std_errors)
    return float(np.mean(hits))


def test_intervals_hold_what_they_promise():
    assert 0.90 <= coverage(100) <= 0.99


@pytest.mark.full
def test_intervals_hold_what_they_promise_often():
    assert 0.93 <= coverage(2000) <= 0.97


@pytest.mark.parametrize("bins", [4, None])
def test_stated_errors_equal_the_spread_over_runs(bins):
    runs = [lime.tabular(wavy, ROWS[:1], ROWS, n_samples=500, bins=bins, random_state=seed) for seed in range(150)]
    spread = np.std([run.values[0] for run in runs], axis=0, ddof=1)
    np.testing.assert_allclose(np.mean([run.std_errors[0] for run in runs], axis=0), spread, rtol=0.25)


# tables -----------------------------------------------------------------------------------------------------------------


def own_bin_against_others(values: np.ndarray, own: float, bins: int = 4) -> float:
    """E[x | own bin] - E[x | other bins], quantile bins closed on the right."""
    edges = np.quantile(values, np.arange(1, bins) / bins)
    same = np.searchsorted(edges, values) == np.searchsorted(edges, own)
    return values[same].mean() - values[~same].mean()


@pytest.mark.parametrize("width", [0.2, 0.5, 1.3, 100.0])
@pytest.mark.parametrize("row", [0, 3])
def test_additive_model_weight_is_the_bin_difference_at_any_kernel_width(width, row):
    found = lime.tabular(additive, ROWS[[row]], ROWS, n_samples=100_000, kernel_width=width)
    slopes = [3, -2, 0.5]
    target = [a * own_bin_against_others(ROWS[:, j], ROWS[row, j]) for j, a in enumerate(slopes)]
    assert np.all(np.abs(found.values[0] - target) <= 4 * found.std_errors[0])
    assert found.std_errors.max() < 0.3


def test_share_is_the_part_of_the_background_in_the_same_bin_or_category():
    found = lime.tabular(additive_frame, FRAME[:3], FRAME, n_samples=50)
    for i in range(3):
        edges = np.quantile(ROWS[:, 1], [0.25, 0.5, 0.75])
        same = np.searchsorted(edges, ROWS[:, 1]) == np.searchsorted(edges, ROWS[i, 1])
        assert found.details["share"][i, 1] == pytest.approx(same.mean())
        assert found.details["share"][i, 3] == pytest.approx((FRAME["kind"] == FRAME["kind"].iloc[i]).mean())


def test_category_weight_is_the_difference_to_the_others_by_frequency():
    found = lime.tabular(additive_frame, FRAME[1:2], FRAME, n_samples=50_000)
    own = FRAME["kind"].iloc[1]
    shares = FRAME["kind"].value_counts(normalize=True)
    others = sum(shares[k] * v for k, v in KIND.items() if k != own) / (1 - shares[own])
    assert abs(found.values[0, 3] - (KIND[own] - others)) <= 4 * found.std_errors[0, 3]


@given(
    slopes=st.lists(st.floats(-5, 5), min_size=3, max_size=3),
    width=st.floats(0.5, 3),
    around=st.sampled_from(["instance", "data"]),
)
@settings(deadline=None, max_examples=25)
def test_without_bins_a_linear_model_gets_its_slopes(slopes, width, around):
    found = lime.tabular(lambda X: X @ slopes + 1, ROWS[:2], ROWS, n_samples=200, bins=None, kernel_width=width, around=around)
    np.testing.assert_allclose(found.details["slopes"], np.tile(slopes, (2, 1)), atol=1e-7)
    np.testing.assert_allclose(found.values, found.details["slopes"] * ROWS.std(axis=0), atol=1e-7)
    np.testing.assert_allclose(found.efficiency_gap(), 0, atol=1e-7)


def test_a_narrow_kernel_gives_the_gradient_of_a_smooth_function():
    x = np.array([[1.0, 0.5, 2.0]])
    found = lime.tabular(wavy, x, ROWS, bins=None, kernel_width=0.08, n_samples=20_000)
    gradient = [2 * np.cos(2.0) * 0.5, np.sin(2.0), 0.6 * 2.0]
    np.testing.assert_allclose(found.details["slopes"][0], gradient, atol=0.12)


def test_scale_of_a_feature_does_not_matter():
    scale = np.array([1000.0, 0.01, 5.0])
    for bins in (4, None):
        found = lime.tabular(wavy, ROWS[:2], ROWS, bins=bins, n_samples=300)
        stretched = lime.tabular(lambda X: wavy(X / scale), ROWS[:2] * scale, ROWS * scale, bins=bins, n_samples=300)
        np.testing.assert_allclose(found.values, stretched.values, atol=1e-9)


def test_the_gap_is_the_misfit_at_the_instance():
    for bins in (4, None):
        found = lime.tabular(wavy, ROWS[:3], ROWS, bins=bins, n_samples=400)
        np.testing.assert_allclose(found.prediction, wavy(ROWS[:3]))
        line = found.prediction - found.efficiency_gap()
        expected = found.details["intercept"] + (found.values.sum(axis=1) if bins else 0)
        np.testing.assert_allclose(line, expected)


def test_values_asked_are_values_of_the_column_also_where_one_value_fills_a_bin():
    asked = Counted(lambda X: X[:, 2])
    columns = []
    lime.tabular(lambda X: (columns.append(X[:, 2]), asked(X))[1], ROWS[:1], ROWS, n_samples=500)
    assert set(np.unique(np.concatenate(columns))) == {1.0, 2.0, 3.0, 4.0, 5.0}
    assert asked.calls == 1


def test_a_rare_flag_has_two_bins_whichever_value_is_rare():
    for rare in (0.0, 1.0):
        flag = np.where(np.arange(1000) < 8, rare, 1 - rare)
        rows = np.column_stack([flag, RNG.normal(size=1000)])
        found = lime.tabular(lambda X: 2 * X[:, 0], rows[:1], rows, n_samples=20_000)
        assert found.values[0, 0] == pytest.approx(2 * (rare - (1 - rare)), abs=1e-9)


def test_frames_stay_frames_with_their_types_and_arrays_agree():
    seen = []
    lime.tabular(lambda X: (seen.append(X), additive_frame(X))[1], FRAME[:2], FRAME, n_samples=50)
    assert list(seen[0].dtypes) == list(FRAME.dtypes)
    assert len(seen) == 1
    assert len(seen[0]) == 100
    numbers = FRAME[["a", "b", "rooms"]]
    as_frame = lime.tabular(lambda X: additive(X.to_numpy()), numbers[:2], numbers, n_samples=200)
    as_array = lime.tabular(additive, ROWS[:2], ROWS, n_samples=200)
    np.testing.assert_allclose(as_frame.values, as_array.values, atol=1e-10)


def test_an_array_of_objects_keeps_numbers_numbers():
    mixed = FRAME[["a", "b", "kind"]].astype({"kind": str}).to_numpy(dtype=object)

    def model(X: np.ndarray) -> np.ndarray:
        return 3 * X[:, 0].astype(float) + (X[:, 2] == "flat")

    found = lime.tabular(model, mixed[:2], mixed, n_samples=4000, bins=None)
    np.testing.assert_allclose(found.details["slopes"][:, 0], 3, atol=0.01)
    assert np.isnan(found.details["slopes"][:, 2]).all()


@pytest.mark.parametrize("bins", [4, None])
def test_blocks_and_jobs_change_nothing_but_seeds_do(bins):
    how = {"bins": bins, "n_samples": 100}
    found = lime.tabular(wavy, ROWS[:7], ROWS, **how)
    for more in ({"batch_rows": 100}, {"batch_rows": 250}, {"n_jobs": 2, "batch_rows": 200}):
        np.testing.assert_array_equal(found.values, lime.tabular(wavy, ROWS[:7], ROWS, **how, **more).values)
    assert not np.allclose(found.values, lime.tabular(wavy, ROWS[:7], ROWS, random_state=1, **how).values)
    frozen = ROWS.copy()
    frozen.setflags(write=False)
    np.testing.assert_array_equal(found.values, lime.tabular(wavy, frozen[:7], frozen, **how).values)


def test_several_outputs_are_explained_one_by_one():
    def two(X: np.ndarray) -> np.ndarray:
        return np.column_stack([wavy(X), additive(X)])

    both = lime.tabular(two, ROWS[:3], ROWS, n_samples=300)
    assert both.values.shape == (3, 2, 3)
    for k, model in enumerate((wavy, additive)):
        np.testing.assert_allclose(
            both.of_output(k).values, lime.tabular(model, ROWS[:3], ROWS, n_samples=300).values, atol=1e-10
        )
    np.testing.assert_allclose(both.efficiency_gap()[:, 0], lime.tabular(wavy, ROWS[:3], ROWS, n_samples=300).efficiency_gap())


def test_low_fidelity_and_a_narrow_kernel_are_said_in_the_result():
    found = lime.tabular(lambda X: np.sin(20 * X[:, 1]), ROWS[:2], ROWS, n_samples=300)
    assert "fidelity below 0.5 for 2 of 2" in found.details["warning"]
    assert "TOO LOW" in repr(found)
    narrow = lime.tabular(additive, ROWS[:1], ROWS, n_samples=60, bins=None, kernel_width=0.05)
    assert "kernel is too narrow" in narrow.details["warning"]
    assert "TOO FEW SAMPLES COUNT" in repr(narrow)
    good = lime.tabular(additive, ROWS[:1], ROWS, bins=None)
    assert good.details["warning"] == ""
    assert "fidelity 1.00" in repr(good)


def test_central_feature_is_kept_where_the_package_drops_it():
    """f = 5a + .1b + .05c with a at its mean: continuous highest weights multiplies a's slope by zero."""
    rows = RNG.normal(size=(1000, 3)) - 0
    x = np.array([[rows[:, 0].mean(), 2.0, 2.0]])
    found = lime.tabular(lambda X: X @ [5, 0.1, 0.05], x, rows, bins=None, n_features=2)
    assert found.values[0, 0] == pytest.approx(5 * rows[:, 0].std(), rel=0.01)


# texts ------------------------------------------------------------------------------------------------------------------


def test_one_word_is_present_minus_absent():
    found = lime.text(lambda texts: np.array([7.0 if t else 3.0 for t in texts]), "hello!")
    assert found.values.tolist() == pytest.approx([4.0])
    assert found.base_value == pytest.approx(3.0)
    assert found.std_errors is None


@given(seed=st.integers(0, 1000), width=st.floats(15, 100))
@settings(deadline=None, max_examples=20)
def test_bag_of_words_gets_its_weights_exactly(seed, width):
    words = ["alpha", "beta", "gamma", "delta", "eps"]
    weights = dict(zip(words, np.random.default_rng(seed).normal(size=5), strict=True))

    def score(texts: np.ndarray) -> np.ndarray:
        return np.array([1 + sum(weights[w] for w in text_.split()) for text_ in texts])

    found = lime.text(score, " ".join(words), kernel_width=width)
    np.testing.assert_allclose(found.values, list(weights.values()), atol=1e-6)
    np.testing.assert_allclose(found.efficiency_gap(), 0, atol=1e-6)


def test_all_versions_are_what_sampling_tends_to():
    truth, mail = worlds.messages().truth, "This is not about the prize. Thanks, mum!"
    exact = lime.text(truth.log_odds, mail)
    assert exact.details["exact"]
    sampled = lime.text(truth.log_odds, mail, n_samples=2**8 - 1)
    assert not sampled.details["exact"]
    runs = [lime.text(truth.log_odds, mail, n_samples=255, random_state=seed) for seed in range(200)]
    mean, error = np.mean([r.values for r in runs], axis=0), np.std([r.values for r in runs], axis=0) / np.sqrt(200)
    assert np.all(np.abs(mean - exact.values) < 4.5 * error + 0.02)


def test_distinct_versions_are_asked_once_and_many_texts_in_one_call():
    truth = worlds.messages().truth
    mails = list(worlds.messages(60).X[:3])
    model = Counted(truth.log_odds)
    found = lime.text(model, mails, n_samples=400)
    assert model.calls == 1
    assert [len(f.values) for f in found] == [len(text.split_words(m)) for m in mails]
    assert all(f.details["n_evaluations"] < 400 for f in found)
    alone = lime.text(truth.log_odds, mails, n_samples=400, batch_rows=400)
    for a, b in zip(found, alone, strict=True):
        np.testing.assert_array_equal(a.values, b.values)
    assert isinstance(lime.text(truth.log_odds, mails[0], n_samples=400), Attribution)


def test_repeated_words_keep_their_places():
    found = lime.text(lambda texts: np.array([float(t.startswith("now")) for t in texts]), "now or now")
    assert found.feature_names == ["now", "or", "now (2)"]
    assert found.values[0] > found.values[2]


# images -----------------------------------------------------------------------------------------------------------------

PICTURE = RNG.random((3, 8, 8))
GRID = np.arange(16).reshape(4, 4).repeat(2, 0).repeat(2, 1)


def test_an_all_equal_picture_has_nothing_to_say():
    found = lime.image(lambda x: x.sum(axis=(1, 2, 3)), np.full((3, 8, 8), 0.3), GRID, n_samples=200)
    np.testing.assert_allclose(found.values, 0, atol=1e-9)


def test_linear_model_gets_each_segments_change_exactly():
    weights = RNG.normal(size=(3, 8, 8))

    def score(x: np.ndarray) -> np.ndarray:
        return (x * weights).sum(axis=(1, 2, 3))

    for replacement in (0.0, "mean", np.full((3, 1, 1), 0.5)):
        found = lime.image(score, PICTURE, GRID, replacement=replacement, n_samples=300)
        for j in range(16):
            hidden = PICTURE.copy()
            fill = PICTURE[:, j == GRID].mean(axis=1, keepdims=True) if isinstance(replacement, str) else replacement
            hidden[:, j == GRID] = np.broadcast_to(np.asarray(fill).reshape(-1, 1), (3, 4))
            assert found.values[j] == pytest.approx(score(PICTURE[None])[0] - score(hidden[None])[0], abs=1e-8)


def test_few_segments_are_exact_many_pictures_agree_with_one_and_gaps_in_numbers_do_not_matter():
    def score(x: np.ndarray) -> np.ndarray:
        return np.column_stack([x[:, 0].max(axis=(1, 2)), x[:, 1, :4].sum(axis=(1, 2))])

    quarters = np.arange(4).reshape(2, 2).repeat(4, 0).repeat(4, 1)
    pictures = RNG.random((3, 3, 8, 8))
    found = lime.image(score, pictures, quarters, target=[0, 1, 1])
    assert all(f.details["exact"] and f.details["n_evaluations"] == 16 for f in found)
    for i, k in enumerate([0, 1, 1]):
        alone = lime.image(lambda x, k=k: score(x)[:, k], pictures[i], 10 * quarters + 5, batch_rows=3)
        np.testing.assert_allclose(found[i].values, alone.values, atol=1e-12)
    heat = lime.heatmap(found, quarters)
    assert heat.values.shape == (3, 8, 8)
    assert heat.target.tolist() == [0, 1, 1]
    assert np.all(heat.values[1][quarters == 2] == heat.values[1][5, 1])
    assert evaluation.pointing_game(heat, quarters == 0).shape == (3,)


# stability --------------------------------------------------------------------------------------------------------------


def test_stability_finds_the_size_at_which_runs_agree():
    def explain(n: int, seed: int) -> Attribution:
        return lime.tabular(additive, ROWS[:1], ROWS, n_samples=n, random_state=seed)

    report = lime.stability(explain, n_samples=(10, 100, 10_000), n_runs=8, top=2)
    assert report.rank_correlation[-1] == pytest.approx(1)
    assert report.rank_correlation[0] < 0.95
    assert report.enough in (100, 10_000)
    assert report.values.shape == (3, 8, 3)
    np.testing.assert_allclose(report.spread[-1], report.stated_errors[-1], rtol=0.8)
    assert "are enough" in repr(report)
    assert list(report.to_frame().columns) == ["rank_correlation", "same_top_2", "spread", "stated_error"]


def test_stability_of_noise_is_not_enough_and_exact_explanations_agree():
    noise = lime.stability(
        lambda n, seed: lime.tabular(lambda X: np.sin(1e5 * X[:, 0]), ROWS[:1], ROWS, n_samples=n, random_state=seed),
        n_samples=(10, 100),
        n_runs=6,
    )
    assert noise.enough is None
    assert "not enough" in repr(noise)
    words = lime.stability(
        lambda n, seed: lime.text(worlds.messages().truth.log_odds, "free prize or lunch", n_samples=n, random_state=seed),
        n_samples=(100, 200),
        n_runs=3,
    )
    assert words.enough == 100
    assert words.spread.max() < 1e-12


def test_rank_correlation_is_the_mean_over_pairs():
    fixed = {0: [3.0, 2.0, 1.0], 1: [3.0, 1.0, 2.0], 2: [1.0, 2.0, 3.0]}
    seen: list[int] = []

    def explain(n: int, seed: int) -> Attribution:
        seen.append(seed)
        return Attribution(np.array(fixed[len(seen) - 1]), 0.0, 0.0, ["a", "b", "c"], None, "fixed")

    report = lime.stability(explain, n_samples=(5,), n_runs=3, top=1)
    assert report.rank_correlation[0] == pytest.approx(np.mean([0.5, -1.0, -0.5]))
    assert report.same_top[0] == pytest.approx(1 / 3)
    assert len(set(seen)) == 3
