"""BatchSizeFinder: the largest batch, by errors and by a bound, without trying what is too much, leaving no trace."""

import numpy as np
import pytest
import small_runs
from test_lr_finder import everything

import minitorch.functions as F
from minitorch import DataLoader
from minitorch.datasets import ArrayDataset
from minitorch.errors import ConfigError
from minitorch.optimizers import Adam
from minitorch.trainer import BatchSizeFinder


def limited(most):
    """A loss that does not fit for batches of more than `most` samples; and the sizes that were tried."""
    tried = []

    def loss(y, t):
        tried.append(len(t))
        if len(t) > most:
            raise MemoryError(f"{len(t)} samples")
        return F.softmax_cross_entropy(y, t)

    return loss, tried


@pytest.mark.parametrize("most", [1, 2, 7, 8, 9, 99, 100])
def test_the_largest_that_raises_no_memory_error(most):
    """Sizes are doubled until one does not fit, and then the interval is halved."""
    loss, tried = limited(most)
    found = BatchSizeFinder(steps=1).run(small_runs.trainer(loss=loss), small_runs.loader(100, 10))
    assert found.largest == most
    assert tried == [trial.size for trial in found.trials]
    assert [trial.fits for trial in found.trials] == [trial.size <= most for trial in found.trials]
    assert len(tried) <= 14


def test_no_more_than_asked_for():
    """The search begins and ends where it is told to."""
    loss, tried = limited(1000)
    found = BatchSizeFinder(start=3, most=20, steps=2).run(small_runs.trainer(loss=loss), small_runs.loader(100, 10))
    assert found.largest == 20
    assert tried == [3, 3, 6, 6, 12, 12, 20, 20]


def test_on_the_host_memory_is_measured_and_foreseen():
    """The largest found is within the bound, one more is not, and what is foreseen to be too much is not tried."""
    x = np.zeros((4000, 500), np.float32)
    sizes = []

    def loss(y, t):
        sizes.append(len(t))
        return F.softmax_cross_entropy(F.tanh(y) * 2.0, t)

    loader = DataLoader(ArrayDataset(x, np.zeros(4000, np.int64)), 10)
    run = small_runs.trainer(loss=loss)
    found = BatchSizeFinder(memory=2_000_000, start=16).run(run, loader)
    peaks = {trial.size: trial.peak for trial in found.trials if trial.fits}
    assert 100 < found.largest < 2000
    assert 1_850_000 < peaks[found.largest] <= 2_000_000
    assert max(sizes) < 1.1 * found.largest
    assert any(not trial.fits and trial.size not in sizes for trial in found.trials)


def test_it_leaves_no_trace():
    """After it, a run that was under way has the bytes, counters and random numbers that it had."""
    loader = small_runs.loader()
    loss, _ = limited(9)
    run = small_runs.trainer(optimizer=Adam(), loss=loss)
    run.fit(loader, steps=6)
    before = everything(run)
    BatchSizeFinder().run(run, loader)
    assert everything(run) == before
    assert loader.batch_size == 5


def test_what_cannot_be_searched():
    """Nothing fits, or there is no data set to take batches of."""
    loss, _ = limited(0)
    with pytest.raises(ConfigError, match=r"BatchSizeFinder: a batch of 4 does not fit into memory; take a smaller"):
        BatchSizeFinder(start=4).run(small_runs.trainer(loss=loss), small_runs.loader())
    with pytest.raises(ConfigError, match=r"BatchSizeFinder: got list; give a DataLoader of the data set"):
        BatchSizeFinder().run(small_runs.trainer(), small_runs.batches())
    with pytest.raises(ConfigError, match=r"BatchSizeFinder: most is 0; it must be an int of at least 1"):
        BatchSizeFinder(most=0)
