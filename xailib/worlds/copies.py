"""The world ``copies``: a block of random tokens, over and over; who remembers it knows what comes next."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from xailib import _validation as check
from xailib.text import PADDING, Vocabulary
from xailib.worlds._tokens import START, token_rows
from xailib.worlds._world import World

SYLLABLES = tuple(consonant + vowel for consonant in "bdfgklmn" for vowel in "aeiou")
SHORTEST, LONGEST = 8, 24
VOCABULARY = Vocabulary([PADDING, START, *SYLLABLES])
_FIRST = 2  # the number of the first syllable


def copies(n: int = 2000, *, length: int = 48, random_state: Any = 0) -> World[CopiesTruth]:
    """Rows of syllables: a block of different ones, drawn at random, repeated until the row is full.

    The length of the block is drawn for each row from 8 to 24, so that nobody can copy from a fixed distance: the place to copy
    from must be found by content, one step after the earlier occurrence of the current token (A B ... A -> B).

    Parameters
    ----------
    n : int, rows, 30 to 200,000; the first two thirds are for training
    length : int, tokens after ``<s>``, 32 to 96
    random_state : int, Generator or None

    Returns
    -------
    World
        ``X`` (n, 1 + length) token numbers, ``y`` (n,) lengths of the blocks, ``truth`` a :class:`CopiesTruth`.

    Raises
    ------
    TypeError, ValueError
        If an argument is out of its range.

    Notes
    -----
    After Elhage et al. (2021) and Olsson et al. (2022), who find induction heads with repeated random tokens. The world of
    chapter 12.

    Examples
    --------
    >>> world = copies()
    >>> " ".join(VOCABULARY.decode(world.X[0, :12]))
    '<s> fe li bu ku ko bi bo mu go fe li'
    """
    check.number(n, "n", low=30, high=200_000, integer=True)
    check.number(length, "length", low=32, high=96, integer=True)
    rng = check.random_generator(random_state)
    blocks = rng.permuted(np.tile(np.arange(_FIRST, len(VOCABULARY)), (n, 1)), axis=1)
    period = rng.integers(SHORTEST, LONGEST + 1, n)
    step = np.arange(length) % period[:, None]
    X = np.column_stack([np.full(n, VOCABULARY.number(START)), np.take_along_axis(blocks, step, axis=1)])
    return World("copies", X, period, CopiesTruth(), _card(n, length), 2 * n // 3)


@dataclass(frozen=True, eq=False)
class CopiesTruth:
    """What can be known about the next token of a row, and from where.

    Attributes
    ----------
    vocabulary : Vocabulary
    scale, estimand : str
    """

    vocabulary: Vocabulary = VOCABULARY
    scale: str = "probability of each next token"
    estimand: str = "the position that holds the next token: one after the earlier occurrence of the current token"

    @property
    def background(self) -> np.ndarray:
        """Rows to average over: 200 of another draw."""
        return np.asarray(copies(200, random_state=1).X)

    def source(self, tokens: Any) -> np.ndarray:
        """Position that holds what comes next, for every position (n, l): the nearest one; -1 where the
        token is there for the first time.

        Parameters
        ----------
        tokens : (n, l) rows of this world, or their beginnings
        """
        places = self.sources(tokens)
        last = places.shape[2] - 1 - places[:, :, ::-1].argmax(axis=2)
        return np.where(places.any(axis=2), last, -1)

    def sources(self, tokens: Any) -> np.ndarray:
        """All positions that hold what comes next, True at (n, from, to): a block may be there several times.

        Parameters
        ----------
        tokens : (n, l) rows of this world, or their beginnings
        """
        rows = token_rows(tokens, self.vocabulary)
        earlier = (rows[:, :, None] == rows[:, None, :]) & np.tri(rows.shape[1], k=-1, dtype=bool)
        return np.pad(earlier, ((0, 0), (0, 0), (1, 0)))[:, :, :-1]

    def predict(self, X: Any) -> np.ndarray:
        r"""The oracle: probability of each next token at every position, (n, l, vocabulary).

        In the first block of t tokens the next one is new, each with the same probability, or the block ends and its first token
        returns, with probability :math:`1 / (24 - t + 1)` from t = 8 on. After that the next token is known.

        Parameters
        ----------
        X : (n, l) rows of this world, or their beginnings
        """
        rows = token_rows(X, self.vocabulary)
        n, length = rows.shape
        source = self.source(rows)
        p = np.zeros((n, length, len(self.vocabulary)))
        for t in range(min(length, LONGEST + 1)):
            ends = 1 / (LONGEST - t + 1) if t >= SHORTEST else 0.0
            p[:, t, _FIRST:] = 1.0
            np.put_along_axis(p[:, t], rows[:, 1 : t + 1], 0.0, axis=1)
            p[:, t] *= (1 - ends) / np.maximum(p[:, t].sum(axis=1, keepdims=True), 1)
            if t:
                p[np.arange(n), t, rows[:, 1]] += ends
        known = source >= 0
        p[known] = np.eye(len(self.vocabulary))[np.take_along_axis(rows, np.maximum(source, 0), axis=1)[known]]
        return p


def _card(n: int, length: int) -> str:
    return f"""# copies: a block of random tokens, over and over

Invented. {n:,} rows of `<s>` and {length} syllables (out of {len(SYLLABLES)}); the first {2 * n // 3:,} rows are for training.

Each row repeats one block of {SHORTEST} to {LONGEST} different syllables, drawn at random with its length.

**Planted facts.**
- From the second block on the next token is certain, and it stands in the row: one after the earlier occurrence of the current
  token. `truth.source` names that position.
- The distance to it changes from row to row, so position alone does not find it.
- In the first block nobody can know more than which syllables are left.

Made by `xailib.worlds.copies`; no personal data; CC BY 4.0."""
