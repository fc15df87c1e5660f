"""Spiral and SinCurve: the toy problems of the book, the same in every run."""

import math

import numpy as np
import pytest

from minitorch.datasets import SinCurve, Spiral, get_spiral


@pytest.mark.parametrize(("train", "seed"), [(True, 1984), (False, 2020)])
def test_spiral_has_the_points_of_the_book(train, seed):
    """Point by point, the definition of the book: 100 points a class on an arm, noise in the angle, then shuffled."""
    generator = np.random.RandomState(seed)
    x, t = [], []
    for arm in range(3):
        for i in range(100):
            rate = i / 100
            theta = arm * 4.0 + 4.0 * rate + generator.randn() * 0.2
            x.append((rate * math.sin(theta), rate * math.cos(theta)))
            t.append(arm)
    order = generator.permutation(300)
    spiral = Spiral(train)
    np.testing.assert_allclose(spiral.data, np.array(x, np.float32)[order], rtol=1e-6)
    np.testing.assert_array_equal(spiral.label, np.array(t)[order])


def test_spiral_types_and_shapes():
    """The points are float32 (300, 2), the classes integer (300,); the function and the class agree."""
    x, t = get_spiral(train=False)
    assert (x.shape, x.dtype, t.shape, t.dtype) == ((300, 2), np.float32, (300,), np.int64)
    np.testing.assert_array_equal(Spiral(train=False).data, x)


def test_sin_curve_is_a_sine_and_its_next_value():
    """The target is the value one step later; the train part is a sine within the noise, the test part a cosine."""
    train, test = SinCurve(), SinCurve(train=False)
    angle = np.linspace(0, 2 * np.pi, 1000)
    for dataset, y, noise in ((train, np.sin(angle), 0.05), (test, np.cos(angle), 1e-6)):
        assert (dataset.data.shape, dataset.data.dtype) == ((999, 1), np.float32)
        np.testing.assert_array_equal(dataset.data[1:], dataset.label[:-1])
        assert np.abs(dataset.data[:, 0] - y[:-1]).max() <= noise
    assert np.abs(train.data[:, 0] - np.sin(angle)[:-1]).max() > 0.045
    np.testing.assert_array_equal(SinCurve().data, train.data)


def test_toy_problems_touch_no_global_generator():
    """Making a data set leaves the program's own random numbers as they were."""
    before = np.random.get_state()[1].copy()  # noqa: NPY002  # it is the global generator that must stay
    Spiral()
    SinCurve()
    np.testing.assert_array_equal(np.random.get_state()[1], before)  # noqa: NPY002
