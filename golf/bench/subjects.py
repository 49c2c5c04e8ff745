"""The subjects: `rows` in the module golf.bench.NAME yields the rows of one.

`start` comes first: `step` reuses what it compiled.
"""

SUBJECTS = {
    "start": "from the start of a process to its first training step, nothing compiled yet",
    "step": "a training micro-step, forward and backward, in both layer orders",
    "optimizer": "clipping, optimizers and EMA of one step",
    "loader": "time that training waits for a batch",
    "evaluation": "sliding windows, and chunks of test-time training",
    "gptq": "Hessians, GPTQ of all matrices, and its differences from the CPU's",
    "growth": "time and memory at 1, 2 and 4 times the tokens, the sequence length and the chunks",
    "codec": "seconds and bytes of the codecs",
    "stages": "the stages of the smoke job on the CPU",
}

# Only on request: it trains for minutes, on data that the other subjects do not need.
ON_REQUEST = {"whole": "the configured job: losses, scores, bytes and seconds (only if it is named)"}
KNOWN = SUBJECTS | ON_REQUEST
