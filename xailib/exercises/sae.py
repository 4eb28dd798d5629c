"""Exercises of chapter 13: interference, matching, sparsity, the loophole of a penalty, absorption, and what a name is worth."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

import numpy as np
from scipy.optimize import linear_sum_assignment

from xailib.exercises.engine import Claim, Exercise, Mistake, WrongAnswer
from xailib.exercises.questions import Question

Function = Callable[..., Any]


def _numbers(value: Any) -> np.ndarray:
    """The answer as an array of numbers, or a sentence."""
    try:
        return np.asarray(value, dtype=float)
    except (TypeError, ValueError) as error:
        raise Mistake(f"Numbers must come out, not {value!r:.60}.") from error


def _named(found: np.ndarray, mistakes: Mapping[str, Any]) -> None:
    """Raise the message of the known mistake that gives exactly these numbers."""
    for message, value in mistakes.items():
        if np.shape(found) == np.shape(value) and np.allclose(found, value, atol=1e-9):
            raise Mistake(message)


# --- foundations: how much five directions disturb each other ---


def pentagon_error() -> float:
    """Squared error of ReLU(W'W x) over all five features, when only the first is on, at 1."""
    angles = 2 * np.pi * np.arange(5) / 5
    W = np.array([np.cos(angles), np.sin(angles)])
    x = np.eye(5)[0]
    return float(((x - np.maximum(W.T @ (W @ x), 0)) ** 2).sum())


def _check_pentagon(answer: float, rng: np.random.Generator) -> None:
    near, far = np.cos(2 * np.pi / 5), np.cos(4 * np.pi / 5)
    named = {
        2 * near**2 + 2 * far**2: "You kept the negative readings. ReLU sets them to 0, and that is half of the trick.",
        0.0: "Only feature 1 is on, but two neighbours read something too: their directions have a positive cosine with it.",
        near**2: "That is the error of one neighbour. There are two of them, one on either side.",
        2 * near: "You added the readings without squaring them.",
        near: "That is the reading of one neighbour, the cosine of 72 degrees. The error squares it, and counts both neighbours.",
        1 + 2 * near**2: "You counted feature 1 as lost, but it reads its own direction, length 1: exactly right.",
    }
    for value, message in named.items():
        if abs(answer - value) < 2e-3:
            raise Mistake(message)
    if 6e-4 < abs(answer - pentagon_error()) < 5e-3:
        raise Mistake("Nearly: that is rounded too much. Three decimals, please.")
    if abs(answer - pentagon_error()) > 6e-4:
        raise Mistake("The five readings are the cosines of 0, 72, 144, 216 and 288 degrees; cut at 0, subtract x, square, add.")


# --- matched cosine ---


def matched_cosine(D: np.ndarray, T: np.ndarray) -> float:
    """Mean cosine between planted directions T (f, d) and their partners among D (m, d), matched one to one."""
    C = (T / np.linalg.norm(T, axis=1, keepdims=True)) @ (D / np.linalg.norm(D, axis=1, keepdims=True)).T
    rows, columns = linear_sum_assignment(C, maximize=True)
    return float(C[rows, columns].sum() / len(T))


def _matched_by_padding(D: np.ndarray, T: np.ndarray) -> float:
    D, T = (X / np.sqrt((X**2).sum(axis=1))[:, None] for X in (D, T))
    C = np.zeros((len(T), max(len(D), len(T))))
    C[:, : len(D)] = T @ D.T
    i, j = linear_sum_assignment(1 - C)
    return float(np.mean(C[i, j]))


def _matched_by_flow(D: np.ndarray, T: np.ndarray) -> np.floating[Any]:
    """Latents as rows: the smaller side decides who stays alone."""
    C = np.array([[d @ t / np.sqrt((d @ d) * (t @ t)) for t in T] for d in D])
    i, j = linear_sum_assignment(-C)
    return np.float64(C[i, j].sum()) / T.shape[0]


def _cosines(D: np.ndarray, T: np.ndarray) -> np.ndarray:
    return np.asarray((T / np.linalg.norm(T, axis=1, keepdims=True)) @ (D / np.linalg.norm(D, axis=1, keepdims=True)).T)


def _best_each(D: np.ndarray, T: np.ndarray) -> float:
    return float(_cosines(D, T).max(axis=1).mean())


def _unsigned(D: np.ndarray, T: np.ndarray) -> float:
    C = np.abs(_cosines(D, T))
    i, j = linear_sum_assignment(-C)
    return float(C[i, j].sum() / len(T))


def _plain_products(D: np.ndarray, T: np.ndarray) -> float:
    C = T @ D.T
    i, j = linear_sum_assignment(-C)
    return float(C[i, j].sum() / len(T))


def _minimal(D: np.ndarray, T: np.ndarray) -> float:
    C = _cosines(D, T)
    i, j = linear_sum_assignment(C)
    return float(C[i, j].sum() / len(T))


def _mean_over_pairs(D: np.ndarray, T: np.ndarray) -> float:
    C = _cosines(D, T)
    i, j = linear_sum_assignment(-C)
    return float(C[i, j].mean())


def _half_normed(D: np.ndarray, T: np.ndarray) -> float:
    """Only the learnt directions at length 1."""
    C = T @ (D / np.linalg.norm(D, axis=1, keepdims=True)).T
    i, j = linear_sum_assignment(-C)
    return float(C[i, j].sum() / len(T))


def _other_half_normed(D: np.ndarray, T: np.ndarray) -> float:
    """Only the planted directions at length 1."""
    C = (T / np.linalg.norm(T, axis=1, keepdims=True)) @ D.T
    i, j = linear_sum_assignment(-C)
    return float(C[i, j].sum() / len(T))


def _mean_over_latents(D: np.ndarray, T: np.ndarray) -> float:
    return matched_cosine(D, T) * len(T) / len(D)


def _in_order(D: np.ndarray, T: np.ndarray) -> float:
    k = min(len(D), len(T))
    return float(np.diag(_cosines(D, T)[:k, :k]).sum() / len(T))


def _greedy(D: np.ndarray, T: np.ndarray) -> float:
    C, total = _cosines(D, T), 0.0
    for _ in range(min(C.shape)):
        i, j = np.unravel_index(C.argmax(), C.shape)
        total += C[i, j]
        C[i, :], C[:, j] = -9, -9
    return total / len(T)


def _dictionaries(rng: np.random.Generator) -> list[tuple[np.ndarray, np.ndarray]]:
    """Two latents near one feature, one latent that points the wrong way; then fewer latents than features."""
    T = np.array([[1.0, 0, 0, 0], [0.8, 0.6, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1.0]])
    turn = np.linalg.qr(rng.normal(size=(4, 4)))[0]
    D = np.array([[0.956, 0.292, 0, 0], [0.866, -0.5, 0, 0], [0, 0, -1, 0.02], [0.1, 0.2, 0.1, 0.9], [0.3, -0.2, 0.5, 0.3]])
    # the nearest pair is no part of the best matching, so that greed loses
    D = D * rng.uniform(0.5, 3, (5, 1)) @ turn
    order = rng.permutation(5)
    return [(D[order], 1.7 * T @ turn), (D[order][:3], 1.7 * T @ turn)]


def _check_matched(answer: Function, rng: np.random.Generator) -> None:
    cases = _dictionaries(rng)
    found = [_numbers(answer(D, T)) for D, T in cases]
    if any(value.shape != () for value in found):
        raise Mistake(f"One number is asked for, the mean over the features, not an array of shape {found[0].shape}.")
    got, truth = np.array(found, dtype=float), np.array([matched_cosine(D, T) for D, T in cases])
    if np.allclose(got, truth):
        return
    likely = {
        "Two features share one latent in your answer. Match one to one: a latent can speak for one feature only.": _best_each,
        "You took absolute values. A latent that points the other way can never be on for this feature: it is a miss.": _unsigned,
        "Those are scalar products, not cosines: divide by both lengths.": _plain_products,
        "Only D has length 1 in your answer; the planted directions T may have any length too.": _half_normed,
        "Only T has length 1 in your answer; the learnt directions D may have any length too.": _other_half_normed,
        "You divided by the number of latents, m. The mean is over the planted features: divide by f.": _mean_over_latents,
        "linear_sum_assignment minimises: you found the worst matching. Give it minus the cosines, or maximize=True.": _minimal,
        "With fewer latents than features, a feature without a partner counts as 0: divide by the number of features.": (
            _mean_over_pairs
        ),
        "Latents come in no order: latent 3 need not be feature 3. Find the best matching.": _in_order,
        "Taking the best pair first is greedy: it can spoil two other pairs. Let linear_sum_assignment weigh them all.": _greedy,
    }
    _named(got, {message: np.array([wrong(D, T) for D, T in cases]) for message, wrong in likely.items()})
    raise Mistake(
        "Cosines of all pairs, the best one-to-one matching, the sum of its cosines, divided by the number of features."
    )


# --- top-k ---


def top_k(Z: np.ndarray, k: int) -> np.ndarray:
    """The k largest positive numbers of each row (n, m), everything else 0."""
    smallest = np.sort(Z, axis=1)[:, [-k]]
    return np.where((smallest <= Z) & (Z > 0), Z, 0)


def _top_k_by_place(Z: np.ndarray, k: int) -> np.ndarray:
    out = np.zeros_like(Z)
    best = np.argpartition(-Z, k - 1, axis=1)[:, :k]
    np.put_along_axis(out, best, np.maximum(np.take_along_axis(Z, best, axis=1), 0), axis=1)
    return out


def _top_k_by_loop(Z: np.ndarray, k: int) -> list[list[float]]:
    rows = []
    for row in Z:
        chosen = set(sorted(range(len(row)), key=lambda j: -row[j])[:k])
        rows.append([max(float(value), 0.0) if j in chosen else 0.0 for j, value in enumerate(row)])
    return rows


def _top_k_of_sizes(Z: np.ndarray, k: int) -> np.ndarray:
    size = np.abs(Z)
    return np.where(size >= np.sort(size, axis=1)[:, [-k]], Z, 0)


def _top_k_unrectified(Z: np.ndarray, k: int) -> np.ndarray:
    return np.where(np.sort(Z, axis=1)[:, [-k]] <= Z, Z, 0)


def _top_k_of_columns(Z: np.ndarray, k: int) -> np.ndarray:
    return np.where((np.sort(Z, axis=0)[[-k]] <= Z) & (Z > 0), Z, 0)


def _top_k_of_batch(Z: np.ndarray, k: int) -> np.ndarray:
    return np.where((np.sort(Z, axis=None)[-k * len(Z)] <= Z) & (Z > 0), Z, 0)


def _top_k_plus_one(Z: np.ndarray, k: int) -> np.ndarray:
    return np.where((np.sort(Z, axis=1)[:, [-k]] < Z) & (Z > 0), Z, 0)


def _bottom_k(Z: np.ndarray, k: int) -> np.ndarray:
    return np.where((np.sort(Z, axis=1)[:, [k - 1]] >= Z) & (Z > 0), Z, 0)


def _check_top_k(answer: Function, rng: np.random.Generator) -> None:
    Z, k = rng.normal(size=(7, 9)), 2
    Z[0] = -np.abs(Z[0])  # nothing positive
    Z[1, :] = -np.abs(Z[1, :])
    Z[1, 3] = 0.7  # one positive number only
    Z[2] = np.abs(Z[2]) + 20  # a loud row
    Z[3, 0] = -9.0  # large, but negative
    found, truth = _numbers(answer(Z, k)), top_k(Z, k)
    if found.shape != truth.shape:
        raise Mistake(f"The answer has the shape of Z, (7, 9), with zeros where a latent is off; yours has shape {found.shape}.")
    _named(
        found,
        {
            "That is where, not how much: keep the values of the latents that stay on.": (truth > 0).astype(float),
            "You kept the k largest by absolute value. A latent is never negative: what is below 0 is off.": (
                _top_k_of_sizes(Z, k)
            ),
            "You chose the k largest by absolute value: a large negative number took a place from a positive one.": np.maximum(
                _top_k_of_sizes(Z, k), 0
            ),
            "A row with fewer than k positive numbers keeps negative ones in your answer: cut at 0 as well.": (
                _top_k_unrectified(Z, k)
            ),
            "You kept k rows for each latent. The competition is within a row: latents against each other.": (
                _top_k_of_columns(Z, k)
            ),
            "That is batch top-k: the loud row took places from the others. Here every row has k of its own.": (
                _top_k_of_batch(Z, k)
            ),
            "One latent too few: the k-th largest itself belongs to the k.": _top_k_plus_one(Z, k),
            "You kept the smallest ones.": _bottom_k(Z, k),
            "That is a plain ReLU: nothing limits how many are on.": np.maximum(Z, 0),
        },
    )
    if not np.allclose(found, truth):
        raise Mistake("In each row find the k-th largest number; keep what is at least that and positive, and set the rest to 0.")


# --- the loophole ---


def unit_norm(W: np.ndarray, b: np.ndarray, D: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The same autoencoder with dictionary rows of length 1: encoder (d, m), bias (m,), dictionary (m, d)."""
    length = np.linalg.norm(D, axis=1)
    return W * length, b * length, D / length[:, None]


def _unit_by_diagonal(W: np.ndarray, b: np.ndarray, D: np.ndarray) -> list[np.ndarray]:
    S = np.diag(np.sqrt((D**2).sum(axis=1)))
    return [W @ S, S @ b, np.linalg.inv(S) @ D]


def _unit_by_loop(W: np.ndarray, b: np.ndarray, D: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    W, b, D = W.copy(), b.copy(), D.copy()
    for j, row in enumerate(D):
        length = float(row @ row) ** 0.5
        D[j], W[:, j], b[j] = row / length, W[:, j] * length, b[j] * length
    return W, b, D


def _check_unit(answer: Function, rng: np.random.Generator) -> None:
    d, m = 4, 6
    W, b = rng.normal(size=(d, m)), rng.normal(size=m) / 2
    D = rng.normal(size=(m, d)) * rng.uniform(0.3, 4, (m, 1))
    A = rng.normal(size=(30, d))
    result = answer(W, b, D)
    if not isinstance(result, tuple | list) or len(result) != 3:
        raise Mistake("Return all three: the new encoder, its bias and the new dictionary, in this order.")
    W2, b2, D2 = (_numbers(part) for part in result)
    if (W2.shape, b2.shape, D2.shape) != (W.shape, b.shape, D.shape):
        shapes = f"{W2.shape}, {b2.shape} and {D2.shape}"
        raise Mistake(f"Shapes stay as they are, (4, 6), (6,) and (6, 4); yours are {shapes}.")
    lengths = np.linalg.norm(D2, axis=1)
    if not np.allclose(lengths, 1):
        if np.allclose(np.linalg.norm(D2, axis=0), 1):
            raise Mistake("You normalised the columns of the dictionary. A latent's direction is a *row* of it.")
        if np.allclose(np.linalg.norm(W2, axis=0), 1):
            raise Mistake(
                "You normalised the encoder. The penalty is dodged through the dictionary: its rows must have length 1."
            )
        if np.allclose(D2, D):
            raise Mistake("The dictionary is as it was: its rows still have any length.")
        raise Mistake("The dictionary's rows do not have length 1 yet: divide each by its own length.")
    before = np.maximum(A @ W + b, 0) @ D
    if np.allclose(np.maximum(A @ W2 + b2, 0) @ D2, before):
        return
    length = np.linalg.norm(D, axis=1)
    if np.allclose(W2, W) and np.allclose(b2, b):
        raise Mistake("Rows have length 1 now, but the reconstruction changed: what you take from a row, give to its latent.")
    if np.allclose(W2, W * length) and np.allclose(b2, b):
        raise Mistake(
            "Almost: the bias belongs to the latent too. Scale it like the encoder's column, or other latents switch on."
        )
    if np.allclose(W2, W / length):
        raise Mistake("The wrong way round: the row became shorter, so its latent must become larger, not smaller.")
    raise Mistake(
        "The reconstruction changed. Multiply column j of the encoder, and entry j of the bias, by the length of row j."
    )


# --- absorption ---


def absorption_gap(parent: np.ndarray, child: np.ndarray, latent: np.ndarray) -> float:
    """How much more often the parent's latent is silent with the child than without, among rows in which the parent is on."""
    silent = latent == 0
    return float(silent[parent & child].mean() - silent[parent & ~child].mean())


def _gap_by_rows(parent: np.ndarray, child: np.ndarray, latent: np.ndarray) -> np.floating[Any]:
    fires = (latent > 0)[parent]
    with_child = child[parent]
    return np.average(fires[~with_child]) - np.average(fires[with_child])


def _gap_by_counting(parent: np.ndarray, child: np.ndarray, latent: np.ndarray) -> float:
    counts = {True: [0, 0], False: [0, 0]}
    for p, c, z in zip(parent, child, latent, strict=True):
        if p:
            counts[bool(c)][0] += z == 0
            counts[bool(c)][1] += 1
    return counts[True][0] / counts[True][1] - counts[False][0] / counts[False][1]


def _check_gap(answer: Function, rng: np.random.Generator) -> None:
    n = 800
    parent = rng.random(n) < 0.3
    child = (parent & (rng.random(n) < 0.4)) | (~parent & (rng.random(n) < 0.1))
    silent = np.where(child, rng.random(n) < 0.7, rng.random(n) < 0.1)
    latent = np.where(parent, np.where(silent, 0, rng.uniform(0.5, 2, n)), (rng.random(n) < 0.08) * 1.0)
    found, truth = _numbers(answer(parent, child, latent)), absorption_gap(parent, child, latent)
    if found.shape != ():
        raise Mistake(f"One number is asked for, the difference of two shares, not an array of shape {found.shape}.")
    off = latent == 0
    _named(
        found,
        {
            "The sign is turned: positive means that the latent falls silent *with* the child.": np.array(-truth),
            "That is the share with the child alone. A latent that is also silent without it is merely bad: subtract.": np.array(
                off[parent & child].mean()
            ),
            "You looked at all rows. Where the parent is off its latent should be silent: that is no absorption.": np.array(
                off[child].mean() - off[~child].mean()
            ),
            "You compared with rows in which the parent is off. Compare within the rows in which it is on.": np.array(
                off[parent & child].mean() - off[~parent].mean()
            ),
            "Those are strengths, not silence: how often is the latent exactly 0?": np.array(
                latent[parent & ~child].mean() - latent[parent & child].mean()
            ),
            "Your shares are of all rows with the parent on. Divide each by its own group: rows with the child, rows without.": (
                np.array(((off & parent & child).sum() - (off & parent & ~child).sum()) / parent.sum())
            ),
            "You compared with all rows that have the parent on, and the child's own rows are among them: leave them out.": (
                np.array(off[parent & child].mean() - off[parent].mean())
            ),
            "You divided by all rows. The shares are of the rows with the child, and of those without.": np.array(
                (off & parent & child).mean() - (off & parent & ~child).mean()
            ),
        },
    )
    if not np.allclose(found, truth):
        raise Mistake("Among rows with the parent on: share of silence with the child minus share of silence without.")


# --- a ladder of features ---


@cache
def represented() -> float:
    """How many of ten features a toy model with two dimensions keeps at density 0.01."""
    from xailib import sae

    return float(sae.toy_model(10, 2, density=0.01, importance=0.7).n_represented)


def _check_represented(answer: float, rng: np.random.Generator) -> None:
    truth = represented()
    if answer == truth:
        return
    if answer == 2:
        raise Mistake("One feature per dimension: that is what *dense* features get. These are on in 1 of 100 inputs.")
    if answer == 4:
        raise Mistake(
            "Two opposite ends for each dimension: that holds while collisions still cost something. Here they are rarer."
        )
    if answer == 10:
        raise Mistake(
            "Rare collisions do not make all features fit: ten directions in a plane disturb each other *one at a time*."
        )
    if 6 <= answer <= 9:
        raise Mistake("Too many: neighbours closer than in a pentagon disturb each other even when only *one* of them is on.")
    if answer != int(answer) or not 0 <= answer <= 10:
        raise Mistake(
            "It is a whole number from 0 to 10: count the directions of length 0.5 or more that no other feature shares."
        )
    raise Mistake(
        "Train it: `sae.toy_model(10, 2, density=0.01, importance=0.7)`, nothing else changed, and read `n_represented`."
    )


EXERCISES = [
    Exercise(
        name="pentagon",
        title="Measure what five directions cost",
        level="core",
        difficulty=2,
        minutes=5,
        passes="your number is the squared error, to three decimals",
        task=(
            "Five unit directions stand evenly in the plane, 72 degrees apart: the columns of `W`. Only feature 1 is on, at 1. What is "
            "the squared error of `ReLU(W'W x)`, added up over all five features? Guess on paper first."
        ),
        hints=(
            "Feature i reads the cosine of the angle between its direction and that of feature 1.",
            "Which of the five cosines does ReLU let through, and which of those should be there?",
        ),
        reference=pentagon_error,
        check=_check_pentagon,
        wrong=[
            WrongAnswer(1.5, "keeps negative readings", "kept the negative readings"),
            WrongAnswer(0.0, "forgets interference", "two neighbours read something"),
            WrongAnswer(0.0955, "one neighbour", "two of them, one on either side"),
            WrongAnswer(0.618, "does not square", "without squaring"),
            WrongAnswer(0.309, "the cosine itself", "The error squares it"),
            WrongAnswer(1.191, "counts the feature itself", "counted feature 1 as lost"),
            WrongAnswer(0.4, "anything else", "cosines of 0, 72"),
            WrongAnswer(0.19, "rounds to two decimals", "rounded too much"),
        ],
        right=[np.array(0.190983), (0.19098,)],
    ),
    Exercise(
        name="matched",
        title="Match a dictionary with the truth",
        level="core",
        difficulty=3,
        minutes=10,
        passes="random dictionaries in any order and length, some too small, get the right mean",
        task=(
            "Write `matched_cosine(D, T)`: learnt directions D (m, d), planted directions T (f, d), of any lengths. Find the one-to-one "
            "matching with the largest sum of cosines (signed), and return that sum divided by f: a feature without a partner counts as 0. "
            "`scipy.optimize.linear_sum_assignment` is `linear_sum_assignment` in the chapter."
        ),
        hints=(
            "All cosines at once are one matrix product of directions at length 1. What do rows and columns stand for?",
            "linear_sum_assignment minimises a cost unless told otherwise, and copes with matrices that are not square.",
        ),
        reference=matched_cosine,
        check=_check_matched,
        wrong=[
            WrongAnswer(_best_each, "best latent for each feature", "Two features share one latent"),
            WrongAnswer(_unsigned, "absolute cosines", "absolute values"),
            WrongAnswer(_plain_products, "scalar products", "divide by both lengths"),
            WrongAnswer(_half_normed, "T not at length 1", "Only D has length 1"),
            WrongAnswer(_other_half_normed, "D not at length 1", "Only T has length 1"),
            WrongAnswer(_mean_over_latents, "divides by the latents", "divided by the number of latents"),
            WrongAnswer(_minimal, "minimises", "the worst matching"),
            WrongAnswer(_mean_over_pairs, "divides by the pairs", "counts as 0"),
            WrongAnswer(_in_order, "compares in order", "come in no order"),
            WrongAnswer(_greedy, "greedy", "greedy"),
            WrongAnswer(lambda D, T: _cosines(D, T).max(axis=1), "no mean", "One number is asked for"),
        ],
        right=[_matched_by_padding, _matched_by_flow],
    ),
    Exercise(
        name="top_k",
        title="Let k latents through",
        level="core",
        difficulty=2,
        minutes=6,
        passes="random rows keep the right numbers, also where fewer than k are positive",
        task=(
            "Write `top_k(Z, k)`: of each row of Z (n, m) keep the k largest numbers as they are, set all others to 0, and never let a "
            "negative number through. There are no ties."
        ),
        hints=(
            "Sort each row: where does the k-th largest number stand?",
            "What should happen to a row in which only one number is positive?",
        ),
        reference=top_k,
        check=_check_top_k,
        wrong=[
            WrongAnswer(lambda Z, k: (top_k(Z, k) > 0).astype(float), "returns the mask", "where, not how much"),
            WrongAnswer(_top_k_of_sizes, "absolute values", "by absolute value"),
            WrongAnswer(lambda Z, k: np.maximum(_top_k_of_sizes(Z, k), 0), "absolute values, cut at 0", "took a place"),
            WrongAnswer(_top_k_unrectified, "keeps negative numbers", "cut at 0 as well"),
            WrongAnswer(_top_k_of_columns, "axis mixed up", "within a row"),
            WrongAnswer(_top_k_of_batch, "batch top-k", "batch top-k"),
            WrongAnswer(_top_k_plus_one, "strict comparison", "One latent too few"),
            WrongAnswer(_bottom_k, "smallest", "the smallest ones"),
            WrongAnswer(lambda Z, k: np.maximum(Z, 0), "plain ReLU", "plain ReLU"),
            WrongAnswer(lambda Z, k: np.sort(Z, axis=1)[:, -k:], "k columns", "has the shape of Z"),
        ],
        right=[_top_k_by_place, _top_k_by_loop],
    ),
    Exercise(
        name="unit_norm",
        title="Close the loophole of the penalty",
        level="core",
        difficulty=3,
        minutes=8,
        passes="rows have length 1 and random inputs are rebuilt exactly as before",
        task=(
            "A penalty on the latents' sum can be dodged: shrink a latent, lengthen its dictionary row, and the output is the same. Write "
            "`unit_norm(W, b, D)` that undoes it: encoder W (d, m), encoder bias b (m,), dictionary D (m, d). Return new `W, b, D` with rows of D at "
            "length 1 and the same reconstruction `ReLU(a W + b) D` for every input."
        ),
        hints=(
            "A positive factor passes through ReLU: s ReLU(x) = ReLU(s x).",
            "Latent j owns one column of W, one entry of b and one row of D.",
        ),
        reference=unit_norm,
        check=_check_unit,
        wrong=[
            WrongAnswer(
                lambda W, b, D: (W, b, D / np.linalg.norm(D, axis=1, keepdims=True)), "dictionary only", "give to its latent"
            ),
            WrongAnswer(
                lambda W, b, D: (W * np.linalg.norm(D, axis=1), b, D / np.linalg.norm(D, axis=1)[:, None]),
                "forgets the bias",
                "the bias belongs to the latent",
            ),
            WrongAnswer(
                lambda W, b, D: (
                    W / np.linalg.norm(D, axis=1),
                    b / np.linalg.norm(D, axis=1),
                    D / np.linalg.norm(D, axis=1)[:, None],
                ),
                "divides both",
                "wrong way round",
            ),
            WrongAnswer(lambda W, b, D: (W, b, D / np.linalg.norm(D, axis=0)), "normalises columns", "columns of the dictionary"),
            WrongAnswer(
                lambda W, b, D: (W / np.linalg.norm(W, axis=0), b, D), "normalises the encoder", "normalised the encoder"
            ),
            WrongAnswer(lambda W, b, D: (W, b, D), "changes nothing", "as it was"),
            WrongAnswer(lambda W, b, D: D / np.linalg.norm(D, axis=1)[:, None], "returns one of three", "Return all three"),
        ],
        right=[_unit_by_diagonal, _unit_by_loop],
    ),
    Exercise(
        name="ladder",
        title="Predict how many features two dimensions hold",
        level="core",
        difficulty=3,
        minutes=6,
        passes="your measured count is right; the guess comes first",
        task=(
            "Five features fitted into two dimensions at density 0.05. Now there are **ten** features, importances 1, 0.7, 0.49 ..., each on in 1 "
            "of 100 inputs: collisions hardly ever happen. How many will have a direction of their own, of length 0.5 or more? **First write down your "
            "guess**, then train `sae.toy_model(10, 2, density=0.01, importance=0.7)`. (Other seeds and longer training end at the same number.)"
        ),
        hints=(
            "More directions stand closer together: neighbours disturb each other even when only one of them is on.",
            "Does the cost of a disturbed neighbour fall with the density as fast as the cost of a collision?",
        ),
        reference=represented,
        check=_check_represented,
        wrong=[
            WrongAnswer(2.0, "one per dimension", "One feature per dimension"),
            WrongAnswer(4.0, "opposite pairs", "Two opposite ends"),
            WrongAnswer(10.0, "sparse means free", "do not make all features fit"),
            WrongAnswer(3.5, "not a count", "whole number"),
            WrongAnswer(7.0, "more and more fit", "closer than in a pentagon"),
            WrongAnswer(3.0, "another setting", "Train it"),
        ],
    ),
    Exercise(
        name="gap",
        title="Measure absorption",
        level="stretch",
        difficulty=3,
        minutes=8,
        passes="random parents, children and latents get the right gap",
        task=(
            "Write `absorption_gap(parent, child, latent)`: two boolean arrays (n,), where parent and child are on, and the activity (n,) of the latent "
            "that was matched with the parent. Among rows in which the parent is on: how much more often is the latent silent (exactly 0) with the child "
            "than without it?"
        ),
        hints=(
            "Two groups of rows; which rows belong to neither?",
            "A share of a group is the mean of True and False inside it.",
        ),
        reference=absorption_gap,
        check=_check_gap,
        wrong=[
            WrongAnswer(lambda p, c, z: -absorption_gap(p, c, z), "turns the sign", "The sign is turned"),
            WrongAnswer(lambda p, c, z: (z == 0)[p & c].mean(), "no comparison", "with the child alone"),
            WrongAnswer(lambda p, c, z: (z == 0)[c].mean() - (z == 0)[~c].mean(), "ignores the parent", "all rows"),
            WrongAnswer(lambda p, c, z: (z == 0)[p & c].mean() - (z == 0)[~p].mean(), "wrong control", "the parent is off"),
            WrongAnswer(lambda p, c, z: z[p & ~c].mean() - z[p & c].mean(), "strength", "strengths, not silence"),
            WrongAnswer(
                lambda p, c, z: ((z == 0) & p & c).mean() - ((z == 0) & p & ~c).mean(),
                "divides by all rows",
                "divided by all rows",
            ),
            WrongAnswer(
                lambda p, c, z: ((z == 0) & p & c).sum() / p.sum() - ((z == 0) & p & ~c).sum() / p.sum(),
                "divides by the parent's rows",
                "shares are of all rows with the parent on",
            ),
            WrongAnswer(
                lambda p, c, z: (z == 0)[p & c].mean() - (z == 0)[p].mean(),
                "compares with all of the parent's rows",
                "leave them out",
            ),
            WrongAnswer(lambda p, c, z: (z == 0)[p] * 1.0, "no difference", "One number is asked for"),
        ],
        right=[_gap_by_rows, _gap_by_counting],
    ),
    Exercise(
        name="memo",
        title="Judge a memo about a dictionary",
        level="core",
        difficulty=3,
        minutes=8,
        passes="each of the six claims is judged right",
        task=(
            "A colleague sums up this chapter in six sentences. Which of them does the evidence support? Hand in the letters, such as `'ac'`. Then write "
            "three sentences of your own about the spam latent, and compare."
        ),
        hints=(
            "For each claim ask which number of the chapter would have been different if it were false.",
            "Explained variance, matched cosine, F1, a held-out name and a dose-response are five different things.",
        ),
        claims={
            "a": Claim(
                "A good fifth of the latents at the embedding never fire on held-out mails, so the network has not learnt a fifth of the language.",
                False,
                "dead latents are a fact about the dictionary, which was made larger than needed. Even a table of random numbers leaves some latents of such a dictionary dead.",
            ),
            "b": Claim(
                "On planted features the autoencoder that explained most variance did not say best when features are on.",
                True,
                "the weak L1 penalty explained most, with several times as many latents on as there were features, and its F1 was the worst; a threshold that left two on did not save it.",
            ),
            "c": Claim(
                "The latent whose strongest examples are all one word, and which fires on every one of these words, is the latent of that word.",
                False,
                "the recall was 1.00 and the precision about 0.1: nine of ten firings had other words. Top examples show the tip of what a latent does.",
            ),
            "d": Claim(
                "The spam latent grows with the planted weights of the cue words, though nobody gave the autoencoder a label or a weight.",
                True,
                "among the spam cues alone the correlation of its activity (minus the ham latent's) with the weights is about 0.9. The network saw labels drawn from these weights; the autoencoder saw activations only.",
            ),
            "e": Claim(
                "Since clamping the latent moves the score and the directions of most other latents hardly do, it is the best direction to steer with.",
                False,
                "the plain difference of means, nearly the same direction, moved the score more, and the paired difference is clear of zero.",
            ),
            "f": Claim(
                "A parent's latent that is silent when a child is on can belong to an autoencoder with a good reconstruction.",
                True,
                "absorption costs nothing in reconstruction: the child's latent writes the parent's direction along with its own.",
            ),
        },
        model_answer=(
            "At the embedding one latent fires on words that speak for spam, strongest on the strongest cues; on held-out mails it has recall 1.00 for "
            "weights above 1.5 and a precision of about 0.7, while the name of its top example has a precision of 0.1. Set to 0 where a cue word stands, it takes the "
            "word's whole effect away; clamped at a neutral word it raises the spam score, less than the mean difference does. Other dictionaries, sizes and seeds cut the space "
            "elsewhere, so nothing here says that this latent is *the* unit in which the network thinks."
        ),
    ),
]


WARMUP = [
    Question(
        "Chapter 11: a linear probe finds the number of the subject in a layer. What does that prove about the network's behaviour?",
        "Nothing yet: decodable is not used",
        "Only removing or changing the direction shows whether the behaviour hangs on it. The same will hold for latents.",
        {
            "That the network uses it": "A probe reads; whether the rest of the network reads it too takes an intervention.",
            "That one neuron holds it": "A probe's direction is a mix of all numbers of the layer; no single one need be special.",
        },
    ),
    Question(
        "Chapter 12: you replace one value inside a transformer and read the logits at the end. What makes the change in the logits a causal statement?",
        "The value was set by you, and everything else ran on from there",
        "An intervention. Clamping a latent will be one too.",
        {
            "The large size of the change": "A small effect of an intervention is causal as well; a large correlation is not.",
            "That the value correlates with the answer": "Correlation is what patching was invented to go beyond.",
        },
    ),
    Question(
        "Chapter 9: a concept's direction scores 0.8. Which comparison tells you whether that is much?",
        "The scores of random sets, treated in the same way",
        "Random directions often score far from 0.5. Here random dictionaries, and a network of noise, will be the yardstick.",
        {
            "0.5, the score of no effect": "Single random directions score anything between 0 and 1: the null is wide.",
            "A t-test over repeated runs with the same pictures": "Those runs share pictures, so the test is far too sure.",
        },
    ),
]

QUIZ = [
    Question(
        "Three yes-or-no features, each on with probability p, are stored at 120 degrees in two dimensions. Why is p what decides whether that pays?",
        "It costs only when several are on at once, which has probability of order p squared; dropping one costs of order p",
        "For small p the square wins: the break-even was exactly 1/3.",
        {
            "With small p the directions become orthogonal": "Three directions in a plane can never be orthogonal, whatever p is.",
            "With small p the features carry less information, so forgetting them is free": "Forgetting one still costs about p; superposition costs about 1.5 p squared.",
        },
    ),
    Question(
        "Your autoencoder explains 97 % of the variance of a layer. What do you know about its latents?",
        "That together they rebuild it well; not that each means something",
        "The weak penalty rebuilt best and told worst when features were on.",
        {
            "That they are the features of the network": "Any basis of the space rebuilds it completely, and means nothing.",
            "That at most 3 % of the features were missed": "A rare feature has hardly any variance; many can be missed in 3 %.",
        },
    ),
    Question(
        "A latent never fires, in a dictionary with as many latents as there are features. What follows?",
        "Some feature has no latent of its own: a latent was wasted",
        "With 31 live latents for 32 features at least one is left out. The reverse does not hold: features were missed where no latent was dead.",
        {
            "The network does not have that feature": "The latent had no feature yet; the dictionary is at fault, not the network.",
            "Nothing: dead latents are harmless": "In a dictionary that is too large, nearly so. At the right size the matched cosine was lower by 0.06 without starting them anew.",
        },
    ),
    Question(
        "The forty strongest examples of a latent are 'mum' and 'homework'. What is the next step before you call it the family-and-school latent?",
        "Apply the name to texts you have not looked at, and count both kinds of errors",
        "Recall was 1.00 and precision 0.1 to 0.2: most of its firings had other words.",
        {
            "Look at forty more of the strongest": "More of the tip. Weak firings are where the name fails.",
            "Steer with it: if the score moves, the name is right": "Then it has an effect. On what it fires is another question.",
        },
    ),
    Question(
        "A parent's latent is silent in a quarter of the rows in which its child is on, but hardly ever otherwise. What happened?",
        "Absorption: the child's latent writes the parent's direction too, which saves one latent",
        "Sparsity rewards it, and reconstruction does not suffer: only planted or probed parents reveal it.",
        {
            "The parent is off when the child is on": "Planted the other way round: a child is only ever on together with its parent.",
            "The latent is dead": "It fires nearly always when the parent is on without a child.",
        },
    ),
]
