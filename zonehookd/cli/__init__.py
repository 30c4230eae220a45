"""zonehookctl: asks the daemon, shows the answer; decides nothing."""
