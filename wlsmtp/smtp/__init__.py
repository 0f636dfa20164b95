"""One connection: ``link`` (commands in flight), ``plan`` and ``judge`` (pure: what to say, what the replies mean),
``conversation`` (from the greeting to QUIT) and ``delivery`` (one message over a link)."""
