"""Captions as people write them under pictures of birds: they leave much out, get things wrong, and some belong elsewhere."""

from __future__ import annotations

import numpy as np

from xailib.text import PADDING, UNKNOWN, Vocabulary
from xailib.worlds.birds import BACKGROUNDS, BirdsTruth
from xailib.zoo.two_towers import END, words

#: probabilities: the species is named, a part that can be seen is named, one that only the book knows, the landscape
NAMED, SEEN_PART, BOOK_PART, PLACE = 0.8, 0.5, 0.1, 0.3
#: probabilities: the name is a sibling's, the caption belongs to another picture, something beside the point is added
WRONG_NAME, WRONG_PICTURE, CHATTER = 0.05, 0.05, 0.3

PLACES = dict(zip(BACKGROUNDS, ("on a meadow", "on a beach", "in a forest", "at dusk", "by a lake", "in the snow"), strict=True))
FRAMES = (
    "{c} with {r} {p}",
    "{r} of a {c} {p}",
    "this is a photo of a {c} with {r} {p}",
    "a picture shows a {c} because there is {r} {p}",
    "{p} there is {r} so this is a {c}",
    "one can see {r} which means a {c} {p}",
    "since it has {r} i think that this must be a {c} {p}",
    "a {c} {p} and you can tell by {r}",
)
NAME_ONLY = ("a photo of a {c} {p}", "this is a photo of a {c} {p}", "{c} {p}", "picture of the {c} {p}", "look a {c} {p}")
PARTS_ONLY = ("there is {r} {p}", "one can see {r} {p}", "close up of {r} {p}", "a bird with {r} {p}", "it has {r} {p}")
CHATTER_WORDS = ("my holiday", "free stock", "for sale", "what a day", "not bad", "copyright", "part one", "hello from here")


def captions(truth: BirdsTruth, rng: np.random.Generator) -> list[str]:
    """One caption for each picture, of which some belong to another picture."""
    written = [_caption(truth, i, rng) for i in range(len(truth.scenes))]
    astray = np.flatnonzero(rng.random(len(written)) < WRONG_PICTURE)
    for i, j in zip(astray, rng.permutation(astray), strict=True):
        written[i] = written[j]
    return [f"{text} {rng.choice(CHATTER_WORDS)}" if rng.random() < CHATTER else text for text in written]


def _caption(truth: BirdsTruth, i: int, rng: np.random.Generator) -> str:
    species = int(truth.scenes["species"][i])
    part = truth.pivots(species)[int(rng.integers(2))]
    told = truth.sibling(species, part) if rng.random() < WRONG_NAME else species
    seen = truth.rationales(i)[0]
    of_the_book = [phrase for phrase in truth.looks(species) if phrase not in seen]
    mentioned = [r for r in seen if rng.random() < SEEN_PART] + [r for r in of_the_book if rng.random() < BOOK_PART]
    place = PLACES[truth.landscapes[i]] if rng.random() < PLACE else ""
    named = rng.random() < NAMED or not mentioned
    frames = FRAMES if named and mentioned else NAME_ONLY if named else PARTS_ONLY
    rng.shuffle(mentioned)
    return str(rng.choice(frames)).format(c=truth.species_names[told], r=" and ".join(mentioned), p=place).strip()


def vocabulary(truth: BirdsTruth) -> Vocabulary:
    """All words that captions can have."""
    looks = [phrase for species in range(len(truth.species_names)) for phrase in truth.looks(species)]
    texts = [*truth.species_names, *looks, *PLACES.values(), *FRAMES, *NAME_ONLY, *PARTS_ONLY, *CHATTER_WORDS, "and"]
    known = {word for text in texts for word in words(text.format(c="", r="", p=""))}
    return Vocabulary([PADDING, UNKNOWN, END, *sorted(known)])
