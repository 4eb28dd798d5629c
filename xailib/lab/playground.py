"""The shell of every lab: it binds widgets to two plain functions, ``compute`` and ``draw``.

The picture is PNG bytes in an Image widget and the numbers are an HTML readout, so a lab looks the same in JupyterLab, in a
notebook that is only read, and under nbval, which compares the text form.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from html import escape
from io import BytesIO
from textwrap import fill, shorten
from typing import Any

import ipywidgets as widgets
import matplotlib.pyplot as plt
import numpy as np
import traitlets
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure, FigureBase, SubFigure

from xailib import _validation as check
from xailib import plots

_WIDE = {"description_width": "initial"}
_ROW = widgets.Layout(width="285px")


@dataclass(frozen=True)
class Reading:
    """What a lab's ``compute`` returns: ``numbers`` to read and compare, ``data`` for ``draw`` alone."""

    numbers: dict[str, float | int | str]
    data: Any = None


@dataclass(frozen=True)
class Prediction:
    """What the reader is asked before the verdict: one of ``options``, or a number when there are none."""

    question: str
    options: Sequence[str] = ()


def slider(label: str, low: float, high: float, value: float, step: float = 1) -> widgets.Widget:
    """A slider; whole numbers when every bound is whole."""
    whole = all(float(v).is_integer() for v in (low, high, value, step))
    kind, number = (widgets.IntSlider, int) if whole else (widgets.FloatSlider, float)
    numbers = {"min": number(low), "max": number(high), "value": number(value), "step": number(step)}
    return kind(description=label, style=_WIDE, layout=_ROW, **numbers)


def choice(label: str, options: Sequence[str], value: str | None = None) -> widgets.Dropdown:
    """One of several named options."""
    return widgets.Dropdown(description=label, options=list(options), value=value or options[0], style=_WIDE, layout=_ROW)


def switch(label: str, value: bool = False) -> widgets.Checkbox:
    """On or off."""
    return widgets.Checkbox(description=label, value=value, indent=False, layout=_ROW)


class Tiles(widgets.VBox):
    """A board of pictures, each a button that is on or off: a click, or Tab and the space bar. See :func:`tiles`.

    Attributes
    ----------
    value : numbers of the tiles that are on, from 1, in ascending order
    buttons : one ToggleButton per picture
    description : the label
    """

    value = traitlets.Tuple()

    def __init__(self, label: str, pictures: np.ndarray, value: Sequence[int], captions: Sequence[str], columns: int) -> None:
        self.description = label
        self.buttons = [_tile(k, caption, k in value) for k, caption in enumerate(captions, start=1)]
        looks = widgets.HTML(f"{escape(label)}<style>{_TILE_CSS}{''.join(map(_background, pictures))}</style>")
        for button, picture in zip(self.buttons, pictures, strict=True):
            button.add_class("xai-tile")
            button.add_class(_class_of(picture))
            button.observe(self._read, "value")
        grid = widgets.Layout(grid_template_columns=f"repeat({columns}, 68px)", grid_gap="3px", width="285px")
        super().__init__([looks, widgets.GridBox(self.buttons, layout=grid)])
        self._read()

    @property
    def numbers(self) -> tuple[int, ...]:
        """The numbers of all tiles."""
        return tuple(range(1, len(self.buttons) + 1))

    def click(self, value: Sequence[int]) -> None:
        """Press, as the browser does, every tile that is not yet as ``value`` wants it."""
        if unknown := set(value) - set(self.numbers):
            raise ValueError(f"there is no tile {min(unknown)}: tiles have the numbers 1 to {len(self.buttons)}.")
        for k, button in enumerate(self.buttons, start=1):
            if button.value != (k in value):
                button.set_state({"value": k in value})

    def _read(self, _change: object = None) -> None:
        for k, button in enumerate(self.buttons, start=1):
            button.description = _tile_text(k, button.value)
        self.value = tuple(k for k, button in enumerate(self.buttons, start=1) if button.value)


def tiles(
    label: str, pictures: np.ndarray, value: Sequence[int] = (), *, captions: Sequence[str] | None = None, columns: int = 4
) -> Tiles:
    """Pictures (n, height, width, 3) in [0, 1] to choose from; ``value`` names those that are on at first, from 1.

    ``captions`` are shown as tooltips and read by a screen reader.
    """
    return Tiles(label, pictures, value, captions or [f"picture {k}" for k in range(1, len(pictures) + 1)], columns)


_TILE_CSS = f"""
.xai-tile {{width: 68px !important; height: 68px !important; margin: 0 !important; padding: 0 3px !important;
  background-size: cover;
  display: flex; align-items: flex-end; justify-content: flex-start; font-weight: bold; font-size: 11px; line-height: 15px;
  color: white !important; text-shadow: 0 0 3px black, 0 0 3px black; border: 1px solid {plots.CONTEXT} !important}}
.xai-tile.mod-active {{border: 4px solid {plots.POSITIVE} !important}}
.xai-tile:focus-visible {{outline: 3px solid {plots.ANCHOR} !important}}
"""


def _tile(number: int, caption: str, on: bool) -> widgets.ToggleButton:
    """The button; picture and size come from the style sheet of the board."""
    return widgets.ToggleButton(value=on, description=_tile_text(number, on), tooltip=f"{number}: {caption}")


def _tile_text(number: int, on: bool) -> str:
    """The number, ticked when the tile is on: a border alone would be colour alone."""
    return f"\u2713 {number}" if on else str(number)


def _background(picture: np.ndarray) -> str:
    """The style rule that puts a picture behind its button."""
    from PIL import Image

    buffer = BytesIO()
    Image.fromarray(np.round(255 * np.clip(picture, 0, 1)).astype(np.uint8)).save(buffer, format="png")
    return f".{_class_of(picture)} {{background-image: url(data:image/png;base64,{b64encode(buffer.getvalue()).decode()})}}"


def _class_of(picture: np.ndarray) -> str:
    """A class name that belongs to this picture alone."""
    return f"xai-tile-{sha256(np.ascontiguousarray(picture).tobytes()).hexdigest()[:12]}"


class Playground:
    """A lab: controls on the left, picture and numbers on the right, and a verdict that waits for the reader's prediction.

    Parameters
    ----------
    compute : function of the controls' values -> Reading; pure, so that it can be tested and cached
    draw : function (Reading, Figure) -> None
    controls : widget for each argument of ``compute``, made with :func:`slider`, :func:`choice`, :func:`switch`, :func:`tiles`
    filmstrip : five settings (dicts of control values; missing ones keep their first value) shown as a static picture
    predict, verdict : question to the reader, and a function (Reading, prediction or None) -> one sentence of feedback;
        both or neither. The prediction is None after *Skip*.
    title : heading of the lab
    size : inches of the picture

    Notes
    -----
    Controls are always live; only the verdict waits. An exception in ``compute`` or ``draw`` is shown in the readout, since
    JupyterLab shows nothing for an error in a callback.
    """

    def __init__(
        self,
        compute: Callable[..., Reading],
        draw: Callable[[Reading, FigureBase], None],
        controls: Mapping[str, widgets.Widget],
        *,
        filmstrip: Sequence[Mapping[str, Any]],
        title: str,
        predict: Prediction | None = None,
        verdict: Callable[[Reading, Any], str] | None = None,
        size: tuple[float, float] = (6.2, 3.8),
    ) -> None:
        if (predict is None) != (verdict is None):
            raise ValueError("predict and verdict belong together: give both or neither.")
        self.compute, self.draw, self.controls, self.title = compute, draw, dict(controls), title
        self.settings_of_filmstrip = [{**self.settings, **settings} for settings in filmstrip]
        self.predict, self.verdict = predict, verdict
        self.figure = Figure(figsize=size, dpi=100)
        self.canvas = FigureCanvasAgg(self.figure)
        self.picture = widgets.Image(format="png", layout=widgets.Layout(width=f"{100 * size[0]:.0f}px", flex="0 0 auto"))
        self.readout, self.answer = widgets.HTML(), _Answer(predict) if predict else None
        self.widget = self._assemble()
        self.refresh()

    @property
    def settings(self) -> dict[str, Any]:
        """The present value of each control."""
        return {name: control.value for name, control in self.controls.items()}

    def refresh(self, _change: object = None) -> None:
        """Compute, draw and show the present settings; on an error, say what went wrong and keep the last picture."""
        try:
            self.reading = self.compute(**self.settings)
            self.picture.value = self._render()
            self.readout.value = _table(self.reading.numbers)
            self._judge()
        except Exception as error:
            self.readout.value = f"<p><b>These settings do not work.</b> {escape(f'{type(error).__name__}: {error}')}</p>"

    def text(self) -> str:
        """Settings and numbers as text: what nbval compares and a screen reader reads."""
        settings = ", ".join(f"{name} = {_plain(value)}" for name, value in self.settings.items())
        numbers = ", ".join(f"{name} = {_plain(value)}" for name, value in self.reading.numbers.items())
        return f"{self.title}\n  settings: {settings}\n  readings: {numbers}"

    def user_sets(self, **values: Any) -> str:
        """Set controls as the browser does, through ``set_state``, and return the new text form."""
        for name, value in values.items():
            control = self.controls[name]
            if isinstance(control, Tiles):
                control.click(value)
            elif isinstance(control, widgets.Dropdown):
                control.set_state({"index": control.options.index(check.one_of(value, name, control.options))})
            else:
                control.set_state({"value": value})
        return self.text()

    def user_predicts(self, prediction: Any = None) -> str:
        """Give a prediction (None: *Skip*), as the buttons do, and return the verdict."""
        if self.answer is None:
            raise ValueError("this lab asks for no prediction.")
        self.answer.give(prediction)
        return self.reading_verdict()

    def reading_verdict(self) -> str:
        """The verdict on the present reading, or an empty text while the prediction is missing."""
        if self.answer is None or self.verdict is None or not self.answer.given:
            return ""
        return self.verdict(self.reading, self.answer.prediction)

    def filmstrip(self) -> None:
        """Show the chosen settings as one static picture: for print, for GitHub, and for readers without a kernel."""
        readings = [self.compute(**settings) for settings in self.settings_of_filmstrip]
        figure = plt.figure(figsize=(12.6, 8.0))
        panels: list[SubFigure] = np.ravel(figure.subfigures(2, 3, wspace=0.02, hspace=0.03)).tolist()  # type: ignore[arg-type]
        with plt.rc_context({"font.size": 8.5, "axes.titlesize": 9}):
            for letter, panel, settings, reading in zip("ABCDE", panels, self.settings_of_filmstrip, readings, strict=False):
                title = fill(f"{letter}. {self._changed(settings)}", 52)
                panel.suptitle(title, fontsize=9, fontweight="bold", color=plots.ANCHOR, x=0.02, ha="left")
                self.draw(reading, panel)
            panels[-1].text(0.05, 0.97, self._legend(readings), va="top", fontsize=8.5, linespacing=1.3)
        plots.show(figure, f"Filmstrip of the lab '{self.title}': {len(readings)} settings, A to E, with the readings of each.")

    def _changed(self, settings: Mapping[str, Any]) -> str:
        """Title of a panel: the controls that differ between the panels, by their labels."""
        varying = [n for n in self.controls if len({repr(s[n]) for s in self.settings_of_filmstrip}) > 1]
        return ", ".join(f"{self.controls[n].description or n}: {_spoken(settings[n])}" for n in varying)

    def _legend(self, readings: Sequence[Reading]) -> str:
        """The readings of all panels, for the free sixth field; at most four numbers each, long ones cut."""
        lines = []
        for letter, reading in zip("ABCDE", readings, strict=False):
            numbers = (f"{name} = {_plain(value)}" for name, value in list(reading.numbers.items())[:4])
            lines += [f"{letter}.  {line}" if i == 0 else f"     {line}" for i, line in enumerate(_shortened(numbers, 56))]
            lines.append("")
        return "\n".join(lines)

    def _render(self) -> bytes:
        """The picture as PNG, through the canvas itself: ``savefig`` would draw twice for the layout."""
        self.figure.clear()
        self.draw(self.reading, self.figure)
        buffer = BytesIO()
        self.canvas.print_png(buffer, metadata={"Software": None})
        return buffer.getvalue()

    def _judge(self) -> None:
        if self.answer is not None:
            self.answer.feedback.value = f"<p style='line-height:1.35'>{escape(self.reading_verdict())}</p>"

    def _assemble(self) -> widgets.Widget:
        """Lay the widgets out and bind them."""
        for control in self.controls.values():
            control.observe(self.refresh, "value")
        side = [*self.controls.values()]
        if self.answer is not None:
            self.answer.on_change = self._judge
            side.append(self.answer.widget)
        heading = widgets.HTML(f"<b>{escape(self.title)}</b>")
        left = widgets.VBox(side, layout=widgets.Layout(width="300px", flex="0 0 auto"))
        right = widgets.VBox([self.picture, self.readout], layout=widgets.Layout(width=self.picture.layout.width))
        return widgets.VBox([heading, widgets.HBox([left, right], layout=widgets.Layout(flex_flow="row wrap"))])

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, Any]:
        """Live view, stable text and a still picture in one output."""
        bundle = dict(self.widget._repr_mimebundle_(include=None, exclude=None))
        bundle["text/plain"] = self.text()
        bundle["image/png"] = b64encode(plots.small_png(bytes(self.picture.value))).decode()
        return bundle

    def __repr__(self) -> str:
        return self.text()


class _Answer:
    """The question, an input, *Check* and *Skip*, and room for the feedback."""

    def __init__(self, predict: Prediction) -> None:
        self.given, self.prediction = False, None
        self.on_change: Callable[[], None] = lambda: None
        self.input = self._input(predict)
        check = widgets.Button(description="Check my prediction", button_style="primary", layout=widgets.Layout(width="auto"))
        skip = widgets.Button(description="Skip", layout=widgets.Layout(width="auto"))
        check.on_click(lambda _: self.give(self.input.value))
        skip.on_click(lambda _: self.give(None))
        self.feedback = widgets.HTML()
        question = widgets.HTML(f"<p style='line-height:1.3'><b>First predict.</b> {escape(predict.question)}</p>")
        self.widget = widgets.VBox([question, self.input, widgets.HBox([check, skip]), self.feedback])

    @staticmethod
    def _input(predict: Prediction) -> widgets.Widget:
        if predict.options:
            return widgets.RadioButtons(options=list(predict.options), value=None, layout=widgets.Layout(width="auto"))
        return widgets.FloatText(layout=widgets.Layout(width="120px"))

    def give(self, prediction: Any) -> None:
        """Record a prediction and open the verdict."""
        self.given, self.prediction = True, prediction
        self.on_change()


def _shortened(lines: Iterable[str], width: int) -> list[str]:
    """Each line cut at ``width`` characters, at a word, with dots."""
    return [shorten(line, width, placeholder=" ...") for line in lines]


def _spoken(value: Any) -> str:
    """A setting as a reader says it."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, tuple):
        return ", ".join(map(str, value)) or "none"
    return f"{value:g}" if isinstance(value, float) else str(value)


def _plain(value: Any) -> str:
    """A number or setting as stable text."""
    return f"{value + 0.0:.3f}" if isinstance(value, float) else str(value)


def _setting(value: Any) -> str:
    """A setting as short as it can be."""
    return f"{value:g}" if isinstance(value, float) else str(value)


def _table(numbers: Mapping[str, Any]) -> str:
    """The readout: names and numbers in a small table."""
    cell = "<td style='padding:1px 14px 1px 0'>"
    rows = (f"<tr>{cell}{escape(name)}</td>{cell}<b>{escape(_plain(value))}</b></td></tr>" for name, value in numbers.items())
    return f"<table>{''.join(rows)}</table>"
