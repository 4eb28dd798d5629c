"""Models to explain: small networks that ship with the course, and black boxes for tables and texts fitted on first use.

Submodules are imported on first use, so that tables and texts need no torch.
"""

from __future__ import annotations

import importlib
from typing import Any

from xailib import _validation as check

# eager, because importing a submodule of the same name elsewhere must not hide the function
from xailib.zoo.tabular import tabular as tabular
from xailib.zoo.text import text_model as text_model

_FUNCTIONS = {
    "LinearObserver": "architectures",
    "checkpoints": "language",
    "compiled_copies": "compiled",
    "digits": "vision",
    "encode": "language",
    "part_reliance": "vision",
    "vocabulary": "language",
}

__all__ = sorted([*_FUNCTIONS, "card", "load", "names", "tabular", "text_model"])


def names() -> list[str]:
    """All models that :func:`load` knows: networks first."""
    from xailib.zoo import chiqpm, language, two_towers
    from xailib.zoo.architectures import SHAPES
    from xailib.zoo.tabular import TABULAR
    from xailib.zoo.text import TEXT

    return [*SHAPES, *language.SHAPES, *two_towers.SHAPES, *chiqpm.SHAPES, *TABULAR, *TEXT]


def load(name: str) -> Any:
    """A model of the course.

    Parameters
    ----------
    name : one of :func:`names`
        Networks for images (``"birds-cnn"``, ...), transformers (``"facts-transformer"``, ...), towers for images and texts
        (``"birds-clip"``) and pairs of a dense and a binary network (``"birds-chiqpm"``, ...) are torch modules in evaluation
        mode, new at every call; tabular models (``"loans-boosting"``, ...) and text models (``"messages-words"``, ...) are
        fitted pipelines, shared within the process.

    Returns
    -------
    torch module or Pipeline

    Raises
    ------
    ValueError
        If the name is unknown (the message begins the list, :func:`names` has it all), or a file in ``data/`` does not match
        its hash.

    Notes
    -----
    How a model was made and what it relies on stands in :func:`card`. Introduced in chapters 2, 8, 10, 15 and 16.

    Examples
    --------
    >>> load("birds-cnn").classifier
    Linear(in_features=96, out_features=20, bias=True)
    """
    if _is_tabular(name):
        return tabular(name)
    if _is_text(name):
        return text_model(name)
    check.one_of(name, "name", names())
    homes = [importlib.import_module(f"xailib.zoo.{home}") for home in ("chiqpm", "language", "two_towers", "vision")]
    return next(home.network(name) for home in homes if name in home.SHAPES)


def card(name: str) -> str:
    """Model card in Markdown: how the model was made, how good it is, what it relies on.

    Parameters
    ----------
    name : one of :func:`names`

    Raises
    ------
    ValueError
        If the name is unknown; the message begins the list.
    """
    if _is_tabular(name):
        return importlib.import_module("xailib.zoo.tabular").card(name)
    if _is_text(name):
        return importlib.import_module("xailib.zoo.text").card(name)
    check.one_of(name, "name", names())
    return importlib.import_module("xailib.zoo.cards").card(name)


def _is_tabular(name: Any) -> bool:
    """True for a tabular model, without importing torch."""
    from xailib.zoo.tabular import TABULAR

    return isinstance(name, str) and name in TABULAR


def _is_text(name: Any) -> bool:
    """True for a text model, without importing torch."""
    from xailib.zoo.text import TEXT

    return isinstance(name, str) and name in TEXT


def __getattr__(name: str) -> Any:
    if name not in _FUNCTIONS:
        raise AttributeError(f"module 'xailib.zoo' has no attribute {name!r}")
    # kept, because importing a submodule of the same name elsewhere must not hide the function
    globals()[name] = getattr(importlib.import_module(f"xailib.zoo.{_FUNCTIONS[name]}"), name)
    return globals()[name]
