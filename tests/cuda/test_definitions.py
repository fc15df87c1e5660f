"""The definitions of the kernels, on the host, against the operations of minitorch and against formulas."""

from typing import Any

import numpy as np
import pytest
from numpy.lib.stride_tricks import sliding_window_view

import minitorch
import minitorch.functions as F
from minitorch import Variable
from minitorch.cuda import kernels
from minitorch.cuda.kernels.sort import sorted_places
from minitorch.ops import embedding, recurrent
from minitorch.optimizers import rules

Array = np.ndarray[Any, Any]
RNG = np.random.default_rng(0)

ACTIVATIONS = {"none": lambda z: z, "relu": F.relu, "sigmoid": F.sigmoid, "tanh": F.tanh, "gelu": F.gelu}


def normal(*shape: int) -> Array:
    return RNG.normal(size=shape).astype(np.float32)


def close(actual: Array, expected: Array, tolerance: float = 1e-5) -> None:
    assert actual.dtype == np.float32
    np.testing.assert_allclose(actual, expected, rtol=tolerance, atol=tolerance)


def differentiate(function: Any, g: Array, *arrays: Array) -> tuple[Array, list[Array]]:
    """The value of a function of Variables, and the gradients of its arguments given that of its value."""
    variables = [Variable(a.astype(np.float64)) for a in arrays]
    y = function(*variables)
    (y * g.astype(np.float64)).sum().backward()
    return y.data, [v.grad.data for v in variables]


@pytest.mark.parametrize("act", kernels.ACTIVATIONS)
@pytest.mark.parametrize("shape", [(5, 3), (2, 3, 4, 5)])
def test_bias_and_activation(act: str, shape: tuple[int, ...]) -> None:
    """`act(x + b)`, and the gradients of both, as by the functions."""
    x, b, g = normal(*shape), normal(shape[1]), normal(*shape)
    along = (shape[1],) + (1,) * (len(shape) - 2)
    y, (dx, db) = differentiate(lambda x, b: ACTIVATIONS[act](x + b.reshape(along)), g, x, b)
    mine = kernels.bias_activation(x, b, act)
    close(mine, y)
    of_x, of_b = kernels.bias_activation_backward(g, x if act == "gelu" else mine, b, act, bias=True)
    close(of_x, dx)
    close(of_b, db)
    assert kernels.bias_activation(x, None, act, out=x) is x


def test_softmax_cross_entropy() -> None:
    """Loss and gradient as by the function, accuracy as by the function; totals are added up."""
    x, t, totals = normal(6, 4), RNG.integers(0, 4, 6), np.array([1.0, 2.0, 3.0])
    y, (dx,) = differentiate(lambda x: F.softmax_cross_entropy(x, t), np.array(2.0), x)
    loss, p = kernels.softmax_cross_entropy_forward(x, t, totals)
    close(loss, y)
    close(kernels.softmax_cross_entropy_backward(np.array(2, np.float32), p, t), dx)
    np.testing.assert_allclose(totals, [1 + 6 * y, 2 + 6 * float(F.accuracy(x, t).data), 9], rtol=1e-6)
    assert np.isnan(kernels.softmax_cross_entropy_forward(x, np.full(6, 4))[0])


OPTIONS = (0.5, 0.25, 0.125)


@pytest.mark.parametrize("clip", [None, np.array(0.5, np.float32)])
def test_updates_are_those_of_the_optimizers(clip: Any) -> None:
    """Each is the rule of its optimizer, for a gradient that is scaled and then has decay added."""
    p, g, s1, s2 = (normal(7) for _ in range(4))
    s2, lr, step = s2 * s2, np.array(0.1, np.float32), np.array(3)
    lr_scale, l2, decay = OPTIONS
    changed = (0.5 if clip is not None else 1.0) * g + l2 * p
    rate = 0.1 * lr_scale

    a = p.copy()
    kernels.sgd(kernels.Tensors([a], options=[OPTIONS]), [g], lr=lr, clip=clip)
    close(a, p - rate * changed)
    for nesterov in (False, True):
        a, v = p.copy(), s1.copy()
        tensors = kernels.Tensors([a], [v], options=[OPTIONS])
        kernels.momentum(tensors, [g], lr=lr, momentum=0.9, nesterov=nesterov, clip=clip)
        b, w = p.copy(), s1.copy()
        rules.momentum(b, changed, w, lr=rate, momentum=0.9, nesterov=nesterov)
        close(a, b)
        close(v, w)
    a, m, v = p.copy(), s1.copy(), s2.copy()
    tensors = kernels.Tensors([a], [m], [v], options=[OPTIONS])
    kernels.adam(tensors, [g], lr=lr, step=step, beta1=0.9, beta2=0.999, eps=1e-4, clip=clip)
    b, of_m, of_v = p.copy(), s1.copy(), s2.copy()
    rules.adam(b, changed, of_m, of_v, t=3, lr=rate, beta1=0.9, beta2=0.999, eps=1e-4, weight_decay=decay)
    for mine, other in ((a, b), (m, of_m), (v, of_v)):
        close(mine, other)


@pytest.mark.parametrize(
    ("name", "states", "settings"),
    [
        ("adagrad", 1, {"eps": 1e-3}),
        ("adadelta", 2, {"rho": 0.9, "eps": 1e-3}),
        ("rmsprop", 1, {"alpha": 0.9, "eps": 1e-3}),
        ("lion", 1, {"beta1": 0.8, "beta2": 0.9}),
    ],
)
def test_more_updates_are_those_of_the_optimizers(name: str, states: int, settings: dict[str, float]) -> None:
    """The same for the others; the decay of the parameter itself is Lion's only."""
    p, g, *state = normal(7), normal(7), *[np.abs(normal(7)) for _ in range(states)]
    lr_scale, l2, decay = OPTIONS
    mine, other = [a.copy() for a in (p, *state)], [a.copy() for a in (p, *state)]
    tensors = kernels.Tensors([mine[0]], *[[a] for a in mine[1:]], options=[OPTIONS])
    getattr(kernels, name)(tensors, [g], lr=np.array(0.1, np.float32), clip=np.array(0.5, np.float32), **settings)
    more = {"weight_decay": decay} if name == "lion" else {}
    getattr(rules, name)(other[0], 0.5 * g + l2 * p, *other[1:], lr=0.1 * lr_scale, **settings, **more)
    for a, b in zip(mine, other, strict=True):
        close(a, b)


def test_averages_move_by_a_share() -> None:
    """Of all tensors at once, as by the rule."""
    averages, weights = [normal(5), normal(2, 3)], [normal(5), normal(2, 3)]
    expected = [a.copy() for a in averages]
    for e, p in zip(expected, weights, strict=True):
        rules.average(e, p, keep=0.75)
    kernels.average(kernels.Tensors(averages, weights), keep=np.array(0.75, np.float32))
    for a, e in zip(averages, expected, strict=True):
        close(a, e)


def test_numbers_are_written() -> None:
    """As many as are given, at the beginning."""
    x = np.zeros(256, np.float32)
    kernels.write_numbers(x, [1.5, 2.5])
    assert x[:3].tolist() == [1.5, 2.5, 0]


def test_many_tensors_need_more_launches() -> None:
    """More parameters than the arguments of one launch have room for are all updated."""
    params = [normal(1 + i % 3) for i in range(600)]
    before = [p.copy() for p in params]
    tensors = kernels.Tensors(params)
    assert len(tensors.groups) == 3
    kernels.sgd(tensors, params, lr=np.array(0.5, np.float32))
    for p, b in zip(params, before, strict=True):
        close(p, b / 2)
    norm, clip = kernels.gradient_norm(tensors, params, 1.0)
    close(norm, np.linalg.norm(np.concatenate(params)))
    close(clip, 1 / norm)


def test_clipping_leaves_short_gradients_and_shows_nan() -> None:
    """The scale is at most 1; a norm that is nan is not hidden."""
    g = normal(3)
    tensors = kernels.Tensors([g])
    assert kernels.gradient_norm(tensors, [g], 100.0)[1] == 1
    assert np.isnan(kernels.gradient_norm(tensors, [np.full(3, np.nan, np.float32)], 1.0)[1])


@pytest.mark.parametrize("shape", [(20, 3), (4, 3, 5, 6)])
def test_batch_norm(shape: tuple[int, ...]) -> None:
    """Normalised values, running statistics with the unbiased variance, all gradients; and inference."""
    x, g, gamma, beta, mean, var = normal(*shape) + 2, normal(*shape), *(normal(3) for _ in range(4))
    axes, along, eps = (0, *range(2, len(shape))), (1, 3) + (1,) * (len(shape) - 2), 1e-3

    def formula(x: Any, gamma: Any, beta: Any) -> Any:
        d = x - x.mean(axis=axes, keepdims=True)
        z = d * ((d * d).mean(axis=axes, keepdims=True) + eps) ** -0.5
        return z * gamma.reshape(along) + beta.reshape(along)

    y, gradients = differentiate(formula, g, x, gamma, beta)
    running = mean.copy(), var.copy()
    moments = kernels.batch_moments(x, running, 0.75)
    close(moments[0], x.mean(axis=axes))
    close(moments[1], x.var(axis=axes))
    close(kernels.batch_norm(x, gamma, beta, *moments, eps=eps), y)
    close(running[0], 0.75 * mean + 0.25 * x.mean(axis=axes))
    close(running[1], 0.75 * var + 0.25 * x.var(axis=axes, ddof=1))
    actual = kernels.batch_norm_gradients(g, x, gamma, *moments, eps=eps, of_batch=True, of_x=True)
    for a, expected in zip(actual, gradients, strict=True):
        close(a, expected, 1e-4)
    dx, *others = kernels.batch_norm_gradients(g, x, gamma, *moments, eps=eps, of_batch=False, of_x=True)
    close(dx, g * (gamma / np.sqrt(moments[1] + np.float32(eps))).reshape(along), 1e-4)
    for a, expected in zip(others, gradients[1:], strict=True):
        close(a, expected, 1e-4)


def test_layer_norm() -> None:
    """As by the function, with all gradients; and without gamma and beta."""
    x, g, gamma, beta = normal(2, 5, 7) + 2, normal(2, 5, 7), normal(7), normal(7)
    y, gradients = differentiate(lambda *a: F.layer_norm(*a, eps=1e-3), g, x, gamma, beta)
    mine, mean, inverse = kernels.layer_norm(x, gamma, beta, eps=1e-3)
    close(mine, y)
    of_parameters = kernels.layer_norm_parameter_gradients(g, x, mean, inverse)
    for a, b in zip((kernels.layer_norm_gradient(g, x, gamma, mean, inverse), *of_parameters), gradients, strict=True):
        close(a, b, 1e-4)
    z = kernels.layer_norm(x, None, None, eps=1e-3)[0]
    close(z * gamma + beta, y)
    close(kernels.layer_norm_gradient(g, x, None, mean, inverse), kernels.layer_norm_gradient(
        g, x, np.ones(7, np.float32), mean, inverse))  # fmt: skip


@pytest.mark.parametrize("size", [1, 2, 7, 8, 9, 1000])
@pytest.mark.parametrize("stream", ["dropout", "another"])
def test_random_bits_are_those_of_the_host(size: int, stream: str) -> None:
    """The same seed, stream, step and draw give the bits of `minitorch.random.bits`, one by one."""
    minitorch.random.set_state((2**64 - 3, 2**33, 5))
    expected = minitorch.random.bits(stream, size)
    actual = kernels.random_bits(stream, size, seed=2**64 - 3, step=np.array(2**33), draw=5)
    np.testing.assert_array_equal(actual, expected, strict=True)


@pytest.mark.parametrize("ratio", [0.25, 0.999, 1.0])
def test_dropout_is_that_of_the_function(ratio: float) -> None:
    """The same elements are dropped as by `F.dropout`, to the bit, and the gradient's are the same."""
    minitorch.random.set_state((3, 4, 5))
    x = normal(40, 5)
    a = Variable(x)
    y = F.dropout(a, ratio)
    y.sum().backward()
    draw = {"seed": 3, "step": np.array(4), "draw": 5}
    np.testing.assert_array_equal(kernels.dropped(x, ratio, **draw), y.data, strict=True)
    np.testing.assert_array_equal(kernels.dropped(np.ones_like(x), ratio, **draw), a.grad.data, strict=True)


GEOMETRY = {"kernel": (2, 3), "stride": (2, 1), "pad": (1, 1)}


def under_window(x: Array, fill: float, dilation: tuple[int, int] = (1, 1)) -> Array:
    """(..., OH, OW, KH, KW)."""
    (kh, kw), (sh, sw), (ph, pw) = GEOMETRY.values()
    padded = np.pad(x, ((0, 0), (0, 0), (ph, ph), (pw, pw)), constant_values=fill)
    reach = (kh - 1) * dilation[0] + 1, (kw - 1) * dilation[1] + 1
    return sliding_window_view(padded, reach, axis=(2, 3))[:, :, ::sh, ::sw, :: dilation[0], :: dilation[1]]


def test_pooling() -> None:
    """The largest and the mean under each window, and of each the adjoint."""
    x = normal(2, 3, 6, 5)
    y = kernels.max_pool(x, **GEOMETRY)
    close(y, under_window(x, -np.inf).max(axis=(-2, -1)))
    g, nudge = normal(*y.shape), np.full_like(x, 1e-3)
    nudged = under_window(x + nudge * np.arange(30).reshape(6, 5), -np.inf).max(axis=(-2, -1))
    dx = kernels.max_pool_gradient(g, x, y, **GEOMETRY)
    np.testing.assert_allclose((dx * nudge * np.arange(30).reshape(6, 5)).sum(), (g * (nudged - y)).sum(), atol=2e-2)
    assert dx.sum() == pytest.approx(g.sum(), rel=1e-5)
    mean = kernels.average_pool(x, **GEOMETRY)
    close(mean, under_window(x, 0).mean(axis=(-2, -1)))
    assert (kernels.average_pool_gradient(g, (6, 5), **GEOMETRY) * x).sum() == pytest.approx((g * mean).sum(), rel=1e-4)


def test_the_first_of_equals_is_the_largest() -> None:
    """Ties go to the first in the window, so that the gradient goes to one pixel; nan wins over numbers."""
    x, g = np.zeros((1, 1, 3, 3), np.float32), np.array([[[[1, 2], [4, 8]]]], np.float32)
    sizes = (2, 2), (1, 1), (0, 0)
    dx = kernels.max_pool_gradient(g, x, kernels.max_pool(x, *sizes), *sizes)
    assert dx.tolist() == [[[[1, 2, 0], [4, 8, 0], [0, 0, 0]]]]
    x[0, 0, 1, 1] = np.nan
    y = kernels.max_pool(x, *sizes)
    assert np.isnan(y).all()
    dx = kernels.max_pool_gradient(g, x, y, *sizes)
    assert dx.tolist() == [[[[0, 0, 0], [0, 15, 0], [0, 0, 0]]]]


@pytest.mark.parametrize("by_image", [True, False])
def test_columns(by_image: bool) -> None:
    """What is under the window, as columns of a matrix for each image or for all, and the adjoint."""
    x = normal(2, 3, 6, 7)
    columns = kernels.im2col(x, **GEOMETRY, dilation=(2, 1), by_image=by_image)
    met = under_window(x, 0, (2, 1)).transpose(0, 1, 4, 5, 2, 3)  # N, C, KH, KW, OH, OW
    expected = met.reshape(2, 18, -1) if by_image else met.transpose(1, 2, 3, 0, 4, 5).reshape(18, -1)
    np.testing.assert_array_equal(columns, expected, strict=True)
    g = normal(*columns.shape)
    back = kernels.col2im(g, x.shape, **GEOMETRY, dilation=(2, 1), by_image=by_image)
    assert (back * x).sum() == pytest.approx((g * columns).sum(), rel=1e-4)


def test_softmax() -> None:
    """As by the function; what is not allowed gets 0 and passes no gradient, also where nothing is."""
    x, g, allowed = normal(2, 3, 5), normal(2, 3, 5), RNG.random((3, 5)) < 0.5
    allowed[1] = False
    y, (dx,) = differentiate(lambda x: F.softmax(0.5 * x, axis=-1), g, x)
    p = kernels.softmax(x, scale=0.5)
    close(p, y)
    close(kernels.softmax_gradient(g, p, scale=0.5), dx)
    e = np.exp(x) * allowed
    some = kernels.softmax(x, allowed, out=x)
    assert some is x
    close(some, e / np.maximum(e.sum(axis=-1, keepdims=True), 1e-30))
    assert not kernels.softmax_gradient(g, some)[:, ~allowed].any()


@pytest.mark.parametrize("count", [1, 5, 2048, 2049, 9000])
def test_sorting(count: int) -> None:
    """By number, and where numbers are equal by place."""
    ids = RNG.integers(0, 50, count)
    keys = sorted_places(ids)[:count]
    places = np.argsort(ids, kind="stable")
    np.testing.assert_array_equal(keys & np.uint64(0xFFFFFFFF), places.astype(np.uint64))
    np.testing.assert_array_equal(keys >> np.uint64(32), ids[places].astype(np.uint64))


def test_accuracy() -> None:
    """The share of rows whose largest element, the first of equals, is at the label."""
    x = np.array([[0, 1, 1], [3, 1, 1], [0, 0, 2]], np.float32)
    share = kernels.accuracy(x, np.array([1, 2, 2]))
    assert share == np.float32(2 / 3)
    assert share.dtype == np.float32


def test_rows_are_added_by_number() -> None:
    """As by the gradient of an embedding; rows that no number names are 0."""
    ids, g = RNG.integers(0, 5, (3, 4)), normal(3, 4, 2, 3)
    actual = kernels.add_rows(g, ids, 7)
    close(actual, embedding.add_rows(g, ids=ids, count=7))
    assert not actual[5:].any()


def test_batches_are_gathered() -> None:
    """The samples that the permutation names, scaled by channel, with their labels; a short last batch is marked."""
    data, labels, order = RNG.integers(0, 256, (7, 2, 3)).astype(np.uint8), RNG.integers(0, 9, 7), RNG.permutation(7)
    scale, shift = normal(2), normal(2)
    x, t = kernels.gather_batch(data, labels, order, np.array(1), rows=4, scale=scale, shift=shift)
    close(x[:3], data[order[4:]] * scale[:, None] + shift[:, None])
    assert t.tolist() == [*labels[order[4:]], -1]
    assert not x[3].any()


@pytest.mark.parametrize("dtype", [np.int32, np.int64])
def test_tokens_and_many_labels_are_gathered_as_they_are(dtype: Any) -> None:
    """Whole numbers stay whole; each sample may have labels of any shape, which may be floats."""
    ids, order = RNG.integers(0, 256, (7, 3)).astype(dtype), RNG.permutation(7)
    for labels, none in ((ids + 1, -1), (normal(7, 2, 2), np.nan)):
        x, t = kernels.gather_batch(ids, labels, order, np.array(1), rows=4, scale=None, shift=None)
        np.testing.assert_array_equal(x, np.concatenate([ids[order[4:]], np.zeros((1, 3), dtype)]), strict=True)
        np.testing.assert_array_equal(t[:3], labels[order[4:]], strict=True)
        np.testing.assert_array_equal(t[3], np.full(labels.shape[1:], none, labels.dtype), strict=True)


def test_windows_of_sequences_are_gathered() -> None:
    """Sample i begins at element i; the sequences are there once."""
    ids, order = RNG.integers(0, 256, 9), RNG.permutation(6)
    windows = np.lib.stride_tricks.sliding_window_view(ids, 3)
    x, t = kernels.gather_batch(ids[:-1], ids[1:], order, np.array(1), rows=4, scale=None, shift=None, window=3)
    np.testing.assert_array_equal(x, [*windows[order[4:]], *np.zeros((2, 3))])
    np.testing.assert_array_equal(t, [*windows[order[4:] + 1], *np.full((2, 3), -1)])


def test_lstm_cell() -> None:
    """As by the operation, with all gradients."""
    a, h, c, W, g = normal(3, 8), normal(3, 2), normal(3, 2), normal(2, 8), normal(2, 3, 2)
    y, (da, _, dc, _) = differentiate(recurrent.lstm_cell, g, a, h, c, W)
    gates = h @ W
    mine, tanh_c = kernels.lstm_cell(a, gates, c)
    close(mine, y)
    d, of_c = kernels.lstm_cell_gradient(g, gates, tanh_c, c)
    close(d, da)
    close(of_c, dc)


def test_gru_cell() -> None:
    """As by the operation, with all gradients."""
    a, h, W, b, g = normal(3, 6), normal(3, 2), normal(2, 6), normal(6), normal(3, 2)
    y, (da, dh, dW, db) = differentiate(recurrent.gru_cell, g, a, h, W, b)
    from_h = h @ W
    mine, gates = kernels.gru_cell(a, from_h, b, h)
    close(mine, y)
    of_a, d, of_h = kernels.gru_cell_gradient(g, gates, from_h, h)
    close(of_a, da)
    close(of_h + d @ W.T, dh)
    close(h.T @ d, dW)
    close(d.sum(axis=0), db)
