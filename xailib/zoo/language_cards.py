"""Model cards of the shipped transformers: what is measured for each, and the text around the numbers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import nn

from xailib import _validation as check
from xailib import worlds
from xailib._transformers import record, token_batch
from xailib.worlds import real
from xailib.zoo import language
from xailib.zoo._markdown import table
from xailib.zoo.transformer import Transformer

STORIES = {
    "messages-transformer": "Tells spam from ham; knows what is left of a mail when words are deleted.",
    "copies-transformer": "Attention alone; says a block of random tokens once more after reading it once.",
    "facts-transformer": "Knows in which country 64 cities lie, and what is spoken there.",
    "agreement-transformer": "Writes sentences whose verb agrees with a subject some words back.",
    "brackets-transformer": "Closes the brackets that it opened.",
    "docstrings-transformer": "A small model of real prose: goes on with sentences from docstrings.",
}


def measure(name: str) -> dict[str, Any]:
    """Everything the card of a transformer states, measured now on data that it was not trained on.

    Parameters
    ----------
    name : one of :data:`STORIES`
    """
    return {key: round(float(value), 4) for key, value in _MEASURES[check.one_of(name, "name", STORIES)]().items()}


def section(name: str, measured: dict[str, Any]) -> str:
    """The measured part of a card in Markdown."""
    rows = [
        [what, f"{value:,.0f}" if float(value).is_integer() and value > 1 else f"{value:.3f}"] for what, value in measured.items()
    ]
    return table([f"measured on {_MEASURED_ON[name]}", "value"], rows)


def making(name: str, entry: dict[str, Any]) -> str:
    """How a transformer is built and what it was made from, in Markdown."""
    model = language.network(name)
    heads = model.blocks[0].attention.n_heads  # type: ignore[union-attr]
    parts = "attention only" if model.blocks[0].mlp is None else "attention and MLP"
    says = (
        "the next token at every position"
        if model.n_outputs is None
        else f"{model.n_outputs} class scores, read from the last token"
    )
    return (
        f"`Transformer`: {len(model.blocks)} layers of {heads} heads ({parts}), width {model.tokens.embedding_dim}, at most "
        f"{model.context} tokens out of {model.vocabulary:,}; says {says}; {entry['bytes'] / 1000:,.0f} kB. "
        f"It was {entry['origin']}; make it again with `{entry['command']}`."
    )


# --- measuring ------------------------------------------------------------------------------------------------------


def scores_of(name: str, tokens: Any) -> np.ndarray:
    """What a shipped transformer answers to token rows, in float64."""
    model = language.network(name)
    return record(model, token_batch(model, tokens), [])[0].double().numpy()


def copying_heads(model: Transformer, tokens: np.ndarray, sources: np.ndarray) -> np.ndarray:
    """Induction score of every head, (layers, heads): attention on places that hold the next token, where there is one.

    Parameters
    ----------
    model : Transformer
    tokens : (n, l) rows of ``worlds.copies``
    sources : (n, l, l) ``truth.sources(tokens)``
    """
    names = [f"blocks.{k}.attention.pattern" for k in range(len(model.blocks))]
    patterns = record(model, token_batch(model, tokens), names)[1].values()
    known = sources.any(axis=2)
    return np.array(
        [[(head * sources).sum(axis=2)[known].mean() for head in pattern.numpy().swapaxes(0, 1)] for pattern in patterns]
    )


def _messages() -> dict[str, float]:
    X, y = worlds.messages().test
    scores, rule = (
        scores_of("messages-transformer", language.encode("messages-transformer", X)),
        worlds.messages().truth.log_odds(X),
    )
    log_odds = scores[:, 1] - scores[:, 0]
    return {
        "mails": len(X),
        "accuracy": ((log_odds > 0) == y).mean(),
        "accuracy of the planted rule": ((rule > 0) == y).mean(),
        "says what the rule says": ((log_odds > 0) == (rule > 0)).mean(),
        "correlation of its log-odds with the rule's": np.corrcoef(log_odds, rule)[0, 1],
    }


def _copies() -> dict[str, float]:
    world = worlds.copies()
    X = world.test[0]
    sources = world.truth.sources(X)
    known = np.any(sources, axis=2, keepdims=True)[:, :-1, 0]
    scores = scores_of("copies-transformer", X)[:, :-1]
    loss = _cross_entropy(scores, X[:, 1:])
    best = -np.log(np.take_along_axis(world.truth.predict(X)[:, :-1], X[:, 1:, None], axis=2)[..., 0])
    heads = copying_heads(language.network("copies-transformer"), X, sources)
    return {
        "rows": len(X),
        "next token right, where the row tells it": (scores.argmax(axis=2) == X[:, 1:])[known].mean(),
        "loss there, in nats": loss[known].mean(),
        "loss elsewhere, in nats": loss[~known].mean(),
        "best possible loss elsewhere, in nats": best[~known].mean(),
        "induction score of the best head": heads.max(),
    }


def _facts() -> dict[str, float]:
    world = worlds.facts()
    said = scores_of("facts-transformer", world.X)[:, -1].argmax(axis=1) == world.y
    return {
        "prompts": len(said),
        "right, trained combinations": said[: world.n_train].mean(),
        "right, combinations of template and city not trained on": said[world.n_train :].mean(),
    }


def _agreement() -> dict[str, float]:
    world = worlds.agreement()
    verb, forms = world.truth.verb(world.X), world.truth.verb_forms
    scores = scores_of("agreement-transformer", world.X)[np.arange(len(world.X)), verb - 1]
    singular, plural = (np.logaddexp.reduce(scores[:, forms[:, k]], axis=1) for k in (0, 1))
    right: np.ndarray = (plural > singular) == world.y
    attractors = world.truth.attractors(world.X)
    return {"sentences": len(right), **{f"verb right, {k} attractors": right[attractors == k].mean() for k in range(3)}}


def _brackets() -> dict[str, float]:
    world = worlds.brackets()
    X = world.test[0]
    asked = ~np.isin(X, (0, 2))
    best, scores = world.truth.predict(X)[asked], scores_of("brackets-transformer", X)[asked]
    log_p = torch.log_softmax(torch.as_tensor(scores), dim=1).numpy()
    gap = (best * (np.log(np.maximum(best, 1e-12)) - log_p)).sum(axis=1)
    return {
        "strings": len(X),
        "probability on tokens that may follow": (np.exp(log_p) * (best > 0)).sum(axis=1).mean(),
        "distance from the true probabilities (Kullback-Leibler, nats)": gap.mean(),
    }


def _docstrings() -> dict[str, float]:
    texts = real.docstring_paragraphs()
    trained, tokens = (language.encode("docstrings-transformer", part, longest=64) for part in (texts.train[0], texts.test[0]))
    after = np.pad(tokens[:, 1:], ((0, 0), (0, 1)))
    asked = after > 0
    loss = _cross_entropy(scores_of("docstrings-transformer", tokens), after)[asked].mean()
    counts = 1 + np.bincount(trained[:, 1:][trained[:, 1:] > 0], minlength=len(language.vocabulary("docstrings-transformer")))
    return {
        "words": asked.sum(),
        "perplexity": np.exp(loss),
        "perplexity of word frequencies alone": np.exp(-np.log(counts / counts.sum())[after[asked]].mean()),
        "share of unknown words": (after[asked] == 1).mean(),
    }


def _cross_entropy(scores: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """Loss at every position, (n, l), in nats."""
    by_class = torch.as_tensor(scores).transpose(1, 2)
    return nn.functional.cross_entropy(by_class, torch.as_tensor(targets), reduction="none").numpy()


_MEASURES: dict[str, Callable[[], dict[str, float]]] = {
    "messages-transformer": _messages,
    "copies-transformer": _copies,
    "facts-transformer": _facts,
    "agreement-transformer": _agreement,
    "brackets-transformer": _brackets,
    "docstrings-transformer": _docstrings,
}
_MEASURED_ON = {
    "messages-transformer": "the held-out mails of `worlds.messages()`",
    "copies-transformer": "the held-out rows of `worlds.copies()`",
    "facts-transformer": "`worlds.facts()`",
    "agreement-transformer": "`worlds.agreement()`, which it was not trained on",
    "brackets-transformer": "the held-out strings of `worlds.brackets()`, which it was not trained on",
    "docstrings-transformer": "the held-out paragraphs of `real.docstring_paragraphs()`",
}
