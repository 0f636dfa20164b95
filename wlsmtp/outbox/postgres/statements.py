"""Pure: the statements for PostgreSQL. Each is a transaction of its own, and one round trip for any list.

``{schema}`` is the quoted schema, ``{now}`` the clock of the database, which is the one that counts.

PostgreSQL chooses a plan by statistics that may be as old as its last ANALYZE, while the mails of an outbox all change
their state within minutes. So whatever runs often orders its rows as the index that it needs does, and stops at a
LIMIT: any other plan would have to sort.
"""

from __future__ import annotations

from functools import lru_cache

from wlsmtp.outbox.pace import CLOCK_TOLERANCE
from wlsmtp.outbox.rows import COLUMNS, PUT, SETTLED

CLOCK = "extract(epoch FROM clock_timestamp())::double precision"
SMALL = 256 * 1024
"""Octets up to which a content is read when its mail is claimed; a larger one is streamed when it is sent. Also the
size of a part."""
CLAIMED = 8 * 1024 * 1024
"""Maximum octets of small contents that one claim loads into memory, and one statement sends to the database."""

RECENT = 5
"""Seconds: workers need no notification if mail became due in them that no worker has taken yet."""

TYPES = {
    "priority": "smallint", "due": "double precision", "created": "double precision", "expires": "double precision",
    "finished": "double precision", "size": "bigint", "traits": "smallint", "attempts": "integer",
    "interruptions": "integer", "start": "integer",
}  # fmt: skip


def _typed(columns: tuple[str, ...]) -> str:
    return ", ".join(f"{name} {TYPES.get(name, 'text')}" for name in columns)


_WAITS = "due IS NOT NULL AND coalesce(owner, '') = ''"
"""The condition of ``mails_lanes``. It means the same as that of ``mails_waiting`` (``owner IS NULL``), and PostgreSQL
does not know that: each statement has one of these indexes to choose from, whatever the statistics say."""
_MAIL = ", ".join(f"mail.{name}" for name in COLUMNS.split(", "))

GIVEN = (*PUT, "start")
"""The columns of ``put_mails``, each with the prefix ``given_``. ``start`` is where a small content begins in
``octets``, from 1; a large one has its own statements."""
OWN = frozenset({"id", "due", "created", "waiting", "size", "receipt", "start"})
"""Those in which each mail has its own value."""


@lru_cache(maxsize=64)
def put_mails(own: frozenset[str] = OWN) -> str:
    """Return the statement that stores mails. The columns ``own`` are arrays, each other column is one value for all
    mails: an array takes time for each mail, whatever it holds."""
    types = {name: TYPES.get(name, "text") for name in GIVEN}
    arrays = ", ".join(f"%(given_{name})b::{types[name]}[]" for name in GIVEN if name in own)
    names = ", ".join(name for name in GIVEN if name in own)
    values = "".join(f", %(given_{name})b::{types[name]} AS {name}" for name in GIVEN if name not in own)
    given = f"SELECT given.*{values} FROM unnest({arrays}) WITH ORDINALITY AS given({names}, place)"
    return _PUT_MAILS.replace("{given}", given)


_PUT_MAILS = f"""
WITH given AS (
    {{given}}
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
    SELECT id, 0, substring(%(octets)b::bytea FROM start FOR size::integer) FROM given JOIN kept USING (id)
    WHERE start IS NOT NULL AND size > 0
)
SELECT {{now}}, (SELECT count(*) FROM locks WHERE NOT is_ours), (
    SELECT CASE WHEN count(*) < %(count)s THEN coalesce(array_agg(id), '{{}}') END FROM kept
), (
    SELECT pg_notify(%(channel)s, '') WHERE %(notifies)s AND NOT EXISTS (
        SELECT FROM unnest(%(levels)s::smallint[]) AS level, LATERAL (
            SELECT FROM {{schema}}.mails
            WHERE priority = level AND due > {{now}} - {RECENT} AND due <= {{now}} AND owner IS NULL
            ORDER BY due LIMIT 1
        ) AS mail
    )
)
"""
"""Returns the ids of what was stored, or NULL for all of it. Idempotency keys are locked until the transaction ends,
without waiting: one that another transaction holds would delay all others over the same connection."""

LOCK_KEYS = """
SELECT pg_advisory_xact_lock(%(lock)s, hash)
FROM (SELECT DISTINCT hashtext(key) AS hash FROM unnest(%(keys)s::text[]) AS key ORDER BY 1) AS hashes
"""
SET_LOCK_TIMEOUT = "SELECT set_config('lock_timeout', %(timeout)s, true)"
PUT_PART = "INSERT INTO {schema}.contents (mail, part, octets) VALUES (%(mail)s, %(part)s, %(octets)b)"
DROP_CONTENTS = "DELETE FROM {schema}.contents WHERE mail = ANY(%(mails)s)"

KNOWN = f"""
SELECT {_MAIL} FROM {{schema}}.mails AS mail WHERE id = ANY(%(ids)s)
UNION ALL SELECT {_MAIL} FROM {{schema}}.mails AS mail WHERE key = ANY(%(keys)s) AND key IS NOT NULL
"""

_FIRST = """picked AS MATERIALIZED (
    SELECT mail.* FROM clock, unnest(%(levels)s::smallint[], %(starts)s::double precision[]) AS level(priority, start),
    LATERAL (
        SELECT id, priority, due, size FROM {schema}.mails
        WHERE priority = level.priority AND due >= level.start AND due <= clock.now AND owner IS NULL
        ORDER BY due LIMIT %(limit)s FOR UPDATE SKIP LOCKED
    ) AS mail
    LIMIT %(limit)s
)"""
"""Selects the best of each priority in turn, from where the last claim ended (``starts``). There may be very many
claimed rows before that, which PostgreSQL cannot remove while anybody keeps a snapshot."""

_LIVE = f"""live AS (
    (SELECT priority, lane, due FROM {{schema}}.mails WHERE {_WAITS} ORDER BY priority, lane, due LIMIT 1)
    UNION ALL
    SELECT following.* FROM live, LATERAL (
        SELECT priority, lane, due FROM {{schema}}.mails
        WHERE {_WAITS} AND (priority, lane) > (live.priority, live.lane) ORDER BY priority, lane, due LIMIT 1
    ) AS following
)"""
"""The lanes of waiting mail, each by one index access, with the time at which its first mail is due."""

MANY_LANES = 100
"""Above this number of lanes, those of the first mails are looked at before all of them."""
HEAD = 500
"""The number of these mails."""
_FIRST_LIVE = f"""live AS (
    SELECT priority, lane, min(due) AS due FROM (
        SELECT mail.* FROM clock, unnest(%(levels)s::smallint[]) AS level(priority), LATERAL (
            SELECT priority, lane, due FROM {{schema}}.mails
            WHERE priority = level.priority AND due <= clock.now AND owner IS NULL ORDER BY due LIMIT {HEAD}
        ) AS mail
        LIMIT {HEAD}
    ) AS head GROUP BY priority, lane
)"""
"""The lanes of the mails whose turn is first. No other lane has a mail that comes before theirs."""

_RATES = """rates AS MATERIALIZED (
    SELECT lane, step, tolerance
    FROM json_to_recordset(%(rates)s::json) AS given(lane text, step double precision, tolerance double precision)
), paced AS MATERIALIZED (
    SELECT DISTINCT live.lane, %(prefix)s::text || live.lane AS name, step, tolerance FROM live JOIN rates ON
    rates.lane = live.lane OR rates.lane = '*' AND NOT EXISTS (SELECT FROM rates AS own WHERE own.lane = live.lane)
)"""
"""The rates of those that have one."""

_ARRIVAL = (
    "CASE WHEN {tat} > clock.now + tolerance + step + "
    f"{CLOCK_TOLERANCE} THEN clock.now "
    "ELSE greatest({tat}, clock.now) END"
)
"""The same as ``Rate.arrival``."""

_ALLOWED = f"""{_RATES}, wanted AS MATERIALIZED (
    SELECT DISTINCT paced.* FROM clock, paced JOIN live ON live.lane = paced.lane WHERE live.due <= clock.now
), used AS MATERIALIZED (
    SELECT name, kept.tat FROM clock, wanted JOIN {{schema}}.lanes AS kept ON kept.lane = name
    WHERE {_ARRIVAL.format(tat="kept.tat")} <= clock.now + tolerance ORDER BY name FOR UPDATE OF kept
), made AS (
    INSERT INTO {{schema}}.lanes (lane, tat) SELECT name, 0 FROM wanted
    WHERE NOT EXISTS (SELECT FROM {{schema}}.lanes AS kept WHERE kept.lane = name) ORDER BY name
    ON CONFLICT DO NOTHING RETURNING lane
), room AS MATERIALIZED (
    SELECT wanted.lane, name, step, arrival.tat,
        least(%(limit)s, 1 + floor((clock.now + tolerance - arrival.tat) / step))::integer AS count
    FROM clock, wanted JOIN used USING (name), LATERAL (SELECT {_ARRIVAL.format(tat="used.tat")} AS tat) AS arrival
), picked AS MATERIALIZED (
    SELECT id, priority, due, size FROM (
        SELECT *, row_number() OVER (PARTITION BY lane ORDER BY priority DESC, due, id) AS place
        FROM (
            SELECT mail.*, way.count FROM clock, (
                SELECT live.priority, live.lane,
                    CASE WHEN paced.lane IS NULL THEN %(limit)s ELSE greatest(0, coalesce(room.count, 0)) END AS count
                FROM live LEFT JOIN paced ON paced.lane = live.lane LEFT JOIN room ON room.lane = live.lane
                WHERE NOT EXISTS (SELECT FROM made) ORDER BY live.priority DESC, live.due
            ) AS way, LATERAL (
                SELECT id, priority, lane, due, size FROM {{schema}}.mails
                WHERE priority = way.priority AND lane = way.lane AND due <= clock.now AND {_WAITS}
                ORDER BY due LIMIT way.count FOR UPDATE SKIP LOCKED
            ) AS mail
            LIMIT %(limit)s
        ) AS best
    ) AS placed WHERE place <= count
)"""
"""Selects, of each priority, from the lane whose first mail has waited longest as much as its rate allows, then from
the next one. The rows of the lanes are locked, one worker after the other, unless a lane is used up or has no due mail:
a claim that finds nothing waits for nobody and writes nothing. Lanes that have no row yet are given one, and nothing is
selected this time."""

_ADVANCED = """, advanced AS (
    UPDATE {schema}.lanes AS kept SET tat = room.tat + taken.count * room.step
    FROM room JOIN (SELECT lane, count(*) AS count FROM lent GROUP BY lane) AS taken ON taken.lane = room.lane
    WHERE kept.lane = room.name
)"""


def _claim(picked: str, lanes: str = "NULL", more: str = "") -> str:
    return f"""
WITH RECURSIVE clock AS MATERIALIZED (
    SELECT {{now}} AS now
), {picked}, fitting AS MATERIALIZED (
    SELECT id FROM (
        SELECT id, row_number() OVER places AS place,
            sum(CASE WHEN size <= {SMALL} THEN size ELSE 0 END) OVER places AS total
        FROM picked WINDOW places AS (ORDER BY priority DESC, due, id)
    ) AS sized WHERE total <= {CLAIMED} OR place = 1
), lent AS (
    UPDATE {{schema}}.mails AS mail SET owner = %(owner)s
    WHERE mail.id = ANY(ARRAY(SELECT id FROM fitting)) RETURNING {_MAIL}
), worker AS (
    INSERT INTO {{schema}}.workers AS worker (owner, lease, lent)
    SELECT %(owner)s, clock.now + %(lease)s, count(*) FROM clock, lent GROUP BY clock.now HAVING count(*) > 0
    ON CONFLICT (owner) DO UPDATE SET lease = excluded.lease, lent = worker.lent + excluded.lent
){more}
SELECT clock.now, {lanes}, {_MAIL}, CASE WHEN mail.size <= {SMALL} THEN (
    SELECT string_agg(octets, '' ORDER BY part) FROM {{schema}}.contents WHERE contents.mail = mail.id
) END
FROM clock LEFT JOIN lent AS mail ON true
ORDER BY mail.priority DESC, mail.due, mail.id
"""


CLAIM = _claim(_FIRST)
_COUNTS = "ARRAY[(SELECT count(*) FROM made), (SELECT count(*) FROM live)]"
CLAIM_IN_LANES = _claim(f"{_LIVE}, {_ALLOWED}", _COUNTS, _ADVANCED)
CLAIM_IN_FIRST_LANES = _claim(f"{_FIRST_LIVE}, {_ALLOWED}", _COUNTS, _ADVANCED)
"""They return how many lanes were given a row, and how many there are."""

RENEW = "UPDATE {schema}.workers SET lease = {now} + %(lease)s WHERE owner = %(owner)s"

_CHANGED = f"""({", ".join(SETTLED[1:])}) = (
        SELECT * FROM jsonb_to_record(%(rows)s::jsonb -> mail.id) AS given({_typed(SETTLED[1:])})
    )"""
"""The values of a mail from one text with all mails, by their ids."""
SETTLE = f"""
WITH settled AS (
    UPDATE {{schema}}.mails AS mail SET owner = NULL, {_CHANGED}
    WHERE mail.id = ANY(%(ids)s::text[]) AND coalesce(mail.owner, '') = %(owner)s RETURNING mail.id, mail.status
), dropped AS (
    DELETE FROM {{schema}}.contents WHERE mail = ANY(ARRAY(SELECT id FROM settled WHERE status = 'sent'))
), worker AS (
    UPDATE {{schema}}.workers SET lent = greatest(0, lent - (SELECT count(*) FROM settled)) WHERE owner = %(owner)s
), others AS MATERIALIZED (
    SELECT * FROM unnest(%(ids)s::text[]) WITH ORDINALITY AS given(id, place)
    WHERE id <> ALL(ARRAY(SELECT id FROM settled))
), known AS MATERIALIZED (
    SELECT id, receipt, status FROM {{schema}}.mails WHERE id = ANY(ARRAY(SELECT id FROM others))
)
SELECT id FROM others WHERE NOT EXISTS (
    SELECT FROM known, LATERAL (SELECT %(rows)s::jsonb -> known.id AS row) AS given
    WHERE known.id = others.id AND known.receipt = row ->> 'receipt' AND known.status = row ->> 'status'
) ORDER BY place
"""
"""A row in its final state was settled before, by a statement whose reply was lost with the connection: a worker that
reclaims a mail changes its receipt. ``coalesce`` keeps PostgreSQL from a search by owner, which it may prefer to one by
id after an ANALYZE: while anybody keeps a snapshot, that finds all mail that the owner ever had. No table is joined: a
join reads a whole index when an ANALYZE has found no live row."""

CHANGE = f"""
UPDATE {{schema}}.mails AS mail SET {_CHANGED}
WHERE mail.id = ANY(%(ids)s::text[]) AND owner IS NULL
    AND mail.due IS NOT DISTINCT FROM %(was_due)s::double precision AND mail.attempts = %(was_tried)s
RETURNING mail.id
"""

_LEASES = """(SELECT coalesce(array_agg(owner), '{}') FROM {schema}.workers WHERE lent > 0),
   (SELECT coalesce(array_agg(lease), '{}') FROM {schema}.workers WHERE lent > 0)"""
AGENDA = f"""
SELECT {{now}}, (
    SELECT min(mail.due)
    FROM unnest(%(levels)s::smallint[], %(starts)s::double precision[]) AS level(priority, start), LATERAL (
        SELECT due FROM {{schema}}.mails WHERE priority = level.priority AND due >= level.start AND owner IS NULL
        ORDER BY due LIMIT 1
    ) AS mail
), {_LEASES}
"""


def _agenda(live: str) -> str:
    return f"""
WITH RECURSIVE clock AS MATERIALIZED (
    SELECT {{now}} AS now
), {live}, {_RATES}
SELECT clock.now, (
    SELECT min(greatest(live.due, {_ARRIVAL.format(tat="kept.tat")} - tolerance))
    FROM live LEFT JOIN paced ON paced.lane = live.lane LEFT JOIN {{schema}}.lanes AS kept ON kept.lane = paced.name
), {_LEASES}
FROM clock
"""


AGENDA_IN_LANES, AGENDA_IN_FIRST_LANES = _agenda(_LIVE), _agenda(_FIRST_LIVE)

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

_ID = 'id COLLATE "POSIX"'
"""The same order as of the primary key, in the index of statuses alone."""
GET = f"SELECT {_MAIL} FROM {{schema}}.mails AS mail WHERE id = %(id)s"
PAGE = f"""
SELECT {_MAIL} FROM unnest(%(statuses)s::text[]) AS wanted, LATERAL (
    SELECT * FROM {{schema}}.mails WHERE (status, {_ID}) > (wanted, %(after)s) AND status <= wanted
    ORDER BY status, {_ID} LIMIT %(limit)s
) AS mail
ORDER BY mail.id LIMIT %(limit)s
"""
NEWEST = "SELECT {now}, (SELECT created FROM {schema}.mails ORDER BY id DESC LIMIT 1)"
COUNTS = "SELECT status, count(*) FROM {schema}.mails GROUP BY status"
"""By the index alone: finished mail is kept for days, and there may be millions."""
IN_FLIGHT = f"""
SELECT (SELECT coalesce(sum(lent), 0)::bigint FROM {{schema}}.workers),
       (SELECT count(*) FROM {{schema}}.mails WHERE due IS NOT NULL AND attempts > 0),
       (SELECT coalesce(sum(interruptions), 0)::bigint FROM {{schema}}.mails WHERE interruptions > 0),
       (SELECT created FROM {{schema}}.mails WHERE status >= 'pending' AND status <= 'pending'
        ORDER BY status, {_ID} LIMIT 1)
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
), passed AS (
    DELETE FROM {schema}.lanes WHERE tat < {now} - 86400
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
