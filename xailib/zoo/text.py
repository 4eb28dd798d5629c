"""Text classifiers for ``messages``, fitted in a second on first use: some are blind to "not", one sees it beside its cue."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, partial
from typing import Any

import numpy as np
from sklearn.ensemble import RandomForestClassifier
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, roc_auc_score
from sklearn.pipeline import Pipeline, make_pipeline
from threadpoolctl import threadpool_limits

from xailib import _validation as check
from xailib import worlds
from xailib.models import batched, predictor
from xailib.text import WORD, keep, split_words
from xailib.worlds._world import World


def text_model(name: str, world: World | None = None) -> Pipeline:
    """Fit a text classifier to the training mails of a world.

    Parameters
    ----------
    name : {"messages-words", "messages-pairs", "messages-forest"}
        Logistic regression on counts of words; the same on words and pairs of neighbours; a random forest on counts of words.
    world : World, optional
        A variant of ``messages`` (with its shortcut, another seed); the default world if not given, and then the model is fitted
        once per process and shared: do not refit it.

    Returns
    -------
    Pipeline
        Takes an array of texts. Words are those of ``xailib.text``, in lower case; unknown ones are ignored.

    Raises
    ------
    ValueError
        If the name is unknown, or the world is of another kind.

    Notes
    -----
    One thread and fixed seeds: the same data give the same model. Introduced in chapter 4.

    Examples
    --------
    >>> text_model("messages-words").predict(["You are a winner!", "Our meeting is on Monday."])
    array([1, 0])
    """
    check.one_of(name, "name", TEXT)
    if world is None:
        return _default(name)
    if not getattr(world, "name", "").startswith("messages"):
        raise ValueError(f"world must be a messages world for {name!r}, not {getattr(world, 'name', check.shown(world))}.")
    X, y = world.train
    with threadpool_limits(limits=1):
        return _BUILDERS[name]().fit(X, y)


def card(name: str) -> str:
    """Model card in Markdown: what the model is, held-out scores, and how much of cues and negations it has learnt."""
    check.one_of(name, "name", TEXT)
    world, model = _default_world(), _default(name)
    scores = "\n".join(f"| {metric} | {ours:.3f} | {best:.3f} |" for metric, (ours, best) in held_out(name).items())
    shares = "\n".join(f"| {what} | {share:.2f} |" for what, share in learnt(name).items())
    steps = "; ".join(" ".join(repr(step).split()) for step in model)
    return f"""# {name}

`{steps}`

Fitted to the {world.n_train:,} training mails of the world `messages`.

| on {len(world.X) - world.n_train:,} held-out mails | model | the planted rule itself |
|---|---|---|
{scores}

What deleting one word does to the log-odds, as a share of what it does in the rule (least squares, held-out mails):

| word deleted | share |
|---|---|
{shares}

Fitted by `xailib.zoo.text` on first use; nothing stored. For teaching only."""


def held_out(name: str) -> dict[str, tuple[float, float]]:
    """Held-out scores of a model and of the world's oracle: metric -> (model, oracle)."""
    check.one_of(name, "name", TEXT)
    X, y = _default_world().test
    p, oracle = predictor(_default(name))(X), _default_world().truth.predict(X)
    return {
        "AUC": (roc_auc_score(y, p), roc_auc_score(y, oracle)),
        "accuracy": (accuracy_score(y, p > 0.5), accuracy_score(y, oracle > 0.5)),
    }


def learnt(name: str) -> dict[str, float]:
    r"""How much of the rule a model has learnt: slope of its changes on the true ones when one word is deleted.

    .. math:: \frac{\sum_i \Delta_i^{\text{model}} \Delta_i^{\text{rule}}}{\sum_i (\Delta_i^{\text{rule}})^2}

    Parameters
    ----------
    name : as in :func:`text_model`

    Returns
    -------
    dict
        Share for "a cue", "a negation before its cue" (adjacent) and "a negation further away", over the held-out mails in which
        the deletion changes the log-odds of the rule: 1 for the rule itself, 0 for a model that never reacts.
    """
    check.one_of(name, "name", TEXT)
    mails, without, kinds = _deletions()
    truth, model = _default_world().truth, predictor(_default(name), "log_odds")
    true = truth.log_odds(mails) - truth.log_odds(without)
    change = batched(model, mails) - batched(model, without)
    slopes = {}
    for kind in _KINDS:
        rows = (kinds == kind) & (true != 0)
        slopes[kind] = float(change[rows] @ true[rows] / (true[rows] @ true[rows]))
    return slopes


_KINDS = ("a cue", "a negation before its cue", "a negation further away")


@cache
def _deletions() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Held-out mails, the same mails without one cue or negation, and which of the three kinds it was."""
    world = _default_world()
    mails: list[str] = []
    without: list[str] = []
    kinds: list[str] = []
    for mail in world.test[0]:
        words = split_words(mail)
        tokens = [word.lower() for word in words.words]
        places = [j for j, token in enumerate(tokens) if token in world.truth.relevant]
        without += keep(words, ~np.eye(len(words), dtype=bool)[places]).tolist() if places else []
        mails += [mail] * len(places)
        kinds += [_kind(tokens, j, world.truth) for j in places]
    return np.array(mails, dtype=object), np.array(without, dtype=object), np.array(kinds)


def _kind(tokens: list[str], j: int, truth: Any) -> str:
    if tokens[j] in truth.cue_weights:
        return _KINDS[0]
    adjacent = j + 1 < len(tokens) and tokens[j + 1] in truth.cue_weights
    return _KINDS[1] if adjacent else _KINDS[2]


@cache
def _default_world() -> World:
    return worlds.messages()


@cache
def _default(name: str) -> Pipeline:
    return text_model(name, _default_world())


def _counts(longest: int) -> CountVectorizer:
    """Counts of words, and of runs of up to ``longest`` neighbours."""
    return CountVectorizer(token_pattern=WORD, ngram_range=(1, longest))


def _logistic(longest: int) -> Pipeline:
    return make_pipeline(_counts(longest), LogisticRegression(C=3.0, max_iter=1000))


def _forest() -> Pipeline:
    return make_pipeline(_counts(1), RandomForestClassifier(100, min_samples_leaf=2, random_state=0, n_jobs=1))


_BUILDERS: dict[str, Callable[[], Pipeline]] = {
    "messages-words": partial(_logistic, 1),
    "messages-pairs": partial(_logistic, 2),
    "messages-forest": _forest,
}

#: name -> function without arguments that returns the fitted pipeline of the default world, the same object every time
TEXT: dict[str, Callable[[], Pipeline]] = {name: partial(_default, name) for name in _BUILDERS}
