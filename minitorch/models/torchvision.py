"""Weights of torchvision's models, from `.safetensors` files: other names, and Linear weights the other way round."""

from collections.abc import Iterator
from os import PathLike
from typing import Any

from minitorch import layers as L
from minitorch import serialize
from minitorch.errors import ConfigError, StateError
from minitorch.models.model import Model
from minitorch.models.resnet import ResNet
from minitorch.models.squeezenet import FIRES, VERSIONS, SqueezeNet
from minitorch.models.vgg import VGG16, WIDTHS

Array = Any

# The Parameters of a layer here, and there.
NAMES: dict[type[L.Layer], dict[str, str]] = {
    L.Conv2d: {"W": "weight", "b": "bias"},
    L.Linear: {"W": "weight", "b": "bias"},
    L.BatchNorm: {"gamma": "weight", "beta": "bias", "avg_mean": "running_mean", "avg_var": "running_var"},
}


def load_torchvision_weights(model: Model, path: str | PathLike[str]) -> None:
    """Load the weights that torchvision's model of the same kind has, so that both give the same scores.

    Write the file with `safetensors.torch.save_file(theirs.state_dict(), path)`. Those weights are for images in RGB
    from 0 to 1, less (0.485, 0.456, 0.406), divided by (0.229, 0.224, 0.225).

    Args:
        model: a `VGG16`, a `ResNet(..., variant="torchvision")` or a `SqueezeNet`; it may be new, without weights.
        path: a `.safetensors` file.

    Raises:
        ConfigError: the model is none of these.
        CheckpointError: the file is missing or damaged.
        StateError: the file is of another model: keys are missing or unexpected, or shapes differ.
    """
    layers = dict(model.layers_inside())
    names: dict[str, str] = {}
    for ours, theirs in _layers_of(model):
        kind = NAMES[type(layers[ours])]
        names.update({f"{ours}.{key}": f"{theirs}.{kind[key]}" for key, _ in layers[ours].named_params()})
    state = {key: a for key, a in serialize.load(path).arrays.items() if not key.endswith("num_batches_tracked")}
    serialize.check_keys(f"{path}: weights of torchvision's {type(model).__name__}", names.values(), state)
    arrays = {key: state[name] for key, name in names.items()}
    for key in arrays:
        if isinstance(layers[key.rpartition(".")[0]], L.Linear) and key.endswith(".W"):
            arrays[key] = arrays[key].T
    try:
        model.load_state_dict(arrays)
    except StateError as error:
        raise StateError(f"{path}: {error}") from None


def _layers_of(model: Model) -> Iterator[tuple[str, str]]:
    """The path of each layer with weights, here and in torchvision."""
    if isinstance(model, VGG16):
        return _vgg16()
    if isinstance(model, SqueezeNet):
        return _squeezenet(model.version)
    if isinstance(model, ResNet) and model.variant == "torchvision":
        return _resnet(model)
    if isinstance(model, ResNet):
        raise ConfigError(
            f'load_torchvision_weights: the {type(model).__name__} is of the variant "{model.variant}"; make it with '
            'variant="torchvision"'
        )
    raise ConfigError(
        f"load_torchvision_weights: the model is a {type(model).__name__}; it can be a VGG16, a ResNet or a SqueezeNet"
    )


def _vgg16() -> Iterator[tuple[str, str]]:
    place = 0
    for stage, (_, count) in enumerate(WIDTHS, start=1):
        for i in range(1, count + 1):
            yield f"conv{stage}_{i}", f"features.{place}"
            place += 2  # past its relu
        place += 1  # past the pooling
    yield from (("fc6", "classifier.0"), ("fc7", "classifier.3"), ("fc8", "classifier.6"))


def _squeezenet(version: str) -> Iterator[tuple[str, str]]:
    yield "conv1", "features.0"
    place = 2  # past its relu
    for i in FIRES:
        place += i in VERSIONS[version][1]  # past the pooling
        for name in ("squeeze", "expand1x1", "expand3x3"):
            yield f"fire{i}.{name}", f"features.{place}.{name}"
        place += 1
    yield "conv10", "classifier.1"


def _resnet(model: ResNet) -> Iterator[tuple[str, str]]:
    yield from (("conv1", "conv1"), ("bn1", "bn1"))
    for stage in (1, 2, 3, 4):
        ours = f"res{stage + 1}"
        for i, name in enumerate(getattr(model, ours).names):
            for j in (1, 2, 3):
                yield f"{ours}.{name}.conv{j}", f"layer{stage}.{i}.conv{j}"
                yield f"{ours}.{name}.bn{j}", f"layer{stage}.{i}.bn{j}"
        yield f"{ours}.a.conv4", f"layer{stage}.0.downsample.0"
        yield f"{ours}.a.bn4", f"layer{stage}.0.downsample.1"
    yield "fc6", "fc"
