"""Snapshots of UFS on Solaris, by ``fssnap``: the file system stays in use while its image is read."""
