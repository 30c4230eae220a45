"""The gate: what a brand's hooks run before their own work (zones sheet 5).

`gate.c` is the program; `server` answers it; `ready` lets a boot wait for its links; `brands` writes the program into a
brand's config.xml and takes it out; `keeper` sees that it stays so, and `program` that there is a program to run.
"""
