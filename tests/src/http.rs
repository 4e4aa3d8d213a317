//! A client that sends whatever it is told to: HTTP/1.1 by hand, over one connection.
//!
//! The clients of libraries write well-formed requests only. This one is for the others, and for
//! what the libraries hide: status, headers, whether the connection lives on.

use std::io::{self, BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use serde_json::Value;

/// No answer takes this long: a server that gives none hangs.
const PATIENCE: Duration = Duration::from_secs(60);

const JSON: &[(&str, &str)] = &[("content-type", "application/json")];

/// A connection to a server.
pub struct Connection {
    stream: BufReader<TcpStream>,
}

/// An answer of a server.
#[derive(Debug)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The headers, with names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
}

impl Connection {
    /// Connects.
    pub fn open(address: SocketAddr) -> Self {
        Self::try_open(address).unwrap_or_else(|error| panic!("cannot connect: {error}"))
    }

    /// Connects, if there is a server.
    ///
    /// # Errors
    /// What the system says.
    pub fn try_open(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        Ok(Self {
            stream: BufReader::new(stream),
        })
    }

    /// Posts a JSON body to `/`.
    pub fn post(&mut self, body: impl AsRef<[u8]>) -> Answer {
        self.request("POST", "/", JSON, body.as_ref())
    }

    /// Posts one request with the id 1; its answer.
    pub fn call(&mut self, method: &str, params: &Value) -> Value {
        self.try_call(method, params)
            .unwrap_or_else(|error| panic!("no answer: {error}"))
    }

    /// Posts one request with the id 1; its answer, if the server lives to give one.
    ///
    /// # Errors
    /// Where the connection ends before there is a whole answer.
    pub fn try_call(&mut self, method: &str, params: &Value) -> io::Result<Value> {
        let request = serde_json::json!({
            "jsonrpc": "2.0", "id": 1, "method": method, "params": params,
        });
        self.send_request("POST", "/", JSON, request.to_string().as_bytes())?;
        Ok(self.try_read()?.json())
    }

    /// Gets a path.
    pub fn get(&mut self, path: &str) -> Answer {
        self.request("GET", path, &[], b"")
    }

    /// Sends a request and reads its answer.
    pub fn request(
        &mut self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Answer {
        let sent = self.send_request(method, path, headers, body);
        sent.unwrap_or_else(|error| panic!("the server does not take a request: {error}"));
        self.read()
    }

    fn send_request(
        &mut self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> io::Result<()> {
        let mut message = format!("{method} {path} HTTP/1.1\r\nhost: localhost\r\n");
        for (name, value) in headers {
            message.push_str(&format!("{name}: {value}\r\n"));
        }
        if method == "POST" {
            message.push_str(&format!("content-length: {}\r\n", body.len()));
        }
        message.push_str("\r\n");
        let mut message = message.into_bytes();
        message.extend_from_slice(body);
        self.stream.get_mut().write_all(&message)
    }

    /// Sends bytes as they are.
    pub fn send(&mut self, bytes: &[u8]) {
        self.stream.get_mut().write_all(bytes).unwrap();
    }

    /// Reads an answer, which must come.
    pub fn read(&mut self) -> Answer {
        self.try_read()
            .unwrap_or_else(|error| panic!("no answer: {error}"))
    }

    fn try_read(&mut self) -> io::Result<Answer> {
        let status = self.line()?;
        let status = status
            .split(' ')
            .nth(1)
            .and_then(|status| status.parse().ok());
        let mut headers = Vec::new();
        loop {
            let line = self.line()?;
            if line.is_empty() {
                break;
            }
            let (name, value) = line.split_once(':').unwrap();
            headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
        }
        let mut answer = Answer {
            status: status.unwrap(),
            headers,
            body: Vec::new(),
        };
        answer.body = match answer.header("transfer-encoding") {
            Some("chunked") => self.chunks()?,
            _ => self.exactly(
                answer
                    .header("content-length")
                    .map_or(0, |n| n.parse().unwrap()),
            )?,
        };
        Ok(answer)
    }

    fn line(&mut self) -> io::Result<String> {
        let mut line = String::new();
        match self.stream.read_line(&mut line)? {
            0 => Err(io::Error::new(
                ErrorKind::UnexpectedEof,
                "the connection was dropped",
            )),
            _ => Ok(line.trim_end().to_owned()),
        }
    }

    fn exactly(&mut self, length: usize) -> io::Result<Vec<u8>> {
        let mut body = vec![0; length];
        self.stream.read_exact(&mut body)?;
        Ok(body)
    }

    fn chunks(&mut self) -> io::Result<Vec<u8>> {
        let mut body = Vec::new();
        loop {
            let length = usize::from_str_radix(&self.line()?, 16).unwrap();
            body.extend(self.exactly(length)?);
            self.line()?;
            if length == 0 {
                return Ok(body);
            }
        }
    }
}

impl Answer {
    /// The value of a header.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(known, _)| known == name)
            .map(|(_, value)| value.as_str())
    }

    /// The body as text.
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    /// The body as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}
