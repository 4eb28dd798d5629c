# %% [markdown]
# # Partial dependence, ICE and ALE
#
# How does the price move when a house gets larger? You will compute three answers from scratch, say which question each of
# them answers, and catch one of them asking about houses that cannot exist.
#
# **Estimated time:** 130 minutes
#
# **What you need first:** a model as a function of a table, and why shuffling a column makes impossible rows
# ([chapter 02](02_permutation_importance.ipynb)).
#
# **Why care?** "The effect of x" is the most printed picture of any black box, and people act on its slope. Three different
# curves go by that name. On correlated data they can point in opposite directions, and no test score will tell you so.

# %%
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from sklearn.base import clone
from sklearn.ensemble import RandomForestRegressor
from sklearn.inspection import partial_dependence as sklearn_partial_dependence
from sklearn.linear_model import LinearRegression, RidgeCV
from sklearn.metrics import r2_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import PolynomialFeatures, StandardScaler
from sklearn.tree import DecisionTreeRegressor

from xailib import effects, lab, plots, predictor, worlds, zoo
from xailib import exercises as ex
from xailib.worlds import real

# %% [markdown]
# ## Warm-up

# %%
ex.warmup("effects")

# %% [markdown]
# ## The story
#
# Amira and Jonas own 110 square metres with three bedrooms. A wall through the living room would make it four bedrooms, for
# 6,000 euro. Their agent brings a chart of 4,500 houses. (One keur is 1,000 euro.)

# %%
world = worlds.houses()
houses, prices = world.X, world.y
sold = houses.assign(price_keur=prices).groupby("bedrooms")
by_bedrooms = sold["price_keur"].mean()
keur_per_bedroom = np.polyfit(houses["bedrooms"], prices, 1)[0]
print(sold[["price_keur", "square_metres"]].mean().round(1).assign(houses=sold.size()).to_string())
print(f"one more bedroom: {keur_per_bedroom:+.1f} keur")

# %%
fig, ax = plt.subplots(figsize=(5.2, 3))
ax.bar(by_bedrooms.index, by_bedrooms, color=plots.CONTEXT, width=0.65)
ax.set(xlabel="bedrooms", ylabel="mean price (keur)", ylim=(0, 420), title="The agent's chart")
plots.show(fig, "Mean price of the houses with one to six bedrooms: it rises from about 320 to about 400 keur.")

# %% [markdown]
# Each bar is the mean price of the houses that *have* that many bedrooms. Nearly 15,000 euro a bedroom, for a wall that costs
# 6,000: they are ready to build. But these are different houses. Those with four bedrooms are also larger, and Jonas's wall
# adds no square metre.
#
# The question is about one house that changes, so it needs a model that can be asked "what if". We have one, and something
# you never have outside a course, the **rule** by which these prices were made:

# %%
rule = world.truth
print("price in keur = 120, plus")
for feature, shape in rule.shapes.items():
    print(f"  {feature:22s}{shape.text}")
print("plus products:\n" + world.card.split("products:\n")[1].split("\n\n")[0])

# %% [markdown]
# ## By hand
#
# Three houses; size in 100 m², price in 100 keur. The model multiplies: price = size × quality. On the right, each house at
# every size:
#
# | house | size | quality | price at size 1 | at size 2 | at size 3 |
# |---|---|---|---|---|---|
# | A | 1 | 1.5 | **1.5** | 3.0 | 4.5 |
# | B | 2 | 2.5 | 2.5 | **5.0** | 7.5 |
# | C | 3 | 3.5 | 3.5 | 7.0 | **10.5** |
# | mean | | | 2.5 | **5.0** | 7.5 |
#
# A row of the right half is an **ICE curve**: one house, every size. The bottom line is the **partial dependence** (PD): (3.0
# + 5.0 + 7.0) / 3 = 5.0 at size 2. Of the nine cells only the three bold ones on the diagonal are houses; six we made up.
# Before you run the cell: which house has the steepest curve, and what is the slope of the average?

# %%
size, quality = np.array([1.0, 2.0, 3.0]), np.array([1.5, 2.5, 3.5])
ice_by_hand = np.outer(quality, size)
print("ICE\n", ice_by_hand)
print("PD ", ice_by_hand.mean(axis=0), " slopes", quality, "mean slope", quality.mean())

# %% [markdown]
# **Accumulated local effects** (ALE) do not ask what house A would cost at size 3. Cut at 1, 2, 3. In the first interval
# live A and B (the minimum belongs to it), in the second lives C. Move each house only across its own interval:
#
# | interval | who | change of price | mean |
# |---|---|---|---|
# | 1 to 2 | A, B | 3.0 - 1.5 = 1.5 and 5.0 - 2.5 = 2.5 | **2.0** |
# | 2 to 3 | C | 10.5 - 7.0 = 3.5 | **3.5** |
#
# Add up from zero: 0, 2.0, 5.5. Then shift, so that the average *house* has height zero. By convention a house counts at the
# middle of its interval, wherever it lies inside: A and B at height 1.0, C at 3.75; their mean is 1.92. Why does ALE bend
# upwards where PD is straight?

# %%
accumulated = np.array([0.0, 2.0, 5.5])
height = (1.0 + 1.0 + 3.75) / 3
print("ALE", (accumulated - height).round(2))


# %% [markdown]
# Because the larger houses here are also the better ones. PD pairs every size with every quality and reports the mean slope,
# 2.5. ALE reports the slope that houses *of that size* face: 2.0 for the small, 3.5 for the large. Neither is a mistake. They
# answer different questions.
#
# ## In thirty lines
#
# Partial dependence sets feature $j$ to $z$ in all rows and averages; ICE is the same before averaging:
#
# $$\mathrm{ICE}_i(z) = f(z, x_{i,-j}) \qquad \mathrm{PD}(z) = \frac{1}{n}\sum_{i=1}^{n} f(z, x_{i,-j})$$


# %%
def ice_curves(f, X, j, grid):
    curves = np.empty((len(X), len(grid)))
    for k, z in enumerate(grid):
        moved = X.copy()
        moved[:, j] = z
        curves[:, k] = f(moved)
    return curves


# %% [markdown]
# ALE has interval edges $z_0 < \dots < z_K$. Row $i$ lives in interval $k$ when $z_{k-1} < x_{ij} \le z_k$, and in the first
# when $x_{ij} = z_0$; there are $n_k$ of them.
#
# $$\delta_k = \frac{1}{n_k} \sum_{i \in k} \bigl[ f(z_k, x_{i,-j}) - f(z_{k-1}, x_{i,-j}) \bigr] \qquad g_k = \sum_{m \le k}
# \delta_m \qquad \mathrm{ALE}_k = g_k - \sum_{m} \frac{n_m}{n} \frac{g_{m-1} + g_m}{2}$$


# %%
def ale_curve(f, X, j, z):
    k = np.maximum(np.searchsorted(z, X[:, j]) - 1, 0)
    upper, lower = X.copy(), X.copy()
    upper[:, j], lower[:, j] = z[k + 1], z[k]
    n = np.bincount(k)
    delta = np.bincount(k, weights=f(upper) - f(lower)) / n
    g = np.concatenate([[0.0], np.cumsum(delta)])
    return g - np.average((g[:-1] + g[1:]) / 2, weights=n)


# %%
def multiply(X):
    return X[:, 0] * X[:, 1]


three_houses = np.column_stack([size, quality])
print("PD ", ice_curves(multiply, three_houses, 0, size).mean(axis=0))
print("ALE", ale_curve(multiply, three_houses, 0, size).round(2))

# %% [markdown]
# Count the questions: PD with a grid of 40 asks the model about 40 rows for every row you have, ALE about two, however many
# intervals it has. And look at *which* rows: PD gives every size to every house, ALE moves a house to the ends of the
# interval it lives in.
#
# ## The library way
#
# A gradient boosting model was trained on two thirds of the houses. The two checks: our partial dependence against
# scikit-learn's (which wants floats: its grid may hold fractions), our ALE against the lines above.

# %%
model = zoo.load("houses-boosting")
predict = predictor(model)
X_test, y_test = world.test
for name, f in {"trained model": predict, "rule": rule.predict}.items():
    print(f"{name:14s}R squared on {len(y_test)} held-out houses {r2_score(y_test, f(X_test)):.2f}")

# %%
as_floats = houses.astype({"square_metres": float})
theirs = sklearn_partial_dependence(model, as_floats, ["square_metres"], method="brute", grid_resolution=20)
ours = effects.partial_dependence(predict, houses, "square_metres", grid=theirs["grid_values"][0])
assert np.abs(ours.values - theirs["average"][0]).max() < 1e-10
points = np.random.default_rng(0).normal(size=(2000, 2))
curve = effects.ale(multiply, points, 0, bins=20)  # a result: .grid, .values, .plot()
assert np.abs(curve.values - ale_curve(multiply, points, 0, curve.grid[0])).max() < 1e-10
print("ok: both equal to 1e-10")

# %% [markdown]
# ### Two curves from one package
#
# Hand scikit-learn a bare tree model and by default (`method="auto"`) it does not average over your rows. It turns to
# *recursion*: it walks down the trees, and where a split is on another feature it follows both branches, weighted by training
# rows. Here with the training rows themselves, 3 bedrooms as zero:

# %%
trees, encoded = model[-1], model[:-1].transform(world.train[0])
j = list(model[:-1].get_feature_names_out()).index("bedrooms")
for method in ("recursion", "brute"):
    values = sklearn_partial_dependence(trees, encoded, [j], method=method)["average"][0]
    print(f"{method:10s}", (values - values[2]).round(1), "keur")
print("rule      ", rule.pdp("bedrooms", np.arange(1, 7)) - rule.pdp("bedrooms", [3]))

# %% [markdown]
# The rows are the same, the answers are not: from three to four -8.0 against -4.8. Below a split on bedrooms, recursion
# weighs the branches by the rows that *reached* the split, and those are houses with few (or many) bedrooms, so small (or
# large) ones. That is no longer the average over everyone, and with correlated features it differs. Name the method whenever
# you report a curve.
#
# ### Bands and a rug
#
# How sure is a curve? Draw the rows again, with replacement, and average again. For ALE that means resampling the differences
# and *accumulating each time*: no new predictions, and errors add up on the way as they should. With 200 houses:

# %%
how = {"n_resamples": 300, "random_state": 0}
sample = houses[:200]
pd_size = effects.partial_dependence(predict, sample, "square_metres", grid=20, **how)
ale_size = effects.ale(predict, sample, "square_metres", bins=20, **how)
for name, result in {"PD": pd_size, "ALE": ale_size}.items():
    half_width = (result.upper - result.lower) / 2
    print(f"{name:3s} half-width of the 95 % band: {half_width[[0, 10, -1]].round(1)} keur (left end, middle, right end)")

# %%
fig, axes = plt.subplots(1, 2, figsize=(9.6, 3.4))
pd_size.plot(axes[0]).set(title="Partial dependence of size", ylabel="predicted price (keur)", ylim=(245, 420))
ale_size.plot(axes[1]).set(title="ALE of size", ylabel="change of predicted price (keur)", ylim=(-120, 55))
for ax in axes:
    ax.set_xlabel("square metres")
plots.show(fig, "PD and ALE of size rise steeply up to 80 square metres, then less; the band of ALE is narrowest in the middle.")

# %% [markdown]
# The line is the estimate, the band its 95 % interval at each point; the ticks below, the *rug*, are the houses. Both axes
# span 175 keur. The level of PD is a price and uncertain everywhere; ALE's zero is the average house, so its band is narrow
# there and grows with the way from it. The left end rests on a handful of ticks. Neither shows how much the curve would move
# with *another trained model*.
#
# ### Categories
#
# Levels have no intervals. ALE moves houses to the neighbouring level, up and down, and averages both views of each jump.
# Levels without an order are lined up by how alike their houses are in the other columns.

# %%
heating = effects.ale(predict, houses, "heating", **how)
print(heating.to_frame().round(2).to_string(index=False))
print("above gas: model", (heating.values - heating.values[0]).round(1), " rule [0, 8, 20]")
fig, ax = plt.subplots(figsize=(5.2, 3.1))
heating.plot(ax).set(title="ALE of the heating", ylabel="change of predicted price (keur)")
plots.show(fig, "Bars for three kinds of heating: gas lowest, district heating in the middle, heat pump about 19 keur above gas.")

# %% [markdown]
# Read differences between bars, not heights: zero is the average house, and half of the houses have gas (shares of rows
# stand under the names). The bands are ±0.3 keur at most, and the rule's jumps of 8 and 20 lie outside: a band holds for what
# *the model* does, and the model is off by about one keur.
#
# ### Two features at once
#
# PD of a pair shows predictions. Second-order ALE shows pure interaction. It moves a house across its cell in both directions
# and keeps what the two single moves do not explain,
#
# $$[f(z_k, z_l) - f(z_{k-1}, z_l)] - [f(z_k, z_{l-1}) - f(z_{k-1}, z_{l-1})],$$
#
# averages per cell, adds up in both directions and takes the single effects away. For price = size × quality and the cell
# from 1 to 2 in both: (4 - 2) - (2 - 1) = 1. For a sum it is 0.

# %%
years = ("year_built", "district_year")
pair_pd = effects.partial_dependence(predict, houses[:1500], years, grid=12)
pair_ale = effects.ale(predict, houses[:1500], years, bins=12)
in_cell, g = pair_ale.details["counts"], pair_ale.values
cells = (g[:-1, :-1] + g[1:, :-1] + g[:-1, 1:] + g[1:, 1:]) / 4
darkest = np.argmax(np.where(in_cell > 0, np.abs(cells), 0))
print(
    f"share of cells without a house {(in_cell == 0).mean():.2f}; the darkest cell holds {in_cell.ravel()[darkest]} of 1,500 houses"
)

# %%
fig, axes = plt.subplots(1, 2, figsize=(10, 3.8), sharex=True, sharey=True)
pair_pd.plot(axes[0]).set(title="PD of both years (keur)", xlabel="year built", ylabel="mean year of the district")
pair_ale.plot(axes[1]).set(title="Second-order ALE (keur)", xlabel="year built", ylabel="")
plots.show(fig, "Two maps over year built and district year. Both are high where the years agree and low where they do not.")

# %% [markdown]
# Dots are 400 of the 1,500 houses. Both maps say: an old house in an old district is fine, a new one in a new district too, a
# misfit loses. Hatched cells hold no house, so ALE leaves them blank; but no colour warns you how few houses stand behind the
# darkest cell. PD colours every corner with equal confidence, houses or not.
#
# ### One number for a pair
#
# **Friedman's H²** is the share of a joint effect that is interaction (all PDs at the rows, centred):
#
# $$H^2 = \sum_i [\mathrm{PD}_{jk} - \mathrm{PD}_j - \mathrm{PD}_k]^2 \Big/ \sum_i \mathrm{PD}_{jk}^2$$
#
# By hand: $f = a + b + ab$ on the four rows $a, b = \pm 1$. Joint: -1, -1, -1, 3. Left without $a$ and $b$: 1, -1, -1, 1. So
# $H^2 = 4/12$.

# %%
railway = ("distance_to_railway_km", "railway")
for name, f in {"rule": rule.predict, "trained model": predict}.items():
    for pair in (years, railway, ("square_metres", "heating")):
        draws = pd.concat([effects.h_statistic(f, houses, pair, max_rows=80, random_state=seed) for seed in range(5)])
        low, high = draws[["H2", "interaction"]].min(), draws[["H2", "interaction"]].max()
        print(
            f"{name:14s}{' x '.join(pair):33s} H2 {low.iloc[0]:.2f} to {high.iloc[0]:.2f}, keur {low.iloc[1]:.1f} to {high.iloc[1]:.1f}"
        )

# %% [markdown]
# Lowest and highest of five draws of 80 houses; in keur, the root mean square of the interaction. H² near one: almost nothing
# but interaction; near zero: a sum. (Above one is possible: over correlated rows the parts overlap.) For the two years rule
# and model part ways: the trees have bent part of the product into single effects. H is built from PD, so it is measured on
# possible and impossible houses alike.
#
# ### And Amira's wall?
#
# The model's change from three bedrooms to four, for three sets of houses: everyone (that is PD), those that have three or
# four (ALE over levels), and those like Amira's.

# %%
change = predict(houses.assign(bedrooms=4)) - predict(houses.assign(bedrooms=3))
three_or_four = houses["bedrooms"].isin([3, 4])
like_theirs = (houses["square_metres"] == 110) & (houses["bedrooms"] == 3)
for name, who in {"PD": np.full(len(houses), True), "ALE": three_or_four, "like theirs": like_theirs}.items():
    c = change[who]
    half = 1.96 * c.std() / np.sqrt(len(c))
    print(f"{name:12s}{len(c):5d} houses: {c.mean():+6.1f} ± {half:.1f} keur, single ones {c.min():+.1f} to {c.max():+.1f}")
assert np.isclose(np.diff(effects.ale(predict, houses, "bedrooms", discrete=True).values)[2], change[three_or_four].mean())

# %% [markdown]
# The rule says -8 for every house. The wall *loses* eight thousand on top of its price: the agent's chart was right about
# houses and wrong about walls. PD and ALE come within 0.2 of the rule, and still the model says -10.7 for houses like
# Amira's: an average can be right while the model errs where you live. For one house read its ICE curve.
#
# ## Lab: who asks about impossible houses?
#
# The model "wrong off the data" equals the rule for every possible house. With impossibly many bedrooms it asks 100 keur too
# much, with impossibly few 100 too little. Predict first: at correlation 0.9, which curve leaves the rule for the middle 90 %
# of the houses? Then give ALE fewer intervals.

# %%
playground = lab.effects.support_lab()
playground

# %%
playground.filmstrip()

# %%
print(lab.effects.support_lab().user_sets(correlation=0.95))


# %% [markdown]
# Left: grey dots are houses (spread a little), the column of marks the rows asked about at one size. Red crosses are
# impossible: fewer than 1 in 10,000 houses of that size have so many bedrooms, or so few.
#
# PD has teeth because *all* houses with some number of bedrooms turn possible at once. ALE asks only at its edges (dots) and
# is right where its intervals are short; its end intervals are long. With the rule itself nothing goes wrong: impossible
# questions harm only where the model answers badly.
#
# ## Graded against the truth
#
# ### The rule as model: can the method find what is there?
#
# Each curve has its *own* target in the population. Shapes only, since levels are a convention: twenty samples, root mean
# squared distance.


# %%
def shape_error(values, target):
    return np.std(values - target)  # zero when they differ by a constant only


def graded(seed, name, size):
    fresh = worlds.houses(1000, random_state=seed)
    rule, z = fresh.truth, effects.grid_points(fresh.X[name], size)
    pdp = effects.partial_dependence(rule.predict, fresh.X, name, grid=z).values
    ale = effects.ale(rule.predict, fresh.X, name, bins=z).values
    own = shape_error(pdp, rule.pdp(name, z)), shape_error(ale, rule.ale(name, z))
    return [*own, shape_error(pdp, rule.ale(name, z))]


# %%
cases = [("square_metres", 20), ("bedrooms", 20), ("distance_to_railway_km", 20), ("year_built", 20), ("year_built", 80)]
print("feature, intervals          PD to its target   ALE to its target   PD to ALE's target")
for name, size in cases:
    errors = np.array([graded(seed, name, size) for seed in range(20)])
    half = 1.96 * errors.std(axis=0, ddof=1) / np.sqrt(20)
    cells = [f"{e:10.2f} ± {w:.2f}" for e, w in zip(errors.mean(axis=0), half, strict=True)]
    print(f"{name:23s}{size:3d}", "   ".join(cells))

# %% [markdown]
# Keur, with 95 % intervals over the samples. Size and bedrooms enter the rule as a sum: both methods find their shape without
# any error, at correlation 0.9, and the impossible houses that PD asks about do no harm. For `year_built`, PD is nearly right
# against its own target and far off against the other. See why:

# %%
five_years = np.arange(1920, 2001, 5)
fig, axes = plt.subplots(1, 2, figsize=(9.6, 3.4), sharey=True)
for ax, (name, f) in zip(axes, {"the rule": rule.predict, "the trained model": predict}.items(), strict=True):
    flat = effects.partial_dependence(f, houses[:1500], "year_built", grid=five_years).values
    ale = effects.ale(f, houses, "year_built", bins=[1880, *five_years, 2030]).values[1:-1]  # edges must cover all houses
    print(f"{name:18s} range of PD {np.ptp(flat):.1f} keur, of ALE {np.ptp(ale):.1f} keur")
    ax.plot(five_years, rule.ale("year_built", five_years), color=plots.TRUTH, lw=7, alpha=0.7, label="ALE target of the rule")
    ax.plot(five_years, ale, color=plots.ANCHOR, label="ALE")
    ax.plot(five_years, flat - flat.mean(), "--", color=plots.POSITIVE, label="PD (shifted)")
    ax.set(title=f"Year built, {name}", xlabel="year built")
axes[0].set_ylabel("change of price (keur)"), axes[0].legend()
plots.show(
    fig, "Year built. For the rule PD is almost flat and ALE a parabola, lowest in 1960; in the trained model PD bends too."
)

# %% [markdown]
# The rule multiplies the two years. PD pairs every year with every district, and the losses cancel the gains: flat. ALE pairs
# a year with the districts where such houses stand: a late house among late ones gains. Both are right. The trained model's
# PD is not flat: that is the model's error, not the method's.
#
# Do 95 % bands hold what they promise? One hundred samples, the rule as model, four years from 1930 to 1990. An ALE curve can
# be compared with two things: with the *same intervals* on 100,000 houses, and with the limit of ever finer intervals.

# %%
ask = [1930, 1950, 1970, 1990]
hits = []
for seed in range(100):
    fresh = worlds.houses(500, random_state=1000 + seed).X
    band = effects.partial_dependence(rule.predict, fresh, "year_built", grid=ask, n_resamples=200, random_state=seed)
    target = rule.pdp("year_built", ask)
    hits.append((band.lower <= target) & (target <= band.upper))
print(f"PD, 500 houses: {np.mean(hits):.2f} of the bands hold the target")


# %%
def held(n, edges, targets):
    hits = []
    for seed in range(100):
        fresh = worlds.houses(n, random_state=1000 + seed).X
        band = effects.ale(rule.predict, fresh, "year_built", bins=edges, n_resamples=200, random_state=seed)
        at = np.isin(edges, ask)
        hits.append([np.mean((band.lower[at] <= t) & (t <= band.upper[at])) for t in targets])
    return np.mean(hits, axis=0)


many = worlds.houses(100_000, random_state=7).X
for width in (20, 5):
    edges = np.arange(1870, 2051, width)
    same = effects.ale(rule.predict, many, "year_built", bins=edges).values[np.isin(edges, ask)]
    for n in (500, 2000):
        share = held(n, edges, [same, rule.ale("year_built", ask)])
        print(f"ALE, {n:4d} houses, steps of {width:2d} years: {share[0]:.2f} hold the same intervals, {share[1]:.2f} the limit")

# %% [markdown]
# For the same intervals the bands hold nearly what they promise. The limit is another matter: a straight step of 20 years
# misses the bend of the parabola, and the band does not know it. More houses make it *worse*: the band shrinks, the miss
# stays. The condition is that the curve is nearly straight inside each interval. A check: halve the intervals. Does the curve
# leave its band?
#
# ### The trained model: what belongs to whom?
#
# The model's own curve is measured on 5,000 fresh houses. Curves from 300 houses (mean of 20 samples) are compared with that
# (*explanation error*), and the model's own curve with the rule (*model error*). Shapes again, over the middle 90 % of the
# data.

# %%
population = worlds.houses(5000, random_state=99).X
samples = [worlds.houses(300, random_state=seed).X for seed in range(20)]
for name in ("square_metres", "bedrooms", "year_built"):
    z = np.unique(np.quantile(population[name], np.linspace(0.05, 0.95, 10)))
    edges = [0, *z, 3000]  # the data must be covered; the two outer values are dropped again
    curves = {
        "PD": lambda X, name=name, z=z: effects.partial_dependence(predict, X, name, grid=z).values,
        "ALE": lambda X, name=name, edges=edges: effects.ale(predict, X, name, bins=edges).values[1:-1],
    }
    targets = {"PD": rule.pdp(name, z), "ALE": rule.ale(name, z)}
    for method, curve in curves.items():
        own = curve(population)
        explanation = np.mean([shape_error(curve(X), own) for X in samples])
        model_error = shape_error(own, targets[method])
        print(f"{name:14s}{method:4s} explanation error {explanation:.1f} keur, model error {model_error:.1f} keur")

# %% [markdown]
# In every line the model is further from the rule than the curve is from the model. Had we compared a curve of 300 houses
# with the rule at once, we would have blamed the method for what the model never learned. ALE's explanation error is the
# larger one: it adds up differences of few rows each.
#
# ### A model that no test can fault
#
# Now the lab's model, on all houses. Criterion for a curve that has failed: it leaves the rule by more than 8 keur, the price
# of one bedroom.

# %%
wrong = rule.predict_wrong_off_support
for name, f in {"rule": rule.predict, "wrong off the data": wrong}.items():
    print(f"{name:20s} R squared on held-out houses {r2_score(y_test, f(X_test)):.4f}")

# %%
fig, axes = plt.subplots(1, 2, figsize=(10, 3.6))
for ax, name, cut in zip(axes, ("square_metres", "bedrooms"), ({"bins": 40}, {"discrete": True}), strict=True):
    ale = effects.ale(wrong, houses, name, **cut)
    z, truth = ale.grid[0], rule.ale(name, ale.grid[0])
    ax.plot(z, truth, color=plots.TRUTH, lw=7, alpha=0.7, label="the rule")
    pdp = effects.partial_dependence(wrong, houses, name, grid=z)
    for method, curve, style in (("ALE", ale, {"color": plots.ANCHOR}), ("PD", pdp, {"color": plots.POSITIVE, "ls": "--"})):
        off = curve.values - truth - np.median(curve.values - truth)
        print(f"{name:14s}{method:4s} largest error {np.abs(off).max():.1f} keur")
        ax.plot(z, truth + off, label=method, **style)
    ax.set(title=f"{name.replace('_', ' ').capitalize()}, model wrong off the data", xlabel=name.replace("_", " "))
axes[0].set_ylabel("change of price (keur)"), axes[0].legend()
plots.show(
    fig, "For size ALE lies on the rule's curve and PD is far too flat; for bedrooms PD rises, and ALE falls too little at six."
)

# %% [markdown]
# Curves are shifted so that the median error is zero. PD tells Amira to build: its curve *rises* with bedrooms, although the
# model lowers the price of nearly every real house for a further bedroom:

# %%
dearer = wrong(houses.assign(bedrooms=houses["bedrooms"] + 1)) > wrong(houses)
print(f"one bedroom more makes {dearer.sum()} of {len(houses)} houses dearer, all others cheaper")

# %% [markdown]
# ALE passes for the size, with 40 intervals, and fails for the bedrooms, at six: its shortest step is a whole bedroom, and
# from five to six that leads some houses off the data.
#
# ## Break it: ALE with long steps
#
# ALE stays on the data only as long as its steps are short. Take fewer intervals of size, and count the impossible rows:

# %%
for bins in (80, 40, 20, 10, 5, 3, 2):
    ale = effects.ale(wrong, houses, "square_metres", bins=bins)
    z = ale.grid[0]
    k = np.maximum(np.searchsorted(z, houses["square_metres"]) - 1, 0)
    asked = pd.concat([houses.assign(square_metres=z[k + end]) for end in (0, 1)])
    off = ale.values - rule.ale("square_metres", z)
    error = np.abs(off - np.median(off)).max()
    print(
        f"{bins:2d} intervals: impossible {1 - rule.possible(asked).mean():6.2%}, largest error {error:5.1f} keur",
        "fails" if error > 8 else "",
    )

# %% [markdown]
# With long steps ALE fails as PD does, and for the same reason: it gives small sizes to houses with many bedrooms. A small
# share of impossible rows is no comfort: at 20 intervals 0.4 % of the rows, gathered at the ends, bend the ends by 9 keur.
# More intervals cost no more questions; they cost steadiness, since each mean rests on fewer houses.
#
# ### A flat line over a strong effect
#
# Distance to the railway, from 0.5 to 4.5 km. *Centred* ICE curves all start at zero; *derivative* ICE shows their slopes.
# The criterion of failure: the averages move by less than a tenth of what the median house moves.

# %%
feature, km = "distance_to_railway_km", np.linspace(0.5, 4.5, 9)
edges = [0, *km, 5]  # ALE's edges must cover the data; the outer two are dropped again
some = houses[:1000]
pdp = effects.partial_dependence(predict, some, feature, grid=km).values
ale = effects.ale(predict, some, feature, bins=edges).values[1:-1]
centred = effects.ice(predict, some, feature, grid=km, kind="centred")
moves = centred.curves[:, -1]
print(
    f"range of PD {np.ptp(pdp):.1f} keur, of ALE {np.ptp(ale):.1f} keur; the median house moves by {np.median(np.abs(moves)):.1f}"
)
assert max(np.ptp(pdp), np.ptp(ale)) < 0.1 * np.median(np.abs(moves))
print(f"ok: both averages fail the criterion; {np.mean(moves > 0):.2f} of the houses rise")

# %%
slopes = effects.ice(predict, some, feature, grid=km, kind="derivative")
fig, axes = plt.subplots(1, 2, figsize=(9.6, 3.5))
centred.plot(axes[0]).set(title="Centred ICE: scissors", xlabel="km to the railway", ylabel="change from 0.5 km (keur)")
slopes.plot(axes[1]).set(title="Derivative ICE: two families", xlabel="km to the railway", ylabel="slope (keur per km)")
plots.show(
    fig, "ICE curves of the railway distance open like scissors around a flat average; slopes form two groups of either sign."
)

# %% [markdown]
# Thin lines are 80 of the 1,000 houses, the thick one the average of all. Half of the lines rise and half fall; the average
# says that nothing happens, and about the average it is *right*. (The waves on the right are the steps of the trees.) ALE
# fails just as PD does, since distance and kind of railway are independent. Which feature tells the two families apart? Let a
# tree with one split per feature predict the moves:

# %%
inputs = pd.DataFrame(model[:-1].transform(some), columns=model[:-1].get_feature_names_out())
stump = DecisionTreeRegressor(max_depth=1)
explained = {name: stump.fit(inputs[[name]], moves).score(inputs[[name]], moves) for name in inputs}
print(pd.Series(explained).sort_values(ascending=False).head(3).round(2).to_string())
for kind, group in some.groupby("railway", observed=True):
    curve = effects.ale(predict, group, feature, bins=edges).values[1:-1]
    by_rule = np.diff(effects.ice(rule.predict, group, feature, grid=[0.5, 4.5]).curves).mean()
    print(f"{kind:8s} from 0.5 to 4.5 km: ALE {curve[-1] - curve[0]:+.1f} keur, the rule {by_rule:+.1f} keur")

# %% [markdown]
# One split on the kind of railway explains nearly all. The model's effects are a quarter to a third
# smaller than the rule's: it has not learned all of it.
#
# ### A long walk on the ALE curve
#
# Look back at the parabola of `year_built`: almost equally high in 1930 and in 1985. So a house of the early thirties, torn
# down and built anew in 1985, would keep its price? Ask about those very houses, first for a short step, then for the long
# walk.

# %%
every_5_years = np.arange(1900, 2025, 5)
old = houses[houses["year_built"].between(1931, 1935)]
for name, f in {"rule": rule.predict, "trained model": predict}.items():
    ale = effects.ale(f, houses, "year_built", bins=every_5_years)
    height = dict(zip(every_5_years, ale.values, strict=True))
    for year in (1935, 1985):
        themselves = np.diff(effects.ice(f, old, "year_built", grid=[1930, year]).curves).mean()
        step = height[year] - height[1930]
        print(f"{name:13s} 1930 to {year}: ALE {step:+6.1f} keur, the houses {themselves:+6.1f} keur")

# %% [markdown]
# Over one interval ALE agrees with the houses that live in it: it was measured on them. Over fifty-five years it does not, by
# tens of thousands. Every step was taken by *other* houses, in districts of their own time, while a new house in an old
# district is a misfit. The warning is the H² of the two years: without interaction every step would be the same for
# everyone, and reading far would be safe.
#
# ## On real data
#
# 442 diabetes patients, ten measurements, the progression of the disease a year later. No rule is known. But chemistry knows
# something: total cholesterol *contains* LDL and HDL.

# %%
patients = real.diabetes()
print(patients.X[["total_cholesterol", "ldl", "hdl"]].corr().round(2).to_string())
broken = patients.X.eval("ldl + hdl > total_cholesterol")
print(f"patients with LDL + HDL above total cholesterol: {broken.sum()} of {len(broken)}")

# %%
for spacing in ("quantile", "uniform"):
    z = effects.grid_points(patients.X["ldl"], 20, spacing)
    k = np.maximum(np.searchsorted(z, patients.X["ldl"]) - 1, 0)
    pd_rows = pd.concat([patients.X.assign(ldl=value) for value in z])
    ale_rows = pd.concat([patients.X.assign(ldl=z[k + end]) for end in (0, 1)])
    shares = [rows.eval("ldl + hdl > total_cholesterol").mean() for rows in (pd_rows, ale_rows)]
    print(f"{spacing} grid: {shares[0]:.3f} of the rows that PD asks break chemistry, {shares[1]:.3f} of ALE's")

# %% [markdown]
# You need no planted rule to count impossible rows: one known fact is enough. (The share depends on the grid: equal steps ask
# more often where nobody is.) Look for such facts in your own data (a part
# larger than its whole, an end before its start) before you trust a PD. Now three models:

# %%
models = {
    "straight line": LinearRegression(),
    "quadratic": make_pipeline(StandardScaler(), PolynomialFeatures(2), RidgeCV(np.logspace(-1, 3, 9))),
    "forest": RandomForestRegressor(200, min_samples_leaf=5, max_features=0.5, random_state=0),
}
(X_train, y_train), (X_held, y_held) = patients.train, patients.test
guess = {name: m.fit(X_train, y_train).predict(X_held) for name, m in models.items()}
redrawn = np.random.default_rng(0).integers(len(y_held), size=(1000, len(y_held)))
for name, g in guess.items():
    behind = [r2_score(y_held[i], guess["straight line"][i]) - r2_score(y_held[i], g[i]) for i in redrawn]
    low, high = np.quantile(behind, [0.025, 0.975])
    print(
        f"{name:14s} R squared {r2_score(y_held, g):.2f} on {len(y_held)} patients; behind the line by {low:+.2f} to {high:+.2f}"
    )

# %%
ldl_grid = effects.grid_points(patients.X["ldl"], 20)
fig, axes = plt.subplots(1, 3, figsize=(11, 3.4), sharey=True)
for ax, (name, m) in zip(axes, models.items(), strict=True):
    ale = effects.ale(predictor(m), patients.X, "ldl", bins=ldl_grid, **how)
    pdp = effects.partial_dependence(predictor(m), patients.X, "ldl", grid=ldl_grid).values
    ale.plot(ax).set(title=name, xlabel="LDL (mg/dl)", ylabel="")
    ax.plot(ldl_grid, pdp - pdp.mean() + ale.values.mean(), "--", color=plots.POSITIVE, label="PD (shifted)")
    print(f"{name:14s} mean half-width of the ALE band {np.mean(ale.upper - ale.lower) / 2:.1f}")
axes[0].set_ylabel("change of predicted progression")
axes[0].legend(handles=[axes[0].lines[0], axes[0].lines[-1]], labels=["ALE with band", "PD (shifted)"])
plots.show(
    fig, "LDL curves of three models: the straight line rises, the quadratic falls for high LDL, the forest falls a little."
)

# %% [markdown]
# The test patients cannot tell the quadratic from the line; the forest may be a little worse. Within a panel PD and ALE
# nearly agree over the middle of the rug and part at the ends, where few patients are. *Between* the panels the sign changes,
# and the bands do not warn you: each holds for its own model. Refit each model to resampled patients, forty times, and read
# the step from LDL 95 to 135:

# %%
for name, m in models.items():
    steps = []
    for seed in range(40):
        rows = np.random.default_rng(seed).integers(len(y_train), size=len(y_train))
        refitted = predictor(clone(m).fit(X_train.iloc[rows], y_train[rows]))
        values = effects.ale(refitted, patients.X, "ldl", bins=ldl_grid).values
        steps.append(np.diff(np.interp([95, 135], ldl_grid, values))[0])
    low, high = np.quantile(steps, [0.025, 0.975])
    print(f"{name:14s} 95 % of the refits from {low:+.1f} to {high:+.1f}; falling in {np.mean(np.less(steps, 0)):.0%}")

# %% [markdown]
# The refits spread far wider than the bands, and for the line and the forest even the sign is open. You may conclude what
# each model does. You may not conclude what LDL does: much LDL with little total cholesterol is hardly ever seen, so each
# model guesses in its own way.
#
# ### Bring your own
#
# Put your fitted model, your table and a column here; categories, whole numbers and arrays are welcome. With a network,
# `real.california_housing()` is a good first table.

# %%
my_model, my_table, my_feature = models["forest"], patients.X, "body_mass_index"
my_effect = effects.ale(predictor(my_model), my_table, my_feature, bins=20, n_resamples=300)
print(my_effect)
fig, ax = plt.subplots(figsize=(5.2, 3.2))
my_effect.plot(ax).set_title(f"ALE of {my_feature}")
plots.show(fig, "ALE of the body mass index in the forest: low up to 25, then rising in two steps, until about 34.")

# %% [markdown]
# Two steep rises and flats between them: steps are what a forest draws where the truth may well be smooth.
#
# ## Strengths, limits, when not to use it
#
# | | partial dependence | ICE | ALE |
# |---|---|---|---|
# | answers | mean prediction if everyone had z | one row at every z | slope among those who have z, added up |
# | questions to the model | rows × grid | rows × grid | rows × 2 |
# | correlated features | asks about impossible rows | asks about impossible rows | stays close to the data if its steps are short |
# | interactions | averaged away | shown | partly averaged, partly in the curve |
# | unit of the curve | prediction | prediction | change of the prediction |
#
# > **A flat average is not "no effect".** Look at centred ICE, or at H, before you say that a feature does not matter.
#
# > **Partial dependence is as good as the model off the data.** For a sum it is exact at any correlation. For anything else
# > count the impossible rows first.
#
# > **ALE is as good as its steps are short.** Count the impossible rows for it too. And it is local: between neighbouring edges
# > it speaks of your rows, between far ones of no one.
#
# > **A band is not a promise about the world.** It holds for this model and this grid. Refit, and the curve may leave it; more
# > rows make it narrower, not truer.
#
# > **H is a ratio, measured on made-up rows.** Read the interaction in the prediction's unit beside it.
#
# > **No curve here is causal.** "If everyone had z" sets an input of a model. It does not build a wall.
#
# Do not use any of them alone when features interact strongly, when a decision concerns one person (take that person's ICE
# curve, or a counterfactual, chapter 7), or when the grid reaches where there are no ticks on the rug.

# %% [markdown]
# ## Exercises
#
# Seven, core first. Leave a cell blank and everything still runs.

# %%
ex.card("effects.partial")


# %%
def partial(predict, X, j, grid):
    # your code
    ...


partial = ex.check("effects.partial", partial)

# %%
ex.card("effects.accumulate")


# %%
def accumulate(x, delta, edges):
    # your code
    ...


accumulate = ex.check("effects.accumulate", accumulate)

# %%
ex.card("effects.centre")


# %%
def centre(g, counts):
    # your code
    ...


centre = ex.check("effects.centre", centre)

# %% [markdown]
# Differences, `accumulate`, `centre`: together they are ALE. (What you left blank is the reference.)

# %%
z = effects.grid_points(houses["square_metres"], 10)
interval = np.maximum(np.searchsorted(z, houses["square_metres"]) - 1, 0)
ends = [predict(houses.assign(square_metres=z[interval + end])) for end in (0, 1)]
yours = centre(accumulate(houses["square_metres"].to_numpy(), ends[1] - ends[0], z), np.bincount(interval))
assert np.abs(yours - effects.ale(predict, houses, "square_metres", bins=z).values).max() < 1e-9
print("ok: accumulate and centre, put together, equal the library's ALE")

# %%
ex.card("effects.impossible")

# %%
my_guess = ...  # a share between 0 and 1, before you measure
my_measured = ...  # the share of impossible rows among all that PD asks
my_measured = ex.check("effects.impossible", my_measured, prediction=my_guess)

# %%
ex.card("effects.memo")

# %%
my_two_sentences = ""  # write first: what should the clinic be told about LDL?
my_claims = ...  # the letters of the sentences that hold, such as "be"
my_claims = ex.check("effects.memo", my_claims)

# %%
ex.card("effects.accumulated_error")


# %%
def accumulated_error(spread, counts):
    # your code
    ...


accumulated_error = ex.check("effects.accumulated_error", accumulated_error)

# %%
ex.card("effects.h_squared")


# %%
def h_squared(joint, first, second):
    # your code
    ...


h_squared = ex.check("effects.h_squared", h_squared)

# %%
ex.progress("effects")

# %% [markdown]
# ## Quiz

# %%
ex.quiz("effects")

# %% [markdown]
# ## Take-away
#
# 1. PD gives every value to every row and averages; ICE is the same before averaging; ALE adds up short steps of those who are
#    there.
# 2. Each has its own target. For a sum they agree; for a product of correlated features they differ, and both are right.
# 3. Correlation makes PD ask about impossible rows, and ALE too when its steps are long. That does harm only where the model
#    answers them badly, which no test score can rule out.
# 4. A flat average may hide scissors: look at ICE. A far step on ALE belongs to no one: look at interaction.
# 5. Bands hold for this model and this grid. A refit, or another model that tests as well, may turn the curve around.
#
# ## Further reading
#
# - J. H. Friedman, *Greedy function approximation: a gradient boosting machine*, Annals of Statistics 29 (2001): partial
#   dependence, section 8.2.
# - A. Goldstein, A. Kapelner, J. Bleich, E. Pitkin, *Peeking inside the black box*, Journal of Computational and Graphical
#   Statistics 24 (2015), arXiv 1309.6392: ICE, centred and derivative.
# - D. W. Apley, J. Zhu, *Visualizing the effects of predictor variables in black box supervised learning models*, Journal of the
#   Royal Statistical Society B 82 (2020), arXiv 1612.08468: ALE.
# - J. H. Friedman, B. E. Popescu, *Predictive learning via rule ensembles*, Annals of Applied Statistics 2 (2008), arXiv
#   0811.1679: the H statistic.
# - C. Molnar, *Interpretable Machine Learning*: the chapters on PDP, ICE, ALE and interaction.
