"""A site that has no pages."""

urlpatterns: list[object] = []
