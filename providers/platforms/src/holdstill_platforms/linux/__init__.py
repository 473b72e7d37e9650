"""Linux: block devices, loop-mounted and plain files, as sysfs, mountinfo and a few ioctls tell of them."""
