"""The shortest flow that passes something on: three steps, a value each."""

from eventflow import FlowSpec, step, trigger


@trigger(event="counted")
class Three(FlowSpec):
    """Counts to three."""

    @step
    def start(self) -> None:
        """One."""
        self.count = 1
        self.next(self.middle)

    @step
    def middle(self) -> None:
        """Two."""
        self.count += 1
        self.next(self.end)

    @step
    def end(self) -> None:
        """Three."""
        self.count += 1


if __name__ == "__main__":
    Three()
