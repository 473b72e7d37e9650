"""What the engine tells and asks while it works. New fields and new events may appear; none changes its meaning."""

from __future__ import annotations

import attrs


@attrs.frozen
class Event:
    """The root of what is told. ``name`` is the ``event`` field of the JSON lines."""

    name = "event"


@attrs.frozen
class StageStarted(Event):
    """A stage of the job begins: ``identify``, ``hold``, ``survey``, ``read``, ``commit``, ``plan``, ``write``,
    ``prove``, ``verify`` ...
    """

    name = "stage"
    stage: str
    subject: str = ""


@attrs.frozen
class Progress(Event):
    """How far a stage is. ``done`` and ``total`` are bytes of the volume; a few a second at most."""

    name = "progress"
    stage: str
    subject: str
    done: int
    total: int
    stored: int = 0
    """Bytes added to the repository so far."""


@attrs.frozen
class Warned(Event):
    """Something the user should know; the job goes on and ends with exit code 3. ``id`` is stable."""

    name = "warning"
    id: str
    message: str
    subject: str = ""


@attrs.frozen
class Noted(Event):
    """Something worth knowing that is not a warning."""

    name = "note"
    message: str
    subject: str = ""


@attrs.frozen
class Question:
    """A decision that only the user can take, as data. ``id`` is stable: scripts answer by it.

    ``facts`` is what a frontend shows beside the text (target, its size, what is on it now).
    """

    id: str
    text: str
    choices: tuple[str, ...] = ("yes", "no")
    default: str = "no"
    facts: dict[str, str] = attrs.field(factory=dict)
