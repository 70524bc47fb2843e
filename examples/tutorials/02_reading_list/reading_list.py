"""The second tutorial: parameters, a file that a run is given, and two branches with their join."""

import csv
import random
from pathlib import Path

from eventflow import FlowSpec, IncludeFile, Parameter, step

LOANS = Path(__file__).parents[1] / "loans.csv"


class ReadingListFlow(FlowSpec):
    """Suggests books: the most borrowed ones of a topic, and a surprise from another."""

    loans = IncludeFile("loans", default=str(LOANS), help="The library's books, a CSV file.")
    topic = Parameter("topic", default="gardens", help="What to read about.")
    length = Parameter("length", default=3, help="How many books of the topic.")

    @step
    def start(self):
        """Read the file, then go on in two branches at the same time."""
        self.books = list(csv.DictReader(self.loans.splitlines()))
        self.next(self.most_borrowed, self.surprise)

    @step
    def most_borrowed(self):
        """The books of the topic that go out most often, first the first."""
        of_topic = [book for book in self.books if book["topic"] == self.topic]
        of_topic.sort(key=lambda book: int(book["loans"]), reverse=True)
        self.titles = [book["title"] for book in of_topic[: self.length]]
        self.next(self.join)

    @step
    def surprise(self):
        """One book about something else, the same one for the same topic."""
        others = [book["title"] for book in self.books if book["topic"] != self.topic]
        self.titles = [random.Random(self.topic).choice(others)]
        self.next(self.join)

    @step
    def join(self, inputs):
        """A join takes what each branch has made; it inherits nothing by itself."""
        self.titles = [*inputs.most_borrowed.titles, *inputs.surprise.titles]
        self.next(self.end)

    @step
    def end(self):
        """Say it."""
        print(f"To read about {self.topic}:")
        for number, title in enumerate(self.titles, start=1):
            print(f"{number}. {title}")


if __name__ == "__main__":
    ReadingListFlow()
