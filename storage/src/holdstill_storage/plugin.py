"""The entry point: which URLs these targets answer to. What a target needs is imported when one is opened."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from holdstill.errors import TargetUnfit
from holdstill.plugins.hookspecs import hookimpl
from holdstill.spi.provider import ProviderInfo
from holdstill.spi.target import Target
from holdstill_storage import urls
from holdstill_storage.kinds import KINDS, OTHERS, OWN
from holdstill_storage.urls import Place

if TYPE_CHECKING:
    from holdstill_storage.patience import Patience

API: Final = 0


@hookimpl
def provider_info() -> ProviderInfo:
    """Local directories, S3, SFTP, and whatever else fsspec reaches."""
    return ProviderInfo(
        name="storage",
        summary="repositories in local directories, in S3, behind SFTP, and in what fsspec reaches",
        schemes=(*OWN, *KINDS, *OTHERS),
    )


@hookimpl
def storage_target(url: str) -> Target:
    """Open the target behind ``url``. Whatever is not a directory is asked again when it fails in passing."""
    place = urls.parse(url)
    if place.scheme == "file":
        from holdstill_storage.local import LocalTarget

        return LocalTarget(place.address)
    if place.scheme == "memory":
        from holdstill_storage.fsspec_target import FsspecTarget

        return FsspecTarget(place)
    from holdstill_storage.patience import Patience
    from holdstill_storage.persistent import Persistent

    patience = Patience()
    return Persistent(_opened(place, patience), patience)


def _opened(place: Place, patience: Patience) -> Target:
    """Raises ``TargetUnfit`` where a library is missing, and for a URL that says what it should not."""
    try:
        if place.scheme == "s3":
            from holdstill_storage.s3 import S3Target

            return S3Target(place, patience)
        if place.scheme == "sftp":
            from holdstill_storage.sftp import SftpTarget

            return SftpTarget(place, patience)
    except ModuleNotFoundError as error:
        raise TargetUnfit(
            f"what speaks to {place.scheme} is not installed: {error.name}",
            subject=place.shown,
            next_step=f"pip install 'holdstill-storage[{place.scheme}]'",
        ) from None
    from holdstill_storage.fsspec_target import FsspecTarget
    from holdstill_storage.limited import Limited

    return Limited(FsspecTarget(place), patience)
