"""WLanguage's SMTP session (WINDEV, WEBDEV) by its own names, over ``wlsmtp.SMTPSession``.

>>> from wlsmtp.wlanguage import *
>>> EmailSetTimeOut(10)
>>> if EmailStartSMTPSession("ann@example.com", "…", "smtp.example.com", 587, False, emailOptionSecuredTLS):
...     Email.Sender, Email.Recipient, Email.Subject = "ann@example.com", "bob@example.org", "Hello"
...     if not EmailSendMessage("ann@example.com"):
...         print(ErrorInfo())
...     EmailCloseSession("ann@example.com")

Functions return what those of the original return, and report errors as they do: False, ``ErrorOccurred``,
``ErrorInfo``. Every French name is here as well; case and accents do not matter. ``docs/migration/wlanguage.md`` lists
all names.
"""

from typing import TYPE_CHECKING, Any

from wlsmtp.wlanguage.address import *
from wlsmtp.wlanguage.constants import *
from wlsmtp.wlanguage.contents import *
from wlsmtp.wlanguage.dialogs import *
from wlsmtp.wlanguage.email import *
from wlsmtp.wlanguage.errors import *
from wlsmtp.wlanguage.french import *
from wlsmtp.wlanguage.members import *
from wlsmtp.wlanguage.reading import *
from wlsmtp.wlanguage.sessions import *
from wlsmtp.wlanguage.settings import *
from wlsmtp.wlanguage.spelling import by_plain_name, plain, usual_spellings
from wlsmtp.wlanguage.spool import *
from wlsmtp.wlanguage.variable import *

__all__ = [
    # Sessions
    "EmailCloseSession", "EmailSend", "EmailSendMessage", "EmailStartSMTPSession", "EmailStartSession",
    "emailSMTPSession", "EmailStatus", "EmailReadFirst", "EmailReadFirstHeader", "EmailReadLast",
    "EmailReadLastHeader", "EmailReadMessage", "EmailReadNext", "EmailReadNextHeader", "EmailReadPrevious",
    "EmailReadPreviousHeader", "EmailSeekFirst",
    # Emails
    "Email", "EmailBuildSource", "EmailCheckAddress", "EmailImportHTML", "EmailImportSource", "EmailLoadAttachment",
    "EmailReset", "EmailVariable", "emailAttach", "Add", "ArrayAdd",
    # Settings, errors and messages
    "EmailConfigure", "EmailGetTimeOut", "EmailSetTimeOut", "ErrorInfo", "ErrorOccurred", "WLanguageError",
    "Error", "Info", "Trace",
    # Constants
    "OptionSSL", "emailAddressError", "emailAddressIncorrectSyntax", "emailAddressRefused", "emailAddressValid",
    "emailAsynchronous", "emailCompanyConfidential", "emailError", "emailHighPriority",
    "emailLowPriority", "emailNormalPriority", "emailNotConfidential", "emailOptionDefault",
    "emailOptionEncodeHeader", "emailOptionHeaderBcc", "emailOptionSecuredSSL", "emailOptionSecuredTLS",
    "emailParameterCAFile", "emailParameterClearPassword", "emailParameterMode", "emailParameterOpportunisticTLS",
    "emailParameterSpooler", "emailPending", "emailPersonal", "emailPrivate", "emailProtocolSMTPS", "emailSent",
    "emailSynchronous", "emailValidateByServer", "emailValidateSyntax", "emailValidateSyntaxStrict", "errCode",
    "errFullDetails", "errMessage",
    # All names in French
    "Ajoute", "EmailChangeTimeOut", "EmailChargeFichierAttaché", "EmailCherchePremier", "EmailConstruitSource",
    "EmailEnvoie", "EmailEnvoieMessage", "EmailEtat", "EmailFermeSession", "EmailImporteHTML", "EmailImporteSource",
    "EmailLitDernier", "EmailLitEntêteDernier", "EmailLitEntêtePremier", "EmailLitEntêtePrécédent",
    "EmailLitEntêteSuivant", "EmailLitMessage", "EmailLitPremier", "EmailLitPrécédent", "EmailLitSuivant",
    "EmailLitTimeOut", "EmailOuvreSession", "EmailOuvreSessionSMTP", "EmailParamètre", "EmailRaz",
    "EmailVérifieAdresse", "Erreur", "ErreurDétectée", "ErreurInfo", "Faux", "TableauAjoute", "Vrai",
    "emailAdresseErreur", "emailAdresseRefusée", "emailAdresseSyntaxeIncorrecte", "emailAdresseValide",
    "emailAsynchrone", "emailAttache", "emailConfidentiel", "emailEnAttente", "emailEnvoyé", "emailErreur",
    "emailNormal", "emailOptionDéfaut", "emailOptionEncodeEntête", "emailOptionSécuriséSSL", "emailOptionSécuriséTLS",
    "emailParamètreMode", "emailPersonnel", "emailPrioritéBasse", "emailPrioritéHaute", "emailPrioritéNormale",
    "emailPrivé", "emailSessionSMTP", "emailSynchrone", "emailValideParServeur", "emailValideSyntaxe",
    "emailValideSyntaxeStrict", "errComplet",
]  # fmt: skip

if not TYPE_CHECKING:  # type checkers see the names as they are documented
    _NAMES = by_plain_name(__all__)
    __all__ += usual_spellings(__all__)

    def __getattr__(name: str) -> Any:
        """Return a name in any other spelling."""
        found = None if name.startswith("_") else _NAMES.get(plain(name))
        if found is None:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        return globals()[found]
