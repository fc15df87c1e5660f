"""Losses on real MNIST: golden values of a small part of it, and the page that the project descends from."""

import copy

import pytest

import minitorch
import minitorch.functions as F
from minitorch import DataLoader, Trainer
from minitorch.datasets import MNIST
from minitorch.models import MLP
from minitorch.optimizers import SGD
from small_mnist import DATA

# *Deep Learning from Scratch 3*, step 52: 784-1000-10, sigmoid, SGD(0.01), batches of 100; the loss of each epoch
PAGE = [1.9142, 1.2824, 0.9235, 0.7391, 0.6347]


@pytest.fixture(scope="module")
def mnist():
    """The training images of MNIST."""
    return MNIST(train=True, root=DATA)


def losses(data, seed, epochs):
    """The mean loss of each epoch."""
    minitorch.seed(seed)
    trainer = Trainer(MLP((1000, 10)), SGD(0.01), loss=F.softmax_cross_entropy, callbacks=[])
    result = trainer.fit(DataLoader(data, 100), epochs=epochs)
    return [metrics["loss"] for metrics in result.history]


def test_golden_loss_of_a_small_part(mnist):
    """One epoch over 6,000 images from seed 0; a change of this number is a change of every user's results."""
    small = copy.copy(mnist)
    small.data, small.label = mnist.data[:6000], mnist.label[:6000]
    assert losses(small, seed=0, epochs=1) == pytest.approx([2.24505], abs=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(5))
def test_losses_of_the_page(mnist, seed):
    """Five epochs over all of MNIST lose what the page prints, to within 0.03, whatever the seed."""
    assert losses(mnist, seed, epochs=5) == pytest.approx(PAGE, abs=0.03)
