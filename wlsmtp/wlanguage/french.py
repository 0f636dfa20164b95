"""The functions, types and constants by their French names. Members have theirs in ``french_members``."""

from __future__ import annotations

from wlsmtp.wlanguage import constants
from wlsmtp.wlanguage.address import EmailCheckAddress as EmailVérifieAdresse
from wlsmtp.wlanguage.contents import EmailImportHTML as EmailImporteHTML
from wlsmtp.wlanguage.contents import EmailImportSource as EmailImporteSource
from wlsmtp.wlanguage.contents import EmailLoadAttachment as EmailChargeFichierAttaché
from wlsmtp.wlanguage.dialogs import Error as Erreur
from wlsmtp.wlanguage.email import EmailBuildSource as EmailConstruitSource
from wlsmtp.wlanguage.email import EmailReset as EmailRaz
from wlsmtp.wlanguage.email import emailAttach as emailAttache
from wlsmtp.wlanguage.errors import ErrorInfo as ErreurInfo
from wlsmtp.wlanguage.errors import ErrorOccurred as ErreurDétectée
from wlsmtp.wlanguage.members import Add as Ajoute
from wlsmtp.wlanguage.members import ArrayAdd as TableauAjoute
from wlsmtp.wlanguage.reading import EmailReadFirst as EmailLitPremier
from wlsmtp.wlanguage.reading import EmailReadFirstHeader as EmailLitEntêtePremier
from wlsmtp.wlanguage.reading import EmailReadLast as EmailLitDernier
from wlsmtp.wlanguage.reading import EmailReadLastHeader as EmailLitEntêteDernier
from wlsmtp.wlanguage.reading import EmailReadMessage as EmailLitMessage
from wlsmtp.wlanguage.reading import EmailReadNext as EmailLitSuivant
from wlsmtp.wlanguage.reading import EmailReadNextHeader as EmailLitEntêteSuivant
from wlsmtp.wlanguage.reading import EmailReadPrevious as EmailLitPrécédent
from wlsmtp.wlanguage.reading import EmailReadPreviousHeader as EmailLitEntêtePrécédent
from wlsmtp.wlanguage.reading import EmailSeekFirst as EmailCherchePremier
from wlsmtp.wlanguage.sessions import EmailCloseSession as EmailFermeSession
from wlsmtp.wlanguage.sessions import EmailSend as EmailEnvoie
from wlsmtp.wlanguage.sessions import EmailSendMessage as EmailEnvoieMessage
from wlsmtp.wlanguage.sessions import EmailStartSession as EmailOuvreSession
from wlsmtp.wlanguage.sessions import EmailStartSMTPSession as EmailOuvreSessionSMTP
from wlsmtp.wlanguage.settings import EmailConfigure as EmailParamètre
from wlsmtp.wlanguage.settings import EmailGetTimeOut as EmailLitTimeOut
from wlsmtp.wlanguage.settings import EmailSetTimeOut as EmailChangeTimeOut
from wlsmtp.wlanguage.spool import EmailStatus as EmailEtat
from wlsmtp.wlanguage.variable import emailSMTPSession as emailSessionSMTP

__all__ = [
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

Vrai: bool = True
Faux: bool = False

emailSynchrone = constants.emailSynchronous
emailAsynchrone = constants.emailAsynchronous
emailEnvoyé = constants.emailSent
emailEnAttente = constants.emailPending
emailErreur = constants.emailError
emailOptionDéfaut = constants.emailOptionDefault
emailOptionSécuriséTLS = constants.emailOptionSecuredTLS
emailOptionSécuriséSSL = constants.emailOptionSecuredSSL
emailOptionEncodeEntête = constants.emailOptionEncodeHeader
emailPrioritéHaute = constants.emailHighPriority
emailPrioritéNormale = constants.emailNormalPriority
emailPrioritéBasse = constants.emailLowPriority
emailNormal = constants.emailNotConfidential
emailPersonnel = constants.emailPersonal
emailPrivé = constants.emailPrivate
emailConfidentiel = constants.emailCompanyConfidential
emailAdresseValide = constants.emailAddressValid
emailAdresseSyntaxeIncorrecte = constants.emailAddressIncorrectSyntax
emailAdresseRefusée = constants.emailAddressRefused
emailAdresseErreur = constants.emailAddressError
emailValideSyntaxe = constants.emailValidateSyntax
emailValideSyntaxeStrict = constants.emailValidateSyntaxStrict
emailValideParServeur = constants.emailValidateByServer
emailParamètreMode = constants.emailParameterMode
errComplet = constants.errFullDetails
