"""The mails that `make up` keeps: there in development alone."""

from typing import Annotated, Final

from aiohttp import web
from pydantic import StringConstraints

from identity_service.handlers.context import RequestContext
from identity_service.handlers.operations import operation
from identity_service.handlers.queries import DEFAULT_PAGE, PageLength, Query
from identity_service.handlers.responses import Body, json_response
from identity_service.handlers.schemas import Moment, described, text
from identity_service.mail.mailbox import MOST_HEADER, MOST_TEXT, Mailbox
from service_kit.operations import ANYBODY, PathParameter, Tag
from service_kit.origins import is_loopback
from service_kit.problems import ProblemError, common

_EXAMPLE: Final = "20260131T120000-00112233445566778899aabbccddeeff"
_FORWARDED_HOST: Final = "X-Forwarded-Host"

MailId = Annotated[
    str,
    StringConstraints(pattern="^[0-9]{8}T[0-9]{6}-[0-9a-f]{32}$"),
    text(48, _EXAMPLE),
]
HeaderText = Annotated[str, text(MOST_HEADER, "alice@example.com")]


class MailboxQuery(Query):
    """GET /api/auth/mailbox."""

    limit: PageLength = DEFAULT_PAGE
    """How many entries a page may have."""
    before: MailId | None = None
    """The ``nextBefore`` of the page before."""


class MailSummaryBody(Body):
    """A mail in the list."""

    id: MailId
    to: HeaderText
    subject: HeaderText
    kept_at: Moment


class MailBody(MailSummaryBody):
    """A mail."""

    text: Annotated[str, text(MOST_TEXT, "Hello alice")]


class MailPage(Body):
    """Some mails."""

    mails: Annotated[list[MailSummaryBody], described(maxItems=200)]
    next_before: MailId | None
    """The parameter ``before`` of the next page; null on the last."""


@operation(
    "GET",
    "/api/auth/mailbox",
    tag=Tag.DEVELOPMENT,
    access=ANYBODY,
    query=MailboxQuery,
    returns=MailPage,
    problems=(common.NOT_FOUND,),
)
async def list_mails(context: RequestContext) -> web.Response:
    """List the mails that were sent, newest first."""
    mailbox = _mailbox(context)
    query = context.read_query(MailboxQuery)
    mails = await mailbox.newest(query.limit + 1, before=query.before)
    shown = mails[: query.limit]
    return json_response(
        MailPage(
            mails=[MailSummaryBody.model_validate(mail) for mail in shown],
            next_before=shown[-1].id if len(mails) > query.limit else None,
        )
    )


@operation(
    "GET",
    "/api/auth/mailbox/{mail_id}",
    tag=Tag.DEVELOPMENT,
    access=ANYBODY,
    path_parameters={"mail_id": PathParameter("The mail's id.", _EXAMPLE)},
    returns=MailBody,
    problems=(common.NOT_FOUND,),
)
async def show_mail(context: RequestContext) -> web.Response:
    """Show a mail's text."""
    mail = await _mailbox(context).read(context.request.match_info["mail_id"])
    if mail is None:
        raise ProblemError(common.NOT_FOUND)
    return json_response(MailBody.model_validate(mail))


def _mailbox(context: RequestContext) -> Mailbox:
    """Return the mailbox, if there is one and it is asked for by this machine's name.

    A page of another site can be made to look like it is at this address (DNS
    rebinding), but not by a name of this machine.
    """
    request, mailbox = context.request, context.services.accounts.mailbox
    hosts = [request.host, request.headers.get(_FORWARDED_HOST, request.host)]
    if mailbox is None or not all(is_loopback(f"//{host}") for host in hosts):
        raise ProblemError(common.NOT_FOUND)
    return mailbox
