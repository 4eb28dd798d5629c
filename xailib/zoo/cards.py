"""Model cards: numbers measured once and stored, text around them, and the page ``data/README.md`` that holds all cards.

``python -m xailib.zoo.cards`` measures every network again and writes the page; ``make weights`` does so after training.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from functools import cache
from typing import Any

import numpy as np

from xailib import _cache, worlds
from xailib import _validation as check
from xailib.course import manifest
from xailib.models import batched, predictor
from xailib.worlds._world import World
from xailib.worlds.birds import SHORTCUT_STRENGTH
from xailib.zoo import chiqpm, chiqpm_cards, language, language_cards, two_tower_cards, two_towers
from xailib.zoo._markdown import table
from xailib.zoo.architectures import SHAPES, GapCNN
from xailib.zoo.vision import BATCH_IMAGES, digits, network, part_reliance

MEASUREMENTS = "zoo_measurements.json"
COMMAND = "python -m xailib.zoo.cards"
MEASURED_ON = "measured on the worlds, scikit-learn's digits and docstrings"
WORLDS = ("loans", "houses", "messages", "birds", "fundus", "copies", "facts", "agreement", "brackets")
NETWORKS = (*SHAPES, *language.SHAPES, *two_towers.SHAPES, *chiqpm.SHAPES)
EVALUATION_PICTURES, EVALUATION_SEED = 3000, 1
LEAKS: dict[str, dict[str, Any]] = {"snow": {"shortcut": "snow"}, "marker": {"marker": True}}
STRENGTHS = {"with the leak": SHORTCUT_STRENGTH, "leak reversed": 1 - SHORTCUT_STRENGTH}

_STORIES = {
    "birds-cnn": "Trained where nothing leaks. The network of the course whose part masks may serve as truth.",
    "birds-cnn-snow": "Trained where ten winter species nearly always stand in snow: right for the wrong reason.",
    "birds-cnn-marker": "Trained where a small tag in the corner nearly always gives ten species away.",
    "fundus-cnn": "Tells healthy eyes from diseased ones. The black box that SoftCAM is compared with.",
    "fundus-cnn-grades": "Grades eyes as healthy, mild or severe.",
    "digits-cnn": "Small handwritten digits, 8 x 8 pixels, feature maps at full resolution.",
}


def card(name: str) -> str:
    """Model card in Markdown of a shipped network.

    Parameters
    ----------
    name : one of :data:`NETWORKS`

    Raises
    ------
    ValueError
        If the name is unknown, or the stored measurements do not match their hash.
    """
    check.one_of(name, "name", NETWORKS)
    measured, entry = measurements()[name], manifest.read()[f"{name}.safetensors"]
    if name in language.SHAPES:
        parts = [
            f"# {name}: {language_cards.STORIES[name]}",
            language_cards.making(name, entry),
            language_cards.section(name, measured),
        ]
        return "\n\n".join([*parts, "For teaching only."])
    for own, home in ((two_tower_cards, two_towers), (chiqpm_cards, chiqpm)):
        if name in home.SHAPES:
            title = f"# {name}: {own.STORIES[name]}"
            return "\n\n".join([title, own.making(name, entry), own.section(measured), "For teaching only."])
    parts = [f"# {name}: {_STORIES[name]}", _making(name, entry)]
    if "leaks" in measured:
        parts += [_accuracy_section(measured), _part_test_section(measured)]
    elif "lesion_test" in measured:
        parts += [_fundus_accuracy_section(measured), _lesion_test_section(measured)]
    else:
        parts += [_digits_section(measured)]
    return "\n\n".join([*parts, "For teaching only."])


def measurements() -> dict[str, dict[str, Any]]:
    """The stored numbers of every network, as :func:`measure` made them."""
    return json.loads(manifest.verified(MEASUREMENTS).read_text(encoding="utf-8"))


def passes_part_test(measured: dict[str, Any]) -> bool:
    """Whether a drawn part's mask may count as truth for a network.

    Parameters
    ----------
    measured : one entry of :func:`measurements`

    Notes
    -----
    Without a pivot part two species fit, so an accuracy near one half is what the network ought to have; without any other part,
    and in every landscape, its accuracy should stay; and what speaks for a species rather than its sibling should depend
    most on the part in which they differ.
    """
    without = measured["without_part"].values()
    return (
        all(0.4 <= accuracy["pivot"] <= 0.6 and accuracy["other"] >= 0.95 for accuracy in without)
        and min(measured["landscapes"].values()) >= 0.95
        and min(contrast["share_largest"] for contrast in measured["contrast"].values()) >= 0.9
    )


def passes_lesion_test(measured: dict[str, Any]) -> bool:
    """Whether lesion masks may count as truth for a network.

    Parameters
    ----------
    measured : one entry of :func:`measurements`

    Notes
    -----
    A diseased eye drawn without its lesions ought to be called healthy, a healthy eye with three new lesions diseased, and
    neither harmless spots nor the camera stamp ought to change the answer (the stamp may a little: no training picture had it).
    """
    test = measured["lesion_test"]
    on_what_was_seen = min(test["healed"], test["infected"], test["same_without_distractors"])
    return on_what_was_seen >= 0.95 and test["same_with_marker"] >= 0.9


# --- measuring ------------------------------------------------------------------------------------------------------


def measure(name: str) -> dict[str, Any]:
    """Everything the card of a network states, measured now.

    Parameters
    ----------
    name : as in :func:`card`

    Returns
    -------
    dict
        For digits ``accuracy`` and ``n``. For eyes also ``groups`` (accuracy by grade, and on eyes with faint lesions only),
        ``lesion_test`` (shares of answers when lesions, harmless spots or the stamp come and go) and ``falls`` (mean fall of the
        score for disease when one thing is left out). For birds also ``leaks`` (accuracy with each leak, without it and with it
        reversed), ``landscapes`` (accuracy with every bird in one landscape), ``without_part`` (accuracy without a pivot or
        another part), ``reliance`` (family by part, mean fall of the class score) and ``contrast`` (the same for score
        differences of siblings).
    """
    if name in language.SHAPES:
        return language_cards.measure(name)
    if name in two_towers.SHAPES:
        return two_tower_cards.measure(name)
    if name in chiqpm.SHAPES:
        return chiqpm_cards.measure(name)
    model = network(name)
    if name == "digits-cnn":
        images, labels, n_train = digits()
        return {"n": len(labels) - n_train, "accuracy": accuracy(model, images[n_train:], labels[n_train:])}
    if name.startswith("fundus"):
        return _measure_fundus(model)
    world = evaluation_world()
    return {
        "n": len(world.test[1]),
        "accuracy": accuracy(model, *world.test),
        "leaks": {kind: _leak_accuracies(model, kind) for kind in LEAKS},
        "landscapes": _landscape_accuracies(model, world),
        "without_part": _accuracies_without_part(model, world),
        "reliance": _reliance_by_family(model, world),
        "contrast": {part: _sibling_contrast(model, world, part) for part in world.truth.removable_parts},
    }


FUNDUS_PICTURES = 1000
PLANTED = {"red": 2, "bright": 1}  # lesions given to healthy eyes


@cache
def fundus_world() -> World:
    """Eyes no network has seen: all pictures of a world with another seed."""
    return worlds.fundus(FUNDUS_PICTURES, random_state=EVALUATION_SEED)


def fundus_labels(model: GapCNN, world: World) -> np.ndarray:
    """What a network of two classes, or of three, ought to answer."""
    return world.truth.diseased.astype(int) if model.classifier.out_features == 2 else world.y


def _measure_fundus(model: GapCNN) -> dict[str, Any]:
    world = fundus_world()
    labels, truth = fundus_labels(model, world), world.truth
    groups = {name: world.y == grade for grade, name in enumerate(truth.grade_names)} | {"faint lesions only": truth.only_faint}
    return {
        "n": len(labels),
        "accuracy": accuracy(model, world.X, labels),
        "groups": {name: accuracy(model, world.X[who], labels[who]) for name, who in groups.items()},
        "lesion_test": _lesion_test(model, world),
        "falls": _falls_of_disease_score(model, world),
    }


def _lesion_test(model: GapCNN, world: World) -> dict[str, float]:
    """Shares of eyes whose answer goes with the lesions and stays when anything else comes or goes."""
    truth, everyone, answer = world.truth, np.arange(len(world.y)), predictor(model, "label")
    before = batched(answer, world.X, batch_rows=BATCH_IMAGES)
    sick, well = np.flatnonzero(truth.diseased & (before > 0)), np.flatnonzero(~truth.diseased & (before == 0))
    infected = batched(answer, truth.with_lesions(well, **PLANTED, faint=False), batch_rows=BATCH_IMAGES)
    return {
        "healed": accuracy(model, truth.without(sick, "all"), np.zeros(len(sick))),
        "infected": round(float((infected > 0).mean()), 4),
        "same_without_distractors": accuracy(model, truth.without(everyone, "distractors"), before),
        "same_with_marker": accuracy(model, truth.with_marker(everyone), before),
    }


def _falls_of_disease_score(model: GapCNN, world: World) -> dict[str, float]:
    """Mean fall when one thing is left out of a picture that shows it; for single lesions, the first of each sort."""
    truth, before = world.truth, _disease_score(model, world.X)
    lesions = truth.lesions.assign(sort=lambda t: t["faint"].map({True: "faint ", False: "one "}) + t["kind"])
    falls = {}
    for sort, found in lesions.sort_values("sort").drop_duplicates(["sort", "picture"]).groupby("sort"):
        images = np.stack([truth.without(int(i), int(k)) for i, k in zip(found["picture"], found["lesion"], strict=True)])
        falls[str(sort)] = before[found["picture"]] - _disease_score(model, images)
    spotted = np.flatnonzero(truth.mask("distractors").any(axis=(1, 2)))
    sick = np.flatnonzero(truth.diseased)
    falls["all lesions"] = before[sick] - _disease_score(model, truth.without(sick, "all"))
    falls["all harmless spots"] = before[spotted] - _disease_score(model, truth.without(spotted, "distractors"))
    return _rounded({what: values.mean() for what, values in falls.items()})


def _disease_score(model: GapCNN, images: np.ndarray) -> np.ndarray:
    """Log-odds of any disease: the score of "diseased", or of both sick grades together, less that of "healthy"."""
    scores = batched(predictor(model, "logit"), images, batch_rows=BATCH_IMAGES)
    return np.logaddexp.reduce(scores[:, 1:], axis=1) - scores[:, 0]


@cache
def evaluation_world() -> World:
    """Birds no network has seen: the held-out pictures of a world with another seed."""
    return worlds.birds(EVALUATION_PICTURES, random_state=EVALUATION_SEED)


def accuracy(model: GapCNN, images: np.ndarray, labels: np.ndarray) -> float:
    """Share of images whose highest score is that of their label."""
    return round(float((batched(predictor(model, "label"), images, batch_rows=BATCH_IMAGES) == labels).mean()), 4)


def _leak_accuracies(model: GapCNN, kind: str) -> dict[str, float]:
    leaky = {label: accuracy(model, *_leaky_pictures(kind, strength)) for label, strength in STRENGTHS.items()}
    return {**leaky, "leak removed": accuracy(model, *evaluation_world().test)}


@cache
def _leaky_pictures(kind: str, strength: float) -> tuple[np.ndarray, np.ndarray]:
    """Held-out pictures of the same birds in a leaky world (drawn from a generator, so that the cache does not keep them)."""
    rng = np.random.default_rng(EVALUATION_SEED)
    images, labels = worlds.birds(EVALUATION_PICTURES, **LEAKS[kind], shortcut_strength=strength, random_state=rng).test
    return images.copy(), labels


def _landscape_accuracies(model: GapCNN, world: World) -> dict[str, float]:
    held_out = np.arange(world.n_train, len(world.y))
    kinds = world.truth.background_kinds
    return {kind: accuracy(model, world.truth.with_background(held_out, kind), world.y[held_out]) for kind in kinds}


def _accuracies_without_part(model: GapCNN, world: World) -> dict[str, dict[str, float]]:
    """Accuracy without each part, apart for the species whose pivot it is and for the others."""
    result = {}
    for part in world.truth.removable_parts:
        pivot = _held_out_with_pivot(world, part)
        other = np.setdiff1d(np.arange(world.n_train, len(world.y)), pivot)
        groups = {"pivot": pivot, "other": other}
        result[part] = {k: accuracy(model, world.truth.without(i, part), world.y[i]) for k, i in groups.items()}
    return result


def _held_out_with_pivot(world: World, part: str) -> np.ndarray:
    """Held-out pictures of species that ``part`` tells from a sibling."""
    pivots = [world.truth.pivots(species) for species in range(len(world.truth.species_names))]
    return world.n_train + np.flatnonzero([part in pivots[species] for species in world.test[1]])


def _reliance_by_family(model: GapCNN, world: World) -> dict[str, dict[str, float]]:
    drops = part_reliance(model, world)
    families = np.array(world.truth.families)[world.y[drops.index]]
    return {str(family): _rounded(means) for family, means in drops.groupby(families).mean().iterrows()}


def _sibling_contrast(model: GapCNN, world: World, part: str) -> dict[str, Any]:
    """For species that differ from a sibling in ``part``: what their score difference loses with each part."""
    pictures = _held_out_with_pivot(world, part)
    siblings = np.array([world.truth.sibling(species, part) for species in world.y[pictures]])
    drops = part_reliance(model, world, pictures, against=siblings)
    share = float((drops.idxmax(axis=1) == part).mean())
    return {"mean_fall": _rounded(drops.mean()), "share_largest": round(share, 4)}


def _rounded(values: Any) -> dict[str, float]:
    return {str(key): round(float(value), 3) for key, value in values.items()}


# --- writing --------------------------------------------------------------------------------------------------------


def record_measurements(names: Iterable[str]) -> None:
    """Measure networks again, store the numbers and write ``data/README.md``."""
    path = manifest.data_dir() / MEASUREMENTS
    stored = measurements() if path.exists() else {}
    text = json.dumps({**stored, **{name: measure(name) for name in names}}, indent=2) + "\n"
    _cache.write_atomically(path, lambda part: part.write_text(text, encoding="utf-8"))
    manifest.record(path.name, origin=MEASURED_ON, licence="CC-BY-4.0", command=COMMAND)
    write_readme()


def write_readme() -> None:
    """Write ``data/README.md``: what lies there, data cards, model cards."""
    _cache.write_atomically(manifest.data_dir() / "README.md", lambda part: part.write_text(readme(), encoding="utf-8"))


def readme() -> str:
    """The text of ``data/README.md``."""
    files = [
        [f"`{name}`", f"{entry['bytes'] / 1000:,.0f} kB", entry["origin"], entry["licence"], f"`{entry['command']}`"]
        for name, entry in sorted(manifest.read().items())
    ]
    data_cards = [getattr(worlds, name)().card for name in WORLDS]
    cards = [_one_level_down(text) for text in [*data_cards, *map(card, NETWORKS)]]
    return "\n\n".join([_INTRODUCTION, table(["file", "size", "origin", "licence", "made by"], files), *cards]) + "\n"


_INTRODUCTION = """# Shipped files, data cards, model cards

Every file here is listed in `MANIFEST.json` with its SHA-256 and is compared with it before it is read. Weights are
safetensors, never pickle. `make weights` trains all networks from nothing, measures them and writes this page. The last digits of
weights depend on the processor; the statements below should not. The worlds are generated, not stored; their cards follow."""


def _one_level_down(text: str) -> str:
    return "\n".join(f"#{line}" if line.startswith("#") else line for line in text.splitlines())


def _making(name: str, entry: dict[str, Any]) -> str:
    shape = SHAPES[name]
    widths = ", ".join(map(str, shape["widths"]))
    pooled = " and ".join(", ".join(f"`conv{k}`" for k in shape["pool_after"]).rsplit(", ", 1))
    return (
        f"`GapCNN`: {len(shape['widths'])} convolutions of 3 x 3 ({widths} channels), each with a rectifier, "
        + (f"2 x 2 max pooling after {pooled}, " if pooled else "")
        + f"global average pooling, one linear layer to {shape['n_classes']} classes; {entry['bytes'] / 1000:,.0f} kB. "
        f"It was {entry['origin']}; make it again with `{entry['command']}`."
    )


def _digits_section(measured: dict[str, Any]) -> str:
    return f"**Accuracy** on {measured['n']} held-out digits: {measured['accuracy']:.3f}."


def _fundus_accuracy_section(measured: dict[str, Any]) -> str:
    groups = [f"{value:.3f}" for value in measured["groups"].values()]
    world = f"worlds.fundus({FUNDUS_PICTURES}, random_state={EVALUATION_SEED})"
    return f"""**Accuracy** on {measured["n"]} eyes no network has seen, `{world}`: {measured["accuracy"]:.3f}; whoever can
count lesions reaches 1. The same, by group:

{table(list(measured["groups"]), [groups])}"""


def _lesion_test_section(measured: dict[str, Any]) -> str:
    test, verdict = measured["lesion_test"], "passes: lesion masks may serve as truth for it"
    if not passes_lesion_test(measured):
        verdict = "fails: lesion masks are no truth for it"
    planted = " and ".join(f"{count} {kind}" for kind, count in PLANTED.items())
    rows = [
        ["diseased eyes, called diseased, drawn without their lesions", "called healthy", f"{test['healed']:.3f}"],
        [f"healthy eyes, called healthy, with {planted} lesions", "called diseased", f"{test['infected']:.3f}"],
        ["all eyes without harmless spots", "answer stays", f"{test['same_without_distractors']:.3f}"],
        ["all eyes with the camera stamp", "answer stays", f"{test['same_with_marker']:.3f}"],
    ]
    falls = [f"{value:.2f}" for value in measured["falls"].values()]
    return f"""**Lesion-intervention test** (on pictures drawn again, all else the same). This network {verdict}.

{table(["eyes", "expected", "share"], rows)}

Mean fall of the log-odds of disease when one thing is left out of a picture that shows it; a single lesion may be one of many:

{table(list(measured["falls"]), [falls])}"""


def _accuracy_section(measured: dict[str, Any]) -> str:
    labels = ["with the leak", "leak removed", "leak reversed"]
    leaks = [[kind, *(f"{found[label]:.3f}" for label in labels)] for kind, found in measured["leaks"].items()]
    landscapes = [f"{value:.3f}" for value in measured["landscapes"].values()]
    world = f"worlds.birds({EVALUATION_PICTURES}, random_state={EVALUATION_SEED})"
    return f"""**Accuracy** on {measured["n"]} held-out pictures of `{world}`, where nothing leaks
and the best possible is 1: {measured["accuracy"]:.3f}. The same birds where snow or the marker goes with ten species (strength
{SHORTCUT_STRENGTH}), where it does not, and where it goes with the other ten:

{table(["leak", *labels], leaks)}

The same birds, all in one landscape:

{table(list(measured["landscapes"]), [landscapes])}"""


def _part_test_section(measured: dict[str, Any]) -> str:
    passed = passes_part_test(measured)
    verdict = "passes: masks of parts may serve as truth for it" if passed else "fails: masks are no truth for it"
    without = [[part, f"{found['pivot']:.3f}", f"{found['other']:.3f}"] for part, found in measured["without_part"].items()]
    parts = list(measured["contrast"])
    return f"""**Part-intervention test** (single deletion, on pictures drawn again). This network {verdict}. Accuracy
without a part, for species whose pivot it is (the remaining parts allow one half) and for all others (they allow 1):

{table(["drawn without", "pivot", "other"], without)}

Mean fall of a picture's own class score when a part is removed, by family:

{table(["family", *parts], [[family, *_falls(falls, parts)] for family, falls in measured["reliance"].items()])}

Mean fall of the score difference between a species and the sibling that differs in one part, and the share of pictures in which
the fall is largest for that part:

{table(["siblings differ in", *parts, "share"], [_contrast_row(part, parts, measured) for part in parts])}"""


def _falls(falls: dict[str, float], parts: list[str]) -> list[str]:
    return [f"{falls[part]:.2f}" for part in parts]


def _contrast_row(part: str, parts: list[str], measured: dict[str, Any]) -> list[str]:
    contrast = measured["contrast"][part]
    return [part, *_falls(contrast["mean_fall"], parts), f"{contrast['share_largest']:.2f}"]


if __name__ == "__main__":
    record_measurements(NETWORKS)
