"""The site that is fuzzed: the app, a few pages, and a mark on each response."""
