"""LRFinder: what it suggests, that it leaves no trace, and its picture."""

import numpy as np
import pytest
import small_runs

import fake_cupy
import minitorch
import minitorch.functions as F
import minitorch.layers as L
from minitorch.errors import ConfigError, NonFiniteError
from minitorch.models import MLP, Sequential
from minitorch.optimizers import SGD, Adam
from minitorch.trainer import LRFinder
from minitorch.trainer.callbacks import DevicePlacement, GradientClipping, LRSchedule, MixUp

pytestmark = pytest.mark.filterwarnings("ignore:overflow")


def everything(run):
    """All that a training depends on, as something to compare."""
    state = run.state_dict() | {"model": small_runs.weights(run)}
    state["optimizer"] = repr(state["optimizer"])
    return state


@pytest.mark.parametrize("make", [SGD, Adam])
def test_it_leaves_no_trace(make):
    """After it, a run that was under way has the bytes, counters, means and random numbers that it had."""
    model = Sequential(L.Linear(5), L.BatchNorm(), F.relu, L.Dropout(0.3), L.Linear(3))
    run = small_runs.trainer(model=model, optimizer=make())
    loader = small_runs.loader()
    run.fit(loader, steps=6)
    before, held, stage = everything(run), [p.data for p in run.model.params()], run.stage
    LRFinder(steps=20).run(run, loader)
    assert everything(run) == before
    assert all(p.data is array for p, array in zip(run.model.params(), held, strict=True))
    assert run.stage == stage
    assert all(param.grad is None for param in run.model.params())


def test_a_run_after_it_is_the_run_without():
    """Also where the layers had no weights yet: the history and all bytes are the same."""
    ends = []
    for find in (True, False):
        minitorch.seed(0)
        run = small_runs.trainer(MixUp(3), optimizer=Adam())
        loader = small_runs.loader()
        if find:
            LRFinder(steps=10).run(run, loader)
            assert run.model.l0.W.data is None
        run.fit(loader, epochs=2)
        ends.append((run.history, small_runs.weights(run)))
    assert ends[0] == ends[1]


def test_it_finds_the_rate_of_a_known_problem():
    """For a bowl with curvature 1, rates that work lie between 0.1 and 2; what is far too large ends the test."""

    def loss(y, t):
        return ((y - 0.1 * t[:3]) ** 2).sum() * 0.5

    class Bowl(MLP):
        def __init__(self):
            super().__init__((1,))
            self.p = minitorch.Parameter(np.full(3, 5.0, np.float32))

        def forward(self, x):
            return self.p

    run = small_runs.trainer(model=Bowl(), optimizer=SGD(0.01), loss=loss)
    found = LRFinder(low=1e-4, high=100, smoothing=0.7).run(run, small_runs.batches())
    assert 0.03 < found.suggestion < 2.2
    assert found.rates[-1] < 20
    assert len(found.rates) == len(found.losses) == len(found.smoothed) < 100
    ratios = np.array(found.rates[1:]) / found.rates[:-1]
    np.testing.assert_allclose(ratios, ratios[0])
    assert 30 < found.losses[0] < 37.5


def test_only_what_belongs_to_a_step_runs():
    """Callbacks for data and gradients do; counters, schedules and all others do not."""
    seen = []
    others = small_runs.Everything()
    run = small_runs.trainer(
        MixUp(3), GradientClipping(norm=0.1), LRSchedule(lambda n: seen.append(n) or 1.0), others, optimizer=SGD(0.1)
    )
    LRFinder(steps=6).run(run, small_runs.loader())
    assert seen == []
    assert set(others.hooks) == {"on_after_backward"}
    assert len(others.hooks) == 6
    assert run.optimizer.lr == 0.1
    assert run.history == []


def test_on_a_device():
    """There it works as on the host."""
    with fake_cupy.installed():
        minitorch.seed(0)
        found = LRFinder(steps=10).run(small_runs.trainer(DevicePlacement("cuda")), small_runs.loader())
    minitorch.seed(0)
    wanted = LRFinder(steps=10).run(small_runs.trainer(), small_runs.loader())
    np.testing.assert_allclose(found.losses, wanted.losses, rtol=1e-5)


def test_its_picture(tmp_path):
    """The curve is a PNG file."""
    pytest.importorskip("matplotlib")
    found = LRFinder(high=100).run(small_runs.trainer(), small_runs.loader())
    found.save(tmp_path / "lr.png")
    assert (tmp_path / "lr.png").read_bytes().startswith(b"\x89PNG")


def test_a_loss_that_is_never_finite():
    """The error says where, and to begin lower."""
    run = small_runs.trainer(loss=lambda y, t: y.sum() * np.inf)
    with pytest.raises(NonFiniteError, match=r"LRFinder: the loss is not finite after 0 steps, at learning rate 1e-06"):
        LRFinder().run(run, small_runs.batches())


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"low": 0.0}, r"LRFinder: low is 0\.0; it must be a positive float"),
        ({"low": 2.0, "high": 1.0}, r"LRFinder: low is 2\.0 and high 1\.0; high must be above low"),
        ({"steps": 2}, r"LRFinder: steps is 2; it must be an int of at least 5"),
        ({"smoothing": 1.0}, r"LRFinder: smoothing is 1\.0; it must be less than 1"),
    ],
)
def test_settings_that_are_not_allowed(given, message):
    """The error names the setting, its value and the rule."""
    with pytest.raises(ConfigError, match=message):
        LRFinder(**given)


def test_an_optimizer_is_needed():
    """Without one there is no learning rate."""
    run = minitorch.Trainer(MLP((3,)), callbacks=[])
    with pytest.raises(ConfigError, match="LRFinder: the Trainer has no optimizer with a learning rate"):
        LRFinder().run(run, small_runs.batches())
