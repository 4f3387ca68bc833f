"""Apps for sites that use other projects. Each is switched on by ``INSTALLED_APPS``."""
