r"""Glass boxes: models whose own parts are the explanation.

A linear model is a sum of coefficients times values, a rule list a few sentences, an additive model a sum of one curve per
feature and a few tables of pairs:

.. math:: g(x) = c + \sum_j f_j(x_j) + \sum_{(j,k)} f_{jk}(x_j, x_k), \qquad P(y=1) = \frac{1}{1 + e^{-g(x)}}

What is read here *is* the model: the parts add up to its prediction, row by row.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from scipy.special import expit, xlogy
from scipy.stats import norm
from sklearn.isotonic import IsotonicRegression

from xailib import _validation as check
from xailib.effects import grid_points
from xailib.results import Attribution, Effect

LINKS = ("logit", "identity")
DIRECTIONS = ("increasing", "decreasing")
#: how the values of one feature fall into bins: increasing cuts of a number, or level -> bin of a category
Cuts = np.ndarray | Mapping[str, int]


# linear models --------------------------------------------------------------------------------------------------------


def linear_reasons(coefficients: Any, X: Any, *, background: Any, intercept: float = 0.0) -> Attribution:
    r"""Reasons of a linear model: what each column adds to the prediction of a row, against the mean row.

    .. math:: \phi_{ij} = \beta_j (x_{ij} - \bar z_j), \qquad g(x_i) = (\beta_0 + \beta^T \bar z) + \sum_j \phi_{ij}

    The bracket is the base value: the prediction for the mean row.

    Parameters
    ----------
    coefficients : (q,) numbers, one per column of ``design_matrix(X)``, in units of the prediction per unit of the column
    X : DataFrame or array (n, p), the rows to explain
    background : table with the columns of ``X``; its mean row is the reference z
    intercept : float

    Returns
    -------
    Attribution
        ``values`` (n, p): the columns of one category are added up.

    Raises
    ------
    TypeError, ValueError
        If a table is unusable, or the number of coefficients is not that of the columns of the design.

    Notes
    -----
    Another reference gives other reasons for the same decision. Also the exact marginal Shapley values of a linear model.
    Taught in chapter 1.

    Examples
    --------
    >>> linear_reasons([2.0, -1.0], np.array([[3.0, 1.0]]), background=np.array([[1.0, 0.0], [1.0, 4.0]])).values
    array([[4., 1.]])
    """
    rows, mean_row = design_matrix(X), design_matrix(check.table(background, "background")).mean()
    if list(rows.columns) != list(mean_row.index):
        raise ValueError("background must have the same columns and levels as X, in the same order.")
    beta = check.array(coefficients, "coefficients", ndim=1)
    if len(beta) != rows.shape[1]:
        raise ValueError(f"coefficients must be {rows.shape[1]} numbers, for {check.listed(rows.columns, 100)}, not {len(beta)}.")
    check.number(intercept, "intercept")
    parts = pd.DataFrame(beta * (rows - mean_row).to_numpy(), columns=_owners(X))
    names = check.feature_names(X)
    values = parts.T.groupby(level=0).sum().T.reindex(columns=names, fill_value=0.0).to_numpy()
    base_value = float(intercept + mean_row @ beta)
    return Attribution(values, base_value, base_value + values.sum(axis=1), names, X, "linear reasons against the mean row")


def log_odds_table(X: Any, y: Any, *, per: Mapping[str, float] | None = None, level: float = 0.95) -> pd.DataFrame:
    r"""Logistic regression by maximum likelihood, as a table: log-odds per unit, odds ratios, intervals.

    .. math:: \log\frac{P(y=1)}{P(y=0)} = \beta_0 + \sum_j \beta_j x_j, \qquad
        \mathrm{OR}_j(s) = e^{s \beta_j}, \qquad e^{s(\beta_j \pm z\,\mathrm{se}_j)}

    Parameters
    ----------
    X : DataFrame or array (n, p); a category becomes one 0/1 column for each level but its first
    y : (n,) of 0 and 1
    per : mapping from a column to the step ``s`` its odds ratio is for ("10 keur"); 1 where not given
    level : float, coverage of the intervals

    Returns
    -------
    DataFrame
        One row per column of the design, ``"intercept"`` first: ``coefficient``, ``std_error`` (log-odds per unit), ``step``,
        ``odds_ratio``, ``lower``, ``upper`` (factor on the odds for that step).

    Raises
    ------
    TypeError, ValueError
        If an argument is unusable, columns repeat each other, or some columns separate the two classes perfectly.

    Notes
    -----
    Newton's method; standard errors from the inverse of the observed information (Wald intervals), right for large samples and
    when the log-odds are linear. "All else equal" is part of every line. Taught in chapter 1.

    Examples
    --------
    >>> X, y = np.repeat([[0.0], [1.0]], 50, axis=0), np.repeat([1, 0, 1, 0], [10, 40, 25, 25])
    >>> log_odds_table(X, y)["odds_ratio"].round(3).tolist()  # 10 : 40, then four times that
    [0.25, 4.0]
    """
    Z = design_matrix(check.table(X, min_rows=2))
    labels = _labels(y, len(Z))
    steps = _steps(per, Z)
    check.number(level, "level", low=0, high=1, open_low=True, open_high=True)
    for j in range(Z.shape[1]):
        check.varying(Z, j, "X: column")
    beta, covariance = _maximum_likelihood(Z, labels)
    std_error = np.sqrt(np.diag(covariance))
    half = norm.ppf(0.5 + level / 2) * std_error
    bounds = {"odds_ratio": beta, "lower": beta - half, "upper": beta + half}
    table = pd.DataFrame({"coefficient": beta, "std_error": std_error, "step": steps}, index=["intercept", *Z.columns])
    return table.assign(**{name: np.exp(steps * value) for name, value in bounds.items()})


def design_matrix(X: Any) -> pd.DataFrame:
    """The table as numbers: a number stays, a category becomes one 0/1 column ``name=level`` for each level but its first.

    Parameters
    ----------
    X : DataFrame or array (n, p) without missing values; levels of a categorical column keep their order, others are sorted

    Returns
    -------
    DataFrame (n, q) of floats

    Raises
    ------
    TypeError, ValueError
        If ``X`` is no complete table.

    Notes
    -----
    The first level is the one the others are compared with. Give categorical columns, not text: then one row alone knows all
    levels. Taught in chapter 1.

    Examples
    --------
    >>> design_matrix(pd.DataFrame({"size": [1, 2], "kind": ["flat", "house"]})).columns.tolist()
    ['size', 'kind=house']
    """
    check.table(X)
    frame = _frame(X)
    columns = {}
    for name, values in frame.items():
        if check.is_numeric(values):
            columns[str(name)] = values.to_numpy(float)
        else:
            levels = pd.Categorical(values).categories
            columns |= {f"{name}={level}": (values == level).to_numpy(float) for level in levels[1:]}
    return pd.DataFrame(columns, index=frame.index)


def variance_inflation(X: Any) -> pd.Series:
    r"""Variance inflation factor of every column: how much wider its coefficient's variance is for the company it keeps.

    .. math:: \mathrm{VIF}_j = \frac{1}{1 - R_j^2} = (C^{-1})_{jj}

    with :math:`R_j^2` of column j predicted from the others by least squares, and C the correlation matrix.

    Parameters
    ----------
    X : DataFrame or array (n, p), at least three rows; categories as in :func:`design_matrix`

    Returns
    -------
    Series, one factor per column of the design: 1 for a column on its own

    Raises
    ------
    TypeError, ValueError
        If a column is constant, or columns repeat each other exactly.

    Notes
    -----
    Sees columns that share information inside the table, never one that was left out of it. Taught in chapter 1.

    Examples
    --------
    >>> variance_inflation(np.array([[1.0, 1.0], [1.0, -1.0], [-1.0, 1.0], [-1.0, -1.0]])).tolist()
    [1.0, 1.0]
    """
    check.table(X, min_rows=3)
    Z = design_matrix(X)
    for j in range(Z.shape[1]):
        check.varying(Z, j, "X: column")
    _independent(Z.to_numpy())
    return pd.Series(np.diag(np.linalg.inv(np.atleast_2d(np.corrcoef(Z.to_numpy().T)))), index=Z.columns)


def _frame(X: Any) -> pd.DataFrame:
    frame = X if isinstance(X, pd.DataFrame) else pd.DataFrame(X).infer_objects()
    return frame.set_axis(check.feature_names(X), axis=1)


def _owners(X: Any) -> list[str]:
    """For every column of the design, the column of ``X`` it comes from."""
    frame = _frame(X)
    n_columns = (1 if check.is_numeric(v) else len(pd.Categorical(v).categories) - 1 for _, v in frame.items())
    return [str(name) for name, k in zip(frame.columns, n_columns, strict=True) for _ in range(k)]


def _labels(y: Any, n: int) -> np.ndarray:
    labels = check.array(y, "y", ndim=1, length=n)
    if set(np.unique(labels)) != {0.0, 1.0}:
        raise ValueError(f"y must hold 0 and 1, and both of them, not {check.shown(np.unique(labels)[:5].tolist())}.")
    return labels


def _steps(per: Any, Z: pd.DataFrame) -> np.ndarray:
    """The step of every line's odds ratio, 1 for the intercept."""
    if per is not None and not isinstance(per, Mapping):
        raise TypeError(f"per must be a mapping from columns to steps, not {check.shown(per)}.")
    for name, step in (per or {}).items():
        check.one_of(name, "a column of per", Z.columns)
        check.number(step, f"the step of per for {name!r}", low=0, open_low=True)
    return np.array([1.0] + [(per or {}).get(name, 1.0) for name in Z.columns])


def _independent(Z: np.ndarray) -> None:
    scaled = (Z - Z.mean(axis=0)) / Z.std(axis=0)
    if np.linalg.matrix_rank(scaled) < Z.shape[1]:
        raise ValueError("X has columns that are sums of others, so no single coefficient is determined: drop one of them.")


def _maximum_likelihood(columns: pd.DataFrame, y: np.ndarray, *, max_steps: int = 50) -> tuple[np.ndarray, np.ndarray]:
    """Coefficients (intercept first) and their covariance, by Newton's method on standardised columns."""
    Z = columns.to_numpy()
    _independent(Z)
    centre, spread = Z.mean(axis=0), Z.std(axis=0)
    A = np.column_stack([np.ones(len(Z)), (Z - centre) / spread])
    beta = np.zeros(A.shape[1])
    for _ in range(max_steps):
        p = expit(A @ beta)
        information = A.T @ ((p * (1 - p))[:, None] * A)
        if np.linalg.cond(information) > 1e14:
            break
        step = np.linalg.solve(information, A.T @ (y - p))
        beta += step
        if np.abs(step).max() < 1e-10:
            back = np.diag(np.append(1.0, 1 / spread))
            back[0, 1:] = -centre / spread
            return back @ beta, back @ np.linalg.inv(information) @ back.T
    raise ValueError(
        f"X{_separating(columns, y)} tells the classes of y apart, so a coefficient grows without end: drop or penalise."
    )


def _separating(columns: pd.DataFrame, y: np.ndarray) -> str:
    """The column at fault, where one does it alone."""
    alone = [str(name) for name, z in columns.items() if _do_not_cross(z[y == 0].to_numpy(), z[y == 1].to_numpy())]
    return f": the column {alone[0]!r}" if alone else ""


def _do_not_cross(a: np.ndarray, b: np.ndarray) -> bool:
    return bool(a.max() <= b.min() or b.max() <= a.min())


# rule lists -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Condition:
    """One comparison: ``feature`` is at most, is more than, or is ``value``.

    Attributes
    ----------
    feature : name of the column
    operator : "<=", ">" or "is"
    value : a number, or a level
    """

    feature: str
    operator: str
    value: Any

    def __str__(self) -> str:
        """The condition as a person writes it."""
        return f"{self.feature} {self.operator} {self.value:g}" if self.operator != "is" else f"{self.feature} is {self.value}"

    def holds(self, X: Any) -> np.ndarray:
        """Whether the condition holds, shape (n,) of booleans."""
        return self._of(_known_columns(X, [self.feature])[self.feature])

    def _of(self, values: pd.Series) -> np.ndarray:
        if self.operator == "is":
            return (values == self.value).to_numpy(bool)
        return np.asarray(values <= self.value if self.operator == "<=" else values > self.value, dtype=bool)


@dataclass(frozen=True)
class Rule:
    """IF all conditions hold THEN the probability; no condition: everyone who is left.

    Attributes
    ----------
    conditions : none, one or two
    probability : of class 1, (positives + 1) / (rows + 2) of the training rows that came here
    n_rows, n_positive : training rows that came here, and those of class 1 among them
    """

    conditions: tuple[Condition, ...]
    probability: float
    n_rows: int
    n_positive: int

    def __str__(self) -> str:
        """One line of the list."""
        when = " and ".join(map(str, self.conditions))
        return f"{'IF ' + when + ' THEN' if when else 'ELSE'} {self.probability:.2f} ({self.n_positive} of {self.n_rows})"


@dataclass(frozen=True)
class RuleList:
    """Rules read from the top: the first one that fits a row answers for it.

    Attributes
    ----------
    rules : the last one fits every row
    feature_names : columns the list was learned from
    """

    rules: tuple[Rule, ...]
    feature_names: list[str]

    def which(self, X: Any) -> np.ndarray:
        """Number of the rule that answers for each row, shape (n,)."""
        frame = _known_columns(X, self.feature_names)
        answered = np.full(len(frame), len(self.rules) - 1)
        for k in reversed(range(len(self.rules) - 1)):
            answered[_all_hold(self.rules[k].conditions, frame)] = k
        return answered

    def predict(self, X: Any) -> np.ndarray:
        """Probability of class 1, shape (n,)."""
        return np.array([rule.probability for rule in self.rules])[self.which(X)]

    def to_frame(self) -> pd.DataFrame:
        """One row per rule: its text, probability, rows and positives."""
        rows = [(" and ".join(map(str, r.conditions)) or "else", r.probability, r.n_rows, r.n_positive) for r in self.rules]
        return pd.DataFrame(rows, columns=["when", "probability", "n_rows", "n_positive"])

    def __str__(self) -> str:
        """The whole model."""
        return "\n".join(f"{'ELSE ' if 0 < k < len(self.rules) - 1 else ''}{rule}" for k, rule in enumerate(self.rules))


def rule_list(
    X: Any, y: Any, *, max_rules: int = 4, max_conditions: int = 2, n_cuts: int = 9, min_rows: int = 50, falling: bool = False
) -> RuleList:
    r"""Learn a short list of IF-THEN rules, one at a time, each the best for the rows that are left.

    A rule sends the rows it covers one way and the rest on. The best one gains most log-likelihood,

    .. math:: G = n H(\bar y) - n_1 H(\bar y_1) - n_0 H(\bar y_0), \qquad H(p) = -p \log p - (1-p) \log(1-p)

    over *all* single conditions and, with ``max_conditions=2``, all pairs: two matrix products count every pair.

    Parameters
    ----------
    X : DataFrame or array (n, p); numbers are cut at quantiles, categories compared with one level
    y : (n,) of 0 and 1
    max_rules : int, rules before the last "else"
    max_conditions : 1 or 2
    n_cuts : int, at most that many thresholds a number
    min_rows : int, the least rows for a rule, and the least that it leaves
    falling : bool
        Most likely first: no rule's share of class 1 exceeds that of the rule before it (before smoothing).

    Returns
    -------
    RuleList

    Raises
    ------
    TypeError, ValueError
        If an argument is unusable.

    Notes
    -----
    Greedy: exact in each step, not over the whole list as in CORELS (Angelino et al. 2018), and without its certificate.
    Falling order after Wang & Rudin (2015). Taught in chapter 1.

    Examples
    --------
    >>> X = pd.DataFrame({"defaults": [0, 0, 0, 1, 1, 1]})
    >>> print(rule_list(X, [0, 0, 0, 1, 1, 1], min_rows=1, falling=True))
    IF defaults > 0 THEN 0.80 (3 of 3)
    ELSE 0.20 (0 of 3)
    """
    frame = _frame(check.table(X, min_rows=2))
    labels = _labels(y, len(frame))
    for name, value in (("max_rules", max_rules), ("n_cuts", n_cuts), ("min_rows", min_rows)):
        check.number(value, name, low=1, integer=True)
    check.number(max_conditions, "max_conditions", low=1, high=2, integer=True)
    check.flag(falling, "falling")
    conditions = _conditions(frame, n_cuts)
    holds = np.column_stack([condition._of(frame[condition.feature]) for condition in conditions])
    left, rules, highest = np.full(len(frame), True), [], 1.0
    for _ in range(max_rules):
        best = _best_pair(holds[left], labels[left], max_conditions == 2, min_rows, highest if falling else None)
        if best is None:
            break
        covered = left & holds[:, best].all(axis=1)
        rules.append(_rule([conditions[j] for j in best], labels[covered]))
        highest, left = labels[covered].mean(), left & ~covered
    return RuleList((*rules, _rule([], labels[left])), list(frame.columns))


def _conditions(frame: pd.DataFrame, n_cuts: int) -> list[Condition]:
    """Every comparison a rule may use."""
    found = []
    for name, values in frame.items():
        if check.is_numeric(values):
            cuts = grid_points(values.astype(float), n_cuts + 1)[:-1]
            found += [Condition(str(name), operator, float(cut)) for cut in cuts for operator in ("<=", ">")]
        else:
            found += [Condition(str(name), "is", level) for level in pd.unique(values.dropna())]
    return found


def _best_pair(holds: np.ndarray, y: np.ndarray, pairs: bool, min_rows: int, highest: float | None) -> list[int] | None:
    """Numbers of the one or two conditions with the largest gain, or None if no rule is allowed or gains."""
    B = holds.astype(np.float32)  # counts up to 16 million are exact
    n1, k1 = (B.T @ B).astype(float), (B.T @ (B * y[:, None].astype(np.float32))).astype(float)
    n, k = len(y), y.sum()
    p1, p0 = k1 / np.maximum(n1, 1), (k - k1) / np.maximum(n - n1, 1)
    gain = n * _entropy(k / n) - n1 * _entropy(p1) - (n - n1) * _entropy(p0)
    allowed = (n1 >= min_rows) & (n - n1 >= min_rows) & (pairs | np.eye(len(n1), dtype=bool))
    if highest is not None:
        allowed &= (p1 > p0) & (p1 <= highest)
    # a pair must be worth more than its better half alone, or the shorter rule says the same
    own = np.where(np.diag(allowed), np.diag(gain), 0.0)
    gain = np.where(allowed & (gain > np.maximum.outer(own, own) + 1e-9), gain, -np.inf)
    np.fill_diagonal(gain, np.where(np.diag(allowed), own, -np.inf))
    a, b = np.unravel_index(gain.argmax(), gain.shape)
    if gain[a, b] <= 1e-9:
        return None
    return [int(a)] if a == b else sorted([int(a), int(b)])


def _entropy(p: Any) -> Any:
    return -xlogy(p, p) - xlogy(1 - p, 1 - p)


def _rule(conditions: list[Condition], y: np.ndarray) -> Rule:
    return Rule(tuple(conditions), float((y.sum() + 1) / (len(y) + 2)), len(y), int(y.sum()))


def _all_hold(conditions: Sequence[Condition], frame: pd.DataFrame) -> np.ndarray:
    return np.all([condition._of(frame[condition.feature]) for condition in conditions], axis=0)


# additive models ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Term:
    """One part of an additive model: a score for every bin of one feature, or of a pair.

    Attributes
    ----------
    features : one or two column numbers
    cuts : for each feature, increasing cuts (a value on a cut belongs to the bin above) or level -> bin
    scores : (bins,) or (bins1, bins2), in units of the score; the first bin is for missing values, the last for unseen levels
    weights : like ``scores``, training rows in each bin
    """

    features: tuple[int, ...]
    cuts: tuple[Cuts, ...]
    scores: np.ndarray
    weights: np.ndarray


@dataclass(frozen=True, eq=False)
class AdditiveModel:
    """An intercept, curves of single features and tables of pairs; their sum is the model.

    Attributes
    ----------
    intercept : float
    terms : the parts
    feature_names : columns of the tables it takes
    link : "logit", when the score is the log-odds of class 1, or "identity"
    """

    intercept: float
    terms: tuple[Term, ...]
    feature_names: list[str]
    link: str

    @property
    def term_names(self) -> list[str]:
        """Name of the feature, or of the pair, of every term."""
        return [" x ".join(self.feature_names[j] for j in term.features) for term in self.terms]

    def contributions(self, X: Any) -> Attribution:
        """What every term adds to the score of each row: ``values`` (n, terms), base value the intercept. Exact."""
        frame = _known_columns(X, self.feature_names)
        values = np.column_stack([np.zeros((len(frame), 0)), *[_looked_up(term, frame) for term in self.terms]])
        score = self.intercept + values.sum(axis=1)
        return Attribution(values, self.intercept, score, self.term_names, X, f"terms of an additive model, {self.link}")

    def score(self, X: Any) -> np.ndarray:
        """Intercept plus all terms, shape (n,): the log-odds of class 1, or the predicted value."""
        frame = _known_columns(X, self.feature_names)
        return self.intercept + sum((_looked_up(term, frame) for term in self.terms), np.zeros(len(frame)))

    def predict(self, X: Any) -> np.ndarray:
        """Probability of class 1, or the predicted value, shape (n,)."""
        return expit(self.score(X)) if self.link == "logit" else self.score(X)

    def __repr__(self) -> str:
        pairs = sum(len(term.features) == 2 for term in self.terms)
        return f"AdditiveModel({len(self.terms) - pairs} curves, {pairs} pairs; intercept {self.intercept:+.4f}; {self.link})"


def read_ebm(ebm: Any) -> AdditiveModel:
    """Read a fitted Explainable Boosting Machine as the sum it is; the machine itself is neither kept nor changed.

    Parameters
    ----------
    ebm : fitted ``ExplainableBoostingClassifier`` (two classes) or ``ExplainableBoostingRegressor`` of the package ``interpret``

    Returns
    -------
    AdditiveModel
        ``score`` equals the machine's ``decision_function`` on every row, with missing values and levels never seen too.

    Raises
    ------
    TypeError, ValueError
        If ``ebm`` is no fitted machine, has more than two classes, terms of three features, or a link of another kind.

    Notes
    -----
    Reads the attributes ``intercept_``, ``term_features_``, ``term_scores_``, ``bin_weights_``, ``bins_``,
    ``feature_names_in_`` and ``link_``. Nori, Jenkins, Koch & Caruana (2019); Lou, Caruana, Gehrke & Hooker (2013). Taught in
    chapter 1.
    """
    wanted = ("intercept_", "term_features_", "term_scores_", "bin_weights_", "bins_", "feature_names_in_", "link_")
    missing = [name for name in wanted if not hasattr(ebm, name)]
    if missing:
        kind = type(ebm).__name__
        raise TypeError(
            f"ebm must be a fitted Explainable Boosting Machine, but this {kind} has no {missing[0]}: call fit first."
        )
    if ebm.link_ not in LINKS or np.size(ebm.intercept_) != 1:
        raise ValueError(f"ebm must have one score per row, a probability of two classes or a value, not the link {ebm.link_!r}.")
    if max(map(len, ebm.term_features_)) > 2:
        raise ValueError("ebm must have terms of one or two features: larger ones cannot be drawn, so fit it without them.")
    parts = zip(ebm.term_features_, ebm.term_scores_, ebm.bin_weights_, strict=True)
    terms = tuple(
        Term(
            tuple(features), tuple(_ebm_cuts(ebm.bins_[j], len(features)) for j in features), np.array(scores), np.array(weights)
        )
        for features, scores, weights in parts
    )
    return AdditiveModel(float(np.ravel(ebm.intercept_)[0]), terms, [str(name) for name in ebm.feature_names_in_], ebm.link_)


def _ebm_cuts(bins: list[Any], order: int) -> Cuts:
    """A machine keeps bins for single terms first, and coarser ones for pairs if they differ."""
    cuts = bins[min(order, len(bins)) - 1]
    return dict(cuts) if isinstance(cuts, Mapping) else np.array(cuts, dtype=float)


def fit_additive(
    X: Any, y: Any, *, link: str = "logit", n_rounds: int = 60, learning_rate: float = 0.1, max_bins: int = 16, ridge: float = 5.0
) -> AdditiveModel:
    r"""An additive model by cyclic boosting of binned curves: round after round, each feature in turn repairs a little.

    .. math:: f_j(b) \mathrel{+}= \eta \frac{\sum_{i: x_{ij} \in b} (y_i - p_i)}{\sum_{i: x_{ij} \in b} p_i (1 - p_i) + \lambda}

    Parameters
    ----------
    X : DataFrame or array (n, p), without missing values
    y : (n,) of 0 and 1, or of values with ``link="identity"`` (where the lower sum counts rows)
    link : {"logit", "identity"}
    n_rounds : int, rounds over all features
    learning_rate : float in (0, 1], the :math:`\eta`
    max_bins : int, at most that many bins of a number, cut at quantiles; a category has one per level
    ridge : float, :math:`\lambda`, pulls thinly populated bins towards zero

    Returns
    -------
    AdditiveModel
        Every curve has mean zero over the training rows.

    Raises
    ------
    TypeError, ValueError
        If an argument is unusable.

    Notes
    -----
    The core of an Explainable Boosting Machine without its bags, trees, early stopping and pairs. With many rounds and no ridge
    it converges to the maximum-likelihood fit of one number per bin. Taught in chapter 1.

    Examples
    --------
    >>> X, y = np.array([[0, 0], [0, 1], [1, 0], [1, 1]]), [0.0, 1.0, 2.0, 3.0]
    >>> fit_additive(X, y, link="identity", n_rounds=500, ridge=0.0).score(X).round(6)
    array([0., 1., 2., 3.])
    """
    frame = _frame(check.table(X, min_rows=2))
    check.one_of(link, "link", LINKS)
    target = _labels(y, len(frame)) if link == "logit" else check.array(y, "y", ndim=1, length=len(frame))
    check.number(n_rounds, "n_rounds", low=1, integer=True)
    check.number(learning_rate, "learning_rate", low=0, high=1, open_low=True)
    check.number(max_bins, "max_bins", low=2, integer=True)
    check.number(ridge, "ridge", low=0)
    cuts = [_learned_cuts(frame.iloc[:, j], max_bins) for j in range(frame.shape[1])]
    sizes = [len(c) + (2 if isinstance(c, Mapping) else 3) for c in cuts]
    bins = [_bin(frame.iloc[:, j], c, size) for j, (c, size) in enumerate(zip(cuts, sizes, strict=True))]
    mean = target.mean()
    intercept = float(np.log(mean / (1 - mean)) if link == "logit" else mean)
    scores = _boosted(bins, sizes, target, intercept, link, n_rounds, learning_rate, ridge)
    terms = []
    for j, (b, f) in enumerate(zip(bins, scores, strict=True)):
        weights = np.bincount(b, minlength=len(f)).astype(float)
        level = np.average(f, weights=weights)
        f[weights > 0] -= level
        intercept += float(level)
        terms.append(Term((j,), (cuts[j],), f, weights))
    return AdditiveModel(intercept, tuple(terms), list(frame.columns), link)


def _boosted(
    bins: list[np.ndarray],
    sizes: list[int],
    y: np.ndarray,
    intercept: float,
    link: str,
    n_rounds: int,
    learning_rate: float,
    ridge: float,
) -> list[np.ndarray]:
    """The curves, one score per bin; an empty bin stays at zero."""
    scores, total = [np.zeros(size) for size in sizes], np.full(len(y), intercept)
    for _ in range(n_rounds):
        for b, f in zip(bins, scores, strict=True):
            p = expit(total) if link == "logit" else total
            curvature = p * (1 - p) if link == "logit" else np.ones(len(y))
            down = np.bincount(b, curvature, len(f)) + ridge
            up = np.bincount(b, y - p, len(f))
            step = learning_rate * np.divide(up, down, out=np.zeros(len(f)), where=down > 0)
            f += step
            total += step[b]
    return scores


def _learned_cuts(values: pd.Series, max_bins: int) -> Cuts:
    """One bin per level or distinct number while they fit, otherwise bins of about equally many rows."""
    if not check.is_numeric(values):
        return {str(level): k + 1 for k, level in enumerate(pd.Categorical(values).categories)}
    distinct = np.unique(values.to_numpy(float))
    if len(distinct) <= max_bins:
        return (distinct[:-1] + distinct[1:]) / 2
    return grid_points(values.astype(float), max_bins)[1:-1]


# reading and editing --------------------------------------------------------------------------------------------------


def shape_functions(model: AdditiveModel, X: Any) -> dict[str, Effect]:
    r"""The curves and tables of an additive model at the values that occur, each with mean zero over the rows.

    .. math:: f_j(z) - \frac{1}{n} \sum_i f_j(x_{ij})

    Parameters
    ----------
    model : AdditiveModel, from :func:`read_ebm` or :func:`fit_additive`
    X : table with the model's columns; the rows to centre over

    Returns
    -------
    dict from the term's name to Effect
        ``grid``: the distinct values of the column in increasing order, or its levels; at most 41 quantiles each for a pair.
        ``values`` in units of the score; ``details["level"]`` is the mean that was taken away.

    Raises
    ------
    TypeError, ValueError
        If ``model`` is none, or ``X`` lacks one of its columns.

    Notes
    -----
    Nothing is estimated: these numbers are the model. What they say of the world is another matter. Taught in chapter 1.

    Examples
    --------
    >>> X = pd.DataFrame({"a": [0.0, 0.0, 1.0, 1.0]})
    >>> model = fit_additive(X, [1.0, 1.0, 5.0, 5.0], link="identity", n_rounds=300, ridge=0.0)
    >>> shape_functions(model, X)["a"].values.round(6)
    array([-2.,  2.])
    """
    check.instance(model, AdditiveModel, "model")
    frame = _known_columns(X, model.feature_names)
    return {name: _shape(term, model, frame) for name, term in zip(model.term_names, model.terms, strict=True)}


def _shape(term: Term, model: AdditiveModel, frame: pd.DataFrame) -> Effect:
    names = [model.feature_names[j] for j in term.features]
    data = [frame[name].dropna().to_numpy() for name in names]
    grid = [_grid(frame[name], cuts, len(names)) for name, cuts in zip(names, term.cuts, strict=True)]
    bins = [_bin(pd.Series(g), c, size) for g, c, size in zip(grid, term.cuts, term.scores.shape, strict=True)]
    level = _looked_up(term, frame).mean()
    method = f"shape, centred over {len(frame)} rows"
    return Effect(names, grid, term.scores[np.ix_(*bins)] - level, method, data=data, details={"level": float(level)})


def _grid(values: pd.Series, cuts: Cuts, n_features: int) -> np.ndarray:
    """The values to show: all of a single feature, at most 41 of a number in a pair."""
    known = values.dropna()
    if isinstance(cuts, Mapping):
        present = set(known)
        return np.asarray([level for level in pd.Categorical(known).categories if level in present], dtype=object)
    return np.unique(known.to_numpy(float)) if n_features == 1 else grid_points(known.to_numpy(float), 40)


@dataclass(frozen=True, eq=False)
class Purified:
    """A table taken apart: ``table[a, b] = pure[a, b] + first[a] + second[b] + constant``.

    Attributes
    ----------
    pure : (k1, k2), the interaction: every row and every column has weighted mean zero
    first, second : (k1,) and (k2,), the main effects, weighted mean zero
    constant : float, the weighted mean of the table
    """

    pure: np.ndarray
    first: np.ndarray
    second: np.ndarray
    constant: float


def purify(table: Any, weights: Any, *, tolerance: float = 1e-12, max_passes: int = 100_000) -> Purified:
    r"""Move what a table of two features says about one of them alone out of it, under the weights of its cells.

    Row means go to the first main effect, column means to the second, again and again until nothing is left to move:

    .. math:: m_a = \frac{\sum_b w_{ab} T_{ab}}{\sum_b w_{ab}}, \qquad T_{ab} \leftarrow T_{ab} - m_a,
        \qquad f_1(a) \leftarrow f_1(a) + m_a

    Parameters
    ----------
    table : (k1, k2) numbers
    weights : (k1, k2), not negative, such as rows per cell; a row or column without any weight keeps its values
    tolerance : float, the largest mean that may stay, as a share of the largest entry
    max_passes : int

    Returns
    -------
    Purified

    Raises
    ------
    TypeError, ValueError
        If shapes differ, a weight is negative, all are zero, or the passes do not suffice.

    Notes
    -----
    Lengerich, Tan, Chang, Hooker & Caruana (2020), algorithm 1. The result does not depend on the order of the moves: it is the
    weighted two-way analysis of variance. Other weights give another interaction. Taught in chapter 1.

    Examples
    --------
    >>> purify([[0.0, 0.0], [0.0, 4.0]], np.ones((2, 2))).pure
    array([[ 1., -1.],
           [-1.,  1.]])
    """
    pure, w = check.array(table, "table", ndim=2).copy(), check.array(weights, "weights", ndim=2)
    if pure.shape != w.shape:
        raise ValueError(f"weights must have the shape of the table, {pure.shape}, not {w.shape}.")
    if (w < 0).any() or w.sum() == 0:
        raise ValueError("weights must not be negative, and at least one must be above zero.")
    check.number(tolerance, "tolerance", low=0, open_low=True)
    check.number(max_passes, "max_passes", low=1, integer=True)
    first, second = np.zeros(pure.shape[0]), np.zeros(pure.shape[1])
    small = tolerance * max(np.abs(pure).max(), np.finfo(float).tiny)
    for _ in range(max_passes):
        rows = _weighted_means(pure, w, axis=1)
        pure -= rows[:, None]
        first += rows
        columns = _weighted_means(pure, w, axis=0)
        pure -= columns
        second += columns
        if np.abs(columns).max() <= small:
            return _centred(pure, first, second, w)
    raise ValueError(f"max_passes of {max_passes} moves were too few: the weights hardly connect the cells, so raise tolerance.")


def _weighted_means(table: np.ndarray, w: np.ndarray, axis: int) -> np.ndarray:
    total = w.sum(axis=axis)
    return np.divide((w * table).sum(axis=axis), total, out=np.zeros_like(total), where=total > 0)


def _centred(pure: np.ndarray, first: np.ndarray, second: np.ndarray, w: np.ndarray) -> Purified:
    """Means of the main effects go to the constant; an effect without weight stays out of it."""
    on_first, on_second = w.sum(axis=1), w.sum(axis=0)
    level_first, level_second = np.average(first, weights=on_first), np.average(second, weights=on_second)
    first, second = first - level_first * (on_first > 0), second - level_second * (on_second > 0)
    constant = level_first + level_second
    # a cell outside the weighted rows or columns did not give its share of the means away
    pure = pure - level_first * (on_first == 0)[:, None] - level_second * (on_second == 0)
    return Purified(pure, first, second, float(constant))


def purified(model: AdditiveModel, X: Any) -> AdditiveModel:
    """The same model, told without ambiguity: pairs hold interaction only, curves have mean zero, under the rows given.

    Parameters
    ----------
    model : AdditiveModel
    X : table with the model's columns; its rows are the weights

    Returns
    -------
    AdditiveModel
        With the same score on every row whatsoever. A curve that takes a share from a pair is cut where either was.

    Raises
    ------
    TypeError, ValueError
        If ``model`` is none, or ``X`` lacks one of its columns.

    Notes
    -----
    :func:`purify` for each pair, then centring. Pairs that share a feature are purified one by one. Taught in chapter 1.
    """
    check.instance(model, AdditiveModel, "model")
    frame = _known_columns(X, model.feature_names)
    curves = {term.features[0]: term for term in model.terms if len(term.features) == 1}
    pairs, intercept = [], model.intercept
    for term in (term for term in model.terms if len(term.features) == 2):
        parts = purify(term.scores, _counts(term, frame))
        pairs.append(replace(term, scores=parts.pure, weights=_counts(term, frame)))
        intercept += parts.constant
        for j, cuts, share in zip(term.features, term.cuts, (parts.first, parts.second), strict=True):
            addition = Term((j,), (cuts,), share, np.zeros(len(share)))
            curves[j] = _sum_of_curves(curves[j], addition) if j in curves else addition
    centred = []
    for term in (curves[j] for j in sorted(curves)):
        level = _looked_up(term, frame).mean()
        centred.append(replace(term, scores=term.scores - level, weights=_counts(term, frame)))
        intercept += float(level)
    return replace(model, intercept=float(intercept), terms=(*centred, *pairs))


def _counts(term: Term, frame: pd.DataFrame) -> np.ndarray:
    """Rows in each bin or cell."""
    flat = np.ravel_multi_index(_bins(term, frame), term.scores.shape)
    return np.bincount(flat, minlength=term.scores.size).reshape(term.scores.shape).astype(float)


def _sum_of_curves(a: Term, b: Term) -> Term:
    """One curve for two of the same feature, cut where either is."""
    mine, other = a.cuts[0], b.cuts[0]
    cuts: Cuts
    if isinstance(mine, Mapping) and isinstance(other, Mapping):
        levels = list(dict.fromkeys([*mine, *other]))
        cuts, places = {level: k + 1 for k, level in enumerate(levels)}, pd.Series(levels, dtype=object)
    else:
        cuts = np.union1d(np.asarray(mine), np.asarray(other))
        places = pd.Series(np.concatenate([[-np.inf], cuts]))  # the lower end of each new bin belongs to it
    inner = sum(t.scores[_bin(places, t.cuts[0], len(t.scores))] for t in (a, b))
    ends = [t.scores[[0, -1]] for t in (a, b)]
    scores = np.concatenate([[ends[0][0] + ends[1][0]], inner, [ends[0][1] + ends[1][1]]])
    return Term(a.features, (cuts,), scores, np.zeros(len(scores)))


def edit_shape(
    model: AdditiveModel,
    feature: Any,
    where: Any = None,
    *,
    add: float = 0.0,
    flatten: bool = False,
    monotone: str | None = None,
) -> AdditiveModel:
    r"""A new model in which one curve was changed by hand; the old one stays as it was.

    Parameters
    ----------
    model : AdditiveModel
    feature : name or column number of a feature that has a curve
    where : None for the whole curve, (low, high) for every bin of a number which that closed range touches, or a list of levels
    add : float, units of the score, added there
    flatten : bool, every bin there gets their mean, weighted by training rows
    monotone : {"increasing", "decreasing"} or None, the nearest curve there, in weighted squares, that never turns back

    Returns
    -------
    AdditiveModel
        Flattened first, then made monotone, then shifted.

    Raises
    ------
    TypeError, ValueError
        If an argument is unusable, the feature has no curve, or a category is to be made monotone.

    Notes
    -----
    Pairs that hold the feature are left alone: a monotone curve is a monotone model only without them. Monotone curves by
    pooling adjacent violators (isotonic regression). Taught in chapter 1.

    Examples
    --------
    >>> X = pd.DataFrame({"a": [0.0, 1.0, 2.0]})
    >>> model = fit_additive(X, [0.0, 3.0, 1.0], link="identity", n_rounds=300, ridge=0.0)
    >>> edit_shape(model, "a", monotone="increasing").score(X).round(6)
    array([0., 2., 2.])
    """
    check.instance(model, AdditiveModel, "model")
    j = check.column(pd.DataFrame(columns=model.feature_names), feature)
    places = [t for t, term in enumerate(model.terms) if term.features == (j,)]
    if not places:
        raise ValueError(f"feature {check.shown(feature)} has no curve of its own in this model; these have: {_curves(model)}.")
    check.number(add, "add")
    check.flag(flatten, "flatten")
    if monotone is not None:
        check.one_of(monotone, "monotone", DIRECTIONS)
    term = model.terms[places[0]]
    if monotone and isinstance(term.cuts[0], Mapping):
        raise ValueError(f"monotone needs the curve of a number, but {check.shown(feature)} is a category without an order.")
    chosen = _chosen_bins(term, where)
    scores, weights = term.scores.copy(), np.maximum(term.weights, 1e-9)
    if flatten:
        scores[chosen] = np.average(scores[chosen], weights=weights[chosen])
    if monotone:
        fit = IsotonicRegression(increasing=monotone == "increasing")
        scores[chosen] = fit.fit_transform(np.arange(len(chosen)), scores[chosen], sample_weight=weights[chosen])
    scores[chosen] += add
    terms = list(model.terms)
    terms[places[0]] = replace(term, scores=scores)
    return replace(model, terms=tuple(terms))


def _curves(model: AdditiveModel) -> str:
    return check.listed(name for name, term in zip(model.term_names, model.terms, strict=True) if len(term.features) == 1)


def _chosen_bins(term: Term, where: Any) -> np.ndarray:
    """Numbers of the bins to change, in order; the bins for missing values and unseen levels are never among them."""
    cuts = term.cuts[0]
    if where is None:
        return np.arange(1, len(term.scores) - 1)
    if not isinstance(where, Sequence | np.ndarray) or isinstance(where, str) or len(where) == 0:
        raise TypeError(f"where must be None, a pair (low, high) or a list of levels, not {check.shown(where)}.")
    if isinstance(cuts, Mapping):
        unknown = [level for level in where if str(level) not in cuts]
        if unknown:
            raise ValueError(
                f"where holds the level {check.shown(unknown[0])}, which is unknown; there are {check.listed(cuts)}."
            )
        return np.unique([cuts[str(level)] for level in where])
    ends = check.array(where, "where", ndim=1)
    if len(ends) != 2 or ends[0] > ends[1]:
        raise ValueError(f"where must be a pair (low, high) with low <= high for a number, not {check.shown(where)}.")
    low, high = np.searchsorted(np.asarray(cuts), ends, side="right") + 1
    return np.arange(low, high + 1)


# looking up -----------------------------------------------------------------------------------------------------------


def _known_columns(X: Any, names: list[str]) -> pd.DataFrame:
    """The table as a frame with the model's columns; missing values are welcome."""
    if not isinstance(X, pd.DataFrame | np.ndarray):
        raise TypeError(f"X must be a DataFrame or a 2-D array, not {type(X).__name__}: wrap it in numpy.asarray.")
    if X.ndim != 2 or len(X) == 0:
        raise ValueError(f"X must have two dimensions (rows, features) and at least one row, but its shape is {X.shape}.")
    if isinstance(X, np.ndarray):
        if X.shape[1] != len(names):
            raise ValueError(f"X must have the {len(names)} columns the model was fitted on, but its shape is {X.shape}.")
        return pd.DataFrame(X, columns=names)
    frame = X.set_axis([str(column) for column in X.columns], axis=1)
    lacking = [name for name in names if name not in frame.columns]
    if lacking:
        raise ValueError(f"X lacks the column {lacking[0]!r} of the model; it has {check.listed(frame.columns)}.")
    if not frame.columns.is_unique:
        raise ValueError(f"X has two columns named {frame.columns[frame.columns.duplicated()][0]!r}: rename one of them.")
    return frame[names]


def _looked_up(term: Term, frame: pd.DataFrame) -> np.ndarray:
    return term.scores[_bins(term, frame)]


def _bins(term: Term, frame: pd.DataFrame) -> tuple[np.ndarray, ...]:
    parts = zip(term.features, term.cuts, term.scores.shape, strict=True)
    return tuple(_bin(frame.iloc[:, j], cuts, size) for j, cuts, size in parts)


def _bin(values: pd.Series, cuts: Cuts, size: int) -> np.ndarray:
    """Bin of each value: 0 is missing, ``size - 1`` unseen (a level never met, or text where a number is due)."""
    if isinstance(cuts, Mapping):
        levels = pd.Categorical(values)
        of_level = [cuts.get(_level_name(level), size - 1) for level in levels.categories]
        return np.array([*of_level, 0])[levels.codes]  # code -1, missing, is the last entry
    numbers = pd.to_numeric(values, errors="coerce").to_numpy(float, na_value=np.nan)
    bins = np.searchsorted(cuts, numbers, side="right") + 1
    unknown = np.isnan(numbers)
    if unknown.any():
        bins[unknown] = np.where(values.isna()[unknown], 0, size - 1)
    return bins


def _level_name(level: Any) -> str:
    """A level as text; a whole number is the same level as a float (a missing value turns a column into floats)."""
    return str(int(level)) if isinstance(level, float | np.floating) and level.is_integer() else str(level)
