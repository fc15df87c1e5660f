"""A language model of letters with an LSTM over 64 steps: the state goes on from piece to piece, gradients do not."""

from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np

import minitorch.functions as F
import minitorch.layers as L
from benchmarks.race import Race
from benchmarks.training import Batch, WithMinitorch, WithTorch, normal, race_training
from benchmarks.workload import ONEDNN, Contestant, Target, Workload
from minitorch import Model, optimizers

Array = np.ndarray[Any, Any]

STEPS, BATCH, HIDDEN, LETTERS = 64, 32, 128, 64
BATCHES = 20
LR = 0.001
GATES = "fiou"  # in minitorch's order
SHAPES: dict[str, tuple[int, ...]] = {
    "embed.W": (LETTERS, HIDDEN),
    **{f"lstm.x2h.W.{gate}": (HIDDEN, HIDDEN) for gate in GATES},
    **{f"lstm.x2h.b.{gate}": (HIDDEN,) for gate in GATES},
    **{f"lstm.h2h.W.{gate}": (HIDDEN, HIDDEN) for gate in GATES},
    "out.W": (HIDDEN, LETTERS),
    "out.b": (LETTERS,),
}


def weights() -> dict[str, Array]:
    return normal(SHAPES, lambda shape: HIDDEN**-0.5)


def batches(count: int = BATCHES) -> list[Batch]:
    """Pieces (64, 32) of 32 texts in which letters follow one another by a rule, each with the letters after."""
    draw = np.random.default_rng(0)
    text = (np.cumsum(draw.integers(0, 4, (count * STEPS + 1, BATCH)), axis=0) % LETTERS).astype(np.int64)
    return [(text[i : i + STEPS].copy(), text[i + 1 : i + 1 + STEPS].copy()) for i in range(0, count * STEPS, STEPS)]


# ---- minitorch


class Letters(Model):
    def __init__(self) -> None:
        super().__init__()
        self.embed = L.EmbedID(LETTERS, HIDDEN)
        self.lstm = L.LSTM(HIDDEN, in_size=HIDDEN)
        self.out = L.Linear(LETTERS, in_size=HIDDEN)

    def forward(self, ids: Any) -> Any:
        return self.out(self.lstm.sequence(self.embed(ids)))


class ByGates(WithMinitorch):
    """The weights of the LSTM, which lie side by side, by gates."""

    def arrays(self, *, gradients: bool = False) -> Mapping[str, Array]:
        found: dict[str, Array] = {}
        for path, array in super().arrays(gradients=gradients).items():
            if path.startswith("lstm."):
                parts = np.split(array, len(GATES), axis=-1)
                found |= {f"{path}.{gate}": part for gate, part in zip(GATES, parts, strict=True)}
            else:
                found[path] = array
        return found

    def backward(self, *batch: Any) -> Any:
        loss = super().backward(*batch)
        loss.unchain_backward()
        return loss


def with_minitorch() -> WithMinitorch:
    model = Letters()

    def loss(model: Letters, ids: Array, t: Array) -> Any:
        return F.softmax_cross_entropy(model(ids).reshape(-1, LETTERS), t.reshape(-1))

    return ByGates(model, optimizers.Adam(LR).setup(model), loss)


# ---- PyTorch


def with_torch(**options: bool) -> WithTorch:
    """`nn.LSTM` over the whole piece; its second bias, which minitorch has not, stays zero."""
    import torch
    from torch import nn

    class Letters(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embed = nn.Embedding(LETTERS, HIDDEN)
            self.lstm = nn.LSTM(HIDDEN, HIDDEN)
            nn.init.zeros_(self.lstm.bias_hh_l0)
            self.lstm.bias_hh_l0.requires_grad_(False)
            self.out = nn.Linear(HIDDEN, LETTERS)
            self.state: Any = None

        def forward(self, ids: Any) -> Any:
            y, (h, c) = self.lstm(self.embed(ids), self.state)
            self.state = h.detach(), c.detach()
            return self.out(y)

    def by_gates(own: Mapping[str, Array]) -> dict[str, Array]:
        names = {"weight_ih_l0": "x2h.W", "bias_ih_l0": "x2h.b", "weight_hh_l0": "h2h.W"}
        found = {}
        for name, array in own.items():
            if name in names:
                for gate, part in zip("ifuo", np.split(array, len(GATES)), strict=True):
                    found[f"lstm.{names[name]}.{gate}"] = part.T
        return found

    model = Letters()
    trained = [p for p in model.parameters() if p.requires_grad]

    def loss(model: Any, ids: Any, t: Any) -> Any:
        return nn.functional.cross_entropy(model(ids).view(-1, LETTERS), t.view(-1))

    return WithTorch(model, torch.optim.Adam(trained, LR, **options), loss, {"lstm": by_gates})


def run(race: Race, steps: int, *, training: Any) -> None:
    race_training(race, training(), weights(), batches(), steps)


MINITORCH, FAST, TORCH = "minitorch", "minitorch[fast]", "PyTorch eager"

WORKLOAD = Workload(
    title="LSTM of 128, 64 time steps, batches of 32, truncated backpropagation, Adam",
    about=(
        "Time of a step, loss read in each; 64 letters. The state goes on from piece to piece, gradients end with the "
        "piece. Both run the whole piece in one call: `LSTM.sequence`, `nn.LSTM`. `minitorch[fast]` is minitorch with "
        "oneDNN, which PyTorch brings along too."
    ),
    contestants=(
        Contestant(MINITORCH, partial(run, training=with_minitorch)),
        Contestant(FAST, partial(run, training=with_minitorch), (ONEDNN,)),
        Contestant(TORCH, partial(run, training=with_torch), ("torch",)),
        Contestant("PyTorch, fused Adam", partial(run, training=partial(with_torch, fused=True)), ("torch",)),
    ),
    reference=MINITORCH,
    sizes={"steps": 30},
    quick={"steps": 2},
    targets=(Target(MINITORCH, over=TORCH, at_most=1.0), Target(FAST, over=TORCH, at_most=1.0)),
)
