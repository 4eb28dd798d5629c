"""Exercises of chapter 5: shares by orders and by subsets, books that balance, kernels, axioms, and two quarrels to settle."""

from __future__ import annotations

from collections.abc import Callable
from itertools import permutations
from math import comb, factorial
from typing import Any

import numpy as np

from xailib.exercises.engine import Claim, Exercise, Mistake, WrongAnswer
from xailib.exercises.questions import Question
from xailib.worlds._tabular import exact_shapley
from xailib.worlds.toys import glove

Function = Callable[..., Any]
Worth = Callable[[np.ndarray], np.ndarray]


def _numbers(value: Any) -> np.ndarray:
    """The answer as an array of finite numbers, or a sentence."""
    try:
        values = np.asarray(value, dtype=float)
    except (TypeError, ValueError) as error:
        raise Mistake(f"Numbers must come out, not {value!r:.60}.") from error
    if not np.isfinite(values).all():
        raise Mistake("Some of your numbers are infinite or not a number: look for a division by zero.")
    return values


def _shaped(value: Any, shape: tuple[int, ...], what: str) -> np.ndarray:
    values = _numbers(value)
    if values.shape != shape:
        raise Mistake(f"{what} must come out, an array of shape {shape}, not {values.shape}.")
    return values


def _all_coalitions(p: int) -> np.ndarray:
    """Every coalition of p players as a boolean row, nobody first and everybody last."""
    return (np.arange(2**p)[:, None] >> np.arange(p)) % 2 == 1


def _random_game(p: int, rng: np.random.Generator) -> Worth:
    """Worths drawn anew for every coalition; nobody is worth something too, as in a model."""
    worths = rng.normal(2.0, 1.0, 2**p)
    return lambda coalitions: worths[np.atleast_2d(np.asarray(coalitions, dtype=bool)) @ 2 ** np.arange(p)]


# the books balance ------------------------------------------------------------------------------------------------------


def efficiency_gap(values: np.ndarray, base_value: float, prediction: np.ndarray) -> np.ndarray:
    """What the explanation leaves unexplained, one number per instance: the shortfall is positive."""
    return prediction - base_value - values.sum(axis=1)


def _gap_by_loop(values: np.ndarray, base_value: float, prediction: np.ndarray) -> list[float]:
    return [float(f - (base_value + sum(row))) for f, row in zip(prediction, values, strict=True)]


def _gap_by_product(values: np.ndarray, base_value: float, prediction: np.ndarray) -> np.ndarray:
    return -(np.column_stack([values, np.full(len(values), base_value), -prediction]) @ np.ones(values.shape[1] + 2))


def _check_gap(answer: Function, rng: np.random.Generator) -> None:
    n, p, base = 40, 6, float(rng.uniform(0.5, 2))
    values = rng.normal(size=(n, p))
    prediction = base + values.sum(axis=1)
    stolen = values.copy()
    thief = int(rng.integers(p))
    stolen[:, thief] -= 0.2 + 0.1 * rng.random(n)
    stolen[::3, thief] += 0.7 + 0.01 * rng.random(len(stolen[::3]))  # some rows get too much instead
    truth = efficiency_gap(stolen, base, prediction)
    found = _numbers(answer(stolen, base, prediction))
    if found.shape == (p,):
        raise Mistake(
            f"You returned one number per feature for {n} instances: sum along the feature axis, keep the instances apart."
        )
    if found.ndim == 0 or found.size == 1:
        raise Mistake(f"You returned one number for {n} instances: a gap in one row must not hide behind the others.")
    if found.shape != (n,):
        raise Mistake(f"{n} instances go in, so {n} gaps must come out, not an array of shape {found.shape}.")
    named = {
        "Your gap still holds the base value: an explanation starts counting from the average prediction, not from zero.": truth + base,
        "You counted the base value with the wrong sign: it stands on the side of the explanation.": truth + 2 * base,
        "You return a surplus where the shortfall is asked for: prediction first.": -truth,
        "The size is right and the sign is lost: a shortfall and an excess are different bugs.": np.abs(truth),
        "You left the prediction out: what should base value and shares add up to?": truth - prediction,
        "You averaged the shares; they are parts of a whole, so add them up.": prediction - base - stolen.mean(axis=1),
    }  # fmt: skip
    for message, wrong in named.items():
        if np.allclose(found, wrong, atol=1e-9):
            raise Mistake(message)
    if np.allclose(found, 0):
        raise Mistake("Your books always balance, even after we took 0.2 from one feature of every row.")
    if np.allclose(found, truth, atol=0.06) and not np.allclose(found, truth, atol=1e-9):
        raise Mistake("Do not round: small gaps in a few rows are how a real bug in a famous package shows itself.")
    if not np.allclose(found, truth, atol=1e-9):
        raise Mistake("The numbers differ: take the base value and the sum of each row's shares from its prediction.")
    if not np.allclose(_numbers(answer(values, base, prediction)), 0, atol=1e-9):
        raise Mistake("These values add up exactly, and you still find a gap.")


# one order --------------------------------------------------------------------------------------------------------------


def one_order(worth: Worth, order: np.ndarray) -> np.ndarray:
    """What each player adds on joining, in the place of the player's own number."""
    p = len(order)
    present, shares = np.zeros(p, dtype=bool), np.zeros(p)
    before = worth(present[None])[0]
    for player in order:
        present[player] = True
        after = worth(present[None])[0]
        shares[player] = after - before
        before = after
    return shares


def _one_order_at_once(worth: Worth, order: np.ndarray) -> np.ndarray:
    arrival = np.argsort(order)
    coalitions = arrival[None, :] < np.arange(len(order) + 1)[:, None]  # row k: the first k players of the order
    return np.diff(worth(coalitions))[arrival]


def _one_order_by_places(worth: Worth, order: np.ndarray) -> list[float]:
    place = {int(player): k for k, player in enumerate(order)}
    p = len(order)

    def first(k: int) -> float:
        return float(worth(np.array([[place[j] < k for j in range(p)]]))[0])

    return [first(place[j] + 1) - first(place[j]) for j in range(p)]


def _in_order_of_arrival(worth: Worth, order: np.ndarray) -> np.ndarray:
    return one_order(worth, order)[order]


def _running_totals(worth: Worth, order: np.ndarray) -> np.ndarray:
    arrival = np.argsort(order)
    return worth(arrival[None, :] <= np.arange(len(order))[:, None])[arrival]


def _from_zero(worth: Worth, order: np.ndarray) -> np.ndarray:
    shares = one_order(worth, order)
    shares[order[0]] += worth(np.zeros((1, len(order)), dtype=bool))[0]
    return shares


def _each_alone(worth: Worth, order: np.ndarray) -> np.ndarray:
    return worth(np.eye(len(order), dtype=bool)) - worth(np.zeros((1, len(order)), dtype=bool))[0]


def _each_last(worth: Worth, order: np.ndarray) -> np.ndarray:
    return worth(np.ones((1, len(order)), dtype=bool))[0] - worth(~np.eye(len(order), dtype=bool))


def _ignores_order(worth: Worth, order: np.ndarray) -> np.ndarray:
    return one_order(worth, np.arange(len(order)))


def _inverse_order(worth: Worth, order: np.ndarray) -> np.ndarray:
    return one_order(worth, np.argsort(order))


def _inverse_rooms(worth: Worth, order: np.ndarray) -> np.ndarray:
    """Fills the rooms by the inverse of the order, and lists the steps by the order."""
    shares = np.empty(len(order))
    shares[order] = np.diff(worth(order[None, :] < np.arange(len(order) + 1)[:, None]))
    return shares


def _from_the_back(worth: Worth, order: np.ndarray) -> np.ndarray:
    return one_order(worth, order[::-1])


def _check_one_order(answer: Function, rng: np.random.Generator) -> None:
    p = 5
    worth = _random_game(p, rng)
    order = rng.permutation(p)
    while (order == np.argsort(order)).any() or (order == np.arange(p)).any():  # tell an order from its inverse
        order = rng.permutation(p)
    values = _shaped(answer(worth, order), (p,), "One share per player")
    named = {
        "Right numbers in another order: you list them by arrival, and place j must hold the share of player j.": _in_order_of_arrival,
        "These are the worths of the growing coalitions: a share is what the worth *rose by* when the player joined.": _running_totals,
        "Your first player earned what nobody had: the empty room is worth something too, so start from there.": _from_zero,
        "You let every player join an empty room: later ones meet those who came before.": _each_alone,
        "You let every player join last: the first one meets nobody.": _each_last,
        "You let them join as 0, 1, 2, ...: `order` says who comes first.": _ignores_order,
        "`order[k]` is *who* comes at place k, not the place of player k.": _inverse_order,
        "Your rooms read `order` as the places of the players: `order[k]` is who comes at place k.": _inverse_rooms,
        "You let them join from the back: `order[0]` is the first to arrive.": _from_the_back,
        "Leaving is not joining: you took the worth before minus the worth after.": lambda worth, order: -one_order(worth, order),
    }  # fmt: skip
    for message, wrong in named.items():
        if np.allclose(values, wrong(worth, order), atol=1e-9):
            raise Mistake(message)
    if not np.allclose(values, one_order(worth, order), atol=1e-9):
        raise Mistake("The numbers differ: start with nobody, let them in one after the other, note by how much the worth rises.")


# weights of coalitions --------------------------------------------------------------------------------------------------


def shapley_weights(p: int) -> np.ndarray:
    """Weight of one coalition of s others, s = 0 to p - 1: the chance to find exactly them in the room."""
    return np.array([1 / (p * comb(p - 1, s)) for s in range(p)])


def _weights_by_factorials(p: int) -> list[float]:
    return [factorial(s) * factorial(p - 1 - s) / factorial(p) for s in range(p)]


def _weights_by_recursion(p: int) -> np.ndarray:
    w = np.empty(p)
    w[0] = 1 / p
    for s in range(1, p):
        w[s] = w[s - 1] * s / (p - s)
    return w


def _kernel_weights(p: int) -> np.ndarray:
    """Those of the regression, which have none for the empty coalition."""
    return np.array([0.0] + [(p - 1) / (comb(p, s) * s * (p - s)) for s in range(1, p)])


def _check_weights(answer: Function, rng: np.random.Generator) -> None:
    p = int(rng.integers(5, 9))
    values = _numbers(answer(p))
    if values.shape != (p,):
        raise Mistake(
            f"A player of {p} can meet 0 to {p - 1} others: {p} weights must come out, not an array of shape {values.shape}."
        )
    named: dict[str, Any] = {
        "You gave every coalition the same weight. That is the Banzhaf value: shares by it need not add up.": np.full(
            p, 2.0 ** (1 - p)
        ),
        "This is the chance of meeting s others at all. Many coalitions have s members: share it among them.": np.full(p, 1 / p),
        "You share among coalitions of one size, and forget to average over the sizes: divide by p.": p * shapley_weights(p),
        "You chose the s members among all p players; the player who joins is not among them.": np.array(
            [1 / (p * comb(p, s)) for s in range(p)]
        ),
        "You counted orders and did not divide by their number, p!.": shapley_weights(p) * factorial(p),
        "Those are the weights of the *regression*; here a player joins, and nobody (s = 0) is a room like others.": _kernel_weights(
            p
        ),
        "These are the weights of all coalitions of a size together; one coalition is asked for.": np.array(
            [comb(p - 1, s) / 2 ** (p - 1) for s in range(p)]
        ),
    }
    for message, wrong in named.items():
        if np.allclose(values, wrong, atol=1e-12):
            raise Mistake(message)
    coalitions = np.array([comb(p - 1, s) for s in range(p)])
    if abs(values @ coalitions - 1) > 1e-9:
        raise Mistake("Your weights, times the number of coalitions of each size, do not add up to 1: an average must.")
    if not np.allclose(values, shapley_weights(p), atol=1e-12):
        raise Mistake("They add up, but not every size has the same total: in a random order every place is equally likely.")
    one = _numbers(answer(1))
    if one.shape != (1,) or abs(one[0] - 1) > 1e-12:
        raise Mistake("With a single player the only coalition, nobody, has weight 1.")


# the kernel -------------------------------------------------------------------------------------------------------------


def kernel_shap(coalitions: np.ndarray, worths: np.ndarray, v_empty: float, v_full: float) -> np.ndarray:
    """Weighted least squares with the books balanced: the last share is what the others leave over."""
    p = coalitions.shape[1]
    s = coalitions.sum(axis=1)
    w = np.array([(p - 1) / (comb(p, k) * k * (p - k)) for k in s])
    total = v_full - v_empty
    Z = coalitions.astype(float)
    A, b = Z[:, :-1] - Z[:, -1:], worths - v_empty - Z[:, -1] * total
    shares = np.linalg.solve(A.T @ (w[:, None] * A), A.T @ (w * b))
    return np.append(shares, total - shares.sum())


def _kernel_by_lagrange(coalitions: np.ndarray, worths: np.ndarray, v_empty: float, v_full: float) -> np.ndarray:
    p = coalitions.shape[1]
    sizes = coalitions.sum(axis=1).astype(int)
    w = np.array([(p - 1) / (comb(p, k) * k * (p - k)) for k in sizes])
    Z = coalitions * 1.0
    left = np.block([[Z.T @ (w[:, None] * Z), np.ones((p, 1))], [np.ones((1, p)), np.zeros((1, 1))]])
    right = np.append(Z.T @ (w * (worths - v_empty)), v_full - v_empty)
    return np.linalg.solve(left, right)[:p]


def _kernel_by_null_space(coalitions: np.ndarray, worths: np.ndarray, v_empty: float, v_full: float) -> np.ndarray:
    from scipy.linalg import null_space

    p = coalitions.shape[1]
    equal = np.full(p, (v_full - v_empty) / p)
    free = null_space(np.ones((1, p)))
    s = coalitions.sum(axis=1)
    root = np.sqrt([1 / (comb(p, int(k)) * k * (p - k)) for k in s])
    target = worths - v_empty - coalitions @ equal
    return equal + free @ np.linalg.lstsq(root[:, None] * (coalitions @ free), root * target, rcond=None)[0]


def _unweighted(coalitions: np.ndarray, worths: np.ndarray, v_empty: float, v_full: float) -> np.ndarray:
    return _constrained(coalitions, worths - v_empty, np.ones(len(worths)), v_full - v_empty)


def _size_weights_only(coalitions: np.ndarray, worths: np.ndarray, v_empty: float, v_full: float) -> np.ndarray:
    p, s = coalitions.shape[1], coalitions.sum(axis=1)
    return _constrained(coalitions, worths - v_empty, (p - 1) / (s * (p - s)), v_full - v_empty)


def _unconstrained(coalitions: np.ndarray, worths: np.ndarray, v_empty: float, v_full: float) -> np.ndarray:
    p = coalitions.shape[1]
    root = np.sqrt([(p - 1) / (comb(p, int(k)) * k * (p - k)) for k in coalitions.sum(axis=1)])
    return np.linalg.lstsq(root[:, None] * coalitions, root * (worths - v_empty), rcond=None)[0]


def _rescaled(coalitions: np.ndarray, worths: np.ndarray, v_empty: float, v_full: float) -> np.ndarray:
    free = _unconstrained(coalitions, worths, v_empty, v_full)
    return free * (v_full - v_empty) / free.sum()


def _squared_weights(coalitions: np.ndarray, worths: np.ndarray, v_empty: float, v_full: float) -> np.ndarray:
    p = coalitions.shape[1]
    w = np.array([(p - 1) / (comb(p, int(k)) * k * (p - k)) for k in coalitions.sum(axis=1)])
    return _constrained(coalitions, worths - v_empty, w**2, v_full - v_empty)


def _keeps_the_level(coalitions: np.ndarray, worths: np.ndarray, v_empty: float, v_full: float) -> np.ndarray:
    return kernel_shap(coalitions, worths + v_empty, v_empty, v_full)


def _sums_to_the_prediction(coalitions: np.ndarray, worths: np.ndarray, v_empty: float, v_full: float) -> np.ndarray:
    return kernel_shap(coalitions, worths - v_empty, 0.0, v_full)


def _sampling_chance(coalitions: np.ndarray, worths: np.ndarray, v_empty: float, v_full: float) -> np.ndarray:
    p = coalitions.shape[1]
    w = np.array([1 / (p * comb(p - 1, int(k))) for k in coalitions.sum(axis=1)])
    return _constrained(coalitions, worths - v_empty, w, v_full - v_empty)


def _constrained(coalitions: np.ndarray, target: np.ndarray, w: np.ndarray, total: float) -> np.ndarray:
    """Weighted least squares with a fixed sum, for any weights."""
    Z = coalitions.astype(float)
    A, b = Z[:, :-1] - Z[:, -1:], target - Z[:, -1] * total
    root = np.sqrt(w)
    shares = np.linalg.lstsq(root[:, None] * A, root * b, rcond=None)[0]
    return np.append(shares, total - shares.sum())


def _check_kernel(answer: Function, rng: np.random.Generator) -> None:
    p = 6
    game, everyone = _random_game(p, rng), _all_coalitions(p)
    worths = game(everyone)
    middle = everyone[1:-1]
    given = (middle, worths[1:-1], float(worths[0]), float(worths[-1]))
    values = _shaped(answer(*given), (p,), "One share per player")
    named = {
        "All coalitions count the same in your fit: the kernel trusts the very small and the very large ones more.": _unweighted,
        "Your weights depend on s (p - s) alone: a middle size has many coalitions and must share, so divide by comb(p, s).": _size_weights_only,
        "Your shares do not add up to v_full - v_empty: build the sum in as a constraint, do not hope for it.": _unconstrained,
        "Your shares add up to v_full: they must add up to what is *above* the empty coalition.": _sums_to_the_prediction,
        "You stretched a free fit until it added up: build the sum into the fit, as a constraint.": _rescaled,
        "Your weights are squared: `lstsq` squares the rows, so multiply them by the *root* of the weight.": _squared_weights,
        "Those are the weights of Shapley's sum over subsets; the regression needs the kernel.": _sampling_chance,
    }  # fmt: skip
    for message, wrong in named.items():
        if np.allclose(values, wrong(*given), atol=1e-8):
            raise Mistake(message)
    if abs(values.sum() - (worths[-1] - worths[0])) > 1e-6:
        raise Mistake(f"Your shares add up to {values.sum():.3f} instead of {worths[-1] - worths[0]:.3f}: v_full minus v_empty.")
    if not np.allclose(values, exact_shapley(game, p), atol=1e-6):
        raise Mistake("With all coalitions the fit must give the Shapley values, and yours are others: check the weights.")
    some = rng.choice(len(middle), 30, replace=False)
    part = (middle[some], given[1][some], given[2], given[3])
    thirty = _shaped(answer(*part), (p,), "One share per player")
    if np.allclose(thirty, _keeps_the_level(*part), atol=1e-8):
        raise Mistake(
            "Subtract `v_empty` from the worths. With all coalitions a constant cancels, with thirty of them it does not."
        )
    if not np.allclose(thirty, kernel_shap(*part), atol=1e-6):
        raise Mistake("Right with all coalitions, wrong with thirty of them: fit the coalitions that were handed in.")


# how many orders --------------------------------------------------------------------------------------------------------

STANDARD_ERROR = 0.01


def orders_needed() -> int:
    """Random orders until the standard error of the right glove's mean contribution is at most 0.01."""
    game = glove()
    contributions = [one_order(game.value, np.array(order))[2] for order in permutations(range(3))]
    variance = np.var(contributions)  # over all six orders: the whole population
    return int(np.ceil(variance / STANDARD_ERROR**2 - 1e-9))


def _check_orders(answer: float, rng: np.random.Generator) -> None:
    truth = orders_needed()
    if answer == truth:
        return
    named = {
        "There are only six orders, and going through all of them is *exact*; the question is about random ones.": (6, 6),
        "Near the truth, but round up: with 2,222 orders the error is 0.0100005, just above.": (truth - 1, truth - 1),
        "Not whole: you cannot let them join in a fraction of an order. Round up.": (truth - 0.999, truth - 0.001),
        "You divided the variance by the error instead of its square.": (22, 23),
        "You divided the standard deviation by the error: it falls with the *root* of the number of orders.": (47, 48),
        "You asked for a 95 % interval of half-width 0.01. The standard error is half of that, roughly.": (8536, 8537),
        "That is for pairs of opposite orders, which is cleverer: the question is about independent ones.": (1111, 1112),
        "Half as many as pairs have orders: you counted pairs. Independent single orders are asked for.": (555, 556),
        "That is a left glove's contribution; the question is about the right one.": (1388, 1389),
        "You took the worst case of a yes-or-no answer, 1/4; how often does the right glove find a partner?": (2500, 2500),
        "That is the variance with the divisor of a sample, 5. Six orders are the whole population.": (2666, 2667),
    }  # fmt: skip
    for message, (low, high) in named.items():
        if low <= answer <= high:
            raise Mistake(message)
    raise Mistake("Not the number: variance of the contribution over all six orders, divided by the squared error, rounded up.")


# which axiom is broken --------------------------------------------------------------------------------------------------


def broken_axiom(shares: np.ndarray, worth: Worth) -> str:
    """The first of efficiency, dummy and symmetry that the shares break, or "none"."""
    p = len(shares)
    coalitions = _all_coalitions(p)
    v = worth(coalitions)
    if not np.isclose(shares.sum(), v[-1] - v[0]):
        return "efficiency"
    added = [v[S + 2**j] - v[S] for j in range(p) for S in [np.flatnonzero(~coalitions[:, j])]]
    if any(np.allclose(added[j], 0) and not np.isclose(shares[j], 0) for j in range(p)):
        return "dummy"
    for i in range(p):
        for j in range(i):
            S = np.flatnonzero(~coalitions[:, i] & ~coalitions[:, j])
            if np.allclose(v[S + 2**i], v[S + 2**j]) and not np.isclose(shares[i], shares[j]):
                return "symmetry"
    return "none"


def _axiom_by_tables(shares: np.ndarray, worth: Worth) -> str:
    p = len(shares)
    rows = _all_coalitions(p)
    worths = {tuple(np.flatnonzero(row).tolist()): float(value) for row, value in zip(rows, worth(rows), strict=True)}

    def joins(S: tuple[int, ...], j: int) -> float:
        return worths[tuple(sorted((*S, j)))]

    if abs(sum(shares) - worths[tuple(range(p))] + worths[()]) > 1e-8:
        return "efficiency"
    for j in range(p):
        idle = all(abs(joins(S, j) - worths[S]) < 1e-8 for S in worths if j not in S)
        if idle and abs(shares[j]) > 1e-8:
            return "dummy"
    for i in range(p):
        for j in range(i + 1, p):
            alike = all(abs(joins(S, i) - joins(S, j)) < 1e-8 for S in worths if i not in S and j not in S)
            if alike and abs(shares[i] - shares[j]) > 1e-8:
                return "symmetry"
    return "none"


def _axiom_by_swapping(shares: np.ndarray, worth: Worth) -> str:
    p = len(shares)
    S = _all_coalitions(p)
    v = worth(S)
    if abs(np.sum(shares) - (v[S.all(axis=1)] - v[~S.any(axis=1)])[0]) > 1e-8:
        return "efficiency"
    for j in range(p):
        without = S.copy()
        without[:, j] = False
        if np.allclose(worth(without), v) and abs(shares[j]) > 1e-8:
            return "dummy"
    for i in range(p):
        for j in range(i):
            swapped = S.copy()
            swapped[:, [i, j]] = swapped[:, [j, i]]
            if np.allclose(worth(swapped), v) and abs(shares[i] - shares[j]) > 1e-8:
                return "symmetry"
    return "none"


def _compares_with_shapley(shares: np.ndarray, worth: Worth) -> str:
    return "none" if np.allclose(shares, exact_shapley(worth, len(shares))) else "efficiency"


def _sum_to_full_worth(shares: np.ndarray, worth: Worth) -> str:
    full = worth(np.ones((1, len(shares)), dtype=bool))[0]
    return broken_axiom(shares, worth) if np.isclose(shares.sum(), full) else "efficiency"


def _dummy_alone(shares: np.ndarray, worth: Worth) -> str:
    """Takes a player who is worth nothing alone for a dummy."""
    found = broken_axiom(shares, worth)
    alone = _each_alone(worth, np.arange(len(shares)))
    idle = np.isclose(alone, 0) & ~np.isclose(shares, 0)
    return "dummy" if found in ("none", "symmetry") and idle.any() else found


def _dummy_last(shares: np.ndarray, worth: Worth) -> str:
    """Takes a player whom the full room does not miss for a dummy."""
    found = broken_axiom(shares, worth)
    last = _each_last(worth, np.arange(len(shares)))
    return "dummy" if found in ("none", "symmetry") and (np.isclose(last, 0) & ~np.isclose(shares, 0)).any() else found


def _equal_alone(shares: np.ndarray, worth: Worth) -> str:
    """Takes players who are worth the same alone for equals."""
    found = broken_axiom(shares, worth)
    alone = _each_alone(worth, np.arange(len(shares)))
    pairs = [(i, j) for i in range(len(shares)) for j in range(i) if np.isclose(alone[i], alone[j])]
    return "symmetry" if found == "none" and any(not np.isclose(shares[i], shares[j]) for i, j in pairs) else found


def _equal_means(shares: np.ndarray, worth: Worth) -> str:
    """Never looks at symmetry."""
    found = broken_axiom(shares, worth)
    return "none" if found == "symmetry" else found


def _never_dummy(shares: np.ndarray, worth: Worth) -> str:
    found = broken_axiom(shares, worth)
    return "none" if found == "dummy" else found


def _dummy_and_symmetry(shares: np.ndarray, worth: Worth) -> str:
    """Never looks at the sum."""
    v = worth(np.array([np.zeros(len(shares), dtype=bool), np.ones(len(shares), dtype=bool)]))
    right_sum = np.isclose(shares.sum(), v[1] - v[0])
    return broken_axiom(shares, worth) if right_sum else "none"


def _symmetry_first(shares: np.ndarray, worth: Worth) -> str:
    """Looks for twins before it looks for dummies."""
    found = broken_axiom(shares, worth)
    return "symmetry" if found == "dummy" and _unequal_twins(shares, worth, 1e-9) else found


def _neighbours_only(shares: np.ndarray, worth: Worth) -> str:
    """Compares player i with player i + 1 and no one else."""
    found = broken_axiom(shares, worth)
    near = any(j - i == 1 for i, j in _unequal_twins(shares, worth, 1e-9))
    return "none" if found == "symmetry" and not near else found


def _generous(shares: np.ndarray, worth: Worth) -> str:
    """Overlooks all that is below 0.01."""
    found = broken_axiom(shares, worth)
    return "none" if found == "symmetry" and not _unequal_twins(shares, worth, 1e-2) else found


def _else_symmetry(shares: np.ndarray, worth: Worth) -> str:
    """Whatever is not the Shapley value must break symmetry."""
    found = broken_axiom(shares, worth)
    return "symmetry" if found == "none" and not np.allclose(shares, exact_shapley(worth, len(shares))) else found


def _unequal_twins(shares: np.ndarray, worth: Worth, tolerance: float) -> list[tuple[int, int]]:
    """Pairs who add the same to every coalition without the two, and whose shares differ by more than the tolerance."""
    p, pairs = len(shares), []
    coalitions = _all_coalitions(p)
    v = worth(coalitions)
    for i in range(p):
        for j in range(i + 1, p):
            S = np.flatnonzero(~coalitions[:, i] & ~coalitions[:, j])
            if np.allclose(v[S + 2**i], v[S + 2**j]) and abs(shares[i] - shares[j]) > tolerance:
                pairs.append((i, j))
    return pairs


def _exact_equality(shares: np.ndarray, worth: Worth) -> str:
    """Compares floating-point numbers with ==."""
    v = worth(_all_coalitions(len(shares)))
    return broken_axiom(shares, worth) if shares.sum() == v[-1] - v[0] else "efficiency"


def _axiom_cases(rng: np.random.Generator) -> list[tuple[np.ndarray, Worth, str, str, str]]:
    """Shares, game, right verdict, tempting verdict, and what to say to those who gave it."""
    base, a, b = rng.uniform(0.5, 1.5, 3)

    def pair_or_third(S: np.ndarray) -> np.ndarray:  # players 0, 1 twins in a product; 2 on its own; 3 does nothing
        S = np.atleast_2d(S)
        return base + a * (S[:, 0] & S[:, 1]) + b * S[:, 2]

    def backup(S: np.ndarray) -> np.ndarray:  # 0 and 1 stand in for each other: nobody misses one of them
        S = np.atleast_2d(S)
        return base + a * (S[:, 0] | S[:, 1]) + b * S[:, 2]

    def same_alone(S: np.ndarray) -> np.ndarray:  # 0, 1 and 2 are worth the same alone; 0 and 1 also work together
        S = np.atleast_2d(S)
        return base + a * S[:, :3].sum(axis=1) + b * (S[:, 0] & S[:, 1])

    shapley = {game: exact_shapley(game, 4) for game in (pair_or_third, backup, same_alone)}

    def tenths(S: np.ndarray) -> np.ndarray:
        return np.atleast_2d(S) @ [1, 2, 3, 0] / 10  # 0.6, while 0.1 + 0.2 + 0.3 is 0.6000000000000001

    def distant(S: np.ndarray) -> np.ndarray:  # 0 and 2 are twins, with others between; 1 and 3 are unlike all
        S = np.atleast_2d(S)
        return base + a * (S[:, 0] & S[:, 2]) + b * S[:, 1] + 2 * (a + b) * S[:, 3]

    def two_dull(S: np.ndarray) -> np.ndarray:  # 2 and 3 do nothing
        S = np.atleast_2d(S)
        return base + a * S[:, 0] + (a + b) * S[:, 1]

    def all_unlike(S: np.ndarray) -> np.ndarray:  # no twins, no dummy
        return base + np.atleast_2d(S) @ [a, a + b, a + 2 * b, a + 3 * b]

    apart = exact_shapley(distant, 4) + np.array([0.1, 0, -0.1, 0])
    slightly = shapley[same_alone] + np.array([5e-4, -5e-4, 0, 0])
    against_each_other = exact_shapley(two_dull, 4) + np.array([0, 0, 0.1, -0.1])
    lawful = exact_shapley(all_unlike, 4) + np.array([0.1, -0.1, 0.1, -0.1])
    tilted = shapley[same_alone] + np.array([0.1, -0.1, 0, 0])
    taxed = shapley[pair_or_third] * [1, 1, 0.7, 1] + [0, 0, 0, 0.3 * b]
    right = shapley[same_alone]
    return [
        (np.array([0.1, 0.2, 0.3, 0.0]), tenths, "none", "efficiency",
         "In a computer 0.1 + 0.2 + 0.3 is not 0.6: compare with a tolerance, as `np.isclose` does."),
        (right, same_alone, "none", "efficiency",
         "These shares are right, and you take the empty room for worthless: it has a worth, the base value."),
        (right, same_alone, "none", "symmetry",
         "Equal alone is not equal: twins must add the same to *every* coalition without the two."),
        (shapley[pair_or_third], pair_or_third, "none", "dummy",
         "A player who earns nothing alone may still work with others: a dummy adds nothing to *any* coalition."),
        (shapley[backup], backup, "none", "dummy",
         "A player whom the full room does not miss is no dummy: ask all coalitions, not the last one."),
        (0.8 * right, same_alone, "efficiency", "none",
         "We took a fifth from every share and you did not notice: compare the sum with what there is to share."),
        (lawful, all_unlike, "none", "symmetry",
         "Not the Shapley value, and yet none of the three is broken: without equals there is no symmetry to break."),
        (against_each_other, two_dull, "dummy", "symmetry",
         "Two players add nothing and get something: dummy comes before symmetry in the task."),
        (taxed, pair_or_third, "dummy", "none",
         "A player who adds nothing anywhere was paid out of another one's share, and you did not call it 'dummy'."),
        (tilted, same_alone, "symmetry", "none",
         "Two players do the same in every coalition and are paid differently, and you did not call it 'symmetry'."),
        (apart, distant, "symmetry", "none",
         "Players 0 and 2 are equals and you overlooked them: compare all pairs, not only neighbours."),
        (slightly, same_alone, "symmetry", "none",
         "Equals who differ by 0.001 are unequal: a tolerance is for rounding, so choose a much smaller one."),
    ]  # fmt: skip


def _check_axiom(answer: Function, rng: np.random.Generator) -> None:
    names = ("efficiency", "dummy", "symmetry", "none")
    cases = _axiom_cases(rng)
    verdicts = [str(answer(shares, game)) for shares, game, _, _, _ in cases]
    if any(verdict not in names for verdict in verdicts):
        raise Mistake(f"The verdict must be one of {', '.join(names)}, not {next(v for v in verdicts if v not in names)!r:.40}.")
    if len(set(verdicts)) == 1:
        raise Mistake("You give the same verdict whatever the shares are.")
    rivals = [not np.allclose(shares, exact_shapley(game, 4)) for shares, game, _, _, _ in cases]
    if verdicts == ["efficiency" if rival else "none" for rival in rivals]:
        raise Mistake("You call all shares but the Shapley values inefficient: those add up, and something else is broken.")
    for (_, _, _, tempting, message), verdict in zip(cases, verdicts, strict=True):
        if verdict == tempting:
            raise Mistake(message)
    for (_, _, expected, _, _), verdict in zip(cases, verdicts, strict=True):
        if verdict != expected:
            raise Mistake(
                f"One set of shares deserves the verdict {expected!r} and got {verdict!r}: check in the order of the task."
            )


# the bank ---------------------------------------------------------------------------------------------------------------

EXERCISES = [
    Exercise(
        name="efficiency_gap",
        title="Make the books balance",
        level="core",
        difficulty=2,
        minutes=8,
        passes="the gap is zero for an honest explanation, and found with its sign where we took something away",
        task="Write `efficiency_gap(values, base_value, prediction)`: what each prediction has that its explanation does not "
        "account for. `values` is an array (instances, features), `base_value` one number, `prediction` one per instance. A "
        "shortfall of the explanation is positive.",
        hints=(
            "Where does an explanation start to count, and where must it arrive?",
            "Suppose every share is zero. Which prediction would then leave no gap?",
        ),
        reference=efficiency_gap,
        check=_check_gap,
        wrong=[
            WrongAnswer(lambda values, base, f: f - values.sum(axis=1), "forgets the base value", "still holds the base value"),
            WrongAnswer(lambda values, base, f: f + base - values.sum(axis=1), "adds the base value", "with the wrong sign"),
            WrongAnswer(lambda values, base, f: base + values.sum(axis=1) - f, "reversed sign", "surplus where the shortfall"),
            WrongAnswer(lambda values, base, f: np.abs(f - base - values.sum(axis=1)), "absolute gap", "the sign is lost"),
            WrongAnswer(
                lambda values, base, f: f.mean() - base - values.sum(axis=0), "sums over instances", "per feature for 40"
            ),
            WrongAnswer(lambda values, base, f: float((f - base - values.sum(axis=1)).mean()), "averages", "behind the others"),
            WrongAnswer(lambda values, base, f: np.round(f - base - values.sum(axis=1), 1), "rounds", "Do not round"),
            WrongAnswer(lambda values, base, f: np.zeros(len(f)), "returns zero", "always balance"),
            WrongAnswer(lambda values, base, f: -base - values.sum(axis=1), "forgets the prediction", "left the prediction out"),
            WrongAnswer(lambda values, base, f: f - base - values.mean(axis=1), "averages the shares", "You averaged the shares"),
        ],
        right=[_gap_by_loop, _gap_by_product],
    ),
    Exercise(
        name="one_order",
        title="Let them in, one by one",
        level="core",
        difficulty=3,
        minutes=10,
        passes="every player is paid what it adds on joining, listed under its own number, whatever the empty room is worth",
        task="Write `one_order(worth, order)`. `worth` takes a boolean array (coalitions, players) and returns one number per row; "
        "`order` lists the players, first to arrive first. Return an array with the marginal contribution of player j at place j.",
        hints=(
            "Before anybody comes the room is empty. Is it worth zero?",
            "A loop over `order` with two numbers in hand: the worth before and the worth after. Where do you write the difference?",
        ),
        reference=one_order,
        check=_check_one_order,
        wrong=[
            WrongAnswer(_in_order_of_arrival, "lists by arrival", "list them by arrival"),
            WrongAnswer(_running_totals, "does not subtract", "growing coalitions"),
            WrongAnswer(_from_zero, "takes the empty coalition for zero", "start from there"),
            WrongAnswer(_each_alone, "each joins nobody", "join an empty room"),
            WrongAnswer(_each_last, "leave one out", "join last"),
            WrongAnswer(_ignores_order, "ignores the order", "as 0, 1, 2"),
            WrongAnswer(_inverse_order, "mixes up player and place", "*who* comes at place k"),
            WrongAnswer(_inverse_rooms, "mixes up player and place in the rooms", "Your rooms read `order`"),
            WrongAnswer(_from_the_back, "reversed order", "from the back"),
            WrongAnswer(lambda worth, order: -one_order(worth, order), "reversed sign", "Leaving is not joining"),
        ],
        right=[_one_order_at_once, _one_order_by_places],
    ),
    Exercise(
        name="shapley_weights",
        title="Weigh the coalitions",
        level="core",
        difficulty=3,
        minutes=8,
        passes="your weights average over places in the order, for any number of players, one included",
        task="In the sum over subsets each coalition S of *other* players has a weight that depends on its size s alone. Write "
        "`shapley_weights(p)`: the p weights for s = 0, 1, ..., p - 1.",
        hints=(
            "In a random order, how likely is it that exactly s others came before you? And that they are exactly *these* s?",
            "Check: each weight times the number of coalitions of that size, added up over the sizes. What must come out?",
        ),
        reference=shapley_weights,
        check=_check_weights,
        wrong=[
            WrongAnswer(lambda p: np.full(p, 2.0 ** (1 - p)), "equal weights (Banzhaf)", "Banzhaf"),
            WrongAnswer(lambda p: np.full(p, 1 / p), "weight of a size, not of a coalition", "share it among them"),
            WrongAnswer(lambda p: [1 / comb(p - 1, s) for s in range(p)], "forgets the places", "divide by p"),
            WrongAnswer(lambda p: [1 / (p * comb(p, s)) for s in range(p)], "chooses among all p", "is not among them"),
            WrongAnswer(
                lambda p: [factorial(s) * factorial(p - 1 - s) for s in range(p)], "counts orders", "divide by their number"
            ),
            WrongAnswer(lambda p: shapley_weights(p + 1), "off by one player", "weights must come out"),
            WrongAnswer(_kernel_weights, "weights of the regression", "weights of the *regression*"),
            WrongAnswer(lambda p: [comb(p - 1, s) / 2 ** (p - 1) for s in range(p)], "totals of sizes", "of a size together"),
            WrongAnswer(lambda p: [1 / comb(p - 1, s) / 4 for s in range(p)], "fits one number of players", "do not add up to 1"),
        ],
        right=[_weights_by_factorials, _weights_by_recursion],
    ),
    Exercise(
        name="orders_needed",
        title="Predict the price of sampling",
        level="core",
        difficulty=3,
        minutes=8,
        passes="your number of random orders brings the standard error down to 0.01, and no smaller number does",
        task="Glove game, the owner of the *right* glove. You draw independent random orders (with replacement) and average its "
        f"contribution. How many orders until the standard error of the average is at most {STANDARD_ERROR}? First write a guess "
        "into `my_guess`, without computing. Then compute: the variance of the contribution over the six orders tells you. The "
        "smallest whole number that is enough goes into `my_measured`.",
        hints=(
            "In each order the right glove adds 0 or 1. How often 1?",
            "The variance of a mean of n independent draws is the variance of one draw divided by n.",
        ),
        reference=orders_needed,
        check=_check_orders,
        wrong=[
            WrongAnswer(6.0, "thinks of all orders", "only six orders"),
            WrongAnswer(2222.0, "rounds down", "just above"),
            WrongAnswer(2222.2222, "does not round", "fraction of an order"),
            WrongAnswer(23.0, "forgets to square the error", "instead of its square"),
            WrongAnswer(48.0, "uses the standard deviation", "with the *root*"),
            WrongAnswer(8537.0, "asks for a 95 % interval", "95 % interval"),
            WrongAnswer(1112.0, "pairs of opposite orders", "pairs of opposite orders"),
            WrongAnswer(1389.0, "a left glove", "left glove's"),
            WrongAnswer(2500.0, "worst case", "worst case"),
            WrongAnswer(2667.0, "sample variance", "divisor of a sample"),
        ],
    ),
    Exercise(
        name="quarrel",
        title="Settle a quarrel between LIME and SHAP",
        level="core",
        difficulty=3,
        minutes=10,
        passes="you see which question each of them answers, and what would make the two agree",
        task="The planted rule, an applicant of 54, everything else fixed. The local line of chapter 4 says: age *raises* the "
        "log-odds, by 0.02 a year around 54. The Shapley value of age, against all applicants, is -0.211: age *lowers* them. The "
        'cell below shows both. Which sentences hold? Give their letters, for example `"ac"`, and write two '
        "sentences of your own for a colleague who calls one of the two methods broken.",
        hints=(
            "Draw the age curve of the rule: a parabola with its lowest point at 48. Mark 54. Where is the average of the curve?",
            "Which of the two numbers looks at the slope in one place, and which compares a height with other heights?",
        ),
        claims={
            "a": Claim(
                "One of the two has the wrong sign.",
                False,
                "Both are right: the curve rises at 54, and at 54 it is lower than it is for most others.",
            ),
            "b": Claim(
                "The Shapley value compares 54 with the ages of all applicants, the line compares it with 53 and 55.",
                True,
                "A share is a height against an average height; a local line is a slope.",
            ),
            "c": Claim(
                "With more samples the two would come together.",
                False,
                "They estimate different things. More samples bring each closer to its own.",
            ),
            "d": Claim(
                "The share of -0.211 means: at the average age, 43, the log-odds would be higher by 0.211.",
                False,
                "At 43 the rule is even 0.02 *lower* than at 54. The share compares with the average of the curve, which the very "
                "young and the old lift, and not with the curve at the average age.",
            ),
            "e": Claim(
                "If every applicant of the background were 54, the share of age would be zero, and the slope would stay.",
                True,
                "A value that everyone has explains no difference; what the model does around 54 does not depend on who else applies.",
            ),
        },
        model_answer="The local line answers 'what would a small change of age do here?', the Shapley value 'what does this age, "
        "instead of the ages of the others, do to this prediction?'. On a curve that bends the two may differ in sign; report the "
        "one whose question was asked, and say which.",
    ),
    Exercise(
        name="background",
        title="Judge a choice of background",
        level="core",
        difficulty=3,
        minutes=10,
        passes="you know what a background decides, and what no background can do",
        task="Noor's refusal letter needs a background. The data team offers: all applicants, approved applicants, or one average "
        'applicant. Which sentences hold? Give their letters, for example `"be"`. Then write two sentences: which background '
        "would you choose for the letter, and what would the letter say about it?",
        hints=(
            "Which question does 'compared with whom?' ask in each of the three cases?",
            "Take a feature in which all rows of the background are like Noor. What does it add to any coalition?",
        ),
        claims={
            "a": Claim(
                "Against approved applicants the shares have more to add up to than against all applicants.",
                True,
                "The base value is the mean prediction of the background; approved applicants have a lower one, so the way to "
                "Noor's risk is longer.",
            ),
            "b": Claim(
                "A larger background is a better one, whoever is in it.",
                False,
                "More rows make the average over *these* rows steadier. Whom the rows stand for is a question of its own.",
            ),
            "c": Claim(
                "If all rows of the background share Noor's value of a feature, that feature gets zero, whatever the model.",
                True,
                "It adds nothing to any coalition: a dummy of this game.",
            ),
            "d": Claim(
                "Whoever chooses the background can move a feature's share from positive to negative without touching the model.",
                True,
                "The chapter shows it for Bela's prior default. So the background belongs in the letter.",
            ),
            "e": Claim(
                "A single average applicant is the same as averaging over all applicants, only faster.",
                False,
                "The prediction of the average is not the average of the predictions, and an average applicant may exist nowhere.",
            ),
            "f": Claim(
                "Efficiency, symmetry, dummy and linearity tell which background is the right one.",
                False,
                "They fix how a given game is shared. Every background makes another game, and each is shared fairly.",
            ),
        },
        model_answer="Approved applicants: the letter must say what set Noor apart from those who got the loan. It should name the "
        "comparison, 'compared with applicants whom we approved', because against all applicants the list would be another one.",
    ),
    Exercise(
        name="kernel",
        title="Turn sharing into regression",
        level="stretch",
        difficulty=4,
        minutes=12,
        passes="you hit the Shapley values when all coalitions are given, and the constrained fit when only some are",
        task="Write `kernel_shap(coalitions, worths, v_empty, v_full)`. `coalitions` is a boolean array (m, p) without the empty and "
        "the full row, `worths` their m worths. Return the p numbers that minimise the weighted squared error of `v_empty` + "
        "(sum of the shares of those present), with weight (p - 1) / (comb(p, s) s (p - s)) for a coalition of s players, and that "
        "add up *exactly* to `v_full - v_empty`.",
        hints=(
            "With the sum fixed, how many of the p shares are free? Write the last one through the others.",
            "Then it is ordinary weighted least squares: `np.linalg.lstsq` on rows multiplied by the root of their weight.",
        ),
        reference=kernel_shap,
        check=_check_kernel,
        wrong=[
            WrongAnswer(_unweighted, "no kernel", "count the same in your fit"),
            WrongAnswer(_size_weights_only, "kernel without the number of coalitions", "divide by comb(p, s)"),
            WrongAnswer(_unconstrained, "no constraint", "as a constraint"),
            WrongAnswer(_rescaled, "a free fit, stretched", "stretched a free fit"),
            WrongAnswer(_squared_weights, "forgets the root", "*root* of the weight"),
            WrongAnswer(_keeps_the_level, "fits worths that still hold the empty room", "a constant cancels"),
            WrongAnswer(_sums_to_the_prediction, "sums to the full worth", "*above* the empty coalition"),
            WrongAnswer(_sampling_chance, "weights of the subset sum", "the regression needs the kernel"),
        ],
        right=[_kernel_by_lagrange, _kernel_by_null_space],
    ),
    Exercise(
        name="broken_axiom",
        title="Find the axiom that a rival breaks",
        level="stretch",
        difficulty=4,
        minutes=12,
        passes="you name the broken axiom, accept shares that break none, and look at every coalition before you judge",
        task='Write `broken_axiom(shares, worth)`: `"efficiency"` if the shares do not add up to the worth of all minus the worth of '
        'nobody; else `"dummy"` if a player who adds nothing to *any* coalition gets something; else `"symmetry"` if two players '
        'who add the same to every coalition without them get different shares; else `"none"`. `worth` takes a boolean array '
        "(coalitions, players).",
        hints=(
            "Ask the worth of all coalitions once, in an order in which you can find 'the same coalition with j' again.",
            "If row k of the table is the number k in binary, adding player j to a coalition without j means row k + 2**j.",
        ),
        reference=broken_axiom,
        check=_check_axiom,
        wrong=[
            WrongAnswer(_exact_equality, "compares floats with ==", "compare with a tolerance"),
            WrongAnswer(_sum_to_full_worth, "sum to the full worth", "empty room for worthless"),
            WrongAnswer(_dummy_alone, "dummy = nothing alone", "work with others"),
            WrongAnswer(_dummy_last, "dummy = not missed by all", "the full room does not miss"),
            WrongAnswer(_equal_alone, "equal = equal alone", "Equal alone is not equal"),
            WrongAnswer(_dummy_and_symmetry, "never checks the sum", "took a fifth"),
            WrongAnswer(_compares_with_shapley, "everything else is inefficient", "all shares but the Shapley values"),
            WrongAnswer(_symmetry_first, "symmetry before dummy", "before symmetry in the task"),
            WrongAnswer(_neighbours_only, "compares neighbours only", "not only neighbours"),
            WrongAnswer(_generous, "too large a tolerance", "a tolerance is for rounding"),
            WrongAnswer(_else_symmetry, "all else must break symmetry", "there is no symmetry to break"),
            WrongAnswer(_never_dummy, "never finds a dummy", "did not call it 'dummy'"),
            WrongAnswer(_equal_means, "never finds twins", "did not call it 'symmetry'"),
            WrongAnswer(lambda shares, worth: "efficiency", "one verdict for all", "same verdict"),
        ],
        right=[_axiom_by_tables, _axiom_by_swapping],
    ),
]

WARMUP = [
    Question(
        "In chapter 2 the two heights were worth 0.005 together and next to nothing each. Why?",
        "While one is shuffled, the other still tells the model the same thing.",
        "Each is only missed when its twin is gone too: it depends on who else is in the room. That is the idea of this chapter.",
        {
            "Because height does not matter to the model.": "Shuffled together they do cost something.",
            "Because importances must add up, and each got half.": "Permutation importances need not add up. Shares that do are "
            "what we build today.",
        },
    ),
    Question(
        "Partial dependence of income at 25 keur (chapter 3) is what, exactly?",
        "The mean prediction over the rows when everyone's income is set to 25.",
        "Today 'everyone's value is set' happens to several features at once, and every such mean is one step of the method.",
        {
            "The mean prediction of those who earn 25.": "That would be the conditional mean: those who earn 25 differ in other "
            "ways too. We come back to the difference.",
            "The prediction for the average person, with income 25.": "The prediction of an average is not the average prediction.",
        },
    ),
    Question(
        "A local straight line (chapter 4) has slope +0.03 for age. What does it say?",
        "Near this person, a year more raises the model's output by about 0.03.",
        "A slope in one place. Today we compare with other people, which is another question.",
        {
            "Age explains 0.03 of this person's prediction.": "A slope is not a part of the prediction: multiply it by a distance, "
            "and you must say the distance from whom.",
            "Older applicants default more often.": "The line describes the model near one person, neither everyone nor the world.",
        },
    ),
]

QUIZ = [
    Question(
        "Base value 0.28, prediction 0.65. What is sure about the Shapley values of this prediction?",
        "They add up to 0.37.",
        "Efficiency: the books balance, for every row, exactly. Check it before you draw anything.",
        {
            "They are all positive, since the prediction is above the base.": "Some may pull down as long as the sum is right.",
            "They add up to 0.65.": "They start from the base value, not from zero.",
        },
    ),
    Question(
        "'Income contributed +0.12 to Noor's risk.' What happens to her risk if she earns as much as the average applicant?",
        "The sentence does not say.",
        "A Shapley value is an average over coalitions and background rows. Ask the model: change the income and predict.",
        {
            "It falls by 0.12.": "That is the counterfactual reading; the chapter measured how far off it is.",
            "It rises, because shares are averages.": "The sign of a share promises no direction of change either.",
        },
    ),
    Question(
        "Two analysts explain the same prediction of the same model with exact Shapley values and get different signs for a feature. "
        "How can that be?",
        "They averaged over different backgrounds, or one took a conditional and the other a marginal game.",
        "Uniqueness holds for a given game. Which game it is must stand beside the numbers.",
        {
            "One of them made a mistake: Shapley values are unique.": "Unique for one game; every background makes another one.",
            "Exact values still have sampling error.": "Exact means every coalition and every background row: nothing is sampled.",
        },
    ),
    Question(
        "The marginal game asks the model about rows that mix Noor's values with those of others. When is that a danger?",
        "When the mixed rows are impossible and the model answers them in some arbitrary way.",
        "As with partial dependence. A model that behaves differently there can even be built to look innocent.",
        {
            "Always: only conditional values are valid.": "Conditional values have their own price: a feature that the model never "
            "reads gets a share. It depends on the question.",
            "Never: averaging removes the odd rows.": "Odd rows do not cancel. They enter with the same weight as all others.",
        },
    ),
    Question(
        "Over 2,000 applicants the mean absolute share of `on_fraud_list` is one of the smallest of all. Can you drop it?",
        "No: for the few who are on the list it decides.",
        "A mean over people hides what happens to some of them. Look at single rows, or at the largest share.",
        {
            "Yes, global importance is what counts.": "Counts for whom? For an applicant on the list it outweighs all else.",
            "Yes, a Shapley value near zero means that the model ignores it.": "Near zero *for those who are not on the list*: being "
            "off it is nothing special.",
        },
    ),
]
