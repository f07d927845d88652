"""The one exception of the benches: a sample that cannot be taken or must not be trusted."""


class SampleError(Exception):
    """Says in one line why a sample has no figure; the run records it and goes on."""
