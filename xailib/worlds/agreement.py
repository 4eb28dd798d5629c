"""The world ``agreement``: sentences whose verb agrees with its subject, whatever nouns stand between the two."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from xailib import _validation as check
from xailib.text import PADDING, Vocabulary
from xailib.worlds._tokens import END, START, token_rows
from xailib.worlds._world import World

NOUNS = (
    "key",
    "cabinet",
    "door",
    "lamp",
    "table",
    "window",
    "garden",
    "picture",
    "ship",
    "tower",
    "book",
    "letter",
    "river",
    "road",
)
ADJECTIVES = ("old", "new", "small", "red", "heavy", "quiet", "strange", "clean")
PREPOSITIONS = ("near", "behind", "beside", "under", "above")
#: singular and plural form
VERBS = (("is", "are"), ("was", "were"), ("looks", "look"), ("seems", "seem"))
ADJECTIVE_SHARE, PLURAL_SHARE, ATTRACTOR_SHARES = 0.5, 0.5, (0.3, 0.4, 0.3)
_SINGULAR, _PLURAL = NOUNS, tuple(f"{noun}s" for noun in NOUNS)
VOCABULARY = Vocabulary(
    [
        PADDING,
        START,
        END,
        "the",
        *_SINGULAR,
        *_PLURAL,
        *ADJECTIVES,
        *PREPOSITIONS,
        *(form for pair in VERBS for form in pair),
        ".",
    ]
)
#: <s>, three times "the" adjective noun, two prepositions, verb, adjective, full stop, <end>
LENGTH = 1 + 3 * 3 + 2 + 4


def agreement(n: int = 4000, *, random_state: Any = 0) -> World[AgreementTruth]:
    """Sentences such as "the old key near the cabinets is heavy": the verb has the number of its first noun.

    Each noun is singular or plural by a toss of its own; up to two nouns stand between subject and verb ("attractors").

    Parameters
    ----------
    n : int, sentences, 30 to 200,000; the first two thirds are for training
    random_state : int, Generator or None

    Returns
    -------
    World
        ``X`` (n, 16) token numbers, short rows padded at their end, ``y`` (n,) 1 where the verb is plural, ``truth`` an
        :class:`AgreementTruth`.

    Raises
    ------
    TypeError, ValueError
        If an argument is out of its range.

    Notes
    -----
    After Linzen, Dupoux & Goldberg (2016). The world of chapters 10 and 11.

    Examples
    --------
    >>> world = agreement()
    >>> " ".join(world.truth.vocabulary.decode(world.X[0]))
    '<s> the old keys under the river seem quiet . <end>'
    """
    check.number(n, "n", low=30, high=200_000, integer=True)
    rng = check.random_generator(random_state)
    rows = np.zeros((n, LENGTH), dtype=np.int64)
    for row in rows:
        words = _sentence(rng)
        row[: len(words)] = [VOCABULARY.number(word) for word in words]
    truth = AgreementTruth(rng.integers(0, 2, n))
    return World("agreement", rows, truth.number(rows), truth, _card(n), 2 * n // 3)


@dataclass(frozen=True, eq=False)
class AgreementTruth:
    """The mechanism behind ``agreement``: which word decides the verb's number, and what was never written.

    Attributes
    ----------
    author : (n,) of 0 and 1
        A coin tossed for each sentence of the world and never written into it: nothing can know it.
    vocabulary : Vocabulary
    scale, estimand : str
    """

    author: np.ndarray
    vocabulary: Vocabulary = VOCABULARY
    scale: str = "probability that the verb is plural"
    estimand: str = "the one position whose number decides the verb: the first noun"

    @property
    def background(self) -> np.ndarray:
        """Sentences to average over: 200 of another draw."""
        return np.asarray(agreement(200, random_state=1).X)

    @property
    def verb_forms(self) -> np.ndarray:
        """Token numbers of the verbs' forms, (verbs, 2): singular, plural."""
        return _VERB_FORMS

    def subject(self, tokens: Any) -> np.ndarray:
        """Position of the subject, (n,): the first noun."""
        return self._first(tokens, _IS_NOUN, "noun")

    def verb(self, tokens: Any) -> np.ndarray:
        """Position of the verb, (n,); what stands before it is all that its number may be told from."""
        return self._first(tokens, _IS_VERB, "verb")

    def number(self, tokens: Any) -> np.ndarray:
        """1 where the subject is plural, else 0, (n,)."""
        rows = token_rows(tokens, self.vocabulary)
        return _IS_PLURAL[rows[np.arange(len(rows)), self.subject(rows)]].astype(int)

    def attractors(self, tokens: Any) -> np.ndarray:
        """How many nouns with the other number stand between subject and verb, (n,)."""
        rows = token_rows(tokens, self.vocabulary)
        between = np.arange(rows.shape[1]) < self.verb(rows)[:, None]
        other = _IS_NOUN[rows] & (_IS_PLURAL[rows] != self.number(rows)[:, None])
        return (other & between).sum(axis=1)

    def noun_positions(self, tokens: Any) -> np.ndarray:
        """Positions of the nouns in order, (n, 3); -1 where a sentence has fewer."""
        nouns = _IS_NOUN[token_rows(tokens, self.vocabulary)]
        order = np.argsort(~nouns, axis=1, kind="stable")[:, :3]
        return np.where(np.take_along_axis(nouns, order, axis=1), order, -1)

    def is_plural(self, tokens: Any) -> np.ndarray:
        """True at plural nouns and plural verbs, shaped like ``tokens``."""
        return (_IS_PLURAL | np.isin(np.arange(len(VOCABULARY)), _VERB_FORMS[:, 1]))[token_rows(tokens, self.vocabulary)]

    def predict(self, X: Any) -> np.ndarray:
        """The oracle: probability that the verb is plural, (n,); 0 or 1."""
        return self.number(X).astype(float)

    def _first(self, tokens: Any, wanted: np.ndarray, kind: str) -> np.ndarray:
        found = wanted[token_rows(tokens, self.vocabulary)]
        if not found.any(axis=1).all():
            raise ValueError(f"row {(~found.any(axis=1)).argmax()} has no {kind}: give whole sentences of this world.")
        return found.argmax(axis=1)


def _sentence(rng: np.random.Generator) -> list[str]:
    words, number = [START], -1
    for k in range(1 + rng.choice(3, p=ATTRACTOR_SHARES)):
        plural = int(rng.random() < PLURAL_SHARE)
        number = plural if k == 0 else number
        words += [_pick(PREPOSITIONS, rng)] if k else []
        words += ["the", *([_pick(ADJECTIVES, rng)] if rng.random() < ADJECTIVE_SHARE else [])]
        words.append(_pick((_SINGULAR, _PLURAL)[plural], rng))
    return [*words, VERBS[rng.integers(len(VERBS))][number], _pick(ADJECTIVES, rng), ".", END]


def _pick(words: tuple[str, ...], rng: np.random.Generator) -> str:
    return words[rng.integers(len(words))]


def _members(words: tuple[str, ...]) -> np.ndarray:
    """True at the numbers of some words, (vocabulary,)."""
    return np.isin(np.arange(len(VOCABULARY)), [VOCABULARY.number(word) for word in words])


_IS_PLURAL = _members(_PLURAL)
_IS_NOUN = _members(_SINGULAR) | _IS_PLURAL
_VERB_FORMS = np.array([[VOCABULARY.number(form) for form in pair] for pair in VERBS])
_IS_VERB = np.isin(np.arange(len(VOCABULARY)), _VERB_FORMS)


def _card(n: int) -> str:
    return f"""# agreement: the verb has the number of its first noun

Invented. {n:,} sentences of up to {LENGTH} tokens; the first {2 * n // 3:,} are for training. `y` is 1 where the verb is plural.

Each of up to three nouns ({len(NOUNS)} to choose from) is plural with probability {PLURAL_SHARE:g}, independently of the others.
{", ".join(f"{share:.0%}" for share in ATTRACTOR_SHARES)} of the sentences have no, one and two nouns after the first.

**Planted facts.**
- Only the first noun decides. "The noun before the verb" is right for {_last_noun_right():.0%} of the sentences, which tempts.
- `truth.author` is a coin tossed for each sentence and written nowhere: whoever decodes it from a network has made a mistake.
- Adjectives, prepositions and the choice of the verb are drawn without regard to anything else.

Made by `xailib.worlds.agreement`; no personal data; CC BY 4.0."""


def _last_noun_right() -> float:
    return ATTRACTOR_SHARES[0] + (1 - ATTRACTOR_SHARES[0]) / 2
