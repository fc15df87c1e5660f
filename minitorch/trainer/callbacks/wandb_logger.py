"""`WandbLogger`: the metrics of a run in Weights & Biases, on this machine or on its server."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import attrs

from minitorch.serialize import check_keys
from minitorch.trainer.callbacks.dashboard_logger import DashboardLogger
from minitorch.trainer.callbacks.extra import extra_module
from minitorch.trainer.settings import as_text, one_of

if TYPE_CHECKING:
    from minitorch.trainer.trainer import Trainer


@attrs.define(eq=False)
class WandbLogger(DashboardLogger):
    """Logs to one run of Weights & Biases, which a resumed run goes on with.

        Trainer(model, optimizer, loss=loss, callbacks=[WandbLogger("mnist", folder="runs/mnist", mode="online")])

    The metrics are `step/...`, means over a log interval, and `epoch/...` and `timings/...`, one value for each epoch,
    at their optimizer update. W&B takes nothing back: a run resumed online logs only steps that are not there yet.
    Offline, each resumed run is a folder of its own under the same id, and what a killed one had logged beyond its
    checkpoint is in both.

    Args:
        project: the name of the project.
        name: the name of the run; None: W&B makes one up.
        folder: where its folder `wandb` goes; made where it is missing.
        mode: "offline" keeps all on this machine, for `wandb sync`; "online" needs a login; "disabled" does nothing.
        config: settings to note down with the run.

    Raises:
        MissingExtraError: the package `wandb` is not installed.
        ConfigError: `mode` is none of the three.
    """

    project: str
    name: str | None = None
    folder: Path = attrs.field(default=Path(), converter=Path, repr=as_text)
    mode: Literal["offline", "online", "disabled"] = attrs.field(
        default="offline", validator=one_of("offline", "online", "disabled")
    )
    config: Mapping[str, Any] = attrs.field(factory=dict)
    _id: str = attrs.field(default="", init=False, repr=False)
    _wandb: Any = attrs.field(init=False, repr=False)
    _run: Any = attrs.field(default=None, init=False, repr=False)

    def __attrs_post_init__(self) -> None:
        self._wandb = extra_module("wandb", "WandbLogger", "wandb")

    def on_fit_start(self, trainer: "Trainer") -> None:
        """Begin a run, or go on with the resumed one."""
        resumed = bool(self._id) and trainer.state.step > 0
        self.folder.mkdir(parents=True, exist_ok=True)
        self._run = self._wandb.init(
            project=self.project,
            name=self.name,
            dir=str(self.folder),
            mode=self.mode,
            config=dict(self.config),
            id=self._id if resumed else None,
            resume="allow" if resumed else None,
            reinit="create_new",
        )
        self._id = self._run.id

    def state_dict(self) -> dict[str, Any]:
        """W&B's name for the run."""
        return {"id": self._id}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on with that run, when it begins."""
        check_keys("WandbLogger", ("id",), state)
        self._id = state["id"]

    def _send(self, step: int, values: dict[str, float]) -> None:
        if step >= self._run.step:
            self._run.log(values, step=step)

    def _end(self, status: str) -> None:
        if self._run is not None:
            self._run.finish(exit_code=0 if status in ("completed", "stopped") else 1)
            self._run = None
