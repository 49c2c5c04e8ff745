"""How fast the parts are, beside the same mathematics without what makes them fast."""
