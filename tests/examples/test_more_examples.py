"""The examples of recurrent, generative and convolutional networks, each run as a user runs it for a few steps."""

import gc
import re
import runpy
import sys
from pathlib import Path

import numpy as np
import pytest

import minitorch
from minitorch import Callback, Trainer
from minitorch.trainer import Phase
from small_mnist import write_small_mnist

EXAMPLES = Path(__file__).parents[2] / "examples"
FEW_STEPS = {  # arguments with which an example is done in a moment, in two steps at least
    "spiral.py": ["--epochs", "2"],
    "sine_lstm.py": ["--epochs", "2", "--hidden", "8"],
    "char_gpt.py": ["--steps", "3", "--batch-size", "4", "--context", "8", "--width", "8", "--characters", "5"],
    "vae.py": ["--steps", "3", "--hidden", "16"],
    "gan.py": ["--steps", "3", "--batch-size", "10", "--channels", "2"],
    "cifar_cnn.py": ["--steps", "3", "--batch-size", "10", "--channels", "2"],
    "grad_cam.py": ["--steps", "3", "--limit", "2"],
    "style_transfer.py": ["--steps", "2", "--size", "16"],
}
TO_PICTURE = {
    "sine_lstm.py": "sine.png",
    "vae.py": "vae.png",
    "gan.py": "gan.png",
    "grad_cam.py": "cam.png",
    "style_transfer.py": "style.png",
}
ALWAYS_DRAW = ("grad_cam.py", "style_transfer.py")


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """A folder with 60 training images and 30 test images of MNIST, as MINITORCH_DATA."""
    folder = tmp_path_factory.mktemp("data")
    write_small_mnist(folder / "mnist", train=60, test=30)
    return folder


@pytest.fixture
def run(data, tmp_path, monkeypatch, capsys):
    """Runs an example in an empty folder with arguments; returns what it printed and its names."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MINITORCH_DATA", str(data))

    def start(name, *arguments):
        if name in ALWAYS_DRAW and "--help" not in arguments:
            pytest.importorskip("matplotlib")
        monkeypatch.setattr(sys, "argv", [name, *arguments])
        names = runpy.run_path(str(EXAMPLES / name), run_name="__main__")
        return capsys.readouterr().out, names

    return start


class CountsGarbage(Callback):
    """Counts the objects that only the garbage collector can free, from each batch to the next and to the end."""

    phase = Phase.DEVICE

    def __init__(self):
        self.counts = []

    def on_fit_start(self, trainer):
        gc.collect()

    def on_batch_end(self, trainer, outputs):
        self.counts.append(gc.collect())


@pytest.fixture
def trainers(monkeypatch):
    """The Trainers whose `fit` is called from here on; each also counts the garbage of its steps."""
    found = []
    fit = Trainer.fit

    def noted(trainer, *args, **kwargs):
        found.append(trainer)
        trainer.callbacks.append(CountsGarbage())
        return fit(trainer, *args, **kwargs)

    monkeypatch.setattr(Trainer, "fit", noted)
    return found


@pytest.mark.parametrize("name", FEW_STEPS)
def test_help_names_every_option(run, capsys, name):
    """`--help` says what the example is for, names each option with an explanation, and ends with 0."""
    with pytest.raises(SystemExit) as end:
        run(name, "--help")
    assert end.value.code == 0
    out = capsys.readouterr().out
    source = (EXAMPLES / name).read_text()
    assert source.split('"""')[1].splitlines()[0] in out
    calls = re.findall(r'add_argument\("(--[\w-]+)"(.*)\)\n', source)
    assert [option for option, rest in calls if option not in out or "help=" not in rest] == []


@pytest.mark.parametrize("name", FEW_STEPS)
def test_steps_leave_no_garbage(run, trainers, name):
    """Nothing that a step has made is left for the garbage collector: memory is free as soon as its last user goes."""
    gc.disable()
    try:
        run(name, *FEW_STEPS[name])
    finally:
        gc.enable()
    (trainer,) = trainers
    (counts,) = [callback.counts for callback in trainer.callbacks if isinstance(callback, CountsGarbage)]
    assert len(counts) >= 2
    assert not any(counts[1:])  # the first one loads modules


@pytest.mark.parametrize("name", TO_PICTURE)
def test_picture(run, name):
    """`--picture` leaves a picture in that file, in PNG, and says so."""
    pytest.importorskip("matplotlib")
    file = TO_PICTURE[name]
    out, _ = run(name, *FEW_STEPS[name], "--picture", file)
    assert out.splitlines()[-1] == f"picture: {file}"
    assert Path(file).read_bytes().startswith(b"\x89PNG")
    assert [path.name for path in Path().iterdir()] == [file]


@pytest.mark.parametrize("cell", ["rnn", "lstm"])
def test_sine_learns(run, cell):
    """Both cells come nearer to the sine, and to the cosine that they have not seen."""
    short, _ = run("sine_lstm.py", "--cell", cell, "--epochs", "1", "--hidden", "10")
    out, _ = run("sine_lstm.py", "--cell", cell, "--epochs", "20", "--hidden", "10")
    before, after = ([float(x) for x in re.findall(r"\d\.\d{6}", text.splitlines()[-1])] for text in (short, out))
    assert len(before) == len(after) == 2
    assert after[0] < before[0] / 2
    assert after[1] < before[1] / 2


def test_char_gpt_writes_on(run, tmp_path):
    """It prints the loss of a part of the text that it has not seen, and a sample of the length that was asked for."""
    (tmp_path / "text.txt").write_text("abc " * 100)
    out, _ = run("char_gpt.py", *FEW_STEPS["char_gpt.py"], "--text", "text.txt", "--beginning", "ab")
    loss, _, sample = out.splitlines()
    assert re.fullmatch(r"at the end: loss \d\.\d{4} on the end of the text", loss)
    assert re.fullmatch(r"ab[abc ]{5}", sample)


def test_char_gpt_learns(run, tmp_path):
    """After some steps it goes on with a text of four letters in a row as that text does."""
    (tmp_path / "text.txt").write_text("abcd" * 100)
    settings = ["--batch-size", "8", "--context", "8", "--width", "16", "--layers", "1", "--lr", "0.02"]
    arguments = ["--steps", "60", "--characters", "8", "--temperature", "0", "--text", "text.txt", "--beginning", "ab"]
    out, _ = run("char_gpt.py", *settings, *arguments)
    assert out.splitlines()[-1] == "abcdabcdab"


def test_char_gpt_refuses_unknown_characters(run, monkeypatch, capsys):
    """A beginning with a character that the text has not is an error that names it, before anything is trained."""
    monkeypatch.setattr(Trainer, "fit", None)
    with pytest.raises(SystemExit):
        run("char_gpt.py", *FEW_STEPS["char_gpt.py"], "--beginning", "We €")
    assert "--beginning 'We €': needs characters of the text, without ['€']" in capsys.readouterr().err


def test_vae_learns(run):
    """The bound on the evidence gets better with each epoch, and is the sum of its two parts."""
    out, _ = run("vae.py", "--epochs", "3", "--batch-size", "10", "--hidden", "32")
    rows = [[float(cell) for cell in line.split()[1:]] for line in out.splitlines()[1:4]]
    assert [row[0] for row in rows] == sorted([row[0] for row in rows], reverse=True)
    assert all(abs(loss - reconstruction - divergence) < 0.001 for loss, reconstruction, divergence, *_ in rows)


def test_gan_updates_each_network_by_its_own_optimizer(run, trainers):
    """The two optimizers have each as many updates as there were steps, of Parameters that they do not share."""
    run("gan.py", *FEW_STEPS["gan.py"])
    (trainer,) = trainers
    model = trainer.model
    parts = {"discriminator": model.discriminator, "generator": model.generator}
    for optimizer, part in ((trainer.optimizers[name], part) for name, part in parts.items()):
        assert optimizer.updates == trainer.state.step == 3
        trained = [path for path, param in part.named_params() if param.requires_grad]
        assert list(optimizer.state) == trained
        assert trained


def test_gan_is_resumed_exactly(run, trainers):
    """Stopped after two steps and resumed, it ends with the weights and moments of three steps at once."""
    few = FEW_STEPS["gan.py"]
    run("gan.py", *few, "--out", "whole")
    run("gan.py", *few, "--out", "parts", "--steps", "2")
    run("gan.py", *few, "--out", "parts", "--resume", "auto")
    whole, _, resumed = [arrays_of(trainer) for trainer in trainers]
    assert resumed == whole
    assert len(whole) > 20


def arrays_of(trainer):
    """The weights of a Trainer and what its optimizers remember, as bytes by path."""
    found = {path: array.tobytes() for path, array in trainer.model.state_dict().items()}
    for name, optimizer in trainer.optimizers.items():
        for path, entry in optimizer.state.items():
            found |= {f"{name}/{path}/{key}": np.asarray(value).tobytes() for key, value in entry.items()}
    return found


def test_cifar_cnn_draws_its_curves(run):
    """`--pictures` leaves the curves of the epochs and the worst images in that folder."""
    pytest.importorskip("matplotlib")
    arguments = ["--epochs", "1", "--batch-size", "20", "--channels", "2", "--pictures", "p"]
    out, _ = run("cifar_cnn.py", *arguments)
    assert sorted(path.name for path in Path("p").glob("*.png")) == ["curves.png", "samples.png"]
    assert re.fullmatch(r"test accuracy \d\.\d{4} after 3 steps", out.splitlines()[-1])


def test_grad_cam_of_vgg16_takes_it_apart_rightly(run):
    """Its parts, one after the other, are VGG16 in test mode."""
    _, names = run("grad_cam.py", *FEW_STEPS["grad_cam.py"])
    called = []

    class Recorded(names["VGG16InParts"]):
        def __init__(self):
            super().__init__(classes=2)
            for name, layer in list(vars(self).items()):
                setattr(self, name, lambda x, name=name: called.append(name) or x) if callable(layer) else None

    x = minitorch.Variable(np.ones((1, 3, 32, 32), np.float32))
    model = Recorded()
    with minitorch.test_mode():
        whole = model(x)
        layers = called.copy()
        called.clear()
        parts = model.head(model.features(x))
    assert called == layers
    assert len(layers) == 16
    assert parts.shape == whole.shape
    assert np.array_equal(parts.data, whole.data)


def test_style_transfer_paints_the_image_alone(run, trainers):
    """The image changes and stays between 0 and 1; the network that looks at it gets no gradients."""
    run("style_transfer.py", *FEW_STEPS["style_transfer.py"])
    (trainer,) = trainers
    assert list(trainer.optimizer.state) == ["image"]
    image = trainer.model.image.data
    assert image.min() >= 0
    assert image.max() <= 1
    ((content, _),) = trainer.train_loader
    assert 0 < np.abs(image - content).max() <= 0.041  # two steps of Adam, of 0.02 each
    assert [p for p in trainer.model.network.params() if p.grad is not None] == []
