"""The examples of the book and of MNIST, each run as a user runs it, on little data."""

import math
import re
import runpy
import shutil
import sys
from pathlib import Path

import pytest

import minitorch
import minitorch.functions as F
from minitorch import DataLoader, Trainer, optimizers
from minitorch.errors import ShapeError
from minitorch.models import MLP
from minitorch.serialize import FolderLock
from small_mnist import write_small_mnist

EXAMPLES = Path(__file__).parents[2] / "examples"
NUMBER = r" +\d+\.\d{4}"


@pytest.fixture(scope="module")
def examples(tmp_path_factory):
    """A copy of the examples, with 300 training images and 200 test images in the place of all."""
    folder = tmp_path_factory.mktemp("checkout") / "examples"
    write_small_mnist(folder / "data" / "mnist", train=300, test=200)
    for path in EXAMPLES.glob("*.py"):
        shutil.copy(path, folder)
    return folder


@pytest.fixture
def run(examples, tmp_path, monkeypatch, capsys):
    """Runs an example in an empty folder with arguments; returns what it printed and its names."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MINITORCH_DATA", str(examples / "data"))

    def start(name, *arguments):
        monkeypatch.setattr(sys, "argv", [name, *arguments])
        names = runpy.run_path(str(examples / name), run_name="__main__")
        return capsys.readouterr().out, names

    return start


@pytest.mark.parametrize("name", ["minimize.py", "mnist_gpu.py", "spiral.py", "tanh_derivatives.py"])
def test_help_explains_the_options(run, capsys, name):
    """`--help` says what the example is for, names its options, and ends with 0."""
    with pytest.raises(SystemExit) as end:
        run(name, "--help")
    assert end.value.code == 0
    out = capsys.readouterr().out
    first_line = (EXAMPLES / name).read_text().split('"""')[1].splitlines()[0]
    assert first_line in out
    options = re.findall(r'add_argument\("(--[\w-]+)"', (EXAMPLES / name).read_text())
    assert options
    assert [option for option in options if option not in out] == []


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ("mnist_gpu.py --epochs 0", "fit: epochs is 0; it must be a positive int"),
        ("mnist_gpu.py --batch-size 0", "DataLoader: batch_size is 0; it must be an integer of at least 1"),
        ("mnist_gpu.py --device gpu", "Device: got 'gpu'; a device is named 'cpu', 'cuda', 'cuda:N' or 'auto'"),
        ("mnist_gpu.py --out file", "file/001 cannot be made (Not a directory); choose another folder for the runs"),
        ("mnist_gpu.py --resume none", "none does not exist; in its folder there is no .safetensors file"),
        ("mnist_gpu.py --out held --resume auto", "held/001 is in use by "),
        ("gan.py --out file --epochs 1", "/file cannot be written to (File exists); choose another folder for the run"),
        ("cifar_cnn.py --epochs 0", "fit: epochs is 0; it must be a positive int"),
        ("char_gpt.py --text none", "none: cannot be read ("),
        ("char_gpt.py --beginning", "expected one argument"),
        ("char_gpt.py --text text --context 8 --beginning \u00a7", "needs characters of the text, without ['\u00a7']"),
        ("sine_lstm.py --length 0", "--length is 0; it must be at least 1"),
        ("spiral.py --hidden 0", "Linear: out_size is 0; a size is a positive integer"),
        ("style_transfer.py --content none", "No such file or directory: 'none'"),
        ("style_transfer.py --size 4", "--size is 4; the network halves it four times, so it must be at least 16"),
    ],
)
def test_errors_of_use_are_one_line(run, capsys, arguments, error):
    """They name what is wrong, without a traceback, and the exit status is 2."""
    Path("file").touch()
    Path("text").write_text("We the People " * 20)
    lock = FolderLock(Path("held/001"))
    with pytest.raises(SystemExit) as end:
        run(*arguments.split())
    lock.release()
    assert end.value.code == 2
    last = capsys.readouterr().err.splitlines()[-1]
    assert last.startswith(f"{arguments.split()[0]}: error: ")
    assert error in last


def test_errors_of_the_program_keep_their_traceback(run, examples):
    """Whoever changes an example and breaks it sees the line."""
    broken = (examples / "spiral.py").read_text().replace("F.accuracy", "lambda y, t: y @ y")
    (examples / "broken.py").write_text(broken)
    with pytest.raises(ShapeError):
        run("broken.py", "--epochs", "1")


def test_every_example_tells_errors_of_use_in_one_line():
    """All that take arguments do it in the same way."""
    for path in EXAMPLES.glob("*.py"):
        text = path.read_text()
        assert ("with usage_errors():\n        main()\n" in text) == ("argparse" in text), path.name


def test_handwritten_loop(run):
    """It prints an epoch a line, in the form of the page, with losses that fall."""
    out, _ = run("handwritten_loop.py")
    lines = out.splitlines()
    assert len(lines) == 5
    for i, line in enumerate(lines):
        assert re.fullmatch(rf"epoch: {i + 1}, loss: \d\.\d{{4}}, time: \d+\.\d{{4}}\[sec\]", line)
    losses = [float(line.split()[3].rstrip(",")) for line in lines]
    assert losses == sorted(losses, reverse=True)


def test_the_loop_by_hand_and_the_trainer_give_the_same_weights(run):
    """From the same seed, the example's loop and a Trainer end with the same weights, bit for bit.

    The Trainer numbers random draws by step, but its first step draws as the loop does, so that lazily sized layers
    start alike. With dropout in the model the two would differ from the second step on.
    """
    minitorch.seed(0)
    _, names = run("handwritten_loop.py")
    by_hand = names["model"].state_dict()
    minitorch.seed(0)
    model = MLP((1000, 10))
    trainer = Trainer(model, optimizers.SGD(), loss=F.softmax_cross_entropy)
    result = trainer.fit(DataLoader(names["train_set"], 100), epochs=5)
    assert [path for path, array in model.state_dict().items() if array.tobytes() != by_hand[path].tobytes()] == []
    assert f"{result.metrics['loss']:.4f}" == f"{names['sum_loss'] / 300:.4f}"


def test_mnist_gpu(run):
    """It prints a row for each epoch and the test accuracy, and leaves metrics and a checkpoint."""
    out, _ = run("mnist_gpu.py", "--epochs", "2")
    header, first, second, end, checkpoint, accuracy = out.splitlines()
    assert header.split() == ["epoch", "loss", "accuracy", "val_loss", "val_accuracy", "seconds"]
    assert re.fullmatch(rf" +1({NUMBER}){{5}}", first)
    assert re.fullmatch(rf" +2({NUMBER}){{5}}", second)
    assert re.fullmatch(r"completed: 2 epochs done \(step 6, \d+\.\d s, callbacks \d+\.\d%\)", end)
    assert checkpoint == "checkpoint: runs/mnist/001/checkpoints/step-00000006.safetensors"
    assert accuracy == f"test accuracy {second.split()[4]} after 2 epochs"
    assert Path("runs/mnist/001/metrics.jsonl").exists()
    assert Path("runs/mnist/001/checkpoints/step-00000006.safetensors").exists()


def test_mnist_gpu_resumes(run):
    """Two epochs and one more with `--resume auto` end as three at once do."""
    run("mnist_gpu.py", "--epochs", "2", "--out", "a")
    resumed, _ = run("mnist_gpu.py", "--epochs", "3", "--out", "a", "--resume", "auto")
    at_once, _ = run("mnist_gpu.py", "--epochs", "3", "--out", "b")
    assert resumed.splitlines()[0] == "resumed after epoch 2, batch 0 from a/001/checkpoints/step-00000006.safetensors"
    assert resumed.splitlines()[-1] == at_once.splitlines()[-1]
    assert Path("a/001/metrics.jsonl").read_bytes() == Path("b/001/metrics.jsonl").read_bytes()


def test_mnist_gpu_begins_anew_without_resume(run):
    """Each run without `--resume` gets a folder of its own, and `--resume auto` goes on with the newest."""
    options = ["--batch-size", "200", "--lr", "0.1", "--device", "cpu"]
    for number in ("001", "002"):
        out, _ = run("mnist_gpu.py", "--epochs", "1", *options)
        assert "completed: 1 epoch done (step 2," in out
        assert f"checkpoint: runs/mnist/{number}/checkpoints/step-00000002.safetensors" in out
    out, _ = run("mnist_gpu.py", "--epochs", "2", "--resume", "auto", *options)
    assert "checkpoint: runs/mnist/002/checkpoints/step-00000004.safetensors" in out


def test_minimize(run):
    """Gradient descent comes near (1, 1) from far, and Newton's method finds the other minimum to the last digit."""
    out, _ = run("minimize.py", "--iterations", "2000")
    descent, newton = out.split("x^4 - 2x^2, Newton's method:\n")
    assert descent.splitlines()[0] == "Rosenbrock function, gradient descent:"
    points = [tuple(map(float, re.findall(r"-?\d\.\d+", line))) for line in descent.splitlines()[1:]]
    assert points[0] == (0.0, 2.0)
    distances = [(x - 1) ** 2 + (y - 1) ** 2 for x, y in points]
    assert distances == sorted(distances, reverse=True)
    assert newton.splitlines()[-1].split() == ["7:", "1.000000000000"]


def test_spiral(run):
    """It prints ten rows and the end, with a loss that falls."""
    out, _ = run("spiral.py", "--epochs", "20")
    *rows, end = out.splitlines()
    losses = [float(re.search(r" loss (\d\.\d{4})", line)[1]) for line in rows]
    assert len(losses) == 10
    assert losses[-1] < losses[0] - 0.2
    assert re.fullmatch(r"at the end: loss [\d.]+  accuracy [\d.]+  val_loss [\d.]+  val_accuracy [\d.]+", end)


def test_tanh_derivatives(run):
    """The values are those of the derivatives of tanh, written out."""
    out, _ = run("tanh_derivatives.py", "--order", "3")
    y = math.tanh(1)
    expected = [y, 1 - y**2, -2 * y * (1 - y**2), (1 - y**2) * (6 * y**2 - 2)]
    assert out.splitlines() == [f"derivative {n} of tanh at 1: {value:+.6f}" for n, value in enumerate(expected)]
