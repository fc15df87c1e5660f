"""Every primitive, by the rows of `op_table`: derivatives, dtypes, memory layouts, constants, on each device."""

from collections import Counter

import numpy as np
import pytest
from op_table import all_primitives, all_rows

import minitorch
from minitorch import Variable
from minitorch.autograd.backward import gradients
from minitorch.utils import directional_check

ROWS = all_rows()
every_row = pytest.mark.parametrize("row", ROWS, ids=str)
every_differentiable_row = pytest.mark.parametrize("row", [row for row in ROWS if row.order], ids=str)


def is_float(a):
    return a.dtype.kind == "f"


def variables(arrays):
    """Each floating array as a Variable; the others, which are constants, as they are."""
    return [Variable(a) if is_float(a) else a for a in arrays]


def random_like(y):
    """Random numbers like the Variable `y`, to start a walk from."""
    xp = minitorch.cuda.get_array_module(y)
    return Variable(xp.asarray(np.random.default_rng(1).standard_normal(y.shape), dtype=y.dtype))


def output_and_grads(f, args, **how):
    """What `f` gives, and the gradients of its Variables for a random gradient of the output."""
    y = f(*args)
    y.grad = random_like(y)
    y.backward(**how)
    return y.data, [x.grad.data for x in args if isinstance(x, Variable)]


def operations(y):
    """The names of all operations in the graph of `y`."""
    names, nodes = set(), [y.node]
    while nodes:
        node = nodes.pop()
        if node is not None and node.op is not None:
            names.add(node.op.name)
            nodes.extend(node.parents)
    return names


def test_every_primitive_has_a_row():
    """Whoever adds a primitive adds a row, or this test names it."""
    covered = {row.op for row in ROWS}
    assert [place for place, op in all_primitives().items() if op.name not in covered] == []


def test_every_row_has_a_primitive():
    """No row is of a primitive that is gone, and no two primitives have the same name."""
    names = Counter(op.name for op in all_primitives().values())
    assert [str(row) for row in ROWS if row.op not in names] == []
    assert [name for name, count in names.items() if count > 1] == []


def test_no_two_rows_look_the_same():
    """Each row can be told from the others by its name."""
    assert [name for name, count in Counter(map(str, ROWS)).items() if count > 1] == []


@every_row
def test_forward(row, device):
    """A row records its primitive (or nothing, for order 0); arrays give an array; every device the same numbers."""
    arrays = [device.put(a) for a in row.arrays()]
    y = row.f(*variables(arrays))
    assert (row.op in operations(y)) if row.order else (y.node is None)
    plain = row.f(*arrays)
    assert not isinstance(plain, Variable)
    np.testing.assert_array_equal(device.get(device.xp.asarray(plain)), device.get(y.data))
    np.testing.assert_allclose(device.get(y.data), row.f(*row.arrays()), rtol=1e-12, atol=1e-14)


@every_differentiable_row
def test_derivatives(row, device):
    """Derivatives agree with differences up to the order of the row, for leaves and for inputs that were computed."""
    arrays = [device.put(a) for a in row.arrays()]

    def f(*xs):
        given = iter(xs)
        return row.f(*[next(given) if is_float(a) else a for a in arrays])

    floats = [a for a in arrays if is_float(a)]
    directional_check(f, floats, order=row.order)
    directional_check(lambda *xs: f(*[1.0 * x for x in xs]), floats, order=row.order)


@every_differentiable_row
def test_dtype_is_kept(row, device):
    """What goes in as float32 or float16 comes out so, and so do its gradients, whatever labels and scalars are."""
    for dtype in (np.float32, np.float16):
        y, grads = output_and_grads(row.f, variables([device.put(a) for a in row.arrays(dtype)]))
        assert [dtype, *[dtype] * len(grads)] == [y.dtype, *[g.dtype for g in grads]]


@every_differentiable_row
def test_gradients_share_no_memory(row, device):
    """A gradient has its input's shape, can be written, and shares memory with no other array; inputs stay the same."""
    arrays = [device.put(a) for a in row.arrays()]
    xs = variables(arrays)
    y, grads = output_and_grads(row.f, xs)
    assert [g.shape for g in grads] == [x.shape for x in xs if isinstance(x, Variable)]
    kept = [device.get(a).copy() for a in (y, *grads)]
    for i, g in enumerate(grads):
        g += i + 1
    for i, (a, was) in enumerate(zip([y, *grads], kept, strict=True)):
        np.testing.assert_array_equal(device.get(a), was + i)
    for a, was in zip(arrays, row.arrays(), strict=True):
        np.testing.assert_array_equal(device.get(a), was)


@every_differentiable_row
def test_constants_and_recording_change_no_gradient(row, device):
    """A gradient is the same where the other inputs are plain arrays, and where the backward is itself recorded."""
    arrays = [device.put(a) for a in row.arrays()]
    _, expected = output_and_grads(row.f, variables(arrays))
    floats = [i for i, a in enumerate(arrays) if is_float(a)]
    for i, g in zip(floats, expected, strict=True):
        _, (alone,) = output_and_grads(row.f, [Variable(a) if i == j else a for j, a in enumerate(arrays)])
        np.testing.assert_array_equal(device.get(alone), device.get(g))
    _, recorded = output_and_grads(row.f, variables(arrays), create_graph=True)
    for one, g in zip(recorded, expected, strict=True):
        np.testing.assert_allclose(device.get(one), device.get(g), rtol=1e-12, atol=1e-14)


def fortran(a):
    return a.copy(order="F")


def reversed_twice(a):
    """The same elements behind negative strides."""
    backwards = (slice(None, None, -1),) * a.ndim
    return a[backwards].copy()[backwards]


def every_second(a):
    """The same elements with gaps between them."""
    return a.repeat(2, axis=-1)[..., ::2] if a.ndim else a


@every_differentiable_row
def test_any_memory_layout(row, device):
    """Inputs in Fortran's order, with negative strides or with gaps give the same output and gradients."""
    arrays = [device.put(a) for a in row.arrays()]
    y, grads = output_and_grads(row.f, variables(arrays))
    for layout in (fortran, reversed_twice, every_second):
        other_y, others = output_and_grads(row.f, variables([layout(a) for a in arrays]))
        for one, other in zip([y, *grads], [other_y, *others], strict=True):
            np.testing.assert_allclose(device.get(other), device.get(one), rtol=1e-12, atol=1e-14)


def test_a_missing_rule_is_named():
    """An operation whose rules were forgotten says so where its gradient is asked for."""
    for op, xs in ((minitorch.primitive(lambda a: a), 1), (minitorch.primitive(lambda a, b, c: a), 3)):
        y = op(*[Variable(np.ones(2)) for _ in range(xs)])
        with pytest.raises(minitorch.errors.GraphError, match=r"there is no rule for its gradient; give one for each"):
            y.backward()


def test_gradients_of_what_is_not_used():
    """`gradients` gives None for a Variable that the output does not depend on, and leaves every `grad` alone."""
    x, z = Variable(np.ones(2)), Variable(np.ones(2))
    gx, gz = gradients(x * 3.0, [x, z], Variable(np.ones(2)), create_graph=True)
    np.testing.assert_array_equal(gx.data, 3.0)
    assert gz is None
    assert x.grad is None
