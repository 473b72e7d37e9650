"""Used blocks of UFS1, as Solaris has it on SPARC (big-endian) and x86 (little-endian), and as the BSDs have it.

On-disk facts: illumos ``usr/src/uts/common/sys/fs/ufs_fs.h``.
"""
