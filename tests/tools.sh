#!/bin/sh
# The programs that the tests drive, each with its Debian package. As root what is missing is installed; otherwise it is named, and
# the tests that need it are skipped. With --check nothing is installed and a missing program is a failure: CI uses that.
set -eu
PATH=$PATH:/usr/sbin:/sbin
packages=""
while read -r program package; do
    command -v "$program" >/dev/null 2>&1 || packages="$packages $package"
done <<'LIST'
mke2fs e2fsprogs
debugfs e2fsprogs
losetup mount
mount mount
fuser psmisc
unshare util-linux
setpriv util-linux
findmnt util-linux
lsblk util-linux
fsfreeze util-linux
sfdisk fdisk
mkfs.xfs xfsprogs
mkfs.btrfs btrfs-progs
mkfs.vfat dosfstools
mcopy mtools
mkfs.exfat exfatprogs
mount.exfat-fuse exfat-fuse
mkntfs ntfs-3g
mkfs.jfs jfsutils
jfs_fsck jfsutils
makefs makefs
partclone.ntfs partclone
fsstat sleuthkit
xz xz-utils
zstd zstd
dmsetup dmsetup
mkfs.f2fs f2fs-tools
pvcreate lvm2
thin_delta thin-provisioning-tools
qemu-system-x86_64 qemu-system-x86
busybox busybox-static
modprobe kmod
udevadm udev
spin spin
gcc gcc
gencat libc6-dev
sshd openssh-server
ssh openssh-client
csh tcsh
ssh-keygen openssh-client
LIST
# What needs a kernel of its own (device-mapper) runs in a virtual machine, with this one.
ls /boot/vmlinuz-* >/dev/null 2>&1 || packages="$packages linux-image-amd64"
[ -n "$packages" ] || exit 0
if [ "${1:-}" = --check ]; then
    echo "missing, and tests need them:$packages" >&2
    exit 1
elif [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
    apt-get update -qq
    # shellcheck disable=SC2086  # a list of words is meant
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $packages >/dev/null
else
    echo "not installed, so their tests are skipped:$packages" >&2
fi
