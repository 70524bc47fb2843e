"""Puts predictions where a web site would look them up.

    python publish.py --production deploy

Run by hand (`python publish.py run`) it takes the latest predictions of your own branch.
"""

from __future__ import annotations

from prediction_cache import PredictionCache

from eventflow import Flow, FlowSpec, current, project, step, trigger_on_finish


@project(name="flight_delays")
@trigger_on_finish(flow="PredictDelays")
class PublishPredictions(FlowSpec):
    """One cache a branch: a challenger never touches what the champion has published."""

    @step
    def start(self) -> None:
        """Put them, whole days at a time: a repeat changes nothing."""
        by_hand = current.trigger is None
        predicted = Flow("PredictDelays").latest_successful_run if by_hand else current.trigger.run
        self.day, self.flights = predicted.data.day, len(predicted.data.predictions)
        made_by = f"{predicted.namespace}/{predicted.pathspec}"
        cache = PredictionCache(current.branch_name)
        cache.put(self.day, predicted.data.predictions, made_by=made_by)
        self.next(self.end)

    @step
    def end(self) -> None:
        """Say so."""
        print(f"{self.flights} predictions for {self.day} in {current.branch_name}")


if __name__ == "__main__":
    PublishPredictions()
