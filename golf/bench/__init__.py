"""Speed of the parts, compared with the same mathematics on the plain path."""
