"""From one composed job to the processes that run it: in place, or one worker for each GPU."""
