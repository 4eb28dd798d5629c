# %% [markdown]
# # Permutation importance: what does the model lean on?
#
# Shuffle one column, let the model predict again, and see how much worse it gets. That is the whole method. You will write it, put an honest error bar on it, catch a rival praising a random number, and fool the method itself.
#
# **Estimated time:** 120 minutes
#
# **What you need:** held-out data, log loss (the mean of minus the log of the probability given to what happened), and [chapter 0](00_start_here.ipynb).
#
# **Why care.** "Which inputs does it use?" is the first question of every regulator. One bar per column is a quick answer, and it leaves out two things: an error bar, and whether a column *moves* the predictions or *helps* them. Below, one column does the first and not the second.

# %%
from dataclasses import replace

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from sklearn.ensemble import RandomForestClassifier
from sklearn.inspection import permutation_importance as scikit_learn_importance
from sklearn.linear_model import LinearRegression
from sklearn.metrics import log_loss

from xailib import exercises as ex
from xailib import lab, plots, predictor, worlds
from xailib.evaluation import mean_interval
from xailib.permutation import permutation_importance, permutation_importances, scikit_learn_permutations
from xailib.zoo.tabular import tabular

# %% [markdown]
# ## Warm-up

# %%
ex.warmup("permutation")

# %% [markdown]
# ## The story
#
# A bank decides on loans with a random forest. A regulator writes: *name the inputs your model relies on.* The data team prints the forest's attribute `feature_importances_` and wants your signature under it. This is *impurity importance*: how much closer each split brought its two halves to "all defaulted" or "all repaid", added up over all splits of all trees that use the column.

# %%
loans = worlds.loans()
(X_train, y_train), (X, y) = loans.train, loans.test
pipeline = tabular("loans-forest")
forest = predictor(pipeline)  # a plain function: table in, probability of default out
columns, trees = pipeline[:-1].get_feature_names_out(), pipeline[-1]  # a step that turns categories into numbers, and the forest
impurity = pd.Series(trees.feature_importances_, columns).sort_values(ascending=False)
print(impurity.round(4).to_string())

# %%
rank = impurity.index.get_loc("customer_number") + 1
print(f"customer_number is number {rank} of {len(impurity)}, and carries {impurity['customer_number']:.1%} of the importance")
print("columns ranked below it:", ", ".join(impurity.index[rank:]))

# %% [markdown]
# The customer number is drawn at random. We wrote the world, so we know. Yet the list puts it ahead of age, region and a fraud list. Would you sign?
#
# A guess from you, to be kept: does the *forest* use a random number, or does only the *list* say so?

# %% [markdown]
# ## By hand
#
# Six applicants and a rule: *predict default if there are two or more prior defaults*. One prediction of six is wrong (F). Now every applicant receives the count of somebody else, the **donor**. Fill in the last three rows.
#
# | applicant | prior defaults | defaulted? | rule says | donor | count received | rule now says | wrong now? |
# |---|---|---|---|---|---|---|---|
# | A | 0 | no | no | B | 2 | yes | wrong |
# | B | 2 | yes | yes | D | 0 | no | wrong |
# | C | 1 | no | no | E | 3 | yes | wrong |
# | D | 0 | no | no | F | ? | ? | ? |
# | E | 3 | yes | yes | A | ? | ? | ? |
# | F | 0 | yes | no | C | ? | ? | ? |
#
# What share of the six is wrong before, and what share after? Take the **difference** and the **ratio** of the two. And what would shuffling the favourite colour give, in both forms?

# %%
prior_defaults, defaulted = np.array([0, 2, 1, 0, 3, 0]), np.array([0, 1, 0, 0, 1, 1])
donors = [1, 3, 4, 5, 0, 2]


def error(counts):
    return np.mean((counts >= 2) != defaulted)


received = prior_defaults[donors]
print("wrong now:", ", ".join(name for name, count, y in zip("ABCDEF", received, defaulted, strict=True) if (count >= 2) != y))
before, after = error(prior_defaults), error(received)
print(f"before {before:.4f}, after {after:.4f}, difference {after - before:.4f}, ratio {after / before:.4f}")

# %% [markdown]
# The rule does not read colours, so nothing changes: difference 0, ratio 1. Those are the two "no reliance" marks, and every table must say which form it uses.
#
# A larger model has an error of 0.10. Shuffled column by column it gives the errors below. Fill in the question marks in your head, then run the cell.
#
# | shuffled | error after | difference | ratio |
# |---|---|---|---|
# | prior_defaults | 0.34 | ? | ? |
# | income | 0.19 | ? | ? |
# | age | 0.12 | ? | ? |
# | favourite_colour | 0.10 | ? | ? |

# %%
table = pd.DataFrame({"error after": [0.34, 0.19, 0.12, 0.10]}, ["prior_defaults", "income", "age", "favourite_colour"])
table["difference"] = table["error after"] - 0.10
table["ratio"] = table["error after"] / 0.10
print(table.round(2).to_string())

# %% [markdown]
# Differences have units (errors per applicant) and can be compared with the cost of an error. Ratios have none, and travel better between models of different quality; but they explode when the model is nearly perfect.
#
# The six rows also show that another shuffle gives another number. Here are 1,000 of them. Ours, 4/6, was an unlucky one; the importance is the mean.

# %%
rng = np.random.default_rng(0)
increases = [error(prior_defaults[rng.permutation(6)]) - before for _ in range(1000)]
values, counts = np.unique(np.round(increases, 4), return_counts=True)
print(pd.Series(counts, values).to_string(), f"\nmean {np.mean(increases):.4f}")

# %% [markdown]
# ## In thirty lines: twenty are enough
#
# $$\mathrm{Imp}(j) = \frac{1}{R}\sum_{r=1}^{R} L\bigl(y, f(X^{\pi_r(j)})\bigr) - L\bigl(y, f(X)\bigr)$$
#
# $f$ is the model, $L$ the loss, $\pi_r$ the $r$-th permutation, and $X^{\pi(j)}$ the table in which row $i$ holds, in column $j$, the value of row $\pi(i)$. Nothing is retrained. Nothing inside the model is opened, so the same lines serve a forest, a network or a committee.

# %%
rng = np.random.default_rng(0)
permutations = np.array([rng.permutation(len(X)) for _ in range(3)])


def L(y, p):
    """Log loss: y is 0 or 1, p the probability of 1."""
    return -np.mean(np.log(np.where(y == 1, p, 1 - p)))


def shuffled(X, j, pi):
    """X in which row i of column j comes from row pi[i]."""
    X_pi = X.copy()
    X_pi[j] = X[j].array[pi]
    return X_pi


def importance(f, X, y, j, permutations):
    """Mean increase of the loss when column j is shuffled."""
    losses = [L(y, f(shuffled(X, j, pi))) for pi in permutations]
    return np.mean(losses) - L(y, f(X))


# %%
assert np.isclose(L(y, forest(X)), log_loss(y, forest(X)))
mine = pd.Series({j: importance(forest, X, y, j, permutations) for j in X.columns})
print(mine.sort_values(ascending=False).round(4).to_string())

# %% [markdown]
# On 2,000 applicants the forest has never seen, the customer number is worth nothing: shuffle it, and the log loss is as good as before. So the list was wrong and the forest never uses the number? That does not follow; *Moves, or helps?* below shows why.

# %% [markdown]
# ## The library way
#
# A practitioner calls scikit-learn; we call `xailib`. Given the same permutations all three agree to the last digits.

# %%
theirs = scikit_learn_importance(pipeline, X, y, scoring="neg_log_loss", n_repeats=3, random_state=0)
orders = scikit_learn_permutations(len(X), n_repeats=3, random_state=0)
ours = permutation_importance(forest, X, y, metric="log_loss", permutations=orders)
assert np.allclose(ours.values, theirs.importances_mean, atol=1e-12)
assert np.allclose(ours.values, [importance(forest, X, y, j, orders) for j in X.columns], atol=1e-12)
print("ok: our lines = xailib = scikit-learn, to 1e-12")

# %% [markdown]
# They differ in the uncertainty they report. scikit-learn's `importances_std` is the spread over *repeats*. `xailib` asks how the number would change had *other applicants* been drawn. Each applicant enters twice: as the row that receives a value, and as the donor whose value lands in another row. Exchange one applicant and both change, so both count.
#
# Who is right? Draw 40 new test sets of 500 applicants and watch how much the importance really varies between them.

# %%
fresh = worlds.loans(20_000, random_state=1)
five = ["prior_defaults", "annual_income_keur", "region", "credit_age_years", "customer_number"]


def spreads(n_repeats):
    parts = [slice(i, i + 500) for i in range(0, 20_000, 500)]
    sets = [permutation_importance(forest, fresh.X[p], fresh.y[p], features=five, n_repeats=n_repeats) for p in parts]
    between = np.std([r.values for r in sets], axis=0, ddof=1)
    over_repeats = np.mean([r.samples.std(axis=1) for r in sets], axis=0)  # what scikit-learn prints
    by_rows = np.mean([r.std_errors for r in sets], axis=0)  # what xailib prints
    table = {"between sets": between, "by rows": by_rows, "over repeats": over_repeats}
    return pd.DataFrame(table, five).assign(over_root=over_repeats / np.sqrt(n_repeats))


for n_repeats in (10, 2):
    print(f"{n_repeats} repeats\n{spreads(n_repeats).round(4).to_string()}\n")

# %% [markdown]
# `between sets` is the truth. With ten repeats `by rows` meets it (credit age is a fifth too long); with two it is a little long. `over repeats` describes *one* repeat, not their mean: by accident near the truth at ten, a third to a half of it at two. Divided by the root of the number of repeats (`over_root`) it shrinks to nothing as you repeat, while the luck of having drawn these applicants stays. Remember this when a paper shows tiny whiskers.
#
# ### Which metric?
#
# One pass over the shuffled copies serves several metrics. `p_value` tests, by rows and one-sided, "on average shuffling does no harm". Of 42 such tests two fall below 0.05 by luck: believe those below 0.05/42 = 0.0012. Read `region` across.

# %%
three = permutation_importances(forest, X, y, metrics=["log_loss", "roc_auc", "accuracy"], n_repeats=10)
pd.concat({name: r.to_frame()[["importance", "p_value"]].round(4) for name, r in three.items()}, axis=1)

# %%
fig, axes = plt.subplots(1, 3, figsize=(10.5, 3.9), sharex=True, sharey=True)
order = three["log_loss"].ranking()[:2:-1]  # the three leaders are far to the right under every metric
for ax, (name, result) in zip(axes, three.items(), strict=True):
    unit = result.values[result.names.index("prior_defaults")]
    for place, feature in enumerate(order):
        j, is_region = result.names.index(feature), feature == "region"
        style = {"fmt": "s", "color": plots.POSITIVE, "label": "region"} if is_region else {"fmt": "o", "color": plots.CONTEXT}
        ax.errorbar(result.values[j] / unit, place, xerr=1.96 * result.std_errors[j] / unit, **style)
    ax.axvline(0, color="black", lw=0.8)
    ax.set_title(f"{name.replace('_', ' ')}: region p = {result.p_values[result.names.index('region')]:.3f}")
axes[0].set_yticks(range(len(order)), order)
axes[1].set_xlabel("importance as a share of that of prior_defaults, with 95 % intervals (2,000 rows)")
axes[2].legend(loc="lower right")
caption = "Importance of the eleven weaker columns under three metrics on one scale: region is clear of zero "
plots.show(fig, caption + "under log loss and AUC; under accuracy its interval straddles zero, like most others.")

# %% [markdown]
# Dots are importances, bars 95 % intervals, the black line is "no harm". Under accuracy nearly all intervals straddle the line. Would you write "region: not used"? Ask 20,000 applicants instead of 2,000.

# %%
for rows, (A, b) in {"2,000": (X, y), "20,000": (fresh.X, fresh.y)}.items():
    region = permutation_importances(forest, A, b, metrics=["log_loss", "accuracy"], features=["region"])
    for name, r in region.items():
        print(f"{rows:>6s} rows, {name:8s}: {r.values[0]:.4f} (standard error {r.std_errors[0]:.4f}, p = {r.p_values[0]:.4f})")

# %% [markdown]
# Accuracy sees region too. It was not blind but short of rows: it notices a change only when a decision crosses one half, and most of those crossings cancel. A p-value of 0.42 on 2,000 rows never meant "not used".
#
# > **Pitfall. "Not significant" is not "zero".** Before you report the absence of an importance, give its interval.

# %% [markdown]
# ### Which rows?
#
# The same forest, the same method, but the rows it was trained on.

# %%
held_out = three["log_loss"]
training = permutation_importance(forest, X_train, y_train, n_repeats=3)
both = {"training": training.values, "+-": training.std_errors, "held-out": held_out.values, "+- ": held_out.std_errors}
print(pd.DataFrame(both, X.columns).sort_values("training", ascending=False).round(4).to_string())
print(f"log loss of the forest: training {training.baseline:.4f}, held-out {held_out.baseline:.4f}")
for name, (A, b) in {"training": (X_train, y_train), "held-out": (X, y)}.items():
    r = permutation_importance(forest, A, b, features=["prior_defaults"], form="ratio", n_repeats=3)
    print(f"{name}: shuffling prior_defaults multiplies the loss by {r.values[0]:.2f}")

# %% [markdown]
# Columns marked +- are standard errors by rows. (Credit age was 0.0148 with our three permutations and is 0.0113 with ten: well within its error.) On its training rows the forest loses much without the customer number: it memorised applicants by it. Ratios exaggerate here, because the training loss is so small.
#
# ### Moves, or helps?
#
# "Relies on" has two meanings. A column **helps** if predictions get *worse* when it is shuffled. It **moves** predictions if they *change*, for better or worse. For the second, measure the distance from the model's own prediction. Guess first: how many of 2,000 held-out decisions change when the customer number is shuffled?

# %%
risk = forest(X)


def movement(y, p):
    """How far a prediction moves, whatever the outcome."""
    return np.abs(p - risk)


def flipped(y, p):
    """Whether the decision at one half changes."""
    return (p > 0.5) != (risk > 0.5)


moves = permutation_importances(forest, X, y, metrics=[movement, flipped], n_repeats=10)
settled = permutation_importance(forest, fresh.X, fresh.y, n_repeats=3)
two = pd.DataFrame({"moves risk": moves["movement"].values, "flips of 2,000": 2000 * moves["flipped"].values}, X.columns)
two["helps"], two["helps, 20,000 rows"], two["p"] = held_out.values, settled.values, settled.p_values
print(two.sort_values("moves risk", ascending=False).round(4).to_string())

# %%
for name in ["region", "customer_number"]:
    right, right_shuffled = (risk > 0.5) == y, (forest(shuffled(X, name, permutations[0])) > 0.5) == y
    better, worse = np.sum(~right & right_shuffled), np.sum(right & ~right_shuffled)
    print(f"one shuffle of {name}: {better + worse} decisions change, {better} for the better, {worse} for the worse")

# %% [markdown]
# There is your answer. The forest *does* use the random number: it moves risks by 2.6 points on average and changes some fifty decisions, more than `employment`, which is in the rule. It does not *help*: 0.0003 on 20,000 rows (p = 0.33), against employment's 0.0023. So the forest lets noise move decisions, and the list ranks that noise above columns that help.
#
# Changed decisions prove movement only: in one shuffle region and customer number look alike. The loss over enough rows tells them apart. From here on *importance* means help.
#
# ### Twins
#
# `height_cm` and `height_in` say the same thing. While one is shuffled, the other still tells the truth. Guess before you run: if each alone is worth about 0.005, what are both together worth?

# %%
heights = {"features": ["height_cm", "height_in"], "groups": {"both heights": ["height_cm", "height_in"]}}
print(permutation_importance(forest, X, y, **heights).to_frame().round(4).to_string())
blocks = [(fresh.X[i : i + 2000], fresh.y[i : i + 2000]) for i in range(0, 20_000, 2000)]
results = [permutation_importance(forest, *block, n_repeats=3, **heights) for block in blocks]
mean, low, high = mean_interval(np.array([r.values @ [1, -1, -1] for r in results]))
print(f"pair minus the sum of its members, ten fresh sets: {mean:.4f}, 95 % interval {low:.4f} to {high:.4f}")

# %% [markdown]
# More than the sum, and not by luck. Two half-seeing eyes: closing one costs little, closing both costs sight. A **group** is shuffled by one permutation, so that every row receives two heights that belong to one person. Group whatever measures the same thing, *before* you look at the result.
#
# ### What does it add to the others?
#
# **Conditional** permutation asks another question: what does a column tell that the *other columns* do not? Either shuffle within strata (here: people of equal age). Or predict the column from all others (categories as 0/1 columns, a linear model, five-fold cross-fitting) and shuffle only the residual, the part they do not explain.

# %%
ages = X["age_years"]
pair = ["credit_age_years", "height_cm"]
plain = permutation_importance(forest, X, y, features=pair)
within_age = permutation_importance(forest, X, y, features=pair[:1], conditional=ages)
residual = permutation_importance(forest, X, y, features=pair, conditional=LinearRegression())
for name, r in {"plain": plain, "within equal age": within_age, "residual only": residual}.items():
    print(f"{name}\n{r.to_frame().round(4).to_string(header=False)}")

# %% [markdown]
# (Columns: importance, standard error, p.) Given the other height, `height_cm` adds next to nothing, 0.0002: true, and easily misread as "height does not matter". For credit age the two methods answer 0.0023 and 0.0044, both hardly distinguishable from zero on 2,000 rows; we will return with more. Plain, grouped and conditional importance are three different questions. Name yours.

# %% [markdown]
# ## Lab
#
# A bank of its own, with two changes: only `height_cm` has an effect, about three times that of both heights in `loans`; and the slider decides how closely `height_in` follows it. A forest was trained for each position. First give your prediction, then move the correlation to 1, and only then group the heights. After that: training rows, and accuracy.

# %%
playground = lab.permutation.shuffle_lab()
playground

# %%
playground.filmstrip()


# %% [markdown]
# At correlation 0 (A) nearly all credit sits on `height_cm`; at 1 (B) it is split, although the world reads only one of the two. C groups them: the help never went away. On training rows (E) noise gains weight. What the strip does not say: which column the world uses. At correlation 1 no method that only asks the model can know.

# %% [markdown]
# ## Graded against the truth
#
# **First score: the relevant set.** The rule reads twelve of fourteen columns. Of the 24 pairs of a relevant and an irrelevant one, which share is ranked in the right order? Eight worlds, each with a forest trained on 2,000 rows; a coin scores 0.5. The loss is the *Brier score*, the mean squared error of the probability: in log loss one default after a forecast of 0 costs 36.


# %%
def score(values, truth):
    """Share of (relevant, irrelevant) pairs in the right order; ties count half."""
    gaps = np.array([values[r] - values[i] for r in truth.relevant for i in truth.irrelevant])
    return np.mean((gaps > 0) + 0.5 * (gaps == 0))


def permuted_score(f, data, truth):
    r = permutation_importance(f, *data, metric="brier_score", n_repeats=3)
    return score(pd.Series(r.values, r.names), truth)


small_worlds = [worlds.loans(3000, random_state=seed) for seed in range(8)]
small_forests = [tabular("loans-forest", world) for world in small_worlds]
graded = pd.DataFrame(index=range(8))
for i, (world, model) in enumerate(zip(small_worlds, small_forests, strict=True)):
    impurity = pd.Series(model[-1].feature_importances_, model[:-1].get_feature_names_out())
    graded.loc[i, "impurity"] = score(impurity, world.truth)
    seen = world.train[0][:1000], world.train[1][:1000]
    graded.loc[i, "training, 1,000 rows"] = permuted_score(predictor(model), seen, world.truth)
    graded.loc[i, "held-out, 1,000 rows"] = permuted_score(predictor(model), world.test, world.truth)
print(graded.agg(["mean", "sem"]).T.round(4).to_string())

# %% [markdown]
# (On the planted rule itself the score is 1 almost by construction: shuffling an unread column changes nothing.) Before you go on: is the missing fifth of held-out permutation the *forest's* fault, which hardly learned the weakest columns, or that of the *explanation*, from 1,000 rows? An experiment decides. Same forests, more rows.

# %%
for i, (world, model) in enumerate(zip(small_worlds, small_forests, strict=True)):
    many = worlds.loans(20_000, random_state=100 + i)
    metrics = ["brier_score", "log_loss"]
    for name, r in permutation_importances(predictor(model), many.X, many.y, metrics=metrics, n_repeats=1).items():
        graded.loc[i, f"{name}, 20,000 rows"] = score(pd.Series(r.values, r.names), world.truth)
print(graded.iloc[:, 3:].agg(["mean", "sem"]).T.round(4).to_string())
for name in graded.columns.drop("held-out, 1,000 rows"):
    mean, low, high = mean_interval(graded["held-out, 1,000 rows"] - graded[name])
    print(f"held-out, 1,000 rows minus {name}: {mean:.4f}, 95 % interval {low:.4f} to {high:.4f}")

# %% [markdown]
# The forests knew: with 20,000 rows 97 % of the pairs are in order. Most of the missing fifth was an error of the *explanation*, too few rows, not of the model. Under log loss the interval for twenty times the rows includes zero: again the metric decides how much data a claim needs. Held-out rows beat impurity; that they beat training rows, eight worlds do not show.
#
# And why is impurity so poor? The suspicion: columns with many values offer many places to split. Give the forest a *random* column, and vary only how many values it has.

# %%
for n_values in (2, 10, 100, 900_000):
    bait = loans.X.assign(customer_number=np.random.default_rng(0).integers(n_values, size=len(loans.X)))
    model = tabular("loans-forest", replace(loans, X=bait))
    share = pd.Series(model[-1].feature_importances_, model[:-1].get_feature_names_out())["customer_number"]
    print(f"random column with {n_values:>7,} values: impurity importance {share:.4f}")

# %% [markdown]
# Same noise, about five times the importance.
#
# **Second score: the values.** How far is our estimate from the same forest's importance on 20,000 fresh applicants (explanation error), and how far is that from the planted rule's (model error)?

# %%
rule = permutation_importance(loans.truth.predict, fresh.X, fresh.y, n_repeats=3)
print(f"explanation error {np.abs(held_out.values - settled.values).mean():.4f}, mean over 14 columns")
print(f"model error       {np.abs(settled.values - rule.values).mean():.4f}")
apart = np.abs(held_out.values - settled.values) > 1.96 * np.hypot(held_out.std_errors, settled.std_errors)
print("further from the fresh value than both errors explain:", ", ".join(X.columns[apart]) or "none")
larger = rule.values > settled.values
print(f"the rule's value is larger than the forest's for {larger.sum()} columns; not for:", ", ".join(X.columns[~larger]))

# %%
fig, ax = plt.subplots(figsize=(7.6, 4.6))
at = np.argsort(rule.values)
bars = {"xerr": 1.96 * held_out.std_errors[at], "fmt": "o", "color": plots.ANCHOR, "ecolor": plots.CONTEXT}
ax.plot(rule.values[at], range(14), "D", mfc="none", color=plots.TRUTH, label="planted rule, 20,000 fresh rows")
ax.plot(settled.values[at], range(14), "x", ms=8, mew=2, color=plots.NEGATIVE, label="forest, 20,000 fresh rows")
ax.errorbar(held_out.values[at], range(14), ms=4, label="forest, reported from 2,000 rows (95 %)", **bars)
ax.set_yticks(range(14), X.columns[at])
ax.axvline(0, color="black", lw=0.8)
ax.set(xlabel="increase of log loss", title="The report is close to the forest, further from the world")
ax.legend(loc="lower right")
caption = "Reported importances lie near the forest's values on fresh rows; "
plots.show(fig, caption + "the planted rule's values are larger for most columns.")

# %% [markdown]
# Dots with bars are what you would report, crosses the same forest on fresh applicants, diamonds the planted rule. Read horizontally: crosses near dots mean that the method did its work, and no cross is further from its dot than the errors of both explain. The diamonds lie to the right for most columns: the forest takes less from them than the world offers. What the figure does not say: that the diamonds are what a better explanation would have shown. An explanation of this forest should show the crosses.
#
# **Third score: the twins.** Does grouping make up for shared credit?

# %%
models = {"rule": loans.truth.predict, "forest": forest, "boosting": predictor(tabular("loans-boosting"))}
shares = {name: permutation_importance(f, fresh.X, fresh.y, n_repeats=3, **heights) for name, f in models.items()}
both = {name: r.to_frame()[["importance", "std_error"]] for name, r in shares.items()}
print(pd.concat(both, axis=1).round(4).to_string())

# %% [markdown]
# (20,000 fresh rows.) In the rule both heights carry the same weight and get the same credit. The forest roughly agrees. Boosting took one of the two columns and never looked at the other: importance exactly zero, and no worse a model for it. **The split between twins belongs to the training algorithm, not to the world.** Grouped, the three lie between 0.0087 and 0.0124; one by one, between 0 and 0.0087 for the very same column.

# %% [markdown]
# ## Break it: two models that agree on everyone, and importances that do not
#
# Nobody opens an account before turning 18, so `credit_age_years` never exceeds `age_years - 18`. We take the forest and doctor it: whoever has had credit for longer than that gets a 99 % risk. No such person exists. On every applicant the two models are the same.

# %%
first_account_years = 18


def impossible(X):
    return X["credit_age_years"] > X["age_years"] - first_account_years


def doctored(X):
    return np.where(impossible(X), 0.99, forest(X))


print("applicants on whom the two models differ:", int((doctored(loans.X) != forest(loans.X)).sum()), "of", len(loans.X))

# %% [markdown]
# **Criterion.** Two models that agree on all data should have the same importances.

# %%
pair = ["age_years", "credit_age_years"]
honest, tampered = (permutation_importance(f, X, y, features=pair) for f in (forest, doctored))
print(pd.DataFrame({"forest": honest.values, "doctored": tampered.values}, pair).round(4).to_string())
print("criterion broken:", bool((tampered.values - honest.values > 5 * tampered.std_errors).all()))

# %% [markdown]
# Broken: 0.5 and more instead of about 0.01. Where does the difference come from? From people whom the shuffling invented.

# %%
copy = shuffled(X, "credit_age_years", permutations[0])
invented = copy[impossible(copy)]
print(f"{len(invented) / len(copy):.1%} of the shuffled rows cannot exist, for example:")
too_long = invented["credit_age_years"] - (invented["age_years"] - first_account_years)
print(invented[pair].assign(years_too_long=too_long).nlargest(5, "years_too_long").to_string(index=False))

# %%
fig, axes = plt.subplots(1, 2, figsize=(9.6, 3.9), sharey=True)
for ax, rows, title in [(axes[0], X, "applicants"), (axes[1], copy, "after shuffling credit age")]:
    bad = impossible(rows)
    ax.plot(rows["age_years"][~bad], rows["credit_age_years"][~bad], ".", ms=3, color=plots.CONTEXT, label="possible")
    ax.plot(rows["age_years"][bad], rows["credit_age_years"][bad], "x", ms=4, color=plots.POSITIVE, label="impossible")
    ax.axline((first_account_years, 0), slope=1, color="black", lw=0.8, label="credit since age 18")
    ax.set(xlabel="age (years)", title=f"{title}: {bad.mean():.0%} impossible")
axes[0].set_ylabel("credit age (years)")
axes[0].legend(*axes[1].get_legend_handles_labels(), loc="upper left")
caption = "Credit age against age: all applicants lie below the line credit age = age - 18, "
plots.show(fig, caption + "but after shuffling about a fifth of the rows lie above it.")

# %% [markdown]
# Notice that the honest forest, too, was scored on the crosses, on what it happens to say about 23-year-olds with 30 years of credit. How much of *its* importance comes from there? Add up the increase of the loss over the crosses alone, on 20,000 fresh applicants.

# %%
untouched = (fresh.y - forest(fresh.X)) ** 2
rng, increase, crossed = np.random.default_rng(0), [], []
for _ in range(5):
    copy = shuffled(fresh.X, "credit_age_years", rng.permutation(len(fresh.X)))
    increase.append((fresh.y - forest(copy)) ** 2 - untouched)
    crossed.append(impossible(copy))
increase, crossed = np.array(increase), np.array(crossed)
print(f"share of the shuffled rows that are impossible       {crossed.mean():.1%}")
print(f"share of the increase of the Brier score from them   {increase[crossed].sum() / increase.sum():.1%}")

# %% [markdown]
# Little more than their due: *this* forest's importance hardly lives on invented rows. Nothing in the method promises that, as its doctored twin shows.
#
# **Detection.** Shuffle among applicants of the same age: nobody impossible can arise. If an importance collapses under that restriction, it lived on invented rows, or on what the column shares with age.

# %%
equal_age = {"features": ["credit_age_years"], "conditional": fresh.X["age_years"], "n_repeats": 3}
for name, f in {"forest": forest, "doctored": doctored, "planted rule": loans.truth.predict}.items():
    r = permutation_importance(f, fresh.X, fresh.y, **equal_age)
    print(f"{name:12s} within equal age: {r.values[0]:.4f} (standard error {r.std_errors[0]:.4f}, p = {r.p_values[0]:.4f})")
for name, f in {"forest": forest, "doctored": doctored}.items():
    r = permutation_importance(f, X, y, features=["credit_age_years"], conditional=LinearRegression())
    print(f"{name:12s} residual of a linear model: {r.values[0]:.4f}")

# %% [markdown]
# Within equal age the two models are one again. On 2,000 rows the honest forest's 0.0023 had p = 0.17; "beyond age, credit age is of no use" would have been wrong: on 20,000 rows it is there, as it is in the rule. (Smaller than plain, also because credit ages differ less within an age.) The residual method is less safe: its linear model sends people across the line, 0.0993 against the forest's 0.0044.
#
# ### Reliance is not cause
#
# Train a forest without income and compare the importance of loan size on ten fresh sets of applicants. Is a large loan a danger or a comfort? Ask the models and the world what a loan larger by a quarter does.

# %%
without_income = replace(loans, X=loans.X.drop(columns="annual_income_keur"))
blind = predictor(tabular("loans-forest", without_income))
with_income = {"with income": forest, "without income": lambda rows: blind(rows.drop(columns="annual_income_keur"))}


def loan_importance(f, A, b):
    return permutation_importance(f, A, b, features=["loan_amount_keur"], n_repeats=3).values[0]


sizes = pd.DataFrame({name: [loan_importance(f, *block) for block in blocks] for name, f in with_income.items()})
mean, low, high = mean_interval(sizes["without income"] - sizes["with income"])
print(sizes.mean().round(4).to_string())
print(f"without minus with income, paired: {mean:.4f}, 95 % interval {low:.4f} to {high:.4f}")

# %%
larger = fresh.X.assign(loan_amount_keur=1.25 * fresh.X["loan_amount_keur"])
beyond = (larger["loan_amount_keur"] > X_train["loan_amount_keur"].quantile(0.99)).mean()
print(f"loans then beyond the 99th percentile of the training rows: {beyond:.1%}")
for name, f in {"world": loans.truth.predict, **with_income}.items():
    print(f"{name:15s} change of the mean risk {np.mean(f(larger) - f(fresh.X)):+.4f}")
print(
    f"rank correlation of loan size and income {fresh.X[['loan_amount_keur', 'annual_income_keur']].corr('spearman').iloc[0, 1]:.2f}"
)

# %% [markdown]
# In the world a larger loan defaults more often. The forest without income believes the opposite: people who ask for much tend to earn much, and earning is what protects. Its reliance on loan size is real, larger than before, and points the wrong way. An importance has no direction, and it is about a model.
#
# > **Pitfall. An importance is not an effect.** It tells you where to look, not what to change.

# %% [markdown]
# ## On real data
#
# 569 breast tumours, 30 measurements of cell nuclei, near copies among them: radius, perimeter and area, each as mean, error and worst case. Nobody planted anything here, so there is no truth to grade against, and only 143 tumours are held out.

# %%
tumours = worlds.real.breast_cancer()
model = RandomForestClassifier(200, min_samples_leaf=2, random_state=0).fit(*tumours.train)
diagnose, (Z, benign) = predictor(model), tumours.test
alone = permutation_importances(diagnose, Z, benign, metrics=["accuracy", "brier_score"])
print(f"accuracy on {len(Z)} held-out tumours: {alone['accuracy'].baseline:.4f}")
for name, r in alone.items():
    print(f"{name}: {(r.values <= 0).sum()} of 30 columns at zero or less, {(r.p_values < 0.05).sum()} with p < 0.05")

# %% [markdown]
# Right on nineteen of twenty tumours, and relying on *nothing*? You know the suspects: a coarse metric on few rows, and twins. The Brier score clears the first: it sees columns where accuracy sees none (of 30 tests, one or two by luck). For the second, group the columns by what they measure. The grouping comes from reading their names, not from the result: size, texture, and everything else, which describes the outline.

# %%
measures = pd.Series(Z.columns, Z.columns).str.replace(r"mean_|_error|worst_", "", regex=True)
families = measures.replace(["radius", "perimeter", "area"], "size")
families = families.where(families.isin(["size", "texture"]), "outline")
groups = {family: list(names.index) for family, names in families.groupby(families)}
grouped = permutation_importance(diagnose, Z, benign, metric="brier_score", groups=groups)
single = pd.Series(alone["brier_score"].values, Z.columns).groupby(families).sum()
print(grouped.to_frame().assign(sum_of_single_columns=single).round(4).to_string())

# %%
fig, ax = plt.subplots(figsize=(7.2, 2.6))
grouped.plot(ax)
ax.plot(single[grouped.ranking()[::-1]], range(3), "D", mfc="white", color=plots.POSITIVE, label="sum of the single columns")
ax.set(title="Shuffled together, size costs far more than its nine columns one by one", xlabel="increase of the Brier score")
ax.legend(loc="lower right")
caption = "Three groups of columns with 95 % intervals: size matters most, then the outline; "
plots.show(fig, caption + "for both, the sum of the single columns (diamonds) is a third or less of the group.")

# %% [markdown]
# Bars are groups, whiskers 95 % intervals by rows, diamonds what the columns of the group add up to one by one. You may conclude: *this forest, on tumours like these, predicts worse without size, and without the outline.* You may not conclude that size decides about malignancy, that texture is useless to a pathologist, or that a forest without size would fail: it was never asked to do without.
#
# ### Bring your own
#
# Put your model (a function; `predictor` makes one), table, outcomes and groups into the first three lines. For a regression choose `metric="squared_error"`. Larger tables to try, when you are online: `worlds.real.adult()` and `worlds.real.california_housing()`.

# %%
my_model, my_table, my_outcomes = diagnose, Z, benign
my_groups = {"worst size": ["worst_radius", "worst_perimeter", "worst_area"]}
settings = {"metric": "brier_score", "groups": my_groups, "features": ["worst_texture"]}
result = permutation_importance(my_model, my_table, my_outcomes, **settings)
print(result.to_frame().round(3).to_string())

# %% [markdown]
# ## Strengths, limits, when not to use it
#
# **It asks a question people have.** Any model, any loss, in units of that loss, with a test. One number for a group is as easy as for a column. It answers "does the column *help* on such rows?"; whether it *moves* predictions takes the second column of our table.
#
# > **Retraining is another question.** Importance tells what *this* model loses when a column turns to noise, not what a model would lose that had never had it.
#
# > **Shuffling invents people.** A fifth of the rows behind the importance of credit age cannot exist. Strata keep you among the possible ones, and change the question.
#
# > **Weak columns need many rows.** How many depends on the metric. An interval says what a missing star does not.
#
# Do not use it to explain a single decision (chapter 5 does), to find causes, or to choose columns for a new model.

# %% [markdown]
# ## Exercises

# %%
ex.card("permutation.shuffle")


# %%
def loss_increase(predict, X, y, column, order):
    # your code
    ...


loss_increase = ex.check("permutation.shuffle", loss_increase)

# %%
ex.card("permutation.group")


# %%
def group_loss_increase(predict, X, y, columns, order):
    # your code
    ...


group_loss_increase = ex.check("permutation.group", group_loss_increase)

# %%
ex.card("permutation.refit")

# %%
my_guess = ...  # a number, before you measure
my_measurement = ...  # log_loss(y, ...) - log_loss(y, ...)
my_measurement = ex.check("permutation.refit", my_measurement, prediction=my_guess)

# %%
ex.card("permutation.given")

# %%
my_second_guess = ...  # a number, before you measure
my_result = ...  # permutation_importance(forest, X, y, ...).values[0]
my_result = ex.check("permutation.given", my_result, prediction=my_second_guess)

# %%
ex.card("permutation.strata")


# %%
def shuffle_within(values, strata, rng):
    # your code
    ...


shuffle_within = ex.check("permutation.strata", shuffle_within)
moved = shuffle_within(X["credit_age_years"].to_numpy(), ages.to_numpy(), np.random.default_rng(0))
print(f"impossible rows after shuffle_within (yours, once it is right): {impossible(X.assign(credit_age_years=moved)).sum()}")

# %%
ex.card("permutation.error_bar")


# %%
def standard_error(increase, orders):
    # your code
    ...


standard_error = ex.check("permutation.error_bar", standard_error)

# %%
ex.card("permutation.memo")

# %%
my_claims = ...  # the letters of the claims that hold, such as "ac"
my_claims = ex.check("permutation.memo", my_claims)

# %%
ex.progress("permutation")

# %% [markdown]
# ## Quiz

# %%
ex.quiz("permutation")

# %% [markdown]
# ## Take-away
#
# 1. Importance is the extra loss when a column turns to noise: of *this* model, on *these* rows, under *this* metric. It measures help; a column can move many predictions and help none.
# 2. Report an interval that treats rows as the sample. What 2,000 rows cannot show, 20,000 may.
# 3. Twins share credit, and their training algorithm decides how: shuffle them together.
# 4. Shuffling scores rows that cannot exist. Count them, and check within strata.
# 5. Never read an importance as an effect, nor as the cost of retraining.

# %% [markdown]
# ## Further reading
#
# - Breiman (2001), *Random forests*, Machine Learning 45: where shuffling comes from. doi:10.1023/A:1010933404324
# - Fisher, Rudin & Dominici (2019), *All models are wrong, but many are useful*, JMLR 20: ratio and difference forms, and the range of importances over all good models. arXiv:1801.01489
# - Strobl, Boulesteix, Zeileis & Hothorn (2007), *Bias in random forest variable importance measures*: why impurity favours columns with many values. doi:10.1186/1471-2105-8-25
# - Strobl, Boulesteix, Kneib, Augustin & Zeileis (2008), *Conditional variable importance for random forests*: shuffling within strata. doi:10.1186/1471-2105-9-307
# - Hooker, Mentch & Zhou (2021), *Unrestricted permutation forces extrapolation*: the impossible rows. arXiv:1905.03151
# - Chamma, Engemann & Thirion (2023), *Statistically valid variable importance assessment through conditional permutations*: residuals and tests. arXiv:2309.07593
# - Molnar et al. (2023), *Relating the partial dependence plot and permutation feature importance to the data generating process*: what the intervals are about. arXiv:2109.01433
