use super::*;
fn field(line: &str) -> String {
    format!("name = \"shop\"\nversion = 1\n[types.app.fields]\n{line}\n")
}
fn ty(lines: &str) -> String {
    format!(
        "name = \"shop\"\nversion = 1\n[types.app]\n{lines}\n[types.app.fields]\na = {{ type = \"string\" }}\nn = {{ type = \"int\" }}\nt = {{ type = \"text\" }}\nl = {{ type = \"list\", of = \"string\" }}\ns = {{ type = \"string\", secret = true }}\nat = {{ type = \"time\", required = true }}\nlate = {{ type = \"time\" }}\nb = {{ type = \"ref\", to = \"big\" }}\nup = {{ type = \"ref\", to = \"app\" }}\n[types.big]\n"
    )
}
fn file(text: &str) -> String {
    text.to_owned()
}
#[test]
fn show() {
    let mut cases: Vec<(&str, &str, String)> = vec![];
    let all = include_str!("/tmp/cases.txt");
    for case in all.split("\n===\n") {
        let (kind, rest) = case.split_once('\n').unwrap();
        let rest = rest.trim_end_matches('\n');
        let text = match kind {
            "F" => field(rest),
            "T" => ty(rest), "L" => log(rest),
            _ => file(rest),
        };
        cases.push((kind, rest, text));
    }
    for (kind, rest, text) in cases {
        println!("--- {kind}\n{rest}");
        match parse(&text) {
            Ok(_) => println!("    OK!!"),
            Err(e) => {
                println!("    >> {}", e.message());
                for (p, m) in faults(&e) {
                    println!("    [{p}] {m}");
                }
            }
        }
    }
    println!(
        "{:?}",
        load(&[Source::builtin()])
            .map(|s| s.text)
            .map_err(|e| {
                for f in faults(&e) {
                    println!("{f:?}")
                }
            })
            .unwrap()
    );
}

fn log(lines: &str) -> String {
    format!("name = \"shop\"\nversion = 1\n[types.visit]\n{lines}\n[types.visit.fields]\na = {{ type = \"string\" }}\nn = {{ type = \"int\" }}\nt = {{ type = \"text\" }}\nl = {{ type = \"list\", of = \"string\" }}\ns = {{ type = \"string\", secret = true }}\nat = {{ type = \"time\", required = true }}\nsecret_at = {{ type = \"time\", required = true, secret = true }}\nlate = {{ type = \"time\" }}\n")
}
