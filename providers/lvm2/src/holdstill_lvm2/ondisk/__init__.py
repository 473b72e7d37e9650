"""LVM1 and LVM2 as they lie on disks, read from the bytes alone; every byte is hostile."""
