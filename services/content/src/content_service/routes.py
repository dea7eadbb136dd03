"""What content answers to."""

from typing import Final

from aiohttp import web

from content_service.domain.resources import RESOURCES
from content_service.handlers.resources import handler_for

ROUTES: Final = [web.get(each.path, handler_for(each)) for each in RESOURCES]
