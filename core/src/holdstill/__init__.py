"""holdstill: images of volumes while they are in use, put back and proven equal.

The public names. They are looked up when first used, so that importing this package costs nothing.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any, Final

__version__: Final = "0.1.0"

if TYPE_CHECKING:
    from holdstill.engine import Engine, RepositoryFacts, SurveyedMap
    from holdstill.errors import ExitCode, HoldstillError
    from holdstill.held.state import StateFolder
    from holdstill.jobs import Job
    from holdstill.model.choices import OnNoSnapshot, StaticMethod
    from holdstill.model.events import Event, Noted, Progress, Question, StageStarted, Warned
    from holdstill.model.extents import Extents
    from holdstill.model.image import Image, Sizes
    from holdstill.model.requests import BackupRequest, OnReadError, PruneRequest, RestoreRequest, VerifyRequest
    from holdstill.model.results import (
        BackupResult,
        Finding,
        Freshness,
        HurtRanges,
        MapResult,
        PruneResult,
        RestoreResult,
        Verified,
        VerifyResult,
        Worry,
    )
    from holdstill.model.retention import Retention, Verdict, Versions
    from holdstill.model.volume import Consistency, Mode, VolumeFacts
    from holdstill.pipeline.recover import Recovered
    from holdstill.plugins.registry import PluginRow
    from holdstill.preferences.schema import Preference
    from holdstill.preferences.sources import Effective
    from holdstill.repository.trial import TargetReport
    from holdstill.spi.conversation import Conversation

_HOME: Final = {
    "engine": ("Engine", "RepositoryFacts", "SurveyedMap"),
    "errors": ("ExitCode", "HoldstillError"),
    "held.state": ("StateFolder",),
    "jobs": ("Job",),
    "model.choices": ("OnNoSnapshot", "StaticMethod"),
    "model.events": ("Event", "Noted", "Progress", "Question", "StageStarted", "Warned"),
    "model.extents": ("Extents",),
    "model.image": ("Image", "Sizes"),
    "model.requests": ("BackupRequest", "OnReadError", "PruneRequest", "RestoreRequest", "VerifyRequest"),
    "model.results": (
        "BackupResult",
        "Finding",
        "Freshness",
        "HurtRanges",
        "MapResult",
        "PruneResult",
        "RestoreResult",
        "Verified",
        "VerifyResult",
        "Worry",
    ),
    "model.retention": ("Retention", "Verdict", "Versions"),
    "model.volume": ("Consistency", "Mode", "VolumeFacts"),
    "pipeline.recover": ("Recovered",),
    "plugins.registry": ("PluginRow",),
    "preferences.schema": ("Preference",),
    "preferences.sources": ("Effective",),
    "repository.trial": ("TargetReport",),
    "spi.conversation": ("Conversation",),
}
_MODULE_OF: Final = {name: module for module, names in _HOME.items() for name in names}

__all__ = [
    "BackupRequest",
    "BackupResult",
    "Consistency",
    "Conversation",
    "Effective",
    "Engine",
    "Event",
    "ExitCode",
    "Extents",
    "Finding",
    "Freshness",
    "HoldstillError",
    "HurtRanges",
    "Image",
    "Job",
    "MapResult",
    "Mode",
    "Noted",
    "OnNoSnapshot",
    "OnReadError",
    "PluginRow",
    "Preference",
    "Progress",
    "PruneRequest",
    "PruneResult",
    "Question",
    "Recovered",
    "RepositoryFacts",
    "RestoreRequest",
    "RestoreResult",
    "Retention",
    "Sizes",
    "StageStarted",
    "StateFolder",
    "StaticMethod",
    "SurveyedMap",
    "TargetReport",
    "Verdict",
    "Verified",
    "VerifyRequest",
    "VerifyResult",
    "Versions",
    "VolumeFacts",
    "Warned",
    "Worry",
    "__version__",
]


def __getattr__(name: str) -> Any:  # noqa: ANN401  # any public name
    if name not in _MODULE_OF:
        raise AttributeError(f"module 'holdstill' has no attribute {name!r}")
    return getattr(importlib.import_module(f"holdstill.{_MODULE_OF[name]}"), name)


def __dir__() -> list[str]:
    return __all__
