"""Requests become runs, each once; what cannot become one is kept, and the partition goes on."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from eventflow.model.deployment import CodePackage
from eventflow.model.log import TopicPartition
from eventflow.model.run import RunReport
from eventflow.store.blobs import put_blob
from eventflow.store.causes import causes_of
from eventflow.store.layout import flow_key, index_key, lineage_key
from eventflow.store.runs import read_run
from tests.support.hand_clock import HandClock
from tests.support.runner_rig import FLOW, NAMESPACE, RunnerRig, any_rig, rig

__all__ = ["any_rig", "rig"]


class TestOnce:
    def test_a_request_that_stands_twice_in_the_log_is_one_run(self, any_rig: RunnerRig) -> None:
        rig, runner = any_rig, any_rig.process()
        request = rig.new_request()
        rig.publish(request, request)
        rig.until(lambda: runner.tasks.started, runner)
        rig.publish(request)

        rig.execute(request.run_id, runner)
        rig.publish(request)
        other = rig.request()
        rig.execute(other, runner)

        assert runner.tasks.steps_of(request.run_id) == [(1, "start"), (1, "train"), (1, "end")]
        assert len(rig.completions(request.run_id)) == 1
        assert runner.count("runs_accepted_total") == 2

    def test_a_known_run_is_dropped_after_a_restart(self, any_rig: RunnerRig) -> None:
        rig, first = any_rig, any_rig.process()
        request = rig.new_request()
        rig.publish(request)
        rig.execute(request.run_id, first)
        first.runner.close()

        second = rig.process()
        rig.publish(request)
        other = rig.request()
        rig.execute(other, second)

        assert second.tasks.steps_of(request.run_id) == []
        assert len(rig.completions(request.run_id)) == 1

    def test_a_run_whose_record_was_forgotten_is_known_by_its_end(self, rig: RunnerRig) -> None:
        assert isinstance(rig.clock, HandClock)
        runner = rig.process()
        request = rig.new_request()
        rig.publish(request)
        rig.execute(request.run_id, runner)
        rig.clock.wall += timedelta(days=32)
        rig.jump(3601)
        rig.until(lambda: rig.record(request.run_id) is None, runner)

        rig.publish(request)
        other = rig.request()
        rig.execute(other, runner)

        assert runner.tasks.steps_of(request.run_id) == [(1, "start"), (1, "train"), (1, "end")]
        assert rig.record(request.run_id) is None


class TestGivenUp:
    def test_a_request_of_an_unknown_deployment_is_a_dead_letter(self, rig: RunnerRig) -> None:
        runner = rig.process()
        unknown = rig.new_request("Forgotten")
        rig.publish(unknown)
        good = rig.request()

        rig.execute(good, runner)

        (letter,) = rig.dead_letters()
        assert (letter.reason, letter.value) == ("unknown-deployment", rig.codec.encode(unknown))
        assert "version 1 of Forgotten" in letter.message
        assert rig.record(unknown.run_id) is None
        assert runner.count("runner_dead_letters_total", reason="unknown-deployment") == 1

    def test_an_undecodable_request_is_a_dead_letter(self, rig: RunnerRig) -> None:
        runner = rig.process()
        place = rig.publish_raw(rig.topics.run_requests, b"\x00garbage")
        good = rig.request()

        rig.execute(good, runner)

        (letter,) = rig.dead_letters()
        assert (letter.value, letter.key, letter.headers) == (b"\x00garbage", b"k", (("h", b"1"),))
        assert (letter.origin.topic, letter.origin.offset) == (place.topic, place.offset)

    def test_an_undecodable_report_is_a_dead_letter(self, rig: RunnerRig) -> None:
        runner = rig.process()
        place = rig.publish_raw(rig.topics.run_reports, b"\xc3\x01short")

        rig.until(rig.dead_letters, runner)

        (letter,) = rig.dead_letters()
        assert (letter.origin.topic, letter.value) == (rig.topics.run_reports, b"\xc3\x01short")
        assert rig.position().next_report == place.offset + 1

    def test_requests_that_retention_deleted_unread_are_a_gap(self, rig: RunnerRig) -> None:
        first = rig.process()
        done = rig.request()
        rig.execute(done, first)
        first.runner.close()
        position = rig.position().next_request
        lost = [rig.request() for _ in range(3)]
        kept = rig.request()
        last = rig.bus.high_watermark(TopicPartition(rig.topics.run_requests, 0)) - 1
        rig.delete_requests(before=last)

        second = rig.process()
        rig.execute(kept, second)

        (letter,) = rig.dead_letters()
        assert (letter.reason, letter.value) == ("gap", None)
        assert (letter.origin.topic, letter.origin.offset) == (rig.topics.run_requests, position)
        assert f"offsets {position} to {last - 1}" in letter.message
        assert [rig.record(run_id) for run_id in lost] == [None] * 3
        assert second.tasks.steps_of(done) == []

    def test_a_gap_is_told_once(self, rig: RunnerRig) -> None:
        first = rig.process()
        rig.execute(rig.request(), first)
        first.runner.close()
        rig.request()
        kept = rig.request()
        rig.delete_requests(
            before=rig.bus.high_watermark(TopicPartition(rig.topics.run_requests, 0)) - 1
        )
        second = rig.process()
        rig.execute(kept, second)
        second.runner.close()

        third = rig.process()
        rig.execute(rig.request(), third)

        assert [letter.reason for letter in rig.dead_letters()] == ["gap"]

    def test_a_run_whose_code_is_gone_fails(self, rig: RunnerRig) -> None:
        runner = rig.process()
        rig.deploy("Lost", code=CodePackage("0" * 64, 10, "flow.py"))
        lost = rig.new_request("Lost")
        rig.publish(lost)
        good = rig.request()

        rig.execute(good, runner)

        (completion,) = rig.completions(lost.run_id)
        assert (completion.outcome, runner.tasks.steps_of(lost.run_id)) == ("failed", [])
        assert "0000" in completion.reason


class TestRoom:
    def test_a_request_waits_unread_while_no_slot_is_free(self, rig: RunnerRig) -> None:
        runner = rig.process(slots=1)
        first, second = rig.request(), rig.request()
        rig.until(lambda: runner.tasks.started, runner)

        rig.steps(runner)

        assert rig.record(second) is None
        assert rig.position().next_request == 1
        rig.execute(first, runner)
        rig.execute(second, runner)
        assert runner.tasks.steps_of(second) == [(1, "start"), (1, "train"), (1, "end")]

    def test_reports_are_read_while_no_slot_is_free(self, rig: RunnerRig) -> None:
        runner = rig.process(slots=1)
        first, waiting = rig.request(), rig.request()
        rig.until(lambda: runner.tasks.started, runner)
        reports = rig.bus.high_watermark(TopicPartition(rig.topics.run_reports, 0))

        rig.bus.publish([rig.codec.new_record(RunReport("r-unknown", 1, "another"))])
        rig.until(lambda: rig.position().next_report == reports + 1, runner)

        assert rig.record(waiting) is None
        assert runner.tasks.running_steps(first) == ["start"]

    def test_a_draining_runner_ends_what_it_has_and_accepts_nothing(self, rig: RunnerRig) -> None:
        runner = rig.process()
        mine = rig.request()
        rig.until(lambda: runner.tasks.started, runner)
        runner.runner.drain()
        refused = rig.request()
        while_it_runs = runner.runner.is_drained

        rig.execute(mine, runner)
        rig.steps(runner)

        assert (while_it_runs, runner.runner.is_drained) == (False, True)
        assert rig.record(refused) is None


class TestBeginning:
    def test_a_run_can_be_found_every_way_before_its_first_task_starts(
        self, rig: RunnerRig
    ) -> None:
        runner = rig.process()
        causes = (rig.cause(7), rig.cause(2001, run_id="r" + "u" * 20))
        request = rig.new_request(causes=causes)
        rig.publish(request)

        rig.until(lambda: runner.tasks.started, runner)

        run_id, found = request.run_id, runner.tasks.found_at_first_start
        upstream = rig.place("r" + "u" * 20, "Ingest")
        assert {
            rig.place(run_id).run,
            index_key(NAMESPACE, FLOW, run_id, request.requested_at),
            flow_key(NAMESPACE, FLOW),
            lineage_key([causes[0].origin], NAMESPACE, FLOW, run_id),
            lineage_key([causes[1].origin], NAMESPACE, FLOW, run_id),
            upstream.downstream(NAMESPACE, FLOW, run_id),
        } <= found
        assert read_run(rig.store, rig.place(run_id)).request == request

    def test_the_first_task_waits_for_a_store_that_is_away(self, rig: RunnerRig) -> None:
        runner = rig.process()
        runner.store.is_cut = True
        run_id = rig.request()
        rig.until(lambda: rig.epoch(run_id) == 1, runner)
        rig.pass_time(10, runner)
        assert runner.tasks.started == []

        runner.store.is_cut = False
        rig.pass_time(1, runner)
        rig.execute(run_id, runner)

        assert runner.tasks.steps_of(run_id) == [(1, "start"), (1, "train"), (1, "end")]

    def test_causes_in_a_blob_reach_run_and_tasks_and_lineage(self, any_rig: RunnerRig) -> None:
        rig, runner = any_rig, any_rig.process()
        causes = tuple(rig.cause(offset) for offset in (5, 6, 1005))
        digest = put_blob(rig.store, "p", rig.codec.causes_to_bytes(causes))
        request = replace(rig.new_request(), causes_digest=digest)
        rig.publish(request)

        rig.until(lambda: runner.tasks.started, runner)

        stored = read_run(rig.store, rig.place(request.run_id)).request
        assert causes_of(rig.store, stored) == causes
        assert runner.tasks.started[0].run.request.causes == causes
        both = [cause.origin for cause in causes[:2]]
        key = lineage_key(both, NAMESPACE, FLOW, request.run_id)
        assert rig.store.get(key) == b"[5,6]"
        key = lineage_key([causes[2].origin], NAMESPACE, FLOW, request.run_id)
        assert rig.store.get(key) == b"[1005]"
