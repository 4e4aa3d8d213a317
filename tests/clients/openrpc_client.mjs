// npm @open-rpc/client-js, over HTTP and over WebSocket, against a running server.
import { Client, HTTPTransport, RequestManager, WebSocketTransport } from "@open-rpc/client-js";
import { address, check, finish, freshWord, paths, refused, same } from "./check.mjs";

const UUID7 = /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;
const TIME = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/;

/** Everything this file asks of a server, through one client. */
async function exercise(over, client, manager) {
  const call = (method, params) => client.request({ method, params }, 20_000);
  const say = (what) => `client-js ${over}: ${what}`;
  const word = freshWord();
  const key = { package_id: `org.example.${word}` };

  // Search in what the server was seeded with.
  const found = await call("app_find", { query: "text editor", limit: 5 });
  check(say("app_find has hits"), found.hits.length > 1 && found.hits.length <= 5, found);
  check(say("app_find counts all"), found.total >= found.hits.length, found.total);
  check(say("app_find scores"), found.hits.every((hit) => typeof hit.score === "number" && hit.object.id), found.hits);
  const again = await call("app_find", ["text editor", null, null, 5]);
  same(say("app_find by position"), again.hits.map((hit) => hit.object.id), found.hits.map((hit) => hit.object.id));

  // Make.
  const developer = await call("developer_new", { data: { email: `${word}@example.org`, name: "Client" } });
  check(say("developer_new"), UUID7.test(developer.id) && developer.rev === 1 && TIME.test(developer.created_at), developer);
  check(say("a secret is not answered"), !("password_hash" in developer), developer);
  const app = await call("app_new", [{ developer_id: developer.id, ...key, name: word }]);
  same(say("app_new by position"), [app.rev, app.status, app.tags, app.description], [1, "draft", [], null]);

  // Get, in every form.
  same(say("app_get by id"), await call("app_get", { id: app.id }), app);
  same(say("app_get by key"), await call("app_get", { key }), app);
  same(say("app_get by position, an id"), await call("app_get", [app.id]), app);
  same(say("app_get by position, a key"), await call("app_get", [key]), app);
  same(say("app_get with fields"), await call("app_get", [app.id, null, ["name"]]), { id: app.id, name: word });
  const expanded = await call("app_get", { id: app.id, expand: ["developer_id", "versions", "latest_version"] });
  same(say("app_get with expand"), expanded.expand, { developer_id: developer, versions: [], latest_version: null });

  // Change.
  const changed = await call("app_set", { key, data: { tags: ["one", "two"] }, if_rev: 1 });
  same(say("app_set with if_rev"), [changed.rev, changed.tags, changed.created_at], [2, ["one", "two"], app.created_at]);
  const stale = await refused(say("app_set with an old rev"), call("app_set", [app.id, { name: "no" }, 1]), -32022, "rev_mismatch");
  same(say("rev_mismatch names both"), [stale.expected, stale.actual], [1, 2]);
  same(say("app_set of what is there"), await call("app_set", [app.id, { tags: ["one", "two"] }]), changed);

  // A notification is carried out, and nothing comes back.
  await client.notify({ method: "app_set", params: { id: app.id, data: { category: word } } });
  const noted = await until(() => call("app_get", [app.id]), (object) => object.category === word);
  same(say("a notification is carried out"), [noted.category, noted.rev], [word, 3]);
  same(say("what was written is found"), (await call("app_find", { query: word })).hits.map((hit) => hit.object.id), [app.id]);

  // A batch: reads see the write before them; one failure harms no other.
  await manager.connectPromise;
  manager.startBatch();
  const batch = [
    manager.request({ method: "app_set", params: [app.id, { status: "published" }] }),
    ...Array.from({ length: 20 }, () => manager.request({ method: "app_get", params: [app.id] })),
    manager.request({ method: "app_get", params: { key: { package_id: `${key.package_id}.none` } } }),
    manager.request({ method: "app_count", params: { filter: key } }),
  ];
  manager.stopBatch();
  const answers = await Promise.allSettled(batch);
  same(say("a batch's write"), answers[0].value?.rev, 4);
  check(say("a batch's reads"), answers.slice(1, 21).every(({ value }) => value?.rev === 4), answers.slice(1, 21));
  same(say("a batch's failure"), answers[21].reason?.code, -32020);
  same(say("a batch's count"), answers[22].value, { count: 1 });

  // Many calls at once.
  const many = await Promise.all(Array.from({ length: 100 }, (_, i) => call("app_get", i % 2 ? [app.id] : { key })));
  check(say("100 calls at once"), many.every((object) => object.id === app.id && object.rev === 4), many.length);

  // Errors.
  const missing = await refused(say("not found"), call("app_get", { key: { package_id: "org.example.none-such" } }), -32020, "not_found");
  same(say("not_found names what"), [missing.type, missing.key], ["app", { package_id: "org.example.none-such" }]);
  const invalid = await refused(say("invalid"), call("app_new", { data: { package_id: "none", name: 7, colour: "red" } }), -32602, "invalid");
  same(say("invalid lists every path"), paths(invalid), ["data.colour", "data.developer_id", "data.name", "data.package_id"]);
  const unknown = await refused(say("unknown parameter"), call("app_get", { id: app.id, colour: 1 }), -32602, "invalid");
  same(say("an unknown parameter is named"), paths(unknown), ["colour"]);
  const clash = await refused(say("conflict"), call("app_new", [{ developer_id: developer.id, ...key, name: "Twice" }]), -32021, "conflict");
  same(say("conflict names key and object"), [clash.type, clash.key, clash.existing_id], ["app", ["package_id"], app.id]);
  const nowhere = "01234567-89ab-7def-8123-456789abcdef";
  const loose = await refused(say("reference"), call("version_new", [{ ...version(nowhere) }]), -32023, "reference");
  same(say("reference names field and id"), [loose.field, loose.id], ["app_id", nowhere]);
  await refused(say("no such method"), call("app_frobnicate", {}), -32601, "method_not_found");

  // Delete, with what hangs on it.
  const made = await call("version_new", { data: version(app.id) });
  same(say("version_get by a key of two fields"), await call("version_get", [{ app_id: app.id, version_code: 1 }]), made);
  same(say("app_delete"), await call("app_delete", { id: app.id, if_rev: 4 }), { deleted: { app: 1, version: 1 } });
  await refused(say("what was deleted is gone"), call("version_get", [made.id]), -32020, "not_found");
  same(say("developer_delete by key"), await call("developer_delete", [{ email: developer.email }]), { deleted: { developer: 1 } });

  const discovered = await call("rpc.discover");
  check(say("rpc.discover"), discovered.openrpc.startsWith("1.") && discovered.methods.length > 20, discovered.openrpc);
}

function version(app_id) {
  return {
    app_id, version_code: 1, version_name: "1.0", package_url: "https://example.org/1.0",
    package_size: 1, signature: "none",
  };
}

/** Asks until the answer is as wanted, for two seconds. */
async function until(ask, wanted) {
  const end = Date.now() + 2000;
  for (;;) {
    const seen = await ask();
    if (wanted(seen) || Date.now() > end) return seen;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

const url = address();
for (const [over, connect] of [
  ["HTTP", () => new HTTPTransport(`${url}/`)],
  ["WebSocket", () => new WebSocketTransport(`${url.replace(/^http/, "ws")}/`)],
]) {
  const manager = new RequestManager([connect()]);
  const client = new Client(manager);
  const strays = [];
  client.onError((error) => strays.push(error.message));
  client.onNotification((note) => strays.push(note));
  try {
    await exercise(over, client, manager);
  } catch (error) {
    check(`client-js ${over}: a call failed`, false, { code: error.code, message: error.message, data: error.data });
  }
  same(`client-js ${over}: nothing came unasked`, strays, []);
  client.close();
}
finish();
