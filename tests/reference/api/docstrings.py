"""What models say of their members: the text under each in the source."""

import ast
import inspect
import textwrap
from collections.abc import Iterator
from itertools import pairwise

from pydantic import BaseModel


def descriptions_of(model: type[BaseModel]) -> dict[str, str]:
    """Return the descriptions of members, by their names in requests and responses."""
    fields = model.model_fields
    return {
        fields[name].serialization_alias or name: text
        for each in reversed(model.__mro__)
        if issubclass(each, BaseModel) and each is not BaseModel
        for name, text in _docstrings(each)
        if name in fields
    }


def _docstrings(model: type[BaseModel]) -> Iterator[tuple[str, str]]:
    (declared,) = ast.parse(textwrap.dedent(inspect.getsource(model))).body
    assert isinstance(declared, ast.ClassDef)
    for member, below in pairwise(declared.body):
        match member, below:
            case (
                ast.AnnAssign(target=ast.Name(id=name)),
                ast.Expr(value=ast.Constant(value=str(text))),
            ):
                yield name, " ".join(text.replace("``", "`").split())
            case _:
                pass
