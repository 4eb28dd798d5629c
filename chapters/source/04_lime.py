# %% [markdown]
# # LIME: a straight line around one prediction
#
# You will build LIME from its four steps, make it agree with the package to eight digits, put error bars on it, and learn the questions that take an explanation apart: compared with what, how wide, how stable, and was the model asked about anything real?
#
# **Estimated time:** 145 minutes
#
# **What you need first:** a model as a function of a table, and why shuffled columns make impossible rows ([chapter 02](02_permutation_importance.ipynb)); least squares.
#
# **Why care?** LIME explains any model of tables, texts or images in three lines of code, and it is everywhere. Its bar chart looks like reasons. Below, the longest bar will say nothing about the person it explains, and a model that discriminates will pass the inspection.

# %%
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from lime.lime_tabular import LimeTabularExplainer
from lime.lime_text import LimeTextExplainer
from skimage.segmentation import slic
from sklearn.compose import make_column_transformer
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OrdinalEncoder

from xailib import exercises as ex
from xailib import lab, lime, plots, predictor, shapley, text, worlds, zoo
from xailib.evaluation import mean_interval, pointing_game, rank_agreement, resampling_effects
from xailib.worlds import real

# %% [markdown]
# ## Warm-up

# %%
ex.warmup("lime")

# %% [markdown]
# ## The story
#
# Nora is 30, earns 24,300 euro a year on a fixed-term contract and asks for a loan. The bank's model puts her probability of default above one half: denied. She has a right to the reasons, and the bank has a tool that gives reasons for any model.

# %%
world = worlds.loans()
applicants, background, rule = world.test[0], world.train[0], world.truth
bank = predictor(zoo.load("loans-boosting"))
nora = applicants.iloc[[25]]
chances = f"bank {bank(nora)[0]:.4f}, rule of this world {rule.predict(nora)[0]:.4f}"
print("probability of default:", chances)
print(nora.drop(columns="customer_number").iloc[0].to_string())


# %%
def bars(result, ax, n=8, row=0):
    order = np.argsort(-np.abs(result.values[row]))[:n][::-1]
    values, errors = result.values[row][order], 1.96 * result.std_errors[row][order]
    colours = np.where(values > 0, plots.POSITIVE, plots.NEGATIVE)
    names = [result.feature_names[j] for j in order]
    ax.barh(names, values, xerr=errors, color=colours, ecolor="black")
    ax.axvline(0, color="black", lw=0.8)
    ax.set_xlabel("weight (probability of default)")


# %%
explanation = lime.tabular(bank, nora, background)
fig, ax = plt.subplots(figsize=(6.6, 3.2))
bars(explanation, ax)
ax.set_title("Why was Nora denied? LIME's answer")
plots.show(fig, "LIME's eight largest weights for Nora: not being on the fraud list leads.")
print(explanation.details["warning"])

# %% [markdown]
# Red pushes towards default, blue away; lines are 95 % intervals of the sampling. Read the longest bar: the strongest thing LIME has to say about Nora is that she is *not* on the fraud list. Neither are more than 99 % of all applicants. The result also warns us: by the rule at the end of this chapter, the chart should not be shown.
#
# Is this a computing error? The rule's exact Shapley value (chapter 5) for the same feature is almost nothing:

# %%
exact = rule.shapley(nora)
both = {"LIME": explanation.values[0], "exact Shapley": exact.values[0]}
table = pd.DataFrame(both, index=exact.feature_names)
four = ["on_fraud_list", "annual_income_keur", "prior_defaults", "age_years"]
print(table.loc[four].round(4).to_string())

# %% [markdown]
# (LIME explains the bank's probability, Shapley the rule's log-odds: compare the order, not the numbers.) Both are computed correctly. They answer different questions. Which one does LIME answer, and is it Nora's?
#
# ## By hand
#
# Two facts about an applicant: low income ($z_1 = 1$: as now) and a past default ($z_2 = 1$). We change neither, one, or both, ask the model, and weigh each version by its closeness $\pi = e^{-D^2/2}$, where $D^2$ counts the changes:
#
# | $z_1$ | $z_2$ | model | changes | weight |
# |---|---|---|---|---|
# | 1 | 1 | 0.8 | 0 | 1.00 |
# | 1 | 0 | 0.5 | 1 | 0.61 |
# | 0 | 1 | 0.4 | 1 | 0.61 |
# | 0 | 0 | 0.2 | 2 | 0.37 |
#
# How much is low income worth? With the default it adds 0.8 - 0.4 = 0.4, without it 0.5 - 0.2 = 0.3. LIME's line must choose *one* number between. The pair with the default lies nearer, so it counts 1 against 0.61: (0.4 + 0.61 · 0.3) / 1.61 = 0.362.
#
# Before you run the cell: what happens to this number when the kernel gets very narrow, and what if the model were a sum?

# %%
Z = np.array([[1, 1], [1, 0], [0, 1], [0, 0]])
answers = np.array([0.8, 0.5, 0.4, 0.2])
changes = (1 - Z).sum(axis=1)
for sigma in (0.3, 1.0, 10.0):
    fit = lime.fit_local(Z, answers, np.exp(-changes / (2 * sigma**2)))
    income, default = fit.coefficients
    print(f"width {sigma:4.1f}: income {income:.4f}, default {default:.4f}")

# %%
sums = 0.1 + 0.4 * Z[:, 0] + 0.3 * Z[:, 1]
for sigma in (0.3, 1.0, 10.0):
    fit = lime.fit_local(Z, sums, np.exp(-changes / (2 * sigma**2)))
    income, default = fit.coefficients
    print(f"a sum, width {sigma:4.1f}: income {income:.4f}, default {default:.4f}")


# %% [markdown]
# Narrow: 0.4, the difference next to her. Wide: 0.35, the plain mean of both. For a sum the width changes *nothing*. So kernel width is about interaction, and a weight that moves with it tells you that the model is not a sum here. Keep that as a test: with bins or a straight line, a tool whose weights of a sum move with the width has a bug.
#
# ## In thirty lines
#
# $$\xi(x) = \arg\min_{g} \sum_i \pi_x(z_i)\,\bigl(f(\tilde x_i) - g(z_i)\bigr)^2 + \Omega(g), \qquad \pi_x(z) = e^{-\lVert z - z_0 \rVert^2 / 2\sigma^2}$$
#
# Four steps: **draw** neighbours $\tilde x_i$ and note in simple terms $z_i$ what is still as in $x$; **ask** the model $f$; **weigh** by closeness $\pi$; **fit** a line $g$ ($\Omega$ keeps it simple: few features, small weights). For a table, each feature is drawn from its own column, and $z_{ij} = 1$ if it fell into $x$'s quartile.


# %%
def draw(x, B, n, rng):
    rows = B[rng.integers(len(B), size=(n, B.shape[1])), np.arange(B.shape[1])]
    rows[0] = x
    quartiles = [np.quantile(b, [0.25, 0.5, 0.75]) for b in B.T]
    bin_of = lambda v, j: np.searchsorted(quartiles[j], v)
    z = np.column_stack([bin_of(rows[:, j], j) == bin_of(x[j], j) for j in range(len(x))])
    return rows, z.astype(float)


def weigh(z, sigma):
    return np.exp(-((z - z[0]) ** 2).sum(axis=1) / (2 * sigma**2))


def fit_line(z, y, pi):
    design = np.column_stack([np.ones(len(z)), z])
    A = design.T @ (pi[:, None] * design)
    return np.linalg.solve(A, design.T @ (pi * y))


# %% [markdown]
# Try it where the answer can be written down. For a *sum* with independent draws, the weight of feature $j$ is the mean of its part inside the own bin, minus its mean in all other bins, whatever the kernel. For $f = 3a - 2b$:

# %%
rng = np.random.default_rng(0)
B = np.column_stack([rng.exponential(2, 4000), rng.normal(size=4000)])
x = B[0]
for sigma in (0.5, 1.5):
    rows, z = draw(x, B, 50_000, rng)
    print(f"width {sigma}: weights", fit_line(z, rows @ [3, -2], weigh(z, sigma))[1:].round(2))

# %%
for slope, b in zip([3, -2], B.T, strict=True):
    number = np.searchsorted(np.quantile(b, [0.25, 0.5, 0.75]), b)
    inside = number == number[0]
    print(f"closed form: {slope * (b[inside].mean() - b[~inside].mean()):.2f}")

# %% [markdown]
# That explains Nora's longest bar. The other bin of `on_fraud_list` is the fraud list itself: 0.5 % of people, who nearly all default. **A LIME weight compares her bin with everywhere else, however rare "elsewhere" is.**
#
# Often you want her against the *average* applicant. The average $z_j$ is the share $s_j$ of people in her bin, so that difference is $\beta_j (1 - s_j)$: for the fraud list 0.5 % of the bar. We call it the *contribution* and will grade both.

# %%
contributions = explanation.values * (1 - explanation.details["share"])
table = table.assign(share=explanation.details["share"][0], contribution=contributions[0])
print(table.iloc[np.argsort(-np.abs(contributions[0]))[:6]].round(4).to_string())
print("on_fraud_list:", table.loc["on_fraud_list"].round(4).to_dict())

# %% [markdown]
# ## The library way
#
# The package `lime` wants numbers, and categories as codes. It builds its bins once; every call then draws new neighbours.

# %%
is_category = background.dtypes == "category"
categories = {c: background[c].cat.categories for c in background.columns[is_category]}
coded = lambda X: X.assign(**{c: X[c].cat.codes for c in categories}).to_numpy(float)


def decoded(rows):
    X = pd.DataFrame(rows, columns=background.columns)
    as_category = lambda c: pd.Categorical.from_codes(X[c].astype(int), categories[c])
    return X.assign(**{c: as_category(c) for c in categories})


numbers_of = [background.columns.get_loc(c) for c in categories]
package = LimeTabularExplainer(
    coded(background), mode="regression", feature_names=list(background), feature_selection="none",
    categorical_features=numbers_of, random_state=0,
)  # fmt: skip


# %%
def recorded(f, seen):
    """The model f, which also keeps what it is asked."""

    def ask(rows):
        seen.append(rows.copy())
        return f(rows)

    return ask


asked = []
model = recorded(lambda rows: bank(decoded(rows)), asked)
theirs = package.explain_instance(coded(nora)[0], model, num_features=14)
print(f"{len(asked[0])} rows, intercept {theirs.intercept[1]:.4f}, R squared {theirs.score:.4f}")
print({background.columns[j]: round(float(b), 4) for j, b in theirs.local_exp[1][:3]})

# %% [markdown]
# We kept the rows it asked about. So we can do its steps three and four ourselves, and they must agree: same bins, same kernel, and a ridge penalty $\Omega = 1 \cdot \lVert\beta\rVert^2$, the package's choice.

# %%
bins_of = package.discretizer.discretize
z = (bins_of(asked[0]) == bins_of(coded(nora)[0])).astype(float)
pi = lime.kernel(np.sqrt((1 - z).sum(axis=1)), 0.75 * np.sqrt(14))
ours = lime.fit_local(z, bank(decoded(asked[0])), pi, ridge=1.0)
difference = max(abs(ours.coefficients[j] - b) for j, b in theirs.local_exp[1])
assert difference < 1e-8
assert abs(ours.fidelity - theirs.score) < 1e-8
print("ok: 14 weights, intercept and R squared agree to 1e-8")

# %% [markdown]
# What `xailib` adds is in the result: standard errors, the fidelity (the weighted R²), how many samples count, many people in one call, and what was computed, in words.

# %%
ten = lime.tabular(bank, applicants[20:30], background, n_samples=2000)
print(ten)
print("fidelity", ten.details["fidelity"].round(2))
print("model minus line at the instance", ten.efficiency_gap().round(2))


# %% [markdown]
# LIME promises no sum: the gap says by how much the line misses the very prediction it explains. For one of the ten it is 0.21, and fidelity is low for all. A line over *bins* cannot see anything inside a bin, and this model is no sum. Never show a LIME chart without these numbers.
#
# ### Four knobs, and what each does
#
# **Number of samples.** The standard errors say how much a weight would move with other random neighbours. Do they tell the truth? Twenty runs of each size, compared with what each run stated:


# %%
def again(n, seed):
    return lime.tabular(bank, nora, background, n_samples=n, random_state=seed)


report = lime.stability(again, n_samples=(100, 300, 1000, 3000), n_runs=20)
print(report.to_frame().round(3).to_string())
print(report)

# %% [markdown]
# `rank_correlation` (of signed weights) is the mean over all pairs of runs; `same_top_3` the share of pairs that name the same three features; `spread` and `stated_error` are *medians* over features, and they agree. With 100 samples two runs tell two stories; half the error costs four times the questions.
#
# A median can hide one bad feature. Does each 95 % interval hold the weight that 200,000 samples give?

# %%
target = again(200_000, 10**6).values[0]
fraud = list(background).index("on_fraud_list")
for n in (100, 1000, 5000):
    runs = [again(n, seed) for seed in range(40)]
    held = np.array([np.abs(r.values[0] - target) <= 1.96 * r.std_errors[0] for r in runs])
    others = np.delete(held, fraud, axis=1).mean()
    print(f"{n:5d} samples: fraud list {held[:, fraud].mean():.2f}, other features {others:.2f}")
print(again(1000, 0).details["warning"])

# %%
fig, axes = plt.subplots(1, 2, figsize=(9.6, 3.4), sharey=True)
four = ["on_fraud_list", "annual_income_keur", "prior_defaults", "favourite_colour"]
shown = [list(background).index(c) for c in four]
for ax, k in zip(axes, (0, 3), strict=True):
    runs, half = report.values[k][:, shown], 1.96 * report.stated_errors[k][shown]
    ax.plot(runs.T, np.arange(4), "o", color=plots.CONTEXT, ms=5, alpha=0.6)
    centre, style = runs.mean(axis=0), {"fmt": "D", "capsize": 4, "color": plots.ANCHOR}
    ax.errorbar(centre, np.arange(4) + 0.25, xerr=half, **style)
    ax.axvline(0, color="black", lw=0.8)
    ax.set(title=f"{report.n_samples[k]} samples, 20 runs", ylim=(-0.5, 3.6))
    ax.set_xlabel("weight (probability of default)")
axes[0].set_yticks(range(4), four)
plots.show(fig, "Four of Nora's weights in twenty runs: 100 samples scatter them, 3,000 far less.")

# %% [markdown]
# Each grey dot is one run; the diamond above is their mean with the stated 95 % interval of a single run. For most features it is as wide as the cloud. For the very bar this chapter is about it is not: "elsewhere" is 0.6 % of the rows, one among 100 samples or none. An error needs some 20 neighbours on *both* sides of a bin: the result warns below that, and says NaN, unknown, where one side is empty. What no interval says: that the centre is true.
#
# **Kernel width, bins, and the number of features**, for Nora's income, with 20,000 samples:

# %%
settings = {
    "quartiles, width 2.81": {},
    "quartiles, width 1.0": {"kernel_width": 1.0},
    "quartiles, width 0.5": {"kernel_width": 0.5},
    "deciles": {"bins": 10},
    "two bins": {"bins": 2},
    "no bins (per sd)": {"bins": None},
    "three features": {"n_features": 3},
}
for name, how in settings.items():
    e = lime.tabular(bank, nora, background, n_samples=20_000, **how)
    value, half = e.values[0, 1], 1.96 * e.std_errors[0, 1]
    fidelity, count = e.details["fidelity"][0], e.details["effective_samples"][0]
    print(f"{name:22s}{value:+.3f} ± {half:.3f}", end="  ")
    print(f"fidelity {fidelity:.2f}, {count:6.0f} samples count")


# %% [markdown]
# One person, one model, one feature, seven numbers. Six of them are sound answers to six questions. A narrower kernel keeps more of Nora's other values and pays with samples that no longer count: at 0.5 one sample decides (the result warns), and a fidelity of 0.87 means nothing. Two bins or ten are other contrasts. Without bins the weight is a *slope* (minus: more income, less risk), so even the sign means something else. "LIME says 0.19" is not a complete sentence: the line `method` in our result completes it.
#
# ### Finding errors in a package: ask what it asked
#
# Keep the rows a tool sends, and try models whose answer you know. Four findings about `lime` 0.2.0.1, each with a model that is a plain sum:


# %%
def package_weights(rows, x, slopes, n=2, seed=0, **options):
    seen = []
    tool = LimeTabularExplainer(rows, mode="regression", random_state=seed, **options)
    found = tool.explain_instance(x, recorded(lambda X: X @ slopes, seen), num_features=n)
    return dict(found.local_exp[1]), seen[0]


# %%
cloud = np.random.default_rng(0).normal(size=(2000, 3))
slopes = [2.0, -1.0, 0.5]
sum_of = lambda X: X @ slopes
for sigma in (1.3, 0.5, 0.25):
    how = {"kernel_width": sigma}
    options = {"feature_selection": "none", **how}
    runs = [package_weights(cloud, cloud[0], slopes, 3, k, **options)[0] for k in range(20)]
    peer = mean_interval([weights[0] for weights in runs])
    own = [lime.tabular(sum_of, cloud[:1], cloud, random_state=k, **how) for k in range(20)]
    both = (peer, mean_interval([e.values[0, 0] for e in own]))
    found = (f"{mean:+.3f} ({low:+.3f} to {high:+.3f})" for mean, low, high in both)
    print(f"width {sigma:4.2f}: lime {next(found)}, xailib {next(found)}")
number = np.searchsorted(np.quantile(cloud[:, 0], [0.25, 0.5, 0.75]), cloud[:, 0])
inside = number == number[0]
print(f"closed form {2 * (cloud[inside, 0].mean() - cloud[~inside, 0].mean()):+.3f}")

# %% [markdown]
# *One.* For a sum the width must not matter, you saw it by hand. The package's weights vanish: samples weigh less and less, the ridge penalty of 1 does not. We take least squares by default, as the paper does. (Means of 20 runs, with 95 % intervals.)

# %%
centre = np.array([cloud[:, 0].mean(), 2.0, 2.0])
plain = {"discretize_continuous": False, "feature_selection": "highest_weights"}
found, rows = package_weights(cloud, centre, [5, 0.1, 0.05], 2, **plain)
print("two most important of 5a + 0.1b + 0.05c:", sorted("abc"[j] for j in found))
print(f"instance at b = 2.00, mean of the rows asked: b = {rows[1:, 1].mean():.2f}")

# %%
counts = np.random.default_rng(1).choice([21.0, 30.0, 40.0], size=2000, p=[0.5, 0.25, 0.25])
with_counts = np.column_stack([counts, cloud[:, 0]])
_, rows = package_weights(with_counts, np.array([21.0, 0.0]), [1.0, 0.0])
zeros = np.mean(rows[:, 0] == 0)
print(f"a column of 21, 30 and 40, asked with the value 0: {zeros:.2f} of the rows")

# %% [markdown]
# *Two.* Without bins, "highest weights" multiplies each slope by the standardised value, so a feature at its mean can never be chosen: `a` is missing although its slope is fifty times that of `b`. *Three.* Without bins the neighbours lie around the *mean of the data*, not around the instance, unless `sample_around_instance=True`.
#
# *Four.* Where both borders of a bin are the same value (here 21, half of the column), the package asks about **zero**: the standardised value is never turned back. Nobody in this column is 0. You find such things by looking at what was asked, not at the chart. `xailib` draws from the column itself.
#
# ### Text
#
# For a text, a neighbour lacks some words, and $z_j = 1$ if word $j$ is still there.

# %%
mail = "Your report is waiting at the bridge. Never click at the school. "
mail += "Claim your free prize, Ida!"
spam_rule = worlds.messages().truth
found = lime.text(spam_rule.log_odds, mail)
words = ("report", "Never", "click", "prize")
print({w: round(float(found.values[found.feature_names.index(w)]), 2) for w in words})
print({w: round(spam_rule.cue_weights.get(w, 0.0), 2) for w in words}, "planted weights")

# %%
fig, ax = plt.subplots(figsize=(8.6, 2.9))
colours = np.where(found.values > 0, plots.POSITIVE, plots.NEGATIVE)
ax.bar(range(len(found.values)), found.values, color=colours)
ax.axhline(0, color="black", lw=0.8)
ax.set_xticks(range(len(found.values)), found.feature_names, rotation=45, ha="right")
ax.set(title="LIME for one mail, model: the rule of the world", ylabel="weight (log-odds of spam)")
plots.show(fig, "Words of a mail: Claim, free, prize high, report and Never low, click near 0.")


# %% [markdown]
# Plain cues get (nearly) their planted weights, for the score is a sum over them. `click` is planted at +3.4, but it is negated: alone it adds 3.4, behind `Never` -1.7 (times -0.5). LIME must give it *one* number, 0.09 here, and leaves the rest to `Never`. No list of one weight per word can say "click, but not after never".
#
# A short text needs no sampling: with at most 12 words, all versions fit into 5,000 questions, and the result is exact. The package, on the same scale (probability), says something else. Why? Both remove *s* random words; `xailib` draws *s* from 0, the package from 1, so it hardly ever sees the whole text.


# %%
def two_columns(texts):
    p = spam_rule.predict(texts)
    return np.column_stack([1 - p, p])


short = "Never click before noon."
exact = lime.text(spam_rule.predict, short)
print("all 16 versions:", pd.Series(exact.values, exact.feature_names).round(2).to_dict())
peer = LimeTextExplainer(bow=False, mask_string="", random_state=0)
found = peer.explain_instance(short, two_columns, num_features=4, num_samples=5000)
print("the package:", {str(w): round(b, 2) for w, b in found.as_list()})

# %%
masks = np.indices((2,) * 4).reshape(4, -1).T == 1  # all 16 versions
gone = (~masks).sum(axis=1)
scores = spam_rule.predict(text.keep(text.split_words(short), masks))
close = lime.kernel(100 * (1 - np.sqrt(1 - gone / 4)), 25.0)
for fewest in (0, 1):
    chance = (gone >= fewest) / np.bincount(gone)[gone]
    fit = lime.fit_local(masks.astype(float), scores, close * chance)
    print(f"s drawn from {fewest}:", fit.coefficients.round(2))

# %% [markdown]
# So both are explained. But `before` and `noon` do nothing at all in this rule, and still get a weight: a line cannot hold "click, but not after never", and what it cannot hold spreads over words that are missing together. Small weights beside an interaction mean little.
#
# ## Lab: narrow or wide?
#
# A model of two numbers whose slope we know. Move the instance, the kernel width, the number of samples, and where they lie (`around`: the instance, or the mean of the data as in the package). Predict first: which widths give `x1` the sign of its true slope?

# %%
playground = lab.lime.kernel_lab()
playground

# %%
playground.filmstrip()

# %%
print(lab.lime.kernel_lab().user_sets(width=2.5))

# %% [markdown]
# Left: the model from above (dark: high), the star is the instance, dots are samples, as large as their weight (grey means probability, white 0, dark 1). Right: a cut along `x1`; gold is the true slope, dashed is LIME.
#
# Narrow kernels have the right slope, until too few samples count. Wide ones give the *trend*, here of the other sign, and with tiny error bars. Both are answers; only you can know which was asked.
#
# ## Graded against the truth
#
# | model | truth | can err |
# |---|---|---|
# | hill | gradient | LIME |
# | rules | exact Shapley | LIME |
# | bank | exchanged values | LIME |
# | mail model | own Shapley | LIME |
# | mail model | the world | both |
#
# ### The slope of a known function
#
# The same hill, twenty instances, each with its true gradient. *Bias* (the line is fitted to more than a point) grows with the width, *noise* (few samples count) falls:

# %%
spots = np.random.default_rng(3).uniform(-1.5, 1.5, (20, 2))
gradients = np.array([lab.lime.true_slope(*spot) for spot in spots])
plane = np.random.default_rng(4).normal(size=(3000, 2))
hill = lambda X: lab.lime.hill(X[:, 0], X[:, 1])
for sigma in (0.01, 0.02, 0.05, 0.1, 0.3, 1.0, 3.0):
    e = lime.tabular(hill, spots, plane, bins=None, kernel_width=sigma, n_samples=2000)
    error = np.abs(e.details["slopes"] - gradients)[:, 0]
    right = np.mean(e.details["slopes"][:, 0] * gradients[:, 0] > 0)
    mean, low, high = mean_interval(error)
    line = f"error of x1's slope {mean:.3f} ({low:.3f} to {high:.3f}), right sign {right:.2f}"
    print(f"width {sigma:4.2f}: {line}; stated error {e.std_errors[:, 0].mean():.3f}")

# %% [markdown]
# The best width is 0.05; the error grows on both sides. At width 3 the stated error is small, the real one the largest, and three signs in ten are wrong: **a standard error knows nothing about bias**. At 0.01 it is smaller still, and false: one sample counts. What it promises (the weight that infinitely many samples would give) it keeps where enough samples count. Two hundred runs with 500 samples, against a million:

# %%
for sigma in (1.0, 0.05):
    how = {"bins": None, "kernel_width": sigma}
    ask = lambda n, k: lime.tabular(hill, spots[:1], plane, n_samples=n, random_state=k, **how)
    target, runs = ask(1_000_000, 10**6).values, [ask(500, seed) for seed in range(200)]
    held = np.mean([np.abs(r.values - target) <= 1.96 * r.std_errors for r in runs])
    count = np.mean([r.details["effective_samples"] for r in runs])
    print(f"width {sigma}: {count:.0f} samples count, 95 % intervals that hold: {held:.3f}")

# %% [markdown]
# ### Loans: sign and rank
#
# Sixty applicants. With the **rule** as model (log-odds) only the explanation can err; the truth is the rule's exact Shapley value. With the **bank's model**, the truth is the model's own: replace one value by those of 100 other people, and measure. Weights and contributions are compared on the same people.

# %%
people = applicants[:60]
bank_log_odds = predictor(zoo.load("loans-boosting"), "log_odds")
truths = {
    "rule": (rule.log_odds, rule.shapley(people).values),
    "bank": (bank_log_odds, resampling_effects(bank_log_odds, people, background[:100])),
}


# %%
def grade(what, values, truth):
    large = np.abs(truth) > 0.3
    right = (np.sign(values) == np.sign(truth))[large].mean()
    first = np.mean(np.abs(values).argmax(axis=1) == np.abs(truth).argmax(axis=1))
    rank = rank_agreement(values, truth)
    listed = np.mean(np.abs(values).argmax(axis=1) == fraud)
    print(f"{what:20s} rank {rank.mean():.3f}, right sign {right:.3f}", end=", ")
    print(f"right first feature {first:.2f}, fraud list {listed:.2f}")
    return rank


for name, (f, truth) in truths.items():
    e = lime.tabular(f, people, background, n_samples=3000)
    by_weight = grade(f"{name}, weights", e.values, truth)
    gain = grade(f"{name}, contributions", e.values * (1 - e.details["share"]), truth) - by_weight
    mean, low, high = mean_interval(gain)
    print(f"   contributions minus weights, paired: {mean:+.3f} ({low:+.3f} to {high:+.3f})")
own_truth = rank_agreement(truths["bank"][1], truths["rule"][1]).mean()
print(f"the bank's own truth against the rule's: {own_truth:.3f} (model error)")

# %% [markdown]
# Signs (of effects above 0.3 in log-odds) are right nearly always. The *first* feature of the raw weights is wrong for every single applicant: it is the fraud list, sixty times out of sixty. One multiplication mends eight in ten of them for the rule and six in ten for the bank, and the paired intervals are far from zero. What remains: LIME gives everyone in a quartile the same weight (up to noise), Shapley does not.
#
# ### Messages: cues and negation
#
# Forty mails with all their words, against the planted Shapley values (log-odds). Negated cues and their negations are looked at apart; signs where the truth is above 0.3 in size.

# %%
mails = list(worlds.messages().test[0][:40])
worths = [spam_rule.shapley(m) for m in mails]
planted = lambda s: np.array([spam_rule.cue_weights.get(w.lower(), 0.0) for w in s.feature_names])
negated = [~np.isclose(s.values, planted(s)) for s in worths]
pairs_model = predictor(zoo.load("messages-pairs"), "log_odds")

# %%
true = [s.values for s in worths]
kinds = {"other words": [~k for k in negated], "negated cues, negations": negated}
join = lambda parts, keep: np.concatenate([v[k] for v, k in zip(parts, keep, strict=True)])
for name, f in {"rule": spam_rule.log_odds, "pairs model": pairs_model}.items():
    e = lime.text(f, mails, n_samples=2000)
    for what, keep in kinds.items():
        found, truth = join([a.values for a in e], keep), join(true, keep)
        right = np.mean(np.sign(found) == np.sign(truth), where=np.abs(truth) > 0.3)
        error = np.abs(found - truth).mean()
        scores = f"mean error {error:.2f}, right sign {right:.2f}"
        print(f"{name:12s}{what:24s}{len(found):4d}: {scores}")

# %% [markdown]
# With the rule, words outside a negation are recovered closely. At negations the two methods part: Shapley shares the interaction equally over all orders, LIME by its kernel. And the trained model? Its own truth is *its* Shapley values, by sampling ([chapter 05](05_shap.ipynb)).

# %%
own = [s.values[0] for s in shapley.text(pairs_model, mails)]
explained = [a.values for a in e]
for what, keep in kinds.items():
    explanation_error = np.abs(join(explained, keep) - join(own, keep)).mean()
    model_error = np.abs(join(own, keep) - join(true, keep)).mean()
    print(f"{what:24s} explanation error {explanation_error:.2f}, model error {model_error:.2f}")

# %% [markdown]
# Most of the distance to the world is the model's, not LIME's: the explanation shows *its* reasons, also at negations, which a model of word pairs cannot follow far.
#
# ## Break it: a kernel width that turns a sign
#
# The criterion, before we look: two widths, both 95 % intervals off zero, opposite signs.

# %%
spot = np.array([[0.2, 0.0]])
for sigma in (0.3, 2.5):
    e = lime.tabular(hill, spot, plane, bins=None, kernel_width=sigma, n_samples=20_000)
    value, half = e.details["slopes"][0, 0], 1.96 * e.std_errors[0, 0] / plane[:, 0].std()
    said = f"fidelity {e.details['fidelity'][0]:.2f}, warning: {e.details['warning'] or 'none'}"
    print(f"width {sigma}: slope of x1 {value:+.3f} ± {half:.3f}, {said}")
    assert abs(value) > half
print(f"true slope {lab.lime.true_slope(0.2, 0.0)[0]:+.3f}")

# %% [markdown]
# The criterion is met, and no warning fires: a fidelity above one half is not "good". Does it happen to the bank's applicants? Without bins, since there a weight is a slope. (The *rule* cannot be asked this way: normal neighbours have negative incomes, and its logarithm refuses.)

# %%
some, how = applicants[:20], {"bins": None, "n_samples": 4000}
ask = lambda width: lime.tabular(bank_log_odds, some, background, kernel_width=width, **how)
near, far = ask(2.0), ask(6.0)
both_sure = np.all([np.abs(e.values) > 1.96 * e.std_errors for e in (near, far)], axis=0)
turned = both_sure & (near.values * far.values < 0)
print(f"effective samples at width 2: {near.details['effective_samples'].mean():.0f}")
print(f"of 280 weights {both_sure.sum()} are sure at both widths, {turned.sum()} have turned")

# %%
drawn = []
lime.tabular(recorded(bank, drawn), nora, background, **how)
negative = (drawn[0]["annual_income_keur"] < 0).mean()
print(f"Nora's neighbours with a negative income: {negative:.2f}")


# %% [markdown]
# No: of 216 weights that are sure at both widths, not one has turned. This model's trends and slopes agree. A turned sign needs a model that winds within the reach of the kernel, so test, do not assume. And one neighbour in eight has a negative income, which brings us to the next crack.

# %% [markdown]
# ### Rows that cannot exist
#
# LIME draws each column on its own. The bank's table has two heights, in centimetres and in inches. How easy is it to tell LIME's neighbours from applicants?


# %%
def neighbours(n, seed):
    rng = np.random.default_rng(seed)
    any_rows = lambda: rng.integers(len(background), size=n)
    return pd.DataFrame({c: background[c].array.take(any_rows()) for c in background})


def spotter(seed):
    both = pd.concat([background, neighbours(len(background), seed)], ignore_index=True)
    made_up = np.repeat([0, 1], len(background))
    encode = make_column_transformer((OrdinalEncoder(), list(categories)), remainder="passthrough")
    boosting = HistGradientBoostingClassifier(max_iter=60, random_state=seed)
    return make_pipeline(encode, boosting).fit(both, made_up)


# %%
spot_fakes = spotter(0)
fresh = pd.concat([applicants, neighbours(len(applicants), 1)], ignore_index=True)
scores = spot_fakes.predict_proba(fresh)[:, 1]
auc = roc_auc_score(np.repeat([0, 1], len(applicants)), scores)
print(f"real or made up? AUC on rows never seen {auc:.3f}")
heights_agree = np.abs(fresh["height_cm"] - 2.54 * fresh["height_in"]) < 1
real_share, made_up_share = heights_agree[:2000].mean(), heights_agree[2000:].mean()
print(f"two heights that agree within 1 cm: real {real_share:.2f}, made up {made_up_share:.2f}")


# %% [markdown]
# Nearly always. Whoever can recognise the inspector can behave while being inspected. That is the **scaffolding attack** (Slack et al., 2020): a model that denies people from east and west, and asks a harmless question as soon as the row looks made up. (In this country the region is a legal reason among others, also in the bank's model and in Nora's chart. Denying by region *alone* is not.)


# %%
def by_region(X):
    return np.where(np.isin(X["region"], ["east", "west"]), 0.95, 0.05)


def by_colour(X):
    return np.where(X["favourite_colour"] == "red", 0.95, 0.05)


def scaffold(X, spot=spot_fakes):
    return np.where(spot.predict(X) == 1, by_colour(X), by_region(X))


# %%
same = np.mean(scaffold(applicants) == by_region(applicants))
print(f"on real applicants the scaffolded model decides by region in {same:.3f} of the cases")
for name, f in {"open": by_region, "scaffolded": scaffold}.items():
    e = lime.tabular(f, applicants[:40], background, n_samples=2000)
    size = pd.Series(np.abs(e.values).mean(axis=0), index=list(background))
    print(f"{name:11s}", size.nlargest(3).round(3).to_dict(), f"| region {size['region']:.3f}")


# %% [markdown]
# Ninety-nine times out of a hundred it discriminates, and in LIME's charts the region is nearly gone: its mean weight falls to a ninth, and the favourite colour leads. A regulator who reads charts would sign.
#
# ### Two tests
#
# Ask about rows that the model cannot tell from its daily work: real applicants with *one* value exchanged. **Test one** compares the list of all mean effects with LIME's: a low correlation raises the alarm. **Test two** looks at the exchanged region alone. (`region` is independent of all other columns, so such a row is as likely as any.)
#
# Two more suspects: the bank with a penalty of 0.15 for east and west, hidden behind the plain bank; and an honest clerk who uses the bank but refuses forms whose heights disagree.


# %%
def both_tests(f, people):
    e = lime.tabular(f, people, background, n_samples=600)
    by_lime = np.abs(e.values * (1 - e.details["share"])).mean(axis=0)
    exchanged = np.abs(resampling_effects(f, people, background[:30])).mean(axis=0)
    region = list(background).index("region")
    return np.corrcoef(by_lime, exchanged)[0, 1], by_lime[region], exchanged[region]


def penalty(X):
    return np.where(spot_fakes.predict(X) == 1, 0, 0.15) * np.isin(X["region"], ["east", "west"])


def clerk(X):
    return np.where(np.abs(X["height_cm"] - 2.54 * X["height_in"]) < 1.5, bank(X), 0.9)


# %%
suspects = {"bank": bank, "honest clerk": clerk, "scaffold, colour": scaffold}
suspects["scaffold, +0.15"] = lambda X: np.clip(bank(X) + penalty(X), 0, 1)
groups = [applicants[20 * k : 20 * k + 20] for k in range(3)]
for name, f in suspects.items():
    alike, by_lime, exchanged = np.transpose([both_tests(f, group) for group in groups])
    print(f"{name:17s} one: {alike.round(2)}, region by LIME {by_lime.mean():.3f}", end=", ")
    print(f"two: region exchanged {exchanged.mean():.3f}")
moved = applicants.assign(region=background["region"].array[: len(applicants)])
said = [spot_fakes.predict(rows).mean() for rows in (applicants, moved)]
print(f"taken for made up: real {said[0]:.3f}, region exchanged {said[1]:.3f}")

# %% [markdown]
# Test one catches the crude attack only. The hidden penalty drowns among real reasons and looks *more* honest than the honest clerk, who reacts to broken heights too: no threshold separates them. Test two measures what the region does to real people: 0.115 with the penalty, where LIME says 0.047 and the plain bank has 0.043. And nothing gives its rows away. For a column that is tied to others it would, so this test needs an independent one.
#
# ### Images: the superpixels decide
#
# For an image the "words" are segments, switched off by painting them over. A bird differs from its sibling species in one part. Model: the score for its species minus that for the sibling. Truth: the pixels of that part.

# %%
flock = worlds.birds(600, random_state=1)
draw_truth, first = flock.truth, flock.n_train
network = predictor(zoo.load("birds-cnn"), "logit")
whole = [i for i in range(first, len(flock.X)) if draw_truth.visible[i].all()][:6]
species = flock.y[whole]
part = [draw_truth.pivots(int(s))[1] for s in species]
rival = [draw_truth.sibling(int(s), p) for s, p in zip(species, part, strict=True)]
masks = np.stack([draw_truth.mask(p, i) for p, i in zip(part, whole, strict=True)])

# %%
pictures, haze = flock.X[whole], flock.X[:first].mean(axis=0)
squares = np.arange(16).reshape(4, 4).repeat(16, 0).repeat(16, 1)
superpixels = [slic(np.moveaxis(p, 0, -1), n_segments=30, start_label=0) for p in pictures]
parts = [np.where(m.any(axis=0), m.argmax(axis=0) + 1, 0) for m in draw_truth.masks(whole)]
segments = {"squares": [squares] * 6, "slic": superpixels, "the true parts": parts}


# %%
def margin(i):
    return lambda x: (lambda s: s[:, species[i]] - s[:, rival[i]])(network(x))


def explained_by(cuts):
    how = {"n_samples": 200, "replacement": haze}
    return [lime.image(margin(i), p, cuts[i], **how) for i, p in enumerate(pictures)]


# %%
maps = {}
for name, cuts in segments.items():
    found = explained_by(cuts)
    pairs = zip(found, cuts, strict=True)
    maps[name] = np.concatenate([lime.heatmap(e, cut).values for e, cut in pairs])
    points = pointing_game(maps[name], masks)
    best = [max(m[c == k].mean() for k in np.unique(c)) for m, c in zip(masks, cuts, strict=True)]
    line = f"pointing game {points.mean():.2f}, best possible {np.mean(best):.2f}"
    chosen = f"best segment found {np.isclose(points, best).mean():.2f}"
    print(f"{name:15s}{len(found[0].values):3d} weights: {line}, {chosen}", end="; ")
    print(f"{sum(e.details['warning'] != '' for e in found)} warnings")

# %%
fig, axes = plt.subplots(1, 4, figsize=(9, 2.7))
axes[0].imshow(np.moveaxis(pictures[0], 0, -1))
axes[0].contour(masks[0], [0.5], colors=[plots.TRUTH])
axes[0].set_title(f"deciding part: {part[0]}", fontsize=10)
for ax, name in zip(axes[1:], maps, strict=True):
    limit = np.abs(maps[name][0]).max()
    ax.imshow(maps[name][0], cmap=plots.SIGNED_MAP, vmin=-limit, vmax=limit)
    ax.contour(masks[0], [0.5], colors=[plots.TRUTH])
    ax.set_title(name, fontsize=10)
for ax in axes:
    ax.set_axis_off()
plots.show(fig, "One bird, three LIME maps of one score: segments decide what a map can show.")

# %% [markdown]
# The first of six birds. Red segments speak for the species, blue for its sibling, white is zero; full colour is each panel's own largest weight. The gold line is the deciding part. LIME nearly always finds the best segment it has; the low score of the squares is their geometry, for no square lies inside a part. So the number judges the segments, not LIME, and nobody hands you the true parts.
#
# And what replaces a segment? The package paints it in its *own mean colour*. Here the true part, painted over in sixty birds, beside the same birds drawn *without* it:

# %%
many = [i for i in range(first, len(flock.X)) if draw_truth.visible[i].all()][:60]
drop = {"drawn without the part": [], "mean picture": [], "own mean colour": []}
for i in many:
    name = draw_truth.pivots(int(flock.y[i]))[1]
    sibling, on = draw_truth.sibling(int(flock.y[i]), name), draw_truth.mask(name, i)
    own = flock.X[i][:, on].mean(axis=1)[:, None, None] * np.ones((1, 64, 64), np.float32)
    painted = [np.where(on, colour, flock.X[i]) for colour in (haze, own)]
    versions = np.stack([flock.X[i], draw_truth.without(i, name), *painted])
    scores = network(versions.astype(np.float32))
    margins = scores[:, int(flock.y[i])] - scores[:, sibling]
    for key, value in zip(drop, margins[0] - margins[1:], strict=True):
        drop[key].append(float(value))

# %%
for key, values in drop.items():
    mean, low, high = mean_interval(values)
    print(f"{key:24s} score falls by {mean:.1f} ({low:.1f} to {high:.1f})")
gap = mean_interval(np.subtract(drop["mean picture"], drop["own mean colour"]))
print(f"mean picture minus own colour, paired: {gap[0]:+.1f} ({gap[1]:+.1f} to {gap[2]:+.1f})")
names = [draw_truth.pivots(int(flock.y[i]))[1] for i in many]
print(pd.DataFrame(drop).groupby(pd.Index(names, name="part")).mean().round(1).to_string())

# %% [markdown]
# A segment of one even colour does not change when painted in its own colour, so its weight is zero whatever it means. It depends on the part: see the table. Look at perturbed pictures before you read weights.
#
# ## On real data
#
# A forest on breast cancer, and the held-out tumour it is least sure about. No rule is known, so we check what can be checked: fidelity, stability, and whether neighbours look real.

# %%
tumours = real.breast_cancer()
(X_train, y_train), (X_held, y_held) = tumours.train, tumours.test
forest = RandomForestClassifier(200, min_samples_leaf=3, random_state=0).fit(X_train, y_train)
benign = predictor(forest)
unsure = X_held.iloc[[int(np.abs(benign(X_held) - 0.5).argmin())]]
e = lime.tabular(benign, unsure, X_train)
print(e)
forty = lime.tabular(benign, X_held[:40], X_train, n_samples=1000).details["fidelity"]
print(f"40 tumours: median fidelity {np.median(forty):.2f}, below 0.5 {np.mean(forty < 0.5):.2f}")

# %%
once_more = lambda n, seed: lime.tabular(benign, unsure, X_train, n_samples=n, random_state=seed)
check = lime.stability(once_more, n_samples=(300, 1000, 3000), n_runs=8)
print(check.to_frame().round(3).to_string())

# %%
radius, area = X_train["mean_radius"], X_train["mean_area"]
fake = np.random.default_rng(0).permutation(area) / (np.pi * radius**2)  # each column on its own
ratio = area / (np.pi * radius**2)
for name, values in {"tumours": ratio, "LIME's neighbours": fake}.items():
    low, high = np.quantile(values, [0.05, 0.95])
    print(f"area / (pi r^2), middle 90 % of {name}: {low:.2f} to {high:.2f}")

# %% [markdown]
# LIME fails its own tests here, and says so: the line follows about a tenth of what the forest does, and 3,000 samples are not enough for two runs to agree. Thirty features say the same thing in other words (radius, perimeter, area), and LIME's neighbours do not know geometry. It is no exception: two tumours in three stay below one half. You may conclude that a line over quartiles is seldom a picture of this forest. You may not conclude what makes a tumour malignant.
#
# Now text that nobody planted: descriptions of functions. Which words make a classifier say "scikit-learn" rather than "SciPy"?

# %%
docs = real.docstrings()
reader = make_pipeline(TfidfVectorizer(min_df=2), LogisticRegression(C=10)).fit(*docs.train)
print(f"accuracy on {len(docs.test[1])} held-out descriptions {reader.score(*docs.test):.2f}")

# %%
probability = predictor(reader)
example = next(t for t in docs.test[0] if 0.6 < probability([t])[0] < 0.9 and len(t.split()) < 14)
words = lime.text(probability, example)
print(example)
by_size = pd.Series(words.values, index=words.feature_names)
by_size = by_size.sort_values(key=np.abs, ascending=False)
print(by_size.head(4).round(3).to_dict(), f"fidelity {words.details['fidelity']:.2f}")

# %% [markdown]
# Few words carry it, and a bag-of-words model is nearly a sum on a short text, so the fidelity is high: here the line *is* a good picture of the model.
#
# ### Bring your own
#
# Put your predictor, your rows and your table here; categories and whole numbers are welcome. With a network, `real.sms_spam()` is a good next text.

# %%
my_predict, my_rows, my_table = benign, X_held[:3], X_train
mine = lime.tabular(my_predict, my_rows, my_table, n_samples=3000)
print("fidelity", mine.details["fidelity"].round(2), "|", mine.details["warning"] or "no warning")
best = int(mine.details["fidelity"].argmax())
fig, ax = plt.subplots(figsize=(6.6, 3.0))
bars(mine, ax, 6, best)
ax.set(title=f"LIME for my row {best}", xlabel="weight (probability of benign)")
plots.show(fig, "Six largest weights for the tumour of best fidelity, with 95 % intervals.")

# %% [markdown]
# Here blue means away from *benign*, towards malignant. Only a row whose fidelity passes is drawn, the best of three; the first row failed, and its chart stays in the drawer. Intervals off zero say that more neighbours would not turn a bar, no more than that.

# %% [markdown]
# ## Strengths, limits, when not to use it
#
# | | table | text | image |
# |---|---|---|---|
# | a neighbour | other values, column by column | words deleted | segments painted over |
# | z = 1 means | same bin or category | word is there | segment is untouched |
# | decides the answer | bins, kernel width | kernel width, negation | segments, what replaces them |
# | cost | some 5,000 rows a prediction | versions, each asked once | 1,000 images (200 here) |
#
# LIME needs only predictions, works on anything you can switch off, gives few numbers, and can say how sure and how faithful it is.
#
# > **A weight compares a bin with everywhere else.** A rare elsewhere makes a long bar. Multiply by one minus the share to set a person against the average.
#
# > **Stable is not true.** Errors and repeated runs measure sampling noise, and even that only if both sides of a bin were drawn often enough. Bias from a wide kernel, wrong bins or impossible rows is in none of them.
#
# > **Fidelity below one half means: do not show the chart.** Above it, it still does not mean that the line is the model.
#
# > **Whoever sees LIME's rows can fool it.** A model that recognises made-up rows decides what you get to see.
#
# Do not use it when the answer must be the same to the digit (adverse-action letters), when columns are tightly tied together, or when someone asks what to change: that is chapter 7.

# %% [markdown]
# ## Exercises
#
# Eight, core first. Leave a cell blank and everything still runs.

# %%
ex.card("lime.same_bin")


# %%
def same_bin(rows, x, edges):
    # your code
    ...


same_bin = ex.check("lime.same_bin", same_bin)

# %%
ex.card("lime.closeness")


# %%
def closeness(Z, z0, sigma):
    # your code
    ...


closeness = ex.check("lime.closeness", closeness)

# %%
ex.card("lime.local_line")


# %%
def local_line(Z, y, weights):
    # your code
    ...


local_line = ex.check("lime.local_line", local_line)

# %% [markdown]
# `same_bin`, `closeness`, `local_line`: together they are LIME. (What you left blank is the reference.)

# %%
edges = [np.quantile(c, [0.25, 0.5, 0.75]) for c in cloud.T]
rows = cloud[np.random.default_rng(5).integers(2000, size=(3000, 3)), np.arange(3)]
rows[0] = cloud[0]
z = same_bin(rows, cloud[0], edges)
pi = closeness(z, z[0], 1.0)
wave = np.sin(rows).sum(axis=1)
yours = np.array(local_line(z, wave, pi))
assert np.abs(yours[1:] - lime.fit_local(z, wave, pi).coefficients).max() < 1e-8
print("ok: your three functions, put together, equal the library")

# %%
ex.card("lime.fidelity")


# %%
def fidelity(y, fitted, weights):
    # your code
    ...


fidelity = ex.check("lime.fidelity", fidelity)

# %%
ex.card("lime.bin_weight")

# %%
my_guess = ...  # before you measure
my_measured = ...  # LIME's weight of the first feature
my_measured = ex.check("lime.bin_weight", my_measured, prediction=my_guess)

# %%
ex.card("lime.contribution")


# %%
def contribution(beta, share):
    # your code
    ...


contribution = ex.check("lime.contribution", contribution)

# %%
ex.card("lime.memo")

# %%
my_two_sentences = ""  # write first: what should the regulator ask for?
my_claims = ...  # the letters of the sentences that hold, such as "be"
my_claims = ex.check("lime.memo", my_claims)

# %%
ex.card("lime.samples_needed")


# %%
def samples_needed(std_error, n_samples, half_width):
    # your code
    ...


samples_needed = ex.check("lime.samples_needed", samples_needed)

# %%
ex.progress("lime")

# %% [markdown]
# ## Quiz

# %%
ex.quiz("lime")

# %% [markdown]
# ## Take-away
#
# 1. LIME draws neighbours, asks the model, weighs by closeness, and fits a line. Each step is a choice that can change the answer.
# 2. With bins, a weight is "here against everywhere else"; without, a slope. For a sum, with bins or straight parts, the kernel does not matter; where it does, the model interacts or bends.
# 3. Standard errors tell the sampling noise, fidelity tells whether a line will do. Neither tells whether the question was right.
# 4. Neighbours with broken ties do not exist. A model may answer them as it likes, on purpose or not. Exchange one independent value of real rows and see what it does.
# 5. For images, segments and what replaces them decide what a map can show.
#
# ## Further reading
#
# - M. T. Ribeiro, S. Singh, C. Guestrin, *"Why should I trust you?" Explaining the predictions of any classifier*, KDD 2016, arXiv 1602.04938: the method.
# - D. Garreau, U. von Luxburg, *Explaining the explainer: a first theoretical analysis of LIME*, AISTATS 2020, arXiv 2001.03447: what the weights tend to.
# - D. Slack, S. Hilgard, E. Jia, S. Singh, H. Lakkaraju, *Fooling LIME and SHAP*, AIES 2020, arXiv 1911.02508: the scaffolding attack.
# - G. Visani, E. Bagli, F. Chesani, A. Poluzzi, D. Capuzzo, *Statistical stability indices for LIME*, Journal of the Operational Research Society 73 (2022), arXiv 2001.11757.
# - H. White, *A heteroskedasticity-consistent covariance matrix estimator*, Econometrica 48 (1980): the standard errors.
# - C. Molnar, *Interpretable Machine Learning*: the chapter on LIME.
