"""Going on where a job was cut off: what a long loop is kept by, where it lies, and which signals wait for it."""
