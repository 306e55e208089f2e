//! Requests that nobody thought of: words that registries and exporters know, beside others and in any
//! order, with spellings that go wrong somewhere.

use proptest::collection::vec;
use proptest::prelude::Strategy;
use proptest::prelude::any;
use proptest::prop_oneof;
use proptest::sample::select;

/// A request; its path begins with a slash.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) query: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

const METHODS: [&str; 7] = ["GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"];

/// Words of paths, the more telling ones more than once.
const STEPS: &[&str] = &[
    "subjects",
    "subjects",
    "schemas",
    "ids",
    "versions",
    "versions",
    "latest",
    "contexts",
    ".source",
    "config",
    "mode",
    "exporters",
    "exporters",
    "x",
    "status",
    "pause",
    "resume",
    "reset",
    "v1",
    "metadata",
    "id",
    "version",
    "compatibility",
    "referencedby",
    "schema",
    "types",
    "1",
    "7",
];

/// What is odd in them.
const ODD: &[&str] = &[
    "",
    "%",
    "%2",
    "%zz",
    "%ff",
    "%00",
    "%0a",
    "%2F",
    "%25",
    "%C3%A4",
    "%ed%a0%80",
    "%F0%9F%98%80",
    ":.source:",
    "%3A.source%3A",
    ":.source:orders",
    ":.a",
    ":.a:b:c",
    ":*:",
    ":.:",
    ":.__GLOBAL:",
    ":",
    "::",
    ".",
    "..",
    "-1",
    "0",
    "2147483647",
    "2147483648",
    "99999999999999999999",
    "+1",
    "1.0",
    "null",
    "*",
    "__EMPTY",
    "a+b",
    "a%20b",
    "~",
    "\u{e4}",
    "\u{1f600}",
];

const PARTS: &[&str] = &[
    "subject",
    "subjectPrefix",
    "deleted",
    "deletedOnly",
    "latestOnly",
    "offset",
    "limit",
    "defaultToGlobal",
    "normalize",
    "permanent",
    "force",
    "fetchMaxId",
    "format",
    "aliases",
    "now",
];

const HEADERS: &[&str] = &[
    "If-None-Match",
    "Content-Type",
    "Accept",
    "Accept-Encoding",
    "Origin",
    "Authorization",
    "Expect",
    "Range",
    "X-HTTP-Method-Override",
    "Sec-Fetch-Site",
];

/// Bodies that are meant, or nearly.
const BODIES: &[&str] = &[
    "",
    "{}",
    "[]",
    "null",
    "1",
    "\"",
    "{\"schema\":",
    "\u{feff}{}",
    r#"{"schema":"\"int\""}"#,
    r#"{"schema":"int","schemaType":"AVRO"}"#,
    r#"{"schema":"{\"type\":\"record\",\"name\":\"a..b\",\"fields\":[{}]}"}"#,
    r#"{"schema":"message A {","schemaType":"PROTOBUF"}"#,
    r##"{"schema":"{\"$ref\":\"#\"}","schemaType":"JSON","references":[{"name":1}]}"##,
    r#"{"schema":"\"int\"","id":-1,"version":9223372036854775807,"references":[{}]}"#,
    r#"{"schema":7,"schemaType":[],"metadata":{"tags":1},"ruleSet":null}"#,
    r#"{"mode":"IMPORT"}"#,
    r#"{"mode":"READWRITE"}"#,
    r#"{"mode":{}}"#,
    r#"{"compatibility":"FULL"}"#,
    r#"{"compatibility":7}"#,
    r#"{"name":"x"}"#,
    r#"{"name":"\u0000/","subjects":[":*:","a*b",""]}"#,
    r#"{"name":"y","contextType":"CUSTOM","context":":.a:","config":{"schema.registry.url":"http://["}}"#,
    r#"{"name":"z","subjectRenameFormat":"${subject}${subject}","config":{"schema.registry.url":",,"}}"#,
    r#"{"config":{"schema.registry.url":"http://a:99999","mirror.fence":"IMPORT"}}"#,
    r#"{"a":"\ud800"}"#,
    r#"{"a":1e999}"#,
];

fn step() -> impl Strategy<Value = String> {
    prop_oneof![
        6 => select(STEPS).prop_map(str::to_owned),
        3 => select(ODD).prop_map(str::to_owned),
        1 => "[!-~]{1,6}",
    ]
}

fn query() -> impl Strategy<Value = String> {
    let value = prop_oneof![
        select(&["true", "TRUE", "false", "1", "-1", "x"][..]).prop_map(str::to_owned),
        select(ODD).prop_map(str::to_owned),
    ];
    let name = prop_oneof![
        5 => select(PARTS).prop_map(str::to_owned),
        1 => "[!-~]{0,4}",
    ];
    vec((name, value).prop_map(|(name, value)| format!("{name}={value}")), 0..4)
        .prop_map(|parts| parts.join("&"))
}

fn body() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        6 => select(BODIES).prop_map(|body| body.as_bytes().to_vec()),
        1 => vec(any::<u8>(), 0..64),
        1 => (1_usize..5_000).prop_map(|depth| "[".repeat(depth).into_bytes()),
        1 => (1_usize..5_000).prop_map(|depth| {
            let schema = ["[".repeat(depth), "]".repeat(depth)].concat();
            serde_json::json!({ "schema": schema }).to_string().into_bytes()
        }),
    ]
}

/// Any request.
pub(crate) fn request() -> impl Strategy<Value = Request> {
    let method = prop_oneof![
        8 => select(&METHODS[..]).prop_map(str::to_owned),
        1 => "[A-Z]{1,9}",
    ];
    let path = vec(step(), 0..7).prop_map(|steps| format!("/{}", steps.join("/")));
    let header = (select(HEADERS).prop_map(str::to_owned), "[ -~]{0,12}");
    (method, path, query(), vec(header, 0..3), body()).prop_map(
        |(method, path, query, headers, body)| Request { method, path, query, headers, body },
    )
}
