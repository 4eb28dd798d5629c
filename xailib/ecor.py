"""ECOR: which category, and for which reason, as one joint probability of both.

A frozen network of two towers puts pictures and sentences into one space. Sentences about a rationale, and about a category
*because of* a rationale, make a joint distribution over pairs; the best pairs vote for a category and are its explanation.
What can be learned, without touching the towers, is a handful of extra tokens for the image tower.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from string import Formatter
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from xailib import _cache
from xailib import _validation as check
from xailib._networks import as_tensor, undisturbed
from xailib._networks import blocks as batches
from xailib._progress import progress
from xailib._training import TrainingRun, one_thread

__all__ = [
    "CIFAR10",
    "FACTORISATIONS",
    "OUTCOMES",
    "Beliefs",
    "Rationales",
    "Templates",
    "TopPairs",
    "Tuned",
    "beliefs",
    "from_scores",
    "outcomes",
    "prompts",
    "rationales",
    "read_rationales",
    "shares",
    "top_pairs",
    "tune",
    "vote",
]

BATCH_SIZE = 64
#: standard deviation of the prompt tokens before they are tuned
INITIAL_SPREAD = 0.1
OUTCOMES = ("RR", "RW", "WR", "WW")

FACTORISATIONS: dict[str, tuple[tuple[str, str], ...]] = {
    "ecor": (("rationale", "r"), ("pair", "c")),
    "dror": (("pair", "cr"),),
    "independence": (("category", "c"), ("rationale", "r")),
    "category-first": (("category", "c"), ("pair", "r")),
    "false conditioning": (("rationale", "r"), ("reversed", "c")),
    "plain": (("rationale", "r"), ("category", "c")),
    "with": (("rationale", "r"), ("with_rationale", "c")),
}
"""The joint as a product of softmaxes: for each factor the template it asks with, and over what it sums to one (c, r or both)."""

CIFAR10: dict[str, tuple[str, ...]] = {
    "airplane": ("long fixed wings", "jet engines", "a pointed nose", "a row of small windows", "a tail fin", "landing gear"),
    "automobile": ("four round tyres", "a windscreen", "headlights", "a low roof", "side doors", "a number plate"),
    "bird": ("a beak", "feathers", "two thin legs", "folded wings", "a small round head"),
    "cat": ("upright pointed ears", "whiskers", "a long tail", "soft fur", "narrow pupils", "four legs"),
    "deer": ("branching antlers", "a brown coat", "four legs", "hooves", "a short tail", "large ears at the side"),
    "dog": ("a broad muzzle", "hanging ears", "a wet black nose", "soft fur", "a long tail", "four legs"),
    "frog": ("bulging eyes", "a wide mouth", "smooth moist skin", "long folded hind legs", "webbed feet"),
    "horse": ("a mane", "hooves", "a long face", "four legs", "a brown coat", "a tail of long hair"),
    "ship": ("a hull", "a deck", "a mast", "a funnel", "water all around", "a row of small windows"),
    "truck": ("a tall cab", "a large load area", "four round tyres", "headlights", "a windscreen", "side mirrors", "side doors"),
}
"""Five to seven visual features for each category of CIFAR-10, some of them shared: our own words in the benchmark's form."""


@dataclass(frozen=True, eq=False)
class Rationales:
    """Candidates: which categories there are, which rationales, and which category lists which.

    Attributes
    ----------
    categories : C names
    rationales : R distinct texts
    listed : (C, R) bool, read-only
    """

    categories: tuple[str, ...]
    rationales: tuple[str, ...]
    listed: np.ndarray

    def of(self, category: int | str) -> list[str]:
        """The rationales that a category, given by name or number, lists."""
        return [self.rationales[j] for j in np.flatnonzero(self.listed[_number_of(category, "category", self.categories)])]

    def number(self, rationale: str) -> int:
        """The number of a rationale given by its text."""
        return _number_of(check.instance(rationale, str, "rationale"), "rationale", self.rationales)

    def to_frame(self) -> pd.DataFrame:
        """Categories by rationales, True where listed."""
        return pd.DataFrame(self.listed, index=list(self.categories), columns=list(self.rationales))

    def __repr__(self) -> str:
        shared = int((self.listed.sum(axis=0) > 1).sum())
        return f"Rationales({len(self.categories)} categories, {len(self.rationales)} rationales, {shared} of them shared)"


@dataclass(frozen=True)
class Templates:
    """Sentences with gaps: ``{c}`` for the category, ``{r}`` for the rationale.

    Attributes
    ----------
    rationale : about a rationale alone
    category : about a category alone
    pair : the category because of the rationale
    reversed : the rationale because of the category
    with_rationale : the category beside the rationale, with no "because"

    Raises
    ------
    ValueError
        If a template lacks one of its fields, or has one that nobody fills.
    """

    rationale: str = "There is {r}."
    category: str = "This is a photo of a {c}."
    pair: str = "This is a photo of a {c} because there is {r}."
    reversed: str = "There is {r} because this is a photo of a {c}."
    with_rationale: str = "This is a photo of a {c} with {r}."

    def __post_init__(self) -> None:
        for field in fields(self):
            _check_template(field.name, getattr(self, field.name))


def _check_template(name: str, template: Any) -> None:
    wanted = {"rationale": {"r"}, "category": {"c"}}.get(name, {"c", "r"})
    shape = check.listed(f"{{{gap}}}" for gap in sorted(wanted))
    if not isinstance(template, str):
        raise TypeError(f"{name} must be a template with {shape}, not {check.shown(template)}.")
    try:
        given = {gap for _, gap, _, _ in Formatter().parse(template) if gap is not None}
    except ValueError:
        given = {"a brace that is not closed"}
    if given != wanted:
        raise ValueError(f"{name} must be a template whose fields are {shape}, once or more often, not {check.shown(template)}.")


DEFAULT_TEMPLATES = Templates()


@dataclass(frozen=True, eq=False)
class Beliefs:
    """What the towers believe of each picture: a probability for every pair of category and rationale.

    Attributes
    ----------
    joint : (n, C, R), sums to one for each picture
    factors : the softmaxes whose product it is, by name: ``"P(r|I)"`` (n, R), ``"P(c|I)"`` (n, C), ``"P(c|r,I)"``,
        ``"P(r|c,I)"`` and ``"P(c,r|I)"`` (n, C, R)
    rationales : the candidates
    factorisation : one of ``FACTORISATIONS``
    """

    joint: np.ndarray
    factors: dict[str, np.ndarray]
    rationales: Rationales
    factorisation: str

    @property
    def category(self) -> np.ndarray:
        """P(c|I), (n, C): the joint summed over rationales."""
        return self.joint.sum(axis=2)

    @property
    def rationale(self) -> np.ndarray:
        """P(r|I), (n, R): the joint summed over categories."""
        return self.joint.sum(axis=1)

    def top_rationales(self, m: int = 3) -> np.ndarray:
        """Numbers of the m most probable rationales of each picture, (n, m), each chosen on its own."""
        check.number(m, "m", low=1, high=len(self.rationales.rationales), integer=True)
        return np.argsort(-self.rationale, axis=1, kind="stable")[:, :m]

    def top_pairs(self, k: int = 5, *, beam: int | None = None) -> TopPairs:
        """The k most probable pairs of each picture: :func:`top_pairs`."""
        return top_pairs(self, k, beam=beam)

    def vote(self, k: int = 5) -> np.ndarray:
        """The category that the k most probable pairs vote for, (n,): :func:`vote`."""
        return vote(self.top_pairs(k))

    def __repr__(self) -> str:
        n, c, r = self.joint.shape
        return f"Beliefs({self.factorisation}: {' * '.join(self.factors)}; {n} pictures, {c} categories, {r} rationales)"


@dataclass(frozen=True, eq=False)
class TopPairs:
    """The best pairs of each picture, best first: the explanation, and the voters.

    Attributes
    ----------
    category, rationale : (n, k) numbers
    probability : (n, k), the joint
    rationales : the candidates
    """

    category: np.ndarray
    rationale: np.ndarray
    probability: np.ndarray
    rationales: Rationales

    def to_frame(self, picture: int = 0) -> pd.DataFrame:
        """The pairs of one picture: category, rationale, probability."""
        check.number(picture, "picture", low=0, high=len(self.category) - 1, integer=True)
        names = [self.rationales.categories[c] for c in self.category[picture]]
        reasons = [self.rationales.rationales[r] for r in self.rationale[picture]]
        return pd.DataFrame({"category": names, "rationale": reasons, "probability": self.probability[picture]})

    def __repr__(self) -> str:
        c, r = (names[number[0, 0]] for names, number in self._best())
        return f"TopPairs({len(self.category)} pictures, {self.category.shape[1]} pairs each; first: {c} because of {r})"

    def _best(self) -> Iterator[tuple[tuple[str, ...], np.ndarray]]:
        yield self.rationales.categories, self.category
        yield self.rationales.rationales, self.rationale


@dataclass(frozen=True, eq=False)
class Tuned:
    """Prompt tokens, and how they came about.

    Attributes
    ----------
    prompt : block number -> tensor (n_tokens, width), of the best epoch; give it to :func:`beliefs`
    history : one row an epoch: ``training_loss`` (as trained), ``validation_loss`` (minus log of the joint at the labelled pair)
    best_epoch : int; 0 are the tokens before training
    factorisation, loss : what was trained
    """

    prompt: dict[int, Tensor]
    history: pd.DataFrame
    best_epoch: int
    factorisation: str
    loss: str

    @property
    def n_parameters(self) -> int:
        """How many numbers were learned."""
        return sum(tokens.numel() for tokens in self.prompt.values())

    def __repr__(self) -> str:
        first, best = (self.history["validation_loss"].iloc[k] for k in (0, self.best_epoch))
        n_tokens = len(next(iter(self.prompt.values())))
        where = f"{n_tokens} token{'s' if n_tokens > 1 else ''} at block{'s' if len(self.prompt) > 1 else ''}"
        return (
            f"Tuned({self.factorisation}; {where} {check.listed(self.prompt)}, {self.n_parameters} numbers; "
            f"validation loss {first:.2f} -> {best:.2f} in epoch {self.best_epoch})"
        )


# --- candidates -----------------------------------------------------------------------------------------------------


def rationales(lists: Mapping[str, Sequence[str]], *, extra: Sequence[str] = ()) -> Rationales:
    """Candidates from lists of rationales, one list a category.

    Parameters
    ----------
    lists : {category: [rationale, ...]}; a rationale may stand in several lists
    extra : candidates that no category lists

    Returns
    -------
    Rationales
        Categories in the order given, rationales in the order of first mention.

    Raises
    ------
    TypeError, ValueError
        If there is no category, or one without rationales: no pair of it could ever be right.

    Notes
    -----
    The form of the benchmark of Mao et al. (2023). Taught in chapter 15.

    Examples
    --------
    >>> pets = rationales({"cat": ["whiskers", "soft fur"], "dog": ["hanging ears", "soft fur"]})
    >>> pets, pets.of("dog")
    (Rationales(2 categories, 3 rationales, 1 of them shared), ['soft fur', 'hanging ears'])
    """
    if not isinstance(lists, Mapping):
        raise TypeError(f"lists must be a mapping of category to rationales, not {check.shown(lists)}.")
    own = {_name(c, "lists, a category,"): _texts(r, f"lists, category {c!r}, rationales") for c, r in lists.items()}
    if not own:
        raise ValueError("lists is empty: give at least one category with its rationales.")
    empty = [c for c, texts in own.items() if not texts]
    if empty:
        raise ValueError(
            f"lists has categories without rationales, {check.listed(empty)}: give each at least one, or leave it out."
        )
    texts = list(dict.fromkeys([r for texts in own.values() for r in texts] + _texts(extra, "extra")))
    listed = np.array([[r in own_texts for r in texts] for own_texts in own.values()])
    listed.setflags(write=False)
    return Rationales(tuple(own), tuple(texts), listed)


def read_rationales(path: str | Path, *, leave_out_empty: bool = False) -> Rationales:
    """Candidates from a file in the benchmark's form: JSON, ``{"category": ["rationale", ...], ...}``.

    Parameters
    ----------
    path : the file
    leave_out_empty : bool, leave out categories without rationales instead of refusing the file

    Returns
    -------
    Rationales

    Raises
    ------
    TypeError, ValueError, FileNotFoundError
        If there is no such file, it is no JSON of that form, or a category is empty.

    Notes
    -----
    Four of the six published files have categories without rationales, which no method can get right for the right reason.
    Taught in chapter 15.
    """
    if not isinstance(path, str | Path):
        raise TypeError(f"path must be the path of a JSON file, not {check.shown(path)}.")
    check.flag(leave_out_empty, "leave_out_empty")
    if not Path(path).is_file():
        raise FileNotFoundError(f"path {str(path)!r} is no file: give a JSON file of categories and their rationales.")
    try:
        lists = json.loads(Path(path).read_text(encoding="utf-8"))
    except ValueError:
        raise ValueError(f"path {str(path)!r} does not hold JSON: give a file of the form {{category: [rationales]}}.") from None
    if not isinstance(lists, dict):
        raise ValueError(f"path {str(path)!r} must hold one JSON object, {{category: [rationales]}}, not {check.shown(lists)}.")
    return rationales({c: texts for c, texts in lists.items() if texts or not leave_out_empty})


def prompts(
    rationales: Rationales, *, factorisation: str = "ecor", templates: Templates = DEFAULT_TEMPLATES
) -> dict[str, np.ndarray]:
    """The sentences that a factorisation asks with, by the name of their template.

    Parameters
    ----------
    rationales : Rationales
    factorisation : one of ``FACTORISATIONS``
    templates : Templates

    Returns
    -------
    dict
        Arrays of texts: ``"rationale"`` (R,), ``"category"`` (C,), every other (C, R).

    Raises
    ------
    TypeError, ValueError
        If an argument is not of its kind.

    Notes
    -----
    Taught in chapter 15.

    Examples
    --------
    >>> pets = rationales({"cat": ["whiskers"], "dog": ["hanging ears"]})
    >>> prompts(pets)["pair"][1, 0]
    'This is a photo of a dog because there is whiskers.'
    """
    stages = _stages(factorisation)
    _check_candidates(rationales, templates)
    return {name: _filled(getattr(templates, name), name, rationales) for name, _ in stages}


# --- the joint ------------------------------------------------------------------------------------------------------


def beliefs(
    towers: Any,
    images: Any,
    rationales: Rationales,
    *,
    factorisation: str = "ecor",
    templates: Templates = DEFAULT_TEMPLATES,
    prompt: Mapping[int, Any] | None = None,
    batch_size: int = BATCH_SIZE,
) -> Beliefs:
    r"""The joint probability of category and rationale for each picture, rationale first.

    .. math:: P(c, r|I) = P(r|I)\, P(c|r, I), \qquad
        P(r|I) = \operatorname{softmax}_r \tau \langle v_I, t_r \rangle, \quad
        P(c|r, I) = \operatorname{softmax}_c \tau \langle v_I, t_{c,r} \rangle

    Parameters
    ----------
    towers : torch module with ``encode_image(images, prompt_tokens=None)``, ``encode_text(list of str)``, which give unit
        vectors, and ``logit_scale``, the number :math:`\tau`
    images : array or tensor, shape (n, channels, height, width)
    rationales : Rationales
    factorisation : one of ``FACTORISATIONS``
        ``"ecor"`` as above. ``"dror"``: one softmax over all pairs. ``"category-first"``: P(c|I) P(r|c,I).
        ``"independence"``: P(c|I) P(r|I). ``"plain"``, ``"with"`` and ``"false conditioning"``: as ECOR, but the second softmax
        asks with the template ``category``, ``with_rationale`` or ``reversed``. With the same templates ``"plain"`` and
        ``"independence"`` are one formula under two names.
    templates : Templates
    prompt : {block number: tokens (K, width)}, as from :func:`tune`; None for the towers as they are
    batch_size : int, pictures per call of the image tower

    Returns
    -------
    Beliefs

    Raises
    ------
    TypeError, ValueError
        If an argument is not of its kind, or a tower does not answer with unit vectors.

    Notes
    -----
    The second softmax runs over categories for each rationale separately. That is the whole difference from ``"dror"`` in
    which all pairs share one. By the chain rule either order can write down any joint: what differs is which sentences are asked,
    what is normalised, and what a truncated list keeps. Mao et al. (2023), "Doubly right object recognition"; ECOR,
    arXiv:2404.12839. Taught in chapter 15.
    """
    stages = _stages(factorisation)
    _check_candidates(rationales, templates)
    _check_towers(towers)
    x = check.images(images)
    check.number(batch_size, "batch_size", low=1, integer=True)
    with undisturbed(towers), torch.no_grad():
        tokens = _prompt_tokens(prompt, towers)
        texts = _text_features(towers, prompts(rationales, factorisation=factorisation, templates=templates), batch_size)
        features = [_image_features(towers, as_tensor(towers, x[i]), tokens) for i in batches(len(x), batch_size)]
        tables = _score_tables(torch.cat(features), texts, float(towers.logit_scale))
        return _beliefs(tables, stages, rationales, factorisation)


def from_scores(scores: Mapping[str, Any], rationales: Rationales, *, factorisation: str = "ecor") -> Beliefs:
    r"""Beliefs from scores :math:`\tau \langle v, t \rangle` that are there already.

    Parameters
    ----------
    scores : {template name: array}, one for every template of the factorisation, shapes (n, R) for ``"rationale"``, (n, C) for
        ``"category"``, (n, C, R) for every other; others are not used
    rationales : Rationales
    factorisation : one of ``FACTORISATIONS``

    Returns
    -------
    Beliefs

    Raises
    ------
    TypeError, ValueError
        If a table is missing or of another shape.

    Notes
    -----
    Taught in chapter 15.

    Examples
    --------
    >>> pets = rationales({"cat": ["whiskers"], "dog": ["hanging ears"]})
    >>> even = from_scores({"rationale": [[2.0, 2.0]], "pair": [[[1.0, 0.0], [1.0, 0.0]]]}, pets)
    >>> even.joint.round(2).tolist()
    [[[0.25, 0.25], [0.25, 0.25]]]
    """
    stages = _stages(factorisation)
    check.instance(rationales, Rationales, "rationales")
    if not isinstance(scores, Mapping) or any(name not in scores for name, _ in stages):
        wanted = check.listed(name for name, _ in stages)
        raise TypeError(f"scores must be a mapping with the tables {wanted}, not {check.shown(scores)}.")
    tables = {name: _table(scores[name], name, rationales) for name, _ in stages}
    if len({len(table) for table in tables.values()}) > 1:
        raise ValueError(f"scores must be tables of the same pictures, not of {check.listed(len(t) for t in tables.values())}.")
    return _beliefs(tables, stages, rationales, factorisation)


def top_pairs(beliefs: Beliefs, k: int = 5, *, beam: int | None = None) -> TopPairs:
    """The k most probable pairs of each picture; of equal ones those with the smaller numbers.

    Parameters
    ----------
    beliefs : Beliefs
    k : int, at most the number of pairs
    beam : int, optional
        Look only at pairs of the ``beam`` most probable values of the first factor: rationales in ``"ecor"``, categories in
        ``"category-first"``. This is what a search that never builds the whole joint finds. None looks at all pairs.

    Returns
    -------
    TopPairs

    Raises
    ------
    TypeError, ValueError
        If k is too large, or there is no first factor to cut.

    Notes
    -----
    A beam is exact when the first value it leaves out is less probable than the k-th pair it finds: no pair can be more
    probable than its rationale. Taught in chapter 15.
    """
    check.instance(beliefs, Beliefs, "beliefs")
    n, _, n_rationales = beliefs.joint.shape
    kept = np.ones_like(beliefs.joint, dtype=bool) if beam is None else _in_beam(beliefs, beam)
    fewest = int(kept.sum(axis=(1, 2)).min())
    check.number(k, "k", low=1, high=fewest, integer=True)
    flat = np.where(kept, beliefs.joint, -1.0).reshape(n, -1)
    order = np.argsort(-flat, axis=1, kind="stable")[:, :k]
    category, rationale = np.divmod(order, n_rationales)
    return TopPairs(category, rationale, np.take_along_axis(flat, order, axis=1), beliefs.rationales)


def vote(pairs: TopPairs) -> np.ndarray:
    """The category named by most of the pairs; a tie goes to the larger summed joint, then to the smaller number.

    Parameters
    ----------
    pairs : TopPairs

    Returns
    -------
    array (n,), category numbers

    Raises
    ------
    TypeError
        If ``pairs`` are none.

    Notes
    -----
    One pair, one vote, however probable: five mediocre pairs outvote none, but three mediocre ones outvote one that is almost
    certain. Taught in chapter 15.
    """
    check.instance(pairs, TopPairs, "pairs")
    counts, mass = _tally(pairs, np.ones_like(pairs.category, dtype=bool))
    return np.where(counts == counts.max(axis=1, keepdims=True), mass, -1.0).argmax(axis=1)


# --- right, and for the right reason --------------------------------------------------------------------------------


def outcomes(
    found: Beliefs | TopPairs,
    y: Any,
    r: Any,
    *,
    k: int = 5,
    wrong_pair: str = "predicted",
    counting: str = "all",
    matching: str = "exact",
) -> np.ndarray:
    r"""For each picture: is the category right, and is the rationale?

    ==== ==============================================================================================
    RR   voted category right, and among the k pairs is the true category with a true rationale
    RW   voted category right, no such pair
    WR   voted category wrong, but a true rationale stands in a pair with that wrong category
    WW   neither
    ==== ==============================================================================================

    Parameters
    ----------
    found : Beliefs, or TopPairs made from them
    y : (n,) category numbers, the truth
    r : (n,) rationale numbers, or (n, R) bool for several true rationales a picture: one of them must be found
    k : int, pairs per picture, where ``found`` are beliefs
    wrong_pair : {"predicted", "any"}, with whom a true rationale must stand to count as WR
    counting : {"all", "first hit"}
        ``"first hit"`` repeats a defect of the benchmark's code: the count of votes stops at the first pair that is right in
        both, so that later votes for other categories are lost, and ties go to whoever was counted first.
    matching : {"exact", "substring"}
        ``"substring"`` repeats another: a true name counts as found when it stands anywhere in the sentence, as "cup" does in
        "porcupine". Every pair that exact matching finds, this finds too.

    Returns
    -------
    array (n,) of "RR", "RW", "WR", "WW"

    Raises
    ------
    TypeError, ValueError
        If truth and pairs do not fit together.

    Notes
    -----
    The four partition the pictures. Mao et al. (2023), section 3. Taught in chapter 15.
    """
    pairs = _as_pairs(found, k)
    check.one_of(wrong_pair, "wrong_pair", ["predicted", "any"])
    check.one_of(counting, "counting", ["all", "first hit"])
    check.one_of(matching, "matching", ["exact", "substring"])
    truth = _truth(y, r, pairs)
    same_category, same_rationale = _matches(pairs, *truth, matching)
    hit = same_category & same_rationale
    voted = vote(pairs) if counting == "all" else _vote_until_hit(pairs, hit)
    right = _voted_right(pairs, voted, truth[0], matching)
    with_voted = pairs.category == voted[:, None] if wrong_pair == "predicted" else np.ones_like(hit)
    reason = np.where(right, hit.any(axis=1), (same_rationale & with_voted).any(axis=1))
    return np.array(OUTCOMES)[2 * ~right + ~reason]


def shares(outcomes: Any) -> pd.Series:
    """The shares of RR, RW, WR and WW, which add up to one.

    Parameters
    ----------
    outcomes : array (n,) of "RR", "RW", "WR", "WW"

    Returns
    -------
    Series

    Raises
    ------
    TypeError, ValueError
        If there is any other word.

    Notes
    -----
    Taught in chapter 15.

    Examples
    --------
    >>> shares(["RR", "RR", "WW", "RW"]).to_dict()
    {'RR': 0.5, 'RW': 0.25, 'WR': 0.0, 'WW': 0.25}
    """
    words = check.texts(outcomes, "outcomes")
    unknown = sorted(set(words) - set(OUTCOMES))
    if unknown:
        raise ValueError(f"outcomes must be words among {', '.join(OUTCOMES)}, not {check.shown(unknown[0])}.")
    return pd.Series({kind: float((words == kind).mean()) for kind in OUTCOMES})


# --- prompt tuning --------------------------------------------------------------------------------------------------


def tune(
    towers: Any,
    images: Any,
    y: Any,
    r: Any,
    rationales: Rationales,
    *,
    factorisation: str = "ecor",
    templates: Templates = DEFAULT_TEMPLATES,
    n_tokens: int = 4,
    blocks: Sequence[int] | str = (0,),
    loss: str = "all prompts",
    epochs: int = 30,
    batch_size: int = 64,
    learning_rate: float = 0.03,
    validation_share: float = 0.2,
    patience: int = 5,
    random_state: int = 0,
    path: str | Path | None = None,
) -> Tuned:
    r"""Learn prompt tokens for the image tower; both towers stay as they are.

    .. math:: L = -\log P(c^*, r^*|I) = -\log P(r^*|I) - \log P(c^*|r^*, I)

    Parameters
    ----------
    towers : as in :func:`beliefs`, with ``width`` and ``n_blocks`` of the image tower
    images : array or tensor, shape (n, channels, height, width)
    y : (n,) category numbers
    r : (n,) rationale numbers, or (n, R) bool: of several true rationales the loss is the mean
    rationales, factorisation, templates : as in :func:`beliefs`; the loss is minus the log of that joint
    n_tokens : int, tokens per block
    blocks : block numbers, or ``"deep"`` for all
        Tokens join the patches before the first of these blocks, and are replaced by the next ones before each further block.
        ``(0,)`` is shallow prompting.
    loss : {"all prompts", "in batch"}
        ``"all prompts"``: the true sentence against all candidates, as at prediction. ``"in batch"``: CLIP's contrastive loss,
        pictures against the sentences of their batch and back; equal sentences are equally right.
    epochs : int, at most
    batch_size : int
    learning_rate : float, the peak of one cycle
    validation_share : float in (0, 1), pictures held out to choose the epoch
    patience : int, stop after so many epochs without a better validation loss
    random_state : int, sets tokens, held-out pictures and order
    path : path, optional
        The state after each epoch goes there, so that a training that was killed goes on and ends with the same tokens. A state
        of another training (data, towers or settings differ) is not taken up.

    Returns
    -------
    Tuned

    Raises
    ------
    TypeError, ValueError
        If an argument is not of its kind, or the loss becomes infinite.

    Notes
    -----
    Text features are computed once. AdamW without weight decay and one cycle of the learning rate, one thread: same seed, same
    tokens on the same machine. Published prompts were trained by SGD with learning rates from 10 to 40; on the course's towers
    AdamW ended at a slightly lower validation loss, and from 0.01 to 0.1 its rate hardly mattered. Jia et al. (2022), "Visual
    prompt tuning"; Rasekh et al. (2024), "ECOR", arXiv:2404.12839. Taught in chapter 15.
    """
    stages = _stages(factorisation)
    _check_candidates(rationales, templates)
    _check_towers(towers, tuned=True)
    x, weights = check.images(images), _labels(images, y, r, rationales)
    where = _check_tuning(towers, n_tokens, blocks, loss, epochs, batch_size, learning_rate, validation_share, patience)
    seed = check.number(random_state, "random_state", low=0, integer=True)
    file = None if path is None else _file(path)
    rng = np.random.default_rng(seed)
    held_out = _held_out(len(x), validation_share, rng)
    pictures, labels = as_tensor(towers, x), torch.from_numpy(weights).to(as_tensor(towers, np.zeros(1)))
    with one_thread(), undisturbed(towers):
        sentences = prompts(rationales, factorisation=factorisation, templates=templates)
        with torch.no_grad():
            texts = _text_features(towers, sentences, batch_size)
        tokens = _Tokens(where, rng.normal(0, INITIAL_SPREAD, (len(where), n_tokens, towers.width)), epochs).to(pictures)
        objective = _Objective(towers, texts, stages, loss)
        settings: dict[str, Any] = {"epochs": epochs, "batch_size": batch_size, "peak_learning_rate": learning_rate}
        parts = [factorisation, asdict(templates), loss, seed, settings, where, n_tokens, validation_share, patience]
        key = "" if file is None else _tuning_key(towers, x, weights, rationales, parts)
        run = TrainingRun(
            tokens, pictures[~held_out], labels[~held_out], objective, weight_decay=0.0, seed=seed, key=key, **settings
        )
        _run_epochs(run, tokens, objective, pictures[held_out], labels[held_out], patience, file)
    return tokens.result(factorisation, loss)


# --- checks ---------------------------------------------------------------------------------------------------------


def _number_of(value: Any, name: str, names: tuple[str, ...]) -> int:
    if isinstance(value, int | np.integer) and not isinstance(value, bool) and 0 <= value < len(names):
        return int(value)
    if not isinstance(value, str) or value not in names:
        raise ValueError(f"{name} must be one of {check.listed(names)}, not {check.shown(value)}.")
    return names.index(value)


def _name(value: Any, what: str) -> str:
    if not isinstance(value, str) or not value.strip():
        raise TypeError(f"{what} must be a text that says something, not {check.shown(value)}.")
    return value


def _texts(values: Any, what: str) -> list[str]:
    """A list of texts, which may be empty."""
    if isinstance(values, str) or not isinstance(values, Sequence | np.ndarray):
        raise TypeError(f"{what} must be a list of texts, not {check.shown(values)}.")
    return [_name(value, f"{what}, each,") for value in values]


def _stages(factorisation: Any) -> tuple[tuple[str, str], ...]:
    return FACTORISATIONS[check.one_of(factorisation, "factorisation", FACTORISATIONS)]


def _check_candidates(candidates: Any, templates: Any) -> None:
    if not isinstance(candidates, Rationales):
        given = type(candidates).__name__
        raise TypeError(f"rationales must be of type Rationales, not {given}: make them with ecor.rationales({{...}}).")
    check.instance(templates, Templates, "templates")


def _check_towers(towers: Any, *, tuned: bool = False) -> None:
    wanted = ["encode_image", "encode_text", "logit_scale", *(["width", "n_blocks"] if tuned else [])]
    missing = [name for name in wanted if not hasattr(towers, name)]
    if not isinstance(towers, nn.Module) or missing:
        lacks = f" without {check.listed(missing)}" if isinstance(towers, nn.Module) else ""
        raise TypeError(f"towers must be a torch module with {', '.join(wanted)}, not {type(towers).__name__}{lacks}.")


def _prompt_tokens(prompt: Any, towers: Any) -> dict[int, Tensor] | None:
    """Tokens as tensors like the towers' parameters."""
    if prompt is None:
        return None
    if not isinstance(prompt, Mapping) or not prompt:
        raise TypeError(f"prompt must be a mapping of block number to tokens, or None, not {check.shown(prompt)}.")
    return {_block(b, towers, "prompt"): _tokens(tokens, b, towers) for b, tokens in sorted(prompt.items(), key=str)}


def _tokens(values: Any, block: Any, towers: Any) -> Tensor:
    tokens = check.array(values.detach().cpu() if isinstance(values, Tensor) else values, f"prompt at block {block}", ndim=2)
    width = getattr(towers, "width", tokens.shape[1])
    if tokens.shape[1] != width:
        raise ValueError(
            f"prompt at block {block} must hold tokens as wide as the image tower's, {width}, not {tokens.shape[1]}."
        )
    return as_tensor(towers, tokens)


def _block(number: Any, towers: Any, name: str) -> int:
    n_blocks = getattr(towers, "n_blocks", np.inf)
    return int(check.number(number, f"{name}, a block number,", low=0, high=n_blocks - 1, integer=True))


def _check_tuning(
    towers: Any,
    n_tokens: Any,
    blocks: Any,
    loss: Any,
    epochs: Any,
    batch_size: Any,
    learning_rate: Any,
    validation_share: Any,
    patience: Any,
) -> list[int]:
    """Block numbers in order, after a check of everything that is a number or a word."""
    check.one_of(loss, "loss", ["all prompts", "in batch"])
    for name, value in {"n_tokens": n_tokens, "epochs": epochs, "batch_size": batch_size, "patience": patience}.items():
        check.number(value, name, low=1, integer=True)
    check.number(learning_rate, "learning_rate", low=0, open_low=True)
    check.number(validation_share, "validation_share", low=0, high=1, open_low=True, open_high=True)
    if isinstance(blocks, str) and blocks == "deep":
        return list(range(towers.n_blocks))
    if isinstance(blocks, str) or not isinstance(blocks, Sequence | np.ndarray) or len(blocks) == 0:
        raise TypeError(f"blocks must be a list of block numbers or 'deep', not {check.shown(blocks)}.")
    return sorted({_block(b, towers, "blocks") for b in blocks})


def _file(path: Any) -> Path:
    if not isinstance(path, str | Path) or Path(path).is_dir():
        raise TypeError(f"path must be the path of a file, or None, not {check.shown(path)}.")
    return Path(path)


def _numbers(values: Any, name: str, n: int, limit: int, what: str) -> np.ndarray:
    try:
        a = np.asarray(values)
    except ValueError:
        a = np.empty(0)
    if a.dtype.kind not in "iu" or a.shape != (n,) or a.size == 0 or a.min() < 0 or a.max() >= limit:
        raise ValueError(
            f"{name} must be one {what} number from 0 to {limit - 1} for each of {n} pictures, not {check.shown(values)}."
        )
    return a.astype(np.int64)


def _true_rationales(r: Any, n: int, candidates: Rationales) -> np.ndarray:
    """The true rationales of each picture, (n, R) bool."""
    n_rationales = len(candidates.rationales)
    given = np.asarray(r) if isinstance(r, np.ndarray | Sequence) and not isinstance(r, str) and _regular(r) else np.empty(0)
    if given.dtype != bool:
        return _numbers(r, "r", n, n_rationales, "rationale")[:, None] == np.arange(n_rationales)
    if given.shape != (n, n_rationales):
        raise ValueError(f"r must be boolean of shape {(n, n_rationales)}, or {n} rationale numbers, not of shape {given.shape}.")
    if not given.any(axis=1).all():
        lacking = int(given.any(axis=1).argmin())
        raise ValueError(f"r must name a true rationale for every picture, but picture {lacking} has none: leave it out.")
    return given


def _regular(values: Any) -> bool:
    try:
        np.asarray(values)
    except ValueError:
        return False
    return True


def _truth(y: Any, r: Any, pairs: TopPairs) -> tuple[np.ndarray, np.ndarray]:
    n = len(pairs.category)
    return _numbers(y, "y", n, len(pairs.rationales.categories), "category"), _true_rationales(r, n, pairs.rationales)


def _labels(images: Any, y: Any, r: Any, candidates: Rationales) -> np.ndarray:
    """Category number, then how the picture's one unit of truth is spread over rationales: (n, 1 + R)."""
    n = len(images)
    if n < 2:
        raise ValueError(f"images must be at least two, one of them to be held out, not {n}.")
    truth = _true_rationales(r, n, candidates)
    category = _numbers(y, "y", n, len(candidates.categories), "category")
    return np.column_stack([category, truth / truth.sum(axis=1, keepdims=True)])


# --- sentences and scores -------------------------------------------------------------------------------------------


def _filled(template: str, name: str, candidates: Rationales) -> np.ndarray:
    """Sentences of one template: (R,), (C,) or (C, R)."""
    if name == "rationale":
        texts: list[Any] = [template.format(r=r) for r in candidates.rationales]
    elif name == "category":
        texts = [template.format(c=c) for c in candidates.categories]
    else:
        texts = [[template.format(c=c, r=r) for r in candidates.rationales] for c in candidates.categories]
    return np.array(texts, dtype=object)


def _text_features(towers: Any, sentences: dict[str, np.ndarray], batch_size: int) -> dict[str, Tensor]:
    """Unit vectors of all sentences, in the shape of their table: (R, e), (C, e), (C, R, e)."""
    features = {}
    for name, texts in sentences.items():
        flat = texts.ravel().tolist()
        parts = [_unit(towers.encode_text(flat[i]), len(flat[i]), "encode_text") for i in batches(len(flat), 4 * batch_size)]
        features[name] = torch.cat(parts).reshape(*texts.shape, -1)
    return features


def _image_features(towers: Any, x: Tensor, tokens: Mapping[int, Tensor] | None) -> Tensor:
    try:
        features = towers.encode_image(x, prompt_tokens=tokens)
    except RuntimeError as error:
        fit = "give images of the size and with the channels it was made for"
        raise ValueError(f"images of shape {tuple(x.shape)} do not go through the image tower: {fit}.") from error
    return _unit(features, len(x), "encode_image")


def _unit(features: Any, n: int, name: str) -> Tensor:
    if not isinstance(features, Tensor) or features.ndim != 2 or len(features) != n:
        given = f"shape {tuple(features.shape)}" if isinstance(features, Tensor) else type(features).__name__
        raise ValueError(f"towers.{name} must return one vector for each of {n} inputs, not {given}.")
    lengths = features.detach().norm(dim=1)
    if not torch.allclose(lengths, torch.ones_like(lengths), atol=1e-3):
        raise ValueError(
            f"towers.{name} must return unit vectors, but one has length {lengths[(lengths - 1).abs().argmax()]:.4g}."
        )
    return features


def _score_tables(images: Tensor, texts: dict[str, Tensor], tau: float) -> dict[str, Tensor]:
    """tau times the cosine of every image and every sentence: (n, R), (n, C), (n, C, R)."""
    return {name: tau * torch.tensordot(images, t, dims=([1], [t.ndim - 1])) for name, t in texts.items()}


def _table(values: Any, name: str, candidates: Rationales) -> Tensor:
    n_categories, n_rationales = len(candidates.categories), len(candidates.rationales)
    shape = {"rationale": (n_rationales,), "category": (n_categories,)}.get(name, (n_categories, n_rationales))
    table = check.array(values, f"scores, table {name!r},", ndim=len(shape) + 1)
    if table.shape[1:] != shape:
        raise ValueError(f"scores, table {name!r}, must have shape {('n', *shape)}, not {table.shape}.".replace("'n'", "n"))
    return torch.tensor(table)


# --- the product of softmaxes ---


def _log_factors(tables: dict[str, Tensor], stages: tuple[tuple[str, str], ...]) -> list[Tensor]:
    """Log of each softmax, with axes for picture, category and rationale: (n, C or 1, R or 1)."""
    factors = []
    for name, over in stages:
        scores = {"rationale": tables[name][:, None], "category": tables[name][..., None]}.get(name, tables[name])
        axes = ["ncr".index(letter) for letter in over]
        factors.append(scores - torch.logsumexp(scores, dim=axes, keepdim=True))
    return factors


def _log_joint(tables: dict[str, Tensor], stages: tuple[tuple[str, str], ...]) -> Tensor:
    """Log of the joint, (n, C, R) where any factor knows both: the logs of the factors, added."""
    return torch.stack(torch.broadcast_tensors(*_log_factors(tables, stages))).sum(dim=0)


def _beliefs(
    tables: dict[str, Tensor], stages: tuple[tuple[str, str], ...], candidates: Rationales, factorisation: str
) -> Beliefs:
    exact = {name: table.double() for name, table in tables.items()}  # sums to one to the last digits, whatever the towers' type
    factors = dict(zip(map(_symbol, stages), (f.exp().cpu().numpy() for f in _log_factors(exact, stages)), strict=True))
    joint = _log_joint(exact, stages).exp().cpu().numpy()
    squeezed = {s: f[:, 0] if s == "P(r|I)" else f[..., 0] if s == "P(c|I)" else f for s, f in factors.items()}
    return Beliefs(joint, squeezed, candidates, factorisation)


def _symbol(stage: tuple[str, str]) -> str:
    """How the paper would write a factor."""
    name, over = stage
    if name in ("rationale", "category"):
        return f"P({over}|I)"
    return {"c": "P(c|r,I)", "r": "P(r|c,I)", "cr": "P(c,r|I)"}[over]


# --- pairs and votes ---


def _in_beam(beliefs: Beliefs, beam: Any) -> np.ndarray:
    """Pairs whose first factor is among the ``beam`` largest, (n, C, R) bool."""
    symbol = next(iter(beliefs.factors))
    if symbol == "P(c,r|I)":
        raise ValueError(f"beam must be None for {beliefs.factorisation!r}: its joint has no first factor that could be cut.")
    first = beliefs.factors[symbol]
    check.number(beam, "beam", low=1, high=first.shape[1], integer=True)
    rank = np.argsort(np.argsort(-first, axis=1, kind="stable"), axis=1)
    kept = rank < beam
    return np.broadcast_to(kept[:, None] if symbol == "P(r|I)" else kept[..., None], beliefs.joint.shape)


def _tally(pairs: TopPairs, counted: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Votes and summed joint of each category, (n, C), from the pairs that count."""
    named = pairs.category[..., None] == np.arange(len(pairs.rationales.categories))
    named &= counted[..., None]
    return named.sum(axis=1), (named * pairs.probability[..., None]).sum(axis=1)


def _vote_until_hit(pairs: TopPairs, hit: np.ndarray) -> np.ndarray:
    """The benchmark's count: it ends with the first right pair, and a tie goes to who was named first."""
    before = np.cumsum(hit, axis=1) - hit
    counts, _ = _tally(pairs, before == 0)
    votes = np.take_along_axis(counts, pairs.category, axis=1)
    return np.take_along_axis(pairs.category, votes.argmax(axis=1)[:, None], axis=1)[:, 0]


def _as_pairs(found: Any, k: Any) -> TopPairs:
    if isinstance(found, TopPairs):
        check.number(k, "k", low=1, integer=True)
        return found
    if not isinstance(found, Beliefs):
        raise TypeError(f"found must be Beliefs or TopPairs, not {type(found).__name__}.")
    return top_pairs(found, k)


def _matches(pairs: TopPairs, y: np.ndarray, truth: np.ndarray, matching: str) -> tuple[np.ndarray, np.ndarray]:
    """Which pairs have the true category, which a true rationale: (n, k) each."""
    if matching == "exact":
        return pairs.category == y[:, None], np.take_along_axis(truth, pairs.rationale, axis=1)
    categories, reasons = pairs.rationales.categories, pairs.rationales.rationales
    sentences = [
        [DEFAULT_TEMPLATES.pair.format(c=categories[c], r=reasons[r]) for c, r in zip(*row, strict=True)]
        for row in zip(pairs.category, pairs.rationale, strict=True)
    ]
    own = [[reasons[j] for j in np.flatnonzero(row)] for row in truth]
    same_category = [[categories[c] in s for s in row] for c, row in zip(y, sentences, strict=True)]
    same_rationale = [[any(t in s for t in texts) for s in row] for texts, row in zip(own, sentences, strict=True)]
    return np.array(same_category), np.array(same_rationale)


def _voted_right(pairs: TopPairs, voted: np.ndarray, y: np.ndarray, matching: str) -> np.ndarray:
    if matching == "exact":
        return voted == y
    names = pairs.rationales.categories
    return np.array([names[true] in names[given] for true, given in zip(y, voted, strict=True)])


# --- tuning ---------------------------------------------------------------------------------------------------------


class _Tokens(nn.Module):
    """The tokens, the best ones so far and the history: all that changes, so that one saved state holds all of it."""

    best: Tensor
    history: Tensor

    def __init__(self, where: list[int], values: np.ndarray, epochs: int) -> None:
        super().__init__()
        self.where = where
        self.tokens = nn.Parameter(torch.from_numpy(values))
        self.register_buffer("best", torch.from_numpy(values).clone())
        self.register_buffer("history", torch.full((epochs + 1, 2), torch.nan))

    def prompt(self) -> dict[int, Tensor]:
        return dict(zip(self.where, self.tokens, strict=True))

    def record(self, epoch: int, training_loss: float, validation_loss: float) -> None:
        losses = self.history[:epoch, 1]
        if epoch == 0 or validation_loss < losses.min():
            self.best.copy_(self.tokens.detach())
        self.history[epoch] = torch.tensor([training_loss, validation_loss])

    def best_epoch(self) -> int:
        return int(torch.where(self.history[:, 1].isnan(), torch.inf, self.history[:, 1]).argmin())

    def result(self, factorisation: str, loss: str) -> Tuned:
        history = pd.DataFrame(self.history.cpu().numpy(), columns=["training_loss", "validation_loss"]).rename_axis("epoch")
        history = history[history["validation_loss"].notna()]
        prompt = {b: tokens.clone() for b, tokens in zip(self.where, self.best, strict=True)}
        return Tuned(prompt, history, self.best_epoch(), factorisation, loss)


class _Objective:
    """The loss of a batch, as TrainingRun wants it; it remembers the losses of the epoch."""

    def __init__(self, towers: Any, texts: dict[str, Tensor], stages: tuple[tuple[str, str], ...], loss: str) -> None:
        self.towers, self.texts, self.stages, self.kind = towers, texts, stages, loss
        self.tau = float(towers.logit_scale)
        self.losses: list[float] = []

    def __call__(self, tokens: nn.Module, images: Tensor, labels: Tensor) -> Tensor:
        prompt = check.instance(tokens, _Tokens, "tokens").prompt()
        features = _image_features(self.towers, images, prompt)
        loss = self._of_joint(features, labels) if self.kind == "all prompts" else self._contrastive(features, labels)
        self.losses.append(float(loss.detach()))
        return loss

    def validation(self, tokens: _Tokens, images: Tensor, labels: Tensor, batch_size: int) -> float:
        """Minus log of the joint at the labelled pair, whatever was trained."""
        with torch.no_grad():
            parts = [
                len(images[i]) * self._of_joint(_image_features(self.towers, images[i], tokens.prompt()), labels[i])
                for i in batches(len(images), batch_size)
            ]
        return float(sum(parts)) / len(images)

    def _of_joint(self, features: Tensor, labels: Tensor) -> Tensor:
        log_joint = _log_joint(_score_tables(features, self.texts, self.tau), self.stages)
        own = log_joint[torch.arange(len(labels)), labels[:, 0].long()]
        return -(labels[:, 1:] * own).sum(dim=1).mean()

    def _contrastive(self, features: Tensor, labels: Tensor) -> Tensor:
        """CLIP's loss for each factor's sentences, in both directions; several pictures may own one sentence."""
        total = features.new_zeros(())
        for name, _ in self.stages:
            owned = _owned(name, labels, len(self.texts[name]))
            present = owned.sum(dim=0) > 0
            target = owned[:, present]
            scores = self.tau * features @ self.texts[name].reshape(-1, features.shape[1])[present].T
            total = total + (_cross_entropy(scores, target) + _cross_entropy(scores.T, target.T)) / 2
        return total


def _owned(name: str, labels: Tensor, n_categories: int) -> Tensor:
    """How a picture's one unit of truth is spread over the sentences of a template, (n, number of sentences)."""
    if name == "rationale":
        return labels[:, 1:]
    category = nn.functional.one_hot(labels[:, 0].long(), n_categories).to(labels)
    return category if name == "category" else (category[:, :, None] * labels[:, None, 1:]).flatten(1)


def _cross_entropy(scores: Tensor, target: Tensor) -> Tensor:
    return nn.functional.cross_entropy(scores, target / target.sum(dim=1, keepdim=True))


def _run_epochs(
    run: TrainingRun, tokens: _Tokens, objective: _Objective, images: Tensor, labels: Tensor, patience: int, path: Path | None
) -> None:
    """Train until the validation loss has not improved for ``patience`` epochs; row 0 of the history is the start."""
    if path is not None:
        run.resume(path)
    if run.epoch == 0:
        tokens.record(0, np.nan, objective.validation(tokens, images, labels, run.batch_size))
    for epoch in progress(range(run.epoch, run.epochs), run.epochs - run.epoch, "epochs"):
        if epoch - tokens.best_epoch() >= patience:
            break
        objective.losses.clear()
        run.one_epoch(epoch)
        tokens.record(epoch + 1, float(np.mean(objective.losses)), objective.validation(tokens, images, labels, run.batch_size))
        if path is not None:
            run.save(path)


def _held_out(n: int, share: float, rng: np.random.Generator) -> np.ndarray:
    """Which pictures choose the epoch: at least one, and at least one is left to train on."""
    held_out = np.zeros(n, dtype=bool)
    held_out[rng.permutation(n)[: min(max(round(share * n), 1), n - 1)]] = True
    return held_out


def _tuning_key(towers: nn.Module, x: np.ndarray, labels: np.ndarray, candidates: Rationales, settings: list[Any]) -> str:
    """Changes with the data, the towers' weights, the candidates and every setting."""
    weights = [v.detach().cpu().numpy().tobytes() for v in towers.state_dict().values()]
    digests = [hashlib.sha256(part).hexdigest() for part in (x.tobytes(), labels.tobytes(), *weights)]
    return _cache.content_key(type(towers).__name__, digests, candidates.categories, candidates.rationales, settings)
