# %% [markdown]
# # TCAV: does the network think in your concepts?
#
# You will turn a handful of pictures into a direction inside a network, ask whether a class depends on it, and find out how often such an answer is pure chance.
#
# A heat map says *where*. People ask *what*: the stripes, or the shape? TCAV lets you ask with examples, in your own words, about any network you can differentiate. It also comes with a significance test that declares thirty random pictures a discovery in more than every second case. Here you will measure that, and repair it.
#
# **Estimated time:** 130 minutes
#
# **What you need:** [chapter 8](08_saliency.ipynb), for gradients at a layer; a linear classifier. The folded box recalls both.

# %%
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import torch
from scipy import stats
from torch import nn

from xailib import exercises as ex
from xailib import lab, plots, predictor, tcav, worlds, zoo
from xailib.evaluation import mean_interval

# %% [markdown] tags=["digression"] jp-MarkdownHeadingCollapsed=true
# ## Foundations: directions and slopes in ten minutes
#
# **A layer's output is a point.** Flatten what a layer gives for a picture, 32 channels of 16 x 16 cells for instance, and you have one point with 8192 coordinates. A set of pictures is a cloud.
#
# **A linear classifier is a direction.** It computes $w \cdot a + b$ and looks at the sign. The boundary is flat, and $w$ stands at right angles on it: walking along $w$ is the quickest way from one cloud to the other. Its length only sets the scale, so we use $v = w / |w|$.

# %%
clouds = np.array([[0.0, 1], [1, 0], [1, 2], [3, 3], [4, 2], [3, 4]])
side = np.array([-1, -1, -1, 1, 1, 1])
w = np.linalg.lstsq(clouds - clouds.mean(axis=0), side, rcond=None)[0]
v = w / np.linalg.norm(w)
print("direction", v.round(4), " positions along it", (clouds @ v).round(2))

# %% [markdown] tags=["digression"]
# The last three points lie farther along $v$ than the first three: one number per point now says "how much like the second cloud".
#
# **A slope along a direction.** Call $h(a)$ the score that the rest of the network computes from the point $a$. Its gradient $\nabla h$ holds one slope per coordinate. A step of length 1 along $v$ changes the score at the rate $\nabla h \cdot v$: positive means that the score grows when the picture becomes a little more like the second cloud. Check yourself before you go on.

# %%
ex.card("tcav.slope")

# %%
my_guess = ...  # on paper
my_slope = ...  # from torch
my_slope = ex.check("tcav.slope", my_slope, prediction=my_guess)

# %% [markdown]
# ## Warm-up

# %%
ex.warmup("tcav")

# %% [markdown]
# ## The story
#
# The reserve of chapter 8 counts birds with cameras and a network, this time one that was trained in all landscapes. Two finches differ in one thing only: the acorn finch has plain wings, the bramble finch striped ones. In August the finches moult, and for three weeks the stripes are faint. **Does the network use striped wings to name them?** If so, the August counts of both species may be worthless. And how faint is too faint?

# %%
world = worlds.birds(3000, random_state=1)
truth, held_out = world.truth, np.arange(world.n_train, len(world.X))
net, names = zoo.load("birds-cnn"), world.truth.species_names
logits = predictor(net, "logit")
ACORN, BRAMBLE = names.index("acorn finch"), names.index("bramble finch")
numbers = {c: held_out[world.y[held_out] == c] for c in range(20)}
bramble = world.X[numbers[BRAMBLE]]
X, y = world.test


def show(table, places=2):
    print(table.to_string(index=False, float_format=f"{{:.{places}f}}".format))


named_right = np.mean(logits(X).argmax(axis=1) == y)
print(f"{len(bramble)} held-out bramble finches; {named_right:.2f} of all birds are named correctly")

# %% [markdown]
# The reserve has pictures, not our drawing program. But its illustrator can paint: 30 archive birds of all species get striped wings. That is a **concept** in the sense of TCAV: a set of examples. Three more concepts for comparison, other wings on other birds, and the control that costs nothing: the same 30 birds, *unpainted*. Beside them stand 79 sets of 30 archive pictures drawn at random, without a picture in common. Why 79? Two planned questions need them; the section on tests counts.

# %%
WINGS = {"striped wings": 1, "plain wings": 0, "spotted wings": 4, "banded wings": 6}  # whose
order = np.random.default_rng(0).permutation(world.n_train)
deal = dict(zip(WINGS, order[:120].reshape(4, 30), strict=True))  # birds of its own for each concept
concepts = {name: truth.render(deal[name], part_from={"wing": WINGS[name]}) for name in WINGS}
stripes, unpainted = concepts["striped wings"], world.X[order[:30]]
random_sets = tcav.random_sets(world.X[order[120:2490]], 79, 30)

# %%
fig, axes = plt.subplots(2, 1, figsize=(8.4, 2.9))
rows = {"striped wings": stripes, "random": random_sets[0]}
for ax, (name, images) in zip(axes, rows.items(), strict=True):
    ax.imshow(np.concatenate(list(np.moveaxis(images[:9], 1, -1)), axis=1))
    ax.set_title(name, fontsize=10)
    ax.set_axis_off()
plots.show(fig, "Nine birds of the concept, all striped, above nine birds of a random set.")

# %% [markdown]
# Above, only the stripes are common to all. Below, three in ten are striped by nature (6 of 20 species). Whether a network sees what *we* see in common, no figure says.

# %% [markdown]
# ## By hand
#
# Six pictures at a layer with two numbers. Concept: (2, 2), (3, 3), (4, 1). Random: (0, 0), (1, 2), (2, 1).
#
# The means are (3, 2) and (1, 1). One cloud leans to the left, the other to the right; together the leanings cancel, so the best boundary is at right angles to the line between the means: $v = (2, 1)$, the **concept activation vector**, CAV for short.
#
# The rest of the network is $h(a) = a_1 - a_2^2$, with gradient $(1, -2a_2)$. Three class pictures sit at (1, 0), (2, 0.5) and (3, 2). The **sensitivity** $S = \nabla h \cdot v = 2 - 2a_2$ is 2, 1 and -2. The **TCAV score** is the share of pictures with $S > 0$: before you run the cell, which?

# %%
concept = np.array([[2.0, 2], [3, 3], [4, 1]])
random = np.array([[0.0, 0], [1, 2], [2, 1]])
v = concept.mean(axis=0) - random.mean(axis=0)
a2 = np.array([0, 0.5, 2])
gradient = np.column_stack([np.ones(3), -2 * a2])
S = gradient @ v
print("v", v, " S", S, f" TCAV score {np.mean(S > 0):.4f}, mean of S {S.mean():.4f}")

# %% [markdown]
# Two pictures of three: 0.67. Now a network whose rest is linear, $h = a_1 - 3a_2$: the gradient is (1, -3) for *every* picture, and so is $S$:

# %%
S = np.tile([1.0, -3.0], (3, 1)) @ v
print("S", S, f" TCAV score {np.mean(S > 0):.4f}")

# %% [markdown]
# All or nothing, and nothing in between is possible. Keep that in mind for the last layer of our network.

# %% [markdown]
# ## In thirty lines
#
# $$v = \frac{w}{|w|}, \quad w = A^\top (A A^\top + \mu I)^{-1} y, \qquad S_c(x) = \nabla_a h_c\big(f_l(x)\big) \cdot v, \qquad \mathrm{TCAV} = \frac{|\{x : S_c(x) > 0\}|}{n}$$
#
# $f_l$ is the network up to layer $l$, $h_c$ the rest up to the logit of class $c$, $A$ the centred activations of concept and random pictures, $y$ their labels 1 and -1. The classifier is ridge regression. It solves an $n \times n$ system, 60 x 60 here, although the layer has 8192 numbers. Ours is `features.pool2`: 32 channels of 16 x 16 cells, after the second of three poolings.

# %%
layer = "features.pool2"
head = net.features[: list(dict(net.features.named_children())).index("pool2") + 1]
tail = net.features[len(head) :]


def my_activations(images):
    with torch.no_grad():
        return head(torch.from_numpy(images)).flatten(1).numpy().astype(float)


def my_cav(concept, random, penalty=0.01):
    A, y = np.concatenate([concept, random]), np.repeat([1.0, -1.0], [len(concept), len(random)])
    A, y = A - A.mean(axis=0), y - y.mean()
    mu = penalty * (A**2).sum()  # the same strength whatever the scale of the layer
    w = A.T @ np.linalg.solve(A @ A.T + mu * np.eye(len(A)), y)
    return w / np.linalg.norm(w)


def my_gradients(images, c):
    a = head(torch.from_numpy(images)).detach().requires_grad_()
    h = net.classifier(tail(a).mean(dim=(2, 3)))[:, c].sum()
    return torch.autograd.grad(h, a)[0].flatten(1).numpy().astype(float)


# %% [markdown]
# Only the tail of the network is differentiated. One run, for the stripes against the first random set:

# %%
my_v = my_cav(my_activations(stripes), my_activations(random_sets[0]))
my_S = my_gradients(bramble, BRAMBLE) @ my_v
print(f"S of the first birds: {my_S[:4].round(2)}, TCAV score of one run: {np.mean(my_S > 0):.2f}")

# %% [markdown]
# Every logit grows along the stripes. A result? Ask the same of a set that means nothing: random pictures against other random pictures.

# %%
random_A = [my_activations(images) for images in random_sets[:7]]
G = my_gradients(bramble, BRAMBLE)
single = [np.mean(G @ my_cav(A, random_A[0]) > 0) for A in random_A[1:]]
print("six random sets in the concept's place, one run each:", np.round(single, 2))

# %% [markdown]
# > **Pitfall. One CAV is not evidence.** In 8192 dimensions any two sets can be told apart, their difference points somewhere, and birds of one species have similar gradients: so they agree about a direction that means nothing. Two of these six sets score 1.00, one 0.00. A score of 0.5 is what random directions give *on average*, not one by one.

# %% [markdown]
# ## The library way
#
# With captum, the package of the field, it looks like this (it is no part of this course's installation):
#
# ```python
# from captum.concept import TCAV, Concept
# from torch.utils.data import DataLoader
#
# sets = [Concept(k, f"set {k}", DataLoader(torch.tensor(x))) for k, x in enumerate([stripes, *random_sets])]
# pairs = [[sets[0], other] for other in sets[1:]]
# counts = TCAV(net, ["features.pool2"]).interpret(torch.tensor(bramble), pairs, target=BRAMBLE)
# ```
#
# For every pair it reports `sign_count`, the score, and `magnitude`, the mean of $S$. It has no significance test. Our tests hold xailib to captum's counts, on the same split and classifier; here we hold it to yours.

# %%
A_stripes, A_random = (tcav.activations(net, images, layer) for images in (stripes, random_sets[0]))
one = tcav.cav(A_stripes, A_random, test_share=0)
S = tcav.sensitivity(net, bramble, layer, BRAMBLE, one)
assert np.allclose(one.vector, my_v, atol=1e-5)
assert np.allclose(S, my_S, atol=1e-4)
print("ok: the same vector and the same sensitivities")

# %% [markdown]
# A whole experiment is one call: each concept against each random set, and random sets against each other. A third of each set does not train the CAV (yours trained on all), but measures its **accuracy**: how well it recognises its concept. `stability` is the mean cosine between a concept's CAVs.

# %%
shown = concepts | {"unpainted": unpainted}
finches = {c: tcav.scores(net, world.X[numbers[c]], c, shown, random_sets, [layer]) for c in (BRAMBLE, ACORN)}
for c, result in finches.items():
    row = result.to_frame().set_index("concept").loc["striped wings"]
    print(f"{names[c]:13} TCAV score {row.sign_count:.2f}, mean S {row.magnitude:+.3f} ({row.runs} runs)")
print(f"held-out accuracy {row.accuracy:.2f}, stability {row.stability:.2f}")


# %% [markdown]
# 1 for the striped bird. And near **0** for the plain one: not "stripes do not matter to it", but "stripes speak *against* it". Only a score that random sets could also reach is silence. Which scores are those?

# %% [markdown]
# ### What random sets score
#
# Treat every random set exactly as the concept: its score is the mean over all its counterparts. The result keeps these scores in `null`, and the concept's own beside them.


# %%
def null_scores(c):
    table = finches[c].null.query("concept == 'striped wings' and role == 'null'")
    return table["sign_count"].to_numpy()


runs = finches[BRAMBLE].runs
single = runs.loc[runs["kind"] == "random", "sign_count"].to_numpy()
all_alike = np.isin(single, [0, 1]).mean()
print(f"{len(single) // 2} CAVs of random sets, both directions: {all_alike:.2f} of the scores are 0 or 1")
for c in (BRAMBLE, ACORN):
    null = null_scores(c)
    print(f"{names[c]:13} random sets, means: sd {null.std():.2f}, {null.min():.2f} to {null.max():.2f}")

# %%
fig, axes = plt.subplots(1, 3, figsize=(9.6, 3.2), sharex=True)
bins = np.arange(-0.02, 1.03, 0.04)  # 25 birds: scores of a run are multiples of 0.04
axes[0].hist(single, bins, color=plots.CONTEXT)
axes[0].set(title="single runs, bramble finch", ylabel="runs")
for ax, c in zip(axes[1:], (BRAMBLE, ACORN), strict=True):
    score = finches[c].to_frame().sign_count[0]
    ax.hist(null_scores(c), bins, color=plots.CONTEXT)
    ax.axvline(score, color=plots.POSITIVE if score > 0.5 else plots.NEGATIVE, lw=2)
    side, step = ("right", -0.03) if score > 0.5 else ("left", 0.03)
    ax.text(score + step, 9.3, "stripes", ha=side, va="top", fontsize=9)
    ax.set(title=f"79 random sets, {names[c]}", ylabel="sets", ylim=(0, 9.5), yticks=[0, 3, 6, 9])
for ax in axes:
    ax.set_xlabel("TCAV score")
plots.show(fig, "Noise: single runs pile up at 0 and 1, set means spread widely; stripes lie at the edge.")

# %% [markdown]
# Left, runs without meaning, each CAV in both directions, hence the symmetry. Middle and right, each random set's mean, which is what a concept must beat; the lines are the stripes: to the right of all sets for the bramble finch, to the left of all but one for the acorn finch. Notice the width: random birds easily score 0.2 or 0.8, and no number of runs brings them to 0.5. What the figure does not say: that 0.8 is "80 % of the evidence". It counts birds, not sizes.

# %% [markdown]
# ### Two tests
#
# Both are two-sided. The usual **t-test** (equal variances assumed) compares the concept's 79 runs with all random runs. The **permutation test** asks for the rank of the concept's mean among all 80 sets, from above or from below, and doubles the smaller:
#
# $$p = 2\, \frac{1 + \min(\#\{T_i \ge T_C\}, \#\{T_i \le T_C\})}{1 + 79}$$

# %%
for c, result in finches.items():
    t, rank = result.test("t", correction=None), result.test(correction=None)
    table = rank[["concept", "sign_count"]].assign(t_test=t.p_value, permutation=rank.p_value)
    print(names[c])
    show(table, 3)

# %% [markdown]
# The t-test calls nine of ten rows significant, the *unpainted* birds with 0.78 among them. The permutation test does not: with p = 0.275 they are well within what random sets do.
#
# The smallest possible permutation p with 79 sets is 2/80 = 0.025. For $K$ planned questions the p-values must be corrected (Holm, or Bonferroni), which takes $40K - 1$ sets; with fewer `test` answers *undefined*. We planned two, stripes for either finch. Holm doubles the smaller p and leaves the larger: 0.05 and 0.05, just significant, with nothing to spare. All other rows are suspicions. How firm is the weaker one? Hold other thirds of the pictures out:

# %%
acorns = world.X[numbers[ACORN]]
for seed in range(1, 6):
    again = tcav.scores(net, acorns, ACORN, {"it": stripes}, random_sets, [layer], random_state=seed)
    print(f"stripes and the acorn finch, split {seed}: p = {again.test().p_value[0]:.3f}")

# %% [markdown]
# In all five, no random set scores lower; in the split above, one does. A result that hangs on a single random set is "just significant", not "proved". Redrawn birds will judge it below.
#
# Which test is right? We will count.

# %% [markdown]
# ## Lab
#
# Click pictures into the concept; then change species, network and layer. Tab and the space bar work too.

# %%
playground = lab.tcav.concept_builder()
playground

# %%
playground.filmstrip()

# %%
print(lab.tcav.concept_builder().user_sets(concept=(1, 2, 7)))  # a second copy


# %% [markdown]
# The bar holds nine in ten scores if the concept pictures are drawn again. Add striped birds one by one: when does the score of the bramble finch leave the grey cloud? (Here with the seventh; it slips back once, with the eighth.) In the snow network, take only the striped birds *in snow* (7 to 12), then only those on a meadow (1 to 6), for the juniper wren.

# %% [markdown]
# ## Graded against the truth
#
# ### An oracle: only TCAV can err
#
# A score that we wrote down: $h = m_1 - m_2 + m_3 m_4$, where $m_k$ is the mean of channel $k$ of a small picture, and channel 5 is ignored. The slope along channel 1 is positive everywhere, along 2 negative, along 3 it has the sign of $m_4$, along 4 the sign of $m_3$. A concept is a bright channel.


# %%
class Judge(nn.Module):
    def __init__(self):
        super().__init__()
        self.look = nn.Identity()

    def forward(self, x):
        m = self.look(x).mean(dim=(2, 3))
        h = m[:, 0] - m[:, 1] + m[:, 2] * m[:, 3]
        return torch.stack([h, 0 * h], dim=1)


rng, judge = np.random.default_rng(0), Judge()
class_images = rng.normal(size=(40, 5, 4, 4))
class_images[:, 3] += np.where(np.arange(40) < 28, 1.5, -1.5)[:, None, None]
noise = rng.normal(size=(1300, 5, 4, 4))
channels = {f"channel {k + 1}": noise[1170:1200] + np.eye(5)[k][:, None, None] for k in range(5)}
m = class_images.mean(axis=(2, 3))

# %%
noise_sets = tcav.random_sets(noise[:1170], 39, 30)
result = tcav.scores(judge, class_images, 0, channels, noise_sets, ["look"]).test(correction=None)
true_share = [1, 0, np.mean(m[:, 3] > 0), np.mean(m[:, 2] > 0), np.nan]  # channel 5 has no slope
for row, planted in zip(result.itertuples(), true_share, strict=True):
    print(f"{row.concept}: planted {planted:6.4f}, TCAV {row.sign_count:.4f}, p = {row.p_value:.3f}")

# %% [markdown]
# The scores come out as planted. Now read the p-values. Channel 4 decides the score of *every* picture, upwards in one half and downwards in the other, and so its score looks like silence. **Not significant means "no common sign", not "unused".** Channel 5 really is unused, and is not significant either: TCAV cannot tell the two apart.

# %% [markdown]
# ### How often is nothing declared something?
#
# Two kinds of meaningless concept. *Invisible*: channel 5 lit up, which verifiably leaves the logit unchanged. *Noise*: 30 archive birds at random, on the bird network. Each of 60 such concepts is tested against 19 random sets of its own, at 10 %, which is what 19 sets allow. Predict the t-test's share of false alarms.

# %%
pool = noise[:700]
lit = pool + np.eye(5)[4][:, None, None]
assert np.array_equal(predictor(judge, "logit")(pool), predictor(judge, "logit")(lit))
few_sets = {"n_concepts": 60, "n_sets": 19}
alarms = {"invisible": tcav.false_alarms(judge, class_images, 0, pool, "look", edited=lit, **few_sets)}

# %%
archive = world.X[order[:600]]
alarms["noise"] = tcav.false_alarms(net, bramble, BRAMBLE, archive, layer, **few_sets)
for kind, table in alarms.items():
    rates = (table[["t_equal", "t_welch", "permutation"]] <= 0.1).mean()
    usual = f"t-test {rates.t_equal:.2f}, Welch's {rates.t_welch:.2f}"
    print(f"{kind:9} {usual}, permutation {rates.permutation:.2f}")
low, high = np.array(stats.binom.interval(0.95, 60, 0.1)) / 60
print(f"with a promise of 0.10 kept, 95 % of such experiments give {low:.2f} to {high:.2f}")

# %% [markdown]
# Promised was one false alarm in ten. The t-test raises one in more than every second case. It counts 19 runs as 19 independent facts, but all share the concept and class pictures. By luck these point *somewhere*, and every run repeats that luck. An exercise compares 5 runs with 19.
#
# The permutation test keeps its promise: a meaningless set is one more random set, as likely as any other to rank first.

# %% [markdown]
# ### The trained network against its own truth
#
# We own the drawing program: redraw the birds with each kind of wing and read the logit, compared with the average wing of all species, which is what random sets show. Eight finches and jays, four wings: 32 questions, each with 39 sets, uncorrected. They share four concepts, so they are fewer than they look.

# %%
average_wing = truth.attributes[list(WINGS)].mean().to_numpy()


def redrawn(c):
    z = [logits(truth.render(numbers[c], part_from={"wing": species}))[:, c] for species in WINGS.values()]
    return z - average_wing @ z


def graded(c):
    result = tcav.scores(net, world.X[numbers[c]], c, concepts, random_sets[:39], [layer])
    table = result.to_frame().assign(species=names[c], p=result.test(correction=None).p_value)
    table[["effect", "low", "high"]] = [mean_interval(change) for change in redrawn(c)]
    return table


parts = [graded(c) for c in range(4)]

# %%
grades = pd.concat(parts + [graded(c) for c in range(4, 8)], ignore_index=True)
right = (grades.sign_count > 0.5) == (grades.effect > 0)
sure, clear = grades.p <= 0.05, (grades.low > 0) | (grades.high < 0)
print(f"effects clear of zero: {clear.sum()} of {len(grades)}; sign right in {right[clear].sum()}")
print(f"p at most 0.05: {sure.sum()}; sign right in {right[sure].sum()}")
missed = grades.loc[clear & ~right, ["species", "concept", "sign_count", "p", "effect", "low", "high"]]
show(missed)

# %%
signed = grades[["sign_count", "magnitude", "effect"]]
sizes = (signed - [0.5, 0, 0]).abs()
for label, table in (("with sign", signed), ("sizes only", sizes)):
    found = table.corr("spearman")["effect"]
    print(f"Spearman, {label:10} score {found.sign_count:.2f}, mean of S {found.magnitude:.2f}")

# %%
fig, axes = plt.subplots(1, 2, figsize=(9.2, 3.8))
kinds = ((sure, plots.ANCHOR, "o", "p at most 0.05"), (~sure, plots.CONTEXT, "s", "p above 0.05"))
for ax, column, zero in zip(axes, ("sign_count", "magnitude"), (0.5, 0), strict=True):
    for chosen, colour, marker, label in kinds:
        some = grades[chosen]
        ax.hlines(some[column], some.low, some.high, color=colour, lw=1)
        ax.plot(some.effect, some[column], marker, color=colour, label=label, ms=5)
    ax.axhline(zero, color="black", lw=0.8)
    ax.axvline(0, color="black", lw=0.8)
    ax.set_xlabel("redrawn with this wing: change of the logit")
axes[0].set(ylabel="TCAV score", title="the score is a switch")
axes[0].legend(loc="lower right", fontsize=8)
axes[1].set(ylabel="mean S, logits per unit step", title="the mean of S, in its own unit")
plots.show(fig, "TCAV against redrawing, 32 questions: signs agree, sizes follow only roughly.")

# %% [markdown]
# Each mark is one wing for one species, with the interval over birds. Where it is clear of zero, 30 of 31 scores have the right sign; the miss, banded wings of the acorn finch, scored 0.43, silence, for an effect of 0.91. "Not found" is not "not there". All 18 scores with p at most 0.05 are right.
#
# With their sign, both statistics order the effects well (0.91). Sizes alone follow moderately (0.55 and 0.61, too close to prefer one): $S$ is a slope per unit step at one layer, and nobody knows how many steps a stripe is.

# %% [markdown]
# **Answer to the reserve.** Stripes speak for the bramble finch and against the acorn finch. In August they are not gone but *faint*, so that is what we draw:

# %%
own, moulted = (truth.render(numbers[BRAMBLE], part_from={"wing": s}) for s in (BRAMBLE, ACORN))


def count(pictures):
    called = logits(pictures).argmax(axis=1)
    return f"{np.sum(called == BRAMBLE):2} named bramble finch, {np.sum(called == ACORN):2} acorn finch"


for contrast in (1, 0.75, 0.5, 0.35, 0):
    print(f"stripes at {contrast:.2f} of their contrast: {count(contrast * own + (1 - contrast) * moulted)}")
print(f"acorn finches, for comparison:      {count(world.X[numbers[ACORN]])}")

# %% [markdown]
# It depends on how faint. At three quarters of the contrast nothing happens. At half of it, 7 of 25 bramble finches are counted as acorn finches; at a third all are, and where both species are equally common, the acorn count doubles. So: measure the contrast of moulting birds, and leave both counts out of the report where it falls below three quarters. TCAV cannot give this number. It told us which experiment to run.
#
# It also announced a surprise: for the bramble finch, spotted wings score as high as striped ones, banded wings near 0. Redrawn:

# %%
wing = truth.mask("wing", numbers[BRAMBLE])[:, None]
for name, species in WINGS.items():
    pictures = truth.render(numbers[BRAMBLE], part_from={"wing": species})
    brightness = pictures.mean(axis=1, keepdims=True)[wing].mean()
    print(f"{name:13} brightness {brightness:.2f}: {count(pictures)}")
grey = np.where(wing, np.float32(0.45), moulted)
print(f"plain grey    brightness 0.45: {count(grey)}")

# %% [markdown]
# Spots do for stripes; bands do not, although they are as bright, and neither does plain grey of that brightness. So the direction is not "bright wings". Fine white marks, perhaps: a guess, which these two controls leave standing. A concept is your word; the direction is the network's.

# %% [markdown]
# ### Which layer?
#
# The same question at five layers, with 39 sets.

# %%
layers = [f"features.{name}" for name in ("pool1", "pool2", "relu3", "conv4", "relu4")]
sweep = tcav.scores(net, bramble, BRAMBLE, {"striped wings": stripes}, random_sets[:39], layers)
table = sweep.to_frame().assign(p=sweep.test(correction=None).p_value)
noise_runs = sweep.runs[sweep.runs["kind"] == "random"].groupby("layer", sort=False)["sign_count"]
table["noise_0_or_1"] = noise_runs.agg(lambda s: s.isin([0, 1]).mean()).to_numpy()
columns = ["layer", "sign_count", "p", "accuracy", "noise_0_or_1"]
show(table[columns])

# %%
fig, ax = plt.subplots(figsize=(8.2, 3.5))
sweep.plot(ax)
ax.set_xticks(range(len(layers)), [name.split(".")[1] for name in layers])
ax.set_title("stripes at five layers: at relu4 every random run is 0 or 1")
plots.show(fig, "Runs at five layers: stripes near 1, random runs anywhere at pool1, only 0 or 1 at relu4.")

# %% [markdown]
# Grey crosses are random runs, dots the runs of the stripes. At relu4 only an average and a linear layer follow. The gradient is the same for every bird, as in the second example by hand. Choose a layer with a nonlinear tail, report several, and never pick the best after looking.
#
# The accuracy, 0.50 at pool1, is chance, and the answer right all the same. Even a perfect eye would reach only 0.85: three random birds in ten are striped.

# %% [markdown]
# ### Stripes, rather than what?
#
# *Relative* TCAV takes the other concepts as counterpart: striped against all others. Runs are resamples, and the test shuffles the pictures among the names. One side is three times as large, and a classifier leans to the larger; so accuracy counts from the middle between the sides.

# %%
relative = tcav.relative_scores(net, bramble, BRAMBLE, concepts, [layer])
table = relative.to_frame().assign(p=relative.test(correction=None).p_value)
show(table[["concept", "sign_count", "sd", "accuracy", "p"]])
shuffled = relative.null.query("role == 'null'")["sign_count"]
print(f"pictures shuffled among the names: {shuffled.isin([0, 1]).mean():.2f} of the scores are 0 or 1")

# %% [markdown]
# The same division as by redrawing: striped and spotted wings on one side, plain and banded on the other. But it is not proved: p is 0.36 or more, since a CAV of shuffled names reaches 0 or 1 in every third case, and the CAVs recognise only 56 to 68 of 100 held-out pictures. A relative score is always against the others *in the list*; so "high against what?" belongs in the caption.

# %% [markdown]
# ## Break it
#
# ### Too few pictures
#
# Criterion: the answer must not depend on which birds the illustrator happened to paint. Twelve concepts of 3 pictures, then twelve of 30, each against the same ten random sets of 30. (`tcav.scores` would cut all sets to the smallest; `my_cav` takes them as they are.) For comparison the same birds unpainted, which mean nothing:

# %%
other_sets = tcav.random_sets(world.X[order[240:1000]], 19, 30)
ten = [my_activations(images) for images in other_sets[:10]]


def runs_against_ten(concept):
    A = my_activations(concept)
    return np.array([my_cav(A, random) for random in ten])


# %%
rng = np.random.default_rng(1)
for size in (3, 30):
    birds = [rng.choice(order[1000:], size, replace=False) for _ in range(12)]
    painted = [truth.render(rows, part_from={"wing": BRAMBLE}) for rows in birds]
    for label, sets in (("striped", painted), ("unpainted", [world.X[rows] for rows in birds])):
        V = np.array([runs_against_ten(images) for images in sets])
        found = np.mean(V @ my_gradients(bramble, BRAMBLE).T > 0, axis=(1, 2))
        cosine = (np.sum(V.sum(axis=1) ** 2, axis=1).mean() - 10) / 90  # mean over pairs of ten unit vectors
        print(f"{size:2} {label:9} scores {found.min():.2f} to {found.max():.2f}, stability {cosine:.2f}")

# %% [markdown]
# With 3 pictures, stripes score anything from 0.25 to 1.00, and birds that mean nothing cover it all. With 30, the lowest striped draw (0.96) lies above the highest unpainted one (0.82). The detection is this very experiment: *draw the concept again*. The usual check, stability, does not see it. It is *higher* with 3 pictures (0.79 against 0.57), since all CAVs of a concept share the same three.
#
# ### Stripes that always come with snow
#
# The snow network of chapter 8 leans on the landscape. Suppose that the illustrator only had winter pictures. The juniper wren is a winter species with plain wings; redrawing says what stripes and snow do to it:

# %%
JUNIPER, snow_net = names.index("juniper wren"), zoo.load("birds-cnn-snow")
wrens, snow_logit = world.X[numbers[JUNIPER]], predictor(snow_net, "logit")


def change(what, with_, without):
    z = [snow_logit(truth.render(numbers[JUNIPER], **{what: v}))[:, JUNIPER] for v in (with_, without)]
    return "{:+.2f} ({:+.2f} to {:+.2f})".format(*mean_interval(z[0] - z[1]))


print("stripes instead of plain wings", change("part_from", {"wing": BRAMBLE}, {"wing": ACORN}))
print("snow instead of a meadow      ", change("background", "snow", "meadow"))

# %%
drawn = {
    "stripes, any landscape": stripes,
    "stripes, in snow": truth.render(order[:30], part_from={"wing": BRAMBLE}, background="snow"),
    "own wings, in snow": truth.render(order[:30], background="snow"),
}
both_layers = [layer, "features.relu3"]
winter = tcav.scores(snow_net, wrens, JUNIPER, drawn, random_sets[:39], both_layers)
table = winter.to_frame().assign(p=winter.test(correction=None).p_value)
columns = ["layer", "concept", "sign_count", "accuracy", "p"]
show(table[columns])

# %% [markdown]
# Stripes lower this logit, and striped birds in any landscape score near 0. The confounded set scores 0.99 and 1.00: it found the snow. And the *wrong* concept has the better CAV (accuracy 0.87 against 0.55 at pool2), as snow is easy to see. Accuracy only says *that* the sets differ.
#
# Detection: build the concept that should be silent, the same birds in snow *without* stripes. It scores 1.00, so the snow did it. Then show it in every landscape.

# %% [markdown]
# ### Logit or loss?
#
# The authors' code differentiates the *loss*, minus the log-probability; the paper and captum the logit. The log-probability also counts the rivals: $\nabla \log p_c = \nabla z_c - \sum_j p_j \nabla z_j$. Criterion: a score needs to say which. Eight draws of striped birds, the same CAVs for both questions, so the difference is paired:

# %%
FERN, EMBER = names.index("fern jay"), names.index("ember jay")
ferns = world.X[numbers[FERN]]
eight = order[:240].reshape(8, 30)
draws = {f"draw {k}": truth.render(rows, part_from={"wing": BRAMBLE}) for k, rows in enumerate(eight)}


def eight_scores(c, of="logit"):
    found = tcav.scores(net, ferns, c, draws, other_sets, both_layers, of=of, controls=False).to_frame()
    return found.groupby("layer", sort=False)["sign_count"].apply(np.array)


logit, log_p, rival = eight_scores(FERN), eight_scores(FERN, "log-probability"), eight_scores(EMBER)

# %%
for name in both_layers:
    means = f"logit {logit[name].mean():.2f}, log-probability {log_p[name].mean():.2f}"
    gap = "{:.2f} ({:.2f} to {:.2f})".format(*mean_interval(logit[name] - log_p[name]))
    print(f"{name:14} {means}, difference {gap}; the ember jay's logit {rival[name].mean():.2f}")
P = predictor(net, "probability")(ferns)
share = P[:, EMBER].sum() / (P.sum() - P[:, FERN].sum())
print(f"the ember jay's share of what the rivals get: {share:.2f}")

# %% [markdown]
# The logit rises along the stripes for more birds than the log-probability does, and the difference is clear of zero at both layers (intervals over draws of the concept). Part of the reason is in the last column: the ember jay, which holds half of what the rivals get, gains too. Neither score is wrong; they answer "what speaks for it?" and "what makes it win?". If you mean *rather than the acorn finch*, say so, with `against=`:

# %%
red = truth.render(order[:30], part_from={"body": BRAMBLE})
for label, question in {"own logit": {}, "own minus acorn finch": {"against": ACORN}}.items():
    pair = {"red body": red, "stripes": stripes}
    found = tcav.scores(net, bramble, BRAMBLE, pair, random_sets[:39], [layer], **question)
    for row in found.test(correction=None).itertuples():
        print(f"bramble finch, {label:22} {row.concept:9} score {row.sign_count:.2f}, p = {row.p_value:.2f}")

# %% [markdown]
# Both finches are red. Red leans towards a bramble finch, but away from it *rather than an acorn finch* (suspicions both, by their p); stripes do not change sides.

# %% [markdown]
# ### The ruler story
#
# A network for skin lesions once had learned that a ruler in the picture means cancer, because doctors lay rulers beside lesions they worry about. Here the ruler is a small marker in the corner of ten species. The concept: 30 birds with a marker. The control: the clean network, same pictures.

# %%
marked = worlds.birds(3000, marker=True, random_state=1)
marker_net, marker = zoo.load("birds-cnn-marker"), truth.with_marker(order[:30])


def rise(network, c):
    z = [predictor(network, "logit")(truth.with_marker(numbers[c], present=there)) for there in (True, False)]
    return (z[0] - z[1])[:, c]


for label, network in (("marker network", marker_net), ("clean network", net)):
    for c in (BRAMBLE, ACORN):
        ruler = tcav.scores(network, marked.X[numbers[c]], c, {"marker": marker}, random_sets[:39], [layer])
        row, birds = ruler.test(correction=None).loc[0], rise(network, c)
        mean, least, most = np.round([birds.mean(), birds.min(), birds.max()], 2) + 0.0  # never "-0.00"
        print(
            f"{label:14} {names[c]:13} score {row.sign_count:.2f}, p = {row.p_value:.2f},",
            f"redrawn {mean:+.2f} ({least:+.2f} to {most:+.2f})",
        )

# %% [markdown]
# Caught, and with the right sign for both: the marker speaks for the bramble finch, which mostly wears it, and against the acorn finch. In the clean network the redrawn effect is small, and TCAV is not significant. (In brackets the least and the most of any bird.) No drawing program was needed, only 30 pictures with a ruler. One more run, though: the same species photographed *without* markers.

# %%
for pictures, label in ((marked.X, "with"), (world.X, "without")):
    birds = pictures[numbers[BRAMBLE]]
    ruler = tcav.scores(marker_net, birds, BRAMBLE, {"marker": marker}, random_sets[:39], both_layers)
    for row in ruler.test(correction=None).itertuples():
        print(f"pictures {label:7} marker, {row.layer:14} score {row.sign_count:.2f}, p = {row.p_value:.2f}")

# %% [markdown]
# At pool2 the score of markerless birds is 0, significantly, for a marker that raises the logit of every one of them. Is it wrong? Walk from the activations without marker to those with it, and watch the logit on the way:

# %%
marker_head, marker_tail = marker_net.features[: len(head)], marker_net.features[len(head) :]
with torch.no_grad():
    pair = [truth.with_marker(numbers[BRAMBLE], present=there) for there in (False, True)]
    bare, tagged = (marker_head(torch.from_numpy(birds)) for birds in pair)
    walk = [bare + t * (tagged - bare) for t in (0, 0.1, 0.2, 0.3, 0.5, 0.75, 1)]
    h = [marker_net.classifier(marker_tail(a).mean(dim=(2, 3)))[:, BRAMBLE].mean().item() for a in walk]
print("logit, change from the start:", *[f"{value - h[0]:+.2f}" for value in h])

# %% [markdown]
# First down, then up. TCAV asks for the *slope where the pictures are*, and there it is negative: units that only a marker opens are shut and pass no slope, others decide the sign. A small step is not an insertion. Detection: a second layer, pictures of the kind you will meet, and if you can, the insertion itself.

# %% [markdown]
# ## On real data
#
# Handwritten digits, where nobody planted anything. **Loops**: which digits need them? Concept: 20 zeros, sixes and nines.

# %%
images, labels, n_train = zoo.digits()
digits_net, digits_layer = zoo.load("digits-cnn"), "features.relu2"
train, test = images[:n_train], images[n_train:]
digit_sets = tcav.random_sets(train, 39, 20)
rng = np.random.default_rng(0)


def twenty(digits):
    return train[rng.choice(np.flatnonzero(np.isin(labels[:n_train], digits)), 20, replace=False)]


loops = {"0, 6, 9": twenty([0, 6, 9]), "6, 9": twenty([6, 9]), "0, 9": twenty([0, 9]), "0, 6": twenty([0, 6])}

# %%
without = {0: ["6, 9"], 6: ["0, 9"], 9: ["0, 6"], 8: []}
for digit, kinds in without.items():
    class_pictures = test[labels[n_train:] == digit]
    asked = {kind: loops[kind] for kind in ["0, 6, 9", *kinds]}
    result = tcav.scores(digits_net, class_pictures, digit, asked, digit_sets, [digits_layer])
    for row in result.test(correction=None).itertuples():
        print(f"loops of {row.concept:7} for {digit}: score {row.sign_count:.2f}, p = {row.p_value:.2f}")


# %% [markdown]
# Read only the upper line of each pair, and zeros and nines need loops. But those loops *contained* zeros and nines, and looking like a nine makes a nine. With the class left out of its own concept, 0.30, 0.16 and 0.15 remain, well inside what random digits score; so does the eight, which was never in. No common loop direction was found, at this layer, with 20 pictures. That is not "unused".
#
# > **Pitfall. A class inside its own concept argues in a circle.** Leave it out, or you measure resemblance.
#
# **Strokes.** This time the concepts are drawn: upright bars, level bars, and a set that should be silent, almost blank pictures.


# %%
def bars(n, upright):
    drawn = np.zeros((n, 1, 8, 8), dtype=np.float32)
    for bar in drawn:
        column, ink = rng.integers(2, 5), rng.uniform(0.8, 1)
        bar[0, rng.integers(2) : 8 - rng.integers(2), column : column + 2] = [ink, ink * rng.uniform(0.3, 1)]
    return drawn if upright else drawn.swapaxes(2, 3)


strokes = {"upright bars": bars(20, True), "level bars": bars(20, False)}
ones = test[labels[n_train:] == 1]

# %%
asked = strokes | {"almost blank": rng.uniform(0, 0.05, (20, 1, 8, 8)).astype(np.float32)}
result = tcav.scores(digits_net, ones, 1, asked, digit_sets, [digits_layer])
table = result.to_frame().assign(p=result.test(correction=None).p_value)
table["ink"] = [drawn.sum(axis=(1, 2, 3)).mean() for drawn in asked.values()]
show(table[["concept", "sign_count", "accuracy", "p", "ink"]])
per_digit, per_one = (some.sum(axis=(1, 2, 3)).mean() for some in (train, ones))
print(f"ink of a digit {per_digit:.2f}, of a one {per_one:.2f}")

# %%
fig, axes = plt.subplots(3, 5, figsize=(5.2, 3.4))
for row, (name, some) in zip(axes, {**strokes, "random digits": digit_sets[0]}.items(), strict=True):
    for ax, image in zip(row, some[:5, 0], strict=True):
        ax.imshow(image, cmap="gray_r", vmin=0, vmax=1)
        ax.set(xticks=[], yticks=[])
        ax.grid(visible=False)
    row[0].set_ylabel(name, rotation=0, ha="right", va="center")
plots.show(fig, "Drawn upright bars, drawn level bars and random digits: the bars have half the ink.")

# %% [markdown]
# A digit 1 made of *level* bars? They score 0.99, like the upright ones. And so does nearly nothing: almost blank pictures, 1.00. Next to real digits, bars of any direction are *little ink*, half of a digit's, and the CAV points away from digits to emptiness. That speaks for a one, although a one has as much ink as any digit. Without the silent set you would have told a story about strokes. Now let the two bars be each other's counterpart, so that what they share drops out, and paint them to check:

# %%
relative = tcav.relative_scores(digits_net, ones, 1, strokes, [digits_layer])
z = predictor(digits_net, "logit")
for name, score in zip(strokes, relative.to_frame().sign_count, strict=True):
    added = np.mean([z(np.maximum(ones, 0.5 * bar))[:, 1] - z(ones)[:, 1] for bar in strokes[name]])
    print(f"{name:12} relative score {score:.2f}, bar painted over at half strength: logit {added:+.2f}")
print("p of the relative scores:", *[f"{p:.2f}" for p in relative.test(correction=None).p_value])

# %% [markdown]
# Now the strokes part company. Painting agrees on the order, and adds that neither bar helps: *relative to each other* is all that may be concluded. The test shuffles the pictures between the two names; it is not significant, so even the order rests on the painting.
#
# With a network connection, `worlds.real.mnist()` has 70,000 digits of 28 x 28 pixels for the same analysis on a network of your own.
#
# **Bring your own.** Replace network, layer, class, class pictures, concept and pool.

# %%
my_network, my_layer, my_class = digits_net, "features.conv3", 7
my_pictures, my_pool = test[labels[n_train:] == 7], train
my_concept = train[labels[:n_train] == 1][:20]

my_sets = tcav.random_sets(my_pool, 39, len(my_concept))
my_concepts = {"looks like a one": my_concept}
my_result = tcav.scores(my_network, my_pictures, my_class, my_concepts, my_sets, [my_layer])
show(my_result.to_frame())
show(my_result.test()[["concept", "p_value", "decision", "test"]])

# %% [markdown]
# ## Strengths, limits, when not to use it
#
# **Strengths.** You ask in your own words, about a class instead of a picture, without training the network again. A score near 0 is information. Concepts need no labels in the training set.
#
# > **Pitfall. A concept is what your pictures share, not what you call it.** Stripes on snow are snow, bars are little ink, loops are zeros and nines. Build the set that should be silent, keep the class out of its own concept, and test both.
#
# > **Pitfall. The t-test on runs is not a test.** Its runs share pictures. Rank the concept among random sets instead, or expect a discovery in more than every second set of random birds.
#
# > **Pitfall. 1 is not "very important".** The score counts signs, and the mean of S has a scale of its own. Only an intervention has the size.
#
# > **Pitfall. 0.5 is not "unused".** A concept that raises half of the scores and lowers the other half looks the same as one that does nothing.
#
# > **Pitfall. A slope is not an insertion.** Units that are shut pass no slope. Ask with pictures that look like those you will meet.
#
# **Leave it** when you can intervene directly, when you have fewer than some thirty pictures of a concept, when the answer is about one picture (chapter 8), or when you may build the concepts into the model (chapters 16 and 17).

# %% [markdown]
# ## Exercises

# %%
ex.card("tcav.cav")


# %%
def cav_from(concept, random, strength):
    # your code
    ...


cav_from = ex.check("tcav.cav", cav_from)

# %%
ex.card("tcav.scores")


# %%
def run_scores(G, V):
    # your code
    ...


run_scores = ex.check("tcav.scores", run_scores)

# %%
ex.card("tcav.p_value")


# %%
def p_value(observed, null):
    # your code
    ...


p_value = ex.check("tcav.p_value", p_value)

# %%
ex.card("tcav.alarms")

# %%
my_guess = ...  # first
my_rate = ...  # then measure
my_rate = ex.check("tcav.alarms", my_rate, prediction=my_guess)

# %%
ex.card("tcav.memo")

# %%
claims_that_hold = ...  # such as "ac"
claims_that_hold = ex.check("tcav.memo", claims_that_hold)

# %%
ex.card("tcav.loss")


# %%
def log_probability_gradient(G, P, y):
    # your code
    ...


log_probability_gradient = ex.check("tcav.loss", log_probability_gradient)

# %%
ex.progress("tcav")

# %% [markdown]
# ## Quiz

# %%
ex.quiz("tcav")

# %% [markdown]
# ## Take-away
#
# 1. A concept is a set of pictures; its CAV is the normal of a linear classifier at a layer; the score is the share of a class whose logit grows along it.
# 2. Near 0 is counter-evidence. Silence is what random sets score, and that is a wide range, not 0.5.
# 3. One run proves nothing, and a t-test on many runs that share pictures proves hardly more. The rank among random sets holds.
# 4. The score has the sign, not the size. Name the layer, logit or loss, the counterpart and the class pictures.
# 5. Test the concept itself: draw it again, build the set that should be silent, and intervene where you can.

# %% [markdown]
# ## Further reading
#
# - Kim et al. (2018), *Interpretability beyond feature attribution: quantitative testing with concept activation vectors*, arXiv 1711.11279.
# - Ghorbani et al. (2019), *Towards automatic concept-based explanations*, arXiv 1902.03129. Concepts found instead of given.
# - Koh et al. (2020), *Concept bottleneck models*, arXiv 2007.04612. Concepts built in.
# - Esteva et al. (2017), *Dermatologist-level classification of skin cancer with deep neural networks*, Nature 542; Narla et al. (2018), *Automated classification of skin lesions: from pixels to practice*, J. Invest. Dermatol. 138, for the rulers.
# - Phipson & Smyth (2010), *Permutation p-values should never be zero*, Stat. Appl. Genet. Mol. Biol. 9.
