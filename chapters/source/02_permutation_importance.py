# %% [markdown]
# # Permutation importance: what does the model lean on?
#
# Shuffle one column, let the model predict again, and see how much worse it gets. That is the whole method. You will write it, put an honest error bar on it, catch a rival praising a random number, and fool the method itself.
#
# **Estimated time:** 80 minutes
#
# **What you need:** held-out data, log loss (the mean of minus the log of the probability given to what happened), and [chapter 0](00_start_here.ipynb).
#
# **Why care.** "Which inputs does it use?" is the first question of every regulator. Most software answers with a biased number and no error bar. And the usual reading, "so much would be lost without that column", is off by a factor of two below.

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
# A bank decides on loans with a random forest. A regulator writes: *name the inputs your model relies on.* The data team opens the forest, prints the attribute `feature_importances_`, and is about to send the list. It adds up, over all splits of all trees, how much purer the two halves became: *impurity importance*. You are asked to countersign.

# %%
loans = worlds.loans()
(X_train, y_train), (X, y) = loans.train, loans.test
pipeline = tabular("loans-forest")
forest = predictor(pipeline)  # a plain function: table in, probability of default out
columns, trees = pipeline[:-1].get_feature_names_out(), pipeline[-1]
impurity = pd.Series(trees.feature_importances_, columns).sort_values(ascending=False)
print(impurity.round(4).to_string())

# %%
rank = impurity.index.get_loc("customer_number") + 1
print(f"customer_number is number {rank} of {len(impurity)}, and carries {impurity['customer_number']:.1%} of the importance")
print("columns ranked below it:", ", ".join(impurity.index[rank:]))

# %% [markdown]
# The customer number is drawn at random. It says nothing about anyone, and we know this because we wrote the world. Yet the list puts it ahead of age, region and a fraud list. Would you sign?
#
# Before we repair it, a guess from you: is it the *forest* that is wrong (it really leans on a random number), or the *list* (it reports a reliance that is not there)? Keep your answer; the chapter has one, and it is not "one of the two".

# %% [markdown]
# ## By hand
#
# Six applicants and a rule: *predict default if there are two or more prior defaults*. One prediction of six is wrong (F). Now every applicant receives the count of somebody else, the **donor**.
#
# | applicant | prior defaults | defaulted? | rule says | donor | count received | rule now says | wrong now? |
# |---|---|---|---|---|---|---|---|
# | A | 0 | no | no | B | 2 | yes | wrong |
# | B | 2 | yes | yes | D | 0 | no | wrong |
# | C | 1 | no | no | E | 3 | yes | wrong |
# | D | 0 | no | no | F | 0 | no | right |
# | E | 3 | yes | yes | A | 0 | no | wrong |
# | F | 0 | yes | no | C | 1 | no | wrong |
#
# The error was 1/6 and is now 5/6. As a **difference** the importance is 4/6; as a **ratio** it is 5. Before you read on: what would shuffling the favourite colour give, in both forms?

# %%
prior_defaults, defaulted = np.array([0, 2, 1, 0, 3, 0]), np.array([0, 1, 0, 0, 1, 1])
donors = [1, 3, 4, 5, 0, 2]


def error(counts):
    return np.mean((counts >= 2) != defaulted)


before, after = error(prior_defaults), error(prior_defaults[donors])
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
# One thing the six rows already show: another shuffle gives another number. Here are 1,000 of them. Ours, 4/6, was an unlucky one; the importance is the mean.

# %%
rng = np.random.default_rng(0)
increases = [error(prior_defaults[rng.permutation(6)]) - before for _ in range(1000)]
values, counts = np.unique(np.round(increases, 4), return_counts=True)
print(pd.Series(counts, values).to_string(), f"\nmean {np.mean(increases):.4f}")

# %% [markdown]
# ## In thirty lines
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
# On 2,000 applicants the forest has never seen, the customer number is worth nothing: shuffle it, and the predictions are as good as before. The list that the team wanted to send was wrong about these applicants.
#
# So the list is to blame, and the forest is innocent? Wait for the training rows, below.

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
print("ok: thirty lines = xailib = scikit-learn, to 1e-12")

# %% [markdown]
# They part where they report uncertainty. scikit-learn prints the spread over *repeats*: it knows nothing of the luck of having drawn *these* applicants. `xailib` takes the row as the unit, and counts it in both roles, as receiver and as donor. Who is right? Draw 40 new test sets of 500 applicants and see how much the importance of income really varies between them.

# %%
fresh = worlds.loans(20_000, random_state=1)
tests = [permutation_importance(forest, fresh.X[i : i + 500], fresh.y[i : i + 500], features=["annual_income_keur"])
         for i in range(0, 20_000, 500)]  # fmt: skip
print(f"spread between 40 test sets        {np.std([t.values[0] for t in tests], ddof=1):.4f}")
print(f"standard error by rows (xailib)    {np.mean([t.std_errors[0] for t in tests]):.4f}")
print(f"standard error by repeats          {np.mean([t.samples.std(ddof=1) / np.sqrt(10) for t in tests]):.4f}")

# %% [markdown]
# The error bar by repeats is less than a third of what it should be, and more repeats would shorten it further: they complete the sum over permutations of *these* applicants. The one by rows has the right length. Remember this when a paper shows tiny whiskers.
#
# ### Which metric?
#
# One pass over the shuffled copies serves several metrics. Read the rows `region` and `loan_amount_keur` across.

# %%
three = permutation_importances(forest, X, y, metrics=["log_loss", "roc_auc", "accuracy"], n_repeats=10)
pd.concat({name: r.to_frame()[["importance", "p_value"]].round(4) for name, r in three.items()}, axis=1)

# %%
fig, axes = plt.subplots(1, 3, figsize=(10.5, 4.2), sharey=True)
order = three["log_loss"].ranking()[::-1]
for ax, result in zip(axes, three.values(), strict=True):
    at = [result.names.index(j) for j in order]
    bars = {"xerr": 1.96 * result.std_errors[at], "fmt": "o", "color": plots.ANCHOR, "ecolor": plots.CONTEXT}
    ax.errorbar(result.values[at], range(len(order)), **bars)
    ax.plot(result.values[at][order.index("region")], order.index("region"), "s", ms=8, color=plots.POSITIVE)
    ax.axvline(0, color="black", lw=0.8)
    ax.set_xlabel(result.unit.replace("_", " "))
axes[0].set_yticks(range(len(order)), order)
axes[0].set_title("The same shuffled copies under three metrics")
caption = "Importance of 14 features, with 95 % intervals, under three metrics: the leading three agree; "
plots.show(fig, caption + "log loss and AUC see region (square), accuracy does not.")

# %% [markdown]
# Dots are importances, bars 95 % intervals, the black line is "no reliance". The leading three agree everywhere. Now look at the square, `region`: log loss and AUC see the reliance clearly, accuracy reports nothing. Accuracy falls only if more decisions turn wrong than turn right, and shuffling region turns as many either way, as the next cell shows. A bank that reports accuracy would write "region: not used". The picture does not say that this is dishonest; it says that the metric is part of the question.

# %%
region = permutation_importances(forest, X, y, metrics=["log_loss", "accuracy"], features=["region"])
for name, result in region.items():
    print(f"region under {name}: {result.values[0]:.4f}, p = {result.p_values[0]:.4f}")
denied, denied_shuffled = forest(X) > 0.5, forest(shuffled(X, "region", permutations[0])) > 0.5
right, right_shuffled = denied == y, denied_shuffled == y
print(f"one shuffle of region turns {np.sum(denied != denied_shuffled)} of {len(X)} decisions round:")
print(f"{np.sum(~right & right_shuffled)} from wrong to right, {np.sum(right & ~right_shuffled)} from right to wrong")

# %% [markdown]
# ### Which rows?
#
# Now the question that the thirty lines left open. The same forest, the same method, but the rows it was trained on.

# %%
held_out = three["log_loss"]
training = permutation_importance(forest, X_train, y_train, n_repeats=3)
both = pd.DataFrame({"training": training.values, "held-out": held_out.values}, X.columns)
print(both.sort_values("training", ascending=False).round(4).to_string())
print(f"log loss of the forest: training {training.baseline:.4f}, held-out {held_out.baseline:.4f}")

# %% [markdown]
# On its training rows the forest *does* lean on the customer number: it memorised applicants by it. So neither the forest nor the list was innocent. Held-out rows tell what the model gains from a column where it matters; training rows tell what it leaned on while learning, over-fitting included. A large gap between the two is a finding about the model, not a nuisance.
#
# ### Twins
#
# `height_cm` and `height_in` say the same thing. While one is shuffled, the other still tells the truth. Guess before you run: if each alone is worth about 0.005, what are both together worth?

# %%
heights = permutation_importance(
    forest, X, y, features=["height_cm", "height_in"], groups={"both heights": ["height_cm", "height_in"]}
)
print(heights.to_frame().round(4).to_string())

# %% [markdown]
# More than the sum. Two half-seeing eyes: closing one costs little, closing both costs sight. A **group** is shuffled by one permutation, so that every row receives two heights that belong to one person. Group whatever measures the same thing, *before* you look at the result.
#
# ### What does it add to the others?
#
# **Conditional** permutation asks another question: what does a column tell that the *other columns* do not? Either shuffle within strata, or predict the column from the others and shuffle only the residual.

# %%
ages = X["age_years"]
within_age = permutation_importance(forest, X, y, features=["credit_age_years"], conditional=ages)
residual = permutation_importance(forest, X, y, features=["credit_age_years", "height_cm"], conditional=LinearRegression())
print(f"credit_age_years: plain            {held_out.to_frame().loc['credit_age_years', 'importance']:.4f}")
print(f"credit_age_years: within equal age {within_age.values[0]:.4f} (p = {within_age.p_values[0]:.2f})")
print(f"height_cm:        plain            {held_out.to_frame().loc['height_cm', 'importance']:.4f}")
print(f"height_cm:        residual only    {residual.values[1]:.4f}")

# %% [markdown]
# Given the other height, `height_cm` adds nothing: correct, and easily misread as "height does not matter". Plain, grouped and conditional importance are three estimands. Name yours.

# %% [markdown]
# ## Lab
#
# A bank of its own: here only `height_cm` has an effect, and the slider decides how closely `height_in` follows it. A forest was trained for each position. The dark bars are the heights, hatched bars are pure noise, rings are single repeats. First give your prediction, then move the correlation from 0 to 1, and only then group the heights. After that: training rows, and accuracy.

# %%
playground = lab.permutation.shuffle_lab()
playground

# %%
playground.filmstrip()

# %% [markdown]
# All panels have the same features from top to bottom; in C the two heights are one. Read the dark bars: at correlation 0 all credit sits on `height_cm`; at 1 it is split, although the world still reads only one of the two, and `height_in` "becomes important" without having any effect. C groups them: the reliance never went away. On training rows (E) the hatched noise gains weight. What the strip does not say: which of the two the world uses. At correlation 1 no method that only asks the model can know.

# %%
print(playground.user_sets(correlation=1.0, grouped=True))
print(playground.user_sets(correlation=0.0, grouped=False))

# %% [markdown]
# ## Graded against the truth
#
# The world's rule reads twelve of the fourteen columns. **First score: the relevant set.** Of the 24 pairs of a relevant and an irrelevant column, which share is ranked in the right order? Eight worlds of 3,000 rows, a new forest in each. The oracle (the planted rule itself) is scored too: there only the method can err.

# %%
seeds = range(8)


def score(values, truth):
    """Share of (relevant, irrelevant) pairs in the right order; ties count half."""
    gaps = np.array([values[r] - values[i] for r in truth.relevant for i in truth.irrelevant])
    return np.mean((gaps > 0) + 0.5 * (gaps == 0))


def scores(seed):
    world = worlds.loans(3000, random_state=seed)
    model = tabular("loans-forest", world)
    seen = world.train[0][:1000], world.train[1][:1000]
    asked = {"oracle": (world.truth.predict, world.test), "forest": (predictor(model), world.test),
             "forest, training rows": (predictor(model), seen)}  # fmt: skip
    results = {name: permutation_importance(f, *data, n_repeats=3) for name, (f, data) in asked.items()}
    found = {name: score(pd.Series(r.values, r.names), world.truth) for name, r in results.items()}
    impurity = pd.Series(model[-1].feature_importances_, model[:-1].get_feature_names_out())
    return {**found, "impurity": score(impurity, world.truth)}


# %%
graded = pd.DataFrame([scores(seed) for seed in seeds])
print(graded.agg(["mean", "sem"]).T.round(4).to_string())
mean, low, high = mean_interval(graded["forest"] - graded["impurity"])
print(f"permutation (held-out) minus impurity, paired over worlds: {mean:.4f}, 95 % interval {low:.4f} to {high:.4f}")

# %% [markdown]
# With the oracle the method is perfect in all eight worlds. With a forest trained on 2,000 rows the score falls, because such a *forest* hardly learns the weakest effects: model error, not explanation error. Training rows rank no better: memory lends weight to noise. Impurity is not far from a coin (0.5), since a column with many values offers many places to split.
#
# **Second score: the values.** How far is our estimate from the same model's importance on 10,000 fresh applicants (explanation error), and how far is that from the planted rule's (model error)?

# %%
oracle = permutation_importance(loans.truth.predict, X, y)


def on_fresh_rows(f):
    return permutation_importance(f, fresh.X[:10_000], fresh.y[:10_000], n_repeats=1).values


errors = pd.DataFrame({"estimate": held_out.values, "forest": on_fresh_rows(forest),
                       "oracle": on_fresh_rows(loans.truth.predict)}, X.columns)  # fmt: skip
print(errors.round(4).to_string())
print(f"oracle: explanation error {np.abs(oracle.values - errors['oracle']).mean():.4f}")
print(f"forest: explanation error {np.abs(errors['estimate'] - errors['forest']).mean():.4f}")
print(f"forest: model error       {np.abs(errors['forest'] - errors['oracle']).mean():.4f}")
low, high = held_out.interval().T
inside = (low <= errors["forest"]) & (errors["forest"] <= high)
print(f"95 % intervals that hold the forest's value on fresh rows: {inside.sum()} of 14")

# %%
fig, ax = plt.subplots(figsize=(7.6, 4.6))
order = errors["oracle"].sort_values().index
at = [held_out.names.index(j) for j in order]
bars = {"xerr": 1.96 * held_out.std_errors[at], "fmt": "o", "color": plots.ANCHOR, "ecolor": plots.CONTEXT}
ax.errorbar(held_out.values[at], range(14), label="forest, estimated on 2,000 rows", **bars)
ax.plot(errors.loc[order, "forest"], range(14), "x", color=plots.NEGATIVE, label="forest, 10,000 fresh rows")
ax.plot(errors.loc[order, "oracle"], range(14), "D", mfc="none", color=plots.TRUTH, label="planted rule, 10,000 fresh rows")
ax.set_yticks(range(14), order)
ax.axvline(0, color="black", lw=0.8)
ax.set(xlabel="increase of log loss", title="Close to the forest, further from the world")
ax.legend(loc="lower right")
caption = "Estimated importances lie near the forest's values on fresh rows; "
plots.show(fig, caption + "the planted rule's values are mostly larger.")

# %% [markdown]
# Dots with bars are what you would report; crosses are what the same forest shows on 10,000 other applicants; diamonds are the planted rule. Read horizontally: most crosses lie inside the bars (and have an error of their own), so the method did its work. The diamonds lie to the right for most columns: the forest relies on them less than the world does, as a cautious learner must. What the figure does not say: that the world's values are what a better explanation would have shown. An explanation of this forest should show the crosses.
#
# **Third score: the twins.** Shared credit, mended by grouping?

# %%
twins = {"oracle": loans.truth.predict, "forest": forest, "boosting": predictor(tabular("loans-boosting"))}
asked = {"features": ["height_cm", "height_in"], "groups": {"both heights": ["height_cm", "height_in"]}}
shares = {name: permutation_importance(f, X, y, **asked).to_frame()["importance"] for name, f in twins.items()}
print(pd.DataFrame(shares).round(4).to_string())

# %% [markdown]
# In the rule both heights carry the same weight, and both get the same credit. The forest roughly agrees. Boosting took one of the two columns and never looked at the other: importance exactly zero, with equal right. **The split between twins belongs to the training algorithm, not to the world.** The grouped row is the one in which all three tell the same story.

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
plain = {name: permutation_importance(f, X, y, features=pair) for name, f in [("forest", forest), ("doctored", doctored)]}
print(pd.DataFrame({name: r.values for name, r in plain.items()}, pair).round(4).to_string())
gap = plain["doctored"].values - plain["forest"].values
print("criterion broken:", bool((gap > 5 * plain["doctored"].std_errors).all()))

# %% [markdown]
# Broken, by a factor of more than forty. Where does the difference come from? From people whom the shuffling invented.

# %%
copy = shuffled(X, "credit_age_years", permutations[0])
invented = copy[impossible(copy)]
print(f"{len(invented) / len(copy):.1%} of the shuffled rows can not exist, for example:")
too_long = invented["credit_age_years"] - (invented["age_years"] - first_account_years)
print(invented[pair].assign(years_too_long=too_long).nlargest(5, "years_too_long").to_string(index=False))

# %%
fig, axes = plt.subplots(1, 2, figsize=(9.6, 3.9), sharey=True)
for ax, rows, title in [(axes[0], X, "applicants"), (axes[1], copy, "after shuffling credit age")]:
    bad = impossible(rows)
    ax.plot(rows["age_years"][~bad], rows["credit_age_years"][~bad], ".", ms=3, color=plots.CONTEXT)
    ax.plot(rows["age_years"][bad], rows["credit_age_years"][bad], "x", ms=4, color=plots.POSITIVE)
    ax.axline((first_account_years, 0), slope=1, color="black", lw=0.8)
    ax.set(xlabel="age (years)", title=f"{title}: {bad.mean():.0%} impossible")
axes[0].set_ylabel("credit age (years)")
caption = "Credit age against age: all applicants lie below the line credit age = age - 18, "
plots.show(fig, caption + "but after shuffling about a fifth of the rows lie above it.")

# %% [markdown]
# Grey dots are possible people, crosses are not; the line is "credit since the 18th birthday". Before shuffling nobody is above it. Notice that the forest, too, was scored on the crosses: its own importance rests in part on what it happens to say about 23-year-olds with 30 years of credit. The picture does not tell how much of the importance that is. A second experiment does.

# %% [markdown]
# **Detection.** Shuffle within applicants of the same age: nobody impossible can arise. If an importance collapses under that restriction, it lived on invented rows, or on what the column shares with age.

# %%
for name, f in [("forest", forest), ("doctored", doctored)]:
    r = permutation_importance(f, X, y, features=["credit_age_years"], conditional=ages)
    print(f"{name:9s} within equal age: {r.values[0]:.4f} (p = {r.p_values[0]:.2f})")
r = permutation_importance(doctored, X, y, features=["credit_age_years"], conditional=LinearRegression())
print(f"doctored  residual of a linear model: {r.values[0]:.4f}")

# %% [markdown]
# Within equal age the two models are one again: the criterion holds. The residual method is not as safe: its linear model still sends people across the line, and the doctored model gets ten times the forest's plain importance. Conditioning is as good as the model of the dependence. And note what equal age says about the honest forest: beyond age, we can not show that it uses credit age.
#
# ### Reliance is not cause
#
# Train a forest without income. The importance of loan size nearly doubles. Does that make loan size a danger or a comfort? Ask the model, and ask the world.

# %%
without_income = replace(loans, X=loans.X.drop(columns="annual_income_keur"))
blind = predictor(tabular("loans-forest", without_income))
X_blind = without_income.test[0]
for name, f, rows in [("with income", forest, X), ("without income", blind, X_blind)]:
    r = permutation_importance(f, rows, y, features=["loan_amount_keur"])
    print(f"forest {name:15s} importance of loan size {r.values[0]:.4f} (standard error {r.std_errors[0]:.4f})")

# %%
for name, f, rows in [("world", loans.truth.predict, X), ("with income", forest, X), ("without income", blind, X_blind)]:
    doubled = rows.assign(loan_amount_keur=2 * rows["loan_amount_keur"])
    print(f"{name:15s} mean risk {f(rows).mean():.4f}, with all loans doubled {f(doubled).mean():.4f}")

# %% [markdown]
# In the world a doubled loan defaults more often. The forest without income believes the opposite: people who ask for much tend to earn much, and earning is what protects. Its reliance on loan size is real, and more important than before, and points the wrong way. Importance has no sign, and it is about a model.
#
# > **Pitfall. An importance is not an effect.** It tells you where to look, not what to change.

# %% [markdown]
# ## On real data
#
# 569 breast tumours, 30 measurements of cell nuclei, near copies among them: radius, perimeter and area, each as mean, error and worst case. Nobody planted anything here, so there is no truth to grade against.

# %%
tumours = worlds.real.breast_cancer()
model = RandomForestClassifier(200, min_samples_leaf=2, random_state=0).fit(*tumours.train)
diagnose, (Z, benign) = predictor(model), tumours.test
one_by_one = permutation_importance(diagnose, Z, benign, metric="accuracy")
print(f"accuracy on {len(Z)} held-out tumours: {one_by_one.baseline:.4f}")
print(f"columns with an importance of zero or less: {(one_by_one.values <= 0).sum()} of 30")
print(f"columns with p < 0.05: {(one_by_one.p_values < 0.05).sum()}")

# %% [markdown]
# A model that is right on nineteen of twenty tumours and relies on *nothing*? You know this story by now. Group the columns by what they measure. The grouping comes from reading the column names, not from the result.

# %%
measures = pd.Series(Z.columns, Z.columns).str.replace(r"mean_|_error|worst_", "", regex=True)
families = measures.replace(["radius", "perimeter", "area"], "size")
families = families.replace(["concavity", "concave_points", "compactness"], "shape of the outline")
groups = {family: list(names.index) for family, names in families.groupby(families)}
grouped = permutation_importance(diagnose, Z, benign, metric="accuracy", groups=groups)
print(grouped.to_frame().round(4).to_string())

# %%
fig, ax = plt.subplots(figsize=(7.2, 2.9))
grouped.plot(ax)
ax.set(title="Six groups of columns, shuffled together", xlabel="decrease of accuracy (share of tumours)")
caption = "Shuffling the nine columns of size together costs about a quarter of the accuracy; "
plots.show(fig, caption + "the shape of the outline follows, the other groups are near zero.")

# %% [markdown]
# Bars are the accuracy lost, whiskers 95 % intervals. Size carries the model, the outline helps, and for the other four groups the interval includes zero. You may conclude: *this forest, on tumours like these, relies on size.* You may not conclude that size decides about malignancy, that texture is useless to a pathologist, or that a forest without size would fail: it was never asked to do without.
#
# ### Bring your own
#
# Put your model (a function; `predictor` makes one), table, outcomes and groups into the first three lines. For a regression choose `metric="squared_error"`. Larger tables to try, when you are online: `worlds.real.adult()` and `worlds.real.california_housing()`.

# %%
my_model, my_table, my_outcomes = diagnose, Z, benign
my_groups = {"size": ["worst_radius", "worst_perimeter", "worst_area"]}
settings = {"metric": "accuracy", "groups": my_groups, "features": ["worst_texture"]}
result = permutation_importance(my_model, my_table, my_outcomes, **settings)
print(result.to_frame().round(3).to_string())

# %% [markdown]
# ## Strengths, limits, when not to use it
#
# **It asks the question you have.** Any model, any loss, in units of that loss, with a test. One number for a group is as easy as for a column.
#
# > **Retraining is another question.** Importance tells what *this* model loses when a column turns to noise, not what a model would lose that had never had it.
#
# > **Twins hide each other.** A column near zero may be a column with a twin. Look for correlations first, and group.
#
# > **Shuffling invents people.** A fifth of the rows behind the importance of credit age can not exist. Strata keep you among the possible ones, and change the question.
#
# > **The metric decides what can be seen.** A reliance that moves decisions both ways is invisible to accuracy.
#
# > **Spread over repeats is not uncertainty.** It forgets that the applicants were a sample.
#
# Do not use it to explain a single decision (chapter 5 does), to find causes, or to choose columns for a new model. Use it on held-out rows; on training rows only to find out what was memorised.

# %% [markdown]
# ## Exercises

# %%
ex.card("permutation.shuffle")


# %%
def loss_increase(predict, X, y, column, order):
    # X is an array; use the mean squared error
    ...


loss_increase = ex.check("permutation.shuffle", loss_increase)

# %%
ex.card("permutation.group")


# %%
def group_loss_increase(predict, X, y, columns, order):
    # one order for all columns
    ...


group_loss_increase = ex.check("permutation.group", group_loss_increase)

# %%
ex.card("permutation.refit")

# %%
my_guess = ...  # a number, before you measure
my_measurement = ...  # log_loss(y, ...) - log_loss(y, ...)
my_measurement = ex.check("permutation.refit", my_measurement, prediction=my_guess)
by_shuffling = held_out.values[held_out.names.index("annual_income_keur")]
print(f"retraining costs {my_measurement:.4f}, shuffling cost {by_shuffling:.4f}")

# %%
ex.card("permutation.strata")


# %%
def shuffle_within(values, strata, rng):
    # values and strata are arrays of the same length
    ...


shuffle_within = ex.check("permutation.strata", shuffle_within)
moved = shuffle_within(X["credit_age_years"].to_numpy(), ages.to_numpy(), np.random.default_rng(0))
print(f"impossible rows after your shuffle: {impossible(X.assign(credit_age_years=moved)).sum()}")

# %%
ex.card("permutation.error_bar")


# %%
def standard_error(increase, orders):
    # both arrays have the shape (repeats, rows)
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
# 1. Importance is the extra loss when a column turns to noise: of *this* model, on *these* rows, under *this* metric.
# 2. Held-out rows show what the model gains from a column, training rows what it memorised; impurity importance mixes the two and favours columns with many values.
# 3. Twins share credit, and their training algorithm decides how: shuffle them together.
# 4. Shuffling scores rows that can not exist. Count them, and check within strata.
# 5. Report an interval that treats rows as the sample. And never read an importance as an effect, nor as the cost of retraining.

# %% [markdown]
# ## Further reading
#
# - Breiman (2001), *Random forests*, Machine Learning 45: where shuffling comes from. doi:10.1023/A:1010933404324
# - Fisher, Rudin & Dominici (2019), *All models are wrong, but many are useful*, JMLR 20: ratio and difference forms, and the range of importances over all good models. arXiv:1801.01489
# - Strobl, Boulesteix, Kneib, Augustin & Zeileis (2008), *Conditional variable importance for random forests*: shuffling within strata. doi:10.1186/1471-2105-9-307
# - Hooker, Mentch & Zhou (2021), *Unrestricted permutation forces extrapolation*: the impossible rows. arXiv:1905.03151
# - Chamma, Engemann & Thirion (2023), *Statistically valid variable importance assessment through conditional permutations*: residuals and tests. arXiv:2309.07593
# - Molnar et al. (2023), *Relating the partial dependence plot and permutation feature importance to the data generating process*: what the intervals are about. arXiv:2109.01433
