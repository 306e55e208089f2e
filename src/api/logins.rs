//! Who is answered: a bearer's token or basic authentication, as the configuration has them.

use std::sync::Arc;

use axum::extract::Request;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::http::HeaderValue;
use axum::http::StatusCode;
use axum::http::header::AUTHORIZATION;
use axum::http::header::WWW_AUTHENTICATE;
use axum::middleware::Next;
use axum::response::Response;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha2::Digest;
use sha2::Sha256;

use super::answer::error;
use super::guard::reads;

/// Paths that supervisors ask: they tell nothing but whether the process is well.
const OPEN_PATHS: [&str; 2] = ["/live", "/ready"];

/// Somebody who is answered. The secret itself is not kept.
#[derive(Debug, Clone)]
pub struct Login {
    name: String,
    may_change: bool,
    secret: [u8; 32],
}

impl Login {
    /// Somebody who may ask for what changes nothing.
    #[must_use]
    pub fn reader(name: &str, secret: &str) -> Self {
        Self { name: name.to_owned(), may_change: false, secret: Sha256::digest(secret).into() }
    }

    /// Somebody who may change links.
    #[must_use]
    pub fn admin(name: &str, secret: &str) -> Self {
        Self { may_change: true, ..Self::reader(name, secret) }
    }
}

/// Who is answered.
#[derive(Debug, Clone)]
pub(super) struct Logins {
    /// All of them; everybody where nobody is named.
    pub(super) known: Arc<[Login]>,
    /// Whether only this machine reaches the address.
    pub(super) is_local: bool,
}

/// Whether whoever asks may change links.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct MayChange(pub(super) bool);

/// The name of the login with which something is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct LoggedIn(pub(super) String);

/// Lets through who has logged in, and may do what is asked.
pub(super) async fn logged_in(
    State(logins): State<Logins>,
    mut request: Request,
    next: Next,
) -> Response {
    let reads = reads(&request);
    if logins.known.is_empty() && !reads && !logins.is_local {
        let message = "others reach this address: changes take http.logins in the file";
        return error(StatusCode::FORBIDDEN, 403, message);
    }
    request.extensions_mut().insert(MayChange(logins.known.is_empty() && logins.is_local));
    if logins.known.is_empty() || OPEN_PATHS.contains(&request.uri().path()) {
        return next.run(request).await;
    }
    let Some(login) = who(&logins.known, request.headers()) else {
        let message =
            "a login of http.logins is asked for: a bearer's token or basic authentication";
        let mut answer = error(StatusCode::UNAUTHORIZED, 401, message);
        let challenge = HeaderValue::from_static("Basic realm=\"schema-mirror\"");
        answer.headers_mut().insert(WWW_AUTHENTICATE, challenge);
        return answer;
    };
    if !reads && !login.may_change {
        let message = "this login may read; changes take one with role admin";
        return error(StatusCode::FORBIDDEN, 403, message);
    }
    if !reads {
        tracing::info!(
            login = login.name, method = %request.method(), path = request.uri().path(), "asked to change"
        );
    }
    request.extensions_mut().insert(MayChange(login.may_change));
    request.extensions_mut().insert(LoggedIn(login.name.clone()));
    next.run(request).await
}

/// Digests are compared: the time that takes tells nothing of a secret.
fn who<'a>(logins: &'a [Login], headers: &HeaderMap) -> Option<&'a Login> {
    let given = headers.get(AUTHORIZATION)?.to_str().ok()?;
    let (scheme, rest) = given.split_once(' ')?;
    let (name, secret) = if scheme.eq_ignore_ascii_case("bearer") {
        (None, rest.trim().as_bytes().to_vec())
    } else if scheme.eq_ignore_ascii_case("basic") {
        let pair = STANDARD.decode(rest.trim()).ok()?;
        let colon = pair.iter().position(|byte| *byte == b':')?;
        let (name, secret) = pair.split_at_checked(colon)?;
        (Some(name.to_vec()), secret.get(1..)?.to_vec())
    } else {
        return None;
    };
    let secret: [u8; 32] = Sha256::digest(secret).into();
    let is_it = |login: &&Login| {
        login.secret == secret && name.as_ref().is_none_or(|name| login.name.as_bytes() == name)
    };
    logins.iter().find(is_it)
}

#[cfg(test)]
mod tests {
    use axum::Router;
    use axum::body::Body;
    use axum::middleware::from_fn_with_state;
    use hyper::service::Service;
    use hyper_util::service::TowerToHyperService;

    use super::*;

    #[track_caller]
    fn check(authorization: &str, expected: Option<&str>) {
        let logins =
            [Login::reader("eve", "eves-long-secret"), Login::admin("bob", "bobs-long-secret")];
        let mut headers = HeaderMap::new();
        headers.insert(AUTHORIZATION, authorization.parse().unwrap());
        let found = who(&logins, &headers).map(|login| login.name.as_str());
        assert_eq!(found, expected, "{authorization}");
    }

    fn basic(pair: &str) -> String {
        format!("Basic {}", STANDARD.encode(pair))
    }

    #[test]
    fn a_token_or_a_name_with_its_secret_tells_who_asks() {
        check("Bearer eves-long-secret", Some("eve"));
        check("bearer bobs-long-secret", Some("bob"));
        check(&basic("bob:bobs-long-secret"), Some("bob"));
        check(&basic("bob:eves-long-secret"), None);
        check(&basic("bob"), None);
        check(&basic("bob:"), None);
        check("Bearer eves-long-secre", None);
        check("Bearer ", None);
        check("Digest x", None);
        check("Basic !", None);
    }

    #[tokio::test]
    async fn without_logins_others_read_and_change_nothing() {
        for (is_local, asked, expected) in [
            (true, "PUT /a/exporters/x/pause", 200),
            (false, "PUT /a/exporters/x/pause", 403),
            (false, "PUT /a/mode/:.c:", 403),
            (false, "GET /a/subjects", 200),
            (false, "POST /a/subjects/s", 200),
        ] {
            let logins = Logins { known: Arc::default(), is_local };
            let router = Router::new().fallback(|| async {});
            let router = router.layer(from_fn_with_state(logins, logged_in));
            let (method, path) = asked.split_once(' ').unwrap();
            let request = Request::builder().method(method).uri(path).body(Body::empty());
            let answer = TowerToHyperService::new(router).call(request.unwrap()).await;
            assert_eq!(answer.unwrap().status().as_u16(), expected, "{asked}");
        }
    }

    #[test]
    fn no_secret_is_shown() {
        assert!(!format!("{:?}", Login::admin("bob", "hunter2hunter2")).contains("hunter2"));
    }
}
