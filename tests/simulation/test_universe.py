"""The kernel of the simulation: chance by the seed, and what death and stops mean."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from tests.simulation.universe import Crashed, Process, Universe

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.simulation.happenings import Happening

RATES = {"process.dies": 0.01, "process.stops": 0.02, "answer.slow": 0.1, "clock.jumps": 0.05}
SECOND = timedelta(seconds=1)
LATER = timedelta(hours=9)
Ended = list[BaseException | None]


def _quiet() -> Universe:
    """Nothing goes wrong in it."""
    return Universe.by(1, {}, None)


def _spawn(
    universe: Universe, main: Callable[[], object], ended: Ended | None = None, name: str = "p"
) -> Process:
    """A process; `ended` gets what it died of."""
    died_of: Ended = [] if ended is None else ended
    return universe.spawn(name, lambda _: _done(main()), lambda _, error: died_of.append(error))


def _done(_result: object) -> None:
    """What a process returns is nobody's."""


def _lived(seed: int, told: frozenset[Happening] | None = None) -> Universe:
    """A universe in which three processes did fifty things each, as far as they got."""
    universe = Universe.by(seed, RATES, told)
    universe.keeps_trace = True

    def work() -> None:
        for number in range(50):
            universe.effect(f"effect-{number}")
            universe.notify()
            universe.wait(SECOND * (number % 3), lambda: False)

    for number in range(3):
        _spawn(universe, work, name=f"p{number}")
    universe.run(lambda: False, universe.time + LATER)
    return universe


# ── chance ───────────────────────────────────────────────────────────────────
def test_the_same_seed_gives_the_same_trace() -> None:
    first, second = _lived(7), _lived(7)

    assert first.trace == second.trace
    assert first.happenings.came_true == second.happenings.came_true
    assert len(first.trace) > 50


def test_another_seed_gives_another_trace() -> None:
    assert _lived(7).trace != _lived(8).trace


def test_what_happened_can_be_told_and_happens_again() -> None:
    drawn = _lived(7)

    told = _lived(7, frozenset(drawn.happenings.came_true))

    assert drawn.happenings.came_true
    assert told.trace == drawn.trace


def test_fewer_happenings_are_told_and_no_others_happen() -> None:
    all_of_them = _lived(7).happenings.came_true
    half = frozenset(all_of_them[::2])

    universe = _lived(7, half)

    assert set(universe.happenings.came_true) <= half


def test_leaving_a_happening_out_changes_nothing_before_it() -> None:
    drawn = _lived(7)
    *before, (name, _) = drawn.happenings.came_true

    without = _lived(7, frozenset(before))

    until = max(n for n, (_, _, line) in enumerate(drawn.trace) if line == f"! {name}")
    assert until > 0
    assert drawn.trace[:until] == without.trace[:until]


# ── death ────────────────────────────────────────────────────────────────────
def test_a_dead_process_has_no_further_effect() -> None:
    universe = Universe.by(1, {}, frozenset({("process.dies", 3)}))
    had: list[str] = []
    ended: Ended = []

    def effect(name: str) -> None:
        universe.effect(name)
        had.append(name)

    def work() -> None:
        try:
            effect("first")
            effect("second")  # the beginning of a process is an effect, too
            effect("third")
        finally:
            effect("last words")

    _spawn(universe, work, ended)
    universe.run(lambda: False, universe.time + LATER)

    assert had == ["first"]
    assert isinstance(ended[0], Crashed)


def test_a_handler_of_errors_does_not_keep_a_process_alive() -> None:
    universe = Universe.by(1, {}, frozenset({("process.dies", 2)}))
    reached: list[str] = []

    def work() -> None:
        try:
            universe.effect("e")
        except Exception:  # noqa: BLE001 - what services do at their edges
            reached.append("handler")
        reached.append("after")

    _spawn(universe, work)
    universe.run(lambda: False, universe.time + LATER)

    assert reached == []


def test_a_killed_process_does_nothing_more() -> None:
    universe = _quiet()
    count: list[int] = []
    ended: Ended = []

    def work() -> None:
        while True:
            universe.wait(SECOND, lambda: False)
            count.append(1)

    process = _spawn(universe, work, ended)
    universe.run(lambda: len(count) == 3, universe.time + LATER)
    universe.kill(process)
    universe.run(lambda: False, universe.time + SECOND * 10)

    assert len(count) == 3
    assert isinstance(ended[0], Crashed)
    assert not process.is_alive


def test_a_stopped_process_can_be_killed_at_once() -> None:
    universe = _quiet()
    ended: Ended = []
    process = _spawn(universe, lambda: universe.wait(LATER, lambda: False), ended)
    universe.run(lambda: False, universe.time + SECOND)

    universe.stop(process, LATER)
    universe.kill(process)
    universe.run(lambda: False, universe.time + SECOND)

    assert isinstance(ended[0], Crashed)


def test_the_end_of_a_process_tells_what_it_died_of() -> None:
    universe = _quiet()
    well: Ended = []
    badly: Ended = []
    error = ValueError("of the process")

    def fail() -> None:
        raise error

    _spawn(universe, lambda: None, well)
    _spawn(universe, fail, badly)
    universe.run(lambda: False, universe.time + SECOND)

    assert (well, badly) == ([None], [error])


# ── stops ────────────────────────────────────────────────────────────────────
def test_a_stopped_process_does_nothing_meanwhile_and_goes_on_later() -> None:
    universe = _quiet()
    at: dict[str, list[timedelta]] = {"stopped": [], "other": []}

    def work(name: str) -> None:
        while True:
            universe.wait(SECOND, lambda: False)
            at[name].append(universe.time)

    stopped = _spawn(universe, lambda: work("stopped"))
    _spawn(universe, lambda: work("other"))
    universe.run(lambda: False, universe.time + SECOND * 5)
    begin, end = universe.time, universe.time + SECOND * 60
    universe.stop(stopped, SECOND * 60)
    universe.run(lambda: False, end + SECOND * 5)

    assert not [time for time in at["stopped"] if begin < time < end]
    assert len([time for time in at["other"] if begin < time < end]) > 50
    assert [time for time in at["stopped"] if time >= end]


def test_news_do_not_wake_a_stopped_process() -> None:
    universe = _quiet()
    news: list[int] = []
    woken: list[timedelta] = []

    def wait() -> None:
        universe.wait(LATER, lambda: bool(news))
        woken.append(universe.time)

    process = _spawn(universe, wait)
    universe.run(lambda: False, universe.time + SECOND)

    universe.stop(process, SECOND * 30)
    until = universe.time + SECOND * 30
    news.append(1)
    universe.notify()
    universe.run(lambda: False, until + SECOND)

    assert woken[0] >= until


# ── time ─────────────────────────────────────────────────────────────────────
def test_a_wait_ends_soon_after_the_news() -> None:
    universe = _quiet()
    news: list[int] = []
    seen: list[tuple[bool, timedelta]] = []

    def wait() -> None:
        seen.append((universe.wait(LATER, lambda: bool(news)), universe.time))

    def write() -> None:
        universe.wait(SECOND * 3, lambda: False)
        news.append(1)
        universe.notify()

    begun = universe.time
    _spawn(universe, wait)
    _spawn(universe, write)
    universe.run(lambda: False, universe.time + LATER)

    ((is_so, at),) = seen
    assert is_so
    assert SECOND * 3 <= at - begun < SECOND * 4


def test_a_wait_without_news_ends_after_its_time() -> None:
    universe = _quiet()
    seen: list[tuple[bool, timedelta]] = []
    begun = universe.time

    _spawn(universe, lambda: seen.append((universe.wait(SECOND, lambda: False), universe.time)))
    universe.run(lambda: False, universe.time + LATER)

    ((is_so, at),) = seen
    assert not is_so
    assert SECOND <= at - begun < SECOND * 2


def test_outside_of_any_process_a_wait_lets_the_others_go_on() -> None:
    universe = _quiet()
    done: list[str] = []
    universe.later(SECOND * 2, lambda: done.append("timer"))

    def work() -> None:
        universe.wait(SECOND, lambda: False)
        done.append("process")

    _spawn(universe, work)

    is_so = universe.wait(SECOND * 60, lambda: len(done) == 2)

    assert is_so
    assert done == ["process", "timer"]
    assert universe.time < timedelta(hours=1) + SECOND * 3


def test_a_wall_clock_jumps_and_the_other_does_not() -> None:
    universe = Universe.by(1, {}, frozenset({("clock.jumps", 2)}))
    clocks: list[tuple[float, float]] = []

    def work() -> None:
        clock = processes[0].clock
        wall, boot = clock.now(), clock.elapsed()
        universe.effect("e")
        clocks.append(
            ((clock.now() - wall).total_seconds(), (clock.elapsed() - boot).total_seconds())
        )

    processes = [_spawn(universe, work)]
    universe.run(lambda: False, universe.time + SECOND)

    ((wall, boot),) = clocks
    assert abs(wall) > 1
    assert 0 <= boot < 1


def test_nothing_goes_wrong_outside_of_any_process() -> None:
    universe = Universe.by(1, {"process.dies": 1.0}, None)

    universe.effect("outside")

    assert universe.happenings.came_true == []
