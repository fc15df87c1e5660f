"""Dataset: samples by index, batches by one gather or by collating, and what breaks a batch."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minitorch.cuda import as_numpy, get_array_module
from minitorch.datasets import ArrayDataset, Dataset
from minitorch.datasets.dataset import collate
from minitorch.errors import DataError, DTypeError
from minitorch.random import drawing_for
from minitorch.transforms import Compose, Flatten, Normalize, RandomHorizontalFlip, ToFloat

X = np.arange(10 * 2 * 3, dtype=np.uint8).reshape(10, 2, 3)
T = np.arange(10)


class Squares(Dataset):
    """Labels are squares; `prepare` sets the arrays, as in the book."""

    def prepare(self):
        self.data = X
        self.label = T**2


class Files(Dataset):
    """Samples are made one by one, as from files; the constructor's transforms are left to the user."""

    def __getitem__(self, index):
        if index == 7:
            raise FileNotFoundError("7.npy")
        return np.full(2, index, np.float32), index

    def __len__(self):
        return 10


def test_a_sample_is_transformed_data_and_label():
    """`dataset[i]` is (transform(data[i]), target_transform(label[i]))."""
    dataset = Squares(transform=Compose([Flatten(), ToFloat()]), target_transform=lambda t: -t)
    x, t = dataset[3]
    assert x.tolist() == X[3].ravel().tolist()
    assert x.dtype == np.float32
    assert t == -9
    assert len(dataset) == 10
    assert [int(t) for _, t in dataset] == [-(i**2) for i in range(10)]


def test_without_labels_a_sample_ends_in_none_and_a_batch_is_x_alone():
    """(x, None) for one sample; (x,) for a batch."""
    dataset = ArrayDataset(X)
    assert dataset[0][1] is None
    (x,) = dataset.batch([1, 2])
    np.testing.assert_array_equal(x, X[1:3])


@given(
    indices=st.lists(st.integers(0, 9), min_size=1, max_size=12),
    transform=st.sampled_from([None, Flatten(), Compose([RandomHorizontalFlip(), ToFloat(), Normalize(3, 5)])]),
)
def test_a_batch_equals_its_samples(indices, transform):
    """The gather and the loop over samples give the same arrays, random transforms included."""
    dataset = Squares(transform=transform)
    assert dataset.arrays() is not None
    with drawing_for(1, 2, np.array(indices)):
        x, t = dataset.batch(indices)
    with drawing_for(1, 2, np.array(indices)):
        xs, ts = collate(dataset, indices)
    assert (x.dtype, t.dtype) == (xs.dtype, ts.dtype)
    np.testing.assert_array_equal(x, xs)
    np.testing.assert_array_equal(t, ts)


def test_array_data_is_gathered_without_a_loop(monkeypatch):
    """No sample is fetched by itself where data, labels and transforms allow a gather."""
    monkeypatch.setattr(Dataset, "__getitem__", lambda self, index: pytest.fail("a sample was fetched by itself"))
    x, t = Squares(transform=ToFloat()).batch(np.array([4, 2]))
    assert (x.shape, t.tolist()) == ((2, 2, 3), [16, 4])


class Negatives(Squares):
    """Arrays are there, but the samples are made from them by an own `__getitem__`."""

    def __getitem__(self, index):
        x, t = super().__getitem__(index)
        return x, -t


@pytest.mark.parametrize("dataset", [Squares(transform=lambda x: x), Files(), Negatives()], ids=["lambda", "x", "-t"])
def test_other_data_is_collated_sample_by_sample(dataset):
    """A plain function as transform, or an own `__getitem__`, is called for each sample."""
    assert dataset.arrays() is None
    x, t = dataset.batch([1, 3])
    np.testing.assert_array_equal(x, np.stack([dataset[1][0], dataset[3][0]]))
    assert t.tolist() == [dataset[1][1], dataset[3][1]]
    assert t.tolist() == {Squares: [1, 9], Files: [1, 3], Negatives: [-1, -9]}[type(dataset)]
    assert t.dtype == np.int64


def test_an_array_of_objects_is_collated():
    """Arrays packed into an object array become one array of numbers, or an error that names the unequal ones."""
    x = np.empty(2, object)
    x[:] = [np.ones(3), np.zeros(3)]
    dataset = ArrayDataset(x)
    assert dataset.batch([0, 1])[0].dtype == np.float64
    x[1] = np.ones(2)
    with pytest.raises(DataError, match=r"sample 0 has shape \(3,\), sample 1 has shape \(2,\)"):
        dataset.batch([0, 1])


def test_a_batch_is_a_copy():
    """Changing a batch in place damages no data set, whatever its transforms."""
    for transform in (None, Flatten(), ToFloat(), lambda x: x):
        dataset = ArrayDataset(X.astype(np.float32), T.copy(), transform=transform)
        x, t = dataset.batch([0, 1, 2])
        x[...] = -1
        t[...] = -1
        np.testing.assert_array_equal(dataset.data, X)
        np.testing.assert_array_equal(dataset.label, T)


def test_batches_stay_where_the_arrays_are(xp):
    """The arrays of a data set may live on a device; its batches are gathered and transformed there."""
    dataset = ArrayDataset(xp.asarray(X), xp.asarray(T), transform=Compose([Flatten(), ToFloat(), Normalize(0, 59)]))
    x, t = dataset.batch([5, 5, 0])
    assert get_array_module(x) is xp
    assert get_array_module(t) is xp
    np.testing.assert_allclose(as_numpy(x), X[[5, 5, 0]].reshape(3, 6) / np.float32(59), rtol=1e-6)
    assert as_numpy(t).tolist() == [5, 5, 0]


def test_samples_on_a_device_are_stacked_there(xp):
    """Collating device arrays needs no way over the host."""
    samples = [(xp.asarray(X[i]), i) for i in range(4)]
    x, t = collate(samples, [3, 1])
    assert get_array_module(x) is xp
    np.testing.assert_array_equal(as_numpy(x), X[[3, 1]])
    assert t.tolist() == [3, 1]


def test_collate_chooses_types():
    """Python floats become float32 and integers int64; arrays and NumPy scalars keep theirs."""
    rows = [(0.5, 1, np.float64(2), np.ones(2, np.float16), [1.5, 2.5], True)] * 2
    dtypes = [column.dtype for column in collate(rows, [0, 1])]
    assert dtypes == [np.float32, np.int64, np.float64, np.float16, np.float32, np.bool_]


def test_collate_takes_bare_values_and_lists():
    """A sample may be one value, or a list in place of a tuple."""
    assert collate([10, 20, 30], [2, 0])[0].tolist() == [30, 10]
    x, t = collate([[1.0, 2], [3.0, 4]], [0, 1])
    assert (x.tolist(), t.tolist()) == ([1, 3], [2, 4])


def test_an_error_in_getitem_says_which_sample():
    """The exception keeps its type and gets a note with the index."""
    with pytest.raises(FileNotFoundError, match=r"7\.npy") as caught:
        Files().batch([1, 7])
    assert caught.value.__notes__ == ["while loading sample 7 of Files"]


@pytest.mark.parametrize(
    ("samples", "message"),
    [
        (
            [np.zeros((2, 3)), np.zeros((2, 4))],
            r"list: sample 0 has shape \(2, 3\), sample 1 has shape \(2, 4\); a batch needs equal shapes: cut or pad",
        ),
        ([(1, 2), (1, None)], r"list: sample 0 has 2 values, sample 1 has 1; all must have the same number \(a label"),
        ([{"x": 1}, {"x": 1}], r"list: sample 0 holds array\({'x': 1}, dtype=object\), which is no array of numbers"),
    ],
    ids=["shapes", "numbers", "types"],
)
def test_samples_that_do_not_fit_together_are_named(samples, message):
    """A batch of unlike samples is refused; the message names two of them and how they differ."""
    with pytest.raises(DataError, match=message):
        collate(samples, [0, 1])


def test_a_batch_of_nothing_is_refused_where_shapes_are_unknown():
    """Collating no sample is an error; gathering none gives empty arrays."""
    with pytest.raises(DataError, match="Files: a batch of no samples; give at least one index"):
        Files().batch([])
    assert Squares().batch([])[0].shape == (0, 2, 3)


def test_an_index_is_one_integer():
    """Slices and floats are refused with the way to several samples; out of range is an IndexError."""
    for index in (slice(0, 2), 1.0):
        with pytest.raises(
            DTypeError, match=r"Squares\[\.\.\.\]: got .*; an index is one integer, and `batch\(\[\.\.\.\]\)`"
        ):
            Squares()[index]
    with pytest.raises(IndexError):
        Squares()[10]
    assert Squares()[np.int64(3)][1] == 9


def test_data_and_labels_must_have_one_length():
    """A data set whose labels do not match is refused when it is made."""
    with pytest.raises(DataError, match="ArrayDataset: 10 samples in `data`, but 9 in `label`; there must be one"):
        ArrayDataset(X, T[:9])


def test_a_data_set_without_data_says_what_to_override():
    """Forgetting `prepare` gives the remedy."""
    dataset = Dataset()
    for use in (len, lambda d: d[0]):
        with pytest.raises(DataError, match=r"Dataset: `data` is None; set self\.data in `prepare`, or override both"):
            use(dataset)


@pytest.mark.parametrize(
    ("x", "found"), [([1, 2], "list"), (np.float32(1), "a single number"), (np.array(1), "a single number")]
)
def test_array_dataset_takes_arrays_alone(x, found):
    """Lists and scalars are refused with the remedy."""
    with pytest.raises(DataError, match=f"^ArrayDataset: x is {found}; give an array with samples along axis 0, or"):
        ArrayDataset(x)
