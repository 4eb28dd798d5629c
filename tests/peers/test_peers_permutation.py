"""Our permutation importance against captum's and hidimstat's; scikit-learn's is compared in tests/test_permutation.py."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.ensemble import RandomForestRegressor

from xailib import predictor
from xailib.permutation import permutation_importance


@pytest.fixture(scope="module")
def task():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(300, 4))
    y = 2 * X[:, 0] - X[:, 1] * X[:, 2] + rng.normal(size=300)
    return X, y, RandomForestRegressor(20, random_state=0).fit(X, y)


def test_equal_to_captum_under_the_same_permutation(task):
    captum_attr = pytest.importorskip("captum.attr", reason="captum is not installed: pip install -e .[peers]")
    X, y, model = task
    order = np.random.default_rng(1).permutation(len(X))

    def mean_squared_error(inputs: torch.Tensor) -> torch.Tensor:
        return torch.tensor([np.mean((y - model.predict(inputs.numpy())) ** 2)])

    def shuffle(inputs: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        return torch.where(mask.bool(), inputs[order], inputs)

    peer = captum_attr.FeaturePermutation(mean_squared_error, perm_func=shuffle)
    # two groups: captum takes them as a mask of group numbers and returns the loss before minus the loss after
    mask = torch.tensor([[0, 1, 1, 2]])
    theirs = -peer.attribute(torch.tensor(X), feature_mask=mask)[0].numpy()
    ours = permutation_importance(
        predictor(model), X, y, metric="squared_error", groups={"pair": [1, 2]}, permutations=order[None]
    )
    np.testing.assert_allclose(ours.values, theirs[[1, 0, 3]], atol=1e-6)


def test_agrees_with_hidimstat_over_many_permutations(task):
    hidimstat = pytest.importorskip("hidimstat", reason="hidimstat is not installed: pip install -e .[peers]")
    X, y, model = task
    peer = hidimstat.PFI(model, loss=lambda y, p: np.mean((y - p) ** 2), n_permutations=300, random_state=0)
    theirs = peer.fit_importance(X, y)
    ours = permutation_importance(predictor(model), X, y, metric="squared_error", n_repeats=300)
    spread = ours.samples.std(axis=1) / np.sqrt(300)  # the same rows on both sides: only the permutations differ
    assert (np.abs(ours.values - theirs) <= 6 * spread).all()
