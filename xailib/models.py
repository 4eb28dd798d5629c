"""Models as functions: ``predict(X) -> (n,)`` or ``(n, k)``, and the one place that calls them.

Every perturbation method of the course builds its rows first and asks the model once per memory-bounded batch.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from typing import Any, TypeVar

import numpy as np
import pandas as pd
from joblib import Parallel, delayed

from xailib import _validation as check
from xailib._progress import progress

Predict = Callable[[Any], np.ndarray]
#: an algorithm that yields rows, is sent the answers about them, and returns its result
Talk = Generator[np.ndarray, np.ndarray, Any]
ResultT = TypeVar("ResultT")

#: rows per model call: large enough that forests and boosting reach their best time per row, small enough for any laptop
BATCH_ROWS = 50_000


def predictor(model: Any, output: str = "auto", *, class_index: int | None = None) -> Predict:
    r"""Turn a scikit-learn estimator, a pipeline or a torch module into a plain function of the inputs.

    Parameters
    ----------
    model : estimator with ``predict`` or ``predict_proba``, torch module, or function (returned as it is when ``output="auto"``)
    output : {"auto", "probability", "log_odds", "value", "label", "logit"}
        ``"auto"``: the probability of the last class for a binary classifier, all probabilities for more classes, the value for
        a regressor, the raw output for a torch module. ``"log_odds"`` is :math:`\log p - \log(1 - p)`. ``"logit"`` is a torch
        module's raw output; torch modules also offer ``"probability"`` (softmax) and ``"label"``.
    class_index : int, optional
        Which column of a several-class output to return, as shape (n,).

    Returns
    -------
    function, (n, p) -> (n,) or (n, k)

    Raises
    ------
    TypeError, ValueError
        If the model can not give the output asked for; the message says which ones it can.

    Notes
    -----
    Used by every chapter; introduced in chapter 2.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.linear_model import LogisticRegression
    >>> X, y = load_iris(return_X_y=True)
    >>> predictor(LogisticRegression(max_iter=500).fit(X, y), class_index=2)(X[:3]).round(3)
    array([0., 0., 0.])
    """
    check.one_of(output, "output", ["auto", "probability", "log_odds", "value", "label", "logit"])
    if class_index is not None:
        check.number(class_index, "class_index", low=0, integer=True)
    raw = _torch_function(model, output) if _is_torch(model) else _estimator_function(model, output)
    return raw if class_index is None else _one_column(raw, class_index)


def _estimator_function(model: Any, output: str) -> Predict:
    """The function behind a scikit-learn style model."""
    if output == "auto" and callable(model) and not hasattr(model, "predict"):
        return model
    if not hasattr(model, "predict"):
        raise TypeError(f"model must be an estimator, a torch module or a function, not {type(model).__name__}.")
    if output == "auto":
        output = "probability" if hasattr(model, "predict_proba") else "value"
    if output in ("value", "label"):
        return lambda X: np.asarray(model.predict(X))
    if output == "logit":
        raise ValueError("output 'logit' is for torch modules: use 'log_odds' with an estimator.")
    if not hasattr(model, "predict_proba"):
        raise TypeError(f"{type(model).__name__} has no predict_proba: use output='value' or output='label'.")
    return (lambda X: _last_if_binary(model.predict_proba(X))) if output == "probability" else _log_odds(model)


def _log_odds(model: Any) -> Predict:
    """Log-odds of the last class, from probabilities kept away from 0 and 1 by the smallest float."""

    def predict(X: Any) -> np.ndarray:
        p = np.clip(model.predict_proba(X), np.finfo(float).tiny, 1 - np.finfo(float).epsneg)
        return _last_if_binary(np.log(p) - np.log1p(-p))

    return predict


def _last_if_binary(P: np.ndarray) -> np.ndarray:
    return P[:, 1] if P.shape[1] == 2 else P


def _is_torch(model: Any) -> bool:
    """True for a torch module, without importing torch for anything else."""
    return any(base.__module__.startswith("torch.nn") for base in type(model).__mro__)


def _torch_function(model: Any, output: str) -> Predict:
    """The function behind a torch module: arrays in, arrays out, in evaluation mode, no gradients, mode restored."""
    import torch

    def predict(X: Any) -> np.ndarray:
        first = next(model.parameters(), torch.zeros(1))
        inputs = torch.as_tensor(np.array(X), dtype=first.dtype, device=first.device)
        training = model.training
        model.eval()
        try:
            with torch.no_grad():
                logits = model(inputs)
        finally:
            model.train(training)
        if output == "label":
            return logits.argmax(1).cpu().numpy()
        return (torch.softmax(logits, 1) if output == "probability" else logits).cpu().numpy()

    if output in ("log_odds", "value"):
        raise ValueError(f"output {output!r} is for estimators: a torch module gives 'logit', 'probability' or 'label'.")
    return predict


def _one_column(predict: Predict, class_index: int) -> Predict:
    def predict_one(X: Any) -> np.ndarray:
        values = predict(X)
        if values.ndim != 2 or class_index >= values.shape[1]:
            raise ValueError(f"class_index {class_index} is out of range: the model's output has shape {values.shape}.")
        return values[:, class_index]

    return predict_one


def batched(predict: Predict, X: Any, *, batch_rows: int = BATCH_ROWS, width: int | None = None) -> np.ndarray:
    """Call ``predict`` on slices of at most ``batch_rows`` rows and check what comes back.

    Parameters
    ----------
    predict : function, (n, p) -> (n,) or (n, k)
    X : array or DataFrame, n rows; or an array of n texts
    batch_rows : int, rows per call
    width : int, optional: demand exactly this many output columns (1 means shape (n,))

    Returns
    -------
    array, shape (n,) or (n, k), float

    Raises
    ------
    ValueError
        If the model returns the wrong number of rows or columns, or anything that is not a finite number.
    """
    check.function(predict, "predict")
    check.number(batch_rows, "batch_rows", low=1, integer=True)
    if width is not None:
        check.number(width, "width", low=1, integer=True)
    if isinstance(X, np.ndarray) and X.ndim == 1 and X.dtype.kind in "OU":
        X = check.texts(X, "X")
    elif not isinstance(X, pd.DataFrame | np.ndarray) or X.ndim < 2 or len(X) == 0:
        raise TypeError(f"X must be a DataFrame, an array of at least one row, or an array of texts, not {check.shown(X)}.")
    rows = X.iloc if isinstance(X, pd.DataFrame) else X
    parts = [
        _checked(predict(rows[i : i + batch_rows]), len(rows[i : i + batch_rows]), width) for i in range(0, len(X), batch_rows)
    ]
    return parts[0] if len(parts) == 1 else np.concatenate(parts)


def _checked(values: Any, n: int, width: int | None) -> np.ndarray:
    """Model output as a float array, or one sentence about what is wrong with it."""
    try:
        values = np.asarray(values, dtype=float)
    except (TypeError, ValueError):
        raise ValueError("predict must return numbers: for labels use xailib.predictor(model, output='probability').") from None
    if values.ndim == 2 and values.shape[1] == 1:
        values = values[:, 0]
    if values.ndim not in (1, 2) or len(values) != n:
        raise ValueError(f"predict must return one row per input row: {n} rows in, an output of shape {values.shape} back.")
    if width is not None and width != (1 if values.ndim == 1 else values.shape[1]):
        one = "one number per row: choose a class with xailib.predictor(model, class_index=...)"
        raise ValueError(f"predict must return {one if width == 1 else f'{width} columns'}, but gave shape {values.shape}.")
    if not np.isfinite(values).all():
        raise ValueError("predict returned missing or infinite values: check the model on these rows before explaining it.")
    return values


def in_blocks(
    explain: Callable[[slice], ResultT],
    n: int,
    *,
    rows_each: int,
    batch_rows: int = BATCH_ROWS,
    n_jobs: int | None = None,
    desc: str = "instances",
) -> list[ResultT]:
    """Explain ``n`` instances block by block through joblib, so that the same call runs on one core, several, or a cluster.

    Parameters
    ----------
    explain : function of a slice of instances, which makes its own big model calls; randomness must hang on the instance, not
        on the block, or the answer would change with ``batch_rows``
    n : int, number of instances
    rows_each : int, model rows one instance needs; a block holds as many instances as fit into ``batch_rows``
    batch_rows : int, rows per model call
    n_jobs : int or None, as in joblib: None means one process, or what ``joblib.parallel_config`` says (a Dask cluster, say)
    desc : str, the progress bar's label

    Returns
    -------
    list, one result per block, in order

    Raises
    ------
    ValueError
        If a count is not positive, or ``n_jobs`` is zero.

    Notes
    -----
    Used by chapters 4 to 7.

    Examples
    --------
    >>> in_blocks(lambda block: block.stop - block.start, 10, rows_each=400, batch_rows=1_200)
    [3, 3, 3, 1]
    """
    check.function(explain, "explain")
    check.number(n, "n", low=1, integer=True)
    check.number(rows_each, "rows_each", low=1, integer=True)
    check.number(batch_rows, "batch_rows", low=1, integer=True)
    if n_jobs is not None and check.number(n_jobs, "n_jobs", integer=True) == 0:
        raise ValueError("n_jobs must not be 0: use None for one process, 2 for two, -1 for all cores.")
    size = max(1, batch_rows // rows_each)
    blocks = [slice(start, min(start + size, n)) for start in range(0, n, size)]
    results = Parallel(n_jobs=n_jobs, return_as="generator")(delayed(explain)(block) for block in blocks)
    return list(progress(results, len(blocks), desc))


def side_by_side(talks: Sequence[Talk], ask: Callable[[np.ndarray], np.ndarray]) -> list[Any]:
    """Run searches in step, so that the rows they all wait for in a round become one call of the model.

    Parameters
    ----------
    talks : generators; each yields an array of rows (none is allowed), is sent the answers about them, and returns its result
    ask : function, rows of all talks -> one answer per row; not called in a round in which nobody wants to know anything

    Returns
    -------
    list, one result per talk, in order

    Raises
    ------
    TypeError, ValueError
        If a talk is no generator, or ``ask`` does not answer every row.

    Notes
    -----
    Used by chapters 6 and 7.

    Examples
    --------
    >>> def halve_until_small(start):
    ...     x = start
    ...     while (yield np.array([x]))[0]:
    ...         x = x / 2
    ...     return x
    >>> side_by_side([halve_until_small(8.0), halve_until_small(3.0)], lambda rows: rows > 1)
    [1.0, 0.75]
    """
    if not isinstance(talks, list | tuple) or not all(isinstance(talk, Generator) for talk in talks):
        raise TypeError(f"talks must be a list of generators, not {check.shown(talks)}.")
    check.function(ask, "ask")
    results: list[Any] = [None] * len(talks)
    told: dict[int, Any] = dict.fromkeys(range(len(talks)))  # what each open talk hears next; None opens it
    while told:
        wanted: dict[int, np.ndarray] = {}
        for i, answers in told.items():
            try:
                wanted[i] = talks[i].send(answers)
            except StopIteration as end:
                results[i] = end.value
        told = dict(zip(wanted, _answered(list(wanted.values()), ask), strict=False))
    return results


def _answered(questions: list[np.ndarray], ask: Callable[[np.ndarray], np.ndarray]) -> list[np.ndarray]:
    """The answers to several arrays of rows, from one call."""
    n = sum(map(len, questions))
    answers = np.asarray(ask(np.concatenate(questions))) if n else np.empty(0)
    if answers.ndim == 0 or len(answers) != n:
        raise ValueError(f"ask must return one answer per row: {n} rows in, an output of shape {answers.shape} back.")
    return np.split(answers, np.cumsum([len(rows) for rows in questions])[:-1])
