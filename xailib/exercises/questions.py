"""Warm-ups and quizzes: multiple choice in which every wrong option gets the sentence that mends its misconception."""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from html import escape
from typing import Any

import ipywidgets as widgets

from xailib.exercises.engine import chapters
from xailib.exercises.render import inline


@dataclass(frozen=True)
class Question:
    """A question, its right option with the reason, and wrong options with the sentence that mends each.

    Attributes
    ----------
    text : the question
    right : the right option
    because : why it is right, shown when chosen
    wrong : wrong option -> sentence that mends the misconception
    """

    text: str
    right: str
    because: str
    wrong: Mapping[str, str]

    @property
    def options(self) -> list[str]:
        """All options in an order that is fixed but tells nothing."""
        return sorted([self.right, *self.wrong], key=lambda option: sha256((self.text + option).encode()).hexdigest())

    def feedback(self, option: str) -> str:
        """The sentence for a chosen option."""
        return f"Right. {self.because}" if option == self.right else f"Not quite. {self.wrong[option]}"


def quiz(chapter: str) -> Quiz:
    """The five closing questions of a chapter."""
    return Quiz(f"Quiz: {chapter}", _module(chapter).QUIZ)


def warmup(chapter: str) -> Quiz:
    """The three opening questions of a chapter, on what came before."""
    module = _module(chapter)
    if not hasattr(module, "WARMUP"):
        raise ValueError(f"chapter {chapter!r} has no warm-up.")
    return Quiz(f"Warm-up: {chapter}", module.WARMUP)


def _module(chapter: str) -> Any:
    if chapter not in chapters():
        raise ValueError(f"chapter {chapter!r} has no questions; these have: {', '.join(chapters())}.")
    return importlib.import_module(f"xailib.exercises.{chapter}")


class Quiz:
    """Questions with live feedback; the text form lists questions and options, so that it reads without a kernel too."""

    def __init__(self, title: str, questions: Sequence[Question]) -> None:
        self.title, self.questions = title, questions
        self.choices = [self._choice(question) for question in questions]
        self.feedback = [widgets.HTML() for _ in questions]
        rows = (widgets.VBox([self._label(i), *pair]) for i, pair in enumerate(zip(self.choices, self.feedback, strict=True)))
        self.widget = widgets.VBox(list(rows), layout=widgets.Layout(max_width="860px"))

    def user_chooses(self, number: int, option: str) -> str:
        """Choose an option of question ``number`` (from 0) as the browser does, and return the feedback."""
        self.choices[number].set_state({"index": self.questions[number].options.index(option)})
        return self.questions[number].feedback(option)

    def score(self) -> int:
        """How many questions are answered right now."""
        return sum(c.value == q.right for c, q in zip(self.choices, self.questions, strict=True))

    def text(self) -> str:
        """Questions and options, no answers."""
        blocks = [f"{i}. {q.text}\n" + "\n".join(f"   ( ) {o}" for o in q.options) for i, q in enumerate(self.questions, 1)]
        return "\n".join([self.title, *blocks])

    def _choice(self, question: Question) -> widgets.RadioButtons:
        layout = widgets.Layout(width="auto")
        choice = widgets.RadioButtons(options=question.options, value=None, layout=layout)
        choice.observe(lambda _: self._show(), "value")
        return choice

    def _label(self, i: int) -> widgets.HTML:
        return widgets.HTML(f"<p style='line-height:1.35;margin-top:8px'><b>{i + 1}.</b> {inline(self.questions[i].text)}</p>")

    def _show(self) -> None:
        for question, choice, feedback in zip(self.questions, self.choices, self.feedback, strict=True):
            if choice.value is not None:
                feedback.value = f"<p style='line-height:1.35'><i>{inline(question.feedback(choice.value))}</i></p>"

    def _html(self) -> str:
        """Static form for readers without a kernel: the answer opens on a click."""
        parts = []
        for q in self.questions:
            items = "".join(f"<li>{inline(option)}</li>" for option in q.options)
            answer = f"<details><summary>Answer</summary>{inline(q.right)}: {inline(q.because)}</details>"
            parts.append(f"<li>{inline(q.text)}<ul>{items}</ul>{answer}</li>")
        return f"<b>{escape(self.title)}</b><ol>{''.join(parts)}</ol>"

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, Any]:
        bundle = dict(self.widget._repr_mimebundle_(include=None, exclude=None))
        return {**bundle, "text/plain": self.text(), "text/html": self._html()}

    def __repr__(self) -> str:
        return self.text()
