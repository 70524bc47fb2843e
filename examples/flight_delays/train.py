"""Refreshes the model whenever a day of flights has landed.

    python train.py --production deploy             the champion
    python train.py --branch new_model deploy       a challenger, on the same events
    python train.py run --date 2013-01-05 --key landing/flights/date=2013-01-05.parquet

The last one is a run by hand, in a branch of your own, which starts nothing.
"""

from __future__ import annotations

from delay_model import RECIPES, fit
from landing import landed_until, read

from eventflow import FlowSpec, Parameter, project, step, trigger


def recipe_of(context) -> str:
    """The one thing that champion and challenger do differently, settled at deploy."""
    return "plain" if context.branch_name == "prod" else "capped"


@project(name="flight_delays")
@trigger(event="flights_landed")
class TrainDelayModel(FlowSpec):
    """A model of all days landed so far: those up to the day of the event.

    The fields `date` and `key` of the event become the parameters of the same name. Runs of
    different days may overlap or come in any order: each looks at its own day and before.
    """

    date = Parameter("date", help="the day that landed", required=True)
    key = Parameter("key", help="where it landed", required=True)
    recipe = Parameter("recipe", default=recipe_of, help="plain or capped")

    @step
    def start(self) -> None:
        """Fit."""
        self.trained_on = landed_until(self.key)
        self.model = fit(read(*self.trained_on), RECIPES[self.recipe])
        self.next(self.end)

    @step
    def end(self) -> None:
        """Say what was learnt."""
        worst = max(self.model["minutes"], key=self.model["minutes"].get)
        print(f"{len(self.trained_on)} days, mean {self.model['mean']:.1f} minutes, {worst} worst")


if __name__ == "__main__":
    TrainDelayModel()
