"""Token shards, the tokenizer's byte table, and the data sets they are opened from."""
