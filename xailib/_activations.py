"""What the layers of a network give for images, and how its class scores change with them; activations stay in memory.

Rows of the same image, layer and model are used again. The key is the model object together with its weights, buffers,
structure and settings, and the bytes of the image: other weights, another model or another image never meet an old row.
"""

from __future__ import annotations

import hashlib
import itertools
import pickle
import weakref
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from copy import deepcopy
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from xailib._networks import answer, as_tensor, blocks, checked_scores, module_of, question, signs, undisturbed

#: bytes of activations that are kept; those not used for longest give way
CACHE_BYTES = 512 * 2**20


def activations(model: nn.Module, x: np.ndarray, names: list[str], positions: str, size: int) -> dict[str, np.ndarray]:
    """(n, p) for each layer; only images that are not in memory go through the network, and each of them once."""
    token, images = _CACHE.token(model), [_digest(image) for image in x]
    first = {d: i for i, d in reversed(list(enumerate(images)))}
    held = {(name, d): _CACHE.get((token, name, d)) for name in names for d in first}
    missing = sorted(i for d, i in first.items() if any(held[name, d] is None for name in names))
    with _single_precision(model) as net, torch.no_grad():
        # the first image goes all the way, which checks the model and the layers; the others no further than needed
        for batch in [missing[:1], *(missing[1:][i] for i in blocks(len(missing) - 1, size))] if missing else []:
            new, _ = _forward(net, x[batch], names, stop=batch[0] != missing[0])
            for name, maps in new.items():
                for row, place in zip(maps.detach().cpu().numpy(), batch, strict=True):
                    held[name, images[place]] = row
                    _CACHE.put((token, name, images[place]), row)
    rule = (lambda a: a.mean(axis=(2, 3))) if positions == "mean" else None
    return {name: _rows(np.stack([held[name, d] for d in images]), name, rule) for name in names}  # type: ignore[misc]


def gradients(
    model: nn.Module, x: np.ndarray, names: list[str], classes: np.ndarray, of: str, positions: str, size: int
) -> dict[str, np.ndarray]:
    """(n, p) for each layer, from one forward and one backward pass that ends at the first of them."""
    with _single_precision(model) as net:
        parts = [_gradient_block(net, x[i], names, classes[i], of) for i in blocks(len(x), size)]
    rule = (lambda g: g.sum(axis=(2, 3))) if positions == "mean" else None
    return {name: _rows(np.concatenate([part[name] for part in parts]), name, rule) for name in names}


def _gradient_block(net: nn.Module, x: np.ndarray, names: list[str], classes: np.ndarray, of: str) -> dict[str, np.ndarray]:
    kept, raw = _forward(net, x, names)
    chosen, _ = question(raw.detach().cpu().numpy(), classes)
    z = raw.log_softmax(dim=1) if of == "log-probability" else raw
    total = (z * torch.as_tensor(signs(chosen, z.shape[1])).to(z)).sum()  # images do not mix: one sum serves all
    found: Any = [None]
    if total.requires_grad:
        found = torch.autograd.grad(total, [kept[name] for name in names], allow_unused=True)
    for name, g in zip(names, found, strict=False):
        if g is None:
            raise ValueError(f"the class score does not depend on layer {name!r}: choose a layer that it depends on.")
        if not torch.isfinite(g).all():
            raise ValueError(f"the gradient at layer {name!r} is missing or infinite: check the model on these images.")
    return {name: g.cpu().numpy() for name, g in zip(names, found, strict=True)}


class _Enough(Exception):
    """All layers have run."""


def _forward(net: nn.Module, x: np.ndarray, names: list[str], *, stop: bool = False) -> tuple[dict[str, Tensor], Tensor]:
    """What the layers give, each in memory of its own, as part of a graph that begins at the first; and the scores.

    ``stop``: go no further than the last of the layers; there are no scores then.
    """
    kept: dict[str, Tensor] = {}

    def keep(name: str) -> Any:
        def hook(_module: nn.Module, _inputs: Any, output: Any) -> Tensor:
            if name in kept:
                raise ValueError(f"layer {name!r} runs more than once in a forward pass: give the block around it.")
            if not isinstance(output, Tensor) or output.ndim < 2 or len(output) != len(x):
                given = f"shape {tuple(output.shape)}" if isinstance(output, Tensor) else type(output).__name__
                raise ValueError(f"layer {name!r} must give one entry per image, but gives {given}: choose another layer.")
            kept[name] = output.clone() if output.requires_grad else output.detach().clone().requires_grad_()
            if stop and len(kept) == len(names):
                raise _Enough
            return kept[name].clone()  # an in-place layer behind must not change what is kept

        return hook

    hooks = [module_of(net, name)[1].register_forward_hook(keep(name)) for name in names]
    try:
        raw = checked_scores(answer(net, as_tensor(net, x)), len(x))
    except _Enough:
        raw = torch.empty(len(x), 0)
    finally:
        for hook in hooks:
            hook.remove()
    missing = [name for name in names if name not in kept]
    if missing:
        raise ValueError(f"layer {missing[0]!r} did not run in the forward pass: choose a layer that the model calls.")
    return kept, raw


@contextmanager
def _single_precision(model: nn.Module) -> Iterator[nn.Module]:
    """The model undisturbed; one in half precision as a copy, because small gradients would vanish."""
    half = any(p.dtype in (torch.float16, torch.bfloat16) for p in model.parameters())
    net = deepcopy(model).float() if half else model
    with undisturbed(net):
        yield net


def _rows(maps: np.ndarray, name: str, rule: Any) -> np.ndarray:
    if rule is not None and maps.ndim != 4:
        raise ValueError(f"positions='mean' needs maps of shape (n, channels, h, w), but layer {name!r} gives {maps.shape}.")
    return (maps if rule is None else rule(maps)).reshape(len(maps), -1)


# --- memory -----------------------------------------------------------------------------------------------------------


def clear() -> None:
    """Forget everything."""
    _CACHE.clear()


def _digest(image: np.ndarray) -> bytes:
    """The content of an image: same bytes, same type, same shape."""
    own = np.ascontiguousarray(image)
    return hashlib.blake2b(own.tobytes(), digest_size=16, key=f"{own.dtype}{own.shape}".encode()).digest()


def _fingerprint(model: nn.Module) -> bytes | None:
    """Weights, buffers, structure and settings of a model; None if a part (a local function, a hook) can not be read."""
    digest = hashlib.blake2b()
    try:
        for name, module in model.named_modules(remove_duplicate=False):
            own = {k: v for k, v in vars(module).items() if k not in ("_parameters", "_buffers", "_modules", "training")}
            digest.update(pickle.dumps((name, type(module).__qualname__, own)))
    except Exception:
        return None
    for name, tensor in [*model.named_parameters(), *model.named_buffers()]:
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)} {tensor.device}".encode())
        digest.update(tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes())
    return digest.digest()


_Key = tuple[int | None, str, bytes]  # model, layer, image


class _Cache:
    """Rows of activations by model, layer and image; when there is no room, those not used for longest go."""

    def __init__(self) -> None:
        self.rows: OrderedDict[_Key, np.ndarray] = OrderedDict()
        self.models: weakref.WeakKeyDictionary[nn.Module, tuple[bytes, int]] = weakref.WeakKeyDictionary()
        self.n_bytes, self.tokens = 0, itertools.count()

    def token(self, model: nn.Module) -> int | None:
        """A number for this object in this state, new whenever something about it changed; None: keep nothing of it."""
        state = _fingerprint(model)
        if state is None:
            return None
        if model not in self.models or self.models[model][0] != state:
            self.models[model] = (state, next(self.tokens))
        return self.models[model][1]

    def get(self, key: _Key) -> np.ndarray | None:
        if key in self.rows:
            self.rows.move_to_end(key)
        return self.rows.get(key)

    def put(self, key: _Key, row: np.ndarray) -> None:
        if key[0] is None or key in self.rows:
            return
        self.rows[key] = row.copy()  # not a view that keeps the whole batch alive
        self.n_bytes += row.nbytes
        while self.n_bytes > CACHE_BYTES and self.rows:
            self.n_bytes -= self.rows.popitem(last=False)[1].nbytes

    def clear(self) -> None:
        self.rows.clear()
        self.n_bytes = 0


_CACHE = _Cache()
