"""What an exercise is, how it is shown, and how an answer is checked.

A check raises :class:`Mistake` with the sentence the learner needs. Blank or wrong, the reference comes back, so that the rest
of the notebook runs; with ``XAILIB_GRADING=1`` both raise instead, which is what a grader needs.
"""

from __future__ import annotations

import copy
import importlib
import inspect
import json
import os
import pkgutil
import textwrap
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, wraps
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import platformdirs

from xailib._cache import write_atomically

_NOT_CHAPTERS = {"engine", "questions", "render"}


class Mistake(Exception):
    """A wrong answer: the message names the likely misconception."""


class Blank(Exception):
    """No answer yet."""


@dataclass(frozen=True)
class WrongAnswer:
    """An answer the check must reject, the misconception behind it, and (part of) the message it must get."""

    answer: Any
    misconception: str
    message: str


@dataclass(frozen=True)
class Claim:
    """A statement to accept or reject, with the reason shown to those who chose otherwise."""

    text: str
    holds: bool
    why: str


@dataclass(frozen=True)
class Exercise:
    """One exercise, complete: card, hints, reference, check and bank.

    Attributes
    ----------
    name : short name; the id is ``chapter.name``
    title : starts with a verb
    level : "core" or "stretch"
    difficulty : 1 to 5
    minutes : estimated
    passes : what passing looks like
    task : Markdown
    hints : two, neither gives the answer away
    reference : code: the function itself; number: a function without arguments that computes it; claims: left out
    check : function (answer, rng) that raises Mistake; claims need none
    wrong : at least four wrong answers for code and numbers
    right : two right answers, written differently from the reference
    claims : letter -> Claim, for a judgement
    model_answer : Markdown shown after a judgement, beside which a learner lays an own text
    """

    name: str
    title: str
    level: str
    difficulty: int
    minutes: int
    passes: str
    task: str
    hints: tuple[str, str]
    reference: Callable[..., Any] | None = None
    check: Callable[[Any, np.random.Generator], None] | None = None
    wrong: Sequence[WrongAnswer] = ()
    right: Sequence[Any] = ()
    claims: Mapping[str, Claim] = field(default_factory=dict)
    model_answer: str = ""

    @property
    def kind(self) -> str:
        """ "code", "number" or "claims"."""
        if self.claims:
            return "claims"
        return "code" if inspect.signature(self.reference).parameters else "number"  # type: ignore[arg-type]

    @cached_property
    def value(self) -> Any:
        """What the reference is worth: the function, the computed number, or the set of letters that hold."""
        if self.kind == "claims":
            return frozenset(letter for letter, claim in self.claims.items() if claim.holds)
        return self.reference if self.kind == "code" else self.reference()  # type: ignore[misc]

    def solution(self) -> str:
        """The solution as text: the reference's own source, or the verdict on each claim."""
        if self.kind == "claims":
            return "\n".join(f"{k}. {'holds' if c.holds else 'does not hold'}: {c.why}" for k, c in self.claims.items())
        return textwrap.dedent(inspect.getsource(self.reference))  # type: ignore[arg-type]


def chapters() -> list[str]:
    """Names of the modules that hold exercises."""
    import xailib.exercises as package

    return sorted(m.name for m in pkgutil.iter_modules(package.__path__) if m.name not in _NOT_CHAPTERS)


def load(chapter: str) -> dict[str, Exercise]:
    """The exercises of a chapter by id, in their order."""
    if chapter not in chapters():
        raise ValueError(f"chapter {chapter!r} has no exercises; these have: {', '.join(chapters())}.")
    module = importlib.import_module(f"xailib.exercises.{chapter}")
    return {f"{chapter}.{exercise.name}": exercise for exercise in module.EXERCISES}


def find(exercise_id: str) -> Exercise:
    """One exercise by its id, ``chapter.name``."""
    if not isinstance(exercise_id, str):
        raise TypeError(f"exercise_id must be text such as 'chapter.name', not {exercise_id!r}.")
    exercises = load(exercise_id.split(".")[0])
    if exercise_id not in exercises:
        raise ValueError(f"exercise {exercise_id!r} is unknown; this chapter has {', '.join(exercises)}.")
    return exercises[exercise_id]


def card(exercise_id: str) -> None:
    """Show an exercise: title, difficulty, minutes, what passing looks like; hints and solution folded."""
    from IPython.display import display

    from xailib.exercises import render

    exercise = find(exercise_id)
    display({"text/html": render.card_html(exercise), "text/plain": render.card_text(exercise_id, exercise)}, raw=True)


def check(exercise_id: str, answer: Any, *, prediction: Any = ...) -> Any:
    """Check an answer, print what was found, and return something the notebook can go on with.

    Parameters
    ----------
    exercise_id : "chapter.name"
    answer : your function, number, or letters of the claims that hold ("ac"); blank is a function that returns nothing, or ...
    prediction : the number you expected before the experiment, for exercises that ask for one

    Returns
    -------
    Your function or value when it is right, otherwise the reference.

    Raises
    ------
    Mistake, Blank
        Only with the environment variable ``XAILIB_GRADING=1``.
    """
    exercise = find(exercise_id)
    try:
        grade(exercise, answer, np.random.default_rng())
    except (Mistake, Blank) as problem:
        return _not_right(exercise_id, exercise, problem)
    _remember(exercise_id, "right")
    print(f"Right: {exercise.title}.{_compare(exercise, prediction)}{_model_answer(exercise)}")
    return exercise.value if exercise.kind == "claims" else answer


def grade(exercise: Exercise, answer: Any, rng: np.random.Generator) -> None:
    """Raise Blank or Mistake unless the answer is right; nothing is printed or stored."""
    if answer is ... or answer is None:
        raise Blank("Not answered yet.")
    if exercise.kind == "claims":
        _grade_claims(exercise, answer)
    elif exercise.kind == "number":
        _grade_number(exercise, answer, rng)
    else:
        _grade_code(exercise, answer, rng)


def _grade_code(exercise: Exercise, answer: Any, rng: np.random.Generator) -> None:
    if not callable(answer):
        raise Mistake(f"Hand in the function itself, without calling it; this is {type(answer).__name__}.")
    exercise.check(_guarded(answer), rng)  # type: ignore[misc]


def _guarded(answer: Callable[..., Any]) -> Callable[..., Any]:
    """The learner's function on copies of its inputs, its own errors turned into sentences, changed inputs noticed."""

    @wraps(answer)
    def call(*args: Any, **kwargs: Any) -> Any:
        copies = [copy.deepcopy(a) if isinstance(a, np.ndarray | pd.DataFrame | pd.Series) else a for a in args]
        try:
            result = answer(*copies, **kwargs)
        except Exception as error:
            raise Mistake(f"Your function stopped with {type(error).__name__}: {error}") from error
        if result is None or result is ...:
            raise Blank("Not answered yet: the function returns nothing.")
        if not all(map(_same, args, copies)):
            raise Mistake("Your function changes its input. The data are used again afterwards: work on a copy.")
        return result

    return call


def _same(before: Any, after: Any) -> bool:
    """True unless a table or array was changed in place."""
    if isinstance(before, pd.DataFrame | pd.Series):
        return before.equals(after)
    return not isinstance(before, np.ndarray) or np.array_equal(before, after, equal_nan=before.dtype.kind in "fc")


def _grade_number(exercise: Exercise, answer: Any, rng: np.random.Generator) -> None:
    answer = _unwrapped(answer)
    if isinstance(answer, bool) or not np.isscalar(answer) or isinstance(answer, str) or not np.isfinite(answer):
        raise Mistake(f"A single finite number is asked for, not {answer!r}.")
    exercise.check(float(answer), rng)  # type: ignore[misc, arg-type]


def _unwrapped(answer: Any) -> Any:
    """The number inside `(tensor(10.),)`, as autograd hands it over, or inside an array without axes."""
    if isinstance(answer, tuple) and len(answer) == 1:
        answer = answer[0]
    return answer.item() if getattr(answer, "ndim", None) == 0 else answer


def _grade_claims(exercise: Exercise, answer: Any) -> None:
    chosen = {letter.lower() for letter in answer if letter.isalpha()}
    if unknown := chosen - set(exercise.claims):
        raise Mistake(f"There is no claim {', '.join(sorted(unknown))}: choose from {', '.join(exercise.claims)}.")
    wrong = [letter for letter, claim in exercise.claims.items() if claim.holds != (letter in chosen)]
    if wrong:  # one reason at a time: naming them all would hand over the answer
        right = f"{len(exercise.claims) - len(wrong)} of {len(exercise.claims)} judged right."
        raise Mistake(f"{right} Look at {wrong[0]} again: {exercise.claims[wrong[0]].why}")


def _not_right(exercise_id: str, exercise: Exercise, problem: Exception) -> Any:
    """Say what is missing, remember a failure, and hand back the reference."""
    blank = isinstance(problem, Blank)
    if os.environ.get("XAILIB_GRADING") == "1":
        raise problem
    if blank:
        print(f"Not answered yet: {exercise.title}. The reference stands in, so everything below runs; come back when you like.")
    else:
        _remember(exercise_id, "wrong")
        print(f"Not yet: {exercise.title}. {problem}\nThe reference stands in below. Change your answer and run this cell again.")
    return exercise.value


def _compare(exercise: Exercise, prediction: Any) -> str:
    """Prediction beside the measured number, where an experiment was asked for."""
    if exercise.kind != "number":
        return ""
    if isinstance(prediction, bool) or not isinstance(prediction, int | float | np.number):
        return " You wrote down no prediction; the surprise is half of the lesson, so try it next time."
    return f" You predicted {prediction:.4g}, the experiment says {exercise.value:.4g}."


def _model_answer(exercise: Exercise) -> str:
    return f"\n\nA model answer, to lay beside your own:\n{exercise.model_answer}" if exercise.model_answer else ""


def progress_file() -> Path:
    """Where progress is kept: ``XAILIB_PROGRESS`` or the platform's data folder; it never leaves this machine."""
    return Path(os.environ.get("XAILIB_PROGRESS") or Path(platformdirs.user_data_dir("xailib")) / "progress.json")


def _stored() -> dict[str, str]:
    try:
        return json.loads(progress_file().read_text())
    except (OSError, ValueError):
        return {}


def _remember(exercise_id: str, outcome: str) -> None:
    """Keep the outcome; what was once right stays right. A folder that cannot be written costs the memory, not the lesson."""
    stored = _stored()
    if stored.get(exercise_id) != "right":
        stored[exercise_id] = outcome
        try:
            write_atomically(progress_file(), lambda part: part.write_text(json.dumps(stored, indent=1, sort_keys=True)))
        except OSError as error:
            print(f"(Your progress could not be saved: {error}.)")


def progress(chapter: str | None = None) -> None:
    """Print how many exercises of a chapter, or of all chapters, you have solved."""
    stored = _stored()
    for name in [chapter] if chapter else chapters():
        ids = load(name)
        solved = sum(stored.get(i) == "right" for i in ids)
        print(f"{name}: {'#' * solved}{'.' * (len(ids) - solved)} {solved} of {len(ids)} solved")
