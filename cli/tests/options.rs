//! The command line as a person meets it: options from everywhere, exit status, what goes where.

use std::path::Path;
use std::process::{Command, Output};

fn osis(dir: &Path, args: &[&str], environment: &[(&str, &str)]) -> Output {
    let command = Command::new(env!("CARGO_BIN_EXE_osis"))
        .current_dir(dir)
        .args(args)
        .env("OSIS_LOG", "warn")
        .envs(environment.iter().copied())
        .output();
    command.expect("osis runs")
}

fn out(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).expect("results are UTF-8")
}

fn error(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).expect("messages are UTF-8")
}

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().expect("a folder can be made")
}

#[test]
fn the_command_line_wins_over_the_environment_that_over_the_file_that_over_the_default() {
    let dir = folder();
    let file = |text: &str| std::fs::write(dir.path().join("osis.toml"), text).unwrap();
    let call = |args: &[&str], environment: &[(&str, &str)]| {
        let args: Vec<&str> = args.iter().copied().chain(["import"]).collect();
        let output = osis(dir.path(), &args, environment);
        assert!(output.status.success(), "{}", error(&output));
    };
    let there = |name: &str| dir.path().join(name).exists();
    call(&[], &[]);
    assert!(there("osis-data/osis.db"));
    file("store = \"sqlite:file.db\"\n");
    call(&[], &[]);
    assert!(there("file.db"));
    call(&[], &[("OSIS_STORE", "sqlite:environment.db")]);
    assert!(there("environment.db"));
    call(
        &["--store", "sqlite:line.db"],
        &[("OSIS_STORE", "sqlite:other.db")],
    );
    assert!(there("line.db") && !there("other.db"));
    std::fs::write(dir.path().join("own.toml"), "store = \"sqlite:own.db\"\n").unwrap();
    call(&["--config", "own.toml"], &[]);
    assert!(there("own.db"));
}

#[test]
fn flags_can_be_set_and_unset_everywhere() {
    let dir = folder();
    let digest = |args: &[&str], environment: &[(&str, &str)]| {
        let args: Vec<&str> = args.iter().copied().chain(["digest"]).collect();
        let output = osis(dir.path(), &args, environment);
        assert!(output.status.success(), "{}", error(&output));
        out(&output).starts_with('{')
    };
    assert!(osis(dir.path(), &["import"], &[]).status.success());
    assert!(!digest(&[], &[]));
    assert!(digest(&["--json"], &[]));
    assert!(digest(&[], &[("OSIS_JSON", "1")]));
    std::fs::write(dir.path().join("osis.toml"), "json = true\n").unwrap();
    assert!(digest(&[], &[]));
    assert!(!digest(&["--json=false"], &[]));
    assert!(!digest(&[], &[("OSIS_JSON", "false")]));
}

#[test]
fn the_file_may_name_an_options_command_or_leave_it_out() {
    for text in [
        "max_batch = 0x1\n",
        "[serve]\nmax_batch = 7\n",
        "[seed]\nmode = \"update\"\n",
    ] {
        let dir = folder();
        std::fs::write(dir.path().join("osis.toml"), text).unwrap();
        let output = osis(
            dir.path(),
            &["call", "osis_info", "--store", "memory:"],
            &[],
        );
        assert!(output.status.success(), "{text}: {}", error(&output));
    }
    for (text, wanted) in [
        (
            "max_bach = 1\n",
            "error: the configuration names max_bach, which is no option",
        ),
        (
            "[serve]\nstor = 1\n",
            "error: the configuration names serve.stor",
        ),
        ("store = \n", "error: osis.toml:1: "),
    ] {
        let dir = folder();
        std::fs::write(dir.path().join("osis.toml"), text).unwrap();
        let output = osis(dir.path(), &["digest"], &[]);
        assert_eq!(output.status.code(), Some(2), "{text}");
        assert!(error(&output).starts_with(wanted), "{}", error(&output));
    }
}

#[test]
fn the_exit_status_tells_done_failed_and_misused() {
    let dir = folder();
    std::fs::write(dir.path().join("bad.toml"), "[[app]]\nname = 1\n").unwrap();
    for (args, status, words) in [
        (&["--help"][..], 0, ""),
        (&["--version"], 0, ""),
        (&["import"], 0, ""),
        (&["call", "osis_info"], 0, ""),
        (&["frob"], 2, "unrecognized subcommand"),
        (&["digest", "--frob"], 2, "unexpected argument"),
        (&["digest", "--store", "nonsense"], 2, "is no store"),
        (
            &["digest", "--store", "postgres://x?pool=0"],
            2,
            "pool: expected a number of connections",
        ),
        (
            &["digest", "--store", "postgres://127.0.0.1:1/x"],
            1,
            "no connection to postgres://127.0.0.1:1/x?schema=osis",
        ),
        (&["digest", "--store", "file:"], 2, "is no store"),
        (&["digest", "--store", "osis-data"], 2, "use file:osis-data"),
        (
            &["digest", "--store", "sqlite:osis-data"],
            2,
            "a store of files is file:osis-data",
        ),
        (&["digest", "--store", "bad.toml"], 2, "use sqlite:bad.toml"),
        (
            &["digest", "--store", "file:bad.toml"],
            2,
            "a SQLite store is sqlite:bad.toml",
        ),
        (
            &["call", "app_get", "[1"],
            2,
            "must be a JSON object or list",
        ),
        (
            &["call", "app_get", "7"],
            2,
            "must be a JSON object or list",
        ),
        (
            &["export", "--type", "zz"],
            2,
            "the schema has no type \"zz\"",
        ),
        (
            &["digest", "--store", "sqlite:none.db"],
            1,
            "there is no store at none.db",
        ),
        (
            &["call", "app_get", "{\"id\": \"none\"}"],
            1,
            "{\"code\":-32020,",
        ),
        (&["call", "app_frob"], 1, "{\"code\":-32601,"),
        (&["seed", "none.toml"], 1, "none.toml: cannot be read"),
        (
            &["seed", "bad.toml"],
            1,
            "bad.toml:2: app.name: expected a string",
        ),
        (&["serve", "--listen", "0.0.0.0:0"], 1, "only loopback"),
        (
            &["call", "osis_info", "--url", "http://127.0.0.1:1"],
            1,
            "http://127.0.0.1:1 failed",
        ),
    ] {
        let output = osis(dir.path(), args, &[]);
        assert_eq!(
            output.status.code(),
            Some(status),
            "{args:?}: {}",
            error(&output)
        );
        assert!(
            error(&output).contains(words),
            "{args:?}: {}",
            error(&output)
        );
        assert_eq!(
            out(&output).is_empty(),
            status != 0,
            "{args:?}: {}",
            out(&output)
        );
    }
}

#[test]
fn a_seed_is_reported_once_and_then_leaves_all_as_it_is() {
    let dir = folder();
    let text = "[[developer]]\nemail = \"ada@example.org\"\nname = \"Ada\"\n";
    std::fs::write(dir.path().join("seed.toml"), text).unwrap();
    let seed = |args: &[&str]| {
        let args: Vec<&str> = ["seed", "seed.toml", "--json"]
            .iter()
            .chain(args)
            .copied()
            .collect();
        out(&osis(dir.path(), &args, &[]))
    };
    let created = "{\"created\":1,\"updated\":0,\"unchanged\":0}\n";
    let unchanged = "{\"created\":0,\"updated\":0,\"unchanged\":1}\n";
    assert_eq!(seed(&["--dry-run"]), created);
    assert_eq!(seed(&[]), created);
    assert_eq!(seed(&[]), unchanged);
    assert_eq!(seed(&["--mode", "update"]), unchanged);
}

#[test]
fn the_faults_of_all_seed_files_are_told_at_once() {
    let dir = folder();
    let toml = "[[developer]]\nemail = \"ada@example.org\"\nname = 7\n";
    std::fs::write(dir.path().join("a.toml"), toml).unwrap();
    let json = "{\"app\": [\n{\"package_id\": \"x\"}]}";
    std::fs::write(dir.path().join("b.json"), json).unwrap();
    let output = osis(dir.path(), &["seed", "a.toml", "b.json", "c.ndjson"], &[]);
    assert_eq!(output.status.code(), Some(1));
    let told = error(&output);
    for place in [
        "error: a.toml:3: developer.name: ",
        "error: b.json:2: app.package_id: ",
        "error: b.json:2: app.developer_id: is required",
        "error: c.ndjson: cannot be read",
    ] {
        assert!(told.contains(place), "{place}\n{told}");
    }
    let counts = osis(dir.path(), &["digest", "--json"], &[]);
    assert!(
        out(&counts).contains("\"developer\":{\"count\":0"),
        "{}",
        out(&counts)
    );
}

#[test]
fn a_schema_with_an_error_is_refused_before_anything_is_opened() {
    let dir = folder();
    let text = "name = \"shop\"\nversion = 1\n[types.thing.fields]\nname = { type = \"strng\" }\n";
    std::fs::write(dir.path().join("shop.toml"), text).unwrap();
    let output = osis(
        dir.path(),
        &["call", "osis_info", "--schema", "shop.toml"],
        &[],
    );
    assert_eq!(output.status.code(), Some(1));
    assert!(
        error(&output).contains("shop.toml:4:17: "),
        "{}",
        error(&output)
    );
    std::fs::write(dir.path().join("shop.toml"), "name = \n").unwrap();
    let output = osis(dir.path(), &["import", "--schema", "shop.toml"], &[]);
    assert_eq!(output.status.code(), Some(1));
    assert!(
        error(&output).starts_with("error: shop.toml:1:"),
        "{}",
        error(&output)
    );
    assert!(!dir.path().join("osis-data").exists());
}

#[test]
fn a_store_is_made_by_who_fills_it_and_not_by_who_asks() {
    let seed = "[[developer]]\nemail = \"ada@example.org\"\nname = \"Ada\"\n";
    for store in [
        "file:x",
        "file:x/deeper",
        "sqlite:x/osis.db",
        "sqlite:empty.db",
    ] {
        let dir = folder();
        // A folder with something in it, or a file with nothing, is no store yet.
        std::fs::create_dir(dir.path().join("x")).unwrap();
        std::fs::write(dir.path().join("x/README.md"), "mine").unwrap();
        std::fs::write(dir.path().join("empty.db"), "").unwrap();
        std::fs::write(dir.path().join("seed.toml"), seed).unwrap();
        let before = paths(dir.path());
        let run = |args: &[&str]| {
            let args: Vec<&str> = args.iter().copied().chain(["--store", store]).collect();
            osis(dir.path(), &args, &[])
        };
        for args in [&["digest"][..], &["export"], &["schema", "show"]] {
            let refused = run(args);
            assert_eq!(refused.status.code(), Some(1), "{args:?} {store}");
            let place = store.split_once(':').unwrap().1;
            let wanted = format!("there is no store at {place}; ");
            assert!(error(&refused).contains(&wanted), "{}", error(&refused));
            assert_eq!(paths(dir.path()), before, "{args:?} {store}");
        }
        let tried = run(&["seed", "--dry-run", "seed.toml"]);
        assert!(out(&tried).starts_with("1 created, "), "{}", error(&tried));
        assert_eq!(paths(dir.path()), before, "a dry run of {store}");
        let made = run(&["seed", "seed.toml"]);
        assert!(out(&made).starts_with("1 created, "), "{}", error(&made));
        let tried = run(&["seed", "--dry-run", "seed.toml"]);
        assert!(out(&tried).starts_with("0 created, "), "{}", error(&tried));
        let info = run(&["call", "osis_info"]);
        let kind = store.split_once(':').unwrap().0;
        let wanted = format!("\"store\":\"{kind}\"");
        assert!(out(&info).contains(&wanted), "{}", out(&info));
        assert!(dir.path().join("x/README.md").exists());
    }
}

/// All that lies in a folder and below.
fn paths(folder: &Path) -> Vec<std::path::PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).expect("it is a folder") {
        let path = entry.expect("it can be listed").path();
        if path.is_dir() {
            found.extend(paths(&path));
        }
        found.push(path);
    }
    found.sort();
    found
}

#[test]
fn a_command_sees_what_was_edited_while_nothing_ran() {
    let dir = folder();
    let seed = "[[developer]]\nid = \"ada-1\"\nemail = \"ada@example.org\"\nname = \"Ada\"\n";
    std::fs::write(dir.path().join("seed.toml"), seed).unwrap();
    let run = |args: &[&str]| {
        let args: Vec<&str> = args.iter().copied().chain(["--store", "file:x"]).collect();
        let output = osis(dir.path(), &args, &[]);
        assert!(output.status.success(), "{args:?}: {}", error(&output));
        out(&output)
    };
    run(&["seed", "seed.toml"]);
    let file = |id: &str| {
        let folder = format!("x/developers/{}", &id[id.len() - 2..]);
        dir.path().join(folder).join(format!("{id}.otoml"))
    };
    let get = ["call", "developer_get", "{\"id\": \"ada-1\"}"];
    for (command, name) in [(&get[..], "Lovelace"), (&["export"], "Byron")] {
        let text = std::fs::read_to_string(file("ada-1")).unwrap();
        let line = text
            .lines()
            .find(|line| line.starts_with("name ="))
            .unwrap();
        std::fs::write(
            file("ada-1"),
            text.replace(line, &format!("name = \"{name}\"")),
        )
        .unwrap();
        let answer = run(command);
        assert!(answer.contains(&format!("\"name\":\"{name}\"")), "{answer}");
    }
    // In the wrong folder, which is another way to take.
    let text = "email = \"bob@example.org\"\nname = \"Bob\"\n";
    std::fs::write(dir.path().join("x/developers/bob-1.otoml"), text).unwrap();
    std::fs::remove_file(file("ada-1")).unwrap();
    let left = run(&["export"]);
    assert!(left.contains("bob-1") && !left.contains("ada-1"), "{left}");
}

#[test]
fn caches_of_a_file_store_lie_where_one_says() {
    for (args, environment) in [
        (&["--cache", "own"][..], &[][..]),
        (&[], &[("OSIS_CACHE", "own")]),
    ] {
        let dir = folder();
        let call: Vec<&str> = ["import", "--store", "file:x"]
            .iter()
            .chain(args)
            .copied()
            .collect();
        let made = osis(dir.path(), &call, environment);
        assert!(made.status.success(), "{}", error(&made));
        assert!(dir.path().join("own").is_dir(), "{args:?} {environment:?}");
    }
}

#[test]
fn a_cause_is_told_once() {
    let dir = folder();
    // Nobody can make a folder there.
    let output = osis(dir.path(), &["import", "--store", "file:/proc/none/x"], &[]);
    assert_eq!(output.status.code(), Some(1));
    let told = error(&output);
    assert_eq!(told.matches("(os error ").count(), 1, "{told}");
}

#[test]
fn a_command_that_reads_says_nothing_of_its_caches() {
    let dir = folder();
    let run = |args: &[&str]| {
        let args: Vec<&str> = args.iter().copied().chain(["--store", "file:x"]).collect();
        osis(dir.path(), &args, &[("OSIS_LOG", "info")])
    };
    assert!(run(&["import"]).status.success());
    std::fs::remove_dir_all(dir.path().join("x/.osis")).unwrap();
    let output = run(&["digest"]);
    assert!(output.status.success());
    assert_eq!(error(&output), "");
}

#[test]
fn a_litestream_configuration_names_the_store_and_its_events_in_either_form() {
    let dir = folder();
    let backup = |args: &[&str]| {
        let args: Vec<&str> = ["backup"].iter().chain(args).copied().collect();
        osis(dir.path(), &args, &[("OSIS_STORE", "sqlite:data/osis.db")])
    };
    let place = dir.path().canonicalize().unwrap();
    let named = |name: &str| format!("\"{}/{name}\"", place.display());
    let now = backup(&["--litestream-config", "copies"]);
    assert!(now.status.success(), "{}", error(&now));
    let text = out(&now);
    for part in [
        named("data/osis.db"),
        named("copies/osis.db"),
        named("copies/events"),
        "pattern: \"osis-events-*.db\"".to_owned(),
    ] {
        assert!(text.contains(&part), "{part} in {text}");
    }
    let before = out(&backup(&["--litestream-config=0.3", "s3://bucket/shop/"]));
    assert!(
        before.contains("url: \"s3://bucket/shop/osis.db\""),
        "{before}"
    );
    let months = before.matches("osis-events-").count();
    assert_eq!(months, 2 * 25, "this month and two years ahead: {before}");
    let wrong = backup(&["--litestream-config", "--store", "file:data"]);
    assert_eq!(wrong.status.code(), Some(2));
    assert!(error(&wrong).contains("osis backup DEST"));
    assert_eq!(backup(&[]).status.code(), Some(2), "nowhere to back up to");
}
