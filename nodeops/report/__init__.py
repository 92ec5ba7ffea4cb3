"""Plans and runs as terminal views, JSON, Markdown and pictures."""
