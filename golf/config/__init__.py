"""The configuration: what may stand in it, and the check that everything in it is known and well typed."""
