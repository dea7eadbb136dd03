"""Problems of single members and parameters of a request."""

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Final

from pydantic import ValidationError

from identity_service.domain.fields import InvalidFieldError
from service_kit.languages.text import Text
from service_kit.problems import FieldError, Problem, ProblemError, accounts

_LONGEST_NAME: Final = 64
"""Characters of a name from a request that a message repeats."""

MOST_ERRORS: Final = 64
"""Fields that one response names: a body of a hundred kilobytes has thousands."""

_MESSAGES: Final = {
    "missing": ("required", "{name} is required."),
    "string_type": ("not_text", "{name} must be text."),
    "bool_type": ("not_boolean", "{name} must be true or false."),
    "list_type": ("not_list", "{name} must be a list of texts."),
    "string_too_long": ("too_long", "{name} has at most {maximum} characters."),
    "too_long": ("too_many", "{name} has at most {maximum} entries."),
    "greater_than_equal": ("too_small", "{name} must be at least {minimum}."),
    "less_than_equal": ("too_large", "{name} must be at most {maximum}."),
    "extra_forbidden": ("unknown", "{field} is not a known member."),
}
"""What each kind of pydantic's refusals is called here. Others are called invalid."""

_INVALID: Final = ("invalid", "{name} is not valid.")

TEMPLATES: Final = tuple(template for _, template in (*_MESSAGES.values(), _INVALID))
"""All of these texts."""

_LIMITS: Final = {"max_length": "maximum", "le": "maximum", "ge": "minimum"}
"""What pydantic's limits are called here."""

_NAMES: Final = {
    "username": Text("The user name"),
    "email": Text("The e-mail address"),
    "password": Text("The password"),
    "currentPassword": Text("The current password"),
    "newPassword": Text("The new password"),
}
"""What people call a member; others go by their own name."""


class InvalidValueError(ValueError):
    """Raised by a validator of a model that knows its own words for a fault.

    The template has ``{name}`` for the member or parameter.
    """

    def __init__(self, code: str, template: str) -> None:
        super().__init__(code)
        self.code = code
        self.template = template


def invalid_fields(faults: Sequence[InvalidFieldError]) -> Problem:
    """Return the problem of values that cannot be accepted."""
    return invalid(
        [
            FieldError(
                each.field,
                each.code,
                Text(each.message, each.parameters),
                each.parameters,
            )
            for each in faults
        ]
    )


def invalid(errors: Sequence[FieldError]) -> Problem:
    """Return the problem that has these entries, and says what all of them say."""
    return replace(
        accounts.INVALID_FIELDS,
        parameters={"errors": tuple(each.message for each in errors)},
        errors=tuple(errors),
    )


def invalid_members(error: ValidationError) -> Problem:
    """Return the problem of a body that is not what its model says."""
    return _of_validation_error(error, lambda name: _NAMES.get(name, name))


def invalid_parameters(error: ValidationError) -> Problem:
    """Return the problem of a query string that is not what its model says."""
    return _of_validation_error(
        error, lambda name: Text("The parameter {name}", {"name": name})
    )


def invalid_parameter(name: str, code: str, template: str) -> Problem:
    """Return the problem of one parameter of a query string."""
    name = name[:_LONGEST_NAME]
    shown = Text("The parameter {name}", {"name": name})
    return invalid([FieldError(name, code, Text(template, {"name": shown}))])


@contextlib.contextmanager
def fields_called(names: Mapping[str, str]) -> Iterator[None]:
    """Call fields at fault by the names that the request has for them."""
    try:
        yield
    except InvalidFieldError as error:
        problem = invalid_fields([error])
        errors = [
            replace(each, name=names.get(each.name, each.name))
            for each in problem.errors
        ]
        raise ProblemError(invalid(errors)) from None


def _of_validation_error(
    error: ValidationError, name_of: Callable[[str], str | Text]
) -> Problem:
    found: dict[str, FieldError] = {}
    for each in error.errors(include_url=False):
        field = str(each["loc"][0])[:_LONGEST_NAME]
        is_entry = len(each["loc"]) > 1  # of a list, as which the member is at fault
        kind = "list_type" if is_entry else each["type"]
        code, template = _MESSAGES.get(kind, _INVALID)
        context = each.get("ctx", {})
        if isinstance(ours := context.get("error"), InvalidValueError):
            code, template = ours.code, ours.template
        limits = {name: context[key] for key, name in _LIMITS.items() if key in context}
        message = Text(template, {"name": name_of(field), "field": field, **limits})
        found.setdefault(field, FieldError(field, code, message, limits))
        if len(found) == MOST_ERRORS:
            break
    return invalid(list(found.values()))
