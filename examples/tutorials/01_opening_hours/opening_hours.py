"""The first tutorial: a flow of three steps, one after the other."""

from eventflow import FlowSpec, step


class OpeningHoursFlow(FlowSpec):
    """Says when the library is open."""

    @step
    def start(self):
        """Every flow begins here."""
        print("The library looks at its calendar.")
        self.next(self.look_up)

    @step
    def look_up(self):
        """What is set on `self` is an artifact: it is kept, and later steps can read it."""
        self.hours = {"Monday": "closed", "Tuesday": "10 to 18", "Saturday": "9 to 13"}
        self.next(self.end)

    @step
    def end(self):
        """Every flow ends here."""
        for day, hours in self.hours.items():
            print(f"{day}: {hours}")


if __name__ == "__main__":
    OpeningHoursFlow()
