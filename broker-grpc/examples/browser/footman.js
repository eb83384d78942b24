// footman.v1 by gRPC-web: fetch, and the proto. Needs protobuf.js on the page, and long.js for numbers of 64 bits.

const root = await protobuf.load("proto/footman/v1/broker.proto");
const TRAILERS = 0x80;

// gRPC-web puts a byte of flags and four of length before each message, and the trailers into the last one.
function frame(message) {
  const framed = new Uint8Array(5 + message.length);
  new DataView(framed.buffer).setUint32(1, message.length);
  framed.set(message, 5);
  return framed;
}

// Yields [flags, bytes] of each frame as it arrives.
async function* frames(stream) {
  let bytes = new Uint8Array();
  for (const reader = stream.getReader(); ; ) {
    const { value, done } = await reader.read();
    if (done) return;
    const joined = new Uint8Array(bytes.length + value.length);
    joined.set(bytes);
    joined.set(value, bytes.length);
    bytes = joined;
    while (bytes.length >= 5) {
      const end = 5 + new DataView(bytes.buffer, bytes.byteOffset).getUint32(1);
      if (bytes.length < end) break;
      yield [bytes[0], bytes.subarray(5, end)];
      bytes = bytes.subarray(end);
    }
  }
}

function check(status, message) {
  if (status && status !== "0") {
    throw Object.assign(new Error(decodeURIComponent(message ?? "")), { code: Number(status) });
  }
}

// Calls a method of a service; yields its responses.
export async function* call(server, service, method, request, signal) {
  const { requestType, responseType } = root.lookupService(`footman.v1.${service}`).methods[method];
  const [Request, Response] = [requestType, responseType].map((name) => root.lookupType(`footman.v1.${name}`));
  const answer = await fetch(`${server}/footman.v1.${service}/${method}`, {
    method: "POST",
    headers: { "content-type": "application/grpc-web+proto", "x-grpc-web": "1" },
    body: frame(Request.encode(Request.fromObject(request)).finish()),
    signal,
  });
  if (!answer.ok) throw new Error(`HTTP ${answer.status}`);
  check(answer.headers.get("grpc-status"), answer.headers.get("grpc-message"));
  for await (const [flags, bytes] of frames(answer.body)) {
    if (flags & TRAILERS) {
      const lines = new TextDecoder().decode(bytes).trim().split("\r\n");
      const trailers = Object.fromEntries(lines.map((line) => line.split(/:\s*(.*)/s)));
      check(trailers["grpc-status"], trailers["grpc-message"]);
      return;
    }
    // 64-bit numbers as strings: a number of JavaScript holds 53 bits.
    yield Response.toObject(Response.decode(bytes), { longs: String, oneofs: true, defaults: true });
  }
  throw new Error("the connection was lost");
}

// Appends one batch; returns where it is.
export async function produce(server, topic, values) {
  const records = values.map((value) => ({ value: new TextEncoder().encode(value) }));
  for await (const { ack } of call(server, "Broker", "ProduceBatch", { topic, records })) return ack;
}

// Yields the items of a topic; goes on after broken connections and restarts, and says so to `notice`.
export async function* follow(server, topic, start, notice) {
  for (let pause = 100, epoch, nextOffset; ; pause = Math.min(pause * 2, 2000)) {
    const abort = new AbortController();
    try {
      const request = { topics: [{ topic, ...start }], label: "browser" };
      for await (const response of call(server, "Broker", "Subscribe", request, abort.signal)) {
        pause = 50;
        const { started, batch, lost, reset } = response;
        if (started) [epoch, nextOffset] = [started.epoch, started.nextOffset];
        else if (batch) nextOffset = (BigInt(batch.baseOffset) + BigInt(batch.count)).toString();
        else if (lost) nextOffset = lost.toOffset;
        else if (reset) [epoch, nextOffset] = [reset.newEpoch, reset.nextOffset];
        start = { resume: { epoch, nextOffset } };
        yield response;
      }
    } catch (error) {
      // INVALID_ARGUMENT, NOT_FOUND, FAILED_PRECONDITION, OUT_OF_RANGE, UNIMPLEMENTED: trying again cannot help.
      if ([3, 5, 9, 11, 12].includes(error.code)) throw error;
      notice(`${error.message}; trying again`);
    } finally {
      abort.abort();
    }
    await new Promise((resolve) => setTimeout(resolve, pause * (0.5 + Math.random() / 2)));
  }
}
