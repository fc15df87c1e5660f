"""What users of DeZero and other frameworks write, and what to write here: errors for what is not there.

Nothing is looked up before Python has failed, so what is right costs nothing.
"""

import functools
import inspect
from collections.abc import Callable, Mapping
from typing import Any, ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")
C = TypeVar("C", bound=type)

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

LOADER_ARGUMENTS = {
    "gpu": "call to_gpu(), or give the Trainer the callback DevicePlacement()",
    "pin_memory": "batches for a GPU go there from pinned memory unasked",
    "collate_fn": "subclass Dataset, whose batch(indices) makes a batch",
    "generator": "give seed=..., or call minitorch.seed",
}


_TO_DEVICE = "call to_gpu() or to_cpu()"
_MODES = "layers train unless told otherwise: test within `with minitorch.test_mode():`"
_TRAINER = "give it to a Trainer: Trainer(model, optimizer, loss=...).fit(train_loader, epochs=...)"

LAYER_ATTRIBUTES = {
    "parameters": "call params()",
    "named_parameters": "call named_params()",
    "zero_grad": "call cleargrads()",
    "train": _MODES,
    "eval": _MODES,
    "to": _TO_DEVICE,
    "cuda": _TO_DEVICE,
    "cpu": _TO_DEVICE,
    "modules": "call layers_inside()",
    "children": "call layers_inside()",
    "named_modules": "call layers_inside()",
    "weight": "it is W",
    "bias": "it is b",
    "fit": _TRAINER,
    "compile": _TRAINER,
    "summary": "add the callback ModelSummary() to the Trainer",
    "save": "call save_weights(path)",
}

OPTIMIZER_ATTRIBUTES = {
    "zero_grad": "call cleargrads() of the model",
    "step": "call update()",
    "param_groups": "give setup(model, groups={pattern: options}); the learning rate is lr",
    "add_param_group": "give setup(model, groups={pattern: options})",
    "minimize": "call cleargrads() of the model, loss.backward() and update()",
    "apply_gradients": "call loss.backward() and update()",
}

LOADER_ATTRIBUTES = {
    "next": "call next() of iter(loader), which begins a pass",
    "reset": "each pass is an iterator of its own: iter(loader) begins one",
}

VARIABLE_ATTRIBUTES = {
    "matmaul": "it is matmul",
    "creator": "it is node, how the Variable was made",
    "generation": "a backward counts uses instead",
    "detach": "make a constant of its array: Variable(x.data, requires_grad=False)",
    "numpy": "its array is data, a copy on the host as_numpy(x)",
    "tolist": "call data.tolist()",
    "view": "call reshape(shape)",
    "permute": "call transpose(axes)",
    "flatten": "call reshape(-1), or F.flatten(x), which keeps the first axis",
    "unsqueeze": "call F.expand_dims(x, axis)",
    "squeeze": "call F.squeeze(x)",
    "argmax": "call F.argmax(x, axis), or data.argmax(axis)",
    "zero_grad": "call cleargrad()",
    "requires_grad_": "set requires_grad",
    "grad_fn": "it is node, how the Variable was made",
    "is_leaf": "a leaf has no node.op",
    "device": "cuda.xp_of(x.data) is numpy or cupy",
    "to": f"{_TO_DEVICE}, or astype(dtype)",
    "cuda": _TO_DEVICE,
    "cpu": _TO_DEVICE,
    "float": "call astype(numpy.float32)",
    "long": "call astype(numpy.int64) of the array data",
    "retain_grad": "call backward(retain_grad=True)",
}

FUNCTIONS = {
    "batch_nrom": "it is batch_norm",
    "cross_entropy": "it is softmax_cross_entropy(x, t)",
    "nll_loss": "it is softmax_cross_entropy(x, t), of x before the softmax",
    "mse_loss": "it is mean_squared_error(x0, x1), which divides by the length of the first axis alone",
    "l1_loss": "it is mean_absolute_error(x0, x1)",
    "smooth_l1_loss": "it is huber(x0, x1)",
    "huber_loss": "it is huber(x0, x1)",
    "binary_cross_entropy_with_logits": "it is sigmoid_cross_entropy(x, t)",
    "max_pool2d": "it is pooling(x, kernel_size, stride, pad), where stride is 1 unless given",
    "avg_pool2d": "it is average_pooling(x, kernel_size, stride, pad), where stride is 1 unless given",
    "conv_transpose2d": "it is deconv2d",
    "embedding": "it is embed_id(x, W)",
    "scaled_dot_product_attention": "it is attention",
    "cat": "it is concat",
    "unsqueeze": "it is expand_dims",
    "swish": "it is silu",
}


class Missing:
    """A name that a class has not: to read it is an AttributeError with the remedy. An attribute of an object hides it.

    A `__getattr__` would do as well, but makes all attributes that are there three times as slow (Python 3.11).
    """

    def __init__(self, name: str, remedy: str) -> None:
        self.name = name
        self.remedy = remedy

    def __get__(self, owner: Any, cls: type) -> Any:
        who = f"type object {cls.__name__!r}" if owner is None else f"{cls.__name__!r} object"
        raise AttributeError(f"{who} has no attribute {self.name!r}; {self.remedy}", name=self.name, obj=owner)


def tells_attributes(remedies: Mapping[str, str]) -> Callable[[C], C]:
    """A decorator of a class: the AttributeError for a name of another framework says what `remedies` has by it."""

    def listed(self: Any) -> list[str]:
        return [
            name for name in object.__dir__(self) if not isinstance(inspect.getattr_static(self, name, None), Missing)
        ]

    def decorate(cls: C) -> C:
        for name, remedy in remedies.items():
            setattr(cls, name, Missing(name, remedy))
        cls.__dir__ = listed  # type: ignore[assignment]
        return cls

    return decorate


def tells_arguments(remedies: Mapping[str, str], owner: str = "") -> Callable[[Callable[P, R]], Callable[P, R]]:
    """A decorator: when a method is given arguments that it does not take, the TypeError lists what it takes.

    Args:
        remedies: by the name of an argument of another framework, what to do here.
        owner: the class that users know the method of, where it is not the one that defines it.
    """

    def decorate(method: Callable[P, R]) -> Callable[P, R]:
        @functools.wraps(method)
        def told(*args: P.args, **kwargs: P.kwargs) -> R:
            try:
                return method(*args, **kwargs)
            except TypeError:
                mistake = _mistake(method, args, kwargs, remedies, owner)
                if mistake is None:  # an error inside, or one that Python words well
                    raise
            raise TypeError(mistake)

        return told

    return decorate


def _mistake(
    method: Callable[..., Any],
    args: tuple[Any, ...],
    kwargs: Mapping[str, Any],
    remedies: Mapping[str, str],
    owner: str,
) -> str | None:
    """What is wrong with a call of the method, where an argument is unknown or one too many."""
    parameters = list(inspect.signature(method).parameters.values())[1:]
    kinds = [parameter.kind for parameter in parameters]
    names = [parameter.name for parameter in parameters]
    who = method.__qualname__.rpartition("<locals>.")[2].removesuffix(".__init__")
    who = f"{owner}.{method.__name__}" if owner else who
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
