"""Raw gRPC to a node: messages as bytes, so that malformed ones can be sent, and a reader of Status.

The only module here that needs more than the standard library (python3-grpcio)."""

import grpc

CLUSTER_STATUS = "/coolbeans.v1.Cluster/Status"
SESSION = "/coolbeans.v1.Queue/Session"


def varint(value):
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def field(number, value):
    """A number or bytes as a field of a message."""
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    return varint(number << 3 | 2) + varint(len(value)) + value


def fields(data):
    """[(number, int or bytes)] of a message; ValueError when it is none."""
    found, at = [], 0

    def read():
        nonlocal at
        value = shift = 0
        while True:
            if at >= len(data):
                raise ValueError("the message ends within a field")
            byte = data[at]
            at += 1
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return value

    while at < len(data):
        key = read()
        if key & 7 == 0:
            found.append((key >> 3, read()))
        elif key & 7 == 2:
            length = read()
            found.append((key >> 3, bytes(data[at:at + length])))
            at += length
        else:
            raise ValueError(f"wire type {key & 7}")
    return found


NUMBERS = {2: "id", 4: "term", 5: "leader", 6: "commit", 7: "applied", 13: "serving", 14: "durable"}
COUNTER_FIELD = 15


def read_status(reply):
    """Numbers of proto/cluster.proto's StatusReply, its counters as a dictionary."""
    result = {name: 0 for name in NUMBERS.values()} | {"counters": {}}
    for number, value in fields(reply):
        if number in NUMBERS:
            result[NUMBERS[number]] = value
        elif number == COUNTER_FIELD:
            counter = dict(fields(value))
            result["counters"][counter[1].decode()] = counter.get(2, 0)
    return result


def status(address):
    """Over a connection of its own, which may take a while; Asker keeps one."""
    with Asker(address) as asker:
        return asker.status(wait=True)


class Asker:
    """Asks one node again and again, so that the time of an answer is that of the node."""

    def __init__(self, address):
        self.channel = grpc.insecure_channel(address)
        self.call = self.channel.unary_unary(CLUSTER_STATUS)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.channel.close()

    def status(self, seconds=5, wait=False):
        return read_status(self.call(b"", timeout=seconds, wait_for_ready=wait))


def send_session(address, messages):
    """Sends the byte strings on one Session stream; (status name, its text, replies)."""
    replies = []
    with grpc.insecure_channel(address) as channel:
        call = channel.stream_stream(SESSION)(iter(messages), timeout=10, wait_for_ready=True)
        try:
            for reply in call:
                replies.append(reply)
        except grpc.RpcError:
            pass  # code() has it
        return call.code().name, call.details(), replies
