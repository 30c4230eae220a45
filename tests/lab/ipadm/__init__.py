"""ipadm(8), subcommand by subcommand [network 4]."""
