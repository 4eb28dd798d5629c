"""What :mod:`xailib.openclip` must refuse, in the manner of :mod:`tests.bad_input_cases`; a stand-in plays open_clip's model."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from tests.bad_input_cases import NOTHING, TEXT, Bad, Case
from xailib import openclip

WIDTH = 6


class Vision(nn.Module):
    """Two blocks over a class token and four patches."""

    def __init__(self) -> None:
        super().__init__()
        self.class_embedding, self.positional_embedding = nn.Parameter(torch.zeros(WIDTH)), nn.Parameter(torch.zeros(5, WIDTH))
        self.transformer, self.image_size = nn.Module(), 8
        self.transformer.resblocks = nn.ModuleList(nn.Identity() for _ in range(2))


class Clip(nn.Module):
    """Answers with the mean colour, or the length of a text."""

    def __init__(self) -> None:
        super().__init__()
        self.visual, self.logit_scale = Vision(), nn.Parameter(torch.zeros(()))

    def encode_image(self, images: Tensor) -> Tensor:
        x = images.mean(dim=(2, 3)).repeat(1, 2)[:, None].expand(-1, 5, -1)
        for block in self.visual.transformer.resblocks:
            x = block(x)
        return x.mean(dim=1)

    def encode_text(self, tokens: Tensor) -> Tensor:
        return tokens.float().expand(-1, WIDTH)


def tokenizer(texts: list[str]) -> Tensor:
    return torch.tensor([[len(text)] for text in texts])


def towers() -> openclip.OpenCLIP:
    return openclip.OpenCLIP(Clip(), tokenizer)


def images() -> np.ndarray:
    return np.full((2, 3, 4, 4), 0.5)


def tokens(rows: int = 2, columns: int = WIDTH) -> Any:
    return {0: torch.zeros(rows, columns)}


CASES: dict[str, Case] = {
    "openclip.OpenCLIP": Case(
        openclip.OpenCLIP,
        lambda: {"model": Clip(), "tokenizer": tokenizer},
        {
            "model": [TEXT, NOTHING, Bad("no towers", nn.Linear(1, 1))],
            "tokenizer": [TEXT, NOTHING, Bad("a number", 1)],
        },
    ),
    "openclip.OpenCLIP.encode_image": Case(
        lambda **given: towers().encode_image(**given),
        lambda: {"images": images(), "prompt_tokens": tokens()},
        {
            "images": [TEXT, NOTHING, Bad("one image", images()[0]), Bad("grey", images()[:, :1]), Bad("NaN", images() * np.nan)],
            "prompt_tokens": [
                TEXT,
                Bad("a tensor", tokens()[0]),
                Bad("no such block", {2: tokens()[0]}),
                Bad("too wide", tokens(columns=WIDTH + 1)),
                Bad("no tokens", tokens(rows=0)),
            ],
        },
    ),
    "openclip.OpenCLIP.encode_text": Case(
        lambda **given: towers().encode_text(**given),
        lambda: {"texts": ["a cat"]},
        {"texts": [TEXT, NOTHING, Bad("no texts", []), Bad("numbers", [1, 2])]},
    ),
}
