"""What worlds of token sequences share: the first and last token, and checked rows."""

from __future__ import annotations

from typing import Any

import numpy as np

from xailib import _validation as check
from xailib.text import Vocabulary

#: every row begins with START; END closes a row that has a last word
START, END = "<s>", "<end>"


def token_rows(tokens: Any, vocabulary: Vocabulary, name: str = "tokens") -> np.ndarray:
    """Checked token numbers, (n, l)."""
    rows = np.asarray(tokens)
    if rows.dtype.kind not in "iu" or rows.ndim != 2 or rows.size == 0:
        raise TypeError(f"{name} must be whole numbers of shape (n, length) with at least one entry, not {check.shown(tokens)}.")
    if rows.min() < 0 or rows.max() >= len(vocabulary):
        raise ValueError(f"{name} must lie from 0 to {len(vocabulary) - 1}: encode texts with truth.vocabulary.")
    return rows.astype(np.int64)
