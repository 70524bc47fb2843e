"""A flow that an event starts."""

from eventflow import FlowSpec, Parameter, current, step, trigger


@trigger(event="landed")
class Load(FlowSpec):
    """Doubles a number."""

    number = Parameter("number", type=int, required=True)

    @step
    def start(self) -> None:
        """Double it."""
        self.doubled = self.number * 2
        self.offset = current.trigger.event.offset if current.trigger else None
        self.next(self.end)

    @step
    def end(self) -> None:
        """Nothing more."""


if __name__ == "__main__":
    Load()
