//! How a store is opened, and the URL that says so.

use std::path::PathBuf;
use std::str::FromStr as _;
use std::time::Duration;

use osis_core::error::{Error, Faults, Result};
use osis_core::schema::diff::SchemaPolicy;
use tokio_postgres::Config;
use tokio_postgres::config::{Host, SslMode, TargetSessionAttrs};

/// Where Debian's server listens on this host.
const SOCKETS: &str = "/var/run/postgresql";

/// How a PostgreSQL store is opened.
#[derive(Debug, Clone)]
pub struct PostgresConfig {
    /// Hosts, user, database and what else the client knows.
    pub(crate) client: Config,
    /// How a server proves who it is.
    pub(crate) trust: Trust,
    /// The schema of the database that holds the store.
    pub schema_name: String,
    /// Connections for reads; writes and the watch have one each beside.
    pub pool: usize,
    /// After how long a process that waits for its turn to write begins to wait anew; a call waits as
    /// long as its own time limit says.
    pub lock_timeout: Duration,
    /// The longest time that the server works on one statement of a read, beside the time limits of
    /// calls.
    pub statement_timeout: Duration,
    /// What stands between here and the server.
    pub pooler: Pooler,
    /// What happens where the stored schema is not the wanted one.
    pub schema: SchemaPolicy,
}

/// What stands between a process and the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pooler {
    /// Nothing: connections are sessions.
    None,
    /// pgbouncer in transaction mode, or the like: each transaction may be another session's, so
    /// nothing is prepared, set or listened to beyond one.
    Transaction,
}

/// How a server proves who it is, where the connection is encrypted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Trust {
    /// It need not, as libpq has it for `prefer` and `require`.
    Anyone,
    /// By a certificate of a known authority (`verify-ca`), which is its own (`verify-full`).
    Authority {
        /// The authorities, as PEM; those that the system knows if absent.
        roots: Option<PathBuf>,
        /// Whether the certificate must name the host.
        name: bool,
    },
}

impl PostgresConfig {
    /// Reads a store's URL: `postgres://user:password@host:port,host:port/database?schema=osis&…`.
    ///
    /// Beside what PostgreSQL's clients know (`application_name`, `connect_timeout`, `host`,
    /// `keepalives`, …) there are `schema` (default `osis`), `pool` (16), `lock_timeout` (`30s`),
    /// `statement_timeout` (`60s`), `sslmode` (`disable`, `prefer`, `require`, `verify-ca`,
    /// `verify-full`; default `prefer`), `sslrootcert` (a file), `pgbouncer` (`transaction`). User
    /// and password come from `PGUSER` and `PGPASSWORD` where the URL has none.
    ///
    /// # Errors
    /// `Invalid`, naming the parameter.
    pub fn parse(url: &str) -> Result<Self> {
        let (base, query) = url.split_once('?').unwrap_or((url, ""));
        let mut read = Parameters::default();
        let mut faults = Faults::default();
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let decoded = url::form_urlencoded::parse(pair.as_bytes()).next();
            let (name, value) = decoded.unwrap_or_default();
            if read.take(&name, &value, &mut faults) {
                continue;
            }
            match pair.strip_prefix("host=") {
                // The client takes one host from each.
                Some(hosts) => {
                    let hosts = hosts.split(',').map(|host| format!("host={host}"));
                    read.others.extend(hosts);
                }
                None => read.others.push(pair.to_owned()),
            }
        }
        faults.finish()?;
        read.finish(base)
    }

    /// Where the store is, for messages: no user, no password.
    pub fn place(&self) -> String {
        let ports = self.client.get_ports();
        let hosts = self.client.get_hosts().iter().enumerate();
        let hosts: Vec<String> = hosts
            .map(|(n, host)| {
                let port = ports.get(n).or(ports.first()).copied().unwrap_or(5432);
                match host {
                    Host::Tcp(name) => format!("{name}:{port}"),
                    Host::Unix(path) => format!("{}:{port}", path.display()),
                }
            })
            .collect();
        let database = self.client.get_dbname().or(self.client.get_user());
        format!(
            "postgres://{}/{}?schema={}",
            hosts.join(","),
            database.unwrap_or_default(),
            self.schema_name
        )
    }
}

/// The parameters of a URL that are not the client's.
struct Parameters {
    schema: String,
    pool: usize,
    lock_timeout: Duration,
    statement_timeout: Duration,
    sslmode: String,
    roots: Option<PathBuf>,
    pooler: Pooler,
    /// As they stand, for the client.
    others: Vec<String>,
}

impl Default for Parameters {
    fn default() -> Self {
        Self {
            schema: "osis".to_owned(),
            pool: 16,
            lock_timeout: Duration::from_secs(30),
            statement_timeout: Duration::from_secs(60),
            sslmode: "prefer".to_owned(),
            roots: None,
            pooler: Pooler::None,
            others: Vec::new(),
        }
    }
}

impl Parameters {
    /// Takes a parameter that is one of ours.
    fn take(&mut self, name: &str, value: &str, faults: &mut Faults) -> bool {
        let mut wanted = |what: &str| faults.add(name, format!("expected {what}, got {value:?}"));
        match name {
            "schema" if is_plain_name(value) => value.clone_into(&mut self.schema),
            "schema" => wanted("a-z, 0-9 and _, beginning with a letter, at most 63 characters"),
            "pool" => match value.parse() {
                Ok(pool @ 1..=1000) => self.pool = pool,
                _ => wanted("a number of connections from 1 to 1000"),
            },
            "lock_timeout" | "statement_timeout" => match duration(value) {
                Some(time) if name == "lock_timeout" => self.lock_timeout = time,
                Some(time) => self.statement_timeout = time,
                None => wanted("a time such as 30s or 500ms"),
            },
            "sslmode" => match value {
                "disable" | "prefer" | "require" | "verify-ca" | "verify-full" => {
                    value.clone_into(&mut self.sslmode);
                }
                _ => wanted("disable, prefer, require, verify-ca or verify-full"),
            },
            "sslrootcert" => self.roots = Some(value.into()),
            "pgbouncer" => match value {
                "transaction" => self.pooler = Pooler::Transaction,
                _ => wanted("transaction"),
            },
            _ => return false,
        }
        true
    }

    fn finish(self, base: &str) -> Result<PostgresConfig> {
        let url = match self.others.is_empty() {
            true => base.to_owned(),
            false => format!("{base}?{}", self.others.join("&")),
        };
        // What the client says may repeat the URL, and so a password.
        let unfit = |error: tokio_postgres::Error| {
            let cause = std::error::Error::source(&error).map(ToString::to_string);
            Error::invalid(
                "store",
                format!(
                    "the URL cannot be read: {}; it looks like \
                     postgres://user:password@host:5432/database?schema=osis",
                    cause.unwrap_or_else(|| error.to_string())
                ),
            )
        };
        let mut client = Config::from_str(&url).map_err(unfit)?;
        complete(&mut client);
        client.ssl_mode(match self.sslmode.as_str() {
            "disable" => SslMode::Disable,
            "prefer" => SslMode::Prefer,
            _ => SslMode::Require,
        });
        let trust = match self.sslmode.as_str() {
            "verify-ca" | "verify-full" => Trust::Authority {
                roots: self.roots,
                name: self.sslmode == "verify-full",
            },
            _ => Trust::Anyone,
        };
        Ok(PostgresConfig {
            client,
            trust,
            schema_name: self.schema,
            pool: self.pool,
            lock_timeout: self.lock_timeout,
            statement_timeout: self.statement_timeout,
            pooler: self.pooler,
            schema: SchemaPolicy::Stored,
        })
    }
}

/// Fills in what a URL may leave out.
fn complete(client: &mut Config) {
    let variable = |names: &[&str]| names.iter().find_map(|name| std::env::var(name).ok());
    if client.get_hosts().is_empty() {
        client.host_path(SOCKETS);
    }
    if client.get_user().is_none()
        && let Some(user) = variable(&["PGUSER", "USER"])
    {
        client.user(user);
    }
    if client.get_password().is_none()
        && let Some(password) = variable(&["PGPASSWORD"])
    {
        client.password(password);
    }
    if client.get_application_name().is_none() {
        client.application_name("osis");
    }
    if client.get_connect_timeout().is_none() {
        client.connect_timeout(Duration::from_secs(5));
    }
    if client.get_tcp_user_timeout().is_none() {
        client.tcp_user_timeout(Duration::from_secs(30));
    }
    // Of several hosts the one that takes writes: reads must see what was written last.
    if client.get_target_session_attrs() == TargetSessionAttrs::Any {
        client.target_session_attrs(TargetSessionAttrs::ReadWrite);
    }
}

/// Whether a name means the same in SQL with and without quotes, and is none of PostgreSQL's own.
fn is_plain_name(name: &str) -> bool {
    let mut characters = name.chars();
    characters.next().is_some_and(|c| c.is_ascii_lowercase())
        && characters.all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
        && name.len() <= 63
        && !name.starts_with("pg_")
}

fn duration(text: &str) -> Option<Duration> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let number: u64 = digits.parse().ok()?;
    let ms = match &text[digits.len()..] {
        "ms" => number,
        "s" | "" => number.checked_mul(1000)?,
        "min" => number.checked_mul(60_000)?,
        _ => return None,
    };
    // PostgreSQL counts in 32 bits, and 0 would be no limit.
    (1..=i32::MAX as u64)
        .contains(&ms)
        .then(|| Duration::from_millis(ms))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_say_where_and_how() {
        let config = PostgresConfig::parse(
            "postgres://ada:se%2Fcret@one:5433,two/shop?schema=osis_2&pool=3&lock_timeout=500ms\
             &sslmode=verify-full&sslrootcert=/etc/a%20b.pem&pgbouncer=transaction\
             &application_name=mine",
        )
        .unwrap();
        assert_eq!(
            config.place(),
            "postgres://one:5433,two:5432/shop?schema=osis_2"
        );
        assert_eq!(config.client.get_password(), Some(&b"se/cret"[..]));
        assert_eq!(config.client.get_application_name(), Some("mine"));
        let attributes = config.client.get_target_session_attrs();
        assert_eq!(attributes, TargetSessionAttrs::ReadWrite);
        assert_eq!((config.pool, config.pooler), (3, Pooler::Transaction));
        assert_eq!(config.lock_timeout, Duration::from_millis(500));
        let roots = Some("/etc/a b.pem".into());
        assert_eq!(config.trust, Trust::Authority { roots, name: true });
    }

    #[test]
    fn sockets_are_hosts_too() {
        let config = PostgresConfig::parse("postgres:///shop?user=ada&host=/a%20b,/c").unwrap();
        let place = "postgres:///a b:5432,/c:5432/shop?schema=osis";
        assert_eq!(config.place(), place);
    }

    #[test]
    fn what_is_left_out_has_a_default() {
        let config = PostgresConfig::parse("postgres:///shop?user=ada").unwrap();
        let place = "postgres:///var/run/postgresql:5432/shop?schema=osis";
        assert_eq!(config.place(), place);
        assert_eq!((config.pool, config.pooler), (16, Pooler::None));
        assert_eq!(config.trust, Trust::Anyone);
    }

    #[test]
    fn faults_name_the_parameter_and_no_password() {
        for (query, name) in [
            ("schema=Osis", "schema"),
            ("schema=pg_osis", "schema"),
            ("schema=", "schema"),
            ("pool=0", "pool"),
            ("lock_timeout=0", "lock_timeout"),
            ("statement_timeout=soon", "statement_timeout"),
            ("sslmode=maybe", "sslmode"),
            ("pgbouncer=session", "pgbouncer"),
            ("colour=red", "store"),
        ] {
            let url = format!("postgres://ada:hush@host/shop?{query}");
            let message = PostgresConfig::parse(&url).unwrap_err().to_string();
            assert!(
                message.starts_with(&format!("{name}: ")),
                "{query}: {message}"
            );
            assert!(!message.contains("hush"), "{message}");
        }
    }
}
