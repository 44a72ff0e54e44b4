"""Runs mtprotoproxy 1.0.6 (PyPI) in front of a datacenter on loopback.

Usage: mtprotoproxy.py CONFIG DATACENTER-PORT

The package knows its datacenters by constants, and starts its server with an argument that newer versions of Python no longer
have. Everything that handles connections is the package's.
"""

import asyncio
import os
import sys

# The package installs its module as a program.
sys.path.insert(0, os.path.dirname(sys.executable))

import mtprotoproxy as package  # noqa: E402

CONFIG, DATACENTER_PORT = sys.argv[1], int(sys.argv[2])


async def main():
    sys.argv = ["mtprotoproxy", CONFIG]
    package.init_config()
    package.TG_DATACENTERS_V4 = ["127.0.0.1"] * 5
    package.TG_DATACENTER_PORT = DATACENTER_PORT
    package.my_ip_info = {"ipv4": "127.0.0.1", "ipv6": None}
    package.init_stats()
    server = await asyncio.start_server(
        package.handle_client_wrapper, "127.0.0.1", 0, limit=package.get_to_tg_bufsize(), backlog=4096
    )
    print(f"READY 127.0.0.1:{server.sockets[0].getsockname()[1]}", flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)


asyncio.run(main())
