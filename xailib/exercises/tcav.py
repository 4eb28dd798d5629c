"""Exercises of chapter 9: concept vectors, signs of directional derivatives, honest p-values, and what a score does not say."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np

from xailib.exercises.engine import Claim, Exercise, Mistake, WrongAnswer
from xailib.exercises.questions import Question

# --- foundations: a derivative along a direction ---


def slope_along() -> float:
    """Slope of h(a) = a1 * a2 at a = (2, 1) along the unit vector in the direction (3, 4)."""
    import torch

    a = torch.tensor([2.0, 1.0], requires_grad=True, dtype=torch.float64)
    gradient = torch.autograd.grad(a[0] * a[1], a)[0]
    v = torch.tensor([3.0, 4.0], dtype=torch.float64)
    return float(gradient @ v / v.norm())


def _check_slope(answer: float, rng: np.random.Generator) -> None:
    named = {
        11.0: "Your direction has length 5, so you walked five steps at once: divide by its length.",
        2.0: "2 is h itself at this point, and also what comes out when the two slopes change places: the gradient of a1 * a2 is (a2, a1).",
        3.0: "You added the two slopes up: that is the direction (1, 1), and not even of length 1.",
        5.0: "That is the length of the direction. Multiply it with nothing: divide by it.",
        0.44: "You divided by 25, the squared length: a unit vector is w / |w|.",
    }
    _refuse_named(answer, named, tolerance=1e-6)
    if abs(answer - slope_along()) > 1e-6:
        raise Mistake("Take the gradient (a2, a1) at a = (2, 1), and its scalar product with (3, 4) / 5.")


def _refuse_named(answer: float, named: dict[float, str], tolerance: float) -> None:
    for value, message in named.items():
        if abs(answer - value) <= tolerance:
            raise Mistake(message)


# --- a concept vector from two arrays ---


def cav_from(concept: np.ndarray, random: np.ndarray, strength: float) -> np.ndarray:
    """Unit vector (p,) of a ridge classifier with labels 1 and -1: it points from the random images to the concept."""
    A = np.concatenate([concept, random])
    y = np.repeat([1.0, -1.0], [len(concept), len(random)])
    A, y = A - A.mean(axis=0), y - y.mean()
    w = A.T @ np.linalg.solve(A @ A.T + strength * np.eye(len(A)), y)  # n x n, however many numbers a layer has
    return w / np.linalg.norm(w)


def _cav_by_features(concept: np.ndarray, random: np.ndarray, strength: float) -> np.ndarray:
    A = np.vstack([concept, random])
    A = A - A.mean(axis=0)
    mean_difference = concept.mean(axis=0) - random.mean(axis=0)
    w = np.linalg.solve(A.T @ A + strength * np.eye(A.shape[1]), mean_difference)
    return w / np.sqrt((w**2).sum())


def _cav_by_sklearn(concept: np.ndarray, random: np.ndarray, strength: float) -> np.ndarray:
    from sklearn.linear_model import Ridge

    y = np.array([1] * len(concept) + [0] * len(random))
    w = Ridge(alpha=strength).fit(np.concatenate([concept, random]), y).coef_
    return w / np.linalg.norm(w)


def _check_cav(answer: Callable[..., Any], rng: np.random.Generator) -> None:
    mix = rng.normal(size=(6, 6))
    concept = rng.normal(size=(9, 6)) @ mix + rng.normal(size=6) + 3
    random = rng.normal(size=(5, 6)) @ mix + 3
    strength = float(rng.uniform(2, 4))
    v, truth = np.asarray(answer(concept, random, strength), dtype=float), cav_from(concept, random, strength)
    if v.shape != truth.shape:
        raise Mistake(f"The layer has 6 numbers, so the vector has shape (6,), not {v.shape}.")
    if np.allclose(v, -truth, atol=1e-6):
        raise Mistake("Your vector points to the random images: the concept has label 1.")
    length = np.linalg.norm(v)
    if length > 0 and np.allclose(v / length, truth, atol=1e-6) and abs(length - 1) > 1e-6:
        raise Mistake(f"The direction is right, its length is {length:.3g}: divide by it.")
    A, y = np.concatenate([concept, random]), np.repeat([1.0, -1.0], [9, 5])
    likely = {
        "That is the difference of the two means. It ignores how the numbers of the layer vary together.": concept.mean(axis=0)
        - random.mean(axis=0),
        "You fitted without an intercept: centre the activations (and the labels) first.": _ridge(A, y, strength),
        "You centred the labels but not the activations, so the intercept is still missing: subtract the mean picture.": _ridge(
            A, y - y.mean(), strength
        ),
        "Your penalty is strength times the sum of squares, as in the chapter's my_cav. Here strength is absolute: put it on "
        "the diagonal as it is.": _ridge(A - A.mean(axis=0), y, strength * float(((A - A.mean(axis=0)) ** 2).sum())),
        "Your penalty is not there: use strength on the diagonal.": _ridge(A - A.mean(axis=0), y, 1e-9),
        "Your penalty is 14 times too strong: strength is not multiplied by the number of pictures.": _ridge(
            A - A.mean(axis=0), y, 14 * strength
        ),
    }
    for message, wrong in likely.items():
        if length > 0 and np.allclose(v / length, wrong / np.linalg.norm(wrong), atol=1e-6):
            raise Mistake(message)
    if not np.allclose(v, truth, atol=1e-6):
        raise Mistake("Centre both sets together, solve (A A' + strength I) z = y, and return A' z at length 1.")


def _ridge(A: np.ndarray, y: np.ndarray, strength: float) -> np.ndarray:
    return np.linalg.solve(A.T @ A + strength * np.eye(A.shape[1]), A.T @ y)


# --- scores of many runs ---


def run_scores(G: np.ndarray, V: np.ndarray) -> np.ndarray:
    """Share of images whose score rises along each direction, (m,), from gradients (n, p) and m directions (m, p)."""
    return (G @ V.T > 0).mean(axis=0)


def _scores_by_loop(G: np.ndarray, V: np.ndarray) -> list[float]:
    return [float(np.mean([g @ v > 0 for g in G])) for v in V]


def _scores_by_einsum(G: np.ndarray, V: np.ndarray) -> np.ndarray:
    return np.count_nonzero(np.einsum("np,mp->mn", G, V) > 0, axis=1) / len(G)


def _check_scores(answer: Callable[..., Any], rng: np.random.Generator) -> None:
    G, V = rng.normal(size=(23, 8)) + 0.1, rng.normal(size=(7, 8))
    G[:3] = 0  # three images whose score does not move at all
    G[3] *= 40
    got, truth = np.asarray(answer(G, V), dtype=float), run_scores(G, V)
    if got.shape != truth.shape:
        raise Mistake(f"Seven directions need seven scores, shape (7,), not {got.shape}: count over the images.")
    if not np.allclose(got, truth) and ((got < 0) | (got > 1)).any():
        raise Mistake("A score is a share, from 0 to 1: count the images whose derivative is positive.")
    S = G @ V.T
    likely = {
        "Three images have a gradient of zero. Their score does not rise, and you counted them: use > 0.": (S >= 0).mean(axis=0),
        "You counted an image without a slope half, as a test may; here it does not count: its score does not grow.": (
            (1 + np.sign(S)).mean(axis=0) / 2
        ),
        "You took the mean first and its sign afterwards, so each run is 0 or 1: count the images one by one.": (
            S.mean(axis=0) > 0
        ),
        "You left out images without a slope; the share is of *all* images of the class.": (S > 0).sum(axis=0)
        / (S != 0).any(axis=1).sum(),
        "You counted the images whose score falls.": (S < 0).mean(axis=0),
        "That is a share of the size, not of the images: one image with a large gradient outvotes the others.": np.maximum(
            S, 0
        ).sum(axis=0)
        / np.abs(S).sum(axis=0),
        "That is the share of single numbers of the layer that are positive; add them up along the direction first.": np.array(
            [(G * v > 0).mean() for v in V]
        ),
    }
    for message, wrong in likely.items():
        if np.allclose(got, wrong):
            raise Mistake(message)
    if not np.allclose(got, truth):
        raise Mistake("Scalar product of every gradient with every direction, then the share of images above zero.")


# --- an honest p-value ---


def p_value(observed: float, null: np.ndarray) -> float:
    """Two-sided p-value: twice the smaller of the concept's two ranks among the scores of m sets that mean nothing."""
    above, below = np.sum(null >= observed), np.sum(null <= observed)
    return float(min(1, 2 * (1 + min(above, below)) / (1 + len(null))))


def _p_by_rank(observed: float, null: np.ndarray) -> float:
    everything = np.append(null, observed)
    return float(np.minimum(1.0, 2 * min(np.mean(everything >= observed), np.mean(everything <= observed))))


def _p_by_loop(observed: float, null: np.ndarray) -> float:
    above = below = 1
    for score in null:
        above += score >= observed
        below += score <= observed
    return min(2 * min(above, below) / (len(null) + 1), 1.0)


def _check_p(answer: Callable[..., Any], rng: np.random.Generator) -> None:
    null = rng.choice(np.arange(3, 17), 39) / 20
    null[:2] = 0.1, 0.1
    observed = [0.1, 0.95, 0.6, 0.0, 0.3, 0.75, float(np.median(null))]
    answers = [np.asarray(answer(score, null), dtype=float) for score in observed]
    if answers[0].shape != ():
        raise Mistake(f"One p-value is asked for, not an array of shape {answers[0].shape}.")
    if np.allclose(answers, [p_value(score, null) for score in observed]):
        return
    for message, mistaken in _P_MISTAKES.items():
        values = [mistaken(score, null) for score in observed]
        if np.allclose(answers, values) or np.allclose(answers, np.minimum(values, 1)):
            raise Mistake(message)
    raise Mistake(
        "Count the sets at least as high and those at least as low, the concept included both times; double the smaller share."
    )


def _rank(observed: float, null: np.ndarray, slack: float = 0.0) -> int:
    """The smaller of the two counts; with a negative slack equals do not count."""
    return int(min(np.sum(null >= observed - slack), np.sum(null <= observed + slack)))


_P_MISTAKES: dict[str, Callable[[float, np.ndarray], float]] = {
    "Twice a rank can exceed 1; a p-value can not.": lambda s, n: 2 * (1 + _rank(s, n)) / (1 + len(n)),
    "Without the concept itself, a score beyond all others has p = 0, which 39 sets can not prove.": (
        lambda s, n: 2 * _rank(s, n) / len(n)
    ),
    "You forgot that the concept is one of the m + 1 sets: divide by m + 1.": lambda s, n: 2 * (1 + _rank(s, n)) / len(n),
    "That is one-sided: whoever would also report the other end must double.": lambda s, n: p_value(s, n) / 2,
    "That counts the high end only: a score near 0 is as telling as one near 1.": (
        lambda s, n: 2 * (1 + np.sum(n >= s)) / (1 + len(n))
    ),
    "Sets with *exactly* the same score count as extreme too.": lambda s, n: 2 * (1 + _rank(s, n, -1e-9)) / (1 + len(n)),
    "That is one tail only, and not doubled: take the smaller of both shares, and double it.": (
        lambda s, n: (1 + np.sum(n >= s)) / (1 + len(n))
    ),
    "You ranked the distance from the mean of the random sets; rank the two ends apart, since they need not be symmetric.": (
        lambda s, n: (1 + np.sum(np.abs(n - n.mean()) >= abs(s - n.mean()) - 1e-12)) / (1 + len(n))
    ),
    "You ranked the distance from 0.5; here the two ends are ranked apart, since the null need not be symmetric.": (
        lambda s, n: (1 + np.sum(np.abs(n - 0.5) >= abs(s - 0.5) - 1e-12)) / (1 + len(n))
    ),
}


# --- logit and loss ---


def log_probability_gradient(G: np.ndarray, P: np.ndarray, y: int) -> np.ndarray:
    """Gradient (n, p) of log softmax of class y, from the gradients of all logits (n, k, p) and the probabilities (n, k)."""
    return G[:, y] - np.einsum("nk,nkp->np", P, G)


def _log_gradient_by_weights(G: np.ndarray, P: np.ndarray, y: int) -> np.ndarray:
    weights = -np.asarray(P)
    weights[:, y] += 1
    return (weights[:, :, None] * G).sum(axis=1)


def _log_gradient_by_loop(G: np.ndarray, P: np.ndarray, y: int) -> np.ndarray:
    rows = []
    for gradients, probabilities in zip(G, P, strict=True):
        rows.append(gradients[y] - probabilities @ gradients)
    return np.array(rows)


def _check_log_gradient(answer: Callable[..., Any], rng: np.random.Generator) -> None:
    n, k, p = 6, 4, 5
    G, P, y = rng.normal(size=(n, k, p)), rng.dirichlet(np.ones(k), size=n), int(rng.integers(1, k - 1))
    got, truth = np.asarray(answer(G, P, y), dtype=float), log_probability_gradient(G, P, y)
    if got.shape != truth.shape:
        raise Mistake(f"Six images and a layer of five numbers need shape (6, 5), not {got.shape}.")
    rivals = np.einsum("nk,nkp->np", np.delete(P, y, axis=1), np.delete(G, y, axis=1))
    likely = {
        "That is the gradient of the loss, which points the other way: the loss is minus the log-probability.": -truth,
        "That is the gradient of the logit alone; the probability also depends on the rivals.": G[:, y],
        "That is the gradient of the probability, not of its logarithm.": P[:, [y]] * truth,
        "You weighted all classes equally; a rival counts as much as its probability.": G[:, y] - G.mean(axis=1),
        "You left class y out of the average: the sum of the softmax contains it too.": G[:, y] - rivals,
        "You used the probabilities of the first image for all.": G[:, y] - np.einsum("k,nkp->np", P[0], G),
    }
    for message, wrong in likely.items():
        if np.allclose(got, wrong):
            raise Mistake(message)
    if not np.allclose(got, truth):
        raise Mistake("The derivative of log softmax is the own logit's minus the probability-weighted average of all logits'.")


# --- how often is nothing declared something? ---


def alarm_rate() -> float:
    """Share of 300 meaningless concepts that the t-test (equal variances, 10 %) declares significant, with 5 random sets each."""
    return _rates(5)["t_equal"]


@cache
def _rates(n_sets: int) -> dict[str, float]:
    """Share of false alarms of each test, for the noise experiment of the chapter."""
    from xailib import tcav, worlds, zoo

    world = worlds.birds(3000, random_state=1)  # in the notebook you have world, net, bramble, BRAMBLE, order and layer
    order = np.random.default_rng(0).permutation(world.n_train)
    held_out = np.arange(world.n_train, len(world.X))
    bramble, pool = world.X[held_out[world.y[held_out] == 1]], world.X[order[:600]]
    table = tcav.false_alarms(zoo.load("birds-cnn"), bramble, 1, pool, "features.pool2", n_concepts=300, n_sets=n_sets)
    return {test: float((table[test] <= 0.1).mean()) for test in ("t_equal", "t_welch", "permutation")}


def _check_alarms(answer: float, rng: np.random.Generator) -> None:
    truth = _rates(5)
    if answer > 1:
        raise Mistake("That is in percent or a number of concepts: give the share, between 0 and 1.")
    if answer == 0:
        raise Mistake(
            "That is the permutation test: with 5 sets its p-value can not fall below 2/6, so it is silent. Read t_equal."
        )
    named = {
        truth["t_welch"]: "Welch's test gives this share; the column `t_equal` is asked for.",
        1 - truth["t_equal"]: "That is the share of concepts that were *not* declared significant.",
    }
    _refuse_named(answer, named, tolerance=0.005)
    if abs(answer - truth["t_equal"]) <= _CHANCE:
        return
    if abs(answer - 0.1) <= 0.01:
        raise Mistake("That is what the test promises. Measure what it does.")
    if answer > _NEARLY_ALL:
        raise Mistake(
            "Hardly any meaningless concept escapes, you say. Fewer runs repeat the luck of the pictures less often: measure."
        )
    if answer >= _MANY:
        raise Mistake("More random sets give shares like this: check that `n_sets=5` and `n_concepts=300` are in the call.")
    raise Mistake("tcav.false_alarms as in the chapter with n_sets=5 and n_concepts=300, then the share of t_equal at most 0.1.")


#: other draws of 300 concepts differ by so much; 10 sets reach the second, 19 not the third
_CHANCE, _MANY, _NEARLY_ALL = 0.045, 0.44, 0.8


EXERCISES = [
    Exercise(
        name="slope",
        title="Walk one step along a direction",
        level="core",
        difficulty=1,
        minutes=4,
        passes="your number is the slope along the unit vector",
        task=(
            "Let `h(a) = a1 * a2`. How fast does h grow at `a = (2, 1)` along the direction `(3, 4)`, per step of length 1? Write your "
            "guess from paper first, then let torch compute the gradient."
        ),
        hints=(
            "The gradient of a product: which factor is the slope along a1?",
            "How long is (3, 4)? A step of length 1 is shorter.",
        ),
        reference=slope_along,
        check=_check_slope,
        wrong=[
            WrongAnswer(11.0, "direction not of length 1", "Your direction has length 5"),
            WrongAnswer(2.0, "swaps the slopes, or gives h", "the two slopes change places"),
            WrongAnswer(3.0, "adds the slopes", "added the two slopes up"),
            WrongAnswer(5.0, "gives the length", "length of the direction"),
            WrongAnswer(0.44, "divides by the squared length", "squared length"),
            WrongAnswer(1.0, "anything else", "scalar product with (3, 4) / 5"),
        ],
        right=[np.array(2.2), (np.float32(2.2000000476837160).astype(float).round(6),)],
    ),
    Exercise(
        name="cav",
        title="Turn two sets of activations into a direction",
        level="core",
        difficulty=2,
        minutes=10,
        passes="unit length, points to the concept, right on random sets of unequal size",
        task=(
            "Write `cav_from(concept, random, strength)`. Both sets are activations (n, p), and may differ in n. Fit ridge regression with "
            "labels 1 and -1, an intercept that is not penalised, and the penalty `strength * |w|^2` beside the *sum* of squared errors "
            "(`strength` as it is; in the chapter's `my_cav` the penalty was a share of the sum of squares). Return its normal at length 1, (p,)."
        ),
        hints=(
            "What makes an intercept unnecessary?",
            "Two ways lead there: a p x p system, or an n x n system whose solution says how much each picture contributes. Which is smaller "
            "for a layer of 8192 numbers?",
        ),
        reference=cav_from,
        check=_check_cav,
        wrong=[
            WrongAnswer(lambda c, r, s: cav_from(r, c, s), "concept and random exchanged", "points to the random images"),
            WrongAnswer(lambda c, r, s: 3 * cav_from(c, r, s), "not of length 1", "divide by it"),
            WrongAnswer(lambda c, r, s: c.mean(axis=0) - r.mean(axis=0), "difference of means", "difference of the two means"),
            WrongAnswer(
                lambda c, r, s: _unit(_ridge(np.concatenate([c, r]), np.repeat([1.0, -1.0], [len(c), len(r)]), s)),
                "no intercept",
                "without an intercept",
            ),
            WrongAnswer(lambda c, r, s: cav_from(c, r, 1e-9), "no penalty", "penalty is not there"),
            WrongAnswer(lambda c, r, s: cav_from(c, r, (len(c) + len(r)) * s), "penalty times n", "14 times too strong"),
            WrongAnswer(
                lambda c, r, s: cav_from(c, r, s * ((np.vstack([c, r]) - np.vstack([c, r]).mean(axis=0)) ** 2).sum()),
                "pastes my_cav, whose penalty is relative",
                "as in the chapter's my_cav",
            ),
            WrongAnswer(
                lambda c, r, s: _unit(_ridge(np.concatenate([c, r]), _centred_labels(len(c), len(r)), s)),
                "centres the labels only",
                "labels but not the activations",
            ),
            WrongAnswer(lambda c, r, s: cav_from(c, r, s)[None], "a row instead of a vector", "has shape (6,)"),
        ],
        right=[_cav_by_features, _cav_by_sklearn],
    ),
    Exercise(
        name="scores",
        title="Score many runs at once",
        level="core",
        difficulty=2,
        minutes=6,
        passes="random gradients and directions get the right shares, flat ones included",
        task=(
            "Write `run_scores(G, V)`: gradients of n class pictures, (n, p), and the concept vectors of m runs, (m, p), become m TCAV "
            "scores, (m,). Count a picture only if its score *grows*."
        ),
        hints=(
            "One matrix product holds every sensitivity. Which axis are the pictures?",
            "What should happen to a picture whose gradient is zero?",
        ),
        reference=run_scores,
        check=_check_scores,
        wrong=[
            WrongAnswer(lambda G, V: (G @ V.T >= 0).mean(axis=0), "counts zeros", "gradient of zero"),
            WrongAnswer(lambda G, V: (1 + np.sign(G @ V.T)).mean(axis=0) / 2, "counts zeros half", "without a slope half"),
            WrongAnswer(lambda G, V: (G.mean(axis=0) @ V.T > 0).astype(float), "mean first, then sign", "mean first"),
            WrongAnswer(lambda G, V: (G @ V.T > 0).mean(axis=1), "averages over the runs", "count over the images"),
            WrongAnswer(lambda G, V: (G @ V.T < 0).mean(axis=0), "sign of the loss", "whose score falls"),
            WrongAnswer(lambda G, V: 5 * (G @ V.T).mean(axis=0), "magnitude instead of count", "A score is a share"),
            WrongAnswer(
                lambda G, V: np.maximum(G @ V.T, 0).sum(axis=0) / np.abs(G @ V.T).sum(axis=0),
                "weighs by size",
                "share of the size",
            ),
            WrongAnswer(lambda G, V: np.array([(G * v > 0).mean() for v in V]), "forgets the sum", "add them up along"),
            WrongAnswer(
                lambda G, V: (G @ V.T > 0).sum(axis=0) / (G @ V.T != 0).any(axis=1).sum(), "drops flat pictures", "*all* images"
            ),
        ],
        right=[_scores_by_loop, _scores_by_einsum],
    ),
    Exercise(
        name="p_value",
        title="Rank a concept among random sets",
        level="core",
        difficulty=2,
        minutes=8,
        passes="seven concepts among 39 random sets get the exact two-sided p-value, ties included",
        task=(
            "Write `p_value(observed, null)`: the concept's score and the scores of m random sets, (m,). Under the null hypothesis the concept "
            "is one more random set. Of all m + 1 sets, which share scores at least as high? Which at least as low? The p-value is twice the "
            "smaller share, and never more than 1."
        ),
        hints=(
            "Can the answer ever be 0? Who always scores at least as high as the concept?",
            "Scores of 20 birds are multiples of 0.05: what do you do with equals?",
        ),
        reference=p_value,
        check=_check_p,
        wrong=[
            WrongAnswer(
                lambda s, n: min(1, 2 * min(np.mean(n >= s), np.mean(n <= s))), "leaves itself out", "Without the concept"
            ),
            WrongAnswer(
                lambda s, n: min(1, 2 * (1 + min(np.sum(n >= s), np.sum(n <= s))) / len(n)), "divides by m", "divide by m + 1"
            ),
            WrongAnswer(lambda s, n: p_value(s, n) / 2, "one side", "That is one-sided"),
            WrongAnswer(lambda s, n: min(1, 2 * (1 + np.sum(n >= s)) / (1 + len(n))), "high end only", "high end only"),
            WrongAnswer(
                lambda s, n: min(1, 2 * (1 + min(np.sum(n > s), np.sum(n < s))) / (1 + len(n))), "drops ties", "same score"
            ),
            WrongAnswer(
                lambda s, n: (1 + np.sum(np.abs(n - 0.5) >= abs(s - 0.5) - 1e-12)) / (1 + len(n)),
                "distance from 0.5",
                "ranked the distance",
            ),
            WrongAnswer(lambda s, n: 2 * (1 + min(np.sum(n >= s), np.sum(n <= s))) / (1 + len(n)), "no cap", "can exceed 1"),
            WrongAnswer(lambda s, n: (1 + np.sum(n >= s)) / (1 + len(n)), "one tail, not doubled", "one tail only"),
            WrongAnswer(
                lambda s, n: (1 + np.sum(np.abs(n - n.mean()) >= abs(s - n.mean()) - 1e-12)) / (1 + len(n)),
                "distance from the mean of the null",
                "distance from the mean",
            ),
            WrongAnswer(lambda s, n: n >= s, "no count", "One p-value is asked for"),
        ],
        right=[_p_by_rank, _p_by_loop],
    ),
    Exercise(
        name="alarms",
        title="Predict how often five random sets cry wolf",
        level="core",
        difficulty=3,
        minutes=8,
        passes="your measured share is right, up to the luck of the draw (0.045)",
        task=(
            "With 19 random sets each, the t-test (`t_equal`, at 10 %) declared more than every second set of noise birds significant. A colleague has "
            "only **5 random sets** per concept. Will the share of false alarms rise, fall or stay? **First write down your guess** of the "
            "share, then measure it: the chapter's noise experiment, same pool, with `n_sets=5` and `n_concepts=300`."
        ),
        hints=(
            "What does the t-test divide the spread by? And does the luck of the 30 concept pictures shrink with the number of sets?",
            "`tcav.false_alarms(net, bramble, BRAMBLE, archive, layer, ...)`, and the mean of a comparison.",
        ),
        reference=alarm_rate,
        check=_check_alarms,
        wrong=[
            WrongAnswer(0.0, "reads the permutation test", "permutation test"),
            WrongAnswer(8.0, "percent", "in percent"),
            WrongAnswer(0.1, "trusts the level", "what the test promises"),
            WrongAnswer(0.63, "keeps 19 sets", "More random sets"),
            WrongAnswer(0.93, "expects less data to mean more alarms", "Hardly any meaningless concept escapes"),
            WrongAnswer(0.175, "another setting", "n_sets=5 and n_concepts=300"),
        ],
    ),
    Exercise(
        name="memo",
        title="Judge a memo about stripes",
        level="core",
        difficulty=3,
        minutes=8,
        passes="each of the six claims is judged right",
        task=(
            "A colleague reports to the reserve in six sentences. Which of them does the evidence of this chapter support? Hand in the letters, "
            "such as `'ac'`. Then write three sentences of your own, and compare."
        ),
        hints=(
            "For each claim ask what random sets would have scored, and whether a redrawn bird agrees.",
            "A score has a sign, a layer, a counterpart and class pictures. Which of them does the claim leave out or stretch?",
        ),
        claims={
            "a": Claim(
                "The score of the stripes is near 0 for the acorn finch, so stripes do not matter to its score.",
                False,
                "near 0 means that the logit *falls* along the stripes for nearly every bird: counter-evidence, as redrawing confirms.",
            ),
            "b": Claim(
                "Nearly all random-against-random comparisons would pass for significant if we reported one run each.",
                False,
                "a run alone has no p-value; what we saw is that single runs of noise are often near 0 or 1, which proves nothing by itself.",
            ),
            "c": Claim(
                "At pool2, for stripes and the two finches, the sign of the score is that of the redrawn effect; Holm over the two leaves p = 0.05 each.",
                True,
                "0.025, the least that 79 sets allow, is doubled, 0.05 stays; and the logit rises for the bramble finch and falls for the acorn finch when stripes are drawn.",
            ),
            "d": Claim(
                "The t-test's p-values of 0.000 show that the permutation test is too cautious.",
                False,
                "they show that 79 runs sharing their pictures were counted as 79 independent facts: on noise that test was wrong more than every second time.",
            ),
            "e": Claim(
                "A CAV accuracy of 0.9 guarantees that the CAV means stripes.",
                False,
                "the confounded set, stripes always in snow, had the higher accuracy and the wrong sign.",
            ),
            "f": Claim(
                "A concept that raises half of the birds' scores and lowers the others' can score 0.5 and still decide every one of them.",
                True,
                "channel 4 of the oracle did: no common sign is not the same as no use.",
            ),
        },
        model_answer=(
            "At the layer pool2 the logit of the bramble finch grows along the illustrator's stripes for nearly all held-out birds, and that of the "
            "acorn finch falls; by Holm over these two questions both are just significant (0.05), and the weaker one hangs on a single random set. "
            "Birds drawn with fainter stripes confirm the signs and give the size: at half of the contrast some bramble finches are named acorn finch, "
            "at a third all. So measure the contrast in August and leave both counts out below three quarters; spotted wings act much like striped ones."
        ),
    ),
    Exercise(
        name="loss",
        title="Turn gradients of logits into one of the log-probability",
        level="stretch",
        difficulty=3,
        minutes=8,
        passes="random gradients and probabilities give the right gradient, image by image",
        task=(
            "Write `log_probability_gradient(G, P, y)`: gradients of all k logits at a layer, (n, k, p), the softmax probabilities, (n, k), "
            "and a class y. Return the gradient of log p_y at the layer, (n, p)."
        ),
        hints=(
            "log p_y = z_y - log(sum of exp z_j). What is the derivative of the second term with respect to z_j?",
            "Each image has probabilities of its own: `np.einsum` or `P[:, :, None] * G` keeps them apart.",
        ),
        reference=log_probability_gradient,
        check=_check_log_gradient,
        wrong=[
            WrongAnswer(lambda G, P, y: -log_probability_gradient(G, P, y), "gradient of the loss", "points the other way"),
            WrongAnswer(lambda G, P, y: G[:, y], "logit alone", "logit alone"),
            WrongAnswer(lambda G, P, y: P[:, [y]] * log_probability_gradient(G, P, y), "probability", "not of its logarithm"),
            WrongAnswer(lambda G, P, y: G[:, y] - G.mean(axis=1), "unweighted mean", "weighted all classes equally"),
            WrongAnswer(
                lambda G, P, y: G[:, y] - np.einsum("nk,nkp->np", np.delete(P, y, axis=1), np.delete(G, y, axis=1)),
                "leaves the class out",
                "left class y out",
            ),
            WrongAnswer(
                lambda G, P, y: G[:, y] - np.einsum("k,nkp->np", P[0], G), "one image's probabilities", "first image for all"
            ),
            WrongAnswer(lambda G, P, y: log_probability_gradient(G, P, y).sum(axis=0), "sums the images", "need shape (6, 5)"),
        ],
        right=[_log_gradient_by_weights, _log_gradient_by_loop],
    ),
]


def _unit(w: np.ndarray) -> np.ndarray:
    return w / np.linalg.norm(w)


def _centred_labels(n_concept: int, n_random: int) -> np.ndarray:
    y = np.repeat([1.0, -1.0], [n_concept, n_random])
    return y - y.mean()


WARMUP = [
    Question(
        "Chapter 8: a heat map marks the wing of a bramble finch. Does that say that its stripes count?",
        "No: it says where, and not whether shape, colour or mere presence counts",
        "Where is not what. This chapter asks what.",
        {
            "Yes, stripes are what is on the wing": "So are a colour, an outline and a size; the map does not choose between them.",
            "Yes, if the map passes the randomisation test": "Passing shows that the map depends on the weights, not which property of the wing it means.",
        },
    ),
    Question(
        "Chapter 8: a network ends in global average pooling and one linear layer. How does the gradient of a logit at that last layer differ between two birds?",
        "Not at all",
        "Behind the last activation everything is linear, so the slope is the same for every picture. It will decide a whole layer's fate here.",
        {
            "It is larger for the bird with the larger score": "The score is larger because the activations are; the slopes are the weights.",
            "It depends on where the bird stands": "Averaging gives every place the same slope, for every picture.",
        },
    ),
    Question(
        "Chapter 2: you try 20 features that matter to nobody and test each at 5 %. What do you expect?",
        "About one false alarm",
        "5 % of 20. With many questions the level must be shared among them (Bonferroni, Holm).",
        {
            "None: the features do not matter": "A test at 5 % is allowed to be wrong in one of twenty cases, and there are twenty.",
            "Twenty, since every test is noisy": "Noisy tests that hold their level raise an alarm in 5 % of the cases, not in all.",
        },
    ),
]

QUIZ = [
    Question(
        "A concept scores 0.02 for a species, and all 79 random sets lie between 0.1 and 0.9 for the same species. What do you report?",
        "The concept speaks against the species",
        "The logit falls along it for nearly every bird, more uniformly than for any random set.",
        {
            "The concept does not matter to the species": "Not to matter is to score what random sets score; this score is far below.",
            "The CAV points the wrong way and must be turned": "It points from random birds to the concept, as built; the *logit* goes the other way.",
        },
    ),
    Question(
        "You double the number of random sets from 20 to 40. What happens to the t-test on a concept that means nothing?",
        "It raises a false alarm more often",
        "The luck of the concept pictures is repeated in every run, while the test believes in ever more independent runs.",
        {
            "It raises a false alarm less often": "It would, were the runs independent; but they all share the concept pictures.",
            "Nothing, its level is 5 % by construction": "By construction for independent runs, which these are not.",
        },
    ),
    Question(
        "At the layer before average pooling and the linear layer, a concept scores 1 in all 39 runs. A colleague says the layer gives especially clear answers. And you?",
        "A run can only be 0 or 1 there: look at what random sets score",
        "The gradient is the same for all pictures, so all agree in every run, meaningless ones included.",
        {
            "Clear answers are what a deep layer is for": "Noise gets the same clear answers there: 0 or 1, by the toss of a coin.",
            "The score must be wrong, since it is exactly 1": "It is right, and all that this layer can say: the sign of one number.",
        },
    ),
    Question(
        "A CAV tells 'bars' from digits with an accuracy of 1.00. What does the accuracy prove?",
        "That the two sets differ in something",
        "In what, only a second set can tell that has the one property and not the other.",
        {
            "That the CAV means bars": "It might mean little ink, or thin lines: whatever separates the sets most easily.",
            "That the network uses bars": "Separable at a layer is not the same as used behind it; that is what the gradient is for.",
        },
    ),
    Question(
        "The logit of a class rises along a concept for every picture, its log-probability for half of them. Which score is right?",
        "Both: they answer different questions",
        "What speaks for the class, and what makes it win against its rivals. Say which one you asked.",
        {
            "The logit's, since the paper uses it": "A definition, not a truth: the rivals' logits rise too, and the decision hangs on the difference.",
            "The log-probability's, since decisions are made with it": "For the decision, yes; for 'what speaks for this class' the rivals do not matter.",
        },
    ),
]
