"""What every world has in common: data, a truth that names its estimand, and a data card."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

import numpy as np


class Truth(Protocol):
    """The least a truth must say about itself.

    ``predict`` is the oracle: the planted function, usable wherever a model is. ``scale`` names the units of its output
    ("log-odds", "price in keur"), ``background`` the data any average runs over, ``estimand`` in one sentence what the
    stated true explanation is.
    """

    scale: str
    estimand: str

    @property
    def background(self) -> Any: ...

    def predict(self, X: Any) -> np.ndarray: ...


TruthT = TypeVar("TruthT")


@dataclass(frozen=True, eq=False)
class World(Generic[TruthT]):
    """A data set whose generating mechanism we wrote down.

    Attributes
    ----------
    name : str
    X : DataFrame (n, p), or images (n, 3, height, width) in [0, 1]
    y : (n,) labels or values
    truth : the mechanism: oracle function, scale, background, estimand, and what is special to this world
    card : data card in Markdown
    n_train : the first ``n_train`` rows are for training, the rest is held out (rows are independent draws)
    """

    name: str
    X: Any
    y: np.ndarray
    truth: TruthT
    card: str
    n_train: int

    @property
    def train(self) -> tuple[Any, np.ndarray]:
        """(X, y) to fit models on."""
        return self.X[: self.n_train], self.y[: self.n_train]

    @property
    def test(self) -> tuple[Any, np.ndarray]:
        """(X, y) never used for fitting."""
        return self.X[self.n_train :], self.y[self.n_train :]

    def __repr__(self) -> str:
        return f"World({self.name}: {len(self.X)} rows, {self.n_train} for training; {self.card.splitlines()[0].lstrip('# ')})"
