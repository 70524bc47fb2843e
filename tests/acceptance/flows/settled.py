"""A flow that shows what its runs were given: parameters, files, a configuration."""

from eventflow import (
    Config,
    FlowSpec,
    IncludeFile,
    Parameter,
    config_expr,
    project,
    step,
    trigger,
)
from eventflow.authoring.inputs import Inputs


@project(name=config_expr("config.project"))
@trigger(event=config_expr("config.event"))
class Settled(FlowSpec):
    """Set by a file that is not there when it runs."""

    config = Config("config", default="settled.json")
    rows = Parameter("rows", default=config.rows)
    parts = Parameter("parts", default="a,b", separator=",")
    dry = Parameter("dry", default=False)
    query = IncludeFile("query", default="query.sql")
    image = IncludeFile("image", is_text=False)
    title = config_expr("config.table.name.upper()")

    @step
    def start(self) -> None:
        self.next(self.left, self.right)

    @step
    def left(self) -> None:
        self.seen = self.query
        self.next(self.join)

    @step
    def right(self) -> None:
        self.seen = [self.rows, self.parts, self.dry, self.image, self.config.table.name]
        self.next(self.join)

    @step
    def join(self, inputs: Inputs) -> None:
        self.seen = (inputs.left.seen, inputs.right.seen, self.title)
        self.next(self.end)

    @step
    def end(self) -> None:
        self.told = f"{self.rows} rows of {self.config['table']['name']}"


if __name__ == "__main__":
    Settled()
