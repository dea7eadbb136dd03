"""The page of endpoints, from the operations that run."""

from typing import Final

from tests.reference.api.operations import SERVED
from tests.reference.api.parameters import path_of
from tests.reference.markdown import item

from service_kit.operations import Access, CredentialsKind, Operation, Tag
from service_kit.problems import accounts

_HEAD: Final = """\
# Endpoints

`make docs` writes this page from the operations that run. The gateway's `/docs` has
their bodies, responses and errors. In brackets: who may call it, and whether that
takes, or may take, a [fresh check](../identity.md#sessions). Clients are services that
[introspect tokens](../verifying-tokens.md#introspection).
"""

_CALLERS: Final = {
    CredentialsKind.NONE: "anybody",
    CredentialsKind.ACCESS_TOKEN: "users",
    CredentialsKind.CLIENT_SECRET: "clients",
}


def page() -> str:
    """Return the text of endpoints.md."""
    lines = [_HEAD]
    for tag in Tag:
        if tag is Tag.PAGES:  # gateway.md describes them
            continue
        served = [_line(each) for each in SERVED if each.tag is tag]
        lines += [f"## {tag.value}", "", tag.description, "", *served, ""]
    return "\n".join(lines)


def _line(operation: Operation) -> str:
    needed = [_caller(operation.access)]
    if accounts.FRESH_CHECK_REQUIRED in operation.problems:
        needed.append("fresh check")
    about = operation.summary
    if operation.description:
        about += f". {operation.description.removesuffix('.')}"
    return item(
        f"`{operation.method} {path_of(operation)}` ({', '.join(needed)}): {about}"
    )


def _caller(access: Access) -> str:
    return access.role or _CALLERS[access.credentials]
