"""Volumes of AIX, HP-UX and Solaris, known by the systems' own commands, here or on a machine that is reached."""
