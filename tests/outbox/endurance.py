"""Workers that are killed and a PostgreSQL that is restarted under them, and the account of every message.

``python -m tests.outbox.endurance [MAILS] [WORKERS]`` is the long form: 50,000 messages, 4 workers, one killed every
second, the server restarted twice in the middle (``-m immediate``).
"""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from tests.outbox.programs import start
from tests.postgres import Postgres
from wlsmtp import Message, OutboxError, Receipt, SMTPSession, Status
from wlsmtp.testing import SMTPServer

LEASE = 1.0
A_LIST = 100
WORKER = """
    import logging, sys
    from wlsmtp import RetryPolicy, SMTPSession

    logging.disable()
    host, port, outbox = sys.argv[1:]
    retry = RetryPolicy(attempts=1000, backoff=0.2, max_backoff=1, jitter=0)
    session = SMTPSession(host, int(port), mode="async", outbox=outbox, retry=retry)
    session.outbox_statistics()
    session.open()
    print("ready", flush=True)
    sys.stdin.readline()
    session.close(drain=False)
"""
NO_DOUBLE_CLAIM = """
    CREATE TABLE {schema}.doubles (id text, was text, became text);
    CREATE FUNCTION {schema}.note() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        INSERT INTO {schema}.doubles VALUES (OLD.id, OLD.owner, NEW.owner);
        RETURN NEW;
    END $$;
    CREATE TRIGGER note AFTER UPDATE OF owner ON {schema}.mails FOR EACH ROW
        WHEN (OLD.owner <> NEW.owner OR (OLD.finished IS NOT NULL AND NEW.owner IS NOT NULL))
        EXECUTE FUNCTION {schema}.note();
"""
"""Mail goes from one owner to another only through nobody's hands, and never again once it is finished."""


@dataclass
class Account:
    """What came of all messages."""

    put: int
    kills: int = 0
    restarts: int = 0
    statuses: Counter[str] = field(default_factory=Counter)
    arrived: int = 0
    """Different messages."""
    copies: int = 0
    """Those that arrived more than once, beyond the first."""
    interruptions: int = 0
    lost: int = 0
    """Messages that did not arrive, and are not in doubt."""
    unaccounted: int = 0
    """Messages with more copies than interruptions."""
    doubles: int = 0
    """Messages that were leased to two workers at once, or again after their end."""
    seconds: float = 0.0

    @property
    def is_right(self) -> bool:
        """Whether every message is sent or honestly in doubt, nothing was lost, and every copy is accounted for."""
        is_ended = self.statuses[Status.SENT.value] + self.statuses[Status.UNKNOWN.value] == self.put
        return is_ended and (self.lost, self.unaccounted, self.doubles) == (0, 0, 0)


class Endurance:
    """One run."""

    def __init__(self, postgres: Postgres, server: SMTPServer, mails: int, workers: int, seed: int = 4711) -> None:
        self.postgres, self.server, self.mails, self.count = postgres, server, mails, workers
        self.schema = postgres.schema()
        self.url = postgres.outbox(self.schema, lease=LEASE)
        self.account = Account(mails)
        self._chance = random.Random(seed)
        self._workers: list[subprocess.Popen[str]] = []
        self._is_disturbed = threading.Event()
        """Set once all has been done to the workers and the server; the last list is put then."""

    def run(self, restarts: int, kill_every: float, kills: int = sys.maxsize) -> Account:
        """Put, kill (so often at most), restart, wait for the last message, and count."""
        began = time.monotonic()
        with SMTPSession("localhost", mode="async", outbox=self.url, outbox_worker=False) as producer:
            producer.outbox_statistics()
            self.postgres.query(NO_DOUBLE_CLAIM.replace("{schema}", self.schema))
            self._workers = [self._hire() for _ in range(self.count)]
            putting = threading.Thread(target=self._put_all, args=(producer,))
            putting.start()
            restart_at = [self.mails * (number + 1) // (restarts + 1) for number in range(restarts)]
            while (ended := self._ended(producer)) < self.mails:
                if restart_at and ended >= restart_at[0]:
                    self._restart()
                    restart_at.pop(0)
                if not restart_at and (self.account.kills >= kills or kills == sys.maxsize):
                    self._is_disturbed.set()
                if self.account.kills < kills:
                    self._kill_one(kill_every)
                else:
                    time.sleep(0.05)
            putting.join()
            for worker in self._workers:
                worker.communicate("stop\n", timeout=60)
            self._count(producer)
        self.account.seconds = time.monotonic() - began
        return self.account

    def _hire(self) -> subprocess.Popen[str]:
        return start(WORKER, self.server.host, self.server.port, self.url)

    def _put_all(self, producer: SMTPSession) -> None:
        for first in range(0, self.mails, A_LIST):
            numbers = range(first, min(first + A_LIST, self.mails))
            if numbers[-1] == self.mails - 1:
                self._is_disturbed.wait()
            self._put_list(producer, [self._message(number) for number in numbers])

    def _put_list(self, producer: SMTPSession, messages: list[Message]) -> None:
        while True:
            try:
                producer.send_all(messages)
                return
            except OutboxError as error:
                if not error.temporary:
                    raise
                # Whether the list was kept is not known when its answer was lost, so look before it is put again.
                time.sleep(0.2)
                known = self._known(producer)
                messages = [message for message in messages if message.message_id not in known]
                if not messages:
                    return

    def _known(self, producer: SMTPSession) -> set[str | None]:
        while True:
            try:
                return {receipt.message_id for receipt in producer.receipts()}
            except OutboxError:
                time.sleep(0.2)

    def _message(self, number: int) -> Message:
        id = f"<{number}@endurance.example>"
        return Message(sender="a@example.com", to="b@example.com", subject=str(number), text="x", message_id=id)

    def _ended(self, producer: SMTPSession) -> int:
        """Return how many are in a final state, whichever that is."""
        try:
            found = producer.outbox_statistics()
        except OutboxError:
            return 0
        return found.sent + found.partial + found.error + found.unknown

    def _kill_one(self, after: float) -> None:
        """Kill a worker that has begun; one that found no database is replaced too."""
        place = self._chance.randrange(self.count)
        worker = self._workers[place]
        assert worker.stdout is not None
        self.account.kills += worker.stdout.readline() == "ready\n"
        time.sleep(after)
        worker.kill()
        worker.communicate(timeout=30)
        self._workers[place] = self._hire()

    def _restart(self) -> None:
        self.postgres.stop(signal.SIGQUIT)
        self.postgres.start()
        self.account.restarts += 1

    def _count(self, producer: SMTPSession) -> None:
        account = self.account
        copies = Counter(mail.header("Message-ID") for mail in self.server.messages)
        for receipt in self._receipts(producer):
            account.statuses[receipt.status.value] += 1
            account.interruptions += receipt.interruptions
            found = copies[receipt.message_id]
            account.lost += found == 0 and receipt.status is not Status.UNKNOWN
            account.unaccounted += found > 1 + receipt.interruptions
        account.arrived = len(copies)
        account.copies = sum(copies.values()) - len(copies)
        account.doubles = len(self.postgres.query(f"SELECT FROM {self.schema}.doubles"))

    @staticmethod
    def _receipts(producer: SMTPSession) -> Iterator[Receipt]:
        return iter(producer.receipts())


def main() -> int:
    mails, workers = (int(text) for text in (*sys.argv[1:], "50000", "4")[:2])
    postgres = Postgres()
    postgres.start()
    try:
        with SMTPServer() as server:
            account = Endurance(postgres, server, mails, workers).run(restarts=2, kill_every=1.0)
    finally:
        postgres.remove()
    sys.stdout.write(f"{account}\n{'all is accounted for' if account.is_right else 'WRONG'}\n")
    return 0 if account.is_right else 1


if __name__ == "__main__":
    sys.exit(main())
