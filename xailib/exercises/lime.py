"""Exercises of chapter 4: each of LIME's four steps from scratch, what a weight means, and what an explanation may be used for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

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
        if np.shape(found) == np.shape(value) and np.allclose(found, value, rtol=1e-7, atol=1e-9):
            raise Mistake(message)


# step one: what is still as in the instance -----------------------------------------------------------------------------


def same_bin(rows: np.ndarray, x: np.ndarray, edges: list[np.ndarray]) -> np.ndarray:
    """1 where a row's value lies in the same bin as the instance's, 0 elsewhere; bins are closed on the right."""
    z = np.zeros(rows.shape)
    for j, edge in enumerate(edges):
        z[:, j] = np.searchsorted(edge, rows[:, j]) == np.searchsorted(edge, x[j])
    return z


def _same_by_borders(rows: np.ndarray, x: np.ndarray, edges: list[np.ndarray]) -> np.ndarray:
    columns = []
    for j in range(rows.shape[1]):
        low = max([e for e in edges[j] if e < x[j]], default=-np.inf)
        high = min([e for e in edges[j] if e >= x[j]], default=np.inf)
        columns.append((rows[:, j] > low) & (rows[:, j] <= high))
    return np.column_stack(columns).astype(int)


def _same_by_counting(rows: np.ndarray, x: np.ndarray, edges: list[np.ndarray]) -> np.ndarray:
    bins = np.column_stack([(rows[:, [j]] > edge).sum(axis=1) for j, edge in enumerate(edges)])
    own = np.array([(value > edge).sum() for value, edge in zip(x, edges, strict=True)])
    return bins == own


def _closed_on_the_left(rows: np.ndarray, x: np.ndarray, edges: list[np.ndarray]) -> np.ndarray:
    z = np.zeros(rows.shape)
    for j, edge in enumerate(edges):
        z[:, j] = np.searchsorted(edge, rows[:, j], side="right") == np.searchsorted(edge, x[j], side="right")
    return z


def _bin_numbers(rows: np.ndarray, x: np.ndarray, edges: list[np.ndarray]) -> np.ndarray:
    return np.column_stack([np.searchsorted(edge, rows[:, j]) for j, edge in enumerate(edges)])


def _exactly_equal(rows: np.ndarray, x: np.ndarray, edges: list[np.ndarray]) -> np.ndarray:
    return (rows == x).astype(float)


def _first_columns_edges(rows: np.ndarray, x: np.ndarray, edges: list[np.ndarray]) -> np.ndarray:
    return same_bin(rows, x, [edges[0]] * len(edges))


def _check_same_bin(answer: Function, rng: np.random.Generator) -> None:
    edges = [np.array([1.0, 2.0, 3.0]), np.array([-0.5, 0.5]), np.array([10.0, 20.0, 30.0])]
    rows = np.column_stack([rng.uniform(0, 4, 60), rng.normal(size=60), rng.uniform(0, 40, 60)])
    rows[:6] = [[1, -0.5, 10], [2, 0.5, 20], [3, 0.5, 30], [2.5, 0, 15], [1.5, 0, 25], [3.5, 1, 35]]
    x = np.array([2.0, 0.5, 17.0])
    z, truth = _numbers(answer(rows, x, edges)), same_bin(rows, x, edges)
    if z.shape != rows.shape:
        raise Mistake(f"One entry for each row and feature is asked for, so shape {rows.shape}, not {z.shape}.")
    _named(
        z,
        {
            "These are the numbers of the bins. LIME's z asks less: is it the *same* bin as the instance's?": _bin_numbers(rows, x, edges),
            "You have it the wrong way round: 1 means *still as in the instance*.": 1 - truth,
            "Equal values are too strict: a row with another value in the same bin counts as the same.": _exactly_equal(rows, x, edges),
            "A value on an edge belongs to the bin on its *left*: yours are closed on the other side.": _closed_on_the_left(rows, x, edges),
            "You cut every feature with the edges of the first.": _first_columns_edges(rows, x, edges),
        },
    )  # fmt: skip
    if not np.array_equal(z, truth):
        raise Mistake(
            "Some entries differ: find the bin of each value and of the instance's value, then compare, column by column."
        )


# step three: closeness --------------------------------------------------------------------------------------------------


def closeness(Z: np.ndarray, z0: np.ndarray, sigma: float) -> np.ndarray:
    """Gaussian kernel of the Euclidean distance between each row of Z and the instance's z0."""
    squared = ((Z - z0) ** 2).sum(axis=1)
    return np.exp(-squared / (2 * sigma**2))


def _closeness_by_norm(Z: np.ndarray, z0: np.ndarray, sigma: float) -> np.ndarray:
    return np.sqrt(np.exp(-((np.linalg.norm(Z - z0, axis=1) / sigma) ** 2)))


def _closeness_by_loop(Z: np.ndarray, z0: np.ndarray, sigma: float) -> list[float]:
    return [float(np.exp(-0.5 * sum((a - b) ** 2 for a, b in zip(z, z0, strict=True)) / sigma**2)) for z in Z]


def _check_closeness(answer: Function, rng: np.random.Generator) -> None:
    Z, z0, sigma = rng.normal(size=(40, 3)), rng.normal(size=3), rng.uniform(0.6, 1.6)
    Z[7] = z0  # not the first: an answer must use z0, not Z[0]
    weights = _numbers(answer(Z, z0, sigma))
    d2 = ((Z - z0) ** 2).sum(axis=1)
    truth = np.exp(-d2 / (2 * sigma**2))
    if weights.shape != (40,):
        raise Mistake(
            f"One weight for each of the 40 samples is asked for, not an array of shape {weights.shape}: sum over features."
        )
    _named(
        weights,
        {
            "You forgot the 2: this is the paper's kernel, which is narrower. Here it is the Gaussian of the chapter.": np.exp(-d2 / sigma**2),
            "You forgot to square the distance: far samples would count far too much.": np.exp(-np.sqrt(d2) / (2 * sigma**2)),
            "Your weights grow with the distance: closeness falls.": np.exp(d2 / (2 * sigma**2)),
            "The width enters squared, as the distance does.": np.exp(-d2 / (2 * sigma)),
            "These are distances; the kernel turns them into weights between 0 and 1.": np.sqrt(d2),
            "You measured from the mean of the samples; closeness is to the instance.": closeness(Z, Z.mean(axis=0), sigma),
            "You took the first row of Z for the instance: use z0, whichever row it is.": closeness(Z, Z[0], sigma),
            "You measured from zero; closeness is to the instance.": closeness(Z, np.zeros(3), sigma),
            "You made the weights sum to one. The fit would not mind, but a ridge penalty would, and the instance itself weighs 1.": truth
            / truth.sum(),
        },
    )  # fmt: skip
    if not np.allclose(weights, truth, atol=1e-9):
        raise Mistake(
            "The numbers differ: squared differences, sum over features, divide by twice the squared width, exponential of minus that."
        )


# step four: the fit -----------------------------------------------------------------------------------------------------


def local_line(Z: np.ndarray, y: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Intercept and slopes of weighted least squares: multiply both sides by the root of the weights."""
    root = np.sqrt(weights)
    design = np.column_stack([np.ones(len(Z)), Z])
    return np.linalg.lstsq(design * root[:, None], y * root, rcond=None)[0]


def _line_by_normal_equations(Z: np.ndarray, y: np.ndarray, weights: np.ndarray) -> np.ndarray:
    D = np.column_stack([np.ones(len(Z)), Z])
    W = np.diag(weights)
    return np.linalg.solve(D.T @ W @ D, D.T @ W @ y)


def _line_by_scikit_learn(Z: np.ndarray, y: np.ndarray, weights: np.ndarray) -> list[float]:
    from sklearn.linear_model import LinearRegression

    fitted = LinearRegression().fit(Z, y, sample_weight=weights)
    return [float(fitted.intercept_), *map(float, fitted.coef_)]


def _unweighted(Z: np.ndarray, y: np.ndarray, weights: np.ndarray) -> np.ndarray:
    return local_line(Z, y, np.ones(len(Z)))


def _squared_weights(Z: np.ndarray, y: np.ndarray, weights: np.ndarray) -> np.ndarray:
    return local_line(Z, y, weights**2)


def _one_side_only(Z: np.ndarray, y: np.ndarray, weights: np.ndarray) -> np.ndarray:
    root = np.sqrt(weights)
    return np.linalg.lstsq(np.column_stack([np.ones(len(Z)), Z]) * root[:, None], y, rcond=None)[0]


def _through_the_origin(Z: np.ndarray, y: np.ndarray, weights: np.ndarray) -> np.ndarray:
    root = np.sqrt(weights)
    return np.append(0.0, np.linalg.lstsq(Z * root[:, None], y * root, rcond=None)[0])


def _intercept_last(Z: np.ndarray, y: np.ndarray, weights: np.ndarray) -> np.ndarray:
    return np.roll(local_line(Z, y, weights), -1)


def _slopes_only(Z: np.ndarray, y: np.ndarray, weights: np.ndarray) -> np.ndarray:
    return local_line(Z, y, weights)[1:]


def _check_line(answer: Function, rng: np.random.Generator) -> None:
    Z = rng.normal(size=(50, 3))
    y = 2 + Z @ [1.0, -2.0, 0.5] + Z[:, 0] ** 2 + rng.normal(size=50)
    weights = np.exp(-(Z**2).sum(axis=1) / 3)
    found, truth = _numbers(answer(Z, y, weights)), local_line(Z, y, weights)
    if found.shape == (3,):
        _named(found, {"The intercept is missing: four numbers, intercept first.": truth[1:]})
    if found.shape != (4,):
        raise Mistake(f"Four numbers are asked for, intercept first and then three slopes, not an array of shape {found.shape}.")
    _named(
        found,
        {
            "You did not use the weights: this is the line through all samples alike.": _unweighted(Z, y, weights),
            "Your weights count twice: least squares squares what it is given, so multiply by their *root*.": _squared_weights(Z, y, weights),
            "You weighted the features but not the answers: both sides of the equation must be multiplied.": _one_side_only(Z, y, weights),
            "Your line goes through the origin: add a column of ones for the intercept.": _through_the_origin(Z, y, weights),
            "All four numbers are right, in another order: intercept first.": _intercept_last(Z, y, weights),
        },
    )  # fmt: skip
    if not np.allclose(found, truth, atol=1e-8):
        raise Mistake("The numbers differ: minimise the sum of weight times squared error over an intercept and three slopes.")


# how well the line fits -------------------------------------------------------------------------------------------------


def fidelity(y: np.ndarray, fitted: np.ndarray, weights: np.ndarray) -> float:
    """Weighted R squared: one minus weighted squared error over weighted spread around the weighted mean."""
    mean = np.average(y, weights=weights)
    missed = np.average((y - fitted) ** 2, weights=weights)
    return float(1 - missed / np.average((y - mean) ** 2, weights=weights))


def _fidelity_by_scikit_learn(y: np.ndarray, fitted: np.ndarray, weights: np.ndarray) -> float:
    from sklearn.metrics import r2_score

    return float(r2_score(y, fitted, sample_weight=weights))


def _fidelity_by_sums(y: np.ndarray, fitted: np.ndarray, weights: np.ndarray) -> float:
    centre = (weights * y).sum() / weights.sum()
    return 1 - float((weights * (y - fitted) ** 2).sum()) / float((weights * (y - centre) ** 2).sum())


def _one_number(value: Any) -> float:
    values = _numbers(value)
    if values.size != 1:
        raise Mistake(f"One number for the whole fit is asked for, not {values.size}.")
    return float(values.reshape(()))


def _check_fidelity(answer: Function, rng: np.random.Generator) -> None:
    y = rng.normal(3, 2, 60)
    fitted, weights = 0.6 * y + 1.5 + rng.normal(0, 0.8, 60), rng.uniform(0.05, 1, 60) * np.where(y > 3, 1, 0.3)
    value, truth = _one_number(answer(y, fitted, weights)), fidelity(y, fitted, weights)
    spread = np.average((y - np.average(y, weights=weights)) ** 2, weights=weights)
    mistakes = {
        "You ignored the weights: a line that fits far away and fails nearby would look fine.": 1
        - ((y - fitted) ** 2).mean() / y.var(),
        "You measured the spread around the plain mean; the weighted mean is the best constant here.": 1
        - np.average((y - fitted) ** 2, weights=weights) / np.average((y - y.mean()) ** 2, weights=weights),
        "That is a squared error in the model's units, not a share: divide by the weighted spread.": np.average((y - fitted) ** 2, weights=weights),
        "You left the mean in: the spread is around the weighted mean, not around zero.": 1
        - np.average((y - fitted) ** 2, weights=weights) / np.average(y**2, weights=weights),
        "That is a squared correlation. It forgives a line that is too steep or too high; fidelity does not.": float(
            np.cov(y, fitted, aweights=weights)[0, 1] ** 2 / np.cov(y, fitted, aweights=weights)[[0, 1], [0, 1]].prod()
        ),
        "That is the share that is missed: take it from one.": 1 - truth,
        "You compared the spread of the line with the spread of the answers; a wrong line can spread as much.": float(
            np.average((fitted - np.average(fitted, weights=weights)) ** 2, weights=weights) / spread
        ),
    }  # fmt: skip
    _named(np.array(value), {message: np.array(number) for message, number in mistakes.items()})
    if abs(value - truth) > 1e-9:
        raise Mistake(
            "The number differs: one minus weighted squared error over weighted squared distance from the weighted mean."
        )


# what a weight means ----------------------------------------------------------------------------------------------------


def bin_weight() -> float:
    """LIME's weight for f(x) = 40 x at x = 0.8, quartile bins, x spread evenly from 0 to 1."""
    from xailib import lime

    rows = np.column_stack([(np.arange(1000) + 0.5) / 1000, np.resize([0.0, 1.0], 1000)])
    explanation = lime.tabular(lambda X: 40 * X[:, 0], np.array([[0.8, 1.0]]), rows, n_samples=50_000)
    return float(explanation.values[0, 0])


def _check_bin_weight(answer: float, rng: np.random.Generator) -> None:
    if abs(answer - 20) <= 0.3:
        return
    named = {
        "40 is the slope of the model. LIME with bins never sees a slope: it compares the top quarter with all others.": (
            39.8,
            40.2,
        ),
        "32 is the prediction itself.": (31.8, 32.2),
        "That is the instance against the average. LIME knows only that the instance lies in the top quarter.": (
            11.8,
            12.2,
        ),
        "That is the top quarter against *everyone*, the top quarter included. LIME compares it with the others.": (14.4, 15.6),
        "That is a weight for one quarter's width: the neighbouring bin alone. All other bins together are the contrast.": (
            9.4,
            10.6,
        ),
        "That is the weight of the feature that the model ignores.": (-0.6, 0.6),
        "The sign: being in the top quarter raises this prediction.": (-20.6, -19.4),
    }
    for message, (low, high) in named.items():
        if low <= answer <= high:
            raise Mistake(message)
    raise Mistake("Not the number of the experiment: `lime.tabular` as the task says, 50,000 samples, the first feature's value.")


# how many samples -------------------------------------------------------------------------------------------------------


def samples_needed(std_error: float, n_samples: int, half_width: float) -> int:
    """Samples after which a 95 % interval reaches so far on either side: errors fall with the root of their number."""
    return int(np.ceil(n_samples * (1.96 * std_error / half_width) ** 2))


def _needed_by_variance(std_error: float, n_samples: int, half_width: float) -> int:
    variance_of_one = n_samples * std_error**2
    return int(np.ceil(variance_of_one / (half_width / 1.96) ** 2))


def _needed_by_factor(std_error: float, n_samples: int, half_width: float) -> float:
    factor = 1.96 * std_error / half_width
    return float(np.ceil(factor * factor * n_samples))


def _check_needed(answer: Function, rng: np.random.Generator) -> None:
    for n in (500, 1000, 5000):
        error, half = rng.uniform(0.02, 0.06), rng.uniform(0.005, 0.015)
        value, ratio = _one_number(answer(error, n, half)), error / half
        truth = n * (1.96 * ratio) ** 2
        mistakes = {
            "Half the width does not need twice the samples but four times: errors fall with the *root* of their number.": n * 1.96 * ratio,
            "You forgot the 1.96: a 95 % interval reaches 1.96 standard errors to either side.": n * ratio**2,
            "You counted both sides: half_width is one side already.": n * (2 * 1.96 * ratio) ** 2,
            "Upside down: a wider interval is allowed with *fewer* samples.": n / (1.96 * ratio) ** 2,
            "That is a factor: how many times as many. Multiply by the samples you had.": (1.96 * ratio) ** 2,
            "That is how many *more* you need; the whole number is asked.": truth - n,
        }  # fmt: skip
        for message, number in mistakes.items():
            if abs(value - number) <= 1 and abs(number - truth) > 2:
                raise Mistake(message)
        if value != np.ceil(truth) and abs(value - truth) < 1:
            raise Mistake("Almost: samples are whole, and rounding down leaves the interval too wide. Round up.")
        if value <= n:
            raise Mistake("These intervals are too wide, and you ask for no more samples than there are.")
        if value != np.ceil(truth):
            raise Mistake("The number differs: how much narrower must the interval become, squared, times the samples you had.")


# from a weight to a contribution ----------------------------------------------------------------------------------------


def contribution(beta: np.ndarray, share: np.ndarray) -> np.ndarray:
    """What being in its bin adds for this instance against the average row, of whom `share` are in that bin too."""
    return beta * (1 - share)


def _contribution_by_difference(beta: np.ndarray, share: np.ndarray) -> np.ndarray:
    here, on_average = beta * 1.0, beta * share
    return here - on_average


def _contribution_by_loop(beta: np.ndarray, share: np.ndarray) -> list[float]:
    return [float(b - b * s) for b, s in zip(beta, share, strict=True)]


def _check_contribution(answer: Function, rng: np.random.Generator) -> None:
    beta, share = np.append(rng.normal(size=5), -0.4), np.append(rng.uniform(0.2, 0.3, 5), 0.995)
    found, truth = _numbers(answer(beta, share)), beta * (1 - share)
    if found.shape != beta.shape:
        raise Mistake(f"One contribution for each of the 6 features is asked for, not an array of shape {found.shape}.")
    _named(
        found,
        {
            "These are the weights unchanged: against the *average* row, a bin that nearly everyone shares explains nearly nothing.": beta,
            "You have it upside down: now a bin that everyone shares counts most.": beta * share,
            "You divided: a bin that is full would blow up. The average row has z = share; how far is 1 from that?": beta
            / (1 - share),
            "The sign is turned: instance minus average, not average minus instance.": -truth,
            "You returned sizes; a contribution has a sign.": np.abs(truth),
            "You subtracted the share itself, which is no prediction: the average row gets weight times share.": beta - share,
        },
    )
    if not np.allclose(found, truth, atol=1e-9):
        raise Mistake("The numbers differ: weight times z at the instance (1), minus weight times the average z.")


# the bank ---------------------------------------------------------------------------------------------------------------

EXERCISES = [
    Exercise(
        name="same_bin",
        title="Say what is still the same",
        level="core",
        difficulty=2,
        minutes=8,
        passes="values on an edge go to the left, and other values of the same bin count as the same",
        task="Write `same_bin(rows, x, edges)`: LIME's `z`. It is 1 where a row's value lies in the same bin as the instance's and 0 "
        "elsewhere, one entry for each row and feature. `edges` is a list with the inner edges of each feature's bins, increasing; "
        "a value on an edge belongs to the bin on its left.",
        hints=(
            "Two values are in the same bin when the same number of edges lies below them.",
            "`np.searchsorted` counts edges; look at its argument `side` for values that lie on one.",
        ),
        reference=same_bin,
        check=_check_same_bin,
        wrong=[
            WrongAnswer(_bin_numbers, "returns the numbers of bins", "numbers of the bins"),
            WrongAnswer(lambda rows, x, edges: 1 - same_bin(rows, x, edges), "marks changes", "wrong way round"),
            WrongAnswer(_exactly_equal, "compares values", "too strict"),
            WrongAnswer(_closed_on_the_left, "closes bins on the left", "on its *left*"),
            WrongAnswer(_first_columns_edges, "uses one feature's edges for all", "edges of the first"),
            WrongAnswer(lambda rows, x, edges: same_bin(rows, x, edges).sum(axis=1), "counts per row", "One entry for each row"),
        ],
        right=[_same_by_borders, _same_by_counting],
    ),
    Exercise(
        name="closeness",
        title="Weigh by closeness",
        level="core",
        difficulty=1,
        minutes=5,
        passes="the instance weighs 1, and weights follow the Gaussian kernel of the chapter",
        task="Write `closeness(Z, z0, sigma)`: for each row of `Z` the weight exp(-D²/(2 sigma²)), with D the Euclidean distance "
        "from `z0`, the instance.",
        hints=("One number for each sample: along which axis do you add up?", "You need D squared, so no root at all."),
        reference=closeness,
        check=_check_closeness,
        wrong=[
            WrongAnswer(lambda Z, z0, s: np.exp(-((Z - z0) ** 2).sum(1) / s**2), "forgets the 2", "forgot the 2"),
            WrongAnswer(
                lambda Z, z0, s: np.exp(-np.linalg.norm(Z - z0, axis=1) / (2 * s**2)),
                "distance not squared",
                "square the distance",
            ),
            WrongAnswer(lambda Z, z0, s: 1 / closeness(Z, z0, s), "grows with distance", "grow with the distance"),
            WrongAnswer(lambda Z, z0, s: np.exp(-((Z - z0) ** 2).sum(1) / (2 * s)), "width not squared", "width enters squared"),
            WrongAnswer(lambda Z, z0, s: np.linalg.norm(Z - z0, axis=1), "returns distances", "These are distances"),
            WrongAnswer(lambda Z, z0, s: closeness(Z, Z.mean(axis=0), s), "measures from the mean", "mean of the samples"),
            WrongAnswer(lambda Z, z0, s: closeness(Z, Z[0], s), "ignores z0", "took the first row"),
            WrongAnswer(lambda Z, z0, s: closeness(Z, 0 * z0, s), "measures from zero", "measured from zero"),
            WrongAnswer(lambda Z, z0, s: closeness(Z, z0, s) / closeness(Z, z0, s).sum(), "normalises", "sum to one"),
            WrongAnswer(lambda Z, z0, s: closeness(Z.T, z0.mean(), s), "adds up over samples", "One weight for each"),
        ],
        right=[_closeness_by_norm, _closeness_by_loop],
    ),
    Exercise(
        name="local_line",
        title="Fit the line",
        level="core",
        difficulty=3,
        minutes=10,
        passes="near samples pull more than far ones, by exactly their weight, and there is an intercept",
        task="Write `local_line(Z, y, weights)`: intercept and slopes, in this order and in one array, of the line that minimises the "
        "sum of weight × squared error.",
        hints=(
            "Least squares squares what you give it. By what must you multiply so that the square is multiplied by the weight?",
            "An intercept is the slope of a column of ones.",
        ),
        reference=local_line,
        check=_check_line,
        wrong=[
            WrongAnswer(_unweighted, "ignores the weights", "did not use the weights"),
            WrongAnswer(_squared_weights, "multiplies by the weights instead of their root", "count twice"),
            WrongAnswer(_one_side_only, "weights one side", "both sides"),
            WrongAnswer(_through_the_origin, "no intercept", "through the origin"),
            WrongAnswer(_intercept_last, "intercept last", "in another order"),
            WrongAnswer(_slopes_only, "drops the intercept", "intercept is missing"),
        ],
        right=[_line_by_normal_equations, _line_by_scikit_learn],
    ),
    Exercise(
        name="fidelity",
        title="Say how well the line fits",
        level="core",
        difficulty=2,
        minutes=8,
        passes="a perfect line gets 1, and near samples count more than far ones",
        task="Write `fidelity(y, fitted, weights)`: the weighted R², one number. `y` are the model's answers, `fitted` the line's.",
        hints=(
            "Share of what? Of the weighted spread around the best constant. Which constant is best under weights?",
            "`np.average` takes weights, also for squared errors.",
        ),
        reference=fidelity,
        check=_check_fidelity,
        wrong=[
            WrongAnswer(lambda y, f, w: 1 - ((y - f) ** 2).mean() / y.var(), "ignores the weights", "ignored the weights"),
            WrongAnswer(
                lambda y, f, w: 1 - np.average((y - f) ** 2, weights=w) / np.average((y - y.mean()) ** 2, weights=w),
                "plain mean",
                "around the plain mean",
            ),
            WrongAnswer(
                lambda y, f, w: np.average((y - f) ** 2, weights=w), "squared error", "squared error in the model's units"
            ),
            WrongAnswer(
                lambda y, f, w: 1 - np.average((y - f) ** 2, weights=w) / np.average(y**2, weights=w),
                "no mean",
                "left the mean in",
            ),
            WrongAnswer(
                lambda y, f, w: np.cov(y, f, aweights=w)[0, 1] ** 2 / np.cov(y, f, aweights=w)[[0, 1], [0, 1]].prod(),
                "squared correlation",
                "squared correlation",
            ),
            WrongAnswer(lambda y, f, w: 1 - fidelity(y, f, w), "share missed", "share that is missed"),
            WrongAnswer(
                lambda y, f, w: np.cov(f, aweights=w, ddof=0) / np.cov(y, aweights=w, ddof=0),
                "ratio of spreads",
                "spread as much",
            ),
            WrongAnswer(lambda y, f, w: w * (y - f) ** 2, "one number for each sample", "One number for the whole fit"),
        ],
        right=[_fidelity_by_scikit_learn, _fidelity_by_sums],
    ),
    Exercise(
        name="bin_weight",
        title="Predict a weight, then measure it",
        level="core",
        difficulty=3,
        minutes=8,
        passes="your measured number is LIME's weight; your guess is yours",
        task="The model is f(x) = 40 · x₁, a straight line. The 1,000 background rows have x₁ spread evenly from 0 to 1 and a second "
        "column that alternates 0 and 1: `rows = np.column_stack([(np.arange(1000) + 0.5) / 1000, np.resize([0.0, 1.0], 1000)])`. "
        "The instance is (0.8, 1). What weight will LIME with quartile bins give x₁? Write your guess into `my_guess`, then measure "
        "with `lime.tabular(..., n_samples=50_000)`.",
        hints=(
            "What does z say about x₁? Can the fit know where in its bin the instance lies?",
            "With a straight line and independent columns, the weight is a difference of two means. Which two?",
        ),
        reference=bin_weight,
        check=_check_bin_weight,
        wrong=[
            WrongAnswer(40.0, "the slope", "slope of the model"),
            WrongAnswer(32.0, "the prediction", "prediction itself"),
            WrongAnswer(12.0, "instance against average", "instance against the average"),
            WrongAnswer(15.0, "bin against everyone", "against *everyone*"),
            WrongAnswer(10.0, "neighbouring bin", "neighbouring bin alone"),
            WrongAnswer(0.0, "the other feature", "the model ignores"),
            WrongAnswer(-20.0, "wrong sign", "The sign"),
        ],
    ),
    Exercise(
        name="contribution",
        title="Turn a weight into a contribution",
        level="core",
        difficulty=3,
        minutes=8,
        passes="a bin that nearly everyone shares contributes nearly nothing",
        task="`beta[j]` is LIME's weight for being in the instance's bin, against being elsewhere. `share[j]` is the share of "
        "background rows in that same bin. Write `contribution(beta, share)`: how much the line's prediction for this instance lies "
        "above its prediction for the *average row*, feature by feature. This is what a reader of a bar chart usually wants.",
        hints=(
            "z is 1 for the instance. What is z on average?",
            "For `on_fraud_list` the share is 0.995. Should the contribution be large or small?",
        ),
        reference=contribution,
        check=_check_contribution,
        wrong=[
            WrongAnswer(lambda beta, share: beta.copy(), "takes weights for contributions", "weights unchanged"),
            WrongAnswer(lambda beta, share: beta * share, "multiplies by the share", "upside down"),
            WrongAnswer(lambda beta, share: beta / (1 - share), "divides", "You divided"),
            WrongAnswer(lambda beta, share: beta * (share - 1), "turns the sign", "sign is turned"),
            WrongAnswer(lambda beta, share: np.abs(beta) * (1 - share), "drops the sign", "returned sizes"),
            WrongAnswer(lambda beta, share: beta - share, "subtracts the share", "no prediction"),
            WrongAnswer(lambda beta, share: (beta * (1 - share)).sum(), "adds features up", "One contribution for each"),
        ],
        right=[_contribution_by_difference, _contribution_by_loop],
    ),
    Exercise(
        name="samples_needed",
        title="Order enough samples",
        level="stretch",
        difficulty=2,
        minutes=6,
        passes="half the width costs four times the samples",
        task="A run with `n_samples` gave a standard error `std_error`. Write `samples_needed(std_error, n_samples, half_width)`: how "
        "many samples, in all and rounded up, make the 95 % interval (1.96 standard errors to either side) reach only `half_width` "
        "to either side.",
        hints=("By which factor must the interval shrink?", "What happens to a standard error when the samples are quadrupled?"),
        reference=samples_needed,
        check=_check_needed,
        wrong=[
            WrongAnswer(lambda e, n, h: np.ceil(n * 1.96 * e / h), "errors fall with n", "four times"),
            WrongAnswer(lambda e, n, h: np.ceil(n * (e / h) ** 2), "forgets 1.96", "forgot the 1.96"),
            WrongAnswer(lambda e, n, h: np.ceil(n * (2 * 1.96 * e / h) ** 2), "doubles the half width", "both sides"),
            WrongAnswer(lambda e, n, h: np.ceil(n / (1.96 * e / h) ** 2), "turns the ratio round", "Upside down"),
            WrongAnswer(lambda e, n, h: (1.96 * e / h) ** 2, "returns the factor", "That is a factor"),
            WrongAnswer(lambda e, n, h: np.ceil(n * (1.96 * e / h) ** 2) - n, "additional samples", "how many *more*"),
            WrongAnswer(lambda e, n, h: n // 2, "asks for fewer", "no more samples than there are"),
            WrongAnswer(lambda e, n, h: n * (1.96 * e / h) ** 2, "does not round", "Round up"),
        ],
        right=[_needed_by_variance, _needed_by_factor],
    ),
    Exercise(
        name="memo",
        title="Judge what the vendor says",
        level="core",
        difficulty=3,
        minutes=10,
        passes="you accept what a LIME explanation shows and reject what it cannot",
        task="A vendor of a credit model shows LIME explanations and makes these statements. Which hold? Give their letters, for "
        'example `"be"`. Then write two sentences of your own: what should the regulator ask for?',
        hints=(
            "Ask of each sentence: is it about the line, about the model, or about the applicant?",
            "Who chooses the rows that LIME asks about, and could the model know?",
        ),
        claims={
            "a": Claim(
                "The weight of `region` is near zero in fifty explanations, so the model does not use the region.",
                False,
                "A model that notices LIME's impossible rows can behave innocently on exactly these. In this chapter one denied by "
                "region alone and showed almost none of it.",
            ),
            "b": Claim(
                "With another kernel width, the sign of a weight can turn, and neither sign need be a computing error.",
                True,
                "A narrow kernel sees the slope nearby, a wide one the trend across the data. They are answers to two questions.",
            ),
            "c": Claim(
                "The standard errors are small, so the explanation is right.",
                False,
                "They tell how much the weights would change with other samples from the same kernel. A line that does not fit has "
                "small errors too: look at the fidelity.",
            ),
            "d": Claim(
                "Twenty runs with twenty seeds give the same ranking, so the explanation is faithful to the model.",
                False,
                "Stability is not truth: with enough samples any wrong question is answered the same way each time.",
            ),
            "e": Claim(
                "A weight of -0.4 for not being on the fraud list need not say anything special about this applicant.",
                True,
                "It compares her bin with all others, here with the half per cent who are on the list. More than 99 % of all "
                "applicants would get the same line.",
            ),
            "f": Claim(
                "An applicant whose income moves up within its quartile bin gets the same weight for income.",
                True,
                "z is 1 all over the bin. Only across the bin's border would the explanation notice (up to what else the model does).",
            ),
        },
        model_answer="Ask for the explanation's fidelity, kernel width and standard errors, and for the rows it asked about. And ask "
        "to run the model on real applicants with nothing but the region exchanged: region is tied to no other column here, so these "
        "rows look like its daily work and nothing gives them away.",
    ),
]

WARMUP = [
    Question(
        "Partial dependence of `annual_income_keur` falls. Does it tell why *this* applicant was turned down?",
        "No: it is an average over everyone, and she may be an exception.",
        "This chapter fits its curve, a straight line, around one person.",
        {
            "Yes, her income is on the axis.": "Her income is, she is not: the average runs over other people's columns.",
            "Yes, if the model is accurate.": "Accuracy is about labels. An average over people stays an average over people.",
        },
    ),
    Question(
        "You draw every column of a table independently of the others. What goes wrong with `height_cm` and `height_in`?",
        "Nearly all rows get two heights that contradict each other.",
        "You saw it when shuffling in chapter 2. LIME draws its neighbours in just this way.",
        {
            "Nothing, both columns keep their distribution.": "Each on its own does. Together they describe people who cannot exist.",
            "One of them becomes constant.": "Drawing does not remove variation. It breaks the tie between columns.",
        },
    ),
    Question(
        "A weighted mean of 2 (weight 1) and 8 (weight 0.5) is:",
        "4",
        "(1 · 2 + 0.5 · 8) / 1.5. You will need this a lot: LIME is least squares with such weights.",
        {
            "5": "That is the plain mean: the second value has only half the weight.",
            "6": "You added the weighted values and did not divide by the sum of the weights, 1.5.",
        },
    ),
]

QUIZ = [
    Question(
        "LIME with quartile bins explains f(x) = 3x at two values in the same bin. The two weights of x:",
        "agree, up to sampling noise.",
        "z is 1 anywhere in the bin: LIME compares the bin with the rest and does not see where in it you are.",
        {
            "differ, since the values differ.": "The fit never sees the value, only whether a neighbour is in the same bin.",
            "are both 3.": "3 is the slope. With bins the weight is the mean of f in the bin minus its mean elsewhere.",
        },
    ),
    Question(
        "You shrink the kernel width of a package that adds a ridge penalty of 1. All weights go to zero. Why?",
        "Sample weights vanish, the penalty does not, so it wins.",
        "Test it with a straight line as model: its weights must not depend on the kernel at all.",
        {
            "The function is flat near the instance.": "For a straight line the slope is the same everywhere, and they still vanish.",
            "There are too few samples.": "More samples delay it a little. The cause is a penalty on another scale than the weights.",
        },
    ),
    Question(
        "Fidelity is 0.3, standard errors are tiny, twenty runs agree. You may conclude:",
        "The line is known well, and it is a poor picture of the model here.",
        "Two different uncertainties: which line (small), and whether a line will do (it will not).",
        {
            "The explanation is reliable.": "Reliably the same, yes. It still misses 70 % of what the model does around there.",
            "More samples are needed.": "More samples make the line more certain, not the model straighter.",
        },
    ),
    Question(
        "A superpixel of one even colour is 'switched off' by painting it in its own mean colour. Its weight will be:",
        "close to zero, whatever the part means to the network.",
        "Nothing was removed. Look at the perturbed pictures before you read the weights.",
        {
            "large, if the part matters.": "The network sees the same picture with and without it, so it cannot react.",
            "the average of its pixels' gradients.": "LIME computes no gradients; it compares predictions of two pictures.",
        },
    ),
    Question(
        "A model discriminates by region on real applicants and shows nothing of it in LIME. What did it need?",
        "A way to tell LIME's rows from real ones.",
        "Neighbours with broken ties are easy to recognise: two heights that disagree are enough.",
        {
            "Access to LIME's code at run time.": "Rows are enough. It answers one way to real-looking ones and another way to the rest.",
            "A wide kernel.": "The kernel weighs the answers. If they are all innocent, no weighting brings the bias back.",
        },
    ),
]
