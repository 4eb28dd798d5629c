"""The method cards agree with the code and with the chapters."""

from __future__ import annotations

import importlib

import pytest

from xailib import methods
from xailib.course.paths import SOURCES


@pytest.mark.parametrize("card", methods.CARDS, ids=lambda c: c.name)
def test_card_is_complete(card: methods.MethodCard) -> None:
    assert card.question in methods.QUESTIONS
    assert set(card.data) <= set(methods.DATA)
    assert card.access in methods.ACCESS
    assert all(len(text) > 8 for text in (card.cost, card.fails, card.avoid))


@pytest.mark.parametrize("card", [c for c in methods.CARDS if c.function], ids=lambda c: c.name)
def test_function_of_a_card_exists(card: methods.MethodCard) -> None:
    module, name = card.function.rsplit(".", 1)
    assert callable(getattr(importlib.import_module(module), name))


def test_every_chapter_with_a_technique_has_a_card_with_a_function() -> None:
    there = {path.name[:2] for path in SOURCES.glob("[0-9][0-9]_*.py")} - {"00", "19"}
    assert there <= {card.chapter for card in methods.CARDS if card.function}


def test_choosing_respects_access_and_lists_every_card_somewhere() -> None:
    found = {
        card.name
        for question in methods.QUESTIONS
        for data in methods.DATA
        for card in methods.choose(question, data, methods.ACCESS[-1])
    }
    assert found == {card.name for card in methods.CARDS}
    assert methods.choose(methods.QUESTIONS[0], "images", methods.ACCESS[0]) == [c for c in methods.CARDS if c.name == "LIME"]
    assert methods.chapters_of([]) == "none in this course"


def test_unknown_question_is_answered_with_the_known_ones() -> None:
    with pytest.raises(ValueError, match="question must be one of"):
        methods.choose("how much?", "a table", methods.ACCESS[0])
