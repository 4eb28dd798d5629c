# %% [markdown]
# # ECOR: right for the right reason?
#
# You will make a frozen picture-and-text model answer with a category *and* a reason, as one joint probability, mark both against the truth, tune it with a handful of tokens, and find out which part of a published recipe does the work.
#
# A category has to be believed; a reason can be checked. That makes reasons worth having, and it makes it easy to be fooled by them: a machine that recites the book sounds exactly like one that looks.
#
# **Estimated time:** 140 minutes
#
# **What you need:** [chapter 8](08_saliency.ipynb) for the birds and the snow, [chapter 10](10_attention.ipynb) for tokens and transformers. The chapter is long: stop after the lab and take the rest as a second sitting.

# %%
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F
from scipy.ndimage import label
from scipy.special import softmax
from sklearn.svm import SVC
from torch import nn

from xailib import ecor, lab, plots, worlds, zoo
from xailib import exercises as ex
from xailib.evaluation import mean_interval
from xailib.experiments import ecor as experiment

# %% [markdown] tags=["digression"] jp-MarkdownHeadingCollapsed=true
# ## Foundations: two towers and a few tokens, in ten minutes
#
# **Contrastive training.** CLIP (Radford et al. 2021) has two networks, *towers*. One turns a picture into a vector of length 1, the other a text. In training they get a batch of $n$ pictures with their captions, and make a table of all $n \times n$ fits $\tau\, v_i \cdot t_j$. Row by row, each picture must pick its own caption out of $n$; column by column, each caption its picture. The loss is cross-entropy, in both directions. Nobody ever names a class: classes are sentences that you write later.

# %%
v = F.normalize(torch.tensor([[1.0, 0.0], [0.6, 0.8], [0.0, 1.0]]), dim=1)  # three pictures
t = F.normalize(torch.tensor([[0.9, 0.1], [0.5, 0.5], [-0.2, 1.0]]), dim=1)  # their captions
fits = 10 * v @ t.T
own = torch.arange(3)
print("fits, pictures down, captions across\n", fits.numpy().round(2))
print(f"loss: {(F.cross_entropy(fits, own) + F.cross_entropy(fits.T, own)) / 2:.2f}, by chance {np.log(3):.2f}")

# %% [markdown] tags=["digression"]
# The scale $\tau$ is learned, too: it says how steep the softmax is. CLIP cuts it at 100.
#
# **Fine-tuning or prompt tuning.** To adapt such a model you could train all its weights on your pictures. You would need many, and the model may forget what else it knew. *Prompt tuning* (Jia et al. 2022) leaves every weight as it is and learns a few extra **tokens** that stand beside the picture's patches. Patches attend to them, so they shift what the tower makes of every picture. *Shallow*: tokens before the first block. *Deep*: fresh ones before every block.

# %%
towers = zoo.load("birds-clip")
weights = sum(p.numel() for p in towers.parameters())
print(f"weights of both towers: {weights:,}; one token: {towers.width} numbers; blocks: {towers.n_blocks}")
print(f"8 tokens: shallow {8 * towers.width:,} numbers, deep {8 * towers.width * towers.n_blocks:,}")

# %%
ex.card("ecor.twins")

# %%
my_least_loss = ...
my_least_loss = ex.check("ecor.twins", my_least_loss)

# %% [markdown]
# ## Warm-up

# %%
ex.warmup("ecor")

# %% [markdown]
# ## The story
#
# A ranger points her phone at a bird. *Acorn finch*, says the app, *because there is a swept crest.* She could not have checked the name: that is why she asked. The reason she can check. She looks up once more. The bird has no crest.
#
# The app got the name right. It knew the book, and recited it. **Being right, and being right for the right reason, are two marks**, and we want both.
#
# The world is **birds** again, with a twist: 40 % of all parts are missing. Held-out pictures keep the two parts that tell the species. `seen` says, picture by picture, what is there.

# %%
world = worlds.birds(1500, missing_rate=0.4, random_state=7)
truth, held_out = world.truth, np.arange(world.n_train, 1500)
candidates = ecor.rationales({name: truth.looks(s) for s, name in enumerate(truth.species_names)})
birds, y = world.X[held_out], world.y[held_out]
seen = np.array([[r in own for r in candidates.rationales] for own in truth.rationales(held_out)])
book = candidates.listed[y]
print(candidates)
print(
    f"{len(birds)} held-out pictures; the book says {book.sum(1).mean():.2f} things of a bird, {seen.sum(1).mean():.2f} can be seen"
)

# %%
examples = [np.flatnonzero(y == s)[0] for s in (0, 1, 9)]
fig, axes = plt.subplots(1, 3, figsize=(7.8, 4.0))
for ax, i in zip(axes, examples, strict=True):
    ax.imshow(np.moveaxis(birds[i], 0, -1))
    ax.set(xticks=[], yticks=[])
    ax.set_title(truth.species_names[y[i]], fontsize=10)
    rows = [
        ("" if there else "not visible: ") + r
        for r, there in zip(candidates.rationales, seen[i], strict=True)
        if book[i][candidates.number(r)]
    ]
    ax.set_xlabel("\n".join(rows), fontsize=8, loc="left")
plots.show(fig, "Three birds, and below each what the book says of its species and whether it can be seen.")

# %% [markdown]
# Read each list against its picture. The books of the two finches differ in one entry, the wings. What the figure does not say: which of these things a model looks at.
#
# The task, *doubly right* (Mao et al. 2023): name the category and give reasons, from a list of candidates.
#
# ## By hand
#
# Acorn finches have a hooked beak, clover finches a pointed one. Suppose a machine says of one picture:
#
# | | hooked | pointed |
# |---|---|---|
# | $P(r \mid I)$ | 0.6 | 0.4 |
# | $P(\text{acorn} \mid r, I)$ | 0.7 | 0.2 |
# | $P(\text{clover} \mid r, I)$ | 0.3 | 0.8 |
#
# **The joint** is the product, $P(c, r \mid I) = P(r \mid I)\, P(c \mid r, I)$. So *acorn because hooked* has $0.6 \cdot 0.7 = 0.42$. Fill in the other three. Then go the other way round: $P(\text{acorn})$ is the sum of its row, $P(\text{hooked} \mid \text{acorn})$ its share of it. What is their product?

# %%
p_r = np.array([0.6, 0.4])
p_c_given_r = np.array([[0.7, 0.2], [0.3, 0.8]])  # species down, rationales across
joint = p_r * p_c_given_r
p_c = joint.sum(axis=1)
p_r_given_c = joint / p_c[:, None]
print("rationale first\n", joint.round(2))
print("P(c)", p_c.round(2), "  P(hooked | acorn)", p_r_given_c[0, 0].round(2))
print("species first\n", (p_c[:, None] * p_r_given_c).round(2))

# %% [markdown]
# The same table, of course: the **chain rule**. Both orders describe one joint. So how can it matter which comes first?
#
# Because nobody hands you a joint. You have *scores of sentences*, and every softmax makes its own probabilities. All scores of one picture, as odds ($e^{\text{score}}$):
#
# | sentence | odds |
# |---|---|
# | there is a hooked / a pointed beak | 3 / 2 |
# | an acorn / a clover finch | 3 / 2 |
# | acorn because hooked / because pointed | 7 / 1 |
# | clover because hooked / because pointed | 3 / 4 |

# %%
rationale, category, pair = np.array([3.0, 2]), np.array([3.0, 2]), np.array([[7.0, 1], [3, 4]])
tables = {
    "P(r) P(c|r)": rationale / rationale.sum() * (pair / pair.sum(axis=0)),
    "P(c) P(r|c)": (category / category.sum())[:, None] * (pair / pair.sum(axis=1, keepdims=True)),
    "one softmax": pair / pair.sum(),
}
for name, table in tables.items():
    print(f"{name}: acorn {table[0].round(3)}, clover {table[1].round(3)}")

# %% [markdown]
# Three joints from the same eight numbers. Look closer at the first and the last: *given* pointed, how probable is clover? $0.32/0.40$ and $0.267/0.333$: 0.8 both times.
#
# That is no accident. A softmax over all pairs, restricted to one column, is the softmax over that column. **Rationale-first keeps the conditional of the single softmax and takes another $P(r \mid I)$**, one that is asked in a sentence of its own.

# %%
first, single = tables["P(r) P(c|r)"], tables["one softmax"]
assert np.allclose(first / first.sum(axis=0), single / single.sum(axis=0))
names = np.array(["acorn-hooked", "acorn-pointed", "clover-hooked", "clover-pointed"])
order = np.argsort(-first.ravel())[:3]
print("the three best pairs:", dict(zip(names[order].tolist(), first.ravel()[order].round(2).tolist(), strict=True)))


# %% [markdown]
# **The vote.** Each of the best $k$ pairs has one vote. Here clover wins, 2 to 1, although the best pair says acorn and both species have $P(c \mid I) = 0.5$.
#
# **The marks.** Suppose the truth is *acorn finch, hooked*. First letter: is the *vote* right? W. Second letter: does the true rationale stand in a pair with the voted species? *Clover because hooked* is on the list, so R. This picture counts as **WR**. The four words RR, RW, WR, WW put every picture into one box.

# %% [markdown]
# ## In thirty lines
#
# $$P(c, r \mid I) = \operatorname{softmax}_r \tau\, v \cdot t_r \;\times\; \operatorname{softmax}_c \tau\, v \cdot t_{c,r}$$
#
# $v$ is the picture's vector, $t_r$ that of "There is $r$.", $t_{c,r}$ that of "This is a photo of a $c$ because there is $r$."


# %%
def my_vectors(texts):
    with torch.no_grad():
        return towers.encode_text(texts).numpy().astype(float)


def my_joint(images, tau=towers.logit_scale):
    with torch.no_grad():
        v = towers.encode_image(images).numpy().astype(float)
    t_r = my_vectors([f"There is {r}." for r in candidates.rationales])
    because = "This is a photo of a {} because there is {}."
    t_cr = my_vectors([because.format(c, r) for c in candidates.categories for r in candidates.rationales])
    t_cr = t_cr.reshape(len(candidates.categories), len(candidates.rationales), -1)
    P_r = softmax(tau * v @ t_r.T, axis=1)
    P_c_given_r = softmax(tau * np.einsum("ne,cre->ncr", v, t_cr), axis=1)
    return P_r[:, None] * P_c_given_r


# %%
def my_marks(joint, y, true, k=5):
    marks = []
    for table, species, rationales in zip(joint, y, true, strict=True):
        best = np.argsort(-table.ravel(), kind="stable")[:k]
        pairs = [divmod(int(b), table.shape[1]) for b in best]
        votes = {c: (sum(1 for d, _ in pairs if d == c), sum(table[c, r] for d, r in pairs if d == c)) for c, _ in pairs}
        voted = max(votes, key=votes.get)
        reason = any(c == voted and rationales[r] for c, r in pairs)
        marks.append(("R" if voted == species else "W") + ("R" if reason else "W"))
    return np.array(marks)


mine = my_joint(birds)
marks = my_marks(mine, y, seen)
print({mark: int((marks == mark).sum()) for mark in ("RR", "RW", "WR", "WW")}, "of", len(marks))

# %% [markdown]
# A reason counts as right here if it is *any* of the rationales that can be seen. The benchmark is stricter: its pictures were found by searching the web for one category and one rationale, and only that one counts. `truth.labelled_rationales` draws one of the visible ones for each picture, as such a search would.

# %%
filed = np.array([candidates.number(r) for r in truth.labelled_rationales(0)])
one = filed[held_out]
marks_one = my_marks(mine, y, np.eye(len(candidates.rationales), dtype=bool)[one])
print({mark: int((marks_one == mark).sum()) for mark in ("RR", "RW", "WR", "WW")}, "of", len(marks_one))

# %% [markdown]
# ## The library way
#
# No package offers ECOR, so this is `xailib.ecor`. It asks the towers for the same sentences, and must give your joint and your marks.

# %%
believed = ecor.beliefs(towers, birds, candidates)
assert np.allclose(believed.joint, mine, atol=1e-5)
assert (ecor.outcomes(believed, y, seen) == marks).all()
print("ok:", believed)
i = 11
print(believed.top_pairs(5).to_frame(i).round(2).to_string(index=False))
print("truth:", candidates.categories[y[i]], "with", ", ".join(np.array(candidates.rationales)[seen[i]]))


# %% [markdown]
# Other ways to write the joint are one argument away. **dror**: one softmax over all pairs, as Mao et al. do it. **category-first**: $P(c|I)\,P(r|c,I)$. **independence**: $P(c|I)\,P(r|I)$. **false conditioning**: the second sentence turned round, "There is {r} because this is a photo of a {c}". **with**: no "because" in it. **plain**: no rationale in it at all.
#
# Before you run it: one of these seven is another one under a second name. Which?


# %%
def report(found, species=y, one=one, seen=seen):
    pairs = found.top_pairs(5) if isinstance(found, ecor.Beliefs) else found
    own = pairs.category == ecor.vote(pairs)[:, None]
    return {
        **ecor.shares(ecor.outcomes(pairs, species, one)),
        "RR, any": ecor.shares(ecor.outcomes(pairs, species, seen))["RR"],
        "visible": np.take_along_axis(seen, pairs.rationale, axis=1).mean(),
        "own reasons": own.sum(axis=1).mean(),
    }


ways = {way: ecor.beliefs(towers, birds, candidates, factorisation=way) for way in ecor.FACTORISATIONS}
print(pd.DataFrame({way: report(found) for way, found in ways.items()}).T.round(2).to_string())

# %% [markdown]
# RR to WW judge against the one filed rationale, *RR, any* against all that can be seen; *visible* is the share of shown rationales that can be seen, *own reasons* how many of the five pairs name the voted species. *Plain* is *independence*, formula by formula.
#
# The votes are right about equally often (RR + RW). What differs is *visible*: 0.83 and more for five ways, hardly more than half for two. Which factor do the five have in common?

# %%
assert np.array_equal(ways["plain"].joint, ways["independence"].joint)
dror = ways["dror"].joint
assert np.allclose(ways["ecor"].factors["P(c|r,I)"], dror / dror.sum(axis=1, keepdims=True))
assert np.allclose(ways["category-first"].factors["P(r|c,I)"], dror / dror.sum(axis=2, keepdims=True))
print("ok: plain is independence; ECOR's conditional is dror's, and so is that of category-first")

# %% [markdown]
# They ask for the rationale *in a sentence of its own*. ECOR is DROR with another $P(r|I)$; category-first is DROR with another $P(c|I)$. Nothing else differs, in no decimal. Whatever the table says about "first the reasons, then the category", it says about the sentence "There is {r}."
#
# And leave out the conditional altogether: *independence* has nothing but the two plain sentences, and is not worse.
#
# ### Another camera, and a few tokens
#
# The towers learned from bright pictures. The ranger's phone is **dim**: 60 % of the light. `tune` learns tokens that make the labelled pair probable again, $L = -\log P(c^*, r^* \mid I)$, which is the sum of the paper's two terms. Both towers stay frozen.

# %%
dim, few = world.X * np.float32(experiment.DIM), np.arange(240)
frozen = zoo.load("birds-clip").double()  # 64 bits, so that every computer prints the same digits
before = {name: value.clone() for name, value in frozen.state_dict().items()}
how = {"n_tokens": 8, "epochs": 6, "batch_size": 50, "learning_rate": 0.2}
tuned = ecor.tune(frozen, dim[few], y=world.y[few], r=filed[few], rationales=candidates, **how)
assert all(torch.equal(value, before[name]) for name, value in frozen.state_dict().items())
print(tuned)
print(tuned.history.round(2).T.to_string())

# %%
cameras = {
    "bright": ecor.beliefs(frozen, birds, candidates),
    "dim": ecor.beliefs(frozen, dim[held_out], candidates),
    "dim, 8 tokens": ecor.beliefs(frozen, dim[held_out], candidates, prompt=tuned.prompt),
}
print(pd.DataFrame({name: report(found) for name, found in cameras.items()}).T.round(2).to_string())

# %% [markdown]
# The towers have not moved in a single bit, and 512 numbers, learned from 192 pictures, bring back a part of what the camera took. (48 more chose the epoch.) Look at where the gain is: in the votes, RR + RW. The rationales are as true as before.

# %% [markdown]
# ## Lab
#
# Eight held-out birds of the dim camera. Choose the way to write the joint, the sentence about pairs, the list of rationales, the number of tuned tokens, and how many pairs vote. The table is the joint; numbers in it are ranks; a gold frame marks a pair that is right in both.

# %%
playground = lab.ecor.joint_lab()
playground

# %%
playground.filmstrip()

# %%
print(lab.ecor.joint_lab().user_sets(way="category-first", tokens=3, k=7))  # a second copy

# %% [markdown]
# Things to try. Swap *because there is* for *despite*: does the machine understand the word? Take *independence* and change the sentence: why does nothing move? Add the strangers, landscapes and parts that no bird has, and watch where the probability goes. And go up to 15 voting pairs: which mark changes first?

# %% [markdown]
# ## Graded against the truth
#
# ### First: do the towers look?
#
# A rationale that is true of the picture may still be *recited*: the bird has a red body, red birds are finches, finches have crests. We can tell, because we can redraw. Take every bird that shows a part, draw it again without, and watch $P(r|I)$ of that part's rationale. As a control, the rationales of all other visible parts, which should not mind.

# %%
noun = np.array([r.split()[-1] for r in candidates.rationales])
PARTS = {"wing": "wings", "tail": "tail", "beak": "beak", "crest": "crest", "legs": "legs"}


def reaction(part, prompt=None, n=120):
    own = (seen & (noun == PARTS[part]))[:n]
    has = own.any(axis=1)
    own, other = own[has], seen[:n][has] & ~own[has]
    pictures = birds[:n][has], truth.without(held_out[:n][has], part)
    before, after = (ecor.beliefs(towers, x, candidates, prompt=prompt).rationale for x in pictures)
    mean = lambda P, which: (P * which).sum(axis=1) / which.sum(axis=1)
    return mean(before, own), mean(before - after, own), mean(before - after, other)


# %%
reactions = {part: reaction(part) for part in PARTS}
for part, (before, fall, control) in reactions.items():
    print("{:6} P {:.2f}, falls by {:.3f} ({:.3f} to {:.3f});".format(part, before.mean(), *mean_interval(fall)), end="  ")
    print("the others by {:.3f} ({:.3f} to {:.3f})".format(*np.round(mean_interval(control), 3) + 0.0))

# %%
fig, ax = plt.subplots(figsize=(6.4, 3.0))
for place, (before, fall, control) in enumerate(reactions.values()):
    for shift, values, colour, marker in ((-0.12, fall, plots.ANCHOR, "o"), (0.12, control, plots.CONTEXT, "s")):
        mean, low, high = mean_interval(values)
        ax.plot([low, high], [place + shift] * 2, color=colour, lw=2)
        ax.plot(
            mean, place + shift, marker, color=colour, label=None if place else ("its own rationale", "the others")[marker == "s"]
        )
    ax.plot(before.mean(), place - 0.12, "|", color=plots.TRUTH, ms=14, mew=2.5, label=None if place else "P before")
ax.axvline(0, color="black", lw=0.8)
ax.set(yticks=range(len(PARTS)), yticklabels=PARTS, ylim=(4.6, -0.6), xlabel="fall of P(r|I) when the part is redrawn away")
ax.set_title("Which parts do the towers look at?")
ax.legend(fontsize=8)
plots.show(fig, "Fall of P(r|I) when a part is removed, with 95 % intervals, against the control and P before, for five parts.")

# %% [markdown]
# Dark: the part's own rationale; grey: all other visible ones; gold: its probability at first. Where dark nears gold, the belief hangs on the part: wings and legs are looked at, beaks and tails partly.
#
# The crest is not. *A swept crest* stays as probable when the crest is gone, to three decimals: the towers know from captions which birds have one, and **recite**. Under a bird with a crest it counts as a right reason all the same. Whether a larger model looks, the figure does not say.

# %% [markdown]
# ### Five seeds, stored
#
# `python -m xailib.experiments.ecor` tunes tokens for every way to write the joint, on 600 pictures of the dim camera: five seeds, 400 held-out pictures each, the same towers. *RR_any* and *truthful* are our *RR, any* and *visible*.

# %%
table = experiment.table()
main = table[table.condition == "main"]
columns = ["RR", "RW", "WR", "WW", "RR_any", "truthful", "own_reasons"]
print(main.groupby(["tuning", "factorisation"])[columns].mean().loc[["none", "shallow", "deep"]].round(3).to_string())


# %% [markdown]
# The paper's claim: ECOR is above every ablation in RR. Tested in pairs, seed by seed, ECOR minus the other, each with its own tuned tokens:


# %%
def minus(rows, other, way="ecor", measure="RR"):
    wide = rows.pivot(index="seed", columns="factorisation", values=measure)
    return mean_interval(wide[way] - wide[other])


others = ["dror", "category-first", "independence", "false conditioning", "with"]
differences = {(t, o): minus(main[main.tuning == t], o) for t in ("none", "shallow", "deep") for o in others}
for (tuning, other), (mean, low, high) in differences.items():
    print(f"{tuning:8} ECOR minus {other:18} {mean:+.3f} ({low:+.3f} to {high:+.3f})")

# %%
fig, axes = plt.subplots(1, 3, figsize=(9.6, 3.4), sharey=True, sharex=True)
look = {1: (plots.POSITIVE, ">"), -1: (plots.NEGATIVE, "<"), 0: (plots.CONTEXT, "o")}
for ax, tuning in zip(axes, ("none", "shallow", "deep"), strict=True):
    for place, other in enumerate(others):
        mean, low, high = differences[tuning, other]
        colour, marker = look[(low > 0) - (high < 0)]
        ax.plot([low, high], [place, place], color=colour, lw=2)
        ax.plot(mean, place, marker, color=colour, ms=7)
        ax.annotate(f"{mean:+.3f}", (mean, place), (0, 6), textcoords="offset points", ha="center", fontsize=8)
    ax.axvline(0, color="black", lw=0.8)
    ax.set_title({"none": "not tuned", "shallow": "shallow tokens", "deep": "deep tokens"}[tuning], fontsize=10)
    ax.set_xlabel("RR of ECOR minus the other")
axes[0].set(yticks=range(len(others)), yticklabels=others, ylim=(len(others) - 0.5, -0.7))
plots.show(fig, "RR of ECOR minus RR of five other ways, not tuned, with shallow and with deep tokens, 95 % intervals.")


# %% [markdown]
# Means and 95 % intervals. Red, pointing right: ECOR is better; blue, pointing left: worse; grey: undecided. Not in the figure: the accuracy of the votes.
#
# **Two of five.** ECOR beats the two ways without a sentence for the rationale, tuned or not. Turning "because" round, or leaving it out, changes nothing that five seeds can see. And to independence, which conditions on nothing, it *loses* each time. So the sentence "There is {r}." does the work. What, then, does RR reward?

# %% [markdown]
# ### A machine that never looks
#
# Let a machine vote with "This is a photo of a {c}." and then *recite*: five rationales of the species it named, by lot. It asks the picture for no reason. Your guess: above or below ECOR's RR?


# %%
def five_of(species, scores):
    """The same species in all five pairs, with its five best-scored rationales."""
    rationales = np.argsort(-scores, axis=1)[:, :5]
    return ecor.TopPairs(np.repeat(species[:, None], 5, axis=1), rationales, np.full(rationales.shape, 0.2), candidates)


named = ways["independence"].category.argmax(axis=1)
by_lot = np.random.default_rng(0).random(seen.shape) * candidates.listed[named]
found = {"recite": five_of(named, by_lot), "ecor": ways["ecor"], "independence": ways["independence"]}
for way in ("ecor", "independence"):
    voted = ways[way].vote()
    found[f"{way}, voted species only"] = five_of(voted, ways[way].joint[np.arange(len(y)), voted])
print(pd.DataFrame({name: report(pairs) for name, pairs in found.items()}).T.round(2).to_string())

# %% [markdown]
# Far above. The reciter's reasons are less often true, but all five belong to *one* species, and often one of them is the filed one. ECOR spends two of five pairs on other species.
#
# The last two rows test that: the same joint, the same vote, but all five pairs from the voted species. ECOR gains 13 points, and independence has lost its lead. **RR grows with three things: how often the vote is right, how many reasons of the voted species the list keeps, how often they are true.** Where the truth is one entry of a list, whoever knows the list wins. Stored, on the dim camera:

# %%
controls = table[table.condition == "controls"].pivot_table(["RR", "RR_any", "accuracy", "truthful"], "factorisation")
print(controls.round(3).to_string())
recite = table[(table.condition == "controls") & (table.factorisation == "recite")].set_index("seed").RR
for tuning in ("none", "shallow", "deep"):
    gap = recite - main[(main.tuning == tuning) & (main.factorisation == "ecor")].set_index("seed").RR
    print("untuned reciter minus ECOR, {:7} {:+.3f} ({:+.3f} to {:+.3f})".format(tuning, *mean_interval(gap)))

# %% [markdown]
# ### What tuning buys

# %%
for way in ("ecor", "dror", "independence"):
    own = main[main.factorisation == way]
    for tuning in ("shallow", "deep"):
        wide = {m: own.pivot(index="seed", columns="tuning", values=m) for m in ("RR", "accuracy", "truthful")}
        gains = {m: "{:+.3f} ({:+.3f} to {:+.3f})".format(*mean_interval(w[tuning] - w["none"])) for m, w in wide.items()}
        print(f"{way:12} {tuning:7}", "; ".join(f"{m} {gain}" for m, gain in gains.items()))

# %% [markdown]
# Eight tokens bring back seven to eleven points of accuracy, whatever the way. The rationales gain less, except for DROR, which had most to gain. Deep tokens, with three times the numbers, are no better than shallow ones.
#
# ### Does the gain grow with the task?
#
# The paper reports its largest gains on the largest data sets. Here: more species, and more candidates that nobody has (landscapes, parts that no bird wears).

# %%
grows = table[table.condition.isin(["main", "categories", "rationales"]) & table.factorisation.isin(["ecor", "dror"])]
for (tuning, n, r), rows in grows[grows.tuning != "deep"].groupby(["tuning", "n_categories", "n_rationales"]):
    gain = "{:+.3f} ({:+.3f} to {:+.3f})".format(*minus(rows, "dror"))
    print(
        f"{tuning:7} {n:2} species, {r} rationales: RR of ECOR {rows.RR[rows.factorisation == 'ecor'].mean():.3f}, minus DROR {gain}"
    )

# %% [markdown]
# It does: ECOR gains nothing at 4 species and 0.04 to 0.08 at 16 and more, tuned or not. Species come with their rationales here, so which of the two matters is open; ten strangers on the list add nothing to the gain.
#
# ### Species without tuning pictures, names without meaning
#
# Tokens tuned on 15 species, judged on the other five (among all 20 names). And all twenty under names that the text tower has never read, of which it knows the family alone.

# %%
transfer = table[table.condition.isin(["withheld", "unseen names"]) & table.factorisation.isin(["ecor", "dror", "independence"])]
print(
    transfer.groupby(["condition", "factorisation", "tuning"])[["RR", "RR_any", "accuracy", "truthful"]]
    .mean()
    .round(3)
    .to_string()
)
withheld = transfer[transfer.condition == "withheld"]
print(
    "withheld, shallow: ECOR minus DROR {:+.3f} ({:+.3f} to {:+.3f})".format(
        *minus(withheld[withheld.tuning == "shallow"], "dror")
    )
)
gain = withheld[withheld.factorisation == "ecor"].pivot(index="seed", columns="tuning", values="RR")
print("withheld, ECOR: shallow minus none {:+.3f} ({:+.3f} to {:+.3f})".format(*mean_interval(gain.shallow - gain.none)))

# %% [markdown]
# On withheld species tuning gains nothing certain: tokens fit the species they saw. The lead over DROR stays. **Unseen names are the failure case**: accuracy around 0.2, where naming the family and guessing gives 0.25. The rationales stay as true as they were, for words like *hooked* had been read before.
#
# ### How many tokens, where, and which words

# %%
ours = table[table.factorisation == "ecor"]
counts = ours[ours.condition == "tokens"].pivot_table("RR", ["variant", "seed"], "n_tokens")
print("RR by number of tokens\n", counts.groupby("variant").mean().round(3).to_string())
for variant in ("60 pictures", "600 pictures"):
    more = mean_interval(counts.loc[variant][64] - counts.loc[variant][16])
    print("64 tokens minus 16, {}: {:+.3f} ({:+.3f} to {:+.3f})".format(variant, *more))

# %%
untuned = main[(main.tuning == "none") & (main.factorisation == "ecor")].set_index("seed").RR
for place, rows in ours[ours.condition.isin(["placement", "loss"])].groupby("variant"):
    print("{:12} minus not tuned {:+.3f} ({:+.3f} to {:+.3f})".format(place, *mean_interval(rows.set_index("seed").RR - untuned)))
hidden = table[(table.condition == "ambiguous") & (table.tuning == "shallow")]
for other in ("dror", "independence"):
    print("ambiguous birds, shallow: ECOR minus {:12} {:+.3f} ({:+.3f} to {:+.3f})".format(other, *minus(hidden, other)))
print(table[table.condition == "templates"].pivot_table("RR", ["tuning", "variant"], "factorisation").round(3).T.to_string())

# %% [markdown]
# Sixteen tokens beat one; 64 change nothing certain, with 60 pictures or with 600: no overfitting was found, up to 4,096 numbers. (Do not compare with *judged on them*: training pictures lack pivots and are harder.) Tokens work **before the first block** only. The batch's own loss works, too. Where pivots are hidden (*ambiguous*), and with other words in the same order, ECOR stays above DROR.
#
# A small part again, live: the stored shallow tokens of the first seed, on the birds of this chapter, which no stored number has seen.

# %%
shallow = {0: experiment.explorer()["shallow"][0]}
live = {
    name: report(ecor.beliefs(towers, dim[held_out], candidates, prompt=p)) for name, p in (("none", None), ("shallow", shallow))
}
live["shallow, dror's joint"] = report(ecor.beliefs(towers, dim[held_out], candidates, factorisation="dror", prompt=shallow))
print(pd.DataFrame(live).T.round(2).to_string())

# %% [markdown]
# The gain is there again. And tokens that were tuned for ECOR's joint help DROR's joint as well; what they cannot give it is visible reasons. Training and scoring are two things.

# %% [markdown]
# ## Break it
#
# ### Two lines of counting code
#
# The benchmark's script has two habits. Its loop over the five pairs stops at the first pair that is right in both, with a `break`: votes behind it are never counted. And it compares names with `in`, not with `==`. Criterion: a metric is broken if it rises while the model stays the same.
#
# First by hand: three pairs, the first one right, two others against it. Then a machine that says *porcupine because there is two wings* for every cup with wings.

# %%
mugs = ecor.rationales({"cup": ["wings", "a handle"], "porcupine": ["two wings", "spines"]})
joint = np.zeros((2, 2, 4))
joint[0, 0, 0], joint[0, 1, 1], joint[0, 1, 2] = 0.5, 0.3, 0.2
joint[1, 1, 2], joint[1, 1, 3] = 0.7, 0.3
believes = ecor.Beliefs(joint, {"P(c,r|I)": joint}, mugs, "dror")
for counting, matching in (("all", "exact"), ("first hit", "exact"), ("all", "substring")):
    words = ecor.outcomes(believes, [0, 0], [0, 0], k=2, counting=counting, matching=matching)
    words[0] = ecor.outcomes(believes, [0, 0], [0, 0], k=3, counting=counting, matching=matching)[0]
    print(f"votes: {counting:9} names: {matching:9}", words)

# %% [markdown]
# Then on the birds. Their names do not hide in each other, so only the `break` can act here. One surprise is left: can it also *lower* RR?

# %%
for way, k in (("ecor", 5), ("ecor", 15), ("dror", 5), ("dror", 15)):
    honest, hasty = (ecor.outcomes(ways[way], y, one, k=k, counting=c) == "RR" for c in ("all", "first hit"))
    gained, lost = np.sum(hasty & ~honest), np.sum(honest & ~hasty)
    print(
        f"{way:5} {k:2} pairs: RR {honest.mean():.2f}, with the break {hasty.mean():.2f}; {gained} pictures gained, {lost} lost"
    )

# %% [markdown]
# It can: votes for the *true* species behind the hit are lost, too. On balance it inflates, by up to three points here. Where names hide in names (*man*, *woman*; *wings*, *two wings*), the other line adds to it, and never takes away.
#
# **Detection:** recount with the rule in the paper. If the number changes, the code has another rule.
#
# ### Right for the wrong reason, with the right reason on paper
#
# The snow of chapter 8: winter species stand in it, their look-alikes do not. What is new: the model must give reasons, and "snow" may be one. Does RW catch it?
#
# 400 such pictures, by the dim camera, each filed under a part of the bird. We fine-tune *all weights* of the image tower with the loss of `tune`.

# %%
snowy = worlds.birds(1500, shortcut="snow", missing_rate=0.4, random_state=11)
with_snow = ecor.rationales({c: candidates.of(c) for c in candidates.categories}, extra=["snow"])
by_part = np.array([with_snow.number(r) for r in snowy.truth.labelled_rationales(0)])


def fine_tune(filed_under, n=400, epochs=5):
    model = zoo.load("birds-clip").double()
    with torch.no_grad():
        t_r, t_cr = (model.encode_text(texts.ravel()) for texts in ecor.prompts(with_snow).values())
    t_cr = t_cr.reshape(20, len(t_r), -1)
    x = torch.from_numpy(snowy.X[:n] * np.float32(experiment.DIM))
    c, r = torch.as_tensor(snowy.y[:n]), torch.as_tensor(filed_under[:n])
    optimiser = torch.optim.AdamW(model.image.parameters(), lr=2e-3)
    for epoch in range(epochs):
        for batch in torch.as_tensor(np.random.default_rng(epoch).permutation(n)).split(50):
            v = model.logit_scale * model.encode_image(x[batch])
            of_pairs = torch.einsum("ne,cne->nc", v, t_cr[:, r[batch]])
            loss = F.cross_entropy(v @ t_r.T, r[batch]) + F.cross_entropy(of_pairs, c[batch])
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
    return model


# %%
fine_tuned = fine_tune(by_part)

# %% [markdown]
# Judged on the birds of this chapter, with snow behind the winter species as it was taught, and with snow behind the others. For comparison the towers as they were.

# %%
seen_snow = np.column_stack([seen, np.zeros(len(seen), dtype=bool)])  # snow is no reason: it is not the bird's
leaky = {s: worlds.birds(1500, shortcut="snow", shortcut_strength=s, missing_rate=0.4, random_state=7) for s in (0.99, 0.01)}


def asked(model, pictures):
    return ecor.beliefs(model, pictures * np.float32(experiment.DIM), with_snow)


found = {}
for name, model in (("as they were", frozen), ("fine-tuned", fine_tuned)):
    for where, other in zip(("as taught", "reversed"), leaky.values(), strict=True):
        found[name, where] = asked(model, other.X[held_out])
        mark = ecor.shares(ecor.outcomes(found[name, where], y, seen_snow))
        visible = report(found[name, where], seen=seen_snow)["visible"]
        print(
            f"{name:12} snow {where:9}  right {mark.RR + mark.RW:.2f} = RR {mark.RR:.2f} + RW {mark.RW:.2f}; visible {visible:.2f}"
        )

# %% [markdown]
# With the snow as taught the fine-tuned tower is right more often, and **RW is 0.00: every right answer comes with a reason that can be seen.** With the snow reversed it loses eleven points. Nothing on paper says which answers hang on the snow.
#
# Criterion for a detector: it must work on single answers. Take winter birds that are RR in the snow, and carry them to a meadow. As a control carry them from a beach to the meadow.

# %%
winter = truth.leaked[y]
on_meadow, on_beach = (leaky[0.99].truth.with_background(held_out, place) for place in ("meadow", "beach"))
for name, model in (("as they were", frozen), ("fine-tuned", fine_tuned)):
    doubly_right = winter & (ecor.outcomes(found[name, "as taught"], y, seen_snow) == "RR")
    meadow, beach = (asked(model, pictures).vote() for pictures in (on_meadow, on_beach))
    changed = [np.sum((votes != meadow)[doubly_right]) for votes in (found[name, "as taught"].vote(), beach)]
    print(f"{name:12} {doubly_right.sum()} winter birds are RR in the snow; another name on a meadow: {changed[0]};", end=" ")
    print(f"another name on beach and meadow: {changed[1]}")

# %% [markdown]
# Same bird, same parts, same reasons on paper: more than half of the doubly right answers hang on the snow. One edit of the picture shows it.
#
# When *does* RW catch it? The stored run has five seeds and two more variants: half of the snowy pictures filed under "snow", as a picture search would file them, and eight tokens instead of a fine-tuned tower. The mark by five pairs, and by the best pair alone:

# %%
snow = table[table.condition == "snow"].pivot(index="seed", columns=["factorisation", "variant"])
leak, back = "with the leak", "leak reversed"
rows = {f"tokens, {way}": [(way, "leaky, {}")] for way in ("ecor", "dror")}
rows |= {f"tower, {f}": [("ecor", f"{f}, {{}}, k={k}") for k in (5, 1)] for f in ("parts filed", "snow filed")}
for name, variants in rows.items():
    way, variant = variants[0]
    lost = mean_interval(snow.accuracy[way, variant.format(leak)] - snow.accuracy[way, variant.format(back)])
    marks = [f"{snow.RW_any[way, variant.format(leak)].mean():.3f}" for way, variant in variants]
    print("{:18} right, as taught minus reversed {:+.3f} ({:+.3f} to {:+.3f});".format(name, *lost), end=" ")
    print("RW by five pairs (and the best pair):", ", ".join(marks))

# %% [markdown]
# ECOR's tokens show no shortcut, DROR's a small one; the towers a large one. **RW by five pairs stays near zero, even where "snow" was filed**: among five there is nearly always one true reason. Held to its best pair, and allowed to say "snow", the tower says it: RW 0.39. So RW exposes a wrong reason only if the model may name it, and no four others beside it.

# %% [markdown]
# ## On real data
#
# Handwritten digits from scikit-learn, drawn by people. Rationales are easy to write down, as the benchmark does it: one list a category, from general knowledge. And any two towers will do: here an image tower of two layers and a text tower that adds up word vectors.

# %%
DIGITS = {
    "zero": ["a closed loop", "a round outline"],
    "one": ["a single upright stroke"],
    "two": ["a flat base", "an open bow"],
    "three": ["two open bows", "an open bow"],
    "four": ["a crossing of strokes", "a closed loop"],
    "five": ["a flat top", "an open bow"],
    "six": ["a closed loop", "a long upper stroke"],
    "seven": ["a flat top", "a slanted stroke"],
    "eight": ["two closed loops", "a narrow waist"],
    "nine": ["a closed loop", "a long lower stroke"],
}
digit_lists = ecor.rationales(DIGITS)
digits, digit_names, n_train = zoo.digits()
print(digit_lists)


# %%
class DigitTowers(nn.Module):
    logit_scale = 20.0

    def __init__(self, words):
        super().__init__()
        self.words = {word: k for k, word in enumerate(words)}
        self.image = nn.Sequential(nn.Flatten(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 32))
        self.text = nn.EmbeddingBag(len(words), 32)

    def encode_image(self, images, prompt_tokens=None):
        return F.normalize(self.image(torch.as_tensor(images, dtype=torch.float64)), dim=1)

    def encode_text(self, texts):
        bags = [torch.tensor([[self.words[w] for w in t.strip(".").split()]]) for t in texts]
        return F.normalize(torch.cat([self.text(bag) for bag in bags]), dim=1)


# %% [markdown]
# Train them contrastively. A caption names the digit, or one rationale *from the digit's list*, or both. Nobody has looked whether this picture has it.

# %%
sentences = ecor.prompts(digit_lists, factorisation="ecor") | ecor.prompts(digit_lists, factorisation="plain")
words = sorted({w for texts in sentences.values() for t in texts.flat for w in t.strip(".").split()})
torch.manual_seed(0)
digit_towers, rng = DigitTowers(words).double(), np.random.default_rng(0)
optimiser = torch.optim.Adam(digit_towers.parameters(), lr=3e-3)
for step in range(300):
    batch = rng.integers(n_train, size=64)
    d = digit_names[batch]
    r = np.array([rng.choice(np.flatnonzero(digit_lists.listed[k])) for k in d])
    texts = (sentences["pair"][d, r], sentences["rationale"][r], sentences["category"][d])[step % 3]
    distinct, own = np.unique(texts.astype(str), return_inverse=True)
    fits = 20 * digit_towers.encode_image(digits[batch]) @ digit_towers.encode_text(distinct).T
    loss = F.cross_entropy(fits, torch.as_tensor(own))
    optimiser.zero_grad()
    loss.backward()
    optimiser.step()

# %%
new_digits, new_names = digits[n_train:], digit_names[n_train:]
read = ecor.beliefs(digit_towers, new_digits, digit_lists)
by_the_list = ecor.outcomes(read, new_names, digit_lists.listed[new_names])
print(ecor.shares(by_the_list).round(2).to_dict())


# %% [markdown]
# Nearly every digit is doubly right, judged by the lists. Would you publish it? The list is a truth about *categories*. Whether this very four has a closed loop is a question about its ink, and we can count: background that ink cuts off from the border.


# %%
def has_loop(picture):
    _, n_regions = label(np.pad(picture[0], 1) <= 0.3)
    return n_regions > 1


loops = np.array([has_loop(picture) for picture in digits])
P_loop = read.rationale[:, digit_lists.number("a closed loop")]
for d in (4, 6, 9):
    of_d = new_names == d
    means = [P_loop[of_d & (loops[n_train:] == k)].mean() for k in (True, False)]
    print(f"{d}: {np.sum(loops[n_train:] & of_d)} of {of_d.sum()} have a loop;", end=" ")
    print(f"P(a closed loop) is {means[0]:.2f} with one, {means[1]:.2f} without")


# %% [markdown]
# The probability goes with the digit and not with the loop. To be sure that this is no lack of power, let a support vector machine look for loops in the same pixels, trained on the other fours, sixes and nines. For each: the chance that a digit with a loop scores above one *of the same digit* without, and a bootstrap interval.


# %%
def among_equals(score, rng=None):
    wins = []
    for d in (4, 6, 9):
        groups = [score[(new_names == d) & (loops[n_train:] == k)] for k in (True, False)]
        with_loop, without = groups if rng is None else [rng.choice(g, len(g)) for g in groups]
        wins.append((with_loop[:, None] > without).ravel())
    return np.concatenate(wins).mean()


train_on = np.isin(digit_names[:n_train], (4, 6, 9))
looker = SVC().fit(digits[:n_train][train_on].reshape(-1, 64), loops[:n_train][train_on])
for name, score in (("SVM", looker.decision_function(new_digits.reshape(-1, 64))), ("towers", P_loop)):
    again = [among_equals(score, np.random.default_rng(k)) for k in range(500)]
    print(f"{name:7} {among_equals(score):.2f} ({np.quantile(again, 0.025):.2f} to {np.quantile(again, 0.975):.2f})")

# %% [markdown]
# The loops are in the pixels: a classifier that was told which fours have one finds them in others. Our towers do not, although 98 % of their answers are doubly right by the lists. They know the digit and recite. What may be concluded: what these towers do with these lists. Not: that CLIP does the same; it has read captions of people who looked. But lists written once per category, like the benchmark's, cannot tell.
#
# **Bring your own.** Any module with `encode_image`, `encode_text` and `logit_scale`, your pictures, your lists. The default asks the digit towers about one digit. With a network, `python -m xailib.openclip` does it with CLIP ViT-B/32 and CIFAR-10, on the lists in `ecor.CIFAR10`, or on the benchmark's file where you have it.

# %%
picture = np.flatnonzero((new_names == 4) & ~loops[n_train:])[0]
my_towers, my_pictures = digit_towers, new_digits[[picture]]
my_lists = {"six": DIGITS["six"], "nine": DIGITS["nine"], "four": DIGITS["four"]}

my_candidates = ecor.rationales(my_lists)
mine = ecor.beliefs(my_towers, my_pictures, my_candidates)
print("it is a", tuple(DIGITS)[new_names[picture]], "with a loop" if loops[n_train + picture] else "without a loop")
print(mine.top_pairs(3).to_frame().round(2).to_string(index=False))

# %% [markdown]
# ## Strengths, limits, when not to use it
#
# **Strengths.** Reasons are sentences that a person can check. Category and reason come from one distribution, so they can be ranked, voted on and marked together. The towers stay untouched, and what is learned fits into a kilobyte or two. New categories need sentences, not pictures.
#
# > **Pitfall. An order is not a cause.** $P(r|I)\,P(c|r,I)$ and $P(c|I)\,P(r|c,I)$ can write down the same joint. What a comparison of them shows is what other sentences and other normalisations do. "Because" is a word in a prompt.
#
# > **Pitfall. RR does not say that the reason was looked at.** It says that a true sentence was on the list. Redraw, or count the ink.
#
# > **Pitfall. A list per category rewards recitation.** If the truth is a list, a machine that knows the lists has a perfect score.
#
# > **Pitfall. Five votes are not five reasons.** The same rationale with five species, or five rationales of one species: look at the pairs, not only at the vote.
#
# > **Pitfall. Read the counting code.** One `break` and one `in` can be worth more than a method.
#
# **Leave it** when no list of candidate reasons exists, when names are new to the text tower, and when a wrong reason that sounds right does more harm than none.

# %% [markdown]
# ## Exercises

# %%
ex.card("ecor.joint")


# %%
def joint(rationale_scores, pair_scores):
    # your code
    ...


joint = ex.check("ecor.joint", joint)

# %%
ex.card("ecor.vote")


# %%
def vote(categories, probabilities, n_categories):
    # your code
    ...


vote = ex.check("ecor.vote", vote)

# %%
ex.card("ecor.outcomes")


# %%
def outcomes(categories, rationales, voted, y, r):
    # your code
    ...


outcomes = ex.check("ecor.outcomes", outcomes)

# %%
ex.card("ecor.recite")

# %%
my_guess = ...  # first
my_share = ...  # then measure, with seen and candidates.listed[y]
my_share = ex.check("ecor.recite", my_share, prediction=my_guess)

# %%
ex.card("ecor.report")

# %%
claims_that_hold = ...  # such as "ac"
claims_that_hold = ex.check("ecor.report", claims_that_hold)

# %%
ex.card("ecor.beam")


# %%
def beam_needed(p_rationale, p_category, k):
    # your code
    ...


beam_needed = ex.check("ecor.beam", beam_needed)

# %%
ex.progress("ecor")

# %% [markdown]
# ## Quiz

# %%
ex.quiz("ecor")

# %% [markdown]
# ## Take-away
#
# 1. A category and a reason from one distribution: $P(c, r|I) = P(r|I)\,P(c|r, I)$, the best pairs vote, and four words mark both: RR, RW, WR, WW.
# 2. The order is not the point. By the chain rule either order writes down any joint. ECOR is DROR's big softmax with another $P(r|I)$: what helps is to ask for the rationale in a sentence of its own.
# 3. Over five seeds ECOR beat the ways without that sentence, "because" did nothing, and plain independence won, by keeping more reasons of one species on its list. A machine that recites won over all.
# 4. A true reason may be recited. Draw the part away, or count the ink: here wings and legs were looked at, crests were not.
# 5. RW catches a shortcut only if the model may name it and is held to one pair. Doubly right answers fell when the snow was taken away. And read the counting code.

# %% [markdown]
# ## Further reading
#
# - Rasekh et al. (2024), *ECOR: Explainable CLIP for object recognition*, arXiv 2404.12839. The joint, the two prompts, six data sets.
# - Mao et al. (2023), *Doubly right object recognition: a why prompt for visual rationales*, CVPR, arXiv 2212.06202. The task, the lists, the marks.
# - Rasekh et al. (2025), *Multi-rationale explainable object recognition via contrastive conditional inference*, arXiv 2508.14280. The authors of ECOR on what conditioning by a prompt does not do, and on several rationales a picture.
# - Radford et al. (2021), *Learning transferable visual models from natural language supervision*, arXiv 2103.00020. CLIP.
# - Jia et al. (2022), *Visual prompt tuning*, arXiv 2203.12119. Shallow and deep.
# - An et al. (2024), *PerceptionCLIP: visual classification by inferring and conditioning on contexts*, arXiv 2308.01313. Two steps without any training.
