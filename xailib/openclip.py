"""CLIP behind the course's two-tower interface.  ``python -m xailib.openclip --images 500`` tries it on CIFAR-10.

Prints how often the vote of the top pairs names the right category, with zero-shot joint scoring and with rationales first, and
what is shown for a few pictures. Needs the extra ``clip`` (open_clip) and, on first use, a network: 600 MB of weights and
CIFAR-10. With ``--json FILE`` categories and rationales come from a file in the benchmark's form. Taught in chapter 15.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate, normalize

from xailib import _validation as check
from xailib import ecor
from xailib._torchvision import torchvision
from xailib.worlds import real
from xailib.zoo.two_towers import MOST_SCALE, check_prompt_tokens

__all__ = ["OpenCLIP", "load"]

ARCHITECTURE, WEIGHTS, FILE = "ViT-B-32", "laion/CLIP-ViT-B-32-laion2B-s34B-b79K", "open_clip_model.safetensors"
#: means and standard deviations of the colours that CLIP was trained with
MEAN, STD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)
_HELP = "Which category, and because of what? CLIP ViT-B/32 on CIFAR-10."


def main(arguments: list[str] | None = None) -> int:
    """Explain pictures of CIFAR-10 and print what was found; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m xailib.openclip", description=_HELP)
    parser.add_argument("--images", type=int, default=500, help="number of test images (default: 500)")
    parser.add_argument("--json", help="file {category: [rationales]} instead of the course's own list")
    options = parser.parse_args(arguments)
    try:
        print(explain(load(), options.images, options.json))
    except (OSError, ValueError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def load() -> OpenCLIP:
    """CLIP ViT-B/32 with the weights that LAION trained on two billion pairs.

    Raises
    ------
    OSError
        If open_clip is not installed, or the weights are neither here nor reachable.
    """
    torchvision()  # open_clip imports it
    try:
        import open_clip
        from huggingface_hub import hf_hub_download
    except ImportError:
        raise OSError("open_clip is not installed: pip install 'xailib[clip]' brings it.") from None
    from safetensors.torch import load_file

    try:
        path = hf_hub_download(WEIGHTS, FILE)
    except Exception as error:  # the package raises its own and those of two others
        raise OSError("the weights of CLIP are not here and huggingface.co does not answer: try again online.") from error
    model = open_clip.create_model(ARCHITECTURE)
    model.load_state_dict(load_file(path))
    return OpenCLIP(model, open_clip.get_tokenizer(ARCHITECTURE))


class OpenCLIP(nn.Module):
    """A CLIP model of the package open_clip with a vision transformer, as two towers that accept prompt tokens.

    Parameters
    ----------
    model : open_clip's CLIP with a VisionTransformer
    tokenizer : function (list of str) -> (m, context) tensor

    Attributes
    ----------
    width, n_blocks : what prompt tokens for the image tower must know
    logit_scale : the factor between cosine and logit, a float
    image_side : pictures are brought to so many pixels

    Raises
    ------
    TypeError
        If the model has no vision transformer.

    Notes
    -----
    Prompt tokens enter by hooks in front of the blocks, after the normalisation that follows the patches; the package's own code
    runs unchanged. Taught in chapter 15.
    """

    def __init__(self, model: nn.Module, tokenizer: Any) -> None:
        super().__init__()
        vision: Any = getattr(check.instance(model, nn.Module, "model"), "visual", None)
        if not hasattr(vision, "transformer") or not hasattr(vision, "class_embedding"):
            raise TypeError("model must be a CLIP of open_clip with a vision transformer, such as ViT-B-32.")
        self.model, self.tokenizer = model.eval(), check.function(tokenizer, "tokenizer")
        self.blocks: nn.ModuleList = vision.transformer.resblocks
        self.width, self.n_blocks = int(vision.class_embedding.shape[-1]), len(self.blocks)
        side = vision.image_size
        self.image_side = int(side[0] if isinstance(side, tuple) else side)

    @property
    def logit_scale(self) -> float:
        """The factor between cosine and logit, at most 100."""
        return min(float(self.model.logit_scale.detach().exp()), MOST_SCALE)  # type: ignore[operator]

    def encode_image(self, images: Any, prompt_tokens: Mapping[int, Tensor] | None = None) -> Tensor:
        """Unit vectors of pictures (n, 3, height, width) with values from 0 to 1, (n, embedding).

        Raises
        ------
        TypeError, ValueError
            If images or prompt tokens have the wrong form, or a block does not exist.
        """
        x = images if isinstance(images, Tensor) else torch.as_tensor(check.images(images))
        if x.ndim != 4 or x.shape[1] != 3:
            raise ValueError(f"images must have the shape (n, 3, height, width), not {tuple(x.shape)}.")
        checked = check_prompt_tokens(prompt_tokens, self.width, self.n_blocks)
        x = interpolate(x.float(), size=(self.image_side,) * 2, mode="bicubic", antialias=True).clamp(0, 1)
        mean, std = (torch.tensor(values)[:, None, None] for values in (MEAN, STD))
        with ExitStack() as hooks:
            for number, tokens in checked.items():
                hook = _Joins(tokens, self._n_tokens())
                hooks.enter_context(self.blocks[number].register_forward_pre_hook(hook))
            return normalize(self.model.encode_image((x - mean) / std), dim=1)  # type: ignore[operator]

    def encode_text(self, texts: Sequence[str]) -> Tensor:
        """Unit vectors of texts, (m, embedding).

        Raises
        ------
        TypeError, ValueError
            If the texts are no texts.
        """
        return normalize(self.model.encode_text(self.tokenizer(list(check.texts(texts, "texts")))), dim=1)  # type: ignore[operator]

    def _n_tokens(self) -> int:
        """Class token and patches."""
        return len(self.model.visual.positional_embedding)  # type: ignore[union-attr, arg-type]


class _Joins:
    """A hook in front of a block: prompt tokens come last, in the place of those that are already there."""

    def __init__(self, tokens: Tensor, n_others: int) -> None:
        self.tokens, self.n_others = tokens, n_others

    def __call__(self, module: nn.Module, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        x = inputs[0]
        return (torch.cat([x[:, : self.n_others], self.tokens.expand(len(x), -1, -1)], dim=1), *inputs[1:])


def explain(towers: Any, n_images: int, json: str | None = None) -> str:
    """Accuracy of the vote by two ways of scoring, and the top pairs of a few pictures, as text.

    Raises
    ------
    OSError, ValueError
        If the pictures are not reachable, there are fewer than ``n_images``, or the categories of the file are not CIFAR-10's.
    """
    world = real.cifar10()
    images, labels = world.test
    check.number(n_images, "number of images", low=1, high=len(images), integer=True)
    book = ecor.read_rationales(json) if json else ecor.rationales(ecor.CIFAR10)
    names = list(world.target_names)
    if sorted(book.categories) != sorted(names):
        raise ValueError(f"the categories must be {', '.join(names)}, but are {check.listed(book.categories)}.")
    y = np.array([book.categories.index(names[label]) for label in labels[:n_images]])
    lines = []
    for way in ("dror", "ecor"):
        found = ecor.beliefs(towers, images[:n_images], book, factorisation=way)
        lines.append(f"{way}: the vote is right for {np.mean(found.vote() == y):.2f} of {n_images} pictures")
    pairs = found.top_pairs()
    for i in range(min(5, n_images)):
        shown = ", ".join(book.rationales[r] for r in pairs.rationale[i])
        lines.append(f"a {book.categories[y[i]]}, called {book.categories[found.vote()[i]]}: {shown}")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
