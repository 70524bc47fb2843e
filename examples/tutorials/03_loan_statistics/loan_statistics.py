"""The third tutorial: the same step for each item of a list, and a join of all of them."""

import csv
from pathlib import Path
from statistics import median

from eventflow import FlowSpec, IncludeFile, step

LOANS = Path(__file__).parents[1] / "loans.csv"


class LoanStatisticsFlow(FlowSpec):
    """How long, and how often, the books of each topic are out."""

    loans = IncludeFile("loans", default=str(LOANS), help="The library's books, a CSV file.")

    @step
    def start(self):
        """Find the topics; the next step runs once for each of them."""
        self.books = list(csv.DictReader(self.loans.splitlines()))
        self.topics = sorted({book["topic"] for book in self.books})
        self.next(self.count, foreach="topics")

    @step
    def count(self):
        """Count one topic: `self.input` is the item that this task is for."""
        books = [book for book in self.books if book["topic"] == self.input]
        self.topic = self.input
        self.median_days = median(int(book["days"]) for book in books)
        self.total_loans = sum(int(book["loans"]) for book in books)
        self.next(self.join)

    @step
    def join(self, inputs):
        """Take the figures of all topics, which come in the order of the list."""
        self.statistics = {
            each.topic: {"median_days": each.median_days, "loans": each.total_loans}
            for each in inputs
        }
        self.merge_artifacts(inputs, include=["books"])
        self.next(self.end)

    @step
    def end(self):
        """Print a table."""
        for topic, figures in self.statistics.items():
            print(f"{topic:10} {figures['median_days']:5} days {figures['loans']:5} loans")


if __name__ == "__main__":
    LoanStatisticsFlow()
