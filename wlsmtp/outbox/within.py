"""From what a program has for its database to the driver's connection, on which mail is put in its transaction.

SQLAlchemy and Django are recognised by the names of their classes; neither is imported.
"""

from __future__ import annotations

from dataclasses import dataclass
from inspect import isawaitable
from typing import Any

from wlsmtp.errors import ConfigError, Stage

ACCEPTED = (
    "a psycopg 3 connection or cursor, a sqlite3 connection, a Connection or Session of SQLAlchemy 2 (async ones too), "
    "or a connection of Django"
)


@dataclass(frozen=True, slots=True)
class Within:
    """A driver's connection."""

    connection: Any
    may_autocommit: bool = False
    """True if its program knows that outside a transaction each statement is one of its own (Django)."""


async def within_of(given: object) -> Within:
    """Return the driver's connection of ``given``, with its transaction begun where the library would not do so by
    itself. Raises ``ConfigError``."""
    if _is_of(given, "django"):
        return _of_django(given)
    if _is_of(given, "sqlalchemy"):
        return Within(await _of_sqlalchemy(given))
    return Within(given)


def _is_of(given: object, package: str) -> bool:
    return any(kind.__module__.split(".")[0] == package for kind in type(given).__mro__)


def _of_django(given: Any) -> Within:
    if not hasattr(given, "ensure_connection"):
        raise refused(given)
    given.ensure_connection()
    return Within(given.connection, may_autocommit=True)


async def _of_sqlalchemy(given: Any) -> Any:
    connection: Any = given
    if hasattr(given, "get_bind"):  # a session, or a proxy of the session of this thread or task
        connection = given.connection()
        if isawaitable(connection):
            connection = await connection
    if not hasattr(connection, "in_transaction"):
        raise refused(given)
    # What is said to the driver's connection does not begin a transaction of SQLAlchemy, which would not commit it.
    if not connection.in_transaction():
        begun = connection.begin()
        if isawaitable(begun):
            await begun
    if hasattr(connection, "get_raw_connection"):
        return (await connection.get_raw_connection()).driver_connection
    return connection.connection.driver_connection


def refused(given: object) -> ConfigError:
    """Return the error for an object that takes part in no transaction of this outbox."""
    name = f"{type(given).__module__}.{type(given).__qualname__}"
    hint = f"It must be {ACCEPTED}, for the database of the outbox"
    return ConfigError(f"within: {name} cannot be used by this outbox", stage=Stage.SETTINGS, hint=hint)


def not_begun() -> ConfigError:
    """Return the error for a connection on which the mail would be committed at once."""
    hint = "Begin a transaction on it first, or leave out within="
    return ConfigError(
        "within: the connection commits each statement, and no transaction is open", stage=Stage.SETTINGS, hint=hint
    )
