"""Labs of chapter 16: choose a program and see the tree it leads to; choose a promise and see the sets that keep it."""

from __future__ import annotations

from collections import Counter
from functools import cache
from textwrap import fill
from typing import Any, NamedTuple

import ipywidgets as widgets
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure, FigureBase

from xailib import chiqpm, plots, worlds
from xailib.chiqpm import _pipeline, metrics
from xailib.lab.playground import Playground, Prediction, Reading, choice, slider
from xailib.worlds.birds import HIDDEN_RATE, MISSING_RATE, BirdsTruth, _draw_all, _sample_scenes

_N_PICTURES = 8
_STAR = "\N{BLACK STAR}"
_METHODS = ("hierarchical", "THR", "APS", "reference", "reference, inclusive")
_RISE, _APART, _APART_TOO, _FALL = "both rise", "Z falls, accuracy rises", "Z rises, accuracy falls", "both fall"
_STEADY, _JUMP, _STILL = "a little with every step", "mostly in one jump", "not at all"
_TITLE: dict[str, Any] = {"fontsize": 9, "loc": "left"}


# --- the first lab: a program ---------------------------------------------------------------------------------------


def program_lab(*, live: bool = False) -> Playground:
    """How many features, how many of them a class, how many forced pairs: the head, the tree and the set that come of it.

    Parameters
    ----------
    live : bool
        Solve each program when it is asked for, with :func:`solve_live`, at any size in between; a size seen before is there at
        once. Otherwise the lab shows stored solutions.
    """
    grid = _grid()
    controls = {
        "n_features": choice("n_f", [str(n) for n in grid["n_features"]], "16"),
        "n_per_class": slider("n_wc", grid["n_per_class"][0], grid["n_per_class"][-1], 4),
        "density": choice("rho", [f"{rho:g}" for rho in grid["density"]], "0.5"),
        "alpha": slider("alpha", 0.05, 0.3, 0.1, 0.05),
        "picture": slider("picture", 1, _N_PICTURES, 1),
    }
    if live:
        controls["n_features"] = slider("n_f", grid["n_features"][0], grid["n_features"][-1], 16)
        controls["density"] = slider("rho", 0.0, 1.0, 0.5, 0.05)
    strip: list[dict[str, Any]] = [
        {"alpha": 0.1},
        {"alpha": 0.3},
        {"n_per_class": 2},
        {"density": 0.0 if live else "0"},
        {"n_features": 12 if live else "12"},
    ]
    question = "Keep n_f = 16 and rho = 0.5, but make every class of 5 features instead of 2. What do Z and the accuracy do?"
    return _ByNumbers(
        lambda n_features, density, **others: _compute_program(int(n_features), float(density), live=live, **others),
        _draw_program,
        controls,
        filmstrip=strip,
        title="A program solved at every step" if live else "A program, and the tree it leads to",
        predict=Prediction(question, [_RISE, _APART, _APART_TOO, _FALL]),
        verdict=_verdict_program,
        size=(6.6, 4.9),
    )


class _ByNumbers(Playground):
    """A playground whose choices among numbers may be set by the number as well as by its text."""

    def user_sets(self, **values: Any) -> str:
        """Set controls as the browser does; ``n_features=8`` means the choice ``"8"``."""
        for name, value in values.items():
            number = isinstance(value, int | float) and not isinstance(value, bool)
            if number and isinstance(self.controls[name], widgets.Dropdown):
                values[name] = f"{value:g}"
        return super().user_sets(**values)


@cache
def solve_live(n_features: int, n_per_class: int, density: float, *, repairs: int = 60) -> chiqpm.Solution:
    """Solve the birds' program for a size of your choice, in a second or two: the stored constants, and a short search.

    Parameters
    ----------
    n_features, n_per_class : int, features to keep, and features of a class
    density : float, forced pairs per class
    repairs : int, patience, as in :func:`xailib.chiqpm.solve`

    Raises
    ------
    ValueError
        If the request is infeasible; the message says why.
    """
    return chiqpm.solve(_program(n_features, n_per_class, density), bound_steps=50, shakes=10, repairs=repairs, random_state=0)


class _Head(NamedTuple):
    """The kept features, the classes made of them, and the program they solve."""

    selected: np.ndarray
    W: np.ndarray
    Z: float
    program: chiqpm.Program


class _Sets(NamedTuple):
    """A rule, its sets on the held-out pictures, and how good they are."""

    rule: chiqpm.Calibrated
    sets: np.ndarray
    quality: dict[str, float]


@cache
def _grid() -> dict[str, tuple[Any, ...]]:
    from xailib.experiments import chiqpm as experiment

    return experiment.GRID


def _stored() -> dict[str, np.ndarray]:
    from xailib.experiments import chiqpm as experiment

    return experiment.results()


@cache
def _penalties() -> np.ndarray:
    return chiqpm.penalties(chiqpm.redundancy(_stored()["A"].astype(float)), 0.0)


def _program(n_features: int, n_per_class: int, density: float) -> chiqpm.Program:
    """The program of this size, of the constants that are stored."""
    A, b = (_stored()[name].astype(float) for name in ("A", "bias"))
    weights = (1.0, _pipeline.balance(n_features), 1.0)
    return chiqpm.Program(A, n_features, n_per_class, chiqpm.similar_pairs(A, density), _penalties(), b, weights)


@cache
def _head(n_features: int, n_per_class: int, density: float, live: bool) -> _Head | str:
    """A solution, or a sentence that says why there is none."""
    try:
        program = _program(n_features, n_per_class, density)
        if live:
            solution = solve_live(n_features, n_per_class, density)
            return _Head(solution.selected, solution.W, solution.objective, program)
    except ValueError as error:
        return f"Infeasible. {error}"
    return _stored_head(program, density)


def _found(n_features: int, n_per_class: int, density: float, live: bool = False) -> _Head:
    """A solution, where there is one."""
    head = _head(n_features, n_per_class, density, live)
    if isinstance(head, str):
        raise ValueError(head)
    return head


def _stored_head(program: chiqpm.Program, density: float) -> _Head | str:
    """The best stored solution that meets the pairs: one that was made to meet more of them meets these too."""
    grid, stored, size = _grid(), _stored(), (program.n_features, program.n_per_class)
    i, j = grid["n_features"].index(size[0]), grid["n_per_class"].index(size[1])
    fits = [k for k, rho in enumerate(grid["density"]) if rho >= density and stored["grid_selected"][i, j, k, 0] >= 0]
    if not fits:
        return "The search met no head that fits these pairs. That is no proof that there is none."
    k = max(fits, key=lambda k: stored["grid_Z"][i, j, k])
    selected, W = stored["grid_selected"][i, j, k][: size[0]].astype(int), stored["grid_W"][i, j, k][:, : size[0]]
    return _Head(selected, W, program.objective(selected, W)["Z"], program)


@cache
def _normalised() -> np.ndarray:
    """All features of the held-out pictures, normalised and rectified, of the network before fine-tuning."""
    stored = _stored()
    return np.maximum((stored["dense_features"] - stored["dense_mean"]) / stored["dense_std"], 0).astype(float)


def _half(n: int) -> tuple[slice, slice]:
    """The first half calibrates, the second is shown."""
    return slice(n // 2), slice(n // 2, n)


@cache
def _program_sets(n_features: int, n_per_class: int, density: float, live: bool, alpha: float) -> _Sets:
    head = _found(n_features, n_per_class, density, live)
    return _calibrated(_normalised()[:, head.selected], head.W, _stored()["dense_y"], alpha, "hierarchical")


def _calibrated(f: np.ndarray, W: np.ndarray, y: np.ndarray, alpha: float, method: str) -> _Sets:
    first, rest = _half(len(f))
    rule = chiqpm.calibrate(f[first], W, y[first], alpha=alpha, method=method)
    sets = rule.sets(f[rest])
    return _Sets(rule, sets, chiqpm.set_quality(sets, y[rest], similarity=_similarity()))


@cache
def _similarity() -> np.ndarray:
    return metrics.attribute_similarity(_truth().attributes)


def _instructive(found: _Sets, predicted: np.ndarray, y: np.ndarray) -> list[int]:
    """Rows of the first picture of every kind of outcome, then of the second of every kind, and so on."""
    sizes, covered = np.minimum(found.sets.sum(axis=1), 2), found.sets[np.arange(len(y)), y]
    seen: Counter[tuple[bool, int, bool]] = Counter()
    turn = []
    for kind in zip((predicted == y).tolist(), sizes.tolist(), covered.tolist(), strict=True):
        turn.append((seen[kind], -kind[1]))
        seen[kind] += 1
    return sorted(range(len(y)), key=lambda i: (*turn[i], i))[:_N_PICTURES]


@cache
def _program_rows() -> list[int]:
    """The held-out pictures on show, by what happens to them at the first settings."""
    head = _found(16, 4, 0.5)
    rest = _half(len(_normalised()))[1]
    predicted = (_normalised()[rest][:, head.selected] @ head.W.T).argmax(axis=1)
    return [rest.start + i for i in _instructive(_program_sets(16, 4, 0.5, False, 0.1), predicted, _stored()["dense_y"][rest])]


@cache
def _program_birds() -> tuple[np.ndarray, BirdsTruth]:
    from xailib.experiments import chiqpm as experiment

    settings = experiment.Settings()
    return _drawn(settings.pictures, settings.seeds[0], [settings.pictures * 5 // 6 + row for row in _program_rows()])


def _drawn(n: int, seed: int, rows: list[int], *, ambiguous: bool = False) -> tuple[np.ndarray, BirdsTruth]:
    """These pictures of a world and the truth about them, without drawing all others: lots are quick, drawing is not."""
    scenes = _sample_scenes(
        n,
        np.random.default_rng(seed),
        snow=False,
        marker=False,
        ambiguous=ambiguous,
        strength=0.5,
        missing=HIDDEN_RATE if ambiguous else MISSING_RATE,
    )
    drawn = _draw_all(scenes[rows])
    return np.moveaxis(drawn["images"], 1, 3), BirdsTruth(drawn["scenes"], drawn["bits"], 0)


def _compute_program(n_features: int, density: float, *, n_per_class: int, alpha: float, picture: int, live: bool) -> Reading:
    """The head of these settings, and the tree and the set of one picture."""
    alpha, density = round(alpha, 2), round(density, 2)
    head, row = _head(n_features, n_per_class, density, live), _program_rows()[picture - 1]
    y = int(_stored()["dense_y"][row])
    shown = {"picture": picture, "y": y, "image": _program_birds()[0][picture - 1], "alpha": alpha, "head": head}
    if isinstance(head, str):
        return Reading({"no head": head}, shown)
    f, found = _normalised()[:, head.selected], _program_sets(n_features, n_per_class, density, live, alpha)
    kept = found.sets[row - len(f) // 2]
    truth, shared, pairs = _truth(), _shared(head.W), head.program.pairs
    siblings = {(a, b) for a, b, _ in truth.pairs}
    predicted = int((f[row] @ head.W.T).argmax())
    numbers: dict[str, float | int | str] = {
        "predicted set": _set_text(kept),
        "prediction, and the truth": f"{truth.species_names[predicted]}, {truth.species_names[y]}",
        "coverage, mean size of sets": f"{found.quality['coverage']:.2f}, {found.quality['size']:.2f}",
        "objective Z": float(head.Z),
        "accuracy, not fine-tuned": _accuracy(head),
        "forced pairs, and siblings among them": f"{len(pairs)}, {sum(pair in siblings for pair in pairs)}",
        "pairs of classes that share n_wc - 1": f"{(shared == n_per_class - 1).sum()} of {len(shared)}",
        "level that sets keep to, threshold": f"{found.rule.n_limit} of {n_per_class}, {found.rule.threshold:.2f}",
    }
    names = [f"f{j}" for j in head.selected]
    return Reading(numbers, {**shown, "f": f[row], "W": head.W, "kept": kept, "names": names, "quality": found.quality})


@cache
def _truth() -> BirdsTruth:
    """Of any birds: names, attributes and siblings of the species are the same in all worlds."""
    truth: BirdsTruth = worlds.birds(40).truth
    return truth


def _accuracy(head: _Head) -> float:
    """Of the head on the held-out pictures, without fine-tuning."""
    sums = _normalised()[:, head.selected] @ head.W.T
    return float((sums.argmax(axis=1) == _stored()["dense_y"]).mean())


def _shared(W: np.ndarray) -> np.ndarray:
    """How many features every two classes share, one number per pair."""
    return (W.astype(int) @ W.T)[np.triu_indices(len(W), k=1)]


def _set_text(kept: np.ndarray) -> str:
    names = [_truth().species_names[c] for c in np.flatnonzero(kept)]
    if len(names) in (0, len(kept)):
        return "all species" if names else "empty"
    return ", ".join(names[:4]) + (f", +{len(names) - 4}" if len(names) > 4 else "")


# --- its picture ----------------------------------------------------------------------------------------------------


def _draw_program(reading: Reading, figure: FigureBase) -> None:
    """The bird, what the program did, and the tree; a panel of the filmstrip has no room for the bird."""
    alone, head = isinstance(figure, Figure), reading.data["head"]
    if isinstance(head, str):
        figure.text(0.5, 0.5, fill(head, 60 if alone else 45), ha="center", va="center", fontsize=10 if alone else 8)
        return
    if isinstance(figure, Figure):
        _draw_bird(reading, figure)
    _draw_matrix(head, figure.add_axes((0.295, 0.6, 0.24, 0.323) if alone else (0.12, 0.6, 0.26, 0.273)))
    words = figure.text(0.57 if alone else 0.42, 0.925 if alone else 0.88, _words(reading, head), va="top", linespacing=1.45)
    words.set_fontsize(8.5 if alone else 7)
    _draw_tree(reading, figure, alone)


def _draw_bird(reading: Reading, figure: Figure) -> None:
    """Pixel by pixel, twice as large, without axes, which would take longer to draw than the bird."""
    figure.set_layout_engine("none")  # all places are our own: computing a layout takes longer than the drawing
    pixels = np.kron(reading.data["image"], np.ones((2, 2, 1), dtype=np.uint8))
    figure.figimage(pixels, int(0.012 * figure.bbox.width), int(0.645 * figure.bbox.height), origin="upper")
    figure.text(0.012, 0.93, f"{_truth().species_names[reading.data['y']]} {_STAR}", fontsize=9, fontweight="bold")


def _draw_matrix(head: _Head, ax: Axes) -> None:
    """How many features every two classes share; squares: pairs that the program forces."""
    shared = head.W.astype(float) @ head.W.T
    ax.imshow(shared, cmap="Greys", vmin=0, vmax=1.25 * head.program.n_per_class)
    pairs = np.array(head.program.pairs, dtype=int).reshape(-1, 2)
    x, y = np.concatenate([pairs, pairs[:, ::-1]]).T
    ax.scatter(x, y, s=22, marker="s", facecolors="none", edgecolors=plots.POSITIVE, linewidths=1)
    families = [name.split()[-1] for name in _truth().species_names[1::4]]
    ax.set(xticks=[], yticks=np.arange(1.5, 20, 4), yticklabels=families)
    ax.tick_params(labelsize=7.5, length=0, pad=2)
    ax.grid(False)
    ax.set_title("features that classes share", **_TITLE)


def _words(reading: Reading, head: _Head) -> str:
    """What the program did and what came of it, in a few lines."""
    numbers, n_wc = reading.numbers, head.program.n_per_class
    forced = len(head.program.pairs)
    return "\n".join(
        [
            f"n_f = {head.program.n_features}, n_wc = {n_wc}: Z = {head.Z:.1f}",
            f"{forced} pairs forced (red squares)" if forced else "no pairs forced",
            f"share {n_wc - 1} of {n_wc}: {numbers['pairs of classes that share n_wc - 1']} pairs",
            f"NOT fine-tuned: accuracy {numbers['accuracy, not fine-tuned']:.2f}",
            f"alpha = {reading.data['alpha']:.2f}, on {len(_stored()['dense_y']) // 2} held-out pictures:",
            f"   coverage {reading.data['quality']['coverage']:.2f}, mean size {reading.data['quality']['size']:.2f}",
        ]
    )


def _draw_tree(reading: Reading, figure: FigureBase, alone: bool) -> None:
    """The local tree with the predicted set; columns are as wide as the names beside them leave room."""
    data, names = reading.data, [str(name) for name in _truth().species_names]
    ax = figure.add_axes((0.01, 0.095, 0.98, 0.405) if alone else (0.01, 0.1, 0.98, 0.37))
    ax.set_title(_outcome(data), **_TITLE)
    if not data["f"].any():
        ax.set_axis_off()
        ax.text(0.5, 0.5, "None of the kept features is active in this picture: there is no tree.", ha="center", fontsize=9)
        return
    names[data["y"]] += f" {_STAR}"
    tree = chiqpm.tree(data["f"], data["W"])
    tree.plot(ax, class_names=names, feature_names=data["names"], predicted_set=data["kept"], n_names=2 if alone else 1)
    drawn = {c for members in tree.members.values() for c in members}
    ax.set_xlim(-0.15, _right_end(tree.n_levels, *((6.4, 2.6) if alone else (4.1, 1.6))))
    outside = [names[c] for c in np.flatnonzero(data["kept"]) if c not in drawn]
    if outside:
        more = f", +{len(outside) - 2}" if len(outside) > 2 else ""
        last = ax.get_ylim()[0]
        ax.set_ylim(last + 0.7, -1.0)
        ax.text(0, last + 0.2, f"in the set, with another first feature: {', '.join(outside[:2])}{more}", va="center", fontsize=8)
    ax.spines["bottom"].set_bounds(1, tree.n_levels)
    ax.tick_params(labelsize=8)
    ax.set_xlabel(ax.get_xlabel(), fontsize=8)


def _right_end(n_levels: int, width: float, for_names: float) -> float:
    """Where the axis of levels must end so that names, which begin 0.35 behind the last, have this many inches."""
    start = n_levels + 0.35
    return start + (start + 0.15) * for_names / (width - for_names)


def _outcome(data: dict[str, Any]) -> str:
    kept = data["kept"]
    holds = "holds" if kept[data["y"]] else "misses"
    size = f"a set of {kept.sum()} species" if kept.any() else "an empty set"
    return f"Picture {data['picture']}: {size}, which {holds} the truth ({_STAR})"


def _verdict_program(reading: Reading, prediction: str | None) -> str:
    """Compare Z and accuracy of two and five features a class, whatever the controls say."""
    (Z, accuracy), (new_Z, new_accuracy) = (_worth(16, n_per_class, 0.5) for n_per_class in (2, 5))
    happened = {(True, True): _RISE, (False, True): _APART, (True, False): _APART_TOO, (False, False): _FALL}[
        new_Z > Z, new_accuracy > accuracy
    ]
    measured = (
        f"From 2 to 5 features a class Z goes from {Z:.1f} to {new_Z:.1f}, accuracy from {accuracy:.2f} to {new_accuracy:.2f}. "
        "The main part of Z is a mean over the places of all classes, and a fifth feature tracks its class less well than a "
        "first: compare Z only between heads of the same size."
    )
    if prediction is None:
        return measured
    return f"{measured} You predicted '{prediction}': {'right' if prediction == happened else 'not this time'}."


def _worth(n_features: int, n_per_class: int, density: float) -> tuple[float, float]:
    """Objective, and accuracy before fine-tuning, of a stored head."""
    head = _found(n_features, n_per_class, density)
    return head.Z, _accuracy(head)


# --- the second lab: sets -------------------------------------------------------------------------------------------


def set_lab() -> Playground:
    """Calibration scores, the threshold, and the set of one ambiguous picture, by the rule and the promise of your choice."""
    controls = {
        "method": choice("method", _METHODS),
        "alpha": slider("alpha", 0.02, 0.3, 0.12, 0.01),
        "picture": slider("picture", 1, _N_PICTURES, 1),
    }
    strip: list[dict[str, Any]] = [
        {"alpha": 0.12},
        {"alpha": 0.05},
        {"alpha": 0.05, "method": "THR"},
        {"alpha": 0.05, "method": "APS"},
        {"alpha": 0.2, "method": "reference"},
    ]
    question = "Method 'hierarchical': alpha falls from 0.12 to 0.05 in steps of 0.01. How does the average set grow?"
    return Playground(
        _compute_set,
        _draw_set,
        controls,
        filmstrip=strip,
        title="Sets that keep a promise",
        predict=Prediction(question, [_STEADY, _JUMP, _STILL]),
        verdict=_verdict_set,
        size=(6.6, 4.9),
    )


@cache
def _pool() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Features, head and truth of new ambiguous pictures, seen by the fine-tuned network."""
    stored = _stored()
    return stored["pool_features"].astype(float), stored["pool_W"], stored["pool_y"]


@cache
def _pool_sets(method: str, alpha: float) -> _Sets:
    return _calibrated(*_pool(), alpha, method)


@cache
def _pool_rows() -> list[int]:
    """The pictures on show, by what happens to them at the first settings."""
    f, W, y = _pool()
    rest = _half(len(f))[1]
    found = _instructive(_pool_sets("hierarchical", 0.12), (f[rest] @ W.T).argmax(axis=1), y[rest])
    return [rest.start + i for i in found]


@cache
def _pool_birds() -> tuple[np.ndarray, BirdsTruth]:
    from xailib.experiments import chiqpm as experiment

    settings = experiment.Settings()
    return _drawn(settings.pool, settings.seeds[0] + experiment.NEW, _pool_rows(), ambiguous=True)


@cache
def _tables(method: str, n_limit: int | None) -> tuple[np.ndarray, np.ndarray]:
    """Scores of all classes, for the calibration half and for the half on show."""
    f, W, _ = _pool()
    first, rest = (_scores(method, f[half], W, n_limit) for half in _half(len(f)))
    return first, rest


def _scores(method: str, f: np.ndarray, W: np.ndarray, n_limit: int | None) -> np.ndarray:
    if n_limit is not None:
        return (chiqpm.hierarchical_scores if method == "hierarchical" else chiqpm.reference_scores)(f, W, n_limit)
    sums = f @ W.T
    p = np.exp(sums - sums.max(axis=1, keepdims=True))
    p /= p.sum(axis=1, keepdims=True)
    return chiqpm.aps_scores(p) if method == "APS" else chiqpm.thr_scores(p)


def _compute_set(method: str, alpha: float, picture: int) -> Reading:
    """The rule, the scores behind it, and the set of one picture."""
    alpha, row = round(alpha, 2), _pool_rows()[picture - 1]
    f, W, y = _pool()
    found, names = _pool_sets(method, alpha), _truth().species_names
    first, rest = _tables(method, found.rule.n_limit)
    own = np.sort(first[np.arange(len(first)), y[: len(first)]])
    kept, quality = found.sets[row - len(f) // 2], found.quality
    fits = _pool_birds()[1].predict(_pool_birds()[1].codes[[picture - 1]])[0] > 0
    numbers: dict[str, float | int | str] = {
        "predicted set": _set_text(kept),
        "coverage of held-out pictures": float(quality["coverage"]),
        "mean size": float(quality["size"]),
        "empty sets, sets of all species": f"{quality['empty']:.2f}, {quality['everything']:.2f}",
        "coverage promised; 19 splits of 20 are above": _promise(found.rule, len(found.sets), float(quality["coverage"])),
        "prediction, and the truth": f"{names[(f[row] @ W.T).argmax()]}, {names[y[row]]}",
        "what can be seen fits": _set_text(fits),
        "level, threshold": f"{'-' if found.rule.n_limit is None else found.rule.n_limit}, {found.rule.threshold:.2f}",
        "likeness of species within a set": float(quality["coherence"]) if np.isfinite(quality["coherence"]) else "-",
    }
    data = {"picture": picture, "alpha": alpha, "y": int(y[row]), "image": _pool_birds()[0][picture - 1], "fits": fits}
    tree = {"f": f[row], "W": W, "kept": kept, "names": [f"f{j}" for j in range(W.shape[1])]}
    return Reading(
        numbers, {**data, **tree, "own": own, "scores": rest[row - len(f) // 2], "rule": found.rule, "quality": quality}
    )


def _promise(rule: chiqpm.Calibrated, n_test: int, found: float) -> str:
    """What coverage is to be expected of a rule with an exact quantile, and whether this split is an unlucky one."""
    if rule.method.startswith("reference"):
        return "nothing"
    low = chiqpm.covered_reference(rule.n_scores, n_test, rule.alpha).ppf(0.05) / n_test
    unlucky = " (this split is the unlucky one of 20)" if found < low else ""
    return f"{1 - rule.alpha:.2f}; {low:.2f}{unlucky}"


def _draw_set(reading: Reading, figure: FigureBase) -> None:
    """The bird, the calibration scores with the threshold, and the tree with the set."""
    alone = isinstance(figure, Figure)
    if isinstance(figure, Figure):
        _draw_bird(reading, figure)
        fits = fill(f"What can be seen fits {_set_text(reading.data['fits'])}.", 28)
        figure.text(0.012, 0.625, fits, fontsize=7.5, va="top")
    _draw_scores(reading, figure.add_axes((0.33, 0.635, 0.655, 0.28) if alone else (0.11, 0.63, 0.86, 0.22)))
    _draw_tree(reading, figure, alone)


def _draw_scores(reading: Reading, ax: Axes) -> None:
    """Share of calibration pictures whose true class scores at most so much; below, the classes of the picture on show."""
    own, rule, scores, kept = (reading.data[key] for key in ("own", "rule", "scores", "kept"))
    low, high = min(own[0], scores.min()), max(own[-1], scores.max())
    margin = 0.03 * (high - low) or 0.5
    ax.step([low - margin, *own, high + margin], [0, *np.arange(1, len(own) + 1) / len(own), 1], where="post", color=plots.ANCHOR)
    ax.axhline(1 - rule.alpha, color=plots.CONTEXT, lw=1, ls=":")
    ax.axvline(rule.threshold, color=plots.POSITIVE, lw=1.4, ls="--")
    ax.scatter(scores[kept], np.full(kept.sum(), -0.14), marker="s", s=16, color=plots.ANCHOR)
    ax.scatter(scores[~kept], np.full((~kept).sum(), -0.14), marker="s", s=16, facecolors="white", edgecolors=plots.CONTEXT)
    ax.scatter(scores[reading.data["y"]], -0.3, marker="*", s=40, color=plots.TRUTH)
    ax.set(xlim=(low - margin, high + margin), ylim=(-0.42, 1.08), yticks=[0, 0.5, 1])
    ax.tick_params(labelsize=7.5)
    ax.locator_params(axis="x", nbins=5)
    ax.grid(False)
    ax.set_xlabel("score (the larger, the stranger the class)", fontsize=8)
    ax.set_ylabel("share at most", fontsize=8)
    word = "below" if rule.method == "reference" else "up to"
    ax.set_title(f"alpha = {rule.alpha:.2f}: the set takes scores {word} {rule.threshold:.2f}", **_TITLE)


def _verdict_set(reading: Reading, prediction: str | None) -> str:
    """How hierarchical sets grow between two promises, whatever the controls say, and those of THR beside them."""
    alphas = [round(0.12 - 0.01 * k, 2) for k in range(8)]
    sizes, others = (np.array([_pool_sets(method, a).quality["size"] for a in alphas]) for method in ("hierarchical", "THR"))
    steps, growth = np.diff(sizes), sizes[-1] - sizes[0]
    k = int(steps.argmax())
    happened = _STILL if growth < 0.05 else _JUMP if steps[k] > growth / 2 else _STEADY
    measured = (
        f"The average set grows from {sizes[0]:.2f} to {sizes[-1]:.2f} species, by {steps[k]:.2f} in the one step from "
        f"{alphas[k]:.2f} to {alphas[k + 1]:.2f}; that of THR from {others[0]:.2f} to {others[-1]:.2f}, at most "
        f"{np.diff(others).max():.2f} in a step. Classes that go with the prediction far enough and "
        "part from it at a silent feature all score 0: they enter together."
    )
    if prediction is None:
        return measured
    return f"{measured} You predicted '{prediction}': {'right' if prediction == happened else 'not this time'}."


LABS = [program_lab, set_lab]
