"""And against a real Postfix?

The Postfix of the tests, which syncs each message to its queue and delivers it into a Maildir on the same machine, so
it is the server that sets the pace. Messages of 2 KB, rendered beforehand, over one connection, no delay. Every message
is counted in the Maildir before the next client has its turn.
"""

from __future__ import annotations

from harness import Bench, Contender
from peers import Unavailable, say
from report import Question, Section, rates, show

COUNT = 400
ROUNDS = 3
CLIENTS = {
    "wlsmtp, send_many": ("wlsmtp", "many"),
    "wlsmtp async, send_many": ("wlsmtp_async", "many"),
    "wlsmtp, send": ("wlsmtp", "rendered"),
    "wlsmtp async, send": ("wlsmtp_async", "rendered"),
    "smtplib": ("smtplib", "rendered"),
    "aiosmtplib": ("aiosmtplib", "rendered"),
    "pycurl": ("pycurl", "rendered"),
    "smtp-source": ("smtp_source", "rendered"),
    "libESMTP": ("libesmtp", "rendered"),
    "Nodemailer": ("nodemailer", "rendered"),
    "Jakarta Mail": ("jakarta_mail", "rendered"),
}


def ask(bench: Bench) -> Section:
    section = Section("A real Postfix", (__doc__ or "").strip())
    try:
        with bench.python_server("postfix_server.py") as server:
            options = {"recipient": f"n{{}}@{server.about['domain']}"}
            contenders = [
                Contender(name, client, task, bench.count(COUNT), options=options)
                for name, (client, task) in CLIENTS.items()
            ]
            outcomes = bench.compete("real Postfix", contenders, server, bench.rounds(ROUNDS))
            section.tables = [rates("2 KB, no delay", outcomes, "smtplib")]
    except Unavailable as error:
        say(f"no real Postfix: {error}")
        section.after = f"Not available here: {error} (what was missing is on the terminal)."
    return section


question: Question = ask

if __name__ == "__main__":
    show(question)
