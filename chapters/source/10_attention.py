# %% [markdown]
# # Attention as explanation: does the model use what it looks at?
#
# You will read the attention of two small language models, roll it out, let it flow, weigh it by what it carries, and then do what few maps survive: change it and watch the answer.
#
# Attention comes for free with every transformer, and it looks like an explanation. Whether it is one was a famous quarrel between two papers with opposite titles. You will repeat both, layer by layer, on models whose truth is known, and find that the plainest experiment, equal weights for every word, tells most.
#
# **Estimated time:** 150 minutes
#
# **What you need:** [chapter 5](05_shap.ipynb) for Shapley values of words, [chapter 8](08_saliency.ipynb) for integrated gradients. The folded box explains the transformer.

# %%
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import torch
from sklearn.metrics import average_precision_score

from xailib import attention, lab, plots, shapley, worlds, zoo
from xailib import exercises as ex
from xailib.evaluation import mean_interval
from xailib.worlds import real

# %% [markdown] tags=["digression"] jp-MarkdownHeadingCollapsed=true
# ## Foundations: the transformer in ten minutes
#
# **A stream per word.** Every token (a word, here) gets a vector: an embedding of the word plus one of its position. This vector runs through all layers, and each layer *adds* something to it. Hence the name **residual stream**: what nobody touches stays.
#
# **Attention moves content between streams.** A head makes three short vectors from every position: a *query* ("what do I look for?"), a *key* ("what can I be found by?") and a *value* ("what do I hand over?"). Position $i$ compares its query with the keys of all positions $j$ that it may see:
#
# $$s_{ij} = \frac{q_i \cdot k_j}{\sqrt k}, \qquad A_{ij} = \frac{e^{s_{ij}}}{\sum_{j'} e^{s_{ij'}}}$$
#
# $k$ is how many numbers a key has. Each row of $A$, the **attention**, sums to 1. The head mixes the values with these weights and writes the mixture into the stream of position $i$, through an output projection: $\sum_j A_{ij}\, v_j W_O$.

# %%
Q = np.array([[1.0, 0], [0, 2], [2, 1]])  # one query per row
K = np.array([[1.0, 0], [0, 1], [1, 1]])  # one key per row
scores = Q @ K.T / np.sqrt(2)
scores[np.triu_indices(3, 1)] = -1e9  # the future: as good as minus infinity
print(attention.probabilities(scores).round(4))

# %% [markdown] tags=["digression"]
# **The mask.** A model that predicts the next word must not see it: scores of later positions become minus infinity, their weights 0. That is a *causal* model. A classifier may look both ways.
#
# **Many heads, many layers.** A layer has several heads side by side, each with its own query, key, value and projection. After attention comes an MLP, which works on each position alone. Before each part the vector is scaled to a fixed size (normalisation). Our models have two layers of four heads. The output is read from one position: the last.
#
# **Why this matters here.** In layer 1 position $j$ holds word $j$. In layer 2 it holds a *mixture* of all that position $j$ looked at. Attention to a position is no longer attention to a word. Check yourself before you go on.

# %%
ex.card("attention.row")

# %%
my_guess = ...  # on paper
my_weight = ...  # then computed
my_weight = ex.check("attention.row", my_weight, prediction=my_guess)

# %% [markdown]
# ## Warm-up

# %%
ex.warmup("attention")

# %% [markdown]
# ## The story
#
# Nadia runs the mail of a small company. The vendor of her new spam filter, a transformer, advertises "explanations built in": the words it looked at are highlighted. A customer's mail, *There is no prize on Monday. See you Friday*, passed. The strongest highlight is on *no*. Plausible! Should Nadia pay for the highlights?
#
# The filter reads words, a full stop where a sentence ends, and a last token `<read>`, from which the answer is taken. Its mails come from our world `messages`, so we know what each word is worth.

# %%
world = worlds.messages()
net, words_of = zoo.load("messages-transformer"), zoo.vocabulary("messages-transformer").decode
MARKS = [zoo.vocabulary("messages-transformer").number(mark) for mark in (".", "<read>")]


def encoded(mails):
    return zoo.encode("messages-transformer", mails)


def log_odds(tokens, patterns=None, model=net, position=None):
    scores = attention.rerun(model, tokens, patterns or {}, position=position)
    return scores[:, 1] - scores[:, 0]


held_out, y = world.test
accuracy = np.mean((log_odds(encoded(held_out)) > 0) == y)
best = np.mean((world.truth.log_odds(held_out) > 0) == y)
print(f"{len(y)} held-out mails: filter right for {accuracy:.2f}, the rule itself {best:.2f}")

# %%
mail = "There is no prize on Monday. See you Friday."
tokens = encoded([mail])
words, maps = words_of(tokens[0]), attention.maps(net, tokens)
last = maps.at_read()[1, 0].mean(axis=0)  # last layer, mean of the four heads
truth = world.truth.shapley(mail)
print(f"log-odds of spam: {log_odds(tokens)[0]:.2f}, by the rule {truth.prediction:.2f}")
print(f"attention on 'no' {last[words.index('no')]:.2f}, flat {1 / len(words):.2f}")

# %%
worth = np.zeros(len(words))
worth[[word not in (".", "<read>") for word in words]] = truth.values
fig, (top, bottom) = plt.subplots(2, 1, figsize=(7.2, 4.4), sharex=True)
top.bar(words_at := range(len(words)), last, color=plots.ANCHOR)
top.set(title="what <read> looks at in the last layer", ylabel="attention")
for sign, colour, hatch in ((1, plots.POSITIVE, "//"), (-1, plots.NEGATIVE, "")):
    label = "towards spam" if sign > 0 else "towards ham"
    bottom.bar(words_at, np.maximum(sign * worth, 0) * sign, color=colour, hatch=hatch, label=label)
bottom.set_xticks(words_at, [f"'{w}'" if w == "." else w for w in words], rotation=45, ha="right")
bottom.axhline(0, color="black", lw=0.8)
bottom.set(title="what each word is worth by the rule", ylabel="log-odds of spam")
bottom.legend(fontsize=8, loc="lower right")
plots.show(fig, "Attention is largest on the word no, which by the rule also counts most.")

# %% [markdown]
# Above: weights, the mean of four heads, never negative, with a sum of 1. Below: Shapley values of the planted rule, with signs; *no* turns *prize* round. Both point at *no*. What the figure does not say: that the answer depends on the bars above. So let us take them away: no attention to *no* in the last layer, the rest scaled up; then equal weights for all tokens; then the same in the first layer.

# %%
NO = words.index("no")
for layer in (1, 0):
    without, flat = maps.without(NO)[layer], maps.uniform()[layer]
    cases = {"without 'no'": without, "all tokens alike": flat}
    for name, pattern in cases.items():
        changed = log_odds(tokens, {layer: pattern})[0]
        print(f"layer {layer + 1}, {name:16}: log-odds {changed:+.2f}")

# %% [markdown]
# The strongest weight of the map goes, and the answer does not move: the right word, shown for a wrong reason. In the *first* layer the same change turns ham into spam. Nadia's vendor shows the last layer. Is this mail an exception? That is what the chapter counts.

# %% [markdown]
# ## By hand
#
# Three tokens, one of them with a value of zero:
#
# | token | attention | value | attention x value | length |
# |---|---|---|---|---|
# | the | 0.5 | (0, 0) | (0, 0) | 0 |
# | no | 0.3 | (2, 0) | (0.6, 0) | 0.6 |
# | prize | 0.2 | (0, 3) | (0, 0.6) | 0.6 |
#
# The head writes (0.6, 0.6). Its favourite, *the*, adds nothing: length 0. The **value-weighted norm**, the last column, says so. Before you run the cell: set the weight of *the* to zero and scale the others up to 1. What does the head write now?

# %%
weights, values = np.array([0.5, 0.3, 0.2]), np.array([[0.0, 0], [2, 0], [0, 3]])
print("lengths:", np.linalg.norm(weights[:, None] * values, axis=1))
kept = np.where(np.arange(3) == 0, 0, weights)
print("written:", weights @ values, " without 'the':", kept / kept.sum() @ values)

# %% [markdown]
# Twice as much, in the same direction. A weight on nothing *adds* nothing, but it takes weight from the others: it turns the head down. "Adds nothing" and "has no effect" are two claims, and need two experiments.
#
# Now two layers, causal, both with the same attention $A$. Half of each layer is the residual stream: $\tilde A = \frac12 A + \frac12 I$. **Rollout** multiplies, shares of shares. **Flow** treats the weights as widths of pipes: a path carries what its narrower pipe does. For position 3:

# %%
A = np.array([[1, 0, 0], [0.5, 0.5, 0], [0.2, 0.3, 0.5]])
B = (A + np.eye(3)) / 2
print("last row of B:", B[2], " rollout:", (B @ B)[2])
print("flow:", np.minimum(B[2][:, None], B).sum(axis=0))


# %% [markdown]
# Rollout: $0.10 \cdot 1 + 0.15 \cdot 0.25 + 0.75 \cdot 0.10 = 0.2125$ for token 1. Flow: $\min(0.1, 1) + \min(0.15, 0.25) + \min(0.75, 0.1) = 0.35$. Shares of rollout sum to 1; flows do not, for each is a maximum of its own.

# %% [markdown]
# ## In thirty lines
#
# $$R = \tilde A_2 \tilde A_1, \qquad F_j = \sum_m \min\big(\tilde A_2[i, m],\, \tilde A_1[m, j]\big), \qquad N_{ij} = \Big\| \sum_h A^h_{ij}\, v^h_j W_O^h \Big\|$$
#
# $i$ is the position that is read, $N_{ij}$ the length of what all heads write for key $j$. The sum of minima is the exact maximum flow for two layers, in which no two paths share a pipe; deeper models need a solver. For one sequence:


# %%
def seen(model, tokens, layer, part):
    kept = []
    point = model.get_submodule(f"blocks.{layer}.attention.{part}")
    hook = point.register_forward_hook(lambda module, inputs, value: kept.append(value[0]))
    with torch.no_grad():
        model(torch.as_tensor(tokens))
    hook.remove()
    return kept[0].numpy()  # (heads, ...)


def my_rollout(A1, A2, i):
    B1, B2 = ((A.mean(axis=0) + np.eye(A.shape[1])) / 2 for A in (A1, A2))
    return (B2 @ B1)[i]


def my_flow(A1, A2, i):
    B1, B2 = ((A.mean(axis=0) + np.eye(A.shape[1])) / 2 for A in (A1, A2))
    return np.minimum(B2[i][:, None], B1).sum(axis=0)


# %%
def my_norms(model, A, v, layer, i):
    W = model.blocks[layer].attention.W_O.weight.detach().numpy().T  # (heads x k, d)
    W = W.reshape(len(A), -1, W.shape[1])
    written = sum(A[h, i][:, None] * (v[h] @ W[h]) for h in range(len(A)))
    return np.linalg.norm(written, axis=1)


i = len(words) - 1
A1, A2 = (seen(net, tokens, layer, "pattern") for layer in (0, 1))
mine = {
    "rollout": my_rollout(A1, A2, i),
    "flow": my_flow(A1, A2, i),
    "value-weighted": my_norms(net, A2, seen(net, tokens, 1, "values"), 1, i),
}
for name, values in mine.items():
    order = np.argsort(-values[:-1])[:3]  # <read> itself left out
    print(f"{name:14}", ", ".join(f"{words[j]} {values[j]:.2f}" for j in order))


# %% [markdown]
# We have left out `<read>` itself: rollout and flow put it first, because half of each layer counts as its own. Among the words the three agree about the first and disagree about the rest. Which is right, a single mail cannot tell.

# %% [markdown]
# ## The library way
#
# No package maintains rollout. What circulates are copies of one repository's lines; with Hugging Face models `model(..., output_attentions=True)` gives the patterns. One copied line reads, in our names:


# %%
def copied_rollout(patterns, fuse):
    result = np.eye(patterns.shape[-1])
    for A in patterns:
        mixed = fuse(A, axis=0) + np.eye(len(result))
        result = mixed / mixed.sum(axis=-1) @ result  # the line
    return result


both = np.stack([A1, A2])
for name, fuse in (("mean", np.mean), ("max", np.max)):
    sums = copied_rollout(both, fuse).sum(axis=1)
    print(f"heads fused by {name}: rows sum to {sums[:4].round(4)}")

# %% [markdown]
# Rows of attention must sum to 1, and here is how you find the bug that stood open for years: print the sums. `sum(axis=-1)` has lost its axis (`keepdims=True`), so columns were divided by the sums of rows. With the mean all sums are 2 and nobody notices. xailib's own:

# %%
for name, values in mine.items():
    assert np.allclose(attention.token_weights(net, tokens, name)[0], values, atol=1e-5)
for fusion in ("mean", "max", "min"):
    assert np.allclose(attention.rollout(maps, fusion=fusion).sum(axis=-1), 1)
print("ok: the same numbers as yours, and rows that sum to 1 for every fusion")

# %%
fig, axes = plt.subplots(1, 2, figsize=(9.6, 4.2))
for layer, ax in enumerate(axes):
    maps.plot(ax, layer=layer, names=words)
    ax.images[0].set_clim(0, maps.values[layer, 0].mean(axis=0).max())
    ax.set_title(f"layer {layer + 1}, mean of four heads")
plots.show(fig, "Attention of both layers: in layer 1 many words look at no and prize.")

# %% [markdown]
# Read along a row: where one position looks. Each map has its own scale: the weights of layer 2 are small everywhere. Columns that are dark in layer 1 are words that *many* positions have read, so their content is everywhere before layer 2 begins. What the maps do not show: what was read, and whether anybody used it.
#
# For words there are attributions that see the *output*: gradient x input, integrated gradients on the embeddings, occlusion. captum, which is no part of this course's installation, does the first two like this:
#
# ```python
# from captum.attr import LayerIntegratedGradients
#
# peer = LayerIntegratedGradients(net, net.tokens)
# peer.attribute(torch.tensor(tokens), baselines, target=1, n_steps=50).sum(dim=2)
# ```

# %%
spam = {"target": 1, "against": 0, "skip": MARKS}
result = attention.integrated_gradients(net, tokens, **spam, names=words)
print(result)
print(f"score {result.prediction[0]:.4f}, baseline {result.base_value[0]:.4f}")
print(f"missed by the sum: {result.efficiency_gap()[0]:+.4f}")

# %% [markdown]
# The baseline is the same sentence with zero embeddings (positions, full stops and `<read>` stay). The sum should give the difference of the two scores; the gap is what 50 steps miss: the network's slope jumps on the way, at every ReLU. Our tests hold these numbers to captum's.

# %% [markdown]
# ## Lab
#
# Two models, five texts. The first is the sentence model of the next section: it must say *is* or *are* after "the old keys near the red cabinet above the quiet door". Edit any weight, in any head, and watch the score. **First predict**, then move.

# %%
explorer = lab.attention.attention_editor()
explorer

# %%
explorer.filmstrip()

# %%
settings = {"text": "mail: a prize", "word": 2, "weight": 0}
print(explorer.user_sets(**settings, layers="layer 1", rows="every row"))

# %% [markdown]
# A to C: the sentence model. D and E: the mail of the story without *no*, in layer 2, then in layer 1. It is the favourite of both, and only one needs it. The cell above takes *prize* from layer 1 in another mail: from 2.65 to 0.02.

# %% [markdown]
# ## Graded against the truth
#
# ### The oracle: a transformer built by formula
#
# `zoo.compiled_copies()` repeats syllables. Its weights were set by hand, so each head's role is known: "previous token" and "induction" do the work. The **decoy** looks where the induction head looks and writes where nobody reads. The **mute** head puts all its weight on the first token, and its values are zero. Thirty rows, each read at one random position whose answer stands earlier in the row:

# %%
built, rows = zoo.compiled_copies(), worlds.copies(60, random_state=1)
X, sources = rows.X[:30], rows.truth.sources(rows.X[:30])
rng = np.random.default_rng(0)
read = np.array([rng.choice(np.flatnonzero(source[:-1].any(axis=1))) for source in sources])
all_rows = np.arange(30)
source, answer = sources[all_rows, read], X[all_rows, read + 1]
copy_maps = attention.maps(built.model, X, position=read)
lengths = attention.value_weighted(built.model, X, position=read)


def copied_right(patterns):
    scores = attention.rerun(built.model, X, patterns, position=read)
    return np.mean(scores.argmax(axis=1) == answer)


# %%
table = []
for role, (layer, head) in built.heads.items():
    row = copy_maps.at_read()[layer][:, head]
    flat = copy_maps.values[layer].copy()
    flat[:, head] = copy_maps.uniform()[layer][:, head]
    written = lengths[layer][all_rows, head, read].max(axis=1).mean()
    on_source = (row * source).sum(axis=1).mean()
    table.append([role, row.max(axis=1).mean(), on_source, written, copied_right({layer: flat})])
columns = ["head", "largest weight", "weight on source", "length written", "right when flat"]
print(pd.DataFrame(table, columns=columns).to_string(index=False, float_format="{:.2f}".format))
print(f"untouched: {copied_right({}):.2f}")

# %% [markdown]
# The decoy's map is as perfect as the induction head's, and the mute head's is the most decided of all. Flattened, neither is missed. Now the attributions: three tokens decide together (the source, the one before it, and the current one, which must match):

# %%
question = {"target": answer, "position": read}
by_gradient = attention.integrated_gradients(built.model, X, **question, steps=10)
found = {}
for name in attention.AGGREGATIONS:
    found[name] = attention.token_weights(built.model, X, name, position=read)
found["gradient x input"] = attention.gradient_x_input(built.model, X, **question).values
found["integrated gradients"] = by_gradient.values
found["occlusion"] = attention.occlusion(built.model, X, **question, replacement=0).values

# %%
roles = [source, np.roll(source, -1, axis=1), np.arange(X.shape[1]) == read[:, None]]
table = {"drawn by chance": [np.mean(role.sum(axis=1) / (read + 1)) for role in roles]}
table["drawn by chance"] += [np.mean(source.sum(axis=1) / read)]
for name, values in found.items():
    top, others = np.abs(values).argmax(axis=1), np.abs(values)
    others[all_rows, read] = -1
    table[name] = [role[all_rows, top].mean() for role in roles]
    table[name] += [source[all_rows, others.argmax(axis=1)].mean()]
top = found["last layer"].argmax(axis=1)
print("misses of the last layer are at position", np.unique(top[~source[all_rows, top]]))
columns = ["source", "before it", "current", "source, current left out"]
print(pd.DataFrame(table, index=columns).T.to_string(float_format="{:.2f}".format))

# %% [markdown]
# Only the explanation can err here. In every second row the last layer points at the first token, where the mute head looks; value weighting repairs that. Rollout and flow point at the *current* token, by decree: half of each layer is its own. Without it rollout never finds the source. What sees the output does, occlusion only without the current token.

# %% [markdown]
# ### Mails: what is the top-attended word worth?
#
# Two hundred held-out mails, truth by the rule: exact Shapley values of every word. Two scores: is a method's strongest word *the* decisive one? And its **average precision**: how well it ranks the words that count (1 to 7 of about 21) above the rest; 1 is perfect. Integrated gradients (IG) start from zero embeddings, occlusion deletes; or both take the unknown word.

# %%
mails = held_out[:200]
T = encoded(mails)
is_word = ~np.isin(T, [0, *MARKS])
truths = [np.abs(world.truth.shapley(mail).values) for mail in mails]
UNKNOWN = zoo.vocabulary("messages-transformer").number("<unk>")

# %%
found = {name: attention.token_weights(net, T, name) for name in attention.AGGREGATIONS}
own_maps = attention.maps(net, T)
found["first layer"] = own_maps.at_read()[0].mean(axis=1)
norms = attention.value_weighted(net, T, heads="sum")
found["first, value-weighted"] = norms[0][np.arange(len(T)), own_maps.read]

# %%
found["gradient x input"] = attention.gradient_x_input(net, T, **spam).values
for name, baseline in {"IG, zero": "zero", "IG, unknown": UNKNOWN}.items():
    result = attention.integrated_gradients(net, T, **spam, baseline=baseline, steps=20)
    found[name] = result.values
found["occlusion, deleted"] = attention.occlusion(net, T, **spam).values
found["occlusion, unknown"] = attention.occlusion(net, T, **spam, replacement=UNKNOWN).values


# %%
def grades(values, truths, is_word):
    hits, precisions = [], []
    for row, truth, here in zip(np.abs(values), truths, is_word, strict=True):
        hits.append(truth[row[here].argmax()] > truth.max() - 1e-9)
        precisions.append(average_precision_score(truth > 1e-9, row[here]))
    return np.array(hits, dtype=float), np.array(precisions)


# %%
assert min(truth.max() for truth in truths) > 0
found["drawn by chance"] = np.random.default_rng(0).random(T.shape)
scores = {name: grades(values, truths, is_word) for name, values in found.items()}
chance = np.mean([np.mean(truth > truth.max() - 1e-9) for truth in truths])
for name, (hits, precisions) in scores.items():
    top, low, high = mean_interval(hits)
    print(f"{name:21} decisive {top:.2f} ({low:.2f} to {high:.2f}),", end=" ")
    print(f"average precision {precisions.mean():.2f}")
print(f"decisive by chance, exactly {chance:.2f}")

# %%
fig, ax = plt.subplots(figsize=(7, 3.5))
order = sorted(list(scores)[:-1], key=lambda name: scores[name][0].mean())
for place, name in enumerate(order):
    top, low, high = mean_interval(scores[name][0])
    sees_output = name.startswith(("grad", "IG", "occ"))
    colour, hatch = (plots.POSITIVE, "//") if sees_output else (plots.ANCHOR, "")
    ax.barh(place, top, color=colour, hatch=hatch)
    ax.plot([low, high], [place, place], color=plots.CONTEXT, lw=2)
ax.axvline(chance, color="black", ls="dotted")
ax.set_yticks(range(len(order)), order)
ax.set(xlim=(0, 1), xlabel="share of mails whose strongest word is the decisive one")
ax.set_title("dark: attention alone; hatched: sees the output", loc="center")
ax.grid(axis="y", visible=False)
plots.show(fig, "The last layer finds the decisive word of a third of the mails, others more.")

# %% [markdown]
# Each bar is a share of 200 mails with its 95 % interval. The last layer stands at the lower end, and value weights lift neither layer much. Rollout and flow stand in the middle; and for *which* words count they are among the best: average precision 0.95 and 0.97. What the figure does not say: by how much two methods differ on the *same* mails. That takes pairs:

# %%
for name in ("last layer", "value-weighted", "rollout", "flow"):
    for rival in ("gradient x input", "IG, zero", "occlusion, deleted", "IG, unknown"):
        gap = mean_interval(scores[rival][0] - scores[name][0])
        print(f"{rival:18} minus {name:14} {gap[0]:+.2f} ({gap[1]:+.2f} to {gap[2]:+.2f})")

# %% [markdown]
# The last layer loses against all four, clearly, with or without value weights. Rollout and flow lose against occlusion by deletion, are level with IG from zero, and if anything ahead of gradient x input. IG from the unknown word does best, but it was helped: in training, some words *without weight* became unknown, so this model was taught, by the planted rule, that an unknown word means nothing. No user can do that. Judge by deletion and by zero. And how much of rollout is its convention, the stream's half?

# %%
for share in (0, 0.25, 0.5, 0.75):
    values = attention.token_weights(net, T, "rollout", residual=share)
    hits, _ = grades(values, truths, is_word)
    print(f"rollout, residual {share:.2f}: decisive {hits.mean():.2f}")

# %% [markdown]
# Little, below three quarters. Next: is it hard because a mail *sums up* several words? Take 600 mails, and set those apart in which exactly one word counts:

# %%
more = encoded(held_out[:600])
more_truths = [np.abs(world.truth.shapley(text).values) for text in held_out[:600]]
one = np.array([np.sum(truth > 1e-9) == 1 for truth in more_truths])
first, last = attention.maps(net, more).at_read().mean(axis=2)
rolled = attention.token_weights(net, more, "rollout")
words_here = ~np.isin(more, [0, *MARKS])

# %%
for name, values in {"last layer": last, "first layer": first, "rollout": rolled}.items():
    hits, _ = grades(values, more_truths, words_here)
    print(f"{name:11} one word: {hits[one].sum():.0f} of {one.sum()},", end=" ")
    print(f"several: {hits[~one].mean():.2f}")


# %% [markdown]
# With a single word to find, the first layer shows it nearly always, rollout always; the last layer, on the vendor's screen, misses every second one. This model fetches its words in layer 1: the "last layer" was the wrong place to look, even for an easy mail.

# %% [markdown]
# ### Whose error is it?
#
# The network is not the rule. Its own truth: Shapley values of *its* log-odds, words deleted (its training saw mails with gaps). Every fifth of our mails, 400 coalitions each:


# %%
def own_log_odds(texts):
    return log_odds(encoded(list(texts)))


own = shapley.text(own_log_odds, mails[::5], n_coalitions=400)
own_truths = [np.abs(result.values[0]) for result in own]
both_truths = zip(own_truths, truths[::5], strict=True)
agree = np.mean([a.argmax() == b.argmax() for a, b in both_truths])
print(f"rule and network have the same decisive word: {agree:.2f}")
for name in ("last layer", "rollout", "IG, zero", "IG, unknown", "occlusion, deleted"):
    network, _ = grades(found[name][::5], own_truths, is_word[::5])
    planted, _ = grades(found[name][::5], truths[::5], is_word[::5])
    top, low, high = mean_interval(network)
    print(f"{name:19} for the network {top:.2f} ({low:.2f} to {high:.2f}),", end=" ")
    print(f"by the rule {planted.mean():.2f}")

# %% [markdown]
# Rule and network agree about the decisive word of 93 % of these mails, and whichever you ask, the shares hardly change (by 0.03 at most; with 40 mails the intervals are wide). The model's own errors do not explain the misses above.

# %% [markdown]
# ### Sentences: one word to fetch
#
# The second model predicts the next word of sentences like "the old keys near the cabinet ...". By the rule only the first noun counts; nouns of the other number, **attractors**, tempt. Three hundred sentences with attractors, read just before the verb. Which verb follows is nearly free, so we ask for its *number* only: all singular verb forms against all plural ones. First the model's own truth: swap each noun for its other number, which keeps the sentence a sentence.

# %%
sentences = worlds.agreement(3000, random_state=5)
rule = sentences.truth
S = sentences.X[rule.attractors(sentences.X) > 0][:300]
subject, before_verb = rule.subject(S), rule.verb(S) - 1


def asking(model):  # of all next words only: singular or plural?
    def two_answers(module, inputs, scores):
        forms = [scores[..., form].logsumexp(-1) for form in rule.verb_forms.T]
        return torch.stack(forms, -1)

    model.register_forward_hook(two_answers)
    return model


reader = asking(zoo.load("agreement-transformer"))
odds_of_plural = log_odds(S, None, reader, before_verb)
print(f"right number: {np.mean((odds_of_plural > 0) == rule.number(S)):.2f}")

# %%
number_of = rule.vocabulary.number
with_s = [w for w in rule.vocabulary.words if f"{w}s" in rule.vocabulary.words]
nouns = [w for w in with_s if number_of(w) not in rule.verb_forms]
other = {number_of(noun): number_of(f"{noun}s") for noun in nouns}
other |= {plural_noun: noun for noun, plural_noun in other.items()}
effect = np.full(rule.noun_positions(S).shape, np.nan)  # NaN: no such noun
for k, places in enumerate(rule.noun_positions(S).T):
    there, swapped = (places >= 0) & (places <= before_verb), S.copy()
    swapped[there, places[there]] = [other[noun] for noun in S[there, places[there]]]
    moved = np.abs(log_odds(swapped, None, reader, before_verb) - odds_of_plural)
    effect[there, k] = moved[there]
print("mean change of log-odds when noun 1, 2, 3 is swapped:", np.nanmean(effect, axis=0).round(2))
print(f"the subject moves them most: {np.mean(np.nanargmax(effect, axis=1) == 0):.2f}")

# %% [markdown]
# Model and rule agree: the subject decides, always. Which methods say so, with which stand-in for a missing word? The second number leaves out the word from which the model reads, usually an attractor:

# %%
verbs = {"target": 1, "against": 0, "position": before_verb}
pointed = {}
for name in attention.AGGREGATIONS:
    pointed[name] = attention.token_weights(reader, S, name, position=before_verb)
for name, token in {"deleted": None, "'the'": number_of("the"), "padding": 0}.items():
    result = attention.occlusion(reader, S, **verbs, replacement=token)
    pointed[f"occlusion, {name}"] = result.values

# %%
mean_noun = reader.tokens.weight.detach().numpy()[list(other)].mean(axis=0)
for name, baseline in {"zero": "zero", "'the'": number_of("the"), "mean noun": mean_noun}.items():
    result = attention.integrated_gradients(reader, S, **verbs, baseline=baseline, steps=20)
    pointed[f"IG, {name}"] = result.values


# %%
def strongest(values, among):
    return np.where(among, np.abs(values), -1).argmax(axis=1)


place = np.arange(S.shape[1])
seen_words = place <= before_verb[:, None]
others = seen_words & (place != before_verb[:, None])
for name, values in pointed.items():
    top, rest = (np.mean(strongest(values, some) == subject) for some in (seen_words, others))
    print(f"{name:19} subject first: {top:.2f}, without the reading word {rest:.2f}")
print(f"by chance {np.mean(1 / seen_words.sum(axis=1)):.2f}")
before_subject = subject - strongest(pointed["IG, zero"], seen_words)
share = np.mean(before_subject[before_subject != 0] == 1)
print(f"misses of IG, zero, that are the word before the subject: {share:.2f}")

# %% [markdown]
# Upside down. The last layer, nearly worst on mails, is right every time; what sees the output is anything from 0.02 to 0.93, depending on what stands for a missing word. Occlusion often points at the reading word; without it, it is nearly always right. IG is not, with any of three baselines, and why it likes the word before the subject we have not found out. Rollout and flow point at the reading word, by decree; without it they are right.
#
# Two doubts about our winner: the sentences all had attractors, and the four heads were averaged.

# %%
plain = sentences.X[rule.attractors(sentences.X) == 0][:300]
plain_maps = attention.maps(reader, plain, position=rule.verb(plain) - 1)
reader_maps = attention.maps(reader, S, position=before_verb)
pairs = {"with attractors": (reader_maps, subject), "without": (plain_maps, rule.subject(plain))}
for name, (seen_maps, at) in pairs.items():
    rows = seen_maps.at_read()[1]
    mean = np.mean(rows.mean(axis=1).argmax(axis=1) == at)
    by_head = (rows.argmax(axis=2) == at[:, None]).mean(axis=0)
    print(f"{name:15}: favourite is the subject {mean:.2f}, head by head {by_head.round(2)}")

# %% [markdown]
# One head does it, always. Without attractors, when all nouns have the subject's number, the mean has it as its favourite in 84 % only.
#
# **The verdict.** How often is the top-attended word the decisive one? In the last layer for 35 % of the mails (28 to 42; chance 5 %), and for 100 % of the sentences *with* attractors. It depends on the task, the layer and the head.

# %% [markdown]
# ## Break it
#
# ### High weight, no effect
#
# Start with the built model. Criterion: the largest weight goes, the rest is scaled up, and the output changes by less than 0.01. The mute head:

# %%
layer, head = built.heads["mute"]
pattern = copy_maps.values[layer].copy()
pattern[:, head] = copy_maps.without(0)[layer][:, head]
looks = pattern[all_rows, head, read]
assert np.all(looks[:, 0] == 0)
assert np.allclose(looks.sum(axis=1), 1)  # all its weight now lies elsewhere
before = attention.rerun(built.model, X, {}, position=read)
after = attention.rerun(built.model, X, {layer: pattern}, position=read)
print(f"all weight moved; largest change of any score: {np.abs(after - before).max():.2f}")
for role in ("mute", "decoy", "induction"):
    layer, head = built.heads[role]
    print(f"{role:10} length written {lengths[layer][all_rows, head, read].max(axis=1).mean():.2f}")

# %% [markdown]
# Norms catch the mute head: weight 1.00, length 0.00. They do not catch the decoy, which writes as much as the induction head. Only the second experiment, an intervention, caught both (the first table: right when flat).
#
# > **Pitfall. What a head writes is not what is read.** Value-weighted norms close one of two gaps. The other one needs the output.

# %% [markdown]
# ### "Attention is not explanation"
#
# Serrano and Smith (2019) removed weights, as you did in the story; Jain and Wallace (2019) shuffled them, and found predictions unmoved. Shuffled among *visible* keys, 20 times each, both our models, and both layers, for a last layer alone proves little:

# %%
exact_net = zoo.load("messages-transformer").double()
exact_reader = asking(zoo.load("agreement-transformer").double())
cases = {
    "mails": (net, exact_net, T, own_maps.read),
    "sentences": (reader, exact_reader, S, before_verb),
}
audit = {f"{name} {layer}": {} for name in cases for layer in (1, 2)}
panels = {}

# %%
for name, (model, _, texts, position) in cases.items():
    few = {"tokens": texts[:100], "position": position[:100]}
    for layer in (0, 1):
        result = attention.permutations(model, **few, layers=[layer], n_permutations=20)
        row, panels[f"{name} {layer + 1}"] = audit[f"{name} {layer + 1}"], result
        row["shuffled: answers kept"] = result.same_class.mean()
        row["shuffled: change (TVD)"] = np.median(np.median(result.tvd, axis=1))

# %%
fig, axes = plt.subplots(1, 4, figsize=(9.6, 3.0), sharex=True, sharey=True)
for (name, result), ax in zip(panels.items(), axes, strict=True):
    result.plot(ax)
    ax.set(title=f"{name[:-2]}, layer {name[-1]}", xlim=(0, 0.8), xlabel="largest weight")
    if ax is not axes[0]:
        ax.set_ylabel("")
    kept, change = audit[name].values()
    print(f"{name}: median change {change:.2f}, answers kept {kept:.2f}")
plots.show(fig, "Shuffles move mails in layer 1 and sentences in layer 2, the rest hardly.")

# %% [markdown]
# A dot is a text: to the right peaked attention, upwards outputs that a typical shuffle changes (total variation distance of the two answers). In one layer of each model nearly all dots lie on the floor. In layer 2 the sentences part: where a shuffle turns the number round, and where it does not. What the figure does not say: *which* words mattered. Next, their adversary: attention as different as possible (Jensen-Shannon divergence, at most 0.69) while the output moves by at most 0.01. (In double precision: a search by gradients then takes the same path on every machine.)

# %%
searched = {}
for name, (_, exact, texts, position) in cases.items():
    for layer in (0, 1):
        few = {"tokens": texts[:20], "position": position[:20], "layer": layer}
        result = attention.adversary(exact, **few, n_starts=1, steps=60)
        table, row = result.to_frame(), audit[f"{name} {layer + 1}"]
        searched[name, layer] = result
        row["searched: divergence"] = result.jsd.mean()
        row["searched: new favourite"] = np.mean(table.top_before != table.top_after)


# %%
def show_rows(start=""):
    frame = pd.DataFrame(audit)
    print(frame[frame.index.str.startswith(start)].to_string(float_format="{:.2f}".format))


show_rows("searched")
for (name, layer), result in searched.items():
    _, exact, texts, position = cases[name]
    few, at = texts[:20], position[:20]
    pattern = attention.maps(exact, few, position=at).values[layer].copy()
    pattern[np.arange(20), :, at] = result.weights
    before, after = (log_odds(few, p, exact, at) for p in (None, {layer: pattern}))
    moved, size = np.abs(after - before).mean(), np.abs(before).mean()
    print(f"{name} {layer + 1}: log-odds moved by {moved:.2f} of {size:.2f} on average")

# %%
example = int(np.argmax([len(words_of(t)) < 16 for t in T[:40]]))
n = len(words_of(T[example]))
shown = attention.adversary(exact_net, T[example : example + 1, :n])
fig, ax = plt.subplots(figsize=(7.6, 3.2))
shown.plot(ax, names=words_of(T[example]))
ax.set_title(f"layer 2, other attention: the probability of spam moves by {shown.tvd[0]:.3f}")
plots.show(fig, "The adversary's bars stand where the model's do not, with nearly the same output.")

# %% [markdown]
# Other attention is found in *every* layer, with another favourite for most texts, and log-odds move by a fifth of their size at most. Weights that may be anything, the paper argued, cannot be why. But look again: it was found in the two layers whose shuffling did harm, too.

# %% [markdown]
# ### "Attention is not not explanation"
#
# Wiegreffe and Pinter (2019) answered. First, is attention *needed*? Replace it by equal weights: where the answers stay, there was nothing to explain. Second, the adversary is no model: its weights were searched text by text, not computed from queries and keys. So *train* one, with a single set of weights for all texts; we let only one layer's queries and keys change, judge it on unseen texts, and repeat with three seeds.

# %%
for name, (model, _, texts, position) in cases.items():
    flat = attention.maps(model, texts, position=position).uniform()
    before = log_odds(texts, None, model, position)
    for layer in (0, 1):
        after = log_odds(texts, {layer: flat[layer]}, model, position)
        audit[f"{name} {layer + 1}"]["flat: answers kept"] = np.mean((after > 0) == (before > 0))
        audit[f"{name} {layer + 1}"]["flat: log-odds move by"] = np.abs(after - before).mean()
    print(f"{name}: mean size of the log-odds {np.abs(before).mean():.2f}")
show_rows("flat")

# %%
train_T = encoded(world.train[0][:2000])
train_T = train_T[(train_T != 0).sum(axis=1) <= 24][:, :24]  # short mails: quicker
train_S = sentences.X[rule.attractors(sentences.X) > 0][300:1300]
lessons = {"mails": (train_T, None), "sentences": (train_S, rule.verb(train_S) - 1)}


def adversaries(name, layer, seeds=3):
    texts, position = lessons[name]
    few_steps = {"steps": 60, "batch_size": 16, "layer": layer, "position": position}
    for seed in range(seeds):
        yield attention.trained_adversary(cases[name][1], texts, **few_steps, random_state=seed)


# %%
def trained(name, layer):
    _, exact, texts, position = cases[name]
    own = attention.maps(exact, texts, position=position).at_read()[layer]
    spam_or_plural, rows, kept = log_odds(texts, None, exact, position) > 0, [], []
    for adversary in adversaries(name, layer):
        rows.append(attention.maps(adversary, texts, position=position).at_read()[layer])
        answers = log_odds(texts, None, adversary, position) > 0
        kept.append(np.mean(answers == spam_or_plural))
    tops = [r.mean(axis=1).argmax(axis=1) for r in (own, *rows)]
    same = [np.mean(top == tops[0]) for top in tops[1:]]
    row = audit[f"{name} {layer + 1}"]
    row["trained: divergence"] = np.mean([attention.jsd(own, new).mean() for new in rows])
    row["trained: answers kept, least"] = min(kept)
    row["trained: same favourite, least"] = min(same)
    row["trained: same favourite, most"] = max(same)
    return own, *rows


# %%
mails_1 = trained("mails", 0)

# %%
mails_2 = trained("mails", 1)

# %%
sentences_1, sentences_2 = trained("sentences", 0), trained("sentences", 1)
print("last layer of the sentences, weight on the subject, head by head:")
for seed, rows in zip(("own", 0, 1, 2), sentences_2, strict=True):
    print(f"{seed!s:>4}", rows[np.arange(len(S)), :, subject].mean(axis=0).round(2))

# %%
show_rows()

# %% [markdown]
# "mails 1" is layer 1. **Flat** and, nearly as well, **shuffled** tell the layers apart: mails need layer 1, sentences layer 2. **Searched and trained** do not: they find other attention everywhere (a little less in the last column). The favourite is not safe: with one seed it stays in all sentences, with another in none. What stays is most of the fourth head's weight on the subject; the mean hides it.
#
# > **Pitfall. An adversary shows that weights are not unique, not that they are unused.** One network per task: an example, no law.

# %% [markdown]
# ## On real data
#
# Paragraphs from the documentation of SciPy and scikit-learn, and a transformer that predicts their next word. Large models are known for **attention sinks**: heads that park much of their weight on the first token. Is ours?

# %%
paragraphs, writer = real.docstring_paragraphs(), zoo.load("docstrings-transformer")
prose = zoo.vocabulary("docstrings-transformer")
D = zoo.encode("docstrings-transformer", paragraphs.test[0][:300], longest=40)
D = D[(D != 0).all(axis=1)]
doc_maps = attention.maps(writer, D)
queries = slice(20, None)
share = doc_maps.values[:, :, :, queries, 0].mean(axis=(1, 3))
print(f"{len(D)} paragraphs; attention on <s>, by layer and head:", share.round(2).tolist())
print(f"flat attention would give {doc_maps.uniform()[0, :, :, queries, 0].mean():.2f}")

# %% [markdown]
# No sink, in any head: the first token gets about its flat share or less. This one, with its two layers, has none; whether yours has, measure. What does the last position look at, then, and does it matter?

# %%
own_p = attention.probabilities(attention.rerun(writer, D, {}))


def change(layer, pattern):
    changed = attention.rerun(writer, D, {layer: pattern})
    return attention.tvd(own_p, attention.probabilities(changed))


def as_much_elsewhere(weights, rng):  # random other positions that together hold the top weight
    is_top = weights == weights.max(axis=1, keepdims=True)
    order = np.argsort(np.where(is_top, 2.0, rng.random(weights.shape)), axis=1)
    part = np.take_along_axis(weights, order, axis=1)
    gone = np.zeros(weights.shape, dtype=bool)
    take = np.cumsum(part, axis=1) - part / 2 < weights.max(axis=1, keepdims=True)
    np.put_along_axis(gone, order, take, axis=1)
    return gone


# %%
rng = np.random.default_rng(0)
for layer in (0, 1):
    weights = doc_maps.at_read()[layer].mean(axis=1)
    top = change(layer, doc_maps.without(weights.argmax(axis=1))[layer])
    draws = [as_much_elsewhere(weights, rng) for _ in range(5)]
    rest = np.mean([change(layer, doc_maps.without(gone)[layer]) for gone in draws], axis=0)
    held = np.mean([(weights * gone).sum(axis=1).mean() for gone in draws])
    flat = change(layer, doc_maps.uniform()[layer])
    print(f"layer {layer + 1}, flat: {flat.mean():.2f}")
    print(f"  without the favourite, weight {weights.max(axis=1).mean():.2f}: {top.mean():.2f}")
    print(f"  without others, weight {held:.2f}: {rest.mean():.2f}")
    print("  difference {:+.2f} ({:+.2f} to {:+.2f})".format(*mean_interval(top - rest)))

# %% [markdown]
# Removed is the favourite, or as much weight from random other positions. In both layers the favourite matters more than the same weight elsewhere, so where it looks is not arbitrary; and layer 1 matters most. Beyond that nothing may be concluded: nobody planted a truth here. One sentence, with an attribution beside it:

# %%
text = "the function returns the mean of the array and the"
d = zoo.encode("docstrings-transformer", [text])
next_word = int(attention.rerun(writer, d, {})[0].argmax())
doc_words = prose.decode(d[0])
explained = attention.integrated_gradients(writer, d, next_word, names=doc_words)
looked = attention.token_weights(writer, d)[0]
print(f"next word: {prose.words[next_word]}")
for name, values in (("attention", looked), ("integrated gradients", explained.values[0])):
    order = np.argsort(-np.abs(values))[:3]
    print(f"{name:21}", ", ".join(f"{doc_words[j]} (position {j}) {values[j]:+.2f}" for j in order))

# %% [markdown]
# **Bring your own.** Replace the model (any with our hook points), its tokens and the position to read from; or hand patterns of any other model, (layers, heads, l, l), to `attention.rollout` and `attention.flow`. Chapter 12 opens GPT-2 behind the same hook points.

# %%
my_model, my_name = writer, "docstrings-transformer"
my_text = "the number of samples to draw from the"

my_tokens = zoo.encode(my_name, [my_text])
my_maps = attention.maps(my_model, my_tokens)
my_own = attention.probabilities(attention.rerun(my_model, my_tokens, {}))
for layer in range(len(my_maps.values)):
    flat = attention.rerun(my_model, my_tokens, {layer: my_maps.uniform()[layer]})
    change = attention.tvd(my_own, attention.probabilities(flat))[0]
    print(f"flat attention in layer {layer + 1} changes the output by {change:.2f}")
my_top = attention.occlusion(my_model, my_tokens, replacement=prose.number("<unk>"))
my_words = zoo.vocabulary(my_name).decode(my_tokens[0])
print("strongest by occlusion:", my_words[np.abs(my_top.values[0]).argmax()])

# %% [markdown]
# ## Strengths, limits, when not to use it
#
# **Strengths.** Attention is part of the computation, exact and free. It shows roads: where content *can* have come from. Where one item must be fetched, the layer that fetches showed it, and flattening finds that layer. And it can be edited, which turns it from a picture into an experiment.
#
# > **Pitfall. Attention to a position is not attention to a word.** After one layer a position holds a mixture. Rollout and flow account for that, and for nothing else.
#
# > **Pitfall. A plausible map is not a used one.** *no* was the favourite of the last layer, and that layer could do without it. Flatten first.
#
# > **Pitfall. Rollout assumes half.** Its residual share is a convention: shares up to a half gave the same on mails. But it puts the word from which the model reads on top. Leave that word out, and say so.
#
# > **Pitfall. An adversary is not a model.** It shows that weights are not unique. Whether they are needed, flat attention shows: here in the trained model, so that "needed" means by these weights; Wiegreffe and Pinter train a new model with equal weights, which may find another way.
#
# > **Pitfall. Two small models prove nothing about yours.** One training run each, two layers, planted rules. What carries over is the order of the experiments.
#
# **Leave it** when you want to know which words decided: occlusion and integrated gradients see the output. By deletion, occlusion was right for three mails in four, where the last layer's attention was right for one in three. But try two stand-ins for a missing word: in the sentences the choice decided. For what a head *does*, go on to chapter 12.

# %% [markdown]
# ## Exercises

# %%
ex.card("attention.rollout")


# %%
def rollout(A):
    # your code
    ...


rollout = ex.check("attention.rollout", rollout)

# %%
ex.card("attention.written")


# %%
def written_norms(A, v, W):
    # your code
    ...


written_norms = ex.check("attention.written", written_norms)

# %%
ex.card("attention.shuffle")


# %%
def shuffle_rows(A, rng):
    # your code
    ...


shuffle_rows = ex.check("attention.shuffle", shuffle_rows)

# %%
ex.card("attention.divergence")


# %%
def divergence(p, q):
    # your code
    ...


divergence = ex.check("attention.divergence", divergence)

# %%
ex.card("attention.uniform")

# %%
my_guess = ...  # first
my_share = ...  # then measure
my_share = ex.check("attention.uniform", my_share, prediction=my_guess)

# %%
ex.card("attention.memo")

# %%
claims_that_hold = ...  # such as "ac"
claims_that_hold = ex.check("attention.memo", claims_that_hold)

# %%
ex.card("attention.flow")


# %%
def two_layer_flow(first, last, i):
    # your code
    ...


two_layer_flow = ex.check("attention.flow", two_layer_flow)

# %%
ex.progress("attention")

# %% [markdown]
# ## Quiz

# %%
ex.quiz("attention")

# %% [markdown]
# ## Take-away
#
# 1. Attention says where a head takes its mixture from. What it takes is in the values; whether anyone reads it, only the output knows.
# 2. Before you read a layer's map as an explanation, flatten the layer. If the answers stay, close the map. Adversaries cannot do this for you: they found other attention in every layer.
# 3. The last layer's favourite was decisive for one mail in three, and for every sentence with attractors, thanks to one head. The layer that fetches shows the word: on mails that was the first layer.
# 4. Rollout and flow follow mixtures, and count half of every layer as "itself". On mails they found which words count; elsewhere they pointed at the reading word until it was left out.
# 5. For words that decided, use what sees the output, try more than one stand-in for a missing word, and check that the replacement is still a text.

# %% [markdown]
# ## Further reading
#
# - Vaswani et al. (2017), *Attention is all you need*, arXiv 1706.03762.
# - Jain & Wallace (2019), *Attention is not explanation*, arXiv 1902.10186.
# - Serrano & Smith (2019), *Is attention interpretable?*, ACL, arXiv 1906.03731. Weights removed in order of size.
# - Wiegreffe & Pinter (2019), *Attention is not not explanation*, arXiv 1908.04626.
# - Abnar & Zuidema (2020), *Quantifying attention flow in transformers*, arXiv 2005.00928.
# - Kobayashi et al. (2020), *Attention is not only a weight: analyzing transformers with vector norms*, arXiv 2004.10102.
# - Xiao et al. (2023), *Efficient streaming language models with attention sinks*, arXiv 2309.17453.
# - Linzen, Dupoux & Goldberg (2016), *Assessing the ability of LSTMs to learn syntax-sensitive dependencies*, arXiv 1611.01368. Where the agreement sentences come from.
