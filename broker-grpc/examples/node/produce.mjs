// Appends the lines of standard input to a topic: produce.mjs HOST:PORT TOPIC.
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { broker } from "./footman.mjs";

const BATCH_RECORDS = 500;

// One request per batch, numbered: should one be sent again, the server recognises it.
async function* requests(lines, topic) {
  const producerId = randomBytes(8).readBigUInt64LE().toString();
  let [requestId, firstSequence, records] = [0, 0, []];
  const close = () => {
    const request = { topic, requestId: ++requestId, producerId, firstSequence, records };
    firstSequence += records.length;
    records = [];
    return request;
  };
  for await (const line of lines) {
    if (records.push({ value: Buffer.from(line) }) === BATCH_RECORDS) yield close();
  }
  if (records.length > 0) yield close();
}

const [server, topic] = process.argv.slice(2);
const client = broker(server);
const call = client.produce();

async function send() {
  for await (const request of requests(createInterface({ input: process.stdin }), topic)) {
    if (!call.write(request)) await once(call, "drain");
  }
  call.end();
}

async function receive() {
  let appended = 0;
  for await (const { result, ack, error } of call) {
    if (result === "error") throw new Error(`${error.reason}: ${error.message}`);
    appended += ack.count;
  }
  return appended;
}

const [appended] = await Promise.all([receive(), send()]);
console.error(`${appended} records appended`);
client.close();
