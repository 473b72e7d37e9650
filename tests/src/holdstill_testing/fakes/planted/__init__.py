"""Fakes with one fault each: what the suites must catch.

Each is the reference fake, wrong in one way; its docstring says in which.
"""
