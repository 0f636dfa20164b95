"""What is sent: a message becomes ``Content`` and an ``Envelope``. No I/O but reading attachments; no ``async``."""
