"""The space of what a server can answer: every reply at every stage, however the client talks and sends.

Black box: only the public API is used, against a server of its own (``server``) that follows rules and records all that
happens. ``cases`` enumerates the space, ``oracle`` says what is right, ``drive`` runs a case.
"""
