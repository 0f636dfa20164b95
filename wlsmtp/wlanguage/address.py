"""``EmailCheckAddress``: checks whether an address is valid."""

from __future__ import annotations

from wlsmtp.errors import ConfigError, MessageError, Stage
from wlsmtp.wire.address import parse_address
from wlsmtp.wlanguage import constants
from wlsmtp.wlanguage.errors import failed, function, succeeded
from wlsmtp.wlanguage.members import checked, one_of, text

__all__ = ["EmailCheckAddress"]

_LEVELS = {
    name: getattr(constants, name)
    for name in ("emailValidateSyntax", "emailValidateSyntaxStrict", "emailValidateByServer")
}


@function
def EmailCheckAddress(address: str, level: int = constants.emailValidateSyntax) -> int:
    """Return ``emailAddressValid``, ``emailAddressIncorrectSyntax`` or ``emailAddressError``; ``ErrorInfo`` says why.

    Only the mailbox's own server could say whether it exists, and hardly any server does. ``emailValidateByServer`` is
    therefore an error here, and ``emailAddressRefused`` is never returned. An address with a name is not valid.
    """
    checked(text, address, "EmailCheckAddress")
    checked(one_of(_LEVELS), level, "EmailCheckAddress")
    try:
        parsed = parse_address(address)
        _check_domain(address, parsed.wire_domain)
        if level == constants.emailValidateSyntaxStrict and ('"' in address or parsed.wire_domain.startswith("[")):
            raise MessageError(f"{address!r} is not accepted by most servers", stage=Stage.MESSAGE)
    except MessageError as error:
        failed(error)
        return constants.emailAddressIncorrectSyntax
    if level == constants.emailValidateByServer:
        words = "No server is asked whether an address exists: the server of the session tells when the email is sent"
        failed(ConfigError(words, stage=Stage.SETTINGS, hint="Use emailValidateSyntax"))
        return constants.emailAddressError
    succeeded()
    return constants.emailAddressValid


def _check_domain(address: str, domain: str) -> None:
    """Check the domain. Sending over the Internet requires a domain below a top-level one; those have letters, or are
    A-labels."""
    top = domain.rpartition(".")[2]
    if domain.startswith("["):
        return
    if "." not in domain or len(top) < 2 or not (top.isalpha() or top.startswith("xn--")):
        raise MessageError(f"{address!r} has no top-level domain", stage=Stage.MESSAGE)
