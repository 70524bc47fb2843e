"""The output of an attempt, followed while it grows."""

from __future__ import annotations

from pathlib import Path

from eventflow.execution.output import OutputTail


def test_lines_come_when_they_are_whole_and_the_rest_at_the_end(tmp_path: Path) -> None:
    lines: list[tuple[str, str]] = []
    tail = OutputTail(tmp_path, lambda stream, line: lines.append((stream, line)))
    (tmp_path / "stdout").write_bytes(b"one\ntw")

    tail.follow()
    before = list(lines)
    tail.end()

    assert before == [("stdout", "one")]
    assert lines == [("stdout", "one"), ("stdout", "tw")]


def test_a_line_without_an_end_comes_in_pieces_of_which_nothing_is_lost(tmp_path: Path) -> None:
    pieces: list[str] = []
    tail = OutputTail(tmp_path, lambda _, line: pieces.append(line))
    (tmp_path / "stdout").write_bytes(b"x" * (5 * 2**20) + b"\nend\n")

    tail.follow()

    assert "".join(pieces[:-1]) == "x" * (5 * 2**20)
    assert max(map(len, pieces)) <= 2 * 2**20
    assert pieces[-1] == "end"
