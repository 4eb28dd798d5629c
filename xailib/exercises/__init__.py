"""Exercises: ``card`` shows one, ``check`` grades it, ``quiz`` and ``warmup`` ask questions, ``progress`` says how far you are.

One module a chapter holds its exercises: text, hints, reference, check and the bank of wrong answers, all in one place.
"""

from xailib.exercises.engine import card, chapters, check, load, progress
from xailib.exercises.questions import quiz, warmup

__all__ = ["card", "chapters", "check", "load", "progress", "quiz", "warmup"]
