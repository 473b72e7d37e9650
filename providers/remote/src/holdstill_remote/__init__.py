"""Machines without Python, driven from one that has it."""
