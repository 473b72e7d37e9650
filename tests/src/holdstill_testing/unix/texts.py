"""What the simulated commands print, and how it is known.

A text cites where it can be read, or it is recalled: then it is on the page docs/explanation/unproven.md with what
would settle it on a real host, and whoever parses it takes it by its words and fails closed.
"""

from __future__ import annotations

import attrs


@attrs.frozen(kw_only=True)
class Text:
    """One answer of one command."""

    system: str
    when: str
    """The command, and in what state of the host."""
    template: str
    code: int = 0
    source: str = ""
    """The public document; empty: recalled."""
    settled_by: str = ""
    """What an administrator types on a real host to see it; only of what is recalled."""
    changes: bool = False
    """Does that change anything? Then it is typed by a person and never run by ours."""

    def __attrs_post_init__(self) -> None:
        if bool(self.source) is bool(self.settled_by):
            raise ValueError(f"{self.system}, {self.when}: either it is cited, or something would settle it")

    @property
    def recalled(self) -> bool:
        """Is there nobody to cite?"""
        return not self.source

    def say(self, **fields: object) -> str:
        """The text for this device, this place ..."""
        return self.template.format(**fields)
