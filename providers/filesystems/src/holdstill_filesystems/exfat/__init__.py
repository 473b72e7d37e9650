"""Used blocks of exFAT.

On-disk facts: Microsoft "exFAT file system specification" (revision 1.00), by section.
"""
