"""How a card looks: HTML with folded hints and solution, and a plain text form that nbval compares."""

from __future__ import annotations

import re
from html import escape
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from xailib.exercises.engine import Exercise

_BOX = "border:1px solid #c9d3dc;border-left:6px solid #1b3a57;border-radius:4px;padding:8px 14px;margin:4px 0;max-width:860px"


def card_text(exercise_id: str, exercise: Exercise) -> str:
    """The card in a few plain lines."""
    claims = "".join(f"\n  {letter}. {claim.text}" for letter, claim in exercise.claims.items())
    return f"Exercise {exercise_id}: {exercise.title}\n{_facts(exercise)}\n{exercise.task}{claims}"


def card_html(exercise: Exercise) -> str:
    """The card as HTML; hints and solution open on a click."""
    claims = "".join(f"<li>{inline(claim.text)}</li>" for claim in exercise.claims.values())
    folded = [(f"Hint {i}", f"<p>{inline(hint)}</p>") for i, hint in enumerate(exercise.hints, 1)]
    folded.append(("Solution", f"<pre style='white-space:pre-wrap'>{escape(exercise.solution())}</pre>"))
    return "\n".join(
        [
            f"<div style='{_BOX}'><b>{escape(exercise.title)}</b><br><small>{escape(_facts(exercise))}</small>",
            paragraphs(exercise.task),
            f"<ol style='list-style-type:lower-alpha'>{claims}</ol>" if claims else "",
            *(f"<details><summary>{name}</summary>{body}</details>" for name, body in folded),
            "</div>",
        ]
    )


def _facts(exercise: Exercise) -> str:
    return (
        f"{exercise.level} · difficulty {exercise.difficulty} of 5 · {exercise.minutes} minutes · passes when {exercise.passes}"
    )


def paragraphs(text: str) -> str:
    """Blank lines become paragraphs."""
    return "".join(f"<p>{inline(block)}</p>" for block in text.strip().split("\n\n"))


def inline(text: str) -> str:
    """The little Markdown that cards use: code, bold and emphasis."""
    html = escape(text, quote=False)
    html = re.sub(r"`([^`]+)`", r"<code>\1</code>", html)
    html = re.sub(r"\*\*([^*]+)\*\*", r"<b>\1</b>", html)
    return re.sub(r"(?<![\w*])\*([^*\n]+)\*(?![\w*])", r"<i>\1</i>", html)
