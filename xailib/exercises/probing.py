"""Exercises of chapter 11: bits, control labels per type, selectivity, code length, projections, and what probes do not say."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np

from xailib.exercises.engine import Claim, Exercise, Mistake, WrongAnswer
from xailib.exercises.questions import Question

# --- foundations: what a label costs ---


def bits_of_three() -> float:
    """Bits for three labels whose right class got the probabilities 1/2, 1/8 and 1."""
    return float(-np.log2(np.array([1 / 2, 1 / 8, 1.0])).sum())


def _check_bits(answer: float, rng: np.random.Generator) -> None:
    named = {
        4 / 3: "That is the mean per label. The code must send all three: add the costs up.",
        -4.0: "A cost is not negative: the logarithm of a probability is, so turn the sign.",
        13 / 8: "You added the probabilities. Costs add up, probabilities do not: take -log2 of each first.",
        -np.log(1 / 16): "This is in nats: you took the natural logarithm. One nat is 1.44 bits: use the logarithm to base 2.",
        1 / 16: "That is the probability of all three labels together. Its -log2 is the cost.",
        5.0: "Count again: 1/8 is 1/2 three times over, so it costs 3 bits; and what is certain costs nothing, not 1 bit.",
        3.0: "One bit a label is what they cost without a probe. Each costs -log2 of its probability.",
        -np.log2(
            13 / 24
        ): "You took the logarithm of the mean probability. Each label is sent by itself: first the logarithm, then the sum.",
    }
    for value, message in named.items():
        if abs(answer - value) < 0.006:  # a rounded answer is the same slip
            raise Mistake(message)
    if abs(answer - bits_of_three()) > 1e-6:
        raise Mistake("Take -log2 of 1/2, of 1/8 and of 1, and add the three up.")


# --- a random label per type ---


def control_labels(types: np.ndarray, y: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Labels (n,) of a control task: one random draw from the labels ``y`` for each type, kept wherever the type stands."""
    kinds, of_row = np.unique(types, return_inverse=True)
    return rng.choice(y, size=len(kinds))[of_row]


def _control_by_dictionary(types: np.ndarray, y: np.ndarray, rng: np.random.Generator) -> list[Any]:
    label = {t: y[rng.integers(len(y))] for t in np.unique(types).tolist()}
    return [label[t] for t in types.tolist()]


def _control_by_frequencies(types: np.ndarray, y: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    classes, counts = np.unique(y, return_counts=True)
    out = np.empty(len(types), dtype=y.dtype)
    for t in np.unique(types):
        out[types == t] = rng.choice(classes, p=counts / counts.sum())
    return out


def _check_control(answer: Callable[..., Any], rng: np.random.Generator) -> None:
    kinds = rng.choice(900, 400, replace=False)
    types = rng.permutation(np.repeat(kinds, 5))
    y = np.where(rng.random(2000) < 0.8, 3, 7)
    first = np.asarray(answer(types, y, np.random.default_rng(int(rng.integers(2**31)))))
    second = np.asarray(answer(types, y, np.random.default_rng(int(rng.integers(2**31)))))
    if first.shape != (2000,):
        raise Mistake(
            f"One label per row is asked for, shape (2000,), not {first.shape}: hand the types' labels on to their rows."
        )
    if not np.isin(first, [3, 7]).all():
        raise Mistake("Control labels must be labels of the property, here 3 and 7: draw from y, not from 0 and 1.")
    if np.array_equal(first, second):
        if all(len(np.unique(first[types == t])) == 1 for t in kinds[:20]) and len(np.unique(first)) == 2:
            raise Mistake(
                "Another generator gives the same labels: nothing is random here. Draw with the rng that you are handed."
            )
        raise Mistake("These are not random: every call gives the same labels. A control task is tossed anew.")
    together = np.mean([len(np.unique(first[types == t])) == 1 for t in kinds])
    if together < 0.5:
        raise Mistake(
            "One type has several labels: you tossed per row (token). A probe cannot learn those by heart, so they control nothing."
        )
    if together < 1:
        raise Mistake("Most types have one label, but some have several: look each label up by its type, not by its place.")
    of_type = np.array([first[types == t][0] for t in kinds])
    share = np.mean(of_type == 3)
    if abs(share - 0.5) < 0.09:
        raise Mistake(
            "Both labels come equally often, but the property has 3 in four of five rows. Draw with its frequencies, "
            "or the control task is harder to guess than the property."
        )
    if abs(share - 0.8) > 0.09:
        raise Mistake(f"The label 3 belongs to {share:.0%} of the types; drawn from y it would be near 80 %.")
    _check_draws(answer, rng)


def _check_draws(answer: Callable[..., Any], rng: np.random.Generator) -> None:
    """What one toss cannot show: types far apart, frequencies of rows, draws that do not depend on each other."""
    far = np.array([-(10**17), -1, 0, 10**17])
    try:
        labels = np.asarray(answer(far, np.array([3, 3, 3, 7]), np.random.default_rng(0)))
    except Mistake as error:
        raise Mistake(
            "Types may be any whole numbers, such as -1 and 10**17: do not use them as places in an array. Number them first, with np.unique."
        ) from error
    if labels.shape != (4,):
        raise Mistake(f"Four rows of four types need four labels, not shape {labels.shape}.")
    types, y = np.repeat(np.arange(40), np.where(np.arange(40) < 20, 1, 9)), np.repeat([7, 3], [20, 180])
    first = np.unique(types, return_index=True)[1]
    tosses = [np.asarray(answer(types, y, np.random.default_rng(int(rng.integers(2**31))))) for _ in range(200)]
    shares = [np.mean(toss[first] == 3) for toss in tosses]
    if abs(np.mean(shares) - 0.9) > 0.2:
        raise Mistake(
            "Here 90 % of the rows have one label, but only half of the types. You drew with the frequencies of the types: draw from y, row by row."
        )
    if np.std(shares) < 0.02:  # independent: sqrt(0.9 * 0.1 / 40) = 0.047
        raise Mistake(
            "In every toss the same number of types has each label: you dealt them out. Every type is tossed by itself."
        )


def _as_places(types: np.ndarray, y: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return rng.choice(y, types.max() + 1)[types]


def _permuted(types: np.ndarray, y: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    _, first, of_row = np.unique(types, return_index=True, return_inverse=True)
    return rng.permutation(y[first])[of_row]


def _dealt(types: np.ndarray, y: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    kinds, of_row = np.unique(types, return_inverse=True)
    return rng.permutation(np.quantile(y, (np.arange(len(kinds)) + 0.5) / len(kinds), method="inverted_cdf").astype(int))[of_row]


def _per_row(types: np.ndarray, y: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return rng.choice(y, size=len(types))


def _uniform(types: np.ndarray, y: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    _, of_row = np.unique(types, return_inverse=True)
    return rng.choice(np.unique(y), size=of_row.max() + 1)[of_row]


def _own_labels(types: np.ndarray, y: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    _, of_row = np.unique(types, return_inverse=True)
    return rng.integers(2, size=of_row.max() + 1)[of_row]


def _not_handed_on(types: np.ndarray, y: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return rng.choice(y, size=len(np.unique(types)))


def _fixed_seed(types: np.ndarray, y: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return control_labels(types, y, np.random.default_rng(0))


def _modulo(types: np.ndarray, y: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return rng.permutation(y)[(np.searchsorted(np.unique(types), types) + np.arange(len(types))) % len(y)]


# --- selectivity ---


def selectivity(predicted: np.ndarray, y: np.ndarray, control_predicted: np.ndarray, control: np.ndarray) -> float:
    """Accuracy on the task minus accuracy on the control task."""
    return float(np.mean(predicted == y) - np.mean(control_predicted == control))


def _selectivity_by_errors(predicted: np.ndarray, y: np.ndarray, control_predicted: np.ndarray, control: np.ndarray) -> float:
    return (np.count_nonzero(control_predicted != control) - np.count_nonzero(predicted != y)) / len(y)


def _selectivity_by_sum(predicted: np.ndarray, y: np.ndarray, control_predicted: np.ndarray, control: np.ndarray) -> np.float64:
    task = sum(int(a == b) for a, b in zip(predicted, y, strict=True)) / len(y)
    return np.float64(task - sum(int(a == b) for a, b in zip(control_predicted, control, strict=True)) / len(control))


def _check_selectivity(answer: Callable[..., Any], rng: np.random.Generator) -> None:
    while True:  # until no two slips give the same number
        y, control = rng.integers(3, size=90), rng.integers(3, size=90)
        predicted = np.where(rng.random(90) < 0.9, y, (y + 1) % 3)
        by_probe = np.where(rng.random(90) < 0.6, control, (control + 1) % 3)
        wanted, named = selectivity(predicted, y, by_probe, control), _slips(predicted, y, by_probe, control)
        if len(named) == 7 and np.diff(np.sort([wanted, *named])).min() > 1e-6:
            break
    got = np.asarray(answer(predicted, y, by_probe, control))
    if got.shape not in [(), (1,)]:
        raise Mistake(f"One number is asked for, not an array of shape {got.shape}: average over the rows.")
    value = float(np.ravel(got)[0])
    if abs(value - wanted) < 1e-9:
        turned = float(np.ravel(np.asarray(answer(by_probe, control, predicted, y)))[0])
        if turned == 0:
            raise Mistake("You cut at zero. A probe may read coins better than the property; a selectivity below zero says so.")
        if abs(turned + wanted) > 1e-9:
            raise Mistake("Where the control task is read better than the property, selectivity is negative: keep the sign.")
        return
    for wrong, message in named.items():
        if abs(value - wrong) < 1e-9:
            raise Mistake(message)
    raise Mistake("Two shares of right labels, task and control task, each with its own predictions; then the difference.")


def _slips(predicted: np.ndarray, y: np.ndarray, by_probe: np.ndarray, control: np.ndarray) -> dict[float, str]:
    """What each slip gives, and its message."""
    task, known = float(np.mean(predicted == y)), float(np.mean(by_probe == control))
    return {
        known - task: "The sign is turned: a probe that reads the property better than coins is selective, above zero.",
        task: "That is the accuracy on the task alone. What would the same probe have read from random labels? Take that off.",
        task - np.bincount(y).max() / len(y): "You took the most frequent label off. Guessing is one zero point; the control task asks what the probe can learn by heart.",
        task - 1 / 3: "You took chance off. The control task is harder than chance: it is what the probe learns by heart.",
        task - float(np.mean(by_probe == y)): "You compared the control probe with the property's labels. It was fitted to the control labels: judge it by those.",
        task / known: "That is the ratio. Selectivity is the difference, so that zero means: nothing beyond what was learnt by heart.",
        task - float(np.mean(predicted == control)): "You judged one probe by two labels. The control task has a probe of its own.",
    }  # fmt: skip


# --- online code from losses ---


def online_code_bits(block_losses: np.ndarray, block_rows: np.ndarray, n_classes: int) -> float:
    """Bits of the online code: the first block at log2(n_classes) a label, the others by their mean loss in nats."""
    first = block_rows[0] * np.log2(n_classes)
    return float(first + (block_losses[1:] * block_rows[1:]).sum() / np.log(2))


def _code_by_loop(block_losses: np.ndarray, block_rows: np.ndarray, n_classes: int) -> float:
    bits = 0.0
    for k, (loss, n) in enumerate(zip(block_losses, block_rows, strict=True)):
        bits += n * (np.log2(n_classes) if k == 0 else loss / np.log(2))
    return bits


def _code_by_nats(block_losses: np.ndarray, block_rows: np.ndarray, n_classes: int) -> np.float64:
    nats = np.where(np.arange(len(block_rows)) == 0, np.log(n_classes), block_losses) @ block_rows
    return nats / np.log(2)


def _check_code(answer: Callable[..., Any], rng: np.random.Generator) -> None:
    rows = np.array([8, 8, 16, 32, 64])
    losses, K = np.append(2.9, rng.uniform(0.1, 1.0, 4)), 5
    got = np.asarray(answer(losses, rows, K))
    if got.shape not in [(), (1,)]:
        raise Mistake(f"One number of bits is asked for, not an array of shape {got.shape}: add the blocks up.")
    value, wanted = float(np.ravel(got)[0]), online_code_bits(losses, rows, K)
    probe_nats, uniform = (losses[1:] * rows[1:]).sum(), rows[0] * np.log2(K)
    named = {
        rows[0] * np.log(K) + probe_nats: "The whole sum is in nats. Divide by log(2) to have bits.",
        uniform + probe_nats: "The first block is in bits, the others still in nats: losses come from the natural logarithm.",
        losses
        @ rows
        / np.log(
            2
        ): "The first block has no probe yet: its loss in the list means nothing, its labels cost log2 of the number of classes each.",
        probe_nats / np.log(2): "The first block is missing. The receiver needs those labels too, at the uniform price.",
        np.log2(K) + probe_nats / np.log(2): "The first block has eight labels, and each costs log2(5) bits.",
        uniform
        + losses[1:].sum() / np.log(2): "The losses are means per label: multiply each by the number of labels in its block.",
        wanted / rows.sum(): "That is bits per label. The length of the code is the sum over all labels.",
        rows.sum() * np.log2(K) / wanted: "That is the compression. Here the code itself is asked for, in bits.",
        uniform + probe_nats * np.log(2): "Nats become bits by dividing by log(2), not by multiplying: one nat is 1.44 bits.",
        rows[0]
        + probe_nats
        / np.log(2): "One bit a label is the uniform price of two classes. Here there are five: what does one of them cost?",
        uniform
        + (losses[1:] * rows[:-1]).sum()
        / np.log(
            2
        ): "Losses and rows are shifted by one block: loss k belongs to the labels of block k, the probe to the blocks before.",
        rows[0] * K + probe_nats / np.log(2): "A label of 5 equally likely classes costs log2(5) bits, not 5.",
    }
    if abs(value - wanted) < 1e-6:
        return
    for wrong, message in named.items():
        if abs(value - wrong) < 1e-6:
            raise Mistake(message)
    raise Mistake("First block: rows times log2(n_classes). Others: rows times loss, divided by log(2). Add all up.")


# --- a direction out ---


def project_out(A: np.ndarray, v: np.ndarray) -> np.ndarray:
    """Rows of A (n, d) without their part along v (d,), counted from the mean row, so that the mean stays."""
    u = v / np.linalg.norm(v)
    along = (A - A.mean(axis=0)) @ u
    return A - np.outer(along, u)


def _project_by_matrix(A: np.ndarray, v: np.ndarray) -> np.ndarray:
    P = np.eye(len(v)) - np.outer(v, v) / (v @ v)
    mean = A.mean(axis=0)
    return (A - mean) @ P + mean


def _project_by_loop(A: np.ndarray, v: np.ndarray) -> np.ndarray:
    mean = A.mean(axis=0)
    return np.array([a - (a - mean) @ v / (v @ v) * v for a in A])


def _check_project(answer: Callable[..., Any], rng: np.random.Generator) -> None:
    A = rng.normal(size=(12, 5)) + rng.normal(size=5) * 3
    v = 2.5 * _unit(rng.normal(size=5))
    B = np.asarray(answer(A, v), dtype=float)
    if B.shape != A.shape:
        raise Mistake(
            f"The values keep their shape, (12, 5), but yours have {B.shape}: every row loses a direction, not a number."
        )
    wanted, u, mean = project_out(A, v), _unit(v), A.mean(axis=0)
    if np.allclose(B, wanted, atol=1e-8):
        return
    centred = A - mean
    named: list[tuple[np.ndarray, str]] = [
        (A - np.outer(A @ u, u), "The direction is gone, but so is the mean's part of it: the values moved to where no value ever was. Count from the mean."),
        (A - np.outer(centred @ v, v), "v has length 2.5, and it stands in the formula twice: your step is 6.25 times too long. Divide by its length first."),
        (A - np.outer(centred @ v, u), "You normalised on one side only. The direction stands in the formula twice, for measuring and for subtracting: both need the unit vector."),
        (A - np.outer(centred @ v, v) / 2.5**4, "You divided by the squared length on both sides: once is enough, or the plain length on each side."),
        (np.outer(centred @ u, u) + mean, "You kept the direction and threw all others away."),
        (A + np.outer(centred @ u, u), "You added the part along v once more: subtract it."),
        (centred - np.outer(centred @ u, u), "The mean is missing: you centred the values and did not move them back."),
        (A - np.outer(A @ v, v), "Two slips: v is not of length 1, and the part is counted from zero instead of from the mean."),
        (A - mean @ u * u, "Every row lost the same thing, the mean's part. Each row has a part of its own."),
    ]  # fmt: skip
    for wrong, message in named:
        if np.allclose(B, wrong, atol=1e-8):
            raise Mistake(message)
    if np.allclose(B, A):
        raise Mistake("Nothing has changed: subtract each row's part along v.")
    if np.abs((B - B.mean(axis=0)) @ u).max() > 1e-8:
        raise Mistake("The rows still differ along v. For each row: measure (a - mean) . u, and subtract so much of u.")
    raise Mistake("The direction is gone, but something else changed too: the part at right angles to v and the mean must stay.")


def _unit(v: np.ndarray) -> np.ndarray:
    return v / np.linalg.norm(v)


# --- what a random network knows ---


@cache
def random_network_accuracy() -> float:
    """Held-out accuracy of a linear probe for the subject's number, at its noun, mean of three untrained networks."""
    from xailib import probing, worlds, zoo

    world = worlds.agreement(1200)
    subject, net = world.truth.subject(world.X), zoo.load("agreement-transformer")
    found = []
    for seed in range(3):
        fresh = probing.untrained(net, random_state=seed)
        A = probing.activations(fresh, world.X, "blocks.1.resid_post", subject)
        found.append(probing.measure(A, world.y, n_splits=3).interval()[0])
    return float(np.mean(found))


def _check_random(answer: float, rng: np.random.Generator) -> None:
    measured = random_network_accuracy()
    if abs(answer - measured) <= 0.03:
        return
    if 1.5 < answer <= 100:
        raise Mistake("Hand in the share, between 0 and 1, not per cent.")
    if answer > 1 or answer < 0:
        raise Mistake("An accuracy is a share between 0 and 1.")
    if abs(answer - 0.5) <= 0.06:
        raise Mistake(
            "Half is what you get when test nouns are new (split by noun), or at the embedding before the verb. Here rows are split, and the probe looks at the noun itself: it knows each of the 28."
        )
    if 0.58 <= answer <= 0.82:
        raise Mistake(
            "That is what a random network passes on to the place before the verb. Here the probe looks at the noun itself."
        )
    if 0.82 < answer < 0.97:
        raise Mistake(
            "Too low: 28 nouns are 28 points in 64 dimensions, which a linear probe labels at will, and every test noun was seen in training. Do you probe at the noun, with all 1,200 sentences, split by row?"
        )
    if abs(answer) <= 0.05:
        raise Mistake("That is what training added (the difference), or a selectivity. The accuracy itself is asked for.")
    raise Mistake(
        "Untrained networks (seeds 0 to 2), point blocks.1.resid_post, positions at the subject, all sentences of worlds.agreement(1200)."
    )


EXERCISES = [
    Exercise(
        name="bits",
        title="Add up the bits of three labels",
        level="core",
        difficulty=1,
        minutes=3,
        passes="your number is the cost of all three",
        task=(
            "A probe gives the right class of three sentences the probabilities **1/2, 1/8 and 1**. How many bits does it cost to send the three "
            "labels? **Guess in your head**, then compute it."
        ),
        hints=("Halving a probability costs one bit more.", "How much does a label cost that is certain?"),
        reference=bits_of_three,
        check=_check_bits,
        wrong=[
            WrongAnswer(2.77, "natural logarithm", "This is in nats"),
            WrongAnswer(1 / 16, "product of the probabilities", "probability of all three"),
            WrongAnswer(5.0, "one bit for the certain label", "Count again"),
            WrongAnswer(4 / 3, "mean instead of sum", "mean per label"),
            WrongAnswer(-4.0, "sign forgotten", "A cost is not negative"),
            WrongAnswer(1.625, "adds probabilities", "You added the probabilities"),
            WrongAnswer(3.0, "uniform code", "without a probe"),
            WrongAnswer(float(-np.log2(13 / 24)), "logarithm of the mean", "logarithm of the mean probability"),
        ],
    ),
    Exercise(
        name="control",
        title="Toss the labels of a control task",
        level="core",
        difficulty=2,
        minutes=8,
        passes="on 400 types every type has one label, drawn with the property's frequencies, and another toss gives others",
        task=(
            "Write `control_labels(types, y, rng)`: types (n,), any whole numbers, and the property's labels (n,). Return (n,) labels in which every "
            "*type* has one label drawn at random from `y`, the same in all its rows. Draw with `rng`."
        ),
        hints=(
            "How many draws do you need: one per row, or fewer? What does `np.unique` return with `return_inverse=True`?",
            "80 % of the property's labels are alike. Should that hold for the control labels too?",
        ),
        reference=control_labels,
        check=_check_control,
        wrong=[
            WrongAnswer(_per_row, "a toss per token", "you tossed per row"),
            WrongAnswer(_uniform, "fair coin for an unfair property", "equally often"),
            WrongAnswer(_own_labels, "labels 0 and 1 whatever the property", "must be labels of the property"),
            WrongAnswer(_not_handed_on, "labels of types, not of rows", "One label per row"),
            WrongAnswer(_fixed_seed, "own seed", "nothing is random here"),
            WrongAnswer(lambda t, y, rng: np.full(len(t), y[0]), "one label for all", "These are not random"),
            WrongAnswer(_as_places, "types as places in an array", "do not use them as places"),
            WrongAnswer(_permuted, "frequencies of the types", "frequencies of the types"),
            WrongAnswer(_dealt, "draws that depend on each other", "you dealt them out"),
            WrongAnswer(_modulo, "labels looked up by place", "cannot learn those by heart"),
        ],
        right=[_control_by_dictionary, _control_by_frequencies],
    ),
    Exercise(
        name="selectivity",
        title="Take off what the probe learnt by heart",
        level="core",
        difficulty=1,
        minutes=5,
        passes="random predictions for task and control task give the right difference",
        task=(
            "Write `selectivity(predicted, y, control_predicted, control)`: predictions and labels of the property, then predictions and labels of "
            "the control task, four arrays (n,) of held-out rows. Return one number."
        ),
        hints=(
            "Two probes were fitted. Which labels judge which?",
            "A probe that reads the property better than coins should be above zero.",
        ),
        reference=selectivity,
        check=_check_selectivity,
        wrong=[
            WrongAnswer(lambda p, y, q, c: np.mean(q == c) - np.mean(p == y), "sign turned", "The sign is turned"),
            WrongAnswer(lambda p, y, q, c: abs(np.mean(p == y) - np.mean(q == c)), "absolute value", "keep the sign"),
            WrongAnswer(lambda p, y, q, c: max(np.mean(p == y) - np.mean(q == c), 0.0), "cut at zero", "You cut at zero"),
            WrongAnswer(lambda p, y, q, c: np.mean(p == y), "accuracy alone", "on the task alone"),
            WrongAnswer(
                lambda p, y, q, c: np.mean(p == y) - np.bincount(y).max() / len(y),
                "minus the majority",
                "most frequent label off",
            ),
            WrongAnswer(lambda p, y, q, c: np.mean(p == y) - 1 / len(np.unique(y)), "minus chance", "You took chance off"),
            WrongAnswer(
                lambda p, y, q, c: np.mean(p == y) - np.mean(q == y), "control probe on the property", "judge it by those"
            ),
            WrongAnswer(lambda p, y, q, c: np.mean(p == y) / np.mean(q == c), "ratio instead of difference", "That is the ratio"),
            WrongAnswer(lambda p, y, q, c: np.mean(p == y) - np.mean(p == c), "one probe for both", "one probe by two labels"),
            WrongAnswer(lambda p, y, q, c: (p == y).astype(float) - (q == c), "no mean", "average over the rows"),
        ],
        right=[_selectivity_by_errors, _selectivity_by_sum],
    ),
    Exercise(
        name="code",
        title="Turn losses into the length of a code",
        level="core",
        difficulty=3,
        minutes=10,
        passes="five blocks with random losses and five classes give the right number of bits",
        task=(
            "Write `online_code_bits(block_losses, block_rows, n_classes)`. `block_losses` (b,): mean cross-entropy per label of each block, **in nats**, "
            "as scikit-learn's `log_loss` gives it, for the probe fitted to the blocks before. `block_rows` (b,): labels per block. There is no probe "
            "before the first block: its labels are sent at the uniform price, and `block_losses[0]` is meaningless. Return the bits of the whole code."
        ),
        hints=(
            "What does one label of `n_classes` equally likely classes cost, in bits?",
            "One nat is 1.44 bits. Which operation with log(2) does that?",
        ),
        reference=online_code_bits,
        check=_check_code,
        wrong=[
            WrongAnswer(lambda a, n, K: n[0] * np.log(K) + (a[1:] * n[1:]).sum(), "all in nats", "The whole sum is in nats"),
            WrongAnswer(lambda a, n, K: n[0] * np.log2(K) + (a[1:] * n[1:]).sum(), "mixed units", "still in nats"),
            WrongAnswer(lambda a, n, K: a @ n / np.log(2), "no uniform block", "has no probe yet"),
            WrongAnswer(lambda a, n, K: (a[1:] * n[1:]).sum() / np.log(2), "first block left out", "first block is missing"),
            WrongAnswer(
                lambda a, n, K: np.log2(K) + (a[1:] * n[1:]).sum() / np.log(2), "one label in the first block", "has eight labels"
            ),
            WrongAnswer(lambda a, n, K: n[0] * np.log2(K) + a[1:].sum() / np.log(2), "losses not times rows", "means per label"),
            WrongAnswer(lambda a, n, K: online_code_bits(a, n, K) / n.sum(), "per label", "bits per label"),
            WrongAnswer(
                lambda a, n, K: n.sum() * np.log2(K) / online_code_bits(a, n, K), "compression", "That is the compression"
            ),
            WrongAnswer(
                lambda a, n, K: n[0] * np.log2(K) + (a[1:] * n[1:]).sum() * np.log(2), "times log 2", "not by multiplying"
            ),
            WrongAnswer(
                lambda a, n, K: n[0] + (a[1:] * n[1:]).sum() / np.log(2), "one bit whatever the classes", "of two classes"
            ),
            WrongAnswer(
                lambda a, n, K: n[0] * np.log2(K) + (a[1:] * n[:-1]).sum() / np.log(2), "shifted by one block", "shifted by one"
            ),
            WrongAnswer(lambda a, n, K: n[0] * K + (a[1:] * n[1:]).sum() / np.log(2), "no logarithm", "not 5"),
        ],
        right=[_code_by_loop, _code_by_nats],
    ),
    Exercise(
        name="erase",
        title="Project a direction out",
        level="core",
        difficulty=3,
        minutes=10,
        passes="rows no longer differ along v, the mean and everything at right angles stay",
        task=(
            "Write `project_out(A, v)`: values (n, d) and a direction (d,) of *any* length. Return the values without their part along `v`, counted "
            "from the mean row: afterwards all rows have the mean's part along `v`."
        ),
        hints=(
            "What is the length of your direction, and how often does it stand in the formula?",
            "Where should a value end up that had only this part: at zero, or at the mean?",
        ),
        reference=project_out,
        check=_check_project,
        wrong=[
            WrongAnswer(lambda A, v: A - np.outer(A @ _unit(v), _unit(v)), "from zero", "Count from the mean"),
            WrongAnswer(lambda A, v: A - np.outer((A - A.mean(0)) @ v, v), "not normalised", "6.25 times too long"),
            WrongAnswer(lambda A, v: A - np.outer((A - A.mean(0)) @ v, _unit(v)), "one side normalised", "on one side only"),
            WrongAnswer(
                lambda A, v: A - np.outer((A - A.mean(0)) @ v, v) / (v @ v) ** 2, "squared length twice", "once is enough"
            ),
            WrongAnswer(
                lambda A, v: np.outer((A - A.mean(0)) @ _unit(v), _unit(v)) + A.mean(0),
                "keeps the direction",
                "threw all others away",
            ),
            WrongAnswer(
                lambda A, v: A + np.outer((A - A.mean(0)) @ _unit(v), _unit(v)), "adds instead of subtracting", "subtract it"
            ),
            WrongAnswer(
                lambda A, v: (A - A.mean(0)) - np.outer((A - A.mean(0)) @ _unit(v), _unit(v)),
                "mean lost",
                "did not move them back",
            ),
            WrongAnswer(lambda A, v: A - A.mean(0) @ _unit(v) * _unit(v), "only the mean's part", "Every row lost the same"),
            WrongAnswer(lambda A, v: A - np.outer(A @ v, v), "not normalised, from zero", "Two slips"),
            WrongAnswer(lambda A, v: A @ np.linalg.svd(v[None])[2][1:].T, "drops a column", "keep their shape"),
        ],
        right=[_project_by_matrix, _project_by_loop],
    ),
    Exercise(
        name="random_network",
        title="Predict what a random network knows",
        level="core",
        difficulty=2,
        minutes=8,
        passes="your measured accuracy is right within 0.03",
        task=(
            "Three untrained networks (`probing.untrained(net, seed)`, seeds 0, 1 and 2). A linear probe reads the number of the subject **at its noun**, "
            "at `blocks.1.resid_post`, split by row. **First write down your guess** of the accuracy, mean of the three, then measure it, on all "
            "sentences of `worlds.agreement(1200)` with `probing.measure(..., n_splits=3)`."
        ),
        hints=(
            "28 nouns, 64 numbers. What did four points in space teach?",
            "`probing.activations(fresh, X, point, positions)`, with the positions from `truth.subject(X)` of *these* sentences.",
        ),
        reference=random_network_accuracy,
        check=_check_random,
        wrong=[
            WrongAnswer(0.5, "random network knows nothing", "Half is what you get"),
            WrongAnswer(0.7, "reads before the verb", "place before the verb"),
            WrongAnswer(99.8, "per cent", "not per cent"),
            WrongAnswer(0.0, "difference", "what training added"),
            WrongAnswer(0.9, "something in between", "Too low"),
            WrongAnswer(0.3, "less than guessing", "Untrained networks"),
        ],
    ),
    Exercise(
        name="memo",
        title="Judge a memo about grammar",
        level="core",
        difficulty=3,
        minutes=8,
        passes="each of the six claims is judged right",
        task=(
            "A colleague reports to editor and lawyer in six sentences. Which of them does the evidence of this chapter support? Hand in the letters, "
            "such as `'ac'`. Then write three sentences of your own, and compare."
        ),
        hints=(
            "For each claim: which of the four zero points, or which intervention, would it need?",
            "Where, for whom, how strong: does the claim say so?",
        ),
        claims={
            "a": Claim(
                "At its noun, the subject's number is read with accuracy 1.00 in every layer, so the network has learnt number there.",
                False,
                "an untrained network gives 1.00 too, and a coin per noun is read just as well: 28 nouns in 64 dimensions. What training added shows only when test nouns are new.",
            ),
            "b": Claim(
                "Before the verb, in block 1, the verb's form depends on the direction between the class means: without it nearly all verbs become plural, and the margin falls more than without any of 99 random directions, isotropic or drawn like the values.",
                True,
                "that is what the erasure measured, with both controls, on other sentences than those that made the direction.",
            ),
            "c": Claim(
                "The last noun's number is read at every point before the verb, so it influences the verb.",
                False,
                "its direction, found within the classes of the subject's number, was taken out at every point, and the margin changed by 3 % at most, about as with random directions: readable is not used.",
            ),
            "d": Claim(
                "The author was not found, with a test that in block 1 nearly always finds a coin that agrees with the subject's number in six sentences of ten.",
                True,
                "not found, together with the power of the test and the property for which it was measured: so much can be said. For a coin that follows some nouns the power was small.",
            ),
            "e": Claim(
                "The author was not found, so no partner can ever find anything about authors in these values.",
                False,
                "the test looked at one position, with linear probes; real authors choose their words, which our coin did not.",
            ),
            "f": Claim(
                "After the erasure in block 1 the number is gone from the values.",
                False,
                "an MLP reads it nearly without error, and so in part does a linear classifier that counts errors. Linear probes with a convex loss do not, and the rest of this network does not.",
            ),
        },
        model_answer=(
            "The network carries the subject's number to the place before the verb in the attention of block 1 and needs it there: without one direction of "
            "64 nearly every verb becomes plural, and no random direction lowers the margin as much. The copy that a probe reads there in block 0 can be spared as long as "
            "the subject's own place stands; the last noun's number, taken within the classes of the subject's, changes the margin about as much as random directions do. The author was not found before the verb by "
            "linear probes, in a test that in block 1 would have found a coin that agrees with the subject's number in six sentences of ten, but hardly one that "
            "follows some of the nouns; for real authors, who choose their words, the test must be made anew."
        ),
    ),
]

WARMUP = [
    Question(
        "Chapter 9: a CAV tells striped from random pictures with accuracy 0.87. What does that prove about the class score?",
        "Nothing: it says that the layer tells the two sets apart, not that the score depends on it",
        "A CAV is a probe. This chapter takes the second half of that sentence seriously.",
        {
            "The score depends on stripes": "A classifier found a difference between two sets of pictures; whether the rest of the network looks there is another question.",
            "The pictures are striped, as snow is excluded": "Accuracy says only that the sets differ: it was higher for the confounded set.",
        },
    ),
    Question(
        "Chapter 0: why is a score of 0.71 on held-out data not yet a result?",
        "Because we do not know what guessing, or a trivial method, would score there, nor how much it varies",
        "A zero point and an interval. Probes need four zero points.",
        {
            "Because 0.71 is below 0.95": "0.95 is the level of an interval, not a pass mark; 0.71 can be excellent or worthless.",
            "Because held-out data are too easy": "Held-out data are the least that is asked; the question is what to compare with.",
        },
    ),
    Question(
        "Chapter 10: a causal transformer reads 'the old key near the cabinets'. What can its value at the position of 'key' depend on?",
        "On 'the', 'old' and 'key' only",
        "A position sees itself and what came before; so the place before the verb is the first that can know everything.",
        {
            "On all words of the sentence": "Later words are masked: attention to them is forbidden.",
            "On 'key' only": "The embedding does; after the first attention, earlier words are mixed in.",
        },
    ),
]

QUIZ = [
    Question(
        "A probe reads parts of speech with accuracy 0.97, its control task with 0.96. What do you report?",
        "A selectivity of 0.01: the probe would have read almost any labels of words so well",
        "The accuracy is nearly all memory of words.",
        {
            "That the layer encodes parts of speech, at 97 %": "The same probe reads labels that nobody encoded with 96 %.",
            "That the control task failed": "It did its work: it shows how much this probe can learn by heart.",
        },
    ),
    Question(
        "You split by word, so that test words never appear in training. What should the control task score?",
        "About what guessing scores, as its labels cannot be known for new words",
        "Then the accuracy itself is free of memory, and the control only checks that the split is clean.",
        {
            "As much as when splitting by row": "A label tossed for a word says nothing about another word.",
            "Zero": "Guessing a tossed label is right about as often as its frequency.",
        },
    ),
    Question(
        "An online code for 1,000 labels of two classes takes 1,180 bits. What does it say?",
        "The probe was sure and wrong so often that sending the labels plainly, with 1,000 bits, would be shorter",
        "Nothing was easy to read here. Accuracy hides such confidence.",
        {
            "The computation is wrong: a code cannot exceed 1,000 bits": "Nothing keeps a probe from being wrong with high certainty, and that costs.",
            "The property is encoded with 180 bits": "Bits beyond 1,000 are waste, not information.",
        },
    ),
    Question(
        "A property's direction is projected out at layer 3 and the behaviour does not change. What may you conclude?",
        "That the network does not need this direction, at this layer and these positions, for this behaviour",
        "It may read the property elsewhere, later, or in a way that is not linear.",
        {
            "That the network never uses the property": "In this chapter the number was erased before the verb in block 0 without effect, and used all the same.",
            "That the property is not encoded there": "It was readable, or there would have been no direction to take out.",
        },
    ),
    Question(
        "Why does the amnesic test also take out random directions?",
        "Because any change of the values might disturb the network; only more harm than a random change of that kind is evidence",
        "And it should be a change of comparable size: random directions can hold far less variance.",
        {
            "To find further directions of the property": "They are drawn without regard to it.",
            "To make the values forget the property completely": "A random direction holds almost none of the property; it is a control, not a cure.",
        },
    ),
]
