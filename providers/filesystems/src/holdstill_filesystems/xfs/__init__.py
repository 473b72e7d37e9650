"""Used blocks of XFS, versions 4 and 5.

On-disk facts: Linux ``fs/xfs/libxfs/xfs_format.h`` and ``xfs_log_format.h`` (6.18). Everything is big-endian, but the
items in the log, which are as the host had them.
"""
