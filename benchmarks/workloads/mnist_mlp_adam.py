"""The network of `mnist_mlp` with relu and Adam, over six epochs: long enough for its moments to become denormal."""

from functools import partial

from benchmarks.workload import ONEDNN, Contestant, Target, Workload
from benchmarks.workloads.mnist_mlp import (
    Setting,
    jax_loop,
    lightning_trainer,
    minitorch_loop,
    minitorch_trainer,
    numpy_preallocated,
    torch_loop,
)
from minitorch.trainer.callbacks import default_callbacks

ADAM = Setting(relu=True, adam=True)
TRAINER, LOOP, NUMPY = "minitorch Trainer, default callbacks", "minitorch, loop by hand", "NumPy by hand, preallocated"
FAST, TORCH, FUSED = "minitorch[fast] Trainer, default callbacks", "PyTorch eager", "PyTorch, fused Adam"

WORKLOAD = Workload(
    title="784-1000-10 on MNIST, relu, Adam, batches of 100",
    about=(
        "As `mnist_mlp`, with relu and Adam of learning rate 0.001. Round r is epoch r + 1, the warm-up is the first. "
        "Weights of pixels that are always black never get a gradient, and after some hundred steps of a dead unit "
        "the first moment of its weights decays into the range of denormal numbers, where processors are slow: "
        "compare the first rounds with the last."
    ),
    contestants=(
        Contestant(TRAINER, partial(minitorch_trainer, setting=ADAM, callbacks=default_callbacks)),
        Contestant(LOOP, partial(minitorch_loop, setting=ADAM)),
        Contestant(FAST, partial(minitorch_trainer, setting=ADAM, callbacks=default_callbacks), (ONEDNN,)),
        Contestant(NUMPY, partial(numpy_preallocated, setting=ADAM)),
        Contestant(TORCH, partial(torch_loop, setting=ADAM), ("torch",)),
        Contestant(FUSED, partial(torch_loop, setting=ADAM, fused=True), ("torch",)),
        Contestant("Lightning Trainer, bare", partial(lightning_trainer, setting=ADAM), ("lightning", "torch")),
        Contestant("JAX, jit of the step", partial(jax_loop, setting=ADAM), ("jax",)),
    ),
    reference=TRAINER,
    sizes={"steps": 600},
    quick={"steps": 10},
    targets=(
        Target(TRAINER, over=LOOP, at_most=1.03),
        Target(TRAINER, over=TORCH, at_most=0.75),
        Target(FAST, over=TORCH, at_most=0.75),
        Target(TRAINER, over=FUSED, at_most=0.95),
    ),
)
