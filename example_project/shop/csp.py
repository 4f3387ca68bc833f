"""A strict Content-Security-Policy for the admin."""

from django.urls import reverse

#: Nothing from other sites, no inline scripts or styles.
POLICY = "default-src 'self'; script-src 'self'; style-src 'self'"


class StrictAdminMiddleware:
    """Adds a strict Content-Security-Policy to all pages of the admin.

    Django 6.0 and later have the setting ``SECURE_CSP`` for that.
    """

    def __init__(self, get_response):
        self.get_response = get_response

    def __call__(self, request):
        """Add the header to the response."""
        response = self.get_response(request)
        if request.path.startswith(reverse("admin:index")):
            response["Content-Security-Policy"] = POLICY
        return response
