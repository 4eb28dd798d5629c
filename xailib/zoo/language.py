"""The shipped transformers: load them, and turn texts into the tokens that they read."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from safetensors import safe_open
from torch import Tensor

from xailib import _validation as check
from xailib.course import manifest
from xailib.text import SENTENCE_END, WORD, Vocabulary
from xailib.worlds._tokens import START
from xailib.zoo.transformer import Transformer

#: the last token of a mail, from which the classifier reads what it says
READ = "<read>"

#: name of each shipped transformer and the arguments of :class:`Transformer` beside the vocabulary
SHAPES: dict[str, dict[str, Any]] = {
    "messages-transformer": {"context": 56, "n_outputs": 2, "causal": False, "padding": 0},
    "copies-transformer": {"context": 49, "mlp": False},
    "facts-transformer": {"context": 8},
    "agreement-transformer": {"context": 16},
    "brackets-transformer": {"context": 33},
    "docstrings-transformer": {"context": 64},
}


def network(name: str) -> Transformer:
    """A shipped transformer in evaluation mode: a new module at every call, free to be changed.

    Raises
    ------
    ValueError, FileNotFoundError
        If the name is unknown, or the weights in ``data/`` are missing or do not match their hash in the manifest.

    Notes
    -----
    Called through :func:`xailib.zoo.load`. Introduced in chapter 10.

    Examples
    --------
    >>> network("copies-transformer").context
    49
    """
    weights, metadata = shipped_tensors(f"{check.one_of(name, 'name', SHAPES)}.safetensors")
    return _built(name, metadata, weights)


def checkpoints(name: str = "copies-transformer") -> list[tuple[int, Transformer]]:
    """The same transformer as it was during training, from the untrained one to the last.

    Parameters
    ----------
    name : {"copies-transformer"}, whose states during training ship with the course

    Returns
    -------
    list of (training steps so far, Transformer in evaluation mode)

    Raises
    ------
    ValueError, FileNotFoundError
        If no states of this model ship, or the file is missing or does not match its hash in the manifest.

    Notes
    -----
    Weights were rounded to 16 bits, which changes scores by less than 0.02. Taught in chapter 12.
    """
    check.one_of(name, "name", ("copies-transformer",))
    stored, metadata = shipped_tensors(f"{name}-training.safetensors")
    states: dict[int, dict[str, Tensor]] = {}
    for key, value in stored.items():
        step, parameter = key.split("/")
        states.setdefault(int(step), {})[parameter] = value.float()
    return [(step, _built(name, metadata, states[step])) for step in sorted(states)]


def vocabulary(name: str) -> Vocabulary:
    """The words that a shipped transformer knows.

    Raises
    ------
    ValueError, FileNotFoundError
        If the name is unknown, or the file in ``data/`` is missing or does not match its hash in the manifest.

    Notes
    -----
    Introduced in chapter 10.

    Examples
    --------
    >>> vocabulary("brackets-transformer").words
    ('<pad>', '<s>', '<end>', '(', '[', ')', ']')
    """
    return vocabulary_of(shipped_tensors(f"{check.one_of(name, 'name', SHAPES)}.safetensors")[1])


def encode(name: str, texts: Any, *, longest: int | None = None) -> np.ndarray:
    """Texts as the tokens that a shipped transformer reads.

    Parameters
    ----------
    name : as in :func:`vocabulary`
    texts : (n,) array of str
        Mails and English prose for ``"messages-transformer"`` and ``"docstrings-transformer"``; for the others words separated by
        blanks. A leading ``<s>`` is added where it is missing.
    longest : int, optional; longer texts are cut to so many tokens

    Returns
    -------
    int64 array (n, length of the longest), padded at the end with 0

    Raises
    ------
    TypeError, ValueError
        If ``texts`` is no array of texts, or holds a word that the vocabulary, one without ``<unk>``, does not have.

    Notes
    -----
    Introduced in chapter 10.

    Examples
    --------
    >>> vocabulary("messages-transformer").decode(encode("messages-transformer", ["Not a winner! See Anna."])[0])
    ['not', 'a', 'winner', '.', 'see', 'anna', '.', '<read>']
    """
    split = _SPLITTERS.get(check.one_of(name, "name", SHAPES), _blanks)
    lines = [split(text) for text in check.texts(texts, "texts")]
    if longest is not None:
        check.number(longest, "longest", low=1, integer=True)
        lines = [line[:longest] for line in lines]
    return vocabulary(name).encode([" ".join(line) for line in lines])


def mail_words(text: str) -> list[str]:
    """A mail in lower case, a full stop where a sentence ends, and the token to read from; words as ``xailib.text`` cuts them."""
    found = re.findall(f"{WORD}|{SENTENCE_END}", text.lower())
    return [*(word if re.match(r"\w", word) else "." for word in found), READ]


def prose_words(text: str) -> list[str]:
    """English prose in lower case after ``<s>``, without numbers; marks of punctuation are words."""
    return [START, *re.findall(r"[a-z]+(?:[-'_][a-z]+)*|[.,;:()]", text.lower())]


def _blanks(text: str) -> list[str]:
    words = text.split()
    return words if words[:1] == [START] else [START, *words]


_SPLITTERS: dict[str, Callable[[str], list[str]]] = {
    "messages-transformer": mail_words,
    "docstrings-transformer": prose_words,
}


def shipped_tensors(file: str) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Tensors and metadata of a file in ``data/``."""
    with safe_open(manifest.verified(file), framework="pt") as opened:
        return {key: opened.get_tensor(key) for key in opened.keys()}, opened.metadata()  # noqa: SIM118, not iterable itself


def vocabulary_of(metadata: dict[str, str]) -> Vocabulary:
    """The words in the metadata of a file."""
    return Vocabulary(json.loads(metadata["words"]))


def _built(name: str, metadata: dict[str, str], weights: dict[str, Tensor]) -> Transformer:
    with torch.random.fork_rng():
        model = Transformer(len(vocabulary_of(metadata)), **SHAPES[name])
    model.load_state_dict(weights)
    return model.eval()
