"""An app with a pixel for django-ptrack. Separate, because our app also imports ``pixels.py``."""
