"""A flow whose first step runs with a package of its own, and publishes from there."""

from eventflow import Event, FlowSpec, pypi, step, trigger


@trigger(event="weighed")
class Packed(FlowSpec):
    """Says which version each of its steps has."""

    @pypi(packages={"six": "1.15.0"})
    @step
    def start(self) -> None:
        """In an environment."""
        import six  # type: ignore[import-untyped,unused-ignore]  # noqa: PLC0415

        self.packed = str(six.__version__)
        self.offset = str(Event("packed", {"six": self.packed}).publish().offset)
        self.next(self.end)

    @step
    def end(self) -> None:
        """In the runner's own."""
        import six  # type: ignore[import-untyped,unused-ignore]  # noqa: PLC0415

        self.own = str(six.__version__)


if __name__ == "__main__":
    Packed()
