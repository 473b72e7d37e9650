"""A repository on any storage target: what is stored under which key, to the byte, and how it is shared.

The format is told in docs/reference/repository-format.md; start with ``opening.py``.
"""
