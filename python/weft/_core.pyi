# The native half of weft, as the type checker sees it: one section for each room of
# crates/python, in the order of its lib.rs. The documentation is in the Rust source; types are
# here. `make lint` compares this file with the module that was built (stubtest).

# PyO3 lists every name that the module exports.
__all__ = ["__version__"]

__version__: str
