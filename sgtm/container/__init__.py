"""What is configured: a container file -> model -> one immutable compiled Container."""
