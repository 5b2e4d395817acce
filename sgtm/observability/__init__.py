"""What one request did (walk), how often things happen (metrics), what is worth a line (logs)."""
