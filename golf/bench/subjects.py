"""What can be measured: `rows` in the module golf.bench.NAME yields its rows.

`start` comes first: what it has compiled, `step` does not compile again.
"""

SUBJECTS = {
    "start": "from the start of a process to its first training step, nothing compiled yet",
    "step": "a training micro-step, forward and backward, in both layer orders",
    "optimizer": "clipping, optimizers and EMA of one step",
    "loader": "how long training waits for a batch",
    "evaluation": "sliding windows, and chunks of test-time training",
    "gptq": "Hessians, GPTQ of all matrices, and how it differs from the CPU's",
    "growth": "time and memory at 1, 2 and 4 times the tokens, the sequence length and the chunks",
    "codec": "seconds and bytes of the codecs",
    "stages": "the stages of the smoke job on the CPU",
}

# Only if it is named: a record trains for minutes, on data that the other subjects do without.
ON_REQUEST = {"whole": "the configured job: losses, scores, bytes and seconds (only if it is named)"}
KNOWN = SUBJECTS | ON_REQUEST
