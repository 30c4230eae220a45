"""An honest client for tests of reverse proxies: open-loop load, long connections, first answers. Knows only a file
of routes and an address; runs as a process in any network namespace: ``python -m traffic --at ADDRESS:PORT …``.

Only the standard library, and nothing of the product or the lab. One thread and one epoll: at 500 requests per second
what the client costs decides how small a delay can be seen, so there is no asyncio between it and its sockets.
"""
