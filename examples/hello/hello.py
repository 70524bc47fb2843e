"""The smallest flow: two steps, one after the other.

Run it: `python hello.py run --who Ann`
"""

from eventflow import FlowSpec, Parameter, step


class HelloFlow(FlowSpec):
    """Greets somebody."""

    who = Parameter("who", default="world", help="Whom to greet.")

    @step
    def start(self):
        """Make the greeting: what is set on `self` is an artifact."""
        self.greeting = f"Hello, {self.who}!"
        self.next(self.end)

    @step
    def end(self):
        """Say it."""
        print(self.greeting)


if __name__ == "__main__":
    HelloFlow()
