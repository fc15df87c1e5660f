"""What the MNIST example moves between host and device, counted on the stand-in: nothing that a step would need."""

import runpy
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest

import fake_cupy
from minitorch import Trainer
from minitorch.cuda import no_sync
from minitorch.trainer.callbacks import CudaGraph
from small_mnist import write_small_mnist

EXAMPLE = Path(__file__).parents[2] / "examples" / "mnist_gpu.py"


@pytest.fixture
def traffic_of(tmp_path, monkeypatch, capsys):
    """Runs the example on so many images, two epochs in batches of 5; returns what was moved, and the graphs."""

    def run(images, graph):
        folder = tmp_path / f"{images}-{graph}"
        write_small_mnist(folder / "data" / "mnist", train=images, test=20)
        shutil.copy(EXAMPLE, folder)
        monkeypatch.chdir(folder)
        monkeypatch.setattr(sys, "argv", ["mnist_gpu.py", "--device", "cuda", "--batch-size", "5", "--epochs", "2"])
        made, init = [], Trainer.__init__

        def with_graph(self, *args, **kwargs):
            made.append(CudaGraph())
            init(self, *args, **kwargs | {"callbacks": [*kwargs["callbacks"], *(made if graph else [])]})

        with monkeypatch.context() as patch, fake_cupy.installed(), fake_cupy.counting() as traffic, no_sync():
            patch.setattr(Trainer, "__init__", with_graph)
            runpy.run_path(str(folder / "mnist_gpu.py"), run_name="__main__")
        assert made[0].reason is None
        assert "test accuracy" in capsys.readouterr().out
        return np.array([traffic.to_device, traffic.to_host, traffic.synchronisations])

    return run


@pytest.mark.slow
@pytest.mark.parametrize("graph", [False, True])
def test_a_step_moves_nothing_and_an_interval_is_one_read(traffic_of, graph):
    """In the strict mode; 50 steps more in each of two epochs cost two reads, of the means of two log intervals."""
    more = traffic_of(500, graph) - traffic_of(250, graph)
    assert more.tolist() == [0, 2, 2]
