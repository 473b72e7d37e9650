"""The engine: images of volumes while they are in use, put back and proven equal."""
