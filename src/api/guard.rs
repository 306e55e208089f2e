//! Calls that change something, made by a page that someone happens to look at: they are refused.

use std::net::IpAddr;
use std::net::SocketAddr;

use axum::extract::Request;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::http::Method;
use axum::http::StatusCode;
use axum::http::header::AUTHORIZATION;
use axum::http::header::HOST;
use axum::http::header::ORIGIN;
use axum::middleware::Next;
use axum::response::Response;

use super::answer::error;

/// How an address is spoken to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Spoken {
    /// In plain HTTP: by whoever asks, or by a proxy that ends TLS before us.
    Plain,
    /// Over TLS.
    Tls,
}

impl Spoken {
    /// The scheme in which a page of ours has come, where that is known: a proxy says what it was asked
    /// over (`X-Forwarded-Proto`). A page of another site can't say so: its browser would ask us first
    /// whether it may.
    fn scheme(self, forwarded: Option<&str>) -> Option<&str> {
        match self {
            Self::Tls => Some("https"),
            Self::Plain => forwarded.map(|all| all.split(',').next().unwrap_or_default().trim()),
        }
    }
}

/// Lets through what changes nothing, and what no other site's page has sent.
pub(super) async fn same_site(
    State(spoken): State<Spoken>,
    request: Request,
    next: Next,
) -> Response {
    if reads(&request) || !is_cross_site(spoken, request.headers()) {
        return next.run(request).await;
    }
    let message =
        "a page of another site sent this; changes are taken from this one and from tools only";
    error(StatusCode::FORBIDDEN, 403, message)
}

/// Whether a request changes nothing. Registries are asked with POST, too: whether a schema stands
/// there, and for the id that a registration would get.
pub(super) fn reads(request: &Request) -> bool {
    match *request.method() {
        Method::GET | Method::HEAD | Method::OPTIONS => true,
        Method::POST => {
            // A link may have any of these names.
            let mut steps = request.uri().path().split('/').skip(1);
            steps.next() != Some("links")
                && matches!(steps.next(), Some("subjects" | "contexts" | "compatibility"))
        }
        _ => false,
    }
}

/// Browsers say where a request comes from, tools don't.
fn is_cross_site(spoken: Spoken, headers: &HeaderMap) -> bool {
    let said = |name: &str| headers.get(name).map(|value| value.to_str().unwrap_or("unreadable"));
    if said("sec-fetch-site").is_some_and(|site| !matches!(site, "same-origin" | "none")) {
        return true;
    }
    let Some(origin) = said(ORIGIN.as_str()) else { return false };
    let host = said(HOST.as_str()).unwrap_or_default();
    // A name of someone else's can be made to mean this machine, and its page then seems to be ours.
    let is_proven = is_address(host) || headers.contains_key(AUTHORIZATION);
    let scheme = spoken.scheme(said("x-forwarded-proto"));
    let is_ours = |(by, from): (&str, &str)| {
        from == host && scheme.is_none_or(|scheme| scheme.eq_ignore_ascii_case(by))
    };
    !is_proven || !origin.split_once("://").is_some_and(is_ours)
}

/// Whether a host is an address of this machine's own, which no name server decides about.
fn is_address(host: &str) -> bool {
    let name = host.rsplit_once(':').map_or(host, |(name, _)| name);
    let is_ip = host.parse::<SocketAddr>().is_ok() || name.parse::<IpAddr>().is_ok();
    is_ip || name.eq_ignore_ascii_case("localhost")
}

#[cfg(test)]
mod tests {
    use axum::body::Body;

    use super::*;

    #[track_caller]
    fn check(given: &[(&'static str, &str)], sender: &str) {
        check_over(Spoken::Plain, given, sender);
    }

    #[track_caller]
    fn check_over(spoken: Spoken, given: &[(&'static str, &str)], sender: &str) {
        let mut headers = HeaderMap::new();
        for (name, value) in given {
            headers.insert(*name, value.parse().unwrap());
        }
        let told = if is_cross_site(spoken, &headers) { "another site" } else { "ours" };
        assert_eq!(told, sender, "{spoken:?} {given:?}");
    }

    #[test]
    fn a_page_that_came_in_another_scheme_is_of_another_site() {
        let (host, proxied) = (("host", "127.0.0.1:1"), ("x-forwarded-proto", "https, http"));
        let (plain, secure) = (("origin", "http://127.0.0.1:1"), ("origin", "https://127.0.0.1:1"));
        check_over(Spoken::Tls, &[host, secure], "ours");
        check_over(Spoken::Tls, &[host, plain], "another site");
        check_over(Spoken::Tls, &[host, plain, ("x-forwarded-proto", "http")], "another site");
        check(&[host, plain], "ours");
        // A proxy that does not say that it was asked over TLS.
        check(&[host, secure], "ours");
        check(&[host, secure, proxied], "ours");
        check(&[host, plain, proxied], "another site");
    }

    #[test]
    fn a_page_of_another_site_is_told_from_tools_and_from_our_own() {
        check(&[("host", "a:1")], "ours");
        check(
            &[
                ("host", "127.0.0.1:1"),
                ("origin", "http://127.0.0.1:1"),
                ("sec-fetch-site", "same-origin"),
            ],
            "ours",
        );
        check(&[("host", "a:1"), ("origin", "http://evil")], "another site");
        check(&[("host", "a:1"), ("origin", "null")], "another site");
        check(&[("host", "a:1"), ("sec-fetch-site", "cross-site")], "another site");
        check(&[("host", "a:1"), ("sec-fetch-site", "same-site")], "another site");
        check(&[("host", "[::1]:1"), ("origin", "http://[::1]:1")], "ours");
        check(&[("host", "localhost:1"), ("origin", "http://localhost:1")], "ours");
    }

    #[test]
    fn a_look_up_changes_nothing_and_what_is_not_known_to_be_one_may() {
        for (asked, expected) in [
            ("GET /a/exporters/x", true),
            ("HEAD /links", true),
            ("POST /a/subjects/s", true),
            ("POST /a/contexts/.c/subjects/s/versions", true),
            ("POST /links/subjects/incidents/ack", false),
            ("POST /a/exporters", false),
            ("POST /subjects/exporters", false),
            ("POST /a/%73ubjects/s", false),
            ("PUT /a/mode/:.c:", false),
            ("DELETE /a/subjects/s", false),
            ("PROPFIND /a/subjects", false),
        ] {
            let (method, path) = asked.split_once(' ').unwrap();
            let request = Request::builder().method(method).uri(path);
            let request = request.body(Body::empty()).unwrap();
            assert_eq!(reads(&request), expected, "{asked}");
        }
    }

    #[test]
    fn a_name_that_was_made_to_mean_this_machine_proves_nothing() {
        let rebound = [("host", "evil:1"), ("origin", "http://evil:1")];
        check(&rebound, "another site");
        let [host, origin] = rebound;
        check(&[host, origin, ("authorization", "Bearer x")], "ours");
    }
}
