"""The fourth tutorial: a flow that goes on from what a run of another flow has found out."""

import random

from eventflow import Flow, FlowSpec, Parameter, step


class NextReadFlow(FlowSpec):
    """Suggests books that are back soon, by the statistics of the third tutorial."""

    topic = Parameter("topic", default="stars", help="What to read about.")
    length = Parameter("length", default=2, help="How many books of the topic.")

    @step
    def start(self):
        """Take the results of the latest run that succeeded: nothing is read or counted again."""
        run = Flow("LoanStatisticsFlow").latest_successful_run
        self.learnt_from = run.pathspec
        self.books, self.statistics = run.data.books, run.data.statistics
        self.next(self.soon_back, self.surprise)

    @step
    def soon_back(self):
        """Of the topic, the most borrowed books that come back faster than half of them."""
        most_days = self.statistics[self.topic]["median_days"]
        books = [
            book
            for book in self.books
            if book["topic"] == self.topic and int(book["days"]) <= most_days
        ]
        books.sort(key=lambda book: int(book["loans"]), reverse=True)
        self.titles = [book["title"] for book in books[: self.length]]
        self.next(self.join)

    @step
    def surprise(self):
        """A book of the topic that is borrowed least."""
        rarest = min(self.statistics, key=lambda topic: self.statistics[topic]["loans"])
        titles = sorted(book["title"] for book in self.books if book["topic"] == rarest)
        self.titles = [random.Random(self.topic).choice(titles)]
        self.next(self.join)

    @step
    def join(self, inputs):
        """Join both lists; the branches agree on the run that they have learnt from."""
        self.titles = [*inputs.soon_back.titles, *inputs.surprise.titles]
        self.merge_artifacts(inputs, include=["learnt_from"])
        self.next(self.end)

    @step
    def end(self):
        """Say it."""
        print(f"About {self.topic}, by {self.learnt_from}:")
        for number, title in enumerate(self.titles, start=1):
            print(f"{number}. {title}")


if __name__ == "__main__":
    NextReadFlow()
