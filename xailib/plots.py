"""How each result type is drawn, the colours and their roles, and how a figure enters a notebook.

Colours have roles: ``ANCHOR`` is what the figure is about, ``POSITIVE`` and ``NEGATIVE`` are signs, ``CONTEXT`` is everything
else. Signs are also told apart by position or hatching, never by colour alone.
"""

from __future__ import annotations

from base64 import b64encode
from importlib.resources import files
from io import BytesIO
from textwrap import fill
from typing import TYPE_CHECKING, Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from xailib import _validation as check
from xailib.results import Anchor, Attribution, Counterfactuals, DeletionCurve, Effect, Heatmap, Importance, Interactions

if TYPE_CHECKING:
    from xailib.tcav import Scores

ANCHOR = "#1b3a57"
POSITIVE = "#c8553d"
NEGATIVE = "#3c8dbc"
CONTEXT = "#a9a9a9"
TRUTH = "#d9a441"
SIGNED_MAP = "RdBu_r"

STYLE = str(files("xailib") / "xailib.mplstyle")
plt.style.use(STYLE)


def show(figure: Figure, caption: str) -> None:
    """Put a figure into the notebook: PNG with alternative text, the same sentence as plain text and as a visible caption.

    Parameters
    ----------
    figure : matplotlib Figure; it is closed, so that it is not shown twice
    caption : one sentence that says what a reader who cannot see the picture needs
    """
    from IPython.display import display

    if not check.instance(caption, str, "caption").strip():
        raise ValueError("caption is empty: say in one sentence what the picture shows.")
    bundle = {"image/png": b64encode(png(figure)).decode(), "text/plain": f"Figure: {caption}"}
    display(bundle, raw=True, metadata={"image/png": {"alt": caption}})
    display({"text/markdown": f"*{caption}*", "text/plain": caption}, raw=True)


def png(figure: Figure) -> bytes:
    """The figure as PNG bytes without a creation stamp; the figure is closed."""
    check.instance(figure, Figure, "figure")
    buffer = BytesIO()
    figure.savefig(buffer, format="png", metadata={"Software": None})
    plt.close(figure)
    return small_png(buffer.getvalue())


def small_png(data: bytes) -> bytes:
    """The same picture in 256 colours: a third of the bytes, and no visible difference for figures."""
    from PIL import Image

    check.instance(data, bytes, "data")
    buffer = BytesIO()
    picture = Image.open(BytesIO(data)).convert("RGB")
    picture = picture.quantize(256, method=Image.Quantize.MAXCOVERAGE, kmeans=1, dither=Image.Dither.NONE)
    picture.save(buffer, format="png", optimize=True)
    return buffer.getvalue()


def axes(ax: Axes | None, **size: Any) -> Axes:
    """``ax`` itself, or the axes of a new figure."""
    return plt.subplots(**size)[1] if ax is None else check.instance(ax, Axes, "ax")


def importance(result: Importance, ax: Axes | None = None) -> Axes:
    """Horizontal bars with 95 % intervals, largest on top, a line at "no reliance"."""
    check.instance(result, Importance, "result")
    order = np.argsort(result.values, kind="stable")
    ax = axes(ax, figsize=(6.4, 0.9 + 0.27 * len(order)))
    half = result.interval()[order, 1] - result.values[order]
    ax.barh(range(len(order)), result.values[order], xerr=half, color=ANCHOR, ecolor=CONTEXT, height=0.65)
    ax.set_yticks(range(len(order)), [result.names[j] for j in order])
    ax.axvline(1.0 if result.unit.startswith("ratio") else 0.0, color="black", lw=0.8)
    ax.grid(axis="y", visible=False)
    ax.set_xlabel(result.unit)
    return ax


def attribution(result: Attribution, ax: Axes | None = None, *, row: int = 0) -> Axes:
    """Signed horizontal bars of one instance, largest on top; sign is colour and direction."""
    check.instance(result, Attribution, "result")
    if result.values.ndim == 3:
        raise ValueError("result explains several outputs: choose one with result.of_output(index).")
    values = np.atleast_2d(result.values)
    values = values[check.number(row, "row", low=0, high=len(values) - 1, integer=True)]
    order = np.argsort(np.abs(values), kind="stable")
    ax = axes(ax, figsize=(6.4, 0.9 + 0.27 * len(order)))
    ax.barh(range(len(order)), values[order], color=np.where(values[order] >= 0, POSITIVE, NEGATIVE), height=0.65)
    ax.set_yticks(range(len(order)), [result.feature_names[j] for j in order])
    ax.axvline(0, color="black", lw=0.8)
    ax.grid(axis="y", visible=False)
    ax.set_xlabel("contribution to the prediction")
    return ax


def interactions(result: Interactions, ax: Axes | None = None, *, row: int = 0) -> Axes:
    """One instance as a signed map: main effects on the diagonal, the interaction of each pair beside it, written out if few."""
    check.instance(result, Interactions, "result")
    if result.values.ndim == 4:
        raise ValueError("result explains several outputs: choose one with result.of_output(index).")
    values = result.values[check.number(row, "row", low=0, high=len(result.values) - 1, integer=True)]
    p = len(values)
    ax = axes(ax, figsize=(2.2 + 0.42 * p, 1.4 + 0.36 * p))
    limit = float(np.abs(values).max()) or 1.0
    mesh = ax.imshow(values, cmap=SIGNED_MAP, vmin=-limit, vmax=limit)
    ax.figure.colorbar(mesh, ax=ax, label="contribution to the prediction")
    ax.set_xticks(range(p), result.feature_names, rotation=90)
    ax.set_yticks(range(p), result.feature_names)
    ax.grid(visible=False)
    if p <= 8:
        for i, j in np.ndindex(p, p):
            pale = abs(values[i, j]) < 0.6 * limit
            ax.text(j, i, f"{values[i, j]:.2g}", ha="center", va="center", color="black" if pale else "white", fontsize=8)
    return ax


def heatmap(
    result: Heatmap, ax: Axes | None = None, *, image: np.ndarray | None = None, index: int = 0, limit: float | None = None
) -> Axes:
    """One map at image resolution, over its image in grey when given.

    A map with negative values gets a diverging scale centred on zero, another one starts at zero. ``limit`` is the value of
    the strongest colour: give one number to several maps to make them comparable, by default it is the map's own largest.
    """
    check.instance(result, Heatmap, "result")
    values = result.upsample()[check.number(index, "index", low=0, high=len(result.values) - 1, integer=True)]
    if limit is not None:
        check.number(limit, "limit", low=0, open_low=True)
    picture = None if image is None else _grey(image, values.shape)
    ax = axes(ax, figsize=(3.2, 3.2))
    limit = limit or float(np.abs(values).max()) or 1.0
    signed = bool(result.values.min() < 0)
    style: dict[str, Any] = {"cmap": SIGNED_MAP if signed else "magma", "vmin": -limit if signed else 0, "vmax": limit}
    if picture is not None:
        ax.imshow(picture, cmap="gray", vmin=-1, vmax=1)  # pale, so that the map stands out
        style["cmap"] = SIGNED_MAP if signed else "Reds"
        style["alpha"] = 0.9 * np.sqrt(np.clip(np.abs(values) / limit, 0, 1))  # no evidence: the image shows through
    ax.imshow(values, **style)
    ax.set_axis_off()
    return ax


def _grey(image: Any, shape: tuple[int, ...]) -> np.ndarray:
    """An image (channels, height, width) or (height, width) as the mean of its channels."""
    pixels = check.array(image, "image", ndim=(2, 3))
    if pixels.shape[-2:] != shape:
        raise ValueError(f"image must be {shape[0]} by {shape[1]} pixels like the input of the model, not {pixels.shape}.")
    return pixels.reshape(-1, *shape).mean(axis=0)


def deletion_curve(result: DeletionCurve, ax: Axes | None = None, *, label: str | None = None) -> Axes:
    """Mean prediction against the share of features replaced."""
    check.instance(result, DeletionCurve, "result")
    ax = axes(ax)
    ax.plot(100 * result.fractions, result.scores.mean(axis=0), label=label or result.order)
    ax.set_xlabel("features replaced (%)")
    ax.set_ylabel("mean prediction")
    return ax


def effect(result: Effect, ax: Axes | None = None) -> Axes:
    """A map for two features, bars for levels, otherwise a line with its band, its ICE curves and a rug of the data."""
    check.instance(result, Effect, "result")
    ax = axes(ax)
    if len(result.names) == 2:
        return _effect_map(result, ax)
    if result.method == "ALE over levels" or not _is_numeric(result.grid[0]):
        _effect_bars(result, ax)
    else:
        _effect_line(result, ax)
    ax.set_xlabel(result.names[0])
    ax.set_ylabel(_effect_unit(result))
    return ax


def rug(values: np.ndarray, ax: Axes, *, n_ticks: int = 150) -> None:
    """Ticks along the lower edge at evenly spaced quantiles of the data: many ticks, many rows."""
    check.instance(ax, Axes, "ax")
    check.number(n_ticks, "n_ticks", low=1, integer=True)
    ticks = np.quantile(check.array(values, "values", ndim=1), np.linspace(0, 1, n_ticks))
    ax.plot(ticks, np.full(n_ticks, 0.015), "|", color=CONTEXT, ms=7, mew=0.8, transform=ax.get_xaxis_transform(), zorder=1)


def _effect_unit(result: Effect) -> str:
    if result.method == "derivative ICE":
        return "slope of the prediction"
    if result.method == "second-order ALE":
        return "interaction"
    centred = "ALE" in result.method or "centred" in result.method
    return "change of the prediction" if centred else "prediction"


def _effect_line(result: Effect, ax: Axes) -> None:
    grid = result.grid[0]
    if result.curves is not None:
        _ice_curves(result.curves, grid, ax)
    if result.lower is not None and result.upper is not None:
        ax.fill_between(grid, result.lower, result.upper, color=ANCHOR, alpha=0.2, lw=0)
    ax.plot(grid, result.values, color=ANCHOR, lw=2.5)
    if result.data is not None:
        rug(result.data[0], ax)


def _ice_curves(curves: np.ndarray, grid: np.ndarray, ax: Axes, *, n_curves: int = 80) -> None:
    """Thin lines for rows spread evenly over the table, so that the picture stays readable."""
    shown = curves[np.linspace(0, len(curves) - 1, min(n_curves, len(curves))).astype(int)]
    ax.plot(grid, shown.T, color=CONTEXT, lw=0.7, alpha=0.6)


def _effect_bars(result: Effect, ax: Axes) -> None:
    """One bar per level, with the share of rows under its name where there is room."""
    places = np.arange(len(result.values))
    error = None if result.upper is None else result.upper - result.values
    ax.bar(places, result.values, yerr=error, color=ANCHOR, ecolor=CONTEXT, capsize=3, width=0.65)
    levels = [str(level) for level in result.grid[0]]
    if result.data is not None and len(levels) <= 8:
        levels = [f"{name}\n{np.mean(result.data[0] == level):.0%}" for name, level in zip(levels, result.grid[0], strict=True)]
    ax.set_xticks(places, levels)
    ax.axhline(0, color="black", lw=0.8)
    ax.grid(axis="x", visible=False)


def _effect_map(result: Effect, ax: Axes) -> Axes:
    """Colour for the value at each pair of grid points; dots are rows, so that colour without dots is seen as a guess."""
    mesh = _ale_cells(result, ax) if "ALE" in result.method else _prediction_map(result, ax)
    ax.figure.colorbar(mesh, ax=ax, label=_effect_unit(result))
    if result.data is not None and all(_is_numeric(grid) for grid in result.grid):
        rows = np.linspace(0, len(result.data[0]) - 1, min(400, len(result.data[0]))).astype(int)
        ax.plot(result.data[0][rows], result.data[1][rows], ".", color="black", ms=2, alpha=0.5)
    ax.grid(visible=False)
    ax.set_xlabel(result.names[0])
    ax.set_ylabel(result.names[1])
    return ax


def _ale_cells(result: Effect, ax: Axes) -> Any:
    """Mean of the four corners of each cell; a cell without rows is hatched, for its value is borrowed from elsewhere."""
    g = result.values
    cells = np.ma.masked_where(result.details["counts"] == 0, (g[:-1, :-1] + g[1:, :-1] + g[:-1, 1:] + g[1:, 1:]) / 4)
    limit = float(np.abs(cells).max()) or 1.0
    ax.patch.set(hatch="////", edgecolor=CONTEXT, facecolor="white")
    return ax.pcolormesh(result.grid[0], result.grid[1], cells.T, cmap=SIGNED_MAP, vmin=-limit, vmax=limit)


def _prediction_map(result: Effect, ax: Axes) -> Any:
    places = [grid.astype(float) if _is_numeric(grid) else np.arange(len(grid)) for grid in result.grid]
    for axis, grid, place in zip((ax.xaxis, ax.yaxis), result.grid, places, strict=True):
        if not _is_numeric(grid):
            axis.set_ticks(place, [str(level) for level in grid])
    smooth = all(_is_numeric(grid) for grid in result.grid)
    return ax.pcolormesh(*places, result.values.T, shading="gouraud" if smooth else "nearest", cmap="cividis")


def _is_numeric(grid: np.ndarray) -> bool:
    return grid.dtype.kind in "iuf"


def counterfactuals(result: Counterfactuals, ax: Axes | None = None) -> Axes:
    """Arrows from "now" to each counterfactual's value, in units of its scale, option by option; a category is a diamond."""
    check.instance(result, Counterfactuals, "result")
    if not result.found:
        raise ValueError(f"result holds no counterfactual to draw: {result.reason}")
    names = [str(c) for c in result.rows.columns if any(str(c) in changed for changed in result.changed)]
    bars = [(name, i) for i, changed in enumerate(result.changed) for name in names if name in changed]
    ax = axes(ax, figsize=(6.8, 1.1 + 0.3 * max(len(bars), 2)))
    for place, (name, i) in enumerate(bars):
        _counterfactual_arrow(result, name, i, place, ax)
    options = len(result.rows) > 1
    ax.set_yticks(range(len(bars)), [f"{i + 1}: {name}" if options else name for name, i in bars])
    ax.axvline(0, color="black", lw=0.8)
    ax.grid(axis="y", visible=False)
    low, high = ax.get_xlim()
    ax.set_xlim(low - (0.3 if low < -0.2 else 0) * (high - low), high + 0.55 * (high - low))  # room for the text
    ax.margins(y=0.1)
    ax.invert_yaxis()
    ax.set_xlabel("change, in units of the feature's scale")
    return ax


def _counterfactual_arrow(result: Counterfactuals, name: str, i: int, place: int, ax: Axes) -> None:
    """One feature of one counterfactual, with its values before and after in plain numbers."""
    j = [str(c) for c in result.rows.columns].index(name)
    before, after = result.instance.iloc[0, j], result.rows.iloc[i, j]
    numeric = check.is_numeric(result.rows.iloc[:, j])
    size = (float(after) - float(before)) / result.scale[j] if numeric else 1 / result.scale[j]
    colour = (POSITIVE if size > 0 else NEGATIVE) if numeric else ANCHOR
    ax.plot([0, size], [place, place], color=colour, lw=2.5, ls="-" if numeric else ":")
    ax.plot(size, place, (">" if size > 0 else "<") if numeric else "D", color=colour, ms=7)
    text = f"{before:.4g} → {after:.4g}" if numeric else f"{before} → {after}"
    shift, side = (10, "left") if size > 0 else (-10, "right")
    ax.annotate(text, (size, place), (shift, 0), textcoords="offset points", va="center", ha=side, fontsize=8)


def anchor(result: Anchor, ax: Axes | None = None) -> Axes:
    """Precision as a dot with its interval, coverage as a bar, the threshold as a dashed line; the rule is the title."""
    check.instance(result, Anchor, "result")
    ax = axes(ax, figsize=(6.4, 1.9))
    low, high = result.interval
    ax.barh(0, result.coverage, color=CONTEXT, height=0.5)
    ax.plot([low, high], [1, 1], color=ANCHOR, lw=2, marker="|", ms=12, mew=2)
    ax.plot(result.precision, 1, "o" if result.found else "x", color=ANCHOR, ms=6)
    ax.axvline(result.threshold, color=POSITIVE, ls="--", lw=1.2, label=f"threshold {result.threshold:g}")
    ax.set(xlim=(0, 1.02), ylim=(-0.6, 1.6), xlabel="share", yticks=[0, 1], yticklabels=["coverage", "precision"])
    ax.set_title(_rule_in_lines(result, ax), fontsize=9)
    ax.legend(loc="center", fontsize=8)
    ax.grid(axis="y", visible=False)
    return ax


def _rule_in_lines(result: Anchor, ax: Axes) -> str:
    """The rule as wide as the axes at most; lines break between conditions."""
    conditions = " AND ".join(p.replace(" ", "\u00a0") for p in result.predicates) or "(always)"
    whole = f"{'IF' if result.found else 'Not an anchor: IF'} {conditions} THEN\u00a0{result.prediction:g}"
    letters = int(ax.get_window_extent().width / ax.figure.dpi / 0.076)  # of 0.076 inches each
    return fill(whole, max(letters, 20), break_long_words=False, break_on_hyphens=False).replace("\u00a0", " ")


def concept_scores(result: Scores, ax: Axes | None = None, *, statistic: str = "sign_count") -> Axes:
    """Runs as dots, one column per concept and layer, the mean as a bar; behind them in grey the runs of random sets."""
    from xailib.tcav import Scores

    check.instance(result, Scores, "result")
    check.one_of(statistic, "statistic", ["sign_count", "magnitude"])
    columns = list(result.stability.index)
    ax = axes(ax, figsize=(2.0 + 0.9 * len(columns), 3.6))
    for x, (layer, concept) in enumerate(columns):
        here = result.runs[result.runs["layer"] == layer]
        mine = here.loc[(here["kind"] == "concept") & (here["set"] == concept), statistic].to_numpy()
        random = here.loc[here["kind"] == "random", statistic].to_numpy()
        _dots(ax, x + 0.2, random, CONTEXT, "x", "random sets" if x == 0 else None)
        _dots(ax, x - 0.2, mine, ANCHOR, "o", "concept" if x == 0 else None)
        ax.plot([x - 0.38, x - 0.02], [mine.mean()] * 2, color=POSITIVE, lw=2, label="mean" if x == 0 else None)
    ax.axhline(0.5 if statistic == "sign_count" else 0.0, color="black", lw=0.8)
    ax.set_xticks(range(len(columns)), [f"{concept}\n{layer}" for layer, concept in columns], fontsize=8)
    ax.grid(axis="x", visible=False)
    ax.set_ylabel("share of images with S > 0" if statistic == "sign_count" else "mean of S (score per unit step)")
    ax.legend(fontsize=8, loc="center left", bbox_to_anchor=(1.0, 0.5))
    return ax


def _dots(ax: Axes, x: float, values: np.ndarray, colour: str, marker: str, label: str | None) -> None:
    """Values side by side, so that equal ones stay visible."""
    spread = np.linspace(-0.15, 0.15, len(values)) if len(values) > 1 else np.zeros(len(values))
    ax.plot(x + spread, values, marker, color=colour, ms=3.5, ls="", label=label if len(values) else None)
