"""Tools for data that is no artifact: files and objects at addresses that people choose.

s3         S3: get, put and list objects of S3
objects    what it gives and takes
addresses  urls, keys, and the root below which the keys of a run lie
"""

from __future__ import annotations

from eventflow.datatools.objects import RangeInfo, S3GetObject, S3Object, S3PutObject
from eventflow.datatools.s3 import S3

__all__ = ["S3", "RangeInfo", "S3GetObject", "S3Object", "S3PutObject"]
