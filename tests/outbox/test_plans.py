"""PostgreSQL answers each frequent statement by the index that it is made for, whatever its statistics say: they are as
old as its last ANALYZE, while all mails of an outbox may have changed their state since. It plans each statement with
its values, as none is prepared."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from tests.postgres import Postgres
from wlsmtp import Message, PostgresOutbox, SMTPSession
from wlsmtp.outbox.postgres import schema as migrations
from wlsmtp.outbox.postgres import statements
from wlsmtp.outbox.postgres.database import LEVELS, Text

MAILS = 20_000
COPIED = "priority, created, sender, options, waiting, size, traits, attempts, interruptions, receipt"
IDS = [f"{number:032x}" for number in range(100)]
VALUES = {
    "rows": json.dumps([{"id": id, "status": "sent"} for id in IDS]),
    **{f"given_{name}": [None] * len(IDS) if name in statements.OWN else None for name in statements.GIVEN},
    "given_id": IDS,
    "ids": IDS,
    "levels": [*LEVELS], "starts": [0.0] * len(LEVELS), "limit": 100, "owner": "me", "lease": 60.0, "id": IDS[0],
    "rates": '[{"lane": "*", "step": 0.1, "tolerance": 1}]', "prefix": "", "statuses": ["pending", "sent"],
    "after": IDS[0], "before": 0.0, "keys": IDS, "mail": IDS[0], "mails": IDS[:3], "part": 0, "octets": b"",
    "lock": 0, "channel": "", "notifies": True, "count": 100, "was_due": 0.0, "was_tried": 0,
}  # fmt: skip
"""Values of all parameters."""
INDEXES = {
    "put_mails": {"mails_waiting"},
    "CLAIM": {"mails_waiting", "mails_pkey", "contents_pkey"},
    "CLAIM_IN_LANES": {"mails_lanes", "mails_pkey", "contents_pkey"},
    "CLAIM_IN_FIRST_LANES": {"mails_waiting", "mails_lanes", "mails_pkey", "contents_pkey"},
    "SETTLE": {"mails_pkey", "contents_pkey"},
    "CHANGE": {"mails_pkey"},
    "AGENDA": {"mails_waiting"},
    "AGENDA_IN_LANES": {"mails_lanes"},
    "AGENDA_IN_FIRST_LANES": {"mails_waiting"},
    "GET": {"mails_pkey"},
    "KNOWN": {"mails_pkey", "mails_keys"},
    "PAGE": {"mails_by_status"},
    "NEWEST": {"mails_pkey"},
    "IN_FLIGHT": {"mails_by_status", "mails_deferred", "mails_interrupted"},
    "READ_PART": {"contents_pkey"},
    "DROP_CONTENTS": {"contents_pkey"},
    "ASIDE": {"mails_by_status"},
}
"""The indexes of large tables that each may use. ``LENT``, ``MAKE_DUE`` and ``SHORTEN_WAITS`` are of a reclaim, and
``PURGE`` takes a thousand mails at once: they are rare, and may read everything."""
WHOLE_KEY = re.compile(r"Scan (?:using|on) (?:mails|contents)_pkey.*\n(?!\s+Index Cond:)")
"""An index of ids that is read from one end to the other."""

SORTED = re.compile(r"Bitmap Index Scan on mails_(?:waiting|lanes)")
"""All waiting mail is read, and sorted, for the sake of its first."""


class Plans:
    """An outbox whose mail is changed behind its back."""

    def __init__(self, connection: psycopg.Connection[Any], schema: str) -> None:
        self._connection = connection
        self._schema = schema
        self._text = Text(schema)

    def do(self, statement: str) -> list[Any]:
        cursor = self._connection.execute(statement.replace("{schema}", self._schema).encode())
        return cursor.fetchall() if cursor.description is not None else []

    def add(self, first: int, count: int, **columns: str) -> None:
        given = {"lane": "''", "due": "extract(epoch FROM now())", "status": "'pending'", **columns}
        id, numbers = "lpad(to_hex(number), 32, '0')", f"generate_series({first}, {first + count - 1}) AS number"
        self.do(
            f"INSERT INTO {{schema}}.mails (id, {COPIED}, {', '.join(given)}) "
            f"SELECT {id}, {COPIED}, {', '.join(given.values())} FROM {{schema}}.one, {numbers}"
        )
        self.do(f"INSERT INTO {{schema}}.contents SELECT {id}, 0, repeat('x', 300)::bytea FROM {numbers}")

    def wrong(self) -> dict[str, str]:
        """The statements whose plans use anything else."""
        found = {}
        for name, indexes in INDEXES.items():
            statement = getattr(statements, name)
            explain = b"EXPLAIN " + self._text.of(statement() if callable(statement) else statement)
            plan = "\n".join(line for (line,) in self._connection.execute(explain, VALUES))
            used = set(re.findall(r"(?:Index (?:Only )?Scan (?:Backward )?(?:using|on)|Seq Scan on) (\w+)", plan))
            used = {one for one in used if one.startswith(("mails", "contents"))}
            if used - indexes or SORTED.search(plan) or (name != "NEWEST" and WHOLE_KEY.search(plan)):
                found[name] = plan
        return found


def put_one(postgres: Postgres, schema: str) -> None:
    outbox = PostgresOutbox(postgres.url, schema=schema)
    with SMTPSession("localhost", mode="async", outbox=outbox, outbox_worker=False) as session:
        session.send(Message(sender="ann@example.com", to="bob@example.org", text="Hello"))


@pytest.fixture
def plans(postgres: Postgres) -> Iterator[Plans]:
    schema = postgres.schema()
    put_one(postgres, schema)
    with postgres.connect() as connection:
        found = Plans(connection, schema)
        for table in ("mails", "contents"):
            found.do(f"ALTER TABLE {{schema}}.{table} SET (autovacuum_enabled = false)")
        found.do("CREATE TABLE {schema}.one AS SELECT * FROM {schema}.mails")
        found.do("TRUNCATE {schema}.mails, {schema}.contents")
        yield found


SETTLED = "UPDATE {schema}.mails SET owner = NULL, due = NULL, status = 'sent', finished = extract(epoch FROM now())"


def test_each_statement_uses_its_index(plans: Plans) -> None:
    """By the statistics of before each change of everything, and by those of after it."""

    def check(state: str) -> None:
        assert plans.wrong() == {}, state
        plans.do("ANALYZE {schema}.mails, {schema}.contents")
        assert plans.wrong() == {}, f"{state}; analysed"

    plans.do("ANALYZE {schema}.mails, {schema}.contents")
    plans.add(0, MAILS)
    check("all wait, put just now")
    plans.do("UPDATE {schema}.mails SET owner = 'me'")
    check("one worker has them all")
    plans.do(SETTLED)
    check("all are settled")
    plans.add(MAILS, 100)
    check("some wait behind the settled ones")
    plans.add(2 * MAILS, MAILS, lane="'a'", due="extract(epoch FROM now()) + 1000")
    check("as many wait for their time, in one lane")
    plans.add(3 * MAILS, MAILS, lane="number % 1000")
    check("as many in a thousand lanes")
    plans.do(SETTLED)
    check("all are settled again")
    for state, lane in (("all wait", "''"), ("all wait in a thousand lanes", "number % 1000")):
        plans.do("DELETE FROM {schema}.mails")
        plans.do("DELETE FROM {schema}.contents")
        plans.do("ANALYZE {schema}.mails, {schema}.contents")
        plans.add(0, MAILS, lane=lane)
        check(f"{state}, put after an ANALYZE that found no row in many pages")


CLAIMED_BY = {"priority", "due", "owner", "lane"}
"""The columns by which mail is claimed."""


@pytest.mark.parametrize("view", ["", "CREATE VIEW {schema}.waiting AS SELECT id, due FROM {schema}.mails"])
def test_a_migration_removes_the_statistics_of_the_columns_by_which_mail_is_claimed(
    postgres: Postgres, monkeypatch: pytest.MonkeyPatch, view: str
) -> None:
    """A view on the table does not let it: the mail is migrated all the same."""
    schema = postgres.schema()
    with monkeypatch.context() as patch:
        patch.setattr(migrations, "MIGRATIONS", migrations.MIGRATIONS[:3])
        put_one(postgres, schema)
    with postgres.connect() as connection:
        found = Plans(connection, schema)
        found.do("ANALYZE {schema}.mails")
        if view:
            found.do(view)
        file = found.do(FILE)
        put_one(postgres, schema)
        found.do("ANALYZE {schema}.mails")
        assert found.do(FILE) == file, "the table was not written anew"
        known = {name for (name,) in found.do(f"SELECT attname FROM pg_stats WHERE schemaname = '{schema}'")}
    assert known & CLAIMED_BY == (CLAIMED_BY if view else set()) and "status" in known


FILE = "SELECT pg_relation_filenode('{schema}.mails')"
