"""What was asked for: frozen values, and reading them from files."""
