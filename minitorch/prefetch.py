"""`in_order`: things that take long to make, made by threads ahead of time and given out in their order."""

from collections import deque
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from concurrent.futures import Future

T = TypeVar("T")

AHEAD = 2  # results for each thread, waiting or under way


def in_order(make: Callable[[int], T], numbers: range, workers: int) -> Iterator[T]:
    """`make(n)` for each n of `numbers` in turn, computed by `workers` threads, never more than `AHEAD` for each.

    An error of `make` is raised where its result would have come, after all results before it. When the iterator is
    used up, fails, or is dropped, what has not begun is given up and the threads end.
    """
    from concurrent.futures import ThreadPoolExecutor  # here, since it loads much that most programs have no use for

    pool = ThreadPoolExecutor(workers, thread_name_prefix="minitorch-loader")
    try:
        under_way: deque[Future[T]] = deque()
        for number in numbers:
            under_way.append(pool.submit(make, number))
            if len(under_way) == AHEAD * workers:
                yield under_way.popleft().result()
        while under_way:
            yield under_way.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)
