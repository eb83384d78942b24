"""What any gRPC client must be able to do, done by one that was made from the .proto alone.

Run by `cargo xtask interop`; FOOTMAN_SERVER names a server of its own.
"""

import os
import queue

import grpc
from footman.v1 import broker_pb2 as pb
from footman.v1 import broker_pb2_grpc

channel = grpc.insecure_channel(os.environ["FOOTMAN_SERVER"])
broker = broker_pb2_grpc.BrokerStub(channel)
admin = broker_pb2_grpc.AdminStub(channel)


def values(first, count):
    return [b"record %d" % number for number in range(first, first + count)]


def request(topic, contents, **fields):
    records = [pb.Record(value=content) for content in contents]
    return pb.ProduceRequest(topic=topic, records=records, **fields)


def refused(call, message, code):
    """The status that `call` fails with must have this code and a sentence to read."""
    try:
        answer = call(message, timeout=10)
        if hasattr(answer, "__next__"):
            next(answer)
    except grpc.RpcError as error:
        assert error.code() == code, f"{error.code()} instead of {code}: {error.details()}"
        assert error.details(), f"{code} says nothing"
        return error.details()
    raise AssertionError(f"{message} was accepted")


def test_every_part_of_a_record_comes_back():
    sent = pb.Record(
        timestamp_us=1_700_000_000_000_001,
        key=b"key",
        value=b"\x00\xff value",
        headers=[pb.Header(name="trace", value=b"1"), pb.Header(name="trace", value=b"2")],
    )
    ack = broker.ProduceBatch(pb.ProduceRequest(topic="parts", records=[sent])).ack
    assert (ack.topic, ack.base_offset, ack.count, ack.duplicate) == ("parts", 0, 1, False)
    fetched = broker.Fetch(pb.FetchRequest(topics=[pb.TopicStart(topic="parts", earliest=True)]))
    (item,) = [item for item in fetched.items if item.WhichOneof("item") == "batch"]
    assert list(item.batch.records) == [sent]
    assert item.batch.epoch == ack.epoch


def test_a_stream_of_requests_is_answered_in_order_and_a_bad_one_does_not_end_it():
    requests = [
        request("stream", values(0, 3), request_id=1),
        request("", values(3, 2), request_id=2),
        request("stream", [], request_id=3),
        request("stream", values(5, 1), request_id=4),
    ]
    answers = list(broker.Produce(iter(requests), timeout=10))
    assert [answer.request_id for answer in answers] == [1, 2, 3, 4]
    assert [answer.ack.base_offset for answer in answers if answer.HasField("ack")] == [0, 3, 5]
    assert answers[2].error.reason and answers[2].error.message


def test_a_repeated_batch_is_answered_with_its_first_offsets():
    batch = request("repeat", values(0, 4), producer_id=7, first_sequence=0)
    first, again = broker.ProduceBatch(batch).ack, broker.ProduceBatch(batch).ack
    assert (again.base_offset, again.duplicate) == (first.base_offset, True)


def test_a_lapped_subscriber_receives_lost_as_an_ordinary_item():
    kept, produced = 100, 1_000
    options = pb.TopicOptions(max_records=kept)
    admin.CreateTopic(pb.CreateTopicRequest(name="small", options=options))
    for first in range(0, produced, 100):
        broker.ProduceBatch(request("small", values(first, 100)))
    start = pb.TopicStart(topic="small", offset=0, stop_at_end=True)
    lost = delivered = 0
    next_offset = 0
    for response in broker.Subscribe(pb.SubscribeRequest(topics=[start]), timeout=10):
        match response.WhichOneof("item"):
            case "lost":
                assert response.lost.from_offset == next_offset
                next_offset = response.lost.to_offset
                lost += response.lost.to_offset - response.lost.from_offset
            case "batch":
                batch = response.batch
                assert batch.base_offset == next_offset
                assert [record.value for record in batch.records] == values(next_offset, batch.count)
                next_offset += batch.count
                delivered += batch.count
    assert (lost, delivered) == (produced - kept, kept)


def test_a_live_subscriber_sees_what_is_produced_while_it_waits():
    responses = broker.Subscribe(
        pb.SubscribeRequest(topics=[pb.TopicStart(topic="live", latest=True)]), timeout=20
    )
    assert next(responses).WhichOneof("item") == "started"
    requests = queue.SimpleQueue()
    answers = broker.Produce(iter(requests.get, None), timeout=20)
    for number in range(10):
        requests.put(request("live", values(number, 1)))
        assert next(answers).ack.base_offset == number
        batch = next(response.batch for response in responses if response.HasField("batch"))
        assert [record.value for record in batch.records] == values(number, 1)
    requests.put(None)
    responses.cancel()


def test_a_topic_deleted_and_created_again_ends_and_then_resets():
    before = broker.ProduceBatch(request("again", values(0, 5))).ack
    responses = broker.Subscribe(
        pb.SubscribeRequest(topics=[pb.TopicStart(topic="again", earliest=True)]), timeout=20
    )
    assert next(response for response in responses if response.HasField("batch")).batch.count == 5
    admin.DeleteTopic(pb.DeleteTopicRequest(name="again"))
    end = next(response.end for response in responses if response.HasField("end"))
    assert (end.epoch, end.reason) == (before.epoch, pb.END_REASON_DELETED)
    after = broker.ProduceBatch(request("again", values(0, 1))).ack
    reset = next(response.reset for response in responses if response.HasField("reset"))
    assert (reset.old_epoch, reset.new_epoch) == (before.epoch, after.epoch)
    assert next(response for response in responses if response.HasField("batch")).batch.count == 1
    responses.cancel()


def test_bad_input_is_refused_with_the_right_code():
    code = grpc.StatusCode
    refused(broker.ProduceBatch, request("bad/name", values(0, 1)), code.INVALID_ARGUMENT)
    refused(broker.ProduceBatch, request("empty", []), code.INVALID_ARGUMENT)
    refused(admin.GetTopic, pb.GetTopicRequest(name="nobody"), code.NOT_FOUND)
    ack = broker.ProduceBatch(request("codes", values(0, 1))).ack
    wrong = request("codes", values(0, 1), expected_epoch=ack.epoch + 1)
    refused(broker.ProduceBatch, wrong, code.FAILED_PRECONDITION)
    future = pb.TopicStart(topic="codes", offset=500)
    refused(broker.Subscribe, pb.SubscribeRequest(topics=[future]), code.OUT_OF_RANGE)
    refused(broker.Fetch, pb.FetchRequest(topics=[future]), code.OUT_OF_RANGE)
    create = pb.CreateTopicRequest(name="codes")
    refused(admin.CreateTopic, create, code.ALREADY_EXISTS)
    options = pb.TopicOptions(max_record_bytes=64)
    admin.CreateTopic(pb.CreateTopicRequest(name="tiny", options=options))
    refused(broker.ProduceBatch, request("tiny", [b"x" * 65]), code.INVALID_ARGUMENT)
    assert admin.GetTopic(pb.GetTopicRequest(name="tiny")).topic.end_offset == 0


if __name__ == "__main__":
    tests = {name: test for name, test in globals().items() if name.startswith("test_")}
    for name, test in tests.items():
        test()
        print(f"python: {name[5:].replace('_', ' ')}")
    print(f"{len(tests)} passed, 0 failed")
