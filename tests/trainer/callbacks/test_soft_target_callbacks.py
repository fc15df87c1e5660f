"""MixUp, CutMix, LabelSmoothing: what becomes of a batch, the same after a resume, on a device, and errors."""

import numpy as np
import pytest
import resumed_runs
import small_runs

import fake_cupy
import minitorch
import minitorch.functions as F
from minitorch import Trainer
from minitorch.errors import ConfigError, DataError
from minitorch.models import MLP
from minitorch.trainer.callbacks import CutMix, DevicePlacement, LabelSmoothing, MixUp

N, C = 8, 3


def mixed(callback, x, t, batch=0, epoch=0, seed=0):
    """What the callback makes of a batch at some place of a run."""
    minitorch.seed(seed)
    trainer = Trainer(MLP((3,)), callbacks=[])
    trainer.state.epoch, trainer.state.batch = epoch, batch
    return callback.on_batch_start(trainer, (x, t))


@pytest.fixture
def flat():
    """A batch of flat samples, the number i in all places of sample i, and the classes."""
    return np.repeat(np.arange(N, dtype=np.float32)[:, None], 6, axis=1), np.arange(N) % C


@pytest.fixture
def images():
    """A batch of images, sample i of the number i, and the classes."""
    return np.broadcast_to(np.arange(N, dtype=np.float32)[:, None, None, None], (N, 2, 10, 12)).copy(), np.arange(N) % C


def partners(shift):
    """Which sample each is mixed with."""
    return (np.arange(N) + shift) % N


def test_mixup_is_equation_of_the_paper(flat):
    """X = a xi + (1 - a) xj, t = a ti + (1 - a) tj, with one a and one distance to the partner for the batch."""
    x, t = flat
    for batch in range(20):
        mx, mt = mixed(MixUp(C, alpha=1.0), x, t, batch)
        share = float(mt[0, 0]) if mt[0, 0] not in (0, 1) else None
        found = [
            s
            for s in range(1, N)
            for a in [share if share is not None else 1 - mx[0, 0] / s]
            if np.allclose(mx[:, 0], a * np.arange(N) + (1 - a) * partners(s), atol=1e-5)
            and np.allclose(mt, a * np.eye(C)[t] + (1 - a) * np.eye(C)[t[partners(s)]], atol=1e-5)
        ]
        assert len(found) == 1
        np.testing.assert_allclose(mx, np.repeat(mx[:, :1], 6, axis=1))
        np.testing.assert_allclose(mt.sum(axis=1), 1, rtol=1e-6)
        assert (mx.dtype, mt.dtype) == (np.float32, np.float32)


def test_cutmix_pastes_one_box(images):
    """Inside a box all channels are the partner's; the targets are in proportion to the areas."""
    x, t = images
    areas = []
    for batch in range(30):
        mx, mt = mixed(CutMix(C), x, t, batch)
        other = mx != x
        areas.append(other[0].mean())
        if not other.any():
            np.testing.assert_array_equal(mt, np.eye(C)[t])
            continue
        assert (other == other[:1, :1]).all()  # the same box in every sample and channel
        rows, columns = np.nonzero(other[0, 0])
        box = (slice(rows.min(), rows.max() + 1), slice(columns.min(), columns.max() + 1))
        assert other[0, 0][box].all()
        shift = int(mx[0][other[0]][0])
        np.testing.assert_array_equal(mx[:, 0][:, box[0], box[1]][:, 0, 0], partners(shift))
        kept = 1 - other[0, 0].mean()
        np.testing.assert_allclose(mt, kept * np.eye(C)[t] + (1 - kept) * np.eye(C)[t[partners(shift)]], atol=1e-6)
    assert min(areas) < 0.1
    assert max(areas) > 0.5


def test_cutmix_of_flat_images(images):
    """With their shape given, flat samples are cut as the images they are."""
    x, t = images
    for wanted, flat in zip(mixed(CutMix(C), x, t, 3), mixed(CutMix(C, shape=(2, 10, 12)), x.reshape(N, -1), t, 3),
                            strict=True):  # fmt: skip
        np.testing.assert_array_equal(flat.reshape(wanted.shape), wanted)


def test_smoothing_is_equation_of_the_paper(flat):
    """(1 - e) t + e / C."""
    x, t = flat
    sx, st = mixed(LabelSmoothing(C, 0.3), x, t)
    assert sx is x
    np.testing.assert_allclose(st, 0.7 * np.eye(C)[t] + 0.1, rtol=1e-6)


def test_smoothing_is_that_of_the_loss():
    """A run with it has the losses of one whose loss smooths."""
    minitorch.seed(0)
    one = small_runs.trainer(LabelSmoothing(3, 0.2))
    one.fit(small_runs.batches(), epochs=2)
    minitorch.seed(0)
    other = small_runs.trainer(loss=lambda y, t: F.softmax_cross_entropy(y, t, label_smoothing=0.2))
    other.fit(small_runs.batches(), epochs=2)
    assert [m["loss"] for m in one.history] == pytest.approx([m["loss"] for m in other.history], rel=1e-5)


@pytest.mark.parametrize("make", [lambda: MixUp(C), lambda: CutMix(C)], ids=["MixUp", "CutMix"])
def test_what_is_drawn_belongs_to_the_place(make, images):
    """The same seed, epoch and batch give the same bytes, others give others; the batch itself is not changed."""
    before = images[0].copy()
    first = mixed(make(), *images, batch=2, epoch=1)
    again = mixed(make(), *images, batch=2, epoch=1)
    assert all(a.tobytes() == b.tobytes() for a, b in zip(first, again, strict=True))
    for place in ({"batch": 3, "epoch": 1}, {"batch": 2, "epoch": 2}, {"batch": 2, "epoch": 1, "seed": 5}):
        assert mixed(make(), *images, **place)[0].tobytes() != first[0].tobytes()
    np.testing.assert_array_equal(images[0], before)


def test_they_take_no_random_number_of_the_training():
    """Dropout and shuffling draw what they draw without."""
    states = []
    for callbacks in ([], [MixUp(C), CutMix(C, shape=(2, 3)), LabelSmoothing(C)]):
        minitorch.seed(0)
        note = small_runs.at("on_after_backward", lambda trainer: states.append(minitorch.random.get_state()))
        small_runs.trainer(*callbacks, note).fit(small_runs.batches(), epochs=1)
    assert states[:4] == states[4:]


def test_they_follow_one_another(flat):
    """Soft targets are mixed and smoothed as class numbers are."""
    x, t = flat
    mx, mt = mixed(MixUp(C), x, t)
    np.testing.assert_array_equal(mixed(MixUp(C), x, np.eye(C, dtype=np.float32)[t])[1], mt)
    _, smooth = mixed(LabelSmoothing(C, 0.3), mx, mt)
    np.testing.assert_allclose(smooth, 0.7 * mt + 0.1, rtol=1e-6)
    again = mixed(CutMix(C, shape=(2, 3)), mx, mt)[1]
    np.testing.assert_allclose(again.sum(axis=1), 1, rtol=1e-6)


def test_only_training_is_changed():
    """Validation and prediction see the samples as they are, and accuracy can be logged throughout."""
    batches = small_runs.batches()
    minitorch.seed(0)
    run = small_runs.trainer(MixUp(C, alpha=5.0), metrics={"accuracy": F.accuracy})
    run.fit(batches, batches, epochs=1)
    assert run.history[0]["val_loss"] == run.evaluate(batches)["loss"] == small_runs.trainer(
        model=run.model, metrics={"accuracy": F.accuracy}
    ).evaluate(batches)["loss"]  # fmt: skip
    assert 0 <= run.history[0]["accuracy"] <= 1


def test_one_sample_has_no_partner():
    """It stays what it is, with a soft target."""
    x, t = mixed(MixUp(C), np.ones((1, 4), np.float32), np.array([2]))
    np.testing.assert_array_equal(x, 1)
    np.testing.assert_array_equal(t, [[0, 0, 1]])


def test_a_run_resumed_mid_epoch_mixes_the_same(tmp_path):
    """It ends with the bytes of one that went through, with all three."""

    def three():
        return [MixUp(C), CutMix(C, shape=(2, 3)), LabelSmoothing(C)]

    whole = resumed_runs.fit(tmp_path / "whole", three)
    resumed_runs.fit(tmp_path / "broken", three, break_at=8)
    resumed = resumed_runs.fit(tmp_path / "broken", three)
    assert small_runs.weights(resumed) == small_runs.weights(whole)
    assert resumed.history == whole.history


@pytest.mark.parametrize("make", [lambda: MixUp(C), lambda: CutMix(C), lambda: LabelSmoothing(C)],
                         ids=["MixUp", "CutMix", "LabelSmoothing"])  # fmt: skip
def test_on_a_device_nothing_is_moved(make, images):
    """There the batch is changed without a transfer, to the numbers of the host."""
    wanted = mixed(make(), *images)
    with fake_cupy.installed() as cupy:
        x, t = map(cupy.array, images)
        with fake_cupy.no_transfers():
            changed = mixed(make(), x, t)
        for a, b in zip(changed, wanted, strict=True):
            np.testing.assert_allclose(cupy.asnumpy(a), b, rtol=1e-6)
        minitorch.seed(0)
        small_runs.trainer(DevicePlacement("cuda"), MixUp(C)).fit(small_runs.batches(), epochs=1)


@pytest.mark.parametrize("cls", [MixUp, LabelSmoothing])
@pytest.mark.parametrize(
    ("batch", "message"),
    [
        (np.ones(3), r"got a ndarray as batch; it takes pairs of arrays \(x, t\)"),
        ((np.ones((3, 2)),), r"got a tuple of 1 as batch; it takes pairs"),
        ((np.ones((3, 2)), np.zeros(2, int)), r"x \(3, 2\) and t \(2,\) are no samples with their targets"),
        ((np.ones((3, 2)), np.zeros(3)), r"t is float64\(3,\); it takes class numbers, integers \(N,\), or"),
        ((np.ones((3, 2)), np.array([0, 1, 3])), r"t has classes from 0 to 3, but classes=3 are 0 to 2"),
    ],
)  # fmt: skip
def test_batches_that_cannot_be_changed(cls, batch, message):
    """The error names the callback, what was given and what it takes."""
    with pytest.raises(DataError, match=rf"^{cls.__name__}: {message}"):
        cls(C).on_batch_start(Trainer(MLP((3,)), callbacks=[]), batch)


def test_samples_that_cannot_be_mixed():
    """Integers have no means, and flat samples no boxes."""
    with pytest.raises(DataError, match=r"MixUp: x is uint8; only floats can be mixed: convert them in the data set"):
        mixed(MixUp(C), np.ones((3, 4), np.uint8), np.arange(3))
    with pytest.raises(DataError, match=r"CutMix: samples of shape \(4,\) with shape=None are no images"):
        mixed(CutMix(C), np.ones((3, 4), np.float32), np.arange(3))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: MixUp(1), r"MixUp: classes is 1; it must be an int of at least 2"),
        (lambda: MixUp(3, alpha=0), r"MixUp: alpha is 0; it must be a positive float"),
        (lambda: CutMix(3, alpha=-1.0), r"CutMix: alpha is -1\.0; it must be a positive float"),
        (lambda: LabelSmoothing(3, 1.5), r"LabelSmoothing: smoothing is 1\.5; it must be from 0 to 1"),
    ],
)
def test_settings_that_are_not_allowed(make, message):
    """The error names the setting, its value and the rule."""
    with pytest.raises(ConfigError, match=message):
        make()
