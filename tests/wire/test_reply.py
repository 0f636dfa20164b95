"""Replies are parsed the same in any chunking, sloppy ones too; anything else is refused, and memory is bounded."""

from __future__ import annotations

from contextlib import suppress
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wlsmtp import ProtocolError, Reply
from wlsmtp.results.reply import reply_of
from wlsmtp.wire.reply import MAX_LINE, MAX_LINES, ReplyParser, printable

texts = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=60)
replies = st.builds(Reply, st.integers(200, 599), st.lists(texts, min_size=1, max_size=5).map(tuple))


def octets(reply: Reply, end: bytes = b"\r\n") -> bytes:
    *first, last = reply.lines
    lines = [f"{reply.code}-{text}" for text in first] + [f"{reply.code} {last}"]
    return b"".join(line.encode() + end for line in lines)


def pieces(data: bytes, cuts: list[int]) -> list[bytes]:
    places = [0, *sorted(cut % (len(data) + 1) for cut in cuts), len(data)]
    return [data[start:end] for start, end in pairwise(places)]


@given(
    st.lists(replies, max_size=5),
    st.lists(st.integers(0, 10_000), max_size=20),
    st.sampled_from([b"\r\n", b"\n", b"\r\r\n"]),
)
def test_any_chunking_gives_the_same_replies(said: list[Reply], cuts: list[int], end: bytes) -> None:
    parser = ReplyParser()
    data = b"".join(octets(reply, end) for reply in said)
    heard = [reply for piece in pieces(data, cuts) for reply in parser.feed(piece)]
    assert heard == said and parser.is_empty


_PIECES = [
    b"250 ",
    b"\r\n",
    b"\r\n250 ",
    b"2.0.0 Ok",
    b"250-",
    b"251 ",
    b"450 ",
    b"\r",
    b"\n",
    b"\x80",
    b"\t",
    b"x" * 600,
]


@given(st.lists(st.sampled_from(_PIECES) | st.just(b"250 2.0.0 Ok\r\n"), max_size=12))
def test_replies_that_are_taken_together_are_those_that_come_octet_by_octet(said: list[bytes]) -> None:
    together, one_by_one = ReplyParser(), ReplyParser()
    data = b"".join(said)
    taken = together.take_accepted(data)
    if taken is not None:
        with suppress(ProtocolError):  # in a line whose end has not come
            assert [reply for octet in data for reply in one_by_one.feed(bytes([octet]))] == [*map(reply_of, taken)]
            assert together.pending == one_by_one.pending


def test_a_line_that_is_too_long_is_not_taken_with_others() -> None:
    short = b"250 2.0.0 Ok\r\n" * 500
    assert len(ReplyParser().take_accepted(short) or ()) == 500
    assert ReplyParser().take_accepted(short + b"250 " + b"x" * MAX_LINE + b"\r\n" + short) is None


@given(st.lists(st.binary(max_size=300), max_size=20))
def test_whatever_comes_is_a_reply_or_a_protocol_error(chunks: list[bytes]) -> None:
    parser = ReplyParser()
    try:
        for chunk in chunks:
            for reply in parser.feed(chunk):
                assert 200 <= reply.code <= 599 and all(printable(line.encode()) == line for line in reply.lines)
    except ProtocolError:
        pass


@given(st.lists(st.binary(max_size=5000) | st.just(b"250-x\r\n" * 900), max_size=20))
def test_memory_is_bounded_whatever_comes(chunks: list[bytes]) -> None:
    parser = ReplyParser()
    with suppress(ProtocolError):
        for chunk in chunks:
            list(parser.feed(chunk))
            assert len(parser.pending) <= MAX_LINE + 1


@given(replies, st.sampled_from([b"garbage\r\n", b"650 x\r\n", b"\r\n", b"x" * (MAX_LINE + 2), b"\x15\x03\x01"]))
def test_what_was_said_before_a_mistake_still_counts(said: Reply, mistake: bytes) -> None:
    heard: list[Reply] = []
    with pytest.raises(ProtocolError):
        for reply in ReplyParser().feed(octets(said) + mistake):
            heard.append(reply)  # noqa: PERF402 - extend() would keep nothing when the iterator fails
    assert heard == [said]


@pytest.mark.parametrize("cut", [None, -1, -2, 3])
def test_the_longest_line_is_taken_however_it_is_cut(cut: int | None) -> None:
    data = b"250 ".ljust(MAX_LINE, b"x") + b"\r\n"
    parser = ReplyParser()
    heard = [*parser.feed(data[:cut]), *parser.feed(data[cut:] if cut else b"")]
    assert [len(reply.lines[0]) for reply in heard] == [MAX_LINE - 4]


def test_half_a_reply_is_left_over() -> None:
    parser = ReplyParser()
    assert parser.is_empty
    for half in (b"250-a\r\n", b"2"):
        assert list(parser.feed(half)) == [] and not parser.is_empty
    assert parser.pending == b"2"
    assert list(parser.feed(b"50 b\r\n")) == [Reply(250, ("a", "b"))] and parser.is_empty


@pytest.mark.parametrize(
    ("line", "lines"),
    [
        (b"250\r\n", ("",)),
        (b"250 \r\n", ("",)),
        (b"250\n", ("",)),
        (b"250-STARTTLS\r\r\n250 HELP\r\r\n", ("STARTTLS", "HELP")),
        (b"250\ttab\r\n", ("tab",)),
        (b"250-a\r\n250\r\n", ("a", "")),
        (b"250 a\rb\r\n", ("a\ufffdb",)),
        ("250 \u202egnp.exe".encode() + b"\r\n", ("\ufffdgnp.exe",)),
        ("250 Größe\r\n".encode(), ("Größe",)),
        (b"250 a\x00b\x1b[31m\r\n", ("a\ufffdb\ufffd[31m",)),
        (b"250 \xff\r\n", ("\\xff",)),
    ],
)
def test_sloppy_servers_are_understood(line: bytes, lines: tuple[str, ...]) -> None:
    assert list(ReplyParser().feed(line)) == [Reply(250, lines)]


@pytest.mark.parametrize(
    "data",
    [b"hello\r\n", b"25 x\r\n", b"\r\n", b"099 x\r\n", b"150 x\r\n", b"650 x\r\n", b"250x\r\n", b"250-a\r\n251 b\r\n",
     b"2\xb2\xb3 x\r\n"],
)  # fmt: skip
def test_what_is_no_reply_is_refused(data: bytes) -> None:
    with pytest.raises(ProtocolError):
        list(ReplyParser().feed(data))


@pytest.mark.parametrize(
    "data",
    [
        b"x" * (MAX_LINE + 2),
        b"250-a\r\n" * (MAX_LINES + 1),
        b"250-a\n" * 10_000,
        (b"250-" + b"x" * 4000 + b"\r\n") * 80,
    ],
)
def test_an_endless_reply_is_cut_off(data: bytes) -> None:
    parser = ReplyParser()
    with pytest.raises(ProtocolError, match="more than"):
        for start in range(0, len(data), 100):
            list(parser.feed(data[start : start + 100]))


@pytest.mark.parametrize(
    ("data", "words"),
    [(b"\x15\x03\x01\x00\x02\x02\x0a\n", "security='ssl'"), (b"\x15\x03\x03\x00\x02\x02\x46", "security='ssl'"),
     (b"\x16\x03\x03\x00", "security='ssl'"), (b"HTTP/1.1 400\r\n", "web server"),
     (b"* OK IMAP4rev1\r\n", "IMAP"), (b"+OK POP3\r\n", "POP3"), (b"SSH-2.0-x\r\n", "SSH")],
)  # fmt: skip
def test_other_protocols_are_recognised(data: bytes, words: str) -> None:
    with pytest.raises(ProtocolError) as caught:
        list(ReplyParser().feed(data))
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("code", "text", "enhanced", "rest"),
    [
        (250, "2.1.5 Ok", "2.1.5", "Ok"),
        (550, "5.1.1 No such user", "5.1.1", "No such user"),
        (550, "2.1.1 liar", None, "2.1.1 liar"),
        (250, "2.0.0", "2.0.0", ""),
        (250, "2.10.1000 x", None, "2.10.1000 x"),
        (250, "Ok 2.0.0", None, "Ok 2.0.0"),
        (354, "3.0.0 go", None, "3.0.0 go"),
        (250, "2.\u0661.0 x", None, "2.\u0661.0 x"),
    ],
)
def test_the_enhanced_code_counts_when_its_class_agrees(code: int, text: str, enhanced: str | None, rest: str) -> None:
    reply = Reply(code, (text,))
    assert (None if reply.enhanced is None else str(reply.enhanced)) == enhanced and reply.text == rest


def test_the_enhanced_code_is_taken_from_the_head_of_each_line_only() -> None:
    reply = Reply(550, ("5.7.1 Refused by policy", "5.7.1 of mx.example (Exim 4.97.1 on Linux)", "see RFC 5321"))
    assert reply.text == "Refused by policy of mx.example (Exim 4.97.1 on Linux) see RFC 5321"
    assert str(reply) == f"550 5.7.1 {reply.text}"


@pytest.mark.parametrize("code", [200, 299, 354, 421, 450, 499, 500, 521, 599])
def test_the_class_of_a_reply_is_its_first_digit(code: int) -> None:
    reply = Reply(code)
    answers = [reply.is_positive, reply.is_intermediate, reply.is_transient, reply.is_permanent]
    assert answers == [code // 100 == digit for digit in (2, 3, 4, 5)]


QUEUED = {
    "Postfix": ("2.0.0 Ok: queued as 4XyZ0a1b2c", "4XyZ0a1b2c"),
    "Postfix behind a proxy": ("2.0.0 from MTA(smtp:[127.0.0.1]:10025): 250 2.0.0 Ok: queued as 4XyZ0", "4XyZ0"),
    "brackets": ("2.0.0 Ok: queued as <abc.def@example.com>", "abc.def@example.com"),
    "iCloud": ("2.0.0 Ok: 1234 bytes queued as 4AA1", "4AA1"),
    "Exim": ("OK id=1tEx4m-000000001Ab-3xYz", "1tEx4m-000000001Ab-3xYz"),
    "GMX": ("Requested mail action okay, completed: id=0MKpIi-1ZzZzZ2ABC-00abcd", "0MKpIi-1ZzZzZ2ABC-00abcd"),
    "Stalwart": ("2.0.0 Message queued with id 2af0b3c1d2.", "2af0b3c1d2"),
    "Sendmail": ("2.0.0 4AN8abcd012345 Message accepted for delivery", "4AN8abcd012345"),
    "Proofpoint": ("2.0.0 3abc4def5-1 Message accepted for delivery", "3abc4def5-1"),
    "Gmail": ("2.0.0 OK  1732373598 d9443c01a7336-2129dc131c5sm1.13 - gsmtp", "d9443c01a7336-2129dc131c5sm1.13"),
    "Exchange": ("2.6.0 <a@example.com> [InternalId=4711, Hostname=LO4P.example.com] 1234 bytes in 0.1, 12 KB/sec "
                 "Queued mail for delivery", "4711"),
    "IIS": ("2.6.0 <SRV1abc@example.com> Queued mail for delivery", "SRV1abc@example.com"),
    "Amazon SES": ("Ok 0102018f0a1b2c3d-1a2b3c4d-5e6f-7a8b-9c0d-1e2f3a4b5c6d-000000",
                   "0102018f0a1b2c3d-1a2b3c4d-5e6f-7a8b-9c0d-1e2f3a4b5c6d-000000"),
    "qmail": ("ok 1732373598 qp 1234", "1234"),
    "IronPort": ("ok:  Message 123456 accepted", "123456"),
    "Haraka": ("Message Queued (6A0A0A0A-0A0A-4B0B-8C0C-0D0D0D0D0D0D.1)", "6A0A0A0A-0A0A-4B0B-8C0C-0D0D0D0D0D0D.1"),
    "Mimecast": ("SmtpThread-1-2@uk-mta-1.example Received OK [IdEyRkRbNFOY.uk1]", "IdEyRkRbNFOY.uk1"),
    "Dovecot": ("2.0.0 <bob@example.com> K6m1Hk+abc Saved", "K6m1Hk+abc"),
    "Yandex": ("2.0.0 Ok: queued on sas1-fa9d05dd56ad.qloud-c.yandex.net as 1625576207-wFjz8HcUjq-tifeSO9G",
               "1625576207-wFjz8HcUjq-tifeSO9G"),
    "Microsoft 365": ("2.0.0 OK <XX0PR00MB01@XX0PR00.prod.outlook.com> [Hostname=XX0PR00.prod.outlook.com]",
                      "XX0PR00MB01@XX0PR00.prod.outlook.com"),
    "NetEase": ("Mail OK queued as gzga-smtp-mtada-g0-2,_____wBnVacbPw5nKdjHBA--.60317S5 1728987167",
                "_____wBnVacbPw5nKdjHBA--.60317S5"),
    "NetEase 163": ("Mail OK queued as smtp5,D9GowACHO7RNWNdXmXs1Bw--.9035S2 1473730639",
                    "D9GowACHO7RNWNdXmXs1Bw--.9035S2"),
    "Naver": ("2.0.0 OK EWrUa8QdTPyyzYAWCxTtYQ - nsmtp", "EWrUa8QdTPyyzYAWCxTtYQ"),
    "Naver, with plus": ("2.0.0 OK n8yMoBhvQjKS2aPWW5Vp+g - nsmtp", "n8yMoBhvQjKS2aPWW5Vp+g"),
    "Ethereal": ("Accepted [STATUS=new MSGID=ZO8BDrs4Cney.EXBZcnPdyNjH.7avN-FAAAAmpIr4f.gj7e4YPfAABUQxYg]",
                 "ZO8BDrs4Cney.EXBZcnPdyNjH.7avN-FAAAAmpIr4f.gj7e4YPfAABUQxYg"),
    "Alibaba": ("Data Ok: queued as freedom ###envid=600000068977514582", "600000068977514582"),
    "Alibaba, a constant word": ("Data Ok: queued as freedom", None),
    "another word": ("2.0.0 Ok: queued as Accepted.", None),
    "SendGrid without a digit": ("Ok: queued as nhIMmONaSFOPcTxiixntaA", "nhIMmONaSFOPcTxiixntaA"),
    "Brevo": ("2.0.0 OK: queued as <202601011200.12345678901@smtp-relay.mailin.fr>",
              "202601011200.12345678901@smtp-relay.mailin.fr"),
    "MailHog": ("Ok: queued as 2tNO5vtw8iium72EOzEP16TzYLg1ybYucF6E9wWOU1k=@mailhog.example",
                "2tNO5vtw8iium72EOzEP16TzYLg1ybYucF6E9wWOU1k=@mailhog.example"),
    "Postfix, letters only": ("2.0.0 Ok: queued as ABCDEFABCDE", "ABCDEFABCDE"),
    "Yahoo": ("OK , completed", None),
    "Mailpit": ("2.0.0 Ok: queued", None),
    "aiosmtpd": ("OK", None),
    "Postfix without": ("2.0.0 Ok", None),
    "hMailServer": ("Queued (0.047 seconds)", None),
    "Mailgun": ("Great success", None),
    "a verdict": ("2.0.0 Message accepted as is and treated as spam", None),
    "a promise": ("2.0.0 Message queued for delivery", None),
}  # fmt: skip


@pytest.mark.parametrize(("text", "queue_id"), QUEUED.values(), ids=QUEUED)
def test_the_queue_id_is_found_in_the_words_of_real_servers(text: str, queue_id: str | None) -> None:
    assert Reply(250, (text,)).queue_id == queue_id


@given(st.lists(st.text(), min_size=1).map(tuple))
def test_any_words_can_be_asked(lines: tuple[str, ...]) -> None:
    reply = Reply(250, lines)
    assert isinstance(str(reply), str) and (reply.queue_id is None or reply.queue_id in reply.text)


@pytest.mark.parametrize(
    ("code", "text", "may_pass", "seconds"),
    [
        (550, "5.4.5 Daily user sending limit exceeded. For more information go to https://example.com", True, 3600),
        (554, "5.2.0 STOREDRV.Submission.Exception:SubmissionQuotaExceededException; Failed", True, 3600),
        (550, "5.4.6 Unusual sending activity detected. Please try after sometime.", True, 3600),
        (550, "Domain example.com has exceeded the max emails per hour (150/150 (100%)) allowed", True, 3600),
        (554, "ann@example.com has exceeded its daily relay quota", True, 3600),
        (454, "Throttling failure: Daily message quota exceeded.", True, 3600),
        (550, "5.7.0 Requested action not taken: too many emails per second", True, None),
        (550, "5.7.233 You have exceeded the tenant external recipient rate limit", True, None),
        (454, "Throttling failure: Maximum sending rate exceeded.", True, None),
        (451, "Later", True, None),
        (552, "5.3.4 Your message exceeded the size limits", False, None),
        (554, "5.2.2 mailbox full; STOREDRV.Submission.Exception:QuotaExceededException", False, None),
        (554, "5.2.0 STOREDRV.Submission.Exception:OutboundSpamException; Failed", False, None),
        (550, "5.1.1 <daily@quota.example> unknown", False, None),
        (550, "5.7.1 Rejected, try again later", False, None),
        (250, "2.0.0 Ok, 5 emails per second are left", False, None),
    ],
)
def test_a_limit_of_mail_in_a_time_passes_whatever_the_code(
    code: int, text: str, may_pass: bool, seconds: float | None
) -> None:
    reply = Reply(code, (text,))
    assert reply.may_pass is may_pass and reply.retry_after == seconds


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("4.2.0 <bob@example.org>: Recipient address rejected: Greylisted, try again in 5 minutes", 300),
        ("4.7.1 Greylisting in action, please come back in 00:04:59", 299),
        ("4.7.1 Greylisting in action, please come back in 04:59", 299),
        ("Greylisted for 120 seconds", 120),
        ("4.3.2 System not accepting network messages, retry after 30s", 30),
        ("4.7.0 Try again later in 1 hour", 3600),
        ("4.7.1 Please try again later", None),
        ("4.7.1 Too many messages from 192.0.2.1, see rule 5 min 3", None),
        ("4.7.1 try again in 99999999999999 seconds", None),
    ],
)
def test_the_time_that_a_server_names_is_understood(text: str, seconds: float | None) -> None:
    assert Reply(450, (text,)).retry_after == seconds
    assert Reply(550, (text,)).retry_after is None


@pytest.mark.parametrize("cut", range(1, 26))
def test_accepted_lines_are_taken_wherever_the_octets_are_cut(cut: int) -> None:
    data, parser = b"250 one\r\n250 two\r\n250 ok\r\n", ReplyParser()
    first = parser.take_accepted(data[:cut])
    if first is None:  # no line is complete
        assert cut < len(b"250 one\r\n") and parser.is_empty
    else:
        assert first + (parser.take_accepted(data[cut:]) or []) == [b"250 one", b"250 two", b"250 ok"]
        assert parser.is_empty


@pytest.mark.parametrize(
    "data",
    [
        b"250 ok\r\n550 no\r\n", b"250-ok\r\n", b"250 a\x00\r\n", b"250 a\r\r\n", b"", b"2", b"250 ok\r\nHTTP",
        b"250 ok\r\n\x15\x03", b"250 ok\n250 ok\r\n", b"250 ok\r\n250 " + b"a" * 501,
    ],
)  # fmt: skip
def test_what_is_not_accepted_is_left_as_it_was(data: bytes) -> None:
    parser = ReplyParser()
    assert parser.take_accepted(data) is None
    assert parser.is_empty
