"""holdstill: images of volumes while they are in use, put back and proven equal.

The public names. They are looked up when first used, so that importing this package costs nothing.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any, Final

__version__: Final = "0.1.0"

if TYPE_CHECKING:
    from holdstill.access import KeyChain
    from holdstill.engine import Engine
    from holdstill.errors import ExitCode, HoldstillError
    from holdstill.held.state import StateFolder
    from holdstill.jobs import Job
    from holdstill.model.choices import OnNoSnapshot, StaticMethod
    from holdstill.model.compatibility import CompatQuestion, CompatTable, Operation, Verdict
    from holdstill.model.events import Event, Noted, Progress, Question, StageStarted, Warned
    from holdstill.model.extents import Extents
    from holdstill.model.image import Image, Sizes
    from holdstill.model.managed import Managed
    from holdstill.model.named import NamedRequest
    from holdstill.model.requests import (
        BackupRequest,
        CopyRequest,
        ImportRequest,
        OnReadError,
        PruneRequest,
        RestoreRequest,
        VerifyRequest,
    )
    from holdstill.model.results import (
        BackupResult,
        CopyResult,
        Domain,
        Finding,
        Freshness,
        HurtRanges,
        ImageCopy,
        KeyFacts,
        MapResult,
        PruneResult,
        RepositoryFacts,
        RestoreResult,
        Verified,
        VerifyResult,
        Worry,
    )
    from holdstill.model.retention import Fate, Retention, Versions
    from holdstill.model.volume import Consistency, Mode, VolumeFacts
    from holdstill.pipeline.recover import Recovered
    from holdstill.pipeline.survey import SurveyedMap
    from holdstill.plugins.registry import PluginRow
    from holdstill.preferences.converting import Converted
    from holdstill.preferences.said import Unknown
    from holdstill.preferences.schema import Preference
    from holdstill.preferences.sources import Effective
    from holdstill.repository.trial import TargetReport
    from holdstill.spi.checks import HostReport
    from holdstill.spi.conversation import Conversation
    from holdstill.spi.passwords import Passwords

_HOME: Final = {
    "access": ("KeyChain",),
    "engine": ("Engine",),
    "errors": ("ExitCode", "HoldstillError"),
    "held.state": ("StateFolder",),
    "jobs": ("Job",),
    "model.choices": ("OnNoSnapshot", "StaticMethod"),
    "model.compatibility": ("CompatQuestion", "CompatTable", "Operation", "Verdict"),
    "model.events": ("Event", "Noted", "Progress", "Question", "StageStarted", "Warned"),
    "model.extents": ("Extents",),
    "model.image": ("Image", "Sizes"),
    "model.managed": ("Managed",),
    "model.named": ("NamedRequest",),
    "model.requests": (
        "BackupRequest",
        "CopyRequest",
        "ImportRequest",
        "OnReadError",
        "PruneRequest",
        "RestoreRequest",
        "VerifyRequest",
    ),
    "model.results": (
        "BackupResult",
        "CopyResult",
        "Domain",
        "Finding",
        "Freshness",
        "HurtRanges",
        "ImageCopy",
        "KeyFacts",
        "MapResult",
        "PruneResult",
        "RepositoryFacts",
        "RestoreResult",
        "Verified",
        "VerifyResult",
        "Worry",
    ),
    "model.retention": ("Fate", "Retention", "Versions"),
    "model.volume": ("Consistency", "Mode", "VolumeFacts"),
    "pipeline.recover": ("Recovered",),
    "pipeline.survey": ("SurveyedMap",),
    "plugins.registry": ("PluginRow",),
    "preferences.converting": ("Converted",),
    "preferences.said": ("Unknown",),
    "preferences.schema": ("Preference",),
    "preferences.sources": ("Effective",),
    "repository.trial": ("TargetReport",),
    "spi.checks": ("HostReport",),
    "spi.conversation": ("Conversation",),
    "spi.passwords": ("Passwords",),
}
_MODULE_OF: Final = {name: module for module, names in _HOME.items() for name in names}

__all__ = [
    "BackupRequest",
    "BackupResult",
    "CompatQuestion",
    "CompatTable",
    "Consistency",
    "Conversation",
    "Converted",
    "CopyRequest",
    "CopyResult",
    "Domain",
    "Effective",
    "Engine",
    "Event",
    "ExitCode",
    "Extents",
    "Fate",
    "Finding",
    "Freshness",
    "HoldstillError",
    "HostReport",
    "HurtRanges",
    "Image",
    "ImageCopy",
    "ImportRequest",
    "Job",
    "KeyChain",
    "KeyFacts",
    "Managed",
    "MapResult",
    "Mode",
    "NamedRequest",
    "Noted",
    "OnNoSnapshot",
    "OnReadError",
    "Operation",
    "Passwords",
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
    "Unknown",
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
