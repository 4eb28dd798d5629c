"""Exercises of chapter 8: gradients, class activation maps, integrated gradients, and what a heat map does not prove."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np

from xailib.exercises.engine import Claim, Exercise, Mistake, WrongAnswer
from xailib.exercises.questions import Question

# --- foundations: what autograd returns ---


def slope_at_two() -> float:
    """Slope of y = 3 relu(2a - 1) + a^2 at a = 2: both paths from a to y count."""
    import torch

    a = torch.tensor(2.0, requires_grad=True)
    y = 3 * torch.relu(2 * a - 1) + a**2
    return float(torch.autograd.grad(y, a)[0])


def _check_slope(answer: float, rng: np.random.Generator) -> None:
    named: dict[float, str] = {
        13: "That is the value of y at a = 2. Its slope is asked for.",
        6: "You followed the path through relu only: a also reaches y through its square, and the paths add up.",
        4: "You followed the path through the square only: relu is open at a = 2, so that path counts too.",
        7: "The inner slope is missing: relu(2a - 1) rises by 2 for each unit of a, and the factor 3 comes on top.",
        22: "relu has slope 1 where its input is positive, whatever that input is.",
    }
    _compare_named(answer, slope_at_two(), named, "Add up the two paths: the chain rule multiplies along a path.")


def _compare_named(answer: float, truth: float, named: dict[float, str], otherwise: str) -> None:
    for value, message in named.items():
        if abs(answer - value) < 1e-6:
            raise Mistake(message)
    if abs(answer - truth) > 1e-6:
        raise Mistake(otherwise)


# --- Grad-CAM from its two ingredients ---


def gradcam_from(A: np.ndarray, G: np.ndarray) -> np.ndarray:
    """Raw Grad-CAM maps (n, h, w) from activations and gradients, both (n, k, h, w)."""
    alpha = G.mean(axis=(2, 3), keepdims=True)
    return (alpha * A).sum(axis=1)


def _loop_gradcam(A: np.ndarray, G: np.ndarray) -> np.ndarray:
    maps = np.zeros((A.shape[0], A.shape[2], A.shape[3]))
    for image in range(A.shape[0]):
        for channel in range(A.shape[1]):
            maps[image] += G[image, channel].mean() * A[image, channel]
    return maps


def _check_gradcam(answer: Callable[..., Any], rng: np.random.Generator) -> None:
    A, G = rng.normal(size=(3, 4, 5, 6)), rng.normal(size=(3, 4, 5, 6))
    M, truth = np.asarray(answer(A, G)), gradcam_from(A, G)
    if M.shape != truth.shape:
        raise Mistake(f"Three images with maps of 5 x 6 go in, so (3, 5, 6) must come out, not {M.shape}: sum over the channels.")
    mean, sum_ = G.mean(axis=(2, 3), keepdims=True), G.sum(axis=(2, 3), keepdims=True)
    likely = {
        "That is 30 times too large: alpha is the *mean* of the gradient over the places, not the sum.": (sum_ * A).sum(axis=1),
        "You cut the negative evidence off; the raw map is asked for, so that evidence against the class can be seen.": truth.clip(
            0
        ),
        "You multiplied place by place before averaging: that is HiResCAM. Grad-CAM averages the gradient first.": (G * A).sum(
            axis=1
        ),
        "You averaged over the channels; their weighted maps are summed.": truth / 4,
        "The sign of the gradient is lost: a channel that speaks against the class must count against it.": (abs(mean) * A).sum(
            axis=1
        ),
        "Activation and gradient have changed places: average the *gradient*, and weight the activation with it.": (
            A.mean(axis=(2, 3), keepdims=True) * G
        ).sum(axis=1),
        "One image's gradient leaks into another's map: average over the places only.": (
            G.mean(axis=(0, 2, 3))[:, None, None] * A
        ).sum(axis=1),
    }
    _compare_arrays(M, truth, likely, "Weight each channel by the mean of its gradient, then add the channels up.")


def _compare_arrays(answer: np.ndarray, truth: np.ndarray, likely: dict[str, np.ndarray], otherwise: str) -> None:
    for message, wrong in likely.items():
        if np.allclose(answer, wrong, atol=1e-8):
            raise Mistake(message)
    if not np.allclose(answer, truth, atol=1e-8):
        raise Mistake(otherwise)


# --- integrated gradients ---


def integrate(slope: Callable[[np.ndarray], np.ndarray], x: np.ndarray, baseline: np.ndarray, steps: int = 50) -> np.ndarray:
    """Integrated gradients (d,) along the straight line from baseline to x, by the midpoint rule."""
    alpha = (np.arange(steps) + 0.5) / steps
    points = baseline + alpha[:, None] * (x - baseline)
    return (x - baseline) * slope(points).mean(axis=0)


def _integrate_by_trapezoid(
    slope: Callable[[np.ndarray], np.ndarray], x: np.ndarray, baseline: np.ndarray, steps: int = 50
) -> np.ndarray:
    alpha = np.linspace(0, 1, steps + 1)[:, None]
    return np.trapezoid(slope(baseline + alpha * (x - baseline)), dx=1 / steps, axis=0) * (x - baseline)


def _integrate_by_loop(
    slope: Callable[[np.ndarray], np.ndarray], x: np.ndarray, baseline: np.ndarray, steps: int = 50
) -> np.ndarray:
    total, step = np.zeros(len(x)), (x - baseline) / steps
    for k in range(steps):
        total += slope((baseline + (k + 0.5) * step)[None])[0] * step
    return total


def _cubic(rng: np.random.Generator, d: int) -> tuple[Callable[..., Any], Callable[..., Any]]:
    """A score with interactions, and its slope: y = (w.x)^2 + sum(v x^3) / 3 + u.x."""
    w, v, u = rng.uniform(0.5, 1.5, size=(3, d))
    return (
        lambda X: (X @ w) ** 2 + (X**3) @ v / 3 + X @ u,
        lambda X: 2 * (X @ w)[:, None] * w + v * X**2 + u,
    )


def _check_integrate(answer: Callable[..., Any], rng: np.random.Generator) -> None:
    x, b = rng.uniform(1, 2, 4), rng.uniform(-1, 0.5, 4)
    score, slope = _cubic(rng, 4)
    got = np.asarray(answer(slope, x, b, 50))
    if got.shape != (4,):
        raise Mistake(f"One share per feature is asked for, shape (4,), not {got.shape}: average the slopes over the path.")
    alpha = ((np.arange(50) + 0.5) / 50)[:, None]
    along, from_zero = slope(b + alpha * (x - b)), slope(alpha * x)
    likely = {
        "You averaged the slopes but did not multiply by the distance travelled, x - baseline.": along.mean(axis=0),
        "You multiplied by x: the distance travelled is x - baseline.": x * along.mean(axis=0),
        "That is the slope at the end of the path times the distance; average it over the whole path.": (x - b)
        * slope(x[None])[0],
        "That is 50 times too large: average the slopes, do not add them.": (x - b) * along.sum(axis=0),
        "Your path starts at zero, not at the baseline.": x * from_zero.mean(axis=0),
        "Your distance is right, but your path starts at zero: its points are baseline + alpha (x - baseline).": (x - b)
        * from_zero.mean(axis=0),
        "You forgot to start at the baseline: its points are baseline + alpha (x - baseline).": (x - b)
        * slope(alpha * (x - b)).mean(axis=0),
        "The signs are reversed: the path runs from the baseline to x.": (b - x) * along.mean(axis=0),
    }
    for message, wrong in likely.items():
        if np.allclose(got, wrong, rtol=1e-9):
            raise Mistake(message)
    gap = score(x[None])[0] - score(b[None])[0] - got.sum()
    if abs(gap) > 5e-3:
        raise Mistake(
            f"The shares miss the score difference by {gap:.3g}: evaluate in the middle of each step, or use more points."
        )
    if not np.allclose(got, integrate(slope, x, b), atol=5e-3):
        raise Mistake("The total is right, but the shares of the single features are not: multiply feature by feature.")
    if np.allclose(got, np.asarray(answer(slope, x, b, 2)), rtol=1e-9):
        raise Mistake("Two steps and fifty give the same shares: your function does not use `steps`.")


def _middle(x: np.ndarray, baseline: np.ndarray, steps: int) -> np.ndarray:
    return baseline + (np.arange(steps)[:, None] + 0.5) / steps * (x - baseline)


# --- mass on the background ---


def background_mass(maps: np.ndarray, background: np.ndarray) -> np.ndarray:
    """Share (n,) of each map's positive relevance on the background; maps and background masks are (n, h, w)."""
    positive = np.maximum(maps, 0)
    return (positive * background).sum(axis=(1, 2)) / positive.sum(axis=(1, 2))


def _mass_by_loop(maps: np.ndarray, background: np.ndarray) -> np.ndarray:
    shares = []
    for one, behind in zip(maps, background, strict=True):
        good = one > 0
        shares.append(one[good & behind].sum() / one[good].sum())
    return np.array(shares)


def _mass_by_einsum(maps: np.ndarray, background: np.ndarray) -> np.ndarray:
    positive = np.where(maps > 0, maps, 0.0)
    return np.einsum("nhw,nhw->n", positive, background.astype(float)) / np.einsum("nhw->n", positive)


def _check_mass(answer: Callable[..., Any], rng: np.random.Generator) -> None:
    maps, behind = rng.normal(size=(5, 6, 7)), rng.random((5, 6, 7)) < 0.7
    got, truth = np.asarray(answer(maps, behind)), background_mass(maps, behind)
    if got.shape != truth.shape:
        raise Mistake(
            f"Five maps need five shares, shape (5,), not {got.shape}: sum over rows and columns, keep the images apart."
        )
    positive, size = np.maximum(maps, 0), np.abs(maps)
    inside = (positive * ~behind).sum(axis=(1, 2))
    likely = {
        "Evidence against the class counts as evidence here: drop the negative part instead of taking its size.": (
            size * behind
        ).sum(axis=(1, 2))
        / size.sum(axis=(1, 2)),
        "Negative values cancel positive ones in your sums, so the result is no share: drop them first.": (maps * behind).sum(
            axis=(1, 2)
        )
        / maps.sum(axis=(1, 2)),
        "You divided by the size of all relevance; the whole is the *positive* relevance.": truth
        * positive.sum(axis=(1, 2))
        / size.sum(axis=(1, 2)),
        "That is the share on the bird; the background is asked for.": 1 - truth,
        "That is background over bird; a share divides by the whole.": truth * positive.sum(axis=(1, 2)) / inside,
        "You counted pixels; relevance mass weighs each pixel by its relevance.": ((maps > 0) & behind).mean(axis=(1, 2))
        / (maps > 0).mean(axis=(1, 2)),
    }
    _compare_arrays(
        got, truth, likely, "Positive relevance on the background, divided by all positive relevance of the same map."
    )


# --- occlusion ---


def occlusion_map(score: Callable[[np.ndarray], np.ndarray], image: np.ndarray, size: int, fill: float = 0.5) -> np.ndarray:
    """Drop of the score when each size x size square of the image (c, h, w) is painted over, shape (h / size, w / size)."""
    rows, columns = image.shape[1] // size, image.shape[2] // size
    painted = np.repeat(image[None], rows * columns, axis=0)
    for k in range(rows * columns):
        top, left = size * (k // columns), size * (k % columns)
        painted[k, :, top : top + size, left : left + size] = fill
    return (score(image[None]) - score(painted)).reshape(rows, columns)


def _occlusion_one_by_one(
    score: Callable[[np.ndarray], np.ndarray], image: np.ndarray, size: int, fill: float = 0.5
) -> np.ndarray:
    drops = np.empty((image.shape[1] // size, image.shape[2] // size))
    for i, j in np.ndindex(*drops.shape):
        painted = image.copy()
        painted[:, i * size : (i + 1) * size, j * size : (j + 1) * size] = fill
        drops[i, j] = score(image[None])[0] - score(painted[None])[0]
    return drops


def _occlusion_by_mask(score: Callable[[np.ndarray], np.ndarray], image: np.ndarray, size: int, fill: float = 0.5) -> np.ndarray:
    h, w = image.shape[1] // size, image.shape[2] // size
    squares = np.kron(np.eye(h * w).reshape(h * w, h, w), np.ones((1, size, size))) > 0
    return (score(image[None]) - score(np.where(squares[:, None], fill, image))).reshape(h, w)


def _check_occlusion(answer: Callable[..., Any], rng: np.random.Generator) -> None:
    size, fill = int(rng.integers(2, 5)), float(rng.uniform(0.15, 0.35))
    image, weights = rng.random((3, 2 * size, 3 * size)), rng.normal(size=(3, 2 * size, 3 * size))

    def score(X: np.ndarray) -> np.ndarray:
        if np.ndim(X) != 4:
            raise Mistake(f"score takes a batch (n, channels, height, width), but got shape {np.shape(X)}: write image[None].")
        return (np.asarray(X) ** 2 * weights).sum(axis=(1, 2, 3))

    got, truth = np.asarray(answer(score, image, size, fill)), occlusion_map(score, image, size, fill)
    if got.shape != truth.shape:
        raise Mistake(f"A {2 * size} x {3 * size} image has 2 x 3 squares of size {size}, so the map is (2, 3), not {got.shape}.")
    likely = {
        "The sign is reversed: a square that matters lowers the score, and that counts as positive.": -truth,
        "These are the scores left after painting; the *drop* from the untouched score is asked for.": score(image[None]) - truth,
        "You never put the image back: each square is painted on a fresh copy.": _cumulative_drops(score, image, size, fill),
        "You painted the first channel only: hide the square in all channels.": _first_channel_drops(score, image, size, fill),
        "You painted black: the square is to be filled with `fill`.": occlusion_map(score, image, size, 0.0),
        "You painted 0.5 whatever `fill` was.": occlusion_map(score, image, size, 0.5),
    }
    _compare_arrays(
        got, truth, likely, "Paint one square at a time on a fresh copy, and subtract its score from the untouched one."
    )


def _cumulative_drops(score: Callable[..., Any], image: np.ndarray, size: int = 3, fill: float = 0.5) -> np.ndarray:
    painted, drops = image.copy(), np.empty((image.shape[1] // size, image.shape[2] // size))
    for i, j in np.ndindex(*drops.shape):
        painted[:, i * size : (i + 1) * size, j * size : (j + 1) * size] = fill
        drops[i, j] = score(image[None])[0] - score(painted[None])[0]
    return drops


def _first_channel_drops(score: Callable[..., Any], image: np.ndarray, size: int = 3, fill: float = 0.5) -> np.ndarray:
    drops = np.empty((image.shape[1] // size, image.shape[2] // size))
    for i, j in np.ndindex(*drops.shape):
        painted = image.copy()
        painted[0, i * size : (i + 1) * size, j * size : (j + 1) * size] = fill
        drops[i, j] = score(image[None])[0] - score(painted[None])[0]
    return drops


# --- how far do two networks' maps differ? ---


@cache
def _winter_birds_in_snow() -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Pictures, species, siblings and background masks, as in the chapter."""
    from xailib import worlds

    world = worlds.birds(600, shortcut="snow", random_state=1)
    truth, held_out = world.truth, np.arange(world.n_train, len(world.X))
    chosen = held_out[truth.leaked[world.y[held_out]] & (truth.landscapes[held_out] == "snow")]
    rival = np.array([truth.sibling(int(s), truth.pivots(int(s))[1]) for s in world.y[chosen]])
    return world.X[chosen], world.y[chosen], rival, truth.mask("background", chosen)


def extra_background_mass() -> float:
    """Mean background mass of HiResCAM at relu3, own minus sibling: snow network minus clean network, on the same pictures."""
    from xailib import evaluation, saliency, zoo

    winter_X, winter, rival, behind = _winter_birds_in_snow()  # in the notebook you have these already
    mass = {}
    for name in ("birds-cnn", "birds-cnn-snow"):
        maps = saliency.hirescam(zoo.load(name), winter_X, "features.relu3", winter, against=rival)
        mass[name] = evaluation.relevance_mass(maps, behind)
    return float(np.mean(mass["birds-cnn-snow"] - mass["birds-cnn"]))


@cache
def _level(name: str, layer: str = "relu3", *, method: str = "hirescam", contrast: bool = True) -> float:
    """Mean background mass of one network, by default for the question of the exercise."""
    from xailib import evaluation, saliency, zoo

    winter_X, winter, rival, behind = _winter_birds_in_snow()
    explain, against = getattr(saliency, method), rival if contrast else None
    maps = explain(zoo.load(name), winter_X, f"features.{layer}", winter, against=against)
    return float(evaluation.relevance_mass(maps, behind).mean())


def _excess(layer: str = "relu3", **question: Any) -> float:
    return _level("birds-cnn-snow", layer, **question) - _level("birds-cnn", layer, **question)


def _check_extra_mass(answer: float, rng: np.random.Generator) -> None:
    if abs(answer - _excess()) <= 0.005:
        return
    if answer < 0:
        raise Mistake("The sign is turned round: snow network minus clean network.")
    if answer > 1:
        raise Mistake("That is in percent: give the share, between 0 and 1.")
    named = [
        (_level("birds-cnn-snow"), "That is the level of the snow network; its *excess* over the clean network is asked for."),
        (_level("birds-cnn"), "That is the level of the clean network: not zero, which is why the difference is asked for."),
        (_excess(contrast=False), "That explains the own species alone: set it against the sibling with `against=rival`."),
        (_excess("relu4"), "That is relu4, where HiResCAM and Grad-CAM are one; relu3 is asked for."),
        (_excess("relu2"), "That is relu2, printed in the chapter; relu3 is asked for."),
        (_excess(method="gradcam"), "That is Grad-CAM at relu3; before the last layer HiResCAM gives another map."),
        (0.0, "Zero would mean that the two networks look at the background alike. Measure it."),
    ]
    for value, message in named:
        if abs(answer - value) <= 0.005:
            raise Mistake(message)
    raise Mistake(
        "Use relevance_mass on the background masks of the winter birds in snow, once per network, and subtract the means."
    )


def _per_place_alpha(A: np.ndarray, G: np.ndarray) -> np.ndarray:
    return (G * A).sum(axis=1)


EXERCISES = [
    Exercise(
        name="slope",
        title="Predict what autograd returns",
        level="core",
        difficulty=1,
        minutes=4,
        passes="your number is the slope",
        task=(
            "Let `y = 3 relu(2a - 1) + a²`. What does `torch.autograd.grad(y, a)` return at `a = 2`? Write your guess from paper "
            "first, then let torch compute it, as in the cell above."
        ),
        hints=(
            "In how many ways does a change of a reach y? Slopes multiply along a way and add up over the ways.",
            "At a = 2 the input of relu is 3. What is the slope of relu there?",
        ),
        reference=slope_at_two,
        check=_check_slope,
        wrong=[
            WrongAnswer(13.0, "value instead of slope", "value of y"),
            WrongAnswer(6.0, "one of two paths", "path through relu only"),
            WrongAnswer(4.0, "the other of two paths", "path through the square only"),
            WrongAnswer(7.0, "forgets the inner slope", "inner slope is missing"),
            WrongAnswer(22.0, "multiplies by relu's output", "relu has slope 1"),
            WrongAnswer(24.0, "multiplies the two paths", "Add up the two paths"),
        ],
        right=[np.array(10.0), (np.array(10.0),)],
    ),
    Exercise(
        name="gradcam",
        title="Turn activations and gradients into a map",
        level="core",
        difficulty=2,
        minutes=8,
        passes="three random layers give the raw, signed Grad-CAM maps",
        task=(
            "Write `gradcam_from(A, G)` in NumPy: activations and gradients of a layer, both arrays (n, k, h, w), become raw Grad-CAM maps (n, h, w). "
            "No ReLU, no rescaling."
        ),
        hints=(
            "Grad-CAM gives each channel of each image one number. Over which axes do you average to get it?",
            "`keepdims=True` lets the weights multiply the maps without a loop. Which axis is left to sum?",
        ),
        reference=gradcam_from,
        check=_check_gradcam,
        wrong=[
            WrongAnswer(
                lambda A, G: (G.sum(axis=(2, 3), keepdims=True) * A).sum(axis=1), "sums the gradient", "30 times too large"
            ),
            WrongAnswer(lambda A, G: gradcam_from(A, G).clip(0), "rectifies", "cut the negative evidence"),
            WrongAnswer(lambda A, G: gradcam_from(G, A), "swaps the arrays", "have changed places"),
            WrongAnswer(_per_place_alpha, "multiplies before averaging", "that is HiResCAM"),
            WrongAnswer(lambda A, G: gradcam_from(A, G) / A.shape[1], "averages the channels", "averaged over the channels"),
            WrongAnswer(
                lambda A, G: (abs(G.mean(axis=(2, 3), keepdims=True)) * A).sum(axis=1), "absolute weights", "sign of the gradient"
            ),
            WrongAnswer(
                lambda A, G: (G.mean(axis=(0, 2, 3))[:, None, None] * A).sum(axis=1),
                "averages over images",
                "One image's gradient",
            ),
            WrongAnswer(lambda A, G: G.mean(axis=(2, 3), keepdims=True) * A, "forgets the sum", "sum over the channels"),
        ],
        right=[_loop_gradcam, lambda A, G: np.einsum("nk,nkhw->nhw", G.mean(axis=(2, 3)), A)],
    ),
    Exercise(
        name="integrate",
        title="Integrate the slope and balance the books",
        level="core",
        difficulty=3,
        minutes=10,
        passes="the shares of a score with interactions add up to the score difference, and each is right",
        task=(
            "Write `integrate(slope, x, baseline, steps)`. `slope` takes points (m, d) and returns the gradient at each, (m, d); `x` and "
            "`baseline` are (d,). Return the integrated gradients, (d,), with the slopes taken in the middle of each step."
        ),
        hints=(
            "Which point lies half-way between baseline and x? And the middle of the first of ten steps?",
            "If every slope were 1, what should the shares be? That tells you what to multiply by.",
        ),
        reference=integrate,
        check=_check_integrate,
        wrong=[
            WrongAnswer(
                lambda f, x, b, n: f(_middle(x, b, n)).mean(axis=0), "forgets the distance", "distance travelled, x - baseline"
            ),
            WrongAnswer(lambda f, x, b, n: x * f(_middle(x, b, n)).mean(axis=0), "multiplies by x", "You multiplied by x"),
            WrongAnswer(lambda f, x, b, n: (x - b) * f(x[None])[0], "one slope, at the end", "slope at the end of the path"),
            WrongAnswer(lambda f, x, b, n: (x - b) * f(_middle(x, b, n)).sum(axis=0), "adds the slopes up", "50 times too large"),
            WrongAnswer(lambda f, x, b, n: integrate(f, x, 0 * x, n), "starts at zero", "path starts at zero"),
            WrongAnswer(
                lambda f, x, b, n: (x - b) * f(_middle(x, 0 * x, n)).mean(axis=0),
                "path from zero",
                "but your path starts at zero",
            ),
            WrongAnswer(
                lambda f, x, b, n: (x - b) * f(_middle(x, b, n) - b).mean(axis=0), "leaves out the start", "forgot to start"
            ),
            WrongAnswer(lambda f, x, b, n: integrate(f, x, b, 50), "ignores steps", "does not use `steps`"),
            WrongAnswer(lambda f, x, b, n: -integrate(f, x, b, n), "runs backwards", "signs are reversed"),
            WrongAnswer(
                lambda f, x, b, n: (x - b) * f(b + np.arange(n)[:, None] / n * (x - b)).mean(axis=0),
                "left ends",
                "miss the score",
            ),
            WrongAnswer(
                lambda f, x, b, n: np.full(len(x), integrate(f, x, b, n).mean()), "splits evenly", "shares of the single features"
            ),
        ],
        right=[_integrate_by_trapezoid, _integrate_by_loop],
    ),
    Exercise(
        name="background",
        title="Weigh the relevance on the background",
        level="core",
        difficulty=2,
        minutes=7,
        passes="five random signed maps get the right share",
        task=(
            "Write `background_mass(maps, background)` for signed maps and boolean masks, both (n, h, w): the share of each map's "
            "*positive* relevance that lies on the background, (n,)."
        ),
        hints=(
            "What should happen to a pixel that speaks against the class?",
            "A share is a part divided by the whole of the same map. Over which axes do both sums run?",
        ),
        reference=background_mass,
        check=_check_mass,
        wrong=[
            WrongAnswer(
                lambda M, b: (abs(M) * b).sum(axis=(1, 2)) / abs(M).sum(axis=(1, 2)),
                "absolute values",
                "Evidence against the class",
            ),
            WrongAnswer(lambda M, b: (M * b).sum(axis=(1, 2)) / M.sum(axis=(1, 2)), "signed sums", "cancel positive ones"),
            WrongAnswer(
                lambda M, b: (np.maximum(M, 0) * b).sum(axis=(1, 2)) / abs(M).sum(axis=(1, 2)),
                "divides by the size of everything",
                "divided by the size of all",
            ),
            WrongAnswer(lambda M, b: background_mass(M, ~b), "swaps the masks", "share on the bird"),
            WrongAnswer(lambda M, b: background_mass(M, b) / background_mass(M, ~b), "odds for a share", "background over bird"),
            WrongAnswer(
                lambda M, b: ((M > 0) & b).mean(axis=(1, 2)) / (M > 0).mean(axis=(1, 2)), "counts pixels", "You counted pixels"
            ),
            WrongAnswer(lambda M, b: background_mass(M, b).mean(), "averages the images", "keep the images apart"),
        ],
        right=[_mass_by_loop, _mass_by_einsum],
    ),
    Exercise(
        name="excess",
        title="Predict how loudly the snow shows",
        level="core",
        difficulty=2,
        minutes=8,
        passes="your measured difference is right to 0.005",
        task=(
            "For own species minus sibling, the snow network's background mass exceeded the clean network's by 0.22 at relu4 and, with HiResCAM, by "
            "0.37 at relu2. What about **HiResCAM at `features.relu3`**, same question, same winter birds in snow? It has fewer cells than relu2 "
            "and the gradient still differs from place to place. **First write down your guess** of the mean difference, then measure it."
        ),
        hints=(
            "Does relu3 have the cells of relu2 or those of relu4? And which of the two would decide?",
            "`saliency.hirescam` with `against=rival` and `relevance_mass`, once per network, the same pictures and masks, then the mean "
            "of the difference.",
        ),
        reference=extra_background_mass,
        check=_check_extra_mass,
        wrong=[
            WrongAnswer(-0.1, "difference taken the other way round", "sign is turned round"),
            WrongAnswer(22.7, "percent", "That is in percent"),
            WrongAnswer(0.579, "level instead of difference", "level of the snow network"),
            WrongAnswer(0.352, "level of the control", "level of the clean network"),
            WrongAnswer(0.114, "another question", "against the sibling"),
            WrongAnswer(0.217, "another layer", "That is relu4"),
            WrongAnswer(0.367, "the layer of the chapter", "That is relu2"),
            WrongAnswer(0.255, "another method", "That is Grad-CAM"),
            WrongAnswer(0.0, "expects equality", "Zero would mean"),
            WrongAnswer(0.9, "expects the map to be as clear as the experiment", "Use relevance_mass"),
        ],
    ),
    Exercise(
        name="occlusion",
        title="Paint squares and measure",
        level="stretch",
        difficulty=3,
        minutes=12,
        passes="a random score on a random image gives the right drops, square by square",
        task=(
            "Write `occlusion_map(score, image, size, fill)`. `score` takes a batch (n, c, h, w) and returns (n,); `image` is (c, h, w). "
            "Paint each `size` x `size` square of the grid with `fill`, one at a time, and return by how much the score *drops*, "
            "(h // size, w // size). No gradient is needed: this works for any model."
        ),
        hints=(
            "What must the image look like before the second square is painted?",
            "Build all painted images first and call `score` once: that is faster, and nothing can leak from one square to the next.",
        ),
        reference=occlusion_map,
        check=_check_occlusion,
        wrong=[
            WrongAnswer(lambda s, x, k, fill: -occlusion_map(s, x, k, fill), "gain instead of drop", "sign is reversed"),
            WrongAnswer(
                lambda s, x, k, fill: s(x[None]) - occlusion_map(s, x, k, fill),
                "score instead of drop",
                "scores left after painting",
            ),
            WrongAnswer(_cumulative_drops, "paints over the last painting", "never put the image back"),
            WrongAnswer(_first_channel_drops, "paints one channel", "first channel only"),
            WrongAnswer(lambda s, x, k, fill: occlusion_map(s, x, k, 0.0), "paints black", "You painted black"),
            WrongAnswer(lambda s, x, k, fill: occlusion_map(s, x, k, 0.5), "ignores fill", "whatever `fill` was"),
            WrongAnswer(
                lambda s, x, k, fill: np.kron(occlusion_map(s, x, k, fill), np.ones((k, k))),
                "one value per pixel",
                "so the map is (2, 3)",
            ),
        ],
        right=[_occlusion_one_by_one, _occlusion_by_mask],
    ),
    Exercise(
        name="memo",
        title="Judge a memo about heat maps",
        level="core",
        difficulty=3,
        minutes=8,
        passes="each of the six claims is judged right",
        task=(
            "A colleague wants to release the network for the reserve and writes six sentences. Which of them does the evidence of this chapter "
            "support? Hand in the letters, such as `'ac'`. Then write three sentences of your own to the ministry, and compare."
        ),
        hints=(
            "For each claim ask: which experiment of this chapter could have shown the opposite, and did it?",
            "A map can be right about the network and silent about the world; and a map can pass a test and still be useless.",
        ),
        claims={
            "a": Claim(
                "The clean network's Grad-CAM maps put more than a third of their mass on the background, so it uses the background.",
                False,
                "redrawing the background leaves the clean network's answer as it is; and a map that knows nothing would put three quarters of its mass there.",
            ),
            "b": Claim(
                "The background mass of the snow network exceeds that of the clean one by more for own species minus sibling than for the own species alone, in each of the three maps compared.",
                True,
                "read the column 'excess': it grows for Grad-CAM, HiResCAM and integrated gradients, and so does 'caught'.",
            ),
            "c": Claim(
                "Grad-CAM passes the randomisation test, so its maps show what the network uses.",
                False,
                "passing is necessary, not sufficient: noise that depends on the weights passes too.",
            ),
            "d": Claim(
                "Before trusting a map of the snow network we should redraw or replace the background and watch the score.",
                True,
                "the intervention is the judge; the map only says where to look.",
            ),
            "e": Claim(
                "Two maps that both reach 1.0 after rescaling show equally strong evidence.",
                False,
                "rescaling each map to its own maximum throws the strength away; compare raw maps.",
            ),
            "f": Claim(
                "If integrated gradients leave no completeness gap, the pixels they mark are the ones the network uses.",
                False,
                "the shares add up for any baseline, and another baseline gives other shares that add up as well.",
            ),
        },
        model_answer=(
            "The network names archive pictures well, and it fails when a winter bird leaves the snow: most of them then become the sibling. "
            "We found this by redrawing the landscape; heat maps made us suspicious, most clearly when we asked 'why this species and not its "
            "sibling'. Do not use the counts before the network is retrained on birds in all landscapes, and repeat the redrawing test then."
        ),
    ),
]

WARMUP = [
    Question(
        "Chapter 0: an explanation gets the same deletion score as a random one. What do you conclude?",
        "It found nothing that this test can see",
        "A placebo sets the zero of the scale, whatever the absolute number.",
        {
            "It is faithful, since its score is not worse": "Not worse than worthless is no praise: a score means something only above the placebo.",
            "The model uses no feature at all": "The model may use plenty; it is the explanation that failed to rank it.",
        },
    ),
    Question(
        "Chapter 2: shuffling a feature does not hurt the model. Does the feature matter in the world?",
        "It may: the model can rely on a correlated twin instead",
        "Importance speaks of this model, on these data.",
        {
            "No, importance zero means that it is irrelevant": "Irrelevant to *this model*; a twin can carry the same information.",
            "Yes, otherwise it would not be in the table": "Being measured is no evidence of mattering.",
        },
    ),
    Question(
        "A network gives image scores f(x). You add 1 to every score of class 3, for all images. What happens to the gradient of that score?",
        "Nothing",
        "A constant has slope zero: gradients see changes, not levels.",
        {
            "It grows by 1 everywhere": "The *score* grows by 1; its slope does not.",
            "It is doubled": "Scaling the score would scale the gradient; adding a constant does not.",
        },
    ),
]

QUIZ = [
    Question(
        "A network ends in global average pooling and one linear layer. Which two maps at its last convolution are the same up to a factor?",
        "Grad-CAM and HiResCAM",
        "Behind the last convolution the gradient is the same at every place, so averaging it changes nothing.",
        {
            "Grad-CAM and the pixel gradient": "One lives at the last layer, the other at the pixels, with all convolutions between them.",
            "LayerCAM and HiResCAM": "LayerCAM drops the channels with negative weight; HiResCAM keeps them.",
        },
    ),
    Question(
        "Integrated gradients from a black baseline give a black beak hardly any relevance. Why?",
        "Its pixels hardly differ from the baseline, so there is no distance to share out",
        "Each share is slope times distance from the baseline: absent means 'like the baseline'.",
        {
            "The network does not use the beak": "It may decide everything: change the baseline and look again.",
            "The numerical integral was too coarse": "More steps close the completeness gap; they do not move a pixel away from its baseline.",
        },
    ),
    Question(
        "Two maps, each rescaled to 0 ... 1, both glow. One belongs to a class with score 6, the other to a class with score -12. What now?",
        "Compare the raw maps: rescaling made any evidence look strong",
        "Min-max scaling gives every map a brightest pixel, even one that speaks for nothing.",
        {
            "Both classes have strong evidence in the picture": "The brightest pixel of a rescaled map is 1 by construction.",
            "The second class is the network's second choice": "Brightness of a rescaled map says nothing about the score.",
        },
    ),
    Question(
        "A map hardly changes when the network's weights are replaced by random ones. What does it explain?",
        "Mostly the picture: an edge detector would do as well",
        "What does not depend on the weights can not explain them (Adebayo et al. 2018).",
        {
            "The architecture, which is what matters": "The architecture is the same for every trained network: it can not tell what was learned.",
            "The network, since the map is stable": "Stable under the wrong change: these weights were thrown away.",
        },
    ),
    Question(
        "You see relevance on the background. What is the next step?",
        "Change the background, keep the bird, and measure the score",
        "A map raises the suspicion; the intervention decides.",
        {
            "Report that the network uses the background": "The clean network shows relevance there too, and redrawing leaves its scores alone.",
            "Choose a layer with finer maps until it disappears": "That is choosing the explanation you like; measure instead.",
        },
    ),
]
