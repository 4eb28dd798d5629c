# %% [markdown]
# # Probing: what a network knows, and what it uses
#
# You will read properties off a network's inner values with small classifiers, find out how much of the reading was done by the classifier itself, and take a property out again to see whether anybody misses it.
#
# "The network knows grammar: a probe reads it with accuracy 1.00" is a sentence from many papers. Here you will get the same 1.00 from a network with random weights, from labels that we tossed, and from a property that the network never uses. Then you will learn the four controls that tell these cases apart.
#
# **Estimated time:** 115 minutes
#
# **What you need:** [chapter 10](10_attention.ipynb), for the transformer and its names; logistic regression. The folded box recalls both.

# %%
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import torch
from scipy import stats
from sklearn.feature_extraction.text import CountVectorizer
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
print(f"{len(X)} sentences; the last noun has the subject's number in {np.mean(last_number == number):.2f}")
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
def fits(points, labels):
    A = np.column_stack([points, np.ones(len(points))])
    return np.array_equal(np.sign(A @ np.linalg.lstsq(A, labels, rcond=None)[0]), labels)


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
        others = np.delete(np.arange(4), k)
        A = np.column_stack([tetrahedron, np.ones(4)])
        w = np.linalg.lstsq(A[others], labels[others], rcond=None)[0]
        hits.append((A[k] @ w > 0) == (labels[k] > 0))
print(f"fitted 16 of 16, held-out accuracy {np.mean(hits):.4f}")


# %% [markdown]
# ## In thirty lines
#
# $$w = (Z^\top Z + \lambda I)^{-1} Z^\top y, \qquad \text{selectivity} = \text{acc}(y) - \text{acc}\big(C(t)\big), \qquad C(t) \sim \hat p(y) \text{ for each type } t$$
#
# $Z$ are standardised values, $y$ labels 1 and -1. $C$ is the **control task** of Hewitt & Liang: each *type* $t$ gets one random label for good. Nothing in the network can know these labels; a probe that reads them has learnt them by heart.


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
coins = my_control(noun, number, np.random.default_rng(0))
for point in ("embedded", "blocks.0.resid_mid", "blocks.1.resid_post"):
    A = my_values(point, before_verb)
    acc, control = my_probe(A, number, train, test), my_probe(A, coins, train, test)
    print(f"{point:20} number {acc:.2f}, control {control:.2f}, selectivity {acc - control:+.2f}")

# %% [markdown]
# Before the verb the embedding knows nothing of the subject: how could it, it sees one word. After the first attention the number can be read; at the end it is read without error, and a coin per noun far less well.

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
assert one.interval()[1] <= acc <= one.interval()[2]

# %% [markdown]
# ### Layer by layer
#
# `sweep` does it at every point of the residual stream, and again on five **untrained networks** of the same shape. A random network also passes words on. What a probe reads there, nobody has learnt.

# %%
names = {"point": ["embedded", "0 mid", "0 post", "1 mid", "1 post"]}
sweep = probing.sweep(net, X[:N], number[:N], positions=before_verb[:N], types=noun[:N])
table = sweep.to_frame().assign(**names).set_index("point")
print(table[["accuracy", "control", "selectivity", "untrained"]].round(2))
print(table[["learnt", "learnt_low", "learnt_high"]].round(2))

# %%
fig, ax = plt.subplots(figsize=(8.4, 3.5))
sweep.plot(ax)
ax.set_xticks(range(5), names["point"])
ax.set_title("number of the subject, read before the verb")
plots.show(fig, "Accuracy grows from chance to 1 through the network; control and untrained networks stay below.")

# %% [markdown]
# The dark line is the trained network, with intervals over splits. Read its distance from the *other* lines, not from zero. Notice that a random network reaches about 0.7 already: random attention mixes a little of the subject into every later position. `learnt` is the difference from the untrained networks, with an interval over their seeds. What the figure does not say: that the network *uses* what can be read at any of these points. Hold that thought.

# %% [markdown]
# ### How many bits?
#
# Accuracy forgets how *easily* a property is read. The **online code** (Voita & Titov) sends the labels in blocks: the first at 1 bit a label, each further block by a probe fitted to all before. Few bits in total mean: read from few examples, and surely.

# %%
stream = ["embedded"] + [f"blocks.{b}.resid_{half}" for b in (0, 1) for half in ("mid", "post")]
at_verb = {p: probing.activations(net, X, p, before_verb) for p in stream}
codes = {p: probing.code_length(at_verb[p][:N], number[:N]) for p in stream}
for code, name in zip(codes.values(), names["point"], strict=True):
    print(f"{name:9} {code.bits.mean():5.0f} of {code.uniform_bits:.0f} bits, compression {code.compression:.2g}")
print(codes["blocks.1.resid_post"].to_frame().round(2).iloc[:5])

# %% [markdown]
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
# Left, accuracy by training sentences, with 95 % intervals; right, by point; the yellow line is your setting. Ask for the number *at its noun* and go from the linear probe to the large one: the accuracy does not move, the control task climbs (C, D). Then choose the untrained network. The author's coin stays at guessing (E) with a probe that learns coins per noun well enough. What the bench does not say: whether the network uses any of it.

# %% [markdown]
# ## Graded against the truth
#
# ### Values we wrote down: only the probe can err
#
# An oracle: 64 numbers per sentence that hold the last noun (a random point per word) and the number of the subject, as a step of known size along one direction $u$. The author is not in there.

# %%
rng = np.random.default_rng(0)
u = np.eye(64)[0]
cloud = rng.normal(size=(len(words), 64))
oracle = cloud[X[i, before_verb]] + np.outer(2 * number - 1, u) + 0.5 * rng.normal(size=(len(X), 64))
planted = {"number of the subject": number, "number of the last noun": last_number, "author": author}
for name, labels in planted.items():
    print(name, probing.detect(oracle[:N], labels[:N]).to_frame().drop(columns="point").round(2).to_numpy()[0])
remover = probing.eraser(oracle[:N], number[:N])
print(f"direction found against planted: cosine {abs(remover.directions[0] @ u):.4f}")

# %% [markdown]
# Each row: accuracy, accuracy on shuffled labels, p-value alone and corrected, decision. All three decisions are as planted, and the direction between the class means is the planted one.

# %% [markdown]
# ### How often is nothing declared something?
#
# The decision rule of `detect`: fit on two thirds, test on the rest, repeat with labels shuffled among the sentences, and call a property *present* when at most 5 % of the orders, ours included, do as well. With several points the best of them counts in each shuffle. We promise at most 5 % false alarms, at whatever number of points. Kept? 200 fresh coins, and the number of the subject, on 100 sentences each:

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
print("number present:", *[f"{p} {x:.2f}," for p, x in zip(names["point"], np.mean(found, axis=0), strict=True)])

# %% [markdown]
# The promise holds. The second line is the power: what is there at 1.00 is found always, what is weakly there (block 0) most of the time with 100 sentences, and at the embedding, where it is truly absent, never. **"Not found" is worth as much as the power behind it.** Now the lawyer's question, with all the sentences we have:

# %%
verdict = probing.detect(at_verb, author, n_shuffles=99)
print(verdict.to_frame().round(2)[["point", "accuracy", "shuffled", "p_corrected", "decision"]])
faint = []
for draw in range(20):
    coin = np.where(rng.random(len(X)) < 0.2, number, rng.integers(2, size=len(X)))
    faint.append(probing.detect(at_verb, coin, n_shuffles=19, random_state=draw).present)
rates = zip(names["point"], np.mean(faint, axis=0), strict=True)
print("a coin that follows the number in one of five:", *[f"{p} {x:.2f}," for p, x in rates])

# %% [markdown]
# Not found, and the last line says what that is worth: a coin that follows the number in one sentence of five is found in all of 20 draws in block 1. The answer to the lawyer: nothing linear and of that strength, at this place.

# %% [markdown]
# ### Take it out and look
#
# Readable is not used. The **amnesic** test takes the property's direction out and lets the network go on. Which direction? If both classes have the same mean, no linear probe beats guessing on those rows; so we project out the difference of the class means. (INLP, iterative nullspace projection, removes probe after probe: it takes more out, and more than the property.)
#
# $$x \mapsto x - (x - \mu) v v^\top, \qquad v = \frac{\mu_1 - \mu_0}{|\mu_1 - \mu_0|}$$
#
# Made from 1,400 sentences, used on others, before the verb only. The control: 19 random directions.

# %%
made, used = np.arange(1400), np.arange(1400, 1800)
rows, places = np.arange(len(used)), np.arange(X.shape[1])
at = {"subject": places == subject[:, None], "before the verb": places == before_verb[:, None]}


def prefers_right(scores):
    return scores[rows, before_verb[used], right[used]] - scores[rows, before_verb[used], wrong[used]]


def amnesic(labels, point, where, **options):
    A = probing.activations(net, X[made], point, where[made])
    remover = probing.eraser(A, np.repeat(labels[made], where[made].sum(axis=1)))
    return probing.amnesic(net, X[used], point, remover, prefers_right, positions=where[used], **options)


# %%
others = np.arange(1400, len(X))


def left_over(labels, p):
    remover = probing.eraser(at_verb[p][made], labels[made])
    left = remover.apply(at_verb[p][others])
    return probing.measure(left, labels[others], n_splits=3).accuracy.mean()


tests = {p: amnesic(number, p, at["before the verb"]) for p in stream}
share = pd.DataFrame({p: t.to_frame()["above_zero"] for p, t in tests.items()}).T.set_axis(names["point"])
share.insert(0, "probe", table["accuracy"])
share.insert(1, "probe_after", [left_over(number, p) for p in stream])
print(share.round(2))

# %%
fig, ax = plt.subplots(figsize=(7, 3.5))
ax.plot(share["probe"], "o-", color=plots.ANCHOR, label="probe: number can be read")
ax.plot(share["erased"], "s--", color=plots.POSITIVE, label="network without the direction")
ax.plot(share["random"], "x:", color=plots.CONTEXT, label="network without a random direction")
ax.set(ylim=(0.4, 1.05), xlabel="point of the residual stream, before the verb", ylabel="share of sentences right")
ax.set_title("readable in block 0, indispensable only from block 1 on")
ax.legend(fontsize=8)
plots.show(fig, "Erasing the number before the verb changes nothing in block 0 and everything in block 1.")

# %% [markdown]
# The dark line says where the number can be *read*, the red one what happens if it is *gone*. Up to `0 post` the network does not care, although a probe reads the number in nine of ten sentences. From `1 mid` on it is helpless: about every second verb is wrong, as with a coin. A random direction harms nobody. (`probe_after` reads what is left, from other sentences: near guessing.) What the figure does not say: that the copy in block 0 is useless. Perhaps it is one of several. Same point, other places:

# %%
at["between the two"] = (places > subject[:, None]) & (places < before_verb[:, None])
at["all of these"] = at["subject"] | at["between the two"] | at["before the verb"]
for name, where in at.items():
    found = amnesic(number, "blocks.0.resid_post", where, n_random=5)
    print(f"erased at {name:16} right {np.mean(found.after > 0):.2f}, random {np.mean(found.random > 0):.2f}")

# %% [markdown]
# Block 0 has spread the number over the later words. The copies before the verb or between the two can be spared, one place at a time; even the subject's own in three sentences of four. Without all of them the network tosses coins. **No effect means: this copy is not needed while others are there.**
#
# **Answer to the editor.** It knows the number of the *subject*, not of some noun. Block 0 copies it along, block 1 brings it to the verb, and there everything hangs on one direction of 64.
#
# ### A second world: how deep are we?
#
# `brackets-transformer` continues strings such as `( [ ] (`. It has to know the depth: how many brackets are open. One random place per string; the type for the control task: the last five tokens.

# %%
strings, bracket_net = worlds.brackets(1500), zoo.load("brackets-transformer")
length = (strings.X != 0).sum(axis=1)
S, length = strings.X[length > 11][:600], length[length > 11][:600]
place = np.random.default_rng(0).integers(6, length - 1)  # one random place each
k = np.arange(len(S))
depth = strings.truth.depth(S)[k, place]
last_five = (S[k[:, None], place[:, None] - np.arange(5)] * 7 ** np.arange(5)).sum(axis=1)
print(f"{len(S)} strings, depths {np.bincount(depth)}, {len(np.unique(last_five))} endings of five brackets")

# %%
by_depth = probing.sweep(bracket_net, S, depth, positions=place, types=last_five, n_splits=3, n_untrained=4)
columns = ["accuracy", "control", "selectivity", "untrained", "learnt", "learnt_low"]
print(by_depth.to_frame().assign(**names).set_index("point")[columns].round(2))
for p in (stream[0], stream[2], stream[4]):
    code = probing.code_length(probing.activations(bracket_net, S, p, place), depth, n_orders=1)
    print(f"{p:20} {code.bits[0]:5.0f} of {code.uniform_bits:.0f} bits")

# %% [markdown]
# Depth is read nearly without error from the first attention on. A head that looks everywhere alike would do: an average over brackets is a count, opening minus closing. Random attention averages too, hence the high untrained column; only the difference was learnt. Had the type been the last bracket alone, four coins, any probe would have learnt the control task by heart, and selectivity would be zero at best. Too few types, and the control says nothing; all different, and it says no more than guessing.

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
    found = probing.measure(at_noun, number[has], types=pair, probe=probe, n_splits=5)
    shares = f"accuracy {found.accuracy.mean():.2f}, control {found.control.mean():.2f}"
    print(f"{name:14} {shares}, selectivity {found.selectivity.mean():.1f} ({found.seen:.2f} of the pairs seen)")


# %% [markdown]
# Both read the number without error. But the MLP reads a coin per pair just as well: it looks the pair up. Its accuracy would be nearly the same if the number had never been encoded. Detection: the control task, or pairs that were never seen, with `groups`. (The linear probe cannot look pairs up; it can look up 28 nouns.)
#
# ### The leak: splitting by row when words repeat
#
# A coin per *noun* that we toss now, five times. The network cannot know it. Read it at the noun, and beside it the number, in the trained and in five random networks:


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
# Split by row, everything is read perfectly: 28 nouns in 64 dimensions can be labelled at will. Split by noun, the test nouns are new, and only one reading survives: the *trained* embedding has a direction "plural" that holds for nouns the probe has never met. This split needs no control task, since nothing can be remembered. (0.43 is guessing: nouns are half plural, so a training part with more plurals leaves fewer to the test.)
#
# > **Pitfall. Rows are not the unit.** Ask what repeats between training and test, words, sentences, authors, and split by that.

# %% [markdown]
# ### Decodable but unused
#
# Criterion: a probe's accuracy must tell what the network depends on. The number of the *last* noun, read before the verb, at its own position:

# %%
for p, name in zip(stream, names["point"], strict=True):
    read = probing.measure(at_verb[p][:N], last_number[:N], n_splits=3).interval()[0]
    without = amnesic(last_number, p, at["before the verb"], n_random=5)
    probes = f"probe {read:.2f}, after {left_over(last_number, p):.2f}"
    right_then = f"network {np.mean(without.after > 0):.2f}, random {np.mean(without.random > 0):.2f}"
    print(f"{name:9} {probes}; {right_then}")

# %% [markdown]
# Read with 0.97 or more at every point, gone for the probe afterwards, and missed at none. (No other copy can stand in: nothing follows the last noun but the verb.) It had to be so: the network is right whatever the last noun's number, so it cannot rely on it. The number rides along with the word. **A probe's accuracy cannot tell this property from the one that decides every verb.** Only the intervention can.
#
# ### Erased for whom?
#
# After the erasure no *linear* probe reads the subject's number. Really gone?

# %%
point = "blocks.1.resid_mid"
remover = probing.eraser(at_verb[point][made], number[made])
left = remover.apply(at_verb[point][others])
for name in ("linear", "mlp"):
    pair = (at_verb[point][others], left)
    before, after = (probing.measure(A, number[others], probe=name, n_splits=3) for A in pair)
    print(f"{name:7} before {before.interval()[0]:.2f}, after {after.interval()[0]:.2f}")
print(f"the network after: {np.mean(tests[point].after > 0):.2f}")

# %% [markdown]
# An MLP still reads it, all but perfectly: the classes have equal means, but not equal shapes. The rest of the network, an MLP of its own and the output layer, does not: it was trained to read something that is gone. (The linear probe's 0.55 is a remainder too: the means of *these* rows differ a little from those that made the eraser.) So "erased" always needs "for whom".
#
# And random directions? An isotropic one takes 1/64 of the room and hardly any variance. Directions drawn *like the values vary* are a harder control:

# %%
for kind in ("isotropic", "covariance"):
    found = amnesic(number, point, at["before the verb"], random=kind)
    taken = f"takes {found.random_removed.mean():.2f} of the variance (the number's: {found.removed:.2f})"
    print(f"{kind:10} {taken}; right {np.mean(found.random > 0):.2f}, p = {found.p_value:.2f}")

# %% [markdown]
# The number's direction holds half of all variance here. Random directions that hold 0.38 of it, because they lean towards the number's, do some harm too. The effect stands (p = 0.05 is the least that 19 directions allow); but had we only compared with isotropic ones, "any large change breaks it" would be an open objection.

# %% [markdown]
# ## On real data
#
# What functions of SciPy and of scikit-learn say about themselves, 814 texts, read by a network that was trained to predict the next word. Nobody planted anything. **Which package wrote the text?** One row per text: the mean over its tokens.

# %%
docs, doc_net = real.docstrings(), zoo.load("docstrings-transformer")
T = zoo.encode("docstrings-transformer", docs.X, longest=doc_net.context)
points = ["embedded", "blocks.0.resid_post", "blocks.1.resid_post"]
package = probing.sweep(doc_net, T, docs.y, positions="mean", points=points, n_splits=5, n_untrained=4)
table = package.to_frame().assign(point=["embedded", "0 post", "1 post"]).set_index("point")
print(table[["accuracy", "accuracy_low", "accuracy_high"]].round(2))
print(table[["untrained", "learnt", "learnt_low", "learnt_high"]].round(2))

# %%
counts = np.log1p(CountVectorizer(min_df=2).fit_transform(docs.X).toarray())
bag = probing.measure(counts, docs.y, probe=LogisticRegression(max_iter=1000), n_splits=5)
print(f"bag of words {{:.2f}} ({{:.2f}} to {{:.2f}}), guessing {bag.majority.mean():.2f}".format(*bag.interval()))

# %% [markdown]
# "The network knows the package: 0.82." But the average *embedding* gives 0.81 before the network has computed anything, random embeddings 0.74, and counting words 0.91, better than any layer. Packages are told by their words, and an average over words blurs them. Training did add something, but it added it to the embeddings too; between the layers we see no difference. So: readable everywhere, computed nowhere, as far as this experiment can tell.
#
# **The lawyer again, on real text.** A coin per text, read at every token of 60 texts; forty tosses. No network can know it, and a guess about a text never met is right in one half.

# %%
rng = np.random.default_rng(0)
chosen = rng.choice(len(T), 60, replace=False)
real_tokens = T[chosen] != 0
text = np.repeat(np.arange(60), real_tokens.sum(axis=1))
tosses = [rng.integers(2, size=60)[text] for _ in range(40)]
A = probing.activations(doc_net, T[chosen], "blocks.1.resid_post")
for groups, split in ((None, "by token"), (text, "by text")):
    found = [probing.measure(A, c, groups=groups, n_splits=2).accuracy.mean() for c in tosses]
    print(f"split {split:8} accuracy {{:.2f}} ({{:.2f}} to {{:.2f}})".format(*mean_interval(found)))

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
# > **Pitfall. Readable is not used.** The last noun's number was readable at every layer, and missed at none.
#
# > **Pitfall. Not missed here is not unused.** It can be fetched again elsewhere (block 1 did), or read in a way that is not linear.
#
# > **Pitfall. "Not found" needs power.** Say how strong a property would have been found, with how many sentences.
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
# - Belinkov (2022), *Probing classifiers: promises, shortcomings, and advances*, arXiv 2102.12452.
# - Linzen, Dupoux & Goldberg (2016), *Assessing the ability of LSTMs to learn syntax-sensitive dependencies*, arXiv 1611.01368.
