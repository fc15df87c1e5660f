"""`GPT`: a small language model that predicts the next token of a text, and writes on."""

from typing import Any

import numpy as np

from minitorch import functions as F
from minitorch import layers as L
from minitorch import random
from minitorch.config import no_grad, test_mode
from minitorch.cuda import xp_of
from minitorch.errors import ConfigError, ShapeError
from minitorch.models.model import Model
from minitorch.variable import Variable, as_variable

Array = Any  # a NumPy or CuPy array


class GPT(Model):
    """A stack of causal transformer blocks over token and position vectors; the token vectors also score the output.

    Train it with `F.softmax_cross_entropy(y.reshape(-1, vocab_size), t.reshape(-1))`, where `t` is the text shifted by
    one. The vectors start as normal × 0.02.

    Source: Radford et al., "Language Models are Unsupervised Multitask Learners" (GPT-2), 2019.

    Args:
        vocab_size: the number of tokens; they are numbered from 0.
        context: how many tokens it sees at most.
        width: the size of a vector, a multiple of `n_heads`.
        n_layers: the number of blocks.
        n_heads: of the attention in each block.
        dropout_ratio: of the sum of the vectors and within the blocks.

    Raises:
        ConfigError: `width` is not a multiple of `n_heads`, or a number is not positive.
    """

    def __init__(
        self, vocab_size: int, context: int, width: int, n_layers: int, n_heads: int, dropout_ratio: float = 0.0
    ) -> None:
        super().__init__()
        self.context = context
        self.token = L.EmbedID(vocab_size, width, scale=0.02)
        self.position = L.EmbedID(context, width, scale=0.02)
        self.dropout = L.Dropout(dropout_ratio)
        self.blocks = [
            L.TransformerBlock(n_heads, width, dropout_ratio=dropout_ratio, causal=True) for _ in range(n_layers)
        ]
        self.norm = L.LayerNorm(width)

    def forward(self, ids: Any) -> Variable:
        """Tokens (N, T) -> scores before the softmax for the token after each, (N, T, vocab_size).

        Raises:
            ShapeError: `ids` is no matrix, or T is greater than the context.
        """
        shape = as_variable(ids).shape
        if len(shape) != 2 or shape[1] > self.context:
            raise ShapeError(f"GPT: ids has shape {shape}; wanted (N, T) with T up to the context, {self.context}")
        x = self.dropout(self.token(ids) + self.position.W[: shape[1]])
        for block in self.blocks:
            x = block(x)
        return F.linear(self.norm(x), self.token.W.T)

    def generate(self, ids: Any, n: int, temperature: float = 1.0, seed: int = 0) -> Array:
        """`ids` (N, T) with `n` tokens drawn after them, (N, T + n); a pure function of weights and arguments.

        Only the last `context` tokens are seen. No random number of the training is used up.

        Args:
            ids: the beginning, integers, at least one for each row.
            n: how many tokens to add.
            temperature: the scores are divided by it: below 1 the likely tokens become likelier; 0 takes the likeliest.
            seed: for the random numbers.

        Raises:
            ConfigError: `n` or the temperature is negative.
            ShapeError: `ids` is no matrix, or has no tokens to begin with.
        """
        if not temperature >= 0:
            raise ConfigError(f"generate: temperature is {temperature!r}; it must be at least 0")
        if n < 0:
            raise ConfigError(f"generate: n is {n!r}; it must be at least 0")
        ids = as_variable(ids).data
        if ids.ndim != 2 or not ids.shape[1]:
            raise ShapeError(
                f"generate: ids has shape {ids.shape}; wanted (N, T), with at least one token to begin with"
            )
        xp = xp_of(ids)
        generator = np.random.Generator(random.philox("generate", seed=seed))
        drawn = xp.asarray(generator.random((n, len(ids), 1), np.float32))
        with no_grad(), test_mode():
            for u in drawn:
                scores = self(ids[:, -self.context :]).data[:, -1]
                ids = xp.concatenate([ids, _draw(xp, scores, temperature, u).astype(ids.dtype)], axis=1)
        return ids


def _draw(xp: Any, scores: Array, temperature: float, u: Array) -> Array:
    """A token for each row of scores (N, C): the one at which their running sum passes the share u (N, 1) of it all."""
    if not temperature:
        return scores.argmax(axis=1)[:, None]
    p = F.softmax(scores / temperature).data
    upto = xp.cumsum(p, axis=1)
    return (upto[:, :-1] <= u * upto[:, -1:]).sum(axis=1, keepdims=True)
