"""The Admin API: what operators set up in the admin, set up by program."""
