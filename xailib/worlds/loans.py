"""The world ``loans``: who repays a loan, by a rule we wrote down.

Everything planted stands in the tables at the top of this file; the data card and the truth are made from them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import pandas as pd
from scipy.special import expit

from xailib import _validation as check
from xailib.results import Attribution
from xailib.worlds._tabular import ProductSum, Shape, category, check_grid, curve, levels, product_text
from xailib.worlds._world import World

#: what each column is, its unit and its precision
COLUMNS = {
    "age_years": "age, whole years from 21 to 75",
    "annual_income_keur": "income per year in 1,000 euro, one decimal; log-normal with median 42 keur",
    "credit_age_years": "years since the first account, one decimal; never more than age minus 18",
    "prior_defaults": "loans not repaid before, a count",
    "open_loans": "other loans still running, a count",
    "debt_to_income": "yearly debt service divided by income, two decimals; rises with open_loans",
    "loan_amount_keur": "amount asked for in 1,000 euro, one decimal; rises with income",
    "height_cm": "height in whole centimetres",
    "height_in": "the same height in inches, one decimal",
    "employment": "permanent, fixed-term, self-employed or civil servant",
    "region": "north, south, east or west; a proxy of the protected group",
    "favourite_colour": "one of six colours; noise",
    "on_fraud_list": "1 for about 0.5 % of the rows, else 0",
    "customer_number": "six digits, unique; noise",
}
CATEGORIES = {
    "employment": ("permanent", "fixed-term", "self-employed", "civil servant"),
    "region": ("north", "south", "east", "west"),
    "favourite_colour": ("red", "orange", "yellow", "green", "blue", "violet"),
}
EMPLOYMENT_SHARE = (0.62, 0.18, 0.14, 0.06)
#: share of applicants in the protected group B, and where the two groups live (north, south, east, west)
GROUP_B_SHARE = 0.35
REGION_SHARE = {"A": (0.40, 0.30, 0.18, 0.12), "B": (0.08, 0.17, 0.35, 0.40)}
FRAUD_SHARE = 0.005

#: the planted log-odds of default: intercept, one function per feature, products of functions
INTERCEPT = -2.2
SHAPES = {
    "age_years": curve("0.5 * ((x - 48) / 16)**2", lambda x: 0.5 * ((x - 48) / 16) ** 2),
    "annual_income_keur": curve("-0.9 * log2(x / 42)", lambda x: -0.9 * np.log2(x / 42)),
    "credit_age_years": curve("-1.2 * (1 - exp(-x / 6))", lambda x: -1.2 * (1 - np.exp(-x / 6))),
    "prior_defaults": curve("0.8 * minimum(x, 3)", lambda x: 0.8 * np.minimum(x, 3)),
    "open_loans": curve("0.3 * maximum(x - 2, 0)", lambda x: 0.3 * np.maximum(x - 2, 0)),
    "debt_to_income": curve("1.5 * expit((x - 0.45) / 0.05)", lambda x: 1.5 * expit((x - 0.45) / 0.05)),
    "loan_amount_keur": curve("0.025 * (x - 15)", lambda x: 0.025 * (x - 15)),
    "height_cm": curve("-0.015 * (x - 172)", lambda x: -0.015 * (x - 172)),
    "height_in": curve("-0.015 * (2.54 * x - 172)", lambda x: -0.015 * (2.54 * x - 172)),
    "employment": levels({"permanent": 0.0, "fixed-term": 0.4, "self-employed": 0.6, "civil servant": -0.5}),
    "region": levels({"north": 0.0, "south": 0.0, "east": 0.5, "west": 0.9}),
    "on_fraud_list": curve("4.0 * x", lambda x: 4.0 * x),
}
INTERACTION = {
    "prior_defaults": curve("0.7 * minimum(x, 3)", lambda x: 0.7 * np.minimum(x, 3)),
    "annual_income_keur": curve("expit((35 - x) / 4)", lambda x: expit((35 - x) / 4)),
}
THIRD_ORDER = {
    "age_years": curve("2.5 * tanh((x - 42) / 6)", lambda x: 2.5 * np.tanh((x - 42) / 6)),
    "debt_to_income": curve("tanh((x - 0.33) / 0.08)", lambda x: np.tanh((x - 0.33) / 0.08)),
    "loan_amount_keur": curve("tanh(log2(x / 12.5))", lambda x: np.tanh(np.log2(x / 12.5))),
}


def loans(n: int = 6000, *, third_order: bool = False, random_state: Any = 0) -> World[LoansTruth]:
    r"""Loan applicants, and whether they defaulted (``y = 1``) by a published rule.

    .. math:: \log\frac{P(y=1)}{P(y=0)} = c + \sum_j f_j(x_j) + u_1(\text{prior defaults})\,u_2(\text{income})

    Parameters
    ----------
    n : int, rows, 60 to 500,000; the first two thirds are for training
    third_order : bool
        Add a product of three functions (age, debt to income, loan amount), where additive models must lose.
    random_state : int, Generator or None

    Returns
    -------
    World
        ``X`` (n, 14) DataFrame, ``y`` (n,) of 0 and 1, ``truth`` a :class:`LoansTruth`.

    Raises
    ------
    TypeError, ValueError
        If an argument is out of its range.

    Notes
    -----
    The running example of chapters 0, 1, 2, 4, 5, 6 and 7. The story: the bank denies a loan when default is more likely than
    not. Columns are rounded before the outcome is drawn, so the rule holds exactly for the numbers in the table.

    Examples
    --------
    >>> world = loans()
    >>> world.X.shape, sorted(world.truth.irrelevant)
    ((6000, 14), ['customer_number', 'favourite_colour'])
    """
    check.number(n, "n", low=60, high=500_000, integer=True)
    check.one_of(third_order, "third_order", [False, True])
    rng = check.random_generator(random_state)
    X, group = _applicants(n, rng)
    formula = _formula(third_order)
    y = (rng.random(n) < expit(formula(X))).astype(int)
    n_train = 2 * n // 3
    truth = LoansTruth(formula, X[:n_train], group, third_order)
    return World("loans-third-order" if third_order else "loans", X, y, truth, _card(truth, y), n_train)


@dataclass(frozen=True, eq=False)
class LoansTruth:
    """The mechanism behind ``loans``: the function, its parts, and what a right explanation of it would say.

    Attributes
    ----------
    formula : the log-odds of default as a sum of products
    background : DataFrame, the training rows; averages run over them unless you pass your own
    group : (n,) "A" or "B", the protected group of every row of the world; no column holds it and the rule does not read it
    third_order : bool, whether the three-way term is part of the rule
    scale, estimand : str, units of ``predict`` and what the stated explanations are
    """

    formula: ProductSum
    background: pd.DataFrame
    group: np.ndarray
    third_order: bool
    scale: str = "probability of default"
    estimand: str = (
        "Shapley values and partial dependence of the planted log-odds of default, marginal (interventional): "
        "unknown features are drawn jointly from the background rows, independently of the known ones"
    )

    def predict(self, X: pd.DataFrame) -> np.ndarray:
        """The oracle: true probability of default, shape (n,)."""
        return expit(self.log_odds(X))

    def log_odds(self, X: pd.DataFrame) -> np.ndarray:
        """True log-odds of default, shape (n,)."""
        return self.formula(X)

    @property
    def shapes(self) -> Mapping[str, Shape]:
        """The planted function of every relevant feature, uncentred: ``shapes["age_years"]([30, 40])`` in log-odds."""
        return self.formula.shapes

    def centred_shape(self, feature: str, values: Any) -> np.ndarray:
        """The planted function of one feature, minus its mean over the background; zero for irrelevant features."""
        check.one_of(feature, "feature", self.formula.features)
        check_grid(values, "values")
        if feature in self.irrelevant:
            return np.zeros(len(values))
        shape = self.shapes[feature]
        return shape(values) - shape(self.background[feature]).mean()

    def interaction(self, prior_defaults: Any, annual_income_keur: Any) -> np.ndarray:
        """The planted interaction in log-odds: a past default weighs more for those who earn little."""
        defaults, income = check.array(prior_defaults, "prior_defaults"), check.array(annual_income_keur, "annual_income_keur")
        check.fit_together(prior_defaults=defaults, annual_income_keur=income)
        return INTERACTION["prior_defaults"](defaults) * INTERACTION["annual_income_keur"](income)

    @property
    def relevant(self) -> frozenset[str]:
        """Features the rule reads."""
        return self.formula.relevant

    @property
    def irrelevant(self) -> frozenset[str]:
        """Features the rule does not read."""
        return frozenset(self.formula.features) - self.relevant

    @property
    def bayes_accuracy(self) -> float:
        """Accuracy nobody can beat: mean of max(p, 1 - p) over 200,000 fresh applicants, right to about 0.001."""
        return _bayes_accuracy(self.third_order)

    def shapley(self, X: pd.DataFrame, background: pd.DataFrame | None = None) -> Attribution:
        r"""Exact Shapley values of the log-odds on a background.

        For a feature with its own function only, :math:`\phi_j = f_j(x_j) - \overline{f_j}`; a product adds to each of its
        features the shares of the game among them (two features: half of each of the two orders). The two heights each have half
        of the effect of height in the rule, so each gets half of the credit.

        Parameters
        ----------
        X : DataFrame (n, 14), rows to explain
        background : DataFrame, optional
            Rows over which unknown features are averaged; the world's own ``background`` if not given.

        Returns
        -------
        Attribution
            ``values`` (n, 14) in log-odds.

        Raises
        ------
        TypeError, ValueError
            If ``X`` or ``background`` is no DataFrame, lacks a column or has missing values.

        Notes
        -----
        Marginal (interventional) estimand. Taught in chapter 5.
        """
        return self.formula.shapley(X, self._background(background), "exact Shapley, marginal, log-odds of default")

    def pdp(self, feature: str, grid: Any, background: pd.DataFrame | None = None) -> np.ndarray:
        """Exact partial dependence of the log-odds over the background, shape (k,): the feature's share of products included."""
        return self.formula.partial_dependence(feature, grid, self._background(background))

    def _background(self, background: pd.DataFrame | None) -> pd.DataFrame:
        return self.background if background is None else background


def _formula(third_order: bool) -> ProductSum:
    terms = [{feature: shape} for feature, shape in SHAPES.items()] + [INTERACTION] + [THIRD_ORDER] * third_order
    return ProductSum(INTERCEPT, tuple(terms), tuple(COLUMNS))


def _applicants(n: int, rng: np.random.Generator) -> tuple[pd.DataFrame, np.ndarray]:
    """Draw columns and protected group; every column is rounded to its stated precision."""
    group = np.where(rng.random(n) < GROUP_B_SHARE, "B", "A")
    group.setflags(write=False)
    age = np.round(21 + 54 * rng.beta(2, 3, n))
    income = np.round(42 * np.exp(0.45 * rng.standard_normal(n)), 1)
    open_loans = rng.poisson(1.8, n)
    height_cm = np.round(rng.normal(172, 9.5, n))
    X = pd.DataFrame(
        {
            "age_years": age.astype(int),
            "annual_income_keur": income,
            "credit_age_years": np.floor(10 * (age - 18) * rng.beta(4, 3, n)) / 10,
            "prior_defaults": rng.poisson(0.65, n),
            "open_loans": open_loans,
            "debt_to_income": np.round(0.05 + 0.1 * open_loans + rng.gamma(2, 0.06, n), 2),
            "loan_amount_keur": np.round(0.3 * income * np.exp(0.5 * rng.standard_normal(n)) + 0.1, 1),
            "height_cm": height_cm.astype(int),
            "height_in": np.round(height_cm / 2.54, 1),
            "employment": category(rng.choice(4, n, p=EMPLOYMENT_SHARE), CATEGORIES["employment"]),
            "region": category(_region_code(group, rng), CATEGORIES["region"]),
            "favourite_colour": category(rng.integers(6, size=n), CATEGORIES["favourite_colour"]),
            "on_fraud_list": (rng.random(n) < FRAUD_SHARE).astype(int),
            "customer_number": 100_000 + rng.choice(900_000, n, replace=False),
        }
    )
    return X, group


def _region_code(group: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Region of each applicant given the group: where the cumulated shares pass a uniform number."""
    cumulated = np.where(group[:, None] == "B", np.cumsum(REGION_SHARE["B"]), np.cumsum(REGION_SHARE["A"]))
    return (rng.random(len(group))[:, None] > cumulated[:, :-1]).sum(axis=1)


@cache
def _bayes_accuracy(third_order: bool) -> float:
    X, _ = _applicants(200_000, np.random.default_rng(0))
    p = expit(_formula(third_order)(X))
    return float(np.maximum(p, 1 - p).mean())


def _card(truth: LoansTruth, y: np.ndarray) -> str:
    """Data card in Markdown, made from the tables above."""
    columns = "\n".join(f"| `{name}` | {text} | {_rule(name)} |" for name, text in COLUMNS.items())
    share_b = ", ".join(f"{region} {share:.0%}" for region, share in _share_of_group_b().items())
    return f"""# loans: who repays, by a rule we wrote down

Invented applicants for a bank loan. `y = 1` means that the loan **defaulted**, `y = 0` that it was repaid; the bank of the story
denies a loan when default is more likely than not. {len(y):,} rows, {y.mean():.1%} defaults; the first {len(truth.background):,}
rows are for training. Nobody beats an accuracy of {truth.bayes_accuracy:.3f}, because the outcome itself is random.

| column | what it is | effect on the log-odds of default, x being the value |
|---|---|---|
{columns}

The log-odds are {INTERCEPT:+g} plus all effects, plus products of two{" and of three" if truth.third_order else ""} features:
{product_text(truth.formula)}

**Planted facts.**
- `height_cm` and `height_in` say the same thing twice and each carries half of a small effect: taller people default less.
- `region` is a proxy of the protected group B ({GROUP_B_SHARE:.0%} of applicants, in no column, only in `truth.group`).
  Share of B by region: {share_b}. The rule never reads the group; it is biased against the regions where B lives.
- `on_fraud_list` is rare, so globally weak, and decides nearly every case in which it is 1.
- `favourite_colour` and `customer_number` do nothing. The number is unique in every row: bait for impurity importance.
- `credit_age_years` grows with `age_years`, `debt_to_income` with `open_loans`, `loan_amount_keur` with `annual_income_keur`;
  all other pairs of columns are drawn independently.

Do not learn about real credit from it. Made by `xailib.worlds.loans`; no personal data; CC BY 4.0."""


def _rule(column: str) -> str:
    return f"`{SHAPES[column].text}`" if column in SHAPES else "none"


def _share_of_group_b() -> dict[str, float]:
    """P(group B | region), by Bayes' rule."""
    b = GROUP_B_SHARE * np.array(REGION_SHARE["B"])
    a = (1 - GROUP_B_SHARE) * np.array(REGION_SHARE["A"])
    return dict(zip(CATEGORIES["region"], b / (a + b), strict=True))
