"""Predicts the delays of the next day with every model that has been trained.

    python predict.py --production deploy

Run by hand (`python predict.py run`) it takes the latest model of your own branch.
"""

from __future__ import annotations

from datetime import date, timedelta

from delay_model import errors, predict
from landing import flights_key, has_landed, plan_key, read

from eventflow import Flow, FlowSpec, current, project, step, trigger_on_finish


@project(name="flight_delays")
@trigger_on_finish(flow="TrainDelayModel")
class PredictDelays(FlowSpec):
    """From the plan of the day after the last that the model has seen."""

    @step
    def start(self) -> None:
        """Predict, with the model of the very run that started this one."""
        by_hand = current.trigger is None
        trained = Flow("TrainDelayModel").latest_successful_run if by_hand else current.trigger.run
        self.day = str(date.fromisoformat(trained.data.date) + timedelta(days=1))
        self.predictions = predict(trained.data.model, read(plan_key(self.day)))
        self.next(self.end)

    @step
    def end(self) -> None:
        """Measure: in minutes, on average; None as long as nobody knows how the day went."""
        known = has_landed(flights_key(self.day))
        off = errors(self.predictions, read(flights_key(self.day))) if known else []
        self.mean_absolute_error = sum(off) / len(off) if off else None
        print(f"{len(self.predictions)} flights of {self.day}, {len(off)} of them measured")


if __name__ == "__main__":
    PredictDelays()
