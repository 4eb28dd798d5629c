# %% [markdown]
# # Probing: what a network knows, and what it uses
#
# You will read properties off a network's inner values with small classifiers, find out how much of the reading was done by the classifier itself, and take a property out again to see whether anybody misses it.
#
# "The network knows grammar: a probe reads it with accuracy 1.00" is a sentence from many papers. Here you will get the same 1.00 from a network with random weights, from labels that we tossed, and from a property that the network never uses. Then you will learn the four controls that tell these cases apart.
#
# **Estimated time:** 130 minutes
#
# **What you need:** [chapter 10](10_attention.ipynb), for the transformer and its names; logistic regression. The folded box recalls both.

# %%
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import torch
from scipy import optimize, special, stats
from sklearn.linear_model import LogisticRegression, RidgeClassifier
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from xailib import exercises as ex
from xailib import lab, plots, probing, worlds, zoo
from xailib.evaluation import mean_interval
from xailib.worlds import real

# %% [markdown] tags=["digression"] jp-MarkdownHeadingCollapsed=true
# ## Foundations: values, probes and bits in ten minutes
#
# **A transformer's values.** Every token starts as a row of 64 numbers. Two blocks add to this row: attention copies from other positions, the MLP computes on the spot. The running sum is the *residual stream*. A *hook point* is a place where you may look at it: `embedded` at the start, `blocks.0.resid_mid` after the first attention, `blocks.0.resid_post` after the first MLP, and so on. "At" a hook point and a position you always hold 64 numbers.
#
# **A probe** is a classifier from these numbers to a label that *we* know, for instance "the subject is plural". The network is frozen; only the probe learns. What it learnt is judged on sentences it has not seen.
#
# **A bit.** If a probe gives the right label the probability $p$, telling you that label costs $-\log_2 p$ bits: 1 bit at $p = 1/2$, 2 bits at $1/4$, nothing at 1. Costs add up. Check yourself before you go on.

# %%
ex.card("probing.bits")

# %%
my_guess = ...  # in your head
my_bits = ...  # from numpy
my_bits = ex.check("probing.bits", my_bits, prediction=my_guess)

# %% [markdown]
# ## Warm-up

# %%
ex.warmup("probing")

# %% [markdown]
# ## The story
#
# A publisher proofreads with a small network that proposes the next word. *The old key near the cabinets ...* "is". Two letters arrive.
#
# The editor asks: **does it know the number of the subject, or does it have a trick?** If the number is in there, where, and does the verb depend on it?
#
# The lawyer asks: the publisher wants to pass on the network's inner values to a partner. Each sentence has one of two authors. **Can a partner read the author from the values?**
#
# We own the world, so we know the answers to come: the number must be in there, and the author was a coin, tossed after the sentence was written.

# %%
world = worlds.agreement()
truth, words = world.truth, world.truth.vocabulary.words
net = zoo.load("agreement-transformer")
far = (truth.noun_positions(world.X) >= 0).sum(axis=1) > 1  # another noun stands in between
X, author = world.X[far], truth.author[far]
i = np.arange(len(X))
subject, before_verb = truth.subject(X), truth.verb(X) - 1
number, noun = truth.number(X), X[i, subject]
last_number = truth.is_plural(X)[i, before_verb].astype(int)

# %% [markdown]
# We keep the sentences in which other nouns stand between subject and verb. The word right before the verb is then a noun that does *not* decide. The network's answer is read there: the score of the right form of the verb minus that of the wrong form.

# %%
verb = (truth.verb_forms == X[i, before_verb + 1][:, None, None]).any(axis=2).argmax(axis=1)
right, wrong = truth.verb_forms[verb, number], truth.verb_forms[verb, 1 - number]
with torch.no_grad():
    scores = net(torch.from_numpy(X)).numpy()
margin = scores[i, before_verb, right] - scores[i, before_verb, wrong]
print(" ".join(words[t] for t in X[0] if t))
print(f"{len(X)} sentences; last noun and subject agree in {np.mean(last_number == number):.2f}")
print(f"right form preferred in {np.mean(margin > 0):.2f}; mean margin {margin.mean():.2f}")


# %% [markdown]
# The network is right everywhere; "agree with the last noun" would be right in every second sentence only. So *something* knows.

# %% [markdown]
# ## By hand
#
# How impressive is a probe that separates its data? Take four points and give them labels at random: there are $2^4 = 16$ ways. A linear probe can produce
#
# | points in | labellings it can fit |
# |---|---|
# | a line | 8 of 16 |
# | a plane | 14 of 16 |
# | space | **16 of 16** |
#
# On a line there is one threshold: four places to put it, two sides, 8 labellings. In a plane, corners of a square: which two labellings are left out? (Opposite corners alike.) In space, four points in general position can be split in *any* way. Three numbers per point, and a probe fits whatever you toss.


# %%
def fits(points, labels):  # is there w with label * (w . point + b) >= 1 at every point?
    A = labels[:, None] * np.column_stack([points, np.ones(len(points))])
    return optimize.linprog(np.zeros(A.shape[1]), -A, -np.ones(len(A)), bounds=(None, None)).success


tosses = np.array(np.meshgrid(*[[-1, 1]] * 4)).reshape(4, -1).T
square = np.array([[0.0, 0], [1, 0], [0, 1], [1, 1]])
tetrahedron = np.vstack([np.zeros(3), np.eye(3)])
line = np.arange(4.0)[:, None]
for name, points in {"line": line, "plane": square, "space": tetrahedron}.items():
    print(name, sum(fits(points, labels) for labels in tosses), "of", len(tosses))

# %% [markdown]
# Now hold one point out and let the probe guess its shuffled label from the other three. Over all 16 labellings it is right in exactly half of the cases: nothing was there to be found. **Fitting is no evidence. Only held-out points count**, and even those, as you will see, only if the probe could not have met them before.

# %%
hits = []
for labels in tosses:
    for k in range(4):
        three = np.delete(np.arange(4), k)
        A = np.column_stack([tetrahedron, np.ones(4)])
        w = np.linalg.lstsq(A[three], labels[three], rcond=None)[0]
        hits.append((A[k] @ w > 0) == (labels[k] > 0))
print(f"fitted 16 of 16, held-out accuracy {np.mean(hits):.4f}")


# %% [markdown]
# ## In thirty lines
#
# $$w = (Z^\top Z + \lambda I)^{-1} Z^\top y, \qquad \text{selectivity} = \text{acc}(y) - \text{acc}\big(C(t)\big), \qquad C(t) \sim \hat p(y) \text{ for each type } t$$
#
# $Z$ are standardised values, $y$ labels 1 and -1. $C$ is the **control task** of Hewitt & Liang: each *type* $t$ gets one random label for good. The network cannot know them, unless they happen to agree with something it knows; a probe that reads them has learnt them by heart.


# %%
def my_values(point, positions):
    kept = []
    hook = net.get_submodule(point).register_forward_hook(lambda _, __, value: kept.append(value))
    with torch.no_grad():
        net(torch.from_numpy(X))
    hook.remove()
    return kept[0][i, positions].numpy().astype(float)


def my_probe(A, y, train, test, penalty=1.0):
    mean, sd = A[train].mean(axis=0), A[train].std(axis=0)
    Z, Z_test = (A[train] - mean) / sd, (A[test] - mean) / sd
    target = np.where(y[train] == 1, 1.0, -1.0)
    w = np.linalg.solve(Z.T @ Z + penalty * np.eye(Z.shape[1]), Z.T @ (target - target.mean()))
    return np.mean((Z_test @ w + target.mean() > 0) == (y[test] == 1))


def my_control(types, y, rng):
    labels = rng.choice(y, types.max() + 1)  # one per type, with the frequencies of the property
    return labels[types]


# %% [markdown]
# **What is the type?** For a property of the word you look at, the word. Here the number belongs to the subject, although we read it before the verb. So the type is the *subject's word*: 28 nouns, each with a coin. Property and control are then functions of the same thing. Where a property depends on the whole sequence, every row would be a type of its own, and a control label cannot be known: pick a coarser unit, and say which.

# %%
train, test = np.arange(800), np.arange(800, 1200)
coins = [my_control(noun, number, np.random.default_rng(seed)) for seed in range(20)]
for point in ("embedded", "blocks.0.resid_mid", "blocks.1.resid_post"):
    A = my_values(point, before_verb)
    acc, control = my_probe(A, number, train, test), [my_probe(A, c, train, test) for c in coins]
    print(f"{point:20} number {acc:.2f}, control {np.mean(control):.2f}", end=" ")
    print(f"({min(control):.2f} to {max(control):.2f}), selectivity {acc - np.mean(control):+.2f}")

# %%
agree = np.array([np.mean(c[:1200] == number[:1200]) for c in coins])
print(f"a coin, or its reverse, agrees with the number in {np.maximum(agree, 1 - agree).mean():.2f}")

# %% [markdown]
# Before the verb the embedding knows nothing of the subject: how could it, it sees one word. After the first attention the number can be read; at the end it is read without error, and a coin per noun far less well. Toss more than once: the twenty coins differ by more than a tenth. And 28 tosses agree with the number by chance, more or less; so some of what the control reads is the number itself.

# %% [markdown]
# ## The library way
#
# A practitioner writes a scikit-learn pipeline. With a ridge classifier it is your probe, to the last sentence:

# %%
pipeline = make_pipeline(StandardScaler(), RidgeClassifier(alpha=1.0))
acc = cross_val_score(pipeline, A, number, cv=[(train, test)])[0]
assert acc == my_probe(A, number, train, test)
values = probing.activations(net, X, "blocks.1.resid_post", before_verb)
assert np.allclose(values, A, atol=1e-5)
print("ok: the same values, the same accuracy")

# %% [markdown]
# `measure` repeats this over ten splits, draws new control labels each time, and gives intervals that allow for the overlap of the splits. Its default probe is logistic, which also gives the probabilities that we need for bits; so its numbers differ a little from yours.

# %%
N = 1200
one = probing.measure(values[:N], number[:N], types=noun[:N])
print(one.to_frame().round(2))

# %%
print(f"400 rows without an error still allow {1 - 0.025 ** (1 / 400):.4f} of errors")
tossed = probing.control_labels(noun, number, random_state=1)[:N]
mean, low, high = probing.measure(values[:N], tossed, types=noun[:N]).interval("selectivity")
print(f"labels tossed per noun: selectivity {mean:.2f} ({low:.2f} to {high:.2f})")

# %% [markdown]
# Two warnings. An interval over splits has no width where no split errs; that is not certainty, and the second number says how much it leaves open. And the last line is the check of the meter: on random labels selectivity is zero.
#
# ### Layer by layer
#
# `sweep` does it at every point of the residual stream, and again on five **untrained networks** of the same shape. A random network also passes words on. What a probe reads there, nobody has learnt.

# %%
names = {"point": ["embedded", "0 mid", "0 post", "1 mid", "1 post"]}
sweep = probing.sweep(net, X[:N], number[:N], positions=before_verb[:N], types=noun[:N])
table = sweep.to_frame().assign(**names).set_index("point")
print(table[["accuracy", "control", "selectivity", "untrained"]].round(2))

# %%
fig, ax = plt.subplots(figsize=(8.4, 3.5))
sweep.plot(ax)
ax.set_xticks(range(5), names["point"])
ax.set_title("number of the subject, read before the verb")
plots.show(fig, "Accuracy grows from chance to 1 through the network; control and untrained networks stay below.")

# %% [markdown]
# The dark line is the trained network, with intervals over splits. Read its distance from the *other* lines, not from zero. Notice that a random network reaches about 0.7 already: random attention mixes a little of the subject into every later position. Notice the dip from `0 mid` to `0 post`: it is there without training too. An MLP adds numbers of its own on top, and that alone makes a direction harder to read; it is no forgetting. What the figure does not say: that the network *uses* what can be read at any of these points. Hold that thought.

# %% [markdown]
# `learnt` is the difference from the untrained networks on the same splits; its interval allows for other splits and other networks:

# %%
print(table[["learnt", "learnt_low", "learnt_high"]].round(2))

# %% [markdown]
# ### How many bits?
#
# Accuracy forgets how *easily* a property is read. The **online code** (Voita & Titov) sends the labels in blocks: the first at $\log_2 K$ bits a label ($K$ classes: here 1 bit), each further block by a probe fitted to all before. Few bits in total mean: read from few examples, and surely.

# %%
stream = ["embedded"] + [f"blocks.{b}.resid_{half}" for b in (0, 1) for half in ("mid", "post")]
at_verb = {p: probing.activations(net, X, p, before_verb) for p in stream}
codes = {p: probing.code_length(at_verb[p][:N], number[:N]) for p in stream}
for code, name in zip(codes.values(), names["point"], strict=True):
    print(f"{name:9} {code.bits.mean():5.0f} of {code.uniform_bits:.0f} bits", end=", ")
    print(f"compression {code.compression:.2g}")

# %%
print(codes["blocks.1.resid_post"].to_frame().round(2).iloc[:5])

# %% [markdown]
# (The single label at 2.58 bits: the two before it were alike, so the probe knew one class only. It counts as two rows, plus one row of uniform probabilities: the other class gets 0.5/3, which costs $\log_2 6$.)
#
# The last two points both reach accuracy 1.00, the points of block 0 about 0.9; the code shows how far apart they are. At the embedding the code is *longer* than sending the labels as they are: a probe that is sure and wrong costs more than no probe.

# %% [markdown]
# ## Lab
#
# The bench: choose the question, the point, the probe and the number of training sentences; switch the control task on and off. Predict first.

# %%
playground = lab.probing.probe_bench()
playground

# %%
playground.filmstrip()

# %%
print(lab.probing.probe_bench().user_sets(probe="MLP, 64 units", rows=400))  # a second copy

# %% [markdown]
# Left, accuracy by training sentences, with 95 % intervals; right, by point; yellow is your setting, thin black the training part's most frequent label (near one half, on either side). Ask for the number *at its noun* and go to larger probes: the accuracy does not move, the control task climbs (C, D). (224 pairs as types there, 28 nouns before the verb: compare control tasks within a question.) The author's coin stays at guessing (E). Not said: whether the network uses any of it.

# %% [markdown]
# ## Graded against the truth
#
# ### Values we wrote down: only the probe can err
#
# An oracle: 64 numbers per sentence hold the last noun (a random point per word) and the subject's number, a step along a direction $u$. No author.

# %%
rng = np.random.default_rng(0)
u = np.eye(64)[0]
cloud = rng.normal(size=(len(words), 64))
oracle = cloud[X[i, before_verb]] + np.outer(2 * number - 1, u) + 0.5 * rng.normal(size=(len(X), 64))
planted = {"number of the subject": number, "number of the last noun": last_number, "author": author}
for name, labels in planted.items():
    found = probing.detect(oracle[:N], labels[:N]).to_frame()
    print(name, found.drop(columns="point").round(2).to_numpy()[0])
remover = probing.eraser(oracle[:N], number[:N])
print(f"direction found against planted: cosine {abs(remover.directions[0] @ u):.4f}")

# %% [markdown]
# Each row: accuracy, accuracy on shuffled labels, p-value alone and corrected, decision. All three decisions are as planted, and the direction between the class means is the planted one.

# %% [markdown]
# ### How often is nothing declared something?
#
# The decision rule of `detect`: fit on two thirds, test on the rest; then shuffle the labels among the sentences and do it again, $m$ times. The property is called *present* when our own order is among the best 5 % of these $m + 1$. With several points the best of them counts in each shuffle, so many points cost no false alarms, only power. Are there at most 5 %? 200 fresh coins, and the number of the subject, on 100 sentences each:

# %%
rng, alarms, found = np.random.default_rng(1), [], []
for draw in range(200):
    some = rng.choice(len(X), 100, replace=False)
    A = {p: values[some] for p, values in at_verb.items()}
    coin = rng.integers(2, size=100)
    alarms.append(probing.detect(A, coin, n_shuffles=19, random_state=draw).present.any())
    if draw < 50:
        found.append(probing.detect(A, number[some], n_shuffles=19, random_state=draw).present)
low, high = stats.binom.interval(0.95, 200, 0.05)
print(f"coins declared present at any point: {np.mean(alarms):.2f}, promised 0.05")
print(f"with the promise kept, 95 % of such experiments give {low / 200:.2f} to {high / 200:.2f}")
print("number present:", dict(zip(names["point"], np.mean(found, axis=0).tolist(), strict=True)))

# %% [markdown]
# Within what the promise allows; 200 coins could not tell 5 % from 8 %, the argument can: for a coin, all orders are equally likely. The last line is the power: what is there at 1.00 is found always, what is weakly there (block 0) most of the time with 100 sentences, and at the embedding, where it is truly absent, not once (the corrected p-value; the plain one would alarm in 5 %). **"Not found" is worth as much as the power behind it.** Now the lawyer's question, with all the sentences we have:

# %%
verdict = probing.detect(at_verb, author, n_shuffles=99)
print(verdict.to_frame().round(2)[["point", "accuracy", "shuffled", "p_corrected", "decision"]])


# %% [markdown]
# Not found. What is that worth? Two coins that *could* be found: each copies something in one sentence of five and is tossed in the others. The first copies the number of the subject. The second copies a random half of the 28 nouns, another half in every draw.


# %%
def found_in(copied):
    found = []
    for draw in range(80):
        coin = np.where(rng.random(len(X)) < 0.2, copied(draw), rng.integers(2, size=len(X)))
        found.append(probing.detect(at_verb, coin, n_shuffles=19, random_state=draw).present)
    return [stats.binomtest(int(k), 80) for k in np.sum(found, axis=0)]


# %%
half = [my_control(noun, np.arange(2), np.random.default_rng(draw)) for draw in range(80)]
power = pd.DataFrame(index=pd.Index(names["point"]))
for name, copied in {"number": lambda draw: number, "half": lambda draw: half[draw]}.items():
    tests = found_in(copied)
    power[name] = [test.statistic for test in tests]
    power[[f"{name}_low", f"{name}_high"]] = [list(test.proportion_ci()) for test in tests]

# %%
read = [probing.measure(at_verb[p], half[0], n_splits=2).accuracy.mean() for p in stream]
print(power.filter(like="number").round(2))
print(power.filter(like="half").assign(read=read).round(2))

# %% [markdown]
# To copy in one of five is to *agree* in six of ten. A copy of the number, block 1 finds practically always. A copy of half the nouns, read less well (last column), is missed nine times in ten. **Power belongs to a strength and to a property.** To the lawyer: an author who goes with the number in six of ten would have been noticed here. One who prefers certain words might have passed.

# %% [markdown]
# ### Take it out and look
#
# Readable is not used. The **amnesic** test takes the property's direction out. Which one? If all classes have the same mean, no linear probe trained by a convex loss (logistic, squared) has less loss than a constant on those rows; so we project out the difference of the means.

# %%
made, used = np.arange(1400), np.arange(1400, 1600)
rows, places = np.arange(len(used)), np.arange(X.shape[1])
at = {"subject": places == subject[:, None], "before the verb": places == before_verb[:, None]}


# %% [markdown]
# $$x \mapsto x - (x - \mu) v v^\top, \qquad v = \frac{\mu_1 - \mu_0}{|\mu_1 - \mu_0|}$$
#
# Found on 1,400 sentences, used on 200 others. Two controls of 19 directions each: *any* direction, and directions drawn *like the values vary*, which take out much more. (INLP, iterative nullspace projection, removes probe after probe: it takes more out, and more than the property.)


# %%
def prefers_right(scores):
    return scores[rows, before_verb[used], right[used]] - scores[rows, before_verb[used], wrong[used]]


def without(labels, point, where, within=None, **options):
    A, copies = probing.activations(net, X[made], point, where[made]), where.sum(axis=1)[made]
    held = None if within is None else np.repeat(within[made], copies)
    remover = probing.eraser(A, np.repeat(labels[made], copies), within=held)
    options["positions"] = where[used]
    return probing.amnesic(net, X[used], point, remover, prefers_right, **options)


# %%
def shares(after):
    ok = after > 0
    return ok.mean(), *[ok[number[used] == k].mean() for k in (0, 1)]


later = np.arange(1400, len(X))  # sentences that made no eraser


def left_over(labels, p, within=None):
    held = None if within is None else within[made]
    left = probing.eraser(at_verb[p][made], labels[made], within=held).apply(at_verb[p][later])
    return probing.measure(left, labels[later], n_splits=3).accuracy.mean()


# %%
before, columns = at["before the verb"], ["erased", "singular", "plural", "random", "like_values", "worst"]
used_up = pd.DataFrame(index=names["point"], columns=columns, dtype=float)
for p, name in zip(stream, names["point"], strict=True):
    weak, hard = (without(number, p, before, random=kind) for kind in ("isotropic", "covariance"))
    by_direction = (hard.random > 0).mean(axis=1)
    any_direction = (weak.random > 0).mean()
    used_up.loc[name] = *shares(weak.after), any_direction, by_direction.mean(), by_direction.min()

# %%
used_up.insert(0, "probe", table["accuracy"])
used_up.insert(1, "probe_after", [left_over(number, p) for p in stream])
print(used_up.iloc[:, :5].round(2))
print(used_up.iloc[:, 5:].round(2))

# %%
fig, ax = plt.subplots(figsize=(8.6, 3.5))
ax.plot(used_up["probe"], "o-", color=plots.ANCHOR, label="number read by a probe")
ax.plot(used_up["random"], "x:", color=plots.CONTEXT, label="network without a random one")
ax.plot(used_up["like_values"], "^-.", color=plots.NEGATIVE, label="... one drawn like the values")
ax.plot(used_up["erased"], "s--", color=plots.POSITIVE, label="... the number's own")
ax.set(ylim=(0.4, 1.05), xlabel="point of the residual stream, before the verb")
ax.set_ylabel("share of sentences right")
ax.set_title("readable in block 0, indispensable only from block 1 on")
ax.legend(fontsize=8, loc="upper left", bbox_to_anchor=(1.01, 1))
plots.show(fig, "Erasing the number before the verb harms nothing in block 0 and much in block 1.")

# %% [markdown]
# The dark line says where the number can be *read*, the red one what happens if it is *gone*. Up to `0 post` the network does not care, although a probe reads the number in nine of ten sentences. From `1 mid` on it is wrong in about every second. Not as a coin is: look at the columns `singular` and `plural`. It is stuck on plural. (`probe_after` reads what is left, from other sentences: near guessing.) A direction drawn like the values harms too; counted in sentences, the worst of 19 at `1 post` even harms more than the number's own. More below. What the figure does not say: that the copy in block 0 is useless. Perhaps it is one of several. Same point, other places:

# %%
at["between the two"] = (places > subject[:, None]) & (places < before_verb[:, None])
single = list(at)
for first, second in ((0, 1), (0, 2), (1, 2)):
    at[f"{single[first]} + {single[second]}"] = at[single[first]] | at[single[second]]
at["all three"] = at["subject"] | at["between the two"] | at["before the verb"]
for name, where in at.items():
    found = without(number, "blocks.0.resid_post", where)
    ok, one, many = shares(found.after)
    text = f"right {ok:.2f} (singular {one:.2f}, plural {many:.2f})"
    print(f"{name:33} {text}, random at worst {(found.random > 0).mean(axis=1).min():.2f}")

# %% [markdown]
# Block 0 has spread the number over the later words. Alone, only the subject's own place matters, and that in one sentence of four. But take the subject *and* the place before the verb: worse. So that copy, which nobody missed, is a backup. Subject and the words between: stuck on plural. While the subject's place stands, the others can go. **No effect means: this copy is not needed while others are there.**
#
# How sure is block 1? 99 directions of each kind at `1 mid`:

# %%
for kind in ("isotropic", "covariance"):
    found = without(number, "blocks.1.resid_mid", before, random=kind, n_random=99)
    ok = (found.random > 0).mean(axis=1)
    share = f"{found.random_removed.mean():.2f} ({found.removed:.2f}) of the variance"
    print(f"{kind:10} takes {share}, right {ok.mean():.2f}, at worst {ok.min():.2f}", end="; ")
    print(f"change of margin at most {np.abs(found.random_effects).max():.2f} ({found.effect:.2f})", end=", ")
    print(f"p = {found.p_value:.2f}")
print(f"taken and change: {np.corrcoef(found.random_removed, found.random_effects)[0, 1]:.1f}")

# %% [markdown]
# In brackets the number's direction: it takes half of all variance. Directions drawn like the values harm more the more they take; the worst falls a hair short of the number's own. No wonder: half of how the values vary *is* the number.
#
# **Answer to the editor.** It knows the number of the *subject*, not of some noun. Block 0 copies it along, block 1 brings it to the verb, and there the verb's form hangs on one direction: without it, one form for nearly all.
#
# ### A second world: how deep are we?
#
# `brackets-transformer` continues strings such as `( [ ] (`. It has to know the depth: how many brackets are open. One random place per string. What is the type for the control task? The last bracket, or the last five? Try all:

# %%
strings, bracket_net = worlds.brackets(1500), zoo.load("brackets-transformer")
length = (strings.X != 0).sum(axis=1)
S, length = strings.X[length > 11][:600], length[length > 11][:600]
place = np.random.default_rng(0).integers(6, length - 1)  # one random place each
k = np.arange(len(S))
depth = strings.truth.depth(S)[k, place]


def last(m):
    return (S[k[:, None], place[:, None] - np.arange(m)] * 7 ** np.arange(m)).sum(axis=1)


# %%
A = probing.activations(bracket_net, S, "blocks.0.resid_mid", place)
counts = np.bincount(depth)
print(f"{len(S)} strings, depths {counts}, most frequent {counts.max() / len(S):.2f}")
for m in range(1, 6):
    one = probing.measure(A, depth, types=last(m), n_splits=5)
    print(f"last {m}: {len(np.unique(last(m))):3} types, {one.seen:.2f} seen in training", end="; ")
    print(f"accuracy {one.accuracy.mean():.2f}, control {one.control.mean():.2f}")

# %% [markdown]
# The same probe, the same accuracy, and selectivities from 0 to 0.8. One bracket gives four coins, which any probe learns by heart. With five, a third of the test types are new, and the control scores what guessing scores: that "selectivity" is accuracy minus guessing under a grander name. Between them are three: all seen, and too many to know. **Report with every selectivity the types, and the share seen.**

# %%
by_depth = probing.sweep(bracket_net, S, depth, positions=place, types=last(3), n_untrained=4)
depths = by_depth.to_frame().assign(**names).set_index("point").round(2)
print(depths[["accuracy", "control", "selectivity", "untrained"]])
print(depths[["learnt", "learnt_low", "learnt_high"]])

# %%
for p in (stream[0], stream[2], stream[4]):
    code = probing.code_length(probing.activations(bracket_net, S, p, place), depth, n_orders=1)
    print(f"{p:20} {code.bits[0]:5.0f} of {code.uniform_bits:.0f} bits")

# %%
one_hot = np.column_stack([np.eye(S.shape[1])[place], np.eye(S.max() + 1)[S[k, place]]])
average = (depth / (place + 1))[:, None]  # what a head sees that looks everywhere alike
known = {"position and token": one_hot, "average": average, "all": np.column_stack([one_hot, average])}
for name, values in known.items():
    print(f"{name:18} {probing.measure(values, depth, n_splits=5).accuracy.mean():.2f}")

# %% [markdown]
# Depth is read nearly without error from the first attention on. The embedding's 0.48, well above 0.25, is no riddle: position and token tell it (an even number of brackets leaves no odd depth). And the first attention needs little: a head that looks everywhere alike sees the average of the brackets, opening minus closing, divided by the length. With position and token, that is nearly enough. Random attention averages too, hence the high untrained column; only the difference was learnt, and none at the embedding.

# %% [markdown]
# ## Break it
#
# ### Accuracy 1, selectivity 0
#
# Criterion: a probe that reads a property must not read just anything. Subjects with an adjective, read *at the noun*; the type is the pair, "old keys". There are 224 pairs, each with a coin.

# %%
adjective = X[i, subject - 1]
has = np.flatnonzero(adjective != words.index("the"))[:N]
pair = adjective[has] * len(words) + noun[has]
at_noun = probing.activations(net, X[has], "blocks.0.resid_mid", subject[has])
for name, probe in {"linear": "linear", "MLP, 64 units": probing.mlp_probe(64)}.items():
    one = probing.measure(at_noun, number[has], types=pair, probe=probe, n_splits=5)
    print(f"{name:14} accuracy {one.accuracy.mean():.2f}, control {one.control.mean():.2f}", end=", ")
    print(f"selectivity {one.selectivity.mean():.1f} ({one.seen:.2f} of the pairs seen)")


# %% [markdown]
# Both read the number without error. But the MLP reads a coin per pair just as well: it looks the pair up. Its accuracy would be nearly the same if the number had never been encoded. Detection: the control task, or pairs that were never seen, with `groups`. (The linear probe cannot look pairs up; it can look up 28 nouns.)
#
# ### The leak: splitting by row when words repeat
#
# A coin per *noun* that we toss now, five times. Read it at the noun, and beside it the number, in the trained and in five random networks:


# %%
def read_at_noun(network, labels, groups):
    A = probing.activations(network, X[:N], "embedded", subject[:N])
    return probing.measure(A, labels[:N], groups=groups, n_splits=5).accuracy.mean()


fresh = [probing.untrained(net, seed) for seed in range(5)]
tossed = [my_control(noun, number, np.random.default_rng(seed)) for seed in range(5)]
for groups, split in ((None, "by row"), (noun[:N], "by noun")):
    coin = np.mean([read_at_noun(net, labels, groups) for labels in tossed])
    random = np.mean([read_at_noun(network, number, groups) for network in fresh])
    plural = read_at_noun(net, number, groups)
    print(f"split {split:8} coin {coin:.2f}; number {plural:.2f}, in random networks {random:.2f}")

# %% [markdown]
# Split by row, everything is read perfectly: 28 nouns in 64 dimensions take any labels. Split by noun, the test nouns are new, and one reading survives: the *trained* embedding has a direction "plural" that holds for nouns the probe has never met. (0.43 is guessing: a training part with more plurals leaves fewer to the test.)
#
# > **Pitfall. Rows are not the unit.** Ask what repeats between training and test, and split by that.

# %% [markdown]
# ### Decodable but unused, and a trap
#
# Criterion: a probe's accuracy must tell what the network depends on. Now the number of the *last* noun, at its own position. The network is right whatever it is, but could lean on it a little: a loss of 5 from margins of 7 never shows in the share right. Look at the margin:

# %%
p = "blocks.1.resid_post"
naive = without(last_number, p, before, n_random=99)
largest = np.abs(naive.random_effects).max()
print(f"right {np.mean(naive.after > 0):.2f}, margin {naive.before.mean():.2f}", end=", ")
print(f"change {naive.effect:+.2f}; largest of 99 random changes {largest:.2f}, p = {naive.p_value:.2f}")

# %%
own = {"number": probing.eraser(at_verb[p][made], number[made]).directions[0]}
own["naive"] = probing.eraser(at_verb[p][made], last_number[made]).directions[0]
own["within"] = probing.eraser(at_verb[p][made], last_number[made], within=number[made]).directions[0]
cosines = {name: round(abs(float(own[name] @ own["number"])), 2) for name in ("naive", "within")}
print("cosine with the direction of the subject's number:", cosines)
fill = probing.eraser(at_verb[p][made], number[made]).removed_share(at_verb[p][later])
print(f"the subject's number holds {fill:.2f} of the variance", end="; ")
print(f"last noun and subject agree in {np.mean(last_number[made] == number[made]):.3f} of the sample")

# %% [markdown]
# Used, then? A fifth of the margin, more than 99 random directions: by our own rule, yes. And it is wrong. The two numbers do not agree in exactly half of our sample, and the subject's holds most of the variance here; so the difference of the means leans far towards *its* direction. We erased a part of the other property. The mend: take the difference *within* each class of the subject's number, and average (`within`).

# %%
columns = ["probe", "after", "right", "change", "random"]
last_noun = pd.DataFrame(index=names["point"], columns=columns, dtype=float)
for p, name in zip(stream, names["point"], strict=True):
    read = probing.measure(at_verb[p][:N], last_number[:N], n_splits=3).interval()[0]
    fair = without(last_number, p, before, within=number)
    largest = np.abs(fair.random_effects).max()
    after = left_over(last_number, p, number)
    last_noun.loc[name] = read, after, np.mean(fair.after > 0), fair.effect, largest
print(last_noun.round(3))

# %% [markdown]
# Read with 0.97 or more at every point, gone for the probe afterwards, and the margin of 7.5 changes by 0.2 at most. The largest of 19 random changes is as large or larger, but for a hair at the embedding. (No other copy can stand in: nothing follows the last noun but the verb.) The number rides along with the word. **A probe's accuracy cannot tell this property from the one that decides every verb.** Only the intervention can, and only with the right direction.
#
# > **Pitfall. Two properties that go together share a direction.** Compute the means within the classes of the other one, and give cosines.
#
# ### Erased for whom?
#
# Equal means stop every linear probe *trained by a convex loss*. Do they stop every linear classifier? Six points:

# %%
six, kind = np.array([[-1.0], [-1], [2], [0], [0], [0]]), np.array([0, 0, 0, 1, 1, 1])
print("means", [float(six[kind == k].mean()) for k in (0, 1)], end="; ")
print(f"slope of a logistic probe {abs(LogisticRegression().fit(six, kind).coef_[0, 0]):.4f}", end="; ")
print(f"right with the threshold -0.5: {np.mean((six[:, 0] > -0.5) == kind):.4f}")


# %% [markdown]
# A convex loss pays so much for the one point far out that it gives up; five of six are right all the same. The same happens in the network: train a linear classifier on what the erasure left, with a loss that counts errors (a sigmoid, not convex), and take the best of five starts in training.


# %%
def by_errors(Z, y):
    sign, ones = 2 * y - 1, np.column_stack([Z, np.ones(len(Z))])

    def loss(w):
        wrong = special.expit(-2 * sign * (ones @ w))  # near 1 where w errs
        slope = ones.T @ (-2 * sign * wrong * (1 - wrong)) / len(y)
        return wrong.mean() + 1e-3 * np.mean(w**2), slope + 2e-3 * w / len(w)

    starts = [np.random.default_rng(seed).normal(size=ones.shape[1]) for seed in range(5)]
    return min((optimize.minimize(loss, w, jac=True) for w in starts), key=lambda fit: fit.fun).x


# %%
learn, held_out = later[:900], later[900:]
for p in stream[3:]:
    left = probing.eraser(at_verb[p][made], number[made]).apply(at_verb[p])
    Z = (left - left[learn].mean(axis=0)) / left[learn].std(axis=0)
    w, convex = by_errors(Z[learn], number[learn]), probing.linear_probe().fit(Z[learn], number[learn])
    counting = np.mean((Z[held_out] @ w[:-1] + w[-1] > 0) == number[held_out])
    logistic = convex.score(Z[held_out], number[held_out])
    print(f"{p:20} logistic {logistic:.2f}, error-counting {counting:.2f}")

# %% [markdown]
# So even *linear* readers differ. And an MLP? With all our controls: coins per noun, and nouns it has not met. Beside it the erasure by INLP, with at most 16 directions.

# %%
A, y, kinds = at_verb["blocks.1.resid_mid"], number[later], noun[later]
for method in ("mean", "inlp"):
    remover = probing.eraser(A[made], number[made], method=method)
    left = remover.apply(A[later])
    for probe in ("linear", "mlp"):
        one = probing.measure(left, y, types=kinds, probe=probe, n_splits=3)
        new = probing.measure(left, y, groups=kinds, probe=probe, n_splits=3).accuracy.mean()
        text = f"accuracy {one.accuracy.mean():.2f}, control {one.control.mean():.2f}, new nouns {new:.2f}"
        print(f"{method:4} ({len(remover.directions):2} directions), {probe:6} {text}")

# %% [markdown]
# The MLP reads the number all but perfectly, far above its control, and for nouns it has never met: the classes have equal means, not equal shapes. Sixteen directions of INLP, where it gave up, hardly hide it. The rest of the network does *not* read it: stuck on plural, it was trained to read something that is gone. (The linear probe's 0.55: the means of *these* rows differ a little from the eraser's.) "Erased" needs "for whom".

# %% [markdown]
# ## On real data
#
# What functions of SciPy and of scikit-learn say about themselves, 814 texts, read by a network that was trained to predict the next word. Nobody planted anything. **Which package wrote the text?** One row per text: the mean over its tokens.

# %%
docs, doc_net = real.docstrings(), zoo.load("docstrings-transformer")
T = zoo.encode("docstrings-transformer", docs.X, longest=doc_net.context)
points = ["embedded", "blocks.0.resid_post", "blocks.1.resid_post"]
package = probing.sweep(doc_net, T, docs.y, positions="mean", points=points, n_splits=8, n_untrained=3)
table = package.to_frame().assign(point=["embedded", "0 post", "1 post"]).set_index("point")
first, *others = package.measurements.values()
gains = [other.difference(first) for other in others]
print(table[["accuracy", "untrained", "learnt", "learnt_low", "learnt_high"]].round(2))
print(pd.DataFrame(gains, index=table.index[1:], columns=["gain", "low", "high"]).round(3))

# %%
counts = np.log1p([np.bincount(row[row > 0], minlength=T.max() + 1) for row in T])
bag = probing.measure(counts, docs.y, probe=LogisticRegression(max_iter=1000), n_splits=5)
mean, low, high = bag.interval()
print(f"bag of words {mean:.2f} ({low:.2f} to {high:.2f}), guessing {bag.majority.mean():.2f}")
print(f"texts that fill the network's {doc_net.context} places: {np.mean(T[:, -1] > 0):.2f}")

# %% [markdown]
# "The network knows the package: 0.81." But the average *embedding* gives 0.81 before the network has computed anything, random embeddings 0.74, and counting the very tokens that the network reads 0.91, better than any layer. Packages are told by their words, and an average over words blurs them. Training did add something, but it added it to the embeddings too. `gain` is the difference from the embedding, split by split: no more than 5 points anywhere. So: readable everywhere, and a gain inside the network, if there is one, is smaller than that.
#
# **The lawyer again, on real text.** A coin per text, read at every token of 60 texts; forty tosses. No network can know it, and a guess about a text never met is right in one half.

# %%
rng = np.random.default_rng(0)
chosen = rng.choice(len(T), 60, replace=False)
real_tokens = T[chosen] != 0
text = np.repeat(np.arange(60), real_tokens.sum(axis=1))
coins = [rng.integers(2, size=60)[text] for _ in range(40)]
A = probing.activations(doc_net, T[chosen], "blocks.1.resid_post")
for groups, split in ((None, "by token"), (text, "by text")):
    found = [probing.measure(A, c, groups=groups, n_splits=2).accuracy.mean() for c in coins]
    mean, low, high = mean_interval(found)
    print(f"split {split:8} accuracy {mean:.2f} ({low:.2f} to {high:.2f})")

# %% [markdown]
# Split by token, the coin is "read" in two of three cases, by a linear probe: tokens of one text resemble each other, and the probe has met each text before. Split by text, half. Whoever publishes the first number has found authors in coins.
#
# **Bring your own.** Replace network, texts, labels and groups. For a public model from the internet, chapter 12 names the command that brings it behind the same hooks.

# %%
my_network, my_texts, my_labels = doc_net, docs.X[:400], docs.y[:400]
my_tokens = zoo.encode("docstrings-transformer", my_texts, longest=my_network.context)
my_point, my_positions = "blocks.1.resid_post", "mean"

my_values_there = probing.activations(my_network, my_tokens, my_point, my_positions)
print(probing.measure(my_values_there, my_labels))
print(probing.detect(my_values_there, my_labels))
print(probing.code_length(my_values_there, my_labels))

# %% [markdown]
# ## Strengths, limits, when not to use it
#
# **Strengths.** Cheap, frozen network, any property you can label, every layer. With controls it answers a question that saliency cannot ask: what is represented, and since when.
#
# > **Pitfall. Accuracy has no zero point of its own.** Its zero is the majority, the control task, the untrained network, the bag of words. Report all four, and the difference with an interval.
#
# > **Pitfall. A stronger probe is not a better microscope.** It learns more by itself. Report the selectivity, or the bits, of the simplest probe that works.
#
# > **Pitfall. Readable is not used.** The last noun's number was readable at every layer, and the margin hardly missed it at any.
#
# > **Pitfall. Not missed here is not unused.** It can be fetched again elsewhere (block 1 did), or read by something that your loss does not train.
#
# > **Pitfall. "Not found" needs power.** Say *which* property of what strength would have been found, with how many sentences.
#
# **Leave it** when you can intervene on the input (chapter 12 patches single places), when nobody can label the property, or when a statement about *one* prediction is asked for (chapters 8 and 10).

# %% [markdown]
# ## Exercises

# %%
ex.card("probing.control")


# %%
def control_labels(types, y, rng):
    # your code
    ...


control_labels = ex.check("probing.control", control_labels)

# %%
ex.card("probing.selectivity")


# %%
def selectivity(predicted, y, control_predicted, control):
    # your code
    ...


selectivity = ex.check("probing.selectivity", selectivity)

# %%
ex.card("probing.code")


# %%
def online_code_bits(block_losses, block_rows, n_classes):
    # your code
    ...


online_code_bits = ex.check("probing.code", online_code_bits)

# %%
ex.card("probing.erase")


# %%
def project_out(A, v):
    # your code
    ...


project_out = ex.check("probing.erase", project_out)

# %%
ex.card("probing.random_network")

# %%
my_guess = ...  # first
my_accuracy = ...  # then measure
my_accuracy = ex.check("probing.random_network", my_accuracy, prediction=my_guess)

# %%
ex.card("probing.memo")

# %%
claims_that_hold = ...  # such as "ac"
claims_that_hold = ex.check("probing.memo", claims_that_hold)

# %%
ex.progress("probing")

# %% [markdown]
# ## Quiz

# %%
ex.quiz("probing")

# %% [markdown]
# ## Take-away
#
# 1. A probe's accuracy is a sum: what the network encodes, and what the probe learns by itself. Control tasks and splits by word or sentence take the second part away.
# 2. Untrained networks and bags of words are the zero point of "learnt".
# 3. Code length asks how easily something is read; count in bits, and compare with the frequencies.
# 4. "Present" and "not found" are decisions: shuffle labels for the level, state the power.
# 5. Readable, learnt and used are three things. For "used", take it out, beside random directions, and watch the behaviour.

# %% [markdown]
# ## Further reading
#
# - Alain & Bengio (2017), *Understanding intermediate layers using linear classifier probes*, arXiv 1610.01644.
# - Hewitt & Liang (2019), *Designing and interpreting probes with control tasks*, arXiv 1909.03368.
# - Voita & Titov (2020), *Information-theoretic probing with minimum description length*, arXiv 2003.12298.
# - Ravfogel et al. (2020), *Null it out: guarding protected attributes by iterative nullspace projection*, arXiv 2004.07667.
# - Elazar et al. (2021), *Amnesic probing: behavioral explanation with amnesic counterfactuals*, arXiv 2006.00995.
# - Belrose et al. (2023), *LEACE: perfect linear concept erasure in closed form*, arXiv 2306.03819. The smallest change that makes all class means equal.
# - Haghighatkhah et al. (2022), *Better hit the nail on the head than beat around the bush: removing protected attributes with a single projection*, arXiv 2212.04273. The projection used here.
# - Zhang & Bowman (2018), *Language modeling teaches you more than translation does*, arXiv 1809.10040. Untrained networks as a zero point.
# - Nadeau & Bengio (2003), *Inference for the generalization error*, Machine Learning 52. The interval over splits.
# - Westfall & Young (1993), *Resampling-based multiple testing*. The corrected p-value.
# - Belinkov (2022), *Probing classifiers: promises, shortcomings, and advances*, arXiv 2102.12452.
# - Linzen, Dupoux & Goldberg (2016), *Assessing the ability of LSTMs to learn syntax-sensitive dependencies*, arXiv 1611.01368.
