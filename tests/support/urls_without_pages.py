"""URLs of a site without pages."""

urlpatterns: list[object] = []
