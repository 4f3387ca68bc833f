"""An app that has a pixel of django-ptrack; apart, because ours looks for ``pixels.py``, too."""
