"""A virtual machine with this host's own files as its root, for what needs a kernel of its own (device-mapper, LVM)."""
