"""Mode ``async``: mail that is kept until it is sent. ``base`` says what an outbox is, ``memory`` and ``sqlite`` are
two; ``verdict`` decides what becomes of a mail, ``worker`` sends, ``spooler`` is what a session asks."""
