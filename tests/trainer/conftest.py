"""A small part of real MNIST, as files, for the tests of the Trainer."""

import pytest

from small_mnist import write_small_mnist


@pytest.fixture(scope="session")
def small_mnist(tmp_path_factory):
    """A folder with the first 310 training images of MNIST and the first 60 test images."""
    folder = tmp_path_factory.mktemp("data") / "mnist"
    write_small_mnist(folder, train=310, test=60)
    return folder
