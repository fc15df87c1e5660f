"""What happens where a Variable stands on the right of an array: operators, and updates of the array in place.

`array * variable` is a Variable; `array -= variable` writes into the array, which can remember no history, so that
the Variable must have none.
"""

from typing import Any

import numpy as np

from minitorch.autograd.node import Array, Value
from minitorch.autograd.primitive import describe
from minitorch.errors import DeviceError, DTypeError, GraphError
from minitorch.ops import elementwise, linalg

ARITHMETIC = {
    "add": elementwise.add,
    "subtract": elementwise.sub,
    "multiply": elementwise.mul,
    "divide": elementwise.div,
    "power": elementwise.pow_,
    "matmul": linalg.matmul,
}
COMPARISONS = {
    "equal": elementwise.equal,
    "not_equal": elementwise.not_equal,
    "less": elementwise.less,
    "less_equal": elementwise.less_equal,
    "greater": elementwise.greater,
    "greater_equal": elementwise.greater_equal,
}


class ArrayUfunc:
    """`__array_ufunc__` of a class of Values: a function for NumPy, None for CuPy.

    NumPy looks it up on the class, and asks nobody but this function what `array -= variable` is. CuPy looks it up on
    the object: None leaves an operator to the Variable, anything else to the CuPy array, which would lose the history.
    What CuPy asks for in place is `__cupy_get_ndarray__`.
    """

    def __get__(self, value: Value | None, owner: type[Value]) -> Any:
        return array_ufunc if value is None else None


def array_ufunc(value: Value, ufunc: Any, method: str, *inputs: Any, out: Any = (), **settings: Any) -> Any:
    """Apply the function `ufunc` of NumPy, which is that of an operator, to `inputs`, one of which is `value`.

    Raises:
        DTypeError: it is that of no operator.
        GraphError: `out` is an array to be updated, and `value` has a history.
        DeviceError: `out` is an array to be updated, and `value` is on a GPU.
    """
    if method == "__call__" and not settings:
        if not out and ufunc.__name__ in ARITHMETIC:
            return ARITHMETIC[ufunc.__name__](*inputs)
        if not out and ufunc.__name__ in COMPARISONS:
            return COMPARISONS[ufunc.__name__](*map(number_of, inputs))
        if len(out) == 1 and len(inputs) == 2 and inputs[0] is out[0] and inputs[1] is value:
            return ufunc(out[0], operand_in_place(value, on_host=True), out=out)
    call = ufunc.__name__ if method == "__call__" else f"{ufunc.__name__}.{method}"
    settings = {"out": out, **settings} if out else settings
    given = f" with {', '.join(settings)}" if settings else ""
    raise DTypeError(
        f"numpy.{call}{given} takes no Variable: use the function of minitorch.functions, or v.data where no gradient "
        "is wanted"
    )


def number_of(a: Any) -> Any:
    """What NumPy made a 0-d array of, to compare it: a number, which is on every device. Anything else as it is."""
    return a.item() if isinstance(a, np.ndarray) and not a.ndim else a


def operand_in_place(value: Value, *, on_host: bool) -> Array:
    """The array of `value`, with which an array on the host, or one on a GPU, is to be updated in place.

    Raises:
        GraphError: gradients are wanted of `value`; the array could not pass them on.
        DeviceError: the two are on different devices.
    """
    if value.node is not None:
        raise GraphError(
            f"in place: an array is updated with a Variable, {describe(value)}, that gradients pass through, and an "
            "array passes none on; use v.data, or make a new Variable: a = a - v"
        )
    if isinstance(value.data, np.ndarray) is not on_host:
        places = ("host", "GPU") if on_host else ("GPU", "host")
        raise DeviceError(
            f"in place: an array on the {places[0]} is updated with a Variable, {describe(value)}, on the {places[1]}; "
            "move one of them, with to_gpu() or to_cpu()"
        )
    return value.data
