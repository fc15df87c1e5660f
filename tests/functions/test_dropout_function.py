"""`dropout`: masks that depend on the seed alone."""

import numpy as np
import pytest

import fake_cupy
import minitorch
import minitorch.functions as F
from minitorch import Variable, test_mode
from minitorch.cuda import CapturedStep, DeviceScalar
from minitorch.errors import ConfigError

X = np.ones((50, 40), np.float32)


@pytest.mark.parametrize("ratio", [0.1, 0.5, 0.9])
def test_share_and_scale(ratio, device):
    """About `ratio` of the elements are zero, the others are scaled so that the mean stays; dtype and shape stay."""
    y = F.dropout(Variable(device.put(X)), ratio)
    values = device.get(y.data)
    assert abs((values == 0).mean() - ratio) < 0.05
    np.testing.assert_allclose(values[values != 0], 1 / (1 - ratio), rtol=1e-6)
    assert (y.shape, y.dtype) == (X.shape, np.float32)


def test_the_gradient_has_the_same_mask(device):
    """What was zeroed gets no gradient, what was scaled gets a scaled one."""
    x = Variable(device.put(X))
    y = F.dropout(x, 0.3)
    y.backward()
    np.testing.assert_array_equal(device.get(x.grad.data), device.get(y.data))


def test_masks_are_the_same_on_every_device(device):
    """Seed and order of the draws decide the mask, and nothing else."""
    on_device = [device.get(F.dropout(device.put(X)).data) for _ in range(2)]
    minitorch.seed(0)
    on_host = [F.dropout(X).data for _ in range(2)]
    for one, other in zip(on_device, on_host, strict=True):
        np.testing.assert_array_equal(one, other)
    assert not np.array_equal(on_host[0], on_host[1])


def test_on_a_device_nothing_moves_and_no_mask_is_kept():
    """Forward and backward are a launch each, besides one that writes the number of the step, once a step."""
    with fake_cupy.installed() as cupy:
        x = Variable(cupy.asarray(X))
        F.dropout(x, 0.3)
        fake_cupy.machine.launches.clear()
        with fake_cupy.no_transfers():
            minitorch.random.begin_step(3)
            F.dropout(F.dropout(x, 0.3), 0.4).backward()
        assert fake_cupy.machine.launches == ["dropout"] * 4


@pytest.mark.parametrize("shape", [(3, 4), (5,), ()])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_gradient_has_the_mask_of_its_forward(shape, dtype, device):
    """Also where another step has begun meanwhile, or the array is no row of memory, and when it is recorded."""
    x = np.ones((*shape[::-1], 2), dtype)[..., 0].T
    a = Variable(device.put(x))
    minitorch.random.begin_step(1)
    y = F.dropout(a, 0.5)
    minitorch.random.begin_step(2)
    F.dropout(a, 0.5)
    y.backward(create_graph=True)
    np.testing.assert_array_equal(device.get(a.grad.data), device.get(y.data))
    minitorch.random.begin_step(1)
    np.testing.assert_array_equal(device.get(y.data), F.dropout(x, 0.5).data)


def test_a_counter_on_the_device_numbers_the_steps():
    """Inside `counted_by` a captured dropout draws by the number that the counter has at each launch."""
    with fake_cupy.installed() as cupy:
        x, counter = cupy.asarray(X), DeviceScalar(4, np.int64)

        def work():
            minitorch.random.begin_step(0)
            with minitorch.random.counted_by(counter.array):
                return F.dropout(x, 0.5).data

        step = CapturedStep(work)
        step.warm_up()
        step.capture()
        for number in (4, 9):
            counter.set(number)
            y = step.launch()
            minitorch.random.begin_step(number)
            np.testing.assert_array_equal(y.get(), F.dropout(X, 0.5).data)


def test_the_step_decides_the_mask():
    """Within a training step masks are numbered from 0, whatever was drawn before."""
    masks = []
    for drawn_before in (0, 3):
        for _ in range(drawn_before):
            F.dropout(X)
        minitorch.random.begin_step(5)
        masks.append(F.dropout(X).data)
    np.testing.assert_array_equal(*masks)


def test_ratio_zero_and_test_mode_pass_the_input_on():
    """Nothing is computed or drawn: the very Variable comes back."""
    x = Variable(X)
    state = minitorch.random.get_state()
    assert F.dropout(x, 0) is x
    with test_mode():
        assert F.dropout(x, 0.5) is x
        assert F.dropout(X, 0.5).data is X
    assert minitorch.random.get_state() == state


def test_ratio_one_zeroes_everything(device):
    """All elements and all gradients are zero, without a division by zero."""
    x = Variable(device.put(X))
    y = F.dropout(x, 1)
    y.backward()
    assert not device.get(y.data).any()
    assert not device.get(x.grad.data).any()


@pytest.mark.parametrize("wrong", [-0.1, 1.5, float("nan")], ids=repr)
def test_a_ratio_is_a_probability(wrong):
    """Anything outside [0, 1] is refused."""
    with pytest.raises(
        ConfigError, match=rf"^dropout: dropout_ratio {wrong!r} is not a probability; it must be from 0 "
    ):
        F.dropout(X, wrong)
