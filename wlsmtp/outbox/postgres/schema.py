"""The tables of an outbox in PostgreSQL, and their migrations.

A mail is one row and its content has rows of its own, which are deleted once it was sent: looking for work never reads
a content. Each worker has one row with its lease and its number of mails in flight, so that a renewal is one update,
whatever it has.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import Any

from psycopg import Connection, errors

from wlsmtp.errors import OutboxError, Stage

MIGRATIONS = (
    """
    CREATE TABLE {schema}.mails (
        id text COLLATE "C" PRIMARY KEY,
        key text COLLATE "C",
        status text COLLATE "C" NOT NULL,
        priority smallint NOT NULL,
        due double precision,
        owner text COLLATE "C",
        set_aside double precision,
        created double precision NOT NULL,
        expires double precision,
        finished double precision,
        sender text NOT NULL,
        options text,
        waiting text NOT NULL,
        size bigint NOT NULL,
        traits smallint NOT NULL,
        attempts integer NOT NULL,
        interruptions integer NOT NULL,
        receipt text NOT NULL
    ) WITH (fillfactor = 80, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 1000,
            autovacuum_analyze_scale_factor = 0.05, autovacuum_vacuum_cost_delay = 0);
    CREATE TABLE {schema}.contents (
        mail text COLLATE "C" NOT NULL,
        part integer NOT NULL,
        octets bytea NOT NULL,
        PRIMARY KEY (mail, part)
    ) WITH (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 1000,
            autovacuum_vacuum_cost_delay = 0);
    ALTER TABLE {schema}.contents ALTER COLUMN octets SET STORAGE EXTERNAL;
    CREATE TABLE {schema}.workers (
        owner text COLLATE "C" PRIMARY KEY,
        lease double precision NOT NULL,
        lent integer NOT NULL
    ) WITH (fillfactor = 20, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 500);
    CREATE UNIQUE INDEX mails_keys ON {schema}.mails (key) WHERE key IS NOT NULL;
    CREATE INDEX mails_waiting ON {schema}.mails (priority, due) WHERE due IS NOT NULL AND owner IS NULL;
    CREATE INDEX mails_lent ON {schema}.mails (owner) WHERE owner IS NOT NULL;
    CREATE INDEX mails_by_status ON {schema}.mails (status, id);
    CREATE INDEX mails_finished ON {schema}.mails (finished) WHERE finished IS NOT NULL;
    """,
    """
    ALTER TABLE {schema}.mails ADD COLUMN lane text COLLATE "C" NOT NULL DEFAULT '';
    CREATE TABLE {schema}.lanes (
        lane text COLLATE "C" PRIMARY KEY,
        tat double precision NOT NULL
    ) WITH (fillfactor = 20, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 500);
    CREATE INDEX mails_lanes ON {schema}.mails (priority, lane, due) WHERE due IS NOT NULL AND owner IS NULL;
    """,
    """
    DROP INDEX {schema}.mails_by_status;
    CREATE INDEX mails_by_status ON {schema}.mails (status, id COLLATE "POSIX");
    """,
    """
    DROP INDEX {schema}.mails_lanes;
    DO $$ BEGIN
        ALTER TABLE {schema}.mails
            ALTER COLUMN priority TYPE smallint, ALTER COLUMN due TYPE double precision,
            ALTER COLUMN owner TYPE text COLLATE "C", ALTER COLUMN lane TYPE text COLLATE "C";
    EXCEPTION WHEN feature_not_supported THEN
        RAISE NOTICE 'a view or trigger uses the mails: old statistics of their columns stay';
    END $$;
    ALTER TABLE {schema}.mails
        ALTER COLUMN priority SET STATISTICS 0, ALTER COLUMN due SET STATISTICS 0,
        ALTER COLUMN owner SET STATISTICS 0, ALTER COLUMN lane SET STATISTICS 0;
    CREATE INDEX mails_lanes ON {schema}.mails (priority, lane, due) WHERE due IS NOT NULL AND coalesce(owner, '') = '';
    CREATE INDEX mails_deferred ON {schema}.mails (attempts) WHERE due IS NOT NULL AND attempts > 0;
    CREATE INDEX mails_interrupted ON {schema}.mails (interruptions) WHERE interruptions > 0;
    ALTER TABLE {schema}.version REPLICA IDENTITY FULL, ADD COLUMN applied integer;
    """,
)
"""The statements that make each version of the schema from the previous one; the first makes it from nothing. Append
only. Times are seconds since 1970.

The collation of ``mails_by_status`` keeps PostgreSQL from it when it searches by id alone: after an ANALYZE that found
no live row, it looked as good as the primary key.

There are no statistics of the columns by which mail is claimed, for a similar reason. After such an ANALYZE, the order
of the rows (their correlation) made an index scan look dearer than a bitmap scan, which reads and sorts all waiting
mail. To give a column its own type changes nothing but to remove the statistics that it has. ``statements.py`` explains
the condition of ``mails_lanes``."""
COMPATIBLE = frozenset({4})
"""Migrations after which programs that know only the version before go on, and may start: so machines can be upgraded
one after the other."""

LOCK_CLASS = 0x776C
"""The first half of our advisory locks for a whole schema; those of idempotency keys have that of the schema."""

_MIGRATE = (
    "s a role that may CREATE, run 'wlsmtp outbox migrate --outbox …'; 'wlsmtp outbox migrate --sql' shows its "
    "statements"
)
_PATIENTLY = """
SET LOCAL statement_timeout = 0;
SET LOCAL idle_in_transaction_session_timeout = 0;
SET LOCAL lock_timeout = '5s'
"""
"""A large table takes longer than a role may give a statement. Everybody waits behind a migration that waits for a
lock, such as that of a nightly dump."""
GRANT = "GRANT this role USAGE on the schema and SELECT, INSERT, UPDATE, DELETE on its tables"


def lock_of(schema: str) -> int:
    """Return the number of a schema for PostgreSQL's advisory locks."""
    return zlib.crc32(schema.encode()) - (1 << 31)


def channel_of(schema: str) -> str:
    """Return the channel on which programs tell each other of mail (LISTEN, NOTIFY)."""
    return f"wlsmtp_{lock_of(schema) & 0xFFFFFFFF:08x}"


def quoted(schema: str) -> str:
    """Return the name of a schema as quoted SQL, for statements with parameters."""
    return '"' + schema.replace('"', '""').replace("%", "%%") + '"'


def script(schema: str, version: int = 0) -> str:
    """Return the statements that migrate a schema from ``version`` to this version of wlsmtp, for an administrator to
    inspect and run."""
    name = quoted(schema).replace("%%", "%")
    statements = [] if version else [f"CREATE SCHEMA IF NOT EXISTS {name};"]
    for number, migration in enumerate(MIGRATIONS[version:], version + 1):
        statements.append(migration.replace("{schema}", name).strip())
        if number == 1:
            statements.append(f"CREATE TABLE {name}.version (number integer NOT NULL);")
            statements.append(f"ALTER TABLE {name}.version REPLICA IDENTITY FULL;")  # or a publication forbids updates
            statements.append(f"INSERT INTO {name}.version VALUES (1);")
        elif number in COMPATIBLE:
            statements.append(f"UPDATE {name}.version SET applied = {number};")
        else:
            statements.append(f"UPDATE {name}.version SET number = {number};")
    lines = (line.removeprefix("    ") for line in "\n".join(statements).splitlines())
    return "\n".join(["BEGIN;", *lines, "COMMIT;", ""])


@dataclass(frozen=True, slots=True)
class Found:
    """The state of a schema, as this role sees it."""

    version: int
    """That of the tables; 0 if there are none."""
    needed: int
    """The version that a program must know to use them."""
    isolation: str
    """That of transactions, unless they begin with one of their own."""
    filtered: str | None
    """A table of which row level security may hide rows from this role."""


_LOOK = """
SELECT current_setting('transaction_isolation'), bool_or(relname = 'version'),
    min(relname) FILTER (WHERE row_security_active(pg_class.oid))
FROM pg_class JOIN pg_namespace ON relnamespace = pg_namespace.oid WHERE nspname = %s AND relkind = 'r'
"""


def look(connection: Connection[Any], schema: str) -> Found:
    """Return what there is."""
    # Not to_regclass, which remembers for a whole transaction that there was no such table.
    isolation, exists, filtered = connection.execute(_LOOK, (schema,)).fetchall()[0]
    if not exists or filtered is not None:
        return Found(0, 0, isolation, filtered)
    found = connection.execute(f"SELECT * FROM {quoted(schema)}.version".replace("%%", "%").encode()).fetchone()
    needed, *applied = (0,) if found is None else found
    return Found(max(needed, *(number or 0 for number in applied), 0), needed, isolation, None)


def migrate(connection: Connection[Any], schema: str) -> Found:
    """Migrate the tables to this version; return what there was. Programs that start at the same time wait for each
    other. Raises ``OutboxError`` if this role may not do that, or may not see all rows."""
    found = look(connection, schema)
    if found.filtered is not None:
        failure = _unusable(schema, f"may hide rows of the table {found.filtered!r} from this role")
        failure.hint = (
            "The outbox must see them all: ALTER ROLE … BYPASSRLS, or ALTER TABLE … DISABLE ROW LEVEL SECURITY"
        )
        raise failure
    if found.needed > len(MIGRATIONS):
        failure = _unusable(schema, "was made by a newer version of wlsmtp")
        failure.hint = "Upgrade wlsmtp here too: this version does not know these tables. Nothing was changed"
        raise failure
    if found.version >= len(MIGRATIONS):
        return found
    try:
        with connection.transaction():
            connection.execute("SELECT pg_advisory_xact_lock(%s, %s)", (LOCK_CLASS, lock_of(schema)))
            version = look(connection, schema).version
            if version < len(MIGRATIONS):
                connection.execute(_PATIENTLY.encode())
                connection.execute(script(schema, version).removeprefix("BEGIN;").removesuffix("COMMIT;\n").encode())
    except errors.InsufficientPrivilege as error:
        failure = _unusable(schema, f"has not the tables of this version, and this role may not make them ({error})")
        failure.hint = f"A{_MIGRATE}. Then {GRANT}"
        raise failure from error
    except errors.ReadOnlySqlTransaction as error:
        words = "has not the tables of this version, and the server takes no writes, as a standby"
        failure = _unusable(schema, words)
        failure.hint = f"On the primary, a{_MIGRATE}"
        failure.is_passing = True
        raise failure from error
    return found


def _unusable(schema: str, why: str) -> OutboxError:
    return OutboxError(f"The schema {schema!r} of the outbox {why}", stage=Stage.SETTINGS)
