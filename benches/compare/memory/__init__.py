"""Does memory stay flat? A server under a million requests, a loop under endless churn."""
