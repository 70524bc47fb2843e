"""Included files in tasks: loaded by the step that reads them, an artifact to every other."""

from __future__ import annotations

from eventflow.authoring.included_files import store_files
from eventflow.execution.by_hand import run_by_hand
from eventflow.model.completion import Outcome
from eventflow.model.task import RunPlan
from eventflow.store.artifacts import read_task, ref_from_text
from eventflow.store.layout import blob_key
from eventflow.store.runs import EndFile, place_of
from tests.support.flows import HEADER, Flows

SOURCE = (
    HEADER.replace("FlowSpec,", "Config, FlowSpec, IncludeFile,")
    + """
class F(FlowSpec):
    cfg = Config("cfg", default="/nowhere/cfg.json")
    data = IncludeFile("the-data")
    first = cfg.first

    @step
    def start(self):
        self.seen = READ
        self.next(self.end)

    @step
    def end(self):
        pass
"""
)


def planned(flows: Flows, read: str) -> tuple[RunPlan, str]:
    """A run whose first step reads this, and the digest of its file."""
    text = store_files(flows.world().store, "shop", {"the-data": "content"})["the-data"]
    parameters = {"the-data": text, "cfg": '{"first":"a"}'}
    root = flows.code(SOURCE.replace("READ", read))
    return flows.plan(root, parameters=parameters), ref_from_text("", text).digest


def run(flows: Flows, plan: RunPlan) -> EndFile:
    world = flows.world()
    return run_by_hand(plan, flows.executor(), world.store, world.effects, on_line=lambda *_: None)


def test_a_step_reads_the_content_and_the_artifact_is_the_one_that_was_stored(
    flows: Flows,
) -> None:
    plan, digest = planned(flows, "(self.data, self.first, self.cfg.first)")

    end = run(flows, plan)

    store, place = flows.world().store, place_of(plan.request)
    records = [read_task(store, place, flows.task(plan, name).key) for name in ("start", "end")]
    assert (end.outcome, end.reason) == (Outcome.SUCCEEDED, "")
    assert flows.artifact(flows.task(plan), "seen") == ("content", "a", "a")
    assert flows.artifact(flows.task(plan, "end"), "data") == "content"
    assert [each.artifacts["data"].digest for each in records] == [digest, digest]


def test_a_step_that_does_not_read_it_does_not_need_it(flows: Flows) -> None:
    plan, digest = planned(flows, "None")
    flows.world().store.delete([blob_key("shop", digest)])

    end = run(flows, plan)

    assert end.outcome is Outcome.SUCCEEDED


def test_a_step_that_reads_what_is_gone_fails_and_says_so(flows: Flows) -> None:
    plan, digest = planned(flows, "self.data")
    flows.world().store.delete([blob_key("shop", digest)])

    end = run(flows, plan)

    assert (end.outcome, digest in end.reason) == (Outcome.FAILED, True)
