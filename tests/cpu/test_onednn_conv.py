"""Convolution by oneDNN: the numbers that NumPy gives, however it is cut, the same bits for any number of threads."""

import math

import numpy as np
import pytest
from hypothesis import given
from test_conv_kernels import convolutions, weighted_sum

import minitorch
import minitorch.functions as F
from minitorch import Variable, using_config
from minitorch.cpu import conv, threads
from minitorch.cpu.onednn import conv as by_onednn
from minitorch.cpu.onednn import library
from minitorch.cpu.window import Window

pytestmark = pytest.mark.skipif(library.find().library is None, reason="needs oneDNN: pip install minitorch[fast]")


def arrays(images, kernels, window, seed=0):
    """Images, weights, a bias and a gradient of the output."""
    rng = np.random.default_rng(seed)
    x, W = rng.standard_normal(images, np.float32), rng.standard_normal(kernels, np.float32)
    g = rng.standard_normal((len(x), len(W), *window.positions(images[2:])), np.float32)
    return x, W, rng.standard_normal(len(W), np.float32), g


def all_three(x, W, b, g, window, groups):
    """The output, and the gradients for images and weights."""
    return (
        conv.conv2d(x, W, b, window, groups),
        conv.deconv2d(g, W, None, window, groups, x.shape[2:]),
        conv.conv2d_weight(x, g, window, groups),
    )


def plan(result, images, kernels, window, groups=1, biased=False):
    """How a convolution is cut, or None where it is left to NumPy."""
    y = (images[0], kernels[0], *window.positions(images[2:]))
    return by_onednn._plan(result, by_onednn.Geometry(images, kernels, y, window, groups), biased)


def cut(*arguments):
    """In how many runs of images and blocks of channels."""
    found = plan(*arguments)
    return None if found is None else (len(found.runs), len(found.blocks))


@pytest.fixture(autouse=True)
def _forgotten_plans():
    """Plans of a test that sets other limits are not for the next."""
    by_onednn._plan.cache_clear()
    yield
    by_onednn._plan.cache_clear()


@given(convolutions())
def test_any_geometry(case):
    """Where oneDNN takes a convolution, of whatever sizes, it gives what plain sums do."""
    *double, window, groups = case
    x, W, g = (a.astype(np.float32) for a in double)
    if not x.size:
        return
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(by_onednn, "LEAST", 0)
        patch.setattr(by_onednn, "FEW", 0)
        patch.setattr(by_onednn, "WORK", 1)
        by_onednn._plan.cache_clear()
        found = all_three(x, W, None, g, window, groups)
    for one, expected in zip(found, weighted_sum(*double, window, groups), strict=True):
        np.testing.assert_allclose(one, expected, rtol=1e-4, atol=1e-4)


# Images, weights, window, groups; in how many runs of images and blocks of channels the three are cut.
CASES = {
    "runs": ((64, 32, 26, 26), (64, 32, 3, 3), Window((3, 3)), 1, [(16, 1), (16, 1), (16, 1)]),
    "runs that differ": ((17, 32, 20, 20), (48, 32, 5, 5), Window((5, 5), (2, 2), (2, 2)), 1, [(2, 1), (2, 1), (2, 1)]),
    "one image": ((1, 64, 56, 56), (64, 64, 3, 3), Window((3, 3), pad=(1, 1)), 1, [(1, 2), (1, 2), (1, 2)]),
    "many weights": ((16, 256, 4, 4), (256, 256, 3, 3), Window((3, 3), pad=(1, 1)), 1, [(1, 4), (1, 4), (1, 4)]),
    "both": ((16, 64, 16, 16), (64, 64, 3, 3), Window((3, 3), pad=(1, 1)), 1, [(4, 1), (4, 1), (2, 2)]),
    "dilation": ((4, 32, 20, 24), (32, 32, 3, 3), Window((3, 3), dilation=(2, 2)), 1, [(1, 1), (1, 1), (1, 1)]),
    "groups": ((16, 64, 28, 28), (64, 16, 3, 3), Window((3, 3), pad=(1, 1)), 4, [(4, 1), (4, 1), (4, 1)]),
    "depthwise": ((16, 64, 28, 28), (64, 1, 3, 3), Window((3, 3), pad=(1, 1)), 64, [(2, 1), (2, 1), (2, 1)]),
    "1x1": ((16, 64, 16, 16), (128, 64, 1, 1), Window((1, 1), (2, 2)), 1, [(1, 1), (1, 1), (1, 1)]),
    "channels of no block": ((8, 20, 17, 17), (50, 20, 4, 3), Window((4, 3), (1, 2)), 1, [(1, 1), (1, 1), (1, 1)]),
}


@pytest.mark.parametrize("name", CASES)
def test_as_without(name):
    """Output and gradients are those of NumPy's kernels, and what is cut is cut as the shapes say."""
    images, kernels, window, groups, cuts = CASES[name]
    x, W, b, g = arrays(images, kernels, window)
    if threads.physical_cores():  # the kernels that a processor has decide whether there is a plan
        found = [cut(result, images, kernels, window, groups) for result in "yxW"]
        assert all(each is None or each == expected for each, expected in zip(found, cuts, strict=True))
    results = all_three(x, W, b, g, window, groups)
    with using_config("use_onednn", False):
        for one, expected in zip(results, all_three(x, W, b, g, window, groups), strict=True):
            np.testing.assert_allclose(one, expected, rtol=1e-4, atol=1e-5 * np.abs(expected).max())
            assert one.flags.c_contiguous


@pytest.mark.parametrize("name", CASES)
def test_same_bits_for_any_number_of_threads(name):
    """The number of threads changes no bit of the output or of a gradient."""
    images, kernels, window, groups, _ = CASES[name]
    x, W, b, g = arrays(images, kernels, window)
    before, results = threads.get_num_threads(), []
    try:
        for n in (1, 2, 3):
            minitorch.set_num_threads(n)
            results.append([a.tobytes() for a in all_three(x, W, b, g, window, groups)])
    finally:
        minitorch.set_num_threads(before)
    assert all(result == results[0] for result in results)


def test_what_numpy_does_as_fast_is_left_to_it():
    """Small convolutions, images of few channels where they are the result, few places, and empty batches."""
    assert cut("y", (1, 3, 8, 8), (4, 3, 3, 3), Window((3, 3))) is None
    assert cut("x", (64, 3, 28, 28), (32, 3, 3, 3), Window((3, 3))) is None
    assert cut("y", (64, 32, 28, 28), (1, 32, 3, 3), Window((3, 3))) is None
    few = (16, 512, 2, 2), (512, 512, 3, 3), Window((3, 3), pad=(1, 1))
    assert [cut(result, *few) for result in "yxW"] == [None] * 3
    x, W, b, g = arrays((0, 32, 9, 9), (32, 32, 3, 3), Window((3, 3)))
    y, gx, gW = all_three(x, W, b, g, Window((3, 3)), 1)
    assert (y.shape, gx.shape) == (g.shape, x.shape)
    assert not gW.any()


def test_double_precision_stays_double():
    """float64 never goes to oneDNN, nor does a product of the two types."""
    images, kernels, window, groups, _ = CASES["dilation"]
    x, W, _, _ = arrays(images, kernels, window)
    for a, b in ((x.astype(np.float64), W), (x, W.astype(np.float64))):
        y = conv.conv2d(a, b, None, window, groups)
        assert y.dtype == np.float64
        np.testing.assert_array_equal(y, conv.conv2d(x.astype(np.float64), W.astype(np.float64), None, window, groups))


def test_a_bias_of_another_type_or_order():
    """A bias need not be an array in C order, nor float32."""
    images, kernels, window, groups, _ = CASES["dilation"]
    x, W, b, g = arrays(images, kernels, window)
    expected = conv.conv2d(x, W, b, window, groups)
    for other in (b.astype(np.float64), np.repeat(b, 2)[::2]):
        np.testing.assert_array_equal(conv.conv2d(x, W, other, window, groups), expected)
    bias = np.arange(kernels[1], dtype=np.float32)
    with_bias = conv.deconv2d(g, W, bias, window, groups, images[2:])
    np.testing.assert_array_equal(
        with_bias, conv.deconv2d(g, W, None, window, groups, images[2:]) + bias.reshape(-1, 1, 1)
    )


def test_views_are_taken_too():
    """Images and weights that are views give what their copies give."""
    images, kernels, window, groups, _ = CASES["dilation"]
    x, W, b, g = arrays(images, kernels, window)
    turned = np.asfortranarray(x), np.asfortranarray(W), b, np.asfortranarray(g)
    for one, two in zip(all_three(*turned, window, groups), all_three(x, W, b, g, window, groups), strict=True):
        np.testing.assert_array_equal(one, two)


def test_special_values():
    """Infinities and NaN come out where they meet the kernel, and nowhere else."""
    x = np.ones((1, 32, 12, 12), np.float32)
    W = np.ones((32, 32, 3, 3), np.float32)
    x[0, 3, 2, 2], x[0, 5, 9, 9] = np.nan, np.inf
    assert plan("y", x.shape, W.shape, Window((3, 3))) is not None
    y = conv.conv2d(x, W, None, Window((3, 3)), 1)
    assert np.isnan(y[0, :, :3, :3]).all()
    assert np.isinf(y[0, :, 7:, 7:]).all()
    y[0, :, :3, :3] = y[0, :, 7:, 7:] = 288
    np.testing.assert_array_equal(y, 288)


def test_second_derivative():
    """A gradient of a gradient goes by the same kernels."""
    images, kernels, window, _, _ = CASES["dilation"]
    x, W, _, _ = arrays(images, kernels, window)

    def second():
        a, w = Variable(x), Variable(W)
        F.sum(F.conv2d(a, w, dilation=2) ** 2).backward(create_graph=True)
        slope = a.grad
        a.cleargrad()
        w.cleargrad()
        F.sum(slope**2).backward()
        return w.grad.data

    found = second()
    with using_config("use_onednn", False):
        expected = second()
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-5 * np.abs(expected).max())


def test_work_decides_how_many_tasks_there_are():
    """Tasks are a power of two, up to a limit, and images are never cut."""
    window = Window((3, 3), pad=(1, 1))
    counts = [math.prod(cut("y", (n, 64, 16, 16), (64, 64, 3, 3), window)) for n in (1, 4, 16, 64, 256)]
    assert counts == sorted(counts)
    assert set(counts) <= {1, 2, 4, 8, 16}
    assert counts[-1] == 16


def test_large_images_are_taken_one_by_one():
    """What a task lays out anew stays small, so that the memory that is kept for it does."""
    large = (64, 64, 112, 112), (64, 64, 3, 3), Window((3, 3), pad=(1, 1))
    assert [cut(result, *large) for result in "yxW"] == [(64, 1), (64, 1), (16, 1)]
