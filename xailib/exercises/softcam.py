"""Exercises of chapter 14: a class-evidence layer, its penalty, exact edits, and what a table of maps proves."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np

from xailib.exercises.engine import Claim, Exercise, Mistake, WrongAnswer
from xailib.exercises.questions import Question

# --- foundations: a 1x1 convolution and an average change places ---


def mean_evidence() -> float:
    """Mean of the evidence map 3 Z_1 - Z_2 + 4 over 16 cells, from the means 2 and 5 of the two channels alone."""
    w, b, mean_of_Z = np.array([3, -1]), 4, np.array([2, 5])
    return float(w @ mean_of_Z + b)


def _check_mean_evidence(answer: float, rng: np.random.Generator) -> None:
    named = {
        1.0: "The bias is missing: it is added in each of the 16 cells, so their mean contains it once.",
        80.0: "That is the sum over the 16 cells; the mean is asked for.",
        65.0: "The bias is counted 16 times: every cell gets it, and a mean divides by 16 again.",
        15.0: "The second weight is negative: channel 2 speaks against the class.",
        17.0: "The weights have changed places: 3 belongs to channel 1.",
        2.5: "That is the mean over the two channels; their weighted values are added.",
    }
    for value, message in named.items():
        if abs(answer - value) < 1e-6:
            raise Mistake(message)
    if abs(answer - mean_evidence()) > 1e-6:
        raise Mistake("Average first: put the channel means into the formula of one cell.")


# --- the class-evidence layer ---


def evidence_layer(Z: np.ndarray, W: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Logits (n, C) and evidence maps (n, C, h, w) from features Z (n, D, h, w) and a linear head W (C, D), b (C,)."""
    A = np.einsum("cd,ndij->ncij", W, Z) + b[:, None, None]
    return A.mean(axis=(2, 3)), A


def _evidence_by_matmul(Z: np.ndarray, W: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    cells = np.moveaxis(Z, 1, -1) @ W.T + b
    return cells.mean(axis=(1, 2)), np.moveaxis(cells, -1, 1)


def _evidence_by_loop(Z: np.ndarray, W: np.ndarray, b: np.ndarray) -> list[np.ndarray]:
    A = np.empty((len(Z), len(W), *Z.shape[2:]))
    for c in range(len(W)):
        A[:, c] = b[c]
        for d in range(Z.shape[1]):
            A[:, c] += W[c, d] * Z[:, d]
    return [Z.mean(axis=(2, 3)) @ W.T + b, A]


def _check_evidence_layer(answer: Callable[..., Any], rng: np.random.Generator) -> None:
    Z, W, b = rng.normal(size=(3, 4, 5, 6)), rng.normal(size=(2, 4)), rng.normal(size=2)
    logits, A = _pair(answer(Z, W, b))
    true_logits, true_A = evidence_layer(Z, W, b)
    if A.shape != true_A.shape:
        raise Mistake(f"Two classes on maps of 5 x 6, three images: evidence must have shape (3, 2, 5, 6), not {A.shape}.")
    likely = {
        "The evidence lacks the bias: every cell of class c gets b_c.": true_A - b[:, None, None],
        "You spread the bias over the cells: each cell gets the whole b_c, and the mean brings it back.": true_A
        - b[:, None, None] * 29 / 30,
        "You cut the evidence against a class off; then its mean is no longer the logit.": true_A.clip(0),
        "You divided the evidence by the number of cells: that is Grad-CAM's scale. Here the mean of a map is its logit.": true_A
        / 30,
    }
    _compare_arrays(A, true_A, likely, "The evidence is wrong: in each cell, multiply the D features by W and add b.")
    if logits.shape != true_logits.shape:
        raise Mistake(f"Three images and two classes need logits of shape (3, 2), not {logits.shape}.")
    likely = {
        "The evidence is right; the logits are its *mean* over the cells, and you took the sum.": 30 * true_logits,
        "The evidence is right; the logits are its mean, and you added the bias a second time.": true_logits + b,
        "The evidence is right; the logits are its mean, not its largest cell.": true_A.max(axis=(2, 3)),
    }
    _compare_arrays(logits, true_logits, likely, "The evidence is right; each logit must be the mean of its map.")


def _pair(result: Any) -> tuple[np.ndarray, np.ndarray]:
    if not isinstance(result, tuple | list) or len(result) != 2:
        raise Mistake("Return two things, the logits and the evidence maps: `return logits, A`.")
    first, second = (np.asarray(part, dtype=float) for part in result)
    if first.ndim == 4 and second.ndim == 2:
        raise Mistake("The two results have changed places: logits first, then the evidence maps.")
    return first, second


def _compare_arrays(answer: np.ndarray, truth: np.ndarray, likely: dict[str, np.ndarray], otherwise: str) -> None:
    for message, wrong in likely.items():
        if np.allclose(answer, wrong, atol=1e-8):
            raise Mistake(message)
    if not np.allclose(answer, truth, atol=1e-8):
        raise Mistake(otherwise)


def _without_bias(Z: np.ndarray, W: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    logits, A = evidence_layer(Z, W, b)
    return logits, A - b[:, None, None]


# --- the penalty ---


def elastic_net(A: np.ndarray, lambda1: float, lambda2: float) -> float:
    """Mean over images of lambda1 * sum |A| + lambda2 * sqrt(sum A^2), the sums over classes and cells; A is (n, C, h, w)."""
    sparse = np.abs(A).sum(axis=(1, 2, 3))
    dense = np.sqrt((A**2).sum(axis=(1, 2, 3)))
    return float((lambda1 * sparse + lambda2 * dense).mean())


def _elastic_net_by_norm(A: np.ndarray, lambda1: float, lambda2: float) -> float:
    rows = A.reshape(len(A), -1)
    return np.mean(lambda1 * np.linalg.norm(rows, 1, axis=1)) + np.mean(lambda2 * np.linalg.norm(rows, axis=1))


def _elastic_net_by_loop(A: np.ndarray, lambda1: float, lambda2: float) -> float:
    total = 0.0
    for image in A:
        total += lambda1 * sum(abs(value) for value in image.ravel()) + lambda2 * sum(v * v for v in image.ravel()) ** 0.5
    return total / len(A)


def _check_elastic_net(answer: Callable[..., Any], rng: np.random.Generator) -> None:
    A, l1, l2 = rng.normal(size=(4, 3, 5, 6)), float(rng.uniform(0.5, 1)), float(rng.uniform(2, 3))
    got = np.asarray(answer(A, l1, l2), dtype=float)
    if got.shape != ():
        raise Mistake(f"The penalty is one number for the batch, not an array of shape {got.shape}: average over the images.")
    sparse, squared = np.abs(A).sum(axis=(1, 2, 3)), (A**2).sum(axis=(1, 2, 3))
    norm = np.sqrt(squared)
    likely = {
        "You penalised the first image of the batch only, the defect of the released code: average over all images.": l1
        * sparse[0]
        + l2 * norm[0],
        "You read the second term literally: the norm of a single number is its size, so both terms are the same. Take one "
        "norm over all classes and cells of an image.": (l1 + l2) * sparse.mean(),
        "Your second term is squared: that is ridge. The root is asked for.": (l1 * sparse + l2 * squared).mean(),
        "You took one root for the whole batch: the norm belongs to one image, then comes the mean.": l1 * sparse.mean()
        + l2 * np.sqrt(squared.sum()),
        "You averaged, then took the root: take the root for each image, then average.": l1 * sparse.mean()
        + l2 * np.sqrt(squared.mean()),
        "You took one root for each class: the norm goes over all classes and cells of an image.": l1 * sparse.mean()
        + l2 * np.sqrt((A**2).sum(axis=(2, 3))).sum(axis=1).mean(),
        "You added the images up: with the mean, the penalty does not grow with the batch.": (l1 * sparse + l2 * norm).sum(),
        "You averaged over classes and cells: published lambdas belong to sums.": l1 * np.abs(A).mean() + l2 * norm.mean(),
        "You averaged over classes and cells in both terms: published lambdas belong to sums.": l1 * np.abs(A).mean()
        + l2 * np.sqrt((A**2).mean()),
        "lambda1 and lambda2 have changed places.": l2 * sparse.mean() + l1 * norm.mean(),
        "Positive and negative evidence cancel in your first term: take sizes before you add.": l1 * A.sum(axis=(1, 2, 3)).mean()
        + l2 * norm.mean(),
        "The second term is missing.": l1 * sparse.mean(),
        "The first term is missing.": l2 * norm.mean(),
    }
    for message, wrong in likely.items():
        if np.isclose(got, wrong, rtol=1e-9):
            raise Mistake(message)
    if not np.isclose(got, elastic_net(A, l1, l2), rtol=1e-9):
        raise Mistake(
            "For one image: lambda1 times the sum of |A| plus lambda2 times the root of the sum of A squared; then the mean."
        )


# --- an edit and its exact effect ---


def scores_after_edit(A: np.ndarray, c: int, region: np.ndarray, factor: float) -> np.ndarray:
    """Logits (n, C) after the evidence (n, C, h, w) for class c inside the boolean region (n, h, w) is multiplied by factor."""
    edited = A.copy()
    edited[:, c] = np.where(region, factor * A[:, c], A[:, c])
    return edited.mean(axis=(2, 3))


def _edit_by_difference(A: np.ndarray, c: int, region: np.ndarray, factor: float) -> np.ndarray:
    logits = A.mean(axis=(2, 3))
    logits[:, c] += (factor - 1) * (A[:, c] * region).mean(axis=(1, 2))
    return logits


def _edit_by_loop(A: np.ndarray, c: int, region: np.ndarray, factor: float) -> np.ndarray:
    edited = np.array(A)
    for i, j, k in np.argwhere(region):
        edited[i, c, j, k] *= factor
    return edited.reshape(*A.shape[:2], -1).sum(axis=-1) / A[0, 0].size


def _check_edit(answer: Callable[..., Any], rng: np.random.Generator) -> None:
    A, c, factor = rng.normal(size=(3, 4, 5, 6)), int(rng.integers(1, 4)), float(rng.uniform(1.5, 3))
    region = rng.random((3, 5, 6)) < 0.4
    got, truth = np.asarray(answer(A, c, region, factor), dtype=float), scores_after_edit(A, c, region, factor)
    if got.shape != truth.shape:
        raise Mistake(f"Three images and four classes need logits of shape (3, 4), not {got.shape}.")
    before, inside = A.mean(axis=(2, 3)), (A[:, c] * region).mean(axis=(1, 2))
    column = np.eye(4)[c]
    likely = {
        "You changed nothing.": before,
        "You edited the other side: the region keeps its evidence in your answer, the rest is scaled.": scores_after_edit(
            A, c, ~region, factor
        ),
        "You put `factor` in place of the evidence; multiply the evidence by it.": before
        + column * ((factor - A[:, c]) * region).mean(axis=(1, 2))[:, None],
        "You added `factor` to the evidence; multiply by it.": before + column * factor * region.mean(axis=(1, 2))[:, None],
        "You edited every class: only the map of class c changes, the other logits stay.": (
            A * np.where(region, factor, 1)[:, None]
        ).mean(axis=(2, 3)),
        "You erased the region whatever `factor` was.": before - column * inside[:, None],
        "You added the scaled evidence to the old: the region counts factor - 1 more, not factor.": before
        + column * factor * inside[:, None],
        "You kept the region only; evidence outside it still counts.": before
        + column * (factor * inside - before[:, c])[:, None],
        "You averaged over the region: a logit is the mean over *all* cells.": np.where(
            column > 0, (factor * inside / region.mean(axis=(1, 2)))[:, None], before
        ),
        "You took the sum over the cells; a logit is the mean.": truth * 30,
        "You added the change of the whole region to the logit: divide it by the number of cells, as the mean does.": before
        + column * (factor - 1) * 30 * inside[:, None],
        "You multiplied the logit: only the evidence inside the region is scaled.": np.where(column > 0, factor * before, before),
    }
    _compare_arrays(got, truth, likely, "Scale A[:, c] inside the region, leave the rest alone, and take the mean of every map.")


def _broadcast_edit(A: np.ndarray, region: np.ndarray, factor: float) -> np.ndarray:
    return (A * np.where(region, factor, 1)[:, None]).mean(axis=(2, 3))


# --- activation precision and sensitivity ---


def precision_and_sensitivity(maps: np.ndarray, masks: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Activation precision and sensitivity, (n,) each, of maps (n, h, w) against boolean masks (n, h, w)."""
    S = np.maximum(maps, 0)
    low, high = S.min(axis=(1, 2), keepdims=True), S.max(axis=(1, 2), keepdims=True)
    S = (S - low) / (high - low)
    hit = (S * masks).sum(axis=(1, 2))
    return hit / S.sum(axis=(1, 2)), hit / masks.sum(axis=(1, 2))


def _grades_by_loop(maps: np.ndarray, masks: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    grades = []
    for one, mask in zip(maps, masks, strict=True):
        positive = np.where(one > 0, one, 0.0)
        S = (positive - positive.min()) / np.ptp(positive)
        grades.append((S[mask].sum() / S.sum(), S[mask].mean()))
    precision, sensitivity = np.transpose(grades)
    return precision, sensitivity


def _grades_by_einsum(maps: np.ndarray, masks: np.ndarray) -> list[np.ndarray]:
    S = maps.clip(0).reshape(len(maps), -1)
    S = S - S.min(axis=1, keepdims=True)
    S = S / S.max(axis=1, keepdims=True)
    M = masks.reshape(len(masks), -1).astype(float)
    hit = np.einsum("np,np->n", S, M)
    return [hit / S.sum(axis=1), hit / M.sum(axis=1)]


def _check_grades(answer: Callable[..., Any], rng: np.random.Generator) -> None:
    maps, masks = rng.normal(size=(5, 6, 7)), rng.random((5, 6, 7)) < 0.3
    maps[0] += 5  # positive everywhere: here the smallest value is not zero
    result = answer(maps, masks)
    if not isinstance(result, tuple | list) or len(result) != 2:
        raise Mistake("Return two arrays, precision and sensitivity: `return precision, sensitivity`.")
    precision, sensitivity = (np.asarray(part, dtype=float) for part in result)
    for name, grade in (("precision", precision), ("sensitivity", sensitivity)):
        if grade.shape != (5,):
            raise Mistake(f"Five maps need five grades: {name} has shape {grade.shape}. Sum over rows and columns only.")
    true_precision, true_sensitivity = precision_and_sensitivity(maps, masks)
    if np.allclose(precision, true_sensitivity) and np.allclose(sensitivity, true_precision):
        raise Mistake("Precision and sensitivity have changed places: precision divides by the map, sensitivity by the mask.")
    positive = maps.clip(0)
    no_relu = (maps - maps.min(axis=(1, 2), keepdims=True)) / np.ptp(maps, axis=(1, 2))[:, None, None]
    pooled = positive / positive.max()
    by_max = positive / positive.max(axis=(1, 2), keepdims=True)
    size = np.abs(maps) / np.abs(maps).max(axis=(1, 2), keepdims=True)
    likely = {
        "Evidence against the class counts as evidence for it in your map: cut at zero before you stretch.": no_relu,
        "You took sizes: evidence against the class must be cut at zero, not turned round.": size,
        "You divided by the largest value of the whole batch: stretch each map by itself.": pooled,
        "You divided by the largest value without subtracting the smallest; in a map that is positive everywhere they differ.": by_max,
        "You made the map binary; S keeps how strong each place is.": (maps > 0).astype(float),
    }
    for message, S in likely.items():
        if np.allclose(precision, _ratio(S, masks, S)) and np.allclose(sensitivity, _ratio(S, masks, masks)):
            raise Mistake(message)
    if np.allclose(precision, _ratio(positive, masks, positive)) and np.allclose(sensitivity, _ratio(positive, masks, masks)):
        raise Mistake("The maps were never stretched to 0 ... 1, so the sensitivity has the unit of the score.")
    _compare_arrays(
        precision,
        true_precision,
        {"That is the share of *pixels* of the mask; precision weighs each pixel by the map.": masks.mean(axis=(1, 2))},
        "Precision: the map inside the mask, divided by the whole map, after cutting at zero and stretching.",
    )
    _compare_arrays(
        sensitivity,
        true_sensitivity,
        {
            "Your sensitivity divides by the whole picture: divide by the number of pixels of the mask.": _ratio(
                _stretched(maps), masks, np.ones(masks.shape)
            )
        },
        "The precision is right. Sensitivity: the map inside the mask, divided by the number of pixels of the mask.",
    )


def _ratio(S: np.ndarray, masks: np.ndarray, whole: np.ndarray) -> np.ndarray:
    return (S * masks).sum(axis=(1, 2)) / whole.sum(axis=(1, 2))


def _stretched(maps: np.ndarray) -> np.ndarray:
    S = np.maximum(maps, 0)
    S = S - S.min(axis=(1, 2), keepdims=True)
    return S / S.max(axis=(1, 2), keepdims=True)


def _grades_of(stretch: Callable[[np.ndarray], np.ndarray]) -> Callable[..., Any]:
    """A wrong answer that prepares the maps in another way."""
    return lambda maps, masks: (_ratio(stretch(maps), masks, stretch(maps)), _ratio(stretch(maps), masks, masks))


# --- how much of a map is free? ---


@cache
def _digit_evidence() -> np.ndarray:
    """Evidence maps (n, 10, 8, 8) of the converted digits network for the held-out digits."""
    import torch

    from xailib import zoo

    network = zoo.load("digits-cnn")
    images, _, n_train = zoo.digits()
    with torch.no_grad():
        Z = network.features(torch.from_numpy(images[n_train:])).numpy()
    W, b = (p.detach().numpy() for p in (network.classifier.weight, network.classifier.bias))
    return evidence_layer(Z, W, b)[1]


def free_share() -> float:
    """Share of sum |A| that goes away when each cell's median over the classes is subtracted; no probability changes."""
    A = _digit_evidence()  # in the notebook you have it already: cam_evidence
    leftover = A - np.median(A, axis=1, keepdims=True)
    return float(1 - np.abs(leftover).sum() / np.abs(A).sum())


def _check_free_share(answer: float, rng: np.random.Generator) -> None:
    A = _digit_evidence()
    total, per_image = np.abs(A).sum(), np.abs(A).sum(axis=(1, 2, 3))
    median = np.abs(A - np.median(A, axis=1, keepdims=True))
    if abs(answer - free_share()) <= 0.004 or abs(answer - (1 - median.sum(axis=(1, 2, 3)) / per_image).mean()) <= 0.002:
        return
    if answer > 1:
        raise Mistake("That is in percent: give the share, between 0 and 1.")
    named = [
        (0.0, "Zero would mean that no shared offset makes the maps smaller. Subtract each cell's median over the classes."),
        (1 - free_share(), "That is the share that is left; the share that went away is asked for."),
        (
            1 - np.abs(A - A.mean(axis=1, keepdims=True)).sum() / total,
            "You subtracted the mean over the classes: it makes the sum of squares smallest. For sizes it is the median.",
        ),
        (
            1 - np.abs(A - np.median(A, axis=(2, 3), keepdims=True)).sum() / total,
            "You took the median over the cells of each "
            "map: that moves every class by another amount and changes the probabilities. Take it over the classes, axis 1.",
        ),
        (1 - (median**2).sum() / (A**2).sum(), "You compared squares; the sparse penalty adds sizes."),
    ]
    for value, message in named:
        if abs(answer - value) <= 0.003:
            raise Mistake(message)
    if answer < 0:
        raise Mistake("Negative: after the best offset the sum is smaller than before, so 1 - after / before is positive.")
    raise Mistake("Compute 1 - sum|A - m| / sum|A| with m the median of A over the classes, cell by cell.")


def _keep_region_only(A: np.ndarray, c: int, region: np.ndarray, factor: float) -> np.ndarray:
    edited = A.copy()
    edited[:, c] = factor * A[:, c] * region
    return edited.mean(axis=(2, 3))


EXERCISES = [
    Exercise(
        name="commute",
        title="Find the mean of a map you cannot see",
        level="core",
        difficulty=1,
        minutes=4,
        passes="your number is the mean of the evidence map",
        task=(
            "Two channels of 4 x 4 cells have the means 2 and 5; you do not see the cells. A 1x1 convolution with weights 3 and -1 and bias 4 makes "
            "an evidence map of them. What is the **mean of that map**?"
        ),
        hints=(
            "Which operations of a 1x1 convolution could notice whether you average before or after it?",
            "The mean of a weighted sum is the weighted sum of the means. What is the mean of a constant?",
        ),
        reference=mean_evidence,
        check=_check_mean_evidence,
        wrong=[
            WrongAnswer(1.0, "forgets the bias", "bias is missing"),
            WrongAnswer(80.0, "sum instead of mean", "sum over the 16 cells"),
            WrongAnswer(65.0, "counts the bias once per cell", "counted 16 times"),
            WrongAnswer(15.0, "loses a sign", "second weight is negative"),
            WrongAnswer(17.0, "swaps the weights", "have changed places"),
            WrongAnswer(2.5, "averages the channels", "mean over the two channels"),
            WrongAnswer(7.0, "adds the means", "Average first: put"),
        ],
        right=[np.array(5.0), 5],
    ),
    Exercise(
        name="layer",
        title="Turn a linear head into evidence maps",
        level="core",
        difficulty=2,
        minutes=8,
        passes="random features give maps with the right value in every cell, and logits that are their means",
        task=(
            "Write `evidence_layer(Z, W, b)` in NumPy: features `Z` (n, D, h, w) and the linear head of a pooled network, `W` (C, D) and `b` (C,), "
            "become `logits` (n, C) and evidence maps `A` (n, C, h, w). Return both, in this order."
        ),
        hints=(
            "What does the head do to *one* cell, that is, to one vector of D numbers?",
            "`np.einsum` wants to know which letter is summed away. It is the one that Z and W share. Where does b have to be broadcast?",
        ),
        reference=evidence_layer,
        check=_check_evidence_layer,
        wrong=[
            WrongAnswer(_without_bias, "maps without the bias", "evidence lacks the bias"),
            WrongAnswer(
                lambda Z, W, b: (lambda A: (A.sum(axis=(2, 3)), A))(evidence_layer(Z, W, b)[1]),
                "sums instead of averaging",
                "you took the sum",
            ),
            WrongAnswer(
                lambda Z, W, b: (evidence_layer(Z, W, b)[0] + b, evidence_layer(Z, W, b)[1]),
                "adds the bias twice",
                "bias a second time",
            ),
            WrongAnswer(
                lambda Z, W, b: (evidence_layer(Z, W, b)[0], evidence_layer(Z, W, b)[1].clip(0)),
                "rectifies the evidence",
                "cut the evidence against",
            ),
            WrongAnswer(
                lambda Z, W, b: (evidence_layer(Z, W, b)[0], evidence_layer(Z, W, b)[1] / Z[0, 0].size),
                "Grad-CAM's scale",
                "number of cells",
            ),
            WrongAnswer(
                lambda Z, W, b: (evidence_layer(Z, W, b)[0], evidence_layer(Z, W, b / Z[0, 0].size)[1]),
                "spreads the bias",
                "whole b_c",
            ),
            WrongAnswer(
                lambda Z, W, b: (evidence_layer(Z, W, b)[1].max(axis=(2, 3)), evidence_layer(Z, W, b)[1]),
                "largest cell as the logit",
                "not its largest cell",
            ),
            WrongAnswer(
                lambda Z, W, b: evidence_layer(Z, W, b)[::-1], "returns them in the other order", "two results have changed"
            ),
            WrongAnswer(lambda Z, W, b: evidence_layer(Z, W, b)[1], "returns the maps alone", "Return two things"),
            WrongAnswer(
                lambda Z, W, b: (evidence_layer(Z, W, b)[0], np.moveaxis(evidence_layer(Z, W, b)[1], 1, -1)),
                "classes on the last axis",
                "must have shape (3, 2, 5, 6)",
            ),
        ],
        right=[_evidence_by_matmul, _evidence_by_loop],
    ),
    Exercise(
        name="penalty",
        title="Write the penalty that the code computes",
        level="core",
        difficulty=3,
        minutes=10,
        passes="a random batch gives the penalty per image, averaged, with both terms",
        task=(
            "Write `elastic_net(A, lambda1, lambda2)` for evidence maps `A` (n, C, h, w): for each image, `lambda1` times the sum of |A| plus `lambda2` "
            "times the root of the sum of A², both sums over all classes and cells; then the mean over the images. One number."
        ),
        hints=(
            "Which axes belong to one image? Everything but the mean runs over those.",
            "A root and a mean do not change places. Which one comes first here?",
        ),
        reference=elastic_net,
        check=_check_elastic_net,
        wrong=[
            WrongAnswer(
                lambda A, l1, l2: elastic_net(A[:1], l1, l2), "penalises activations[0]", "first image of the batch only"
            ),
            WrongAnswer(lambda A, l1, l2: elastic_net(A, l1 + l2, 0), "literal reading of the formula", "second term literally"),
            WrongAnswer(
                lambda A, l1, l2: elastic_net(A, l1, 0) + l2 * (A**2).sum(axis=(1, 2, 3)).mean(),
                "ridge instead of the norm",
                "second term is squared",
            ),
            WrongAnswer(
                lambda A, l1, l2: elastic_net(A, l1, 0) + l2 * np.sqrt((A**2).sum()),
                "one norm for the batch",
                "one root for the whole batch",
            ),
            WrongAnswer(
                lambda A, l1, l2: elastic_net(A, l1, 0) + l2 * np.sqrt((A**2).sum(axis=(1, 2, 3)).mean()),
                "mean before root",
                "averaged, then took the root",
            ),
            WrongAnswer(lambda A, l1, l2: len(A) * elastic_net(A, l1, l2), "sums over the batch", "added the images up"),
            WrongAnswer(
                lambda A, l1, l2: l1 * np.abs(A).mean() + elastic_net(A, 0, l2),
                "mean of sizes",
                "over classes and cells: published",
            ),
            WrongAnswer(
                lambda A, l1, l2: l1 * np.abs(A).mean() + l2 * np.sqrt((A**2).mean()), "means throughout", "cells in both terms"
            ),
            WrongAnswer(lambda A, l1, l2: elastic_net(A, l2, l1), "swaps the lambdas", "lambda1 and lambda2 have changed places"),
            WrongAnswer(
                lambda A, l1, l2: l1 * A.sum(axis=(1, 2, 3)).mean() + elastic_net(A, 0, l2),
                "forgets the size",
                "cancel in your first",
            ),
            WrongAnswer(lambda A, l1, l2: elastic_net(A, l1, 0), "one term", "second term is missing"),
            WrongAnswer(
                lambda A, l1, l2: elastic_net(A, l1, 0) + l2 * np.sqrt((A**2).sum(axis=(2, 3))).sum(axis=1).mean(),
                "one root per class",
                "one root for each class",
            ),
            WrongAnswer(
                lambda A, l1, l2: l1 * np.abs(A).sum(axis=(1, 2, 3)) + l2 * np.sqrt((A**2).sum(axis=(1, 2, 3))),
                "one number per image",
                "one number for the batch",
            ),
        ],
        right=[_elastic_net_by_norm, _elastic_net_by_loop],
    ),
    Exercise(
        name="edit",
        title="Edit the evidence and predict the scores",
        level="core",
        difficulty=2,
        minutes=9,
        passes="random evidence, regions and factors give the exact logits",
        task=(
            "Write `scores_after_edit(A, c, region, factor)`: evidence `A` (n, C, h, w), a class `c`, a boolean `region` (n, h, w), a `factor`. Multiply "
            "the evidence **for class c inside the region** by `factor` and return all logits, (n, C). No network is called."
        ),
        hints=(
            "What is a logit in this kind of model, written in terms of A alone?",
            "Only one map changes. Your function must not change the caller's A; and how many cells does the mean divide by?",
        ),
        reference=scores_after_edit,
        check=_check_edit,
        wrong=[
            WrongAnswer(lambda A, c, r, f: A.mean(axis=(2, 3)), "returns the old scores", "You changed nothing"),
            WrongAnswer(lambda A, c, r, f: scores_after_edit(A, c, ~r, f), "scales the outside", "edited the other side"),
            WrongAnswer(
                lambda A, c, r, f: (
                    scores_after_edit(A, c, r, 1) + np.eye(A.shape[1])[c] * ((f - A[:, c]) * r).mean(axis=(1, 2))[:, None]
                ),
                "puts the factor in place",
                "in place of the evidence",
            ),
            WrongAnswer(
                lambda A, c, r, f: A.mean(axis=(2, 3)) + np.eye(A.shape[1])[c] * f * r.mean(axis=(1, 2))[:, None],
                "adds the factor",
                "added `factor`",
            ),
            WrongAnswer(lambda A, c, r, f: _broadcast_edit(A, r, f), "edits all classes", "edited every class"),
            WrongAnswer(lambda A, c, r, f: scores_after_edit(A, c, r, 0), "always erases", "erased the region whatever"),
            WrongAnswer(lambda A, c, r, f: scores_after_edit(A, c, r, 1 + f), "counts the old evidence twice", "factor - 1 more"),
            WrongAnswer(_keep_region_only, "keeps the region only", "kept the region only"),
            WrongAnswer(
                lambda A, c, r, f: scores_after_edit(A, c, r, f) * A[0, 0].size,
                "sums over the cells",
                "took the sum over the cells",
            ),
            WrongAnswer(
                lambda A, c, r, f: A.mean(axis=(2, 3)) * np.where(np.eye(A.shape[1])[c] > 0, f, 1),
                "multiplies the logit",
                "multiplied the logit",
            ),
            WrongAnswer(lambda A, c, r, f: scores_after_edit(A, c, r, f)[:, c], "returns one class", "logits of shape (3, 4)"),
            WrongAnswer(
                lambda A, c, r, f: A.mean(axis=(2, 3)) + np.eye(4)[c] * (f - 1) * (A[:, c] * r).sum(axis=(1, 2))[:, None],
                "adds the sum of the change",
                "change of the whole region",
            ),
        ],
        right=[_edit_by_difference, _edit_by_loop],
    ),
    Exercise(
        name="free",
        title="Predict how much of the maps is free",
        level="core",
        difficulty=3,
        minutes=9,
        passes="your measured share is right to 0.004",
        task=(
            "`cam_evidence` holds the evidence maps of the converted, not yet retrained, digits network for all held-out digits, (n, 10, 8, 8). Subtract "
            "from all ten maps, cell by cell, the offset that makes sum |A| smallest. No probability changes. **Which share of sum |A| over all "
            "digits goes away?** Write down your guess, then measure."
        ),
        hints=(
            "At one cell there are ten numbers. Which single number, subtracted from all of them, makes the sum of their sizes smallest?",
            "It is not the mean: that one makes the sum of squares smallest. Take it over axis 1, and keep the axis.",
        ),
        reference=free_share,
        check=_check_free_share,
        wrong=[
            WrongAnswer(0.0, "thinks that the maps are determined", "Zero would mean"),
            WrongAnswer(0.878, "share that is left", "share that is left"),
            WrongAnswer(12.2, "percent", "in percent"),
            WrongAnswer(0.089, "mean for median", "subtracted the mean over the classes"),
            WrongAnswer(0.214, "median over the cells", "over the cells of each"),
            WrongAnswer(0.034, "squares", "compared squares"),
            WrongAnswer(-0.122, "sign turned round", "Negative"),
            WrongAnswer(0.5, "guesses", "Compute 1 - sum"),
        ],
    ),
    Exercise(
        name="memo",
        title="Judge a sales talk",
        level="core",
        difficulty=3,
        minutes=8,
        passes="each of the six claims is judged right",
        task=(
            "The company's sales talk makes six claims. Which of them does the evidence of this chapter support? Hand in the letters, such as `'ac'`. Then write three sentences of your own to the clinic, and compare."
        ),
        hints=(
            "For each claim, find the row or the experiment that could have shown the opposite.",
            "An average over seeds, an average over eyes and a single eye are three different things; and a control row may have done as well.",
        ),
        claims={
            "a": Claim(
                "SoftCAM finds lesions better than every map painted afterwards.",
                False,
                "over five seeds its precision is 0.07 below that of integrated gradients, and top_5 is below every finer map.",
            ),
            "b": Claim(
                "Each score is exactly the mean of its evidence map, so nothing after the map is hidden.",
                True,
                "true as it is worded: nothing *after* the map is hidden. It says nothing about the layers before the map.",
            ),
            "c": Claim(
                "Erasing a cell's evidence lowers the score of 'diseased', so there is a lesion in this cell.",
                False,
                "erasing works in cells without any lesion, too: there the evidence came from a lesion next door and left with it.",
            ),
            "d": Claim(
                "Accuracy stays within one point of the black box, so no patient is worse off.",
                False,
                "at its own limit the sparse network missed 1.8 more diseased eyes in a hundred, and stronger penalties overlook single dots.",
            ),
            "e": Claim(
                "Trained with the sparse penalty, the maps were more precise than the CAM of the same network trained without it.",
                True,
                "in pairs over five seeds by 0.003 (0.002 to 0.004): certain, and small.",
            ),
            "f": Claim(
                "The maps are better than Grad-CAM's because the model explains itself.",
                False,
                "Grad-CAM on the sparse network *is* its evidence, but for bias and scale. What differs between the two networks is the training.",
            ),
        },
        model_answer=(
            "Your letters may say that the printed map is what the score was computed from: each score is the mean of its map. They may not "
            "say that a red cell contains a lesion, since a cell sees far beyond its borders, and maps of pixels mark lesions more "
            "precisely. Before you buy, ask for the eyes missed at equal false alarms, those with one small lesion apart: they went first when the penalty grew."
        ),
    ),
    Exercise(
        name="grades",
        title="Grade a map against a mask",
        level="stretch",
        difficulty=3,
        minutes=10,
        passes="five random maps get their precision and sensitivity, one of them positive everywhere",
        task=(
            "Write `precision_and_sensitivity(maps, masks)` for maps (n, h, w) and boolean masks: cut each map at zero, stretch it to 0 ... 1 by its own "
            "smallest and largest value, giving S. Precision is the sum of S inside the mask over the sum of S; sensitivity is the sum of S "
            "inside the mask over the number of mask pixels. Return both, (n,) each."
        ),
        hints=(
            "In which order: cut, subtract the smallest value, divide by the largest? The first test map is positive everywhere.",
            "Both grades share a numerator. What does each divide by?",
        ),
        reference=precision_and_sensitivity,
        check=_check_grades,
        wrong=[
            WrongAnswer(
                _grades_of(lambda M: (M - M.min(axis=(1, 2), keepdims=True)) / np.ptp(M, axis=(1, 2))[:, None, None]),
                "stretches signed maps",
                "before you stretch",
            ),
            WrongAnswer(
                _grades_of(lambda M: np.abs(M) / np.abs(M).max(axis=(1, 2), keepdims=True)), "takes sizes", "must be cut at zero"
            ),
            WrongAnswer(_grades_of(lambda M: M.clip(0) / M.max()), "one scale for the batch", "stretch each map by itself"),
            WrongAnswer(
                _grades_of(lambda M: M.clip(0) / M.max(axis=(1, 2), keepdims=True)),
                "divides by the largest only",
                "without subtracting the smallest",
            ),
            WrongAnswer(_grades_of(lambda M: M.clip(0)), "raw maps", "never stretched"),
            WrongAnswer(_grades_of(lambda M: (M > 0) * 1.0), "binary maps", "made the map binary"),
            WrongAnswer(
                lambda M, m: precision_and_sensitivity(M, m)[::-1],
                "swaps the two",
                "Precision and sensitivity have changed places",
            ),
            WrongAnswer(
                lambda M, m: (m.mean(axis=(1, 2)), precision_and_sensitivity(M, m)[1]), "share of pixels", "share of *pixels*"
            ),
            WrongAnswer(
                lambda M, m: (precision_and_sensitivity(M, m)[0], (_stretched(M) * m).mean(axis=(1, 2))),
                "divides by the picture",
                "divides by the whole picture",
            ),
            WrongAnswer(
                lambda M, m: tuple(np.full(len(M), g.mean()) for g in precision_and_sensitivity(M, m)),
                "one grade for all",
                "Precision: the map inside the mask",
            ),
            WrongAnswer(lambda M, m: precision_and_sensitivity(M, m)[0], "one result", "Return two arrays"),
        ],
        right=[_grades_by_loop, _grades_by_einsum],
    ),
]

WARMUP = [
    Question(
        "Chapter 8: a network ends in global average pooling and one linear layer. What does CAM show at its last convolution?",
        "What each cell adds to the class score, bias aside",
        "Average and linear layer are linear, so the score splits into one term per cell, exactly.",
        {
            "Which pixels would change the score most": "That is the gradient at the pixels. CAM lives on the cells of a layer.",
            "An estimate of the score that depends on the baseline": "CAM has no baseline: it reads the weights of the linear layer.",
        },
    ),
    Question(
        "You add 7 to all class scores of one image. What happens to its softmax probabilities?",
        "Nothing",
        "Softmax depends on differences of scores only. Keep that in mind: it will be a problem.",
        {
            "All of them grow": "They add up to one before and after: not all of them can grow.",
            "The largest one wins more clearly": "That happens when you *multiply* the scores; a shared offset cancels.",
        },
    ),
    Question(
        "Chapter 1: an L1 penalty on the weights of a linear model does what an L2 penalty does not. What?",
        "It sets some of them to exactly zero",
        "Its slope does not fade near zero, so small weights are pushed all the way.",
        {
            "It makes all weights equal": "L2 spreads weight over correlated features; L1 tends to pick one of them.",
            "It lowers the training error": "Any penalty costs training error; it buys something else with it.",
        },
    ),
]

QUIZ = [
    Question(
        "You convert a ResNet to SoftCAM and do not train it. What has become better?",
        "Nothing: same scores, and its maps are CAM plus a bias",
        "Averaging and the linear layer change places without any effect. Only training with the penalty is new.",
        {
            "The maps: they are now part of the model": "They were part of it before. A pooled linear head has always been a sum over cells.",
            "The accuracy: the evidence layer sees positions": "It sees them and averages them away, with the same result to rounding.",
        },
    ),
    Question(
        "Two models give the same probabilities for every image, and different evidence maps for class 1. Is one of them wrong?",
        "Not necessarily: the scores fix no more than the mean of each map",
        "And the softmax fixes only the differences of these means. Where the evidence lies is a matter of the features; ask by redrawing.",
        {
            "Yes, the map follows from the scores": "A map with mean 0 may be added to any class: no score notices.",
            "Yes, the one whose map has the larger size": "A penalty would prefer the other one. Two maps of equal size can still differ everywhere.",
        },
    ),
    Question(
        "Erasing the evidence at a cell lowers the logit by exactly its value over the number of cells. What does that prove about the picture?",
        "Nothing yet: a cell sees a neighbourhood, so repaint the picture to find out",
        "The edit is exact about the arithmetic after the evidence layer. What caused the evidence is a question about the layers before it.",
        {
            "That the pixels under the cell cause the prediction": "The cell's receptive field is larger than the cell; its evidence may come from beside it.",
            "That the map is a faithful explanation of the whole network": "It is exact from the evidence on. Everything before is as dark as in any network.",
        },
    ),
    Question(
        "The paper's loss adds the sum of |A| and the sum of the 2-norm of each single value of A. Read literally, what are lambda1 and lambda2?",
        "Two knobs for the same term",
        "The 2-norm of one number is its size. The released code takes one norm of the whole stack of maps instead, which is another penalty.",
        {
            "Lasso and ridge, as in an elastic net": "Ridge squares; nothing is squared in the formula, nor in the code.",
            "One for sparse cells, one for sparse classes": "Both sums run over all cells and all classes.",
        },
    ),
    Question(
        "A stronger L1 penalty makes activation precision rise. What else must you look at before you prefer that model?",
        "The lesions it no longer finds, small ones first",
        "Precision rewards silence: a map that shows one certain spot and nothing else is precise. Count the misses.",
        {
            "Nothing, precision is what the clinic wants": "A map that is empty but for one certain spot has high precision and misses patients.",
            "Whether the maps look sharper": "They will. Sharpness is what the penalty buys, whatever it costs.",
        },
    ),
]
