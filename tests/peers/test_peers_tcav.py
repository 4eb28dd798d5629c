"""Our scores against captum's, number for number, on the same examples and classifier; and what captum keeps on disk."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy import stats
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression, RidgeClassifier, SGDClassifier
from torch import nn
from torch.utils.data import DataLoader

from tests.test_tcav import cosine, network, pictures
from xailib import tcav

captum_concept = pytest.importorskip("captum.concept", reason="captum is not installed: pip install -e .[peers]")
pytestmark = pytest.mark.filterwarnings("ignore")  # captum warns about its own defaults
LAYERS = ["1", "2"]


class Injected(captum_concept.Classifier):
    """A scikit-learn classifier in captum's hands: all examples train it, in the order in which they come."""

    def __init__(self, estimator: Any) -> None:
        self.estimator = estimator

    def train_and_eval(self, dataloader: Any, **_: Any) -> dict[str, Any]:
        inputs, labels = (torch.cat(part).numpy() for part in zip(*dataloader, strict=True))
        self.ids = [labels[0], next(label for label in labels if label != labels[0])]
        self.fitted = clone(self.estimator).fit(inputs, (labels == self.ids[0]).astype(int))
        return {"accs": torch.tensor(1.0)}  # captum wants one

    def weights(self) -> torch.Tensor:
        w = torch.tensor(np.ravel(self.fitted.coef_))
        return torch.stack([w, -w])

    def classes(self) -> list[int]:
        return [int(i) for i in self.ids]


class Ordered:
    """An estimator that sees the examples in a fixed order, so that one that learns example by example learns the same."""

    def __init__(self, estimator: Any = None) -> None:
        self.estimator = estimator

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        return {"estimator": self.estimator}

    def set_params(self, **_: Any) -> Ordered:
        return self

    def fit(self, X: np.ndarray, y: np.ndarray) -> Ordered:
        order = np.lexsort([X.sum(axis=1), -y])
        fitted = clone(self.estimator).fit(X[order], y[order])
        self.coef_, self.intercept_ = fitted.coef_, fitted.intercept_
        return self


def concepts(*images: np.ndarray) -> list[Any]:
    return [captum_concept.Concept(i, f"set {i}", DataLoader(torch.tensor(x), batch_size=7)) for i, x in enumerate(images)]


def captum_scores(net: nn.Module, x: np.ndarray, sets: list[np.ndarray], classifier: Any, folder: Path, target: int = 2) -> Any:
    """``{layer: array (random sets, 2)}`` of sign count and magnitude of the first set against each of the others."""
    made = concepts(*sets)
    peer = captum_concept.TCAV(net, LAYERS, classifier=classifier, save_path=str(folder))
    found = peer.interpret(torch.tensor(x), [[made[0], other] for other in made[1:]], target=target)
    return {
        layer: np.array(
            [[found[f"0-{j}"][layer][what][0].item() for what in ("sign_count", "magnitude")] for j in range(1, len(sets))]
        )
        for layer in LAYERS
    }


ESTIMATORS = [SGDClassifier(alpha=0.01, random_state=0), LogisticRegression(), RidgeClassifier()]


@pytest.mark.parametrize("estimator", ESTIMATORS, ids=lambda e: type(e).__name__)
def test_scores_equal_captums(estimator, tmp_path):
    net, x = network(), pictures(64)
    sets = [pictures(15, seed=s) for s in range(2, 6)]
    theirs = captum_scores(net, x, sets, Injected(Ordered(estimator)), tmp_path)
    for layer in LAYERS:
        A, *random = (tcav.activations(net, images, layer) for images in sets)
        cavs = [tcav.cav(A, B, classifier=Ordered(estimator), test_share=0) for B in random]
        S = tcav.sensitivity(net, x, layer, 2, cavs)
        np.testing.assert_allclose((S > 0).mean(axis=0), theirs[layer][:, 0], atol=1e-12)
        raw = S.mean(axis=0) * [v.norm for v in cavs]  # captum's vectors have the classifier's length
        np.testing.assert_allclose(raw, theirs[layer][:, 1], rtol=1e-4, atol=1e-6 * np.abs(raw).max())  # captum: single precision


def test_the_table_of_scores_equals_captums(tmp_path):
    """``scores`` shuffles the examples of a set, which changes nothing for a classifier that has one solution."""
    net, x, estimator = network(), pictures(64), RidgeClassifier()
    sets = [pictures(15, seed=s) for s in range(2, 6)]
    theirs = captum_scores(net, x, sets, Injected(estimator), tmp_path)
    ours = tcav.scores(net, x, 2, {"c": sets[0]}, sets[1:], LAYERS, classifier=estimator, test_share=0, controls=False).runs
    for layer in LAYERS:
        np.testing.assert_allclose(ours.loc[ours["layer"] == layer, "sign_count"], theirs[layer][:, 0], atol=1e-12)


def test_captum_gives_the_vectors_of_another_model_and_ours_never_does(tmp_path):
    """Same folder, same concept numbers, same layer names, another network: captum reads the old file."""
    x, sets = pictures(64), [pictures(15, seed=2), pictures(15, seed=3)]
    first, second = network(0), network(1)

    def captum_vector(net: nn.Module, folder: Path) -> np.ndarray:
        peer = captum_concept.TCAV(net, LAYERS, classifier=Injected(RidgeClassifier()), save_path=str(folder))
        made = concepts(*sets)
        peer.interpret(torch.tensor(x), [made], target=2)
        return peer.cavs["0-1"]["2"].stats["weights"][0].numpy()

    stale = captum_vector(first, tmp_path / "shared"), captum_vector(second, tmp_path / "shared")
    np.testing.assert_array_equal(*stale)
    fresh = captum_vector(second, tmp_path / "its own")
    assert cosine(stale[1], fresh) < 0.5

    def our_vector(net: nn.Module) -> np.ndarray:
        A, B = (tcav.activations(net, images, "2") for images in sets)
        return tcav.cav(A, B, classifier=RidgeClassifier(), test_share=0).vector

    ours = our_vector(first), our_vector(second)
    assert cosine(ours[0], stale[0]) > 1 - 1e-9
    assert cosine(ours[1], fresh) > 1 - 1e-9


def test_captums_noise_scores_nearly_anything(tmp_path):
    """Noise against noise with captum's default classifier: single runs spread from 0 to 1, so one run is no evidence."""
    net, x = network().float(), pictures(64).astype(np.float32)
    sets = [pictures(15, seed=s).astype(np.float32) for s in range(100, 108)]
    found = captum_scores(net, x, sets, None, tmp_path)
    assert np.ptp(found["2"][:, 0]) > 0.5


def test_the_tutorials_t_test_is_ours(tmp_path):
    """captum's tutorial compares two lists of sign counts with scipy's ttest_ind."""
    net, x = network(), pictures(64)
    sets = [pictures(15, seed=s) for s in range(2, 8)]
    found = tcav.scores(net, x, 2, {"c": sets[0]}, sets[1:], ["2"])
    runs = found.runs
    lists = [runs.loc[runs["kind"] == kind, "sign_count"] for kind in ("concept", "random")]
    assert found.test("t", correction=None)["p_value"].item() == pytest.approx(stats.ttest_ind(*lists).pvalue, rel=1e-9)
