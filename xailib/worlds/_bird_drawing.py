"""How a bird is drawn: twenty species made of parts, a palette canvas, and the pixels each part covers.

A scene is one record of :data:`SCENE`: who is drawn, where, on what, in which light. :func:`draw` paints it four times too
large on a canvas of colour numbers, so that a single picture gives both the colours and the part that each pixel shows.
Lengths are pixels of the finished 64 x 64 image, y points down, and birds are designed facing right, around (0, 0).
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
from PIL import Image, ImageDraw
from scipy.spatial import ConvexHull

SIZE = 64
OVERSAMPLING = 4
PARTS = ("beak", "crest", "wing", "tail", "legs", "body")
REMOVABLE = PARTS[:-1]
LEAF, MARKER = len(PARTS), len(PARTS) + 1  # what may lie over a bird, numbered after the parts
BACKGROUNDS = ("meadow", "beach", "forest", "dusk", "lake", "snow")
NOTHING = -1

Colour = tuple[int, int, int]

RGB: dict[str, Colour] = {
    "red": (204, 57, 51),
    "blue": (63, 116, 196),
    "brown": (146, 100, 66),
    "green": (74, 152, 82),
    "golden": (236, 178, 50),
    "yellow": (250, 214, 62),
    "orange": (243, 130, 36),
    "pink": (240, 132, 160),
    "purple": (136, 74, 166),
    "black": (42, 42, 52),
    "white": (248, 246, 238),
}
OUTLINE: Colour = (40, 34, 40)


class Species(NamedTuple):
    """The look of one species: one value per part, in the order of :data:`PARTS`."""

    name: str
    family: str
    beak: str
    crest: str
    wing: str
    tail: str
    legs: str
    body: str

    def value(self, part: str) -> str:
        """What this species' part is like, for example ``"striped"`` for the wing."""
        return str(getattr(self, part))


class Family(NamedTuple):
    """Four species: two pivot parts with two values each; everything else is shared."""

    name: str
    members: tuple[str, str, str, str]
    shared: dict[str, str]
    pivots: dict[str, tuple[str, str]]


FAMILIES = (
    Family(
        "finch",
        ("acorn", "bramble", "clover", "dusk"),
        {"body": "red", "crest": "swept", "tail": "black", "legs": "orange"},
        {"beak": ("hooked yellow", "pointed yellow"), "wing": ("plain", "striped")},
    ),
    Family(
        "jay",
        ("ember", "fern", "glade", "hazel"),
        {"body": "blue", "beak": "pointed yellow", "tail": "yellow", "legs": "black"},
        {"wing": ("spotted", "banded"), "crest": ("spiky", "round")},
    ),
    Family(
        "wren",
        ("iris", "juniper", "kelp", "lilac"),
        {"body": "brown", "beak": "long black", "wing": "plain", "legs": "pink"},
        {"crest": ("swept", "spiky"), "tail": ("yellow", "black")},
    ),
    Family(
        "lory",
        ("maple", "nettle", "opal", "pebble"),
        {"body": "green", "beak": "hooked yellow", "crest": "round", "wing": "banded"},
        {"tail": ("red", "purple"), "legs": ("orange", "blue")},
    ),
    Family(
        "lark",
        ("quartz", "rowan", "sable", "thistle"),
        {"body": "golden", "crest": "spiky", "wing": "striped", "tail": "purple"},
        {"legs": ("pink", "black"), "beak": ("long red", "long black")},
    ),
)


def _species_of(family: Family) -> Iterator[Species]:
    (first, first_values), (second, second_values) = family.pivots.items()
    for k, member in enumerate(family.members):
        pivots = {first: first_values[k // 2], second: second_values[k % 2]}
        yield Species(f"{member} {family.name}", family.name, **family.shared, **pivots)


SPECIES: tuple[Species, ...] = tuple(species for family in FAMILIES for species in _species_of(family))

SCENE = np.dtype(
    [
        ("species", "i2"),
        ("part_from", "i2", len(PARTS)),  # the species each part is taken from
        ("present", "?", len(PARTS)),
        ("covered", "?", len(PARTS)),  # by a leaf
        ("marker", "?"),
        ("background", "i2"),
        ("x", "f4"),  # centre of the bird, pixels
        ("y", "f4"),
        ("scale", "f4"),
        ("tilt", "f4"),  # radians
        ("faces_left", "?"),
        ("light", "f4", 3),  # level, and its slope to the right and down over the whole image
        ("tint", "f4", 3),
        ("seed", "i8"),  # of clouds, flowers, flakes and grain
    ]
)


class Stroke(NamedTuple):
    """One filled polygon: corner points in pixels, colour, and the part it belongs to (:data:`NOTHING` for scenery)."""

    points: np.ndarray
    colour: Colour
    part: int
    outlined: bool = False


def draw(scene: Any) -> tuple[np.ndarray, np.ndarray]:
    """Paint one scene.

    Parameters
    ----------
    scene : one record of dtype :data:`SCENE`

    Returns
    -------
    image : (3, 64, 64) uint8
    bits : (64, 64) uint8, bit p set where part p is visible in at least one sixteenth of the pixel
    """
    scenery_rng, grain_rng = np.random.default_rng(scene["seed"]).spawn(2)
    strokes = [*_scenery(scene, scenery_rng), *_bird(scene), *_cover(scene)]
    colours, bits = _rasterise(strokes)
    return _photograph(colours, scene, grain_rng), bits


def _rasterise(strokes: list[Stroke]) -> tuple[np.ndarray, np.ndarray]:
    """Colours (64, 64, 3) and part bits (64, 64) of polygons painted one over the other."""
    canvas = Image.new("L", (SIZE * OVERSAMPLING, SIZE * OVERSAMPLING))
    pen = ImageDraw.Draw(canvas)
    outline = len(strokes)  # colour numbers: a stroke's own, then one outline per part
    for number, (points, _, part, outlined) in enumerate(strokes):
        corners = (points * OVERSAMPLING).ravel().tolist()
        if outlined:
            pen.line(corners + corners[:4], fill=outline + part, width=6)
        pen.polygon(corners, fill=number)
    palette = [s.colour for s in strokes] + [OUTLINE] * (MARKER + 1)
    parts = np.array([s.part for s in strokes] + list(range(MARKER + 1)))
    canvas.putpalette(np.array(palette, dtype=np.uint8).ravel().tolist())
    return np.asarray(canvas.convert("RGB").reduce(OVERSAMPLING)), _part_bits(np.asarray(canvas), parts)


def _part_bits(canvas: np.ndarray, parts: np.ndarray) -> np.ndarray:
    """One bit per part for every finished pixel that shows some of it."""
    bit = np.where(parts == NOTHING, 0, 1 << np.maximum(parts, 0)).astype(np.uint8)
    blocks = bit[canvas].reshape(SIZE, OVERSAMPLING, SIZE, OVERSAMPLING)
    return np.bitwise_or.reduce(np.bitwise_or.reduce(blocks, axis=1), axis=2)  # rows first: contiguous, so faster


def _photograph(colours: np.ndarray, scene: Any, rng: np.random.Generator) -> np.ndarray:
    """Light that varies over the picture, a colour cast and grain: (3, 64, 64) uint8."""
    level, right, down = scene["light"]
    across = np.linspace(-0.5, 0.5, SIZE, dtype=np.float32)
    light = level + right * across + down * across[:, None]
    image = colours.transpose(2, 0, 1) * light * scene["tint"][:, None, None]
    grain = rng.integers(-6, 7, size=image.shape, dtype=np.int8)
    return np.clip(image + grain + 0.5, 0, 255).astype(np.uint8)


# --- the bird -------------------------------------------------------------------------------------------------------


def _bird(scene: Any) -> list[Stroke]:
    """The bird's strokes, placed in the image: farthest parts first."""
    place = _placement(scene)
    strokes: list[Stroke] = []
    for part in ("tail", "legs", "crest", "body", "wing", "beak"):
        p = PARTS.index(part)
        if scene["present"][p]:
            species = SPECIES[scene["part_from"][p]]
            body = SPECIES[scene["part_from"][PARTS.index("body")]].body
            strokes += [s._replace(points=place(s.points)) for s in _part(part, species.value(part), body)]
    return strokes


def _placement(scene: Any) -> Any:
    """The map from the bird's own coordinates to the image: mirror, turn, scale, shift."""
    cos, sin = np.cos(scene["tilt"]), np.sin(scene["tilt"])
    matrix = scene["scale"] * np.array([[cos, sin], [-sin, cos]])
    if scene["faces_left"]:
        matrix = matrix * [-1, 1]
    shift = np.array([scene["x"], scene["y"]])
    return lambda points: (points - _MIDDLE) @ matrix + shift


@cache
def _part(part: str, value: str, body: str) -> tuple[Stroke, ...]:
    """Strokes of one part, in the bird's own coordinates; the wing takes its ground colour from the body."""
    p = PARTS.index(part)
    if part == "body":
        return _body(RGB[value], p)
    if part == "wing":
        return _wing(value, _mix(RGB[body], RGB["black"], 0.55), p)
    if part == "tail":
        return tuple(Stroke(feather, RGB[value], p, outlined=True) for feather in _TAIL)
    if part == "legs":
        return tuple(Stroke(leg, RGB[value], p, outlined=True) for leg in _LEGS)
    if part == "crest":
        return tuple(Stroke(tuft, RGB["pink"], p, outlined=True) for tuft in _CRESTS[value])
    shape, colour = value.split()
    return tuple(Stroke(half, RGB[colour], p, outlined=True) for half in _BEAKS[shape])


def _mix(a: Colour, b: Colour, share: float) -> Colour:
    """The colour ``share`` of the way from ``a`` to ``b``."""
    red, green, blue = (round((1 - share) * x + share * y) for x, y in zip(a, b, strict=True))
    return red, green, blue


def _ellipse(x: float, y: float, rx: float, ry: float, turn_degrees: float = 0.0, corners: int = 28) -> np.ndarray:
    angle, turn = np.linspace(0, 2 * np.pi, corners, endpoint=False), np.radians(turn_degrees)
    flat = np.column_stack([rx * np.cos(angle), ry * np.sin(angle)])
    return flat @ [[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]] + [x, y]


def _body(colour: Colour, part: int) -> tuple[Stroke, ...]:
    """Trunk and head as one shape, a pale belly, an eye."""
    trunk, head = _ellipse(-1, 3, 13.5, 10, -22), _ellipse(9, -8, 7.8, 7.6)
    return (
        Stroke(trunk, colour, part, outlined=True),
        Stroke(head, colour, part, outlined=True),
        Stroke(trunk, colour, part),  # again, over the outline of the head
        Stroke(_ellipse(4, 6, 8, 5.5, -30), _mix(colour, RGB["white"], 0.45), part),
        Stroke(_ellipse(11.2, -9.5, 2.9, 2.9, corners=16), RGB["white"], part),
        Stroke(_ellipse(11.9, -9.3, 1.7, 1.7, corners=12), RGB["black"], part),
    )


def _wing(pattern: str, colour: Colour, part: int) -> tuple[Stroke, ...]:
    """A folded wing: a leaf from shoulder to tip, and a pale pattern on it."""
    marks = tuple(Stroke(mark, RGB["white"], part) for mark in _WING_MARKS[pattern])
    return (Stroke(_on_wing(_WING_EDGE), colour, part, outlined=True), *marks)


def _on_wing(points: Any) -> np.ndarray:
    """From wing coordinates (t: 0 shoulder to 1 tip, v: -1 upper to 1 lower edge) to the bird's."""
    t, v = np.asarray(points, dtype=float).T
    axis = np.array([5.0, -1.0]) + t[:, None] * np.array([-22.0, 8.0])
    half_width = 6.6 * np.sin(np.pi * t**0.62)
    return axis + (v * half_width)[:, None] * np.array([0.342, 0.940])


def _strip(t: tuple[float, float], v: tuple[float, float]) -> np.ndarray:
    """The patch of wing between two lengthwise and two crosswise positions, with bent sides."""
    along = np.linspace(*t, 9)
    upper, lower = np.column_stack([along, np.full(9, v[0])]), np.column_stack([along, np.full(9, v[1])])
    return _on_wing(np.vstack([upper, lower[::-1]]))


def _spot(t: float, v: float) -> np.ndarray:
    x, y = _on_wing([[t, v]])[0]
    return _ellipse(x, y, 1.35, 1.35, corners=12)


_MIDDLE = np.array([1.75, 0.0])  # half-way between the tip of the tail and the tip of the longest beak
_EDGE_T = np.linspace(0, 1, 15)
_WING_EDGE = np.vstack([np.column_stack([_EDGE_T, -np.ones(15)]), np.column_stack([_EDGE_T, np.ones(15)])[::-1]])
_SPOTS = ((0.2, -0.35), (0.2, 0.4), (0.42, 0.0), (0.42, -0.7), (0.42, 0.7), (0.64, -0.4), (0.64, 0.4))
_WING_MARKS: dict[str, tuple[np.ndarray, ...]] = {
    "plain": (),
    "striped": tuple(_strip((0.12, 0.88), (v - 0.13, v + 0.13)) for v in (-0.55, 0.0, 0.55)),
    "spotted": tuple(_spot(t, v) for t, v in _SPOTS),
    "banded": (_strip((0.2, 0.36), (-0.85, 0.85)), _strip((0.52, 0.68), (-0.85, 0.85))),
}
_TAIL = (
    np.array([(-9, -1), (-22, -9), (-25, -4), (-10, 4)], dtype=float),
    np.array([(-9, 3), (-24, 7), (-21, 11), (-8, 8)], dtype=float),
    np.array([(-9, 0), (-26, -3), (-26.5, 4), (-9, 6)], dtype=float),
)
_LEGS = tuple(
    np.array([(x, 10), (x + 2.2, 10), (x + 2.2, 18.6), (x + 6, 20.8), (x + 5.4, 22.4), (x - 1.6, 21.2), (x - 1.4, 19.8), (x, 19)])
    for x in (-2.5, 4.5)
)
_SWEPT = np.array([(12, -13), (9, -17.5), (3, -20), (-5, -19.5), (-2.5, -16.5), (-7, -13.5), (-1, -12.5), (4, -10)])
_CRESTS: dict[str, tuple[np.ndarray, ...]] = {
    "spiky": tuple(
        np.array([(x - 2.6, -13), (x + lean, -23.5 + drop), (x + 2.6, -13)], dtype=float)
        for x, lean, drop in [(4.5, -4.5, 3), (8.5, -1, 0), (12, 3, 3)]
    ),
    "round": (_ellipse(8.5, -18.2, 4.6, 4.6, corners=20),),
    "swept": (_SWEPT,),
}
_BEAKS: dict[str, tuple[np.ndarray, ...]] = {
    "pointed": (np.array([(15, -11.5), (25, -8), (15, -5)], dtype=float),),
    "hooked": (np.array([(14.5, -13), (19.5, -13), (23, -10), (23.8, -5.5), (22, -1.5), (20.2, -5), (15, -4.5)], dtype=float),),
    "long": (np.array([(15.5, -11), (22, -9.5), (27.5, -5), (30, 1.5), (25.5, -2.2), (21, -5.4), (15.5, -6.4)], dtype=float),),
}


# --- scenery, leaves and the marker ---------------------------------------------------------------------------------


class Landscape(NamedTuple):
    """Sky from top to horizon, ground, and small things scattered on one of them."""

    sky: tuple[Colour, Colour]
    ground: Colour
    scatter: Colour
    on_sky: bool
    how_many: int
    radii: tuple[float, float]


_LANDSCAPES = {
    "meadow": Landscape(((150, 203, 238), (214, 236, 246)), (126, 186, 92), (250, 240, 150), False, 10, (0.9, 0.9)),
    "beach": Landscape(((120, 200, 214), (206, 240, 236)), (236, 214, 168), (214, 182, 132), False, 8, (1.6, 0.8)),
    "forest": Landscape(((44, 84, 66), (92, 132, 90)), (88, 82, 58), (62, 54, 46), True, 5, (2.0, 40.0)),
    "dusk": Landscape(((118, 92, 148), (250, 184, 140)), (96, 70, 92), (255, 226, 190), True, 3, (6.0, 1.2)),
    "lake": Landscape(((186, 214, 226), (226, 238, 240)), (92, 150, 180), (160, 204, 220), False, 8, (4.5, 0.7)),
    "snow": Landscape(((176, 190, 208), (216, 224, 234)), (246, 248, 252), (255, 255, 255), True, 22, (1.2, 1.2)),
}


def _scenery(scene: Any, rng: np.random.Generator) -> list[Stroke]:
    """Sky in six bands, scattered things behind or on wavy ground."""
    land = _LANDSCAPES[BACKGROUNDS[scene["background"]]]
    horizon = rng.uniform(38, 50)
    edges = np.linspace(0, horizon + 4, 7)
    sky = [
        Stroke(np.array([(0, top), (SIZE, top), (SIZE, bottom), (0, bottom)]), _mix(*land.sky, k / 5), NOTHING)
        for k, (top, bottom) in enumerate(pairwise(edges))
    ]
    across = np.linspace(0, SIZE, 9)
    hills = horizon + 2 * np.sin(across / rng.uniform(6, 12) + rng.uniform(0, 6))
    ground = Stroke(np.vstack([np.column_stack([across, hills]), [(SIZE, SIZE), (0, SIZE)]]), land.ground, NOTHING)
    low, high = (0, horizon) if land.on_sky else (horizon + 3, SIZE)
    places = np.column_stack([rng.uniform(0, SIZE, land.how_many), rng.uniform(low, high, land.how_many)])
    scattered = [Stroke(_ellipse(x, y, *land.radii, corners=10), land.scatter, NOTHING) for x, y in places]
    return [*sky, *scattered, ground] if land.on_sky else [*sky, ground, *scattered]


def _cover(scene: Any) -> list[Stroke]:
    """Leaves over the covered parts, and the marker in the corner."""
    place = _placement(scene)
    covered = np.flatnonzero(scene["covered"])
    leaves = [Stroke(place(_leaf(PARTS[p])), (58, 110, 62), LEAF, outlined=True) for p in covered]
    return [*leaves, *_MARKER] if scene["marker"] else leaves


def _box(x: float, y: float, width: float, height: float) -> np.ndarray:
    return np.array([(x, y), (x + width, y), (x + width, y + height), (x, y + height)], dtype=float)


_MARKER = (
    Stroke(_box(3, 3, 9, 9), RGB["white"], MARKER, outlined=True),
    Stroke(_box(5, 5, 2, 5), OUTLINE, MARKER),
)


@cache
def _leaf(part: str) -> np.ndarray:
    """A leaf two pixels larger on all sides than the part of any species, so that it hides the part and tells nothing of it."""
    points = np.vstack([s.points for species in SPECIES for s in _part(part, species.value(part), species.body)])
    reach = (points[:, None] + _ellipse(0, 0, 2, 2, corners=12)).reshape(-1, 2)
    return reach[ConvexHull(reach).vertices]
