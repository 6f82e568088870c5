"""Speech pipeline: one worker per session, executors with priorities, and the reply generator."""
