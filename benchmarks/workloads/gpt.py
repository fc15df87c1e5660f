"""A small language model of the GPT-2 kind on a text of random letters, with AdamW."""

from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np

import minitorch.functions as F
from benchmarks.race import Race
from benchmarks.training import Batch, WithMinitorch, WithTorch, normal, race_training
from benchmarks.workload import ONEDNN, Contestant, Target, Workload
from minitorch import optimizers
from minitorch.models import GPT

Array = np.ndarray[Any, Any]

LAYERS, WIDTH, HEADS, CONTEXT, LETTERS = 4, 128, 4, 128, 64
BATCH, BATCHES = 16, 20
LR, DECAY = 3e-4, 0.01


def weights() -> dict[str, Array]:
    shapes: dict[str, tuple[int, ...]] = {"token.W": (LETTERS, WIDTH), "position.W": (CONTEXT, WIDTH)}
    for block in [f"blocks.{i}" for i in range(LAYERS)]:
        shapes |= {f"{block}.{norm}.{name}": (WIDTH,) for norm in ("norm1", "norm2") for name in ("gamma", "beta")}
        for name, inner, outer in (
            ("attention.x2q", WIDTH, WIDTH), ("attention.x2k", WIDTH, WIDTH), ("attention.x2v", WIDTH, WIDTH),
            ("attention.out", WIDTH, WIDTH), ("fc1", WIDTH, 4 * WIDTH), ("fc2", 4 * WIDTH, WIDTH),
        ):  # fmt: skip
            shapes |= {f"{block}.{name}.W": (inner, outer), f"{block}.{name}.b": (outer,)}
    shapes |= {"norm.gamma": (WIDTH,), "norm.beta": (WIDTH,)}
    return normal(shapes, lambda shape: 0.02)


def batches(count: int = BATCHES) -> list[Batch]:
    """Letters that follow one another by a rule, so that there is something to learn."""
    draw = np.random.default_rng(0)
    text = (np.cumsum(draw.integers(0, 4, (count, BATCH, CONTEXT + 1)), axis=2) % LETTERS).astype(np.int64)
    return [(rows[:, :-1].copy(), rows[:, 1:].copy()) for rows in text]


def with_minitorch() -> WithMinitorch:
    model = GPT(LETTERS, CONTEXT, WIDTH, LAYERS, HEADS)

    def loss(model: GPT, ids: Array, t: Array) -> Any:
        return F.softmax_cross_entropy(model(ids).reshape(-1, LETTERS), t.reshape(-1))

    return WithMinitorch(model, optimizers.AdamW(LR, weight_decay=DECAY).setup(model), loss)


def with_torch(**options: bool) -> WithTorch:
    """Queries, keys and values from one product, and PyTorch's own attention."""
    import torch
    from torch import nn
    from torch.nn import functional as f

    class Attention(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.qkv = nn.Linear(WIDTH, 3 * WIDTH)
            self.out = nn.Linear(WIDTH, WIDTH)

        def forward(self, x: Any) -> Any:
            q, k, v = (part.view(*x.shape[:2], HEADS, -1).transpose(1, 2) for part in self.qkv(x).split(WIDTH, dim=2))
            y = f.scaled_dot_product_attention(q, k, v, is_causal=True)
            return self.out(y.transpose(1, 2).reshape(x.shape))

    class Block(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.norm1 = nn.LayerNorm(WIDTH)
            self.attention = Attention()
            self.norm2 = nn.LayerNorm(WIDTH)
            self.fc1 = nn.Linear(WIDTH, 4 * WIDTH)
            self.fc2 = nn.Linear(4 * WIDTH, WIDTH)

        def forward(self, x: Any) -> Any:
            x = x + self.attention(self.norm1(x))
            return x + self.fc2(f.gelu(self.fc1(self.norm2(x))))

    class GPT(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.token = nn.Embedding(LETTERS, WIDTH)
            self.position = nn.Embedding(CONTEXT, WIDTH)
            self.blocks = nn.ModuleList([Block() for _ in range(LAYERS)])
            self.norm = nn.LayerNorm(WIDTH)

        def forward(self, ids: Any) -> Any:
            x = self.token(ids) + self.position.weight[: ids.shape[1]]
            for block in self.blocks:
                x = block(x)
            return f.linear(self.norm(x), self.token.weight)

    model = GPT()
    optimizer = torch.optim.AdamW(model.parameters(), LR, weight_decay=DECAY, **options)

    def loss(model: Any, ids: Any, t: Any) -> Any:
        return f.cross_entropy(model(ids).view(-1, LETTERS), t.view(-1))

    return WithTorch(model, optimizer, loss, {"qkv": apart})


def apart(qkv: Mapping[str, Array]) -> dict[str, Array]:
    """Views of the joint weights by the names that they have in minitorch, from `attention.qkv` on."""
    return {
        f"x2{part}.{'W' if name == 'weight' else 'b'}": array[i * WIDTH : (i + 1) * WIDTH].T
        for i, part in enumerate("qkv")
        for name, array in qkv.items()
    }


def run(race: Race, steps: int, *, training: Any) -> None:
    race_training(race, training(), weights(), batches(), steps)


MINITORCH, FAST, TORCH = "minitorch", "minitorch[fast]", "PyTorch eager"

WORKLOAD = Workload(
    title="GPT of 4 layers, width 128, 4 heads, context 128, batches of 16, AdamW",
    about=(
        "Time of a step, loss read in each; 64 letters, exact gelu, weights of the output tied to those of the input, "
        "no dropout. PyTorch has one product for queries, keys and values, and its scaled_dot_product_attention. "
        "`minitorch[fast]` is minitorch with oneDNN, which PyTorch brings along too."
    ),
    contestants=(
        Contestant(MINITORCH, partial(run, training=with_minitorch)),
        Contestant(FAST, partial(run, training=with_minitorch), (ONEDNN,)),
        Contestant(TORCH, partial(run, training=with_torch), ("torch",)),
        Contestant("PyTorch, fused AdamW", partial(run, training=partial(with_torch, fused=True)), ("torch",)),
    ),
    reference=MINITORCH,
    sizes={"steps": 8},
    quick={"steps": 1},
    targets=(Target(MINITORCH, over=TORCH, at_most=1.1), Target(FAST, over=TORCH, at_most=1.1)),
)
