"""One connection. ``opening`` connects and logs in; ``connection`` lives until QUIT; ``link`` has the commands in
flight and ``window`` the messages. ``transaction`` is one message, ``delivery`` writes a large content. Pure modules:
``plan`` (what to send), ``judge`` (what replies mean) and ``learning`` (what they show about the server)."""
