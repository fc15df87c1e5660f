"""Golden values of the functions of images, computed by PyTorch in float64 and kept in `golden_images.json`.

To compute them anew, with PyTorch 2 installed: `python tests/functions/golden_images.py`.
"""

import json
from pathlib import Path
from typing import Any

import attrs
import numpy as np

FILE = Path(__file__).with_suffix(".json")


@attrs.frozen
class Case:
    """A function of images, the shapes of its array arguments, and its settings."""

    function: str
    shapes: tuple[tuple[int, ...], ...]
    settings: dict[str, Any] = attrs.field(factory=dict)

    def arrays(self) -> list[np.ndarray]:
        """The array arguments, all numbers different."""
        return [numbers(i, shape) for i, shape in enumerate(self.shapes)]


CASES = {
    "conv2d": Case("conv2d", ((2, 2, 5, 4), (3, 2, 3, 2), (3,))),
    "conv2d with all settings": Case(
        "conv2d",
        ((2, 4, 6, 7), (4, 2, 3, 2), (4,)),
        {"stride": (2, 1), "pad": (1, 2), "dilation": (1, 2), "groups": 2},
    ),
    "deconv2d": Case("deconv2d", ((2, 3, 2, 3), (3, 2, 3, 2), (2,)), {"stride": (2, 3), "pad": (1, 0)}),
    "deconv2d of a given size": Case("deconv2d", ((1, 2, 3, 3), (2, 2, 3, 3), (2,)), {"stride": 2, "outsize": (8, 7)}),
    "pooling": Case("pooling", ((2, 2, 4, 6),), {"kernel_size": 2, "stride": 2}),
    "pooling, overlapping and padded": Case(
        "pooling", ((1, 2, 5, 6),), {"kernel_size": (3, 2), "stride": (2, 1), "pad": 1}
    ),
    "pooling over the edge": Case(
        "pooling", ((1, 2, 6, 5),), {"kernel_size": 3, "stride": 2, "pad": (0, 1), "cover_all": True}
    ),
    "average_pooling": Case(
        "average_pooling", ((2, 2, 5, 6),), {"kernel_size": (3, 2), "stride": (2, 1), "pad": (1, 0)}
    ),
    "batch_norm of a matrix": Case("batch_norm", ((5, 3), (3,), (3,)), {"train": True}),
    "batch_norm": Case("batch_norm", ((2, 3, 2, 2), (3,), (3,)), {"train": True}),
    "batch_norm in test mode": Case("batch_norm", ((2, 3, 2, 2), (3,), (3,)), {"train": False}),
}


def numbers(seed: int, shape: tuple[int, ...]) -> np.ndarray:
    """The same numbers between -1 and 1 everywhere, without a generator that might change."""
    return np.sin(np.arange(1, np.prod(shape) + 1) * (1.7 + seed)).reshape(shape)


def running_averages() -> tuple[np.ndarray, np.ndarray]:
    """Mean and variance for batch norm of three channels."""
    return np.array([0.1, -0.2, 0.3]), np.array([0.5, 1.0, 2.0])


def by_torch(case: Case) -> list[np.ndarray]:
    """The output of a case, the gradient of each argument for a gradient of `numbers`, and what changed in place."""
    import torch
    import torch.nn.functional as T

    given = [torch.tensor(a, requires_grad=True) for a in case.arrays()]
    s = dict(case.settings)
    averages = [torch.tensor(a) for a in running_averages()]
    if case.function == "conv2d":
        y = T.conv2d(*given, s.get("stride", 1), s.get("pad", 0), s.get("dilation", 1), s.get("groups", 1))
    elif case.function == "deconv2d":
        beyond = (1, 0) if "outsize" in s else 0  # the least is (7, 7)
        y = T.conv_transpose2d(*given, s["stride"], s.get("pad", 0), output_padding=beyond)
    elif case.function == "pooling":
        y = T.max_pool2d(*given, s["kernel_size"], s["stride"], s.get("pad", 0), ceil_mode=s.get("cover_all", False))
    elif case.function == "average_pooling":
        y = T.avg_pool2d(*given, s["kernel_size"], s["stride"], s["pad"])
    else:
        y = T.batch_norm(given[0], *averages, *given[1:], training=s["train"], momentum=0.1, eps=2e-5)
    y.backward(torch.tensor(numbers(9, tuple(y.shape))))
    changed = averages if case.function == "batch_norm" else []
    return [y.detach().numpy(), *[a.grad.numpy() for a in given], *[a.numpy() for a in changed]]


if __name__ == "__main__":
    golden = {name: [np.round(a, 12).tolist() for a in by_torch(case)] for name, case in CASES.items()}
    FILE.write_text(json.dumps(golden, separators=(",", ":")).replace("]],", "]],\n") + "\n")
