"""What the challenge allows and asks for (its rules: github.com/openai/parameter-golf)."""

TOTAL_BYTES = 16_000_000  # code + compressed model
RECORD_MARGIN_NATS = 0.005  # per token: by how much a new record's mean has to be below the old one's …
RECORD_P = 0.01  # … at this level of significance
TRAIN_SECONDS = 600.0  # GPTQ included
EVAL_SECONDS = 600.0
