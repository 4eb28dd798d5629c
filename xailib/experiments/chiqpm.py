"""CHiQPM on birds, over several seeds: ``python -m xailib.experiments.chiqpm``.

Every seed has a world and a dense network of its own. From this one network start all binary ones: with none to two similar pairs
per class, with and without the Feature Grounding Loss, one without redundancy, and one whose features and head are drawn by lot.
A second dense network of the seed learns the ambiguous world, where no classifier can always be right; its binary networks
calibrate prediction sets over 200 splits of new pictures. For one seed calibration and test are drawn afresh each time.

Every part is kept in the cache folder, so that a killed run goes on where it stopped. About an hour on one core.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache, partial
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from safetensors.torch import load_file, save_file
from tqdm.auto import tqdm

from xailib import _cache, worlds
from xailib import _validation as check
from xailib._training import one_thread
from xailib.chiqpm import _pipeline, conformal, metrics, network
from xailib.chiqpm._assignment import assign
from xailib.chiqpm.network import CHiQPM, Description
from xailib.chiqpm.program import Solution, solution_of
from xailib.course import manifest
from xailib.evaluation import mean_interval
from xailib.zoo import cards
from xailib.zoo.architectures import GapCNN

__all__ = ["conditions", "fresh_draws", "main", "paired", "parts", "results", "splits", "table"]

FILE = "chiqpm_birds.npz"
COMMAND = "python -m xailib.experiments.chiqpm"
ORIGIN = "measured on worlds.birds() and worlds.birds(ambiguous=True)"
#: other code, other numbers: what was kept of an interrupted run is taken up by the same code only
DENSE_CODE = ("chiqpm/network.py", "zoo/architectures.py", "_training.py", "worlds/birds.py", "worlds/_bird_drawing.py")
CODE = (
    *DENSE_CODE,
    *(f"chiqpm/{name}.py" for name in ("_pipeline", "program", "exact", "scalable", "_assignment", "_bound")),
    *(f"chiqpm/{name}.py" for name in ("conformal", "hierarchy", "metrics")),
    "experiments/chiqpm.py",
)
#: pictures that no network has seen come from worlds with seeds this much larger
NEW = 1000
ALPHAS = (0.12, 0.10, 0.075, 0.05)
#: name of a condition -> similar pairs per class, strength of L_feat, weight of redundancy
CONDITIONS: dict[str, tuple[float, float, float]] = {
    **{f"rho {rho:g}": (rho, network.GROUNDING, _pipeline.REDUNDANCY) for rho in (0.0, 0.25, 0.5, 1.0)},
    **{f"rho {rho:g}, no L_feat": (rho, 0.0, _pipeline.REDUNDANCY) for rho in (0.0, 0.25, 0.5, 1.0)},
    **{f"rho {rho:g}": (rho, network.GROUNDING, _pipeline.REDUNDANCY) for rho in (1.5, 2.0)},
    "redundancy free": (_pipeline.DENSITY, network.GROUNDING, 0.0),
    "by lot": (0.0, network.GROUNDING, _pipeline.REDUNDANCY),
    **{
        f"{what}, gently": (0.0, 0.0, _pipeline.REDUNDANCY) for what in ("program", "subsets by lot", "features by lot", "by lot")
    },
}
#: what a lot decides instead of the program
DRAWN: dict[str, tuple[str, ...]] = {
    "by lot": ("features", "subsets"),
    "by lot, gently": ("features", "subsets"),
    "subsets by lot, gently": ("subsets",),
    "features by lot, gently": ("features",),
}
#: the learning rate under which a head drawn by lot did best on the first seed, of two, with L_feat and without
GENTLE_RATE = 3e-3
DEFAULT, WITHOUT, CROWDED = "rho 0.5", "rho 0.5, no L_feat", "rho 2"
#: whose prediction sets are measured
CALIBRATED = (DEFAULT, WITHOUT, CROWDED)
#: what a row of the table holds; ``ratio`` is to the dense network on the same pictures
MEASURES = (
    "accuracy",
    "ratio",
    "accuracy_before",
    "diversity",
    "class_independence",
    "contrastiveness",
    "contrastiveness_control",
    "structural_grounding",
    "correlation",
    "own_share",
    "dead",
    "contrastive_pairs",
    "contrastive_siblings",
    "forced_pairs",
    "forced_siblings",
    "Z",
    "Z_A",
    "Z_R",
    "gap",
)
SPLIT_NUMBERS = (
    "coverage",
    "size",
    "empty",
    "everything",
    "largest",
    "coherence",
    "coverage_with_prediction",
    "size_with_prediction",
    "n_limit",
    "threshold",
)
#: changes after calibration: what is drawn differently in every test picture
SHIFTS: dict[str, dict[str, Any]] = {
    "as calibrated": {},
    "without legs": {"without": "legs"},
    "without wing": {"without": "wing"},
    "all in snow": {"background": "snow"},
}


#: for the lab: solutions of the first seed's program without fine-tuning, and how many held-out pictures to read them on
GRID: dict[str, tuple[Any, ...]] = {"n_features": (8, 12, 16, 24), "n_per_class": (2, 3, 4, 5), "density": (0.0, 0.25, 0.5, 1.0)}
GRID_PICTURES = 300


@dataclass(frozen=True)
class Settings:
    """Size of the experiment.

    Attributes
    ----------
    seeds : worlds and first weights
    pictures : per world; five sixths are for training
    epochs : of the dense networks
    cycles : of fine-tuning
    pool : new ambiguous pictures for splits; half of them calibrate
    splits : how many
    draws, draw : fresh draws, and pictures in each; half of them calibrate
    """

    seeds: tuple[int, ...] = (0, 1, 2)
    pictures: int = 6000
    epochs: int = 8
    cycles: tuple[int, ...] = (1, 1, 1, 3)
    pool: int = 2000
    splits: int = 200
    draws: int = 60
    draw: int = 300


# --- the stored results ---


@cache
def results() -> dict[str, np.ndarray]:
    """The stored arrays.

    ``table`` (seeds, conditions, measures) with the names ``conditions`` and ``measures``; ``dense`` (seeds, 6): accuracy,
    diversity, class independence, contrastiveness, correlation and accuracy on the ambiguous world; for :data:`DEFAULT` and
    :data:`WITHOUT` (seeds, 2, ...): ``selected`` (16,), ``W`` (20, 16), ``falls`` (20, 16, 5) by species and part, ``overlap``
    (16, 6); ``splits`` (seeds, 3 networks, alphas, methods, splits, numbers) and ``fresh`` (draws, alphas, methods, numbers) with
    the names ``alphas``, ``methods`` and ``numbers``; ``by_class`` (seeds, methods, 20) at alpha 0.1; ``shift`` (seeds, shifts,
    alphas): coverage of the hierarchical sets; ``ambiguous`` (seeds, 3): accuracy of the networks there. Of the first seed:
    ``pool_features``, ``pool_y``, ``pool_W`` of the pictures behind ``splits``; ``A`` and ``bias`` of its
    program, ``dense_features``, ``dense_y`` of held-out pictures, ``dense_mean``, ``dense_std`` of training pictures; and for
    every size in :data:`GRID` ``grid_selected``, ``grid_W`` (filled up with -1 and False; all -1 where the request is
    infeasible), ``grid_Z``.

    Raises
    ------
    FileNotFoundError, ValueError
        If the file is missing or was changed; the message says how to make it again.
    """
    return manifest.shipped_arrays(FILE)


def conditions() -> list[str]:
    """Names of the binary networks of a seed."""
    return [str(name) for name in results()["conditions"]]


def table() -> pd.DataFrame:
    """One row per condition, one column per measure: means over seeds, where the request could be met."""
    stored = results()
    seeds = [pd.DataFrame(rows, conditions(), list(map(str, stored["measures"]))) for rows in stored["table"]]
    return pd.concat(seeds).groupby(level=0, sort=False).mean()


def paired(first: str, second: str) -> pd.DataFrame:
    """First minus second, seed by seed: mean and 95 % interval of every measure; NaN where one has none (no forced pairs)."""
    for name, value in {"first": first, "second": second}.items():
        check.one_of(value, name, CONDITIONS)
    stored = results()
    a, b = (conditions().index(name) for name in (first, second))
    differences = stored["table"][:, a] - stored["table"][:, b]
    rows = [mean_interval(column) if np.isfinite(column).all() else (np.nan,) * 3 for column in differences.T]
    return pd.DataFrame(rows, index=list(map(str, stored["measures"])), columns=["mean", "lower", "upper"])


def splits(network_number: int = 0) -> pd.DataFrame:
    """One row per seed, alpha, method and split; the networks are those of :data:`CALIBRATED`."""
    check.one_of(network_number, "network_number", range(len(CALIBRATED)))
    stored = results()
    return _long(stored["splits"][:, network_number], stored, ["seed", "alpha", "method", "split"])


def fresh_draws() -> pd.DataFrame:
    """One row per alpha, method and draw of new calibration and test pictures."""
    stored = results()
    return _long(np.moveaxis(stored["fresh"], 0, 2), stored, ["alpha", "method", "draw"])


def _long(values: np.ndarray, stored: dict[str, np.ndarray], names: list[str]) -> pd.DataFrame:
    levels = {"alpha": stored["alphas"].round(4).tolist(), "method": list(map(str, stored["methods"]))}
    index = pd.MultiIndex.from_product([levels.get(n, range(k)) for n, k in zip(names, values.shape, strict=False)], names=names)
    columns = list(map(str, stored["numbers"]))
    return pd.DataFrame(values.reshape(-1, len(columns)), index=index, columns=columns).reset_index()


def parts(seed: int = 0, network_number: int = 0) -> pd.DataFrame:
    """For each feature: its mean fall without each part over all species, and the share of its map on each part."""
    check.one_of(seed, "seed", Settings().seeds)
    check.one_of(network_number, "network_number", [0, 1])
    stored = results()
    removable, every = list(map(str, stored["parts"][:-1])), list(map(str, stored["parts"]))
    falls = pd.DataFrame(np.nanmean(stored["falls"][seed, network_number], axis=0), columns=removable).add_prefix("fall: ")
    overlap = pd.DataFrame(stored["overlap"][seed, network_number], columns=every).add_prefix("map: ")
    return falls.join(overlap)


# --- one seed on plain birds ---


def _world(seed: int, settings: Settings, *, ambiguous: bool = False) -> Any:
    return worlds.birds(settings.pictures, ambiguous=ambiguous, random_state=seed)


def _dense(seed: int, settings: Settings, *, ambiguous: bool = False) -> GapCNN:
    """The dense network, trained or taken from the cache; a killed training goes on after its last epoch."""
    key = _cache.content_key(_code(DENSE_CODE), seed, settings.pictures, settings.epochs, ambiguous)
    path = _folder() / f"dense-{key}.safetensors"
    if not path.exists():
        checkpoint = path.with_suffix(".state")
        world = _world(seed, settings, ambiguous=ambiguous)
        model = network.train_dense(*world.train, epochs=settings.epochs, random_state=seed, checkpoint=checkpoint)
        _cache.write_atomically(path, partial(save_file, model.state_dict()))
        checkpoint.unlink(missing_ok=True)
    model = GapCNN(3, network.WIDTHS, network.POOL_AFTER, 20)
    model.load_state_dict(load_file(path))
    return model.eval()


@cache
def _code(files: tuple[str, ...]) -> list[str]:
    """The code as it was when this process first asked."""
    return _cache.source_texts(*files)


def _folder() -> Path:
    return _cache.cache_dir() / "experiments" / "chiqpm"


@cache
def _start(seed: int, settings: Settings) -> _pipeline.Start:
    return _pipeline.start(_dense(seed, settings), _world(seed, settings))


@cache
def _dense_predicted(seed: int, settings: Settings) -> np.ndarray:
    return _dense_scores(_start(seed, settings).dense, _world(seed, settings).test[0]).argmax(axis=1)


def _tuned(start: _pipeline.Start, world: Any, seed: int, settings: Settings, name: str) -> tuple[CHiQPM, CHiQPM, Solution]:
    """The binary network before and after fine-tuning."""
    density, grounding, redundancy = CONDITIONS[name]
    solution = _solved(start, density, redundancy, seed, DRAWN.get(name, ()))
    before = _pipeline.binary_network(start, solution)
    tuning = {
        **_pipeline.FINE_TUNING,
        "cycles": settings.cycles,
        "grounding": grounding,
        "random_state": seed,
        **({"learning_rate": GENTLE_RATE} if "gently" in name else {}),
    }
    return before, network.fine_tune(before, *world.train, **tuning), solution


@cache
def _solved(start: _pipeline.Start, density: float, redundancy: float, seed: int, drawn: tuple[str, ...] = ()) -> Solution:
    """The same program is asked for with L_feat and without. What is ``drawn`` at random is what the program has to beat."""
    program = start.with_(density=density, redundancy=redundancy)
    if not drawn:
        return _pipeline.solve(program, random_state=seed)
    rng = np.random.default_rng(seed)
    lot = np.sort(rng.permutation(len(program.A))[: program.n_features])
    selected = lot if "features" in drawn else _pipeline.solve(program, random_state=seed).selected
    W = assign(np.ascontiguousarray(program.coverage[selected].T), program.n_per_class, ()).W
    if "subsets" in drawn:
        subsets = np.array(list(combinations(range(program.n_features), program.n_per_class)))
        W = np.zeros_like(W)
        np.put_along_axis(W, subsets[rng.permutation(len(subsets))[: len(W)]], values=True, axis=1)
    return solution_of(program, selected, W, np.inf, "by lot")


def _measure(seed: int, settings: Settings, name: str) -> dict[str, np.ndarray]:
    """Everything about one binary network; NaN if so many pairs can not be met."""
    start, world = _start(seed, settings), _world(seed, settings)
    try:
        before, model, solution = _tuned(start, world, seed, settings, name)
    except ValueError:
        if name != CROWDED:
            raise
        return {"row": np.full(len(MEASURES), np.nan)}
    trained, tested = (network.describe(model, X) for X, _ in (world.train, world.test))
    measured = {
        **_skills(_dense_predicted(seed, settings), before, world, tested),
        **_feature_numbers(trained.features, world, tested, solution),
        **_pair_numbers(solution, world.truth),
        "Z": solution.objective,
        "Z_A": solution.Z_A,
        "Z_R": solution.Z_R,
        "gap": solution.gap,
    }
    found = {"row": np.array([measured[measure] for measure in MEASURES])}
    return {**found, **_anatomy(model, world, tested, solution)} if name in (DEFAULT, WITHOUT) else found


def _skills(dense: np.ndarray, before: CHiQPM, world: Any, tested: Description) -> dict[str, float]:
    X, y = world.test
    return {
        "accuracy": float((tested.predicted == y).mean()),
        "ratio": metrics.accuracy_ratio(tested.predicted, dense, y),
        "accuracy_before": float((network.describe(before, X).predicted == y).mean()),
    }


def _dense_scores(dense: GapCNN, X: np.ndarray) -> np.ndarray:
    weight, bias = (p.detach().double().numpy() for p in (dense.classifier.weight, dense.classifier.bias))
    return network.pooled_features(dense, X) @ weight.T + bias


def _feature_numbers(features: np.ndarray, world: Any, tested: Description, solution: Solution) -> dict[str, float]:
    """The paper's metrics, on training features; diversity on test pictures."""
    y, W = world.train[1], solution.W
    own = (features * W[y]).sum(axis=1) / np.maximum(features.sum(axis=1), 1e-9)
    return {
        "diversity": metrics.diversity(tested.maps, W, tested.predicted, k=W[0].sum()),
        "class_independence": metrics.class_independence(features, y),
        "contrastiveness": metrics.contrastiveness(features),
        "contrastiveness_control": metrics.contrastiveness(metrics.rectified_control(features)),
        "structural_grounding": metrics.structural_grounding(W, metrics.attribute_similarity(world.truth.attributes)),
        "correlation": metrics.correlation(features),
        "own_share": float(own.mean()),
        "dead": float(metrics.feature_health(features)["dead"].sum()),
    }


def _pair_numbers(solution: Solution, truth: Any) -> dict[str, float]:
    """Shares of pairs that share all features but one: of all pairs, and of the siblings, which differ in one part."""
    shared = metrics.shared_pairs(solution.W).set_index(["first", "second"])["contrastive"]
    siblings = {(a, b) for a, b, _ in truth.pairs}
    forced = solution.program.pairs
    return {
        "contrastive_pairs": float(shared.mean()),
        "contrastive_siblings": float(shared[sorted(siblings)].mean()),
        "forced_pairs": float(len(forced)),
        "forced_siblings": float(np.mean([pair in siblings for pair in forced])) if forced else np.nan,
    }


def _anatomy(model: CHiQPM, world: Any, tested: Description, solution: Solution) -> dict[str, np.ndarray]:
    """What each feature depends on, species by species, and where its map lies."""
    held_out = np.arange(world.n_train, len(world.y))
    falls = [metrics.part_falls(model, world, held_out[world.test[1] == c]).to_numpy() for c in range(20)]
    overlap = metrics.part_overlap(tested.maps, tested.features, world.truth.masks(held_out), world.truth.parts)
    return {"falls": np.array(falls), "overlap": overlap.to_numpy(), "selected": solution.selected, "W": solution.W}


def _explore(seed: int, settings: Settings) -> dict[str, np.ndarray]:
    """Solutions for every size in the grid, and pooled features to read them on."""
    start, world = _start(seed, settings), _world(seed, settings)
    shape, most = tuple(len(values) for values in GRID.values()), max(GRID["n_features"])
    selected, W, Z = np.full((*shape, most), -1), np.zeros((*shape, 20, most), bool), np.full(shape, np.nan)
    for place in np.ndindex(shape):
        n_features, n_per_class, density = (values[k] for values, k in zip(GRID.values(), place, strict=True))
        weight = _pipeline.balance(n_features)
        try:
            program = replace(start.with_(density=density, redundancy=weight), n_features=n_features, n_per_class=n_per_class)
            solution = _pipeline.solve(program, random_state=seed)
        except ValueError:  # infeasible, with the reason
            continue
        selected[place][:n_features], W[place][:, :n_features], Z[place] = solution.selected, solution.W, solution.objective
    rows = slice(0, GRID_PICTURES)
    return {
        "grid_selected": selected.astype(np.int16),
        "grid_W": W,
        "grid_Z": Z.astype(np.float32),
        "dense_features": network.pooled_features(start.dense, world.test[0][rows]).astype(np.float32),
        "dense_y": world.test[1][rows],
        "A": start.program.A.astype(np.float32),
        "bias": np.asarray(start.program.b, dtype=np.float32),
        "dense_mean": start.features.mean(axis=0).astype(np.float32),
        "dense_std": start.features.std(axis=0).astype(np.float32),
    }


def _measure_dense(seed: int, settings: Settings) -> dict[str, np.ndarray]:
    """The same numbers of the dense network: its top five features stand for a class."""
    start, world = _start(seed, settings), _world(seed, settings)
    X, y = world.test
    predicted = _dense_scores(start.dense, X).argmax(axis=1)
    diversity = metrics.diversity(network.feature_maps(start.dense, X), start.dense.classifier.weight.detach().numpy(), predicted)
    labels = world.train[1]
    ambiguous = _world(seed, settings, ambiguous=True)
    hard = _dense_scores(_dense(seed, settings, ambiguous=True), ambiguous.test[0]).argmax(axis=1)
    numbers = [
        (predicted == y).mean(),
        diversity,
        metrics.class_independence(start.features, labels),
        metrics.contrastiveness(start.features),
        metrics.correlation(start.features),
        (hard == ambiguous.test[1]).mean(),
    ]
    return {"dense": np.array(numbers)}


# --- one seed on ambiguous birds ---


def _calibrate(seed: int, settings: Settings) -> dict[str, np.ndarray]:
    """Sets of three networks, with L_feat, without and with too many pairs, over splits of new pictures."""
    world = _world(seed, settings, ambiguous=True)
    start = _pipeline.start(_dense(seed, settings, ambiguous=True), world)
    pool = worlds.birds(settings.pool, ambiguous=True, random_state=seed + NEW)
    similarity = metrics.attribute_similarity(world.truth.attributes)
    found: dict[str, list[Any]] = {"splits": [], "ambiguous": []}
    for name in CALIBRATED:
        try:
            _, model, solution = _tuned(start, world, seed, settings, name)
        except ValueError:
            if name != CROWDED:
                raise
            found["splits"].append(np.full_like(found["splits"][0], np.nan))
            found["ambiguous"].append(np.nan)
            continue
        seen = network.describe(model, pool.X)
        rows = conformal.over_splits(
            seen.features, solution.W, pool.y, alphas=ALPHAS, n_splits=settings.splits, similarity=similarity, random_state=seed
        )
        found["splits"].append(_cube(rows, "split"))
        found["ambiguous"].append((seen.predicted == pool.y).mean())
        if name == DEFAULT:
            more = {
                "by_class": _by_class(seen.features, solution.W, pool.y, settings.splits),
                "shift": _shifts(model, solution.W, pool, seen.features),
                "pool_features": seen.features.astype(np.float32),
                "pool_y": pool.y,
                "pool_W": solution.W,
                **({"fresh": _fresh(model, solution.W, settings)} if seed == settings.seeds[0] else {}),
            }
    return {key: np.array(values) for key, values in found.items()} | more


def _cube(rows: pd.DataFrame, repeat: str) -> np.ndarray:
    """(alphas, methods, repeats, numbers) of a table from ``over_splits``."""
    shape = (rows[repeat].nunique(), len(ALPHAS), len(conformal.METHODS), len(SPLIT_NUMBERS))
    return np.moveaxis(rows[list(SPLIT_NUMBERS)].to_numpy(float).reshape(shape), 0, 2)


def _fresh(model: CHiQPM, W: np.ndarray, settings: Settings) -> np.ndarray:
    """(draws, alphas, methods, numbers): every draw has its own calibration and test pictures, which no other has."""
    n = settings.draws * settings.draw
    drawn = worlds.birds(n, ambiguous=True, random_state=np.random.default_rng(2 * NEW))
    order = np.random.default_rng(0).permutation(n)  # species are balanced over the whole; a draw takes what comes
    f, y = network.describe(model, drawn.X).features[order], drawn.y[order]
    blocks = [slice(k, k + settings.draw) for k in range(0, n, settings.draw)]
    similarity = metrics.attribute_similarity(drawn.truth.attributes)
    once = partial(conformal.over_splits, alphas=ALPHAS, n_splits=1, similarity=similarity, random_state=0)
    tables = [once(f[block], W, y[block]) for block in blocks]
    return np.array([_cube(rows, "split")[:, :, 0] for rows in tables])


def _by_class(f: np.ndarray, W: np.ndarray, y: np.ndarray, n_splits: int, alpha: float = 0.1) -> np.ndarray:
    """Coverage of each species, (methods, 20), mean over splits of the pool."""
    found = np.zeros((len(conformal.METHODS), len(W)))
    for split in range(n_splits):
        order = np.random.default_rng(split).permutation(len(f))
        first, rest = order[: len(f) // 2], order[len(f) // 2 :]
        for k, method in enumerate(conformal.METHODS):
            sets = conformal.calibrate(f[first], W, y[first], alpha=alpha, method=method, random_state=split).sets(f[rest])
            found[k] += conformal.class_coverage(sets, y[rest])["coverage"].reindex(range(len(W))).to_numpy() / n_splits
    return found


def _shifts(model: CHiQPM, W: np.ndarray, pool: Any, f: np.ndarray) -> np.ndarray:
    """Coverage (shifts, alphas) on the second half of the pool, drawn again with a change, calibrated on the first half."""
    order = np.random.default_rng(0).permutation(len(f))
    first, rest = order[: len(f) // 2], order[len(f) // 2 :]
    rules = [conformal.calibrate(f[first], W, pool.y[first], alpha=alpha) for alpha in ALPHAS]
    changed = [network.describe(model, pool.truth.render(rest, **change)).features for change in SHIFTS.values()]
    return np.array([[rule.sets(g)[np.arange(len(rest)), pool.y[rest]].mean() for rule in rules] for g in changed])


# --- the command ---


def run(settings: Settings, folder: Path | None = None) -> dict[str, np.ndarray]:
    """Measure what is missing, and write the file with its entry in the manifest."""
    jobs: list[tuple[str, int, Callable[[], dict[str, np.ndarray]]]] = []
    for seed in settings.seeds:
        jobs += [(name, seed, partial(_measure, seed, settings, name)) for name in CONDITIONS]
        jobs += [("sets", seed, partial(_calibrate, seed, settings)), ("dense", seed, partial(_measure_dense, seed, settings))]
    jobs.append(("grid", settings.seeds[0], partial(_explore, settings.seeds[0], settings)))
    found: dict[tuple[str, int], dict[str, np.ndarray]] = {}
    for name, seed, make in tqdm(jobs, desc="CHiQPM", unit="part", disable=None):
        key = _cache.content_key(_code(CODE), repr(settings), name, seed)
        found[name, seed] = _cache.cached_arrays("chiqpm", key, partial(_with_one_thread, make))
    arrays = _collect(found, settings.seeds)
    manifest.ship_arrays(FILE, arrays, origin=ORIGIN, command=COMMAND, folder=folder)
    return arrays


def _with_one_thread(make: Callable[[], dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
    with one_thread():
        return make()


def _collect(found: dict[tuple[str, int], dict[str, np.ndarray]], seeds: Sequence[int]) -> dict[str, np.ndarray]:
    """All seeds side by side, with the names of what is on each axis."""
    numbers = {
        "table": [[found[name, s]["row"] for name in CONDITIONS] for s in seeds],
        "dense": [found["dense", s]["dense"] for s in seeds],
        **{key: [[found[name, s][key] for name in (DEFAULT, WITHOUT)] for s in seeds] for key in ("falls", "overlap")},
        **{key: [found["sets", s][key] for s in seeds] for key in ("splits", "ambiguous", "by_class", "shift")},
        "fresh": found["sets", seeds[0]]["fresh"],
        "pool_features": found["sets", seeds[0]]["pool_features"],
    }
    exact = {
        **{key: np.array([[found[name, s][key] for name in (DEFAULT, WITHOUT)] for s in seeds]) for key in ("selected", "W")},
        **{key: found["sets", seeds[0]][key] for key in ("pool_y", "pool_W")},
        **found["grid", seeds[0]],
        "conditions": np.array(list(CONDITIONS)),
        "measures": np.array(MEASURES),
        "numbers": np.array(SPLIT_NUMBERS),
        "alphas": np.array(ALPHAS),
        "methods": np.array(conformal.METHODS),
        "shifts": np.array(list(SHIFTS)),
        "parts": np.array(worlds.birds(40).truth.parts),
    }
    return {key: np.array(values, dtype=np.float32) for key, values in numbers.items()} | exact


def main() -> None:
    """Command line."""
    argparse.ArgumentParser(prog=COMMAND, description="CHiQPM on birds over several seeds, for chapter 16.").parse_args()
    torch.set_num_threads(1)
    run(Settings())
    cards.write_readme()


if __name__ == "__main__":
    main()
