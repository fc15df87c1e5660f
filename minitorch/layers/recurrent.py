"""`RNN`, `LSTM` and `GRU`: layers that keep a state from one call to the next; call them once for each time step.

The state remembers how it was computed, back to the beginning of the sequence. For truncated backpropagation through
time call `loss.unchain_backward()` after `loss.backward()`: the steps that follow start from the numbers alone. The
state is no Parameter and in no file of weights; it moves with the layer, and is in its `state_dict`, so that a
checkpoint in the middle of a sequence goes on from there, by the numbers alone. A Trainer whose sequences begin with an
epoch resets it in `on_epoch_start` where `state.batch` is 0, since that hook also begins an epoch that is resumed.
`CudaGraph` captures such steps; where `training_step` begins with `h.unchain()`, several are one launch, while a hook
`on_batch_end` that cuts the loss makes it one launch a step.
"""

from typing import Any, ClassVar

import numpy as np

from minitorch import functions as F
from minitorch.autograd.primitive import describe
from minitorch.cuda import get_array_module
from minitorch.errors import ConfigError, ShapeError
from minitorch.layers.layer import Layer
from minitorch.layers.linear import Linear
from minitorch.ops import recurrent
from minitorch.ops.lstm_sequence import lstm_sequence
from minitorch.variable import Variable, as_variable


class Recurrent(Layer):
    """Base of the three: `x2h`, the weights of the input, `h2h`, those of the state, and the state `h`.

    Args:
        hidden_size: H, the size of the state.
        in_size: the size of the input, which may be another; None: taken from the first call.
        gates: how many matrices of H columns stand side by side in the weights, so that one product computes all.
        nobias: leave out the bias of `h2h`.
        dtype: of the Parameters.

    Raises:
        ConfigError: a size is not a positive integer, or `dtype` is a number.

    Attributes:
        h: the state, (N, H), or None for zeros: before the first call and after `reset_state()`.
    """

    carries: ClassVar[tuple[str, ...]] = ("h",)

    def __init__(self, hidden_size: int, in_size: int | None, *, gates: int, nobias: bool, dtype: Any) -> None:
        super().__init__()
        who = type(self).__name__
        if isinstance(dtype, int):
            raise ConfigError(
                f"{who}: dtype is {dtype!r}; the order is {who}(hidden_size, in_size, dtype), for one layer each"
            )
        if not isinstance(hidden_size, int | np.integer) or hidden_size < 1:
            raise ConfigError(f"{who}: hidden_size is {hidden_size!r}; a size is a positive integer")
        self.hidden_size = hidden_size
        self.x2h = Linear(gates * hidden_size, dtype=dtype, in_size=in_size)
        self.h2h = Linear(gates * hidden_size, nobias=nobias, dtype=dtype, in_size=hidden_size)
        self.h: Variable | None = None

    def reset_state(self) -> None:
        """Forget the state: the next call begins a sequence."""
        self.h = None

    def set_state(self, h: Any) -> None:
        """Go on from the state `h`, (N, H), for instance that of another layer; None for zeros.

        Raises:
            ShapeError: its second axis is not of the hidden size.
        """
        self.h = self._as_state(h)

    def _as_state(self, state: Any) -> Variable | None:
        if state is None:
            return None
        state = as_variable(state)
        if state.ndim != 2 or state.shape[1] != self.hidden_size:
            raise ShapeError(f"{type(self).__name__}: the state is {describe(state)}; wanted (N, {self.hidden_size})")
        return state  # type: ignore[no-any-return]

    def _from_input(self, x: Any) -> Variable:
        """`x @ W + b` with the weights of the input."""
        x = as_variable(x)
        if x.ndim != 2:
            raise ShapeError(
                f"{type(self).__name__}: x has shape {x.shape}; wanted a batch at one time step, (N, in_size)"
            )
        self._check_batch(len(x))
        self._check_features(x)
        return self.x2h(x)  # type: ignore[no-any-return]

    def _check_batch(self, size: int) -> None:
        if self.h is not None and len(self.h) != size:
            raise ShapeError(
                f"{type(self).__name__}: the state is of a batch of {len(self.h)}, x has {size}; call reset_state() "
                "before a batch of other sequences"
            )

    def _check_features(self, x: Variable) -> None:
        if self.x2h.W.data is not None and x.shape[-1] != self.x2h.W.shape[0]:
            who = type(self).__name__
            raise ShapeError(
                f"{who}: x has shape {x.shape}, and in_size is {self.x2h.W.shape[0]}; the order is {who}(hidden_size, "
                "in_size), and in_size may be left out"
            )

    def _before(self, state: Variable | None, size: int) -> Any:
        """`state`, or zeros for a batch of this size."""
        W = self.h2h.W
        return get_array_module(W).zeros((size, self.hidden_size), W.dtype) if state is None else state

    def __repr__(self) -> str:
        in_size = self.x2h.W.wanted_shape[0]
        return f"{type(self).__name__}({'?' if in_size is None else in_size} -> {self.hidden_size})"


class RNN(Recurrent):
    """`h = tanh(x2h(x) + h2h(h))`: an Elman network. See `Recurrent` for its state.

    Args:
        hidden_size: the size of the state, which is the output.
        in_size: the size of the input; None: taken from the first call.
        dtype: of the Parameters.
    """

    def __init__(self, hidden_size: int, in_size: int | None = None, dtype: Any = np.float32) -> None:
        super().__init__(hidden_size, in_size, gates=1, nobias=True, dtype=dtype)

    def forward(self, x: Any) -> Variable:
        """One time step: (N, in_size) -> (N, hidden_size), the new state."""
        a = self._from_input(x)
        self.h = F.tanh(a + self.h2h(self._before(self.h, len(a))))
        return self.h


class LSTM(Recurrent):
    """Long short-term memory: gates decide what its memory `c` forgets, takes up and shows. See `Recurrent`.

    `c = f * c + i * u`, `h = o * tanh(c)`, with `f, i, o = sigmoid(x2h(x) + h2h(h))` and `u` the tanh of the same. The
    columns of the weights are f, i, o, u: DeZero's x2f, x2i, x2o, x2u and h2f, h2i, h2o, h2u side by side.

    Source: Gers, Schmidhuber and Cummins, "Learning to Forget", Neural Computation 2000. All biases start as zeros.

    Args:
        hidden_size: the size of the state, which is the output.
        in_size: the size of the input; None: taken from the first call.
        dtype: of the Parameters.

    Attributes:
        c: the memory, (N, H), or None for zeros.
    """

    carries = ("h", "c")

    def __init__(self, hidden_size: int, in_size: int | None = None, dtype: Any = np.float32) -> None:
        super().__init__(hidden_size, in_size, gates=4, nobias=True, dtype=dtype)
        self.c: Variable | None = None

    def reset_state(self) -> None:
        """Forget state and memory: the next call begins a sequence."""
        self.h = self.c = None

    def set_state(self, h: Any, c: Any = None) -> None:
        """Go on from the state `h` and the memory `c`, (N, H); None for zeros.

        Raises:
            ShapeError: a second axis is not of the hidden size.
        """
        self.h, self.c = self._as_state(h), self._as_state(c)

    def forward(self, x: Any) -> Variable:
        """One time step: (N, in_size) -> (N, hidden_size), the new state."""
        a = self._from_input(x)
        both = recurrent.lstm_cell(a, self._before(self.h, len(a)), self._before(self.c, len(a)), self.h2h.W)
        self.h, self.c = both[0], both[1]
        return self.h

    def sequence(self, x: Any) -> Variable:
        """All time steps of a sequence: (T, N, in_size) -> (T, N, hidden_size), the state after each.

        It is what calling the layer for `x[0]`, `x[1]`, ... gives, at less cost, and leaves the same state and memory.

        Raises:
            ShapeError: `x` is no batch of sequences, or the state is of another batch.
        """
        x = as_variable(x)
        if x.ndim != 3 or not len(x):
            raise ShapeError(f"LSTM.sequence: x has shape {x.shape}; wanted (T, N, in_size) with at least one step")
        self._check_batch(x.shape[1])
        self._check_features(x)
        self.x2h.size_from(x)
        h, c = self._before(self.h, x.shape[1]), self._before(self.c, x.shape[1])
        states = lstm_sequence(x, self.x2h.W, self.x2h.b, h, c, self.h2h.W)
        last = states[-2:]  # one part of the whole for both: its gradient is an array as long as the whole
        self.h, self.c = last[0], last[1]
        return states[:-1]  # type: ignore[no-any-return]


class GRU(Recurrent):
    """`h = (1 - z) * n + z * h`: a gated recurrent unit. See `Recurrent` for its state.

    `r, z = sigmoid(x2h(x) + h2h(h))`, `n = tanh(x2h(x) + r * h2h(h))`: the reset gate r is applied after the product,
    as in cuDNN and PyTorch. The columns of the weights are r, z, n.

    Source: Cho et al., "Learning Phrase Representations using RNN Encoder-Decoder", EMNLP 2014.

    Args:
        hidden_size: the size of the state, which is the output.
        in_size: the size of the input; None: taken from the first call.
        dtype: of the Parameters.
    """

    def __init__(self, hidden_size: int, in_size: int | None = None, dtype: Any = np.float32) -> None:
        super().__init__(hidden_size, in_size, gates=3, nobias=False, dtype=dtype)

    def forward(self, x: Any) -> Variable:
        """One time step: (N, in_size) -> (N, hidden_size), the new state."""
        a = self._from_input(x)
        self.h = recurrent.gru_cell(a, self._before(self.h, len(a)), self.h2h.W, self.h2h.b)
        return self.h
