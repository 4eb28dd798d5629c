# %% [markdown]
# # Glass boxes: models you can read
#
# Some models need no explanation, because they *are* one: a sum of a few curves, a short list of rules. You will build one in
# thirty lines, measure what readability costs in accuracy, edit a trained model by hand, and find out how a model that hides
# nothing can still mislead you.
#
# **Estimated time:** 130 minutes
#
# **What you need first:** [chapter 00](00_start_here.ipynb), and what a probability and a fitted model are.
#
# **Why care?** Every other chapter explains a black box afterwards, and every such explanation can be wrong about its model. If a
# model you can read is as accurate, you need none of them. If it is not, you should know the price before you pay it.

# %%
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from interpret.glassbox import ExplainableBoostingClassifier
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeClassifier, export_text

from xailib import effects, glassbox, lab, plots, predictor, worlds
from xailib import exercises as ex
from xailib.evaluation import mean_interval
from xailib.worlds import real
from xailib.zoo.tabular import tabular

# %% [markdown]
# ## Warm-up

# %%
ex.warmup("glassbox")

# %% [markdown]
# ## The story
#
# Ruth is 51, earns 30,200 euro a year, and long ago did not repay two loans. The bank says no. She may ask for the *principal
# reasons*, and someone has to write them down. The bank owns this model:

# %%
loans = worlds.loans()
(X, y), (X_test, y_test) = loans.train, loans.test
boosting = tabular("loans-boosting")
ruth = X_test[(X_test["age_years"] == 51) & (X_test["annual_income_keur"] == 30.2)]
leaves = sum(trees[0].get_n_leaf_nodes() for trees in boosting[-1]._predictors)
print(ruth.T.to_string(header=False))
print(f"\nprobability of default {predictor(boosting)(ruth)[0]:.2f}, from {boosting[-1].n_iter_} trees with {leaves} leaves")

# %% [markdown]
# The reasons are in there, spread over sixteen hundred leaves. One way out is to build a second model that explains the first.
# The other is to ask whether the bank needed sixteen hundred leaves at all.
#
# Guess now, and keep the guess: how many percentage points of accuracy does a model cost that fits on one page?
#
# ## By hand
#
# A small bank scores with three numbers:
#
# | | per | coefficient | average applicant | applicant | reason |
# |---|---|---|---|---|---|
# | income | 20 keur | -0.8 | 40 keur | 30 keur | -0.8 × (-10 / 20) = **+0.4** |
# | prior defaults | 1 | +1.5 | 0 | 1 | +1.5 × 1 = **+1.5** |
# | credit age | 5 years | -0.3 | 10 years | 5 years | -0.3 × (-5 / 5) = **?** |
#
# The average applicant has log-odds -1.4: a probability of 0.20. Coefficients read as **reasons**: coefficient times (value minus
# average). They add up in log-odds, and each multiplies the *odds* by its exponential. Before you run the cell: what is the third
# reason, and which way does the decision go?

# %%
coefficient = np.array([-0.8 / 20, 1.5, -0.3 / 5])  # per keur, per default, per year
average, applicant = np.array([40, 0, 10]), np.array([30, 1, 5])
reason = coefficient * (applicant - average)
log_odds = -1.4 + reason.sum()
print("reasons      ", reason.round(2), " factors on the odds", np.exp(reason).round(2))
print(f"log-odds      -1.4 + {reason.sum():.1f} = {log_odds:.1f}")
print(f"probability   {1 / (1 + np.exp(1.4)):.2f} becomes {1 / (1 + np.exp(-log_odds)):.2f}")

# %% [markdown]
# Denied, and the first reason is the prior default. Three things to keep.
#
# The **unit** decides which coefficient looks large: per keur, income has -0.04, the smallest of the three. Rank reasons, never
# coefficients.
#
# An odds ratio of 4.48 is **not** "4.48 times as likely": 0.20 would become 0.89. It became 0.69 with *all three* reasons
# together.
#
# And a reason is a comparison. Compared with applicants who have one default themselves, the default is no reason at all:

# %%
for name, compared_with in {"average": average, "one default": np.array([40, 1, 10])}.items():
    result = glassbox.linear_reasons(coefficient, applicant[None], background=compared_with[None], intercept=0.8)
    print(f"against {name:12s}", result.values[0].round(2), f"base value {result.base_value:+.2f}")


# %% [markdown]
# Same model, same applicant, same score, other reasons. A letter that hides its "compared with whom" hides half of the answer.
#
# ## In thirty lines
#
# A straight line per feature is a strong claim. Drop it and keep the sum: a **generalised additive model** has one free curve
# for each feature,
#
# $$\log\frac{p}{1-p} = c + \sum_j f_j(x_j).$$
#
# Cut each feature into bins and learn one number per bin, by boosting: go round the features, and let each repair a little of
# what is left ($\eta$ the learning rate, $\lambda$ holds thin bins back):
#
# $$f_j(b) \leftarrow f_j(b) + \eta \, \frac{\sum_{i \in b} (y_i - p_i)}{\sum_{i \in b} p_i (1 - p_i) + \lambda}$$


# %%
def bins_of(x, size=16):
    if x.dtype == "category":
        return x.cat.codes.to_numpy()
    values = np.unique(x)
    few = len(values) <= size
    cuts = (values[:-1] + values[1:]) / 2 if few else effects.grid_points(x, size)[1:-1]  # quantiles
    return np.searchsorted(cuts, x, side="right")


def additive_boosting(columns, y, rounds=60, eta=0.1, lam=5.0):
    curves = [np.zeros(b.max() + 1) for b in columns]
    score = np.full(len(y), np.log(y.mean() / (1 - y.mean())))
    for _ in range(rounds):
        for b, f in zip(columns, curves, strict=True):
            p = 1 / (1 + np.exp(-score))
            step = eta * np.bincount(b, y - p) / (np.bincount(b, p * (1 - p)) + lam)
            f += step
            score += step[b]
    return curves, score


# %%
columns = [bins_of(X[name]) for name in X]
curves, score = additive_boosting(columns, y)
print(f"{len(curves)} curves with {sum(map(len, curves))} numbers in all")
print("region:", dict(zip(X["region"].cat.categories, (curves[10] - curves[10][0]).round(2).tolist(), strict=True)))
print("rule:  ", loans.truth.shapes["region"].text)

# %% [markdown]
# That is a model of loans you can print on a page. Here are two of its curves beside the rule by which the world was made, both
# shifted so that the average applicant has height zero:

# %%
fig, axes = plt.subplots(1, 2, figsize=(9.4, 3.3), sharey=True)
for ax, name, unit in zip(axes, ("age_years", "debt_to_income"), ("age (years)", "debt to income"), strict=True):
    j, order = X.columns.get_loc(name), np.argsort(X[name].to_numpy())
    found = curves[j][columns[j]] - curves[j][columns[j]].mean()
    planted = loans.truth.centred_shape(name, X[name])
    print(f"{name:15s} root mean squared distance {np.sqrt(np.mean((found - planted) ** 2)):.2f} log-odds")
    ax.plot(X[name].iloc[order], planted[order], color=plots.TRUTH, lw=6, alpha=0.7, label="the rule")
    ax.plot(X[name].iloc[order], found[order], color=plots.ANCHOR, label="thirty lines")
    plots.rug(X[name].to_numpy(), ax)
    ax.set(xlabel=unit, title=f"What {unit.split(' (')[0]} adds")
axes[0].set_ylabel("log-odds of default"), axes[0].legend()
plots.show(fig, "Curves of age and debt ratio from the thirty lines are steps that follow the planted curves.")

# %% [markdown]
# Read it as a bill: at each value, what is added to the log-odds. Notice the valley of age, which no straight line could show,
# and the flat ends, where the outermost bin holds everybody from there on. What it does not say: how sure each step is. The ticks
# below are applicants; believe the curve where they are dense.
#
# ## The library way
#
# ### Logistic regression: units, odds, intervals
#
# `log_odds_table` is maximum likelihood with standard errors; the check is against scikit-learn without its penalty (on by
# default!). The step of each odds ratio is yours to choose.

# %%
some = ["age_years", "annual_income_keur", "prior_defaults", "loan_amount_keur", "region"]
table = glassbox.log_odds_table(X[some], y, per={"annual_income_keur": 10, "age_years": 10})
print(table.round(4).to_string())
design = glassbox.design_matrix(X[some])  # region becomes three 0/1 columns: north is what they are compared with
theirs = LogisticRegression(C=np.inf, solver="newton-cholesky", tol=1e-12).fit(design, y)
assert np.abs(table["coefficient"].to_numpy()[1:] - theirs.coef_[0]).max() < 1e-6
print("ok: equal to scikit-learn without penalty")

# %% [markdown]
# Read one line aloud: *for ten keur more, all else in this table equal, the odds of default are multiplied by 0.68; the data are
# compatible with 0.65 to 0.72.* The interval trusts that the log-odds are straight lines. For age they are a valley, and the
# table says, with a narrow interval, that older is safer.
#
# ### A short tree and a rule list
#
# A rule list is read from the top; the first rule that fits answers. Ours takes the rule that gains most log-likelihood among
# *all* pairs of conditions, then goes on with the rest.

# %%
rules = glassbox.rule_list(X, y)
print(rules)
tree = DecisionTreeClassifier(max_leaf_nodes=4, min_samples_leaf=50, random_state=0).fit(glassbox.design_matrix(X), y)
print(export_text(tree, feature_names=list(glassbox.design_matrix(X).columns), decimals=1))

# %% [markdown]
# In brackets: defaults of applicants that came to this rule. It is a model to take to a meeting. Note what a list is not: the
# second rule speaks only about those whom the first one left. Torn out of its place it may be false:

# %%
second = rules.rules[1]
alone = np.all([c.holds(X) for c in second.conditions], axis=0)
print(f"rule 2 in its place {second.n_positive / second.n_rows:.2f} defaults; on everyone whom it fits {y[alone].mean():.2f}")


# %% [markdown]
# ### The Explainable Boosting Machine
#
# `interpret`'s EBM is the thirty lines grown up: finer bins, tiny trees, early stopping, an average over several bags, and a few
# tables for pairs of features, which it searches for. Its defaults (14 bags) are slow on wide tables; these settings take about a
# second. `read_ebm` turns the fitted machine into the sum it is.


# %%
def new_ebm(interactions=3):
    return ExplainableBoostingClassifier(
        outer_bags=4,
        interactions=interactions,
        learning_rate=0.04,
        max_bins=128,
        max_interaction_bins=16,
        n_jobs=1,
        random_state=0,
    )


ebm = new_ebm().fit(X, y)
machine = glassbox.read_ebm(ebm)
print(machine)
print("pairs:", *machine.term_names[-3:], sep="\n  ")

# %% [markdown]
# Is it really the model, or a picture of it? Add up the terms yourself, on every row, and also on rows with missing numbers and
# with levels nobody has seen. And do our thirty lines agree with the library's version of them?

# %%
strange = X_test.assign(annual_income_keur=np.nan, region="overseas", prior_defaults=99)
for rows in (X_test, strange):
    terms = machine.contributions(rows)
    assert np.abs(terms.base_value + terms.values.sum(axis=1) - ebm.decision_function(rows)).max() < 1e-10
assert np.abs(glassbox.fit_additive(X, y).score(X) - score).max() < 1e-10
print("ok: intercept plus terms is the machine; thirty lines are fit_additive")

# %% [markdown]
# Now Ruth's letter writes itself. Terms centred over the training rows, so that "reason" means "compared with the average
# applicant":

# %%
centred = glassbox.purified(machine, X).contributions(ruth)
reasons = pd.Series(centred.values[0], centred.feature_names)
top = reasons[reasons.abs().sort_values(ascending=False).index][:6]
print(f"average applicant {centred.base_value:+.2f}, Ruth {centred.prediction[0]:+.2f} log-odds")
print(top.round(2).to_string())
print(f"all {len(reasons) - 6} others together {reasons.sum() - top.sum():+.2f}")

# %% [markdown]
# Nothing was estimated, and nothing is missing: base value plus all lines is her score. What the letter does *not* say is that
# fewer defaults would have caused a repayment, or what she should do now. That is chapter 7's question.
#
# ### A curve may be edited
#
# A model that is its own explanation can be corrected like a text. Suppose a rule demands that a longer credit history never
# counts against anyone. `edit_shape` pools neighbours that violate it, and leaves the old machine untouched.

# %%
history = glassbox.shape_functions(machine, X)["credit_age_years"]
obeying = glassbox.edit_shape(machine, "credit_age_years", monotone="decreasing")
repaired = glassbox.shape_functions(obeying, X)["credit_age_years"]
planted = loans.truth.centred_shape("credit_age_years", history.grid[0])
for name, curve, model in (("as learned", history, machine), ("edited", repaired, obeying)):
    accuracy = np.mean((model.score(X_test) > 0) == y_test)
    worst = np.abs(curve.values - planted).max()
    print(
        f"{name:11s} rises {np.sum(np.diff(curve.values) > 1e-9):2d} times; accuracy {accuracy:.4f}; farthest from rule {worst:.2f}"
    )
print(f"the pairs with it, left alone: {[name for name in machine.term_names if ' x ' in name and 'credit_age' in name]}")

# %% [markdown]
# The demand is met by the curve. But a pair table holds credit age as well, and there it may still count against someone: a
# monotone curve is a monotone model only without pairs.
#
# ## Lab: redraw a curve
#
# A real fitted machine, three applicants, 2,000 held-out loans. The bank adds half a log-odd for its poorest 30 %. Predict the
# accuracy first. Then flatten a whole curve, and watch the people rather than the percentages.

# %%
playground = lab.glassbox.shape_lab()
playground

# %%
playground.filmstrip()

# %%
print(lab.glassbox.shape_lab().user_sets(feature="credit_age_years", start=0, stop=95, add=0.0, flatten=True, who="applicant 2"))


# %% [markdown]
# Left, the learned curve (dashed) and yours; the shaded range is edited. Right, each applicant's probability before (ring) and
# after (diamond); beyond the red line a loan is denied.
#
# Accuracy hardly notices edits that change dozens of decisions, since right turns pay for wrong ones. So accuracy cannot
# tell you whether an edit is fair, and it cannot tell you whether a *learned* curve is.
#
# ## Graded against the truth
#
# ### What readability costs
#
# Eight worlds, six models. Since we know the true probabilities, we need not wait for luck: a decision's *expected* accuracy is
# $p$ or $1 - p$. The ceiling is the Bayes accuracy; nobody gets above it.


# %%
def fit_all(world):
    X, y = world.train
    tree = DecisionTreeClassifier(max_leaf_nodes=8, min_samples_leaf=50, random_state=0).fit(glassbox.design_matrix(X), y)
    return {
        "EBM": glassbox.read_ebm(new_ebm().fit(X, y)),
        "boosting": predictor(tabular("loans-boosting", world)),
        "thirty lines": glassbox.fit_additive(X, y),
        "logistic regression": predictor(tabular("loans-logistic", world)),
        "tree, 8 leaves": lambda X: predictor(tree)(glassbox.design_matrix(X)),
        "rule list, 4 rules": glassbox.rule_list(X, y),
        "the rule itself": world.truth,
    }


def expected_accuracy(model, world):
    X, _ = world.test
    predict, p = getattr(model, "predict", model), world.truth.predict(X)
    return np.where(predict(X) > 0.5, p, 1 - p).mean()


def against_the_ebm(scores):
    for name, column in scores.items():
        mean, low, high = mean_interval(100 * (column - scores["EBM"])) if name != "EBM" else (0, 0, 0)
        print(f"{name:20s}{100 * column.mean():6.2f} %   against the EBM {mean:+.2f} ({low:+.2f} to {high:+.2f})")


# %%
fresh = [worlds.loans(random_state=seed) for seed in range(8)]
fitted = [fit_all(world) for world in fresh]
against_the_ebm(pd.DataFrame([{n: expected_accuracy(f, w) for n, f in m.items()} for m, w in zip(fitted, fresh, strict=True)]))

# %% [markdown]
# Percentage points, paired over the eight worlds, 95 % intervals. The EBM is within half a point of the ceiling and *ahead* of the
# black box. The straight lines come within 0.1 of boosting. The rule list and the tree pay nearly four points: readable is not one thing.
#
# Be fair: this world is a sum by construction, so it is the additive models' home ground, and no model was tuned (settings were
# chosen for speed). So let us play away. The variant adds a product of three features:

# %%
third = [worlds.loans(third_order=True, random_state=seed) for seed in range(8)]
rows = [{name: expected_accuracy(f, world) for name, f in fit_all(world).items()} for world in third]
against_the_ebm(pd.DataFrame(rows))

# %% [markdown]
# Now the glass box loses, surely: the interval of boosting lies above zero. And both are far from the ceiling: 4,000 loans are
# few for a product of three. Will more data help? It helps whoever *can* learn it:

# %%
large = worlds.loans(45_000, third_order=True)
(X_large, y_large), best = large.train, expected_accuracy(large.truth, large)
larger = {
    "EBM": glassbox.read_ebm(new_ebm().fit(X_large, y_large)),
    "boosting": predictor(tabular("loans-boosting", large)),
}
for name, f in larger.items():
    few = np.mean([row["the rule itself"] - row[name] for row in rows])
    print(
        f"{name:9s} below the ceiling: {100 * few:.1f} points with 4,000 loans, {100 * (best - expected_accuracy(f, large)):.1f} with 30,000"
    )


# %% [markdown]
# Boosting's gap shrinks by a third, the EBM's hardly: no amount of data writes a product of three into a sum of ones and twos. (One
# large world, settings unchanged: more trees would help boosting further.) That is the honest price of this glass box. It is zero or
# it is not, and you find out by measuring, on your data, against a flexible model.
#
# ### Are the curves right?
#
# For a glass box the *explanation* has no error: the terms add up to the score. What is left is *model* error, curve against
# planted curve, both centred over the training rows. Pairs are purified first (next section). The middle 95 % of the rows, against
# the rest:


# %%
def distances(world, model):
    X, truth = world.train[0], world.truth
    curves = glassbox.shape_functions(glassbox.purified(model, X), X)
    found = {}
    for name in ("age_years", "credit_age_years", "debt_to_income", "loan_amount_keur", "open_loans"):
        at = dict(zip(curves[name].grid[0], curves[name].values, strict=True))
        off = X[name].map(at).to_numpy() - truth.centred_shape(name, X[name])
        low, high = X[name].quantile([0.025, 0.975])
        inside = X[name].between(low, high)
        found[name] = [np.sqrt(np.mean(off**2)), np.abs(off[inside]).max(), np.abs(off[~inside]).max()]
    return pd.DataFrame(found, ["rms", "max, middle 95 %", "max, outside"]).T


# %%
graded = {name: [distances(w, m[name]) for w, m in zip(fresh, fitted, strict=True)] for name in ("EBM", "thirty lines")}
for name, tables in graded.items():
    print(f"{name}: log-odds, mean of eight worlds")
    print((sum(tables) / len(tables)).round(2).to_string())

# %% [markdown]
# Over the middle of the data the machine's curves are off by 0.1 to 0.3 log-odds at their worst. Outside, where one row in twenty
# lives, by 0.4 to 1.9. Rug ticks are not decoration. Here is the first world's machine:

# %%
curves = glassbox.shape_functions(glassbox.purified(machine, X), X)
fig, axes = plt.subplots(2, 2, figsize=(9.4, 6), sharey=True)
units = {
    "age_years": "age (years)",
    "credit_age_years": "credit age (years)",
    "loan_amount_keur": "loan (keur)",
    "open_loans": "open loans",
}
for ax, (name, unit) in zip(axes.flat, units.items(), strict=True):
    curve = curves[name]
    planted = loans.truth.centred_shape(name, curve.grid[0])
    worst = curve.grid[0][np.abs(curve.values - planted).argmax()]
    beyond = min(np.mean(X[name] >= worst), np.mean(X[name] <= worst))
    print(f"{name:17s} farthest off at {worst:5.1f}; {beyond:.2%} of the rows there or beyond")
    ax.plot(curve.grid[0], planted, color=plots.TRUTH, lw=6, alpha=0.7, label="the rule")
    curve.plot(ax).set(xlabel=unit, ylabel="", title=f"What {unit.split(' (')[0]} adds")
axes[0, 0].legend(handles=axes[0, 0].lines[:2], labels=["the rule", "EBM"])
for ax in axes[:, 0]:
    ax.set_ylabel("log-odds of default")
plots.show(fig, "Four curves of the machine follow the rule where the ticks are dense and go flat at the thin ends.")

# %% [markdown]
# Follow the two lines to the right. Where the ticks end, the machine goes flat: it has too few rows to believe in a slope, and it
# does not tell you. Above 70 keur the curve of the loan is a guess with a straight face.
#
# ### Twins and pairs
#
# `height_cm` and `height_in` say the same thing twice, so their *split* is arbitrary; grade the sum.

# %%
parts = []
for world, m in zip(fresh, fitted, strict=True):
    X_w, terms = world.train[0], glassbox.purified(m["EBM"], world.train[0]).contributions(world.train[0])
    two = [terms.values[:, terms.feature_names.index(name)] for name in ("height_cm", "height_in")]
    planted = [world.truth.centred_shape(name, X_w[name]) for name in ("height_cm", "height_in")]
    slopes = [np.polyfit(X_w["height_cm"], curve, 1)[0] for curve in (*two, sum(two), sum(planted))]
    parts.append(slopes)
parts = pd.DataFrame(parts, columns=["cm", "inches", "sum", "planted sum"])
print("slope, log-odds per cm, in eight worlds")
print(parts.agg(["min", "mean", "max"]).round(4).to_string())

# %% [markdown]
# A machine of small steps shares between twins evenly on average, and its sum is about four fifths of the planted slope: boosting
# that stops early shrinks.
#
# Pairs have a deeper ambiguity. What a table says about *one* of its features could as well stand in that feature's curve.
# **Purifying** settles it: move row means and column means out until none is left. By hand, four applicants, one per cell:
#
# | | rich | poor | row mean |
# |---|---|---|---|
# | no default | 0 | 0 | 0 |
# | default | 0 | 4 | 2 |
#
# Take the row means away, then the column means. What is left?

# %%
print(glassbox.purify([[0, 0], [0, 4]], weights=np.ones((2, 2))).pure)
rare = glassbox.purify([[0, 0], [0, 4]], weights=[[4, 4], [1, 1]])  # defaults are rare: other weights, another interaction
print(rare.pure, "default:", rare.first.round(2), "poor:", rare.second.round(2))

# %% [markdown]
# So "the interaction" has no meaning without weights. Now the planted one, past defaults weigh more for the poor. Tabulate rule and
# machine over defaults and incomes (everything else fixed), and purify both under the same weights:

# %%
income, counts = np.quantile(X["annual_income_keur"], np.linspace(0.025, 0.975, 60)), np.arange(6)
grid = X.iloc[[0] * 360].assign(annual_income_keur=np.tile(income, 6), prior_defaults=np.repeat(counts, 60))
share = X["prior_defaults"].value_counts(normalize=True).reindex(counts).to_numpy()
pure = {
    name: glassbox.purify(f(grid).reshape(6, 60), np.outer(share, np.ones(60)))
    for name, f in {"the rule": loans.truth.log_odds, "EBM": machine.score}.items()
}
off = {part: np.abs(getattr(pure["EBM"], part) - getattr(pure["the rule"], part)) for part in ("first", "pure")}
print("prior defaults              ", counts, "\nrows                        ", (share * len(X)).round().astype(int))
print("curve of defaults, off by   ", off["first"].round(2), "\ninteraction, off by at most ", off["pure"].max(axis=1).round(2))

# %%
fig, axes = plt.subplots(1, 2, figsize=(9.6, 3.5))
styles = {"the rule": {"color": plots.TRUTH, "lw": 6, "alpha": 0.7}, "EBM": {"color": plots.ANCHOR}}
for name, parts_of in pure.items():
    axes[0].plot(counts, parts_of.first, "o-", label=name, **styles[name])
    for k, line in ((0, "-"), (2, "--")):
        axes[1].plot(income, parts_of.pure[k], line, label=f"{name}, {k} defaults", **styles[name])
axes[0].set(xlabel="prior defaults", ylabel="log-odds of default", title="What defaults add by themselves")
axes[1].set(xlabel="income (keur)", ylabel="", title="What only the pair says")
axes[0].legend(), axes[1].legend(fontsize=8)
plots.show(
    fig, "Left: curve of prior defaults, right up to two, low at three, too steep beyond. Right: the interaction, found in shape."
)

# %% [markdown]
# The curve is right up to two defaults. The rule stops rising at three; the machine goes on, on the strength of eleven people
# with four or five. The interaction is found in shape: with two defaults poverty adds and wealth takes away.
#
# One last warning: the machine was *asked* for three pairs, and it delivered three. The rule has one. Over the eight worlds:

# %%
planted_pair, sizes, places = {"annual_income_keur", "prior_defaults"}, [], []
for world, m in zip(fresh, fitted, strict=True):
    terms = glassbox.purified(m["EBM"], world.train[0]).contributions(world.train[0])
    in_order = [set(name.split(" x ")) for name in m["EBM"].term_names if " x " in name]
    places.append(in_order.index(planted_pair) + 1 if planted_pair in in_order else "missing")
    spread = [(name, terms.values[:, k].std()) for k, name in enumerate(terms.feature_names) if " x " in name]
    sizes += [(set(name.split(" x ")) == planted_pair, size) for name, size in spread]
print("place of the planted pair among the three:", *places)
for is_planted, label in ((True, "planted"), (False, "invented")):
    found = [size for planted, size in sizes if planted == is_planted]
    print(f"{len(found):2d} {label} pairs, spread over applicants {np.mean(found):.2f} log-odds (up to {max(found):.2f})")

# %% [markdown]
# The real pair is always among the three, first in five worlds. The other two are invented, and the largest of them is as large as
# the average real one. A drawn pair is part of the model; that does not make it part of the world.
#
# ## Break it: a readable sign that is wrong
#
# ### A larger loan is safer?
#
# The rule raises the risk with the amount: +0.025 per keur. Ask a logistic regression that looks at the amount alone. Criterion of
# failure: the whole 95 % interval lies on the wrong side of zero.

# %%
amount = "loan_amount_keur"
for others in ([], ["annual_income_keur"], ["annual_income_keur", "age_years", "prior_defaults", "debt_to_income", "region"]):
    line = glassbox.log_odds_table(X[[amount, *others]], y).loc[amount]
    inflation = glassbox.variance_inflation(X[[amount, *others]])[amount]
    low, high = np.log([line["lower"], line["upper"]])
    verdict = "fails" if high < 0 else "passes"
    print(f"beside {len(others)} others: {line['coefficient']:+.4f} ({low:+.4f} to {high:+.4f}) {verdict}; VIF {inflation:.2f}")

# %% [markdown]
# Alone, it fails with confidence. Larger loans are taken by those who earn more; the coefficient carries income's work under another
# name. It is not a numerical problem, and the **variance inflation factor** (how much a coefficient's variance grows through the
# other columns) stays small: it cannot see a column that is not there.
#
# What does detect it is a second experiment: refit with and without the columns you *could* have left out, and see whether the
# sign holds.

# %%
refits = []
for world in fresh:
    X_w, y_w = world.train
    alone, beside = (glassbox.log_odds_table(X_w[[amount, *o]], y_w) for o in ([], ["annual_income_keur"]))
    refits.append([alone.loc[amount, "upper"] < 1, beside.loc[amount, "lower"] > 1])
print("surely falling when alone, surely rising beside income:", np.sum(refits, axis=0), "of", len(refits), "worlds")

# %% [markdown]
# ### Two columns, one height
#
# The other disease: both columns are there. The rule gives each height a negative effect. Criterion: the sign of `height_cm`
# depends on which applicants were drawn.

# %%
heights = ["height_cm", "height_in"]
beside = [*heights, "annual_income_keur", "prior_defaults", "debt_to_income"]
line = glassbox.log_odds_table(X[beside], y).loc[heights]
print(line[["coefficient", "std_error"]].round(3).to_string())
drawn = np.random.default_rng(0).integers(len(X), size=(60, len(X)))
refits = [glassbox.log_odds_table(X[beside].iloc[i], y[i])["coefficient"] for i in drawn]
cm, inches = (np.array([c[name] for c in refits]) for name in heights)
per_cm = cm + inches / 2.54
print(
    f"refits: cm positive in {np.mean(cm > 0):.2f}, inches in {np.mean(inches > 0):.2f}, never both: {not np.any((cm > 0) & (inches > 0))}"
)
print(f"sum, log-odds per cm: {per_cm.mean():+.3f} ± {per_cm.std():.3f} (rule: -0.030)")

# %% [markdown]
# The criterion is met: the sign is close to a coin toss. Where one is positive the other is negative, so that the predictions and
# the sum stay nearly what they were. (The sum is a little small: every column left out of a logistic regression shrinks the
# others.) *This* disease the inflation factor sees at once, and a ridge path shows it: as the penalty grows, the twins run together.

# %%
print("VIF:", glassbox.variance_inflation(X[beside]).round(1).to_dict())
for C in (1e6, 1e2, 1e0, 1e-2):
    ridge = make_pipeline(StandardScaler(), LogisticRegression(C=C, tol=1e-8, max_iter=1000)).fit(X[beside], y)
    print(f"penalty {1 / C:8.0e}: cm {ridge[-1].coef_[0, 0]:+.3f}, inches {ridge[-1].coef_[0, 1]:+.3f} per standard deviation")


# %% [markdown]
# ### Two machines, one accuracy, two stories
#
# Suppose one bank may not use age, and another does not store the length of the credit history. Each trains its own machine.


# %%
def without(world, column):
    X, y = world.train
    return glassbox.read_ebm(new_ebm().fit(X.drop(columns=column), y))


pairs = [(without(world, "age_years"), without(world, "credit_age_years")) for world in fresh[:6]]
accuracies = np.array([[expected_accuracy(m, w) for m in two] for two, w in zip(pairs, fresh, strict=False)])
differ = [np.mean((a.score(w.test[0]) > 0) != (b.score(w.test[0]) > 0)) for (a, b), w in zip(pairs, fresh, strict=False)]


def main_reason(machine, world):
    terms = glassbox.purified(machine, world.train[0]).contributions(world.test[0])
    return np.array(terms.feature_names)[terms.values.argmax(axis=1)]


other = [np.mean(main_reason(a, w) != main_reason(b, w)) for (a, b), w in zip(pairs, fresh, strict=False)]
print("accuracy without age {:.2%}, without credit history {:.2%}".format(*accuracies.mean(axis=0)))
print("difference {:+.2f} points ({:+.2f} to {:+.2f})".format(*mean_interval(100 * (accuracies[:, 0] - accuracies[:, 1]))))
print(f"other decision for {np.mean(differ):.1%} of the applicants, other main reason against them for {np.mean(other):.1%}")

# %%
fig, axes = plt.subplots(1, 2, figsize=(9.4, 3.4), sharey=True)
for ax, machine_of, name, bank in zip(
    axes, pairs[0], ("credit_age_years", "age_years"), ("A, never sees age", "B, no history"), strict=True
):
    curve = glassbox.shape_functions(machine_of, X.drop(columns="age_years" if name != "age_years" else "credit_age_years"))[name]
    planted = loans.truth.centred_shape(name, curve.grid[0])
    away = np.abs(curve.values - planted)[curve.grid[0] <= np.quantile(X[name], 0.975)].max()
    print(f"bank {bank}: the curve of {name} is off by up to {away:.2f} over the lower 97.5 % of the rows")
    ax.plot(curve.grid[0], planted, color=plots.TRUTH, lw=6, alpha=0.7, label="the rule")
    curve.plot(ax).set(xlabel=name.replace("_", " "), ylabel="", title=f"Bank {bank}")
axes[0].set_ylabel("log-odds of default"), axes[0].legend(handles=axes[0].lines[:2], labels=["the rule", "machine"])
plots.show(fig, "Bank A's curve of the credit history and bank B's curve of age, each with the planted curve behind it.")

# %% [markdown]
# Less than a tenth of a point apart (a difference, but one nobody would act on), and yet forty applicants in a thousand get another
# decision, and many more another reason. Bank A tells the young that their history is short; bank B, that they are young. Each curve
# took over work of the missing column, and each is read as *the* effect.
#
# Many models of equal accuracy and different content: Breiman called it the **Rashomon** effect. A glass box shows you one of the
# stories in full. It does not show you the others.
#
# ## On real data
#
# 569 breast tumours, 30 measurements, no rule known. Five parts; each patient is judged by models that never saw her; differences
# are paired by patient.

# %%
tumours = real.breast_cancer()
folds = StratifiedKFold(5, shuffle=True, random_state=0)
candidates = {
    "EBM": new_ebm(interactions=0),
    "boosting": HistGradientBoostingClassifier(max_iter=100, learning_rate=0.1, max_leaf_nodes=8, random_state=0),
    "logistic regression": make_pipeline(StandardScaler(), LogisticRegression(max_iter=2000)),
    "tree, 4 leaves": DecisionTreeClassifier(max_leaf_nodes=4, random_state=0),
}


def is_right(model, columns):
    return cross_val_predict(model, tumours.X[columns], tumours.y, cv=folds) == tumours.y


# %%
right = {name: is_right(model, list(tumours.X)) for name, model in candidates.items()}
rule_answers = np.empty(len(tumours.y))
for a, b in folds.split(tumours.X, tumours.y):
    rule_answers[b] = glassbox.rule_list(tumours.X.iloc[a], tumours.y[a], max_rules=3, min_rows=20).predict(tumours.X.iloc[b])
right["rule list, 3 rules"] = (rule_answers > 0.5) == tumours.y
against_the_ebm(pd.DataFrame(right).astype(float))

# %% [markdown]
# EBM, boosting and logistic regression cannot be told apart with 569 patients; the tree and the list are surely behind. (The
# intervals count patients, not the luck of the five parts.) "Cannot be told apart" still allows a gap of a point or two: that is what the
# interval says.
#
# Now a harder look at "readable". Split twenty columns so that no column is shared: mean radius here, worst radius there, and so
# on in turns.

# %%
means, worsts = (sorted(c for c in tumours.X if c.startswith(kind)) for kind in ("mean_", "worst_"))
A, B = ([(means, worsts)[(k + turn) % 2][k] for k in range(10)] for turn in (0, 1))
right_A, right_B = is_right(new_ebm(interactions=0), A), is_right(new_ebm(interactions=0), B)
print(f"columns in common: {len(set(A) & set(B))}; accuracy A {right_A.mean():.4f}, B {right_B.mean():.4f}")
print("A minus B {:+.2f} points ({:+.2f} to {:+.2f})".format(*mean_interval(100 * (right_A.astype(float) - right_B))))

# %%
stories = {}
for name, chosen in {"A": A, "B": B}.items():
    read = glassbox.read_ebm(new_ebm(interactions=0).fit(tumours.X[chosen], tumours.y)).contributions(tumours.X)
    size = np.abs(read.values - read.values.mean(axis=0))
    stories[name] = np.array(read.feature_names)[size.argmax(axis=1)]
    counts = pd.Series(stories[name]).value_counts()[:3]
    print(f"{name}, largest reason:", ", ".join(f"{c} ({n / len(tumours.y):.0%})" for c, n in counts.items()))
same = [a.split("_", 1)[1] == b.split("_", 1)[1] for a, b in zip(stories["A"], stories["B"], strict=True)]
print(f"the same measurement comes first (mean in one, worst in the other) for {np.mean(same):.0%} of the patients")

# %% [markdown]
# Two transparent models that share no column, equal as far as these patients can tell, and for most patients they put another
# measurement first. You may conclude what each machine does. You may not conclude from either what makes a tumour malignant.
#
# ### Bring your own
#
# Put your table and a 0/1 outcome here. Categories and missing values are welcome to the machine. Look at a curve *with its rug*, and
# beside it at a flexible model's accuracy.

# %%
my_table, my_outcome, my_feature = tumours.X[A], tumours.y, "worst_texture"
my_machine = glassbox.read_ebm(new_ebm(interactions=0).fit(my_table, my_outcome))
my_curve = glassbox.shape_functions(my_machine, my_table)[my_feature]
print(my_machine, my_curve, sep="\n")
fig, ax = plt.subplots(figsize=(5.4, 3.2))
my_curve.plot(ax).set(
    xlabel=my_feature.replace("_", " "), title=f"What {my_feature.replace('_', ' ')} adds", ylabel="log-odds of benign"
)
plots.show(fig, "The curve of the worst texture falls from about +10 to about -4 log-odds of benign, with one leap near 20.")

# %% [markdown]
# Nearly half of the fall is one leap of six log-odds, near a value of 20. Is that biology? Look at who is there:

# %%
texture = tumours.X["worst_texture"]
for low, high in ((0, 20), (20, 22), (22, 60)):
    share = np.mean(tumours.y[(texture >= low) & (texture < high)] == 0)
    log_odds = np.log(share / (1 - share))
    print(f"worst texture {low:2d} to {high:2d}: malignant {share:.2f}, log-odds of benign {-log_odds:+.2f}")

# %% [markdown]
# The patients step down by about half a log-odd there, not by six. Ten columns together nearly separate them, and then nothing holds
# a score back: boosting may push it until it is certain. The direction is in the data; the height of the leap is the machine's.
#
# ## Strengths, limits, when not to use it
#
# | | logistic regression | tree, rule list | EBM |
# |---|---|---|---|
# | you read | one factor on the odds per column | a few sentences | one curve per column, a few tables |
# | bends | no | in steps | yes |
# | interactions | only those you write down | all along a path | the pairs it is given |
# | accuracy here | within 0.1 point of boosting | nearly four points behind the EBM | half a point below the ceiling |
# | uncertainty | intervals, if the model is right | none | a spread between its bags, not shown here |
#
# > **Rudin's argument is about you, not about the model.** For high stakes, she says, do not explain a black box where a model that
# > can be read does as well; and on tables one often does. The burden is on the black box. She is right that the trade-off is
# > usually asserted and rarely measured. Measure it.
#
# > **Her argument has limits, and they are honest ones.** A product of three features left this glass box four points below
# > the ceiling and behind boosting, and it would not have said so. On images, sound and text no sum of columns exists. And a list of fifty rules or thirty curves is
# > open, but is it read?
#
# > **Transparent is not causal.** The loan amount's sign was wrong with a narrow interval and nothing hidden.
#
# > **A glass box is one story among many.** Equal accuracy does not single it out.
#
# > **A pair table means nothing before it is purified,** and then only under stated weights.
#
# > **Curves are as good as their ticks.** At the thin ends the machine goes flat or runs on, and says neither.
#
# > **Editing is power.** The edit that repairs a curve and the edit that hides a bias are the same function call. Keep a log.
#
# Do not rely on one when a flexible model beats it by more than you can afford (test it), when columns are near copies and you need
# the split, or when someone will read the curves as advice.

# %% [markdown]
# ## Exercises
#
# Seven, core first. Leave a cell blank and everything still runs.

# %%
ex.card("glassbox.reasons")


# %%
def reasons(coefficients, X, reference):
    # your code
    ...


reasons = ex.check("glassbox.reasons", reasons)

# %%
ex.card("glassbox.after")


# %%
def after(p, change):
    # your code
    ...


after = ex.check("glassbox.after", after)

# %%
ex.card("glassbox.first_match")


# %%
def first_match(holds, probabilities):
    # your code
    ...


first_match = ex.check("glassbox.first_match", first_match)

# %% [markdown]
# Together: the rule list of this chapter, by your own function. (What you left blank is the reference.)

# %%
fits = np.column_stack([np.all([c.holds(X_test) for c in rule.conditions], axis=0) for rule in rules.rules[:-1]])
yours = first_match(fits, np.array([rule.probability for rule in rules.rules]))
assert np.array_equal(yours, rules.predict(X_test))
print("ok: your function is the rule list")

# %%
ex.card("glassbox.decisions")

# %%
my_guess = ...  # a number of applicants, before you measure
my_measured = ...  # how many of the 2,000 decisions change
my_measured = ex.check("glassbox.decisions", my_measured, prediction=my_guess)

# %%
ex.card("glassbox.memo")

# %%
my_two_sentences = ""  # write first: what may a customer be told about the reasons?
my_claims = ...  # the letters of the sentences that hold, such as "be"
my_claims = ex.check("glassbox.memo", my_claims)

# %%
ex.card("glassbox.pure_interaction")


# %%
def pure_interaction(table, weights):
    # your code
    ...


pure_interaction = ex.check("glassbox.pure_interaction", pure_interaction)

# %%
ex.card("glassbox.monotone")


# %%
def monotone(scores, weights):
    # your code
    ...


monotone = ex.check("glassbox.monotone", monotone)

# %%
ex.progress("glassbox")

# %% [markdown]
# ## Quiz

# %%
ex.quiz("glassbox")

# %% [markdown]
# ## Take-away
#
# 1. A reason is coefficient, or curve, times a comparison: say compared with whom. Odds ratios multiply odds, not probabilities.
# 2. The price of readability is a number to measure: here nothing for a sum of curves, four points for a short list, and a sure loss
#    where three features act together.
# 3. In a glass box the explanation cannot disagree with the model. Model and world still can: at thin ends, between twins, with
#    columns left out.
# 4. Purify pairs, add up twins, look at the rug; then read.
# 5. Equal accuracy leaves many stories. Refit, and with other columns, before you believe one.
#
# ## Further reading
#
# - C. Rudin, *Stop explaining black box machine learning models for high stakes decisions and use interpretable models instead*,
#   Nature Machine Intelligence 1 (2019), arXiv 1811.10154.
# - T. Hastie, R. Tibshirani, *Generalized additive models*, Statistical Science 1 (1986).
# - Y. Lou, R. Caruana, J. Gehrke, G. Hooker, *Accurate intelligible models with pairwise interactions*, KDD 2013; H. Nori, S.
#   Jenkins, P. Koch, R. Caruana, *InterpretML*, arXiv 1909.09223: the Explainable Boosting Machine.
# - B. Lengerich, S. Tan, C.-H. Chang, G. Hooker, R. Caruana, *Purifying interaction effects with the functional ANOVA*, AISTATS 2020,
#   arXiv 1911.04974.
# - E. Angelino, N. Larus-Stone, D. Alabi, M. Seltzer, C. Rudin, *Learning certifiably optimal rule lists*, JMLR 18 (2018), arXiv
#   1704.01701; F. Wang, C. Rudin, *Falling rule lists*, AISTATS 2015, arXiv 1411.5899.
# - L. Breiman, *Statistical modeling: the two cultures*, Statistical Science 16 (2001): the Rashomon effect.
# - Z. J. Wang and others, *Interpretability, then what? Editing machine learning models to reflect human knowledge and values*, KDD
#   2022, arXiv 2206.15465: curves edited by hand.
