"""What S3, its library and the line to it answer, said in the engine's words.

Codes are those of the "List of error codes" in the API Reference of Amazon S3, and what its imitations send.
"""

from __future__ import annotations

from typing import Any, Final

from holdstill.errors import TargetDenied, TargetError, TargetFull
from holdstill_storage.errors import missing

#: the status says what went wrong where a code does not: replies to HEAD have no body
_MISSING: Final = frozenset({"NoSuchKey", "NoSuchVersion", "404", "NotFound"})
_DENIED: Final = frozenset({
    "AccessDenied", "403", "401", "Forbidden", "InvalidAccessKeyId", "SignatureDoesNotMatch", "ExpiredToken",
    "InvalidToken", "RequestTimeTooSkewed", "AllAccessDisabled", "AccountProblem", "AuthorizationHeaderMalformed",
})  # fmt: skip
_FULL: Final = frozenset({"QuotaExceeded", "InsufficientStorage", "XMinioStorageFull", "507"})
#: the same request may succeed in a moment. NoSuchUpload: somebody took our parts for a dead writer's; begin again
_PASSING: Final = frozenset({
    "SlowDown", "RequestTimeout", "InternalError", "ServiceUnavailable", "Throttling", "ThrottlingException",
    "OperationAborted", "ConditionalRequestConflict", "NoSuchUpload", "BadDigest", "IncompleteBody",
    "XAmzContentSHA256Mismatch", "408", "409", "429", "500", "502", "503", "504",
})  # fmt: skip
#: errors of botocore, aiobotocore and aiohttp that are failures of the line; by name, as three libraries have them
_LINE: Final = frozenset({
    "EndpointConnectionError", "ConnectionError", "ConnectTimeoutError", "ReadTimeoutError", "ConnectionClosedError",
    "HTTPClientError", "ResponseStreamingError", "IncompleteReadError", "ClientPayloadError", "ClientConnectionError",
    "ClientOSError", "ServerDisconnectedError", "ServerTimeoutError", "ClientConnectorError", "ContentLengthError",
    "AioReadTimeoutError", "ResponseParserError", "FlexibleChecksumError", "ChecksumMismatchError",
    "SocketTimeoutError", "ConnectionResetError",
})  # fmt: skip
_KEYS: Final = frozenset(
    {"NoCredentialsError", "PartialCredentialsError", "ProfileNotFound", "CredentialRetrievalError"}
)

TAKEN: Final = "PreconditionFailed"
PAST_THE_END: Final = "InvalidRange"
LOCKED: Final = "AccessDenied"


def code_of(error: BaseException) -> str:
    """The service's own code for what went wrong, "" if it was not the service."""
    response = _response(error)
    return str(response.get("Error", {}).get("Code", "")) if response else ""


def _response(error: BaseException) -> dict[str, Any] | None:
    """s3fs raises ordinary errors, caused by what the service said."""
    for each in (error, error.__cause__):
        if isinstance(response := getattr(each, "response", None), dict):
            return response
    return None


def in_our_words(error: Exception, subject: str, doing: str) -> TargetError:
    """What ``error`` means for whoever wanted ``doing``."""
    code, status = code_of(error), _status(error)
    why = _why(error)
    message = f"{doing} failed: {why}"
    if code == "NoSuchBucket":
        return TargetError("there is no such bucket", subject=subject, next_step="make it, or check how it is spelt")
    if code in _MISSING:
        return missing(subject)
    if code in _FULL or status == 507:
        return TargetFull(message, subject=subject, next_step="raise the quota, or choose another target")
    if code in _PASSING or (status >= 500 and status != 501) or status in {408, 429}:
        return TargetError(message, subject=subject, next_step="try again later", retryable=True)
    if code in _DENIED or status in {401, 403}:
        return TargetDenied(message, subject=subject, next_step="check the credentials, and what they may do")
    names = {kind.__name__ for each in (error, error.__cause__) if each for kind in type(each).__mro__}
    if names & _KEYS:
        next_step = "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or name a profile (?profile=NAME)"
        return TargetDenied(message, subject=subject, next_step=next_step)
    passing = bool(names & _LINE) or isinstance(error, TimeoutError | ConnectionError)
    return TargetError(message, subject=subject, next_step="check the endpoint and the network", retryable=passing)


def _status(error: BaseException) -> int:
    response = _response(error)
    return int(response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)) if response else 0


def _why(error: BaseException) -> str:
    if isinstance(error, TimeoutError) and not str(error):
        return "no answer in time"
    response = _response(error)
    if response:
        said = response.get("Error", {})
        return f"{said.get('Message') or 'refused'} ({said.get('Code', '?')})"
    return f"{type(error).__name__}: {error}"
