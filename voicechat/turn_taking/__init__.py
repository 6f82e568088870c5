"""Turn-taking state machine of a call: stages, responses, barge-in and latency. Pure."""
