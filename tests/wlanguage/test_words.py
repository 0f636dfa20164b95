"""``ErrorInfo`` speaks WLanguage: no sentence of the library comes through with a word that only the library has."""

from __future__ import annotations

import ast
import builtins
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import wlsmtp
from wlsmtp import errors
from wlsmtp.wlanguage import *
from wlsmtp.wlanguage.errors import failed

PACKAGE = Path(wlsmtp.__file__).parent
NOT_FOR_PROGRAMS = {"testing", "cli", "wlanguage"}


def text_of(node: ast.AST) -> str | None:
    """A text as it reads with something for each value."""
    match node:
        case ast.Constant(value=str(text)):
            return text
        case ast.JoinedStr(values=values):
            return "".join(text_of(value) or "4711" for value in values)
        case ast.BinOp(left=left, op=ast.Add(), right=right):
            return (text_of(left) or "") + (text_of(right) or "")
    return None


def sentences() -> Iterator[str]:
    """What the library may say of a failure: every text of it that has a space."""
    for file in sorted(PACKAGE.rglob("*.py")):
        if NOT_FOR_PROGRAMS.isdisjoint(file.relative_to(PACKAGE).parts):
            tree = ast.parse(file.read_text(encoding="utf-8"))
            documentation = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
            for node in ast.walk(tree):
                text = text_of(node) if id(node) not in documentation else None
                if text and " " in text.strip() and text[:1].isalnum():
                    yield text


SENTENCES = sorted(set(sentences()))
HUMPS = re.compile(r"(?:[A-Z]+[a-z]+){2,}|[A-Z]+[a-z]+[A-Z]+")
NAMES = {name for name in (*wlsmtp.__all__, *dir(builtins)) if HUMPS.fullmatch(name)}
SETTINGS = {name for name in wlsmtp.SessionConfig.model_fields if "_" in name}


def foreign_words(text: str) -> list[str]:
    ours = re.sub(r"Email\w+\([^)]*\)", "", text)
    calls = re.findall(r"\b\w\w+\((?!s\))|\b\w+=|\b__\w+", ours)
    return calls + [word for word in re.findall(r"\w+", ours) if word in NAMES or word in SETTINGS]


def test_there_is_much_to_translate() -> None:
    assert len(SENTENCES) > 400 and sum(bool(foreign_words(sentence)) for sentence in SENTENCES) > 60


KINDS = [errors.ConfigError, errors.MessageError, errors.TLSError, errors.AuthenticationFailed, errors.OutboxError]


@pytest.mark.parametrize("kind", KINDS)
def test_no_sentence_comes_through_with_the_librarys_words(kind: type[errors.SMTPError]) -> None:
    for sentence in SENTENCES:
        failed(kind(sentence, hint=sentence), 25)
        for information in (errMessage, errFullDetails):
            assert not foreign_words(ErrorInfo(information)), (sentence, ErrorInfo(information))


def test_what_has_no_word_of_the_library_is_told_as_it_is() -> None:
    """A general sentence only where there is no other way."""
    plain = [sentence for sentence in SENTENCES if sentence[0].isupper() and not foreign_words(sentence)]
    in_general = []
    for sentence in plain:
        failed(errors.SMTPError(sentence))
        in_general += [sentence] if ErrorInfo() == "The email was not sent." else []
    assert len(in_general) < len(plain) / 10


@pytest.mark.parametrize(
    ("message", "ours"),
    [
        ("The token provider failed (KeyError)", "The function in AuthToken failed"),
        ("The connection could not be opened (gaierror)", "The connection could not be opened"),
        ("to.0: must be a str, not int", "Recipient[1]: must be a character string, not int"),
        ("'first_name=x@example.org' is no address", "'first_name=x@example.org' is no address"),
        (
            "smtp.example.com:25 refused <RetryPolicy(x)@example.org>",
            "smtp.example.com:25 refused <RetryPolicy(x)@example.org>",
        ),
        ("server: is a URL; use SMTPSession.from_url(…)", "ServerAddress: is a URL; give the name of the server alone"),
        (
            "tls.ca_file: a.pem cannot be used ([Errno 2] No such file)",
            "emailParameterCAFile: a.pem cannot be used (No such file)",
        ),
        ("attachments.1: report(final)_v2=x.pdf cannot be read", "The email cannot be sent as it is"),
        (
            "attachments.1: 'report(final)_v2=x.pdf' cannot be read",
            "Attach[2]: 'report(final)_v2=x.pdf' cannot be read",
        ),
        ("The outbox '/var/a.db' is locked by another program", "The spooler '/var/a.db' is locked by another program"),
    ],
)
def test_what_somebody_named_himself_is_kept(message: str, ours: str) -> None:
    failed(errors.MessageError(message))
    assert ErrorInfo() == f"{ours}."


@pytest.mark.parametrize(
    ("hint", "ours"),
    [
        ("Set local_hostname to the DNS name of this machine", None),
        (
            "Check that no firewall blocks port 25; try 587 with security='tls'",
            "Check that no firewall blocks port 25; try 587 with emailOptionSecuredTLS",
        ),
        ("Ask the operator; RetryPolicy(attempts=5) tries more often", "Ask the operator"),
        ("Fill to, cc or bcc", "Fill Recipient, Cc or Bcc"),
        (
            'Give several addresses as a list; a comma in a name needs double quotes: "Example, Ann" <ann@…>',
            'Give each address an element of its own; a comma in a name needs double quotes: "Example, Ann" <ann@…>',
        ),
        ('Install it with: pip install "wlsmtp[smime]"', 'Install it with: pip install "wlsmtp[smime]"'),
    ],
)
def test_advice_that_cannot_be_followed_is_left_out(hint: str, ours: str | None) -> None:
    failed(errors.MessageError("No", hint=hint))
    assert ErrorInfo() == ("No." if ours is None else f"No. {ours}.")
