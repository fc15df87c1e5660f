"""GradientClipping: by norm as the optimizer's hook does, by value, logged, and without waiting for a device."""

import numpy as np
import pytest
import small_runs

import fake_cupy
import minitorch
from minitorch.errors import ConfigError
from minitorch.optimizers import SGD, ClipGrad
from minitorch.trainer.callbacks import DevicePlacement, GradientClipping


def fitted(*callbacks, **settings):
    """A run of an epoch."""
    minitorch.seed(0)
    run = small_runs.trainer(*callbacks, **settings)
    run.fit(small_runs.batches(), epochs=1)
    return run


def test_by_norm_it_is_the_hook_of_the_optimizer():
    """The weights are those of a run whose optimizer clips, and others than without."""
    one = fitted(GradientClipping(norm=0.1))
    assert small_runs.weights(one) == small_runs.weights(fitted(optimizer=SGD(0.1).add_hook(ClipGrad(0.1))))
    assert small_runs.weights(one) != small_runs.weights(fitted())


def test_the_norm_before_is_logged():
    """Its mean over the samples of an epoch is among the metrics, clipped or not."""
    norms = []

    def note(trainer):
        grads = [param.grad.data for param in trainer.model.params()]
        norms.append(np.sqrt(sum(float((g.astype(np.float64) ** 2).sum()) for g in grads)))

    run = fitted(small_runs.at("on_after_backward", note, phase=0), GradientClipping(norm=1e9))
    assert run.history[0]["grad_norm"] == pytest.approx(np.mean(norms), rel=1e-6)
    assert fitted(GradientClipping(norm=1e-3)).history[0]["grad_norm"] > 0.1


def test_by_value_every_number_is_within_bounds():
    """What is beyond a bound comes to lie on it, and the rest stays as it is."""
    seen = []

    def note(trainer):
        seen.append([param.grad.data.copy() for param in trainer.model.params()])

    fitted(
        small_runs.at("on_after_backward", note, phase=0),
        GradientClipping(value=0.05),
        small_runs.at("on_after_backward", note, phase=5),
    )
    for before, after in zip(seen[::2], seen[1::2], strict=True):
        for g, clipped in zip(before, after, strict=True):
            np.testing.assert_array_equal(clipped, np.clip(g, -0.05, 0.05))
    assert max(np.abs(g).max() for g in seen[0]) > 0.05


@pytest.mark.parametrize("bound", [{"norm": 0.1}, {"value": 0.05}])
def test_on_a_device_nobody_waits(bound):
    """Clipping there moves nothing to the host, and gives the numbers of the host."""
    with fake_cupy.installed():
        callback = GradientClipping(**bound)

        def clip(trainer):
            with fake_cupy.no_transfers():
                callback.on_after_backward(trainer)

        run = fitted(DevicePlacement("cuda"), small_runs.at("on_after_backward", clip))
        run.model.to_cpu()
    other = fitted(GradientClipping(**bound))
    for a, b in zip(run.model.params(), other.model.params(), strict=True):
        np.testing.assert_allclose(a.data, b.data, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({}, r"GradientClipping\(norm=None, value=None\): give exactly one of norm= and value="),
        ({"norm": 1.0, "value": 1.0}, r"GradientClipping\(norm=1\.0, value=1\.0\): give exactly one"),
        ({"norm": 0.0}, r"GradientClipping: norm is 0\.0; it must be a positive float"),
        ({"value": "1"}, r"GradientClipping: value is '1'; it must be a positive float"),
    ],
)
def test_settings_that_are_not_allowed(given, message):
    """The error names the setting, its value and the rule."""
    with pytest.raises(ConfigError, match=message):
        GradientClipping(**given)
