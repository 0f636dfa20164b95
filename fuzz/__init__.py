"""Coverage-guided fuzzing of the pure rooms: one file a target, each with one function, ``check``.

``check`` takes any octets, reads them as input for the code under test, and raises ``AssertionError`` when a promise of
that code is broken. Nothing here needs the fuzzer: the tests call the same functions with the seeds of ``corpus/``,
where what the fuzzer has found stays, and with the octets of hypothesis. ``python -m fuzz`` lets atheris loose on them.
"""

TARGETS = (
    "address", "command", "content", "ehlo", "eml", "headers", "html", "mime", "raw", "reply", "settings", "transfer",
)  # fmt: skip
"""The modules of this package with a ``check``."""
