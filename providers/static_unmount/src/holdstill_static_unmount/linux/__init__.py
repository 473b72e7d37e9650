"""Linux: mounts, freezes and whoever stands in the way."""
