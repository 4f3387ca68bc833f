"""The reports in the admin: overview, campaign report, lists and files."""
