"""Our LIME against the package ``lime``, number for number on its own samples, and against captum; and where the package errs."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sklearn.utils import check_random_state

from xailib import lime as ours
from xailib.text import split_words

lime_base = pytest.importorskip("lime.lime_base", reason="lime is not installed: pip install -e .[peers]")
from lime.lime_image import LimeImageExplainer  # noqa: E402
from lime.lime_tabular import LimeTabularExplainer  # noqa: E402
from lime.lime_text import LimeTextExplainer  # noqa: E402

RNG = np.random.default_rng(0)
ROWS = np.column_stack([RNG.exponential(2, 1000), RNG.normal(size=(1000, 4)), RNG.integers(0, 4, 1000)])
SELECTION = {"forward_selection": "forward", "highest_weights": "highest_weights", "lasso_path": "lasso_path"}


def wavy(X: np.ndarray) -> np.ndarray:
    return np.sin(X[:, 0]) * X[:, 1] + X[:, 2] ** 2 - 0.5 * X[:, 3] + (X[:, 5] == 2)


def package_run(x: np.ndarray, n_features: int, **options: Any) -> tuple[Any, np.ndarray, np.ndarray, np.ndarray]:
    """The package's explanation and the neighbourhood it used: z, weights and the model's answers."""
    explainer = LimeTabularExplainer(ROWS, mode="regression", categorical_features=[5], random_state=3, **options)
    explainer.random_state.seed(7)
    z, rows = explainer._LimeTabularExplainer__data_inverse(x, 800)
    scaled = (z - explainer.scaler.mean_) / explainer.scaler.scale_
    weights = explainer.base.kernel_fn(np.linalg.norm(scaled - scaled[0], axis=1))
    explainer.random_state.seed(7)
    found = explainer.explain_instance(x, wavy, num_features=n_features, num_samples=800)
    return found, scaled, weights, wavy(rows)


@pytest.mark.parametrize("continuous", [False, True], ids=["quartiles", "continuous"])
@pytest.mark.parametrize("selection", list(SELECTION))
@pytest.mark.parametrize("n_features", [2, 4, 6])
def test_tables_equal_the_package_on_its_samples(continuous, selection, n_features):
    for x in ROWS[:3]:
        found, z, weights, y = package_run(x, n_features, feature_selection=selection, discretize_continuous=not continuous)
        fit = ours.fit_local(z, y, weights, ridge=1.0, n_features=n_features, selection=SELECTION[selection])
        theirs = dict(found.local_exp[1])
        assert set(fit.selected.tolist()) == {int(j) for j in theirs}
        np.testing.assert_allclose([fit.coefficients[j] for j in theirs], list(theirs.values()), atol=1e-8)
        assert fit.intercept == pytest.approx(found.intercept[1], abs=1e-8)
        assert fit.fidelity == pytest.approx(found.score, abs=1e-8)


def test_entropy_and_decile_bins_change_samples_not_the_fit():
    found, z, weights, y = package_run(ROWS[0], 6, feature_selection="none", discretizer="decile")
    fit = ours.fit_local(z, y, weights, ridge=1.0)
    np.testing.assert_allclose(
        [fit.coefficients[j] for j, _ in found.local_exp[1]], [b for _, b in found.local_exp[1]], atol=1e-8
    )


def test_own_samples_tend_to_the_packages_weights():
    """Same bins, same kernel; inside a bin the package draws a truncated normal and we the column itself."""

    def step(X: np.ndarray) -> np.ndarray:  # constant inside quartile bins of column 1, so that the difference does not matter
        edges = np.quantile(ROWS[:, 1], [0.25, 0.5, 0.75])
        return np.searchsorted(edges, X[:, 1]) * 1.0

    explainer = LimeTabularExplainer(ROWS, mode="regression", categorical_features=[5], feature_selection="none", random_state=0)
    theirs = dict(explainer.explain_instance(ROWS[0], step, num_features=6, num_samples=20_000).local_exp[1])
    found = ours.tabular(step, ROWS[:1], ROWS, n_samples=20_000, ridge=1.0)
    np.testing.assert_allclose(found.values[0], [theirs[j] for j in range(6)], atol=5 * found.std_errors.max())


def test_texts_equal_the_package_on_its_versions():
    asked: list[str] = []
    words = ["you", "are", "the", "winner", "of", "a", "free", "prize", "not", "a", "loan"]

    def spam(texts: list[str]) -> np.ndarray:
        asked.extend(texts)
        p = np.array([0.9 if "free" in t and "not" not in t else 0.1 + 0.01 * len(t) / 9 for t in texts])
        return np.column_stack([1 - p, p])

    explainer = LimeTextExplainer(bow=False, mask_string="_", feature_selection="none", random_state=1)
    found = explainer.explain_instance(" ".join(words), spam, num_features=99, num_samples=600)
    z = np.array([[w != "_" for w in t.split()] for t in asked], dtype=float)
    weights = ours.kernel(100 * (1 - np.sqrt(z.mean(axis=1))), 25.0)
    fit = ours.fit_local(z, spam(list(asked))[: len(z), 1], weights, ridge=1.0)
    np.testing.assert_allclose(
        [fit.coefficients[j] for j, _ in found.local_exp[1]], [b for _, b in found.local_exp[1]], atol=1e-8
    )
    assert len(split_words(" ".join(words))) == len(words)


def test_images_equal_the_package_on_its_masks():
    picture = RNG.random((8, 8, 3))
    segments = np.arange(16).reshape(4, 4).repeat(2, 0).repeat(2, 1)
    flat = picture.reshape(-1) - 0.5
    hidden = np.stack([[picture[segments == s][:, c].mean() for c in range(3)] for s in range(16)])[segments]

    def score(images: np.ndarray) -> np.ndarray:
        p = 1 / (1 + np.exp(-(images.reshape(len(images), -1) @ flat)))
        return np.column_stack([1 - p, p])

    masks = check_random_state(5).randint(0, 2, 300 * 16).reshape(300, 16)
    masks[0] = 1
    explainer = LimeImageExplainer(feature_selection="none", random_state=5)
    explainer.random_state = check_random_state(5)
    found = explainer.explain_instance(
        picture, score, labels=(1,), top_labels=None, num_samples=300, segmentation_fn=lambda _: segments, random_seed=0
    )
    y = score(np.where(masks.astype(bool)[:, segments][..., None], picture, hidden))[:, 1]
    weights = ours.kernel(1 - np.sqrt(masks.mean(axis=1)), 0.25)
    fit = ours.fit_local(masks.astype(float), y, weights, ridge=1.0)
    np.testing.assert_allclose(
        [fit.coefficients[j] for j, _ in found.local_exp[1]], [b for _, b in found.local_exp[1]], atol=1e-8
    )


# where the package errs -------------------------------------------------------------------------------------------------


def package_weights(model: Any, rows: np.ndarray, x: np.ndarray, **options: Any) -> dict[int, float]:
    n_features = options.pop("num_features", rows.shape[1])
    explainer = LimeTabularExplainer(rows, mode="regression", random_state=0, **options)
    return dict(explainer.explain_instance(x, model, num_features=n_features, num_samples=5000).local_exp[1])


def test_small_kernels_make_the_packages_weights_vanish_and_not_ours():
    rows = np.random.default_rng(1).normal(size=(2000, 3))
    x = rows[0]
    model = lambda X: X @ [2.0, -1.0, 0.5]  # noqa: E731
    sizes = [abs(package_weights(model, rows, x, kernel_width=w, feature_selection="none")[0]) for w in (1.3, 0.5, 0.2)]
    assert sizes[2] < 0.05 * sizes[0]
    same = [ours.tabular(model, rows[:1], rows, kernel_width=w, n_samples=20_000).values[0, 0] for w in (1.3, 0.5, 0.2)]
    np.testing.assert_allclose(np.abs(same), sizes[0], rtol=0.15)


def test_continuous_highest_weights_misses_a_feature_at_its_mean_and_ours_does_not():
    rows = np.random.default_rng(2).normal(size=(2000, 3))
    x = np.array([rows[:, 0].mean(), 2.0, 2.0])
    model = lambda X: X @ [5.0, 0.1, 0.05]  # noqa: E731
    theirs = package_weights(model, rows, x, discretize_continuous=False, feature_selection="highest_weights", num_features=2)
    assert set(theirs) == {1, 2}
    assert 0 in np.flatnonzero(ours.tabular(model, x[None], rows, bins=None, n_features=2).values[0])
    with pytest.raises(ValueError, match="highest_weights"):
        ours.tabular(model, x[None], rows, bins=None, n_features=2, selection="highest_weights")


def test_a_bin_of_one_value_is_asked_as_zero_by_the_package_and_as_itself_by_us():
    """``get_undiscretize_values`` leaves the standardised value, 0, where a bin's borders coincide."""
    years = np.random.default_rng(3).choice([21.0, 30.0, 40.0], size=1000, p=[0.5, 0.25, 0.25])
    rows = np.column_stack([years, np.random.default_rng(4).normal(size=1000)])
    asked = {"theirs": [], "ours": []}

    def model(name: str) -> Any:
        return lambda X: (asked[name].extend(X[:, 0]), X[:, 0])[1]

    package_weights(model("theirs"), rows, rows[0])
    ours.tabular(model("ours"), rows[:1], rows)
    assert np.mean(np.array(asked["theirs"]) == 0) > 0.3
    assert set(asked["ours"]) == {21.0, 30.0, 40.0}


def test_continuous_samples_lie_around_the_mean_in_the_package_and_around_the_instance_in_ours():
    rows = np.random.default_rng(5).normal(size=(2000, 2))
    x = np.array([3.0, 0.0])
    centre = {}
    LimeTabularExplainer(rows, mode="regression", discretize_continuous=False, random_state=0).explain_instance(
        x, lambda X: (centre.update(theirs=X[1:, 0].mean()), X[:, 0])[1]
    )
    ours.tabular(lambda X: (centre.update(ours=X[1:, 0].mean()), X[:, 0])[1], x[None], rows, bins=None)
    assert centre["theirs"] == pytest.approx(0, abs=0.1)
    assert centre["ours"] == pytest.approx(3, abs=0.1)


def test_captum_tends_to_the_same_weights_for_the_same_masks():
    captum = pytest.importorskip("captum.attr", reason="captum is not installed: pip install -e .[peers]")
    linear = pytest.importorskip("captum._utils.models.linear_model")
    torch = pytest.importorskip("torch")
    weights = torch.tensor([2.0, -1.0, 0.5, 0.0])
    peer = captum.Lime(
        lambda x: (x * weights).sum(1) + x[:, 0] * x[:, 1],
        interpretable_model=linear.SkLearnLinearRegression(),
        similarity_func=lambda original, perturbed, mask, **kw: torch.tensor(1.0),
    )
    torch.manual_seed(0)
    theirs = peer.attribute(torch.ones(1, 4), n_samples=2000, perturbations_per_eval=2000).numpy().ravel()
    x = np.ones((1, 1, 4))
    found = ours.image(
        lambda images: images[:, 0, 0] @ weights.numpy() + images[:, 0, 0, 0] * images[:, 0, 0, 1],
        x, np.arange(4)[None], replacement=0.0, kernel_width=1e6,
    )  # fmt: skip
    np.testing.assert_allclose(found.values, theirs, atol=0.1)
