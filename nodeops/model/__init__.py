"""What is known and who can be asked, by subject: values, and interfaces that clients implement."""
