"""The world ``houses``: what a house costs, by a rule we wrote down, with a known distribution of everything else.

The columns are a Gaussian copula: correlated normal numbers pushed through the quantile function of each column. So the
population is known exactly, and with it every partial dependence and every accumulated local effect.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import pandas as pd
from scipy.special import ndtr, ndtri

from xailib import _validation as check
from xailib.results import Attribution
from xailib.worlds._tabular import ProductSum, Shape, category, check_grid, curve, levels, product_text
from xailib.worlds._world import World

#: what each column is, its unit and its precision
COLUMNS = {
    "square_metres": "living area in whole square metres; mean 110, standard deviation 22",
    "bedrooms": "number of bedrooms, 1 to 6; strongly correlated with square_metres",
    "year_built": "when it was completed, in years and tenths; mean 1960, standard deviation 15",
    "district_year": "mean of year_built over the district, one decimal; correlation 0.6 with year_built",
    "distance_to_railway_km": "distance to the next railway line, two decimals; uniform from 0 to 5 km",
    "railway": "what runs there: metro or freight, half of the houses each",
    "distance_to_centre_km": "distance to the city centre, one decimal; uniform from 0.5 to 15 km",
    "heating": "gas, district heating or heat pump",
    "house_number": "number in the street, 1 to 200; noise",
}
MEAN_AREA, SD_AREA = 110, 22
MEAN_BEDROOMS, SD_BEDROOMS, MAX_BEDROOMS = 3, 1.1, 6
MEAN_YEAR, SD_YEAR, YEAR_CORRELATION = 1960, 15, 0.6
MEAN_RAILWAY_KM = 2.5
HEATING_SHARE = {"gas": 0.5, "district": 0.3, "heat pump": 0.2}
#: standard deviation of what buyers pay beside the rule, in keur
NOISE_KEUR = 15.0

#: the planted price in keur: intercept, one function per feature, two products
INTERCEPT = 120.0
SHAPES = {
    "square_metres": curve("400 * (1 - exp(-x / 80))", lambda x: 400 * (1 - np.exp(-x / 80))),
    "bedrooms": curve("-8 * x", lambda x: -8 * x),
    "distance_to_centre_km": curve("-70 * (1 - exp(-x / 5))", lambda x: -70 * (1 - np.exp(-x / 5))),
    "heating": levels({"gas": 0.0, "district": 8.0, "heat pump": 20.0}),
}
KEUR_PER_SQUARE_YEAR = 0.1
STYLE_MATCH = {
    "year_built": curve("0.1 * (x - 1960)", lambda x: KEUR_PER_SQUARE_YEAR * (x - MEAN_YEAR)),
    "district_year": curve("x - 1960", lambda x: x - MEAN_YEAR),
}
#: mean of the product of the two years over real houses: c times their covariance
MEAN_MATCH_KEUR = KEUR_PER_SQUARE_YEAR * YEAR_CORRELATION * SD_YEAR**2
RAILWAY = {
    "distance_to_railway_km": curve("12 * (x - 2.5)", lambda x: 12 * (x - MEAN_RAILWAY_KM)),
    "railway": levels({"metro": -1.0, "freight": 1.0}),
}
#: rarer than this given its area, a number of bedrooms counts as impossible
POSSIBLE_ABOVE = 1e-4
#: what the model that is wrong off the support adds for impossibly many bedrooms, and takes away for impossibly few, in keur
WRONG_BY_KEUR = 100.0

# the quantile function of every column: uniform numbers in (0, 1) -> values
QUANTILES: dict[str, Callable[[np.ndarray], Any]] = {
    "square_metres": lambda t: np.round(MEAN_AREA + SD_AREA * ndtri(t)).astype(int),
    "bedrooms": lambda t: np.clip(np.round(MEAN_BEDROOMS + SD_BEDROOMS * ndtri(t)), 1, MAX_BEDROOMS).astype(int),
    "year_built": lambda t: np.round(MEAN_YEAR + SD_YEAR * ndtri(t), 1),
    "district_year": lambda t: np.round(MEAN_YEAR + SD_YEAR * ndtri(t), 1),
    "distance_to_railway_km": lambda t: np.round(2 * MEAN_RAILWAY_KM * t, 2),
    "railway": lambda t: category(t > 0.5, ("metro", "freight")),
    "distance_to_centre_km": lambda t: np.round(0.5 + 14.5 * t, 1),
    "heating": lambda t: category(np.searchsorted(np.cumsum(list(HEATING_SHARE.values()))[:-1], t), HEATING_SHARE),
    "house_number": lambda t: np.ceil(200 * t).astype(int),
}
EVERYONE = (np.arange(100_000) + 0.5) / 100_000


def houses(n: int = 4500, *, correlation: float = 0.9, random_state: Any = 0) -> World[HousesTruth]:
    """Houses and their prices (``y``, in 1,000 euro) by a published rule plus noise.

    Parameters
    ----------
    n : int, rows, 60 to 500,000; the first two thirds are for training
    correlation : float in [0, 0.95]
        Correlation of ``square_metres`` and ``bedrooms`` in the population.
    random_state : int, Generator or None

    Returns
    -------
    World
        ``X`` (n, 9) DataFrame, ``y`` (n,) prices in keur, ``truth`` a :class:`HousesTruth`.

    Raises
    ------
    TypeError, ValueError
        If an argument is out of its range.

    Notes
    -----
    The running example of chapter 3. The same ``random_state`` with another ``correlation`` gives the same houses with other
    numbers of bedrooms.

    Examples
    --------
    >>> world = houses(correlation=0.5)
    >>> world.X.shape, sorted(world.truth.irrelevant)
    ((4500, 9), ['house_number'])
    """
    check.number(n, "n", low=60, high=500_000, integer=True)
    check.number(correlation, "correlation", low=0, high=0.95)
    rng = check.random_generator(random_state)
    X = _table(n, latent_correlation(correlation), rng)
    formula = ProductSum(INTERCEPT, (*({j: u} for j, u in SHAPES.items()), STYLE_MATCH, RAILWAY), tuple(COLUMNS))
    y = np.round(formula(X) + NOISE_KEUR * rng.standard_normal(n), 1)
    n_train = 2 * n // 3
    truth = HousesTruth(formula, X[:n_train], float(correlation))
    return World("houses", X, y, truth, _card(truth, y), n_train)


@dataclass(frozen=True, eq=False)
class HousesTruth:
    """The mechanism behind ``houses``: the price function and its effects in the population.

    Attributes
    ----------
    formula : the price in keur as a sum of products
    background : DataFrame, the training rows; Shapley values average over them unless you pass your own
    correlation : float, of square_metres and bedrooms
    scale, estimand : str, units of ``predict`` and what the stated effects are
    """

    formula: ProductSum
    background: pd.DataFrame
    correlation: float
    scale: str = "price in keur"
    estimand: str = (
        "PDP: mean price in the population with the feature set to x; ALE: accumulated mean slope of the price among the houses "
        "of the population that have x, centred to mean zero over them; Shapley values: marginal, on the background rows"
    )

    def predict(self, X: pd.DataFrame) -> np.ndarray:
        """The oracle: planted price in keur without noise, shape (n,)."""
        return self.formula(X)

    @property
    def shapes(self) -> Mapping[str, Shape]:
        """The planted functions of the features that act alone, uncentred, in keur."""
        return self.formula.shapes

    def centred_shape(self, feature: str, values: Any) -> np.ndarray:
        """The function of a feature on its own, minus its population mean; zero where it has none."""
        check.one_of(feature, "feature", self.formula.features)
        check_grid(values, "values")
        if feature not in self.shapes:
            return np.zeros(len(values))
        return self.shapes[feature](values) - _mean(feature)

    @property
    def relevant(self) -> frozenset[str]:
        """Features the rule reads."""
        return self.formula.relevant

    @property
    def irrelevant(self) -> frozenset[str]:
        """Features the rule does not read."""
        return frozenset(self.formula.features) - self.relevant

    @property
    def mean_price(self) -> float:
        """Mean of the planted price over the population, in keur."""
        return INTERCEPT + sum(_mean(feature) for feature in SHAPES) + MEAN_MATCH_KEUR

    def pdp(self, feature: str, grid: Any) -> np.ndarray:
        r"""Population partial dependence :math:`E[f(x_j, X_{-j})]`, shape (k,), in keur.

        An additive feature has its own function plus a constant. The features of the two products have a flat line, because the
        other factor has mean zero. The line of the two years lies below the mean price: it pairs every year with every district,
        so the mean gain of real houses from fitting their district is lost.
        """
        check.one_of(feature, "feature", self.formula.features)
        check_grid(grid)
        lost = MEAN_MATCH_KEUR if feature in STYLE_MATCH else 0.0
        return self.mean_price - lost + self.centred_shape(feature, grid)

    def ale(self, feature: str, grid: Any) -> np.ndarray:
        r"""Population accumulated local effect, centred to mean zero over the population, shape (k,), in keur.

        An additive feature has its own centred function. For the product :math:`c\,(a-\mu)(b-\mu)` of the two years, normal with
        correlation :math:`\rho`, the mean slope at a is :math:`c\,\rho\,(a-\mu)`, so

        .. math:: \mathrm{ALE}(a) = \tfrac{1}{2}\,c\,\rho\left[(a-\mu)^2 - \sigma^2\right].

        The railway features are independent of each other, hence flat. (Years have tenths because an estimate from right-closed
        bins sees the slope half a rounding step too late: whole years would tilt this parabola by 0.03 keur a year.)
        Estimates centre over bin mid-points instead, so compare curves after giving both the same mean on the grid.
        """
        check_grid(grid)
        effect = self.centred_shape(feature, grid)
        if feature in STYLE_MATCH:
            years = np.asarray(grid, dtype=float) - MEAN_YEAR
            effect = KEUR_PER_SQUARE_YEAR * YEAR_CORRELATION * (years**2 - SD_YEAR**2) / 2
        return effect

    def ale_of_years(self, year_built: Any, district_year: Any) -> np.ndarray:
        r"""Population second-order ALE of the two years, in keur: :math:`c\,[ab - \rho(a^2+b^2)/2]` with a, b from the mean."""
        a, b = check.array(year_built, "year_built") - MEAN_YEAR, check.array(district_year, "district_year") - MEAN_YEAR
        check.fit_together(year_built=a, district_year=b)
        return KEUR_PER_SQUARE_YEAR * (a * b - YEAR_CORRELATION * (a**2 + b**2) / 2)

    def shapley(self, X: pd.DataFrame, background: pd.DataFrame | None = None) -> Attribution:
        """Exact marginal Shapley values of the planted price on a background (the world's own if not given), in keur."""
        background = self.background if background is None else background
        return self.formula.shapley(X, background, "exact Shapley, marginal, price in keur")

    def bedrooms_probability(self, square_metres: Any, bedrooms: Any) -> np.ndarray:
        """Share of the houses of this area that have this number of bedrooms, in the population."""
        rho = latent_correlation(self.correlation)
        area = (check.array(square_metres, "square_metres") - MEAN_AREA) / SD_AREA
        low, high = _bedroom_bounds(check.array(bedrooms, "bedrooms"))
        check.fit_together(square_metres=area, bedrooms=low)
        return ndtr((high - rho * area) / np.sqrt(1 - rho**2)) - ndtr((low - rho * area) / np.sqrt(1 - rho**2))

    def possible(self, X: pd.DataFrame) -> np.ndarray:
        """True where at least 1 in 10,000 houses of this area has this number of bedrooms, shape (n,)."""
        self.formula.require(X)
        return self.bedrooms_probability(X["square_metres"], X["bedrooms"]) >= POSSIBLE_ABOVE

    def predict_wrong_off_support(self, X: pd.DataFrame) -> np.ndarray:
        """A model that no data can fault: the planted price for every possible house, wrong by 100 keur for impossible ones.

        It asks too much for impossibly many bedrooms and too little for impossibly few. Taught in chapter 3.
        """
        price, rho = self.predict(X), latent_correlation(self.correlation)
        expected = MEAN_BEDROOMS + SD_BEDROOMS * rho * (X["square_metres"] - MEAN_AREA) / SD_AREA
        return price + np.where(self.possible(X), 0.0, WRONG_BY_KEUR * np.sign(X["bedrooms"] - expected))


@cache
def latent_correlation(correlation: float) -> float:
    """Correlation of the normal numbers behind area and bedrooms that gives the columns this correlation after rounding."""
    z = ndtri(EVERYONE)
    kept = [np.corrcoef(z, QUANTILES[feature](EVERYONE))[0, 1] for feature in ("square_metres", "bedrooms")]
    return float(correlation / np.prod(kept))


@cache
def _mean(feature: str) -> float:
    """Population mean of a planted function: its average over the quantiles of the column."""
    return float(SHAPES[feature](QUANTILES[feature](EVERYONE)).mean())


def _bedroom_bounds(bedrooms: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Interval of the normal number behind each number of bedrooms; the end ones are open."""
    low = np.where(bedrooms <= 1, -np.inf, (bedrooms - 0.5 - MEAN_BEDROOMS) / SD_BEDROOMS)
    high = np.where(bedrooms >= MAX_BEDROOMS, np.inf, (bedrooms + 0.5 - MEAN_BEDROOMS) / SD_BEDROOMS)
    return low, high


def _table(n: int, rho: float, rng: np.random.Generator) -> pd.DataFrame:
    """Columns of a Gaussian copula: normal numbers, two pairs of them correlated, through the quantile functions."""
    z = dict(zip(COLUMNS, rng.standard_normal((len(COLUMNS), n)), strict=True))
    z["bedrooms"] = rho * z["square_metres"] + np.sqrt(1 - rho**2) * z["bedrooms"]
    z["district_year"] = YEAR_CORRELATION * z["year_built"] + np.sqrt(1 - YEAR_CORRELATION**2) * z["district_year"]
    return pd.DataFrame({column: QUANTILES[column](ndtr(z[column])) for column in COLUMNS})


def _card(truth: HousesTruth, y: np.ndarray) -> str:
    """Data card in Markdown, made from the tables above."""
    columns = "\n".join(f"| `{name}` | {text} | {_rule(name)} |" for name, text in COLUMNS.items())
    return f"""# houses: prices by a rule we wrote down

Invented houses. `y` is the price paid in keur (1,000 euro). {len(y):,} rows, mean {y.mean():.0f} keur, standard deviation
{y.std():.0f} keur; the first {len(truth.background):,} rows are for training. Prices scatter around the rule with a standard
deviation of {NOISE_KEUR:g} keur, which no model can predict.

| column | what it is | effect on the price in keur, x being the value |
|---|---|---|
{columns}

The price is {INTERCEPT:g} plus all effects, plus two products:
{product_text(truth.formula)}

**Planted facts.**
- `square_metres` and `bedrooms` have correlation {truth.correlation:g}. The price rises with the area and flattens; with the
  area held fixed, every further bedroom *lowers* it, although houses with more bedrooms cost more.
- A house that fits the age of its district is worth more, a misfit less. This is a pure interaction: neither year has an
  average effect, so both partial dependences are flat; among real houses the two years go together, so ALE is a parabola.
- Near a metro is good, near freight trains is bad, for half of the houses each: a flat average over crossing lines.
- `house_number` does nothing.

Do not learn about real prices from it. Made by `xailib.worlds.houses`; CC BY 4.0."""


def _rule(column: str) -> str:
    if column in SHAPES:
        return f"`{SHAPES[column].text}`"
    return "through a product" if column in STYLE_MATCH | RAILWAY else "none"
