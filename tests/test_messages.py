"""The world ``messages``: the mails are what the card says, and the truth is true."""

from __future__ import annotations

import hashlib
import re
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit

from xailib import worlds
from xailib.text import keep, split_words
from xailib.worlds._tabular import exact_shapley
from xailib.worlds.messages import CUES, INTERCEPT, NEGATION_FACTOR, NEUTRAL, NEUTRAL_SENTENCES, SIGNATURES, MessagesTruth

WORLD = worlds.messages()
LEAKY = worlds.messages(shortcut=0.9)
TRUTH = WORLD.truth


def test_importing_the_module_does_not_hide_the_function():
    assert callable(worlds.messages)
    assert isinstance(TRUTH, MessagesTruth)


# --- the data ---------------------------------------------------------------------------------------------------------


def test_mails_are_short_and_varied():
    counts = np.array([len(split_words(mail).words) for mail in WORLD.X])
    sentences = np.array([split_words(mail).sentences[-1] + 1 for mail in WORLD.X])
    assert WORLD.X.shape == WORLD.y.shape == (4000,)
    assert counts.min() >= 8
    assert counts.max() <= 40
    assert set(sentences) == {1, 2, 3, 4}
    assert len(set(WORLD.X)) > 3950
    assert all(mail[0].isupper() and mail[-1] in ".!" and "  " not in mail and "{" not in mail for mail in WORLD.X)


def test_every_cue_occurs_negated_and_not():
    text = " ".join(WORLD.X).lower()
    for word in TRUTH.cue_weights:
        assert len(re.findall(rf"\b{word}\b", text)) > 50, word
    assert all(len(re.findall(rf"\b{word}\b", text)) > 300 for word in TRUTH.negations)


def test_train_and_test_split_the_mails():
    assert WORLD.n_train == len(WORLD.train[0]) == len(WORLD.train[1]) == 2666
    assert len(WORLD.test[0]) == 1334


def test_same_seed_same_world():
    again, from_generator = worlds.messages(), worlds.messages(random_state=np.random.default_rng(0))
    assert again.X.tolist() == WORLD.X.tolist() == from_generator.X.tolist()
    assert again.y.tolist() == WORLD.y.tolist() == from_generator.y.tolist()
    assert again.card == WORLD.card
    assert worlds.messages(random_state=1).X.tolist() != WORLD.X.tolist()


def test_the_default_world_is_the_one_the_notebooks_were_built_on():
    digest = hashlib.sha256("\n".join(WORLD.X).encode() + WORLD.y.astype(np.int8).tobytes()).hexdigest()
    assert digest[:16] == "26ceabbd28bc49d9"


def test_classes_are_balanced():
    assert abs(worlds.messages(20_000, random_state=3).y.mean() - 0.5) < 0.02


def test_shortcut_changes_neither_mails_nor_labels():
    ham, spam = SIGNATURES
    assert (LEAKY.y == WORLD.y).all()
    assert [mail.rpartition("\n")[0] for mail in LEAKY.X] == WORLD.X.tolist()
    assert {mail.rpartition("\n")[2] for mail in LEAKY.X} == {ham, spam}
    assert max(len(split_words(mail)) for mail in LEAKY.X) <= 40


@pytest.mark.parametrize("strength", [0.1, 0.5, 0.9, 1.0])
def test_shortcut_has_the_stated_strength(strength):
    world = worlds.messages(shortcut=strength)
    right = np.array([mail.endswith(SIGNATURES[y]) for mail, y in zip(world.X, world.y, strict=True)])
    assert abs(right.mean() - strength) <= 4 * np.sqrt(strength * (1 - strength) / 4000)


def test_no_signature_without_the_shortcut():
    assert not any("Sent from" in mail for mail in WORLD.X)


# --- the truth --------------------------------------------------------------------------------------------------------

CUE_TEXTS = [
    ("", 0.0),
    ("Nothing here.", 0.0),
    ("A winner.", 4.0),
    ("a WINNER and a Winner", 8.0),
    ("winners clicked", 0.0),
    ("not a winner", -2.0),
    ("a winner, not", 4.0),
    ("not. A winner.", 4.0),
    ("not\na winner", 4.0),
    ("no, never a winner", -2.0),
    ("not a winner, click", -2.0 + 3.4),
    ("not a winner, not mum", -2.0 + 1.9),
    ("8.5 not at www.example.org winner", -2.0),
    ("free-winner", 0.0),
]


@pytest.mark.parametrize(("text", "effect"), CUE_TEXTS)
def test_the_rule_by_hand(text, effect):
    assert TRUTH.log_odds([text])[0] == pytest.approx(INTERCEPT + effect)


def test_predict_is_the_sigmoid_of_the_log_odds_for_any_kind_of_list():
    some = WORLD.X[:20]
    np.testing.assert_allclose(TRUTH.predict(some), expit(TRUTH.log_odds(some)))
    np.testing.assert_array_equal(TRUTH.predict(some.tolist()), TRUTH.predict(some))
    np.testing.assert_array_equal(TRUTH.predict(pd.Series(some)), TRUTH.predict(some))
    np.testing.assert_array_equal(TRUTH.predict(some.astype(str)), TRUTH.predict(some))


def test_signatures_greetings_and_neutral_sentences_have_no_weight():
    np.testing.assert_allclose(LEAKY.truth.log_odds(LEAKY.X), TRUTH.log_odds(WORLD.X))
    assert not any(split_words(word) and TRUTH.log_odds([word])[0] != INTERCEPT for words in NEUTRAL.values() for word in words)
    neutral = [re.sub(r"\{.*?\}", "it", line) for line in NEUTRAL_SENTENCES]
    np.testing.assert_allclose(TRUTH.log_odds(neutral), INTERCEPT)


def test_labels_follow_the_rule():
    p = TRUTH.predict(WORLD.X)
    edges = np.array([0, 0.02, 0.1, 0.3, 0.7, 0.9, 0.98, 1])
    for low, high in pairwise(edges):
        group = (p >= low) & (p < high)
        error = np.sqrt((p[group] * (1 - p[group])).sum()) / group.sum()
        assert abs(WORLD.y[group].mean() - p[group].mean()) < 4 * error


def test_bayes_accuracy_is_that_of_fresh_mails_and_of_the_oracle():
    fresh = worlds.messages(20_000, random_state=2)
    right = (fresh.truth.predict(fresh.X) > 0.5) == fresh.y
    b = TRUTH.bayes_accuracy
    assert 0.92 <= b <= 0.95
    assert abs(fresh.truth.bayes_accuracy - b) < 0.008
    assert abs(right.mean() - fresh.truth.bayes_accuracy) < 4 * np.sqrt(b * (1 - b) / 20_000)


def test_weights_are_the_published_ones():
    assert TRUTH.cue_weights["winner"] == CUES["person"]["spam"]["winner"]
    assert all(
        (weight > 0) == (kind == "spam") for kinds in CUES.values() for kind, words in kinds.items() for weight in words.values()
    )
    with pytest.raises(TypeError):
        TRUTH.cue_weights["winner"] = 0.0


# --- exact Shapley values ---------------------------------------------------------------------------------------------

VOCABULARY = ["free", "not", "winner", "never", "mum", "the", "Box", "no", "Meeting", "register"]
short_texts = st.lists(
    st.tuples(st.sampled_from(VOCABULARY), st.sampled_from([" ", ", ", ". ", "! ", "\n", " ", " "])), min_size=1, max_size=9
).map(lambda pairs: "".join(word + mark for word, mark in pairs))


def brute_force(text: str) -> np.ndarray:
    """By all subsets of all words, each made a text and scored by the oracle."""
    words = split_words(text)
    return exact_shapley(lambda coalitions: TRUTH.log_odds(keep(words, coalitions)), len(words))


@given(short_texts)
@settings(deadline=None, max_examples=50)
def test_shapley_values_equal_brute_force_over_all_subsets(text):
    np.testing.assert_allclose(TRUTH.shapley(text).values, brute_force(text), atol=1e-12)


def test_shapley_values_of_mails_of_the_world_equal_brute_force():
    short = [mail for mail in WORLD.X if len(split_words(mail)) <= 11 and re.search(r"\b(not|never|no)\b", mail)]
    for mail in short[:15]:
        np.testing.assert_allclose(TRUTH.shapley(mail).values, brute_force(mail), atol=1e-12)


@pytest.mark.parametrize("world", [WORLD, LEAKY], ids=["plain", "shortcut"])
def test_shapley_values_add_up_and_irrelevant_words_get_zero(world):
    for mail in world.X[:200]:
        explanation = world.truth.shapley(mail)
        assert abs(explanation.efficiency_gap()) < 1e-9
        assert explanation.prediction == pytest.approx(world.truth.log_odds([mail])[0])
        assert explanation.feature_names == split_words(mail).words
        irrelevant = [name.lower() not in world.truth.relevant for name in explanation.feature_names]
        assert (explanation.values[irrelevant] == 0).all()


@pytest.mark.parametrize("word", ["winner", "mum"])
def test_a_negated_cue_shares_with_its_negation(word):
    w = TRUTH.cue_weights[word]
    assert TRUTH.shapley(f"the {word}").values.tolist() == [0, w]
    np.testing.assert_allclose(
        TRUTH.shapley(f"not the {word}").values, [(NEGATION_FACTOR - 1) / 2 * w, 0, (NEGATION_FACTOR + 1) / 2 * w]
    )


def test_a_repeated_word_gets_a_value_each_time():
    explanation = TRUTH.shapley("free, free. Not free!")
    np.testing.assert_allclose(explanation.values, [3.2, 3.2, -2.4, 0.8])
    assert explanation.feature_names == ["free", "free", "Not", "free"]
    assert explanation.base_value == INTERCEPT


def test_the_empty_mail_is_the_background():
    assert TRUTH.background.tolist() == [""]
    assert TRUTH.log_odds(TRUTH.background)[0] == INTERCEPT == TRUTH.shapley("hello").base_value


def test_too_many_cues_in_a_sentence_are_refused_but_not_in_several():
    with pytest.raises(ValueError, match="a sentence with 21 cues and negations: the exact sum takes at most 20"):
        TRUTH.shapley("free " * 21)
    assert TRUTH.shapley("free. " * 21).values.sum() == pytest.approx(21 * 3.2)


# --- the card ---------------------------------------------------------------------------------------------------------


def test_card_states_what_is_planted():
    for word, weight in TRUTH.cue_weights.items():
        assert f"`{word}` {weight:+g}" in WORLD.card
    assert f"{TRUTH.bayes_accuracy:.3f}" in WORLD.card
    assert f"{WORLD.y.mean():.1%}" in WORLD.card
    assert "with probability 0.9" in LEAKY.card
    assert (WORLD.name, LEAKY.name) == ("messages", "messages-shortcut")


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: worlds.messages(10), r"n must be a whole number in \[60, 200000\], not 10"),
        (lambda: worlds.messages(shortcut=0), r"shortcut must be a number in \(0, 1\], not 0"),
        (lambda: worlds.messages(shortcut=1.5), "shortcut must be a number"),
        (lambda: TRUTH.predict("free"), r"texts must be an array of texts, not one text: give \[texts\]"),
        (lambda: TRUTH.log_odds([1, 2]), "texts must be a one-dimensional array of at least one text"),
        (lambda: TRUTH.shapley(["free"]), "text must be of type str, not list"),
        (lambda: TRUTH.shapley("!"), "text must have at least one word"),
    ],
)
def test_bad_input_gets_a_sentence(call, message):
    with pytest.raises((TypeError, ValueError), match=message):
        call()
