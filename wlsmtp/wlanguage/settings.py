"""Settings of the whole program: the timeout and the parameters. Sessions copy them when they are started."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal
from urllib.parse import quote

from wlsmtp.wlanguage.constants import (
    emailParameterCAFile,
    emailParameterClearPassword,
    emailParameterMode,
    emailParameterOpportunisticTLS,
    emailParameterSpooler,
)
from wlsmtp.wlanguage.errors import WLanguageError, function
from wlsmtp.wlanguage.members import checked, flag, text

__all__ = ["EmailConfigure", "EmailGetTimeOut", "EmailSetTimeOut"]

_UNITS = {"ms": 0.001, "s": 1, "min": 60, "h": 3600, "day": 86400, "days": 86400}
_DURATION = re.compile(r"\s*(?:\d+(?:\.\d+)?\s*(?:ms|s|min|h|days?)\s*)+", re.IGNORECASE)
_PART = re.compile(r"(\d+(?:\.\d+)?)\s*([a-z]+)", re.IGNORECASE)

_PARAMETERS: dict[int, Callable[[object], bool | str]] = {
    emailParameterMode: flag,
    emailParameterCAFile: text,
    emailParameterClearPassword: flag,
    emailParameterOpportunisticTLS: flag,
    emailParameterSpooler: text,
}
_DEFAULTS: dict[int, Any] = {
    emailParameterMode: False,
    emailParameterCAFile: "",
    emailParameterClearPassword: False,
    emailParameterOpportunisticTLS: True,
    emailParameterSpooler: "",
}

_timeout = {"seconds": 600.0}
_parameters = dict(_DEFAULTS)


@function
def EmailSetTimeOut(duration: float | timedelta | str) -> None:
    """Set the longest silence of a server, in seconds, as a ``timedelta`` or as ``"1 s"``, ``"2 min 30 s"``.

    It applies to every stage, including name look-up and connecting, of all sessions started afterwards. Default: ten
    minutes. Raises ``WLanguageError`` for anything but a time greater than 0.
    """
    seconds = _seconds(duration)
    if not 0 < seconds <= 10 * 86400:
        raise WLanguageError("EmailSetTimeOut: must be a time greater than 0, and at most 10 days")
    _timeout["seconds"] = seconds


@function
def EmailGetTimeOut() -> int | float:
    """Return the longest silence of a server, in seconds; a whole number unless a fraction was set."""
    seconds = _timeout["seconds"]
    return int(seconds) if seconds.is_integer() else seconds


@function
def EmailConfigure(parameter: int, value: int | str) -> None:
    """Set a parameter for all sessions started afterwards: ``emailParameterMode`` and its like, see ``constants``.

    Raises ``WLanguageError`` for a parameter or a value that does not exist, and for ``emailParameterMode`` 1 if its
    package is not installed.
    """
    if isinstance(parameter, bool) or not isinstance(parameter, int) or parameter not in _PARAMETERS:
        raise WLanguageError("EmailConfigure: takes emailParameterMode or another emailParameter constant")
    kept = checked(_PARAMETERS[parameter], value, "EmailConfigure")
    if parameter == emailParameterMode and kept and find_spec("certifi") is None:
        words = "emailParameterMode 1 needs the authorities of the certifi package"
        raise WLanguageError(f'EmailConfigure: {words}; install it with: pip install "wlsmtp[certifi]"')
    _parameters[parameter] = kept


def fields() -> dict[str, Any]:
    """Return the parameters as fields of ``SessionConfig``. Raises ``ConfigError``."""
    from wlsmtp.settings.config import TLS
    from wlsmtp.settings.limits import Timeouts

    trust: Literal["bundled", "system"] = "bundled" if _parameters[emailParameterMode] else "system"
    return {
        "timeout": Timeouts.of(_timeout["seconds"]),
        "tls": TLS(trust=trust, ca_file=_parameters[emailParameterCAFile] or None),
        "allow_cleartext_auth": _parameters[emailParameterClearPassword],
        "opportunistic_tls": _parameters[emailParameterOpportunisticTLS],
    }


def outbox(user: str, server: str, port: int) -> str:
    """Return the outbox of an asynchronous session: in memory, or in a file of its own, as every session that uses a
    file sends what is in it."""
    directory = _parameters[emailParameterSpooler]
    if not directory:
        return "memory:"
    return f"sqlite:///{quote(str(Path(directory) / quote(f'{user}@{server}:{port}.db', safe='')))}"


def _seconds(duration: float | timedelta | str) -> float:
    if isinstance(duration, timedelta):
        return duration.total_seconds()
    if isinstance(duration, str) and _DURATION.fullmatch(duration):
        return sum(float(number) * _UNITS[unit.lower()] for number, unit in _PART.findall(duration))
    if isinstance(duration, int | float) and not isinstance(duration, bool):
        return float(duration)
    raise WLanguageError("EmailSetTimeOut: takes seconds, a timedelta, or a text such as '1 s'")
