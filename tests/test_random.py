"""Random numbers: pure functions of a few integers, the same on every device."""

import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from minitorch import random
from minitorch.errors import ConfigError


def some_draws(xp=np):
    return [random.bits("a", 5, xp), random.bits("b", 5, xp), random.normal("a", (2, 3), xp=xp)]


def test_the_same_seed_gives_the_same_numbers():
    """Seeding anew starts all over; another seed gives other numbers."""
    first = some_draws()
    random.seed(0)
    for one, other in zip(first, some_draws(), strict=True):
        np.testing.assert_array_equal(one, other)
    random.seed(1)
    assert not np.array_equal(some_draws()[0], first[0])


def test_numbers_are_pinned():
    """The first numbers of seed 0, so that no release changes them unnoticed."""
    assert random.bits("dropout", 3).tolist() == [2609506824, 2861626041, 4261736118]
    np.testing.assert_allclose(random.normal("weights", (3,)), [-1.6596564, 0.6276491, 0.914143], rtol=1e-6)
    assert random.permutation(6, seed=0, epoch=0).tolist() == [4, 0, 1, 3, 2, 5]


def test_devices_agree(device):
    """The same seed gives the same bits on every device, as arrays of that device."""
    for on_host, on_device in zip(some_draws(), _anew(some_draws, device.xp), strict=True):
        np.testing.assert_array_equal(on_host, device.get(on_device))


def _anew(f, *args):
    random.seed(0)
    return f(*args)


def test_draws_differ():
    """Each draw, stream and step has numbers of its own."""
    drawn = [random.bits("a", 4).tolist(), random.bits("a", 4).tolist()]
    random.seed(0)
    drawn.append(random.bits("b", 4).tolist())
    random.begin_step(1)
    drawn.append(random.bits("a", 4).tolist())
    drawn += [random.permutation(50, seed=0, epoch=e).tolist() for e in (0, 1)]
    assert len({str(d) for d in drawn}) == len(drawn)


def test_state_goes_back_and_forth():
    """A state taken and set again gives the same numbers from there on; it is three integers."""
    random.bits("a", 3)
    state = random.get_state()
    later = [random.bits("a", 3).tolist(), random.get_state()]
    random.set_state(state)
    assert [random.bits("a", 3).tolist(), random.get_state()] == later
    assert state == (0, 0, 1)


def test_a_step_starts_anew():
    """What was drawn before a step does not matter to what is drawn in it."""
    random.begin_step(7)
    expected = random.bits("a", 3).tolist()
    random.bits("a", 100)
    random.begin_step(7)
    assert random.bits("a", 3).tolist() == expected
    assert random.get_state() == (0, 7, 1)


def test_normal_numbers_are_normal():
    """Mean 0, standard deviation 1, in the dtype asked for."""
    x = random.normal("weights", (100_000,))
    assert x.dtype == np.float32
    assert abs(x.mean()) < 0.02
    assert abs(x.std() - 1) < 0.02
    assert abs((x**3).mean()) < 0.05
    assert random.normal("weights", (2,), np.float64).dtype == np.float64


def test_bits_are_uniform():
    """Each of the 32 bits is set in half of the numbers; an odd size is no trouble."""
    words = random.bits("a", 10_001)
    assert (words.dtype, words.shape) == (np.uint32, (10_001,))
    shares = [((words >> np.uint32(i)) & 1).mean() for i in range(32)]
    np.testing.assert_allclose(shares, 0.5, atol=0.03)


def test_permutations_are_permutations():
    """Every sample appears once; the order depends on n, seed and epoch alone."""
    order = random.permutation(100, seed=3, epoch=2)
    assert sorted(order.tolist()) == list(range(100))
    random.bits("a", 10)
    np.testing.assert_array_equal(order, random.permutation(100, seed=3, epoch=2))
    assert random.permutation(0, seed=0, epoch=0).shape == (0,)


@pytest.mark.parametrize("wrong", [-1, 2**64, 1.0, "0", None, True], ids=repr)
def test_a_seed_is_an_integer_of_64_bits(wrong):
    """Anything else is refused, and the state stays as it was."""
    with pytest.raises(ConfigError, match=r"^seed: got .*; a seed is an integer from 0 to 2\*\*64 - 1$"):
        random.seed(wrong)
    assert random.get_state() == (0, 0, 0)


def test_the_largest_seed():
    """Both ends of the range work, and NumPy's integers too."""
    for value in (0, 2**64 - 1, np.int64(5)):
        random.seed(value)
        assert random.get_state().seed == int(value)
        random.bits("a", 1)


def in_a_thread(f):
    """What `f()` gives in a new thread."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(f).result(timeout=30)


def test_a_thread_begins_from_the_seed_of_the_main_thread():
    """A thread draws what a program draws first after the same `seed`, however much the main thread has drawn."""
    random.seed(3)
    first = random.bits("a", 5).tolist()
    assert in_a_thread(lambda: random.bits("a", 5).tolist()) == first
    assert in_a_thread(random.get_state) == (3, 0, 0)
    random.set_state((4, 7, 2))  # as a run does that is resumed
    assert in_a_thread(random.get_state) == (4, 0, 0)


def test_a_thread_changes_no_numbers_but_its_own():
    """Seeding and drawing in a thread is nothing to the main thread, nor to the threads that come later."""
    random.bits("a", 1)

    def other():
        random.seed(9)
        random.bits("a", 1)
        random.begin_step(5)
        return random.get_state()

    assert in_a_thread(other) == (9, 5, 0)
    assert random.get_state() == (0, 0, 1)
    assert in_a_thread(random.get_state) == (0, 0, 0)


def test_a_seed_set_later_leaves_a_thread_that_has_begun_alone():
    """What a thread draws does not depend on when the main thread sets another seed."""
    begun, seeded = threading.Event(), threading.Event()

    def other():
        states = [random.get_state()]
        begun.set()
        assert seeded.wait(30)
        return [*states, random.get_state()]

    with ThreadPoolExecutor(1) as pool:
        found = pool.submit(other)
        assert begun.wait(30)
        random.seed(8)
        seeded.set()
        assert found.result(timeout=30) == [(0, 0, 0), (0, 0, 0)]


def test_a_function_may_draw_in_a_thread_for_the_one_that_asks():
    """`as_here` has a worker thread go on with the numbers of the thread that called it, and then with its own."""
    random.seed(6)
    random.bits("a", 1)
    expected = [random.bits("a", 5).tolist() for _ in range(2)]
    random.set_state((6, 0, 1))
    draw = random.as_here(lambda: random.bits("a", 5).tolist())

    def worker():
        return draw(), random.get_state()

    assert in_a_thread(worker) == (expected[0], (6, 0, 0))
    assert random.bits("a", 5).tolist() == expected[1]
