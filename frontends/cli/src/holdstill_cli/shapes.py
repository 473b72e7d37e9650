"""The engine's results as the fields that scripts rely on (docs/reference/json-output.md)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from holdstill import BackupResult, Image, Sizes, Verified, VolumeFacts


def backup_answer(result: BackupResult) -> dict[str, Any]:
    """One volume's backup."""
    return {
        "image": result.image,
        **_taken(result),
        "resumed_size": result.resumed_size,
        "unread": [[hole.offset, hole.length] for hole in result.unread],
        "notes": result.notes,
        "warnings": result.warnings,
    }


def image_answer(image: Image) -> dict[str, Any]:
    """A stored image: the fields of its backup, and what was stored with it."""
    return {
        "image": image.id,
        "number": image.number,
        "taken": image.taken,
        **_taken(image),
        "chunk_size": image.chunk_size,
        "map_block_size": image.map_block_size,
        "unread": [[hole.offset, hole.length] for hole in image.unread],
        "notes": image.notes,
        "preferences": image.preferences,
        "made_by": image.made_by,
        "audit": image.audit,
        "origin": image.origin,
        "managed": image.managed,
        "volume_facts": image.volume,
    }


def verified_words(verified: Verified | None) -> str:
    """What is known of an image: ``read 2026-01-31``, ``complete 2026-01-31`` or ``HURT 2026-01-31``."""
    if verified is None:
        return ""
    word = "HURT" if verified.hurt else "read" if verified.read_data else "complete"
    return f"{word} {verified.at[:10]}"


def filesystem_name(volume: VolumeFacts) -> str | None:
    """Its kind, or None."""
    return volume.filesystem.name if volume.filesystem else None


def size_fields(sizes: Sizes) -> dict[str, int]:
    """The six sizes, bytes."""
    return {
        "volume_size": sizes.volume_size,
        "used_size": sizes.used_size,
        "read_size": sizes.read_size,
        "stored_size": sizes.stored_size,
        "image_size": sizes.image_size,
        "cache_peak": sizes.cache_peak,
    }


def _taken(of: BackupResult | Image) -> dict[str, Any]:
    return {
        "volume": of.volume.path,
        "host": of.host,
        "filesystem": filesystem_name(of.volume),
        "mode": of.mode,
        "consistency": of.consistency,
        "whole_volume_because": of.whole_volume_because,
        **size_fields(of.sizes),
        "new_chunks": of.new_chunks,
        "reused_chunks": of.reused_chunks,
        "seconds": of.seconds,
    }
