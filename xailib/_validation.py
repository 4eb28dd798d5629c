"""Argument checks shared by all modules: every message is one sentence that says what was given and what to do."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
import pandas as pd


def shown(value: Any, width: int = 60) -> str:
    """A value as one short line, so that a message stays a sentence whatever was given."""
    text = " ".join(repr(value).split())
    return text if len(text) <= width else f"{text[:width]}..."


def listed(names: Iterable[Any], width: int = 140) -> str:
    """Names separated by commas; of many names the first, and how many more there are."""
    names = [str(name) for name in names]
    fitting = next((k for k in range(1, len(names)) if len(", ".join(names[: k + 1])) > width), len(names))
    more = f" and {len(names) - fitting} more" if fitting < len(names) else ""
    return ", ".join(names[:fitting]) + more


def flag(value: Any, name: str) -> bool:
    """Return ``value`` if it is True or False."""
    if not isinstance(value, bool | np.bool_):
        raise TypeError(f"{name} must be True or False, not {shown(value)}.")
    return bool(value)


def table(X: Any, name: str = "X", *, min_rows: int = 1, allow_text: bool = True) -> Any:
    """Return ``X`` unchanged if it is a finite, two-dimensional table (DataFrame or array); raise otherwise."""
    if not isinstance(X, pd.DataFrame | np.ndarray):
        raise TypeError(f"{name} must be a DataFrame or a 2-D array, not {type(X).__name__}: wrap it in numpy.asarray.")
    if X.ndim != 2:
        raise ValueError(f"{name} must have two dimensions (rows, features), but its shape is {X.shape}.")
    if X.shape[0] < min_rows or X.shape[1] == 0:
        need = f"at least {min_rows} row{'s' if min_rows > 1 else ''} and one column"
        raise ValueError(f"{name} must have {need}, but its shape is {X.shape}.")
    if isinstance(X, pd.DataFrame) and not X.columns.is_unique:
        raise ValueError(f"{name} has two columns named {X.columns[X.columns.duplicated()][0]!r}: rename one of them.")
    for column, values in _columns(X):
        if is_numeric(values):
            if not np.isfinite(np.asarray(values, dtype=float)).all():
                raise ValueError(f"{name} has missing or infinite values in column {column!r}: impute or drop those rows.")
        elif not allow_text:
            raise TypeError(f"{name} must be numeric, but column {column!r} holds {values.dtype}: encode it first.")
        elif pd.isna(values).any():
            raise ValueError(f"{name} has missing values in column {column!r}: impute or drop those rows.")
    return X


def _columns(X: Any) -> Iterable[tuple[Any, Any]]:
    if isinstance(X, pd.DataFrame):
        return ((column, X.iloc[:, j]) for j, column in enumerate(X.columns))
    if X.dtype == object:
        return ((j, pd.Series(X[:, j]).infer_objects()) for j in range(X.shape[1]))
    return [("any", X)] if X.dtype.kind not in "OUS" else ((j, X[:, j]) for j in range(X.shape[1]))


def is_numeric(values: Any) -> bool:
    """True for numbers and booleans, False for categories and text."""
    return bool(pd.api.types.is_numeric_dtype(values) or pd.api.types.is_bool_dtype(values))


def array(a: Any, name: str, *, ndim: int | Sequence[int] | None = None, length: int | None = None) -> np.ndarray:
    """Return ``a`` as a finite float array of the wanted number of dimensions and length."""
    try:
        values = np.asarray(a)
        if values.dtype.kind not in "biufO":
            raise TypeError
        values = np.asarray(values, dtype=float)
    except (TypeError, ValueError):
        raise TypeError(f"{name} must be numeric, not {shown(a)}.") from None
    if ndim is not None and values.ndim not in np.atleast_1d(ndim):
        wanted = " or ".join(str(d) for d in np.atleast_1d(ndim))
        raise ValueError(f"{name} must have {wanted} dimension{'s' if wanted != '1' else ''}, but its shape is {values.shape}.")
    if values.size == 0:
        raise ValueError(f"{name} is empty: give at least one value.")
    if length is not None and len(values) != length:
        raise ValueError(f"{name} must have {length} entries, one per row, but has {len(values)}.")
    if not np.isfinite(values).all():
        raise ValueError(f"{name} has {int((~np.isfinite(values)).sum())} missing or infinite values: remove them first.")
    return values


def fit_together(**arrays: np.ndarray) -> None:
    """Raise unless the named arrays can be combined entry by entry (numpy's broadcasting)."""
    try:
        np.broadcast_shapes(*(a.shape for a in arrays.values()))
    except ValueError:
        shapes = ", ".join(f"{name} {a.shape}" for name, a in arrays.items())
        raise ValueError(f"arrays of these shapes do not fit together: {shapes}.") from None


def number(
    value: Any,
    name: str,
    *,
    low: float = -np.inf,
    high: float = np.inf,
    integer: bool = False,
    open_low: bool = False,
    open_high: bool = False,
) -> Any:
    """Return ``value`` if it is a (whole) number inside [low, high] (``open_low``, ``open_high``: without that end)."""
    kinds = (int, np.integer) if integer else (int, float, np.integer, np.floating)
    kind = "a whole number" if integer else "a number"
    if isinstance(value, bool | np.bool_) or not isinstance(value, kinds):
        raise TypeError(f"{name} must be {kind}, not {shown(value)}.")
    above, below = value > low or (value == low and not open_low), value < high or (value == high and not open_high)
    if not (np.isfinite(value) and above and below):
        span = f"{'(' if open_low else '['}{low:g}, {high:g}{')' if open_high else ']'}"
        raise ValueError(f"{name} must be {kind} in {span}, not {value!r}.")
    return value


def one_of(value: Any, name: str, allowed: Iterable[Any]) -> Any:
    """Return ``value`` if it is one of ``allowed``; the message lists what is."""
    allowed = list(allowed)
    if not isinstance(value, str | int | float | bool | tuple | None) or value not in allowed:
        raise ValueError(f"{name} must be one of {listed(map(repr, allowed))}, not {shown(value)}.")
    return value


def instance(value: Any, kind: type, name: str) -> Any:
    """Return ``value`` if it is of the class ``kind``."""
    if not isinstance(value, kind):
        raise TypeError(f"{name} must be of type {kind.__name__}, not {type(value).__name__}.")
    return value


def function(value: Any, name: str) -> Callable[..., Any]:
    """Return ``value`` if it can be called."""
    if not callable(value):
        hint = ": wrap the model with xailib.predictor(model)" if hasattr(value, "predict") else ""
        raise TypeError(f"{name} must be a function, not {type(value).__name__}{hint}.")
    return value


def feature_names(X: Any) -> list[str]:
    """Column names of a DataFrame, or x0, x1, ... for an array."""
    return [str(c) for c in X.columns] if isinstance(X, pd.DataFrame) else [f"x{j}" for j in range(X.shape[1])]


def column(X: Any, feature: Any, name: str = "feature") -> int:
    """Position of a feature given by name or by number; the message lists the names there are."""
    names = feature_names(X)
    if isinstance(feature, str):
        if feature in names:
            return names.index(feature)
    elif isinstance(feature, int | np.integer) and not isinstance(feature, bool) and 0 <= feature < len(names):
        return int(feature)
    raise ValueError(f"{name} {shown(feature)} is unknown; the features are {listed(names)}.")


def varying(X: Any, j: int, name: str = "feature") -> None:
    """Raise if column ``j`` holds a single value where the method needs variation."""
    values = X.iloc[:, j] if isinstance(X, pd.DataFrame) else X[:, j]
    if len(pd.unique(np.asarray(values))) < 2:
        raise ValueError(
            f"{name} {feature_names(X)[j]!r} is constant in X, so there is nothing to vary: give data in which it changes."
        )


def random_generator(random_state: Any, name: str = "random_state") -> np.random.Generator:
    """A numpy Generator from an int, a Generator or None, as in scikit-learn."""
    if isinstance(random_state, np.random.Generator):
        return random_state
    if random_state is None or (
        isinstance(random_state, int | np.integer) and not isinstance(random_state, bool) and random_state >= 0
    ):
        return np.random.default_rng(random_state)
    raise ValueError(f"{name} must be a non-negative whole number, a numpy Generator or None, not {shown(random_state)}.")


def images(values: Any, name: str = "images") -> np.ndarray:
    """Return a batch of images as a finite numeric array (n, channels, height, width); torch tensors are welcome."""
    a = np.asarray(values.detach().cpu() if hasattr(values, "detach") else values)
    if a.dtype.kind not in "fiub":
        raise TypeError(f"{name} must hold numbers, not {a.dtype}: give an array of shape (n, channels, height, width).")
    if a.ndim != 4 or a.size == 0:
        hint = f" (one image? give {name}[None])" if a.ndim == 3 else ""
        raise ValueError(f"{name} must have shape (n, channels, height, width) and hold at least one image, not {a.shape}{hint}.")
    if not np.isfinite(a).all():
        raise ValueError(f"{name} has {int((~np.isfinite(a)).sum())} missing or infinite values: repair or drop those images.")
    return a


def positions(indices: Any, name: str, n: int, what: str = "row") -> np.ndarray:
    """Row numbers as an array, without axes for a single one; ``None`` means all ``n``."""
    if indices is None:
        return np.arange(n)
    try:
        chosen = np.asarray(indices)
    except ValueError:
        chosen = np.empty((0, 0))
    if chosen.dtype.kind not in "iu" or chosen.ndim > 1 or chosen.size == 0:
        raise TypeError(f"{name} must be one {what} number or a list of them, not {shown(indices)}.")
    if chosen.min() < 0 or chosen.max() >= n:
        raise ValueError(f"{name} must lie in 0 to {n - 1}, the numbers of the {what}s there are.")
    return chosen


def texts(values: Any, name: str = "texts") -> np.ndarray:
    """Return a list, Series or array of at least one text as an object array (n,); the empty text counts."""
    if isinstance(values, str):
        raise TypeError(f"{name} must be an array of texts, not one text: give [{name}].")
    try:
        a = np.asarray(values, dtype=object)
    except ValueError:
        a = np.empty((0, 0), dtype=object)
    if a.ndim != 1 or a.size == 0 or not all(isinstance(text, str) for text in a):
        raise TypeError(f"{name} must be a one-dimensional array of at least one text, not {shown(values)}.")
    return a
