"""Other people's metrics: it runs in their environment, and imports nothing of ganworks."""
