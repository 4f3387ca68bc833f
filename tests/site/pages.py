"""Pages of a site, which know nothing of being tracked."""

from django.contrib.auth import get_user_model, login, logout
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template import RequestContext, Template

from tests.site.models import Affiliate


def plain(request: HttpRequest, name: str) -> HttpResponse:
    return HttpResponse(f"<p>{len(name)}")


async def plain_async(request: HttpRequest, name: str) -> HttpResponse:
    return HttpResponse(f"<p>{len(name)}")


def greeting(request: HttpRequest) -> HttpResponse:
    """Use the user, and with it the session."""
    return HttpResponse(f"<p>{'Welcome back' if request.user.is_authenticated else 'Hello'}")


def basket(request: HttpRequest) -> HttpResponse:
    """Write something of the site's own, and into the session."""
    Affiliate.objects.create(name="in the basket")
    request.session["basket"] = request.session.get("basket", 0) + 1
    return HttpResponse("<p>In the basket")


def log_in(request: HttpRequest, name: str) -> HttpResponse:
    login(request, get_user_model().objects.get(username=name))
    return HttpResponseRedirect("/greeting/")


def log_out(request: HttpRequest) -> HttpResponse:
    logout(request)
    return HttpResponseRedirect("/greeting/")


def failing(request: HttpRequest) -> HttpResponse:
    raise RuntimeError("a bug of the site")


COUNTS = Template(
    "{% load tracking_tags %}{% visitors_on_site as n %}{% visitors_on_page as m %}{{ n }} {{ m }}"
)


def counting(request: HttpRequest) -> HttpResponse:
    return HttpResponse(COUNTS.render(RequestContext(request)))


def cached(request: HttpRequest) -> HttpResponse:
    return HttpResponse("<p>", headers={"Cache-Control": "public, max-age=60"})


def numbered(request: HttpRequest) -> HttpResponse:
    """Say how often this was called."""
    Affiliate.objects.create(name="called")
    return HttpResponse(f"<p>{Affiliate.objects.filter(name='called').count()}")
