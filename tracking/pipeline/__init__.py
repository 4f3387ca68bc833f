"""The way of hits from the web edge to the database, on which nothing is lost."""
