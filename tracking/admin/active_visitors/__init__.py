"""The page of active visitors in the admin: live map, list and visitor details."""
