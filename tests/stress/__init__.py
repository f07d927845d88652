"""What takes minutes: many requests, much garbage, many stops."""
