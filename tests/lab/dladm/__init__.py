"""dladm(8), subcommand by subcommand [network 2]."""
