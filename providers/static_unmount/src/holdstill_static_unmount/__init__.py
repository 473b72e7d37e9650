"""Static and frozen stills of mounted volumes."""
