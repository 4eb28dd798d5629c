# %% [markdown]
# # Partial dependence, ICE and ALE
#
# How does the price move when a house gets larger? You will compute three answers from scratch, say which question each of
# them answers, and catch one of them asking about houses that cannot exist.
#
# **Estimated time:** 95 minutes
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
from sklearn.ensemble import RandomForestRegressor
from sklearn.inspection import partial_dependence as sklearn_partial_dependence
from sklearn.linear_model import LinearRegression, RidgeCV
from sklearn.metrics import r2_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import PolynomialFeatures, StandardScaler

from xailib import effects, lab, plots, predictor, worlds, zoo
from xailib import exercises as ex
from xailib.worlds import real, toys

# %% [markdown]
# ## Warm-up

# %%
ex.warmup("effects")

# %% [markdown]
# ## The story
#
# Amira and Jonas own 110 square metres with three bedrooms. A wall through the living room would make it four bedrooms, for
# 6,000 euro. Their agent brings a chart of 4,500 houses.

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
ax.set(xlabel="bedrooms", ylabel="mean price (keur)", ylim=(250, 420), title="The agent's chart")
plots.show(fig, "Mean price of the houses with one to six bedrooms: it rises from about 320 to about 400 keur.")

# %% [markdown]
# Each bar is the mean price of the houses that *have* that many bedrooms. Nearly 15,000 euro a bedroom, for a wall that costs
# 6,000: they are ready to build. What the chart does not say: these are different houses. The table says it: those with four bedrooms
# are also larger, and Jonas's wall adds no square metre.
#
# The question is about one house that changes, so it needs a model that can be asked "what if". We have one, and something you
# never have outside a course: the rule by which these prices were made.

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
# A row of the right half is an **ICE curve**: one house, every size. The bottom line is the **partial dependence** (PD; its plot
# is a PDP): (3.0 + 5.0 + 7.0) / 3 = 5.0 at size 2. Of the nine cells only the three
# bold ones are houses; six we made up. Before you run the cell:
# which house has the steepest curve, and what is the slope of the average?

# %%
size, quality = np.array([1.0, 2.0, 3.0]), np.array([1.5, 2.5, 3.5])
ice_by_hand = np.outer(quality, size)
print("ICE\n", ice_by_hand)
print("PD ", ice_by_hand.mean(axis=0), " slopes", quality, "mean slope", quality.mean())

# %% [markdown]
# **Accumulated local effects** (ALE) refuse to ask what house A would cost at size 3. Cut at 1, 2, 3. In the first interval
# live A and B (the minimum belongs to it), in the second lives C. Move each house only across its own interval:
#
# | interval | who | change of price | mean |
# |---|---|---|---|
# | 1 to 2 | A, B | 3.0 - 1.5 = 1.5 and 5.0 - 2.5 = 2.5 | **2.0** |
# | 2 to 3 | C | 10.5 - 7.0 = 3.5 | **3.5** |
#
# Add up from zero: 0, 2.0, 5.5. Then shift, so that the average *house* stands at zero. A and B stand at the middle of the
# first step, at height 1.0, C at 3.75; their mean is 1.92. Why does ALE bend upwards where PD is straight?

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
# ALE has interval edges $z_0 < \dots < z_K$. Row $i$ lives in interval $k$ when $z_{k-1} < x_{ij} \le z_k$; there are $n_k$ of
# them.
#
# $$\delta_k = \frac{1}{n_k} \sum_{i \in k} f(z_k, x_{i,-j}) - f(z_{k-1}, x_{i,-j}) \qquad g_k = \sum_{m \le k} \delta_m
# \qquad \mathrm{ALE}_k = g_k - \sum_{m} \frac{n_m}{n} \frac{g_{m-1} + g_m}{2}$$

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
# intervals it has. And look at *which* rows: PD gives every size to every house, ALE moves a house to the ends of the interval
# it lives in.
#
# ## The library way
#
# A gradient boosting model was trained on two thirds of the houses. scikit-learn draws its partial dependence in one call; let
# us ask it about the bedrooms.

# %%
model = zoo.load("houses-boosting")
predict = predictor(model)
try:
    sklearn_partial_dependence(model, houses, ["bedrooms"])
except ValueError as error:
    print("scikit-learn:", str(error).split(". ")[0])

# %% [markdown]
# scikit-learn 1.9 refuses whole-number columns, since its grid may hold fractions. So we hand it floats, and compare. `xailib`
# takes the table as it is; its grid holds values that occur.

# %%
as_floats = houses.astype({"square_metres": float})
theirs = sklearn_partial_dependence(model, as_floats, ["square_metres"], method="brute", grid_resolution=20)
ours = effects.partial_dependence(predict, houses, "square_metres", grid=theirs["grid_values"][0])
assert np.abs(ours.values - theirs["average"][0]).max() < 1e-10
print(ours, "\nok: equal to scikit-learn to 1e-10")

# %%
toy = toys.gaussian_product(0.9)
pairs = toy.sample(2000)
edges = effects.grid_points(pairs[:, 0], 20)
curve = effects.ale(toy.predict, pairs, 0, bins=edges)
assert np.abs(curve.values - ale_curve(toy.predict, pairs, 0, edges)).max() < 1e-10
print(curve, "\nok: equal to the thirty lines to 1e-10")

# %% [markdown]
# ### Where two right answers differ
#
# Hand scikit-learn a bare tree model and its default is no longer the average over your rows: `method="auto"` turns to
# *recursion*, which walks down the trees and weighs branches by the *training* data.

# %%
trees, encoded = model[-1], model[:-1].transform(houses)
j = list(model[:-1].get_feature_names_out()).index("bedrooms")
for method in ("recursion", "brute"):
    values = sklearn_partial_dependence(trees, encoded, [j], method=method)["average"][0]
    print(f"{method:10s}", (values - values[2]).round(1), "keur against 3 bedrooms")

# %% [markdown]
# Two curves for one question, from one package. Neither has a bug: recursion follows each branch with the share of training
# houses that took it, so its "average" is over other rows than yours. Name the method whenever you report a curve.
#
# ### Bands and a rug
#
# How sure is a curve? Draw the rows again, with replacement, and average again. For ALE that means resampling the differences and *accumulating each time*: no new predictions, and errors add up on the way as they should. With 200 houses:

# %%
how = {"n_resamples": 300, "random_state": 0}
sample = houses[:200]
pd_size = effects.partial_dependence(predict, sample, "square_metres", grid=20, **how)
ale_size = effects.ale(predict, sample, "square_metres", bins=20, **how)
for result in (pd_size, ale_size):
    half_width = (result.upper - result.lower) / 2
    print(f"{result.method}: mean half-width of the 95 % band {half_width.mean():.2f} keur")

# %%
fig, axes = plt.subplots(1, 2, figsize=(9.6, 3.4))
pd_size.plot(axes[0]).set(title="Partial dependence of size", xlabel="square metres", ylabel="predicted price (keur)")
ale_size.plot(axes[1]).set(title="ALE of size", xlabel="square metres", ylabel="change of predicted price (keur)")
plots.show(fig, "Both curves of the size rise steeply and flatten above 130 square metres; bands are widest at the ends.")

# %% [markdown]
# The line is the estimate, the band its 95 % interval at each point, the ticks below are the houses: many ticks, many
# houses. Notice that the left end rests on a handful of ticks. The level of PD is a price; ALE's zero is the average
# house. What neither shows: how much the curve would move with *another trained model*. The band holds for this model and
# these intervals.
#
# ### Categories
#
# Levels have no intervals. ALE moves houses to the neighbouring level, up and down, and averages both views of each jump.
# Levels without an order are lined up by how alike their houses are in the other columns.

# %%
heating = effects.ale(predict, houses, "heating", **how)
print(heating.to_frame().round(2).to_string(index=False))
fig, ax = plt.subplots(figsize=(5.2, 3.1))
heating.plot(ax).set(title="ALE of the heating", ylabel="change of predicted price (keur)")
plots.show(fig, "Bars for three kinds of heating: gas lowest, district heating in the middle, heat pump about 20 keur above gas.")

# %% [markdown]
# Read differences between bars, not heights: the zero is the average house, and half of the houses have gas. The shares of
# rows stand under the names. What the figure does not say: that a heat pump *earns* this money; the model may use it as a sign
# of something else.
#
# ### Two features at once
#
# For a pair there are two pictures. PD of the pair shows predictions. Second-order ALE shows only what is left after both
# single effects are taken away: pure interaction.

# %%
years = ("year_built", "district_year")
pair_pd = effects.partial_dependence(predict, houses[:400], years, grid=12)
pair_ale = effects.ale(predict, houses, years, bins=12)
empty = (pair_ale.details["counts"] == 0).mean()
print(pair_pd, pair_ale, f"cells without a house: {empty:.2f}", sep="\n")

# %%
fig, axes = plt.subplots(1, 2, figsize=(10, 3.8))
pair_pd.plot(axes[0]).set_title("PD of both years (keur)")
pair_ale.plot(axes[1]).set_title("Second-order ALE (keur)")
plots.show(fig, "Two maps over year built and district year. Both are high where the years agree and low where they do not.")

# %% [markdown]
# Dots are houses; colour is the prediction on the left and the interaction on the right. Both say: an old house in an old
# district is fine, a new one in a new district too, a misfit loses. Hatched cells hold no house, so ALE declines to colour
# them. The left map colours every corner with the same confidence; its upper left corner is the model's fantasy.
#
# ### One number for a pair
#
# **Friedman's H** is the share of a joint effect that is interaction. It is a ratio, so it can be large for two features that
# hardly matter: read the size in keur beside it.

# %%
railway = ("distance_to_railway_km", "railway")
pairs = [years, railway, ("square_metres", "heating")]
for name, f in {"rule": world.truth.predict, "trained model": predict}.items():
    h = pd.concat([effects.h_statistic(f, houses, pair, max_rows=80) for pair in pairs])
    print(f"{name}\n{h[['H2', 'interaction']].round(2).to_string()}\n")

# %% [markdown]
# `H2` near one: almost nothing but interaction; near zero: a sum. For the two years the rule and the model part ways: the rule
# has no main effect of either year, and the trees have bent part of the product into some. What the table does not say: on
# which houses it was measured. H is built from PD, so they were made up, possible or not.
#
# ### And Amira's wall?
#
# Read the jump from three bedrooms to four. `discrete=True` treats the counts as levels.

# %%
wall = effects.ale(predict, houses, "bedrooms", discrete=True, **how)
jump = np.diff(wall.values)[2]
truth_of_wall = np.diff(world.truth.pdp("bedrooms", [3, 4]))[0]
pd_jump = np.diff(effects.partial_dependence(predict, houses, "bedrooms", grid=[3, 4]).values)[0]
print(f"from three bedrooms to four: PD {pd_jump:+.1f}, ALE {jump:+.1f}, the rule itself {truth_of_wall:+.1f} keur")

# %% [markdown]
# The wall *loses* eight thousand on top of its price: at the same size, more bedrooms are smaller bedrooms. The agent's chart
# was right about houses and wrong about walls. Here PD and ALE nearly agree; the lab shows when they do not.
#
# ## Lab: who asks about impossible houses?
#
# The first slider sets how strongly size and bedrooms go together, the second the size that is asked about. Grey dots are
# houses; the column of marks shows the rows that the method asks for at that size. The model "wrong off the data" equals the
# rule for every possible house and is wrong by 100 keur for impossible ones. Make your prediction first; then raise the
# correlation.

# %%
playground = lab.effects.support_lab()
playground

# %%
playground.filmstrip()

# %%
print(lab.effects.support_lab().user_sets(correlation=0.95))


# %% [markdown]
# Blue dots could be houses, red crosses could not: fewer than 1 in 10,000 houses of that size have so many bedrooms, or so few.
# The broad line is the truth. At correlation 0 every pair exists and all curves agree. As it rises, PD asks about more crosses
# and follows the model wherever it goes. Switch to "planted rule": the crosses stay, the damage disappears. Impossible
# questions do harm only where the model answers badly.
#
# ## Graded against the truth
#
# ### The oracle: can the method find what is there?
#
# Each curve has its *own* population target, which this world knows exactly: PD averages over everyone, ALE accumulates the
# slopes of those who live there. We compare shapes, since levels are a convention: twenty fresh samples, root mean squared
# distance along the curve.

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
# any error, at correlation 0.9, and the impossible houses that PD asks about do no harm. Now read `year_built`. Graded against
# the *other* target PD seems far off, although against its own it is nearly right: for the product of two years PD is flat and
# ALE is a parabola. (With 80 intervals ALE's own error shrinks: a straight step across a wide one misses the bend. The last column
# shrinks too, as more points lie in the middle.) An error
# is only an error against a stated question.
#
# Do the bands keep their word? One hundred samples of 500 houses, a fixed grid, the rule as model:

# %%
inside = []
for seed in range(100):
    fresh, z = worlds.houses(500, random_state=1000 + seed), [1930, 1950, 1970, 1990]
    band = effects.partial_dependence(fresh.truth.predict, fresh.X, "year_built", grid=z, n_resamples=200, random_state=seed)
    target = fresh.truth.pdp("year_built", z)
    inside.append((band.lower <= target) & (target <= band.upper))
print(f"share of 95 % bands that hold the population value: {np.mean(inside):.2f}")

# %% [markdown]
# They do, for a fixed model and a fixed grid.
#
# ### The trained model: what belongs to whom?
#
# The model's own truth is measured by intervention on 5,000 fresh houses. A PD from 300 houses is compared with that
# (*explanation error*), and the model's own PD with the rule (*model error*).

# %%
population = worlds.houses(5000, random_state=99).X
for name in ("square_metres", "bedrooms", "year_built"):
    z = np.unique(np.quantile(population[name], [0.05, 0.25, 0.5, 0.75, 0.95]))
    own = effects.partial_dependence(predict, population, name, grid=z).values
    estimate = effects.partial_dependence(predict, world.test[0][:300], name, grid=z).values
    apart = np.abs(estimate - own).mean(), np.abs(own - world.truth.pdp(name, z)).mean()
    print(f"{name:14s} explanation error {apart[0]:.2f} keur, model error {apart[1]:.2f} keur")

# %% [markdown]
# Mean absolute errors in keur over the middle of the data. Had we compared the curve of 300 houses with the rule at once, we
# would have blamed the method for what the model never learned, or the other way round.
#
# ### A model that no test can fault
#
# Now the lab's model, on all houses: identical to the rule wherever a house can be, wrong by 100 keur elsewhere.

# %%
X_test, y_test = world.test
wrong = world.truth.predict_wrong_off_support
for name, f in {"rule": world.truth.predict, "wrong off the data": wrong}.items():
    print(f"{name:20s} R squared on held-out houses {r2_score(y_test, f(X_test)):.4f}")

# %%
fig, axes = plt.subplots(1, 2, figsize=(10, 3.6))
for ax, name, bins in zip(axes, ("square_metres", "bedrooms"), (20, 6), strict=True):
    ale = effects.ale(wrong, houses, name, bins=bins)
    pdp = effects.partial_dependence(wrong, houses, name, grid=ale.grid[0])
    truth = world.truth.ale(name, ale.grid[0])
    off = {r.method: (r.values - r.values.mean()) - (truth - truth.mean()) for r in (pdp, ale)}
    print(f"{name}: largest error of PD {np.abs(off['PDP']).max():.1f} keur, of ALE {np.abs(off['ALE']).max():.1f} keur")
    ax.plot(ale.grid[0], truth, color=plots.TRUTH, lw=7, alpha=0.7, label="truth")
    ax.plot(ale.grid[0], truth + off["ALE"], color=plots.ANCHOR, label="ALE")
    ax.plot(ale.grid[0], truth + off["PDP"], "--", color=plots.POSITIVE, label="PD")
    ax.set(xlabel=name.replace("_", " "), ylabel="change of price (keur)")
axes[0].set_title("Size"), axes[1].set_title("Bedrooms")
axes[0].legend()
plots.show(fig, "For size and bedrooms ALE lies close to the true curve; PD of size is far too flat and PD of bedrooms rises.")

# %% [markdown]
# Solid is ALE, dashed is PD, the broad line is the truth; curves are shifted to a common mean, since levels differ by
# definition. PD tells Amira to build: its curve *rises* with bedrooms, although the model lowers the price of every real house
# for each further bedroom. ALE stays on the data and stays right, but for the ends, where one step leads off the data too.
# What the figure does not say: that ALE is safe in general. It is safe here because its steps are short.
#
# ## Break it: a flat line over a strong effect
#
# Distance to the railway, from 0.5 to 4.5 km. The criterion of failure: the average curves move by less than a tenth of what
# the median house moves.

# %%
feature, km = "distance_to_railway_km", np.linspace(0.5, 4.5, 9)
some = houses[:1000]
pdp = effects.partial_dependence(predict, some, feature, grid=km).values
ale = effects.ale(predict, some, feature, bins=[0, *km, 5.01]).values[1:-1]
centred = effects.ice(predict, some, feature, grid=km, kind="centred")
moves = np.median(np.abs(centred.curves[:, -1]))
print(f"range of PD {np.ptp(pdp):.1f} keur, of ALE {np.ptp(ale):.1f} keur; the median house moves by {moves:.1f} keur")
assert max(np.ptp(pdp), np.ptp(ale)) < 0.1 * moves
print("ok: both averages fail the criterion")

# %%
slopes = effects.ice(predict, some, feature, grid=km, kind="derivative")
fig, axes = plt.subplots(1, 2, figsize=(9.6, 3.5))
centred.plot(axes[0]).set(title="Centred ICE: scissors", xlabel="km to the railway", ylabel="change from 0.5 km (keur)")
slopes.plot(axes[1]).set(title="Derivative ICE: two families", xlabel="km to the railway", ylabel="slope (keur per km)")
plots.show(fig, "ICE curves of the railway distance open like scissors around a flat average; slopes form two groups of either sign.")

# %% [markdown]
# Thin lines are houses, the thick one their average. Half of the lines rise and half fall; the average says that nothing
# happens, and about the average it is *right*. On the right the slopes form two families, above and below zero: that is how you
# notice. ALE fails just as PD does, since distance and kind of railway are independent. What the picture does not say is what
# tells the families apart. A second experiment does: one ALE for each kind of railway.

# %%
for kind, group in some.groupby("railway", observed=True):
    curve = effects.ale(predict, group, feature, bins=[0, *km, 5.01]).values[1:-1]
    by_rule = np.diff(effects.ice(world.truth.predict, group, feature, grid=[0.5, 4.5]).curves).mean()
    print(f"{kind:8s} from 0.5 to 4.5 km: ALE {curve[-1] - curve[0]:+.1f} keur, the rule {by_rule:+.1f} keur")

# %% [markdown]
# ### A long walk on the ALE curve
#
# The ALE of `year_built` stands almost equally high in 1930 and in 1985. So a house of the early thirties, torn down and built
# anew in 1985, would keep its price? Ask about those very houses, first for a short step, then for the long walk.

# %%
every_5_years = np.arange(1900, 2025, 5)
old = houses[houses["year_built"].between(1931, 1935)]
for name, f in {"rule": world.truth.predict, "trained model": predict}.items():
    ale = effects.ale(f, houses, "year_built", bins=every_5_years)
    height = dict(zip(every_5_years, ale.values, strict=True))
    for year in (1935, 1985):
        themselves = np.diff(effects.ice(f, old, "year_built", grid=[1930, year]).curves).mean()
        step = height[year] - height[1930]
        print(f"{name:13s} 1930 to {year}: ALE {step:+6.1f} keur, the houses {themselves:+6.1f} keur")

# %% [markdown]
# Over one interval ALE agrees with the houses that live in it: it was measured on them. Over fifty-five years it does not, by
# tens of thousands. Every step was taken by *other* houses, in districts of their own time, while a new house in an old
# district is a misfit. The detector is the H of the two years above: without interaction every step would be the same for
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
ldl_grid = effects.grid_points(patients.X["ldl"], 20)
pd_rows = pd.concat([patients.X.assign(ldl=z) for z in ldl_grid])
interval = np.maximum(np.searchsorted(ldl_grid, patients.X["ldl"]) - 1, 0)
ale_rows = pd.concat([patients.X.assign(ldl=ldl_grid[interval + end]) for end in (0, 1)])
for method, asked in (("PD", pd_rows), ("ALE", ale_rows)):
    share = asked.eval("ldl + hdl > total_cholesterol").mean()
    print(f"{method}: {share:.3f} of {len(asked)} rows asked break chemistry")

# %% [markdown]
# You need no planted world to count impossible rows: one known fact is enough. Look for such facts in your own data (a part
# larger than its whole, an end before its start) before you trust a PD. Now three models that predict about equally well:

# %%
models = {
    "straight line": LinearRegression(),
    "quadratic": make_pipeline(StandardScaler(), PolynomialFeatures(2), RidgeCV(np.logspace(-1, 3, 9))),
    "forest": RandomForestRegressor(200, min_samples_leaf=5, max_features=0.5, random_state=0),
}
(X_train, y_train), (X_held, y_held) = patients.train, patients.test
for name, m in models.items():
    m.fit(X_train, y_train)
    print(f"{name:14s} R squared on held-out patients {r2_score(y_held, m.predict(X_held)):.2f}")

# %%
fig, axes = plt.subplots(1, 3, figsize=(11, 3.4), sharey=True)
for ax, (name, m) in zip(axes, models.items(), strict=True):
    ale = effects.ale(predictor(m), patients.X, "ldl", bins=ldl_grid, **how)
    pdp = effects.partial_dependence(predictor(m), patients.X, "ldl", grid=ldl_grid).values
    ale.plot(ax).set(title=name, xlabel="LDL (mg/dl)", ylabel="")
    ax.plot(ldl_grid, pdp - pdp.mean() + ale.values.mean(), "--", color=plots.POSITIVE)
    middle = [np.diff(np.interp([95, 135], ldl_grid, values))[0] for values in (ale.values, pdp)]
    print(f"{name:14s} from LDL 95 to 135: ALE {middle[0]:+.1f}, PD {middle[1]:+.1f}")
axes[0].set_ylabel("change of predicted progression")
plots.show(fig, "LDL curves of three models: the straight line rises, the quadratic falls for high LDL, the forest falls a little.")

# %% [markdown]
# Solid with its band is ALE, dashed is PD; one panel for each model. Within a panel the two nearly agree over the middle of the
# ticks and part at the ends, where few patients are. *Between* the panels the sign changes. The bands do not warn you: each
# holds for its own model. You may conclude what each model does. You may not conclude what LDL does: much LDL with little
# total cholesterol is hardly ever seen, so each model guesses in its own way.
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
# | correlated features | asks about impossible rows | asks about impossible rows | stays close to the data |
# | interactions | averaged away | shown | partly averaged, partly in the curve |
# | unit of the curve | prediction | prediction | change of the prediction |
#
# > **A flat average is not "no effect".** Look at centred ICE, or at H, before you say that a feature does not matter.
#
# > **Partial dependence is as good as the model off the data.** For a sum it is exact at any correlation. For anything else
# > count the impossible rows first.
#
# > **ALE is local.** Between neighbouring edges it speaks of your rows. Between far ones it speaks of no one.
#
# > **A band is not a promise about the world.** It holds for this model and this grid. Refit, and the curve may leave it.
#
# > **H is a ratio, measured on made-up rows.** Large H with little `interaction` is noise with a title.
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
# Three functions make an ALE. Put yours together and compare with the library.

# %%
z = effects.grid_points(houses["square_metres"], 10)
interval = np.maximum(np.searchsorted(z, houses["square_metres"]) - 1, 0)
ends = [predict(houses.assign(square_metres=z[interval + end])) for end in (0, 1)]
yours = centre(accumulate(houses["square_metres"].to_numpy(), ends[1] - ends[0], z), np.bincount(interval))
assert np.abs(yours - effects.ale(predict, houses, "square_metres", bins=z).values).max() < 1e-9
print("ok: your ALE equals the library's")

# %%
ex.card("effects.impossible")

# %%
my_guess = ...  # a share between 0 and 1, before you measure
my_measured = ...  # pd.concat(...), then the share of impossible rows
my_measured = ex.check("effects.impossible", my_measured, prediction=my_guess)

# %%
ex.card("effects.memo")

# %%
my_claims = ...  # the letters of the sentences that hold, such as "be"
my_claims = ex.check("effects.memo", my_claims)
my_two_sentences = ""  # what should the clinic be told about LDL?

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
# 3. Correlation makes PD ask about impossible rows. That does harm only where the model answers them badly, which no test
#    score can rule out.
# 4. A flat average may hide scissors: look at ICE. A far step on ALE belongs to no one: look at interaction.
# 5. Bands hold for this model and this grid. Another model, equally good, may turn the curve around.
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
