"""Given the kept features: which of them each class is made of. Groups of paired classes are small programs of their own."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from heapq import heappop, heappush
from itertools import islice

import numpy as np
from scipy.optimize import linear_sum_assignment
from scipy.sparse import csr_matrix
from scipy.sparse.csgraph import connected_components, min_weight_full_bipartite_matching

from xailib.chiqpm.exact import Model, duplicates
from xailib.chiqpm.program import Program, components, core_numbers, neighbours

#: groups up to this many classes times features, and pairs, are small exact programs; larger ones are searched
EXACT_CELLS, EXACT_PAIRS = 300, 12
#: solver nodes per small program (not seconds, so that the same seed gives the same result), and rounds to keep its classes
#: apart from each other and from others
NODES, ROUNDS = 50, 3
ATTEMPTS = 60
#: how many choices of petals two paired classes try before they become a small program
MOST_TWINS = 500
#: how many subsets a class without partners may choose from, at first
FEW_SUBSETS = 12
#: classes without partners are shared out in the time that one paired class takes
SINGLES_PER_PAIRED = 50

Subset = frozenset[int]
Partners = list[set[int]]


@dataclass(frozen=True)
class Assignment:
    """W (C, k) bool, which classes are not proved best given the kept features, and how much work it was, in paired classes."""

    W: np.ndarray
    unproved: np.ndarray
    work: float


def assign(
    values: np.ndarray,
    n_per_class: int,
    pairs: Sequence[tuple[int, int]],
    old: Assignment | None = None,
    redo: np.ndarray | None = None,
) -> Assignment:
    """An assignment that meets all constraints, (nearly) best for ``values`` (C, k); or ``old`` with some classes done anew.

    Largest group first; what it takes is taken. Classes without partners come last, and share out what is left.
    """
    W = np.zeros(values.shape, dtype=bool) if old is None else old.W.copy()
    unproved = np.zeros(len(values), dtype=bool) if old is None else old.unproved.copy()
    redo = np.ones(len(values), dtype=bool) if redo is None else redo
    groups = components(len(values), pairs)
    due = [g for g in groups if redo[g].any()]
    again = np.concatenate([*due, np.empty(0, dtype=int)]).astype(int)
    taken = {frozenset(np.flatnonzero(w).tolist()) for w in np.delete(W, again, axis=0)} if old is not None else set()
    W[again] = False
    solved = [g for g in due if len(g) > 1]
    for group in solved:
        found, proved = solve_group(values[group], n_per_class, _inside(group, pairs), taken)
        unproved[group] = not proved
        for c, subset in zip(group, found, strict=True):
            W[c, list(subset)] = True
        taken.update(found)
    singles = np.array([g[0] for g in due if len(g) == 1], dtype=int)
    for c, subset in zip(singles, distinct_subsets(values[singles], n_per_class, taken), strict=True):
        W[c, list(subset)] = True
    return Assignment(W, unproved, sum(map(len, solved)) + len(singles) / SINGLES_PER_PAIRED)


def _inside(group: np.ndarray, pairs: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """The pairs within a group, in its own numbering."""
    place = {int(c): k for k, c in enumerate(group)}
    return [(place[c], place[d]) for c, d in pairs if c in place]


def distinct_subsets(values: np.ndarray, n: int, taken: set[Subset]) -> list[Subset]:
    """Different subsets for classes without partners, largest total: classes matched with the best few free ones of each."""
    if len(values) == 0:
        return []
    width = min(FEW_SUBSETS, len(values))
    while True:
        options = [list(islice((s for s in best_subsets(row, n) if s not in taken), width)) for row in values]
        number = {s: k for k, s in enumerate(dict.fromkeys(s for few in options for s in few))}
        rows = np.repeat(np.arange(len(values)), [len(few) for few in options])
        columns = np.array([number[s] for few in options for s in few])
        gain = np.array([values[c, list(s)].sum() for c, few in enumerate(options) for s in few])
        # costs must be positive, because the matching takes a zero for "not allowed"
        graph = csr_matrix((gain.max() - gain + np.ptp(gain) + 1.0, (rows, columns)), shape=(len(values), len(number)))
        try:
            chosen = min_weight_full_bipartite_matching(graph)[1]
        except ValueError:  # too many classes want the same few
            width *= 2
            continue
        subsets = list(number)
        return [subsets[k] for k in chosen]


def best_subsets(values: np.ndarray, n: int) -> Iterator[Subset]:
    """All subsets of ``n`` entries, largest sum first: the neighbours of a subset move one of its entries one place down."""
    order = np.argsort(-values, kind="stable")
    ranked = values[order]
    start = tuple(range(n))
    heap, seen = [(-float(ranked[:n].sum()), start)], {start}
    while heap:
        loss, places = heappop(heap)
        yield frozenset(order[list(places)].tolist())
        for k, place in enumerate(places):
            if place + 1 < (places[k + 1] if k + 1 < n else len(ranked)):
                following = (*places[:k], place + 1, *places[k + 1 :])
                if following not in seen:
                    seen.add(following)
                    heappush(heap, (loss + float(ranked[place] - ranked[place + 1]), following))


# --- one group of paired classes ----------------------------------------------------------------------------------------


def solve_group(values: np.ndarray, n: int, pairs: Sequence[tuple[int, int]], taken: set[Subset]) -> tuple[list[Subset], bool]:
    """Subsets for the classes of one group, none of them taken, and whether they are proved best."""
    if len(values) == 2:
        options = best_twins(values, n)
        first = next(options)
        if not taken & set(first):
            return first, True
        free = next((twins for twins in islice(options, MOST_TWINS) if not taken & set(twins)), None)
        if free is not None:
            return free, False
    elif values.size <= EXACT_CELLS and len(pairs) <= EXACT_PAIRS:
        found, proved = _exactly(values, n, pairs, taken)
        if found is not None:
            return found, proved
    return _by_search(values, n, pairs, taken), False


def best_twins(values: np.ndarray, n: int) -> Iterator[list[Subset]]:
    """Two subsets that share all features but one, for two classes: for each choice of petals the best core; best choice first.

    For given petals p and q the core is the n - 1 best others for the sum of both classes. So all p and q are tried at once: from
    the n + 1 best for the sum take away the petals, and then the least until n - 1 are left.
    """
    both = values.sum(axis=0)
    order = np.argsort(-both, kind="stable")
    top = np.isin(np.arange(len(both)), order[: n + 1])
    last, before_last = both[order[n]], both[order[n - 1]]
    taken_away = top[:, None].astype(int) + top
    is_last = np.arange(len(both)) == order[n]
    least = np.where(is_last[:, None] | is_last, before_last, last)
    excess = np.where(taken_away == 0, last + before_last, np.where(taken_away == 1, least, 0.0))
    in_top = np.where(top, both, 0.0)
    total = values[0][:, None] - in_top[:, None] + values[1] - in_top - excess
    np.fill_diagonal(total, -np.inf)
    for place in np.argsort(-total, axis=None, kind="stable")[: len(both) * (len(both) - 1)]:
        p, q = divmod(int(place), len(both))
        core = [int(f) for f in order[: n + 1] if f not in (p, q)][: n - 1]
        yield [frozenset([*core, p]), frozenset([*core, q])]


def _exactly(
    values: np.ndarray, n: int, pairs: Sequence[tuple[int, int]], taken: set[Subset]
) -> tuple[list[Subset] | None, bool]:
    """Best subsets for a small group, and whether that is proved; None if classes still want the same after a few rounds."""
    program = Program(np.ascontiguousarray(values.T), values.shape[1], n, tuple(pairs))
    apart: set[tuple[int, int]] = set()
    clashes: list[tuple[int, Subset]] = []
    for _ in range(ROUNDS):
        model = Model(program, sorted(apart))
        for c, subset in clashes:
            model.forbid([(c, np.array(list(subset)))])
        answer = model.solve(node_limit=NODES)
        if answer.x is None:
            return None, False
        W = model.read(answer.x)[1]
        subsets = [frozenset(np.flatnonzero(w).tolist()) for w in W]
        alike = {(c, d) for c, d, _ in duplicates(W)}
        known = len(clashes)
        clashes += [(c, s) for c, s in enumerate(subsets) if s in taken]
        if not alike and len(clashes) == known:
            return subsets, answer.status == 0
        apart |= alike
    return None, False


def _by_search(values: np.ndarray, n: int, pairs: Sequence[tuple[int, int]], taken: set[Subset]) -> list[Subset]:
    """A first embedding, then better and better: exchange features along chains, and move single classes."""
    partners = neighbours(len(values), pairs)
    found = embed(values, n, partners, taken)
    while True:
        before = _total(values, found)
        found = relocate(values, n, exchange(values, found, pairs, taken), partners, taken)
        if _total(values, found) <= before + 1e-9:
            return found


def _total(values: np.ndarray, subsets: Sequence[Subset]) -> float:
    return float(sum(row[list(subset)].sum() for row, subset in zip(values, subsets, strict=True)))


# --- a first embedding --------------------------------------------------------------------------------------------------


def embed(values: np.ndarray, n: int, partners: Partners, taken: set[Subset]) -> list[Subset]:
    """Subsets, one per class of a connected group, such that partners share all but one feature; none is taken, all differ.

    First greedily; then as one sunflower, if the group is small enough; then with all but two features common to everybody, where
    two classes already placed always leave room for a third. Densest classes first, in random variations.
    """
    rng = np.random.default_rng(0)
    for attempt in range(ATTEMPTS):
        if attempt == 1:
            found = sunflower(values, n, taken)
        else:
            noise = 1 + 0.3 * rng.random(values.shape[1]) * (attempt > 2)
            common = np.argsort(-values.sum(axis=0) * noise)[: max(n - 2, 0)] if attempt else np.empty(0, dtype=int)
            found = _one_by_one(values, n, partners, taken, frozenset(common.tolist()))
        if found is not None:
            return found
    raise ValueError(
        f"pairs connect {len(values)} classes into one group, and no assignment of {n} of {values.shape[1]} features was found "
        f"that meets them all in {ATTEMPTS} attempts: raise n_features, or ask for fewer pairs."
    )


def sunflower(values: np.ndarray, n: int, taken: set[Subset]) -> list[Subset] | None:
    """One core of n - 1 features for all and one petal each; None if there are not enough petals."""
    k = values.shape[1]
    if len(values) > k - n + 1:
        return None
    core = np.argsort(-values.sum(axis=0), kind="stable")[: n - 1]
    petals = np.setdiff1d(np.arange(k), core)
    free = np.array([frozenset([*core.tolist(), int(p)]) not in taken for p in petals])
    if free.sum() < len(values):
        return None
    _, chosen = linear_sum_assignment(-values[:, petals[free]])
    return [frozenset([*core.tolist(), int(p)]) for p in petals[free][chosen]]


def _one_by_one(values: np.ndarray, n: int, partners: Partners, taken: set[Subset], common: Subset) -> list[Subset] | None:
    """Place classes next to their partners, best subset first; None at a dead end."""
    _, core = core_numbers(partners, range(len(values)))
    placed: dict[int, Subset] = {}
    hub: Subset = common
    used = set(taken)
    while len(placed) < len(values):
        waiting = (c for c in range(len(values)) if c not in placed)
        c = max(waiting, key=lambda x: (core[x] >= 3, sum(d in placed for d in partners[x]), core[x], -x))
        around = [placed[d] for d in sorted(partners[c]) if d in placed]
        if around:
            options = [s for s in one_swap_away(around[0], common, values.shape[1]) if s not in used]
            options = [s for s in options if all(len(s & other) == n - 1 for other in around[1:])]
        else:
            favoured = values[c] + 1e3 * np.abs(values).max() * np.isin(np.arange(values.shape[1]), list(common))
            options = [next(s for s in best_subsets(favoured, n) if s not in used)]
        if not options:
            return None
        dense = bool(common) and core[c] >= 3
        placed[c] = max(options, key=lambda s: (dense and hub <= s, values[c][list(s)].sum()))
        if dense and around and hub == common:
            hub = placed[c] & around[0]
        used.add(placed[c])
    return [placed[c] for c in range(len(values))]


def one_swap_away(subset: Subset, keep: Subset, k: int) -> Iterator[Subset]:
    """All subsets that differ in one feature; those in ``keep`` stay."""
    for x in sorted(subset - keep):
        yield from ((subset - {x}) | {y} for y in range(k) if y not in subset)


def exchange(values: np.ndarray, found: Sequence[Subset], pairs: Sequence[tuple[int, int]], taken: set[Subset]) -> list[Subset]:
    """Improve by exchanging two features p and q along chains.

    Take the classes that have exactly one of p and q, connected where they are partners. Exchanging p and q in a whole connected
    chain keeps what all partners share: within the chain both sides change, and outside it classes have both or none. It is the
    chain that Kempe used to recolour maps.
    """
    W: np.ndarray = np.zeros(values.shape, dtype=bool)
    for c, subset in enumerate(found):
        W[c, list(subset)] = True
    edges = np.array(pairs, dtype=int).reshape(-1, 2)
    first, second = edges[:, 0], edges[:, 1]
    used = set(found) | taken
    improved = True
    while improved:
        improved = False
        for p in range(W.shape[1]):
            for q in range(p + 1, W.shape[1]):
                one = W[:, p] ^ W[:, q]
                gain = np.where(one, (values[:, q] - values[:, p]) * np.where(W[:, p], 1, -1), 0.0)
                if not (gain > 1e-9).any():
                    continue
                edge = one[first] & one[second]
                graph = csr_matrix((np.ones(edge.sum()), (first[edge], second[edge])), shape=(len(W), len(W)))
                label = connected_components(graph, directed=False)[1]
                for chain in np.flatnonzero(np.bincount(label, gain) > 1e-9):
                    improved |= _swap(W, np.flatnonzero((label == chain) & one), p, q, used)
    return [frozenset(np.flatnonzero(w).tolist()) for w in W]


def relocate(values: np.ndarray, n: int, found: Sequence[Subset], partners: Partners, taken: set[Subset]) -> list[Subset]:
    """Move single classes to the best free subset beside all their partners, until none moves."""
    found, used = list(found), set(found) | taken
    moved = True
    while moved:
        moved = False
        for c, around in enumerate(partners):
            first, *others = [found[d] for d in sorted(around)]
            options = [s for s in one_swap_away(first, frozenset(), values.shape[1]) if s not in used]
            options = [s for s in options if all(len(s & other) == n - 1 for other in others)]
            best = max(options, key=lambda s: values[c][list(s)].sum(), default=found[c])
            if values[c][list(best)].sum() > values[c][list(found[c])].sum() + 1e-9:
                used = (used - {found[c]}) | {best}
                found[c], moved = best, True
    return found


def _swap(W: np.ndarray, members: np.ndarray, p: int, q: int, used: set[Subset]) -> bool:
    """Exchange p and q in these classes unless that makes two classes alike."""
    old = {frozenset(np.flatnonzero(w).tolist()) for w in W[members]}
    W[members[:, None], [p, q]] = W[members[:, None], [q, p]]
    new = {frozenset(np.flatnonzero(w).tolist()) for w in W[members]}
    if new & (used - old):
        W[members[:, None], [p, q]] = W[members[:, None], [q, p]]
        return False
    used -= old
    used |= new
    return True
