# %% [markdown]
# # Partial dependence, ICE and ALE
#
# How does the price move when a house gets larger? You will compute three answers from scratch, say which question each of
# them answers, and catch one of them asking about houses that cannot exist.
#
# **Estimated time:** 110 minutes
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
from xailib.worlds import real

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
by_bedrooms = pd.Series(prices).groupby(houses["bedrooms"]).mean()
keur_per_bedroom = np.polyfit(houses["bedrooms"], prices, 1)[0]
print(by_bedrooms.round(1).to_string())
print(f"one more bedroom: {keur_per_bedroom:+.1f} keur")

# %%
fig, ax = plt.subplots(figsize=(5.2, 3))
ax.bar(by_bedrooms.index, by_bedrooms, color=plots.CONTEXT, width=0.65)
ax.set(xlabel="bedrooms", ylabel="mean price (keur)", ylim=(250, 420), title="What the agent shows: more bedrooms, more money")
plots.show(fig, "Mean price of the houses with one to six bedrooms: it rises from about 320 to about 400 keur.")

# %% [markdown]
# Each bar is the mean price of the houses that *have* that many bedrooms. Nearly 15,000 euro a bedroom, for a wall that costs
# 6,000: they are ready to build. What the chart does not say: these are different houses. Those with four bedrooms are also
# larger, and Jonas's wall adds no square metre.
#
# The question is about one house that changes, so it needs a model that can be asked "what if". We have one, and we have
# something you never have outside a course: the rule by which these prices were made. By the end you will know what the wall
# does, and which curves would have told you.

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
# A row of the right half is an **ICE curve**: one house, every size. The bottom line is the **partial dependence** (PD):
# (3.0 + 5.0 + 7.0) / 3 = 5.0 at size 2. Bold cells among the houses exist; the other six we made up. Before you run the cell:
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
numbers = houses[["year_built", "district_year"]].to_numpy(float)
edges = effects.grid_points(numbers[:, 0], 20)
curve = effects.ale(multiply, numbers, 0, bins=edges)
assert np.abs(curve.values - ale_curve(multiply, numbers, 0, edges)).max() < 1e-6 * np.ptp(curve.values)
print(curve, "\nok: equal to the thirty lines")

# %% [markdown]
# ### Where two right answers differ
#
# Hand scikit-learn a bare tree model and its default is no longer the average over your rows: `method="auto"` turns to
# *recursion*, which walks down the trees and weighs branches by the *training* data.

# %%
trees, encoded = model[-1], model[:-1].transform(houses)
j = list(model[:-1].get_feature_names_out()).index("bedrooms")
by_method = {m: sklearn_partial_dependence(trees, encoded, [j], method=m)["average"][0] for m in ("recursion", "brute")}
for method, values in by_method.items():
    print(f"{method:10s}", (values - values[2]).round(1), "keur against 3 bedrooms")

# %% [markdown]
# Two numbers for one question, from one package. Neither has a bug: recursion follows each branch with the share of training
# houses that took it, so its "average" is over other rows than yours. Name the method whenever you report a curve.
#
# ### Bands and a rug
#
# How sure is a curve? Draw the rows again, with replacement, and average again. For ALE that means resampling the differences
# and *accumulating each time*: no new predictions, and errors add up on the way as they should.

# %%
how = {"n_resamples": 300, "random_state": 0}
sample = houses[:1000]
pd_size = effects.partial_dependence(predict, sample, "square_metres", grid=20, **how)
ale_size = effects.ale(predict, sample, "square_metres", bins=20, **how)
for result in (pd_size, ale_size):
    half_width = (result.upper - result.lower) / 2
    print(f"{result.method}: mean half-width of the 95 % band {half_width.mean():.2f} keur")

# %%
fig, axes = plt.subplots(1, 2, figsize=(9.6, 3.4))
pd_size.plot(axes[0]).set(title="Partial dependence of size", xlabel="square metres", ylabel="predicted price (keur)")
ale_size.plot(axes[1]).set(title="ALE of size", xlabel="square metres", ylabel="change of predicted price (keur)")
plots.show(fig, "Both curves of the size rise steeply and flatten above 130 square metres; bands are narrow, widest at the ends.")

# %% [markdown]
# The line is the estimate, the band holds it with 95 % confidence at each point, the ticks below are the houses: many ticks,
# many houses. Notice that the left end rests on a handful of ticks. The level of PD is a price; ALE's zero is the average
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
railway = ["distance_to_railway_km", "railway"]
h = [effects.h_statistic(predict, houses, list(pair), max_rows=80) for pair in (years, railway, ("square_metres", "heating"))]
print(pd.concat(h).round(3).to_string())

# %% [markdown]
# `H2` near one: almost nothing but interaction. The third pair is close to a sum. What the table does not say: on which houses
# this was measured. PD made them up, possible or not.
#
# And Amira's wall? The average over the houses with three bedrooms, each moved to four:

# %%
wall = effects.ale(predict, houses, "bedrooms", discrete=True, **how)
jump = np.diff(wall.values)[2]
truth_of_wall = np.diff(world.truth.pdp("bedrooms", [3, 4]))[0]
print(f"from three bedrooms to four: ALE {jump:+.1f} keur, the rule itself {truth_of_wall:+.1f} keur")

# %% [markdown]
# The wall *costs* eight thousand on top of its price: at the same size, more bedrooms are smaller bedrooms. The agent's chart
# was right about houses and wrong about walls.
#
# ## Lab: who asks about impossible houses?
#
# Choose how strongly size and bedrooms go together. On the left, grey dots are houses, and the column of marks is what the
# method asks about at one size. The model "wrong off the data" equals the rule for every possible house and is wrong by
# 100 keur for impossible ones. Make your prediction first; then raise the correlation.

# %%
playground = lab.effects.support_lab()
playground

# %%
playground.filmstrip()

# %%
print(playground.user_sets(correlation=0.95, model="wrong off the data"))
print(playground.user_predicts())

# %% [markdown]
# At correlation 0 every pair of size and bedrooms exists and all curves agree. As it rises, PD asks about more and more red
# crosses, and follows the model wherever the model goes. Switch the model to "planted rule": the crosses stay, the damage
# disappears. Impossible questions do harm only where the model answers them badly, and nothing in the data can tell you
# whether it does.
#
# ## Graded against the truth
#
# ### The oracle: can the method find what is there?
#
# Each curve has its *own* population target, which the world knows exactly: PD averages over everyone, ALE accumulates slopes
# of those who live there. Twenty fresh samples, root mean squared error over the grid.


# %%
def graded(seed, name):
    fresh = worlds.houses(1000, random_state=seed)
    pdp = effects.partial_dependence(fresh.truth.predict, fresh.X, name, grid=20)
    ale = effects.ale(fresh.truth.predict, fresh.X, name, bins=20)
    pd_target, ale_target = fresh.truth.pdp(name, pdp.grid[0]), fresh.truth.ale(name, ale.grid[0])
    centred = pdp.values - pdp.values.mean() + ale_target.mean()
    errors = pdp.values - pd_target, ale.values - ale_target, centred - ale_target
    return [np.sqrt(np.mean(e**2)) for e in errors]


# %%
columns = ["PD to its target", "ALE to its target", "PD to ALE's target"]
names = ["square_metres", "bedrooms", "distance_to_centre_km", "year_built", "distance_to_railway_km"]
scores = {name: np.array([graded(seed, name) for seed in range(20)]) for name in names}
table = pd.DataFrame({n: [f"{m:.2f} ± {1.96 * s:.2f}" for m, s in zip(v.mean(0), v.std(0) / 20**0.5, strict=True)] for n, v in scores.items()})
print(table.set_axis(columns).T.to_string())

# %% [markdown]
# Errors in keur, with 95 % intervals over the samples. Against its own target each method is right to a few keur, at
# correlation 0.9: size, bedrooms and the centre enter the rule as a sum, so PD is not hurt by the impossible houses it asks
# about. Look at `year_built`: graded against the *other* target PD seems far off, though it made no error at all. For the
# planted product of the two years PD is flat and ALE is a parabola. An error is only an error against a stated question.

# %%
inside = []
for seed in range(100):
    fresh = worlds.houses(500, random_state=1000 + seed)
    grid = np.array([1930, 1950, 1970, 1990])
    band = effects.partial_dependence(fresh.truth.predict, fresh.X, "year_built", grid=grid, n_resamples=200, random_state=seed)
    target = fresh.truth.pdp("year_built", grid)
    inside.append((band.lower <= target) & (target <= band.upper))
print(f"95 % bands that hold the population value: {np.mean(inside):.2f} of 100 samples")

# %% [markdown]
# The bands keep their word, for a fixed model and a fixed grid.
#
# ### The trained model: what belongs to whom?
#
# The model's own truth is measured by intervention on 5,000 fresh houses. A PD from 300 houses is compared with that
# (*explanation error*), and the model's own PD with the rule (*model error*).

# %%
population = worlds.houses(5000, random_state=99).X
rows = []
for name in ["square_metres", "bedrooms", "year_built"]:
    own = effects.partial_dependence(predict, population, name, grid=np.quantile(population[name], [0.05, 0.25, 0.5, 0.75, 0.95]))
    small = effects.partial_dependence(predict, world.test[0][:300], name, grid=own.grid[0])
    difference = own.values - world.truth.pdp(name, own.grid[0])
    rows.append([np.abs(small.values - own.values).mean(), np.abs(difference).mean()])
print(pd.DataFrame(rows, index=["square_metres", "bedrooms", "year_built"], columns=["explanation error", "model error"]).round(2))

# %% [markdown]
# Mean absolute errors in keur over the middle of the data. Had we compared the curve of 300 houses with the rule at once, we
# would have blamed the method for what the model never learned, or the other way round.
#
# ### A model that no test can fault
#
# Now the lab's model, on all houses: identical to the rule wherever a house can be, wrong by 100 keur elsewhere.

# %%
X_test, y_test = world.test
for name, f in {"rule": world.truth.predict, "wrong off the data": world.truth.predict_wrong_off_support}.items():
    print(f"{name:20s} R squared on held-out houses {r2_score(y_test, f(X_test)):.4f}")

# %%
wrong = world.truth.predict_wrong_off_support
fig, axes = plt.subplots(1, 2, figsize=(10, 3.6))
for ax, name, step in zip(axes, ("square_metres", "bedrooms"), (20, 6), strict=True):
    pdp, ale = effects.partial_dependence(wrong, houses, name, grid=step), effects.ale(wrong, houses, name, bins=step)
    target = world.truth.ale(name, ale.grid[0])
    ax.plot(ale.grid[0], target, color=plots.TRUTH, lw=7, alpha=0.7, label="truth")
    ax.plot(ale.grid[0], ale.values, color=plots.ANCHOR, label="ALE")
    ax.plot(pdp.grid[0], pdp.values - pdp.values.mean() + target.mean(), "--", color=plots.POSITIVE, label="PD (shifted)")
    ax.set(xlabel=name.replace("_", " "), ylabel="change of price (keur)")
    worst = [np.abs(v - v.mean() - target + target.mean()).max() for v in (pdp.values, ale.values)]
    print(f"{name}: largest error of PD {worst[0]:.1f} keur, of ALE {worst[1]:.1f} keur")
axes[0].set_title("Size"), axes[1].set_title("Bedrooms")
axes[0].legend()
plots.show(fig, "For size and for bedrooms ALE lies on the true curve; PD of size is far too flat and PD of bedrooms rises.")

# %% [markdown]
# Solid is ALE, dashed is PD, the broad line is the truth; curves are shifted to a common mean, since levels differ by
# definition. PD tells Amira to build: its curve *rises* with bedrooms, although the model lowers the price of every real house
# for each further bedroom. ALE stays on the data and stays right, but for the ends, where one step leads off the data too.
# What the figure does not say: that ALE is safe in general. It is safe here because its steps are short.
#
# ## Break it: a flat line over a strong effect
#
# Distance to the railway. Criterion for failure: both average curves stay within 5 keur while single predictions move by
# more than 20.

# %%
feature = "distance_to_railway_km"
pd_rail = effects.partial_dependence(predict, houses[:1000], feature, grid=10)
ale_rail = effects.ale(predict, houses[:1000], feature, bins=10)
curves = effects.ice(predict, houses[:1000], feature, grid=10, kind="centred").curves
single = np.abs(curves[:, -1])
print(f"range of PD {np.ptp(pd_rail.values):.1f}, of ALE {np.ptp(ale_rail.values):.1f}; median change of a house {np.median(single):.1f} keur")

# %%
centred = effects.ice(predict, houses[:1000], feature, grid=10, kind="centred")
slopes = effects.ice(predict, houses[:1000], feature, grid=effects.grid_points(houses[feature], 8), kind="derivative")
fig, axes = plt.subplots(1, 2, figsize=(9.6, 3.5))
centred.plot(axes[0]).set(title="Centred ICE: a scissors", xlabel="km to the railway", ylabel="change from the start (keur)")
slopes.plot(axes[1]).set(title="Derivative ICE: two families", xlabel="km to the railway", ylabel="slope (keur per km)")
plots.show(fig, "ICE curves of the railway distance open like scissors around a flat average; slopes fall into two groups of either sign.")

# %% [markdown]
# Thin lines are houses, the thick one their average. Half of the lines rise and half fall; the average says nothing happens,
# and it is *correct* about the average. On the right the slopes fall into two families, above and below zero: that is how you
# notice. ALE fails here as PD does, since distance and kind of railway are independent. What the picture does not say is what
# tells the families apart. A second experiment does: one ALE for each kind of railway.

# %%
for kind, group in houses.groupby("railway", observed=True):
    by_kind = effects.ale(predict, group, feature, bins=10, **how)
    rise = by_kind.values[-1] - by_kind.values[0]
    print(f"{kind:8s} from 0 to 5 km: {rise:+6.1f} keur   (rule: {world.truth.shapes.get(kind, '') or ('+60.0' if kind == 'freight' else '-60.0')})")

# %% [markdown]
# ### A long walk on the ALE curve
#
# ALE of `year_built` is a parabola. It stands at about the same height in 1935 and in 1985. So a house of 1935, torn down and
# built anew in 1985, keeps its price? Ask the model about those very houses.

# %%
ale_year = effects.ale(predict, houses, "year_built", bins=20)
read_off = np.diff(np.interp([1935, 1985], ale_year.grid[0], ale_year.values))[0]
old = houses[houses["year_built"].between(1930, 1940)]
walk = effects.ice(predict, old, "year_built", grid=[1935, 1985]).curves
by_rule = world.truth.predict(old.assign(year_built=1985)) - world.truth.predict(old.assign(year_built=1935))
print(f"read off the ALE curve {read_off:+.1f} keur; the {len(old)} houses themselves {np.diff(walk).mean():+.1f} keur (rule {by_rule.mean():+.1f})")

# %%
local = np.diff(np.interp([1933, 1937], ale_year.grid[0], ale_year.values))[0]
short = effects.ice(predict, old, "year_built", grid=[1933, 1937]).curves
print(f"a short step, 1933 to 1937: ALE {local:+.1f} keur, the houses {np.diff(short).mean():+.1f} keur")
print(f"interaction of the two years: H2 = {h[0]['H2'].iloc[0]:.2f}")

# %% [markdown]
# Each step of ALE was measured on the houses living there, in districts of that time. Over a short step these are your houses;
# over fifty years they are not: a new house in an old district is a misfit, and loses. The detector is the H above: without
# interaction every step is the same for everyone, and far reading is safe.
#
# ## On real data
#
# 442 diabetes patients, ten measurements, the progression of the disease a year later. No rule is known. But chemistry knows
# something: total cholesterol *contains* LDL and HDL.

# %%
patients = real.diabetes()
X_train, y_train = patients.train
bounds = patients.X.eval("ldl + hdl > total_cholesterol")
print(f"correlation of LDL and total cholesterol {patients.X['ldl'].corr(patients.X['total_cholesterol']):.2f}")
print(f"patients with LDL + HDL above total cholesterol: {bounds.sum()}")

# %%
ldl_grid = effects.grid_points(patients.X["ldl"], 20)
pd_rows = pd.concat([patients.X.assign(ldl=z) for z in ldl_grid])
interval = np.maximum(np.searchsorted(ldl_grid, patients.X["ldl"]) - 1, 0)
ale_rows = pd.concat([patients.X.assign(ldl=ldl_grid[interval + end]) for end in (0, 1)])
for method, asked in (("PD", pd_rows), ("ALE", ale_rows)):
    print(f"{method}: {asked.eval('ldl + hdl > total_cholesterol').mean():.3f} of {len(asked)} rows asked break chemistry")

# %% [markdown]
# You need no planted world to count impossible rows: one known fact is enough. Look for such facts in your own data (a part
# larger than its whole, an end before its start) before you trust a PD. Now three models that predict about equally well:

# %%
models = {
    "straight line": LinearRegression(),
    "quadratic": make_pipeline(StandardScaler(), PolynomialFeatures(2), RidgeCV(np.logspace(-1, 3, 9))),
    "forest": RandomForestRegressor(200, min_samples_leaf=5, max_features=0.5, random_state=0),
}
X_held, y_held = patients.test
for name, m in models.items():
    m.fit(X_train, y_train)
    print(f"{name:14s} R squared on held-out patients {r2_score(y_held, m.predict(X_held)):.2f}")

# %%
fig, axes = plt.subplots(1, 3, figsize=(11, 3.4), sharey=True)
for ax, (name, m) in zip(axes, models.items(), strict=True):
    f = predictor(m)
    ale, pdp = effects.ale(f, patients.X, "ldl", bins=20, **how), effects.partial_dependence(f, patients.X, "ldl", grid=20)
    ale.plot(ax).set(title=name, xlabel="LDL (mg/dl)", ylabel="")
    ax.plot(pdp.grid[0], pdp.values - np.interp(np.median(patients.X["ldl"]), pdp.grid[0], pdp.values), "--", color=plots.POSITIVE)
    step = np.interp([95, 135], ale.grid[0], ale.values)
    print(f"{name:14s} from LDL 95 to 135: ALE {step[1] - step[0]:+.1f}, PD {np.diff(np.interp([95, 135], pdp.grid[0], pdp.values))[0]:+.1f}")
axes[0].set_ylabel("change of predicted progression")
plots.show(fig, "LDL curves of three models: the straight line rises, the quadratic model falls at the ends, the forest is almost flat.")

# %% [markdown]
# Solid with band is ALE, dashed is PD, one panel a model.
#
# ### Bring your own
#
# Put your fitted model, your table and a column here; categories, whole numbers and arrays are welcome.

# %%
my_model, my_table, my_feature = models["forest"], patients.X, "body_mass_index"
my_effect = effects.ale(predictor(my_model), my_table, my_feature, bins=20, n_resamples=300)
print(my_effect)
fig, ax = plt.subplots(figsize=(5.2, 3.2))
my_effect.plot(ax).set_title(f"ALE of {my_feature}")
plots.show(fig, "ALE of the body mass index in the forest: flat up to about 24, then rising until about 33.")

# %% [markdown]
# ## Strengths, limits, when not to use it
#
# TODO

# %% [markdown]
# ## Exercises

# %%
ex.card("effects.partial")


# %%
def partial(predict, X, j, grid): ...


partial = ex.check("effects.partial", partial)

# %% [markdown]
# ## Quiz

# %%
ex.quiz("effects")

# %% [markdown]
# ## Take-away
#
# ## Further reading
