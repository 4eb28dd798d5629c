"""Loops of :mod:`xailib.trees`, compiled by numba on first use and kept on disk; imported only when a tree is explained.

All of them read the same two tables. *Nodes* lie in preorder, so that the row before a node's subtree at ``depth - 1`` belongs to
its parent; node ``i`` stands for the edge that leads into it, a condition on one feature. *Leaves* hold those conditions merged:
one condition per distinct feature of the path, its *slot*. A *pattern* is a whole number whose bit ``s`` says that the condition
of slot ``s`` fails: rows with equal patterns at a leaf share everything that happens there.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numba
import numpy as np

#: patterns are 64-bit whole numbers with a sign; paths with more distinct features go to the plain loops
MAX_SLOTS = 62
#: numbers of the 8-bit codes that histogram boosting gives to categories
N_CODES = 256


class Nodes(NamedTuple):
    """One row per node, trees one after the other, each in preorder; feature -1 marks a root."""

    depth: np.ndarray  #: edges from the root
    end: np.ndarray  #: first node after the subtree
    feature: np.ndarray  #: column that the edge into the node tests
    threshold: np.ndarray
    is_left: np.ndarray  #: the edge is taken by values <= threshold (or by the levels of its row in ``levels``)
    missing: np.ndarray  #: the edge is taken by missing values
    level_set: np.ndarray  #: row of ``levels`` for a test of categories, else -1
    slot: np.ndarray  #: number of the feature among the distinct features of the path
    leaf: np.ndarray  #: row in the table of leaves, -1 inside the tree
    levels: np.ndarray  #: (sets, 256) which codes take the edge


class Leaves(NamedTuple):
    """One row per leaf; conditions ``start[l]`` to ``start[l + 1]`` are its slots in order."""

    start: np.ndarray
    feature: np.ndarray
    above: np.ndarray  #: a value passes if above < value <= up_to ...
    up_to: np.ndarray
    missing: np.ndarray  #: ... a missing value if this is true ...
    level_set: np.ndarray  #: ... and a category if its code is in this row of ``levels``; -1 for numbers
    share: np.ndarray  #: product of cover ratios over the path's splits on the feature
    value: np.ndarray  #: (leaves, outputs of one tree)
    output: np.ndarray  #: the output that the first value belongs to
    levels: np.ndarray


def compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    """Machine code kept on disk where there is a folder to write to, and without the lock that keeps threads waiting."""
    try:
        return numba.njit(cache=True, nogil=True, error_model="numpy")(function)
    except RuntimeError:  # neither the package's folder nor the user's cache can be written
        return numba.njit(nogil=True, error_model="numpy")(function)


# tables ---------------------------------------------------------------------------------------------------------------


@compiled
def preorder(left: np.ndarray, right: np.ndarray, feature: np.ndarray) -> tuple[np.ndarray, ...]:
    """Order of the nodes (node at each place), and per place: parent's place, depth, end of subtree, slot, distinct features."""
    n = len(left)
    order, parent, depth = np.empty(n, np.int64), np.full(n, -1), np.zeros(n, np.int32)
    slot, n_slots, end = np.full(n, -1, np.int32), np.zeros(n, np.int32), np.zeros(n, np.int64)
    waiting, waiting_parent, n_waiting = np.empty(n, np.int64), np.empty(n, np.int64), 1
    waiting[0], waiting_parent[0] = 0, -1
    place = 0
    while n_waiting > 0:
        n_waiting -= 1
        node, p = waiting[n_waiting], waiting_parent[n_waiting]
        order[place], parent[place] = node, p
        if p >= 0:
            depth[place] = depth[p] + 1
            tested, above = feature[order[p]], p
            while parent[above] >= 0 and feature[order[parent[above]]] != tested:
                above = parent[above]
            seen = parent[above] >= 0
            slot[place] = slot[above] if seen else n_slots[p]
            n_slots[place] = n_slots[p] + (0 if seen else 1)
        if left[node] >= 0:
            waiting[n_waiting], waiting_parent[n_waiting] = right[node], place
            waiting[n_waiting + 1], waiting_parent[n_waiting + 1] = left[node], place
            n_waiting += 2
        place += 1
    for i in range(place - 1, -1, -1):
        end[i] = max(end[i], i + 1)
        if parent[i] >= 0:
            end[parent[i]] = max(end[parent[i]], end[i])
    return order[:place], parent[:place], depth[:place], end[:place], slot[:place], n_slots[:place]


@compiled
def merge_paths(
    nodes: Nodes, parent: np.ndarray, share: np.ndarray, leaf_node: np.ndarray, start: np.ndarray
) -> tuple[np.ndarray, ...]:
    """Conditions of every leaf, edges on the same feature merged: intervals and sets intersected, cover ratios multiplied."""
    n = start[-1]
    feature, level_set, merged_share = np.empty(n, np.int32), np.full(n, -1), np.ones(n)
    above, up_to, missing = np.full(n, -np.inf), np.full(n, np.inf), np.ones(n, np.bool_)
    n_sets = 0
    for leaf in range(len(leaf_node)):
        i = leaf_node[leaf]
        while parent[i] >= 0:
            c = start[leaf] + nodes.slot[i]
            if nodes.level_set[i] >= 0 and level_set[c] < 0:
                level_set[c] = n_sets
                n_sets += 1
            i = parent[i]
    levels = np.ones((n_sets, N_CODES), np.bool_)
    for leaf in range(len(leaf_node)):
        i = leaf_node[leaf]
        while parent[i] >= 0:
            c = start[leaf] + nodes.slot[i]
            feature[c] = nodes.feature[i]
            merged_share[c] *= share[i]
            missing[c] &= nodes.missing[i]
            if nodes.level_set[i] >= 0:
                levels[level_set[c]] &= nodes.levels[nodes.level_set[i]]
            elif nodes.is_left[i]:
                up_to[c] = min(up_to[c], nodes.threshold[i])
            else:
                above[c] = max(above[c], nodes.threshold[i])
            i = parent[i]
    return feature, above, up_to, missing, level_set, merged_share, levels


# patterns -------------------------------------------------------------------------------------------------------------


@compiled
def passes(value: float, nodes: Nodes, i: int) -> bool:
    """Whether one value takes the edge into node ``i``."""
    if np.isnan(value):
        return nodes.missing[i]
    if nodes.level_set[i] >= 0:
        return nodes.levels[nodes.level_set[i], int(value)]
    return (value <= nodes.threshold[i]) == nodes.is_left[i]


@compiled
def add_failures(patterns: np.ndarray, before: np.ndarray, values: np.ndarray, nodes: Nodes, i: int) -> None:
    """Patterns at node ``i`` from those at its parent; separate loops, because each of them fits into vector registers."""
    bit, threshold = np.int64(1) << np.int64(nodes.slot[i]), nodes.threshold[i]
    if nodes.level_set[i] >= 0:
        for r in range(len(values)):
            patterns[r] = before[r] | (np.int64(0) if passes(values[r], nodes, i) else bit)
    elif nodes.is_left[i] and nodes.missing[i]:
        for r in range(len(values)):
            patterns[r] = before[r] | (bit if values[r] > threshold else np.int64(0))
    elif nodes.is_left[i]:
        for r in range(len(values)):
            patterns[r] = before[r] | (np.int64(0) if values[r] <= threshold else bit)
    elif nodes.missing[i]:
        for r in range(len(values)):
            patterns[r] = before[r] | (bit if values[r] <= threshold else np.int64(0))
    else:
        for r in range(len(values)):
            patterns[r] = before[r] | (np.int64(0) if values[r] > threshold else bit)


@compiled
def group(patterns: np.ndarray, distinct: np.ndarray, member: np.ndarray, count: np.ndarray, table: np.ndarray) -> int:
    """Number the distinct patterns: ``distinct[g]`` occurs ``count[g]`` times, row ``r`` belongs to ``member[r]``.

    ``table`` is an open hash table, all -1 before and after: emptying the run behind every pattern empties all of it.
    """
    n_groups, last = 0, len(table) - 1
    for r in range(len(patterns)):
        pattern = patterns[r]
        place = (pattern ^ (pattern >> 13) ^ (pattern >> 29)) & last
        while table[place] >= 0 and distinct[table[place]] != pattern:
            place = (place + 1) & last
        if table[place] < 0:
            table[place] = n_groups
            distinct[n_groups], count[n_groups] = pattern, 0
            n_groups += 1
        g = table[place]
        count[g] += 1
        member[r] = g
    for g in range(n_groups):
        pattern = distinct[g]
        place = (pattern ^ (pattern >> 13) ^ (pattern >> 29)) & last
        while table[place] >= 0:
            table[place] = -1
            place = (place + 1) & last
    return n_groups


@compiled
def empty_table(n_rows: int) -> np.ndarray:
    """A hash table with room to spare, its size a power of two."""
    size = 16
    while size < 2 * n_rows:
        size *= 2
    return np.full(size, -1, np.int32)


@compiled
def n_bits(pattern: int) -> int:
    """How many conditions fail."""
    count = 0
    while pattern:
        pattern &= pattern - 1
        count += 1
    return count


@compiled
def add_to_rows(shares: np.ndarray, phi: np.ndarray, member: np.ndarray, leaves: Leaves, leaf: int, live: np.ndarray) -> None:
    """Give every row of the block the shares of its pattern, times the leaf's values."""
    first, d = leaves.start[leaf], leaves.start[leaf + 1] - leaves.start[leaf]
    feature, output = leaves.feature[first : first + d], leaves.output[leaf]
    for v in range(leaves.value.shape[1]):
        value, of_output = leaves.value[leaf, v], phi[output + v]
        if value != 0.0:
            for r in range(len(member)):
                g = member[r]
                if live[g]:
                    for s in range(d):
                        of_output[r, feature[s]] += value * shares[g, s]


# Shapley values -------------------------------------------------------------------------------------------------------


@compiled
def marginal_shares(
    shares: np.ndarray,
    live: np.ndarray,
    x: np.ndarray,
    z: np.ndarray,
    z_count: np.ndarray,
    z_failures: np.ndarray,
    z_fails: np.ndarray,
    d: int,
    gain: np.ndarray,
    loss: np.ndarray,
) -> None:
    """Shares (patterns, slots) of a leaf of value 1 for rows of patterns ``x``, summed over background rows of patterns ``z``.

    In the game of one row and one background row, a coalition reaches the leaf if it holds all ``a`` features on which only
    the background row fails and none of the ``b`` on which only the row fails; no coalition does if both fail on the same
    feature. Each of the ``a`` gains (a - 1)! b! / (a + b)!, each of the ``b`` loses a! (b - 1)! / (a + b)!.
    """
    for u in range(len(z)):
        z_failures[u] = n_bits(z[u])
        for s in range(d):
            z_fails[u, s] = (z[u] >> s) & 1
    for g in range(len(x)):
        b, lost, share = n_bits(x[g]), 0.0, shares[g]
        share[:d] = 0.0
        live[g] = False
        for u in range(len(z)):
            if x[g] & z[u] == 0:
                live[g] = True
                a = z_failures[u]
                lost += z_count[u] * loss[a, b]
                gained = z_count[u] * gain[a, b]
                for s in range(d):
                    share[s] += gained * z_fails[u, s]
        if live[g]:
            for s in range(d):
                share[s] -= lost * ((x[g] >> s) & 1)


@compiled
def marginal(
    nodes: Nodes,
    leaves: Leaves,
    first: int,
    last: int,
    values: np.ndarray,
    n_rows: int,
    gain: np.ndarray,
    loss: np.ndarray,
    n_outputs: int,
) -> np.ndarray:
    """Interventional Shapley values (outputs, rows, features) of nodes ``first`` to ``last``, summed over the background.

    ``values`` (features, points): columns of the ``n_rows`` rows, then of the background.
    """
    n_points, n_slots = values.shape[1], gain.shape[0] - 1
    n_background = n_points - n_rows
    patterns = np.zeros((nodes.depth[first:last].max() + 1, n_points), np.int64)
    table = empty_table(max(n_rows, n_background))
    x, x_member, x_count = np.empty(n_rows, np.int64), np.empty(n_rows, np.int32), np.empty(n_rows, np.int32)
    z, z_member, z_count = np.empty(n_background, np.int64), np.empty(n_background, np.int32), np.empty(n_background, np.int32)
    z_failures, z_fails = np.empty(n_background, np.int64), np.empty((n_background, n_slots))
    shares, live = np.empty((n_rows, n_slots)), np.empty(n_rows, np.bool_)
    phi = np.zeros((n_outputs, n_rows, values.shape[0]))
    for i in range(first, last):
        k, leaf = nodes.depth[i], nodes.leaf[i]
        if k > 0:
            add_failures(patterns[k], patterns[k - 1], values[nodes.feature[i]], nodes, i)
        if k > 0 and leaf >= 0:
            n_x = group(patterns[k, :n_rows], x, x_member, x_count, table)
            n_z = group(patterns[k, n_rows:], z, z_member, z_count, table)
            d = leaves.start[leaf + 1] - leaves.start[leaf]
            marginal_shares(shares, live, x[:n_x], z[:n_z], z_count, z_failures, z_fails, d, gain, loss)
            add_to_rows(shares, phi, x_member, leaves, leaf, live)
    return phi


@compiled
def path_dependent_shares(
    shares: np.ndarray,
    x: np.ndarray,
    kept: np.ndarray,
    t: np.ndarray,
    w: np.ndarray,
    absent: np.ndarray,
    present: np.ndarray,
    change: np.ndarray,
    product: np.ndarray,
) -> None:
    """Shares (patterns, slots) of a leaf of value 1 for rows of patterns ``x``, where others are weighed by training rows.

    The leaf's game is a product over its slots: 1 or 0 (the row passes or fails) for a feature in the coalition, the share
    ``kept`` of the training rows for another. The Shapley value of a slot is the integral over t of the difference it makes,
    1 - kept or -kept, times the product over the other slots of t * passes + (1 - t) * kept: a polynomial of degree d - 1,
    which (d + 1) // 2 Gauss points ``t`` with weights ``w`` integrate exactly.
    """
    d, n_points = len(kept), len(t)
    for s in range(d):
        for q in range(n_points):
            absent[s, q] = (1.0 - t[q]) * kept[s]
            present[s, q] = t[q] + absent[s, q]
            change[s, q] = (1.0 - kept[s]) / present[s, q]
    for g in range(len(x)):
        product[:n_points] = w
        for s in range(d):
            factor = absent[s] if (x[g] >> s) & 1 else present[s]
            for q in range(n_points):
                product[q] *= factor[q]
        lost = 0.0
        for q in range(n_points):
            lost += product[q] / (1.0 - t[q])
        for s in range(d):
            gained = 0.0
            for q in range(n_points):
                gained += product[q] * change[s, q]
            shares[g, s] = -lost if (x[g] >> s) & 1 else gained


@compiled
def path_dependent(
    nodes: Nodes,
    leaves: Leaves,
    first: int,
    last: int,
    values: np.ndarray,
    quadrature: np.ndarray,
    weights: np.ndarray,
    n_outputs: int,
) -> np.ndarray:
    """Path-dependent Shapley values (outputs, rows, features) of nodes ``first`` to ``last``.

    ``values`` (features, rows); row ``n - 1`` of ``quadrature`` and ``weights`` holds the rule of n Gauss points.
    """
    n_rows, n_slots = values.shape[1], quadrature.shape[0] * 2
    patterns = np.zeros((nodes.depth[first:last].max() + 1, n_rows), np.int64)
    table = empty_table(n_rows)
    x, x_member, x_count = np.empty(n_rows, np.int64), np.empty(n_rows, np.int32), np.empty(n_rows, np.int32)
    shares, live = np.empty((n_rows, n_slots)), np.ones(n_rows, np.bool_)
    (absent, present, change), product = np.empty((3, n_slots, n_slots)), np.empty(n_slots)
    phi = np.zeros((n_outputs, n_rows, values.shape[0]))
    for i in range(first, last):
        k, leaf = nodes.depth[i], nodes.leaf[i]
        if k > 0:
            add_failures(patterns[k], patterns[k - 1], values[nodes.feature[i]], nodes, i)
        if k > 0 and leaf >= 0:
            n_x = group(patterns[k], x, x_member, x_count, table)
            kept = leaves.share[leaves.start[leaf] : leaves.start[leaf + 1]]
            n_points = (len(kept) + 1) // 2
            t, w = quadrature[n_points - 1, :n_points], weights[n_points - 1, :n_points]
            path_dependent_shares(shares, x[:n_x], kept, t, w, absent, present, change, product)
            add_to_rows(shares, phi, x_member, leaves, leaf, live)
    return phi


# the same leaf by leaf, for paths of more features than a pattern has bits --------------------------------------------


@compiled
def satisfies(value: float, leaves: Leaves, c: int) -> bool:
    """Whether one value passes condition ``c`` of the table of leaves."""
    if np.isnan(value):
        return leaves.missing[c]
    if leaves.level_set[c] >= 0:
        return leaves.levels[leaves.level_set[c], int(value)]
    return leaves.above[c] < value <= leaves.up_to[c]


@compiled
def marginal_plain(
    leaves: Leaves,
    first: int,
    last: int,
    values: np.ndarray,
    n_rows: int,
    gain: np.ndarray,
    loss: np.ndarray,
    n_outputs: int,
) -> np.ndarray:
    """What :func:`marginal` computes, leaf by leaf and pair by pair, for any number of distinct features on a path."""
    n_features, n_points = values.shape
    phi = np.zeros((n_outputs, n_rows, n_features))
    failed = np.empty((n_points, gain.shape[0]), np.bool_)
    for leaf in range(first, last):
        start, d = leaves.start[leaf], leaves.start[leaf + 1] - leaves.start[leaf]
        for point in range(n_points):
            for s in range(d):
                failed[point, s] = not satisfies(values[leaves.feature[start + s], point], leaves, start + s)
        for r in range(n_rows):
            for z in range(n_rows, n_points):
                a, b, reached = 0, 0, True
                for s in range(d):
                    reached &= not (failed[r, s] and failed[z, s])
                    a, b = a + failed[z, s], b + failed[r, s]
                if not reached:
                    continue
                for s in range(d):
                    change = gain[a, b] * failed[z, s] - loss[a, b] * failed[r, s]
                    for v in range(leaves.value.shape[1]):
                        phi[leaves.output[leaf] + v, r, leaves.feature[start + s]] += leaves.value[leaf, v] * change
    return phi


@compiled
def path_dependent_plain(
    leaves: Leaves,
    first: int,
    last: int,
    values: np.ndarray,
    quadrature: np.ndarray,
    weights: np.ndarray,
    n_outputs: int,
) -> np.ndarray:
    """What :func:`path_dependent` computes, row by row, for any number of distinct features on a path."""
    n_features, n_rows = values.shape
    phi = np.zeros((n_outputs, n_rows, n_features))
    passed = np.empty(n_features, np.bool_)
    for leaf in range(first, last):
        start, end = leaves.start[leaf], leaves.start[leaf + 1]
        n_points = (end - start + 1) // 2
        for r in range(n_rows):
            for c in range(start, end):
                passed[c - start] = satisfies(values[leaves.feature[c], r], leaves, c)
            for q in range(n_points):
                t, product = quadrature[n_points - 1, q], weights[n_points - 1, q]
                for c in range(start, end):
                    product *= (1.0 - t) * leaves.share[c] + (t if passed[c - start] else 0.0)
                for c in range(start, end):
                    if passed[c - start]:
                        change = product * (1.0 - leaves.share[c]) / ((1.0 - t) * leaves.share[c] + t)
                    else:
                        change = -product / (1.0 - t)
                    for v in range(leaves.value.shape[1]):
                        phi[leaves.output[leaf] + v, r, leaves.feature[c]] += leaves.value[leaf, v] * change
    return phi


# partial dependence ---------------------------------------------------------------------------------------------------


@compiled
def partial_dependence(
    nodes: Nodes,
    leaves: Leaves,
    first: int,
    last: int,
    values: np.ndarray,
    feature_p: int,
    grid_p: np.ndarray,
    feature_q: int,
    grid_q: np.ndarray,
    n_outputs: int,
) -> np.ndarray:
    """Average (outputs, points, points) of nodes ``first`` to ``last`` with features p and q set to every pair of grid points.

    ``values`` (features, rows) is the background; -2 is no feature. Lists of rows walk down the tree; a test of a set feature
    lets all of them pass both ways, and the leaf asks the grid instead.
    """
    n_rows = values.shape[1]
    deepest = nodes.depth[first:last].max() + 1
    rows, n_alive, list_of = np.empty((deepest, n_rows), np.int32), np.zeros(deepest, np.int64), np.zeros(deepest, np.int32)
    average = np.zeros((n_outputs, len(grid_p), len(grid_q)))
    in_p, in_q = np.empty(len(grid_p), np.bool_), np.empty(len(grid_q), np.bool_)
    for r in range(n_rows):
        rows[0, r] = r
    n_alive[0] = n_rows
    i = first
    while i < last:
        k, feature, leaf = nodes.depth[i], nodes.feature[i], nodes.leaf[i]
        if k > 0 and feature in (feature_p, feature_q):
            list_of[k] = list_of[k - 1]
        elif k > 0:
            above, kept = list_of[k - 1], 0
            for place in range(n_alive[above]):
                r = rows[above, place]
                rows[k, kept] = r
                kept += passes(values[feature, r], nodes, i)
            list_of[k], n_alive[k] = k, kept
        weight = n_alive[list_of[k]] / n_rows
        if weight == 0.0:
            i = nodes.end[i]
            continue
        i += 1
        if leaf < 0:
            continue
        in_p[:], in_q[:] = True, True
        for c in range(leaves.start[leaf], leaves.start[leaf + 1]):
            if leaves.feature[c] == feature_p:
                for p in range(len(grid_p)):
                    in_p[p] = satisfies(grid_p[p], leaves, c)
            elif leaves.feature[c] == feature_q:
                for q in range(len(grid_q)):
                    in_q[q] = satisfies(grid_q[q], leaves, c)
        for v in range(leaves.value.shape[1]):
            of_output, share = average[leaves.output[leaf] + v], weight * leaves.value[leaf, v]
            for p in range(len(grid_p)):
                if in_p[p]:
                    for q in range(len(grid_q)):
                        of_output[p, q] += share if in_q[q] else 0.0
    return average
