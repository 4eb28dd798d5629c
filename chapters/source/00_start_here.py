# %% [markdown]
# # Start here: why explain a model, and when to believe it
#
# A bank's model turns a customer down. A bird classifier with an excellent score fails as soon as a sticker is peeled off. Someone asks you *why*, and you could draw a chart in a minute. This chapter is about the next question: how would you know that the chart is true?
#
# You will catch three models failing quietly, find your way on a map of twenty methods, and learn the tests with which this course grades every explanation.
#
# **Estimated time:** 105 minutes (estimated)
#
# **What you need:** Python at the level of "I can read a loop", and to have met a train/test split. Nothing else.

# %%
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from xailib import exercises as ex
from xailib import lab, methods, permutation, plots, predictor, saliency, worlds, zoo
from xailib.course import doctor
from xailib.evaluation import (
    deletion_curve,
    mean_interval,
    rank_agreement,
    relevance_mass,
    resampling_effects,
)
from xailib.lab.start_here import explanations, typical_customer

# %% [markdown]
# ## Is your machine ready?
#
# Run the next two cells with Shift+Enter. The first compares versions and data with those the stored results were made with. The second shows a button: a click has to travel from your browser to Python and back, as every lab of this course does. Everything works offline. A finding such as "version differs" is no reason to stop; it only means that a printed digit may differ from the stored one.

# %%
_ = doctor.report()

# %%
doctor.ClickTest()

# %% [markdown]
# ## Three models that fail quietly
#
# ### One: a bird classifier that reads a sticker
#
# Twenty species of birds, drawn by a program, so that we know every pixel's origin. In this variant of the world the photographs of ten *winter species* come from an archive that puts a small sticker into the corner. Nobody told the network. We trained one on these pictures; its score on pictures it has never seen follows.

# %%
stickers = worlds.birds(n=600, marker=True, random_state=1)
sticker_model = zoo.load("birds-cnn-marker")
name_species = predictor(sticker_model, "label")
print(f"accuracy on 600 unseen pictures: {np.mean(name_species(stickers.X) == stickers.y):.2f}")

# %% [markdown]
# A fine score. Would you ship it? Before you do, ask where the network looks. Grad-CAM (chapter 8) marks the places whose activation speaks for the predicted species.

# %%
winter = np.flatnonzero(stickers.truth.leaked[stickers.y] & stickers.truth.mask("marker").any(axis=(1, 2)))
shown = winter[[0, 2, 4, 7]]
named, true = (np.array(stickers.truth.species_names)[k] for k in (name_species(stickers.X[shown]), stickers.y[shown]))
maps = saliency.gradcam(sticker_model, stickers.X[shown], layer="features.relu4", relu=True)
fig, axes = plt.subplots(2, 4, figsize=(9.6, 4.9))
for k, i in enumerate(shown):
    axes[0, k].imshow(np.moveaxis(stickers.X[i], 0, -1))
    axes[0, k].set_title(f"named {named[k]}")
    print(f"picture {k + 1}: named {named[k]}, is a {true[k]}")
    maps.plot(axes[1, k], index=k)
    axes[0, k].set_axis_off()
axes[1, 0].set_title("Grad-CAM of the predicted species")
plots.show(fig, "Four birds with a sticker in the upper left corner; below each, the Grad-CAM map of the predicted species.")

# %% [markdown]
# Bright means: speaks for the species that the network names (printed, with the true one; the first bird gets a relative's name). The map has 16 by 16 cells and is drawn smoothly. The bird is bright, and so is the corner, where there is no bird. A picture is a hint and not a proof. So we measure the share of relevance on the sticker, and put a placebo beside it: the same pictures, explained for a network that was trained without stickers.

# %%
all_maps = saliency.gradcam(sticker_model, stickers.X[winter], layer="features.relu4", relu=True)
plain_maps = saliency.gradcam(zoo.load("birds-cnn"), stickers.X[winter], layer="features.relu4", relu=True)
sticker_pixels = stickers.truth.mask("marker", winter)
print(f"{len(winter)} winter birds with a sticker; it covers {100 * sticker_pixels.mean():.1f} % of the picture")
for name, heat in (("trained with stickers", all_maps), ("trained without", plain_maps)):
    mean, low, high = mean_interval(100 * relevance_mass(heat, sticker_pixels))
    print(f"share of relevance on it, {name:21}: {mean:4.1f} % (95 % interval {low:.1f} to {high:.1f})")

# %% [markdown]
# A few per cent look like little. The placebo line tells you how to read them: the other network puts far less there. How much the sticker *matters* is still open, because a map does not say what would happen without it. The same birds, drawn without sticker, will tell.

# %%
clean = stickers.truth.render(winter, marker=False)
with_sticker = np.mean(name_species(stickers.X[winter]) == stickers.y[winter])
print(f"winter birds with sticker: {with_sticker:.2f} named correctly")
print("without it: an exercise, further down. Write your guess on paper now.")

# %% [markdown]
# **Debugging** is the first reason to explain: a held-out score cannot see a shortcut that both halves of an archive share. Zech and colleagues (2018) found one in chest X-rays: networks recognised the hospital system an image came from, among other things by the metal token that technicians lay beside the patient.

# %% [markdown]
# ### Two: a customer who wants to know what to change
#
# `loans` is a world of invented applicants. The rule that decides who repays is written down (print `loans.card` to read it), and a boosted model has learned it from examples. The bank denies a loan when the predicted risk is above one half. Here is one customer.

# %%
loans = worlds.loans()
applicants = loans.test[0].reset_index(drop=True)
risk_model = predictor(zoo.load("loans-boosting"))
customer = applicants.iloc[[42]]
wanted = ["annual_income_keur", "debt_to_income", "credit_age_years", "age_years", "prior_defaults", "employment"]
print(customer[wanted].T.to_string(header=False))
print(f"predicted risk of default: {risk_model(customer)[0]:.2f}, so the loan is denied")

# %% [markdown]
# A bar chart of reasons would not tell this customer what to do on Monday. A *counterfactual* (chapter 7) does: the smallest change of one feature with which the model says yes. We also ask the *oracle*, the written rule itself used as if it were a model, whether the change would really bring the risk below one half.

# %%
steps = {"annual_income_keur": (0.5, 40), "debt_to_income": (-0.01, 40), "credit_age_years": (0.5, 22), "age_years": (1, 40)}
for feature, (step, n_steps) in steps.items():
    rows = pd.concat([customer] * n_steps, ignore_index=True)
    rows[feature] = rows[feature] + step * np.arange(n_steps)
    flips = {"model": risk_model(rows) < 0.5, "rule": loans.truth.predict(rows) < 0.5}
    first = {who: f"{rows[feature][np.argmax(yes)]:.2f}" if yes.any() else "never" for who, yes in flips.items()}
    print(f"{feature:18} now {rows[feature][0]:5.2f}, tried up to {rows[feature].iloc[-1]:5.2f}: ", end="")
    print(f"approved by the model at {first['model']:>5}, by the rule at {first['rule']:>5}")

# %% [markdown]
# **Advice** is the second reason. Compare the last two columns. A better debt ratio convinces model and rule at the same value. For income the model asks for less than the rule does. And the third line is the trap: four more years of credit history satisfy the model, but not the world that it imitates. A customer who follows this advice gets a loan that the rule expects to fail. "Be older" flips nothing here.

# %% [markdown]
# ### Three: a model that never sees the group
#
# The bank says that its model cannot discriminate, because it never sees the protected `group`. Let us compare its decisions by group all the same. (The world keeps the group in `loans.truth.group`.)

# %%
group = loans.truth.group[loans.n_train :]


def gap(values):
    """Mean of group B minus mean of group A, in percentage points, and its standard error."""
    a, b = values[group == "A"], values[group == "B"]
    return 100 * (b.mean() - a.mean()), 100 * np.sqrt(a.var() / len(a) + b.var() / len(b))


print("denied by the model: {:.1f} points more in B (standard error {:.1f})".format(*gap(risk_model(applicants) > 0.5)))
print("defaulted in fact:   {:.1f} points more in B (standard error {:.1f})".format(*gap(loans.test[1])))

# %% [markdown]
# Nothing about the group goes in, and yet it comes out. Which column carries it? Permutation importance (chapter 2) ranks the features by how much worse the model gets when one of them is shuffled. Where in the list would you look?

# %%
importance = permutation.permutation_importance(risk_model, applicants, loans.test[1], n_repeats=5)
print(importance.to_frame()["importance"].round(4).to_string())

# %% [markdown]
# Now the experiment: shuffle one column, decide again, measure the gap. Shuffling any strong feature blurs the decisions and narrows the gap somewhat, so the other columns are the control.

# %%
for column in ("region", "debt_to_income", "prior_defaults", "annual_income_keur"):
    gaps = []
    for seed in range(20):
        shuffled = applicants.copy()
        order = np.random.default_rng(seed).permutation(len(applicants))
        shuffled[column] = applicants[column].take(order).set_axis(applicants.index)
        gaps.append(gap(risk_model(shuffled) > 0.5)[0])
    print(f"gap with {column:18} shuffled, 20 times: {np.mean(gaps):.1f} points (standard deviation {np.std(gaps):.1f})")

# %% [markdown]
# **Fairness** is the third reason. Without information on `region` almost nothing is left of the gap; no other column does that. `region` is a *proxy*: it stands in for the group. The importance chart alone would have misled you, since region stands only fifth: importance measures what accuracy needs, not what a group suffers. The chart raised the question, the experiment with its control answered it. Whether such a gap is *unfair* is a further question, which numbers inform and do not decide.

# %% [markdown] tags=["digression"]
# ### What the law asks, carefully
#
# - **GDPR** (EU 2016/679). Articles 13 to 15 ask for "meaningful information about the logic involved" in certain automated decisions; article 22 limits such decisions. Whether this amounts to a *right to an explanation* has been debated since 2016; in C-203/22 (2025) the Court of Justice asked for the procedure and principles actually applied, in an intelligible form. No method is named.
# - **EU AI Act** (EU 2024/1689). Article 86 gives persons affected by certain high-risk systems a right to "clear and meaningful explanations" of the system's role in the decision, and of the main elements of the decision.
# - **United States.** Under the Equal Credit Opportunity Act (Regulation B) a creditor must state the *principal reasons* for an adverse action. A counterfactual need not name them: chapter 7.
#
# This is orientation, not legal advice. Our own rule goes further than any of the three: the higher the stakes of a wrong decision, the better an explanation must have been tested.

# %% [markdown]
# ## The map of the field
#
# The course has a card for each method. How many answer which question?

# %%
print(pd.Series([card.question for card in methods.CARDS]).value_counts(sort=False).to_string())

# %% [markdown]
# ```mermaid
# flowchart LR
#   Q{What do you ask?} --> W[why this prediction?]
#   Q --> R[what does it rely on?]
#   Q --> C[what would change it?]
#   Q --> I[what is inside?]
#   Q --> G[can it explain itself?]
#   W --> W2[LIME 04, SHAP 05, anchors 06,<br>saliency 08, attention 10]
#   R --> R2[permutation 02, PDP and ALE 03,<br>I2X 17]
#   C --> C2[counterfactuals 07]
#   I --> I2[TCAV 09, probing 11,<br>patching 12, autoencoders 13]
#   G --> G2[glass boxes 01, SoftCAM 14,<br>ECOR 15, CHiQPM 16]
# ```
#
# Three distinctions sort the methods. *Intrinsic* models are readable; *post-hoc* methods explain a finished model. *Local* answers concern one prediction, *global* ones the whole model. *Model-agnostic* methods only need predictions; *model-specific* ones look inside.

# %%
chooser = lab.start_here.chooser()
chooser

# %%
chooser.filmstrip()

# %% [markdown]
# The chooser is compiled from one table of method cards. Each card also says what the method costs and how it fails, because that is what you need before you use it. Chapters 01 to 16 exist already: [glass boxes](01_glass_boxes.ipynb), [permutation importance](02_permutation_importance.ipynb), [PDP, ICE and ALE](03_effects.ipynb), [LIME](04_lime.ipynb), [SHAP](05_shap.ipynb), [anchors](06_anchors.ipynb), [counterfactuals](07_counterfactuals.ipynb), [saliency and Grad-CAM](08_saliency.ipynb), [TCAV](09_tcav.ipynb), [attention](10_attention.ipynb), [probing](11_probing.ipynb), [patching](12_patching.ipynb), [sparse autoencoders](13_superposition_and_saes.ipynb), [SoftCAM](14_softcam.ipynb), [ECOR](15_ecor.ipynb), [CHiQPM](16_chiqpm.ipynb). Three more are on their way.

# %%
for card in methods.choose("what does the model rely on?", "a table", "only its predictions"):
    print(f"{card.chapter} {card.name}: costs {card.cost}.\n   Fails: {card.fails}.\n   Leave it when {card.avoid}.")

# %% [markdown]
# **Routes.** *Core*: 00, 01, 02, 03, 05, 07, 08, 18, 19. *Vision and research*: 00, 08, 09, 14 to 17, 18. *Language*: 00, 04, 05, 10 to 13, 18. Exercises are marked core or stretch.

# %% [markdown] tags=["digression"] jp-MarkdownHeadingCollapsed=true
# ## Words and symbols (open when you need them)
#
# | symbol | meaning |
# |---|---|
# | $f$, `predict` | the model as a function: rows in, one number (or one per class) a row out |
# | $x_i$, $x_{ij}$ | row $i$ of the data; its value of feature $j$ |
# | $X_{-j}$ | all features but $j$ |
# | $z$ | a row of the background, where replacements come from |
# | $f_j$ | the shape function of feature $j$ in an additive model (chapter 1) |
# | $g$, $\pi_x$ | a simple surrogate of the model near $x$; the kernel that weighs its samples (chapter 4) |
# | $S$, $v(S)$ | a coalition of features that are known; the model's value when only they are (chapter 5) |
# | $\phi_j$ | the share of feature $j$ in one prediction (chapter 5) |
# | $A$, $\tau$ | a rule; the precision asked of it (chapter 6) |
# | $x'$, $d(x, x')$ | a counterfactual; how far it is from the row it answers (chapter 7) |
# | $A_k$, $\alpha_k$ | activation map of channel $k$ of a layer; its weight in Grad-CAM (chapter 8) |
# | $v$, $S_c(x)$ | a concept's direction at a layer; how fast the score of class $c$ grows along it (chapter 9) |
# | $A_{ij}$, $\tilde A$ | attention: how much position $i$ takes from position $j$; rolled out over all layers (chapter 10) |
# | $x$, $h$ | the residual stream; a head of attention (chapters 10 to 13) |
# | $\Delta$ | the difference of two answers' logits (chapter 12) |
# | $W$, $d_i$, $z_i$ | a dictionary, its direction $i$, and how strongly feature $i$ fires (chapter 13) |
# | $A_c^{ij}$, $\lambda$ | evidence for class $c$ at cell $(i, j)$; the strength of a penalty (chapter 14) |
# | $P(r \mid I)$, $P(c \mid r, I)$ | how well a reason fits a picture; how well a category fits it, given that reason (chapter 15) |
# | $A_{fc}$, $W_{cf}$, $f^*$ | how well feature $f$ goes with class $c$; whether $c$ is made of it; its activation, never negative (chapter 16) |
# | $L$ | a loss: the larger, the worse |
# | $n$, $p$ | number of rows; number of features |
# | $\rho$ | a correlation; in tests of ranking, Spearman's |
#
# | word | sense used in this course |
# |---|---|
# | **ablation** | taking a part of a network out and watching what it can no longer do |
# | **anchor** | a rule under which the prediction almost always stays what it is |
# | **attention** | the weights with which a transformer's head mixes what stands at other positions |
# | **attribution** | a signed share of one prediction, one number per feature or pixel |
# | **background** | the rows over which an explanation averages; another background, another explanation |
# | **baseline** | the single input that stands for "nothing there"; also where an attribution starts counting |
# | **coalition** | the set of features whose values are known, the others being replaced |
# | **circuit** | the few parts of a network that do one job together |
# | **concept** | what a set of example pictures has in common; at a layer, the direction towards them |
# | **control task** | labels that mean nothing, to see what a probe learns by itself |
# | **counterfactual** | a changed row with which the model decides otherwise |
# | **conformal set** | classes kept so that, over cases like those it was calibrated on, the truth is among them as often as promised |
# | **coverage** | the share of rows to which a rule applies; also of intervals, and of sets, that hold the truth |
# | **effect** | how the prediction changes with a feature, as a curve |
# | **estimand** | the exact quantity that a method tries to estimate |
# | **evidence map** | in SoftCAM, what every cell adds to a class score; the score is its mean |
# | **faithful** | says of the model what is true of the model, whatever is true of the world |
# | **fidelity** | how well a surrogate reproduces the model where it was fitted |
# | **glass box** | a model whose own parts can be read |
# | **head** | one of several attentions side by side in a layer |
# | **importance** | how much a model relies on a feature, over many rows |
# | **induction head** | a head that looks one step behind an earlier occurrence of the current token |
# | **intervention** | an experiment: change one thing, keep the rest, watch the model |
# | **oracle** | the rule of a world used as if it were a model: it makes no model error |
# | **patching** | putting an inner value of one run into another run |
# | **pivot** | the one feature in which two similar classes part |
# | **placebo** | an explanation that cannot be right, scored beside yours |
# | **precision** | of a rule: the share of rows under it that keep the prediction |
# | **probe** | a small classifier that reads a property out of inner values |
# | **prompt tokens** | learnable tokens beside the patches of a picture, which steer a frozen network |
# | **proxy** | a column that stands in for something the model is not given |
# | **rationale** | a reason in words for a category: "there is a hooked beak" |
# | **recourse** | what a person can do to get another decision |
# | **residual stream** | the running sum at each position that every layer of a transformer reads and adds to |
# | **selectivity** | a probe's accuracy, less its accuracy on the control task |
# | **shortcut** | a feature that predicts the label in the data and not in the world |
# | **stand-in** | what replaces a deleted value |
# | **steering** | pushing inner values along a direction to change the answer |
# | **superposition** | more features than dimensions, as directions that are not quite at right angles |
# | **surrogate** | a simple model fitted to the answers of another |
# | **token** | a word, or a piece of one, as a number |
# | **two towers** | a network for pictures and one for texts that meet in one space |
# | **truth** | the mechanism of a world; for a trained model, what interventions show |
# | **world** | a data set whose mechanism we wrote down |

# %% [markdown]
# ## How we grade
#
# The rule of this course: **an explanation is a second model, a model of the model. Trust it as far as you have tested it.** Testing needs a truth. On worlds we wrote there are two: the *rule*, and what the trained model does under intervention. Three tests by hand:
#
# A model adds up $f = 3a + 2b + 0c$. For the customer $(a, b, c) = (1, 1, 1)$ against the typical $(0, 0, 0)$, the truth is $(3, 2, 0)$: what $f$ loses when one value is replaced. Your explanation says $(2, 3, 1)$. A *placebo*, made for a stranger, says $(0, 1, 3)$.
#
# | test | yours $(2, 3, 1)$ | placebo $(0, 1, 3)$ | truth $(3, 2, 0)$ |
# |---|---|---|---|
# | **agreement**: rank correlation with the truth | 0.5 | -1 | 1 |
# | **deletion**: put the largest to 0 first, and go on | 5, 3, 0, 0 | 5, 5, 3, 0 | 5, 2, 0, 0 |
# | **placebo**: does a worthless explanation score worse? | | yes, in both | |
#
# Deletion asks: if what the explanation calls most important is taken away, does the prediction fall at once? What is the mean of each curve?

# %%
f = lambda rows: rows @ np.array([3.0, 2.0, 0.0])
someone, claims = np.ones((1, 3)), {"yours": [[2.0, 3.0, 1.0]], "placebo": [[0.0, 1.0, 3.0]], "truth": [[3.0, 2.0, 0.0]]}
for name, values in claims.items():
    curve = deletion_curve(f, someone, np.array(values), steps=3)
    agreement = rank_agreement(np.array(values), np.array(claims["truth"]))[0]
    print(f"{name:8} agreement {agreement:+.1f}; deletion {curve.scores[0]}, mean {curve.scores.mean():.2f}")

# %% [markdown]
# Lower is better for deletion: the truth reaches zero first. Now the real thing: 200 loan customers, which allows *intervals* as well. What a value is worth to a model is found by experiment: replace it alone by the values of 25 other customers, and note how far the prediction falls on average. Positive means that the customer's own value raises the risk. We count in log-odds, the scale on which the rule adds up its effects. That average over 25 others is our **truth** here, for the rule and for the trained model.

# %%
customers, others = applicants.iloc[:200], applicants.iloc[200:225]
scores = {"the rule": loans.truth.log_odds, "the trained model": predictor(zoo.load("loans-boosting"), "log_odds")}
truths = {who: resampling_effects(score, customers, others) for who, score in scores.items()}
print(pd.DataFrame({w: np.abs(t).mean(axis=0) for w, t in truths.items()}, index=applicants.columns).round(4).to_string())

# %% [markdown]
# Read it line by line. `favourite_colour` and `customer_number` do nothing in the rule; the model gives them a little, since it fitted noise. The two heights share their effect in the rule; the model put it all on one of them. None of this is an error of an explanation: **the model differs from the world**, and a faithful explanation must show that. So every score in this course is computed twice, and the distance between model and world is a number of its own.

# %%
distance = rank_agreement(truths["the trained model"], truths["the rule"])
print("model against world: {:.2f} (95 % interval {:.2f} to {:.2f})".format(*mean_interval(distance)))

# %% [markdown]
# Five explanations of the same 200 predictions enter the contest. Two are honest estimates of the truth: the same experiment with *five others* instead of 25, or with the *typical* customer alone. Three cannot be right about a customer: *average bars* show everybody the same mean sizes, *a stranger's* belongs to the previous customer, *random* is noise. Write your order down.

# %%
rows = {}
for who, score in scores.items():
    made = explanations(score, customers, few=applicants.iloc[300:305], typical=typical_customer(applicants))
    made["ceiling: 25 others again"] = resampling_effects(score, customers, applicants.iloc[400:425])
    for name, values in made.items():
        mean, low, high = mean_interval(rank_agreement(values, truths[who]))
        rows[name, who] = f"{mean:+.2f} ({low:+.2f} to {high:+.2f})"
print(pd.Series(rows).unstack().loc[list(made)].to_string())

# %% [markdown]
# The honest ones are far ahead, on the rule and on the model alike. The stranger's list was made with the same care and scores nothing: the test has teeth. The bars score below zero because they are never negative, and half of the truth is. The *ceiling* repeats the truth with 25 other donors; nobody can expect more. And 1.00 would mean the right order, not the right numbers.

# %% [markdown]
# ## Lab
#
# Now you grade. The lab shows the same five explanations. Its tick box *signs count* decides what is compared: signed values, or sizes only ("which features mattered most?", the usual way to compare bar charts). Under the controls you are asked for a prediction. Give it, then move the controls.

# %%
grading = lab.start_here.grading_lab()
grading

# %%
grading.filmstrip()

# %%
print(grading.user_sets(signed=False, customers=190))
print(grading.user_predicts(None))

# %% [markdown]
# With signs, bars that say the same about everybody trail the honest explanation by about one full point. Without signs they come within about a tenth of it, and leave the other honest explanation, the swap with the typical customer, far behind. **Without signs the metric asks a question that an average can answer**: prior defaults and income are large for most customers. The low score of *swap, typical* is partly its own fault: where a customer is typical it says exactly zero. A placebo beside every score shows how much there was to win.

# %%
print(grading.user_sets(signed=False, explanation="a stranger's", model="the trained model"))

# %% [markdown]
# ### Deletion has a weak spot as well
#
# To delete a value you must put another one in its place. We delete in the order of the swap explanation, for the 40 riskiest customers, and put in the typical value or, as is often done, zero. (Numeric features only, so that zero can be written; employment and region are set to typical throughout.)

# %%
numeric = [c for c in applicants.columns if applicants[c].dtype != "category"]
riskiest = customers.iloc[np.argsort(-loans.truth.log_odds(customers))[:40]]
typical = typical_customer(applicants)


def rule_on_numbers(values):
    rows = pd.concat([typical] * len(values), ignore_index=True)
    return loans.truth.log_odds(rows.assign(**{c: values[:, j] for j, c in enumerate(numeric)}))


x, stand_in = riskiest[numeric].to_numpy(float), typical[numeric].to_numpy(float)
ranking = resampling_effects(rule_on_numbers, x, stand_in)

# %%
almost_zero = np.where(np.array(numeric) == "annual_income_keur", 0.1, 0.0)
random_order = np.random.default_rng(0).normal(size=x.shape)
curves = {
    f"{name}, {order}": deletion_curve(rule_on_numbers, x, values, baseline=base, steps=len(numeric))
    for name, base in (("typical value", stand_in), ("zero", almost_zero))
    for order, values in (("largest first", ranking), ("random order", random_order))
}
for name, curve in curves.items():
    print(f"{name:28} start {curve.scores[:, 0].mean():.2f}, then", curve.scores.mean(axis=0)[1:4].round(2))

# %%
fig, axes = plt.subplots(1, 2, figsize=(9.2, 3.4), sharex=True)
for (name, curve), ax, line in zip(curves.items(), axes[[0, 0, 1, 1]], ("-", "--", "-", "--"), strict=True):
    colour = plots.ANCHOR if line == "-" else plots.CONTEXT
    ax.plot(curve.fractions * len(numeric), curve.scores.mean(axis=0), line, color=colour, label=name)
for ax, title in zip(axes, ("Typical values stand in", "Zeros stand in"), strict=True):
    ax.set(xlabel="features deleted", ylabel="mean log-odds of default", title=title)
    ax.legend()
plots.show(fig, "Deletion curves: with typical values the log-odds fall, fastest in the explained order; with zeros they rise.")


# %% [markdown]
# Left: with typical values the risk falls at once, faster than in random order (dashed). Right: the same order, but zeros. After one step the curve *rises*, far above where it started: an applicant with no income, no age and no height is not one without information, but a very strange one. Even here the ranking does better than chance, so a random order belongs into every such figure. (Income gets 0.1, since the rule takes a logarithm; this choice alone moves the curve a lot.) Always name the stand-in.

# %% [markdown]
# ### A sanity check
#
# One more test costs almost nothing: **destroy the model and see whether the explanation notices.** Our destroyed model hands each customer the log-odds of another, drawn at random. Its predictions have the same distribution, and no knowledge.


# %%
def destroyed(rows):
    return loans.truth.log_odds(rows)[np.random.default_rng(1).permutation(len(rows))]


for name, score in (("intact", loans.truth.log_odds), ("destroyed", destroyed)):
    agreement = rank_agreement(resampling_effects(score, customers, typical), truths["the rule"])
    print(f"agreement with the truth, model {name:10}" + "{:+.2f} ({:+.2f} to {:+.2f})".format(*mean_interval(agreement)))

# %% [markdown]
# The agreement is gone, as it must be. This sounds too obvious to test, until chapter 8, where some well-known maps survive the destruction of the network that they claim to explain.
#
# ## Exercises
#
# Each card says what passing looks like. Hints and solution open on a click. If you leave an exercise blank, the reference stands in and the notebook still runs to its end.

# %%
ex.card("start_here.deletion")


# %%
def deletion_scores(predict, x, baseline, order):
    # your code
    ...


deletion_scores = ex.check("start_here.deletion", deletion_scores)

# %%
ex.card("start_here.interval")


# %%
def interval_of_mean(scores):
    # your code
    ...


interval_of_mean = ex.check("start_here.interval", interval_of_mean)

# %%
ex.card("start_here.paired")


# %%
def paired_advantage(a, b):
    # your code
    ...


paired_advantage = ex.check("start_here.paired", paired_advantage)

# %% [markdown]
# Now use your last two functions. Two honest explanations, graded on 20 customers only: swaps with five others and with eight others. First as if the two lists came from different customers, then paired.

# %%
truth, score = truths["the trained model"][:20], scores["the trained model"]
five = rank_agreement(resampling_effects(score, customers[:20], applicants.iloc[300:305]), truth)
eight = rank_agreement(resampling_effects(score, customers[:20], applicants.iloc[300:308]), truth)
for name, values in (("five others", five), ("eight others", eight)):
    print("{:13} {:.3f} ({:.3f} to {:.3f})".format(name, *interval_of_mean(values)))
unpaired = 1.96 * np.sqrt(five.var(ddof=1) / 20 + eight.var(ddof=1) / 20)
print(f"advantage of eight, unpaired: {eight.mean() - five.mean():+.3f} +- {unpaired:.3f}")
print("advantage of eight, paired:   {:+.3f} +- {:.3f}".format(*paired_advantage(eight, five)))

# %% [markdown]
# Unpaired, the interval includes zero: "no difference". Paired, it does not. Customers who are hard for one explanation are hard for the other too, and the difference takes that out. Comparisons between methods in this course are always paired.

# %%
ex.card("start_here.sticker")

# %%
my_prediction = ...  # per cent, written down before you measure
my_measurement = ...  # per cent, from `clean`, `winter` and `name_species`
accuracy_without_sticker = ex.check("start_here.sticker", my_measurement, prediction=my_prediction)
print(f"with stickers {100 * with_sticker:.0f} %, without {accuracy_without_sticker:.0f} %")

# %%
ex.card("start_here.memo")

# %%
my_claims = ...  # letters of the claims that may stand, such as "ac"
my_claims = ex.check("start_here.memo", my_claims)

# %%
ex.progress("start_here")

# %% [markdown]
# ## Quiz

# %%
ex.quiz("start_here")

# %% [markdown]
# ## Take-away
#
# Believe an explanation when you can answer these five questions, and not before.
#
# 1. *Of what?* It is a model of the model. What it says may be true of the model and false in the world; report that distance on its own.
# 2. *Against which truth?* A written rule, or an intervention on the trained model. Looking convincing is not a truth.
# 3. *Better than a placebo?* A stranger's explanation, made with the same care, shows what the metric is worth.
# 4. *How sure?* An interval, and a paired difference when two methods are compared.
# 5. *Does it notice?* Destroy the model: an explanation that stays the same explained nothing.
#
# ## Further reading
#
# - Zech et al. (2018), *Variable generalization performance of a deep learning model to detect pneumonia in chest radiographs*, PLOS Medicine 15(11).
# - Doshi-Velez and Kim (2017), *Towards a rigorous science of interpretable machine learning*, arXiv 1702.08608.
# - Lipton (2018), *The mythos of model interpretability*, ACM Queue 16(3).
# - Rudin (2019), *Stop explaining black box machine learning models for high stakes decisions*, Nature Machine Intelligence 1.
# - Adebayo et al. (2018), *Sanity checks for saliency maps*, NeurIPS.
# - Hesse, Schaub-Meyer and Roth (2023), *FunnyBirds*, ICCV: grading by interventions on known parts.
# - Wachter, Mittelstadt and Floridi (2017), *Why a right to explanation of automated decision-making does not exist in the GDPR*, and Selbst and Powles (2017), *Meaningful information and the right to explanation*: the debate.
