"""Memory: a step leaves nothing behind, neither in cycles nor in what was logged."""

import gc
import weakref

import pytest
from small_runs import Everything, at, batches, trainer

import minitorch.functions as F
from minitorch import Every, Trainer


class Watched(Trainer):
    """Remembers, weakly, the hidden activations of each step."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.hidden = []

    def training_step(self, batch):
        h = F.tanh(self.model.l0(batch[0]))
        self.hidden.append(weakref.ref(h.data))
        self.log("activity", (h * h).mean())
        return F.softmax_cross_entropy(self.model.l1(h), batch[1])


@pytest.fixture
def no_gc():
    """Reference counts alone free memory."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def test_a_step_leaves_no_cycle(no_gc):
    """The collector finds nothing after steps, epochs, validation and the end of a run."""
    run = trainer(cls=Watched)
    run.fit(batches(), batches(1), epochs=1)
    gc.collect()
    run.fit(batches(), batches(1), epochs=5)
    assert gc.collect() == 0


def test_the_graph_of_a_step_is_gone_when_its_loss_is_handed_on(no_gc):
    """In `on_batch_end`, activations are free, although the loss is there and values wait to be read."""
    alive = []
    run = trainer(
        at("on_batch_end", lambda trainer, outputs: alive.append(sum(h() is not None for h in trainer.hidden))),
        cls=Watched,
        log_every=Every(steps=1000),
    )
    run.fit(batches(5), epochs=2)
    assert alive == [0] * 10


def test_losses_that_a_callback_keeps_hold_no_graph(no_gc):
    """Who collects the losses of all steps collects numbers, not activations."""
    losses = []
    run = trainer(at("on_batch_end", lambda trainer, outputs: losses.append(outputs.loss)), cls=Watched)
    run.fit(batches(5), epochs=1)
    assert len(losses) == 5
    assert [h() for h in run.hidden] == [None] * 5


def test_no_activation_outlives_a_validation(no_gc):
    """Validation under `no_grad` keeps nothing of its batches."""
    run = trainer(cls=Watched)
    run.evaluate(batches(3))
    assert [h() for h in run.hidden] == [None] * 3


def test_the_last_batch_is_not_kept(no_gc):
    """After `fit`, the Trainer holds no batch."""
    data = batches(3)
    refs = [weakref.ref(x) for x, _ in data]
    run = trainer()
    run.fit(list(data), epochs=1)
    run.train_loader = None
    del data
    assert [ref() for ref in refs] == [None] * 3


def test_a_trainer_is_freed_with_its_last_reference(no_gc):
    """A Trainer is in no cycle: its model, and the memory of it on a GPU, goes at once."""
    run = trainer(Everything(), cls=Watched)
    run.fit(batches(), batches(1), epochs=1)
    model, loop = weakref.ref(run.model), weakref.ref(run)
    del run
    assert (model(), loop()) == (None, None)
