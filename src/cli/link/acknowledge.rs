//! `link incidents ack` and `unack`: incidents that someone lets stand, or counts again.

use axum::http::Method;
use clap::Args;
use clap::Subcommand;
use serde_json::Value;
use serde_json::json;

use super::Mirror;
use super::Undone;
use super::change::Changed;
use super::text_of;
use super::typed::LinkName;
use crate::cli::output::counted;
use crate::cli::output::visible;
use crate::config::Environment;
use crate::config::ProcessEnvironment;
use crate::core::link::turn::Grounds;

/// Keys that are named of those that an answer is about.
const NAMED_MAX: usize = 5;
/// Variables with the name that someone logged in under on this machine: POSIX's, then BSD's.
const USER_NAMES: [&str; 2] = ["LOGNAME", "USER"];

const ACK_HELP: &str = "\
The incidents are shown as before, with who let them stand, when and why; they are in no alert,
make no exit code 1 of verify, plan and backfill, and hold up no `link wait`. That holds for good,
whichever instance runs the link, until the record in the source, or the reason, is another one:
that is a new incident. Held keys are not acknowledged: they go on by themselves.

Examples:
  schema-mirror link incidents ack to-dr 'users v1' --why 'nobody reads it, see OPS-17'
  schema-mirror link incidents ack to-dr --all --by alice --why 'left over from the old registry'

Exit codes: 0 done, 1 refused, 2 nobody could tell, 64 the command line is wrong.";

/// What is to become of incidents.
#[derive(Debug, Clone, Subcommand)]
pub(super) enum IncidentVerb {
    /// Let incidents stand: they are shown on, and make no exit code 1 any more.
    #[command(after_long_help = ACK_HELP)]
    #[command(
        override_usage = "schema-mirror link incidents ack [OPTIONS] --why <TEXT> <NAME> <KEY|--all>"
    )]
    Ack {
        #[command(flatten)]
        link: LinkName,
        #[command(flatten)]
        which: Which,
        /// Why they may stand: one line
        #[arg(long, value_name = "TEXT")]
        why: String,
        /// Who says so [default: the login of SCHEMA_MIRROR_TOKEN, else LOGNAME or USER]
        #[arg(long, value_name = "WHO")]
        by: Option<String>,
    },
    /// Have incidents count again that were let stand.
    #[command(override_usage = "schema-mirror link incidents unack [OPTIONS] <NAME> <KEY|--all>")]
    Unack {
        #[command(flatten)]
        link: LinkName,
        #[command(flatten)]
        which: Which,
    },
}

/// Which incidents are meant.
#[derive(Debug, Clone, Args)]
#[group(required = true, multiple = false)]
pub(super) struct Which {
    /// Their key, as `link incidents` prints it
    key: Option<String>,
    /// All that there are
    #[arg(long)]
    all: bool,
}

/// Does it, and says to which incidents.
pub(super) async fn turn(mirror: &Mirror, verb: &IncidentVerb) -> Result<Changed, Undone> {
    let (link, which, path) = match verb {
        IncidentVerb::Ack { link, which, .. } => (link, which, "/incidents/ack"),
        IncidentVerb::Unack { link, which } => (link, which, "/incidents/unack"),
    };
    let mut body = match &which.key {
        Some(key) => json!({ "key": key }),
        None => json!({ "all": true }),
    };
    if let (IncidentVerb::Ack { why, by, .. }, Some(body)) = (verb, body.as_object_mut()) {
        let by = who(by.as_deref(), mirror)?;
        Grounds::new(by.as_deref().unwrap_or("a login"), why).map_err(Undone::usage)?;
        body.insert("why".to_owned(), json!(why));
        body.extend(by.map(|by| ("by".to_owned(), json!(by))));
    }
    let document = mirror.ask(Method::POST, &mirror.link(link, path), Some(&body)).await?;
    let text = told(verb, &document);
    Ok(Changed { document, text })
}

/// Who lets incidents stand; `None` where the mirror knows by the login.
fn who(by: Option<&str>, mirror: &Mirror) -> Result<Option<String>, Undone> {
    if by.is_some() || mirror.caller.has_login() {
        return Ok(by.map(str::to_owned));
    }
    let user = USER_NAMES.iter().filter_map(|name| ProcessEnvironment.var(name));
    let user = user.into_iter().find(|user| !user.trim().is_empty());
    user.map(Some).ok_or_else(|| {
        let wrong = "say who lets them stand with --by WHO: there is no login, and neither LOGNAME nor USER is set";
        Undone::usage(wrong)
    })
}

fn told(verb: &IncidentVerb, document: &Value) -> String {
    let link = visible(&text_of(document.get("link")));
    let keys = document.get("keys").and_then(Value::as_array);
    let keys: Vec<String> =
        keys.into_iter().flatten().map(|key| visible(&text_of(Some(key)))).collect();
    let incidents = counted(keys.len(), "incident");
    let named = keys.iter().take(NAMED_MAX).cloned().collect::<Vec<_>>().join("; ");
    let more = match keys.len().saturating_sub(NAMED_MAX) {
        0 => String::new(),
        more => format!("; and {more} more"),
    };
    match verb {
        IncidentVerb::Ack { .. } => {
            format!("{incidents} of {link} acknowledged: {named}{more}")
        }
        IncidentVerb::Unack { .. } => {
            let count = if keys.len() == 1 { "counts" } else { "count" };
            format!("{incidents} of {link} {count} again: {named}{more}")
        }
    }
}
