//! Keeps web pages of other sites out of a store that needs no key.
//!
//! A browser lets any page send a POST or open a WebSocket to any address, and says in `Origin`
//! which page it was. Without keys that header is all there is between a page that somebody looks
//! at and the store on their machine. That it equals `Host` proves nothing: a name of the
//! attacker's may lead to this machine, and then both headers carry it (DNS rebinding). So only
//! pages of this machine are let through; programs, which send no `Origin`, are not concerned.
//!
//! Source: RFC 6454 §7; RFC 6455 §10.2.

use std::net::IpAddr;

use axum::http::header::ORIGIN;
use axum::http::{HeaderMap, HeaderValue, StatusCode, Uri};

/// Refuses a request that a page of another machine makes.
pub(crate) fn check(headers: &HeaderMap) -> Result<(), (StatusCode, &'static str)> {
    if headers.get_all(ORIGIN).iter().all(is_this_machine) {
        return Ok(());
    }
    Err((
        StatusCode::FORBIDDEN,
        "requests of web pages from other hosts are refused\n",
    ))
}

fn is_this_machine(origin: &HeaderValue) -> bool {
    let uri = origin
        .to_str()
        .ok()
        .and_then(|origin| origin.parse::<Uri>().ok());
    let Some(host) = uri.as_ref().and_then(Uri::host) else {
        return false;
    };
    let name = host.trim_end_matches('.').to_ascii_lowercase();
    name == "localhost"
        || name.ends_with(".localhost")
        || name
            .trim_matches(['[', ']'])
            .parse::<IpAddr>()
            .is_ok_and(|address| address.to_canonical().is_loopback())
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    #[test]
    fn only_pages_of_this_machine_are_let_through() {
        for (origin, fine) in [
            ("http://localhost", true),
            ("http://localhost:3000", true),
            ("http://LOCALHOST:3000", true),
            ("http://127.0.0.1:7040", true),
            ("http://[::1]:7040", true),
            ("http://console.localhost", true),
            ("https://127.8.9.1", true),
            ("http://evil.example", false),
            ("http://localhost.evil.example", false),
            ("http://127.0.0.1.evil.example", false),
            ("http://notlocalhost", false),
            ("http://192.168.1.5:7040", false),
            ("null", false),
            ("", false),
            ("http://evil.example@localhost", true),
            ("file://", false),
        ] {
            let header = HeaderValue::from_static(origin);
            assert_eq!(super::is_this_machine(&header), fine, "{origin}");
        }
    }
}
