"""NTFS: which clusters are used, from its own bitmap."""
