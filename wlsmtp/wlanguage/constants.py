"""The constants, by their names. Programs use the names; the values of most are defined here.

Those of ``emailOptionSecuredTLS``, ``errMessage`` and ``errFullDetails`` are the original's.
"""

from __future__ import annotations

from typing import Final

__all__ = [
    "OptionSSL", "emailAddressError", "emailAddressIncorrectSyntax", "emailAddressRefused", "emailAddressValid",
    "emailAsynchronous", "emailCompanyConfidential", "emailError", "emailHighPriority",
    "emailLowPriority", "emailNormalPriority", "emailNotConfidential", "emailOptionDefault",
    "emailOptionEncodeHeader", "emailOptionHeaderBcc", "emailOptionSecuredSSL", "emailOptionSecuredTLS",
    "emailParameterCAFile", "emailParameterClearPassword", "emailParameterMode", "emailParameterOpportunisticTLS",
    "emailParameterSpooler", "emailPending", "emailPersonal", "emailPrivate", "emailProtocolSMTPS", "emailSent",
    "emailSynchronous", "emailValidateByServer", "emailValidateSyntax", "emailValidateSyntaxStrict", "errCode",
    "errFullDetails", "errMessage",
]  # fmt: skip

# The security of a session.
emailOptionDefault: Final = 0
"""Not secured by itself; upgraded to TLS when the server offers it, see ``emailParameterOpportunisticTLS``."""
emailOptionSecuredTLS: Final = 2
"""Plain text first, then STARTTLS (RFC 3207), or an error; customary on port 587."""
emailProtocolSMTPS: Final = emailOptionSecuredTLS
"""The name on newer pages of the original."""
emailOptionSecuredSSL: Final = 4
"""TLS from the first byte (RFC 8314 §3.3); customary on port 465."""
OptionSSL: Final = emailOptionSecuredSSL
"""An alias of ``emailOptionSecuredSSL``."""

# The time at which a message is sent.
emailSynchronous: Final = 0
"""Before ``EmailSendMessage`` returns."""
emailAsynchronous: Final = 1
"""In the background; ``EmailStatus`` returns the result."""

# The result of a message that was sent asynchronously.
emailSent: Final = 1
emailPending: Final = 2
emailError: Final = 3

# The results and levels of EmailCheckAddress.
emailAddressValid: Final = 1
emailAddressIncorrectSyntax: Final = 2
emailAddressRefused: Final = 3
"""Refused by a server; ``EmailCheckAddress`` contacts none."""
emailAddressError: Final = 4
"""The check could not be made; ``ErrorInfo`` says why."""
emailValidateSyntax: Final = 1
"""RFC 5321 §4.1.2, and a domain that ends in a top-level one."""
emailValidateSyntaxStrict: Final = 2
"""The same, without what hardly any server accepts: quoted names, IP addresses."""
emailValidateByServer: Final = 3
"""Not implemented: returns ``emailAddressError``, unless the syntax is wrong already."""

# Options of EmailSendMessage and EmailBuildSource, which may be added.
emailOptionEncodeHeader: Final = 1
"""Encode non-ASCII header fields. They always are (RFC 2047), with or without it."""
emailOptionHeaderBcc: Final = 2
"""``EmailBuildSource`` only: name the Bcc recipients in the source, for ``EmailSend``, which leaves the field out."""

# The values of ErrorInfo.
errCode: Final = 0
"""A number: the server's reply code, or that of the kind of error, see ``errors.CODES``."""
errMessage: Final = 1
"""One or more sentences: what happened, the server's words, what to do about it."""
errFullDetails: Final = 19
"""Everything that is known, a line for each fact."""

# Importance and Priority, Sensitivity.
emailLowPriority: Final = 1
emailNormalPriority: Final = 2
emailHighPriority: Final = 3
emailNotConfidential: Final = 0
emailPersonal: Final = 1
emailPrivate: Final = 2
emailCompanyConfidential: Final = 3

# Parameters of EmailConfigure, for all sessions started afterwards. All but the first are additions to the original.
emailParameterMode: Final = 1
"""The authorities for server certificates: 0 (default) those of the operating system, 1 those of the ``certifi``
package."""
emailParameterCAFile: Final = 101
"""The path of a PEM file with the authorities to trust instead; "" (default): none."""
emailParameterClearPassword: Final = 102
"""1: send the password over unencrypted connections, as the original does; 0 (default): do not."""
emailParameterOpportunisticTLS: Final = 103
"""1 (default): with ``emailOptionDefault`` encrypt when the server offers it; 0: never, as the original."""
emailParameterSpooler: Final = 104
"""Where asynchronous sessions keep unsent emails: "" (default) in memory, else the path of a directory, in files that
outlive the program. The next session of the same user with the same server sends what is left."""
