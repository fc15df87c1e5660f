"""Random numbers without hidden state: counter-based Philox, keyed by (seed, stream, step, draw).

Every draw is a pure function of four integers, so a run is resumed exactly by restoring integers, and the host and a
device get the same bits. Streams keep purposes apart: taking one more dropout mask never changes the shuffling. Each
thread has integers of its own, so what it draws does not depend on the others; it begins from the seed of the main
thread, with what a program draws first after `seed`. Two threads that are to draw differently set a seed each.

Source: Salmon et al., "Parallel Random Numbers: As Easy as 1, 2, 3", SC 2011 (Philox4x64-10, as in NumPy).
"""

import threading
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, NamedTuple, ParamSpec, TypeVar

import numpy as np

from minitorch.cuda import as_cupy, kernels
from minitorch.cuda.array_module import require_cupy
from minitorch.errors import ConfigError, DataError

Array = Any  # a NumPy or CuPy array
P = ParamSpec("P")
T = TypeVar("T")


class RandomState(NamedTuple):
    """All there is to save of the random numbers: three integers."""

    seed: int
    step: int
    draw: int


class _Numbers:
    """Holds a state that moves on; threads that draw from the same numbers hold one together."""

    __slots__ = ("state",)

    def __init__(self, seed: int) -> None:
        self.state = RandomState(seed, step=0, draw=0)


_of_main_thread = _Numbers(seed=0)


class _Here(threading.local):
    """What this thread draws from: numbers of its own, but for the main thread's begun when it first asks."""

    def __init__(self) -> None:
        in_main_thread = threading.current_thread() is threading.main_thread()
        self.numbers = _of_main_thread if in_main_thread else _Numbers(_of_main_thread.state.seed)


_here = _Here()


def seed(value: int) -> None:
    """Start the random numbers of this thread from `value` (0 <= value < 2**64; it is 0 at import).

    In the main thread it is where threads begin that have drawn nothing yet, too.

    Raises:
        ConfigError: `value` is not an integer in that range.
    """
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or not 0 <= value < 2**64:
        raise ConfigError(f"seed: got {value!r}; a seed is an integer from 0 to 2**64 - 1")
    set_state(RandomState(int(value), 0, 0))


def get_state() -> RandomState:
    """The integers that determine every random number still to come in this thread."""
    return _here.numbers.state


def set_state(state: RandomState) -> RandomState:
    """Go back (or forward) to `state`, as returned by `get_state`; returns the state before."""
    numbers = _here.numbers
    before = numbers.state
    if type(state) is not RandomState:
        seed, step, draw = state
        state = RandomState(int(seed), int(step), int(draw))
    numbers.state = state
    return before


def begin_step(step: int, draw: int = 0) -> RandomState:
    """Number the draws that follow from `draw` on within training step `step`; returns the state before."""
    numbers = _here.numbers
    before = numbers.state
    numbers.state = tuple.__new__(RandomState, (before.seed, step, draw))  # its own `__new__` takes three times as long
    return before


def next_draw() -> RandomState:
    """The identity of the next draw; each call moves on by one."""
    numbers = _here.numbers
    now = numbers.state
    numbers.state = RandomState(now.seed, now.step, now.draw + 1)
    return now


def as_here(f: Callable[P, T]) -> Callable[P, T]:
    """`f` for other threads to call: what it draws there comes from the numbers of the thread that asks now."""
    numbers = _here.numbers

    def f_there(*args: P.args, **kwargs: P.kwargs) -> T:
        before, _here.numbers = _here.numbers, numbers
        try:
            return f(*args, **kwargs)
        finally:
            _here.numbers = before

    return f_there


def philox(stream: str, *, seed: int, step: int = 0, draw: int = 0) -> "np.random.Philox":
    """The bit generator of one draw: key (seed, stream), counter starting at (0, draw, step, 0)."""
    return np.random.Philox(
        key=np.array([seed, zlib.crc32(stream.encode())], np.uint64),
        counter=np.array([0, draw, step, 0], np.uint64),
    )


class Draw(NamedTuple):
    """What the random words of one draw are a function of.

    Attributes:
        stream: names the purpose.
        seed: of all random numbers of its thread.
        step: the number of the training step.
        draw: the number of the draw in this step.
        counter: for a draw on a device the step there, 0-d int64: in a captured step it is read anew at each replay.
    """

    stream: str
    seed: int
    step: int
    draw: int
    counter: Array | None = None

    def words(self, size: int, xp: Any = np) -> Array:
        """The first `size` random `uint32`: an array of module `xp`, made there."""
        if xp is not np:
            step = step_on_device(self.step) if self.counter is None else self.counter
            return kernels.random_bits(self.stream, size, seed=self.seed, step=step, draw=self.draw)
        raw = philox(self.stream, seed=self.seed, step=self.step, draw=self.draw).random_raw((size + 1) // 2)
        return raw.view(np.uint32)[:size]


def draw(stream: str, xp: Any = np) -> Draw:
    """The next draw of `stream`, for an array of module `xp`."""
    at = next_draw()
    return Draw(stream, *at, None if xp is np else step_on_device(at.step))


def bits(stream: str, size: int, xp: Any = np) -> Array:
    """The next draw of `stream` as `size` random `uint32`, an array of module `xp`."""
    return draw(stream, xp).words(size, xp)


_counter: ContextVar[Array | None] = ContextVar("minitorch.random.counter", default=None)
_local = threading.local()


@contextmanager
def counted_by(counter: Array) -> Iterator[None]:
    """Inside, draws on the device read the number of the training step from `counter`, 0-d int64, when they run."""
    token = _counter.set(counter)
    try:
        yield
    finally:
        _counter.reset(token)


def step_on_device(step: int) -> Array:
    """The number of a training step in memory of the current device; a new array for each step, never changed.

    A dropout that goes backward after the next step has begun thus still finds its own number.
    """
    counter = _counter.get()
    if counter is not None:
        return counter
    cupy = require_cupy()
    steps = _local.__dict__.setdefault("steps", {})  # by device, the newest
    key = (id(cupy), cupy.cuda.Device().id, cupy.cuda.get_current_stream().ptr)
    if key not in steps or steps[key][0] != step:
        steps[key] = step, cupy.full((), step, np.int64)
    return steps[key][1]


def normal(stream: str, shape: tuple[int, ...], dtype: Any = np.float32, xp: Any = np) -> Array:
    """The next draw of `stream` as standard normal numbers of `shape` and `dtype`, an array of module `xp`.

    Drawn on the host, so that the same seed starts the same weights on every device.
    """
    at = next_draw()
    generator = np.random.Generator(philox(stream, seed=at.seed, step=at.step, draw=at.draw))
    values = generator.standard_normal(shape, dtype=np.float32).astype(dtype, copy=False)
    return values if xp is np else as_cupy(values)


def permutation(n: int, *, seed: int, epoch: int) -> Array:
    """The order of `n` samples in `epoch`: a pure function of `(n, seed, epoch)`, int64 of shape (n,)."""
    return np.random.Generator(philox("shuffle", seed=seed, step=epoch)).permutation(n)


class _SampleDraws:
    """The random words of some samples: each call of `next` gives every sample four new ones."""

    __slots__ = ("_draw", "_epoch", "_seed", "indices")

    def __init__(self, seed: int, epoch: int, indices: Array) -> None:
        self._seed, self._epoch, self._draw = seed, epoch, 0
        self.indices = indices

    def only(self, position: int) -> "_SampleDraws":
        """The draws of the one sample at `position`, from the first."""
        return _SampleDraws(self._seed, self._epoch, self.indices[position : position + 1])

    def next(self) -> Array:
        index = np.asarray(self.indices, np.uint64)
        counter = (index & 0xFFFFFFFF, index >> 32, np.full_like(index, self._epoch), np.full_like(index, self._draw))
        self._draw += 1
        return _philox4x32(counter, self._seed)


_draws: ContextVar[_SampleDraws | None] = ContextVar("minitorch.transforms.draws", default=None)


@contextmanager
def drawing_for(seed: int, epoch: int, indices: Array) -> Iterator[None]:
    """Inside, random transforms draw what belongs to the samples `indices` (host integers) in `epoch` under `seed`."""
    token = _draws.set(_SampleDraws(seed, epoch, indices))
    try:
        yield
    finally:
        _draws.reset(token)


@contextmanager
def drawing_for_one(position: int) -> Iterator[None]:
    """Inside a `drawing_for`, draw for the one sample at `position` of its indices; elsewhere, change nothing."""
    draws = _draws.get()
    token = _draws.set(draws and draws.only(position))
    try:
        yield
    finally:
        _draws.reset(token)


def sample_words(n: int) -> Array:
    """Four random words for each of `n` samples: uint64 of shape (4, n), each below 2**32."""
    draws = _draws.get()
    if draws is None:
        return bits("transforms", 4 * n).reshape(4, n).astype(np.uint64)
    if len(draws.indices) != n:
        raise DataError(
            f"a random transform got {n} samples where {len(draws.indices)} are being loaded; inside a data set's "
            "`batch` transform one sample a row, inside its `__getitem__` one sample"
        )
    return draws.next()


def _philox4x32(counter: tuple[Array, Array, Array, Array], key: int) -> Array:
    """Philox4x32-10 of Salmon et al. (SC 2011) on arrays of counters, words held in uint64; returns shape (4, n)."""
    c0, c1, c2, c3 = counter
    k0, k1, low = key & 0xFFFFFFFF, key >> 32, 0xFFFFFFFF
    for _ in range(10):
        a, b = c0 * 0xD2511F53, c2 * 0xCD9E8D57
        c0, c1, c2, c3 = (b >> 32) ^ c1 ^ k0, b & low, (a >> 32) ^ c3 ^ k1, a & low
        k0, k1 = (k0 + 0x9E3779B9) & low, (k1 + 0xBB67AE85) & low
    return np.stack([c0, c1, c2, c3])
