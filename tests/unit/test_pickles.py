"""Values that nothing but pickle takes: their large buffers, their own code, and why some fail."""

from __future__ import annotations

import io
import pickle
import socket
import subprocess
import sys
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from eventflow.errors import ArtifactNotReadable, ArtifactNotStorable, CorruptObject
from eventflow.store.encoders import decode, encode
from eventflow.store.encoders.framing import framed, unframed
from eventflow.store.pieces import Pieces

NOISE = np.random.default_rng(1).random(100_000)


def test_large_arrays_inside_a_value_are_written_from_where_they_lie() -> None:
    value = {"weights": NOISE, "layers": (NOISE[:50_000], 3)}

    encoded = encode(value)

    views = [np.frombuffer(each, "u1") for each in encoded.pieces.views]
    assert encoded.encoder == "framed-pickle"
    assert sum(np.shares_memory(each, NOISE) for each in views) == 2
    assert sum(len(each) for each in views if not np.shares_memory(each, NOISE)) < 2000


def test_large_arrays_inside_a_value_are_read_as_views_that_can_be_changed() -> None:
    value = {"weights": NOISE, "shape": (3, 4)}
    data = bytearray(encode(value).data)

    loaded = decode("framed-pickle", data, allow_pickle=True)

    np.testing.assert_array_equal(loaded["weights"], NOISE)
    assert loaded["shape"] == (3, 4)
    assert np.shares_memory(np.frombuffer(data, "u1"), loaded["weights"])
    assert loaded["weights"].flags.aligned
    loaded["weights"] += 1


def test_an_array_that_could_not_be_changed_still_cannot() -> None:
    fixed = NOISE.copy()
    fixed.flags.writeable = False

    loaded = decode("framed-pickle", encode((fixed,)).data, allow_pickle=True)

    assert not loaded[0].flags.writeable


def test_small_buffers_stay_in_the_pickle() -> None:
    assert encode((NOISE[:1000],)).encoder == "pickle"


def test_large_bytes_inside_a_value_are_not_copied() -> None:
    large = NOISE.tobytes()

    pieces = encode((large, 1)).pieces

    assert any(view.obj is large for view in pieces.views)
    assert decode("pickle", pieces.joined(), allow_pickle=True) == (large, 1)


def test_a_value_of_many_small_ones_comes_back() -> None:
    value = {number: (str(number), number / 7) for number in range(50_000)}
    encoded = encode(value)

    assert decode(encoded.encoder, encoded.data, allow_pickle=True) == value


def test_parts_of_a_frame_are_aligned() -> None:
    data = framed(b"abc", Pieces.of(b"pickle"), [memoryview(b"1" * 65), memoryview(b"2")]).joined()

    definitions, stream, buffers = unframed(data)

    assert bytes(definitions) == b"abc"
    assert bytes(stream) == b"pickle"
    assert [bytes(each) for each in buffers] == [b"1" * 65, b"2"]
    assert data.index(b"1" * 65) % 64 == 0


@pytest.mark.parametrize("size", [0, 7, 8, 30, 64, 90])
def test_a_frame_that_breaks_off_is_corrupt(size: int) -> None:
    data = framed(b"abc", Pieces.of(b"pickle"), [memoryview(b"1" * 65)]).joined()

    with pytest.raises(CorruptObject):
        decode("framed-pickle", data[:size], allow_pickle=True)


@pytest.mark.parametrize("value", [{"weights": NOISE}, (1, 2), lambda: 1], ids=["framed", "", ""])
def test_no_pickle_of_any_kind_is_read_without_trust(value: object) -> None:
    encoded = encode(value)

    with pytest.raises(ArtifactNotReadable, match="EVENTFLOW_STORE__ALLOW_PICKLE"):
        decode(encoded.encoder, encoded.data, allow_pickle=False)


# ── own code ─────────────────────────────────────────────────────────────────

SHAPES = """
import enum, sys
from dataclasses import dataclass
from helping import double

class Colour(enum.Enum):
    RED = 1

@dataclass
class Square:
    side: int
    colour: Colour = Colour.RED

    class Corner:
        pass

    def area(self):
        return double(self.side) * self.side / 2

def halved(number):
    return number / 2

LOCK = __import__("threading").Lock()

def locked():
    return LOCK
"""
HELPING = "def double(number):\n    return number * 2\n"
WRITE = """
import sys, pathlib
sys.path.insert(0, {folder!r}); sys.argv[:] = [{folder!r} + "/shapes.py"]
import shapes
from eventflow.store.encoders import encode
encoded = encode({value})
pathlib.Path({to!r}).write_bytes(encoded.data)
print(encoded.encoder)
"""


@dataclass
class Elsewhere:
    """Own code, and what a process wrote that has it: read by one that has not."""

    folder: Path

    def written(self, value: str, name: str = "value") -> tuple[str, bytes]:
        (self.folder / "shapes.py").write_text(SHAPES)
        (self.folder / "helping.py").write_text(HELPING)
        code = WRITE.format(folder=str(self.folder), value=value, to=str(self.folder / name))
        encoder = self.run(code).strip()
        return encoder, (self.folder / name).read_bytes()

    def run(self, code: str) -> str:
        done = subprocess.run(
            [sys.executable, "-c", code], check=False, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
        return done.stdout


@pytest.fixture
def elsewhere(tmp_path: Path) -> Elsewhere:
    return Elsewhere(tmp_path)


def test_a_value_of_a_class_of_the_flow_is_read_where_that_is_not(elsewhere: Elsewhere) -> None:
    encoder, data = elsewhere.written("[shapes.Square(4), shapes.Square.Corner()]")

    square, corner = decode(encoder, data, allow_pickle=True)

    assert square.area() == 16  # by a helper of another own module
    assert square.colour.name == "RED"
    assert type(corner).__name__ == "Corner"
    assert "shapes" not in sys.modules


def test_a_function_of_the_flow_is_read_where_that_is_not(elsewhere: Elsewhere) -> None:
    encoder, data = elsewhere.written("{'half': shapes.halved}")

    assert decode(encoder, data, allow_pickle=True)["half"](3) == 1.5


def test_where_the_flow_is_importable_its_own_classes_are_used(elsewhere: Elsewhere) -> None:
    encoder, _ = elsewhere.written("(shapes.Square(4), shapes.Colour.RED)")

    elsewhere.run(
        "import sys, pathlib; from eventflow.store.encoders import decode\n"
        f"sys.path.insert(0, {str(elsewhere.folder)!r}); import shapes\n"
        f"data = pathlib.Path({str(elsewhere.folder / 'value')!r}).read_bytes()\n"
        f"square, red = decode({encoder!r}, data, allow_pickle=True)\n"
        "assert isinstance(square, shapes.Square) and red is shapes.Colour.RED"
    )


def test_equal_values_of_own_classes_are_the_same_bytes_in_every_process(
    elsewhere: Elsewhere,
) -> None:
    one = elsewhere.written("shapes.Square(4)", "one")
    other = elsewhere.written("shapes.Square(4)", "other")

    assert one == other


def test_own_code_that_cannot_be_taken_along_is_left_to_where_it_is(elsewhere: Elsewhere) -> None:
    encoder, data = elsewhere.written("(shapes.locked,)")

    assert encoder == "pickle"
    with pytest.raises(ArtifactNotReadable, match="shapes"):
        decode(encoder, data, allow_pickle=True)


def test_a_class_of_main_is_read_elsewhere(elsewhere: Elsewhere) -> None:
    path = elsewhere.folder / "value"
    encoder = elsewhere.run(
        "import pathlib; from eventflow.store.encoders import encode\n"
        "class Point:\n    def __init__(self, x): self.x = x\n"
        f"encoded = encode(Point(3)); pathlib.Path({str(path)!r}).write_bytes(encoded.data)\n"
        "print(encoded.encoder)"
    ).strip()

    assert decode(encoder, path.read_bytes(), allow_pickle=True).x == 3


# ── what cannot be stored ────────────────────────────────────────────────────


class Unpicklable:
    def __reduce__(self) -> Any:
        raise RuntimeError("not me")


@dataclass
class Model:
    cache: dict[str, object] = field(default_factory=dict)


def _captures(value: object) -> object:
    return lambda: value


LOCK = threading.Lock()
CONNECTION = socket.socket()
CONNECTION.close()


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (LOCK, r"^it is a _thread\.lock: cannot pickle"),
        (Unpicklable(), "^it is a .*Unpicklable: not me"),
        ((each for each in ""), r"^it is a generator: .*\(make a list of it\)"),
        (CONNECTION, r"^it is a socket\.socket: .*open it where it is used"),
        ({"a": [1, LOCK]}, r"^its \['a'\]\[1\] is a _thread\.lock: "),
        (Model({"k": (NOISE, LOCK)}), r"^its \.cache\['k'\]\[1\] is a _thread\.lock: "),
        ({LOCK: 1}, r"^its key <unlocked .*> is a _thread\.lock: "),
        (_captures(LOCK), r"^its  ?variable value is a _thread\.lock: "),
        (lambda: LOCK, r"^its  ?global LOCK is a _thread\.lock: "),
    ],
    ids=[
        "lock",
        "refuses",
        "generator",
        "socket",
        "nested",
        "attribute",
        "key",
        "closure",
        "global",
    ],
)
def test_what_nothing_takes_is_an_error_with_the_part_and_the_reason(
    value: object, reason: str
) -> None:
    with pytest.raises(ArtifactNotStorable, match=reason):
        encode(value)


def test_an_open_file_is_no_artifact(tmp_path: Path) -> None:
    path = tmp_path / "data.txt"
    path.write_text("text")

    for mode in ("r", "rb", "w"):
        with path.open(mode) as file, pytest.raises(ArtifactNotStorable, match="keep its path"):
            encode({"log": file})


def test_a_file_in_memory_is_an_artifact() -> None:
    encoded = encode(io.StringIO("text"))

    assert decode(encoded.encoder, encoded.data, allow_pickle=True).getvalue() == "text"


def test_a_value_whose_parts_can_all_be_pickled_says_what_the_whole_says() -> None:
    class Odd(dict[str, int]):
        def __reduce__(self) -> Any:
            raise pickle.PicklingError("only whole")

    with pytest.raises(ArtifactNotStorable, match=r"^it is a .*Odd: only whole"):
        encode(Odd(a=1))
