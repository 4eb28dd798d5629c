"""Prototypes: recurring features of the final model, found by PCA and k-means, and where each of them is in an image."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import torch
from sklearn.cluster import MiniBatchKMeans
from torch import nn

from xailib import _validation as check
from xailib._networks import blocks, module_of, require_network, run_from, undisturbed
from xailib._progress import progress

__all__ = ["Prototypes", "assign", "exemplars", "find_prototypes"]

BATCH_SIZE = 256
MAX_VECTORS = 200_000
#: vectors per step of mini-batch k-means
KMEANS_BATCH = 4096


@dataclass(frozen=True, eq=False)
class Prototypes:
    r"""Centres of k-means among the features of a layer, in the coordinates of a PCA; the most frequent one comes first.

    .. math:: a(f) = \arg\min_k \| V (f - \mu) - c_k \|^2

    Attributes
    ----------
    layer : dotted name of the layer
    mean : (d,), :math:`\mu`
    axes : (r, d), :math:`V`, orthonormal rows
    centres : (K, r), :math:`c_k`
    explained : share of the features' variance along the axes
    shares : (K,), how often each is the nearest centre among the vectors it was found in
    """

    layer: str
    mean: np.ndarray
    axes: np.ndarray
    centres: np.ndarray
    explained: float
    shares: np.ndarray

    @property
    def n_prototypes(self) -> int:
        """K."""
        return len(self.centres)

    def assign(self, features: Any) -> np.ndarray:
        """The prototype at each place, (n, h, w), of features (n, d, h, w)."""
        F = check.array(features, "features", ndim=4)
        if F.shape[1] != len(self.mean):
            raise ValueError(f"features must have the {len(self.mean)} channels of layer {self.layer!r}, not {F.shape[1]}.")
        return nearest_places(self, F)[0]

    def __repr__(self) -> str:
        r, d = self.axes.shape
        return (
            f"Prototypes({self.n_prototypes} at {self.layer!r}, in {r} of {d} dimensions with {self.explained:.1%} of variance)"
        )


def find_prototypes(
    model: nn.Module,
    images: Any,
    layer: str | nn.Module,
    n_prototypes: int = 32,
    *,
    variance: float = 0.95,
    max_dims: int = 64,
    max_vectors: int = MAX_VECTORS,
    random_state: Any = 0,
    batch_size: int = BATCH_SIZE,
) -> Prototypes:
    r"""PCA and mini-batch k-means of a layer's features: K abstract prototypes.

    .. math:: F \in \mathbb R^{Nhw \times d}, \qquad z = V (f - \mu), \qquad \min_c \sum_f \min_k \|z_f - c_k\|^2

    Parameters
    ----------
    model : torch module, the final model
    images : array or tensor (n, channels, height, width), training images
    layer : module or dotted name; its output must have shape (n, d, h, w)
    n_prototypes : int, K; at most the number of images
    variance : float in (0, 1], the axes explain this share of the variance ...
    max_dims : int ... unless that takes more axes than this
    max_vectors : int, about so many vectors are looked at: all places of images drawn at random
    random_state : int, Generator or None, which images are drawn, and where k-means starts
    batch_size : int, images per model call

    Returns
    -------
    Prototypes

    Raises
    ------
    TypeError, ValueError
        If the layer gives no maps, its features do not vary, or there are fewer images than prototypes.

    Notes
    -----
    Li et al. (2026) give K (32 on MNIST, 128 on CIFAR-10) but neither the dimension of the PCA nor the k-means; 95 %, at most 64
    axes and no whitening are our reading. The PCA is exact: its covariance is summed up batch by batch, so that never more than
    one batch of features is held, and the vectors only in PCA coordinates. Taught in chapter 17.

    Examples
    --------
    >>> net = nn.Sequential(nn.Conv2d(1, 4, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 2))
    >>> find_prototypes(net, np.random.default_rng(0).random((9, 1, 6, 6)), "0", 3).centres.shape[0]
    3
    """
    require_network(model)
    name, module = module_of(model, layer)
    x = check.images(images)
    check.number(n_prototypes, "n_prototypes", low=2, integer=True)
    if n_prototypes > len(x):
        raise ValueError(f"n_prototypes is {n_prototypes}, but there are {len(x)} images: ask for fewer or give more images.")
    check.number(variance, "variance", low=0, high=1, open_low=True)
    for value, what in ((max_dims, "max_dims"), (batch_size, "batch_size")):
        check.number(value, what, low=1, integer=True)
    check.number(max_vectors, "max_vectors", low=n_prototypes, integer=True)
    rng = check.random_generator(random_state)
    stream = _Stream(model, module, name, x, batch_size)
    stream.draw(max_vectors, rng)
    mean, axes, explained = _pca(stream, variance, max_dims)
    Z = np.concatenate([((_vectors(F) - mean) @ axes.T).astype(np.float32) for F in stream])
    return _clustered(Z, n_prototypes, name, mean, axes, explained, rng)


def assign(model: nn.Module, images: Any, prototypes: Prototypes, *, batch_size: int = BATCH_SIZE) -> np.ndarray:
    r"""Which prototype is at each place of each image.

    .. math:: a_j = \arg\min_k \| V (f_j - \mu) - c_k \|^2

    Parameters
    ----------
    model : torch module, the final model
    images : array or tensor (n, channels, height, width)
    prototypes : Prototypes of one of its layers
    batch_size : int, images per model call

    Returns
    -------
    array (n, h, w) of prototype numbers from 0

    Raises
    ------
    TypeError, ValueError
        If the prototypes belong to another network.

    Notes
    -----
    Li et al. (2026). Assignments come from the final model and stay fixed while attention moves. Taught in chapter 17.
    """
    return np.concatenate([nearest_places(prototypes, F)[0] for F in _of_layer(model, images, prototypes, batch_size)])


def exemplars(
    model: nn.Module, images: Any, prototypes: Prototypes, *, n_images: int = 6, batch_size: int = BATCH_SIZE
) -> pd.DataFrame:
    """The places that are most like each prototype, at most one per image: what to look at to understand it.

    Parameters
    ----------
    model, images, prototypes, batch_size : as in :func:`assign`
    n_images : int, places per prototype

    Returns
    -------
    DataFrame
        ``prototype, rank, image, row, column, distance``, rows and columns those of the layer; fewer where a prototype is in
        fewer images.

    Raises
    ------
    TypeError, ValueError
        As :func:`assign`.

    Notes
    -----
    Taught in chapter 17.
    """
    check.number(n_images, "n_images", low=1, integer=True)
    parts: list[pd.DataFrame] = []
    first = 0
    for F in _of_layer(model, images, prototypes, batch_size):
        places = _places(*nearest_places(prototypes, F), first)
        parts = [_best(pd.concat([*parts, places]), n_images)]
        first += len(F)
    best = parts[0].assign(rank=parts[0].groupby("prototype").cumcount() + 1)
    return best[["prototype", "rank", "image", "row", "column", "distance"]].reset_index(drop=True)


def _places(assignments: np.ndarray, squared: np.ndarray, first: int) -> pd.DataFrame:
    image, row, column = np.indices(assignments.shape).reshape(3, -1)
    return pd.DataFrame(
        {
            "prototype": assignments.ravel().astype(int),
            "image": image + first,
            "row": row,
            "column": column,
            "distance": np.sqrt(squared.ravel()),
        }
    )


def _best(places: pd.DataFrame, n: int) -> pd.DataFrame:
    """The n nearest places of each prototype, one per image."""
    ordered = places.sort_values(["prototype", "distance", "image", "row", "column"], kind="stable")
    return ordered.drop_duplicates(["prototype", "image"]).groupby("prototype").head(n)


# --- features, batch by batch ---


class _Stream:
    """Features of a layer (n, d, h, w), one batch at a time, as often as one likes."""

    def __init__(self, model: nn.Module, module: nn.Module, name: str, x: np.ndarray, batch_size: int) -> None:
        self.model, self.module, self.name, self.x, self.batch_size = model, module, name, x, batch_size

    def draw(self, max_vectors: int, rng: np.random.Generator) -> None:
        """Keep as many images, drawn at random, as it takes to have ``max_vectors`` places."""
        places = self.batch(slice(0, 1))[0, 0].size
        n = -(-max_vectors // places)
        if n < len(self.x):
            self.x = self.x[np.sort(rng.choice(len(self.x), n, replace=False))]

    def batch(self, rows: slice) -> np.ndarray:
        with undisturbed(self.model), torch.no_grad():
            return run_from(self.model, self.module, self.name, self.x[rows])[0].cpu().numpy()

    def __iter__(self) -> Iterator[np.ndarray]:
        parts = blocks(len(self.x), self.batch_size)
        for rows in progress(parts, len(parts), "features"):
            yield self.batch(rows)


def _of_layer(model: Any, images: Any, prototypes: Any, batch_size: Any) -> Iterator[np.ndarray]:
    """Checked features of the prototypes' layer."""
    require_network(model)
    check.instance(prototypes, Prototypes, "prototypes")
    name, module = module_of(model, prototypes.layer, "the prototypes' layer")
    x = check.images(images)
    check.number(batch_size, "batch_size", low=1, integer=True)
    return _fitting(_Stream(model, module, name, x, batch_size), prototypes)


def _fitting(stream: _Stream, prototypes: Prototypes) -> Iterator[np.ndarray]:
    for F in stream:
        check_channels(F.shape[1], prototypes)
        yield F


def check_channels(channels: int, prototypes: Prototypes) -> None:
    """Raise if a layer has not the width that the prototypes were found in."""
    if channels != len(prototypes.mean):
        raise ValueError(
            f"prototypes were found in {len(prototypes.mean)} channels, but layer {prototypes.layer!r} of this model has "
            f"{channels}: find them in this model."
        )


def _vectors(features: np.ndarray) -> np.ndarray:
    """(n, d, h, w) -> (n h w, d), in double precision."""
    return features.transpose(0, 2, 3, 1).reshape(-1, features.shape[1]).astype(np.float64)


# --- PCA and k-means ---


def _pca(stream: _Stream, variance: float, max_dims: int) -> tuple[np.ndarray, np.ndarray, float]:
    """Mean, leading axes and the share of variance they explain, from sums over batches."""
    origin = _vectors(stream.batch(slice(0, stream.batch_size))).mean(axis=0)  # near the mean: no digits are lost below
    n, total, squares = 0, np.zeros(len(origin)), np.zeros((len(origin), len(origin)))
    for F in stream:
        centred = _vectors(F) - origin
        n, total, squares = n + len(centred), total + centred.sum(axis=0), squares + centred.T @ centred
    shift = total / n
    values, axes = np.linalg.eigh(squares / n - np.outer(shift, shift))
    values, axes = np.maximum(values[::-1], 0), axes[:, ::-1].T
    if values.sum() <= 1e-12 * (1 + (origin**2).sum()):
        raise ValueError(f"layer {stream.name!r} gives the same features everywhere: there is nothing to group.")
    cumulative = values.cumsum() / values.sum()
    r = min(int(np.searchsorted(cumulative, variance - 1e-12)) + 1, max_dims, len(values))
    largest = np.abs(axes[:r]).argmax(axis=1)
    signs = np.sign(axes[np.arange(r), largest])  # an axis has no direction of its own: its largest entry is positive
    return origin + shift, axes[:r] * signs[:, None], float(cumulative[r - 1])


def _clustered(
    Z: np.ndarray, K: int, name: str, mean: np.ndarray, axes: np.ndarray, explained: float, rng: np.random.Generator
) -> Prototypes:
    """K-means of coordinates Z (m, r); the most frequent centre first."""
    centres, assignments = k_means(Z, K, rng)
    counts = np.bincount(assignments, minlength=K)
    order = np.argsort(-counts, kind="stable")
    return Prototypes(name, mean, axes, centres[order], explained, counts[order] / counts.sum())


def nearest_places(prototypes: Prototypes, features: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Nearest prototype and squared distance to it at each place, both (n, h, w)."""
    n, _, h, w = features.shape
    a, squared = nearest_centres(coordinates(prototypes, features), prototypes.centres)
    return a.astype(np.uint16).reshape(n, h, w), squared.reshape(n, h, w)


def coordinates(prototypes: Prototypes, features: np.ndarray) -> np.ndarray:
    """Features (n, d, h, w) in the coordinates of the PCA, (n h w, r)."""
    return (_vectors(features) - prototypes.mean) @ prototypes.axes.T


def nearest_centres(Z: np.ndarray, centres: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Number of the nearest centre of each vector, and the squared distance to it."""
    D = (centres**2).sum(axis=1) - 2 * Z @ centres.T
    a = D.argmin(axis=1)
    return a, np.maximum(D[np.arange(len(a)), a] + (Z**2).sum(axis=1), 0)


def k_means(Z: np.ndarray, K: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Centres (K, r) in double precision, and the nearest one of each vector."""
    seed = int(rng.integers(2**31))
    fitted = MiniBatchKMeans(K, batch_size=KMEANS_BATCH, n_init=3, random_state=seed).fit(Z)
    return fitted.cluster_centers_.astype(np.float64), fitted.labels_
