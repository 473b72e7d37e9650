"""Whom we are measured against, each as the command lines that its manual would give."""

from __future__ import annotations

import sys
from pathlib import Path

import attrs

HOLDSTILL = Path(sys.executable).with_name("holdstill")


@attrs.frozen
class Peer:
    """``{v}`` volume, ``{r}`` its own empty folder, ``{o}`` the file to restore to, ``{fs}`` the file system."""

    name: str
    prepare: str
    full: str
    again: str | None
    """A second image into the same store; None for who keeps none."""
    restore: str | None
    env: dict[str, str] = attrs.field(factory=dict)


def peers(folder: Path) -> list[Peer]:
    """Ourselves first."""
    own = f"{HOLDSTILL} --repo {{r}}/repo"
    borg = {"BORG_BASE_DIR": str(folder / "borg"), "BORG_RELOCATED_REPO_ACCESS_IS_OK": "yes"}
    restic = {"RESTIC_PASSWORD": "x", "RESTIC_CACHE_DIR": str(folder / "restic")}
    return [
        Peer(
            "holdstill",
            f"{own} init",
            f"{own} backup {{v}}",
            f"{own} backup {{v}}",
            f"{own} restore latest --to-file {{o}}",
            {"HOLDSTILL_STATE": str(folder / "state")},
        ),
        Peer(
            "partclone -a0, zstd -1",
            "true",
            "partclone.{fs} -c -a0 -s {v} -o - 2>/dev/null | zstd -T2 -1 -q -f -o {r}/image",
            None,
            "zstd -dcq {r}/image | partclone.restore -W -C -s - -o {o} 2>/dev/null",
        ),
        Peer(
            "partclone, zstd -1",
            "true",
            "partclone.{fs} -c -s {v} -o - 2>/dev/null | zstd -T2 -1 -q -f -o {r}/image",
            None,
            "zstd -dcq {r}/image | partclone.restore -W -C -s - -o {o} 2>/dev/null",
        ),
        Peer(
            "restic",
            "restic -q -r {r}/repo init",
            "cat {v} | restic -q -r {r}/repo backup --stdin --stdin-filename volume",
            "cat {v} | restic -q -r {r}/repo backup --stdin --stdin-filename volume",
            None,
            restic,
        ),
        Peer(
            "borg (fixed 4 MiB)",
            "borg init -e none {r}/repo",
            "borg create --read-special --chunker-params fixed,4194304 -C zstd,1 {r}/repo::one {v}",
            "borg create --read-special --chunker-params fixed,4194304 -C zstd,1 {r}/repo::two {v}",
            None,
            borg,
        ),
    ]
