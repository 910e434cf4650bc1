// Arrow's JavaScript package as a client: posts a stream of its own, reads the reply, tells what it saw as JSON.
// node client.mjs <url of the service>

import { createHash } from "node:crypto";
import {
  Dictionary, Float64, Int32, RecordBatch, RecordBatchReader, RecordBatchStreamWriter, Schema, Table, TimestampMillisecond,
  Utf8, tableFromIPC, vectorFromArray,
} from "apache-arrow";

const ARROW = "application/vnd.apache.arrow.stream";
const url = process.argv[2];

const purchases = [
  [["ann", "2026-01-02T09:15:00Z", 80], ["ben", "2025-11-05T12:00:00Z", 15.5], ["ann", "2026-01-28T17:40:00Z", 120]],
  [["客户七", "2025-12-24T16:45:00Z", 55], ["ann", "2026-01-30T08:05:00Z", -30], ["dee", "2026-01-15T14:20:00Z", 9.99]],
];

// One dictionary column, whose words change from batch to batch.
const words = new Dictionary(new Utf8(), new Int32(), 0);
const batches = purchases.flatMap((rows) => new Table({
  customer_id: vectorFromArray(rows.map(([id]) => id), words),
  timestamp: vectorFromArray(rows.map(([, time]) => new Date(time)), new TimestampMillisecond("UTC")),
  amount: vectorFromArray(rows.map(([, , amount]) => amount), new Float64()),
}).batches);
const body = await RecordBatchStreamWriter.writeAll(batches).toUint8Array();

const post = async (path, content) => {
  const reply = await fetch(url + path, { method: "POST", headers: { "Content-Type": ARROW }, body: content });
  if (!reply.ok) throw new Error(await reply.text());
  return reply;
};
const plain = (value) => (typeof value === "bigint" ? Number(value) : value);
const rowsOf = (table) => table.toArray().map((row) =>
  Object.fromEntries(Object.entries(row.toJSON()).map(([name, value]) => [name, plain(value)])));
const canonical = (v) => Array.isArray(v) ? `[${v.map(canonical)}]`
  : v && typeof v === "object" ? `{${Object.keys(v).sort().map((k) => `${JSON.stringify(k)}:${canonical(v[k])}`)}}`
  : JSON.stringify(v);

// Once from memory, once from the socket as it comes.
const segmented = tableFromIPC(new Uint8Array(await (await post("/v1/segment?k=2&as_of=2026-01-31", body)).arrayBuffer()));
const reader = await RecordBatchReader.from(await post("/v1/segment?k=2&as_of=2026-01-31", body));
const streamed = [];
for await (const batch of reader) streamed.push([batch.numRows, Object.fromEntries(batch.metadata)]);

const model = JSON.parse(segmented.schema.metadata.get("segserve.model"));
const { id, ...rest } = model;

// The model goes back with other rows, rewritten by JavaScript.
const [first] = batches;
const schema = new Schema(first.schema.fields, new Map([["segserve.model", JSON.stringify(model)]]));
const again = new Table(schema, [new RecordBatch(schema, first.data)]);
const score = await post("/v1/score?as_of=2026-01-31", await RecordBatchStreamWriter.writeAll(again).toUint8Array());
const scored = tableFromIPC(await score.arrayBuffer());

console.log(JSON.stringify({
  sent: purchases.flat(),
  batches: batches.map((batch) => batch.numRows),
  id_type: String(words),
  rows: rowsOf(segmented),
  types: Object.fromEntries(segmented.schema.fields.map((field) => [field.name, String(field.type)])),
  streamed,
  summary: JSON.parse(segmented.schema.metadata.get("segserve.summary")),
  intact: id === createHash("sha256").update(canonical(rest)).digest("hex"),
  scored: { rows: rowsOf(scored), summary: JSON.parse(scored.schema.metadata.get("segserve.summary")) },
}));
