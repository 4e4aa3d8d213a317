//! The `osis` binary as a child process: built once, run, served, killed.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::OnceLock;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::http::Connection;

/// The path of the binary, which is built if it is not there or older than its sources.
///
/// `OSIS_BIN` names another one.
pub fn osis() -> &'static Path {
    static PATH: OnceLock<PathBuf> = OnceLock::new();
    PATH.get_or_init(|| match std::env::var_os("OSIS_BIN") {
        Some(path) => path.into(),
        None => build(),
    })
}

fn build() -> PathBuf {
    // A test is TARGET/PROFILE/deps/NAME.
    let test = std::env::current_exe().unwrap();
    let profile = test.ancestors().nth(2).unwrap();
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.args([
        "build",
        "--quiet",
        "--package",
        "osis-cli",
        "--manifest-path",
    ]);
    cargo.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/../Cargo.toml"));
    cargo.arg("--target-dir").arg(profile.parent().unwrap());
    if profile.ends_with("release") {
        cargo.arg("--release");
    }
    assert!(cargo.status().unwrap().success(), "cannot build osis");
    profile.join(format!("osis{}", std::env::consts::EXE_SUFFIX))
}

/// The binary with some arguments, and nothing of this process's options around it.
pub fn command<I: AsRef<OsStr>>(arguments: impl IntoIterator<Item = I>) -> Command {
    let mut command = Command::new(osis());
    let own = std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("OSIS_"));
    own.for_each(|(name, _)| {
        command.env_remove(name);
    });
    command.args(arguments).stdin(Stdio::null());
    command
}

/// A child that serves a store.
#[derive(Debug)]
pub struct Served {
    child: Child,
    address: SocketAddr,
}

impl Served {
    /// Starts a server on a free port and waits until it listens.
    pub fn start<I: AsRef<OsStr>>(arguments: impl IntoIterator<Item = I>) -> Self {
        let mut command = command(["serve", "--listen", "127.0.0.1:0"]);
        let mut child = command
            .args(arguments)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap())
            .read_line(&mut line)
            .unwrap();
        let address = line.trim().strip_prefix("listening on http://");
        let address = address.unwrap_or_else(|| panic!("osis serve printed {line:?}"));
        Self {
            address: address.parse().unwrap(),
            child,
        }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Connects to it.
    pub fn connect(&self) -> Connection {
        Connection::open(self.address)
    }

    /// Makes one call; its result.
    pub fn call(&self, method: &str, params: &Value) -> Value {
        let mut answer = self.connect().call(method, params);
        assert!(answer.get("error").is_none(), "{method} {params}: {answer}");
        answer["result"].take()
    }

    /// Ends it as `kill -9` does: it has no chance to do anything about it.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// As [`Self::kill`], while others still use it: they find it gone.
    pub fn kill_now(&self) {
        kill_process(Pid::from_child(&self.child), Signal::KILL).unwrap();
    }

    /// Asks it to end, and waits until it has.
    pub fn terminate(mut self) -> ExitStatus {
        kill_process(Pid::from_child(&self.child), Signal::TERM).unwrap();
        self.child.wait().unwrap()
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        // Where a test fails half way; otherwise it is gone already.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
