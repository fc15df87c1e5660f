"""Batches loaded ahead by threads: the same as without, in order, bounded, and no thread stays behind."""

import threading
import time

import numpy as np
import pytest

import minitorch
import minitorch.functions as F
from minitorch import Callback, DataLoader, SeqDataLoader, Trainer
from minitorch.datasets import ArrayDataset, Dataset
from minitorch.errors import ConfigError
from minitorch.models import MLP
from minitorch.optimizers import Adam
from minitorch.prefetch import AHEAD, in_order
from minitorch.trainer.callbacks import Checkpoint
from minitorch.transforms import Compose, Flatten, RandomCrop, RandomHorizontalFlip, ToFloat

WAIT = 30.0  # seconds after which a test that waits for threads fails


class Pictures(Dataset):
    """Small pictures made one by one, cropped and mirrored at random; sample `broken` raises."""

    def __init__(self, n=37, broken=None):
        self.n, self.broken = n, broken
        super().__init__(transform=Compose([RandomCrop(4, padding=1), RandomHorizontalFlip(), Flatten(), ToFloat()]))

    def __len__(self):
        return self.n

    def __getitem__(self, index):
        if index == self.broken:
            raise OSError("the file is damaged")
        time.sleep(0.0005 * (index % 5))  # so that threads end in another order than they began
        picture = np.arange(16).reshape(1, 4, 4) + index
        return self.transform(picture), index % 3


def workers():
    """How many threads of loaders there are."""
    return sum(thread.name.startswith("minitorch-loader") for thread in threading.enumerate())


def as_bytes(batches):
    return [[array.tobytes() for array in batch] for batch in batches]


# ---- in_order


def test_results_come_in_order():
    """However long each takes."""

    def make(n):
        time.sleep(0.001 * (n * 7 % 5))
        return n

    assert list(in_order(make, range(3, 40), 4)) == list(range(3, 40))
    assert list(in_order(make, range(0), 4)) == []


def test_threads_work_at_the_same_time():
    """With three workers three calls are under way at a time."""
    together = threading.Barrier(3, timeout=WAIT)

    def make(n):
        together.wait()
        return n

    assert list(in_order(make, range(6), 3)) == list(range(6))


@pytest.mark.parametrize("n_workers", [1, 3])
def test_no_more_is_made_ahead_than_said(n_workers):
    """While nobody takes results, `AHEAD` for each worker are begun, and no more."""
    begun = []
    results = in_order(lambda n: begun.append(n) or n, range(100), n_workers)
    assert begun == []  # nothing before the first is asked for
    for taken in range(1, 5):
        next(results)
        time.sleep(0.02)
        assert len(begun) <= AHEAD * n_workers + taken - 1


def test_an_error_comes_where_its_result_would_have():
    """Results before it are given out, none after it; it is the error itself."""
    wanted = ValueError("five")

    def make(n):
        if n == 5:
            raise wanted
        return n

    results = in_order(make, range(10), 4)
    assert [next(results) for _ in range(5)] == [0, 1, 2, 3, 4]
    with pytest.raises(ValueError, match="five") as caught:
        next(results)
    assert caught.value is wanted
    assert list(results) == []
    assert workers() == 0


def test_no_thread_is_left_when_it_is_dropped():
    """Broken off, used up or never begun: the threads end, and what had not begun is given up."""
    begun = []

    def make(n):
        begun.append(n)
        return n

    in_order(make, range(100), 3)
    for n in in_order(make, range(1000), 3):
        if n == 5:
            break
    assert workers() == 0
    assert len(begun) <= 6 + AHEAD * 3
    list(in_order(make, range(10), 3))
    assert workers() == 0


# ---- the loader


@pytest.mark.parametrize("n_workers", [1, 2, 5])
def test_batches_are_the_same_for_any_number_of_workers(n_workers):
    """Order, random crops and all: the same bits, in each epoch, and from the middle of one."""
    alone, together = (DataLoader(Pictures(), 4, seed=3, num_workers=n) for n in (0, n_workers))
    for _ in range(2):
        assert as_bytes(alone) == as_bytes(together)
    assert as_bytes(alone.iterate(1, 6)) == as_bytes(together.iterate(1, 6))


class Noise(Dataset):
    """Draws by `minitorch.random` itself, whatever the index."""

    def __len__(self):
        return 12

    def __getitem__(self, index):
        return minitorch.random.normal("noise", (2,)), 0


def test_what_a_data_set_draws_itself_goes_on_from_batch_to_batch():
    """In a thread too it draws the next numbers of who loads, as without: no epoch has those of the one before."""
    alone, ahead = (DataLoader(Noise(), 4, num_workers=n) for n in (0, 1))
    expected = [as_bytes(alone) for _ in range(2)]
    assert expected[0] != expected[1]
    minitorch.seed(0)
    assert [as_bytes(ahead) for _ in range(2)] == expected


def test_series_are_loaded_ahead_too():
    """`SeqDataLoader` gives the same batches with workers."""
    alone, together = (SeqDataLoader(Pictures(), 4, num_workers=n) for n in (0, 2))
    assert as_bytes(alone) == as_bytes(together)


def test_a_list_of_samples_is_loaded_ahead_too():
    """Any object with `__getitem__` and `__len__` will do."""
    samples = [(np.full(3, i, np.float32), i) for i in range(11)]
    assert as_bytes(DataLoader(samples, 4)) == as_bytes(DataLoader(samples, 4, num_workers=2))


def test_batches_go_to_the_device(device):
    """With `to_gpu` they are sent there by the thread that asks for them."""
    loader = DataLoader(Pictures(), 4, num_workers=2)
    expected = as_bytes(loader.iterate(0))
    if device.name != "cpu":
        loader.to_gpu()
    assert as_bytes([device.get(a) for a in batch] for batch in loader.iterate(0)) == expected


def test_an_array_data_set_needs_no_workers():
    """Its batches are gathered when they are asked for."""
    loader = DataLoader(ArrayDataset(np.arange(10.0)), 2, num_workers=2)
    batches = iter(loader)
    next(batches)
    assert workers() == 0


@pytest.mark.parametrize("n_workers", [0, 2])
def test_an_error_names_its_sample(n_workers):
    """Batches before it come; the error is the data set's own, with a note that names the sample."""
    loader = DataLoader(Pictures(broken=21), 4, shuffle=False, num_workers=n_workers)
    batches = iter(loader)
    assert [t.tolist() for _, t in (next(batches) for _ in range(5))][-1] == [16 % 3, 17 % 3, 18 % 3, 19 % 3]
    with pytest.raises(OSError, match="the file is damaged") as caught:
        next(batches)
    assert caught.value.__notes__ == ["while loading sample 21 of Pictures"]
    assert workers() == 0


def test_breaking_off_leaves_no_thread():
    """A `break` ends the threads of that pass; the next pass is whole."""
    loader = DataLoader(Pictures(), 4, num_workers=3)
    for _ in loader:
        break
    assert workers() == 0
    assert len(list(loader)) == len(loader)
    assert workers() == 0


@pytest.mark.parametrize("n_workers", [0, 2])
def test_a_stop_iteration_of_a_sample_ends_no_epoch(n_workers):
    """It is a RuntimeError, and no short epoch."""

    class Stopping(Pictures):
        def __getitem__(self, index):
            if index == 9:
                raise StopIteration
            return super().__getitem__(index)

    with pytest.raises(RuntimeError, match="StopIteration"):
        list(DataLoader(Stopping(), 4, num_workers=n_workers))


@pytest.mark.parametrize("number", [-1, 1.5, True, None])
def test_the_number_of_workers_is_checked(number):
    """It is an integer of at least 0."""
    with pytest.raises(ConfigError, match=r"num_workers is .*; give the number of threads, 0 for none"):
        DataLoader(Pictures(), 4, num_workers=number)


# ---- the Trainer


class Watch(Callback):
    """Counts the threads of loaders as the run goes."""

    def __init__(self):
        self.seen = []

    def on_batch_end(self, trainer, outputs):
        self.seen.append(workers())


def weights_after(folder, n_workers, stops=()):
    """The weights after two epochs, stopped and resumed after each of `stops` steps."""
    minitorch.seed(0)
    for stop in [*stops, 20]:
        watch = Watch()
        trainer = Trainer(MLP((5, 3)), Adam(), loss=F.softmax_cross_entropy, callbacks=[watch, Checkpoint(folder)])
        train, test = (DataLoader(Pictures(), 4, num_workers=n_workers) for _ in range(2))
        trainer.fit(train, test, steps=stop, resume="auto")
        minitorch.random.begin_step(100 + stop)  # what is drawn between runs does not count
        assert workers() == 0
        assert (max(watch.seen) > 0) == (n_workers > 0)
    return {path: array.tobytes() for path, array in trainer.model.state_dict().items()}


def test_a_run_is_the_same_with_workers_and_resumed(tmp_path):
    """Weights are the same bits without workers, with two, and with three stopped on the way."""
    expected = weights_after(tmp_path / "0", 0)
    assert weights_after(tmp_path / "2", 2) == expected
    assert weights_after(tmp_path / "3", 3, stops=[1, 7, 13]) == expected


def test_a_run_that_fails_leaves_no_thread():
    """The error of a step ends the threads, even while it is being looked at."""

    class Failing(Trainer):
        def training_step(self, batch):
            raise ZeroDivisionError("in the step")

    trainer = Failing(MLP((3,)), Adam(), callbacks=[])
    with pytest.raises(ZeroDivisionError, match="in the step") as caught:
        trainer.fit(DataLoader(Pictures(), 4, num_workers=3), epochs=1)
    assert caught.value.__traceback__ is not None
    assert workers() == 0


def test_a_sample_that_fails_ends_the_run_with_its_number():
    """`fit` raises the error of the data set, with the number of the sample."""
    trainer = Trainer(MLP((3,)), Adam(), loss=F.softmax_cross_entropy, callbacks=[])
    with pytest.raises(OSError, match="the file is damaged") as caught:
        trainer.fit(DataLoader(Pictures(broken=8), 4, num_workers=2), epochs=1)
    assert "while loading sample 8 of Pictures" in caught.value.__notes__
    assert workers() == 0
