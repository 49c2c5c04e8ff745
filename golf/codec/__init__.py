"""Codecs: lossless compression of the artifact's sections, one class per file."""
