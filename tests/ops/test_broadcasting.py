"""Properties of broadcasting and indexing, for any shapes."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import minitorch.functions as F
from minitorch import Variable

few = settings(max_examples=60)


def arrived(shape, places, values):
    """Zeros of `shape`, with `values` added at `places`, which number its elements."""
    total = np.zeros(int(np.prod(shape)))
    np.add.at(total, places, values)
    return total.reshape(shape)


def numbered(shape):
    """The number of each element."""
    return np.arange(int(np.prod(shape))).reshape(shape)


@few
@given(hnp.mutually_broadcastable_shapes(num_shapes=2, min_dims=0, max_dims=4, min_side=0, max_side=3))
def test_stretched_operands(shapes):
    """A stretched operand gets the sum of the gradients at all places to which it was stretched."""
    rng = np.random.default_rng(0)
    a, b = (Variable(rng.standard_normal(shape)) for shape in shapes.input_shapes)
    y = a * b
    assert y.shape == shapes.result_shape
    y.backward()
    for x, other in ((a, b), (b, a)):
        places, values = (np.broadcast_to(v, y.shape) for v in (numbered(x.shape), other.data))
        np.testing.assert_allclose(x.grad.data, arrived(x.shape, places, values), atol=1e-12)


@few
@given(hnp.mutually_broadcastable_shapes(num_shapes=1, min_dims=0, max_dims=4, min_side=0, max_side=3))
def test_sum_to_undoes_broadcast_to(shapes):
    """`sum_to` of what `broadcast_to` made is the original times the number of copies; the gradients swap roles."""
    (shape,) = shapes.input_shapes
    x = Variable(np.random.default_rng(0).standard_normal(shape))
    y = F.sum_to(F.broadcast_to(x, shapes.result_shape), shape)
    copies = int(np.prod(shapes.result_shape)) / max(x.size, 1)
    np.testing.assert_allclose(y.data, x.data * copies, atol=1e-12)
    y.backward()
    np.testing.assert_array_equal(x.grad.data, np.full(shape, copies))


@st.composite
def shape_and_index(draw):
    """A shape, and a basic or advanced index that fits it."""
    shape = draw(hnp.array_shapes(min_dims=1, max_dims=3, min_side=1, max_side=4))
    basic = hnp.basic_indices(shape, allow_newaxis=True)
    integers = hnp.integer_array_indices(shape, result_shape=hnp.array_shapes(max_dims=2, max_side=3))
    masks = hnp.arrays(bool, shape)
    return shape, draw(st.one_of(basic, integers, masks))


@few
@given(shape_and_index())
def test_indexing(shape_and_index):
    """Indexing gives what NumPy gives, and each element gets the gradients of all the places where it was taken."""
    shape, index = shape_and_index
    x = Variable(np.random.default_rng(0).standard_normal(shape))
    y = x[index]
    np.testing.assert_array_equal(y.data, x.data[index])
    y.grad = Variable(np.random.default_rng(1).standard_normal(y.shape))
    seed = y.grad.data
    y.backward()
    np.testing.assert_allclose(x.grad.data, arrived(shape, numbered(shape)[index], seed), atol=1e-12)


@few
@given(hnp.array_shapes(min_dims=0, max_dims=4, max_side=3), st.data())
def test_sums_over_any_axes(shape, data):
    """`sum` over any axes, counted from either end, gives each element the gradient of its sum."""
    axes = data.draw(hnp.valid_tuple_axes(len(shape)))
    keepdims = data.draw(st.booleans())
    x = Variable(np.random.default_rng(0).standard_normal(shape))
    y = F.sum(x, axis=axes, keepdims=keepdims)
    expected = x.data.sum(axis=axes, keepdims=keepdims)
    np.testing.assert_allclose(y.data, expected, atol=1e-12)
    y.grad = Variable(np.random.default_rng(1).standard_normal(y.shape))
    kept = y.grad.data.reshape(x.data.sum(axis=axes, keepdims=True).shape)
    y.backward()
    np.testing.assert_array_equal(x.grad.data, np.broadcast_to(kept, shape))
