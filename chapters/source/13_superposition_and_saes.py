# %% [markdown]
# # Superposition and sparse autoencoders: more features than numbers
#
# You will see why a network stores many features in few numbers, unmix them again with a sparse autoencoder, count how many of its latents are real, give them names that survive a test, and turn one up and down inside a mail filter.
#
# A neuron that answers to *prize*, *Thursday* and *harbour* explains nothing. Sparse autoencoders are the field's best known answer, and their pictures are persuasive. On features that we planted you can measure what the pictures leave out.
#
# **Estimated time:** 140 minutes
#
# **What you need:** hooks and residual stream from [chapter 12](12_patching.ipynb), and what a probe's direction is from [chapter 11](11_probing.ipynb). The folded box recalls the geometry.

# %%
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import torch
from scipy.optimize import linear_sum_assignment
from sklearn.decomposition import MiniBatchDictionaryLearning

from xailib import exercises as ex
from xailib import lab, plots, sae, worlds, zoo
from xailib.evaluation import mean_interval
from xailib.experiments import sae as stored

# %% [markdown] tags=["digression"] jp-MarkdownHeadingCollapsed=true
# ## Foundations: crowded directions in ten minutes
#
# **A feature is a direction.** If a layer has two numbers, "spam" may be the direction (1, 0) and "has a date" the direction (0, 1). To store both, add them: $a = f_1 d_1 + f_2 d_2$. To read one, take the scalar product with its direction.
#
# **At right angles nothing leaks.** $a \cdot d_1 = f_1 + f_2\,(d_1 \cdot d_2)$. With a right angle the second term is 0. With a third direction in the plane, some pair is not at right angles, and reading one feature picks up the others. That is **interference**.

# %%
d1, d2 = np.array([1.0, 0]), np.array([np.cos(np.pi / 3), np.sin(np.pi / 3)])  # 60 degrees apart
print(f"only feature 2 is on, at 1; reading feature 1 gives {d2 @ d1:.4f}")

# %% [markdown] tags=["digression"]
# **Two things save crowded directions.** If features are *sparse*, mostly off, others are seldom there to leak. And a rectifier cuts negative readings: a leak from a direction more than 90 degrees away is negative, and ReLU makes it 0.
#
# **A dictionary** is a matrix $D$ whose rows are such directions, more rows than columns; $a = zD$ with few entries of $z$ not zero is a **sparse code**. Check yourself before you go on.

# %%
ex.card("sae.pentagon")

# %%
my_guess = ...  # on paper
my_error = ...  # from NumPy
my_error = ex.check("sae.pentagon", my_error, prediction=my_guess)

# %% [markdown]
# ## Warm-up

# %%
ex.warmup("sae")

# %% [markdown]
# ## The story
#
# A small transformer sorts mails: spam or not. Its first layer, `embedded`, turns each word into 64 numbers. You want to know where it keeps *prize*. So you take the first number, and list the words that make it largest.

# %%
net, vocabulary = zoo.load("messages-transformer"), zoo.vocabulary("messages-transformer")
world = worlds.messages(1500)
tokens = zoo.encode("messages-transformer", world.X)
A = sae.token_activations(net, tokens, "embedded")
word_of = np.array(vocabulary.words)
words, first = word_of[A.tokens], A.sequence < 750
used = sorted(set(words))
means = pd.DataFrame(A.values).groupby(words).mean()
for j in range(4):
    print(f"number {j}: most for", ", ".join(means[j].nlargest(6).index))
turned = pd.DataFrame(means @ sae.random_dictionary(1, 64)[0])[0]
print("a random direction: most for", ", ".join(turned.nlargest(6).index))
print(f"{len(used)} words, {A.values.shape[1]} numbers")

# %% [markdown]
# Each number answers to a jumble: it is **polysemantic**. For two reasons. Nothing favours the 64 *axes*: a random direction gives a jumble too. And there are more words than numbers, so not all can stand at right angles. **Can we find the true directions without being told the words? Is what we find real?** Half of the mails (750) are for looking, the rest for testing.

# %% [markdown]
# ## By hand
#
# Three yes-or-no features in two numbers: $d_1 = (0, 1)$, $d_2 = (-0.87, -0.5)$, $d_3 = (0.87, -0.5)$, 120 degrees apart. Store $h = \sum_i x_i d_i$, read $x'_i = \mathrm{ReLU}(d_i \cdot h)$:
#
# | features $x$ | readings $d_i \cdot h$ | after ReLU | squared error |
# |---|---|---|---|
# | (1, 0, 0) | (1, -0.5, -0.5) | (1, 0, 0) | 0 |
# | (1, 1, 0) | (0.5, 0.5, -1) | (0.5, 0.5, 0) | 0.5 |
# | (1, 1, 1) | (0, 0, 0) | (0, 0, 0) | 3 |
#
# Each is on with probability $p$: error $3p^2(1-p) \cdot 0.5 + p^3 \cdot 3 = 1.5p^2 + 1.5p^3$. The tidy alternative: two at right angles, guess $p$ for the third: $p(1-p)$. At which $p$ are both equally good?

# %%
angles = np.deg2rad([90, 210, 330])
W = np.array([np.cos(angles), np.sin(angles)])  # a column for each feature
X = np.array([[1.0, 0, 0], [1, 1, 0], [1, 1, 1]])
print(np.maximum(X @ W.T @ W, 0).round(4) + 0.0)
for p in (0.1, 1 / 3, 0.6):
    print(f"p = {p:.4f}: crowded {1.5 * p**2 + 1.5 * p**3:.4f}, tidy {p - p**2:.4f}")


# %% [markdown]
# Exactly one third. Rarer features are better off crowded: collisions cost of order $p^2$, forgetting costs of order $p$. That is the core of superposition; importances and biases shift the border.

# %% [markdown]
# ## In thirty lines
#
# **The toy model** of Elhage et al. learns the directions: $x' = \mathrm{ReLU}(W^\top W x + b)$, loss $\mathrm E \sum_i I_i (x_i - x'_i)^2$ with importances $I_i$.


# %%
def my_toy(n, m, density, importance, steps=600, seed=0):
    g = torch.Generator().manual_seed(seed)
    W = (torch.randn(m, n, generator=g, dtype=torch.float64) / 2).requires_grad_()
    b = torch.zeros(n, dtype=torch.float64, requires_grad=True)
    adam = torch.optim.Adam([W, b], lr=0.02)
    for _ in range(steps):
        u, v = torch.rand(2, 256, n, generator=g, dtype=torch.float64)
        x = u * (v < density)
        loss = (importance * (x - torch.relu(x @ W.T @ W + b)) ** 2).sum(dim=1).mean()
        adam.zero_grad()
        loss.backward()
        adam.step()
    return W.detach().numpy()


importance = torch.tensor(0.8) ** torch.arange(5)
for density in (1.0, 0.05):
    lengths = np.linalg.norm(my_toy(5, 2, density, importance), axis=0)
    print(f"density {density:.2f}: lengths of the five directions {lengths.round(2) + 0.0}")


# %% [markdown]
# Dense: the two most important features, a dimension each. Sparse: all five, crowded.
#
# **The sparse autoencoder** goes the other way, from activations $a$ back to features:
#
# $$z = \mathrm{topk}\big(\mathrm{ReLU}((a - c)\,W + b)\big), \qquad \hat a = z D + c, \qquad L = \|a - \hat a\|^2, \qquad \|D_j\| = 1$$
#
# Subtracting $c$ first lets the latents speak about differences from a typical activation. Only $k$ latents of a row survive.


# %%
def my_latents(A, W, b, c, k):
    z = torch.relu((A - c) @ W + b)
    return z * (z >= z.topk(k, dim=1).values[:, -1:])


def my_autoencoder(A, m, k, steps=1000, seed=0):
    g, A = torch.Generator().manual_seed(seed), torch.tensor(A)
    D = torch.randn(m, A.shape[1], generator=g, dtype=A.dtype)
    D = D / D.norm(dim=1, keepdim=True)
    W, b, c = D.T.clone(), torch.zeros(m, dtype=A.dtype), A.mean(dim=0)
    parameters = [value.requires_grad_() for value in (W, b, D, c)]
    adam = torch.optim.Adam(parameters, lr=5e-3)
    for _ in range(steps):
        a = A[torch.randint(len(A), (256,), generator=g)]
        loss = ((my_latents(a, W, b, c, k) @ D + c - a) ** 2).sum(dim=1).mean()
        adam.zero_grad()
        loss.backward()
        adam.step()
        with torch.no_grad():
            D /= D.norm(dim=1, keepdim=True)
    return [value.detach() for value in parameters]


# %% [markdown]
# To grade it we need a truth: 32 features in 20 dimensions, two of them on in a typical row, directions pushed apart as training would push them. The **matched cosine** pairs each planted direction with one learnt direction, one to one (the Hungarian method), and averages the cosines.

# %%
planted = sae.planted(8000, 32, 20, random_state=2)
train, test = planted.halves()
my_W, my_b, my_D, my_c = my_autoencoder(train.activations, 32, k=2)
C = planted.dictionary @ my_D.numpy().T
i, j = linear_sum_assignment(C, maximize=True)
print(planted)
print(f"mean matched cosine {C[i, j].mean():.2f}, worst three {np.sort(C[i, j])[:3].round(2)}")

# %% [markdown]
# Most directions are found exactly, a few not at all.

# %% [markdown]
# ## The library way
#
# The package of the field, sae-lens, is made for large language models and too heavy for this course. `xailib.sae` trains several autoencoders at once in one batched tensor. On the same weights it must give your latents:

# %%
parts = [value.numpy() for value in (my_W, my_b, my_D, my_c)]
one = sae.SparseAutoencoder(*parts, kind="top-k", k=2, l1=np.nan, threshold=0.0, loss=np.ones(1), n_resampled=0)
mine = my_latents(torch.tensor(test.activations), my_W, my_b, my_c, 2)
assert np.allclose(one.encode(test.activations), mine, atol=1e-10)
dead = int((mine.numpy() == 0).all(axis=0).sum())
print("ok: the same latents on", len(mine), "rows;", one, "|", dead, "of 32 never on")

# %% [markdown]
# Some of yours never fire: **dead latents**. The library starts them anew, twenty times during training, as *inputs that are rebuilt badly*. It knows three kinds: `"relu"` with a penalty $\lambda \sum_j z_j$ (L1; `l1=` is $\lambda$, where activations have mean square 1), `"top-k"`, and `"batch-top-k"`, which keeps the $k \cdot n$ largest latents of a batch of $n$ rows, so that busy rows may use more. (Another cure for dead latents is an auxiliary loss, in which they must explain the error.) The peer is scikit-learn's dictionary learning, a lasso for every row; `alpha` is its penalty. **F1** is the harmonic mean of precision (of the firings, how many have the feature on) and recall (of the rows with the feature, how many fire).

# %%
found = sae.fit(train.activations, 32, kind="batch-top-k", k=2)
peer = MiniBatchDictionaryLearning(32, **stored.PEER).fit(train.activations)
learnt = {
    "xailib": (found.dictionary, found.encode(test.activations)),
    "scikit-learn": (peer.components_, peer.transform(test.activations)),
}
for name, (directions, on) in learnt.items():
    print(name, sae.recovery(directions, planted.dictionary, latents=on, codes=test.codes))
print("started anew:", found.n_resampled, "|", sae.evaluate(found, test.activations))

# %% [markdown]
# Both find this world. scikit-learn solves a small optimisation for every row, an autoencoder has one matrix product in its place, which is why it scales to a language model. Is the shortcut worse? One world can not say; five follow below.

# %% [markdown]
# ## Lab
#
# Two labs; a third follows with steering. **Crowding**: make features rarer, one notch at a time.

# %%
crowd = lab.sae.superposition()
crowd

# %%
crowd.filmstrip()

# %%
print(lab.sae.superposition().user_sets(rarity=5))  # a second copy

# %% [markdown]
# Then a **dictionary for 16 planted features**: change its size and its sparsity. Bars are directions, diamonds say whether the latent is on at the right times.

# %%
bench = lab.sae.dictionary_bench()
bench

# %%
bench.filmstrip()

# %%
print(lab.sae.dictionary_bench().user_sets(size="12", k=3))  # a second copy

# %% [markdown]
# Watch the dashed line: explained variance climbs until the size is right, then stops. It hardly tells a right dictionary from one that is twice too large, and with more latents on it rises while the diamonds fall.

# %% [markdown]
# ## Graded against the truth
#
# ### Toy models against a formula
#
# Two features, one dimension, importances 1 and $I$, density $p$, each uniform on [0, 1] when on. Three ideal answers have exact losses: keep the first, $I(\tfrac p3 - \tfrac{p^2}4)$; keep the second, $\tfrac p3 - \tfrac{p^2}4$; or opposite ends, $(1 + I)\tfrac{p^2}6$. So superposition should win below $p^* = \tfrac{4I}{2+5I}$ for $I \le 1$. 132 models, six starts each, were trained by `python -m xailib.experiments.sae`; nine cells are trained again here.

# %%
made = stored.explorer()
axes = np.geomspace(0.02, 1, 12), np.geomspace(0.1, 10, 11)
diagram = sae.PhaseDiagram(*axes, made["phase_weights"], made["phase_losses"])
cells = diagram.to_frame()
agree = cells.state == cells.ideal
edge = np.abs(np.log(cells.density / sae.phase_boundary(cells.importance)))
between = ((np.abs(diagram.weights) > 0.1) & (np.abs(diagram.weights) < 0.5)).any(axis=2)
again = sae.phase_diagram(axes[0][1::4], axes[1][1::4], steps=400, learning_rate=0.03)
print(diagram)
print(f"as the formula says: {agree.sum()} of {len(cells)}; {agree[edge > 0.5].mean():.2f} off the border")
print(f"cells with a weight between 0.1 and 0.5: {between.sum()}")
print("trained again, the same:", (again.states == diagram.states[1::4, 1::4]).sum(), "of 9")

# %%
fig, ax = plt.subplots(figsize=(7.4, 3.8))
diagram.plot(ax)
ax.set_title("what 132 trained models keep, and the border of the formula", fontsize=10)
plots.show(fig, "Grid of toy models: 1 or 2 where one feature is kept, S for both in superposition below the curve.")

# %% [markdown]
# Each square is a trained model: **1** or **2** keeps one feature, **S** keeps both on opposite ends of the line. The curve is the formula, not a fit. Notice the jump: a feature is kept or not, hardly ever half. The five cells that disagree lie beside the border, where two answers cost the same. What the figure does not say: that large networks cross such a border; it is about two independent features.

# %%
five = stored.FEATURES.index(5)
for d, p in enumerate(stored.DENSITIES):
    W, b = made["W"][five, 0, d, :, :5], made["b"][five, 0, d, :5]
    toy = sae.ToyModel(W, b, p, 0.8 ** np.arange(5), float(made["loss"][five, 0, d]))
    print(f"density {p:.2f}: {toy.n_represented} of 5 features in 2 dimensions")

# %% [markdown]
# A ladder: 2, 3, 4, 5, the models of the first lab. Its filmstrip shows the arrangements: two opposite pairs at 4, a pentagon at 5.

# %% [markdown]
# ### Recovery of planted features
#
# Five worlds, each with its own directions and rows. Weak penalties leave many faint latents on, so kinds must be compared with *equally many on*. `sae.thresholded` keeps the weights and chooses, on the training rows and without the truth, the threshold that leaves 2 on.

# %%
halves = stored.five_worlds()
rows = np.stack([half.activations for half, _ in halves])
settings = {"batch-top-k": {"k": 2}, "top-k": {"k": 2}, "relu": {"l1": 0.2}}
models = {kind: sae.fit_many(rows, 32, kind=kind, **more) for kind, more in settings.items()}

# %%
grades, matched = {}, {}
for kind, found in models.items():
    pairs = zip(found, halves, strict=True)
    two_on = [sae.thresholded(one, half.activations, 2) for one, (half, _) in pairs]
    grades[kind], matched[kind] = stored.graded(found, halves), stored.graded(two_on, halves)
    print(stored.line(kind, grades[kind]), stored.line("  with a threshold", matched[kind]), sep="\n")

# %%
for name in ("top-k", "relu"):
    gap = mean_interval((matched["batch-top-k"].f1 - matched[name].f1).to_numpy())
    print(f"F1, batch top-k minus {name}, 2 on: {gap[0]:+.2f} ({gap[1]:+.2f} to {gap[2]:+.2f})")
for name in ("cosine", "f1"):
    gap = mean_interval(matched["batch-top-k"][name].to_numpy() - made[f"peer_{name}"])
    print(f"{name}, ours minus scikit-learn: {gap[0]:+.2f} ({gap[1]:+.2f} to {gap[2]:+.2f})")
luck = [sae.recovery(sae.random_dictionary(32, 20, random_state=s), t.dictionary).mean_cosine
        for s, (_, t) in enumerate(halves)]  # fmt: skip
basis = [sae.recovery(sae.pca_dictionary(a.activations), t.dictionary).mean_cosine for a, t in halves]
print(f"cosine of random directions {np.mean(luck):.2f}, of PCA with both signs {np.mean(basis):.2f}")

# %% [markdown]
# All kinds find the directions; luck finds less than half. As trained, they seem to differ in *when* features are on (F1 0.72 to 0.92), but that was the number of latents: with 2 on, all have 0.90 to 0.92. Every paired interval holds 0, also those against scikit-learn. A kind world, though: directions pushed apart, no noise.

# %%
harsh = [sae.planted(8000, 32, 20, spread=False, noise_sd=0.1, random_state=s).halves() for s in range(5)]
harsh_rows = np.stack([half.activations for half, _ in harsh])
print(stored.line("random directions, noise", stored.graded(sae.fit_many(harsh_rows, 32, k=2, steps=400), harsh)))
unhelped = sae.fit_many(rows, 32, k=2, resample=False)
left = stored.graded(unhelped, halves)
print(stored.line("kind, none started anew", left))
gain = mean_interval((grades["batch-top-k"].cosine - left.cosine).to_numpy())
print("paired gain in cosine: {:.2f} ({:.2f} to {:.2f})".format(*gain))
missed = [(sae.recovery(m.dictionary, t.dictionary).cosines < 0.9).sum() for m, (_, t) in zip(unhelped, halves, strict=True)]
print("missed in each world:", np.array(missed), "dead:", (32 * left.dead).round().astype(int).to_numpy())

# %% [markdown]
# Crowding and noise cost. And starting dead latents anew helps. But dead latents are only one cause of missed features: look for a world that misses some with none dead. There two features share a latent.

# %% [markdown]
# ### Sparsity against reconstruction
#
# The standard plot of the field, on the first world:

# %%
train, test = halves[0]
strengths = {"batch-top-k": [1, 2, 3, 5], "top-k": [1, 2, 3, 5], "relu": [0.8, 0.5, 0.3, 0.1]}
curves = sae.frontier(train.activations, test.activations, 32, strengths, steps=500)
print(curves.pivot_table(index="kind", columns="strength", values="explained").round(2).to_string(na_rep=""))
weak = sae.fit(train.activations, 32, kind="relu", l1=0.04)
judged = {"batch top-k": models["batch-top-k"][0], "weak relu": weak}
judged["weak relu, 2 on"] = sae.thresholded(weak, train.activations, 2)
for name, one in judged.items():
    row = stored.graded([one], [(train, test)]).iloc[0]
    print(f"{name:16} explained {row.explained:.2f}, on {row.l0:.1f}, cosine {row.cosine:.2f}, F1 {row.f1:.2f}")

# %%
fig, ax = plt.subplots(figsize=(6.4, 3.4))
for (kind, part), mark in zip(curves.groupby("kind", sort=False), "osD", strict=True):
    ax.plot(part.l0, part.explained, marker=mark, label=kind)
ax.axvline(2, color=plots.TRUTH, ls="--", lw=1.5, label="features really on")
ax.set(xlabel="latents on in a row", ylabel="explained variance", title="sparsity/reconstruction frontier")
ax.legend(fontsize=8)
plots.show(fig, "Explained variance rises with the latents on; batch top-k bends at 2, the others later.")

# %% [markdown]
# Up and to the left is better. Notice the bends: batch top-k at the truth, the others later. The weak penalty explains most, and says worst when a feature is on; a threshold at 2 does not save it, its directions are worse too. What the plot does not say: where the dashed line stands in a layer that nobody planted.

# %% [markdown]
# ### A trained network: the words of the mail filter
#
# Back to the story. `embedded` is a word plus its place, so we know what there is to find. 192 latents, 2 on in a row, the first 750 mails. Each latent gets a **name**: the words that make up at least 15 % of its forty strongest examples. On the other mails: is it on exactly where these words stand?

# %%
filter_sae = sae.fit(A.values[first], 192, k=2)
z = filter_sae.encode(A.values)
named = sae.name_latents(z, words, first)
good = named[named.f1 > 0.9]
print(sae.evaluate(filter_sae, A.values[~first]))
print(f"{len(named)} latents with a name; {len(good)} of the names have F1 above 0.9 on new mails")
print(named.loc[[0, 20, 40], ["name", "precision", "recall", "f1", "chance"]].round(2).to_string(index=False))
print(f"share of latents that never fire on the other mails: {sae.evaluate(filter_sae, A.values[~first]).dead:.2f}")

# %% [markdown]
# About ninety words, each with a latent of its own, found in 64 numbers without a label. Precision: of the latent's firings, how many have the word; recall: of the word's places, how many fire. Nearly a quarter of the latents never fire: the dictionary is larger than needed. Is this a finding about the *network*? Control: the same network with a table of **random numbers** (same spread) in the place of the embedding that it learnt.

# %%
noise_net, rng = zoo.load("messages-transformer"), np.random.default_rng(0)
with torch.no_grad():
    for table in (noise_net.tokens.weight, noise_net.positions.weight):
        table.copy_(torch.tensor(rng.normal(0, float(table.std()), table.shape)))
N = sae.token_activations(noise_net, tokens, "embedded").values
noise_z = sae.fit(N[first], 192, k=2, steps=400).encode(N)
noise_named = sae.name_latents(noise_z, words, first)
print(f"random embedding: {(noise_named.f1 > 0.9).sum()} of the names have F1 above 0.9")


# %% [markdown]
# **More than in the trained network.** Word latents show that an embedding is a lookup table, and nothing about training (compare Heap et al., 2025, in the list below). Some latents of the trained one are about the *place*: choose, on the first half, the one that best says "it is the fifteenth word".


# %%
def chosen(latents, fits):
    return int(np.argmax([sae.score_name(column, fits[first]).f1 for column in latents[first].T]))


there = A.position == 14
j = chosen(z, there)
wordless = named.set_index("latent").loc[j]
print(f"latent for place 15: F1 {sae.score_name(z[~first, j], there[~first]).f1:.2f} on new mails;", end=" ")
print(f"its name from top words: {wordless['name']}, F1 {wordless.f1:.2f}")

# %% [markdown]
# So which latents owe something to training? The rule behind the mails gives 39 cue words a weight, between -3.8 (*mum*) and 4 (*winner*). We choose, on the first half, the latent that best fits "weight above 1.5", and one for "below -1.5", and test both on the second; the same for the network of noise.

# %%
weight = world.truth.cue_weights
w = np.array([weight.get(word, 0.0) for word in words])
claims = {"spam": w > 1.5, "ham": w < -1.5}
latent = {name: chosen(z, fits) for name, fits in claims.items()}
for name, fits in claims.items():
    s = sae.score_name(z[~first, latent[name]], fits[~first])
    control = sae.score_name(noise_z[~first, chosen(noise_z, fits)], fits[~first])
    print(f"{name:5} precision {s.precision:.2f}, recall {s.recall:.2f}, F1 {s.f1:.2f}; noise: F1 {control.f1:.2f}")
strength = pd.Series(z[:, latent["spam"]] - z[:, latent["ham"]]).groupby(words).mean()
cues = pd.Series(weight).loc[lambda s: s.index.isin(strength.index)]
for name, part in {"spam": cues[cues > 0], "ham": cues[cues < 0], "all": cues}.items():
    r = np.corrcoef(part, strength[part.index])[0, 1]
    print(f"activity and planted weight, {len(part)} cues ({name}): r = {r:.2f}")

# %%
fig, ax = plt.subplots(figsize=(6.4, 3.4))
ax.plot(cues, strength[cues.index], "o", color=plots.ANCHOR, ms=4)
for word in ("winner", "discount", "garden", "report", "mum"):
    ax.annotate(word, (cues[word], strength[word]), xytext=(5, -9), textcoords="offset points", fontsize=8)
ax.set(xlabel="planted weight of the cue (log-odds of spam)", ylabel="spam minus ham latent")
ax.set_title("two latents hold what the network learnt about 39 cues", fontsize=10)
plots.show(fig, "Activity of the spam minus the ham latent grows with the planted weight of each cue word.")

# %% [markdown]
# A random table has no such latent: this is what training made. Each dot is a cue word; across, its planted weight; up, how strongly the two latents answer. Nobody gave the autoencoder a label or a weight. Notice the weak cues: some fall silent. What the figure does not say: that the network *uses* these directions.

# %% [markdown]
# ### The dial: clamping with a dose
#
# Take 100 new mails and the first word in each that the rule does not read. Set the spam latent there to $v$: $a \leftarrow a + (v - z_j)\,d_j$, within what mails show. Controls with the same steps: the directions of 24 *other latents*, and the simplest of all, mean of the spam cues minus mean of the words without weight.

# %%
mails = tokens[1000:1100]
spot = lab.sae.first_neutral(mails, word_of, world.truth.relevant)
spam, doses = latent["spam"], np.linspace(0, 1.6, 5)
print(f"largest value of the latent on all mails: {z[:, spam].max():.2f}")


def steered(direction=None, texts=mails, values=doses, model=net):
    return sae.steer(model, texts, "embedded", filter_sae, spam, values, 1, against=0, direction=direction, where=spot)


difference = A.values[first & (w > 1.5)].mean(axis=0) - A.values[first & (w == 0)].mean(axis=0)
own, mean_way = steered(), steered(difference)
others = named.latent[~named.latent.isin(latent.values())].to_numpy()[::5][:24]
chance = [steered(filter_sae.dictionary[j], values=[0, 1.6]) for j in others]

# %%
per_unit = "{:+.2f} per unit ({:+.2f} to {:+.2f})"
print("own direction:         ", per_unit.format(*mean_interval(own.slopes)))
print("mean difference:       ", per_unit.format(*mean_interval(mean_way.slopes)))
print("own minus mean, paired:", per_unit.format(*mean_interval(own.slopes - mean_way.slopes)))
sizes = np.array([abs(one.slopes.mean()) for one in chance])
nearness = filter_sae.dictionary[named.latent] @ filter_sae.dictionary[latent["ham"]]
near = named.iloc[np.argsort(-nearness)[1]]  # the first is the ham latent itself
slope = steered(filter_sae.dictionary[near.latent], values=[0, 1.6]).slopes.mean()
print(f"{len(sizes)} other latents, size: median {np.median(sizes):.2f}, largest {sizes.max():.2f}")
print(f"the latent nearest to ham's, {near['name']}: cosine {np.sort(nearness)[-2]:.2f}, {slope:+.2f} per unit")
cosine = filter_sae.dictionary[spam] @ difference / np.linalg.norm(difference)
print(f"cosine of own direction and mean difference: {cosine:.2f}")

# %%
fig, ax = plt.subplots(figsize=(6.8, 3.6))
rise = own.scores - own.untouched[:, None]
ax.plot(doses, rise.T, color=plots.CONTEXT, lw=0.6, alpha=0.6)
ax.plot(doses, rise.mean(axis=0), "o-", color=plots.ANCHOR, lw=2.5, label="spam latent, mean")
mean_rise = (mean_way.scores - mean_way.untouched[:, None]).mean(axis=0)
ax.plot(doses, mean_rise, "s--", color=plots.POSITIVE, ms=5, label="mean difference, mean")
other_rise = np.mean([one.effect().mean() for one in chance])
ax.plot([0, 1.6], [0, other_rise], ":", color="black", lw=2, label="other latents' directions, mean")
ax.set(xlabel="spam latent clamped to", ylabel="change in log-odds of spam")
ax.set_title("dose-response over 100 mails", fontsize=10)
ax.legend(fontsize=8, loc="upper left")
plots.show(fig, "Log-odds of spam rise with the clamp value; other latents are nearly flat, mean difference is steeper.")

# %% [markdown]
# Thin lines are mails, the thick one their mean. Other latents' directions do next to nothing (but for one near the ham latent's), so the latent is not only *readable* but *used*. Notice the dashed line: the plain mean difference, nearly the same direction, moves the score **more** (paired interval clear of zero). What the figure does not say: what a real cue word would do there, and whether it acts *through* this latent. So write the word, then set only the spam latent to 0. Control: the same step along ten random directions.

# %%
before, interval = own.untouched, "{:+.2f} ({:+.2f} to {:+.2f})"
for word in ("winner", "click", "voucher"):
    texts = np.where(spot, vocabulary.number(word), mails)
    off = steered(texts=texts, values=[0, 1])
    natural = z[words == word, spam].mean()
    print(f"{word:8} written", interval.format(*mean_interval(off.untouched - before)), end="; ")
    print("its latent then set to 0", interval.format(*mean_interval(off.scores[:, 0] - before)), end="; ")
    print(f"latent alone at {natural:.2f}: {np.interp(natural, doses, (own.scores.T - before).mean(axis=1)):+.2f}")
texts = np.where(spot, vocabulary.number("winner"), mails)
walks = [steered(u, texts, [0, 1]).scores[:, 0] - before for u in sae.random_dictionary(10, 64, random_state=3)]
left_over = np.array([walk.mean() for walk in walks])
print(f"winner, ten random directions: {left_over.min():+.2f} to {left_over.max():+.2f} is left")

# %% [markdown]
# Without its latent a written cue word does **nothing**: all three intervals hold 0. Be careful, though: a step of that length along each of ten random directions takes most of the effect too, though none takes all. And the latent alone, at the same strength, does a quarter to a third of the word. Is the rest in other directions? Or does the neutral word, which still stands there, dilute it? Fade the neutral word out:

# %%
museum = vocabulary.number("museum")
texts = np.where(spot, museum, mails)
for share in (0, 0.5, 1):
    faded = zoo.load("messages-transformer")
    with torch.no_grad():
        vectors = faded.tokens.weight
        vectors[museum] += share * (vectors.mean(dim=0) - vectors[museum])
    rise = mean_interval(steered(texts=texts, values=[0, 1.54], model=faded).effect())
    print(f"{share:.1f} of 'museum' taken out: the latent at 1.54 gives", interval.format(*rise))

# %% [markdown]
# Dilution it is: on an empty place the latent gives all that *winner* gives. Now the thin lines that *fall*:

# %%
fall = own.effect() < -0.2
places, at = np.arange(mails.shape[1]), spot.argmax(axis=1)[:, None]
negation = np.isin(word_of[mails], world.truth.negations)
behind, ahead = negation & (places > at), negation & (places < at)
print(f"mails that fall: {fall.sum()}; with a negation behind the word {behind.any(axis=1)[fall].sum()},", end=" ")
print(f"ahead of it {ahead.any(axis=1)[fall].sum()} (of all 100: {behind.any(axis=1).sum()}, {ahead.any(axis=1).sum()})")
without = steered(texts=np.where(behind, vocabulary.number("museum"), mails))
print(f"negations behind it replaced: {(without.effect() < -0.2).sum()} fall; the same mails:", end=" ")
print(f"from {own.effect()[fall].mean():+.2f} to {without.effect()[fall].mean():+.2f}")

# %% [markdown]
# More than half of all mails have a negation behind the word, so that alone tells little. Replacing these negations does: nearly all of the mails now rise. The planted rule lets a negation turn only what comes *after* it; this filter has learnt to negate backwards. The dial raised the suspicion, the replacement settled it. A third lab: turn it yourself.

# %%
dial = lab.sae.steering_dial()
dial

# %%
dial.filmstrip()

# %%
print(lab.sae.steering_dial().user_sets(latent="speaks for ham", value=3.0))  # a second copy

# %% [markdown]
# ## Break it
#
# ### A pretty name without a test
#
# Criterion: a name must fit on mails that it was not made from. Here are the strongest examples of the two latents that you just met:

# %%
for name in ("spam", "ham"):
    row = named.set_index("latent").loc[latent[name]]
    print(f"{', '.join(row['name']):14} recall {row.recall:.2f}, precision {row.precision:.2f}, F1 {row.f1:.2f}")
    on = words[~first & (z[:, latent[name]] > 0)]
    print("   all its firings:", ", ".join(pd.Series(on).value_counts().index[:8]))

# %% [markdown]
# The "winner latent" and the "family and school latent": they fire on every one of these words (recall 1.00), and you would have published them. But nine of ten firings (five of six) have other words. *Top examples are the tip.* Detection: precision, on all firings.
#
# One block deeper, with the same size and k, hardly any word name fits. Try one name that is no word: "stands in a spam mail".

# %%
deeper = sae.token_activations(net, tokens, "blocks.0.resid_post").values
deep_z = sae.fit(deeper[first], 192, k=2, steps=600).encode(deeper)
deep_names = sae.name_latents(deep_z, words, first)
in_spam = world.y[A.sequence] == 1
s = sae.score_name(deep_z[~first, chosen(deep_z, in_spam)], in_spam[~first])
print(f"after block 0: best F1 of {len(deep_names)} word names {deep_names.f1.max():.2f}")
print(f"'in a spam mail': precision {s.precision:.2f}, recall {s.recall:.2f}, F1 {s.f1:.2f} (chance {s.chance:.2f})")

# %% [markdown]
# Names need not be words: after attention, tokens carry news of their mail. (Chance is the F1 of a name that fits every token.)

# %% [markdown]
# ### Too small, too large
#
# Criterion: matched cosine with the 32 planted directions.

# %%
sizes = pd.DataFrame({
    name: made[f"size_{name}"].mean(axis=1)
    for name in ("cosine", "matched", "good", "again", "explained")
}, index=pd.Index(stored.ALL_SIZES, name="latents"))  # fmt: skip
print(sizes.round(2).to_string())
now, kept = grades["batch-top-k"].cosine, made["size_cosine"][stored.ALL_SIZES.index(32)]
print(f"our own 32 from above: cosine {now.mean():.2f}, stored {kept.mean():.2f}")

# %%
fig, ax = plt.subplots(figsize=(6.4, 3.4))
ax.plot(sizes.index, sizes.explained, "o-", color=plots.ANCHOR, label="explained variance")
ax.plot(sizes.index, sizes.again, "s--", color=plots.POSITIVE, label="share of latents that come again")
ax.axvline(32, color=plots.TRUTH, ls="--", lw=1.5, label="planted features")
ax.set(xlabel="latents", ylabel="share (0 to 1)", ylim=(0, 1.05), title="two ways to see the right size")
ax.legend(fontsize=8, loc="lower right")
plots.show(fig, "Explained variance stops rising at 32 latents; the share that comes again peaks there.")

# %% [markdown]
# Too small: features without a latent count as 0 in `cosine`. Of the `matched` ones half are `good` (above 0.9), the rest mixtures. Too large: all, and spare ones. Without a truth: explained variance has an **elbow** at the right size (it punishes too small, not too large). And the share of latents that **come again** from another seed peaks there. What the plot does not say: that real layers have an elbow. Systematic errors come again too:

# %% [markdown]
# ### Absorption: the parent that falls silent
#
# Every *poodle* is a *dog*. Plant four parents with two children each, which never fire without them. Control: children fire when they like. Criterion: among rows with the parent on, how much more often is its latent silent *with* a child than without?

# %%
gaps = {}


def family(name, tied, m):
    homes = [sae.planted(8000, 24, 20, n_parents=4, tied=tied, random_state=s).halves() for s in range(5)]
    pups = sae.fit_many(np.stack([half.activations for half, _ in homes]), m, k=2.3, steps=600)
    judged = [(one, test) for one, (_, test) in zip(pups, homes, strict=True)]
    tables = [sae.absorption(one, test) for one, test in judged]
    gaps[name, m] = np.array([table.gap.mean() for table in tables])
    holds = np.mean([table.child_holds_parent.mean() for table in tables])
    several = np.mean([sae.splits(one.encode(t.activations), t.codes)[:4].mean() for one, t in judged])
    perfect = np.mean([sae.splits(t.codes, t.codes)[:4].mean() for _, t in judged])
    fit = np.mean([sae.evaluate(one, t.activations).explained for one, t in judged])
    print(f"{m} latents, {name:8} gap {gaps[name, m].mean():.2f}, explained {fit:.2f},", end=" ")
    print(f"child's latent and parent {holds:+.2f}, latents per parent {several:.2f} (oracle {perfect:.2f})")


# %%
for m in (24, 48):
    family("nested", True, m)
    family("control", False, m)
    gap = mean_interval(gaps["nested", m] - gaps["control", m])
    print("paired difference of gaps {:.2f} ({:.2f} to {:.2f})".format(*gap))
larger = mean_interval(gaps["nested", 48] - gaps["nested", 24])
print("nested, 48 minus 24 latents: {:.2f} ({:.2f} to {:.2f})".format(*larger))

# %% [markdown]
# ($k = 2.3$: two features and now and then a child.) The parent's latent has holes, exactly where a child is. The child's latent has **absorbed** the parent's direction: one latent on instead of two, which is what sparsity pays for. Reconstruction is as good as in the control, so no training curve shows it, and **a larger dictionary makes it worse**. Who reads the "dog" latent as a dog detector misses poodles. Is the parent also **split** among several latents? A latent speaks for the feature that it detects best; a perfect code scores 1.00 (oracle). Not shown here: with 48 latents the control has nearly as many spare ones.

# %% [markdown]
# ### The loophole
#
# Why must dictionary rows have length 1? Criterion: the penalty should buy sparsity.

# %%
for name, unit in (("length 1", True), ("any length", False)):
    loose = sae.fit(train.activations, 32, kind="relu", l1=0.3, unit_norm=unit)
    length = np.linalg.norm(loose.dictionary, axis=1).mean()
    penalty = loose.encode(test.activations).sum(axis=1).mean()
    on = sae.evaluate(loose, test.activations).l0
    print(f"{name:10} rows of length {length:.2f}, sum of latents {penalty:.2f}, latents on {on:.2f}")

# %% [markdown]
# Free rows grow, latents shrink, the penalty falls to half, and more latents are on. You will close the hole in an exercise.

# %% [markdown]
# ## On real data
#
# Another small transformer predicts the next word in the documentation of Python packages. Nobody planted anything; there is no list of features. The same steps: 128 latents after block 0, names from some texts, tests on others.

# %%
reader, reader_words = zoo.load("docstrings-transformer"), zoo.vocabulary("docstrings-transformer")
texts = zoo.encode("docstrings-transformer", worlds.real.docstrings().X[:800], longest=40)
B = sae.token_activations(reader, texts, "blocks.0.resid_post")
inside = B.position > 0  # every text begins with <s>, which would be half of the variance
B_values, seen = B.values[inside], B.sequence[inside] < 400
said = np.array(reader_words.words)[B.tokens[inside]]
reader_sae = sae.fit(B_values[seen], 128, k=6, steps=600)
print(B, sae.evaluate(reader_sae, B_values[~seen]), sep="\n")

# %%
y = reader_sae.encode(B_values)
for above in (0.0, 0.5):
    table = sae.name_latents(y, said, seen, above=above)
    share, exact = (table.f1 > 0.5).mean(), (table.recall > 0.9).mean()
    print(f"firing above {above:.1f} of the largest: {len(table)} names,", end=" ")
    print(f"{share:.2f} have F1 > 0.5, {exact:.2f} recall > 0.9")
shown = table[["name", "precision", "recall", "f1", "seen_f1"]].head(4)
print(shown.assign(name=shown.name.str.join(" / ")).round(2).to_string(index=False))

# %% [markdown]
# When every firing counts, most names have a high recall and few are precise: tips again. When only strong firings count, more names pass. Now steer: the latents of three words, clamped to a strong value at the last word of 100 other texts. Does the word change what comes next? Control: twenty random directions, each with the same dose.

# %%
prompts = texts[400:500]
last = np.zeros(prompts.shape, dtype=bool)
last[np.arange(100), (prompts > 0).sum(axis=1) - 1] = True
table = table.assign(word=table.name.str[0]).drop_duplicates("word").set_index("word")
dose = {name: np.quantile(y[seen, table.latent[name]], 0.998) for name in (")", "compute", "can")}


def effect(name, word, direction=None):
    return sae.steer(
        reader, prompts, "blocks.0.resid_post", reader_sae, int(table.latent[name]), [0, dose[name]],
        reader_words.number(word), direction=direction, where=last, of="probability",
    ).effect()  # fmt: skip


noise = sae.random_dictionary(20, 64, random_state=1)
for name, word in ((")", "."), ("compute", "the"), ("can", "not")):
    mean, low, high = mean_interval(effect(name, word))
    chance = np.array([effect(name, word, u).mean() for u in noise])
    print(f"{name:8} dose {dose[name]:.2f}: probability of {word!r:6} {mean:+.3f} ({low:+.3f} to {high:+.3f});", end=" ")
    print(f"largest of 20 random {chance.max():+.3f}")

# %% [markdown]
# After *compute* "the", after *can* "not": more than any of twenty random directions. After `)` the full stop is no more likely than after the luckiest of them, though its interval is clear of zero: **an interval says that something happened, not that this latent is special.** What may be concluded: two of three latents change the next word in a way that chance did not. What may not: that they are *the* features of the network, or that unnamed ones mean nothing.
#
# **Bring your own.** Any matrix of activations will do: rows are examples, columns numbers of a layer.

# %%
my_activations, my_labels, n_train = zoo.digits()
my_activations = my_activations.reshape(len(my_activations), -1)  # pixels; put a layer here
my_sae = sae.fit(my_activations[:n_train], 100, k=8, steps=400)
my_z = my_sae.encode(my_activations[n_train:])
print(my_sae, sae.evaluate(my_sae, my_activations[n_train:]), sep="\n")
seen_z, is_zero = my_sae.encode(my_activations[:n_train]), my_labels == 0
best = np.argmax([sae.score_name(column, is_zero[:n_train]).f1 for column in seen_z.T])
print(f"latent for 'is a zero', chosen on training rows: F1 {sae.score_name(my_z[:, best], is_zero[n_train:]).f1:.2f}")

# %% [markdown]
# **A larger model.** The command `python -m xailib.pretrained` of chapter 12 opens GPT-2 with the same hooks; `sae.token_activations` reads them, and the rest of this chapter applies. Its published dictionaries have tens of thousands of latents.

# %% [markdown]
# ## Strengths, limits, when not to use it
#
# **Strengths.** No labels, no list of concepts: the features come out of the activations. Polysemantic numbers become latents that often have one meaning. Latents can be clamped, so claims about them can be tested by intervention.
#
# > **Pitfall. Good reconstruction is not good features.** The weakest penalty explained most, and its latents said worst when a feature is on.
#
# > **Pitfall. Tidy latents do not show that a network learnt something.** A table of random numbers gave more word latents than the trained one. Run the control.
#
# > **Pitfall. A name from the strongest examples describes the tip.** Apply it to new data and count what it misses.
#
# > **Pitfall. A dictionary is one of many.** Size, sparsity, kind and seed decide what is split, merged or absorbed. Report what comes again.
#
# > **Pitfall. A silent latent does not mean an absent feature.** A more special latent may have absorbed it.
#
# > **Pitfall. Steering works is not steering works best.** Compare with other directions at the same dose *and* with the mean difference. Here the plain one won.
#
# **Leave it** when you already know the concept and have labels (a probe or a mean difference is simpler and was stronger), when activations are few, when you need a guarantee that a feature is absent, or when nobody will test the names.

# %% [markdown]
# ## Exercises

# %%
ex.card("sae.matched")


# %%
def matched_cosine(D, T):
    # your code
    ...


matched_cosine = ex.check("sae.matched", matched_cosine)

# %%
ex.card("sae.top_k")


# %%
def top_k(Z, k):
    # your code
    ...


top_k = ex.check("sae.top_k", top_k)

# %%
ex.card("sae.unit_norm")


# %%
def unit_norm(W, b, D):
    # your code
    ...


unit_norm = ex.check("sae.unit_norm", unit_norm)

# %%
ex.card("sae.ladder")

# %%
my_guess = ...  # first
my_count = ...  # then train
my_count = ex.check("sae.ladder", my_count, prediction=my_guess)

# %%
ex.card("sae.memo")

# %%
claims_that_hold = ...  # such as "ac"
claims_that_hold = ex.check("sae.memo", claims_that_hold)

# %%
ex.card("sae.gap")


# %%
def absorption_gap(parent, child, latent):
    # your code
    ...


absorption_gap = ex.check("sae.gap", absorption_gap)

# %%
ex.progress("sae")

# %% [markdown]
# ## Quiz

# %%
ex.quiz("sae")

# %% [markdown]
# ## Take-away
#
# 1. Rare features are cheaper crowded than forgotten: collisions cost of order p squared. Numbers are polysemantic for that reason, and because no axis is special.
# 2. A sparse autoencoder finds planted directions almost exactly at the right size, in a kind world; luck finds less than half. Compare kinds with equally many latents on.
# 3. Explained variance has an elbow at the right size, but does not punish a dictionary that is too large or a penalty that is too weak. Absorbed latents are invisible to it.
# 4. A name is a prediction. Test it on texts that had no part in finding it, with precision, recall and a network of noise as control.
# 5. Clamping makes a claim causal; setting a latent to 0 says whether a word acts through it. Other directions and the mean difference keep it honest.

# %% [markdown]
# ## Further reading
#
# - Elhage et al. (2022), *Toy models of superposition*, arXiv 2209.10652.
# - Bricken et al. (2023), *Towards monosemanticity*, Transformer Circuits; Cunningham et al. (2023), *Sparse autoencoders find highly interpretable features in language models*, arXiv 2309.08600.
# - Gao et al. (2024), *Scaling and evaluating sparse autoencoders*, arXiv 2406.04093; Bussmann et al. (2024), *BatchTopK sparse autoencoders*, arXiv 2412.06410.
# - Chanin et al. (2024), *A is for absorption*, arXiv 2409.14507.
# - Heap et al. (2025), *Sparse autoencoders can interpret randomly initialized transformers*, arXiv 2501.17727; Wu et al. (2025), *AxBench: steering LLMs? Even simple baselines outperform sparse autoencoders*, arXiv 2501.17148.
# - Bills et al. (2023), *Language models can explain neurons in language models*; Templeton et al. (2024), *Scaling monosemanticity*, for steering.
