"""Probes a server on demand, without mail, with commands that have no effect: NOOP, RSET, a group of RSETs, and a
refused chunk (RFC 5321 §4.1.1, RFC 2920, RFC 3030)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from wlsmtp.errors import SMTPError, Stage
from wlsmtp.smtp import judge
from wlsmtp.smtp.probes import ChunkProbe
from wlsmtp.smtp.quirks import Trust
from wlsmtp.wire import command

if TYPE_CHECKING:
    from collections.abc import Iterable

    from wlsmtp.results.reply import Reply
    from wlsmtp.smtp.deadlines import Deadlines
    from wlsmtp.smtp.link import Link
    from wlsmtp.smtp.quirks import ServerQuirks
    from wlsmtp.wire.extensions import Capabilities

LONGEST = 3.0
"""Seconds to wait for the answer to one probe. A server that has read a group answers it at once."""


@dataclass(frozen=True, slots=True)
class Question:
    """Probes one behaviour over a connection that no other sender uses."""

    behaviour: str
    ask: Callable[[Link, float], Awaitable[Trust]]
    extensions: tuple[str, ...] = ()
    """Extensions that the server must offer."""
    needs: tuple[str, ...] = ()
    """Behaviours that must not be broken."""
    losses: int | None = None
    """Number of connections that must be lost at this probe for it to count as failed; None: losses say nothing."""

    def is_due(self, found: dict[str, Trust], capabilities: Capabilities) -> bool:
        """Return whether this probe is worth running."""
        is_offered = all(name in capabilities.extensions for name in self.extensions)
        is_sensible = all(found[name] is not Trust.BROKEN for name in self.needs)
        return is_offered and is_sensible and found[self.behaviour] is Trust.UNPROVEN

    async def put(self, link: Link, now: float, deadlines: Deadlines) -> Trust | None:
        """Run the probe and return the result; None if the connection was lost, which ends the link."""
        try:
            return await self.ask(link, min(deadlines("command"), now + LONGEST))
        except SMTPError as error:
            link.end(error.message)
            return None
        except BaseException:
            link.end("interrupted")
            raise


async def _noop(link: Link, deadline: float) -> Trust:
    reply = await link.ask(Stage.NOOP, command.NOOP, deadline)
    return Trust.UNPROVEN if reply.is_transient else _trust(reply.is_positive)


async def _reset(link: Link, deadline: float) -> Trust:
    return _answered([await link.ask(Stage.RSET, command.RSET, deadline)])


async def _group(link: Link, deadline: float) -> Trust:
    for _ in range(2):
        link.show("RSET")
    expectation = link.queue_all(command.RSET * 2, (Stage.RSET,) * 2)
    await link.flush(deadline)
    await link.reply(expectation, deadline)
    return _answered(expectation.replies)


async def _chunk(link: Link, deadline: float) -> Trust:
    for line in ChunkProbe.OCTETS.decode("ascii").splitlines():
        link.show(line)
    probe = ChunkProbe()
    link.queue_expecting(ChunkProbe.OCTETS, probe)
    await link.flush(deadline)
    await link.reply(probe, deadline)
    return Trust.UNPROVEN if _any_closes(probe.replies) else _trust(probe.is_swallowed)


def _answered(replies: Iterable[Reply]) -> Trust:
    return Trust.UNPROVEN if _any_closes(replies) else _trust(all(reply.is_positive for reply in replies))


def _any_closes(replies: Iterable[Reply]) -> bool:
    return any(judge.is_closing(reply) for reply in replies)


def _trust(works: bool) -> Trust:
    return Trust.PROVEN if works else Trust.BROKEN


QUESTIONS = (
    Question("noop", _noop),
    Question("rset", _reset),
    Question("groups", _group, ("PIPELINING",), ("rset",), losses=2),
    Question("swallows_chunk", _chunk, ("PIPELINING", "CHUNKING"), ("rset", "groups"), losses=1),
)
"""The probes, in the order in which they run."""


def known(quirks: ServerQuirks) -> dict[str, Trust]:
    """Return what the session already knows about the behaviours that can be probed."""
    return {question.behaviour: getattr(quirks, question.behaviour) for question in QUESTIONS}


def keep(quirks: ServerQuirks, behaviour: str, trust: Trust, offered: tuple[str, ...]) -> None:
    """Store a result in the session; it was found over a connection that ``offered`` these extensions. An answered
    group of RSETs does not prove that a group with an envelope works: only a message shows that."""
    if behaviour == "swallows_chunk":
        if trust is not Trust.UNPROVEN:
            quirks.chunk_answered(trust, offered)
    elif behaviour != "groups" or trust is Trust.BROKEN:
        setattr(quirks, behaviour, trust)
