// Uses the client that npm @open-rpc/generator made of the server's own OpenRPC document: that this
// compiles shows that its types fit, that it runs that its calls do.
import { MethodCallValidator } from "@open-rpc/schema-utils-js";
import { isDeepStrictEqual } from "util";
import Osis from "./build/client/typescript/src/index";

let failed = 0;

function same(what: string, seen: unknown, wanted: unknown) {
  const truth = isDeepStrictEqual(seen, wanted);
  if (!truth) failed += 1;
  console.log(truth ? `ok    generated: ${what}` : `FAIL  generated: ${what}, wanted ${JSON.stringify(wanted)}: ${JSON.stringify(seen)}`);
}

async function codeOf(call: Promise<unknown>): Promise<unknown> {
  return call.then(() => "no error", (error) => error.code ?? error);
}

/**
 * The generated client checks arguments against the document before it sends them. For methods whose
 * parameters go by name it looks each up by its name in the array of them, and so finds none: here the
 * array has the names too.
 */
function checkByName(client: Osis) {
  const validator = new MethodCallValidator(Osis.openrpcDocument);
  const methods = Osis.openrpcDocument.methods as { name: string; params: { name: string }[] }[];
  Object.assign(client, {
    validator: {
      validate(name: string, args: unknown[]) {
        const names = methods.find((method) => method.name === name)?.params ?? [];
        const named = Object.fromEntries(names.map((param, i) => [param.name, args[i]]));
        return validator.validate(name, Object.assign([...args], named));
      },
    },
  });
}

async function main(address: string) {
  const { hostname, port } = new URL(address);
  const client = new Osis({ transport: { type: "http", host: hostname, port: Number(port || 80), path: "/" } });
  checkByName(client);
  client.setDefaultTimeout(20_000);
  const word = `t${Date.now().toString(36)}x${process.pid.toString(36)}gen`;

  const editors = await client.app_find("text editor");
  same("app_find has hits", editors.hits!.length > 1, true);
  const developer = await client.developer_new({ email: `${word}@example.org`, name: "Generated" });
  const app = await client.app_new({ developer_id: developer.id!, package_id: `org.example.${word}`, name: word });
  same("app_new", [app.rev, app.status, app.name], [1, "draft", word]);
  same("app_get by id", await client.app_get(app.id!), app);
  same("app_get by key", await client.app_get(undefined, { package_id: app.package_id! }), app);
  const changed = await client.app_set({ description: "a generated description" }, app.id!, undefined, 1);
  same("app_set with if_rev", [changed.rev, changed.description], [2, "a generated description"]);
  same("app_set with an old rev", await codeOf(client.app_set({ name: "no" }, app.id!, undefined, 1)), -32022);
  const hits = (await client.app_find(word)).hits!;
  same("app_find finds it", hits.map((hit: any) => hit.object.id), [app.id]);
  same("app_list", (await client.app_list({ package_id: app.package_id! })).items!.length, 1);
  same("app_count", (await client.app_count({ package_id: app.package_id! })).count, 1);
  const loose = { name: 7 } as any;
  same("the document's schemas refuse a wrong argument", Array.isArray(await codeOf(client.app_new(loose))), true);

  // The client's batches: it waits a turn before it adds a call to one.
  client.startBatch();
  const batch = [client.app_get(app.id!), client.app_get("none-such")];
  await new Promise((resolve) => setTimeout(resolve, 10));
  client.stopBatch();
  const [first, second] = await Promise.allSettled(batch);
  same("a batch's answer", first.status === "fulfilled" && first.value.rev, 2);
  same("a batch's failure", second.status === "rejected" && second.reason.code, -32020);

  same("app_delete", await client.app_delete(app.id!), { deleted: { app: 1 } });
  same("not found", await codeOf(client.app_get(app.id!)), -32020);
  same("developer_delete by key", await client.developer_delete(undefined, { email: developer.email! }), { deleted: { developer: 1 } });
}

main(process.argv[2]).then(
  () => process.exit(failed ? 1 : 0),
  (error) => {
    console.log(`FAIL  generated: a call failed: ${error.code} ${error.message ?? ""} ${JSON.stringify(error.data ?? error)}`);
    process.exit(1);
  },
);
