"""`CudaGraph`: the bits of eager steps, by one launch for many, and a reason where steps stay eager."""

import gc
from pathlib import Path

import numpy as np
import pytest
from small_runs import at

import fake_cupy
import minitorch
import minitorch.functions as F
import minitorch.layers as L
from minitorch import Callback, DataLoader, Every, Model, SeqDataLoader, Trainer, optimizers
from minitorch.cuda import StepNumber, no_sync
from minitorch.datasets import ArrayDataset, TinyText
from minitorch.errors import ConfigError, NonFiniteError, SyncError
from minitorch.models import GPT, MLP
from minitorch.optimizers.schedules import Cosine
from minitorch.trainer import captured
from minitorch.trainer.callbacks import (
    EMA,
    SWA,
    Checkpoint,
    ConsoleLogger,
    CudaGraph,
    DevicePlacement,
    EarlyStopping,
    EpochTimer,
    Freeze,
    GradientAccumulation,
    GradientClipping,
    JSONLLogger,
    LRSchedule,
    MixUp,
    ModelSummary,
    NaNGuard,
    ProgressBar,
    ReduceLROnPlateau,
    Unfreeze,
)
from minitorch.transforms import Compose, Flatten, Normalize, ToFloat


@pytest.fixture(autouse=True)
def cupy():
    with fake_cupy.installed() as module:
        yield module


class Network(Model):
    """Has batch norm, whose averages move in each step, and dropout, which draws."""

    def __init__(self, dropout=0.3):
        super().__init__()
        self.l0, self.norm, self.l1, self.dropout = L.Linear(8), L.BatchNorm(), L.Linear(3), dropout

    def forward(self, x):
        return self.l1(F.dropout(F.relu(self.norm(self.l0(x))), self.dropout))


class Classifier(Trainer):
    def training_step(self, batch):
        x, t = batch
        y = self.model(x)
        self.log("accuracy", F.accuracy(y, t))
        return F.softmax_cross_entropy(y, t)


def data(n=83, seed=0):
    """A loader of small images in bytes, in batches of 10, the last of which is short."""
    rng = np.random.default_rng(seed)
    x, t = rng.integers(0, 256, (n, 1, 4, 4)).astype(np.uint8), rng.integers(0, 3, n)
    transform = Compose([Flatten(), ToFloat(), Normalize(0.0, 255.0)])
    return DataLoader(ArrayDataset(x, t, transform=transform), 10)


def run(*callbacks, optimizer=None, cls=Classifier, model=None, train=None, **how):
    """A run on the device; returns the Trainer and how it ended."""
    minitorch.seed(0)
    model = Network() if model is None else model()
    optimizer = optimizers.Adam(0.01) if optimizer is None else optimizer()
    trainer = cls(model, optimizer, callbacks=[DevicePlacement("cuda"), *callbacks], log_every=Every(steps=7))
    how = how or {"epochs": 3}
    return trainer, trainer.fit(data() if train is None else train, data(10, seed=1), **how)


def outcome(trainer, result):
    """All numbers that a run leaves behind."""
    state = trainer.state_dict()
    arrays = {}

    def walk(tree, path):
        if isinstance(tree, dict):
            for key, value in tree.items():
                walk(value, f"{path}/{key}")
        elif hasattr(tree, "dtype"):
            arrays[path] = tree.get().tobytes() if hasattr(tree, "get") else tree.tobytes()
        elif not path.endswith(("elapsed", "/callbacks")):
            arrays[path] = repr(tree)

    walk({key: value for key, value in state.items() if key != "callbacks"}, "")
    return arrays, result.history


OPTIMIZERS = {
    "SGD": lambda: optimizers.SGD(0.1),
    "MomentumSGD": lambda: optimizers.MomentumSGD(0.1),
    "Adam": lambda: optimizers.Adam(0.01),
    "AdamW": lambda: optimizers.AdamW(0.01).add_hook(optimizers.ClipGrad(1.0)).add_hook(optimizers.WeightDecay(0.01)),
    "RMSprop": lambda: optimizers.RMSprop(0.01),
}


@pytest.mark.parametrize("name", OPTIMIZERS)
@pytest.mark.parametrize("steps", [pytest.param(1, marks=pytest.mark.slow), 4])
def test_the_bits_are_those_of_eager_steps(name, steps, capsys):
    """Weights, state, counters, random numbers and history are the same, to the last bit."""
    expected = outcome(*run(optimizer=OPTIMIZERS[name]))
    graph = CudaGraph(steps=steps)
    trainer, result = run(graph, optimizer=OPTIMIZERS[name])
    assert graph.reason is None
    assert outcome(trainer, result) == expected
    assert capsys.readouterr().err == ""


class Shrink(Callback):
    """Makes weights smaller, by a share that another step has another one of."""

    needs_host = ()

    def __init__(self):
        self.share = StepNumber(1.0)

    def step_numbers(self):
        return (self.share,)

    def on_batch_start(self, trainer, batch):
        self.share.now = 1 - 0.1 / (1 + trainer.state.step)
        return batch

    def on_after_update(self, trainer):
        trainer.model.l1.W.data *= self.share.array


def averages(callbacks):
    """Those of all callbacks, to the bit, and how many weights are in them."""
    kept = [c for c in callbacks if isinstance(c, EMA | SWA)]
    return [(c.count, {path: a.get().tobytes() for path, a in c.averages.items()}) for c in kept]


OTHERS = {
    "clipping": (lambda: [GradientClipping(norm=0.1)], 4),
    "schedule": (lambda: [LRSchedule(Cosine(60))], 4),
    "plateau": (lambda: [ReduceLROnPlateau("val_loss", patience=1, min_delta=1.0)], 4),
    "freezing": (lambda: [Freeze("l0.*", epoch=1), Unfreeze("l0.*", epoch=2)], 4),
    "early stopping": (lambda: [EarlyStopping("val_loss", patience=9, restore_best=True)], 4),
    "stochastic weight averaging": (lambda: [SWA(1)], 4),
    "stochastic weight averaging by steps": (lambda: [SWA(1, Every(steps=3))], 4),
    "summary": (lambda: [ModelSummary()], 4),
    "ema": (lambda: [EMA(0.9)], 4),
    "ema, schedule and a guest": (lambda: [EMA(0.9, validate=False), LRSchedule(Cosine(60)), Shrink()], 4),
    "ema and accumulation": (lambda: [EMA(0.9), GradientAccumulation(batches=2)], 1),
    "mixing": (lambda: [MixUp(classes=3)], 1),
    "accumulation": (lambda: [GradientAccumulation(batches=4)], 1),
    "accumulation and clipping": (lambda: [GradientAccumulation(batches=3), GradientClipping(norm=0.1)], 1),
}


@pytest.mark.parametrize("name", OTHERS)
def test_other_callbacks_do_their_work(name, cupy):
    """What they change is changed alike; and steps are replayed, as many by a launch as they allow."""
    make, most = OTHERS[name]
    cls = SoftClassifier if name == "mixing" else Classifier
    eager, result = run(*make(), cls=cls)
    expected = outcome(eager, result)
    graph = CudaGraph(steps=4)
    trainer, result = run(*make(), graph, cls=cls)
    assert graph.reason is None
    assert outcome(trainer, result) == expected
    assert averages(trainer.callbacks) == averages(eager.callbacks)
    assert f"a launch does {'up to 4 steps' if most == 4 else 'one step'}" in trainer.explain()


def test_a_guard_against_nan_does_its_work(tmp_path):
    """It holds nothing up while all is finite, and finds the operation where it is not."""
    expected = outcome(*run())
    graph = CudaGraph(steps=4)
    trainer, result = run(NaNGuard(tmp_path / "finite"), graph)
    assert outcome(trainer, result) == expected
    assert "a launch does up to 4 steps" in trainer.explain()
    loader = data()
    loader.dataset.data[37] = 255
    guard = NaNGuard(tmp_path / "spoilt")

    class Spoilt(Network):
        def forward(self, x):
            return super().forward(F.log(1.0 - x))

    with pytest.raises(NonFiniteError), np.errstate(all="ignore"):
        run(guard, CudaGraph(steps=4), model=Spoilt, train=loader)
    assert guard.finding.origin.op == "log"


class SoftClassifier(Trainer):
    """Takes targets that are shares of classes."""

    def training_step(self, batch):
        x, t = batch
        return F.softmax_cross_entropy(self.model(x), t)


@pytest.mark.parametrize("kind", ["list of arrays", "dict", "lists of samples"])
def test_batches_of_any_kind_are_copied_in(kind):
    """Where no kernel gathers the batches they are copied to where the graph reads them."""
    rng = np.random.default_rng(0)
    pairs = [(rng.normal(size=(6, 16)).astype(np.float32), rng.integers(0, 3, 6)) for _ in range(8)]
    if kind == "dict":
        batches = [{"x": x, "t": t, "weight": 2} for x, t in pairs]
    elif kind == "list of arrays":
        batches = [[x, t] for x, t in pairs]
    else:
        batches = DataLoader([(x[i], t[i]) for x, t in pairs for i in range(6)], 6)

    class AnyBatch(Trainer):
        def training_step(self, batch):
            x, t = (batch["x"], batch["t"]) if isinstance(batch, dict) else batch
            return F.softmax_cross_entropy(self.model(x), t)

    minitorch.seed(0)
    expected = outcome(*run(cls=AnyBatch, train=batches, steps=30))
    graph = CudaGraph()
    trainer, result = run(graph, cls=AnyBatch, train=batches, steps=30)
    assert graph.reason is None
    assert outcome(trainer, result) == expected
    assert "inside the graph are forward, backward, update by Adam, sums of logged values" in trainer.explain()


@pytest.mark.parametrize("more", [(), (LRSchedule(Cosine(60)), EMA(0.9))], ids=["plain", "schedule and ema"])
def test_many_steps_are_one_launch(monkeypatch, more):
    """With the callbacks that a run has by default: 3 steps a launch, nothing moved, nobody waits between reads."""
    launches = []
    replay = captured.CapturedBatch.replay

    def counted(self, trainer, batch, step, numbers):
        launches.append((step, self._steps))
        with fake_cupy.no_transfers():
            replay(self, trainer, batch, step, numbers)

    monkeypatch.setattr(captured.CapturedBatch, "replay", counted)
    with no_sync():
        trainer, result = run(
            CudaGraph(steps=3), EpochTimer(), ProgressBar(), ConsoleLogger(), *more, train=data(300), steps=28
        )
    assert result.state.step == 28
    assert sum(count for _, count in launches) == 28 - 3  # the first, and two to warm up
    assert launches[:5] == [(3, 1), (4, 3), (7, 3), (10, 3), (13, 1)]  # a log interval ends with step 14
    assert trainer.means.host_reads == 4


@pytest.mark.parametrize("windows", [False, True], ids=["samples", "windows of a text"])
def test_steps_of_a_language_model_are_several_a_launch(windows):
    """Its targets are as many for a sample as it has tokens: they are gathered inside the graph as well."""

    class Letters(Trainer):
        def training_step(self, batch):
            x, t = batch
            return F.softmax_cross_entropy(self.model(x).reshape(-1, 11), t.reshape(-1))

    ids = np.random.default_rng(0).integers(0, 11, (83, 6))
    dataset = ArrayDataset(ids[:, :-1].copy(), ids[:, 1:].copy())
    if windows:
        dataset = TinyText("".join(map(chr, ids.ravel()[:88] + 97)), 5, test_fraction=0)
        assert len(dataset) == 83
    found = []
    for callbacks in ([], [CudaGraph(steps=4)]):
        minitorch.seed(0)
        model = GPT(11, 5, 8, 1, 2, 0.1)
        trainer = Letters(model, optimizers.AdamW(0.01), callbacks=[DevicePlacement("cuda"), *callbacks])
        result = trainer.fit(DataLoader(dataset, 10), epochs=2)
        found.append(outcome(trainer, result))
    assert found[0] == found[1]
    assert "inside the graph are gather of the batch, forward" in trainer.explain()
    assert "a launch does up to 4 steps" in trainer.explain()


def test_a_schedule_costs_one_launch_more_for_all_steps(monkeypatch):
    """The learning rates of all steps are the arguments of one launch; where they stay, there is none."""
    done = []
    replay = captured.CapturedBatch.replay

    def counted(self, *given):
        before = len(fake_cupy.machine.work)
        replay(self, *given)
        done.append((self._steps, fake_cupy.machine.work[before:]))

    monkeypatch.setattr(captured.CapturedBatch, "replay", counted)
    for callbacks, launches in (([], []), ([LRSchedule(Cosine(60))], ["set_numbers"])):
        done.clear()
        run(CudaGraph(steps=4), *callbacks, train=data(300), steps=20)
        several = [work for steps, work in done if steps == 4]
        assert len(several) >= 2
        assert all([name for name in work if name == "set_numbers"] == launches for work in several[1:])


def test_averages_that_were_replaced_are_noticed():
    """A graph that averages into other arrays than those of now is not launched; it is captured anew."""

    class Replace(Callback):
        needs_host = ()

        def on_epoch_start(self, trainer):
            ema.load_state_dict(ema.state_dict())

    ema = EMA(0.9)
    eager, result = run(ema, Replace())
    expected, kept = outcome(eager, result), averages([ema])
    ema = EMA(0.9)
    trainer, result = run(ema, Replace(), graph := CudaGraph(steps=4))
    assert graph.reason is None
    assert (outcome(trainer, result), averages([ema])) == (expected, kept)


def test_nothing_is_held_back_when_somebody_looks(tmp_path):
    """Reading a metric, a checkpoint, validation and the end find every step done."""
    seen = []

    def look(self, trainer, *given):
        seen.append((trainer.state.step, trainer.optimizer.state["l1.W"]["t"], trainer.model.l1.W.data.get().tobytes()))

    def read(self, trainer, *given):
        seen.append(trainer.read("loss"))
        look(self, trainer)

    class Look(Callback):
        needs_host = ()
        on_batch_end, on_validation_end, on_epoch_end, on_fit_end = read, look, look, look

    callbacks = [Look(), Checkpoint(tmp_path / "a", every=Every(steps=7))]
    expected = outcome(*run(*callbacks))
    eager, seen[:] = list(seen), []
    callbacks = [Look(), Checkpoint(tmp_path / "b", every=Every(steps=7)), CudaGraph(steps=4)]
    assert outcome(*run(*callbacks)) == expected
    assert seen == eager


@pytest.mark.parametrize(("killed", "first"), [(5, True), (11, True), (16, False)])
def test_a_run_is_resumed_exactly(tmp_path, killed, first):
    """Killed in the middle of an epoch, with or without graphs before and after: as if nothing had happened."""

    def others():
        return LRSchedule(Cosine(60)), EMA(0.9)

    eager, result = run(*others(), epochs=3)
    expected = outcome(eager, result), averages(eager.callbacks)
    save = Checkpoint(tmp_path, every=Every(steps=1))

    def stop(trainer, outputs):
        if trainer.state.step == killed:
            trainer.request_stop("killed")

    stopper = at("on_batch_end", stop)
    run(save, stopper, *others(), *([CudaGraph(steps=4)] if first else []))
    minitorch.seed(99)
    graphs = [] if killed == 11 else [CudaGraph(steps=4)]
    resumed, result = run(Checkpoint(tmp_path), *others(), *graphs, epochs=3, resume="auto")
    assert (outcome(resumed, result), averages(resumed.callbacks)) == expected


def test_losing_no_line(tmp_path):
    """A logger of intervals writes what it writes without."""
    run(JSONLLogger(tmp_path / "eager"))
    run(JSONLLogger(tmp_path / "graph"), CudaGraph())
    files = [(tmp_path / name / "metrics.jsonl").read_bytes() for name in ("eager", "graph")]
    assert files[0] == files[1]


# what a model carries from step to step ------------------------------------------------------------------------------


class Predictor(Model):
    """The next value of a series from this one and the state."""

    def __init__(self, layer):
        super().__init__()
        self.cell, self.out = layer(6), L.Linear(1)

    def forward(self, x):
        return self.out(self.cell(x))


class Windows(Trainer):
    """Backpropagation through the time of a window, cut where a step begins; each epoch is a sequence of its own."""

    resets = True

    def training_step(self, batch):
        x, t = batch
        if self.model.cell.h is not None:
            self.model.cell.h.unchain()
        if getattr(self.model.cell, "c", None) is not None:
            self.model.cell.c.unchain()
        return sum(F.mean_squared_error(self.model(x[:, i]), t[:, i]) for i in range(x.shape[1]))

    def on_epoch_start(self):
        if self.resets and self.state.batch == 0:
            self.model.cell.reset_state()


class CutAfterwards(Windows):
    """The graph is cut on the host, after each step."""

    def training_step(self, batch):
        x, t = batch
        return sum(F.mean_squared_error(self.model(x[:, i]), t[:, i]) for i in range(x.shape[1]))

    def on_batch_end(self, outputs):
        outputs.loss.unchain_backward()


class GoesOn(Windows):
    """The series has no beginning but the first."""

    resets = False


def series_run(*callbacks, cls=Windows, layer=L.LSTM, **how):
    """A run over a sine in windows of four steps, three stretches side by side, seven batches an epoch."""
    minitorch.seed(0)
    x = np.sin(np.arange(3 * 7 * 4 + 1) * 0.3).astype(np.float32)
    loader = SeqDataLoader(ArrayDataset(*[a.reshape(-1, 4, 1) for a in (x[:-1], x[1:])]), 3)
    trainer = cls(Predictor(layer), optimizers.Adam(0.01), callbacks=[DevicePlacement("cuda"), *callbacks])
    return outcome(trainer, trainer.fit(loader, loader, **(how or {"epochs": 4}))), trainer


@pytest.mark.parametrize(
    ("cls", "layer"), [(Windows, L.LSTM), (GoesOn, L.LSTM), (CutAfterwards, L.LSTM), (Windows, L.RNN), (GoesOn, L.GRU)]
)
def test_the_state_of_a_recurrent_network_goes_on_in_the_graph(layer, cls, capsys):
    """Truncated backpropagation through time, captured: weights and state are, to the bit, those of eager steps."""
    expected, _ = series_run(cls=cls, layer=layer)
    assert "/model/cell.h" in expected[0]
    found, trainer = series_run(graph := CudaGraph(steps=3), cls=cls, layer=layer)
    assert graph.reason is None
    assert found == expected
    most = "one step" if cls is CutAfterwards else "up to 3 steps"
    assert f"cell.h for the next step{', cell.c for the next step' * (layer is L.LSTM)}; a launch does {most}" in (
        trainer.explain()
    )
    assert capsys.readouterr().err == ""


def test_a_state_that_is_set_between_steps_is_taken_up():
    """Also while steps are held back, which had the state of before."""

    class Sets(Callback):
        needs_host = ()

        def on_batch_start(self, trainer, batch):
            cell = trainer.model.cell
            if trainer.state.step in (11, 17):
                cell.set_state(cell.h.data * 0 + 0.5, cell.c)
            if trainer.state.step == 23:
                cell.reset_state()
            return batch

    assert series_run(Sets(), cls=GoesOn)[0] == series_run(Sets(), CudaGraph(steps=3), cls=GoesOn)[0]


@pytest.mark.parametrize("killed", [4, 17])
def test_a_run_with_a_state_is_resumed_exactly(tmp_path, killed):
    """In the middle of an epoch and of what one launch does."""
    expected, _ = series_run()
    series_run(Checkpoint(tmp_path), CudaGraph(steps=3), steps=killed)
    found, _ = series_run(Checkpoint(tmp_path), CudaGraph(steps=3), epochs=4, resume="auto")
    assert found == expected


# where steps stay eager ----------------------------------------------------------------------------------------------


class ReadsLoss(Classifier):
    def training_step(self, batch):
        loss = super().training_step(batch)
        if self.stage == "train":
            self.last = float(loss)  # planted
        return loss


class ReadsStep(Classifier):
    def training_step(self, batch):
        return super().training_step(batch) * (1.0 if self.stage != "train" or self.state.step < 1000 else 0.5)


class LogsNumber(Classifier):
    def training_step(self, batch):
        self.log("two", 2.0)
        return super().training_step(batch)


class LogsRarely(Classifier):
    count = 0

    def training_step(self, batch):
        self.count += self.stage == "train"
        if self.count > 3:
            self.log("new", F.accuracy(self.model(batch[0]), batch[1]))
        return super().training_step(batch)


REASONS = {
    "float": ({"cls": ReadsLoss}, (), "it reads a value back, or sends one to the device, or waits"),
    "step": ({"cls": ReadsStep}, (), "the step reads trainer.state.step, which a replay would not read anew"),
    "number": ({"cls": LogsNumber}, (), "the step logs 'two', a number of the host"),
    "rarely": ({"cls": LogsRarely}, (), "the step logs 'new', which the steps before it did not"),
    "update": ({}, (at("on_after_update", lambda trainer: None),), "At.on_after_update needs the host in each"),
    "hook": ({}, (at("on_after_backward", lambda trainer: None),), "At.on_after_backward needs the host in each"),
    "stepper": ({}, (at("on_fit_start", lambda run: setattr(run, "stepper", other_stepper)),), "other_stepper runs th"),
}  # fmt: skip


def other_stepper(trainer, batch):
    return captured_step(trainer, batch)


captured_step = minitorch.trainer.step.train_step


@pytest.mark.parametrize("name", REASONS)
def test_what_cannot_be_captured_is_done_eagerly(name, capsys):
    """The run goes on, with the numbers of a run without; the reason is printed once, and explained."""
    how, callbacks, reason = REASONS[name]
    how = {"steps": 6} | how
    expected = outcome(*run(*callbacks, **how))
    graph = CudaGraph()
    trainer, result = run(*callbacks, graph, **how)
    assert outcome(trainer, result) == expected
    err = capsys.readouterr().err
    assert err.count("CudaGraph: steps run eagerly: ") == 1
    assert reason in err
    assert f"CudaGraph: steps run eagerly: {graph.reason}" in trainer.explain()


def test_on_the_host_steps_are_eager(capsys):
    """Without a GPU the same program runs, and says so."""
    minitorch.seed(0)
    trainer = Classifier(MLP((4, 3)), optimizers.SGD(0.1), callbacks=[CudaGraph()])
    trainer.fit(data(), epochs=1)
    assert "the model is on the host; CudaGraph needs DevicePlacement on a GPU" in capsys.readouterr().err


def test_a_replay_that_differs_is_not_trusted(monkeypatch, capsys):
    """Where the first replay gives other numbers than the eager step, its are taken, and the graph is not used."""
    expected = outcome(*run())
    original = captured._share

    def off(xp, actual, expected):
        return original(xp, actual, expected) + 0.5

    monkeypatch.setattr(captured, "_share", off)
    assert outcome(*run(CudaGraph())) == expected
    assert (
        "a replay differs from the same step done eagerly by 5.0e-01 of the largest number" in capsys.readouterr().err
    )


def test_a_changed_hyperparameter_is_captured_anew():
    """What a launch is made with is noticed: the numbers go on as without."""

    class Change(Callback):
        needs_host = ()

        def on_epoch_start(self, trainer):
            trainer.optimizer.beta1 = (0.9, 0.5, 0.8)[trainer.state.epoch]

    expected = outcome(*run(Change()))
    graph = CudaGraph(steps=4)
    assert outcome(*run(Change(), graph)) == expected
    assert graph.reason is None


def test_a_second_fit_captures_anew_and_leaves_nothing_behind(cupy):
    """The stepper, the loader and the memory of the graphs are given back at the end of each run."""
    trainer, _ = run(CudaGraph())
    minitorch.seed(5)
    loader = data()
    trainer.fit(loader, epochs=5)
    assert trainer.stepper is captured_step
    assert trainer.means.settle is None
    assert (loader.gpu, loader.deferring) == (False, False)
    gc.collect()
    assert trainer.callbacks[1]._kinds == {}
    with pytest.raises(ZeroDivisionError):
        run(CudaGraph(), at("on_epoch_end", lambda trainer, metrics: 1 / 0))


def test_explain_before_the_run():
    """What is known before: nothing yet, or why steps will be eager."""
    trainer = Classifier(MLP((4, 3)), optimizers.SGD(0.1), callbacks=[CudaGraph()])
    assert "  CudaGraph: nothing is captured yet" in trainer.explain()
    assert "CudaGraph(steps=10, warm_up=2" in trainer.explain()


@pytest.mark.parametrize("setting", ["steps", "warm_up"])
def test_settings_are_positive(setting):
    """Neither none nor a negative number."""
    with pytest.raises(ConfigError, match=rf"CudaGraph: {setting} is 0; it must be an int of at least 1"):
        CudaGraph(**{setting: 0})


def test_a_launch_has_room_for_so_many_steps():
    """Each has numbers of its own, which are arguments of one launch."""
    with pytest.raises(ConfigError, match=r"CudaGraph: steps is 257; one launch does 256 at most"):
        CudaGraph(steps=257)


# the strict mode -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("graph", [False, True])
def test_a_planted_read_is_found_at_its_line(graph):
    """`float(loss)` in a step, in the strict mode, raises at the line where it stands."""
    text = Path(__file__).read_text().splitlines()
    line = next(i for i, words in enumerate(text, 1) if words.endswith("  # planted"))
    with (
        no_sync(),
        pytest.raises(SyncError, match=rf"float\(\) of a device array.* at {__file__}:{line} in tr"),
    ):
        run(*([CudaGraph()] if graph else []), cls=ReadsLoss, steps=3)
