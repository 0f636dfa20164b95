"""The functions, types and constants by their French names. Members have theirs in ``french_members``."""

from __future__ import annotations

from wlsmtp.wlanguage import constants, email, errors, members, reading, sessions, settings, spool, variable

__all__ = [
    "Ajoute", "EmailChangeTimeOut", "EmailConstruitSource", "EmailEnvoie", "EmailEnvoieMessage", "EmailEtat",
    "EmailFermeSession", "EmailLitMessage", "EmailLitTimeOut", "EmailOuvreSession", "EmailOuvreSessionSMTP",
    "EmailRaz", "ErreurDétectée", "ErreurInfo", "Faux", "Vrai", "emailAsynchrone", "emailAttache",
    "emailOptionDéfaut", "emailOptionEncodeEntête", "emailOptionSécuriséSSL", "emailOptionSécuriséTLS",
    "emailSessionSMTP", "emailSynchrone", "errComplet",
]  # fmt: skip

Vrai, Faux = True, False

EmailOuvreSessionSMTP = sessions.EmailStartSMTPSession
EmailOuvreSession = sessions.EmailStartSession
EmailEnvoieMessage = sessions.EmailSendMessage
EmailEnvoie = sessions.EmailSend
EmailFermeSession = sessions.EmailCloseSession
EmailEtat = spool.EmailStatus
EmailChangeTimeOut = settings.EmailSetTimeOut
EmailLitTimeOut = settings.EmailGetTimeOut
EmailConstruitSource = email.EmailBuildSource
EmailRaz = email.EmailReset
EmailLitMessage = reading.EmailReadMessage
ErreurDétectée = errors.ErrorOccurred
ErreurInfo = errors.ErrorInfo
Ajoute = members.Add

emailSessionSMTP = variable.emailSMTPSession
emailAttache = email.emailAttach

emailSynchrone = constants.emailSynchronous
emailAsynchrone = constants.emailAsynchronous
emailOptionDéfaut = constants.emailOptionDefault
emailOptionSécuriséTLS = constants.emailOptionSecuredTLS
emailOptionSécuriséSSL = constants.emailOptionSecuredSSL
emailOptionEncodeEntête = constants.emailOptionEncodeHeader
errComplet = constants.errFullDetails
