"""Messages: converts a message to ``Content`` and an ``Envelope``. No I/O except reading attachments; no ``async``."""
