"""Enrichment: location, browser, device and verdict, from an address and a user agent."""
