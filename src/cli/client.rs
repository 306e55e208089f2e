//! Asking a running schema-mirror over HTTP.

use std::path::Path;
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
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http_body_util::BodyExt;
use http_body_util::Full;
use http_body_util::Limited;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::io::AsyncRead;
use tokio::io::AsyncWrite;
use tokio::net::TcpStream;

use crate::cli::output;
use crate::cli::secure::Trust;
use crate::config::Environment;
use crate::config::ProcessEnvironment;

/// Where the mirror is.
const MIRROR_URL: &str = "SCHEMA_MIRROR_URL";
/// The token of a login there.
const TOKEN: &str = "SCHEMA_MIRROR_TOKEN";
/// An answer takes no longer: a change waits up to 10 s for its cluster, more than once.
const ANSWER_WITHIN: Duration = Duration::from_secs(60);
/// An answer is no larger.
const ANSWER_BYTES_MAX: usize = 16 * 1024 * 1024;

/// Why there is no answer to give, in words for whoever typed the command.
#[derive(Debug, thiserror::Error)]
#[error("{reason}")]
pub(super) struct NoAnswer {
    pub(super) reason: String,
    /// The code of the error that was answered.
    pub(super) code: Option<u64>,
}

impl NoAnswer {
    /// For a reason of this side.
    pub(super) fn new(reason: impl Into<String>) -> Self {
        Self { reason: reason.into(), code: None }
    }

    /// For what the mirror would refuse.
    pub(super) fn refused(reason: impl Into<String>) -> Self {
        Self { reason: reason.into(), code: Some(400) }
    }

    /// Whether the mirror says no, which is another thing than that it can't tell.
    pub(super) fn is_refusal(&self) -> bool {
        // Registries put digits of their own behind the status.
        self.code.is_some_and(|code| code.to_string().starts_with('4'))
    }
}

/// What was answered.
#[derive(Debug)]
pub(super) struct Answered {
    pub(super) status: StatusCode,
    pub(super) body: Value,
}

/// Who asks.
#[derive(Debug)]
pub(super) struct Caller {
    login: Option<HeaderValue>,
    trust: Trust,
}

impl Caller {
    /// Whoever has the login `NAME:SECRET`, or the token of the environment, or none, and trusts the
    /// authorities of the file, or of the environment, or those that the system trusts.
    pub(super) fn of_environment(
        user_info: Option<&str>,
        ca: Option<&Path>,
    ) -> Result<Self, NoAnswer> {
        let trust = Trust::of_environment(ca);
        // It is for the mirror that the environment names, and for nobody else.
        let token = Self::mirror().and_then(|_| ProcessEnvironment.var(TOKEN));
        let token = token.filter(|token| !token.is_empty());
        let given = match (user_info, token) {
            (Some(pair), _) => format!("Basic {}", STANDARD.encode(pair)),
            (None, Some(token)) => format!("Bearer {token}"),
            (None, None) => return Ok(Self { login: None, trust }),
        };
        let mut login = HeaderValue::from_str(&given)
            .map_err(|_| NoAnswer::new(format!("{TOKEN} holds characters that no token has")))?;
        login.set_sensitive(true);
        Ok(Self { login: Some(login), trust })
    }

    /// Whoever has none, with the same trust.
    pub(super) fn without_login(ca: Option<&Path>) -> Self {
        Self { login: None, trust: Trust::of_environment(ca) }
    }

    /// Whether the mirror is told who asks.
    pub(super) fn has_login(&self) -> bool {
        self.login.is_some()
    }

    /// The mirror that the environment names.
    pub(super) fn mirror() -> Option<String> {
        ProcessEnvironment.var(MIRROR_URL).filter(|url| !url.is_empty())
    }

    /// What is answered to a call that succeeds.
    pub(super) async fn asked(
        &self,
        method: Method,
        url: &str,
        body: Option<&Value>,
    ) -> Result<Value, NoAnswer> {
        Self::accept(self.ask(method, url, body).await?)
    }

    /// What is answered.
    pub(super) async fn ask(
        &self,
        method: Method,
        url: &str,
        body: Option<&Value>,
    ) -> Result<Answered, NoAnswer> {
        let talk = self.talk(method, url, body);
        match tokio::time::timeout(ANSWER_WITHIN, talk).await {
            Ok(answered) => answered,
            Err(_) => {
                let limit = ANSWER_WITHIN.as_secs();
                Err(NoAnswer::new(format!("{url} did not answer within {limit} s")))
            }
        }
    }

    async fn talk(
        &self,
        method: Method,
        url: &str,
        body: Option<&Value>,
    ) -> Result<Answered, NoAnswer> {
        let uri: Uri =
            url.parse().map_err(|_| NoAnswer::new(format!("{url} is not an address")))?;
        let own_port = match uri.scheme_str() {
            Some("http") => 80,
            Some("https") => 443,
            _ => {
                let wrong = format!("{url}: a schema-mirror is asked over http:// or https://");
                return Err(NoAnswer::new(wrong));
            }
        };
        let authority =
            uri.authority().ok_or_else(|| NoAnswer::new(format!("{url} names no host")))?;
        let (host, port) = (authority.host(), authority.port_u16().unwrap_or(own_port));
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let text = body.map(Value::to_string).unwrap_or_default();
        let path = uri.path_and_query().map_or("/", |path| path.as_str());
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header(HOST, authority.as_str())
            .header(CONTENT_TYPE, "application/json")
            .body(Full::new(Bytes::from(text)))
            .map_err(|cause| lost(url, &cause))?;
        if let Some(login) = &self.login {
            request.headers_mut().insert(AUTHORIZATION, login.clone());
        }
        let stream = TcpStream::connect((host, port)).await.map_err(|cause| lost(url, &cause))?;
        if own_port == 80 {
            return converse(stream, request, url).await;
        }
        let told = |reason| NoAnswer::new(format!("ask {url}: {reason}"));
        let stream = self.trust.greet(host, stream).await.map_err(told)?;
        converse(stream, request, url).await
    }

    /// The answer of a call that succeeded.
    pub(super) fn accept(answered: Answered) -> Result<Value, NoAnswer> {
        let Answered { status, body } = answered;
        if status.is_success() {
            return Ok(body);
        }
        let message = body.get("message").and_then(Value::as_str).unwrap_or("no reason is given");
        let code = body.get("error_code").and_then(Value::as_u64);
        let code = code.unwrap_or_else(|| u64::from(status.as_u16()));
        let reason = format!("{}; error code: {code}", output::visible(message));
        Err(NoAnswer { reason, code: Some(code) })
    }
}

/// A name as a part of a path.
pub(super) fn in_path(name: &str) -> String {
    let spelled = |byte: u8| {
        if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
            char::from(byte).to_string()
        } else {
            format!("%{byte:02X}")
        }
    };
    name.bytes().map(spelled).collect()
}

fn lost(url: &str, cause: &dyn std::fmt::Display) -> NoAnswer {
    NoAnswer::new(format!("ask {url}: {cause}; is that a schema-mirror that runs?"))
}

/// One request and its answer over a connection.
async fn converse<S>(
    stream: S,
    request: Request<Full<Bytes>>,
    url: &str,
) -> Result<Answered, NoAnswer>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (mut sender, connection) =
        http1::handshake(TokioIo::new(stream)).await.map_err(|cause| lost(url, &cause))?;
    let driven = tokio::spawn(connection);
    let response = sender.send_request(request).await.map_err(|cause| {
        if cause.is_parse() && url.starts_with("http://") {
            // What TLS says to whoever does not greet it.
            return NoAnswer::new(format!(
                "ask {url}: it does not speak HTTP there; is that https://?"
            ));
        }
        lost(url, &cause)
    })?;
    let status = response.status();
    let body = Limited::new(response.into_body(), ANSWER_BYTES_MAX).collect().await;
    let bytes = body.map_err(|cause| lost(url, &cause))?.to_bytes();
    driven.abort();
    let body = if bytes.is_empty() {
        Value::Null
    } else {
        serde_json::from_slice(&bytes).map_err(|_| {
            NoAnswer::new(format!("{url} answered {status}, and no JSON: that is no schema-mirror"))
        })?
    };
    Ok(Answered { status, body })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_told_from_a_mirror_that_can_not_tell() {
        let no = |code| NoAnswer { reason: String::new(), code };
        assert!([404, 409, 40951].into_iter().all(|code| no(Some(code)).is_refusal()));
        assert!(![503, 50003].into_iter().any(|code| no(Some(code)).is_refusal()));
        assert!(!no(None).is_refusal());
    }

    #[test]
    fn names_are_spelled_for_paths() {
        assert_eq!(in_path("a b/ü"), "a%20b%2F%C3%BC");
    }
}
