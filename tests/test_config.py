"""The flags: set in blocks and by decorators, put back in any case, one for each thread."""

import threading

import pytest

from minitorch import Config, no_grad, test_mode, using_config
from minitorch.errors import ConfigError


def flags():
    """The two flags of most use, as they are now."""
    return Config.enable_backprop, Config.train


def test_flags_are_on_at_first():
    """Operations are recorded and layers train unless one says otherwise."""
    assert flags() == (True, True)


@pytest.mark.parametrize(
    ("manager", "inside"),
    [
        (no_grad, (False, True)),
        (test_mode, (True, False)),
        (lambda: using_config("train", False), (True, False)),
        (lambda: using_config("enable_backprop", False), (False, True)),
    ],
)
def test_block_and_decorator(manager, inside):
    """A flag is set inside a block, and inside each call of a decorated function."""

    @manager()
    def decorated():
        return flags()

    with manager():
        assert flags() == inside
    assert flags() == (True, True)
    assert [decorated(), decorated()] == [inside, inside]
    assert flags() == (True, True)


def test_blocks_nest():
    """Leaving an inner block gives back what the outer one had set."""
    with test_mode():
        with no_grad(), using_config("train", True):
            assert flags() == (False, True)
        assert flags() == (True, False)


def test_an_exception_puts_the_flag_back():
    """A block that fails leaves the flag as it was before."""
    with pytest.raises(ZeroDivisionError), no_grad():
        raise ZeroDivisionError
    assert flags() == (True, True)


def test_unknown_flags_are_named():
    """A misspelt flag is an error that lists those there are, and nothing is set."""
    with (
        pytest.raises(
            ConfigError, match=r"^using_config: no flag 'trian'; the flags are enable_backprop, train, use_onednn$"
        ),
        using_config("trian", False),
    ):
        pass
    assert not hasattr(Config, "trian")


def test_flags_can_be_set_for_good():
    """Assigning to Config sets a flag until the next assignment."""
    Config.train = False
    assert flags() == (True, False)
    Config.train = True


def test_each_thread_has_its_own():
    """A thread starts with the flags on, whatever the others have set, and changes only its own."""
    seen = []

    def other():
        seen.append(flags())
        Config.train = False
        seen.append(flags())

    with no_grad():
        thread = threading.Thread(target=other)
        thread.start()
        thread.join()
        seen.append(flags())
    assert seen == [(True, True), (True, False), (False, True)]
