"""Small tables and slow queries, cached in memory."""
