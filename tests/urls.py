from django.contrib import admin
from django.urls import include, path

from tests.site import models, pages
from tracking.views import trigger

TO_OFFER = {"target_type": models.Offer}

urlpatterns = [
    path("admin/", admin.site.urls),
    path("t/", include("tracking.urls")),
    path("offer/<target_id>", trigger, TO_OFFER),
    path("offer/<target_id>/<source_id>", trigger, {**TO_OFFER, "source_type": models.Affiliate}),
    path(
        "lenient/<target_id>/<source_id>",
        trigger,
        {**TO_OFFER, "source_type": models.Affiliate, "ignore_errors": True},
    ),
    path("product/<target_id>", trigger, {"target_type": models.Product}),
    path("leaflet/<target_id>", trigger, {"target_type": models.Leaflet}),
    path("broken/<target_id>", trigger, {"target_type": models.BrokenOffer}),
    path(
        "to/<target_id>/for/<uuid:entity_id>",
        trigger,
        {**TO_OFFER, "entity_type": models.Subscriber},
    ),
    path(
        "to/<target_id>/for-reader/<entity_id>", trigger, {**TO_OFFER, "entity_type": models.Reader}
    ),
    path("to/<target_id>/for-new-reader", trigger, {**TO_OFFER, "entity_type": models.Reader}),
    path("to/<target_id>/for-new-visitor", trigger, {**TO_OFFER, "entity_type": models.Visitor}),
    path("to/<target_id>/for-moody", trigger, {**TO_OFFER, "entity_type": models.MoodyReader}),
    path(
        "to/<target_id>/for-poisonous", trigger, {**TO_OFFER, "entity_type": models.PoisonousReader}
    ),
    path("nowhere", trigger),
    path("page/<path:name>", pages.plain),
    path("async-page/<path:name>", pages.plain_async),
    path("greeting/", pages.greeting),
    path("basket/", pages.basket),
    path("log-in/<name>", pages.log_in),
    path("log-out/", pages.log_out),
    path("failing/", pages.failing),
    path("counting/", pages.counting),
    path("cached/", pages.cached),
    path("numbered/", pages.numbered),
    path("open/<source_id>.gif", trigger, {"source_type": models.Affiliate, "pixel": True}),
    path(
        "lenient-open/<source_id>.gif",
        trigger,
        {"source_type": models.Affiliate, "pixel": True, "ignore_errors": True},
    ),
    path("reader/<entity_id>.gif", trigger, {"entity_type": models.Reader, "pixel": True}),
    path("plain.gif", trigger, {"pixel": True}),
    path("seen/<target_id>.gif", trigger, {**TO_OFFER, "pixel": True}),
]
