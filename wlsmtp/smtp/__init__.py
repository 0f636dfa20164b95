"""One connection: ``opening`` (from connecting to the login), ``connection`` (until QUIT), ``link`` (commands in
flight), ``window`` (messages in flight), ``transaction`` (one of them), ``delivery`` (a large content); pure: ``plan``,
``judge`` and ``learning`` (what to send, what the replies mean, what they show about the server)."""
