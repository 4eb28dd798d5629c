"""Birds: small pictures of twenty species, drawn from parts, so that we know which pixels carry the class.

Colour tells the family, two *pivot parts* tell the four species of a family apart, and every species has two siblings from
which it differs in exactly one part. Any picture can be drawn again with one thing changed: a part removed or taken from
another species, another landscape, a marker in the corner. That is what makes this a world to grade explanations in.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib.resources import files
from typing import Any

import numpy as np
import pandas as pd

from xailib import _cache
from xailib import _validation as check
from xailib.worlds import _bird_drawing as drawing
from xailib.worlds._bird_drawing import BACKGROUNDS, FAMILIES, LEAF, MARKER, NOTHING, PARTS, REMOVABLE, SCENE, SIZE, SPECIES
from xailib.worlds._world import World

MISSING_RATE = 0.10  # share of training birds that lack a given part, unless said otherwise
HIDDEN_RATE = 0.14  # the same in the ambiguous world, in all pictures, half of them under a leaf
SHORTCUT_STRENGTH = 0.99  # how often a leak tells the truth
SNOW = BACKGROUNDS.index("snow")
_SECOND_PIVOT = np.arange(len(SPECIES)) % 2 == 1


def birds(
    n: int = 6000,
    *,
    shortcut: str | None = None,
    shortcut_strength: float = SHORTCUT_STRENGTH,
    marker: bool = False,
    ambiguous: bool = False,
    missing_rate: float | None = None,
    random_state: Any = 0,
) -> World[BirdsTruth]:
    """Twenty species of birds in ``n`` pictures, with the truth about every pixel.

    Parameters
    ----------
    n : int, number of pictures, at least 40; the first five sixths are for training
    shortcut : {None, "snow"}
        With ``"snow"`` the ten *winter species* (``truth.leaked``) stand in snow with probability ``shortcut_strength`` and
        all others with one minus that: in every pair of siblings the landscape gives one of them away.
    shortcut_strength : float in [0, 1]; 0.5 is no leak and 0 a leak the other way round. Also used by ``marker``.
    marker : bool, put a small tag into the corner of the same ten species, with the same strength
    ambiguous : bool
        Every part may be absent or under a leaf in all pictures, pivot parts included: no classifier can then be right more
        often than ``truth.bayes_accuracy``.
    missing_rate : float in [0, 1], optional
        Probability that a removable part can not be seen: 0.10, and 0.14 in the ambiguous world. With a high rate pictures of one
        species show different parts, so that whoever recites the looks of the species is wrong.
    random_state : int, Generator or None; pictures of a whole-number seed are kept in the cache

    Returns
    -------
    World
        ``X`` (n, 3, 64, 64) float32 in [0, 1], ``y`` (n,) species numbers 0 to 19, ``truth`` a :class:`BirdsTruth`. With the
        same seed all variants show the same birds in the same poses.

    Raises
    ------
    ValueError, TypeError
        If an argument is out of range.

    Notes
    -----
    The design follows FunnyBirds (Hesse, Schaub-Meyer & Roth, ICCV 2023): training pictures lack parts, so that removing one
    to measure its effect stays in distribution; held-out pictures lack only parts that leave the species determined. Used from
    chapter 8 on.

    Examples
    --------
    >>> world = birds(60)
    >>> world.X.shape, world.truth.species_names[0]
    ((60, 3, 64, 64), 'acorn finch')
    """
    check.number(n, "n", low=40, integer=True)
    check.one_of(shortcut, "shortcut", [None, "snow"])
    check.number(shortcut_strength, "shortcut_strength", low=0, high=1)
    check.flag(marker, "marker")
    check.flag(ambiguous, "ambiguous")
    rate = HIDDEN_RATE if ambiguous else MISSING_RATE
    if missing_rate is not None:
        rate = check.number(missing_rate, "missing_rate", low=0, high=1)
    rng = check.random_generator(random_state)
    options: dict[str, Any] = {
        "snow": shortcut == "snow",
        "marker": marker,
        "ambiguous": ambiguous,
        "strength": float(shortcut_strength),
        "missing": float(rate),
    }

    def make() -> dict[str, np.ndarray]:
        return _draw_all(_sample_scenes(n, rng, **options))

    seeded = isinstance(random_state, int | np.integer)
    drawn = _cache.cached_arrays("birds", _key(n, int(random_state), options), make) if seeded else make()
    for array in drawn.values():
        array.setflags(write=False)
    truth = BirdsTruth(drawn["scenes"], drawn["bits"], _n_train(n))
    y = drawn["scenes"]["species"].astype(np.int64)
    return World("birds", _as_float(drawn["images"]), y, truth, _card(truth, options), truth.n_train)


def _n_train(n: int) -> int:
    return n * 5 // 6


def _key(n: int, seed: int, options: dict[str, Any]) -> str:
    """Cache key: another text of these two modules or another setting is another world."""
    package = files("xailib.worlds")
    sources = [(package / name).read_text(encoding="utf-8") for name in ("birds.py", "_bird_drawing.py")]
    return _cache.content_key(*sources, n, seed, sorted(options.items()))


# --- the truth ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class BirdsTruth:
    """What was drawn, who it is, and what the picture would be if one thing were different.

    ``indices`` below is one picture number or a sequence of them; one number gives one result without the leading axis.

    Attributes
    ----------
    scenes : (n,) records: species, parts present and covered, pose, landscape, light
    bits : (n, 64, 64) uint8, bit p set where part p is visible
    n_train : number of training pictures
    """

    scenes: np.ndarray
    bits: np.ndarray
    n_train: int

    scale = "probability of each species, given the visible parts"
    estimand = (
        "the pixels of the two pivot parts that tell a species from its siblings, and of the body, whose colour tells the "
        "family; for one part, the change of the score when the same picture is drawn without it"
    )
    parts = PARTS
    removable_parts = REMOVABLE
    background_kinds = BACKGROUNDS
    species_names = tuple(s.name for s in SPECIES)
    families = tuple(s.family for s in SPECIES)

    # Who differs from whom, and in what

    @cached_property
    def pairs(self) -> tuple[tuple[int, int, str], ...]:
        """The twenty pairs of species that differ in exactly one part: (species, sibling, part)."""
        differ = _SPECIES_CODES[:, None] != _SPECIES_CODES[None]
        pairs = np.argwhere(np.triu(differ.sum(axis=2) == 1))
        return tuple((int(a), int(b), PARTS[int(differ[a, b].argmax())]) for a, b in pairs)

    def pivots(self, species: int) -> tuple[str, str]:
        """The two parts that tell this species from its siblings."""
        check.number(species, "species", low=0, high=len(SPECIES) - 1, integer=True)
        first, second = FAMILIES[species // 4].pivots
        return first, second

    def sibling(self, species: int, part: str) -> int:
        """The species that differs from this one in ``part`` alone."""
        pivots = self.pivots(species)
        check.one_of(part, f"part, a pivot of {SPECIES[species].name},", pivots)
        return int(species) ^ (2 if part == pivots[0] else 1)

    @cached_property
    def attributes(self) -> pd.DataFrame:
        """Species by attribute ("hooked beak", "striped wings", ...), True where it applies."""
        phrases = [{phrase for part in PARTS for phrase in _phrases(s, part)} for s in SPECIES]
        columns = sorted(set().union(*phrases))
        return pd.DataFrame([[c in own for c in columns] for own in phrases], index=self.species_names, columns=columns)

    @cached_property
    def similarity(self) -> np.ndarray:
        """Share of the six parts that two species have in common, (20, 20)."""
        return (_SPECIES_CODES[:, None] == _SPECIES_CODES[None]).mean(axis=2)

    @property
    def leaked(self) -> np.ndarray:
        """The ten species that snow or the marker gives away where such a leak is planted, (20,) bool."""
        return _SECOND_PIVOT.copy()

    # What can be seen

    @property
    def present(self) -> np.ndarray:
        """Which parts were drawn, (n, 6) bool."""
        return self.scenes["present"]

    @property
    def visible(self) -> np.ndarray:
        """Which parts were drawn and lie under no leaf, (n, 6) bool."""
        return self.scenes["present"] & ~self.scenes["covered"]

    @cached_property
    def codes(self) -> np.ndarray:
        """What each visible part is like, as a number per value, -1 where it can not be seen: (n, 6), the oracle's input."""
        own = _SPECIES_CODES[self.scenes["part_from"], np.arange(len(PARTS))]
        return np.where(self.visible, own, NOTHING)

    @property
    def background(self) -> np.ndarray:
        """Codes of the training pictures: what averages over "all birds" run over."""
        return self.codes[: self.n_train]

    @property
    def landscapes(self) -> np.ndarray:
        """Name of each picture's landscape, (n,)."""
        return np.array(BACKGROUNDS)[self.scenes["background"]]

    def mask(self, what: str, indices: Any = None) -> np.ndarray:
        """Visible pixels of a part, of the ``"leaf"``, the ``"marker"``, the two ``"pivots"`` or the ``"background"``.

        Returns
        -------
        (m, 64, 64) bool; a pixel counts when at least a sixteenth of it shows the part, "background" when none shows anything
        """
        bits = self.bits[self._numbers(indices)]
        named = {**{part: 1 << p for p, part in enumerate(PARTS)}, "leaf": 1 << LEAF, "marker": 1 << MARKER}
        check.one_of(what, "what", [*named, "pivots", "background"])
        if what == "background":
            return bits == 0
        if what == "pivots":
            return (bits & self._pivot_bits(indices)[..., None, None]) > 0
        return (bits & named[what]) > 0

    def masks(self, indices: Any = None) -> np.ndarray:
        """Visible pixels of all six parts, (m, 6, 64, 64) bool."""
        bits = self.bits[self._numbers(indices)]
        return (bits[..., None, :, :] & (1 << np.arange(len(PARTS)))[:, None, None]) > 0

    def _pivot_bits(self, indices: Any) -> np.ndarray:
        species = self.scenes["species"][self._numbers(indices)]
        return (_PIVOTS[species] << np.arange(len(PARTS))).sum(axis=-1)

    def rationales(self, indices: Any = None) -> list[list[str]]:
        """For each picture, what can be seen of the bird: "a hooked beak", "striped wings", ..."""
        chosen = np.atleast_1d(self._numbers(indices))
        return [_visible_phrases(self.scenes[i], self.visible[i]) for i in chosen]

    def looks(self, species: int) -> list[str]:
        """What the book says of a species, whatever a picture shows: "a hooked beak", "striped wings", ..."""
        check.number(species, "species", low=0, high=len(SPECIES) - 1, integer=True)
        return _with_articles(phrase for part in PARTS for phrase in _phrases(SPECIES[species], part))

    def labelled_rationales(self, random_state: Any = 0) -> np.ndarray:
        """One of each picture's rationales, drawn at random, (n,) of str: the reason under which somebody filed the picture."""
        rng = check.random_generator(random_state)
        seen = self.rationales()
        return np.array([own[int(u * len(own))] for own, u in zip(seen, rng.random(len(seen)), strict=True)])

    def captions(self, indices: Any = None) -> list[str]:
        """One sentence a picture: species, what can be seen of it, landscape."""
        chosen = np.atleast_1d(self._numbers(indices))
        return [
            f"a photo of a {SPECIES[scene['species']].name} with {', '.join(seen)}, {_PLACES[scene['background']]}"
            for scene, seen in zip(self.scenes[chosen], self.rationales(chosen), strict=True)
        ]

    # The oracle

    def predict(self, X: Any) -> np.ndarray:
        """Posterior probability of each species given the visible parts (Bayes, all species equally frequent).

        Parameters
        ----------
        X : (m, 6) codes as in :attr:`codes`, -1 for a part that can not be seen

        Returns
        -------
        (m, 20); the species that fit share the probability; where parts of several species are mixed so that none fits, those
        with the fewest contradictions share it
        """
        codes = check.array(X, "X", ndim=2)
        if codes.shape[1] != len(PARTS):
            raise ValueError(f"X must have one code for each of {', '.join(PARTS)}, but its shape is {codes.shape}.")
        seen = codes[:, None] != NOTHING
        contradictions = (seen & (codes[:, None] != _SPECIES_CODES)).sum(axis=2)
        fits = contradictions == contradictions.min(axis=1, keepdims=True)
        return fits / fits.sum(axis=1, keepdims=True)

    @cached_property
    def bayes_accuracy(self) -> float:
        """The best accuracy any classifier of the held-out pictures can expect from the birds themselves."""
        return float(self.predict(self.codes[self.n_train :]).max(axis=1).mean())

    def templates(self, index: int) -> np.ndarray:
        """One picture drawn again as each species, everything else the same: (20, 3, 64, 64).

        The classifier that knows this picture's pose scores an image by its squared distance to each template. That score is
        linear in the pixels, so its true explanation is known (:class:`xailib.zoo.LinearObserver`).
        """
        check.number(index, "index", low=0, high=len(self.scenes) - 1, integer=True)
        scenes = np.repeat(self.scenes[[index]], len(SPECIES))
        scenes["part_from"] = np.arange(len(SPECIES))[:, None]
        return _as_float(_draw_all(scenes)["images"])

    # What if

    def render(
        self,
        indices: Any = None,
        *,
        without: str | Sequence[str] = (),
        background: str | None = None,
        part_from: dict[str, int] | None = None,
        marker: bool | None = None,
    ) -> np.ndarray:
        """Draw pictures again with some things changed and all else, down to the grain, the same.

        Parameters
        ----------
        indices : picture numbers, default all
        without : part or parts to leave out (any but the body)
        background : one of ``background_kinds``
        part_from : {part: species number}, parts to take from another species
        marker : put the corner marker there, or take it away

        Returns
        -------
        (m, 3, 64, 64) float32 in [0, 1], or (3, 64, 64) for a single number
        """
        images = _as_float(_draw_all(self._changed(indices, without, background, part_from, marker))["images"])
        return images[0] if np.ndim(self._numbers(indices)) == 0 else images

    def without(self, indices: Any, part: str) -> np.ndarray:
        """The same pictures without one part (leaf and all, where it lay under one)."""
        return self.render(indices, without=part)

    def with_background(self, indices: Any, kind: str) -> np.ndarray:
        """The same birds in another landscape."""
        return self.render(indices, background=check.one_of(kind, "kind", BACKGROUNDS))

    def with_part_from(self, indices: Any, part: str, species: int) -> np.ndarray:
        """The same pictures with one part taken from another species."""
        return self.render(indices, part_from={check.one_of(part, "part", PARTS): species})

    def with_marker(self, indices: Any, present: bool = True) -> np.ndarray:
        """The same pictures with, or without, the marker in the corner."""
        return self.render(indices, marker=check.flag(present, "present"))

    def _changed(self, indices: Any, without: Any, background: Any, part_from: Any, marker: Any) -> np.ndarray:
        scenes = np.atleast_1d(self.scenes[self._numbers(indices)]).copy()
        for part in without if isinstance(without, list | tuple) else [without]:
            p = PARTS.index(check.one_of(part, "part to leave out", REMOVABLE))
            scenes["present"][:, p] = scenes["covered"][:, p] = False
        if part_from is not None and not isinstance(part_from, dict):
            raise TypeError(f"part_from must be a dict of part to species number, not {type(part_from).__name__}.")
        for part, species in (part_from or {}).items():
            check.number(species, f"species for {part!r}", low=0, high=len(SPECIES) - 1, integer=True)
            scenes["part_from"][:, PARTS.index(check.one_of(part, "part", PARTS))] = species
        if background is not None:
            scenes["background"] = BACKGROUNDS.index(check.one_of(background, "background", BACKGROUNDS))
        if marker is not None:
            scenes["marker"] = check.flag(marker, "marker")
        return scenes

    def _numbers(self, indices: Any) -> np.ndarray:
        return check.positions(indices, "indices", len(self.scenes), "picture")


# --- words ----------------------------------------------------------------------------------------------------------

_PLACES = ("on a meadow", "on a beach", "in a forest", "at dusk", "by a lake", "in the snow")
_NOUNS = {"crest": "crest", "wing": "wings", "tail": "tail", "legs": "legs", "body": "body"}


def _phrases(species: drawing.Species, part: str) -> list[str]:
    """Attributes of one part: shape and colour for the beak, one for every other part."""
    value = species.value(part)
    return [f"{word} beak" for word in value.split()] if part == "beak" else [f"{value} {_NOUNS[part]}"]


def _visible_phrases(scene: Any, visible: np.ndarray) -> list[str]:
    seen = [p for p, part in enumerate(PARTS) if visible[p]]
    phrases = [phrase for p in seen for phrase in _phrases(SPECIES[scene["part_from"][p]], PARTS[p])]
    return _with_articles(phrases)


def _with_articles(phrases: Iterable[str]) -> list[str]:
    return [phrase if phrase.endswith(("wings", "legs")) else f"a {phrase}" for phrase in phrases]


# --- drawing lots ---------------------------------------------------------------------------------------------------


def _species_codes() -> np.ndarray:
    """Species by part: the number of the part's value in the order of first use, (20, 6)."""
    values = [[s.value(part) for s in SPECIES] for part in PARTS]
    return np.column_stack([pd.factorize(np.array(v))[0] for v in values])


_SPECIES_CODES = _species_codes()
_PIVOTS = np.array([[part in FAMILIES[s // 4].pivots for part in PARTS] for s in range(len(SPECIES))])


def _sample_scenes(
    n: int, rng: np.random.Generator, *, snow: bool, marker: bool, ambiguous: bool, strength: float, missing: float
) -> np.ndarray:
    """Who stands where in which light: the same draws for every variant, so that variants can be compared in pairs."""
    scenes = np.zeros(n, SCENE)
    held_out = np.arange(n) >= _n_train(n)
    species = np.concatenate([_balanced(_n_train(n), rng), _balanced(n - _n_train(n), rng)])
    scenes["species"], scenes["part_from"] = species, species[:, None]
    _pose_and_light(scenes, rng)
    scenes["seed"] = rng.integers(2**62, size=n)
    winter = _SECOND_PIVOT[species]
    in_snow, marked = np.where(rng.random((2, n)) < strength, winter, ~winter)
    anywhere, elsewhere = rng.integers(len(BACKGROUNDS), size=n), rng.integers(SNOW, size=n)
    scenes["background"] = np.where(in_snow, SNOW, elsewhere) if snow else anywhere
    scenes["marker"] = marked & marker
    _hide_parts(scenes, rng, ambiguous, missing, held_out)
    return scenes


def _balanced(n: int, rng: np.random.Generator) -> np.ndarray:
    """Every species equally often, in random order."""
    return rng.permutation(np.arange(n) % len(SPECIES))


def _pose_and_light(scenes: np.ndarray, rng: np.random.Generator) -> None:
    n = len(scenes)
    scenes["scale"] = rng.uniform(0.80, 1.02, n)
    scenes["x"], scenes["y"] = 32 + rng.uniform(-3, 3, n), 33 + rng.uniform(-5, 5, n)
    scenes["tilt"] = rng.uniform(-0.18, 0.18, n)
    scenes["faces_left"] = rng.random(n) < 0.5
    scenes["light"] = np.column_stack([rng.uniform(0.85, 1.10, n), rng.uniform(-0.2, 0.2, (n, 2))])
    scenes["tint"] = rng.uniform(0.94, 1.06, (n, 3))


def _hide_parts(scenes: np.ndarray, rng: np.random.Generator, ambiguous: bool, rate: float, held_out: np.ndarray) -> None:
    """Leave parts out or cover them; outside the ambiguous world never a pivot of a held-out bird."""
    shape = (len(scenes), len(REMOVABLE))
    lot, leaf = rng.random(shape), rng.random(shape) < 0.5
    if ambiguous:
        absent, covered = (lot < rate) & ~leaf, (lot < rate) & leaf
    else:
        needed = held_out[:, None] & _PIVOTS[scenes["species"]][:, : len(REMOVABLE)]
        absent, covered = (lot < rate) & ~needed, np.zeros(shape, dtype=bool)
    scenes["present"] = True
    scenes["present"][:, : len(REMOVABLE)] = ~absent
    scenes["covered"][:, : len(REMOVABLE)] = covered


def _draw_all(scenes: np.ndarray) -> dict[str, np.ndarray]:
    images, bits = np.empty((len(scenes), 3, SIZE, SIZE), np.uint8), np.empty((len(scenes), SIZE, SIZE), np.uint8)
    for i, scene in enumerate(scenes):
        images[i], bits[i] = drawing.draw(scene)
    return {"images": images, "bits": bits, "scenes": scenes}


def _as_float(images: np.ndarray) -> np.ndarray:
    """Pixel values from 0 to 255 as float32 from 0 to 1."""
    return images / np.float32(255)


# --- the data card --------------------------------------------------------------------------------------------------


def _card(truth: BirdsTruth, options: dict[str, Any]) -> str:
    """Data card in Markdown, made from the tables above."""
    n, trained = len(truth.scenes), truth.n_train
    bayes_training = truth.predict(truth.background).max(axis=1).mean()
    families = "\n".join(_family_row(family) for family in FAMILIES)
    return f"""# birds: twenty species, drawn from parts

Invented birds, {SIZE} x {SIZE} pixels in colour; `y` is the species. {n:,} pictures, every species equally often; the first
{trained:,} are for training. Place, size, tilt, direction, landscape, light, colour cast and grain vary at random.

| family | species | body | two pivot parts tell them apart | shared by all four |
|---|---|---|---|---|
{families}

**The rule.** The colour of the body tells the family, the two pivot parts tell the species. Every species has two siblings from
which it differs in exactly one part: {len(truth.pairs)} pairs. All other parts say nothing that the body does not say.

**Parts that can not be seen.** {_hidden_text(options["ambiguous"], options["missing"])} Nobody beats an
accuracy of {truth.bayes_accuracy:.3f} on the held-out pictures of this variant, or {bayes_training:.3f} on its training pictures,
by looking at the birds alone.

**Leaks.** {_leak_text(options)}

**Truth.** Visible pixels of every part, attributes, captions and rationales, the oracle, and the drawing itself: any picture can
be drawn again with a part removed or exchanged, in another landscape, with a marker. A mask says what was drawn, not what a
network uses.

Do not learn about real birds from it. Made by `xailib.worlds.birds`; CC BY 4.0."""


def _family_row(family: drawing.Family) -> str:
    species = ", ".join(family.members)
    pivots = "; ".join(f"{part} ({' or '.join(values)})" for part, values in family.pivots.items())
    shared = "; ".join(f"{part} {value}" for part, value in family.shared.items() if part != "body")
    return f"| {family.name} | {species} | {family.shared['body']} | {pivots} | {shared} |"


def _hidden_text(ambiguous: bool, rate: float) -> str:
    if ambiguous:
        return f"""Each of the five removable parts is absent or under a leaf with probability {rate:.2f}, in all
pictures. With one pivot hidden two species fit, with both four, so that the best possible classifier can expect an accuracy of
(1 - {rate:.2f}/2)^2 = {(1 - rate / 2) ** 2:.3f}."""
    return f"""Each of the five removable parts is absent from a training picture with probability {rate:.2f}, so
that a picture with a part removed is nothing new. A held-out picture may lack any part but its two pivots."""


def _leak_text(options: dict[str, Any]) -> str:
    leaks = {"stand in snow": options["snow"], "carry a marker in the corner": options["marker"]}
    planted = " and ".join(text for text, there in leaks.items() if there)
    if not planted:
        return "None: landscapes are drawn independently of the species and nothing stands in the corner."
    strength = options["strength"]
    return f"""The second and fourth species of each family {planted} with probability {strength:g}, all others with
probability {1 - strength:.3g}: half of the birds can be told from a sibling without looking at the bird."""
