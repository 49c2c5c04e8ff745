"""From a submission's folder alone: is what it says so? Whatever can be derived again is, and no number is trusted.

Three kinds of evidence hold each other: the script, the logs that it wrote, and the artifact. From them follow the
texts (submission.json, compliance.json, README.md, requirements.txt), which are derived again and compared. The digests
in submission.json find any other edit. They are no signature: who edits a file and its digest too is found only where
something else follows from what was edited. What follows from nothing but the training itself (a loss on the way, a
clock's seconds, the name of a device) such a forger writes as he likes, and only the training, repeated, answers him.
"""
