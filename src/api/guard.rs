//! Calls that change something, made by a page that someone happens to look at: they are refused.

use std::net::IpAddr;
use std::net::SocketAddr;

use axum::extract::Request;
use axum::http::HeaderMap;
use axum::http::Method;
use axum::http::StatusCode;
use axum::http::header::AUTHORIZATION;
use axum::http::header::HOST;
use axum::http::header::ORIGIN;
use axum::middleware::Next;
use axum::response::Response;

use super::answer::error;

/// Lets through what changes nothing, and what no other site's page has sent.
pub(super) async fn same_site(request: Request, next: Next) -> Response {
    if reads(&request) || !is_cross_site(request.headers()) {
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
fn is_cross_site(headers: &HeaderMap) -> bool {
    let said = |name: &str| headers.get(name).map(|value| value.to_str().unwrap_or("unreadable"));
    if said("sec-fetch-site").is_some_and(|site| !matches!(site, "same-origin" | "none")) {
        return true;
    }
    let Some(origin) = said(ORIGIN.as_str()) else { return false };
    let host = said(HOST.as_str()).unwrap_or_default();
    // A name of someone else's can be made to mean this machine, and its page then seems to be ours.
    let is_proven = is_address(host) || headers.contains_key(AUTHORIZATION);
    !is_proven || origin.split_once("://").is_none_or(|(_, from)| from != host)
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
        let mut headers = HeaderMap::new();
        for (name, value) in given {
            headers.insert(*name, value.parse().unwrap());
        }
        let told = if is_cross_site(&headers) { "another site" } else { "ours" };
        assert_eq!(told, sender, "{given:?}");
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
