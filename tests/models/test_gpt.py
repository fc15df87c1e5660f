"""`GPT`: what it sees, that it learns, and how it writes on."""

import numpy as np
import pytest

import minitorch.functions as F
from minitorch import random
from minitorch.errors import ConfigError, ShapeError
from minitorch.models import GPT
from minitorch.optimizers import Adam

IDS = np.random.default_rng(0).integers(0, 11, (2, 8))


def model(dropout_ratio=0.0):
    """A tiny model with the same weights at each call."""
    random.seed(0)
    return GPT(vocab_size=11, context=8, width=12, n_layers=2, n_heads=3, dropout_ratio=dropout_ratio)


def test_scores(device):
    """For each position a score for each token, in float32, on every device the same."""
    gpt = model()
    expected = gpt(IDS).data
    if device.name != "cpu":
        gpt.to_gpu()
    y = gpt(device.put(IDS))
    assert y.shape == (2, 8, 11)
    assert y.dtype == np.float32
    np.testing.assert_allclose(device.get(y.data), expected, rtol=1e-4, atol=1e-6)
    assert gpt(device.put(IDS[:, :3])).shape == (2, 3, 11)


def test_no_token_sees_later_ones():
    """The scores up to a position do not depend on what follows it, but on all before it."""
    gpt = model()
    y = gpt(IDS).data
    later, earlier = IDS.copy(), IDS.copy()
    later[:, 5:] = 0
    earlier[:, 0] = (earlier[:, 0] + 1) % 11
    np.testing.assert_allclose(gpt(later).data[:, :5], y[:, :5], rtol=1e-5, atol=1e-6)
    assert (np.abs(gpt(earlier).data - y).max(axis=-1) > 1e-6).all()


def test_every_parameter_gets_a_gradient():
    """All weights take part; the token vectors, used at both ends, get one gradient from both."""
    gpt = model(dropout_ratio=0.1)
    F.softmax_cross_entropy(gpt(IDS).reshape(-1, 11), IDS.reshape(-1)).backward()
    assert all(p.grad is not None and p.grad.shape == p.shape for p in gpt.params())
    paths = [path for path, _ in gpt.named_params()]
    assert paths[:3] == ["token.W", "position.W", "blocks.0.norm1.gamma"]
    assert paths[-2:] == ["norm.gamma", "norm.beta"]


def test_it_learns_a_sequence_and_writes_on():
    """After a short training on a repeating text it goes on with that text, sampled or greedily."""
    text = np.tile([3, 1, 4, 0, 5, 9, 2, 6], 5)
    gpt = model(dropout_ratio=0.05)
    optimizer = Adam(0.01).setup(gpt)
    rng = np.random.default_rng(0)
    losses = []
    for _ in range(80):
        starts = rng.integers(0, len(text) - 9, 8)
        x, t = (np.stack([text[s + shift : s + shift + 8] for s in starts]) for shift in (0, 1))
        loss = F.softmax_cross_entropy(gpt(x).reshape(-1, 11), t.reshape(-1))
        gpt.cleargrads()
        loss.backward()
        optimizer.update()
        losses.append(loss.item())
    assert losses[0] == pytest.approx(np.log(11), rel=0.05)
    assert losses[-1] < 0.1
    for temperature in (0, 0.1):
        written = gpt.generate(text[None, :5], 20, temperature)
        np.testing.assert_array_equal(written, text[None, :25])


def test_the_seed_decides_what_is_written(device):
    """The same seed writes the same on every device; another seed, another text; global random numbers are not used."""
    gpt = model()
    host = [gpt.generate(IDS, 10, seed=seed) for seed in (0, 1)]
    if device.name != "cpu":
        gpt.to_gpu()
    before = random.get_state()
    y = device.get(gpt.generate(device.put(IDS), 10))
    assert random.get_state() == before
    np.testing.assert_array_equal(y, host[0])
    assert y.dtype == IDS.dtype
    np.testing.assert_array_equal(y[:, :8], IDS)
    assert not np.array_equal(*host)
    assert not np.array_equal(host[0][0, 8:], host[0][1, 8:])


def test_a_longer_text_begins_like_a_shorter_one():
    """How many tokens are asked for does not change those that come first."""
    gpt = model()
    np.testing.assert_array_equal(gpt.generate(IDS, 12)[:, :12], gpt.generate(IDS, 4))
    np.testing.assert_array_equal(gpt.generate(IDS, 0), IDS)


def test_tokens_come_with_their_probabilities():
    """Over many rows the share of each token is its probability, also at another temperature."""
    gpt = model()
    gpt.token.W.data *= 20
    gpt.norm.gamma.data *= 3
    ids = np.full((4000, 1), 3)
    for temperature in (1.0, 3.0):
        p = F.softmax(gpt(ids[:1]).data[:, -1] / temperature).data[0]
        assert p.max() > 2 * p.min()
        drawn = np.bincount(gpt.generate(ids, 1, temperature)[:, 1], minlength=11) / 4000
        np.testing.assert_allclose(drawn, p, atol=0.03)


def test_temperature_0_takes_the_likeliest():
    """Greedy writing does not depend on the seed."""
    gpt = model()
    y = gpt.generate(IDS, 3, temperature=0, seed=5)
    np.testing.assert_array_equal(y[:, 8], gpt(IDS).data[:, -1].argmax(axis=1))
    np.testing.assert_array_equal(gpt.generate(IDS, 3, temperature=0, seed=6), y)


def test_writing_changes_nothing():
    """It drops nothing out, records nothing, and leaves the flags as they were."""
    gpt = model(dropout_ratio=0.5)
    np.testing.assert_array_equal(gpt.generate(IDS, 5), gpt.generate(IDS, 5))
    assert gpt(IDS).requires_grad
    assert not np.array_equal(gpt(IDS).data, gpt(IDS).data)


def test_weights_are_saved_and_loaded(tmp_path):
    """A model of the same sizes gives the same scores after loading."""
    gpt, other = model(), GPT(11, 8, 12, 2, 3)
    gpt.save_weights(tmp_path / "gpt.safetensors")
    assert not np.array_equal(other(IDS).data, gpt(IDS).data)
    other.load_weights(tmp_path / "gpt.safetensors")
    np.testing.assert_array_equal(other(IDS).data, gpt(IDS).data)


def test_errors():
    """Texts longer than the context, without a beginning, or a negative temperature are refused."""
    gpt = model()
    with pytest.raises(ShapeError, match=r"GPT: ids has shape \(2, 9\); wanted \(N, T\) with T up to the context, 8"):
        gpt(np.zeros((2, 9), int))
    with pytest.raises(ShapeError, match=r"GPT: ids has shape \(8,\)"):
        gpt(IDS[0])
    with pytest.raises(ShapeError, match=r"generate: ids has shape \(2, 0\); wanted \(N, T\), with at least one token"):
        gpt.generate(IDS[:, :0], 3)
    with pytest.raises(ConfigError, match=r"^generate: n is -5; it must be at least 0$"):
        gpt.generate(IDS, -5)
    with pytest.raises(ConfigError, match="generate: temperature is -1; it must be at least 0"):
        gpt.generate(IDS, 3, temperature=-1)
    with pytest.raises(ConfigError, match="width 12 is not a multiple of n_heads, 5"):
        GPT(11, 8, 12, 1, 5)
