r"""Anchors: a short rule under which the model nearly always says what it says here.

A rule A (some conditions that the instance meets) has a *precision*, the share of rows under the rule that get the same label,
and a *coverage*, the share of the data that obeys it. The search grows rules condition by condition, keeps the most precise of
each length by a bandit race, and tests what it wants to return on draws that the race never saw.

Which rows are "under the rule" is a choice, and it decides the answer. Two are offered, and named in every result:

- ``"perturbation"``, the paper's: draw a row of the data; each feature of the rule that breaks its condition gets the value of
  another row, drawn from those that meet it. The result may be a row that can not exist.
- ``"data"``: the rows of the data that obey the rule. One prediction of the data set answers for every rule.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from xailib import _validation as check
from xailib import models
from xailib.models import BATCH_ROWS, Predict, Talk
from xailib.results import Anchor, Condition, holds
from xailib.text import Words, keep, split_words

DISTRIBUTIONS = ("perturbation", "data")
#: draws of a rule's first batch in a race; every further batch of a rule doubles its draws
FIRST_DRAWS = 40
#: how many rules on either side of the border get new draws in one round of a race, so that the model is called less often
LANES = 8
#: a test gives a rule up early when its upper bound with this beta is below the threshold. A rule that deserves to pass is lost
#: that way in at most one of twenty looks, exp(-3). No guarantee hangs on it: what is returned has had all its draws
GIVE_UP_BETA = 3.0

#: a rule inside a search: positions of its conditions among those of the instance
Rule = tuple[int, ...]


def explain(
    predict: Predict,
    instance: Any,
    data: Any,
    *,
    threshold: float = 0.95,
    delta: float = 0.05,
    epsilon: float = 0.1,
    tolerance: float = 0.05,
    distribution: str = "perturbation",
    beam_width: int = 2,
    max_conditions: int = 6,
    bins: int = 4,
    batch_rows: int = BATCH_ROWS,
    random_state: Any = 0,
) -> Anchor:
    r"""The rule of largest coverage, among those found, whose precision reaches a threshold.

    .. math:: \mathrm{prec}(A) = \mathbb{E}_{z \sim D(\cdot \mid A)}\, 1[f(z) = f(x)], \qquad
        \mathrm{cov}(A) = \frac{1}{n}\,|\{i: x_i \text{ obeys } A\}|

    Parameters
    ----------
    predict : function, (n, p) -> (n,) labels as whole numbers; ``xailib.predictor(model, output="label")`` makes one
    instance : DataFrame or array of one row, or one-dimensional array: what is explained
    data : array or DataFrame, shape (n, p): rows to draw values from, and to measure coverage on; best rows that the model was
        not fitted to, for on those it may know the answers by heart
    threshold : float in (0, 1), the precision asked for
    delta : float in (0, 1), probability that a rule is called found although its precision is below threshold minus tolerance
    epsilon : float, the race for the most precise rules stops when none left out can be better by more than this
    tolerance : float, a rule is found if its precision on fresh draws reaches the threshold, and its lower bound the threshold
        minus this
    distribution : {"perturbation", "data"}, see the head of this module
    beam_width : int, rules of each length that are kept and extended
    max_conditions : int, length at which the search gives up
    bins : int, a numeric feature is cut at its quantiles into this many parts; a condition is one-sided
    batch_rows : int, rows per model call
    random_state : int, Generator or None

    Returns
    -------
    Anchor
        ``found`` says whether there is one. If not, it holds the best rule that was tried, with its honest precision.

    Raises
    ------
    TypeError, ValueError
        If an argument is unusable, or the model's answers are no labels; the message says what to do.

    Notes
    -----
    Ribeiro, Singh & Guestrin (2018), algorithms 1 and 2. In the race each rule's precision has the bounds of
    :func:`kl_bounds` with

    .. math:: \beta(m, \delta) = \log\frac{K m (m + 1)}{\delta}

    for K rules and the m-th batch of a rule: batches have fixed sizes, so a union bound over a rule's own batches is enough
    (Kaufmann & Kalyanakrishnan, 2013, pay with a larger constant for looking after every single draw), and of each rule only one
    side can mislead: the upper bound of one that belongs to the best, the lower bound of any other. All rules of a race use
    the same random draws; where two rules turn a draw into the same row, the model is asked once. That leaves each rule's draws
    independent of each other, and a union bound does not need independent rules. Rows of the data that obey a rule as they are
    have known labels: they are counted, and only the others are drawn. The rule that is returned was tested on fresh draws; the
    g-th test gets :math:`\delta / (g (g + 1))`. Conditions are dropped or loosened as long as the test is passed.
    Taught in chapter 6.

    Examples
    --------
    >>> X = np.random.default_rng(0).normal(size=(1000, 4))
    >>> anchor = explain(lambda X: X[:, 0] > 0, np.array([1.0, 1.0, 1.0, 1.0]), X)
    >>> anchor.found, [condition.feature for condition in anchor.conditions]
    (True, ['x0'])
    """
    check.function(predict, "predict")
    check.table(data, "data", min_rows=2)
    return explain_all(
        predict,
        _one_row(instance, data),
        data,
        threshold=threshold,
        delta=delta,
        epsilon=epsilon,
        tolerance=tolerance,
        distribution=distribution,
        beam_width=beam_width,
        max_conditions=max_conditions,
        bins=bins,
        batch_rows=batch_rows,
        random_state=random_state,
    )[0]


def explain_all(
    predict: Predict,
    X: Any,
    data: Any,
    *,
    threshold: float = 0.95,
    delta: float = 0.05,
    epsilon: float = 0.1,
    tolerance: float = 0.05,
    distribution: str = "perturbation",
    beam_width: int = 2,
    max_conditions: int = 6,
    bins: int = 4,
    batch_rows: int = BATCH_ROWS,
    random_state: Any = 0,
    n_jobs: int | None = None,
) -> list[Anchor]:
    """An anchor for each row: the searches run side by side and share their model calls.

    Parameters
    ----------
    X : array or DataFrame, shape (m, p), the instances
    n_jobs : int or None, as in joblib: blocks of instances in parallel
    predict, data, threshold, delta, epsilon, tolerance, distribution, beam_width, max_conditions, bins, batch_rows : as in
        :func:`explain`
    random_state : int, Generator or None

    Returns
    -------
    list of Anchor, in the order of ``X``; each is the same whatever else is in ``X`` after it, and on any number of processes

    Raises
    ------
    TypeError, ValueError
        As :func:`explain`.

    Notes
    -----
    The guarantee of ``delta`` is for each anchor, not for all together. Taught in chapter 6.
    """
    check.function(predict, "predict")
    settings = _Settings(threshold, delta, epsilon, tolerance, beam_width, max_conditions)
    check.one_of(distribution, "distribution", DISTRIBUTIONS)
    check.table(data, "data", min_rows=2)
    _same_columns(X, data, "X")
    table = _Table(data, check.number(bins, "bins", low=2, high=100, integer=True))
    rng = check.random_generator(random_state)
    check.number(batch_rows, "batch_rows", low=1, integer=True)
    if n_jobs is not None and check.number(n_jobs, "n_jobs", integer=True) == 0:
        raise ValueError("n_jobs must not be 0: use None for one process, 2 for two, -1 for all cores.")
    known = _labels(predict, data, batch_rows)
    labels = _labels(predict, X, batch_rows)
    rngs, met = rng.spawn(len(X)), table.met(X)

    def explain_block(block: slice) -> list[Anchor]:
        numbers = range(len(X))[block]
        spaces = [_Rows(table, table.conditions(met[:, i]), known == labels[i]) for i in numbers]
        judge = _Drawn if distribution == "perturbation" else _Counted
        searches = [
            _search(space, judge(space, settings, rngs[i], labels[i]), settings) for i, space in zip(numbers, spaces, strict=True)
        ]
        return models.side_by_side(searches, lambda donors: _labels(predict, table.rows(donors), batch_rows))

    blocks = models.in_blocks(explain_block, len(X), rows_each=2_000, batch_rows=batch_rows, n_jobs=n_jobs, desc="anchors")
    return [anchor for block in blocks for anchor in block]


def precision(
    predict: Predict,
    data: Any,
    rule: Anchor | Sequence[str],
    label: float,
    *,
    distribution: str = "perturbation",
    threshold: float = 0.95,
    tolerance: float = 0.05,
    n_samples: int = 10_000,
    delta: float = 0.05,
    batch_rows: int = BATCH_ROWS,
    random_state: Any = 0,
) -> Anchor:
    """Measure any rule, your own or one found elsewhere, on fresh draws.

    Parameters
    ----------
    predict, data, distribution, threshold, tolerance, batch_rows, random_state : as in :func:`explain`
    rule : Anchor, or conditions as text: ``["prior_defaults >= 2", "30 < age_years <= 40", "employment = permanent"]``; an empty
        list means "always"
    label : the label that the rule promises
    n_samples : int, draws (not used for ``distribution="data"``, where all rows that obey the rule are counted)
    delta : float, the interval holds with probability one minus this

    Returns
    -------
    Anchor
        ``found`` says whether the rule reaches the threshold by the same test as in the search.

    Raises
    ------
    TypeError, ValueError
        If a condition can not be read, names an unknown feature, or no row of the data meets the rule.

    Notes
    -----
    Ribeiro, Singh & Guestrin (2018), equation 2. Taught in chapter 6.

    Examples
    --------
    >>> X = np.arange(12.0).reshape(6, 2)
    >>> precision(lambda X: X[:, 0] > 3, X, ["x0 > 3", "x1 <= 9"], 1, distribution="data")
    Anchor(not an anchor: IF x0 > 3 AND x1 <= 9 THEN 1 has precision 1.000 (0.292 to 1.000), asked 0.95; coverage 0.500, data)
    """
    check.function(predict, "predict")
    check.table(data, "data", min_rows=2)
    conditions = _conditions(rule, data)
    check.number(label, "label")
    check.one_of(distribution, "distribution", DISTRIBUTIONS)
    settings = _Settings(threshold, delta, tolerance=tolerance)
    check.number(n_samples, "n_samples", low=1, integer=True)
    rng = check.random_generator(random_state)
    check.number(batch_rows, "batch_rows", low=1, integer=True)
    table = _Table(data, 2)
    columns = np.array([check.column(data, c.feature) for c in conditions], dtype=int)
    obeys = np.array([holds(c, table.columns[j]) for c, j in zip(conditions, columns, strict=True)]).reshape(-1, len(data))
    space = _Rows(table, _Conditions(conditions, columns, obeys), np.zeros(len(data), bool))
    whole = tuple(range(len(conditions)))
    if not space.covered(whole).any():
        together = check.shown(" AND ".join(map(str, conditions)))
        raise ValueError(f"rule is obeyed by no row of data, so there is nothing to measure: {together}.")
    space.agrees = _labels(predict, data, batch_rows) == label
    judge = _Drawn(space, settings, rng, label) if distribution == "perturbation" else _Counted(space, settings, None, label)
    ask = lambda donors: _labels(predict, table.rows(donors), batch_rows)  # noqa: E731
    return _one_rule(space, judge, settings, whole, n_samples, ask)


def text(
    predict: Callable[[np.ndarray], np.ndarray],
    instance: str,
    *,
    threshold: float = 0.95,
    delta: float = 0.05,
    epsilon: float = 0.1,
    tolerance: float = 0.05,
    filler: str = "UNK",
    beam_width: int = 2,
    max_conditions: int = 6,
    batch_rows: int = BATCH_ROWS,
    random_state: Any = 0,
) -> Anchor:
    """Words that, left in place, nearly always keep the label while every other word is replaced with probability one half.

    Parameters
    ----------
    predict : function, array of texts (n,) -> (n,) labels as whole numbers
    instance : str, the text to explain
    filler : str, what stands in for a missing word; the empty text deletes the word
    threshold, delta, epsilon, tolerance, beam_width, max_conditions, batch_rows, random_state : as in :func:`explain`

    Returns
    -------
    Anchor
        Conditions name words; ``coverage`` is the share of the perturbed texts that keep all of them,
        :math:`2^{-\\text{length}}`, so the shortest rule covers most.

    Raises
    ------
    TypeError, ValueError
        As :func:`explain`; also if the text has no word.

    Notes
    -----
    Ribeiro, Singh & Guestrin (2018), the variant without a language model. Words are cut as in :mod:`xailib.text`; a word that
    occurs twice is two conditions. Taught in chapter 6.

    Examples
    --------
    >>> has_prize = lambda texts: np.array(["prize" in text for text in texts])
    >>> text(has_prize, "Claim the prize now").rule
    '"prize"'
    """
    check.function(predict, "predict")
    words = split_words(check.instance(instance, str, "instance"))
    settings = _Settings(threshold, delta, epsilon, tolerance, beam_width, max_conditions)
    check.instance(filler, str, "filler")
    rng = check.random_generator(random_state)
    label = _labels(predict, keep(words, np.full((1, len(words)), True)), batch_rows)
    space = _Texts(words)
    search = _search(space, _Drawn(space, settings, rng, label[0]), settings)
    return models.side_by_side([search], lambda masks: _labels(predict, keep(words, masks, filler=filler), batch_rows))[0]


def text_precision(
    predict: Callable[[np.ndarray], np.ndarray],
    instance: str,
    kept: Anchor | Sequence[int],
    *,
    threshold: float = 0.95,
    tolerance: float = 0.05,
    filler: str = "UNK",
    n_samples: int = 10_000,
    delta: float = 0.05,
    batch_rows: int = BATCH_ROWS,
    random_state: Any = 0,
) -> Anchor:
    """Measure any rule about a text on fresh draws: which words are kept, all others being replaced with probability one half.

    Parameters
    ----------
    predict, instance, filler, batch_rows, random_state : as in :func:`text`
    kept : Anchor of this text, or positions of the words that the rule keeps, counted from 0
    threshold, tolerance, n_samples, delta : as in :func:`precision`

    Returns
    -------
    Anchor

    Raises
    ------
    TypeError, ValueError
        As :func:`text`; also if ``kept`` names a word that the text does not have.

    Notes
    -----
    An Anchor whose word occurs several times keeps its first occurrence. Taught in chapter 6.

    Examples
    --------
    >>> has_prize = lambda texts: np.array(["prize" in text for text in texts])
    >>> text_precision(has_prize, "Claim the prize now", [2]).precision
    1.0
    """
    check.function(predict, "predict")
    words = split_words(check.instance(instance, str, "instance"))
    rule = tuple(sorted(set(_positions(kept, words))))
    settings = _Settings(threshold, delta, tolerance=tolerance)
    check.number(n_samples, "n_samples", low=1, integer=True)
    check.instance(filler, str, "filler")
    rng = check.random_generator(random_state)
    label = _labels(predict, keep(words, np.full((1, len(words)), True)), batch_rows)
    space = _Texts(words)
    judge = _Drawn(space, settings, rng, label[0])
    ask = lambda masks: _labels(predict, keep(words, masks, filler=filler), batch_rows)  # noqa: E731
    return _one_rule(space, judge, settings, rule, n_samples, ask)


def kl_bounds(p_hat: Any, n: Any, beta: Any) -> tuple[np.ndarray, np.ndarray]:
    r"""Lower and upper confidence bound of a share, from Chernoff's inequality.

    .. math:: L = \min\{q: n\,\mathrm{kl}(\hat p, q) \le \beta\}, \quad U = \max\{q: n\,\mathrm{kl}(\hat p, q) \le \beta\},
        \quad \mathrm{kl}(p, q) = p \log\frac{p}{q} + (1 - p) \log\frac{1 - p}{1 - q}

    Each of the two misses the true share with probability at most :math:`e^{-\beta}`.

    Parameters
    ----------
    p_hat : float or array, observed shares from 0 to 1
    n : float or array, number of draws behind each; no draw, no information: bounds 0 and 1
    beta : float or array, at least 0

    Returns
    -------
    (L, U), arrays of the common shape

    Raises
    ------
    TypeError, ValueError
        If a share is outside [0, 1], or ``n`` or ``beta`` is negative.

    Notes
    -----
    Kaufmann & Kalyanakrishnan (2013), section 2. Found by bisection to :math:`2^{-24}`. For :math:`\hat p = 1` it is
    :math:`L = e^{-\beta / n}`. Taught in chapter 6.

    Examples
    --------
    >>> low, high = kl_bounds([0.5, 0.95, 1.0], 100, 3.0)
    >>> low.round(3), high.round(3)
    (array([0.379, 0.878, 0.97 ]), array([0.621, 0.987, 1.   ]))
    """
    arrays = {"p_hat": p_hat, "n": n, "beta": beta}
    checked = {name: check.array(value, name) for name, value in arrays.items()}
    check.fit_together(**checked)
    for name, low, high in (("p_hat", 0, 1), ("n", 0, np.inf), ("beta", 0, np.inf)):
        if checked[name].min() < low or checked[name].max() > high:
            raise ValueError(
                f"{name} must lie in [{low}, {high:g}], but holds {checked[name].min():g} to {checked[name].max():g}."
            )
    return _kl_bounds(*np.broadcast_arrays(*checked.values()))


def _kl_bounds(p: np.ndarray, n: np.ndarray, beta: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Both bounds at once, by bisection: ``inside`` keeps the inequality, ``outside`` does not, or is the range's end."""
    hits, misses = n * p, n * (1 - p)
    inside, outside = np.array([p, p]), np.array([np.zeros(p.shape), np.ones(p.shape)])
    with np.errstate(divide="ignore", invalid="ignore"):
        best = np.where(hits > 0, hits * np.log(p), 0.0) + np.where(misses > 0, misses * np.log1p(-p), 0.0)
        for _ in range(24):
            middle = (inside + outside) / 2
            close = best - hits * np.log(middle) - misses * np.log1p(-middle) <= beta  # n kl(p, middle) <= beta
            inside, outside = np.where(close, middle, inside), np.where(close, outside, middle)
    return np.where(hits > 0, inside[0], 0.0), np.where(misses > 0, inside[1], 1.0)


# --- the search: beam, race, test -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Settings:
    threshold: float
    delta: float
    epsilon: float = 0.1
    tolerance: float = 0.05
    beam_width: int = 1
    max_conditions: int = 1

    def __post_init__(self) -> None:
        check.number(self.threshold, "threshold", low=0, high=1, open_low=True)
        for name in ("delta", "epsilon", "tolerance"):
            check.number(getattr(self, name), name, low=0, high=1, open_low=True, open_high=True)
        for name in ("beam_width", "max_conditions"):
            check.number(getattr(self, name), name, low=1, integer=True)

    def passes(self, measured: _Measured) -> np.ndarray:
        """The test that makes a rule an anchor."""
        return (measured.mean >= self.threshold) & (measured.low >= self.threshold - self.tolerance)


@dataclass(frozen=True)
class _Measured:
    """Precision of several rules: estimates, bounds and the number of draws behind them."""

    mean: np.ndarray
    low: np.ndarray
    high: np.ndarray
    n: np.ndarray

    def __getitem__(self, i: Any) -> _Measured:
        return _Measured(self.mean[i], self.low[i], self.high[i], self.n[i])


def _search(space: _Space, judge: _Judge, settings: _Settings) -> Talk:
    """Rules of one condition, of two, ...; the winner is shortened; an Anchor comes back in any case."""
    best = yield from _pass(space, judge, settings, [()])
    beam: list[Rule] = [()]
    closest: tuple[float, Rule] = (-1.0, ())
    for _ in range(settings.max_conditions):
        covered = 0.0 if best is None else space.coverage(best[0])
        rules = [rule for rule in _longer(space, beam) if space.coverage(rule) > covered]
        if not rules:
            break
        beam, precisions = yield from judge.best(rules)
        closest = max(closest, *zip(precisions.tolist(), beam, strict=True))
        hopeful = precisions >= settings.threshold - settings.tolerance / 2
        best = (yield from _pass(space, judge, settings, [beam[i] for i in np.flatnonzero(hopeful)])) or best
    if best is None:
        beta = np.log(2 / settings.delta)
        measured = yield from judge.measure([closest[1]], beta, _draws_needed(beta, settings), to_the_end=True)
        return _anchor(space, settings, judge, closest[1], measured[0], found=False)
    while looser := (yield from _pass(space, judge, settings, _looser(space, best[0]))):
        best = looser
    rule, numbers = best
    return _anchor(space, settings, judge, rule, numbers, found=True)


def _pass(space: _Space, judge: _Judge, settings: _Settings, rules: list[Rule]) -> Talk:
    """The rule of largest coverage that passes the test on fresh draws, with its numbers; None if no rule does."""
    if not rules:
        return None
    judge.tests += any(space.known(rule)[0] < 1 for rule in rules)  # a share that is known in full needs no test
    beta = np.log(2 * len(rules) * judge.tests * (judge.tests + 1) / settings.delta) if judge.tests else 0.0
    measured = yield from judge.measure(rules, beta, _draws_needed(beta, settings))
    passed = [i for i in range(len(rules)) if settings.passes(measured[i])]
    if not passed:
        return None
    first = max(passed, key=lambda i: (space.coverage(rules[i]), -len(rules[i])))
    return rules[first], measured[first]


def _draws_needed(beta: float, settings: _Settings) -> int:
    """So many that the lower bound is within the tolerance of the estimate: n kl(p, q) >= 2 n (p - q)^2, Pinsker's inequality."""
    return int(np.ceil(beta / (2 * settings.tolerance**2)))


def _longer(space: _Space, beam: list[Rule]) -> list[Rule]:
    """Each rule of the beam with one more condition; what the new condition implies is dropped."""
    longer = set()
    for rule in beam:
        for c in range(len(space.conditions)):
            if not any(space.implies[old][c] for old in rule):
                longer.add(tuple(sorted([old for old in rule if not space.implies[c][old]] + [c])))
    return sorted(longer)


def _looser(space: _Space, rule: Rule) -> list[Rule]:
    """The rule without one of its conditions, or with one of them replaced by a weaker one on the same feature."""
    looser = set()
    for old in rule:
        rest = [c for c in rule if c != old]
        looser.add(tuple(rest))
        for weaker in np.flatnonzero(space.implies[old]).tolist():
            if weaker != old and not any(space.implies[c][weaker] for c in rest):
                looser.add(tuple(sorted([*rest, weaker])))
    return sorted(looser)


def _one_rule(
    space: _Space, judge: _Judge, settings: _Settings, rule: Rule, n_samples: int, ask: Callable[[np.ndarray], np.ndarray]
) -> Anchor:
    """A given rule, measured on all the draws; the interval holds with probability one minus delta."""
    talk = judge.measure([rule], np.log(2 / settings.delta), n_samples, to_the_end=True)
    measured = models.side_by_side([talk], ask)[0][0]
    return _anchor(space, settings, judge, rule, measured, found=bool(settings.passes(measured)))


def _anchor(space: _Space, settings: _Settings, judge: _Judge, rule: Rule, measured: _Measured, *, found: bool) -> Anchor:
    return Anchor(
        conditions=tuple(space.conditions[c] for c in rule),
        found=found,
        precision=float(measured.mean),
        interval=(float(measured.low), float(measured.high)),
        coverage=space.coverage(rule),
        threshold=float(settings.threshold),
        confidence=1 - settings.delta,
        prediction=float(judge.label),
        distribution=judge.distribution,
        n_samples=int(measured.n),
        model_rows=judge.asked,
    )


class _Drawn:
    """Judges rules by drawing rows under them."""

    distribution = "perturbation"

    def __init__(self, space: _Space, settings: _Settings, rng: np.random.Generator, label: float) -> None:
        self.space, self.settings, self.rng, self.label = space, settings, rng, label
        self.tests = self.asked = 0

    def best(self, rules: list[Rule]) -> Talk:
        """The most precise rules, by KL-LUCB: new draws go to the rules on either side of the border that are hardest to part."""
        race = _Race(self, rules, lambda batch: FIRST_DRAWS * 2**batch)
        yield from race.draw(range(len(rules)))
        while True:
            measured = race.measured(np.log(len(rules) * race.batches * (race.batches + 1) / self.settings.delta))
            order = np.argsort(-measured.mean, kind="stable")
            top, rest = order[: self.settings.beam_width], order[self.settings.beam_width :]
            critical = _critical(top, rest, measured, self.settings.epsilon)
            if not critical:
                return [rules[i] for i in top], measured.mean[top]
            yield from race.draw(critical)

    def measure(self, rules: list[Rule], beta: float, n: int, *, to_the_end: bool = False) -> Talk:
        """Fresh draws of each rule; one that can hardly reach the threshold is dropped after n / 16 or n / 4 of them."""
        sizes = np.diff([0, -(-n // 16), -(-n // 4), n])
        race = _Race(self, rules, lambda batch: int(sizes[batch]))
        going = np.arange(len(rules))
        for _ in sizes:
            yield from race.draw(going)
            possible = race.measured(GIVE_UP_BETA).high >= self.settings.threshold
            going = going if to_the_end else going[possible[going]]
        return race.measured(beta)


def _critical(top: np.ndarray, rest: np.ndarray, measured: _Measured, epsilon: float) -> list[int]:
    """Who needs new draws: the kept rules with the lowest lower bounds, and the others with the highest upper bounds.

    A rule whose bound is within epsilon / 2 of its estimate needs none: two such rules are never more than epsilon apart.
    """
    if not len(rest):
        return []
    weakest, strongest = measured.low[top].min(), measured.high[rest].max()
    if strongest - weakest <= epsilon:
        return []
    below, above = measured.mean - measured.low, measured.high - measured.mean
    kept = [i for i in top[np.argsort(measured.low[top])] if strongest - measured.low[i] > epsilon and below[i] > epsilon / 2]
    others = [
        i for i in rest[np.argsort(-measured.high[rest])] if measured.high[i] - weakest > epsilon and above[i] > epsilon / 2
    ]
    return [int(i) for i in kept[:LANES] + others[:LANES]]


class _Race:
    """Rules that are measured on the same draws, batch by batch."""

    def __init__(self, judge: _Drawn, rules: list[Rule], size: Callable[[int], int]) -> None:
        self.judge, self.space, self.rules, self.size = judge, judge.space, rules, size
        self.share, self.agreement = np.array([self.space.known(rule) for rule in rules]).T
        self.n, self.hits = np.zeros(len(rules)), np.zeros(len(rules))
        self.batches = np.zeros(len(rules), dtype=int)
        self.blocks: list[Any] = []
        self.answers: dict[int, bool] = {}

    def draw(self, arms: Any) -> Talk:
        """The next batch of each of these rules; what is left out is known already."""
        batches = []
        for arm in arms:
            while len(self.blocks) <= self.batches[arm]:
                self.blocks.append(self.space.draw(self.judge.rng, self.size(len(self.blocks))))
            batches.append(self.space.versions(self.rules[arm], self.blocks[self.batches[arm]]))
            self.batches[arm] += 1
        if not batches:
            return
        hits = yield from self._ask(np.concatenate(batches))
        for arm, hit in zip(arms, np.split(hits, np.cumsum([len(b) for b in batches])[:-1]), strict=True):
            self.n[arm] += len(hit)
            self.hits[arm] += hit.sum()

    def _ask(self, rows: np.ndarray) -> Talk:
        """Does the model say the label? The same row is asked once: rows are told apart by a 64-bit fingerprint."""
        keys = rows.astype(np.uint64) @ self.space.fingerprint
        unique, first, place = np.unique(keys, return_index=True, return_inverse=True)
        new = [i for i, key in enumerate(unique.tolist()) if key not in self.answers]
        if new:
            answers = (yield rows[first[new]]) == self.judge.label
            self.judge.asked += len(new)
            self.answers.update(zip(unique[new].tolist(), answers.tolist(), strict=True))
        return np.array([self.answers[key] for key in unique.tolist()], dtype=bool)[place]

    def measured(self, beta: Any) -> _Measured:
        """What is known in full, plus the rest times its estimate and bounds."""
        rest = np.divide(self.hits, self.n, out=np.full(len(self.n), 0.5), where=self.n > 0)
        low, high = _kl_bounds(*np.broadcast_arrays(rest, self.n, np.asarray(beta, dtype=float)))
        total = [self.share * self.agreement + (1 - self.share) * value for value in (rest, low, high)]
        return _Measured(total[0], total[1], total[2], self.n.copy())


class _Counted:
    """Judges rules by counting rows of the data: the search sees one half, the test the other."""

    distribution = "data"

    def __init__(self, space: _Rows, settings: _Settings, rng: np.random.Generator | None, label: float) -> None:
        self.space, self.settings, self.label = space, settings, label
        self.tests = self.asked = 0
        first = np.full(space.n_rows, True) if rng is None else rng.permutation(space.n_rows) < space.n_rows // 2
        self.halves = (first, first if rng is None else ~first)

    def best(self, rules: list[Rule]) -> Talk:
        """The rules with the highest lower bounds (Wilson's, two standard errors): a share of few rows is no evidence."""
        n, hits = self._count(rules, 0)
        low = (hits + 2 - 2 * np.sqrt(hits * (n - hits) / np.maximum(n, 1) + 1)) / (n + 4)
        top = np.argsort(-low, kind="stable")[: self.settings.beam_width]
        yield from ()
        return [rules[i] for i in top], (hits / np.maximum(n, 1))[top]

    def measure(self, rules: list[Rule], beta: float, n: int, *, to_the_end: bool = False) -> Talk:
        """Counts on the other half; ``n`` is what the data have."""
        yield from ()
        rows, hits = self._count(rules, 1)
        mean = np.divide(hits, rows, out=np.full(len(rows), 0.5), where=rows > 0)
        low, high = _kl_bounds(*np.broadcast_arrays(mean, rows, np.asarray(beta, dtype=float)))
        return _Measured(mean, low, high, rows)

    def _count(self, rules: list[Rule], half: int) -> tuple[np.ndarray, np.ndarray]:
        """Rows of one half under each rule, and how many of them have the label."""
        under = np.array([self.space.covered(rule) for rule in rules]) & self.halves[half]
        rows, hits = (np.count_nonzero(chosen, axis=1).astype(float) for chosen in (under, under & self.space.agrees))
        return rows, hits


# --- what rules speak about: rows of a table, words of a text -------------------------------------------------------


class _Table:
    """The data by column: where each is cut, and rows put together from the values of several rows."""

    def __init__(self, data: Any, bins: int) -> None:
        self.data, self.names, self.columns = data, check.feature_names(data), _columns(data)
        self.arrays = [data.iloc[:, j].array for j in range(data.shape[1])] if isinstance(data, pd.DataFrame) else []
        self.splits = [split for j in range(len(self.columns)) for split in self._splits(j, bins)]

    def _splits(self, j: int, bins: int) -> list[tuple[Condition, int, np.ndarray]]:
        """All conditions on a column that some rows of the data obey and others do not, and which rows do."""
        column, name = self.columns[j], self.names[j]
        levels = pd.unique(column)
        if not _is_number(column) or len(levels) == 2:
            conditions = [Condition(name, "=", level) for level in levels]
        else:
            whole = pd.api.types.is_integer_dtype(column)
            cuts = np.unique(np.quantile(column, np.arange(1, bins) / bins, method="inverted_cdf"))
            above = [Condition(name, ">=", int(cut) + 1) if whole else Condition(name, ">", float(cut)) for cut in cuts]
            conditions = [Condition(name, "<=", int(cut) if whole else float(cut)) for cut in cuts] + above
        values = _comparable(column)
        pairs = [(condition, holds(condition, values)) for condition in conditions]
        return [(condition, j, rows) for condition, rows in pairs if rows.any() and not rows.all()]

    def met(self, X: Any) -> np.ndarray:
        """Which conditions each row of X meets, (conditions, rows)."""
        values = [_comparable(column) for column in _columns(X)]
        return np.array([holds(condition, values[j]) for condition, j, _ in self.splits]).reshape(-1, len(X))

    def conditions(self, met: np.ndarray) -> _Conditions:
        """The conditions that one row meets."""
        chosen = [split for split, m in zip(self.splits, met, strict=True) if m]
        obeys = np.array([rows for _, _, rows in chosen]).reshape(-1, len(self.data))
        return _Conditions([c for c, _, _ in chosen], np.array([j for _, j, _ in chosen], dtype=int), obeys)

    def rows(self, donors: np.ndarray) -> Any:
        """Rows whose value in column j comes from row ``donors[:, j]`` of the data."""
        if isinstance(self.data, pd.DataFrame):
            taken = {name: self.arrays[j].take(donors[:, j]) for j, name in enumerate(self.data.columns)}
            return pd.DataFrame(taken, copy=False)
        return self.data[donors, np.arange(self.data.shape[1])]


def _columns(X: Any) -> list[pd.Series]:
    columns = [X.iloc[:, j] if isinstance(X, pd.DataFrame) else pd.Series(X[:, j]) for j in range(X.shape[1])]
    return [column.infer_objects() for column in columns]


def _comparable(column: pd.Series) -> np.ndarray:
    """A column as conditions compare it: numbers, or levels as text."""
    values = np.asarray(column)
    return values.astype(str) if values.dtype == object else values


def _is_number(column: pd.Series) -> bool:
    return check.is_numeric(column) and not pd.api.types.is_bool_dtype(column)


@dataclass(frozen=True)
class _Conditions:
    """Conditions, the column of each, and which rows of the data obey it, (m, n)."""

    items: list[Condition]
    columns: np.ndarray
    obeys: np.ndarray


@dataclass(frozen=True)
class _Draws:
    """Rows of the data, and for each of their values a number from 0 to 1 that chooses its stand-in."""

    rows: np.ndarray
    choice: np.ndarray


class _Rows:
    """Rules about the rows of a table."""

    def __init__(self, table: _Table, conditions: _Conditions, agrees: np.ndarray) -> None:
        self.conditions, self.columns, self.obeys = conditions.items, conditions.columns, conditions.obeys
        self.agrees, self.n_rows, self.n_columns = agrees, len(agrees), len(table.names)
        self.fingerprint = _fingerprint(self.n_columns)
        self.masks: dict[Rule, np.ndarray] = {(): np.full(self.n_rows, True)}
        self.sizes: dict[Rule, int] = {}
        self.stand_ins: dict[Rule, np.ndarray] = {}
        self.implies = self._implied()

    def _implied(self) -> list[list[bool]]:
        """Entry [a][b] is true where condition a implies b: same column, and no row of the data obeys a without b."""
        without = self.obeys.astype(float) @ (1.0 - self.obeys).T  # rows that obey a and not b
        return ((self.columns[:, None] == self.columns) & (without == 0)).tolist()

    def covered(self, rule: Rule) -> np.ndarray:
        """Rows of the data that obey the rule, (n,); remembered, since longer rules are made of shorter ones."""
        if rule not in self.masks:
            self.masks[rule] = self.covered(rule[:-1]) & self.obeys[rule[-1]]
        return self.masks[rule]

    def coverage(self, rule: Rule) -> float:
        if rule not in self.sizes:
            self.sizes[rule] = int(np.count_nonzero(self.covered(rule)))
        return self.sizes[rule] / self.n_rows

    def known(self, rule: Rule) -> tuple[float, float]:
        """Share of draws that obey the rule as they are, and how many of them have the label."""
        covered = self.covered(rule)
        n = int(np.count_nonzero(covered))
        return n / self.n_rows, np.count_nonzero(covered & self.agrees) / (n or 1)

    def draw(self, rng: np.random.Generator, n: int) -> _Draws:
        return _Draws(rng.integers(self.n_rows, size=n), rng.random((n, self.n_columns)))

    def versions(self, rule: Rule, draws: _Draws) -> np.ndarray:
        """The draws that break the rule, mended: (k, p) numbers of the rows that each value comes from."""
        broken = ~self.covered(rule)[draws.rows]
        rows, choice = draws.rows[broken], draws.choice[broken]
        donors = np.repeat(rows[:, None], self.n_columns, axis=1)
        for j in set(self.columns[list(rule)].tolist()):
            on_j = tuple(c for c in rule if self.columns[c] == j)
            wrong = ~self.covered(on_j)[rows]
            options = self._options(on_j)
            donors[wrong, j] = options[(choice[wrong, j] * len(options)).astype(int)]
        return donors

    def _options(self, on_one_column: Rule) -> np.ndarray:
        if on_one_column not in self.stand_ins:
            self.stand_ins[on_one_column] = np.flatnonzero(self.covered(on_one_column))
        return self.stand_ins[on_one_column]


class _Texts:
    """Rules about the words of a text; a draw is a mask of the words that stay."""

    def __init__(self, words: Words) -> None:
        self.conditions = [Condition("text", "contains", word) for word in words.words]
        self.implies = np.eye(len(words), dtype=bool).tolist()
        self.fingerprint = _fingerprint(len(words))

    def coverage(self, rule: Rule) -> float:
        return 0.5 ** len(rule)

    def known(self, rule: Rule) -> tuple[float, float]:
        return 0.0, 0.0

    def draw(self, rng: np.random.Generator, n: int) -> np.ndarray:
        return rng.random((n, len(self.conditions))) < 0.5

    def versions(self, rule: Rule, draws: np.ndarray) -> np.ndarray:
        masks = draws.copy()
        masks[:, list(rule)] = True
        return masks


_Space = _Rows | _Texts
_Judge = _Drawn | _Counted


def _fingerprint(n_columns: int) -> np.ndarray:
    """Random odd weights: two different rows share a weighted sum modulo 2^64 once in some 10^18 pairs."""
    return np.random.default_rng(0).integers(2**63, size=n_columns, dtype=np.uint64) * np.uint64(2) + np.uint64(1)


# --- arguments ------------------------------------------------------------------------------------------------------


def _labels(predict: Predict, X: Any, batch_rows: int) -> np.ndarray:
    """Labels as whole numbers, or a sentence."""
    values = models.batched(predict, X, batch_rows=batch_rows, width=1)
    if (values != np.round(values)).any():
        odd = values[values != np.round(values)][0]
        raise ValueError(
            f"predict must return labels as whole numbers, but gave {odd:.4g}: use xailib.predictor(model, output='label'), "
            "or compare a probability with a cut-off."
        )
    return values


def _one_row(instance: Any, data: Any) -> Any:
    """The instance as a table of one row, like ``data``."""
    if isinstance(instance, np.ndarray) and instance.ndim == 1:
        instance = instance[None]
    if isinstance(instance, pd.Series):
        raise TypeError("instance must be a DataFrame of one row, not a Series: use X.iloc[[i]].")
    check.table(instance, "instance")
    if len(instance) != 1:
        raise ValueError(f"instance must be one row, not {len(instance)}: use explain_all for several.")
    _same_columns(instance, data, "instance")
    return instance


def _same_columns(X: Any, data: Any, name: str) -> None:
    """Raise unless X is a table with the columns of ``data``, in the same order."""
    check.table(X, name)
    if isinstance(X, pd.DataFrame) != isinstance(data, pd.DataFrame):
        raise TypeError(
            f"{name} and data must both be DataFrames or both arrays, not {type(X).__name__} and {type(data).__name__}."
        )
    if check.feature_names(X) != check.feature_names(data):
        raise ValueError(
            f"{name} must have the columns of data in their order, {check.listed(check.feature_names(data), 60)}, "
            f"not {check.listed(check.feature_names(X), 60)}."
        )


def _conditions(rule: Any, data: Any) -> list[Condition]:
    """Conditions of a rule given as an Anchor or as text."""
    if isinstance(rule, Anchor):
        rule = list(rule.conditions)
    if isinstance(rule, str) or not isinstance(rule, list | tuple):
        raise TypeError(f"rule must be an Anchor or a list of conditions such as ['age_years <= 39'], not {check.shown(rule)}.")
    return [_condition(part, data) for text in rule for part in _one_sided(text)]


def _one_sided(text: Any) -> list[Any]:
    """``"3 < age <= 9"`` as two conditions."""
    number = r"[-+]?[\d.]+(?:e[-+]?\d+)?"
    match = re.fullmatch(rf"\s*({number})\s*(<=?)\s*(.+?)\s*(<=?)\s*({number})\s*", text) if isinstance(text, str) else None
    if match is None:
        return [text]
    return [f"{match[3]} {match[2].replace('<', '>')} {match[1]}", f"{match[3]} {match[4]} {match[5]}"]


def _condition(text: Any, data: Any) -> Condition:
    """One condition, checked against the data."""
    if isinstance(text, Condition):
        parts: tuple[str, str, Any] = tuple(text)
    else:
        match = re.fullmatch(r"\s*(.+?)\s*(<=|>=|==|=|<|>)\s*(.+?)\s*", text) if isinstance(text, str) else None
        if match is None:
            raise ValueError(f"rule must hold conditions such as 'age_years <= 39' or 'region = west', not {check.shown(text)}.")
        parts = (match[1], match[2].replace("==", "="), match[3])
    j = check.column(data, parts[0], "rule: the feature")
    column = data.iloc[:, j] if isinstance(data, pd.DataFrame) else pd.Series(data[:, j]).infer_objects()
    return Condition(check.feature_names(data)[j], parts[1], _value(column, parts))


def _value(column: pd.Series, parts: tuple[str, str, Any]) -> Any:
    """A number for a numeric column, else one of its levels."""
    name, relation, value = parts
    if _is_number(column):
        try:
            return float(value)
        except ValueError:
            raise ValueError(f"rule compares {name!r} with {check.shown(value)}, but this feature is a number.") from None
    if relation != "=":
        raise ValueError(f"rule has '{name} {relation} {value}', but {name!r} holds levels: use '='.")
    levels = [str(level) for level in pd.unique(column)]
    if str(value) not in levels:
        raise ValueError(f"rule asks for {name} = {value}, but the levels in data are {check.listed(levels)}.")
    return value


def _positions(kept: Any, words: Words) -> list[int]:
    """Positions of the words that a rule keeps."""
    if isinstance(kept, Anchor):
        missing = [c.value for c in kept.conditions if c.value not in words.words]
        if missing:
            raise ValueError(f"kept is an Anchor of another text: {missing[0]!r} is not among the words of this one.")
        return [words.words.index(c.value) for c in kept.conditions]
    if not isinstance(kept, list | tuple) or not all(isinstance(i, int | np.integer) and not isinstance(i, bool) for i in kept):
        raise TypeError(f"kept must be an Anchor or a list of word positions, not {check.shown(kept)}.")
    if any(not 0 <= i < len(words) for i in kept):
        raise ValueError(f"kept must hold positions from 0 to {len(words) - 1}, one for each word, not {check.shown(kept)}.")
    return [int(i) for i in kept]
