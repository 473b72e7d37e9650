"""What a volume is on each system: devices, sizes, mounts, holders; readers and writers. A plugin of holdstill."""
