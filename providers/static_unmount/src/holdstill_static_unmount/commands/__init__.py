"""Mounted volumes held by a system's own commands: AIX, HP-UX, Solaris, here or on a machine that is reached."""
