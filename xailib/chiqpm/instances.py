r"""Programs of any size to try solvers on: three families with a seed each.

What makes a program hard is not its size but its similar pairs. A solver that was only ever shown independent random classes
has never met *siblings*: classes that agree in nearly everything, come in small groups, and would like the same features. All
three families have them.

- ``"low rank"``: classes are directions in a space of 64 dimensions (of C / 2, if that is less), siblings are neighbouring
  directions, features are random directions plus noise. Many features mean nearly the same, so redundancy binds.
- ``"parts"``: classes are sets of 6 out of 120 parts; a sibling replaces one part by another, as in the world of the birds.
  Features respond to one part and sometimes to a few more. Most entries of ``A`` are near zero.
- ``"birds"``: real features of the trained network ``birds-cnn``. It has 208 channels in four layers and knows 20 species. To
  bring it to size without inventing anything, every channel is averaged over the whole picture and over each field of a 3 x 3
  grid, which makes 2,080 features. Each species is cut into equal *kinds* along the directions in which its last-layer features
  vary most, again and again, like a tree. The kinds are classes that nobody named; the features and their correlations are
  real. Six pictures make a kind at 1,000 classes, so single correlations are noisy.

One family is left out on purpose. If classes are drawn *independently*, nothing makes two of them siblings, and the closest
pairs are those of the shortest columns: 500 pairs among 1,000 such classes form one tangle of over 300 classes, with 62 of them
in a knot where everyone has three partners or more. ``siblings=False`` makes it. :func:`~xailib.chiqpm.scalable.solve` finds no
assignment there and says so.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from xailib import _validation as check
from xailib.chiqpm.program import Program, class_correlations, penalties, redundancy, redundancy_threshold, similar_pairs

__all__ = ["FAMILIES", "instance"]

FAMILIES = ("low rank", "parts", "birds")
#: low rank: dimensions, distance of siblings from their family, noise of features
RANK, SIBLING_SPREAD, NOISE = 64, 0.25, 0.1
#: parts: how many there are, how many a class has, most siblings, noise of responses
N_PARTS, PARTS_PER_CLASS, MOST_SIBLINGS, RESPONSE_NOISE = 120, 6, 4, 0.05
#: birds: grid of fields, pictures per kind and at least in all, species
GRID, PICTURES_PER_KIND, FEWEST_PICTURES, SPECIES = 3, 6, 600, 20


def instance(
    family: str,
    n_classes: int = 1000,
    n_candidates: int = 2048,
    *,
    n_features: int = 50,
    n_per_class: int = 5,
    density: float = 0.5,
    siblings: bool = True,
    random_state: Any = 0,
) -> Program:
    """A seeded program of one of three families, with similar pairs and redundancies as for real data.

    Parameters
    ----------
    family : {"low rank", "parts", "birds"}
    n_classes : int; for ``"birds"`` a multiple of 20
    n_candidates : int, features to choose from; for ``"birds"`` at most 2080 less the constant ones
    n_features, n_per_class : int, how many to keep, and how many make a class
    density : float (rho), similar pairs per class
    siblings : bool; without them the classes of the first two families are independent
    random_state : int, Generator or None

    Returns
    -------
    Program
        Without a locality bias.

    Raises
    ------
    ValueError, TypeError
        If an argument is out of range or the request is infeasible.

    Notes
    -----
    The default is the size of ImageNet with a ResNet-50. Taught in chapter 16.

    Examples
    --------
    >>> instance("parts", 20, 64, n_features=16, n_per_class=4)
    Program(20 classes x 64 features: keep 16, 4 per class, 10 similar pairs, 312 redundant pairs of features)
    """
    check.one_of(family, "family", FAMILIES)
    step = SPECIES if family == "birds" else 1
    check.number(n_classes, "n_classes", low=max(2, step), integer=True)
    if n_classes % step:
        raise ValueError(f"n_classes must be a multiple of {SPECIES} in the family 'birds', not {n_classes}.")
    check.number(n_candidates, "n_candidates", low=2, integer=True)
    check.number(n_features, "n_features", low=1, high=n_candidates, integer=True)
    check.number(density, "density", low=0)
    check.flag(siblings, "siblings")
    rng = check.random_generator(random_state)
    if family == "low rank":
        A = low_rank(n_classes, n_candidates, siblings, rng)
    elif family == "parts":
        A = parts(n_classes, n_candidates, siblings, rng)
    else:
        A = birds(n_classes, n_candidates, rng)
    R = redundancy(A)
    R = penalties(R, redundancy_threshold(R, n_features))
    return Program(A, n_features, n_per_class, similar_pairs(A, density), R)


def low_rank(n_classes: int, n_candidates: int, siblings: bool, rng: np.random.Generator) -> np.ndarray:
    """A (F, C): products of random features and class directions, plus noise."""
    family = rng.integers(0, max(n_classes // 2, 1), n_classes) if siblings else np.arange(n_classes)
    rank = max(1, min(RANK, n_classes // 2))
    directions = rng.normal(size=(n_classes, rank))[np.sort(family)] + SIBLING_SPREAD * rng.normal(size=(n_classes, rank))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True) if siblings else np.sqrt(rank)
    A = rng.normal(size=(n_candidates, rank)) @ directions.T + NOISE * rng.normal(size=(n_candidates, n_classes))
    A -= A.mean(axis=1, keepdims=True)
    return A / np.abs(A).max()


def parts(n_classes: int, n_candidates: int, siblings: bool, rng: np.random.Generator) -> np.ndarray:
    """A (F, C): correlations, up to noise, of part detectors with classes that are sets of parts."""
    has = np.zeros((n_classes, N_PARTS))
    c = 0
    while c < n_classes:
        common = rng.choice(N_PARTS, PARTS_PER_CLASS, replace=False)
        litter = min(int(rng.integers(1, MOST_SIBLINGS + 1)) if siblings else 1, n_classes - c)
        has[c : c + litter, common] = 1
        for sibling in range(c + 1, c + litter):
            has[sibling, rng.choice(common)] = 0
            has[sibling, rng.integers(N_PARTS)] = 1
        c += litter
    detectors = rng.exponential(size=(n_candidates, N_PARTS)) * (rng.random((n_candidates, N_PARTS)) < 2 / N_PARTS)
    detectors[np.arange(n_candidates), rng.integers(0, N_PARTS, n_candidates)] += 1
    response = detectors @ has.T * np.exp(0.3 * rng.normal(size=(n_candidates, n_classes)))
    response = np.maximum(response + RESPONSE_NOISE * rng.normal(size=response.shape), 0.0)
    A = response - response.mean(axis=1, keepdims=True)
    A *= rng.uniform(0.3, 1.0, size=(n_candidates, 1)) / np.linalg.norm(A, axis=1, keepdims=True)
    return A / np.abs(A).max()


def birds(n_classes: int, n_candidates: int, rng: np.random.Generator) -> np.ndarray:
    """A (F, C): real features of the birds' network, and species cut into kinds."""
    from xailib import worlds

    world = worlds.birds(max(PICTURES_PER_KIND * n_classes, FEWEST_PICTURES), random_state=rng)
    fields = _fields(np.asarray(world.X))
    fields = fields[:, fields.std(axis=0) > 1e-6]
    if n_candidates > fields.shape[1]:
        raise ValueError(f"n_candidates is {n_candidates}, but only {fields.shape[1]} features vary: ask for fewer.")
    standard = (fields - fields.mean(axis=0)) / fields.std(axis=0)
    kinds = np.empty(len(fields), dtype=int)
    for species in range(SPECIES):
        members = np.flatnonzero(np.asarray(world.y) == species)
        for k, rows in enumerate(_cut(standard, members, n_classes // SPECIES)):
            kinds[rows] = species * (n_classes // SPECIES) + k
    chosen = np.sort(rng.permutation(fields.shape[1])[:n_candidates])
    return class_correlations(fields[:, chosen], kinds)


def _fields(pictures: np.ndarray) -> np.ndarray:
    """Every rectified channel averaged over the picture and over the fields of a grid, (n, 2080)."""
    import torch

    from xailib import zoo
    from xailib._training import one_thread

    net = zoo.load("birds-cnn")
    everything = []
    with torch.no_grad(), one_thread():
        for batch in torch.split(torch.as_tensor(pictures), 200):
            pooled = []
            for layer in net.features:
                batch = layer(batch)
                if isinstance(layer, torch.nn.ReLU):
                    pooled.append(batch.mean(dim=(2, 3)))
                    pooled.append(torch.nn.functional.adaptive_avg_pool2d(batch, GRID).flatten(1))
            everything.append(torch.cat(pooled, dim=1))
    return torch.cat(everything).double().numpy()


def _cut(X: np.ndarray, rows: np.ndarray, n: int) -> list[np.ndarray]:
    """Rows in ``n`` parts of equal size: along the first principal direction in two, and each part again."""
    if n == 1:
        return [rows]
    centred = X[rows] - X[rows].mean(axis=0)
    direction = np.linalg.svd(centred, full_matrices=False)[2][0]
    direction *= np.sign(direction[np.abs(direction).argmax()])
    rows = rows[np.argsort(centred @ direction, kind="stable")]
    where = round(len(rows) * (n // 2) / n)
    return [*_cut(X, rows[:where], n // 2), *_cut(X, rows[where:], n - n // 2)]
