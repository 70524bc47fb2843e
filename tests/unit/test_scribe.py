"""What the scribe takes of a file that grows faster than it may put."""

from __future__ import annotations

import itertools
from pathlib import Path

from eventflow.execution.scribe import _Stream
from eventflow.execution.secrets.mask import Mask
from eventflow.store.live_output import Portion

SECRET = "correct horse battery"
LINE = f"it is {SECRET} indeed\n".encode()
MOST = 2**20


def taken(stream: _Stream) -> Portion | None:
    """What one look gives, as if it was put."""
    stream.look()
    portion = stream.portion()
    stream.is_put()
    return portion


def test_of_much_at_once_the_beginning_and_the_end_are_shown_and_no_part_of_a_secret(
    tmp_path: Path,
) -> None:
    path = tmp_path / "stdout"
    path.write_bytes(LINE * (20 * MOST // len(LINE)))
    stream = _Stream(path, Mask([SECRET]))

    portions = []
    while (portion := taken(stream)) is not None:
        portions.append(portion)

    shown = b"".join(portion.data for portion in portions)
    gaps = [later.start - one.end for one, later in itertools.pairwise(portions)]
    assert portions[0].data.startswith(b"it is *** indeed\n")
    assert portions[-1].data.endswith(b"it is *** indeed\n")
    assert max(gaps) > 10 * MOST
    assert len(shown) < 3 * MOST
    for word in SECRET.encode().split():
        assert word not in shown


def test_no_more_is_taken_than_waits_to_be_put(tmp_path: Path) -> None:
    path = tmp_path / "stdout"
    path.write_bytes(b"x" * 3 * MOST)
    stream = _Stream(path, Mask())

    for _ in range(3):
        stream.look()

    waiting = stream.portion()
    assert waiting is not None
    assert len(waiting.data) == MOST
    assert waiting.marks[-1][0] == MOST


def test_what_may_become_a_secret_is_shown_at_the_end_when_it_has_not(tmp_path: Path) -> None:
    path = tmp_path / "stdout"
    path.write_bytes(b"this is correct")
    stream = _Stream(path, Mask([SECRET]))

    stream.look()
    before, at_the_end = stream.portion(), stream.portion(is_last=True)

    assert before is not None
    assert at_the_end is not None
    assert (before.data, at_the_end.data) == (b"this is ", b"this is correct")


def test_a_file_that_is_not_there_any_more_has_nothing_new(tmp_path: Path) -> None:
    path = tmp_path / "stdout"
    path.write_bytes(b"one")
    stream = _Stream(path, Mask())
    first = taken(stream)

    path.unlink()

    assert first is not None
    assert first.data == b"one"
    assert taken(stream) is None
