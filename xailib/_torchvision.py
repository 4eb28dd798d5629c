"""torchvision, also beside a torch it was not compiled for.

PyPI's Linux wheel of torchvision is built for CUDA. Beside a CPU-only torch its compiled operators do not load, and its
Python code then fails on registering them ("operator torchvision::nms does not exist"). Models, transforms and data sets
need none of these operators, so declaring the two that are missing is enough.
"""

from __future__ import annotations

import importlib
import sys
from types import ModuleType
from typing import Any

_DECLARATIONS: list[Any] = []  # torch forgets an operator when the Library that declared it is collected


def torchvision() -> ModuleType:
    """Import torchvision, declaring its missing operators only when the plain import fails for want of them.

    Returns
    -------
    module
        Models, transforms and data sets work; the operator ``nms`` itself stays unavailable where it was not compiled.

    Raises
    ------
    ImportError
        If torchvision is not installed.

    Notes
    -----
    Taught nowhere; used from chapter 8 on.

    Examples
    --------
    >>> torchvision().models.resnet18.__name__
    'resnet18'
    """
    try:
        return importlib.import_module("torchvision")
    except RuntimeError as error:
        if "torchvision::nms does not exist" not in str(error):
            raise
    _declare_operators()
    _forget_half_imported()
    return importlib.import_module("torchvision")


def _declare_operators() -> None:
    import torch

    library = torch.library.Library("torchvision", "DEF")
    for operator in ("nms", "qnms"):
        library.define(f"{operator}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    _DECLARATIONS.append(library)


def _forget_half_imported() -> None:
    """Drop the submodules that the failed import left behind, so that the next one starts clean."""
    for name in [name for name in sys.modules if name.split(".")[0] == "torchvision"]:
        del sys.modules[name]
