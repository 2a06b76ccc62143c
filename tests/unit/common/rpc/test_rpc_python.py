"""Proves that our server speaks gRPC to a foreign implementation: health, streams, unknown methods,
trailing metadata, and an orderly end."""
import subprocess
import sys

try:
    import grpc
except ImportError:
    print("SKIP: python3-grpcio is missing; scripts/setup installs it")
    sys.exit(77)

QUEUE = b"\x0a\x12coolbeans.v1.Queue"
TIMEOUT = 20


def method(channel, kind, path):
    return getattr(channel, kind)(path, request_serializer=bytes, response_deserializer=bytes)


def code_of(call, *args):
    try:
        call(*args, timeout=TIMEOUT)
    except grpc.RpcError as e:
        return e.code()
    return grpc.StatusCode.OK


def test(channel, server):
    check = method(channel, "unary_unary", "/grpc.health.v1.Health/Check")
    assert check(b"", timeout=TIMEOUT) == b"\x08\x01"
    assert check(QUEUE, timeout=TIMEOUT) == b"\x08\x02"
    assert code_of(check, b"\x0a\x03xyz") == grpc.StatusCode.NOT_FOUND
    assert code_of(check, b"\x0a\x05x") == grpc.StatusCode.INVALID_ARGUMENT

    watch = method(channel, "unary_stream", "/grpc.health.v1.Health/Watch")
    changes = watch(QUEUE, timeout=TIMEOUT)
    assert next(changes) == b"\x08\x02"
    server.stdin.write(b"x")
    server.stdin.flush()
    assert next(changes) == b"\x08\x01"
    changes.cancel()
    assert next(watch(b"\x0a\x03xyz", timeout=TIMEOUT)) == b"\x08\x03"

    nothing = method(channel, "unary_unary", "/t/Nothing")
    assert code_of(nothing, b"") == grpc.StatusCode.UNIMPLEMENTED

    echo = method(channel, "stream_stream", "/t/Echo")
    sent = [b"message %d" % i for i in range(1000)]
    replies = echo(iter(sent), timeout=TIMEOUT)
    received = []
    try:
        for reply in replies:
            received.append(reply)
    except grpc.RpcError:
        pass
    assert received == sent
    assert replies.code() == grpc.StatusCode.FAILED_PRECONDITION
    assert replies.details() == "not the leader"
    assert ("cb-leader", "127.0.0.1:11301") in [tuple(m) for m in replies.trailing_metadata()]

    # A compressed message is refused: what it grows to has no bound.
    with grpc.insecure_channel(f"127.0.0.1:{server.port}", compression=grpc.Compression.Gzip) as c:
        echo = method(c, "unary_unary", "/grpc.health.v1.Health/Check")
        code = code_of(echo, b"\x0a\xc8\x01" + b"x" * 200)
        assert code == grpc.StatusCode.INVALID_ARGUMENT, code


def main():
    server = subprocess.Popen([sys.argv[1]], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        server.port = int(server.stdout.readline())
        with grpc.insecure_channel(f"127.0.0.1:{server.port}") as channel:
            test(channel, server)
            server.stdin.close()
            assert server.wait(timeout=TIMEOUT) == 0
    finally:
        if server.poll() is None:
            server.kill()


main()
