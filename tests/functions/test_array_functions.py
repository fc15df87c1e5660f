"""Arrays in other shapes: expand_dims, squeeze, flatten, stack, split, pad, var, cumsum, argmin."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import minitorch.functions as F
from minitorch import Variable
from minitorch.errors import ConfigError, ShapeError
from minitorch.utils import directional_check

X = np.arange(24.0).reshape(2, 3, 4)


@st.composite
def shapes_and_axes(draw):
    """A shape, and some different axes of what it becomes, counted from either end."""
    shape = draw(st.lists(st.integers(0, 3), max_size=3))
    n_new = draw(st.integers(0, 3))
    ndim = len(shape) + n_new
    axes = draw(st.permutations(range(ndim)))[:n_new]
    return tuple(shape), tuple([a - ndim if draw(st.booleans()) else a for a in axes])


@given(shapes_and_axes())
def test_expand_dims_and_squeeze_like_numpy(shape_and_axes):
    """Any axes, negative ones too, are put in as NumPy does it, and squeeze takes out the same."""
    shape, axes = shape_and_axes
    x = np.zeros(shape)
    y = F.expand_dims(x, axes)
    assert y.shape == np.expand_dims(x, axes).shape
    assert F.squeeze(y, axes).shape == shape


@pytest.mark.parametrize(("axis", "shape"), [(-1, (2, 3, 1)), (-2, (2, 1, 3)), (-3, (1, 2, 3)), (0, (1, 2, 3))])
def test_expand_dims_with_a_negative_axis(axis, shape):
    """A negative axis counts from the end of the result: -1 is the last (DeZero put it before the last)."""
    assert F.expand_dims(np.zeros((2, 3)), axis).shape == shape


def test_squeeze_all():
    """Without an axis all axes of size 1 go."""
    assert F.squeeze(np.zeros((1, 2, 1))).shape == (2,)
    assert F.squeeze(np.zeros((1, 1))).shape == ()


def test_wrong_axes_are_named():
    """An axis out of range, given twice, or not of size 1 is refused by name."""
    with pytest.raises(ShapeError, match=r"expand_dims: axis \(3,\) is out of range; the result has 3 axes, counted"):
        F.expand_dims(np.zeros((2, 3)), 3)
    with pytest.raises(ShapeError, match=r"expand_dims: axis \(0, -4\) names an axis twice"):
        F.expand_dims(np.zeros((2, 3)), (0, -4))
    with pytest.raises(ShapeError, match=r"squeeze: axis 1 of shape \(1, 2\) is not of size 1"):
        F.squeeze(np.zeros((1, 2)), 1)


@pytest.mark.parametrize("shape", [(2, 3, 4), (2,), (0, 3), (2, 0)])
def test_flatten_keeps_the_batch(shape):
    """The first axis stays and the others become one, also where there are no elements."""
    assert F.flatten(np.zeros(shape)).shape == (shape[0], int(np.prod(shape[1:])))


def test_flatten_needs_a_batch():
    """A 0-d array has no batch."""
    with pytest.raises(ShapeError, match="flatten: x has no axes"):
        F.flatten(np.zeros(()))


@pytest.mark.parametrize("axis", [0, 1, 2, -1, -3])
def test_stack_like_numpy(axis, device):
    """Arrays are joined along a new axis, as NumPy does it."""
    parts = [X[0], X[1], X[0]]
    np.testing.assert_array_equal(device.get(F.stack([device.put(a) for a in parts], axis).data), np.stack(parts, axis))


def test_stack_of_unlike_shapes():
    """All shapes must be the same, and there must be one."""
    with pytest.raises(ShapeError, match=r"stack: got 2 arrays of shapes \[\(1,\), \(2,\)\]"):
        F.stack([np.zeros(1), np.zeros(2)])
    with pytest.raises(ShapeError, match="stack: got 0 arrays"):
        F.stack([])


@pytest.mark.parametrize(("cuts", "axis"), [(2, 0), (3, 1), (4, -1), ([1, 1, 3], 2), ([0, 4], -1), ([], 0)])
def test_split_like_numpy(cuts, axis, device):
    """The parts are NumPy's, and joined again they are the whole."""
    x = Variable(device.put(X))
    parts = F.split(x, cuts, axis)
    assert isinstance(parts, tuple)
    for part, expected in zip(parts, np.split(X, cuts, axis), strict=True):
        np.testing.assert_array_equal(device.get(part.data), expected)
    y = F.concat(parts, axis)
    (y * y).sum().backward()
    np.testing.assert_array_equal(device.get(x.grad.data), 2 * X)


def test_split_into_unequal_parts():
    """What does not go up evenly is refused."""
    with pytest.raises(ShapeError, match=r"split: axis -1 of shape \(2, 3, 4\) cannot be cut into 3 equal parts"):
        F.split(X, 3, -1)
    with pytest.raises(ShapeError, match=r"split: axis 0 of shape \(2, 3, 4\) cannot be cut into 0 equal parts"):
        F.split(X, 0)


@pytest.mark.parametrize("width", [1, (1, 2), [(1, 0), (0, 2), (3, 3)], 0, np.int64(2), ((1, 2),)])
def test_pad_like_numpy(width, device):
    """An integer, a pair, or a pair for each axis: as NumPy reads them."""
    y = F.pad(device.put(X), width, value=-1.5).data
    np.testing.assert_array_equal(device.get(y), np.pad(X, width, constant_values=-1.5))


@pytest.mark.parametrize("width", [-1, (1, -2), 1.5, [(1, 2), (3, 4)], (1, 2, 3), [(1,), (2, 3)]])
def test_pad_widths_that_are_none(width):
    """Negative, broken or misshapen widths are refused."""
    with pytest.raises(ConfigError, match=r"pad: pad_width is .* give an integer, a pair"):
        F.pad(X, width)


@pytest.mark.parametrize("ddof", [0, 1])
@pytest.mark.parametrize("keepdims", [False, True])
@pytest.mark.parametrize("axis", [None, 0, -1, (0, 2)])
def test_var_like_numpy(axis, keepdims, ddof, device):
    """The variance over any axes is NumPy's."""
    x = np.random.default_rng(0).normal(size=(2, 3, 4))
    np.testing.assert_allclose(
        device.get(F.var(device.put(x), axis, keepdims, ddof).data), x.var(axis=axis, keepdims=keepdims, ddof=ddof)
    )


def test_var_of_a_large_mean():
    """The variance does not drown in the mean."""
    assert F.var(np.array([1e6, 1e6 + 1, 1e6 + 2], np.float32)).item() == pytest.approx(2 / 3, rel=1e-6)


def test_var_of_too_few():
    """The number of elements must be above `ddof`."""
    with pytest.raises(ConfigError, match="var: ddof is 1 for 1 elements; it must be less"):
        F.var(np.zeros((3, 1)), axis=1, ddof=1)


@pytest.mark.parametrize("axis", [None, 0, 1, -1])
def test_cumsum_like_numpy(axis, device):
    """Running sums along any axis, or of all elements in a row."""
    np.testing.assert_array_equal(device.get(F.cumsum(device.put(X), axis).data), X.cumsum(axis))


def test_cumsum_keeps_the_dtype():
    """float32 stays float32, and int32 stays int32 (NumPy widens it)."""
    assert F.cumsum(X.astype(np.float32)).dtype == np.float32
    assert F.cumsum(X.astype(np.int32), 0).dtype == np.int32


@pytest.mark.parametrize(
    "f",
    [
        lambda x: F.expand_dims(x, (0, -1)),
        lambda x: F.squeeze(F.expand_dims(x, 1)),
        F.flatten,
        lambda x: F.stack([x, x * x], axis=-1),
        lambda x: F.split(x, [1], axis=1)[1],
        lambda x: F.pad(x, ((0, 0), (2, 1), (1, 0))),
        lambda x: F.var(x, axis=(0, 2)),
        lambda x: F.var(x, ddof=1),
        F.cumsum,
        lambda x: F.cumsum(x, axis=-2),
    ],
)
def test_derivatives(f, device):
    """Each function has the first and second derivatives that differences give."""
    directional_check(f, [device.put(np.random.default_rng(0).normal(size=(2, 3, 2)))])


def test_argmin(device):
    """The position of the smallest, the first of several; no gradient passes."""
    x = Variable(device.put(np.array([[3.0, 1.0, 1.0], [0.0, 2.0, 5.0]])))
    assert device.get(F.argmin(x, axis=1).data).tolist() == [1, 0]
    assert device.get(F.argmin(x).data) == 3
    assert not F.argmin(x).requires_grad
