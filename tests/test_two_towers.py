"""The two towers of chapter 15: form, prompt tokens, the contrastive loss, captions, and what the shipped ones can do."""

from __future__ import annotations

import dataclasses
import re

import numpy as np
import pytest
import torch
from sklearn.metrics import roc_auc_score

from xailib import worlds, zoo
from xailib.text import Vocabulary
from xailib.zoo import _captions, cards, train, two_tower_cards, two_towers
from xailib.zoo._corpora import BIRDS_MISSING_RATE
from xailib.zoo.two_towers import TinyCLIP, contrastive_loss

VOCABULARY = Vocabulary(["<pad>", "<unk>", "<end>", "a", "finch", "photo", "of", "this", "is"])


@pytest.fixture(scope="module")
def towers():
    torch.manual_seed(0)
    return TinyCLIP(VOCABULARY, context=8, width=16, n_blocks=3, n_heads=2, text_width=16, embedding=12).eval()


@pytest.fixture(scope="module")
def images():
    return np.random.default_rng(0).random((3, 3, 64, 64), dtype=np.float32)


@pytest.fixture(scope="module")
def world():
    """Held-out pictures: the last 200 of 1,200."""
    return worlds.birds(1200, missing_rate=BIRDS_MISSING_RATE, random_state=4)


# --- form -----------------------------------------------------------------------------------------------------------


def test_both_towers_give_unit_vectors_of_one_length(towers, images):
    pictures, texts = towers.encode_image(images), towers.encode_text(["a photo of a finch", "finch"])
    assert pictures.shape == (3, 12)
    assert texts.shape == (2, 12)
    for vectors in (pictures, texts):
        torch.testing.assert_close(vectors.norm(dim=1), torch.ones(len(vectors)))


def test_logits_are_scaled_cosines(towers, images):
    tokens = towers.tokens(["finch", "a photo"])
    expected = towers.logit_scale * towers.encode_image(images) @ towers.encode_text(["finch", "a photo"]).T
    torch.testing.assert_close(towers(torch.as_tensor(images), tokens), expected)


def test_the_scale_stops_at_a_hundred(towers):
    steep = TinyCLIP(VOCABULARY, context=8, width=16, n_blocks=1, text_width=16, embedding=4)
    steep.log_scale.data.fill_(10.0)
    assert steep.logit_scale == 100


@pytest.mark.parametrize("text", ["This is a finch.", "THIS IS A FINCH", "this  is, a finch!"])
def test_case_and_marks_do_not_matter(towers, text):
    torch.testing.assert_close(towers.encode_text([text]), towers.encode_text(["this is a finch"]))


def test_longer_neighbours_do_not_change_a_text(towers):
    alone, beside = towers.encode_text(["finch"]), towers.encode_text(["finch", "this is a photo of a finch"])
    torch.testing.assert_close(alone[0], beside[0], atol=1e-6, rtol=0)


# --- prompt tokens --------------------------------------------------------------------------------------------------


def by_hand(towers, images, prompt):
    """The image tower, block by block."""
    tower = towers.image
    x = tower.patches(2 * torch.as_tensor(images) - 1).flatten(2).transpose(1, 2) + tower.positions
    for number, block in enumerate(tower.blocks):
        if number in prompt:
            x = torch.cat([x[:, :64], prompt[number].expand(len(x), -1, -1)], dim=1)
        x = block(x, None)
    features = tower.output(tower.norm(x[:, :64].mean(dim=1)))
    return features / features.norm(dim=1, keepdim=True)


@pytest.mark.parametrize("blocks", [(), (0,), (1,), (2,), (0, 1, 2), (0, 2)])
def test_prompt_tokens_join_before_a_block_and_replace_those_before_the_next(towers, images, blocks):
    prompt = {b: torch.full((2, 16), 0.5 + b) for b in blocks}
    torch.testing.assert_close(towers.encode_image(images, prompt), by_hand(towers, images, prompt))


def test_prompt_tokens_change_the_vectors_and_their_order_does_not_matter(towers, images):
    tokens = torch.randn(3, 16, generator=torch.Generator().manual_seed(0))
    moved = towers.encode_image(images, {0: tokens})
    assert (moved - towers.encode_image(images)).abs().max() > 1e-3
    torch.testing.assert_close(moved, towers.encode_image(images, {0: tokens.flip(0)}), atol=1e-6, rtol=0)


@pytest.mark.parametrize(
    ("prompt", "message"),
    [
        ([1], "mapping from block number"),
        ({3: torch.zeros(1, 16)}, "block number in prompt_tokens must be a whole number"),
        ({0: torch.zeros(1, 15)}, re.escape("must be a tensor (K, 16)")),
        ({0: torch.zeros(0, 16)}, "K at least 1"),
        ({0: np.zeros((1, 16))}, re.escape("must be a tensor (K, 16)")),
    ],
)
def test_bad_prompt_tokens_get_a_sentence(towers, images, prompt, message):
    with pytest.raises((TypeError, ValueError), match=message):
        towers.encode_image(images, prompt)


def test_bad_inputs_get_a_sentence(towers):
    with pytest.raises(ValueError, match="8 words, but 7 are the most"):
        towers.encode_text(["a a a a a a a a"])
    with pytest.raises(ValueError, match=re.escape("(n, 3, 64, 64)")):
        towers.encode_image(np.zeros((1, 3, 32, 32)))
    with pytest.raises(ValueError, match="'<end>' is not in the vocabulary"):
        TinyCLIP(Vocabulary(["<pad>", "a"]), context=4)


# --- the loss -------------------------------------------------------------------------------------------------------


def test_contrastive_loss_is_the_mean_of_two_cross_entropies():
    fits = torch.tensor([[2.0, 0.0], [1.0, 3.0]])
    rows = -(fits.log_softmax(dim=1)[0, 0] + fits.log_softmax(dim=1)[1, 1]) / 2
    columns = -(fits.log_softmax(dim=0)[0, 0] + fits.log_softmax(dim=0)[1, 1]) / 2
    found = contrastive_loss(lambda *_: fits, torch.zeros(2), torch.zeros(2))
    torch.testing.assert_close(found, (rows + columns) / 2)


# --- captions -------------------------------------------------------------------------------------------------------


def test_captions_have_the_stated_noise(world):
    truth = world.truth
    texts = _captions.captions(truth, np.random.default_rng(0))
    names = np.array(truth.species_names)
    said = np.array([[name in text for name in names] for text in texts])
    right = said[np.arange(len(texts)), world.y]
    assert right.mean() == pytest.approx(_captions.NAMED * (1 - _captions.WRONG_NAME) * (1 - _captions.WRONG_PICTURE), abs=0.06)
    siblings = [said[i, [truth.sibling(s, part) for part in truth.pivots(s)]].any() for i, s in enumerate(world.y)]
    assert 0.02 < np.mean(siblings) < 0.08
    missing = [set(truth.looks(s)) - set(seen) for s, seen in zip(world.y, truth.rationales(), strict=True)]
    unseen = [any(look in text for look in looks) for looks, text in zip(missing, texts, strict=True)]
    assert 0.05 < np.mean(unseen) < 0.4


def test_every_word_of_a_caption_is_known(world):
    known = _captions.vocabulary(world.truth)
    rng = np.random.default_rng(1)
    assert all(word in known.words for text in _captions.captions(world.truth, rng) for word in two_towers.words(text))


# --- the shipped towers ---------------------------------------------------------------------------------------------


def test_shipped_towers_know_families_and_reasons(world):
    towers, truth, n = zoo.load("birds-clip"), world.truth, world.n_train
    looks = sorted({r for s in range(20) for r in truth.looks(s)})
    with torch.no_grad():
        pictures = towers.encode_image(world.X[n:])
        named = (
            (pictures @ towers.encode_text([f"This is a photo of a {c}." for c in truth.species_names]).T).argmax(dim=1).numpy()
        )
        fits = (pictures @ towers.encode_text([f"There is {r}." for r in looks]).T).numpy()
    seen = np.array([[r in own for r in looks] for own in truth.rationales()])[n:]
    assert (named // 4 == world.y[n:] // 4).mean() > 0.95
    assert (named == world.y[n:]).mean() > 0.4
    assert np.mean([roc_auc_score(seen[:, j], fits[:, j]) for j in range(len(looks))]) > 0.85


def test_card_states_what_is_measured_again():
    stored, again = cards.measurements()["birds-clip"], two_tower_cards.measure("birds-clip")
    assert stored.keys() == again.keys()
    for key, value in again.items():
        assert value == pytest.approx(stored[key], abs=0.01), key


def test_a_model_of_its_own_at_every_call():
    first, second = zoo.load("birds-clip"), zoo.load("birds-clip")
    first.log_scale.data.zero_()
    assert second.logit_scale > 1


def test_an_interrupted_training_ends_with_the_same_weights(monkeypatch, tmp_path, world):
    corpus = (world.X[:64], train_tokens(world, 64), _captions.vocabulary(world.truth))
    monkeypatch.setattr(train, "_corpus", lambda name: corpus)
    small = dataclasses.replace(train.RECIPES["birds-clip"], epochs=2, batch_size=32)
    monkeypatch.setitem(train.RECIPES, "birds-clip", small)
    whole = train.train("birds-clip", checkpoints=tmp_path / "whole").state_dict()
    run = train._training_run("birds-clip", small)
    run.one_epoch(0)
    run.save(train.checkpoint_path("birds-clip", tmp_path / "cut"))
    resumed = train.train("birds-clip", checkpoints=tmp_path / "cut").state_dict()
    for name, value in whole.items():
        torch.testing.assert_close(resumed[name], value, atol=1e-6, rtol=1e-4)


def train_tokens(world, n):
    known = _captions.vocabulary(world.truth)
    texts = _captions.captions(world.truth, np.random.default_rng(0))[:n]
    return known.encode([" ".join([*two_towers.words(text), two_towers.END]) for text in texts])[:, None]
