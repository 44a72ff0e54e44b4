"""TDLib against the embedded datacenter, over a SOCKS5 proxy and as an MTProxy with each kind of secret.

Usage: tdlib_client.py HOST PORT PUBLIC_KEY.pem DC_ID [--mtproxy] [LIBRARY]

With `--mtproxy`, HOST and PORT are those of an MTProxy in front of the datacenter.

The number of the datacenter does not matter: TDLib begins with 1.

TDLib takes neither an address nor a key from its caller. Its connections go through a SOCKS5 proxy here, which sends
all of them to us, or to us as an MTProxy; and in a copy of its library the PEM text of its keys is replaced by ours, which has the same length.
The library is the one that the npm package `prebuilt-tdlib` has, unless another is named.
"""

import asyncio
import ctypes
import glob
import json
import os
import re
import sys
import tempfile
import threading
import time

HOST, PORT, KEY_PATH = sys.argv[1], int(sys.argv[2]), sys.argv[3]
# Those that `cargo xtask interop` gives the datacenter.
SECRETS = {
    "plain": "00112233445566778899aabbccddeeff",
    "dd": "dd00112233445566778899aabbccddeeff",
    "ee": "ee00112233445566778899aabbccddeeff6578616d706c652e636f6d",
}
PATTERN = "node_modules/@prebuilt-tdlib/linux-x64-glibc/libtdjson.so"


def library():
    """Returns the path of a copy of the library that trusts our key."""
    named = [argument for argument in sys.argv[5:] if argument != "--mtproxy"]
    path = named[0] if named else glob.glob(PATTERN)[0]
    with open(path, "rb") as file:
        code = file.read()
    with open(KEY_PATH, encoding="ascii") as file:
        ours = "".join(line.strip() for line in file if not line.startswith("-----"))
    pem = re.compile(rb"-----BEGIN RSA PUBLIC KEY-----\n(.*?)-----END RSA PUBLIC KEY-----", re.DOTALL)

    def replaced(match):
        theirs = match.group(1)
        lines, rest = [], ours
        for line in theirs.decode().splitlines():
            lines.append(rest[: len(line)])
            rest = rest[len(line) :]
        text = "\n".join(lines).encode() + b"\n"
        if len(text) != len(theirs) or rest:
            return match.group(0)
        return match.group(0).replace(theirs, text)

    copy = os.path.join(tempfile.mkdtemp(prefix="tdlib-"), "libtdjson.so")
    with open(copy, "wb") as file:
        file.write(pem.sub(replaced, code))
    return copy


async def socks5(reader, writer):
    """Says yes to every request, and sends what comes to our datacenter."""
    await reader.readexactly((await reader.readexactly(2))[1])
    writer.write(b"\x05\x00")
    head = await reader.readexactly(4)
    length = {1: 4, 4: 16}.get(head[3]) or (await reader.readexactly(1))[0]
    await reader.readexactly(length + 2)
    writer.write(b"\x05\x00\x00\x01" + bytes(6))
    upstream_reader, upstream_writer = await asyncio.open_connection(HOST, PORT)

    async def copy(source, sink):
        try:
            while data := await source.read(65536):
                sink.write(data)
                await sink.drain()
        finally:
            sink.close()

    await asyncio.gather(copy(reader, upstream_writer), copy(upstream_reader, writer), return_exceptions=True)


def start_proxy():
    ready = threading.Event()
    port = []

    async def serve():
        server = await asyncio.start_server(socks5, "127.0.0.1", 0)
        port.append(server.sockets[0].getsockname()[1])
        ready.set()
        await server.serve_forever()

    threading.Thread(target=lambda: asyncio.run(serve()), daemon=True).start()
    ready.wait()
    return port[0]


class Client:
    def __init__(self, td):
        self.td = td
        self.id = td.td_create_client_id()

    def send(self, **request):
        request["@type"] = request.pop("type")
        self.td.td_send(self.id, json.dumps(request).encode())

    def wait_for(self, what, seconds=30):
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            answer = self.td.td_receive(ctypes.c_double(1.0))
            if answer:
                answer = json.loads(answer)
                if what(answer):
                    return answer
        raise TimeoutError("no answer of TDLib")


def proxies():
    """Returns the ways to us."""
    if "--mtproxy" not in sys.argv:
        yield "SOCKS5", socks5_way()
    for kind, secret in SECRETS.items():
        way = {"@type": "proxyTypeMtproto", "secret": secret}
        yield f"MTProxy, {kind}", {"@type": "proxy", "server": HOST, "port": PORT, "type": way}


def socks5_way():
    return {"@type": "proxy", "server": "127.0.0.1", "port": start_proxy(), "type": {"@type": "proxyTypeSocks5"}}


def run(td, folder, proxy, pfs):
    client = Client(td)
    client.send(type="setLogVerbosityLevel", new_verbosity_level=int(os.environ.get("TDLIB_LOG", "0")))
    client.send(type="setOption", name="use_pfs", value={"@type": "optionValueBoolean", "value": pfs})
    client.send(
        type="setTdlibParameters",
        database_directory=folder,
        use_message_database=False,
        api_id=1,
        api_hash="0" * 32,
        system_language_code="en",
        device_model="interop",
        application_version="1",
    )
    client.send(type="addProxy", enable=True, proxy=proxy)
    client.wait_for(
        lambda it: it["@type"] == "updateConnectionState" and it["state"]["@type"] == "connectionStateReady"
    )
    # Anything that goes to the server: our datacenter does not know it and says so.
    client.send(type="getCountries", **{"@extra": "countries"})
    client.wait_for(lambda it: it.get("@extra") == "countries")
    client.send(type="close")
    client.wait_for(
        lambda it: it["@type"] == "updateAuthorizationState"
        and it["authorization_state"]["@type"] == "authorizationStateClosed"
    )


def main():
    td = ctypes.CDLL(library())
    td.td_create_client_id.restype = ctypes.c_int
    td.td_send.argtypes = [ctypes.c_int, ctypes.c_char_p]
    td.td_receive.restype = ctypes.c_char_p
    td.td_receive.argtypes = [ctypes.c_double]
    td.td_execute.restype = ctypes.c_char_p
    version = json.loads(td.td_execute(b'{"@type":"getOption","name":"version"}'))["value"]
    failed = 0
    for way, proxy in proxies():
        for pfs in [False, True]:
            folder = tempfile.mkdtemp(prefix="tdlib-")
            for connection in ["first connection", "second connection, same key"]:
                label = f"tdlib {version} {way}, {'with' if pfs else 'without'} temporary keys, {connection}"
                try:
                    run(td, folder, proxy, pfs)
                    print(f"{label}: ok", flush=True)
                except Exception as error:  # every kind of failure is a failure of this run
                    failed += 1
                    print(f"{label}: FAILED: {error!r}", flush=True)
    return failed


if __name__ == "__main__":
    failed = main()
    sys.stdout.flush()
    # Its threads would go on after us.
    os._exit(1 if failed else 0)
