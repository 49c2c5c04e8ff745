"""Listeners: the console and metrics.jsonl always, W&B when chosen."""
