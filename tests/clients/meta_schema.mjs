// The OpenRPC document of a running server against the OpenRPC meta-schema (npm @open-rpc/meta-schema,
// ajv), and real answers against the schemas that the document gives for them.
import Ajv from "ajv";
import addFormats from "ajv-formats";
import jsonSchema from "@json-schema-tools/meta-schema";
import openrpcSchema from "@open-rpc/meta-schema";
import { address, check, finish, same } from "./check.mjs";

const url = address();
const say = (what) => `meta-schema: ${what}`;
const TYPES = ["developer", "api_key", "app", "version", "signing_key", "event", "audit_log"];
const SEARCHABLE = ["developer", "app", "version", "event"];

let serial = 0;
async function call(method, params) {
  const body = JSON.stringify({ jsonrpc: "2.0", id: (serial += 1), method, params });
  const answer = await fetch(`${url}/`, { method: "POST", headers: { "content-type": "application/json" }, body });
  return (await answer.json()).result;
}

const got = await fetch(`${url}/openrpc.json`);
same(say("GET /openrpc.json"), [got.status, got.headers.get("content-type")?.split(";")[0]], [200, "application/json"]);
const document = await got.json();
same(say("rpc.discover gives the same"), await call("rpc.discover"), document);

// The document as a whole.
const meta = addFormats(new Ajv({ strict: false, allErrors: true }));
meta.addSchema(jsonSchema.default ?? jsonSchema, "https://meta.json-schema.tools");
const wellFormed = meta.compile(ownDraft(openrpcSchema.default ?? openrpcSchema.openrpcDocument ?? openrpcSchema));
check(say("the document is valid OpenRPC"), wellFormed(document), wellFormed.errors?.slice(0, 5));

// Its methods.
const methods = new Map(document.methods.map((method) => [method.name, method]));
same(say("no method twice"), methods.size, document.methods.length);
const verbs = (type) => (type === "audit_log" ? ["get", "list", "count", "aggregate"]
  : ["new", "get", "set", "delete", "list", "count", "aggregate", ...(type === "event" ? ["ingest"] : []),
    ...(SEARCHABLE.includes(type) ? ["find"] : [])]);
const wanted = TYPES.flatMap((type) => verbs(type).map((verb) => `${type}_${verb}`));
wanted.push("osis_transaction", "osis_seed", "osis_changes", "osis_info");
same(say("every method of the built-in types is there"), wanted.filter((name) => !methods.has(name)), []);
const badOrder = document.methods.filter(({ params }) => {
  const optional = params.findIndex((param) => !param.required);
  return optional >= 0 && params.slice(optional).some((param) => param.required);
});
same(say("required parameters come first"), badOrder.map((method) => method.name), []);
const unnamed = document.methods.filter((method) => method.paramStructure !== "by-name" && method.params.length > 0);
same(say("parameters go by name"), unnamed.map((method) => method.name), []);
const secrets = ["password_hash", "key_hash"];
const result = (name) => resolve(methods.get(name)?.result?.schema ?? {});
same(say("no secret among what is answered"),
  ["developer_get", "api_key_get"].flatMap((name) => secrets.filter((field) => field in (result(name).properties ?? {}))), []);

// Every schema compiles.
const ajv = addFormats(new Ajv({ strict: false, allErrors: true }));
ajv.addSchema({ $id: "osis:document", components: document.components });
const validators = new Map();
for (const method of document.methods) {
  for (const [part, schema] of [["result", method.result?.schema], ...method.params.map((param) => [param.name, param.schema])]) {
    try {
      validators.set(`${method.name} ${part}`, ajv.compile(rooted(schema)));
    } catch (error) {
      check(say(`the schema of ${method.name} ${part} compiles`), false, error.message);
    }
  }
}
check(say("the schemas compile"), validators.size > document.methods.length, validators.size);

// Real calls and answers fit them.
const apps = await exercise("app_list", { limit: 5, count: true, sort: "-name" });
const app = apps.items[0];
await exercise("app_get", { id: app.id });
await exercise("app_get", { key: { package_id: app.package_id }, expand: ["developer_id", "versions", "latest_version"] });
await exercise("app_get", { id: app.id, fields: ["name"] });
await exercise("app_find", { query: "text editor", limit: 3 });
await exercise("app_count", { filter: { status: "published", or: [{ tags: { has: "role::program" } }, { not: { name: "x" } }] } });
await exercise("app_aggregate", { group_by: ["category"], metrics: ["count"] });
await exercise("version_list", { filter: { package_size: { gt: 0 } }, limit: 2 });
await exercise("developer_list", { limit: 2 });
await exercise("osis_info", {});
await exercise("osis_changes", { since: 0, limit: 1 });

async function exercise(name, params) {
  for (const [param, value] of Object.entries(params)) {
    fits(`${name} takes ${param} = ${JSON.stringify(value)}`, validators.get(`${name} ${param}`), value);
  }
  const answer = await call(name, params);
  fits(`${name} ${JSON.stringify(params)} answers as documented`, validators.get(`${name} result`), answer);
  return answer;
}

function fits(what, validator, value) {
  check(say(what), value !== undefined && validator?.(value), validator ? validator.errors?.slice(0, 3) : "no such schema");
}

/** A schema whose references into the document are found. */
function rooted(schema) {
  return JSON.parse(JSON.stringify(schema ?? true).replaceAll('"$ref":"#/', '"$ref":"osis:document#/'));
}

/** What a schema refers to, or itself. */
function resolve(schema) {
  const path = schema.$ref?.replace(/^#\//, "").split("/");
  return path ? path.reduce((node, name) => node?.[name], document) ?? {} : schema;
}

/** The meta-schema without the name of its own dialect, which is that of draft 7 under another name. */
function ownDraft({ $schema, ...schema }) {
  return schema;
}

finish();
