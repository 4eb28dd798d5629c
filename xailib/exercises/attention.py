"""Exercises of chapter 10: rows of attention, rollout and flow, what a head writes, honest shuffles, and what weights prove."""

from __future__ import annotations

import functools
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np

from xailib.exercises.engine import Claim, Exercise, Mistake, WrongAnswer
from xailib.exercises.questions import Question

Named = dict[str, Callable[..., Any]]
"""What a learner may have computed instead -> the sentence's key."""


def _same(a: Any, b: Any) -> bool:
    """Whether two results are equal arrays."""
    x, y = np.asarray(a, dtype=float), np.asarray(b, dtype=float)
    return x.shape == y.shape and bool(np.allclose(x, y, rtol=1e-6, atol=1e-9))


def _array(result: Any, shape: tuple[int, ...], what: str) -> np.ndarray:
    """The answer as finite numbers of the wanted shape."""
    try:
        values = np.asarray(result, dtype=float)
    except (TypeError, ValueError):
        raise Mistake(f"Return numbers: {what}.") from None
    if values.shape != shape:
        raise Mistake(f"Your result has shape {values.shape}; we need shape {shape}: {what}.")
    return values


def _attention(rng: np.random.Generator, *shape: int) -> np.ndarray:
    """Causal attention, rows that sum to 1."""
    A = np.tril(rng.dirichlet(np.ones(shape[-1]), size=shape[:-1]) + 0.02)
    return A / A.sum(axis=-1, keepdims=True)


# --- foundations: one row of attention ---


def own_weight() -> float:
    """The weight that the second position gives to itself: scaled, masked, exponentiated, divided by the sum."""
    dots = np.array([0.0, 2 * np.log(3), 100.0])  # query of position 2 with the keys of positions 1, 2 and 3
    scores = dots / np.sqrt(4)
    scores[2] = -np.inf  # position 3 is the future
    weights = np.exp(scores) / np.exp(scores).sum()
    return float(weights[1])


def _check_row(answer: float, rng: np.random.Generator) -> None:
    named = {
        0.9: "You left out the division by the root of k: 9 and 1 are what the unscaled products give.",
        0.0: "Nearly all weight went to position 3, which position 2 cannot see: mask the future first.",
        0.25: "That is the weight of position 1. Position 2 looks at itself with the rest.",
        1.0: "You divided the scores by their sum. The softmax takes exponentials first: a score of 0 still gets a share.",
        np.sqrt(3) / (1 + np.sqrt(3)): "You divided by k, not by its root.",
        3.0: "3 is what stands before the division by the sum: the exponentials are 1 and 3.",
    }
    for value, message in named.items():
        if abs(answer - value) < 2e-3:
            raise Mistake(message)
    if abs(answer - own_weight()) > 2e-3:
        raise Mistake("Divide the products by 2, drop position 3, and take exp(score) / sum of exp(score) over what is left.")


# --- rollout ---


def rollout(A: np.ndarray) -> np.ndarray:
    """Attention rollout (l, l) from patterns (layers, l, l), first layer first, heads averaged already."""
    R = np.eye(A.shape[-1])
    for layer in A:
        R = (layer + np.eye(len(R))) / 2 @ R  # the new layer on the left: it reads what the others have mixed
    return R


def _rollout_by_reduce(A: np.ndarray) -> np.ndarray:
    mixed = [0.5 * layer + 0.5 * np.eye(len(layer)) for layer in A]
    return functools.reduce(lambda product, layer: layer.dot(product), mixed)


def _rollout_by_einsum(A: np.ndarray) -> np.ndarray:
    R = np.identity(A.shape[1])
    for k in range(A.shape[0]):
        summed = A[k] + np.identity(A.shape[1])
        R = np.einsum("im,mj->ij", summed / summed.sum(axis=1, keepdims=True), R)
    return R


def _product(matrices: Any) -> np.ndarray:
    return functools.reduce(np.matmul, matrices)


def _no_stream(A: np.ndarray) -> np.ndarray:
    return _product(A[::-1])


def _reversed(A: np.ndarray) -> np.ndarray:
    return _product([(layer + np.eye(len(layer))) / 2 for layer in A])


def _not_halved(A: np.ndarray) -> np.ndarray:
    return _product([layer + np.eye(len(layer)) for layer in A[::-1]])


def _stream_at_the_end(A: np.ndarray) -> np.ndarray:
    return (_product(A[::-1]) + np.eye(A.shape[1])) / 2


def _mean_of_layers(A: np.ndarray) -> np.ndarray:
    return (A.mean(axis=0) + np.eye(A.shape[1])) / 2


def _entry_by_entry(A: np.ndarray) -> np.ndarray:
    return np.prod((A + np.eye(A.shape[1])) / 2, axis=0)


def _last_only(A: np.ndarray) -> np.ndarray:
    return (A[-1] + np.eye(A.shape[1])) / 2


def _two_layers_only(A: np.ndarray) -> np.ndarray:
    return rollout(A[:2])


def _scaled_at_the_end(A: np.ndarray) -> np.ndarray:
    R = _product([layer + 0.5 * np.eye(len(layer)) for layer in A[::-1]])
    return R / R.sum(axis=1, keepdims=True)


_ROLLOUTS: dict[Callable[..., Any], str] = {
    _no_stream: "You multiplied the attention alone: half of every layer is the residual stream, which keeps each token where it is.",
    _reversed: "Your layers stand in the wrong order: the last layer reads what the first has mixed, so it goes on the left.",
    _not_halved: "Your rows sum to more than 1: adding the identity doubles a row, so halve it (layer by layer).",
    _stream_at_the_end: "You let the stream in once, at the end. It runs past every layer.",
    _mean_of_layers: "You averaged the layers. What a later layer collects has been mixed by the earlier ones: multiply.",
    _entry_by_entry: "You multiplied entry by entry. Summing over the positions in between needs the matrix product.",
    _last_only: "That is the last layer alone: what it collects has been mixed before.",
    _two_layers_only: "You used two layers, and this model has three: go through all of them, however many there are.",
    _scaled_at_the_end: "You added half an identity to a whole attention matrix: the shares are one half each, before you multiply.",
}


def _check_rollout(answer: Callable[..., Any], rng: np.random.Generator) -> None:
    for n_layers in (3, 2):
        A = _attention(rng, n_layers, 5, 5)
        R = _array(answer(A.copy()), (5, 5), "one row per position of the last layer, one column per token")
        if _same(R, rollout(A)):
            continue
        for wrong, message in _ROLLOUTS.items():
            if _same(R, wrong(A)):
                raise Mistake(message)
        if _same(R, rollout(A).T):
            raise Mistake("Rows and columns have changed places: row i says where position i comes from.")
        if not np.allclose(R.sum(axis=1), 1):
            raise Mistake("Each row should sum to 1: it says where the content of one position comes from, share by share.")
        if np.abs(np.triu(R, 1)).max() > 1e-9:
            raise Mistake("Position 0 gets content from its future, which causal attention does not allow: look at the products.")
        raise Mistake(
            "Rows sum to 1, but the values differ: mix each layer with half an identity, then multiply, last layer left."
        )


# --- what a head writes ---


def written_norms(A: np.ndarray, v: np.ndarray, W: np.ndarray) -> np.ndarray:
    """Length (l, l) of what each key adds to each query: A (l, l) query by key, v (l, k) values, W (k, d) output projection."""
    f = v @ W  # what the head would write for each key
    return A * np.linalg.norm(f, axis=1)  # one factor per key, that is, per column


def _written_by_loop(A: np.ndarray, v: np.ndarray, W: np.ndarray) -> np.ndarray:
    norms = np.zeros_like(A)
    for i in range(len(A)):
        for j in range(len(A)):
            norms[i, j] = np.sqrt(((A[i, j] * (v[j] @ W)) ** 2).sum())
    return norms


def _written_by_einsum(A: np.ndarray, v: np.ndarray, W: np.ndarray) -> np.ndarray:
    arrows = np.einsum("ij,jk,kd->ijd", A, v, W)
    return np.sqrt(np.einsum("ijd,ijd->ij", arrows, arrows))


def _without_projection(A: np.ndarray, v: np.ndarray, W: np.ndarray) -> np.ndarray:
    return A * np.linalg.norm(v, axis=1)


def _without_weights(A: np.ndarray, v: np.ndarray, W: np.ndarray) -> np.ndarray:
    return np.ones_like(A) * np.linalg.norm(v @ W, axis=1)


def _of_the_query(A: np.ndarray, v: np.ndarray, W: np.ndarray) -> np.ndarray:
    return A * np.linalg.norm(v @ W, axis=1)[:, None]


def _squared(A: np.ndarray, v: np.ndarray, W: np.ndarray) -> np.ndarray:
    return written_norms(A, v, W) ** 2


def _squared_but_for_the_weight(A: np.ndarray, v: np.ndarray, W: np.ndarray) -> np.ndarray:
    return A * ((v @ W) ** 2).sum(axis=1)


def _sum_of_sizes(A: np.ndarray, v: np.ndarray, W: np.ndarray) -> np.ndarray:
    return A * np.abs(v @ W).sum(axis=1)


def _signed(A: np.ndarray, v: np.ndarray, W: np.ndarray) -> np.ndarray:
    return A * (v @ W).sum(axis=1)


def _scaled_rows(A: np.ndarray, v: np.ndarray, W: np.ndarray) -> np.ndarray:
    N = written_norms(A, v, W)
    return N / np.maximum(N.sum(axis=1, keepdims=True), 1e-12)


_WRITTEN: dict[Callable[..., Any], str] = {
    _without_projection: "You measured the value inside the head. What reaches the stream has passed W as well, which may stretch or erase it.",
    _without_weights: "The attention weight is missing: a key that nobody looks at adds nothing.",
    _of_the_query: "You took the value of the position that looks. What is added is the value of the one that is looked at: scale the columns.",
    _squared: "These are squared lengths: take the root.",
    _squared_but_for_the_weight: "You multiplied the weight with a squared length: take the root of the sum of squares first.",
    _sum_of_sizes: "You added up absolute entries. The length of a vector is the root of the sum of squares.",
    _signed: "Entries of both signs have cancelled in your sum: a vector's length is the root of the sum of squares.",
    _scaled_rows: "You scaled the rows to 1. Leave the lengths as they are: their size is what the weights lack.",
}


def _check_written(answer: Callable[..., Any], rng: np.random.Generator) -> None:
    A, v, W = _attention(rng, 5, 5), rng.normal(size=(5, 3)), rng.normal(size=(3, 4))
    v[1] = 0
    given = answer(A.copy(), v.copy(), W.copy())
    if np.shape(given) == (5,):
        raise Mistake("You measured the mixture, one number per query. We need each key's part: one number per query and key.")
    N = _array(given, (5, 5), "one length per query and key")
    if _same(N, written_norms(A, v, W)):
        return
    for wrong, message in _WRITTEN.items():
        if _same(N, wrong(A, v, W)):
            raise Mistake(message)
    if (N < -1e-9).any():
        raise Mistake("A length is never negative.")
    if np.abs(N[:, 1]).max() > 1e-9:
        raise Mistake("Key 1 has a value of zero: whatever its weight, it adds nothing.")
    raise Mistake("For query i and key j: the length of A[i, j] times v[j] @ W.")


# --- an honest shuffle ---


def shuffle_rows(A: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Each row of causal attention (l, l) with its weights in random order, among the positions that it can see."""
    shuffled = np.zeros_like(A)
    for i in range(len(A)):
        shuffled[i, : i + 1] = rng.permutation(A[i, : i + 1])  # row i sees positions 0 to i
    return shuffled


def _shuffle_by_keys(A: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    seen = np.tril(np.ones(A.shape, dtype=bool))
    order = np.argsort(np.where(seen, rng.random(A.shape), 2.0), axis=1)
    return np.tril(np.take_along_axis(A, order, axis=1))


def _shuffle_by_copies(A: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    shuffled = A.copy()
    for i, row in enumerate(shuffled):
        rng.shuffle(row[: i + 1])
    return shuffled


def _shuffle_positive_only(A: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    shuffled = np.zeros_like(A)
    for i, row in enumerate(A):
        shuffled[i, row > 0] = rng.permutation(row[row > 0])
    return shuffled


def _new_weights(A: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    B = np.tril(rng.random(A.shape))
    return B / B.sum(axis=1, keepdims=True)


def _one_row_only(A: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    shuffled = A.copy()
    shuffled[-1] = rng.permutation(A[-1])
    return shuffled


def _one_order_for_all(A: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    order, shuffled = rng.permutation(len(A)), np.zeros_like(A)
    for i in range(len(A)):
        shuffled[i, : i + 1] = A[i, order[order <= i]]
    return shuffled


def _wheel(A: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    shuffled = A.copy()
    for i in range(len(A)):
        shuffled[i, : i + 1] = np.roll(A[i, : i + 1], rng.integers(0, i + 1))
    return shuffled


def _wheel_or_mirror(A: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    shuffled = _wheel(A, rng)
    for i in range(len(A)):
        if rng.random() < 0.5:
            shuffled[i, : i + 1] = shuffled[i, : i + 1][::-1]
    return shuffled


def _turned_round(A: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return np.array([np.append(row[: i + 1][::-1], row[i + 1 :]) for i, row in enumerate(A)])


def _first_comes_first(row: np.ndarray, draws: np.ndarray) -> np.ndarray:
    """For each shuffle whether the weight of key 0 stands before that of key 2."""
    places = [np.abs(draws - row[key]).argmin(axis=1) for key in (0, 2)]
    return places[0] < places[1]


def _check_shuffle(answer: Callable[..., Any], rng: np.random.Generator) -> None:
    A = _attention(rng, 5, 5)
    A[4] = [0.4, 0.0, 0.1, 0.2, 0.3]  # a position in sight that gets nothing takes part as well
    draws = np.array([_array(answer(A.copy(), rng), (5, 5), "the shuffled rows") for _ in range(300)])
    moved = next((draw for draw in draws if not _same(draw, A)), A)
    if not _same(moved, A) and all(any(_same(row, other) for other in A) for row in moved):
        raise Mistake("You shuffled which row is where. The weights inside each row should change places.")
    if np.abs(np.triu(draws, 1)).max() > 1e-12:
        raise Mistake("A position now looks at its future: shuffle only the weights at and before the position of the row.")
    if not _same(np.sort(draws, axis=2), np.broadcast_to(np.sort(A, axis=1), draws.shape)):
        raise Mistake("These are other weights than before: a permutation moves the same ones to other places.")
    if (draws == draws[0]).all():
        raise Mistake("Every call gives the same order: use the generator that you are given.")
    still = (draws == A).all(axis=(0, 2))
    if still[1:].any():
        raise Mistake(f"Row {1 + int(still[1:].argmax())} never changes: shuffle every row that sees more than one position.")
    if (draws[:, 4, 1] == 0).all():
        raise Mistake("A position in sight whose weight is 0 stays at 0: let it take part, it is visible all the same.")
    where = np.bincount((draws[:, 4] == A[4].max()).argmax(axis=1), minlength=5)
    if where.min() < 25 or where.max() > 110:
        raise Mistake(
            f"The largest weight of the last row landed {where.tolist()} times on each place in 300 calls: all should be alike."
        )
    orders = np.unique(draws[:, 3, :4], axis=0)
    if len(orders) < 20:
        wheel = np.array([np.roll(A[3, :4], k) for k in range(4)])
        if all((order == wheel).all(axis=1).any() for order in orders):
            raise Mistake("You turn each row like a wheel: the weights keep their neighbours. Draw one of all orders instead.")
        raise Mistake(f"Four weights can stand in 24 orders; only {len(orders)} of them occurred in 300 calls.")
    together = [_first_comes_first(A[k], draws[:, k]) for k in (3, 4)]
    if abs(np.mean(together[0] == together[1]) - 0.5) > 0.3:
        raise Mistake("The rows move together: one order serves them all. Draw a new order for each row.")


# --- a distance for attention ---


def divergence(p: np.ndarray, q: np.ndarray) -> np.ndarray:
    """Jensen-Shannon divergence with the natural logarithm, one number per row of p and q, (n, l)."""
    m = (p + q) / 2

    def kl(a: np.ndarray) -> np.ndarray:
        ratio = np.divide(a, m, out=np.ones_like(m), where=a > 0)  # 0 log 0 = 0
        return (a * np.log(ratio)).sum(axis=1)

    return (kl(p) + kl(q)) / 2


def _divergence_by_entropy(p: np.ndarray, q: np.ndarray) -> np.ndarray:
    from scipy.special import entr

    return entr((p + q) / 2).sum(axis=1) - (entr(p).sum(axis=1) + entr(q).sum(axis=1)) / 2


def _divergence_by_scipy(p: np.ndarray, q: np.ndarray) -> np.ndarray:
    from scipy.spatial.distance import jensenshannon

    return np.array([jensenshannon(a, b) ** 2 for a, b in zip(p, q, strict=True)])


def _kl(p: np.ndarray, q: np.ndarray) -> np.ndarray:
    p, q = p + 1e-12, q + 1e-12
    return (p * np.log(p / q)).sum(axis=1)


def _kl_to_middle(p: np.ndarray, q: np.ndarray) -> np.ndarray:
    return _kl(p, (p + q) / 2)


def _both_kl(p: np.ndarray, q: np.ndarray) -> np.ndarray:
    return (_kl(p, q) + _kl(q, p)) / 2


def _root(p: np.ndarray, q: np.ndarray) -> np.ndarray:
    return np.sqrt(np.maximum(divergence(p, q), 0))


def _variation(p: np.ndarray, q: np.ndarray) -> np.ndarray:
    return np.abs(p - q).sum(axis=1) / 2


def _bits(p: np.ndarray, q: np.ndarray) -> np.ndarray:
    return divergence(p, q) / np.log(2)


def _not_averaged(p: np.ndarray, q: np.ndarray) -> np.ndarray:
    return 2 * divergence(p, q)


_DIVERGENCES: dict[Callable[..., Any], str] = {
    _kl: "That is KL(p, q): not symmetric, and without bound where q is 0. Compare both with their middle.",
    _kl_to_middle: "You compared only p with the middle. q's half is missing.",
    _both_kl: "You averaged KL in both directions, which has no bound. Compare each with the middle m instead.",
    _root: "That is the Jensen-Shannon distance, the root. We measure the divergence.",
    _variation: "That is the total variation distance, which we use for outputs.",
    _bits: "You took the logarithm to base 2, whose bound is 1. We use the natural one, with the bound 0.693.",
    _not_averaged: "The two halves are added, not averaged: disjoint rows must give ln 2 = 0.693.",
}


def _check_divergence(answer: Callable[..., Any], rng: np.random.Generator) -> None:
    p, q = rng.dirichlet(np.ones(4), 3), rng.dirichlet(np.ones(4), 3)
    given = answer(p.copy(), q.copy())
    if np.ndim(given) == 0:
        raise Mistake("One number for all rows is too little: sum along the last axis only.")
    plain = _array(given, (3,), "one divergence per row")
    for wrong, message in _DIVERGENCES.items():
        if np.allclose(plain, wrong(p, q), rtol=1e-5, atol=1e-8):
            raise Mistake(message)
    if not np.allclose(plain, divergence(p, q), rtol=1e-6, atol=1e-9):
        if np.allclose(plain, divergence(p, q), rtol=0.02, atol=1e-3):
            raise Mistake("Close, but not exact: a small number added against log 0 changes the weights. Treat zeros apart.")
        raise Mistake("Take m = (p + q) / 2, then the mean of KL(p, m) and KL(q, m), KL(a, m) = sum of a log(a / m).")
    p[0], q[0] = [0.5, 0.5, 0, 0], [0, 0, 1, 0]
    with np.errstate(all="ignore"):
        edge = _array(answer(p.copy(), q.copy()), (3,), "one divergence per row")
    if not np.isfinite(edge).all():
        raise Mistake("With a weight of exactly 0 your result is not finite: 0 log 0 counts as 0. Masked keys have exact zeros.")
    if not np.allclose(edge, divergence(p, q), rtol=1e-5, atol=1e-7):
        raise Mistake("Weights of exactly 0 lead you astray: their terms count 0, and disjoint rows give ln 2.")


# --- an experiment: does the last layer's attention matter? ---


@cache
def _mails() -> tuple[Any, np.ndarray, np.ndarray]:
    """The classifier, the tokens of the held-out mails and their labels."""
    from xailib import worlds, zoo

    X, y = worlds.messages().test
    return zoo.load("messages-transformer"), zoo.encode("messages-transformer", X), y


_UNSURE = 2.0  # log-odds


@cache
def _flattened() -> dict[str, float]:
    """Shares of mails: the answer, and what is easily measured instead."""
    from xailib import attention

    model, tokens, y = _mails()
    flat = attention.maps(model, tokens).uniform()
    padded = np.full_like(flat[1], 1 / tokens.shape[1])
    edits = {"own": {}, "last": {1: flat[1]}, "first": {0: flat[0]}, "padded": {1: padded}}
    scores = {name: attention.rerun(model, tokens, edit) for name, edit in edits.items()}
    odds = {name: z[:, 1] - z[:, 0] for name, z in scores.items()}
    spam, unsure = {name: z > 0 for name, z in odds.items()}, np.abs(odds["own"]) < _UNSURE
    shares = {name: np.mean((spam[name] == spam["own"])[unsure]) for name in ("last", "first", "padded")}
    shares |= {"all": np.mean(spam["last"] == spam["own"]), "sure": np.mean((spam["last"] == spam["own"])[~unsure])}
    shares |= {"right": np.mean((spam["last"] == y)[unsure]), "base": np.mean((spam["own"] == y)[unsure])}
    after = np.abs(odds["last"]) < _UNSURE
    shares["after"] = np.mean((spam["last"] == spam["own"])[after])
    return {name: float(share) for name, share in shares.items()}


def share_unmoved() -> float:
    """Share of the held-out mails with log-odds between -2 and 2 whose class stays when the last layer looks at all alike."""
    from xailib import attention, worlds, zoo

    model = zoo.load("messages-transformer")
    tokens = zoo.encode("messages-transformer", worlds.messages().test[0])
    flat = attention.maps(model, tokens).uniform()
    before, after = (np.diff(attention.rerun(model, tokens, p), axis=1)[:, 0] for p in ({}, {1: flat[1]}))
    unsure = np.abs(before) < 2
    return float(np.mean((before > 0)[unsure] == (after > 0)[unsure]))


_SHARES = {
    "all": "That is the share of *all* mails. Keep only those whose own log-odds lie between -2 and 2.",
    "sure": "Those are the mails of which the filter is sure. Take the others.",
    "first": "You flattened the first layer, number 0, or both: layers are counted from 0, and only the last one, 1, is meant.",
    "padded": "Your equal weights reach the padding as well. `maps(...).uniform()` spreads them over what a row can see.",
    "right": "You compared with the labels. The question is whether the *model's* answer stays.",
    "base": "That is the model's accuracy on these mails, untouched. Compare its answers before and after.",
    "after": "You chose the mails by their log-odds *after* the change. Choose by the untouched model.",
}


def _check_uniform(answer: float, rng: np.random.Generator) -> None:
    shares = _flattened()
    if answer > 1:
        raise Mistake("Give the share as a number from 0 to 1, not in percent.")
    if abs(answer - shares["last"]) <= 2e-3:
        return
    for key, message in _SHARES.items():
        if abs(answer - shares[key]) <= 2e-3:
            raise Mistake(message)
    if abs(answer - (1 - shares["last"])) <= 2e-3:
        raise Mistake("That is the share of answers that *changed*.")
    raise Mistake(
        "Use `maps(...).uniform()[1]` with `rerun(net, tokens, {1: ...})`, and compare classes where the own log-odds lie "
        "between -2 and 2."
    )


# --- flow in two layers ---


def two_layer_flow(first: np.ndarray, last: np.ndarray, i: int) -> np.ndarray:
    """Maximum flow (l,) from position i of the last layer to each token; both layers hold the residual stream already."""
    return np.minimum(last[i][:, None], first).sum(axis=0)  # each middle position has a path of its own


def _flow_by_loop(first: np.ndarray, last: np.ndarray, i: int) -> np.ndarray:
    n = len(first)
    return np.array([sum(min(last[i, m], first[m, j]) for m in range(n)) for j in range(n)])


def _flow_by_solver(first: np.ndarray, last: np.ndarray, i: int) -> np.ndarray:
    from xailib import attention

    return attention.flow(np.array([[first], [last]]), i, residual=0.0)


def _flow_as_rollout(first: np.ndarray, last: np.ndarray, i: int) -> np.ndarray:
    return last[i] @ first


def _widest(first: np.ndarray, last: np.ndarray, i: int) -> np.ndarray:
    return np.minimum(last[i][:, None], first).max(axis=0)


def _min_of_sums(first: np.ndarray, last: np.ndarray, i: int) -> np.ndarray:
    return np.minimum(last[i].sum(), first.sum(axis=0))


def _to_the_middle(first: np.ndarray, last: np.ndarray, i: int) -> np.ndarray:
    return np.minimum(last[i][:, None], first).sum(axis=1)


def _layers_swapped(first: np.ndarray, last: np.ndarray, i: int) -> np.ndarray:
    return two_layer_flow(last, first, i)


def _column_of_last(first: np.ndarray, last: np.ndarray, i: int) -> np.ndarray:
    return np.minimum(last[:, i][:, None], first).sum(axis=0)


def _shares_of_flow(first: np.ndarray, last: np.ndarray, i: int) -> np.ndarray:
    F = two_layer_flow(first, last, i)
    return F / F.sum()


def _stream_twice(first: np.ndarray, last: np.ndarray, i: int) -> np.ndarray:
    half = np.eye(len(first)) / 2
    return two_layer_flow(first / 2 + half, last / 2 + half, i)


_FLOWS: dict[Callable[..., Any], str] = {
    _flow_as_rollout: "You multiplied the widths, which is rollout. A path of two pipes carries as much as the narrower one.",
    _widest: "You took the best path only. All paths that lead to a token carry at the same time: add them up.",
    _min_of_sums: "You added up first and compared then. The narrow place is in each path: minimum first, then the sum.",
    _to_the_middle: "You summed over the tokens: that is what passes each middle position. Sum over the middle positions.",
    _layers_swapped: "The layers have changed places: from position i you go through the last layer first.",
    _column_of_last: "You took column i of the last layer. Row i says what position i looks at.",
    _stream_twice: "You mixed the residual stream in a second time: both matrices hold half of it already.",
    _shares_of_flow: "Do not scale the flows to 1: each is a maximum of its own, with the pipes all to itself.",
}


def _check_flow(answer: Callable[..., Any], rng: np.random.Generator) -> None:
    first, last = (0.5 * A + 0.5 * np.eye(5) for A in _attention(rng, 2, 5, 5))
    i = 3
    F = _array(answer(first.copy(), last.copy(), i), (5,), "one flow per token")
    if _same(F, two_layer_flow(first, last, i)):
        return
    for wrong, message in _FLOWS.items():
        if _same(F, wrong(first, last, i)):
            raise Mistake(message)
    raise Mistake(
        "A path goes i, m, j. How much passes its two pipes last[i, m] and first[m, j], and how many such paths reach j?"
    )


EXERCISES = [
    Exercise(
        name="row",
        title="Compute one weight by hand",
        level="core",
        difficulty=2,
        minutes=5,
        passes="your number is right to two decimals",
        task=(
            "A causal head works with **k = 4** numbers. The query of position 2 has the scalar products 0, 2 ln 3 and 100 with the keys of "
            "positions 1, 2 and 3. **First guess, then compute**: what weight does position 2 give to *itself*?"
        ),
        hints=(
            "Two of the three products matter. Which one can position 2 not see?",
            "Divide by the root of k, take exponentials, divide by their sum. exp(ln 3) is 3.",
        ),
        reference=own_weight,
        check=_check_row,
        wrong=[
            WrongAnswer(0.9, "forgets the root of k", "left out the division"),
            WrongAnswer(0.0, "sees the future", "mask the future first"),
            WrongAnswer(0.25, "the other position", "weight of position 1"),
            WrongAnswer(1.0, "divides scores by their sum", "takes exponentials first"),
            WrongAnswer(0.634, "divides by k", "not by its root"),
            WrongAnswer(3.0, "does not divide by the sum", "before the division by the sum"),
        ],
    ),
    Exercise(
        name="rollout",
        title="Roll attention out through layers",
        level="core",
        difficulty=3,
        minutes=10,
        passes="two and three random causal layers give the right shares",
        task=(
            "Write `rollout(A)`: patterns (layers, l, l), first layer first, heads averaged already. Mix every layer half and half with the "
            "residual stream, and return how much of each token reaches each position of the last layer, (l, l), row by row."
        ),
        hints=(
            "What would a layer do to the tokens if its attention were the identity? And what does half of it do?",
            "Position i of layer 2 collects from positions m of layer 1, which have collected from tokens j. Which matrix is on the left?",
        ),
        reference=rollout,
        check=_check_rollout,
        wrong=[
            WrongAnswer(_no_stream, "residual stream forgotten", "multiplied the attention alone"),
            WrongAnswer(_reversed, "order of multiplication", "in the wrong order"),
            WrongAnswer(_not_halved, "not scaled again", "sum to more than 1"),
            WrongAnswer(_stream_at_the_end, "stream only once", "once, at the end"),
            WrongAnswer(_mean_of_layers, "averages layers", "averaged the layers"),
            WrongAnswer(_entry_by_entry, "elementwise product", "entry by entry"),
            WrongAnswer(_last_only, "last layer only", "last layer alone"),
            WrongAnswer(_two_layers_only, "two layers only", "however many there are"),
            WrongAnswer(_scaled_at_the_end, "wrong shares", "half an identity to a whole"),
            WrongAnswer(lambda A: rollout(A).T, "transposed", "have changed places"),
            WrongAnswer(lambda A: rollout(A)[-1], "last row only", "we need shape (5, 5)"),
        ],
        right=[_rollout_by_reduce, _rollout_by_einsum],
    ),
    Exercise(
        name="written",
        title="Measure what a head writes",
        level="core",
        difficulty=2,
        minutes=8,
        passes="random heads, one key without value among them, get the right lengths",
        task=(
            "Write `written_norms(A, v, W)`: attention of one head (l, l), query by key; its values (l, k); its output projection (k, d). "
            "Return, query by key, the length (Euclidean norm) of the vector that each key adds to the residual stream, (l, l)."
        ),
        hints=(
            "What would be added to the stream if only key j were looked at, with all the weight?",
            "A number in front of a vector stretches it: the length of A[i, j] f_j is A[i, j] times the length of f_j.",
        ),
        reference=written_norms,
        check=_check_written,
        wrong=[
            WrongAnswer(_without_projection, "output projection forgotten", "inside the head"),
            WrongAnswer(_without_weights, "weights forgotten", "attention weight is missing"),
            WrongAnswer(_of_the_query, "value of the query", "the position that looks"),
            WrongAnswer(_squared, "squared norms", "are squared lengths"),
            WrongAnswer(_squared_but_for_the_weight, "weight times squared norm", "with a squared length"),
            WrongAnswer(_sum_of_sizes, "sum of absolute values", "added up absolute entries"),
            WrongAnswer(_signed, "sum with signs", "have cancelled"),
            WrongAnswer(_scaled_rows, "scales rows to 1", "scaled the rows"),
            WrongAnswer(lambda A, v, W: np.linalg.norm(A @ v @ W, axis=1), "norm of the mixture", "measured the mixture"),
        ],
        right=[_written_by_loop, _written_by_einsum],
    ),
    Exercise(
        name="shuffle",
        title="Shuffle attention without breaking the rules",
        level="core",
        difficulty=3,
        minutes=10,
        passes="300 shuffles put the visible weights of every row in all orders, and move none where it must not go",
        task=(
            "Write `shuffle_rows(A, rng)`: causal attention (l, l) and a numpy generator. Return a copy in which the weights of every row "
            "stand in random order, each row for itself. The model must stay causal: position i sees positions 0 to i."
        ),
        hints=(
            "How many weights of row 2 may change places? And of row 0?",
            "`rng.permutation` shuffles a piece of a row. A visible weight of 0 is visible.",
        ),
        reference=shuffle_rows,
        check=_check_shuffle,
        wrong=[
            WrongAnswer(lambda A, rng: rng.permuted(A, axis=1), "whole rows", "looks at its future"),
            WrongAnswer(
                lambda A, rng: np.tril(rng.permuted(A, axis=1)), "cuts the future off afterwards", "other weights than before"
            ),
            WrongAnswer(_turned_round, "no randomness", "Every call gives the same order"),
            WrongAnswer(lambda A, rng: rng.permutation(A), "shuffles the rows", "which row is where"),
            WrongAnswer(_one_row_only, "last row only", "never changes"),
            WrongAnswer(_one_order_for_all, "one order for all rows", "rows move together"),
            WrongAnswer(_wheel, "cyclic shift", "like a wheel"),
            WrongAnswer(_wheel_or_mirror, "few of all orders", "can stand in 24 orders"),
            WrongAnswer(_shuffle_positive_only, "visible means positive", "it is visible all the same"),
            WrongAnswer(
                lambda A, rng: np.array(
                    [np.append(np.roll(r[: i + 1], rng.integers(0, 2)), r[i + 1 :]) for i, r in enumerate(A)]
                ),
                "moves by one place at most",
                "all should be alike",
            ),
            WrongAnswer(lambda A, rng: shuffle_rows(A, rng)[-1], "one row back", "we need shape (5, 5)"),
        ],
        right=[_shuffle_by_keys, _shuffle_by_copies],
    ),
    Exercise(
        name="divergence",
        title="Measure how far attention moved",
        level="core",
        difficulty=2,
        minutes=8,
        passes="random rows and rows with exact zeros get the right divergence",
        task=(
            "Write `divergence(p, q)`: two sets of attention rows, (n, l). Return the Jensen-Shannon divergence of each pair of rows, (n,), "
            "with the natural logarithm: the mean of the Kullback-Leibler divergences of p and of q from their middle."
        ),
        hints=(
            "KL(a, m) is the sum of a log(a / m). What should an entry with a = 0 count?",
            "Two rows that share no key must give ln 2, two equal ones 0.",
        ),
        reference=divergence,
        check=_check_divergence,
        wrong=[
            WrongAnswer(_kl, "KL of p and q", "That is KL(p, q)"),
            WrongAnswer(_kl_to_middle, "half of it", "q's half is missing"),
            WrongAnswer(_both_kl, "symmetric KL", "in both directions"),
            WrongAnswer(_root, "distance instead of divergence", "the root"),
            WrongAnswer(_variation, "total variation", "total variation distance"),
            WrongAnswer(_bits, "logarithm to base 2", "base 2"),
            WrongAnswer(_not_averaged, "sum instead of mean", "added, not averaged"),
            WrongAnswer(lambda p, q: divergence(p, q).mean(), "averages rows", "too little"),
            WrongAnswer(lambda p, q: divergence(p + 1e-6, q + 1e-6), "small number against log 0", "Close, but not exact"),
            WrongAnswer(
                lambda p, q: ((p * np.log(2 * p / (p + q))).sum(axis=1) + (q * np.log(2 * q / (p + q))).sum(axis=1)) / 2,
                "0 log 0",
                "0 log 0 counts as 0",
            ),
        ],
        right=[_divergence_by_entropy, _divergence_by_scipy],
    ),
    Exercise(
        name="uniform",
        title="Ask the unsure mails whether the last layer is needed",
        level="core",
        difficulty=3,
        minutes=8,
        passes="your share is right, up to 0.002",
        task=(
            "With the last layer flat, the mail classifier kept nearly all of its answers. But most mails lie far from the boundary. Take *all* "
            "held-out mails whose log-odds, untouched, lie between -2 and 2, and replace the attention of the **last** layer, number 1, by equal "
            "weights for all tokens. **First write down your guess**: for what share does the predicted class stay? Then measure it."
        ),
        hints=(
            "An answer that stays may stay because nothing moved, or because the boundary was far away.",
            "`attention.maps(net, tokens).uniform()[1]` is the pattern, `attention.rerun` runs with it; compare signs of the log-odds.",
        ),
        reference=share_unmoved,
        check=_check_uniform,
        wrong=[
            WrongAnswer(88.5, "percent", "not in percent"),
            WrongAnswer(0.981, "all mails", "share of *all* mails"),
            WrongAnswer(1.0, "the sure mails", "Take the others"),
            WrongAnswer(0.619, "counts layers from 1, or flattens both", "You flattened the first layer"),
            WrongAnswer(0.8945, "looks at padding", "reach the padding"),
            WrongAnswer(0.688, "compares with labels", "compared with the labels"),
            WrongAnswer(0.720, "accuracy", "model's accuracy"),
            WrongAnswer(0.9245, "chooses by the changed model", "*after* the change"),
            WrongAnswer(0.115, "share that changed", "answers that *changed*"),
            WrongAnswer(0.5, "measures something else", "compare classes"),
        ],
    ),
    Exercise(
        name="memo",
        title="Judge a vendor's claims about attention",
        level="core",
        difficulty=3,
        minutes=8,
        passes="each of the six claims is judged right",
        task=(
            "A vendor sells attention as explanation. Which of the six sentences does the evidence of this chapter support? Hand in the "
            "letters, such as `'ac'`. Then write three sentences of advice of your own, and compare."
        ),
        hints=(
            "For each claim ask: what was held fixed, and what would have happened with flat attention?",
            "A weight says how much is taken. Who says what was taken, and whether anyone used it?",
        ),
        claims={
            "a": Claim(
                "Setting the weight of a word to zero *and scaling up the others* is an experiment: it shows what the answer does under this change of the weights.",
                True,
                "two things change at once, so name both: the word loses, the others gain. By hand, a weight on nothing went and the output doubled. Still, it found what no map shows.",
            ),
            "b": Claim(
                "An adversary found other attention with the same prediction, so attention never explains anything.",
                False,
                "such attention was found in all four layers, in those that are needed too: it shows that weights are not unique. In the sentences the last layer's favourite was the decisive word all the same.",
            ),
            "c": Claim(
                "A head that puts all its weight on one token uses that token.",
                False,
                "the mute head did so for every row of the world, and its values are zero.",
            ),
            "d": Claim(
                "A head whose written vectors are long influences the output.",
                False,
                "the decoy writes as long vectors as the induction head, where nobody reads them: only an intervention told the two apart.",
            ),
            "e": Claim(
                "Rollout follows attention through all layers, so it is at least as good as the last layer alone.",
                False,
                "better on the mails; on the agreement sentences, and in the built model, it points at the word from which the model reads, unless you leave that word out.",
            ),
            "f": Claim(
                "Before reading a layer's attention as an explanation, replace it by equal weights: if the answers stay, it explains little of them.",
                True,
                "that is Wiegreffe and Pinter's first test; it told the layers that are needed (mails 1, sentences 2) from those that are not, where adversaries could not.",
            ),
        },
        model_answer=(
            "Show attention maps as what they are: where each head took its mixture from. Before anyone reads them as reasons, flatten the layer: if the "
            "answers stay, as they do for nearly all mails in the last layer, its weights cannot be the reason. For the words that decided, use an attribution that sees the output, "
            "occlusion or integrated gradients, state what stands for a missing word, and give the share of texts in which its first word was the decisive one."
        ),
    ),
    Exercise(
        name="flow",
        title="Let evidence flow through two layers",
        level="stretch",
        difficulty=4,
        minutes=10,
        passes="random pairs of layers give the maximum flow to each token",
        task=(
            "Write `two_layer_flow(first, last, i)`: two matrices (l, l) that hold half of the residual stream already, and a position of the last "
            "layer. Entries are widths of pipes. Return the maximum flow from position i to each token, (l,)."
        ),
        hints=(
            "Every path is i, m, j. Do two paths to the same token with different m share a pipe?",
            "How much passes two pipes in a row? And several such rows side by side?",
        ),
        reference=two_layer_flow,
        check=_check_flow,
        wrong=[
            WrongAnswer(_flow_as_rollout, "multiplies widths", "multiplied the widths"),
            WrongAnswer(_widest, "best path only", "best path only"),
            WrongAnswer(_min_of_sums, "sums before it compares", "added up first"),
            WrongAnswer(_to_the_middle, "sums over tokens", "summed over the tokens"),
            WrongAnswer(_layers_swapped, "layers swapped", "layers have changed places"),
            WrongAnswer(_column_of_last, "column for row", "took column i"),
            WrongAnswer(_stream_twice, "stream mixed in twice", "a second time"),
            WrongAnswer(_shares_of_flow, "scales flows to 1", "Do not scale the flows"),
        ],
        right=[_flow_by_loop, _flow_by_solver],
    ),
]

WARMUP = [
    Question(
        "Chapter 5: the rule gives 'winner' 4.0 and 'not' turns it into -2.0. In 'not a winner', what are the Shapley values of 'not' and 'winner'?",
        "-3.0 and 1.0",
        "Averaged over who comes first: 'winner' adds 4 or -2, 'not' adds 0 or -6. They sum to -2, the score.",
        {
            "-6.0 and 4.0": "That lets 'winner' always come first. Both orders count, each with one half.",
            "0.0 and -2.0": "That lets 'not' always come first. Both orders count, each with one half.",
        },
    ),
    Question(
        "Chapter 8: integrated gradients of a score sum to ...",
        "the score minus the score of the baseline",
        "Completeness. The numerical integral misses it by a little, and the gap should be looked at.",
        {
            "the score": "Only if the baseline scores zero: the explanation starts counting there.",
            "one, they are shares": "They have the unit of the score, and signs; nothing scales them.",
        },
    ),
    Question(
        "Chapter 4: two words of a mail say the same, and one is enough for the model. What does deleting one of them show?",
        "Nearly nothing, for either of the two",
        "The other one still does the job. Deleting one word at a time cannot see a pair that stands in for each other.",
        {
            "The full effect, for both": "While one is deleted the other still speaks, so the score hardly moves.",
            "Half of the effect, for each": "Half each is what Shapley values give; deletion of one leaves the score where it is.",
        },
    ),
]

QUIZ = [
    Question(
        "A head puts 0.9 of its attention on 'prize'. What has it added to the residual stream?",
        "That depends on the value at 'prize' and on the head's output projection",
        "Weight times value times projection. Zero values, or a projection that erases them, add nothing.",
        {
            "0.9 of the word 'prize'": "It adds 0.9 times what the head makes of that position, which may be anything, nothing included.",
            "The vector of 'prize', scaled by 0.9": "The token's own vector stays where it is; what is added has passed value and output projection.",
        },
    ),
    Question(
        "In layer 2 the reading position looks at 'the' with weight 0.8. Which words may have been read through it?",
        "Any word that position 'the' has looked at in layer 1",
        "After one layer a position holds a mixture. Rollout and flow exist because of this.",
        {
            "Only 'the'": "Only in the first layer does a position hold nothing but its own token.",
            "Only words after 'the'": "What a position collects depends on its own attention in the layer before; in a causal model that is words up to it.",
        },
    ),
    Question(
        "An adversary changes the attention of a text completely and the prediction by 0.005. What follows?",
        "For this text, the output does not pin the weights down",
        "Other weights would have led to the same answer. It does not follow that the model's own weights were without effect.",
        {
            "The model does not use attention": "The found weights were searched for. Random or flat weights may still change the answer.",
            "The two attention maps explain the prediction equally well": "Only one of them is what the model did; the other was searched for, not computed.",
        },
    ),
    Question(
        "You flatten the attention of a layer, and 97 % of the answers stay. Which conclusion is safe?",
        "The weights of this layer explain little of those answers",
        "Which words got how much made no difference. What the layer carries over may still matter.",
        {
            "The layer can be removed": "Flat attention still carries the mean of all positions to the reader; without the layer nothing is carried.",
            "Attention in no layer matters": "Only this layer was flattened. Others may be needed; flatten them too.",
        },
    ),
    Question(
        "A causal model's attention is permuted with `rng.permuted(A, axis=1)`, and the predictions change wildly. What went wrong?",
        "Positions were allowed to see their future",
        "Weights moved to keys that the row must not see, so the change measures a broken model.",
        {
            "Nothing: attention matters": "The change mixes two things: other weights, and forbidden keys. Permute within sight only.",
            "The rows no longer sum to 1": "A permutation keeps the sum; it is where the weights went.",
        },
    ),
]
