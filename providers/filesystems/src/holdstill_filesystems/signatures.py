"""The signatures that formats leave at known places of a volume. Names are libblkid's.

Sources: util-linux ``libblkid/src/superblocks/`` for names and places; each format's own header.
"""

from __future__ import annotations

import uuid
from typing import Final

import attrs

_KIB: Final = 1024


@attrs.frozen
class Signature:
    """One format's signature, and where beside it label and UUID lie: ``(offset, length)``, counted like ``at``.

    Offsets are bytes from the start of the volume; negative ones, from its end after rounding its size down to a
    multiple of ``round_to``.
    """

    name: str
    at: int
    magic: bytes
    label: tuple[int, int] | None = None
    uuid: tuple[int, int] | None = None
    encoding: str = "utf-8"
    written: str = "uuid"
    """How the UUID is shown: ``uuid``, ``text``, ``serial`` (FAT), ``serial64`` (NTFS), ``ufs-little``, ``ufs-big``,
    ``lvm``.
    """
    round_to: int = 1


def _swap(page: int) -> tuple[Signature, ...]:
    return tuple(
        Signature("swap", page - 10, magic, (_KIB + 28, 16), (_KIB + 12, 16))
        for magic in (b"SWAPSPACE2", b"SWAP-SPACE")
    )


def _hibernation(page: int) -> tuple[Signature, ...]:
    """What the kernel, uswsusp, its successor and TuxOnIce put in place of the signature of swap."""
    marks = (b"S1SUSPEND", b"S2SUSPEND", b"ULSUSPEND", b"LINHIB0001", b"\xed\xc3\x02\xe9\x98\x56\xe5\x0c")
    return tuple(Signature("swsuspend", page - 10, magic, (_KIB + 28, 16), (_KIB + 12, 16)) for magic in marks)


def _ufs(superblock: int, magic: int) -> tuple[Signature, ...]:
    """In both byte orders."""
    return tuple(
        Signature(
            "ufs", superblock + 1372, magic.to_bytes(4, order), None, (superblock + 144, 8), written=f"ufs-{order}"
        )
        for order in ("little", "big")
    )


def _lvm2(sector: int) -> Signature:
    return Signature("LVM2_member", sector * 512 + 24, b"LVM2 001", None, (sector * 512 + 32, 32), written="lvm")


#: UFS and the HFS of HP-UX; with long names; with feature bits; above 4 GB; with 4 GB files (libblkid ufs.c); Solaris
#: above a terabyte (illumos ufs_fs.h)
_UFS1: Final = (0x00011954, 0x00095014, 0x00195612, 0x05231994, 0x00612195, 0x00DECADE)
_UFS2: Final = 0x19540119

#: containers come first: what they hold may itself look like a file system
SIGNATURES: Final = (
    Signature("crypto_LUKS", 0, b"LUKS\xba\xbe\x00\x01", None, (168, 40), written="text"),
    Signature("crypto_LUKS", 0, b"LUKS\xba\xbe\x00\x02", (24, 48), (168, 40), written="text"),
    Signature("BitLocker", 3, b"-FVE-FS-"),
    Signature("BitLocker", 424, bytes.fromhex("3bd66749292ed84a8399f6a339e3d001")),  # To Go: looks like FAT32
    Signature("LVM1_member", 0, b"HM\x01\x00"),
    Signature("LVM1_member", 0, b"HM\x02\x00"),
    *(_lvm2(sector) for sector in range(4)),
    Signature("DM_snapshot_cow", 0, b"SnAp"),
    Signature("linux_raid_member", 0, b"\xfc\x4e\x2b\xa9\x01\x00\x00\x00", (32, 32), (16, 16)),
    Signature("linux_raid_member", 4 * _KIB, b"\xfc\x4e\x2b\xa9\x01\x00\x00\x00", (32, 32), (16, 16)),
    Signature("linux_raid_member", -8 * _KIB, b"\xfc\x4e\x2b\xa9\x01\x00\x00\x00", round_to=4 * _KIB),
    Signature("linux_raid_member", -64 * _KIB, b"\xfc\x4e\x2b\xa9\x00\x00\x00\x00", round_to=64 * _KIB),
    Signature("linux_raid_member", -64 * _KIB, b"\xa9\x2b\x4e\xfc\x00\x00\x00\x00", round_to=64 * _KIB),
    Signature(
        "bcache", 4 * _KIB + 24, b"\xc6\x85\x73\xf6\x4e\x1a\x45\xca\x82\x65\xf5\x7f\x48\xba\x6d\x81", None, (4136, 16)
    ),
    Signature("xfs", 0, b"XFSB", (108, 12), (32, 16)),
    Signature("btrfs", 64 * _KIB + 64, b"_BHRfS_M", (64 * _KIB + 299, 256), (64 * _KIB + 32, 16)),
    Signature("jfs", 32 * _KIB, b"JFS1", (32 * _KIB + 152, 16), (32 * _KIB + 136, 16)),
    Signature("jfs2", 32 * _KIB, b"J2FS"),  # of AIX; libblkid does not know it
    Signature("ntfs", 3, b"NTFS    ", None, (72, 8), written="serial64"),
    Signature("exfat", 3, b"EXFAT   ", None, (100, 4), written="serial"),
    Signature("vfat", 82, b"FAT32   ", (71, 11), (67, 4), "cp437", "serial"),
    Signature("vfat", 54, b"FAT16   ", (43, 11), (39, 4), "cp437", "serial"),
    Signature("vfat", 54, b"FAT12   ", (43, 11), (39, 4), "cp437", "serial"),
    Signature("vfat", 82, b"MSWIN", (71, 11), (67, 4), "cp437", "serial"),
    Signature("vfat", 54, b"MSDOS", (43, 11), (39, 4), "cp437", "serial"),
    Signature("vfat", 54, b"FAT     ", (43, 11), (39, 4), "cp437", "serial"),
    Signature("ReFS", 0, b"\0\0\0ReFS\0"),
    *(signature for page in (4, 8, 16, 32, 64) for signature in _hibernation(page * _KIB)),
    *(signature for page in (4, 8, 16, 32, 64) for signature in _swap(page * _KIB)),
    Signature("f2fs", _KIB, b"\x10\x20\xf5\xf2", (_KIB + 124, 64), (_KIB + 108, 16), "utf-16-le"),
    Signature("nilfs2", _KIB + 6, b"\x34\x34"),
    Signature("reiserfs", 64 * _KIB + 52, b"ReIsEr", (64 * _KIB + 100, 16), (64 * _KIB + 84, 16)),
    Signature("gfs2", 64 * _KIB, b"\x01\x16\x19\x70\x00\x00\x00\x01"),
    *(Signature("ocfs2", block * _KIB, b"OCFSV2") for block in (1, 2, 4, 8)),
    *(signature for magic in _UFS1 for signature in _ufs(8 * _KIB, magic)),
    *(signature for start in (8, 64, 256) for signature in _ufs(start * _KIB, _UFS2)),
    Signature("vxfs", _KIB, b"\xf5\xfc\x01\xa5"),
    Signature("vxfs", 8 * _KIB, b"\xa5\x01\xfc\xf5"),
    Signature("hfsplus", _KIB, b"H+\x00\x04"),
    Signature("hfsplus", _KIB, b"HX\x00\x05"),
    Signature("hfs", _KIB, b"BD"),
    Signature("apfs", 32, b"NXSB"),
    Signature("erofs", _KIB, b"\xe2\xe1\xf5\xe0", (_KIB + 64, 16), (_KIB + 48, 16)),
    Signature("squashfs", 0, b"hsqs"),
    Signature("iso9660", 32 * _KIB, b"\x01CD001", (32 * _KIB + 40, 32)),
)


def shown_label(raw: bytes, encoding: str) -> str:
    """A label as it is shown; bytes that are no text become question marks."""
    text = raw.decode(encoding, "replace").split("\0", 1)[0].rstrip()
    return "" if text == "NO NAME" else text


def shown_uuid(raw: bytes, written: str) -> str:
    """A UUID as libblkid writes it; nothing for an empty one."""
    if not any(raw):
        return ""
    number = int.from_bytes(raw, "little")
    match written:
        case "text":
            return raw.decode("ascii", "replace").split("\0", 1)[0]
        case "serial":
            return f"{number >> 16:04X}-{number & 0xFFFF:04X}"
        case "serial64":
            return f"{number:016X}"
        case "ufs-little":
            return raw[3::-1].hex() + raw[:3:-1].hex()
        case "ufs-big":
            return raw.hex()
        case "lvm":
            text = raw.decode("ascii", "replace")
            return "-".join((text[:6], *(text[at : at + 4] for at in range(6, 26, 4)), text[26:]))
        case _:
            return str(uuid.UUID(bytes=raw))
