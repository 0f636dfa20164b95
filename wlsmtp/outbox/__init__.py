"""Mode ``async``: mail that is stored until it is sent. ``base`` defines an outbox, ``memory`` and ``sqlite`` are two;
``verdict`` decides about retries, ``worker`` sends, and ``spooler`` serves the session."""
