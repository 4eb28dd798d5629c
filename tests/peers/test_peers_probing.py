"""Our probes against scikit-learn's own calls, and online code, nullspaces and LEACE against slow, literal transcriptions."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import linalg
from sklearn.linear_model import LogisticRegression, RidgeClassifier
from sklearn.model_selection import cross_val_score
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from tests.test_probing import clouds
from xailib import probing
from xailib._probes import shuffled, splits

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def three_classes(n: int = 240, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    y = np.append(np.arange(3), rng.integers(3, size=n - 3))
    return rng.normal(size=(n, 6)) + 1.5 * np.eye(6)[y], y


PEERS = {
    "linear": lambda: LogisticRegression(max_iter=1000),
    "mlp": lambda: MLPClassifier((64,), solver="lbfgs", alpha=1.0, max_iter=50, random_state=5),
}


@pytest.mark.parametrize("kind", PEERS)
@pytest.mark.parametrize("data", [clouds, three_classes])
def test_accuracies_equal_scikit_learns(kind, data):
    """The same splits in cross_val_score's hands; for the MLP the same start."""
    A, y = data()
    groups = np.arange(len(y)) // 3
    peer = make_pipeline(StandardScaler(), PEERS[kind]())
    own = "linear" if kind == "linear" else make_pipeline(StandardScaler(), PEERS[kind]())
    ours = probing.measure(A, y, groups=groups, probe=own, n_splits=4, random_state=7)
    rng = np.random.default_rng(7)
    same = []
    for train, test in splits(groups, 4, 1 / 3, rng):
        rng.integers(2**31)  # ours draws the MLP's start here
        same.append((train, test))
    np.testing.assert_allclose(ours.accuracy, cross_val_score(peer, A, y, cv=same))


def test_the_mlp_probe_is_scikit_learns():
    ours, theirs = probing.mlp_probe(16, penalty=0.3, steps=20)[-1].get_params(), MLPClassifier().get_params()
    changed = {name: value for name, value in ours.items() if value != theirs[name]}
    assert changed == {"hidden_layer_sizes": (16,), "alpha": 0.3, "max_iter": 20, "solver": "lbfgs"}
    assert probing.linear_probe(0.25)[-1].get_params()["C"] == 4.0


@pytest.mark.parametrize("data", [clouds, three_classes])
def test_the_ridge_of_all_shuffles_at_once_equals_scikit_learn_in_a_loop(data):
    A, y = data()
    groups = np.arange(len(y))
    ours = probing.detect(A, y, n_shuffles=25, random_state=3)
    rng = np.random.default_rng(3)
    Y = shuffled(y, groups, 25, rng)
    ((train, test),) = splits(groups, 1, 1 / 3, rng)
    peer = make_pipeline(StandardScaler(), RidgeClassifier(alpha=1.0))
    theirs = [peer.fit(A[train], labels[train]).score(A[test], labels[test]) for labels in Y]
    np.testing.assert_allclose([ours.accuracy[0], *ours.null[:, 0]], theirs, atol=1e-12)


def test_detect_with_a_probe_that_is_fitted_again_equals_a_loop():
    A, y = clouds(120)
    ours = probing.detect(A, y, probe="linear", n_shuffles=19, random_state=3)
    rng = np.random.default_rng(3)
    Y = shuffled(y, np.arange(120), 19, rng)
    ((train, test),) = splits(np.arange(120), 1, 1 / 3, rng)
    peer = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
    theirs = [peer.fit(A[train], labels[train]).score(A[test], labels[test]) for labels in Y]
    np.testing.assert_allclose([ours.accuracy[0], *ours.null[:, 0]], theirs, atol=1e-12)


def slow_code_length(A, y, groups, ends, seed: int) -> float:
    """Voita & Titov (2020), online code, label by label: sender and receiver fit the same probe to what was sent so far."""
    rng = np.random.default_rng(seed)
    place = rng.permutation(groups.max() + 1)
    order = [i for g in np.argsort(place) for i in np.flatnonzero(groups == g)]
    K, bits, sent = len(set(y.tolist())), 0.0, 0
    for end in ends:
        last = set(np.argsort(place)[: math.ceil(end * (groups.max() + 1) - 1e-9)].tolist())
        stop = sum(int(groups[i]) in last for i in order)
        known = order[:sent]
        for i in order[sent:stop]:
            if not known:
                p = 1 / K
            elif len(set(y[known].tolist())) == 1:
                p = float(y[i] == y[known[0]])
            else:
                mean, sd = A[known].mean(axis=0), A[known].std(axis=0)
                sd = np.where(sd < 10 * np.finfo(float).eps, 1, sd)
                probe = LogisticRegression(max_iter=1000).fit((A[known] - mean) / sd, y[known])
                all_p = dict(zip(probe.classes_.tolist(), probe.predict_proba((A[[i]] - mean) / sd)[0], strict=True))
                p = all_p.get(int(y[i]), 0.0)
            t = len(known)
            bits += -math.log2((t * p + 1 / K) / (t + 1))
        sent = stop
    return bits


@pytest.mark.parametrize("data", [clouds, three_classes])
def test_code_length_equals_the_slow_transcription(data):
    A, y = (part[:90] for part in data())
    groups = np.arange(90) // 2
    ends = (0.05, 0.1, 0.3, 0.6, 1.0)
    ours = probing.code_length(A, y, groups=groups, ends=ends, n_orders=1, random_state=11)
    assert ours.bits[0] == pytest.approx(slow_code_length(A, y, groups, ends, 11), rel=1e-9)


def test_nullspace_projection_equals_the_papers_formula():
    """Ravfogel et al. (2020), algorithm 1: P = I - the projection on all rowspaces, fitted to already projected rows."""
    A, y = three_classes(600)
    A = A - A.mean(axis=0)
    ours = probing.eraser(A, y, method="inlp", random_state=2)
    ((train, test),) = splits(np.arange(600), 1, 1 / 3, np.random.default_rng(2))
    P, rowspaces, X = np.eye(6), [], A - A[train].mean(axis=0)
    while True:
        probe = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000)).fit((X @ P)[train], y[train])
        guess = (y[test] == np.bincount(y[train]).argmax()).mean()
        if probe.score((X @ P)[test], y[test]) <= guess + math.sqrt(guess * (1 - guess) / len(test)):
            break
        sd = (X @ P)[train].std(axis=0)
        W = probe[-1].coef_ / np.where(sd > 1e-12, sd, 1)
        basis = linalg.orth(W.T, rcond=1e-8)
        rowspaces.append(basis @ basis.T)
        Q = linalg.orth(sum(rowspaces), rcond=1e-8)
        P = np.eye(6) - Q @ Q.T
    mine = np.eye(6) - ours.directions.T @ ours.directions
    np.testing.assert_allclose(mine, P, atol=1e-4)


def test_mean_projection_is_leace_where_the_values_are_white():
    """Belrose et al. (2023): r(x) = x - W^+ P W (x - mean) with W the whitening and P the projection on W cov(x, z)."""
    A, y = three_classes(500)
    A = A - A.mean(axis=0)
    white = A @ linalg.sqrtm(linalg.inv(A.T @ A / len(A))).real
    ours = probing.eraser(white, y).apply(white)
    Z = np.eye(3)[y] - np.bincount(y) / len(y)
    W = linalg.sqrtm(linalg.pinv(white.T @ white / len(white))).real
    cross = W @ (white.T @ Z / len(white))
    P = cross @ linalg.pinv(cross, rtol=1e-8)
    leace = white - white @ (linalg.pinv(W) @ P @ W).T
    np.testing.assert_allclose(ours, leace, atol=1e-8)
