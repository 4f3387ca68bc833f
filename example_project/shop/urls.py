from django.urls import path

from shop import views
from shop.models import Affiliate, Offer, Subscriber
from tracking.views import trigger

offer_of_affiliate = {"target_type": Offer, "source_type": Affiliate}

urlpatterns = [
    path("", views.home, name="home"),
    path("products/<slug:slug>/", views.product, name="product"),
    path("products/<slug:slug>/buy/", views.buy, name="buy"),
    path("thanks/", views.thanks, name="thanks"),
    path("live/", views.live, name="live"),
    path("outbox/", views.outbox_list, name="outbox"),
    path("outbox/<str:name>/", views.outbox_message, name="outbox-message"),
    path("outbox/<str:name>/body/", views.outbox_body, name="outbox-body"),
    # Readable links. Their beacons are tied to the objects that the URL names.
    path("go/<int:target_id>/<int:source_id>/", trigger, offer_of_affiliate, name="go"),
    path(
        "go/<int:target_id>/<int:source_id>/<uuid:entity_id>/",
        trigger,
        {**offer_of_affiliate, "entity_type": Subscriber},
        name="go",
    ),
]
