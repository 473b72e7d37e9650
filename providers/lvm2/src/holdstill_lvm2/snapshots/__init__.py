"""Snapshots: made, read, watched and removed with the tools of lvm2."""
