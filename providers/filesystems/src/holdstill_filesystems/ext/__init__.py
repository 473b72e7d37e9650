"""Used blocks of ext2, ext3 and ext4.

On-disk facts: Linux ``Documentation/filesystems/ext4/`` and the structures it takes from ``fs/ext4/ext4.h`` and
``include/linux/jbd2.h``.
"""
