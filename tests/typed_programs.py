"""Programs as users type them, each in a function that is never called: mypy (strict) and pyright read them."""

# ruff: noqa

from __future__ import annotations


def type_send() -> None:
    from wlsmtp import SMTPSession, Receipt, Message

    def send(to: list[str]) -> Receipt:
        with SMTPSession("smtp.example.com", 587, security="tls", username="a", password="b") as session:
            return session.send(Message(sender="a@x.org", to=to, subject="s", text="t"))


def type_send_kwargs() -> None:
    from wlsmtp import SMTPSession

    def f(session: SMTPSession) -> bool:
        receipt = session.send(
            sender="a@x.org",
            to=["b@x.org", ("Bob", "c@x.org")],
            subject="s",
            text="t",
            html="<p>",
            headers={"X": "y"},
            attachments=["a.pdf", ("n.txt", b"x")],
        )
        return bool(receipt) and receipt.queue_id is not None


def type_async() -> None:
    import asyncio
    from wlsmtp import AsyncSMTPSession, Receipt

    async def f() -> list[Receipt]:
        async with AsyncSMTPSession("x") as session:
            return await asyncio.gather(*(session.send(sender="a@x.org", to="b@x.org", text="t") for _ in range(3)))


def type_send_many() -> None:
    from collections.abc import Iterator, Iterable
    from wlsmtp import SMTPSession, Message, Receipt, Envelope

    def rows() -> Iterator[Message]:
        yield Message(sender="a@x.org", to="b@x.org", text="t")

    def f(s: SMTPSession) -> Iterator[Receipt]:
        yield from s.send_many(rows())
        yield from s.send_many([(b"raw", Envelope("a@x.org", ["b@x.org"]))])
        yield from s.send_many([rows().__next__(), b"raw"])


def type_amany() -> None:
    from collections.abc import AsyncIterator
    from wlsmtp import AsyncSMTPSession, Message

    async def rows() -> AsyncIterator[Message]:
        yield Message(sender="a@x.org", to="b@x.org", text="t")

    async def f(s: AsyncSMTPSession) -> int:
        n = 0
        async for receipt in s.send_many(rows()):
            n += len(receipt.accepted)
        return n + len(await s.send_all([Message(sender="a@x.org", to="b@x.org", text="t")]))


def type_merge() -> None:
    import csv
    from wlsmtp import SMTPSession, Message

    def f(s: SMTPSession) -> None:
        letter = Message(sender="a@x.org", subject="x")
        with open("f") as file:
            for receipt in s.send_many(
                letter.merge({"to": row["email"], "text": f"Dear {row['name']}"} for row in csv.DictReader(file))
            ):
                print(receipt.error)


def type_merge_fn() -> None:
    from wlsmtp import SMTPSession, Message

    def make(name: str) -> Message:
        return Message(sender="a@x.org", to=f"{name}@x.org", text="x")

    def f(s: SMTPSession) -> None:
        letter = Message(sender="a@x.org")
        s.send_all(letter.merge([lambda: make("a"), lambda m: m.replace(to="b@x.org")]))


def type_errors() -> None:
    import wlsmtp
    from wlsmtp import SMTPSession, SMTPError, RecipientsRefused

    def f(s: SMTPSession, m: wlsmtp.Message) -> str | None:
        try:
            s.send(m)
        except RecipientsRefused as error:
            return str(error.receipt.refused[0].reply) if error.receipt else None
        except wlsmtp.OutcomeUnknown as error:
            return error.receipt.id if error.receipt else None
        except SMTPError as error:
            if error.temporary and error.retry_after:
                return f"{error.stage} {error.retry_after:.1f}"
            return error.hint
        return None


def type_config() -> None:
    from wlsmtp import SessionConfig, SMTPSession, TLS, PoolLimits, RetryPolicy, Timeouts, Pipelining, Network

    config = SessionConfig(
        server="x",
        security="ssl",
        timeout=30,
        tls=TLS(ca_file="ca.pem", fingerprint="00" * 32),
        pool=PoolLimits(max_connections=3, rate="10/second"),
        retry=RetryPolicy(attempts=3, backoff=2),
        pipelining=Pipelining(max_in_flight=5),
        network=Network(family="ipv4"),
        password="x",
        username="y",
    )
    s = SMTPSession(config, timeout=Timeouts(connect=3))
    port: int = config.port


def type_config_dict() -> None:
    from typing import Any
    from wlsmtp import SMTPSession, SessionConfig

    def f(settings: dict[str, Any]) -> SMTPSession:
        return SMTPSession(**settings)

    SMTPSession.from_env(timeout=3)
    SMTPSession.from_url("smtp://x", username="a", password="b")
    SMTPSession.from_preset("gmail", username="a", password="b")


def type_token() -> None:
    from wlsmtp import SMTPSession

    def token() -> str:
        return "t"

    SMTPSession("x", username="a", token=token)
    SMTPSession("x", username="a", token="t")


def type_atoken() -> None:
    from wlsmtp import AsyncSMTPSession

    async def token() -> str:
        return "t"

    AsyncSMTPSession("x", username="a", token=token)


def type_oauth() -> None:
    from wlsmtp import SMTPSession, RefreshToken, ClientCredentials

    SMTPSession(
        "x",
        username="a",
        token=RefreshToken(token_url="https://x/t", client_id="i", client_secret="s", refresh_token="r"),
    )
    SMTPSession(
        "x", username="a", token=ClientCredentials(token_url="https://x/t", client_id="i", client_secret="s", scope="s")
    )


def type_outbox() -> None:
    from datetime import timedelta, datetime
    from wlsmtp import SMTPSession, Status, Message

    with SMTPSession(
        "x",
        mode="async",
        outbox="sqlite:///q.db",
        on_sent=print,
        on_error=lambda r: print(r.error),
        pace={"*": "10/second"},
    ) as s:
        r = s.send(
            Message(sender="a@x.org", to="b@x.org", text="t"),
            send_at=timedelta(hours=1),
            priority=1,
            idempotency_key="k",
            lane="l",
            expires=3600,
        )
        assert r.status is Status.PENDING
        s.cancel(r.id)
        s.retry(r.id)
        done = r.wait(timeout=3)
        print(done.status, s.status(r.id), s.pending(), s.flush(timeout=2))
        for each in s.receipts():
            print(each.next_attempt)


def type_aoutbox() -> None:
    from wlsmtp import AsyncSMTPSession, Message

    async def f() -> None:
        async with AsyncSMTPSession("x", mode="async") as s:
            r = await s.send(Message(sender="a@x.org", to="b@x.org", text="t"))
            final = await r
            print(final.accepted, await s.cancel(r.id), await s.status(r.id))


def type_listener() -> None:
    from wlsmtp import SMTPSession
    from wlsmtp.events import Event, Sent, Line, listener

    def hear(event: Event) -> None:
        if isinstance(event, Line):
            print(event.who, event.text)

    @listener(Line)
    def lines(event: Line) -> None:
        print(event.text)

    SMTPSession("x", listeners=[hear, lines, print])


def type_hooks() -> None:
    from wlsmtp import SMTPSession, Message, Envelope, Receipt
    from wlsmtp.message.render import Sendable

    def before(message: Sendable, envelope: Envelope) -> Sendable:
        return message

    def after(receipt: Receipt) -> None:
        print(receipt)

    SMTPSession("x", before_send=before, after_send=[after])


def type_attach() -> None:
    from pathlib import Path
    from io import BytesIO
    from wlsmtp import Attachment, Message

    m = Message(
        sender="a@x.org",
        to="b@x.org",
        text="x",
        html='<img src="cid:l">',
        attachments=[
            Attachment.from_path(Path("a")),
            Attachment.inline("l.png", "l"),
            Attachment(b"x", "n.txt"),
            Path("b.pdf"),
            ("n", BytesIO(b"x")),
            ("t.txt", "text"),
        ],
    )
    n: str | None = m.attachments[0].filename


def type_stdlib() -> None:
    from email.message import EmailMessage
    from email.mime.text import MIMEText
    from email import message_from_bytes
    from wlsmtp import SMTPSession

    def f(s: SMTPSession) -> None:
        m = EmailMessage()
        s.send(m)
        s.send(MIMEText("x"))
        s.send(message_from_bytes(b"x"), sender="a@x.org", recipients=["b@x.org"])
        s.send(b"x")
        s.send(bytearray(b"x"))
        s.send_all([m, MIMEText("x")])


def type_stdlib_addr() -> None:
    from email.headerregistry import Address
    from wlsmtp import Message

    Message(sender=Address("Ann", "ann", "x.org"), to=[Address("Bob", "bob", "x.org"), "c@x.org"], cc=("C", "c@x.org"))


def type_replace() -> None:
    from wlsmtp import Message

    def f(m: Message) -> Message:
        return m.replace(subject="x", to=["a@x.org"]).but(html=None)


def type_reply() -> None:
    from wlsmtp import Message

    def f(raw: bytes) -> Message:
        m = Message.reply(raw, sender="a@x.org", text="x", to_all=True)
        return Message.forward(raw, sender="a@x.org", to="b@x.org", text="x") if m else Message.from_eml(raw)


def type_dkim() -> None:
    from wlsmtp import SMTPSession, DKIM

    SMTPSession("x", dkim=DKIM(domain="x.org", selector="s", key="k.pem"))
    SMTPSession("x", dkim=[DKIM(domain="x.org", selector="s", key=b"k")])


def type_dsn() -> None:
    from wlsmtp import SMTPSession, DSN, DeliveryOptions, DeliverBy, RecipientDSN

    o = DeliveryOptions(
        dsn=DSN(notify="failure", ret="headers", recipients=[RecipientDSN(address="b@x.org", notify="never")]),
        deliver_by=DeliverBy(within=60),
        priority=3,
    )
    SMTPSession("x", options=o)
    DSN(notify=["failure", "delay"])
    DSN(notify=("success",))
    DSN(notify={"success"})


def type_transport() -> None:
    from wlsmtp import SMTPSession, Message
    from wlsmtp.transports import MemoryTransport, ConsoleTransport, FailoverTransport

    t = MemoryTransport()
    with SMTPSession(transport=t) as s:
        s.send(Message(sender="a@x.org", to="b@x.org", text="x"))
    print(t.messages[0].content.decode())
    SMTPSession(transport="maildir:///x")


def type_testing() -> None:
    from wlsmtp.testing import SMTPServer, ReceivedMessage

    with SMTPServer(users={"a": "b"}, security="tls") as server:
        server.reply_to("RCPT", "550 no", times=1)
        first: ReceivedMessage = server.messages[0]
        print(first.header("Subject"), first.recipients, server.wait_for_messages(1), server.url, server.port + 1)


def type_pytestfix() -> None:
    from wlsmtp import SMTPSession
    from wlsmtp.testing import SMTPServer

    def test_x(smtp_server: SMTPServer) -> None:
        with SMTPSession(smtp_server.host, smtp_server.port) as s:
            s.send(sender="a@x.org", to="b@x.org", text="x")
        assert smtp_server.messages[0].sender == "a@x.org"


def type_logging() -> None:
    import logging
    from wlsmtp import SMTPSession
    from wlsmtp.contrib.logging import MailHandler

    h: logging.Handler = MailHandler("smtp://x", to=["a@x.org"], sender="b@x.org", subject="x", level=logging.ERROR)
    logging.getLogger().addHandler(MailHandler(SMTPSession("x"), to="a@x.org", sender="b@x.org"))


def type_smtplib() -> None:
    from wlsmtp.contrib.smtplib import SMTP, SMTP_SSL, LMTP
    from email.message import EmailMessage

    with SMTP("x", 25, timeout=3) as c:
        c.starttls()
        c.login("a", "b")
        refused: dict[str, tuple[int, bytes]] = c.sendmail("a@x.org", ["b@x.org"], "x")
        c.send_message(EmailMessage())
        c.quit()


def type_otel() -> None:
    from wlsmtp import SMTPSession
    from wlsmtp.contrib.otel import instrument

    SMTPSession("x", listeners=[instrument()])


def type_django() -> None:
    from wlsmtp.contrib.django import EmailBackend
    from django.core.mail import EmailMessage

    def f() -> int:
        b = EmailBackend(fail_silently=True)
        with b:
            return b.send_messages([EmailMessage("s", "b", "a@x.org", ["b@x.org"])])


def type_fastapi() -> None:
    from collections.abc import AsyncIterator
    from contextlib import asynccontextmanager
    from typing import Any
    from fastapi import FastAPI, Request
    from wlsmtp import AsyncSMTPSession, Receipt

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[dict[str, Any]]:
        async with AsyncSMTPSession.from_env() as mail:
            yield {"mail": mail}

    app = FastAPI(lifespan=lifespan)

    @app.post("/x")
    async def x(request: Request) -> dict[str, Any]:
        mail: AsyncSMTPSession = request.state.mail
        receipt = await mail.send(sender="a@x.org", to="b@x.org", text="x")
        return receipt.as_dict()


def type_pydantic() -> None:
    from pydantic import BaseModel
    from wlsmtp import Receipt

    class Order(BaseModel):
        receipt: Receipt

    def f(r: Receipt) -> str:
        return Order(receipt=r).model_dump_json()


def type_templates() -> None:
    from wlsmtp import Templates, Message, SMTPSession

    t = Templates("templates", sender="a@x.org")
    m: Message = t.message("welcome", to="b@x.org", name="Bob")


def type_invitation() -> None:
    from datetime import datetime, timedelta, UTC
    from wlsmtp import Invitation, Message

    Message(
        sender="a@x.org",
        to="b@x.org",
        text="x",
        calendar=Invitation(start=datetime.now(UTC), end=timedelta(hours=1), summary="x"),
    )


def type_verify() -> None:
    from wlsmtp import SMTPSession

    info = SMTPSession("x").verify()
    print(info.capabilities.extensions.get("SIZE"), info.tls.protocol if info.tls else None, info.mechanism)
    st = SMTPSession("x").statistics()
    print(st.connections_open + 1)


def type_proxy() -> None:
    from wlsmtp import SMTPSession, Proxy, Network
    import socket

    SMTPSession("x", proxy="socks5://x:1")
    SMTPSession("x", proxy=Proxy(scheme="http", host="h", port=1, username="u", password="p"))
    SMTPSession("x", network=Network(local_address="1.2.3.4", connector=lambda h, p: socket.create_connection((h, p))))


def type_sslcontext() -> None:
    import ssl
    from wlsmtp import SMTPSession, TLS

    SMTPSession("x", tls=ssl.create_default_context())
    SMTPSession("x", tls=TLS(context=ssl.create_default_context(), server_hostname="y"))


def type_mechanism() -> None:
    from collections.abc import Generator
    from wlsmtp import SMTPSession
    from wlsmtp.sasl import Mechanism, Proof, Secrets

    def sesame(secrets: Secrets) -> Generator[bytes, bytes, None]:
        yield Proof(b"x")

    SMTPSession("x", username="a", password="b", mechanisms=[Mechanism("X-S", sesame), "PLAIN"])
    SMTPSession("x", username="a", password="b", mechanisms=["PLAIN", "LOGIN"])


def type_wrapper() -> None:
    from typing import Protocol
    from wlsmtp import SMTPSession, Receipt, Message

    class Mailer(Protocol):
        def send(self, message: Message) -> Receipt: ...

    def use(m: Mailer) -> None:
        m.send(Message(sender="a@x.org", to="b@x.org", text="x"))

    use(SMTPSession("x"))


def type_subclass() -> None:
    from typing import Any
    from wlsmtp import SMTPSession, SessionConfig

    class My(SMTPSession):
        def __init__(self, **settings: Any) -> None:
            super().__init__(SessionConfig(server="x", **settings))

    with My(timeout=3) as s:
        reveal: My = s


def type_unpack() -> None:
    from typing import Unpack
    from wlsmtp import SMTPSession
    from wlsmtp.settings.config import SessionKeywords

    def make(server: str, **settings: Unpack[SessionKeywords]) -> SMTPSession:
        return SMTPSession(server, **settings)


def type_messages_fields() -> None:
    from wlsmtp import Message, Address

    m = Message(sender="a@x.org", to="b@x.org")
    names: list[str] = [str(box) for box in m.to]
    subject: str = m.subject
    addrs = [a.domain for a in m.recipients()]
    raw: bytes = m.as_bytes()


def type_status_match() -> None:
    from wlsmtp import Receipt, Status
    from typing import assert_never

    def f(r: Receipt) -> int:
        match r.status:
            case Status.SENT:
                return 1
            case Status.PARTIAL:
                return 2
            case Status.PENDING:
                return 3
            case Status.ERROR:
                return 4
            case Status.UNKNOWN:
                return 5
            case other:
                assert_never(other)
