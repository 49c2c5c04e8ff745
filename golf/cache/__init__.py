"""The caches: directories under a key of all that their content depends on."""
