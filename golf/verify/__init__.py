"""Checks a submission from its folder alone: everything that can be derived again is, and no number is trusted.

Three kinds of evidence must agree: the script, the logs that it wrote, and the artifact. The texts (submission.json,
compliance.json, README.md, requirements.txt) follow from them; they are derived again and compared. The digests in
submission.json reveal any other edit, but they are not a signature: editing a file together with its digest is
detected only where something else depends on the edited value. Values that follow from the training alone (an
intermediate loss, elapsed seconds, the device's name) can be forged; only repeating the training would reveal it.
"""
