"""What a run holds, written down before it is held, and how it is let go."""
