"""The URLs of the tests, and the webhooks of anymail."""

from django.urls import include, path

from tests.urls import urlpatterns as others

urlpatterns = [*others, path("anymail/", include("anymail.urls"))]
