"""Runs in several threads at once: each has the bits that it has alone."""

import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from small_runs import at, loader, weights

import minitorch
import minitorch.functions as F
import minitorch.layers as L
from minitorch import Callback, Config, DataLoader, Trainer, no_grad, using_config
from minitorch.datasets import Dataset
from minitorch.models import Sequential
from minitorch.optimizers import Adam
from minitorch.trainer.callbacks import Checkpoint
from minitorch.transforms import Compose, Flatten, RandomCrop, RandomHorizontalFlip, ToFloat

WAIT = 60.0  # seconds after which a test that waits for threads fails


class Pictures(Dataset):
    """Small pictures made one by one, cropped and mirrored at random."""

    def __init__(self):
        super().__init__(transform=Compose([RandomCrop(4, padding=1), RandomHorizontalFlip(), Flatten(), ToFloat()]))

    def __len__(self):
        return 24

    def __getitem__(self, index):
        return self.transform(np.arange(16).reshape(1, 4, 4) + index), index % 3


class Noisy(Pictures):
    """Draws from the numbers of the thread that trains, and not for its samples."""

    def __getitem__(self, index):
        x, t = super().__getitem__(index)
        return x + minitorch.random.normal("noise", x.shape), t


DATA = {
    "arrays": lambda: loader(24),
    "pictures": lambda: DataLoader(Pictures(), 5),
    "pictures made by threads": lambda: DataLoader(Pictures(), 5, num_workers=2),
    "noisy pictures": lambda: DataLoader(Noisy(), 5),
}


class Meet(Callback):
    """Has the threads go through each batch together, so that they draw by turns."""

    def __init__(self, barrier):
        self.barrier = barrier

    def on_batch_start(self, trainer, batch):
        self.barrier.wait(WAIT)
        return batch

    def on_after_backward(self, trainer):
        self.barrier.wait(WAIT)


def run(seed, data, barrier=None, *callbacks, epochs=3, resume=None):
    """Train a network with dropout, its weights drawn in the first step; gives its weights and its losses."""
    minitorch.seed(seed)
    model = Sequential(L.Linear(8), F.relu, L.Dropout(0.5), L.Linear(8), F.relu, L.Dropout(0.3), L.Linear(3))
    meet = [] if barrier is None else [Meet(barrier)]
    trainer = Trainer(model, Adam(), loss=F.softmax_cross_entropy, callbacks=[*callbacks, *meet])
    validation = loader(10, shuffle=False) if data == "arrays" else None
    result = trainer.fit(DATA[data](), validation, epochs=epochs, resume=resume)
    return weights(trainer), [metrics["loss"] for metrics in result.history]


def at_once(*jobs):
    """What each job gives, each in a thread of its own; they get one barrier for all."""
    barrier = threading.Barrier(len(jobs))
    with ThreadPoolExecutor(len(jobs)) as pool:
        return [future.result(WAIT) for future in [pool.submit(job, barrier) for job in jobs]]


@pytest.mark.parametrize("data", DATA)
def test_two_runs_at_once_have_the_bits_of_runs_alone(data):
    """Dropout, weights, shuffles and augmentation of a run do not depend on what another thread trains meanwhile."""
    alone = [run(seed, data) for seed in (1, 2)]
    assert alone[0] != alone[1]
    assert at_once(*(lambda barrier, seed=seed: run(seed, data, barrier) for seed in (1, 2))) == alone


def test_a_run_beside_the_main_thread():
    """The main thread trains while another does: both have the bits of runs alone."""
    alone = [run(seed, "arrays") for seed in (1, 2)]
    barrier = threading.Barrier(2)
    with ThreadPoolExecutor(1) as pool:
        other = pool.submit(run, 2, "arrays", barrier)
        assert [run(1, "arrays", barrier), other.result(WAIT)] == alone


def test_runs_that_are_resumed_at_once(tmp_path):
    """Each goes on from the random numbers of its own checkpoint, and ends as one that was never interrupted."""
    alone = [run(seed, "pictures made by threads") for seed in (1, 2)]
    folders = [tmp_path / str(seed) for seed in (1, 2)]

    def both(epochs, resume):
        def job(seed, folder):
            return lambda barrier: run(
                seed, "pictures made by threads", barrier, Checkpoint(folder), epochs=epochs, resume=resume
            )

        return at_once(*map(job, (1, 2), folders))

    both(epochs=1, resume=None)
    assert both(epochs=3, resume="auto") == alone


def test_flags_of_a_thread_do_not_reach_one_that_trains():
    """Another thread that stays in `no_grad`, or without training, while a run goes on changes nothing for it."""
    alone = run(1, "arrays")
    inside, done, seen = threading.Event(), threading.Event(), []

    def other():
        with no_grad(), using_config("train", False), using_config("use_onednn", False):
            inside.set()
            assert done.wait(WAIT)
            return Config.enable_backprop, Config.train, Config.use_onednn

    def look(trainer, batch):
        seen.append((Config.enable_backprop, Config.train, Config.use_onednn))
        return batch

    with ThreadPoolExecutor(1) as pool:
        flags = pool.submit(other)
        assert inside.wait(WAIT)
        try:
            assert run(1, "arrays", None, at("on_batch_start", look)) == alone
        finally:
            done.set()
        assert flags.result(WAIT) == (False, False, False)
    assert set(seen) == {(True, True, True)}
