# %% [markdown]
# # Opening the box: patching and circuits
#
# You will reach into a transformer while it answers, exchange one inner value, and watch the answer move. At the end you can say where a fact travels, which heads carry it, and when your experiment misleads you.
#
# Attention shows where a head looks, a probe shows what is there. Neither shows what is *used*. Patching does: it is the experiment that chapters 10 and 11 kept asking for. It has traps of its own: parts that share a job hide one another, and a divisor can fake a mechanism.
#
# **Estimated time:** 140 minutes
#
# **What you need:** [chapter 10](10_attention.ipynb) for the transformer, [chapter 11](11_probing.ipynb) for "it is there, but is it used?". The folded box recalls the residual stream and hooks.

# %%
from itertools import combinations

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import torch
from scipy.stats import binomtest
from sklearn.linear_model import LogisticRegression

from xailib import exercises as ex
from xailib import lab, patching, plots, worlds, zoo
from xailib.evaluation import mean_interval
from xailib.patching import Site
from xailib.worlds import real
from xailib.zoo.transformer import Transformer, hook_points

# %% [markdown] tags=["digression"] jp-MarkdownHeadingCollapsed=true
# ## Foundations: the residual stream and hooks in ten minutes
#
# **A stream that parts write into.** At every position a transformer keeps one list of numbers, the residual stream. It starts as the embedding of the token. Attention reads it and *adds* something, the MLP reads the sum and adds something, and so on; at the end the output layer reads what has come together. Nothing is overwritten. So you can ask of every part: what did it add, and who read it?
#
# **Only attention crosses positions.** Embedding, MLP and output layer work on one position alone. Whatever the word "speak" knows about "Paris" was carried there by a head.
#
# **A hook is a tap on a pipe.** In PyTorch every module can carry a function that sees its output and may return another one in its place:

# %%
layer = torch.nn.Linear(2, 1)
tap = layer.register_forward_hook(lambda module, inputs, output: torch.zeros_like(output))
print("with the hook:", layer(torch.ones(1, 2)).item())
tap.remove()
print("hook removed, still zero:", layer(torch.ones(1, 2)).item() == 0)

# %% [markdown] tags=["digression"]
# Our transformer passes every value through a module with a name, so that each can be seen and exchanged:

# %%
facts_model = zoo.load("facts-transformer")
print(*[name for name in hook_points(facts_model) if "blocks.0" in name], sep="\n")

# %% [markdown] tags=["digression"]
# In the order of the computation: `resid_pre` is the stream before the block, `resid_mid` between attention and MLP, `resid_post` behind the block. `attn_out` and `mlp.out` are what the two parts add to it. Inside attention: `queries`, `keys`, `values`; `scores` before and `pattern` after the softmax; `heads`, what each head has collected. `mlp.hidden` are the MLP's neurons. A run in which such values are kept is often called **caching**; here it is `patching.record`. A `Site` names one place: hook point, head, position.
#
# Check yourself: what is a part worth, if others read what it wrote?

# %%
ex.card("patching.stream")

# %%
my_guess = ...  # on paper
my_fall = ...  # with a few lines
my_fall = ex.check("patching.stream", my_fall, prediction=my_guess)

# %% [markdown]
# ## Warm-up

# %%
ex.warmup("patching")

# %% [markdown]
# ## The story
#
# A railway wants two small models in its ticket machines. One finishes announcements: "unlike Oslo , people in Paris speak ...". The other finishes codes that a passenger types for the second time. Both are transformers of two layers with four heads each; the second is **attention only**, it has no MLPs. The machine has room for half of the heads.
#
# Tomas, the engineer, takes out one head at a time: its output is replaced by its mean over many sequences, which is called **mean ablation**. Then he counts right answers.

# %%
facts, copies = worlds.facts(), worlds.copies(600, random_state=5)
truth, words, copier = facts.truth, facts.truth.vocabulary, zoo.load("copies-transformer")
prompts, right = facts.test


rows, reference = copies.X[400:460], copies.X[:200]
known = copies.truth.source(rows)[:, :-1] >= 0  # here the next token can be known


def accuracy(scores):
    return (scores[:, :-1].argmax(axis=2) == rows[:, 1:])[known].mean()


def facts_accuracy(scores):
    return (scores[:, -1].argmax(axis=1) == right).mean()


def interval(values):
    return "{:.2f} ({:.2f} to {:.2f})".format(*mean_interval(values))


# %%
table = pd.DataFrame({"head": [f"{k}.{h}" for k in (0, 1) for h in range(4)]})
sites = [Site(f"blocks.{k}.attention.heads", h) for k in (0, 1) for h in range(4)]
for k, site in enumerate(sites):
    scores = patching.ablate(facts_model, prompts, site, reference=facts.X)
    table.loc[k, "facts"] = facts_accuracy(scores)
    table.loc[k, "copies"] = accuracy(patching.ablate(copier, rows, site, reference=reference))
print(table.to_string(index=False, float_format="{:.2f}".format))
untouched = facts_accuracy(patching.record(facts_model, prompts, "embedded").scores)
whole = patching.record(copier, rows, "embedded").scores
print(f"none   {untouched:.2f}    {accuracy(whole):.2f}")

# %% [markdown]
# "Head 1.0" is layer 1, head 0; layers count from 0. His report: "Nobody needs the second layer, in either model. I take its four heads out." Should you sign? For one of the two models he is right, for the other he would ship a machine that guesses. The table looks the same. Write down which one, and what experiment would tell.

# %% [markdown]
# ## By hand
#
# A linear model with two heads: $\Delta = 2 h_1 + h_2 + 1$, where $\Delta$ is the difference of two answers' logits. In a **clean** run the heads say 2 and 1, in a **corrupted** run both say 0:
#
# | run | $h_1$ | $h_2$ | $\Delta$ |
# |---|---|---|---|
# | clean | 2 | 1 | 6 |
# | corrupted | 0 | 0 | 1 |
# | corrupted, clean $h_1$ | **2** | 0 | 5 |
# | corrupted, clean $h_2$ | 0 | **1** | ? |
#
# Putting a clean value into the corrupted run is **denoising**. The scale: 0 = as corrupted, 1 = as clean, so $h_1$ is worth (5 - 1)/(6 - 1) = 0.8. What is $h_2$ worth? The reverse, a corrupted value in the clean run, is **noising**.

# %%
clean, corrupted = np.array([2, 1]), np.array([0, 0])


def board(f):
    low, high = f(*corrupted), f(*clean)
    denoised = [f(*np.where(np.arange(2) == j, clean, corrupted)) for j in (0, 1)]
    noised = [f(*np.where(np.arange(2) == j, corrupted, clean)) for j in (0, 1)]
    enough = (np.array(denoised) - low) / (high - low)
    needed = 1 - (np.array(noised) - low) / (high - low)
    print("enough (denoising)", enough.round(4), " needed (noising)", needed.round(4))


board(lambda h1, h2: 2 * h1 + h2 + 1)

# %% [markdown]
# In a linear model effects add up to 1, and both directions agree. Now two models that are not linear: OR, where the larger of two heads decides, and AND, where the smaller does. Guess before you run.

# %%
print("OR  ", end="")
board(lambda h1, h2: max(h1, 2 * h2))
print("AND ", end="")
board(lambda h1, h2: min(h1, 2 * h2))

# %% [markdown]
# OR: each head is enough, neither is needed. AND: both needed, neither enough. So **denoising and noising answer different questions**, and each alone is blind to one of the two. Tomas's ablation is a relative of noising: it takes away, but puts in a mean instead of the value of a corrupted twin.

# %% [markdown]
# ## In thirty lines
#
# $$v = \frac{\Delta_{patched} - \Delta_{corrupted}}{\Delta_{clean} - \Delta_{corrupted}}, \qquad \Delta = z_{clean\ answer} - z_{corrupted\ answer}$$
#
# Clean prompt: "unlike Oslo , people in Paris speak". Corrupted: the same with another city that decides. For each layer and position: put the clean residual stream into the corrupted run, by a hook.

# %%
line = "<s> unlike Oslo , people in {} speak"
pair = words.encode([line.format("Paris"), line.format("Rome")])
french, italian = words.number("French"), words.number("Italian")


def delta(tokens):
    with torch.no_grad():
        z = facts_model(torch.as_tensor(tokens)[None])[0, -1]
    return (z[french] - z[italian]).item()


def my_record(tokens, point):
    kept = []
    module = facts_model.get_submodule(point)
    hook = module.register_forward_hook(lambda m, i, value: kept.append(value))
    delta(tokens)
    hook.remove()
    return kept[0]


print(f"clean {delta(pair[0]):.2f}, corrupted {delta(pair[1]):.2f}")


# %%
def my_patch(point, position):
    def exchange(module, inputs, value):
        value = value.clone()
        value[:, position] = donor[:, position]
        return value

    donor = my_record(pair[0], point)
    hook = facts_model.get_submodule(point).register_forward_hook(exchange)
    patched = delta(pair[1])
    hook.remove()
    return (patched - delta(pair[1])) / (delta(pair[0]) - delta(pair[1]))


# %%
my_map = np.array([[my_patch(f"blocks.{k}.resid_pre", p) for p in range(8)] for k in (0, 1)])
columns = [f"{p} {word}" for p, word in enumerate(words.decode(pair[0]))]
print(pd.DataFrame(my_map.round(2) + 0.0, ["layer 0", "layer 1"], columns).to_string())

# %% [markdown]
# Before layer 0 everything hangs on "Paris". That had to be: it is the only word that differs. Before layer 1, one step later, "Paris" is worth 0.01 and the last word 0.99. The fact has moved, all of it, in a single step. Nothing we planted said so; this is the network's own way.

# %% [markdown]
# ## The library way
#
# TransformerLens is the package of the field (no part of this course's installation; the lines below are for its version 4.3). There, with GPT-2:
#
# ```python
# from transformer_lens import TransformerBridge, patching
#
# model = TransformerBridge.boot_transformers("gpt2")
# line = "When Mary and John went to the store, {} gave a drink to"
# clean, corrupted = (model.to_tokens(line.format(name)) for name in ("John", "Mary"))
# mary, john = (model.to_single_token(name) for name in (" Mary", " John"))
# _, cache = model.run_with_cache(clean)
# patching.get_act_patch_resid_pre(
#     model, corrupted, cache, lambda z: z[0, -1, mary] - z[0, -1, john]
# )
# ```
#
# It gives patched logit differences, not yet on our scale, and runs the whole model once per place. `patch_map` makes one batch of all positions of a layer, and starts at that layer from the recorded stream. Our tests hold both to equal numbers. Here, against yours:

# %%
one = patching.patch_map(facts_model, pair[:1], pair[1:], [french, italian])
assert np.allclose(one.values[0], my_map, atol=1e-4)
print("ok: the same map;", one)

# %% [markdown]
# One pair is an anecdote. 300 pairs, each with another deciding city; 264 of them come from the four templates with two cities, 36 from the other four. The model was trained on three quarters of the combinations of city and template, and knows all of them: the facts are memorised, and we ask how. Here are the heads, and the parts of each block at the last position:

# %%
pairs = truth.pairs(300, random_state=1)
given = (facts_model, pairs.clean, pairs.corrupted, pairs.answers)
heads = patching.patch_map(*given, "heads", by_position=False)
print(heads.to_frame().to_string(index=False, float_format="{:.2f}".format))

# %%
for part in ("attn_out", "mlp.out"):
    by_part = patching.patch_map(*given, part).mean()
    print(part, "at the last word, layers 0 and 1:", by_part[:, -1].round(2))

# %% [markdown]
# `to_frame` averages the scale over pairs, with an interval; `.mean()` divides the mean differences, which no pair with a small gap can blow up. Here both say the same. Two heads of layer 0, 0.3 and 0.2, carry most of the fact, and the attention outputs, 0.98 and 0.09, say that layer 0 reads the city. The MLPs, 0.73 and 0.61, add up to more than 1 because the second reads what the first wrote.
#
# That was *enough*. Are the two *needed*, and what do they do as a pair?

# %%
noised = patching.patch_map(*given, "heads", by_position=False, direction="noise")
print("needed, layer 0:", (1 - noised.mean()[0]).round(2))
for pair_of in ([2, 3], [0, 1]):
    out = [Site("blocks.0.attention.heads", h) for h in pair_of]
    there = patching.patch(facts_model, pairs.corrupted, pairs.clean, out)
    gap = patching.logit_difference(there, pairs.answers).mean() - heads.corrupted.mean()
    hit = facts_accuracy(patching.ablate(facts_model, prompts, out, reference=facts.X))
    worth = gap / (heads.clean - heads.corrupted).mean()
    print(f"heads {pair_of} of layer 0: enough {worth:.2f}; accuracy without them {hit:.2f}")


# %% [markdown]
# Both directions agree. Heads 0.2 and 0.3 together restore 0.82, and without them accuracy falls to 0.33; the other two restore 0.16 and cost five answers in a hundred.
#
# ### Three ways to ablate
#
# What may stand in for a removed head? Zero, the mean, or the value from another sequence:


# %%
def without(head, to):
    scores = patching.ablate(facts_model, pairs.clean, head, to=to, reference=facts.X)
    gap = patching.logit_difference(scores, pairs.answers)
    hit = scores[:, -1].argmax(axis=1) == pairs.answers[:, 0]
    return f"{to} {gap.mean():5.2f} ({hit.mean():.2f})"


print("logit difference (accuracy), without", f"     nothing: {heads.clean.mean():.2f}")
removed = {"head 0.3": sites[3], "head 0.0": sites[0], "layer 1 attention": "blocks.1.attn_out"}
for name, head in removed.items():
    print(f"{name:18}", *[without(head, to) for to in ("zero", "mean", "resample")], sep="   ")

# %% [markdown]
# Zero is a value that the model may never have met; here it does about what the mean does. A resampled value is real, and from the heads that read the city it speaks for *another* city: that hurts most. Say which one you used. And note the last row: for the facts model Tomas is right. All attention of layer 1 can go.

# %% [markdown]
# ### Reading without touching
#
# The **logit lens** applies the output layer to the stream early: what would the model say if it stopped here? **Direct logit attribution** splits the final logit difference among all that was ever added to the stream (the last normalisation held fixed): it is exact as a sum.

# %%
lens = patching.logit_lens(facts_model, pairs.clean)
first = (lens.ranks(pairs.answers[:, 0]) == 1).mean(axis=0)
direct = patching.direct_logit_attribution(facts_model, pairs.clean, pairs.answers)
assert np.allclose(direct.efficiency_gap(), 0, atol=1e-4)

# %%
for stage, share in zip(lens.stages, first, strict=True):
    print(f"answer on rank 1 at {stage:19} {share:.2f}")
order = np.argsort(-direct.values.mean(axis=0))[:5]
for j in order:
    print(f"direct, in logits: {direct.feature_names[j]:9} {direct.values[:, j].mean():.2f}")

# %%
fig, ax = plt.subplots(figsize=(7, 3.2))
lens.plot(pairs.answers, ax)
ax.set_title("the lens: the answer becomes readable step by step")
plots.show(fig, "Logit difference at five stages: near 0 at first, 9.96 at the end, mostly from the MLPs.")

# %% [markdown]
# The band (hardly visible) is the interval over pairs. Right after attention the patch map had 0.98 of the fact at the last position, but the lens names the answer in only 18 % of the prompts. No contradiction: it is there in a form that the output layer cannot read yet; the MLPs translate. By direct attribution the MLPs also get nearly all the credit, and head 0.3 half a logit of ten, although patching gives it 0.45 of everything. **Direct is not total**: who tells the MLPs gets no direct credit.

# %% [markdown]
# ### One path at a time
#
# Path patching asks about one wire: exchange what a sender says, *as one receiver hears it*, and hold everything in between. The receiver here: the logits.

# %%
paths = patching.path_patch(*given)
for name, value in zip(paths.axes["sender"], paths.mean(), strict=True):
    if value > 0.02:
        print(f"{name} straight to the logits: {value:.2f}")
print(f"sum over all {len(paths.axes['sender'])} senders: {paths.mean().sum():.2f}")

# %% [markdown]
# So the circuit, in words: heads 0.3 and 0.2 read the city at the last word, and the MLPs there name the answer. That the heads tell the *MLPs* is an inference: patched whole they carry the fact, straight to the logits hardly anything, and nobody else is left to listen (layer 1's heads are worth 0.02 each). The paths add up to 1.01, not exactly 1: the last normalisation is not linear.

# %% [markdown]
# ## Lab
#
# Click places into the run: tiles 1 to 8 are the words before layer 0, tiles 9 to 16 before layer 1 (with *head*: what the head gives out there). Each click fills a cell with what this place does alone; the diamond shows all together.

# %%
playground = lab.patching.patching_board()
playground

# %%
playground.filmstrip()

# %%
print(lab.patching.patching_board().user_sets(places=(8, 16), part="heads 2 and 3"))  # a second copy

# %% [markdown]
# Small numbers in the map are the tiles'. Does *head 3* bring French back? *Heads 2 and 3*? Choose *both cities*, repair Oslo (3), then Paris (7). With *noise* the map shows what each place takes away.

# %% [markdown]
# ## Graded against the truth
#
# ### An oracle: a transformer whose heads we compiled
#
# For the copying task the weights can be written down. `zoo.compiled_copies()` has two heads that work and two that only look like it: the *decoy* attends like the induction head and writes where nobody reads, the *mute* looks hard at one token and has zero values.
#
# A row is a random block, repeated: ... A B ... A; B follows. **Induction** takes two steps: a head in layer 0 tells every token who stood before it; one in layer 1 looks for "A before me", and copies.

# %%
compiled = zoo.compiled_copies()
codes = copies.X[copies.y >= 15][:200, :29]  # cut in the second block: one A, one B before
B = copies.truth.source(codes)[:, -1]  # the planted position; A stands just before it
i, rng = np.arange(len(codes)), np.random.default_rng(0)
unused = [np.setdiff1d(np.arange(2, 42), row) for row in codes]
fresh = np.array([rng.choice(tokens, 3, replace=False) for tokens in unused])
elsewhere = np.array([rng.choice(np.setdiff1d(np.arange(1, 28), [b - 1, b, b + 1])) for b in B])
answers = np.column_stack([codes[i, B], fresh[:, 0]])


def changed(a=False, b=False, e=False):
    other = codes.copy()
    if e:
        other[i, elsewhere] = fresh[:, 2]  # a word that decides nothing
    if a:
        other[i, B - 1] = fresh[:, 1]  # A becomes X: nothing to find
    if b:
        other[i, B] = fresh[:, 0]  # B becomes C: another answer
    return other


print(" ".join(worlds.copies().truth.vocabulary.decode(codes[0])), "-> ?  B at", B[0])

# %%
targets = np.where(np.arange(29) == 28, B[:, None], -1)  # the last token should look at B
looks = patching.attention_to(compiled.model, codes, targets).mean(axis=0)
lost_a = (codes, changed(a=True), answers, "heads")
found = patching.patch_map(compiled.model, *lost_a, by_position=False)
for role, (k, h) in compiled.heads.items():
    effect = found.mean()[k, h]
    print(f"{role:15} head {k}.{h}: attention to B {looks[k, h]:.2f}, patch effect {effect:.2f}")

# %% [markdown]
# Both working heads come out with exactly 1, in this chain each restores everything; decoy and mute with 0. **The pattern alone cannot tell the decoy from the real head**: both look at B with all their attention. That is the whole case for intervening.

# %% [markdown]
# ### The planted position, in the trained model
#
# One exchanged word makes it too easy: the only place that differs must win. So exchange *both* cities, the one that decides and one that must not. Before layer 0 a patch simply puts the word back; six of the eight places are 0 by construction. That row tests whether the *model* ignores the other city. The row of layer 1 tests patching: all positions may differ there.

# %%
two = pairs.distractor >= 0
cities = np.unique(facts.X[np.arange(len(facts.X)), truth.subject(facts.X)])
both, rng = pairs.corrupted.copy(), np.random.default_rng(0)
for j in np.flatnonzero(two):
    free = np.setdiff1d(cities, [*pairs.clean[j], *pairs.corrupted[j]])
    both[j, pairs.distractor[j]] = rng.choice(free)
fair = patching.patch_map(facts_model, pairs.clean[two], both[two], pairs.answers[two])
place, last = pairs.subject[two], np.full(two.sum(), 7)

# %%
kind = [truth.templates[t][1] for t in pairs.template[two]]
for name, k, wanted in (("layer 0, city that decides", 0, place), ("layer 1, last word", 1, last)):
    cells = fair.values[:, k]
    frame = pd.DataFrame({"template": kind, "hit": cells.argmax(axis=1) == wanted})
    frame["effect"] = cells[np.arange(len(cells)), wanted]
    print(f"{name}: on top in {frame.hit.sum()} of {len(frame)} pairs")
    for template, one_kind in frame.groupby("template"):
        low = binomtest(int(one_kind.hit.sum()), len(one_kind)).proportion_ci().low
        print(f"   {template:39} {len(one_kind)}, at least {low:.2f}, effect", end=" ")
        print(interval(one_kind.effect))
others = fair.values[np.arange(len(place)), 0, pairs.distractor[two]]
print("layer 0, the other city, size of its effect:", interval(np.abs(others)))

# %% [markdown]
# Before layer 0 the deciding city is on top in every pair, whether it comes first or second, and the other city is worth 0.02: the model is not fooled, and the map says so. From layer 1 on the last word carries it; that is a finding about this model (planted is only that the *end* must have it there). With 56 to 84 pairs a template, "always" means at least 0.94. That a map finds something *inside* a model was tested on the compiled one.

# %%
fig, ax = plt.subplots(figsize=(7, 2.6))
mine = pairs.template[two] == 6
chosen = np.flatnonzero(two)[mine]
movie = patching.patch_map(facts_model, pairs.clean[chosen], both[chosen], pairs.answers[chosen])
line = truth.templates[6][1].format(other="OTHER", city="CITY")
movie.plot(ax, labels=["<s>", *line.split()])
ax.set_title("the residual stream patched: first the city, then the last word")
plots.show(fig, "Patch map of a template: 1.00 at the city before layer 0, 0.98 at the last word before layer 1.")

# %% [markdown]
# Rows are layers, columns positions, colours run from -1 to 1. Read it as a movie with two frames. Notice that OTHER stays white. What the map does not say: which head moved the fact, and how "speak" would know which city decides; for that see the heads above.

# %% [markdown]
# ### Induction heads that trained themselves
#
# Now the copying model of the machine, attention only. Where do its heads look, and what are they worth? The pattern first: in layer 1 attention to B; in layer 0 attention to the token before, at the place that matters, from B to A. (`truth.source` gives the nearest position to copy from; `y` is the length of the block, and a length of 15 or more leaves one A and one B before the cut.)

# %%
looks = patching.attention_to(copier, codes, targets).mean(axis=0)[1]
from_b = np.where(np.arange(29) == B[:, None], B[:, None] - 1, -1)
before = patching.attention_to(copier, codes, from_b).mean(axis=0)[0]
lost_b = (codes, changed(b=True), answers, "heads")
changes = patching.patch_map(copier, *lost_b, by_position=False)
finds = patching.patch_map(copier, *lost_a, by_position=False)
print("layer 1, attention to B:        ", looks.round(2))
print("layer 1, effect, B exchanged:   ", changes.mean()[1].round(2))
print("layer 0, attention from B to A: ", before.round(2))
print("layer 0, effect, A exchanged:   ", finds.mean()[0].round(2))

# %%
planted = patching.patch_map(copier, codes, changed(b=True, e=True), answers)
for k in (0, 1):
    hit = (planted.values[:, k].argmax(axis=1) == B).sum()
    effects = [planted.values[i, k, where] for where in (B, elsewhere)]
    print(f"layer {k}: B on top in {hit} of 200 rows, effect {interval(effects[0])};", end=" ")
    print("size at the other exchanged token", interval(np.abs(effects[1])))
wires = (copier, codes, changed(a=True), answers, (1, 0))
for name in ("keys", "queries", "values"):
    wire = patching.path_patch(*wires, inputs=name)
    print(f"A exchanged, heads 0.0 to 0.3 to head 1.0 through its {name:7}:", wire.mean()[1:].round(2) + 0.0)

# %% [markdown]
# The circuit is there, but shared out: *four* heads look at B, and in layer 0 two, 0.3 (0.69) and 0.1 (0.54), look from B back to A. The paths say the rest: head 1.0 listens to these two, through its keys, not through queries or values. For the planted position a second token was exchanged too. Layer 0 of that map is again only the input; in layer 1 B is still on top in every row: the value waits where it stands until layer 1 fetches it.

# %% [markdown]
# ### How it comes about
#
# The training left 16 checkpoints, closely spaced where it matters. Loss where the next token can be known and where it can not; the best induction score; the best previous-token score, within the first block (where it is needed; further on these heads stop).

# %%
sources, shown = copies.truth.sources(rows), copies.truth.sources(rows).any(axis=2)
block = np.arange(49) < copies.y[400:460, None]  # the first block of each row
one_before = np.where(block, np.arange(49) - 1, -1)


def measured(step, model):
    run = patching.record(model, rows)
    loss = losses(run.scores, rows)
    weight = (run["blocks.1.attention.pattern"] * sources[:, None]).sum(axis=3)
    induction = (weight * shown[:, None]).sum(axis=(0, 2)) / shown.sum()
    previous = patching.attention_to(model, rows, one_before).mean(axis=0)[0]
    in_context = loss[:, 40:].mean() - loss[:, :7].mean()  # late minus early in the row
    both_losses = [loss[known].mean(), loss[~known].mean()]
    return [step, *both_losses, induction.max(), previous.max(), in_context]


def losses(scores, tokens):
    z = torch.as_tensor(scores[:, :-1]).log_softmax(dim=2)
    return -z.gather(2, torch.as_tensor(tokens[:, 1:, None]))[..., 0].numpy()


# %%
names = ["step", "known", "unknown", "induction", "previous", "in-context"]
checkpoints = zoo.checkpoints("copies-transformer")
print(len(checkpoints), "checkpoints of one training run")
history = pd.DataFrame([measured(*checkpoint) for checkpoint in checkpoints], columns=names)
shown_steps = history[history.step.isin([0, 200, 275, 300, 325, 400, 1200])]
print(shown_steps.to_string(index=False, float_format="{:.2f}".format))

# %%
fig, axes = plt.subplots(1, 2, figsize=(8.4, 3.2))
for ax in axes:
    ax.axvspan(275, 325, color=plots.TRUTH, alpha=0.25, lw=0)
    ax.set(xlabel="training steps", xlim=(0, 600))
points = {"marker": "o", "ms": 3}  # the checkpoints
axes[0].plot(history.step, history.known, color=plots.ANCHOR, label="known", **points)
axes[0].plot(history.step, history.unknown, "--", color=plots.CONTEXT, label="not known", **points)
axes[0].set(ylabel="loss, nats per token", title="the loss falls off a cliff")
axes[1].plot(history.step, history.induction, color=plots.ANCHOR, label="induction", **points)
axes[1].plot(history.step, history.previous, "--", color=plots.POSITIVE, label="previous token", **points)
axes[1].set(ylabel="attention", title="when the heads form", ylim=(0, 1.05))
axes[0].legend(fontsize=8, loc="center right", title="next token", title_fontsize=8)
axes[1].legend(fontsize=8, loc="center right", title="score", title_fontsize=8)
plots.show(fig, "Between steps 275 and 325 the loss on known tokens collapses and the induction score shoots up.")


# %% [markdown]
# Left the loss, right the scores; dots are checkpoints, the band is 50 steps wide. In this one run the loss creeps for 275 steps down to 2.84, then in 50 it falls to 0.26 while the induction score climbs from 0.11 to 0.84 (the sum over *all* earlier copies of B; the exercise counts the latest alone). The *in-context score*, loss late minus early in the row, falls with it from -0.71 to -3.35. What the figure does not say: that the heads *cause* the fall. They appear together. The ablations below show that the *finished* model needs them.

# %% [markdown]
# ## Break it
#
# ### One at a time misses the group
#
# Back to Tomas: each head of layer 1 alone could go. Criterion: a list of heads that may go must stay right when they go *together*.


# %%
def gone(*numbers):
    out = [Site("blocks.1.attention.heads", h) for h in numbers]
    return accuracy(patching.ablate(copier, rows, out, reference=reference))


print("two heads gone:", [f"{gone(a, b):.2f}" for a, b in combinations(range(4), 2)])
print(f"all four gone: {gone(0, 1, 2, 3):.2f}")
scores = patching.ablate(facts_model, prompts, "blocks.1.attn_out", reference=facts.X)
print(f"facts model, attention of layer 1 gone: {facts_accuracy(scores):.2f}")

# %% [markdown]
# There is the answer: in the facts model the second layer's attention can go, in the copying model it is everything. Its four heads are **redundant**: parallel votes for the same token, and the majority of votes wins with some to spare. Three of them at once is an exercise.
#
# Detection: ablate groups. Four of eight heads make 70 groups; the best of them is then tried on fresh rows, because the best of 70 flatters itself.

# %%
every = [Site(f"blocks.{k}.attention.heads", h) for k in (0, 1) for h in range(4)]
groups = list(combinations(range(8), 4))


def of_groups(model, tokens, others, score):
    left = [patching.ablate(model, tokens, [every[j] for j in g], reference=others) for g in groups]
    return np.array([score(scores) for scores in left])


for name, *how in (
    ("facts ", facts_model, prompts, facts.X[:100], facts_accuracy),
    ("copies", copier, rows, reference, accuracy),
):
    right_without = of_groups(*how)
    print(f"{name}: layer 1 gone {right_without[groups.index((4, 5, 6, 7))]:.2f},", end=" ")
    print(f"median group {np.median(right_without):.2f},", end=" ")
    print("best three", np.sort(right_without)[:-4:-1].round(2))
best = groups[int(np.argmax(right_without))]

# %%
new = worlds.copies(300, random_state=77)
scores = patching.ablate(copier, new.X, [every[j] for j in best], reference=reference)
can_know = new.truth.source(new.X)[:, :-1] >= 0
fresh_rows = (scores[:, :-1].argmax(axis=2) == new.X[:, 1:])[can_know].mean()
print("best four to remove:", *[f"{j // 4}.{j % 4}" for j in best], f"on fresh rows {fresh_rows:.2f}")

# %% [markdown]
# In the facts model no group of the 70 is better than the second layer, in the copying model none is worse. There the machine can have its four heads, two from each layer, at a price of three or four wrong tokens in a hundred (two more groups are too close to call). Could single heads have named the group? Their accuracies tie six heads at 1.00. Effects in logits say more:

# %%
many = patching.patch_map(copier, *lost_a, by_position=False, direction="noise")
enough, needed = finds.mean(), 1 - many.mean()
print("A exchanged, needed one by one: layer 0", needed[0].round(2), " layer 1", needed[1].round(2))
lowest = np.argsort(needed.ravel())[:4]
print("needed least:", sorted(f"{j // 4}.{j % 4}" for j in lowest))

# %%
print(f"layer 1: sum of enough {enough[1].sum():.2f}, sum of needed {needed[1].sum():.2f}", end="; ")
gap = finds.values[:, 1].sum(axis=1) - (1 - many.values[:, 1]).sum(axis=1)
print("paired difference", interval(gap))


# %% [markdown]
# The four that are needed least are the best group, so here single effects in logits would have named it (1.3 is a close fifth), though not its price.
#
# ### An OR that is none
#
# Look at the sums for layer 1: enough for 1.42 times the effect, needed for 0.63. By hand that was the fingerprint of OR. But behind these heads stands nothing except the last normalisation. Take its divisor, the standard deviation of the stream, out, and count the plain votes:


# %%
def votes(model, tokens, answers):
    """Direct effects before the last divisor is applied, and that divisor."""
    found = patching.direct_logit_attribution(model, tokens, answers)
    x = patching.record(model, tokens, "blocks.1.resid_post")["blocks.1.resid_post"][:, -1]
    divisor = np.sqrt(x.var(axis=1) + 1e-5) if isinstance(model.norm, torch.nn.LayerNorm) else 1.0
    return pd.DataFrame(found.values * np.reshape(divisor, (-1, 1)), columns=found.feature_names), divisor


own_votes, divisor = votes(copier, codes, answers)
print("divisor, clean:", interval(divisor))
for name, how in (("A", {"a": True}), ("B", {"b": True})):
    other_votes, other_divisor = votes(copier, changed(**how), answers)
    moved = (own_votes - other_votes).mean()
    shares = (moved / moved.sum())[[f"head 1.{h}" for h in range(4)]]
    print(f"{name} exchanged: divisor {interval(other_divisor)}, shares", shares.round(2).to_list())

# %% [markdown]
# With A exchanged nothing is found, the stream is smaller, and everything left in it is turned up: a repaired head speaks through a smaller divisor than in the clean run. The votes themselves add up: the heads' shares are the same for A and for B, with sum 1. **An OR-like number can come from a divisor.** Read it after taking the divisor out. Exchange B, where the divisor hardly changes, and the sums agree (that both miss 1 is the divisor again, of half-repaired streams):

# %%
noised = patching.patch_map(copier, *lost_b, by_position=False, direction="noise")
enough, needed = changes.mean()[1], 1 - noised.mean()[1]
print(f"B exchanged, layer 1: enough {enough.round(2)}, sum {enough.sum():.2f}")
print(f"                      needed {needed.round(2)}, sum {needed.sum():.2f}")


# %% [markdown]
# Still, **the corruption is part of the question**: whoever reports "head 1.0 has an effect of 0.34" (or 0.49, or 0.26) must say against which corruption, and in which direction.
#
# ### Self-repair by rescaling
#
# The same divisor in an ablation. Set one head of layer 1 to zero, by a hook: its vote is gone. What do the others do?


# %%
def with_silent(model, layer, head, count, to=None):
    """Run ``count()`` while one head says ``to`` (zero, or its mean) at every position."""

    def silence(module, inputs, value):
        value = value.clone()
        value[:, head] = 0 if to is None else torch.as_tensor(to[head])
        return value

    hook = model.get_submodule(f"blocks.{layer}.attention.heads").register_forward_hook(silence)
    found = count()
    hook.remove()
    return found


for h in range(4):
    later, smaller = with_silent(copier, 1, h, lambda: votes(copier, codes, answers))
    mine = f"head 1.{h}"
    change = np.abs((later - own_votes).drop(columns=mine)).max().max()
    said, total = own_votes[mine] / divisor, own_votes.sum(axis=1) / divisor
    fall = total - later.sum(axis=1) / smaller
    print(f"{mine}: said {said.mean():.2f}, fall {fall.mean():.2f}; ", end="")
    print(f"divisor {smaller.mean():.2f}; largest change of another vote {change:.2f}")

# %% [markdown]
# Head 1.0 said 4.06 logits, and without it the difference falls by 2.17. Half comes back, although no other vote moves: the divisor shrinks from 0.64 to 0.51. This **self-repair** fools whoever reads logits. It does not explain Tomas's table: one positive divisor scales all tokens alike and (biases aside) never changes which is largest. Accuracy holds because of the **margin**: enough votes are left.
#
# ### A backup proper
#
# Redundant heads all speak all the time. A **backup head** speaks only when another falls silent (Wang et al. saw it in GPT-2). It must stand behind the one it replaces, to hear the silence. Let us build one: three tokens, `<s> x <s>`, and the answer is x.

# %%
spare = Transformer(6, 3, width=15, n_heads=1, n_layers=2, mlp=False, normalise=False).eval()
for weight in spare.parameters():
    torch.nn.init.zeros_(weight)
token, said = slice(0, 6), slice(9, 15)  # parts of the stream; between them the position, 6 to 8
with torch.no_grad():
    spare.tokens.weight[:, token], spare.positions.weight[:, 6:9] = torch.eye(6), torch.eye(3)
    spare.output.weight[:, said] = 8 * torch.eye(6)
    for block in spare.blocks:
        head = block.attention
        head.W_Q.weight[0, 8], head.W_K.weight[0, 7] = 60, 1  # the last token looks at x ...
        head.W_V.weight[1:6, 1:6], head.W_O.weight[said, token] = torch.eye(5), torch.eye(6)
    head.W_Q.weight[1, said], head.W_K.weight[1, 6] = 120, 1  # ... layer 1 at <s>, if x is said

# %%
prompt = np.array([[0, x, 0] for x in range(1, 6)])
pick = np.column_stack([prompt[:, 1], np.roll(prompt[:, 1], 1)])
means = patching.record(spare, prompt)["blocks.0.attention.heads"].mean(axis=0)
heads_of = ["head 0.0", "head 1.0"]
for name, found in (
    ("untouched", votes(spare, prompt, pick)),
    ("head 0.0 set to zero", with_silent(spare, 0, 0, lambda: votes(spare, prompt, pick))),
    ("head 0.0 set to its mean", with_silent(spare, 0, 0, lambda: votes(spare, prompt, pick), means)),
):
    print(f"{name:24} direct effects", (found[0][heads_of].mean().round(2) + 0.0).to_dict())
out = [Site(f"blocks.{k}.attention.heads", 0) for k in (0, 1)]
neither = patching.logit_difference(patching.ablate(spare, prompt, out, to="zero"), pick)
print("both set to zero, logit difference:", neither.mean().round(2) + 0.0)
twin = np.roll(prompt, 1, axis=0)  # another x
swap = patching.patch_map(spare, prompt, twin, pick, "heads", by_position=False, direction="noise")
print("x exchanged, needed:", *heads_of, (1 - swap.mean()).ravel().round(2) + 0.0)

# %% [markdown]
# Set head 0.0 to zero, and head 1.0 takes over, all 8 logits: neither is needed alone, both together are. That is a backup. Set it to its *mean*, and the backup sleeps: it hears a voice, if only a murmur, and the answer is lost. Exchange x, and it sleeps, too (needed: 1 and 0). So whether you find a backup hangs on what you put in.
#
# Do the trained models have one? Silence each head of layer 0, and look for votes behind it that *grow* (the divisor held):

# %%
for name, model, *asked in (
    ("facts", facts_model, pairs.clean, pairs.answers),
    ("copies", copier, codes, answers),
):
    start, divisor = votes(model, *asked)
    behind = [part for part in start.columns if part.startswith(("head 1", "MLP"))]
    told = patching.record(model, asked[0])["blocks.0.attention.heads"].mean(axis=0)
    for how, to in (("zero", None), ("mean", told)):
        runs = [with_silent(model, 0, h, lambda: votes(model, *asked)[0], to) for h in range(4)]
        growth = [((later - start)[part] / divisor, part, h) for h, later in enumerate(runs) for part in behind]
        most, part, h = max(growth, key=lambda found: found[0].mean())
        print(f"{name:6} to {how}: most growth, {part} when 0.{h} is silent: {most.mean():.2f}", end=" ")
        print(f"on {(start[part] / divisor).mean():.2f} logits")


# %% [markdown]
# No. The largest growth is 0.13 logits, where the part said 4.06 before, and it is the largest of sixteen. In the facts model it is 0.03 of a difference of ten. We looked for backups in these two models and did not find any. Two layers leave little room for one; it says nothing about large models, where whole heads and layers have been seen to wake up (Wang et al., McGrath et al.).
#
# ### A corruption that changes two halves of one mechanism
#
# Criterion: a repaired place must not make things worse. Exchange A *and* B, repair one:


# %%
def score(model, into, source, *positions):
    places = [Site("blocks.0.resid_pre", position=p) for p in positions]
    return patching.logit_difference(patching.patch(model, into, source, places), answers).mean()


broken = changed(a=True, b=True)
for name, model in (("compiled", compiled.model), ("trained", copier)):
    top, bottom = score(model, codes, codes, B), score(model, broken, broken, B)
    for label, where in (("A", B - 1), ("B", B)):
        enough = (score(model, broken, codes, where) - bottom) / (top - bottom)
        needed = (top - score(model, codes, broken, where)) / (top - bottom)
        print(f"{name:9} {label}: enough {enough:5.2f}, needed {needed:5.2f}")
repaired = score(copier, broken, codes, B - 1, B) / score(copier, codes, codes, B)
print(f"trained, both repaired: {repaired:.2f} of the clean logit difference")

# %% [markdown]
# A repaired alone is worth *minus* 0.75: it points to where B stood, and there stands C. Both are needed, B for 1.75 times the distance: what comes is not silence but a wrong answer. This is no plain AND but an **interaction**, of a pointer and what it points to. A map of single patches would say that A speaks against the right answer. Detection: repair the places together. (Exchanging both *cities* was fair: there the second word is idle.)

# %% [markdown]
# ### It is there, and nobody asks
#
# A correlational witness: what can a probe read at the position of the city, before layer 1? With chapter 11's control: a random country for each city. And a harder split: one city of each country is kept out of training.

# %%
X, country = facts.X[truth.relation(facts.X) == 0], facts.y[truth.relation(facts.X) == 0]
run = patching.record(facts_model, X, "blocks.1.resid_pre")
city = X[np.arange(len(X)), truth.subject(X)]
at_city = run["blocks.1.resid_pre"][np.arange(len(X)), truth.subject(X)].astype(float)

# %%
rng = np.random.default_rng(0)
random_rows = rng.random(len(X)) < 2 / 3
each, first_seen = np.unique(city, return_index=True)
number_of = np.searchsorted(each, city)
controls = [rng.permutation(country[first_seen])[number_of] for _ in range(5)]


# %%
def probed(labels, train):
    probe = LogisticRegression(max_iter=2000).fit(at_city[train], labels[train])
    return probe.score(at_city[~train], labels[~train])


def without_a_city_each(rng):
    kept_out = [rng.choice(np.unique(city[country == c])) for c in np.unique(country)]
    return probed(country, ~np.isin(city, kept_out))


# %%
of_control = np.mean([probed(labels, random_rows) for labels in controls])
print(f"country {probed(country, random_rows):.2f}, random country, 5 draws: {of_control:.2f}")
unseen = [without_a_city_each(rng) for _ in range(10)]
print(f"country of cities never probed before, 10 draws: {interval(unseen)}; guessing {1 / 16:.2f}")
everywhere = patching.patch_map(*given)
print("patching the same place: effect", interval(everywhere.values[np.arange(300), 1, pairs.subject]))

# %% [markdown]
# 1.00 for the country looks splendid, and a random country gets nearly as much: the probe reads *which city* it is and learns the rest by heart. On cities it has not met it is right four times in ten. The city's embedding simply stays in the stream. So the city is there, the country at best in part, and the place is worth 0.02: layer 0 has read it, and hardly anybody reads it again. **Decodable is not used.**

# %% [markdown]
# ## On real data
#
# Real sentences, from the docstrings of installed packages, and a transformer of the same size trained on them to say the next word. Are there induction heads in it? The same measurement: sentences of 30 words that it never saw, written twice in a row.

# %%
writer, vocabulary = zoo.load("docstrings-transformer"), zoo.vocabulary("docstrings-transformer")
paragraphs = real.docstring_paragraphs()


def first_words(texts):
    tokens = zoo.encode("docstrings-transformer", texts, longest=31)
    return tokens[(tokens != 0).all(axis=1)]


sentences = first_words(paragraphs.test[0])[:100]
twice = np.concatenate([sentences, sentences[:, 1:]], axis=1)
target = np.r_[np.full(31, -1), np.arange(2, 32)]  # one after the same word in the first round
looks = patching.attention_to(writer, twice, target)
evenly = (1 / np.arange(32, 62)).mean()
best = looks.mean(axis=0).max()
print(f"attention to the target: best head {best:.3f}; looking everywhere alike gives {evenly:.3f}")
print(len(paragraphs.train[0]), "paragraphs to learn from; held out:", *vocabulary.decode(sentences[0])[1:12])


# %%
def second_half(before):
    rows = np.concatenate([sentences[:, :1], before, sentences[:, 1:]], axis=1)
    return losses(patching.record(writer, rows, "embedded").scores, rows)[:, 31:].mean(axis=1)


own = sentences[:, 1:]
same, other = second_half(own), second_half(np.roll(own, 1, axis=0))
bag = second_half(np.random.default_rng(0).permuted(own, axis=1))
print(f"loss on a sentence after itself {same.mean():.2f}, after its words shuffled {bag.mean():.2f},")
print(f"after another sentence {other.mean():.2f}")
print("paired: itself - another", interval(same - other), " itself - shuffled", interval(same - bag))

# %% [markdown]
# No head looks at the target more than at anything else: 0.024 for the best of eight, evenly 0.022; in the copying model the same measure gives 0.98. And the loss? Comparing the second round with the first would be wrong, later positions are harder for this model. Same words, same positions, another text before: a sentence after itself is easier by a third of a nat. But its own words in random order help nearly as much. The model uses *which* words came, hardly their order (0.05). So: no induction heads *in this model*. It read a few thousand paragraphs, each about something else; little paid for one. Large models have them.

# %%
usual = losses(patching.record(writer, sentences, "embedded").scores, sentences).mean(axis=1)
background = first_words(paragraphs.train[0][:600])
for point in [f"blocks.{k}.{part}" for k in (0, 1) for part in ("attn_out", "mlp.out")]:
    scores = patching.ablate(writer, sentences, point, reference=background)
    worse = losses(scores, sentences).mean(axis=1) - usual
    print(f"{point:17} gone: loss rises by {interval(worse)}")
lens = patching.logit_lens(writer, sentences[:, :-1])
ranks = lens.ranks(sentences[:, -1])
print("median rank of the word that follows, stage by stage:", np.median(ranks, axis=0))

# %% [markdown]
# Words instead of copies: the first layer is worth most (attention 0.67, MLP 1.15 nats), the second little. The lens shows the word that really follows climbing from rank 210 to 6, with its one great leap at the first MLP. No truth is known here: these are ablations to the mean, one block at a time, on a hundred sentences, and everything this chapter said about groups and corruptions holds for them too.
#
# **A larger model.** With the extra `pretrained` and, once, a network connection, the same hooks open GPT-2:
#
# ```
# python -m xailib.pretrained "When Mary and John went to the store, John gave a drink to" \
#     --answer " Mary" --against " John"
# ```
#
# It prints the lens, the largest direct contributions and the patch map.
#
# **Bring your own.** Replace model, sentences and answers; both sentences must have equally many tokens.

# %%
my_model, my_vocabulary = facts_model, words
my_clean, my_corrupted = "<s> the old city of Kyoto lies in", "<s> the old city of Lisbon lies in"
my_answers = [my_vocabulary.number("Japan"), my_vocabulary.number("Portugal")]

# %%
my_tokens = my_vocabulary.encode([my_clean, my_corrupted])
my_found = patching.patch_map(my_model, my_tokens[:1], my_tokens[1:], my_answers, "heads")
print(my_found)
top = my_found.to_frame().sort_values("effect", ascending=False).head(3)
print(top.round(2).to_string(index=False))

# %% [markdown]
# ## Strengths, limits, when not to use it
#
# **Strengths.** It intervenes: what it finds is used. It is exact, cheap (one batch a layer), needs no training and no gradient, and its scale has a meaning. All parts, positions and heads can be asked the same question.
#
# > **Pitfall. Enough is not needed.** Denoising finds what suffices, noising what is required. OR hides from one, AND from the other. Do both.
#
# > **Pitfall. One at a time misses the group.** Four heads that can each go are not four heads that can go. Ablate groups. And a backup may sleep on when you put in a mean.
#
# > **Pitfall. A divisor looks like a mechanism.** The last normalisation makes plain votes look like OR, and turns the rest up when one is taken away. Compare the votes before it.
#
# > **Pitfall. The corruption is part of the question.** The same head is worth 0.34 against one corruption and 0.49 against another. Exchange both halves of a mechanism, and a repair does harm. Say which words you changed, and that each stands alone.
#
# > **Pitfall. The measure is part of the question.** Accuracy is blind until the finish line is crossed; a logit difference sees every step and ignores what raises both answers.
#
# > **Pitfall. Direct is not total.** The lens and direct attribution see the last step only. Whoever works through others gets no credit.
#
# > **Pitfall. A place is not a part.** "The fact is at the last word" is a frame of a movie. It says neither who brought it nor who will read it.
#
# **Leave it** when you cannot write a corrupted twin that differs in one thing and has an answer of its own; when you want to know what is *encoded* (chapter 11); when inputs have no common positions. In a large model patch groups first, and single heads within them.

# %% [markdown]
# ## Exercises

# %%
ex.card("patching.effect")


# %%
def patch_effect(patched, clean, corrupted):
    # your code
    ...


patch_effect = ex.check("patching.effect", patch_effect)

# %%
ex.card("patching.lens")


# %%
def read_early(x, gamma, beta, W, b):
    # your code
    ...


read_early = ex.check("patching.lens", read_early)

# %%
ex.card("patching.ablate")


# %%
def mean_ablated(heads, head):
    # your code
    ...


mean_ablated = ex.check("patching.ablate", mean_ablated)

# %%
ex.card("patching.induction")


# %%
def induction_score(pattern, tokens):
    # your code
    ...


induction_score = ex.check("patching.induction", induction_score)

# %%
ex.card("patching.three")

# %%
my_guess = ...  # first
my_accuracy = ...  # then measure
my_accuracy = ex.check("patching.three", my_accuracy, prediction=my_guess)

# %%
ex.card("patching.direct")


# %%
def direct_effects(parts, gamma, towards):
    # your code
    ...


direct_effects = ex.check("patching.direct", direct_effects)

# %%
ex.card("patching.memo")

# %%
claims_that_hold = ...  # such as "ac"
claims_that_hold = ex.check("patching.memo", claims_that_hold)

# %%
ex.progress("patching")

# %% [markdown]
# ## Quiz

# %%
ex.quiz("patching")

# %% [markdown]
# ## Take-away
#
# 1. Put a value of one run into another, and measure how far the answer moves: 0 as corrupted, 1 as clean.
# 2. Denoising asks "enough?", noising asks "needed?". With OR and AND the answers differ; a fair report has both.
# 3. In the facts model the city matters until layer 0 has read it; then only the last word does, although the city is still readable.
# 4. In this run induction heads form suddenly, and four of them vote: hardly a token needs any one, nearly all need the four.
# 5. Before you tell of repair or OR, take the last divisor out. Backup proper shows only when the first head falls silent.
# 6. Patterns, probes and lenses raise suspicions. An intervention, against a stated corruption, settles them.

# %% [markdown]
# ## Further reading
#
# - Vig et al. (2020), *Investigating gender bias in language models using causal mediation analysis*, NeurIPS 33. The first patches.
# - Elhage et al. (2021), *A mathematical framework for transformer circuits*, Transformer Circuits Thread. The stream, heads as paths, induction.
# - Olsson et al. (2022), *In-context learning and induction heads*, arXiv 2209.11895. The phase change.
# - Meng et al. (2022), *Locating and editing factual associations in GPT*, arXiv 2202.05262. Causal tracing.
# - Wang et al. (2022), *Interpretability in the wild: a circuit for indirect object identification in GPT-2 small*, arXiv 2211.00593. Path patching, backup heads.
# - McGrath et al. (2023), *The Hydra effect: emergent self-repair in language model computations*, arXiv 2307.15771.
# - Heimersheim & Nanda (2024), *How to use and interpret activation patching*, arXiv 2404.15255. Denoising, noising, AND and OR.
# - nostalgebraist (2020), *Interpreting GPT: the logit lens*.
