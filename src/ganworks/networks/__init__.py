"""Building blocks that several systems share. A paper's own networks stand in its system's file."""
