"""Urls and keys, and the root that keys are relative to.

A name is taken as it is written: `#`, `?`, `%` and spaces are parts of it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from eventflow.authoring.current import current
from eventflow.authoring.flow_spec import FlowSpec
from eventflow.client.run import Run
from eventflow.errors import InvalidS3Address, InvalidSettings
from eventflow.store.layout import RunPlace
from eventflow.store.s3.buckets import Address
from eventflow.store.s3.connection import bucket_and_prefix

if TYPE_CHECKING:
    from eventflow.settings import StoreSettings

__all__ = ["Root", "address_of_url", "root_of_place", "root_of_run"]

_SCHEME = "s3://"


@dataclass(frozen=True, slots=True)
class Root:
    """What keys are relative to: an address whose name has no slash at its end. Without one,
    keys are whole urls."""

    address: Address | None = None

    @property
    def url(self) -> str | None:
        """`s3://bucket/prefix`, without a slash at its end."""
        return self.address.url.rstrip("/") if self.address else None

    def of(self, key: str | None) -> Address:
        """What a key names; None is the root itself.

        Raises:
            InvalidS3Address: it can name nothing.
        """
        if key is not None and not isinstance(key, str):
            raise InvalidS3Address(f"{key!r} is no key: keys are text.")
        if self.address is None:
            return self._without(key)
        if key is None or not key.strip("/"):
            return self.address
        if key.startswith(_SCHEME):
            raise InvalidS3Address(
                f"{key} is a whole url, and this S3 has the root {self.url}: leave run=, s3root="
                " and bucket= out, or give the part behind the root."
            )
        if not {".", ".."}.isdisjoint(key.split("/")):
            raise InvalidS3Address(f"{key!r} cannot be a key: it has a part '.' or '..'.")
        bucket, name = self.address
        return Address(bucket, f"{name}/{key.lstrip('/')}" if name else key.lstrip("/"))

    def object(self, key: str | None) -> Address:
        """The same, of one object, which has a name.

        Raises:
            InvalidS3Address: it can name none.
        """
        address = self.of(key)
        if not address.name:
            raise InvalidS3Address(f"{address.url} is a bucket: say which object of it is meant.")
        return address

    def _without(self, key: str | None) -> Address:
        if key is None or not key.startswith(_SCHEME):
            hint = (
                "S3(run=self) keeps it with this run"
                if current.is_running_flow
                else "S3(s3root='s3://bucket/prefix') takes keys below a prefix"
            )
            raise InvalidS3Address(
                f"{key!r} is no url, and this S3 has no root: write s3://bucket/key. {hint}."
            )
        return address_of_url(key)


def address_of_url(url: str) -> Address:
    """What `s3://bucket/name` names.

    Raises:
        InvalidS3Address: it is written in another way.
    """
    bucket, _, name = url.removeprefix(_SCHEME).partition("/")
    if not url.startswith(_SCHEME) or not bucket:
        raise InvalidS3Address(f"{url!r} is no address of S3: it is written s3://bucket/key.")
    return Address(bucket, name)


def root_of_place(s3root: str | None, bucket: str | None, prefix: str | None) -> Root:
    """The root that is given as a url, or as a bucket and a prefix.

    Raises:
        InvalidS3Address: it is none.
    """
    if s3root is not None:
        if bucket or prefix:
            raise InvalidS3Address("s3root= has bucket and prefix already: leave these out.")
        bucket, name = address_of_url(s3root)
        return Root(Address(bucket, name.strip("/")))
    if bucket:
        return Root(Address(bucket, (prefix or "").strip("/")))
    if prefix:
        raise InvalidS3Address(f"prefix={prefix!r} needs its bucket: give bucket= or run= too.")
    return Root()


def root_of_run(
    run: FlowSpec | Run, bucket: str | None, prefix: str | None, settings: StoreSettings
) -> Root:
    """Where the data of a run lies: below the store, or below another bucket or prefix.

    Raises:
        InvalidS3Address: it is no run, or a flow of which no task is at work.
        InvalidSettings: the store is in no bucket, and none is given.
    """
    place = _place_of(run)
    if bucket is None:
        bucket, of_store = _bucket_of_store(settings)
    else:
        of_store = ""
    base = (of_store if prefix is None else prefix).strip("/")
    return Root(Address(bucket, f"{base}/{place.data}" if base else place.data))


def _place_of(run: FlowSpec | Run) -> RunPlace:
    if isinstance(run, Run):
        return RunPlace(run.namespace, *run.path_components)
    if not isinstance(run, FlowSpec):
        raise InvalidS3Address(f"run={run!r} is no run: give self within a step, or a Run.")
    if not (current.namespace and current.flow_name and current.run_id):
        raise InvalidS3Address(
            "S3(run=…) takes a flow within its steps only, where it has a run. Give a Run of the"
            " client elsewhere: S3(run=Flow('MyFlow').latest_run)."
        )
    return RunPlace(current.namespace, current.flow_name, current.run_id)


def _bucket_of_store(settings: StoreSettings) -> tuple[str, str]:
    url = settings.url or ""
    if not url.startswith(_SCHEME):
        raise InvalidSettings(
            "S3(run=…) keeps data in the bucket of the store, and the store is a folder: give"
            " s3root= or bucket=, or set EVENTFLOW_STORE__URL=s3://…"
        )
    return bucket_and_prefix(url)
