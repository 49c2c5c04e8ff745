"""What a sweep says: scores and ablations over seeds."""
