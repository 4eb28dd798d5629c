"""Exercises of chapter 12: what a patch is worth, reading early, ablating along the right axis, scores of patterns, direct effects."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np

from xailib.exercises.engine import Claim, Exercise, Mistake, WrongAnswer
from xailib.exercises.questions import Question

# --- foundations: a stream that parts write into ---


def attention_is_worth() -> float:
    """How far the logit x1 + x2 falls when what attention adds is set to zero, and the MLP reads the new stream."""
    import numpy as np

    def logit(attention):
        x = np.array([1.0, 0.0]) + attention
        x = x + np.array([0.0, 3 * max(0.0, x[0] - 0.5)])  # the MLP reads x1 of the stream as it is now
        return x.sum()

    return float(logit(np.array([1.0, 0.0])) - logit(np.zeros(2)))


def _check_worth(answer: float, rng: np.random.Generator) -> None:
    named = {
        1.0: "That is what attention says directly to the logit. The MLP reads the stream too, and hears something else now.",
        3.0: "That is the MLP's part alone: attention's own 1 is missing from the logit as well.",
        6.5: "That is the logit with attention: how far does it fall without?",
        2.5: "That is the logit that is left: how far did it fall?",
        -4.0: "The size is right. Asked is how far it falls, so that a loss is a positive number.",
    }
    for value, message in named.items():
        if abs(answer - value) < 1e-6:
            raise Mistake(message)
    if abs(answer - attention_is_worth()) > 1e-6:
        raise Mistake("Run it twice: stream, MLP on that stream, sum of both coordinates; with attention (1, 0) and with (0, 0).")


# --- the effect of a patch ---


def patch_effect(patched: np.ndarray, clean: np.ndarray, corrupted: np.ndarray) -> np.ndarray:
    """Logit differences of patched runs (n, sites) on the scale of their own pair: 0 as corrupted (n,), 1 as clean (n,)."""
    return (patched - corrupted[:, None]) / (clean - corrupted)[:, None]


def _effect_by_slope(patched: np.ndarray, clean: np.ndarray, corrupted: np.ndarray) -> np.ndarray:
    slope = 1 / (clean - corrupted)
    return patched * slope[:, None] - (corrupted * slope)[:, None]


def _effect_by_loop(patched: np.ndarray, clean: np.ndarray, corrupted: np.ndarray) -> list[list[float]]:
    return [[(p - r) / (c - r) for p in row] for row, c, r in zip(patched, clean, corrupted, strict=True)]


def _check_effect(answer: Callable[..., Any], rng: np.random.Generator) -> None:
    n, sites = 5, 7
    clean, corrupted = rng.uniform(2, 6, n), rng.uniform(-6, 1, n)
    clean[1], corrupted[1] = corrupted[1], clean[1]  # a pair that the model gets the wrong way round
    patched = corrupted[:, None] + (clean - corrupted)[:, None] * rng.uniform(-0.5, 1.6, (n, sites))
    got, truth = np.asarray(answer(patched, clean, corrupted), dtype=float), patch_effect(patched, clean, corrupted)
    if got.shape != truth.shape:
        raise Mistake(f"Five pairs and seven sites need shape (5, 7), not {got.shape}: every pair has its own scale.")
    likely = {
        "Your 0 is the clean run and your 1 the corrupted one: turn the scale around.": 1 - truth,
        "You divided by the clean difference; the way to go is from corrupted to clean.": (patched - corrupted[:, None])
        / clean[:, None],
        "The corrupted run is not subtracted: an untouched corrupted run must get 0.": patched / (clean - corrupted)[:, None],
        "You cut off at 0 and 1. A patch may overshoot, or push the other way; that is a finding.": np.clip(truth, 0, 1),
        "That is the change in logits. Divide by the distance between the two runs.": patched - corrupted[:, None],
        "You used one common scale for all pairs (mean clean, mean corrupted); here every pair has its own.": (
            patched - corrupted.mean()
        )
        / (clean.mean() - corrupted.mean()),
        "You took the size of the effect, and lost its sign.": np.abs(truth),
        "You divided by the *size* of clean minus corrupted. In a pair with clean below corrupted that turns the scale around.": (
            patched - corrupted[:, None]
        )
        / np.abs(clean - corrupted)[:, None],
    }
    _refuse(got, truth, likely, "Subtract the corrupted difference, divide by clean minus corrupted, pair by pair.")


# --- logit lens ---


def read_early(x: np.ndarray, gamma: np.ndarray, beta: np.ndarray, W: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Scores (n, v) that the output layer W (v, d), b (v,) gives to a stream (n, d) after layer normalisation."""
    centred = x - x.mean(axis=1, keepdims=True)
    normed = centred / np.sqrt((centred**2).mean(axis=1, keepdims=True) + 1e-5)
    return (gamma * normed + beta) @ W.T + b


def _read_by_torch(x: np.ndarray, gamma: np.ndarray, beta: np.ndarray, W: np.ndarray, b: np.ndarray) -> np.ndarray:
    import torch

    g, bb, ww, o, xx = (torch.as_tensor(a) for a in (gamma, beta, W, b, x))
    return torch.nn.functional.linear(torch.nn.functional.layer_norm(xx, (xx.shape[1],), g, bb), ww, o).numpy()


def _read_by_rows(x: np.ndarray, gamma: np.ndarray, beta: np.ndarray, W: np.ndarray, b: np.ndarray) -> np.ndarray:
    scores = []
    for row in x:
        normed = (row - row.mean()) / (row.var() + 1e-5) ** 0.5
        scores.append(W @ (normed * gamma + beta) + b)
    return np.array(scores)


def _check_read(answer: Callable[..., Any], rng: np.random.Generator) -> None:
    n, d, v = 6, 8, 5
    x, W, b = rng.normal(size=(n, d)) * 2 + 1, rng.normal(size=(v, d)), rng.normal(size=v)
    x[0] *= 0.01  # a quiet stream, where the 1e-5 in the root shows
    gamma, beta = rng.uniform(0.5, 1.5, d), rng.normal(size=d)
    got, truth = np.asarray(answer(x, gamma, beta, W, b), dtype=float), read_early(x, gamma, beta, W, b)
    if got.shape != truth.shape:
        raise Mistake(f"Six positions and five tokens need scores of shape (6, 5), not {got.shape}.")
    across = (x - x.mean(axis=0)) / np.sqrt(x.var(axis=0) + 1e-5)
    centred = x - x.mean(axis=1, keepdims=True)
    plain = centred / np.sqrt(x.var(axis=1, keepdims=True) + 1e-5)
    sample = centred / np.sqrt(x.var(axis=1, ddof=1, keepdims=True) + 1e-5)
    scaled = x / np.sqrt(x.var(axis=1, keepdims=True) + 1e-5)
    rms = x / np.sqrt((x**2).mean(axis=1, keepdims=True) + 1e-5)
    outside = centred / (x.std(axis=1, keepdims=True) + 1e-5)
    none = centred / x.std(axis=1, keepdims=True)
    p = np.exp(truth - truth.max(axis=1, keepdims=True))
    likely = {
        "You read the stream as it is: the output layer expects it normalised.": x @ W.T + b,
        "You normalised over the positions; layer normalisation works on the d numbers of one position.": (gamma * across + beta)
        @ W.T
        + b,
        "The bias of the output layer is missing.": truth - b,
        "The scale gamma and the shift beta of the normalisation are missing.": plain @ W.T + b,
        "The shift beta is missing.": (gamma * plain) @ W.T + b,
        "The scale gamma is missing.": (plain + beta) @ W.T + b,
        "That is RMS normalisation: layer normalisation takes the mean off, then divides by the standard deviation.": (
            gamma * rms + beta
        )
        @ W.T
        + b,
        "The 1e-5 belongs to the variance, under the root.": (gamma * outside + beta) @ W.T + b,
        "The 1e-5 under the root is missing.": (gamma * none + beta) @ W.T + b,
        "Divide by the root of the *population* variance (ddof=0), as layer normalisation does.": (gamma * sample + beta) @ W.T
        + b,
        "You divided by the standard deviation without taking the mean off first.": (gamma * scaled + beta) @ W.T + b,
        "Those are probabilities; scores are asked for.": p / p.sum(axis=1, keepdims=True),
    }
    _refuse(got, truth, likely, "Normalise each row, scale by gamma, shift by beta, multiply by W.T, add b.")


# --- mean ablation ---


def mean_ablated(heads: np.ndarray, head: int) -> np.ndarray:
    """Outputs of all heads (n, h, l, k), one of them replaced by its mean over the n sequences, position by position."""
    replaced = heads.copy()
    replaced[:, head] = heads[:, head].mean(axis=0)
    return replaced


def _mean_by_where(heads: np.ndarray, head: int) -> np.ndarray:
    chosen = np.arange(heads.shape[1])[None, :, None, None] == head
    return np.where(chosen, heads.mean(axis=0, keepdims=True), heads)


def _mean_by_loop(heads: np.ndarray, head: int) -> np.ndarray:
    out = np.array(heads)
    for t in range(heads.shape[2]):
        for i in range(len(heads)):
            out[i, head, t] = sum(row[head, t] for row in heads) / len(heads)
    return out


def _check_mean(answer: Callable[..., Any], rng: np.random.Generator) -> None:
    heads, head = rng.normal(size=(6, 4, 5, 3)) + rng.normal(size=(1, 4, 5, 3)), 2
    got, truth = np.asarray(answer(heads, head), dtype=float), mean_ablated(heads, head)
    if got.shape != truth.shape:
        raise Mistake(f"All heads go on to the next step, so the shape stays {heads.shape}; yours is {got.shape}.")

    def with_head(values: Any) -> np.ndarray:
        out = heads.copy()
        out[:, head] = values
        return out

    own = heads[:, head]
    shifted = heads.copy()
    shifted[:, :, head] = heads[:, :, head].mean(axis=0)
    likely = {
        "That is zero ablation: the mean over sequences is asked for.": with_head(0),
        "You averaged over the positions of each sequence; the mean over *sequences* keeps what a position always says.": with_head(
            own.mean(axis=1, keepdims=True)
        ),
        "You averaged over sequences and positions; every position has a mean of its own.": with_head(
            own.mean(axis=(0, 1), keepdims=True)
        ),
        "You put in the mean over the heads: take the mean of the head itself over the sequences.": with_head(heads.mean(axis=1)),
        "You replaced all heads: only one is to go.": np.broadcast_to(heads.mean(axis=0), heads.shape),
        "You replaced a position of all heads: the heads are the second axis, the positions the third.": shifted,
        "You averaged over the k numbers of the head: each of them has a mean of its own.": with_head(
            own.mean(axis=2, keepdims=True)
        ),
        "Nothing has changed: hand back the copy with the new values in it.": heads,
        "You left each sequence out of its own mean. Mean ablation puts one value in for all n, its own included.": with_head(
            (own.sum(axis=0) - own) / (len(own) - 1)
        ),
    }
    _refuse(got, truth, likely, "Copy, then put heads[:, head].mean(axis=0) in the place of heads[:, head].")


# --- induction score ---


def induction_score(pattern: np.ndarray, tokens: np.ndarray) -> float:
    """Mean attention, over all tokens that were there before, to the position after their latest earlier occurrence.

    pattern (n, l, l) query by key, tokens (n, l).
    """
    scores = []
    for A, row in zip(pattern, tokens, strict=True):
        for q in range(len(row)):
            earlier = np.flatnonzero(row[:q] == row[q])
            if len(earlier):
                scores.append(A[q, earlier[-1] + 1])
    return float(np.mean(scores))


def _score_by_arrays(pattern: np.ndarray, tokens: np.ndarray) -> float:
    length = tokens.shape[1]
    same = (tokens[:, :, None] == tokens[:, None, :]) & np.tri(length, k=-1, dtype=bool)
    i, q = np.nonzero(same.any(axis=2))
    target = length - same[i, q, ::-1].argmax(axis=1)
    return float(pattern[i, q, target].mean())


def _score_by_memory(pattern: np.ndarray, tokens: np.ndarray) -> np.ndarray:
    total = count = 0.0
    for i in range(len(tokens)):
        last: dict[int, int] = {}
        for q, token in enumerate(tokens[i].tolist()):
            if token in last:
                total, count = total + pattern[i, q, last[token] + 1], count + 1
            last[token] = q
    return np.array(total / count)


def _shifted_score(pattern: np.ndarray, tokens: np.ndarray, shift: int, *, first: bool = False) -> float:
    scores = []
    for A, row in zip(pattern, tokens, strict=True):
        for q in range(len(row)):
            earlier = np.flatnonzero(row[:q] == row[q])
            if len(earlier):
                scores.append(A[q, earlier[0 if first else -1] + shift])
    return float(np.mean(scores))


def _transposed_score(pattern: np.ndarray, tokens: np.ndarray) -> float:
    return induction_score(pattern.transpose(0, 2, 1), tokens)


def _over_all_queries(pattern: np.ndarray, tokens: np.ndarray) -> float:
    found = sum(len(np.flatnonzero(row[:q] == row[q])) > 0 for row in tokens for q in range(len(row)))
    return induction_score(pattern, tokens) * found / tokens.size


def _largest(pattern: np.ndarray, tokens: np.ndarray) -> float:
    """Share of queries whose largest weight lies on the target."""
    hits = []
    for A, row in zip(pattern, tokens, strict=True):
        for q in range(len(row)):
            earlier = np.flatnonzero(row[:q] == row[q])
            if len(earlier):
                hits.append(A[q].argmax() == earlier[-1] + 1)
    return float(np.mean(hits))


def _mean_of_rows(pattern: np.ndarray, tokens: np.ndarray) -> float:
    return float(np.mean([induction_score(A[None], row[None]) for A, row in zip(pattern, tokens, strict=True)]))


def _without_neighbours(pattern: np.ndarray, tokens: np.ndarray) -> float:
    """Leaves out A A, where what came next is the query itself."""
    scores = []
    for A, row in zip(pattern, tokens, strict=True):
        for q in range(len(row)):
            earlier = np.flatnonzero(row[:q] == row[q])
            if len(earlier) and earlier[-1] + 1 < q:
                scores.append(A[q, earlier[-1] + 1])
    return float(np.mean(scores))


def _half_the_row(pattern: np.ndarray, tokens: np.ndarray) -> float:
    """Takes it for granted that the second half of a row repeats the first."""
    half = tokens.shape[1] // 2
    q = np.arange(half, tokens.shape[1])
    return float(pattern[:, q, q - half + 1].mean())


def _all_occurrences(pattern: np.ndarray, tokens: np.ndarray) -> float:
    scores = []
    for A, row in zip(pattern, tokens, strict=True):
        for q in range(len(row)):
            earlier = np.flatnonzero(row[:q] == row[q])
            if len(earlier):
                scores.append(A[q, earlier + 1].sum())
    return float(np.mean(scores))


def _fixed_distance(pattern: np.ndarray, tokens: np.ndarray) -> float:
    """The distance of the first repeat, used for everybody."""
    row = tokens[0]
    q = next(q for q in range(len(row)) if (row[:q] == row[q]).any())
    period = q - int(np.flatnonzero(row[:q] == row[q])[-1])
    return float(np.mean([A[t, t - period + 1] for A in pattern for t in range(period, len(row))]))


def _check_induction(answer: Callable[..., Any], rng: np.random.Generator) -> None:
    n, length = 4, 14
    pattern = rng.gamma(0.5, size=(n, length, length))  # not causal, so that a look in the wrong direction finds something
    pattern /= pattern.sum(axis=2, keepdims=True)
    tokens = np.array([np.resize(rng.permutation(20)[:period], length) for period in (4, 5, 6, 3)])
    tokens[:, 2] = 30 + np.arange(n)  # a token that is there once: the period alone does not find the repeats
    tokens[:2, 9] = tokens[:2, 8]  # A A: what came next is the query itself
    got, truth = np.asarray(answer(pattern, tokens), dtype=float), induction_score(pattern, tokens)
    if got.shape != ():
        raise Mistake(f"One number is asked for, the mean over all repeated tokens, not an array of shape {got.shape}.")
    likely = {
        "Off by one: that is the attention to the earlier occurrence itself. What comes next stands one position *after* it.": (
            _shifted_score(pattern, tokens, 0)
        ),
        "Off by one in the other direction: you looked one position before the earlier occurrence.": _shifted_score(
            pattern, tokens, -1
        ),
        "You took the first occurrence: the latest earlier one is asked for.": _shifted_score(pattern, tokens, 1, first=True),
        "You summed over all earlier occurrences: only the latest one counts here.": _all_occurrences(pattern, tokens),
        "Query and key are exchanged: pattern[i, q, k] is what query q gives to key k.": _transposed_score(pattern, tokens),
        "You divided by all positions. Tokens that were not there before have no target: leave them out.": _over_all_queries(
            pattern, tokens
        ),
        "That is how often the target has the largest weight; the mean *weight* is asked for.": _largest(pattern, tokens),
        "You took one distance for all. Every token has to be looked up in its own row.": _fixed_distance(pattern, tokens),
        "You took half a row for the distance. Every token has to be looked up, repeats come at any distance.": _half_the_row(
            pattern, tokens
        ),
        "You averaged row by row first. Every repeated token counts alike, also in rows that have many.": _mean_of_rows(
            pattern, tokens
        ),
        "You left out A A, a token that follows itself. What came next after the first A is the second: its own position.": (
            _without_neighbours(pattern, tokens)
        ),
    }
    _refuse(got, np.asarray(truth), likely, "For every token that was there before: attention to its latest occurrence plus one.")


# --- direct logit attribution ---


def direct_effects(parts: np.ndarray, gamma: np.ndarray, towards: np.ndarray) -> np.ndarray:
    """What each of c parts (n, c, d) of the stream adds to a logit difference, (n, c), through a frozen layer normalisation.

    towards (n, d): output weights of the first answer minus those of the second.
    """
    stream = parts.sum(axis=1)
    sd = np.sqrt(stream.var(axis=1) + 1e-5)
    centred = parts - parts.mean(axis=2, keepdims=True)
    return np.einsum("ncd,nd->nc", centred, gamma * towards) / sd[:, None]


def _direct_by_loop(parts: np.ndarray, gamma: np.ndarray, towards: np.ndarray) -> np.ndarray:
    found = np.zeros(parts.shape[:2])
    for i, (row, w) in enumerate(zip(parts, towards, strict=True)):
        sd = (row.sum(axis=0).var() + 1e-5) ** 0.5
        for c, part in enumerate(row):
            found[i, c] = ((part - part.mean()) / sd * gamma) @ w
    return found


def _direct_by_weights(parts: np.ndarray, gamma: np.ndarray, towards: np.ndarray) -> np.ndarray:
    w = gamma * towards
    w = w - w.mean(axis=1, keepdims=True)  # centring the weights does what centring the parts does
    return (parts @ w[:, :, None])[..., 0] / np.sqrt(parts.sum(axis=1).var(axis=1, keepdims=True) + 1e-5)


def _check_direct(answer: Callable[..., Any], rng: np.random.Generator) -> None:
    n, c, d = 5, 4, 7
    parts, gamma, towards = (
        rng.normal(size=(n, c, d)) + rng.normal(size=(n, c, 1)),
        rng.uniform(0.5, 2, d),
        rng.normal(size=(n, d)),
    )
    got, truth = np.asarray(answer(parts, gamma, towards), dtype=float), direct_effects(parts, gamma, towards)
    if got.shape != truth.shape:
        raise Mistake(f"Five sequences and four parts need shape (5, 4), not {got.shape}: one number per part.")
    sd = np.sqrt(parts.sum(axis=1).var(axis=1) + 1e-5)[:, None]
    centred = parts - parts.mean(axis=2, keepdims=True)
    own = np.sqrt(parts.var(axis=2) + 1e-5)
    likely = {
        "You left the normalisation out: divide by the standard deviation of the whole stream.": np.einsum(
            "ncd,nd->nc", centred, gamma * towards
        ),
        "You normalised each part by its own standard deviation. Then they no longer add up: the scale of the *stream* is held.": (
            np.einsum("ncd,nd->nc", centred, gamma * towards) / own
        ),
        "The parts are not centred: layer normalisation takes the mean off.": np.einsum("ncd,nd->nc", parts, gamma * towards)
        / sd,
        "The scale gamma is missing.": np.einsum("ncd,nd->nc", centred, towards) / sd,
        "You took the mean of the whole stream off every part, so it is gone c times: each part has its own mean.": np.einsum(
            "ncd,nd->nc", parts - parts.sum(axis=1).mean(axis=1)[:, None, None], gamma * towards
        )
        / sd,
        "You shared the mean of the stream out equally. The sum is right, the shares are not: each part has its own mean.": (
            np.einsum("ncd,nd->nc", parts - parts.sum(axis=1).mean(axis=1)[:, None, None] / c, gamma * towards) / sd
        ),
        "You centred over the parts: layer normalisation takes the mean of the d numbers.": np.einsum(
            "ncd,nd->nc", parts - parts.mean(axis=1, keepdims=True), gamma * towards
        )
        / sd,
        "You used the direction of the first sequence for all: every pair of answers has its own.": np.einsum(
            "ncd,d->nc", centred, gamma * towards[0]
        )
        / sd,
        "Layer normalisation divides by the population standard deviation (ddof=0).": np.einsum(
            "ncd,nd->nc", centred, gamma * towards
        )
        / np.sqrt(parts.sum(axis=1).var(axis=1, ddof=1) + 1e-5)[:, None],
        "You divided by the variance: take its root.": np.einsum("ncd,nd->nc", centred, gamma * towards) / sd**2,
    }
    _refuse(
        got,
        truth,
        likely,
        "Centre each part, divide by the sd of the sum of all parts, times gamma, scalar product with towards.",
    )


def _refuse(got: np.ndarray, truth: np.ndarray, likely: dict[str, Any], otherwise: str) -> None:
    """Say which mistake this is, if it is a known one."""
    if np.allclose(got, truth, atol=1e-8):
        return
    for message, wrong in likely.items():
        if np.shape(wrong) == got.shape and np.allclose(got, wrong, atol=1e-8):
            raise Mistake(message)
    raise Mistake(otherwise)


# --- three heads at once ---


def accuracy_without_three() -> float:
    """Share of right next tokens, where they can be known, without heads 0, 1 and 2 of layer 1 (mean ablation)."""
    return _accuracies()["without three"]


@cache
def _accuracies() -> dict[str, float]:
    """Accuracies of the copying transformer without some heads."""
    from xailib import patching, worlds, zoo  # in the notebook you have copier, rows, reference and accuracy
    from xailib.patching import Site

    world, copier = worlds.copies(600, random_state=5), zoo.load("copies-transformer")
    rows, reference = world.X[400:460], world.X[:200]
    known = world.truth.source(rows)[:, :-1] >= 0

    def hits(heads: list[int], to: str = "mean", layer: int = 1, others: Any = reference) -> Any:
        sites = [Site(f"blocks.{layer}.attention.heads", head) for head in heads]
        scores = patching.ablate(copier, rows, sites, to=to, reference=others)
        return scores[:, :-1].argmax(axis=2) == rows[:, 1:]

    found = {
        "without three": hits([0, 1, 2])[known],
        "zero": hits([0, 1, 2], "zero")[known],
        "other three": hits([1, 2, 3])[known],
        "two": hits([0, 1])[known],
        "no reference": hits([0, 1, 2], others=None)[known],
        "layer 0": hits([0, 1, 2], layer=0)[known],
        "all tokens": hits([0, 1, 2]),
    }
    return {name: float(right.mean()) for name, right in found.items()}


def _check_three(answer: float, rng: np.random.Generator) -> None:
    numbers = _accuracies()
    truth = numbers["without three"]
    if answer > 1.0001:
        raise Mistake("An accuracy is a share from 0 to 1; that looks like a loss, or like percent.")
    if abs(answer - truth) <= 0.002:
        return
    named = {
        numbers["zero"]: "That is with `to='zero'`. Asked is the mean over the reference.",
        numbers["other three"]: "That is without heads 1, 2 and 3: heads 0, 1 and 2 are to go.",
        numbers["two"]: "That is without heads 0 and 1 only: head 2 is to go as well.",
        numbers["no reference"]: "That is without `reference`: the mean is then taken over the 60 rows themselves.",
        numbers["layer 0"]: "Those are heads of layer 0. Layers count from 0: the second is `blocks.1`.",
        numbers[
            "all tokens"
        ]: "That counts all tokens, also those nobody can know: `accuracy(...)` counts where `known` is true.",
        1 - truth: "That is the share of *wrong* tokens: the accuracy is what is left.",
    }
    for value, message in named.items():
        if abs(answer - value) <= 0.002:
            raise Mistake(message)
    if answer > 0.999:
        raise Mistake(
            "That is what each head alone does. Put all three sites into one list: `[Site(...), Site(...), Site(...)]`."
        )
    if answer < 0.1:
        raise Mistake(
            "Next to nothing is left: so it is without all four heads, or with `to='resample'`. Head 3 stays, and the mean goes in."
        )
    raise Mistake(
        "Ablate the three sites of `blocks.1.attention.heads` in one call with the reference, and hand in `accuracy(...)`."
    )


def _with(heads: np.ndarray, head: int, values: Any) -> np.ndarray:
    replaced = heads.copy()
    replaced[:, head] = values
    return replaced


def _wrong_axis(heads: np.ndarray, head: int) -> np.ndarray:
    replaced = heads.copy()
    replaced[:, :, head] = heads[:, :, head].mean(axis=0)
    return replaced


def _in_place(heads: np.ndarray, head: int) -> np.ndarray:
    heads[:, head] = heads[:, head].mean(axis=0)
    return heads


def _softmax(z: np.ndarray) -> np.ndarray:
    p = np.exp(z - z.max(axis=1, keepdims=True))
    return p / p.sum(axis=1, keepdims=True)


def _stream_sd(parts: np.ndarray, ddof: int = 0) -> np.ndarray:
    return np.sqrt(parts.sum(axis=1).var(axis=1, ddof=ddof) + 1e-5)[:, None]


def _minus(parts: np.ndarray, mean: np.ndarray, gamma: np.ndarray, towards: np.ndarray) -> np.ndarray:
    """Direct effects with another mean taken off."""
    return np.asarray(np.einsum("ncd,nd->nc", parts - mean, gamma * towards) / _stream_sd(parts))


EXERCISES = [
    Exercise(
        name="stream",
        title="Take attention away",
        level="core",
        difficulty=1,
        minutes=5,
        passes="your number is the whole fall of the logit",
        task=(
            "The embedding is `(1, 0)`. Attention adds `(1, 0)`. Then the MLP reads the first coordinate $x_1$ of the stream and adds "
            "`(0, 3 max(0, x1 - 0.5))`. The logit is the sum of both coordinates. How far does it **fall** when what attention adds is set "
            "to zero? Guess first."
        ),
        hints=(
            "Who reads the stream after attention has written into it?",
            "Compute the logit twice, from the start, and subtract.",
        ),
        reference=attention_is_worth,
        check=_check_worth,
        wrong=[
            WrongAnswer(1.0, "direct effect only", "what attention says directly"),
            WrongAnswer(3.0, "indirect effect only", "MLP's part alone"),
            WrongAnswer(6.5, "the clean logit", "logit with attention"),
            WrongAnswer(2.5, "the ablated logit", "logit that is left"),
            WrongAnswer(-4.0, "sign reversed", "a loss is a positive number"),
            WrongAnswer(5.0, "anything else", "Run it twice"),
        ],
        right=[np.array(4.0), 4],
    ),
    Exercise(
        name="effect",
        title="Put patches on a scale",
        level="core",
        difficulty=2,
        minutes=6,
        passes="0 for an untouched corrupted run, 1 for the clean one, pair by pair, nothing cut off",
        task=(
            "Write `patch_effect(patched, clean, corrupted)`: logit differences of patched runs (n, sites), of the clean runs (n,) and of the "
            "corrupted runs (n,). Return (n, sites): 0 where a patch does nothing to the corrupted run, 1 where it restores the clean one."
        ),
        hints=(
            "What must be subtracted so that doing nothing gives 0?",
            "Arrays of shape (n,) and (n, sites) do not fit by themselves: where does the new axis go?",
        ),
        reference=patch_effect,
        check=_check_effect,
        wrong=[
            WrongAnswer(lambda p, c, r: 1 - patch_effect(p, c, r), "scale turned around", "turn the scale around"),
            WrongAnswer(lambda p, c, r: (p - r[:, None]) / c[:, None], "divides by clean", "divided by the clean difference"),
            WrongAnswer(lambda p, c, r: p / (c - r)[:, None], "corrupted not subtracted", "corrupted run is not subtracted"),
            WrongAnswer(lambda p, c, r: np.clip(patch_effect(p, c, r), 0, 1), "clips to [0, 1]", "You cut off at 0 and 1"),
            WrongAnswer(lambda p, c, r: p - r[:, None], "no scale", "change in logits"),
            WrongAnswer(lambda p, c, r: (p - r.mean()) / (c.mean() - r.mean()), "common scale", "one common scale"),
            WrongAnswer(lambda p, c, r: np.abs(patch_effect(p, c, r)), "absolute value", "lost its sign"),
            WrongAnswer(
                lambda p, c, r: (p - r[:, None]) / np.abs(c - r)[:, None],
                "size of the gap",
                "the *size* of clean minus corrupted",
            ),
            WrongAnswer(
                lambda p, c, r: patch_effect(p, c, r).mean(axis=0), "averages over pairs", "every pair has its own scale"
            ),
        ],
        right=[_effect_by_slope, _effect_by_loop],
    ),
    Exercise(
        name="lens",
        title="Read the stream early",
        level="core",
        difficulty=2,
        minutes=8,
        passes="equal to the model's own last step on random streams",
        task=(
            "Write `read_early(x, gamma, beta, W, b)`: a residual stream (n, d), scale and shift of the last layer normalisation (d,), output "
            "weights (v, d) and bias (v,). Return the scores (n, v) that the model would give if it stopped here. Layer normalisation divides "
            "by $\\sqrt{\\mathrm{var} + 10^{-5}}$."
        ),
        hints=(
            "Which axis holds the numbers of one position?",
            "Three steps: normalise; scale and shift; output layer. None of them was trained for an early stream.",
        ),
        reference=read_early,
        check=_check_read,
        wrong=[
            WrongAnswer(lambda x, g, s, W, b: x @ W.T + b, "no normalisation", "read the stream as it is"),
            WrongAnswer(
                lambda x, g, s, W, b: (g * (x - x.mean(axis=0)) / np.sqrt(x.var(axis=0) + 1e-5) + s) @ W.T + b,
                "normalises over positions",
                "normalised over the positions",
            ),
            WrongAnswer(lambda x, g, s, W, b: read_early(x, g, s, W, b) - b, "no output bias", "bias of the output layer"),
            WrongAnswer(
                lambda x, g, s, W, b: read_early(x, np.ones_like(g), 0 * s, W, b), "no scale, no shift", "gamma and the shift"
            ),
            WrongAnswer(lambda x, g, s, W, b: read_early(x, g, 0 * s, W, b), "no shift", "The shift beta is missing"),
            WrongAnswer(lambda x, g, s, W, b: read_early(x, np.ones_like(g), s, W, b), "no scale", "The scale gamma is missing"),
            WrongAnswer(
                lambda x, g, s, W, b: (g * x / np.sqrt((x**2).mean(axis=1, keepdims=True) + 1e-5) + s) @ W.T + b,
                "root mean square",
                "RMS normalisation",
            ),
            WrongAnswer(
                lambda x, g, s, W, b: (
                    (g * (x - x.mean(axis=1, keepdims=True)) / (x.std(axis=1, keepdims=True) + 1e-5) + s) @ W.T + b
                ),
                "epsilon outside the root",
                "under the root.",
            ),
            WrongAnswer(
                lambda x, g, s, W, b: (g * (x - x.mean(axis=1, keepdims=True)) / x.std(axis=1, keepdims=True) + s) @ W.T + b,
                "no epsilon",
                "under the root is missing",
            ),
            WrongAnswer(
                lambda x, g, s, W, b: (
                    (g * (x - x.mean(axis=1, keepdims=True)) / np.sqrt(x.var(axis=1, ddof=1, keepdims=True) + 1e-5) + s) @ W.T + b
                ),
                "sample variance",
                "population",
            ),
            WrongAnswer(
                lambda x, g, s, W, b: (g * x / np.sqrt(x.var(axis=1, keepdims=True) + 1e-5) + s) @ W.T + b,
                "mean not taken off",
                "without taking the mean off",
            ),
            WrongAnswer(
                lambda x, g, s, W, b: _softmax(read_early(x, g, s, W, b)), "gives probabilities", "Those are probabilities"
            ),
            WrongAnswer(lambda x, g, s, W, b: read_early(x, g, s, W, b).T, "transposed", "shape (6, 5)"),
        ],
        right=[_read_by_torch, _read_by_rows],
    ),
    Exercise(
        name="ablate",
        title="Replace a head by its mean",
        level="core",
        difficulty=2,
        minutes=6,
        passes="one head changed, position by position, the input left alone",
        task=(
            "Write `mean_ablated(heads, head)`: outputs of all heads (n, h, l, k) for n sequences of l tokens. Return an array of the same shape "
            "in which one head has, at each position, its mean over the n sequences."
        ),
        hints=(
            "What a head says at position 3 in every sequence is no information about this one. Which axis goes?",
            "The mean has shape (l, k). Assigning it to a (n, l, k) slice repeats it by itself.",
        ),
        reference=mean_ablated,
        check=_check_mean,
        wrong=[
            WrongAnswer(lambda H, j: _with(H, j, 0), "zero ablation", "That is zero ablation"),
            WrongAnswer(
                lambda H, j: _with(H, j, H[:, j].mean(axis=1, keepdims=True)), "mean over positions", "positions of each sequence"
            ),
            WrongAnswer(lambda H, j: _with(H, j, H[:, j].mean(axis=(0, 1))), "grand mean", "over sequences and positions"),
            WrongAnswer(lambda H, j: _with(H, j, H.mean(axis=1)), "mean over heads", "mean over the heads"),
            WrongAnswer(lambda H, j: np.repeat(H.mean(axis=0)[None], len(H), axis=0), "all heads", "You replaced all heads"),
            WrongAnswer(_wrong_axis, "takes the axis of positions", "a position of all heads"),
            WrongAnswer(lambda H, j: _with(H, j, H[:, j].mean(axis=2, keepdims=True)), "mean over numbers", "over the k numbers"),
            WrongAnswer(lambda H, j: H.copy(), "forgets to assign", "Nothing has changed"),
            WrongAnswer(
                lambda H, j: _with(H, j, (H[:, j].sum(axis=0) - H[:, j]) / (len(H) - 1)), "leave one out", "out of its own mean"
            ),
            WrongAnswer(lambda H, j: H[:, j].mean(axis=0), "returns the mean alone", "the shape stays"),
            WrongAnswer(_in_place, "overwrites what it was given", "changes its input"),
        ],
        right=[_mean_by_where, _mean_by_loop],
    ),
    Exercise(
        name="induction",
        title="Score a pattern for induction",
        level="core",
        difficulty=3,
        minutes=10,
        passes="the right position for repeats at any distance, tokens without a repeat left out",
        task=(
            "A B ... A -> B. Write `induction_score(pattern, tokens)`: attention (n, l, l), query by key, and tokens (n, l). For every token "
            "that already occurred in its row, take the attention from it to the position that holds what came *next* after its latest "
            "earlier occurrence. Return the mean over all of these, one number. (Chapter figures sum over *all* earlier copies; here the latest "
            "counts alone.)"
        ),
        hints=(
            "Write down A B C A: the second A is query 3. At which position does B stand?",
            "Repeats need not be regular; look each token up in its own row: `np.flatnonzero(row[:q] == row[q])`.",
        ),
        reference=induction_score,
        check=_check_induction,
        wrong=[
            WrongAnswer(lambda P, t: _shifted_score(P, t, 0), "off by one: the occurrence itself", "earlier occurrence itself"),
            WrongAnswer(lambda P, t: _shifted_score(P, t, -1), "off by one backwards", "one position before"),
            WrongAnswer(lambda P, t: _shifted_score(P, t, 1, first=True), "first occurrence", "You took the first occurrence"),
            WrongAnswer(_all_occurrences, "sums over occurrences", "summed over all earlier occurrences"),
            WrongAnswer(_transposed_score, "query and key exchanged", "Query and key are exchanged"),
            WrongAnswer(_over_all_queries, "divides by all positions", "divided by all positions"),
            WrongAnswer(_largest, "counts largest weights", "largest weight"),
            WrongAnswer(_fixed_distance, "one period for all", "one distance for all"),
            WrongAnswer(_half_the_row, "half a row", "half a row for the distance"),
            WrongAnswer(_mean_of_rows, "mean of the rows' means", "row by row first"),
            WrongAnswer(_without_neighbours, "skips a token that follows itself", "left out A A"),
            WrongAnswer(lambda P, t: P.diagonal(axis1=1, axis2=2), "an array of weights", "One number is asked for"),
        ],
        right=[_score_by_arrays, _score_by_memory],
    ),
    Exercise(
        name="three",
        title="Remove three heads of four",
        level="core",
        difficulty=2,
        minutes=6,
        passes="your number is the accuracy of this model without these three heads",
        task=(
            "Any second-layer head of the copying transformer can be removed alone, and practically no token goes wrong. Now mean-ablate heads 0, 1 and 2 of "
            "layer 1 **together**, with `reference`, and measure `accuracy(...)` of the scores. Write down your guess first."
        ),
        hints=(
            "`patching.ablate` takes a list of sites.",
            "`[Site('blocks.1.attention.heads', head) for head in ...]`, `to='mean'`, `reference=reference`.",
        ),
        reference=accuracy_without_three,
        check=_check_three,
        wrong=[
            WrongAnswer(1.0, "one head at a time", "what each head alone does"),
            WrongAnswer(1.22, "hands in a loss", "looks like a loss"),
            WrongAnswer(0.03, "all four heads, or resampled", "Next to nothing is left"),
            WrongAnswer(0.268, "share of wrong tokens", "share of *wrong* tokens"),
            WrongAnswer(0.779, "without the reference", "taken over the 60 rows"),
            WrongAnswer(0.693, "the first layer", "heads of layer 0"),
            WrongAnswer(0.497, "all tokens", "also those nobody can know"),
            WrongAnswer(0.6, "anything else", "in one call with the reference"),
        ],
    ),
    Exercise(
        name="direct",
        title="Split a logit difference among its authors",
        level="stretch",
        difficulty=3,
        minutes=10,
        passes="the shares add up to the logit difference (without biases), on random streams",
        task=(
            "Write `direct_effects(parts, gamma, towards)`. The c parts (n, c, d) add up to the stream that the last layer normalisation reads; "
            "`gamma` (d,) is its scale; `towards` (n, d) is the output row of the first answer minus that of the second. Return (n, c): what "
            "each part adds to the logit difference, with the normalisation's divisor $\\sqrt{\\mathrm{var} + 10^{-5}}$ held at the value of "
            "the whole stream."
        ),
        hints=(
            "Taking the mean off and multiplying by gamma are linear: they can be done part by part. Which step is not?",
            "Check yourself: the shares must add up to what you get when you treat the sum of the parts as one part.",
        ),
        reference=direct_effects,
        check=_check_direct,
        wrong=[
            WrongAnswer(
                lambda p, g, w: direct_effects(p, g, w) * _stream_sd(p), "no normalisation", "left the normalisation out"
            ),
            WrongAnswer(
                lambda p, g, w: direct_effects(p, g, w) * _stream_sd(p) / np.sqrt(p.var(axis=2) + 1e-5),
                "own standard deviation",
                "by its own standard deviation",
            ),
            WrongAnswer(
                lambda p, g, w: np.einsum("ncd,nd->nc", p, g * w) / _stream_sd(p), "not centred", "The parts are not centred"
            ),
            WrongAnswer(lambda p, g, w: direct_effects(p, np.ones_like(g), w), "no gamma", "scale gamma is missing"),
            WrongAnswer(
                lambda p, g, w: _minus(p, p.sum(axis=1).mean(axis=1)[:, None, None], g, w),
                "the stream's mean",
                "it is gone c times",
            ),
            WrongAnswer(
                lambda p, g, w: _minus(p, p.sum(axis=1).mean(axis=1)[:, None, None] / p.shape[1], g, w),
                "shares the mean equally",
                "shared the mean of the stream out",
            ),
            WrongAnswer(
                lambda p, g, w: _minus(p, p.mean(axis=1, keepdims=True), g, w), "mean over parts", "centred over the parts"
            ),
            WrongAnswer(
                lambda p, g, w: direct_effects(p, g, np.repeat(w[:1], len(w), axis=0)),
                "first direction for all",
                "of the first sequence",
            ),
            WrongAnswer(
                lambda p, g, w: direct_effects(p, g, w) * _stream_sd(p) / _stream_sd(p, ddof=1),
                "sample standard deviation",
                "population standard deviation",
            ),
            WrongAnswer(
                lambda p, g, w: direct_effects(p, g, w) / _stream_sd(p), "divides by the variance", "divided by the variance"
            ),
            WrongAnswer(lambda p, g, w: direct_effects(p, g, w).sum(axis=1), "the total", "one number per part"),
        ],
        right=[_direct_by_loop, _direct_by_weights],
    ),
    Exercise(
        name="memo",
        title="Judge a memo about circuits",
        level="core",
        difficulty=3,
        minutes=8,
        passes="each of the six claims is judged right",
        task=(
            "A colleague sums up this chapter's two models in six sentences. Which of them does the evidence support? Hand in the letters, such "
            "as `'ac'`. Then write three sentences of your own, and compare."
        ),
        hints=(
            "For each claim: what was replaced, by what, alone or together, and what was measured?",
            "Four of the claims take what is *there*, what one experiment did not find, or one number, for a mechanism.",
        ),
        claims={
            "a": Claim(
                "Every second-layer head of the copying model can be removed alone almost without loss, so the second layer is not needed.",
                False,
                "One at a time misses the group: without all four the accuracy falls to next to nothing.",
            ),
            "b": Claim(
                "In the compiled model a head with a perfect induction pattern has no effect at all.",
                True,
                "The decoy looks where the induction head looks and writes where nobody reads. Only an intervention tells them apart.",
            ),
            "c": Claim(
                "Before the second layer of the facts model the position of the city no longer holds the city: patching it does nothing.",
                False,
                "A probe that knows the cities reads there which one it is. The city is there, and not used any more.",
            ),
            "d": Claim(
                "In the copying model, with A exchanged, the effects of the four second-layer heads add up to 1.42 by denoising and to 0.63 "
                "by noising: so each of the four steps in when another is missing.",
                False,
                "Nobody steps in: heads of one layer cannot hear each other. The divisor of the last normalisation changed, the votes add up.",
            ),
            "e": Claim(
                "A patch effect of -0.75 shows that the token before the planted one speaks against the right answer.",
                False,
                "It points to where the answer stood, and there stands a wrong one: two things were changed, and only one was repaired.",
            ),
            "f": Claim(
                "With prompts in which both cities were exchanged, the patch map finds the one that decides.",
                True,
                "Of two words that differ, the one that decides came out on top, in every template. (Before layer 0: a test of the model.)",
            ),
        },
        model_answer=(
            "The facts model reads the deciding city in its first layer, mostly through two heads, and hands what it found to the last word; "
            "from then on only that position matters, although the city is still readable where it stands. The copying model has four second-"
            "layer heads that vote in parallel: hardly a token needs any single one, nearly all need the four; none is a backup of another. Patterns, probes and "
            "single ablations would each have told a different story; the statements hold for these corruptions and this measure."
        ),
    ),
]

WARMUP = [
    Question(
        "Chapter 10: a head puts most of its attention on a token. What else must be true before the token matters through it?",
        "The value it takes there must be large, and somebody must read what the head writes",
        "Attention says from where, values say what, and the rest of the network says whether. This chapter intervenes to find out.",
        {
            "Nothing: attention is what the output is made of": "A head with zero values may look as hard as it likes; chapter 10 had one.",
            "The other heads must look there too": "Heads add up; one alone can carry everything.",
        },
    ),
    Question(
        "Chapter 11: a linear probe reads a property with 99 % accuracy, and its control task gets 51 %. Does the model use the property?",
        "Open: it is there; use needs an intervention",
        "A probe shows what could be read. Here you will replace it, and see whether anybody did.",
        {
            "Yes: selectivity is high": "Selectivity says that the probe reads it rather than learns it. The model may still not care.",
            "No: probes never say anything": "They say what is there, which is more than nothing.",
        },
    ),
    Question(
        "Chapter 10: what is in the residual stream of a token behind the first block?",
        "Its embedding, plus what all heads and the MLP of the block added",
        "Everything is a sum. That is why parts can be taken out and put in.",
        {
            "What the MLP gave out, which replaced the embedding": "Each part adds; nothing is overwritten.",
            "The average of all tokens so far": "Heads bring averages of values; they are added to what was there.",
        },
    ),
]

QUIZ = [
    Question(
        "You put a clean value into the corrupted run and the answer comes back completely. What do you know?",
        "With everything else corrupted, this value is enough",
        "Sufficient, in this company. Whether it is needed, noising asks.",
        {
            "Without this value the clean run would fail": "That is noising. Another part may do the same job.",
            "The answer is computed at this place": "It passes here; it may have been computed before, and be read later.",
        },
    ),
    Question(
        "Patching a place before the first layer restores everything, and the same place before the second layer nothing. What happened?",
        "What mattered was moved to another place in between",
        "Look along the second row for where it went; the heads of the first layer carried it.",
        {
            "The first layer erased the token": "It is still readable; nobody reads it from there.",
            "The second layer is broken": "It reads what it needs from somewhere else.",
        },
    ),
    Question(
        "Ablating each of eight heads alone changes nothing. Which experiment comes next?",
        "Ablate groups of heads together",
        "Parts that do the same job are invisible one at a time.",
        {
            "None: heads do not matter here": "One at a time can not find redundancy: no effect alone is no proof of no effect together.",
            "Look for the head with the sharpest pattern": "A pattern does not say whether anybody reads what the head writes.",
        },
    ),
    Question(
        "The logit lens shows the right answer on rank 1 only at the last stage. What follows?",
        "That the output layer cannot read it earlier; it may be there in another form",
        "The early stages were never trained to be read with the last layer's eyes.",
        {
            "That the answer is computed in the last block": "It may have been there in a direction that only the last block translates.",
            "That the early layers can be removed": "The lens reads, it removes nothing. Ask an ablation.",
        },
    ),
    Question(
        "Your corrupted prompts differ from the clean ones in two words, and patching the first word gives -0.8. What is likely?",
        "The two belong together: the repaired half now points to the wrong other half",
        "Repair both at once, or corrupt only one thing. Effects of single patches are about the company they are in.",
        {
            "The first word speaks against the answer": "In the clean prompt it is the very thing that leads to the answer.",
            "A numerical error: effects lie between 0 and 1": "Nothing keeps them there; a patch can make things worse than the corrupted run.",
        },
    ),
]
