"""The `runner` command: one file a subcommand, loaded only when it is used."""
