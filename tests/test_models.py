"""The one place that calls models, and the loop over instances: same answer on one core, several, and a cluster."""

from __future__ import annotations

import os
from itertools import chain

import joblib
import numpy as np
import pytest

from xailib import lime, shapley
from xailib.models import batched, in_blocks, side_by_side


def rows_of(block: slice) -> list[int]:
    return list(range(100))[block]


@pytest.mark.parametrize(("n", "rows_each", "batch_rows"), [(1, 1, 1), (10, 400, 1200), (10, 5000, 100), (7, 1, 50_000)])
def test_blocks_cover_every_instance_once_and_in_order(n, rows_each, batch_rows):
    blocks = in_blocks(rows_of, n, rows_each=rows_each, batch_rows=batch_rows)
    assert list(chain(*blocks)) == list(range(n))
    assert max(map(len, blocks)) <= max(1, batch_rows // rows_each)


def test_two_processes_give_the_same_answer():
    one = in_blocks(rows_of, 20, rows_each=5, batch_rows=10)
    assert in_blocks(rows_of, 20, rows_each=5, batch_rows=10, n_jobs=2) == one


def test_an_error_in_a_block_reaches_the_caller():
    def fails(block: slice) -> None:
        raise ValueError(f"cannot explain {block.start}")

    with pytest.raises(ValueError, match="cannot explain 0"):
        in_blocks(fails, 3, rows_each=1)


def test_zero_jobs_are_refused():
    with pytest.raises(ValueError, match="n_jobs must not be 0"):
        in_blocks(rows_of, 3, rows_each=1, n_jobs=0)


@pytest.fixture(scope="module")
def cluster():
    """Two worker processes on this machine."""
    distributed = pytest.importorskip("distributed")
    settings = {"n_workers": 2, "threads_per_worker": 1, "host": "127.0.0.1", "dashboard_address": None}
    with distributed.LocalCluster(**settings) as local, distributed.Client(local) as client:
        yield client


def test_the_same_call_runs_on_a_dask_cluster(cluster):
    def where(block: slice) -> tuple[int, list[int]]:
        return os.getpid(), list(range(100))[block]

    with joblib.parallel_config(backend="dask"):
        answers = in_blocks(where, 20, rows_each=1, batch_rows=2)
    assert list(chain(*(rows for _, rows in answers))) == list(range(20))
    assert {process for process, _ in answers} <= set(cluster.run(os.getpid).values())


def lengths(texts: np.ndarray) -> np.ndarray:
    assert all(isinstance(text, str) for text in texts)
    return np.array([len(text) for text in texts])


@pytest.mark.parametrize("kind", [object, str])
def test_texts_go_to_the_model_in_batches(kind):
    sizes = []

    def predict(texts: np.ndarray) -> np.ndarray:
        sizes.append(len(texts))
        return lengths(texts)

    assert batched(predict, np.array(["a", "bc", "", "def", "g"], dtype=kind), batch_rows=2, width=1).tolist() == [1, 2, 0, 3, 1]
    assert sizes == [2, 2, 1]


@pytest.mark.parametrize(
    "X",
    [np.array(["a", None], dtype=object), np.array([], dtype=object), np.ones(3), ["a", "b"]],
    ids=["gap", "empty", "numbers", "list"],
)
def test_other_arrays_of_one_dimension_are_refused(X):
    with pytest.raises(TypeError, match="X must be a"):
        batched(lengths, X)


def test_explanations_are_the_same_on_a_dask_cluster(cluster):
    X = np.random.default_rng(0).normal(size=(30, 4))
    for explain in (lime.tabular, shapley.kernel):
        here = explain(product, X[:6], X, batch_rows=2_000)
        with joblib.parallel_config(backend="dask"):
            there = explain(product, X[:6], X, batch_rows=2_000)
        np.testing.assert_array_equal(there.values, here.values)


def product(X: np.ndarray) -> np.ndarray:
    return X[:, 0] * X[:, 1] + X[:, 2]


def talk(*sizes: int):
    """Wants to know about arrays of these sizes, one after the other; returns what it heard."""
    heard = []
    for size in sizes:
        answers = yield np.arange(size)
        heard.append(answers.tolist())
    return heard


def test_talks_share_a_call_per_round_and_keep_their_order():
    asked = []

    def squares(rows: np.ndarray) -> np.ndarray:
        asked.append(len(rows))
        return rows**2

    heard = side_by_side([talk(2, 3), talk(), talk(0, 1), talk(4)], squares)
    assert heard == [[[0, 1], [0, 1, 4]], [], [[], [0]], [[0, 1, 4, 9]]]
    assert asked == [6, 4]


def test_a_round_without_questions_asks_nobody():
    def nobody(rows: np.ndarray) -> np.ndarray:
        raise AssertionError

    assert side_by_side([talk(0, 0), talk()], nobody) == [[[], []], []]
    assert side_by_side([], nobody) == []


def test_answers_may_have_columns():
    two = lambda rows: np.column_stack([rows, -rows])  # noqa: E731
    assert side_by_side([talk(2), talk(1)], two) == [[[[0, 0], [1, -1]]], [[[0, 0]]]]
