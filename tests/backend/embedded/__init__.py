"""The tests' engine on the embedded server."""
