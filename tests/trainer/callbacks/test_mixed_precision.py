"""`MixedPrecision` on the stand-in for a GPU: which products are rounded, and how the scale of the loss moves."""

import importlib
import itertools

import numpy as np
import pytest
import small_runs

import fake_cupy
import minitorch
from fake_cupy import cupy
from minitorch import Trainer
from minitorch.cuda import gemm
from minitorch.errors import ConfigError, DeviceError
from minitorch.optimizers import SGD, Adam, Optimizer
from minitorch.trainer.callbacks import Checkpoint, CudaGraph, DevicePlacement, GradientClipping, MixedPrecision

MODES = {"tf32": 77, "bf16": 75, "fp16": 74}


@pytest.fixture(autouse=True)
def _installed():
    with fake_cupy.installed():
        yield


def library():
    return importlib.import_module("minitorch.cuda.cublas").load()


class Exploding(minitorch.Function):
    """The identity, with an infinite derivative."""

    def forward(self, x):
        return x * 1

    def backward(self, g):
        return g * float("inf")


class Overflowing(Trainer):
    """A classifier whose gradients are infinite in the steps `bad`; its loss is not."""

    bad = ()

    def training_step(self, batch):
        loss = minitorch.functions.softmax_cross_entropy(self.model(batch[0]), batch[1])
        return Exploding()(loss) if self.state.step in self.bad else loss


def run(*callbacks, epochs=1, optimizer=None, bad=(), **settings):
    minitorch.seed(0)
    trainer = small_runs.trainer(
        DevicePlacement("cuda"), *callbacks, cls=Overflowing, optimizer=optimizer or SGD(0.1), **settings
    )
    trainer.bad = bad
    trainer.fit(small_runs.batches(4), epochs=epochs)
    return trainer


def arrays(trainer):
    return {path: a.get() for path, a in trainer.model.state_dict().items()}


@pytest.mark.parametrize("format", MODES)
def test_products_are_rounded_during_the_run(format):
    """All products of a run are of the mode asked for, those after it are not; the weights stay float32."""
    trainer = run(MixedPrecision(format))
    assert {mode for _, mode in library().calls} == {MODES[format]}
    assert {a.dtype for a in arrays(trainer).values()} == {np.dtype(np.float32)}
    a = cupy.zeros((2, 2), np.float32)
    gemm(a, a)
    assert library().calls[-1][1] == 68
    assert trainer.loss_scale == 1.0


def test_a_scaled_loss_gives_the_same_gradients():
    """A power of two as the scale changes no bit of a run in which nothing overflows."""
    plain, scaled = run(), run(MixedPrecision("fp16", scale=1024))
    for path, a in arrays(plain).items():
        np.testing.assert_array_equal(arrays(scaled)[path], a)


@pytest.mark.parametrize("optimizer", [lambda: SGD(0.1), lambda: Adam(0.01)])
@pytest.mark.parametrize("extra", [[], [GradientClipping(norm=0.1)]], ids=["", "clipped"])
def test_an_overflow_leaves_out_the_update(optimizer, extra):
    """Parameters and moments of a step that overflows are those of before; the host does not wait to know."""
    seen = []
    note = small_runs.at("on_batch_end", lambda trainer, _: seen.append(
        [a.copy() for a in trainer.model.state_dict().values()]
        + [a.copy() for e in trainer.optimizers[""].state.values() for a in e.values() if hasattr(a, "copy")]
    ))  # fmt: skip
    run(MixedPrecision("fp16"), *extra, note, optimizer=optimizer(), bad=(2,))
    equal = [all((a == b).all().item() for a, b in zip(x, y, strict=True)) for x, y in itertools.pairwise(seen)]
    assert equal == [False, True, False]
    assert all(np.isfinite(a.get()).all() for step in seen for a in step)


def test_the_scale_falls_and_grows():
    """It halves at each overflow, and doubles after so many good updates in a row."""
    scales = []
    precision = MixedPrecision("fp16", scale=8.0, patience=3)
    note = small_runs.at("on_batch_end", lambda trainer, _: scales.append(precision.loss_scale.item()))
    run(precision, note, epochs=3, bad=(0, 1, 7))
    assert scales == [4, 2, 2, 2, 4, 4, 4, 2, 2, 2, 4, 4]
    assert precision.loss_scale is None


def test_the_scale_has_bounds():
    """It stays at least 1, however often the loss overflows."""
    precision = MixedPrecision("fp16", scale=2.0)
    seen = []
    note = small_runs.at("on_batch_end", lambda trainer, _: seen.append(precision.loss_scale.item()))
    run(precision, note, bad=range(4))
    assert seen == [1, 1, 1, 1]


def test_nothing_waits_for_the_device():
    """A step neither reads nor sends anything."""
    inside = fake_cupy.no_transfers()
    trainer = small_runs.trainer(
        DevicePlacement("cuda"), MixedPrecision("fp16"), optimizer=Adam(0.01),
        loss=minitorch.functions.softmax_cross_entropy,
    )  # fmt: skip
    batch = [tuple(cupy.array(a) for a in pair) for pair in small_runs.batches(4)]
    trainer.callbacks.append(
        small_runs.at("on_batch_start", lambda t, b: (t.state.step == 2 and inside.__enter__(), b)[1])
    )
    trainer.callbacks.append(
        small_runs.at("on_batch_end", lambda t, _: t.state.step == 4 and inside.__exit__(None, None, None))
    )
    trainer.fit(batch, epochs=1)
    assert trainer.state.step == 4


def test_the_scale_is_saved_and_restored(tmp_path):
    """Another callback goes on with the scale and the count of good updates."""
    precision = MixedPrecision("fp16", scale=8.0, patience=3)
    states = []
    note = small_runs.at("on_checkpoint", lambda trainer: states.append(
        {key: minitorch.as_numpy(a).copy() for key, a in precision.state_dict().items()}
    ))  # fmt: skip
    run(precision, note, bad=(0,))
    assert [(s["scale"].item(), s["good"].item()) for s in states] == [(4, 0), (4, 1), (4, 2), (8, 0)]
    other = MixedPrecision("fp16", scale=8.0, patience=3)
    other.load_state_dict(states[1])
    after = []
    run(other, small_runs.at("on_batch_end", lambda trainer, _: after.append(other.loss_scale.item())))
    assert after == [4, 8, 8, 8]


def test_after_a_failure_all_is_as_before():
    """A run that fails leaves mode, scale and optimizer as they were, and the next one works."""
    precision, fails = MixedPrecision("fp16"), [True]
    fail = small_runs.at("on_batch_end", lambda trainer, _: 1 / (not fails.pop() if fails else 1))
    trainer = small_runs.trainer(DevicePlacement("cuda"), precision, fail)
    with pytest.raises(ZeroDivisionError):
        trainer.fit(small_runs.batches(2), epochs=1)
    assert trainer.loss_scale == 1.0
    assert trainer.optimizers[""].keep is None
    trainer.fit(small_runs.batches(2), epochs=1)
    assert trainer.state.step == 2


def test_on_the_host_it_is_an_error():
    """A host has no such products; it does not pass over the wish in silence."""
    trainer = small_runs.trainer(DevicePlacement("cpu"), MixedPrecision("bf16"))
    with pytest.raises(
        DeviceError, match=r"MixedPrecision\(format='bf16'.*: the model is on the host, which has no prod"
    ):
        trainer.fit(small_runs.batches(1), epochs=1)


class OneByOne(Optimizer):
    """An optimizer of a user's own."""

    def update_one(self, param):
        """Change it."""
        param.data -= 0.1 * param.grad.data


def test_an_optimizer_that_cannot_leave_out_updates_is_an_error():
    """fp16 needs an update by a launch; the other formats do not."""
    with pytest.raises(DeviceError, match=r"OneByOne updates Parameters one by one, and cannot leave out an update"):
        run(MixedPrecision("fp16"), optimizer=OneByOne())
    run(MixedPrecision("bf16"), optimizer=OneByOne())


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"format": "int8"}, r"format is 'int8'; it must be 'bf16' or 'fp16' or 'tf32'"),
        ({"scale": 0.5}, r"scale is 0.5; it must be a float of at least 1.0"),
        ({"patience": 0}, r"patience is 0; it must be an int of at least 1"),
    ],
)
def test_settings_are_checked(settings, message):
    """The setting, its value and what is allowed."""
    with pytest.raises(ConfigError, match=message):
        MixedPrecision(**settings)


class Times(minitorch.Function):
    """The first argument, with the second as derivative."""

    def forward(self, x, factor):
        self.factor = factor
        return x * 1

    def backward(self, g):
        return g * self.factor, None


class FactorInBatch(Trainer):
    """A classifier whose gradients are multiplied by a number of the batch."""

    def training_step(self, batch):
        x, t, factor = batch
        return Times()(minitorch.functions.softmax_cross_entropy(self.model(x), t), factor)


def with_factors():
    """Ten batches, the gradients of two of which are not finite."""
    factors = [1, 1, 1, 1, np.inf, 1, 1, np.inf, 1, 1]
    return [(*pair, np.array(f, np.float32)) for pair, f in zip(small_runs.batches(10), factors, strict=True)]


def counts(trainer):
    """Adam's numbers of the last update of each Parameter."""
    return {entry["t"] for entry in trainer.optimizer.state_dict()["state"].values()}


def test_a_left_out_update_is_none_for_adam():
    """Its corrections are those of a run that never saw the batch: weights and counts are those of that run."""
    batches, found = with_factors(), []
    for some in (batches, [batch for batch in batches if np.isfinite(batch[2])]):
        minitorch.seed(0)
        callbacks = DevicePlacement("cuda"), MixedPrecision("fp16", scale=8.0)
        trainer = small_runs.trainer(*callbacks, cls=FactorInBatch, optimizer=Adam(0.01))
        trainer.fit(some, epochs=1)
        found.append((trainer, {path: a.get() for path, a in trainer.model.state_dict().items()}))
    (trainer, weights), (plain, expected) = found
    assert (counts(trainer), counts(plain)) == ({8}, {8})
    assert (trainer.state.step, trainer.optimizer.updates) == (10, 10)
    for path, array in expected.items():
        np.testing.assert_allclose(weights[path], array, rtol=1e-6)
    trainer.optimizer.to_cpu()
    assert {entry["t"] for entry in trainer.optimizer.state.values()} == {8}


@pytest.mark.parametrize("graph", [False, True])
@pytest.mark.parametrize("killed", [6, 9])
def test_counts_of_left_out_updates_are_resumed(tmp_path, graph, killed):
    """A run that goes on from a checkpoint after left-out updates ends with the bits of one that went through."""
    found = []
    for until in ([10], [killed, 10]):
        for steps in until:
            minitorch.seed(0)
            folder = tmp_path / str(len(found))
            callbacks = [DevicePlacement("cuda"), MixedPrecision("fp16", scale=8.0), Checkpoint(folder)]
            callbacks += [CudaGraph(steps=1)] if graph else []
            trainer = small_runs.trainer(*callbacks, cls=FactorInBatch, optimizer=Adam(0.01))
            trainer.fit(with_factors(), steps=steps, resume="auto")
        found.append((counts(trainer), {path: a.get().tobytes() for path, a in trainer.model.state_dict().items()}))
    assert found[0][0] == {8}
    assert found[0] == found[1]


def test_it_works_inside_a_captured_step(capsys):
    """Replayed, steps leave out the same updates and move the scale as eager ones do."""
    batches, found = with_factors(), []
    for captured in (False, True):
        minitorch.seed(0)
        precision, scales = MixedPrecision("fp16", scale=8.0, patience=3), []
        callbacks = [DevicePlacement("cuda"), precision, *([CudaGraph(steps=1)] if captured else [])]
        note = small_runs.at("on_epoch_end", lambda t, m, p=precision, s=scales: s.append(p.loss_scale.item()))
        trainer = small_runs.trainer(*callbacks, note, cls=FactorInBatch, optimizer=Adam(0.01))
        trainer.fit(batches, epochs=2)
        found.append((scales, {path: a.get().tobytes() for path, a in trainer.model.state_dict().items()}))
        if captured:
            assert "inside the graph are forward, backward, on_after_backward of MixedPrecision" in trainer.explain()
    assert found[0] == found[1]
    assert capsys.readouterr().err == ""
