"""The views that are compared. None of them imports the app that is measured."""

import threading
from typing import Any

from django.http import HttpRequest, HttpResponse, JsonResponse

from benchmarks.servers.answers import GIF, GREETING, PAGE
from benchmarks.servers.site.models import Opened

HEADERS = {"Content-Length": str(len(GIF)), "Cache-Control": "no-store"}


def bare(request: HttpRequest, token: str) -> HttpResponse:
    """Answer with the pixel."""
    return HttpResponse(GIF, content_type="image/gif", headers=HEADERS)


async def bare_async(request: HttpRequest, token: str) -> HttpResponse:
    """Do the same, in the event loop."""
    return HttpResponse(GIF, content_type="image/gif", headers=HEADERS)


def create(request: HttpRequest, token: str) -> HttpResponse:
    """Write a row, then answer: what sites do that have no app for it."""
    opened(request, {"token": token})
    return HttpResponse(GIF, content_type="image/gif", headers=HEADERS)


def opened(request: HttpRequest, data: dict[str, Any]) -> None:
    """Write a row for a request."""
    Opened.objects.create(
        data=data,
        ip_address=request.META.get("REMOTE_ADDR"),
        user_agent=request.META.get("HTTP_USER_AGENT", ""),
        referrer=request.META.get("HTTP_REFERER", ""),
    )


def page(request: HttpRequest) -> HttpResponse:
    """Answer with a page that asks neither who is there nor the database."""
    return HttpResponse(PAGE, headers={"Content-Length": str(len(PAGE))})


def account(request: HttpRequest) -> HttpResponse:
    """Answer with a page that greets who is logged in: two queries of the site's own."""
    assert request.user.is_authenticated
    return HttpResponse(GREETING, headers={"Content-Length": str(len(GREETING))})


def threads(request: HttpRequest) -> HttpResponse:
    """Tell which threads this process has, by the numbers that the kernel knows them by."""
    return JsonResponse({thread.name: thread.native_id for thread in threading.enumerate()})
