"""The LSTM over a sequence shares its batch out to threads without a trace in the result."""

import numpy as np

from minitorch.cpu import lstm, threads


def test_bits_do_not_depend_on_the_number_of_threads():
    """Forward and backward of a batch for several tasks give the same bits on one, two and three threads."""
    rng = np.random.default_rng(0)
    T, N, H = 3, 3 * lstm.SEQUENCES + 5, 8
    a, g = (rng.standard_normal(shape).astype(np.float32) for shape in ((T, N, 4 * H), (T + 1, N, H)))
    h, c = rng.standard_normal((2, N, H)).astype(np.float32)
    W = rng.standard_normal((H, 4 * H)).astype(np.float32)
    before = threads.get_num_threads()
    found = []
    try:
        for n in (1, 2, 3):
            threads.set_num_threads(n)
            y, saved = lstm.forward(a, h, c, W)
            found.append([y, *lstm.backward(g, y, saved, h, W)])
    finally:
        threads.set_num_threads(before)
    for one, two, three in zip(*found, strict=True):
        assert one.tobytes() == two.tobytes() == three.tobytes()


def test_a_batch_is_computed_as_its_parts():
    """The sequences of a large batch give what each of them gives alone."""
    rng = np.random.default_rng(0)
    T, N, H = 3, 2 * lstm.SEQUENCES + 1, 4
    a = rng.standard_normal((T, N, 4 * H))
    h, c = rng.standard_normal((2, N, H))
    W = rng.standard_normal((H, 4 * H))
    y, _ = lstm.forward(a, h, c, W)
    for n in (0, lstm.SEQUENCES, N - 1):
        at = slice(n, n + 1)
        np.testing.assert_allclose(y[:, at], lstm.forward(a[:, at], h[at], c[at], W)[0], rtol=1e-12)
