"""The words on the terminal: commands, prompts, exit codes."""
