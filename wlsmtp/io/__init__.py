"""The only rooms with sockets, TLS, threads, event loops and clocks. ``base`` says what they offer; ``blocking`` and
``aio`` are the two worlds, known only to ``session.py``."""
