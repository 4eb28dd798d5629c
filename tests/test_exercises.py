"""The engine, and the bank of every chapter: wrong answers get their own message, right ones pass."""

from __future__ import annotations

import json

import numpy as np
import pytest

from xailib import exercises as ex
from xailib.exercises.engine import Blank, Claim, Exercise, Mistake, WrongAnswer, grade
from xailib.exercises.questions import Quiz
from xailib.exercises.render import card_html, card_text

ALL = {i: e for chapter in ex.chapters() for i, e in ex.load(chapter).items()}
CODE_OR_NUMBER = {i: e for i, e in ALL.items() if e.kind != "claims"}
SEEDS = range(5)


def rng(seed: int) -> np.random.Generator:
    return np.random.default_rng(seed)


@pytest.mark.parametrize("exercise", ALL.values(), ids=ALL)
def test_card_is_complete(exercise: Exercise) -> None:
    assert exercise.level in ("core", "stretch")
    assert 1 <= exercise.difficulty <= 5
    assert exercise.minutes >= 2
    assert len(exercise.hints) == 2
    assert all(len(h) > 15 for h in exercise.hints)
    assert len(exercise.solution()) > 20
    assert all(text in card_html(exercise) for text in ("Hint 1", "Hint 2", "Solution"))
    assert exercise.title in card_text("a.b", exercise)


@pytest.mark.parametrize("exercise", ALL.values(), ids=ALL)
@pytest.mark.parametrize("seed", SEEDS)
def test_reference_and_right_answers_pass(exercise: Exercise, seed: int) -> None:
    for answer in (exercise.value, *exercise.right):
        grade(exercise, answer, rng(seed))


@pytest.mark.parametrize("exercise", CODE_OR_NUMBER.values(), ids=CODE_OR_NUMBER)
def test_bank_is_rich_enough(exercise: Exercise) -> None:
    assert len(exercise.wrong) >= 4
    assert len({w.message for w in exercise.wrong}) == len(exercise.wrong)
    assert all(len(w.misconception) > 5 for w in exercise.wrong)
    assert len(exercise.right) >= 2 or exercise.kind == "number"


WRONG = [(i, k) for i, e in CODE_OR_NUMBER.items() for k in range(len(e.wrong))]


@pytest.mark.parametrize(("exercise_id", "k"), WRONG, ids=[f"{i}-{k}" for i, k in WRONG])
@pytest.mark.parametrize("seed", SEEDS)
def test_wrong_answer_gets_its_own_message(exercise_id: str, k: int, seed: int) -> None:
    wrong = ALL[exercise_id].wrong[k]
    with pytest.raises(Mistake) as caught:
        grade(ALL[exercise_id], wrong.answer, rng(seed))
    assert wrong.message in str(caught.value)


@pytest.mark.parametrize("exercise", [e for e in ALL.values() if e.kind == "claims"])
def test_each_misjudged_claim_gets_its_reason(exercise: Exercise) -> None:
    assert 0 < len(exercise.value) < len(exercise.claims)
    assert exercise.model_answer
    for letter, claim in exercise.claims.items():
        with pytest.raises(Mistake) as caught:
            grade(exercise, exercise.value ^ {letter}, rng(0))
        assert claim.why in str(caught.value)


@pytest.mark.parametrize("exercise", ALL.values(), ids=ALL)
def test_blank_is_recognised(exercise: Exercise) -> None:
    blank = (lambda *a, **k: None) if exercise.kind == "code" else ...
    with pytest.raises(Blank):
        grade(exercise, blank, rng(0))


@pytest.mark.parametrize("chapter", ex.chapters())
def test_questions_have_feedback_for_every_option(chapter: str) -> None:
    quiz = ex.quiz(chapter)
    assert len(quiz.questions) == 5
    warmup = ex.warmup(chapter) if chapter != "start_here" else None
    assert warmup is None or len(warmup.questions) == 3
    for questions in filter(None, [quiz, warmup]):
        for number, question in enumerate(questions.questions):
            assert len(question.wrong) >= 2
            assert question.right not in question.wrong
            for option in question.options:
                sentence = questions.user_chooses(number, option)
                assert len(sentence) > 25
                assert questions.feedback[number].value
        [questions.user_chooses(n, q.right) for n, q in enumerate(questions.questions)]
        assert questions.score() == len(questions.questions)


def double(x):
    """Twice the input."""
    return 2 * x


def _check_double(answer, rng):
    x = rng.normal(size=3)
    if np.allclose(answer(x), x**2):
        raise Mistake("You squared.")
    if not np.allclose(answer(x), 2 * x):
        raise Mistake("Not twice.")


EXAMPLE = Exercise(
    name="double", title="Double it", level="core", difficulty=1, minutes=2, passes="values are doubled", task="Write `double`.",
    hints=("Think of two.", "Add it to itself."), reference=double, check=_check_double,
    wrong=[WrongAnswer(lambda x: x**2, "squares", "You squared.")], right=[lambda x: x + x, lambda x: x * 2],
)  # fmt: skip
JUDGEMENT = Exercise(
    name="judge", title="Judge", level="core", difficulty=1, minutes=2, passes="all judged", task="Which hold?", hints=("a", "b"),
    claims={"a": Claim("One is one.", True, "It is."), "b": Claim("One is two.", False, "It is not.")}, model_answer="Only a.",
)  # fmt: skip


@pytest.fixture
def example(monkeypatch):
    monkeypatch.setattr("xailib.exercises.engine.find", lambda i: {"x.double": EXAMPLE, "x.judge": JUDGEMENT}[i])


def test_right_answer_is_used_and_remembered(example, own_progress, capsys) -> None:
    mine = lambda x: x + x  # noqa: E731
    assert ex.check("x.double", mine) is mine
    assert "Right: Double it" in capsys.readouterr().out
    assert json.loads(own_progress.read_text()) == {"x.double": "right"}


def test_wrong_answer_hands_back_the_reference(example, own_progress, capsys) -> None:
    assert ex.check("x.double", lambda x: x**2) is double
    assert "You squared." in capsys.readouterr().out
    assert json.loads(own_progress.read_text()) == {"x.double": "wrong"}


def test_blank_hands_back_the_reference_and_forgets_nothing(example, own_progress, capsys) -> None:
    def blank(x): ...

    assert ex.check("x.double", blank) is double
    assert "Not answered yet" in capsys.readouterr().out
    assert not own_progress.exists()


def test_learners_own_error_becomes_a_sentence(example, capsys) -> None:
    assert ex.check("x.double", lambda x: x + missing) is double  # noqa: F821
    assert "stopped with NameError" in capsys.readouterr().out


def test_a_function_that_changes_its_input_is_told_so(example) -> None:
    def destructive(x):
        result = 2 * x
        x *= 0
        return result

    with pytest.raises(Mistake, match="work on a copy"):
        grade(EXAMPLE, destructive, rng(0))


def test_grading_raises(example, monkeypatch) -> None:
    monkeypatch.setenv("XAILIB_GRADING", "1")
    with pytest.raises(Mistake, match="You squared"):
        ex.check("x.double", lambda x: x**2)
    with pytest.raises(Blank):
        ex.check("x.judge", ...)


def test_judgement_takes_letters_and_shows_the_model_answer(example, capsys) -> None:
    assert ex.check("x.judge", "a") == {"a"}
    assert "Only a." in capsys.readouterr().out
    ex.check("x.judge", "ab")
    assert "Look at b again: It is not." in capsys.readouterr().out
    ex.check("x.judge", "az")
    assert "There is no claim z" in capsys.readouterr().out


def test_what_was_right_stays_right_and_a_broken_file_is_no_obstacle(example, own_progress) -> None:
    own_progress.write_text("{not json")
    ex.check("x.double", double)
    ex.check("x.double", lambda x: x**2)
    assert json.loads(own_progress.read_text()) == {"x.double": "right"}


def test_unknown_names_are_answered_with_what_there_is() -> None:
    with pytest.raises(ValueError, match="these have"):
        ex.card("nowhere.thing")
    with pytest.raises(ValueError, match="these have"):
        ex.quiz("nowhere")


def test_quiz_text_gives_no_answers_away() -> None:
    from xailib.exercises.questions import Question

    quiz = Quiz("T", [Question("Q?", "yes", "Because so it is.", {"no": "It is not so.", "maybe": "Decide."})])
    assert "Because" not in quiz.text()
    assert quiz._repr_mimebundle_()["text/plain"] == quiz.text()
