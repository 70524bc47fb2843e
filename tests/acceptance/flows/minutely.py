"""A flow that the clock starts."""

from eventflow import FlowSpec, current, schedule, step


@schedule(cron="* * * * *")
class Minutely(FlowSpec):
    """Says what it was started for."""

    @step
    def start(self) -> None:
        """Keep the due time."""
        assert current.trigger is not None
        self.due_at = current.trigger.event.timestamp
        self.skipped = current.trigger.event.payload["skipped"]
        self.next(self.end)

    @step
    def end(self) -> None:
        """Nothing more."""


if __name__ == "__main__":
    Minutely()
