"""An outbox in PostgreSQL, for any number of machines: ``outbox`` is the store, ``desk`` runs its database jobs."""
