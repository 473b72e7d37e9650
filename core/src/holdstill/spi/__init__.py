"""What plugins implement. The docstrings are the contract: obligations first, then types.

Everything here is an abstract class, so that a type checker points at the method that is wrong, and so that a
method may be added with a default without breaking a plugin.
"""
