"""How the tree and the contrastive page of CHiQPM are drawn."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure

from xailib import _validation as check
from xailib.plots import ANCHOR, CONTEXT, axes

if TYPE_CHECKING:
    from xailib.chiqpm.hierarchy import ContrastivePage, Prefix, Tree

#: inches that a row of the tree takes
ROW = 0.27


def draw_tree(
    tree: Tree,
    ax: Axes | None,
    class_names: Sequence[str] | None,
    feature_names: Sequence[str] | None,
    predicted_set: Any,
    n_names: int,
) -> Axes:
    """From left to right: the root, a column per level, names of classes where they end."""
    classes = _names(class_names, "class_names", _n_classes(tree, predicted_set))
    features = _names(feature_names, "feature_names", len(tree.activation))
    kept = _kept(predicted_set, tree)
    check.number(n_names, "n_names", low=1, integer=True)
    height = 1.0 + ROW * (1 + max([*tree.rows.values(), *tree.member_rows.values()]))
    ax = axes(ax, figsize=(6.6, max(height, 2.0)))
    for parent, child in tree.edges:
        _edge(ax, tree, parent, child)
    for node in tree.nodes:
        _node(ax, tree, node, features)
    for node, members in tree.members.items():
        _label(ax, tree, node, _members_text(tree, members, classes, kept, n_names), tree.predicted in members)
    ax.set_ylim(max(tree.member_rows.values()) + 0.7, -1.0)
    if kept is not None:
        ax.text(tree.n_levels + 0.35, -0.85, "■ in the predicted set", va="center", fontsize=8, color="#555555")
    ax.set_xlim(-0.25, tree.n_levels + 1.9)
    ax.set_xticks(range(1, tree.n_levels + 1), [_ordinal(n) for n in range(1, tree.n_levels + 1)])
    ax.set_xlabel("features of each class, the most active one first (name, activation)")
    ax.set_yticks([])
    ax.spines["left"].set_visible(False)
    ax.grid(visible=False)
    return ax


def _ordinal(n: int) -> str:
    return f"{n}{ {1: 'st', 2: 'nd', 3: 'rd'}.get(n if n < 20 else n % 10, 'th') }"


def _names(names: Any, name: str, n: int | None) -> list[str] | None:
    """Names to write, or None for numbers."""
    if names is None:
        return None
    given = [str(text) for text in check.texts(names, name)]
    if n is not None and len(given) < n:
        raise ValueError(f"{name} must have at least {n} entries, not {len(given)}.")
    return given


def _n_classes(tree: Tree, predicted_set: Any) -> int:
    return 1 + max(c for members in tree.members.values() for c in members)


def _kept(predicted_set: Any, tree: Tree) -> np.ndarray | None:
    if predicted_set is None:
        return None
    kept = np.asarray(predicted_set)
    if kept.dtype != bool or kept.ndim != 1 or len(kept) < _n_classes(tree, None):
        raise TypeError(f"predicted_set must be one True or False per class, not {check.shown(predicted_set)}.")
    return kept


def _on_path(tree: Tree, node: Prefix) -> bool:
    return tree.path[: len(node)] == node


def _edge(ax: Axes, tree: Tree, parent: Prefix, child: Prefix) -> None:
    """A smooth line; the prediction's is thick."""
    start, end = tree.rows[parent], tree.rows[child]
    t = np.linspace(0, 1, 25)
    mine = _on_path(tree, child)
    ax.plot(
        len(parent) + t,
        start + (end - start) * (3 * t**2 - 2 * t**3),
        color=ANCHOR if mine else CONTEXT,
        lw=3.0 if mine else 1.2,
        zorder=2 if mine else 1,
        solid_capstyle="round",
    )


def _node(ax: Axes, tree: Tree, node: Prefix, names: list[str] | None) -> None:
    """A disc as large as the feature is active, with its name above."""
    if not node:
        ax.plot(0, tree.rows[node], "o", color=ANCHOR, ms=5, zorder=3)
        return
    mine, activation = _on_path(tree, node), float(tree.activation[node[-1]])
    size = 4 + 9 * np.sqrt(activation / tree.activation.max())
    ax.plot(len(node), tree.rows[node], "o", ms=size, mfc=ANCHOR if mine else "white", mec=ANCHOR if mine else CONTEXT, zorder=3)
    name = f"f{node[-1]}" if names is None else names[node[-1]]
    ax.annotate(
        f"{name}  {activation:.1f}",
        (len(node), tree.rows[node]),
        (0, size / 2 + 1),
        textcoords="offset points",
        ha="center",
        va="bottom",
        fontsize=7.5,
        color="black" if mine else "#555555",
        zorder=4,
        bbox={"boxstyle": "square,pad=0.08", "fc": "white", "ec": "none", "alpha": 0.85},
    )


def _label(ax: Axes, tree: Tree, node: Prefix, text: str, mine: bool) -> None:
    """Names of classes in their row, behind the last level, on a dotted line from their node."""
    row, right = tree.member_rows[node], tree.n_levels + 0.35
    t = np.linspace(0, 1, 25)
    start = tree.rows[node]
    near = len(node) + 0.25 * t
    ax.plot(near, start + (row - start) * (3 * t**2 - 2 * t**3), color=ANCHOR if mine else CONTEXT, lw=0.9, ls=":", zorder=0)
    ax.plot([len(node) + 0.25, right - 0.05], [row, row], color=ANCHOR if mine else CONTEXT, lw=0.9, ls=":", zorder=0)
    weight = "bold" if mine else "normal"
    ax.text(right, row, text, va="center", ha="left", fontsize=8.5, fontweight=weight, color=ANCHOR if mine else "#333333")


def _members_text(tree: Tree, members: Sequence[int], names: list[str] | None, kept: np.ndarray | None, n_names: int) -> str:
    """The prediction first, then classes of the set; a filled square before what the set holds, an empty one before the rest."""
    order = sorted(members, key=lambda c: (c != tree.predicted, kept is not None and not kept[c], c))
    marks = ["" if kept is None else ("■ " if kept[c] else "□ ") for c in order]
    words = [f"{mark}{f'class {c}' if names is None else names[c]}" for mark, c in zip(marks, order, strict=True)]
    more = f", +{len(words) - n_names}" if len(words) > n_names else ""
    return ", ".join(words[:n_names]) + more


def draw_page(page: ContrastivePage, figure: Figure | None, class_names: Sequence[str] | None, gamma: float) -> Figure:
    """A row per picture: the picture, then one feature after the other, as red light on the picture in grey."""
    names = _names(class_names, "class_names", max(page.classes) + 1)
    check.number(gamma, "gamma", low=0, open_low=True)
    if figure is not None and not isinstance(figure, Figure | SubFigure):
        raise TypeError(f"figure must be a matplotlib figure or subfigure, not {type(figure).__name__}.")
    titles = [f"class {c}" if names is None else names[c] for c in page.classes]
    rows, columns = 2 * page.examples.shape[1], 1 + len(page.shown)
    figure = figure or plt.figure(figsize=(min(6.6, 1.2 * columns + 0.6), 0.5 + 1.15 * rows))
    grid = np.asarray(figure.subplots(rows, columns, squeeze=False))
    for row in range(rows):
        k, i = divmod(row, page.examples.shape[1])
        _picture(grid[row, 0], page.images[k, i])
        for column, feature in enumerate(page.shown):
            _heat(grid[row, column + 1], page.images[k, i], page.heat[k, i, column] ** gamma)
            grid[row, column + 1].set_xlabel(f"{page.activation[k, i, column]:.1f}", fontsize=8, labelpad=1)
            if row == 0:
                owner = {"both": "both", "first": f"only {titles[0]}", "second": f"only {titles[1]}"}[page.role(feature)]
                grid[0, column + 1].set_title(f"feature {feature}\n{owner}", fontsize=8, loc="center")
        grid[row, 0].set_ylabel(titles[k], fontsize=8)
    return figure


def _bare(ax: Axes) -> None:
    ax.set_xticks([])
    ax.set_yticks([])
    ax.grid(visible=False)
    for spine in ax.spines.values():
        spine.set_visible(False)


def _picture(ax: Axes, image: np.ndarray) -> None:
    pixels = np.clip(np.moveaxis(image, 0, 2), 0, 1)
    ax.imshow(pixels if pixels.shape[2] == 3 else pixels.mean(axis=2), cmap="gray")
    _bare(ax)


def _heat(ax: Axes, image: np.ndarray, heat: np.ndarray) -> None:
    ax.imshow(image.mean(axis=0), cmap="gray", vmin=-1, vmax=1)
    ax.imshow(np.ones_like(heat), cmap="Reds", vmin=0, vmax=1.3, alpha=0.9 * np.clip(heat, 0, 1))
    _bare(ax)
