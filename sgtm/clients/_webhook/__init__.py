"""Parts of the webhook client: who has sent it, where a value stands, what becomes of it."""
