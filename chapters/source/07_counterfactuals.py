# %% [markdown]
# # Counterfactuals
#
# What would have to change? You will compute the smallest change that flips a decision, find out why the first answer is
# useless, repair it until it could stand in a letter, and then count how often such a letter is wrong.
#
# **Estimated time:** 115 minutes
#
# **What you need first:** a model as a function of a table ([chapter 02](02_permutation_importance.ipynb)), and why rows that
# cannot exist are dangerous ([chapter 03](03_effects.ipynb)).
#
# **Why care?** A list of reasons says why the bank said no. A person who was turned down asks something else: what would make
# it say yes? A counterfactual answers that question about the *model*. Whether it helps the person is a different matter, and
# this chapter measures how different.

# %%
import contextlib
import io
import random

import dice_ml
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import torch
from sklearn.base import clone
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeClassifier

from xailib import counterfactuals, lab, plots, predictor, worlds, zoo
from xailib import exercises as ex
from xailib.evaluation import mean_interval
from xailib.worlds import real

# %% [markdown]
# ## Warm-up

# %%
ex.warmup("counterfactuals")

# %% [markdown]
# ## The story
#
# A bank's model turned Mara down. She is thirty, earns 39,500 a year (one keur is 1,000 euro) and asked for 15,500. The bank
# denies when default is more likely than not, and its boosting model says so, if barely. She has one question: *what would
# have to change?*

# %%
world = worlds.loans()
applicants, rule = world.train[0], world.truth
held_out = world.test[0]
predict = predictor(zoo.load("loans-boosting"))
mara = held_out.loc[[5149]]
print(mara.iloc[0, :7].to_string())
print(f"risk by the model {predict(mara)[0]:.4f}, true risk {rule.predict(mara)[0]:.4f}")

# %% [markdown]
# So we ask a program for the nearest row that the model approves. Everything may change but the customer number. "Nearest"
# will need a definition; for now see what comes back.

# %%
first = counterfactuals.search(predict, mara, applicants, immutable=["customer_number"])
print(first.to_frame().round(4).to_string())

# %% [markdown]
# *You should have opened your first account half a year earlier.* True, about this model; and of no use to Mara. She is not
# the only one who gets such an answer. Fifty denied applicants, and what their nearest yes would take:

# %%
denied = held_out[predict(held_out) > 0.5][:50]
nearest = counterfactuals.search_many(predict, denied, applicants, immutable=["customer_number"])
past_or_body = {"age_years", "credit_age_years", "prior_defaults", "height_cm", "height_in", "region"}
useless = np.mean([bool(past_or_body & set(result.changed[0])) for result in nearest])
print(f"{len(denied)} denied; the answer asks for another past, body or region: {useless:.2f}")
print(pd.Series([name for result in nearest for name in result.changed[0]]).value_counts().to_string())

# %% [markdown]
# About a third are told to have another past, another height or another home. Nothing is broken: we asked for the *nearest*
# row and got it. We did not say what a person can do.
#
# ## By hand
#
# A bank with a straight line. Score = 2.3 - 0.05 × income - 0.02 × age + 0.04 × loan (keur and years); above zero it denies.
# An applicant earns 40, is 30 years old and asks for 15:
#
# 2.3 - 2.0 - 0.6 + 0.6 = **+0.3**, denied. Three ways to zero, one feature at a time:
#
# | feature | weight | needed | in words | MAD | needed / MAD |
# |---|---|---|---|---|---|
# | income | -0.05 | 0.3 / 0.05 = **+6** | earn 6,000 more | 12 | **0.50** |
# | loan | +0.04 | 0.3 / 0.04 = **-7.5** | ask for 7,500 less | 5 | 1.50 |
# | age | -0.02 | 0.3 / 0.02 = **+15** | be fifteen years older | 9 | 1.67 |
#
# Six is the smallest number in the third column. But would it still be if income were counted in euro?

# %%
w, b = np.array([-0.05, -0.02, 0.04]), 2.3
x, mad = np.array([40.0, 30.0, 15.0]), np.array([12.0, 9.0, 5.0])
score = w @ x + b
needed = -score / w
print(f"score {score:.1f}; needed", needed.round(1), "; in MADs", (np.abs(needed) / mad).round(2))

# %% [markdown]
# In euro it would be 6,000 against 15 years, and age would win. A distance needs a unit for each feature. Wachter, Mittelstadt
# and Russell take the **median absolute deviation** (MAD): the median of how far people are from the median. Half of the
# applicants differ from the median by less. Then they add up:
#
# $$d(x, x') = \sum_j \frac{|x_j - x'_j|}{\mathrm{MAD}_j}, \qquad \mathrm{MAD}_j = \mathrm{median}_i\,|x_{ij} -
# \mathrm{median}_l\,x_{lj}|$$
#
# Adding absolute values matters: a unit of distance buys $|w_j|\,\mathrm{MAD}_j$ of score, so everything goes to the one
# feature where that is largest. Squares (L2) would spread it over all:

# %%
line = {"weights": w, "intercept": b, "instance": x, "scale": mad}
for norm in ("l1", "l2"):
    best = counterfactuals.nearest_linear(**line, norm=norm)
    print(norm, best.rows.to_numpy()[0].round(2), f"distance {best.distances[0]:.4f}")
capped = counterfactuals.nearest_linear(**line, upper=[43.0, 30.0, 15.0])
print("income at most 43:", capped.rows.to_numpy()[0].round(2), f"distance {capped.distances[0]:.4f}")


# %% [markdown]
# With a limit on income the cheapest feature is filled first and the next one takes over: 3,000 more income and a loan
# smaller by 3,750.
#
# ## In thirty lines
#
# For a curved score there is no formula. Wachter's objective trades a miss against distance, with $u_j = (x'_j -
# x_j)/\mathrm{MAD}_j$:
#
# $$\min_u \; \lambda\,\bigl(f(x') - y'\bigr)^2 + \sum_j |u_j|$$
#
# A small $\lambda$ says "stay", a large one "arrive". Raise it until the score fits (*annealing*). Each step follows the
# gradient $g$ of the score with a step $\eta = 1/(2\lambda\,g \cdot g)$, and then shrinks every change by $\eta$, the price of
# distance. What is not worth its price becomes exactly zero.


# %%
def wachter(f, x, y, mad, tolerance=1e-3):
    x, mad = torch.as_tensor(x), torch.as_tensor(mad)
    u, weight = torch.zeros_like(x), 0.1
    while abs(f(x + mad * u) - y) > tolerance:
        for _ in range(100):
            u.requires_grad_()
            miss = f(x + mad * u) - y
            (g,) = torch.autograd.grad(miss, u)
            step = 1 / (2 * weight * (g @ g))
            v = (u - step * 2 * weight * miss * g).detach()
            u = v.sign() * (v.abs() - step).clamp(min=0)
        weight *= 2
    return (x + mad * u).numpy()


# %%
print("line ", wachter(lambda z: z @ torch.as_tensor(w) + b, x, 0.0, mad).round(2))
curved = lambda z: 1.5 - (z[0] / 30) ** 2 + z[2] / 20 - 0.01 * z[1]
print("curve", wachter(curved, x, -0.2, mad).round(2), f"from a score of {curved(x):.4f} to -0.2")


# %% [markdown]
# On the line it finds the answer by hand: 46. On the curve again one feature moves.
#
# ## The library way
#
# `counterfactuals.gradient` is the same descent with a safer step and limits. It needs a torch module:


# %%
class Bank(torch.nn.Module):
    def forward(self, rows):
        return torch.stack([curved(row) for row in rows])


by_gradient = counterfactuals.gradient(Bank(), x, target=-0.2, scale=mad)
assert np.abs(by_gradient.rows.to_numpy()[0] - wachter(curved, x, -0.2, mad)).max() < 0.1
print("ok: equal to the thirty lines;", by_gradient)

# %% [markdown]
# Gradients are no use for trees, and categories have none. `counterfactuals.search` asks any model: lines through the
# instance, pairs of features, values of the nearest approved applicants; then it takes every change back as far as the
# decision allows. First the units. What is the MAD of a column in which nearly everyone has the same value?

# %%
units = counterfactuals.mad_scale(applicants)
shown = ["annual_income_keur", "credit_age_years", "prior_defaults", "on_fraud_list", "employment"]
print(units.loc[shown].round(4).to_string())

# %% [markdown]
# On the fraud list is one in 200, so half of the applicants differ from the median by zero: **the MAD is zero**. Dividing by
# it is impossible, and DiCE then divides by 1, which makes "get off the list" as cheap as one year of age is for someone whose
# MAD is 1. We fall back on the *mean* absolute deviation: leaving the list costs about 200. A category has no spread; a change
# costs 1. All of this is convention. Print the table before you believe a distance.
#
# ### Limits: what may change
#
# The past stays, the body stays, the region stays. Income may only rise, debts and loan only fall:

# %%
free = ["annual_income_keur", "open_loans", "debt_to_income", "loan_amount_keur", "employment"]
locked = [name for name in applicants if name not in free]
ways = dict.fromkeys(["open_loans", "debt_to_income", "loan_amount_keur"], "decrease")
limits = {"immutable": locked, "direction": ways | {"annual_income_keur": "increase"}}
advice = counterfactuals.search(predict, mara, applicants, **limits, n_counterfactuals=4)
print(advice.to_frame().round(4).to_string())

# %%
ax = advice.plot()
ax.set_title("Four ways to a yes for Mara")
plots.show(ax.figure, "Arrows for Mara's four options: earn more, ask for less, less debt and loan, or a new post and a raise.")

# %% [markdown]
# Each arrow is one feature in one option (its number in brackets), drawn in units of the feature's MAD; a diamond is a
# changed category. Earning 5,800 more is nearest; asking for 5,500 less is the second. An option that does all another one
# does, and more, is left out. What the picture does not say: whether a MAD of income is as hard to get as a MAD of loan. For
# Mara, asking for less is probably the easier one.
#
# ### More wishes: sparse, plausible, diverse
#
# `max_changed` and `sparsity` limit the number of changes, `ranges` their size, `diversity` pays for being unlike the options
# already chosen. `plausibility` keeps rows near the data: their *isolation* is the share of data rows that are closer to their
# neighbours.

# %%
tight = {"annual_income_keur": (0, 41.5)}
wishes = {
    "at most 41.5 keur": {"ranges": tight},
    "and one change only": {"ranges": tight, "max_changed": 1},
    "and asking for 12 or more": {"ranges": tight | {"loan_amount_keur": (12, 99)}},
    "nothing but income to 41.5": {"ranges": tight, "immutable": [*locked, *free[1:]]},
}
for name, wish in wishes.items():
    found = counterfactuals.search(predict, mara, applicants, **limits | wish)
    changes = found.to_frame().round(4).iloc[-1].to_dict() if found.found else found.reason
    print(f"{name}: {changes}")


# %% [markdown]
# The last answer matters most: *none found*, with the number of rows tried. It is a search, not a proof. (For a line in a box
# and for a single tree there are proofs; see below.)
#
# ### DiCE beside it
#
# `dice-ml` is the best-known package. It offers three methods: *random* (change features at random until valid), *genetic*
# (evolve), *kdtree* (nearest data rows). Same model, same five free features, four options for each of three applicants. A
# counter sits between package and model; seconds stand in `make bench`, because they differ between machines.


# %%
class Counted:
    def __init__(self, model):
        self.model, self.rows, self.calls, self.classes_ = model, 0, 0, model.classes_

    def predict_proba(self, X):
        self.rows, self.calls = self.rows + len(X), self.calls + 1
        return self.model.predict_proba(X)

    def predict(self, X):
        return (self.predict_proba(X)[:, 1] > 0.5).astype(int)


# %%
levels = dict.fromkeys(["employment", "region", "favourite_colour"], str)  # DiCE wants text
numbers = [name for name in applicants if name not in levels]
table = applicants.astype(levels).assign(default=world.train[1])
data = dice_ml.Data(dataframe=table, continuous_features=numbers, outcome_name="default")


def dice(method, instance, model):
    explainer = dice_ml.Dice(data, dice_ml.Model(model=model, backend="sklearn"), method=method)
    how = {"total_CFs": 4, "desired_class": "opposite", "features_to_vary": free}
    random.seed(0), np.random.seed(0)  # noqa: NPY002, DiCE draws from these
    with contextlib.redirect_stderr(io.StringIO()), contextlib.redirect_stdout(io.StringIO()):
        try:
            answer = explainer.generate_counterfactuals(instance.astype(levels), **how)
        except Exception as problem:  # it raises when it finds none
            return applicants[:0], type(problem).__name__
    rows = answer.cf_examples_list[0].final_cfs_df[list(applicants)]
    return rows.astype(applicants.dtypes.to_dict()), ""


# %%
three, scores, problems = denied.iloc[[0, 2, 3]], [], set()
for method in ("xailib", "random", "genetic", "kdtree"):
    for i in range(len(three)):
        model, one = Counted(zoo.load("loans-boosting")), three.iloc[[i]]
        if method == "xailib":
            how = {"immutable": locked, "n_counterfactuals": 4}
            rows = counterfactuals.search(predictor(model), one, applicants, **how).rows
        else:
            rows, problem = dice(method, one, model)
            problems.add((method, problem))
        quality = counterfactuals.quality(predict, one, rows, applicants)
        scores.append({"method": method, "calls": model.calls, "rows": model.rows} | quality)
print(pd.DataFrame(scores).groupby("method", sort=False).mean().round(2).T.to_string())
print(sorted(p for p in problems if p[1]))

# %% [markdown]
# Means of three applicants. All that is returned is valid. The nearest of ours is several times nearer; kdtree finds nothing
# as soon as a continuous feature is held. Where DiCE is ahead: **diversity**, the mean distance between options, and the
# reason is the distance itself: rows far from Mara are far from each other. At equal numbers of different feature sets ours
# are just closer. And random asks for fewer rows than we do: it stops at the first valid ones, and does not look for near
# ones.
#
# ## Lab: the loan officer's desk
#
# Lock features, limit the raise and the loan, ask for alternatives and for a safety margin. Predict first: Mara's income and
# employment stay; what is left for her?

# %%
playground = lab.counterfactuals.desk_lab()
playground

# %%
playground.filmstrip()

# %%
print(lab.counterfactuals.desk_lab().user_sets(raise_keur=3))


# %% [markdown]
# Left: changes in per cent, numbered by option; the pale bands are your limits. Right: the risk by the model (bars), the true
# risk (diamonds), and the line below which the bank says yes. The desk holds steps of 1,000 euro and tenths of the loan, all
# scored beforehand. Watch the diamonds while you move the margin: they do not follow the bars.
#
# ## Graded against the truth
#
# ### Is it really the nearest?
#
# Where the boundary is known, so is the best distance. A line in a box: fill the cheapest feature, then the next. A tree: its
# leaves are boxes; go to the nearest point of each box on the other side. (A forest has a box for every *combination* of
# leaves. That is why nobody does this for forests.)


# %%
def box(X, x):
    return {"lower": np.minimum(X.min(axis=0), x), "upper": np.maximum(X.max(axis=0), x)}


ratios = {"line": [], "line with locks": [], "tree of depth 5": []}
for seed in range(30):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(300, 6)) * [1, 10, 0.1, 5, 2, 1]
    w, b = rng.normal(size=6) / X.std(axis=0), rng.normal()
    mads, x = counterfactuals.mad_scale(X)["scale"].to_numpy(), X[0]
    for name, fixed in {"line": [], "line with locks": [0, 1]}.items():
        best = counterfactuals.nearest_linear(w, b, x, scale=mads, immutable=fixed, **box(X, x))
        ours = counterfactuals.search(lambda Z: Z @ w + b, x[None], X, threshold=0, immutable=fixed)
        ratios[name] += [ours.distances[0] / best.distances[0]] if best.found else []
    y = X[:, 0] * X[:, 1] / 10 + np.sin(X[:, 4]) > 0.3
    tree = DecisionTreeClassifier(max_depth=5, min_samples_leaf=5, random_state=0).fit(X, y)
    best = counterfactuals.nearest_leaf(tree, x, scale=mads, **box(X, x))
    ours = counterfactuals.search(predictor(tree), x[None], X, rounding=False)
    ratios["tree of depth 5"].append(ours.distances[0] / best.distances[0])

# %%
for name, ratio in ratios.items():
    mean, low, high = mean_interval(np.array(ratio))
    print(f"{name:16s}{len(ratio):3d} instances: distance / optimum {mean:.4f} ({low:.4f} to {high:.4f}), worst {max(ratio):.4f}")

# %% [markdown]
# Within two per cent of the best in every one of these, and mostly within a thousandth. (In deeper trees a thin sliver between
# two splits can hide from any search that only asks; no search of this kind comes with a guarantee.)
#
# ### Does it convince the world?
#
# So the search does its work. Now the model. Each of the fifty nearest rows convinces the *model*; how many have a true risk
# of one half or less? As a control the same question with the rule itself as model.

# %%
rows = pd.concat([result.rows for result in nearest])
by_rule = held_out[rule.predict(held_out) > 0.5][:60]
control = counterfactuals.search_many(rule.predict, by_rule, applicants, immutable=["customer_number"])
control_rows = pd.concat([result.rows for result in control])
for name, z in {"trained model": rows, "the rule": control_rows}.items():
    print(f"{name:14s}true risk at most one half: {(rule.predict(z) <= 0.5).mean():.2f}")

# %%
gap_before = rule.predict(denied) - predict(denied)
gap_after = rule.predict(rows) - predict(rows)
for name, gap in {"before": gap_before, "after": gap_after, "growth": gap_after - gap_before}.items():
    print("true risk minus the model's, {:7s}{:+.4f} ({:+.4f} to {:+.4f})".format(name, *mean_interval(gap)))


# %% [markdown]
# With the rule as model all of them, by construction: the search did not err. With the trained model 28 %. Before the
# change the model's risk cannot be told from the true one, on average. After it the true risk is seven and a half points higher
# than the model says: the gap *grew* on the way. A search for the nearest yes is also a search for the places where the model
# errs in your favour.
#
# ### Is it the reason?
#
# In some countries a bank must name the *principal reasons*. Take the rule as model and its exact Shapley values: which feature
# adds most to the risk? Is it the one that the nearest counterfactual changes most?


# %%
def largest_change(result):
    moves = {}
    for name, s in zip(result.rows, result.scale, strict=True):
        before, after = result.instance[name].iloc[0], result.rows[name].iloc[0]
        moves[name] = (before != after) if isinstance(before, str) else abs(after - before) / s
    return max(moves, key=moves.get)


shapley = rule.shapley(by_rule)
reason = [shapley.feature_names[j] for j in shapley.values.argmax(axis=1)]
hit = np.array([r == largest_change(c) for r, c in zip(reason, control, strict=True)], float)
print("named as reason  ", pd.Series(reason).value_counts().head(3).to_dict())
print("changed the most ", pd.Series(map(largest_change, control)).value_counts().head(3).to_dict())
print("the same feature: {:.2f} ({:.2f} to {:.2f})".format(*mean_interval(hit)))

# %% [markdown]
# > **Pitfall. A nearest counterfactual need not name the principal reason.** It names what is cheap to change. Past defaults
# > are the largest reason for half of them; one default is dear in MADs, so income is changed instead. If both are owed, send
# > both, and do not mix them up.
#
# ### A fairness probe, and one that proves nothing
#
# Flip the protected group and look whether the decision changes. Then flip its proxy, the region.

# %%
group = rule.group[held_out.index]
denial = predict(held_out) > 0.5
print("denied:", {g: round(float(denial[group == g].mean()), 4) for g in "AB"})
print(f"decisions changed by flipping the group: {0 / len(held_out):.4f}, for no column of {len(held_out.columns)} holds it")
regions = held_out["region"].cat.categories
for region in regions:
    moved = held_out.assign(region=pd.Categorical([region] * len(held_out), categories=regions))
    print(f"everyone in the {region:6s} denied {(predict(moved) > 0.5).mean():.4f}")


# %% [markdown]
# > **Pitfall. A null flip is not fairness.** The model never sees the group, so flipping it changes nothing *by construction*.
# > Group B is denied more often all the same, and moving everyone from north to west raises the denials by nearly a half. The
# > region carries the group.
#
# ## Break it: advice that fails
#
# ### Rows that cannot exist
#
# Three facts of this world: nobody's first account is older than their eighteenth birthday; each open loan takes a tenth of
# the income, on top of five hundredths; centimetres and inches tell the same height. Criterion: a counterfactual that breaks
# one is impossible.


# %%
def possible(z):
    account = z["credit_age_years"] <= z["age_years"] - 18 + 1e-9
    debt = z["debt_to_income"] >= 0.05 + 0.1 * z["open_loans"] - 0.0051  # rounded to two decimals
    height = (z["height_in"] - z["height_cm"] / 2.54).abs() <= 0.0501
    return (account & debt & height).to_numpy()


print(f"impossible: {1 - possible(world.X).mean():.2f} of the applicants, {1 - possible(rows).mean():.2f} of the counterfactuals")
isolated = counterfactuals.isolation(rows, applicants)
for name, who in {"possible": possible(rows), "impossible": ~possible(rows)}.items():
    print(f"{name:10s} {who.sum():2d} rows, mean isolation {isolated[who].mean():.2f}")

# %% [markdown]
# One in ten, and of the applicants none. Isolation suspects them on average (but five rows are few). Does a limit on it keep them out? And
# does it help to say the facts: age, account, loans and debt as they are, inches that follow centimetres?

# %%
same_height = {"height_in": lambda z: (z["height_cm"] / 2.54).round(1)}
facts = ["age_years", "credit_age_years", "open_loans", "debt_to_income"]
remedies = {
    "nothing": {"immutable": ["customer_number"]},
    "plausibility": {"immutable": ["customer_number"], "plausibility": 0.7},
    "facts": {"immutable": ["customer_number", *facts], "derived": same_height},
}
for name, remedy in remedies.items():
    found = counterfactuals.search_many(predict, denied[:25], applicants, **remedy)
    z = pd.concat([result.rows for result in found])
    print(f"{name:13s}{len(z)} found, impossible {1 - possible(z).mean():.2f}")

# %% [markdown]
# No: they are still there. Distance to data knows no facts: growing a centimetre without growing in inches is a *small* step. The remedy is to say
# the facts: `immutable`, `ranges`, and `derived` for a column that follows another one.
#
# ### Advice that expires
#
# Banks refit their models. Refit ours to resampled applicants, ten times, and hand in the old advice. Criterion: less than nine
# tenths still valid.

# %%
train_X, train_y = world.train
refits = {}
for name in ("loans-logistic", "loans-boosting"):
    draws = [np.random.default_rng(seed).integers(len(train_y), size=len(train_y)) for seed in range(10)]
    refits[name] = [predictor(clone(zoo.load(name)).fit(train_X.iloc[r], train_y[r])) for r in draws]


def survives(name, margin):
    f = predictor(zoo.load(name))
    ask = held_out[f(held_out) > 0.5][:25]
    found = counterfactuals.search_many(f, ask, applicants, **limits, margin=margin)
    z = pd.concat([result.rows for result in found])
    shares = np.array([(refit(z) <= 0.5).mean() for refit in refits[name]])
    return shares, len(z), np.mean([r.distances[0] for r in found if r.found]), (rule.predict(z) <= 0.5).mean()


# %%
lines = []
for name in refits:
    for margin in (0.0, 0.1, 0.2):
        shares, n, far, true_yes = survives(name, margin)
        mean, low, high = mean_interval(shares)
        lines.append((name, margin, mean, low, min(high, 1.0)))
        print(f"{name:15s}margin {margin}: valid after a refit {mean:.2f} ({low:.2f} to {min(high, 1):.2f}),", end=" ")
        print(f"{n} of 25 found, distance {far:.2f}, true risk at most one half {true_yes:.2f}")

# %%
fig, ax = plt.subplots(figsize=(6.2, 3.3))
for name, colour, mark in zip(refits, (plots.CONTEXT, plots.ANCHOR), "so", strict=True):
    part = np.array([line[1:] for line in lines if line[0] == name])
    ax.errorbar(part[:, 0], part[:, 1], yerr=[part[:, 1] - part[:, 2], part[:, 3] - part[:, 1]],
                color=colour, marker=mark, capsize=3, label=name)  # fmt: skip
ax.axhline(0.9, color=plots.POSITIVE, ls="--", lw=1.2, label="criterion")
ax.set(xlabel="margin (probability)", ylabel="share still valid", ylim=(0, 1.05), title="Advice after a refit")
ax.legend(loc="lower right")
plots.show(fig, "Without a margin about half to two thirds of the advice survives a refit; with a margin of 0.2 nearly all does.")

# %% [markdown]
# The nearest row sits on the boundary, where the next model says no as easily as yes: a mean over ten refits of the training
# rows, with its 95 % interval. A **margin** mends it and costs distance. Notice the last column of the text above: with the
# margin the true risk improves as well. What the figure does not show: refits on *other years*, or on another kind of model.
#
# ### Recourse is not causal
#
# Say Mara pays back a loan. The model sees one column fall. In this world each open loan takes a tenth of the income, so
# `debt_to_income` falls too, and the other way around: a lower ratio on paper, with the same loans, is not an action.

# %%
log_odds = lambda p: np.log(p / (1 - p))
someone = held_out[(predict(held_out) > 0.5) & (held_out["open_loans"] >= 3)][:200]
one_less = someone.assign(open_loans=someone["open_loans"] - 1)
in_the_world = one_less.assign(debt_to_income=(one_less["debt_to_income"] - 0.1).clip(lower=0.05).round(2))
for name, z in {"the column alone": one_less, "with what follows": in_the_world}.items():
    model_move = log_odds(predict(z)) - log_odds(predict(someone))
    true_move = rule.log_odds(z) - rule.log_odds(someone)
    print(f"{name:18s}model {model_move.mean():+.4f}, truth {true_move.mean():+.4f}")
noise = someone.assign(favourite_colour=someone["favourite_colour"].to_numpy()[::-1])
moved = np.abs(log_odds(predict(noise)) - log_odds(predict(someone)))
true_change = np.abs(rule.log_odds(noise) - rule.log_odds(someone)).max()
print(f"another colour     model up to {moved.max():.4f}, truth {true_change:.4f}")

# %% [markdown]
# Paying back one loan is worth twice as much in the world as the one column says, because another column follows. A
# counterfactual changes columns; a person changes causes. And a new favourite colour moves the model a little, the truth never:
# whoever games a proxy improves a score and nothing else.
#
# ## On real data
#
# 569 breast tumours, thirty measurements of their cells. A logistic regression finds the benign ones. (A medical model is a good
# test, because the question "what should change?" is absurd here: nobody can change cells. The honest use is to ask what the
# model *looks at*.)

# %%
tumours = real.breast_cancer()
X, y = tumours.train
logistic = make_pipeline(StandardScaler(), LogisticRegression(C=0.1, max_iter=1000)).fit(X, y)
benign, (X_held, y_held) = predictor(logistic), tumours.test
print(f"accuracy on {len(y_held)} held-out tumours {np.mean((benign(X_held) > 0.5) == y_held):.2f}")
some = X_held[benign(X_held) > 0.5][:20]
plain = counterfactuals.search_many(benign, some, X)
print(plain[0].to_frame().round(2).to_string())

# %%
forest = predictor(RandomForestClassifier(200, random_state=0).fit(X, y))
near = counterfactuals.search_many(benign, some, X, plausibility=0.8)
for name, found in {"nearest": plain, "plausible": near}.items():
    z = pd.concat([result.rows for result in found])
    lonely = counterfactuals.isolation(z, X)
    agree = (forest(z) <= 0.5).mean()
    print(f"{name:10s}{len(z)} found, distance {np.mean([r.distances[0] for r in found if r.found]):.1f},", end=" ")
    print(f"isolation {lonely.mean():.2f} (above 0.95: {(lonely > 0.95).mean():.2f}), a forest agrees on {agree:.2f}")
print(f"untouched tumours: isolation {counterfactuals.isolation(some, X).mean():.2f}, both models agree on", end=" ")
print(f"{np.mean((forest(X_held) > 0.5) == (benign(X_held) > 0.5)):.2f}")

# %% [markdown]
# On real tumours the two models nearly always agree; on the counterfactuals of one the other mostly does not follow. No truth is
# needed for this detector: **ask a second model**. What you may conclude: which columns this logistic regression weighs. What
# you may not: that a tumour with those two numbers changed exists, or would be malignant.
#
# ### Bring your own
#
# Put your model, one row, your table and your limits here. With a network, `real.adult()` or `real.compas()` are good tables.

# %%
my_predict, my_row, my_table = predict, denied.iloc[[3]], applicants
my_limits = limits | {"max_changed": 2}
mine = counterfactuals.search(my_predict, my_row, my_table, **my_limits, n_counterfactuals=3, margin=0.05)
print(mine)
print(mine.to_frame().round(4).to_string())

# %% [markdown]
# ## Strengths, limits, when not to use it
#
# | | nearest counterfactual | Shapley values | rule (anchor) |
# |---|---|---|---|
# | answers | what would change the decision? | how is the score shared out? | what keeps it as it is? |
# | needs | a unit for each feature, limits | a background | a perturbation |
# | for whom | the person who was turned down | the person who owns the model | the person who has to check cases |
#
# > **Near is a convention.** The unit of each feature decides the answer. Print the units.
#
# > **Valid is the only promise.** The model, today, on exactly this row. Not the next model, not the world.
#
# > **A search for the nearest yes finds the model's errors.** Grade the advice with the truth where you can, with a second model
# > where you cannot, and ask for a margin.
#
# > **"None found" is not "none exists".** Only a line or a tree lets you prove it.
#
# > **Advice is not a list of reasons,** and a list of reasons is not advice.
#
# Do not use counterfactuals when the law asks for principal reasons, when nobody can act on any feature, when features cause one
# another and you do not know how, or when the person will be judged by a later model without a word about it.

# %% [markdown]
# ## Exercises
#
# Six, core first. Leave a cell blank and everything still runs.

# %%
ex.card("counterfactuals.mad_distance")


# %%
def mad_distance(x, rows, data):
    # your code
    ...


mad_distance = ex.check("counterfactuals.mad_distance", mad_distance)

# %%
ex.card("counterfactuals.nearest_on_line")


# %%
def nearest_on_line(w, b, x, mad):
    # your code
    ...


nearest_on_line = ex.check("counterfactuals.nearest_on_line", nearest_on_line)

# %%
ex.card("counterfactuals.obeys")


# %%
def obeys(x, rows, fixed, only_up):
    # your code
    ...


obeys = ex.check("counterfactuals.obeys", obeys)

# %%
ex.card("counterfactuals.proxy")

# %%
my_guess = ...  # a share between 0 and 1, before you measure
my_measured = ...  # the share of them that the model approves once the region is north
my_measured = ex.check("counterfactuals.proxy", my_measured, prediction=my_guess)

# %%
ex.card("counterfactuals.letter")

# %%
my_two_sentences = ""  # write first: what would you dare to send to Mara?
my_claims = ...  # the letters of the sentences that hold, such as "ad"
my_claims = ex.check("counterfactuals.letter", my_claims)

# %%
ex.card("counterfactuals.sparsify")


# %%
def sparsify(is_valid, x, row, scale):
    # your code
    ...


sparsify = ex.check("counterfactuals.sparsify", sparsify)

# %%
ex.progress("counterfactuals")

# %% [markdown]
# ## Quiz

# %%
ex.quiz("counterfactuals")

# %% [markdown]
# ## Take-away
#
# 1. A counterfactual is the nearest row that the model decides otherwise; near needs a unit for each feature.
# 2. Without limits the nearest answer is often useless, and some of it impossible. Facts have to be said; distance does not know
#    them.
# 3. It is advice about a model, and the model is most easily convinced where it errs.
# 4. The nearest change is seldom the principal reason, and a null flip of a group is no fairness.
# 5. Advice expires with the model. A margin buys time, and costs distance.
#
# ## Further reading
#
# - S. Wachter, B. Mittelstadt, C. Russell, *Counterfactual explanations without opening the black box*, Harvard Journal of Law &
#   Technology 31 (2018), arXiv 1711.00399.
# - B. Ustun, A. Spangher, Y. Liu, *Actionable recourse in linear classification*, FAT* 2019, arXiv 1809.06514.
# - R. K. Mothilal, A. Sharma, C. Tan, *Explaining machine learning classifiers through diverse counterfactual explanations*, FAT*
#   2020, arXiv 1905.07697: DiCE.
# - A.-H. Karimi, B. Schölkopf, I. Valera, *Algorithmic recourse: from counterfactual explanations to interventions*, FAccT 2021,
#   arXiv 2002.06278.
# - S. Barocas, A. Selbst, M. Raghavan, *The hidden assumptions behind counterfactual explanations and principal reasons*, FAT*
#   2020, arXiv 1912.04930.
