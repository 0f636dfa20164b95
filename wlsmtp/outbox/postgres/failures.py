"""The meaning of PostgreSQL's errors for an outbox, by SQLSTATE (PostgreSQL, appendix A)."""

from __future__ import annotations

import re

import psycopg

from wlsmtp.outbox.postgres.schema import GRANT

READ_ONLY = "25006"
_PASSING = frozenset({READ_ONLY, "25P03"})
"""A server that is (or became) a standby, and a session that was ended while it was idle in a transaction."""
_ROLLED_BACK = frozenset({"40001", "40P01"})
"""A transaction that failed for the sake of another one: a serialization failure, and a deadlock."""

HINTS = {
    READ_ONLY: "The server is a standby, or the role has default_transaction_read_only = on",
    "57014": "The role, the database or an administrator allows it no more time (statement_timeout)",
    "55P03": "Another session has locked the tables for longer than the role may wait (lock_timeout)",
    "25P03": "A large content took longer than the role may be idle in a transaction "
    "(idle_in_transaction_session_timeout)",
    "42501": GRANT,
    "22P05": "Make a database with ENCODING 'UTF8' for the outbox",
}
_TOO_MANY = re.compile("too many c|connection slots")
"""SQLSTATE 53300, which libpq does not tell while it connects."""
_HINT_OF_TOO_MANY = "A program has up to three connections: allow more of them, or put pgbouncer in front"
_WRONG_PASSWORD = re.compile(
    "password authentication failed|Passwort-Authentifizierung .*fehlgeschlagen|autentificación password falló|"
    "authentification par mot de passe échouée|autenticazione con password fallita|パスワード認証に失敗|"
    "password 인증을 실패|не прошёл проверку подлинности|Lösenordsautentisering misslyckades|"
    "не пройшов автентифікацію за допомогою пароля|Password 认证失败|პაროლით ავთენტიფიკაცია .*ვერ მოხერხდა"
)
"""SQLSTATE 28P01 in the languages of the server, for the same reason."""
_HINT_OF_PASSWORD = "Correct the password: in the connection string, in PGPASSWORD or in ~/.pgpass"


class Unreachable(psycopg.OperationalError):
    """No connection is available."""

    wants_password = False
    """True if the server refused the password, or was given none."""

    @classmethod
    def of(cls, failure: psycopg.OperationalError) -> Unreachable:
        """Return the error for a connection that could not be made."""
        error = cls(str(failure))
        has_none = failure.pgconn is not None and failure.pgconn.needs_password
        error.wants_password = has_none or _WRONG_PASSWORD.search(str(failure)) is not None
        return error


def is_passing(failure: BaseException) -> bool:
    """Return whether the same may succeed later, over another connection."""
    if isinstance(failure, Unreachable):
        return not failure.wants_password
    return isinstance(failure, psycopg.OperationalError) or getattr(failure, "sqlstate", None) in _PASSING


def is_lost(failure: psycopg.Error) -> bool:
    """Return whether the connection was lost: the statement may have been executed or not."""
    state = failure.sqlstate
    return not isinstance(failure, Unreachable) and (state is None or state.startswith(("08", "57P")))


def is_rolled_back(failure: psycopg.Error) -> bool:
    """Return whether nothing was done, and the same may succeed at once."""
    return failure.sqlstate in _ROLLED_BACK


def hint_of(failure: BaseException) -> str | None:
    """Return what can be done about an error."""
    if isinstance(failure, Unreachable):
        if failure.wants_password:
            return _HINT_OF_PASSWORD
        return _HINT_OF_TOO_MANY if _TOO_MANY.search(str(failure)) else None
    return HINTS.get(getattr(failure, "sqlstate", None) or "")
