"""Appends the lines of standard input to a topic: produce.py HOST:PORT TOPIC."""

import itertools
import random
import sys

import grpc
from footman.v1 import broker_pb2 as pb
from footman.v1 import broker_pb2_grpc as rpc

BATCH_RECORDS = 500


def requests(lines, topic, producer_id):
    """One request per batch, numbered: should one be sent again, the server recognises it."""
    sequence = 0
    for request_id in itertools.count(1):
        batch = list(itertools.islice(lines, BATCH_RECORDS))
        if not batch:
            return
        yield pb.ProduceRequest(
            topic=topic,
            request_id=request_id,
            producer_id=producer_id,
            first_sequence=sequence,
            records=[pb.Record(value=line.rstrip(b"\r\n")) for line in batch],
        )
        sequence += len(batch)


def main(server, topic):
    producer_id = random.getrandbits(63) or 1
    appended = 0
    with grpc.insecure_channel(server) as channel:
        answers = rpc.BrokerStub(channel).Produce(requests(sys.stdin.buffer, topic, producer_id))
        for answer in answers:
            if answer.WhichOneof("result") == "error":
                sys.exit(f"{answer.error.reason}: {answer.error.message}")
            appended += answer.ack.count
    print(f"{appended} records appended", file=sys.stderr)


if __name__ == "__main__":
    main(*sys.argv[1:])
