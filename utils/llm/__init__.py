"""What stream_llm reads an answer with; nobody edits these to change the agent."""
