"""Pure: the statements for PostgreSQL. Each is a transaction of its own, and one round trip for any list.

``{schema}`` is the quoted schema, ``{now}`` the clock of the database, which is the one that counts.
"""

from __future__ import annotations

from wlsmtp.outbox.rows import COLUMNS, PUT, SETTLED

CLOCK = "extract(epoch FROM clock_timestamp())::double precision"
SMALL = 256 * 1024
"""Octets up to which a content is read when its mail is claimed; a larger one is streamed when it is sent. Also the
size of a part."""
CLAIMED = 8 * 1024 * 1024
"""Maximum octets of small contents that one claim loads into memory, and one statement sends to the database."""

_TYPES = {
    "priority": "smallint", "due": "double precision", "created": "double precision", "expires": "double precision",
    "finished": "double precision", "size": "bigint", "traits": "smallint", "attempts": "integer",
    "interruptions": "integer", "place": "integer",
}  # fmt: skip


def _given(columns: tuple[str, ...]) -> str:
    """Rows as one text: that is read in C at both ends, unlike a list of values for each column."""
    typed = ", ".join(f"{name} {_TYPES.get(name, 'text')}" for name in (*columns, "place"))
    return f"SELECT * FROM json_to_recordset(%(rows)s::json) AS given({typed})"


_MAIL = ", ".join(f"mail.{name}" for name in COLUMNS.split(", "))

PUT_MAILS = f"""
WITH given AS (
    {_given(PUT)}
), locks AS MATERIALIZED (
    SELECT pg_try_advisory_xact_lock(%(lock)s, hashtext(key)) AS is_ours
    FROM (SELECT DISTINCT key FROM given WHERE key IS NOT NULL) AS keys
), kept AS (
    INSERT INTO {{schema}}.mails ({", ".join(PUT)})
    SELECT {", ".join(PUT)} FROM given
    WHERE NOT EXISTS (SELECT FROM locks WHERE NOT is_ours) ORDER BY place
    ON CONFLICT DO NOTHING RETURNING id
), parts AS (
    INSERT INTO {{schema}}.contents (mail, part, octets)
    SELECT given.mail, given.part, substring(%(octets)b::bytea FROM given.start FOR given.length)
    FROM json_to_recordset(%(parts)s::json) AS given(mail text, part integer, start integer, length integer)
    JOIN kept ON kept.id = given.mail
)
SELECT {{now}}, (SELECT count(*) FROM locks WHERE NOT is_ours), (SELECT coalesce(array_agg(id), '{{}}') FROM kept)
"""
"""Idempotency keys are locked until the transaction ends, without waiting: one that another transaction holds would
delay all others over the same connection."""

LOCK_KEYS = """
SELECT pg_advisory_xact_lock(%(lock)s, hash)
FROM (SELECT DISTINCT hashtext(key) AS hash FROM unnest(%(keys)s::text[]) AS key ORDER BY 1) AS hashes
"""
SET_LOCK_TIMEOUT = "SELECT set_config('lock_timeout', %(timeout)s, true)"
PUT_PART = "INSERT INTO {schema}.contents (mail, part, octets) VALUES (%(mail)s, %(part)s, %(octets)b)"
DROP_CONTENTS = "DELETE FROM {schema}.contents WHERE mail = ANY(%(mails)s)"

KNOWN = f"SELECT {_MAIL} FROM {{schema}}.mails AS mail WHERE id = ANY(%(ids)s) OR key = ANY(%(keys)s)"

CLAIM = f"""
WITH clock AS MATERIALIZED (
    SELECT {{now}} AS now
), picked AS MATERIALIZED (
    SELECT mail.* FROM clock, unnest(%(levels)s::smallint[], %(starts)s::double precision[]) AS level(priority, start),
    LATERAL (
        SELECT id, priority, due, size FROM {{schema}}.mails
        WHERE priority = level.priority AND due >= level.start AND due <= clock.now AND owner IS NULL
        ORDER BY due LIMIT %(limit)s FOR UPDATE SKIP LOCKED
    ) AS mail
    LIMIT %(limit)s
), fitting AS MATERIALIZED (
    SELECT id FROM (
        SELECT id, row_number() OVER places AS place,
            sum(CASE WHEN size <= {SMALL} THEN size ELSE 0 END) OVER places AS total
        FROM picked WINDOW places AS (ORDER BY priority DESC, due, id)
    ) AS sized WHERE total <= {CLAIMED} OR place = 1
), lent AS (
    UPDATE {{schema}}.mails AS mail SET owner = %(owner)s FROM fitting WHERE mail.id = fitting.id RETURNING {_MAIL}
), worker AS (
    INSERT INTO {{schema}}.workers AS worker (owner, lease, lent)
    SELECT %(owner)s, clock.now + %(lease)s, count(*) FROM clock, lent GROUP BY clock.now HAVING count(*) > 0
    ON CONFLICT (owner) DO UPDATE SET lease = excluded.lease, lent = worker.lent + excluded.lent
)
SELECT clock.now, {_MAIL}, CASE WHEN mail.size <= {SMALL} THEN (
    SELECT string_agg(octets, '' ORDER BY part) FROM {{schema}}.contents WHERE contents.mail = mail.id
) END
FROM clock LEFT JOIN lent AS mail ON true
ORDER BY mail.priority DESC, mail.due, mail.id
"""
"""Selects the best of each priority in turn, from where the last claim ended (``starts``). There may be very many
claimed rows before that, which PostgreSQL cannot remove while anybody keeps a snapshot."""

RENEW = "UPDATE {schema}.workers SET lease = {now} + %(lease)s WHERE owner = %(owner)s"

SETTLE = f"""
WITH given AS (
    {_given(SETTLED)}
), settled AS (
    UPDATE {{schema}}.mails AS mail
    SET owner = NULL, {", ".join(f"{name} = given.{name}" for name in SETTLED[1:])}
    FROM given WHERE mail.id = given.id AND mail.owner = %(owner)s RETURNING mail.id, mail.status
), dropped AS (
    DELETE FROM {{schema}}.contents USING settled WHERE mail = settled.id AND settled.status = 'sent'
), worker AS (
    UPDATE {{schema}}.workers SET lent = greatest(0, lent - (SELECT count(*) FROM settled)) WHERE owner = %(owner)s
)
SELECT id FROM given WHERE NOT EXISTS (SELECT FROM settled WHERE settled.id = given.id) AND NOT EXISTS (
    SELECT FROM {{schema}}.mails AS mail
    WHERE mail.id = given.id AND mail.receipt = given.receipt AND mail.status = given.status
) ORDER BY place
"""
"""A row in its final state was settled before, by a statement whose reply was lost with the connection: a worker that
reclaims a mail changes its receipt."""

CHANGE = f"""
WITH given AS (
    {_given(SETTLED)}
)
UPDATE {{schema}}.mails AS mail SET {", ".join(f"{name} = given.{name}" for name in SETTLED[1:])} FROM given
WHERE mail.id = given.id AND owner IS NULL AND mail.due IS NOT DISTINCT FROM %(was_due)s::double precision
    AND mail.attempts = %(was_tried)s
RETURNING mail.id
"""

AGENDA = """
SELECT {now}, (
    SELECT min(mail.due)
    FROM unnest(%(levels)s::smallint[], %(starts)s::double precision[]) AS level(priority, start), LATERAL (
        SELECT due FROM {schema}.mails WHERE priority = level.priority AND due >= level.start AND owner IS NULL
        ORDER BY due LIMIT 1
    ) AS mail
), (SELECT coalesce(array_agg(owner), '{}') FROM {schema}.workers WHERE lent > 0),
   (SELECT coalesce(array_agg(lease), '{}') FROM {schema}.workers WHERE lent > 0)
"""

DISMISS = "DELETE FROM {schema}.workers WHERE owner = %(owner)s AND lease = %(lease)s RETURNING owner"
LENT = f"SELECT {_MAIL} FROM {{schema}}.mails AS mail WHERE owner = %(owner)s ORDER BY id FOR UPDATE"
MAKE_DUE = """
UPDATE {schema}.mails SET due = {now}
WHERE priority = ANY(%(levels)s::smallint[]) AND due > {now} AND due = created AND owner IS NULL
"""
"""Put when the clock was ahead of its current value."""
SHORTEN_WAITS = r"""
WITH clock AS MATERIALIZED (
    SELECT {now} AS now
), waits AS MATERIALIZED (
    SELECT id, due, found[1]::double precision AS was_due, found[2]::double precision AS pause
    FROM clock, (
        SELECT id, due, regexp_match(receipt, '"waits":\[([0-9.]+),([0-9.]+)\]') AS found FROM {schema}.mails
        WHERE priority = ANY(%(levels)s::smallint[]) AND due > {now} AND owner IS NULL
    ) AS waiting
    WHERE found IS NOT NULL
)
UPDATE {schema}.mails AS mail SET due = now + pause, receipt = regexp_replace(
    receipt, '"waits":\[[0-9.]+,', '"waits":[' || round((now + pause)::numeric, 3) || ','
)
FROM clock, waits
WHERE mail.id = waits.id AND owner IS NULL AND abs(waits.due - was_due) < 0.01 AND waits.due > now + pause
"""
"""Mail that was to wait a number of seconds, when the clock was ahead of its current value."""

GET = f"SELECT {_MAIL} FROM {{schema}}.mails AS mail WHERE id = %(id)s"
PAGE = f"""
SELECT {_MAIL} FROM {{schema}}.mails AS mail WHERE status = ANY(%(statuses)s) AND id > %(after)s
ORDER BY id LIMIT %(limit)s
"""
NEWEST = "SELECT {now}, (SELECT created FROM {schema}.mails ORDER BY id DESC LIMIT 1)"
COUNTS = """
SELECT status, count(*), count(*) FILTER (WHERE due IS NOT NULL AND attempts > 0), sum(interruptions)
FROM {schema}.mails GROUP BY status
"""
IN_FLIGHT = """
SELECT (SELECT coalesce(sum(lent), 0)::bigint FROM {schema}.workers),
       (SELECT created FROM {schema}.mails WHERE status = 'pending' ORDER BY id LIMIT 1)
"""
PURGE = """
WITH old AS (
    DELETE FROM {schema}.mails WHERE id IN (
        SELECT id FROM {schema}.mails WHERE finished < %(before)s ORDER BY finished LIMIT %(limit)s
        FOR UPDATE SKIP LOCKED
    ) RETURNING id
), dropped AS (
    DELETE FROM {schema}.contents USING old WHERE mail = old.id
), gone AS (
    DELETE FROM {schema}.workers WHERE lent = 0 AND lease < {now} - 3600
)
SELECT count(*) FROM old
"""
READ_PART = "SELECT octets FROM {schema}.contents WHERE mail = %(mail)s AND part = %(part)s"

SET_ASIDE = """
WITH aside AS (
    UPDATE {schema}.mails SET status = 'unreadable', set_aside = due, due = NULL, owner = NULL,
        interruptions = interruptions + %(interruptions)s
    WHERE id = %(id)s RETURNING id
)
UPDATE {schema}.workers SET lent = greatest(0, lent - 1) WHERE owner = %(owner)s
"""
"""A record that this version cannot read is kept with its content: nobody claims, purges or shows it."""
ASIDE = f"SELECT {_MAIL}, interruptions FROM {{schema}}.mails AS mail WHERE status = 'unreadable'"
TAKE_UP = """
UPDATE {schema}.mails SET status = 'pending', due = set_aside, set_aside = NULL
WHERE id = %(id)s AND status = 'unreadable'
"""
