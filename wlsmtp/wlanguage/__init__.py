"""WLanguage's SMTP session (WINDEV, WEBDEV) by its own names, over ``wlsmtp.SMTPSession``.

>>> from wlsmtp.wlanguage import *
>>> EmailSetTimeOut(10)
>>> if EmailStartSMTPSession("ann@example.com", "…", "smtp.example.com", 587, False, emailOptionSecuredTLS):
...     Email.Sender, Email.Recipient, Email.Subject = "ann@example.com", "bob@example.org", "Hello"
...     if not EmailSendMessage("ann@example.com"):
...         print(ErrorInfo())
...     EmailCloseSession("ann@example.com")

Functions return what those of the original return, and tell errors as they do: False, ``ErrorOccurred``,
``ErrorInfo``. Every French name is here as well. See ``docs/wlanguage.md`` for the names one by one.
"""

from wlsmtp.wlanguage import constants, email, errors, french, members, reading, sessions, settings, spool, variable
from wlsmtp.wlanguage.constants import *
from wlsmtp.wlanguage.email import *
from wlsmtp.wlanguage.errors import *
from wlsmtp.wlanguage.french import *
from wlsmtp.wlanguage.members import *
from wlsmtp.wlanguage.reading import *
from wlsmtp.wlanguage.sessions import *
from wlsmtp.wlanguage.settings import *
from wlsmtp.wlanguage.spool import *
from wlsmtp.wlanguage.variable import *

__all__: list[str] = []
__all__ += constants.__all__
__all__ += email.__all__
__all__ += errors.__all__
__all__ += french.__all__
__all__ += members.__all__
__all__ += reading.__all__
__all__ += sessions.__all__
__all__ += settings.__all__
__all__ += spool.__all__
__all__ += variable.__all__
