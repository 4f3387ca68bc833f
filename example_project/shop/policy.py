"""What the browser is told to refuse on pages of the admin."""

from django.urls import reverse

#: Nothing from elsewhere, and no script or style that stands in the page itself.
POLICY = "default-src 'self'; script-src 'self'; style-src 'self'"


class StrictAdminMiddleware:
    """Sends a strict Content-Security-Policy with all pages of the admin.

    Django 6.0 and newer can do that by themselves: ``SECURE_CSP``.
    """

    def __init__(self, get_response):
        self.get_response = get_response

    def __call__(self, request):
        response = self.get_response(request)
        if request.path.startswith(reverse("admin:index")):
            response["Content-Security-Policy"] = POLICY
        return response
