"""Language model: prompt, generation, tool calls and clauses."""
