"""How the back of an eye is drawn: a round field, a disc, a tree of vessels, spots that are lesions and spots that are not.

A picture is one record of :data:`SCENE`. The vessels are polygons on a canvas four times too large; everything else is a formula
over the pixel grid. Lengths are pixels of the finished 96 x 96 image, y points down.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from PIL import Image, ImageDraw
from scipy.ndimage import binary_dilation

SIZE = 96
OVERSAMPLING = 4
KINDS = ("red", "bright")
MAX_RED, MAX_BRIGHT = 7, 4
N_SLOTS = MAX_RED + MAX_BRIGHT  # places for lesions in every picture, used or not
N_DISTRACTORS = 6
N_SITES = N_SLOTS + N_DISTRACTORS
NO_LESION = -1
STRUCTURES = ("field", "disc", "macula", "vessels", "distractors", "marker")  # one bit of a picture's map each

Colour = tuple[int, int, int]

SURROUND: Colour = (7, 5, 6)
RETINA: Colour = (196, 96, 50)
MACULA: Colour = (96, 34, 22)
MACULA_RADIUS = 6.5
DISC, CUP = (247, 203, 132), (255, 238, 200)
ARTERY, VEIN, SHEEN = (150, 42, 32), (104, 20, 26), (214, 128, 92)


class Look(NamedTuple):
    """Ranges of a spot's radius (pixels) and opacity, and its colour."""

    radius: tuple[float, float]
    opacity: tuple[float, float]
    colour: Colour


LOOKS = {
    "red": Look((1.4, 2.1), (0.65, 0.92), (92, 6, 14)),
    "bright": Look((1.7, 3.0), (0.65, 0.92), (255, 226, 116)),
    "faint red": Look((1.1, 1.3), (0.45, 0.58), (92, 6, 14)),
    "faint bright": Look((1.5, 1.8), (0.42, 0.55), (255, 226, 116)),
    "dust": Look((0.9, 2.2), (0.45, 0.85), (226, 232, 246)),  # a reflex: white, where an exudate is yellow
    "pigment": Look((2.0, 3.2), (0.35, 0.55), (84, 58, 40)),  # a freckle: brown and wide, where an aneurysm is red and small
}
DISTRACTOR_LOOKS = ("dust", "dust", "dust", "dust", "pigment", "pigment")

SPOT = np.dtype(
    [
        ("x", "f4"),
        ("y", "f4"),
        ("size", "f4"),  # 0 to 1, from the smallest to the largest radius of its look
        ("strength", "f4"),  # 0 to 1, from the least to the greatest opacity
        ("aspect", "f4"),  # short axis over long axis
        ("turn", "f4"),  # radians
        ("present", "?"),
        ("faint", "?"),
        ("kind", "i1"),  # of a lesion: number in KINDS
    ]
)

SCENE = np.dtype(
    [
        ("x", "f4"),  # centre of the field
        ("y", "f4"),
        ("radius", "f4"),
        ("side", "i1"),  # of the macula as seen from the disc: 1 right, -1 left
        ("disc", "f4", 2),
        ("disc_radius", "f4"),
        ("macula", "f4", 2),
        ("light", "f4", 3),  # level, and its slope to the right and down over the whole image
        ("vignette", "f4"),  # share of the light that is lost at the edge of the field
        ("tint", "f4", 3),
        ("marker", "?"),
        ("lesions", SPOT, N_SLOTS),
        ("distractors", SPOT, N_DISTRACTORS),
        ("seed", "i8"),  # of vessels, sites, mottling and grain
    ]
)

_GRID = np.arange(SIZE, dtype=np.float32)
_BOX = np.arange(-4, 5)  # a spot fits into these pixels around its centre


def draw(scene: Any, vessels: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Paint one scene.

    Parameters
    ----------
    scene : one record of dtype :data:`SCENE`
    vessels : what :func:`vessel_cover` says of the scene

    Returns
    -------
    image : (3, 96, 96) uint8
    bits : (96, 96) uint8, bit s set where structure s of :data:`STRUCTURES` is
    labels : (96, 96) int8, number of the lesion that a pixel shows, :data:`NO_LESION` elsewhere
    """
    inside = _disc_cover((scene["x"], scene["y"]), scene["radius"], 1.0)
    picture = _retina(scene)
    picture = _with_vessels(_with_disc(picture, scene), vessels)
    bits = _structure_bits(scene, inside, vessels)
    for look, spot in zip(DISTRACTOR_LOOKS, scene["distractors"], strict=True):
        if spot["present"]:
            bits[_paint(picture, spot, LOOKS[look])] |= 1 << STRUCTURES.index("distractors")
    labels = np.full((SIZE, SIZE), NO_LESION, dtype=np.int8)
    for number, spot in enumerate(scene["lesions"]):
        if spot["present"]:
            labels[_paint(picture, spot, lesion_look(spot))] = number
    return _photograph(picture, inside, scene), bits, labels


def lesion_look(spot: Any) -> Look:
    """Size, opacity and colour of a lesion: by its kind, and whether it is a faint one."""
    return LOOKS[("faint " if spot["faint"] else "") + KINDS[spot["kind"]]]


def _stream(scene: Any, what: str) -> np.random.Generator:
    """Vessels, sites, mottling and grain have random numbers of their own, so that a change to one leaves the others alone."""
    return np.random.default_rng([scene["seed"], ("vessels", "sites", "mottling", "grain").index(what)])


def _disc_cover(centre: Any, radius: float, edge: float) -> np.ndarray:
    """Share of each pixel inside a circle whose edge is ``edge`` pixels wide, (96, 96)."""
    distance = np.sqrt(_squared_distance(centre))
    return np.minimum(np.maximum((radius - distance) * np.float32(1 / edge) + np.float32(0.5), 0), 1)


def _squared_distance(centre: Any) -> np.ndarray:
    """Of every pixel from a point, (96, 96)."""
    x, y = np.asarray(centre, dtype=np.float32)
    return (_GRID - x) ** 2 + ((_GRID - y) ** 2)[:, None]


def _channels(colour: Colour) -> np.ndarray:
    """A colour as (3, 1, 1), to be combined with a picture (3, 96, 96)."""
    return np.array(colour, dtype=np.float32)[:, None, None]


def _blend(picture: np.ndarray, colour: Colour, share: np.ndarray) -> np.ndarray:
    """``colour`` laid over a picture (3, 96, 96) with an opacity per pixel."""
    return picture + share * (_channels(colour) - picture)


def _retina(scene: Any) -> np.ndarray:
    """Mottled ground with the dark macula, where sight is sharpest."""
    coarse = _stream(scene, "mottling").normal(0, 1, (2, 14, 14))
    mottling = _STRETCH @ coarse.astype(np.float32) @ _STRETCH.T
    ground = _channels(RETINA) * (1 + 0.055 * mottling[0])
    ground[1] *= 1 + 0.05 * mottling[1]
    return _blend(ground, MACULA, 0.62 * _bell(scene["macula"], MACULA_RADIUS))


def _bell(centre: Any, sd: float) -> np.ndarray:
    """1 at a point, falling off like a normal density, (96, 96)."""
    across, down = (np.exp(-((_GRID - np.float32(at)) ** 2) / np.float32(2 * sd**2)) for at in centre)
    return down[:, None] * across


def _stretching() -> np.ndarray:
    """Matrix (96, 14) that turns 14 numbers into a smooth curve of 96: normalised bells."""
    centres = np.linspace(-4, SIZE + 3, 14)
    bells = np.exp(-((np.arange(SIZE)[:, None] - centres) ** 2) / (2 * 5.0**2))
    return (bells / np.sqrt((bells**2).sum(axis=1, keepdims=True))).astype(np.float32)


_STRETCH = _stretching()


def _with_disc(picture: np.ndarray, scene: Any) -> np.ndarray:
    """The optic disc, where the nerve enters: a bright circle with a soft edge and a paler cup."""
    (x, y), radius = scene["disc"], scene["disc_radius"]
    picture = _blend(picture, DISC, 0.22 * _bell(scene["disc"], 1.5 * radius))
    picture = _blend(picture, DISC, 0.9 * _disc_cover(scene["disc"], radius, 2.5))
    return _blend(picture, CUP, 0.9 * _disc_cover((x - 0.8 * scene["side"], y), 0.5 * radius, 2.5))


def _with_vessels(picture: np.ndarray, vessels: np.ndarray) -> np.ndarray:
    for cover, colour in zip(vessels, (ARTERY, VEIN, SHEEN), strict=True):
        picture = _blend(picture, colour, cover)
    return picture


def _structure_bits(scene: Any, inside: np.ndarray, vessels: np.ndarray) -> np.ndarray:
    """Where field, disc, macula, vessels and the marker are."""
    field = inside >= 0.5
    disc = _disc_cover(scene["disc"], scene["disc_radius"], 1.0) >= 0.5
    macula = _disc_cover(scene["macula"], MACULA_RADIUS, 1.0) >= 0.5
    found = np.zeros((SIZE, SIZE), dtype=np.uint8)
    for s, where in enumerate((field, disc, macula, field & (_any(vessels) >= 0.15))):
        found |= where.astype(np.uint8) << s
    if scene["marker"]:
        found[_MARKER] |= 1 << STRUCTURES.index("marker")
    return found


def _paint(picture: np.ndarray, spot: Any, look: Look) -> tuple[np.ndarray, np.ndarray]:
    """Lay one spot, an ellipse, over the picture in place; returns the pixels of which it covers at least an eighth."""
    rows, columns = round(float(spot["y"])) + _BOX[:, None], round(float(spot["x"])) + _BOX
    right, down = columns - spot["x"], rows - spot["y"]
    cos, sin = np.cos(spot["turn"]), np.sin(spot["turn"])
    low, high = look.radius
    radius = low + spot["size"] * (high - low)
    distance = np.hypot(right * cos + down * sin, (down * cos - right * sin) / spot["aspect"])
    cover = np.clip(radius - distance + 0.5, 0, 1)
    hit = np.nonzero(cover >= 1 / 8)
    where = rows[hit[0], 0], columns[hit[1]]
    low, high = look.opacity
    opacity = cover[hit] * (low + spot["strength"] * (high - low))
    pixels = picture[:, *where]
    picture[:, *where] = pixels + opacity * (_channels(look.colour)[:, 0] - pixels)
    return where


def _photograph(picture: np.ndarray, inside: np.ndarray, scene: Any) -> np.ndarray:
    """Light that falls off to the edge, a colour cast, the dark surround, the marker and grain: (3, 96, 96) uint8."""
    level, right, down = scene["light"]
    from_centre = _squared_distance((scene["x"], scene["y"])) / scene["radius"] ** 2
    across = np.linspace(-0.5, 0.5, SIZE, dtype=np.float32)
    light = (level + right * across + down * across[:, None]) * (1 - scene["vignette"] * from_centre)
    lit = picture * light * scene["tint"][:, None, None]
    image = _channels(SURROUND) + inside * (lit - _channels(SURROUND))
    if scene["marker"]:
        image[:, *_MARKER] = _MARKER_GREYS
    grain = _stream(scene, "grain").integers(-5, 6, size=image.shape, dtype=np.int8)
    return np.minimum(np.maximum(image + grain + np.float32(0.5), 0), 255).astype(np.uint8)


_MARKER = (slice(86, 93), slice(84, 93))
_MARKER_GREYS = np.full((7, 9), 208, dtype=np.float32)  # a stamp: a pale plate with two dark bars
_MARKER_GREYS[2:5, 2:4] = _MARKER_GREYS[2:5, 5:7] = 40


# --- the vessels ----------------------------------------------------------------------------------------------------


def vessel_cover(scene: Any) -> np.ndarray:
    """Opacity of arteries, of veins and of the light that large vessels reflect, (3, 96, 96), anti-aliased."""
    rng = _stream(scene, "vessels")
    canvas = Image.new("RGB", (SIZE * OVERSAMPLING, SIZE * OVERSAMPLING))
    pen = ImageDraw.Draw(canvas)
    trunks = _trunks(rng)
    branches = _side_shoots(trunks, 3, (12, 26), rng)
    twigs = _side_shoots(branches, 1, (6, 13), rng)
    for tubes, opacity in ((twigs, 130), (branches, 175), (trunks, 225)):
        _fill(pen, scene, tubes, opacity)
    _sheen(pen, scene, trunks)
    return np.asarray(canvas.reduce(OVERSAMPLING)).transpose(2, 0, 1) / np.float32(255)


class Tubes(NamedTuple):
    """Vessels as center lines, seen from the disc with the macula to the right.

    points (k, steps, 2), headings (k, steps) in radians, widths (k, steps) in pixels, veins (k,) bool
    """

    points: np.ndarray
    headings: np.ndarray
    widths: np.ndarray
    veins: np.ndarray


_STEPS = 15
_ALONG = np.linspace(0, 1, _STEPS)
# four pairs of vessels, up and down: two arch around the macula, two run to the nose; degrees and pixels
_HEADINGS = np.radians([72, -72, 128, -128])
_BENDS = np.radians([-100, 100, 38, -38])
_LENGTHS = np.array([68, 68, 34, 34])


def _trunks(rng: np.random.Generator) -> Tubes:
    """An artery and a vein for each of the four quarters, close together, at times crossing."""
    veins = np.arange(8) >= 4
    apart = rng.choice([-1, 1], 4) * rng.uniform(0.08, 0.2, 4)
    headings = np.tile(_HEADINGS, 2) + np.concatenate([apart, -apart]) + rng.normal(0, 0.08, 8)
    bends = np.tile(_BENDS, 2) * rng.uniform(0.85, 1.15, 8)
    widths = np.where(veins, 2.5, 1.8) * rng.uniform(0.85, 1.1, 8)
    starts = rng.uniform(-1.2, 1.2, (8, 2))
    return _grow(starts, headings, bends, np.tile(_LENGTHS, 2) * rng.uniform(0.9, 1.1, 8), widths, veins, rng)


def _any(vessels: np.ndarray) -> np.ndarray:
    """Opacity of vessels of any sort, (96, 96)."""
    return vessels[0] + vessels[1] + vessels[2]


def _side_shoots(parents: Tubes, each: int, lengths: tuple[float, float], rng: np.random.Generator) -> Tubes:
    """``each`` branches of every vessel, to alternating sides, thinner than the vessel where they leave it."""
    k = np.repeat(np.arange(len(parents.veins)), each)
    at = 3 + (np.tile(np.arange(each), len(parents.veins)) * 9 // each + rng.integers(0, 4, len(k)))
    side = np.where((np.arange(len(k)) + rng.integers(2)) % 2 == 0, 1.0, -1.0)
    headings = parents.headings[k, at] + side * rng.uniform(0.5, 0.95, len(k))
    widths = np.maximum(parents.widths[k, at] * rng.uniform(0.55, 0.75, len(k)), 0.55)
    bends = -side * rng.uniform(0.1, 0.8, len(k))
    return _grow(parents.points[k, at], headings, bends, rng.uniform(*lengths, len(k)), widths, parents.veins[k], rng)


def _grow(starts: Any, headings: Any, bends: Any, lengths: Any, widths: Any, veins: Any, rng: np.random.Generator) -> Tubes:
    """Walk from each start: the heading turns by ``bends`` along the way and wavers a little; the width tapers."""
    waver = np.cumsum(rng.normal(0, 0.09, (len(veins), _STEPS)), axis=1)
    heading = headings[:, None] + bends[:, None] * _ALONG + waver
    step = (lengths / (_STEPS - 1))[:, None]
    moves = np.stack([np.cos(heading) * step, -np.sin(heading) * step], axis=-1)
    points = starts[:, None] + np.cumsum(moves, axis=1) - moves[:, :1]
    return Tubes(points, heading, np.maximum(widths[:, None] * (1 - 0.6 * _ALONG), 0.5), veins)


def _fill(pen: ImageDraw.ImageDraw, scene: Any, tubes: Tubes, opacity: int) -> None:
    """Draw each vessel as a polygon: out along one side, back along the other; arteries first, so that veins cross over them."""
    across = np.stack([np.sin(tubes.headings), np.cos(tubes.headings)], axis=-1) * (tubes.widths / 2)[..., None]
    outlines = np.concatenate([tubes.points + across, (tubes.points - across)[:, ::-1]], axis=1)
    corners = _on_canvas(outlines, scene).reshape(len(outlines), -1).tolist()
    for k in np.argsort(tubes.veins, kind="stable"):
        pen.polygon(corners[k], fill=(0, opacity, 0) if tubes.veins[k] else (opacity, 0, 0))


def _sheen(pen: ImageDraw.ImageDraw, scene: Any, trunks: Tubes) -> None:
    """A thin light line along the middle of the first half of each trunk."""
    lines = _on_canvas(trunks.points[:, 2:9], scene).reshape(len(trunks.veins), -1).tolist()
    for line, vein in zip(lines, trunks.veins, strict=True):
        pen.line(line, fill=(0, 150, 90) if vein else (120, 0, 110), width=2)


def _on_canvas(points: np.ndarray, scene: Any) -> np.ndarray:
    """From the disc's coordinates, macula to the right, to those of the large canvas."""
    return (scene["disc"] + points * [scene["side"], 1] + 0.5) * OVERSAMPLING


# --- where spots may lie --------------------------------------------------------------------------------------------


def place_spots(scene: Any, vessels: np.ndarray) -> None:
    """Choose in place where lesions and distractors lie: apart from each other, off vessels, disc and the macula's centre."""
    free = _free_ground(scene, vessels)
    rng = _stream(scene, "sites")
    rows, columns = np.nonzero(free)
    order = rng.permutation(len(rows))
    candidates = np.column_stack([columns[order], rows[order]]) + rng.uniform(-0.5, 0.5, (len(order), 2))
    chosen = _apart(candidates, N_SITES)
    for name, places in (("lesions", chosen[:N_SLOTS]), ("distractors", chosen[N_SLOTS:])):
        scene[name]["x"], scene[name]["y"] = places.T


def _free_ground(scene: Any, vessels: np.ndarray) -> np.ndarray:
    free = _disc_cover((scene["x"], scene["y"]), scene["radius"] - 6, 1.0) > 0.5
    free &= _disc_cover(scene["disc"], scene["disc_radius"] + 4, 1.0) < 0.5
    free &= _disc_cover(scene["macula"], 4.0, 1.0) < 0.5
    return free & ~binary_dilation(_any(vessels) > 0.35, _NEAR)


_NEAR = np.hypot(*np.mgrid[-1:2, -1:2]) <= 1
# how many candidates to try, and the least distance between the centres of two spots: shorter where there is no room
_ATTEMPTS = ((250, 8.5), (SIZE**2, 8.5), (SIZE**2, 7.75), (SIZE**2, 7.0))


def _apart(candidates: np.ndarray, n: int) -> np.ndarray:
    """The first ``n`` candidates that keep their distance from those before them, (n, 2)."""
    for tried, least in _ATTEMPTS:
        chosen: list[np.ndarray] = []
        left = candidates[:tried]
        while len(left) and len(chosen) < n:
            chosen.append(left[0])
            left = left[np.hypot(*(left - left[0]).T) >= least]
        if len(chosen) == n:
            return np.array(chosen)
    raise RuntimeError(f"no room for {n} spots on this retina.")
