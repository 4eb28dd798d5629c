"""Two towers, one for images and one for texts, that meet in a common space: a small relative of CLIP.

A picture and a text fit when their vectors point the same way. Both towers are transformers of the course
(:mod:`xailib.zoo.transformer`); the image tower reads a picture as 64 patches and accepts *prompt tokens*, learnable tokens
that join the patches before any block, so that a frozen tower can be steered by its input alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

from xailib import _validation as check
from xailib.text import Vocabulary
from xailib.zoo.language import shipped_tensors, vocabulary_of
from xailib.zoo.transformer import Block, Transformer

__all__ = ["TinyCLIP", "contrastive_loss", "network"]

#: name of each shipped pair of towers and the arguments of :class:`TinyCLIP` beside the vocabulary
SHAPES: dict[str, dict[str, Any]] = {"birds-clip": {"context": 48, "width": 64, "n_blocks": 3}}
IMAGE_SIDE, PATCHES_A_SIDE = 64, 8
#: the last token of a text, from which the text tower reads what it says
END = "<end>"
MOST_SCALE = 100.0


def network(name: str) -> TinyCLIP:
    """A shipped pair of towers in evaluation mode: a new module at every call, free to be changed.

    Raises
    ------
    ValueError, FileNotFoundError
        If the name is unknown, or the weights in ``data/`` are missing or do not match their hash in the manifest.

    Notes
    -----
    Called through :func:`xailib.zoo.load`. Introduced in chapter 15.

    Examples
    --------
    >>> network("birds-clip").n_blocks
    3
    """
    weights, metadata = shipped_tensors(f"{check.one_of(name, 'name', SHAPES)}.safetensors")
    with torch.random.fork_rng():
        model = TinyCLIP(vocabulary_of(metadata), **SHAPES[name])
    model.load_state_dict(weights)
    return model.eval()


class TinyCLIP(nn.Module):
    r"""A vision transformer and a text transformer, trained so that a picture fits its caption.

    .. math:: \mathrm{fit}(x, t) = \tau \cos(u_x, v_t), \qquad \tau = \min(e^{s}, 100)

    Parameters
    ----------
    vocabulary : Vocabulary with ``<unk>`` and ``<end>``
    context : int, longest text in tokens, the end included
    width, n_blocks, n_heads : of the image tower
    text_width, text_blocks, text_heads : of the text tower
    embedding : int, size of the common space

    Attributes
    ----------
    width, n_blocks : what prompt tokens for the image tower must know
    logit_scale : the factor tau, a float

    Raises
    ------
    TypeError, ValueError
        If a size is unusable, or the vocabulary lacks a word that the text tower needs.

    Notes
    -----
    Radford et al. (ICML 2021), fig. 3, in small: the patches come from three convolutions (Xiao et al., NeurIPS 2021), which
    train faster on few pictures than one large one. Prompt tokens: Jia et al. (ECCV 2022), sect. 3.2. Taught in chapter 15.

    Examples
    --------
    >>> towers = TinyCLIP(Vocabulary(["<pad>", "<unk>", "<end>", "finch"]), context=6)
    >>> towers.encode_text(["finch", "unknown words"]).shape
    torch.Size([2, 64])
    """

    def __init__(
        self,
        vocabulary: Vocabulary,
        context: int,
        *,
        width: int = 96,
        n_blocks: int = 4,
        n_heads: int = 4,
        text_width: int = 64,
        text_blocks: int = 2,
        text_heads: int = 4,
        embedding: int = 64,
    ) -> None:
        super().__init__()
        check.instance(vocabulary, Vocabulary, "vocabulary")
        self.end = vocabulary.number(END)
        self.vocabulary, self.width, self.n_blocks, self.context = vocabulary, width, n_blocks, context
        self.image = ImageTower(width, n_blocks, n_heads, embedding)
        self.text = Transformer(
            len(vocabulary), context, n_outputs=embedding, width=text_width, n_heads=text_heads, n_layers=text_blocks, padding=0
        )
        self.log_scale = nn.Parameter(torch.tensor(float(np.log(10.0))))

    @property
    def logit_scale(self) -> float:
        """The factor between cosine and logit."""
        return float(self._scale().detach())

    def encode_image(self, images: Any, prompt_tokens: Mapping[int, Tensor] | None = None) -> Tensor:
        """Unit vectors of pictures.

        Parameters
        ----------
        images : (n, 3, 64, 64) array or tensor, values from 0 to 1
        prompt_tokens : mapping from block number to (K, width) tensor, optional
            Before that block the K tokens join the patches, or take the place of prompt tokens that are already there.

        Returns
        -------
        tensor (n, embedding)

        Raises
        ------
        TypeError, ValueError
            If images or prompt tokens have the wrong form, or a block does not exist.
        """
        x = images if isinstance(images, Tensor) else torch.as_tensor(check.images(images))
        if x.ndim != 4 or x.shape[1:] != (3, IMAGE_SIDE, IMAGE_SIDE):
            raise ValueError(f"images must have the shape (n, 3, {IMAGE_SIDE}, {IMAGE_SIDE}), not {tuple(x.shape)}.")
        checked = check_prompt_tokens(prompt_tokens, self.width, self.n_blocks)
        return normalize(self.image(x.to(self.log_scale.dtype), checked), dim=1)

    def encode_text(self, texts: Sequence[str]) -> Tensor:
        """Unit vectors of texts, (m, embedding); case and punctuation do not matter, an unknown word is ``<unk>``.

        Raises
        ------
        TypeError, ValueError
            If the texts are no texts, or one is too long.
        """
        return normalize(self.text(self.tokens(texts)), dim=1)

    def tokens(self, texts: Sequence[str]) -> Tensor:
        """What the text tower reads: (m, length of the longest) token numbers, the last of each text ``<end>``."""
        lines = [words(text) for text in check.texts(texts, "texts")]
        longest = max(lines, key=len)
        if len(longest) >= self.context:
            raise ValueError(
                f"a text has {len(longest)} words, but {self.context - 1} are the most: {check.shown(' '.join(longest))}."
            )
        return torch.as_tensor(self.vocabulary.encode([" ".join([*line, END]) for line in lines]))

    def forward(self, images: Tensor, tokens: Tensor) -> Tensor:
        """Fit of every picture with every text, (n, m) logits."""
        pictures, texts = normalize(self.image(images, {}), dim=1), normalize(self.text(tokens), dim=1)
        return self._scale() * pictures @ texts.T

    def _scale(self) -> Tensor:
        return self.log_scale.exp().clamp(max=MOST_SCALE)


def contrastive_loss(towers: nn.Module, images: Tensor, tokens: Tensor) -> Tensor:
    r"""Each picture must find its text in the batch, and each text its picture.

    .. math:: L = \tfrac12 \big( \mathrm{CE}(F, \mathrm{diag}) + \mathrm{CE}(F^\top, \mathrm{diag}) \big),
        \qquad F_{ij} = \mathrm{fit}(x_i, t_j)

    Parameters
    ----------
    towers : module (images, tokens) -> (n, n) logits
    images, tokens : as many texts as pictures

    Notes
    -----
    Radford et al. (ICML 2021), fig. 3. Taught in chapter 15.
    """
    fits = towers(images, tokens)
    own = torch.arange(len(fits), device=fits.device)
    return (nn.functional.cross_entropy(fits, own) + nn.functional.cross_entropy(fits.T, own)) / 2


class ImageTower(nn.Module):
    """Pictures to vectors: three convolutions make 8 x 8 patches, blocks let them talk, their mean is the picture."""

    def __init__(self, width: int, n_blocks: int, n_heads: int, embedding: int) -> None:
        super().__init__()
        sizes = (3, width // 4, width // 2, width)
        self.patches = nn.Sequential(*(layer for a, b in pairwise(sizes) for layer in (nn.Conv2d(a, b, 3, 2, 1), nn.ReLU())))
        self.positions = nn.Parameter(0.1 * torch.randn(PATCHES_A_SIDE**2, width))
        self.blocks = nn.ModuleList(Block(width, n_heads, "relu", causal=False, normalise=True) for _ in range(n_blocks))
        self.norm, self.output = nn.LayerNorm(width), nn.Linear(width, embedding, bias=False)

    def forward(self, images: Tensor, prompt_tokens: Mapping[int, Tensor]) -> Tensor:
        x = self.patches(2 * images - 1).flatten(2).transpose(1, 2) + self.positions
        n, n_patches, _ = x.shape
        for number, block in enumerate(self.blocks):
            if number in prompt_tokens:
                x = torch.cat([x[:, :n_patches], prompt_tokens[number].expand(n, -1, -1)], dim=1)
            x = block(x, None)
        return self.output(self.norm(x[:, :n_patches].mean(dim=1)))


def check_prompt_tokens(prompt_tokens: Any, width: int, n_blocks: int) -> dict[int, Tensor]:
    """Prompt tokens as a dict, after a look at numbers and shapes."""
    if prompt_tokens is None:
        return {}
    if not isinstance(prompt_tokens, Mapping):
        raise TypeError("prompt_tokens must be a mapping from block number to tokens (K, width), such as {0: tokens}.")
    for number, tokens in prompt_tokens.items():
        check.number(number, "block number in prompt_tokens", low=0, high=n_blocks - 1, integer=True)
        if not isinstance(tokens, Tensor) or tokens.ndim != 2 or tokens.shape[1] != width or not len(tokens):
            shape = tuple(getattr(tokens, "shape", ())) or type(tokens).__name__
            raise ValueError(f"prompt_tokens of block {number} must be a tensor (K, {width}) with K at least 1, not {shape}.")
    return dict(prompt_tokens)


def words(text: str) -> list[str]:
    """A text in lower case without marks, cut at blanks."""
    return "".join(letter if letter.isalnum() else " " for letter in text.lower()).split()
