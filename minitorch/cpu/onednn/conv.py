"""Convolution by oneDNN: its forward and its two adjoints, of arrays in C order.

Its kernels want channels in blocks as long as a vector. So each array is laid out anew on the way in, and the result on
the way out, piece by piece in memory that is used again. How the work is cut depends on the shapes alone, so the result
is the same bits for any number of threads.
"""

import math
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import attrs
import numpy as np

from minitorch.cpu.columns import parts
from minitorch.cpu.onednn.primitive import (
    BIAS,
    DIFF_DST,
    DIFF_SRC,
    DIFF_WEIGHTS,
    DST,
    FORWARD_TRAINING,
    SRC,
    WEIGHTS,
    Layout,
    Primitive,
    chosen,
    layout_of,
    plain,
    primitive,
    reorder,
)  # fmt: skip
from minitorch.cpu.scratch import scratch
from minitorch.cpu.threads import parallel
from minitorch.cpu.window import Window

Array = np.ndarray[Any, Any]
Shape = tuple[int, ...]

DIRECT = 1  # dnnl_convolution_direct
BYTES = np.dtype(np.uint8)
TASKS = 16  # at most, but for images of so many
BYTES_IN_TASK = 1 << 22  # that what a task lays out would take more memory
WORK = 1 << 25  # in a task at least: multiplications, and 16 for each byte of the arrays, which take about as long
CHANNELS = 32  # of the result in one task, where it has some of them: a multiple of a vector's length
LEAST = 1 << 17  # multiplications in all, below which calls take longer than NumPy
FEW = 8  # channels of a result of images, below which the kernel for it is slow
PLACES = 64  # in all images together at most, and
HEAVY = 1 << 20  # weights at least, for which `cpu.few_places` is faster: it moves no weights
SUMS = 16  # how many times the weights are smaller than the images, where their gradient is added up from parts


@attrs.frozen
class Geometry:
    """A convolution between images x (N, C, H, W) and y (N, OC, OH, OW) by weights W (OC, C/groups, KH, KW): shapes."""

    x: Shape
    W: Shape
    y: Shape
    window: Window
    groups: int

    def part(self, images: int, outs: int, ins: int) -> "Geometry":
        """The same convolution of so many images, with `outs` channels of y and `ins` of x."""
        x, W, y = (images, ins, *self.x[2:]), (outs, ins // self.groups, *self.W[2:]), (images, outs, *self.y[2:])
        return attrs.evolve(self, x=x, W=W, y=y)

    def by_groups(self, W: Shape) -> Shape:
        """The shape of weights as oneDNN has them: with an axis for groups, where there are several."""
        return W if self.groups == 1 else (self.groups, W[0] // self.groups, *W[1:])

    def primitive(self, result: str, biased: bool, weights: Layout | None = None) -> Primitive | None:
        """What computes `result`, "y", "x" or "W", from the others; `weights`: how they lie, if that is given."""
        W = weights or chosen(self.by_groups(self.W))
        (dh, dw), pad = self.window.dilation, self.window.pad
        sizes = self.window.stride, (dh - 1, dw - 1), pad, pad
        x, y, bias = chosen(self.x), chosen(self.y), plain(self.W[:1]) if biased else None
        forward = primitive("convolution_forward", FORWARD_TRAINING, DIRECT, x, W, bias, y, *sizes)
        if result == "y" or forward is None:
            return forward
        if result == "x":
            return primitive("convolution_backward_data", DIRECT, x, W, y, *sizes, forward=forward)
        return primitive("convolution_backward_weights", DIRECT, x, W, None, y, *sizes, forward=forward)


@attrs.frozen
class Plan:
    """A convolution cut into tasks: each computes for some images some channels of the result.

    Attributes:
        whole: all of it.
        runs: of images.
        blocks: of channels, all of one length.
        primitives: for each run.
        weights: how they lie.
    """

    whole: Geometry
    runs: list[slice]
    blocks: list[slice]
    primitives: list[Primitive]

    def images(self, x: Array, what: int) -> Callable[[int], Array]:
        """What gives a run of the images `x` as its primitive has them.

        Where several blocks of channels need them they are laid out before, else by the task that asks.
        """
        runs, layouts = [x[run] for run in self.runs], [p.layout(what) for p in self.primitives]
        if len(self.blocks) == 1:
            return lambda i: _laid_out(runs[i], layouts[i], "images")
        return _all_laid_out(runs, layouts, "all images").__getitem__

    def weights(self, blocks: list[Array]) -> list[Array]:
        """The weights for each block of channels as the primitives have them."""
        layout = self.primitives[0].layout(WEIGHTS)
        blocks = [W.reshape(self.whole.by_groups(W.shape)) for W in blocks]
        return _all_laid_out(blocks, [layout] * len(blocks), "weights")

    def each(self, task: Callable[[int, int], None]) -> None:
        """Run `task(i, j)` for each run i and each block j, in threads."""
        count = len(self.blocks)
        parallel(lambda n: task(n // count, n % count), len(self.runs) * count)


def convolve(result: str, x: Array, W: Array, y: Array, window: Window, groups: int, b: Array | None = None) -> bool:
    """Compute one of three arrays from the others: "y" by convolution of x with W, "x" and "W" by its adjoints.

    Args:
        result: which, "y", "x" or "W".
        x: images (N, C, H, W), in C order and of float32, as all of them, and none empty.
        W: (OC, C/groups, KH, KW).
        y: (N, OC, OH, OW).
        window: the geometry.
        groups: of channels.
        b: what is added to each channel of y (OC,), or None.

    Returns:
        Whether it was done. Not where oneDNN has no kernel for it, or none that is faster than products of matrices.
    """
    plan = _plan(result, Geometry(x.shape, W.shape, y.shape, window, groups), b is not None)
    if plan is None:
        return False
    if result == "y":
        _forward(plan, x, W, b, y)
    elif result == "x":
        _backward_data(plan, y, W, x)
    else:
        _backward_weights(plan, x, y, W)
    return True


def _forward(plan: Plan, x: Array, W: Array, b: Array | None, y: Array) -> None:
    images, weights = plan.images(x, SRC), plan.weights([W[block] for block in plan.blocks])

    def task(i: int, j: int) -> None:
        run, block = plan.runs[i], plan.blocks[j]
        bias = {} if b is None else {BIAS: b[block]}
        _write(plan.primitives[i], {SRC: images(i), WEIGHTS: weights[j], **bias}, DST, y[run, block])

    plan.each(task)


def _backward_data(plan: Plan, g: Array, W: Array, x: Array) -> None:
    images, weights = plan.images(g, DIFF_DST), plan.weights([W[:, block] for block in plan.blocks])

    def task(i: int, j: int) -> None:
        run, block = plan.runs[i], plan.blocks[j] if len(plan.blocks) > 1 else slice(None)
        _write(plan.primitives[i], {DIFF_DST: images(i), WEIGHTS: weights[j]}, DIFF_SRC, x[run, block])

    plan.each(task)


def _backward_weights(plan: Plan, x: Array, g: Array, W: Array) -> None:
    images, one = plan.images(x, SRC), len(plan.runs) == 1
    sums = W[None] if one else scratch("onednn sums", (len(plan.runs), *W.shape), W.dtype)

    def task(i: int, j: int) -> None:
        p, block = plan.primitives[i], plan.blocks[j]
        slopes = _laid_out(g[plan.runs[i], block], p.layout(DIFF_DST), "slopes")
        part = sums[i, block]
        part = part.reshape(plan.whole.by_groups(part.shape))
        _write(p, {SRC: images(i), DIFF_DST: slopes}, DIFF_WEIGHTS, part)

    plan.each(task)
    if not one:
        np.add.reduce(sums, axis=0, out=W)


@lru_cache(maxsize=1024)
def _plan(result: str, whole: Geometry, biased: bool) -> Plan | None:
    """How it is cut and done, or None where NumPy does it as fast."""
    products = math.prod(whole.y) * math.prod(whole.W[1:])
    channels = whole.W[1] if result == "x" else whole.W[0]
    if products < LEAST or (result != "W" and channels < FEW and whole.groups == 1):
        return None
    if whole.groups == 1 and math.prod(whole.W) >= HEAVY and products <= PLACES * math.prod(whole.W):
        return None
    sizes = [4 * math.prod(shape) for shape in (whole.W, whole.x, whole.y)]
    most = TASKS if result == "W" else max(TASKS, sum(sizes[1:]) // BYTES_IN_TASK)
    tasks = 1 << min(most, max(1, (products + 16 * sum(sizes)) // WORK)).bit_length() - 1
    heavy = sizes[0] * (SUMS if result == "W" else 1) > sizes[1] + sizes[2]
    runs = parts(whole.x[0], 1 if heavy else tasks)
    blocks = parts(channels, _blocks(channels, tasks // len(runs)) if whole.groups == 1 else 1)
    if heavy:
        runs = parts(whole.x[0], tasks // len(blocks))
    primitives = _primitives(result, whole, runs, len(blocks), biased)
    return None if primitives is None else Plan(whole, runs, blocks, primitives)


def _blocks(channels: int, tasks: int) -> int:
    """Into how many blocks channels are cut for so many tasks: all of one length, a multiple of CHANNELS."""
    return math.gcd(channels // CHANNELS, tasks) if channels % CHANNELS == 0 else 1


def _primitives(result: str, whole: Geometry, runs: list[slice], blocks: int, biased: bool) -> list[Primitive] | None:
    """The primitive for each run, all of which have the weights in one layout; None where one would be slow."""
    outs, ins = whole.W[0], whole.x[1]
    found: dict[int, Primitive] = {}
    weights = None
    for n in [run.stop - run.start for run in runs]:
        if n not in found:
            part = whole.part(n, outs, ins // blocks) if result == "x" else whole.part(n, outs // blocks, ins)
            made = part.primitive(result, biased, weights)
            if made is None or "gemm" in made.implementation or "ref" in made.implementation:
                return None
            found[n] = made
            weights = made.layout(WEIGHTS) if result != "W" else None
    return [found[run.stop - run.start] for run in runs]


def _all_laid_out(arrays: list[Array], layouts: list[Layout], name: str) -> list[Array]:
    """Each array in its layout, copied in threads to one scratch."""
    space = scratch(f"onednn {name}", (len(arrays), max(layout.size for layout in layouts)), BYTES)
    copies = [space[i, : layout.size] for i, layout in enumerate(layouts)]

    def task(i: int) -> None:
        reorder(layout_of(arrays[i]), layouts[i]).run({SRC: arrays[i], DST: copies[i]})

    parallel(task, len(arrays))
    return copies


def _laid_out(array: Array, layout: Layout, name: str) -> Array:
    """An array in this layout: itself, or a copy in scratch."""
    own = layout_of(array)
    if own.same(layout):
        return array
    copy = scratch(f"onednn {name}", (layout.size,), BYTES)
    reorder(own, layout).run({SRC: array, DST: copy})
    return copy


def _write(p: Primitive, arrays: dict[int, Array], what: int, out: Array) -> None:
    """Run a primitive that writes `what`, and lay that out as `out`."""
    own, layout = layout_of(out), p.layout(what)
    if own.same(layout):
        p.run({**arrays, what: out})
        return
    result = scratch("onednn result", (layout.size,), BYTES)
    p.run({**arrays, what: result})
    reorder(layout, own).run({SRC: result, DST: out})
