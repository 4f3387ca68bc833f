"""What mail providers report about messages, by the webhooks of django-anymail.

INSTALLED_APPS = ["anymail", "tracking", "tracking.contrib.anymail"]
urlpatterns = [path("anymail/", include("anymail.urls"))]

==================  ====================================================================
:mod:`.receiver`    receives the signal of anymail, and sends hits to the backend
:mod:`.events`      an event becomes a hit: kind, key, time, data
:mod:`.bounces`     hard, soft or rejected, as each provider says
:mod:`.machines`    opens and clicks that the provider itself ascribes to machines
:mod:`.checks`      anymail is installed, and its webhooks have URLs
==================  ====================================================================
"""
