# %% [markdown]
# # SHAP: sharing a prediction
#
# A bank's model refuses a loan, and the law wants the principal reasons. You will compute who gets which share of a prediction
# by hand, by all orders, by regression and by walking trees; catch a famous package with books that do not balance; and
# find out why two exact answers can disagree about the sign.
#
# **Estimated time:** 175 minutes, in two sittings of about the same length. A line after the labs says where the second begins.
#
# **What you need first:** means over mixed rows ([chapter 03](03_effects.ipynb)); chapter 04 helps in one exercise.
#
# **Why care?** Shapley values are among the most used explanations of single decisions. They come with a proof of uniqueness, and the
# proof is quoted for more than it says.

# %%
from itertools import chain, compress, permutations
from math import comb, factorial

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import shap
from scipy.spatial import cKDTree
from sklearn.base import clone
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeClassifier

from xailib import exercises as ex
from xailib import lab, plots, predictor, shapley, trees, worlds, zoo
from xailib.evaluation import mean_interval
from xailib.worlds import real, toys

# %% [markdown]
# ## Warm-up

# %%
ex.warmup("shapley")

# %% [markdown]
# ## The story
#
# Noor is 42, earns 24,900 euro a year and has two defaults behind her. The bank's model, gradient boosting, sees a risk of
# 65 % and refuses. The average over 100 other applicants is 28 %. Whose fault is the difference?
#
# The risk officer asks the obvious question: *how much would the risk fall if we did not know this one fact?* Not knowing a
# value means: average over the values of the others.

# %%
loans = worlds.loans()
(X_train, _), (X_test, _) = loans.train, loans.test
risk = predictor(zoo.load("loans-boosting"))
noor, others = X_test.loc[[4122]], X_train[:100]
features, average = list(X_test.columns), risk(others).mean()
print(noor.drop(columns=["favourite_colour", "customer_number"]).T.to_string(header=False))
print(f"\nrisk of Noor {risk(noor)[0]:.4f}, mean of the others {average:.4f}, ", end="")
print(f"difference {risk(noor)[0] - average:.4f}")


# %%
def mixed(x, z, known):
    """The rows of z, with the columns `known` as they are in x."""
    x_repeated = x.iloc[[0] * len(z)].set_index(z.index)  # as long as z, with the labels of z
    return z.assign(**x_repeated[known])


def without(j):
    return [k for k in features if k != j]


# %%
removed = {j: risk(noor)[0] - risk(mixed(noor, others, without(j))).mean() for j in features}
added = {j: risk(mixed(noor, others, [j])).mean() - average for j in features}
table = pd.DataFrame({"removed from all": removed, "added to nothing": added})
print(table.sort_values("removed from all", ascending=False).round(4).to_string())
print(table.sum().round(4).to_string(header=False))

# %% [markdown]
# Removing facts one by one blames them for 0.53, adding them one by one for 0.22; to be shared are 0.365. The books balance in
# neither column. Defaults and a low income are worse *together* than each alone; the first column bills the *together* to
# both, the second to nobody. What would a fair bill be?
#
# ## By hand
#
# A small model knows two facts. This is its output when it is told some of them:
#
# | told | output |
# |---|---|
# | nothing | 0.10 |
# | defaults | 0.30 |
# | income | 0.05 |
# | both | 0.32 |
#
# Told the defaults first, the output rises by 0.30 - 0.10. Told after the income, by 0.32 - 0.05. Neither order is more
# right than the other: take the mean. Then income: the same two steps, or one subtraction. Which one? Write your two numbers
# down.

# %%
nothing, defaults, income, both = 0.10, 0.30, 0.05, 0.32
share_of_defaults = ((defaults - nothing) + (both - income)) / 2
share_of_income = ((income - nothing) + (both - defaults)) / 2
print(f"defaults {share_of_defaults:+.4f}, income {share_of_income:+.4f}")
total = nothing + share_of_defaults + share_of_income
print(f"{nothing:.2f} {share_of_defaults:+.3f} {share_of_income:+.3f} = {total:.2f}")

# %% [markdown]
# Defaults 0.235; the rest of the way from 0.10 to 0.32, that is -0.015, is income's. Notice its sign: told second, income
# *adds* 0.02; told first, it takes 0.05 away. The share is the mean of two opposite effects, and is neither of them.
#
# Three players. Ana and Ben own a left glove each, Cem a right one; only a pair sells, for 1. Fill in who is paid the 1 in
# each order of arrival, then count:
#
# | order | paid | | order | paid |
# |---|---|---|---|---|
# | Ana, Ben, Cem | Cem | | Ben, Cem, Ana | ? |
# | Ana, Cem, Ben | Cem | | Cem, Ana, Ben | ? |
# | Ben, Ana, Cem | ? | | Cem, Ben, Ana | ? |

# %%
paid = {"Ana": 0, "Ben": 0, "Cem": 0}
for order in permutations(paid):
    right, left = order.index("Cem"), min(order.index("Ana"), order.index("Ben"))
    paid[order[max(right, left)]] += 1 / 6
print({name: round(share, 4) for name, share in paid.items()})
assert np.allclose(list(paid.values()), toys.glove().shapley)

# %% [markdown]
# Who completes the first pair is paid. Cem does in four of six orders: the scarce glove earns two thirds. Leave-one-out would
# pay Ana nothing, since without her Ben still has a glove.
#
# One more, in your head. Three planes need a runway of length 1, 2 and 3; the price is the length of the longest plane that
# comes. The first kilometre is used by all three, the second by two, the third by one. What does each pay?

# %%
print("airport:", (toys.airport((1, 2, 3)).shapley * 6).round(10), "sixths, of a total of", 3 * 6)


# %% [markdown]
# A third, a third plus a half, and a third plus a half plus one. Nobody subsidises a kilometre that he does not use.
#
# ## In thirty lines
#
# A **game** has $p$ players and gives a worth $v(S)$ to every **coalition** $S$. Player $j$'s **Shapley value** is what $j$
# adds on joining, averaged over all $p!$ orders. Equal orders of arrival can be collected: that is the sum over subsets.
#
# $$\phi_j = \frac{1}{p!} \sum_{\text{orders}} \bigl[ v(\text{before } j \cup j) - v(\text{before } j) \bigr]
# = \sum_{S \not\ni j} \frac{1}{p \binom{p-1}{|S|}} \bigl[ v(S \cup j) - v(S) \bigr]$$


# %%
def by_orders(v, p):
    phi = np.zeros(p)
    for order in permutations(range(p)):
        place = np.argsort(order)  # order (2, 0, 1): player 2 comes first, so the places are (1, 2, 0)
        S = place < np.arange(p + 1)[:, None]  # row k: who has a place below k; row 1 is (F, F, T)
        phi[list(order)] += np.diff(v(S))
    return phi / factorial(p)


def by_subsets(v, p):
    S = (np.arange(2**p)[:, None] >> np.arange(p)) % 2 == 1  # row k: k in binary
    worth, size, phi = v(S), S.sum(axis=1), np.empty(p)
    for j in range(p):
        out = np.flatnonzero(~S[:, j])
        weight = [1 / (p * comb(p - 1, s)) for s in size[out]]
        phi[j] = weight @ (worth[out + 2**j] - worth[out])
    return phi


for game in (toys.glove(), toys.airport(), toys.weighted_majority(), toys.unanimity((0, 2), 4)):
    p = len(game.players)
    assert np.allclose(by_orders(game.value, p), game.shapley, atol=1e-12)
    assert np.allclose(by_subsets(game.value, p), game.shapley, atol=1e-12)
    print(f"ok: {game.name:18s}", by_subsets(game.value, p).round(4))

# %% [markdown]
# To explain a prediction, make it a game. Players are features. The worth of a coalition is the mean prediction when *its*
# features have Noor's values and all others come, together, from the rows $z$ of a **background**:
#
# $$v(S) = \frac{1}{m} \sum_{i=1}^{m} f(x_S, z_{i, \bar S})$$
#
# This is the **marginal** game (shap says *interventional*): the absent keep their own values, whatever is known. Its
# rival, the **conditional** game, asks only about rows that fit what is known; it comes in the second sitting:
#
# $$v(S) = \mathrm{E}\bigl[f(X) \mid X_S = x_S\bigr]$$
#
# With 14 features there are 16,384 coalitions. For now, five join alone and the other nine as one player.

# %%
alone = ["prior_defaults", "annual_income_keur", "credit_age_years", "debt_to_income", "region"]
players = [[j] for j in alone] + [[j for j in features if j not in alone]]
names = [*alone, "the other nine"]


def v(S):
    known = [list(chain(*compress(players, row))) for row in S]  # which columns each room knows
    rows = pd.concat([mixed(noor, others, columns) for columns in known])
    return risk(rows).reshape(len(S), len(others)).mean(axis=1)


# %%
phi = by_subsets(v, 6)
print(pd.Series(phi, names).round(4).to_string())
print(f"sum {phi.sum():.4f}, and the difference to explain {risk(noor)[0] - average:.4f}")


# %% [markdown]
# The books balance. The story's columns said 0.44 and 0.24 for the defaults; the share, 0.33, lies between.
#
# ### The axioms, as checks
#
# The Shapley value is the *only* rule that obeys four demands at once: shares add up (**efficiency**), equals are paid
# equally (**symmetry**), who adds nothing anywhere gets nothing (**dummy**), and the shares of a sum of games are the sums of
# the shares (**linearity**). A fifth follows, **consistency**: if a player adds more to every coalition than before, its share
# does not fall. Two hundred random games, and three rivals:


# %%
def random_game(rng, p):
    worth = rng.normal(size=2**p)
    return lambda S: worth[S @ 2 ** np.arange(p)]  # the room (T, F, T, F) is number 1 + 4


def first_in(v, p):
    return v(np.eye(p, dtype=bool)) - v(np.zeros((1, p), dtype=bool))


def last_in(v, p):
    return v(np.ones((1, p), dtype=bool)) - v(~np.eye(p, dtype=bool))


def one_order(v, p):
    return np.diff(v(np.tri(p + 1, p, -1, dtype=bool)))  # row k: players 0 to k - 1


# %%
def broken(rule, rng, p=4):
    """Size of the breach of each axiom in one random game."""
    a, b, e = random_game(rng, p), random_game(rng, p), np.eye(p, dtype=bool)
    dull = lambda S: a(S & ~e[0])  # player 0 adds nothing
    twins = lambda S: a(S) + a(S[:, [1, 0, 2, 3]])  # players 0 and 1 are equals
    more = lambda S: a(S) + S[:, 0] * np.abs(b(S | e[0]))  # player 0 adds more everywhere
    alike = rule(twins, p)
    return {
        "efficiency": abs(rule(a, p).sum() - (a(np.ones(p, bool)) - a(np.zeros(p, bool)))),
        "symmetry": abs(alike[0] - alike[1]),
        "dummy": abs(rule(dull, p)[0]),
        "linearity": np.abs(rule(lambda S: a(S) + b(S), p) - rule(a, p) - rule(b, p)).max(),
        "consistency": max(0, rule(a, p)[0] - rule(more, p)[0]),
    }


rules = {"Shapley": by_subsets, "first in": first_in, "last in": last_in, "one order": one_order}
for name, rule in rules.items():
    worst = pd.DataFrame([broken(rule, np.random.default_rng(seed)) for seed in range(200)]).max()
    verdicts = [f"{axiom} {'ok' if size < 1e-9 else 'BROKEN'}" for axiom, size in worst.items()]
    print(f"{name:10s}", ", ".join(verdicts))


# %% [markdown]
# Both columns of the story break efficiency, a fixed order breaks symmetry. The theorem says that *every* rival breaks
# something. What it does not say: that $v$ is the right game. Keep that in mind for the second sitting.
#
# ### Sampling orders
#
# With 14 features nobody walks through $14!$ orders. Draw some, each together with its reverse (who came last comes first:
# the errors of the two partly cancel), and average. The spread of the pairs gives the **standard error**.


# %%
def by_sampling(v, p, n_pairs, rng):
    phi = np.zeros((n_pairs, p))
    for k in range(n_pairs):
        order = rng.permutation(p)
        for each in (order, order[::-1]):
            phi[k, each] += np.diff(v(np.argsort(each) < np.arange(p + 1)[:, None])) / 2
    return phi.mean(axis=0), phi.std(axis=0, ddof=1) / np.sqrt(n_pairs)


# %%
worths = v((np.arange(64)[:, None] >> np.arange(6)) % 2 == 1)  # ask once, and all else is arithmetic


def noors_game(S):
    return worths[S @ 2 ** np.arange(6)]


assert np.allclose(by_orders(noors_game, 6), phi)
estimate, error = by_sampling(noors_game, 6, 8, np.random.default_rng(0))
eight = pd.DataFrame({"exact": phi, "8 pairs": estimate, "standard error": error}, names)
print(eight.round(4).to_string())
print("credit age is off by", ((estimate - phi) / error).round(1)[2], "standard errors")

# %% [markdown]
# Two standard errors off: no alarm, since with a spread from only eight pairs, one share in twenty is off by more than
# 2.4 of them (Student's $t$).
#
# ### Kernel: sharing as regression
#
# The shares also solve a weighted least-squares problem: find $\phi$ so that $v(\emptyset) + \sum_{j \in S} \phi_j$ fits
# $v(S)$, with the sum of all $\phi_j$ *fixed* to $v(N) - v(\emptyset)$ and the weight
#
# $$\pi(S) = \frac{p - 1}{\binom{p}{s}\, s\, (p - s)}, \qquad s = |S|$$

# %%
kernel_weight = [5 / (comb(6, s) * s * (6 - s)) for s in range(1, 6)]
of_a_size = [w * comb(6, s) for s, w in enumerate(kernel_weight, 1)]
print("weight of one coalition of 1 to 5 players:", np.round(kernel_weight, 4))
print("weight of all of that size together:      ", np.round(of_a_size, 4))

# %% [markdown]
# The very small and the very large coalitions count most: they tell what a player does alone, and what is missing without it.
# With all coalitions the fit *is* the Shapley value; with a sample it estimates it. (Writing the fit is an exercise.) It is
# the local regression of chapter 04 with one particular kernel, hence the name *Kernel SHAP*.

# %% [markdown]
# ## The library way
#
# `shapley.exact` takes model, rows and background; `groups` joins features into one player. `shap` wants numbers, so it gets
# the encoded table, with all 14 features (16,384 coalitions) and two background rows.

# %%
nine = {"the other nine": players[-1]}
grouped = shapley.exact(risk, noor, others, groups=nine)
assert np.allclose(grouped.to_frame().iloc[0][names], phi, atol=1e-12)
pipeline = zoo.load("loans-boosting")
encode, boosting = pipeline[:-1], pipeline[-1]
coded_noor, coded_others = encode.transform(noor), encode.transform(others[:2])


def coded_risk(Z):
    return boosting.predict_proba(Z)[:, 1]


masker = shap.maskers.Independent(coded_others)
theirs = shap.explainers.Exact(coded_risk, masker)(coded_noor, silent=True)
ours = shapley.exact(coded_risk, coded_noor, coded_others)
assert np.abs(ours.values - theirs.values).max() < 1e-10
print("ok: equal to the thirty lines (1e-12) and to shap (1e-10)\n" + ours.method)

# %% [markdown]
# Every result names its **estimand**: what absent features are replaced by.
#
# ### Walking the trees
#
# The fourth estimator looks inside. A tree is a set of boxes with a number each, and for one box and one background row the
# shares have a closed form. No sampling, however many features. It explains what the trees add up: log-odds.

# %%
log_odds = trees.explained_output(pipeline)
walked, asked = trees.shapley(pipeline, noor, others[:5]), shapley.exact(log_odds, noor, others[:5])
assert np.abs(walked.values - asked.values).max() < 1e-10
print("ok: walking the trees equals asking all coalitions (1e-10)")

# %%
found = {
    "trees (exact)": trees.shapley(pipeline, noor, others),
    "permutation": shapley.permutation(log_odds, noor, others, n_permutations=40, random_state=0),
    "kernel": shapley.kernel(log_odds, noor, others, n_coalitions=444, random_state=0),
}
shares = pd.DataFrame({name: a.values[0] for name, a in found.items()}, features)
for name in ("permutation", "kernel"):
    shares[f"{name} error"] = found[name].std_errors[0]
    gap = abs(found[name].efficiency_gap()[0])
    print(f"{name}: {found[name].details['n_coalitions'][0]} coalitions, gap {gap:.4f}")
order = shares["trees (exact)"].abs().sort_values(ascending=False).index
print(shares.loc[order].round(4).to_string())

# %% [markdown]
# Both were given 444 coalitions (forty orders pass by so many). The columns *error* are standard errors: the luck of the
# drawn coalitions. The books of the estimates balance too, so a gap of zero is no proof of accuracy.
#
# There is another luck, and no standard error shows it: which 100 rows are the background. Thirty other hundreds, exact
# shares:

# %%
thirty = [trees.shapley(pipeline, noor, X_train[i : i + 100]).values[0] for i in range(100, 3100, 100)]
other_luck = pd.Series(np.std(thirty, axis=0, ddof=1), features)
print("standard deviation over thirty backgrounds:", other_luck[order[:4]].round(4).to_dict())

# %% [markdown]
# For the defaults that is many times the sampling errors above. So this chapter will show several values for one share, each
# exact, each for its own background. Take more rows when you can.
#
# Without any background, TreeSHAP has another mode. `shap` has both; here is the second, on a boosting of plain codes:

# %%
as_numbers = clone(boosting).set_params(categorical_features=None)
as_numbers.fit(encode.transform(X_train), loans.train[1])
coded = encode.transform(X_test[:200])
theirs = shap.TreeExplainer(as_numbers)(coded)
assert np.abs(theirs.values - trees.shapley(as_numbers, coded).values).max() < 1e-10
print("ok: equal to shap.TreeExplainer, path-dependent, on 200 rows (1e-10)")

# %%
marginal, path = trees.shapley(pipeline, noor, X_train), trees.shapley(pipeline, noor)
two = pd.DataFrame({"marginal": marginal.values[0], "path-dependent": path.values[0]}, features)
print(path.method + "\n" + two.loc[order[:6]].round(4).to_string())

# %% [markdown]
# The first column used the 4,000 training rows as background. The second went by the training rows counted in the trees: at
# a split on an unknown feature it follows both branches, weighted by the rows that went each way *there*. Those rows have
# passed the splits above, so this is neither the marginal game nor the conditional one. Say which one you used.
#
# ### Pictures of one prediction
#
# `shap`'s plots take any values, so they can show ours.

# %%
some = X_test[:1000]
local = trees.shapley(pipeline, some, X_train[:200])
assert np.abs(local.efficiency_gap()).max() < 1e-9
codes = some.apply(lambda c: c.cat.codes if c.dtype == "category" else c).to_numpy(float)
bases = np.full(len(some), local.base_value)
table = shap.Explanation(local.values, bases, data=codes, feature_names=features)
noors = some.index.get_loc(4122)
shap.plots.waterfall(table[noors], max_display=9, show=False)
figure = plt.gcf()
figure.set_size_inches(8.4, 4.6), figure.suptitle("Noor, in log-odds of default")
plots.show(figure, "Waterfall of Noor: defaults and income push up, debt to income pulls down.")

# %% [markdown]
# Read from the bottom: start at the base value E[f(X)], here the mean over 200 rows, follow the arrows, arrive at Noor's
# log-odds f(x). The sizes carry the message; categories appear as codes. What it does not say: whether the numbers are right.
# It draws wrong ones as nicely.

# %%
noors_table = {"features": codes[noors], "feature_names": features, "matplotlib": True, "show": False}
style = {"figsize": (11, 3.4), "contribution_threshold": 0.17}
with plt.rc_context({"figure.constrained_layout.use": False}):
    shap.plots.force(bases[noors], table.values[noors].round(2), **noors_table, **style)
figure = plt.gcf()
ax = figure.axes[0]
ax.grid(False), ax.set_xticks([-2, -1, 0, 1, 2]), figure.text(0.03, 0.9, "Noor, in log-odds of default")
for label in ax.texts:
    label.set_bbox(None)  # white boxes would cover the number below
figure.subplots_adjust(left=0.03, right=0.97, top=0.62, bottom=0.02)
plots.show(figure, "Force plot of Noor: arrows from the left push the log-odds up, others hold back.")

# %% [markdown]
# The same shares on one axis, pushing from both sides to where they meet. A headline; small shares cannot be read.
#
# ### From local to global
#
# A thousand explanations make a global one. The **bar** is the mean *size* of a feature's shares, the **beeswarm** shows them
# all.

# %%
shap.plots.bar(table, max_display=14, show=False)
figure = plt.gcf()
figure.set_size_inches(7, 4.6)
figure.axes[0].set(title="Mean size of the shares", xlabel="mean |share| of the log-odds")
plots.show(figure, "Mean size of 1,000 shares: defaults first, then income; fraud list near the end.")

# %% [markdown]
# Read lengths: by how much, on average, each feature moves a prediction away from the base value, up or down. Directions are
# lost, and so is everything about single people.

# %%
shap.plots.beeswarm(table, max_display=14, show=False, plot_size=(8, 5))
figure = plt.gcf()
figure.axes[0].set(title="1,000 applicants", xlabel="share of the log-odds")
plots.show(figure, "Beeswarm: many defaults, low incomes lie right, a few fraud-list dots far right.")

# %% [markdown]
# One dot is one applicant; to the right, the feature raises the log-odds; colour is the feature's value (for employment,
# region and favourite colour only a code, whose order means nothing). What it does not show: who the dots belong to, or why
# they spread. Now look at `on_fraud_list`, near the bottom of both pictures.

# %%
size = pd.Series(np.abs(local.values).mean(axis=0), features)
fraud, listed = features.index("on_fraud_list"), (some["on_fraud_list"] == 1).to_numpy()
rank = size.rank(ascending=False).astype(int)
print(f"mean size {size['on_fraud_list']:.4f}, rank {rank['on_fraud_list']} of 14; ", end="")
print(f"prior_defaults {size['prior_defaults']:.4f}")
first = (np.abs(local.values[listed]).argmax(axis=1) == fraud).sum()
print(f"{listed.sum()} are on the list: mean share {local.values[listed, fraud].mean():.2f}, ", end="")
print(f"the largest of all shares for {first} of them")

# %% [markdown]
# Globally weak, locally decisive. A mean over people hides what happens to a few of them.
#
# The **dependence** plot sets the shares of one feature against its value:

# %%
fig, axes = plt.subplots(1, 2, figsize=(9.6, 3.6))
pairs_of = {"age_years": None, "prior_defaults": "annual_income_keur"}
for ax, (name, by) in zip(axes, pairs_of.items(), strict=True):
    colour = plots.ANCHOR if by is None else table[:, by]
    shap.plots.scatter(table[:, name], color=colour, ax=ax, show=False)
    ax.set_ylabel("share of the log-odds")
axes[0].set_title("Age: a bowl with a dent"), axes[1].set_title("Defaults: steeper at low incomes")
plots.show(fig, "Shares against values: a bowl with a dent at 61; defaults rise, more at low incomes.")

# %% [markdown]
# Left: a bowl, which no single importance can tell. Right: at the same number of defaults the dots spread, and low incomes
# lie highest. Vertical spread at one value is interaction *in the model*; grey bars count applicants. And the dent at 61?

# %%
ages = some["age_years"].between(59, 63).to_numpy()
in_rule = loans.truth.shapley(some[ages], X_train[:200]).values[:, features.index("age_years")]
in_model = local.values[ages, features.index("age_years")]
at_age = pd.DataFrame({"age": some["age_years"][ages], "model": in_model, "rule": in_rule})
print(at_age.groupby("age").agg(["mean", "std"]).round(3).to_string())

# %% [markdown]
# The rule has no dent, and no spread at one age. The trees made up both. The plot is a picture of the
# model, not of the world.
#
# ### Interactions: the size of *together*
#
# The **interaction index** $I_{ij}$ of a pair is what both add jointly beyond each alone, averaged over coalitions of the
# others. A share is the main effect and *half* of each interaction:
#
# $$I_{ij} = \sum_{S \not\ni i, j} \frac{v(S \cup ij) - v(S \cup i) - v(S \cup j) + v(S)}{(p-1) \binom{p-2}{|S|}},
# \qquad \phi_i = \text{main}_i + \tfrac12 \sum_{j \ne i} I_{ij}$$

# %%
pairs = shapley.interactions(risk, noor, others, groups=nine)
assert np.allclose(pairs.shapley_values(), grouped.values, atol=1e-12)
listing = pairs.to_frame().drop(columns="instance")
largest = listing["value"].abs().sort_values(ascending=False).index[:6]
print(listing.loc[largest].round(4).to_string(index=False))

# %%
ax = pairs.plot()
ax.figure.set_size_inches(6.4, 4.8), ax.set_title("Noor's risk: who, and who with whom", loc="right")
for number in ax.texts:
    number.set_text(f"{float(number.get_text()):.2f}")
plots.show(ax.figure, "Main effects (diagonal) and interactions: defaults with income is the largest.")

# %% [markdown]
# The story's *together* has a number now: 0.13, more than income does alone. The diagonal holds the main effects; diagonal and
# upper half add up to the difference from the base value. (shap's tree explainer prints half
# of each pair in both of its cells; its Exact explainer has another index, which differs once three features interact.)
#
# ### Twins and groups
#
# Twins are columns that hold one fact, as `height_cm` and `height_in`. Bela, 144 cm, was refused too. Who gets the credit for his height?

# %%
bela = X_test.loc[[4394]]
rest = [j for j in features if j not in (*alone, "height_cm", "height_in")]
split = {"rest": rest}
joined = {"rest": rest, "height": ["height_cm", "height_in"]}
forest = predictor(zoo.load("loans-forest"))
models = {"planted rule": loans.truth.predict, "boosting": risk, "forest": forest}
for name, f in models.items():
    one = shapley.exact(f, bela, others, groups=split).to_frame().iloc[0]
    two = shapley.exact(f, bela, others, groups=joined).to_frame().iloc[0]
    print(f"{name:13s} cm {one['height_cm']:.4f}, in {one['height_in']:.4f}; as one player", end=" ")
    print(f"{two['height']:.4f}; income {one['annual_income_keur']:+.4f}", end=" ")
    print(f"or {two['annual_income_keur']:+.4f}")

# %% [markdown]
# The rule reads both alike, boosting only centimetres, the forest both as it happened. The *split* is an accident; group what
# is one fact. Two columns do not add up to the one player exactly: one arrives in one place, two in two. So coding one fact
# in two columns moves a little of everybody's share, as of income's. (Boosting never reads inches: nothing moves.) For shares
# *inside* groups there is the **Owen value**: groups share as players, then members share what their group got.

# %%
unions = {
    "history": ["prior_defaults", "credit_age_years", "on_fraud_list"],
    "money": ["annual_income_keur", "open_loans", "debt_to_income", "loan_amount_keur"],
    "person": ["age_years", "height_cm", "height_in", "employment", "region"],
    "noise": ["favourite_colour", "customer_number"],
}

# %%
owen = shapley.owen(log_odds, noor, others, unions).to_frame().iloc[0]
as_players = shapley.exact(log_odds, noor, others, groups=unions).to_frame().iloc[0]
print("           as a player  sum of Owen  sum of Shapley")
for name, members in unions.items():
    three = as_players[name], owen[members].sum(), shares.loc[members, "trees (exact)"].sum()
    print(f"{name:10s}" + "".join(f"{number:13.4f}" for number in three))

# %% [markdown]
# Members' Owen values add up to what the group earns as a player; their Shapley values do not quite: members
# come one by one, in more places than a group that comes as a whole.
#
# ## Lab: who is in the room?
#
# Noor's game with six players. Switch features on, and read what the watched one would add to that room. First predict: do
# prior defaults add more when they come first, or last?

# %%
room = lab.shapley.coalition_lab()
room

# %%
room.filmstrip()

# %%
company = ["income", "credit_age", "debt_to_income", "region", "the_rest"]
for scale in ("probability", "log-odds"):
    for known in (False, True):
        room = lab.shapley.coalition_lab()
        text = room.user_sets(scale=scale, **dict.fromkeys(company, known))
        print(f"{scale:12s}{'last:' if known else 'first:':7s}{text.split(', ')[-3]}")

# %% [markdown]
# Left: what the watched player adds, by the number of others present; grey dots are all rooms, squares the mean of each size,
# the line their mean, the Shapley value. Right: the same in random orders, averaged. Defaults coming last add 0.442,
# coming first 0.241 (on the log-odds scale 2.264 and 1.316). The line is a fair price that hardly any room pays.
#
# ### Second lab: compared with whom?
#
# Bela is 52, earns 43,300 and has one prior default. Bars: his exact shares by the planted rule, against a background of your
# choice; ticks: against all 4,000. Predict the share of his default against the *refused*.

# %%
against = lab.shapley.background_lab()
against

# %%
against.filmstrip()

# %%
print(lab.shapley.background_lab().user_sets(background="refused"))

# %% [markdown]
# Same man, same rule, same method. Against everyone his one default counts against him; the refused have more of them, and
# against those it counts *for* him. Both are exact. Three rows of "everyone" give another list again: that is luck, and more
# rows mend it. With whom to compare is a question, and no number of rows answers it.
#
# **Here the first sitting ends.** The first four exercises at the end need nothing from below.
#
# ## Graded against the truth
#
# ### The rule as model: is exact exact?
#
# In another variant of the world the log-odds hold a product of *three* features. Their Shapley values have a closed form,
# for any background. Five applicants, 20 background rows; seven features that only add travel as one player.

# %%
hard = worlds.loans(third_order=True)
rule, five, z = hard.truth, hard.test[0][:5], hard.train[0][:20]
target = rule.shapley(five, z).values
together = {"rest": [j for j in features if j not in (*alone, "age_years", "loan_amount_keur")]}
by_formula = rule.shapley(five, z).to_frame()
exact = shapley.exact(rule.log_odds, five, z, groups=together).to_frame()
joined = by_formula.assign(rest=by_formula[together["rest"]].sum(axis=1))[exact.columns]
print(f"largest error of the exact values {np.abs(exact - joined).to_numpy().max():.0e}")

# %% [markdown]
# Words can be players too; an absent word is deleted. The rule of the mails of chapter 04 reads *never* with the cues behind
# it, and its shares are known. Can a model of single words explain the same mail?

# %%
mails = worlds.messages()
mail = "Hi Greta, never mind the bonus, please cook at noon."
words_only = predictor(zoo.load("messages-words"), "log_odds")
of_rule = shapley.text(mails.truth.log_odds, [mail], n_coalitions=1022)[0]  # ten words: all coalitions
of_model = shapley.text(words_only, [mail], n_coalitions=1022)[0]
assert np.abs(of_rule.values[0] - mails.truth.shapley(mail).values).max() < 1e-10
by_word = pd.DataFrame({"rule": of_rule.values[0], "model": of_model.values[0]}, of_rule.feature_names)
print(by_word.loc[["never", "bonus", "cook"]].round(3).to_string())

# %% [markdown]
# The explanation of the rule is right, word by word (1e-10). The model of single words gives *bonus* the opposite sign: to it
# a bonus is a bonus, never or not. Both explanations are exact; the error is the model's.
#
# ### Sampling: how much is enough?
#
# All 14 players. Error (root mean square over applicants and features) against the coalitions really asked: orders pass some
# rooms more than once, and those are asked once; the kernel gets the same number. Means of 40 runs with 95 % intervals, and
# the difference of the two.

# %%
many_runs = pd.concat([five] * 40)  # every row draws its own coalitions: 40 independent runs


def sampled(estimator, **budget):
    """Error of each run, and the mean number of coalitions asked."""
    found = estimator(rule.log_odds, many_runs, z, random_state=0, **budget)
    errors = np.sqrt(np.mean((found.values.reshape(40, *target.shape) - target) ** 2, axis=(1, 2)))
    return errors, found.details["n_coalitions"].mean()


# %%
curve = {}
for n_pairs in (4, 16, 64):
    orders, asked = sampled(shapley.permutation, n_permutations=2 * n_pairs)
    n = 2 * round(asked / 2)
    kernels, _ = sampled(shapley.kernel, n_coalitions=n)
    curve[n] = [mean_interval(orders), mean_interval(kernels)]
    intervals = [*curve[n], mean_interval(orders - kernels)]
    cells = [f"{m:.4f} ({low:.4f} to {high:.4f})" for m, low, high in intervals]
    print(f"{n:5d}: permutation {cells[0]}, kernel {cells[1]}, difference {cells[2]}")

# %%
fig, ax = plt.subplots(figsize=(6.2, 3.4))
n = np.array(list(curve))
styles = {"permutation": ("o-", plots.POSITIVE), "kernel": ("s--", plots.ANCHOR)}
for k, (name, (line, colour)) in enumerate(styles.items()):
    middle, low, high = np.array([intervals[k] for intervals in curve.values()]).T
    bars = [middle - low, high - middle]
    ax.errorbar(n, middle, yerr=bars, fmt=line, color=colour, capsize=3, label=name)
    ax.plot(n, middle[0] * np.sqrt(n[0] / n), ":", color=plots.CONTEXT, zorder=1)
ax.set(xscale="log", yscale="log", xlabel="coalitions asked", ylabel="error (log-odds)")
ax.set_title("Error against work")
ax.legend()
plots.show(fig, "Error against coalitions, logarithmic axes: both fall, the kernel lies below.")

# %% [markdown]
# Grey dots: what falling with the root of the work would look like. The orders fall a little faster (rooms met twice are free),
# the kernel too, probably since with more to spend it asks *all* coalitions of the smallest and largest sizes. It lies below at
# every budget; no interval of the difference holds zero. This is one function with one product of three: no law.
#
# Is the standard error honest? 400 runs, one applicant: how often does estimate ± 1.96 standard errors hold the exact value?
# (Features without any error left out.)

# %%
copies = pd.concat([five[:1]] * 400)
budgets = {shapley.permutation: {"n_permutations": 40}, shapley.kernel: {"n_coalitions": 520}}
for estimator, budget in budgets.items():
    runs = estimator(rule.log_odds, copies, z, random_state=0, **budget)
    vary = runs.std_errors.min(axis=0) > 1e-9
    held = (np.abs(runs.values - target[0]) <= 1.96 * runs.std_errors)[:, vary].mean(axis=0)
    print(f"{estimator.__name__:12s}{vary.sum()} features: {held.mean():.3f} held,", end=" ")
    print(f"by feature {held.min():.3f} to {held.max():.3f}")

# %% [markdown]
# Near the promised 0.95, both. (With 20 pairs Student's t would ask for 2.09 errors instead of 1.96.) Why do only three features
# vary under orders? An order and its reverse cancel all errors but those from products of three or more features, and there
# is one such product.
#
# ### The trained model: whose error?
#
# The boosting model of the plain world. Its own exact shares (walking trees, no sampling) against the rule's: **model
# error**. Kernel estimates against the model's own: **explanation error**. Twenty applicants, 30 background rows, log-odds.

# %%
twenty, background = X_test[:20], X_train[:30]
by_rule = loans.truth.shapley(twenty, background).values
by_model = trees.shapley(pipeline, twenty, background).values


def distance(a, b):
    return np.sqrt(np.mean((a - b) ** 2, axis=1))  # one number per applicant


model_error = distance(by_model, by_rule)
for n in (60, 240, 480):
    estimate = shapley.kernel(log_odds, twenty, background, n_coalitions=n, random_state=0).values
    mean, low, high = mean_interval(distance(estimate, by_model))
    print(f"{n:4d} coalitions: explanation error {mean:.4f} ({low:.4f} to {high:.4f})")
mean, low, high = mean_interval(model_error)
print(f"{'':14s}       model error {mean:.4f} ({low:.4f} to {high:.4f})")
away = distance(by_model, trees.shapley(pipeline, twenty, X_train).values)
print(f"the model's shares against 30 rows and against all 4,000: {away.mean():.4f} apart")
by_feature = pd.Series(np.sqrt(np.mean((by_model - by_rule) ** 2, axis=0)), features)
print("largest model errors:", by_feature.nlargest(4).round(3).to_dict())

# %% [markdown]
# Here sixty coalitions are enough: the model's distance from the rule is fourteen times their error. More sampling would polish
# the explanation of a model that is itself off. Had we compared the estimates with the rule at once, we would have blamed the
# method. The third error is the background: thirty rows instead of all cost nearly five times the sampling.
# Spend on rows first.
#
# ## Break it
#
# ### Books that do not balance
#
# `shap.TreeExplainer` on our model, path-dependent, all settings at their default. It raises no complaint. Now the one line
# that you should always run: do base value and shares give the prediction?

# %%
coded = encode.transform(X_test[:500])


def gaps(base_value, values, prediction):
    gap = np.abs(prediction - base_value - values.sum(axis=1))
    return f"largest gap {gap.max():.4f}, above 0.01 in {np.mean(gap > 0.01):.1%} of the rows"


for name, m in {"sets of categories": boosting, "codes as numbers": as_numbers}.items():
    by_shap = shap.TreeExplainer(m)(coded)
    print(f"shap, {name}:", gaps(by_shap.base_values, by_shap.values, m.decision_function(coded)))
ours = trees.shapley(pipeline, X_test[:500])
print("xailib:", gaps(ours.base_value, ours.values, log_odds(X_test[:500])))
in_shap = np.abs(shap.TreeExplainer(boosting)(coded).values).mean(axis=0)
size = pd.DataFrame({"shap": pd.Series(in_shap, encode.get_feature_names_out())})
size["xailib"] = pd.Series(np.abs(ours.values).mean(axis=0), features)
print(size.loc[["employment", "region", "favourite_colour", "annual_income_keur"]].round(3).to_string())

# %% [markdown]
# Our model splits on *sets of categories*. The control, the same boosting on plain codes, is fine: so shap 0.51 does not read
# such splits as the model does. The mean sizes show who is wronged: *employment* loses more than half of its share, the others
# hardly change. A beeswarm would look fine.
#
# The second bug needs no categories. Histogram gradient boosting puts thresholds *on* training values, in 64 bits; shap's
# interventional code keeps them in 32. A row on a threshold may fall on the wrong side:

# %%
rng = np.random.default_rng(0)
A, fresh = rng.normal(size=(2000, 5)), rng.normal(size=(300, 5))
numbers_only = HistGradientBoostingRegressor(random_state=0)
numbers_only.fit(A, 2 * A[:, 0] + np.sin(3 * A[:, 1]) + A[:, 2] * A[:, 3])
explainer = shap.TreeExplainer(numbers_only, A[:100])
for name, rows in {"training rows": A[:300], "fresh rows": fresh}.items():
    theirs = explainer(rows, check_additivity=False)
    ours = trees.shapley(numbers_only, rows, A[:100])
    print(f"{name:14s}shap:  ", gaps(theirs.base_values, theirs.values, numbers_only.predict(rows)))
    print(f"{name:14s}xailib:", gaps(ours.base_value, ours.values, numbers_only.predict(rows)))
try:
    explainer(A[:300])
except Exception as complaint:
    print("with its check on, shap says:", str(complaint).partition("!")[0])


# %% [markdown]
# Here its check caught it; in the first case it kept silent. Fresh rows seldom lie on a threshold, so a test on
# held-out rows would have passed. A third bug we do not run here: in trees of more than 32,767 nodes shap's interventional code
# overflows a node number, and our test, in a process of its own, demands that the books are off or the process dies.
#
# Balanced books are necessary, not sufficient. Fifteen features, each worth exactly 1:


# %%
def add_up(Z):
    return Z.sum(axis=1)


nobody, everybody = np.zeros((1, 15)), np.ones((1, 15))
kernel_explainer = shap.KernelExplainer(add_up, nobody)


def summary(values):
    equal = np.allclose(values, 1)
    return f"sum {values.sum():.2f}, exact zeros {np.sum(values == 0)}, all equal to 1: {equal}"


for setting in ("num_features(10)", False):
    values = kernel_explainer.shap_values(everybody, silent=True, l1_reg=setting)[0]
    print(f"shap, l1_reg={setting!s:17s}", summary(values))
ours = shapley.kernel(add_up, everybody, nobody, n_coalitions=200, random_state=0)
print(f"xailib{'':24s}", summary(ours.values[0]))

# %% [markdown]
# The first is shap's *default*: above ten features it fits ten that a lasso (a fit that drops features) picked, and sets the others to zero. Equal
# features, unequal shares: the **symmetry** check finds what efficiency cannot. Pass `l1_reg=False`.
#
# Two more: `shap.Explainer` keeps 100 rows of your background without a word. And what does a seed hold?

# %%
many = np.random.default_rng(0).normal(5, 2, (1000, 3))
quiet = shap.Explainer(lambda rows: rows.mean(axis=1), many)(many[:1])
print(f"mean prediction of the 1,000 rows {many.mean():.4f}, base value {quiet.base_values[0]:.4f}")


# %%
def build(seed):
    return shap.explainers.Permutation(lambda rows: rows.prod(axis=1), many[:50], seed=seed)


def run(explainer):
    return explainer(many[:1], max_evals=21).values


ways = {
    "without a seed": [run(build(None)) for _ in range(20)],
    "seed 1, each built and run": [run(build(1)) for _ in range(20)],
    "seed 1, all built, then all run": [run(explainer) for explainer in [build(1) for _ in range(20)]],
}
for words, runs in ways.items():
    print(f"{words:32s} 20 runs agree: {all(np.allclose(r, runs[0]) for r in runs)}")

# %% [markdown]
# The seed goes into NumPy's *global* generator when the explainer is built: whoever draws next uses it up. Without a seed,
# building one overwrites the seed that you had set elsewhere.
#
# ### Four answers to one question
#
# Three normal features, each pair with correlation 0.7, and trees fitted to $2 x_0 - x_1$: the third is never needed. One
# row, four games.

# %%
C = np.full((3, 3), 0.7) + 0.3 * np.eye(3)
G = np.random.default_rng(1).multivariate_normal(np.zeros(3), C, 4060)
G, rows = G[:4000], G[4000:]  # sixty rows that the trees have not seen
straight = HistGradientBoostingRegressor(random_state=0).fit(G, 2 * G[:, 0] - G[:, 1])
row, few = np.array([[1.0, 1.0, 1.5]]), G[:300]
games = {
    "marginal": trees.shapley(straight, row, few),
    "single baseline": shapley.exact(straight.predict, row, few.mean(axis=0, keepdims=True)),
    "path-dependent": trees.shapley(straight, row),
    "conditional": shapley.exact(straight.predict, row, shapley.GaussianConditional(few)),
}
for name, a in games.items():
    text = ", ".join(f"{value:+.2f}" for value in a.values[0])
    print(f"{name:16s} base {float(a.base_value):+.2f}, shares {text}, ", end="")
    print(f"prediction {a.prediction[0]:.2f}")

# %% [markdown]
# The conditional game draws the absent from a normal distribution, given what is known. Which answer is near which truth? For
# a straight line both have a closed form: the marginal share is coefficient times value, and $\mathrm{E}[X \mid X_S]$ of a normal
# distribution is a regression. Sixty fresh rows:

# %%
line = np.array([2.0, -1.0, 0.0])


def expected(S):
    """The line's mean for each coalition and row, given what is known, with the true correlations."""
    regression = [C[:, s] @ np.linalg.pinv(C[np.ix_(s, s)]) for s in S]
    return np.array([rows[:, s] @ slopes.T @ line for s, slopes in zip(S, regression, strict=True)])


truths = {"marginal": rows * line, "conditional": shapley.of_game(expected, 3).values}
given = shapley.GaussianConditional(few, n_draws=100)
by_trees = {
    "marginal": trees.shapley(straight, rows, few),
    "single baseline": shapley.exact(straight.predict, rows, few.mean(axis=0, keepdims=True)),
    "path-dependent": trees.shapley(straight, rows),
    "conditional": shapley.exact(straight.predict, rows, given),
}

# %%
print("relative distance to the truth:     marginal  conditional")
for name, a in by_trees.items():
    away = [np.sqrt(np.mean((a.values - t) ** 2) / np.mean(t**2)) for t in truths.values()]
    print(f"  {name:30s}{away[0]:10.2f}{away[1]:12.2f}")

# %% [markdown]
# The conditional game gives the third feature a large share although the model never needs it: knowing it *tells* about the
# other two. The marginal game gives it nothing, and asks about rows that hardly exist; the single baseline, for a line, is
# much the same game. Path-dependent values are three times nearer to the marginal truth than to the conditional, and reach
# neither. None of them is *the* answer: "what does the model do with its inputs?" wants the marginal,
# "what does this value tell us about the prediction?" the conditional.
#
# ### Another background, another story
#
# Bela's one default, in the trained model this time:

# %%
refused = X_train[risk(X_train) >= 0.5]
for name, compared in {"everyone": X_train, "the refused": refused}.items():
    a = trees.shapley(pipeline, bela, compared)
    top = a.to_frame().iloc[0].sort_values(key=np.abs, ascending=False)
    print(f"against {name:12s} base {a.base_value:+.2f}, ", end="")
    print(f"prior_defaults {top['prior_defaults']:+.3f}; top three:", end=" ")
    print(", ".join(f"{j} {value:+.2f}" for j, value in top.head(3).items()))

# %% [markdown]
# The share changes its sign, and the top reason its name. *Detect it*: compute the list for two or three backgrounds that your
# reader might mean, and report what survives. And print the background under every plot.
#
# ### A share is not a counterfactual
#
# Noor's debt to income, 0.15, has a negative share: it lowers her risk. So more of it lowers it more? And is income's share
# what a normal income would save her?

# %%
moved = noor.assign(debt_to_income=0.45)
debt_share = shares.loc["debt_to_income", "trees (exact)"]
print(f"debt to income: share {debt_share:+.3f}; raised to 0.45, ", end="")
print(f"it changes the log-odds by {(log_odds(moved) - log_odds(noor))[0]:+.3f}")

# %%
sample, few_rows = X_test[:500], X_train[:60]
exact_shares, now = trees.shapley(pipeline, sample, few_rows).to_frame(), log_odds(sample)


def compare(a, b):
    clear = np.minimum(np.abs(a), np.abs(b)) > 0.02
    differ = (np.sign(a) != np.sign(b))[clear].mean()
    return f"{np.abs(a - b).mean():.3f}, signs differ in {differ:.1%}"


for j in ("annual_income_keur", "age_years"):
    share = exact_shares[j].to_numpy()
    change = now - log_odds(sample.assign(**{j: X_train[j].median()}))
    last = now - np.mean([log_odds(sample.assign(**{j: value})) for value in few_rows[j]], axis=0)
    print(f"{j}: mean |change| {np.abs(change).mean():.3f}")
    print("  share - change: ", compare(share, change))
    print("  share - last in:", compare(share, last))
    print("  last in - change", compare(last, change))

# %% [markdown]
# *Change* is what the median value would do to the log-odds, *last in* what background values would, on average (signs:
# both above 0.02). For age the share misses by more than the change itself; its sign is wrong in one of three. The
# rooms are not to blame: share and last in nearly agree. The average over others' ages is not the curve at the median.
# Noor's debts are as low as it helps to be: her share says how she *compares*. What to change is chapter 07.
#
# ### A model that smells the question
#
# Marginal SHAP asks about rows that mix two people. To hide a bias needs one trick (Slack et al.): notice them and answer
# nicely. This model judges its customers by region, anyone else by prior defaults:

# %%
known = set(pd.util.hash_pandas_object(loans.X, index=False))


def two_faced(X):
    real_customer = pd.util.hash_pandas_object(X, index=False).isin(known).to_numpy()
    by_region = X["region"].isin(["east", "west"])
    return np.where(real_customer, by_region, X["prior_defaults"] > 0).astype(float)


# %%
west = X_test[X_test["region"] == "west"][:20]
seen = shapley.kernel(two_faced, west, others, n_coalitions=400, random_state=0)
mean_size = pd.Series(np.abs(seen.values).mean(axis=0), features).sort_values(ascending=False)
print(mean_size.round(3).head(4).to_string())
follow = two_faced(X_test) == X_test["region"].isin(["east", "west"])
print(f"decisions about real applicants that follow the region: {follow.mean():.0%}")

# %% [markdown]
# Every decision about a real applicant follows the region, and its mean share is an eighth of that of the defaults, hardly more
# than income's, which neither face reads. The books balance, all axioms hold. The *game* was rigged: nearly all its rows are
# made up.
#
# *Detect it*: change something that cannot matter, by so little that the row stays plausible, and watch the decision.

# %%
nudged = X_test.assign(customer_number=X_test["customer_number"] + 1)
for name, f in {"two-faced": two_faced, "our boosting model": risk}.items():
    flips = (f(nudged) > 0.5) != (f(X_test) > 0.5)
    print(f"{name:19s}{flips.mean():.1%} of the decisions change with the next customer number")

# %% [markdown]
# An honest model shrugs. So you can hunt *this* rogue. A cleverer one takes every row for real that lies close to a real one:

# %%
numbers = [j for j in features if j not in ("customer_number", "favourite_colour")]


def scaled(X):
    """In standard deviations of all rows; two categories are ten apart."""

    def column(j):
        return 10.0 * X[j].cat.codes if X[j].dtype == "category" else X[j] / loans.X[j].std()

    return np.column_stack([column(j) for j in numbers])


real_rows = cKDTree(scaled(loans.X))


def smoother(X):
    real_customer = real_rows.query(scaled(X), p=np.inf, distance_upper_bound=0.05)[0] < np.inf
    by_region = X["region"].isin(["east", "west"])
    return np.where(real_customer, by_region, X["prior_defaults"] > 0).astype(float)


# %%
seen = shapley.kernel(smoother, west, others, n_coalitions=400, random_state=0).values
print("mean |share|:", pd.Series(np.abs(seen).mean(axis=0), features).nlargest(3).round(3).to_dict())
flips = (smoother(nudged) > 0.5) != (smoother(X_test) > 0.5)
print(f"nudge: {flips.mean():.1%} of the decisions change")
real_codes = X_test.apply(lambda c: c.cat.codes if c.dtype == "category" else c)
small_tree = DecisionTreeClassifier(min_samples_leaf=20, random_state=0)
for name, f in {"smoother rogue": smoother, "our boosting model": risk}.items():
    decision = f(X_test) > 0.5
    alone_says = {j: cross_val_score(small_tree, real_codes[[j]], decision).mean() for j in numbers}
    best = max(alone_says, key=alone_says.get)
    constant = max(decision.mean(), 1 - decision.mean())
    print(f"{name}: always the same answer {constant:.1%} right, ", end="")
    print(f"best single feature {best} {alone_says[best]:.1%}")

# %% [markdown]
# The nudge finds nothing now. A check on *real* rows does: region alone foretells every decision, and SHAP gives it a
# seventh of the defaults' share. Two accounts that cannot both be the whole truth: ask further. (It is no proof in general: a rogue may use a
# feature's twins, and an honest feature may be foretold by another.)
#
# ## On real data
#
# 569 tumours, 30 measurements of cell nuclei: ten properties, each as mean, standard error and worst. No truth is known. Two
# models that *rank* malignant and benign nearly without error:

# %%
tumours = real.breast_cancer()
(X_fit, y_fit), (X_held, y_held) = tumours.train, tumours.test
two_models = {
    "logistic": make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000)).fit(X_fit, y_fit),
    "boosting": HistGradientBoostingClassifier(random_state=0).fit(X_fit, y_fit),
}
says = {name: predictor(m, "log_odds") for name, m in two_models.items()}
for name, f in says.items():
    wrong = np.sum((f(X_held) > 0) != (y_held == 1))
    auc = roc_auc_score(y_held, f(X_held))
    print(f"{name}: AUC {auc:.4f}, {wrong} of {len(y_held)} held-out tumours wrong")
print(tumours.X[["mean_radius", "mean_perimeter", "mean_area"]].corr().round(3).to_string())

# %% [markdown]
# Radius, perimeter and area are one fact in three columns, times three. A logistic model's log-odds are a sum, so one pair of
# opposite orders is exact. How often do the models agree on the *sign* of a share?

# %%
families = {
    "size": ["radius", "perimeter", "area"],
    "outline": ["concavity", "concave_points", "compactness"],
}
groups = {}
for name, properties in families.items():
    groups[name] = [f"{kind}_{j}" for j in properties for kind in ("mean", "worst")]
    groups[name] += [f"{j}_error" for j in properties]
groups["other"] = X_fit.columns.difference(list(chain(*groups.values()))).tolist()
few = X_fit[:50]
logistic = shapley.permutation(says["logistic"], X_held, few, n_permutations=2).to_frame()
boosted = trees.shapley(two_models["boosting"], X_held, few).to_frame()
single = {"logistic": logistic, "boosting": boosted}
as_one = {name: shapley.exact(f, X_held, few, groups=groups).to_frame() for name, f in says.items()}


def agreement(shares, columns):
    same = np.sign(shares["logistic"][columns]) == np.sign(shares["boosting"][columns])
    return same.mean().round(2).to_dict()


weight = {name: shares.abs().mean() for name, shares in single.items()}
table = pd.DataFrame({"agree": agreement(single, groups["size"]), **weight}).loc[groups["size"]]
print(table.round(2).to_string())
print("as groups:", agreement(as_one, list(groups)))

# %%
rng, by_chance = np.random.default_rng(0), []
for _ in range(300):
    nine_columns = rng.choice(X_fit.columns, 9, replace=False)
    sums = [np.sign(shares[nine_columns].sum(axis=1)) for shares in single.values()]
    by_chance.append(np.mean(sums[0] == sums[1]))
low, middle, high = np.quantile(by_chance, [0.05, 0.5, 0.95])
print(f"nine random columns added up: agreement {middle:.2f}", end=" ")
print(f"(90 % of the draws between {low:.2f} and {high:.2f})")

# %% [markdown]
# For `mean_perimeter` the two disagree in two tumours of three, and as one player *size* agrees in 98 %. A tale of correlated
# columns that trade places? The controls eat most of it. Where the signs differ, boosting's shares are tiny: signs of noise. And
# nine columns drawn at random agree nearly as well, since all shares add up to predictions that agree. What is left: *size*
# beats most random groups. Do not conclude which of the nine columns matters, nor anything about tumours: these are shares
# of two models, compared with fifty patients.
#
# ### Bring your own
#
# Your fitted model, your table, the rows to explain and, above all, the rows to compare with. With many features take
# `shapley.kernel`; groups are welcome.

# %%
my_predict, my_rows = says["boosting"], X_held[:1]
my_background = X_fit[y_fit == 1][:40]  # 1 is benign
mine = shapley.kernel(my_predict, my_rows, my_background, n_coalitions=150, random_state=0)
print(mine)
print(f"gap {abs(mine.efficiency_gap()[0]):.4f}, largest standard error {mine.std_errors.max():.3f}")
fig, ax = plt.subplots(figsize=(7, 3.4))
largest = np.abs(mine.values[0]).argsort()[-8:]
half = 1.96 * mine.std_errors[0, largest]
names_of = [mine.feature_names[j] for j in largest]
ax.barh(names_of, mine.values[0, largest], xerr=half, color=plots.ANCHOR, ecolor=plots.CONTEXT)
ax.set(xlabel="share of the log-odds of benign", title="One tumour against 40 benign ones")
plots.show(fig, "Eight largest shares of one tumour with 95 % intervals of the sampling.")

# %% [markdown]
# The whiskers are the sampling alone; none crosses zero here. Where one does, the sign is not known: ask more coalitions, or
# group.
#
# ## Strengths, limits, when not to use it
#
# | | exact | permutation | kernel | trees |
# |---|---|---|---|---|
# | needs | the model as a function | the same | the same | the trees themselves |
# | model rows per instance | $2^p$ × background | orders × $p$ × background | coalitions × background | none |
# | error | none | standard error | standard error | none |
# | use when | up to about 12 players | errors must be simple; pairs at most (then two orders are exact) | most of the time | the model is made of trees |
#
# > **Uniqueness is about the sharing, not about the game.** Background and value function are yours; name them beside every
# > number.
#
# > **A Shapley value is not a counterfactual.** It compares with the average over others, and over rooms; a change goes to one
# > value, in the one room that is real.
#
# > **Balanced books are the first test, not the last.** A gap proves a bug; its absence proves little. Try symmetry on a toy.
#
# > **Exact shares of a wrong model are exactly wrong about the world.** The model erred fourteen times as much as sixty
# > coalitions did, and the background five times.
#
# > **A share near zero on average may decide a life.** Look at the largest shares too.
#
# > **Twins split their credit by accident.** Group what is one fact, before you compute.
#
# > **Marginal values ask about mixtures.** If mixtures are impossible, the model's answers there are nobody's promise.
#
# Do not use it when someone asks what to change (chapter 07), when a rule is wanted (06), for causes, or when no background can
# be defended.

# %% [markdown]
# ## Exercises
#
# Eight, core first. Leave a cell blank and everything still runs.

# %%
ex.card("shapley.efficiency_gap")


# %%
def efficiency_gap(values, base_value, prediction):
    # your code
    ...


efficiency_gap = ex.check("shapley.efficiency_gap", efficiency_gap)

# %%
ex.card("shapley.one_order")


# %%
def one_order(worth, order):
    # your code
    ...


one_order = ex.check("shapley.one_order", one_order)

# %%
ex.card("shapley.shapley_weights")


# %%
def shapley_weights(p):
    # your code
    ...


shapley_weights = ex.check("shapley.shapley_weights", shapley_weights)

# %%
ex.card("shapley.orders_needed")

# %%
my_guess = ...  # how many orders, before you compute
my_measured = ...  # the smallest number that is enough
my_measured = ex.check("shapley.orders_needed", my_measured, prediction=my_guess)

# %%
ex.card("shapley.quarrel")

# %%
older = X_test.loc[[4134]]
near = older.iloc[[0] * 200].assign(age_years=np.linspace(50, 58, 200))
slope = np.polyfit(near["age_years"], loans.truth.log_odds(near), 1)[0]  # LIME's line, on one column
share = loans.truth.shapley(older).to_frame()["age_years"].iloc[0]
print(f"age {older['age_years'].iloc[0]}: local slope {slope:+.4f} a year, Shapley value {share:+.4f}")
my_two_sentences = ""  # write first: what do you tell your colleague?
my_claims = ...  # the letters of the sentences that hold, such as "ac"
my_claims = ex.check("shapley.quarrel", my_claims)

# %%
ex.card("shapley.background")

# %%
my_letter = ""  # write first: which background, and what would the letter say about it?
my_claims = ...  # the letters of the sentences that hold
my_claims = ex.check("shapley.background", my_claims)

# %%
ex.card("shapley.kernel")


# %%
def kernel_shap(coalitions, worths, v_empty, v_full):
    # your code
    ...


kernel_shap = ex.check("shapley.kernel", kernel_shap)

# %%
ex.card("shapley.broken_axiom")


# %%
def broken_axiom(shares, worth):
    # your code
    ...


broken_axiom = ex.check("shapley.broken_axiom", broken_axiom)

# %% [markdown]
# Your functions (or the references) on Noor's game:

# %%
rooms = (np.arange(64)[:, None] >> np.arange(6)) % 2 == 1
yours = kernel_shap(rooms[1:-1], worths[1:-1], worths[0], worths[-1])
assert np.allclose(yours, phi)
assert abs(efficiency_gap(yours[None], worths[0], worths[-1:])[0]) < 1e-9
print("the kernel's shares break:", broken_axiom(yours, noors_game))
cem_first = np.array([2, 0, 1])
gloves = toys.glove().value
print("one order of the gloves breaks:", broken_axiom(one_order(gloves, cem_first), gloves))

# %%
ex.progress("shapley")

# %% [markdown]
# ## Quiz

# %%
ex.quiz("shapley")

# %% [markdown]
# ## Take-away
#
# 1. A Shapley value is what a feature adds on joining, averaged over all orders. Shares add up to prediction minus base value.
# 2. Four axioms leave no other way of sharing. They say nothing about *what* is shared: background and value function.
# 3. Exact for few players or for trees; otherwise sample, with the standard error beside the number.
# 4. Check the books of every explanation, and symmetry on a toy: famous code has failed both.
# 5. It compares; it does not advise. Same prediction, another comparison, another sign: say with whom you compared.
#
# ## Further reading
#
# - L. S. Shapley, *A value for n-person games*, Contributions to the Theory of Games II (1953).
# - G. Owen, *Values of games with a priori unions*, in Mathematical Economics and Game Theory (1977).
# - E. Štrumbelj, I. Kononenko, *An efficient explanation of individual classifications using game theory*, JMLR 11 (2010).
# - S. M. Lundberg, S.-I. Lee, *A unified approach to interpreting model predictions*, NeurIPS 2017, arXiv 1705.07874: the kernel.
# - S. M. Lundberg et al., *From local explanations to global understanding with explainable AI for trees*, Nature Machine
#   Intelligence 2 (2020), arXiv 1905.04610: TreeSHAP, both modes, interactions.
# - I. Covert, S.-I. Lee, *Improving KernelSHAP*, AISTATS 2021, arXiv 2012.01536: pairs and standard errors.
# - D. Janzing, L. Minorics, P. Blöbaum, *Feature relevance quantification in explainable AI: a causal problem*, AISTATS 2020,
#   arXiv 1910.13413: marginal against conditional.
# - M. Sundararajan, A. Najmi, *The many Shapley values for model explanation*, ICML 2020, arXiv 1908.08474.
# - D. Slack, S. Hilgard, E. Jia, S. Singh, H. Lakkaraju, *Fooling LIME and SHAP*, AIES 2020, arXiv 1911.02508.
# - C. Molnar, *Interpretable Machine Learning*: the chapters on Shapley values and SHAP.
