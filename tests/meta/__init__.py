"""The house rules as tests: who may import whom, what files look like, what the papers say."""
