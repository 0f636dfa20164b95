"""Mechanisms from elsewhere: an object that the user gives as a setting, or an entry point of an installed package in
the group ``wlsmtp.sasl``. Either is used only if the user names it: installing a package shows nobody a password."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

from wlsmtp.errors import ConfigError, Stage
from wlsmtp.sasl.base import Mechanism

GROUP = "wlsmtp.sasl"
"""An entry point's name is that of the mechanism; it leads to a ``Mechanism``, or to a generator function that takes
``Secrets``."""


class OwnMechanism(str):
    """The name of a mechanism that was given as an object."""

    mechanism: Mechanism

    def __new__(cls, mechanism: Mechanism) -> OwnMechanism:
        name = super().__new__(cls, mechanism.name)
        name.mechanism = mechanism
        return name

    def __reduce__(self) -> tuple[type[OwnMechanism], tuple[Mechanism]]:
        return OwnMechanism, (self.mechanism,)


def with_own(value: Any, check: Callable[[Any], Any]) -> Any:
    """Check the names of mechanisms, some of which may be objects, which are kept beside their names."""
    if not isinstance(value, list | tuple):
        return check(value)
    own = [OwnMechanism(one) if isinstance(one, Mechanism) else one for one in value]
    names = check([str(one) if isinstance(one, OwnMechanism) else one for one in own])
    return tuple(one if isinstance(one, OwnMechanism) else name for one, name in zip(own, names, strict=True))


def own(name: str) -> Mechanism | None:
    """Return the object that was given under this name."""
    return name.mechanism if isinstance(name, OwnMechanism) else None


def needs_no_secret(name: str) -> bool:
    """True if it is a mechanism from elsewhere that needs neither password nor token."""
    mechanism = own(name)
    return mechanism is not None and mechanism.needs not in ("password", "token")


@lru_cache(maxsize=64)
def installed(name: str) -> Mechanism | None:
    """Return the mechanism of an installed package. Raises ``ConfigError`` if it cannot be loaded, or is none."""
    from importlib.metadata import entry_points  # to import it takes long

    found = {point.name.upper(): point for point in entry_points(group=GROUP)}.get(name.upper())
    if found is None:
        return None
    try:
        loaded: Any = found.load()
    except Exception as error:
        words = f"mechanisms: {name} of the package {_package(found)} cannot be loaded ({type(error).__name__})"
        raise ConfigError(words, stage=Stage.SETTINGS) from error
    start: Any = loaded
    mechanism = loaded if isinstance(loaded, Mechanism) or not callable(loaded) else Mechanism(name.upper(), start)
    if not isinstance(mechanism, Mechanism) or mechanism.name.upper() != name.upper():
        words = f"mechanisms: the entry point {name} of the package {_package(found)} is not a mechanism of that name"
        raise ConfigError(words, stage=Stage.SETTINGS)
    return mechanism


def _package(point: Any) -> str:
    return str(point.dist.name if point.dist is not None else point.value)
