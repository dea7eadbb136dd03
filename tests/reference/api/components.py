"""What operations have in common: it stands once, and they refer to it by name."""

from collections.abc import Mapping
from typing import Generic, TypeVar

from openapi_pydantic import Parameter, Reference, RequestBody, Response
from pydantic import BaseModel
from tests.reference.api.schemas import JsonSchema, reference

Component = TypeVar("Component", bound=BaseModel)


class Shared(Generic[Component]):
    """Components of one kind, by name."""

    def __init__(self, kind: str) -> None:
        self._kind = kind
        self._by_name: dict[str, Component] = {}

    def refer(self, name: str, component: Component) -> Reference:
        """Return a reference; ValueError where another component has the name."""
        if self._by_name.setdefault(name, component) != component:
            raise ValueError(f"two different {self._kind} are called {name}")
        return reference(self._kind, name)

    def by_name(self) -> dict[str, Component]:
        """Return what was referred to, sorted."""
        return dict(sorted(self._by_name.items()))


class SharedComponents:
    """The components that operations refer to."""

    def __init__(self, schemas: Mapping[str, JsonSchema]) -> None:
        self.schemas = schemas
        self.responses = Shared[Response]("responses")
        self.parameters = Shared[Parameter]("parameters")
        self.bodies = Shared[RequestBody]("requestBodies")
