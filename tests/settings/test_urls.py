"""Transports spelled as text: what is read, what is refused, and that no refusal repeats a secret."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wlsmtp import ConfigError, SessionConfig, SMTPSession
from wlsmtp.settings.urls import MAX_DEPTH, URL, Member, parse_transport

MEMORY = URL("memory", "memory:")


def test_one_transport_is_read_with_its_percent_encoding_undone() -> None:
    url = parse_transport("Web+Hook://ann%40x:p%2Fw%29@host.example:8025/a%20b?x=1&y=&x=%26")
    assert (url.scheme, url.host, url.port, url.path) == ("web+hook", "host.example", 8025, "/a b")
    assert (url.username, url.password) == ("ann@x", "p/w)")
    assert url.options == {"x": ("1", "&"), "y": ("",)}


def test_a_combination_is_read_with_what_stands_before_its_members() -> None:
    url = parse_transport("roundrobin( 3*memory: , failover(memory:,memory:)?retry_after=5,example.org=memory: )")
    assert [member.label for member in url.members] == ["3", "", "example.org"]
    assert [member.url.scheme for member in url.members] == ["memory", "failover", "memory"]
    assert url.members[1].url.members == (Member("", MEMORY), Member("", MEMORY))
    assert url.members[1].url.options == {"retry_after": ("5",)} and url.options == {}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "begin with a scheme"),
        ("s3cret@host", "begin with a scheme"),
        ("pigeon://ann:s3cret@x", "not known; known are smtp:, .*sendmail:"),
        ("failover(smtp://ann:s3cret@x, pigeon://x)", "not known"),
        ("failover()", "begin with a scheme"),
        ("failover(smtp://ann:s3cret@x", "not closed"),
        ("failover(smtp://ann:s3cret@x) x", "nothing but"),
        ("failover(smtp://ann:s3,cret@x)", "begin with a scheme|number|percent"),
        ("failover(smtp://ann:s3(cret@x)", "not closed"),
        ("failover(smtp://ann:s3cret@x:port)", "port"),
        ("failover(smtp://ann:s3cret@)", "must look like"),
        ("failover(smtp://ann:s3cret@x?nonsense=1)", "unknown setting"),
        ("failover(3*smtp://ann:s3cret@x)", "nothing may stand before"),
        ("failover(smtp://x)?retry_after=soon", "number of seconds"),
        ("failover(smtp://x)?s3cret@x", "percent"),
        ("roundrobin(0*smtp://x)", "from 1 to 100"),
        ("roundrobin(x=smtp://x)", "only a weight"),
        ("by_domain(smtp://ann:s3cret@x)", "needs its domain"),
        ("by_domain(a..b=smtp://x)", "routes: .*dot"),
        ("by_domain(a=smtp://x,a=smtp://y)", "twice"),
        ("memory:x", "takes no path"),
        ("memory:?x=1", "takes nothing after"),
        ("maildir:", "must look like maildir:///"),
        ("maildir://var/mail", "takes no host"),
        ("maildir://ann:s3cret@/x", "takes no username"),
        ("eml:///x?mode=1", "knows no mode"),
        ("eml:///x?s3cret=1", "eml knows no option of that name; it takes nothing"),
        ("sendmail://x/y", "takes no host"),
        ("null(memory:)", "takes no members"),
        ("smtp(memory:)", "followed by"),
        ("memory:\n", "control"),
        ("failover(" * (MAX_DEPTH + 1) + "memory:" + ")" * (MAX_DEPTH + 1), "nested"),
    ],
)
def test_what_cannot_work_is_refused_at_once_and_without_its_secrets(text: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words) as caught:
        SMTPSession.from_url(text)
    assert "s3" not in str(caught.value) and "cret" not in str(caught.value)
    assert caught.value.__cause__ is None or "s3" not in str(caught.value.__cause__)


def test_no_repr_has_the_secret_of_a_transport() -> None:
    session = SMTPSession.from_url("failover(smtp://ann:s3cret@x, smtp://x?username=ann&password=s3cret)")
    parsed = session.config.transport
    assert repr(session) == "SMTPSession('failover', security='default')"
    assert all(
        "s3cret" not in text for text in (repr(session), repr(session.config), str(session.config), repr(parsed))
    )


PARTS = st.text(st.characters(codec="utf-8", exclude_categories=["C"]), min_size=1, max_size=12)
SCHEMES = st.sampled_from(["memory", "x", "web+hook", "a.b-c"])


def singles() -> st.SearchStrategy[str]:
    def spell(scheme: str, path: str, value: str) -> str:
        return f"{scheme}:///{quote(path, safe='')}?o={quote(value, safe='')}"

    return st.builds(spell, SCHEMES, PARTS, PARTS)


def combinations(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    members = st.lists(st.tuples(st.sampled_from(["", "7*", "example.org=", "*="]), inner), min_size=1, max_size=3)
    return members.map(lambda given: f"failover({', '.join(label + text for label, text in given)})?o=1")


def spelled(url: URL) -> str:
    options = f"?o={quote(url.options['o'][0], safe='')}"
    if not url.members:
        return f"{url.scheme}:///{quote(url.path.removeprefix('/'), safe='')}{options}"
    labels = {"": "", "7": "7*", "example.org": "example.org=", "*": "*="}
    return f"{url.scheme}({', '.join(labels[one.label] + spelled(one.url) for one in url.members)}){options}"


@given(st.recursive(singles(), combinations, max_leaves=5))
def test_what_is_read_can_be_spelled_again(text: str) -> None:
    assert spelled(parse_transport(text)) == text


@given(st.text(st.sampled_from("failover(),:/?#@=*%smtp 3.\n"), max_size=40))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        assert parse_transport(text).scheme
    except ConfigError as error:
        assert error.stage == "settings"


def test_a_config_takes_a_transport_by_url_or_as_an_object() -> None:
    assert SessionConfig(transport="memory:").transport == MEMORY
    assert SessionConfig.from_env({"WLSMTP_URL": "memory:"}).address == "memory"
    wrong: list[Any] = [7, b"memory:", "pigeon:"]
    for transport in wrong:
        with pytest.raises(ConfigError, match="transport"):
            SessionConfig(transport=transport)
    with pytest.raises(ConfigError, match="must be derived"):
        SMTPSession(transport=type("Other", (), {"deliver": print})())
    with pytest.raises(ConfigError, match="server: is missing"):
        SessionConfig()
