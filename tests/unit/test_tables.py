"""Tables and frames come back as they were: by Arrow where that is exact, else by pickle."""

from __future__ import annotations

import datetime
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import pandas as pdst

from eventflow.errors import ArtifactNotReadable, CorruptObject
from eventflow.store.encoders import decode, encode

ROWS = 50


def came_back(value: object, encoder: str) -> Any:
    encoded = encode(value)
    assert encoded.encoder.removesuffix("+zstd") == encoder
    return decode(encoded.encoder, encoded.data, allow_pickle=encoder.endswith("pickle"))


def frame() -> pd.DataFrame:
    """One column of each type that passes through Arrow, with what is missing in each."""
    day = pd.Timestamp("2026-03-29")
    return pd.DataFrame(
        {
            "float": [1.5, np.nan, -0.0],
            "float32": np.array([1, 2, 3], dtype="f4"),
            "int8": np.array([-1, 0, 1], dtype="i1"),
            "uint64": np.array([2**64 - 1, 0, 1], dtype="u8"),
            "bool": [True, False, True],
            "text": ["a", None, "é😀"],
            "time": pd.Series([day, pd.NaT, day], dtype="datetime64[ns]"),
            "zoned": pd.Series([day, pd.NaT, day]).dt.tz_localize("Europe/Berlin"),
            "span": pd.Series([pd.Timedelta(1, "s"), pd.NaT, pd.Timedelta(0)]),
            "category": pd.Categorical(["b", None, "a"], ["b", "a", "unused"], ordered=True),
            "nullable": pd.array([1, None, 3], dtype="Int32"),
            "flag": pd.array([True, None, False], dtype="boolean"),
            "python text": pd.array(["a", None, "b"], dtype="string"),
        }
    )


FRAMES = {
    "all types": frame(),
    "named index": frame().set_index(pd.Index(["x", "y", "z"], name="key")),
    "steps": frame().iloc[::2],
    "dates as index": frame().set_index(pd.to_datetime(["2026-01-01", "2026-02-01", "2026-01-03"])),
    "no rows": frame().drop(columns="category").iloc[:0],
    "named columns": frame().rename_axis(columns="what"),
    "large": pd.DataFrame(np.random.default_rng(1).normal(size=(10_000, 20))).rename(columns=str),
}


@pytest.mark.parametrize("value", FRAMES.values(), ids=FRAMES.keys())
def test_a_frame_of_plain_columns_needs_no_trust(value: pd.DataFrame) -> None:
    loaded = came_back(value, "pandas")

    pd.testing.assert_frame_equal(loaded, value, check_exact=True, check_freq=True)
    assert type(loaded.index) is type(value.index)


OTHER_FRAMES = {
    "objects": pd.DataFrame({"a": [{"b": 1}, (2,), None]}),
    "several levels": frame().set_index(["int8", "uint64"]),
    "no columns": pd.DataFrame(index=pd.RangeIndex(3)),
    "categories without rows": frame()[["category"]].iloc[:0],
    "numbered columns": pd.DataFrame([[1, 2], [3, 4]]),
    "twice the same column": pd.DataFrame([[1, 2]], columns=["a", "a"]),
    "frequency": pd.DataFrame({"a": [1, 2]}, index=pd.date_range("2026", periods=2, freq="D")),
    "periods": pd.DataFrame({"a": pd.period_range("2026", periods=2, freq="M")}),
    "half precision": pd.DataFrame({"a": np.array([1, 2], dtype="f2")}),
    "other endian": pd.DataFrame({"a": np.array([1, 2], dtype=">i4")}),
    "complex": pd.DataFrame({"a": [1j]}),
    "categories of objects": pd.DataFrame({"a": pd.Categorical([(1, 2), (3,)])}),
}


@pytest.mark.parametrize("value", OTHER_FRAMES.values(), ids=OTHER_FRAMES.keys())
def test_a_frame_that_arrow_would_change_is_pickled(value: pd.DataFrame) -> None:
    loaded = came_back(value, "pickle")

    pd.testing.assert_frame_equal(loaded, value, check_exact=True, check_freq=True)


def test_attributes_of_a_frame_are_kept() -> None:
    value = frame()
    value.attrs["source"] = "sensor"

    assert came_back(value, "pickle").attrs == {"source": "sensor"}


class OwnFrame(pd.DataFrame):  # type: ignore[misc]  # it has no types
    """A frame of another type."""


def test_a_subclass_stays_one() -> None:
    loaded = decode(*_encoded(OwnFrame({"a": [1]})), allow_pickle=True)

    assert type(loaded) is OwnFrame


def _encoded(value: object) -> tuple[str, bytes]:
    encoded = encode(value)
    return encoded.encoder, encoded.data


@pytest.mark.parametrize("name", [None, "", "a name", "float"])
@pytest.mark.parametrize("column", list(frame().columns))
def test_a_series_needs_no_trust(column: str, name: str | None) -> None:
    value = frame()[column].rename(name)

    pd.testing.assert_series_equal(came_back(value, "pandas-series"), value, check_exact=True)


@pytest.mark.parametrize(
    "value",
    [
        pd.Index([3, 1, 2], name="n"),
        pd.Index(["a", "b"]),
        pd.Index([1.5, np.nan]),
        pd.to_datetime(["2026-01-01", "2026-01-05"]),
        pd.Index([1, 2], dtype="Int64"),
    ],
    ids=lambda value: str(value.dtype),
)
def test_an_index_needs_no_trust(value: Any) -> None:
    loaded = came_back(value, "pandas-index")

    pd.testing.assert_index_equal(loaded, value, exact=True)
    assert type(loaded) is type(value)


@pytest.mark.parametrize(
    "value",
    [
        pd.RangeIndex(3),
        pd.CategoricalIndex(["a", "b"]),
        pd.MultiIndex.from_tuples([(1, "a")], names=["n", "t"]),
        pd.date_range("2026", periods=3),
        pd.Series([1, 2], name=("a", 1)),
        pd.Series([1, "a"], dtype=object),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_arrow_would_change_of_an_index_or_series_is_pickled(value: Any) -> None:
    loaded = came_back(value, "pickle")

    assert type(loaded) is type(value)
    assert loaded.equals(value)
    assert getattr(loaded, "name", None) == getattr(value, "name", None)


_COLUMNS = [
    pdst.column("int", dtype=np.int64),
    pdst.column("float", dtype=np.float64),
    pdst.column("bool", dtype=bool),
    pdst.column("text", elements=st.text(st.characters(codec="utf-8"))),
    pdst.column("time", dtype="datetime64[ns]"),
]


@given(pdst.data_frames(_COLUMNS))
def test_any_frame_comes_back(value: pd.DataFrame) -> None:
    encoded = encode(value)

    loaded = decode(encoded.encoder, encoded.data, allow_pickle=True)

    pd.testing.assert_frame_equal(loaded, value, check_exact=True)


@pytest.mark.parametrize("columns", [1, 2])
@pytest.mark.parametrize("is_pickled", [False, True])
def test_a_frame_that_was_loaded_can_be_changed_in_place(columns: int, is_pickled: bool) -> None:
    value = pd.DataFrame({f"c{n}": np.arange(10_000.0) for n in range(columns)})
    value.attrs = {"pickled": True} if is_pickled else {}
    data = bytearray(encode(value).data)

    loaded = decode(encode(value).encoder, data, allow_pickle=True)
    loaded.loc[0, "c0"] = 5
    loaded.iloc[1, 0] = 6
    loaded.at[2, "c0"] = 7
    loaded["new"] = 1

    assert list(loaded["c0"][:4]) == [5, 6, 7, 3]


# ── Arrow ────────────────────────────────────────────────────────────────────


def table() -> pa.Table:
    return pa.table(
        {
            "int": pa.array([1, None, 3], pa.int64()),
            "text": pa.array(["a", "b", None]).dictionary_encode(),
            "nested": pa.array([[{"a": 1}], [], None]),
            "zoned": pa.array([0, 1, None], pa.timestamp("us", "Europe/Berlin")),
        },
        metadata={"source": "sensor"},
    )


@pytest.mark.parametrize(
    "value",
    [table(), table().slice(1, 1), table().slice(0, 0), pa.concat_tables([table(), table()])],
    ids=["whole", "slice", "no rows", "chunks"],
)
def test_an_arrow_table_needs_no_trust(value: pa.Table) -> None:
    loaded = came_back(value, "arrow")

    assert type(loaded) is pa.Table
    assert loaded.equals(value, check_metadata=True)


def test_a_record_batch_stays_one() -> None:
    value = table().to_batches()[0]

    loaded = came_back(value, "arrow-batch")

    assert type(loaded) is pa.RecordBatch
    assert loaded.equals(value, check_metadata=True)


def test_a_slice_of_a_table_is_stored_without_the_rest() -> None:
    value = pa.table({"a": np.random.default_rng(1).random(100_000)})

    assert encode(value.slice(10, 10)).pieces.size_bytes < 2000


def test_a_table_is_written_from_where_it_lies_and_read_as_a_view() -> None:
    value = pa.table({"a": np.random.default_rng(1).random(100_000)})
    data = bytearray(encode(value).data)
    before = pa.total_allocated_bytes()

    pieces = encode(value).pieces
    loaded = decode("arrow", data, allow_pickle=False)

    written = {pa.py_buffer(view).address for view in pieces.views}
    assert value.column("a").chunk(0).buffers()[1].address in written
    assert pa.total_allocated_bytes() - before < 100_000
    start = pa.py_buffer(data).address
    assert start < loaded.column("a").chunk(0).buffers()[1].address < start + len(data)


class Trap:
    """What a pickle of it does when it is read."""

    def __reduce__(self) -> Any:
        return Path.touch, (Path("sprung"),)


def test_no_pickle_is_read_through_arrow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    named = {
        "ARROW:extension:name": "arrow.py_extension_type",
        "ARROW:extension:metadata": pickle.dumps(Trap()),
    }
    schema = pa.schema([pa.field("a", pa.int64(), metadata=named)])
    value = pa.table([pa.array([1])], schema=schema)

    decode(*_encoded(value), allow_pickle=False)

    assert not Path("sprung").exists()


def test_an_old_pyarrow_is_not_trusted(monkeypatch: pytest.MonkeyPatch) -> None:
    encoder, data = _encoded(table())
    monkeypatch.setattr(pa, "__version__", "14.0.0")

    with pytest.raises(ArtifactNotReadable, match="pyarrow>=15"):
        decode(encoder, data, allow_pickle=False)


@pytest.mark.parametrize(
    "encoder",
    ["arrow", "arrow-batch", "pandas", "pandas-series", "pandas-index", "polars", "polars-series"],
)
@pytest.mark.parametrize("data", [b"", b"nonsense" * 10], ids=["nothing", "nonsense"])
def test_bytes_that_are_no_table_are_corrupt(encoder: str, data: bytes) -> None:
    with pytest.raises(CorruptObject):
        decode(encoder, data, allow_pickle=False)


def test_arrow_data_of_another_kind_is_corrupt() -> None:
    for value in (table(), pd.DataFrame({"a": [1]})):
        data = encode(value).data

        with pytest.raises(CorruptObject):
            decode("pandas-series", data, allow_pickle=False)


# ── polars ───────────────────────────────────────────────────────────────────


def polars_frame() -> pl.DataFrame:
    zone = ZoneInfo("Europe/Berlin")
    return pl.DataFrame(
        {
            "float": [1.5, None, float("nan")],
            "text": ["a", None, "é😀"],
            "enum": pl.Series(["x", "y", None], dtype=pl.Enum(["y", "x"])),
            "category": pl.Series(["x", "y", "x"], dtype=pl.Categorical),
            "decimal": pl.Series(["1.25", None, "3.50"]).cast(pl.Decimal(10, 2)),
            "list": [[1], [], None],
            "struct": [{"a": 1, "b": "x"}, None, {"a": 2, "b": None}],
            "array": pl.Series([[1, 2], [3, 4], None], dtype=pl.Array(pl.Int8, 2)),
            "zoned": pl.Series([datetime.datetime(2026, 1, 1, tzinfo=zone)] * 3),
            "span": [datetime.timedelta(1), None, datetime.timedelta(0)],
            "bytes": [b"\x00\xff", None, b""],
            "nothing": [None, None, None],
        }
    )


@pytest.mark.parametrize(
    "value",
    [polars_frame(), polars_frame().clear(), polars_frame().slice(1, 1), pl.DataFrame()],
    ids=["whole", "no rows", "slice", "nothing"],
)
def test_a_polars_frame_needs_no_trust(value: pl.DataFrame) -> None:
    loaded = came_back(value, "polars")

    assert loaded.schema == value.schema
    assert loaded.equals(value)


@pytest.mark.parametrize("name", list(polars_frame().columns))
def test_a_polars_series_needs_no_trust(name: str) -> None:
    value = polars_frame()[name]

    loaded = came_back(value, "polars-series")

    assert (loaded.name, loaded.dtype) == (value.name, value.dtype)
    assert loaded.equals(value, null_equal=True)


# ── what is imported ─────────────────────────────────────────────────────────


def test_a_package_that_no_value_comes_from_is_not_imported() -> None:
    code = (
        "import sys; from eventflow.store.encoders import encode, decode\n"
        "for value in ([1], (1,), {1}, object):\n"
        "    e = encode(value); decode(e.encoder, e.data, allow_pickle=True)\n"
        "found = {'numpy', 'pandas', 'polars', 'pyarrow'} & sys.modules.keys()\n"
        "sys.exit(str(found) if found else 0)"
    )

    done = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True)

    assert (done.returncode, done.stderr) == (0, b"")


@pytest.mark.parametrize(
    ("package", "value"),
    [
        ("numpy", np.zeros(ROWS)),
        ("pyarrow", table()),
        ("pandas", frame()),
        ("polars", polars_frame()),
    ],
    ids=["numpy", "pyarrow", "pandas", "polars"],
)
def test_without_the_package_it_cannot_be_read_and_the_message_says_so(
    package: str, value: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    encoder, data = _encoded(value)
    monkeypatch.setitem(sys.modules, package, None)

    with pytest.raises(ArtifactNotReadable, match=package):
        decode(encoder, data, allow_pickle=False)
