"""What two events together start."""

from eventflow import FlowSpec, current, project, step, trigger


@project(name="chaos")
@trigger(events=["left", "right"])
class Pair(FlowSpec):
    """Keeps what it consumed."""

    @step
    def start(self) -> None:
        """Count."""
        assert current.trigger is not None
        self.consumed = len(current.trigger.events)
        self.next(self.end)

    @step
    def end(self) -> None:
        """Nothing more."""


if __name__ == "__main__":
    Pair()
