"""Which blocks a file system uses, read from the device alone. A plugin of holdstill."""
