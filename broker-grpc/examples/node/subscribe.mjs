// Prints the records of a topic: subscribe.mjs HOST:PORT TOPIC [COUNT [OFFSET]].
// Starts at the oldest record, or at OFFSET. Goes on after broken connections and restarts, and says what it lost.
import { setTimeout as sleep } from "node:timers/promises";
import { broker, status } from "./footman.mjs";

const FINAL = [
  status.INVALID_ARGUMENT,
  status.NOT_FOUND,
  status.OUT_OF_RANGE,
  status.FAILED_PRECONDITION,
  status.UNIMPLEMENTED,
];

// Yields the records of each batch; tells of everything else on standard error.
async function* follow(server, topic, start) {
  let epoch, nextOffset;
  for (let pause = 50; ; pause = Math.min(pause * 2, 2000)) {
    const client = broker(server);
    const call = client.subscribe({ topics: [{ topic, ...start }], label: "node" });
    try {
      for await (const { item, started, batch, lost, reset } of call) {
        pause = 25;
        if (item === "started") {
          ({ epoch, nextOffset } = started);
        } else if (item === "batch") {
          nextOffset = (BigInt(batch.baseOffset) + BigInt(batch.count)).toString();
          yield batch.records;
        } else if (item === "lost") {
          nextOffset = lost.toOffset;
          console.error(`lost ${lost.fromOffset} to ${BigInt(nextOffset) - 1n}`);
        } else if (item === "reset") {
          [epoch, nextOffset] = [reset.newEpoch, reset.nextOffset];
          console.error(`epoch ${epoch}: offsets start again`);
        } else {
          continue;
        }
        start = { resume: { epoch, nextOffset } };
      }
    } catch (error) {
      if (FINAL.includes(error.code)) throw error;
      console.error(`${error.details ?? error}; trying again`);
    } finally {
      call.cancel();
      client.close();
    }
    await sleep(pause * (0.5 + Math.random() / 2));
  }
}

const [server, topic, count = "Infinity", offset] = process.argv.slice(2);
const start = offset === undefined ? { earliest: true } : { offset };
let left = Number(count);
for await (const records of follow(server, topic, start)) {
  for (const { value } of records.slice(0, left)) process.stdout.write(Buffer.concat([value, Buffer.from("\n")]));
  left -= records.length;
  if (left <= 0) break;
}
