"""Exercises of chapter 16: a program by hand, its bound, a quantile that keeps a promise, prefixes, and what pivots prove."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from itertools import combinations, permutations
from typing import Any

import numpy as np

from xailib.exercises.engine import Claim, Exercise, Mistake, WrongAnswer
from xailib.exercises.questions import Question

# --- the program by hand ---


def best_assignment(
    A: np.ndarray, R: np.ndarray, n_features: int, n_per_class: int, kappa: float
) -> tuple[np.ndarray, np.ndarray]:
    """Kept features (n_f,) and classes W (C, n_f) with the largest Z, no two alike; A is (F, C), R (F, F) above the diagonal."""
    own = list(combinations(range(n_features), n_per_class))
    subsets = np.array([np.isin(np.arange(n_features), places) for places in own])
    classes, best, found = np.arange(A.shape[1]), -np.inf, None
    for kept in combinations(range(len(A)), n_features):
        paid = R[np.ix_(kept, kept)].sum()
        gain = kappa * subsets @ A[list(kept)]  # (subsets, classes)
        for taken in permutations(range(len(subsets)), len(classes)):  # no subset twice
            value = gain[list(taken), classes].sum() - paid
            if value > best:
                best, found = value, (np.array(kept), subsets[list(taken)])
    assert found is not None
    return found


@cache
def _subsets(n_features: int, n_per_class: int) -> np.ndarray:
    places = combinations(range(n_features), n_per_class)
    return np.array([[j in own for j in range(n_features)] for own in places])


@cache
def _permutations(n: int, k: int) -> np.ndarray:
    return np.array(list(permutations(range(n), k)))


def _search(
    A: np.ndarray, R: np.ndarray, n_features: int, n_per_class: int, b: np.ndarray | None = None
) -> tuple[float, np.ndarray, np.ndarray]:
    """Z, kept features and W: the best of all, kappa being contained in A."""
    subsets, C = _subsets(n_features, n_per_class), np.arange(A.shape[1])
    taken, best = _permutations(len(subsets), len(C)), (-np.inf, C, C)
    for kept in map(list, combinations(range(len(A)), n_features)):
        Z = (subsets @ A[kept])[taken, C].sum(axis=1)
        k = Z.argmax()
        total = float(Z[k] - R[np.ix_(kept, kept)].sum() + (0 if b is None else b[kept].sum()))
        if total > best[0]:
            best = total, np.array(kept), subsets[taken[k]]
    return best


def _assign_by_search(A: np.ndarray, R: np.ndarray, n_f: int, n_wc: int, kappa: float) -> tuple[np.ndarray, np.ndarray]:
    return _search(kappa * A, R, n_f, n_wc)[1:]


def _assign_by_matching(A: np.ndarray, R: np.ndarray, n_f: int, n_wc: int, kappa: float) -> list[Any]:
    """Unique subsets are a matching between classes and subsets; feature numbers backwards, W as whole numbers."""
    from scipy.optimize import linear_sum_assignment

    results: list[tuple[float, list[Any]]] = []
    for kept in combinations(range(len(A))[::-1], n_f):
        S = list(kept)
        gain = kappa * (A[S].T @ _subsets(n_f, n_wc).T)
        rows, columns = linear_sum_assignment(gain, maximize=True)
        s = np.isin(np.arange(len(A)), S)
        results.append((gain[rows, columns].sum() - s @ R @ s, [S, _subsets(n_f, n_wc)[columns].astype(int).tolist()]))
    return max(results, key=lambda found: found[0])[1]


def _alike(A: np.ndarray, R: np.ndarray, n_f: int, n_wc: int, kappa: float) -> tuple[np.ndarray, np.ndarray]:
    """Every class takes its best features, whoever else has them."""
    return _by_rule(A, R, n_f, n_wc, kappa, unique=False)


def _in_turn(A: np.ndarray, R: np.ndarray, n_f: int, n_wc: int, kappa: float) -> tuple[np.ndarray, np.ndarray]:
    """Every class in its turn takes its best subset that is left."""
    return _by_rule(A, R, n_f, n_wc, kappa, unique=True)


def _by_rule(A: np.ndarray, R: np.ndarray, n_f: int, n_wc: int, kappa: float, unique: bool) -> tuple[np.ndarray, np.ndarray]:
    results = []
    for kept in map(list, combinations(range(len(A)), n_f)):
        gain, taken = kappa * _subsets(n_f, n_wc) @ A[kept], []
        for c in range(A.shape[1]):
            ranked = [int(k) for k in np.argsort(-gain[:, c]) if not (unique and int(k) in taken)]
            taken.append(ranked[0])
        Z = gain[taken, range(A.shape[1])].sum() - R[np.ix_(kept, kept)].sum()
        results.append((Z, np.array(kept), _subsets(n_f, n_wc)[taken]))
    return max(results, key=lambda found: found[0])[1:]


def _features_first(A: np.ndarray, R: np.ndarray, n_f: int, n_wc: int, kappa: float) -> tuple[np.ndarray, np.ndarray]:
    kept = np.sort(np.argsort(-A.sum(axis=1))[:n_f])
    return kept, _search(A[kept], R[np.ix_(kept, kept)], n_f, n_wc)[2]


def _top_of_all(A: np.ndarray, R: np.ndarray, n_f: int, n_wc: int, kappa: float) -> tuple[np.ndarray, np.ndarray]:
    """Every class takes its best of all features, as if any number could be kept."""
    rank = np.argsort(np.argsort(-A, axis=0), axis=0).T
    full = rank < n_wc
    kept = np.flatnonzero(full.any(axis=0))
    return kept, full[:, kept]


def _all_columns(A: np.ndarray, R: np.ndarray, n_f: int, n_wc: int, kappa: float) -> tuple[np.ndarray, np.ndarray]:
    kept, W = _assign_by_search(A, R, n_f, n_wc, kappa)
    full = np.zeros((len(W), len(A)), dtype=bool)
    full[:, kept] = W
    return kept, full


def _positive_only(A: np.ndarray, R: np.ndarray, n_f: int, n_wc: int, kappa: float) -> tuple[np.ndarray, np.ndarray]:
    kept, W = _assign_by_search(A, R, n_f, n_wc, kappa)
    return kept, W & (A[kept].T > 0.3)


def _first_found(A: np.ndarray, R: np.ndarray, n_f: int, n_wc: int, kappa: float) -> tuple[np.ndarray, np.ndarray]:
    return np.arange(n_f), _subsets(n_f, n_wc)[: A.shape[1]]


_Programs = list[tuple[np.ndarray, np.ndarray, int, int, float]]

#: what a learner may have maximised instead: message -> answer
_OTHER_PROGRAMS: dict[str, Callable[..., tuple[np.ndarray, np.ndarray]]] = {
    "You left the redundancy out: two features that track the same classes cost R_ij when both are kept.": lambda A, R, f, w, k: (
        _assign_by_search(A, 0 * R, f, w, k)
    ),
    "You halved the redundancy. R is filled above the diagonal only, so a plain sum counts every pair once already.": (
        lambda A, R, f, w, k: _assign_by_search(A, R / 2, f, w, k)
    ),
    "You count the redundancy of every pair twice, as (i, j) and as (j, i).": lambda A, R, f, w, k: _assign_by_search(
        A, 2 * R, f, w, k
    ),
    "You added the redundancy to Z: it is a cost.": lambda A, R, f, w, k: _assign_by_search(A, -R, f, w, k),
    "kappa is missing, or it multiplies the redundancy, too, and then it has no effect. It belongs to the coverage alone.": (
        lambda A, R, f, w, k: _assign_by_search(A, R, f, w, 1.0)
    ),
    "You kept the features with the largest sums in A and assigned afterwards. Redundancy, and how many classes can use a feature, "
    "must have a say in what is kept: try every selection.": _features_first,
    "You let the classes choose in turn, first come, first served. A later class may lose more than an earlier one gains: try all.": (
        _in_turn
    ),
}


def _value(case: tuple[Any, ...], kept: np.ndarray, W: np.ndarray) -> float:
    A, R, _, _, kappa = case
    return float(kappa * (A[kept].T * W).sum() - R[np.ix_(kept, kept)].sum())


def _programs(rng: np.random.Generator) -> _Programs:
    """Tiny programs in which all wrong ideas, and the right one, lead to different values."""
    cases: _Programs = []
    values: list[list[float]] = []
    n_alike, sizes = 0, [(5, 3, 4, 2), (5, 2, 4, 3), (6, 2, 4, 2)]
    while len(cases) < 8 or (len(cases) < 40 and (n_alike < 2 or _some_equal(values))):
        F, C, n_f, n_wc = sizes[len(cases) % 3] if cases else (6, 3, 4, 2)
        A = rng.uniform(-0.3, 0.7, size=(F, 1)) + rng.uniform(-0.3, 0.3, size=(F, C))
        while not cases and (A.argsort(axis=0).argsort(axis=0) >= F - n_wc).any(axis=1).sum() <= n_f:
            A = rng.uniform(-0.4, 1, size=(F, C))  # in the first one the best features of all classes are too many to keep
        case = A, np.triu(rng.random((F, F)) ** 2 * 2, k=1), n_f, n_wc, float(rng.uniform(3, 6))
        values.append([_value(case, *solve(*case)) for solve in (_assign_by_search, *_OTHER_PROGRAMS.values())])
        n_alike += len(np.unique(_alike(*case)[1], axis=0)) < C
        cases.append(case)
    return cases


def _some_equal(values: list[list[float]]) -> bool:
    columns = np.array(values).round(6).T
    return len(np.unique(columns, axis=0)) < len(columns)


def _kept_and_classes(result: Any, case: tuple[Any, ...]) -> tuple[np.ndarray, np.ndarray]:
    """The two parts of an answer, feasible; or the constraint that is broken."""
    A, _, n_f, n_wc, _ = case
    if not isinstance(result, tuple | list) or len(result) != 2:
        raise Mistake("Return two things, the kept features and the assignment: `return selected, W`.")
    kept, W = np.asarray(result[0]), np.asarray(result[1])
    if kept.ndim == 2 and W.ndim == 1:
        raise Mistake("The two results have changed places: the kept features first, then W.")
    if kept.ndim != 1 or (kept.dtype.kind not in "iu") or len(set(kept.tolist())) != len(kept):
        raise Mistake("`selected` must hold different feature numbers, such as [0, 2, 3, 5].")
    if len(kept) != n_f:
        raise Mistake(
            f"You keep {len(kept)} features where {n_f} are allowed: all classes have to share one small stock, so they can not "
            "choose from all features."
        )
    C = A.shape[1]
    if W.shape == (n_f, C):
        raise Mistake(f"W is on its side: one row for each of the {C} classes, one column for each kept feature.")
    if W.shape == (C, len(A)):
        raise Mistake(f"W has a column for each of all {len(A)} features: give one for each *kept* feature, in their order.")
    if W.shape != (C, n_f) or not np.isin(W, (0, 1)).all():
        raise Mistake(f"W must hold True and False in the shape (classes, kept features), here ({C}, {n_f}), not {W.shape}.")
    W = W.astype(bool)
    if (W.sum(axis=1) != n_wc).any():
        raise Mistake(f"A class of yours has {W.sum(axis=1)[W.sum(axis=1) != n_wc][0]} features; each needs exactly {n_wc}.")
    if len(np.unique(W, axis=0)) < C:
        raise Mistake("Two of your classes have the same features: nothing could tell them apart. The best subset goes to one.")
    return kept, W


def _check_assign(answer: Callable[..., Any], rng: np.random.Generator) -> None:
    cases = _programs(rng)
    got = np.array([_value(case, *_kept_and_classes(answer(*case), case)) for case in cases])
    truth = np.array([_value(case, *_assign_by_search(*case)) for case in cases])
    if np.allclose(got, truth):
        return
    for message, wrong in _OTHER_PROGRAMS.items():
        if np.allclose(got, [_value(case, *wrong(*case)) for case in cases]):
            raise Mistake(message)
    k = int((truth - got).argmax())
    raise Mistake(
        f"All constraints hold, but your Z is {got[k]:.4f} where {truth[k]:.4f} can be had. Try every selection with every way to "
        "give the classes different subsets of it."
    )


# --- the bound ---


def upper_bound(a: np.ndarray, b: np.ndarray, n_features: int, n_per_class: int, prices: np.ndarray) -> float:
    """No Z is larger: a (C, F) is what class c gains from feature f, b (F,) its bias, prices (C,) are any numbers."""
    v = b + np.maximum(a - prices[:, None], 0).sum(axis=0)
    return float(n_per_class * prices.sum() + np.sort(v)[-n_features:].sum())


def _bound_by_partition(a: np.ndarray, b: np.ndarray, n_f: int, n_wc: int, prices: np.ndarray) -> np.floating:
    v = b + (a.T - prices).clip(0).sum(1)
    return n_wc * np.sum(prices) - np.partition(-v, n_f - 1)[:n_f].sum()


def _bound_by_loop(a: np.ndarray, b: np.ndarray, n_f: int, n_wc: int, prices: np.ndarray) -> float:
    v = [b[f] + sum(max(0.0, a[c, f] - prices[c]) for c in range(len(prices))) for f in range(len(b))]
    return sum(n_wc * price for price in prices) + sum(sorted(v, reverse=True)[:n_f])


def _dual(value: Callable[..., np.ndarray] | None = None, keep: Callable[..., float] | None = None) -> Callable[..., float]:
    """A bound with another worth of features, or another way to add them up."""

    def bound(a: np.ndarray, b: np.ndarray, n_f: int, n_wc: int, prices: np.ndarray) -> float:
        v = b + np.maximum(a.T - prices, 0).sum(axis=1) if value is None else value(a.T, b, prices)
        if keep is None:
            return float(n_wc * prices.sum() + np.sort(v)[-n_f:].sum())
        return float(keep(v, n_f, n_wc, prices))

    return bound


def _kept_by_coverage(a: np.ndarray, b: np.ndarray, n_f: int, n_wc: int, prices: np.ndarray) -> float:
    kept = np.argsort(a.sum(axis=0) + b)[-n_f:]
    return float(n_wc * prices.sum() + (b + np.maximum(a.T - prices, 0).sum(axis=1))[kept].sum())


#: message -> what was computed instead
_OTHER_BOUNDS: dict[str, Callable[..., float]] = {
    "The prices that the classes pay are missing: each of them pays its price n_wc times, and that is added back.": _dual(
        keep=lambda v, f, w, p: np.sort(v)[-f:].sum()
    ),
    "Every class has n_wc places and pays for each of them: n_wc times the sum of the prices, not once.": _dual(
        keep=lambda v, f, w, p: p.sum() + np.sort(v)[-f:].sum()
    ),
    "You charged n_f places per class; a class has n_wc.": _dual(keep=lambda v, f, w, p: f * p.sum() + np.sort(v)[-f:].sum()),
    "The sign of the prices: they are taken away inside v, so they come back with a plus.": _dual(
        keep=lambda v, f, w, p: -w * p.sum() + np.sort(v)[-f:].sum()
    ),
    "You took the n_f *smallest* v; sorting is ascending.": _dual(keep=lambda v, f, w, p: w * p.sum() + np.sort(v)[:f].sum()),
    "You added up v over all features. It is a bound, but a poor one: only n_f features can be kept.": _dual(
        keep=lambda v, f, w, p: w * p.sum() + v.sum()
    ),
    "You took the n_wc largest v: n_wc is for a class, n_f features are kept in all.": _dual(
        keep=lambda v, f, w, p: w * p.sum() + np.sort(v)[-w:].sum()
    ),
    "b is missing: what a feature is worth begins with its bias.": _dual(lambda a, b, p: np.maximum(a - p, 0).sum(axis=1)),
    "The max is missing: a class takes a feature only if it gains more than its price, so losses do not count.": _dual(
        lambda a, b, p: b + (a - p).sum(axis=1)
    ),
    "Your max stands outside the sum over classes: each class decides for itself, so cut each a - price at zero, then add.": _dual(
        lambda a, b, p: b + np.maximum((a - p).sum(axis=1), 0)
    ),
    "You put b into every class's max: a feature's bias counts once, not once per class.": _dual(
        lambda a, b, p: np.maximum(b[:, None] + a - p, 0).sum(axis=1)
    ),
    "You cut v at zero. It is a bound, but weaker than need be: exactly n_f features are kept, even at a loss.": _dual(
        lambda a, b, p: np.maximum(b + np.maximum(a - p, 0).sum(axis=1), 0)
    ),
    "You chose the features by a + b and took their v; the n_f largest *v* are asked for, whatever the selection will be.": (
        _kept_by_coverage
    ),
}


def _check_bound(answer: Callable[..., Any], rng: np.random.Generator) -> None:
    F, C, n_f, n_wc = 7, 3, 4, 2
    got, truth, best, all_cases = [], [], [], []
    for lowest in (-1.0, 0.0, 1.0):  # of the bias: the features are a loss in the first
        a, b = rng.normal(0.5, 1, size=(F, C)), rng.uniform(lowest - 0.5, lowest + 0.5, size=F)
        Z = _search(a, np.zeros((F, F)), n_f, n_wc, b)[0]
        for prices in (np.zeros(C), rng.normal(0.8, 0.4, size=C), rng.uniform(1, 2, size=C), np.full(C, 4.0), -rng.random(C)):
            case = a.T.copy(), b, n_f, n_wc, prices
            value = np.asarray(answer(*case), dtype=float)
            if value.shape != ():
                raise Mistake(f"A bound is one number, not an array of shape {value.shape}.")
            got.append(float(value))
            truth.append(upper_bound(*case))
            best.append(Z)
            all_cases.append(case)
    if np.allclose(got, truth):
        return
    below = np.flatnonzero(np.array(got) < np.array(best) - 1e-9)
    property_ = ""
    if len(below):
        k = int(below[0])
        p = "all prices 0" if not all_cases[k][4].any() else f"the prices {all_cases[k][4].round(2).tolist()}"
        property_ = f"With {p} your bound is {got[k]:.3f}, and there is a solution with Z = {best[k]:.3f}: no bound. "
    for message, wrong in _OTHER_BOUNDS.items():
        if np.allclose(got, [wrong(*case) for case in all_cases]):
            raise Mistake(property_ + message)
    if not property_:
        property_ = "Never below the optimum, but not the bound that was asked for. "
    raise Mistake(property_ + "Add n_wc times the sum of the prices to the n_f largest b_f + sum of max(0, a_cf - price_c).")


# --- a quantile that keeps a promise ---


def quantile(scores: np.ndarray, alpha: float) -> float:
    """The ceil((n + 1)(1 - alpha))-th smallest of n calibration scores, infinite if there is none."""
    rank = int(np.ceil((len(scores) + 1) * (1 - alpha)))  # counted from 1
    return float(np.sort(scores)[rank - 1]) if rank <= len(scores) else np.inf


def _quantile_with_infinity(scores: np.ndarray, alpha: float) -> float:
    """As if the new picture had come with the largest score of all."""
    return np.sort([*scores, np.inf])[len(scores) - int((len(scores) + 1) * alpha)]


def _quantile_by_inverted_cdf(scores: np.ndarray, alpha: float) -> Any:
    import math

    n = len(scores)
    level = math.ceil((n + 1) * (1 - alpha)) / n
    return np.array(float("inf")) if level > 1 else np.quantile(scores, level, method="inverted_cdf")


def _ranked(rank: Callable[[int, float], float], order: Callable[[np.ndarray], np.ndarray] = np.sort) -> Callable[..., float]:
    """A quantile with another rank, or in another order."""

    def quantile(scores: np.ndarray, alpha: float) -> float:
        k = int(rank(len(scores), alpha))
        return float(order(scores)[k - 1]) if k <= len(scores) else np.inf

    return quantile


def _rank(n: int, alpha: float) -> float:
    return np.ceil((n + 1) * (1 - alpha))


def _interpolated(level: Callable[[int, float], float], method: Any = "linear") -> Callable[..., float]:
    return lambda scores, alpha: float(np.quantile(scores, min(1.0, level(len(scores), alpha)), method=method))


_LINE_OF_TUTORIALS = _interpolated(lambda n, alpha: _rank(n, alpha) / n, "higher")

#: message -> what was computed instead
_OTHER_QUANTILES: dict[str, Callable[..., float]] = {
    "`np.quantile` interpolates between scores, and its 1 - alpha is about the scores you have. The promise is about one score more: "
    "take a place in the sorted list.": _interpolated(lambda n, alpha: 1 - alpha),
    "The rounding up is misplaced, as in the package that the released code uses: ceil must enclose the product (n + 1)(1 - alpha), "
    "and nothing may be interpolated.": _interpolated(lambda n, alpha: (n + 1) * (1 - alpha) / n),
    "The rank is right, but `np.quantile` interpolates on the way to it. Sort and take that place.": _interpolated(
        lambda n, alpha: _rank(n, alpha) / n
    ),
    '`method="higher"` takes place ceil(q (n - 1)) counted from 0: one further than the rank. Sets become too large, and many '
    "tutorials have this line.": _LINE_OF_TUTORIALS,
    "You ranked among n scores. The new picture's score is one of n + 1 that could come in any order: n + 1.": _ranked(
        lambda n, alpha: np.ceil(n * (1 - alpha))
    ),
    "One place too far: a rank counted from 1 is an index counted from 0.": _ranked(lambda n, alpha: _rank(n, alpha) + 1),
    "You rounded down or to the nearest. Half a score can not be covered: round up.": _ranked(
        lambda n, alpha: np.floor((n + 1) * (1 - alpha))
    ),
    "You rounded to the nearest whole rank; only rounding up keeps the promise.": _ranked(
        lambda n, alpha: round((n + 1) * (1 - alpha))
    ),
    "That is the rank for alpha. alpha is the share of *misses*: 1 - alpha of the scores must stay below.": _ranked(
        lambda n, alpha: np.ceil((n + 1) * alpha)
    ),
    "You counted from the largest score down: strange classes have large scores, so the threshold lies high.": _ranked(
        _rank, lambda s: np.sort(s)[::-1]
    ),
    "The scores come in the order of the pictures: sort them first.": _ranked(_rank, lambda s: s),
    "9 scores and alpha = 0.1: the rank is exactly 9, and the largest score still keeps the promise, 9/10. Only a rank above n has no "
    "score.": lambda scores, alpha: np.inf if _rank(len(scores), alpha) >= len(scores) else quantile(scores, alpha),
    "That is the rank; return the score that has this rank.": lambda scores, alpha: _rank(len(scores), alpha),
}


def _one_number(value: Any) -> float:
    number = np.asarray(value, dtype=float)
    if number.shape != ():
        raise Mistake(f"A threshold is one number, not an array of shape {number.shape}.")
    return float(number)


def _check_quantile(answer: Callable[..., Any], rng: np.random.Generator) -> None:
    sizes = [(19, 0.1), (20, 0.1), (40, 0.125), (30, 0.2), (7, 0.25), (23, 0.3), (17, 0.2), (9, 0.1)]
    while len(sizes) < 14:
        n, alpha = int(rng.integers(25, 60)), float(rng.uniform(0.06, 0.3))
        rank = int(_rank(n, alpha))
        if (
            np.quantile(np.arange(1, n + 1), rank / n, method="inverted_cdf") == rank
        ):  # right, but for rounding errors of rank / n
            sizes.append((n, alpha))
    cases = [(rng.normal(size=n), alpha) for n, alpha in sizes]
    got = [_threshold(answer, *case) for case in cases]
    if not np.allclose(got, [quantile(*case) for case in cases]):
        broken = _broken_promise(cases, got)
        for message, wrong in _OTHER_QUANTILES.items():
            if np.allclose(got, [wrong(*case) for case in cases]):
                raise Mistake(broken + message)
        raise Mistake(broken + "Sort, and take the ceil((n + 1)(1 - alpha))-th score, counted from 1.")
    _check_few_scores(answer, rng)


def _threshold(answer: Callable[..., Any], scores: np.ndarray, alpha: float) -> float:
    """The answer as a number; an index beyond the last score counts as infinite."""
    try:
        return _one_number(answer(scores, alpha))
    except Mistake as error:
        if "IndexError" not in str(error):
            raise
        return np.inf


def _broken_promise(cases: list[tuple[np.ndarray, float]], got: list[float]) -> str:
    """A new score is equally likely to fall into any of the n + 1 gaps; so what was promised can be counted."""
    for (scores, alpha), threshold in zip(cases, got, strict=True):
        n, below = len(scores), int((scores <= threshold).sum())
        if below / (n + 1) < 1 - alpha - 1e-9:
            return f"{below} of {n} scores lie at or below yours, so a new one does with probability {below}/{n + 1}, not {1 - alpha:.2f}. "
    return ""


def _check_few_scores(answer: Callable[..., Any], rng: np.random.Generator) -> None:
    """With so few scores that none has the rank, nothing short of infinity can be promised."""
    for n, alpha in ((8, 0.1), (5, 0.05)):
        scores = rng.normal(size=n)
        fact = f"{n} scores and alpha = {alpha}: the rank is {n + 1}, but there is no such score"
        try:
            few = _one_number(answer(scores, alpha))
        except Mistake as error:
            raise Mistake(f"{fact}. {error} Return np.inf there.") from error
        if few == scores.max():
            raise Mistake(
                f"{fact}. You clipped to the largest, which promises {n}/{n + 1} only. Nothing short of infinity will do."
            )
        if few != np.inf:
            raise Mistake(f"{fact}: return np.inf, not {few:.3g}.")


# --- the classes that begin alike ---


def same_beginning(f: np.ndarray, W: np.ndarray, n: int) -> np.ndarray:
    """Which classes (C,) share the first n ordered features with the predicted class; one picture's f (n_f,), W (C, n_f) bool."""
    order = np.argsort(np.where(W, -f, np.inf), axis=1, kind="stable")  # own features first, the strongest first of all
    predicted = (W @ f).argmax()
    return (order[:, :n] == order[predicted, :n]).all(axis=1)


def _beginning_by_lists(f: np.ndarray, W: np.ndarray, n: int) -> list[bool]:
    paths = [sorted(np.flatnonzero(own).tolist(), key=lambda j: (-f[j], j)) for own in W]
    best = max(range(len(W)), key=lambda c: sum(f[paths[c]]))
    return [path[:n] == paths[best][:n] for path in paths]


def _beginning_by_sets(f: np.ndarray, W: np.ndarray, n: int) -> np.ndarray:
    """One picture orders all features once, so equal first n features come in equal order."""
    rank = np.empty(len(f), dtype=int)
    rank[np.lexsort((np.arange(len(f)), -f))] = np.arange(len(f))
    firsts = [set(np.sort(rank[own.astype(bool)])[:n].tolist()) for own in W]
    return np.array([first == firsts[np.argmax(W.astype(float) @ f)] for first in firsts]).astype(int)


def _beginning(order: Callable[..., np.ndarray], shift: int = 0) -> Callable[..., np.ndarray]:
    """The beginning with another order, or another length."""

    def beginning(f: np.ndarray, W: np.ndarray, n: int) -> np.ndarray:
        own, m = order(f, W), max(0, n + shift)
        return (own[:, :m] == own[(W @ f).argmax(), :m]).all(axis=1)

    return beginning


def _own_order(f: np.ndarray, W: np.ndarray) -> np.ndarray:
    return np.argsort(np.where(W, -f, np.inf), axis=1, kind="stable")[:, : int(W[0].sum())]


def _shared_anywhere(f: np.ndarray, W: np.ndarray, n: int) -> Any:
    return (W & W[(W @ f).argmax()]).sum(axis=1) >= n


def _strongest_of_picture(f: np.ndarray, W: np.ndarray, n: int) -> Any:
    return W[:, np.argsort(-f, kind="stable")[:n]].all(axis=1)


def _has_predicted_beginning(f: np.ndarray, W: np.ndarray, n: int) -> Any:
    """Owns the first n features of the predicted class, whatever comes first for itself."""
    return W[:, _own_order(f, W)[(W @ f).argmax(), :n]].all(axis=1)


def _nth_alone(f: np.ndarray, W: np.ndarray, n: int) -> Any:
    order = _own_order(f, W)
    return order[:, n - 1] == order[(W @ f).argmax(), n - 1]


def _places_alike(f: np.ndarray, W: np.ndarray, n: int) -> Any:
    order = _own_order(f, W)
    return (order == order[(W @ f).argmax()]).sum(axis=1) >= n


def _without_predicted(f: np.ndarray, W: np.ndarray, n: int) -> np.ndarray:
    return same_beginning(f, W, n) & (np.arange(len(W)) != (W @ f).argmax())


#: message -> what was computed instead
_OTHER_BEGINNINGS: dict[str, Callable[..., np.ndarray]] = {
    "You count shared features wherever they stand. A class that shares n features but begins with a stronger one of its own has "
    "left already.": _shared_anywhere,
    "You took the n strongest features of the picture; the path belongs to the predicted class, and it may not own them.": (
        _strongest_of_picture
    ),
    "You ask whether a class *owns* the first n features of the prediction. It must also begin with them: one of its own may be "
    "stronger.": _has_predicted_beginning,
    "You compared the n-th feature alone; all before it must agree, too.": _nth_alone,
    "You count places that agree; after the first difference a class has left and does not come back.": _places_alike,
    "One level too far: you compared n + 1 features.": _beginning(_own_order, 1),
    "You compared n - 1 features; `order[:, :n]` holds n of them.": _beginning(_own_order, -1),
    "Ties: features of equal strength must come in the order of their numbers. Reversing an ascending sort turns them round; sort "
    '-f with kind="stable".': _beginning(lambda f, W: np.argsort(np.where(W, f, -np.inf), axis=1, kind="stable")[:, ::-1]),
    "Features that a class does not own have taken part in its order: as 0 they tie with own features that are not active. Put them "
    "behind all others.": _beginning(lambda f, W: np.argsort(-(f * W), axis=1, kind="stable")),
    "You began with the weakest features; the first is the strongest.": _beginning(
        lambda f, W: np.argsort(np.where(W, f, np.inf), axis=1, kind="stable")
    ),
    "The predicted class itself is missing: it begins like itself.": _without_predicted,
    "You compared the order of all features of the picture; it is the same for every class. Each class orders its own.": (
        _beginning(lambda f, W: np.tile(np.argsort(-f, kind="stable"), (len(W), 1)))
    ),
}


def _families(rng: np.random.Generator, n_classes: int, n_features: int, n_per_class: int) -> np.ndarray:
    """Random classes, often one feature away from an earlier one, no two alike."""
    rows: list[tuple[int, ...]] = []
    while len(rows) < n_classes:
        own = set(rng.permutation(n_features)[:n_per_class].tolist())
        if rows and rng.random() < 0.6:
            own = set(rows[rng.integers(len(rows))])
            own.remove(int(rng.choice(sorted(own))))
            own.add(int(rng.choice(sorted(set(range(n_features)) - own))))
        row = tuple(sorted(own))
        if row not in rows and len(row) == n_per_class:
            rows.append(row)
    return np.array([np.isin(np.arange(n_features), row) for row in rows])


def _pictures(rng: np.random.Generator) -> list[tuple[np.ndarray, np.ndarray, int]]:
    """Pictures with many zeros and equal activations, so that some predictions tie as well."""
    tables = [_families(rng, 10, 9, n_wc) for n_wc in (3, 4, 3, 4)]
    cases = [_led_astray(rng, n) for n in (1, 2, 3)]
    while len(cases) < 80:
        W = tables[len(cases) % 4]
        f = np.maximum(rng.integers(-3, 4, size=9), 0) / 2
        cases.append((f, W, 1 + int(rng.integers(W[0].sum()))))
    return cases


def _led_astray(rng: np.random.Generator, n: int) -> tuple[np.ndarray, np.ndarray, int]:
    """Classes that own the first features of the prediction, but begin with one of their own, or end in other zeros."""
    f = np.array([0.0, 1.5, 1.5, 0.0, 1.0, 2.0, 0.0, 0.0])
    own = [[1, 2, 7], [1, 2, 6], [1, 6, 7], [4, 6, 7]] if n == 3 else [[1, 2, 4], [1, 3, 5], [1, 2, 7], [3, 5, 6]]
    W = np.array([np.isin(np.arange(8), features) for features in own])
    return f, W[rng.permutation(4)], n


def _check_level(answer: Callable[..., Any], rng: np.random.Generator) -> None:
    cases = _pictures(rng)
    got = [_one_per_class(answer(*case), len(case[1])) for case in cases]
    truth = [same_beginning(*case) for case in cases]
    differ = [k for k in range(len(cases)) if not np.array_equal(got[k], truth[k])]
    if differ:
        for message, wrong in _OTHER_BEGINNINGS.items():
            if all(np.array_equal(g, wrong(*case)) for g, case in zip(got, cases, strict=True)):
                raise Mistake(message)
        k = differ[0]
        found, expected = (np.flatnonzero(row).tolist() for row in (got[k], truth[k]))
        raise Mistake(
            f"You find classes {found} at level {cases[k][2]} where it should be {expected}. Sort each class's own features, the strongest "
            "first, and compare the first n with those of the class with the largest sum."
        )
    for f, W, _ in cases[:5]:
        if not _one_per_class(answer(f, W, 0), len(W)).all():
            raise Mistake("Level 0 asks for no common feature at all, so it holds every class.")


def _one_per_class(result: Any, n_classes: int) -> np.ndarray:
    chosen = np.asarray(list(result) if isinstance(result, set) else result)
    if chosen.shape != (n_classes,) or not np.isin(chosen, (0, 1)).all():
        raise Mistake(
            f"Return True or False for each of the {n_classes} classes, shape ({n_classes},), not a list of their numbers."
        )
    return chosen.astype(bool)


# --- why excluded classes must be infinitely strange ---


def classes_saved() -> float:
    """How many classes leave three sets of a 20-class model when an excluded class scores +inf instead of 0."""
    calibration = [-3.1, -2.4, -1.7, -1.2, -0.9, -0.4, 0.0, 0.0]  # and a ninth whose true class is excluded
    pictures = [[-2.0, -0.5, 0.0], [-1.0], [-1.5, 0.0]]  # scores of the classes that are not excluded
    classes = {}
    for excluded in (0.0, np.inf):
        threshold = np.sort([*calibration, excluded])[8 - 1]  # rank ceil((9 + 1) * 0.8) = 8
        sets = [np.array(own + [excluded] * (20 - len(own))) <= threshold for own in pictures]
        classes[excluded] = sum(int(chosen.sum()) for chosen in sets)
    return float(classes[0.0] - classes[np.inf])


def _check_excluded(answer: float, rng: np.random.Generator) -> None:
    named = {
        0.0: "You find no difference. Either you believed that 0, the largest score there is, is strange enough, or you took the ninth "
        "score for the threshold. The rank is 8, the threshold is 0, and what is *at most* 0 is in the set.",
        60.0: "That is what the sets hold when excluded classes score 0: everything, three times 20. How many of these stay with +inf?",
        6.0: "That is what the sets hold with +inf. How many were there with 0?",
        18.0: "That is the difference for one picture on average; all three together are asked for.",
        -54.0: "The sign: the sets *shrink* when excluded classes score +inf, and the number of classes that leave is asked for.",
        56.0: "In one of your two counts a class that scores exactly 0 is left out. The rule is s <= threshold, both times.",
        57.0: "You kept the predicted class alone. Three more classes are not excluded, and their scores are at most the threshold, 0.",
        4.0: "With `<` instead of `<=` only classes below 0 are kept, and true classes that score exactly 0 are lost.",
        20.0: "That is what each set holds when excluded classes score 0: all 20. How many classes leave the three sets together?",
        2.0: "That is what a set holds on average with +inf. The number of classes that leave is asked for, over all three.",
    }
    for value, message in named.items():
        if abs(answer - value) < 1e-6:
            raise Mistake(message)
    if abs(answer - classes_saved()) > 1e-6:
        raise Mistake(
            "For each of the two rules: sort nine scores, take the eighth, and count the scores of 3 x 20 classes up to it."
        )


# --- the share of contrastive pairs ---


def contrastive_share(W: np.ndarray) -> float:
    """Share of all pairs of classes that have all features but one in common; W is (C, n_f) bool."""
    W = W.astype(int)  # a product of boolean tables is boolean
    shared = W @ W.T
    return float((shared[np.triu_indices(len(W), k=1)] == W[0].sum() - 1).mean())


def _share_by_loop(W: np.ndarray) -> float:
    pairs = [(c, d) for c in range(len(W)) for d in range(c)]
    return sum(int((W[c] != W[d]).sum()) == 2 for c, d in pairs) / len(pairs)


def _share_by_distance(W: np.ndarray) -> np.floating:
    from scipy.spatial.distance import pdist

    return np.mean(np.isclose(pdist(W.astype(float), "cityblock"), 2))


def _of_shared(rule: Callable[..., Any]) -> Callable[..., float]:
    """A wrong share, from the table of how many features classes share."""
    return lambda W: float(rule(W.astype(int) @ W.astype(int).T, int(W[0].sum()), len(W)))


def _above(shared: np.ndarray) -> np.ndarray:
    return shared[np.triu_indices(len(shared), k=1)]


#: message -> what was computed instead
_OTHER_SHARES: dict[str, Callable[..., float]] = {
    "The product of two boolean tables is boolean, so it says *whether* classes share something, not how much. Turn W into whole "
    "numbers first.": lambda W: float((_above(W.astype(bool) @ W.astype(bool).T) == W[0].sum() - 1).mean()),
    "Always zero: two classes with all features but one in common differ in *two* places of W, since each has a feature that the other "
    "lacks.": lambda W: 0.0,
    "The diagonal is in your mean: a class is no pair with itself.": _of_shared(lambda s, w, C: (s == w - 1).mean()),
    "You accept n_wc - 1 *or more* on the whole table, and so every class pairs with itself.": _of_shared(
        lambda s, w, C: (s >= w - 1).mean()
    ),
    "Half: you counted each pair once but divided by ordered pairs, C (C - 1).": _of_shared(
        lambda s, w, C: (_above(s) == w - 1).sum() / (C * (C - 1))
    ),
    "You counted each pair once, above the diagonal, but divided by all C x C entries of the table.": _of_shared(
        lambda s, w, C: (_above(s) == w - 1).sum() / C**2
    ),
    "Twice too much: you counted (c, d) and (d, c), but divided by the number of pairs without order.": _of_shared(
        lambda s, w, C: (s == w - 1).sum() / (C * (C - 1) / 2)
    ),
    "That is pairs per class, as the density rho counts them. Divide by the number of pairs.": _of_shared(
        lambda s, w, C: (_above(s) == w - 1).sum() / C
    ),
    "That is the share of *classes* with such a partner. A few pairs can serve all classes, so it says little about pairs.": _of_shared(
        lambda s, w, C: (s == w - 1).any(axis=1).mean()
    ),
    "You count pairs that share anything at all: all features but one are asked for.": _of_shared(
        lambda s, w, C: (_above(s) > 0).mean()
    ),
    "You ask for n_wc common features; two classes never have all of them in common.": _of_shared(
        lambda s, w, C: (s == w).sum() / (C * (C - 1))
    ),
    "You count pairs that share n_wc - 2: classes of n_wc features that differ in one swap share n_wc - 1.": _of_shared(
        lambda s, w, C: (_above(s) == w - 2).mean()
    ),
    "That is the number of pairs; divide it by how many pairs there are.": _of_shared(lambda s, w, C: (_above(s) == w - 1).sum()),
    "That is in percent: give the share, between 0 and 1.": lambda W: 100 * contrastive_share(W),
    "You compare with 3, which is n_wc - 1 in this chapter only: take n_wc from W.": _of_shared(
        lambda s, w, C: (_above(s) == 3).mean()
    ),
    "W @ W.T compares classes; W.T @ W compares features.": lambda W: float(
        (_above(W.T.astype(int) @ W.astype(int)) == W[0].sum() - 1).mean()
    ),
}


def _check_pairs(answer: Callable[..., Any], rng: np.random.Generator) -> None:
    tables = [_families(rng, int(rng.integers(9, 15)), 12, n_wc) for n_wc in (4, 3, 5, 2)]
    got = []
    for W in tables:
        value = np.asarray(answer(W), dtype=float)
        if value.shape != ():
            raise Mistake(f"One share for all pairs is asked for, not an array of shape {value.shape}.")
        got.append(float(value))
    if np.allclose(got, [contrastive_share(W) for W in tables]):
        return
    for message, wrong in _OTHER_SHARES.items():
        if np.allclose(got, [wrong(W) for W in tables]):
            raise Mistake(message)
    C = len(tables[0])
    raise Mistake(
        f"{C} classes form {C * (C - 1) // 2} pairs, of which {contrastive_share(tables[0]) * C * (C - 1) / 2:.0f} share all features but one; "
        f"you say {got[0]:.4f}."
    )


EXERCISES = [
    Exercise(
        name="assign",
        title="Solve a tiny program by brute force",
        level="core",
        difficulty=3,
        minutes=15,
        passes="random tiny programs get a feasible assignment with the largest Z",
        task=(
            "Write `best_assignment(A, R, n_features, n_per_class, kappa)`. `A` (F, C) says how well each feature tracks each class; `R` (F, F), filled above the "
            "diagonal only, what it costs to keep two features together. Keep exactly `n_features` features and make each class of exactly `n_per_class` of "
            "them, no two classes alike, so that **Z = kappa · sum of A over all features of all classes − sum of R over all pairs kept** is largest. Return "
            "`selected` (n_f,), the kept feature numbers, and `W` (C, n_f), True where a class has a kept feature. There are no similar pairs here."
        ),
        hints=(
            "There are only few selections: `itertools.combinations`. For one selection, how many subsets are there for the classes to choose from?",
            "No two classes alike means that a subset is handed out once at most. Which function of `itertools` hands things out in order, each once?",
        ),
        reference=best_assignment,
        check=_check_assign,
        wrong=[
            WrongAnswer(_top_of_all, "classes choose from all features", "features where 4 are allowed"),
            WrongAnswer(_alike, "no uniqueness", "have the same features"),
            WrongAnswer(_positive_only, "takes good features only", "each needs exactly"),
            WrongAnswer(lambda A, R, f, w, k: _assign_by_search(A, 0 * R, f, w, k), "no redundancy", "left the redundancy out"),
            WrongAnswer(lambda A, R, f, w, k: _assign_by_search(A, R / 2, f, w, k), "halves the redundancy", "You halved"),
            WrongAnswer(lambda A, R, f, w, k: _assign_by_search(A, R + R, f, w, k), "pairs counted twice", "of every pair twice"),
            WrongAnswer(lambda A, R, f, w, k: _assign_by_search(A, -R, f, w, k), "redundancy as a gain", "it is a cost"),
            WrongAnswer(lambda A, R, f, w, k: _assign_by_search(A, R, f, w, 1), "no kappa, or on both terms", "kappa is missing"),
            WrongAnswer(_features_first, "keeps the largest row sums", "the largest sums in A"),
            WrongAnswer(_in_turn, "first come, first served", "choose in turn"),
            WrongAnswer(_first_found, "any feasible answer", "All constraints hold, but"),
            WrongAnswer(_all_columns, "W over all features", "a column for each of all"),
            WrongAnswer(
                lambda *case: (_assign_by_search(*case)[0], _assign_by_search(*case)[1].T), "W transposed", "W is on its side"
            ),
            WrongAnswer(lambda *case: _assign_by_search(*case)[::-1], "results in the other order", "two results have changed"),
            WrongAnswer(lambda *case: _value(case, *_assign_by_search(*case)), "returns Z", "Return two things"),
        ],
        right=[_assign_by_search, _assign_by_matching],
    ),
    Exercise(
        name="bound",
        title="Prove that nobody can do better",
        level="core",
        difficulty=3,
        minutes=10,
        passes="your bound is never below the optimum, whatever the prices, and it is the one of the formula",
        task=(
            "Write `upper_bound(a, b, n_features, n_per_class, prices)`: `a` (C, F) is what class c gains from feature f (kappa is in it already), `b` (F,) what keeping f "
            "adds, `prices` (C,) what a class pays for each of its places. There is no redundancy. Return the Lagrangian upper bound on Z: **n_wc times the sum "
            "of the prices, plus the n_f largest v_f**, where v_f = b_f plus, over all classes, max(0, a_cf − price_c)."
        ),
        hints=(
            "What is a feature worth if every class may decide by itself whether it buys it? Which axis is left over?",
            "Try prices 0: then every class takes whatever gains something, and the bound must be far above any Z. Two different numbers, n_f and n_wc: which belongs where?",
        ),
        reference=upper_bound,
        check=_check_bound,
        wrong=[
            WrongAnswer(_dual(keep=lambda v, f, w, p: np.sort(v)[-f:].sum()), "no prices paid", "is added back"),
            WrongAnswer(_dual(keep=lambda v, f, w, p: p.sum() + np.sort(v)[-f:].sum()), "one place per class", "not once"),
            WrongAnswer(_dual(keep=lambda v, f, w, p: f * p.sum() + np.sort(v)[-f:].sum()), "n_f for n_wc", "charged n_f places"),
            WrongAnswer(
                _dual(keep=lambda v, f, w, p: np.sort(v)[-f:].sum() - w * p.sum()), "sign of the prices", "come back with a plus"
            ),
            WrongAnswer(_dual(keep=lambda v, f, w, p: w * p.sum() + np.sort(v)[:f].sum()), "smallest", "sorting is ascending"),
            WrongAnswer(_dual(keep=lambda v, f, w, p: w * p.sum() + v.sum()), "all features", "over all features. It is"),
            WrongAnswer(_dual(keep=lambda v, f, w, p: w * p.sum() + np.sort(v)[-w:].sum()), "n_wc for n_f", "the n_wc largest v"),
            WrongAnswer(_dual(lambda a, b, p: np.maximum(a - p, 0).sum(axis=1)), "forgets b", "b is missing"),
            WrongAnswer(_dual(lambda a, b, p: b + (a - p).sum(axis=1)), "no max", "The max is missing"),
            WrongAnswer(
                _dual(lambda a, b, p: b + np.maximum((a - p).sum(axis=1), 0)), "max of the sum", "stands outside the sum"
            ),
            WrongAnswer(
                _dual(lambda a, b, p: np.maximum(b[:, None] + a - p, 0).sum(axis=1)),
                "b in every class",
                "once, not once per class",
            ),
            WrongAnswer(
                _dual(lambda a, b, p: np.maximum(b + np.maximum(a - p, 0).sum(axis=1), 0)), "cuts v at zero", "even at a loss"
            ),
            WrongAnswer(_kept_by_coverage, "chooses before pricing", "by a + b"),
            WrongAnswer(
                lambda a, b, f, w, p: _search(a.T, np.zeros((len(b), len(b))), f, w, b)[0],
                "returns the optimum",
                "not the bound that",
            ),
            WrongAnswer(lambda a, b, f, w, p: b + np.maximum(a.T - p, 0).sum(axis=1), "returns v", "one number, not an array"),
        ],
        right=[_bound_by_partition, _bound_by_loop],
    ),
    Exercise(
        name="quantile",
        title="Choose the threshold that keeps the promise",
        level="core",
        difficulty=2,
        minutes=8,
        passes="random scores get the right threshold, and too few scores get an infinite one",
        task=(
            "Write `quantile(scores, alpha)`: n calibration scores in any order, and the share of misses `alpha`. Return the **ceil((n + 1)(1 − alpha))-th smallest "
            "score**, and `np.inf` if there are fewer scores than that."
        ),
        hints=(
            "A new score comes beside n old ones. In how many places of the sorted list can it land, and are they equally likely?",
            "Count ranks from 1, indices from 0. What does a list do when you ask for place n + 1, and what should your function do?",
        ),
        reference=quantile,
        check=_check_quantile,
        wrong=[
            WrongAnswer(lambda s, alpha: np.quantile(s, 1 - alpha), "plain quantile", "interpolates between scores"),
            WrongAnswer(
                lambda s, alpha: np.quantile(s, min(1, np.ceil(len(s) + 1) * (1 - alpha) / len(s))),
                "ceil misplaced",
                "rounding up is misplaced",
            ),
            WrongAnswer(
                lambda s, alpha: np.quantile(s, min(1, np.ceil((len(s) + 1) * (1 - alpha)) / len(s))),
                "interpolates at the right level",
                "interpolates on the way",
            ),
            WrongAnswer(_LINE_OF_TUTORIALS, "method higher", "one further than the rank"),
            WrongAnswer(_ranked(lambda n, alpha: np.ceil(n * (1 - alpha))), "n for n + 1", "You ranked among n scores"),
            WrongAnswer(_ranked(lambda n, alpha: _rank(n, alpha) + 1), "index for rank", "One place too far"),
            WrongAnswer(_ranked(lambda n, alpha: int((n + 1) * (1 - alpha))), "rounds down", "Half a score"),
            WrongAnswer(_ranked(lambda n, alpha: round((n + 1) * (1 - alpha))), "rounds to the nearest", "nearest whole rank"),
            WrongAnswer(_ranked(lambda n, alpha: np.ceil((n + 1) * alpha)), "alpha for 1 - alpha", "share of *misses*"),
            WrongAnswer(_ranked(_rank, lambda s: -np.sort(-s)), "from the largest down", "from the largest score down"),
            WrongAnswer(_ranked(_rank, lambda s: s), "does not sort", "order of the pictures"),
            WrongAnswer(lambda s, alpha: _rank(len(s), alpha), "returns the rank", "That is the rank; return"),
            WrongAnswer(
                lambda s, alpha: np.sort(s)[min(len(s), int(_rank(len(s), alpha))) - 1], "clips to the largest", "You clipped"
            ),
            WrongAnswer(
                lambda s, alpha: np.sort(s)[int(_rank(len(s), alpha)) - 1], "stops at small samples", "Return np.inf there"
            ),
            WrongAnswer(
                lambda s, alpha: np.inf if _rank(len(s), alpha) >= len(s) else quantile(s, alpha),
                "gives up too early",
                "still keeps the promise",
            ),
            WrongAnswer(
                lambda s, alpha: np.nan_to_num(quantile(s, alpha), posinf=0.0),
                "zero for infinite",
                "return np.inf, not",
            ),
            WrongAnswer(lambda s, alpha: s.mean(), "the mean", "Sort, and take the"),
        ],
        right=[_quantile_with_infinity, _quantile_by_inverted_cdf],
    ),
    Exercise(
        name="level",
        title="Find the classes that begin alike",
        level="core",
        difficulty=3,
        minutes=10,
        passes="random pictures with many zeros and ties get the right level sets",
        task=(
            "Write `same_beginning(f, W, n)` for one picture: activations `f` (n_f,), none negative, and `W` (C, n_f) bool, as many features for every class. Each class "
            "orders **its own** features by activation, the strongest first, equal ones by feature number. The predicted class has the largest sum of its features (of equal ones the first). Return "
            "True or False for each class, (C,): does it share the first `n` ordered features with the predicted class?"
        ),
        hints=(
            "What would you have to put in place of the activation of a feature that a class does not own, so that it never comes first? 0 is not enough.",
            'After ReLU many activations are exactly 0. `np.argsort` with kind="stable" keeps equal ones in order, if you sort upwards. How do you get the strongest first?',
        ),
        reference=same_beginning,
        check=_check_level,
        wrong=[
            WrongAnswer(_shared_anywhere, "shared anywhere", "wherever they stand"),
            WrongAnswer(_strongest_of_picture, "strongest of the picture", "strongest features of the picture; the path"),
            WrongAnswer(_has_predicted_beginning, "owns them, in any place", "whether a class *owns*"),
            WrongAnswer(_nth_alone, "n-th feature alone", "n-th feature alone"),
            WrongAnswer(_places_alike, "counts equal places", "does not come back"),
            WrongAnswer(_beginning(_own_order, 1), "one level too far", "One level too far"),
            WrongAnswer(_beginning(_own_order, -1), "one level too few", "You compared n - 1"),
            WrongAnswer(
                _beginning(lambda f, W: np.argsort(np.where(W, f, -1), axis=1, kind="stable")[:, ::-1]), "ties reversed", "Ties:"
            ),
            WrongAnswer(
                _beginning(lambda f, W: np.argsort(W * -f, axis=1, kind="stable")),
                "features not owned as 0",
                "tie with own features",
            ),
            WrongAnswer(
                _beginning(lambda f, W: np.argsort(np.where(W, f, 99.0), axis=1, kind="stable")),
                "weakest first",
                "with the weakest",
            ),
            WrongAnswer(_without_predicted, "leaves out the prediction", "begins like itself"),
            WrongAnswer(lambda f, W, n: np.full(len(W), True), "one order for all", "Each class orders its own"),
            WrongAnswer(lambda f, W, n: np.flatnonzero(same_beginning(f, W, n)), "class numbers", "not a list of their numbers"),
            WrongAnswer(lambda f, W, n: np.arange(len(W)) == (W @ f).argmax(), "prediction alone", "You find classes"),
            WrongAnswer(lambda f, W, n: same_beginning(f, W, n) & (n > 0), "level 0 is empty", "so it holds every class"),
        ],
        right=[_beginning_by_lists, _beginning_by_sets],
    ),
    Exercise(
        name="excluded",
        title="Predict what a zero lets in",
        level="core",
        difficulty=3,
        minutes=8,
        passes="your number of classes is exact",
        task=(
            "A class that shares the first n_limit features with the prediction scores at most 0, the stranger, the higher. A class that leaves earlier is *excluded*. The released "
            "code gives it 0: no class scores higher. Is that strange enough?\n\n"
            "Nine calibration pictures: the true classes score −3.1, −2.4, −1.7, −1.2, −0.9, −0.4, 0, 0, and the ninth is excluded. (The two zeros are not: their remaining "
            "features are just not active.) With alpha = 0.2 the threshold is the 8th smallest. Three new pictures of a model with 20 classes: in the first, three classes are not "
            "excluded and score −2.0, −0.5 and 0; in the second one, −1.0; in the third two, −1.5 and 0. A set holds all classes whose score is at most the threshold. **How many "
            "classes fewer do the three sets hold together if excluded classes score +inf instead of 0**, in calibration and in the new pictures? Write down your guess, then compute."
        ),
        hints=(
            "Write down the threshold for both rules. It is a score of the list; which one?",
            "Now ask of an excluded class the only question that counts: is its score at most the threshold? Ask it for 0 and for +inf.",
        ),
        reference=classes_saved,
        check=_check_excluded,
        wrong=[
            WrongAnswer(0.0, "0 is strange enough", "You find no difference"),
            WrongAnswer(60.0, "size of the sets with 0", "three times 20"),
            WrongAnswer(6.0, "size of the sets with +inf", "hold with +inf"),
            WrongAnswer(18.0, "mean over the pictures", "one picture on average"),
            WrongAnswer(-54.0, "the other sign", "The sign"),
            WrongAnswer(56.0, "strict comparison with +inf", "In one of your two counts"),
            WrongAnswer(57.0, "keeps the prediction alone", "kept the predicted class alone"),
            WrongAnswer(4.0, "strict comparison", "instead of `<=`"),
            WrongAnswer(20.0, "size of one set with 0", "all 20. How many"),
            WrongAnswer(2.0, "size of one set with +inf", "on average with +inf"),
            WrongAnswer(33.0, "guesses", "For each of the two rules"),
        ],
        right=[54, np.array(54.0)],
    ),
    Exercise(
        name="contrast",
        title="Read what tells two siblings apart",
        level="core",
        difficulty=3,
        minutes=8,
        passes="each of the seven claims is judged right",
        task=(
            "An invented network knows three classes: **acorn finch**, made of features 1, 2, 3, 4; **bramble finch**, of 1, 2, 3, 5; **fern jay**, of 1, 6, 7, 8. The score of a class is "
            "the sum of its features. In one picture features 1 to 8 are 2.0, 1.5, 0.5, 1.2, 0.3, 1.1, 0.9 and 0.0. The contrastive page shows feature 4 on the wings of acorn finches, so "
            "somebody has named it 'plain wings'. Which claims hold? Hand in the letters, such as `'ac'`. Then write three sentences for the ranger: why acorn finch, and not bramble finch?"
        ),
        hints=(
            "Compute all three scores before you judge what happens to one of them; there is a third class in this network.",
            "For the tree, write down each finch's four features in the order of this picture. Where is the pivot in it?",
        ),
        claims={
            "a": Claim(
                "Features 1, 2 and 3 are what makes a finch: no class but the two finches has any of them.",
                False,
                "the fern jay has feature 1. What a pair shares is not kept from others; only the whole subsets must differ.",
            ),
            "b": Claim(
                "Whatever features 1, 2 and 3 are, the acorn finch scores above the bramble finch as long as feature 4 is above feature 5.",
                True,
                "the three common features cancel in the difference of the two scores, and feature 4 minus feature 5 is left.",
            ),
            "c": Claim(
                "A feature that both finches share can not change the prediction, because it cancels.",
                False,
                "it cancels between the finches. Take feature 2 away, and the acorn finch falls to 3.7, below the fern jay's 4.0.",
            ),
            "d": Claim(
                "If feature 4 were 0.2 and all else as it is, the network would say bramble finch.",
                True,
                "the scores would be 4.2, 4.3 and 4.0: below 0.3, feature 4 loses against feature 5, and the jay is still behind.",
            ),
            "e": Claim(
                "The finches share three features, so in this picture's tree they part after three levels.",
                False,
                "the orders are 1, 2, 4, 3 and 1, 2, 3, 5: the pivot 4 is stronger than feature 3, so they part after two levels.",
            ),
            "f": Claim(
                "Feature 4 is active, so the network has seen plain wings in this picture.",
                False,
                "a map that lies on wings says where, not what. The name was given by a reader; take the wings away, or exchange them, and measure.",
            ),
            "g": Claim(
                "The score of the acorn finch is 5.2, and no part of it comes from features 5 to 8.",
                True,
                "2.0 + 1.5 + 0.5 + 1.2: the head adds four numbers with weight one, without a bias, and that is all.",
            ),
        },
        model_answer=(
            "Both finches have three of four features in common, so only one feature on either side decides between them: feature 4 is 1.2 here and feature 5 is 0.3. Had feature 4 been "
            "below 0.3, with all else the same, the network would have said bramble finch. We call feature 4 'plain wings' because its map lies there; whether plain wings switch it on, only "
            "redrawn birds can tell."
        ),
    ),
    Exercise(
        name="pairs",
        title="Count the pairs that one feature tells apart",
        level="stretch",
        difficulty=2,
        minutes=7,
        passes="random assignments with 2 to 5 features a class get the right share",
        task=(
            "A paper says that its classes can be told apart by a single feature. For how many pairs is that true? Write `contrastive_share(W)` for `W` (C, n_f) bool, every class with as "
            "many features, no two alike: the share of **all pairs of classes**, each counted once, that have all features but one in common. Then measure your network: was it 'most pairs'?"
        ),
        hints=(
            "Which product of W with itself counts common features? What does it hold on its diagonal, and how often does it hold each pair?",
            "Multiply two tables of True and False in NumPy and look at the type of what comes out.",
        ),
        reference=contrastive_share,
        check=_check_pairs,
        wrong=[
            WrongAnswer(lambda W: (_above(W @ W.T) == W[0].sum() - 1).mean(), "boolean product", "product of two boolean"),
            WrongAnswer(
                lambda W: float(np.mean([(W[c] != W[d]).sum() == 1 for c, d in combinations(range(len(W)), 2)])),
                "differ in one place",
                "differ in *two* places",
            ),
            WrongAnswer(_of_shared(lambda s, w, C: (s == w - 1).mean()), "diagonal in the mean", "diagonal is in your mean"),
            WrongAnswer(_of_shared(lambda s, w, C: (s >= w - 1).mean()), "at least, with the diagonal", "*or more* on the whole"),
            WrongAnswer(
                _of_shared(lambda s, w, C: (_above(s) == w - 1).sum() / (C * (C - 1))),
                "divides by ordered pairs",
                "divided by ordered pairs",
            ),
            WrongAnswer(_of_shared(lambda s, w, C: (_above(s) == w - 1).sum() / C**2), "whole table", "all C x C entries"),
            WrongAnswer(
                _of_shared(lambda s, w, C: (s == w - 1).sum() / (C * (C - 1) / 2)), "counts ordered pairs", "Twice too much"
            ),
            WrongAnswer(_of_shared(lambda s, w, C: (_above(s) == w - 1).sum() / C), "pairs per class", "as the density rho"),
            WrongAnswer(_of_shared(lambda s, w, C: (s == w - 1).any(axis=1).mean()), "share of classes", "share of *classes*"),
            WrongAnswer(_of_shared(lambda s, w, C: (_above(s) > 0).mean()), "any common feature", "anything at all"),
            WrongAnswer(_of_shared(lambda s, w, C: (s == w).sum() / (C * (C - 1))), "all features", "all of them in common"),
            WrongAnswer(_of_shared(lambda s, w, C: (_above(s) == w - 2).mean()), "n_wc - 2", "share n_wc - 2"),
            WrongAnswer(
                _of_shared(lambda s, w, C: (_above(s) == w - 1).sum()), "returns the count", "That is the number of pairs"
            ),
            WrongAnswer(lambda W: 100 * contrastive_share(W), "percent", "in percent"),
            WrongAnswer(_of_shared(lambda s, w, C: (_above(s) == 3).mean()), "n_wc typed in", "You compare with 3"),
            WrongAnswer(
                lambda W: (_above((W.T * 1) @ (W * 1)) == W[0].sum() - 1).mean(), "pairs of features", "compares features"
            ),
            WrongAnswer(lambda W: 0.05, "typed in", "you say"),
            WrongAnswer(lambda W: (W * 1) @ W.T, "returns the table", "not an array of shape"),
        ],
        right=[_share_by_loop, _share_by_distance],
    ),
]

WARMUP = [
    Question(
        "Chapter 14: every score is exactly the mean of its evidence map. What does that leave open?",
        "Why the evidence is there: what in the picture made it",
        "An exact head explains the arithmetic after the features. Today's head is simpler still, and the question stays.",
        {
            "Nothing: the model explains itself": "It explains how evidence becomes a score. The layers before the evidence are as dark as ever.",
            "How much each cell adds to the score": "That is just what an exact head tells you: its value over the number of cells.",
        },
    ),
    Question(
        "Chapter 8: a map lies on a bird's crest. How do you find out whether the network's answer depends on the crest?",
        "Redraw the same bird without its crest and read the score again",
        "An intervention changes the crest and nothing else. Where a map lies is a hint about where to look.",
        {
            "Measure how much of the map lies on the crest": "A map can lie on a part that changes nothing, beside a small one that decides.",
            "Look at more pictures of birds with crests": "Crests come together with species, landscapes and other parts; looking does not separate them.",
        },
    ),
    Question(
        "Chapter 9: 79 random sets of pictures have a score each, and one more meaningless set comes. How likely is it that its score is the largest of all?",
        "1/80",
        "It is one of 80 that could have come in any order, so each is equally likely to be the largest. Mind the 80: today's promise rests on it.",
        {
            "1/79": "The new set is one more: 80 scores can be the largest.",
            "It depends on how the scores are distributed": "Not as long as all come from the same source and none tie: only the order counts.",
        },
    ),
]

QUIZ = [
    Question(
        "The binary head is wrong for many pictures before fine-tuning and almost never afterwards. What has changed?",
        "The features: the head stays frozen, and the maps move until they fit it",
        "A solver decides which features a class *has*; what a feature *means* is decided by the training afterwards.",
        {
            "The head: it has learned better features for each class": "The assignment is frozen. Not one of its zeros and ones changes.",
            "Nothing but the scale of the features": "Mean and scale are frozen, too. The layers that make the maps have learned.",
        },
    ),
    Question(
        "You put random prices into the Lagrangian bound and get a number. What do you know?",
        "No assignment has a larger Z; good prices would only say it more sharply",
        "Every choice of prices is a proof. Searching for prices makes the bound tight, not true.",
        {
            "Nothing until the prices are optimal": "The bound holds for any prices. Bad ones make it loose, never false.",
            "Some assignment reaches this Z": "A bound from above promises no solution. Compare it with one that you have: that is the gap.",
        },
    ),
    Question(
        "Contrastiveness is 99.7 %. What does that prove about the features?",
        "Little, until you know what features without any labels score",
        "Zeros of a ReLU form a heap of their own, so chance features score nearly as much. A metric needs a control.",
        {
            "That each of them separates some classes from the others": "The metric never looks at a label: it asks whether values fall into two heaps.",
            "That 99.7 % of the pairs of classes differ in one feature": "That is another number, the share of contrastive pairs, and it is small.",
        },
    ),
    Question(
        "A network is right in 95 % of its pictures, and 90 % are promised. The released rule allows no level to stay open: all scores are 0, and so is the threshold. Which sets come out?",
        "All classes with 'at most', none with 'below'",
        "If everybody scores 0, a threshold can not choose. Excluded classes need a score above all others, such as +inf.",
        {
            "The predicted class alone": "It scores 0, but so do the 19 excluded ones: no threshold can separate them.",
            "Sets that hold the truth nine times out of ten": "They hold it always or never, depending on a sign of comparison.",
        },
    ),
    Question(
        "At the same promised coverage the hierarchical sets are larger than plain threshold sets. What speaks for them?",
        "Each set comes with its reason: the features that all its classes begin with",
        "Size is what it costs. Whether the classes in a set belong together is to be measured against the plain sets, not assumed.",
        {
            "They contain the truth more often": "Both are calibrated to the same promise; a fair comparison holds coverage fixed.",
            "Their classes must be more alike": "They share features of the network, which need not be likeness in the world. Measure it beside the plain sets.",
        },
    ),
]
