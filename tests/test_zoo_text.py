"""The text zoo: models that take texts as they are, as good as their cards say, and blind where their cards say so."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from sklearn.base import ClassifierMixin, clone
from sklearn.utils.validation import check_is_fitted

from xailib import models, predictor, text, worlds, zoo
from xailib.zoo.text import TEXT, card, held_out, learnt, text_model

WORLD = worlds.messages()
every_model = pytest.mark.parametrize("name", TEXT)


def test_the_models_of_the_course_are_there():
    assert list(TEXT) == ["messages-words", "messages-pairs", "messages-forest"]
    assert zoo.names()[-3:] == list(TEXT)


@every_model
def test_model_is_fitted_once_and_shared(name):
    check_is_fitted(TEXT[name]())
    assert zoo.load(name) is text_model(name) is TEXT[name]()


@every_model
def test_model_takes_texts(name):
    f = predictor(zoo.load(name))
    p = models.batched(f, WORLD.X[:50], batch_rows=7)
    assert p.shape == (50,)
    np.testing.assert_array_equal(p, f(WORLD.X[:50].tolist()))
    np.testing.assert_array_equal(p, f(WORLD.X[:50].astype(str)))
    assert np.isfinite(f(np.array(["", "words it never saw"], dtype=object))).all()


@every_model
def test_same_data_same_model(name):
    again = text_model(name, worlds.messages())
    assert again is not zoo.load(name)
    np.testing.assert_array_equal(predictor(again)(WORLD.X), predictor(zoo.load(name))(WORLD.X))


@every_model
def test_words_of_the_models_are_those_of_the_library(name):
    known = set(zoo.load(name)[0].get_feature_names_out())
    for mail in WORLD.train[0][:200]:
        assert {word.lower() for word in text.split_words(mail).words} <= known


# the least held-out accuracy; the rule itself has 0.929
ACCURACY = {"messages-words": 0.79, "messages-pairs": 0.88, "messages-forest": 0.81}


@every_model
def test_model_is_good_and_does_not_beat_the_oracle(name):
    for model, oracle in held_out(name).values():
        assert model < oracle
    assert held_out(name)["accuracy"][0] > ACCURACY[name]


def test_held_out_accuracy_of_the_oracle_is_the_bayes_accuracy():
    bayes = WORLD.truth.bayes_accuracy
    assert abs(held_out("messages-words")["accuracy"][1] - bayes) < 3 * np.sqrt(bayes * (1 - bayes) / 1334)


def test_single_words_miss_negation_and_pairs_see_the_adjacent_one():
    shares = {name: learnt(name) for name in TEXT}
    for name, found in shares.items():
        assert found["a cue"] > 0.1, name
        assert abs(found["a negation further away"]) < 0.05, name
    assert abs(shares["messages-words"]["a negation before its cue"]) < 0.02
    assert abs(shares["messages-forest"]["a negation before its cue"]) < 0.05
    assert shares["messages-pairs"]["a negation before its cue"] > 0.25


def test_the_rule_itself_has_learnt_everything(monkeypatch):
    class Rule(ClassifierMixin):
        def predict(self, X):
            return WORLD.truth.predict(X) > 0.5

        def predict_proba(self, X):
            p = WORLD.truth.predict(X)
            return np.column_stack([1 - p, p])

    monkeypatch.setattr("xailib.zoo.text._default", lambda name: Rule())
    assert list(learnt("messages-words").values()) == pytest.approx([1, 1, 1], abs=1e-6)


def test_a_model_of_the_leaky_world_relies_on_the_signature():
    leaky = worlds.messages(shortcut=0.95)
    ham, spam = leaky.truth.signatures
    f = predictor(text_model("messages-words", leaky), "log_odds")
    plain = np.array([mail.rpartition("\n")[0] for mail in leaky.test[0]], dtype=object)
    assert (f(plain + f"\n{spam}") - f(plain + f"\n{ham}")).min() > 2


@every_model
def test_card_states_the_scores(name):
    words = card(name)
    assert zoo.card(name) == words
    assert words.startswith(f"# {name}\n")
    for metric, (model, oracle) in held_out(name).items():
        assert f"| {metric} | {model:.3f} | {oracle:.3f} |" in words
    for what, share in learnt(name).items():
        assert f"| {what} | {share:.2f} |" in words


@every_model
def test_pipeline_can_be_cloned_and_refitted(name):
    X, y = WORLD.train
    assert predictor(clone(zoo.load(name)).fit(X[:300], y[:300]))(X).shape == (len(X),)


def test_text_models_need_no_torch():
    code = "import sys; from xailib import zoo; zoo.load('messages-words'); print('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "False\n"


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: text_model("messages-svm"), "name must be one of 'messages-words', 'messages-pairs'"),
        (
            lambda: text_model("messages-words", worlds.loans(60)),
            "world must be a messages world for 'messages-words', not loans",
        ),
        (lambda: text_model("messages-words", 3), "world must be a messages world for 'messages-words', not 3"),
        (lambda: card("messages-svm"), "name must be one of"),
        (lambda: held_out("messages-svm"), "name must be one of"),
        (lambda: learnt("messages-svm"), "name must be one of"),
    ],
)
def test_bad_input_gets_a_sentence(call, message):
    with pytest.raises(ValueError, match=message):
        call()
