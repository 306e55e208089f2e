//! Answers and errors in the form of a registry, and the bodies of requests.

use std::time::Duration;

use axum::body::to_bytes;
use axum::extract::Request;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use axum::response::Response;
use serde::Serialize;
use serde_json::Value;

/// What registries answer with, and their clients expect.
pub(super) const REGISTRY_JSON: &str = "application/vnd.schemaregistry.v1+json";
/// A body takes no more: definitions and settings are small.
const BODY_BYTES_MAX: usize = 1024 * 1024;
/// It has to be there within this long.
const BODY_WITHIN: Duration = Duration::from_secs(10);

/// An answer as registries give it.
#[derive(Debug)]
pub(super) struct Answer<T>(pub(super) T);

impl<T: Serialize> IntoResponse for Answer<T> {
    fn into_response(self) -> Response {
        match serde_json::to_vec(&self.0) {
            Ok(bytes) => ([(CONTENT_TYPE, REGISTRY_JSON)], bytes).into_response(),
            Err(fault) => {
                tracing::error!(reason = %fault, "an answer could not be written");
                StatusCode::INTERNAL_SERVER_ERROR.into_response()
            }
        }
    }
}

/// A call that was refused, with its answer.
#[derive(Debug)]
pub(super) struct Refusal(Box<Response>);

impl From<Response> for Refusal {
    fn from(answer: Response) -> Self {
        Self(Box::new(answer))
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        *self.0
    }
}

/// An error as registries give it.
pub(super) fn error(status: StatusCode, code: u32, message: &str) -> Response {
    let document = serde_json::json!({ "error_code": code, "message": message });
    (status, Answer(document)).into_response()
}

/// The JSON in a request's body.
pub(super) async fn body_of(request: Request) -> Result<Value, Refusal> {
    let read = tokio::time::timeout(BODY_WITHIN, to_bytes(request.into_body(), BODY_BYTES_MAX));
    let bytes = match read.await {
        Ok(Ok(bytes)) => bytes,
        Ok(Err(_)) => {
            let message = format!("the body is larger than {BODY_BYTES_MAX} bytes, or broke off");
            return Err(error(StatusCode::PAYLOAD_TOO_LARGE, 413, &message).into());
        }
        Err(_) => {
            let message = format!("the body did not come within {} s", BODY_WITHIN.as_secs());
            return Err(error(StatusCode::REQUEST_TIMEOUT, 408, &message).into());
        }
    };
    // The reason tells a place, and nothing of the text.
    serde_json::from_slice(&bytes).map_err(|fault| {
        let message =
            format!("the body is not JSON: line {}, column {}", fault.line(), fault.column());
        error(StatusCode::BAD_REQUEST, 400, &message).into()
    })
}
