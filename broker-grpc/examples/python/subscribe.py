"""Prints the records of a topic: subscribe.py HOST:PORT TOPIC [COUNT [OFFSET]].

Starts at the oldest record, or at OFFSET. Goes on after broken connections and restarts, and says what it lost.
"""

import random
import sys
import time

import grpc
from footman.v1 import broker_pb2 as pb
from footman.v1 import broker_pb2_grpc as rpc

FINAL = {
    grpc.StatusCode.INVALID_ARGUMENT,
    grpc.StatusCode.NOT_FOUND,
    grpc.StatusCode.OUT_OF_RANGE,
    grpc.StatusCode.FAILED_PRECONDITION,
    grpc.StatusCode.UNIMPLEMENTED,
}


def follow(server, start):
    """Yields the records of each batch; tells of everything else on standard error."""
    topic = start.topic
    pause = 0.05
    while True:
        try:
            with grpc.insecure_channel(server) as channel:
                stub = rpc.BrokerStub(channel)
                for response in stub.Subscribe(pb.SubscribeRequest(topics=[start], label="python")):
                    pause = 0.05
                    kind = response.WhichOneof("item")
                    item = getattr(response, kind)
                    if kind == "started":
                        epoch, offset = item.epoch, item.next_offset
                    elif kind == "batch":
                        offset = item.base_offset + item.count
                        yield item.records
                    elif kind == "lost":
                        offset = item.to_offset
                        print(f"lost {item.from_offset} to {offset - 1}", file=sys.stderr)
                    elif kind == "reset":
                        epoch, offset = item.new_epoch, item.next_offset
                        print(f"epoch {epoch}: offsets start again", file=sys.stderr)
                    else:
                        continue
                    start = pb.TopicStart(topic=topic, resume=pb.Resume(epoch=epoch, next_offset=offset))
        except grpc.RpcError as error:
            if error.code() in FINAL:
                sys.exit(error.details())
            print(f"{error.details()}; trying again", file=sys.stderr)
        time.sleep(pause * random.uniform(0.5, 1))
        pause = min(pause * 2, 2)


def main(server, topic, count=None, offset=None):
    start = pb.TopicStart(topic=topic, earliest=True)
    if offset is not None:
        start = pb.TopicStart(topic=topic, offset=int(offset))
    left = int(count) if count else sys.maxsize
    for records in follow(server, start):
        for record in records[:left]:
            sys.stdout.buffer.write(record.value + b"\n")
        sys.stdout.buffer.flush()
        left -= len(records)
        if left <= 0:
            break


if __name__ == "__main__":
    main(*sys.argv[1:])
