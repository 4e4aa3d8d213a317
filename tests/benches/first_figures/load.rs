//! A closed loop of clients that keep one HTTP connection each: as little work a call as can be,
//! since the clients share the processors with what they measure.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// What a run of clients measured.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Figure {
    /// Calls a second, all clients together.
    pub(crate) rate: f64,
    /// Half of the calls were answered within this.
    pub(crate) p50: Duration,
    /// 95 of 100 calls were answered within this.
    pub(crate) p95: Duration,
    /// 99 of 100 calls were answered within this.
    pub(crate) p99: Duration,
}

impl Figure {
    /// From the time of each call, and of the whole run.
    pub(crate) fn of(mut times: Vec<Duration>, whole: Duration) -> Self {
        times.sort_unstable();
        let at = |share: f64| {
            let place = (times.len() as f64 * share) as usize;
            times
                .get(place.min(times.len().saturating_sub(1)))
                .copied()
                .unwrap_or_default()
        };
        Self {
            rate: times.len() as f64 / whole.as_secs_f64(),
            p50: at(0.5),
            p95: at(0.95),
            p99: at(0.99),
        }
    }
}

/// Runs clients against a server; `body(client, n)` is the n-th request of a client.
pub(crate) async fn run(
    server: SocketAddr,
    clients: usize,
    length: Duration,
    body: impl Fn(usize, usize) -> String + Clone + Send + 'static,
) -> Figure {
    let started = Instant::now();
    let tasks: Vec<_> = (0..clients)
        .map(|client| {
            let body = body.clone();
            tokio::spawn(async move {
                let mut connection = Connection::open(server).await;
                let mut times = Vec::new();
                let mut n = 0;
                while started.elapsed() < length {
                    let request = body(client, n);
                    let begun = Instant::now();
                    let answer = connection.call(&request).await;
                    times.push(begun.elapsed());
                    assert!(
                        answer.windows(9).any(|part| part == b"\"result\":"),
                        "{request} was answered {}",
                        String::from_utf8_lossy(answer)
                    );
                    n += 1;
                }
                times
            })
        })
        .collect();
    let mut times = Vec::new();
    for task in tasks {
        times.extend(task.await.expect("a client ends"));
    }
    Figure::of(times, started.elapsed())
}

/// One kept connection.
pub(crate) struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Connection {
    /// Connects.
    pub(crate) async fn open(server: SocketAddr) -> Self {
        let stream = TcpStream::connect(server)
            .await
            .expect("the server listens");
        stream.set_nodelay(true).expect("TCP_NODELAY can be set");
        Self {
            stream,
            buffer: Vec::new(),
        }
    }

    /// Sends a body, gives back the answer's.
    pub(crate) async fn call(&mut self, body: &str) -> &[u8] {
        let request = format!(
            "POST / HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        );
        self.stream
            .write_all(request.as_bytes())
            .await
            .expect("the server reads");
        self.buffer.clear();
        let (head, length) = loop {
            if let Some(found) = head_of(&self.buffer) {
                break found;
            }
            self.more().await;
        };
        while self.buffer.len() < head + length {
            self.more().await;
        }
        &self.buffer[head..head + length]
    }

    async fn more(&mut self) {
        let read = self
            .stream
            .read_buf(&mut self.buffer)
            .await
            .expect("the server answers");
        assert!(read > 0, "the server closed the connection");
    }
}

/// Length of the answer's head and of its body.
fn head_of(answer: &[u8]) -> Option<(usize, usize)> {
    let end = answer.windows(4).position(|part| part == b"\r\n\r\n")? + 4;
    let head = std::str::from_utf8(&answer[..end]).expect("an answer's head is ASCII");
    let length = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length")
            .then(|| value.trim().parse().ok())?
    });
    Some((end, length.expect("an answer tells its length")))
}
