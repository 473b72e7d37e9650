"""JFS of Linux and OS/2: which blocks are used, from its block allocation map.

``xtree`` and ``allocation`` take the byte order from the layouts they are given: the JFS2 of AIX writes the same
trees and pages with the other one.
"""
