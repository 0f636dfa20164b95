"""Which of the common tests fail at which servers by a fault of wlsmtp that is known: strict, so that a cure is noticed."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class KnownFault:
    """A test that fails; what is None stands for any."""

    test: str
    endpoint: str
    reason: str
    refusals: frozenset[str] | None = None
    worlds: frozenset[str] | None = None


KNOWN_FAULTS: tuple[KnownFault, ...] = ()


def known_fault(test: str, endpoint: str, refusal: str | None, world: str) -> str | None:
    """Return why the test fails there, or None."""
    found = (
        fault.reason
        for fault in KNOWN_FAULTS
        if fault.test == test
        and endpoint.startswith(fault.endpoint)
        and (fault.refusals is None or refusal in fault.refusals)
        and (fault.worlds is None or world in fault.worlds)
    )
    return next(found, None)
