"""The one error that ends a bench."""


class BenchError(RuntimeError):
    """The figures would mean nothing; the message says why."""
