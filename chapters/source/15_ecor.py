# %% [markdown]
# # ECOR: right for the right reason?
#
# You will make a frozen picture-and-text model answer with a category *and* a reason, as one joint probability, mark both against the truth, tune it with a handful of tokens, and find out which part of a published recipe does the work.
#
# A category has to be believed; a reason can be checked. That makes reasons worth having, and it makes it easy to be fooled by them: a machine that recites the book sounds exactly like one that looks.
#
# **Estimated time:** 155 minutes
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
from xailib.zoo import _captions

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
loss = (F.cross_entropy(fits, own) + F.cross_entropy(fits.T, own)) / 2
print(f"loss: {loss:.2f}, by chance {np.log(3):.2f}")

# %% [markdown] tags=["digression"]
# **What our two towers have read.** Pictures of birds, four captions each, careless as captions are. Here are some, each with its bird, and the rates at which they say or miss a thing.

# %% tags=["digression"]
album = worlds.birds(40, missing_rate=0.4, random_state=7).truth
written = _captions.captions(album, np.random.default_rng(7))
for species, text in zip(album.scenes["species"][:6], written[:6], strict=True):
    print(f"{album.species_names[species]:13} | {text}")
rates = {"name": "NAMED", "visible part": "SEEN_PART", "part of the book": "BOOK_PART"}
rates |= {"landscape": "PLACE", "chatter": "CHATTER"}
rates |= {"a sibling's name": "WRONG_NAME", "another picture's caption": "WRONG_PICTURE"}
print({name: getattr(_captions, rate) for name, rate in rates.items()})

# %% [markdown] tags=["digression"]
# Remember two things. A part is mentioned five times as often when it can be seen, so there is something to learn by looking. And the words *between* ("with", "because there is", "so this is") were drawn by lot: they tell nothing about the bird.
#
# The scale $\tau$ is learned, too: it says how steep the softmax is. CLIP cuts it at 100.
#
# **Fine-tuning or prompt tuning.** To adapt such a model you could train all its weights on your pictures. You would need many, and the model may forget what else it knew. *Prompt tuning* (Jia et al. 2022) leaves every weight as it is and learns a few extra **tokens** that stand beside the picture's patches. Patches attend to them, so they shift what the tower makes of every picture. *Shallow*: tokens before the first block. *Deep*: fresh ones before every block.

# %%
towers = zoo.load("birds-clip")
weights = sum(p.numel() for p in towers.parameters())
print(f"weights: {weights:,}; one token: {towers.width} numbers; blocks: {towers.n_blocks}")
print(f"8 tokens: shallow {8 * towers.width:,} numbers, deep {8 * towers.width * towers.n_blocks:,}")

# %%
ex.card("ecor.twins")

# %%
my_guess = ...  # first, by feeling
my_least_loss = ...  # then by thinking
my_least_loss = ex.check("ecor.twins", my_least_loss, prediction=my_guess)

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
# The world is **birds** again, with a twist: 40 % of all parts are missing. Held-out pictures keep the two parts that tell a species from its siblings, its *pivots*. `seen` says, picture by picture, what is there.

# %%
world = worlds.birds(1500, missing_rate=0.4, random_state=7)
truth, held_out = world.truth, np.arange(world.n_train, 1500)
candidates = ecor.rationales({name: truth.looks(s) for s, name in enumerate(truth.species_names)})
birds, y = world.X[held_out], world.y[held_out]
seen = np.array([[r in own for r in candidates.rationales] for own in truth.rationales(held_out)])
book = candidates.listed[y]
print(candidates)
print(f"{len(birds)} held-out pictures; the book says {book.sum(1).mean():.2f} things of a bird,", end=" ")
print(f"{seen.sum(1).mean():.2f} of them can be seen")

# %%
examples = [np.flatnonzero(y == s)[0] for s in (0, 1, 9)]
fig, axes = plt.subplots(1, 3, figsize=(7.8, 4.4))
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
print("the three best pairs:", names[order], first.ravel()[order].round(2))


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
        votes = {c: [table[pair] for pair in pairs if pair[0] == c] for c, _ in pairs}
        voted = max(votes, key=lambda c: (len(votes[c]), sum(votes[c])))  # a tie: the larger sum
        reason = any(c == voted and rationales[r] for c, r in pairs)
        marks.append(("R" if voted == species else "W") + ("R" if reason else "W"))
    return np.array(marks)


mine = my_joint(birds)
marks = my_marks(mine, y, seen)
print({mark: int((marks == mark).sum()) for mark in ("RR", "RW", "WR", "WW")}, "of", len(marks))

# %% [markdown]
# A reason counts as right here if it is *any* of the rationales that can be seen. The benchmark is stricter: its pictures were found by searching the web for one category and one rationale, and only that one counts: the picture is *filed* under it. `truth.labelled_rationales` draws one of the visible ones for each picture, as such a search would.

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
# Eight held-out birds of the dim camera. Choose the way to write the joint, the sentence about pairs, the list of rationales, the number of tuned tokens, and how many pairs vote. The table is the joint; the darker, the more probable; numbers are ranks; a gold frame marks a pair that is right in both.

# %%
playground = lab.ecor.joint_lab()
playground

# %%
playground.filmstrip()

# %%
print(lab.ecor.joint_lab().user_sets(way="category-first", tokens="4", k=7))  # a second copy

# %% [markdown]
# Things to try. Swap *because there is* for *despite*, which no caption has: could *any* answer show that the machine understands the word? Take *independence* and change the sentence: why does nothing move? Add the strangers, and watch where the probability goes. Let 15 pairs vote: which mark changes first?

# %% [markdown]
# ## Graded against the truth
#
# ### First: do the towers look?
#
# A true rationale may still be *recited*: red birds are finches, finches have crests. We can tell, because we can redraw. Take birds that show a part, draw them again without, and watch $P(r|I)$ of its rationale.
#
# The control: rationales of all other visible parts. But $P(r|I)$ is a softmax; what one loses, the others gain. So the control is counted *among the others*.

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
    among = lambda P: P * (noun != PARTS[part]) / P[:, noun != PARTS[part]].sum(axis=1, keepdims=True)
    return mean(before, own), mean(before - after, own), mean(among(before) - among(after), other)


def apart(part, P):
    """How often a bird with the part scores above one of its own species without it."""
    wins = []
    for r in np.flatnonzero(noun == PARTS[part]):
        for species in np.flatnonzero(candidates.listed[:, r]):
            groups = [P[(y == species) & (seen[:, r] == there), r] for there in (True, False)]
            wins.append((groups[0][:, None] > groups[1]).ravel())
    return np.concatenate(wins).mean()


# %%
def told(values):
    """Mean and 95 % interval, as text."""
    return "{:+.3f} ({:+.3f} to {:+.3f})".format(*np.round(mean_interval(values), 3) + 0.0)


# %%
reactions = {part: reaction(part) for part in PARTS}
for part, (before, fall, control) in reactions.items():
    print(f"{part:6} P {before.mean():.2f}, falls by {told(fall)}; the others by {told(control)};", end=" ")
    print(f"with above without {apart(part, ways['ecor'].rationale):.2f}")

# %%
fig, ax = plt.subplots(figsize=(6.4, 3.0))
for place, (before, fall, control) in enumerate(reactions.values()):
    for shift, values, colour, marker in ((-0.12, fall, plots.ANCHOR, "o"), (0.12, control, plots.CONTEXT, "s")):
        mean, low, high = mean_interval(values)
        ax.plot([low, high], [place + shift] * 2, color=colour, lw=2)
        name = {"o": "its own rationale", "s": "the others"}[marker]
        ax.plot(mean, place + shift, marker, color=colour, label=None if place else name)
    ax.plot(before.mean(), place - 0.12, "|", color=plots.TRUTH, ms=14, mew=2.5, label=None if place else "P before")
ax.axvline(0, color="black", lw=0.8)
ax.set(yticks=range(len(PARTS)), yticklabels=PARTS, ylim=(4.6, -0.6))
ax.set_xlabel("fall of P(r|I) when the part is redrawn away")
ax.set_title("Which parts do the towers look at?")
ax.legend(fontsize=8)
plots.show(fig, "Fall of P(r|I) when a part is removed, with 95 % intervals, against the control and P before, for five parts.")

# %% [markdown]
# Dark: the part's own rationale; grey: the control, at most 0.006; gold: its probability at first. Wings and legs are looked at. The last printed column asks for more: among birds of *one* species, does the one with the part score higher? Beaks and tails react, and yet stay near one half.
#
# *A swept crest* stays as probable when the crest is gone: the towers **recite**. Captions had mentioned visible crests five times as often as hidden ones; these towers did not learn it. What others do, the figure does not say.
#
# ### Five seeds, stored
#
# `python -m xailib.experiments.ecor`: tokens for every way, tuned on 600 dim pictures; five seeds, 400 held-out pictures each, one pair of towers. *RR_any* and *truthful* are our *RR, any* and *visible*.

# %%
table = experiment.table()
main = table[table.condition == "main"]
columns = ["RR", "RW", "WR", "WW", "RR_any", "truthful", "own_reasons"]
print(main.groupby(["tuning", "factorisation"])[columns].mean().loc[["none", "shallow", "deep"]].round(3).to_string())


# %% [markdown]
# The paper's claim: ECOR is above every ablation in RR. Tested in pairs, seed by seed, ECOR minus the other, each with its own tuned tokens. First by the one filed rationale, then by any that can be seen (*RR_any*):


# %%
def minus(rows, other, way="ecor", measure="RR"):
    wide = rows.pivot(index="seed", columns="factorisation", values=measure)
    return mean_interval(wide[way] - wide[other])


others = ["dror", "category-first", "independence", "false conditioning", "with"]
differences = {(t, o): minus(main[main.tuning == t], o) for t in ("none", "shallow", "deep") for o in others}
for (tuning, other), (mean, low, high) in differences.items():
    print(f"{tuning:8} ECOR minus {other:18} {mean:+.3f} ({low:+.3f} to {high:+.3f});", end="  ")
    any_visible = minus(main[main.tuning == tuning], other, measure="RR_any")
    print("any: {:+.3f} ({:+.3f} to {:+.3f})".format(*any_visible))

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
# Means and 95 % intervals. Red, pointing right: ECOR is better; blue, pointing left: worse; grey: undecided. Not in the figure: accuracy, and how *other* towers would fare: the seeds draw pictures and tokens, the towers are one pair. (And of thirty intervals at 95 %, one or two may miss by chance.)
#
# **Two of five** (of six, with *plain*, which is independence). ECOR beats the two ways without a sentence for the rationale: always by the filed one, in five of six rows by any visible one. To independence it *loses* each time by the filed rationale; by any visible one, nothing is decided. So the sentence "There is {r}." does the work.
#
# And "because", turned round or left out? No difference. Do not conclude yet.

# %%
linking = ("because", "despite", "zzz", "with")
linked = my_vectors([f"This is a photo of a dusk finch {word} striped wings." for word in linking])
print("cosine of 'because' with 'despite', 'zzz' and 'with':", (linked[1:] @ linked[0]).round(2))


# %% [markdown]
# *Despite* is in no caption, and neither is *zzz*: both are the unknown word. *Because* was read often, but always by lot. It could not mean anything, so it does not. **This world can not test the word "because"**; it tests which sentences are asked, and what is normalised. CLIP has read captions of people who meant their "because". What, then, does RR reward?

# %% [markdown]
# ### A machine that never looks
#
# Let a machine vote with "This is a photo of a {c}." and then *recite*: five rationales of the species it named, by lot. It asks the picture for no reason. (`TopPairs` takes any pairs; with 0.2 for each, the species that all five name has the vote.) Your guess: above or below ECOR's RR?


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
# Far above in RR, not in *RR, any*. The reciter's reasons are less often true, but all five belong to *one* species, and often one of them is the filed one. ECOR spends two of five pairs on other species.
#
# The last two rows test that: the same joint, the same vote, but all five pairs from the voted species. ECOR gains 13 points, and independence has lost its lead. **RR grows with three things: how often the vote is right, how many reasons of the voted species the list keeps, how often they are true.** Where the truth is one entry of a list, whoever knows the list has a head start. Stored, on the dim camera, by both marks:

# %%
controls = table[table.condition == "controls"].pivot_table(["RR", "RR_any", "accuracy", "truthful"], "factorisation")
print(controls.round(3).to_string())
recite = table[(table.condition == "controls") & (table.factorisation == "recite")].set_index("seed")
for tuning in ("none", "shallow", "deep"):
    ecor_rows = main[(main.tuning == tuning) & (main.factorisation == "ecor")].set_index("seed")
    for measure in ("RR", "RR_any"):
        gap = told(recite[measure] - ecor_rows[measure])
        print(f"untuned reciter minus ECOR, {tuning:7} {measure:6} {gap}")

# %% [markdown]
# By the one filed rationale the reciter wins, even against tuned ECOR. By any visible one it is a hair ahead of untuned ECOR, and **loses to tuned ECOR, by nine or ten points**; it was not given any tokens. So the mark decides the winner. File one rationale a picture, and you pay for breadth: a machine that asks the picture for no reason is never behind, untuned against untuned.

# %% [markdown]
# ### What tuning buys

# %%
for way in ("ecor", "dror", "independence"):
    own = main[main.factorisation == way]
    for tuning in ("shallow", "deep"):
        wide = {m: own.pivot(index="seed", columns="tuning", values=m) for m in ("RR", "accuracy", "truthful")}
        gains = {m: told(w[tuning] - w["none"]) for m, w in wide.items()}
        print(f"{way:12} {tuning:7}", "; ".join(f"{m} {gain}" for m, gain in gains.items()))

# %% [markdown]
# Eight tokens bring back seven to eleven points of accuracy, whatever the way. The rationales gain less, except for DROR, which had most to gain. Deep tokens, with three times the numbers, are no better than shallow ones. The control is the *familiar* camera, where nothing has to be brought back:

# %%
familiar = table[table.condition == "familiar camera"]
for way in ("ecor", "dror", "independence"):
    wide = familiar[familiar.factorisation == way].pivot(index="seed", columns="tuning")
    gains = {m: told(wide[m].shallow - wide[m].none) for m in ("RR", "accuracy", "truthful")}
    print(f"{way:12}", "; ".join(f"{m} {gain}" for m, gain in gains.items()))

# %% [markdown]
# No accuracy that five seeds can see. ECOR's RR gains about a point; DROR's rationales gain most: perhaps its tokens bring what a sentence of its own had told the others. So here tokens **mend a camera**; they teach little about birds.
#
# ### Does the gain grow with the task?
#
# The paper reports its largest gains on the largest data sets. Here: one, two, three or all four species of each of the five families, and ten more candidates that nobody has (landscapes, parts that no bird wears).

# %%
sizes = table[table.condition.isin(["main", "categories"])]
strangers = table[table.condition == "rationales"]
for tuning in ("none", "shallow"):
    rr = sizes[sizes.tuning == tuning].pivot(index="seed", columns=["factorisation", "n_categories"], values="RR")
    gain = rr["ecor"] - rr["dror"]
    print(f"{tuning:7} RR of ECOR by number of species", rr["ecor"].mean().astype(float).round(3).to_dict())
    rows = {f"{n:2} species": gain[n] for n in (5, 10, 15, 20)} | {"20 minus 5": gain[20] - gain[5]}
    more = strangers[strangers.tuning == tuning].pivot(index="seed", columns="factorisation", values="RR")
    rows["strangers minus none"] = more.ecor - more.dror - gain[20]
    for name, values in rows.items():
        print(f"{tuning:7} ECOR minus DROR, {name:20} {told(values)}")


# %% [markdown]
# It does **not** grow. ECOR leads at every size, and by most points where species are few: 0.14 at five, 0.06 at twenty. Does the lead shrink? Five seeds do not decide it: *20 minus 5* contains zero. (All marks fall as candidates are added. Strangers add nothing to the lead; untuned they cost a little of it.)
#
# There is a trap here. Take the first four species of the list instead, and you have four finches: one family. Here are both choices, untuned: sets of four siblings, and sets with one of each family. Every held-out bird stands in one set of either kind.


# %%
def lead_among(chosen):
    few_species, who = experiment.book(chosen), np.isin(y, chosen)
    labels = [few_species.number(candidates.rationales[r]) for r in one[who]]
    own = np.searchsorted(chosen, y[who])
    asked = [ecor.beliefs(towers, dim[held_out][who], few_species, factorisation=f) for f in ("ecor", "dror")]
    first, second = (ecor.outcomes(found, own, labels) == "RR" for found in asked)
    return first.astype(float) - second


# %%
families = np.arange(20).reshape(5, 4)
for name, sets in {"four siblings": families, "one of each family": families.T}.items():
    lead = np.concatenate([lead_among(chosen) for chosen in sets])
    print(f"{name:18} ECOR minus DROR {told(lead)}")

# %% [markdown]
# Among siblings no lead is to be seen, across families a large one. A series 4, 8, 12, ... in the order of the list adds family after family, and would show a "growth" that is none of size. What counts is **how far apart the species are, not how many**.
#
# ### Species without tuning pictures, names without meaning
#
# Tokens tuned on 15 species, judged on the other five (among all 20 names): about 100 pictures a seed. And all twenty under names that the text tower has never read, of which it knows the family alone.

# %%
transfer = table[table.condition.isin(["withheld", "unseen names"])]
transfer = transfer[transfer.factorisation.isin(["ecor", "dror", "independence"])]
by = ["condition", "factorisation", "tuning"]
print(transfer.groupby(by)[["RR", "RR_any", "accuracy", "truthful"]].mean().round(3).to_string())

# %%
withheld = transfer[transfer.condition == "withheld"]
lead = minus(withheld[withheld.tuning == "shallow"], "dror")
print("withheld, shallow: ECOR minus DROR, RR {:+.3f} ({:+.3f} to {:+.3f})".format(*lead))
own = withheld[withheld.factorisation == "ecor"].pivot(index="seed", columns="tuning")
for measure in ("RR", "accuracy"):
    gain = told(own[measure].shallow - own[measure].none)
    print(f"withheld, ECOR: shallow minus none, {measure:8} {gain}")

# %%
unread = experiment.book(names=experiment.UNSEEN_NAMES)
four = my_vectors([f"This is a photo of a {name}." for name in unread.categories[:4]])
print(unread.categories[:4], "least cosine", (four @ four.T).min().round(2))
for name, book_of in (("known names", candidates), ("unread names", unread)):
    shown = ecor.beliefs(towers, birds, book_of).top_pairs(5)
    distinct = np.mean([len(set(row)) for row in shown.rationale])
    print(f"{name:12}: {distinct:.2f} distinct rationales in five pairs;", end=" ")
    print(f"votes for a family's first species: {np.mean(ecor.vote(shown) % 4 == 0):.2f}")

# %% [markdown]
# On withheld species the lead over DROR stays. What tuning does there is **undecided**: look how wide the interval of the accuracy is.
#
# **Unread names are the failure case, by construction.** Four siblings have one and the same sentence, so their pairs tie, and ties go to the first on the list. One bird in four *is* the first: 0.25 is the ceiling, and 0.2 is near it. Ties fill the list, too, so it shows fewer different rationales, and *truthful* may not be compared with the rows above. No word about the picture can repair a name that means nothing.
#
# ### How many tokens, where, and which words

# %%
ours = table[table.factorisation == "ecor"]
counts = ours[(ours.condition == "tokens") & ~ours.variant.str.contains("judged")]
counts = counts.pivot_table("RR", ["variant", "seed"], "n_tokens")
print("RR by number of tokens\n", counts.groupby("variant").mean().round(3).to_string())
for variant in ("60 pictures", "600 pictures"):
    for many, few_tokens in ((16, 1), (64, 16)):
        more = told(counts.loc[variant][many] - counts.loc[variant][few_tokens])
        print(f"{many} tokens minus {few_tokens}, {variant}: {more}")

# %%
untuned = main[(main.tuning == "none") & (main.factorisation == "ecor")].set_index("seed").RR
for place, rows in ours[ours.condition.isin(["placement", "loss"])].groupby("variant"):
    print(f"{place:12} minus not tuned {told(rows.set_index('seed').RR - untuned)}")

# %%
hidden = table[(table.condition == "ambiguous") & (table.tuning == "shallow")]
for other in ("dror", "independence"):
    lead = minus(hidden, other)
    print("ambiguous birds, shallow: ECOR minus {:12} {:+.3f} ({:+.3f} to {:+.3f})".format(other, *lead))
templates = table[table.condition == "templates"]
print(templates.pivot_table("RR", ["tuning", "variant"], "factorisation").round(3).T.to_string())

# %% [markdown]
# With 600 pictures sixteen tokens beat one; all else is undecided. Tokens work **before the first block** only. The batch's own loss works, too. Where pivots are hidden (*ambiguous*), and with other words in the same order, ECOR stays above DROR.
#
# No overfitting, up to 4,096 numbers? Not shown: `tune` returns the *best* epoch, which hides it. So look at the losses themselves, with 20 pictures to learn from and 80 to check.

# %%
scarce = {"n_tokens": 16, "epochs": 20, "learning_rate": 0.2, "validation_share": 0.8, "patience": 100}
own = (world.y[:100], filed[:100], candidates)
overfit = ecor.tune(frozen, dim[:100], *own, **scarce).history
print(overfit.iloc[[0, 4, 8, 12, 16, 20]].round(1).T.to_string())

# %% [markdown]
# The loss on the 20 keeps falling. On the 80 it rises first, comes back, and stops near where it began: the gap between both rows is overfitting. The turn upwards that textbooks draw is hardly there in 20 epochs.
#
# A small part again, live: the stored shallow tokens of the first seed, on the birds of this chapter, which no stored number has seen.

# %%
shallow = {0: experiment.explorer()["shallow"][0]}
asked_with = {"none": ("ecor", None), "shallow": ("ecor", shallow), "shallow, dror's joint": ("dror", shallow)}
live = {
    name: report(ecor.beliefs(towers, dim[held_out], candidates, factorisation=way, prompt=tokens))
    for name, (way, tokens) in asked_with.items()
}
print(pd.DataFrame(live).T.round(2).to_string())

# %% [markdown]
# The gain is there again. Tokens tuned for ECOR's joint help DROR's as well, but give it no visible reasons. Training and scoring are two things.

# %% [markdown]
# ## Break it
#
# ### Two lines of counting code
#
# The benchmark's script has two habits. Its loop over the five pairs ends with a `break` at the first pair that is right in both: later votes are not counted. And it compares names with `in`, not `==`. Criterion: a metric is broken if it changes while the model stays the same.
#
# Three pictures of a *cup with wings*. In the first answer the best pair is right, and two others outvote it. The second says *porcupine because of two wings*. The third is right, with two votes for cup. What does each habit do? And both together?

# %%
mugs = ecor.rationales({"cup": ["wings", "a handle"], "porcupine": ["two wings", "spines"], "dog": ["fur"]})
answers = [
    {("cup", "wings"): 0.5, ("porcupine", "a handle"): 0.25, ("porcupine", "two wings"): 0.15, ("dog", "fur"): 0.1},
    {("porcupine", "two wings"): 0.6, ("porcupine", "spines"): 0.2, ("dog", "fur"): 0.15, ("dog", "spines"): 0.05},
    {("dog", "fur"): 0.4, ("porcupine", "two wings"): 0.3, ("cup", "a handle"): 0.2, ("cup", "wings"): 0.1},
]
joint = np.zeros((3, 3, 5))
for i, answer in enumerate(answers):
    for (c, r), probability in answer.items():
        joint[i, mugs.categories.index(c), mugs.number(r)] = probability

# %%
believes = ecor.Beliefs(joint, {"P(c,r|I)": joint}, mugs, "dror")
for counting in ("all", "first hit"):
    for matching in ("exact", "substring"):
        words = ecor.outcomes(believes, [0, 0, 0], [0, 0, 0], k=4, counting=counting, matching=matching)
        print(f"votes: {counting:9} names: {matching:9}", words)

# %% [markdown]
# Then on the birds. Their names do not hide in each other, so only the `break` can act here. One surprise is left: can it also *lower* RR?

# %%
for way, k in (("ecor", 5), ("ecor", 15), ("dror", 5), ("dror", 15)):
    honest, hasty = (ecor.outcomes(ways[way], y, one, k=k, counting=c) == "RR" for c in ("all", "first hit"))
    gained, lost = np.sum(hasty & ~honest), np.sum(honest & ~hasty)
    print(f"{way:5} {k:2} pairs: RR {honest.mean():.2f}, with the break {hasty.mean():.2f};", end=" ")
    print(f"{gained} pictures gained, {lost} lost")

# %% [markdown]
# It can: votes for the *true* species behind the hit are lost, too. On balance it inflates, by up to three points here.
#
# Where names hide in names, `in` alone only adds to RR. **Both together can take away**: in the third answer *porcupine because of two wings* passes for a hit, the loop breaks, and both votes for cup are lost.
#
# ### Right for the wrong reason, with the right reason on paper
#
# The snow of chapter 8: winter species stand in it, their look-alikes do not. New: "snow" may be given as a reason. Does RW catch it?
#
# We fine-tune *all weights* of the image tower, with the loss of `tune`, on 400 dim pictures filed under parts. As a control, another tower where snow falls on all alike (`shortcut_strength=0.5`).

# %%
with_leak, no_leak = (
    worlds.birds(1500, shortcut="snow", shortcut_strength=s, missing_rate=0.4, random_state=11) for s in (0.99, 0.5)
)
with_snow = ecor.rationales({c: candidates.of(c) for c in candidates.categories}, extra=["snow"])


def fine_tune(snowy, n=400, epochs=5):
    by_part = [with_snow.number(r) for r in snowy.truth.labelled_rationales(0)[:n]]
    model = zoo.load("birds-clip").double()
    with torch.no_grad():
        t_r, t_cr = (model.encode_text(texts.ravel()) for texts in ecor.prompts(with_snow).values())
    t_cr = t_cr.reshape(20, len(t_r), -1)
    x = torch.from_numpy(snowy.X[:n] * np.float32(experiment.DIM))
    c, r = torch.as_tensor(snowy.y[:n]), torch.as_tensor(by_part)
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
taught_with_leak = fine_tune(with_leak)

# %%
taught_without = fine_tune(no_leak)
taught = {"as they were": frozen, "taught with leak": taught_with_leak, "taught without": taught_without}

# %% [markdown]
# Judged on the birds of this chapter, with snow behind the winter species as it was taught, and with snow behind the others. For comparison the towers as they were.

# %%
seen_snow = np.column_stack([seen, np.zeros(len(seen), dtype=bool)])  # snow is no reason: it is not the bird's
snows = {"shortcut": "snow", "missing_rate": 0.4, "random_state": 7}
judged = {s: worlds.birds(1500, shortcut_strength=s, **snows) for s in (0.99, 0.01)}


def asked(model, pictures):
    return ecor.beliefs(model, pictures * np.float32(experiment.DIM), with_snow)


found = {}
for name, model in taught.items():
    for where, other in zip(("as taught", "reversed"), judged.values(), strict=True):
        found[name, where] = asked(model, other.X[held_out])
        mark = report(found[name, where], seen=seen_snow)
        words = ecor.shares(ecor.outcomes(found[name, where], y, seen_snow)).round(2).to_dict()
        print(f"{name:16} snow {where:9} {words}; visible {mark['visible']:.2f}")

# %% [markdown]
# With the snow as taught the leaky tower is right in 0.60, and **RW is 0.00: every right answer comes with a reason that can be seen.** With the snow reversed it is right in 0.49. The control has the same RW, and hardly falls. Nothing on paper says which answers hang on the snow. (One run of 250 pictures; intervals follow.)
#
# Criterion for a detector: it must work on single answers. Take winter birds that are RR in the snow, and carry them to a meadow. A first control carries them from a beach to the meadow; a second is the tower without a leak.

# %%
winter = truth.leaked[y]
redrawn = judged[0.99].truth.with_background
on_meadow, on_beach = (redrawn(held_out, place) for place in ("meadow", "beach"))
for name, model in taught.items():
    doubly_right = winter & (ecor.outcomes(found[name, "as taught"], y, seen_snow) == "RR")
    meadow, beach = (asked(model, pictures).vote() for pictures in (on_meadow, on_beach))
    changed = [np.sum((votes != meadow)[doubly_right]) for votes in (found[name, "as taught"].vote(), beach)]
    print(f"{name:16} {doubly_right.sum()} winter birds are RR in the snow;", end=" ")
    print(f"another name on a meadow: {changed[0]}; another name on beach and meadow: {changed[1]}")

# %% [markdown]
# Same bird, same parts, same reasons on paper: 35 of 63 doubly right answers change with the snow, against 9 of 68 in the control. One edit of the picture shows it.
#
# When *does* RW catch it? The stored run has five seeds. Its towers are taught with all pictures filed by parts; with half of the snowy ones filed under "snow", as a picture search would do; and, as a control, with that filing but no leak. The mark by five pairs, and by the best pair alone:

# %%
snow = table[table.condition == "snow"].pivot(index="seed", columns=["factorisation", "variant"])


def drop(way, variant):
    """Accuracy with the snow as taught minus accuracy with the snow reversed, seed by seed."""
    as_taught, turned = (variant.format(leak) for leak in ("with the leak", "leak reversed"))
    return snow.accuracy[way, as_taught] - snow.accuracy[way, turned]


# %%
blamed = {}
for filing in ("parts filed", "snow filed", "snow filed, nothing leaks"):
    blamed[filing] = [snow.RW_any["ecor", f"{filing}, with the leak, k={k}"] for k in (5, 1)]
    print(f"{filing:26} taught minus reversed {told(drop('ecor', filing + ', {}, k=5'))};", end=" ")
    print("RW by five pairs {:.3f}, by the best {:.3f}".format(*(rw.mean() for rw in blamed[filing])))
gap = blamed["snow filed"][1] - blamed["snow filed, nothing leaks"][1]
print("RW by the best pair, leak minus no leak:", told(gap))

# %% [markdown]
# RW by five pairs stays near zero, even where "snow" was filed: among five there is nearly always one true reason. By its best pair the leaky tower says "snow": RW 0.39. Caught? **The harmless tower says it, too: 0.34.** Its accuracy falls by three points when the snow is reversed, the leaky one's by 27, and RW can not tell them apart with certainty. RW reads off how pictures were *filed*. Only the redraw tells a shortcut from a label.
#
# And eight tokens? Tuned with the leak, without it, and the difference:

# %%
for way in ("ecor", "dror", "independence"):
    falls = [drop(way, "leaky, {}"), drop(way, "clean, {}")]
    print(f"tokens, {way:12} leaky {told(falls[0])}, clean {told(falls[1])},", end=" ")
    print("difference", told(falls[0] - falls[1]))
print("leaky tokens, DROR's fall minus ECOR's:", told(drop("dror", "leaky, {}") - drop("ecor", "leaky, {}")))

# %% [markdown]
# Against its own control, no way's tokens show a shortcut with certainty. DROR's come close, and fall deeper than ECOR's. "Not found" is not "none": effects of five points could hide in these intervals.

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
# The probability goes with the digit and not with the loop. (What counts as ink, above 0.3, is our choice: on eight by eight pixels a loop can close or open with it.) To be sure that this is no lack of power, let a support vector machine look for loops in the same pixels, trained on the other fours, sixes and nines. For each: the chance that a digit with a loop scores above one *of the same digit* without, and a bootstrap interval.


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
# The loops are in the pixels; our towers know nothing of them, although 98 % of their answers are doubly right by the lists. They could not: no caption of theirs depended on a loop. So this is no discovery about towers, but **a proof about the mark**: a machine that can not know loops is nearly always "doubly right". CLIP has read captions of people who looked, and may know more; lists written once per category can not tell.
#
# **Bring your own.** Any module with `encode_image`, `encode_text` and `logit_scale`, your pictures, your lists. The default asks the digit towers about one digit. With a network, `python -m xailib.openclip` does it with CLIP ViT-B/32 and CIFAR-10, on the lists in `ecor.CIFAR10`, or on the benchmark's file where you have it.

# %%
picture = np.flatnonzero((new_names == 4) & ~loops[n_train:])[0]
my_towers, my_pictures = digit_towers, new_digits[[picture]]
my_lists = {"six": DIGITS["six"], "nine": DIGITS["nine"], "four": DIGITS["four"]}

my_candidates = ecor.rationales(my_lists)
mine = ecor.beliefs(my_towers, my_pictures, my_candidates)
print("it is a", tuple(DIGITS)[new_names[picture]], "with" if loops[n_train + picture] else "without", "a loop")
print(mine.top_pairs(3).to_frame().round(2).to_string(index=False))

# %% [markdown]
# ## Strengths, limits, when not to use it
#
# **Strengths.** Reasons are sentences that a person can check. Category and reason come from one distribution, so they can be ranked, voted on and marked together. The towers stay untouched, and what is learned fits into a kilobyte or two. New categories need sentences, not pictures.
#
# > **Pitfall. An order is not a cause.** $P(r|I)\,P(c|r,I)$ and $P(c|I)\,P(r|c,I)$ can write down the same joint. What a comparison of them shows is what other sentences and other normalisations do. "Because" is a word in a prompt, and means what captions made it mean.
#
# > **Pitfall. RR does not say that the reason was looked at.** It says that a true sentence was on the list. Redraw, or count the ink. Nor does RW say that the reason was used: it reads off the filing.
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
# 2. The order is not the point. By the chain rule either order writes down any joint. ECOR is DROR's big softmax with another $P(r|I)$: asking for the rationale in a sentence of its own is what put visible reasons on the list.
# 3. On one pair of towers and five seeds, ECOR beat the ways without that sentence. By one filed rationale plain independence and even a machine that recites did better; by any visible one independence was undecided, and an untuned reciter lost to tuned ECOR only. What "because" is worth, this world can not test.
# 4. The lead did not grow with the number of species; it depends on how far apart they are. Tokens mended a camera.
# 5. A true reason may be recited. Draw the part away, or count the ink: these towers looked at wings and legs, not at crests.
# 6. RW reads off how pictures were filed: with "snow" filed, a harmless tower got nearly the RW of one that used the snow. The redraw told them apart. And read the counting code.

# %% [markdown]
# ## Further reading
#
# - Rasekh et al. (2024), *ECOR: Explainable CLIP for object recognition*, arXiv 2404.12839. The joint, the two prompts, six data sets.
# - Mao et al. (2023), *Doubly right object recognition: a why prompt for visual rationales*, CVPR, arXiv 2212.06202. The task, the lists, the marks.
# - Rasekh et al. (2025), *Multi-rationale explainable object recognition via contrastive conditional inference*, arXiv 2508.14280. The authors of ECOR on what conditioning by a prompt does not do, and on several rationales a picture.
# - Radford et al. (2021), *Learning transferable visual models from natural language supervision*, arXiv 2103.00020. CLIP.
# - Jia et al. (2022), *Visual prompt tuning*, arXiv 2203.12119. Shallow and deep.
# - An et al. (2024), *PerceptionCLIP: visual classification by inferring and conditioning on contexts*, arXiv 2308.01313. Two steps without any training.
