"""Online images of LVM2 volumes; LVM1 and LVM2 on disk."""
