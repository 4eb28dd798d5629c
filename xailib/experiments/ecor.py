"""Which way of asking for category and reason is right for the right reason? The table behind chapter 15.

``python -m xailib.experiments.ecor`` tunes prompt tokens for every way of writing the joint, over five seeds, and stores what the
held-out pictures say. The pictures come from a dim camera that the towers have never seen, which is what tuning can mend. Every
tuning is kept in the cache folder, so that a killed run goes on where it stopped. A seed draws pictures, labelled rationales,
withheld species, first tokens and order; the two towers are the same throughout.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch.nn.functional import cross_entropy

from xailib import _cache, ecor, worlds, zoo
from xailib._progress import progress
from xailib._training import TrainingRun, one_thread
from xailib.course import manifest
from xailib.worlds.birds import BirdsTruth
from xailib.zoo import cards
from xailib.zoo._captions import PLACES

__all__ = ["explorer", "main", "table"]

FILE, EXPLORER = "ecor_table.npz", "ecor_explorer.npz"
COMMAND = "python -m xailib.experiments.ecor"
MODEL = "birds-clip"
CODE = ("ecor.py", "_training.py", "zoo/two_towers.py", "worlds/birds.py", "worlds/_bird_drawing.py")
SEEDS = (0, 1, 2, 3, 4)
MISSING_RATE, DRAWN, TUNED_ON, TESTED_ON = 0.4, 2400, 600, 400
#: of the light that the towers know, this much reaches the dim camera
DIM = 0.6
#: how tokens are tuned unless a condition says otherwise; chosen on pictures of another seed than those of the table
TUNING: dict[str, Any] = {"n_tokens": 8, "blocks": (0,), "epochs": 8, "batch_size": 50, "learning_rate": 0.2, "patience": 8}
ABLATIONS = tuple(name for name in ecor.FACTORISATIONS if name not in ("ecor", "plain"))  # plain is independence
PER_FAMILY, TOKENS = (1, 2, 3), (1, 4, 16, 64)
PLACEMENTS = {"first block": (0,), "middle block": (1,), "last block": (2,), "deep": "deep"}
#: other words, the same order: rationale first, then category because of it
PARAPHRASES = {
    "since": ecor.Templates(rationale="One can see {r}.", pair="Since there is {r}, this is a {c}."),
    "so": ecor.Templates(rationale="It has {r}.", pair="There is {r}, so this is a {c}."),
    "shows": ecor.Templates(rationale="Close up of {r}.", pair="A picture shows a {c} because there is {r}."),
}
FEW_PICTURES = 60
SNOWY = "snow"
LAB_TOKENS, LAB_PICTURES = (0, 1, 2, 4, 8, 16), 8
MEASURES = ("RR", "RW", "WR", "WW")
COLUMNS = (
    "seed",
    "n_tokens",
    "n_categories",
    "n_rationales",
    *MEASURES,
    *(f"{m}_any" for m in MEASURES),
    "accuracy",
    "truthful",
    "own_reasons",
)
WORDS = ("condition", "factorisation", "tuning", "variant")


@cache
def table() -> pd.DataFrame:
    """One row for each condition, way of writing the joint, tuning and seed.

    ``RR, RW, WR, WW`` count one labelled rationale a picture, the same with ``_any`` any of those that can be seen;
    ``accuracy`` is that of the vote; ``truthful`` the share of the shown rationales that can be seen in the picture;
    ``own_reasons`` how many of the shown pairs name the voted category, each with another rationale.

    Raises
    ------
    FileNotFoundError, ValueError
        If the file is missing or was changed; the message says how to make it again.
    """
    stored = manifest.shipped_arrays(FILE)
    whole = dict.fromkeys(COLUMNS[:4], int)
    return pd.DataFrame({name: stored[name] for name in (*WORDS, *COLUMNS)}).astype(whole)


@cache
def explorer() -> dict[str, np.ndarray]:
    """What the lab and the live row of the chapter show.

    ``images`` (8, 3, 64, 64) uint8, ``y`` (8,), ``seen`` (8, R); ``vectors`` (numbers of tokens, 8, e) of these pictures with
    0, 1, 2, ... tuned tokens, ``n_tokens``, and each one's ``RR`` and ``accuracy`` on held-out pictures; tokens ``shallow``
    (1, K, width), ``deep`` (blocks, K, width) and ``snow`` (1, K, width), tuned where winter species stand in snow.

    Raises
    ------
    FileNotFoundError, ValueError
        If the file is missing or was changed; the message says how to make it again.
    """
    return manifest.shipped_arrays(EXPLORER)


# --- pictures and candidates ----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Pictures:
    """Pictures with their species, what can be seen in each, and the one rationale under which each was filed."""

    images: np.ndarray
    y: np.ndarray
    seen: list[list[str]]
    filed: np.ndarray

    def of(self, species: Any) -> Pictures:
        """Those of some species."""
        chosen = np.flatnonzero(np.isin(self.y, species))
        return Pictures(self.images[chosen], self.y[chosen], [self.seen[i] for i in chosen], self.filed[chosen])

    def first(self, n: int) -> Pictures:
        """The first n."""
        return Pictures(self.images[:n], self.y[:n], self.seen[:n], self.filed[:n])


@cache
def pictures(seed: int, camera: str = "dim", **world: Any) -> tuple[Pictures, Pictures]:
    """Pictures to tune on and pictures to judge by, by the ``"dim"`` or the ``"familiar"`` camera."""
    drawn = worlds.birds(DRAWN, **{"missing_rate": MISSING_RATE} | world, random_state=np.random.default_rng([15, seed]))
    truth, n_train = drawn.truth, drawn.n_train
    every = Pictures(
        drawn.X * np.float32(DIM if camera == "dim" else 1), drawn.y, truth.rationales(), truth.labelled_rationales(seed)
    )
    parts = (slice(0, TUNED_ON), slice(n_train, n_train + TESTED_ON))
    tuning, judging = (Pictures(every.images[p], every.y[p], every.seen[p], every.filed[p]) for p in parts)
    return tuning, judging


def book(species: Any = range(20), *, names: Any = BirdsTruth.species_names, extra: tuple[str, ...] = ()) -> ecor.Rationales:
    """What is known of some species, by name."""
    return ecor.rationales({names[s]: _looks(s) for s in species}, extra=extra)


@cache
def _looks(species: int) -> list[str]:
    return worlds.birds(40).truth.looks(species)


def numbers(who: Pictures, candidates: ecor.Rationales, species: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Categories (n,), filed rationales (n,) and those to be seen (n, R), as numbers of the candidates."""
    y = np.searchsorted(species, who.y)
    filed = np.array([candidates.number(r) for r in who.filed])
    seen = np.array([[r in own for r in candidates.rationales] for own in who.seen])
    return y, filed, seen


# --- conditions -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Condition:
    """One training of tokens, or none, and where the result is judged."""

    name: str
    factorisation: str
    tuning: str = "none"
    variant: str = ""
    species: tuple[int, ...] = tuple(range(20))
    judged_on: tuple[int, ...] | None = None
    settings: tuple[tuple[str, Any], ...] = ()
    n_pictures: int = TUNED_ON
    extra: tuple[str, ...] = ()
    camera: str = "dim"


def conditions(seed: int) -> Iterator[Condition]:
    """All rows of one seed."""
    ways = ("ecor", *ABLATIONS)
    deep = (("blocks", "deep"),)
    for way in ways:
        yield Condition("main", way)
        yield Condition("main", way, "shallow")
        yield Condition("main", way, "deep", settings=deep)
    for way in ("ecor", "dror", "independence"):
        for tuning in ("none", "shallow"):
            yield Condition("familiar camera", way, tuning, camera="familiar")
    for n in PER_FAMILY:
        for way in ("ecor", "dror"):
            for tuning in ("none", "shallow"):
                yield Condition("categories", way, tuning, species=_of_each_family(n, seed))
    for way in ("ecor", "dror"):
        for tuning in ("none", "shallow"):
            yield Condition("rationales", way, tuning, "with landscapes and strangers", extra=STRANGERS)
    known = tuple(int(s) for s in np.sort(_known(seed)))
    for way in ("ecor", "dror", "independence", "category-first"):
        yield Condition("withheld", way, "none", judged_on=_withheld(seed))
        yield Condition("withheld", way, "shallow", species=known, judged_on=_withheld(seed))
    yield Condition("withheld", "ecor", "deep", species=known, judged_on=_withheld(seed), settings=deep)
    for k in TOKENS:
        for n in (FEW_PICTURES, TUNED_ON):
            few = (("n_tokens", k), ("patience", 1000), ("epochs", TUNING["epochs"] * (4 if n == FEW_PICTURES else 1)))
            yield Condition("tokens", "ecor", "shallow", f"{n} pictures", settings=few, n_pictures=n)
    for place, blocks in PLACEMENTS.items():
        yield Condition("placement", "ecor", "deep" if blocks == "deep" else "shallow", place, settings=(("blocks", blocks),))
    yield Condition("loss", "ecor", "shallow", "in batch", settings=(("loss", "in batch"),))


#: candidates that no species has: landscapes, and looks that no bird of this world has
STRANGERS = (
    *(f"a {kind}" for kind in PLACES if kind != SNOWY),
    SNOWY,
    "a purple body",
    "a green beak",
    "pink wings",
    "a golden crest",
)


def _of_each_family(n: int, seed: int) -> tuple[int, ...]:
    """As many species of each family, drawn by seed: fewer categories that look alike, and the same families."""
    rng = np.random.default_rng([19, seed])
    drawn = [4 * family + rng.permutation(4)[:n] for family in range(5)]
    return tuple(int(s) for s in np.sort(np.concatenate(drawn)))


def _withheld(seed: int) -> tuple[int, ...]:
    """One species of each family, drawn by seed."""
    rng = np.random.default_rng([16, seed])
    return tuple(int(4 * family + rng.integers(4)) for family in range(5))


def _known(seed: int) -> np.ndarray:
    return np.setdiff1d(np.arange(20), _withheld(seed))


# --- tuning and judging ---------------------------------------------------------------------------------------------


def tokens(
    seed: int,
    way: str,
    settings: dict[str, Any],
    species: tuple[int, ...],
    n: int,
    extra: tuple[str, ...],
    camera: str,
    **world: Any,
) -> dict[int, torch.Tensor]:
    """Tuned tokens, from the cache or made now."""

    def make() -> dict[str, np.ndarray]:
        who, candidates = pictures(seed, camera, **world)[0].first(n).of(species), book(species, extra=extra)
        y, filed, _ = numbers(who, candidates, species)
        tuned = ecor.tune(_towers(), who.images, y, filed, candidates, factorisation=way, random_state=seed, **settings)
        return {str(block): values.numpy() for block, values in tuned.prompt.items()}

    weights = _cache.sha256(manifest.verified(f"{MODEL}.safetensors"))
    world_settings = (MISSING_RATE, DRAWN, DIM, TESTED_ON, camera, sorted(world.items()))
    key = _cache.content_key(_code(), weights, seed, way, sorted(settings.items()), species, n, extra, world_settings)
    stored = _cache.cached_arrays("ecor-tokens", key, make)
    return {int(block): torch.as_tensor(values) for block, values in stored.items()}


@cache
def _code() -> list[str]:
    """The code as it was when this process began."""
    return _cache.source_texts(*CODE)


@cache
def _towers() -> Any:
    return zoo.load(MODEL)


def judge(found: ecor.Beliefs | ecor.TopPairs, y: np.ndarray, filed: np.ndarray, seen: np.ndarray) -> dict[str, float]:
    """The measures of one row."""
    pairs = found if isinstance(found, ecor.TopPairs) else found.top_pairs()
    one, several = (ecor.shares(ecor.outcomes(pairs, y, r)) for r in (filed, seen))
    voted = ecor.vote(pairs)
    shown = {
        "accuracy": (voted == y).mean(),
        "truthful": np.take_along_axis(seen, pairs.rationale, axis=1).mean(),
        "own_reasons": (pairs.category == voted[:, None]).sum(axis=1).mean(),  # a pair is there once, so they all differ
    }
    return {**one, **{f"{m}_any": several[m] for m in MEASURES}, **{name: float(value) for name, value in shown.items()}}


def rows(seed: int, condition: Condition) -> list[dict[str, Any]]:
    """What one condition gives; the main one is judged in several ways."""
    settings = TUNING | dict(condition.settings)
    tuned = condition.tuning != "none"
    made_on = (settings, condition.species, condition.n_pictures, condition.extra, condition.camera)
    prompt = tokens(seed, condition.factorisation, *made_on) if tuned else None
    shared = {
        "condition": condition.name, "factorisation": condition.factorisation, "tuning": condition.tuning,
        "variant": condition.variant, "seed": seed, "n_tokens": settings["n_tokens"] if tuned else 0,
    }  # fmt: skip
    species = tuple(range(20)) if condition.judged_on else condition.species
    who = pictures(seed, condition.camera)[1].of(condition.judged_on or condition.species)
    result = [_row(shared, who, species, prompt, extra=condition.extra)]
    if condition.name == "main":
        result += _other_judgements(seed, shared, prompt)
    if condition.name == "tokens":
        seen_before = pictures(seed)[0].first(condition.n_pictures)
        result.append(_row(shared | {"variant": f"{condition.variant}, judged on them"}, seen_before, species, prompt))
    return result


def _other_judgements(seed: int, shared: dict[str, Any], prompt: Any) -> list[dict[str, Any]]:
    """The same tokens where parts are hidden, under names that nobody has read, and with other words."""
    every = tuple(range(20))
    hidden, who = pictures(seed, ambiguous=True)[1], pictures(seed)[1]
    result = [
        _row(shared | {"condition": "ambiguous"}, hidden, every, prompt),
        _row(shared | {"condition": "unseen names"}, who, every, prompt, names=UNSEEN_NAMES),
    ]
    if shared["factorisation"] in ("ecor", "dror"):
        for name, templates in PARAPHRASES.items():
            result.append(_row(shared | {"condition": "templates", "variant": name}, who, every, prompt, templates=templates))
    return result


#: the same birds under names of which the text tower knows the family alone
UNSEEN_NAMES = tuple(f"{new} {name.split()[1]}" for new, name in zip(
    ("zephyr", "umber", "tundra", "vesper", "willow", "yarrow", "aster", "basalt", "cobalt", "drift", "echo", "flint", "gorse",
     "heath", "indigo", "jasper", "krill", "loam", "mica", "nimbus"), BirdsTruth.species_names, strict=True))  # fmt: skip


def _row(
    shared: dict[str, Any], who: Pictures, species: tuple[int, ...], prompt: Any, *, extra: tuple[str, ...] = (),
    names: Any = BirdsTruth.species_names, templates: ecor.Templates | None = None
) -> dict[str, Any]:  # fmt: skip
    candidates = book(species, names=names, extra=extra)
    words: dict[str, Any] = {} if templates is None else {"templates": templates}
    found = ecor.beliefs(_towers(), who.images, candidates, factorisation=shared["factorisation"], prompt=prompt, **words)
    measured = judge(found, *numbers(who, candidates, species))
    return {**shared, "n_categories": len(species), "n_rationales": len(candidates.rationales), **measured}


def controls(seed: int) -> list[dict[str, Any]]:
    """Pairs that no picture was asked about: the voted category with five of its own rationales, and five pairs by lot."""
    rng, who, candidates = np.random.default_rng([17, seed]), pictures(seed)[1], book()
    truth = numbers(who, candidates, range(20))
    shared = {"condition": "controls", "tuning": "none", "seed": seed, "n_tokens": 0, "n_categories": 20}
    found = ecor.beliefs(_towers(), who.images, candidates, factorisation="independence")
    n, named = len(who.y), found.category.argmax(axis=1)
    own = np.array([rng.permutation(np.flatnonzero(candidates.listed[c]))[:5] for c in named])
    lot = rng.integers(20, size=(n, 5)), np.array([rng.permutation(len(candidates.rationales))[:5] for _ in range(n)])
    result = []
    for name, pairs in {"recite": (np.repeat(named[:, None], 5, axis=1), own), "lot": lot}.items():
        made_up = ecor.TopPairs(*pairs, np.full((n, 5), 0.2), candidates)
        row = {**shared, "factorisation": name, "variant": "", "n_rationales": len(candidates.rationales)}
        result.append(row | judge(made_up, *truth))
    return result


# --- the shortcut ---------------------------------------------------------------------------------------------------


def snow(seed: int, way: str) -> list[dict[str, Any]]:
    """Tokens tuned where winter species stand in snow, or where nothing leaks; judged with the leak, and with it reversed."""
    every, result = tuple(range(20)), []
    for taught in ("leaky", "clean"):
        world = {"shortcut": SNOWY} if taught == "leaky" else {}
        prompt = tokens(seed, way, TUNING, every, TUNED_ON, (SNOWY,), "dim", **world)
        shared = {"condition": "snow", "factorisation": way, "tuning": "shallow", "seed": seed, "n_tokens": TUNING["n_tokens"]}
        for judged, strength in cards.STRENGTHS.items():
            who = pictures(seed, shortcut=SNOWY, shortcut_strength=strength)[1]
            result.append(_row(shared | {"variant": f"{taught}, {judged}"}, who, every, prompt, extra=(SNOWY,)))
    return result


def snow_tower(seed: int) -> list[dict[str, Any]]:
    """The image tower itself trained where winter species stand in snow; filed by parts, or half of the snowy ones by snow.

    The control is taught with the second filing where snow says nothing about the species.
    """
    every, candidates, result = tuple(range(20)), book(extra=(SNOWY,)), []
    taught = {"parts filed": (0.0, cards.STRENGTHS["with the leak"]), "snow filed": (0.5, cards.STRENGTHS["with the leak"])}
    for filed, (share, strength) in {**taught, "snow filed, nothing leaks": (0.5, 0.5)}.items():
        who = pictures(seed, shortcut=SNOWY, shortcut_strength=strength)[0]
        by_snow = _snowy(seed, strength) & (np.random.default_rng([18, seed]).random(TUNED_ON) < share)
        r = np.where(by_snow, candidates.number(SNOWY), numbers(who, candidates, every)[1])
        towers = _fine_tuned(seed, who, r, candidates)
        shared = {"condition": "snow", "factorisation": "ecor", "tuning": "tower", "seed": seed, "n_tokens": 0}
        shared |= {"n_categories": 20, "n_rationales": len(candidates.rationales)}
        for judged, leak in cards.STRENGTHS.items():
            tested = pictures(seed, shortcut=SNOWY, shortcut_strength=leak)[1]
            found, truth = ecor.beliefs(towers, tested.images, candidates), numbers(tested, candidates, every)
            said = {f"{filed}, {judged}, k={k}": judge(found.top_pairs(k), *truth) for k in (5, 1)}
            result += [{**shared, "variant": variant, **measured} for variant, measured in said.items()]
    return result


def _snowy(seed: int, strength: float) -> np.ndarray:
    """Which of the pictures to tune on were taken in snow."""
    world: dict[str, Any] = {"shortcut": SNOWY, "shortcut_strength": strength, "missing_rate": MISSING_RATE}
    drawn = worlds.birds(DRAWN, **world, random_state=np.random.default_rng([15, seed]))
    return (drawn.truth.landscapes == SNOWY)[:TUNED_ON]


def _fine_tuned(seed: int, who: Pictures, r: np.ndarray, candidates: ecor.Rationales) -> Any:
    """Fresh towers whose image tower was trained with ECOR's loss, without any tokens."""
    towers = zoo.load(MODEL)
    texts = {name: torch.as_tensor(t) for name, t in _text_vectors(towers, candidates).items()}

    def loss(model: torch.nn.Module, images: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        v, (c, r) = towers.logit_scale * model(images), labels.T
        of_pairs = torch.einsum("ne,cne->nc", v, texts["pair"][:, r])
        return cross_entropy(v @ texts["rationale"].T, r) + cross_entropy(of_pairs, c)

    images, labels = torch.as_tensor(who.images), torch.as_tensor(np.column_stack([who.y, r]))
    with one_thread():
        settings: dict[str, Any] = {"batch_size": 50, "peak_learning_rate": 2e-3, "weight_decay": 0.0, "seed": seed}
        run = TrainingRun(_Pictures(towers), images, labels, loss, epochs=TUNING["epochs"], **settings)
        for epoch in range(run.epochs):
            run.one_epoch(epoch)
    return towers.eval()


class _Pictures(torch.nn.Module):
    """The image tower alone, as a module to train."""

    def __init__(self, towers: Any) -> None:
        super().__init__()
        self.image = towers.image

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.normalize(self.image(images, {}), dim=1)


@torch.no_grad()
def _text_vectors(towers: Any, candidates: ecor.Rationales) -> dict[str, torch.Tensor]:
    """Vectors of the rationales (R, e) and of the pairs (C, R, e)."""
    asked = ecor.prompts(candidates)
    return {name: towers.encode_text(t.ravel()).reshape(*t.shape, -1) for name, t in asked.items()}


# --- what the lab shows ---------------------------------------------------------------------------------------------


def lab_arrays() -> dict[str, np.ndarray]:
    """Pictures, their vectors with more and more tokens, and tokens; all of the first seed."""
    seed, every = SEEDS[0], tuple(range(20))
    who, candidates = pictures(seed)[1], book()
    chosen = _worth_showing(who)
    shown = Pictures(who.images[chosen], who.y[chosen], [who.seen[i] for i in chosen], who.filed[chosen])
    vectors, measured = [], []
    for k in LAB_TOKENS:
        prompt = tokens(seed, "ecor", TUNING | {"n_tokens": k}, every, TUNED_ON, (), "dim") if k else None
        with torch.no_grad():
            vectors.append(_towers().encode_image(shown.images, prompt).numpy())
        measured.append(judge(ecor.beliefs(_towers(), who.images, candidates, prompt=prompt), *numbers(who, candidates, every)))
    kept = {"shallow": ({}, {}), "deep": ({"blocks": "deep"}, {}), "snow": ({}, {"shortcut": SNOWY})}
    prompts = {name: _tokens_to_ship(seed, *made) for name, made in kept.items()}
    return {
        "images": np.round(255 * shown.images).astype(np.uint8), "y": shown.y, "seen": numbers(shown, candidates, every)[2],
        "vectors": np.stack(vectors), "n_tokens": np.array(LAB_TOKENS),
        **{name: np.array([m[name] for m in measured]) for name in ("RR", "accuracy")}, **prompts,
    }  # fmt: skip


def _tokens_to_ship(seed: int, own: dict[str, Any], world: dict[str, Any]) -> np.ndarray:
    extra = (SNOWY,) if world else ()
    prompt = tokens(seed, "ecor", TUNING | own, tuple(range(20)), TUNED_ON, extra, "dim", **world)
    return np.stack([values.numpy() for values in prompt.values()])


def _worth_showing(who: Pictures) -> np.ndarray:
    """A picture of each of eight species, siblings among them: of the first five the one that shows fewest parts."""
    species = (0, 1, 4, 6, 9, 12, 16, 19)[:LAB_PICTURES]
    return np.array([min(np.flatnonzero(who.y == s)[:5], key=lambda i: len(who.seen[i])) for s in species])


# --- running --------------------------------------------------------------------------------------------------------


def measure() -> pd.DataFrame:
    """All rows of all seeds."""
    found: list[dict[str, Any]] = []
    for seed in SEEDS:
        steps = list(conditions(seed))
        for condition in progress(steps, len(steps), f"seed {seed}"):
            found += rows(seed, condition)
        for way in ("ecor", "dror", "independence"):
            found += snow(seed, way)
        found += snow_tower(seed)
        found += controls(seed)
        pictures.cache_clear()
    return pd.DataFrame(found)


def main() -> None:
    """Tune and judge everything, and store it."""
    argparse.ArgumentParser(prog=COMMAND, description="The experiments of chapter 15; kept parts are taken up.").parse_args()
    measured = measure()
    texts = {name: measured[name].to_numpy(dtype=str) for name in WORDS}
    values = {name: measured[name].to_numpy(dtype=np.float32) for name in COLUMNS}
    origin = f"measured with {MODEL} on worlds.birds(missing_rate={MISSING_RATE})"
    manifest.ship_arrays(FILE, {**texts, **values}, origin=origin, command=COMMAND)
    manifest.ship_arrays(EXPLORER, lab_arrays(), origin=origin, command=COMMAND)
    cards.write_readme()


if __name__ == "__main__":
    main()
