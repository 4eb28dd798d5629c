"""Is everything there? Versions, data, and whether a click in the browser reaches the kernel."""

from __future__ import annotations

import importlib.metadata
import re
import sys
from collections.abc import Iterator

from xailib.course.paths import ROOT

NEEDED = ("jupyterlab", "ipywidgets", "torch", "torchvision", "shap", "lime", "anchor-exp", "dice-ml", "interpret", "nbval")


def report() -> bool:
    """Print one line per check, ``ok`` or what to do; True when all is well."""
    lines = [*_python(), *_packages(), *_data()]
    print("\n".join(f"{'ok' if fine else 'PROBLEM':8} {text}" for fine, text in lines))
    return all(fine for fine, _ in lines)


def _python() -> Iterator[tuple[bool, str]]:
    fine = sys.version_info >= (3, 11)
    yield fine, "Python is 3.11 or newer" if fine else f"Python is {sys.version.split()[0]}: the course needs 3.11 or newer"


def tested_versions() -> dict[str, str]:
    """Package -> version the stored outputs were made with, from ``constraints.txt``."""
    pins = re.findall(r"^([\w.-]+)==(\S+)$", (ROOT / "constraints.txt").read_text(), flags=re.MULTILINE)
    return {name.lower().replace("_", "-"): version for name, version in pins}


def _packages() -> Iterator[tuple[bool, str]]:
    tested = tested_versions()
    for name in NEEDED:
        try:
            version = importlib.metadata.version(name).split("+")[0]
        except importlib.metadata.PackageNotFoundError:
            yield False, f"{name} is missing: run `make lab`, or pip install -e . -c constraints.txt"
            continue
        same = version == tested[name]
        yield same, f"{name} {version}" + ("" if same else f", but outputs were stored with {tested[name]}")


def _data() -> Iterator[tuple[bool, str]]:
    from xailib.course.manifest import problems

    found = problems()
    yield not found, "shipped data match their checksums" if not found else "; ".join(found)


class ClickTest:
    """A button whose answer comes from the kernel: if the text changes, widgets work here."""

    waiting = "Press the button. Nothing happens? Then widgets do not reach this page; every chapter still reads without them."
    heard = "The kernel heard you. Widgets work here."

    def __init__(self) -> None:
        import ipywidgets as widgets

        self.button = widgets.Button(description="Can you hear me?", button_style="primary")
        self.answer = widgets.HTML(self.waiting)
        self.button.on_click(lambda _: setattr(self.answer, "value", f"<b>{self.heard}</b>"))
        self.widget = widgets.HBox([self.button, self.answer])

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, object]:
        return {**self.widget._repr_mimebundle_(include=None, exclude=None), "text/plain": self.waiting}
