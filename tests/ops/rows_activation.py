"""Rows of the table of primitives: activations beyond sigmoid, tanh and relu."""

import numpy as np
from op_table import Row

from minitorch.ops import activation as a

AROUND_0 = np.array([[-1.5, -0.3, 0.4], [2.0, -2.5, 0.7]])

ROWS = [
    Row("leaky_relu", lambda x: a.leaky_relu(x, slope=0.2), [AROUND_0]),
    Row("leaky_relu", lambda x: a.leaky_relu(x, slope=-1.5), [AROUND_0], note="a negative slope"),
    Row("elu", lambda x: a.elu(x, alpha=0.5), [AROUND_0]),
    Row("softplus", a.softplus, [(2, 3)]),
    Row("softplus", a.softplus, [()]),
    Row("silu", a.silu, [(2, 3)]),
    Row("silu", a.silu, [()]),
    Row("erf", a.erf, [(2, 3)]),
    Row("erf", a.erf, [()]),
    Row("erf", a.erf, [(2, 9000)], domain=(-1.0, 1.0), note="several blocks"),
    Row("gelu", a.gelu, [(2, 3)]),
    Row("gelu", a.gelu, [()]),
    Row("gelu_tanh", a.gelu_tanh, [(2, 3)]),
    Row("gelu_tanh", a.gelu_tanh, [()]),
]
