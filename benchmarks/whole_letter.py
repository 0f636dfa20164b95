"""How many whole letters a second: from a template, with inlined CSS, text made from the HTML, a picture and a DKIM
signature?

The letter has 2 KB of HTML with a loop over ten items; the picture has 4 KB and is inline. wlsmtp does all steps, by
Jinja2, css-inline and its own code, and signs with Ed25519; a row apart signs with RSA. Nodemailer has handlebars,
juice and html-to-text as plug-ins and signs with RSA, as it knows no Ed25519. Red Mail has Jinja2 and the picture: its
CSS stays in the style sheet, its text is a template of its own, and nothing is signed.
"""

from __future__ import annotations

import random
import sys
import time
from collections.abc import Callable

from harness import Bench, Contender
from peers import CLIENTS, WORK, run
from report import Question, Section, Table, at_least, rates, show

COUNT, WARMUP = 2000, 200
ROUNDS = 5
OURS, ONE_BY_ONE = "wlsmtp, send_many(templates.merge)", "wlsmtp, send(templates.message)"
RED_MAIL, NODEMAILER = "Red Mail", "Nodemailer"
LETTER = WORK / "letter"

STYLE = """\
body { font-family: Arial, sans-serif; color: #333333; margin: 0; background: #f4f4f4 }
h1 { font-size: 22px; color: #0a3d62 } p { margin: 0 0 12px; line-height: 1.5 }
a { color: #0a3d62 } a:hover { color: #e55039 } .button { padding: 10px 18px; background: #e55039 }
.main { width: 600px; margin: 0 auto; background: #ffffff; padding: 24px }
.items { width: 100%; border-collapse: collapse } .items td { padding: 6px 0; border-bottom: 1px solid #eeeeee }
.price { text-align: right; white-space: nowrap } .foot { font-size: 12px; color: #888888 }
@media (max-width: 620px) { .main { width: 100%; padding: 12px } }
"""
BODY = """\
<!DOCTYPE html>
<html><head><meta charset="utf-8"><title>Your order</title><style>{style}</style></head>
<body><table class="main"><tr><td>
<img src="{logo}" alt="Books" width="120" height="40">
<h1>Thank you for your order, {{{{ name }}}}!</h1>
<p>Hello {{{{ name }}}}, we have received your order and will send it within two days. You will hear from us again when
the parcel is on its way. Until then you can
<a href="https://shop.example.com/orders/7">change or cancel the order</a>.</p>
<table class="items">{each}<tr><td>{title}</td><td class="price">{price}</td></tr>{end}</table>
<p><a class="button" href="https://shop.example.com/account">Your account</a></p>
<ul><li>Books are sent by post, and come within three days.</li><li>You have 30 days to send them back.</li></ul>
<p>Best regards,<br>your bookshop</p>
<p class="foot">Books &amp; more, 1 Main Street, Springfield. <a href="https://shop.example.com/imprint">Imprint</a></p>
</td></tr></table></body></html>
"""
SUBJECT = "{% block subject %}Your order, {{ name }}{% endblock %}"
JINJA = {
    "each": "{% for item in items %}", "end": "{% endfor %}", "title": "{{ item.title }}", "price": "{{ item.price }}",
}  # fmt: skip
HANDLEBARS = {"each": "{{#each items}}", "end": "{{/each}}", "title": "{{title}}", "price": "{{price}}"}


def prepare_letter() -> None:
    """Write the templates, the picture and the keys."""
    LETTER.mkdir(parents=True, exist_ok=True)
    body = BODY.replace("{style}", STYLE.replace("{", "{{").replace("}", "}}"))
    html = body.format(logo="logo.png", **JINJA)
    files = {
        "letter.html": SUBJECT + "{% block html %}" + html + "{% endblock %}",
        "redmail.html": body.format(logo="{{ logo.src }}", **JINJA),
        "redmail.txt": "Thank you, {{ name }}!\n{% for item in items %}{{ item.title }} {{ item.price }}\n{% endfor %}",
        "letter.handlebars": body.format(logo="cid:logo@example.com", **HANDLEBARS),
    }
    for name, text in files.items():
        (LETTER / name).write_text(text)
    (LETTER / "logo.png").write_bytes(b"\x89PNG\r\n\x1a\n" + random.Random(0).randbytes(4096))
    for kind, options in {"ed25519": ("ed25519",), "rsa": ("RSA", "-pkeyopt", "rsa_keygen_bits:2048")}.items():
        if not (LETTER / f"{kind}.pem").exists():
            run(["openssl", "genpkey", "-algorithm", *options, "-out", LETTER / f"{kind}.pem"], "making a key")


def contenders(bench: Bench) -> list[Contender]:
    count, warmup = bench.count(COUNT), bench.count(WARMUP)
    rows = {
        OURS: ("wlsmtp", "letters", count), ONE_BY_ONE: ("wlsmtp", "letters-one-by-one", count),
        "wlsmtp, send_many, RSA": ("wlsmtp", "letters-rsa", count), RED_MAIL: ("redmail", "letter", count // 2),
        NODEMAILER: ("nodemailer", "letter", count // 2),
    }  # fmt: skip
    options = {"file": str(LETTER)}
    return [Contender(name, client, task, many, warmup, options) for name, (client, task, many) in rows.items()]


def steps() -> Table:
    """CPU time of each step, in this process."""
    from wlsmtp import DKIM, SMTPSession, Templates
    from wlsmtp.message.html import embedded, inlined
    from wlsmtp.message.jinja import render
    from wlsmtp.message.plain import text_of
    from wlsmtp.message.repeated import repeated
    from wlsmtp.message.woven import woven

    sys.path.insert(0, str(CLIENTS))
    from job import ITEMS, SENDER

    templates = Templates(LETTER, sender=SENDER, inline_css=True, embed_images=LETTER)
    values = {"name": "Customer 7", "items": ITEMS, "to": "n7@example.com", "locale": None}

    def jinja() -> list[str]:
        written: dict[str, list[str]] = {}
        render(templates._plain.get_template("letter.html"), values, ("subject", "text"), written)
        render(templates._escaping.get_template("letter.html"), values, ("html",), written)
        return written["html"]

    pieces = jinja()
    html = "".join(pieces)
    message = templates.message("letter", values, to="n7@example.com")
    session = SMTPSession(transport="null:", dkim=DKIM("example.com", "s1", key=str(LETTER / "ed25519.pem")))
    measured: dict[str, Callable[[], object]] = {
        "Jinja2": jinja,
        "text from HTML": lambda: text_of(html),
        "CSS inlined (css-inline)": lambda: inlined(html, ""),
        "picture embedded": lambda: embedded(html, str(LETTER)),
        "text, CSS and picture for HTML seen before": lambda: repeated(html, "", str(LETTER), True),
        "text, CSS and picture for a template seen before": lambda: woven(pieces, "", str(LETTER), True),
        "message written": lambda: message.render(),
        "all of it, signed and handed to a transport": lambda: session.send(
            templates.message("letter", values, to="n7@example.com")
        ),
    }
    found = {title: microseconds(step) for title, step in measured.items()}
    whole = list(found.values())[-1]
    rows = [(title, f"{time:.1f}", f"{time / whole:.0%}") for title, time in found.items()]
    return Table("CPU time of one letter, by its steps", ("step", "us", "share"), rows)


def microseconds(step: Callable[[], object], times: int = 200, rounds: int = 5) -> float:
    """CPU time of one call: the least of some rounds, as the machine may do something else in the others."""
    best = float("inf")
    for _ in range(rounds):
        start = time.process_time()
        for _ in range(times):
            step()
        best = min(best, (time.process_time() - start) / times)
    return best * 1e6


def ask(bench: Bench) -> Section:
    prepare_letter()
    with bench.sink() as sink:
        outcomes = bench.compete("whole letter", contenders(bench), sink, bench.rounds(ROUNDS))
    section = Section("A whole letter", (__doc__ or "").strip())
    section.tables = [rates("Letters, no delay", outcomes, RED_MAIL), steps()]
    section.claims = [
        at_least(f"Whole letters: messages/s of {RED_MAIL}", 5, outcomes, OURS, RED_MAIL),
        at_least(f"Whole letters: messages/s of {NODEMAILER}", 3, outcomes, OURS, NODEMAILER),
    ]
    return section


question: Question = ask

if __name__ == "__main__":
    show(question)
