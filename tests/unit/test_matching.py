"""The trigger machine: which records start which runs (docs/protocols.md §5)."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta

import pytest

from eventflow.model.completion import Outcome
from eventflow.model.conclusions import Reason
from eventflow.model.deployment import Activation, ParameterType
from eventflow.model.offset import Offset, merge_roots
from eventflow.model.run import run_id_of
from eventflow.model.trigger import Source
from tests.support.machines import (
    PUBLISHER,
    START,
    Machines,
    completion,
    event,
    on,
    on_finish,
    parameter,
)

FAR_HOME = "p/test.a"


@pytest.fixture
def machines() -> Machines:
    machines = Machines()
    assert machines.part_of("p/prod") is not machines.part_of("p/*")
    return machines


def test_an_event_starts_the_run_of_the_deployment_that_waits_for_it(machines: Machines) -> None:
    machines.deploy("Train", on("data"))

    origin = machines.say(event("data", payload={"day": 1}))

    (request,) = machines.requests
    assert (request.namespace, request.flow, request.version) == ("p/prod", "Train", 1)
    assert request.run_id == run_id_of("p/prod", "Train", [origin])
    assert [cause.origin for cause in request.causes] == [origin]
    assert json.loads(request.causes[0].payload) == {"day": 1}
    assert machines.verdicts(origin) == [("Train", "started", "")]


def test_a_started_decision_names_the_run(machines: Machines) -> None:
    machines.deploy("Train", on("data"))

    origin = machines.say(event("data"))

    started = [each.run_id for each in machines.decisions if each.origin == origin]
    assert started == [machines.requests[0].run_id]


def test_a_run_starts_with_the_tags_of_its_deployment(machines: Machines) -> None:
    deployed = machines.deploy("Train", on("data"))
    tagged = replace(deployed, tags=("nightly",), system_tags=("user:ann",))
    machines.deployments[deployed.key] = tagged

    machines.say(event("data"))

    (request,) = machines.requests
    assert (request.tags, request.system_tags) == (("nightly",), ("user:ann",))


def test_an_event_that_nobody_waits_for_leaves_no_trace(machines: Machines) -> None:
    machines.deploy("Train", on("data"))

    origin = machines.say(event("other", id="1"))

    assert machines.verdicts(origin) == []
    assert machines.requests == []
    assert len(machines.part_of("p/prod").state.ids) == 0


def test_an_event_of_another_namespace_starts_nothing(machines: Machines) -> None:
    machines.deploy("Train", on("data"))

    machines.say(event("data", "p/test.a"))
    machines.say(event("data", "q/prod"))
    machines.say(event("data", "q/*"))

    assert machines.requests == []


def test_event_triggers_hear_no_completions_and_the_other_way_round(machines: Machines) -> None:
    machines.deploy("HearsEvents", on("Up"))
    machines.deploy("HearsCompletions", on_finish("Up"))

    machines.say(event("Up"))
    machines.say(completion("Up"))

    assert [(r.flow, r.causes[0].kind) for r in machines.requests] == [
        ("HearsEvents", Source.EVENT),
        ("HearsCompletions", Source.COMPLETION),
    ]


def test_a_completion_as_cause_names_the_run_that_ended(machines: Machines) -> None:
    machines.deploy("Next", on_finish("Up"))
    root = Offset("events", "T1", 9, 4)

    origin = machines.say(completion("Up", run_id="rabc", roots=(root,), hops=2))

    (request,) = machines.requests
    (cause,) = request.causes
    assert (cause.run_namespace, cause.flow, cause.run_id) == ("p/prod", "Up", "rabc")
    assert (cause.event_id, cause.name) == ("rabc", "Up")
    assert json.loads(cause.payload) == {"flow": "Up", "run_id": "rabc", "outcome": "succeeded"}
    assert request.roots == merge_roots((root, origin))
    assert request.hops == 3


@pytest.mark.parametrize(
    ("outcome", "reason"),
    [(Outcome.FAILED, "the run failed"), (Outcome.CANCELLED, "the run was cancelled")],
)
def test_only_success_starts_what_waits_for_a_flow(
    machines: Machines, outcome: Outcome, reason: str
) -> None:
    machines.deploy("Next", on_finish("Up"))

    origin = machines.say(completion("Up", outcome=outcome))

    assert machines.requests == []
    assert machines.verdicts(origin) == [("Next", "not matched", reason)]


def test_nobody_hears_completions_through_the_whole_project() -> None:
    machines = Machines(partitions=1)
    machines.deploy("Next", on_finish("Up"))

    machines.say(completion("Up", "p/*"))

    assert machines.requests == []


def test_an_event_of_a_task_brings_its_roots_its_hops_and_its_run(machines: Machines) -> None:
    machines.deploy("Train", on("data"))
    root = Offset("events", "T1", 7, 8)

    origin = machines.say(event("data", publisher=PUBLISHER, roots=(root,), hops=4))

    (request,) = machines.requests
    assert request.roots == merge_roots((root, origin))
    assert request.hops == 5
    assert (request.causes[0].flow, request.causes[0].run_id) == ("Up", "rup")


def test_all_deployments_that_wait_for_an_event_are_started(machines: Machines) -> None:
    machines.deploy("One", on("data"))
    machines.deploy("Two", on("data"))

    machines.say(event("data"))

    assert [request.flow for request in machines.requests] == ["One", "Two"]
    assert len({request.run_id for request in machines.requests}) == 2


# -- marks ---------------------------------------------------------------------------------------


def test_records_before_a_mark_are_decided_by_the_version_before(machines: Machines) -> None:
    machines.append(event("data"))
    machines.deploy("Train", on("data"))
    machines.append(event("data"))
    machines.deploy("Train", on("data"))
    machines.append(event("data"))

    machines.run()

    assert [request.version for request in machines.requests] == [1, 2]


def test_a_deleted_deployment_starts_nothing_more(machines: Machines) -> None:
    machines.deploy("Train", on("data"))
    machines.delete("Train")

    machines.say(event("data"))
    machines.say(event("data", "p/*"))

    assert machines.requests == []
    assert all(not part.folded for part in machines.parts)


def test_every_mark_is_echoed_at_its_own_offset(machines: Machines) -> None:
    machines.deploy("Train", on("data"))
    machines.delete("Train")

    machines.run()

    echoes = {each.origin: each.verdict.value for each in machines.decisions}
    marks = [entry.origin for part in machines.parts for entry in part.entries]
    assert echoes.keys() == set(marks)
    assert sorted(echoes.values()) == ["activated", "activated", "deleted", "deleted"]


def test_a_mark_of_an_older_version_changes_nothing(machines: Machines) -> None:
    machines.deploy("Train", on("data"))
    machines.deploy("Train", on("data"))
    machines.run()
    first_mark = machines.part_of("p/prod").entries[0].body

    again = machines.say(first_mark)
    machines.say(event("data"))

    assert machines.verdicts(again) == [("Train", "not matched", "version 2 is in force")]
    assert [request.version for request in machines.requests] == [2]


def test_a_mark_that_comes_twice_is_one(machines: Machines) -> None:
    machines.deploy("Join", on("a", "b"))
    machines.say(event("a"))

    machines.say(machines.part_of("p/prod").entries[0].body)
    machines.say(event("b"))

    assert len(machines.requests) == 1


def test_a_mark_of_an_unknown_version_is_a_dead_letter_and_the_old_one_stays(
    machines: Machines,
) -> None:
    machines.deploy("Train", on("data"))
    machines.run()
    mark = machines.part_of("p/prod").entries[0].body
    assert isinstance(mark, Activation)

    origin = machines.say(replace(mark, version=7))
    machines.say(event("data"))

    assert [each.reason for each in machines.dead_letters] == [Reason.UNKNOWN_DEPLOYMENT]
    assert machines.verdicts(origin)[0][1] == "dead letter"
    assert [request.version for request in machines.requests] == [1]


def test_a_deployment_without_a_trigger_is_never_started(machines: Machines) -> None:
    machines.deploy("ByHand", None)

    machines.say(event("data"))

    assert machines.requests == []


# -- parameters ----------------------------------------------------------------------------------


def test_payload_fields_become_parameters_and_the_rest_their_defaults(machines: Machines) -> None:
    machines.deploy(
        "Train",
        on("data", mappings={"data": {"day": "when.day", "rate": "rate"}}),
        parameters=(
            parameter("day"),
            parameter("rate", ParameterType.FLOAT, default="0.5"),
            parameter("name", ParameterType.STR, default='"x"'),
            parameter("free"),
        ),
    )

    machines.say(event("data", payload={"when": {"day": "17"}}))

    assert machines.requests[0].parameters == {"day": "17", "rate": "0.5", "name": '"x"'}


def test_a_missing_required_field_is_no_match(machines: Machines) -> None:
    machines.deploy(
        "Train",
        on("data", mappings={"data": {"day": "day"}}),
        parameters=(parameter("day", is_required=True),),
    )

    origin = machines.say(event("data", payload={"other": 1}))

    assert machines.verdicts(origin) == [("Train", "not matched", "field day missing")]
    assert machines.dead_letters == []


@pytest.mark.parametrize(
    ("payload", "content_type"),
    [
        (b'{"day": "monday"}', "application/json"),
        (b"no json", "application/json"),
        (b'{"day": 1}', "text/plain"),
    ],
)
def test_a_field_that_cannot_be_converted_is_a_dead_letter_of_that_deployment(
    machines: Machines, payload: bytes, content_type: str
) -> None:
    machines.deploy(
        "Maps", on("data", mappings={"data": {"day": "day"}}), parameters=(parameter("day"),)
    )
    machines.deploy("MapsNothing", on("data"))

    origin = machines.say(replace(event("data", payload=payload), content_type=content_type))

    (letter,) = machines.dead_letters
    assert (letter.reason, letter.deployment) == (Reason.PARAMETER, ("p/prod", "Maps", 1))
    assert [each[:2] for each in machines.verdicts(origin)] == [
        ("Maps", "dead letter"),
        ("MapsNothing", "started"),
    ]


def test_an_error_in_one_decision_is_a_dead_letter_of_that_deployment_only(
    machines: Machines,
) -> None:
    machines.deploy("Broken", on("data", mappings={"data": {"undeclared": "day"}}))
    machines.deploy("Whole", on("data"))

    machines.say(event("data", payload={"day": 1}))

    assert [request.flow for request in machines.requests] == ["Whole"]
    (letter,) = machines.dead_letters
    assert letter.reason is Reason.DECISION_ERROR
    assert letter.deployment == ("p/prod", "Broken", 1)


# -- de-duplication ------------------------------------------------------------------------------


def test_a_repeated_id_is_one_event_for_every_deployment(machines: Machines) -> None:
    machines.deploy("Near", on("data"))
    machines.deploy("Far", on("data"), FAR_HOME)
    machines.say(event("data", "p/*", {"n": 1}, id="7"))
    started = len(machines.requests)

    again = machines.say(event("data", "p/*", {"n": 1}, id="7"))

    assert started == len(machines.requests) == 2
    assert sorted(machines.verdicts(again)) == [
        ("Far", "duplicate", ""),
        ("Near", "duplicate", ""),
    ]


def test_an_id_is_of_a_name_in_a_namespace(machines: Machines) -> None:
    for namespace in ("p/prod", FAR_HOME):
        machines.deploy("Train", on("data"), namespace)
        machines.deploy("Other", on("other"), namespace)

    for namespace in ("p/prod", FAR_HOME):
        machines.say(event("data", namespace, id="7"))
        machines.say(event("other", namespace, id="7"))

    assert len(machines.requests) == 4


def test_events_without_an_id_of_their_own_are_never_duplicates(machines: Machines) -> None:
    machines.deploy("Train", on("data"))

    machines.say(event("data"))
    machines.say(event("data"))

    assert len(machines.requests) == 2


def test_a_known_id_with_another_payload_is_a_dead_letter(machines: Machines) -> None:
    machines.deploy("Train", on("data"))
    machines.say(event("data", payload={"n": 1}, id="7"))

    origin = machines.say(event("data", payload={"n": 2}, id="7"))

    (letter,) = machines.dead_letters
    assert (letter.reason, letter.deployment) == (Reason.ID_REUSED, None)
    assert machines.verdicts(origin)[0][:2] == ("Train", "dead letter")
    assert len(machines.requests) == 1


def test_of_a_known_id_of_a_task_the_first_payload_counts(machines: Machines) -> None:
    machines.deploy("Train", on("data"))
    machines.say(event("data", payload={"n": 1}, id="7", publisher=PUBLISHER))

    origin = machines.say(event("data", payload={"n": 2}, id="7", publisher=PUBLISHER))

    assert machines.verdicts(origin)[0][:2] == ("Train", "duplicate")
    assert machines.id_conflicts == 1
    assert machines.dead_letters == []
    assert len(machines.requests) == 1


def test_an_id_is_known_for_a_day(machines: Machines) -> None:
    machines.deploy("Train", on("data"))
    machines.say(event("data", id="7"))

    machines.say(event("data", id="7"), after=timedelta(hours=24, seconds=-1))
    machines.say(event("data", id="7"), after=timedelta(seconds=1))
    machines.say(event("data", id="7"))

    assert [each.causes[0].event_id for each in machines.requests] == ["7", "7"]


def test_the_clock_of_a_partition_never_goes_back(machines: Machines) -> None:
    machines.deploy("Train", on("data"))
    machines.say(event("data", id="7"), after=timedelta(days=1))

    machines.say(event("data", id="7"), after=timedelta(days=-10))

    assert len(machines.requests) == 1
    assert machines.part_of("p/prod").state.clock > START + timedelta(days=1)


# -- forwards ------------------------------------------------------------------------------------


def test_an_event_for_the_project_reaches_every_branch_by_one_forward_each(
    machines: Machines,
) -> None:
    machines.deploy("One", on("data"))
    machines.deploy("Two", on("data"))
    machines.deploy("One", on("data"), FAR_HOME)

    origin = machines.say(event("data", "p/*"))

    homes = {each.home: [it.flow for it in each.listeners] for each in machines.forwards}
    near_is_here = machines.part_of(FAR_HOME) is machines.part_of("p/*")
    assert homes == ({} if near_is_here else {FAR_HOME: ["One"]}) | {"p/prod": ["One", "Two"]}
    assert sorted((each.namespace, each.flow) for each in machines.requests) == [
        ("p/prod", "One"),
        ("p/prod", "Two"),
        ("p/test.a", "One"),
    ]
    assert {cause.origin for each in machines.requests for cause in each.causes} == {origin}
    assert {cause.namespace for each in machines.requests for cause in each.causes} == {"p/*"}


def test_a_forward_is_decided_by_the_version_in_force_where_the_event_was(
    machines: Machines,
) -> None:
    machines.deploy("Train", on("data"))
    machines.run()
    machines.append(event("data", "p/*"))
    machines.deploy("Train", on("data"))
    home, source = machines.part_of("p/prod"), machines.part_of("p/*")

    machines.step(home, 100)
    machines.step(source, 100)
    machines.run()

    assert home.state.subscriptions.active("p/prod", "p/prod", "Train").version == 2  # type: ignore[union-attr]
    assert [request.version for request in machines.requests] == [1]


def test_a_forward_starts_a_deployment_that_was_deleted_meanwhile(machines: Machines) -> None:
    machines.deploy("Train", on("data"))
    machines.run()
    machines.append(event("data", "p/*"))
    machines.delete("Train")

    machines.step(machines.part_of("p/prod"), 100)
    machines.run()

    assert [request.version for request in machines.requests] == [1]


def test_a_forward_of_an_unknown_version_is_a_dead_letter_of_that_listener(
    machines: Machines,
) -> None:
    machines.deploy("Train", on("data"))
    machines.deploy("Whole", on("data"))
    machines.run()
    machines.append(event("data", "p/*"))
    machines.step(machines.part_of("p/*"), 100)
    del machines.deployments["p/prod", "Train", 1]

    machines.run()

    assert [each.reason for each in machines.dead_letters] == [Reason.UNKNOWN_DEPLOYMENT]
    assert [request.flow for request in machines.requests] == ["Whole"]


def test_a_source_decides_nothing_for_a_home_elsewhere(machines: Machines) -> None:
    machines.deploy("Train", on("data"))
    machines.run()
    origin = machines.append(event("data", "p/*"))

    machines.step(machines.part_of("p/*"), 100)

    assert machines.verdicts(origin) == []
    assert machines.requests == []
