"""Send, at least once: outbox -> lanes (one per destination) -> retry -> sender."""
