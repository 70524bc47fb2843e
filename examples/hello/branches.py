"""A split and its join: two steps side by side, and one that takes the results of both.

Run it: `python branches.py run --text "the quick brown fox"`
"""

from eventflow import FlowSpec, Parameter, step


class BranchesFlow(FlowSpec):
    """Counts the words and the letters of a text, at the same time."""

    text = Parameter("text", default="one event, two branches", help="What to count in.")

    @step
    def start(self):
        """Open two branches."""
        self.next(self.words, self.letters)

    @step
    def words(self):
        """Count the words."""
        self.count = len(self.text.split())
        self.next(self.join)

    @step
    def letters(self):
        """Count the letters."""
        self.count = sum(character.isalpha() for character in self.text)
        self.next(self.join)

    @step
    def join(self, inputs):
        """Take what each branch has found: a join inherits nothing, it reads its inputs."""
        self.counts = {"words": inputs.words.count, "letters": inputs.letters.count}
        self.next(self.end)

    @step
    def end(self):
        """Say it."""
        print(f"{self.text!r} has {self.counts['words']} words, {self.counts['letters']} letters")


if __name__ == "__main__":
    BranchesFlow()
