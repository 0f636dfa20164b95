"""The functions, types and constants by their French names. Members have theirs in ``french_members``."""

from __future__ import annotations

from wlsmtp.wlanguage import (
    address,
    constants,
    contents,
    dialogs,
    email,
    errors,
    members,
    reading,
    sessions,
    settings,
    spool,
    variable,
)

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

Vrai, Faux = True, False

EmailOuvreSessionSMTP = sessions.EmailStartSMTPSession
EmailOuvreSession = sessions.EmailStartSession
EmailEnvoieMessage = sessions.EmailSendMessage
EmailEnvoie = sessions.EmailSend
EmailFermeSession = sessions.EmailCloseSession
EmailEtat = spool.EmailStatus
EmailParamètre = settings.EmailConfigure
EmailChangeTimeOut = settings.EmailSetTimeOut
EmailLitTimeOut = settings.EmailGetTimeOut
EmailConstruitSource = email.EmailBuildSource
EmailImporteSource = contents.EmailImportSource
EmailImporteHTML = contents.EmailImportHTML
EmailChargeFichierAttaché = contents.EmailLoadAttachment
EmailVérifieAdresse = address.EmailCheckAddress
EmailRaz = email.EmailReset
ErreurDétectée = errors.ErrorOccurred
ErreurInfo = errors.ErrorInfo
Erreur = dialogs.Error
Ajoute = members.Add
TableauAjoute = members.ArrayAdd

EmailLitMessage = reading.EmailReadMessage
EmailLitPremier = reading.EmailReadFirst
EmailLitSuivant = reading.EmailReadNext
EmailLitPrécédent = reading.EmailReadPrevious
EmailLitDernier = reading.EmailReadLast
EmailLitEntêtePremier = reading.EmailReadFirstHeader
EmailLitEntêteSuivant = reading.EmailReadNextHeader
EmailLitEntêtePrécédent = reading.EmailReadPreviousHeader
EmailLitEntêteDernier = reading.EmailReadLastHeader
EmailCherchePremier = reading.EmailSeekFirst

emailSessionSMTP = variable.emailSMTPSession
emailAttache = email.emailAttach

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
