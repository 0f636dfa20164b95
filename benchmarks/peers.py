"""The clients that take part: where each comes from, how it is installed into ``.work``, how it is run.

Whatever cannot be had here is remembered with its reason, which the tables then show. Nothing is installed twice:
delete ``.work`` to begin anew.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from importlib import metadata
from pathlib import Path

HERE = Path(__file__).parent
PROJECT = HERE.parent
WORK = HERE / ".work"
PYTHON = WORK / "venv" / "bin" / "python"
CLIENTS = HERE / "clients"
JAVA_JARS = Path("/usr/share/java")
PATH = os.pathsep.join((os.environ.get("PATH", os.defpath), "/usr/local/sbin", "/usr/sbin", "/sbin"))

FROM_PYPI = ("aiosmtplib", "smtpproto", "redmail", "yagmail", "pycurl", "django")
FROM_NPM = ("nodemailer", "handlebars", "juice", "html-to-text")
"""Nodemailer, and what its plug-ins for templates, CSS and text are made of."""
FROM_DEBIAN = {
    "libesmtp-dev": "libesmtp.h", "libssl-dev": "openssl/ssl.h", "libjakarta-mail-java": "jakarta-mail.jar",
}  # fmt: skip
MAVEN_JARS = ("org.eclipse.angus:jakarta.mail:2.0.3", "jakarta.activation:jakarta.activation-api:2.1.3")


class Unavailable(Exception):
    """Why a client cannot take part."""


class Peers:
    """The command of each client; those that are missing have a reason instead."""

    def __init__(self) -> None:
        self.commands: dict[str, list[str]] = {}
        self.missing: dict[str, str] = {}
        self.versions: dict[str, str] = {}

    def prepare(self) -> None:
        """Install what is not installed yet. wlsmtp itself is taken from this checkout."""
        WORK.mkdir(exist_ok=True)
        _make_venv()
        for client in ("wlsmtp", "wlsmtp_async", "smtplib", "raw_socket"):
            self.commands[client] = _python_client(client)
        for package in FROM_PYPI:
            self._add(package, lambda package=package: _from_pypi(package))  # type: ignore[misc]
        self._add("nodemailer", _nodemailer)
        _install_from_debian()
        self._add("smtp_source", _smtp_source)
        self._add("libesmtp", _libesmtp)
        self._add("jakarta_mail", _jakarta_mail)
        self.versions |= _versions()

    def _add(self, client: str, find: Callable[[], list[str]]) -> None:
        try:
            self.commands[client] = find()
        except (Unavailable, OSError, subprocess.SubprocessError) as error:
            self.missing[client] = str(error) or type(error).__name__
            say(f"{client} is not available: {self.missing[client]}")


def say(text: str) -> None:
    """Tell how far we are."""
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()


def run(command: Sequence[object], what: str, timeout: float = 300.0, **environment: str) -> str:
    """The output of a program that has to succeed. Raises ``Unavailable`` with the end of its complaint."""
    words = [str(word) for word in command]
    environ = {**os.environ, "PATH": PATH, **environment}
    try:
        done = subprocess.run(words, capture_output=True, text=True, timeout=timeout, env=environ, check=False)
    except FileNotFoundError as error:
        raise Unavailable(f"{what}: there is no {words[0]}") from error
    except subprocess.TimeoutExpired as error:
        raise Unavailable(f"{what}: not done after {timeout:.0f} s") from error
    if done.returncode:
        complaint = [line.strip() for line in (done.stderr or done.stdout).splitlines() if line.strip()]
        raise Unavailable(f"{what} failed: {complaint[-1] if complaint else done.returncode}")
    return done.stdout


def build(source: Path, *libraries: str) -> Path:
    """A program of ours, compiled when its source, or one beside it, is newer."""
    program = WORK / "bin" / source.stem
    program.parent.mkdir(parents=True, exist_ok=True)
    newest = max(file.stat().st_mtime for file in source.parent.glob("*.c"))
    if not program.exists() or program.stat().st_mtime < newest:
        say(f"building {source.name}")
        run(["cc", "-O2", "-o", program, source, *libraries], f"building {source.name}")
    return program


def _once(name: str, action: Callable[[], object], state: str = "") -> None:
    """Do it if it was not done in an earlier run, in the same state of things."""
    stamp = WORK / "installed" / name
    if stamp.exists() and stamp.read_text() == state:
        return
    say(f"installing {name}")
    action()
    stamp.parent.mkdir(parents=True, exist_ok=True)
    stamp.write_text(state)


def _make_venv() -> None:
    """A new one when the checkout has moved, or wlsmtp needs something else than before."""
    state = f"{PROJECT}\n{(PROJECT / 'pyproject.toml').read_text()}"
    _once("wlsmtp", _make_anew, state)


def _make_anew() -> None:
    shutil.rmtree(WORK / "installed", ignore_errors=True)
    run([sys.executable, "-m", "venv", "--clear", WORK / "venv"], "making the virtual environment")
    _pip(f"-e{PROJECT}[testing,html,templates,dkim,postgres]")


def _pip(package: str) -> None:
    run([PYTHON, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", package], f"pip install {package}")


def _python_client(name: str) -> list[str]:
    return [str(PYTHON), str(CLIENTS / f"use_{name}.py")]


def _from_pypi(package: str) -> list[str]:
    _once(package, lambda: _pip(package))
    return _python_client(package)


def install_dkimpy() -> None:
    """Sees to it that dkimpy is there, with what it signs Ed25519 with."""
    _once("dkimpy", lambda: [_pip(package) for package in ("dkimpy", "pynacl")])


def _nodemailer() -> list[str]:
    directory = WORK / "node"
    directory.mkdir(exist_ok=True)
    npm = ["npm", "install", "--silent", "--no-audit", "--no-fund", "--force", "--prefix", directory, *FROM_NPM]
    is_there = list(directory.glob("node_modules/nodemailer/dist/**/nodemailer.js"))
    if not is_there or not all((directory / "node_modules" / package).is_dir() for package in FROM_NPM):
        say("installing nodemailer")
        shutil.rmtree(directory / "node_modules", ignore_errors=True)
        run(npm, "npm install nodemailer")
    # node looks for a library beside the script that asks for it.
    script = shutil.copy(CLIENTS / "use_nodemailer.js", directory)
    return ["node", str(script)]


def _install_from_debian() -> None:
    """Postfix and Dovecot as the tests install them, which start no service, and what else has a package."""
    try:
        _once("postfix", lambda: run(["sh", PROJECT / "scripts" / "install-test-servers.sh"], "installing Postfix"))
    except Unavailable as error:
        say(str(error))  # whether a client can do without is for it to find out
    wanted = [package for package, sign in FROM_DEBIAN.items() if not _is_there(sign)]
    if not wanted or os.geteuid() != 0:
        return
    try:
        run(["apt-get", "update", "-q"], "apt-get update")
    except Unavailable as error:
        say(str(error))
    for package in wanted:
        install = ["apt-get", "install", "-y", "-q", "--no-install-recommends", package]
        try:
            _once(package, lambda install=install: run(install, " ".join(install), DEBIAN_FRONTEND="noninteractive"))  # type: ignore[misc]
        except Unavailable as error:
            say(str(error))


def _is_there(sign: str) -> bool:
    return any((Path(directory) / sign).exists() for directory in ("/usr/include", JAVA_JARS))


def _smtp_source() -> list[str]:
    if shutil.which("smtp-source", path=PATH) is None:
        raise Unavailable("Postfix's smtp-source is not installed (Debian package postfix)")
    return _python_client("smtp_source")


def _libesmtp() -> list[str]:
    if not _is_there("libesmtp.h"):
        raise Unavailable("libesmtp.h is not installed (Debian package libesmtp-dev)")
    return [str(build(CLIENTS / "use_libesmtp.c", "-lesmtp"))]


def _jakarta_mail() -> list[str]:
    """Its jars from Debian; or from Maven Central; or Debian's older ones, of the time when it was JavaMail."""
    source, classes = CLIENTS / "UseJakartaMail.java", WORK / "java"
    classes.mkdir(exist_ok=True)
    debian = [JAVA_JARS / "jakarta-mail.jar", JAVA_JARS / "jakarta-activation.jar"]
    java_mail = [JAVA_JARS / "javax.mail.jar", JAVA_JARS / "javax.activation.jar"]
    if not all(jar.exists() for jar in debian):
        try:
            debian = _from_maven()
        except Unavailable:
            if not java_mail[0].exists():
                raise
            debian = java_mail
            older = source.read_text().replace("import jakarta.mail.", "import javax.mail.")
            source = classes / source.name
            source.write_text(older)
    path = os.pathsep.join(str(jar) for jar in (*debian, classes))
    run(["javac", "-d", classes, "-cp", path, source], "building the client for Jakarta Mail")
    return ["java", "-cp", path, "UseJakartaMail"]


def _from_maven() -> list[Path]:
    directory = WORK / "jars"
    for jar in MAVEN_JARS:
        copy = ["mvn", "-q", "dependency:copy", f"-Dartifact={jar}", f"-DoutputDirectory={directory}"]
        run(copy, "getting Jakarta Mail from Maven Central")
    return sorted(directory.glob("*.jar"))


def _versions() -> dict[str, str]:
    """Of what was installed, for the report."""
    site = next((WORK / "venv" / "lib").glob("python*/site-packages"))
    found = {one.metadata["Name"]: one.version for one in metadata.distributions(path=[str(site)])}
    versions = {name: found[name] for name in (*FROM_PYPI, "Django") if name in found}
    commands = {
        "Nodemailer": ["node", "-p", f"require('{WORK}/node/node_modules/nodemailer/package.json').version"],
        "Node.js": ["node", "--version"],
        "Java": ["java", "--version"],
        "Postfix": ["postconf", "-dh", "mail_version"],
    }
    for name, command in commands.items():
        try:
            versions[name] = run(command, name).splitlines()[0].strip()
        except (Unavailable, IndexError):
            continue
    return versions
