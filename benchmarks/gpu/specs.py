"""What is trained on a GPU, for every contestant alike: sizes, data in device memory, first weights."""

import functools
from typing import Any

import attrs
import numpy as np

Array = np.ndarray[Any, Any]

MLP, CNN, GPT = "mlp", "cnn", "gpt"


@attrs.frozen
class Spec:
    """A workload of a size.

    Attributes:
        name: in tables.
        kind: "mlp", "cnn" or "gpt".
        batch: samples in a step.
        steps: in an epoch.
        sizes: of the mlp its hidden layers; of the cnn its channels and the width of its hidden layer; of the gpt
            layers, width, heads and context.
        adam: Adam (AdamW for the gpt), else SGD.
        relu: relu, else sigmoid; for the mlp.
        epochs: that are measured, after two that are not.
    """

    name: str
    kind: str
    batch: int
    steps: int
    sizes: tuple[int, ...]
    adam: bool = True
    relu: bool = True
    epochs: int = 5

    @property
    def lr(self) -> float:
        """The learning rate."""
        return 3e-4 if self.kind == GPT else 1e-3 if self.adam else 1e-2


GIVEN = (
    Spec("a: MLP 784-1000-10, sigmoid, SGD, batch 100", MLP, 100, 600, (1000,), adam=False, relu=False),
    Spec("b: MLP 784-1000-10, relu, Adam, batch 100", MLP, 100, 600, (1000,)),
    Spec("c: CNN 32-64-128, Adam, batch 64", CNN, 64, 200, (32, 64, 128)),
    Spec("e: GPT of 4 layers, width 128, context 128, batch 16", GPT, 16, 100, (4, 128, 4, 128)),
)
LARGE = (
    Spec(
        "a, large: MLP 784-8192-8192-10, SGD, batch 1024", MLP, 1024, 58, (8192, 8192), adam=False, relu=False, epochs=3
    ),
    Spec("b, large: MLP 784-8192-8192-10, Adam, batch 1024", MLP, 1024, 58, (8192, 8192), epochs=3),
    Spec("c, large: CNN 64-128-256, Adam, batch 512", CNN, 512, 40, (64, 128, 256), epochs=3),
    Spec("e, large: GPT of 8 layers, width 512, context 256, batch 32", GPT, 32, 20, (8, 512, 8, 256), epochs=3),
)
TINY = (
    Spec("a, tiny", MLP, 4, 8, (6,), adam=False, relu=False, epochs=2),
    Spec("b, tiny", MLP, 4, 8, (6,), epochs=2),
    Spec("c, tiny", CNN, 2, 6, (2, 3, 4), epochs=2),
    Spec("e, tiny", GPT, 2, 6, (1, 8, 2, 6), epochs=2),
)
LETTERS = 64


def specs(fake: bool) -> tuple[Spec, ...]:
    """All, or small ones for a dry run."""
    return TINY if fake else GIVEN + LARGE


@functools.lru_cache(maxsize=len(GIVEN + LARGE))  # each contestant asks anew
def data(spec: Spec) -> tuple[Array, Array]:
    """All samples of an epoch and their targets: bytes of images and classes, or letters and those that follow."""
    draw, n = np.random.default_rng(0), spec.batch * spec.steps
    if spec.kind == GPT:
        text = (np.cumsum(draw.integers(0, 4, (n, spec.sizes[3] + 1)), axis=1) % LETTERS).astype(np.int64)
        return text[:, :-1].copy(), text[:, 1:].copy()
    t = draw.integers(0, 10, n)
    x = draw.integers(0, 128, (n, 1, 28, 28), np.uint8)  # as bytes from the beginning: eight times as many take seconds
    x += (12 * t[:, None, None, None]).astype(np.uint8)  # so that there is something to learn
    return x, t
