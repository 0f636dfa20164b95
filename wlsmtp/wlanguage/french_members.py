"""The members of the variables by their French names."""

from __future__ import annotations

from wlsmtp.wlanguage.members import Alias


class FrenchAttachment:
    """The members of ``emailAttach`` in French."""

    __slots__ = ()

    Nom: Alias = Alias("Name")
    Contenu: Alias = Alias("Content")
    Identifiant: Alias = Alias("Identifier")


class FrenchEmail:
    """The members of ``Email`` in French."""

    __slots__ = ()

    AccuséRéception: Alias = Alias("ReturnReceipt")
    AdresseExpéditeur: Alias = Alias("SenderAddress")
    Attache: Alias = Alias("Attach")
    Certificat: Alias = Alias("Certificate")
    Cci: Alias = Alias("Bcc")
    Confidentialité: Alias = Alias("Sensitivity")
    ConfirmationLecture: Alias = Alias("DispositionNotification")
    Destinataire: Alias = Alias("Recipient")
    Erreur: Alias = Alias("Error")
    Expediteur: Alias = Alias("Sender")
    IdentifiantAttache: Alias = Alias("AttachIdentifier")
    IdentifiantMail: Alias = Alias("MailIdentifier")
    NbAttache: Alias = Alias("NbAttach")
    NbCci: Alias = Alias("NbBcc")
    NbDestinataire: Alias = Alias("NbRecipient")
    Priorité: Alias = Alias("Priority")
    Référence: Alias = Alias("Reference")
    Sujet: Alias = Alias("Subject")
    ChargeFichierAttaché: Alias = Alias("LoadAttachment")
    ConstruitSource: Alias = Alias("BuildSource")
    ImporteHTML: Alias = Alias("ImportHTML")
    ImporteSource: Alias = Alias("ImportSource")


class FrenchSession:
    """The members of ``emailSMTPSession`` in French."""

    __slots__ = ()

    AdresseServeur: Alias = Alias("ServerAddress")
    Asynchrone: Alias = Alias("Asynchronous")
    MotDePasse: Alias = Alias("Password")
    Nom: Alias = Alias("Name")
    OuvreSession: Alias = Alias("StartSession")
    EnvoieMessage: Alias = Alias("SendMessage")
    FermeSession: Alias = Alias("CloseSession")
