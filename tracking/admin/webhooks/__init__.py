"""Webhooks in the admin: endpoints, and the messages that wait or were given up."""
