"""The command line: what it prints, its exit statuses, and what it says about mistakes."""

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("click")
from minitorch.cli.commands import commands, run
from minitorch.trainer.run_record import RunRecord
from small_mnist import write_small_mnist

EXAMPLE = Path(__file__).parents[2] / "examples" / "mnist.toml"


@pytest.fixture(scope="module")
def small_data(tmp_path_factory):
    """A folder with a small part of MNIST."""
    folder = tmp_path_factory.mktemp("data")
    write_small_mnist(folder / "mnist", train=300, test=100)
    return folder


@pytest.fixture
def command(small_data, tmp_path, monkeypatch, capsys):
    """Runs a command in an empty folder; returns its status, and what it printed."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MINITORCH_DATA", str(small_data))

    def start(*arguments):
        status = run([str(argument) for argument in arguments])
        out, err = capsys.readouterr()
        return status, out, err

    return start


def trained(command, *options):
    """The folder of a run of the example with one epoch."""
    status, out, err = command("train", EXAMPLE, "--epochs", "1", *options)
    assert (status, err) == (0, "")
    return Path(re.search(r"checkpoint: (.*)/checkpoints/", out)[1])


# train ---------------------------------------------------------------------------------------------------------------


def test_train(command):
    """The example trains, prints its rows, and leaves a run with its settings; resumed, it goes on."""
    status, out, err = command("train", EXAMPLE)
    assert (status, err) == (0, "")
    header, *rows, end, checkpoint = out.splitlines()
    assert header.split() == ["epoch", "loss", "accuracy", "val_loss", "val_accuracy", "seconds", "samples/s"]
    assert len(rows) == 5
    assert end.startswith("completed: 5 epochs done (step 15, ")
    assert checkpoint == "checkpoint: runs/mnist-toml/001/checkpoints/step-00000015.safetensors"
    record = RunRecord.read(Path("runs/mnist-toml/001"))
    assert record.config["model"]["fc_output_sizes"] == [1000, 10]
    status, out, _ = command("train", EXAMPLE, "--epochs", "6", "--resume", "auto")
    source = "runs/mnist-toml/001/checkpoints/step-00000015.safetensors"
    assert (status, out.splitlines()[0]) == (0, f"resumed after epoch 5, batch 0 from {source}")


def test_train_options(command):
    """The folder and the seed of the file can be replaced."""
    folder = trained(command, "--seed", "5", "--folder", "elsewhere")
    assert folder == Path("elsewhere/001")
    assert RunRecord.read(folder).sessions[0].seed == 5


def test_explain_trains_nothing(command, tmp_path):
    """It prints what would run, in which order, and makes no folder."""
    status, out, _ = command("train", EXAMPLE, "--explain")
    assert status == 0
    assert out.startswith("Trainer trains MLP((1000, 10)) with SGD\ncallbacks, by phase:")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")
@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interrupted_run_has_its_status(small_data, tmp_path, number, status):
    """As a shell tells of the signal; the last checkpoint is there."""
    command = [sys.executable, "-m", "minitorch", "train", str(EXAMPLE), "--epochs", "100000"]
    environment = {**os.environ, "MINITORCH_DATA": str(small_data), "OPENBLAS_NUM_THREADS": "1"}
    with subprocess.Popen(command, cwd=tmp_path, env=environment, stdout=subprocess.PIPE, text=True) as process:
        try:
            process.stdout.readline()  # the header: it is training
            process.send_signal(number)
            out, _ = process.communicate(timeout=60)
        finally:
            process.kill()
    assert process.returncode == status
    assert Path(tmp_path, out.splitlines()[-1].removeprefix("checkpoint: ")).exists()


SLOW = """
import time
from minitorch import Trainer

class Slow(Trainer):
    def training_step(self, batch):
        if self.state.step == 4:
            print("waiting", flush=True)
            while True:
                time.sleep(0.01)
                if self.ending:
                    print("asked", flush=True)
        return super().training_step(batch)
"""


@pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")
def test_a_second_ctrl_c_says_what_is_left(small_data, tmp_path):
    """In a real process, in the middle of a step: it ends at once, and names the last checkpoint."""
    (tmp_path / "slow.py").write_text(SLOW)
    command = [sys.executable, "-m", "minitorch", "train", str(EXAMPLE), "--folder", "runs", "--trainer", "slow:Slow"]
    environment = {**os.environ, "MINITORCH_DATA": str(small_data), "OPENBLAS_NUM_THREADS": "1"}
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, cwd=tmp_path, env=environment, **pipes) as process:
        try:
            for word in ("waiting\n", "asked\n"):
                while process.stdout.readline() != word:
                    assert process.poll() is None, process.stderr.read()
                process.send_signal(signal.SIGINT)
            _, err = process.communicate(timeout=60)
        finally:
            process.kill()
    assert process.returncode == 130
    newest = Path("runs/001/checkpoints/step-00000003.safetensors")
    assert err.splitlines()[-2:] == [
        "interrupted",
        f"the run was ended at once, after 4 steps; the last checkpoint to resume from: {newest}",
    ]
    assert (tmp_path / newest).exists()
    assert RunRecord.read(tmp_path / "runs/001").sessions[0].status == "interrupted"


MINE = """
import minitorch.functions as F
from minitorch import Trainer

class Mine(Trainer):
    def training_step(self, batch):
        x, t = batch
        self.log("seen", 1.0)
        return F.softmax_cross_entropy(self.model(x), t)

class Other(Trainer):
    def __init__(self, model):
        super().__init__(model)

something = 3
"""


def test_a_trainer_of_ones_own(command, tmp_path):
    """`--trainer` names a subclass in a module of the current folder; it trains, is explained, and resumes."""
    (tmp_path / "mine_1.py").write_text(MINE)
    status, out, _ = command("train", EXAMPLE, "--epochs", "1", "--trainer", "mine_1:Mine")
    assert status == 0
    assert "seen" in out.splitlines()[0]
    assert RunRecord.read(Path("runs/mnist-toml/001")).trainer["class"] == "Mine"
    status, out, _ = command("train", EXAMPLE, "--epochs", "2", "--trainer", "mine_1:Mine", "--resume", "auto")
    assert status == 0
    assert out.startswith("resumed after epoch 1, batch 0 from runs/mnist-toml/001/checkpoints/step-")
    _, out, _ = command("train", EXAMPLE, "--trainer", "mine_1:Mine", "--explain")
    assert "training_step        Mine.training_step" in out


@pytest.mark.parametrize(
    ("name", "message"),
    [
        (
            "mine_2",
            r"--trainer is 'mine_2'; give MODULE:CLASS, such as training:MnistTrainer for the class MnistTrainer",
        ),
        ("mine_2.py:Mine", r"--trainer is 'mine_2\.py:Mine'; give MODULE:CLASS"),
        ("mine_2:Min", r"--trainer: Min of mine_2 is not there; give a subclass of Trainer: did you mean Mine\?"),
        (
            "mine_2:something",
            r"--trainer: something of mine_2 is 3; give a subclass of Trainer: there is Mine, Other, Tr",
        ),
        (
            "nowhere.mine:Mine",
            r"--trainer: there is no module 'nowhere\.mine' in .*, nor among those installed; go to its",
        ),
        (
            "mine_2:Other",
            r"Other cannot be made from settings: .*; its __init__ must take what that of Trainer does",
        ),
    ],
)
def test_a_trainer_that_is_none(command, tmp_path, name, message):
    """One line says what is wrong with it, and what there is."""
    (tmp_path / "mine_2.py").write_text(MINE)
    status, out, err = command("train", EXAMPLE, "--trainer", name)
    assert (status, out) == (1, "")
    assert re.match(f"error: {message}", err)


def test_a_file_names_no_trainer(command, tmp_path):
    """A configuration can name only what is public."""
    (tmp_path / "run.toml").write_text('trainer = "mine_2:Mine"\n' + EXAMPLE.read_text())
    status, _, err = command("train", "run.toml")
    assert status == 1
    assert "TrainerConfig: there is no setting 'trainer'" in err


def test_what_a_module_itself_misses_is_its_own_error(command, tmp_path):
    """An import that fails inside of it is shown as it is."""
    (tmp_path / "mine_3.py").write_text("import not_there_at_all\n")
    with pytest.raises(ModuleNotFoundError, match="not_there_at_all"):
        command("train", EXAMPLE, "--trainer", "mine_3:Mine")


@pytest.mark.filterwarnings("always")
def test_a_warning_is_a_line(command):
    """Without the place in a program: the user of a command has none."""
    folder = trained(command)
    (folder / "checkpoints" / "step-00000009.safetensors").write_bytes(b"torn")
    _, _, err = command("train", EXAMPLE, "--epochs", "2", "--resume", "auto")
    assert re.fullmatch(r"warning: resumed from \S+step-00000003\.safetensors, because newer ones .*\n", err)


# the others ----------------------------------------------------------------------------------------------------------


def test_summary(command):
    """The layers with their outputs for a batch of the data."""
    status, out, _ = command("summary", EXAMPLE)
    assert status == 0
    assert out.splitlines()[0].split() == ["layer", "class", "output", "parameters", "memory"]
    assert "l0       Linear  (100, 1000)     785,000" in out


def test_diff(command):
    """What is different is listed, with status 1; the same run twice has no difference."""
    a, b, c = trained(command), trained(command, "--seed", "1"), trained(command)
    status, out, _ = command("diff", a, b)
    assert status == 1
    header, *rows = out.splitlines()
    assert header.split() == [str(a), str(b)]
    assert [row.split() for row in rows[:2]] == [["config.seed", "0", "1"], ["seed", "0", "1"]]
    assert [row.split()[0] for row in rows[2:]] == [
        f"metrics.{n}" for n in ("loss", "accuracy", "val_loss", "val_accuracy")
    ]
    assert command("diff", a, c) == (0, "no difference\n", "")
    Path("empty").mkdir()
    status, _, err = command("diff", a, "empty")
    assert (status, err) == (1, "error: empty has no run.json; name the folder of a run, such as runs/mnist/001\n")


def test_report(command):
    """The page of a run is written beside its files, or where it is asked for."""
    folder = trained(command)
    (folder / "report.html").unlink()
    assert command("report", folder) == (0, f"{folder}/report.html\n", "")
    assert "completed" in (folder / "report.html").read_text()
    assert command("report", folder, "--out", "page.html") == (0, "page.html\n", "")
    assert Path("page.html").read_text() == (folder / "report.html").read_text()
    Path("empty").mkdir()
    status, _, err = command("report", "empty")
    assert (status, err) == (1, "error: empty has no run.json; name the folder of a run, such as runs/mnist/001\n")


def test_checkpoint(command):
    """Counters, metrics, arrays, and whether every byte is as written; a run's folder lists all of its files."""
    folder = trained(command)
    (path,) = (folder / "checkpoints").iterdir()
    status, out, _ = command("checkpoint", path)
    lines = out.splitlines()
    assert status == 0
    assert re.match(rf"{path}: 3,\d+,\d+ bytes, 4 arrays$", lines[0])
    assert lines[1].startswith("epoch 1  batch 0  step 3  samples 300  elapsed ")
    assert lines[2].startswith("newest epoch: loss ")
    assert lines[3] == "callbacks with state: JSONLLogger, Checkpoint"
    assert lines[4].split() == ["model/l0.W", "(784,", "1000)", "float32"]
    assert lines[-1] == "verified: every byte is as it was written"
    assert command("checkpoint", folder) == (0, "step-00000003.safetensors  verified\n", "")


def test_a_folder_without_checkpoints(command):
    """The folder above those of the runs, an easy mistake, is told from a run with the remedy."""
    folder = trained(command).parent
    remedy = "name the folder of a run, such as runs/mnist/001"
    assert command("checkpoint", folder) == (1, "", f"error: {folder} has no checkpoints; {remedy}\n")


def test_a_damaged_checkpoint(command):
    """It is told, with status 1, and nothing is called verified."""
    folder = trained(command)
    (path,) = (folder / "checkpoints").iterdir()
    content = bytearray(path.read_bytes())
    content[-5] ^= 1
    path.write_bytes(content)
    for target in (path, folder):
        status, out, err = command("checkpoint", target)
        assert status == 1
        assert "verified" not in out
        assert err.startswith(f"error: {path} is damaged: its content does not fit its checksum")


def test_many_arrays_are_cut_short(command):
    """A model with many arrays shows the first, unless all are asked for; a file of weights says that it is one."""
    import numpy as np

    from minitorch import serialize

    serialize.save("many.safetensors", {f"a{i:02d}": np.zeros(1) for i in range(20)})
    _, out, _ = command("checkpoint", "many.safetensors")
    assert "no state of a Trainer: a file of weights" in out
    assert "... and 8 more (--all)" in out
    _, out, _ = command("checkpoint", "many.safetensors", "--all")
    assert "a19" in out


def test_doctor(command):
    """It looks at everything, each with how it is, and tells a missing extra with its remedy."""
    status, out, _ = command("doctor")
    assert status == 0
    words = [line.split("  ")[0] for line in out.splitlines()]
    for what in (
        "python",
        "numpy",
        "processor",
        "cores",
        "BLAS",
        "oneDNN",
        "denormal numbers",
        "GPU",
        "disk",
        "checkpoints",
    ):
        assert what in words
    assert out.splitlines()[-1] == "all that is needed works"
    from minitorch.cli import doctor

    for extra, module in doctor.EXTRAS.items():
        if doctor.find_spec(module) is None:
            assert f"-> pip install minitorch[{extra}]" in out


def test_doctor_says_why_onednn_is_not_used(command, monkeypatch):
    """A library that is there and not used is told with the reason; that is nothing wrong."""
    from minitorch.cli import doctor

    found = doctor.onednn.Found(None, "3.2.0, TBB, libdnnl.so.3: only version 3 with OpenMP is used")
    monkeypatch.setattr(doctor.onednn, "find", lambda: found)
    status, out, _ = command("doctor")
    assert status == 0
    assert re.search(r"^oneDNN +not used: 3\.2\.0, TBB, libdnnl\.so\.3: only version 3 with OpenMP is used$", out, re.M)
    assert "-> pip install minitorch[fast]" in out


def test_doctor_finds_what_is_wrong(command, tmp_path, monkeypatch):
    """More threads than cores, and a folder of data that is not there, are told with the remedy and status 1."""
    from minitorch.cli import doctor

    monkeypatch.setattr(doctor.blas, "get_num_threads", lambda: 999)
    monkeypatch.setenv("MINITORCH_DATA", "nowhere")
    status, out, _ = command("doctor")
    assert status == 1
    assert "999 threads" in out
    assert re.search(r"-> more threads than cores make each other wait: export OPENBLAS_NUM_THREADS=\d", out)
    assert "-> make it, or unset the variable" in out
    assert out.splitlines()[-1] == "something is wrong: BLAS, MINITORCH_DATA"


# mistakes ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", list(commands.commands))
def test_help(command, name):
    """Each command explains itself and its arguments."""
    status, out, _ = command(name, "--help")
    assert status == 0
    assert out.startswith(f"Usage: minitorch {name} ")
    assert commands.commands[name].help.split("\n")[0] in out
    _, out, _ = command("--help")
    assert re.search(rf"^  {name} +[A-Z].*\.$", out, re.M)  # its one line is not cut


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["trian"], "no command is named 'trian'; did you mean train?"),
        (["x"], "no command is named 'x'; there is checkpoint, diff, doctor, "),
        (["train"], "Missing argument 'CONFIG'"),
        (["train", "no.toml"], "File 'no.toml' does not exist"),
        (["train", str(EXAMPLE), "--epoch", "1"], "--epochs"),
    ],
)
def test_wrong_arguments(command, arguments, message):
    """Status 2, the rule, and near names."""
    status, out, err = command(*arguments)
    assert (status, out) == (2, "")
    assert message in err


def test_a_wrong_file(command):
    """Our errors are one line, with status 1."""
    Path("a.toml").write_text(EXAMPLE.read_text().replace('"MLP"', '"MPL"'))
    assert command("train", "a.toml") == (1, "", "error: model: no model is named 'MPL'; did you mean MLP?\n")


def test_a_checkout_that_is_not_installed_says_so():
    """It may have been put on the path alone: `--version` is no traceback."""
    program = """
import sys
from importlib import metadata

def missing(name):
    raise metadata.PackageNotFoundError(name)

metadata.version = missing
from minitorch.cli.commands import run
sys.exit(run(["--version"]))
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "minitorch, version not installed\n", "")


def test_as_a_module_without_click(tmp_path):
    """Where click is missing, the message names the extra; with it, the module is the command line."""
    hide = "import sys; sys.modules['click'] = None; sys.argv = ['minitorch']; import runpy; "
    done = subprocess.run(
        [sys.executable, "-c", hide + "runpy.run_module('minitorch', run_name='__main__')"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert re.fullmatch(r"the command line cannot import click \(.*\): pip install minitorch\[cli\]\n", done.stderr)
    done = subprocess.run([sys.executable, "-m", "minitorch", "--version"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout[:10]) == (0, "minitorch,")
