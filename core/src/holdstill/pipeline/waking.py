"""What the user named and is not there may only be asleep."""

from __future__ import annotations

import os
from contextlib import ExitStack

from holdstill.errors import VolumeMissing
from holdstill.model.events import Noted
from holdstill.pipeline.finding import find
from holdstill.plugins.registry import Plugins
from holdstill.spi.conversation import Conversation
from holdstill.spi.still import HoldRequest
from holdstill.spi.volume import Volume


def find_awake(plugins: Plugins, path: str, request: HoldRequest, held: ExitStack, talk: Conversation) -> Volume:
    """The volume behind ``path``; one that is not there is woken if somebody can, for as long as ``held`` lasts. Raises
    ``VolumeMissing``, and what finding and waking raise.
    """
    try:
        return find(plugins, path)
    except VolumeMissing:
        activation = plugins.activate(os.path.abspath(path), request)  # noqa: PTH100  # as ``find`` does
        if activation is None:
            raise
    held.callback(activation.put_back)
    talk.tell(Noted(activation.said, path))
    return find(plugins, path)
