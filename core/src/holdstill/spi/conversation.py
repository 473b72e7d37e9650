"""How a job talks with whoever started it."""

from __future__ import annotations

from holdstill.model.events import Event, Question


class Conversation:
    """A frontend's ear and voice. This one hears nothing and answers every question with its default.

    All three are called from the job's own thread, but for a warning that this thread is stuck in a call to the
    system, which another one tells meanwhile. None may block for long except ``ask``, and what ``tell`` raises
    ends the job.
    """

    def tell(self, event: Event) -> None:
        """Something happened."""

    def ask(self, question: Question) -> str:
        """A decision is needed: one of ``question.choices``."""
        return question.default

    def cancelled(self) -> bool:
        """Should the job end? Asked many times a second; the job then releases everything and raises ``Cancelled``."""
        return False
