"""The tag of the checks: ``manage.py check --tag tracking``."""

TAG = "tracking"
