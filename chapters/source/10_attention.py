# %% [markdown]
# # Attention as explanation: does the model use what it looks at?
#
# You will read the attention of two small language models, roll it out, let it flow, weigh it by what it carries, and then do what few maps survive: change it and watch the answer.
#
# Attention comes for free with every transformer, and it looks like an explanation. Whether it is one was the subject of a famous quarrel between two papers with opposite titles. You will repeat both, on models whose truth is known, and find that each is right about one of them.
#
# **Estimated time:** 135 minutes
#
# **What you need:** [chapter 5](05_shap.ipynb) for Shapley values of words, [chapter 8](08_saliency.ipynb) for integrated gradients. The folded box explains the transformer.

# %%
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import torch

from xailib import attention, lab, plots, shapley, worlds, zoo
from xailib import exercises as ex
from xailib.evaluation import mean_interval, rank_agreement
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
# Each row of $A$, the **attention**, sums to 1. The head mixes the values with these weights and writes the mixture into the stream of position $i$, through an output projection: $\sum_j A_{ij}\, v_j W_O$.

# %%
q = np.array([[1.0, 0], [0, 2], [2, 1]])
k = np.array([[1.0, 0], [0, 1], [1, 1]])
scores = q @ k.T / np.sqrt(2)
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


def log_odds(tokens, patterns=None, model=net):
    scores = attention.rerun(model, tokens, patterns or {})
    return scores[:, 1] - scores[:, 0]


held_out, y = world.test
accuracy = np.mean((log_odds(encoded(held_out)) > 0) == y)
best = np.mean((world.truth.log_odds(held_out) > 0) == y)
print(f"{len(y)} held-out mails: filter right for {accuracy:.2f}, the planted rule itself {best:.2f}")

# %%
mail = "There is no prize on Monday. See you Friday."
tokens = encoded([mail])
words, maps = words_of(tokens[0]), attention.maps(net, tokens)
last = maps.at_read()[1, 0].mean(axis=0)  # last layer, mean of the four heads
truth = world.truth.shapley(mail)
print(f"log-odds of spam: {log_odds(tokens)[0]:.2f}, by the rule {truth.prediction:.2f}")
print(f"attention on 'no' {last[words.index('no')]:.2f}, flat {1 / len(words):.2f}")

# %%
fig, (left, right) = plt.subplots(1, 2, figsize=(8.6, 3.0))
left.bar(range(len(words)), last, color=plots.ANCHOR)
left.set_xticks(range(len(words)), words, rotation=60, ha="right", fontsize=8)
left.set(title="what <read> looks at in the last layer", ylabel="attention, mean of heads")
right.bar(
    range(9),
    truth.values,
    color=np.where(truth.values > 0, plots.POSITIVE, plots.NEGATIVE),
    hatch=["//" if v > 0 else "" for v in truth.values],
)
right.set_xticks(range(9), truth.feature_names, rotation=60, ha="right", fontsize=8)
right.axhline(0, color="black", lw=0.8)
right.set(title="what each word is worth by the rule", ylabel="log-odds of spam")
plots.show(fig, "Attention is largest on the word no, which by the rule also counts most.")

# %% [markdown]
# Left: weights, never negative, that sum to 1. Right: Shapley values of the planted rule, with signs; *no* turns *prize* round. Both point at *no*. What the figure does not say: that the answer depends on the left bars. So let us take them away: no attention to *no* in the last layer, the rest scaled up; then equal weights for all tokens; then the same in the first layer.

# %%
NO = words.index("no")
for layer in (1, 0):
    without, flat = maps.without(NO)[layer], maps.uniform()[layer]
    cases = {"without 'no'": without, "all tokens alike": flat}
    changed = {name: log_odds(tokens, {layer: pattern})[0] for name, pattern in cases.items()}
    print(f"layer {layer + 1}:", ", ".join(f"{name} {value:+.2f}" for name, value in changed.items()))

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
# $i$ is the position that is read. The sum of minima is the exact maximum flow for two layers, in which no two paths share a pipe; deeper models need a solver. For one sequence:


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
    order = np.argsort(-values[:-1])[:3]
    print(f"{name:14}", ", ".join(f"{words[j]} {values[j]:.2f}" for j in order))


# %% [markdown]
# The three agree about the first word and disagree about the rest. Which is right, a single mail cannot tell.

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
    print(f"heads fused by {name}: rows sum to {copied_rollout(both, fuse).sum(axis=1)[:4].round(4)}")

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
    ax.set_title(f"layer {layer + 1}, mean of four heads")
plots.show(fig, "Attention of both layers: in layer 1 many words look at no and prize.")

# %% [markdown]
# Read along a row: where one position looks. Columns that are dark in layer 1 are words that *many* positions have read, so their content is everywhere before layer 2 begins. What the maps do not show: what was read, and whether anybody used it.
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
# The baseline is the same sentence with zero embeddings (positions, full stops and `<read>` stay). The sum should give the difference of the two scores; the gap is what 50 steps miss at the corners of the rectifiers. Our tests hold these numbers to captum's.

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
print(explorer.user_sets(text="mail: no prize", word=3, weight=0, layers="layer 2", rows="every row"))
print(explorer.user_sets(layers="layer 1"))

# %% [markdown]
# A to C: the sentence model. D and E: the mail filter, which hardly notices when its last layer stops looking at *prize*; only when no row of either layer looks does the score fall to zero. The two settings printed above show the same for *no*.

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
    return np.mean(attention.rerun(built.model, X, patterns, position=read).argmax(axis=1) == answer)


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
three = source | np.roll(source, -1, axis=1) | (np.arange(X.shape[1]) == read[:, None])
question = {"target": answer, "position": read}
found = {name: attention.token_weights(built.model, X, name, position=read) for name in attention.AGGREGATIONS}
found["gradient x input"] = attention.gradient_x_input(built.model, X, **question).values
found["integrated gradients"] = attention.integrated_gradients(built.model, X, **question, steps=10).values
found["occlusion"] = attention.occlusion(built.model, X, **question, replacement=0).values
for name, values in found.items():
    top = np.abs(values).argmax(axis=1)
    print(f"{name:21} strongest token decides: {three[all_rows, top].mean():.2f}")
top = found["last layer"].argmax(axis=1)
print("misses of the last layer are at position", np.unique(top[~three[all_rows, top]]))

# %% [markdown]
# Where the rule is known, only the explanation can err. The plain last layer does in every second row: it points at the first token, where the mute head puts all its weight. Value weighting repairs that, and everything that sees the output is right.

# %% [markdown]
# ### Mails: what is the top-attended word worth?
#
# Two hundred held-out mails, truth by the rule: exact Shapley values of every word. For each method two scores: the rank correlation of sizes, and whether its strongest word is *the* decisive one. What stands for a missing word? Integrated gradients (IG) start from zero embeddings or from those of the unknown word; occlusion deletes the word, or puts the unknown word there.

# %%
mails = held_out[:200]
T = encoded(mails)
is_word = ~np.isin(T, [0, *MARKS])
truths = [np.abs(world.truth.shapley(mail).values) for mail in mails]
UNKNOWN = zoo.vocabulary("messages-transformer").number("<unk>")
found = {name: attention.token_weights(net, T, name) for name in attention.AGGREGATIONS}
found["first layer"] = attention.maps(net, T).at_read()[0].mean(axis=1)
found["gradient x input"] = attention.gradient_x_input(net, T, **spam).values
for name, baseline in {"IG, zero": "zero", "IG, unknown": UNKNOWN}.items():
    found[name] = attention.integrated_gradients(net, T, **spam, baseline=baseline, steps=20).values
found["occlusion, deleted"] = attention.occlusion(net, T, **spam).values
found["occlusion, unknown"] = attention.occlusion(net, T, **spam, replacement=UNKNOWN).values


# %%
def grades(values, truths, is_word):
    hits, correlations = [], []
    for row, truth, here in zip(np.abs(values), truths, is_word, strict=True):
        hits.append(truth[row[here].argmax()] > truth.max() - 1e-9)
        correlations.append(rank_agreement(row[here][None], truth[None])[0])
    return np.array(hits, dtype=float), np.array(correlations)


assert min(truth.max() for truth in truths) > 0
chance = np.mean([np.mean(truth > truth.max() - 1e-9) for truth in truths])
scores = {name: grades(values, truths, is_word) for name, values in found.items()}
for name, (hits, correlations) in scores.items():
    top, low, high = mean_interval(hits)
    print(f"{name:21} decisive {top:.2f} ({low:.2f} to {high:.2f}), rank correlation {correlations.mean():.2f}")
print(f"a word drawn by chance {chance:.2f}")

# %%
fig, ax = plt.subplots(figsize=(7, 3.5))
order = sorted(scores, key=lambda name: scores[name][0].mean())
for place, name in enumerate(order):
    top, low, high = mean_interval(scores[name][0])
    sees_output = name.startswith(("grad", "IG", "occ"))
    colour, hatch = (plots.POSITIVE, "//") if sees_output else (plots.ANCHOR, "")
    ax.barh(place, top, color=colour, hatch=hatch, xerr=[[top - low], [high - top]], ecolor=plots.CONTEXT)
ax.axvline(chance, color="black", ls="dotted")
ax.set_yticks(range(len(order)), order)
ax.set(xlim=(0, 1), xlabel="share of mails whose strongest word is the decisive one")
ax.set_title("dark: attention alone; hatched: sees the output", loc="center")
ax.grid(axis="y", visible=False)
plots.show(fig, "The last layer finds the decisive word of a third of the mails, the best methods of three quarters.")

# %% [markdown]
# Each bar is a share of 200 mails with its 95 % interval. Notice where attention stands: the last layer at the lower end, and value weights do not lift it; rollout and flow in the middle of the field. What the figure does not say: by how much two methods differ on the *same* mails. That takes pairs:

# %%
for name in ("last layer", "value-weighted", "rollout", "flow"):
    for rival in ("gradient x input", "IG, zero", "IG, unknown", "occlusion, unknown"):
        gap = mean_interval(scores[rival][0] - scores[name][0])
        print(f"{rival:18} minus {name:14} {gap[0]:+.2f} ({gap[1]:+.2f} to {gap[2]:+.2f})")


# %% [markdown]
# The last layer loses against all four, clearly, with or without value weights. Rollout and flow do not: they are level with IG from zero and if anything ahead of gradient x input. They lose against IG and occlusion with the unknown word, which means nothing to this model by training. Choose what stands for a missing word with as much care as the method.

# %% [markdown]
# ### Whose error is it?
#
# The network is not the rule. Its own truth: Shapley values of *its* log-odds, words deleted (its training saw mails with gaps). Every fifth of our mails, 400 coalitions each:


# %%
def own_log_odds(texts):
    return log_odds(encoded(list(texts)))


own = shapley.text(own_log_odds, mails[::5], n_coalitions=400)
own_truths = [np.abs(result.values[0]) for result in own]
agree = np.mean([a.argmax() == b.argmax() for a, b in zip(own_truths, truths[::5], strict=True)])
print(f"rule and network have the same decisive word: {agree:.2f}")
for name in ("last layer", "rollout", "IG, zero", "IG, unknown", "occlusion, unknown"):
    hits = [grades(found[name][::5], which, is_word[::5])[0].mean() for which in (own_truths, truths[::5])]
    print(f"{name:19} decisive for the network {hits[0]:.2f}, by the rule {hits[1]:.2f}")

# %% [markdown]
# Rule and network agree about the decisive word of 93 % of these mails, and it hardly matters which of the two you ask. The misses above are misses of the explanations, not of the model.

# %% [markdown]
# ### Sentences: one word to fetch
#
# The second model predicts the next word of sentences like "the old keys near the cabinet ...". By the rule only the first noun counts; nouns of the other number, **attractors**, tempt. Three hundred sentences with attractors, read just before the verb. First the model's own truth: swap each noun for its other number, which keeps the sentence a sentence.

# %%
sentences = worlds.agreement(3000, random_state=5)
rule, reader = sentences.truth, zoo.load("agreement-transformer")
S = sentences.X[rule.attractors(sentences.X) > 0][:300]
subject, before_verb = rule.subject(S), rule.verb(S) - 1
singular, plural = rule.verb_forms.T


def plural_odds(tokens, patterns=None, model=reader):
    z = attention.rerun(model, tokens, patterns or {}, position=before_verb)
    return np.logaddexp.reduce(z[:, plural], axis=1) - np.logaddexp.reduce(z[:, singular], axis=1)


print(f"right verb form: {np.mean((plural_odds(S) > 0) == rule.number(S)):.2f}")

# %%
number_of = rule.vocabulary.number
other = {number_of(w): number_of(f"{w}s") for w in rule.vocabulary.words if f"{w}s" in rule.vocabulary.words}
other |= {plural_noun: noun for noun, plural_noun in other.items()}
effect = np.zeros(rule.noun_positions(S).shape)
for k, places in enumerate(rule.noun_positions(S).T):
    there, swapped = (places >= 0) & (places <= before_verb), S.copy()
    swapped[there, places[there]] = [other[noun] for noun in S[there, places[there]]]
    effect[:, k] = np.abs(plural_odds(swapped) - plural_odds(S))
print("mean change of log-odds when a noun is swapped:", effect.mean(axis=0).round(2))
print(f"the subject moves them most: {np.mean(effect.argmax(axis=1) == 0):.2f}")

# %% [markdown]
# Model and rule agree: the subject decides, always. Which methods say so? "Without" leaves out the word from which the model reads, usually an attractor:

# %%
verbs = {"target": int(plural[0]), "against": int(singular[0]), "position": before_verb}
pointed = {name: attention.token_weights(reader, S, name, position=before_verb) for name in attention.AGGREGATIONS}
pointed["gradient x input"] = attention.gradient_x_input(reader, S, **verbs).values
pointed["integrated gradients"] = attention.integrated_gradients(reader, S, **verbs, steps=30).values
pointed["occlusion, 'the'"] = attention.occlusion(reader, S, **verbs, replacement=number_of("the")).values
place = np.arange(S.shape[1])
seen_words = place <= before_verb[:, None]
others = seen_words & (place != before_verb[:, None])
for name, values in pointed.items():
    top, rest = (np.where(some, np.abs(values), -1).argmax(axis=1) == subject for some in (seen_words, others))
    print(f"{name:21} strongest word is the subject: {top.mean():.2f}, without {rest.mean():.2f}")
print(f"by chance {np.mean(1 / seen_words.sum(axis=1)):.2f}")

# %% [markdown]
# Upside down. The last layer, nearly worst on mails, is right every time: one word must be fetched, and attention fetches it. Rollout and flow nearly always point at the word from which the model reads, since half of every layer is, by decree, its own stream. Occlusion errs there too, in every second sentence: after *the* no verb can follow. Swapping numbers was harmless.
#
# **The verdict.** How often is the top-attended word the decisive one? In the last layer for 35 % of the mails (28 to 42; chance 5 %) and 100 % of the sentences.

# %% [markdown]
# ## Break it
#
# ### High weight, no effect
#
# What tells the two models apart? Start with the built one. Criterion: the largest weight goes, the rest is scaled up, and the output changes by less than 0.01. The mute head:

# %%
layer, head = built.heads["mute"]
pattern = copy_maps.values[layer].copy()
pattern[:, head] = copy_maps.without(0)[layer][:, head]
looks = pattern[all_rows, head, read]
assert np.all(looks[:, 0] == 0)
assert np.allclose(looks.sum(axis=1), 1)  # all its weight now lies elsewhere
before, after = (attention.rerun(built.model, X, p, position=read) for p in ({}, {layer: pattern}))
print(f"all weight moved; largest change of any score: {np.abs(after - before).max():.2f}")
for role in ("mute", "decoy", "induction"):
    layer, head = built.heads[role]
    print(f"{role:10} length written {lengths[layer][all_rows, head, read].max(axis=1).mean():.2f}")

# %% [markdown]
# Norms catch the mute head: weight 1.00, length 0.00. They do not catch the decoy, which writes as much as the induction head. Only the second experiment, an intervention, caught both (the table above: right when flat).
#
# > **Pitfall. What a head writes is not what is read.** Value-weighted norms close one of two gaps. The other one needs the output.

# %% [markdown]
# ### "Attention is not explanation"
#
# Jain and Wallace (2019) shuffled attention weights and found predictions unmoved. Shuffled among *visible* keys, last layer, 50 times each, both our models:

# %%
shuffled = {
    "mails": attention.permutations(net, T[:100], n_permutations=50),
    "sentences": attention.permutations(reader, S[:100], n_permutations=50, position=before_verb[:100]),
}
fig, axes = plt.subplots(1, 2, figsize=(8.6, 3.2), sharey=True)
for (name, result), ax in zip(shuffled.items(), axes, strict=True):
    result.plot(ax)
    ax.set_title(name)
    typical = np.median(result.tvd, axis=1)
    print(f"{name}: median change {np.median(typical):.2f}, same answer {result.same_class.mean():.2f}")
plots.show(fig, "Shuffled attention hardly moves the mails; half of the sentences move far.")

# %% [markdown]
# A dot is a text: to the right peaked attention, upwards outputs that a typical shuffle changes (total variation distance). Mails lie at the bottom, as in much of the paper's data. The sentences do not: shuffles change the next word of three in four. Next, their adversary: attention as different as possible (Jensen-Shannon divergence, at most 0.69) while the output moves by at most 0.01. (In double precision: a search by gradients then takes the same path on every machine.)

# %%
exact_net, exact_reader = zoo.load("messages-transformer").double(), zoo.load("agreement-transformer").double()
fooled = {
    "mails": attention.adversary(exact_net, T[:30]),
    "sentences": attention.adversary(exact_reader, S[:30], position=before_verb[:30]),
}
for name, result in fooled.items():
    table = result.to_frame()
    moved = np.mean(table.top_before != table.top_after)
    print(f"{name}: mean divergence {result.jsd.mean():.2f}, another favourite {moved:.2f}, output {result.tvd.max():.2f}")

# %%
k = int(np.argmax([len(words_of(t)) < 16 for t in T[:40]]))
n = len(words_of(T[k]))
shown = attention.adversary(exact_net, T[k : k + 1, :n])
fig, ax = plt.subplots(figsize=(7.6, 3.2))
shown.plot(ax, names=words_of(T[k]))
ax.set_title(f"same answer, other attention: the output moves by {shown.tvd[0]:.2f}")
plots.show(fig, "The adversary's bars stand where the model's own do not, with nearly the same output.")

# %%
free = attention.maps(exact_net, T[:30])
pattern = free.values[1].copy()
pattern[np.arange(30), :, free.read] = fooled["mails"].weights
before, after = (log_odds(T[:30], p, exact_net) for p in (None, {1: pattern}))
print(f"log-odds of mails moved by {np.abs(after - before).mean():.2f} of {np.abs(before).mean():.2f} on average")

# %% [markdown]
# For the mails such attention is nearly always found. Weights that may be anything, the paper argued, cannot be why. (A probability near 0 or 1 forgives much, yet log-odds moved by only a tenth.) For half of the sentences another favourite was found too, at little more than half the divergence.

# %% [markdown]
# ### "Attention is not not explanation"
#
# Wiegreffe and Pinter (2019) answered. First, is attention *needed*? Replace it by equal weights. Where the answers stay, shuffles and adversaries prove nothing: there was nothing to explain. Second, the adversary is no model: its weights were searched text by text, not computed from queries and keys. So *train* one, with a single set of weights for all texts; we let only the last layer's queries and keys change, and judge it on unseen texts.

# %%
flat_net, flat_reader = attention.maps(net, T), attention.maps(reader, S, position=before_verb)
for name, odds, texts, m in (("mails", log_odds, T, flat_net), ("sentences", plural_odds, S, flat_reader)):
    before = odds(texts)
    for layers in ([1], [0], [0, 1]):
        after = odds(texts, {layer: m.uniform()[layer] for layer in layers})
        flattened = " and ".join(str(layer + 1) for layer in layers)
        kept, moved = np.mean((after > 0) == (before > 0)), np.abs(after - before).mean()
        print(
            f"{name}, layer {flattened} flat: answers kept {kept:.2f},",
            f"log-odds move by {moved:.2f} of {np.abs(before).mean():.2f}",
        )

# %%
train_T = encoded(world.train[0][:1000])
train_S = sentences.X[rule.attractors(sentences.X) > 0][300:1300]
trained = {
    "mails": (exact_net, attention.trained_adversary(exact_net, train_T), T, None, log_odds),
    "sentences": (
        exact_reader,
        attention.trained_adversary(exact_reader, train_S, position=rule.verb(train_S) - 1),
        S,
        before_verb,
        plural_odds,
    ),
}
for name, (model, adversary, texts, position, odds) in trained.items():
    own_rows, new_rows = (attention.maps(m, texts, position=position).at_read()[1] for m in (model, adversary))
    favourites = [rows.mean(axis=1).argmax(axis=1) for rows in (own_rows, new_rows)]
    print(
        f"{name}: divergence {attention.jsd(own_rows, new_rows).mean():.2f},",
        f"same favourite {np.mean(favourites[0] == favourites[1]):.2f},",
        f"same answer {np.mean((odds(texts, model=adversary) > 0) == (odds(texts) > 0)):.2f}",
    )

# %% [markdown]
# For mails the last layer is hardly needed: flat attention keeps 98 % of the answers and most of the scores. No adversary could fail; the vendor's map explains little. In the sentences it is. There the trained adversary moved weights too, but had to leave the favourite in place, every time. So the first paper describes our filter, the second our sentence model. First ask: is this attention needed? Only then: where does it look?
#
# > **Pitfall. An adversary shows that weights are not unique, not that they are unused.** Flatten, remove, measure.

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
# No sink, in any head: the first token gets about its flat share or less. The phenomenon is one of deeper models; do not quote it for a model you have not measured. What does the last position look at, then, and does it matter?

# %%
own_p = attention.probabilities(attention.rerun(writer, D, {}))
favourite = doc_maps.at_read()[1].mean(axis=1).argmax(axis=1)
anywhere = np.random.default_rng(0).integers(0, D.shape[1], len(D))
changes = {}
for name, keys in {"its favourite": favourite, "a random position": anywhere, "<s>": 0}.items():
    gone = attention.rerun(writer, D, {1: doc_maps.without(keys)[1]})
    changes[name] = attention.tvd(own_p, attention.probabilities(gone))
    print(f"last layer without {name:17}: output changes by {changes[name].mean():.2f}")
flat_p = attention.probabilities(attention.rerun(writer, D, {1: doc_maps.uniform()[1]}))
print(f"last layer flat: {attention.tvd(own_p, flat_p).mean():.2f}")
gap = mean_interval(changes["its favourite"] - changes["a random position"])
print("favourite minus random: {:+.2f} ({:+.2f} to {:+.2f})".format(*gap))

# %% [markdown]
# The favourite matters more than a random position, so the weights are not arbitrary; yet a next word rests on many positions at once. Beyond that nothing may be concluded: nobody planted a truth here. One sentence, with an attribution beside it:

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
my_model, my_name, my_text = writer, "docstrings-transformer", "the number of samples to draw from the"

my_tokens = zoo.encode(my_name, [my_text])
my_maps = attention.maps(my_model, my_tokens)
my_own = attention.probabilities(attention.rerun(my_model, my_tokens, {}))
for layer in range(len(my_maps.values)):
    flat = attention.rerun(my_model, my_tokens, {layer: my_maps.uniform()[layer]})
    change = attention.tvd(my_own, attention.probabilities(flat))[0]
    print(f"flat attention in layer {layer + 1} changes the output by {change:.2f}")
my_top = attention.occlusion(my_model, my_tokens, replacement=prose.number("<unk>"))
print("strongest by occlusion:", zoo.vocabulary(my_name).decode(my_tokens[0])[np.abs(my_top.values[0]).argmax()])

# %% [markdown]
# ## Strengths, limits, when not to use it
#
# **Strengths.** Attention is part of the computation, exact and free. It shows roads: where content *can* have come from. Where one item must be fetched, the layer that fetches shows it. And it can be edited, which turns it from a picture into an experiment.
#
# > **Pitfall. Attention to a position is not attention to a word.** After one layer a position holds a mixture. Rollout and flow account for that, and for nothing else.
#
# > **Pitfall. A plausible map is not a used one.** *no* was the favourite of the last layer, and that layer could do without it. Flatten first.
#
# > **Pitfall. Rollout assumes half.** Its residual share is a convention. Leave out the word from which the model reads, and say so.
#
# > **Pitfall. An adversary is not a model.** It shows that weights are not unique. Whether they are needed, flat attention shows: here in the trained model, so that "needed" means by these weights; Wiegreffe and Pinter train a new model with equal weights, which may find another way.
#
# > **Pitfall. Two small models prove nothing about yours.** What carries over is the order of the experiments.
#
# **Leave it** when you want to know which words decided: occlusion and integrated gradients see the output, and with the unknown word they were right for three mails in four where the last layer's attention was right for one in three. For what a head *does*, go on to chapter 12.

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
# 2. Before you read a layer's map as an explanation, flatten the layer. If the answers stay, close the map.
# 3. The last layer's favourite was decisive for one mail in three and for every sentence. One word to fetch showed in attention; evidence summed up over a mail did not.
# 4. Rollout and flow follow mixtures, and count half of every layer as "itself". They were better on mails and pointed at the wrong word in sentences.
# 5. For words that decided, use what sees the output, state what stands for a missing word, and check that the replacement is still a text.

# %% [markdown]
# ## Further reading
#
# - Vaswani et al. (2017), *Attention is all you need*, arXiv 1706.03762.
# - Jain & Wallace (2019), *Attention is not explanation*, arXiv 1902.10186.
# - Wiegreffe & Pinter (2019), *Attention is not not explanation*, arXiv 1908.04626.
# - Abnar & Zuidema (2020), *Quantifying attention flow in transformers*, arXiv 2005.00928.
# - Kobayashi et al. (2020), *Attention is not only a weight: analyzing transformers with vector norms*, arXiv 2004.10102.
# - Xiao et al. (2023), *Efficient streaming language models with attention sinks*, arXiv 2309.17453.
# - Linzen, Dupoux & Goldberg (2016), *Assessing the ability of LSTMs to learn syntax-sensitive dependencies*, arXiv 1611.01368. Where the agreement sentences come from.
