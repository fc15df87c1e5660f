"""Convolution, its transpose and columns: numbers as PyTorch's, derivatives, dtypes, and errors that help."""

import gc
import json

import numpy as np
import pytest
from golden_images import CASES, FILE, numbers, running_averages
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import minitorch
import minitorch.functions as F
from minitorch import Variable
from minitorch.cpu.window import Window
from minitorch.errors import ConfigError, ShapeError
from minitorch.utils import directional_check, get_conv_outsize, get_deconv_outsize


def by_us(case, put=np.asarray):
    """What `golden_images.by_torch` gives, of the functions here; arrays are made with `put`."""
    given = [Variable(put(a)) for a in case.arrays()]
    if case.function != "batch_norm":
        averages = []
        y = getattr(F, case.function)(*given, **case.settings)
    else:
        averages = [put(a) for a in running_averages()]
        with minitorch.using_config("train", case.settings["train"]):
            y = F.batch_norm(*given, *averages)
    y.grad = Variable(put(numbers(9, y.shape)))
    y.backward()
    return [y.data, *[a.grad.data for a in given], *averages]


@pytest.mark.parametrize("name", CASES)
def test_golden_values(name, device):
    """On every device, output and gradients are those that PyTorch computed."""
    golden = json.loads(FILE.read_text())[name]
    for found, expected in zip(by_us(CASES[name], device.put), golden, strict=True):
        np.testing.assert_allclose(device.get(found), expected, rtol=1e-9, atol=1e-11)


def pairs(least, most):
    return st.tuples(st.integers(least, most), st.integers(least, most))


def random_float32(*shapes):
    rng = np.random.default_rng(0)
    return [rng.standard_normal(shape, np.float32) for shape in shapes]


def compare(y, inputs, torch_y, torch_inputs, torch):
    """Compare an output and all gradients with PyTorch's, to 1e-5 of the largest of each."""
    g = np.random.default_rng(1).standard_normal(y.shape, np.float32)
    y.grad = Variable(g)
    y.backward()
    torch_y.backward(torch.tensor(g))
    ours = [y.data, *[a.grad.data for a in inputs]]
    theirs = [torch_y.detach().numpy(), *[a.grad.numpy() for a in torch_inputs]]
    for a, b in zip(ours, theirs, strict=True):
        assert a.dtype == np.float32
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-5 * max(1.0, np.abs(b).max()))


@settings(max_examples=50)
@given(
    st.integers(1, 4), st.sampled_from([1, 2, 3]), st.integers(1, 6), st.integers(1, 6), pairs(1, 14),
    pairs(1, 4), pairs(1, 3), pairs(0, 3), pairs(1, 2), st.booleans(),
)  # fmt: skip
def test_conv2d_as_pytorch(n, groups, channels, out, size, kernel, stride, pad, dilation, bias):
    """Output and gradients in float32 equal PyTorch's for any shape, stride, pad, dilation and number of groups."""
    torch = pytest.importorskip("torch")
    assume(min(Window(kernel, stride, pad, dilation).positions(size)) > 0)
    shapes = [(n, channels * groups, *size), (out * groups, channels, *kernel), (out * groups,)]
    arrays = random_float32(*shapes)[: 3 if bias else 2]
    ours = [Variable(a) for a in arrays]
    theirs = [torch.tensor(a, requires_grad=True) for a in arrays]
    y = F.conv2d(*ours, stride=stride, pad=pad, dilation=dilation, groups=groups)
    torch_y = torch.nn.functional.conv2d(*theirs, stride=stride, padding=pad, dilation=dilation, groups=groups)
    compare(y, ours, torch_y, theirs, torch)


@settings(max_examples=30)
@given(
    st.integers(1, 3), st.integers(1, 5), st.integers(1, 5), pairs(1, 8), pairs(1, 4), pairs(1, 3), pairs(0, 2),
    pairs(0, 2),
)  # fmt: skip
def test_deconv2d_as_pytorch(n, channels, out, size, kernel, stride, pad, beyond):
    """Output and gradients in float32 equal PyTorch's, for each output size that the stride leaves possible."""
    torch = pytest.importorskip("torch")
    least = Window(kernel, stride, pad).least_size(size)
    beyond = (min(beyond[0], stride[0] - 1), min(beyond[1], stride[1] - 1))
    assume(min(least) > 0)
    arrays = random_float32((n, channels, *size), (channels, out, *kernel), (out,))
    ours = [Variable(a) for a in arrays]
    theirs = [torch.tensor(a, requires_grad=True) for a in arrays]
    y = F.deconv2d(*ours, stride, pad, outsize=(least[0] + beyond[0], least[1] + beyond[1]))
    torch_y = torch.nn.functional.conv_transpose2d(*theirs, stride, pad, output_padding=beyond)
    compare(y, ours, torch_y, theirs, torch)


def test_second_derivatives(device):
    """Derivatives of gradients are right to second order, as for a penalty on a gradient."""
    rng = np.random.default_rng(0)
    x, W, b = (device.put(rng.standard_normal(shape)) for shape in ((2, 4, 6, 5), (4, 2, 3, 2), (4,)))
    directional_check(lambda x, W, b: F.conv2d(x, W, b, (2, 1), 1, (1, 2), 2), [x, W, b])
    directional_check(lambda x, W, b: F.deconv2d(x, W, b, 2, 1), [x, W, device.put(rng.standard_normal(2))])
    directional_check(lambda x: F.im2col(x, 3, 2, 1), [x])
    columns = device.put(rng.standard_normal((2 * 3 * 3, 4 * 3 * 3)))
    directional_check(lambda c: F.col2im(c, (2, 4, 6, 5), 3, 2, 1), [columns])


def test_gradient_penalty(device):
    """The gradient of a gradient's norm reaches the kernels."""
    x = Variable(device.put(np.random.default_rng(0).standard_normal((2, 3, 5, 5))))
    W = Variable(device.put(np.random.default_rng(1).standard_normal((4, 3, 3, 3))))
    (F.conv2d(x, W, pad=1) ** 2).sum().backward(create_graph=True)
    gx = x.grad
    W.cleargrad()
    (gx**2).sum().backward()
    assert np.abs(device.get(W.grad.data)).min() > 0


@pytest.mark.parametrize(("stride", "pad"), [(1, 0), (2, 1), ((1, 2), (2, 1))])
def test_im2col_and_convolution(stride, pad, device):
    """A convolution is the product of the columns with the kernels, whether as a matrix or not."""
    rng = np.random.default_rng(0)
    x, W = device.put(rng.standard_normal((2, 3, 7, 6))), device.put(rng.standard_normal((4, 3, 3, 2)))
    y = F.conv2d(x, W, stride=stride, pad=pad)
    n, out, height, width = y.shape
    rows = F.matmul(F.im2col(x, (3, 2), stride, pad), W.reshape(4, -1).T).data
    expected = rows.reshape(n, height, width, out).transpose(0, 3, 1, 2)
    np.testing.assert_allclose(device.get(y.data), device.get(expected), rtol=1e-12, atol=1e-12)
    columns = F.im2col(x, (3, 2), stride, pad, to_matrix=False).data
    assert columns.shape == (n, 3, 3, 2, height, width)
    np.testing.assert_array_equal(
        device.get(F.im2col(x, (3, 2), stride, pad).data),
        device.get(columns.transpose(0, 4, 5, 1, 2, 3).reshape(n * height * width, 18)),
    )


def test_col2im_counts(device):
    """Of ones, it gives how often each pixel was gathered."""
    columns = F.im2col(device.put(np.ones((1, 1, 3, 4))), 2).data
    expected = [[[[1, 2, 2, 1], [2, 4, 4, 2], [1, 2, 2, 1]]]]
    np.testing.assert_array_equal(device.get(F.col2im(columns, (1, 1, 3, 4), 2).data), expected)
    unrolled = F.im2col(device.put(np.ones((1, 1, 3, 4))), 2, to_matrix=False).data
    np.testing.assert_array_equal(device.get(F.col2im(unrolled, (1, 1, 3, 4), 2, to_matrix=False).data), expected)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_dtype(dtype):
    """The dtype of the images and kernels is that of output and gradients."""
    x, W = Variable(np.ones((1, 2, 4, 4), dtype)), Variable(np.ones((3, 2, 3, 3), dtype))
    y = F.conv2d(x, W)
    y.backward()
    assert (y.dtype, x.grad.dtype, W.grad.dtype) == (dtype, dtype, dtype)
    assert F.deconv2d(x, np.ones((2, 3, 2, 2), dtype)).dtype == dtype


def test_an_empty_batch(device):
    """No images give no images, and gradients of zero."""
    x, W = Variable(device.put(np.ones((0, 2, 5, 5)))), Variable(device.put(np.ones((3, 2, 3, 3))))
    y = F.conv2d(x, W, device.put(np.ones(3)))
    y.backward()
    assert (y.shape, x.grad.shape) == ((0, 3, 3, 3), (0, 2, 5, 5))
    np.testing.assert_array_equal(device.get(W.grad.data), np.zeros((3, 2, 3, 3)))
    assert F.deconv2d(device.put(np.ones((0, 3, 2, 2))), W).shape == (0, 2, 4, 4)


def test_nothing_is_left_to_the_garbage_collector():
    """After a step the arrays of its graph are gone at once: no cycles."""
    x = Variable(np.ones((2, 3, 8, 8), np.float32))
    W = Variable(np.ones((4, 3, 3, 3), np.float32))

    def step():
        F.pooling(F.relu(F.conv2d(x, W)), 2, 2).sum().backward()

    step()  # the first one loads modules
    gc.collect()
    gc.disable()
    try:
        step()
        assert gc.collect() == 0
    finally:
        gc.enable()


def test_out_sizes():
    """The sizes along one axis, as the functions give them."""
    assert get_conv_outsize(28, 3, 1, 1) == 28
    assert (
        get_conv_outsize(224, 7, 2, 3) == F.conv2d(np.ones((1, 1, 224, 8)), np.ones((1, 1, 7, 7)), None, 2, 3).shape[2]
    )
    assert (
        get_deconv_outsize(7, 4, 2, 1) == F.deconv2d(np.ones((1, 1, 7, 7)), np.ones((1, 1, 4, 4)), None, 2, 1).shape[2]
    )


ones = np.ones


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (
            lambda: F.conv2d(ones((3, 5, 5)), ones((4, 3, 3, 3))),
            ShapeError,
            r"conv2d: x has shape \(3, 5, 5\) and W \(4, 3, 3, 3\); both have four axes, \(N, C, H, W\) for images",
        ),
        (
            lambda: F.conv2d(ones((2, 3, 5, 5)), ones((8, 4, 3, 3))),
            ShapeError,
            r"conv2d: x \(2, 3, 5, 5\) has 3 channels, W \(8, 4, 3, 3\) takes 4 in 1 group\(s\); x is \(N, C, H, W\)",
        ),
        (
            lambda: F.conv2d(ones((2, 4, 5, 5)), ones((6, 4, 3, 3)), groups=2),
            ShapeError,
            r"has 4 channels, W \(6, 4, 3, 3\) takes 8 in 2 group\(s\)",
        ),
        (
            lambda: F.conv2d(ones((2, 4, 5, 5)), ones((6, 2, 3, 3)), groups=3),
            ConfigError,
            r"conv2d: groups is 3; it must divide the 4 channels of x \(2, 4, 5, 5\) and the 6 of W \(6, 2, 3, 3\)",
        ),
        (lambda: F.conv2d(ones((2, 4, 5, 5)), ones((6, 4, 3, 3)), groups=0), ConfigError, "groups is 0; it must"),
        (
            lambda: F.conv2d(ones((2, 3, 5, 5)), ones((8, 3, 3, 3)), ones(3)),
            ShapeError,
            r"conv2d: b has shape \(3,\); there are 8 output channels, so it must be \(8,\)",
        ),
        (
            lambda: F.conv2d(ones((2, 3, 4, 5)), ones((8, 3, 3, 3)), pad=(0, 1), dilation=2),
            ShapeError,
            r"conv2d: a kernel of \(3, 3\) reaches over \(5, 5\) pixels and is larger than the images of x "
            r"\(2, 3, 4, 5\) with pad \(0, 1\); use more pad, a smaller kernel or larger images",
        ),
        (lambda: F.conv2d(ones((2, 3, 4, 5)), ones((8, 3, 3, 3)), stride=0), ConfigError, "conv2d: stride is 0"),
        (
            lambda: F.deconv2d(ones((2, 3, 4, 5)), ones((4, 3, 3, 3))),
            ShapeError,
            r"deconv2d: x \(2, 3, 4, 5\) has 3 channels, W \(4, 3, 3, 3\) takes 4; x is \(N, C, H, W\) and W \(C, OC",
        ),
        (
            lambda: F.deconv2d(ones((2, 3, 1, 2)), ones((3, 4, 3, 3)), pad=2),
            ShapeError,
            r"deconv2d: with x \(2, 3, 1, 2\), W \(3, 4, 3, 3\), stride \(1, 1\) and pad \(2, 2\) the output would be "
            r"\(-1, 0\); use less pad, or give outsize",
        ),
        (
            lambda: F.deconv2d(ones((2, 3, 2, 2)), ones((3, 4, 3, 3)), stride=2, outsize=7),
            ShapeError,
            r"deconv2d: outsize is \(7, 7\); with x .* it is from \(5, 5\) to \(6, 6\)",
        ),
        (lambda: F.deconv2d(ones((2, 3, 2, 2)), ones((3, 4, 3, 3)), outsize=0), ConfigError, "deconv2d: outsize is 0"),
        (
            lambda: F.deconv2d(ones((2, 3, 2, 2)), ones((3, 4, 3, 3)), ones(3)),
            ShapeError,
            r"deconv2d: b has shape \(3,\); there are 4 output channels",
        ),
        (
            lambda: F.im2col(ones((3, 5, 5)), 3),
            ShapeError,
            r"im2col: x has shape \(3, 5, 5\); images are \(N, C, H, W\); for one image use x\[None\]",
        ),
        (lambda: F.im2col(ones((1, 1, 2, 2)), 3), ShapeError, r"im2col: a kernel of \(3, 3\) reaches over \(3, 3\)"),
        (
            lambda: F.col2im(ones((4, 9)), (1, 1, 3, 3), 2),
            ShapeError,
            r"col2im: x has shape \(4, 9\); im2col of images \(1, 1, 3, 3\) gives \(4, 4\)",
        ),
    ],
)  # fmt: skip
def test_errors(call, error, text):
    """What does not fit is named, with the shapes, the rule and what to do."""
    with pytest.raises(error, match=text):
        call()
