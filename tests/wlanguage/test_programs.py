"""Programs as they are found in forums, books and applications, translated line by line: each line in WLanguage stands
above its translation. Names of controls (``EDT_…``, ``SAI_…``) are the parameters."""

from __future__ import annotations

import configparser
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from wlsmtp import wlanguage
from wlsmtp.testing import SMTPServer
from wlsmtp.wlanguage import *

Make = Callable[..., SMTPServer]


def newsletter(sServer: str, nPort: int) -> None:
    """The structure, a session by the name of its user, one email for each customer."""
    # EmailSetTimeOut(10)
    EmailSetTimeOut(10)
    # IF EmailStartSMTPSession("news", "", sServer, nPort) = False THEN
    if EmailStartSMTPSession("news", "", sServer, nPort) == False:
        # Error("Unable to establish the connection", ErrorInfo(), "Check the firewall")
        Error("Unable to establish the connection", ErrorInfo(), "Check the firewall")
        # RETURN
        return
    # END
    # FOR EACH STRING sAddress OF "bob@example.org" + CR + "eve@example.org" SEPARATED BY CR
    for sAddress in ["bob@example.org", "eve@example.org"]:
        # EmailReset()
        EmailReset()
        # Email.Sender = "<news@example.com>"
        Email.Sender = "<news@example.com>"
        # Email.NbRecipient = 1
        Email.NbRecipient = 1
        # Email.Recipient[1] = sAddress
        Email.Recipient[1] = sAddress
        # Email.Subject = "What is new"
        Email.Subject = "What is new"
        # Email.Message = "Much."
        Email.Message = "Much."
        # Email.NbAttach = 0
        Email.NbAttach = 0
        # IF EmailSendMessage("news") = False THEN Error()
        if EmailSendMessage("news") == False:
            Error()
    # END
    # EmailCloseSession("news")
    EmailCloseSession("news")


def bon_de_commande(sServeur: str, nPort: int, sNote: str) -> None:
    """Les variables, et les fonctions."""
    # MonMessage est un Email
    MonMessage = Email()
    # MonMessage.Expéditeur = "commandes@example.com"
    MonMessage.Expéditeur = "commandes@example.com"  # type: ignore[attr-defined]
    # Ajoute(MonMessage.Destinataire, "bob@example.org")
    Ajoute(MonMessage.Destinataire, "bob@example.org")
    # Ajoute(MonMessage.Cc, "eve@example.org")
    Ajoute(MonMessage.Cc, "eve@example.org")
    # MonMessage.Sujet = "Référence n° 7"
    MonMessage.Sujet = "Référence n° 7"
    # MonMessage.Message = sNote
    MonMessage.Message = sNote
    # MonMessage.HTML = "<p>" + sNote + "</p>"
    MonMessage.HTML = "<p>" + sNote + "</p>"
    # MonMessage.Priorité = emailPrioritéHaute
    MonMessage.Priorité = emailPrioritéHaute
    # MaSession est un emailSessionSMTP
    MaSession = emailSessionSMTP()
    # MaSession.AdresseServeur = sServeur
    MaSession.AdresseServeur = sServeur
    # MaSession.Port = nPort
    MaSession.Port = nPort
    # SI EmailOuvreSession(MaSession) = Faux ALORS RETOUR
    if EmailOuvreSession(MaSession) == Faux:
        return
    # SI PAS EmailEnvoieMessage(MaSession, MonMessage, emailOptionEncodeEntête) ALORS Erreur(ErreurInfo())
    if not EmailEnvoieMessage(MaSession, MonMessage, emailOptionEncodeEntête):
        Erreur(ErreurInfo())
    # EmailFermeSession(MaSession)
    EmailFermeSession(MaSession)


def fenetre_d_envoi(
    SAI_Serveur: str, SAI_Port: str, SAI_Utilisateur: str, SAI_MotDePasse: str, SAI_Fichier: str
) -> None:
    """Les méthodes, une pièce jointe, et les saisies d'une fenêtre."""
    # MaSession est un emailSessionSMTP
    MaSession = emailSessionSMTP()
    # MaSession.Nom = SAI_Utilisateur
    MaSession.Nom = SAI_Utilisateur
    # MaSession.MotDePasse = SAI_MotDePasse
    MaSession.MotDePasse = SAI_MotDePasse
    # MaSession.AdresseServeur = SAI_Serveur
    MaSession.AdresseServeur = SAI_Serveur
    # MaSession.Port = SAI_Port
    MaSession.Port = SAI_Port
    # SI PAS MaSession.OuvreSession() ALORS
    if not MaSession.OuvreSession():
        # Erreur("Connexion impossible.", ErreurInfo())
        Erreur("Connexion impossible.", ErreurInfo())
        # RETOUR
        return
    # FIN
    # MonMessage est un Email
    MonMessage = Email()
    # MonMessage.Expediteur = "ann@example.com"
    MonMessage.Expediteur = "ann@example.com"
    # MonMessage.Sujet = "Facture"
    MonMessage.Sujet = "Facture"
    # MonMessage.Destinataire.Ajoute("bob@example.org")
    MonMessage.Destinataire.Ajoute("bob@example.org")
    # SI SAI_Fichier <> "" ALORS MonMessage.ChargeFichierAttaché(SAI_Fichier)
    if SAI_Fichier != "":
        MonMessage.ChargeFichierAttaché(SAI_Fichier)
    # SI MaSession.EnvoieMessage(MonMessage) = Faux ALORS
    if MaSession.EnvoieMessage(MonMessage) == Faux:
        # Erreur("Message non envoyé.", ErreurInfo())
        Erreur("Message non envoyé.", ErreurInfo())
    # SINON
    else:
        # Info("Message envoyé")
        Info("Message envoyé")
    # FIN
    # MaSession.FermeSession()
    MaSession.FermeSession()


def receipt_by_mail(sIni: str, sDirectory: str) -> str:
    """Settings from an INI file, a page with a picture, SSL."""
    ini = configparser.ConfigParser()
    ini.read(sIni)
    # MyMessage is Email
    MyMessage = Email()
    # sHTML is string = fLoadText(sDirectory + "receipt.html")
    sHTML = (Path(sDirectory) / "receipt.html").read_text()
    # EmailImportHTML(MyMessage, sHTML, sDirectory)
    EmailImportHTML(MyMessage, sHTML, sDirectory)
    # MyMessage..Sender = "shop@example.com"
    MyMessage.Sender = "shop@example.com"
    # Add(MyMessage..Recipient, "bob@example.org")
    Add(MyMessage.Recipient, "bob@example.org")
    # MyMessage..Subject = "Your receipt"
    MyMessage.Subject = "Your receipt"
    # SessionSMTP is emailSMTPSession
    SessionSMTP = emailSMTPSession()
    # SessionSMTP..ServerAddress = INIRead("MAIL", "server", "", sIni)
    SessionSMTP.ServerAddress = ini["MAIL"]["server"]
    # SessionSMTP..Name = INIRead("MAIL", "user", "", sIni)
    SessionSMTP.Name = ini["MAIL"]["user"]
    # SessionSMTP..Password = INIRead("MAIL", "password", "", sIni)
    SessionSMTP.Password = ini["MAIL"]["password"]
    # SessionSMTP..Port = INIRead("MAIL", "port", "465", sIni)
    SessionSMTP.Port = ini["MAIL"]["port"]
    # SessionSMTP..Option = optionSSL
    SessionSMTP.Option = wlanguage.optionSSL  # type: ignore[attr-defined]
    # IF EmailStartSession(SessionSMTP) = True THEN
    if EmailStartSession(SessionSMTP) == True:
        # sResult is string = "OK"
        sResult = "OK"
        # IF EmailSendMessage(SessionSMTP, MyMessage) = False THEN sResult = ErrorInfo()
        if EmailSendMessage(SessionSMTP, MyMessage) == False:
            sResult = ErrorInfo()
        # EmailCloseSession(SessionSMTP)
        EmailCloseSession(SessionSMTP)
        # RESULT sResult
        return sResult
    # END
    # RESULT ErrorInfo()
    return str(ErrorInfo())


def page_of_a_site(USER: str, PASSWORD: str, sServer: str, nPort: int) -> int:
    """The form with a POP3 server, in asynchronous mode, and the result of the email."""
    # IF EmailStartSession(USER, PASSWORD, "pop3.example.com", sServer, 110, nPort, True) = True THEN
    if EmailStartSession(USER, PASSWORD, "pop3.example.com", sServer, 110, nPort, True) == True:
        # UserName = USER
        UserName = USER
    # ELSE
    else:
        # UserName = ""
        UserName = ""
        # Error("Unable to establish the connection")
        Error("Unable to establish the connection")
    # END
    # Email.Recipient = "bob@example.org"
    Email.Recipient = "bob@example.org"
    # Email.Sender = "ann@example.com"
    Email.Sender = "ann@example.com"
    # Email.Message = "Automatic"
    Email.Message = "Automatic"
    # Email.NbRecipient = 1
    Email.NbRecipient = 1
    # IF EmailSendMessage(UserName) = False THEN Error("Failed: " + ErrorInfo(errMessage))
    if EmailSendMessage(UserName) == False:
        Error("Failed: " + ErrorInfo(errMessage))
    # EmailCloseSession(UserName)
    EmailCloseSession(UserName)
    # nStatus is int = EmailStatus(Email.MailIdentifier)
    nStatus = EmailStatus(Email.MailIdentifier)
    # SWITCH nStatus
    match nStatus:
        # CASE emailSent: Trace("The email was sent")
        case wlanguage.emailSent:
            Trace("The email was sent")
        # CASE emailPending: Trace("The email is waiting")
        case wlanguage.emailPending:
            Trace("The email is waiting")
        # CASE emailError: Trace("Error: " + ErrorInfo(errMessage))
        case wlanguage.emailError:
            Trace("Error: " + ErrorInfo(errMessage))
    # END
    # RESULT nStatus
    return nStatus


def ticket_de_support(sServeur: str, nPort: int, sDest: str) -> bool:
    """Un nom d'expéditeur à côté de son adresse."""
    # SELON EmailVérifieAdresse(sDest, emailValideSyntaxe)
    match EmailVérifieAdresse(sDest, emailValideSyntaxe):
        # CAS emailAdresseSyntaxeIncorrecte
        case wlanguage.emailAdresseSyntaxeIncorrecte:
            # Info("L'adresse est fausse", ErreurInfo())
            Info("L'adresse est fausse", ErreurInfo())
            # RENVOYER Faux
            return Faux
    # FIN
    # EmailOuvreSessionSMTP("support", sServeur, nPort)
    EmailOuvreSessionSMTP("support", sServeur, nPort)
    # Message est un Email
    Message = Email()
    # Message.AdresseExpediteur = "support@example.com"
    Message.AdresseExpediteur = "support@example.com"  # type: ignore[attr-defined]
    # Message.Expediteur = "Support technique"
    Message.Expediteur = "Support technique"
    # Message.Sujet = "Ticket"
    Message.Sujet = "Ticket"
    # Message.Message = "Bonjour"
    Message.Message = "Bonjour"
    # TableauAjoute(Message.Destinataire, sDest)
    TableauAjoute(Message.Destinataire, sDest)
    # SI EmailEnvoieMessage("support", Message) = Faux ALORS
    if EmailEnvoieMessage("support", Message) == Faux:
        # Info("Une erreur est survenue", ErreurInfo(errMessage))
        Info("Une erreur est survenue", ErreurInfo(errMessage))
        # RENVOYER Faux
        return Faux
    # FIN
    # EmailFermeSession("support")
    EmailFermeSession("support")
    # RENVOYER Vrai
    return Vrai


def own_source(sServer: str, nPort: int, sFile: str) -> None:
    """The source in a file, changed and sent."""
    # EmailStartSMTPSession("raw", "", sServer, nPort)
    EmailStartSMTPSession("raw", "", sServer, nPort)
    # Email.NbRecipient = 1
    Email.NbRecipient = 1
    # Email.Recipient = "bob@example.org"
    Email.Recipient = "bob@example.org"
    # Email.Sender = "ann@example.com"
    Email.Sender = "ann@example.com"
    # Email.Subject = "Raw"
    Email.Subject = "Raw"
    # Email.Message = "Test"
    Email.Message = "Test"
    # IF EmailBuildSource() = False THEN
    if EmailBuildSource() == False:
        # Error(ErrorInfo())
        Error(ErrorInfo())
        # RETURN
        return
    # END
    # fSaveText(sFile, "X-Own: 1" + CR + Email.Source)
    Path(sFile).write_text("X-Own: 1\r\n" + Email.Source, newline="")
    # EmailSend("raw", sFile)
    EmailSend("raw", sFile)
    # IF ErrorOccurred = True THEN Error(ErrorInfo())
    if ErrorOccurred == True:
        Error(ErrorInfo())
    # EmailCloseSession("raw")
    EmailCloseSession("raw")


def messagerie_securisee(sServeur: str, nPort: int) -> None:
    """STARTTLS sur le port 587, avec authentification."""
    # NomUser est une chaîne = "ann@example.com"
    NomUser = "ann@example.com"
    # EmailChangeTimeOut(10)
    EmailChangeTimeOut(10)
    # SI EmailOuvreSessionSMTP(NomUser, "secret", sServeur, nPort, Faux, emailOptionSécuriséTLS) = Vrai ALORS
    if EmailOuvreSessionSMTP(NomUser, "secret", sServeur, nPort, Faux, emailOptionSécuriséTLS) == Vrai:
        # Email.Expéditeur = NomUser
        Email.Expéditeur = NomUser
        # Email.Destinataire[1] = "bob@example.org"
        Email.Destinataire[1] = "bob@example.org"
        # Email.NbDestinataire = 1
        Email.NbDestinataire = 1
        # Email.Sujet = "Bonjour"
        Email.Sujet = "Bonjour"
        # Email.Message = "Sécurisé"
        Email.Message = "Sécurisé"
        # SI EmailEnvoieMessage(NomUser) = Faux ALORS Erreur(ErreurInfo())
        if EmailEnvoieMessage(NomUser) == Faux:
            Erreur(ErreurInfo())
        # EmailFermeSession(NomUser)
        EmailFermeSession(NomUser)
    # SINON
    else:
        # Erreur("Impossible d'établir la connexion", ErreurInfo())
        Erreur("Impossible d'établir la connexion", ErreurInfo())
    # FIN


@pytest.fixture(autouse=True)
def nothing_is_an_error(capsys: pytest.CaptureFixture[str]) -> Iterator[None]:
    yield
    assert capsys.readouterr().err == ""


def test_a_newsletter(smtp_server: SMTPServer) -> None:
    newsletter(smtp_server.host, smtp_server.port)
    assert [mail.recipients for mail in smtp_server.messages] == [("bob@example.org",), ("eve@example.org",)]


def test_an_order(smtp_server: SMTPServer) -> None:
    bon_de_commande(smtp_server.host, smtp_server.port, "Dix pièces à 5 €")
    (mail,) = smtp_server.messages
    assert mail.recipients == ("bob@example.org", "eve@example.org") and mail.header("Priority") == "urgent"
    plain = mail.email.get_body(("plain",))
    assert mail.header("Subject") == "Référence n° 7" and plain and plain.get_content().strip() == "Dix pièces à 5 €"


def test_a_window(smtp_server_factory: Make, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    server = smtp_server_factory(users={"ann": "secret"}, require_auth=True)
    (tmp_path / "facture.pdf").write_bytes(b"%PDF")
    fenetre_d_envoi(server.host, str(server.port), "ann", "secret", str(tmp_path / "facture.pdf"))
    (attached,) = server.messages[0].email.iter_attachments()
    assert attached.get_filename() == "facture.pdf" and attached.get_content() == b"%PDF"
    assert capsys.readouterr().out == "Message envoyé\n"


def test_a_window_with_a_wrong_password(smtp_server_factory: Make, capsys: pytest.CaptureFixture[str]) -> None:
    server = smtp_server_factory(users={"ann": "secret"}, require_auth=True)
    fenetre_d_envoi(server.host, str(server.port), "ann", "wrong", "")
    told = capsys.readouterr().err
    assert told.startswith("Connexion impossible.\n") and "refused the login of 'ann'" in told
    assert not server.messages


def test_a_receipt(smtp_server_factory: Make, tmp_path: Path) -> None:
    server = smtp_server_factory(security="ssl", users={"shop": "secret"}, require_auth=True)
    EmailConfigure(emailParameterCAFile, server.ca_file or "")
    (tmp_path / "logo.gif").write_bytes(b"GIF89a")
    (tmp_path / "receipt.html").write_text('<img src="logo.gif"> Thank you')
    ini = tmp_path / "shop.ini"
    ini.write_text(f"[MAIL]\nserver=localhost\nuser=shop\npassword=secret\nport={server.port}\n")
    assert receipt_by_mail(str(ini), str(tmp_path)) == "OK"
    (mail,) = server.messages
    assert mail.tls and b"cid:picture1" in mail.content and b"Content-ID: <picture1>" in mail.content


def test_a_page_of_a_site(smtp_server_factory: Make, capsys: pytest.CaptureFixture[str]) -> None:
    server = smtp_server_factory(users={"ann": "secret"}, require_auth=True)
    assert page_of_a_site("ann", "secret", server.host, server.port) == emailSent
    assert capsys.readouterr().out == "The email was sent\n" and len(server.messages) == 1
    assert page_of_a_site("ann", "wrong", server.host, server.port) == emailError
    assert capsys.readouterr().out.startswith("Error: ") and len(server.messages) == 1


def test_a_ticket(smtp_server: SMTPServer, capsys: pytest.CaptureFixture[str]) -> None:
    assert ticket_de_support(smtp_server.host, smtp_server.port, "bob@example.org")
    assert smtp_server.messages[0].header("From") == "Support technique <support@example.com>"
    assert ticket_de_support(smtp_server.host, smtp_server.port, "bob@") is False
    assert capsys.readouterr().out.startswith("L'adresse est fausse\n")


def test_a_source(smtp_server: SMTPServer, tmp_path: Path) -> None:
    own_source(smtp_server.host, smtp_server.port, str(tmp_path / "mail.eml"))
    assert smtp_server.messages[0].header("X-Own") == "1"


def test_a_secured_server(smtp_server_factory: Make) -> None:
    server = smtp_server_factory(security="tls", users={"ann@example.com": "secret"}, require_auth=True)
    EmailConfigure(emailParameterCAFile, server.ca_file or "")
    messagerie_securisee("localhost", server.port)
    assert server.messages[0].tls and server.messages[0].username == "ann@example.com"
