"""Optimizer updates of all parameters in one launch, and the norm of all their gradients.

The learning rate, the step number and the scale of clipping are read from the device.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from minitorch.cuda.array_module import xp_of
from minitorch.cuda.kernels.kernel import blocks_for, kernel
from minitorch.cuda.kernels.tensors import CHUNK, Tensors

Array = Any


# what follows, up to the launchers, are definitions: they find arrays of the host by their addresses


class _Memory:
    """Floats of the host at an address, as NumPy's array interface describes them."""

    def __init__(self, address: int, size: int) -> None:
        self.__array_interface__ = {"data": (address, False), "shape": (size,), "typestr": "<f4", "version": 3}


def _array_at(address: int, size: int) -> Array:
    return np.asarray(_Memory(int(address), int(size)))  # not by ctypes, which makes a type for each size


def _tensors(sizes: Array, grads: Array, clip: Array | None, options: Array, *tables: Array) -> Any:
    """Of each tensor its arrays, its gradient with scale and decay applied, its share of lr, and its own decay."""
    if clip is not None and clip[()] < 0:
        return  # there is no update
    for i, size in enumerate(sizes):
        arrays = [_array_at(table[i], size) for table in tables]
        lr_scale, l2, decay = options[i]
        g = _array_at(grads["at"][i], size) * (np.float32(1) if clip is None else clip[()]) + l2 * arrays[0]
        yield arrays, g, lr_scale, decay


@kernel("update")
def sgd_update(
    params: Array, grads: Array, sizes: Array, chunks: Array, options: Array, lr: Array, clip: Array | None
) -> None:
    """`p -= lr g`."""
    for (p,), g, lr_scale, _ in _tensors(sizes, grads, clip, options, params):
        p -= lr * lr_scale * g


@kernel("update")
def momentum_update(
    params: Array, velocities: Array, grads: Array, sizes: Array, chunks: Array, options: Array, lr: Array,
    clip: Array | None, momentum: float, nesterov: int,
) -> None:  # fmt: skip
    """`v = momentum v - lr g`, then `p += v`, or with `nesterov` `p += momentum v - lr g`."""
    for (p, v), g, lr_scale, _ in _tensors(sizes, grads, clip, options, params, velocities):
        v[...] = momentum * v - lr * lr_scale * g
        p += momentum * v - lr * lr_scale * g if nesterov else v


@kernel("update")
def adam_update(
    params: Array, means: Array, squares: Array, grads: Array, sizes: Array, chunks: Array, options: Array, lr: Array,
    clip: Array | None, step: Array, each: int, beta1: float, beta2: float, eps: float,
) -> None:  # fmt: skip
    """m, v: means of g and g g; p -= lr (m_hat / (sqrt(v_hat) + eps) + decay p), in step number `step`, from 1."""
    numbers = step if each else np.broadcast_to(step, len(sizes))
    tensors = _tensors(sizes, grads, clip, options, params, means, squares)
    for t, ((p, m, v), g, lr_scale, decay) in zip(numbers.tolist(), tensors, strict=False):
        m[...] = np.float32(beta1) * m + np.float32(1 - beta1) * g
        v[...] = np.float32(beta2) * v + np.float32(1 - beta2) * g * g
        p *= np.float32(1 - lr * lr_scale * decay)
        m_hat, v_hat = m / np.float32(1 - beta1**t), v / np.float32(1 - beta2**t)
        p -= lr * lr_scale * m_hat / (np.sqrt(v_hat) + np.float32(eps))


@kernel("update")
def count_update(steps: Array, count: int, keep: Array | None) -> None:
    """One more, unless `keep` is negative."""
    if keep is None or keep[()] >= 0:
        steps += 1


@kernel("update")
def adagrad_update(
    params: Array, squares: Array, grads: Array, sizes: Array, chunks: Array, options: Array, lr: Array,
    clip: Array | None, eps: float,
) -> None:  # fmt: skip
    """`h += g g`, then `p -= lr g / (sqrt(h) + eps)`."""
    for (p, h), g, lr_scale, _ in _tensors(sizes, grads, clip, options, params, squares):
        h += g * g
        p -= lr * lr_scale * g / (np.sqrt(h) + eps)


@kernel("update")
def adadelta_update(
    params: Array, squares: Array, steps: Array, grads: Array, sizes: Array, chunks: Array, options: Array, lr: Array,
    clip: Array | None, rho: float, eps: float,
) -> None:  # fmt: skip
    """`dx = sqrt((msdx + eps) / (msg + eps)) g` and `p -= lr dx`, with means msg of g g and msdx of dx dx."""
    for (p, msg, msdx), g, lr_scale, _ in _tensors(sizes, grads, clip, options, params, squares, steps):
        msg[...] = rho * msg + (1 - rho) * g * g
        dx = np.sqrt((msdx + eps) / (msg + eps)) * g
        msdx[...] = rho * msdx + (1 - rho) * dx * dx
        p -= lr * lr_scale * dx


@kernel("update")
def rmsprop_update(
    params: Array, squares: Array, grads: Array, sizes: Array, chunks: Array, options: Array, lr: Array,
    clip: Array | None, alpha: float, eps: float,
) -> None:  # fmt: skip
    """`msg = alpha msg + (1 - alpha) g g`, then `p -= lr g / (sqrt(msg) + eps)`."""
    for (p, msg), g, lr_scale, _ in _tensors(sizes, grads, clip, options, params, squares):
        msg[...] = alpha * msg + (1 - alpha) * g * g
        p -= lr * lr_scale * g / (np.sqrt(msg) + eps)


@kernel("update")
def lion_update(
    params: Array, means: Array, grads: Array, sizes: Array, chunks: Array, options: Array, lr: Array,
    clip: Array | None, beta1: float, beta2: float,
) -> None:  # fmt: skip
    """`p -= lr (sign(beta1 m + (1 - beta1) g) + decay p)`, then `m = beta2 m + (1 - beta2) g`."""
    for (p, m), g, lr_scale, decay in _tensors(sizes, grads, clip, options, params, means):
        rate = lr * lr_scale
        p[...] = (1 - rate * decay) * p - rate * np.sign(beta1 * m + (1 - beta1) * g)
        m[...] = beta2 * m + (1 - beta2) * g


@kernel("update")
def average_update(averages: Array, params: Array, sizes: Array, chunks: Array, keep: Array) -> None:
    """`e = keep e + (1 - keep) p` for averages e of tensors p."""
    for i, size in enumerate(sizes):
        e, p = _array_at(averages[i], size), _array_at(params[i], size)
        e[...] = (e - p) * keep[()] + p


@kernel("update")
def chunk_squares(partial: Array, grads: Array, sizes: Array, chunks: Array) -> None:
    """The sum of squares of each chunk of gradients."""
    for i, (tensor, first) in enumerate(chunks):
        g = _array_at(grads["at"][tensor], sizes[tensor])[first : first + CHUNK]
        partial[i] = (g * g).sum()


@kernel("update")
def clip_scale(partial: Array, count: int, longest: float, norm: Array, clip: Array) -> None:
    """The norm, and by what to multiply gradients so that it is at most `longest`."""
    norm[...] = np.sqrt(partial.sum(dtype=np.float64))
    clip[...] = np.minimum(longest / (norm + np.float32(1e-6)), 1)


@kernel("update")
def unscale_chunks(finite: Array, grads: Array, sizes: Array, chunks: Array, scale: Array) -> None:
    """Gradients divided by the scale; of each chunk whether all of its numbers are finite then."""
    for i, (tensor, first) in enumerate(chunks):
        g = _array_at(grads["at"][tensor], sizes[tensor])[first : first + CHUNK]
        g *= 1 / scale[()]
        finite[i] = np.isfinite(g).all()


@kernel("update")
def move_loss_scale(
    finite: Array, count: int, scale: Array, good: Array, keep: Array, growth: float, backoff: float, patience: int,
    largest: float,
) -> None:  # fmt: skip
    """`keep`: 1 if all is finite, else -1; the scale grows after `patience` good updates in a row, or falls."""
    keep[...] = 1 if finite.all() else -1
    good[...] = good + 1 if keep > 0 else 0
    if keep < 0:
        scale[...] = max(scale * backoff, 1)
    if good >= patience:
        scale[...], good[...] = min(scale * growth, largest), 0


def unscale(
    tensors: Tensors, grads: Sequence[Array], *, scale: Array, good: Array, keep: Array, growth: float, backoff: float,
    patience: int, largest: float,
) -> None:  # fmt: skip
    """Divide gradients by the scale of the loss, in place, and move the scale.

    Args:
        tensors: the parameters.
        grads: one for each, of `scale` times the loss.
        scale: float32, 0-d: multiplied by `backoff` if a gradient is not finite, but at least 1; or by `growth` after
            `patience` updates in a row that are finite.
        good: int32, 0-d: how many updates in a row were finite.
        keep: float32, 0-d: becomes 1 if all gradients are finite, else -1. As the `clip` of an update a negative
            number says that there is none: parameters and state stay.
        growth: above 1.
        backoff: below 1.
        patience: how many updates.
        largest: what the scale grows to.
    """
    finite = xp_of(scale).empty(sum(len(group.chunks) for group in tensors.groups), np.float32)
    first = 0
    for group in tensors.groups:
        part = finite[first : first + len(group.chunks)]
        unscale_chunks(
            (len(group.chunks),), part, tensors.gradients(grads, group), group.sizes, group.chunks, scale
        )  # fmt: skip
        first += len(group.chunks)
    move_loss_scale(
        (1,), finite, np.int32(finite.size), scale, good, keep, np.float32(growth), np.float32(backoff),
        np.int32(patience), np.float32(largest),
    )  # fmt: skip


def sgd(tensors: Tensors, grads: Sequence[Array], *, lr: Array, clip: Array | None = None) -> None:
    """`p -= lr * g` for all parameters, `lr` and `clip` being 0-d float32 arrays on the device."""
    for group in tensors.groups:
        sgd_update(
            (len(group.chunks),), group.addresses[0], tensors.gradients(grads, group), group.sizes, group.chunks,
            group.options, lr, clip,
        )  # fmt: skip


def momentum(
    tensors: Tensors, grads: Sequence[Array], *, lr: Array, momentum: float, nesterov: bool = False,
    clip: Array | None = None,
) -> None:  # fmt: skip
    """`v = momentum * v - lr * g`, then `p += v`, or with `nesterov` `p += momentum * v - lr * g`; one state, v."""
    for group in tensors.groups:
        momentum_update(
            (len(group.chunks),), group.addresses[0], group.addresses[1], tensors.gradients(grads, group), group.sizes,
            group.chunks, group.options, lr, clip, np.float32(momentum), np.int32(nesterov),
        )  # fmt: skip


def adam(
    tensors: Tensors, grads: Sequence[Array], *, lr: Array, step: Array, beta1: float, beta2: float, eps: float,
    clip: Array | None = None,
) -> None:  # fmt: skip
    """Adam, and AdamW where the third option is not 0; two states, m and v.

    Args:
        tensors: the parameters.
        grads: one for each.
        lr: float32, 0-d.
        step: int64: the number of this update, counted from 1: 0-d, or one for each parameter.
        beta1: the decay of m.
        beta2: the decay of v.
        eps: keeps the division finite.
        clip: float32, 0-d, as `gradient_norm` returns it: what gradients are multiplied by.
    """
    for group in tensors.groups:
        adam_update(
            (len(group.chunks),), *group.addresses[:3], tensors.gradients(grads, group), group.sizes, group.chunks,
            group.options, lr, clip, step[group.members] if step.ndim else step, np.int32(step.ndim),
            np.float64(beta1), np.float64(beta2), np.float64(eps),
        )  # fmt: skip


def count_updates(steps: Array, keep: Array | None = None) -> None:
    """Count one update more in `steps`, int64, unless `keep`, float32, 0-d, is negative: then there is none."""
    count_update(blocks_for(steps.size), steps, np.int32(steps.size), keep)


def adagrad(tensors: Tensors, grads: Sequence[Array], *, lr: Array, eps: float, clip: Array | None = None) -> None:
    """`h += g g`, then `p -= lr g / (sqrt(h) + eps)`; one state, h."""
    for group in tensors.groups:
        adagrad_update(
            (len(group.chunks),), *group.addresses[:2], tensors.gradients(grads, group), group.sizes, group.chunks,
            group.options, lr, clip, np.float32(eps),
        )  # fmt: skip


def adadelta(
    tensors: Tensors, grads: Sequence[Array], *, lr: Array, rho: float, eps: float, clip: Array | None = None
) -> None:
    """`dx = sqrt((msdx + eps) / (msg + eps)) g`, `p -= lr dx`; two states, the means msg of g g and msdx of dx dx."""
    for group in tensors.groups:
        adadelta_update(
            (len(group.chunks),), *group.addresses[:3], tensors.gradients(grads, group), group.sizes, group.chunks,
            group.options, lr, clip, np.float32(rho), np.float32(eps),
        )  # fmt: skip


def rmsprop(
    tensors: Tensors, grads: Sequence[Array], *, lr: Array, alpha: float, eps: float, clip: Array | None = None
) -> None:
    """`msg = alpha msg + (1 - alpha) g g`, then `p -= lr g / (sqrt(msg) + eps)`; one state, msg."""
    for group in tensors.groups:
        rmsprop_update(
            (len(group.chunks),), *group.addresses[:2], tensors.gradients(grads, group), group.sizes, group.chunks,
            group.options, lr, clip, np.float32(alpha), np.float32(eps),
        )  # fmt: skip


def lion(
    tensors: Tensors, grads: Sequence[Array], *, lr: Array, beta1: float, beta2: float, clip: Array | None = None
) -> None:
    """`p -= lr (sign(beta1 m + (1 - beta1) g) + decay p)`, then `m = beta2 m + (1 - beta2) g`; one state, m."""
    for group in tensors.groups:
        lion_update(
            (len(group.chunks),), *group.addresses[:2], tensors.gradients(grads, group), group.sizes, group.chunks,
            group.options, lr, clip, np.float32(beta1), np.float32(beta2),
        )  # fmt: skip


def average(tensors: Tensors, *, keep: Array) -> None:
    """`e = keep e + (1 - keep) p` for the parameters e of `tensors` and their only state p; keep is float32, 0-d."""
    for group in tensors.groups:
        average_update((len(group.chunks),), *group.addresses[:2], group.sizes, group.chunks, keep)


def gradient_norm(tensors: Tensors, grads: Sequence[Array], longest: float) -> tuple[Array, Array]:
    """The norm over all gradients, and `min(1, longest / norm)`: float32, 0-d, on the device."""
    xp = xp_of(tensors.params[0])
    partial = xp.empty(sum(len(group.chunks) for group in tensors.groups), np.float32)
    first = 0
    for group in tensors.groups:
        blocks = len(group.chunks)
        part = partial[first : first + blocks]
        chunk_squares((blocks,), part, tensors.gradients(grads, group), group.sizes, group.chunks)
        first += blocks
    norm, clip = xp.empty((), np.float32), xp.empty((), np.float32)
    clip_scale((1,), partial, np.int32(partial.size), np.float32(longest), norm, clip)
    return norm, clip
