"""The tests' engine on the server that DATABASE_URL names."""
