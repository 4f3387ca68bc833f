"""Small tables and slow answers kept in memory."""
