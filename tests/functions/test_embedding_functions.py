"""Rows of a matrix looked up by number."""

import numpy as np
import pytest

import fake_cupy
import minitorch.functions as F
from minitorch import Variable
from minitorch.errors import DataError, DeviceError, DTypeError
from minitorch.utils import directional_check

W = np.arange(12.0).reshape(6, 2)
IDS = np.array([[5, 0, 5], [2, 5, 0]])


@pytest.mark.parametrize("dtype", [np.int64, np.int32, np.uint8])
def test_rows(dtype, device):
    """For each number its row, whatever the type of integers."""
    y = F.embed_id(device.put(IDS.astype(dtype)), device.put(W))
    np.testing.assert_array_equal(device.get(y.data), W[IDS])


def test_gradient_adds_up_repeated_numbers(device):
    """A row that was taken several times gets the sum of the gradients, one that was not taken gets 0."""
    x = Variable(device.put(W))
    g = np.random.default_rng(0).normal(size=(2, 3, 2))
    (F.embed_id(device.put(IDS), x) * device.put(g)).sum().backward()
    expected = np.zeros_like(W)
    np.add.at(expected, IDS, g)
    np.testing.assert_allclose(device.get(x.grad.data), expected, rtol=1e-12, atol=1e-14)


def test_gradient_of_many_rows_agrees_with_one_hot():
    """On many numbers the gradient is that of a product with one-hot rows, bit for bit the same each time."""
    rng = np.random.default_rng(0)
    ids, g = rng.integers(0, 40, 1000), rng.normal(size=(1000, 7)).astype(np.float32)
    grads = []
    for _ in range(2):
        x = Variable(np.zeros((40, 7), np.float32))
        (F.embed_id(ids, x) * g).sum().backward()
        grads.append(x.grad.data)
    np.testing.assert_array_equal(*grads)
    np.testing.assert_allclose(grads[0], np.eye(40)[ids].T @ g.astype(float), rtol=1e-4, atol=1e-5)


def test_like_torch():
    """Rows and gradient are those of torch.nn.functional.embedding."""
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(0)
    ids, rows = rng.integers(0, 20, (5, 9)), rng.normal(size=(20, 3)).astype(np.float32)
    x, x_torch = Variable(rows), torch.tensor(rows, requires_grad=True)
    y, y_torch = F.embed_id(ids, x), torch.nn.functional.embedding(torch.tensor(ids), x_torch)
    (y * y).sum().backward()
    (y_torch * y_torch).sum().backward()
    np.testing.assert_allclose(y.data, y_torch.detach().numpy())
    np.testing.assert_allclose(x.grad.data, x_torch.grad.numpy(), rtol=1e-5, atol=1e-6)


def test_no_numbers():
    """Of no numbers there are no rows, and the gradient is 0."""
    x = Variable(W.copy())
    y = F.embed_id(np.zeros((2, 0), int), x)
    assert y.shape == (2, 0, 2)
    y.sum().backward()
    np.testing.assert_array_equal(x.grad.data, np.zeros_like(W))


def test_derivatives(device):
    """First and second derivatives are what differences give."""
    ids = device.put(IDS)
    directional_check(lambda W: F.embed_id(ids, W), [device.put(W)])


def test_errors():
    """Numbers must be integers in range, on the device of the rows."""
    with pytest.raises(DTypeError, match=r"embed_id: x has dtype float64; .* use x\.astype\(np\.int64\)"):
        F.embed_id(IDS * 1.0, W)
    with pytest.raises(DataError, match="embed_id: number 6 is out of range for 6 rows; numbers go from 0 to 5"):
        F.embed_id(IDS + 1, W)
    with pytest.raises(DataError, match="embed_id: number -1 is out of range"):
        F.embed_id(IDS - 1, W)


def test_numbers_on_another_device():
    """Numbers on the host for rows on a GPU are refused, not copied in secret."""
    with fake_cupy.installed() as cupy, pytest.raises(DeviceError, match="embed_id: x and W are on different devices"):
        F.embed_id(IDS, cupy.array(W))


def test_a_step_does_not_wait_for_the_device():
    """Neither looking up nor its gradient moves anything between host and device."""
    with fake_cupy.installed() as cupy:
        ids, x = cupy.array(IDS), Variable(cupy.array(W))
        with fake_cupy.no_transfers():
            F.embed_id(ids, x).sum().backward()
