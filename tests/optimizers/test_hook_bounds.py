"""Hooks at their bounds: gradients that need no clipping, what cannot be frozen, and no look at values on a GPU."""

import numpy as np
import pytest

import fake_cupy
from backend import Backend
from minitorch import Layer, Parameter, Variable, optimizers
from minitorch.errors import ConfigError
from minitorch.models import MLP


class TwoWeights(Layer):
    """A layer with the Parameters a and b, whose gradients are 3 and 4."""

    def __init__(self, device: Backend) -> None:
        super().__init__()
        self.a = Parameter(device.put(np.ones(1, np.float32)))
        self.b = Parameter(device.put(np.ones((1, 1), np.float32)))
        self.a.grad = Variable(device.put(np.full(1, 3, np.float32)))
        self.b.grad = Variable(device.put(np.full((1, 1), 4, np.float32)))


@pytest.mark.parametrize(
    ("max_norm", "clipped"), [(2.5, [1.5, 2.0]), (5.1, [3.0, 4.0]), (100, [3.0, 4.0]), (0, [0, 0])]
)
def test_clip_grad_bounds_the_norm_over_all(max_norm: float, clipped: list[float], device: Backend) -> None:
    """Gradients of norm 5 are scaled to max_norm where that is less, and left alone where it is more."""
    layer = TwoWeights(device)
    optimizers.ClipGrad(max_norm)(list(layer.params()))
    seen = [device.get(p.grad.data).item() for p in layer.params()]
    assert seen == pytest.approx(clipped, rel=1e-6, abs=0)


@pytest.mark.parametrize("name", ["SGD", "MomentumSGD", "AdaGrad", "AdaDelta", "RMSprop", "Adam", "AdamW", "Lion"])
def test_an_update_on_a_gpu_waits_for_nothing_and_can_be_captured(name: str) -> None:
    """Neither hooks nor rules move data between host and device, nor call what CuPy refuses during a capture."""
    with fake_cupy.installed() as cupy:
        layer = TwoWeights(Backend("fake", cupy))
        optimizer = getattr(optimizers, name)().setup(layer, groups={"b": {"lr_scale": 0.5}})
        optimizer.add_hook(optimizers.WeightDecay(0.1)).add_hook(optimizers.ClipGrad(1.0))
        optimizer.update()
        with cupy.cuda.Stream(non_blocking=True) as stream, fake_cupy.no_transfers():
            stream.begin_capture()
            for _ in range(40):
                optimizer.update()
            stream.end_capture()


def test_freeze_param_takes_layers_and_parameters_only() -> None:
    """A path is refused with an example of what to give instead."""
    with pytest.raises(ConfigError, match=r"^FreezeParam: got 'l0\.\*'; give layers, models or Parameters, such as"):
        optimizers.FreezeParam(MLP((3, 2)), "l0.*")
