"""`MixedPrecision`: matrix products rounded to fewer bits, everything else in float32."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import attrs
import numpy as np

from minitorch.cuda import as_cupy, capturing, computing, is_array, kernels
from minitorch.errors import DeviceError
from minitorch.serialize import check_keys
from minitorch.trainer.callback import Callback, Phase
from minitorch.trainer.settings import at_least, one_of
from minitorch.trainer.step import UNSCALED
from minitorch.variable import Parameter

if TYPE_CHECKING:
    from minitorch.trainer.state import FitResult
    from minitorch.trainer.trainer import Trainer

Array = Any
FORMATS = ("bf16", "fp16", "tf32")
GROWTH, BACKOFF, LARGEST = 2.0, 0.5, 2.0**24


@attrs.define(eq=False)
class MixedPrecision(Callback):
    """Rounds what goes into matrix products and convolutions to `format`, on a GPU; sums stay in float32.

        Trainer(model, optimizer, loss=loss, callbacks=[DevicePlacement("cuda"), MixedPrecision("bf16")])

    It does so from the beginning of a run to its end, in validation too. Weights, gradients and all arrays between
    operations stay float32: there is no second copy of anything. With "fp16", whose numbers end at 65504 and begin at
    6e-8, gradients are computed of the loss times a scale and divided again. An update whose gradients are not all
    finite is left out and halves the scale, `patience` good ones in a row double it; that is decided on the device, and
    nothing waits for it. A left-out update is none for the corrections of Adam, which counts on the device; in
    `trainer.state` it is one, and schedules go on. The scale is saved with the run.

    Source: Micikevicius et al., "Mixed Precision Training", ICLR 2018.

    Args:
        format: "bf16", "fp16" or "tf32".
        scale: what the loss is multiplied by at first, for "fp16".
        patience: how many good updates in a row double it.

    Raises:
        ConfigError: a setting is not allowed.
        DeviceError: at the beginning of a run, the model is not on a GPU: a host has no such products; or, for "fp16",
            the optimizer updates Parameters one by one.
    """

    phase = Phase.DEVICE
    needs_host = ()

    format: str = attrs.field(default="bf16", validator=one_of(*FORMATS))
    scale: float = attrs.field(default=2.0**16, kw_only=True, validator=at_least(1.0, float))
    patience: int = attrs.field(default=2000, kw_only=True, validator=at_least(1, int))
    _mode: Any = attrs.field(default=None, init=False, repr=False)
    _scaling: "LossScale | None" = attrs.field(default=None, init=False, repr=False)
    _restored: Mapping[str, Any] = attrs.field(factory=dict, init=False, repr=False)

    @property
    def loss_scale(self) -> Array | None:
        """What the loss is multiplied by now, float32, 0-d, on the device; None unless an "fp16" run is under way."""
        return None if self._scaling is None else self._scaling.scale

    def on_epoch_start(self, trainer: "Trainer") -> None:
        """Begin, in the first epoch of a run: by now the model is where it is to be."""
        if self._mode is not None:
            return
        if not all(param.on_gpu for param in trainer.model.params()):
            raise DeviceError(
                f"{self!r}: the model is on the host, which has no products in {self.format}; put "
                'DevicePlacement("cuda") among the callbacks, or leave MixedPrecision out'
            )
        self._mode = computing(self.format)
        self._mode.__enter__()
        if self.format == "fp16":
            self._scaling = LossScale(self._restored.get("scale", self.scale), self._restored.get("good", 0))
            trainer.loss_scale = self._scaling.scale
            for optimizer in trainer.optimizers.values():
                optimizer.keep = self._scaling.keep

    def on_after_backward(self, trainer: "Trainer") -> None:
        """Divide the gradients by the scale, and move it."""
        if self._scaling is not None:
            self._scaling.unscale([p for p in trainer.model.params() if p.grad is not None], self.patience)

    def on_exception(self, trainer: "Trainer", error: BaseException) -> None:
        """Compute in float32 again."""
        self._end(trainer)

    def on_fit_end(self, trainer: "Trainer", result: "FitResult") -> None:
        """Compute in float32 again."""
        self._end(trainer)

    def _end(self, trainer: "Trainer") -> None:
        if self._mode is None:
            return
        self._restored = self.state_dict()
        self._mode.__exit__(None, None, None)
        self._mode = None
        if self._scaling is not None:
            self._scaling = None
            trainer.loss_scale = UNSCALED
            for optimizer in trainer.optimizers.values():
                optimizer.keep = None

    def state_dict(self) -> dict[str, Any]:
        """The scale, and how many good updates there were in a row."""
        if self._scaling is None:
            return dict(self._restored)
        return {"scale": self._scaling.scale, "good": self._scaling.good}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on with that scale.

        Raises:
            StateError: the state is of something else.
        """
        if state:
            check_keys("MixedPrecision", ("scale", "good"), state)
        self._restored = dict(state)


def _on_device(value: Any, dtype: Any) -> Array:
    """A number, or a copy of an array of one, as an array of its own on the device."""
    return as_cupy(value if is_array(value) else np.asarray(value, dtype)).astype(dtype)


class LossScale:
    """A scale of the loss that is moved on the device.

    Attributes:
        scale: float32, 0-d.
        good: int32, 0-d: how many updates in a row were finite.
        keep: float32, 0-d: 1, or -1 if the newest gradients were not finite.
    """

    def __init__(self, scale: Any, good: Any) -> None:
        self.scale = _on_device(scale, np.float32)
        self.good = _on_device(good, np.int32)
        self.keep = _on_device(1, np.float32)
        self._arrays: list[Array] = []
        self._tensors: kernels.Tensors | None = None

    def unscale(self, params: list[Parameter], patience: int) -> None:
        """Divide the gradients of `params` by the scale, in place, and move the scale by what they are."""
        arrays = [param.data for param in params]
        if len(arrays) != len(self._arrays) or any(a is not b for a, b in zip(arrays, self._arrays, strict=True)):
            if capturing():
                raise DeviceError("MixedPrecision: other Parameters have gradients than in the step before")
            self._tensors, self._arrays = kernels.Tensors(arrays), arrays
        grads = []
        for param in params:
            g = kernels.contiguous(param.grad.data)
            param.grad.data = g
            grads.append(g)
        settings = {"growth": GROWTH, "backoff": BACKOFF, "largest": LARGEST}
        assert self._tensors is not None
        kernels.unscale(
            self._tensors, grads, scale=self.scale, good=self.good, keep=self.keep, patience=patience, **settings
        )
