"""The partitioner is that of the Java client."""

from __future__ import annotations

import pytest

from eventflow.model.log import murmur2, partition_of

# org.apache.kafka.common.utils.UtilsTest.testMurmur2, as signed 32-bit integers.
JAVA = {
    "21": -973932308,
    "foobar": -790332482,
    "a-little-bit-long-string": -985981536,
    "a-little-bit-longer-string": -1486304829,
    "lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8": -58897971,
    "abc": 479470107,
}


@pytest.mark.parametrize(("text", "hashed"), JAVA.items())
def test_murmur2_is_that_of_java(text: str, hashed: int) -> None:
    assert murmur2(text.encode()) == hashed & 0xFFFFFFFF


@pytest.mark.parametrize(("text", "hashed"), JAVA.items())
def test_a_partition_is_the_positive_hash_modulo_the_count(text: str, hashed: int) -> None:
    assert partition_of(text.encode(), 12) == (hashed & 0x7FFFFFFF) % 12


def test_an_empty_key_has_a_partition() -> None:
    assert 0 <= partition_of(b"", 3) < 3
