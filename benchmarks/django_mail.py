"""What does a site of Django gain that calls `send_mail` a hundred times?

`send_mail` over TLS from the first byte and AUTH PLAIN, 20 ms from wlsmtp's testing server, by Django's own SMTP
backend and by `wlsmtp.contrib.django.EmailBackend`, which keeps the connection. Django connects for each mail: TCP,
TLS, greeting, EHLO, AUTH, MAIL, RCPT, DATA, content and QUIT, one round trip each and more. The proxy does not delay
the TCP handshake. The last two rows are `send_mass_mail`, one call of Django for all mails, which has one connection
with both backends.
"""

from __future__ import annotations

from harness import Bench, Contender
from report import Question, Section, at_least, rates, show

RTT, MAILS, ROUNDS = 20, 100, 3
TASKS = {
    "Django, send_mail": "send-mail",
    "Django over wlsmtp, send_mail": "send-mail-wlsmtp",
    "Django, send_mass_mail": "send-mass-mail",
    "Django over wlsmtp, send_mass_mail": "send-mass-mail-wlsmtp",
}


def ask(bench: Bench) -> Section:
    count = bench.count(MAILS, at_least=20)
    with bench.python_server("tls_server.py") as server, bench.delay(server, RTT) as line:
        options = {"ca-file": server.about["ca_file"]}
        contenders = [Contender(name, "django", task, count, options=options) for name, task in TASKS.items()]
        outcomes = bench.compete(f"{count} mails of Django", contenders, server, bench.rounds(ROUNDS), through=line)
    section = Section("A site of Django", (__doc__ or "").strip())
    own, ours, *_ = TASKS
    section.tables.append(rates(f"{count} mails over TLS at {RTT} ms", outcomes, own))
    section.claims.append(
        at_least("Django over wlsmtp, send_mail: mails/s of its own backend's", 5, outcomes, ours, own)
    )
    return section


question: Question = ask

if __name__ == "__main__":
    show(question)
