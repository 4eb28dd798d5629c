r"""A transformer whose weights were set by formula, so that the role of each head is known: the truth that trained ones lack.

It copies in the world ``copies``. The residual stream consists of five blocks of numbers, one-hot each:

=============  ==================================  ============================================
block          what stands in it                   who writes it
=============  ==================================  ============================================
token          the token at this position          embedding
position       the number of this position         embedding
before         the token one position earlier      head 0.0, "previous token"
next           the token to say                    head 1.0, "induction"; read by the output
unread         the same as ``next``                head 1.1, "decoy"; nobody reads it
=============  ==================================  ============================================

Head 0.0 looks one position back, by position. Head 1.0 looks where ``before`` is the current token, which is one step after
its earlier occurrence, and copies the token that stands there: A B ... A -> B.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor

from xailib import _validation as check
from xailib.worlds.copies import VOCABULARY
from xailib.zoo.transformer import Attention, Block, Transformer

#: attention goes where a score is larger by this; e^-30 is left for all other positions
SHARPNESS = 30.0


@dataclass(frozen=True, eq=False)
class Compiled:
    """A transformer and what each of its heads is for.

    Attributes
    ----------
    model : Transformer in evaluation mode, two layers of four heads
    heads : role -> (layer, head)
        "previous token" and "induction" do the work. "decoy" looks where the induction head looks and writes where nobody reads.
        "mute" looks at the first token with all its weight, and its values are zero. The other heads have no weights at all: they
        look at all positions alike and write nothing.
    """

    model: Transformer
    heads: dict[str, tuple[int, int]]


def compiled_copies(context: int = 49, *, confidence: float = 8.0) -> Compiled:
    """The hand-compiled transformer for ``worlds.copies``.

    Parameters
    ----------
    context : int, longest row, 2 to 97
    confidence : float, log-odds with which a copied token is said, against each other token

    Returns
    -------
    Compiled

    Raises
    ------
    TypeError, ValueError
        If an argument is out of its range.

    Notes
    -----
    No normalisation, no biases, no MLP. The circuit is that of Elhage et al. (2021). Taught in chapters 10 and 12.

    Examples
    --------
    >>> compiled_copies().heads["induction"]
    (1, 0)
    """
    check.number(context, "context", low=2, high=97, integer=True)
    check.number(confidence, "confidence", low=0, open_low=True)
    v = len(VOCABULARY)
    width = 4 * max(v + -(-context // 4), context)  # four heads wide enough for a position, all blocks side by side
    blocks = _Blocks(v, context, width)
    with torch.random.fork_rng():
        model = Transformer(v, context, width=width, n_heads=4, n_layers=2, mlp=False, normalise=False)
    for parameter in model.parameters():
        torch.nn.init.zeros_(parameter)
    with torch.no_grad():
        model.tokens.weight.copy_(blocks.read("token"))
        model.positions.weight.copy_(blocks.read("position"))
        model.output.weight.copy_(confidence * blocks.read("next"))
        first, second = (cast(Block, block).attention for block in model.blocks)
        one_back = torch.diag(torch.ones(context - 1), 1)  # the query of position t is the key of position t - 1
        token, position, before = (blocks.read(name) for name in ("token", "position", "before"))
        _set_head(first, 0, one_back @ position, position, token, before)
        for head, target in ((0, "next"), (1, "unread")):
            _set_head(second, head, token, before, token, blocks.read(target))
        # the first position is the only key, and every position asks for it
        everywhere, nothing = position.sum(dim=0, keepdim=True), torch.zeros(1, width)
        _set_head(second, 2, everywhere, position[:1], nothing, nothing)
    heads = {"previous token": (0, 0), "induction": (1, 0), "decoy": (1, 1), "mute": (1, 2)}
    return Compiled(model.eval(), heads)


class _Blocks:
    """Where the blocks of the residual stream lie."""

    def __init__(self, v: int, context: int, width: int) -> None:
        self.sizes = {"token": v, "position": context, "before": v, "next": v, "unread": v}
        self.width = width

    def span(self, name: str) -> slice:
        start = sum(size for other, size in list(self.sizes.items())[: list(self.sizes).index(name)])
        return slice(start, start + self.sizes[name])

    def read(self, name: str) -> Tensor:
        """The matrix (size, width) that reads a block out of the stream; transposed, it writes the block."""
        return torch.eye(self.width)[self.span(name)]


def _set_head(attention: Attention, head: int, query: Tensor, key: Tensor, value: Tensor, write: Tensor) -> None:
    """Weights of one head from what it asks for, is found by, carries and writes, each (numbers, width)."""
    size = attention.W_Q.out_features // attention.n_heads
    asked, carried = (slice(head * size, head * size + len(part)) for part in (query, value))
    attention.W_Q.weight[asked] = SHARPNESS * size**0.5 * query
    attention.W_K.weight[asked] = key
    attention.W_V.weight[carried] = value
    attention.W_O.weight[:, carried] = write.T
