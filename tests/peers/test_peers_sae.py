"""Our parts against scikit-learn's and SciPy's, number for number; and our recovery against its dictionary learning.

sae-lens, the package of the field, pulls in forty dependencies made for large language models and does not install beside our
pins, so it is not compared here.
"""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from scipy.optimize import linear_sum_assignment
from sklearn.decomposition import PCA, MiniBatchDictionaryLearning, sparse_encode
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import f1_score, precision_score, r2_score, recall_score
from sklearn.metrics.pairwise import cosine_similarity

from xailib import sae


def orthonormal(d: int, seed: int = 0) -> np.ndarray:
    return np.linalg.qr(np.random.default_rng(seed).normal(size=(d, d)))[0]


def set_by_hand(D: np.ndarray, encoder_bias: float, kind: str = "relu", k: float = np.nan) -> sae.SparseAutoencoder:
    m, d = D.shape
    return sae.SparseAutoencoder(D.T, np.full(m, encoder_bias), D, np.zeros(d), kind, k, 0.1, 0.0, np.ones(1), 0)


def test_on_orthonormal_directions_the_relu_encoder_solves_the_lasso():
    """min |a - zD|^2 / 2 + alpha sum z with z >= 0 has the solution ReLU(aD' - alpha), an encoder with bias -alpha."""
    D, A, alpha = orthonormal(6), np.random.default_rng(1).normal(size=(40, 6)), 0.3
    theirs = sparse_encode(A, D, algorithm="lasso_cd", alpha=alpha, positive=True)
    np.testing.assert_allclose(set_by_hand(D, -alpha).encode(A), theirs, atol=1e-6)


def test_on_orthonormal_directions_top_k_is_orthogonal_matching_pursuit():
    D = orthonormal(6)
    A = np.random.default_rng(2).uniform(0.1, 2, size=(40, 6)) @ D  # all codes positive
    theirs = sparse_encode(A, D, algorithm="omp", n_nonzero_coefs=3)
    np.testing.assert_allclose(set_by_hand(D, 0.0, "top-k", 3).encode(A), theirs, atol=1e-9)


def test_explained_variance_is_r2():
    features = sae.planted(500, 6, 4)
    one = sae.fit(features.activations, 6, k=2, steps=30)
    A = features.activations
    theirs = r2_score(A, one.reconstruct(A), multioutput="variance_weighted")
    assert sae.evaluate(one, A).explained == pytest.approx(theirs)


def test_the_matching_is_scipys_on_sklearns_cosines():
    rng = np.random.default_rng(3)
    D, T = rng.normal(size=(9, 5)), rng.normal(size=(7, 5))
    C = cosine_similarity(T, D)
    rows, columns = linear_sum_assignment(C, maximize=True)
    found = sae.recovery(D, T)
    np.testing.assert_allclose(found.cosines, C[rows, columns])
    np.testing.assert_array_equal(found.latents, columns)


def test_firing_scores_are_sklearns():
    rng = np.random.default_rng(4)
    codes, latents = rng.random((200, 4)) < 0.3, rng.random((200, 4)) < 0.4
    found = sae.recovery(np.eye(4), np.eye(4), latents=latents * 1.0, codes=codes * 1.0)
    for score, ours in ((f1_score, found.f1), (precision_score, found.precision), (recall_score, found.recall)):
        np.testing.assert_allclose(ours, score(codes, latents, average=None))
    name = sae.score_name(latents[:, 0] * 1.0, codes[:, 0])
    assert name.f1 == pytest.approx(f1_score(codes[:, 0], latents[:, 0]))
    assert name.precision == pytest.approx(precision_score(codes[:, 0], latents[:, 0]))
    assert name.recall == pytest.approx(recall_score(codes[:, 0], latents[:, 0]))


def test_principal_components_are_sklearns():
    A = np.random.default_rng(5).normal(size=(100, 4)) @ np.diag([4, 3, 2, 1])
    ours = sae.pca_dictionary(A)[:4]
    np.testing.assert_allclose(np.abs(ours @ PCA(4).fit(A).components_.T), np.eye(4), atol=1e-8)


def test_planted_features_are_recovered_as_well_as_by_dictionary_learning():
    """scikit-learn solves a lasso for every row where we have a linear encoder; both must find the features."""
    features = sae.planted(6000, 32, 20)
    train, test = features.halves()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        peer = MiniBatchDictionaryLearning(
            32, alpha=0.2, batch_size=256, max_iter=15, fit_algorithm="cd", transform_algorithm="lasso_cd",
            transform_alpha=0.2, positive_code=True, random_state=0,
        ).fit(train.activations)  # fmt: skip
        codes = peer.transform(test.activations)
    theirs = sae.recovery(peer.components_, features.dictionary, latents=codes, codes=test.codes)
    ours = sae.fit(train.activations, 32, k=2)
    mine = sae.recovery(ours.dictionary, features.dictionary, latents=ours.encode(test.activations), codes=test.codes)
    assert mine.mean_cosine > max(0.95, theirs.mean_cosine - 0.02)
    assert mine.mean_f1 > theirs.mean_f1 - 0.05
