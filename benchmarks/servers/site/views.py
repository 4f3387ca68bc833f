"""The views that are compared. None of them imports the app."""

import threading
from typing import Any

from django.http import HttpRequest, HttpResponse, JsonResponse

from benchmarks.servers.answers import GIF, GREETING, PAGE
from benchmarks.servers.site.models import Opened

HEADERS = {"Content-Length": str(len(GIF)), "Cache-Control": "no-store"}


def bare(request: HttpRequest, token: str) -> HttpResponse:
    """Return the pixel."""
    return HttpResponse(GIF, content_type="image/gif", headers=HEADERS)


async def bare_async(request: HttpRequest, token: str) -> HttpResponse:
    """Return the pixel from the event loop."""
    return HttpResponse(GIF, content_type="image/gif", headers=HEADERS)


def create(request: HttpRequest, token: str) -> HttpResponse:
    """Write a row and return the pixel, as a site without an app would."""
    opened(request, {"token": token})
    return HttpResponse(GIF, content_type="image/gif", headers=HEADERS)


def opened(request: HttpRequest, data: dict[str, Any]) -> None:
    """Write a row for the request."""
    Opened.objects.create(
        data=data,
        ip_address=request.META.get("REMOTE_ADDR"),
        user_agent=request.META.get("HTTP_USER_AGENT", ""),
        referrer=request.META.get("HTTP_REFERER", ""),
    )


def page(request: HttpRequest) -> HttpResponse:
    """Return a page that uses neither the user nor the database."""
    return HttpResponse(PAGE, headers={"Content-Length": str(len(PAGE))})


def account(request: HttpRequest) -> HttpResponse:
    """Return a page that greets the logged-in user: two queries."""
    assert request.user.is_authenticated
    return HttpResponse(GREETING, headers={"Content-Length": str(len(GREETING))})


def threads(request: HttpRequest) -> HttpResponse:
    """Return the kernel's thread ids of this process, by name of the thread."""
    return JsonResponse({thread.name: thread.native_id for thread in threading.enumerate()})
