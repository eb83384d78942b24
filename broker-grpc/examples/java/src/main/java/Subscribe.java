import footman.v1.BrokerGrpc;
import footman.v1.BrokerOuterClass.Record;
import footman.v1.BrokerOuterClass.Resume;
import footman.v1.BrokerOuterClass.SubscribeRequest;
import footman.v1.BrokerOuterClass.TopicStart;
import io.grpc.ManagedChannel;
import io.grpc.ManagedChannelBuilder;
import io.grpc.Status;
import io.grpc.StatusRuntimeException;
import java.io.IOException;
import java.io.PrintStream;
import java.util.List;
import java.util.Set;
import java.util.concurrent.ThreadLocalRandom;

/**
 * Prints the records of a topic: Subscribe HOST:PORT TOPIC [COUNT [OFFSET]].
 *
 * <p>Starts at the oldest record, or at OFFSET. Goes on after broken connections and restarts, and says what it lost.
 */
public final class Subscribe {
  private static final Set<Status.Code> FINAL =
      Set.of(
          Status.Code.INVALID_ARGUMENT,
          Status.Code.NOT_FOUND,
          Status.Code.OUT_OF_RANGE,
          Status.Code.FAILED_PRECONDITION,
          Status.Code.UNIMPLEMENTED);

  private final PrintStream out = new PrintStream(System.out, false);
  private TopicStart start;
  private long left;
  private long pause = 50;

  private Subscribe(TopicStart start, long left) {
    this.start = start;
    this.left = left;
  }

  /** Reads one stream to its end, or until there are records enough; tells of what is no record on standard error. */
  private void read(ManagedChannel channel) throws IOException {
    var request = SubscribeRequest.newBuilder().addTopics(start).setLabel("java").build();
    var responses = BrokerGrpc.newBlockingStub(channel).subscribe(request);
    long epoch = 0;
    long next = 0;
    while (left > 0 && responses.hasNext()) {
      var response = responses.next();
      pause = 50;
      switch (response.getItemCase()) {
        case STARTED -> {
          epoch = response.getStarted().getEpoch();
          next = response.getStarted().getNextOffset();
        }
        case BATCH -> {
          next = response.getBatch().getBaseOffset() + response.getBatch().getCount();
          print(response.getBatch().getRecordsList());
        }
        case LOST -> {
          next = response.getLost().getToOffset();
          System.err.printf("lost %d to %d%n", response.getLost().getFromOffset(), next - 1);
        }
        case RESET -> {
          epoch = response.getReset().getNewEpoch();
          next = response.getReset().getNextOffset();
          System.err.printf("epoch %d: offsets start again%n", epoch);
        }
        default -> {
          continue;
        }
      }
      var resume = Resume.newBuilder().setEpoch(epoch).setNextOffset(next);
      start = TopicStart.newBuilder().setTopic(start.getTopic()).setResume(resume).build();
    }
  }

  private void print(List<Record> records) throws IOException {
    for (Record record : records.subList(0, (int) Math.min(left, records.size()))) {
      record.getValue().writeTo(out);
      out.write('\n');
    }
    out.flush();
    left -= records.size();
  }

  private void follow(String server) throws IOException, InterruptedException {
    while (true) {
      ManagedChannel channel = ManagedChannelBuilder.forTarget(server).usePlaintext().build();
      try {
        read(channel);
      } catch (StatusRuntimeException failure) {
        if (FINAL.contains(failure.getStatus().getCode())) {
          throw failure;
        }
        System.err.println(failure.getMessage() + "; trying again");
      } finally {
        channel.shutdownNow();
      }
      if (left <= 0) {
        return;
      }
      Thread.sleep(ThreadLocalRandom.current().nextLong(pause / 2, pause));
      pause = Math.min(pause * 2, 2000);
    }
  }

  public static void main(String[] args) throws Exception {
    var start = TopicStart.newBuilder().setTopic(args[1]).setEarliest(true);
    if (args.length > 3) {
      start.setOffset(Long.parseUnsignedLong(args[3]));
    }
    long count = args.length > 2 ? Long.parseLong(args[2]) : Long.MAX_VALUE;
    new Subscribe(start.build(), count).follow(args[0]);
  }
}
