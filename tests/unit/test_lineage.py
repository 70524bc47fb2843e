"""Lineage is followed both ways, from the store alone, each run once, as deep as asked."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

import pytest

from eventflow.errors import Ambiguous, ArtifactMissing, InvalidName, NotFound
from eventflow.lineage import Node, NodeKind, downstream, lineage_of, upstream
from eventflow.model.graph import FlowGraph, StepKind, StepNode
from eventflow.store.runs import place_of
from tests.support.stored import AT, due, event, event_offset

if TYPE_CHECKING:
    from eventflow.model.run import RunRequest
    from tests.support.stored import History

Shape: TypeAlias = tuple[str, str, list["Shape"]]
EVENTS = "eventflow.events/0"


class Chain:
    """data_updated (1) → Train, which publishes audit (5) and completes (7); the completion
    starts Predict, the audit starts Audit in another branch, with another event (6)."""

    def __init__(self, history: History) -> None:
        self.train = history.succeeded(
            "Train",
            causes=[event("data_updated", 1)],
            published=[event_offset(5), event_offset(8)],
            model=[1, 2],
        )
        self.audit = history.succeeded(
            "Audit", "shop/test.b", causes=[event("audit", 5, by=self.train), event("extra", 6)]
        )
        self.predict = history.succeeded(
            "Predict", causes=[history.completion(self.train, 7)], delays={"UA1": 3}
        )


@pytest.fixture
def chain(history: History) -> Chain:
    """The chain, in the store."""
    return Chain(history)


def name(run: RunRequest) -> str:
    return f"{run.namespace}/{run.flow}/{run.run_id}"


def shape(node: Node) -> Shape:
    """(kind, name) and what is below."""
    return (node.kind.value, node.name, [shape(child) for child in node.children])


def test_an_artifact_leads_up_to_the_offset_that_caused_it(chain: Chain) -> None:
    found = upstream(f"Predict/{chain.predict.run_id[:6]}/end/0/delays")

    artifact = f"{name(chain.predict)}/end/0/delays"
    first: Shape = ("event", f"{EVENTS}/1", [])
    train: Shape = ("run", name(chain.train), [first])
    predict: Shape = ("run", name(chain.predict), [("completion", f"{EVENTS}/7", [train])])
    assert shape(found) == ("artifact", artifact, [predict])
    assert found.label == "dict"
    assert [each.label for each in found.walk()] == [
        "dict",
        "succeeded",
        "Train",
        "succeeded",
        "data_updated",
    ]


def test_a_run_of_a_schedule_leads_up_to_its_due_time_and_back(history: History) -> None:
    nightly = history.succeeded("Nightly", causes=[due(AT)], delays=3)
    place = f"schedule/0/{int(AT.timestamp())}"

    up, down = upstream(f"Nightly/{nightly.run_id}"), downstream(place)

    scheduled: Shape = ("schedule", place, [])
    assert shape(up) == ("run", name(nightly), [scheduled])
    assert (up.children[0].label, up.children[0].at) == ("0 9 * * * Asia/Tokyo", AT)
    run: Shape = ("run", name(nightly), [("artifact", f"{name(nightly)}/end/0/delays", [])])
    assert shape(down) == ("schedule", place, [run])


def test_an_offset_leads_down_to_all_that_came_of_it(chain: Chain) -> None:
    found = downstream(f"{EVENTS}/1")

    audit: Shape = ("run", name(chain.audit), [])
    delays: Shape = ("artifact", f"{name(chain.predict)}/end/0/delays", [])
    predict: Shape = ("run", name(chain.predict), [delays])
    train: Shape = (
        "run",
        name(chain.train),
        [
            ("artifact", f"{name(chain.train)}/end/0/model", []),
            ("event", f"{EVENTS}/5", [audit]),
            ("completion", f"{EVENTS}/7", [predict]),
            ("event", f"{EVENTS}/8", []),
        ],
    )
    assert shape(found) == ("event", f"{EVENTS}/1", [train])
    assert found.label == "data_updated"


def test_an_event_of_a_task_leads_up_to_its_run(chain: Chain) -> None:
    found = upstream(f"{EVENTS}/5")

    train: Shape = ("run", name(chain.train), [("event", f"{EVENTS}/1", [])])
    assert shape(found) == ("event", f"{EVENTS}/5", [train])


def test_an_artifact_leads_down_to_what_its_run_started(chain: Chain) -> None:
    found = downstream(f"{name(chain.train)}/end/0/model", depth=1)

    assert [(each.kind, each.name) for each in found.children] == [
        (NodeKind.EVENT, f"{EVENTS}/5"),
        (NodeKind.COMPLETION, f"{EVENTS}/7"),
    ]


def test_depth_counts_runs_and_says_where_more_is(chain: Chain) -> None:
    down = downstream(f"{EVENTS}/1", depth=1)
    up = upstream(f"Predict/{chain.predict.run_id}", depth=1)

    assert not any(each.has_more for each in down.walk())
    assert f"{name(chain.predict)}/end/0/delays" in {each.name for each in down.walk()}
    assert {each.name for each in down.walk() if each.kind is NodeKind.RUN} == {
        name(chain.train),
        name(chain.audit),
        name(chain.predict),
    }
    assert [each.name for each in up.walk() if each.has_more] == [name(chain.train)]
    assert not any(each.name == f"{EVENTS}/1" for each in up.walk())


def test_a_cut_run_that_started_others_says_so(history: History, chain: Chain) -> None:
    history.succeeded("Publish", causes=[history.completion(chain.predict, 11)])

    found = downstream(f"{EVENTS}/1", depth=1)

    assert [each.name for each in found.walk() if each.has_more] == [name(chain.predict)]


def test_a_run_with_two_ways_to_it_is_followed_once(history: History, chain: Chain) -> None:
    both = history.succeeded(
        "Both",
        causes=[history.completion(chain.train, 7), history.completion(chain.predict, 11)],
    )

    up = upstream(f"Both/{both.run_id}")

    trains = [each for each in up.walk() if each.name == name(chain.train)]
    assert [(len(each.children), each.has_more) for each in trains] == [(1, False), (0, True)]


def test_both_directions_come_together(chain: Chain) -> None:
    both = lineage_of(f"Train/{chain.train.run_id}")

    assert (both.upstream.name, both.downstream.name) == (name(chain.train),) * 2
    assert [each.name for each in both.upstream.children] == [f"{EVENTS}/1"]
    assert len(both.downstream.children) == 4


def test_a_record_that_started_nothing_is_alone(chain: Chain) -> None:
    both = lineage_of(f"{EVENTS}/999")

    assert both.upstream == both.downstream == Node(NodeKind.EVENT, f"{EVENTS}/999")


def test_neighbours_in_a_block_of_offsets_are_not_mixed_up(history: History) -> None:
    runs = [history.begin("Train", causes=[event("x", number)]) for number in (10, 11)]

    found = [downstream(f"{EVENTS}/{number}").children for number in (10, 11)]

    assert [[each.name for each in children] for children in found] == [[name(run)] for run in runs]


def test_a_join_is_found_by_each_of_its_events_and_by_none_between_them(history: History) -> None:
    joined = history.begin("Train", causes=[event("x", number) for number in (10, 14, 2001)])
    alone = history.begin("Train", causes=[event("x", 12)])

    found = {
        number: [each.name for each in downstream(f"{EVENTS}/{number}").children]
        for number in (10, 12, 13, 14, 2001)
    }

    assert found == {
        10: [name(joined)],
        12: [name(alone)],
        13: [],
        14: [name(joined)],
        2001: [name(joined)],
    }


def test_a_topic_whose_name_goes_on_is_another_topic(history: History, chain: Chain) -> None:
    store = history.world.store
    longer = f"lineage/eventflow.events.old.topicid2/0/{0:020d}/001~r1~shop~prod~Train"
    store.put_if_absent(longer, b"[1]")

    found = downstream(f"{EVENTS}/1")

    assert [each.name for each in found.children] == [name(chain.train)]


def test_a_downstream_run_that_is_only_named_yet_is_no_error(
    history: History, chain: Chain
) -> None:
    history.world.store.delete([place_of(chain.predict).run])

    found = downstream(f"Train/{chain.train.run_id}")

    assert name(chain.audit) in {each.name for each in found.walk()}


def test_what_is_asked_about_has_to_exist(history: History, chain: Chain) -> None:
    with pytest.raises(NotFound):
        upstream("Train/rzzzzzzzz")
    with pytest.raises(NotFound, match="No flow Nothing has run"):
        upstream("Nothing/rzzzzzzzz")
    with pytest.raises(NotFound, match="no task middle/0"):
        upstream(f"Train/{chain.train.run_id}/middle/0/model")
    with pytest.raises(ArtifactMissing, match="it has: model"):
        upstream(f"Train/{chain.train.run_id}/end/0/modle")
    with pytest.raises(InvalidName, match="has no lineage"):
        upstream("Train")
    with pytest.raises(InvalidName, match="is no offset"):
        upstream("Train/run/step")


def test_a_namespace_tells_flows_of_one_name_apart(history: History) -> None:
    one = history.begin("Train", "shop/prod", causes=[event("x", 1)])
    history.begin("Train", "bank/prod", causes=[event("x", 1)])

    found = [
        upstream(f"shop/prod/Train/{one.run_id}").name,
        upstream(f"Train/{one.run_id}", within="shop").name,
    ]

    assert found == [name(one)] * 2
    with pytest.raises(NotFound):
        upstream(f"Train/{one.run_id}", within="bank/prod")


def test_a_short_id_that_fits_several_runs_is_ambiguous(history: History) -> None:
    run = history.begin()
    twin = place_of(run).run.replace(run.run_id, run.run_id[:8] + "a" * 13)
    history.world.store.put_if_absent(twin, b"{}")

    with pytest.raises(Ambiguous):
        upstream(f"Train/{run.run_id[:7]}")


def test_the_results_of_a_run_are_those_of_its_last_step_whatever_its_name(
    history: History,
) -> None:
    steps = (
        StepNode("start", StepKind.LINEAR, ("finish",), False, 5),
        StepNode("finish", StepKind.END, (), False, 9),
    )
    run = history.begin("Report", graph=FlowGraph("Report", "f.py", "", steps, end="finish"))
    history.end(run, history.task(run, "start", rows=1), history.task(run, "finish", report=2))

    found = downstream(f"Report/{run.run_id}")

    assert [child.name for child in found.children] == [f"{name(run)}/finish/0/report"]
