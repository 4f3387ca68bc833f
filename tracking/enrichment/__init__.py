"""What an address, a user agent and a referrer say about a visitor."""
