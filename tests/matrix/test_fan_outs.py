"""What a foreach goes over, what becomes of its items, and how it goes with gangs and switches."""

from __future__ import annotations

import pytest

from eventflow.model.run import RunState
from tests.matrix.odd_flows import flow
from tests.matrix.play import Stage

SEQUENCES: dict[str, tuple[str, list[object]]] = {
    "text": ("'abc'", ["a", "b", "c"]),
    "bytes": ("b'ab'", [97, 98]),
    "tuple": ("((1, 2), (3, 4))", [(1, 2), (3, 4)]),
    "range": ("range(3)", [0, 1, 2]),
    "dict": ("{'x': 1, 'y': 2}", ["x", "y"]),
    "items": ("{'x': 1}.items()", [("x", 1)]),
    "set": ("{'only'}", ["only"]),
    "generator": ("(n * n for n in range(3))", [0, 1, 4]),
    "array": ("__import__('numpy').arange(4).reshape(2, 2)", [[0, 1], [2, 3]]),
    "series": ("__import__('pandas').Series([5, 6], index=[9, 8])", [5, 6]),
    "frame": ("__import__('pandas').DataFrame({'a': [1], 'b': [2]})", ["a", "b"]),
}


def over_all(sequences: dict[str, tuple[str, list[object]]]) -> str:
    """The source of a flow with one foreach after the other."""
    names = list(sequences)
    steps = []
    for name, following in zip(
        names, [*(f"open_{each}" for each in names[1:]), "end"], strict=True
    ):
        given = "" if name == names[0] else "results"
        opening = "start" if name == names[0] else f"open_{name}"
        steps.append(
            f"""
            @step
            def {opening}(self):
                {"self.results = {}" if not given else "pass"}
                self.over_{name} = {sequences[name][0]}
                self.next(self.each_{name}, foreach="over_{name}")

            @step
            def each_{name}(self):
                item = self.input
                self.seen = item.tolist() if hasattr(item, "tolist") else item
                self.next(self.join_{name})

            @step
            def join_{name}(self, inputs):
                self.results = {{**inputs[0].results, "{name}": [each.seen for each in inputs]}}
                self.next(self.{following})
            """
        )
    return flow(*steps)


@pytest.mark.parametrize("stage", ["local"], indirect=True)
class TestForeach:
    def test_a_foreach_goes_over_whatever_has_items(self, stage: Stage) -> None:
        played = stage.flow(over_all(SEQUENCES))

        assert played.run.state is RunState.SUCCEEDED, played.done.stderr
        assert played.run.data.results == {name: items for name, (_, items) in SEQUENCES.items()}

    @pytest.mark.parametrize(
        ("items", "reason"),
        [
            (
                "[]",
                "Step start failed: InvalidTransition: foreach='over_it': self.over_it is empty, ",
            ),
            ("range(10001)", "Step start opens 10001 tasks, and at most 10000 are allowed: "),
        ],
    )
    def test_a_foreach_over_nothing_or_too_much_says_so(
        self, stage: Stage, items: str, reason: str
    ) -> None:
        played = stage.flow(over_all({"it": (items, [])}))

        assert played.run.state is RunState.FAILED
        assert played.run.reason.startswith(reason)

    def test_one_item_that_fails_lets_the_others_finish(self, stage: Stage) -> None:
        source = flow(
            """
            @step
            def start(self):
                self.numbers = [0, 1, 2]
                self.next(self.each, foreach="numbers")

            @step
            def each(self):
                done = Path(self.folder, "failed")
                if self.input == 1:
                    done.touch()
                    raise ValueError("one")
                while not done.exists():
                    time.sleep(0.01)
                self.next(self.join)

            @step
            def join(self, inputs):
                self.next(self.end)
            """
        )

        played = stage.flow(source)

        done = {id_: task.successful for id_, task in played.tasks("each").items()}
        assert played.run.reason.startswith("Step each/0-1 failed: ValueError: one (flow.py:")
        assert done == {"0-0": True, "0-1": False, "0-2": True}
        assert played.tasks("join") == {}

    def test_a_join_of_a_thousand_inputs_reads_each_and_keeps_their_order(
        self, stage: Stage
    ) -> None:
        source = flow(
            """
            @step
            def start(self):
                self.numbers = range(1000)
                self.kept = "once"
                self.next(self.each, foreach="numbers")

            @step
            def each(self):
                self.square = self.input * self.input
                self.next(self.join)

            @step
            def join(self, inputs):
                self.squares = [each.square for each in inputs]
                self.inputs_again = [inputs[999].square, inputs[0].square, len(inputs)]
                self.merge_artifacts(inputs, exclude=["square"])
                self.next(self.end)
            """
        )

        played = stage.flow(source)

        data = played.run.data
        assert played.run.state is RunState.SUCCEEDED, played.done.stderr
        assert data.squares == [n * n for n in range(1000)]
        assert data.inputs_again == [998001, 0, 1000]
        assert data.kept == "once"


@pytest.mark.parametrize("stage", ["local"], indirect=True)
class TestMixed:
    def test_items_of_a_foreach_go_different_ways_and_rounds_and_meet_in_their_order(
        self, stage: Stage
    ) -> None:
        source = flow(
            """
            @step
            def start(self):
                self.numbers = [3, 0, 2, 1]
                self.next(self.look, foreach="numbers")

            @step
            def look(self):
                self.left = getattr(self, "left", self.input)
                self.way = "down" if self.left else ("done" if self.input % 2 else "odd_end")
                self.next(
                    {"down": self.down, "done": self.done, "odd_end": self.odd}, condition="way"
                )

            @step
            def down(self):
                self.left -= 1
                self.rounds = getattr(self, "rounds", 0) + 1
                self.next(self.look)

            @step
            def done(self):
                self.next(self.join)

            @step
            def odd(self):
                self.next(self.join)

            @step
            def join(self, inputs):
                self.seen = [
                    (each._step, each.input, getattr(each, "rounds", 0)) for each in inputs
                ]
                self.by_name = [inputs.odd.input, inputs.done.input]
                self.merge_artifacts(inputs, include=["left"])
                self.next(self.end)
            """
        )

        played = stage.flow(source)

        data = played.run.data
        assert played.run.state is RunState.SUCCEEDED, played.done.stderr
        assert data.seen == [("done", 3, 3), ("odd", 0, 0), ("odd", 2, 2), ("done", 1, 1)]
        assert data.by_name == [0, 3]
        assert data.left == 0
        assert set(played.tasks("look")) == {
            f"0-{index}{visit}"
            for index, rounds in enumerate([3, 0, 2, 1])
            for visit in ["", *(f".{n}" for n in range(1, rounds + 1))]
        }

    def test_a_gang_within_a_branch_within_a_foreach_knows_its_size_and_its_place(
        self, stage: Stage
    ) -> None:
        source = flow(
            """
            @step
            def start(self):
                self.letters = "ab"
                self.next(self.split, foreach="letters")

            @step
            def split(self):
                self.next(self.open_gang, self.alone)

            @step
            def open_gang(self):
                self.next(self.member, num_parallel=2)

            @step
            def member(self):
                gang = current.parallel
                self.place = (gang.node_index, gang.num_nodes, self.foreach_stack()[0][2])
                self.next(self.members)

            @step
            def members(self, inputs):
                self.places = [each.place for each in inputs]
                self.next(self.both)

            @step
            def alone(self):
                self.places = [(self.index, None, self.input)]
                self.next(self.both)

            @step
            def both(self, inputs):
                self.places = inputs.members.places + inputs.alone.places
                self.next(self.join)

            @step
            def join(self, inputs):
                self.places = [each.places for each in inputs]
                self.next(self.end)
            """
        )

        played = stage.flow(source)

        assert played.run.state is RunState.SUCCEEDED, played.done.stderr
        assert played.run.data.places == [
            [(0, 2, letter), (1, 2, letter), (index, None, letter)]
            for index, letter in enumerate("ab")
        ]

    def test_a_caught_join_goes_on_without_what_its_inputs_had(self, stage: Stage) -> None:
        source = flow(
            """
            @step
            def start(self):
                self.numbers = [1, 2]
                self.next(self.each, foreach="numbers")

            @step
            def each(self):
                self.found = self.input
                self.next(self.join)

            @catch(var="caught")
            @step
            def join(self, inputs):
                self.before = len(inputs)
                self.merge_artifacts(inputs)
                self.next(self.end)
            """
        )

        played = stage.flow(source)

        data = played.run.data
        assert played.run.state is RunState.SUCCEEDED, played.done.stderr
        assert data.caught.type == "UnhandledInMergeArtifacts"
        assert data.before == 2
        assert "numbers" not in data
