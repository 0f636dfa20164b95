"""Sends one mail, or two over one connection, with one of the clients, and prints as JSON what the client reported.

The clients are used as their documentation shows it, with the same timeout and the same settings for TLS and login.
"""

from __future__ import annotations

import asyncio
import json
import resource
import smtplib
import ssl
import sys
from collections.abc import Callable
from typing import Any

SENDER = "ann@example.com"


def with_wlsmtp(job: dict[str, Any]) -> Any:
    from wlsmtp import TLS, RetryPolicy, SMTPSession

    options = {"timeout": job["timeout"], "retry": RetryPolicy(attempts=1), "tls": TLS(ca_file=job["ca_file"])}
    if job["tls"]:
        options["security"] = "tls"
    if job["login"]:
        options |= dict(zip(("username", "password"), job["login"], strict=True))
    with SMTPSession(job["host"], job["port"], **options) as session:
        for content in contents(job):
            receipt = session.send(content, sender=SENDER, recipients=job["recipients"])
        return [result.address for result in receipt.refused]


def with_wlsmtp_async(job: dict[str, Any]) -> Any:
    from wlsmtp import TLS, AsyncSMTPSession, RetryPolicy

    options = {"timeout": job["timeout"], "retry": RetryPolicy(attempts=1), "tls": TLS(ca_file=job["ca_file"])}
    if job["tls"]:
        options["security"] = "tls"
    if job["login"]:
        options |= dict(zip(("username", "password"), job["login"], strict=True))

    async def main() -> list[str]:
        async with AsyncSMTPSession(job["host"], job["port"], **options) as session:
            for content in contents(job):
                receipt = await session.send(content, sender=SENDER, recipients=job["recipients"])
            return [result.address for result in receipt.refused]

    return asyncio.run(main())


def with_smtplib(job: dict[str, Any]) -> Any:
    with smtplib.SMTP(job["host"], job["port"], timeout=job["timeout"]) as client:
        if job["tls"]:
            client.starttls(context=ssl.create_default_context(cafile=job["ca_file"]))
        if job["login"]:
            client.login(*job["login"])
        for content in contents(job):
            refused = client.sendmail(SENDER, job["recipients"], content)
        return sorted(refused)


def with_aiosmtplib(job: dict[str, Any]) -> Any:
    import aiosmtplib

    context = ssl.create_default_context(cafile=job["ca_file"]) if job["tls"] else None
    username, password = job["login"] or (None, None)

    async def main() -> list[str]:
        client = aiosmtplib.SMTP(
            hostname=job["host"], port=job["port"], timeout=job["timeout"], start_tls=True if job["tls"] else None,
            tls_context=context, username=username, password=password,
        )  # fmt: skip
        async with client:
            for content in contents(job):
                refused, _ = await client.sendmail(SENDER, job["recipients"], content)
            return sorted(refused)

    return asyncio.run(main())


CLIENTS: dict[str, Callable[[dict[str, Any]], Any]] = {
    "wlsmtp": with_wlsmtp,
    "wlsmtp, asyncio": with_wlsmtp_async,
    "smtplib": with_smtplib,
    "aiosmtplib": with_aiosmtplib,
}


def contents(job: dict[str, Any]) -> list[bytes]:
    body = job["body"].encode("latin-1") * job["repeat"]
    return [b"Subject: %d\r\n\r\n" % number + body for number in range(job["messages"])]


def main() -> None:
    job = json.loads(sys.argv[2])
    if job["memory"]:
        resource.setrlimit(resource.RLIMIT_AS, (job["memory"], job["memory"]))
    told: dict[str, Any]
    try:
        told = {"refused": CLIENTS[sys.argv[1]](job)}
    except Exception as error:
        told = {"error": type(error).__name__, "text": str(error)[:200]}
    told["peak"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    sys.stdout.write(json.dumps(told))


if __name__ == "__main__":
    main()
