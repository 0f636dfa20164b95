"""GNU SASL's server side, called through ctypes: an implementation of SCRAM with channel binding that is not ours, as
neither Postfix nor this Dovecot can bind."""

from __future__ import annotations

import ctypes
import ctypes.util
from collections.abc import Callable

LIBRARY = "libgsasl.so.18"
_NEEDS_MORE = 1
# From gsasl.h, where the numbers are part of the ABI.
_PASSWORD, _CB_TLS_UNIQUE = 3, 18


def what_is_missing() -> str | None:
    """Say what keeps GNU SASL from being used here, or None."""
    try:
        ctypes.CDLL(LIBRARY)
    except OSError:
        return f"{LIBRARY} (libgsasl18)"
    return None


def examine(mechanism: str, password: str, unique: str, first: str, ask: Callable[[str], str]) -> bool:
    """Play the server's side of ``mechanism`` on a connection whose binding is ``unique``; all but the password is in
    base64. Return whether the client has proved that it knows the password, and is at the end of this connection."""
    library = ctypes.CDLL(LIBRARY)
    context, session = ctypes.c_void_p(), ctypes.c_void_p()
    assert library.gsasl_init(ctypes.byref(context)) == 0
    try:
        # What is bound decides on the mechanisms offered, and is asked for through a callback before the session is.
        kind = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int)
        known = {_PASSWORD: password.encode(), _CB_TLS_UNIQUE: unique.encode()}
        set_property = library.gsasl_property_set
        set_property.argtypes = [ctypes.c_void_p, ctypes.c_int, ctypes.c_char_p]

        def provide(_context: int, asking: int, name: int) -> int:
            if name not in known:
                return 51  # GSASL_NO_CALLBACK
            set_property(asking, name, known[name])
            return 0

        callback = kind(provide)
        library.gsasl_callback_set(context, callback)
        assert library.gsasl_server_start(context, mechanism.encode(), ctypes.byref(session)) == 0
        return _play(library, session, first, ask)
    finally:
        library.gsasl_finish(session)
        library.gsasl_done(context)


def _play(library: ctypes.CDLL, session: ctypes.c_void_p, first: str, ask: Callable[[str], str]) -> bool:
    said, output = first, ctypes.c_char_p()
    while True:
        code = library.gsasl_step64(session, said.encode(), ctypes.byref(output))
        if code not in (0, _NEEDS_MORE):
            return False
        words = (output.value or b"").decode()
        library.gsasl_free(output)
        if words:
            said = ask(words)
        if code == 0:
            return True
