"""`GradientClipping`: gradients kept within bounds."""

from typing import TYPE_CHECKING, Any

import attrs

from minitorch.cuda import xp_of
from minitorch.errors import ConfigError
from minitorch.optimizers.hooks import clip_norm
from minitorch.trainer.callback import Callback, Phase
from minitorch.trainer.settings import check_number

if TYPE_CHECKING:
    from minitorch.trainer.trainer import Trainer


def _check_bound(owner: Any, attribute: Any, value: Any) -> None:
    if value is not None:
        check_number(f"GradientClipping: {attribute.name}", value, float)


@attrs.define(eq=False)
class GradientClipping(Callback):
    """Scales all gradients together to a norm of at most `norm`, or brings each number of them into [-value, value].

        Trainer(model, optimizer, loss=loss, callbacks=[GradientClipping(norm=1.0), ConsoleLogger()])

    The norm over all gradients, as it was before, is logged as `grad_norm`. Nothing waits for a GPU. In a loop without
    a Trainer: `optimizer.add_hook(ClipGrad(1.0))`.

    Source: Pascanu et al., "On the difficulty of training recurrent neural networks", ICML 2013.

    Args:
        norm: the largest norm to let pass.
        value: the largest absolute value to let pass, instead.

    Raises:
        ConfigError: not exactly one of them is given, or it is not positive.
    """

    phase = Phase.CONTROL
    needs_host = ()
    logs = ("grad_norm",)

    norm: float | None = attrs.field(default=None, kw_only=True, validator=_check_bound)
    value: float | None = attrs.field(default=None, kw_only=True, validator=_check_bound)

    def __attrs_post_init__(self) -> None:
        if (self.norm is None) == (self.value is None):
            raise ConfigError(f"{self!r}: give exactly one of norm= and value=")

    def on_after_backward(self, trainer: "Trainer") -> None:
        """Change the gradients in place."""
        grads = [param.grad.data for param in trainer.model.params() if param.grad is not None]
        if self.norm is not None:
            trainer.log("grad_norm", clip_norm(grads, self.norm))
        else:
            for g in grads:
                xp_of(g).clip(g, -self.value, self.value, out=g)  # type: ignore[operator]
