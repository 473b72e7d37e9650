"""Frozen values that everybody may hold: no I/O, no clock, no logging."""
