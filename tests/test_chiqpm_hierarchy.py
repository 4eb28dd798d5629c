"""Ordered features, common beginnings and trees against a direct reading of the definitions, and heat by hand."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xailib import worlds
from xailib.chiqpm import hierarchy

#: three classes; 0 and 1 share features 1 and 2
W = np.array([[1, 1, 1, 0, 0], [0, 1, 1, 1, 0], [1, 0, 0, 1, 1]], bool)


@st.composite
def heads(draw):
    """Features, some of them 0 or equal, and an assignment."""
    rng = np.random.default_rng(draw(st.integers(0, 10_000)))
    n_f, n_wc = draw(st.integers(3, 8)), draw(st.integers(1, 2))
    subsets = {tuple(sorted(rng.choice(n_f, n_wc, replace=False))) for _ in range(6)}
    W = np.zeros((len(subsets), n_f), bool)
    for row, subset in zip(W, sorted(subsets), strict=True):
        row[list(subset)] = True
    return np.maximum(rng.integers(-2, 4, size=(7, n_f)) / 2, 0), rng.permutation(W)


@given(heads())
@settings(deadline=None, max_examples=30)
def test_order_is_that_of_the_definition(head):
    f, W = head
    order = hierarchy.ordered_features(f, W)
    for i, c in np.ndindex(order.shape[:2]):
        expected = sorted(np.flatnonzero(W[c]), key=lambda j: (-f[i, j], j))
        assert order[i, c].tolist() == expected


@given(heads())
@settings(deadline=None, max_examples=30)
def test_level_sets_are_nested_from_all_classes_to_the_prediction(head):
    f, W = head
    levels = hierarchy.level_sets(f, W)
    assert levels[:, 0].all()
    assert (levels[:, 1:] <= levels[:, :-1]).all()
    assert (levels[:, -1].sum(axis=1) == 1).all()
    assert (levels[:, -1].argmax(axis=1) == (f @ W.T).argmax(axis=1)).all()


def test_a_beginning_is_ordered():
    """Both classes have features 1 and 2 in front; what differs is the order of the third."""
    shared = hierarchy.common_prefixes([[0.5, 3.0, 2.0, 1.0, 0.0], [2.5, 3.0, 2.0, 1.0, 0.0]], W, [0, 0])
    assert shared.tolist() == [[3, 2, 0], [3, 1, 0]]


def test_features_that_are_zero_come_in_the_order_of_their_numbers():
    order = hierarchy.ordered_features([[0.0, 0.0, 1.0, 0.0, 0.0]], W)
    assert order.tolist() == [[[2, 0, 1], [2, 1, 3], [0, 3, 4]]]


# --- trees ----------------------------------------------------------------------------------------------------------


def test_classes_end_where_their_last_active_feature_is():
    tree = hierarchy.tree([0.0, 3.0, 2.0, 1.0, 0.0], W, scope="global")
    assert tree.predicted == 1
    assert tree.members == {(1, 2): (0,), (1, 2, 3): (1,), (3,): (2,)}
    assert set(tree.nodes) == {(), (1,), (1, 2), (1, 2, 3), (3,)}
    assert tree.children(()) == [(1,), (3,)]


def test_the_local_tree_holds_the_classes_with_the_same_first_feature():
    tree = hierarchy.tree([0.0, 3.0, 2.0, 1.0, 0.0], W)
    assert tree.members == {(1, 2): (0,), (1, 2, 3): (1,)}


@given(heads(), st.sampled_from(["local", "global"]))
@settings(deadline=None, max_examples=30)
def test_every_class_has_a_place_and_no_two_rows_meet(head, scope):
    f, W = head
    f = f + np.eye(f.shape[1])[0]
    for features in f:
        tree = hierarchy.tree(features, W, scope=scope)
        shown = sorted(c for members in tree.members.values() for c in members)
        order = hierarchy.ordered_features(features[None], W)[0]
        expected = [c for c in range(len(W)) if scope == "global" or order[c, 0] == order[tree.predicted, 0]]
        assert shown == expected
        rows = sorted(tree.member_rows.values())
        assert rows == list(range(len(rows)))
        for level in range(tree.n_levels + 1):
            heights = [tree.rows[node] for node in tree.nodes if len(node) == level]
            assert len(set(heights)) == len(heights)
        for parent, child in tree.edges:
            below = [tree.rows[node] for node in tree.children(parent)]
            own = [tree.member_rows[parent]] if parent in tree.member_rows else []
            assert min(below + own) <= tree.rows[parent] <= max(below + own), child


def test_lines_of_a_tree_do_not_cross():
    """Children fill rows of their own, block by block."""
    f = np.random.default_rng(3).exponential(size=(20, 5))
    for features in f:
        tree = hierarchy.tree(features, W, scope="global")

        def block(node, tree=tree):
            own = [tree.member_rows[node]] if node in tree.member_rows else []
            return own + [row for child in tree.children(node) for row in block(child)]

        for node in tree.nodes:
            rows = sorted(block(node))
            assert rows == list(np.arange(len(rows)) + rows[0])


def test_a_tree_is_drawn_with_all_its_nodes_and_names():
    tree = hierarchy.tree([0.5, 3.0, 2.0, 1.0, 0.0], W, scope="global")
    ax = tree.plot(class_names=["a finch", "a jay", "a wren"], predicted_set=np.array([True, True, False]))
    texts = [text.get_text() for text in ax.texts]
    assert any("■ a finch" in text for text in texts)
    assert any("□ a wren" in text for text in texts)
    assert sum(text.startswith("f") for text in texts) == len(tree.nodes) - 1
    plt.close(ax.figure)


def test_frame_has_a_row_per_node():
    tree = hierarchy.tree([0.5, 3.0, 2.0, 1.0, 0.0], W, scope="global")
    frame = tree.to_frame()
    assert len(frame) == len(tree.nodes)
    assert frame["classes"].sum() == 3


# --- heat and pages -------------------------------------------------------------------------------------------------


def test_heat_is_dark_where_the_feature_is_hardly_active():
    maps = np.array([[[[0.0, 2.0], [1.0, 4.0]]]] * 3)
    heat = hierarchy.scaled_heat(maps, [[0.0], [1.0], [9.0]], [2.0], (2, 2))
    assert np.allclose(heat[:, 0], np.array([0, 0.5, 1])[:, None, None] * maps[0, 0] / 4)


def test_heat_of_a_flat_map_is_zero():
    assert not hierarchy.scaled_heat(np.full((1, 1, 2, 2), 3.0), [[1.0]], [1.0], (4, 4)).any()


def test_heat_does_not_depend_on_the_scale_of_the_map():
    maps = np.random.default_rng(0).random((2, 3, 4, 4))
    one, other = (hierarchy.scaled_heat(m, np.ones((2, 3)), np.ones(3), (9, 7)) for m in (maps, 5 * maps + 2))
    assert one.shape == (2, 3, 9, 7)
    assert np.allclose(one, other)


def test_a_page_shows_the_best_examples_and_the_features_in_which_classes_part():
    world = worlds.birds(60)
    rng = np.random.default_rng(0)
    n = len(world.X)
    W = np.array([[1, 1, 1, 0], [1, 1, 0, 1]], bool)
    f = rng.exponential(size=(n, 4))
    y = np.arange(n) % 2
    page = hierarchy.contrastive_page(world.X, rng.random((n, 4, 8, 8)), f, W, y, (1, 0), active_mean=np.ones(4), n_shared=2)
    assert (page.shared, page.only_first, page.only_second) == ((0, 1), (3,), (2,))
    assert page.shown == (0, 1, 3, 2)
    assert page.role(3) == "first"
    assert page.role(0) == "both"
    for rows, c in zip(page.examples, (1, 0), strict=True):
        assert (y[rows] == c).all()
        assert f[rows[0]] @ W[c] == (f[y == c] @ W[c]).max()
    assert page.heat.shape == (2, 2, 4, 64, 64)
    assert np.allclose(page.activation[0, 0], f[page.examples[0, 0]][[0, 1, 3, 2]])
    figure = page.plot(class_names=["a", "b"])
    assert len(figure.axes) == 4 * 5
    plt.close(figure)


def test_a_class_with_too_few_pictures_is_named():
    with pytest.raises(ValueError, match="only 1 pictures of class 0"):
        hierarchy.contrastive_page(
            np.zeros((3, 3, 4, 4)), np.zeros((3, 5, 2, 2)), np.ones((3, 5)), W, [0, 1, 1], (0, 1), active_mean=np.ones(5)
        )
