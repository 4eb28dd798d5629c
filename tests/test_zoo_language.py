"""The shipped transformers: what they must be able to do, how texts become tokens, and the one whose heads are known."""

from __future__ import annotations

import dataclasses
import json
from functools import cache

import numpy as np
import pytest
import torch

from xailib import worlds, zoo
from xailib._transformers import record, token_batch
from xailib.course import manifest
from xailib.text import split_words
from xailib.worlds import real
from xailib.zoo import cards, language, language_cards, train
from xailib.zoo._corpora import CORPORA, NOT_ASKED
from xailib.zoo.transformer import Transformer, hook_points

every_transformer = pytest.mark.parametrize("name", language.SHAPES)


@pytest.fixture(scope="module")
def rows():
    return worlds.copies(150, random_state=3)


@cache
def measured(name):
    return language_cards.measure(name)


@pytest.fixture(scope="module")
def compiled():
    return zoo.compiled_copies()


# --- what they can do -----------------------------------------------------------------------------------------------


def test_best_induction_head_scores_above_point_eight(rows):
    scores = language_cards.copying_heads(zoo.load("copies-transformer"), rows.X, rows.truth.sources(rows.X))
    assert scores[1].max() > 0.8
    assert scores[0].max() < 0.1


def test_copies_are_said_and_nothing_else_is_known(rows):
    scores = language_cards.scores_of("copies-transformer", rows.X)
    known = (rows.truth.source(rows.X) >= 0)[:, :-1]
    right = scores[:, :-1].argmax(axis=2) == rows.X[:, 1:]
    assert right[known].mean() > 0.99
    assert right[~known].mean() < 0.15


def test_induction_forms_within_a_few_steps_of_training(rows):
    history = zoo.checkpoints()
    steps = [step for step, _ in history]
    assert steps[0] == 0
    assert steps == sorted(steps)
    best = [language_cards.copying_heads(m, rows.X[:60], rows.truth.sources(rows.X[:60])).max() for _, m in history]
    low, high = (
        max(s for s, b in zip(steps, best, strict=True) if b < 0.15),
        min(s for s, b in zip(steps, best, strict=True) if b > 0.8),
    )
    assert low < high <= low + 100 < steps[-1] / 2


def test_last_state_of_the_history_is_the_shipped_model_rounded(rows):
    tokens = token_batch(zoo.load("copies-transformer"), rows.X)
    with torch.no_grad():
        gap = zoo.checkpoints()[-1][1](tokens) - zoo.load("copies-transformer")(tokens)
    assert 0 < gap.abs().max() < 0.05


def test_facts_are_recalled():
    found = measured("facts-transformer")
    assert found["right, trained combinations"] > 0.99
    assert found["right, combinations of template and city not trained on"] > 0.99


def test_verbs_agree_whatever_stands_between():
    found = measured("agreement-transformer")
    assert min(found[f"verb right, {k} attractors"] for k in range(3)) > 0.99


def test_brackets_close():
    found = measured("brackets-transformer")
    assert found["probability on tokens that may follow"] > 0.99
    assert found["distance from the true probabilities (Kullback-Leibler, nats)"] < 0.02


def test_mails_are_told_apart_nearly_as_well_as_can_be():
    found = measured("messages-transformer")
    assert found["accuracy"] > found["accuracy of the planted rule"] - 0.02
    assert found["correlation of its log-odds with the rule's"] > 0.9


def test_prose_is_predicted_better_than_by_frequency():
    found = measured("docstrings-transformer")
    assert found["perplexity"] < 0.4 * found["perplexity of word frequencies alone"]


@every_transformer
def test_card_states_what_is_measured(name):
    stated = cards.measurements()[name]
    assert measured(name) == pytest.approx(stated, abs=2e-3)
    text = zoo.card(name)
    assert text.startswith(f"# {name}: ")
    assert f"python -m xailib.zoo.train {name}" in text


# --- loading --------------------------------------------------------------------------------------------------------


@every_transformer
def test_network_is_small_new_and_in_evaluation_mode(name):
    model = zoo.load(name)
    assert isinstance(model, Transformer)
    assert not model.training
    assert (manifest.data_dir() / f"{name}.safetensors").stat().st_size < 1_300_000
    with torch.no_grad():
        model.output.weight.zero_()
    assert zoo.load(name).output.weight.abs().sum() > 0
    assert "blocks.1.attention.pattern" in hook_points(model)
    assert model.vocabulary == len(zoo.vocabulary(name))


def test_loading_leaves_the_callers_random_numbers_alone():
    torch.manual_seed(5)
    state = torch.get_rng_state()
    zoo.load("facts-transformer")
    zoo.compiled_copies()
    assert torch.equal(torch.get_rng_state(), state)


def test_histories_ship_for_one_model():
    with pytest.raises(ValueError, match="name must be one of 'copies-transformer', not 'facts-transformer'"):
        zoo.checkpoints("facts-transformer")


# --- texts to tokens ------------------------------------------------------------------------------------------------


def test_mails_keep_their_words_and_ends_of_sentences():
    mails = worlds.messages(60).X
    vocabulary = zoo.vocabulary("messages-transformer")
    for mail, row in zip(mails, zoo.encode("messages-transformer", mails), strict=True):
        words = vocabulary.decode(row)
        assert words[-1] == "<read>"
        spoken = [word for word in words[:-1] if word != "."]
        assert [w for w in spoken if w != "<unk>"] == [
            w for w in (s.lower() for s in split_words(mail).words) if w in vocabulary.words
        ]
        assert len(spoken) == len(split_words(mail))
        assert words.count(".") == len(set(split_words(mail).sentences))


def test_all_mails_of_the_world_fit_into_the_context():
    longest = max(len(language.mail_words(mail)) for mail in worlds.messages(shortcut=0.9).X)
    assert longest <= language.SHAPES["messages-transformer"]["context"]


def test_every_relevant_word_is_known():
    known = set(zoo.vocabulary("messages-transformer").words)
    assert worlds.messages(60).truth.relevant <= known


def test_unknown_word_means_nothing():
    without, with_unknown = (
        language_cards.scores_of("messages-transformer", zoo.encode("messages-transformer", [text]))
        for text in ("The photo is on Monday at noon.", "The zyx is on Monday at noon.")
    )
    assert np.abs(np.diff(with_unknown - without)).max() < 0.5


def test_prose_loses_numbers_and_keeps_marks():
    assert language.prose_words("Fit 3 K-means (fast).") == ["<s>", "fit", "k-means", "(", "fast", ")", "."]
    texts = real.docstring_paragraphs().test[0][:20]
    assert zoo.encode("docstrings-transformer", texts, longest=12).shape == (20, 12)


def test_other_words_are_separated_by_blanks():
    plain, marked = (zoo.encode("brackets-transformer", [text]) for text in ("( )", "<s> ( )"))
    np.testing.assert_array_equal(plain, marked)
    assert plain.tolist() == [[1, 3, 5]]


# --- training -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["facts-transformer", "agreement-transformer", "brackets-transformer"])
def test_corpus_asks_for_the_next_token(name):
    tokens, targets, vocabulary = CORPORA[name]()
    assert tokens.shape == targets.shape
    np.testing.assert_array_equal(targets[:, :-1], np.where(tokens[:, 1:] > 0, tokens[:, 1:], NOT_ASKED))
    assert vocabulary.words == zoo.vocabulary(name).words


def test_words_ship_with_the_weights():
    metadata = language.shipped_tensors("facts-transformer.safetensors")[1]
    assert json.loads(metadata["words"])[:2] == ["<pad>", "<s>"]


def test_kept_states_follow_the_recipe():
    recipe = train.RECIPES["copies-transformer"]
    assert [step for step, _ in zoo.checkpoints()] == [epoch * recipe.steps_per_epoch for epoch in recipe.kept]
    assert recipe.kept[-1] == recipe.epochs


def test_facts_can_be_trained_again(tmp_path, monkeypatch):
    short = dataclasses.replace(train.RECIPES["facts-transformer"], epochs=2, steps_per_epoch=3, kept=(0, 2))
    monkeypatch.setitem(train.RECIPES, "facts-transformer", short)
    first, second = (train.train("facts-transformer", checkpoints=tmp_path / part) for part in "ab")
    assert all(torch.equal(x, y) for x, y in zip(first.state_dict().values(), second.state_dict().values(), strict=True))
    kept = sorted(path.name.rpartition("-after-")[2] for path in (tmp_path / "a").glob("*-after-*"))
    assert kept == ["0.safetensors", "2.safetensors"]


# --- the compiled transformer ---------------------------------------------------------------------------------------


def patterns(model, tokens):
    names = [f"blocks.{k}.attention.{what}" for k in (0, 1) for what in ("pattern", "values")]
    return record(model, token_batch(model, tokens), names)[1]


def test_compiled_transformer_copies_without_error(compiled, rows):
    scores = record(compiled.model, token_batch(compiled.model, rows.X), [])[0]
    known = torch.as_tensor(rows.truth.source(rows.X) >= 0)[:, :-1]
    p = scores.softmax(dim=2)[:, :-1].gather(2, torch.as_tensor(rows.X)[:, 1:, None])[..., 0]
    assert p[known].min() > 0.95


def test_compiled_heads_do_what_their_roles_say(compiled, rows):
    seen, sources = patterns(compiled.model, rows.X), torch.as_tensor(rows.truth.sources(rows.X))
    known = sources.any(dim=2)
    for role in ("induction", "decoy"):
        layer, head = compiled.heads[role]
        on_sources = (seen[f"blocks.{layer}.attention.pattern"][:, head] * sources).sum(dim=2)
        assert on_sources[known].min() > 0.999
    layer, head = compiled.heads["previous token"]
    assert seen[f"blocks.{layer}.attention.pattern"][:, head].diagonal(-1, 1, 2).min() > 0.999
    layer, head = compiled.heads["mute"]
    assert seen[f"blocks.{layer}.attention.pattern"][:, head, :, 0].min() > 0.999
    assert seen[f"blocks.{layer}.attention.values"][:, head].abs().max() == 0


def test_only_the_working_heads_matter(compiled, rows):
    tokens = token_batch(compiled.model, rows.X)
    with torch.no_grad():
        before = compiled.model(tokens)
        for layer in range(2):
            for head in range(4):

                def without(_module, _inputs, value, head=head):
                    value = value.clone()
                    value[:, head] = 0
                    return value

                hook = compiled.model.get_submodule(f"blocks.{layer}.attention.heads").register_forward_hook(without)
                changed = (compiled.model(tokens) - before).abs().max()
                hook.remove()
                works = (layer, head) in (compiled.heads["previous token"], compiled.heads["induction"])
                assert (changed > 1) == works


def test_compiled_transformer_reads_longer_rows():
    rows = worlds.copies(30, length=96)
    model = zoo.compiled_copies(97, confidence=3.0).model
    with torch.no_grad():
        scores = model(torch.as_tensor(rows.X))
    known = torch.as_tensor(rows.truth.source(rows.X) >= 0)[:, :-1]
    assert (scores[:, :-1].argmax(dim=2) == torch.as_tensor(rows.X)[:, 1:])[known].all()
    assert scores.max() == pytest.approx(3.0, abs=1e-3)
