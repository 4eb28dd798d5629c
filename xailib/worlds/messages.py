"""The world ``messages``: spam or ham, by the weights of a few words and what "not" does to them.

Everything planted stands in the tables at the top of this file; the data card and the truth are made from them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

import numpy as np
from scipy.special import expit

from xailib import _validation as check
from xailib import text as texts_
from xailib.results import Attribution
from xailib.worlds._tabular import exact_shapley
from xailib.worlds._world import World

#: the planted log-odds of spam: intercept, weight of each cue word by the place it takes in a sentence, what a negation makes of
#: the next cue of its sentence
INTERCEPT = -0.2
CUES = {
    "noun": {
        "spam": {"jackpot": 3.6, "prize": 3.0, "bonus": 2.4, "voucher": 2.0, "loan": 1.5, "gift": 1.2, "discount": 0.8},
        "ham": {
            "meeting": -3.4,
            "homework": -2.9,
            "dinner": -2.5,
            "invoice": -2.1,
            "lunch": -1.8,
            "report": -1.4,
            "garden": -0.7,
        },
    },
    "person": {
        "spam": {"winner": 4.0, "millionaire": 2.8},
        "ham": {"mum": -3.8, "grandma": -3.2, "uncle": -2.0, "teacher": -1.2},
    },
    "quality": {
        "spam": {"free": 3.2, "guaranteed": 2.6, "urgent": 2.2, "exclusive": 1.6, "cheap": 1.0},
        "ham": {"homemade": -3.0, "attached": -2.2, "late": -1.1},
    },
    "verb": {
        "spam": {"click": 3.4, "claim": 2.6, "subscribe": 1.8, "register": 1.2},
        "ham": {"cook": -2.7, "sing": -2.0, "rest": -1.0},
    },
    "opening": {
        "spam": {"congratulations": 2.8, "attention": 1.4},
        "ham": {"thanks": -2.6, "sorry": -1.6},
    },
}
NEGATIONS = ("not", "never", "no")
NEGATION_FACTOR = -0.5

#: words without weight, by the place they take in a sentence
NEUTRAL = {
    "name": ("Anna", "Ben", "Clara", "David", "Emma", "Felix", "Greta", "Hugo", "Ida", "Jonas", "Kira", "Leo"),
    "day": ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"),
    "time": ("noon", "seven", "half past three", "ten", "six", "a quarter past eight"),
    "place": ("station", "office", "library", "market", "harbour", "school", "museum", "bakery", "pool", "bridge"),
    "thing": ("box", "phone", "letter", "photo", "list", "bag", "key", "bicycle", "book", "chair", "lamp", "map"),
    "amount": ("50 euro", "200 euro", "500 euro", "1,000 euro"),
}
#: sentences with cues: {+noun} is a noun of the kind of mail that the sentence speaks for, {-noun} one of the other kind, which
#: then stands behind a negation. Spam and ham share all sentences, so only cues and negations tell them apart.
SENTENCES = (
    "your {+noun} is waiting at the {place}",
    "the {+noun} is on {day} at {time}",
    "{name} asks about the {+noun} for {day}",
    "bring the {thing} to the {place} for the {+noun}",
    "the {+noun} is not before {time}",
    "this {+quality} {+noun} starts at {time}",
    "the {thing} is {+quality}, says {name}",
    "look at this {+quality} {thing} from the {place}",
    "{+verb} with {name} on {day}",
    "please {+verb} before {time}",
    "you can {+verb} at the {place}",
    "our {+person} wrote to {name} on {day}",
    "our {+person} is at the {place} until {time}",
    "I met the {+person} and {name} on {day}",
    "{+opening}, {name}, and see you on {day}",
    "{+opening}, {name}, this is about the {thing}",
    "there is no {-noun} on {day}",
    "this is not about the {-noun} at the {place}",
    "we do not need the {-noun} from the {place}",
    "no {-noun} can replace the {thing}",
    "you will not see the {-noun} before {time}",
    "never mind the {-noun}, please {+verb} at {time}",
    "the {thing} is not {-quality}, but it works",
    "it was never {-quality}, says {name}",
    "there is no {-quality} {thing} at the {place}",
    "please do not {-verb} before {time}",
    "never {-verb} at the {place}",
    "I did not {-verb} with {name} on {day}",
    "this is not our {-person}, says {name}",
    "no {-person} was at the {place} on {day}",
    "I never met the {-person} from the {place}",
)
NEUTRAL_SENTENCES = (
    "see you on {day}",
    "I am at the {place} until {time}",
    "please look at the {thing} before {day}",
    "I do not know the {place} yet",
    "we will not be there before {time}",
    "{name} has the {thing} from the {place}",
    "the {thing} is {amount} at the {place}",
    "it is {time} here and {name} is on the way to the {place}",
    "the {thing} stands next to the {thing} in the {place}",
    "there is no hurry, {day} is fine",
)
#: share of a mail's sentences after the first that speak for its kind, are neutral, or (the rest) speak for the other kind
OWN_SHARE, NEUTRAL_SHARE = 0.66, 0.28
#: share of sentences with a negated cue among the sentences with cues
NEGATED_SHARE = 0.2
SENTENCE_COUNT_SHARE = (0.05, 0.25, 0.42, 0.28)
GREETING_SHARE, EXCLAMATION_SHARE = 0.4, 0.15
MIN_WORDS, MAX_WORDS = 8, 36
#: last line of a mail with the shortcut, for ham and for spam; no word of it has weight
SIGNATURES = ("Sent from my Lyra", "Sent from my Vela")

_WEIGHTS: Mapping[str, float] = MappingProxyType(
    {word: weight for kinds in CUES.values() for words in kinds.values() for word, weight in words.items()}
)
_TOKEN = re.compile(f"{texts_.WORD}|{texts_.SENTENCE_END}")
#: a line cut at its places: fixed text and names of places in turn
Parts = tuple[str, ...]
_LINES, _NEUTRAL_LINES = (
    tuple(tuple(re.split(r"\{(.+?)\}", line)) for line in lines) for lines in (SENTENCES, NEUTRAL_SENTENCES)
)
_NEGATED_LINES = tuple(line for line in _LINES if any(part.startswith("-") for part in line))
_PLAIN_LINES = tuple(line for line in _LINES if line not in _NEGATED_LINES)
_PLACES = {
    (sign + place, wish): tuple(CUES[place][wish if sign == "+" else other])
    for place in CUES
    for sign in "+-"
    for wish, other in (("spam", "ham"), ("ham", "spam"))
}
_COUNT_STEPS = np.cumsum(SENTENCE_COUNT_SHARE)[:-1]


def messages(n: int = 4000, *, shortcut: float | None = None, random_state: Any = 0) -> World[MessagesTruth]:
    r"""Short mails, and whether they are spam (``y = 1``) by a published rule.

    .. math:: \log\frac{P(y=1)}{P(y=0)} = c + \sum_{\text{sentences}} \sum_{\text{cues}} w_{\text{cue}} \cdot
        \begin{cases} -0.5 & \text{negated} \\ 1 & \text{else} \end{cases}

    A cue is negated if "not", "never" or "no" stands before it in its sentence with no other cue in between.

    Parameters
    ----------
    n : int, mails, 60 to 200,000; the first two thirds are for training
    shortcut : float in (0, 1], optional
        Each mail ends with one of two signatures: that of its label with this probability, else the other. 0.5 leaks nothing,
        less leaks the other way round. Without it mails have no signature. The rule never reads signatures.
    random_state : int, Generator or None

    Returns
    -------
    World
        ``X`` (n,) array of texts, ``y`` (n,) of 0 (ham) and 1 (spam), ``truth`` a :class:`MessagesTruth`.

    Raises
    ------
    TypeError, ValueError
        If an argument is out of its range.

    Notes
    -----
    The text world of chapters 4, 5 and 6. A cue counts every time it occurs, upper or lower case; its other forms ("clicked") do
    not count. The rule gives a score to any text, so also to mails from which words were deleted.

    Examples
    --------
    >>> world = messages()
    >>> world.truth.log_odds(["You are a winner.", "You are not a winner."]).round(2).tolist()
    [3.8, -2.2]
    """
    check.number(n, "n", low=60, high=200_000, integer=True)
    if shortcut is not None:
        check.number(shortcut, "shortcut", low=0, high=1, open_low=True)
    rng = check.random_generator(random_state)
    mails = _mails(n, rng)
    p = expit(np.array([_score(mail) for mail in mails]))
    y = (rng.random(n) < p).astype(int)
    if shortcut is not None:
        sender = np.where(rng.random(n) < shortcut, y, 1 - y)
        mails = [f"{mail}\n{SIGNATURES[s]}" for mail, s in zip(mails, sender, strict=True)]
    truth = MessagesTruth(shortcut, float(np.maximum(p, 1 - p).mean()))
    X, name = np.array(mails, dtype=object), "messages" if shortcut is None else "messages-shortcut"
    return World(name, X, y, truth, _card(truth, X, y), 2 * n // 3)


@dataclass(frozen=True, eq=False)
class MessagesTruth:
    """The mechanism behind ``messages``: the score, its parts, and what a right explanation of it would say.

    Attributes
    ----------
    shortcut : float or None, probability that a mail's signature is that of its label; None if mails have none
    bayes_accuracy : accuracy nobody can expect to beat: mean of max(p, 1 - p) over the mails of the world
    cue_weights : word -> weight in log-odds of spam, without negation
    negations, negation_factor : words that negate, and what the weight of the next cue of the sentence is multiplied with
    signatures : last lines of ham and of spam in a world with the shortcut
    intercept : log-odds of the empty mail
    background : the empty mail: absent words are deleted
    scale, estimand : str, units of ``predict`` and what the stated explanations are
    """

    shortcut: float | None
    bayes_accuracy: float
    cue_weights: Mapping[str, float] = field(default_factory=lambda: _WEIGHTS)
    negations: tuple[str, ...] = NEGATIONS
    negation_factor: float = NEGATION_FACTOR
    signatures: tuple[str, str] = SIGNATURES
    intercept: float = INTERCEPT
    scale: str = "probability of spam"
    estimand: str = "Shapley values of the planted log-odds of spam, for the words of one mail: absent words are deleted"

    @property
    def background(self) -> np.ndarray:
        """The empty mail, as an array of one text."""
        return np.array([""], dtype=object)

    @property
    def relevant(self) -> frozenset[str]:
        """Words that the rule reads, in lower case."""
        return frozenset(self.cue_weights) | frozenset(self.negations)

    def predict(self, texts: Any) -> np.ndarray:
        """The oracle: true probability of spam for an array of n texts, shape (n,)."""
        return expit(self.log_odds(texts))

    def log_odds(self, texts: Any) -> np.ndarray:
        """True log-odds of spam for an array of n texts, shape (n,)."""
        return np.array([_score(text) for text in check.texts(texts, "texts")])

    def shapley(self, text: str) -> Attribution:
        r"""Exact Shapley values of the log-odds for every word of a mail, absent words being deleted.

        The score is a sum over sentences, so each sentence is a game of its own; in it only cues and negations can change
        anything, so with t of them :math:`2^t` subsets are enough and all other words get zero. Without a negation a cue gets
        its weight; a cue w negated by one word gets :math:`0.25\,w` and the negation :math:`-0.75\,w`.

        Parameters
        ----------
        text : str with at least one word, and at most 20 cues and negations in one sentence

        Returns
        -------
        Attribution
            ``values`` (d,) in log-odds, one for each word as ``text.split_words`` cuts them; a repeated word has several.

        Raises
        ------
        TypeError, ValueError
            If ``text`` is no text, has no word, or a sentence with more than 20 cues and negations.

        Notes
        -----
        Exact by linearity and the dummy axiom (Shapley 1953). Taught in chapter 5.
        """
        words = texts_.split_words(text)
        tokens = [word.lower() for word in words.words]
        values = np.zeros(len(tokens))
        for sentence in np.unique(words.sentences):
            players = [j for j in np.flatnonzero(words.sentences == sentence) if tokens[j] in self.relevant]
            if len(players) > 20:
                raise ValueError(f"text has a sentence with {len(players)} cues and negations: the exact sum takes at most 20.")
            if players:
                values[players] = exact_shapley(_sentence_game([tokens[j] for j in players]), len(players))
        score = float(self.log_odds([text])[0])
        method = "exact Shapley, absent words deleted, log-odds of spam"
        return Attribution(values, self.intercept, score, words.words, np.array(words.words, dtype=object), method)


def _score(text: str) -> float:
    """The planted log-odds of one text."""
    score, factor = INTERCEPT, 1.0
    for token in _TOKEN.findall(text.lower()):
        if token in _WEIGHTS:
            score += factor * _WEIGHTS[token]
            factor = 1.0
        elif token in NEGATIONS:
            factor = NEGATION_FACTOR
        elif token[0] in ".!?…\n":
            factor = 1.0
    return score


def _sentence_game(tokens: Sequence[str]) -> Callable[[np.ndarray], np.ndarray]:
    """Worth of every subset of a sentence's cues and negations, for all subsets at once."""

    def worth(coalitions: np.ndarray) -> np.ndarray:
        score, negated = np.zeros(len(coalitions)), np.zeros(len(coalitions), dtype=bool)
        for token, present in zip(tokens, coalitions.T, strict=True):
            if token in NEGATIONS:
                negated = negated | present
            else:
                score += present * _WEIGHTS[token] * np.where(negated, NEGATION_FACTOR, 1.0)
                negated = negated & ~present
        return score

    return worth


# --- the grammar ----------------------------------------------------------------------------------------------------


_DRAWS_PER_MAIL = 96
_OTHER = {"spam": "ham", "ham": "spam"}


def _mails(n: int, rng: np.random.Generator) -> list[str]:
    return [_mail(iter(draws)) for draws in rng.random((n, _DRAWS_PER_MAIL)).tolist()]


def _mail(draws: Iterator[float]) -> str:
    """One mail from uniform numbers: a kind, then sentences until there are enough of them, and of words."""
    kind = "spam" if next(draws) < 0.5 else "ham"
    count = 1 + int(np.searchsorted(_COUNT_STEPS, next(draws), side="right"))
    greeting = f"Hi {_pick(NEUTRAL['name'], draws)}, " if next(draws) < GREETING_SHARE else ""
    used: list[Parts] = []
    mail = ""
    while len(used) < count or len(mail.split()) < MIN_WORDS:
        wish, line = _line(kind, used, draws)
        longer = f"{mail} {_sentence(line, wish, greeting if not used else '', draws)}".strip()
        if len(longer.split()) > MAX_WORDS:
            break
        mail = longer
        used.append(line)
    return mail


def _line(kind: str, used: list[Parts], draws: Iterator[float]) -> tuple[str, Parts]:
    """What the next sentence speaks for, and a line that the mail does not have yet; the first speaks for the mail's kind."""
    u = next(draws) if used else 0.0
    negated = next(draws) < NEGATED_SHARE
    lines = _NEUTRAL_LINES if OWN_SHARE <= u < OWN_SHARE + NEUTRAL_SHARE else _NEGATED_LINES if negated else _PLAIN_LINES
    wish = kind if u < OWN_SHARE else _OTHER[kind]
    return wish, _pick([line for line in lines if line not in used], draws)


def _sentence(line: Parts, wish: str, greeting: str, draws: Iterator[float]) -> str:
    """A line with its places filled, a capital and a mark."""
    words = [_pick(_fillers(part, wish), draws) if j % 2 else part for j, part in enumerate(line)]
    sentence = greeting + "".join(words)
    return sentence[0].upper() + sentence[1:] + ("!" if next(draws) < EXCLAMATION_SHARE else ".")


def _fillers(place: str, wish: str) -> Sequence[str]:
    """Words that may stand in a place."""
    return _PLACES[place, wish] if place[0] in "+-" else NEUTRAL[place]


def _pick(options: Sequence[Any], draws: Iterator[float]) -> Any:
    return options[int(next(draws) * len(options))]


def _card(truth: MessagesTruth, X: np.ndarray, y: np.ndarray) -> str:
    """Data card in Markdown, made from the tables above."""
    cues = "\n".join(
        f"| {place} | {_weights_text(kinds['spam'])} | {_weights_text(kinds['ham'])} |" for place, kinds in CUES.items()
    )
    lengths = [len(text.split()) for text in X]
    return f"""# messages: spam or ham, by words of known weight

Invented short mails. `y = 1` means **spam**, `y = 0` ham. {len(y):,} mails of {min(lengths)} to {max(lengths)} words,
{y.mean():.1%} spam; the first {2 * len(y) // 3:,} are for training. Nobody can expect an accuracy above
{truth.bayes_accuracy:.3f}, because the outcome itself is random.

| place | cues of spam, weight in log-odds of spam | cues of ham |
|---|---|---|
{cues}

The log-odds are {INTERCEPT:+g} plus the weights of all cues, each time they occur, in upper or lower case. {_negation_rule()}
All other words, and marks but for the ends of sentences, do nothing.

**Planted facts.**
- "Not a winner" speaks for ham: no fixed weight per word is right, so the truth is stated as Shapley values, mail by mail.
- A negation may stand far from its cue ("we do not need the loan"): single words miss it, and pairs of neighbours often do.
- A negation without a cue behind it does nothing, as in "I do not know the harbour yet".
- {_shortcut_fact(truth.shortcut)}

Do not learn about real spam from it. Made by `xailib.worlds.messages`; no personal data; CC BY 4.0."""


def _weights_text(words: Mapping[str, float]) -> str:
    return ", ".join(f"`{word}` {weight:+g}" for word, weight in words.items())


def _negation_rule() -> str:
    negations = ", ".join(f'"{word}"' for word in NEGATIONS)
    return (
        f"A cue's weight is\nmultiplied by {NEGATION_FACTOR:g} if a negation ({negations}) stands before it in its sentence, "
        "and no other cue between them."
    )


def _shortcut_fact(shortcut: float | None) -> str:
    if shortcut is None:
        return "Mails carry no signature; with `shortcut=` they end with one that leaks the label and has no weight."
    ham, spam = SIGNATURES
    return f'Each mail ends with "{ham}" (ham) or "{spam}" (spam): its label\'s with probability {shortcut:g}. No weight.'
