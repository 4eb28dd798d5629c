# %% [markdown]
# # Opening the box: patching and circuits
#
# You will reach into a transformer while it answers, exchange one inner value, and watch the answer move. At the end you can say where a fact travels, which heads carry it, and when your own experiment misleads you.
#
# Attention shows where a head looks, a probe shows what is there. Neither shows what is *used*. Patching does: it is the experiment that chapters 10 and 11 kept asking for. It has a trap of its own: parts that stand in for each other are invisible one at a time.
#
# **Estimated time:** 125 minutes
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
from xailib.zoo.transformer import hook_points

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
# A railway wants two small models in its ticket machines. One finishes announcements: "unlike Oslo , people in Paris speak ...". The other finishes codes that a passenger types for the second time. Both are transformers of two layers with four heads each, and the machine has room for half of the heads.
#
# Tomas, the engineer, takes out one head at a time: its output is replaced by its mean over many sequences, which is called **mean ablation**. Then he counts right answers.

# %%
facts, copies = worlds.facts(), worlds.copies(600, random_state=5)
truth, words, copier = facts.truth, facts.truth.vocabulary, zoo.load("copies-transformer")
prompts, right = facts.test


def accuracy(scores):
    return (scores[:, :-1].argmax(axis=2) == rows[:, 1:])[known].mean()


def facts_accuracy(scores):
    return (scores[:, -1].argmax(axis=1) == right).mean()


def interval(values):
    return "{:.2f} ({:.2f} to {:.2f})".format(*mean_interval(values))


rows, reference = copies.X[400:460], copies.X[:200]
known = copies.truth.source(rows)[:, :-1] >= 0  # here the next token can be known

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
# OR: each head is enough, neither is needed. AND: both needed, neither enough. So **denoising and noising answer different questions**, and each alone is blind to one of the two. Tomas's ablation is a kind of noising.

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
print(pd.DataFrame(np.abs(my_map), ["layer 0", "layer 1"], columns).round(2).to_string())

# %% [markdown]
# Before layer 0 everything hangs on "Paris". That had to be: it is the only word that differs. Before layer 1, one step later, "Paris" is worth 0.01 and the last word 0.99. The fact has moved, all of it, in a single step. Nothing we planted said so; this is the network's own way.

# %% [markdown]
# ## The library way
#
# TransformerLens is the package of the field (no part of this course's installation). There, with GPT-2:
#
# ```python
# from transformer_lens import TransformerBridge, patching
#
# model = TransformerBridge.boot_transformers("gpt2")
# _, cache = model.run_with_cache(clean_tokens)
# patching.get_act_patch_resid_pre(model, corrupted_tokens, cache, logit_difference)
# ```
#
# It runs the whole model once per place. `patch_map` makes one batch of all positions of a layer, and starts at that layer from the recorded stream. Our tests hold both to equal numbers. Here, against yours:

# %%
one = patching.patch_map(facts_model, pair[:1], pair[1:], [french, italian])
assert np.allclose(one.values[0], my_map, atol=1e-4)
print("ok: the same map;", one)

# %% [markdown]
# One pair is an anecdote. 300 pairs, of all eight templates, each with another deciding city; the heads, and the parts of each block at the last position:

# %%
pairs = truth.pairs(300, random_state=1)
given = (facts_model, pairs.clean, pairs.corrupted, pairs.answers)
heads = patching.patch_map(*given, "heads", by_position=False)
print(heads.to_frame().to_string(index=False, float_format="{:.2f}".format))
for part in ("attn_out", "mlp.out"):
    found = patching.patch_map(*given, part)
    print(part, "at the last word, layers 0 and 1:", found.mean()[:, -1].round(2))


# %% [markdown]
# Two heads of layer 0, 0.3 and 0.2, carry most of the fact. The values of the attention outputs, 0.98 and 0.09, say the same: layer 0 reads the city. The MLPs, 0.73 and 0.61, add up to more than 1 because the second reads what the first wrote.
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
some = {"head 0.3": sites[3], "head 0.0": sites[0], "layer 1 attention": "blocks.1.attn_out"}
for name, head in some.items():
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
# So the circuit, in words: heads 0.3 and 0.2 read the city and tell the MLPs at the last word; the MLPs name the answer. The paths add up to 1.01; they need not give 1 exactly, since the last normalisation is not linear.

# %% [markdown]
# ## Lab
#
# Click places into the run: tiles 1 to 8 are the words before layer 0, tiles 9 to 16 before layer 1 (with *head*: what the head gives out there). Each click fills a cell of the map with what this place does alone; the diamond shows all of them together.

# %%
playground = lab.patching.patching_board()
playground

# %%
playground.filmstrip()

# %%
print(lab.patching.patching_board().user_sets(places=(8, 16), part="head 3"))  # a second copy

# %% [markdown]
# Can you bring French back with *head 3* alone? Choose *both cities*, repair Oslo (3), then Paris (7). Switch to *noise*: now 1 means that nothing happened.

# %% [markdown]
# ## Graded against the truth
#
# ### An oracle: a transformer whose heads we compiled
#
# For the copying task somebody can write the weights down. `zoo.compiled_copies()` has two heads that work and two that only look like it: the *decoy* attends exactly like the induction head and writes where nobody reads, the *mute* looks hard at one token and its values are zero.
#
# A row is a random block, repeated: ... A B ... A. What follows is B. **Induction** takes two steps: a head in layer 0 tells every token who stood before it; one in layer 1 looks for the token with "A before me", and copies it.

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
# One exchanged word makes it too easy: the only place that differs must win. The fair test exchanges *both* cities, and patches one at a time. Only the planted one may come out on top.

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
for name, k, wanted in (("layer 0, city that decides", 0, place), ("layer 1, last word", 1, last)):
    hit = fair.values[:, k].argmax(axis=1) == wanted
    print(f"{name}: on top in {hit.sum()} of {len(hit)} pairs")
    for t in np.unique(pairs.template[two]):
        mine = pairs.template[two] == t
        worth = interval(fair.values[mine, k][np.arange(mine.sum()), wanted[mine]])
        low = binomtest(int(hit[mine].sum()), int(mine.sum())).proportion_ci().low
        print(f"   {truth.templates[t][1]:39} {mine.sum()} pairs: {hit[mine].mean():.2f}", end=" ")
        print(f"(at least {low:.2f}), effect {worth}")
others = fair.values[np.arange(len(place)), 0, pairs.distractor[two]]
print("layer 0, the other city, size of its effect:", interval(np.abs(others)))

# %% [markdown]
# In all four templates and in every pair the planted city is on top before layer 0, and the other city is worth nothing, whether it comes first or second. From layer 1 on the last word carries it; that row is no planted truth but a finding about this model (what is planted is only that the *last* layer must have it there). With 55 to 90 pairs a template, "always" means at least 0.94.

# %%
fig, ax = plt.subplots(figsize=(7, 2.6))
mine = pairs.template[two] == 6
chosen = np.flatnonzero(two)[mine]
some = patching.patch_map(facts_model, pairs.clean[chosen], both[chosen], pairs.answers[chosen])
line = truth.templates[6][1].format(other="OTHER", city="CITY")
some.plot(ax, labels=["<s>", *line.split()])
ax.set_title("the residual stream patched: first the city, then the last word")
plots.show(fig, "Patch map of a template: 1.00 at the city before layer 0, 0.98 at the last word before layer 1.")

# %% [markdown]
# Rows are layers, columns positions, colours run from -1 to 1. Read it as a movie with two frames. Notice that OTHER stays white. What the map does not say: which head moved the fact, and how "speak" would know which city decides; for that see the heads above.

# %% [markdown]
# ### Induction heads that trained themselves
#
# Now the copying model of the machine. Where do its heads look, and what does taking them out cost? The pattern first: attention to B (second layer), and to the token before (first layer).

# %%
looks = patching.attention_to(copier, codes, targets).mean(axis=0)[1]
before = patching.attention_to(copier, codes, np.arange(29) - 1).mean(axis=0)[0]
lost_b = (codes, changed(b=True), answers, "heads")
changes = patching.patch_map(copier, *lost_b, by_position=False)
finds = patching.patch_map(copier, *lost_a, by_position=False)
print("layer 1, attention to B:        ", looks.round(2))
print("layer 1, effect, B exchanged:   ", changes.mean()[1].round(2))
print("layer 0, attention to one before:", before.round(2))
print("layer 0, effect, A exchanged:   ", finds.mean()[0].round(2))

# %%
stream = patching.patch_map(copier, codes, changed(b=True, e=True), answers)
for k in (0, 1):
    hit = (stream.values[:, k].argmax(axis=1) == B).sum()
    effects = [stream.values[i, k, where] for where in (B, elsewhere)]
    print(f"layer {k}: B on top in {hit} of 200 rows, effect {interval(effects[0])};", end=" ")
    print("size at the other exchanged token", interval(np.abs(effects[1])))
wires = (copier, codes, changed(a=True), answers, (1, 0))
keys, queries = (patching.path_patch(*wires, inputs=name) for name in ("keys", "queries"))
print("A exchanged, to head 1.0, through its keys:", *keys.axes["sender"][1:], keys.mean()[1:].round(2))
print("through its queries, largest:", np.abs(queries.mean()).max().round(2))

# %% [markdown]
# The circuit is there, but shared out: *four* heads look at B, and no head of layer 0 is a clean previous-token head: 0.1 and 0.3 give it about half of their attention, and the path through the keys of head 1.0 says that 0.3 and 0.1 are whom it listens to. For a fair test of the planted position a second token was exchanged too: B is on top in every row, in both layers. Here the value waits where it stands until layer 1 fetches it.

# %% [markdown]
# ### How it comes about
#
# The training left 16 checkpoints, closely spaced where it matters. Loss where the next token can be known and where it can not; the best induction score and the best previous-token score.

# %%
sources, shown = copies.truth.sources(rows), copies.truth.sources(rows).any(axis=2)


def measured(step, model):
    run = patching.record(model, rows)
    z = run.scores[:, :-1] - run.scores[:, :-1].max(axis=2, keepdims=True)
    loss = np.log(np.exp(z).sum(axis=2)) - np.take_along_axis(z, rows[:, 1:, None], axis=2)[..., 0]
    weight = (run["blocks.1.attention.pattern"] * sources[:, None]).sum(axis=3)
    induction = (weight * shown[:, None]).sum(axis=(0, 2)) / shown.sum()
    previous = patching.attention_to(model, rows, np.arange(rows.shape[1]) - 1).mean(axis=0)[0]
    in_context = loss[:, 40:].mean() - loss[:, :7].mean()  # late minus early in the row
    both_losses = [loss[known].mean(), loss[~known].mean()]
    return [step, *both_losses, induction.max(), previous.max(), in_context]


names = ["step", "known", "unknown", "induction", "previous", "in-context"]
checkpoints = zoo.checkpoints("copies-transformer")
print(len(checkpoints), "checkpoints")
history = pd.DataFrame([measured(*checkpoint) for checkpoint in checkpoints], columns=names)
some = history[history.step.isin([0, 200, 275, 300, 325, 400, 1200])]
print(some.to_string(index=False, float_format="{:.2f}".format))

# %%
fig, axes = plt.subplots(1, 2, figsize=(8.4, 3.2))
for ax in axes:
    ax.axvspan(275, 325, color=plots.TRUTH, alpha=0.25, lw=0)
    ax.set(xlabel="training steps", xlim=(0, 600))
axes[0].plot(history.step, history.known, color=plots.ANCHOR, label="known")
axes[0].plot(history.step, history.unknown, "--", color=plots.CONTEXT, label="not known")
axes[0].set(ylabel="loss, nats per token", title="the loss falls off a cliff")
axes[1].plot(history.step, history.induction, color=plots.ANCHOR, label="induction score")
axes[1].plot(history.step, history.previous, "--", color=plots.POSITIVE, label="previous-token score")
axes[1].set(ylabel="attention", title="when the heads form", ylim=(0, 1.05))
axes[0].legend(fontsize=8, loc="center right", title="next token", title_fontsize=8)
axes[1].legend(fontsize=8, loc="upper left")
plots.show(fig, "Between steps 275 and 325 the loss on known tokens collapses and the induction score shoots up.")


# %% [markdown]
# Left the loss, right the scores, the band is 50 steps wide. For 275 steps the loss creeps down to 2.84, then in 50 steps it falls to 0.26 while the induction score climbs from 0.11 to 0.84 (it sums over all earlier copies of B). The *in-context score*, loss late minus early in the row, falls with it from -0.71 to -3.35. What the figure does not say: that the heads *cause* the fall. They appear together. The ablations below show that the *finished* model needs them.

# %% [markdown]
# ## Break it
#
# ### One at a time finds no backup
#
# Back to Tomas. Criterion: a list of heads that may go must stay right when they go *together*.


# %%
def gone(*numbers, to="mean"):
    out = [Site("blocks.1.attention.heads", h) for h in numbers]
    return accuracy(patching.ablate(copier, rows, out, to=to, reference=reference))


print("one head gone: ", [f"{gone(h):.2f}" for h in range(4)])
print("two heads gone:", [f"{gone(a, b):.2f}" for a in range(4) for b in range(a + 1, 4)])
print(f"all four gone: {gone(0, 1, 2, 3):.2f}")
scores = patching.ablate(facts_model, prompts, "blocks.1.attn_out", reference=facts.X)
print(f"facts model, attention of layer 1 gone: {facts_accuracy(scores):.2f}")

# %% [markdown]
# There is the answer: in the facts model the second layer's attention can go, in the copying model it is everything. Each of its four heads is a **backup** of the others. Three of them at once is an exercise.
#
# Detection: ablate groups. Four of eight heads make 70 groups; the best of them is then tried on fresh rows, because the best of 70 flatters itself.

# %%
every = [Site(f"blocks.{k}.attention.heads", h) for k in (0, 1) for h in range(4)]
groups = list(combinations(range(8), 4))
found = [accuracy(patching.ablate(copier, rows, [every[j] for j in group], reference=reference)) for group in groups]
best = groups[int(np.argmax(found))]
new = worlds.copies(300, random_state=77)
scores = patching.ablate(copier, new.X, [every[j] for j in best], reference=reference)
can_know = new.truth.source(new.X)[:, :-1] >= 0
fresh_rows = (scores[:, :-1].argmax(axis=2) == new.X[:, 1:])[can_know].mean()
print("best four to remove:", *[f"{j // 4}.{j % 4}" for j in best], f": {max(found):.2f}", end=", ")
print(f"on fresh rows {fresh_rows:.2f}; the second layer: {found[groups.index((4, 5, 6, 7))]:.2f}")

# %% [markdown]
# So the machine can have its four heads: two from each layer, at a price of three or four wrong tokens in a hundred. The table of single heads would neither have found these four nor warned of the others.
#
# A second detection: denoise as well. And look at logits instead of accuracy, which hides every change that does not cross the finish line:

# %%
many = patching.patch_map(copier, *lost_a, by_position=False, direction="noise")
enough, needed = finds.mean(), 1 - many.mean()
for k in (0, 1):
    print(f"layer {k}: enough {enough[k].round(2)}, sum {enough[k].sum():.2f}")
    print(f"         needed {needed[k].round(2)}, sum {needed[k].sum():.2f}")
print(f"logit difference: clean {finds.clean.mean():.2f}, A exchanged {finds.corrupted.mean():.2f}")
gap = finds.values[:, 1].sum(axis=1) - (1 - many.values[:, 1]).sum(axis=1)
print("layer 1, paired difference of the sums:", interval(gap))

# %% [markdown]
# In layer 1 the heads are together enough for 1.42 times the effect, and needed, one by one, for 0.63. That is the fingerprint of OR: each can do more than it is missed for. Layer 0 shows it too.
#
# **Self-repair** is the missing part. Set one head of layer 1 to zero. Its direct contribution is gone, so the logit difference should fall by that much:

# %%
direct = patching.direct_logit_attribution(copier, codes, answers)
start = patching.logit_difference(patching.record(copier, codes, "embedded").scores, answers)
for h in range(4):
    scores = patching.ablate(copier, codes, Site("blocks.1.attention.heads", h), to="zero")
    fall = start - patching.logit_difference(scores, answers)
    said = direct.values[:, direct.feature_names.index(f"head 1.{h}")]
    print(f"head 1.{h}: said {said.mean():.2f}, fall {fall.mean():.2f}, repaired {interval(said - fall)}")

# %% [markdown]
# About half comes back: head 1.0 said 4.06 logits, and without it the difference falls by 2.17. Behind these heads stands nothing but the last normalisation, so nobody stepped in for anybody: with less in the stream it turns all the others up. In larger models whole heads have been seen to wake up when another is removed (Wang et al., McGrath et al.); here four equals share a job, and a rescaling covers for each.
#
# ### Denoising against noising
#
# The same pairs, another question: exchange B instead of A. Do enough and needed still part?

# %%
noised = patching.patch_map(copier, *lost_b, by_position=False, direction="noise")
enough, needed = changes.mean()[1], 1 - noised.mean()[1]
print(f"B exchanged, layer 1: enough {enough.round(2)}, sum {enough.sum():.2f}")
print(f"                      needed {needed.round(2)}, sum {needed.sum():.2f}")


# %% [markdown]
# No: 0.93 and 0.94. Here every head votes for B or for C, and votes add up. With A exchanged nobody is found, a corrupted head votes for nobody (the logit difference is 1.07), and the others need no majority. **The corruption is part of the question.** Whoever reports "head 1.0 has an effect of 0.34" (or 0.49, or 0.26) must say against which corruption, and in which direction.
#
# ### A corruption that changes two things
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
# A repaired alone is worth *minus* 0.75: it points to where B stood, and there stands C. B alone is worth 0.21: nobody points to it. And both are needed, B even for 1.75 times the whole distance, because what happens is not silence but the wrong answer. This is AND. A map of single patches would tell you that A speaks against the right answer. Detection: repair the places together, and corrupt one thing at a time.

# %% [markdown]
# ### It is there, and nobody asks
#
# A correlational witness: at the position of the city, before layer 1, can a probe read the country? Two thirds of the prompts about countries train it, the rest judge.

# %%
X, country = facts.X[truth.relation(facts.X) == 0], facts.y[truth.relation(facts.X) == 0]
run = patching.record(facts_model, X, "blocks.1.resid_pre")
at_city = run["blocks.1.resid_pre"][np.arange(len(X)), truth.subject(X)]
shuffled = np.random.default_rng(0).permutation(len(X))
train, test = shuffled[: 2 * len(X) // 3], shuffled[2 * len(X) // 3 :]
probe = LogisticRegression(max_iter=2000).fit(at_city[train], country[train])
stream = patching.patch_map(*given)
effect = stream.values[np.arange(300), 1, pairs.subject]
held_out = probe.score(at_city[test], country[test])
print(f"probe reads the country at the city, before layer 1: {held_out:.2f}")
print("patching the same place: effect", interval(effect))

# %% [markdown]
# The probe is never wrong, and the place is worth 0.02. The city is still written there; layer 0 has read it, and hardly anybody reads it again. Decodable is not used.

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
def losses(scores, tokens):
    z = torch.as_tensor(scores[:, :-1]).log_softmax(dim=2)
    return -z.gather(2, torch.as_tensor(tokens[:, 1:, None]))[..., 0].numpy()


loss = losses(patching.record(writer, twice, "embedded").scores, twice)
again = (loss[:, 31:] - loss[:, 1:30]).mean(axis=1)  # the same words, second time minus first
print("loss, second round minus first:", interval(again))

# %% [markdown]
# No head looks at the target more than at anything else: 0.024 for the best of eight, where looking everywhere alike gives 0.022. And a sentence that comes again is no easier, even harder by a third of a nat (the model never met such rows). The measure would have seen induction: in the copying model it gives 0.98. So: no induction heads *in this model*. It read a few thousand paragraphs, each about something else; nothing paid for such a head. Large models, fed with the web, have them.

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
# > **Pitfall. One at a time finds no backup.** Four heads that can each go are not four heads that can go. Ablate groups.
#
# > **Pitfall. The corruption is part of the question.** Exchange B, and heads vote; exchange A, and they stand in for each other; exchange both, and a repair does harm. One change at a time, and say which.
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
# 4. Induction heads form suddenly and, here, in fours: none is needed for a right token, all together are.
# 5. Patterns, probes and lenses raise suspicions. An intervention, against a stated corruption, settles them.

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
