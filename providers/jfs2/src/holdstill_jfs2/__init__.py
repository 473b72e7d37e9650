"""JFS2 of AIX, held while it stays in use: snapshots, and freezes that are renewed."""
