"""The members of the variables by their French names."""

from __future__ import annotations

from wlsmtp.wlanguage.members import Alias


class FrenchAttachment:
    """Those of ``emailAttach``."""

    __slots__ = ()

    Nom = Alias("Name")
    Contenu = Alias("Content")
    Identifiant = Alias("Identifier")


class FrenchEmail:
    """Those of ``Email``."""

    __slots__ = ()

    AccuséRéception = Alias("ReturnReceipt")
    AdresseExpéditeur = Alias("SenderAddress")
    Attache = Alias("Attach")
    Certificat = Alias("Certificate")
    Cci = Alias("Bcc")
    Confidentialité = Alias("Sensitivity")
    ConfirmationLecture = Alias("DispositionNotification")
    Destinataire = Alias("Recipient")
    Erreur = Alias("Error")
    Expediteur = Alias("Sender")
    IdentifiantAttache = Alias("AttachIdentifier")
    IdentifiantMail = Alias("MailIdentifier")
    NbAttache = Alias("NbAttach")
    NbCci = Alias("NbBcc")
    NbDestinataire = Alias("NbRecipient")
    Priorité = Alias("Priority")
    Référence = Alias("Reference")
    Sujet = Alias("Subject")
    ChargeFichierAttaché = Alias("LoadAttachment")
    ConstruitSource = Alias("BuildSource")
    ImporteHTML = Alias("ImportHTML")
    ImporteSource = Alias("ImportSource")


class FrenchSession:
    """Those of ``emailSMTPSession``."""

    __slots__ = ()

    AdresseServeur = Alias("ServerAddress")
    Asynchrone = Alias("Asynchronous")
    MotDePasse = Alias("Password")
    Nom = Alias("Name")
    OuvreSession = Alias("StartSession")
    EnvoieMessage = Alias("SendMessage")
    FermeSession = Alias("CloseSession")
