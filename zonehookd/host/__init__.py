"""The only door to the machine: processes, files, the clock."""
