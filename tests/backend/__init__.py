"""Django's PostgreSQL engines, for tests: what a test has committed goes away without waiting for the disk."""
