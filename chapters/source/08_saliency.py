# %% [markdown]
# # Saliency and Grad-CAM: where did the network look?
#
# You will compute gradients, Integrated Gradients and Grad-CAM by hand and with hooks, choose layer and question on purpose, and grade a heat map before you show it.
#
# A heat map is the most shared and least checked explanation there is. It looks like evidence, so people act on it. Here the same network will seem to look at the right part in one picture out of four, or in more than four out of five, depending on choices that most figures do not mention.
#
# **Estimated time:** 125 minutes
#
# **What you need:** [chapter 0](00_start_here.ipynb), arrays and slicing, and a rough idea of what a convolution does. Gradients and hooks are in the folded box.

# %%
import matplotlib.pyplot as plt
import numpy as np
import torch
from skimage import data, filters, transform
from torch import nn

from xailib import exercises as ex
from xailib import lab, plots, predictor, saliency, worlds, zoo
from xailib.evaluation import deletion_curve, iou, mean_interval, pointing_game, rank_agreement, relevance_mass

# %% [markdown] tags=["digression"] jp-MarkdownHeadingCollapsed=true
# ## Foundations: autograd and hooks in ten minutes
#
# The methods of this chapter ask two things of torch: the slope of a score, and a look at a layer in the middle of a network.
#
# **Autograd.** Mark a tensor with `requires_grad=True` and torch writes down every operation that starts from it. `torch.autograd.grad(y, a)` walks the record backwards and multiplies the slopes on its way: the chain rule.

# %%
a = torch.tensor([2.0, -1.0], requires_grad=True)
y = (3 * torch.relu(a)).sum()
print("y =", y.item(), "  slope for each entry of a:", torch.autograd.grad(y, a)[0].tolist())

# %% [markdown] tags=["digression"]
# The second entry is negative, so relu is shut and passes no slope. `a.detach()` would give the same numbers without a record: nothing before it is differentiated, which saves time.
#
# **A forward hook** is a function that torch calls whenever a layer has run. It receives the layer's output, so you can keep it, and ask for the slope of the score with respect to it. Remove the hook when you are done; otherwise it stays in the network.

# %%
small_net = nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 1))
seen = {}
hook = small_net[1].register_forward_hook(lambda module, inputs, output: seen.update(A=output))
score = small_net(torch.ones(1, 2)).sum()
hook.remove()
print("activation", tuple(seen["A"].shape), "  its gradient", tuple(torch.autograd.grad(score, seen["A"])[0].shape))

# %% [markdown] tags=["digression"]
# Activation and gradient have the same shape: one number for each unit, and one for how the score would follow it. That pair is all that Grad-CAM needs. Check yourself before you go on.

# %%
ex.card("saliency.slope")

# %%
my_guess = ...  # on paper
my_slope = ...  # from torch
my_slope = ex.check("saliency.slope", my_slope, prediction=my_guess)

# %% [markdown]
# ## Warm-up

# %%
ex.warmup("saliency")

# %% [markdown]
# ## The story
#
# A reserve protects ten *winter species*. Cameras at its feeders photograph every visitor, a network names the bird, and the counts decide in spring whether a ski lift may be built. The 100 archive pictures below are new to the network:

# %%
archive = worlds.birds(600, shortcut="snow", random_state=1)
truth, held_out = archive.truth, np.arange(archive.n_train, len(archive.X))
X, species = archive.test
snow_net, clean_net = zoo.load("birds-cnn-snow"), zoo.load("birds-cnn")
name_species = predictor(snow_net, "label")
print(f"{len(X)} held-out archive pictures, named correctly: {np.mean(name_species(X) == species):.2f}")

# %% [markdown]
# The archive has a habit, though: winter species were mostly photographed in snow. In spring the same birds will stand on a meadow. We own the drawing program, so we can have spring now: the same bird in the same pose, another landscape.
#
# Two parts decide each species (`truth.pivots`), say beak and wing of a finch. Exchange one of them and you get a *sibling* species. Of a bird's two siblings we take the one that differs in the second part, and call that part the **deciding part**. `truth.leaked` marks the winter species.

# %%
in_snow = truth.leaked[species] & (truth.landscapes[held_out] == "snow")
sibling_part = [truth.pivots(int(s))[1] for s in species]
sibling = np.array([truth.sibling(int(s), part) for s, part in zip(species, sibling_part, strict=True)])
spring = truth.with_background(held_out[in_snow], "meadow")
renamed = name_species(spring)
print(f"{in_snow.sum()} winter birds in snow, moved to a meadow:")
right, swapped = np.mean(renamed == species[in_snow]), np.mean(renamed == sibling[in_snow])
print(f"still named correctly {right:.2f}, taken for the sibling {swapped:.2f}")

# %%
example = np.flatnonzero(in_snow)[0]
pictures = [X[example], spring[0], truth.render(held_out[example], part_from={sibling_part[example]: int(sibling[example])})]
names = truth.species_names
titles = [f"archive: {names[species[example]]}", f'moved: "{names[renamed[0]]}"', f"a real {names[sibling[example]]}"]
fig, axes = plt.subplots(1, 3, figsize=(8.4, 3.1))
for ax, picture, title in zip(axes, pictures, titles, strict=True):
    ax.imshow(np.moveaxis(picture, 0, -1))
    ax.set_title(title)
    ax.set_axis_off()
plots.show(fig, "One bird three times: in snow, moved to a meadow, and its sibling species in snow, which differs in one part.")

# %% [markdown]
# Left and middle: one bird, two names. Left and right differ only in one part, on which the name should hang.
#
# The reserve cannot redraw the world. **Would a heat map have told them before spring?** `clean_net`, trained with landscapes drawn at random, is our control.

# %% [markdown]
# ## By hand
#
# A network so small that it fits on paper: two channels of 2 x 2 cells, then the average of each channel, then a weighted sum.
#
# | | channel 1, "beak" | channel 2, "snow" |
# |---|---|---|
# | activation $A^k$ | 4 0 / 0 0 | 0 0 / 0 2 |
# | weight $w_k$ of the class | 2 | 6 |
# | mean of $A^k$ | 1 | 0.5 |
#
# Score: $2 \cdot 1 + 6 \cdot 0.5 = 5$. If one cell of channel 1 rises by 1, its mean rises by 1/4 and the score by 2/4: the gradient is 0.5 in every cell. Channel 2: 1.5. Grad-CAM weights each channel by its mean gradient and adds them up. Before you run the cell: which cell wins, beak or snow, and what do all cells add up to?

# %%
A = np.array([[[4.0, 0], [0, 0]], [[0, 0], [0, 2]]])  # (channel, row, column)
G = np.ones((2, 2, 2)) * np.array([2, 6])[:, None, None] / 4
alpha = G.mean(axis=(1, 2))
M = (alpha[:, None, None] * A).sum(axis=0)
print("alpha", alpha, "\nmap\n", M, "\nsum of the map", M.sum())

# %% [markdown]
# The snow cell wins although its activation is half as large, and the map adds up to the score. Now another network on the same activations, without the average: each cell has a weight of its own. The beak cell's weight is -1 (a beak *there* speaks against the class), the other three cells of channel 1 have +1. Nothing is active in those three.
#
# Mean gradient of channel 1: $(-1 + 1 + 1 + 1)/4 = 0.5$. Grad-CAM gives the beak cell $0.5 \cdot 4 = +2$. What would the score do if the beak vanished?

# %%
G[0] = [[-1, 1], [1, 1]]
gradcam_beak = (G.mean(axis=(1, 2))[:, None, None] * A).sum(axis=0)[0, 0]
hirescam_beak = (G * A).sum(axis=0)[0, 0]
layercam_beak = (np.maximum(G, 0) * A).sum(axis=0)[0, 0]
print(f"Grad-CAM {gradcam_beak:+.1f}, HiResCAM {hirescam_beak:+.1f}, LayerCAM {layercam_beak:+.1f}")
print(f"score with beak minus score without: {(G[0] * A[0]).sum():+.1f}")

# %% [markdown]
# Grad-CAM paints the beak as evidence *for* a class that it speaks against: it averaged the gradient over places where nothing was. **HiResCAM** multiplies place by place and then sums, so it shows exactly what each cell adds, provided that everything behind the layer is linear. **LayerCAM** does the same with positive gradients only; behind a rectifier it can never show evidence against. Behind global average pooling the gradient is the same everywhere, and then Grad-CAM and HiResCAM are one.

# %% [markdown]
# ## In thirty lines
#
# $$\alpha_k = \frac{1}{hw}\sum_{ij}\frac{\partial y_t}{\partial A^k_{ij}}, \qquad M = \sum_k \alpha_k A^k$$
#
# $A^k$ is channel $k$ of a layer, $y_t$ the score of class $t$ before the softmax.

# %%
last_layer = clean_net.features.relu4


def my_gradcam(network, layer, image, t):
    kept = {}
    hook = layer.register_forward_hook(lambda module, inputs, output: kept.update(A=output))
    y_t = network(image[None])[0, t]
    hook.remove()
    A = kept["A"]
    G = torch.autograd.grad(y_t, A)[0]
    alpha = G.mean(dim=(2, 3), keepdim=True)
    return (alpha * A).sum(dim=1)[0].detach().numpy()


# %% [markdown]
# The plain gradient asks which pixels would change the score if they changed a little. It is blind where a unit is saturated, that is, where its output no longer moves although it matters. **Integrated Gradients** (IG) averages it along the straight line from a baseline $b$, "nothing there", to the image, and multiplies by the distance:
#
# $$M_{ij} = \sum_c (x_{cij} - b_{cij}) \int_0^1 \frac{\partial y_t(b + \alpha(x - b))}{\partial x_{cij}}\, d\alpha$$

# %%
archive_mean = archive.train[0].mean(axis=0)


def my_gradient(network, images, t):
    images = images.clone().requires_grad_()
    return torch.autograd.grad(network(images)[:, t].sum(), images)[0]


def my_integrated_gradients(network, image, baseline, t, steps):
    alpha = ((torch.arange(steps) + 0.5) / steps)[:, None, None, None]
    G = my_gradient(network, baseline + alpha * (image - baseline), t)
    return ((image - baseline) * G.mean(dim=0)).sum(dim=0).numpy()


# %% [markdown]
# IG keeps books: its pixels add up to $y_t(x) - y_t(b)$. That is **completeness**, and the sum is only as good as the numerical integral, so check it. Our baseline is the mean picture of the archive, a grey haze without a bird.

# %%
image, baseline = torch.from_numpy(X[example]), torch.from_numpy(archive_mean)
t = int(species[example])
with torch.no_grad():
    difference = float(clean_net(image[None])[0, t] - clean_net(baseline[None])[0, t])
for steps in (2, 10, 50, 250):
    total = my_integrated_gradients(clean_net, image, baseline, t, steps).sum()
    print(f"{steps:4} steps: the pixels add up to {total:.2f}, the score difference is {difference:.2f}")

# %%
by_hand = {
    "gradient": my_gradient(clean_net, image[None], t)[0].sum(dim=0).numpy(),
    "integrated gradients": my_integrated_gradients(clean_net, image, baseline, t, 50),
    "Grad-CAM": my_gradcam(clean_net, last_layer, image, t),
}
fig, axes = plt.subplots(1, 4, figsize=(10.4, 3.3))
axes[0].imshow(np.moveaxis(X[example], 0, -1))
axes[0].set_title(names[t])
for ax, (name, values) in zip(axes[1:], by_hand.items(), strict=True):
    limit = np.quantile(np.abs(values), 0.995)
    ax.imshow(values, cmap=plots.SIGNED_MAP, vmin=-limit, vmax=limit)
    ax.set_title(f"{name}\n(full colour at {limit:.2f})", fontsize=10.5)
for ax in axes:
    ax.set_axis_off()
plots.show(fig, "A bird and three maps of its own species' score: pixel gradient, integrated gradients and the coarse Grad-CAM.")

# %% [markdown]
# Red speaks for the species, blue against, white is silent; the number is the value of full colour, and the three scales have different units. Notice the resolution: 64 x 64 pixels, then 16 x 16 cells for Grad-CAM, each computed from a patch of many pixels. Three maps of one network and one picture disagree; they answer different questions, and nothing here says which is right.

# %% [markdown]
# ## The library way
#
# With captum, the package of the field, Grad-CAM is `LayerGradCam(net, net.features.relu4).attribute(x, target=t)`, and IG is `IntegratedGradients(net).attribute(x, baselines=b, target=t)`. Our tests hold xailib to captum's numbers within 1e-6; here we hold it to yours.

# %%
heat = saliency.gradcam(clean_net, X[[example]], "features.relu4", target=t)
assert np.allclose(heat.values[0], by_hand["Grad-CAM"], atol=1e-6)
paths = saliency.integrated_gradients(clean_net, X[[example]], t, baseline=archive_mean, steps=50)
assert np.abs(paths.values[0] - by_hand["integrated gradients"]).max() < 0.02 * np.abs(paths.values).max()
print("ok: Grad-CAM equal; integrated gradients equal up to the rule of integration (yours: midpoints, ours: points of Gauss)")
print(heat)

# %% [markdown]
# Our network ends in global average pooling and one linear layer. There CAM (2016), the ancestor of this family, needs no gradient at all: $M = \sum_k w_{tk} A^k$. Grad-CAM is CAM divided by the number of cells, and so is HiResCAM.

# %%
cam = saliency.cam(clean_net, X, "features.relu4", "classifier", target=species)
gradcam = saliency.gradcam(clean_net, X, "features.relu4", target=species)
hirescam = saliency.hirescam(clean_net, X, "features.relu4", target=species)
cells = cam.values[0].size
assert np.allclose(gradcam.values, cam.values / cells, atol=1e-5)
assert np.allclose(hirescam.values, gradcam.values, atol=1e-5)
print(f"ok: Grad-CAM = HiResCAM = CAM / {cells}")

# %% [markdown]
# ### Which layer?
#
# "Grad-CAM" without a layer is half a method. The same picture, score and network, four layers:

# %%
layers = ["relu1", "relu2", "relu3", "relu4"]
sums = {}
fig, axes = plt.subplots(2, 4, figsize=(9.0, 5.4))
for row, method in zip(axes, (saliency.gradcam, saliency.hirescam), strict=True):
    for ax, layer in zip(row, layers, strict=True):
        heat = method(clean_net, X[[example]], f"features.{layer}", target=t)
        limit = np.quantile(np.abs(heat.values), 0.995)
        heat.plot(ax, image=X[example], limit=limit)
        name = heat.method.split()[0]
        sums[name, layer] = heat.values.sum()
        ax.set_title(f"{name}, {layer}\n(full colour at {limit:.2g})", fontsize=10)
        print(f"{heat.method:26} {heat.values[0].size:5} cells, sum of the map {sums[name, layer]:6.2f}")
print(f"score {heat.score[0]:.2f}, of which the classifier's bias {clean_net.classifier.bias[t].item():.2f}")
assert sums["Grad-CAM", "relu2"] < 0 < sums["HiResCAM", "relu2"]
plots.show(
    fig, "Grad-CAM above, HiResCAM below, for the layers relu1 to relu4: early maps are fine and scattered, the last is coarse."
)

# %% [markdown]
# Each panel has its own scale. At relu4 the rows agree, and the cells sum to the score minus the bias, 3.24 + 0.14. Earlier, HiResCAM misses the biases of later layers, and Grad-CAM keeps no books: at relu2 it sums to less than zero for a positive score, since the gradient differs from place to place and one mean per channel hides that. The frame along the edge is the zero padding of the convolutions. The package pytorch-grad-cam cuts and stretches every map to 0 ... 1; ours stay raw.

# %% [markdown]
# ## Lab
#
# Cover what the map calls important; read the score with and without the square. Gold is the deciding part. The dashed line encloses what exceeds the threshold; **IoU** is its overlap with gold, divided by the area of both together.

# %%
playground = lab.saliency.occluder_lab()
playground

# %%
playground.filmstrip()

# %%
print(lab.saliency.occluder_lab().user_sets(left=40, top=28))  # a second copy, with the square on wing and tail

# %% [markdown]
# Two things to try. Explain *own species*, cover the strongest spot, then the beak, the tail, a leg: some places cost, and some even raise the score. Then explain *own minus sibling*: now one place carries the answer. Mind that grey is a poor stand-in for "nothing there", since no training picture had a grey square; the next section removes parts by redrawing instead.

# %% [markdown]
# ## Graded against the truth
#
# A mask says what was drawn, not what a network uses. So first the network's own truth, by intervention: redraw each held-out bird without one part and record by how much the score falls. Once for the score of its own species, once for own species *minus sibling*.

# %%
plain = worlds.birds(600, random_state=1)  # the same birds and poses, landscapes at random
plain_X, plain_mean = plain.test[0], plain.train[0].mean(axis=0)
deciding = np.array([[part == own for part in truth.removable_parts] for own in sibling_part])
drops = {}
for question, against in {"own species": {}, "own minus sibling": {"against": sibling}}.items():
    drops[question] = zoo.part_reliance(clean_net, plain, held_out, **against)
    drop = drops[question].to_numpy()
    for label, of in (("the deciding part", deciding), ("any other part", ~deciding)):
        mean, low, high = mean_interval(drop[of & ~np.isnan(drop)])
        print(f"{question:17} without {label:18} the score falls by {mean:5.2f} ({low:.2f} to {high:.2f})")
    largest = np.nanargmax(drop, axis=1)
    print(f"{question:17} the deciding part costs most in {np.mean(largest == deciding.argmax(axis=1)):.2f} of the pictures")
print(
    "\nown species, mean fall by family\n",
    drops["own species"].groupby(np.array(truth.families)[species]).mean().round(2),
    sep="",
)

# %% [markdown]
# For *own species* the costliest part changes from picture to picture, several parts share the answer, and some removals *raise* the score (a lory's beak). For *own minus sibling*, the deciding part carries the difference in every picture and the others nothing. That question has an answer key: one part, known beforehand. A mask counts as truth only for a network that passes this test. Does the snow network?

# %%
for name, net in (("clean", clean_net), ("snow", snow_net)):
    drop = zoo.part_reliance(net, plain, held_out, against=sibling).to_numpy()
    share = np.mean(np.nanargmax(drop, axis=1) == deciding.argmax(axis=1))
    accuracy = np.mean(predictor(net, "label")(plain_X) == species)
    print(f"{name} network: deciding part costs {drop[deciding].mean():.2f}, most of all in {share:.2f}; accuracy {accuracy:.2f}")

# %% [markdown]
# It leans on the parts less than a third as much: masks of *parts* are no truth for it. A mask of the *background* will be, once redrawing has shown what the background carries.

# %% [markdown]
# ### The oracle: only the explanation can err
#
# `LinearObserver` compares a picture pixel by pixel with both species drawn in its pose. Its layer `evidence` has one channel per class, and the scores are sums over the cells. So the gradient is 1 or -1 everywhere, and Grad-CAM is the exact evidence. `against=` explains the difference of two scores.
#
# Two grades. **Pointing game**: does the strongest pixel lie on the deciding part? **Mass**: which share of the positive relevance does? And the **rank agreement** of chapter 0: the correlation of two rankings of all pixels.

# %%
mask = np.concatenate([plain.truth.mask(part, [i]) for part, i in zip(sibling_part, held_out, strict=True)])
n_oracle = 50
exact, black, mean_bird = [], [], []
for k in range(n_oracle):
    oracle = zoo.LinearObserver(plain.truth.templates(held_out[k])[[species[k], sibling[k]]])
    question = {"target": 0, "against": 1}
    exact.append(saliency.gradcam(oracle, plain_X[[k]], "evidence", **question).values[0])
    black.append(saliency.integrated_gradients(oracle, plain_X[[k]], baseline=0.0, steps=1, **question).values[0])
    mean_bird.append(saliency.integrated_gradients(oracle, plain_X[[k]], baseline=plain_mean, steps=1, **question).values[0])

# %%
for name, maps in {"exact evidence": exact, "IG, black baseline": black, "IG, mean picture": mean_bird}.items():
    hits, mass = pointing_game(np.array(maps), mask[:n_oracle]), relevance_mass(np.array(maps), mask[:n_oracle])
    agreement = rank_agreement(np.array(maps).reshape(n_oracle, -1), np.array(exact).reshape(n_oracle, -1))
    print(f"{name:19} pointing {hits.mean():.2f}, mass {mass.mean():.2f}, agreement with the exact map {agreement.mean():.2f}")

# %% [markdown]
# The mean picture points even better than the exact map. That is no superiority: it shows how far the mask is from the truth, as we will see. IG from black needs a single step here and is complete, and still it points beside the part in four pictures out of ten. Which ones? Guess before you run the cell.

# %%
has = plain.truth.attributes.to_numpy()
look = np.array([plain.truth.attributes.columns[has[s] & ~has[r]][0] for s, r in zip(species, sibling, strict=True)])[:n_oracle]
missed = {name: pointing_game(np.array(maps), mask[:n_oracle]) < 1 for name, maps in (("exact", exact), ("IG, black", black))}
for this in np.unique(look):
    counts = ", ".join(f"{name} misses {miss[look == this].sum()}" for name, miss in missed.items())
    print(f"{this:14} {(look == this).sum()} pictures: {counts}")

# %% [markdown]
# IG from black misses every black beak, every black tail and every plain wing, which is dark: what equals the baseline gets no share. Even the exact map misses three spiky crests: their strongest evidence is where the *sibling's* crest is absent. Crests differ in outline, not in colour, so IG misses some of both kinds. Masks have limits.

# %% [markdown]
# ### The trained network: explanation and question
#
# Now the network itself. **SmoothGrad** averages the gradient over noisy copies of the picture. "Gradient, size" is the largest absolute gradient over the colour channels. Eight samples or steps keep it short; with 25 samples SmoothGrad points *worse* (0.53 instead of 0.61), with 50 steps IG loses 0.02. For *own species* there is a second key besides the deciding part: the part that cost most in this very picture.

# %%
METHODS = {
    "Grad-CAM, relu4": lambda net, x, q: saliency.gradcam(net, x, "features.relu4", **q),
    "Grad-CAM, relu2": lambda net, x, q: saliency.gradcam(net, x, "features.relu2", **q),
    "HiResCAM, relu3": lambda net, x, q: saliency.hirescam(net, x, "features.relu3", **q),
    "HiResCAM, relu2": lambda net, x, q: saliency.hirescam(net, x, "features.relu2", **q),
    "LayerCAM, relu2": lambda net, x, q: saliency.layercam(net, x, "features.relu2", **q),
    "gradient, size": lambda net, x, q: saliency.gradient(net, x, channels="largest", **q),
    "SmoothGrad": lambda net, x, q: saliency.smoothgrad(net, x, n_samples=8, **q),
    "IG, black": lambda net, x, q: saliency.integrated_gradients(net, x, steps=8, **q),
    "IG, mean picture": lambda net, x, q: saliency.integrated_gradients(net, x, baseline=plain_mean, steps=8, **q),
}


def all_maps(net, question):
    return {name: method(net, plain_X, {"target": species, **question}) for name, method in METHODS.items()}


own_maps = all_maps(clean_net, {})

# %%
sibling_maps = all_maps(clean_net, {"against": sibling})

# %%
part_masks = plain.truth.masks(held_out)
costliest = part_masks[np.arange(len(mask)), np.nanargmax(drops["own species"].to_numpy(), axis=1)]
print(f"pointing ({mask.mean():.2f} by chance)")
print(f"{'':17} own species          | own minus sibling")
print(f"{'':17} deciding  costliest  | deciding  mass   IoU")
hits = {}
for name in METHODS:
    hits[name] = [pointing_game(maps[name], mask) for maps in (own_maps, sibling_maps)]
    own, rival_hits = (h.mean() for h in hits[name])
    most = pointing_game(own_maps[name], costliest).mean()
    mass, overlap = relevance_mass(sibling_maps[name], mask).mean(), iou(sibling_maps[name], mask, threshold=0.5).mean()
    print(f"{name:17} {own:8.2f} {most:10.2f}  | {rival_hits:8.2f} {mass:5.2f} {overlap:5.2f}")

# %%
fig, ax = plt.subplots(figsize=(7.6, 4.9))
looks = {"own species": (plots.CONTEXT, "s"), "own minus sibling": (plots.ANCHOR, "o")}
for column, (question, (colour, marker)) in enumerate(looks.items()):
    for k, name in enumerate(METHODS):
        mean, low, high = mean_interval(hits[name][column])
        label = question if k == 0 else None
        place = k + (0.14 if column else -0.14)
        ax.errorbar(mean, place, xerr=[[mean - low], [high - mean]], fmt=marker, color=colour, label=label)
ax.axvline(mask.mean(), color="black", lw=0.8, ls="dotted", label="chance")
ax.set(
    yticks=range(len(METHODS)),
    yticklabels=METHODS,
    xlim=(0, 1),
    xlabel="share of pictures whose strongest pixel lies on the deciding part",
)
ax.invert_yaxis()
ax.set_title("Ask against the sibling, and every map improves")
fig.legend(loc="outside lower center", ncols=3)
plots.show(
    fig, "Pointing-game hit rates with 95 % intervals for nine maps: low for the own species, far higher against the sibling."
)

# %% [markdown]
# Each dot is a hit rate over 100 pictures with its 95 % interval. Two choices move the dots. The *question* moves every row to the right. The *layer* moves the CAMs: HiResCAM falls from 0.85 to 0.55 between relu2 and relu3, Grad-CAM from 0.75 at relu4 to 0.54 at relu2. "HiResCAM beats Grad-CAM" would be a sentence about layers.
#
# The grey dots are not *wrong*: they answer a question without one deciding part. Even against the costliest part of each picture (table), the best map points right in 0.58.
#
# The same pictures went through all maps, so compare in pairs. Eight comparisons share an error rate of 5 % (Bonferroni). And since we looked before choosing relu2, fresh pictures must confirm it.

# %%
reference, others = "HiResCAM, relu2", [name for name in METHODS if name != "HiResCAM, relu2"]
for name in others:
    mean, low, high = mean_interval(hits[reference][1] - hits[name][1], level=1 - 0.05 / len(others))
    print(f"{reference} minus {name:17} {mean:+.2f} ({low:+.2f} to {high:+.2f}) {'tie' if low < 0 < high else ''}")

fresh = worlds.birds(600, random_state=2)
fresh_X, fresh_species = fresh.test
fresh_parts = [fresh.truth.pivots(int(s))[1] for s in fresh_species]
fresh_sibling = [fresh.truth.sibling(int(s), part) for s, part in zip(fresh_species, fresh_parts, strict=True)]
fresh_mask = np.concatenate([fresh.truth.mask(p, [i]) for p, i in zip(fresh_parts, range(fresh.n_train, 600), strict=True)])
for layer in ("relu2", "relu3", "relu4"):
    heat = saliency.hirescam(clean_net, fresh_X, f"features.{layer}", fresh_species, against=fresh_sibling)
    print(f"100 fresh pictures: HiResCAM, {layer} points right in {pointing_game(heat, fresh_mask).mean():.2f}")
for n_samples, channels in ((8, "largest"), (25, "sum")):
    heat = saliency.smoothgrad(clean_net, plain_X, species, against=sibling, n_samples=n_samples, channels=channels)
    print(f"SmoothGrad, {n_samples} samples, channels={channels}: {pointing_game(heat, mask).mean():.2f}")

# %% [markdown]
# Ties are what 100 pictures cannot separate. Behind are two unlucky layers, IG from black (captum's default, 0), and SmoothGrad; but SmoothGrad by *size* instead of signed sum points right in 0.72. Ranks hang on such options.
#
# **Model error** is a separate matter. The network names every one of these birds, and removing the deciding part costs most in each of the 100 pictures. So what is lost *for this question* is lost by the explanations.

# %% [markdown]
# ### Back to the reserve: does the map show the snow?
#
# Share of relevance on the background, for the winter birds in snow. The clean network is the control, and it sees the *same* pictures. Redrawing the landscape tells us the truth about both, so here a mask may judge the snow network too.

# %%
winter_X, winter, rival = X[in_snow], species[in_snow], sibling[in_snow]
behind = truth.mask("background", held_out[in_snow])
for name, net in (("clean", clean_net), ("snow", snow_net)):
    logits = predictor(net, "logit")
    rows = np.arange(len(winter))
    fall = [z[rows, winter] - z[rows, rival] for z in (logits(winter_X), logits(spring))]
    print(
        "{} network: snow to meadow lowers own minus sibling by {:.2f} ({:.2f} to {:.2f})".format(
            name, *mean_interval(fall[0] - fall[1])
        )
    )

# %%
chosen, apart = ["Grad-CAM, relu4", "HiResCAM, relu2", "IG, mean picture"], []
print(f"share of the picture that is background: {behind.mean():.2f}")
for question, against in {"own species": {}, "own minus sibling": {"against": rival}}.items():
    for name in chosen:
        clean, snow = (
            relevance_mass(METHODS[name](net, winter_X, {"target": winter, **against}), behind) for net in (clean_net, snow_net)
        )
        caught = np.mean(snow > np.quantile(clean, 0.95))
        excess = "{:.2f} ({:.2f} to {:.2f})".format(*mean_interval(snow - clean))
        print(f"{question:17} {name:17} clean {clean.mean():.2f} snow {snow.mean():.2f} excess {excess} caught {caught:.2f}")
        assert max(clean.mean(), snow.mean()) < behind.mean()
        apart += [f"lowest of snow {snow.min():.2f}, highest of clean {clean.max():.2f}"]

# %% [markdown]
# *Caught*: the share of pictures whose background mass exceeds that of 95 % of the clean network's maps. A map that knows nothing would put 0.76 there, so *all* these maps prefer the bird. The first line is the figure everyone would have shown, 0.46 behind the bird; the innocent network has 0.36. With the better question HiResCAM and IG catch every picture; IG nearly does so with the plain one.

# %%
print(f"Grad-CAM, own species, background mass of single pictures: {apart[0]}")

# %% [markdown]
# **Would a heat map have told them before spring? Not alone.** *Caught* needs `clean_net`, and the reserve has no control. Without one nobody knows the threshold, and for the first line none would do: the guilty network's lowest map has less background than the innocent one's highest. A map raises suspicion; redrawing convicts.

# %% [markdown]
# ## Break it
#
# ### A map that survives the loss of the network
#
# What explains the weights must change when they are thrown away. **Cascading randomisation** (Adebayo et al. 2018) gives layer after layer fresh weights, from the output down, and compares the maps. Our criterion: a rank agreement above 0.5 once the output layer is random is a failure. We rank each map twice, with its sign and by size alone. Control: an edge detector, which never saw a network.

# %%
few_X, few = plain_X[:20], species[:20]
edges = saliency.Heatmap(np.array([filters.sobel(x.mean(axis=0)) for x in few_X]), few, "edges", (64, 64), np.zeros(20))
explainers = {
    "Grad-CAM, relu4": lambda net: saliency.gradcam(net, few_X, "features.relu4", few),
    "gradient, signed": lambda net: saliency.gradient(net, few_X, few),
    "gradient, largest channel": lambda net: saliency.gradient(net, few_X, few, channels="largest"),
    "edge detector": lambda net: edges,
}
agreement = {}
for name, explain in explainers.items():
    maps = [heat.values.reshape(20, -1) for heat in saliency.cascading_randomisation(clean_net, explain).values()]
    for ranked in ("with sign", "size only")[int(maps[0].min() >= 0) :]:
        agreement[name, ranked] = [rank_agreement(m, maps[0], signed=ranked == "with sign").mean() for m in maps]
        print(f"{name + ', ' + ranked:37}", " ".join(f"{a:5.2f}" for a in agreement[name, ranked]))
size = saliency.gradient(clean_net, few_X, few, channels="largest").values.reshape(20, -1)
print(f"gradient, largest channel, against the edge detector: {rank_agreement(size, edges.values.reshape(20, -1)).mean():.2f}")

# %%
stages = ["trained", "classifier", "+ conv4", "+ conv3", "+ conv2", "+ conv1"]
fig, ax = plt.subplots(figsize=(8.8, 3.9))
colours = dict(zip(explainers, [plots.ANCHOR, plots.NEGATIVE, plots.POSITIVE, plots.CONTEXT], strict=True))
for (name, ranked), values in agreement.items():
    style = "o-" if ranked == "with sign" else "s--"
    ax.plot(stages, values, style, color=colours[name], label=f"{name}, {ranked}")
ax.axhline(0.5, color="black", lw=0.8, ls="dotted", label="our limit, 0.5")
ax.set(xlabel="layers with random weights, from the output down", ylabel="rank agreement\nwith the trained map")
ax.set_title("Sizes outlive the classifier, signs do not")
fig.legend(loc="outside right center", fontsize=9)
plots.show(
    fig,
    "Rank agreement with the trained map as layers are randomised: signed maps fall to zero at once, their sizes fall slowly.",
)

# %% [markdown]
# Each step destroys one more layer. With their sign, the maps lose all agreement at once. By *size* all fail, Grad-CAM included: where slopes are large depends on the early layers and the picture (the edge detector agrees with the gradient's size at 0.47), whichever class is asked for. The sign carries what the classifier learned. Size can still tell *where* (it pointed right in 0.73 above), not *for whom*. Passing is necessary, not sufficient.

# %% [markdown]
# ### A constant that nobody can see
#
# Add 0.3 to every pixel, and let the network subtract it again in front of its first layer. The two networks agree on every picture, so a map that explains the network must agree too. The test is by Kindermans et al. (2017), the limit ours: rank agreement below 0.99 is a failure.

# %%
shift = 0.3


class Shifted(nn.Module):
    def __init__(self, network, shift):
        super().__init__()
        self.network, self.shift = network, shift

    def forward(self, x):
        return self.network(x - self.shift)


shifted_net, brighter = Shifted(clean_net, shift), (few_X + shift).astype(np.float32)
assert np.allclose(predictor(clean_net)(few_X), predictor(shifted_net)(brighter), atol=1e-4)
print("ok: the same scores")


# %%
def compare(before, after):
    return rank_agreement(after.values.reshape(20, -1), before.values.reshape(20, -1)).mean()


gradients = [saliency.gradient(net, x, few) for net, x in ((clean_net, few_X), (shifted_net, brighter))]
from_black = [saliency.integrated_gradients(net, x, few, steps=10) for net, x in ((clean_net, few_X), (shifted_net, brighter))]
moved = saliency.integrated_gradients(shifted_net, brighter, few, steps=10, baseline=shift)
assert compare(*from_black) < 0.99 < min(compare(*gradients), compare(from_black[0], moved))
print(f"gradient                                {compare(*gradients):.2f}")
print(f"IG, black baseline for both             {compare(*from_black):.2f}")
print(f"IG, the baseline moves with the picture {compare(from_black[0], moved):.2f}")

# %% [markdown]
# IG from a fixed black fails, and the last line finds the culprit: move the baseline along and it passes. Nothing is wrong with the integral. "Black" means one thing to the first network and another to the second. **A baseline is part of the question**; write it down with the map.

# %% [markdown]
# ### A confident map for an absurd class
#
# Take each bird's *least* likely species, and draw its map as many packages do: negative values cut, then stretched to 0 ... 1. Criterion: a map for a class that the network rules out must not look as strong as the map of the right one.

# %%
scores = predictor(clean_net, "logit")(few_X)
absurd = scores.argmin(axis=1)
right_map, absurd_map = (saliency.gradcam(clean_net, few_X, "features.relu4", c, relu=True) for c in (few, absurd))
stretched = absurd_map.values / absurd_map.values.max(axis=(1, 2), keepdims=True)
print(f"mean score: right class {scores.max(axis=1).mean():.2f}, absurd class {scores.min(axis=1).mean():.2f}")
for name, values in {"right, raw": right_map.values, "absurd, raw": absurd_map.values, "absurd, stretched": stretched}.items():
    print(f"{name:18} largest value, mean over birds: {values.max(axis=(1, 2)).mean():.2f}")

# %%
fig, axes = plt.subplots(1, 3, figsize=(9.6, 3.4))
shared, own_limit = right_map.values[0].max(), absurd_map.values[0].max()
panels = [("right class", right_map, shared), ("absurd class", absurd_map, shared), ("absurd, stretched", absurd_map, own_limit)]
for ax, (title, heat, limit) in zip(axes, panels, strict=True):
    heat.plot(ax, image=few_X[0], limit=limit)
    ax.set_title(f"{title}: {names[heat.target[0]]}\nscore {heat.score[0]:.2f}, full colour at {limit:.3f}", fontsize=10)
plots.show(fig, "Three maps over one bird: strong for the right class, almost empty for the absurd one, glowing once stretched.")

# %% [markdown]
# The first two panels share one colour scale, the third has its own. The network gives the absurd class its lowest score of twenty, yet the stretched map glows: its largest value is 1 by construction. The remedy is the raw scale, one limit for all maps that will be compared, and the score beside them. A weak map is not wrong: it says "little evidence", which is true.

# %% [markdown]
# ## On real data
#
# Handwritten digits, 8 x 8 pixels, drawn by people. No one planted anything, so there is no mask. What is left is deletion: replace the pixels that a map ranks first and watch the score fall, against a random order and against *ink*, which ranks pixels by their brightness and knows no network (in the array ink is bright and paper 0).

# %%
images, labels, n_train = zoo.digits()
digits_net, average = zoo.load("digits-cnn"), images[:n_train].mean(axis=0)
digits, y = images[n_train:][:150], labels[n_train:][:150]
right = predictor(digits_net, "label")(images[n_train:]) == labels[n_train:]
print(f"accuracy on {len(right)} held-out digits: {right.mean():.3f}")
rankings = {
    "Grad-CAM, relu3": saliency.gradcam(digits_net, digits, "features.relu3", y),
    "IG, zero": saliency.integrated_gradients(digits_net, digits, y, steps=20),
    "IG, average digit": saliency.integrated_gradients(digits_net, digits, y, steps=20, baseline=average),
    "ink": digits[:, 0],
    "random": np.random.default_rng(0).random((len(digits), 8, 8)),
}

# %%
score = predictor(digits_net, "logit")
curves = {}
for stand_in, values in {"zero": 0.0, "average digit": average}.items():

    def curve(ranking):
        return deletion_curve(score, digits, ranking, baseline=values, target=y, steps=16)

    curves[stand_in] = {name: curve(ranking) for name, ranking in rankings.items()}
    areas = {name: c.area() for name, c in curves[stand_in].items()}
    assert min(areas, key=lambda name: areas[name].mean()) == f"IG, {stand_in}"
    print(f"deleted pixels become {stand_in}: mean score under the curve, minus random order")
    for name in list(areas)[:-1]:
        print("   {:24} {:6.2f} ({:.2f} to {:.2f})".format(name, *mean_interval(areas[name] - areas["random"])))
    print(
        "   {:24} {:6.2f} ({:.2f} to {:.2f})".format(
            "ink minus Grad-CAM", *mean_interval(areas["ink"] - areas["Grad-CAM, relu3"])
        )
    )

# %%
fig, axes = plt.subplots(1, 2, figsize=(9.6, 3.7), sharey=True)
looks = [(plots.ANCHOR, "-"), (plots.POSITIVE, "--"), (plots.NEGATIVE, "-."), (plots.TRUTH, ":"), (plots.CONTEXT, "-")]
for ax, (stand_in, by_name) in zip(axes, curves.items(), strict=True):
    for (name, curve), (colour, dashes) in zip(by_name.items(), looks, strict=True):
        curve.plot(ax, label=name)
        ax.lines[-1].set(color=colour, linestyle=dashes)
    ax.set(title=f"deleted pixels become {stand_in}", xlabel="pixels replaced (%)", ylabel="mean score of the right digit")
axes[1].set_ylabel("")
axes[0].legend(loc="upper right")
plots.show(
    fig, "Deletion curves of five rankings for two stand-ins: integrated gradients win where their baseline is the stand-in."
)

# %% [markdown]
# Lower is better: the right pixels went first. Look at the winner of each panel: IG from zero when deletion means zero (empty paper), else IG from the average digit. The test rewards whoever shares its stand-in. On the left *ink*, which explains nothing, beats Grad-CAM by 0.42 (0.25 to 0.59, in pairs). So under a stated stand-in some maps find pixels the score depends on; none is thereby true.

# %% [markdown]
# ### Your own photograph
#
# In a terminal, with a network connection the first time, `python -m xailib.photo cat.jpg --layer layer4` draws Grad-CAM for torchvision's ResNet-18 with ImageNet weights. Try `layer3`, and a second object in the picture.
#
# **Bring your own.** Replace network, images and layer below. The default asks our bird network about a cat.

# %%
my_network, my_layer = clean_net, "features.relu4"
cat = transform.resize(data.chelsea()[:, 75:375], (64, 64), anti_aliasing=True)
my_images = np.moveaxis(cat, -1, 0)[None]

my_map = saliency.gradcam(my_network, my_images, my_layer)
fig, axes = plt.subplots(1, 2, figsize=(6.0, 3.1))
axes[0].imshow(np.moveaxis(my_images[0], 0, -1))
limit = np.abs(my_map.values).max()
my_map.plot(axes[1], image=my_images[0], limit=limit)
axes[0].set_title("your picture")
axes[1].set_title(f"{names[my_map.target[0]]}, score {my_map.score[0]:.2f}\n(full colour at {limit:.2f})", fontsize=10)
axes[0].set_axis_off()
plots.show(fig, "A photograph of a cat and the Grad-CAM map of the bird species that the network finds in it.")
confidence = predictor(my_network, "probability")(my_images).max()
print(f"the network says {names[my_map.target[0]]}, with a probability of {confidence:.2f}")

# %% [markdown]
# The network has no word for *cat*. A map explains the score you asked about; it cannot object to the question.

# %% [markdown]
# ## Strengths, limits, when not to use it
#
# **Strengths.** One backward pass: Grad-CAM costs about as much as a prediction. No training, no sampling, any convolutional network. Raw signed maps add, subtract and compare.
#
# > **Pitfall. A heat map is not a segmentation.** A coarse cell depends on its neighbours, so mass leaks over every outline; and IG, which is not coarse at all, left 0.23 behind the bird of an innocent network.
#
# > **Pitfall. "Why this class?" and "why this class and not that one?" have different answers.** Decide which one your reader asks. `against=` costs nothing.
#
# > **Pitfall. Absent needs a definition.** Black, grey, the mean picture, a redrawn scene: IG and deletion scores change with the choice, completeness holds for all of them.
#
# > **Pitfall. Stretched maps cannot be compared.** Show raw values on one scale, and the score.
#
# > **Pitfall. Where is not why.** The map marks the beak; whether its shape, its colour or its mere presence counts, only an intervention or a concept (chapter 9) can say.
#
# **Leave it** when features have no place in the picture (colour cast, texture everywhere, image size), when the decision needs a counterfactual ("what would have to change?"), or when you may build a model that is its own explanation (chapter 14).

# %% [markdown]
# ## Exercises

# %%
ex.card("saliency.gradcam")


# %%
def gradcam_from(A, G):
    # your code
    ...


gradcam_from = ex.check("saliency.gradcam", gradcam_from)

# %%
ex.card("saliency.integrate")


# %%
def integrate(slope, x, baseline, steps=50):
    # your code
    ...


integrate = ex.check("saliency.integrate", integrate)

# %%
ex.card("saliency.background")


# %%
def background_mass(maps, background):
    # your code
    ...


background_mass = ex.check("saliency.background", background_mass)

# %%
ex.card("saliency.excess")

# %%
my_guess = ...  # first
my_excess = ...  # then measure, with clean_net, snow_net, winter_X, winter, rival and the masks `behind`
my_excess = ex.check("saliency.excess", my_excess, prediction=my_guess)

# %%
ex.card("saliency.memo")

# %%
claims_that_hold = ...  # such as "ac"
claims_that_hold = ex.check("saliency.memo", claims_that_hold)

# %%
ex.card("saliency.occlusion")


# %%
def occlusion_map(score, image, size, fill=0.5):
    # your code
    ...


occlusion_map = ex.check("saliency.occlusion", occlusion_map)

# %%
ex.progress("saliency")

# %% [markdown]
# ## Quiz

# %%
ex.quiz("saliency")

# %% [markdown]
# ## Take-away
#
# 1. Grad-CAM is an average gradient times an activation; HiResCAM multiplies first and is exact if all that follows is linear; behind global average pooling both are CAM.
# 2. The question comes first: *why this class and not that one* has one part as its answer key here; *why this class* has another key for every picture.
# 3. Layer, baseline, sign and scale are part of the answer. Write them beside the map.
# 4. Test the map: completeness, randomised weights, a control network, a control explanation. Choose the layer on other pictures than you report.
# 5. A map raises a suspicion. Redraw, replace, occlude: the intervention decides.

# %% [markdown]
# ## Further reading
#
# - Simonyan, Vedaldi & Zisserman (2014), *Deep inside convolutional networks*, arXiv 1312.6034. The pixel gradient.
# - Zhou et al. (2016), *Learning deep features for discriminative localization*, arXiv 1512.04150. CAM.
# - Selvaraju et al. (2017), *Grad-CAM*, arXiv 1610.02391. Draelos & Carin (2020), *HiResCAM*, arXiv 2011.08891. Jiang et al. (2021), *LayerCAM*, IEEE TIP 30.
# - Smilkov et al. (2017), *SmoothGrad*, arXiv 1706.03825. Sundararajan, Taly & Yan (2017), *Axiomatic attribution*, arXiv 1703.01365. Sturmfels, Lundberg & Lee (2020), *Visualizing the impact of feature attribution baselines*, Distill.
# - Adebayo et al. (2018), *Sanity checks for saliency maps*, arXiv 1810.03292. Kindermans et al. (2017), *The (un)reliability of saliency methods*, arXiv 1711.00867.
# - Hesse, Schaub-Meyer & Roth (2023), *FunnyBirds*, arXiv 2308.06248. Ribeiro, Singh & Guestrin (2016), arXiv 1602.04938, for the husky in the snow.
