import com.google.protobuf.ByteString;
import footman.v1.BrokerGrpc;
import footman.v1.BrokerOuterClass.ProduceRequest;
import footman.v1.BrokerOuterClass.ProduceResponse;
import footman.v1.BrokerOuterClass.Record;
import io.grpc.ManagedChannel;
import io.grpc.ManagedChannelBuilder;
import io.grpc.stub.StreamObserver;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.Semaphore;
import java.util.concurrent.ThreadLocalRandom;

/** Appends the lines of standard input to a topic: Produce HOST:PORT TOPIC. */
public final class Produce {
  private static final int BATCH_RECORDS = 500;
  private static final int BATCHES_IN_FLIGHT = 16;

  /** Counts what was appended, and makes room for the next request with each answer. */
  private static final class Answers implements StreamObserver<ProduceResponse> {
    final Semaphore room = new Semaphore(BATCHES_IN_FLIGHT);
    final CompletableFuture<Long> done = new CompletableFuture<>();
    private long appended;

    @Override
    public void onNext(ProduceResponse answer) {
      if (answer.hasError()) {
        onError(new IOException(answer.getError().getReason() + ": " + answer.getError().getMessage()));
      }
      appended += answer.getAck().getCount();
      room.release();
    }

    @Override
    public void onError(Throwable failure) {
      done.completeExceptionally(failure);
      room.release(); // the sender sees that it is over
    }

    @Override
    public void onCompleted() {
      done.complete(appended);
    }
  }

  /** Sends one request per batch, numbered: should one be sent again, the server recognises it. */
  private static void send(String topic, StreamObserver<ProduceRequest> requests, Answers answers)
      throws IOException, InterruptedException {
    var lines = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
    long producerId = ThreadLocalRandom.current().nextLong(1, Long.MAX_VALUE);
    long requestId = 0;
    long sequence = 0;
    for (String line = lines.readLine(); line != null; ) {
      var request = ProduceRequest.newBuilder().setTopic(topic).setRequestId(++requestId);
      request.setProducerId(producerId).setFirstSequence(sequence);
      for (; line != null && request.getRecordsCount() < BATCH_RECORDS; line = lines.readLine()) {
        request.addRecords(Record.newBuilder().setValue(ByteString.copyFromUtf8(line)));
      }
      sequence += request.getRecordsCount();
      answers.room.acquire();
      if (answers.done.isDone()) {
        return;
      }
      requests.onNext(request.build());
    }
    requests.onCompleted();
  }

  public static void main(String[] args) throws Exception {
    ManagedChannel channel = ManagedChannelBuilder.forTarget(args[0]).usePlaintext().build();
    try {
      var answers = new Answers();
      send(args[1], BrokerGrpc.newStub(channel).produce(answers), answers);
      System.err.println(answers.done.get() + " records appended");
    } finally {
      channel.shutdownNow();
    }
  }
}
