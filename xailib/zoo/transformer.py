"""The course's transformer, in one file to read: every intermediate value passes through a module with a name.

A hook point is an identity: whatever stops there (``register_forward_hook`` on ``"blocks.0.attention.pattern"``) sees the value
and may replace it. Names of hook points and their shapes, for n sequences of l tokens, h heads of k numbers, width d:

=========================================  ============  ==========================================
name                                       shape         value
=========================================  ============  ==========================================
``embedded``                               (n, l, d)     token plus position
``blocks.0.resid_pre``                     (n, l, d)     residual stream before the block
``blocks.0.attention.queries``             (n, h, l, k)  also ``keys``, ``values``
``blocks.0.attention.scores``              (n, h, l, l)  before the softmax, query by key
``blocks.0.attention.pattern``             (n, h, l, l)  attention: rows sum to 1
``blocks.0.attention.heads``               (n, h, l, k)  values mixed by the pattern
``blocks.0.attn_out``                      (n, l, d)     what all heads add to the stream
``blocks.0.resid_mid``                     (n, l, d)     stream between attention and MLP
``blocks.0.mlp.hidden``                    (n, l, 4d)    after the rectifier
``blocks.0.mlp.out``                       (n, l, d)     what the MLP adds to the stream
``blocks.0.resid_post``                    (n, l, d)     stream after the block
``final``                                  (n, l, d)     what the output layer reads
=========================================  ============  ==========================================
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from xailib import _validation as check

__all__ = ["Transformer", "hook_points"]

ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {"relu": torch.relu, "gelu": partial(nn.functional.gelu, approximate="tanh")}


def hook_points(model: nn.Module) -> list[str]:
    """Names of all places where a value can be seen and replaced, in the order in which they are registered.

    Parameters
    ----------
    model : torch module

    Notes
    -----
    Taught in chapter 12.

    Examples
    --------
    >>> hook_points(Transformer(vocabulary=10, context=6, n_layers=1))[:2]
    ['embedded', 'final']
    """
    return [name for name, module in check.instance(model, nn.Module, "model").named_modules() if isinstance(module, HookPoint)]


class HookPoint(nn.Identity):
    """A value on its way, with a name."""


class Transformer(nn.Module):
    r"""A decoder or an encoder with residual stream and pre-normalisation.

    .. math:: x \leftarrow x + \sum_h \mathrm{softmax}\Big(\frac{Q_h K_h^\top}{\sqrt k}\Big) V_h W_O^h, \qquad
        x \leftarrow x + W_2\, \mathrm{relu}(W_1 x)

    Parameters
    ----------
    vocabulary : int, number of tokens
    context : int, longest sequence
    n_outputs : int or None
        None: the next token at every position. A number: so many class scores per sequence, read from its last real token.
    width, n_heads, n_layers : int; a head has width / n_heads numbers
    mlp : bool, False leaves attention only
    causal : bool, whether a position sees only itself and what came before
    normalise : bool, False leaves the layer normalisation out, so that everything but softmax and relu is linear
    padding : int or None, the token that fills short sequences up at their end; nobody attends to it
    activation : {"relu", "gelu"}, of the MLP; gelu in the approximation by tanh that GPT-2 uses

    Raises
    ------
    TypeError, ValueError
        If a size is unusable; when called, if the tokens are no batch of sequences that it can read.

    Notes
    -----
    Vaswani et al. (2017), sect. 3; normalisation before each part, as in GPT-2. Taught in chapters 10 to 13.

    Examples
    --------
    >>> model = Transformer(vocabulary=10, context=6)
    >>> model(torch.tensor([[1, 2, 3]])).shape
    torch.Size([1, 3, 10])
    >>> [name for name in hook_points(model) if "blocks.0.attention" in name][-2:]
    ['blocks.0.attention.pattern', 'blocks.0.attention.heads']
    """

    def __init__(
        self,
        vocabulary: int,
        context: int,
        *,
        n_outputs: int | None = None,
        width: int = 64,
        n_heads: int = 4,
        n_layers: int = 2,
        mlp: bool = True,
        causal: bool = True,
        normalise: bool = True,
        padding: int | None = None,
        activation: str = "relu",
    ) -> None:
        super().__init__()
        check.one_of(activation, "activation", ACTIVATIONS)
        sizes = {"vocabulary": vocabulary, "context": context, "width": width, "n_heads": n_heads, "n_layers": n_layers}
        for name, size in (sizes | ({} if n_outputs is None else {"n_outputs": n_outputs})).items():
            check.number(size, name, low=1, integer=True)
        if width % n_heads:
            raise ValueError(f"width must be a multiple of n_heads, but is {width} for {n_heads} heads.")
        self.vocabulary, self.context, self.padding, self.n_outputs = vocabulary, context, padding, n_outputs
        self.tokens, self.positions = nn.Embedding(vocabulary, width), nn.Embedding(context, width)
        self.embedded, self.final = HookPoint(), HookPoint()
        self.blocks = nn.ModuleList(
            Block(width, n_heads, activation if mlp else None, causal, normalise) for _ in range(n_layers)
        )
        self.norm = nn.LayerNorm(width) if normalise else nn.Identity()
        self.output = nn.Linear(width, vocabulary if n_outputs is None else n_outputs)
        for embedding in (self.tokens, self.positions):
            nn.init.normal_(embedding.weight, std=0.1)

    def forward(self, tokens: Tensor) -> Tensor:
        """Scores before the softmax: (n, l, vocabulary) or (n, n_outputs)."""
        n, length = self._checked(tokens)
        x = self.embedded(self.tokens(tokens) + self.positions(torch.arange(length, device=tokens.device)))
        hidden = None if self.padding is None else tokens == self.padding
        for block in self.blocks:
            x = block(x, hidden)
        x = self.final(self.norm(x))
        if self.n_outputs is not None:
            last = torch.full((n,), length - 1) if hidden is None else (~hidden).sum(dim=1).clamp(min=1) - 1
            x = x[torch.arange(n), last]
        return self.output(x)

    def _checked(self, tokens: Any) -> tuple[int, int]:
        if not isinstance(tokens, Tensor) or tokens.ndim != 2 or tokens.is_floating_point():
            raise TypeError("tokens must be a whole-number tensor of shape (sequences, length).")
        if tokens.shape[1] > self.context:
            raise ValueError(f"sequences have {tokens.shape[1]} tokens, but this transformer reads {self.context} at most.")
        if 0 in tokens.shape:
            raise ValueError(f"tokens are empty: their shape is {tuple(tokens.shape)}.")
        odd = tokens[(tokens < 0) | (tokens >= self.vocabulary)]
        if len(odd):
            raise ValueError(f"tokens must lie from 0 to {self.vocabulary - 1}, but one is {int(odd[0])}.")
        return tokens.shape[0], tokens.shape[1]


class Block(nn.Module):
    """Attention adds to the residual stream, then the MLP does."""

    def __init__(self, width: int, n_heads: int, activation: str | None, causal: bool, normalise: bool) -> None:
        super().__init__()
        self.resid_pre, self.attn_out, self.resid_mid = HookPoint(), HookPoint(), HookPoint()
        self.resid_post = HookPoint()
        self.norm1, self.norm2 = (nn.LayerNorm(width) if normalise else nn.Identity() for _ in range(2))
        self.attention = Attention(width, n_heads, causal)
        self.mlp = MLP(width, activation) if activation else None

    def forward(self, x: Tensor, hidden: Tensor | None) -> Tensor:
        x = self.resid_pre(x)
        x = self.resid_mid(x + self.attn_out(self.attention(self.norm1(x), hidden)))
        if self.mlp is not None:
            x = x + self.mlp(self.norm2(x))
        return self.resid_post(x)


class MLP(nn.Module):
    """Works on each position alone."""

    def __init__(self, width: int, activation: str) -> None:
        super().__init__()
        self.activation = ACTIVATIONS[activation]
        self.W1, self.W2 = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)
        self.hidden, self.out = HookPoint(), HookPoint()

    def forward(self, x: Tensor) -> Tensor:
        return self.out(self.W2(self.hidden(self.activation(self.W1(x)))))


class Attention(nn.Module):
    """Every head looks from each position at others and mixes their values."""

    def __init__(self, width: int, n_heads: int, causal: bool) -> None:
        super().__init__()
        self.n_heads, self.causal = n_heads, causal
        self.W_Q, self.W_K, self.W_V, self.W_O = (nn.Linear(width, width) for _ in range(4))
        self.queries, self.keys, self.values = HookPoint(), HookPoint(), HookPoint()
        self.scores, self.pattern, self.heads = HookPoint(), HookPoint(), HookPoint()

    def forward(self, x: Tensor, hidden: Tensor | None) -> Tensor:
        q, k, v = (
            self.queries(self._split(self.W_Q(x))),
            self.keys(self._split(self.W_K(x))),
            self.values(self._split(self.W_V(x))),
        )
        scores = self.scores(q @ k.transpose(2, 3) / math.sqrt(q.shape[3]))
        pattern = self.pattern(scores.masked_fill(self._unseen(x, hidden), -torch.inf).softmax(dim=3))
        return self.W_O(self.heads(pattern @ v).transpose(1, 2).flatten(2))

    def _split(self, x: Tensor) -> Tensor:
        """(n, l, d) -> (n, h, l, k)"""
        return x.unflatten(2, (self.n_heads, -1)).transpose(1, 2)

    def _unseen(self, x: Tensor, hidden: Tensor | None) -> Tensor:
        """Which keys a query must not see; each position always sees itself."""
        length = x.shape[1]
        later = torch.ones(length, length, dtype=torch.bool, device=x.device).triu(1)
        unseen = later[None] if self.causal else torch.zeros_like(later)[None]
        if hidden is not None:
            unseen = unseen | (hidden[:, None, :] & ~torch.eye(length, dtype=torch.bool, device=x.device))
        return unseen[:, None]
