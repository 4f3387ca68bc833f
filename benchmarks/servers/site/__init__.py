"""The site that is served: as little around the view that is measured as Django allows."""
