"""A small vision transformer, built from the course's transformer blocks: its attention can be seen at hook points."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from xailib import _validation as check
from xailib.zoo.transformer import Block

__all__ = ["SmallViT"]


class SmallViT(nn.Module):
    r"""Patches as tokens, blocks of attention and MLP, the mean of all patches, one linear layer.

    .. math:: z = W \, \frac{1}{hw} \sum_j \mathrm{LN}(x_j) + b

    Parameters
    ----------
    in_channels, image_size, patch_size : int, pixels; the image is square and a multiple of the patch
    n_classes : int
    width, n_heads, n_layers : int; a head has width / n_heads numbers

    Attributes
    ----------
    blocks : ModuleList with attention at ``blocks.0.attention.pattern`` (n, heads, l, l), ...
    maps : the patches as maps (n, width, h, w) before the mean, so that methods for maps work

    Raises
    ------
    TypeError, ValueError
        If the sizes do not fit together.

    Notes
    -----
    Dosovitskiy et al. (2021) without the class token. Taught in chapter 17.

    Examples
    --------
    >>> SmallViT(1, 8, 2, 10)(torch.zeros(3, 1, 8, 8)).shape
    torch.Size([3, 10])
    """

    def __init__(
        self,
        in_channels: int,
        image_size: int,
        patch_size: int,
        n_classes: int,
        *,
        width: int = 32,
        n_heads: int = 4,
        n_layers: int = 2,
    ) -> None:
        super().__init__()
        sizes = {"in_channels": in_channels, "image_size": image_size, "patch_size": patch_size, "n_classes": n_classes}
        for name, size in (sizes | {"width": width, "n_heads": n_heads, "n_layers": n_layers}).items():
            check.number(size, name, low=1, integer=True)
        if image_size % patch_size or width % n_heads:
            raise ValueError("image_size must be a multiple of patch_size, and width one of n_heads.")
        self.side = image_size // patch_size
        self.patches = nn.Conv2d(in_channels, width, patch_size, stride=patch_size)
        self.positions = nn.Parameter(0.1 * torch.randn(self.side**2, width))
        self.blocks = nn.ModuleList(Block(width, n_heads, "gelu", False, True) for _ in range(n_layers))
        self.norm = nn.LayerNorm(width)
        self.maps = nn.Identity()
        self.classifier = nn.Linear(width, n_classes)

    def forward(self, x: Tensor) -> Tensor:
        """Class scores before the softmax, (n, n_classes)."""
        tokens = self.patches(x).flatten(2).transpose(1, 2) + self.positions
        for block in self.blocks:
            tokens = block(tokens, None)
        maps = self.maps(self.norm(tokens).transpose(1, 2).unflatten(2, (self.side, self.side)))
        return self.classifier(maps.mean(dim=(2, 3)))
