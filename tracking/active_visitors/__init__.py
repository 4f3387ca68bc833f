"""Who is on the site now: how many, where, what they look at, and the feed of it."""
