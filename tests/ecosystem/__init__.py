"""Libraries of the async ecosystem, doing their ordinary work on the loop under test."""
