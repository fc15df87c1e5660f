"""What users of other frameworks write, and what to write here: errors for arguments and attributes that are not there.

Nothing is looked up before Python has failed, so what is right costs nothing.
"""

import functools
import inspect
from collections.abc import Callable, Mapping
from typing import Any, ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")

# Arguments that have another name here: the first of these that the function takes.
RENAMED = {
    "lr": ("alpha",),
    "learning_rate": ("lr", "alpha"),
    "beta_1": ("beta1",),
    "beta_2": ("beta2",),
    "epsilon": ("eps",),
    "p": ("dropout_ratio",),
    "dropout": ("dropout_ratio",),
    "rate": ("dropout_ratio",),
    "padding": ("pad",),
    "strides": ("stride",),
    "in_features": ("in_size",),
    "out_features": ("out_size",),
    "input_size": ("in_size",),
    "units": ("out_size", "hidden_size"),
    "filters": ("out_channels",),
    "num_embeddings": ("in_size",),
    "embedding_dim": ("out_size",),
    "embed_dim": ("width",),
    "num_heads": ("n_heads",),
    "num_groups": ("groups",),
    "max_norm": ("norm",),
    "gradient_clip_val": ("norm",),
    "clip_value": ("value",),
    "restore_best_weights": ("restore_best",),
    "start_from_epoch": ("start",),
    "dirpath": ("folder",),
    "filepath": ("folder",),
    "save_top_k": ("keep_best",),
    "log_dir": ("folder",),
}

OPTIMIZER_ARGUMENTS = {
    "params": "give the model to setup: optimizer.setup(model)",
    "betas": "give beta1=..., beta2=...",
    "momentum": "MomentumSGD(lr, momentum) has it",
    "nesterov": "MomentumSGD(lr, momentum, nesterov=True) has it",
    "weight_decay": "add the hook: optimizer.add_hook(WeightDecay(rate)), or take AdamW",
    "clipnorm": "add the hook: optimizer.add_hook(ClipGrad(max_norm))",
}

LAYER_ARGUMENTS = {
    "bias": "give nobias=True to leave it out",
    "use_bias": "give nobias=True to leave it out",
    "momentum": "give decay=..., which is 1 - momentum of PyTorch",
    "device": "call model.to_gpu() or model.to_cpu()",
    "input_shape": "the sizes are taken from the first batch",
}

CALLBACK_ARGUMENTS = {
    "verbose": "add the callback ConsoleLogger(), which tells what happens",
    "save_best_only": "give monitor=..., and keep_best= for how many",
    "save_last": "give keep=..., how many of the newest stay",
    "every_n_epochs": "give every=Every(epochs=...)",
    "every_n_train_steps": "give every=Every(steps=...)",
}


def tells_arguments(remedies: Mapping[str, str]) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """A decorator: when a method is given arguments that it does not take, the TypeError lists what it takes.

    `remedies`: by the name of an argument of another framework, what to do here.
    """

    def decorate(method: Callable[P, R]) -> Callable[P, R]:
        @functools.wraps(method)
        def told(*args: P.args, **kwargs: P.kwargs) -> R:
            try:
                return method(*args, **kwargs)
            except TypeError:
                mistake = _mistake(method, args, kwargs, remedies)
                if mistake is None:  # an error inside, or one that Python words well
                    raise
            raise TypeError(mistake)

        return told

    return decorate


def _mistake(
    method: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any], remedies: Mapping[str, str]
) -> str | None:
    """What is wrong with a call of the method, where an argument is unknown or one too many."""
    parameters = list(inspect.signature(method).parameters.values())[1:]
    kinds = [parameter.kind for parameter in parameters]
    names = [parameter.name for parameter in parameters]
    who = method.__qualname__.rpartition("<locals>.")[2].removesuffix(".__init__")
    unknown = [name for name in kwargs if name not in names]
    if unknown and inspect.Parameter.VAR_KEYWORD not in kinds:
        return f"{who} takes no argument {unknown[0]!r}; {_remedy(unknown[0], names, remedies)}{_listed(names)}"
    most = kinds.count(inspect.Parameter.POSITIONAL_OR_KEYWORD)
    if len(args) - 1 <= most or inspect.Parameter.VAR_POSITIONAL in kinds:
        return None
    rest = f"; name it: {'=..., '.join(names[most:])}=..." if names[most:] else ", one too many"
    first = ", ".join(names[:most]) or "nothing"
    return f"{who} takes {first} by position, and then {args[most + 1]!r:.80} was given{rest}"


def _remedy(name: str, names: list[str], remedies: Mapping[str, str]) -> str:
    here = [ours for ours in RENAMED.get(name, ()) if ours in names]
    if here:
        return f"it is {here[0]} here; "
    return f"{remedies[name]}; " if name in remedies else ""


def _listed(names: list[str]) -> str:
    return f"it takes {', '.join(names) or 'none'}"
