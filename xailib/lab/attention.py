"""Labs of chapter 10: choose layer, heads and aggregation, then change an attention weight and watch what the model says."""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import torch
from matplotlib.figure import Figure, FigureBase, SubFigure
from torch import Tensor

from xailib import attention, plots, worlds, zoo
from xailib._transformers import edited
from xailib.lab.playground import Playground, Prediction, Reading, choice, slider

#: texts of twelve tokens each, so that a word has the same slider in all of them
_SENTENCES = {
    "keys ... door (is or are?)": "<s> the old keys near the red cabinet above the quiet door",
    "key ... doors (is or are?)": "<s> the old key near the red cabinets above the quiet doors",
}
_MAILS = {
    "mail: a prize": "Your prize is at the office. See you Monday.",
    "mail: no prize": "There is no prize on Monday. See you Friday.",
    "mail: two sides": "The meeting is on Friday at noon. Please claim.",
}
_LENGTH = 12
_SHOWN = {
    "attention": "attention",
    "value-weighted": "length written",
    "rollout": "rollout share",
    "flow": "maximum flow",
}
_LAYERS = {"both layers": (0, 1), "layer 1": (0,), "layer 2": (1,)}
_ALL, _READ_ROW, _EVERY_ROW = "all heads", "the row that is read", "every row"
_FLIPS, _MOVES, _STAYS = "changes side", "moves by more than 1, same side", "moves by less than 1"
_LEAST = 1.0


def attention_editor() -> Playground:
    """Attention of two small transformers by layer, head and aggregation; any weight can be set by hand."""
    controls = {
        "text": choice("text", [*_SENTENCES, *_MAILS]),
        "layers": choice("layers", list(_LAYERS)),
        "heads": choice("heads", [_ALL, *(f"head {h + 1}" for h in range(4))]),
        "shown": choice("show", list(_SHOWN)),
        "word": slider("edit word number", 1, _LENGTH, 4),
        "weight": slider("its attention, %", 0, 100, 0, 5),
        "rows": choice("edit", [_READ_ROW, _EVERY_ROW]),
    }
    sentence, no_prize = "keys ... door (is or are?)", "mail: no prize"
    strip: list[dict[str, Any]] = [
        {"text": sentence, "layers": "layer 2"},
        {"text": sentence, "layers": "layer 2", "word": 12, "weight": 100},
        {"text": sentence, "layers": "layer 2", "shown": "rollout"},
        {"text": no_prize, "layers": "layer 2", "word": 3},
        {"text": no_prize, "layers": "layer 1", "rows": _EVERY_ROW, "word": 3},
    ]
    question = 'The word before the verb stops looking at "keys", in all heads of both layers. The log-odds of a plural verb ...'
    return Playground(
        _compute,
        _draw,
        controls,
        filmstrip=strip,
        title="Edit attention and watch the output",
        predict=Prediction(question, [_FLIPS, _MOVES, _STAYS]),
        verdict=_verdict,
        size=(6.4, 4.2),
    )


@dataclass(frozen=True, eq=False)
class _Text:
    """A text, the model that reads it, and what the score is."""

    model: Any
    tokens: np.ndarray  # (1, l)
    words: list[str]
    counts: np.ndarray  # (l,), which words count by the rule
    score: str
    columns: tuple[tuple[int, ...], tuple[int, ...]]  # outputs for and against

    def log_odds(self) -> float:
        """Log of the probability for over that against, at this moment."""
        z = attention.rerun(self.model, self.tokens, {})[0]
        ours, theirs = (np.logaddexp.reduce(z[list(columns)]) for columns in self.columns)
        return float(ours - theirs)


@cache
def _model(name: str) -> Any:
    return zoo.load(name).requires_grad_(False)


@cache
def _text(text: str) -> _Text:
    name = "agreement-transformer" if text in _SENTENCES else "messages-transformer"
    raw = _SENTENCES[text] if text in _SENTENCES else _MAILS[text]
    tokens = np.asarray(zoo.encode(name, [raw]))
    words = list(zoo.vocabulary(name).decode(tokens[0]))
    if text in _SENTENCES:
        truth = worlds.agreement(30).truth
        singular, plural = (tuple(int(form) for form in forms) for forms in truth.verb_forms.T)
        counts = np.arange(_LENGTH) == words.index("keys" if "keys" in words else "key")
        return _Text(_model(name), tokens, words, counts, "log-odds of a plural verb", (plural, singular))
    counts = np.isin(words, list(worlds.messages(60).truth.relevant))
    return _Text(_model(name), tokens, words, counts, "log-odds of spam", ((1,), (0,)))


@dataclass(frozen=True)
class _SetWeight:
    """An edit: the weight of one key, in some heads and rows; the rest of each row is scaled so that it sums to 1."""

    key: int
    weight: float
    heads: tuple[int, ...]
    every_row: bool

    def __call__(self, pattern: Tensor) -> Tensor:
        n_heads, length = pattern.shape[1], pattern.shape[2]
        others = pattern.clone()
        others[..., self.key] = 0
        total = others.sum(dim=3, keepdim=True)
        new = (1 - self.weight) * others / total.clamp(min=1e-9)
        new[..., self.key] = self.weight
        head, row = torch.zeros(n_heads, dtype=torch.bool), torch.full((length,), self.every_row)
        head[list(self.heads)], row[-1] = True, True
        seen = (pattern[..., self.key] > 0)[..., None] & (total > 1e-9)  # never a key out of sight, never an empty row
        return torch.where(head[:, None, None] & row[:, None] & seen, new, pattern)


def _heads(heads: str) -> tuple[int, ...]:
    return (0, 1, 2, 3) if heads == _ALL else (int(heads.split()[1]) - 1,)


def _weights(text: _Text, layer: int, heads: tuple[int, ...], shown: str) -> np.ndarray:
    """One number per token, of the model as it is at this moment."""
    if shown in ("rollout", "flow"):
        return attention.token_weights(text.model, text.tokens, shown)[0]
    if shown == "attention":
        return np.asarray(attention.maps(text.model, text.tokens).values[layer, 0, list(heads), -1].mean(axis=0))
    norms = attention.value_weighted(text.model, text.tokens, heads="sum" if len(heads) > 1 else "each")[layer, 0]
    return np.asarray(norms[-1] if len(heads) > 1 else norms[heads[0], -1])


@cache
def _untouched(text: str, layer: int, heads: tuple[int, ...], shown: str) -> tuple[np.ndarray, float]:
    return _weights(_text(text), layer, heads, shown), _text(text).log_odds()


def _editing(text: _Text, layers: tuple[int, ...], edit: _SetWeight) -> AbstractContextManager[None]:
    return edited(text.model, {f"blocks.{k}.attention.pattern": edit for k in layers})


def _compute(text: str, layers: str, heads: str, shown: str, word: int, weight: int, rows: str) -> Reading:
    """Weights and log-odds before and after the edit; of two edited layers the last is shown, and named in the title."""
    it, edited_layers, chosen = _text(text), _LAYERS[layers], _heads(heads)
    before, score = _untouched(text, edited_layers[-1], chosen, shown)
    own = _untouched(text, edited_layers[-1], chosen, "attention")[0][word - 1]
    with _editing(it, edited_layers, _SetWeight(word - 1, weight / 100, chosen, rows == _EVERY_ROW)):
        after, new_score = _weights(it, edited_layers[-1], chosen, shown), it.log_odds()
    numbers: dict[str, float | int | str] = {
        f"{it.score}, untouched": f"{score:.2f}",
        f"{it.score}, edited": f"{new_score:.2f}",
        f'own attention to "{it.words[word - 1]}"': f"{100 * own:.0f} %",
        "strongest token, untouched": it.words[int(before.argmax())],
        "words that count by the rule": ", ".join(np.array(it.words)[it.counts]),
    }
    one_layer = shown in ("attention", "value-weighted")
    where = f"layer {edited_layers[-1] + 1}, {heads}" if one_layer else "both layers, all heads"
    seen = {"text": text, "before": before, "after": after, "scores": (score, new_score), "shown": shown, "word": word}
    seen["where"] = where
    return Reading(numbers, seen)


def _draw(reading: Reading, figure: FigureBase) -> None:
    """Bars before and after the edit, word by word, and the log-odds under them."""
    data, small = reading.data, isinstance(figure, SubFigure)
    fixed = {}
    if isinstance(figure, Figure):  # places by hand: a layout engine would measure every text twice
        figure.set_layout_engine("none")
        fixed = {"left": 0.1, "right": 0.96, "top": 0.92, "bottom": 0.13, "hspace": 0.95}
    bars, line = figure.subplots(2, 1, height_ratios=[3, 1], gridspec_kw=fixed)
    it, places = _text(data["text"]), np.arange(_LENGTH)
    bars.axvspan(data["word"] - 1.5, data["word"] - 0.5, color=plots.CONTEXT, alpha=0.25, lw=0)
    bars.bar(places - 0.2, data["before"], 0.4, color=plots.ANCHOR, label="untouched")
    bars.bar(places + 0.2, data["after"], 0.4, color=plots.POSITIVE, hatch="//", label="edited")
    labels = [f"{word}*" if counts else word for word, counts in zip(it.words, it.counts, strict=True)]
    bars.set_xticks(places, labels, rotation=45, ha="right", fontsize=7 if small else 8)
    bars.set_ylabel(_SHOWN[data["shown"]])
    bars.set_ylim(0, 1.3 * max(data["before"].max(), data["after"].max()))  # room for the legend
    read_at = "" if small else f', read at "{it.words[-1]}"'
    bars.set_title(f"{data['where']}{read_at}; * counts by the rule", fontsize=8 if small else 10)
    bars.legend(fontsize=7, loc="upper left", ncols=2, framealpha=1)
    before, after = data["scores"]
    line.axvline(0, color="black", lw=0.8)
    line.plot(before, 0.3, "o", color=plots.ANCHOR, ms=8)
    line.plot(after, -0.3, "D", color=plots.POSITIVE, ms=7)
    reach = 4 * np.ceil(max(4, abs(before), abs(after)) / 4)
    line.set(
        xlim=(-reach, reach),
        xticks=np.linspace(-reach, reach, 5),
        ylim=(-0.8, 0.8),
        yticks=[],
        xlabel=f"{it.score} (diamond: edited)",
    )


def _verdict(reading: Reading, prediction: str | None) -> str:
    """What the edit did, beside what was predicted."""
    before, after = reading.data["scores"]
    happened = _FLIPS if before * after < 0 else _MOVES if abs(before - after) > _LEAST else _STAYS
    measured = f"From {before:.2f} to {after:.2f}: it {happened}."
    if prediction is None:
        return f"{measured} No prediction was made."
    return f"{measured} You predicted: it {prediction}. {'Right.' if prediction == happened else 'Not this time.'}"


LABS = [attention_editor]
