"""The world ``brackets``: strings of round and square brackets that open and close as they should."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from xailib import _validation as check
from xailib.text import PADDING, Vocabulary
from xailib.worlds._tokens import END, START, token_rows
from xailib.worlds._world import World

VOCABULARY = Vocabulary([PADDING, START, END, "(", "[", ")", "]"])
_PAD, _START, _END, _OPEN, _CLOSE = 0, 1, 2, (3, 4), (5, 6)
DEEPEST = 6
#: probability that the next bracket opens, by what is open now: nothing (else the string ends), something, as much as may be
OPENS_AT_0, OPENS_INSIDE = 0.8, 0.45
KINDS = ("none", "round", "square")


def brackets(n: int = 3000, *, length: int = 32, random_state: Any = 0) -> World[BracketsTruth]:
    """Strings such as "( [ ] ( ) )": every bracket that opens is closed by one of its kind, innermost first.

    Parameters
    ----------
    n : int, strings, 30 to 200,000; the first two thirds are for training
    length : int, tokens after ``<s>``, 8 to 64; longer strings are cut
    random_state : int, Generator or None

    Returns
    -------
    World
        ``X`` (n, 1 + length) token numbers, short rows padded at their end, ``y`` (n,) greatest depth of each string, ``truth`` a
        :class:`BracketsTruth`.

    Raises
    ------
    TypeError, ValueError
        If an argument is out of its range.

    Notes
    -----
    The Dyck language with two kinds of brackets and a limit on depth (Hewitt et al. 2020). The world of chapter 11.

    Examples
    --------
    >>> world = brackets()
    >>> " ".join(world.truth.vocabulary.decode(world.X[0]))
    '<s> [ ( ( ) ) ] [ ] <end>'
    >>> world.truth.depth(world.X[:1, :8]).tolist()
    [[0, 1, 2, 3, 2, 1, 0, 1]]
    """
    check.number(n, "n", low=30, high=200_000, integer=True)
    check.number(length, "length", low=8, high=64, integer=True)
    rng = check.random_generator(random_state)
    rows = np.zeros((n, 1 + length), dtype=np.int64)
    for row in rows:
        words = _string(length, rng)
        row[: len(words)] = words
    truth = BracketsTruth()
    return World("brackets", rows, truth.depth(rows).max(axis=1), truth, _card(n, length), 2 * n // 3)


@dataclass(frozen=True, eq=False)
class BracketsTruth:
    """What one must keep in mind to go on with a string, and what may follow.

    Attributes
    ----------
    vocabulary : Vocabulary
    scale, estimand : str
    """

    vocabulary: Vocabulary = VOCABULARY
    scale: str = "probability of each next token"
    estimand: str = "depth and kind of the innermost open bracket: nothing else about a string bears on what may follow"

    @property
    def background(self) -> np.ndarray:
        """Strings to average over: 200 of another draw."""
        return np.asarray(brackets(200, random_state=1).X)

    def depth(self, tokens: Any) -> np.ndarray:
        """How many brackets are open after each token, (n, l)."""
        rows = token_rows(tokens, self.vocabulary)
        return np.cumsum(np.isin(rows, _OPEN).astype(int) - np.isin(rows, _CLOSE), axis=1)

    def innermost(self, tokens: Any) -> np.ndarray:
        """Kind of the bracket that must close next, after each token, (n, l): 0 none is open, 1 round, 2 square.

        Raises
        ------
        ValueError
            If a bracket closes that is not open: no string of this world.
        """
        rows = token_rows(tokens, self.vocabulary)
        kinds = np.zeros_like(rows)
        for i, row in enumerate(rows):
            stack: list[int] = []
            for j, token in enumerate(row):
                if token in _OPEN:
                    stack.append(_OPEN.index(token) + 1)
                elif token in _CLOSE and (not stack or stack.pop() != _CLOSE.index(token) + 1):
                    raise ValueError(f"row {i} closes a bracket at position {j} that is not open there.")
                kinds[i, j] = stack[-1] if stack else 0
        return kinds

    def predict(self, X: Any) -> np.ndarray:
        """The oracle: probability of each next token after each token, (n, l, vocabulary); after the end only padding."""
        rows = token_rows(X, self.vocabulary)
        depth, kind = self.depth(rows), self.innermost(rows)
        over = np.isin(rows, (_PAD, _END))
        opens = np.select([over, depth == 0, depth < DEEPEST], [0.0, OPENS_AT_0, OPENS_INSIDE], 0.0)
        p = np.zeros((*rows.shape, len(self.vocabulary)))
        p[..., _PAD] = over
        p[..., _END] = ~over & (depth == 0)
        p[..., _END] *= 1 - OPENS_AT_0
        p[..., list(_OPEN)] = opens[..., None] / len(_OPEN)
        for k, token in enumerate(_CLOSE, start=1):
            p[..., token] = np.where(~over & (kind == k), 1 - opens, 0.0)
        return p


def _string(length: int, rng: np.random.Generator) -> list[int]:
    """One string of at most ``length`` tokens after the first."""
    words, stack = [_START], list[int]()
    while len(words) <= length and words[-1] != _END:
        chance = OPENS_AT_0 if not stack else OPENS_INSIDE if len(stack) < DEEPEST else 0.0
        if rng.random() < chance:
            stack.append(int(rng.integers(len(_OPEN))))
            words.append(_OPEN[stack[-1]])
        else:
            words.append(_CLOSE[stack.pop()] if stack else _END)
    return words


def _card(n: int, length: int) -> str:
    return f"""# brackets: what opens must close

Invented. {n:,} strings of up to {length} round and square brackets after `<s>`; the first {2 * n // 3:,} are for training.

At depth 0 a bracket opens with probability {OPENS_AT_0:g}, else the string ends; deeper, one opens with probability
{OPENS_INSIDE:g}, else the innermost closes; at depth {DEEPEST} it must
close. Both kinds are equally likely. Strings are cut at {length} brackets.

**Planted facts.**
- What may follow depends on the depth (is anything open, is it full?) and on the kind of the innermost open bracket, and on
  nothing else: a good next-token model has to compute both. `truth.depth` and `truth.innermost` state them for each position.
- `truth.predict` gives the exact probabilities, so a model's distance from the best possible one can be stated.

Made by `xailib.worlds.brackets`; no personal data; CC BY 4.0."""
