// The client of footman.v1, made from the proto.
import { fileURLToPath } from "node:url";
import grpc from "@grpc/grpc-js";
import { loadSync } from "@grpc/proto-loader";

const definition = loadSync("footman/v1/broker.proto", {
  includeDirs: [fileURLToPath(new URL("../../proto", import.meta.url))],
  longs: String, // offsets and epochs are 64 bits wide, a number of JavaScript holds 53
  defaults: true,
  oneofs: true,
});
const { Broker } = grpc.loadPackageDefinition(definition).footman.v1;

export const broker = (server) => new Broker(server, grpc.credentials.createInsecure());
export const { status } = grpc;
