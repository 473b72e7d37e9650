"""Snapshots: made, watched, and given back."""
