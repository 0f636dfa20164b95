"""The tables of an outbox in an SQLite file, and their migrations."""

from __future__ import annotations

MIGRATIONS = (
    """
    CREATE TABLE mails (
        number INTEGER PRIMARY KEY,
        id TEXT NOT NULL UNIQUE,
        key TEXT,
        status TEXT NOT NULL,
        priority INTEGER NOT NULL,
        due REAL,
        owner TEXT,
        lease REAL,
        created REAL NOT NULL,
        expires REAL,
        finished REAL,
        sender TEXT NOT NULL,
        options TEXT,
        waiting TEXT NOT NULL,
        size INTEGER NOT NULL,
        traits INTEGER NOT NULL,
        attempts INTEGER NOT NULL,
        interruptions INTEGER NOT NULL,
        receipt TEXT NOT NULL
    );
    CREATE TABLE contents (part INTEGER PRIMARY KEY, octets BLOB NOT NULL);
    CREATE UNIQUE INDEX mails_keys ON mails (key) WHERE key IS NOT NULL;
    CREATE INDEX mails_waiting ON mails (priority, due) WHERE due IS NOT NULL AND owner IS NULL;
    CREATE INDEX mails_lent ON mails (lease, owner) WHERE owner IS NOT NULL;
    CREATE INDEX mails_by_status ON mails (status, id);
    CREATE INDEX mails_finished ON mails (finished) WHERE finished IS NOT NULL;
    CREATE INDEX mails_deferred ON mails (attempts) WHERE due IS NOT NULL AND attempts > 0;
    CREATE INDEX mails_interrupted ON mails (interruptions) WHERE interruptions > 0;
    """,
    """
    ALTER TABLE mails ADD COLUMN lane TEXT NOT NULL DEFAULT '';
    CREATE TABLE lanes (lane TEXT PRIMARY KEY, tat REAL NOT NULL);
    CREATE INDEX mails_lanes ON mails (priority, lane, due) WHERE due IS NOT NULL AND owner IS NULL;
    """,
)
"""The statements that make each version of the schema from the previous one; the first makes it from nothing. Append
only."""
