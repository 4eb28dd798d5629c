"""Exercises of chapter 15: a joint of category and reason, its vote, four outcomes, and what a table of them proves."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np

from xailib.exercises.engine import Claim, Exercise, Mistake, WrongAnswer
from xailib.exercises.questions import Question

# --- foundations: what a contrastive batch can not know ---


def least_loss() -> float:
    """Cross-entropy of one picture against 32 captions of which 4 are the same words, when these 4 score alike and win."""
    n_equal = 4
    return float(-np.log(1 / n_equal))


def _check_least_loss(answer: float, rng: np.random.Generator) -> None:
    named = {
        0.0: "Zero would need probability 1 for one caption, but the four equal ones have the same vector and share it.",
        float(np.log(32)): "That is the loss of a network that has learned nothing: 1/32 for every caption.",
        float(np.log(8)): "You spread the picture's probability over 32 / 4 = 8. How many captions share it at best?",
        float(np.log(3)): "There are three *other* finches, but the right caption takes part in the sharing: four.",
        2.0: "That is in bits. Cross-entropy here uses the natural logarithm.",
        0.25: "That is the best possible probability of the picture's own caption; the loss is minus its logarithm.",
        -float(np.log(4)): "The sign: a loss is *minus* the logarithm of a probability.",
    }
    for value, message in named.items():
        if abs(answer - value) < 0.005:
            raise Mistake(message)
    if abs(answer - least_loss()) >= 0.005:
        raise Mistake("Which probability can the picture's own caption have at most? The loss is minus its natural logarithm.")


# --- the joint ---


def joint(rationale_scores: np.ndarray, pair_scores: np.ndarray) -> np.ndarray:
    """P(c, r | I) = P(r | I) P(c | r, I) from scores (n, R) and (n, C, R)."""
    first = np.exp(rationale_scores - rationale_scores.max(axis=1, keepdims=True))
    second = np.exp(pair_scores - pair_scores.max(axis=1, keepdims=True))
    first, second = first / first.sum(axis=1, keepdims=True), second / second.sum(axis=1, keepdims=True)
    return first[:, None] * second


def _joint_by_scipy(rationale_scores: np.ndarray, pair_scores: np.ndarray) -> np.ndarray:
    from scipy.special import log_softmax

    return np.exp(log_softmax(rationale_scores, axis=1)[:, None, :] + log_softmax(pair_scores, axis=1))


def _joint_by_loop(rationale_scores: np.ndarray, pair_scores: np.ndarray) -> list[np.ndarray]:
    tables = []
    for s, pairs in zip(rationale_scores, pair_scores, strict=True):
        weights, odds = np.exp(s - max(s)), np.exp(pairs - pairs.max())
        tables.append(np.array([weights[j] / sum(weights) * odds[:, j] / odds[:, j].sum() for j in range(len(s))]).T)
    return tables


def _joint_with_one_maximum(rationale_scores: np.ndarray, pair_scores: np.ndarray) -> np.ndarray:
    first, second = np.exp(rationale_scores - rationale_scores.max()), np.exp(pair_scores - pair_scores.max())
    return (first / first.sum(axis=1, keepdims=True))[:, None] * (second / second.sum(axis=1, keepdims=True))


def _softmax(scores: np.ndarray, axis: int | tuple[int, ...]) -> np.ndarray:
    e = np.exp(scores - scores.max(axis=axis, keepdims=True))
    return np.asarray(e / e.sum(axis=axis, keepdims=True))


def _check_joint(answer: Callable[..., Any], rng: np.random.Generator) -> None:
    n, C, R = 3, 4, 5
    s, t = 2 * rng.normal(size=(n, R)), 2 * rng.normal(size=(n, C, R))
    got, truth = np.asarray(answer(s, t), dtype=float), joint(s, t)
    if got.shape == (n, R, C) and np.allclose(np.swapaxes(got, 1, 2), truth):
        raise Mistake("The numbers are right; the axes have changed places: picture, category, rationale.")
    if got.shape != truth.shape:
        raise Mistake(f"Three pictures, four categories, five rationales need the shape (3, 4, 5), not {got.shape}.")
    first = _softmax(s, 1)[:, None]
    likely = {
        "Your second softmax runs over all pairs: that is one big competition. Normalise over categories, rationale by rationale.": (
            first * _softmax(t, (1, 2))
        ),
        "Your second softmax runs over rationales: that is P(r|c,I). P(c|r,I) sums to one over *categories*.": first
        * _softmax(t, 2),
        "You returned the second factor alone: multiply it by how probable the rationale is.": _softmax(t, 1),
        "You flattened: one softmax over the pairs, and P(r|I) was never used.": _softmax(t, (1, 2)),
        "You added the scores and took one softmax over all pairs. A product of softmaxes is not the softmax of a sum.": _softmax(
            t + s[:, None], (1, 2)
        ),
        "Your first softmax runs over the pictures; each picture has its own.": _softmax(s, 0)[:, None] * _softmax(t, 1),
        "You added the two probabilities; the chain rule multiplies them.": first + _softmax(t, 1),
        "You used the scores of the rationales as they are: they need a softmax before they weigh anything.": s[:, None]
        * _softmax(t, 1),
        "Those are logarithms: take exp at the end.": np.log(truth),
    }
    for message, wrong in likely.items():
        if np.allclose(got, wrong, atol=1e-9):
            raise Mistake(message)
    if not np.allclose(got.sum(axis=(1, 2)), 1):
        raise Mistake(f"The joint of a picture must sum to one over all pairs; yours sums to {got[0].sum():.3f}.")
    if not np.allclose(got, truth, atol=1e-9):
        raise Mistake("Softmax over rationales, softmax over categories for each rationale, and the product of both.")
    with np.errstate(over="ignore", invalid="ignore"):
        high = np.asarray(answer(s + 800, t + 800), dtype=float)
    if not np.allclose(high, truth):
        raise Mistake("With 800 added to every score nothing may change, but exp overflows: subtract the largest score first.")
    apart = np.array([-800.0, 0.0, 800.0])  # each picture has scores of another height
    with np.errstate(all="ignore"):
        far = np.asarray(answer(s + apart[:, None], t + apart[:, None, None]), dtype=float)
    if not np.allclose(far, truth):
        raise Mistake(
            "You subtract the largest score of all pictures; where scores are far lower, exp gives 0 / 0. Each picture needs its own."
        )


# --- the vote ---


def vote(categories: np.ndarray, probabilities: np.ndarray, n_categories: int) -> np.ndarray:
    """The category (n,) with most of the k pairs (n, k); a tie goes to the larger summed probability."""
    named = categories[:, :, None] == np.arange(n_categories)
    counts, mass = named.sum(axis=1), (named * probabilities[:, :, None]).sum(axis=1)
    return np.where(counts == counts.max(axis=1, keepdims=True), mass, -1).argmax(axis=1)


def _vote_by_loop(categories: np.ndarray, probabilities: np.ndarray, n_categories: int) -> list[int]:
    winners = []
    for own, p in zip(categories, probabilities, strict=True):
        winners.append(max(set(own.tolist()), key=lambda c: ((own == c).sum(), p[own == c].sum())))
    return winners


def _vote_by_bincount(categories: np.ndarray, probabilities: np.ndarray, n_categories: int) -> np.ndarray:
    keys = [
        np.bincount(c, minlength=n_categories) + 0.5 * np.bincount(c, p, n_categories)
        for c, p in zip(categories, probabilities, strict=True)
    ]
    return np.argmax(keys, axis=1)


def _count_only(categories: np.ndarray, probabilities: np.ndarray, n_categories: int) -> np.ndarray:
    return (categories[:, :, None] == np.arange(n_categories)).sum(axis=1).argmax(axis=1)


def _mass_only(categories: np.ndarray, probabilities: np.ndarray, n_categories: int) -> np.ndarray:
    return ((categories[:, :, None] == np.arange(n_categories)) * probabilities[:, :, None]).sum(axis=1).argmax(axis=1)


def _first_named(categories: np.ndarray, probabilities: np.ndarray, n_categories: int) -> np.ndarray:
    counts = (categories[:, :, None] == np.arange(n_categories)).sum(axis=1)
    place = np.take_along_axis(counts, categories, axis=1).argmax(axis=1)
    return np.take_along_axis(categories, place[:, None], axis=1)[:, 0]


def _mean_mass(categories: np.ndarray, probabilities: np.ndarray, n_categories: int) -> np.ndarray:
    named = categories[:, :, None] == np.arange(n_categories)
    counts, mass = named.sum(axis=1), (named * probabilities[:, :, None]).sum(axis=1)
    return (mass / np.maximum(counts, 1)).argmax(axis=1)


def _ballots(rng: np.random.Generator, n: int = 300, k: int = 5, n_categories: int = 6) -> tuple[np.ndarray, np.ndarray, int]:
    """Random pairs, best first, in which ties are frequent."""
    p = np.sort(rng.dirichlet(np.ones(12), size=n), axis=1)[:, ::-1][:, :k]
    return rng.integers(n_categories, size=(n, k)), np.ascontiguousarray(p), n_categories


def _check_vote(answer: Callable[..., Any], rng: np.random.Generator) -> None:
    categories, p, C = _ballots(rng)
    got, truth = np.asarray(answer(categories, p, C)), vote(categories, p, C)
    if got.shape != truth.shape:
        raise Mistake(f"300 pictures need 300 categories, shape (300,), not {got.shape}.")
    likely = {
        "You took the category of the best pair: four other pairs have a vote, too.": categories[:, 0],
        "You added probabilities; every pair has one vote, and probability decides ties only.": _mass_only(categories, p, C),
        "Your ties go to the smaller category number. They must go to the larger summed probability.": _count_only(
            categories, p, C
        ),
        "Your ties go to the category that is named first. The first pair is the best one, but two weaker ones can weigh more.": (
            _first_named(categories, p, C)
        ),
        "You averaged the probability per category: count votes first.": _mean_mass(categories, p, C),
        "You let the batch elect one category for all pictures: sum over the pairs of each picture, axis 1.": np.full(
            len(got), np.bincount(categories.ravel()).argmax()
        ),
    }
    for message, wrong in likely.items():
        if np.array_equal(got, wrong):
            raise Mistake(message)
    if not np.array_equal(got, truth):
        share = np.mean(got == truth)
        raise Mistake(
            f"{share:.0%} of the winners are right: most pairs first, then the larger summed probability among the tied."
        )


# --- right for the right reason ---


def outcomes(categories: np.ndarray, rationales: np.ndarray, voted: np.ndarray, y: np.ndarray, r: np.ndarray) -> np.ndarray:
    """RR, RW, WR or WW for each picture, from its k pairs (n, k), its vote (n,), and the truth (n,), (n,)."""
    right, reason = categories == y[:, None], rationales == r[:, None]
    hit, with_voted = (right & reason).any(axis=1), (reason & (categories == voted[:, None])).any(axis=1)
    return np.where(voted == y, np.where(hit, "RR", "RW"), np.where(with_voted, "WR", "WW"))


def _outcomes_by_loop(
    categories: np.ndarray, rationales: np.ndarray, voted: np.ndarray, y: np.ndarray, r: np.ndarray
) -> list[str]:
    words = []
    for i in range(len(y)):
        shown = set(zip(categories[i].tolist(), rationales[i].tolist(), strict=True))
        # if the vote is right, voted[i] is y[i]: one test serves both cases
        words.append(("R" if voted[i] == y[i] else "W") + ("R" if (voted[i], r[i]) in shown else "W"))
    return words


def _outcomes_by_letters(
    categories: np.ndarray, rationales: np.ndarray, voted: np.ndarray, y: np.ndarray, r: np.ndarray
) -> np.ndarray:
    reason = ((rationales - r[:, None]) ** 2 + (categories - voted[:, None]) ** 2 == 0).any(1)
    return np.char.add(np.where(voted == y, "R", "W"), np.where(reason, "R", "W"))


def _wrong_outcomes(
    case: tuple[np.ndarray, ...],
    right: Callable[..., np.ndarray] | None = None,
    reason: Callable[..., np.ndarray] | None = None,
) -> np.ndarray:
    """Outcomes with another idea of a right category or a right reason."""
    categories, rationales, voted, y, r = case
    hit, c = rationales == r[:, None], categories == voted[:, None]
    is_right = voted == y if right is None else right(categories, y)
    has_reason = (hit & c).any(axis=1) if reason is None else reason(hit, c, categories == y[:, None])
    return np.char.add(np.where(is_right, "R", "W"), np.where(has_reason, "R", "W"))


def _reason_anywhere(*case: np.ndarray) -> np.ndarray:
    return _wrong_outcomes(case, reason=lambda hit, c, true: hit.any(axis=1))


def _true_category_for_both(*case: np.ndarray) -> np.ndarray:
    return _wrong_outcomes(case, reason=lambda hit, c, true: (hit & true).any(axis=1))


def _best_pair_only(*case: np.ndarray) -> np.ndarray:
    return _wrong_outcomes(case, right=lambda c, y: c[:, 0] == y, reason=lambda hit, c, true: hit[:, 0])


def _any_pair_is_the_vote(*case: np.ndarray) -> np.ndarray:
    return _wrong_outcomes(case, right=lambda c, y: (c == y[:, None]).any(axis=1))


def _every_pair(*case: np.ndarray) -> np.ndarray:
    return _wrong_outcomes(case, reason=lambda hit, c, true: (hit | ~c).all(axis=1))


def _swapped(*case: np.ndarray) -> np.ndarray:
    words = outcomes(*case)
    return np.array([word[::-1] for word in words])


def _case(rng: np.random.Generator, n: int = 400, k: int = 5, C: int = 4, R: int = 6) -> tuple[np.ndarray, ...]:
    """Random distinct pairs, votes and truths; often the true rationale stands beside another category."""
    flat = np.array([rng.permutation(C * R)[:k] for _ in range(n)])
    categories, rationales = np.divmod(flat, R)
    voted = vote(categories, np.tile(np.linspace(0.3, 0.1, k), (n, 1)), C)
    y = np.where(rng.random(n) < 0.5, voted, rng.integers(C, size=n))
    return categories, rationales, voted, y, rng.integers(R, size=n)


def _check_outcomes(answer: Callable[..., Any], rng: np.random.Generator) -> None:
    case = _case(rng)
    got, truth = np.asarray(answer(*case)), outcomes(*case)
    if got.shape != truth.shape:
        raise Mistake(f"400 pictures need 400 words, shape (400,), not {got.shape}.")
    if not set(got.ravel().tolist()) <= {"RR", "RW", "WR", "WW"}:
        raise Mistake(f"Only the words RR, RW, WR and WW may occur, not {got.ravel()[0]!r}.")
    likely = {
        "The letters have changed places: the first is about the category, the second about the reason.": _swapped(*case),
        'You accept the true rationale beside any category. "A cat because of gills" is no right reason for a fish: category and '
        "rationale must stand in one pair.": _reason_anywhere(*case),
        "RR and RW are right. For a wrong vote you looked for the true pair; WR asks for the rationale beside the *wrong, voted* "
        "category.": _true_category_for_both(*case),
        "You judged the best pair alone: five pairs are shown, and five have voted.": _best_pair_only(*case),
        "You call a category right when any pair names it; only the vote counts.": _any_pair_is_the_vote(*case),
        "You demand the true rationale in every pair of the voted category; one pair is enough.": _every_pair(*case),
    }
    for message, wrong in likely.items():
        if np.array_equal(got, wrong):
            raise Mistake(message)
    if not np.array_equal(got, truth):
        wrong_word = next(word for word in ("RR", "RW", "WR", "WW") if ((got == word) != (truth == word)).any())
        raise Mistake(
            f"You find {np.sum(got == wrong_word)} pictures {wrong_word}, there are {np.sum(truth == wrong_word)}: is there one pair "
            "with the voted category and the true rationale?"
        )


# --- the machine that recites ---


@cache
def _finches() -> tuple[np.ndarray, np.ndarray]:
    """What can be seen in each held-out picture (n, R), and what the book says of its species (n, R)."""
    from xailib import worlds

    world = worlds.birds(1500, missing_rate=0.4, random_state=7)
    truth, held_out = world.truth, np.arange(world.n_train, len(world.y))
    books = [truth.looks(s) for s in range(20)]
    texts = list(dict.fromkeys(r for own in books for r in own))
    seen = np.array([[r in own for r in texts] for own in truth.rationales(held_out)])
    listed = np.array([[r in own for r in texts] for own in books])
    return seen, listed[world.y[held_out]]


def recited_share() -> float:
    """Share of the book's rationales of the right species that can not be seen in the picture."""
    seen, book = _finches()  # in the notebook: seen, and candidates.listed[y]
    return float((book & ~seen).sum() / book.sum())


def _check_recited(answer: float, rng: np.random.Generator) -> None:
    seen, book = _finches()
    truth = recited_share()
    if abs(answer - truth) <= 0.006:
        return
    if 1 < answer <= 100:
        raise Mistake("That is in percent: give the share, between 0 and 1.")
    named = [
        (1 - truth, "That is the share that *can* be seen; the made-up part was asked for."),
        (0.4, "Parts are missing with probability 0.4, but not all of them: which parts does a held-out picture always keep?"),
        (0.0, "Zero would mean that pictures show all that the book says. Parts are missing from them."),
        (
            float((book & ~seen).any(axis=1).mean()),
            "That is the share of pictures with at least one made-up rationale. Count rationales, not pictures.",
        ),
        (
            float((book & ~seen).mean()),
            "You divided by all candidates. The machine recites only what the book says: divide by that.",
        ),
    ]
    for value, message in named:
        if abs(answer - value) <= 0.006:
            raise Mistake(message)
    raise Mistake("Count (book and not seen), divide by the number of rationales in the book, over all held-out pictures.")


# --- when a beam is exact ---


def beam_needed(p_rationale: np.ndarray, p_category: np.ndarray, k: int) -> int:
    """The smallest number of rationales to look at so that the k best pairs are certain: P(r|I) (R,), P(c|r,I) (C, R)."""
    order = np.argsort(-p_rationale)
    for b in range(1, len(order) + 1):
        pairs = np.sort((p_rationale * p_category)[:, order[:b]].ravel())[::-1]
        left_out = p_rationale[order[b]] if b < len(order) else 0.0
        if len(pairs) >= k and left_out <= pairs[k - 1]:
            return b
    return len(order)


def _beam_by_bounds(p_rationale: np.ndarray, p_category: np.ndarray, k: int) -> int:
    import heapq

    best: list[float] = []
    for b, j in enumerate(sorted(range(len(p_rationale)), key=lambda i: -p_rationale[i])):
        if len(best) == k and p_rationale[j] <= best[0]:
            return b
        for p in p_rationale[j] * p_category[:, j]:
            (heapq.heappush if len(best) < k else heapq.heappushpop)(best, p)
    return len(p_rationale)


def _beam_by_table(p_rationale: np.ndarray, p_category: np.ndarray, k: int) -> np.integer:
    order = np.argsort(p_rationale)[::-1]
    sorted_pairs = (p_rationale * p_category)[:, order]
    bounds = np.append(p_rationale[order][1:], 0.0)
    kth = [np.partition(np.append(sorted_pairs[:, : b + 1].ravel(), np.zeros(k)), -k)[-k] for b in range(len(order))]
    enough = np.arange(1, len(order) + 1) * len(p_category) >= k
    return np.flatnonzero((bounds <= np.array(kth)) & enough)[0] + 1


def _rationales_in_top(p_rationale: np.ndarray, p_category: np.ndarray, k: int) -> int:
    """Hindsight: how many rationales the k best pairs have, which is only known once all are looked at."""
    flat = np.argsort(-(p_rationale * p_category).ravel())[:k] % len(p_rationale)
    return len(set(flat.tolist()))


def _deepest_in_top(p_rationale: np.ndarray, p_category: np.ndarray, k: int) -> int:
    flat = np.argsort(-(p_rationale * p_category).ravel())[:k] % len(p_rationale)
    rank = np.argsort(np.argsort(-p_rationale))
    return int(rank[flat].max()) + 1


def _bounds_by_kth_rationale(p_rationale: np.ndarray, p_category: np.ndarray, k: int) -> int:
    """Compares with the best pair instead of the k-th."""
    order = np.argsort(-p_rationale)
    for b in range(1, len(order) + 1):
        best = (p_rationale * p_category)[:, order[:b]].max()
        if b == len(order) or p_rationale[order[b]] <= best:
            return b
    return len(order)


def _without_order(p_rationale: np.ndarray, p_category: np.ndarray, k: int) -> int:
    for b in range(1, len(p_rationale) + 1):
        pairs = np.sort((p_rationale * p_category)[:, :b].ravel())[::-1]
        left_out = p_rationale[b] if b < len(p_rationale) else 0.0
        if len(pairs) >= k and left_out <= pairs[k - 1]:
            return b
    return len(p_rationale)


def _check_beam(answer: Callable[..., Any], rng: np.random.Generator) -> None:
    cases = [(rng.dirichlet(np.full(9, 0.6)), rng.dirichlet(np.full(4, 0.3), size=9).T, int(k)) for k in rng.integers(2, 7, 60)]
    got = np.array([float(answer(*case)) for case in cases])
    truth = np.array([beam_needed(*case) for case in cases])
    likely: dict[str, Callable[..., int]] = {
        "You counted the rationales that the k best pairs have. That is known only after looking at all; a beam must be sure before.": (
            _rationales_in_top
        ),
        "You found how deep the k best pairs reach, with hindsight. To be *certain* the next rationale must be too improbable to matter.": (
            _deepest_in_top
        ),
        "You compared the next rationale with the *best* pair; it must not be able to enter the list, so compare with the k-th.": (
            _bounds_by_kth_rationale
        ),
        "You took the rationales in the order given; a beam takes the most probable first.": _without_order,
        "One too few: the rationale that fails the test is not looked at, those before it are.": lambda *case: (
            beam_needed(*case) - 1
        ),
        "One too many: once the next rationale can not matter, it is not looked at.": lambda *case: beam_needed(*case) + 1,
        "You always look at all rationales; then there is no beam.": lambda p, q, k: len(p),
    }
    for message, wrong in likely.items():
        if np.array_equal(got, [wrong(*case) for case in cases]):
            raise Mistake(message)
    if not np.array_equal(got, truth):
        raise Mistake(
            "Look at the most probable rationales one by one. Stop when the next one's P(r|I) is at most the k-th best pair found: "
            "no pair can beat its own rationale."
        )


EXERCISES = [
    Exercise(
        name="twins",
        title="Find the loss that no network can avoid",
        level="core",
        difficulty=2,
        minutes=5,
        passes="your number is the smallest possible loss of the picture",
        task=(
            "A batch has 32 pictures, each with its own caption. Four of them are acorn finches, and all four captions read "
            "'a photo of an acorn finch'. Plain contrastive loss calls only *one* of the 32 captions right for each picture. What is the **smallest "
            "cross-entropy** (natural logarithm) that one of these four pictures can have in the softmax over captions? Write down a guess first."
        ),
        hints=(
            "Equal words have equal vectors, whatever the text tower is. So what do their four scores have in common?",
            "Give those four all the probability there is. How much of it can the 'right' one have?",
        ),
        reference=least_loss,
        check=_check_least_loss,
        wrong=[
            WrongAnswer(0.0, "a perfect network has no loss", "Zero would need"),
            WrongAnswer(np.log(32), "the loss at chance", "learned nothing"),
            WrongAnswer(np.log(8), "divides batch by copies", "32 / 4"),
            WrongAnswer(np.log(3), "counts the others only", "three *other* finches"),
            WrongAnswer(2.0, "takes bits", "in bits"),
            WrongAnswer(0.25, "probability instead of loss", "best possible probability"),
            WrongAnswer(-np.log(4), "wrong sign", "The sign"),
            WrongAnswer(5.0, "guesses", "Which probability can"),
        ],
        right=[1.386, np.log(4)],
    ),
    Exercise(
        name="joint",
        title="Write the joint",
        level="core",
        difficulty=2,
        minutes=10,
        passes="random scores give a joint that sums to one, pair by pair right, also when scores are large",
        task=(
            "Write `joint(rationale_scores, pair_scores)`: scores (n, R) of the sentences about a rationale, scores (n, C, R) of the sentences about a "
            "category because of a rationale. Return P(c, r | I) = P(r | I) P(c | r, I), shape (n, C, R)."
        ),
        hints=(
            "Each factor is a softmax. Over which axis must P(c | r, I) sum to one, and what stays fixed?",
            "P(r | I) needs one more axis to be multiplied with the other factor. And `exp(800)` is infinite: what may be subtracted freely?",
        ),
        reference=joint,
        check=_check_joint,
        wrong=[
            WrongAnswer(
                lambda s, t: _softmax(s, 1)[:, None] * _softmax(t, (1, 2)), "one softmax for the second factor", "one big"
            ),
            WrongAnswer(lambda s, t: _softmax(s, 1)[:, None] * _softmax(t, 2), "P(r|c) for P(c|r)", "that is P(r|c,I)"),
            WrongAnswer(lambda s, t: _softmax(t, 1), "second factor alone", "second factor alone"),
            WrongAnswer(lambda s, t: _softmax(t, (1, 2)), "flattens, as DROR", "You flattened"),
            WrongAnswer(lambda s, t: _softmax(t + s[:, None], (1, 2)), "softmax of the sum", "softmax of a sum"),
            WrongAnswer(lambda s, t: _softmax(s, 0)[:, None] * _softmax(t, 1), "softmax over pictures", "over the pictures"),
            WrongAnswer(lambda s, t: _softmax(s, 1)[:, None] + _softmax(t, 1), "adds them", "the chain rule multiplies"),
            WrongAnswer(lambda s, t: s[:, None] * _softmax(t, 1), "raw scores as weights", "need a softmax"),
            WrongAnswer(lambda s, t: np.log(joint(s, t)), "logarithms", "Those are logarithms"),
            WrongAnswer(lambda s, t: np.swapaxes(joint(s, t), 1, 2), "axes swapped", "axes have changed places"),
            WrongAnswer(lambda s, t: joint(s, t)[0], "one picture", "need the shape (3, 4, 5)"),
            WrongAnswer(lambda s, t: 2 * joint(s, t), "not normalised", "must sum to one over all pairs"),
            WrongAnswer(
                lambda s, t: (
                    (np.exp(s) / np.exp(s).sum(1, keepdims=True))[:, None] * np.exp(t) / np.exp(t).sum(1, keepdims=True)
                    if s.max() < 700
                    else np.full(t.shape, np.nan)
                ),
                "overflows",
                "exp overflows",
            ),
            WrongAnswer(_joint_with_one_maximum, "one maximum for all pictures", "Each picture needs its own"),
        ],
        right=[_joint_by_scipy, _joint_by_loop],
    ),
    Exercise(
        name="vote",
        title="Count the votes",
        level="core",
        difficulty=3,
        minutes=10,
        passes="300 random elections, many of them tied, have the right winner",
        task=(
            "Write `vote(categories, probabilities, n_categories)`: `categories` (n, k) are the category numbers of the k best pairs of each picture, "
            "`probabilities` (n, k) their joint, best first. Every pair has one vote. A tie goes to the category whose pairs have the larger summed "
            "probability. Return the winners, (n,)."
        ),
        hints=(
            "Compare `categories[:, :, None]` with `np.arange(n_categories)`: what does its sum over axis 1 count?",
            "Let only the categories with the most votes compete in the second round. Which number decides there?",
        ),
        reference=vote,
        check=_check_vote,
        wrong=[
            WrongAnswer(lambda c, p, n: c[:, 0], "best pair alone", "best pair: four other"),
            WrongAnswer(_mass_only, "adds probabilities", "every pair has one vote"),
            WrongAnswer(_count_only, "ties to the smaller number", "smaller category number"),
            WrongAnswer(_first_named, "ties to the first named", "named first"),
            WrongAnswer(_mean_mass, "mean probability", "You averaged"),
            WrongAnswer(
                lambda c, p, n: np.full(len(c), np.bincount(c.ravel()).argmax()), "one winner for all", "elect one category"
            ),
            WrongAnswer(lambda c, p, n: vote(c, p, n)[0], "one picture", "shape (300,)"),
            WrongAnswer(lambda c, p, n: (vote(c, p, n) + 1) % n, "shifted by one", "of the winners are right"),
        ],
        right=[_vote_by_loop, _vote_by_bincount],
    ),
    Exercise(
        name="outcomes",
        title="Mark category and reason",
        level="core",
        difficulty=3,
        minutes=10,
        passes="400 random answers get the right word",
        task=(
            "Write `outcomes(categories, rationales, voted, y, r)`: k pairs of each picture, (n, k) and (n, k), the vote (n,), and the truth: category `y` (n,), "
            "rationale `r` (n,). Return (n,) words. First letter: R if the vote is right, else W. Second letter: R if the true rationale stands in a pair *with the voted "
            "category*, else W."
        ),
        hints=(
            "Two boolean tables (n, k): pairs with the true rationale, pairs with the voted category. Which of `&` and `|` joins them?",
            "Do you need a case distinction? If the vote is right, then the voted category is the true one.",
        ),
        reference=outcomes,
        check=_check_outcomes,
        wrong=[
            WrongAnswer(_swapped, "letters swapped", "letters have changed places"),
            WrongAnswer(_reason_anywhere, "reason beside any category", "gills"),
            WrongAnswer(_true_category_for_both, "true pair for a wrong vote", "For a wrong vote"),
            WrongAnswer(_best_pair_only, "best pair alone", "best pair alone"),
            WrongAnswer(_any_pair_is_the_vote, "any pair is the vote", "when any pair names it"),
            WrongAnswer(_every_pair, "every pair", "one pair is enough"),
            WrongAnswer(lambda *case: outcomes(*case)[0], "one picture", "400 words"),
            WrongAnswer(lambda *case: np.full(len(case[3]), "OK"), "other words", "Only the words"),
            WrongAnswer(lambda *case: np.full(len(case[3]), "WW"), "constant", "You find"),
        ],
        right=[_outcomes_by_loop, _outcomes_by_letters],
    ),
    Exercise(
        name="recite",
        title="Predict how much a reciting machine makes up",
        level="core",
        difficulty=2,
        minutes=8,
        passes="your measured share is right to 0.006",
        task=(
            "A machine always names the right species and then recites *everything* that the book says of it, without looking for parts. Over the held-out pictures of this "
            "chapter: **which share of what it says can not be seen?** `seen` (n, R) says what can be seen in each picture, `candidates.listed[y]` (n, R) what the book says "
            "of its species. Write down your guess, then measure."
        ),
        hints=(
            "Each part is missing with probability 0.4, but not every part: what did we promise about held-out pictures, and can a body be missing?",
            "Two boolean tables: what is in one *and not* in the other? Divide the sum by how much was said in all.",
        ),
        reference=recited_share,
        check=_check_recited,
        wrong=[
            WrongAnswer(0.794, "the complement", "*can* be seen"),
            WrongAnswer(0.4, "the rate of missing parts", "not all of them"),
            WrongAnswer(0.0, "pictures show the book", "Zero would mean"),
            WrongAnswer(0.776, "counts pictures", "at least one made-up"),
            WrongAnswer(0.055, "divides by all candidates", "divided by all candidates"),
            WrongAnswer(20.6, "percent", "in percent"),
            WrongAnswer(0.3, "guesses", "Count (book and not seen)"),
        ],
        right=[0.206],
    ),
    Exercise(
        name="report",
        title="Judge a press release",
        level="core",
        difficulty=3,
        minutes=8,
        passes="each of the six claims is judged right",
        task=(
            "A company sells the bird app and sends out six sentences. Which of them does the evidence of this chapter support? Hand in the letters, such as `'ac'`. Then write "
            "three sentences of your own to the ranger, and compare."
        ),
        hints=(
            "For each sentence, find the cell that could have shown the opposite. Was the picture redrawn in it, or only the answer marked?",
            "Three different things sound alike: a reason that is on a list, a reason that is true of the picture, and a reason that was looked at.",
        ),
        claims={
            "a": Claim(
                "Our order, rationale first, reflects that reasons cause conclusions; the other order gets causality wrong.",
                False,
                "both orders can write down the same joint. What was compared is which sentences are asked and what is normalised.",
            ),
            "b": Claim(
                "Given a rationale, our probabilities of the species are exactly those of the one big softmax over all pairs.",
                True,
                "a softmax over all pairs, restricted to one rationale, is the softmax over its species; the cell asserts it to the last digits.",
            ),
            "c": Claim(
                "When the app names a swept crest and the bird has one, the app has seen it.",
                False,
                "the probability of the crest stayed the same, to three decimals, when the crest was drawn away. It is recited.",
            ),
            "d": Claim(
                "RW is close to zero in our snowy test, so our answers do not hang on the snow.",
                False,
                "the tower taught with the leak had RW 0.00 as well, and many more of its doubly right winter birds than of the control tower's got another name on a meadow.",
            ),
            "e": Claim(
                "Among snowy pictures, training the whole image tower made the answers hang on the snow; with eight tokens of ECOR nothing of the kind was found.",
                True,
                "as taught minus reversed: the towers taught with the leak lose points with certainty over five seeds, the interval of ECOR's tokens contains zero, alone and against its control.",
            ),
            "f": Claim(
                "On handwritten digits 98 % are doubly right, so the towers recognise closed loops.",
                False,
                "among digits of one name, those with a loop scored no higher than those without. The list rewards whoever knows the digit.",
            ),
        },
        model_answer=(
            "The app's reasons are sentences that you can check, and you should: some are read off the picture, wings and legs above all, and some are what the book says of the "
            "bird it has already guessed. A right name with a right reason does not show that the reason was used; birds that were named in snow lost their names on a meadow. "
            "Before you rely on a reason, look for a picture in which it is missing, and see whether the app notices."
        ),
    ),
    Exercise(
        name="beam",
        title="Stop looking in time",
        level="stretch",
        difficulty=4,
        minutes=15,
        passes="sixty random pictures get the smallest beam that is certain",
        task=(
            "ImageNet has 5,810 pairs of category and rationale; you want to look at few. Given P(r|I) as `p_rationale` (R,) and P(c|r,I) as `p_category` (C, R), look at "
            "the rationales from the most probable on. Write `beam_needed(p_rationale, p_category, k)`: how many must you look at until you are *certain* that you hold "
            "the k best pairs, without knowing P(c|r,I) of the others? One whole number."
        ),
        hints=(
            "How probable can a pair be at most, if all you know of it is its rationale?",
            "You hold k pairs. The next rationale comes. When can none of its pairs enter your list?",
        ),
        reference=beam_needed,
        check=_check_beam,
        wrong=[
            WrongAnswer(_rationales_in_top, "rationales of the top pairs", "known only after looking"),
            WrongAnswer(_deepest_in_top, "hindsight", "with hindsight"),
            WrongAnswer(_bounds_by_kth_rationale, "bound by the best pair", "compare with the k-th"),
            WrongAnswer(_without_order, "no order", "in the order given"),
            WrongAnswer(lambda *case: beam_needed(*case) - 1, "one too few", "One too few"),
            WrongAnswer(lambda *case: beam_needed(*case) + 1, "one too many", "One too many"),
            WrongAnswer(lambda p, q, k: len(p), "looks at all", "there is no beam"),
            WrongAnswer(lambda p, q, k: k, "as many as pairs", "Look at the most probable"),
        ],
        right=[_beam_by_bounds, _beam_by_table],
    ),
]

WARMUP = [
    Question(
        "P(A) = 0.5 and P(B | A) = 0.2. What is P(A and B), and what if B had been asked first?",
        "0.1, and the same: the order of asking is free",
        "P(A) P(B | A) = P(B) P(A | B). Both are names of one number, as long as both really are probabilities of one model.",
        {
            "0.1, and less if B is asked first": "P(B) P(A | B) is the same joint probability. Order is bookkeeping, not physics.",
            "0.7: they are added": "Chances of both are multiplied: 0.5 times 0.2.",
        },
    ),
    Question(
        "Chapter 8: a network with 0.99 accuracy calls every bird in snow a winter species. What does its accuracy say about its reasons?",
        "Nothing: move the birds to a meadow and see",
        "An answer can be right for a wrong reason as long as the reason travels with the answer. This chapter counts how often.",
        {
            "That they are good: it would fail otherwise": "It fails only where snow and species part. In its test set they never do.",
            "That it looks at the bird at least half of the time": "No share follows from accuracy. A network that sees snow alone scores the same.",
        },
    ),
    Question(
        "Chapter 14: a softmax over ten scores. You add 5 to all of them. And what if you add 5 to half of them?",
        "First nothing changes, then those five gain",
        "A softmax sees differences only. So it matters *which* scores compete in it: that will be the whole story today.",
        {
            "All probabilities grow, then five grow": "Probabilities add up to one, so they can not all grow.",
            "Nothing changes in either case": "A shift is invisible only when *all* competitors get it.",
        },
    ),
]

QUIZ = [
    Question(
        "P(r|I) P(c|r,I) or P(c|I) P(r|c,I): which order is right?",
        "Both, by the chain rule; with CLIP scores they differ because other sentences are asked and other scores compete",
        "Neither product is derived from a common joint here. So a comparison of orders compares prompts and normalisation.",
        {
            "Rationale first, because reasons come before conclusions": "Probability has no before and after. What was measured is a change of prompts.",
            "Category first, because the category causes the parts": "It may, in the world. A factorisation of a joint makes no claim about causes.",
        },
    ),
    Question(
        "Over what does P(c | r, I) sum to one?",
        "Over the categories, for each rationale separately",
        "So the sentence about whiskers never competes with the one about gills in this factor; that is decided in P(r|I).",
        {
            "Over all pairs": "That is the joint, and DROR's single softmax.",
            "Over the rationales, for each category": "That is P(r | c, I), the second factor of category-first.",
        },
    ),
    Question(
        "Of five pairs the first has probability 0.6 and says cat; the others have 0.05 each, three of them say dog, one fox. Who wins?",
        "Dog: three votes to one",
        "A pair has one vote, however probable. Probabilities decide ties only. You may find that unwise; it is the rule that is published.",
        {
            "Cat: its pair outweighs all others": "By summed probability it would win, 0.6 to 0.15. The vote counts pairs.",
            "Nobody: no category has a majority of probability": "The most votes win, a majority is not needed.",
        },
    ),
    Question(
        "A test set gives RR 0.60, RW 0.30. Which accuracy does the model have, and what is the share of right reasons among right answers?",
        "0.90, and two thirds",
        "RR and RW are all pictures whose vote is right. Divide before you compare models whose accuracies differ.",
        {
            "0.60, and two thirds": "The 0.30 are right answers, too, if not for the right reason.",
            "0.90, and 0.60": "0.60 is the share among all pictures; among the right ones it is 0.60 / 0.90.",
        },
    ),
    Question(
        "You tune four tokens for a frozen image tower. What can they not do?",
        "Teach the text tower a name it has never read",
        "They change where a picture lands among sentences. A name without meaning has a vector without meaning, whatever the picture.",
        {
            "Change what the tower sees in a picture": "They do: every patch attends to them, so all vectors move.",
            "Overfit: there are too few numbers": "Few is relative. With few pictures a few hundred numbers are enough to overfit.",
        },
    ),
]
