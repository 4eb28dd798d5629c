"""open_clip's ViT-B/32 behind the two-tower interface, with random weights in place of the downloaded ones."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from xailib import ecor, openclip
from xailib._torchvision import torchvision

torchvision()  # open_clip imports it
open_clip = pytest.importorskip("open_clip")

BOOK = ecor.rationales({"cat": ["a long tail", "round eyes"], "ship": ["a mast", "a long hull"]})


@pytest.fixture(scope="module")
def towers():
    torch.manual_seed(0)
    return openclip.OpenCLIP(open_clip.create_model("ViT-B-32"), open_clip.get_tokenizer("ViT-B-32"))


@pytest.fixture(scope="module")
def images():
    return np.random.default_rng(0).random((2, 3, 32, 32), dtype=np.float32)


def prompt_of(towers, blocks):
    generator = torch.Generator().manual_seed(1)
    return {b: torch.randn(3, towers.width, generator=generator, requires_grad=True) for b in blocks}


def test_without_prompt_tokens_the_vectors_are_the_packages(towers):
    side = np.random.default_rng(1).random((2, 3, 224, 224), dtype=np.float32)
    mean, std = (torch.tensor(values)[:, None, None] for values in (openclip.MEAN, openclip.STD))
    with torch.no_grad():
        theirs = towers.model.encode_image((torch.as_tensor(side) - mean) / std, normalize=True)
        texts = towers.model.encode_text(open_clip.get_tokenizer("ViT-B-32")(["a cat"]), normalize=True)
        torch.testing.assert_close(towers.encode_image(side), theirs, atol=1e-5, rtol=1e-4)
        torch.testing.assert_close(towers.encode_text(["a cat"]), texts)
    assert (towers.width, towers.n_blocks, towers.image_side) == (768, 12, 224)
    assert 1 < towers.logit_scale <= 100


@pytest.mark.parametrize("blocks", [(0,), (11,), (0, 1, 2)])
def test_prompt_tokens_join_last_and_replace_those_that_are_there(towers, images, blocks):
    lengths = []
    hooks = [b.register_forward_hook(lambda _, inputs, __: lengths.append(inputs[0].shape[1])) for b in towers.blocks]
    try:
        with torch.no_grad():
            moved, plain = towers.encode_image(images, prompt_of(towers, blocks)), towers.encode_image(images)
    finally:
        for hook in hooks:
            hook.remove()
    assert lengths[:12] == [50 + 3 * (b >= blocks[0]) for b in range(12)]
    assert lengths[12:] == [50] * 12  # and the hooks are gone
    assert moved.shape == (2, 512)
    assert (moved - plain).abs().max() > 1e-4


def test_gradients_reach_the_prompt_tokens(towers, images):
    prompt = prompt_of(towers, (0, 1))
    towers.encode_image(images, prompt)[:, 0].sum().backward()
    assert all(tokens.grad.abs().max() > 0 for tokens in prompt.values())


def test_tuning_leaves_both_towers_as_they_are(towers, images):
    before = {name: value.clone() for name, value in towers.state_dict().items()}
    many = np.tile(images, (4, 1, 1, 1))
    tuned = ecor.tune(towers, many, [0, 1] * 4, [0, 2] * 4, BOOK, n_tokens=2, epochs=1, batch_size=4, validation_share=0.5)
    assert all(torch.equal(value, before[name]) for name, value in towers.state_dict().items())
    assert tuned.prompt[0].shape == (2, 768)


def test_the_command_explains_pictures_of_ten_categories(towers, monkeypatch, images):
    class World:
        target_names = tuple(ecor.CIFAR10)
        test = np.tile(images, (2, 1, 1, 1)), np.array([3, 5, 0, 9])

    monkeypatch.setattr(openclip.real, "cifar10", lambda: World)
    text = openclip.explain(towers, 3)
    assert "of 3 pictures" in text
    assert text.count("called") == 3


def test_other_models_are_refused_in_a_sentence():
    with pytest.raises(TypeError, match="vision transformer"):
        openclip.OpenCLIP(torch.nn.Linear(1, 1), lambda texts: texts)


def test_prompt_tokens_of_the_wrong_width_are_refused(towers, images):
    with pytest.raises(ValueError, match=r"\(K, 768\)"):
        towers.encode_image(images, {0: torch.zeros(2, 64)})
