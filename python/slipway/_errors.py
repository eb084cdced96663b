"""What goes wrong, as exceptions; `code` is the library's name of the error."""
from __future__ import annotations


class SlipwayError(Exception):
    """Any error of this package."""

    code = "internal"

    def __init__(self, message: str, code: str | None = None):
        super().__init__(message)
        if code is not None:
            self.code = code


class InputError(SlipwayError, ValueError):
    """The call or its data is wrong: the message says what, where and how to mend it."""

    code = "invalid_argument"


class ModelError(SlipwayError, ValueError):
    """The bytes or arrays are not a model that can be scored."""

    code = "corruption"


class NotFoundError(SlipwayError, FileNotFoundError):
    """There is no such file."""

    code = "not_found"

    def __str__(self) -> str:
        return str(self.args[0])
