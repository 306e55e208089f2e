//! The files of the page.

use axum::extract::Path;
use axum::http::HeaderMap;
use axum::http::HeaderName;
use axum::http::HeaderValue;
use axum::http::StatusCode;
use axum::http::header::CACHE_CONTROL;
use axum::http::header::CONTENT_SECURITY_POLICY;
use axum::http::header::CONTENT_TYPE;
use axum::http::header::REFERRER_POLICY;
use axum::http::header::X_CONTENT_TYPE_OPTIONS;
use axum::http::header::X_FRAME_OPTIONS;
use axum::response::IntoResponse;
use axum::response::Response;

use crate::api::answer::error;

/// Scripts, styles and pictures come from here and nowhere else, nothing is inline, no other site puts
/// the page into a frame, and no form or base leads away.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; \
                      connect-src 'self'; base-uri 'none'; form-action 'none'; \
                      frame-ancestors 'none'";

/// What goes with every file. A new binary has new ones: browsers ask again.
const HEADERS: [(HeaderName, HeaderValue); 5] = [
    (CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY)),
    (X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    (X_FRAME_OPTIONS, HeaderValue::from_static("DENY")),
    (REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
    (CACHE_CONTROL, HeaderValue::from_static("no-cache")),
];

const HTML: &str = "text/html; charset=utf-8";
const STYLE: &str = "text/css; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";
const PICTURE: &str = "image/svg+xml";

/// All files but the page itself, by their names.
const FILES: [(&str, &str, &str); 12] = [
    ("style.css", STYLE, include_str!("web/style.css")),
    ("icon.svg", PICTURE, include_str!("web/icon.svg")),
    ("main.js", SCRIPT, include_str!("web/main.js")),
    ("diff.js", SCRIPT, include_str!("web/diff.js")),
    ("dom.js", SCRIPT, include_str!("web/dom.js")),
    ("link.js", SCRIPT, include_str!("web/link.js")),
    ("live.js", SCRIPT, include_str!("web/live.js")),
    ("overview.js", SCRIPT, include_str!("web/overview.js")),
    ("picture.js", SCRIPT, include_str!("web/picture.js")),
    ("schema.js", SCRIPT, include_str!("web/schema.js")),
    ("subjects.js", SCRIPT, include_str!("web/subjects.js")),
    ("words.js", SCRIPT, include_str!("web/words.js")),
];

pub(super) async fn index() -> Response {
    answer(HTML, include_str!("web/index.html"))
}

pub(super) async fn file(Path(name): Path<String>) -> Response {
    match FILES.iter().find(|(known, ..)| *known == name) {
        Some((_, kind, text)) => answer(kind, text),
        None => error(StatusCode::NOT_FOUND, 404, "the page has no such file"),
    }
}

fn answer(kind: &'static str, text: &'static str) -> Response {
    let mut headers: HeaderMap = HEADERS.into_iter().collect();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    (headers, text).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_a_file_of_the_page_names_is_part_of_the_binary() {
        let texts = FILES.iter().map(|(_, _, text)| *text);
        let mut missing = Vec::new();
        for text in texts.chain([include_str!("web/index.html")]) {
            let imports = text.split("from './").skip(1);
            let linked = text.split("\"/ui/").skip(1);
            let named = imports.chain(linked).filter_map(|rest| rest.split(['\'', '"']).next());
            missing.extend(named.filter(|name| !FILES.iter().any(|(known, ..)| known == name)));
        }
        assert_eq!(missing, [""; 0]);
    }

    #[test]
    fn nothing_that_the_policy_refuses_is_in_the_page() {
        let texts = FILES.iter().map(|(name, _, text)| (*name, *text));
        for (name, text) in texts.chain([("index.html", include_str!("web/index.html"))]) {
            for inline in
                [" style=\"", " onclick=", "javascript:", "innerHTML", "eval(", "https://"]
            {
                assert!(!text.contains(inline), "{name} holds {inline}");
            }
        }
    }
}
