"""Schedules: the equations they are named for, the numbers of PyTorch's, and what settings are allowed."""

import math
from fractions import Fraction

import attrs
import pytest

from minitorch.errors import ConfigError
from minitorch.optimizers.schedules import Chained, Cosine, Exponential, MultiStep, OneCycle, Polynomial, Step, WarmUp

# Of PyTorch 2.13.0: with the schedule named in the comment on SGD([zeros(1)], lr=1.0), the learning rate is read, and
# optimizer.step() and scheduler.step() called, as many times as there are numbers.
GOLDEN = [
    # StepLR(o, 3, 0.5)
    (Step(3, 0.5), [1.0, 1.0, 1.0, 0.5, 0.5, 0.5, 0.25, 0.25]),
    # MultiStepLR(o, [2, 5], 0.1)
    (MultiStep((2, 5)), [1.0, 1.0, 0.1, 0.1, 0.1, 0.01, 0.01, 0.01]),
    # ExponentialLR(o, 0.9)
    (Exponential(0.9), [1.0, 0.9, 0.81, 0.729, 0.6561, 0.59049]),
    # CosineAnnealingLR(o, 6, 0.1)
    (Cosine(6, 0.1), [1.0, 0.939711431702997, 0.775, 0.55, 0.325, 0.160288568297003, 0.1]),
    # CosineAnnealingWarmRestarts(o, 3, 2, 0.1)
    (
        Cosine(3, 0.1, growth=2),
        [1.0, 0.775, 0.325, 1.0, 0.939711431702997, 0.775, 0.55, 0.325, 0.160288568297003, 1.0],
    ),
    # CosineAnnealingWarmRestarts(o, 3, 1)
    (Cosine(3, growth=1), [1.0, 0.75, 0.25, 1.0, 0.75, 0.25, 1.0]),
    # PolynomialLR(o, 5, 0.9)
    (Polynomial(5, 0.9), [1.0, 0.818052146050858, 0.631445867489355, 0.438383290554087, 0.234923788617604, 0.0, 0.0]),
    # LinearLR(o, 0.25, 1.0, 4)
    (WarmUp(4, 0.25), [0.25, 0.4375, 0.625, 0.8125, 1.0, 1.0]),
    # OneCycleLR(o, 1.0, total_steps=10)
    (
        OneCycle(10),
        [
            0.04, 0.52, 1.0, 0.950484632013474, 0.811745653949763, 0.611262021936289, 0.388741978063711,
            0.188258346050237, 0.0495193679865263, 4e-06,
        ],
    ),
    # OneCycleLR(o, 1.0, total_steps=7, pct_start=0.5, div_factor=10, final_div_factor=100)
    (
        OneCycle(7, rise=0.5, start=0.1, end=0.001),
        [
            0.1, 0.410942352531274, 0.914057647468726, 0.950533949517258, 0.611649206511179, 0.189066843971563, 0.001,
        ],
    ),
    # SequentialLR(o, [LinearLR(o, 0.25, 1.0, 3), CosineAnnealingLR(o, 5)], [3])
    (
        Chained(WarmUp(3, 0.25), Cosine(5), lengths=(3,)),
        [0.25, 0.5, 0.75, 1.0, 0.904508497187474, 0.654508497187474, 0.345491502812526, 0.0954915028125263, 0.0],
    ),
]  # fmt: skip
EACH = [schedule for schedule, _ in GOLDEN]


@pytest.mark.parametrize(("schedule", "wanted"), GOLDEN, ids=lambda value: type(value).__name__)
def test_it_gives_the_numbers_of_pytorch(schedule, wanted):
    """Every share is that of PyTorch's schedule to 14 digits."""
    assert [schedule(n) for n in range(len(wanted))] == pytest.approx(wanted, rel=1e-13, abs=1e-14)


@pytest.mark.parametrize("schedule", EACH, ids=repr)
def test_it_is_a_function_of_the_number_alone(schedule):
    """Asked in any order, far beyond its end too, it gives the same shares, floats from 0 to 1."""
    numbers = [0, 1, 2, 3, 5, 8, 13, 100, 10**6]
    shares = [schedule(n) for n in numbers]
    assert [schedule(n) for n in numbers[::-1]] == shares[::-1]
    assert all(isinstance(share, float) and 0 <= share <= 1 for share in shares)


@pytest.mark.parametrize(
    ("schedule", "last"),
    [(Cosine(6, 0.1), 0.1), (Polynomial(5, 2.0, 0.2), 0.2), (WarmUp(4), 1.0), (OneCycle(10, end=0.01), 0.01)],
    ids=repr,
)
def test_after_its_length_it_stays_where_it_ended(schedule, last):
    """A run that is longer than the schedule goes on with its last share."""
    assert [schedule(n) for n in (10, 11, 1000)] == pytest.approx([last] * 3)


def test_cosine_is_the_equation_of_the_paper():
    """Equation 5 of SGDR, and cycles whose lengths are multiplied by T_mult."""
    low, growth = 0.05, 3
    schedule, lengths = Cosine(4, low, growth=growth), [4, 12, 36]
    n = 0
    for length in lengths:
        for done in range(length):
            assert schedule(n) == pytest.approx(low + 0.5 * (1 - low) * (1 + math.cos(math.pi * done / length)))
            n += 1


def test_polynomial_is_the_equation_of_the_paper():
    """`(1 - n / length) ** power`, from 1 to the minimum."""
    for n in range(8):
        assert Polynomial(8, 0.9)(n) == pytest.approx((1 - n / 8) ** 0.9)
        assert Polynomial(8, 1.0, 0.5)(n) == pytest.approx(0.5 + 0.5 * (1 - n / 8))


def test_warm_up_rises_in_a_straight_line():
    """Every update adds the same."""
    rises = [WarmUp(5, 0.5)(n + 1) - WarmUp(5, 0.5)(n) for n in range(5)]
    assert rises == pytest.approx([float(Fraction(1, 10))] * 5)


@pytest.mark.parametrize("length", [1, 2, 3, 4])
@pytest.mark.parametrize("rise", [0.01, 0.3, 0.99])
def test_a_short_cycle_is_a_cycle_still(length, rise):
    """However few its updates, it begins at its start or its top, and its last share is its end or its top."""
    shares = [OneCycle(length, rise)(n) for n in range(length)]
    assert shares[0] in (pytest.approx(0.04), pytest.approx(1.0))
    assert all(0 < share <= 1 for share in shares)
    assert OneCycle(length, rise)(10 * length) == pytest.approx(4e-6)


def test_schedules_within_schedules():
    """A chain may hold chains, functions of its own, and each begins at its own 0."""
    chain = Chained(Chained(lambda n: n, lambda n: 10 + n, lengths=(2,)), lambda n: 100 + n, lengths=(4,))
    assert [chain(n) for n in range(7)] == [0, 1, 10, 11, 100, 101, 102]
    assert Chained(WarmUp(2), lengths=())(1) == WarmUp(2)(1)


def test_schedules_are_values():
    """Equal settings make equal schedules, that show them and cannot be changed."""
    assert Cosine(10, 0.1) == Cosine(10, 0.1) != Cosine(10, 0.2)
    assert MultiStep([2, 5]) == MultiStep((2, 5))
    assert repr(Step(3)) == "Step(length=3, factor=0.1)"
    assert repr(Chained(WarmUp(2), Step(3), lengths=[2])) == (
        "Chained(schedules=(WarmUp(length=2, start=0.1), Step(length=3, factor=0.1)), lengths=(2,))"
    )
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        Step(3).length = 4


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Step(0), r"Step: length is 0; it must be an int of at least 1"),
        (lambda: Step(2.5), r"Step: length is 2\.5; it must be an int of at least 1"),
        (lambda: Step(True), r"Step: length is True; it must be an int of at least 1"),
        (lambda: Step(3, -0.1), r"Step: factor is -0\.1; it must be a number of at least 0"),
        (lambda: Exponential(math.nan), r"Exponential: factor is nan; it must be a number of at least 0"),
        (lambda: MultiStep(()), r"MultiStep: at is \(\); give ints of at least 1, each above the one before"),
        (lambda: MultiStep((5, 2)), r"MultiStep: at is \(5, 2\); give ints"),
        (lambda: MultiStep((2, 2.5)), r"MultiStep: at is \(2, 2\.5\); give ints"),
        (lambda: Cosine(10, 1.5), r"Cosine: minimum is 1\.5; it must be a number from 0 to 1"),
        (lambda: Cosine(10, growth=0), r"Cosine: growth is 0; it must be an int of at least 1"),
        (lambda: Polynomial(10, 0), r"Polynomial: power is 0; it must be a number above 0"),
        (lambda: WarmUp(10, "low"), r"WarmUp: start is 'low'; it must be a number from 0 to 1"),
        (lambda: OneCycle(10, rise=1.0), r"OneCycle: rise is 1\.0; it must be a number between 0 and 1"),
        (lambda: Chained(WarmUp(2), Step(3), lengths=()), r"Chained: 2 schedules and 0 lengths; give a length for"),
        (lambda: Chained(WarmUp(2), Step(3), lengths=(0,)), r"Chained: lengths is 0; it must be an int of at least 1"),
    ],
)  # fmt: skip
def test_settings_that_are_not_allowed(make, message):
    """The error names the schedule, the setting, its value and the rule."""
    with pytest.raises(ConfigError, match=message):
        make()
