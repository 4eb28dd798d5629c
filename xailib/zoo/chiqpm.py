"""The networks of CHiQPM: a dense one, and the binary one that was made from it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from xailib import _validation as check
from xailib.course import manifest

if TYPE_CHECKING:
    from xailib.chiqpm._pipeline import Networks

__all__ = ["network"]

#: name of each shipped pair of networks and the arguments of :func:`xailib.worlds.birds` for the world it was trained on
SHAPES: dict[str, dict[str, Any]] = {"birds-chiqpm": {}, "birds-chiqpm-ambiguous": {"ambiguous": True}}


def network(name: str) -> Networks:
    """A shipped pair of networks in evaluation mode, ``dense`` and ``binary``; a new module at every call.

    Raises
    ------
    ValueError, FileNotFoundError
        If the name is unknown, or the weights in ``data/`` are missing or do not match their hash in the manifest.

    Notes
    -----
    Called through :func:`xailib.zoo.load`. Introduced in chapter 16.

    Examples
    --------
    >>> network("birds-chiqpm").binary.W.shape
    torch.Size([20, 16])
    """
    from safetensors.torch import load_file

    from xailib.chiqpm import _pipeline

    return _pipeline.from_state(load_file(manifest.verified(f"{check.one_of(name, 'name', SHAPES)}.safetensors")))
