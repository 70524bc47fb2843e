"""Values ⇄ bytes, each by the best encoder for its type; the name of the encoder is kept.

    bytes            as they are
    json             plain data that comes back exactly: None, bool, int, float, str, list, dict
    config           a ConfigValue, as JSON likewise
    numpy            arrays as .npy (numpy.lib.format), without pickle
    arrow, arrow-batch            tables and record batches of pyarrow, as an Arrow IPC stream
    pandas, pandas-series, pandas-index      of pandas, as an Arrow IPC stream
    polars, polars-series         of polars, as an Arrow IPC stream
    pickle           everything else, protocol 5
    cloudpickle      what pickle refuses: lambdas, local classes
    framed-pickle    one of the two, with its large buffers and its definitions beside it

`+zstd` after the name: compressed. The last three run code when read, and only for a reader that
allows it. Large buffers are not copied to be encoded; numpy, arrow and framed-pickle are decoded as
views of the bytes that were read, and what is changeable is writable. No package is imported that
a value did not come from.

choosing      encode, decode: which encoder
plain         JSON
npy           numpy
tables        of arrow, pandas_data, polars_data; ipc: the stream that they are
pickled       pickle and cloudpickle; framing: buffers and definitions; own_code: which
unstorable    why a value cannot be pickled
"""

from __future__ import annotations

from eventflow.store.encoders.choosing import Encoded, check_readable, decode, encode

__all__ = ["Encoded", "check_readable", "decode", "encode"]
