"""Chapter 0: the exercises on grading, the warm judgement, and the quiz."""

from __future__ import annotations

import numpy as np

from xailib.exercises.engine import Claim, Exercise, Mistake, WrongAnswer
from xailib.exercises.questions import Question


def deletion_scores(predict, x, baseline, order):
    """Predictions while the features in ``order`` are replaced by the baseline, one more each time; p + 1 numbers."""
    rows = np.tile(x, (len(order) + 1, 1))
    for k, feature in enumerate(order, start=1):
        rows[k:, feature] = baseline[feature]
    return predict(rows)


def _check_deletion_scores(answer, rng):
    p = 5
    x, baseline, weights = rng.normal(size=p) + 3, rng.normal(size=p) - 3, rng.uniform(1, 3, size=p)
    order = rng.permutation(p)

    def predict(rows):
        return np.asarray(rows, dtype=float) @ weights

    scores = np.asarray(answer(predict, x, baseline, order), dtype=float)
    truth = deletion_scores(predict, x, baseline, order)
    if scores.shape == (p,):
        raise Mistake(
            f"You returned {p} numbers for {p} features; the curve starts before anything is deleted, so it has {p + 1}."
        )
    if scores.shape != (p + 1,):
        raise Mistake(f"The curve should be a vector of {p + 1} numbers, but its shape is {scores.shape}.")
    if np.isclose(scores[0], predict(baseline[None])[0]):
        raise Mistake("Your curve runs backwards: it starts from the baseline and puts features in, which is called insertion.")
    zeros = np.array([predict(np.where(np.isin(np.arange(p), order[:k]), 0.0, x)[None])[0] for k in range(p + 1)])
    if np.allclose(scores, zeros):
        raise Mistake("You deleted by writing zeros; zero is a value like any other. Use the baseline you were given.")
    singles = np.r_[predict(x[None]), [predict(np.where(np.arange(p) == j, baseline, x)[None])[0] for j in order]]
    if np.allclose(scores, singles):
        raise Mistake("You put each feature back before deleting the next one: deletion is cumulative.")
    if np.allclose(scores, deletion_scores(predict, x, baseline, np.arange(p))):
        raise Mistake("You deleted from the first column to the last: follow the given order.")
    if np.allclose(scores, scores[-1]):
        raise Mistake(
            "All points of your curve are equal: you collected the same row several times. Collect a copy of it each time."
        )
    if np.allclose(scores, deletion_scores(predict, x, baseline, order[::-1])):
        raise Mistake("You started with the last feature of the order; the first one goes first.")
    if not np.allclose(scores, truth):
        raise Mistake("Point k should be the prediction with the first k features of the order at their baseline values.")


def _one_at_a_time(predict, x, baseline, order):
    rows = [x]
    for j in order:
        row = x.copy()
        row[j] = baseline[j]
        rows.append(row)
    return predict(np.array(rows))


def _same_row(predict, x, baseline, order):
    row = x.copy()
    rows = [row]
    for j in order:
        row[j] = baseline[j]
        rows.append(row)
    return predict(np.array(rows))


def _loop(predict, x, baseline, order):
    row, scores = x.copy(), [predict(x[None])[0]]
    for j in order:
        row[j] = baseline[j]
        scores.append(predict(row[None])[0])
    return np.array(scores)


def _by_rank(predict, x, baseline, order):
    rank = np.argsort(order)
    return predict(np.where(rank[None] < np.arange(len(x) + 1)[:, None], baseline, x))


def interval_of_mean(scores):
    """Mean, and the ends of its 95 % interval: 1.96 standard errors to each side."""
    mean = np.mean(scores)
    standard_error = np.std(scores, ddof=1) / np.sqrt(len(scores))
    return mean, mean - 1.96 * standard_error, mean + 1.96 * standard_error


def _student(n):
    """Half width of Student's 95 % interval in standard errors: what `mean_interval` of the course uses."""
    from scipy.stats import t

    return t.ppf(0.975, n - 1)


def _check_interval_of_mean(answer, rng):
    scores = rng.normal(0.6, 0.25, size=int(rng.integers(12, 40)))
    found = np.asarray(answer(scores), dtype=float)
    if found.shape != (3,):
        raise Mistake(f"Return three numbers: mean, lower end, upper end; yours have shape {found.shape}.")
    mean, low, high = found
    wanted = np.array(interval_of_mean(scores))
    half, spread = wanted[2] - wanted[0], np.std(scores, ddof=1)
    if np.isclose((high - low) / 2, _student(len(scores)) * spread / np.sqrt(len(scores))) and np.isclose(mean, wanted[0]):
        return
    if np.isclose(mean, np.median(scores)) and not np.isclose(mean, wanted[0]):
        raise Mistake("You centred the interval on the median; this interval belongs to the mean.")
    if low > high:
        raise Mistake("Lower end first, upper end last.")
    if np.isclose((high - low) / 2, 1.96 * spread):
        raise Mistake(
            "This interval holds 95 % of the customers, not the mean: divide the spread by the square root of their number."
        )
    if np.isclose((high - low) / 2, spread / np.sqrt(len(scores))):
        raise Mistake("One standard error to each side holds the mean in about 68 of 100 repetitions; for 95 use 1.96.")
    if np.isclose((high - low) / 2, 1.96 * spread / len(scores)):
        raise Mistake("Uncertainty falls with the square root of the number of customers, not with their number.")
    if np.isclose((high - low) / 2, half * np.sqrt((len(scores) - 1) / len(scores)), rtol=1e-9):
        raise Mistake("Divide the squared deviations by n - 1 (ddof=1): the mean was estimated from the same scores.")
    if np.isclose((high - low) / 2, 2 * spread / np.sqrt(len(scores))):
        raise Mistake("Two standard errors are a fine rule of thumb; here use 1.96, so that the check can tell.")
    if np.isclose((high - low) / 2, 1.96 * spread**2 / np.sqrt(len(scores))):
        raise Mistake("You used the variance; its square root, the standard deviation, has the units of the scores.")
    if not np.allclose(found, wanted):
        raise Mistake("Compute the mean, plus and minus 1.96 times the standard deviation over the square root of n.")


def paired_advantage(a, b):
    """Mean advantage of a over b and the half width of its 95 % interval, both scored on the same customers."""
    difference = np.asarray(a) - np.asarray(b)
    return difference.mean(), 1.96 * difference.std(ddof=1) / np.sqrt(len(difference))


def _check_paired_advantage(answer, rng):
    n = 60
    difficulty = rng.normal(0, 0.3, size=n)
    a, b = 0.65 + difficulty + rng.normal(0, 0.05, size=n), 0.6 + difficulty + rng.normal(0, 0.05, size=n)
    found = np.asarray(answer(a, b), dtype=float)
    if found.shape != (2,):
        raise Mistake(f"Return two numbers, the mean advantage and the half width; yours have shape {found.shape}.")
    mean, half = found
    wanted = paired_advantage(a, b)
    if np.isclose(mean, -wanted[0]):
        raise Mistake("The sign is turned round: advantage of a over b is a minus b.")
    se = [1.96 * v.std(ddof=1) / np.sqrt(n) for v in (a, b)]
    if np.isclose(half, np.hypot(*se)) or np.isclose(half, np.hypot(*se), rtol=0.02):
        raise Mistake(
            "You treated the two lists as different customers. They are the same ones: subtract first, then take the spread."
        )
    if np.isclose(half, sum(se)):
        raise Mistake("You added the two half widths, as if overlapping intervals settled it. Look at the differences instead.")
    if np.isclose(half, wanted[1] * np.sqrt(n)):
        raise Mistake(
            "That is the spread of single differences; the mean of n differences is known better by the square root of n."
        )
    if np.isclose(half, wanted[1] * _student(n) / 1.96) and np.isclose(mean, wanted[0]):
        return
    if np.isclose(half, wanted[1] * np.sqrt((n - 1) / n), rtol=1e-9):
        raise Mistake("Divide the squared deviations by n - 1 (ddof=1): the mean was estimated from the same differences.")
    if np.isclose(half, 2 * wanted[1]):
        raise Mistake("That is the whole width of the interval; asked for is the half width, to one side.")
    if np.isclose(mean, np.abs(a - b).mean()):
        raise Mistake("You averaged the sizes of the differences; an advantage for b must count against a.")
    if not np.allclose(found, wanted):
        raise Mistake("Take a minus b for each customer, then the mean and 1.96 standard errors of these differences.")


def accuracy_without_sticker():
    """Accuracy of the sticker-reading model on held-out birds, in per cent, after every sticker has been removed."""
    from xailib import predictor, worlds, zoo

    world = worlds.birds(n=600, marker=True, random_state=1)
    winter = np.flatnonzero(world.truth.leaked[world.y] & world.truth.mask("marker").any(axis=(1, 2)))
    clean = world.truth.render(winter, marker=False)
    species = predictor(zoo.load("birds-cnn-marker"), "label")(clean)
    return float(100 * np.mean(species == world.y[winter]))


def _check_accuracy(answer, rng):
    if 0 < answer <= 1:
        raise Mistake("Per cent, please: between 0 and 100.")
    if not 0 <= answer <= 100:
        raise Mistake("An accuracy in per cent lies between 0 and 100.")
    wanted = accuracy_without_sticker()
    if answer > 90:
        raise Mistake("That is the accuracy while the stickers are still there: hand in the one for `clean`.")
    if abs(answer - 5) < 1e-9 and abs(wanted - 5) > 0.5:
        raise Mistake("Chance among 20 species would be 5 per cent, but the model still sees a bird: run the experiment.")
    if abs(answer - 50) < 1e-9 and abs(wanted - 50) > 0.5:
        raise Mistake("A guess in the middle is a prediction, not a measurement: run the experiment.")
    if abs(answer - wanted) > 0.5:
        raise Mistake("Run the model on the same birds without stickers and compare with their species.")


EXERCISES = [
    Exercise(
        name="deletion",
        title="Delete feature by feature",
        level="core",
        difficulty=2,
        minutes=10,
        passes="the curve has p + 1 points and each deletion stays",
        task="Write `deletion_scores(predict, x, baseline, order)`: the predictions for one row `x` while its features are replaced by "
        "`baseline`, in the given order, one more each time. Nothing is deleted at the first point, everything at the last. "
        "`predict` takes a table (m, p) and returns m numbers.",
        hints=(
            "How many points does the curve have if there are p features?",
            "Point k keeps the first k deletions. Building all p + 1 rows first needs a single call of the model.",
        ),
        reference=deletion_scores,
        check=_check_deletion_scores,
        wrong=[
            WrongAnswer(
                lambda f, x, b, o: deletion_scores(f, x, b, o)[1:], "forgets the untouched start", "starts before anything"
            ),
            WrongAnswer(_one_at_a_time, "deletes one at a time and restores", "deletion is cumulative"),
            WrongAnswer(
                lambda f, x, b, o: deletion_scores(f, x, 0 * b, o), "zero means absent", "zero is a value like any other"
            ),
            WrongAnswer(lambda f, x, b, o: deletion_scores(f, b, x, o), "inserts instead of deleting", "runs backwards"),
            WrongAnswer(
                lambda f, x, b, o: deletion_scores(f, x, b, range(len(x))),
                "ignores the order",
                "from the first column to the last",
            ),
        ],
        right=[_loop, _by_rank],
    ),
    Exercise(
        name="interval",
        title="Say how sure you are",
        level="core",
        difficulty=1,
        minutes=8,
        passes="mean and 95 % interval agree with the formula on fresh scores",
        task="Write `interval_of_mean(scores)`: return the mean of the scores and the lower and upper end of its 95 % interval, 1.96 "
        "standard errors to each side. (The error bars of the course use Student's t instead of 1.96, which is a little wider when there are "
        "few scores; that is accepted too.)",
        hints=(
            "Is the question how different customers are, or how well you know their mean?",
            "Standard error: sample standard deviation (with n - 1) divided by the square root of n.",
        ),
        reference=interval_of_mean,
        check=_check_interval_of_mean,
        wrong=[
            WrongAnswer(
                lambda s: (s.mean(), s.mean() - 1.96 * s.std(ddof=1), s.mean() + 1.96 * s.std(ddof=1)),
                "spread of customers for spread of the mean",
                "holds 95 % of the customers",
            ),
            WrongAnswer(
                lambda s: (s.mean(), *(s.mean() + k * s.std(ddof=1) / np.sqrt(len(s)) for k in (-1, 1))),
                "one standard error is 95 %",
                "about 68 of 100",
            ),
            WrongAnswer(
                lambda s: (s.mean(), *(s.mean() + k * 1.96 * s.std(ddof=1) / len(s) for k in (-1, 1))),
                "divides by n",
                "square root of the number",
            ),
            WrongAnswer(
                lambda s: (s.mean(), *(s.mean() + k * 1.96 * s.std() / np.sqrt(len(s)) for k in (-1, 1))),
                "population standard deviation",
                "n - 1 (ddof=1)",
            ),
            WrongAnswer(lambda s: np.array(interval_of_mean(s))[[0, 2, 1]], "ends in the wrong order", "Lower end first"),
            WrongAnswer(
                lambda s: s.mean() + np.array([0, -1.96, 1.96]) * s.var(ddof=1) / np.sqrt(len(s)),
                "variance for deviation",
                "the variance",
            ),
            WrongAnswer(
                lambda s: s.mean() + np.array([0, -2, 2]) * s.std(ddof=1) / np.sqrt(len(s)), "rule of thumb", "rule of thumb"
            ),
        ],
        right=[
            lambda s: s.mean() + np.array([0, -1, 1]) * _student(len(s)) * s.std(ddof=1) / np.sqrt(len(s)),
            lambda s: np.mean(s) + np.array([0, -1.96, 1.96]) * np.sqrt(np.var(s, ddof=1) / len(s)),
            lambda s: [
                s.mean(),
                *(s.mean() + z * np.sqrt(((s - s.mean()) ** 2).sum() / (len(s) - 1) / len(s)) for z in (-1.96, 1.96)),
            ],
        ],
    ),
    Exercise(
        name="paired",
        title="Compare two methods on the same customers",
        level="core",
        difficulty=3,
        minutes=10,
        passes="a small advantage that every customer shows is found, although the two intervals overlap widely",
        task="Method a and method b were graded on the same customers. Write `paired_advantage(a, b)`: return the mean advantage of a over "
        "b, and the half width of its 95 % interval. This is the exercise most people get wrong: they look whether two error bars "
        "overlap.",
        hints=(
            "Some customers are easy for both methods and some are hard for both. How do you take that out?",
            "Subtract customer by customer first; then there is a single list of numbers.",
        ),
        reference=paired_advantage,
        check=_check_paired_advantage,
        wrong=[
            WrongAnswer(
                lambda a, b: (a.mean() - b.mean(), 1.96 * np.sqrt((a.var(ddof=1) + b.var(ddof=1)) / len(a))),
                "treats pairs as independent samples",
                "treated the two lists as different customers",
            ),
            WrongAnswer(
                lambda a, b: (a.mean() - b.mean(), 1.96 * (a.std(ddof=1) + b.std(ddof=1)) / np.sqrt(len(a))),
                "overlapping intervals mean no difference",
                "added the two half widths",
            ),
            WrongAnswer(lambda a, b: paired_advantage(b, a), "subtracts the wrong way round", "sign is turned round"),
            WrongAnswer(
                lambda a, b: ((a - b).mean(), 1.96 * (a - b).std(ddof=1)), "spread of differences", "spread of single differences"
            ),
            WrongAnswer(lambda a, b: paired_advantage(a, b) * np.array([1, 2]), "whole width", "whole width of the interval"),
            WrongAnswer(
                lambda a, b: (np.abs(a - b).mean(), paired_advantage(a, b)[1]), "drops signs", "sizes of the differences"
            ),
        ],
        right=[
            lambda a, b: (np.mean(a) - np.mean(b), 1.96 * np.sqrt(np.var(np.subtract(a, b), ddof=1) / len(a))),
            lambda a, b: (sum(a - b) / len(a), 1.96 * np.std(a - b, ddof=1) * len(a) ** -0.5),
        ],
    ),
    Exercise(
        name="sticker",
        title="Predict, then peel off the sticker",
        level="core",
        difficulty=2,
        minutes=6,
        passes="your measured accuracy, in per cent, is within half a point",
        task="First write down a prediction: what per cent of the *winter species* does the sticker-reading model still name "
        "correctly when every sticker has been removed? Then measure it: `clean` holds those birds without stickers, `winter` their "
        "rows, and `name_species(images)` gives species numbers.",
        hints=(
            "Which pixels differ between a bird with sticker and the same bird without?",
            "Compare `name_species(clean)` with `stickers.y[winter]`, and multiply the share of equal ones by 100.",
        ),
        reference=accuracy_without_sticker,
        check=_check_accuracy,
        wrong=[
            WrongAnswer(98.0, "measures with stickers", "while the stickers are still there"),
            WrongAnswer(0.35, "share instead of per cent", "Per cent, please"),
            WrongAnswer(5.0, "assumes chance", "Chance among 20 species"),
            WrongAnswer(50.0, "hands in the guess", "a prediction, not a measurement"),
            WrongAnswer(250.0, "not a per cent", "between 0 and 100."),
        ],
    ),
    Exercise(
        name="memo",
        title="Judge a supplier's memo",
        level="core",
        difficulty=3,
        minutes=10,
        passes="each of the six claims is judged right",
        task="A supplier writes about its credit model. Which claims may stand as they are? Answer with letters, such as `'ac'`. Then "
        "write three sentences of your own to the supplier, and lay them beside the model answer that appears.",
        hints=(
            "For each claim ask: measured on what, compared with what, and could it be true of a worthless explanation?",
            "Watch for words that promise more than a measurement can give: so, therefore, equal, a right to.",
        ),
        claims={
            "a": Claim(
                "'The heat maps look convincing to our experts, so the network looks at the right thing.'",
                False,
                "looking convincing is not a test; an edge detector can look convincing too.",
            ),
            "b": Claim(
                "'On 200 cases with a written rule, our signed explanations agree with the truth at 0.83 (95 % interval 0.81 to 0.84); "
                "explanations made in the same way for a stranger score 0.03.'",
                True,
                "it names the truth, the number of cases, that signs count, an interval and a placebo made in the same way.",
            ),
            "c": Claim(
                "'The model never sees the protected group, therefore it cannot discriminate.'",
                False,
                "another column can stand in for the group, as region does in this chapter.",
            ),
            "d": Claim(
                "'If income were 4,000 higher, the model would approve; whether the customer would then repay is another question.'",
                True,
                "it says what the model would do and does not promise what the world would do.",
            ),
            "e": Claim(
                "'The GDPR gives every customer a right to see the Shapley values of a decision.'",
                False,
                "the law asks for meaningful information about automated decisions; it names no method, and its reach is debated.",
            ),
            "f": Claim(
                "'Our score is higher than the other method's, but the error bars overlap, so the methods are equal.'",
                False,
                "both were graded on the same cases: the interval of the paired difference decides, not the overlap.",
            ),
        },
        model_answer="Thank you for b and d, which we can check. For b, please tell us how close the rule is to a real credit decision, and replace a by a "
        "test with a known answer. For c, report decisions by group and what happens to the gap when region is shuffled; for f, the "
        "paired difference. We will not quote e.",
    ),
]

QUIZ = [
    Question(
        "An explanation of a model's prediction is best described as",
        "a second model, of the first model",
        "It has errors of its own, so it has to be tested like any model.",
        {
            "the reasons the model really had": "The model has weights, not reasons. An explanation summarises them, and can summarise badly.",
            "the cause of the outcome in the world": "It speaks about the model. A model can be right about the world for reasons that are not causes.",
        },
    ),
    Question(
        "A classifier scores very well on held-out pictures. Held-out pictures come from the same archive as the training pictures. What do you know?",
        "It may read anything that comes along with the label in that archive",
        "A sticker that is present in both halves raises the held-out score too.",
        {
            "It looks at the object": "Nothing in an accuracy says where the model looks: the sticker model has a high accuracy as well.",
            "It does not overfit, so it can be trusted": "A shortcut is not overfitting: it generalises perfectly, within the archive.",
        },
    ),
    Question(
        "Why is each score of this course computed on the oracle and on a trained model?",
        "To tell the explanation's error from the model's error",
        "On the oracle only the explanation can err; the distance from model to rule is reported on its own.",
        {
            "To have a larger sample": "It is the same cases twice; what differs is who is being explained.",
            "Because trained models are always wrong": "They are often close. But an explanation that differs from the rule may be faithful to a model that differs from the rule.",
        },
    ),
    Question(
        "A placebo, made in the same way for another customer, scores nearly as high as your explanation. What follows?",
        "With this metric you cannot show that yours is about this customer",
        "Perhaps the metric is blind to what is specific, perhaps the explanation is poor. Change one of the two and look again.",
        {
            "Your explanation is worthless": "It may be fine. A metric that cannot tell the two apart cannot say so.",
            "Nothing: both are good": "Both cannot be right about a customer they do not share.",
        },
    ),
    Question(
        "A bank must give the principal reasons for denying a loan. A counterfactual says: 4,000 more income would have been enough. Is that the same?",
        "No: the nearest change need not be among the main reasons",
        "A small push on one feature can flip a decision that other features brought to the edge.",
        {
            "Yes: what flips the decision caused it": "Many different changes flip it. The nearest one is the cheapest, not the most important.",
            "Yes, if the model is accurate": "Accuracy has no part in it: the two answer different questions about the same model.",
        },
    ),
]
