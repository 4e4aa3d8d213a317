//! `osis call`: one call, on a server or straight on a store.

use std::io::Read as _;

use jsonrpsee::core::ClientError;
use jsonrpsee::core::client::ClientT as _;
use jsonrpsee::core::traits::ToRpcParams;
use jsonrpsee::http_client::HttpClientBuilder;
use osis_core::json::Json;
use osis_rpc::{Caller, Limits, Service};
use serde_json::value::RawValue;

use super::print;
use crate::args::{Call, Common};
use crate::failure::Failure;
use crate::stores::{self, Purpose};

/// Largest answer that is taken from a server.
const ANSWER_MAX: u32 = 1 << 30;

pub(super) async fn run(common: &Common, options: &Call) -> Result<(), Failure> {
    let params = params(options)?;
    let answer = match &options.url {
        Some(url) => remote(url, &options.method, params).await,
        None => local(common, &options.method, params.as_deref()).await,
    }?;
    print(answer);
    Ok(())
}

/// The parameters as JSON text, checked to be a list or an object.
fn params(options: &Call) -> Result<Option<Box<RawValue>>, Failure> {
    let text = match options.params.as_deref() {
        None => return Ok(None),
        Some("-") => {
            let mut text = String::new();
            let read = std::io::stdin().read_to_string(&mut text);
            read.map_err(|error| Failure::new(format!("error: standard input: {error}")))?;
            text
        }
        Some(text) => text.to_owned(),
    };
    let wanted = "the parameters must be a JSON object or list";
    let json = Json::parse(text.as_bytes())
        .map_err(|error| Failure::misused(format!("{wanted}: {error}")))?;
    if !matches!(json, Json::Object(_) | Json::Array(_)) {
        return Err(Failure::misused(format!("{wanted}, not {}", json.kind())));
    }
    let raw = RawValue::from_string(text.trim().to_owned());
    raw.map(Some)
        .map_err(|error| Failure::misused(format!("{wanted}: {error}")))
}

/// Calls straight on the store, by the same code that serves.
async fn local(
    common: &Common,
    method: &str,
    params: Option<&RawValue>,
) -> Result<String, Failure> {
    // Any method may be called, and most make something: the log tells of a new store.
    let store = stores::open(common, Purpose::Fill)?;
    let service = Service::new(store.clone(), Limits::default());
    let params = match params {
        None => Json::Null,
        Some(raw) => Json::parse(raw.get().as_bytes())
            .map_err(|error| Failure::new(format!("error: the parameters: {error}")))?,
    };
    let answer = service.call(method, params, &Caller::operator()).await;
    store.close().await?;
    answer.map_err(|error| Failure::new(shown(&error)))
}

/// Calls on a server.
async fn remote(url: &str, method: &str, params: Option<Box<RawValue>>) -> Result<String, Failure> {
    let client = HttpClientBuilder::default()
        .max_response_size(ANSWER_MAX)
        .build(url)
        .map_err(|error| Failure::new(format!("error: {url} is no server's address: {error}")))?;
    match client
        .request::<Box<RawValue>, _>(method, Raw(params))
        .await
    {
        Ok(answer) => Ok(answer.get().to_owned()),
        Err(ClientError::Call(error)) => Err(Failure::new(shown(&error))),
        Err(error) => Err(Failure::new(format!(
            "error: the call of {url} failed: {error}"
        ))),
    }
}

/// An error object as JSON.
fn shown(error: &impl serde::Serialize) -> String {
    serde_json::to_string(error).unwrap_or_else(|error| format!("error: {error}"))
}

/// Parameters that are JSON text already.
struct Raw(Option<Box<RawValue>>);

impl ToRpcParams for Raw {
    fn to_rpc_params(self) -> Result<Option<Box<RawValue>>, serde_json::Error> {
        Ok(self.0)
    }
}
