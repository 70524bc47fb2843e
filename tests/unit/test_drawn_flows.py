"""Flows of any legal mix of constructs: no false alarm, the right tasks, whoever ends first."""

from __future__ import annotations

import random
import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from eventflow.authoring.graph import check, graph_of
from eventflow.execution.reuse import go_through
from eventflow.model.completion import Outcome
from eventflow.model.graph import FlowGraph, StepKind
from eventflow.model.schedule import Ready, Schedule
from eventflow.model.task import TaskKey
from eventflow.store.artifacts import TaskRecord
from tests.support.authored import Author
from tests.support.drawn_flows import DrawnFlow, drawn_flows
from tests.support.driven import NOW

MANY = settings(max_examples=150, suppress_health_check=[HealthCheck.too_slow])


def graph_in_order(drawn: DrawnFlow) -> FlowGraph:
    """The graph of a flow, of which nothing is complained."""
    with tempfile.TemporaryDirectory() as folder:
        author = Author(Path(folder))
        try:
            flow = author.flow(drawn.source)
            assert check(flow) == [], drawn.source
            return graph_of(flow)
        finally:
            author.forget()


class Going:
    """A run of a drawn flow, ended in an order by chance."""

    def __init__(self, drawn: DrawnFlow, graph: FlowGraph, seed: int, epoch: int = 1) -> None:
        self.drawn, self.graph, self.epoch = drawn, graph, epoch
        self.chance = random.Random(seed)
        self.schedule = Schedule.begin(graph)
        self.records: dict[tuple[str, str], TaskRecord] = {}

    def run(self, most: int = 10**6) -> None:
        """Go on for so many tasks, or to the end."""
        at_work: list[Ready] = []
        while most and self.schedule.end is None:
            at_work += iter(self.schedule.take, None)
            self._end(at_work.pop(self.chance.randrange(len(at_work))))
            most -= 1

    def take_over(self, records: Mapping[tuple[str, str], TaskRecord]) -> None:
        """Take up what another has left."""

        def find(wave: Sequence[Ready]) -> dict[Ready, TaskRecord]:
            named = {ready: records.get((ready.step, ready.task)) for ready in wave}
            return {
                ready: record
                for ready, record in named.items()
                if record is not None and record.inputs == ready.inputs
            }

        go_through(self.schedule, find)
        self.records.update(records)

    def _end(self, ready: Ready) -> None:
        key = TaskKey(self.epoch, ready.step, ready.task)
        steps, splits = self._said(ready)
        record = TaskRecord(key, {}, steps, (), NOW, NOW, ready.inputs, splits, ready.items)
        assert (ready.step, ready.task) not in self.records
        self.records[ready.step, ready.task] = record
        self.schedule.succeeded(key, steps, splits)

    def _said(self, ready: Ready) -> tuple[tuple[str, ...], int]:
        node = self.graph.step(ready.step)
        if node.kind is not StepKind.SWITCH:
            return node.next_steps, self.drawn.widths.get(ready.step, 0)
        if ready.step in self.drawn.taken:
            return (self.drawn.taken[ready.step],), 0
        rounds = self.drawn.rounds[ready.step]
        visit = int(ready.task.rpartition("-")[2].partition(".")[2] or 0)
        goes_on = visit % rounds < rounds - 1
        return (node.next_steps[0 if goes_on else -1],), 0


@MANY
@given(drawn_flows, st.integers(0, 1000))
def test_every_step_runs_as_often_as_its_constructs_say(drawn: DrawnFlow, seed: int) -> None:
    going = Going(drawn, graph_in_order(drawn), seed)

    going.run()

    end = going.schedule.end
    assert end is not None
    assert (end.outcome, end.reason) == (Outcome.SUCCEEDED, "")
    assert Counter(step for step, _ in going.records) == +drawn.times


@MANY
@given(drawn_flows, st.integers(0, 1000), st.integers(0, 1000))
def test_names_and_inputs_do_not_depend_on_who_ends_first(
    drawn: DrawnFlow, seed: int, other: int
) -> None:
    graph = graph_in_order(drawn)
    one, two = Going(drawn, graph, seed), Going(drawn, graph, other)

    one.run()
    two.run()

    assert one.records == two.records


@MANY
@given(drawn_flows, st.integers(0, 1000), st.integers(0, 40))
def test_another_epoch_goes_on_from_wherever_the_first_one_stopped(
    drawn: DrawnFlow, seed: int, stops_after: int
) -> None:
    graph = graph_in_order(drawn)
    first, second = Going(drawn, graph, seed), Going(drawn, graph, seed + 1, epoch=2)
    first.run(stops_after)

    second.take_over(first.records)
    second.run()

    end = second.schedule.end
    assert end is not None
    assert end.outcome is Outcome.SUCCEEDED
    assert Counter(step for step, _ in second.records) == +drawn.times
    kept = {f"{step}/{task}": record.key for (step, task), record in first.records.items()}
    assert kept.items() <= end.manifest.items()


@MANY
@given(drawn_flows, st.integers(0, 1000))
def test_inputs_of_a_join_come_in_the_order_of_branches_and_items(
    drawn: DrawnFlow, seed: int
) -> None:
    graph = graph_in_order(drawn)
    going = Going(drawn, graph, seed)

    going.run()

    for (step, _), record in going.records.items():
        if graph.step(step).is_join:
            items = [going.records[key.step, key.task].items for key in record.inputs]
            indices = [each[-1].index for each in items if len(each) > len(record.items)]
            assert indices == sorted(indices)
            assert len(set(record.inputs)) == len(record.inputs)
        else:
            assert len(record.inputs) == (step != graph.start)
    assert replace(going.records["end", "0"], inputs=()).items == ()
