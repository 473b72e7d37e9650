"""Large objects in parts: a line that breaks loses one part, and what is visible is the whole object or nothing."""

from __future__ import annotations

import asyncio
import datetime as dt
import itertools
import secrets
import threading
from collections.abc import Iterator, Sequence
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from holdstill.spi.target import KEY
from holdstill_storage import s3_errors
from holdstill_storage.loop import run

if TYPE_CHECKING:
    from holdstill_storage.s3 import S3Target

#: bytes; fewer requests against less to send again
PART: Final = 16 << 20
#: uploads that were begun longer ago are nobody's; one that is somebody's after all is begun again
_ABANDONED: Final = dt.timedelta(days=1)
_AT_ONCE: Final = 4
_PAGES: Final = 10


class Parts:
    """Uploads in parts to one target."""

    def __init__(self, target: S3Target, part: int) -> None:
        self._target = target
        self._part = part
        self._sweeping = threading.Lock()
        self._trying = threading.Lock()
        self._swept = False
        self._conditional: bool | None = None

    def worth_while(self, size: int) -> bool:
        """Is an object of ``size`` bytes sent in parts?"""
        return size > 2 * self._part

    def conditional(self) -> bool:
        """Does the service honour the condition when an upload in parts is completed? Tried once in a process.

        Where it does not, such an object is created by one request.
        """
        with self._trying:  # which stores, and so sweeps
            if self._conditional is None:
                self._conditional = self._try_condition()
            return self._conditional

    def _try_condition(self) -> bool:
        key = f"probe/{secrets.token_hex(16)}"
        path = self._target.path(key)
        small = [memoryview(b"x")]
        try:
            self.store(path, small, 1, {})
            self.store(path, small, 1, {"IfNoneMatch": "*"})
        except OSError as error:
            if s3_errors.code_of(error) in {s3_errors.TAKEN, "412"}:
                return True
            raise
        finally:
            self._target.delete(key)
        return False

    def store(self, path: str, views: Sequence[memoryview], size: int, condition: dict[str, str]) -> None:
        """Raises what the library raises; then nothing was stored, or all of it and the reply was lost."""
        upload = str(self._target.ask("create_multipart_upload", Key=path)["UploadId"])
        try:
            self._sweep_once(upload)
            sent = self._send(path, upload, views)
            whole = {"Parts": [{"PartNumber": number, "ETag": tag} for number, tag in enumerate(sent, 1)]}
            self._target.ask(
                "complete_multipart_upload", size, Key=path, UploadId=upload, MultipartUpload=whole, **condition
            )
        except BaseException:
            with suppress(Exception):  # else the next process sweeps it away, after a day
                self._target.ask("abort_multipart_upload", Key=path, UploadId=upload)
            raise

    def _send(self, path: str, upload: str, views: Sequence[memoryview]) -> list[str]:
        """The tag of each part. A few are under way at once."""
        tags: list[str] = []
        pieces = _pieces(views, self._part)
        while batch := list(itertools.islice(pieces, _AT_ONCE)):
            limit = self._target.patience.limit_for(sum(map(len, batch)))
            tags += run(partial(self._all, path, upload, len(tags), batch), limit)
        return tags

    async def _all(self, path: str, upload: str, before: int, batch: Sequence[bytes]) -> list[str]:
        sending = [
            asyncio.ensure_future(
                self._target.request("upload_part", Key=path, UploadId=upload, PartNumber=number, Body=piece)
            )
            for number, piece in enumerate(batch, before + 1)
        ]
        try:
            return [str(reply["ETag"]) for reply in await asyncio.gather(*sending)]
        finally:
            for part in sending:
                part.cancel()  # a part that arrives after the upload was ended may stay, and is paid for
            await asyncio.wait(sending)

    def _sweep_once(self, ours: str) -> None:
        with self._sweeping:
            due, self._swept = not self._swept, True
        if due:
            with suppress(Exception):  # a courtesy: who may not do it needs a rule of the bucket
                self._sweep(ours)

    def _sweep(self, ours: str) -> None:
        """End the uploads of dead writers: of objects that could be ours, begun a day before the upload ``ours``.

        The service dates both: so neither a wrong clock nor a service that dates nothing (moto) ends what lives.
        """
        uploads = list(self._uploads())
        begun = next(upload["Initiated"] for upload in uploads if upload["UploadId"] == ours)
        for upload in uploads:
            key = str(upload["Key"]).removeprefix(self._target.place.folder)
            if KEY.fullmatch(key) and upload["Initiated"] < begun - _ABANDONED:
                with suppress(Exception):
                    self._target.ask("abort_multipart_upload", Key=upload["Key"], UploadId=upload["UploadId"])

    def _uploads(self) -> Iterator[dict[str, Any]]:
        """Those below our folder, a thousand in a page, and so many pages at most: the next process sees the others."""
        onward: dict[str, str] = {}
        for _ in range(_PAGES):
            page = self._target.ask("list_multipart_uploads", Prefix=self._target.place.folder, **onward)
            yield from page.get("Uploads", ())
            if not page.get("IsTruncated"):
                return
            onward = {"KeyMarker": page["NextKeyMarker"], "UploadIdMarker": page["NextUploadIdMarker"]}


def _pieces(views: Sequence[memoryview], size: int) -> Iterator[bytes]:
    """The concatenation, cut into pieces of ``size`` bytes, the last one shorter."""
    held = bytearray()
    for view in views:
        at = 0
        while at < len(view):
            more = view[at : at + size - len(held)]
            held += more
            at += len(more)
            if len(held) == size:
                yield bytes(held)
                held = bytearray()
    if held:
        yield bytes(held)
