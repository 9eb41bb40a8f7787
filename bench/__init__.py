"""`make bench`: how fast events go in, as a ratio to what PostgreSQL alone does in the same minutes."""
