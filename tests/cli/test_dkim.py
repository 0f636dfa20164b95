"""``wlsmtp dkim``: keys that OpenSSL reads, and records asked of a name server on loopback."""

from __future__ import annotations

import json
import stat
import subprocess
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from tests.dns_server import NameServer
from wlsmtp import DKIM, MemoryTransport, Message, SMTPSession
from wlsmtp.cli.app import app
from wlsmtp.message.sign.record import faults_of, in_zone_file, new_key

NAME = "s1._domainkey.example.com"


def run(*arguments: str) -> Any:
    return CliRunner().invoke(app, ["dkim", *arguments])


def made(folder: Path, *options: str) -> dict[str, str]:
    """A new key."""
    done = run("keygen", "example.com", "s1", "--json", "-o", str(folder / "key.pem"), *options)
    assert done.exit_code == 0, done.output
    found: dict[str, str] = json.loads(done.stdout)
    return found


@pytest.mark.parametrize(("kind", "words"), [("rsa", "2048 bit"), ("ed25519", "ED25519")])
def test_a_new_key_signs_and_only_its_owner_can_read_it(kind: str, words: str, tmp_path: Path) -> None:
    record = made(tmp_path, "--type", kind)
    assert record["name"] == NAME and record["value"].startswith(f"v=DKIM1; k={kind}; p=")
    file = Path(record["key"])
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    command = ["openssl", "pkey", "-in", str(file), "-noout", "-text"]
    assert words in subprocess.run(command, capture_output=True, text=True, check=True, timeout=30).stdout
    transport = MemoryTransport()
    with SMTPSession(transport=transport, dkim=DKIM("example.com", "s1", key=file)) as session:
        session.send(Message(sender="ann@example.com", to="bob@example.org", text="Hello"))
    assert b"s=s1;" in transport.messages[0].content


def test_the_record_is_printed_for_people_and_for_zone_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    done = run("keygen", "example.com", "s1")
    assert done.exit_code == 0 and "PRIVATE" not in done.output
    assert f"name   {NAME}\n" in done.stdout and f"{NAME}. IN TXT" in done.stdout
    assert (tmp_path / "example.com.s1.pem").is_file()


def test_a_key_is_never_overwritten(tmp_path: Path) -> None:
    path = Path(made(tmp_path)["key"])
    before = path.read_bytes()
    again = run("keygen", "example.com", "s1", "-o", str(path))
    assert again.exit_code == 1 and "already exists" in again.output
    assert path.read_bytes() == before
    nowhere = run("keygen", "example.com", "s1", "-o", str(tmp_path / "no" / "key.pem"))
    assert nowhere.exit_code == 1 and "cannot be written" in nowhere.output


def test_a_domain_that_is_none() -> None:
    done = run("keygen", "exa mple", "s1")
    assert done.exit_code == 2 and "domain" in done.output


@pytest.mark.parametrize("kind", ["rsa", "ed25519"])
def test_the_record_of_the_key_is_right(kind: str, tmp_path: Path) -> None:
    record = made(tmp_path, "--type", kind)
    with NameServer({NAME: [record["value"]]}) as server:
        done = run("check", "example.com", "s1", "--key", record["key"], "--nameserver", server.address)
        assert done.exit_code == 0 and "The record is right." in done.output
        as_json = run("check", "example.com", "s1", "--nameserver", server.address, "--json")
    assert json.loads(as_json.stdout) == {"name": NAME, "records": [record["value"]], "faults": []}


def test_the_record_of_another_key_is_found(tmp_path: Path) -> None:
    _, other = new_key("rsa")
    with NameServer({NAME: [other]}) as server:
        done = run("check", "example.com", "s1", "--key", made(tmp_path)["key"], "--nameserver", server.address)
    assert done.exit_code == 1 and "another key" in done.output


def test_a_record_that_is_not_there() -> None:
    with NameServer({}) as server:
        done = run("check", "example.com", "s1", "--nameserver", server.address)
    assert done.exit_code == 1 and "there is no TXT record" in done.output


def test_a_name_server_that_fails() -> None:
    with NameServer({}, fails=True) as server:
        done = run("check", "example.com", "s1", "--nameserver", server.address)
    assert done.exit_code == 75 and "cannot be looked up" in done.output


@pytest.mark.parametrize("address", ["ns.example.com", "127.0.0.1:port"])
def test_a_name_server_by_a_name(address: str) -> None:
    done = run("check", "example.com", "s1", "--nameserver", address)
    assert done.exit_code == 2 and "must be an IP address" in " ".join(done.output.split())


ED = new_key("ed25519")[1]
FAULTS = [
    ([], "0 records"),
    ([ED, ED], "2 records"),
    (["v=spf1 -all", ED], None),
    ([ED.replace("DKIM1", "DKIM2")], "v=DKIM1"),
    ([ED.removeprefix("v=DKIM1; ") + "; v=DKIM1"], "v=DKIM1"),
    ([ED.removeprefix("v=DKIM1; ")], None),
    (["v=DKIM1; p="], "revoked"),
    ([ED + "; h=sha1"], "sha256"),
    ([ED + "; s=other"], "mail"),
    ([ED + "; s=email; t=y:s"], "testing"),
    ([ED.replace("ed25519", "gost")], "k=gost"),
    ([ED[:-4]], "no public key"),
    ([ED.replace("p=", "p=*")], "no public key"),
    ([new_key("rsa", 1024)[1]], "1024 bits"),
]


@pytest.mark.parametrize(("records", "words"), FAULTS)
def test_what_is_wrong_with_a_record(records: list[str], words: str | None) -> None:
    faults = list(faults_of(records))
    assert faults == [] if words is None else len(faults) == 1 and words in faults[0]


def test_long_records_are_cut_into_strings() -> None:
    strings = in_zone_file(NAME, "x" * 600).split('"')[1::2]
    assert "".join(strings) == "x" * 600 and max(map(len, strings)) == 255
