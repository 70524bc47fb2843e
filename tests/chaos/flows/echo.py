"""What an event of another flow's task starts."""

from eventflow import FlowSpec, Parameter, project, step, trigger


@project(name="chaos")
@trigger(event="ingested")
class Echo(FlowSpec):
    """One task."""

    number = Parameter("number", type=int, required=True)

    @step
    def start(self) -> None:
        """Say it again."""
        self.again = self.number
        self.next(self.end)

    @step
    def end(self) -> None:
        """Nothing more."""


if __name__ == "__main__":
    Echo()
