"""What the bench says while it runs."""


def say(what: str) -> None:
    """Say what is being done now."""
    print(f"… {what}", flush=True)
