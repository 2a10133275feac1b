"""Faults in the words of whoever reads them."""

from __future__ import annotations

from enum import StrEnum
from typing import Literal

import pytest
from pydantic import BaseModel, ValidationError

from services.chassis.faults import translated


class Colour(StrEnum):
    RED = "red"
    BLUE = "light-blue"


class Form(BaseModel):
    colour: Colour | None = None
    size: Literal["small", "large"] | None = None


@pytest.mark.parametrize(
    ("given", "language", "detail"),
    [
        ({"size": "huge"}, "en", "this value is not allowed here; allowed: small, large"),
        ({"size": "huge"}, "fr", "cette valeur n'est pas permise ici ; permis : small, large"),
        ({"colour": "green"}, "nl", "deze waarde is hier niet toegestaan; toegestaan: red, light-blue"),
        ({"colour": "green"}, "de", "dieser Wert ist hier nicht erlaubt; erlaubt: red, light-blue"),
    ],
)
def test_a_value_that_is_none_of_a_list_is_told_the_list(given: dict[str, str], language: str, detail: str) -> None:
    with pytest.raises(ValidationError) as caught:
        Form.model_validate(given)
    [error] = caught.value.errors()
    assert translated("/x", error["type"], error["msg"], language)["detail"] == detail


def test_what_is_quoted_in_another_fault_is_no_list() -> None:
    assert translated("/x", "missing", "not 'this' one", "en")["detail"] == "this field is required"
