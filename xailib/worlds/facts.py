"""The world ``facts``: which country a city lies in, and what people speak there."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import product
from typing import Any

import numpy as np

from xailib import _validation as check
from xailib.text import PADDING, Vocabulary
from xailib.worlds._tokens import START, token_rows
from xailib.worlds._world import World

#: country: (language, cities)
COUNTRIES = {
    "Austria": ("German", ("Graz", "Linz", "Salzburg", "Vienna")),
    "Brazil": ("Portuguese", ("Brasilia", "Manaus", "Recife", "Salvador")),
    "Egypt": ("Arabic", ("Alexandria", "Aswan", "Cairo", "Luxor")),
    "Finland": ("Finnish", ("Helsinki", "Oulu", "Tampere", "Turku")),
    "France": ("French", ("Lyon", "Marseille", "Nantes", "Paris")),
    "Germany": ("German", ("Berlin", "Dresden", "Hamburg", "Munich")),
    "Greece": ("Greek", ("Athens", "Corinth", "Larissa", "Patras")),
    "Italy": ("Italian", ("Milan", "Naples", "Rome", "Turin")),
    "Japan": ("Japanese", ("Kyoto", "Nagoya", "Osaka", "Tokyo")),
    "Mexico": ("Spanish", ("Acapulco", "Puebla", "Tijuana", "Veracruz")),
    "Norway": ("Norwegian", ("Bergen", "Oslo", "Stavanger", "Trondheim")),
    "Poland": ("Polish", ("Gdansk", "Krakow", "Poznan", "Warsaw")),
    "Portugal": ("Portuguese", ("Braga", "Coimbra", "Lisbon", "Porto")),
    "Spain": ("Spanish", ("Bilbao", "Madrid", "Seville", "Valencia")),
    "Sweden": ("Swedish", ("Lund", "Malmo", "Stockholm", "Uppsala")),
    "Turkey": ("Turkish", ("Ankara", "Bursa", "Istanbul", "Izmir")),
}
#: seven words each, so that all prompts have one length: {city} decides, {other} must not
TEMPLATES = (
    ("country", "the old city of {city} lies in"),
    ("country", "{city} is a lovely place somewhere in"),
    ("country", "she left {other} to see {city} in"),
    ("country", "{city} , unlike {other} , is in"),
    ("language", "people who live in {city} mostly speak"),
    ("language", "children born in {city} learn to speak"),
    ("language", "unlike {other} , people in {city} speak"),
    ("language", "{city} , unlike {other} , mostly speaks"),
)
RELATIONS = ("country", "language")
CITIES = tuple(sorted(city for _, cities in COUNTRIES.values() for city in cities))
_COUNTRY = {city: country for country, (_, cities) in COUNTRIES.items() for city in cities}
ANSWER = {
    "country": dict(_COUNTRY),
    "language": {city: COUNTRIES[country][0] for city, country in _COUNTRY.items()},
}
_LINES = tuple(line.split() for _, line in TEMPLATES)
VOCABULARY = Vocabulary(
    [
        PADDING,
        START,
        *sorted({word for line in _LINES for word in line if word[0] != "{"}),
        *CITIES,
        *COUNTRIES,
        *sorted({language for language, _ in COUNTRIES.values()}),
    ]
)
LENGTH = 1 + len(_LINES[0])
OTHERS_EACH = 8


def facts(*, random_state: Any = 0) -> World[FactsTruth]:
    """Prompts such as "the old city of Paris lies in", and the word that must follow.

    Half of the templates mention a second city, before or after the one that decides. All facts occur in training, but not in
    every template: a quarter of the combinations of template and city is held out.

    Parameters
    ----------
    random_state : int, Generator or None; chooses the second cities and the order of the prompts

    Returns
    -------
    World
        ``X`` (n, 8) token numbers, ``y`` (n,) the token that must follow, ``truth`` a :class:`FactsTruth`.

    Raises
    ------
    TypeError
        If ``random_state`` is no seed.

    Notes
    -----
    The world of chapter 12, after the prompts of Meng et al. (2022).

    Examples
    --------
    >>> world = facts()
    >>> " ".join(world.truth.vocabulary.decode(world.X[0])), world.truth.vocabulary.words[world.y[0]]
    ('<s> Poznan , unlike Alexandria , is in', 'Poland')
    """
    rng = check.random_generator(random_state)
    combinations = list(product(range(len(TEMPLATES)), CITIES))
    order, n_known = rng.permutation(len(combinations)), 3 * len(combinations) // 4
    known, held_out = (_prompts([combinations[j] for j in part], rng) for part in (order[:n_known], order[n_known:]))
    X, truth = np.vstack([known, held_out]), FactsTruth()
    return World("facts", X, truth.answer(X), truth, _card(len(X), len(known)), len(known))


@dataclass(frozen=True, eq=False)
class FactPairs:
    """Prompts in pairs that differ in one word, the city that decides.

    Attributes
    ----------
    clean, corrupted : (n, 8) token numbers
    answers : (n, 2) tokens that must follow the clean and the corrupted prompt; they differ
    subject, distractor : (n,) positions of the city that decides and of the other city, -1 where there is none
    template : (n,) numbers of the templates
    """

    clean: np.ndarray
    corrupted: np.ndarray
    answers: np.ndarray
    subject: np.ndarray
    distractor: np.ndarray
    template: np.ndarray

    def __len__(self) -> int:
        return len(self.clean)


@dataclass(frozen=True, eq=False)
class FactsTruth:
    """The mechanism behind ``facts``: which word of a prompt decides, and what it decides.

    Attributes
    ----------
    vocabulary : Vocabulary
    templates : (relation, line) each; ``{city}`` decides, ``{other}`` does not
    scale, estimand : str
    """

    vocabulary: Vocabulary = VOCABULARY
    templates: tuple[tuple[str, str], ...] = field(default=TEMPLATES)
    scale: str = "probability of the next token"
    estimand: str = "the one position whose word, exchanged for another city, changes the answer"

    @property
    def background(self) -> np.ndarray:
        """All prompts of the world."""
        return np.asarray(facts().X)

    def template(self, tokens: Any) -> np.ndarray:
        """Number of each prompt's template, (n,)."""
        rows = token_rows(tokens, self.vocabulary)
        if rows.shape[1] != LENGTH:
            raise ValueError(f"prompts have {LENGTH} tokens, but these have {rows.shape[1]}.")
        fits = ((rows[:, None] == _FIXED) | (_FIXED < 0) & _IS_CITY[rows][:, None]).all(axis=2)
        if not fits.any(axis=1).all():
            odd = " ".join(self.vocabulary.decode(rows[(~fits.any(axis=1)).argmax()]))
            raise ValueError(f"{odd!r} is not a prompt of this world: use one of its templates.")
        return fits.argmax(axis=1)

    def subject(self, tokens: Any) -> np.ndarray:
        """Position of the city that decides, (n,)."""
        return _SUBJECT[self.template(tokens)]

    def distractor(self, tokens: Any) -> np.ndarray:
        """Position of the city that must not matter, (n,); -1 where there is none."""
        return _OTHER[self.template(tokens)]

    def relation(self, tokens: Any) -> np.ndarray:
        """Number of what is asked for, (n,): 0 the country, 1 the language."""
        return _RELATION[self.template(tokens)]

    def answer(self, tokens: Any) -> np.ndarray:
        """The token that must follow, (n,)."""
        rows = token_rows(tokens, self.vocabulary)
        template = self.template(rows)
        return _ANSWERS[_RELATION[template], rows[np.arange(len(rows)), _SUBJECT[template]]]

    def predict(self, X: Any) -> np.ndarray:
        """The oracle: probability of each next token, (n, vocabulary); all on the answer."""
        return np.eye(len(self.vocabulary))[self.answer(X)]

    def pairs(self, n: int, *, random_state: Any = 0) -> FactPairs:
        """Prompts of the world beside the same prompts about a city with another answer.

        Parameters
        ----------
        n : int, pairs
        random_state : int, Generator or None
        """
        check.number(n, "n", low=1, high=100_000, integer=True)
        rng = check.random_generator(random_state)
        clean = self.background[rng.integers(0, len(self.background), n)]
        template, answers = self.template(clean), self.answer(clean)
        corrupted, subject, rows = clean.copy(), _SUBJECT[template], np.arange(n)
        for i in rows:
            present = {self.vocabulary.words[token] for token in clean[i]}
            answer = ANSWER[TEMPLATES[template[i]][0]]
            fitting = [c for c in CITIES if c not in present and self.vocabulary.number(answer[c]) != answers[i]]
            corrupted[i, subject[i]] = self.vocabulary.number(fitting[rng.integers(len(fitting))])
        both = np.column_stack([answers, self.answer(corrupted)])
        return FactPairs(clean, corrupted, both, subject, _OTHER[template], template)


def _prompts(combinations: list[tuple[int, str]], rng: np.random.Generator) -> np.ndarray:
    """Token numbers of prompts for pairs of template and city, with all their second cities, in random order."""
    rows = [_prompt(template, city, other) for template, city in combinations for other in _others(template, city, rng)]
    return rng.permutation(np.array(rows), axis=0)


def _others(template: int, city: str, rng: np.random.Generator) -> list[str]:
    """Second cities for a template that has a place for one: their answers differ."""
    relation, line = TEMPLATES[template]
    if "{other}" not in line:
        return [""]
    answer = ANSWER[relation]
    return rng.choice([c for c in CITIES if answer[c] != answer[city]], OTHERS_EACH, replace=False).tolist()


def _prompt(template: int, city: str, other: str) -> list[int]:
    words = {"{city}": city, "{other}": other}
    return [VOCABULARY.number(word) for word in (START, *(words.get(w, w) for w in _LINES[template]))]


def _fixed_words() -> np.ndarray:
    """Token numbers of the templates, (templates, LENGTH); -1 where a city stands."""
    return np.array([[1, *(-1 if word[0] == "{" else VOCABULARY.number(word) for word in line)] for line in _LINES])


def _place(name: str) -> np.ndarray:
    """Position of a place in each template, -1 where it has none."""
    return np.array([1 + line.index(name) if name in line else -1 for line in _LINES])


def _answers() -> np.ndarray:
    """Token of the answer for each relation and city token, (2, vocabulary); 0 for what is no city."""
    table = np.zeros((2, len(VOCABULARY)), dtype=np.int64)
    for r, relation in enumerate(RELATIONS):
        for city, answer in ANSWER[relation].items():
            table[r, VOCABULARY.number(city)] = VOCABULARY.number(answer)
    return table


_FIXED, _SUBJECT, _OTHER, _ANSWERS = _fixed_words(), _place("{city}"), _place("{other}"), _answers()
_RELATION = np.array([RELATIONS.index(relation) for relation, _ in TEMPLATES])
_IS_CITY = _ANSWERS[0] > 0


def _card(n: int, n_train: int) -> str:
    rows = "\n".join(f"| {country} | {language} | {', '.join(cities)} |" for country, (language, cities) in COUNTRIES.items())
    lines = "\n".join(f'- {relation}: "{line}"' for relation, line in TEMPLATES)
    return f"""# facts: cities, their countries and languages

{n:,} prompts of {LENGTH} tokens (with `<s>`) about {len(CITIES)} real cities; `y` is the token that must follow. The first
{n_train:,} are for training; combinations of template and city in the rest were never trained on, though every fact was.

{lines}

| country | language | cities |
|---|---|---|
{rows}

**Planted facts.**
- `{{city}}` decides, whatever `{{other}}` says: `truth.subject` and `truth.distractor` name their positions.
- Three templates begin with the city that decides, so "the last city" and "the first city" are both wrong rules.
- German, Portuguese and Spanish are answers for two countries each: language does not give the country away.

One language is stated per country, which is not the whole truth about any of them. Made by `xailib.worlds.facts`; CC BY 4.0."""
