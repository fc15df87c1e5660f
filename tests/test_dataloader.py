"""Loaders: the order is a pure function of (seed, epoch), passes are whole, array data is never looped over."""

import sys
from itertools import chain, pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import fake_cupy
import minitorch.dataloader
import minitorch.random
import minitorch.resident
from minitorch.cuda import as_numpy, get_array_module
from minitorch.dataloader import DataLoader, SeqDataLoader
from minitorch.datasets import ArrayDataset, Dataset, SinCurve, TinyText
from minitorch.errors import ConfigError, DataError, DTypeError, MissingExtraError, StateError
from minitorch.transforms import (
    AsType,
    Compose,
    Flatten,
    Normalize,
    RandomCrop,
    RandomHorizontalFlip,
    ToFloat,
)

AUGMENT = Compose([RandomCrop(4, padding=1), RandomHorizontalFlip(), Flatten(), ToFloat(), Normalize(0.0, 255.0)])


def images(n=10, **transforms):
    """`n` small images, all different; image i has label i."""
    x = (np.arange(n * 16, dtype=np.uint32) * 37 % 251).astype(np.uint8).reshape(n, 1, 4, 4)
    return ArrayDataset(x, np.arange(n), **transforms)


def labels(batches):
    """The labels of batches, as a list for each."""
    return [as_numpy(batch[-1]).tolist() for batch in batches]


def placed(loader, xp):
    """The loader, told to yield arrays of `xp`."""
    return loader.to_cpu() if xp is np else loader.to_gpu()


class OneByOne(Dataset):
    """Samples without arrays behind them; remembers which were fetched."""

    def __init__(self, n=10):
        self.fetched = []
        self.n = n
        super().__init__()

    def __getitem__(self, index):
        self.fetched.append(int(index))
        return np.full(2, index, np.float32), int(index)

    def __len__(self):
        return self.n


# Order ---------------------------------------------------------------------------------------------------------------


def test_the_order_is_fixed_for_all_time():
    """Golden values: the order of ten samples under seed 0 in the epochs 0 and 1, and under seed 1."""
    loader = DataLoader(images(), 10)
    assert labels(loader) == [[8, 0, 9, 6, 4, 3, 2, 1, 7, 5]]
    assert labels(loader) == [[9, 7, 6, 5, 0, 8, 3, 2, 1, 4]]
    assert labels(DataLoader(images(), 10, seed=1)) == [[6, 1, 3, 0, 9, 2, 5, 7, 4, 8]]


@given(
    n=st.integers(1, 40),
    batch_size=st.integers(1, 50),
    shuffle=st.booleans(),
    drop_last=st.booleans(),
    seed=st.integers(0, 2**64 - 1),
    epoch=st.integers(0, 2**32 - 1),
    data=st.data(),
)
def test_every_epoch_has_each_sample_once_and_may_begin_anywhere(n, batch_size, shuffle, drop_last, seed, epoch, data):
    """Batches partition the samples, len() is their number, and `start` cuts off exactly those before it."""
    if drop_last and batch_size > n:
        return
    loader = DataLoader(images(n), batch_size, shuffle, drop_last=drop_last, seed=seed)
    batches = labels(loader.iterate(epoch))
    assert len(batches) == len(loader) == loader.max_iter
    assert all(len(batch) == batch_size for batch in (batches if drop_last else batches[:-1]))
    seen = list(chain(*batches))
    assert len(seen) == (n // batch_size * batch_size if drop_last else n)
    assert len(set(seen)) == len(seen)
    assert shuffle or seen == list(range(len(seen)))
    start = data.draw(st.integers(0, len(loader)))
    assert labels(loader.iterate(epoch, start)) == batches[start:]


def test_each_epoch_has_an_order_of_its_own():
    """Epochs and seeds differ; the same ones agree, in another loader too."""
    loader, other = DataLoader(images(50), 50), DataLoader(images(50), 50)
    first, second = labels(loader), labels(loader)
    assert first != second
    assert [labels(other), labels(other)] == [first, second]
    assert labels(DataLoader(images(50), 50, seed=1)) != first


def test_a_pass_takes_the_global_seed_as_it_begins():
    """Without a seed of its own the loader follows `minitorch.random.seed`; with one it does not."""
    loader, fixed = DataLoader(images(50), 10), DataLoader(images(50), 10, seed=0)
    under_0, fixed_0 = labels(loader.iterate(0)), labels(fixed.iterate(0))
    begun = loader.iterate(0)
    minitorch.random.seed(1)
    assert labels(begun) == under_0
    assert labels(loader.iterate(0)) != under_0
    assert labels(fixed.iterate(0)) == fixed_0 == under_0


def test_loading_draws_no_global_random_number():
    """A pass over a loader, random transforms included, leaves the numbers of training alone."""
    before = minitorch.random.get_state()
    list(DataLoader(images(transform=AUGMENT), 3))
    assert minitorch.random.get_state() == before


# Passes --------------------------------------------------------------------------------------------------------------


def test_a_pass_broken_off_is_followed_by_a_whole_one():
    """`for` begins anew each time; a loader is no iterator."""
    loader = DataLoader(images(), 3, shuffle=False)
    for _ in loader:
        break
    assert labels(loader) == [[0, 1, 2], [3, 4, 5], [6, 7, 8], [9]]
    one, other = iter(loader), iter(loader)
    assert labels([next(one), next(other), next(one)]) == [[0, 1, 2], [0, 1, 2], [3, 4, 5]]


def test_epoch_counts_the_passes_begun_and_iterate_leaves_it():
    """`iter()` takes the current epoch and moves on; `iterate` names its own."""
    loader = DataLoader(images(50), 50)
    epochs = [labels(loader.iterate(epoch)) for epoch in range(3)]
    assert loader.epoch == 0
    iter(loader)
    assert loader.epoch == 1
    assert [labels(loader), labels(loader)] == epochs[1:]
    assert loader.epoch == 3


def test_skipped_batches_cost_nothing():
    """Beginning at batch k fetches no sample of those before."""
    dataset = OneByOne()
    list(DataLoader(dataset, 3, shuffle=False).iterate(0, start=3))
    assert dataset.fetched == [9]


# Batches -------------------------------------------------------------------------------------------------------------


def test_batches_are_tuples_of_new_arrays(xp):
    """A batch is (x, t), on the device asked for; changing it damages no data set."""
    dataset = ArrayDataset(np.ones((4, 3), np.float32), np.zeros(4, np.int32))
    for shuffle in (False, True):
        loader = placed(DataLoader(dataset, 3, shuffle), xp)
        for _ in range(2):
            for batch in loader:
                x, t = batch
                assert get_array_module(x) is xp
                assert get_array_module(t) is xp
                assert (x.dtype, t.dtype) == (np.float32, np.int32)
                assert as_numpy(x).min() == 1
                assert as_numpy(t).max() == 0
                x -= 1
                t += 1
    assert dataset.data.min() == 1
    assert dataset.label.max() == 0


def test_without_labels_a_batch_is_x_alone(xp):
    """(x,) for data without labels, from arrays and from single samples."""
    for dataset in (ArrayDataset(np.arange(4)), [0, 1, 2, 3]):
        assert labels(placed(DataLoader(dataset, 3, shuffle=False), xp)) == [[0, 1, 2], [3]]
        assert all(len(batch) == 1 for batch in DataLoader(dataset, 3))


def test_array_data_is_not_fetched_sample_by_sample(monkeypatch):
    """A pass over arrays calls no `__getitem__`."""
    monkeypatch.setattr(Dataset, "__getitem__", lambda self, index: pytest.fail("a sample was fetched by itself"))
    assert sorted(chain(*labels(DataLoader(images(transform=AUGMENT), 4)))) == list(range(10))


@pytest.mark.parametrize("kind", ["Dataset", "list"])
def test_other_data_is_fetched_once_a_sample(kind, xp):
    """A data set with its own `__getitem__`, or a list of (x, t), is read sample by sample, in order."""
    dataset = OneByOne() if kind == "Dataset" else [(np.full(2, i, np.float32), i) for i in range(10)]
    batches = list(placed(DataLoader(dataset, 4, shuffle=False), xp))
    assert labels(batches) == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]
    assert all(get_array_module(a) is xp for batch in batches for a in batch)
    assert as_numpy(batches[1][0]).tolist() == [[i, i] for i in range(4, 8)]
    if kind == "Dataset":
        assert dataset.fetched == list(range(10))


def test_a_batch_method_of_the_data_set_is_used(xp):
    """A data set that makes its batches itself is asked for them."""

    class Padded(ArrayDataset):
        def batch(self, indices):
            x, t = super().batch(indices)
            return x, t, np.full(len(t), len(indices))

    batches = list(placed(DataLoader(Padded(np.arange(5.0), np.arange(5)), 3, shuffle=False), xp))
    assert [[as_numpy(a).tolist() for a in batch] for batch in batches] == [
        [[0, 1, 2], [0, 1, 2], [3, 3, 3]],
        [[3, 4], [3, 4], [2, 2]],
    ]


def test_random_transforms_do_not_depend_on_the_batches(xp):
    """A sample of an epoch looks the same in any batch size, from any start, gathered or read one by one."""

    def by_label(loader, start=0):
        batches = placed(loader, xp).iterate(3, start)
        return {int(t): as_numpy(x).tolist() for xs, ts in batches for x, t in zip(xs, as_numpy(ts), strict=True)}

    n = 32
    whole = by_label(DataLoader(images(n, transform=AUGMENT), n))
    assert len(whole) == n
    assert by_label(DataLoader(images(n, transform=AUGMENT), 5)) == whole
    assert by_label(DataLoader(images(n, transform=AUGMENT), 5, shuffle=False)) == whole
    one_by_one = DataLoader(images(n, transform=Compose([AUGMENT, lambda x: x])), 5)
    assert one_by_one.dataset.arrays() is None
    assert by_label(one_by_one) == whole
    rest = by_label(DataLoader(images(n, transform=AUGMENT), 5), start=4)
    assert len(rest) == n - 20
    assert rest == {label: whole[label] for label in rest}
    assert by_label(DataLoader(images(n, transform=AUGMENT), n, seed=1)) != whole


def test_an_error_in_the_data_set_names_the_sample():
    """The exception keeps its type, with a note; a StopIteration ends no epoch."""

    class Broken(OneByOne):
        def __getitem__(self, index):
            if index == 2:
                raise self.error
            return super().__getitem__(index)

    dataset = Broken()
    dataset.error = OSError("disk")
    with pytest.raises(OSError, match="disk") as caught:
        list(DataLoader(dataset, 4, shuffle=False))
    assert caught.value.__notes__ == ["while loading sample 2 of Broken"]
    dataset.error = StopIteration()
    with pytest.raises(RuntimeError, match="StopIteration"):
        list(DataLoader(dataset, 4, shuffle=False))


# Devices -------------------------------------------------------------------------------------------------------------


@pytest.fixture
def uploads(monkeypatch):
    """The shapes of all host arrays that the loader sends to the device."""
    sent = []
    as_cupy = minitorch.dataloader.as_cupy

    def counted(array):
        if get_array_module(array) is np:
            sent.append(array.shape)
        return as_cupy(array)

    upload = minitorch.resident.PinnedBuffer.upload

    def uploaded(self, arrays):
        sent.extend(array.shape for array in arrays)
        return upload(self, arrays)

    monkeypatch.setattr(minitorch.dataloader, "as_cupy", counted)
    monkeypatch.setattr(minitorch.resident.PinnedBuffer, "upload", uploaded)
    return sent


def test_arrays_that_fit_are_moved_once_and_gathered_there(xp, uploads):
    """Data and labels go to the device once, the order once an epoch, ahead of it, and the batches not at all."""
    loader = placed(DataLoader(images(transform=Compose([Flatten(), ToFloat()])), 3), xp)
    on_host = DataLoader(images(transform=Compose([Flatten(), ToFloat()])), 3)
    for _ in range(2):
        for batch, expected in zip(loader, on_host, strict=True):
            for a, b in zip(batch, expected, strict=True):
                np.testing.assert_array_equal(as_numpy(a), b)
    assert uploads == ([] if xp is np else [(10, 1, 4, 4), (10,), (10,), (10,), (10,)])


def test_a_pass_on_the_device_needs_nothing_from_the_host():
    """Gathering and transforming copies nothing and never waits, but for the order of the next epoch, sent ahead."""
    with fake_cupy.installed():
        transform = Compose([Flatten(), ToFloat(), Normalize([1.0] * 16, [2.0] * 16)])
        batches = iter(DataLoader(images(transform=transform), 3).to_gpu())
        next(batches)
        with fake_cupy.counting() as traffic, minitorch.cuda.no_sync():
            rest = list(batches)
        assert [len(t) for _, t in rest] == [3, 3, 1]
        assert (traffic.to_device, traffic.to_device_bytes) == (1, 8 * 10)
        assert (traffic.to_host, traffic.synchronisations) == (0, 0)


@pytest.mark.parametrize(
    ("transform", "launches"),
    [
        (None, 1),
        (Compose([ToFloat(), Normalize((0.5, 0.25), (2.0, 4.0)), Flatten(), Normalize(1.0, 3.0)]), 1),
        (Compose([Compose([Flatten()]), ToFloat()]), 1),
        (Normalize([float(i) for i in range(2)], 2.0), 1),
        (Compose([ToFloat("float16")]), 0),
        (Compose([RandomHorizontalFlip(), ToFloat()]), 0),
    ],
)
def test_a_transform_that_is_a_line_is_done_by_the_gather(transform, launches):
    """Bytes stay bytes on the device and are scaled by the kernel that gathers them; anything else is done after it."""
    rng = np.random.default_rng(0)
    data = rng.integers(0, 256, (10, 2, 3, 3)).astype(np.uint8)
    data = data.astype(np.float32) if transform is None else data
    with fake_cupy.installed():
        made = [DataLoader(ArrayDataset(data, np.arange(10), transform=transform), 4) for _ in range(2)]
        made[1].to_gpu()
        for epoch in range(2):
            for (x, t), (y, u) in zip(made[0].iterate(epoch, 1), made[1].iterate(epoch, 1), strict=True):
                np.testing.assert_allclose(x, as_numpy(y), rtol=1e-6, atol=1e-6)
                np.testing.assert_array_equal(t, as_numpy(u))
                assert (x.dtype, x.shape) == (y.dtype, y.shape)
        assert len(fake_cupy.machine.launches) == launches * 4


@pytest.mark.parametrize(
    ("data", "label", "launches"),
    [
        (np.arange(70).reshape(10, 7), np.arange(1, 71).reshape(10, 7), 1),  # tokens, and those that follow
        (np.arange(20, dtype=np.int32).reshape(10, 2), np.arange(10.0), 1),
        (np.linspace(0, 1, 10, dtype=np.float32), np.linspace(1, 2, 10, dtype=np.float32), 1),  # a series
        (np.arange(10, dtype=np.uint8), np.zeros((10, 2, 2), np.float32), 1),
        (np.arange(10), np.zeros((10, 3), np.uint8), 0),
        (np.arange(10.0), np.arange(10), 0),
    ],
)
def test_tokens_and_labels_of_any_shape_are_gathered(data, label, launches):
    """Whole numbers stay as they are, and a sample may have many labels: one kernel gathers both."""
    transform = ToFloat() if data.dtype == np.uint8 else None
    with fake_cupy.installed():
        made = [DataLoader(ArrayDataset(data, label, transform=transform), 4) for _ in range(2)]
        made[1].to_gpu()
        for host, device in zip(made[0].iterate(1), made[1].iterate(1), strict=True):
            for a, b in zip(host, device, strict=True):
                np.testing.assert_array_equal(a, as_numpy(b), strict=True)
        assert len(fake_cupy.machine.launches) == launches * 3


@pytest.mark.parametrize("transform", [None, AsType(np.int32)], ids=["none", "another dtype"])
def test_windows_of_a_text_are_gathered_from_the_text(transform):
    """The text goes to the device once, for x and for t, and never its windows; a kernel gathers those of a batch.

    Where they are transformed the host gathers them.
    """
    text = TinyText("To be, or not to be: that is the question." * 9, 8, test_fraction=0, transform=transform)
    with fake_cupy.installed():
        host, device = DataLoader(text, 50), DataLoader(text, 50).to_gpu()
        with fake_cupy.counting() as traffic:
            resident = device.resident()
        assert traffic.to_device_bytes - 2 * 8 * (len(text) + 7) in (0, 8)  # a number of the data set's own
        assert (resident is None) == (transform is not None)
        for a, b in zip(host.iterate(1, 2), device.iterate(1, 2), strict=True):
            for x, y in zip(a, b, strict=True):
                np.testing.assert_array_equal(x, as_numpy(y), strict=True)
        assert set(fake_cupy.machine.launches) == ({"gather_ids"} if transform is None else set())


def test_passes_at_the_same_time_do_not_disturb_each_other():
    """Two passes over one loader on the device, step by step, give what each gives alone."""
    with fake_cupy.installed():
        loader = DataLoader(images(), 4).to_gpu()
        alone = [[as_numpy(t).tolist() for _, t in loader.iterate(epoch)] for epoch in (0, 1)]
        both = zip(loader.iterate(0), loader.iterate(1), strict=True)
        together = [[as_numpy(t).tolist() for _, t in pair] for pair in both]
        assert together == [list(pair) for pair in zip(*alone, strict=True)]


def test_arrays_that_do_not_fit_are_sent_batch_by_batch(xp, uploads, monkeypatch):
    """Without room for the data set each batch is gathered on the host, sent as it is, and transformed there."""
    monkeypatch.setattr(minitorch.dataloader, "_free_memory", lambda: 2 * (160 + 80) - 1)  # uint8 data, int64 labels
    loader = placed(DataLoader(images(transform=Compose([Flatten(), ToFloat()])), 6, shuffle=False), xp)
    batches = list(loader)
    assert labels(batches) == [[0, 1, 2, 3, 4, 5], [6, 7, 8, 9]]
    assert all(get_array_module(a) is xp for batch in batches for a in batch)
    assert uploads == ([] if xp is np else [(6, 1, 4, 4), (6,), (4, 1, 4, 4), (4,)])


def test_new_arrays_in_the_data_set_are_moved_again(xp, uploads):
    """Replacing `data` or `label` of a data set is noticed at the next pass."""
    loader = placed(DataLoader(images(), 10, shuffle=False), xp)
    list(loader)
    uploads.clear()
    loader.dataset.label = loader.dataset.label + 100
    assert labels(loader) == [list(range(100, 110))]
    assert uploads == ([] if xp is np else [(10, 1, 4, 4), (10,)])
    loader.dataset.label = None
    assert [len(batch) for batch in loader] == [1]


def test_a_loader_may_move_to_and_fro(xp, uploads):
    """`to_gpu` and `to_cpu` return the loader and hold from the next pass on; `to_cpu` lets go of device memory."""
    loader = DataLoader(images(), 4, shuffle=False)
    assert placed(loader, xp) is loader
    before = labels(loader)
    assert loader.to_cpu() is loader
    assert loader._placed is None
    assert labels(loader) == before
    assert all(isinstance(a, np.ndarray) for batch in loader for a in batch)
    uploads.clear()
    assert labels(placed(loader, xp)) == before
    assert uploads == ([] if xp is np else [(10, 1, 4, 4), (10,), (10,)])


def test_a_data_set_on_a_device_serves_a_loader_on_the_host(xp):
    """Arrays that live on a device are yielded as NumPy arrays unless `to_gpu` was called."""
    dataset = ArrayDataset(xp.asarray(images().data), xp.asarray(images().label))
    batches = list(DataLoader(dataset, 4, shuffle=False))
    assert labels(batches) == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]
    assert all(isinstance(a, np.ndarray) for batch in batches for a in batch)


def test_asking_for_a_gpu_without_cupy_fails_at_once(monkeypatch):
    """`to_gpu` raises by itself, and the loader stays on the host."""
    monkeypatch.setitem(sys.modules, "cupy", None)
    loader = DataLoader(images(), 4)
    with pytest.raises(MissingExtraError, match="CuPy is not installed"):
        loader.to_gpu()
    assert not loader.gpu


# State ---------------------------------------------------------------------------------------------------------------


def test_the_state_brings_back_the_epoch():
    """A new loader with the state of an old one goes on with the same epochs."""
    loader, other = DataLoader(images(50), 50), DataLoader(images(50), 50)
    list(loader)
    state = loader.state_dict()
    assert state == {"epoch": 1, "samples": 50, "batch_size": 50, "shuffle": 1, "drop_last": 0, "seed": None}
    other.load_state_dict(state)
    assert labels(other) == labels(loader)
    assert other.epoch == 2


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"batch_size": 7}, "batch_size is 7 in the state, 5 here"),
        ({"seed": 3, "shuffle": 0}, "shuffle is 0 in the state, 1 here; seed is 3 in the state, None here"),
        ({"samples": 11}, "samples is 11 in the state, 10 here"),
        ({"drop_last": 1}, "drop_last is 1 in the state, 0 here"),
        ({"epoch": -1}, "epoch is -1, not an integer of at least 0"),
        ({"epoch": "1"}, "epoch is '1', not an integer of at least 0"),
        ({"extra": 1}, "unexpected: extra"),
        ({"epoch": ..., "seed": ...}, "missing: epoch; missing: seed"),
    ],
)
def test_a_state_of_another_loader_is_refused(change, message):
    """Every difference is listed, and nothing is taken over."""
    loader = DataLoader(images(), 5)
    state = {key: value for key, value in {**loader.state_dict(), "epoch": 9, **change}.items() if value is not ...}
    with pytest.raises(StateError) as caught:
        loader.load_state_dict(state)
    assert str(caught.value) == (
        f"DataLoader.load_state_dict: {message}. Make the loader as it was when the state was saved, "
        "or start afresh without the state"
    )
    assert loader.epoch == 0


# Arguments -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("batch_size", [0, -1, 2.0, True, "3", None])
def test_a_batch_size_is_a_positive_integer(batch_size):
    """All else is refused with the value."""
    with pytest.raises(ConfigError, match=f"batch_size is {batch_size!r}; it must be an integer of at least 1"):
        DataLoader(images(), batch_size)


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: DataLoader([], 3), DataError, r"the data set \(list\) is empty; it has no sample"),
        (lambda: DataLoader((i for i in range(3)), 3), DTypeError, "generator has no __getitem__ and __len__; give a"),
        (
            lambda: DataLoader((np.ones(3), np.ones(3)), 3),
            DTypeError,
            r"got a tuple of arrays; give ArrayDataset\(x, t",
        ),
        (lambda: DataLoader(images(), 3, seed=-1), ConfigError, "seed is -1; a seed is None or an integer from 0 to"),
        (lambda: DataLoader(images(), 3, seed=0.5), ConfigError, "seed is 0.5; a seed is None or an integer from 0"),
        (
            lambda: DataLoader(images(), 11, drop_last=True),
            ConfigError,
            "10 samples make no full batch of 11, and drop",
        ),
        (lambda: DataLoader(images(), 3).iterate(-1), ConfigError, "iterate: epoch is -1; epochs are integers from 0"),
        (lambda: DataLoader(images(), 3).iterate(0, 5), ConfigError, "start is 5; the epoch has batches 0 to 3"),
        (lambda: DataLoader(images(), 3).iterate(0, True), ConfigError, "start is True; the epoch has batches 0 to 3"),
        (lambda: SeqDataLoader(images(), 11), ConfigError, "batch_size is 11, but there are 10 samples; each row of a"),
    ],
)
def test_arguments_are_checked_at_once(make, error, message):
    """Nothing waits for the first batch to fail."""
    with pytest.raises(error, match=message):
        make()


def test_the_last_batch_may_be_short_or_left_out():
    """len() counts what comes."""
    assert [len(t) for _, t in DataLoader(images(), 4)] == [4, 4, 2]
    assert [len(t) for _, t in DataLoader(images(), 4, drop_last=True)] == [4, 4]
    assert len(DataLoader(images(), np.int64(4), drop_last=True)) == 2


# Time series ---------------------------------------------------------------------------------------------------------


@given(n=st.integers(1, 60), data=st.data())
def test_rows_of_a_series_walk_on_side_by_side(n, data):
    """Row j of batch i is sample (j * (n // batch_size) + i) mod n, and each sample comes at least once."""
    batch_size = data.draw(st.integers(1, n))
    loader = SeqDataLoader(images(n), batch_size)
    batches = labels(loader)
    assert len(loader) == len(batches) == -(-n // batch_size)
    jump = n // batch_size
    assert batches == [[(j * jump + i) % n for j in range(batch_size)] for i in range(len(batches))]


def test_a_series_has_a_column_of_features(xp):
    """Batches of SinCurve are (batch, 1) float32, and t is x of the next batch."""
    batches = [(as_numpy(x), as_numpy(t)) for x, t in placed(SeqDataLoader(SinCurve(), 30), xp)]
    assert len(batches) == 34
    for (x, t), (after, _) in pairwise(batches):
        assert (x.shape, x.dtype) == ((30, 1), np.float32)
        np.testing.assert_array_equal(t, after)


def test_a_series_begins_anywhere_and_keeps_its_order():
    """`iterate` and the state work as for a DataLoader."""
    loader = SeqDataLoader(images(10), 3)
    assert labels(loader.iterate(5, start=2)) == labels(loader)[2:]
    assert loader.state_dict()["shuffle"] == 0
