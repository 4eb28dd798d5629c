# %% [markdown]
# # Superposition and sparse autoencoders: more features than numbers
#
# You will see why a network stores many features in few numbers, unmix them again with a sparse autoencoder, count how many of its latents are real, give them names that survive a test, and turn one up and down inside a mail filter.
#
# A neuron that answers to *prize*, *Thursday* and *harbour* explains nothing. Sparse autoencoders are the field's best known answer, and their pictures are persuasive. On features that we planted you can measure what the pictures leave out.
#
# **Estimated time:** 135 minutes
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
print(f"{len(used)} words, {A.values.shape[1]} numbers")

# %% [markdown]
# Each number answers to a jumble: it is **polysemantic**. It has to be: there are more words than numbers. If each feature is a *direction*, the jumble may be tidy. **Can we find the directions without being told the words? Is what we find real?** Half of the mails (750) are for looking, the rest for testing.

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
# Exactly one third. Rarer features are better off crowded: collisions cost of order $p^2$, forgetting costs of order $p$. That is all of superposition.

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
# Most directions are found exactly, a few not at all. Some latents died.

# %% [markdown]
# ## The library way
#
# The package of the field, sae-lens, is made for large language models and too heavy for this course. `xailib.sae` trains several autoencoders at once in one batched tensor. On the same weights it must give your latents:

# %%
one = sae.SparseAutoencoder(*(value.numpy() for value in (my_W, my_b, my_D, my_c)), "top-k", 2, np.nan, 0.0, np.ones(1), 0)
mine = my_latents(torch.tensor(test.activations), my_W, my_b, my_c, 2)
assert np.allclose(one.encode(test.activations), mine, atol=1e-10)
print("ok: the same latents on", len(mine), "rows;", one)

# %% [markdown]
# Three kinds: `"relu"` with a penalty $\lambda \sum_j z_j$ (L1), `"top-k"`, and `"batch-top-k"`, which keeps the $k \cdot n$ largest latents of a batch of $n$ rows, so that busy rows may use more. Unlike yours, the library also watches for **dead latents**: twenty times during training, a latent that hardly ever fires starts anew, as an *input that is rebuilt badly*. (The other cure is an auxiliary loss, in which dead latents must explain the error. Starting anew works for all three kinds, and you can see what it does.)

# %%
found = sae.fit(train.activations, 32, kind="batch-top-k", k=2)
peer = MiniBatchDictionaryLearning(
    32,
    alpha=0.2,
    batch_size=256,
    max_iter=15,
    fit_algorithm="cd",
    transform_algorithm="lasso_cd",
    transform_alpha=0.2,
    positive_code=True,
    random_state=0,
).fit(train.activations)
learnt = {
    "xailib": (found.dictionary, found.encode(test.activations)),
    "scikit-learn": (peer.components_, peer.transform(test.activations)),
}
for name, (directions, on) in learnt.items():
    print(name, sae.recovery(directions, planted.dictionary, latents=on, codes=test.codes))
print("started anew:", found.n_resampled, "|", sae.evaluate(found, test.activations))

# %% [markdown]
# scikit-learn's dictionary learning solves a small optimisation for every row. It finds the directions as well, and says *better* when features are on (F1). An autoencoder has one matrix product in its place, which is why it scales to a language model, and this is what the shortcut costs. On a small layer, prefer the optimisation.

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
# Watch the dashed line. Explained variance hardly tells a right dictionary from one that is twice too large, and with more latents on it rises while the diamonds fall.

# %% [markdown]
# ## Graded against the truth
#
# ### Toy models against a formula
#
# Two features, one dimension, importances 1 and $I$, density $p$, each uniform on [0, 1] when on. Three ideal answers have exact losses: keep the first, $I(\tfrac p3 - \tfrac{p^2}4)$; keep the second, $\tfrac p3 - \tfrac{p^2}4$; or opposite ends, $(1 + I)\tfrac{p^2}6$. So superposition should win below $p^* = \tfrac{4I}{2+5I}$ for $I \le 1$. Now 132 models are trained, three starts each, in one tensor:

# %%
diagram = sae.phase_diagram(steps=400, learning_rate=0.03)
cells = diagram.to_frame()
agree = cells.state == cells.ideal
edge = np.abs(np.log(cells.density / sae.phase_boundary(cells.importance)))
print(diagram)
print(f"as the formula says: {agree.sum()} of {len(cells)} cells, {agree[edge > 0.5].mean():.2f} away from the border")

# %%
fig, ax = plt.subplots(figsize=(7, 3.8))
diagram.plot(ax)
ax.set_title("what 132 trained models keep, and the border of the formula", fontsize=10)
plots.show(fig, "Grid of toy models: 1 or 2 where one feature is kept, S for both in superposition below the curve.")

# %% [markdown]
# Each square is a trained model: **1** or **2** keeps one feature, **S** keeps both on opposite ends of the line. The curve is the formula, not a fit. Notice the jump: there is no region where a second feature is half kept, it is a phase change. What the figure does not say: that large networks cross such a border; it is about two independent features.

# %%
shares = [1, 0.5, 0.4, 0.2, 0.1, 0.05, 0.02]
ladder = sae.toy_models(shares, importance=0.8, steps=600, restarts=3, learning_rate=0.03)
for toy in ladder:
    print(f"density {toy.density:.2f}: {toy.n_represented} of 5 features in 2 dimensions")

# %% [markdown]
# A ladder: 2, 3, 4, 5. At 4 the features sit in two opposite pairs; at 5 in a pentagon.

# %% [markdown]
# ### Recovery of planted features
#
# Five worlds, each with its own directions and rows. F1 says whether a matched latent is *on when its feature is on*. Two baselines: a random dictionary, and principal components with both signs.

# %%
copies = [sae.planted(8000, 32, 20, random_state=seed) for seed in range(5)]
halves = [copy.halves() for copy in copies]
rows = np.stack([half.activations for half, _ in halves])


def graded(models, worlds_of=halves):
    scores = [
        sae.recovery(m.dictionary, t.dictionary, latents=m.encode(t.activations), codes=t.codes)
        for m, (_, t) in zip(models, worlds_of, strict=True)
    ]
    fits = [sae.evaluate(m, t.activations) for m, (_, t) in zip(models, worlds_of, strict=True)]
    numbers = [(s.mean_cosine, s.mean_f1, f.explained, f.l0, f.dead) for s, f in zip(scores, fits, strict=True)]
    return pd.DataFrame(numbers, columns=["cosine", "f1", "explained", "l0", "dead"])


def line(name, values):
    mean, low, high = np.minimum(mean_interval(values.cosine.to_numpy()), 1)  # no cosine exceeds 1
    rest = values.drop(columns="cosine").mean().round(2).to_dict()
    return f"{name:24} {mean:.2f} ({low:.2f} to {high:.2f})  {rest}"


# %%
settings = {"batch-top-k": {"k": 2}, "top-k": {"k": 2}, "relu": {"l1": 0.2}}
grades = {kind: graded(sae.fit_many(rows, 32, kind=kind, **more)) for kind, more in settings.items()}
for kind, values in grades.items():
    print(line(kind, values))
for name, dictionary in {
    "random": lambda w, s: sae.random_dictionary(32, 20, random_state=s),
    "PCA, both signs": lambda w, s: sae.pca_dictionary(w.activations),
}.items():
    luck = [sae.recovery(dictionary(w, s), w.dictionary).mean_cosine for s, w in enumerate(copies)]
    print(f"{name:24} {{:.2f}} ({{:.2f}} to {{:.2f}})".format(*mean_interval(np.array(luck))))

# %% [markdown]
# All three find the directions; luck would have given less than half. (Intervals are over five worlds.) *When* features are on is harder: top-k turns on two latents even in rows with one feature or none, and the penalty leaves weak firings standing. Batch top-k, with a threshold, does best. But this world is kind: no noise, directions well apart. A harsher one, and then the kind one again without starting **dead latents** anew:

# %%
harsh = [sae.planted(8000, 32, 20, spread=False, noise_sd=0.1, random_state=s).halves() for s in range(5)]
harsh_rows = np.stack([half.activations for half, _ in harsh])
print(line("random directions, noise", graded(sae.fit_many(harsh_rows, 32, k=2, steps=700), harsh)))
left = graded(sae.fit_many(rows, 32, k=2, resample=False))
print(line("kind, none started anew", left))
gain = mean_interval((grades["batch-top-k"].cosine - left.cosine).to_numpy())
print("paired gain in cosine: {:.2f} ({:.2f} to {:.2f})".format(*gain))

# %% [markdown]
# Crowding and noise cost: two directions at random have cosines up to 0.6, and near ones share a latent. And at the right size a dead latent is a missed feature.

# %% [markdown]
# ### Sparsity against reconstruction
#
# The standard plot of the field, on the first world:

# %%
train, test = halves[0]
strengths = {"batch-top-k": [1, 2, 3, 5], "top-k": [1, 2, 3, 5], "relu": [0.4, 0.2, 0.1, 0.04]}
curves = sae.frontier(train.activations, test.activations, 32, strengths, steps=400)
print(curves[curves.strength.isin([2, 0.1, 0.04])].round(2).to_string(index=False))
for more in ({"kind": "batch-top-k", "k": 2}, {"kind": "relu", "l1": 0.04}):
    one = sae.fit(train.activations, 32, **more)
    on = one.encode(test.activations)
    score = sae.recovery(one.dictionary, test.dictionary, latents=on, codes=test.codes)
    print(one, score, sep="\n  ")

# %%
fig, ax = plt.subplots(figsize=(6.4, 3.4))
for (kind, part), mark in zip(curves.groupby("kind", sort=False), "osD", strict=True):
    ax.plot(part.l0, part.explained, marker=mark, label=kind)
ax.axvline(2, color=plots.TRUTH, ls="--", lw=1.5, label="features really on")
ax.set(xlabel="latents on in a row", ylabel="explained variance", title="sparsity/reconstruction frontier")
ax.legend(fontsize=8)
plots.show(fig, "Explained variance rises with the latents that are on; only batch top-k bends at the true 2.")

# %% [markdown]
# Up and to the left is better: more variance with fewer latents. Notice the bend of batch top-k at the truth; the others rise on. The weak penalty explains most, and its latents are the worst at saying when a feature is on. What the plot does not say: where the dashed line stands in a layer that nobody planted.

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

# %% [markdown]
# About ninety words, each with a latent of its own, found in 64 numbers without ever seeing a label. What of the others? Some are about the *place*: test "it is the fifteenth word".

# %%
place = [sae.score_name(column, (A.position == 14)[~first]).f1 for column in z[~first].T]
wordless = named.set_index("latent").loc[int(np.argmax(place))]
print(f"best latent for place 15: F1 {max(place):.2f}; its name from top words: {wordless['name']}, F1 {wordless.f1:.2f}")

# %% [markdown]
# Still missing: the words that matter. The rule behind the mails gives 39 cue words a weight, between -3.8 (*mum*) and 4 (*winner*). We choose, on the first half, the latent that best fits "weight above 1.5", and one for "below -1.5", and test both on the second.

# %%
weight = world.truth.cue_weights
w = np.array([weight.get(word, 0.0) for word in words])
claims = {"spam": w > 1.5, "ham": w < -1.5}
latent = {
    name: int(np.argmax([sae.score_name(column, fits[first]).f1 for column in z[first].T])) for name, fits in claims.items()
}
for name, fits in claims.items():
    s = sae.score_name(z[~first, latent[name]], fits[~first])
    print(f"{name:5} precision {s.precision:.2f}, recall {s.recall:.2f}, F1 {s.f1:.2f} (chance {s.chance:.2f})")
strength = pd.Series(z[:, latent["spam"]] - z[:, latent["ham"]]).groupby(words).mean()
cues = pd.Series(weight).loc[lambda s: s.index.isin(strength.index)]
for name, part in {"all": cues, "spam": cues[cues > 0], "ham": cues[cues < 0]}.items():
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
# Each dot is a cue word; across, its planted weight; up, how strongly the two latents answer. Nobody told the autoencoder about spam. Notice the weak cues: some fall silent. What the figure does not say: that the network *uses* these directions.

# %% [markdown]
# ### The dial: clamping with a dose
#
# Take 100 new mails and the first word in each that the rule does not read. Set the spam latent there to $v$: $a \leftarrow a + (v - z_j)\,d_j$. Controls: twelve random directions with the same steps, and the simplest direction of all: mean of the spam cues minus mean of the words without weight.

# %%
mails = tokens[1000:1100]
spot = lab.sae.first_neutral(mails, word_of, world.truth.relevant)
spam, doses = latent["spam"], np.linspace(0, 2.4, 5)


def steered(direction=None):
    return sae.steer(net, mails, "embedded", filter_sae, spam, doses, 1, against=0, direction=direction, where=spot)


difference = A.values[first & (w > 1.5)].mean(axis=0) - A.values[first & (w == 0)].mean(axis=0)
own, mean_way = steered(), steered(difference)
chance = [steered(u) for u in sae.random_dictionary(12, 64, random_state=5)]

# %%
print("own direction:      {:+.2f} per unit ({:+.2f} to {:+.2f})".format(*mean_interval(own.slopes)))
print("mean difference:    {:+.2f} per unit ({:+.2f} to {:+.2f})".format(*mean_interval(mean_way.slopes)))
paired = mean_interval(own.slopes - mean_way.slopes)
print("own minus mean, paired: {:+.2f} ({:+.2f} to {:+.2f})".format(*paired))
largest = max(abs(one.slopes.mean()) for one in chance)
print(f"largest of twelve random directions: {largest:.2f}")
cosine = filter_sae.dictionary[spam] @ difference / np.linalg.norm(difference)
print(f"cosine of own direction and mean difference: {cosine:.2f}")

# %%
fig, ax = plt.subplots(figsize=(6.8, 3.6))
rise = own.scores - own.untouched[:, None]
ax.plot(doses, rise.T, color=plots.CONTEXT, lw=0.6, alpha=0.6)
ax.plot(doses, rise.mean(axis=0), "o-", color=plots.ANCHOR, lw=2.5, label="spam latent, mean")
mean_rise = (mean_way.scores - mean_way.untouched[:, None]).mean(axis=0)
ax.plot(doses, mean_rise, "s--", color=plots.POSITIVE, ms=5, label="mean difference, mean")
random_rise = np.mean([(one.scores - one.untouched[:, None]).mean(axis=0) for one in chance], axis=0)
ax.plot(doses, random_rise, ":", color="black", lw=2, label="random directions, mean")
ax.set(xlabel="spam latent clamped to", ylabel="change in log-odds of spam")
ax.set_title("dose-response over 100 mails", fontsize=10)
ax.legend(fontsize=8, loc="upper left")
plots.show(fig, "Log-odds of spam rise with the clamp value; random directions are flat, mean difference is steeper.")

# %% [markdown]
# Thin lines are mails, the thick one their mean. Random directions do nothing, so the latent is not only *readable* but *used*. Notice the dashed line: the plain mean difference, nearly the same direction, moves the score **more** (paired interval clear of zero). What the figure does not say: what a real cue word would do there.

# %%
before = own.untouched.mean()
for word in ("winner", "click", "voucher", "museum"):
    written = np.where(spot, vocabulary.number(word), mails)
    with torch.no_grad():
        after = net(torch.tensor(written)).double().numpy()
    natural = z[words == word, spam].mean()
    at = np.interp(natural, doses, own.scores.mean(axis=0))
    change = (after[:, 1] - after[:, 0]).mean() - before
    print(f"{word:8} written {change:+.2f}; latent at its value for the word ({natural:.2f}) {at - before:+.2f}")
fall, negated = own.effect() < -0.3, np.isin(word_of[mails], world.truth.negations).any(axis=1)
print(f"{fall.sum()} mails fall; share with a negation: {negated[fall].mean():.2f}, of the others {negated[~fall].mean():.2f}")

# %% [markdown]
# A latent at its natural strength does a quarter to a third of what the word does: in this dictionary, the rest is in directions that it does not write. And in eight mails the score *falls*. Our word is the first, so by the rule no negation can turn it; yet all eight have one further on. Does the filter negate backwards? Eight mails are a suspicion, which the dial has raised. A third lab: turn it yourself.

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
    print(f"{', '.join(row['name']):14} precision {row.precision:.2f}, recall {row.recall:.2f}, F1 {row.f1:.2f}")
    on = words[~first & (z[:, latent[name]] > 0)]
    print("   all its firings:", ", ".join(pd.Series(on).value_counts().index[:8]))

# %% [markdown]
# The "winner latent" and the "family and school latent": precision is 1.00, and you would have published them. Nine of ten firings (five of six) have other words. *Top examples are the tip.* Detection: count the firings that the name misses.
#
# One block deeper hardly any word name fits, because attention has carried the news through the whole mail:

# %%
deeper = sae.token_activations(net, tokens, "blocks.0.resid_post").values
deep_sae = sae.fit(deeper[first], 96, k=4, steps=500)
deep_names = sae.name_latents(deep_sae.encode(deeper), words, first)
print(f"after block 0: best F1 of {len(deep_names)} word names {deep_names.f1.max():.2f}")

# %% [markdown]
# That need not be a failure of the autoencoder. Names need not be words.

# %% [markdown]
# ### Too small, too large
#
# Criterion: matched cosine with the 32 planted directions.

# %%
for kind, m in (("batch-top-k", 16), ("batch-top-k", 64)):
    print(line(f"{kind}, {m}", graded(sae.fit_many(rows, m, kind=kind, steps=600, **settings[kind]))))

# %% [markdown]
# Half the size: hardly a feature is found, not even one for each latent; every latent is a mixture. (A feature without latent counts as 0, so 0.5 is the ceiling.) Twice the size: all directions are there, among others that mean nothing, and dead ones. Explained variance hardly moves between 32 and 64. Detection without a truth: train another size or seed, and see which directions come again.

# %% [markdown]
# ### Absorption: the parent that falls silent
#
# Features in the world are nested: every *poodle* is a *dog*. Plant four parents with two children each, which never fire without them. The control: the same rates, but children fire when they like. Criterion: among rows with the parent on, how much more often is its latent silent *with* a child than without?

# %%
gaps = {}
for name, tied in (("nested", True), ("control", False)):
    family = [sae.planted(8000, 24, 20, n_parents=4, tied=tied, random_state=s).halves() for s in range(5)]
    nested_rows = np.stack([half.activations for half, _ in family])
    pups = sae.fit_many(nested_rows, 24, k=2.3)
    judged = list(zip(pups, (t for _, t in family), strict=True))
    tables = [sae.absorption(one, t) for one, t in judged]
    gaps[name] = np.array([table.gap.mean() for table in tables])
    kept = np.mean([sae.evaluate(one, t.activations).explained for one, t in judged])
    holds = np.round(np.mean([table.child_holds_parent.mean() for table in tables]), 2) + 0.0
    several = np.mean([sae.splits(one.encode(t.activations), t.codes)[:4].mean() for one, t in judged])
    print(f"{name:8} gap {gaps[name].mean():.2f}, explained {kept:.2f},", end=" ")
    print(f"cosine of child's latent and parent {holds:.2f}, latents per parent {several:.2f}")
print("paired difference {:.2f} ({:.2f} to {:.2f})".format(*mean_interval(gaps["nested"] - gaps["control"])))

# %% [markdown]
# The parent's latent has holes, exactly where a child is. The child's latent has **absorbed** the parent's direction: one latent on instead of two, which is what sparsity pays for. And a parent is **split**: about three latents are on (almost) only when it is. Reconstruction is as good as in the control, so no training curve shows either. Who reads the "dog" latent as a dog detector misses poodles.

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
# Free rows grow, latents shrink, the penalty nearly vanishes, and more latents are on. You will close the hole in an exercise.

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
    share, exact = (table.f1 > 0.5).mean(), (table.precision > 0.9).mean()
    print(f"firing above {above:.1f} of the largest: {len(table)} names,", end=" ")
    print(f"{share:.2f} have F1 > 0.5, {exact:.2f} precision > 0.9")
shown = table[["name", "precision", "recall", "f1", "seen_f1"]].head(4)
print(shown.assign(name=shown.name.str.join(" / ")).round(2).to_string(index=False))

# %% [markdown]
# When every firing counts, most names are precise and few are complete: tips again. When only strong firings count, more names pass. Now steer: the latents of three words, clamped to a strong value at the last word of 100 other texts. Do they change what comes next, each in its own way?

# %%
prompts = texts[400:500]
last = np.zeros(prompts.shape, dtype=bool)
last[np.arange(100), (prompts > 0).sum(axis=1) - 1] = True
table = table.assign(word=table.name.str[0]).drop_duplicates("word").set_index("word")
dose = {name: np.quantile(y[seen, table.latent[name]], 0.998) for name in (")", "compute", "can")}


def effect(name, word, direction=None):
    response = sae.steer(
        reader, prompts, "blocks.0.resid_post", reader_sae, int(table.latent[name]), [0, dose[name]],
        reader_words.number(word), direction=direction, where=last, of="probability",
    )  # fmt: skip
    return response.effect().mean()


follow = pd.DataFrame({word: {name: effect(name, word) for name in dose} for word in (".", "the", "not")})
noise = sae.random_dictionary(5, 64, random_state=1)
follow.loc["random, largest of 5"] = [max(abs(effect(")", w, u)) for u in noise) for w in follow.columns]
print("change in the probability of the next word:", follow.round(2) + 0.0, sep="\n")

# %% [markdown]
# After `)` a full stop, after *compute* "the", after *can* "not": each its own way. But look at the last row (sizes without sign): some random direction does half as much. What may be concluded: some latents fire on one word, and clamping them changes predictions. What may not: that they are *the* features of the network, or that unnamed ones mean nothing.
#
# **Bring your own.** Any matrix of activations will do: rows are examples, columns numbers of a layer.

# %%
my_activations, my_labels, n_train = zoo.digits()
my_activations = my_activations.reshape(len(my_activations), -1)  # pixels; put a layer here
my_sae = sae.fit(my_activations[:n_train], 100, k=8, steps=400)
my_z = my_sae.encode(my_activations[n_train:])
print(my_sae, sae.evaluate(my_sae, my_activations[n_train:]), sep="\n")
zeros = [sae.score_name(column, my_labels[n_train:] == 0).f1 for column in my_z.T]
print(f"best latent for 'is a zero': F1 {max(zeros):.2f}")

# %% [markdown]
# ## Strengths, limits, when not to use it
#
# **Strengths.** No labels, no list of concepts: the features come out of the activations. Polysemantic numbers become latents that often have one meaning. Latents can be clamped, so claims about them can be tested by intervention.
#
# > **Pitfall. Good reconstruction is not good features.** The weakest penalty explained most, and was worst at saying when a feature is on.
#
# > **Pitfall. A name from the strongest examples describes the tip.** Apply it to new data and count what it misses.
#
# > **Pitfall. A dictionary is one of many.** Size, sparsity, kind and seed decide what is split, merged or absorbed. Report what comes again.
#
# > **Pitfall. A silent latent does not mean an absent feature.** A more special latent may have absorbed it.
#
# > **Pitfall. Steering works is not steering works best.** Compare with random directions *and* with the mean difference. Here the plain one won.
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
# 1. Rare features are cheaper crowded than forgotten: collisions cost of order p squared. Hence polysemantic numbers.
# 2. A sparse autoencoder finds planted directions almost exactly at the right size, in a kind world; luck finds less than half. When features are on is harder than where they point.
# 3. Explained variance does not choose the size, the sparsity or the kind. Dead, split and absorbed latents are invisible to it.
# 4. A name is a prediction. Test it on texts that had no part in finding it, with recall as well as precision.
# 5. Clamping makes a claim causal; a dose-response beside random directions and the mean difference makes it honest.

# %% [markdown]
# ## Further reading
#
# - Elhage et al. (2022), *Toy models of superposition*, arXiv 2209.10652.
# - Bricken et al. (2023), *Towards monosemanticity*, Transformer Circuits; Cunningham et al. (2023), *Sparse autoencoders find highly interpretable features in language models*, arXiv 2309.08600.
# - Gao et al. (2024), *Scaling and evaluating sparse autoencoders*, arXiv 2406.04093; Bussmann et al. (2024), *BatchTopK sparse autoencoders*, arXiv 2412.06410.
# - Chanin et al. (2024), *A is for absorption*, arXiv 2409.14507.
# - Bills et al. (2023), *Language models can explain neurons in language models*; Templeton et al. (2024), *Scaling monosemanticity*, for steering.
