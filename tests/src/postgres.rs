//! A real PostgreSQL server that the tests start by themselves: on a socket in a temporary folder,
//! with nothing of the machine's own servers.
//!
//! Tests run in many processes. They share one server, which the first of them starts and which goes
//! when none has used it for some seconds; each test has a schema of its own in it. A test that
//! stops and kills its server has one of its own.

use std::fs::File;
use std::io;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU16, AtomicUsize, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use tempfile::TempDir;

use crate::parts;

/// Where Debian keeps the servers' programs, in folders named by their versions.
const DEBIAN: &str = "/usr/lib/postgresql";
/// The user of the database.
const USER: &str = "osis";
/// The port by which a socket is named, unless a server listens elsewhere too.
const PORT: u16 = 5432;

/// Stops and removes the shared server when nobody has used it for some seconds.
const KEEPER: &str = r#"
cd / || exit 1
while sleep 5; do
    flock -x "$1/lock" flock -n -x "$1/in-use" sh -c '
        $2 "$3/pg_ctl" -D "$1/data" -m immediate -w stop >/dev/null 2>&1
        rm -rf "$1"
    ' sh "$1" "$2" "$3"
    [ -d "$1" ] || exit 0
done &
"#;

/// Whether this machine has a server; says loudly that `test` is skipped if not.
pub fn is_there(test: &str) -> bool {
    static THERE: OnceLock<Option<PathBuf>> = OnceLock::new();
    let there = THERE.get_or_init(programs).is_some();
    if !there {
        parts::skip(
            test,
            "PostgreSQL 15 or later is not installed (scripts/setup-tests)",
        );
    }
    there
}

/// The folder with the programs of the newest server, 15 or later.
fn programs() -> Option<PathBuf> {
    let versions = std::fs::read_dir(DEBIAN).ok().into_iter().flatten();
    let versions = versions.filter_map(|entry| {
        let path = entry.ok()?.path();
        let version: u32 = path.file_name()?.to_str()?.parse().ok()?;
        let programs = path.join("bin");
        (version >= 15 && programs.join("postgres").exists()).then_some((version, programs))
    });
    versions.max().map(|(_, programs)| programs)
}

/// A server.
#[derive(Debug)]
pub struct Cluster {
    folder: PathBuf,
    programs: PathBuf,
    /// Held as long as this process uses a server that it shares.
    _in_use: Option<File>,
    /// The folder of a server of its own.
    own: Option<TempDir>,
    /// By which its socket is named, and where it listens if it does.
    port: AtomicU16,
}

impl Cluster {
    /// The server that all tests share.
    pub fn shared() -> &'static Self {
        static SHARED: OnceLock<Cluster> = OnceLock::new();
        SHARED.get_or_init(|| {
            let folder = std::env::temp_dir().join(format!("osis-tests-postgres-{}", uid()));
            loop {
                std::fs::create_dir_all(&folder).unwrap();
                // Whoever stops it may remove the folder under us; then it is made again.
                if let Some(cluster) = Self::join(&folder) {
                    return cluster;
                }
            }
        })
    }

    /// A server of its own, whose disk is as sure as a real one's.
    pub fn own() -> Self {
        let own = TempDir::new().unwrap();
        let cluster = Self {
            folder: own.path().to_owned(),
            programs: programs().unwrap(),
            _in_use: None,
            own: Some(own),
            port: AtomicU16::new(PORT),
        };
        cluster.make();
        cluster.start();
        cluster
    }

    fn join(folder: &Path) -> Option<Self> {
        let lock = File::create(folder.join("lock")).ok()?;
        lock.lock().unwrap();
        let in_use = File::create(folder.join("in-use")).ok()?;
        in_use.lock_shared().unwrap();
        let cluster = Self {
            folder: folder.to_owned(),
            programs: programs().unwrap(),
            _in_use: Some(in_use),
            own: None,
            port: AtomicU16::new(PORT),
        };
        // A folder that was removed while we waited has these files no more.
        if !folder.join("in-use").exists() {
            return None;
        }
        if !cluster.is_up() {
            // What a killed machine left.
            let _ = std::fs::remove_dir_all(cluster.data());
            cluster.make();
            cluster.start();
            cluster.keep();
        }
        Some(cluster)
    }

    fn data(&self) -> PathBuf {
        self.folder.join("data")
    }

    fn is_up(&self) -> bool {
        let status = self
            .program("pg_ctl")
            .arg("-D")
            .arg(self.data())
            .arg("status")
            .output();
        self.data().join("postmaster.pid").exists() && status.unwrap().status.success()
    }

    /// The words of a language in their order must not matter: the database sorts as people do.
    fn make(&self) {
        if uid() == 0 {
            done(
                Command::new("chown")
                    .arg("postgres")
                    .arg(&self.folder)
                    .output(),
            );
        }
        let mut make = self.program("initdb");
        make.args([
            "--auth=trust",
            "--encoding=UTF8",
            "--no-sync",
            "--username",
            USER,
        ]);
        make.args([
            "--locale-provider=icu",
            "--icu-locale=en",
            "--locale=C.UTF-8",
        ]);
        done(make.arg("-D").arg(self.data()).output());
    }

    /// Where its socket and its data are.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Another server that follows this one, and has each commit before it is acknowledged.
    pub fn standby(&self) -> Self {
        let own = TempDir::new().unwrap();
        let standby = Self {
            folder: own.path().to_owned(),
            programs: self.programs.clone(),
            _in_use: None,
            own: Some(own),
            port: AtomicU16::new(PORT),
        };
        if uid() == 0 {
            done(
                Command::new("chown")
                    .arg("postgres")
                    .arg(&standby.folder)
                    .output(),
            );
        }
        let mut copy = self.program("pg_basebackup");
        copy.arg("-h")
            .arg(&self.folder)
            .args(["-U", USER, "-R", "-X", "stream", "-c", "fast"]);
        done(copy.arg("-D").arg(standby.data()).output());
        standby.start();
        self.sql("ALTER SYSTEM SET synchronous_standby_names = '*'");
        self.sql("SELECT pg_reload_conf()");
        standby
    }

    /// Makes a standby take writes.
    pub fn promote(&self) {
        let mut promote = self.program("pg_ctl");
        promote.arg("-D").arg(self.data());
        done(promote.args(["-w", "promote"]).output());
        self.sql("ALTER SYSTEM RESET synchronous_standby_names");
        self.sql("SELECT pg_reload_conf()");
    }

    /// Has a user say its password.
    pub fn let_in_by_password(&self, user: &str) {
        let file = self.data().join("pg_hba.conf");
        let rules = std::fs::read_to_string(&file).unwrap();
        std::fs::write(&file, format!("local all {user} scram-sha-256\n{rules}")).unwrap();
        self.sql("SELECT pg_reload_conf()");
    }

    /// Has it listen on a free port of this machine, with a certificate for `localhost` of the
    /// authority in `authority.crt`; the port.
    pub fn listen_encrypted(&self) -> u16 {
        let port = std::net::TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap()
            .port();
        let file = |name: &str| self.folder.join(name);
        let make = |name: &str, more: &[&str]| {
            let mut make = self.as_server("/usr/bin/openssl");
            make.args(["req", "-x509", "-newkey", "ec", "-nodes", "-days", "2"]);
            make.args(["-pkeyopt", "ec_paramgen_curve:prime256v1", "-subj"]);
            make.arg(format!("/CN={name}")).arg("-keyout");
            make.arg(file(&format!("{name}.key"))).arg("-out");
            make.arg(file(&format!("{name}.crt"))).args(more);
            done(make.current_dir(&self.folder).output());
        };
        make("authority", &[]);
        let names = ["-addext", "subjectAltName=DNS:localhost"];
        let no_authority = ["-addext", "basicConstraints=CA:FALSE"];
        let signed = ["-CA", "authority.crt", "-CAkey", "authority.key"];
        make(
            "localhost",
            &[
                names,
                no_authority,
                [signed[0], signed[1]],
                [signed[2], signed[3]],
            ]
            .concat(),
        );
        let set = |name: &str, value: &str| {
            self.sql(&format!("ALTER SYSTEM SET {name} = '{value}'"));
        };
        set("ssl", "on");
        set("ssl_key_file", &file("localhost.key").display().to_string());
        set(
            "ssl_cert_file",
            &file("localhost.crt").display().to_string(),
        );
        self.kill();
        self.port.store(port, Ordering::Relaxed);
        let address = format!("-c listen_addresses=127.0.0.1 -c port={port}");
        self.start_with(&[&address]);
        port
    }

    /// Starts it again so that it logs the plan of every statement.
    pub fn explain_all(&self) {
        self.kill();
        let options = [
            "session_preload_libraries=auto_explain",
            "auto_explain.log_min_duration=0",
        ];
        let [load, all] = options.map(|option| format!("-c {option}"));
        self.start_with(&["-c listen_addresses=", &load, &all]);
    }

    /// All that it has logged.
    pub fn whole_log(&self) -> String {
        std::fs::read_to_string(self.data().join("server.log")).unwrap_or_default()
    }

    /// A program that runs as the server does.
    pub fn as_server(&self, program: &str) -> Command {
        self.program(program)
    }

    /// Starts it, and waits until it answers.
    pub fn start(&self) {
        self.start_with(&["-c listen_addresses="]);
    }

    fn start_with(&self, more: &[&str]) {
        let mut options = vec![
            format!("unix_socket_directories={}", self.folder.display()),
            "max_connections=400".to_owned(),
            "max_locks_per_transaction=256".to_owned(),
            "shared_buffers=256MB".to_owned(),
        ];
        if self.own.is_none() {
            options.extend(["fsync=off", "full_page_writes=off"].map(str::to_owned));
        }
        let options: Vec<String> = options
            .iter()
            .map(|option| format!("-c {option}"))
            .chain(more.iter().map(|option| (*option).to_owned()))
            .collect();
        let mut start = self.program("pg_ctl");
        start.arg("-D").arg(self.data());
        start.arg("-l").arg(self.data().join("server.log"));
        start.args(["-w", "-t", "60", "-o", &options.join(" "), "start"]);
        // It lives on: it must not keep what a test writes to.
        let status = start.stdout(Stdio::null()).stderr(Stdio::null()).status();
        assert!(
            status.unwrap().success(),
            "PostgreSQL does not start: {}",
            self.log()
        );
    }

    /// Ends it at once, as a crash would: nothing is finished, nothing is written out.
    pub fn kill(&self) {
        let mut stop = self.program("pg_ctl");
        stop.arg("-D").arg(self.data());
        done(stop.args(["-m", "immediate", "-w", "stop"]).output());
    }

    /// The end of what it has logged.
    pub fn log(&self) -> String {
        let log = std::fs::read_to_string(self.data().join("server.log")).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(20)..].join("\n")
    }

    /// Has somebody stop it when nobody uses it any more.
    fn keep(&self) {
        let mut keeper = Command::new("sh");
        keeper.args(["-c", KEEPER, "sh"]).arg(&self.folder);
        keeper.arg(as_server().join(" ")).arg(&self.programs);
        keeper
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        // It goes on behind the shell that starts it.
        assert!(keeper.process_group(0).status().unwrap().success());
    }

    /// The URL of a store that nobody has used, in a schema of its own.
    pub fn new_store(&self) -> String {
        static MADE: AtomicUsize = AtomicUsize::new(0);
        let made = MADE.fetch_add(1, Ordering::Relaxed);
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap()
            .as_nanos();
        let schema = format!("t{}_{made}_{now}", std::process::id());
        self.url(&format!("schema={schema}&pool=8"))
    }

    /// A URL with more parameters.
    pub fn url(&self, parameters: &str) -> String {
        let folder = self.folder.display();
        format!("postgres:///postgres?host={folder}&user={USER}&{parameters}")
    }

    /// Runs SQL, with what it prints.
    pub fn sql(&self, sql: &str) -> String {
        let mut psql = Command::new(self.programs.join("psql"));
        psql.arg("--host").arg(&self.folder);
        let port = self.port.load(Ordering::Relaxed).to_string();
        psql.args(["--port", &port]);
        psql.args([
            "--username",
            USER,
            "--dbname",
            "postgres",
            "--no-psqlrc",
            "--quiet",
        ]);
        psql.args([
            "--tuples-only",
            "--no-align",
            "--set",
            "ON_ERROR_STOP=1",
            "--command",
            sql,
        ]);
        let output = psql.stdin(Stdio::null()).output().unwrap();
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    /// Runs SQL among the tables of a store, with what it prints.
    pub fn sql_in(&self, url: &str, sql: &str) -> String {
        let schema = parameter(url, "schema").unwrap();
        self.sql(&format!("SET search_path = {schema}; {sql}"))
    }

    /// Whether there is the schema that a store's URL names.
    pub(crate) fn has_schema(&self, url: &str) -> bool {
        let schema = parameter(url, "schema").unwrap();
        let sql = format!("SELECT count(*) FROM pg_namespace WHERE nspname = '{schema}'");
        self.sql(&sql) == "1"
    }

    /// Removes a store of the shared server.
    pub(crate) fn forget(url: &str) {
        let shared = Self::shared();
        if parameter(url, "host") == shared.folder.to_str()
            && let Some(schema) = parameter(url, "schema")
            && !std::thread::panicking()
        {
            // A read that was not finished may still hold its tables.
            shared.sql(&format!(
                "SELECT pg_terminate_backend(l.pid) FROM pg_locks l \
                 JOIN pg_class c ON c.oid = l.relation \
                 JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = '{schema}'; \
                 DROP SCHEMA IF EXISTS {schema} CASCADE"
            ));
        }
    }

    fn program(&self, name: &str) -> Command {
        let program = self.programs.join(name);
        let mut command = match as_server().split_first() {
            Some((first, rest)) => {
                let mut command = Command::new(first);
                command.args(rest).arg(program);
                command
            }
            None => Command::new(program),
        };
        command.current_dir("/").stdin(Stdio::null());
        command
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if self.own.is_some() && self.is_up() {
            self.kill();
        }
    }
}

/// A parameter of a store's URL.
fn parameter<'a>(url: &'a str, name: &str) -> Option<&'a str> {
    let (_, parameters) = url.split_once('?')?;
    let mut pairs = parameters
        .split('&')
        .filter_map(|pair| pair.split_once('='));
    pairs
        .find(|(known, _)| *known == name)
        .map(|(_, value)| value)
}

/// What a server's programs are run by: they refuse to run as root.
fn as_server() -> &'static [&'static str] {
    match uid() {
        0 => &[
            "setpriv",
            "--reuid=postgres",
            "--regid=postgres",
            "--clear-groups",
            "--",
        ],
        _ => &[],
    }
}

fn uid() -> u32 {
    rustix::process::getuid().as_raw()
}

fn done(output: io::Result<Output>) {
    let output = output.unwrap();
    assert!(output.status.success(), "{output:?}");
}
