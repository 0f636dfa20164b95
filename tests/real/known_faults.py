"""The common tests that fail at some server by a known fault of wlsmtp: strictly, so that a cure is noticed."""

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


_NEXT, _FIFTY = "test_after_a_refusal_the_next_message_goes_through", "test_fifty_messages_with_refusals_among_them"
_EIGHT, _BYTES = "test_eight_senders_share_a_session", "test_a_message_arrives_byte_for_byte"
_OPENED, _FORGED = "test_a_session_is_opened_and_verified", "test_the_body_of_a_refused_message_gives_no_commands"

_KEPT = "Postfix keeps the envelope after a refusal at the end of DATA, and no RSET is sent before the next MAIL"
_NOOP = "a server without NOOP is taken for one that refuses to be used"
_CHUNK = "BDAT is sent ahead of the replies to RCPT to a server that does not read the chunk of a BDAT that it refuses"
_GROUP = "messages are sent behind content to a server that throws them away"

_AT_DOT = frozenset({"rejectdot", "deferdot"})

KNOWN_FAULTS: tuple[KnownFault, ...] = (
    KnownFault(_NEXT, "Postfix 3.7, no CHUNKING", _KEPT, refusals=_AT_DOT),
    KnownFault(_FIFTY, "Postfix 3.7, no CHUNKING", _KEPT),
    KnownFault(_EIGHT, "Postfix 3.7, no CHUNKING", _KEPT),
    KnownFault(_BYTES, "Twisted", _NOOP),
    KnownFault(_OPENED, "Twisted", _NOOP),
    KnownFault(_FIFTY, "go-smtp 0.21", _CHUNK),
    KnownFault(_FORGED, "go-smtp 0.21", _CHUNK),
    KnownFault(_FIFTY, "chasquid 1.11", _GROUP),
    KnownFault(_EIGHT, "chasquid 1.11", _GROUP),
)


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
