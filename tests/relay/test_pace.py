"""No stretch of time sees more messages than allowed."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import example, given
from hypothesis import strategies as st

from wlsmtp.relay.pace import Pace


@example([1.1453701917519878, 0.0, 0.0, 1.05], 2, 10.0)  # a wait that is added to the time is rounded
@given(st.lists(st.floats(0, 5), min_size=1, max_size=60), st.integers(1, 5), st.sampled_from([0.5, 1.0, 10.0]))
def test_no_stretch_of_time_sees_more_than_allowed(pauses: list[float], count: int, seconds: float) -> None:
    pace, now, times = Pace(count, seconds), 0.0, []
    for pause in pauses:
        now += pause
        wait = pace.reserve(now)
        assert wait >= 0
        times.append(now + wait)
    assert all(second - first >= -1e-9 for first, second in pairwise(times))
    for first, last in zip(times, times[count:], strict=False):
        assert last - first >= seconds - 1e-9


def test_who_comes_alone_waits_for_nothing() -> None:
    pace = Pace(3, 60.0)
    assert [pace.reserve(100.0) for _ in range(3)] == [0, 0, 0]
    assert pace.reserve(100.0) == 60.0 and pace.reserve(159.0) == 1.0
