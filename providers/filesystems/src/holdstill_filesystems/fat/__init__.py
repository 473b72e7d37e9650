"""Used blocks of FAT12, FAT16 and FAT32.

On-disk facts: Microsoft "FAT: General Overview of On-Disk Format" 1.03, and Linux ``include/uapi/linux/msdos_fs.h``.
"""
