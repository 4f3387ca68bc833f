"""URLs and pages of the site."""

from django.contrib import admin
from django.contrib.auth import logout
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template import RequestContext, Template
from django.urls import include, path

from tracking.models import Source, Target
from tracking.views import trigger


def may_track(request: HttpRequest) -> bool | None:
    """Return what the reader has answered when asked for consent."""
    return {"no": False, "maybe": None}.get(request.COOKIES.get("consent", ""), True)


def greeting(request: HttpRequest, number: int, rest: str) -> HttpResponse:
    """Greet the user, which loads the session."""
    return HttpResponse("<p>Welcome back" if request.user.is_authenticated else "<p>Hello")


_COUNTS = Template(
    "{% load tracking_tags %}{% visitors_on_site as n %}{% visitors_on_page as m %}{{ n }} {{ m }}"
)


def counting(request: HttpRequest, number: int, rest: str) -> HttpResponse:
    """Return a page that shows how many visitors are online."""
    return HttpResponse(_COUNTS.render(RequestContext(request)))


async def plain_async(request: HttpRequest, number: int, rest: str) -> HttpResponse:
    """Return a page from the event loop."""
    return HttpResponse("<p>A page.")


def plain(request: HttpRequest, number: int, rest: str) -> HttpResponse:
    """Return a page."""
    return HttpResponse("<p>A page.")


def sign_out(request: HttpRequest) -> HttpResponse:
    """Log the user out."""
    logout(request)
    return HttpResponseRedirect("/page/0/signed-out")


urlpatterns = [
    path("admin/", admin.site.urls),
    path("t/", include("tracking.urls")),
    path("page/<int:number>/<path:rest>", plain),
    path("async-page/<int:number>/<path:rest>", plain_async),
    path("greeting/<int:number>/<path:rest>", greeting),
    path("counting/<int:number>/<path:rest>", counting),
    path("sign-out/", sign_out),
    path("go/<target_id>", trigger, {"target_type": Target}),
    path("seen/<source_id>.gif", trigger, {"source_type": Source, "pixel": True}),
]
