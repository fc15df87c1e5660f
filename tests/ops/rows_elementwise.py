"""Rows of the table of primitives: element by element."""

import numpy as np
from op_table import Row

from minitorch.ops import elementwise as e

MASK = np.array([[True, False, True], [False, True, True]])


def _binary(name, op, domain=(-2.0, 2.0)):
    """Two operands in every way in which they may be broadcast."""
    shapes = [
        [(2, 3), (2, 3)],
        [(2, 3), (3,)],
        [(3,), (2, 3)],
        [(2, 1), (1, 3)],
        [(2, 3), ()],
        [(), (2, 3)],
        [(), ()],
        [(1,), ()],
        [(4, 1, 3), (2, 1)],
    ]
    return [
        *[Row(name, op, inputs, domain) for inputs in shapes],
        Row(name, lambda a: op(a, 1.25), [(2, 3)], domain, note="scalar right"),
        Row(name, lambda a: op(1.25, a), [(2, 3)], domain, note="scalar left"),
        Row(name, lambda a: op(a, a), [(2, 3)], domain, note="with itself"),
    ]


ROWS = [
    *_binary("add", e.add),
    *_binary("sub", e.sub),
    *_binary("mul", e.mul),
    *_binary("div", e.div, (0.5, 2.0)),
    Row("div", e.div, [(2, 3), (2, 3)], (-2.0, -0.5), note="negative"),
    *_binary("pow", e.pow_, (0.5, 2.0)),
    Row("pow", lambda a: e.pow_(a, 2), [(2, 3)], order=3, note="squared"),
    Row("pow", lambda a: e.pow_(a, 3), [(2, 3)], order=3, note="cubed"),
    Row("pow", lambda a: e.pow_(a, 1), [(2, 3)], note="to the 1"),
    Row("pow", lambda a: e.pow_(a, 0), [(2, 3)], note="to the 0"),
    Row("pow", lambda a: e.pow_(a, -2), [(2, 3)], (0.5, 2.0), note="to the -2"),
    Row("pow", lambda a: e.pow_(a, 0.5), [(2, 3)], (0.5, 2.0), note="to the 1/2"),
    *_binary("maximum", e.maximum),
    *_binary("minimum", e.minimum),
    Row("neg", e.neg, [(2, 3)]),
    Row("exp", e.exp, [(2, 3)], order=3),
    Row("log", e.log, [(2, 3)], (0.5, 2.0), order=3),
    Row("sqrt", e.sqrt, [(2, 3)], (0.5, 2.0), order=3),
    Row("abs", e.abs_, [(2, 3)]),
    Row("sin", e.sin, [(2, 3)], order=3),
    Row("cos", e.cos, [(2, 3)], order=3),
    Row("tanh", e.tanh, [(2, 3)], order=3),
    Row("tanh", e.tanh, [()], order=3),
    Row("sigmoid", e.sigmoid, [(2, 3)], order=3),
    Row("relu", e.relu, [(2, 3)]),
    Row("clip", lambda a: e.clip(a, low=-1.0, high=0.5), [(4, 3)]),
    Row("clip", lambda a: e.clip(a, low=None, high=0.5), [(4, 3)], note="from above"),
    Row("clip", lambda a: e.clip(a, low=-1.0, high=None), [(4, 3)], note="from below"),
    Row("cast", lambda a: e.cast(a, dtype=a.dtype), [(2, 3)], note="to its own dtype"),
    Row("where", e.where, [MASK, (2, 3), (2, 3)]),
    Row("where", e.where, [MASK, (3,), (2, 1)]),
    Row("where", e.where, [MASK[0], (2, 3), ()]),
    Row("where", lambda c, a: e.where(c, a, 0.5), [MASK, (2, 3)], note="scalar right"),
    Row("where", lambda c, a: e.where(c, 0.5, a), [MASK, (2, 3)], note="scalar left"),
    Row("dropout", lambda a, mask: e.dropout(a, mask, scale=2.0), [(2, 3), MASK]),
    Row("sign", e.sign, [(2, 3)], order=0),
    Row("share", e.share, [np.array([1.0, 2.0, 3.0]), np.array([3.0, 2.0, 1.0]), np.array([3.0, 2.0, 3.0])], order=0),
    Row("inside", lambda a: e.inside(a, low=-1.0, high=1.0), [(2, 3)], order=0),
    *[
        Row(op.op.name, op, [np.array([1.0, 2.0, 3.0]), np.array([3.0, 2.0, 1.0])], order=0)
        for op in (e.equal, e.not_equal, e.less, e.less_equal, e.greater, e.greater_equal)
    ],
]
