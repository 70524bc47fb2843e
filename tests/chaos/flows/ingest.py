"""What an event starts: it publishes an event itself, may last, and may fail."""

import random
import time

from eventflow import Event, FlowSpec, Parameter, project, step, trigger
from eventflow.errors import BusUnreachable

LONG_S = 3.0
BLOCK_BYTES = 64 * 1024


def lasts(number: int) -> bool:
    """Whether a task of the run lasts long enough to be hit."""
    return number % 5 == 0


def fails(number: int) -> bool:
    """Whether the flow fails, by itself."""
    return number % 11 == 3


def block(number: int) -> bytes:
    """Too large for a decision object, also compressed; no two numbers have the same."""
    return random.Random(number).randbytes(BLOCK_BYTES)


@project(name="chaos")
@trigger(event="landed")
class Ingest(FlowSpec):
    """Two tasks, an event in between, an artifact small and one large."""

    number = Parameter("number", type=int, required=True)

    @step
    def start(self) -> None:
        """Tell others, then work for a while."""
        event = Event("ingested", {"number": self.number})
        while not self._is_published(event):
            time.sleep(0.2)
        if lasts(self.number):
            time.sleep(LONG_S)  # the work of a user, for as long as it takes
        self.doubled = self.number * 2
        self.block = block(self.number)
        self.next(self.end)

    def _is_published(self, event: Event) -> bool:
        """What a user does whose event matters more than that the bus is away."""
        try:
            event.publish()
        except BusUnreachable:
            return False
        return True

    @step
    def end(self) -> None:
        """Fail where the number says so."""
        if fails(self.number):
            raise ValueError(f"{self.number} is a number that fails")
        self.squared = self.number**2


if __name__ == "__main__":
    Ingest()
