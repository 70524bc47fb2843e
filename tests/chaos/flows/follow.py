"""What the completion of another flow starts."""

from eventflow import FlowSpec, current, project, step, trigger_on_finish


@project(name="chaos")
@trigger_on_finish(flow="Ingest")
class Follow(FlowSpec):
    """Reads what the run that started it has made."""

    @step
    def start(self) -> None:
        """Of the run that ended, both artifacts."""
        assert current.trigger is not None
        assert current.trigger.run is not None
        data = current.trigger.run.data
        self.quadrupled = data.doubled * 2
        self.length = len(data.block)
        self.next(self.end)

    @step
    def end(self) -> None:
        """Nothing more."""


if __name__ == "__main__":
    Follow()
