"""SCRAM (RFC 5802, 7677): both sides prove that they know the password, and neither reveals it. Built on scramp.

The variants with ``-PLUS`` also prove that both sides are ends of the same TLS connection (channel binding). A man in
the middle cannot relay the proof then, not even with a certificate that is trusted by mistake.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from wlsmtp.sasl.base import Confirmed, Exchange, Mechanism, Proof, Secrets, Unusable, unproved

if TYPE_CHECKING:
    from scramp import ScramClient

_HASHES = ("SHA-512", "SHA-256", "SHA-1")


def scram(name: str, secrets: Secrets) -> Exchange:
    """Send the user name, then the proof, then nothing, once the server's own proof was checked.

    Raises ``Unusable`` for a name or password with a character that SASLprep forbids (RFC 4013). Raises
    ``AuthenticationFailed`` for a server that cannot prove that it knows the password. So does one that asks for fewer
    than 4096 rounds, which would make the password easy to guess, or for more than ten million, which would never end.
    """
    from scramp import ScramException

    client = _client(name, secrets)
    try:
        server_first = yield client.get_client_first().encode()
        client.set_server_first(server_first.decode())
        server_final = yield Proof(client.get_client_final().encode())
        if server_final.startswith(b"e="):
            yield Proof()  # the server's error; its reply will report it too
        client.set_server_final(server_final.decode())
    except (ScramException, UnicodeDecodeError) as error:
        raise unproved(name, error, secrets.server) from None  # without the frames that hold the password
    yield Confirmed()


def _client(name: str, secrets: Secrets) -> ScramClient:
    from scramp import ScramClient, ScramException

    # With a binding available, "y" (I could bind, you did not offer it) reveals an attacker who removed the offer (RFC
    # 5802 §6). Without a binding, or if the offer was seen and is not used: "n".
    says_binding = name.endswith("-PLUS") or not secrets.server_binds
    binding = secrets.binding if says_binding else None
    try:
        return ScramClient([name], secrets.username, secrets.password, channel_binding=binding)
    except ScramException:
        words = f"{name} cannot express the user name or the password; PLAIN and LOGIN take any character"
        raise Unusable(words) from None


def rows(*, binds: bool) -> list[Mechanism]:
    """Return SCRAM with each hash, strongest first, with or without channel binding."""
    names = [f"SCRAM-{hash_name}{'-PLUS' if binds else ''}" for hash_name in _HASHES]
    return [
        Mechanism(name, partial(scram, name), module="scramp", extra="scram", binds=binds, is_mutual=True, is_slow=True)
        for name in names
    ]
