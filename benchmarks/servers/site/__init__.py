"""The Django project that is served, as small as possible."""
