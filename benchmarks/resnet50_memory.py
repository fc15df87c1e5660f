"""Peak memory of training steps of ResNet50 on images of 224×224: `python -m benchmarks.resnet50_memory --batch 8`."""

import argparse
import gc
import resource
import sys
import time

import numpy as np

import minitorch
import minitorch.functions as F
from minitorch.models import ResNet50
from minitorch.optimizers import MomentumSGD

MIB = 1 << 20


def peak() -> int:
    """Bytes of memory that this process has ever had at a time."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--batch", type=int, default=8, help="images in a batch (8)")
    parser.add_argument("--steps", type=int, default=3, help="training steps (3)")
    args = parser.parse_args()

    minitorch.seed(0)
    draw = np.random.default_rng(0)
    x = draw.standard_normal((args.batch, 3, 224, 224), np.float32)
    t = draw.integers(0, 1000, args.batch)
    model = ResNet50()
    optimizer = MomentumSGD(0.01).setup(model)
    with minitorch.no_grad(), minitorch.test_mode():
        model(x[:1])  # the sizes of the weights are known from now on
    weights = sum(param.data.nbytes for param in model.params())
    before = peak()
    gc.collect()
    gc.disable()
    for step in range(args.steps):
        start = time.perf_counter()
        loss = F.softmax_cross_entropy(model(x), t)
        model.cleargrads()
        loss.backward()
        optimizer.update()
        print(
            f"step {step + 1}: loss {loss.item():.4f}, {time.perf_counter() - start:.1f} s, peak {peak() // MIB:,} MiB"
        )
    trained = sum(param.data.size for param in model.params() if param.requires_grad)
    print(
        f"{trained:,} trained numbers; weights {weights // MIB:,} MiB; peak before the first step {before // MIB:,} MiB"
    )
    print(f"left to the cycle collector: {gc.collect()} objects")


if __name__ == "__main__":
    main()
