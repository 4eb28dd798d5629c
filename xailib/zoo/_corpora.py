"""What the transformers of the zoo are trained on: inputs, what must be said of them, and the words in them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import numpy as np

from xailib import worlds
from xailib.text import PADDING, UNKNOWN, Vocabulary, keep, split_words
from xailib.worlds import real
from xailib.worlds._tokens import START
from xailib.worlds.messages import MessagesTruth
from xailib.zoo import _captions
from xailib.zoo.language import READ, SHAPES, mail_words, prose_words
from xailib.zoo.two_towers import END, words

#: (tokens (n, l), targets (n, l) or (n,), vocabulary), a target of -1 does not count; or (images, captions as tokens, vocabulary)
Corpus = tuple[np.ndarray, np.ndarray, Vocabulary]
NOT_ASKED = -1
MAILS, ROWS, SENTENCES, STRINGS = 100_000, 128_000, 20_000, 20_000
TRAINING_SEED = 10  # of the worlds that these models are trained on: not the default worlds, which stay unseen
#: half of the mails lose each word with a probability of up to this; words without weight become unknown with the second one
MOST_DELETED, UNKNOWN_SHARE = 0.5, 0.05
PROSE_WORDS = 1500
BIRDS, BIRDS_MISSING_RATE, CAPTIONS = 12_000, 0.3, 4


def messages() -> Corpus:
    """Mails and their labels; half of the mails have words deleted, and then a label drawn by the rule for what is left.

    A network that never saw a mail with a word missing could answer anything when a method deletes one.
    """
    rng = np.random.default_rng(TRAINING_SEED)
    world = worlds.messages(MAILS, random_state=TRAINING_SEED)
    mails = world.X.copy()
    mails[: MAILS // 2] = [_with_gaps(mail, rng) for mail in mails[: MAILS // 2]]
    labels = (rng.random(MAILS) < world.truth.predict(mails)).astype(np.int64)
    lines = [mail_words(mail) for mail in mails]
    vocabulary = Vocabulary([PADDING, UNKNOWN, READ, *sorted({word for line in lines for word in line} - {READ})])
    texts = [" ".join(_some_unknown(line, world.truth, rng)) for line in lines]
    return vocabulary.encode(texts), labels, vocabulary


def _with_gaps(mail: str, rng: np.random.Generator) -> str:
    words = split_words(mail)
    return str(keep(words, rng.random((1, len(words))) >= rng.uniform(0, MOST_DELETED))[0])


def _some_unknown(line: list[str], truth: MessagesTruth, rng: np.random.Generator) -> list[str]:
    """A line in which some words without weight are replaced, so that the unknown word means nothing."""
    hidden = rng.random(len(line)) < UNKNOWN_SHARE
    fixed = truth.relevant | {".", READ}
    return [UNKNOWN if gone and word not in fixed else word for word, gone in zip(line, hidden, strict=True)]


def copies() -> Corpus:
    """Rows of the world, all different."""
    world = worlds.copies(ROWS, random_state=TRAINING_SEED)
    return world.X, _next(world.X), world.truth.vocabulary


def facts() -> Corpus:
    """The training prompts of the world; after the last token the answer must come."""
    world = worlds.facts()
    X, answers = world.train
    return X, np.column_stack([X[:, 1:], answers]), world.truth.vocabulary


def agreement() -> Corpus:
    """Sentences of another draw than the default world."""
    world = worlds.agreement(SENTENCES, random_state=TRAINING_SEED)
    return world.X, _next(world.X), world.truth.vocabulary


def brackets() -> Corpus:
    """Strings of another draw than the default world."""
    world = worlds.brackets(STRINGS, random_state=TRAINING_SEED)
    return world.X, _next(world.X), world.truth.vocabulary


def docstrings() -> Corpus:
    """The training part of the paragraphs, cut where the context ends; rarer words than the 1,500 most frequent are unknown."""
    lines = [prose_words(text)[: SHAPES["docstrings-transformer"]["context"]] for text in real.docstring_paragraphs().train[0]]
    counts = Counter(word for line in lines for word in line[1:])
    frequent = sorted(counts, key=lambda word: (-counts[word], word))[:PROSE_WORDS]
    vocabulary = Vocabulary([PADDING, UNKNOWN, START, *frequent])
    tokens = vocabulary.encode([" ".join(line) for line in lines])
    return tokens, _next(tokens), vocabulary


def _next(tokens: np.ndarray) -> np.ndarray:
    """The token after each, (n, l); none after the last, and no padding."""
    after = np.pad(tokens[:, 1:], ((0, 0), (0, 1)))
    return np.where(after == 0, NOT_ASKED, after)


def captioned_birds() -> Corpus:
    """Pictures of birds that lack many parts, and the captions that people wrote, (n, captions, l)."""
    rng = np.random.default_rng(TRAINING_SEED)
    world = worlds.birds(BIRDS, missing_rate=BIRDS_MISSING_RATE, random_state=rng)
    known = _captions.vocabulary(world.truth)
    texts = [text for _ in range(CAPTIONS) for text in _captions.captions(world.truth, rng)]
    tokens = known.encode([" ".join([*words(text), END]) for text in texts]).reshape(CAPTIONS, BIRDS, -1)
    return world.train[0], tokens[:, : world.n_train].swapaxes(0, 1), known


CORPORA: dict[str, Callable[[], Corpus]] = {
    "messages-transformer": messages,
    "copies-transformer": copies,
    "facts-transformer": facts,
    "agreement-transformer": agreement,
    "brackets-transformer": brackets,
    "docstrings-transformer": docstrings,
    "birds-clip": captioned_birds,
}
