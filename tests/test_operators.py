"""Operators of Variables: with Variables, arrays and numbers, NumPy beside them, and wrong operands."""

import operator

import numpy as np
import pytest

import fake_cupy
from minitorch import Variable
from minitorch.errors import DeviceError, DTypeError, GraphError, ShapeError

ARITHMETIC = [operator.add, operator.sub, operator.mul, operator.truediv, operator.pow, operator.matmul]
COMPARISON = [operator.eq, operator.ne, operator.lt, operator.le, operator.gt, operator.ge]
SQUARE = np.array([[1.0, 2.0], [3.0, 0.5]])
OTHER = np.array([[2.0, 2.0], [0.5, 4.0]])


@pytest.mark.parametrize("op", ARITHMETIC + COMPARISON, ids=lambda op: op.__name__)
def test_operators_are_numpys(op, device):
    """Between Variables, and with an array on either side, operators give what NumPy gives."""
    a, b = device.put(SQUARE), device.put(OTHER)
    expected = op(SQUARE, OTHER)
    for x, y in ((Variable(a), Variable(b)), (Variable(a), b), (a, Variable(b))):
        v = op(x, y)
        assert isinstance(v, Variable)
        np.testing.assert_allclose(device.get(v.data), expected)
        assert v.requires_grad == (op in ARITHMETIC)


@pytest.mark.parametrize("number", [2, 2.0, np.float64(2), np.float32(2), np.int64(2)], ids=repr)
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_numbers_are_weak_operands(number, dtype, device):
    """A number of Python or NumPy on either side leaves the dtype as it is, in the gradient too."""
    for op in [o for o in ARITHMETIC if o is not operator.matmul] + COMPARISON:
        for args in (lambda v: (v, number), lambda v: (number, v)):
            v = Variable(device.put(SQUARE.astype(dtype)))
            y = op(*args(v))
            expected = op(*[np.array(2, dtype) if a is number else SQUARE.astype(dtype) for a in args(v)])
            assert (y.dtype, y.shape) == (expected.dtype, expected.shape)
            np.testing.assert_allclose(device.get(y.data), expected, rtol=2e-3)
            if y.requires_grad:
                y.backward()
                assert v.grad.dtype == dtype


def test_unary_operators(device):
    """Minus and abs."""
    v = Variable(device.put(np.array([-1.0, 2.0])))
    np.testing.assert_array_equal(device.get((-v).data), [1, -2])
    np.testing.assert_array_equal(device.get(abs(v).data), [1, 2])


def test_augmented_assignment_makes_a_new_variable():
    """`v += 1` leaves the Variable that v was, and its array, as they were."""
    for op, expected in (
        (operator.iadd, 5.0),
        (operator.isub, 1.0),
        (operator.imul, 6.0),
        (operator.itruediv, 1.5),
        (operator.ipow, 9.0),
    ):
        v = first = Variable(np.array([3.0]))
        v = op(v, 2)
        assert v is not first
        assert (first.data, v.data) == ([3.0], [expected])


def test_numpy_arrays_leave_operators_to_the_variable():
    """`array * variable` is one Variable, not an array of them; so it is by the name of NumPy's function."""
    v = Variable(np.ones(3))
    for y in (np.arange(3.0) * v, np.multiply(np.arange(3.0), v)):
        assert isinstance(y, Variable)
        y.backward()
        np.testing.assert_array_equal(v.grad.data, np.arange(3.0))
        v.cleargrad()


@pytest.mark.parametrize(
    ("use", "call"),
    [
        (np.sin, "sin"),
        (np.add.reduce, "add.reduce"),
        (lambda v: np.add(np.ones(3), v, out=np.ones(3)), "add with out"),
        (lambda v: np.add(v, v, dtype=np.float32), "add with dtype"),
    ],
    ids=lambda use: use if isinstance(use, str) else "",
)
def test_other_functions_of_numpy_take_no_variable(use, call):
    """What is no operator is refused, with the function named, and what to use in its place."""
    with pytest.raises(
        DTypeError,
        match=rf"^numpy.{call} takes no Variable: use the function of minitorch.functions, or v.data where no gradient "
        "is wanted$",
    ):
        use(Variable(np.ones(3)))


IN_PLACE = [operator.iadd, operator.isub, operator.imul, operator.itruediv, operator.ipow]


@pytest.mark.parametrize("op", IN_PLACE, ids=lambda op: op.__name__)
@pytest.mark.parametrize("shape", [(), (2, 2)], ids=str)
def test_an_array_is_updated_in_place_with_a_constant(op, shape, device):
    """`x.data -= lr * x.grad` writes into the array that `x.data` is: a gradient without history is its array."""
    x = Variable(device.put(np.full(shape, 2.0)))
    (x * x).backward()
    array, expected = x.data, op(np.full(shape, 2.0), 0.5 * np.full(shape, 4.0))
    x.data = op(x.data, 0.5 * x.grad)
    assert x.data is array
    np.testing.assert_array_equal(device.get(array), expected)


def test_an_array_keeps_its_dtype_in_place(device):
    """float32 stays float32, whatever it is updated with."""
    array = device.put(np.ones(2, np.float32))
    array -= Variable(device.put(np.ones(2)), requires_grad=False)
    assert array.dtype == np.float32
    assert device.get(array).tolist() == [0.0, 0.0]


@pytest.mark.parametrize("op", IN_PLACE, ids=lambda op: op.__name__)
def test_an_array_is_not_updated_with_what_has_a_history(op, device):
    """No gradient is lost in silence: an array could not pass it on."""
    array = device.put(np.ones(2))
    for v in (Variable(device.put(np.ones(2))), 2 * Variable(device.put(np.ones(2)))):
        with pytest.raises(
            GraphError,
            match=r"^in place: an array is updated with a Variable, float64\(2,\), that gradients pass through, and an "
            r"array passes none on; use v.data, or make a new Variable: a = a - v$",
        ):
            op(array, v)
    np.testing.assert_array_equal(device.get(array), 1.0)


def test_an_array_is_not_updated_from_another_device(gpu):
    """The error names both places and the remedy."""
    for one, other, names in ((np, gpu, ("host", "GPU")), (gpu, np, ("GPU", "host"))):
        array = one.ones(2)
        with pytest.raises(
            DeviceError,
            match=rf"^in place: an array on the {names[0]} is updated with a Variable, float64\(2,\), on the "
            rf"{names[1]}; move one of them, with to_gpu\(\) or to_cpu\(\)$",
        ):
            array -= Variable(other.ones(2), requires_grad=False)


@pytest.mark.parametrize("convert", [np.asarray, np.array, lambda v: np.ones(3) + np.stack([v])])
def test_no_conversion_behind_your_back(convert):
    """NumPy cannot make an array of a Variable; the message names the two ways."""
    with pytest.raises(
        DTypeError,
        match=r"^a Variable is not converted to an array behind your back: use v.data, or minitorch.as_numpy\(v\)",
    ):
        convert(Variable(np.ones(3)))


@pytest.mark.parametrize(
    ("op", "name"), [(operator.add, "add"), (operator.sub, "sub"), (operator.mul, "mul"), (operator.truediv, "div")]
)
@pytest.mark.parametrize("wrong", ["a", None, {}], ids=repr)
def test_operands_of_a_wrong_type(op, name, wrong, device):
    """Strings, None and dicts are refused with the operation, the operands and their types."""
    v = Variable(device.put(np.ones(3)))
    with pytest.raises(DTypeError, match=rf"^{name}: .*; got float64\(3,\), {wrong!r}$"):
        op(v, wrong)
    with pytest.raises(DTypeError, match=rf"^{name}: .*; got {wrong!r}, float64\(3,\)$"):
        op(wrong, v)


@pytest.mark.parametrize("wrong", [2, 2.0, "a", None], ids=repr)
def test_matmul_takes_arrays(wrong):
    """A matrix product with a number is an error that names `*`."""
    v = Variable(np.ones((2, 2)))
    with pytest.raises(
        DTypeError, match=rf"^matmul: got float64\(2, 2\) @ {wrong!r}; both must be arrays: scale by a number with \*$"
    ):
        v @ wrong
    with pytest.raises(DTypeError, match=rf"^matmul: got {wrong!r} @ float64\(2, 2\); both must be arrays"):
        wrong @ v


def test_matmul_of_shapes_that_do_not_fit():
    """The message shows both shapes and the rule."""
    with pytest.raises(
        ShapeError,
        match=r"^matmul: inner dimensions differ: \(32, 784\) @ \(1000, 10\); the last axis of the left operand and "
        r"the second to last \(or only\) axis of the right one must be equal: transpose or reshape one of them$",
    ):
        Variable(np.ones((32, 784))) @ Variable(np.ones((1000, 10)))


def test_host_and_device_do_not_mix():
    """Operands on different devices are an error that names both places and the remedy."""
    with fake_cupy.installed() as cupy:
        on_gpu, on_host = cupy.ones(3), np.ones(3)
        message = (
            r"^add: arrays on different devices: float64\(3,\) on the (GPU|host), float64\(3,\) on the (GPU|host); "
            r"move the model and the batch to one device, with to_gpu\(\) and to_cpu\(\) or a DevicePlacement callback$"
        )
        for x, y in (
            (Variable(on_gpu), on_host),
            (Variable(on_host), on_gpu),
            (Variable(on_host), Variable(on_gpu)),
            (on_gpu, Variable(on_host)),
        ):
            with pytest.raises(DeviceError, match=message):
                x + y
