"""For tests of programs that send mail: a real SMTP server on a real socket, a scripted peer, a pytest plugin.

The server is written here rather than built on aiosmtpd, which offers neither PIPELINING nor CHUNKING and cannot fail
on demand at any step. It shares no code with the client: a server that used the client's parser would share its bugs.
"""

from wlsmtp.testing.certificates import Certificates
from wlsmtp.testing.channel import CLOSE, DEAF, FORGET, HEAR, RESET, SILENCE
from wlsmtp.testing.profiles import Profile, Situation, profiles
from wlsmtp.testing.quirks import QUIRKS, Quirk
from wlsmtp.testing.scripted import ScriptedPeer
from wlsmtp.testing.server import ReceivedMessage, SMTPServer
from wlsmtp.testing.strict import Violation

__all__ = [
    "CLOSE",
    "DEAF",
    "FORGET",
    "HEAR",
    "QUIRKS",
    "RESET",
    "SILENCE",
    "Certificates",
    "Profile",
    "Quirk",
    "ReceivedMessage",
    "SMTPServer",
    "ScriptedPeer",
    "Situation",
    "Violation",
    "profiles",
]
