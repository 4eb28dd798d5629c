"""Every lab, driven through the browser's entry point to the ends of every control."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator
from io import BytesIO
from typing import Any

import ipywidgets as widgets
import matplotlib.pyplot as plt
import numpy as np
import pytest
from PIL import Image

from xailib import lab
from xailib.lab.playground import Playground, Prediction, Reading, Tiles, choice, slider, switch, tiles

LABS = {f"{c}.{f.__name__}": f for c in lab.chapters() for f in getattr(lab, c).LABS}


@pytest.fixture(scope="module")
def playgrounds() -> dict[str, Playground]:
    return {}


def made(name: str, playgrounds: dict[str, Playground]) -> Playground:
    """Labs are made once: their set-up may take seconds."""
    return playgrounds.setdefault(name, LABS[name]())


def extremes(control: widgets.Widget) -> Iterator[Any]:
    if isinstance(control, widgets.Dropdown):
        yield from control.options
    elif isinstance(control, widgets.Checkbox):
        yield from (True, False)
    elif isinstance(control, Tiles):
        yield from ((), control.numbers)
    else:
        yield from (control.min, control.max)


@pytest.mark.parametrize("name", LABS)
def test_every_control_works_at_its_ends(name: str, playgrounds: dict[str, Playground]) -> None:
    playground = made(name, playgrounds)
    for control_name, control in playground.controls.items():
        start, seen = control.value, set()
        for value in (*extremes(control), start):
            text = playground.user_sets(**{control_name: value})
            assert "do not work" not in playground.readout.value, (control_name, value, playground.readout.value)
            seen.add((playground.picture.value, text.split("readings:")[1]))
        assert len(seen) > 1, f"control {control_name} changes neither the picture nor the numbers"


@pytest.mark.parametrize("name", LABS)
def test_picture_is_narrow_enough_to_stand_beside_the_controls(name: str, playgrounds: dict[str, Playground]) -> None:
    """A notebook page is about 960 pixels wide; a wider picture slips below the controls, often off the screen."""
    with Image.open(BytesIO(made(name, playgrounds).picture.value)) as picture:
        assert picture.width <= 660


@pytest.mark.parametrize("name", LABS)
def test_all_controls_work_together_at_their_ends(name: str, playgrounds: dict[str, Playground]) -> None:
    playground = made(name, playgrounds)
    start = playground.settings
    for end in (0, -1):
        playground.user_sets(**{n: list(extremes(c))[end] for n, c in playground.controls.items()})
        assert "do not work" not in playground.readout.value
    playground.user_sets(**start)


@pytest.mark.parametrize("name", LABS)
def test_one_step_to_the_right_changes_something(name: str, playgrounds: dict[str, Playground]) -> None:
    playground = made(name, playgrounds)
    sliders = {n: c for n, c in playground.controls.items() if hasattr(c, "step")}
    for control_name, control in sliders.items():
        before, start = playground.picture.value, control.value
        playground.user_sets(**{control_name: start + control.step if start < control.max else start - control.step})
        assert playground.picture.value != before, control_name
        playground.user_sets(**{control_name: start})


@pytest.mark.parametrize("name", LABS)
def test_same_settings_same_picture_and_text(name: str, playgrounds: dict[str, Playground]) -> None:
    playground = made(name, playgrounds)
    picture, text = playground.picture.value, playground.text()
    for control_name, control in playground.controls.items():
        start = control.value
        playground.user_sets(**{control_name: list(extremes(control))[-1]})
        playground.user_sets(**{control_name: start})
    assert (playground.picture.value, playground.text()) == (picture, text)


@pytest.mark.parametrize("name", LABS)
def test_verdict_waits_for_a_prediction_or_skip(name: str) -> None:
    playground = LABS[name]()
    if playground.predict is None:
        pytest.skip("this lab asks for no prediction")
    assert playground.reading_verdict() == ""
    assert len(playground.user_predicts(None)) > 20
    for prediction in playground.predict.options or (0.5,):
        verdict = playground.user_predicts(prediction)
        assert len(verdict) > 20
        assert verdict.split()[0] in playground.answer.feedback.value


@pytest.mark.parametrize("name", LABS)
def test_filmstrip_has_five_settings_that_differ(name: str, playgrounds: dict[str, Playground], monkeypatch) -> None:
    playground, captions = made(name, playgrounds), []
    monkeypatch.setattr("xailib.plots.show", lambda figure, caption: (captions.append(caption), plt.close(figure)))
    playground.filmstrip()
    assert len(playground.settings_of_filmstrip) == 5 == len({repr(s) for s in playground.settings_of_filmstrip})
    assert len(captions) == 1


def test_labs_exist_for_every_chapter_with_exercises() -> None:
    from xailib import exercises

    assert set(exercises.chapters()) == set(lab.chapters())


def sum_lab(compute: Callable[..., Reading] | None = None) -> Playground:
    return Playground(
        compute or (lambda a, kind, on: Reading({"sum": a + (kind == "two") + on}, a)),
        lambda reading, figure: figure.subplots().plot([0, reading.numbers["sum"]]),
        {"a": slider("a", 0, 5, 2), "kind": choice("kind", ["one", "two"]), "on": switch("on")},
        filmstrip=[{"a": i} for i in range(5)],
        title="Sums",
        predict=Prediction("What is the sum?"),
        verdict=lambda reading, prediction: f"Predicted {prediction}, measured {reading.numbers['sum']}.",
    )


def test_playground_moves_and_reports() -> None:
    playground = sum_lab()
    before = playground.picture.value
    assert playground.user_sets(a=5, kind="two", on=True) == "Sums\n  settings: a = 5, kind = two, on = True\n  readings: sum = 7"
    assert playground.picture.value != before
    assert "<b>7</b>" in playground.readout.value


def test_playground_judges_only_when_asked() -> None:
    playground = sum_lab()
    assert "measured" not in playground.answer.feedback.value
    playground.answer.widget.children[2].children[1].click()
    assert "Predicted None, measured 2." in playground.answer.feedback.value
    playground.user_sets(a=4)
    assert "measured 4." in playground.answer.feedback.value


def tile_lab() -> Playground:
    board = np.linspace(0, 1, 6 * 8 * 8 * 3).reshape(6, 8, 8, 3)
    return Playground(
        lambda chosen: Reading({"sum": sum(chosen)}),
        lambda reading, figure: figure.subplots().plot([0, reading.numbers["sum"]]),
        {"chosen": tiles("pictures", board, (2, 3), captions=[f"grey {k}" for k in range(6)])},
        filmstrip=[{"chosen": (k,)} for k in range(1, 6)],
        title="Tiles",
    )


def test_tiles_are_clicked_one_by_one() -> None:
    playground = tile_lab()
    board, before = playground.controls["chosen"], playground.picture.value
    assert playground.text() == "Tiles\n  settings: chosen = (2, 3)\n  readings: sum = 5"
    board.buttons[5].set_state({"value": True})  # what a click in the browser sends
    assert board.value == (2, 3, 6)
    assert playground.picture.value != before
    assert "<b>11</b>" in playground.readout.value
    board.buttons[1].set_state({"value": False})
    assert playground.settings == {"chosen": (3, 6)}


def test_tiles_are_set_by_their_numbers() -> None:
    playground = tile_lab()
    assert playground.user_sets(chosen=(6, 1)) == "Tiles\n  settings: chosen = (1, 6)\n  readings: sum = 7"
    assert [button.value for button in playground.controls["chosen"].buttons] == [True, False, False, False, False, True]
    assert playground.user_sets(chosen=()).endswith("sum = 0")
    with pytest.raises(ValueError, match="there is no tile 7: tiles have the numbers 1 to 6"):
        playground.user_sets(chosen=(7,))


def test_a_tile_says_that_it_is_on_without_colour() -> None:
    """Real buttons, so the keyboard reaches them; a tick and a tooltip, so colour is not needed."""
    buttons = tile_lab().controls["chosen"].buttons
    assert all(isinstance(button, widgets.ToggleButton) for button in buttons)
    assert [button.description for button in buttons] == ["1", "\u2713 2", "\u2713 3", "4", "5", "6"]
    assert [button.tooltip for button in buttons[:2]] == ["1: grey 0", "2: grey 1"]


def test_every_tile_shows_its_own_picture() -> None:
    board = tile_lab().controls["chosen"]
    rules = board.children[0].value
    own = [button._dom_classes[-1] for button in board.buttons]
    assert len(set(own)) == 6
    assert all(rules.count(f".{name} ") == 1 for name in own)


def test_titles_of_a_filmstrip_name_the_tiles(monkeypatch) -> None:
    playground, titles = tile_lab(), []
    monkeypatch.setattr("xailib.plots.show", lambda figure, caption: plt.close(figure))
    monkeypatch.setattr("matplotlib.figure.SubFigure.suptitle", lambda self, title, **look: titles.append(title))
    playground.filmstrip()
    assert titles == [f"{letter}. pictures: {k}" for k, letter in enumerate("ABCDE", start=1)]


def test_an_error_in_a_callback_is_shown() -> None:
    def compute(a, kind, on):
        if a == 3:
            raise ValueError("three is <too> much")
        return Reading({"sum": a})

    playground = sum_lab(compute)
    playground.controls["a"].set_state({"value": 3})
    assert "three is &lt;too&gt; much" in playground.readout.value
    assert "<b>4</b>" in (playground.user_sets(a=4), playground.readout.value)[1]


def test_bundle_carries_view_text_and_picture() -> None:
    bundle = sum_lab()._repr_mimebundle_()
    assert set(bundle) == {"application/vnd.jupyter.widget-view+json", "text/plain", "image/png"}


def test_verdict_needs_a_prediction() -> None:
    with pytest.raises(ValueError, match="belong together"):
        Playground(lambda: Reading({}), lambda r, f: None, {}, filmstrip=[], title="x", predict=Prediction("?"))


def test_a_lab_without_question_refuses_predictions() -> None:
    playground = Playground(lambda: Reading({"n": 1}), lambda r, f: None, {}, filmstrip=[], title="x")
    with pytest.raises(ValueError, match="asks for no prediction"):
        playground.user_predicts(1)


def milliseconds(playground: Playground, repeats: int = 40) -> tuple[float, float]:
    """Median and 95th percentile of compute + draw over settings that change; used by the benchmark."""
    times = []
    settings = [(name, value) for name, control in playground.controls.items() for value in extremes(control)]
    for k in range(repeats):
        name, value = settings[(7 * k) % len(settings)]
        started = time.perf_counter()
        playground.user_sets(**{name: value})
        times.append(1000 * (time.perf_counter() - started))
    return statistics.median(times), sorted(times)[int(0.95 * (repeats - 1))]
