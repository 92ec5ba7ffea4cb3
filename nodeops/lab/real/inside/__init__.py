"""What runs inside a real host; its files are copied there."""
