"""Mails as parameters of a statement, and how it is sent."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tests.postgres import Postgres
from wlsmtp import Envelope, MessageError
from wlsmtp.message.content import BytesContent
from wlsmtp.message.mail import Mail
from wlsmtp.outbox.postgres.arrays import array, let_take_arrays
from wlsmtp.outbox.postgres.database import Packed
from wlsmtp.outbox.postgres.sent import telling
from wlsmtp.outbox.schedule import Schedule

ARRAYS: dict[str, list[list[Any]]] = {
    "text": [["a", "", "ü€😀", '"\\{,}\n'], ["same", "same"], ["a", None], [None, None]],
    "bytea": [[b"\0\xff", b"", b"x" * 300_000], [b"same", b"same"], [None, b"x"]],
    "smallint": [[-10, 10, 0], [1, 1], [None, 2]],
    "integer": [[0, -(2**31), 2**31 - 1], [7, 7], [None, 2]],
    "bigint": [[2**40, -1], [2**40, 2**40], [None, 2**40]],
    "double precision": [[1.7e9 + 1e-6, -0.5, 3], [0.25, 0.25], [None, 1e300]],
}


@pytest.mark.parametrize("type", ARRAYS)
def test_postgresql_reads_what_was_packed(postgres: Postgres, type: str) -> None:
    with postgres.connect() as connection, connection.cursor(binary=True) as cursor:
        let_take_arrays(cursor)
        for values in ARRAYS[type]:
            cursor.execute(f"SELECT %(values)s::{type}[]".encode(), {"values": array(type, values)})
            assert cursor.fetchall() == [(values,)]


def test_other_cursors_of_the_connection_are_as_they_were(postgres: Postgres) -> None:
    with postgres.connect() as connection:
        with connection.cursor() as cursor:
            let_take_arrays(cursor)
        assert connection.execute("SELECT %s::bytea", [array("text", ["a"])]).fetchall() == [(array("text", ["a"]),)]


def test_a_statement_is_known_to_be_sent_once_psycopg_waits_for_the_server_alone(postgres: Postgres) -> None:
    left: list[int] = []
    with postgres.connect() as connection:
        with telling(connection, lambda: left.append(connection.pgconn.flush())):
            assert connection.execute("SELECT length(%s)", [b"x" * 5_000_000]).fetchall() == [(5_000_000,)]
        assert left and not any(left)
        connection.execute("SELECT 1")
        assert "wait" not in vars(connection)


def test_a_content_of_another_size_than_it_says_is_refused_rather_than_stored() -> None:
    entry = Schedule().entry(Mail(Envelope("ann@example.com", "bob@example.org"), BytesContent(b"a: b\r\n\r\n")), 0.0)
    assert Packed([entry]) == [entry]
    with pytest.raises(MessageError, match="has 8 octets, and says that it has 9"):
        Packed([replace(entry, size=9)])
