"""SQL and values for databases, where Django is too slow or has no API."""
