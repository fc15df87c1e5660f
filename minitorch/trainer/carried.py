"""`CarriedState`: what a model carries from one step to the next, where captured steps find it and leave it."""

from collections.abc import Mapping
from typing import Any

from minitorch.cuda import capturing, xp_of
from minitorch.errors import DeviceError
from minitorch.models import Model
from minitorch.variable import Variable

Array = Any
Signature = tuple[tuple[str, tuple[int, ...], str], ...]


class CarriedState:
    """Places on the device for what layers name in `carries`, one for each path and shape; all graphs share them.

    Args:
        model: whose.
    """

    def __init__(self, model: Model) -> None:
        self._model = model
        self._places: dict[Any, Array] = {}

    @staticmethod
    def of(model: Model) -> "CarriedState | None":
        """The state of `model`, or None where no layer of it carries any."""
        layers = [model, *(layer for _, layer in model.layers_inside())]
        return CarriedState(model) if any(layer.carries for layer in layers) else None

    @property
    def arrays(self) -> list[Array]:
        """All places."""
        return list(self._places.values())

    def signature(self) -> Signature:
        """Paths, shapes and dtypes of what the model carries now."""
        return tuple([(path, value.shape, str(value.dtype)) for path, value in self._model.carried().items()])

    def reserve(self) -> None:
        """Have places for all that the model carries now, outside captured work."""
        for path, value in self._model.carried().items():
            self._place(path, value.data)

    def take(self) -> dict[str, Variable]:
        """Have the model carry on from the places, and the numbers copied there where they are elsewhere.

        They forget how they were computed: a step that went back beyond its beginning would go through graphs that the
        step before has walked and freed.

        Returns:
            What it carries now, by path.
        """
        values = self._model.carried()
        for path, value in values.items():
            place = self._place(path, value.data)
            if value.data is not place:
                place[...] = value.data
                values[path] = Variable(place, requires_grad=False)
        self._model.carry(values)
        return values

    def is_taken(self) -> bool:
        """Whether all that the model carries is at the places: nobody has set or reset it since."""
        values = self._model.carried().items()
        return bool(values) and all(self._places.get(_key(path, value.data)) is value.data for path, value in values)

    def carry(self, values: Mapping[str, Variable]) -> None:
        """Have the model carry `values`, which `take` gave."""
        self._model.carry(values)

    def _place(self, path: str, like: Array) -> Array:
        key = _key(path, like)
        if key not in self._places:
            if capturing():
                raise DeviceError(f"the model carries {path} of shape {like.shape}, which the steps before it did not")
            self._places[key] = xp_of(like).empty_like(like)
        return self._places[key]


def _key(path: str, like: Array) -> Any:
    return path, like.shape, like.dtype
