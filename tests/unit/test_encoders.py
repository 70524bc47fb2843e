"""Every value comes back as it was, of the same types, by the encoder that fits it best."""

from __future__ import annotations

import datetime
import enum
import io
import math
from collections import OrderedDict, namedtuple
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as nps

from eventflow.errors import ArtifactNotReadable, ArtifactNotStorable, CorruptObject
from eventflow.store.compression import compress, decompress
from eventflow.store.encoders import decode, encode
from eventflow.store.pieces import Pieces


class Colour(enum.IntEnum):
    RED = 1


class Text(str):
    __slots__ = ()


class Unpicklable:
    def __reduce__(self) -> Any:
        raise RuntimeError("not me")


class NeedsAbsence:
    """Can be pickled, and not unpickled."""

    def __reduce__(self) -> Any:
        return _absent, ()


def _absent() -> None:
    raise ImportError("No module named 'absent'")


Point = namedtuple("Point", ["x", "y"])


def came_back(value: object) -> Any:
    encoded = encode(value)
    return decode(encoded.encoder, encoded.data, allow_pickle=True)


def assert_same(left: object, right: object) -> None:
    """Equal, and of the same types all the way down; NaN is NaN, and -0.0 is not 0.0."""
    assert type(left) is type(right)
    if isinstance(left, dict) and isinstance(right, dict):
        assert list(left) == list(right)
        for key, value in left.items():
            assert_same(value, right[key])
    elif isinstance(left, list | tuple) and isinstance(right, list | tuple):
        assert len(left) == len(right)
        for each, other in zip(left, right, strict=True):
            assert_same(each, other)
    elif isinstance(left, float) and isinstance(right, float):
        assert math.isnan(left) == math.isnan(right)
        assert math.isnan(left) or (left, math.copysign(1, left)) == (
            right,
            math.copysign(1, right),
        )
    else:
        assert left == right


_SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(st.characters(exclude_categories=[])),  # half a surrogate pair too
    st.binary(),
    st.sampled_from([Colour.RED, Text("text"), Point(1, 2), -0.0]),
)
_ANYTHING = st.recursive(
    _SCALARS,
    lambda inner: st.one_of(
        st.lists(inner),
        st.lists(inner).map(tuple),
        st.dictionaries(st.text(), inner),
        st.dictionaries(st.one_of(st.integers(), st.booleans(), st.none()), inner),
    ),
    max_leaves=12,
)


@given(_ANYTHING)
def test_a_value_comes_back_with_its_types(value: object) -> None:
    assert_same(came_back(value), value)


@pytest.mark.parametrize(
    "value",
    [None, True, 0, 2**80, 1.5, math.inf, -math.inf, math.nan, "", "é😀", [], {}, {"": [None, -1]}],
    ids=repr,
)
def test_plain_data_is_json_that_needs_no_trust(value: object) -> None:
    encoded = encode(value)

    assert encoded.encoder == "json"
    assert_same(decode("json", encoded.data, allow_pickle=False), value)


@pytest.mark.parametrize(
    "value",
    [
        (1, 2),
        {1: "a"},
        {True: "a"},
        {Text("a"): 1},
        [Colour.RED],
        Text("a"),
        OrderedDict(a=1),
        {"a": b"bytes"},
        {"a", "b"},
        "\ud800",
        ["\ud83d\ude00"],  # two halves, which JSON would join
        10**5000,
        bytearray(b"a"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_json_would_change_is_pickled(value: object) -> None:
    encoded = encode(value)

    assert encoded.encoder.removesuffix("+zstd") == "pickle"
    assert_same(decode(encoded.encoder, encoded.data, allow_pickle=True), value)


def test_a_list_that_contains_itself_comes_back() -> None:
    value: list[object] = [1]
    value.append(value)

    loaded = came_back(value)

    assert loaded[0] == 1
    assert loaded[1] is loaded


def test_sharing_that_grows_without_bound_when_written_out_ends() -> None:
    value: list[object] = []
    for _ in range(60):
        value = [value, value]

    loaded = came_back(value)

    assert loaded[0] is loaded[1]


def test_data_nested_too_deep_for_json_comes_back() -> None:
    value: list[object] = []
    for _ in range(150):
        value = [value]

    assert came_back(value) == value


def test_data_nested_too_deep_for_anything_is_an_error() -> None:
    value: list[object] = []
    for _ in range(100_000):
        value = [value]

    with pytest.raises(ArtifactNotStorable, match="list"):
        encode(value)


def test_bytes_stay_as_they_are() -> None:
    encoded = encode(b"\x00\xff")

    assert (encoded.encoder, encoded.data, encoded.type_name) == ("bytes", b"\x00\xff", "bytes")
    assert decode("bytes", encoded.data, allow_pickle=False) == b"\x00\xff"


_DTYPES = st.one_of(
    nps.scalar_dtypes(),
    nps.byte_string_dtypes(),
    nps.unicode_string_dtypes(),
    nps.array_dtypes(),
    nps.nested_dtypes(),
)


@given(nps.arrays(_DTYPES, nps.array_shapes(min_dims=0, min_side=0, max_side=4)))
def test_an_array_comes_back_with_dtype_and_shape(array: np.ndarray[Any, Any]) -> None:
    encoded = encode(array)
    loaded = decode(encoded.encoder, encoded.data, allow_pickle=True)

    assert type(loaded) is np.ndarray
    assert (loaded.dtype, loaded.shape) == (array.dtype, array.shape)
    assert loaded.tobytes() == array.tobytes()
    assert loaded.flags.writeable


@pytest.mark.parametrize(
    "array",
    [
        np.arange(12.0).reshape(3, 4),
        np.asfortranarray(np.arange(12).reshape(3, 4)),
        np.arange(24).reshape(2, 3, 4).transpose(2, 0, 1),
        np.arange(10)[::-2],
        np.array(7, dtype=">i2"),
        np.array([], dtype="datetime64[ns]"),
        np.array(["2026-01-01"], dtype="datetime64[D]"),
        np.array([(1, 2.0)], dtype=[("a", "i4"), ("b", "f8", (2, 2))]),
        np.zeros(2, dtype=np.dtype({"names": ["a"], "formats": ["i4"], "itemsize": 16})),
    ],
    ids=lambda array: f"{array.dtype}{array.shape}{array.strides}",
)
def test_an_array_of_plain_values_needs_no_trust(array: np.ndarray[Any, Any]) -> None:
    encoded = encode(array)
    loaded = decode(encoded.encoder, encoded.data, allow_pickle=False)

    assert encoded.encoder == "numpy"
    assert loaded.dtype == array.dtype
    np.testing.assert_array_equal(loaded, array)


@pytest.mark.parametrize(
    "array",
    [
        np.array([{"a": 1}, None], dtype=object),
        np.array([(1, None)], dtype=[("a", "i4"), ("b", object)]),
        np.ma.masked_array([1, 2], mask=[True, False]),
        np.array([1.5], dtype=np.dtype("f8", metadata={"unit": "s"})),
        np.zeros(2, dtype=[("a", np.dtype("f8", metadata={"unit": "s"}))]),
        np.zeros(2, dtype=[("é", "i4")]),
        np.zeros(2, dtype=[]),
        np.array(["variable", "width"], dtype=np.dtypes.StringDType()),
    ],
    ids=lambda array: f"{type(array).__name__} {array.dtype}",
)
def test_an_array_that_npy_would_change_is_pickled(array: np.ndarray[Any, Any]) -> None:
    encoded = encode(array)
    loaded = decode(encoded.encoder, encoded.data, allow_pickle=True)

    assert encoded.encoder == "pickle"
    assert type(loaded) is type(array)
    assert loaded.dtype == array.dtype
    assert loaded.dtype.metadata == array.dtype.metadata
    assert loaded.tolist() == array.tolist()


def test_an_array_is_written_from_where_it_lies_and_read_as_a_view() -> None:
    array = np.random.default_rng(1).random((1000, 300))
    data = bytearray(encode(array).data)

    pieces = encode(array).pieces
    loaded = decode("numpy", data, allow_pickle=False)

    assert any(np.shares_memory(np.frombuffer(view, "u1"), array) for view in pieces.views)
    assert np.shares_memory(np.frombuffer(data, "u1"), loaded)
    assert loaded.flags.writeable
    assert loaded.flags.aligned
    np.testing.assert_array_equal(loaded, array)


def test_an_array_that_was_read_from_unchangeable_bytes_can_be_changed() -> None:
    data = encode(np.arange(10)).data

    loaded = decode("numpy", data, allow_pickle=False)
    loaded += 1

    assert decode("numpy", data, allow_pickle=False).tolist() == list(range(10))


def test_an_array_with_more_fields_than_numpy_reads_by_itself_is_pickled() -> None:
    array = np.zeros(1, dtype=[(f"a long name of a field {n}", "i4") for n in range(400)])

    loaded = came_back(array)

    assert encode(array).encoder.removesuffix("+zstd") == "pickle"
    assert loaded.dtype == array.dtype


def test_no_pickle_is_read_through_an_array() -> None:
    file = io.BytesIO()
    np.save(file, np.array([Unpicklable], dtype=object), allow_pickle=True)

    with pytest.raises(CorruptObject, match="object"):
        decode("numpy", file.getvalue(), allow_pickle=False)


def test_what_pickle_refuses_is_left_to_cloudpickle() -> None:
    factor = 3

    encoded = encode(lambda value: value * factor)

    assert encoded.encoder.removesuffix("+zstd") == "cloudpickle"
    assert decode(encoded.encoder, encoded.data, allow_pickle=True)(14) == 42


def test_types_are_named_for_people() -> None:
    values: list[object] = [{}, None, np.zeros(1), datetime.date(2026, 1, 2)]

    names = [encode(each).type_name for each in values]

    assert names == ["dict", "NoneType", "numpy.ndarray", "datetime.date"]


@pytest.mark.parametrize("value", [(1, 2), lambda: None, ("text",) * 5000], ids=lambda _: "")
def test_no_pickle_is_read_without_trust(value: object) -> None:
    encoded = encode(value)

    with pytest.raises(ArtifactNotReadable, match="EVENTFLOW_STORE__ALLOW_PICKLE"):
        decode(encoded.encoder, encoded.data, allow_pickle=False)


def test_a_pickle_that_cannot_be_read_here_says_why() -> None:
    encoded = encode(NeedsAbsence())

    with pytest.raises(ArtifactNotReadable, match="No module named 'absent'"):
        decode(encoded.encoder, encoded.data, allow_pickle=True)


def test_an_encoder_of_the_future_is_not_guessed_at() -> None:
    with pytest.raises(ArtifactNotReadable, match="'zarr'"):
        decode("zarr+zstd", b"", allow_pickle=True)


@pytest.mark.parametrize("encoder", ["json", "numpy", "json+zstd", "bytes+zstd", "numpy+zstd"])
@pytest.mark.parametrize("data", [b"", b"nonsense", b"\x93NUMPY\x02\x00\xff\xff"])
def test_bytes_of_another_encoder_are_corrupt(encoder: str, data: bytes) -> None:
    with pytest.raises(CorruptObject):
        decode(encoder, data, allow_pickle=False)


@pytest.mark.parametrize(
    ("value", "encoder"),
    [
        (b"a" * 1024, "bytes+zstd"),
        (b"a" * 1023, "bytes"),
        (["text"] * 1000, "json+zstd"),
        (("text",) * 2000, "pickle+zstd"),
        (np.zeros(1000), "numpy+zstd"),
        (np.zeros(10_000_000), "numpy+zstd"),
    ],
    ids=["1024", "1023", "json", "pickle", "array", "large array"],
)
def test_what_shrinks_is_compressed_and_said_so(value: Any, encoder: str) -> None:
    encoded = encode(value)

    assert encoded.encoder == encoder
    np.testing.assert_array_equal(
        decode(encoder, encoded.data, allow_pickle=True), value, strict=True
    )


@pytest.mark.parametrize("size", [2000, 500_000, 5_000_000])
def test_what_does_not_shrink_by_a_tenth_is_left_alone(size: int) -> None:
    noise = np.random.default_rng(size).bytes(size)

    assert encode(noise).encoder == "bytes"
    assert encode(noise + b"0" * (size // 20)).encoder == "bytes"


@given(st.binary(min_size=1, max_size=64), st.integers(1, 20_000))
def test_compression_comes_back(data: bytes, times: int) -> None:
    smaller = compress(Pieces.of(data * times))

    assert smaller is None or decompress(smaller.joined()) == data * times
    assert smaller is None or smaller.size_bytes <= 0.9 * len(data * times)
