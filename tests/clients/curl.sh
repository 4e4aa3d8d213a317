#!/usr/bin/env bash
# curl and jq against a running server, and what only bare HTTP shows: statuses and bodies.
# usage: curl.sh http://ADDRESS
set -uo pipefail

url=${1:-${OSIS_URL:-}}
[ -n "$url" ] || { echo "usage: $0 http://ADDRESS" >&2; exit 2; }
url=${url%/}
failed=0
word="t$(date +%s%N)x$$"

# rpc BODY: sends a body, prints the answer.
rpc() { printf '%s' "$1" | curl -sS -m 20 -H 'content-type: application/json' --data-binary @- "$url/"; }

# call METHOD PARAMS: one call, prints the answer.
call() { rpc "{\"jsonrpc\": \"2.0\", \"id\": 1, \"method\": \"$1\", \"params\": $2}"; }

# status ARGS...: the HTTP status of a request.
status() { curl -sS -m 20 -o /dev/null -w '%{http_code}' "$@" 2>/dev/null; }

# check WHAT JQ-FILTER ANSWER: the filter must say true.
check() {
    if [ "$(jq "$2" <<<"$3" 2>/dev/null)" = true ]; then
        echo "ok    curl: $1"
    else
        echo "FAIL  curl: $1: $3"
        failed=1
    fi
}

# same WHAT SEEN WANTED
same() {
    if [ "$2" = "$3" ]; then echo "ok    curl: $1"; else echo "FAIL  curl: $1, wanted $3: $2"; failed=1; fi
}

answer=$(call app_find '{"query": "text editor"}')
check "app_find has hits" '.jsonrpc == "2.0" and .id == 1 and (.result.hits | length) > 1' "$answer"
check "app_find by position" "(.result.hits | length) == 3" "$(call app_find '["text editor", null, null, 3]')"
check "app_find gives next_cursor" '.result | has("next_cursor") and .total >= (.hits | length)' "$answer"

answer=$(call developer_new "{\"data\": {\"email\": \"$word@example.org\", \"name\": \"Client\"}}")
check "developer_new" '.result.rev == 1 and (.result | has("password_hash") | not)' "$answer"
developer=$(jq -r .result.id <<<"$answer")
answer=$(call app_new "[{\"developer_id\": \"$developer\", \"package_id\": \"org.example.$word\", \"name\": \"$word\"}]")
check "app_new by position" '.result.rev == 1 and .result.status == "draft" and .result.category == null' "$answer"
app=$(jq -r .result.id <<<"$answer")
key="{\"package_id\": \"org.example.$word\"}"

check "app_get by id" ".result.id == \"$app\"" "$(call app_get "{\"id\": \"$app\"}")"
check "app_get by key" ".result.id == \"$app\"" "$(call app_get "{\"key\": $key}")"
check "app_get by position, an id" ".result.id == \"$app\"" "$(call app_get "[\"$app\"]")"
check "app_get by position, a key" ".result.id == \"$app\"" "$(call app_get "[$key]")"
check "app_get of neither id nor key" '.error.code == -32602' "$(call app_get '{}')"

answer=$(call app_set "{\"id\": \"$app\", \"data\": {\"status\": \"published\"}, \"if_rev\": 1}")
check "app_set with if_rev" '.result.rev == 2 and .result.status == "published"' "$answer"
answer=$(call app_set "[\"$app\", {\"status\": \"draft\"}, 1]")
check "app_set with an old rev" '.error.code == -32022 and .error.data.expected == 1 and .error.data.actual == 2' "$answer"

# A batch: answers in any order, told apart by their ids.
answer=$(rpc "[
  {\"jsonrpc\": \"2.0\", \"id\": \"a\", \"method\": \"app_get\", \"params\": [\"$app\"]},
  {\"jsonrpc\": \"2.0\", \"id\": \"b\", \"method\": \"app_count\", \"params\": {\"filter\": $key}},
  {\"jsonrpc\": \"2.0\", \"method\": \"app_set\", \"params\": [\"$app\", {\"category\": \"noted\"}]},
  {\"jsonrpc\": \"2.0\", \"id\": \"c\", \"method\": \"none_such\"},
  7
]")
check "a batch" 'length == 4 and (map({key: (.id | tostring), value: .}) | from_entries
  | .a.result.rev == 2 and .b.result.count == 1 and .c.error.code == -32601 and .null.error.code == -32600)' "$answer"
check "an empty batch" '.error.code == -32600 and .id == null' "$(rpc '[]')"

# Notifications: nothing comes back, and it is done.
note="{\"jsonrpc\": \"2.0\", \"method\": \"app_set\", \"params\": {\"id\": \"$app\", \"data\": {\"name\": \"Noted\"}}}"
same "a notification is answered with an empty body" \
    "$(curl -sS -m 20 -w '%{http_code}' -H 'content-type: application/json' -d "$note" "$url/")" 200
answer=$(call app_get "[\"$app\"]")
check "notifications are carried out" '.result.name == "Noted" and .result.category == "noted"' "$answer"

# Errors.
check "not found" '.error.code == -32020 and .error.data.kind == "not_found" and .error.data.id == "none-such"' \
    "$(call app_get '{"id": "none-such"}')"
answer=$(call app_new '{"data": {"package_id": "none", "name": 7}}')
check "invalid lists every path" '.error.code == -32602 and .error.data.kind == "invalid"
  and ([.error.data.errors[].path] | sort) == ["data.developer_id", "data.name", "data.package_id"]
  and all(.error.data.errors[]; .message | length > 0)' "$answer"
check "an unknown parameter" '.error.data.errors[0].path == "colour"' "$(call app_count '{"colour": 1}')"
check "too many positions" '.error.code == -32602' "$(call app_count '[null, 1]')"
check "no JSON" '.error.code == -32700 and .id == null' "$(rpc '{"jsonrpc": "2.0", "id": 1')"
check "a name twice" '.error.code == -32700' "$(call app_get '{"id": "aaaa", "id": "aaaa"}')"
check "bytes that are no UTF-8" '.error.code == -32700' "$(rpc $'{"jsonrpc": "2.0", "id": 1, "method": "\xff"}')"
check "no request" '.error.code == -32600' "$(rpc '{"jsonrpc": "1.0", "id": 1, "method": "app_count"}')"
json=(-H 'content-type: application/json')
same "the status of an error is 200" "$(status "${json[@]}" -d '{' "$url/")" 200
head -c 10485761 /dev/zero | tr '\0' ' ' >"${TMPDIR:-/tmp}/$word"
same "a body over the limit" "$(status "${json[@]}" --data-binary "@${TMPDIR:-/tmp}/$word" "$url/")" 413
rm -f "${TMPDIR:-/tmp}/$word"
same "GET /openrpc.json" "$(status "$url/openrpc.json")" 200

check "app_delete by key" '.result == {"deleted": {"app": 1}}' "$(call app_delete "{\"key\": $key}")"
check "what was deleted is gone" '.error.code == -32020' "$(call app_get "[\"$app\"]")"
check "developer_delete" '.result == {"deleted": {"developer": 1}}' "$(call developer_delete "[\"$developer\", 1]")"
exit "$failed"
