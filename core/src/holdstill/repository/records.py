"""The image record, the void, and their JSON: written and read field by field."""

from __future__ import annotations

from typing import Any, TypeVar

import attrs

from holdstill.errors import Damaged
from holdstill.model.buffers import Buffer
from holdstill.model.image import Audit, Image, Origin, Sizes, Tree, Unread
from holdstill.model.managed import LONGEST_LAYOUT, Managed
from holdstill.model.volume import Consistency, Mode
from holdstill.repository import canonical, envelope, layout
from holdstill.repository.digests import Digests
from holdstill.repository.fields import LARGEST_TEXT, Fields
from holdstill.repository.layout import ObjectKind
from holdstill.repository.volumes import volume_from, volume_json

E = TypeVar("E", Mode, Consistency)


@attrs.frozen
class Void:
    """What stands at the commit key of a number that has no image: fenced, abandoned or forgotten."""

    who: str
    why: str
    at: str
    segments: tuple[str, ...] = ()
    """Keys of the segments that the forgotten image's writer had stored: other images may rely on them."""


@attrs.frozen
class Upkeep:
    """The commit of a writer that stored no image: a prune that repacked, or joined segments."""

    segments: tuple[str, ...]
    replaces: tuple[str, ...] = ()
    """Keys of the segments whose rows were stored anew in these, so that they may be missing."""


@attrs.frozen
class Veiled:
    """An image that we may not read."""

    segments: tuple[str, ...]


Record = Image | Void | Upkeep | Veiled


def seal(digests: Digests, key: str, record: Image | Void | Upkeep) -> list[Buffer]:
    """The parts of the object to store at the commit key ``key``.

    Raises ``Damaged`` for one that nobody could read back: it would be an image in name only.
    """
    if isinstance(record, Image):
        value = canonical.encode(_image_json(record))
        _record_in(ObjectKind.IMAGE, value, key)
        named = canonical.encode({"segments": list(record.segments)})
        return envelope.seal(digests, ObjectKind.IMAGE, key, digests.sealing.veiled(named, value, _veil(key)))
    kind = ObjectKind.VOID if isinstance(record, Void) else ObjectKind.UPKEEP
    value = canonical.encode(attrs.asdict(record))
    _record_in(kind, value, key)
    return envelope.seal(digests, kind, key, value)


def unseal(digests: Digests, key: str, data: bytes) -> Record:
    """What stands at the commit key. Raises ``Damaged`` or ``FormatTooNew``."""
    kind, body = envelope.unseal(digests, data, key, ObjectKind.IMAGE, ObjectKind.VOID, ObjectKind.UPKEEP)
    if kind is not ObjectKind.IMAGE:
        return _record_in(kind, body, key)
    record = _image_under(digests, key, body)
    signer = digests.sealing.write_only(data)
    if not signer or not isinstance(record, Image):
        return record
    note = f"signed by the write-only key {signer[:16]}"
    return attrs.evolve(record, notes=(*record.notes, note), signer=signer)


def _record_in(kind: ObjectKind, value: bytes, key: str) -> Image | Void | Upkeep:
    fields = Fields(canonical.decode(value, key), key)
    record: Image | Void | Upkeep
    if kind is ObjectKind.IMAGE:
        record = _image_from(fields, key)
    elif kind is ObjectKind.VOID:
        record = Void(fields.text("who"), fields.text("why"), fields.text("at"), _segments_from(fields))
    else:
        record = Upkeep(_segments_from(fields), _segments_from(fields, "replaces"))
    fields.done()
    return record


def _image_under(digests: Digests, key: str, body: bytes) -> Image | Veiled:
    try:
        named, value = digests.sealing.unveiled(body, _veil(key))
    except Damaged as damage:
        raise Damaged(damage.message, subject=key) from damage
    image = None if value is None else _record_in(ObjectKind.IMAGE, value, key)
    if named is None and isinstance(image, Image):
        return image
    fields = Fields(canonical.decode(named or b"", key), key)
    veiled = Veiled(_segments_from(fields))
    fields.done()
    if not isinstance(image, Image):
        return veiled
    if image.segments != veiled.segments:
        raise Damaged("it names other segments to those who may only write", subject=key)
    return image


def _veil(key: str) -> bytes:
    """What the readers' part of an image record is bound to."""
    return b"image" + envelope.bound_key(key)


def _image_json(image: Image) -> dict[str, Any]:
    there: dict[str, Any] = {"audit": attrs.asdict(image.audit)} if image.audit else {}
    if image.origin:
        there["origin"] = attrs.asdict(image.origin)
    if image.managed:
        there["managed"] = _managed_json(image.managed)
    return there | {
        "id": image.id,
        "number": image.number,
        "host": image.host,
        "taken": image.taken,
        "volume": volume_json(image.volume),
        "mode": image.mode.value,
        "consistency": image.consistency.value,
        "sizes": attrs.asdict(image.sizes),
        "chunk_size": image.chunk_size,
        "chunks": _tree_json(image.chunks),
        "map": _tree_json(image.map),
        "map_block_size": image.map_block_size,
        "milliseconds": round(image.seconds * 1000),
        "whole_volume_because": image.whole_volume_because,
        "notes": list(image.notes),
        "unread": [attrs.asdict(unread) for unread in image.unread],
        "new_chunks": image.new_chunks,
        "reused_chunks": image.reused_chunks,
        "preferences": dict(image.preferences),
        "segments": list(image.segments),
        "made_by": image.made_by,
    }


def _image_from(fields: Fields, key: str) -> Image:
    image = Image(
        id=fields.hexadecimal("id", 32),
        number=fields.number("number"),
        host=fields.text("host"),
        taken=fields.text("taken"),
        volume=volume_from(fields.below("volume")),
        mode=_choice(fields, "mode", Mode),
        consistency=_choice(fields, "consistency", Consistency),
        sizes=_sizes_from(fields.below("sizes")),
        chunk_size=fields.number("chunk_size", layout.LARGEST_CHUNK),
        chunks=_tree_from(fields.below("chunks")),
        map=_tree_from(fields.below("map")),
        map_block_size=fields.number("map_block_size"),
        seconds=fields.number("milliseconds", 1 << 52) / 1000,
        whole_volume_because=fields.optional_text("whole_volume_because"),
        notes=fields.texts("notes"),
        unread=tuple(_unread_from(each) for each in fields.each("unread")),
        new_chunks=fields.number("new_chunks"),
        reused_chunks=fields.number("reused_chunks"),
        preferences=fields.text_map("preferences"),
        segments=_segments_from(fields),
        made_by=fields.text("made_by"),
        audit=_audit_from(fields.below_if_there("audit")),
        origin=_origin_from(fields.below_if_there("origin")),
        managed=_managed_from(fields.below_if_there("managed")),
    )
    _agrees(image, key)
    return image


def _agrees(image: Image, key: str) -> None:
    """The record must fit its key, and its sizes each other."""
    if key != layout.commit_key(image.number, image.id):
        raise Damaged("it is the record of another image", subject=key)
    size, step = image.volume.size, image.chunk_size
    if image.sizes.volume_size != size or step < 1 or image.chunks.count != -(-size // step):
        raise Damaged("its volume, sizes and chunks do not fit each other", subject=key)
    if any(unread.offset + unread.length > size for unread in image.unread):
        raise Damaged("a range that was not read lies outside the volume", subject=key)


def _tree_json(tree: Tree) -> dict[str, Any]:
    return {"root": tree.root.hex(), "height": tree.height, "count": tree.count}


def _tree_from(fields: Fields) -> Tree:
    tree = Tree(bytes.fromhex(fields.hexadecimal("root", 64)), fields.number("height", 62), fields.number("count"))
    fields.done()
    return tree


def _managed_json(managed: Managed) -> dict[str, Any]:
    return {
        "manager": managed.manager,
        "client": managed.client,
        "facts": dict(managed.facts),
        "layout": _pieces(managed.layout),
    }


def _managed_from(fields: Fields | None) -> Managed | None:
    if fields is None:
        return None
    manager, client, facts = fields.text("manager"), fields.text("client"), fields.text_map("facts")
    pieces = fields.texts("layout")
    layout = "".join(pieces)
    if len(layout) > LONGEST_LAYOUT or _pieces(layout) != list(pieces):
        raise fields.wrong("layout", f"is not in whole pieces, or longer than {LONGEST_LAYOUT} characters")
    fields.done()
    return Managed(manager, client, facts, layout)


def _pieces(text: str) -> list[str]:
    """Texts in a record are bounded, so a long one goes in pieces."""
    return [text[at : at + LARGEST_TEXT] for at in range(0, len(text), LARGEST_TEXT)]


def _sizes_from(fields: Fields) -> Sizes:
    sizes = Sizes(**{name.name: fields.number(name.name) for name in attrs.fields(Sizes)})
    fields.done()
    return sizes


def _unread_from(fields: Fields) -> Unread:
    unread = Unread(fields.number("offset"), fields.number("length"))
    fields.done()
    return unread


def _audit_from(fields: Fields | None) -> Audit | None:
    if fields is None:
        return None
    audit = Audit(fields.text("by"), fields.number("ranges"), fields.number("size"))
    fields.done()
    return audit


def _origin_from(fields: Fields | None) -> Origin | None:
    if fields is None:
        return None
    origin = Origin(fields.hexadecimal("repository", 32), fields.hexadecimal("image", 32))
    fields.done()
    return origin


def _segments_from(fields: Fields, name: str = "segments") -> tuple[str, ...]:
    segments = fields.texts(name)
    if not all(layout.split_segment_key(segment) for segment in segments):
        raise fields.wrong(name, "names something that is no index segment")
    return segments


def _choice(fields: Fields, name: str, kind: type[E]) -> E:
    value = fields.text(name)
    if value not in {choice.value for choice in kind}:
        raise fields.wrong(name, f"is {value!r}, which is unknown")
    return kind(value)
