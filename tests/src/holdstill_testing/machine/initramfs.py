"""The smallest initial file system that finds its root on the host: busybox, a few modules, and a script."""

from __future__ import annotations

import lzma
import stat
import subprocess
from collections.abc import Iterable
from pathlib import Path
from typing import Final

#: what it takes to see the host's files: each with all that it depends on
_NEEDED: Final = ("virtio_pci", "virtio_blk", "9pnet_virtio", "9p", "overlay")

#: ``/init``: a root whose files are the host's, read-only, under a layer of memory that takes what is written.
#: ``/run/beneath`` shows it without the mounts on it
_INIT: Final = """\
#!/bin/busybox sh
export PATH=/bin
/bin/busybox --install -s /bin
mkdir -p /proc /sys /host /layer /new
mount -t proc proc /proc
while read module; do insmod /modules/$module; done </modules/order
mount -t 9p -o trans=virtio,version=9p2000.L,ro,cache=loose,msize=512000 host /host
mount -t tmpfs -o mode=755 layer /layer
mkdir /layer/upper /layer/work
mount -t overlay -o lowerdir=/host,upperdir=/layer/upper,workdir=/layer/work root /new
mount -t devtmpfs dev /new/dev
mkdir -p /new/dev/pts /new/dev/shm
mount -t devpts pts /new/dev/pts
mount -t proc proc /new/proc
mount -t sysfs sys /new/sys
for folder in dev/shm run tmp; do mount -t tmpfs -o mode=1777 tmpfs /new/$folder; done
mkdir -p /new/run/outside /new/run/beneath
mount -o bind /new /new/run/beneath
mount -t 9p -o trans=virtio,version=9p2000.L,msize=512000 outside /new/run/outside
umount /proc
exec switch_root /new /bin/sh /run/outside/run
"""


def initramfs(modules: Path, busybox: Path) -> bytes:
    """The archive (Documentation/driver-api/early-userspace/buffer-format.rst: newc), with modules of the kernel
    whose folder of modules is ``modules``.
    """
    order = list(_with_dependencies(modules))
    entries: list[tuple[str, int, bytes]] = [
        *((folder, stat.S_IFDIR | 0o755, b"") for folder in ("bin", "modules", "dev")),
        ("bin/busybox", stat.S_IFREG | 0o755, busybox.read_bytes()),
        ("init", stat.S_IFREG | 0o755, _INIT.encode()),
        ("modules/order", stat.S_IFREG | 0o644, "".join(f"{_bare(path)}\n" for path in order).encode()),
        *((f"modules/{_bare(path)}", stat.S_IFREG | 0o644, _unpacked(modules / path)) for path in order),
    ]
    return b"".join(_entry(*entry) for entry in (*entries, ("TRAILER!!!", 0, b"")))


def _with_dependencies(modules: Path) -> Iterable[str]:
    """Their files in the order in which they can be loaded; what is built into the kernel has none."""
    needs = {}
    for line in (modules / "modules.dep").read_text().splitlines():
        path, _, others = line.partition(":")
        needs[path] = others.split()
    by_name = {_bare(path).removesuffix(".ko").replace("-", "_"): path for path in needs}
    wanted = [by_name[name] for name in _NEEDED if name in by_name]
    # modules.dep names the farthest dependency last.
    return dict.fromkeys(part for path in wanted for part in (*reversed(needs[path]), path))


def _bare(path: str) -> str:
    return path.rpartition("/")[2].partition(".ko")[0] + ".ko"


def _unpacked(path: Path) -> bytes:
    content = path.read_bytes()
    match path.suffix:
        case ".xz":
            return lzma.decompress(content)
        case ".zst":
            return subprocess.run(["zstd", "-dc", str(path)], capture_output=True, check=True).stdout
    return content


def _entry(name: str, mode: int, content: bytes) -> bytes:
    fields = (0, mode, 0, 0, 1, 0, len(content), 0, 0, 0, 0, len(name) + 1, 0)
    head = b"070701" + b"".join(b"%08X" % field for field in fields) + name.encode() + b"\0"
    return _padded(head) + _padded(content)


def _padded(part: bytes) -> bytes:
    return part + bytes(-len(part) % 4)
