"""`Variable` and `Parameter`: what they hold, as Python objects, their methods, gradients and devices."""

import copy
import sys

import numpy as np
import pytest

import fake_cupy
from minitorch import Parameter, Variable, as_variable
from minitorch.errors import DTypeError, GraphError, MissingExtraError, ShapeError

A = np.array([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])


# ---- what it holds


def test_attributes_are_those_of_the_array(device):
    """shape, ndim, size, dtype and len are the array's; data is the array itself."""
    a = device.put(A)
    v = Variable(a, name="v")
    assert (v.shape, v.ndim, v.size, v.dtype, len(v), v.name) == ((2, 3), 2, 6, np.float64, 2, "v")
    assert v.data is a
    assert v.grad is None
    assert v.requires_grad


@pytest.mark.parametrize(
    ("number", "dtype"),
    [(2.5, np.float32), (3, np.int64), (True, np.bool_), (np.float64(2.5), np.float64), (np.int8(3), np.int8)],
)
def test_numbers_become_arrays(number, dtype):
    """A number becomes a 0-d array: float32 of a Python float, its own dtype of NumPy's scalars."""
    v = Variable(number)
    assert isinstance(v.data, np.ndarray)
    assert (v.shape, v.dtype, v.data[()]) == ((), dtype, number)


@pytest.mark.parametrize("wrong", [[1.0, 2.0], (1.0,), "a", {}, object(), Variable(A)], ids=lambda w: type(w).__name__)
def test_other_things_are_refused(wrong):
    """Lists, strings and Variables are no data; the message says what to do."""
    with pytest.raises(
        DTypeError,
        match=rf"^Variable: got {type(wrong).__name__}; data is a NumPy or CuPy array or a number: convert it first, "
        r"for instance with np.array\(x\)$",
    ):
        Variable(wrong)


@pytest.mark.parametrize("wrong", [np.array(["a"]), np.array([b"a"]), np.array([None, 1])], ids=lambda w: str(w.dtype))
def test_arrays_of_no_numbers_are_refused(wrong):
    """What NumPy makes of strings, or of lists of unequal things, is found out here and not in an operation."""
    with pytest.raises(DTypeError) as info:
        Variable(wrong)
    assert str(info.value) == (
        f"Variable: got {wrong.dtype}{wrong.shape}, an array of no numbers: convert it first, for instance with "
        "x.astype(np.float32)"
    )


def test_no_array_yet():
    """Without data a Variable says what is missing when asked for it."""
    v = Variable(None, name="W")
    assert repr(v) == "variable(None)"
    for ask in (lambda: v.shape, lambda: v.ndim, lambda: v.size, lambda: v.dtype, lambda: len(v)):
        with pytest.raises(
            GraphError, match=r"^Variable W holds no array yet: a lazily sized layer gets its weights at"
        ):
            ask()


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (np.array([1.0, 2.0]), "variable([1. 2.])"),
        (np.array(3.0), "variable(3.0)"),
        (A, "variable([[1. 2. 3.]\n          [4. 5. 6.]])"),
    ],
)
def test_repr_is_dezeros(data, text, device):
    """`variable(...)`, with the rows below each other."""
    assert repr(Variable(device.put(data))) == text


def test_as_variable():
    """A Variable stays itself; arrays and numbers become constants."""
    v = Variable(A)
    assert as_variable(v) is v
    assert as_variable(A).data is A
    assert not as_variable(A).requires_grad
    assert as_variable(2.0).dtype == np.float32


# ---- as a Python object


def test_comparison_is_by_element_and_hashing_by_identity():
    """`==` compares elements; as keys of a dict Variables are told apart by identity."""
    a, b = Variable(np.array([1.0, 2.0])), Variable(np.array([1.0, 3.0]))
    assert (a == b).data.tolist() == [True, False]
    assert {a: "a", b: "b"}[a] == "a"
    assert len({a, b, a}) == 2


@pytest.mark.parametrize("shape", [(), (1,), (1, 1)], ids=str)
def test_one_element_is_a_number(shape, device):
    """bool, float, int and item work on a single element of any shape."""
    v = Variable(device.xp.full(shape, 2.5))
    assert (bool(v), float(v), int(v), v.item()) == (True, 2.5, 2, 2.5)
    assert type(v.item()) is float


def test_several_elements_are_no_number():
    """float, int, item and bool of several elements are errors."""
    v = Variable(np.ones(3))
    for convert in (float, int, Variable.item):
        with pytest.raises(
            DTypeError,
            match=r"^a Variable of shape \(3,\) is not one number; take sum\(\), mean\(\) or an element first$",
        ):
            convert(v)
    with pytest.raises(ValueError, match="ambiguous"):
        bool(v)


def test_iteration(device):
    """Iterating gives the rows as Variables, through which gradients go back."""
    v = Variable(device.put(A))
    first, second = v
    assert first.shape == (3,)
    (second * 2).backward()
    np.testing.assert_array_equal(device.get(v.grad.data), [[0, 0, 0], [2, 2, 2]])


def test_a_number_has_no_len():
    """Len of, and iterating over, a 0-d Variable are TypeErrors."""
    v = Variable(np.array(1.0))
    for use in (len, iter, list):
        with pytest.raises(TypeError, match=r"unsized|0-d"):
            use(v)


def test_indexing_errors_are_numpys():
    """An index out of range is an IndexError, which also ends a sequence."""
    with pytest.raises(IndexError, match="out of bounds"):
        Variable(np.ones(3))[3]


def test_an_index_may_be_a_variable(device):
    """Variables of integers and booleans index like their arrays, also within a tuple."""
    v = Variable(device.put(A))
    i = Variable(device.put([1, 1]))
    np.testing.assert_array_equal(device.get(v[i].data), A[[1, 1]])
    np.testing.assert_array_equal(device.get(v[i, 0].data), [4, 4])
    np.testing.assert_array_equal(device.get(v[v > 2.5].data), [3, 4, 5, 6])


def test_copies_are_independent():
    """A deep copy shares neither the array nor the gradient."""
    v = Parameter(np.ones(3), name="p")
    (v * 2).backward()
    w = copy.deepcopy(v)
    w.data += 1
    w.grad.data += 1
    assert (w.name, v.data.tolist(), v.grad.data.tolist()) == ("p", [1, 1, 1], [2, 2, 2])


# ---- methods


def test_methods_are_numpys(device):
    """reshape, transpose, T, sum, mean, max, min, matmul, dot and astype give what NumPy gives."""
    a, v = A, Variable(device.put(A))
    for f in (
        lambda x: x.reshape(3, 2),
        lambda x: x.reshape((3, 2)),
        lambda x: x.reshape(-1),
        lambda x: x.reshape(2, -1, 1),
        lambda x: x.transpose(),
        lambda x: x.transpose(None),
        lambda x: x.transpose(1, 0),
        lambda x: x.transpose((1, 0)),
        lambda x: x.transpose(-1, 0),
        lambda x: x.T,
        lambda x: x.sum(),
        lambda x: x.sum(0),
        lambda x: x.sum(axis=(0, 1), keepdims=True),
        lambda x: x.mean(axis=-1),
        lambda x: x.max(axis=1, keepdims=True),
        lambda x: x.min(),
        lambda x: x.dot(x.T),
        lambda x: x @ x.T,
        lambda x: x.astype(np.float32),
        lambda x: x[1],
        lambda x: x[:, ::-1],
        lambda x: x[..., None, 0],
    ):
        y = f(v)
        assert isinstance(y, Variable)
        np.testing.assert_allclose(device.get(y.data), f(a))
        assert y.dtype == f(a).dtype
    np.testing.assert_allclose(device.get(v.matmul(v.T).data), a @ a.T)
    v.reshape([3, 2]).sum(axis=np.int64(0)).backward()
    np.testing.assert_array_equal(device.get(v.grad.data), np.ones((2, 3)))


@pytest.mark.parametrize(
    ("f", "message"),
    [
        (
            lambda v: v.reshape(4, 2),
            r"^reshape: cannot reshape array of size 6 into shape \(4,2\); got float64\(2, 3\)$",
        ),
        (lambda v: v.sum(axis=2), r"^sum: axis 2 is out of bounds for array of dimension 2; got float64\(2, 3\)$"),
        (lambda v: v.transpose(0, 0), r"^transpose: repeated axis in transpose; got float64\(2, 3\)$"),
    ],
)
def test_shape_errors_name_operation_and_operand(f, message):
    """What NumPy refuses comes with the name of the operation and what it was given."""
    with pytest.raises(ShapeError, match=message):
        f(Variable(A))


# ---- gradients


def test_grad_is_a_variable():
    """`grad` takes a Variable or None, and refuses anything else."""
    v = Variable(np.ones(2))
    v.grad = Variable(np.zeros(2))
    assert v.grad.data.tolist() == [0, 0]
    with pytest.raises(
        DTypeError, match=r"^grad: got ndarray; a gradient is a Variable: wrap the array in Variable\(...\)$"
    ):
        v.grad = np.zeros(2)
    v.grad = None
    assert v.grad is None


def test_grad_has_the_shape_of_its_variable():
    """Another one is refused when it is set, before an optimizer broadcasts it; the one before stays."""
    v = Variable(np.ones((2, 3)))
    v.grad = before = Variable(np.zeros((2, 3)))
    with pytest.raises(
        ShapeError,
        match=r"^grad: got float64\(3,\) for float64\(2, 3\); a gradient has the shape of its Variable$",
    ):
        v.grad = Variable(np.zeros(3))
    assert v.grad is before


def test_constants_have_no_grad():
    """A constant takes no gradient; clearing it does nothing."""
    c = Variable(np.ones(2), requires_grad=False)
    with pytest.raises(GraphError, match=r"^grad: this Variable is a constant; set requires_grad = True first$"):
        c.grad = Variable(np.ones(2))
    c.grad = None
    c.cleargrad()
    assert c.grad is None


def test_requires_grad_of_leaves():
    """A leaf can be made a constant and a leaf again; its name stays."""
    v = Variable(np.ones(2), name="v")
    v.requires_grad = False
    assert not (v * 2).requires_grad
    v.requires_grad = True
    (v * 2).backward()
    assert v.grad.data.tolist() == [2, 2]
    assert (v.name, v.node.name) == ("v", "v")


def test_requires_grad_of_what_was_computed():
    """What an operation made cannot be declared a constant; the message names the ways out."""
    y = Variable(np.ones(2)) * 2
    y.requires_grad = True
    with pytest.raises(
        GraphError,
        match=r"^requires_grad: this Variable was computed by mul; only a leaf can be made a constant: use "
        r"Variable\(y.data, requires_grad=False\), or pass the array y.data itself$",
    ):
        y.requires_grad = False


# ---- devices


def test_moving_takes_the_gradient_along():
    """to_gpu and to_cpu move array and gradient; where they are already, nothing happens."""
    with fake_cupy.installed() as cupy:
        v = Variable(np.ones(2))
        (v * 2).backward()
        v.to_gpu()
        assert isinstance(v.data, cupy.ndarray)
        assert isinstance(v.grad.data, cupy.ndarray)
        v.to_cpu()
        data = v.data
        v.to_cpu()
        assert v.data is data
        assert (v.data.tolist(), v.grad.data.tolist()) == ([1, 1], [2, 2])
        Variable(None).to_gpu()


def test_moving_to_a_gpu_that_is_not_there(monkeypatch):
    """Without CuPy the error names the extra that installs it, and the Variable stays where it is."""
    monkeypatch.setitem(sys.modules, "cupy", None)
    v = Variable(np.ones(2))
    with pytest.raises(MissingExtraError, match=r"^CuPy is not installed: install minitorch\[cuda13\] or minitorch"):
        v.to_gpu()
    assert isinstance(v.data, np.ndarray)


# ---- Parameter


def test_parameters_are_variables():
    """A Parameter is a Variable; what is computed from it is a Variable and no Parameter."""
    p = Parameter(np.ones(2), name="p")
    assert isinstance(p, Variable)
    assert type(p * 2) is Variable
    assert (p.wanted_shape, p.wanted_dtype) == ((2,), np.float64)


def test_a_parameter_that_is_sized_later():
    """It accepts every shape that fits what is known, and takes its dtype."""
    p = Parameter(None, shape=(None, 3), dtype=np.float32)
    assert (p.wanted_shape, p.wanted_dtype) == ((None, 3), np.float32)
    assert [p.accepts(s) for s in [(5, 3), (3,), (5, 4), (1, 5, 3)]] == [True, False, False, False]
    p.assign(np.ones((5, 3)))
    assert (p.shape, p.dtype) == ((5, 3), np.float32)
    assert [p.accepts(s) for s in [(5, 3), (4, 3)]] == [True, False]


def test_assign_copies_in_place(device):
    """Once there is an array, assigning fills it, converted and moved; the source stays independent."""
    p = Parameter(device.put(np.zeros(3, np.float32)))
    data = p.data
    source = np.arange(3.0)
    p.assign(source)
    source += 10
    assert p.data is data
    assert device.get(data).tolist() == [0, 1, 2]
    assert data.dtype == np.float32


def test_assign_before_there_is_an_array_copies_too():
    """The first array assigned is copied as well."""
    p = Parameter(None, shape=(3,), dtype=np.float64)
    source = np.arange(3.0)
    p.assign(source)
    source += 10
    assert p.data.tolist() == [0, 1, 2]


def test_a_parameter_without_array_remembers_its_device():
    """to_gpu before there is an array makes the first one arrive on the device."""
    with fake_cupy.installed() as cupy:
        p = Parameter(None, shape=(3,))
        p.to_gpu()
        p.assign(np.ones(3))
        assert isinstance(p.data, cupy.ndarray)
        p.to_cpu()
        assert isinstance(p.data, np.ndarray)
