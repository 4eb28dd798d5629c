"""Exercises of chapter 7: distances that can be compared, the nearest change, limits, sparsity, proxies, and honest advice."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

import numpy as np

from xailib.exercises.engine import Claim, Exercise, Mistake, WrongAnswer
from xailib.exercises.questions import Question

Function = Callable[..., Any]


def _named(found: np.ndarray, mistakes: Mapping[str, np.ndarray]) -> None:
    """Raise the message of the known mistake that gives exactly these numbers."""
    for message, value in mistakes.items():
        if np.shape(found) == np.shape(value) and np.allclose(found, value, atol=1e-9, equal_nan=True):
            raise Mistake(message)


def _numbers(value: Any) -> np.ndarray:
    """The answer as an array of numbers, or a sentence."""
    try:
        return np.asarray(value, dtype=float)
    except (TypeError, ValueError) as error:
        raise Mistake(f"Numbers must come out, not {value!r:.60}.") from error


# distance ---------------------------------------------------------------------------------------------------------------


def mad_distance(x: np.ndarray, rows: np.ndarray, data: np.ndarray) -> np.ndarray:
    """Sum over the features of the absolute change in units of the MAD; the mean deviation where the MAD is zero."""
    deviations = np.abs(data - np.median(data, axis=0))
    mad = np.median(deviations, axis=0)
    scale = np.where(mad > 0, mad, deviations.mean(axis=0))
    return (np.abs(rows - x) / scale).sum(axis=1)


def _distance_by_loop(x: np.ndarray, rows: np.ndarray, data: np.ndarray) -> list[float]:
    total = np.zeros(len(rows))
    for j, column in enumerate(data.T):
        off = np.abs(column - np.median(column))
        total = total + np.abs(rows[:, j] - x[j]) / (np.median(off) or off.mean())
    return total.tolist()


def _distance_by_scipy(x: np.ndarray, rows: np.ndarray, data: np.ndarray) -> np.ndarray:
    from scipy.spatial.distance import cdist
    from scipy.stats import median_abs_deviation

    scale = median_abs_deviation(data, axis=0)
    scale[scale == 0] = np.abs(data - np.median(data, axis=0)).mean(axis=0)[scale == 0]
    return cdist(x[None] / scale, rows / scale, "cityblock")[0]


def _with_scale(x: np.ndarray, rows: np.ndarray, scale: np.ndarray) -> np.ndarray:
    return (np.abs(rows - x) / scale).sum(axis=1)


def _distance_of_deviations(x: np.ndarray, rows: np.ndarray, data: np.ndarray) -> np.ndarray:
    return _with_scale(x, rows, data.std(axis=0))


def _distance_without_fall_back(x: np.ndarray, rows: np.ndarray, data: np.ndarray) -> np.ndarray:
    mad = np.median(np.abs(data - np.median(data, axis=0)), axis=0)
    with np.errstate(divide="ignore", invalid="ignore"):
        return _with_scale(x, rows, mad)


def _distance_with_one(x: np.ndarray, rows: np.ndarray, data: np.ndarray) -> np.ndarray:
    mad = np.median(np.abs(data - np.median(data, axis=0)), axis=0)
    return _with_scale(x, rows, np.where(mad > 0, mad, 1.0))


def _distance_l2(x: np.ndarray, rows: np.ndarray, data: np.ndarray) -> np.ndarray:
    return np.sqrt(_distance_squared(x, rows, data))


def _distance_from_rows(x: np.ndarray, rows: np.ndarray, data: np.ndarray) -> np.ndarray:
    return mad_distance(x, rows, rows)


def _distance_around_mean(x: np.ndarray, rows: np.ndarray, data: np.ndarray) -> np.ndarray:
    deviations = np.abs(data - data.mean(axis=0))
    return _with_scale(x, rows, np.median(deviations, axis=0))


def _distance_signed(x: np.ndarray, rows: np.ndarray, data: np.ndarray) -> np.ndarray:
    deviations = np.abs(data - np.median(data, axis=0))
    mad = np.median(deviations, axis=0)
    return ((rows - x) / np.where(mad > 0, mad, deviations.mean(axis=0))).sum(axis=1)


def _distance_drops_column(x: np.ndarray, rows: np.ndarray, data: np.ndarray) -> np.ndarray:
    mad = np.median(np.abs(data - np.median(data, axis=0)), axis=0)
    return (np.abs(rows - x)[:, mad > 0] / mad[mad > 0]).sum(axis=1)


def _distance_squared(x: np.ndarray, rows: np.ndarray, data: np.ndarray) -> np.ndarray:
    deviations = np.abs(data - np.median(data, axis=0))
    mad = np.median(deviations, axis=0)
    scale = np.where(mad > 0, mad, deviations.mean(axis=0))
    return (((rows - x) / scale) ** 2).sum(axis=1)


def _check_distance(answer: Function, rng: np.random.Generator) -> None:
    data = rng.lognormal(0, 1, (81, 4)) * [1, 30, 0.2, 5]
    data[:, 3] = rng.random(81) < 0.1  # its median absolute deviation is zero
    data[0, 3] = 1.0
    x, rows = data[1].copy(), data[2:9].copy()
    rows[:4, 3] = 1.0  # so that the candidates' own spread is finite, too
    rows[4:, 3] = 0.0
    rows[0, 3] = 1 - x[3]  # so that the fall-back always counts
    value, truth = _numbers(answer(x, rows, data)), mad_distance(x, rows, data)
    if value.shape == (4,):
        raise Mistake("You returned one number per feature: add up over the features, keep the rows apart.")
    if value.shape == rows.shape:
        raise Mistake("These are the changes of every feature in its own unit of distance: add them up, one number per row.")
    if value.shape != (len(rows),):
        raise Mistake(f"{len(rows)} rows go in, so {len(rows)} distances must come out, not an array of shape {value.shape}.")
    if not np.isfinite(value).all():
        raise Mistake("One feature has the same value in most rows, so its MAD is zero, and you divided by it.")
    _named(
        value,
        {
            "You divided by standard deviations: one rich applicant stretches those, the median hardly notices.":
                _distance_of_deviations(x, rows, data),
            "Where the MAD is zero you divided by 1, the unit the column happens to be in; use the mean absolute deviation.":
                _distance_with_one(x, rows, data),
            "You squared the changes: the distance is a sum of absolute ones, and that is why few features change.":
                _distance_squared(x, rows, data),
            "That is the L2 distance: no squares and no root, absolute changes are added.": _distance_l2(x, rows, data),
            "You took the MAD of `rows`, the few candidates; the unit comes from `data`.": _distance_from_rows(x, rows, data),
            "Your deviations are from the mean; the MAD takes them from the median.": _distance_around_mean(x, rows, data),
            "You added signed changes, and up cancels down: absolute values first.": _distance_signed(x, rows, data),
            "You dropped the column whose MAD is zero: it can change, so it must cost something.":
                _distance_drops_column(x, rows, data),
            "You took the mean over the features; the distance is their sum.": truth / 4,
            "You did not scale: a change of one year and of one thousand euro are not the same effort.":
                np.abs(rows - x).sum(axis=1),
        },
    )  # fmt: skip
    if not np.allclose(value, truth, atol=1e-9):
        raise Mistake("The numbers differ: |change| / MAD per feature, the MAD from `data`, summed over features.")


# nearest on a line ------------------------------------------------------------------------------------------------------


def nearest_on_line(w: np.ndarray, b: float, x: np.ndarray, mad: np.ndarray) -> np.ndarray:
    """Move one feature, the one that brings most per unit of distance, until the score is zero."""
    j = np.argmax(np.abs(w) * mad)
    moved = x.copy()
    moved[j] -= (w @ x + b) / w[j]
    return moved


def _line_by_trying_all(w: np.ndarray, b: float, x: np.ndarray, mad: np.ndarray) -> np.ndarray:
    score = float(np.dot(w, x)) + b
    steps = -score / w
    j = int(np.argmin(np.abs(steps) / mad))
    return np.array([v + steps[k] * (k == j) for k, v in enumerate(x)])


def _line_by_mask(w: np.ndarray, b: float, x: np.ndarray, mad: np.ndarray) -> np.ndarray:
    best = np.arange(len(w)) == np.abs(w * mad).argmax()
    return np.where(best, x - (w @ x + b) / w, x)


def _line_largest_weight(w: np.ndarray, b: float, x: np.ndarray, mad: np.ndarray) -> np.ndarray:
    return _line_of(w, b, x, int(np.argmax(np.abs(w))))


def _line_largest_mad(w: np.ndarray, b: float, x: np.ndarray, mad: np.ndarray) -> np.ndarray:
    return _line_of(w, b, x, int(np.argmax(mad)))


def _line_signed(w: np.ndarray, b: float, x: np.ndarray, mad: np.ndarray) -> np.ndarray:
    return _line_of(w, b, x, int(np.argmax(w * mad)))


def _line_of(w: np.ndarray, b: float, x: np.ndarray, j: int) -> np.ndarray:
    moved = x.copy()
    moved[j] -= (w @ x + b) / w[j]
    return moved


def _line_projection(w: np.ndarray, b: float, x: np.ndarray, mad: np.ndarray) -> np.ndarray:
    return x - (w @ x + b) * mad**2 * w / np.sum((w * mad) ** 2)


def _line_wrong_way(w: np.ndarray, b: float, x: np.ndarray, mad: np.ndarray) -> np.ndarray:
    return 2 * x - nearest_on_line(w, b, x, mad)


def _check_line(answer: Function, rng: np.random.Generator) -> None:
    w = np.array([-3.0, 0.8, 1.1, -0.5]) * rng.uniform(0.9, 1.1, 4)
    mad = np.array([0.4, 2.0, 1.2, 6.0]) * rng.uniform(0.9, 1.1, 4)
    mad[3] = 2.1 * mad[1]
    w[3] = -0.7 * abs(w[1]) * rng.uniform(0.95, 1.0)  # largest |w| MAD, with a negative sign, and not the largest weight
    mad[2] = 1.5 * mad[3]
    w[2] = 0.2 * w[1]
    x, b = rng.normal(size=4), float(rng.uniform(1, 2))
    value, truth = _numbers(answer(w, b, x, mad)), nearest_on_line(w, b, x, mad)
    if value.shape != x.shape:
        raise Mistake(f"A row like x must come out, with {len(x)} entries, not an array of shape {value.shape}.")
    _named(
        value,
        {
            "You moved the feature with the largest weight; a weight is per unit, and units cost differently.":
                _line_largest_weight(w, b, x, mad),
            "You moved the feature that is cheapest to move; it may hardly move the score.": _line_largest_mad(w, b, x, mad),
            "You compared weights with their signs: a feature that lowers the score is as useful, moved the other way.":
                _line_signed(w, b, x, mad),
            "That is the nearest point in L2, which changes every feature a little; in L1 a single one is cheapest.":
                _line_projection(w, b, x, mad),
            "Right feature, wrong way: your score doubled instead of vanishing.": _line_wrong_way(w, b, x, mad),
            "That is the change; add it to x.": truth - x,
        },
    )  # fmt: skip
    if abs(w @ value + b) > 1e-9:
        raise Mistake("Your row is not on the boundary: w @ row + b must be zero.")
    if not np.allclose(value, truth, atol=1e-9):
        raise Mistake("On the boundary, but not the nearest: one feature is enough, the one with the largest |w| times MAD.")


# limits -----------------------------------------------------------------------------------------------------------------


def obeys(x: np.ndarray, rows: np.ndarray, fixed: list[int], only_up: list[int]) -> np.ndarray:
    """True for rows in which no fixed feature differs and no only-up feature is lower."""
    same = (rows[:, fixed] == x[fixed]).all(axis=1)
    not_lower = (rows[:, only_up] >= x[only_up]).all(axis=1)
    return same & not_lower


def _obeys_by_loop(x: np.ndarray, rows: np.ndarray, fixed: list[int], only_up: list[int]) -> list[bool]:
    return [all(r[j] == x[j] for j in fixed) and not any(r[j] < x[j] for j in only_up) for r in rows]


def _obeys_by_difference(x: np.ndarray, rows: np.ndarray, fixed: list[int], only_up: list[int]) -> np.ndarray:
    change = rows - x
    return (np.abs(change[:, fixed]).sum(axis=1) == 0) & (np.minimum(change[:, only_up], 0).sum(axis=1) == 0)


def _obeys_nearly(x: np.ndarray, rows: np.ndarray, fixed: list[int], only_up: list[int], tolerance: float = 0.4) -> np.ndarray:
    same = (np.abs(rows - x)[:, fixed] <= tolerance).all(axis=1)
    return same & ((rows - x)[:, only_up] >= -tolerance).all(axis=1)


def _check_obeys(answer: Function, rng: np.random.Generator) -> None:
    x = rng.normal(size=5)
    fixed, only_up = [3, 1], [0, 4]
    rows = np.tile(x, (10, 1))
    step = rng.uniform(0.5, 2, 8)
    changes = [(2, step[0]), (0, step[1]), (0, -step[2]), (4, -step[3]), (1, step[4]), (3, -step[5])]
    for i, (j, change) in enumerate(changes):
        rows[i, j] += change
    rows[6, [0, 3]] += step[6]
    rows[7, [0, 4]] += step[7], -step[7]
    rows[8, 1] += 1e-3
    rows[9, 0] -= 1e-3
    raw = answer(x, rows, fixed, only_up)
    value, truth = _numbers(raw).astype(bool), obeys(x, rows, fixed, only_up)
    if value.shape == ():
        raise Mistake("One answer for all rows is not enough: one for each row is asked for.")
    if value.shape != truth.shape:
        raise Mistake(f"10 rows go in, so 10 answers must come out, not an array of shape {value.shape}.")
    same = (rows[:, fixed] == x[fixed]).all(axis=1)
    _named(
        value.astype(float),
        {
            "A row in which an only-up feature stays the same breaks no rule: not lower is enough.":
                (same & (rows[:, only_up] > x[only_up]).all(axis=1)).astype(float),
            "You let fixed features move.": (rows[:, only_up] >= x[only_up]).all(axis=1).astype(float),
            "You let only-up features fall.": same.astype(float),
            "Turned around: you accept only-up features that fall.":
                (same & (rows[:, only_up] <= x[only_up]).all(axis=1)).astype(float),
            "You accept a row when one feature of each list obeys: every one has to.":
                ((rows[:, fixed] == x[fixed]).any(axis=1) & (rows[:, only_up] >= x[only_up]).any(axis=1)).astype(float),
            "A thousandth is a change, too: you let small steps pass, and rules hold exactly.": _obeys_nearly(
                x, rows, fixed, only_up, 0.01
            ).astype(float),
            "You marked the rows that break a rule; the ones that keep all of them are asked for.": (~truth).astype(float),
        },
    )  # fmt: skip
    if not np.array_equal(value, truth):
        raise Mistake("Some rows are judged wrongly: fixed features equal, only-up features not lower, all of them.")
    if answer(x, rows, [], []) is not None and not _numbers(answer(x, rows, [], [])).all():
        raise Mistake("Without any rule every row is allowed: yours rejects some when both lists are empty.")


# sparsify ---------------------------------------------------------------------------------------------------------------


def sparsify(is_valid: Function, x: np.ndarray, row: np.ndarray, scale: np.ndarray) -> np.ndarray:
    """Take changes back one after the other, the costliest first, each only if the row stays valid."""
    kept = row.copy()
    for j in np.argsort(-np.abs(row - x) / scale):
        trial = kept.copy()
        trial[j] = x[j]
        if is_valid(trial[None])[0]:
            kept = trial
    return kept


def _sparsify_by_where(is_valid: Function, x: np.ndarray, row: np.ndarray, scale: np.ndarray) -> np.ndarray:
    keep = np.full(len(x), True)
    for j in sorted(range(len(x)), key=lambda k: abs(row[k] - x[k]) / scale[k], reverse=True):
        without = keep & (np.arange(len(x)) != j)
        keep = without if bool(np.all(is_valid(np.where(without, row, x)[np.newaxis]))) else keep
    return np.where(keep, row, x)


def _sparsify_by_recursion(is_valid: Function, x: np.ndarray, row: np.ndarray, scale: np.ndarray) -> np.ndarray:
    def rest(kept: np.ndarray, order: list[int]) -> np.ndarray:
        if not order:
            return kept
        trial = np.where(np.arange(len(x)) == order[0], x, kept)
        return rest(trial if is_valid(trial.reshape(1, -1)).item() else kept, order[1:])

    return rest(row, list(np.argsort(np.abs(row - x) / scale)[::-1]))


def _sparsify_at_once(is_valid: Function, x: np.ndarray, row: np.ndarray, scale: np.ndarray) -> np.ndarray:
    alone = np.tile(row, (len(x), 1))
    np.fill_diagonal(alone, x)
    return np.where(is_valid(alone), x, row)


def _sparsify_until_first_failure(is_valid: Function, x: np.ndarray, row: np.ndarray, scale: np.ndarray) -> np.ndarray:
    kept = row.copy()
    for j in np.argsort(-np.abs(row - x) / scale):
        trial = kept.copy()
        trial[j] = x[j]
        if not is_valid(trial[None])[0]:
            break
        kept = trial
    return kept


def _sparsify_cheapest_first(is_valid: Function, x: np.ndarray, row: np.ndarray, scale: np.ndarray) -> np.ndarray:
    return _in_order(is_valid, x, row, np.argsort(np.abs(row - x) / scale))


def _sparsify_unscaled(is_valid: Function, x: np.ndarray, row: np.ndarray, scale: np.ndarray) -> np.ndarray:
    return _in_order(is_valid, x, row, np.argsort(-np.abs(row - x)))


def _sparsify_signed(is_valid: Function, x: np.ndarray, row: np.ndarray, scale: np.ndarray) -> np.ndarray:
    return _in_order(is_valid, x, row, np.argsort(-(row - x) / scale))


def _sparsify_times_scale(is_valid: Function, x: np.ndarray, row: np.ndarray, scale: np.ndarray) -> np.ndarray:
    return _in_order(is_valid, x, row, np.argsort(-np.abs(row - x) * scale))


def _sparsify_by_column(is_valid: Function, x: np.ndarray, row: np.ndarray, scale: np.ndarray) -> np.ndarray:
    return _in_order(is_valid, x, row, np.arange(len(x)))


def _in_order(is_valid: Function, x: np.ndarray, row: np.ndarray, order: np.ndarray) -> np.ndarray:
    kept = row.copy()
    for j in order:
        trial = np.where(np.arange(len(x)) == j, x, kept)
        kept = trial if is_valid(trial[None])[0] else kept
    return kept


def _sparsify_to_x(is_valid: Function, x: np.ndarray, row: np.ndarray, scale: np.ndarray) -> np.ndarray:
    return x.copy()


def _check_sparsify(answer: Function, rng: np.random.Generator) -> None:
    x, scale = rng.normal(size=4), np.array([0.5, 2.0, 1.0, 0.4]) * rng.uniform(0.97, 1.03, 4)
    row = x + scale * np.array([2.0, 1.0, 3.0, -4.0])  # every wrong order is another one

    def at_least(points: float, *worth: float) -> Function:
        """Valid when the kept changes together are worth enough."""
        return lambda rows: ((rows != x) * np.array(worth)).sum(axis=1) >= points

    both = (at_least(4, 1, 1, 1, 2), at_least(6, 1, 1, 5, 1))
    values = [_numbers(answer(is_valid, x, row, scale)) for is_valid in both]
    for value in values:
        if value.shape != x.shape:
            raise Mistake(f"One row with {len(x)} entries must come out, not an array of shape {value.shape}.")
    known = {
        "You ordered the changes by their size in raw units: divide by the scale.": _sparsify_unscaled,
        "You multiplied by the scale: divide, as in the distance.": _sparsify_times_scale,
        "You went through the columns as they stand: costliest change first.": _sparsify_by_column,
        "You ordered by signed changes: a large step down costs as much as one up.": _sparsify_signed,
        "You stopped at the first change that is needed; others after it may still be dropped.": _sparsify_until_first_failure,
        "You took the cheapest changes back first, and kept the expensive one.": _sparsify_cheapest_first,
    }
    _named(
        np.hstack(values),
        {message: np.hstack([wrong(v, x, row, scale) for v in both]) for message, wrong in known.items()},
    )
    for is_valid, value in zip(both, values, strict=True):
        if not is_valid(value[None])[0]:
            raise Mistake(
                "Your row is not valid any more. Changes that can each be dropped alone can not all be dropped together: "
                "test again after every step."
                if not np.array_equal(value, x)
                else "You took everything back, and that is the denied applicant again."
            )
        if not np.allclose(value, sparsify(is_valid, x, row, scale), atol=1e-12):
            raise Mistake("Valid, but not what greedy undoing gives: costliest change first, keep each undoing that stays valid.")


# the proxy --------------------------------------------------------------------------------------------------------------


@cache
def proxy() -> float:
    """Share of the denied applicants from east and west whom the boosting model approves once only the region is north."""
    from xailib import predictor, worlds, zoo

    X = worlds.loans().test[0]
    predict = predictor(zoo.load("loans-boosting"))
    denied = X[(predict(X) > 0.5) & X["region"].isin(["east", "west"])]
    return float((predict(denied.assign(region=_north(denied))) <= 0.5).mean())


def _north(X: Any) -> Any:
    import pandas as pd

    return pd.Categorical(["north"] * len(X), categories=X["region"].cat.categories)


@cache
def _proxy_mistakes() -> dict[str, float]:
    """What a slip gives: other denominators, other directions."""
    from xailib import predictor, worlds, zoo

    X = worlds.loans().test[0]
    predict = predictor(zoo.load("loans-boosting"))
    p, moved = predict(X), predict(X.assign(region=_north(X)))
    there = X["region"].isin(["east", "west"]).to_numpy()
    flipped = (p > 0.5) & (moved <= 0.5)
    return {
        "all applicants": float(flipped.mean()),
        "everyone from east and west": float(flipped[there].mean()),
        "all denied": float(flipped[p > 0.5].mean()),
        "count": float(flipped.sum()),
        "still denied": 1 - proxy(),
    }


def _check_proxy(answer: float, rng: np.random.Generator) -> None:
    truth = proxy()
    if abs(answer - truth) <= 0.001:
        return
    if round(truth, 2) == answer:
        raise Mistake("Right, as far as two decimals go: give three or more.")
    other = _proxy_mistakes()
    named = {
        "Zero is what flipping the group gives: no column holds it. The region is a column, and the model reads it.": 0.0,
        "That is a share of all applicants; divide by those denied from east and west.": other["all applicants"],
        "You divided by everyone from east and west, the approved included.": other["everyone from east and west"],
        "You divided by all denied; those from north and south have nothing to flip.": other["all denied"],
        "That is a number of people; divide by those denied from east and west.": other["count"],
        "That is the share of those who stay denied.": other["still denied"],
        "That is the share in percent; a number between 0 and 1 is asked.": 100 * truth,
    }
    for message, value in named.items():
        if abs(answer - value) <= 0.001 * max(1.0, abs(value)):
            raise Mistake(message)
    raise Mistake(
        "Not the number of the experiment: denied and from east or west; the same rows with region north; share approved."
    )


# the bank ---------------------------------------------------------------------------------------------------------------

EXERCISES = [
    Exercise(
        name="mad_distance",
        title="Make changes comparable",
        level="core",
        difficulty=2,
        minutes=10,
        passes="euros and years count in units of their own spread, and a flag that is nearly always 0 does no harm",
        task="Write `mad_distance(x, rows, data)`: the distance from the row `x` (p numbers) to each row of `rows` (n, p): the sum of "
        "absolute changes, each divided by the MAD of its column in `data`. Where the MAD is zero, divide by the mean absolute "
        "deviation from the median instead.",
        hints=(
            "Which statistics come from `data`, and which from `x` and `rows`?",
            "`np.median(..., axis=0)` twice; `np.where` for the columns without a MAD.",
        ),
        reference=mad_distance,
        check=_check_distance,
        wrong=[
            WrongAnswer(_distance_of_deviations, "standard deviation for MAD", "standard deviations"),
            WrongAnswer(_distance_without_fall_back, "divides by zero", "its MAD is zero"),
            WrongAnswer(_distance_with_one, "falls back to one", "divided by 1"),
            WrongAnswer(_distance_squared, "squares the changes", "squared"),
            WrongAnswer(_distance_l2, "L2 distance", "L2 distance"),
            WrongAnswer(_distance_from_rows, "scale of the candidates", "few candidates"),
            WrongAnswer(_distance_around_mean, "deviations from the mean", "from the mean"),
            WrongAnswer(_distance_signed, "signed sum", "up cancels down"),
            WrongAnswer(_distance_drops_column, "drops the zero MAD", "dropped the column"),
            WrongAnswer(lambda x, rows, data: mad_distance(x, rows, data) / 4, "averages over features", "took the mean"),
            WrongAnswer(lambda x, rows, data: np.abs(rows - x).sum(axis=1), "does not scale", "did not scale"),
            WrongAnswer(lambda x, rows, data: np.abs(rows - x).sum(axis=0), "sums over rows", "one number per feature"),
            WrongAnswer(lambda x, rows, data: np.abs(rows - x), "does not add up", "one number per row"),
        ],
        right=[_distance_by_loop, _distance_by_scipy],
    ),
    Exercise(
        name="nearest_on_line",
        title="Find the one feature to move",
        level="core",
        difficulty=3,
        minutes=10,
        passes="your row lies on the boundary, and no other row on it is nearer in MADs",
        task="A linear model scores `w @ x + b`; zero is the boundary. Write `nearest_on_line(w, b, x, mad)`: the row on the boundary "
        "that is nearest to `x` in the sum of absolute changes divided by `mad`, without any limits.",
        hints=(
            "With one unit of distance you can move feature j by how much? And the score by how much then?",
            "Spend everything on the feature where a unit of distance buys most.",
        ),
        reference=nearest_on_line,
        check=_check_line,
        wrong=[
            WrongAnswer(_line_largest_weight, "takes the largest weight", "largest weight"),
            WrongAnswer(_line_largest_mad, "takes the largest MAD", "cheapest to move"),
            WrongAnswer(_line_signed, "compares signed weights", "with their signs"),
            WrongAnswer(_line_projection, "projects in L2", "nearest point in L2"),
            WrongAnswer(_line_wrong_way, "moves away", "wrong way"),
            WrongAnswer(lambda w, b, x, mad: nearest_on_line(w, b, x, mad) - x, "returns the change", "add it to x"),
            WrongAnswer(lambda w, b, x, mad: x - (w @ x + b) / (len(w) * w), "moves all features", "not the nearest"),
        ],
        right=[_line_by_trying_all, _line_by_mask],
    ),
    Exercise(
        name="obeys",
        title="Check what may change",
        level="core",
        difficulty=2,
        minutes=8,
        passes="a row is allowed exactly when it breaks no rule; an unchanged feature never breaks one",
        task="Write `obeys(x, rows, fixed, only_up)`: one True or False for each row of `rows`. `fixed` lists the columns that must "
        "be as in `x`, `only_up` those that must not be lower. The lists may be empty.",
        hints=(
            "How many rules must a row keep to be allowed?",
            "`rows[:, fixed] == x[fixed]` compares a whole block; then one answer per row.",
        ),
        reference=obeys,
        check=_check_obeys,
        wrong=[
            WrongAnswer(
                lambda x, rows, fixed, only_up: (
                    (rows[:, fixed] == x[fixed]).all(axis=1) & (rows[:, only_up] > x[only_up]).all(axis=1)
                ),
                "demands a rise",
                "stays the same breaks no rule",
            ),
            WrongAnswer(
                lambda x, rows, fixed, only_up: (rows[:, only_up] >= x[only_up]).all(axis=1),
                "ignores fixed",
                "let fixed features",
            ),
            WrongAnswer(
                lambda x, rows, fixed, only_up: (rows[:, fixed] == x[fixed]).all(axis=1),
                "ignores only_up",
                "only-up features fall.",
            ),
            WrongAnswer(
                lambda x, rows, fixed, only_up: (
                    (rows[:, fixed] == x[fixed]).all(axis=1) & (rows[:, only_up] <= x[only_up]).all(axis=1)
                ),
                "turns the direction around",
                "Turned around",
            ),
            WrongAnswer(
                lambda x, rows, fixed, only_up: (
                    (rows[:, fixed] == x[fixed]).any(axis=1) & (rows[:, only_up] >= x[only_up]).any(axis=1)
                ),
                "any for all",
                "every one has to",
            ),
            WrongAnswer(_obeys_nearly, "lets small steps pass", "A thousandth"),
            WrongAnswer(lambda x, rows, fixed, only_up: ~obeys(x, rows, fixed, only_up), "marks the violations", "break a rule"),
            WrongAnswer(
                lambda x, rows, fixed, only_up: bool(obeys(x, rows, fixed, only_up).all()), "one answer", "One answer for all"
            ),
        ],
        right=[_obeys_by_loop, _obeys_by_difference],
    ),
    Exercise(
        name="proxy",
        title="Flip the proxy",
        level="core",
        difficulty=2,
        minutes=8,
        passes="you count, among those who could flip, the ones who do",
        task="Flipping the protected group changes no decision: no column holds it. Now flip only its proxy. Of the *denied held-out* "
        "applicants from east and west, which share does `predict` (the boosting model) approve once their `region` is north and "
        "nothing else changes? First write the share you expect into `my_guess`; then measure it into `my_measured`, not rounded. "
        '(`pd.Categorical(["north"] * n, categories=...)` makes the column.)',
        hints=(
            "The rule gives the east 0.5 and the west 0.9 of log-odds. How many denied applicants are that close to the threshold?",
            "Select first (denied, and from east or west), change the column, predict again, mean of a comparison.",
        ),
        reference=proxy,
        check=_check_proxy,
        wrong=[
            WrongAnswer(0.0, "takes the null flip for the proxy's", "Zero is what flipping the group"),
            WrongAnswer(0.03, "share of all applicants", "share of all applicants"),
            WrongAnswer(0.06369, "share of everyone from there", "the approved included"),
            WrongAnswer(0.1676, "share of all denied", "nothing to flip"),
            WrongAnswer(60.0, "counts people", "number of people"),
            WrongAnswer(0.30, "rounds to two decimals", "three or more"),
        ],
    ),
    Exercise(
        name="letter",
        title="Judge a letter to Mara",
        level="core",
        difficulty=3,
        minutes=10,
        passes="you accept what a counterfactual of a model says and reject what it does not",
        task="A colleague drafted a letter from the chapter's results: *your application was denied; with 5,800 euro more a year it "
        'would have been approved*. Which of these sentences hold? Give their letters, for example `"ad"`. Then write two sentences '
        "of your own that you would dare to send.",
        hints=(
            "Ask of each sentence: is it about this model, the next model, or the world?",
            "Which of them did the chapter measure, and with what result?",
        ),
        claims={
            "a": Claim(
                "The present model approves Mara's row with 5,800 euro more income and nothing else changed.",
                True,
                "That was checked by asking the model about exactly this row: validity is the one thing that is certain.",
            ),
            "b": Claim(
                "Her income was therefore the principal reason for the denial.",
                False,
                "The nearest change names what is cheap to change, not what counted most: in the chapter the two agreed "
                "in about every fifth case, hardly more often than by chance.",
            ),
            "c": Claim(
                "If she earns 5,800 euro more next year, the bank will say yes.",
                False,
                "Other columns change in a year, and the model is refitted: without a margin about half of the chapter's advice held.",
            ),
            "d": Claim(
                "Asking the search for a margin makes it likelier that the advice survives a refit, at the price of a larger change.",
                True,
                "Measured: with a margin more of it stayed valid, and it was further away.",
            ),
            "e": Claim(
                "Since the model approves her then, her true risk is certain to be at most one half.",
                False,
                "Approval is about the model's risk. Of the chapter's nearest rows, all approved, only a third had a true risk of "
                "at most one half. (Hers happens to have it; the approval is no proof.)",
            ),
            "f": Claim(
                "The model treats both groups alike, because flipping the group changes no decision.",
                False,
                "No column holds the group, so the flip changes nothing by construction; region, its proxy, does change decisions.",
            ),
        },
        model_answer="Our present model would have approved an application like yours with a yearly income of 45,300 euro, or for a loan of "
        "10,000 euro. This is what would have changed its decision today; it is neither the list of our reasons, which we send "
        "separately, nor a promise for a future application.",
    ),
    Exercise(
        name="sparsify",
        title="Take back what was not needed",
        level="stretch",
        difficulty=3,
        minutes=12,
        passes="the row stays valid, and each change that can go, in order of its cost, is gone",
        task="Write `sparsify(is_valid, x, row, scale)`. `row` is a valid counterfactual of `x` with many changes. Go through the "
        "changes in order of |row - x| / scale, largest first; set each back to its value in `x` if the row is *then still* valid. "
        "Return the row that is left. `is_valid` takes an array of rows and returns one True or False for each.",
        hints=(
            "After the first change is gone, is the answer to 'can this one go?' still the one you had before?",
            "A copy for each trial; keep it or drop it; go on to the next either way.",
        ),
        reference=sparsify,
        check=_check_sparsify,
        wrong=[
            WrongAnswer(_sparsify_at_once, "undoes all at once", "can not all be dropped together"),
            WrongAnswer(_sparsify_until_first_failure, "stops at the first failure", "stopped at the first"),
            WrongAnswer(_sparsify_cheapest_first, "starts with the cheapest", "cheapest changes back first"),
            WrongAnswer(_sparsify_unscaled, "orders by raw size", "raw units"),
            WrongAnswer(_sparsify_times_scale, "multiplies by the scale", "multiplied by the scale"),
            WrongAnswer(_sparsify_by_column, "goes column by column", "as they stand"),
            WrongAnswer(_sparsify_signed, "orders by signed change", "signed changes"),
            WrongAnswer(_sparsify_to_x, "undoes everything", "denied applicant again"),
            WrongAnswer(lambda is_valid, x, row, scale: row, "undoes nothing", "greedy undoing"),
        ],
        right=[_sparsify_by_where, _sparsify_by_recursion],
    ),
]

WARMUP = [
    Question(
        "Chapter 5 said: income contributed -0.08 to Mara's score. What happens to the score when she earns more?",
        "The value does not say.",
        "A Shapley value averages over coalitions of features; it is not the effect of a change. This chapter asks about changes.",
        {
            "It rises by 0.08 for every unit of income.": "It is no slope: it compares her income with the incomes of a background.",
            "It falls, because the contribution is negative.": "The sign tells how her present income compares, not what more of it does.",
        },
    ),
    Question(
        "Partial dependence asks a model about rows that do not exist. Why should you care?",
        "A model may do anything where it has seen no data.",
        "Keep it in mind: a search for the nearest change is a search for exactly such places.",
        {
            "Such rows crash the model.": "They do not: an answer comes back as if nothing had happened.",
            "They bias the test score.": "The test score uses real rows only, which is why it can not warn you.",
        },
    ),
    Question(
        "The outcome depends on the protected group only through the region. The model sees the region, not the group. Does it "
        "treat the groups alike?",
        "Not necessarily: the region carries the group into the model.",
        "Leaving a column out does not remove what the other columns know about it.",
        {
            "Yes, it can not use what it does not see.": "It sees the region, and the region tells a good deal about the group.",
            "Yes, as long as the accuracy is equal.": "Equal accuracy does not mean equal treatment, and nothing here says it is equal.",
        },
    ),
]

QUIZ = [
    Question(
        "The nearest counterfactual says: 5,000 euro more income. What does that tell about the reasons for the denial?",
        "That income is cheap to change here, no more.",
        "Nearness divides by what a change costs. The largest reason can be something that is dear or impossible to change.",
        {
            "Income was the main reason.": "It may be, and often it is not: the chapter counted.",
            "Only income counted.": "Sparsity is a property of the search: one change is enough, however many features count.",
        },
    ),
    Question(
        "Why is the change divided by the MAD of its feature?",
        "So that euros and years can be added: each counts in units of its own typical spread.",
        "It is a convention about effort, not a law: nobody asked Mara what is hard for her.",
        {
            "So that the gradient is stable.": "Scaling helps the descent too, but the MAD defines what near means.",
            "So that all features change.": "The opposite: with a sum of absolute changes few features move.",
        },
    ),
    Question(
        "A search returns no counterfactual. What do you know?",
        "It looked at so many rows inside the limits and found none.",
        "A proof needs the structure of the model: a line in a box, or every leaf of a tree.",
        {
            "There is none.": "A search can miss. Only for a line or a tree did we prove it.",
            "The model is broken.": "Tight limits are enough: somebody who may change nothing has no way to a yes.",
        },
    ),
    Question(
        "You flip the protected attribute, which the model never sees, and no decision changes. What follows?",
        "Nothing: it could not have come out otherwise.",
        "A test that can not fail is no evidence. Flip proxies, and compare rates between groups.",
        {
            "The model is fair.": "The flip is null by construction, for fair and unfair models alike.",
            "The group does not matter in the data.": "Its proxies may carry it, as the region does here.",
        },
    ),
    Question(
        "After a refit, half of the advice no longer leads to a yes. What helps?",
        "Asking for a margin beyond the threshold, and paying for it in distance.",
        "The nearest row lies on the boundary by construction, where the next model is as likely to say no.",
        {
            "A better search.": "A better search finds rows closer to the boundary, and makes it worse.",
            "More alternatives.": "Each of them sits at the boundary. They may fail together.",
        },
    ),
]
