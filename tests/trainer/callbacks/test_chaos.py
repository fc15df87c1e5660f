"""Chaos: errors and signals where and when they are ordered, once each."""

import subprocess
import sys
from pathlib import Path

import pytest
import small_runs

from minitorch.errors import ConfigError, InjectedError
from minitorch.trainer.callback import HOOKS
from minitorch.trainer.callbacks import Chaos, Checkpoint

HERE = Path(small_runs.__file__).parent
PROGRAM = """
import sys
from minitorch import Every
from minitorch.trainer.callbacks import Chaos, Checkpoint
import small_runs

folder, action = sys.argv[1:]
chaos = Chaos([2, 5], action, folder=folder)
run = small_runs.trainer(chaos, Checkpoint(folder, every=Every(steps=1)))
result = run.fit(small_runs.loader(), epochs=2, resume="auto")
print(result.status, result.state.step)
"""


@pytest.mark.parametrize("hook", [hook for hook in HOOKS if hook not in ("on_exception", "on_fit_end", "on_fit_start")])
def test_it_raises_in_the_hook_of_the_step(hook):
    """The error says which, and the counters are where they are at that hook of that step."""
    run = small_runs.trainer(Chaos([4], hook=hook))
    with pytest.raises(InjectedError, match=rf"Chaos: an error on purpose, in {hook} of step 4"):
        run.fit(small_runs.batches(), small_runs.batches(1), epochs=2)
    assert run.state.step == (3 if hook in ("on_batch_start", "on_after_backward", "on_after_update") else 4)


def test_it_raises_in_the_hooks_of_the_whole_run():
    """At the very start, at the very end, and while another error is handled."""
    with pytest.raises(InjectedError, match=r"in on_fit_start of step 0"):
        small_runs.trainer(Chaos([0], hook="on_fit_start")).fit(small_runs.batches(), epochs=1)
    with pytest.raises(InjectedError, match=r"in on_fit_end of step 4"):
        small_runs.trainer(Chaos([4], hook="on_fit_end")).fit(small_runs.batches(), epochs=1)
    fail = small_runs.at("on_batch_end", lambda trainer, _: 1 / 0)
    with pytest.raises(ZeroDivisionError) as raised:
        small_runs.trainer(fail, Chaos([1], hook="on_exception")).fit(small_runs.batches(), epochs=1)
    assert raised.value.__notes__ == [
        "while handling it, Chaos.on_exception raised InjectedError('Chaos: an error on purpose, in on_exception of "
        "step 1')"
    ]


def test_each_step_fails_once(tmp_path):
    """A run that is resumed gets over it, in the same process and, by the file in the folder, in another."""
    chaos = Chaos([2, 3], folder=tmp_path)
    for step in (2, 3):
        run = small_runs.trainer(chaos, Checkpoint(tmp_path))
        with pytest.raises(InjectedError, match=f"step {step}"):
            run.fit(small_runs.batches(), epochs=1, resume="auto")
    assert (tmp_path / "chaos.txt").read_text() == "2\n3\n"
    for again in (chaos, Chaos([2, 3], folder=tmp_path)):
        small_runs.trainer(again).fit(small_runs.batches(), epochs=1)


@pytest.mark.parametrize(
    ("action", "ends"),
    [
        ("SIGKILL", [(-9, ""), (-9, ""), (0, "completed 8\n")]),
        ("SIGTERM", [(0, "terminated 2\n"), (0, "terminated 5\n"), (0, "completed 8\n")]),
        ("SIGINT", [(0, "interrupted 2\n"), (0, "interrupted 5\n"), (0, "completed 8\n")]),
    ],
)
def test_signals(action, ends, tmp_path):
    """A process is killed, or ends by itself, at each of the steps, and the last one completes the run."""
    found = []
    for _ in ends:
        command = [sys.executable, "-c", PROGRAM, tmp_path, action]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, cwd=HERE)
        found.append((done.returncode, done.stdout))
    assert found == ends, done.stderr


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Chaos([]), r"Chaos: steps is \(\); give some ints of at least 0"),
        (lambda: Chaos([1.5]), r"Chaos: steps is \(1\.5,\); give some ints"),
        (lambda: Chaos([1], "explode"), r"Chaos: action is 'explode'; it must be 'raise' or 'SIGINT' or"),
        (lambda: Chaos([1], hook="on_batch_begin"), r"Chaos: hook is 'on_batch_begin'; it must be 'on_fit_start' or"),
    ],
)
def test_settings_that_are_not_allowed(make, message):
    """The error names the setting, its value and the rule."""
    with pytest.raises(ConfigError, match=message):
        make()
