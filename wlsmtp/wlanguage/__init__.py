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

__all__ = [
    # Sessions
    "EmailCloseSession", "EmailSend", "EmailSendMessage", "EmailStartSMTPSession", "EmailStartSession",
    "emailSMTPSession", "EmailStatus", "EmailReadFirst", "EmailReadFirstHeader", "EmailReadLast",
    "EmailReadLastHeader", "EmailReadMessage", "EmailReadNext", "EmailReadNextHeader", "EmailReadPrevious",
    "EmailReadPreviousHeader", "EmailSeekFirst",
    # What is sent
    "Email", "EmailBuildSource", "EmailReset", "EmailVariable", "emailAttach", "Add",
    # Settings and errors
    "EmailConfigure", "EmailGetTimeOut", "EmailSetTimeOut", "ErrorInfo", "ErrorOccurred", "WLanguageError",
    # Constants
    "OptionSSL", "emailAsynchronous", "emailCompanyConfidential", "emailError", "emailHighPriority",
    "emailLowPriority", "emailNormalPriority", "emailNotConfidential", "emailOptionDefault",
    "emailOptionEncodeHeader", "emailOptionHeaderBcc", "emailOptionSecuredSSL", "emailOptionSecuredTLS",
    "emailParameterCAFile", "emailParameterClearPassword", "emailParameterMode", "emailParameterOpportunisticTLS",
    "emailParameterSpooler", "emailPending", "emailPersonal", "emailPrivate", "emailProtocolSMTPS", "emailSent",
    "emailSynchronous", "errCode", "errFullDetails", "errMessage",
    # All of it in French
    "Ajoute", "EmailChangeTimeOut", "EmailConstruitSource", "EmailEnvoie", "EmailEnvoieMessage", "EmailEtat",
    "EmailFermeSession", "EmailLitMessage", "EmailLitTimeOut", "EmailOuvreSession", "EmailOuvreSessionSMTP",
    "EmailRaz", "ErreurDétectée", "ErreurInfo", "Faux", "Vrai", "emailAsynchrone", "emailAttache",
    "emailOptionDéfaut", "emailOptionEncodeEntête", "emailOptionSécuriséSSL", "emailOptionSécuriséTLS",
    "emailSessionSMTP", "emailSynchrone", "errComplet",
]  # fmt: skip
