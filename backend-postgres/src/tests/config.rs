//! URLs of stores, and the servers that hold them.

use std::time::Duration;

use crate::config::{Pooler, PostgresConfig};
use crate::setup;

fn parse(url: &str) -> PostgresConfig {
    PostgresConfig::parse(url).unwrap_or_else(|error| panic!("{url}: {error}"))
}

#[test]
fn a_url_says_how_a_store_is_opened() {
    let plain = parse("postgres://ada:geheim@db1/shop");
    assert_eq!(plain.place(), "postgres://db1:5432/shop?schema=osis");
    assert_eq!((plain.pool, plain.pooler), (16, Pooler::None));
    assert_eq!(plain.lock_timeout, Duration::from_secs(30));
    assert_eq!(plain.statement_timeout, Duration::from_secs(60));
    assert_eq!(plain.client.get_application_name(), Some("osis"));
    let all = parse(
        "postgres://ada@db1:5433,db2/shop?schema=own&pool=3&lock_timeout=500ms&statement_timeout=2min\
         &pgbouncer=transaction&application_name=shop-a&connect_timeout=7",
    );
    assert_eq!(all.place(), "postgres://db1:5433,db2:5432/shop?schema=own");
    assert_eq!((all.pool, all.pooler), (3, Pooler::Transaction));
    assert_eq!(all.lock_timeout, Duration::from_millis(500));
    assert_eq!(all.statement_timeout, Duration::from_secs(120));
    assert_eq!(all.client.get_application_name(), Some("shop-a"));
    assert_eq!(
        all.client.get_connect_timeout(),
        Some(&Duration::from_secs(7))
    );
    let socket = parse("postgres:///shop?host=/run/a,/run/b&user=ada");
    assert_eq!(
        socket.place(),
        "postgres:///run/a:5432,/run/b:5432/shop?schema=osis"
    );
}

#[test]
fn what_is_wrong_with_a_url_is_named_and_no_password_shown() {
    for (parameter, wanted) in [
        ("schema=pg_own", "beginning with a letter"),
        ("schema=Shop", "beginning with a letter"),
        ("schema=a;b", "beginning with a letter"),
        ("pool=0", "from 1 to 1000"),
        ("pool=many", "from 1 to 1000"),
        ("lock_timeout=0s", "a time such as"),
        ("statement_timeout=3h", "a time such as"),
        ("sslmode=allow", "verify-full"),
        ("pgbouncer=session", "transaction"),
        ("poool=3", "poool"),
    ] {
        let told = PostgresConfig::parse(&format!("postgres://ada:geheim@db1/shop?{parameter}"));
        let told = told.unwrap_err().to_string();
        assert!(told.contains(wanted), "{parameter}: {told}");
        assert!(!told.contains("geheim"), "{told}");
    }
}

#[test]
fn servers_that_are_too_old_are_refused() {
    assert_eq!(setup::unfit(150_000, "15.0", "UTF8"), None);
    assert_eq!(setup::unfit(180_001, "18.1", "UTF8"), None);
    let told = setup::unfit(140_022, "14.22 (Debian)", "UTF8").unwrap();
    assert!(
        told.contains("14.22 (Debian); use version 15 or later"),
        "{told}"
    );
    let told = setup::unfit(150_000, "15.0", "LATIN1").unwrap();
    assert!(told.contains("LATIN1; make one with UTF8"), "{told}");
}
