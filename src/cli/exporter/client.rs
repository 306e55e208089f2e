//! Asking a running schema-mirror over HTTP.

use std::time::Duration;

use axum::body::Bytes;
use axum::http::HeaderValue;
use axum::http::Method;
use axum::http::Request;
use axum::http::StatusCode;
use axum::http::Uri;
use axum::http::header::AUTHORIZATION;
use axum::http::header::CONTENT_TYPE;
use axum::http::header::HOST;
use http_body_util::BodyExt;
use http_body_util::Full;
use http_body_util::Limited;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpStream;

/// An answer takes no longer: a change waits up to 10 s for its cluster, more than once.
const ANSWER_WITHIN: Duration = Duration::from_secs(60);
/// An answer is no larger.
const ANSWER_BYTES_MAX: usize = 16 * 1024 * 1024;

/// Why there is no answer to give, in words for whoever typed the command.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(super) struct NoAnswer(pub(super) String);

/// What was answered.
#[derive(Debug)]
pub(super) struct Answered {
    pub(super) status: StatusCode,
    pub(super) body: Value,
}

/// Asks an address, under a login where there is one.
pub(super) async fn ask(
    method: Method,
    url: &str,
    body: Option<&Value>,
    login: Option<&HeaderValue>,
) -> Result<Answered, NoAnswer> {
    match tokio::time::timeout(ANSWER_WITHIN, talk(method, url, body, login)).await {
        Ok(answered) => answered,
        Err(_) => {
            Err(NoAnswer(format!("{url} did not answer within {} s", ANSWER_WITHIN.as_secs())))
        }
    }
}

async fn talk(
    method: Method,
    url: &str,
    body: Option<&Value>,
    login: Option<&HeaderValue>,
) -> Result<Answered, NoAnswer> {
    let lost = |cause: &dyn std::fmt::Display| {
        NoAnswer(format!("ask {url}: {cause}; is that a schema-mirror that runs?"))
    };
    let uri: Uri = url.parse().map_err(|_| NoAnswer(format!("{url} is not an address")))?;
    if uri.scheme_str() != Some("http") {
        return Err(NoAnswer(format!("{url}: a schema-mirror is asked over http://")));
    }
    let authority = uri.authority().ok_or_else(|| NoAnswer(format!("{url} names no host")))?;
    let (host, port) = (authority.host(), authority.port_u16().unwrap_or(80));
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let stream = TcpStream::connect((host, port)).await.map_err(|cause| lost(&cause))?;
    let (mut sender, connection) =
        http1::handshake(TokioIo::new(stream)).await.map_err(|cause| lost(&cause))?;
    let driven = tokio::spawn(connection);
    let text = body.map(Value::to_string).unwrap_or_default();
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    let mut request = Request::builder()
        .method(method)
        .uri(path)
        .header(HOST, authority.as_str())
        .header(CONTENT_TYPE, "application/json")
        .body(Full::new(Bytes::from(text)))
        .map_err(|cause| lost(&cause))?;
    if let Some(login) = login {
        request.headers_mut().insert(AUTHORIZATION, login.clone());
    }
    let response = sender.send_request(request).await.map_err(|cause| lost(&cause))?;
    let status = response.status();
    let body = Limited::new(response.into_body(), ANSWER_BYTES_MAX).collect().await;
    let bytes = body.map_err(|cause| lost(&cause))?.to_bytes();
    driven.abort();
    let body = if bytes.is_empty() {
        Value::Null
    } else {
        serde_json::from_slice(&bytes).map_err(|_| {
            NoAnswer(format!("{url} answered {status}, and no JSON: that is no schema-mirror"))
        })?
    };
    Ok(Answered { status, body })
}
