"""Each program under `examples/` is started as its README says and spoken to over real HTTP."""
