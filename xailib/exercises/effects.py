"""Exercises of chapter 3: partial dependence and ALE from scratch, what a flat line hides, and what a curve may be used for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import pairwise
from typing import Any

import numpy as np

from xailib.exercises.engine import Claim, Exercise, Mistake, WrongAnswer
from xailib.exercises.questions import Question

Function = Callable[..., Any]


def _named(found: np.ndarray, mistakes: Mapping[str, np.ndarray]) -> None:
    """Raise the message of the known mistake that gives exactly these numbers."""
    for message, value in mistakes.items():
        if np.shape(found) == np.shape(value) and np.allclose(found, value, atol=1e-9):
            raise Mistake(message)


def _numbers(value: Any) -> np.ndarray:
    """The answer as an array of numbers, or a sentence."""
    try:
        return np.asarray(value, dtype=float)
    except (TypeError, ValueError) as error:
        raise Mistake(f"Numbers must come out, not {value!r:.60}.") from error


# partial dependence -----------------------------------------------------------------------------------------------------


def partial(predict: Function, X: np.ndarray, j: int, grid: np.ndarray) -> np.ndarray:
    """Average prediction with feature j set to z in every row, for each z of the grid."""
    averages = []
    for z in grid:
        moved = X.copy()
        moved[:, j] = z
        averages.append(predict(moved).mean())
    return np.array(averages)


def _partial_by_tiling(predict: Function, X: np.ndarray, j: int, grid: np.ndarray) -> np.ndarray:
    rows = np.tile(X, (len(grid), 1))
    rows[:, j] = np.repeat(grid, len(X))
    return predict(rows).reshape(len(grid), len(X)).mean(axis=1)


def _partial_by_place(predict: Function, X: np.ndarray, j: int, grid: np.ndarray) -> list[float]:
    before, after = X[:, :j], X[:, j + 1 :]
    at = (np.column_stack([before, np.full(len(X), z), after]) for z in grid)
    return [float(np.average(predict(rows))) for rows in at]


def _per_house(predict: Function, X: np.ndarray, j: int, grid: np.ndarray) -> np.ndarray:
    curves = [predict(np.column_stack([X[:, :j], np.full(len(X), z), X[:, j + 1 :]])) for z in grid]
    return np.mean(curves, axis=0)


def _at_the_average_house(predict: Function, X: np.ndarray, j: int, grid: np.ndarray) -> np.ndarray:
    rows = np.tile(X.mean(axis=0), (len(grid), 1))
    rows[:, j] = grid
    return predict(rows)


def _of_those_who_are_near(predict: Function, X: np.ndarray, j: int, grid: np.ndarray) -> np.ndarray:
    nearest = np.abs(X[:, [j]] - grid).argsort(axis=0)[: max(3, len(X) // 10)]
    return predict(X)[nearest].mean(axis=0)


def _total(predict: Function, X: np.ndarray, j: int, grid: np.ndarray) -> np.ndarray:
    return partial(predict, X, j, grid) * len(X)


def _from_its_start(predict: Function, X: np.ndarray, j: int, grid: np.ndarray) -> np.ndarray:
    curve = partial(predict, X, j, grid)
    return curve - curve[0]


def _always_the_first_column(predict: Function, X: np.ndarray, j: int, grid: np.ndarray) -> np.ndarray:
    return partial(predict, X, 0, grid)


def _sorted(predict: Function, X: np.ndarray, j: int, grid: np.ndarray) -> np.ndarray:
    return partial(predict, X, j, np.sort(grid))


def _into_the_table(predict: Function, X: np.ndarray, j: int, grid: np.ndarray) -> np.ndarray:
    averages = []
    for z in grid:
        X[:, j] = z
        averages.append(predict(X).mean())
    return np.array(averages)


def _check_partial(answer: Function, rng: np.random.Generator) -> None:
    X = rng.multivariate_normal(np.zeros(3), np.array([[1, 0.8, 0], [0.8, 1, 0], [0, 0, 1]]), size=57)
    weight, grid = rng.uniform(0.5, 2), np.array([0.9, -1.5, 2.0, -0.2])

    def ignores(X: np.ndarray) -> np.ndarray:
        return weight * X[:, 1] + 5

    def bends(X: np.ndarray) -> np.ndarray:
        return 3 + X[:, 0] * (X[:, 1] + weight) + np.exp(X[:, 2])

    values = _shaped(answer(ignores, X, 0, grid), len(grid), len(X))
    if np.ptp(values) > 1e-6:
        raise Mistake(
            "Your curve rises although the model never looks at this feature: you averaged over the houses that already "
            "have the value, and those differ in other ways too. Give the value to *every* row."
        )
    values, truth = _shaped(answer(bends, X, 1, grid), len(grid), len(X)), partial(bends, X, 1, grid)
    _named(
        values,
        {
            "You asked about one average house. The average of the predictions is not the prediction of the average: keep "
            "every row and average last.": _at_the_average_house(bends, X, 1, grid),
            "You set column 0, whatever `j` says.": partial(bends, X, 0, grid),
            "Right averages in another order: the grid was not sorted, and value k belongs to grid value k.": partial(
                bends, X, 1, np.sort(grid)
            ),
            "You added the predictions up; divide by the number of rows.": truth * len(X),
            "Your curve starts at zero: partial dependence keeps its level, which is a prediction.": truth - truth[0],
        },
    )
    if not np.allclose(values, truth, atol=1e-9):
        raise Mistake("The numbers differ: set column j of a copy to z in every row, predict, average over rows.")


def _shaped(values: Any, n_grid: int, n_rows: int) -> np.ndarray:
    values = _numbers(values)
    if values.shape == (n_rows,):
        raise Mistake("You returned one number per house: average over the houses, keep the grid values apart.")
    if values.shape != (n_grid,):
        raise Mistake(f"{n_grid} grid values go in, so {n_grid} averages must come out, not an array of shape {values.shape}.")
    return values


# accumulating -----------------------------------------------------------------------------------------------------------


def accumulate(x: np.ndarray, delta: np.ndarray, edges: np.ndarray) -> np.ndarray:
    """Mean difference per interval, added up from zero at the left edge; intervals are closed on the right."""
    interval = np.maximum(np.searchsorted(edges, x) - 1, 0)
    counts = np.bincount(interval, minlength=len(edges) - 1)
    means = np.bincount(interval, weights=delta, minlength=len(edges) - 1) / counts
    return np.concatenate([[0.0], np.cumsum(means)])


def _accumulate_by_loop(x: np.ndarray, delta: np.ndarray, edges: np.ndarray) -> list[float]:
    g = [0.0]
    for k, (low, high) in enumerate(pairwise(edges)):
        inside = (x <= high) & ((x > low) | (k == 0))
        g.append(g[-1] + float(delta[inside].mean()))
    return g


def _accumulate_by_frame(x: np.ndarray, delta: np.ndarray, edges: np.ndarray) -> np.ndarray:
    import pandas as pd

    interval = pd.cut(x, edges, include_lowest=True, labels=False)
    return np.append(0.0, pd.Series(delta).groupby(interval).mean().sort_index().cumsum())


def _interval_means(x: np.ndarray, delta: np.ndarray, edges: np.ndarray) -> np.ndarray:
    return np.diff(accumulate(x, delta, edges))


def _closed_on_the_left(x: np.ndarray, delta: np.ndarray, edges: np.ndarray) -> np.ndarray:
    interval = np.minimum(np.searchsorted(edges, x, side="right") - 1, len(edges) - 2)
    sums = np.bincount(interval, weights=delta, minlength=len(edges) - 1)
    return np.concatenate([[0.0], np.cumsum(sums / np.maximum(np.bincount(interval, minlength=len(edges) - 1), 1))])


def _accumulate_sums(x: np.ndarray, delta: np.ndarray, edges: np.ndarray) -> np.ndarray:
    interval = np.maximum(np.searchsorted(edges, x) - 1, 0)
    return np.concatenate([[0.0], np.cumsum(np.bincount(interval, weights=delta, minlength=len(edges) - 1))])


def _accumulate_shares(x: np.ndarray, delta: np.ndarray, edges: np.ndarray) -> np.ndarray:
    return _accumulate_sums(x, delta, edges) / len(x)


def _accumulate_slopes(x: np.ndarray, delta: np.ndarray, edges: np.ndarray) -> np.ndarray:
    return np.concatenate([[0.0], np.cumsum(_interval_means(x, delta, edges) / np.diff(edges))])


def _check_accumulate(answer: Function, rng: np.random.Generator) -> None:
    edges = np.cumsum([0.0, 1.0, 0.5, 2.0, 3.0])
    inside = np.concatenate([rng.uniform(a, b, 3 + 4 * k) for k, (a, b) in enumerate(pairwise(edges))])
    x = np.concatenate([inside, edges])
    delta = rng.normal(1, 2, len(x))
    values, truth = _numbers(answer(x, delta, edges)), accumulate(x, delta, edges)
    if values.shape == (len(edges) - 1,):
        cumulated = np.allclose(values, truth[1:])
        raise Mistake(
            "One value is missing: a curve over 4 intervals has 5 edges and starts at zero at the leftmost."
            if cumulated
            else "These are the local effects, one per interval: add them up, starting from zero at the leftmost edge."
        )
    if values.shape != truth.shape:
        raise Mistake(f"{len(edges)} edges go in, so {len(edges)} values must come out, not an array of shape {values.shape}.")
    _named(
        values,
        {
            "A value on an edge belongs to the interval on its *left*, and only the minimum to the interval on its right: "
            "yours are closed on the other side.": _closed_on_the_left(x, delta, edges),
            "You added up sums, so a crowded interval counts more than a thin one: take the mean inside each interval "
            "first.": _accumulate_sums(x, delta, edges),
            "You divided by the number of all rows: each interval is averaged over its own rows.": _accumulate_shares(
                x, delta, edges
            ),
            "You divided by the widths. A delta is already the change across the whole interval, not a slope.": _accumulate_slopes(
                x, delta, edges
            ),
        },
    )
    if not np.allclose(values, truth, atol=1e-9):
        raise Mistake("The numbers differ: find the interval of each row, average delta inside it, add the averages up.")


# centring ---------------------------------------------------------------------------------------------------------------


def centre(g: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Subtract the average height over the rows; a row in an interval stands at the middle of its two ends."""
    middles = (g[:-1] + g[1:]) / 2
    return g - np.average(middles, weights=counts)


def _centre_by_loop(g: np.ndarray, counts: np.ndarray) -> list[float]:
    height = sum(n * (low + high) / 2 for n, low, high in zip(counts, g[:-1], g[1:], strict=True)) / sum(counts)
    return [float(value - height) for value in g]


def _centre_by_product(g: np.ndarray, counts: np.ndarray) -> np.ndarray:
    weights = np.convolve(counts, [0.5, 0.5]) / counts.sum()
    return g - g @ weights


def _check_centre(answer: Function, rng: np.random.Generator) -> None:
    g, counts = np.concatenate([[0.0], np.cumsum(rng.normal(1, 1, 6))]), rng.integers(2, 60, 6)
    values, truth = _numbers(answer(g, counts)), centre(g, counts)
    if values.shape != g.shape:
        raise Mistake(f"The curve has {len(g)} points and keeps them: yours has shape {values.shape}.")
    if not np.allclose(np.diff(values), np.diff(g)):
        raise Mistake("Centring shifts the whole curve by one number: yours changes its shape.")
    middles = (g[:-1] + g[1:]) / 2
    _named(
        values,
        {
            "Your curve still starts at zero: the zero of ALE is the average *row*, not the leftmost edge.": g - g[0],
            "You gave every edge the same weight; where many rows live must count more.": g - g.mean(),
            "You gave every interval the same weight: use the counts.": g - middles.mean(),
            "You put every row at the right end of its interval; the convention is the middle.": g - np.average(g[1:], weights=counts),
            "You put every row at the left end of its interval; the convention is the middle.": g - np.average(g[:-1], weights=counts),
            "You subtracted a sum: divide by the number of rows.": g - (middles * counts).sum(),
        },
    )  # fmt: skip
    if not np.allclose(values, truth, atol=1e-9):
        raise Mistake("The size of the shift is off: weighted average of the interval middles, weights = rows per interval.")


# impossible rows --------------------------------------------------------------------------------------------------------


def impossible() -> float:
    """Share of the rows asked by the partial dependence of HDL in which LDL and HDL exceed the total cholesterol."""
    import pandas as pd

    from xailib import effects
    from xailib.worlds import real

    X = real.diabetes().X
    rows = pd.concat([X.assign(hdl=z) for z in effects.grid_points(X["hdl"], 20)])
    return float(rows.eval("ldl + hdl > total_cholesterol").mean())


def _check_impossible(answer: float, rng: np.random.Generator) -> None:
    truth = impossible()
    if abs(answer - truth) <= 0.002:
        return
    named = {
        "A low correlation does not make every combination possible: HDL is a part of a sum, and the sum has a limit.": (-0.005, 0.005),
        "That is the share for LDL; the grid runs over HDL this time.": (0.310, 0.320),
        "These are the rows that ALE asks about, two for each patient; partial dependence asks one for each grid value.": (0.007, 0.013),
        "That is the share in percent; a number between 0 and 1 is asked.": (11.8, 12.3),
        "That is a number of rows; divide by all rows asked.": (100, np.inf),
        "That is a grid of equal steps, with more values where nobody is; quantiles are asked.": (0.34, 0.36),
        "That is the largest grid value alone; the curve asks about all of them.": (0.92, 0.94),
    }  # fmt: skip
    for message, (low, high) in named.items():
        if low <= answer <= high:
            raise Mistake(message)
    raise Mistake("Not the number of the experiment: every patient at every value of grid_points(X['hdl'], 20), then the mean.")


# the error of an accumulated curve --------------------------------------------------------------------------------------


def accumulated_error(spread: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Standard error of the uncentred curve at each edge: the variances of the interval means add up on the way."""
    variance_of_mean = spread**2 / counts
    return np.sqrt(np.concatenate([[0.0], np.cumsum(variance_of_mean)]))


def _error_by_loop(spread: np.ndarray, counts: np.ndarray) -> list[float]:
    variances = [0.0]
    for s, n in zip(spread, counts, strict=True):
        variances.append(variances[-1] + s * s / n)
    return [float(v**0.5) for v in variances]


def _error_by_norm(spread: np.ndarray, counts: np.ndarray) -> np.ndarray:
    local = spread / np.sqrt(counts)
    return np.array([np.linalg.norm(local[:k]) for k in range(len(local) + 1)])


def _check_error(answer: Function, rng: np.random.Generator) -> None:
    spread, counts = rng.uniform(0.5, 3, 7), rng.integers(5, 80, 7)
    values, truth = _numbers(answer(spread, counts)), accumulated_error(spread, counts)
    local = spread / np.sqrt(counts)
    if values.shape == local.shape:
        _named(values, {"One value is missing: at the leftmost edge the curve is zero by definition, without error.": truth[1:]})
    padded = values if values.shape == truth.shape else np.concatenate([[0.0], np.ravel(values)])
    if padded.shape != truth.shape:
        raise Mistake(f"7 intervals have 8 edges, so 8 standard errors must come out, not an array of shape {values.shape}.")
    _named(
        padded,
        {
            "That is the error of each interval alone: on its way to an edge the curve collects the errors of all intervals "
            "before it.": np.concatenate([[0.0], local]),
            "You added standard errors. Independent errors partly cancel: add variances, then take the root.": np.concatenate(
                [[0.0], np.cumsum(local)]
            ),
            "You forgot the counts: a mean of n rows has the variance of one row divided by n.": np.concatenate(
                [[0.0], np.sqrt(np.cumsum(spread**2))]
            ),
            "These are variances: take the root.": truth**2,
            "You divided by all rows: each interval's mean rests on its own rows only.": np.concatenate(
                [[0.0], np.sqrt(np.cumsum(spread**2) / counts.sum())]
            ),
        },
    )
    if not np.allclose(values, truth, atol=1e-9):
        raise Mistake("The numbers differ: variance of each mean, running sum, root, a zero in front.")


# Friedman's H -----------------------------------------------------------------------------------------------------------


def h_squared(joint: np.ndarray, first: np.ndarray, second: np.ndarray) -> float:
    """Share of the variance of the joint partial dependence that the two single ones leave unexplained."""
    interaction = joint - first - second
    return float(interaction.var() / joint.var())


def _h_by_sums(joint: np.ndarray, first: np.ndarray, second: np.ndarray) -> float:
    joint, first, second = joint - joint.mean(), first - first.mean(), second - second.mean()
    return float(np.sum((joint - first - second) ** 2) / np.sum(joint**2))


def _h_by_standard_deviations(joint: np.ndarray, first: np.ndarray, second: np.ndarray) -> float:
    return float((np.std(joint - (first + second)) / np.std(joint)) ** 2)


def _one_number(value: Any) -> float:
    values = _numbers(value)
    if values.size != 1:
        raise Mistake(f"One number for the whole pair is asked for, not {values.size}: add up over the rows.")
    return float(values.reshape(()))


def _check_h(answer: Function, rng: np.random.Generator) -> None:
    a, b = rng.normal(2, 1, 80), rng.normal(-1, 1, 80)
    level = 7.0
    additive = _one_number(answer(2 * a + b**2 + level, 2 * a + level, b**2 + level))
    if abs(additive - 1) < 1e-9:
        raise Mistake("That is the share that is *not* interaction.")
    if abs(additive) > 1e-9:
        raise Mistake(
            "For a model without interaction H is zero, and yours is not: each partial dependence carries the level of the "
            "model, so centre all three before you subtract."
        )
    joint, first, second = a * b + a + level, a * b.mean() + a + level, a.mean() * b + a.mean() + level
    value, truth = _one_number(answer(joint, first, second)), h_squared(joint, first, second)
    rest = (joint - first - second).var()
    mistakes = {
        "That is H. The square is asked for: a share of variance.": np.sqrt(truth),
        "That is the size of the interaction in squared units of the price: divide by the variance of the joint effect.": rest,
        "You divided by the variance of the two single effects: the share is of the *joint* effect.": rest / (first + second).var(),
    }  # fmt: skip
    _named(np.array(value), {message: np.array(number) for message, number in mistakes.items()})
    if abs(value - truth) > 1e-9:
        raise Mistake("The number differs: variance of joint minus first minus second, divided by the variance of joint.")


# the bank ---------------------------------------------------------------------------------------------------------------

EXERCISES = [
    Exercise(
        name="partial",
        title="Set everyone to the same size",
        level="core",
        difficulty=2,
        minutes=10,
        passes="your curve is flat for a model that ignores the feature, and right for one that bends",
        task="Write `partial(predict, X, j, grid)`: for each value of the grid the average prediction when column `j` has that "
        "value in every row. `X` is an array, `predict` takes an array; one number per grid value comes back.",
        hints=(
            "Houses that already have this size differ in other ways too. Whom must you ask instead of them?",
            "The average comes last: `X.copy()`, overwrite one column, predict, average.",
        ),
        reference=partial,
        check=_check_partial,
        wrong=[
            WrongAnswer(_per_house, "averages over the grid instead of the rows", "one number per house"),
            WrongAnswer(_at_the_average_house, "predicts the mean row", "one average house"),
            WrongAnswer(_of_those_who_are_near, "conditional instead of marginal mean", "the model never looks at this feature"),
            WrongAnswer(_total, "sums instead of averaging", "divide by the number of rows"),
            WrongAnswer(_from_its_start, "centres at the first grid value", "keeps its level"),
            WrongAnswer(_always_the_first_column, "ignores j", "whatever `j` says"),
            WrongAnswer(_sorted, "sorts the grid", "in another order"),
            WrongAnswer(_into_the_table, "overwrites the caller's table", "work on a copy"),
        ],
        right=[_partial_by_tiling, _partial_by_place],
    ),
    Exercise(
        name="accumulate",
        title="Add up what is known locally",
        level="core",
        difficulty=3,
        minutes=10,
        passes="values on an edge go to the left, thin intervals count as much as crowded ones, and the curve starts at zero",
        task="Write `accumulate(x, delta, edges)`. `x` are the rows' values of the feature, `delta` the change of each row's "
        "prediction across its own interval, `edges` the increasing edges. Return the uncentred curve: one value per *edge*. "
        "Intervals are closed on the right; the minimum belongs to the first. No interval is empty.",
        hints=(
            "Three steps, in this order: which interval, which mean, which running total.",
            "`np.searchsorted` finds the first edge that is not smaller than a value. Which interval ends there?",
        ),
        reference=accumulate,
        check=_check_accumulate,
        wrong=[
            WrongAnswer(lambda x, delta, edges: accumulate(x, delta, edges)[1:], "drops the start", "One value is missing"),
            WrongAnswer(_interval_means, "does not accumulate", "local effects"),
            WrongAnswer(_closed_on_the_left, "closes intervals on the left", "on its *left*"),
            WrongAnswer(_accumulate_sums, "accumulates sums", "crowded interval"),
            WrongAnswer(_accumulate_shares, "divides by all rows", "its own rows"),
            WrongAnswer(_accumulate_slopes, "takes delta for a slope", "not a slope"),
        ],
        right=[_accumulate_by_loop, _accumulate_by_frame],
    ),
    Exercise(
        name="centre",
        title="Find the zero line",
        level="core",
        difficulty=2,
        minutes=5,
        passes="the shift weighs intervals by their rows and puts each row at the middle of its interval",
        task="Write `centre(g, counts)`: shift the accumulated curve `g` (one value per edge) so that its average over the rows is "
        "zero. `counts` holds the rows per interval, one fewer than `g`; a row counts at the middle of its interval.",
        hints=(
            "How high does the curve stand, on average, above the rows of one interval?",
            "`np.average` takes weights.",
        ),
        reference=centre,
        check=_check_centre,
        wrong=[
            WrongAnswer(lambda g, counts: g - g[0], "keeps zero at the left edge", "still starts at zero"),
            WrongAnswer(lambda g, counts: g - g.mean(), "averages edges", "every edge the same weight"),
            WrongAnswer(lambda g, counts: g - ((g[:-1] + g[1:]) / 2).mean(), "ignores counts", "every interval the same weight"),
            WrongAnswer(lambda g, counts: g - np.average(g[1:], weights=counts), "takes right ends", "right end of its interval"),
            WrongAnswer(lambda g, counts: g - np.average(g[:-1], weights=counts), "takes left ends", "left end of its interval"),
            WrongAnswer(
                lambda g, counts: g - ((g[:-1] + g[1:]) / 2 * counts).sum(),
                "sums instead of averaging",
                "divide by the number of rows",
            ),
            WrongAnswer(lambda g, counts: (g - g.mean()) / g.std(), "standardises", "changes its shape"),
        ],
        right=[_centre_by_loop, _centre_by_product],
    ),
    Exercise(
        name="impossible",
        title="Count the patients who cannot exist",
        level="core",
        difficulty=2,
        minutes=8,
        passes="you count all rows that the partial dependence of HDL asks about",
        task="For LDL nearly a third of the rows that partial dependence asks about break chemistry. HDL is a smaller part of the "
        "total, and its correlation with total cholesterol is only 0.05. First write the share you expect into `my_guess`. Then "
        "measure: every patient at each of the 21 values of `effects.grid_points(patients.X['hdl'], 20)`; the share of rows with "
        "`ldl + hdl > total_cholesterol` goes into `my_measured`.",
        hints=(
            "Is a correlation of zero enough for every combination to be possible? Think of two parts and their whole.",
            "The chapter did it for LDL: `pd.concat`, `assign`, `eval`, `mean`.",
        ),
        reference=impossible,
        check=_check_impossible,
        wrong=[
            WrongAnswer(0.0, "no correlation, no impossible rows", "low correlation"),
            WrongAnswer(0.3149, "varies LDL", "the share for LDL"),
            WrongAnswer(0.0102, "rows of ALE", "rows that ALE asks about"),
            WrongAnswer(1118.0, "counts instead of a share", "number of rows"),
            WrongAnswer(12.04, "percent instead of a share", "in percent"),
            WrongAnswer(0.347, "equal steps instead of quantiles", "equal steps"),
            WrongAnswer(0.9299, "largest grid value only", "largest grid value alone"),
        ],
    ),
    Exercise(
        name="accumulated_error",
        title="Give the curve an honest band",
        level="stretch",
        difficulty=3,
        minutes=8,
        passes="the error grows along the curve as independent errors do",
        task="An ALE curve is a running total of interval means. Write `accumulated_error(spread, counts)`: the standard error of "
        "the *uncentred* curve at every edge. `spread` holds the standard deviation of the differences in each interval, "
        "`counts` the rows in it. (The chapter's band belongs to the *centred* curve. Its zero is the average row and "
        "moves with the sample too, so that band is not zero at the left edge; this one is.)",
        hints=(
            "What is the variance of one interval's mean? And of a sum of independent means?",
            "There is one edge more than intervals. How uncertain is a value that is zero by definition?",
        ),
        reference=accumulated_error,
        check=_check_error,
        wrong=[
            WrongAnswer(
                lambda spread, counts: np.append(0.0, spread / np.sqrt(counts)), "one interval's error", "interval alone"
            ),
            WrongAnswer(
                lambda spread, counts: np.append(0.0, np.cumsum(spread / np.sqrt(counts))), "adds errors", "added standard errors"
            ),
            WrongAnswer(
                lambda spread, counts: np.append(0.0, np.sqrt(np.cumsum(spread**2))), "forgets the counts", "forgot the counts"
            ),
            WrongAnswer(lambda spread, counts: accumulated_error(spread, counts) ** 2, "returns variances", "take the root"),
            WrongAnswer(lambda spread, counts: accumulated_error(spread, counts)[1:], "drops the start", "One value is missing"),
            WrongAnswer(
                lambda spread, counts: np.append(0.0, np.sqrt(np.cumsum(spread**2) / counts.sum())),
                "divides by all rows",
                "divided by all rows",
            ),
        ],
        right=[_error_by_loop, _error_by_norm],
    ),
    Exercise(
        name="h_squared",
        title="Measure how much is interaction",
        level="stretch",
        difficulty=3,
        minutes=8,
        passes="it is zero for a sum, whatever the level of the model, and a share of the joint effect otherwise",
        task="Write `h_squared(joint, first, second)`: Friedman's H squared, one number. The arrays hold the partial dependence of "
        "two features together, of the first and of the second, each at the values of the same rows, *not* centred.",
        hints=(
            "If the model is a sum, what is left of the joint effect after both single ones are taken away? Mind the level.",
            "A variance is unmoved by a constant.",
        ),
        reference=h_squared,
        check=_check_h,
        wrong=[
            WrongAnswer(
                lambda joint, first, second: np.sum((joint - first - second) ** 2) / np.sum(joint**2),
                "forgets to centre",
                "centre all three",
            ),
            WrongAnswer(
                lambda joint, first, second: np.sqrt(h_squared(joint, first, second)), "returns H", "The square is asked for"
            ),
            WrongAnswer(lambda joint, first, second: (joint - first - second).var(), "no denominator", "divide by the variance"),
            WrongAnswer(
                lambda joint, first, second: (joint - first - second).var() / (first + second).var(),
                "share of the main effects",
                "of the *joint* effect",
            ),
            WrongAnswer(
                lambda joint, first, second: 1 - h_squared(joint, first, second),
                "returns the rest",
                "share that is *not* interaction",
            ),
            WrongAnswer(
                lambda joint, first, second: (joint - first - second) ** 2 / joint.var(),
                "returns one number for each row",
                "One number for the whole pair",
            ),
            WrongAnswer(lambda joint, first, second: "strong", "returns a word", "Numbers must come out"),
        ],
        right=[_h_by_sums, _h_by_standard_deviations],
    ),
    Exercise(
        name="memo",
        title="Judge a memo about cholesterol",
        level="core",
        difficulty=3,
        minutes=10,
        passes="you accept what the curves of the diabetes models show and reject what they cannot",
        task="A colleague looked at the LDL curves of 'On real data' and wrote a memo. Which of these sentences hold? Give their "
        'letters, for example `"be"`. Then write two sentences of your own on what the clinic should be told about LDL.',
        hints=(
            "Ask of each sentence: is it about the model, the data, or the patients?",
            "A band is about the rows that were drawn. Was anything else drawn again?",
        ),
        claims={
            "a": Claim(
                "Part of the patients that the partial dependence of LDL asks about cannot exist.",
                True,
                "Total cholesterol contains LDL and HDL, and the grid ignores that: nearly a third of the rows break it.",
            ),
            "b": Claim(
                "The ALE band tells how much the curve would move if the model were fitted to other patients.",
                False,
                "The band holds for one model and its intervals. Fitted to resampled patients, the step of the straight line "
                "from 95 to 135 mg/dl runs from about -20 to +40, and its band is about one unit wide on either side.",
            ),
            "c": Claim(
                "Lowering a patient's LDL would change the progression of the disease by the height of the curve.",
                False,
                "A curve describes what a model does with its inputs, not what a treatment does to a body.",
            ),
            "d": Claim(
                "The line and the quadratic, which the test patients cannot tell apart, disagree about the direction of LDL.",
                True,
                "They do: from 95 to 135 mg/dl the line rises and the quadratic falls. Too few patients have an LDL and a total "
                "cholesterol that part ways.",
            ),
            "e": Claim(
                "Where partial dependence and ALE differ, partial dependence has been computed wrongly.",
                False,
                "Both are computed rightly and answer different questions; a difference tells of interaction under correlation.",
            ),
            "f": Claim(
                "The difference of ALE between an LDL of 60 and one of 200 is the change for a patient who goes from 60 to 200.",
                False,
                "On the way the rows change: each step was measured on other patients, whose total cholesterol differs as well.",
            ),
        },
        model_answer="The three models explain about a third of the variance each, and they disagree on whether a higher LDL goes with "
        "more or less progression once total cholesterol is known, because the two are almost never seen apart. Tell the clinic "
        "that these data do not settle the role of LDL, and that a curve of a model is no ground for a treatment.",
    ),
]

WARMUP = [
    Question(
        "You shuffle `square_metres` to measure its importance. It is correlated with `bedrooms`. What goes wrong?",
        "The model is scored on houses that cannot exist.",
        "Shuffling breaks the tie between the two columns. Keep that in mind: partial dependence breaks it too, on purpose.",
        {
            "The model has to be refitted.": "Nothing is refitted: permutation importance asks the same model on other rows.",
            "The loss can no longer be computed.": "It can, and that is the danger: a number comes out as if nothing had happened.",
        },
    ),
    Question(
        "A feature has permutation importance 0.3. Do you know whether a larger value raises or lowers the prediction?",
        "No. Importance says how much, not which way.",
        "Direction and shape are what this chapter is about.",
        {
            "Yes, it raises it, since 0.3 is positive.": "The sign belongs to the loss: the model gets worse without the feature.",
            "Yes, if the feature is numeric.": "Also then: a rising, a falling and a U-shaped effect can be equally important.",
        },
    ),
    Question(
        "Two houses differ in size by 10 m² and in price by 20,000 euro. What does one square metre cost?",
        "We cannot say: the houses may differ in other ways too.",
        "Comparing houses that *have* other sizes is not the same as changing the size. Three methods below take three stands on it.",
        {
            "2,000 euro.": "Only if nothing else differs between the two. Larger houses tend to have more bedrooms, for a start.",
            "2,000 euro, once we average over many such pairs.": "Averaging removes noise, not the other ways in which larger houses "
            "differ.",
        },
    ),
]

QUIZ = [
    Question(
        "The partial dependence of a feature is flat. What follows?",
        "On average over the rows, setting the feature changes nothing.",
        "And only on average: look at the ICE curves before you say more.",
        {
            "The model does not use the feature.": "Rising and falling curves can cancel. The railway did exactly that.",
            "The feature is uncorrelated with the others.": "Correlation is about the data; a flat average is about the model.",
        },
    ),
    Question(
        "Size and bedrooms are strongly correlated, and the model is a sum of one function of each. Which curve of size is right?",
        "Both: partial dependence and ALE show the same function up to a constant.",
        "Impossible rows do no harm to a sum. They harm when the model does there what no data has ever checked.",
        {
            "Only ALE.": "For a sum the other features drop out of every difference: partial dependence is right at any correlation.",
            "Only partial dependence.": "ALE adds up differences of the same function, so it finds it too.",
        },
    ),
    Question(
        "The model is a product of two correlated inputs. The partial dependence of the first is flat, its ALE a parabola. Who is right?",
        "Both, each for its own question.",
        "One averages over all partners of a value, the other over the partners it really has.",
        {
            "Partial dependence: a product has no main effect.": "Rows with a large first input do have a large second one, and ALE "
            "reports the slope they see.",
            "ALE: partial dependence fails under correlation.": "It does what it promises: pair every value with every row.",
        },
    ),
    Question(
        "The ALE of the building year is 40 at 1930 and 40 at 1990. A house of 1930 is rebuilt as new. The predicted price:",
        "may change a lot: the steps in between were measured on other houses.",
        "ALE is local. Between far ends, ask the model about *this* house: its ICE curve.",
        {
            "stays the same.": "That would hold if every step were the same for every house, that is, without interaction.",
            "rises, since newer is better.": "The curve does not say so, and in the planted world it depends on the district.",
        },
    ),
    Question(
        "What does the band around our ALE curve hold?",
        "The uncertainty from the rows, for this model and these intervals.",
        "Refit the model and the curve may leave its band: that is another uncertainty, and often the larger one.",
        {
            "The uncertainty of the effect in the world.": "Model error is in no band: a wrong model has a narrow band too.",
            "The spread between single houses.": "That is the spread of ICE curves. A mean can be known well while houses differ.",
        },
    ),
]
