"""Exercises of chapter 6: precision and coverage, a bound worth its name, where the next draws go, and what a rule may be told."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from xailib.exercises.engine import Claim, Exercise, Mistake, WrongAnswer
from xailib.exercises.questions import Question

Function = Callable[..., Any]


def _named(found: np.ndarray, mistakes: Mapping[str, Any]) -> None:
    """Raise the message of the known mistake that gives exactly these numbers."""
    for message, value in mistakes.items():
        if np.shape(found) == np.shape(value) and np.allclose(found, value, atol=1e-9, equal_nan=True):
            raise Mistake(message)


def _pair(value: Any, what: str) -> np.ndarray:
    """Two numbers, or a sentence."""
    try:
        numbers = np.asarray(value, dtype=float)
    except (TypeError, ValueError) as error:
        raise Mistake(f"{what} must come out, not {value!r:.60}.") from error
    if numbers.shape != (2,):
        raise Mistake(f"{what} must come out, not something of shape {numbers.shape}.")
    return numbers


# precision and coverage -------------------------------------------------------------------------------------------------


def judge_rule(obeys: np.ndarray, denied: np.ndarray) -> tuple[float, float]:
    """Precision and coverage of "IF the row obeys THEN deny", counted on the rows."""
    if not obeys.any():
        return float("nan"), 0.0
    return float(denied[obeys].mean()), float(obeys.mean())


def _judge_by_sums(obeys: np.ndarray, denied: np.ndarray) -> list[float]:
    covered = sum(bool(o) for o in obeys)
    both = sum(bool(o) and bool(d) for o, d in zip(obeys, denied, strict=True))
    return [both / covered if covered else float("nan"), covered / len(obeys)]


def _judge_by_products(obeys: np.ndarray, denied: np.ndarray) -> np.ndarray:
    n, hits = np.count_nonzero(obeys), np.count_nonzero(obeys & denied)
    return np.array([hits / n if n > 0 else np.nan, n / obeys.size])


def _swapped(obeys: np.ndarray, denied: np.ndarray) -> tuple[float, float]:
    precision, coverage = judge_rule(obeys, denied)
    return coverage, precision


def _of_all_rows(obeys: np.ndarray, denied: np.ndarray) -> tuple[float, float]:
    return float((obeys & denied).mean()), float(obeys.mean())


def _recall(obeys: np.ndarray, denied: np.ndarray) -> tuple[float, float]:
    return judge_rule(obeys, denied)[0], float(obeys[denied].mean())


def _recall_for_precision(obeys: np.ndarray, denied: np.ndarray) -> tuple[float, float]:
    return (float(obeys[denied].mean()) if denied.any() else float("nan")), float(obeys.mean())


def _accuracy(obeys: np.ndarray, denied: np.ndarray) -> tuple[float, float]:
    return float((obeys == denied).mean()), float(obeys.mean())


def _hits_for_coverage(obeys: np.ndarray, denied: np.ndarray) -> tuple[float, float]:
    return judge_rule(obeys, denied)[0], float((obeys & denied).mean())


def _zero_when_empty(obeys: np.ndarray, denied: np.ndarray) -> tuple[float, float]:
    return (judge_rule(obeys, denied)[0] if obeys.any() else 0.0), float(obeys.mean())


def _check_judge(answer: Function, rng: np.random.Generator) -> None:
    order, rows = rng.permutation(40), np.arange(40)
    obeys, denied = (rows < 15)[order], ((rows < 10) | (rows >= 32))[order]  # 10 of the 15 who obey, 8 of the 25 others
    values, truth = _pair(answer(obeys, denied), "Precision and coverage, two numbers,"), judge_rule(obeys, denied)
    _named(
        values,
        {
            "These are the right two numbers in the wrong order: precision first.": truth[::-1],
            "You divided the hits by all rows. A rule is not to blame for rows it does not speak about: divide by the rows that "
            "obey it.": _of_all_rows(obeys, denied),
            "Your coverage is the share of the *denied* that obey the rule; coverage counts everyone.": _recall(obeys, denied),
            "Your precision is the share of the denied that obey. Turn the question around: of those who obey, how many are "
            "denied?": _recall_for_precision(obeys, denied),
            "Your precision is an accuracy: it also rewards the rule for rows that it leaves alone.": _accuracy(obeys, denied),
            "Your coverage counts only the rows where the rule is right; it covers the others too.": _hits_for_coverage(
                obeys, denied
            ),
        },
    )
    if not np.allclose(values, truth):
        raise Mistake("The numbers differ: the mean of `denied` over the rows that obey, and the mean of `obeys`.")
    nobody = _pair(answer(np.zeros(6, bool), np.ones(6, bool)), "Precision and coverage, two numbers,")
    if not np.isnan(nobody[0]):
        raise Mistake(
            f"A rule that nobody obeys has no precision: return NaN, not {nobody[0]:g}; no row says that it is wrong, or right."
        )
    if nobody[1] != 0:
        raise Mistake(f"A rule that nobody obeys covers nothing, but your coverage is {nobody[1]:g}.")


# the lower bound --------------------------------------------------------------------------------------------------------


def lower_bound(hits: int, n: int, beta: float) -> float:
    """Smallest q from 0 to hits / n with n kl(hits / n, q) <= beta, by bisection."""

    def surprise(q: float) -> float:
        p = hits / n
        right = p * np.log(p / q) if p > 0 else 0.0
        wrong = (1 - p) * np.log((1 - p) / (1 - q)) if p < 1 else 0.0
        return n * (right + wrong)

    low, high = 0.0, hits / n
    for _ in range(50):
        middle = (low + high) / 2
        if middle > 0 and surprise(middle) <= beta:
            high = middle
        else:
            low = middle
    return float(high)


def _bound_by_root(hits: int, n: int, beta: float) -> float:
    from scipy.optimize import brentq
    from scipy.special import rel_entr

    p = hits / n
    if hits == 0:
        return 0.0
    return float(brentq(lambda q: n * (rel_entr(p, q) + rel_entr(1 - p, 1 - q)) - beta, 1e-300, p))


def _bound_by_grid(hits: int, n: int, beta: float) -> float:
    if hits == 0:
        return 0.0
    low, high = 0.0, hits / n
    for _ in range(6):
        q = np.linspace(low, high, 2001)
        with np.errstate(divide="ignore", invalid="ignore"):
            good = hits * np.log(hits / n / q) + (0 if hits == n else (n - hits) * np.log((1 - hits / n) / (1 - q))) <= beta
        good[-1] = True
        first = int(np.argmax(good))
        low, high = q[max(first - 1, 0)], q[first]
    return float(high)


def _upper(hits: int, n: int, beta: float) -> float:
    return 1 - lower_bound(n - hits, n, beta)


def _hoeffding(hits: int, n: int, beta: float) -> float:
    return max(0.0, hits / n - np.sqrt(beta / (2 * n)))


def _normal(hits: int, n: int, beta: float) -> float:
    p = hits / n
    return max(0.0, p - np.sqrt(2 * beta * p * (1 - p) / n))


def _normal_95(hits: int, n: int, beta: float) -> float:
    p = hits / n
    return max(0.0, p - 1.96 * np.sqrt(p * (1 - p) / n))


def _wilson(hits: int, n: int, beta: float) -> float:
    return float((hits + beta - np.sqrt(2 * beta * (hits * (n - hits) / n + beta / 2))) / (n + 2 * beta))


def _doubled_tail(hits: int, n: int, beta: float) -> float:
    return lower_bound(hits, n, beta + np.log(2))


def _without_n(hits: int, n: int, beta: float) -> float:
    return lower_bound(1, 1, beta) if hits == n else lower_bound(hits, n, beta * n)


def _other_direction(hits: int, n: int, beta: float) -> float:
    p, low, high = hits / n, 0.0, hits / n
    for _ in range(50):
        q = (low + high) / 2
        back = q * np.log(q / p) + (1 - q) * np.log((1 - q) / max(1 - p, 1e-300)) if q > 0 else np.inf
        low, high = (low, q) if n * back <= beta else (q, high)
    return high


def _the_share(hits: int, n: int, beta: float) -> float:
    return hits / n


def _check_bound(answer: Function, rng: np.random.Generator) -> None:
    n = int(rng.integers(40, 200))
    hits, beta = int(rng.uniform(0.7, 0.9) * n), float(rng.uniform(2, 5))
    value, truth = _number(answer(hits, n, beta)), lower_bound(hits, n, beta)
    mistakes = {
        "That is the upper bound: search below the observed share.": _upper(hits, n, beta),
        "That is Hoeffding's bound: valid, but it ignores that a share near one varies less. Use the kl of the text.": _hoeffding(
            hits, n, beta
        ),
        "That is a bound from the normal curve, which promises nothing for few draws and is zero wide when all draws agree.": _normal(
            hits, n, beta
        ),
        "That is 1.96 standard errors below the share: a normal curve again, and beta plays no part in it.": _normal_95(
            hits, n, beta
        ),
        "That is Wilson's bound: near, but it solves another inequality. Use the kl of the text.": _wilson(hits, n, beta),
        "You paid for two tails: beta holds that already, take it as it is given.": _doubled_tail(hits, n, beta),
        "You compared kl itself with beta: the evidence of n draws is n times kl.": _without_n(hits, n, beta),
        "You have kl with its arguments exchanged: the observed share comes first.": _other_direction(hits, n, beta),
        "That is the observed share itself, which is no bound.": hits / n,
    }
    for message, wrong in mistakes.items():
        if abs(value - wrong) < 1e-4 and abs(wrong - truth) > 2e-4:
            raise Mistake(message)
    if abs(value - truth) > 1e-4:
        raise Mistake(f"For {hits} hits of {n} and beta {beta:.2f} the bound is {truth:.4f}, not {value:.4f}.")
    every = _number(answer(n, n, beta))
    if abs(every - np.exp(-beta / n)) > 1e-4:
        raise Mistake(f"When all {n} draws are hits the bound is exp(-beta / n) = {np.exp(-beta / n):.4f}; yours is {every:.4f}.")
    none = _number(answer(0, n, beta))
    if abs(none) > 1e-4:
        raise Mistake(f"Without any hit the lower bound is 0; yours is {none:.4f}.")


def _number(value: Any) -> float:
    try:
        number = np.asarray(value, dtype=float)
    except (TypeError, ValueError) as error:
        raise Mistake(f"One number must come out, not {value!r:.60}.") from error
    if number.size != 1:
        raise Mistake(f"One number must come out, not {number.size}.")
    if not np.isfinite(number).all():
        raise Mistake("Your bound is not a finite number: mind log(0) when all draws are hits, or none is.")
    return float(number.reshape(()))


# where the next draws go ------------------------------------------------------------------------------------------------


def next_draws(mean: np.ndarray, low: np.ndarray, high: np.ndarray, k: int) -> tuple[int, int]:
    """Of the k best rules the one with the lowest lower bound, of the others the one with the highest upper bound."""
    order = np.argsort(-mean)
    kept, others = order[:k], order[k:]
    return int(kept[np.argmin(low[kept])]), int(others[np.argmax(high[others])])


def _next_by_loop(mean: np.ndarray, low: np.ndarray, high: np.ndarray, k: int) -> list[int]:
    kept = set(sorted(range(len(mean)), key=lambda i: mean[i])[-k:])
    return [min(kept, key=lambda i: low[i]), max(set(range(len(mean))) - kept, key=lambda i: high[i])]


def _next_by_masks(mean: np.ndarray, low: np.ndarray, high: np.ndarray, k: int) -> np.ndarray:
    kept = mean >= np.sort(mean)[-k]
    return np.array([np.where(kept, low, np.inf).argmin(), np.where(kept, -np.inf, high).argmax()])


def _next_by_mean(mean: np.ndarray, low: np.ndarray, high: np.ndarray, k: int) -> tuple[int, int]:
    order = np.argsort(-mean)
    return int(order[k - 1]), int(order[k])


def _next_widest(mean: np.ndarray, low: np.ndarray, high: np.ndarray, k: int) -> tuple[int, int]:
    order = np.argsort(-mean)
    kept, others, width = order[:k], order[k:], high - low
    return int(kept[np.argmax(width[kept])]), int(others[np.argmax(width[others])])


def _next_reversed(mean: np.ndarray, low: np.ndarray, high: np.ndarray, k: int) -> tuple[int, int]:
    return next_draws(mean, low, high, k)[::-1]


def _next_of_all(mean: np.ndarray, low: np.ndarray, high: np.ndarray, k: int) -> tuple[int, int]:
    return int(np.argmin(low)), int(np.argmax(high))


def _next_worst_kept(mean: np.ndarray, low: np.ndarray, high: np.ndarray, k: int) -> tuple[int, int]:
    return next_draws(-mean, low, high, k)


def _next_crossed(mean: np.ndarray, low: np.ndarray, high: np.ndarray, k: int) -> tuple[int, int]:
    order = np.argsort(-mean)
    kept, others = order[:k], order[k:]
    return int(kept[np.argmax(high[kept])]), int(others[np.argmin(low[others])])


def _next_positions(mean: np.ndarray, low: np.ndarray, high: np.ndarray, k: int) -> tuple[int, int]:
    order = np.argsort(-mean)
    return int(np.argmin(low[order[:k]])), int(np.argmax(high[order[k:]]))


def _next_kept_by_high(mean: np.ndarray, low: np.ndarray, high: np.ndarray, k: int) -> tuple[int, int]:
    order = np.argsort(-high)
    kept, others = order[:k], order[k:]
    return int(kept[np.argmin(low[kept])]), int(others[np.argmax(high[others])])


_NEXT_MISTAKES: dict[str, Function] = {
    "You took the rules nearest to the border by their estimates. A rule with few draws may hide further away: use the bounds.": _next_by_mean,
    "You took the widest intervals. A wide interval far from the border decides nothing.": _next_widest,
    "Right rules, wrong order: the kept one first.": _next_reversed,
    "You searched all rules for each of the two. One must be among the k kept, the other among the rest.": _next_of_all,
    "You kept the k *worst* rules: sort the estimates downwards.": _next_worst_kept,
    "You took the bounds that are safe: doubt is where a kept rule may be low, and another one high.": _next_crossed,
    "You returned places in the sorted order; give the rules' own numbers.": _next_positions,
    "You kept the k rules of highest *upper bound*. Who is kept is decided by the estimates; the bounds only say who is in doubt.": _next_kept_by_high,
}


def _check_next(answer: Function, rng: np.random.Generator) -> None:
    for _ in range(2000):  # a case in which every known mistake gives another answer
        mean = rng.permutation(np.linspace(0.3, 0.9, 9) + rng.uniform(-0.02, 0.02, 9))
        width = rng.uniform(0.01, 0.3, 9)
        low, high = np.maximum(mean - width, 0), np.minimum(mean + width * rng.uniform(0.5, 1.5, 9), 1)
        k = int(rng.integers(2, 5))
        truth = next_draws(mean, low, high, k)
        others = [wrong(mean, low, high, k) for wrong in _NEXT_MISTAKES.values()]
        if len({truth, *others}) == 1 + len(others):
            break
    value = _pair(answer(mean, low, high, k), "The numbers of two rules")
    _named(value, dict(zip(_NEXT_MISTAKES, others, strict=True)))
    if not np.array_equal(value, truth):
        raise Mistake(
            f"With k = {k} the rules are {truth}, not {tuple(int(v) for v in value)}: split by mean, then look at one bound on each side."
        )


# anchors in conflict ----------------------------------------------------------------------------------------------------


def conflict(covered: np.ndarray, labels: np.ndarray) -> float:
    """Share of the rows, among those that any anchor covers, on which two anchors promise different labels."""
    says_1 = covered[labels == 1].any(axis=0)
    says_0 = covered[labels == 0].any(axis=0)
    return float((says_1 & says_0).sum() / (says_1 | says_0).sum())


def _conflict_by_rows(covered: np.ndarray, labels: np.ndarray) -> float:
    promised = [set(labels[column].tolist()) for column in covered.T]
    spoken = [p for p in promised if p]
    return sum(len(p) == 2 for p in spoken) / len(spoken)


def _conflict_by_counts(covered: np.ndarray, labels: np.ndarray) -> float:
    ones, zeros = labels @ covered, (1 - labels) @ covered
    return float(np.mean((np.minimum(ones, zeros) > 0)[ones + zeros > 0]))


def _of_everyone(covered: np.ndarray, labels: np.ndarray) -> float:
    return float((covered[labels == 1].any(axis=0) & covered[labels == 0].any(axis=0)).mean())


def _any_overlap(covered: np.ndarray, labels: np.ndarray) -> float:
    times = covered.sum(axis=0)
    return float((times > 1).sum() / (times > 0).sum())


def _among_overlaps(covered: np.ndarray, labels: np.ndarray) -> float:
    both = covered[labels == 1].any(axis=0) & covered[labels == 0].any(axis=0)
    return float(both.sum() / (covered.sum(axis=0) > 1).sum())


def _no_agreement(covered: np.ndarray, labels: np.ndarray) -> float:
    return 1 - conflict(covered, labels)


def _in_rows(covered: np.ndarray, labels: np.ndarray) -> float:
    both = covered[labels == 1].any(axis=0) & covered[labels == 0].any(axis=0)
    return float(both.sum())


def _pairs(covered: np.ndarray, labels: np.ndarray) -> float:
    pairs = [(i, j) for i in range(len(labels)) for j in range(i) if labels[i] != labels[j]]
    return float(np.mean([(covered[i] & covered[j]).any() for i, j in pairs]))


def _by_all(covered: np.ndarray, labels: np.ndarray) -> float:
    says_1, says_0 = covered[labels == 1].all(axis=0), covered[labels == 0].all(axis=0)
    return float((says_1 & says_0).sum() / covered.any(axis=0).sum())


def _check_conflict(answer: Function, rng: np.random.Generator) -> None:
    n = int(rng.integers(60, 90))
    covered = rng.random((6, n)) < 0.2
    covered[:, :5] = False
    covered[:, 5] = True
    covered[0, 6], covered[1:, 6] = True, False
    covered[:2, 7], covered[2:, 7] = True, False
    labels = np.array([1, 1, 0, 1, 0, 0])
    value, truth = _number(answer(covered, labels)), conflict(covered, labels)
    mistakes = {
        "You divided by everyone. Rows that no anchor covers can not be in conflict: leave them out of the denominator.": _of_everyone,
        "You counted rows with several anchors. Two anchors that promise the *same* are no conflict.": _any_overlap,
        "You divided by the rows with two or more anchors; one anchor is enough to be spoken about.": _among_overlaps,
        "That is the share without conflict.": _no_agreement,
        "That is a number of rows: divide by the rows that some anchor covers.": _in_rows,
        "You counted pairs of anchors; count rows.": _pairs,
        "You ask for rows that *all* anchors of a label cover; one on each side is enough.": _by_all,
    }
    for message, wrong in mistakes.items():
        if abs(value - wrong(covered, labels)) < 1e-9 and abs(wrong(covered, labels) - truth) > 1e-9:
            raise Mistake(message)
    if abs(value - truth) > 1e-9:
        raise Mistake("The number differs: rows covered by an anchor for 1 and by one for 0, divided by rows covered by any.")


# the best of twenty -----------------------------------------------------------------------------------------------------


def best_of_twenty() -> float:
    """What the best of twenty equal rules claims: each has true precision 0.85 and is measured on 100 draws."""
    hits = np.random.default_rng(0).binomial(100, 0.85, size=(100_000, 20))
    return float(hits.max(axis=1).mean() / 100)


def _check_best(answer: float, rng: np.random.Generator) -> None:
    truth = best_of_twenty()
    if abs(answer - truth) <= 0.002:
        return
    named = {
        "That is what each rule is worth. The question is what the *winner* claims: look at the largest of the twenty.": (
            0.845,
            0.855,
        ),
        "That is the luckiest winner of all repetitions; take the mean over the winners.": (0.965, 1.0001),
        "That is a number of hits; divide by the draws.": (84, 101),
        "That is one standard error above the truth; the largest of twenty lies further out.": (0.88, 0.892),
        "That is the mean of the worst of the twenty: the search returns the best.": (0.75, 0.80),
        "That is the median winner, or the 95 % quantile of a single rule, or your mean was rounded: the mean of the winners, to three "
        "digits, is asked for.": (0.9095, 0.9105),
        "That is how much the winner exceeds the truth; the claim itself is asked for.": (0.05, 0.08),
    }
    for message, (low, high) in named.items():
        if low <= answer <= high:
            raise Mistake(message)
    raise Mistake(
        "Not the number of the experiment: 20 shares of 100 draws each, the largest of them, the mean over many repetitions."
    )


# the bank ---------------------------------------------------------------------------------------------------------------

EXERCISES = [
    Exercise(
        name="judge_rule",
        title="Judge a rule by counting",
        level="core",
        difficulty=1,
        minutes=6,
        passes="precision asks those who obey, coverage asks everyone, and a rule that nobody obeys has no precision",
        task="Write `judge_rule(obeys, denied)` for the rule 'IF the row obeys THEN deny'. Both arguments hold True and False, one for "
        "each row of the data. Return precision and coverage, in this order. A rule that no row obeys has precision NaN.",
        hints=(
            "Whom does the rule make a promise about? And out of how many people are those?",
            "`denied[obeys]` picks the rows that obey. What does the mean of True and False tell?",
        ),
        reference=judge_rule,
        check=_check_judge,
        wrong=[
            WrongAnswer(_swapped, "swaps the two", "wrong order"),
            WrongAnswer(_of_all_rows, "divides hits by all rows", "divided the hits by all rows"),
            WrongAnswer(_recall, "takes recall for coverage", "share of the *denied* that obey the rule"),
            WrongAnswer(_recall_for_precision, "takes recall for precision", "Turn the question around"),
            WrongAnswer(_accuracy, "takes accuracy for precision", "an accuracy"),
            WrongAnswer(_hits_for_coverage, "covers only hits", "only the rows where the rule is right"),
            WrongAnswer(_zero_when_empty, "precision zero for an empty rule", "has no precision"),
        ],
        right=[_judge_by_sums, _judge_by_products],
    ),
    Exercise(
        name="lower_bound",
        title="Say how bad a rule may be",
        level="core",
        difficulty=3,
        minutes=12,
        passes="your bound solves n kl = beta below the observed share, also when all draws are hits, or none",
        task="Write `lower_bound(hits, n, beta)`: the smallest q between 0 and hits / n for which `n * kl(hits / n, q) <= beta`. "
        "kl(p, q) = p log(p / q) + (1 - p) log((1 - p) / (1 - q)), where 0 log 0 counts as 0. Four digits are enough.",
        hints=(
            "As q falls below the observed share, does kl rise or fall? A search by halving needs no more than that.",
            "Keep two numbers: one that satisfies the inequality and one that does not. Look at the middle, and replace one of them.",
        ),
        reference=lower_bound,
        check=_check_bound,
        wrong=[
            WrongAnswer(_upper, "returns the upper bound", "upper bound"),
            WrongAnswer(_hoeffding, "uses Hoeffding", "Hoeffding's bound"),
            WrongAnswer(_normal, "uses the normal approximation", "normal curve"),
            WrongAnswer(_normal_95, "1.96 standard errors", "beta plays no part"),
            WrongAnswer(_wilson, "uses Wilson", "Wilson's bound"),
            WrongAnswer(_doubled_tail, "halves the error once more", "two tails"),
            WrongAnswer(_without_n, "forgets n", "n times kl"),
            WrongAnswer(_other_direction, "exchanges the arguments of kl", "arguments exchanged"),
            WrongAnswer(_the_share, "returns the estimate", "no bound"),
        ],
        right=[_bound_by_root, _bound_by_grid],
    ),
    Exercise(
        name="next_draws",
        title="Choose where the next draws go",
        level="core",
        difficulty=3,
        minutes=8,
        passes="one rule on either side of the border is named, by the bound that keeps the question open",
        task="A race keeps `k` rules. Write `next_draws(mean, low, high, k)`: `mean`, `low` and `high` hold the estimate and the bounds of "
        "each rule. Return two numbers of rules: of the k with the largest means the one that may be worst, then of the others the one "
        "that may be best.",
        hints=(
            "What would have to be true for the choice of the k to be wrong?",
            "Two steps: split by `mean`; then `argmin` of one bound on one side, `argmax` of the other bound on the other.",
        ),
        reference=next_draws,
        check=_check_next,
        wrong=[
            WrongAnswer(_next_by_mean, "goes by estimates", "use the bounds"),
            WrongAnswer(_next_widest, "goes by width", "widest intervals"),
            WrongAnswer(_next_reversed, "swaps the two", "the kept one first"),
            WrongAnswer(_next_of_all, "does not split", "searched all rules"),
            WrongAnswer(_next_worst_kept, "sorts upwards", "k *worst* rules"),
            WrongAnswer(_next_crossed, "takes the other bounds", "bounds that are safe"),
            WrongAnswer(_next_positions, "returns places in the order", "rules' own numbers"),
            WrongAnswer(_next_kept_by_high, "keeps by upper bound", "highest *upper bound*"),
        ],
        right=[_next_by_loop, _next_by_masks],
    ),
    Exercise(
        name="best_of_twenty",
        title="Find out how much a winner lies",
        level="core",
        difficulty=2,
        minutes=8,
        passes="you measure the mean claim of the best of twenty rules",
        task="Twenty rules all have true precision 0.85. Each is measured on 100 draws of its own, and the one with the largest share is "
        "returned with that share. Write what it claims on average into `my_guess`, then simulate: `rng.binomial(100, 0.85, size=(100_000, "
        "20))`, the largest of each row, their mean as a share, into `my_measured`.",
        hints=(
            "One share has a standard error of about 0.036. How far out does the largest of twenty lie?",
            "`max(axis=1)` takes the largest of each repetition; then the mean, then divide by the draws.",
        ),
        reference=best_of_twenty,
        check=_check_best,
        wrong=[
            WrongAnswer(0.85, "no selection effect", "what each rule is worth"),
            WrongAnswer(0.99, "maximum over repetitions", "luckiest winner"),
            WrongAnswer(91.3, "forgets to divide", "number of hits"),
            WrongAnswer(0.886, "one standard error", "one standard error above"),
            WrongAnswer(0.775, "smallest instead of largest", "worst of the twenty"),
            WrongAnswer(0.91, "median, quantile or rounded", "median winner"),
            WrongAnswer(0.063, "reports the excess", "exceeds the truth"),
        ],
    ),
    Exercise(
        name="conflict",
        title="Count the contradictions",
        level="stretch",
        difficulty=3,
        minutes=8,
        passes="only rows with two different promises count, out of the rows that some anchor speaks about",
        task="A bank collects anchors. Write `conflict(covered, labels)`: `covered` (k, n) says which of n applicants each of k anchors "
        "covers, `labels` (k,) what each anchor promises, 0 or 1. Return the share of applicants with two different promises, among those "
        "that at least one anchor covers.",
        hints=(
            "Sort the anchors into two heaps by what they promise. When is an applicant in trouble?",
            "`covered[labels == 1].any(axis=0)` says who is promised a 1 by anyone.",
        ),
        reference=conflict,
        check=_check_conflict,
        wrong=[
            WrongAnswer(_of_everyone, "divides by everyone", "out of the denominator"),
            WrongAnswer(_any_overlap, "counts every overlap", "promise the *same*"),
            WrongAnswer(_among_overlaps, "divides by overlaps", "two or more anchors"),
            WrongAnswer(_no_agreement, "returns the complement", "share without conflict"),
            WrongAnswer(_in_rows, "returns a count", "a number of rows"),
            WrongAnswer(_pairs, "counts pairs of anchors", "count rows"),
            WrongAnswer(_by_all, "asks for all anchors", "one on each side"),
        ],
        right=[_conflict_by_rows, _conflict_by_counts],
    ),
    Exercise(
        name="letter",
        title="Judge a letter to an applicant",
        level="core",
        difficulty=3,
        minutes=10,
        passes="you accept what the rule says about the model and reject what it does not",
        task="The bank writes to Mara: 'Your application was denied because of the rule IF annual_income_keur <= 31.1 AND prior_defaults >= 2 "
        'THEN deny.\' Which of these sentences hold? Give their letters, for example `"be"`. Then write two sentences that you would send.',
        hints=(
            "Ask of each sentence: is it about those who obey the rule, about those who do not, or about a change?",
            "Precision and coverage are shares under a distribution. Which one, and of whom?",
        ),
        claims={
            "a": Claim(
                "If Mara earned 32,000 euro, the model would accept her.",
                False,
                "An anchor says nothing about rows outside it. Leaving a rule is not crossing the boundary: ask for a counterfactual.",
            ),
            "b": Claim(
                "Rows drawn from the data, with these two features mended to obey the rule, are denied in at least 90 of 100 cases (said with "
                "95 % confidence).",
                True,
                "That is the promise: the lower bound on the precision, for this distribution, with the stated confidence.",
            ),
            "c": Claim(
                "Nine of ten denied applicants obey the rule.",
                False,
                "That would be recall. The rule covers about 3 % of the applicants and leaves most of the denied ones unexplained.",
            ),
            "d": Claim(
                "The rule does not mention the region, so the region played no part in the model's decision.",
                False,
                "The model reads the region; given the rule, it rarely changes the label. The score may still move.",
            ),
            "e": Claim(
                "With another perturbation distribution the same rule can have another precision.",
                True,
                "The chapter shows it with one rule and two distributions: a precision without its distribution means nothing.",
            ),
            "f": Claim(
                "People who obey the rule default in at least nine of ten cases.",
                False,
                "The precision is about the model's label, not about the outcome. A model can be reliably wrong.",
            ),
        },
        model_answer="With an income up to 31,100 euro and two or more past defaults, our model denies almost whatever the other entries "
        "are: in about 96 of 100 trials in which we drew the rest from other applicants. This tells you which two entries were enough; it does "
        "not tell you what to change, nor that a person with these entries will default.",
    ),
]

WARMUP = [
    Question(
        "LIME gives a weight to each feature near one applicant. What does it not tell you?",
        "For whom else the explanation holds.",
        "A linear fit has no border: you do not know where it stops being true. An anchor is a rule with a border.",
        {
            "In which direction a feature pushes.": "The sign of the weight says that, near this applicant.",
            "Which features matter here.": "That is what the weights are for, within their error.",
        },
    ),
    Question(
        "A share is estimated as 9 hits of 10 draws, another as 900 of 1,000. Which rule would you trust to reach 0.85?",
        "The second: its interval is about ten times narrower.",
        "Equal estimates, different evidence. Chapter 0 put intervals on scores for this reason.",
        {
            "Both alike: both are at 0.90.": "With 10 draws a rule of true share 0.6 shows 9 or 10 hits once in twenty times.",
            "The first: fewer draws, less to go wrong.": "Fewer draws mean a wider interval, whatever the estimate.",
        },
    ),
    Question(
        "Chapter 2 shuffled one column and asked the model about the rows that came out. What is the danger?",
        "Some of those rows cannot exist, and the model was never checked on them.",
        "Keep it in mind: the perturbation of this chapter mixes rows too.",
        {
            "The model changes.": "It is asked, not refitted.",
            "The rows are no longer independent.": "They need not be: the question is whether they exist.",
        },
    ),
]

QUIZ = [
    Question(
        "A rule has precision 0.96 and coverage 0.02. What does coverage say?",
        "Two in a hundred rows of the data obey the rule.",
        "It says how many people the explanation speaks about, not how many of the denied.",
        {
            "Two in a hundred rows are explained wrongly.": "Wrong ones are counted by precision: four in a hundred under the rule.",
            "Two in a hundred denied applicants obey it.": "Coverage is counted over everyone, denied or not.",
        },
    ),
    Question(
        "The search finds no anchor. What do you tell the applicant?",
        "That no short rule of this kind fixes the decision: it hangs on many features, is close, or the label is rare.",
        "That is information. A rule with ten conditions and coverage near zero is not.",
        {
            "The best rule that was tried, as if it held.": "Its precision was measured: it misses the threshold. Some packages do hand it "
            "out.",
            "That the model is broken.": "A linear model in many features has no short rule near its boundary, and works well.",
        },
    ),
    Question(
        "Why is the winner of the race tested again on fresh draws?",
        "It was chosen for its high estimate, so that estimate is too high on average.",
        "The exercise with twenty rules measures by how much.",
        {
            "Because the race uses too few draws to be exact.": "More draws shrink the effect, but choosing the maximum is what makes it.",
            "Because the model is random.": "The model is fixed. The draws are random, and the winner is the one with lucky draws.",
        },
    ),
    Question(
        "The same rule has precision 0.97 under the perturbation and 0.79 on the data. Which number is right?",
        "Both: they are shares of different rows.",
        "Name the distribution with the number. Tied features make the two part ways.",
        {
            "The second, since the data are real.": "It is right for the people who obey the rule as they are, not for what happens when the "
            "other entries are exchanged.",
            "The first, since the paper uses it.": "It answers the paper's question, and includes rows that may not exist.",
        },
    ),
    Question(
        "For 99.5 % of the applicants a fraud alarm stays silent. What is the anchor of a silent case at threshold 0.95?",
        "The empty rule: the model nearly always says so.",
        "Precision 0.995 without any condition. For the rare class the rule has to do all the work.",
        {
            "A long rule, because there are many reasons.": "No condition is needed to reach 0.95, so none is given.",
            "There is none, because nothing decides.": "The empty rule is an anchor, of coverage one. It only says nothing about this row.",
        },
    ),
]
