"""`MultiHeadAttention`, and the `TransformerBlock` made of it."""

from typing import Any

import numpy as np

from minitorch import functions as F
from minitorch.errors import ConfigError
from minitorch.layers.dropout import Dropout
from minitorch.layers.layer import Layer
from minitorch.layers.linear import Linear
from minitorch.layers.norm import LayerNorm
from minitorch.variable import Variable, as_variable


class MultiHeadAttention(Layer):
    """Several attentions side by side, each in a subspace of its own: what a position takes over from the others.

    Source: Vaswani et al., "Attention Is All You Need", NeurIPS 2017, section 3.2.2.

    Args:
        n_heads: how many attentions.
        width: the size of the last axis of input and output, a multiple of `n_heads`.
        dropout_ratio: the probability to drop each attention weight while training.
        causal: let a position see only itself and those before it.
        dtype: of the Parameters.
        memory_width: the size of the last axis of the memory; None: `width`.

    Raises:
        ConfigError: `width` is not a multiple of `n_heads`.
    """

    def __init__(
        self,
        n_heads: int,
        width: int,
        dropout_ratio: float = 0.0,
        causal: bool = False,
        dtype: Any = np.float32,
        memory_width: int | None = None,
    ) -> None:
        super().__init__()
        if n_heads < 1 or width % n_heads:
            raise ConfigError(
                f"MultiHeadAttention: width {width} is not a multiple of n_heads, {n_heads}; each head gets "
                "width / n_heads"
            )
        self.n_heads = n_heads
        self.causal = causal
        self.dropout_ratio = dropout_ratio
        self.x2q = Linear(width, dtype=dtype, in_size=width)
        self.x2k = Linear(width, dtype=dtype, in_size=memory_width or width)
        self.x2v = Linear(width, dtype=dtype, in_size=memory_width or width)
        self.out = Linear(width, dtype=dtype, in_size=width)

    def forward(self, x: Any, memory: Any = None, mask: Any = None) -> Variable:
        """What the positions of `x` find in `memory`, or in `x` itself where that is None.

        Args:
            x: (..., T, width).
            memory: (..., S, memory_width), or None.
            mask: booleans that broadcast to (..., n_heads, T, S): where False, a position of `x` does not see one of
                the memory. For a mask of (N, S) give `mask[:, None, None, :]`.

        Returns:
            (..., T, width).
        """
        settings = mask, self.causal, self.dropout_ratio
        if memory is None and self.x2k.in_size == self.x2q.in_size:  # one product for all three
            parts = self.x2q, self.x2k, self.x2v
            W, b = F.concat([part.W for part in parts], axis=1), F.concat([part.b for part in parts])
            return self.out(F.self_attention(F.linear(x, W, b), self.n_heads, *settings))  # type: ignore[no-any-return]
        seen = x if memory is None else memory
        q, k, v = self._heads(self.x2q(x)), self._heads(self.x2k(seen)), self._heads(self.x2v(seen))
        y = F.attention(q, k, v, *settings)
        return self.out(_swapped(y).reshape(as_variable(x).shape))  # type: ignore[no-any-return]

    def _heads(self, x: Variable) -> Variable:
        """(..., T, width) -> (..., n_heads, T, width / n_heads)."""
        return _swapped(x.reshape((*x.shape[:-1], self.n_heads, x.shape[-1] // self.n_heads)))

    def __repr__(self) -> str:
        return f"MultiHeadAttention({self.n_heads} heads, {self.out.out_size})"


def _swapped(x: Variable) -> Variable:
    """Positions and heads, the second and third to last axes, changed for each other."""
    n = x.ndim
    return x.transpose((*range(n - 3), n - 2, n - 3, n - 1))


class TransformerBlock(Layer):
    """Attention, then two fully connected layers with gelu between them, each added to its normalised input.

    Source: Radford et al., "Language Models are Unsupervised Multitask Learners" (GPT-2), 2019: with the normalisation
    before each part and not after it.

    Args:
        n_heads: of the attention.
        width: the size of the last axis of input and output.
        hidden_size: between the two layers; None: 4 × width.
        dropout_ratio: of the attention weights, and of what each part adds.
        causal: let a position see only itself and those before it.
        dtype: of the Parameters.
    """

    def __init__(
        self,
        n_heads: int,
        width: int,
        hidden_size: int | None = None,
        dropout_ratio: float = 0.0,
        causal: bool = False,
        dtype: Any = np.float32,
    ) -> None:
        super().__init__()
        self.norm1 = LayerNorm(width, dtype=dtype)
        self.attention = MultiHeadAttention(n_heads, width, dropout_ratio, causal, dtype)
        self.norm2 = LayerNorm(width, dtype=dtype)
        self.fc1 = Linear(hidden_size or 4 * width, dtype=dtype, in_size=width, activation=F.gelu)
        self.fc2 = Linear(width, dtype=dtype, in_size=hidden_size or 4 * width)
        self.dropout = Dropout(dropout_ratio)

    def forward(self, x: Any, mask: Any = None) -> Variable:
        """(..., T, width), unchanged; `mask` as of MultiHeadAttention."""
        y: Variable = as_variable(x) + self.dropout(self.attention(self.norm1(x), None, mask))
        return y + self.dropout(self.fc2(self.fc1(self.norm2(y))))  # type: ignore[no-any-return]
