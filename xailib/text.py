"""Texts as words: how the course cuts a text, and puts it together again without some of its words.

LIME, Shapley values and anchors explain a text by asking the model about versions of it with words missing. All three cut and
join here, so that their answers are about the same words.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import compress, pairwise
from typing import Any

import numpy as np

from xailib import _validation as check

#: a run without white space, its first and last marks left out: "don't", "8/10" and "www.example.org" are one word each
WORD = r"\w(?:\S*\w)?"
#: marks at the end of a run, or a new line: there a sentence ends
SENTENCE_END = r"[.!?…]+(?=[^\w\s]*(?:\s|$))|\n"

#: words that a :class:`Vocabulary` gives a meaning of its own
PADDING, UNKNOWN = "<pad>", "<unk>"

_WORD, _END, _LINE_BREAK = re.compile(WORD), re.compile(SENTENCE_END), re.compile(r"\s*\n\s*")


@dataclass(frozen=True)
class Words:
    """A text, cut.

    Attributes
    ----------
    words : d words in order of appearance; a repeated word appears again
    gaps : d + 1 strings: what stands before the first word, between the words, and after the last
    sentences : (d,) number of each word's sentence, from 0
    """

    words: list[str]
    gaps: list[str]
    sentences: np.ndarray

    def __len__(self) -> int:
        return len(self.words)


def split_words(text: str) -> Words:
    """Cut a text into words and what stands between them.

    Parameters
    ----------
    text : str with at least one word; white space around it, and around its line breaks, is dropped

    Returns
    -------
    Words

    Raises
    ------
    TypeError, ValueError
        If ``text`` is no text, or has no word.

    Notes
    -----
    A sentence ends at ``.``, ``!``, ``?`` before white space, and at a new line. Taught in chapter 4.

    Examples
    --------
    >>> split_words("Hi Tom, you won! Call me.").words
    ['Hi', 'Tom', 'you', 'won', 'Call', 'me']
    """
    text = _LINE_BREAK.sub("\n", check.instance(text, str, "text").strip())
    spans = [match.span() for match in _WORD.finditer(text)]
    if not spans:
        raise ValueError(f"text must have at least one word, not {check.shown(text)}.")
    edges = [(0, 0), *spans, (len(text), len(text))]
    gaps = [text[end:start] for (_, end), (start, _) in pairwise(edges)]
    ended = np.cumsum([bool(_ends(gap)) for gap in gaps[1:-1]])
    return Words([text[start:end] for start, end in spans], gaps, np.append(0, ended).astype(int))


def keep(words: Words, masks: Any, *, filler: str = "") -> np.ndarray:
    """Versions of a text in which only some words are left.

    Parameters
    ----------
    words : Words, from :func:`split_words`
    masks : (m, d) of True and False (or 1 and 0): which words each version keeps
    filler : str
        What stands in for a missing word ("UNK"). By default the word is deleted, with the space before it and its comma; the end
        of its sentence stays as long as the sentence has a word left.

    Returns
    -------
    array, shape (m,), of str; a version without any word is the empty text

    Raises
    ------
    TypeError, ValueError
        If ``masks`` has another shape, or holds something else than True and False.

    Notes
    -----
    A sentence never runs into the next, whatever is deleted. Taught in chapters 4 and 6.

    Examples
    --------
    >>> words = split_words("Hi Tom, you won! Call me.")
    >>> keep(words, [[1, 0, 1, 0, 0, 1], [0, 0, 0, 0, 1, 1]]).tolist()
    ['Hi you! me.', 'Call me.']
    >>> keep(words, [[1, 0, 1, 0, 1, 1]], filler="UNK").tolist()
    ['Hi UNK, you UNK! Call me.']
    """
    check.instance(words, Words, "words")
    kept = _checked_masks(masks, len(words))
    check.instance(filler, str, "filler")
    tails, heads = _around(words)
    if filler:
        instead, where, behind = _joined(heads, [filler] * len(words), tails), ~kept, np.arange(len(words))
    else:
        behind = np.flatnonzero(np.diff(words.sentences, append=words.sentences[-1] + 1))
        instead, where = _sentence_ends(words, behind), _ends_to_keep(kept, behind)
    # a row of pieces in reading order, and which of them each version has
    order = np.argsort([*range(len(words)), *behind], kind="stable")
    pieces = np.array([*_joined(heads, words.words, tails), *instead], dtype=object)[order].tolist()
    chosen = np.ascontiguousarray(np.hstack([kept, where])[:, order])
    versions = ["".join(compress(pieces, row.tobytes())).replace("\n ", "\n").strip() for row in chosen]
    return np.array(versions, dtype=object)


def _sentence_ends(words: Words, last: np.ndarray) -> list[str]:
    """What ends each sentence, behind its last word."""
    return ["".join(_ends(words.gaps[j + 1], final=j == len(words) - 1)) for j in last]


def _ends_to_keep(kept: np.ndarray, last: np.ndarray) -> np.ndarray:
    """Where an end is set by itself, (m, sentences): its word, the last, is gone, and the sentence has another."""
    first = np.append(0, last[:-1] + 1)
    return np.logical_or.reduceat(kept, first, axis=1) & ~kept[:, last]


def _around(words: Words) -> tuple[list[str], list[str]]:
    """Each gap, cut in two: marks that follow a word (to the end of its sentence) and what leads up to the next.

    What leads up begins with white space also in a new line, so that words never grow together; a blank too many goes at the end.
    """
    cuts = [_cut(gap) for gap in words.gaps[1:-1]]
    tails = [gap[:cut] for gap, cut in zip(words.gaps[1:-1], cuts, strict=True)] + [words.gaps[-1]]
    leads = [gap[cut:] for gap, cut in zip(words.gaps[1:-1], cuts, strict=True)]
    heads = [words.gaps[0]] + [lead if lead[:1].isspace() else f" {lead}" for lead in leads]
    return tails, heads


def _cut(gap: str) -> int:
    """Where the marks after a word end: at the first white space behind the last end of a sentence."""
    done = max((match.end() for match in _END.finditer(gap + "w")), default=0)
    space = re.compile(r"\s|$").search(gap, done)
    return done if gap[:done].endswith("\n") or space is None else space.start()


def _ends(gap: str, *, final: bool = False) -> list[str]:
    """The ends of sentences in a gap (a letter stands for the next word: the mark in " .5" ends nothing)."""
    return _END.findall(gap if final else gap + "w")


def _joined(*parts: list[str]) -> list[str]:
    return ["".join(part) for part in zip(*parts, strict=True)]


def _checked_masks(masks: Any, d: int) -> np.ndarray:
    """``masks`` as a boolean array (m, d)."""
    values = masks if isinstance(masks, np.ndarray) and masks.dtype == bool else check.array(masks, "masks")
    if values.ndim != 2 or values.shape[1] != d:
        raise ValueError(f"masks must have two dimensions and {d} columns, one per word, but its shape is {values.shape}.")
    if values.dtype != bool and not np.isin(values, (0, 1)).all():
        raise ValueError("masks must hold True and False (or 1 and 0) only.")
    return values.astype(bool)


class Vocabulary:
    """The words a model knows, and their numbers.

    Parameters
    ----------
    words : str each, all different
        Number 0 must be ``"<pad>"``, which fills short rows at their end. ``"<unk>"``, if there, stands for all other words.

    Raises
    ------
    TypeError, ValueError
        If the words are not all different texts, or the first is not ``"<pad>"``.

    Notes
    -----
    Introduced in chapter 10.

    Examples
    --------
    >>> vocabulary = Vocabulary(["<pad>", "the", "key", "keys"])
    >>> vocabulary.encode(["the keys", "the"]).tolist()
    [[1, 3], [1, 0]]
    >>> vocabulary.decode([1, 3, 0])
    ['the', 'keys']
    """

    def __init__(self, words: Iterable[str]) -> None:
        self.words = tuple(words) if isinstance(words, Iterable) else ()
        if not self.words or self.words[0] != PADDING:
            raise ValueError(f"words must be texts, first {PADDING!r}, which fills short rows up.")
        if not all(isinstance(word, str) for word in self.words):
            raise TypeError("words must be texts.")
        self._numbers = {word: number for number, word in enumerate(self.words)}
        if len(self._numbers) != len(self.words):
            twice = next(word for number, word in enumerate(self.words) if self._numbers[word] != number)
            raise ValueError(f"words must all be different, but {twice!r} is there twice.")

    def __len__(self) -> int:
        return len(self.words)

    def __repr__(self) -> str:
        return f"Vocabulary({len(self)} words: {check.listed(self.words, width=60)})"

    def number(self, word: str) -> int:
        """The number of a word; an unknown one is an error, or ``<unk>`` where the vocabulary has it."""
        known = self._numbers.get(check.instance(word, str, "word"), self._numbers.get(UNKNOWN))
        if known is None:
            near = difflib.get_close_matches(word, self.words, n=1)
            raise ValueError(f"{word!r} is not in the vocabulary{f' (did you mean {near[0]!r}?)' if near else ''}.")
        return known

    def encode(self, texts: Any) -> np.ndarray:
        """Rows of numbers, (n, length of the longest), of texts whose words are separated by blanks."""
        rows = [[self.number(word) for word in text.split()] for text in check.texts(texts, "texts")]
        tokens = np.zeros((len(rows), max(1, *map(len, rows))), dtype=np.int64)
        for row, numbers in zip(tokens, rows, strict=True):
            row[: len(numbers)] = numbers
        return tokens

    def decode(self, row: Any) -> list[str]:
        """The words of one row of numbers, without padding at its end."""
        numbers = np.asarray(row)
        if numbers.ndim != 1 or numbers.dtype.kind not in "iu" or not all(0 <= number < len(self) for number in numbers):
            raise ValueError(f"row must hold whole numbers from 0 to {len(self) - 1}, not {check.shown(row)}.")
        used = np.flatnonzero(numbers)
        return [self.words[number] for number in numbers[: used[-1] + 1 if len(used) else 0]]
