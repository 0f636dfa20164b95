"""The only package with sockets, TLS, threads, event loops and clocks. ``base`` defines the interface; ``blocking`` and
``aio`` implement it, and only ``session.py`` knows them."""
