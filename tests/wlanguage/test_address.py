"""``EmailCheckAddress``."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wlsmtp.wlanguage import *


@pytest.mark.parametrize(
    "address",
    [
        "ann@example.com",
        "ann.lee+news@mail.example.co.uk",
        "o'brien@example.fr",
        "jörg@bücher.example",
        "a@xn--p1ai.xn--p1ai",
    ],
)
@pytest.mark.parametrize("level", [emailValidateSyntax, emailValidateSyntaxStrict])
def test_an_address_that_can_be_is_valid(address: str, level: int) -> None:
    assert EmailCheckAddress(address, level) == emailAddressValid and not ErrorOccurred
    assert EmailVérifieAdresse(address) == emailAdresseValide


@pytest.mark.parametrize(
    "address",
    ["", "ann", "@example.com", "ann@", "ann@localhost", "ann@example.c", "ann@example.123", "ann lee@example.com",
     "ann@exa mple.com", "ann..lee@example.com", "Ann <ann@example.com>", "ann@example.com, bob@example.com",
     "ann@example.com\r\nBcc: eve@example.com", " ann@example.com"],
)  # fmt: skip
@pytest.mark.parametrize("level", [emailValidateSyntax, emailValidateSyntaxStrict, emailValidateByServer])
def test_another_one_has_an_incorrect_syntax(address: str, level: int) -> None:
    assert EmailCheckAddress(address, level) == emailAddressIncorrectSyntax
    assert ErrorOccurred and ErrorInfo(errCode) == 2 and ErrorInfo()


@pytest.mark.parametrize("address", ['"ann lee"@example.com', "ann@[192.0.2.1]"])
def test_what_is_right_and_hardly_accepted_is_valid_unless_strictly(address: str) -> None:
    assert EmailCheckAddress(address) == emailAddressValid
    assert EmailCheckAddress(address, emailValidateSyntaxStrict) == emailAddressIncorrectSyntax


def test_no_server_is_asked() -> None:
    assert EmailCheckAddress("ann@example.com", emailValidateByServer) == emailAddressError
    assert ErrorOccurred and "emailValidateSyntax" in ErrorInfo()


def test_another_level_is_an_error() -> None:
    with pytest.raises(WLanguageError, match="EmailCheckAddress: must be one of emailValidateSyntax"):
        EmailCheckAddress("ann@example.com", 9)


@given(st.text())
def test_any_text_has_an_answer(address: str) -> None:
    assert EmailCheckAddress(address) in (emailAddressValid, emailAddressIncorrectSyntax)
