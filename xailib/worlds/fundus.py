"""Fundus: small pictures like those of the back of an eye, whose lesions we drew one by one and can take away again.

Dark red dots and yellow spots make an eye diseased; how many there are sets the grade. White reflexes and brown freckles look
similar and mean nothing. Any picture can be drawn again without some or all of its lesions, with new ones, without the harmless
spots, or with a camera stamp in the corner, all else the same down to the grain.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib.resources import files
from itertools import product
from typing import Any

import numpy as np
import pandas as pd

from xailib import _cache
from xailib import _validation as check
from xailib.worlds import _fundus_drawing as drawing
from xailib.worlds._fundus_drawing import KINDS, MAX_BRIGHT, MAX_RED, N_SLOTS, NO_LESION, SCENE, SIZE, STRUCTURES
from xailib.worlds._world import World

GRADES = ("healthy", "mild", "severe")
WEIGHTS = (1, 2)  # of a red dot and of a bright spot
SEVERE_FROM = 6  # a burden of so many points is severe
GRADE_SHARES = (1 / 2, 1 / 4, 1 / 4)
FAINT_RATE = 0.25  # share of lesions that are faint
ONLY_FAINT_RATE = 0.20  # share of mild eyes in which all of them are
MARKER_STRENGTH = 0.99  # how often the stamp tells the truth


def fundus(
    n: int = 3000, *, marker: bool = False, marker_strength: float = MARKER_STRENGTH, random_state: Any = 0
) -> World[FundusTruth]:
    """Retina-like pictures in three grades, set by the number of lesions, with the truth about every pixel.

    Parameters
    ----------
    n : int, number of pictures, at least 40; the first four fifths are for training
    marker : bool
        Put a camera stamp into the corner: with probability ``marker_strength`` where the eye is diseased, and with one minus
        that where it is healthy, as if one clinic saw the sick and another the well.
    marker_strength : float in [0, 1]; 0.5 is no leak and 0 a leak the other way round
    random_state : int, Generator or None; pictures of a whole-number seed are kept in the cache

    Returns
    -------
    World
        ``X`` (n, 3, 96, 96) float32 in [0, 1], ``y`` (n,) grades 0 healthy, 1 mild, 2 severe, ``truth`` a
        :class:`FundusTruth`; ``truth.diseased`` is the label of the simpler task, grade > 0. With the same seed both
        variants show the same eyes.

    Raises
    ------
    ValueError, TypeError
        If an argument is out of range.

    Notes
    -----
    The rule: an eye's *burden* is its number of red dots plus twice its number of bright spots; 0 is healthy, 1 to 5 mild, 6 and
    more severe. Everything else is drawn without looking at the grade, so a picture with its lesions removed is a
    picture of a healthy eye, and fewer lesions are again a picture the world could have drawn. Used in chapter 14.

    Examples
    --------
    >>> world = fundus(60)
    >>> world.X.shape, world.truth.grade_names
    ((60, 3, 96, 96), ('healthy', 'mild', 'severe'))
    """
    check.number(n, "n", low=40, integer=True)
    check.flag(marker, "marker")
    check.number(marker_strength, "marker_strength", low=0, high=1)
    rng = check.random_generator(random_state)
    options: dict[str, Any] = {"marker": marker, "strength": float(marker_strength)}

    def make() -> dict[str, np.ndarray]:
        return _draw_new(_sample_scenes(n, rng, **options))

    seeded = isinstance(random_state, int | np.integer)
    drawn = _cache.cached_arrays("fundus", _key(n, int(random_state), options), make) if seeded else make()
    for array in drawn.values():
        array.setflags(write=False)
    truth = FundusTruth(drawn["scenes"], drawn["bits"], drawn["labels"], _n_train(n))
    return World("fundus", _as_float(drawn["images"]), truth.grades, truth, _card(truth, options), truth.n_train)


def _n_train(n: int) -> int:
    return n * 4 // 5


def _key(n: int, seed: int, options: dict[str, Any]) -> str:
    """Cache key: another text of these two modules or another setting is another world."""
    package = files("xailib.worlds")
    sources = [(package / name).read_text(encoding="utf-8") for name in ("fundus.py", "_fundus_drawing.py")]
    return _cache.content_key(*sources, n, seed, sorted(options.items()))


# --- the truth ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class FundusTruth:
    """What was drawn, how sick the eye is, and what the picture would be if one thing were different.

    ``indices`` below is one picture number or a sequence of them; one number gives one result without the leading axis. The
    lesions of a picture are numbered by their place, 0 to 10; a number without a lesion is possible.

    Attributes
    ----------
    scenes : (n,) records: field, disc, macula, light, lesions, harmless spots
    bits : (n, 96, 96) uint8, bit s set where structure s of ``structures`` is drawn
    labels : (n, 96, 96) int8, number of the lesion that a pixel shows, -1 elsewhere
    n_train : number of training pictures
    """

    scenes: np.ndarray
    bits: np.ndarray
    labels: np.ndarray
    n_train: int

    scale = "probability of each grade, given the numbers of red dots and bright spots"
    estimand = (
        "the pixels of all lesions, which alone set the grade; for one lesion or one kind, the change of the score when the same "
        "picture is drawn without it"
    )
    grade_names = GRADES
    kinds = KINDS
    structures = STRUCTURES
    weights = WEIGHTS
    severe_from = SEVERE_FROM
    bayes_accuracy = 1.0  # of whoever can count: the grade is a function of the lesions that were drawn

    # How sick, and why

    @property
    def present(self) -> np.ndarray:
        """Which lesions were drawn, (n, 11) bool."""
        return self.scenes["lesions"]["present"]

    @property
    def faint(self) -> np.ndarray:
        """Which lesions were drawn small and pale, (n, 11) bool."""
        return self.present & self.scenes["lesions"]["faint"]

    @cached_property
    def counts(self) -> np.ndarray:
        """Number of red dots and of bright spots in each picture, (n, 2): the oracle's input."""
        kinds = self.scenes["lesions"]["kind"]
        return np.stack([(self.present & (kinds == k)).sum(axis=1) for k in range(len(KINDS))], axis=1)

    @property
    def background(self) -> np.ndarray:
        """Counts of the training pictures: what averages over "all eyes" run over."""
        return self.counts[: self.n_train]

    @property
    def burden(self) -> np.ndarray:
        """Points of each picture, one per red dot and two per bright spot, (n,)."""
        return self.counts @ np.array(WEIGHTS)

    @property
    def grades(self) -> np.ndarray:
        """Grade of each picture, (n,): 0 healthy, 1 mild, 2 severe."""
        return _grade(self.burden)

    @property
    def diseased(self) -> np.ndarray:
        """Whether there is any lesion, (n,) bool."""
        return self.burden > 0

    @property
    def only_faint(self) -> np.ndarray:
        """Diseased eyes all of whose lesions are faint, (n,) bool."""
        return self.diseased & (self.faint == self.present).all(axis=1)

    @cached_property
    def lesions(self) -> pd.DataFrame:
        """One row per lesion: picture, number, kind, faint, x, y, radius and visible pixels."""
        pictures, numbers = np.nonzero(self.present)
        spots = self.scenes["lesions"][pictures, numbers]
        low, high = np.array([drawing.lesion_look(spot).radius for spot in spots]).reshape(-1, 2).T
        area = np.array([np.bincount(row[row >= 0], minlength=N_SLOTS) for row in self.labels.reshape(len(self.labels), -1)])
        return pd.DataFrame(
            {
                "picture": pictures,
                "lesion": numbers,
                "kind": np.array(KINDS)[spots["kind"]],
                "faint": spots["faint"],
                "x": spots["x"].round(2),
                "y": spots["y"].round(2),
                "radius": (low + spots["size"] * (high - low)).round(2),
                "pixels": area[pictures, numbers],
            }
        )

    # What can be seen where

    def mask(self, what: str = "lesions", indices: Any = None) -> np.ndarray:
        """Pixels of the lesions, of one kind of them, or of a structure.

        Parameters
        ----------
        what : ``"lesions"``, ``"red"``, ``"bright"``, ``"faint"``, or one of ``structures``
        indices : picture numbers, default all

        Returns
        -------
        (m, 96, 96) bool; a lesion has the pixels of which it covers at least an eighth
        """
        numbers = self._numbers(indices)
        check.one_of(what, "what", ["lesions", *KINDS, "faint", *STRUCTURES])
        if what in STRUCTURES:
            return (self.bits[numbers] & (1 << STRUCTURES.index(what))) > 0
        if what == "lesions":
            return self.labels[numbers] != NO_LESION
        wanted = np.atleast_2d(_of_sort(self.scenes["lesions"][numbers], what))
        labels = self.labels[numbers].reshape(len(wanted), SIZE * SIZE)
        found = np.take_along_axis(wanted, np.maximum(labels, 0).astype(int), axis=1) & (labels != NO_LESION)
        return found.reshape(self.labels[numbers].shape)

    def lesion_masks(self, indices: Any = None) -> np.ndarray:
        """Pixels of every single lesion, (m, 11, 96, 96) bool; all False where there is none of that number."""
        labels = self.labels[self._numbers(indices)]
        return labels[..., None, :, :] == np.arange(N_SLOTS)[:, None, None]

    # The oracle

    def predict(self, X: Any) -> np.ndarray:
        """The rule: probability of each grade given the counts, which is 1 for one of them.

        Parameters
        ----------
        X : (m, 2) numbers of red dots and bright spots, as in :attr:`counts`

        Returns
        -------
        (m, 3)
        """
        counts = check.array(X, "X", ndim=2)
        if counts.shape[1] != len(KINDS):
            raise ValueError(
                f"X must have two columns, numbers of red dots and of bright spots, but its shape is {counts.shape}."
            )
        if (counts < 0).any():
            raise ValueError("X must hold counts of lesions, but some are negative.")
        return np.eye(len(GRADES))[_grade(counts @ np.array(WEIGHTS))]

    # What if

    def render(
        self, indices: Any = None, *, without: str | int | Sequence[str | int] = (), marker: bool | None = None
    ) -> np.ndarray:
        """Draw pictures again with some things changed and all else, down to the grain, the same.

        Parameters
        ----------
        indices : picture numbers, default all
        without : what to leave out
            ``"all"`` lesions, ``"red"``, ``"bright"`` or ``"faint"`` ones, the harmless ``"distractors"``, the lesion of some
            number, or a list of these
        marker : put the camera stamp there, or take it away

        Returns
        -------
        (m, 3, 96, 96) float32 in [0, 1], or (3, 96, 96) for a single number
        """
        scenes = self._scenes(indices)
        for what in without if isinstance(without, list | tuple | np.ndarray) else [without]:
            _leave_out(scenes, what)
        if marker is not None:
            scenes["marker"] = check.flag(marker, "marker")
        return self._drawn(scenes, indices)

    def without(self, indices: Any, what: str | int | Sequence[str | int] = "all") -> np.ndarray:
        """The same pictures without all lesions, or without what :meth:`render` knows by this name or number."""
        return self.render(indices, without=what)

    def with_lesions(self, indices: Any, *, red: int = 0, bright: int = 0, faint: bool | None = None) -> np.ndarray:
        """The same pictures with new lesions where the ground is free.

        Parameters
        ----------
        indices : picture numbers
        red, bright : how many to add of each kind; together with those there are at most 11
        faint : make all of them small and pale, or none; default as chance has it

        Returns
        -------
        As :meth:`render`
        """
        scenes = self._scenes(indices)
        for name, value in (("red", red), ("bright", bright)):
            check.number(value, name, low=0, high=N_SLOTS, integer=True)
        if faint is not None:
            check.flag(faint, "faint")
        room = N_SLOTS - int(scenes["lesions"]["present"].sum(axis=1).max())
        if red + bright > room:
            raise ValueError(
                f"red and bright must add up to at most {room}, for one of the pictures has no room for more lesions."
            )
        for scene in scenes:
            new = np.flatnonzero(~scene["lesions"]["present"])[: red + bright]
            scene["lesions"]["present"][new] = True
            scene["lesions"]["kind"][new] = np.arange(len(new)) >= red
            if faint is not None:
                scene["lesions"]["faint"][new] = faint
        return self._drawn(scenes, indices)

    def with_marker(self, indices: Any, present: bool = True) -> np.ndarray:
        """The same pictures with, or without, the camera stamp in the corner."""
        return self.render(indices, marker=check.flag(present, "present"))

    def _scenes(self, indices: Any) -> np.ndarray:
        """Records of the chosen pictures, free to be changed."""
        return np.atleast_1d(self.scenes[self._numbers(indices)]).copy()

    def _drawn(self, scenes: np.ndarray, indices: Any) -> np.ndarray:
        images = _as_float(_draw_all(scenes)["images"])
        return images[0] if np.ndim(self._numbers(indices)) == 0 else images

    def _numbers(self, indices: Any) -> np.ndarray:
        return check.positions(indices, "indices", len(self.scenes), "picture")


def _grade(burden: np.ndarray) -> np.ndarray:
    """The rule: 0 points are healthy, 6 and more severe."""
    return (burden > 0).astype(np.int64) + (burden >= SEVERE_FROM)


def _of_sort(spots: np.ndarray, what: str) -> np.ndarray:
    """Which lesions are of a kind, or faint, or any ("all")."""
    if what == "all":
        return spots["present"].copy()
    return spots["present"] & (spots["faint"] if what == "faint" else spots["kind"] == KINDS.index(what))


def _leave_out(scenes: np.ndarray, what: Any) -> None:
    """Take lesions or harmless spots out of the records, in place."""
    sorts = ["all", *KINDS, "faint", "distractors"]
    if isinstance(what, int | np.integer) and not isinstance(what, bool):
        check.number(what, "number of a lesion to leave out", low=0, high=N_SLOTS - 1, integer=True)
        scenes["lesions"]["present"][:, what] = False
    elif check.one_of(what, "what to leave out, if no lesion's number,", sorts) == "distractors":
        scenes["distractors"]["present"] = False
    else:
        scenes["lesions"]["present"] &= ~_of_sort(scenes["lesions"], what)


# --- drawing lots ---------------------------------------------------------------------------------------------------

_PAIRS = np.array(list(product(range(MAX_RED + 1), range(MAX_BRIGHT + 1))))  # every pair of counts that can be drawn
_PAIR_GRADES = _grade(_PAIRS @ np.array(WEIGHTS))


def _sample_scenes(n: int, rng: np.random.Generator, *, marker: bool, strength: float) -> np.ndarray:
    """Whose eye in which light, and how sick: the same draws for every variant, so that variants can be compared in pairs."""
    scenes = np.zeros(n, SCENE)
    grades = np.concatenate([_balanced(_n_train(n), rng), _balanced(n - _n_train(n), rng)])
    _eye_and_light(scenes, rng)
    scenes["seed"] = rng.integers(2**62, size=n)
    for name in ("lesions", "distractors"):
        _looks_of_spots(scenes[name], rng)
    _give_lesions(scenes["lesions"], grades, rng)
    scenes["distractors"]["present"] = rng.random(scenes["distractors"].shape) < 0.5
    truthful = rng.random(n) < strength
    scenes["marker"] = (truthful == (grades > 0)) & marker
    return scenes


def _balanced(n: int, rng: np.random.Generator) -> np.ndarray:
    """Half healthy, a quarter mild, a quarter severe, in random order."""
    return rng.permutation(np.array([0, 1, 0, 2])[np.arange(n) % 4])


def _eye_and_light(scenes: np.ndarray, rng: np.random.Generator) -> None:
    n, middle = len(scenes), (SIZE - 1) / 2
    scenes["x"], scenes["y"] = middle + rng.uniform(-1.5, 1.5, (2, n))
    scenes["radius"] = rng.uniform(43, 46, n)
    side = rng.choice([-1, 1], n)
    scenes["side"] = side
    disc = np.column_stack([scenes["x"] - side * rng.uniform(19, 25, n), scenes["y"] + rng.uniform(-5, 5, n)])
    scenes["disc"], scenes["disc_radius"] = disc, rng.uniform(6, 7.8, n)
    scenes["macula"] = disc + np.column_stack([side * rng.uniform(28, 33, n), rng.uniform(0, 5, n)])
    scenes["light"] = np.column_stack([rng.uniform(0.82, 1.12, n), rng.uniform(-0.3, 0.3, (n, 2))])
    scenes["vignette"] = rng.uniform(0.25, 0.45, n)
    scenes["tint"] = rng.uniform(0.90, 1.10, (n, 3))


def _looks_of_spots(spots: np.ndarray, rng: np.random.Generator) -> None:
    """Size, strength and shape of every spot, drawn or not."""
    shape = spots.shape
    spots["size"], spots["strength"] = rng.random((2, *shape))
    spots["aspect"], spots["turn"] = rng.uniform(0.7, 1.0, shape), rng.uniform(0, np.pi, shape)


def _give_lesions(lesions: np.ndarray, grades: np.ndarray, rng: np.random.Generator) -> None:
    """Counts of both kinds, uniform over the pairs that give the grade; red dots take the first places."""
    counts = np.zeros((len(grades), 2), dtype=int)
    for grade in range(len(GRADES)):
        pairs, eyes = _PAIRS[grade == _PAIR_GRADES], grades == grade
        counts[eyes] = pairs[rng.integers(len(pairs), size=eyes.sum())]
    place = np.arange(N_SLOTS)
    lesions["present"] = place < counts.sum(axis=1, keepdims=True)
    lesions["kind"] = place >= counts[:, :1]
    all_faint = (grades == 1) & (rng.random(len(grades)) < ONLY_FAINT_RATE)
    lesions["faint"] = (rng.random(lesions.shape) < FAINT_RATE) | all_faint[:, None]


def _draw_new(scenes: np.ndarray) -> dict[str, np.ndarray]:
    """Choose where the spots of new scenes lie, which depends on their vessels, and draw them."""
    return _draw_all(scenes, place=True)


def _draw_all(scenes: np.ndarray, *, place: bool = False) -> dict[str, np.ndarray]:
    shape = (len(scenes), SIZE, SIZE)
    images, bits, labels = np.empty((len(scenes), 3, SIZE, SIZE), np.uint8), np.empty(shape, np.uint8), np.empty(shape, np.int8)
    for i, scene in enumerate(scenes):
        vessels = drawing.vessel_cover(scene)
        if place:
            drawing.place_spots(scene, vessels)
        images[i], bits[i], labels[i] = drawing.draw(scene, vessels)
    return {"images": images, "bits": bits, "labels": labels, "scenes": scenes}


def _as_float(images: np.ndarray) -> np.ndarray:
    """Pixel values from 0 to 255 as float32 from 0 to 1."""
    return images / np.float32(255)


# --- the data card --------------------------------------------------------------------------------------------------


def _card(truth: FundusTruth, options: dict[str, Any]) -> str:
    """Data card in Markdown, made from the tables above."""
    n, lesions, diseased = len(truth.scenes), truth.lesions, truth.diseased
    area = np.median(truth.mask()[diseased].sum(axis=(1, 2)))
    kinds = "\n".join(_kind_row(kind, lesions[lesions["kind"] == kind]) for kind in KINDS)
    lone, of_them = truth.only_faint.sum() / diseased.sum(), truth.only_faint[truth.n_train :].sum()
    return f"""# fundus: retina-like pictures, graded by their lesions

Invented pictures of the back of an eye, {SIZE} x {SIZE} pixels in colour; `y` is the grade: 0 healthy, 1 mild, 2 severe.
{n:,} pictures, half of them healthy, a quarter mild, a quarter severe; the first {truth.n_train:,} are for training. Field, disc,
macula, vessels, light, colour cast, mottling and grain vary at random.

| lesion | looks like | points | how many | pixels, median | faint share |
|---|---|---|---|---|---|
{kinds}

**The rule.** An eye's burden is the sum of its points: {WEIGHTS[0]} for every red dot, {WEIGHTS[1]} for every bright spot.
0 is healthy, 1 to {SEVERE_FROM - 1} mild, {SEVERE_FROM} and more severe. Within a grade all pairs of counts are equally likely.
`truth.diseased`, grade above 0, is the label of the simpler task, onset.

**Small and pale.** A lesion is faint with probability {FAINT_RATE:g}, and in {ONLY_FAINT_RATE:.0%} of mild eyes all of them are.
With those that happen to have no other, {lone:.1%} of the diseased eyes here show faint lesions only, {of_them} of them among the
held-out pictures. All lesions of a diseased eye together cover {area:.0f} pixels in the median, {area / SIZE**2:.2%} of the
picture.

**Harmless on purpose.** White reflexes and brown freckles, {drawing.N_DISTRACTORS / 2:.0f} to an eye on average, are as large as
lesions and come without regard to the grade; so do crossings of vessels, the bright disc and the dark macula. Spots never
overlap and lie off the larger vessels, the disc and the centre of the macula.

**Leaks.** {_leak_text(options)}

**Truth.** Pixels of every single lesion, of both kinds and of all structures, counts, the oracle, and the drawing itself: any
picture can be drawn again without some or all of its lesions, without harmless spots, with new lesions, with or without the
stamp. Everything else is drawn without looking at the grade, so a picture whose lesions are removed *is* a healthy one, and one
with fewer of them is a picture the world could have drawn: these interventions stay in distribution. Who can count lesions makes
no mistake (accuracy {truth.bayes_accuracy:.3f}); how many of the faint ones drown in the grain is not known. A mask says
what was drawn, not what a network uses.

Do not learn about real eyes from it. Made by `xailib.worlds.fundus`; CC BY 4.0."""


_LIKE = {"red": "dark red dot, like a microaneurysm", "bright": "yellow spot, like an exudate"}
_MOST = {"red": MAX_RED, "bright": MAX_BRIGHT}


def _kind_row(kind: str, lesions: pd.DataFrame) -> str:
    points, pixels = WEIGHTS[KINDS.index(kind)], lesions["pixels"].median()
    return f"| {kind} | {_LIKE[kind]} | {points} | 0 to {_MOST[kind]} | {pixels:.0f} | {lesions['faint'].mean():.1%} |"


def _leak_text(options: dict[str, Any]) -> str:
    if not options["marker"]:
        return "None: the corner is empty, and the camera is the same for all."
    strength = options["strength"]
    return (
        f"Diseased eyes carry a camera stamp in the lower right corner with probability {strength:g}, "
        f"healthy ones with probability {1 - strength:.3g}."
    )
