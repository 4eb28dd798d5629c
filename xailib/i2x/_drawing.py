"""How an explanation map is drawn."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from xailib import plots

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from xailib.i2x.explanation import Effects

#: cells stronger than this share of the strongest colour are too dark for black print
DARK = 0.6


def influence_map(effects: Effects, label: int, ax: Axes | None, top: int) -> Axes:
    """Influence on one class: prototypes by stretches of training, the strongest prototype on top."""
    ax = plots.axes(ax, figsize=(6.0, 3.6))
    one = effects.influence[:, :, label]
    shown = np.argsort(-np.abs(one).max(axis=0), kind="stable")[:top]
    limit = np.abs(one).max() or 1.0
    picture = ax.imshow(one[:, shown].T, cmap=plots.SIGNED_MAP, vmin=-limit, vmax=limit, aspect="auto")
    for row, k in enumerate(shown):  # the sign in print: never colour alone
        t = int(np.abs(one[:, k]).argmax())
        ink = "white" if abs(one[t, k]) > DARK * limit else "black"
        ax.text(t, row, f"{one[t, k]:+.2f}", ha="center", va="center", fontsize=7, color=ink)
    ax.set_yticks(range(len(shown)), [f"P-{k}" for k in shown])
    ax.set_xticks(range(len(one)), [str(step) for step in effects.steps[1:]])
    ax.set(
        xlabel="updates at the end of the stretch",
        ylabel="prototype",
        title=f"What moved together with the confidence in class {label}",
    )
    ax.figure.colorbar(picture, ax=ax, label="change of confidence per\nstandard deviation of intensity")
    return ax
