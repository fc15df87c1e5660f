"""Parameter groups: options of their own for Parameters by path, through schedules, saving and new layers."""

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import minitorch.functions as F
import minitorch.layers as L
from backend import Backend
from minitorch import Model, Parameter, Variable, optimizers
from minitorch.errors import ConfigError, StateError
from minitorch.models import MLP
from minitorch.optimizers import Optimizer


def two_layers() -> MLP:
    """A model with the Parameters l0.W, l0.b, l1.W and l1.b, already sized."""
    model = MLP((3, 2))
    model(np.ones((1, 4), np.float32))
    return model


def step(model: Model, optimizer: Optimizer, g: float = 1.0) -> dict[str, np.ndarray]:
    """One update with all gradients `g`; how far each Parameter went down, by path."""
    before = {path: p.data.copy() for path, p in model.named_params()}
    for p in model.params():
        p.grad = Variable(g * np.ones_like(p.data))
    optimizer.update()
    return {path: before[path] - p.data for path, p in model.named_params()}


def rates(model: Model, optimizer: Optimizer) -> dict[str, float]:
    """The learning rate that each Parameter sees, measured by a step of SGD."""
    return {path: pytest.approx(float(d.mean()), rel=1e-4) for path, d in step(model, optimizer).items()}


def test_a_group_has_its_own_learning_rate() -> None:
    """The Parameters that a pattern matches move at the group's rate, all others at the optimizer's."""
    model = two_layers()
    optimizer = optimizers.SGD(0.1).setup(model, groups={"l1.*": {"lr": 0.01}})
    assert rates(model, optimizer) == {"l0.W": 0.1, "l0.b": 0.1, "l1.W": 0.01, "l1.b": 0.01}


def test_a_group_rate_moves_in_proportion_to_the_schedule() -> None:
    """Who sets `optimizer.lr` to half moves the rates of all groups to half, whether given as lr or as lr_scale."""
    model = two_layers()
    optimizer = optimizers.SGD(0.1).setup(model, groups={"l0.W": {"lr": 0.01}, "l1.W": {"lr_scale": 0.2}})
    for factor in (1.0, 0.5, 0.0, 2.0):
        optimizer.lr = 0.1 * factor
        expected = {"l0.W": 0.01 * factor, "l0.b": 0.1 * factor, "l1.W": 0.02 * factor, "l1.b": 0.1 * factor}
        assert rates(model, optimizer) == expected


def test_a_parameter_gets_the_options_of_all_its_patterns_and_the_last_decides() -> None:
    """Options of several patterns are united; of two for the same option the later pattern's counts."""
    model = two_layers()
    groups = {"*.b": {"weight_decay": 0.0}, "l1.*": {"lr_scale": 0.5, "weight_decay": 0.2}, "l?.b": {"lr_scale": 0.25}}
    optimizer = optimizers.AdamW(0.1, weight_decay=0.1).setup(model, groups)
    step(model, optimizer)
    seen = {path: optimizer.options_of(p) for path, p in model.named_params()}
    assert {path: (round(o["lr"], 9), o["weight_decay"]) for path, o in seen.items()} == {
        "l0.W": (0.1, 0.1),
        "l0.b": (0.025, 0.0),
        "l1.W": (0.05, 0.2),
        "l1.b": (0.025, 0.2),
    }


def test_a_star_matches_dots_and_case_counts() -> None:
    """`*` matches through any number of layers; `*.w` does not match W."""
    model = Model()
    model.outer = two_layers()
    optimizer = optimizers.SGD(0.1).setup(model, groups={"outer*W": {"lr_scale": 0.5}})
    assert rates(model, optimizer) == {"outer.l0.W": 0.05, "outer.l0.b": 0.1, "outer.l1.W": 0.05, "outer.l1.b": 0.1}
    with pytest.raises(ConfigError, match=r"groups\['\*\.w'\] matches no Parameter"):
        optimizers.SGD(0.1).setup(model, groups={"*.w": {"lr_scale": 0.5}})


@pytest.mark.parametrize(
    ("cls", "common", "options"),
    [
        (optimizers.SGD, {"lr": 0.1}, {"lr": 0.03}),
        (optimizers.MomentumSGD, {"lr": 0.1, "nesterov": True}, {"momentum": 0.5}),
        (optimizers.AdaGrad, {"lr": 0.1}, {"eps": 0.5}),
        (optimizers.AdaDelta, {}, {"rho": 0.5, "lr": 0.5}),
        (optimizers.RMSprop, {}, {"alpha": 0.5}),
        (optimizers.Adam, {"alpha": 0.1}, {"beta1": 0.5, "beta2": 0.6, "eps": 0.1}),
        (optimizers.AdamW, {"alpha": 0.1}, {"weight_decay": 1}),
        (optimizers.Lion, {"lr": 0.1}, {"beta1": 0.5, "beta2": 0.6, "weight_decay": 1}),
    ],
)
def test_one_optimizer_with_a_group_is_two_optimizers(
    cls: Callable[..., Optimizer], common: dict[str, Any], options: dict[str, float]
) -> None:
    """A model with a group moves as its two halves do under two optimizers; options of every class work."""
    together, apart = two_layers(), two_layers()
    apart.load_state_dict(together.state_dict())
    whole = cls(**common).setup(together, groups={"l1.*": options})
    first = cls(**common).setup(apart.l0)
    second = cls(**{**common, **options}).setup(apart.l1)
    for i in range(5):
        step(together, whole, g=0.1 + i)
        step(apart.l0, first, g=0.1 + i)
        step(apart.l1, second, g=0.1 + i)
    for (path, a), (_, b) in zip(together.named_params(), apart.named_params(), strict=True):
        np.testing.assert_allclose(a.data, b.data, rtol=1e-6, atol=1e-7, err_msg=path)


@pytest.mark.parametrize(
    ("groups", "message"),
    [
        (
            {"l0.*": {"weight_decy": 0.0}},
            "AdamW.setup: groups['l0.*'] has no option 'weight_decy' (is it weight_decay?); the options are lr, beta1, "
            "beta2, eps, weight_decay, lr_scale",
        ),
        (
            {"l7.W": {"lr": 0.1}},
            "AdamW.setup: groups['l7.W'] matches no Parameter (is it l1.W or l0.W or l1.b?); the paths are l0.W, l0.b, "
            "l1.W, l1.b",
        ),
        (
            {"head": {"lr": 0.1}},
            "AdamW.setup: groups['head'] matches no Parameter; the paths are l0.W, l0.b, l1.W, l1.b",
        ),
        (["*"], "AdamW.setup: groups is ['*']; give a dict of dicts such as {'*.b': {'lr_scale': 0.1}}"),
        ({"*": 0.1}, "AdamW.setup: groups['*'] is 0.1; give a dict such as {'lr_scale': 0.1}"),
        (
            {"*": {"beta1": 1.0}},
            "AdamW.setup: groups['*']: AdamW: beta1 is 1.0; it must be at least 0 and less than 1",
        ),
        (
            {"*": {"lr_scale": -1}},
            "AdamW.setup: groups['*']: AdamW: lr_scale is -1; it must be a number of at least 0",
        ),
        (
            {"*": {"lr": 0.1, "lr_scale": 1}},
            "AdamW.setup: groups['*'] gives both lr and lr_scale; lr is kept as lr_scale, so give one of them",
        ),
    ],
)
def test_groups_are_checked(groups: Any, message: str) -> None:
    """A group that would do nothing or make no sense is refused by `setup`, which names what is near."""
    optimizer = optimizers.AdamW()
    with pytest.raises(ConfigError) as error:
        optimizer.setup(two_layers(), groups)
    assert str(error.value) == message
    assert optimizer.target is None


def test_a_group_rate_needs_a_rate_to_compare_with() -> None:
    """While the optimizer's own rate is 0, a group's lr has no share of it, but lr_scale is fine."""
    with pytest.raises(ConfigError, match=r"own lr is 0, so that its share of that is not known; give lr_scale"):
        optimizers.SGD(0.0).setup(two_layers(), groups={"l0.*": {"lr": 0.1}})
    optimizers.SGD(0.0).setup(two_layers(), groups={"l0.*": {"lr_scale": 0.1}})


def test_setup_again_replaces_the_groups() -> None:
    """The groups are those of the last `setup`; without any there are none."""
    model = two_layers()
    optimizer = optimizers.SGD(0.1).setup(model, groups={"l0.*": {"lr_scale": 0.5}})
    assert rates(model, optimizer)["l0.W"] == 0.05
    optimizer.setup(model, groups={"l1.W": {"lr_scale": 0.2}})
    assert rates(model, optimizer) == {"l0.W": 0.1, "l0.b": 0.1, "l1.W": 0.02, "l1.b": 0.1}
    optimizer.setup(model)
    assert all(rate == 0.1 for rate in rates(model, optimizer).values())


def test_a_flag_is_no_option() -> None:
    """`nesterov` is of the whole optimizer: as an option it is refused."""
    with pytest.raises(ConfigError, match=r"has no option 'nesterov'; the options are lr, momentum, lr_scale$"):
        optimizers.MomentumSGD().setup(two_layers(), groups={"*": {"nesterov": True}})


def test_the_groups_given_are_copied() -> None:
    """What the caller does to the dict later changes nothing, and `setup` changes nothing in it."""
    given = {"l0.*": {"lr": 0.05}}
    model = two_layers()
    optimizer = optimizers.SGD(0.1).setup(model, given)
    assert given == {"l0.*": {"lr": 0.05}}
    given["l0.*"]["lr_scale"] = 7.0
    assert optimizer.groups == {"l0.*": {"lr_scale": 0.5}}


def test_an_option_may_be_changed_between_updates() -> None:
    """`optimizer.groups` is read anew in each update."""
    model = two_layers()
    optimizer = optimizers.SGD(0.1).setup(model, groups={"l0.*": {"lr_scale": 0.0}})
    assert rates(model, optimizer)["l0.W"] == 0.0
    optimizer.groups["l0.*"]["lr_scale"] = 0.5
    assert rates(model, optimizer)["l0.W"] == 0.05


def test_layers_added_later_are_in_their_groups() -> None:
    """A layer assigned between two updates is updated from then on, with the options of the patterns that match it."""
    model = two_layers()
    optimizer = optimizers.SGD(0.1).setup(model, groups={"*.b": {"lr_scale": 0.5}})
    rates(model, optimizer)
    model.l2 = L.Linear(2, in_size=2)
    assert rates(model, optimizer) == {
        "l0.W": 0.1, "l0.b": 0.05, "l1.W": 0.1, "l1.b": 0.05, "l2.W": 0.1, "l2.b": 0.05,
    }  # fmt: skip


def test_a_parameter_that_was_replaced_is_the_one_updated() -> None:
    """A new Parameter in the place of an old one is updated, and the old one no more."""
    model = two_layers()
    optimizer = optimizers.SGD(0.1).setup(model, groups={"*.b": {"lr_scale": 0.5}})
    rates(model, optimizer)
    old = model.l0.b
    kept = old.data.copy()
    model.l0.b = Parameter(np.zeros(3, np.float32))
    assert rates(model, optimizer)["l0.b"] == 0.05
    np.testing.assert_array_equal(old.data, kept)


def test_patterns_match_before_weights_are_sized() -> None:
    """Groups of a model whose sizes are not known yet are checked by path, and work once they are."""
    model = MLP((3, 2))
    optimizer = optimizers.SGD(0.1).setup(model, groups={"l0.W": {"lr_scale": 0.5}})
    model(np.ones((1, 4), np.float32))
    assert rates(model, optimizer)["l0.W"] == 0.05


def test_groups_work_on_every_device(device: Backend) -> None:
    """The options reach the rule on each device."""
    model = Model()
    model.a = Parameter(device.put(np.ones(3, np.float32)))
    model.b = Parameter(device.put(np.ones(3, np.float32)))
    optimizer = optimizers.AdamW(0.1, weight_decay=1.0).setup(model, groups={"b": {"weight_decay": 0.0, "lr": 0.2}})
    for p in model.params():
        p.grad = Variable(device.put(np.ones(3, np.float32)))
    optimizer.update()
    np.testing.assert_allclose(device.get(model.a.data), 0.8, rtol=1e-6)
    np.testing.assert_allclose(device.get(model.b.data), 0.8, rtol=1e-6)


# ---- saving

MAKERS: list[Callable[[], Optimizer]] = [
    optimizers.SGD,
    lambda: optimizers.MomentumSGD(nesterov=True),
    optimizers.AdaGrad,
    optimizers.AdaDelta,
    optimizers.RMSprop,
    optimizers.Adam,
    optimizers.AdamW,
    optimizers.Lion,
]


def trained(make: Callable[[], Optimizer], steps: int) -> tuple[MLP, Optimizer]:
    """A model and an optimizer with groups after some steps."""
    model = two_layers()
    optimizer = make().setup(model, groups={"*.b": {"lr_scale": 0.5}, "l1.*": {"lr_scale": 2.0}})
    train(model, optimizer, range(steps))
    return model, optimizer


def train(model: MLP, optimizer: Optimizer, steps: range) -> None:
    """Steps on batches that depend on the number of the step alone, with a falling learning rate."""
    for i in steps:
        optimizer.lr *= 0.9
        x = np.cos(np.arange(20, dtype=np.float32) * (i + 1)).reshape(5, 4)
        model.cleargrads()
        F.mean_squared_error(model(x), np.ones((5, 2), np.float32)).backward()
        optimizer.update()


@pytest.mark.parametrize("make", MAKERS)
def test_a_loaded_optimizer_goes_on_bit_for_bit(make: Callable[[], Optimizer]) -> None:
    """All of an optimizer is in its state: saved after 20 steps and loaded elsewhere, it does the same 20 more."""
    model, optimizer = trained(make, 20)
    arrays = {
        path: {k: v.copy() if isinstance(v, np.ndarray) else v for k, v in entry.items()}
        for path, entry in optimizer.state_dict()["state"].items()
    }
    rest = json.loads(json.dumps({k: v for k, v in optimizer.state_dict().items() if k != "state"}))

    other = two_layers()
    other.load_state_dict(model.state_dict())
    resumed = make().setup(other, groups={"*.b": {"lr_scale": 9.0}, "l1.*": {"lr_scale": 9.0}})
    resumed.lr = 9.0
    resumed.load_state_dict({**rest, "state": arrays})

    train(model, optimizer, range(20, 40))
    train(other, resumed, range(20, 40))
    for (path, a), (_, b) in zip(model.named_params(), other.named_params(), strict=True):
        np.testing.assert_array_equal(a.data, b.data, err_msg=path)
    for path, entry in optimizer.state.items():
        for name, value in entry.items():
            np.testing.assert_array_equal(value, resumed.state[path][name], err_msg=f"{path}/{name}")
    assert resumed.groups == optimizer.groups
    assert resumed.updates == optimizer.updates == 40


def test_the_order_of_patterns_is_restored() -> None:
    """The last pattern decides, and which one that is comes back with the state."""
    first, second = {"l0.*": {"lr_scale": 0.5}}, {"*.W": {"lr_scale": 0.25}}
    saved = optimizers.SGD(0.1).setup(two_layers(), groups={**first, **second})
    model = two_layers()
    loaded = optimizers.SGD(0.1).setup(model, groups={**second, **first})
    assert rates(model, loaded)["l0.W"] == 0.05
    loaded.load_state_dict(saved.state_dict())
    assert rates(model, loaded)["l0.W"] == 0.025


@pytest.mark.parametrize(
    ("groups", "message"),
    [
        ({}, r"SGD groups: unexpected \(1\): l0\.\*\. "),
        ({"l0.W": {"lr_scale": 0.5}}, r"SGD groups: missing \(1\): l0\.W.*; unexpected \(1\): l0\.\*\. "),
        ({"l0.*": {}}, r"SGD groups\['l0\.\*'\]: unexpected \(1\): lr_scale\. "),
    ],
)
def test_a_state_of_other_groups_is_refused(groups: Any, message: str) -> None:
    """Loading wants the same patterns with the same options, and changes nothing if they are not."""
    saved = optimizers.SGD(0.1).setup(two_layers(), groups={"l0.*": {"lr_scale": 0.5}})
    other = optimizers.SGD(0.7).setup(two_layers(), groups=groups)
    with pytest.raises(StateError, match=f"^{message}"):
        other.load_state_dict(saved.state_dict())
    assert other.lr == 0.7
    assert other.groups == groups


@pytest.mark.parametrize("part", ["class", "hyperparameters", "groups", "updates", "state"])
def test_a_state_without_a_part_is_refused(part: str) -> None:
    """Every part of a state must be there."""
    _, optimizer = trained(optimizers.Adam, 1)
    state = optimizer.state_dict()
    del state[part]
    with pytest.raises(StateError, match=rf"^Adam state: missing \(1\): {part}\. "):
        optimizer.load_state_dict(state)


def test_numbers_of_numpy_are_saved_as_numbers() -> None:
    """A learning rate computed by NumPy does not keep the state from being written as JSON."""
    model = two_layers()
    optimizer = optimizers.SGD(0.1).setup(model, groups={"l0.*": {"lr_scale": np.float32(0.5)}})
    optimizer.lr = np.float32(0.25)
    assert json.loads(json.dumps(optimizer.state_dict())) == {
        "class": "SGD",
        "hyperparameters": {"lr": 0.25},
        "given": {"lr": 0.1},
        "groups": {"l0.*": {"lr_scale": 0.5}},
        "updates": 0,
        "state": {},
    }
