"""SoftCAM against post-hoc maps on fundus pictures, over several seeds: ``python -m xailib.experiments.softcam``.

The task is onset, sick or healthy; the truth is the lesions' pixels. For every seed there is a world of its own and a base
network trained from nothing. From this one base a black box and three SoftCAMs (sparse, dense, elastic) go on for the same
number of epochs on the same pictures in the same order; only the loss differs. How strong the penalties are is decided
beforehand, by :data:`RULE`, on two worlds that no other seed sees; no lesion mask takes part in it.

Every training leaves its state in the cache folder after each epoch and every seed its measurements, so that a killed run goes on
where it stopped. ``--cifar10`` converts torchvision's ResNet-18 instead and trains it on CIFAR-10; it stores nothing.
"""

from __future__ import annotations

import argparse
import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from sklearn.metrics import roc_auc_score
from torch import nn
from tqdm.auto import tqdm

from xailib import _cache, evaluation, saliency, softcam
from xailib._training import one_thread
from xailib.course import manifest
from xailib.models import batched, predictor
from xailib.results import Heatmap
from xailib.worlds import real
from xailib.worlds._world import World
from xailib.worlds.fundus import FundusTruth, fundus
from xailib.zoo import cards
from xailib.zoo.architectures import GapCNN

__all__ = ["explorer", "main", "paired", "path", "results", "table"]

TABLE, EXPLORER = "softcam_fundus.json", "softcam_explorer.npz"
COMMAND = "python -m xailib.experiments.softcam"
#: other code, other numbers: what was kept of an interrupted run is taken up by the same code only
CODE = ("evaluation.py", "saliency.py", "softcam.py", "experiments/softcam.py")
ORIGIN = "measured on worlds.fundus()"
VALIDATION = -1  # the world on which strengths are chosen
DISEASED = 1  # the class whose maps are judged
RULE = (
    "On the tuning seed: the strongest penalty of its kind whose accuracy on another world's pictures is at most one point below "
    "that of the same training without a penalty; for the elastic net the pair with the largest product, both above 0."
)
VARIANTS = ("sparse", "dense", "elastic")
#: what the evidence of a SoftCAM is compared with: maps made afterwards, of the black box
POST_HOC = (
    "Grad-CAM",
    "HiResCAM",
    "LayerCAM",
    "HiResCAM, 24 x 24",
    "LayerCAM, 24 x 24",
    "integrated gradients",
    "guided backpropagation",
    "Grad-CAM, against healthy",
)
#: what a model can do. ``missed``: share of diseased eyes called healthy, ``missed_faint``: of those with faint lesions only,
#: ``missed_at_3``: when the limit is moved so that 3 % of healthy eyes raise an alarm
SKILLS = ("accuracy", "auc", "missed", "missed_faint", "missed_at_3")
#: what the model itself reacts to: mean fall of the margin when the eye is drawn again without these
REACTIONS = ("without_lesions", "without_spots")
FALSE_ALARMS = 0.03
#: single lesions given to healthy eyes: how many red dots, and whether they are faint
GIVEN = {"one ordinary dot": (1, False), "one faint dot": (1, True), "five ordinary dots": (5, False)}
METRICS = ("precision", "sensitivity", "top_1", "top_5", "top_10", "pointing_game", "deletion_area", "r_plus", "r_minus")


@dataclass(frozen=True)
class Settings:
    """Size of the experiment.

    Attributes
    ----------
    seeds : worlds and first weights; the tuning seed is none of them
    pictures : per world; four fifths are for training
    widths, base_epochs, epochs, batch_size : network and training; ``epochs`` are those after the base, with and without penalty
    l1, l2 : the grid of strengths, 0 first
    path : sparse penalties of the question what a growing penalty overlooks, 0 first
    integration_steps, deletion_pictures, patches : of integrated gradients and of the deletion curves
    """

    seeds: tuple[int, ...] = (1, 2, 3, 4, 5)
    tuning_seed: int = 0
    pictures: int = 2500
    widths: tuple[int, ...] = (8, 16, 32, 64)
    base_epochs: int = 6
    epochs: int = 3
    batch_size: int = 32
    base_learning_rate: float = 4e-3
    learning_rate: float = 2e-3
    l1: tuple[float, ...] = (0.0, 3e-5, 1e-4, 1e-3)
    l2: tuple[float, ...] = (0.0, 1e-4, 1e-3, 1e-2)
    path: tuple[float, ...] = (0.0, 1e-4, 3e-4, 1e-3)
    integration_steps: int = 16
    deletion_pictures: int = 100
    patches: int = 20


# --- the stored results ---


@cache
def results() -> dict[str, Any]:
    """Everything in the stored table: settings, the rule and its choice, and per seed what every model and map scored.

    Raises
    ------
    FileNotFoundError, ValueError
        If the file is missing or was changed; the message says how to make it again.
    """
    return json.loads(manifest.verified(TABLE).read_text(encoding="utf-8"))


def table() -> pd.DataFrame:
    """One row per model, map and metric: mean over seeds, 95 % interval, and the number of seeds."""
    return pd.DataFrame(results()["summary"])


def paired() -> pd.DataFrame:
    """One row per pair of maps and metric: the first minus the second, seed by seed, with its 95 % interval."""
    return pd.DataFrame(results()["paired"])


def path() -> pd.DataFrame:
    """One row per sparse penalty and measure: mean over seeds and 95 % interval.

    ``found: ...`` is the share of healthy eyes that are called diseased once they have been given these lesions; it and
    ``missed`` with the network's own limit, or ``at 3 %`` false alarms; ``precision`` is that of the evidence.
    """
    return pd.DataFrame(results()["path"])


@cache
def explorer() -> dict[str, np.ndarray]:
    """Evidence of twelve held-out pictures under every penalty of the grid, and what each model scores.

    ``l1`` (a,), ``l2`` (b,), ``images`` (12, 3, 96, 96) uint8, ``masks`` (12, 96, 96) bool, ``grades`` (12,), ``only_faint``
    (12,), ``pictures`` (12,) numbers in the tuning world, ``evidence`` (a, b, 12, 2, 12, 12) float16, and (a, b) each:
    ``accuracy``, ``auc``, ``missed``, ``missed_faint``, ``precision``, ``sensitivity``, ``positive_share``.
    """
    return manifest.shipped_arrays(EXPLORER)


# --- training: everything of one seed ---


@dataclass(frozen=True)
class Seed:
    """A world, its onset labels, and the models trained on it."""

    number: int
    settings: Settings

    @property
    def world(self) -> World[FundusTruth]:
        return _world(self.number, self.settings.pictures)

    @property
    def held_out(self) -> np.ndarray:
        return np.arange(self.world.n_train, len(self.world.y))

    @property
    def sick(self) -> np.ndarray:
        """Whether each held-out picture is diseased."""
        return self.world.truth.diseased[self.held_out]

    @property
    def images(self) -> np.ndarray:
        return self.world.X[self.held_out]

    @property
    def mean_colour(self) -> np.ndarray:
        """Of the training pictures, (3, 1, 1)."""
        return self.world.X[: self.world.n_train].mean(axis=(0, 2, 3))[:, None, None]

    def base(self) -> nn.Module:
        """The network all models of this seed start from."""
        with one_thread():
            torch.manual_seed(self.number)
            network = GapCNN(3, self.settings.widths, (1, 2, 3), 2, batch_norm=True)
        rate = self.settings.base_learning_rate
        return self._fit(network, "base", epochs=self.settings.base_epochs, learning_rate=rate, random_state=self.number)

    def black_box(self) -> nn.Module:
        return self._further(self.base(), "black-box")

    def soft(self, l1: float, l2: float) -> softcam.SoftCAM:
        """A SoftCAM made from the base and trained further with a penalty."""
        return self._further(softcam.convert(self.base()), f"l1-{l1:g}-l2-{l2:g}", l1=l1, l2=l2)

    def _further(self, model: nn.Module, name: str, **penalty: float) -> Any:
        rate, order = self.settings.learning_rate, self.number + 1_000
        return self._fit(model, name, epochs=self.settings.epochs, learning_rate=rate, random_state=order, **penalty)

    def _fit(self, model: nn.Module, name: str, **how: Any) -> Any:
        n, path = self.world.n_train, _folder() / f"{self.number}-{name}.safetensors"
        labels = self.world.truth.diseased[:n].astype(int)
        return softcam.fit(model, self.world.X[:n], labels, batch_size=self.settings.batch_size, checkpoint=path, **how)


@cache
def _world(seed: int, pictures: int) -> World[FundusTruth]:
    return fundus(pictures, random_state=100 + seed)


def _folder() -> Path:
    return _cache.cache_dir() / "experiments" / "softcam"


# --- measurements ---


def _margin(model: nn.Module, images: np.ndarray) -> np.ndarray:
    """Score of diseased minus score of healthy."""
    scores = batched(predictor(model, "logit"), images, batch_rows=100, width=2)
    return np.asarray(scores[:, 1] - scores[:, 0])


def _alarm_limit(model: nn.Module, settings: Settings) -> float:
    """The margin that 3 % of healthy eyes of another world exceed."""
    other = _world(VALIDATION, settings.pictures)
    return float(np.quantile(_margin(model, other.X[~other.truth.diseased]), 1 - FALSE_ALARMS))


def _skill(model: nn.Module, truth: FundusTruth, images: np.ndarray, numbers: np.ndarray, limit: float) -> dict[str, Any]:
    """Accuracy, area under the ROC curve, and what is missed, on the pictures with these numbers."""
    margin, sick, faint = _margin(model, images), truth.diseased[numbers], truth.only_faint[numbers]
    return {
        "accuracy": float(((margin > 0) == sick).mean()),
        "auc": float(roc_auc_score(sick, margin)),
        "missed": float((margin <= 0)[sick].mean()),
        "missed_faint": float((margin <= 0)[faint].mean()) if faint.any() else None,
        "missed_at_3": float((margin <= limit)[sick].mean()),
    }


def _black_box_maps(model: nn.Module, seed: Seed) -> Iterator[tuple[str, Heatmap]]:
    """Maps made afterwards, and the class activation map, which is the evidence of the unregularised SoftCAM."""
    x, last, earlier = seed.images, "features", "features.relu3"
    yield "Grad-CAM", saliency.gradcam(model, x, last, DISEASED)
    yield "HiResCAM", saliency.hirescam(model, x, last, DISEASED)
    yield "LayerCAM", saliency.layercam(model, x, last, DISEASED)
    yield "HiResCAM, 24 x 24", saliency.hirescam(model, x, earlier, DISEASED)
    yield "LayerCAM, 24 x 24", saliency.layercam(model, x, earlier, DISEASED)
    yield "integrated gradients", _integrated_gradients(model, seed)
    yield "guided backpropagation", saliency.guided_backprop(model, x, DISEASED)
    yield "Grad-CAM, against healthy", saliency.gradcam(model, x, last, DISEASED, against=0)
    unregularised = softcam.convert(model)
    yield "CAM", softcam.evidence_maps(unregularised, x, DISEASED)
    yield "CAM, against healthy", softcam.evidence_maps(unregularised, x, DISEASED, against=0)


def _integrated_gradients(model: nn.Module, seed: Seed) -> Heatmap:
    even = seed.mean_colour * np.ones((1, 96, 96), dtype=np.float32)
    steps = seed.settings.integration_steps
    return saliency.integrated_gradients(model, seed.images, DISEASED, baseline=even, steps=steps)


def _softcam_maps(model: softcam.SoftCAM, seed: Seed) -> Iterator[tuple[str, Heatmap]]:
    """The evidence itself; and, as controls, maps made afterwards of the very same model."""
    x = seed.images
    yield "evidence", softcam.evidence_maps(model, x, DISEASED)
    yield "evidence, against healthy", softcam.evidence_maps(model, x, DISEASED, against=0)
    yield "Grad-CAM", saliency.gradcam(model, x, "features", DISEASED)
    yield "LayerCAM, 24 x 24", saliency.layercam(model, x, "features.relu3", DISEASED)
    yield "integrated gradients", _integrated_gradients(model, seed)


def _reference_maps(seed: Seed) -> Iterator[tuple[str, Heatmap]]:
    """The lesions themselves at the resolution of the evidence, the cell that holds most of them, and noise."""
    n, cell = len(seed.images), 8
    masks = seed.world.truth.mask("lesions", seed.held_out).astype(float)
    coarse = masks.reshape(n, 96 // cell, cell, 96 // cell, cell).mean(axis=(2, 4))
    densest = (coarse == coarse.max(axis=(1, 2), keepdims=True)) & (coarse > 0)
    noise = np.random.default_rng(seed.number).normal(size=coarse.shape)
    maps = {"lesions at 12 x 12": coarse, "densest cell at 12 x 12": densest.astype(float), "noise at 12 x 12": noise}
    for name, values in maps.items():
        yield name, Heatmap(values, np.full(n, DISEASED), name, (96, 96), np.zeros(n))


def _judged(heat: Heatmap, seed: Seed) -> dict[str, float | None]:
    """Scores of one map against the lesions, means over the sick held-out eyes; None where there is nothing to score."""
    sick, masks = seed.sick, seed.world.truth.mask("lesions", seed.held_out[seed.sick])
    maps = heat.upsample()[sick]
    consistency = evaluation.activation_consistency(heat, sick)
    best = evaluation.topk_localisation(maps, masks, k=10)
    return {
        "precision": float(evaluation.activation_precision(maps, masks).mean()),
        "sensitivity": float(evaluation.activation_sensitivity(maps, masks).mean()),
        "top_1": None if np.isnan(best[0]) else float(best[0]),
        "top_5": None if np.isnan(best[4]) else float(best[4]),
        "top_10": None if np.isnan(best[9]) else float(best[9]),
        "pointing_game": float(evaluation.pointing_game(maps, masks).mean()),
        "r_plus": float(consistency[sick].mean()),
        "r_minus": float(consistency[~sick].mean()),
        "blank_share": float((maps.max(axis=(1, 2)) <= 0).mean()),
    }


def _deletion_area(model: nn.Module, heat: Heatmap, seed: Seed) -> float | None:
    """Mean area under the deletion curve of sick eyes that this model finds sick; None if it finds none."""
    label = predictor(model, "label")
    found = np.flatnonzero(seed.sick & (batched(label, seed.images, batch_rows=100) == DISEASED))[
        : seed.settings.deletion_pictures
    ]
    if len(found) == 0:
        return None
    curve = evaluation.patch_deletion(
        predictor(model, "logit"),
        seed.images[found],
        heat.upsample()[found],
        DISEASED,
        k=seed.settings.patches,
        baseline=seed.mean_colour,
        batch_rows=100,
    )
    return float(curve.area().mean())


def _model_record(model: nn.Module, maps: Iterator[tuple[str, Heatmap]], seed: Seed) -> dict[str, Any]:
    judged = {name: _judged(heat, seed) | {"deletion_area": _deletion_area(model, heat, seed)} for name, heat in maps}
    skill = _skill(model, seed.world.truth, seed.images, seed.held_out, _alarm_limit(model, seed.settings))
    return {**skill, **_reactions(model, seed), "maps": judged}


def _reactions(model: nn.Module, seed: Seed) -> dict[str, float]:
    """Mean fall of the margin of sick held-out eyes, drawn again without lesions, and without the harmless spots."""
    truth, sick = seed.world.truth, seed.held_out[seed.sick]
    before = _margin(model, seed.world.X[sick])
    redrawn = {"without_lesions": truth.without(sick), "without_spots": truth.without(sick, "distractors")}
    return {name: float((before - _margin(model, images)).mean()) for name, images in redrawn.items()}


def _path_record(seed: Seed) -> list[dict[str, Any]]:
    """What networks with a growing sparse penalty still find."""
    truth, healthy = seed.world.truth, seed.held_out[~seed.sick]
    given = {name: truth.with_lesions(healthy, red=n, faint=faint) for name, (n, faint) in GIVEN.items()}
    records = []
    for l1 in seed.settings.path:
        model = seed.soft(l1, 0.0)
        limit = _alarm_limit(model, seed.settings)
        skill = _skill(model, truth, seed.images, seed.held_out, limit)
        record = {"missed": skill["missed"], "missed at 3 %": skill["missed_at_3"], "accuracy": skill["accuracy"]}
        for name, images in given.items():
            margin = _margin(model, images)
            record |= {f"found: {name}": float((margin > 0).mean()), f"found: {name}, at 3 %": float((margin > limit).mean())}
        record["precision"] = _judged(softcam.evidence_maps(model, seed.images, DISEASED), seed)["precision"]
        records.append({"l1": l1, **record})
    return records


def measure(number: int, strengths: dict[str, tuple[float, float]], settings: Settings) -> dict[str, Any]:
    """Train the models of one seed and judge them; what was measured before comes from the cache."""
    seed = Seed(number, settings)
    black_box = seed.black_box()
    models = {name: seed.soft(*strengths[name]) for name in VARIANTS}
    weights = [v.numpy().tobytes() for m in (black_box, *models.values()) for v in m.state_dict().values()]
    key = _cache.content_key(_cache.source_texts(*CODE), asdict(settings), [hashlib.sha256(w).hexdigest() for w in weights])
    return _remembered(f"{number}-{key}.json", partial(_measure, seed, black_box, models))


def _measure(seed: Seed, black_box: nn.Module, models: dict[str, softcam.SoftCAM]) -> dict[str, Any]:
    record = {"black box": _model_record(black_box, _black_box_maps(black_box, seed), seed)}
    record |= {name: _model_record(model, _softcam_maps(model, seed), seed) for name, model in models.items()}
    masks = seed.world.truth.mask("lesions", seed.held_out[seed.sick])
    references = {name: _judged(heat, seed) for name, heat in _reference_maps(seed)}
    return {"models": record, "references": references, "path": _path_record(seed), "mask_share": float(masks.mean())}


def _remembered(name: str, make: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """JSON from the cache, or made now and kept."""
    path = _folder() / name
    if not path.exists():
        text = json.dumps(make())
        _cache.write_atomically(path, lambda part: part.write_text(text, encoding="utf-8"))
    return json.loads(path.read_text(encoding="utf-8"))


# --- how strong the penalties are ---


def grid(settings: Settings) -> dict[str, np.ndarray]:
    """Every penalty of the grid on the tuning seed: scores of each model, and evidence on twelve pictures."""
    seed = Seed(settings.tuning_seed, settings)
    validation = _world(VALIDATION, settings.pictures)
    chosen = _twelve(seed)
    shape = (len(settings.l1), len(settings.l2))
    names = (*SKILLS, "precision", "sensitivity", "positive_share")
    arrays: dict[str, np.ndarray] = {name: np.empty(shape) for name in names}
    arrays["evidence"] = np.empty((*shape, len(chosen), 2, 12, 12), dtype=np.float16)
    pairs = [(a, b) for a in range(shape[0]) for b in range(shape[1])]
    for a, b in tqdm(pairs, desc="grid of penalties", unit="model", disable=None):
        model = seed.soft(settings.l1[a], settings.l2[b])
        judged = _judged(softcam.evidence_maps(model, seed.images, DISEASED), seed)
        limit = _alarm_limit(model, settings)
        skill = _skill(model, validation.truth, validation.X, np.arange(len(validation.y)), limit)
        found = {**skill, **judged, "positive_share": judged["r_plus"]}
        for name in names:
            arrays[name][a, b] = found[name]
        arrays["evidence"][a, b] = softcam.evidence(model, seed.world.X[chosen])
    truth = seed.world.truth
    return arrays | {
        "l1": np.array(settings.l1),
        "l2": np.array(settings.l2),
        "pictures": chosen,
        "images": np.round(seed.world.X[chosen] * 255).astype(np.uint8),
        "masks": truth.mask("lesions", chosen),
        "grades": truth.grades[chosen],
        "only_faint": truth.only_faint[chosen],
    }


def _twelve(seed: Seed) -> np.ndarray:
    """The first held-out pictures of each kind: three healthy, four mild, two with faint lesions only, three severe."""
    truth, rows = seed.world.truth, seed.held_out
    faint, grade = truth.only_faint[rows], truth.grades[rows]
    kinds = [(grade == 0, 3), ((grade == 1) & ~faint, 4), (faint, 2), (grade == 2, 3)]
    return np.concatenate([rows[kind][:count] for kind, count in kinds])


def choose(found: dict[str, np.ndarray]) -> dict[str, tuple[float, float]]:
    """Strengths of the three variants by :data:`RULE`."""
    l1, l2, accuracy = found["l1"], found["l2"], found["accuracy"]
    good = accuracy >= accuracy[0, 0] - 0.01 - 1e-9
    strength = {"sparse": (l1[:, None] > 0) & (l2 == 0), "dense": (l1[:, None] == 0) & (l2 > 0)}
    strength["elastic"] = (l1[:, None] > 0) & (l2 > 0)
    size = {"sparse": l1[:, None] + 0 * l2, "dense": 0 * l1[:, None] + l2, "elastic": l1[:, None] * l2}
    chosen = {}
    for name in VARIANTS:
        allowed = good & strength[name]
        if not allowed.any():
            raise ValueError(f"no {name} penalty of the grid keeps the accuracy within one point: add weaker ones to the grid.")
        a, b = np.unravel_index(np.argmax(np.where(allowed, size[name], -1.0)), accuracy.shape)
        chosen[name] = (float(l1[a]), float(l2[b]))
    return chosen


# --- summaries over seeds ---


def summarise(per_seed: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Mean and interval over seeds of every model's skill and every map's scores."""
    rows = []
    for model, record in per_seed[0]["models"].items():
        rows += [_row([s["models"][model][m] for s in per_seed], model=model, map="", metric=m) for m in (*SKILLS, *REACTIONS)]
        for name, scores in record["maps"].items():
            rows += [
                _row([s["models"][model]["maps"][name][m] for s in per_seed], model=model, map=name, metric=m) for m in scores
            ]
    for name, scores in per_seed[0]["references"].items():
        rows += [_row([s["references"][name][m] for s in per_seed], model="reference", map=name, metric=m) for m in scores]
    return rows


def compare(per_seed: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Paired differences over seeds, one row each.

    In skill: each SoftCAM minus the black box. In maps: its evidence minus each map of either model, and maps of one kind, those
    of the SoftCAM minus those of the black box, which is what the training alone does to them.
    """
    rows = []
    for variant in VARIANTS:
        rows += [_difference(per_seed, (variant, ""), ("black box", ""), metric) for metric in SKILLS]
        own, theirs = (list(per_seed[0]["models"][model]["maps"]) for model in (variant, "black box"))
        pairs = [((variant, "evidence"), ("black box", name)) for name in theirs]
        pairs += [((variant, "evidence"), (variant, name)) for name in own[2:]]
        pairs += [((variant, name), ("black box", name)) for name in own if name in theirs]
        rows += [_difference(per_seed, one, other, metric) for one, other in pairs for metric in METRICS]
    return rows


def _difference(per_seed: list[dict[str, Any]], one: tuple[str, str], other: tuple[str, str], metric: str) -> dict[str, Any]:
    pairs = [(_value(s, *one, metric), _value(s, *other, metric)) for s in per_seed]
    differences = [None if a is None or b is None else a - b for a, b in pairs]
    return _row(differences, model=one[0], map=one[1], minus_model=other[0], minus_map=other[1], metric=metric)


def _value(seed: dict[str, Any], model: str, name: str, metric: str) -> float | None:
    record = seed["models"][model]
    return record["maps"][name][metric] if name else record[metric]


def summarise_path(per_seed: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Mean and interval over seeds of what each penalty leaves to be found."""
    rows = []
    for records in zip(*(s["path"] for s in per_seed), strict=True):  # of one penalty, seed by seed
        measures = [name for name in records[0] if name != "l1"]
        rows += [_row([r[name] for r in records], l1=records[0]["l1"], measure=name) for name in measures]
    return rows


def _row(values: Sequence[float | None], **names: Any) -> dict[str, Any]:
    """Mean and 95 % interval over seeds; none if a seed has no value."""
    there = [v for v in values if v is not None]
    interval = evaluation.mean_interval(np.array(there)) if len(there) == len(values) else (None, None, None)
    numbers = {key: v if v is None else round(v, 6) for key, v in zip(("mean", "lower", "upper"), interval, strict=True)}
    return {**names, **numbers, "seeds": len(there)}


# --- the commands ---


def run(settings: Settings, folder: Path) -> dict[str, Any]:
    """The whole experiment; writes the table and the explorer's arrays into ``folder`` and registers them."""
    found = grid(settings)
    manifest.ship_arrays(EXPLORER, found, origin=ORIGIN, command=COMMAND, folder=folder)
    strengths = choose(found)
    per_seed = [measure(s, strengths, settings) for s in tqdm(settings.seeds, desc="seeds", unit="seed", disable=None)]
    stored = {
        "settings": asdict(settings),
        "rule": RULE,
        "strengths": strengths,
        "grid_accuracy": found["accuracy"].round(4).tolist(),
        "per_seed": dict(zip(map(str, settings.seeds), per_seed, strict=True)),
        "summary": summarise(per_seed),
        "paired": compare(per_seed),
        "path": summarise_path(per_seed),
    }
    text = json.dumps(stored, indent=1) + "\n"
    _cache.write_atomically(folder / TABLE, lambda part: part.write_text(text, encoding="utf-8"))
    manifest.record(TABLE, origin=ORIGIN, licence="CC-BY-4.0", command=COMMAND, folder=folder)
    return stored


def cifar10(n: int = 2000, epochs: int = 3, *, l1: float = 1e-4, size: int = 128) -> dict[str, float]:
    """torchvision's ResNet-18, converted and trained on CIFAR-10 photographs, with and without penalty.

    The photographs are enlarged, because on 32 pixels the network's maps are a single place.
    """
    from xailib._torchvision import torchvision

    data = real.cifar10()
    (x, y), (x_test, y_test) = (_balanced(*part, n=m, size=size) for part, m in ((data.train, n), (data.test, max(10, n // 4))))
    device = "cuda" if torch.cuda.is_available() else "cpu"
    with one_thread():
        torch.manual_seed(0)
        network = torchvision().models.resnet18(weights=None, num_classes=10).to(device)
    found = {"largest difference of scores": _largest_difference(network, x_test[:20])}
    for name, strength in (("black box", 0.0), ("sparse SoftCAM", l1)):
        model = softcam.fit(softcam.convert(network), x, y, l1=strength, epochs=epochs, batch_size=min(64, len(x)))
        A = softcam.evidence(model, x_test)
        found[f"{name}: accuracy"] = float((A.mean(axis=(2, 3)).argmax(axis=1) == y_test).mean())
        found[f"{name}: mean size of evidence"] = float(np.abs(A).mean())
    return found


def _balanced(images: np.ndarray, labels: np.ndarray, *, n: int, size: int) -> tuple[np.ndarray, np.ndarray]:
    """The first images of each class, n in all, enlarged."""
    rows = np.sort(np.concatenate([np.flatnonzero(labels == c)[: -(-n // 10)] for c in range(10)]))
    enlarged = nn.functional.interpolate(torch.as_tensor(images[rows]), size=(size, size), mode="bilinear", align_corners=False)
    return enlarged.numpy(), labels[rows]


def _largest_difference(network: nn.Module, images: np.ndarray) -> float:
    before, after = (predictor(m, "logit")(images) for m in (network, softcam.convert(network)))
    return float(np.abs(before - after).max())


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(prog=COMMAND, description="SoftCAM against post-hoc maps, over several seeds.")
    parser.add_argument(
        "--cifar10", action="store_true", help="convert ResNet-18 and train it on CIFAR-10 instead; stores nothing"
    )
    parser.add_argument("--images", type=int, default=2000, help="how many CIFAR-10 photographs to train on (default: 2000)")
    parser.add_argument("--epochs", type=int, default=3, help="passes over the CIFAR-10 photographs (default: 3)")
    given = parser.parse_args()
    if min(given.images, given.epochs) < 1:
        parser.error("--images and --epochs must be at least 1.")
    if given.cifar10:
        print("\n".join(f"{name}: {value:.4f}" for name, value in cifar10(given.images, given.epochs).items()))
    else:
        run(Settings(), manifest.data_dir())
        cards.write_readme()


if __name__ == "__main__":
    main()
