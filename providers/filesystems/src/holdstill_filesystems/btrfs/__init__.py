"""Used blocks of Btrfs on one device, profiles single and DUP.

On-disk facts: Linux ``include/uapi/linux/btrfs_tree.h`` and ``include/uapi/linux/btrfs.h``, ``fs/btrfs/fs.h``.
"""
