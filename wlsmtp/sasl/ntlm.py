"""NTLM ([MS-NLMP] in [MS-SMTPNTLM]): Windows accounts without Kerberos. Built on pyspnego."""

from __future__ import annotations

from wlsmtp.sasl.base import Exchange, Proof, Secrets, Unusable, unproved


def ntlm(secrets: Secrets) -> Exchange:
    r"""Negotiate, then answer the server's challenge (NTLMv2); ``DOMAIN\user`` names a domain."""
    import spnego

    try:
        context = spnego.client(
            secrets.username, secrets.password, hostname=secrets.host, service="smtp", protocol="ntlm",
            options=spnego.NegotiateOptions.use_ntlm,
        )  # fmt: skip
        offer = context.step()
    except Exception as error:  # any exception; nothing was sent yet
        raise Unusable(f"NTLM cannot be used here: {error}") from None
    challenge = yield offer or b""
    try:
        answer = context.step(challenge)
    except Exception as error:  # a malformed challenge may raise any exception
        raise unproved("NTLM", error, secrets.server) from None
    yield Proof(answer or b"")
