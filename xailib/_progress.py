"""The progress bar of long work."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from typing import TypeVar

from tqdm.auto import tqdm

StepT = TypeVar("StepT")


def progress(steps: Iterable[StepT], total: int, desc: str) -> Iterator[StepT]:
    """The steps, with a bar once they have taken ten seconds.

    There is no bar for a single step, and none where TQDM_DISABLE is set, as in the kernels that build the chapters: tqdm's bar
    for notebooks overlooks that variable.
    """
    off = total < 2 or os.environ.get("TQDM_DISABLE", "") not in ("", "0")
    return iter(steps) if off else iter(tqdm(steps, total=total, desc=desc, delay=10, leave=False))
