"""`MLflowLogger`: the metrics of a run in MLflow, in a local file or on a server."""

import re
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import attrs

from minitorch.serialize import check_keys
from minitorch.trainer.callbacks.dashboard_logger import DashboardLogger
from minitorch.trainer.callbacks.extra import extra_module

if TYPE_CHECKING:
    from minitorch.trainer.trainer import Trainer

NOT_IN_NAMES = r"[^\w\-. :/]"  # MLflow refuses names with such a character
STATUS = {
    "completed": "FINISHED",
    "stopped": "FINISHED",
    "interrupted": "KILLED",
    "terminated": "KILLED",
    "failed": "FAILED",
}


@attrs.define(eq=False)
class MLflowLogger(DashboardLogger):
    """Logs to one MLflow run, which a resumed run goes on with.

        Trainer(model, optimizer, loss=loss, callbacks=[MLflowLogger("mnist", params={"lr": 0.01})])

    The metrics are `step/...`, means over a log interval, and `epoch/...` and `timings/...`, one value for each epoch,
    at their optimizer update. MLflow takes nothing back: what a killed run had logged beyond its checkpoint stays, and
    the resumed run, which repeats these steps, does not log them again. A character that MLflow does not take in names
    becomes "_". `mlflow ui` shows the local file.

    Args:
        experiment: the name of the experiment; made where it is missing.
        run_name: the name of the run; None: MLflow makes one up.
        params: settings to note down with the run.
        tracking_uri: where to log, such as "sqlite:///mlflow.db" or "http://..."; None: where MLflow would by itself.

    Raises:
        MissingExtraError: the package `mlflow` is not installed.
    """

    experiment: str
    run_name: str | None = None
    params: Mapping[str, Any] = attrs.field(factory=dict)
    tracking_uri: str | None = None
    _run: str = attrs.field(default="", init=False, repr=False)
    _last: dict[str, int] = attrs.field(factory=dict, init=False, repr=False)
    _mlflow: Any = attrs.field(init=False, repr=False)
    _client: Any = attrs.field(default=None, init=False, repr=False)

    def __attrs_post_init__(self) -> None:
        self._mlflow = extra_module("mlflow", "MLflowLogger", "mlflow")

    def on_fit_start(self, trainer: "Trainer") -> None:
        """Begin a run, or go on with the resumed one."""
        self._client = client = self._mlflow.MlflowClient(tracking_uri=self.tracking_uri)
        if self._run and trainer.state.step:
            client.update_run(self._run, "RUNNING")
            self._last = {
                key: max(metric.step for metric in client.get_metric_history(self._run, key))
                for key in client.get_run(self._run).data.metrics
            }
            return
        found = client.get_experiment_by_name(self.experiment)
        experiment = client.create_experiment(self.experiment) if found is None else found.experiment_id
        self._run, self._last = client.create_run(experiment, run_name=self.run_name).info.run_id, {}
        params = [self._mlflow.entities.Param(key, str(value)) for key, value in self.params.items()]
        client.log_batch(self._run, params=params)

    def state_dict(self) -> dict[str, Any]:
        """MLflow's name for the run."""
        return {"run": self._run}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on with that run, when it begins."""
        check_keys("MLflowLogger", ("run",), state)
        self._run = state["run"]

    def _send(self, step: int, values: dict[str, float]) -> None:
        now = int(time.time() * 1000)
        metrics = [
            self._mlflow.entities.Metric(key, value, now, step)
            for key, value in ((re.sub(NOT_IN_NAMES, "_", name), value) for name, value in values.items())
            if step > self._last.get(key, -1)
        ]
        self._client.log_batch(self._run, metrics=metrics)

    def _end(self, status: str) -> None:
        if self._client is not None and self._run:
            self._client.set_terminated(self._run, STATUS[status])
        self._client = None
