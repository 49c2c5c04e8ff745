"""Limits and rules of the challenge (github.com/openai/parameter-golf)."""

TOTAL_BYTES = 16_000_000  # code + compressed model
RECORD_MARGIN_NATS = 0.005  # per token: a new record's mean must be lower by this much …
RECORD_P = 0.01  # … at this level of significance
TRAIN_SECONDS = 600.0  # GPTQ included
EVAL_SECONDS = 600.0
