"""Chapter 2: exercises on shuffling, grouping, retraining, strata and error bars, a judgement, and the questions."""

from __future__ import annotations

import numpy as np

from xailib.exercises.engine import Claim, Exercise, Mistake, WrongAnswer
from xailib.exercises.questions import Question


def _number(found, name="the increase"):
    found = np.asarray(found, dtype=float)
    if found.shape != ():
        raise Mistake(f"Return one number, {name}; yours has shape {found.shape}.")
    return float(found)


# --- shuffle one column -----------------------------------------------------------------------------------------------


def loss_increase(predict, X, y, column, order):
    """How much the mean squared error grows when, in one column, row i gets the value of row order[i]."""
    shuffled = X.copy()
    shuffled[:, column] = X[order, column]
    before = np.mean((y - predict(X)) ** 2)
    after = np.mean((y - predict(shuffled)) ** 2)
    return after - before


def _linear_task(rng, n=40):
    """Rows, outcomes with noise, and a linear model whose weights all matter."""
    X, weights = rng.normal(size=(n, 4)) + 1.0, rng.uniform(1, 3, size=4)
    return X, X @ weights + rng.normal(size=n), lambda rows: np.asarray(rows, dtype=float) @ weights


def _check_loss_increase(answer, rng):
    X, y, predict = _linear_task(rng)
    column, order = int(rng.integers(4)), rng.permutation(len(X))
    found = _number(answer(predict, X, y, column, order))
    wanted = loss_increase(predict, X, y, column, order)
    before = np.mean((y - predict(X)) ** 2)
    others = {name: _mse_with(predict, X, y, column, values) for name, values in _not_shuffled(X, column, order).items()}
    if np.isclose(found, wanted + before):
        raise Mistake("That is the loss after shuffling. Importance is what shuffling adds: subtract the loss before.")
    if np.isclose(found, -wanted):
        raise Mistake("The sign is reversed: a model that gets worse has a positive importance, so after minus before.")
    if np.isclose(found, np.mean((y - predict(X[order])) ** 2) - before):
        raise Mistake("You moved whole rows, so every applicant became another one. Only one column takes part.")
    if np.isclose(found, np.mean((y[order] - predict(_with(X, column, X[order, column]))) ** 2) - before):
        raise Mistake("You moved the outcomes along with the column. The outcomes stay where they are.")
    if np.isclose(found, others["mean"] - before):
        raise Mistake(
            "You put the mean everywhere. That also takes the information away, but shuffling keeps the column's spread."
        )
    if np.isclose(found, others["sorted"] - before):
        raise Mistake("You sorted the column; an ordered column is no random one. Use the order you were given.")
    if np.isclose(found, others["inverse"] - before):
        raise Mistake("Row i must receive the value of row order[i]; you gave row order[i] the value of row i.")
    if np.isclose(found, (wanted + before) / before):
        raise Mistake("That is the ratio form. Here the difference is asked for: after minus before.")
    if np.isclose(found, wanted * len(X)):
        raise Mistake("You added up the rows; the mean squared error divides by their number.")
    if np.isclose(found, np.mean((predict(_with(X, column, X[order, column])) - predict(X)) ** 2)):
        raise Mistake("That is how far the predictions move. Importance compares both predictions with the outcome y.")
    if not np.isclose(found, _number(answer(predict, X, y, column, order))):
        raise Mistake("A second call gives another number: use the order you were given, not one drawn inside.")
    if not np.isclose(found, wanted):
        raise Mistake("Copy X, write X[order, column] into that column, and compare the mean squared error after and before.")


def _with(X, column, values):
    copy = X.copy()
    copy[:, column] = values
    return copy


def _mse_with(predict, X, y, column, values):
    return np.mean((y - predict(_with(X, column, values))) ** 2)


def _not_shuffled(X, column, order):
    values = X[:, column]
    return {"mean": values.mean(), "sorted": np.sort(values), "inverse": values[np.argsort(order)]}


def _increase_of(values_of):
    """A wrong answer that writes something else than the donors' values into the column."""
    return lambda predict, X, y, column, order: (
        _mse_with(predict, X, y, column, values_of(X[:, column], order)) - np.mean((y - predict(X)) ** 2)
    )


def _increase_by_where(predict, X, y, column, order):
    mask = np.arange(X.shape[1]) == column
    errors = [(y - predict(rows)) ** 2 for rows in (X, np.where(mask, X[order], X))]
    return float(np.mean(errors[1] - errors[0]))


def _increase_in_place(predict, X, y, column, order):
    before = np.mean((y - predict(X)) ** 2)
    X[:, column] = X[order, column]
    return np.mean((y - predict(X)) ** 2) - before


def _increase_row_by_row(predict, X, y, column, order):
    rows = [np.r_[x[:column], X[donor, column], x[column + 1 :]] for x, donor in zip(X, order, strict=True)]
    return sum((y - predict(np.array(rows))) ** 2) / len(y) - sum((y - predict(X)) ** 2) / len(y)


# --- shuffle a group --------------------------------------------------------------------------------------------------


def group_loss_increase(predict, X, y, columns, order):
    """How much the mean squared error grows when row i gets all values of the columns from row order[i]."""
    shuffled = X.copy()
    shuffled[:, columns] = X[order][:, columns]
    return np.mean((y - predict(shuffled)) ** 2) - np.mean((y - predict(X)) ** 2)


def _check_group_loss_increase(answer, rng):
    X, y, predict = _linear_task(rng)
    X[:, 2] = X[:, 0] + 0.1 * rng.normal(size=len(X))
    order = rng.permutation(len(X))
    columns = sorted([0, 2], key=lambda j: loss_increase(predict, X, y, j, order))  # the larger one last: first is not best
    found = _number(answer(predict, X, y, columns, order))
    singles = np.array([loss_increase(predict, X, y, j, order) for j in columns])
    if np.isclose(found, singles.sum()):
        raise Mistake("You added the two single importances. Each was measured while the other column still told the truth.")
    if np.isclose(found, singles.mean()):
        raise Mistake("You averaged the single importances; a group is shuffled once, as one thing.")
    if np.isclose(found, singles.max()):
        raise Mistake("You returned the largest single importance; the group can matter far more than its best member.")
    if np.isclose(found, singles[0]):
        raise Mistake("Only the first column of the group was shuffled.")
    if np.isclose(found, np.mean((y - predict(X[order])) ** 2) - np.mean((y - predict(X)) ** 2)):
        raise Mistake("You moved whole rows. Only the columns of the group take part.")
    if _kept_apart(answer, rng) > 1e-9:
        raise Mistake("You shuffled the columns by different orders, which tears pairs apart. One order serves the whole group.")
    if not np.isclose(found, group_loss_increase(predict, X, y, columns, order)):
        raise Mistake("In a copy of X, write the rows X[order] into all columns of the group, then compare the losses.")


def _kept_apart(answer, rng):
    """A model that reads only the difference of two twins notices nothing when the twins move together."""
    x = rng.normal(size=30)
    X = np.column_stack([x, rng.normal(size=30), x + 1.0])
    return abs(_number(answer(lambda rows: rows[:, 2] - rows[:, 0], X, np.zeros(30), [0, 2], rng.permutation(30))))


def _group_by_different_orders(predict, X, y, columns, order):
    shuffled = X.copy()
    for shift, j in enumerate(columns):
        shuffled[:, j] = X[np.roll(order, shift), j]
    return np.mean((y - predict(shuffled)) ** 2) - np.mean((y - predict(X)) ** 2)


def _singles(reduce):
    """A wrong answer made of the single importances."""
    return lambda predict, X, y, columns, order: reduce([loss_increase(predict, X, y, j, order) for j in columns])


def _group_in_a_loop(predict, X, y, columns, order):
    shuffled = X.copy()
    for j in columns:
        shuffled[:, j] = X[order, j]
    return float(np.mean((y - predict(shuffled)) ** 2 - (y - predict(X)) ** 2))


def _group_in_place(predict, X, y, columns, order):
    before = np.mean((y - predict(X)) ** 2)
    X[:, columns] = X[order][:, columns]
    return np.mean((y - predict(X)) ** 2) - before


def _group_by_take(predict, X, y, columns, order):
    mask = np.isin(np.arange(X.shape[1]), columns)
    after = predict(np.where(mask, X.take(order, axis=0), X))
    return ((y - after) ** 2).mean() - ((y - predict(X)) ** 2).mean()


# --- retrain without a column -----------------------------------------------------------------------------------------


def loss_after_retraining():
    """Held-out log loss of a forest trained without income, minus that of the forest with income."""
    from dataclasses import replace

    from sklearn.metrics import log_loss

    from xailib import worlds
    from xailib.zoo.tabular import tabular

    loans = worlds.loans()
    blind_loans = replace(loans, X=loans.X.drop(columns="annual_income_keur"))
    losses = [
        log_loss(world.test[1], tabular("loans-forest", world).predict_proba(world.test[0])[:, 1])
        for world in (blind_loans, loans)
    ]
    return losses[0] - losses[1]


def _check_loss_after_retraining(answer, rng):
    wanted = loss_after_retraining()
    if abs(answer - wanted) < 5e-4:
        return
    if 0.045 <= answer <= 0.062:
        raise Mistake(
            "That is the importance by shuffling. Here the model was trained again and could fall back on other columns."
        )
    if abs(answer + wanted) < 5e-4:
        raise Mistake("The sign is reversed: loss of the retrained model minus loss of the model with income.")
    if 0.49 <= answer <= 0.51:
        raise Mistake("That is the loss of the retrained model itself; subtract the loss of the model with income.")
    if 0.46 <= answer < 0.48:
        raise Mistake("That is the loss of the model with income; we ask how much is added by retraining without it.")
    if 1.0 < answer < 1.2:
        raise Mistake("That is the ratio of the two losses; we ask for their difference.")
    if answer == 0:
        raise Mistake("The other columns stand in for income only in part: compute the two losses.")
    raise Mistake("Compute log_loss(y, blind(...)) on the held-out rows, minus log_loss(y, forest(X)).")


# --- a task for the library ---------------------------------------------------------------------------------------------


def importance_given_open_loans():
    """Held-out importance of debt_to_income, donors drawn among applicants with equally many open loans."""
    from xailib import predictor, worlds
    from xailib.permutation import permutation_importance
    from xailib.zoo.tabular import tabular

    X, y = worlds.loans().test
    forest = predictor(tabular("loans-forest"))
    return permutation_importance(forest, X, y, features=["debt_to_income"], conditional=X["open_loans"]).values[0]


def _check_importance_given_open_loans(answer, rng):
    if abs(answer - importance_given_open_loans()) < 2e-4:
        return
    if 0.027 <= answer <= 0.04:
        raise Mistake("That is the plain importance: donors came from all applicants. Restrict them by conditional.")
    if 0.0115 <= answer <= 0.0125:
        raise Mistake("That is the residual method, given *all* other columns. We ask for strata of equally many open loans.")
    if 0.06 <= answer < 0.072:
        raise Mistake("That is the importance of both columns shuffled together, what they say jointly, not what one adds.")
    if 0.072 <= answer <= 0.08:
        raise Mistake("That is measured on training rows, where the forest leans on what it memorised: use X and y.")
    if 0.0025 <= answer <= 0.004:
        raise Mistake("You shuffled open_loans among applicants of equal debt_to_income; it is asked for the other way round.")
    if 0.007 <= answer < 0.0095:
        raise Mistake("That is the loss of accuracy; leave the metric at its default, the log loss.")
    raise Mistake(
        "Call permutation_importance with features, conditional=X['open_loans'], and else the defaults; take values[0]."
    )


# --- shuffle within strata --------------------------------------------------------------------------------------------


def shuffle_within(values, strata, rng):
    """The values in random order, but each stays in the rows of its own stratum."""
    shuffled = values.copy()
    for stratum in np.unique(strata):
        rows = np.flatnonzero(strata == stratum)
        shuffled[rows] = rng.permutation(values[rows])
    return shuffled


def _check_shuffle_within(answer, rng):
    strata = rng.permutation(np.repeat([0, 1, 2], [12, 15, 18]))
    values = rng.normal(size=45) + 10.0 * strata
    found = answer(values, strata, np.random.default_rng(1))
    if hasattr(found, "index") and hasattr(found, "to_numpy"):
        raise Mistake("You returned a Series. Its index would line values up with other rows later: return an array.")
    found = np.asarray(found, dtype=float)
    if found.shape != values.shape:
        raise Mistake(f"Return as many values as came in, {values.shape}; yours have shape {found.shape}.")
    if np.array_equal(found, values):
        raise Mistake("Nothing moved: the values came back in their old order.")
    if len(np.unique(found)) == 3:
        raise Mistake(
            "You put the mean of each stratum everywhere, so the spread inside the strata is gone; shuffle, do not average."
        )
    if not np.array_equal(np.sort(found), np.sort(values)):
        raise Mistake("Every value must come back exactly once; yours are not the values that went in.")
    if np.array_equal(found[np.argsort(strata, kind="stable")], np.sort(values)):
        raise Mistake("Inside each stratum your values are sorted; that is an order, not a shuffle.")
    if _blocks_match(found, values, strata):
        raise Mistake(
            "You shuffled inside the strata but glued them together one after the other: put each value back into a row of its stratum."
        )
    if any(not np.array_equal(np.sort(found[strata == s]), np.sort(values[strata == s])) for s in range(3)):
        raise Mistake("Values crossed from one stratum into another: a row may only receive from its own stratum.")
    again = np.asarray(answer(values, strata, np.random.default_rng(2)), dtype=float)
    if np.array_equal(found, again):
        raise Mistake("Another random generator gave the same order: draw the order from rng.")
    orders = {tuple(answer(np.arange(3.0), np.zeros(3, dtype=int), np.random.default_rng(k))) for k in range(100)}
    if len(orders) < 6:
        raise Mistake(
            f"Three values have six orders; in 100 draws yours came in only {len(orders)}. Every order must be possible."
        )


def _blocks_match(found, values, strata):
    """True if the first rows hold the values of stratum 0, the next those of stratum 1, and so on."""
    blocks = np.split(found, np.cumsum(np.bincount(strata))[:-1])
    return all(np.array_equal(np.sort(block), np.sort(values[strata == s])) for s, block in enumerate(blocks))


def _per_stratum(change):
    """An answer that changes the values of each stratum by one rule."""

    def answer(values, strata, rng):
        changed = values.copy()
        for s in np.unique(strata):
            changed[strata == s] = change(values[strata == s], rng)
        return changed

    return answer


def _within_in_place(values, strata, rng):
    for s in np.unique(strata):
        values[strata == s] = rng.permutation(values[strata == s])
    return values


def _within_as_series(values, strata, rng):
    import pandas as pd

    return pd.Series(_within_by_pandas(values, strata, rng))


def _within_by_pandas(values, strata, rng):
    import pandas as pd

    return pd.Series(values).groupby(strata).transform(lambda part: rng.permutation(part.to_numpy())).to_numpy()


def _within_by_sorting(values, strata, rng):
    shuffled = np.empty_like(values)
    shuffled[np.argsort(strata, kind="stable")] = values[np.lexsort((rng.random(len(values)), strata))]
    return shuffled


# --- error bars -------------------------------------------------------------------------------------------------------


def standard_error(increase, orders):
    """Standard error of increase.mean(); a row counts for what it receives and for what it donates."""
    n_repeats, n_rows = increase.shape
    received = increase.mean(axis=0)
    donated = np.zeros(n_rows)
    for r in range(n_repeats):
        donated[orders[r]] += increase[r] / n_repeats  # row i received from row orders[r][i]
    return np.std(received + donated, ddof=1) / np.sqrt(n_rows)


def _check_standard_error(answer, rng):
    n_repeats, n_rows = 8, 60
    orders = np.array([rng.permutation(n_rows) for _ in range(n_repeats)])
    x = rng.normal(size=n_rows)
    increase = (x - x[orders]) ** 2 + rng.normal(size=(n_repeats, n_rows))
    found = _number(answer(increase, orders), "the standard error")
    R, n = increase.shape
    received = increase.mean(axis=0)
    donated = np.mean([row[np.argsort(order)] for row, order in zip(increase, orders, strict=True)], axis=0)
    shares = [received.std(ddof=1), donated.std(ddof=1)]
    if np.isclose(found, shares[0] / np.sqrt(n)):
        raise Mistake("You counted rows as receivers only. Other rows of the same sample were the donors; they are random too.")
    if np.isclose(found, increase.mean(axis=1).std(ddof=1) / np.sqrt(R)):
        raise Mistake("That is the spread over repeats. With many repeats it vanishes, though you still have only so many rows.")
    if np.isclose(found, increase.std(ddof=1) / np.sqrt(n * R)):
        raise Mistake(
            "You treated all entries as independent rows, but each row occurs once per repeat: average over repeats first."
        )
    if np.isclose(found, np.hypot(*shares) / np.sqrt(n)):
        raise Mistake(
            "You added the two variances as if they belonged to different rows; add the two numbers of each row instead."
        )
    if np.isclose(found, (received + donated).std(ddof=1)):
        raise Mistake("That is the spread of single rows; the mean of n rows is known better by the square root of n.")
    if np.isclose(found, (received + donated).std() / np.sqrt(n)):
        raise Mistake("You divided by n inside the standard deviation; a sample has n - 1 degrees of freedom: ddof=1.")
    if np.isclose(found, (received + donated).std(ddof=1) / np.sqrt(n) / 2):
        raise Mistake("Half of what it should be: the two roles of a row add up, they are not averaged.")
    if np.isclose(found, (received + donated).std(ddof=1) / np.sqrt(n * R)):
        raise Mistake("You divided by the number of entries; repeats are no further applicants. The rows are n.")
    misread = np.mean([row[order] for row, order in zip(increase, orders, strict=True)], axis=0)
    if np.isclose(found, (received + misread).std(ddof=1) / np.sqrt(n)):
        raise Mistake("The donor of row i is orders[r][i], so what row k donated is found where orders[r] equals k.")
    if not np.isclose(found, standard_error(increase, orders)):
        raise Mistake("For each row add its mean as receiver and its mean as donor; then their sd over the square root of n.")


def _error_by_bincount(increase, orders):
    R, n = increase.shape
    both = increase.mean(0) + np.bincount(orders.ravel(), weights=increase.ravel(), minlength=n) / R
    return both.std(ddof=1) / n**0.5


def _error_by_argsort(increase, orders):
    by_donor = np.take_along_axis(increase, np.argsort(orders, axis=1), axis=1)
    return np.sqrt(np.var((increase + by_donor).mean(axis=0), ddof=1) / increase.shape[1])


def _receives(increase, orders):
    return increase.mean(0).std(ddof=1) / np.sqrt(increase.shape[1])


def _as_if_independent(increase, orders):
    by_donor = np.take_along_axis(increase, np.argsort(orders, axis=1), axis=1)
    return np.hypot(_receives(increase, orders), _receives(by_donor, orders))


def _donor_misread(increase, orders):
    both = increase + np.take_along_axis(increase, orders, axis=1)
    return both.mean(0).std(ddof=1) / np.sqrt(increase.shape[1])


# --- the judgement ----------------------------------------------------------------------------------------------------

_MEMO = {
    "a": Claim(
        "On held-out applicants `prior_defaults` helps the model more than `region` does.",
        True,
        "that is what two importances with intervals far apart say: about this model, on such applicants.",
    ),
    "b": Claim(
        "`height_cm` and `height_in` each have an importance near zero, so the model hardly uses height.",
        False,
        "each was shuffled while its twin still told the truth; shuffled together they cost more than the two numbers add up to.",
    ),
    "c": Claim(
        "On 2,000 rows accuracy gives `region` an importance of 0.0007 with p = 0.42, so region does not help.",
        False,
        "no proof of absence: on 20,000 rows accuracy sees region too, and log loss saw it on the 2,000.",
    ),
    "d": Claim(
        "Shuffling `customer_number` costs much on the training rows and nothing on held-out rows: the forest memorised applicants.",
        True,
        "nothing else can make a random number useful on one set of rows only.",
    ),
    "e": Claim(
        "The importance of `loan_amount_keur` shows that asking for smaller loans would lower the default rate.",
        False,
        "in this world it would, but the importance does not show it: the forest without income has a larger one and the "
        "direction wrong.",
    ),
    "f": Claim(
        "If we delete `annual_income_keur` and train again, the log loss rises by its importance.",
        False,
        "a retrained model falls back on other columns: it loses less than the model that was trained to lean on income.",
    ),
    "g": Claim(
        "Shuffling `customer_number` leaves the held-out loss where it was, so no decision depends on the customer number.",
        False,
        "it helps nobody, but it moves predictions: one shuffle changes about fifty of 2,000 decisions, as many for the better as "
        "for the worse.",
    ),
}
_MODEL_ANSWER = (
    "Prior defaults and income help the forest most. The customer number helps on training rows only, where it was memorised; on new "
    "applicants it still moves risks by 2.6 points on average, and about fifty of 2,000 decisions, to no use. Height helps, by way of "
    "two columns that have to be shuffled together to see it, and so does region, which accuracy shows only on more rows than we had. "
    "None of this says what would happen to applicants if we changed a column, or to the loss if we trained without it. About one "
    "applicant in five that we scored to measure credit age cannot exist; within applicants of equal age, 20,000 rows show that "
    "credit age still helps a little, which our 2,000 could not."
)

EXERCISES = [
    Exercise(
        name="shuffle",
        title="Shuffle one column and weigh the damage",
        level="core",
        difficulty=1,
        minutes=7,
        passes="your number equals the definition on fresh data, for any column and any order",
        task=(
            "Write `loss_increase(predict, X, y, column, order)` for an array `X`: the mean squared error after row `i` of that column "
            "has received the value of row `order[i]`, minus the mean squared error before."
        ),
        hints=(
            "Three things could move: the column, the row, the outcome. Which of them does the definition let move?",
            "Indexing an array with a list of row numbers gives the rows in that order. Do it for one column, in a copy.",
        ),
        reference=loss_increase,
        check=_check_loss_increase,
        wrong=[
            WrongAnswer(
                lambda predict, X, y, column, order: _mse_with(predict, X, y, column, X[order, column]),
                "importance is the loss after shuffling",
                "That is the loss after shuffling",
            ),
            WrongAnswer(
                lambda predict, X, y, column, order: -loss_increase(predict, X, y, column, order),
                "importance is before minus after",
                "The sign is reversed",
            ),
            WrongAnswer(
                lambda predict, X, y, column, order: np.mean((y - predict(X[order])) ** 2) - np.mean((y - predict(X)) ** 2),
                "shuffling means reordering the rows",
                "You moved whole rows",
            ),
            WrongAnswer(
                lambda predict, X, y, column, order: (
                    np.mean((y[order] - predict(_with(X, column, X[order, column]))) ** 2) - np.mean((y - predict(X)) ** 2)
                ),
                "the outcomes travel with the column",
                "You moved the outcomes along",
            ),
            WrongAnswer(
                _increase_of(lambda v, order: v.mean()), "removing a feature means setting it to its mean", "You put the mean"
            ),
            WrongAnswer(
                _increase_of(lambda v, order: np.sort(v)), "sorting is a permutation like any other", "You sorted the column"
            ),
            WrongAnswer(
                _increase_of(lambda v, order: v[np.argsort(order)]), "giving and receiving are the same", "Row i must receive"
            ),
            WrongAnswer(
                lambda predict, X, y, column, order: (
                    _mse_with(predict, X, y, column, X[order, column]) / np.mean((y - predict(X)) ** 2)
                ),
                "importance is always a ratio",
                "That is the ratio form",
            ),
            WrongAnswer(
                lambda predict, X, y, column, order: len(X) * loss_increase(predict, X, y, column, order),
                "the loss is a sum",
                "You added up the rows",
            ),
            WrongAnswer(
                lambda predict, X, y, column, order: np.mean((predict(_with(X, column, X[order, column])) - predict(X)) ** 2),
                "moving predictions is making them worse",
                "how far the predictions move",
            ),
            WrongAnswer(
                _increase_of(lambda v, order: np.random.default_rng().permutation(v)),
                "any order will do",
                "A second call gives another number",
            ),
            WrongAnswer(_increase_in_place, "the caller's table may be overwritten", "changes its input"),
        ],
        right=[_increase_by_where, _increase_row_by_row],
    ),
    Exercise(
        name="group",
        title="Shuffle twins together",
        level="core",
        difficulty=2,
        minutes=7,
        passes="your number equals the definition on correlated columns, and a model of their difference notices nothing",
        task=(
            "Write `group_loss_increase(predict, X, y, columns, order)`: as before, but all `columns` of the group take part. A row must "
            "receive a pair of heights that one and the same person has."
        ),
        hints=(
            "How many orders are there: one for each column, or one?",
            "Suppose a model reads nothing but height_in minus height_cm / 2.54. What should the importance of the pair be?",
        ),
        reference=group_loss_increase,
        check=_check_group_loss_increase,
        wrong=[
            WrongAnswer(_singles(sum), "group importance is the sum of single importances", "You added the two single"),
            WrongAnswer(_singles(np.mean), "group importance is the average", "You averaged the single"),
            WrongAnswer(_singles(max), "a group is as important as its best member", "You returned the largest"),
            WrongAnswer(
                lambda predict, X, y, columns, order: loss_increase(predict, X, y, columns[0], order),
                "one twin stands for both",
                "Only the first column",
            ),
            WrongAnswer(_group_by_different_orders, "every column gets an order of its own", "different orders"),
            WrongAnswer(
                lambda predict, X, y, columns, order: np.mean((y - predict(X[order])) ** 2) - np.mean((y - predict(X)) ** 2),
                "a group of columns is the whole row",
                "You moved whole rows",
            ),
            WrongAnswer(_group_in_place, "the caller's table may be overwritten", "changes its input"),
        ],
        right=[_group_in_a_loop, _group_by_take],
    ),
    Exercise(
        name="refit",
        title="Predict what retraining without income costs",
        level="core",
        difficulty=2,
        minutes=6,
        passes="your measured difference of log losses is right to 0.0005",
        task=(
            "Shuffling `annual_income_keur` raises the forest's held-out log loss by about 0.053. The model `blind` is a forest trained "
            "without that column. **First write down a guess**: by how much is its held-out log loss higher than that of `forest`? "
            "Then measure it: loss of `blind` minus loss of `forest`. (`blind` takes `X.drop(columns='annual_income_keur')`.)"
        ),
        hints=(
            "The forest never learned to do without income. What can a model that never had income learn instead?",
            "Use `log_loss(y, predictions)` twice, with the held-out rows and the same y.",
        ),
        reference=loss_after_retraining,
        check=_check_loss_after_retraining,
        wrong=[
            WrongAnswer(0.0533, "importance by shuffling is the cost of leaving a column out", "importance by shuffling"),
            WrongAnswer(-0.0280, "difference taken the other way round", "The sign is reversed"),
            WrongAnswer(0.4984, "the loss itself is the cost", "loss of the retrained model itself"),
            WrongAnswer(0.4704, "reports the untouched model", "loss of the model with income; we ask"),
            WrongAnswer(0.0, "other columns replace income completely", "only in part"),
            WrongAnswer(1.0595, "compares losses by their ratio", "That is the ratio"),
            WrongAnswer(0.15, "retraining must cost more than shuffling", "Compute log_loss"),
        ],
    ),
    Exercise(
        name="given",
        title="Ask what debt adds to the number of loans",
        level="core",
        difficulty=3,
        minutes=6,
        passes="your measured importance is right to 0.0002",
        task=(
            "`debt_to_income` rises with `open_loans` (correlation 0.85); its importance on the held-out rows is 0.0336. **First write "
            "down a guess**: how much does it help *among applicants with equally many open loans*? Then measure it with "
            "`permutation_importance`, on the held-out `X` and `y`, log loss, and the default repeats and seed."
        ),
        hints=(
            "Which argument says who may be whose donor?",
            "`conditional` takes one label per row. What label do applicants with equally many open loans share?",
        ),
        reference=importance_given_open_loans,
        check=_check_importance_given_open_loans,
        wrong=[
            WrongAnswer(0.0336, "plain importance is what a column adds to the others", "That is the plain importance"),
            WrongAnswer(0.0119, "every conditional importance is the same question", "That is the residual method"),
            WrongAnswer(0.0699, "conditioning is grouping", "both columns shuffled together"),
            WrongAnswer(0.0752, "any rows will do", "measured on training rows"),
            WrongAnswer(0.0031, "conditioning is symmetric", "other way round"),
            WrongAnswer(0.0079, "any metric will do", "loss of accuracy"),
            WrongAnswer(0.0, "what correlates adds nothing", "Call permutation_importance"),
        ],
    ),
    Exercise(
        name="strata",
        title="Shuffle only among people of one age",
        level="core",
        difficulty=2,
        minutes=8,
        passes="every value stays in its stratum, none is lost, and the order is random",
        task=(
            "Write `shuffle_within(values, strata, rng)`: return the values in random order, but let each row receive a value from its own "
            "stratum only. `strata` holds one label per row, in no particular order; draw from `rng`."
        ),
        hints=(
            "Solve it for one stratum first: which rows does it have, and what may stand in them?",
            "A boolean mask can be read from and written to.",
        ),
        reference=shuffle_within,
        check=_check_shuffle_within,
        wrong=[
            WrongAnswer(lambda values, strata, rng: rng.permutation(values), "strata do not restrict anything", "Values crossed"),
            WrongAnswer(lambda values, strata, rng: values.copy(), "shuffles a copy and returns the original", "Nothing moved"),
            WrongAnswer(_per_stratum(lambda part, rng: np.sort(part)), "sorting is shuffling", "your values are sorted"),
            WrongAnswer(
                _per_stratum(lambda part, rng: part.mean()), "conditioning means averaging", "You put the mean of each stratum"
            ),
            WrongAnswer(_per_stratum(lambda part, rng: np.roll(part, 1)), "any reordering will do", "Another random generator"),
            WrongAnswer(
                lambda values, strata, rng: np.concatenate([rng.permutation(values[strata == s]) for s in np.unique(strata)]),
                "forgets to which rows the values belong",
                "glued them together",
            ),
            WrongAnswer(
                _per_stratum(lambda part, rng: rng.choice(part, len(part))),
                "drawing with replacement is shuffling",
                "exactly once",
            ),
            WrongAnswer(
                _per_stratum(lambda part, rng: np.roll(part, rng.integers(1, len(part)))),
                "turning the list by a random amount is a random order",
                "Every order must be possible",
            ),
            WrongAnswer(_within_as_series, "a Series is as good as an array", "You returned a Series"),
            WrongAnswer(_within_in_place, "the caller's array may be overwritten", "changes its input"),
        ],
        right=[_within_by_pandas, _within_by_sorting],
    ),
    Exercise(
        name="error_bar",
        title="Build an error bar that counts every row twice",
        level="stretch",
        difficulty=4,
        minutes=12,
        passes="your standard error equals the one xailib reports for a mean of row losses",
        task=(
            "`increase[r, i]` is the growth of row `i`'s loss in copy `r`, and `orders[r, i]` is the row that donated the value. Write "
            "`standard_error(increase, orders)` of the mean of `increase`, with the *row* as the unit: add up what a row does as receiver "
            "(its mean over copies) and as donor (the mean of the entries it caused), take the standard deviation (ddof=1) over rows, and "
            "divide by the square root of their number."
        ),
        hints=(
            "Each entry of `increase` belongs to two rows. Which two?",
            "`donated[orders[r]] += increase[r]` adds every entry to its donor, because no donor occurs twice in one copy.",
        ),
        reference=standard_error,
        check=_check_standard_error,
        wrong=[
            WrongAnswer(_receives, "donors are fixed", "receivers only"),
            WrongAnswer(
                lambda increase, orders: increase.mean(1).std(ddof=1) / np.sqrt(len(increase)),
                "repeats are the only source of randomness",
                "That is the spread over repeats",
            ),
            WrongAnswer(
                lambda increase, orders: increase.std(ddof=1) / np.sqrt(increase.size),
                "every entry is an independent observation",
                "as independent rows",
            ),
            WrongAnswer(_as_if_independent, "receiving and donating are independent", "different rows; add the two numbers"),
            WrongAnswer(
                lambda increase, orders: _error_by_bincount(increase, orders) * np.sqrt(increase.shape[1]),
                "standard deviation is standard error",
                "That is the spread of single rows",
            ),
            WrongAnswer(
                lambda increase, orders: standard_error(increase, orders) * np.sqrt(1 - 1 / increase.shape[1]),
                "a sample's spread is that of a population",
                "ddof=1",
            ),
            WrongAnswer(
                lambda increase, orders: standard_error(increase, orders) / 2,
                "two roles are averaged",
                "Half of what it should be",
            ),
            WrongAnswer(
                lambda increase, orders: standard_error(increase, orders) / np.sqrt(len(increase)),
                "repeats multiply the sample",
                "repeats are no further applicants",
            ),
            WrongAnswer(_donor_misread, "reads the donors' column the wrong way round", "The donor of row i is orders[r][i]"),
        ],
        right=[_error_by_bincount, _error_by_argsort],
    ),
    Exercise(
        name="memo",
        title="Judge a memo to the board",
        level="core",
        difficulty=3,
        minutes=8,
        passes="you accept the claims that the numbers of this chapter carry and reject the others",
        task=(
            "A consultant read this chapter's tables and wrote seven sentences. Which of them **hold**? Hand in their letters, for "
            "example `'ac'`. Then write, for yourself, four sentences that you would sign, and lay them beside the model answer."
        ),
        hints=(
            "Ask of each sentence: is it about this model on these rows, about applicants, or about another model? Does it say *moves* or *helps*?",
            "Where a sentence says *so*, *shows* or *if*: which table carries that step?",
        ),
        claims=_MEMO,
        model_answer=_MODEL_ANSWER,
    ),
]

WARMUP = [
    Question(
        "A forest is right on every one of its 4,000 training rows and on 78 % of 2,000 held-out rows. What is its accuracy on new applicants?",
        "About 78 %",
        "Rows the model has not seen stand in for new applicants; 2,000 of them fix the number to about one per cent either way.",
        {
            "About 100 %": "The forest has seen those rows, with their answers. It will not have seen the next applicant.",
            "About 93 %, the average over all 6,000": "Mixing in rows it learned by heart adds flattery, not evidence.",
        },
    ),
    Question(
        "In a world that we planted, why do we score every explanation on the oracle as well as on a trained model?",
        "On the oracle only the explanation can err",
        "A trained model may itself differ from the world; the two scores tell a wrong explanation from a wrong model (chapter 0).",
        {
            "The oracle is faster to evaluate": "It often is, but that is not the reason: we want to know *whose* error we see.",
            "The oracle gives tidier pictures": "Tidiness proves nothing. The oracle is the planted rule, so its true explanation is known.",
        },
    ),
    Question(
        "Method A scores higher than method B on 15 of the same 20 images. What do you look at to compare them?",
        "The 20 differences A minus B, with an interval",
        "Both methods met the same images, so the differences carry the comparison (chapter 0).",
        {
            "Whether the two separate intervals overlap": "Overlap of separate intervals throws away the pairing and hides real differences.",
            "The better of the two means": "A mean without an interval cannot tell a difference from luck.",
        },
    ),
]

QUIZ = [
    Question(
        "The error is 0.10 before and 0.12 after shuffling `age`. Which pair of importances is right?",
        "difference 0.02, ratio 1.2",
        "After minus before, or after divided by before. A useless feature has difference 0 and ratio 1.",
        {
            "difference 0.12, ratio 0.12": "0.12 is the error after shuffling; importance compares it with the error before.",
            "difference -0.02, ratio 0.83": "Reversed: shuffling hurts, so importance is positive and the ratio is above one.",
            "difference 0.02, ratio 0.2": "0.2 is the relative increase; the ratio form is after / before, 1.2.",
        },
    ),
    Question(
        "Shuffling `customer_number` costs much on the training rows and nothing, within a narrow interval, on held-out rows. What happened?",
        "The model memorised applicants",
        "Importance on training rows measures what the model leaned on while learning, over-fitting included.",
        {
            "The training rows are more representative": "The two sets are drawn alike; only what the model has seen differs.",
            "Permutation importance prefers columns with many values": (
                "Impurity importance does. Permutation importance only reports that on these rows the shuffled number cost the model."
            ),
            "The number is a cause of default": "It was drawn at random. A memory is not a cause.",
        },
    ),
    Question(
        "You report an importance from 500 applicants. With 1,000 repeats instead of 10, how far may it lie from the value for *all* applicants?",
        "A little less far than before",
        "The part that comes from the permutations vanishes; the part from having drawn only 500 applicants stays.",
        {
            "A tenth as far as before": "Only the spread over repeats does. Another 500 applicants would still give another number.",
            "Not at all: the result is then exact": "Exact for these 500 rows, which are a sample.",
            "Further, because more numbers vary": "Averaging more repeats can only remove noise.",
        },
    ),
    Question(
        "Two copies of one measurement each have importance 0.004; shuffled together they have 0.013. Why more than the sum?",
        "Shuffled alone, each is covered by its twin",
        "While one is shuffled the other still tells the model the truth; only the group takes it away. For a squared loss and equal shares the pair costs four times as much as either.",
        {
            "Two columns are always worth twice as much": "0.013 is three times, not twice: the single numbers were protected by the twin.",
            "The permutations of the two columns happened to differ": "A group is shuffled by one permutation; with separate ones the pairs would be torn.",
            "The model was trained again": "It never is: the same model meets other rows.",
        },
    ),
    Question(
        "Two models agree on every real applicant, yet `credit_age_years` has importance 0.01 in one and 0.5 in the other. How?",
        "They differ on applicants that cannot exist",
        "Shuffling creates such applicants, and scores them. Shuffling within people of the same age makes both equal.",
        {
            "One of the two was evaluated on training rows": "The rows were the same. What differs is how the models treat impossible rows.",
            "Too few repeats": "A difference of 0.5 is no sampling noise; look at the rows that were scored.",
            "The two use different losses": "The loss was the same; the shuffled rows lie where the models disagree.",
        },
    ),
]
