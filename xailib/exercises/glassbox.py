"""Exercises of chapter 1: reasons, odds, rule lists, pure interactions, monotone curves, and what a readable table may be read for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
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


# reasons of a linear model ----------------------------------------------------------------------------------------------


def reasons(coefficients: np.ndarray, X: np.ndarray, reference: np.ndarray) -> np.ndarray:
    """What each feature adds to the log-odds of each row, against the reference row."""
    return coefficients * (X - reference)


def _reasons_by_loop(coefficients: np.ndarray, X: np.ndarray, reference: np.ndarray) -> np.ndarray:
    values = np.zeros(X.shape)
    for j, beta in enumerate(coefficients):
        values[:, j] = beta * X[:, j] - beta * reference[j]
    return values


def _reasons_by_matrix(coefficients: np.ndarray, X: np.ndarray, reference: np.ndarray) -> np.ndarray:
    return (X - reference) @ np.diag(coefficients)


def _check_reasons(answer: Function, rng: np.random.Generator) -> None:
    X, beta, reference = rng.normal(3, 2, (7, 3)), rng.normal(0, 1, 3), rng.normal(1, 1, 3)
    values, truth = _numbers(answer(beta, X, reference)), reasons(beta, X, reference)
    if values.shape == (7,):
        raise Mistake("You added the reasons up: that is the change of the log-odds. Keep one number per feature.")
    if values.shape != truth.shape:
        raise Mistake(f"Seven rows of three features go in, so an array of shape (7, 3) must come out, not {values.shape}.")
    _named(
        values,
        {
            "An income of zero is nobody's starting point: you forgot to subtract the reference, so the reasons hang on where "
            "the scale begins.": beta * X,
            "Your signs are turned around: a value above the reference with a positive coefficient *raises* the log-odds.": -truth,
            "You measured from the mean of the rows to explain. The reference is handed to you: for a single row yours would "
            "give no reasons at all.": beta * (X - X.mean(axis=0)),
            "These are factors on the odds. They multiply; the reasons asked for are log-odds, which add up.": np.exp(truth),
            "You divided by the spread of the rows. A standardised value needs a standardised coefficient; this one is per "
            "unit.": truth / X.std(axis=0),
            "You took sizes and lost the direction: one reason speaks for the applicant, another against.": np.abs(truth),
        },
    )
    if not np.allclose(values, truth, atol=1e-9):
        raise Mistake("The numbers differ: coefficient times (value minus reference), feature by feature.")


# from log-odds to a probability -----------------------------------------------------------------------------------------


def after(p: np.ndarray, change: np.ndarray) -> np.ndarray:
    """Probability after the log-odds moved by `change`, for probabilities strictly between 0 and 1."""
    odds = p / (1 - p) * np.exp(change)
    return odds / (1 + odds)


def _after_by_sigmoid(p: np.ndarray, change: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-(np.log(p) - np.log(1 - p) + change)))


def _after_by_shares(p: np.ndarray, change: np.ndarray) -> np.ndarray:
    factor = np.exp(change)
    return p * factor / (1 - p + p * factor)


def _check_after(answer: Function, rng: np.random.Generator) -> None:
    p, change = rng.uniform(0.05, 0.45, 9), rng.uniform(0.2, 0.7, 9) * rng.choice([-1, 1], 9)
    values, truth = _numbers(answer(p, change)), after(p, change)
    if values.shape != truth.shape:
        raise Mistake(f"Nine probabilities go in, so nine must come out, not an array of shape {values.shape}.")
    odds = p / (1 - p) * np.exp(change)
    _named(
        values,
        {
            "exp(change) multiplies the *odds*, not the probability: at p = 0.6 a factor of two would give 1.2.": p
            * np.exp(change),
            "You added log-odds to a probability: turn the probability into log-odds first.": p + change,
            "You read 0.5 log-odds as 50 percent more. Log-odds are not percent.": p * (1 + change),
            "The probability you start from does not matter in your answer: the same change means little at 0.01 and much at "
            "0.5.": 1 / (1 + np.exp(-change)),
            "These are the odds after the change: one step remains, odds / (1 + odds).": odds,
            "These are log-odds. A probability is asked for.": np.log(odds),
            "That is the change of the probability; the new probability is asked for.": truth - p,
            "You followed the tangent, p (1 - p) per log-odd. The curve bends: go through the odds, and no change can leave 0 "
            "and 1.": p + p * (1 - p) * change,
            "You added a probability to log-odds: turn p into log-odds before you add.": 1 / (1 + np.exp(-(p + change))),
        },
    )
    if not np.allclose(values, truth, atol=1e-9):
        raise Mistake("The numbers differ: probability to odds, times exp(change), and back to a probability.")


# a rule list answers ------------------------------------------------------------------------------------------------------


def first_match(holds: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
    """Probability of the first rule that holds; the last probability where none does."""
    somebody_is_left = np.column_stack([holds, np.ones(len(holds), dtype=bool)])
    return probabilities[somebody_is_left.argmax(axis=1)]


def _match_by_loop(holds: np.ndarray, probabilities: np.ndarray) -> list[float]:
    answers = []
    for row in holds:
        fitting = [k for k, yes in enumerate(row) if yes]
        answers.append(float(probabilities[fitting[0] if fitting else -1]))
    return answers


def _match_backwards(holds: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
    result = np.full(len(holds), probabilities[-1])
    for k in range(holds.shape[1] - 1, -1, -1):
        result = np.where(holds[:, k], probabilities[k], result)
    return result


def _last_match(holds: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
    result = np.full(len(holds), probabilities[-1])
    for k in range(holds.shape[1]):
        result = np.where(holds[:, k], probabilities[k], result)
    return result


def _mean_of_matches(holds: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
    n = holds.sum(axis=1)
    return np.where(n > 0, holds @ probabilities[:-1] / np.maximum(n, 1), probabilities[-1])


def _largest_match(holds: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
    return np.where(holds.any(axis=1), np.where(holds, probabilities[:-1], -1).max(axis=1), probabilities[-1])


def _no_else(holds: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
    return np.where(holds.any(axis=1), first_match(holds, probabilities), 0.0)


def _first_rule_for_the_rest(holds: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
    return probabilities[holds.argmax(axis=1)]


def _check_first_match(answer: Function, rng: np.random.Generator) -> None:
    holds = np.vstack([rng.random((30, 4)) < 0.4, np.zeros((2, 4), dtype=bool), np.ones((2, 4), dtype=bool)])
    probabilities = rng.permutation(np.array([0.9, 0.15, 0.6, 0.35, 0.05]) + rng.uniform(0, 0.04, 5))
    while probabilities[0] == probabilities[:4].max() or probabilities[3] > probabilities[0]:
        probabilities = rng.permutation(probabilities)
    values, truth = _numbers(answer(holds, probabilities)), first_match(holds, probabilities)
    if values.shape != truth.shape:
        raise Mistake(f"One probability per row: {len(truth)} rows went in, an array of shape {values.shape} came back.")
    _named(
        values,
        {
            "In your list the *last* fitting rule answers. A list is read from the top, and the first one ends it.": _last_match(holds, probabilities),
            "You averaged all rules that fit. They do not vote: the rows below were counted among those the first rule left.": _mean_of_matches(holds, probabilities),
            "You took the highest probability among the fitting rules; order decides, not size.": _largest_match(holds, probabilities),
            "Whoever fits no rule gets zero from you. They belong to the last entry, the 'else'.": _no_else(holds, probabilities),
            "Whoever fits no rule gets the *first* rule's probability: argmax of a row without True is 0.": _first_rule_for_the_rest(holds, probabilities),
            "That is the number of the rule; its probability is asked for.": np.column_stack([holds, np.ones(len(holds))]).argmax(axis=1),
        },
    )  # fmt: skip
    if not np.allclose(values, truth, atol=1e-12):
        raise Mistake("The numbers differ: for each row the first rule that holds, else the last probability.")


# a pure interaction -------------------------------------------------------------------------------------------------------


def pure_interaction(table: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Take weighted row means and column means away until none is left."""
    pure = table.copy()
    for _ in range(1000):
        pure -= np.average(pure, axis=1, weights=weights)[:, None]
        pure -= np.average(pure, axis=0, weights=weights)
    return pure


def _pure_by_least_squares(table: np.ndarray, weights: np.ndarray) -> np.ndarray:
    a, b = np.indices(table.shape)
    A = np.column_stack([np.eye(len(table))[a.ravel()], np.eye(table.shape[1])[b.ravel()]])
    w = np.sqrt(weights.ravel())
    return table - (A @ np.linalg.lstsq(A * w[:, None], table.ravel() * w, rcond=None)[0]).reshape(table.shape)


def _pure_by_totals(table: np.ndarray, weights: np.ndarray) -> np.ndarray:
    mass = np.array(table)
    while True:
        rows = (weights * mass).sum(axis=1, keepdims=True) / weights.sum(axis=1, keepdims=True)
        mass = mass - rows
        columns = (weights * mass).sum(axis=0, keepdims=True) / weights.sum(axis=0, keepdims=True)
        mass = mass - columns
        if np.abs(columns).max() < 1e-13:
            return mass


def _one_pass(table: np.ndarray, weights: np.ndarray) -> np.ndarray:
    rows = table - np.average(table, axis=1, weights=weights)[:, None]
    return rows - np.average(rows, axis=0, weights=weights)


def _unweighted(table: np.ndarray, weights: np.ndarray) -> np.ndarray:
    return table - table.mean(axis=1, keepdims=True) - table.mean(axis=0) + table.mean()


def _both_means_at_once(table: np.ndarray, weights: np.ndarray) -> np.ndarray:
    rows, columns = np.average(table, axis=1, weights=weights), np.average(table, axis=0, weights=weights)
    return table - rows[:, None] - columns + np.average(table, weights=weights)


def _grand_mean_twice(table: np.ndarray, weights: np.ndarray) -> np.ndarray:
    return table - np.average(table, axis=1, weights=weights)[:, None] - np.average(table, axis=0, weights=weights)


def _only_centred(table: np.ndarray, weights: np.ndarray) -> np.ndarray:
    return table - np.average(table, weights=weights)


def _what_was_moved(table: np.ndarray, weights: np.ndarray) -> np.ndarray:
    return table - pure_interaction(table, weights)


def _in_place(table: np.ndarray, weights: np.ndarray) -> np.ndarray:
    for _ in range(1000):
        table -= np.average(table, axis=1, weights=weights)[:, None]
        table -= np.average(table, axis=0, weights=weights)
    return table


def _check_pure(answer: Function, rng: np.random.Generator) -> None:
    table = rng.normal(2, 2, (4, 3))
    weights = 0.2 + rng.uniform(0, 1, (4, 3)) + 6 * np.eye(4, 3)  # correlated: most rows near the diagonal
    values, truth = _numbers(answer(table, weights)), pure_interaction(table, weights)
    if values.shape != truth.shape:
        raise Mistake(f"The interaction is a table like the one given, (4, 3), not of shape {values.shape}.")
    _named(
        values,
        {
            "One pass is not enough here: taking the column means away brings new row means, because the weights are correlated. "
            "Repeat until nothing moves.": _one_pass(table, weights),
            "You gave every cell the same weight, also those where nobody lives: use the weights.": _unweighted(table, weights),
            "Row means minus column means plus the grand mean is right for independent features only: print the weighted row "
            "means of what is left.": _both_means_at_once(table, weights),
            "You took the level away twice, once with the rows and once with the columns.": _grand_mean_twice(table, weights),
            "You centred the table as a whole: each row and each column must have mean zero, too.": _only_centred(table, weights),
            "That is what had to be moved, the two main effects and the level; the rest of the table is asked for.": table
            - truth,
        },
    )
    if not np.allclose(values, truth, atol=1e-7):
        left = np.abs(np.average(values, axis=1, weights=weights)).max()
        raise Mistake(f"A row of your table still has a weighted mean of {left:.3g}; in a pure interaction none is left.")


# a monotone curve ---------------------------------------------------------------------------------------------------------


def monotone(scores: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """The nearest never-falling curve: pool neighbours that fall into their weighted mean, until none does."""
    blocks: list[list[float]] = []  # mean, weight, number of bins
    for score, weight in zip(scores, weights, strict=True):
        blocks.append([score, weight, 1])
        while len(blocks) > 1 and blocks[-2][0] > blocks[-1][0]:
            (a, wa, na), (b, wb, nb) = blocks[-2:]
            blocks[-2:] = [[(wa * a + wb * b) / (wa + wb), wa + wb, na + nb]]
    return np.concatenate([np.full(int(n), mean) for mean, _, n in blocks])


def _monotone_by_sklearn(scores: np.ndarray, weights: np.ndarray) -> np.ndarray:
    from sklearn.isotonic import IsotonicRegression

    return IsotonicRegression().fit_transform(np.arange(len(scores)), scores, sample_weight=weights)


def _monotone_by_min_max(scores: np.ndarray, weights: np.ndarray) -> list[float]:
    n = len(scores)
    mean = [[np.average(scores[a : b + 1], weights=weights[a : b + 1]) if a <= b else 0.0 for b in range(n)] for a in range(n)]
    return [max(min(mean[a][b] for b in range(k, n)) for a in range(k + 1)) for k in range(n)]


def _unweighted_pools(scores: np.ndarray, weights: np.ndarray) -> np.ndarray:
    return monotone(scores, np.ones(len(scores)))


def _falling(scores: np.ndarray, weights: np.ndarray) -> np.ndarray:
    return -monotone(-scores, weights)


def _one_round(scores: np.ndarray, weights: np.ndarray) -> np.ndarray:
    new, k = scores.copy(), 0
    while k < len(new) - 1:
        if new[k] > new[k + 1]:
            new[k : k + 2] = np.average(new[k : k + 2], weights=weights[k : k + 2])
        k += 1
    return new


def _check_monotone(answer: Function, rng: np.random.Generator) -> None:
    scores = np.array([1.8, 0.1, 1.0, 0.4, 0.2, 1.5, 3.0, 2.0]) + rng.uniform(0, 0.05, 8)
    weights = np.array([2.0, 40.0, 5.0, 30.0, 60.0, 20.0, 3.0, 25.0]) + rng.uniform(0, 2, 8)
    values, truth = _numbers(answer(scores, weights)), monotone(scores, weights)
    if values.shape != truth.shape:
        raise Mistake(f"Eight bins go in, so eight scores must come out, not an array of shape {values.shape}.")
    _named(
        values,
        {
            "You sorted the scores: that hands the score of one bin to other people. Only neighbours that fall may be "
            "pooled.": np.sort(scores),
            "The running maximum only ever raises: one thin, high bin decides for everyone to its right. Pool it with its "
            "neighbours instead.": np.maximum.accumulate(scores),
            "The running minimum from the right only ever lowers; pooling moves both sides.": np.minimum.accumulate(scores[::-1])[
                ::-1
            ],
            "You pooled without weights: a bin of three applicants counts as much as one of sixty.": _unweighted_pools(
                scores, weights
            ),
            "Your curve never rises; never falling is asked for.": _falling(scores, weights),
            "One sweep is not enough: after pooling, the pool may lie below the bin before it. Look back until it does "
            "not.": _one_round(scores, weights),
            "That curve is unchanged, and it falls in places.": scores,
        },
    )
    if (np.diff(values) < -1e-9).any():
        raise Mistake("Your curve still falls somewhere: compare each bin with the one before it.")
    if not np.allclose(values, truth, atol=1e-9):
        raise Mistake(
            "It never falls, but a nearer curve exists: each pool gets the weighted mean of its bins, and no more is pooled than needed."
        )


# how many decisions change ------------------------------------------------------------------------------------------------


def _turns() -> tuple[float, float, float]:
    """Decisions that change, right answers lost on balance, and right answers after the curve of the credit age is flat."""
    from xailib import glassbox
    from xailib.lab.glassbox import bank

    fitted = bank()
    score = glassbox.edit_shape(fitted.model, "credit_age_years", flatten=True).score(fitted.X)
    before, after = ((s > 0) == fitted.y for s in (fitted.score, score))
    return float((before != after).sum()), float(before.sum() - after.sum()), float(after.sum())


def decisions() -> float:
    """Held-out decisions that change when the curve of the credit age is flattened."""
    return _turns()[0]


def _check_decisions(answer: float, rng: np.random.Generator) -> None:
    truth, lost, n_right = _turns()
    n_rows = 2000
    if abs(answer - truth) < 0.5:
        return
    named = {
        "That is about what the accuracy loses, as a number of applicants. Applicants who now get a wrong answer and others who "
        "now get a right one cancel in it: count all who changed.": (lost, 2),
        "That is a share; the number of applicants is asked for.": (truth / n_rows, 0.005),
        "That is a share in percent; the number of applicants is asked for.": (100 * truth / n_rows, 0.1),
        "That many are right after the edit; count those whose decision is not what it was.": (n_right, 2),
        "That many decisions stayed the same.": (n_rows - truth, 2),
        "Close, and every one of them is a person: compare `score > 0` before and after on all 2,000 rows, with the chapter's "
        "machine and the whole curve.": (truth, 5),
    }
    for message, (value, within) in named.items():
        if abs(answer - value) <= within:
            raise Mistake(message)
    if answer == 0:
        raise Mistake("Not one? A curve of a whole log-odds was taken away: compare the sign of the score before and after.")
    raise Mistake(
        "Not the number of the experiment: flatten the whole curve, score the held-out rows, compare score > 0 before and after."
    )


# the bank -----------------------------------------------------------------------------------------------------------------

EXERCISES = [
    Exercise(
        name="reasons",
        title="Turn coefficients into reasons",
        level="core",
        difficulty=2,
        minutes=6,
        passes="the reasons of a row add up to the distance between its log-odds and those of the reference row",
        task="Write `reasons(coefficients, X, reference)`: what each feature adds to the log-odds of each row, against the reference "
        "row. `coefficients` and `reference` have one entry per column of the array `X`; an array like `X` comes back.",
        hints=(
            "The letter says what is special about *this* applicant. Special compared with whom?",
            "For the reference row itself, all reasons are zero.",
        ),
        reference=reasons,
        check=_check_reasons,
        wrong=[
            WrongAnswer(lambda coefficients, X, reference: coefficients * X, "forgets the reference", "forgot to subtract the reference"),
            WrongAnswer(lambda coefficients, X, reference: coefficients * (reference - X), "turns the sign", "signs are turned around"),
            WrongAnswer(lambda coefficients, X, reference: coefficients * (X - X.mean(axis=0)), "uses its own reference", "mean of the rows to explain"),
            WrongAnswer(lambda coefficients, X, reference: (X - reference) @ coefficients, "adds the reasons up", "one number per feature"),
            WrongAnswer(lambda coefficients, X, reference: np.exp(coefficients * (X - reference)), "returns odds factors", "factors on the odds"),
            WrongAnswer(lambda coefficients, X, reference: coefficients * (X - reference) / X.std(axis=0), "mixes standardised and raw", "divided by the spread"),
            WrongAnswer(lambda coefficients, X, reference: np.abs(coefficients * (X - reference)), "drops the sign", "lost the direction"),
        ],
        right=[_reasons_by_loop, _reasons_by_matrix],
    ),
    Exercise(
        name="after",
        title="Say what a log-odd means to a person",
        level="core",
        difficulty=2,
        minutes=6,
        passes="the same change of log-odds moves different people by different amounts, and nobody beyond certainty",
        task="Write `after(p, change)`: the probability when someone's log-odds move by `change`, starting from the probability `p`. "
        "Both are arrays of the same length.",
        hints=(
            "An odds ratio multiplies odds. What are the odds of a probability of 0.2?",
            "Three steps: to the odds, times exp(change), back.",
        ),
        reference=after,
        check=_check_after,
        wrong=[
            WrongAnswer(lambda p, change: p * np.exp(change), "reads an odds ratio as a ratio of risks", "multiplies the *odds*"),
            WrongAnswer(lambda p, change: p + change, "adds log-odds to a probability", "log-odds first"),
            WrongAnswer(lambda p, change: p * (1 + change), "reads log-odds as percent", "not percent"),
            WrongAnswer(lambda p, change: 1 / (1 + np.exp(-change)), "forgets where it starts", "start from does not matter"),
            WrongAnswer(lambda p, change: p / (1 - p) * np.exp(change), "returns odds", "one step remains"),
            WrongAnswer(lambda p, change: np.log(p / (1 - p)) + change, "returns log-odds", "These are log-odds"),
            WrongAnswer(lambda p, change: after(p, change) - p, "returns the change", "change of the probability"),
            WrongAnswer(lambda p, change: p + p * (1 - p) * change, "follows the tangent", "followed the tangent"),
            WrongAnswer(lambda p, change: 1 / (1 + np.exp(-(p + change))), "probability used as log-odds", "added a probability"),
        ],
        right=[_after_by_sigmoid, _after_by_shares],
    ),
    Exercise(
        name="first_match",
        title="Let a rule list answer",
        level="core",
        difficulty=2,
        minutes=6,
        passes="the first rule that fits decides, and whoever fits none gets the last probability",
        task="Write `first_match(holds, probabilities)`. `holds` is a boolean array (n, k): does rule k fit row i? `probabilities` has "
        "k + 1 entries; the last is for rows that no rule fits. Return one probability per row.",
        hints=(
            "Read the list aloud: IF ... ELSE IF ... ELSE. When do you stop reading?",
            "`argmax` of a boolean row is its first True. What is it when there is no True?",
        ),
        reference=first_match,
        check=_check_first_match,
        wrong=[
            WrongAnswer(_last_match, "later rules overwrite", "*last* fitting rule"),
            WrongAnswer(_mean_of_matches, "lets rules vote", "do not vote"),
            WrongAnswer(_largest_match, "takes the highest", "order decides, not size"),
            WrongAnswer(_no_else, "forgets the else", "the 'else'"),
            WrongAnswer(_first_rule_for_the_rest, "argmax of an empty row", "argmax of a row without True"),
            WrongAnswer(
                lambda holds, probabilities: np.column_stack([holds, np.ones(len(holds))]).argmax(axis=1),
                "returns the rule's number",
                "number of the rule",
            ),
        ],
        right=[_match_by_loop, _match_backwards],
    ),
    Exercise(
        name="decisions",
        title="Count the people inside half a point",
        level="core",
        difficulty=2,
        minutes=8,
        passes="you count every held-out applicant whose decision is not what it was",
        task="Flatten the whole curve of `credit_age_years` in the chapter's machine (`machine`). The accuracy on the 2,000 held-out "
        "applicants falls by half a point or less. For how many of them does the *decision* change? First write the number you expect into "
        "`my_guess`, then measure it: a loan is denied where `score > 0`.",
        hints=(
            "Accuracy counts right minus wrong turns. Is that the number of people who get another letter?",
            "`glassbox.edit_shape(machine, 'credit_age_years', flatten=True).score(X_test)`, and the same without the edit.",
        ),
        reference=decisions,
        check=_check_decisions,
        wrong=[
            WrongAnswer(9.0, "reads the fall of accuracy as a number of people", "cancel in it"),
            WrongAnswer(0.0395, "a share instead of a number", "That is a share; the number"),
            WrongAnswer(3.95, "percent instead of a number", "share in percent"),
            WrongAnswer(1582.0, "counts right answers", "right after the edit"),
            WrongAnswer(1921.0, "counts those that stayed", "stayed the same"),
            WrongAnswer(0.0, "no change at all", "Not one?"),
            WrongAnswer(80.0, "one applicant too many", "every one of them is a person"),
        ],
    ),
    Exercise(
        name="memo",
        title="Judge a memo about a readable model",
        level="core",
        difficulty=3,
        minutes=10,
        passes="you accept what a table of coefficients or a drawn curve shows, and reject what it cannot",
        task="A colleague read the logistic table and the curves of this chapter and wrote a memo. Which sentences hold? Give their "
        'letters, for example `"be"`. Then write two sentences of your own on what a customer may be told.',
        hints=(
            "Ask of each sentence: is it about the model, about the data, or about the world?",
            "'All else equal' is part of every coefficient. Which of these sentences forgot it?",
        ),
        claims={
            "a": Claim(
                "By the logistic table, one more prior default multiplies the odds of default by the same factor for every applicant.",
                True,
                "Without a product in it, a logistic regression has one factor for everyone. Whether the *world* does is another "
                "question: here past defaults weigh more for the poor.",
            ),
            "b": Claim(
                "One more prior default makes every applicant 2.4 times as likely to default.",
                False,
                "2.4 is a factor on the odds. From a probability of 0.5 it leads to 0.71, not to 1.2.",
            ),
            "c": Claim(
                "The coefficient of height_cm is positive in this sample, so taller people are worse risks.",
                False,
                "Its twin height_in carries the opposite sign, both intervals are huge, and refits turn the signs around. Only their "
                "sum says something, and it says the opposite.",
            ),
            "d": Claim(
                "The terms of the machine add up to its log-odds exactly, so its score can be recomputed by hand.",
                True,
                "Every row's score is the intercept plus its terms, to the last digit. That is what 'glass box' means, and all it "
                "means.",
            ),
            "e": Claim(
                "Since the machine is a glass box, its curves show how the world works.",
                False,
                "They show how the *model* works. Where data are thin, where columns are twins, or where three features act together, "
                "curve and world part ways, and no curve tells you so.",
            ),
            "f": Claim(
                "If two machines differ in accuracy by less than a tenth of a point, it does not matter to customers which one we use.",
                False,
                "The two banks of this chapter disagree on the decision for several in a hundred, and give other reasons to many "
                "more; so do two machines of one bank, trained on other samples.",
            ),
        },
        model_answer="Tell the customer which inputs moved the score, by how much, against whom they were compared, and that another "
        "comparison would order the reasons differently. Do not tell them that the inputs cause default: the model would say the same "
        "if they only accompanied it.",
    ),
    Exercise(
        name="pure_interaction",
        title="Purify a table",
        level="stretch",
        difficulty=4,
        minutes=12,
        passes="every row and every column of what is left has weighted mean zero, also when the features are correlated",
        task="Write `pure_interaction(table, weights)`: what is left of a table of two features when everything that one of them says "
        "alone has been moved out, under the weights of the cells. All weights are positive.",
        hints=(
            "Take the weighted mean of each row away, then that of each column. Now look at the rows again.",
            "`np.average` takes weights and an axis. How often must you go around?",
        ),
        reference=pure_interaction,
        check=_check_pure,
        wrong=[
            WrongAnswer(_one_pass, "one pass", "One pass is not enough"),
            WrongAnswer(_unweighted, "ignores the weights", "every cell the same weight"),
            WrongAnswer(_both_means_at_once, "formula for independent features", "independent features only"),
            WrongAnswer(_grand_mean_twice, "level taken twice", "the level away twice"),
            WrongAnswer(_only_centred, "centres the table as a whole", "the table as a whole"),
            WrongAnswer(_what_was_moved, "returns what was moved", "what had to be moved"),
            WrongAnswer(_in_place, "overwrites the table", "work on a copy"),
        ],
        right=[_pure_by_least_squares, _pure_by_totals],
    ),
    Exercise(
        name="monotone",
        title="Forbid a curve to fall",
        level="stretch",
        difficulty=4,
        minutes=12,
        passes="the curve never falls, and no never-falling curve is nearer to the learned one in weighted squares",
        task="A regulator asks that more prior defaults never help. Write `monotone(scores, weights)`: the never-falling curve nearest "
        "to `scores` in weighted squares. Neighbours that fall are pooled: all bins of a pool get its weighted mean.",
        hints=(
            "Two neighbours that fall must become one level. Which level costs least, if one of them holds many more rows?",
            "After pooling, the new level may lie below the bin *before* it. Keep a list of pools and look back.",
        ),
        reference=monotone,
        check=_check_monotone,
        wrong=[
            WrongAnswer(lambda scores, weights: np.sort(scores), "sorts the scores", "sorted the scores"),
            WrongAnswer(lambda scores, weights: np.maximum.accumulate(scores), "running maximum", "running maximum only ever raises"),
            WrongAnswer(lambda scores, weights: np.minimum.accumulate(scores[::-1])[::-1], "running minimum", "running minimum from the right"),
            WrongAnswer(_unweighted_pools, "pools without weights", "without weights"),
            WrongAnswer(_falling, "wrong direction", "never rises"),
            WrongAnswer(_one_round, "one sweep", "One sweep is not enough"),
            WrongAnswer(lambda scores, weights: scores.copy(), "changes nothing", "is unchanged"),
            WrongAnswer(lambda scores, weights: np.full(8, np.average(scores, weights=weights)), "pools everything", "a nearer curve exists"),
        ],
        right=[_monotone_by_sklearn, _monotone_by_min_max],
    ),
]  # fmt: skip

WARMUP = [
    Question(
        "Chapter 00 called an explanation 'a second model of the model'. What can then go wrong that cannot go wrong for a model "
        "which is its own explanation?",
        "The explanation can disagree with the model.",
        "A sum of curves that is the model has no gap to its explanation. It can still disagree with the world.",
        {
            "The model can be wrong about the world.": "Both kinds can: a glass box lets you see what it does, not whether that is right.",
            "The data can be biased.": "Both kinds learn from the same data, bias included. In a glass box you may see it.",
        },
    ),
    Question(
        "Two models are tested on the same applicants. Which interval answers 'is one of them better'?",
        "The interval of the paired differences.",
        "Easy and hard applicants hit both models alike; the difference takes that out.",
        {
            "Whether the two separate intervals overlap.": "Overlap throws the pairing away: two overlapping intervals can hide a sure "
            "difference.",
            "None, if both accuracies are printed with four decimals.": "Decimals are not certainty: with other applicants the last ones change.",
        },
    ),
    Question(
        "The odds of an event are 1 to 4. What is its probability?",
        "0.20",
        "One case for every four others: 1 / (1 + 4).",
        {
            "0.25": "That is the odds as a fraction, 1 / 4. The probability counts the case among all five.",
            "0.80": "That is the probability that it does not happen.",
        },
    ),
]

QUIZ = [
    Question(
        "A logistic regression gives `prior_defaults` an odds ratio of 2.4. Who is hit hardest, in probability, by one more default?",
        "Applicants near a probability of one half.",
        "The same step of log-odds is steepest there. Near 0 and near 1 the probability has nowhere to go.",
        {
            "Everyone equally.": "Equal in log-odds, not in probability.",
            "Applicants with a probability near zero.": "2.4 times a tiny risk is still tiny: from 0.01 to 0.024.",
        },
    ),
    Question(
        "Two columns say almost the same thing. What can be read from their two coefficients?",
        "Hardly anything from each; something from the sum of their effects.",
        "The data cannot tell who of the two does the work, so the split is an accident of the sample.",
        {
            "The larger coefficient is the real cause.": "Refit on other rows, and the other one is larger, or the signs are turned.",
            "Nothing at all: the model is broken.": "Its predictions are fine, and so is the sum. Only the split is undetermined.",
        },
    ),
    Question(
        "Alone in a logistic regression, a larger loan *lowers* the risk; beside income it *raises* it. Which warning would have shown it?",
        "Refitting with and without the column that was left out.",
        "The variance inflation factor looks inside the table. It cannot see a column that is not there.",
        {
            "A variance inflation factor above ten.": "It is 1 for a single column, and small here even with income beside it.",
            "A wide confidence interval.": "The interval is narrow and lies on the wrong side: it knows the sampling noise of this model only.",
        },
    ),
    Question(
        "The same machine can be written with more in the curves or more in the pair tables. What does purifying do?",
        "It picks the one writing in which the tables hold interaction only, under stated weights.",
        "The predictions stay the same to the last digit; only the reading becomes unique.",
        {
            "It makes the model more accurate.": "No prediction changes. It is bookkeeping, and reading needs it.",
            "It removes interactions that are not significant.": "It removes nothing: it moves main effects to where they are looked for.",
        },
    ),
    Question(
        "A glass box and a black box reach the same accuracy on your data. What is Rudin's argument?",
        "Take the glass box, and for high stakes look for one before you explain a black box.",
        "Nothing is gained by the black box there, and its explanation can be wrong. The honest limit: the equality must be measured "
        "in each case, and it fails where interactions of high order decide.",
        {
            "Glass boxes are always as accurate as black boxes.": "Not always: in the third-order variant of this chapter the glass box loses, "
            "surely.",
            "A glass box shows the causes.": "It shows the model. Twins and left-out columns fool readers of glass boxes as well.",
        },
    ),
]
