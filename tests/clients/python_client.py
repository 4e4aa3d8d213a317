"""PyPI jsonrpcclient over requests, and requests alone, against a running server.

usage: python_client.py http://ADDRESS
"""

import json
import os
import re
import secrets
import sys

import requests
from jsonrpcclient import Error, Ok, notification, parse, request

UUID7 = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")

failed = 0


def check(what, truth, seen=None):
    global failed
    failed += not truth
    print(f"ok    python: {what}" if truth else f"FAIL  python: {what}: {seen!r}", flush=True)


def same(what, seen, wanted):
    check(what if seen == wanted else f"{what}, wanted {wanted!r}", seen == wanted, seen)


class Server:
    def __init__(self, url):
        self.url = url.rstrip("/")
        self.http = requests.Session()

    def post(self, body):
        return self.http.post(f"{self.url}/", json=body, timeout=20)

    def ask(self, method, *positional, **named):
        """The answer to a call: an Ok or an Error."""
        return parse(self.post(request(method, params=positional or named)).json())

    def __call__(self, method, *positional, **named):
        """The result of a call that must succeed."""
        match self.ask(method, *positional, **named):
            case Ok(result, _):
                return result
            case Error(code, message, data, _):
                raise SystemExit(f"FAIL  python: {method} {positional or named}: {code} {message} {data}")

    def refused(self, what, code, kind, method, *positional, **named):
        """The data of the error that a call must meet."""
        answer = self.ask(method, *positional, **named)
        fits = isinstance(answer, Error) and answer.code == code and answer.data["kind"] == kind and answer.message
        check(what, fits, answer)
        return answer.data if fits else {}


def paths(data):
    return sorted(fault["path"] for fault in data.get("errors", []))


def main():
    url = sys.argv[1] if len(sys.argv) > 1 else os.environ.get("OSIS_URL")
    if not url:
        sys.exit("usage: python_client.py http://ADDRESS")
    call = Server(url)
    word = f"t{secrets.token_hex(8)}x"
    try:
        finding(call)
        developer, app = making(call, word)
        changing(call, app)
        batches(call, app)
        errors(call, developer, app)
        transactions(call, developer, word)
        deleting(call, developer, app)
    except SystemExit as failure:
        print(failure, flush=True)
        sys.exit(1)
    sys.exit(1 if failed else 0)


def finding(call):
    found = call("app_find", query="text editor")
    check("app_find has hits", len(found["hits"]) > 1, found)
    check(
        "app_find gives 20 at most", len(found["hits"]) <= 20 and found["total"] >= len(found["hits"]), found["total"]
    )
    scores = [hit["score"] for hit in found["hits"]]
    same("app_find orders by relevance", scores, sorted(scores, reverse=True))
    same("app_find by position", call("app_find", "text editor")["hits"], found["hits"])
    named = call("app_find", query="name:vim OR name:nano OR name:emacs", filter={"status": "published"})
    check("app_find in a field", {"vim", "nano", "emacs"} <= {hit["object"]["name"] for hit in named["hits"]}, named)
    first = call("app_list", sort="name", limit=3, count=True)
    second = call("app_list", None, "name", 3, first["next_cursor"])
    names = [item["name"] for item in first["items"] + second["items"]]
    check("app_list by pages", len(names) == 6 and names == sorted(names), names)
    same("app_list counts", first["total"], call("app_count")["count"])


def making(call, word):
    developer = call("developer_new", data={"email": f"{word}@example.org", "name": "Client"})
    check("developer_new", UUID7.fullmatch(developer["id"]) and TIME.fullmatch(developer["updated_at"]), developer)
    same("developer_new fills in", [developer["rev"], developer["verified"], developer["oauth_id"]], [1, False, None])
    check("a secret is not answered", "password_hash" not in developer, developer)
    same(
        "developer_get by an email in capitals",
        call("developer_get", {"email": f"{word}@EXAMPLE.org".upper()}),
        developer,
    )
    data = {
        "id": f"py-{word}"[:64],
        "developer_id": developer["id"],
        "package_id": f"org.example.{word}",
        "name": word,
        "description": "Ein Schrägstrich / und ein 編集者 \U0001f58a",
    }
    app = call("app_new", data)
    same("app_new with an id", [app["id"], app["rev"], app["status"]], [data["id"], 1, "draft"])
    same("app_new keeps every character", app["description"], data["description"])
    same("app_new again, a safe retry", call("app_new", data=data), app)
    key = {"package_id": app["package_id"]}
    same("app_get by id", call("app_get", id=app["id"]), app)
    same("app_get by key", call("app_get", key=key), app)
    same("app_get by position", [call("app_get", app["id"]), call("app_get", key)], [app, app])
    same("app_get with fields", call("app_get", app["id"], None, ["status"]), {"id": app["id"], "status": "draft"})
    same(
        "app_get with expand", call("app_get", key=key, expand=["developer_id"])["expand"], {"developer_id": developer}
    )
    same("what was made is found", [hit["object"] for hit in call("app_find", query=word)["hits"]], [app])
    return developer, app


def changing(call, app):
    changed = call("app_set", id=app["id"], data={"category": "editors", "description": None}, if_rev=1)
    same("app_set with if_rev", [changed["rev"], changed["category"], changed["description"]], [2, "editors", None])
    data = call.refused("app_set with an old rev", -32022, "rev_mismatch", "app_set", app["id"], {"name": "no"}, 1)
    same("rev_mismatch names both", [data.get("expected"), data.get("actual")], [1, 2])
    same(
        "app_set of what is there", call("app_set", {"package_id": app["package_id"]}, {"category": "editors"}), changed
    )
    answer = call.post(notification("app_set", params={"id": app["id"], "data": {"tags": ["noted"]}}))
    check(
        "a notification is answered with nothing",
        answer.ok and answer.content == b"",
        (answer.status_code, answer.content),
    )
    same("a notification is carried out", call("app_get", app["id"])["tags"], ["noted"])


def batches(call, app):
    calls = [
        request("app_get", params={"id": app["id"]}),
        request("app_set", params=(app["id"], {"tags": []})),
        request("app_get", params=(app["id"],)),
        notification("app_set", params=(app["id"], {"tags": ["last"]})),
        request("app_get", params=("none-such",)),
        request("app_count"),
    ]
    answer = call.post(calls)
    answers = {item.id: item for item in parse(answer.json())}
    same("a batch answers each call once", sorted(answers), sorted(item["id"] for item in calls if "id" in item))
    before, written, after, missing, count = [answers[item["id"]] for item in calls if "id" in item]
    same("a batch reads before its write", before.result["tags"], ["noted"])
    same("a batch reads after its write", after.result, written.result)
    same("a batch's failure is its own", [missing.code, missing.data["id"]], [-32020, "none-such"])
    check("a batch's call without parameters", count.result["count"] > 0, count)
    same("a batch's notification is carried out", call("app_get", app["id"])["tags"], ["last"])
    answer = call.post([notification("app_count"), notification("app_count")])
    check("a batch of notifications is answered with nothing", answer.ok and answer.content == b"", answer.content)
    hundred = parse(call.post([request("app_get", params={"id": app["id"]}) for _ in range(100)]).json())
    same("100 app_get in one batch", {item.result["id"] for item in hundred}, {app["id"]})


def errors(call, developer, app):
    data = call.refused("not found", -32020, "not_found", "app_get", id="none-such")
    same("not_found names what", [data.get("type"), data.get("id")], ["app", "none-such"])
    data = call.refused(
        "invalid", -32602, "invalid", "app_new", data={"package_id": "none", "name": 7, "colour": 1, "tags": ["a", 2]}
    )
    same(
        "invalid lists every path",
        paths(data),
        ["data.colour", "data.developer_id", "data.name", "data.package_id", "data.tags[1]"],
    )
    data = call.refused("an email without @", -32602, "invalid", "developer_new", {"email": "nobody", "name": "N"})
    same("the email is named", paths(data), ["data.email"])
    data = call.refused(
        "a filter of unknown fields", -32602, "invalid", "app_list", filter={"or": [{"colour": 1}], "name": {"near": 2}}
    )
    same("the filter's paths", [path.split(".")[0] for path in paths(data)], ["filter", "filter"])
    data = call.refused("a limit too large", -32602, "invalid", "app_list", limit=1001)
    same("the limit is named", paths(data), ["limit"])
    data = call.refused("a query without end", -32602, "invalid", "app_find", query='"text')
    same("the query is named", paths(data), ["query"])
    data = call.refused(
        "conflict",
        -32021,
        "conflict",
        "app_new",
        {"developer_id": developer["id"], "package_id": app["package_id"], "name": "Twice"},
    )
    same("conflict names key and object", [data.get("key"), data.get("existing_id")], [["package_id"], app["id"]])
    data = call.refused("reference", -32023, "reference", "app_set", app["id"], {"developer_id": "none-such"})
    same("reference names field and id", [data.get("field"), data.get("id")], ["developer_id", "none-such"])
    call.refused("no such method", -32601, "method_not_found", "app_frobnicate", 1)


def transactions(call, developer, word):
    def new(name):
        return {
            "method": "app_new",
            "params": {
                "data": {"developer_id": developer["id"], "package_id": f"org.example.{word}.{name}", "name": name}
            },
        }

    data = call.refused(
        "a transaction that fails", -32021, "conflict", "osis_transaction", ops=[new("one"), new("two"), new("one")]
    )
    same("a transaction names the failing op", data.get("op"), 2)
    mine = {"package_id": {"prefix": f"org.example.{word}."}}
    same("nothing of it is kept", call("app_count", filter=mine), {"count": 0})
    tried = call("osis_transaction", ops=[new("one"), new("two")], dry_run=True)
    same("a dry run answers", [item["name"] for item in tried["results"]], ["one", "two"])
    same("a dry run keeps nothing", call("app_count", mine), {"count": 0})
    done = call("osis_transaction", [new("one"), new("two")])
    same("a transaction", [call("app_get", item["id"]) for item in done["results"]], done["results"])
    records = call("osis_changes", since=done["seq"] - 1, types=["app"])["changes"]
    same(
        "its change records",
        [(r["seq"], r["id"], r["rev"], r["op"]) for r in records],
        [(done["seq"], item["id"], 1, "new") for item in done["results"]],
    )


def deleting(call, developer, app):
    release = call(
        "version_new",
        data={
            "app_id": app["id"],
            "version_code": 1,
            "version_name": "1.0",
            "package_size": 1,
            "package_url": "https://example.org/1.0",
            "signature": "none",
        },
    )
    same(
        "version_get by a key of two fields", call("version_get", key={"app_id": app["id"], "version_code": 1}), release
    )
    newest = call("app_get", app["id"], ["latest_version", "versions"])["expand"]
    same("the app's versions", newest, {"latest_version": release, "versions": [release]})
    call.refused("app_delete with a wrong rev", -32022, "rev_mismatch", "app_delete", app["id"], 99)
    same("app_delete", call("app_delete", id=app["id"]), {"deleted": {"app": 1, "version": 1}})
    call.refused("what was deleted is gone", -32020, "not_found", "app_get", app["id"])
    same(
        "developer_delete cascades", call("developer_delete", developer["id"]), {"deleted": {"app": 2, "developer": 1}}
    )
    # Without any client library: the bytes on the wire.
    answer = call.http.post(
        f"{call.url}/",
        data='{"jsonrpc":"2.0","id":"x","method":"osis_info"}',
        headers={"Content-Type": "application/json"},
        timeout=20,
    )
    same("plain requests", [answer.status_code, answer.json()["jsonrpc"], answer.json()["id"]], [200, "2.0", "x"])
    info = json.loads(answer.content)["result"]
    check("osis_info", info["counts"]["app"] > 0 and info["problems"] == [] and info["seq"] > 0, info)


if __name__ == "__main__":
    main()
