"""A flow that another's completion starts."""

from eventflow import FlowSpec, current, step, trigger_on_finish


@trigger_on_finish(flow="Load")
class Follow(FlowSpec):
    """Takes over what the run that started it has made."""

    @step
    def start(self) -> None:
        """Read an artifact of the run that ended."""
        assert current.trigger is not None
        assert current.trigger.run is not None
        self.doubled = current.trigger.run.data.doubled
        self.next(self.end)

    @step
    def end(self) -> None:
        """Nothing more."""


if __name__ == "__main__":
    Follow()
