"""How the document is written: short enough to read, and to compare by line."""

import json
from typing import Final

_WIDTH: Final = 120
"""Characters of a line that holds a whole object or list."""


def laid_out(value: object, depth: int = 0, before: int = 0) -> str:
    """Return JSON: on one line what fits, else a line or more for each member.

    The value is indented by `depth`, and `before` characters stand in front of it.
    """
    line = json.dumps(value, ensure_ascii=False)
    if depth + before + len(line) < _WIDTH:
        return line
    match value:
        case dict():
            members = [(f"{json.dumps(key)}: ", each) for key, each in value.items()]
        case list():
            members = [("", each) for each in value]
        case _:
            return line
    inner = ",\n".join(
        f"{' ' * (depth + 1)}{label}{laid_out(each, depth + 1, len(label))}"
        for label, each in members
    )
    return f"{line[0]}\n{inner}\n{' ' * depth}{line[-1]}"


def whole(value: object) -> object:
    """Return the value with integers that are floats as integers.

    The types of `openapi-pydantic` make floats of all bounds of numbers.
    """
    match value:
        case float() if value.is_integer():
            return int(value)
        case dict():
            return {key: whole(each) for key, each in value.items()}
        case list():
            return [whole(each) for each in value]
        case _:
            return value
