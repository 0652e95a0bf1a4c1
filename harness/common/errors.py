"""Errors that the user can fix: one message, no traceback."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pydantic import ValidationError


class HarnessError(Exception):
    """Error outside the program; the command ends with status 1.

    Args:
        message: what is wrong, and where.
        remedy: what to do about it.
    """

    exit_code = 1

    def __init__(self, message: str, remedy: str = "") -> None:
        super().__init__(f"{message}\n{remedy}" if remedy else message)


class InterruptedWorkError(HarnessError):
    """Ctrl-C in work that starts from the beginning the next time; status 130."""

    exit_code = 130


class MethodError(HarnessError):
    """Failure of a method on one image: its row carries the reason, and the others are measured.

    Its message is a reason, without a full stop.
    """


class UsageError(HarnessError):
    """Error in the command itself (unknown name, impossible value); status 2."""

    exit_code = 2


def first_problem(error: ValidationError, whole: str = "it") -> str:
    """Say what is wrong first in content that pydantic refused, and where; `whole` names all."""
    first = error.errors(include_url=False, include_input=False)[0]
    return f"{'.'.join(map(str, first['loc'])) or whole}: {first['msg']}"


# PyTorch's CPU allocator; C++; the loader of libraries; oneDNN, where the code of a layer finds no
# room (its "primitive descriptor" is another thing: a layer that it does not have).
_SHORTAGE = re.compile(
    r"can't allocate memory|std::bad_alloc|failed to map segment|"
    r"could not create a primitive(?! descriptor)"
)


def is_shortage(error: BaseException) -> bool:
    """Tell whether memory ran out: Python's, a GPU's, or PyTorch's on the CPU."""
    named = isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError"
    return named or bool(_SHORTAGE.search(str(error)))
