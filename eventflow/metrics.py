"""What Prometheus sees of the services. Prefix `eventflow_`, base units, labels with few values.

A service is handed its metrics; there is no global registry. `docs/metrics.md` lists them, and a
test compares.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from prometheus_client import Counter, Gauge, Histogram

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry

__all__ = ["ProcessMetrics", "RunnerMetrics", "TriggerMetrics"]

_LATENCY = (0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300)
_BUILD = (0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600, 1800)
_DURATION = (0.01, 0.05, 0.1, 0.5, 1, 5, 10, 30, 60, 300, 900, 3600, 4 * 3600, 24 * 3600)


class TriggerMetrics:
    """Of a trigger service."""

    def __init__(self, registry: CollectorRegistry) -> None:
        def counter(name: str, text: str, *labels: str) -> Counter:
            return Counter(f"eventflow_{name}", text, labels, registry=registry)

        self.events = counter("events", "Records of the event log read, by kind.", "kind")
        self.decisions = counter("decisions", "Decisions, by verdict.", "verdict")
        self.starts = counter("starts", "Runs requested.")
        self.forwards = counter("forwards", "Events passed on to another partition.")
        self.rerouted = counter("rerouted", "Records found in a wrong partition and moved.")
        self.dead_letters = counter(
            "trigger_dead_letters", "Records given up to dead-letters, by reason.", "reason"
        )
        self.refused_commits = counter(
            "trigger_refused_commits", "Transactions refused: the partition has another owner."
        )
        self.id_conflicts = counter(
            "event_id_conflicts", "Events of a task with a known id and another payload."
        )
        self.restores = counter("trigger_restores", "Partitions taken over.")
        self.gaps = counter("event_gaps", "Times that retention had deleted events unread.")
        self.partitions = Gauge(
            "eventflow_trigger_partitions", "Partitions owned.", registry=registry
        )
        self.lag = Gauge(
            "eventflow_trigger_lag_records",
            "Records of the event log not yet decided.",
            ["partition"],
            registry=registry,
        )
        self.event_to_start = Histogram(
            "eventflow_event_to_request_seconds",
            "From an event's append to the request of the run that it starts.",
            buckets=_LATENCY,
            registry=registry,
        )
        self.lateness = Histogram(
            "eventflow_due_to_request_seconds",
            "From a due time of a schedule to the request of its run.",
            buckets=_DURATION,
            registry=registry,
        )
        self.skipped = counter("due_times_skipped", "Due times skipped for a later one.")


class RunnerMetrics:
    """Of a runner."""

    def __init__(self, registry: CollectorRegistry) -> None:
        def counter(name: str, text: str, *labels: str) -> Counter:
            return Counter(f"eventflow_{name}", text, labels, registry=registry)

        self.accepted = counter("runs_accepted", "Runs accepted.")
        self.ended = counter("runs_ended", "Runs whose end was published, by outcome.", "outcome")
        self.tasks = counter("tasks_ended", "Attempts of tasks that ended, by outcome.", "outcome")
        self.take_overs = counter("run_take_overs", "Runs taken over, by reason.", "reason")
        self.recovered = counter(
            "completions_recovered", "Completions published from an end.json without notice."
        )
        self.lapses = counter("runner_lapses", "Times that this runner lost its lease.")
        self.dead_letters = counter(
            "runner_dead_letters", "Records given up to dead-letters, by reason.", "reason"
        )
        self.refused_commits = counter(
            "runner_refused_commits", "Transactions refused: the partition has another owner."
        )
        self.partitions = Gauge(
            "eventflow_runner_partitions", "Partitions owned.", registry=registry
        )
        self.slots = Gauge("eventflow_runner_slots", "Room for runs.", registry=registry)
        self.running = Gauge("eventflow_runner_running", "Runs executing.", registry=registry)
        self.lag = Gauge(
            "eventflow_runner_lag_records",
            "Requests and reports not yet read.",
            ["partition"],
            registry=registry,
        )
        self.duration = Histogram(
            "eventflow_run_duration_seconds",
            "From the request of a run to its end, by outcome.",
            ["outcome"],
            buckets=_DURATION,
            registry=registry,
        )
        self.environments = counter(
            "environments_built", "Environments built, by outcome: built, failed.", "outcome"
        )
        self.environment_build = Histogram(
            "eventflow_environment_build_seconds",
            "How long the build of an environment took, also of one that failed.",
            buckets=_BUILD,
            registry=registry,
        )
        self.event_to_run = Histogram(
            "eventflow_event_to_run_seconds",
            "From the latest cause's append to the acceptance of the run.",
            buckets=_LATENCY,
            registry=registry,
        )

    def environment_ended(self, seconds: float, is_built: bool) -> None:
        """The build of an environment is over."""
        self.environments.labels("built" if is_built else "failed").inc()
        self.environment_build.observe(seconds)


class ProcessMetrics:
    """Of a process that serves, whatever services run in it."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.ready = Gauge(
            "eventflow_service_ready",
            "Whether a service makes progress (1) or not (0), as /ready says.",
            ["service"],
            registry=registry,
        )
