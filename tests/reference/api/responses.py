"""The responses of an operation: its replies, and the problems instead of one."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from http import HTTPStatus

from openapi_pydantic import MediaType, Reference, Response, Schema
from tests.reference.api.bodies import content_of
from tests.reference.api.components import SharedComponents
from tests.reference.api.headers import HEADERS, headers_of
from tests.reference.api.problems import EVERY_REQUEST
from tests.reference.api.schemas import JsonSchema, reference

from service_kit.operations import Reply
from service_kit.problems import MEDIA_TYPE, Problem, phrase_of
from service_kit.requests.bodies import JSON


def replies_of(
    replies: Iterable[Reply], shared: SharedComponents
) -> dict[str, Response | Reference]:
    """Return what an operation that succeeds says, by status."""
    return {str(int(each.status)): _reply(each, shared) for each in replies}


def refusals_of(
    problems: Iterable[Problem], shared: SharedComponents
) -> dict[str, Response | Reference]:
    """Return what an operation says that does not succeed, by status."""
    by_status: dict[HTTPStatus, list[Problem]] = defaultdict(list)
    for each in sorted(problems, key=lambda each: (each.status, each.code)):
        by_status[each.status].append(each)
    return {
        str(int(status)): shared.responses.refer(
            _refusal_name(status, each), _refusal(status, each)
        )
        for status, each in by_status.items()
    }


def _reply(reply: Reply, shared: SharedComponents) -> Response | Reference:
    """Return a reference, but for a text that no other operation replies."""
    response = Response(
        description=_phrase(reply.status),
        headers=headers_of(*reply.headers),
        content=_content(reply, shared.schemas),
    )
    if reply.example is not None:
        return response
    return shared.responses.refer(_reply_name(reply), response)


def _reply_name(reply: Reply) -> str:
    """Return the component's name: `OK.UserBody`, `OK.html.Etag.Cache-Control`."""
    parts = [_word(reply.status)]
    if reply.model is not None:
        parts.append(reply.model.__name__)
    elif reply.media_type is not None:
        subtype = reply.media_type.partition(";")[0].rpartition("/")[2]
        parts.append(subtype.replace("+", "-"))
    return ".".join((*parts, *reply.headers))


def _refusal_name(status: HTTPStatus, problems: Sequence[Problem]) -> str:
    """Return the component's name: `BadRequest.invalid_body.invalid_fields`.

    It says what may happen besides the problems of every request.
    """
    codes = [each.code for each in problems if each not in EVERY_REQUEST]
    return ".".join((_word(status), *codes))


def _content(
    reply: Reply, schemas: Mapping[str, JsonSchema]
) -> dict[str, MediaType] | None:
    if reply.media_type is None:
        return None
    if reply.model is not None:
        return {reply.media_type: content_of(reply.model, schemas)}
    schema: JsonSchema = (
        {"type": "object"}
        if reply.media_type == JSON
        else {"type": "string", "maxLength": 2_097_152}
    )
    shown = MediaType(
        media_type_schema=Schema.model_validate(schema), example=reply.example
    )
    return {reply.media_type: shown}


def _refusal(status: HTTPStatus, problems: Sequence[Problem]) -> Response:
    told = {name for each in problems for name in each.headers if name in HEADERS}
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        told.add("Retry-After")
    content = MediaType(
        media_type_schema=reference("schemas", "ProblemBody"),
        examples={each.code: reference("examples", each.code) for each in problems},
    )
    return Response(
        description=_phrase(status),
        headers=headers_of("Content-Language", *sorted(told)),
        content={MEDIA_TYPE: content},
    )


def _word(status: HTTPStatus) -> str:
    return phrase_of(status).replace(" ", "").replace("-", "")


def _phrase(status: HTTPStatus) -> str:
    return f"{phrase_of(status)}."
