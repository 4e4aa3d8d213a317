//! Malformed requests: none stops the server, none is answered with `internal error`.
//!
//! 10,000 of them, as bytes over HTTP: broken JSON, valid requests cut off or with bytes changed,
//! wrong types for each parameter of each method, deep nesting, numbers out of all bounds, null
//! characters, half characters, invalid UTF-8, unknown methods, empty and giant batches, odd ids,
//! names that stand twice. Each is answered, with a result or an error of the contract, and in
//! between the server answers what is right. `OSIS_MALFORMED` sends more, `OSIS_MALFORMED_SEED`
//! others.

#![expect(clippy::unwrap_used, reason = "what is not as expected ends the test")]

use std::collections::BTreeMap;

use osis_core::json::Json;
use osis_rpc::Limits;
use osis_tests::api::KINDS;
use osis_tests::dice::{Dice, number};
use osis_tests::http::Connection;
use osis_tests::settings::Site;
use serde_json::{Value, json};

/// JSON that is valid, but seldom what is wanted.
const JUNK: [&str; 46] = [
    "null",
    "true",
    "false",
    "0",
    "-0",
    "-1",
    "1",
    "1.5",
    "-0.0",
    "1e3",
    "1e400",
    "-1e400",
    "1e-400",
    "9223372036854775807",
    "9223372036854775808",
    "-9223372036854775809",
    "18446744073709551616",
    "123456789012345678901234567890123456789012345678901234567890",
    r#""""#,
    r#""x""#,
    r#"" ""#,
    r#""abcd""#,
    r#""\u0000""#,
    r#""a\u0000b""#,
    r#""\ud800""#,
    r#""\udfff\ud800""#,
    r#""\ud83d\ude00""#,
    r#""\u202e""#,
    r#""../../etc/passwd""#,
    r#""'; DROP TABLE apps; --""#,
    r#""%""#,
    r#""*""#,
    r#""2026-01-01T00:00:00Z""#,
    r#""-name""#,
    r#""AAAA""#,
    "[]",
    "[null]",
    "[[]]",
    "[1,\"x\",{}]",
    r#"["id"]"#,
    "{}",
    r#"{"":""}"#,
    r#"{"id":"abcd"}"#,
    r#"{"a":{"b":[{}]}}"#,
    r#"{"\u0000":1}"#,
    r#"{"method":"memo_new","params":{}}"#,
];

/// What the requests are made from.
struct Workshop {
    dice: Dice,
    /// Every method with the names of its parameters.
    methods: Vec<(String, Vec<String>)>,
    /// Every type with the names of its fields.
    types: Vec<(String, Vec<String>)>,
    /// Requests that are in order.
    valid: Vec<String>,
}

#[test]
fn malformed_requests_get_errors_of_the_contract() {
    let site = Site::on_sqlite(Limits::default());
    let mut connection = site.connect();
    let memo = connection.call(
        "memo_new",
        &json!({ "data": { "id": "guard", "body": "there" } }),
    );
    let mut workshop = Workshop::new(&mut connection);
    let makers: [fn(&mut Workshop) -> Vec<u8>; 14] = [
        Workshop::cut_off,
        Workshop::with_changed_bytes,
        Workshop::with_junk_for_a_parameter,
        Workshop::with_junk_for_a_parameter,
        Workshop::with_junk_for_all_parameters,
        Workshop::with_junk_by_position,
        Workshop::with_junk_for_a_field,
        Workshop::with_a_junk_filter,
        Workshop::with_a_junk_query,
        Workshop::with_junk_operations,
        Workshop::with_an_odd_envelope,
        Workshop::nested,
        Workshop::batch_of_junk,
        Workshop::bytes,
    ];
    let mut codes = BTreeMap::new();
    for n in 0..number("OSIS_MALFORMED").unwrap_or(10_000) {
        let maker = makers[usize::try_from(n).unwrap() % makers.len()];
        let body = maker(&mut workshop);
        let answer = connection.post(&body);
        check(&body, answer.status, &answer.body, &mut codes);
        if n % 500 == 0 {
            still_right(&mut connection, &memo);
        }
    }
    eprintln!("answers by code, 0 for results: {codes:?}");
    for code in [0, -32700, -32600, -32601, -32602, -32020] {
        assert!(
            codes.get(&code).is_some_and(|count| *count > 100),
            "too few {code}: {codes:?}"
        );
    }
    giant_batches(&mut connection);
    still_right(&mut connection, &memo);
    still_right(&mut site.connect(), &memo);
    assert_eq!(site.service().panics(), 0);
}

/// Every answer is JSON, and every error in it one of the contract.
fn check(body: &[u8], status: u16, answer: &[u8], codes: &mut BTreeMap<i64, usize>) {
    let shown = || {
        let (body, answer) = (
            &body[..body.len().min(600)],
            &answer[..answer.len().min(600)],
        );
        format!(
            "{}\n-> {}",
            String::from_utf8_lossy(body),
            String::from_utf8_lossy(answer)
        )
    };
    assert_eq!(status, 200, "{}", shown());
    if answer.is_empty() {
        return;
    }
    // An id may hold half a character, which goes back as it came and which serde_json refuses.
    let answer = Json::parse(answer).unwrap_or_else(|error| panic!("{error}: {}", shown()));
    let answer = serde_json::to_value(answer).unwrap();
    let answers = answer
        .as_array()
        .map_or(std::slice::from_ref(&answer), Vec::as_slice);
    for answer in answers {
        assert_eq!(answer["jsonrpc"], "2.0", "{}", shown());
        let Some(error) = answer.get("error") else {
            assert!(answer.get("result").is_some(), "{}", shown());
            *codes.entry(0).or_default() += 1;
            continue;
        };
        let code = error["code"].as_i64().unwrap();
        *codes.entry(code).or_default() += 1;
        let of_protocol = matches!(code, -32700 | -32600 | -32601);
        let kind = KINDS
            .iter()
            .find(|(_, known)| i64::from(*known) == code)
            .map(|(kind, _)| *kind);
        assert!(
            of_protocol || kind.is_some(),
            "{code} is no code of the contract: {}",
            shown()
        );
        assert!(
            error["message"]
                .as_str()
                .is_some_and(|message| !message.is_empty()),
            "{}",
            shown()
        );
        if let Some(kind) = kind {
            assert_eq!(error["data"]["kind"], kind, "{}", shown());
        }
        if code == -32602 {
            let faults = error["data"]["errors"].as_array().unwrap();
            assert!((1..=100).contains(&faults.len()), "{}", shown());
            let told = |fault: &Value| fault["path"].is_string() && fault["message"].is_string();
            assert!(faults.iter().all(told), "{}", shown());
        }
    }
}

/// The server still answers what is right.
fn still_right(connection: &mut Connection, memo: &Value) {
    let got = connection.call("memo_get", &json!({ "id": "guard" }));
    assert_eq!(got["result"], memo["result"]);
    let body = format!("right {}", memo["result"]["id"]);
    let made = connection.call("memo_new", &json!({ "data": { "body": body } }));
    assert_eq!(made["result"]["body"], body.as_str());
    let id = json!({ "id": made["result"]["id"] });
    assert_eq!(
        connection.call("memo_delete", &id)["result"]["deleted"]["memo"],
        1
    );
}

fn giant_batches(connection: &mut Connection) {
    for (entry, count, code) in [
        (
            r#"{"jsonrpc":"2.0","id":1,"method":"memo_get","params":["memo-1"]}"#,
            1001,
            -32600,
        ),
        ("1", 100_000, -32600),
        ("[]", 100_000, -32600),
        ("{}", 1001, -32600),
    ] {
        let body = format!("[{}]", vec![entry; count].join(","));
        let answer = connection.post(&body).json();
        assert_eq!(
            (&answer["error"]["code"], &answer["id"]),
            (&json!(code), &json!(null)),
            "{entry}"
        );
    }
    let junk = format!("[{}]", vec!["{}"; 1000].join(","));
    let answers = connection.post(&junk).json();
    assert_eq!(answers.as_array().map(Vec::len), Some(1000));
    assert_eq!(connection.post("[]").json()["error"]["code"], -32600);
}

/// A request as text, with parameters as text.
fn request(method: &str, params: &str) -> String {
    let method = Value::from(method);
    format!(r#"{{"jsonrpc":"2.0","id":1,"method":{method},"params":{params}}}"#)
}

fn object(members: &[(String, String)]) -> String {
    let members: Vec<String> = members
        .iter()
        .map(|(name, value)| format!("{}:{value}", Value::from(name.as_str())))
        .collect();
    format!("{{{}}}", members.join(","))
}

impl Workshop {
    fn new(connection: &mut Connection) -> Self {
        let document = connection.call("rpc.discover", &json!({}))["result"].clone();
        let methods = document["methods"]
            .as_array()
            .unwrap()
            .iter()
            .map(|method| {
                let names = method["params"].as_array().unwrap().iter();
                let names = names.map(|param| param["name"].as_str().unwrap().to_owned());
                (method["name"].as_str().unwrap().to_owned(), names.collect())
            });
        let schema = osis_tests::fixture::schema();
        let types = schema.types.iter().map(|ty| {
            (
                ty.name.clone(),
                ty.fields.iter().map(|field| field.name.clone()).collect(),
            )
        });
        let valid = [
            request(
                "memo_get",
                r#"{"id":"memo-1","fields":["body"],"expand":[]}"#,
            ),
            request(
                "product_list",
                r#"{"filter":{"or":[{"stock":{"gte":1}},{"tags":{"has":"é"}}]},"sort":["-price"],"limit":3}"#,
            ),
            request(
                "app_find",
                r#"["photo (editor OR \"text editor\") -paid",{"status":"draft"},null,5]"#,
            ),
            request(
                "product_new",
                r#"{"data":{"sku":"AB-1","price":1.25,"specs":{"a":[null,true]},"photo":"AAE="}}"#,
            ),
            request(
                "osis_transaction",
                r#"{"ops":[{"method":"memo_set","params":["memo-2",{"body":"x"},null,"merge",true]}],"dry_run":true}"#,
            ),
            request(
                "visit_aggregate",
                r#"{"group_by":["page"],"bucket":{"field":"at","unit":"day"},"metrics":["count","max:took_ms"]}"#,
            ),
            format!(
                "[{},{}]",
                request("osis_info", "{}"),
                request("osis_changes", r#"{"since":0,"limit":2}"#)
            ),
        ];
        let seed = number("OSIS_MALFORMED_SEED").unwrap_or(7);
        Self {
            dice: Dice::new(seed),
            methods: methods.collect(),
            types: types.collect(),
            valid: valid.into(),
        }
    }

    fn junk(&mut self) -> String {
        match self.dice.roll(40) {
            0 => format!("\"{}\"", "x".repeat(5000)),
            1 => "[".repeat(100) + &"]".repeat(100),
            2 => format!("[{}]", vec!["\"id\""; 2000].join(",")),
            3 => format!(
                "{{{}}}",
                (0..200)
                    .map(|n| format!("\"k{n}\":{n}"))
                    .collect::<Vec<_>>()
                    .join(",")
            ),
            _ => (*self.dice.one_of(&JUNK)).to_owned(),
        }
    }

    /// A value that fits a parameter of that name, as far as a name tells.
    fn fitting(name: &str) -> &'static str {
        match name {
            "id" => r#""memo-1""#,
            "key" | "filter" | "data" | "objects" => "{}",
            "items" | "ops" | "expand" | "fields" | "facets" | "group_by" | "types" => "[]",
            "metrics" => r#"["count"]"#,
            "query" => r#""x""#,
            "sort" => r#""id""#,
            "limit" => "1",
            "since" | "wait_ms" | "if_rev" => "0",
            "mode" => r#""patch""#,
            _ => "false",
        }
    }

    fn method(&mut self) -> (String, Vec<String>) {
        self.dice.one_of(&self.methods).clone()
    }

    fn cut_off(&mut self) -> Vec<u8> {
        let valid = self.dice.one_of(&self.valid).clone().into_bytes();
        let end = self.dice.roll(valid.len());
        valid[..end].to_vec()
    }

    fn with_changed_bytes(&mut self) -> Vec<u8> {
        let mut body = self.dice.one_of(&self.valid).clone().into_bytes();
        for _ in 0..=self.dice.roll(3) {
            let at = self.dice.roll(body.len());
            let odd = [
                0, 0xff, 0xc3, b'"', b'\\', b'{', b'}', b'[', b']', b',', b':', b'-', b'0', b'e',
                b'.', b' ', b'\n',
            ];
            match self.dice.roll(4) {
                0 => drop(body.remove(at)),
                1 => body.insert(at, *self.dice.one_of(&odd)),
                2 => body[at] = *self.dice.one_of(&odd),
                _ => body[at] ^= 1 << self.dice.roll(8),
            }
        }
        body
    }

    fn with_junk_for_a_parameter(&mut self) -> Vec<u8> {
        let (method, names) = self.method();
        if names.is_empty() {
            return request(&method, &self.junk()).into_bytes();
        }
        let wrong = self.dice.roll(names.len());
        let with_key = names.get(wrong).is_some_and(|name| name == "key");
        let mut members = Vec::new();
        for (n, name) in names.into_iter().enumerate() {
            let other_target = (name == "key" && n != wrong) || (name == "id" && with_key);
            if n == wrong {
                members.push((name, self.junk()));
            } else if !other_target && self.dice.roll(3) > 0 {
                let fitting = Self::fitting(&name).to_owned();
                members.push((name, fitting));
            }
        }
        request(&method, &object(&members)).into_bytes()
    }

    fn with_junk_for_all_parameters(&mut self) -> Vec<u8> {
        let (method, names) = self.method();
        let mut members: Vec<(String, String)> =
            names.into_iter().map(|name| (name, self.junk())).collect();
        if self.dice.roll(3) == 0 {
            members.push((
                ["nope", "ID", "", "\u{1}", "__proto__"][self.dice.roll(5)].to_owned(),
                self.junk(),
            ));
        }
        request(&method, &object(&members)).into_bytes()
    }

    fn with_junk_by_position(&mut self) -> Vec<u8> {
        let (method, names) = self.method();
        let count = self.dice.roll(names.len() + 3);
        let items: Vec<String> = (0..count).map(|_| self.junk()).collect();
        request(&method, &format!("[{}]", items.join(","))).into_bytes()
    }

    fn with_junk_for_a_field(&mut self) -> Vec<u8> {
        let (ty, fields) = self.dice.one_of(&self.types).clone();
        let mut members: Vec<(String, String)> = Vec::new();
        for field in fields {
            if self.dice.roll(2) == 0 {
                members.push((field, self.junk()));
            }
        }
        if self.dice.roll(3) == 0 {
            members.push((
                ["id", "rev", "created_at", "nope"][self.dice.roll(4)].to_owned(),
                self.junk(),
            ));
        }
        let data = object(&members);
        match self.dice.roll(5) {
            0 => request(
                &format!("{ty}_set"),
                &format!(r#"{{"id":"memo-2","data":{data},"upsert":true,"mode":"merge"}}"#),
            ),
            1 => request(
                "osis_seed",
                &format!(r#"{{"objects":{{"{ty}":[{data},{data}]}}}}"#),
            ),
            2 => request(&format!("{ty}_ingest"), &format!(r#"{{"items":[{data}]}}"#)),
            _ => request(&format!("{ty}_new"), &format!(r#"{{"data":{data}}}"#)),
        }
        .into_bytes()
    }

    fn filter(&mut self, fields: &[String], depth: usize) -> String {
        if depth > 0 && self.dice.roll(3) == 0 {
            let inner: Vec<String> = (0..self.dice.roll(3))
                .map(|_| self.filter(fields, depth - 1))
                .collect();
            return match self.dice.roll(4) {
                0 => format!(r#"{{"not":{}}}"#, self.filter(fields, depth - 1)),
                1 => format!(r#"{{"or":{}}}"#, self.junk()),
                _ => format!(r#"{{"or":[{}]}}"#, inner.join(",")),
            };
        }
        let field = match self.dice.roll(8) {
            0 => "nope".to_owned(),
            1 => ["id", "rev", "created_at"][self.dice.roll(3)].to_owned(),
            _ => self.dice.one_of(fields).clone(),
        };
        let operator = [
            "eq", "ne", "in", "exists", "gt", "gte", "lt", "lte", "prefix", "has", "like", "",
        ];
        match self.dice.roll(4) {
            0 => object(&[(field, self.junk())]),
            _ => {
                let operator = self.dice.one_of(&operator).to_string();
                object(&[(field, object(&[(operator, self.junk())]))])
            }
        }
    }

    fn with_a_junk_filter(&mut self) -> Vec<u8> {
        let (ty, fields) = self.dice.one_of(&self.types).clone();
        let filter = self.filter(&fields, 4);
        let verb = *self.dice.one_of(&["list", "count", "aggregate"]);
        request(
            &format!("{ty}_{verb}"),
            &format!(r#"{{"filter":{filter}}}"#),
        )
        .into_bytes()
    }

    fn with_a_junk_query(&mut self) -> Vec<u8> {
        let parts = [
            "photo",
            "a",
            "\"",
            "(",
            ")",
            "-",
            "*",
            "~",
            ":",
            "name:",
            "nope:",
            "OR",
            "AND",
            "NOT",
            " ",
            "  ",
            "漢字",
            "é",
            "😀",
            "\\",
            "'",
            "{",
            "}",
            "^",
            "+",
            "\t",
            "NEAR(",
            "col:",
            "ab*",
            "--",
            "\u{301}",
            "½",
            "\u{10ffff}",
        ];
        let query: String = (0..self.dice.roll(30))
            .map(|_| *self.dice.one_of(&parts))
            .collect();
        let method = *self
            .dice
            .one_of(&["app_find", "product_find", "select_find", "visit_find"]);
        let prefix_last = self.dice.roll(2) == 0;
        request(
            method,
            &json!({ "query": query, "prefix_last": prefix_last }).to_string(),
        )
        .into_bytes()
    }

    fn with_junk_operations(&mut self) -> Vec<u8> {
        let count = 1 + self.dice.roll(4);
        let ops: Vec<String> = (0..count)
            .map(|_| {
                let (method, names) = self.method();
                let members: Vec<(String, String)> =
                    names.into_iter().map(|name| (name, self.junk())).collect();
                match self.dice.roll(4) {
                    0 => self.junk(),
                    1 => format!(r#"{{"method":"{method}","params":{}}}"#, self.junk()),
                    _ => format!(r#"{{"method":"{method}","params":{}}}"#, object(&members)),
                }
            })
            .collect();
        let dry_run = self.dice.roll(2) == 0;
        request(
            "osis_transaction",
            &format!(r#"{{"ops":[{}],"dry_run":{dry_run}}}"#, ops.join(",")),
        )
        .into_bytes()
    }

    fn with_an_odd_envelope(&mut self) -> Vec<u8> {
        let mut members = Vec::new();
        for (name, right) in [
            ("jsonrpc", r#""2.0""#),
            ("id", "1"),
            ("method", r#""memo_get""#),
            ("params", r#"["memo-1"]"#),
        ] {
            match self.dice.roll(5) {
                0 => {}
                1 => members.push((name.to_owned(), self.junk())),
                _ => members.push((name.to_owned(), right.to_owned())),
            }
        }
        match self.dice.roll(4) {
            // A name that stands twice.
            0 => members.extend(members.first().cloned()),
            1 => members.push(("method".to_owned(), format!("\"{}\"", "m".repeat(3000)))),
            2 => members.push(("extra".to_owned(), self.junk())),
            _ => {}
        }
        object(&members).into_bytes()
    }

    fn nested(&mut self) -> Vec<u8> {
        let depth = [10, 60, 63, 64, 65, 120, 126, 127, 128, 129, 1000, 50_000][self.dice.roll(12)];
        let (open, close) = [
            ("[", "]"),
            (r#"{"a":"#, "}"),
            (r#"{"not":"#, "}"),
            (r#"{"or":["#, "]}"),
        ][self.dice.roll(4)];
        let close = if self.dice.roll(8) == 0 {
            String::new()
        } else {
            close.repeat(depth)
        };
        let nested = open.repeat(depth) + if open.ends_with(':') { "1" } else { "" } + &close;
        match self.dice.roll(4) {
            0 => nested.into_bytes(),
            1 => request("product_count", &format!(r#"{{"filter":{nested}}}"#)).into_bytes(),
            2 => request(
                "product_new",
                &format!(r#"{{"data":{{"sku":"AB-2","specs":{nested}}}}}"#),
            )
            .into_bytes(),
            _ => request(
                "app_find",
                &json!({ "query": "(".repeat(depth) + "x" + &")".repeat(depth) }).to_string(),
            )
            .into_bytes(),
        }
    }

    fn batch_of_junk(&mut self) -> Vec<u8> {
        let count = self.dice.roll(12);
        let entries: Vec<Vec<u8>> = (0..count)
            .map(|_| match self.dice.roll(6) {
                0 => self.junk().into_bytes(),
                1 => self.with_an_odd_envelope(),
                2 => self.with_junk_for_a_field(),
                3 => self.dice.one_of(&self.valid).clone().into_bytes(),
                _ => self.with_junk_for_a_parameter(),
            })
            .collect();
        let mut body = b"[".to_vec();
        body.extend(entries.join(&b","[..]));
        body.extend(b"]");
        body
    }

    fn bytes(&mut self) -> Vec<u8> {
        let count = self.dice.roll(200);
        let printable = self.dice.roll(2) == 0;
        let alphabet = b"{}[]\",:-+.eE0123456789truefalsn \\u\t\n";
        (0..count)
            .map(|_| {
                if printable {
                    *self.dice.one_of(alphabet)
                } else {
                    self.dice.roll(256) as u8
                }
            })
            .collect()
    }
}
