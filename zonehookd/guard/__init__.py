"""The guard: who depends on a gateway, and what may be done to it (contract A10).

It answers from live truth: no ghosts (who is gone never blocks), no holes (attached by address or by link, running or
not, whoever made it). What it last knew stands in a file for those who ask while the daemon is down.
"""
