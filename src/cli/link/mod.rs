//! `link`: what the links of a running mirror are doing, and changes to those made over REST.

mod acknowledge;
mod change;
mod definition;
mod export;
mod told;
mod typed;
mod watch;

use std::time::Duration;

use axum::http::Method;
use axum::http::StatusCode;
use serde_json::Value;

use self::change::ClusterUrls;
use self::change::Done;
use self::typed::LinkName;
use self::typed::LinkVerb;
pub use self::typed::LinkWords;
use self::typed::Watch;
use self::watch::Shown;
use crate::cli::args::Output;
use crate::cli::client::Answered;
use crate::cli::client::Caller;
use crate::cli::client::NoAnswer;
use crate::cli::client::in_path;
use crate::cli::exit;
use crate::cli::output;
use crate::config::ConfigError;
use crate::config::Defect;
use crate::service::clock::SystemClock;
use crate::service::ports::Clock;

/// Where a mirror on this machine is.
const URL: &str = "http://127.0.0.1:8080";
/// Between two questions whether a link has caught up.
const ASK_EVERY: Duration = Duration::from_millis(200);
/// A link stands still when it is told of so twice: one that was just told to go on is, for a
/// moment, told of as it was.
const STANDS_STILL_AFTER: u32 = 2;

/// Why a verb did not do what it was asked for.
#[derive(Debug)]
enum Undone {
    /// The mirror refused it, or could not be asked.
    NotAnswered(NoAnswer),
    /// A file, or what is written behind the verb, is wrong.
    File(ConfigError),
}

impl Undone {
    fn usage(wrong: impl Into<String>) -> Self {
        let right = "see --help of the verb".to_owned();
        let defects = vec![Defect { path: String::new(), wrong: wrong.into(), right }];
        Self::File(ConfigError { origin: "command line".to_owned(), defects })
    }

    /// The exit code: a refusal is an answer where something was to be done.
    fn code(&self, verb: &LinkVerb) -> u8 {
        let asks = match verb {
            LinkVerb::List { .. }
            | LinkVerb::Show { .. }
            | LinkVerb::Incidents { verb: None, .. }
            | LinkVerb::Wait { .. } => true,
            LinkVerb::Create { .. }
            | LinkVerb::Update { .. }
            | LinkVerb::Pause { .. }
            | LinkVerb::Resume { .. }
            | LinkVerb::Reset { .. }
            | LinkVerb::Delete { .. }
            | LinkVerb::Incidents { verb: Some(_), .. }
            | LinkVerb::Export { .. } => false,
        };
        match self {
            Self::File(_) => exit::USAGE,
            Self::NotAnswered(no) if no.is_refusal() && !asks => exit::DIFFERENT,
            Self::NotAnswered(_) => exit::UNKNOWN,
        }
    }
}

impl From<NoAnswer> for Undone {
    fn from(no: NoAnswer) -> Self {
        Self::NotAnswered(no)
    }
}

/// The mirror that is asked.
#[derive(Debug)]
struct Mirror {
    caller: Caller,
    url: String,
}

impl Mirror {
    fn of(words: &LinkWords) -> Result<Self, NoAnswer> {
        let given = words.url.as_ref();
        let own = Caller::mirror();
        // The token is for the mirror that the environment names, and for nobody else.
        let ca = words.ca.as_deref();
        let caller = match given {
            Some(url) if own.as_ref() != Some(url) => Caller::without_login(ca),
            Some(_) | None => Caller::of_environment(None, ca)?,
        };
        let url = given.cloned().or(own).unwrap_or_else(|| URL.to_owned());
        Ok(Self { caller, url: url.trim_end_matches('/').to_owned() })
    }

    async fn ask(
        &self,
        method: Method,
        url: &str,
        body: Option<&Value>,
    ) -> Result<Value, NoAnswer> {
        self.caller.asked(method, url, body).await
    }

    /// Where a link is asked about.
    fn link(&self, link: &LinkName, what: &str) -> String {
        let of_source = link.source.as_ref().map(|source| format!("?source={}", in_path(source)));
        let of_source = of_source.unwrap_or_default();
        format!("{}/links/{}{what}{of_source}", self.url, in_path(&link.name))
    }

    /// Where links of a source are made.
    fn exporters(&self, source: &str) -> String {
        format!("{}/{}/exporters", self.url, in_path(source))
    }

    /// Where one of them is changed.
    fn exporter(&self, source: &str, name: &str) -> String {
        format!("{}/{}", self.exporters(source), in_path(name))
    }

    /// All links.
    async fn links(&self) -> Result<Vec<Value>, NoAnswer> {
        let all = self.ask(Method::GET, &format!("{}/links", self.url), None).await?;
        Ok(all.get("links").and_then(Value::as_array).cloned().unwrap_or_default())
    }

    /// The source of the link that is meant.
    async fn source_of(&self, link: &LinkName) -> Result<String, NoAnswer> {
        if let Some(source) = &link.source {
            return Ok(source.clone());
        }
        let links = self.links().await?;
        let found = links.iter().filter(|one| text_of(one.get("link")) == link.name);
        let mut sources: Vec<String> = found.map(|one| text_of(one.get("source"))).collect();
        sources.sort();
        sources.dedup();
        let name = &link.name;
        match (sources.pop(), sources.as_slice()) {
            (Some(only), []) => Ok(only),
            (Some(last), others) => Err(NoAnswer::refused(format!(
                "several links are named {name}, from {} and {last}: say which with --source",
                others.join(", ")
            ))),
            (None, _) => Err(NoAnswer::refused(format!("no link is named {name}"))),
        }
    }

    /// The clusters of the mirror's file.
    async fn clusters(&self) -> Result<Vec<ClusterUrls>, NoAnswer> {
        let all = self.ask(Method::GET, &format!("{}/clusters", self.url), None).await?;
        let of = |cluster: &Value| {
            let urls = cluster.get("registry_urls").and_then(Value::as_array);
            let urls = urls.into_iter().flatten().map(|url| text_of(Some(url))).collect();
            (text_of(cluster.get("name")), urls)
        };
        Ok(all.as_array().into_iter().flatten().map(of).collect())
    }
}

/// Text as it was answered.
fn text_of(value: Option<&Value>) -> String {
    value.and_then(Value::as_str).unwrap_or_default().to_owned()
}

/// Asks and gives the exit code.
pub(super) async fn run(words: &LinkWords, wanted: Output, clock: SystemClock) -> u8 {
    match execute(words, wanted, clock).await {
        Ok(code) => code,
        Err(undone) => {
            let code = undone.code(&words.verb);
            match undone {
                Undone::NotAnswered(NoAnswer { reason, .. }) => {
                    output::complain(&format!("error: {reason}\n"));
                }
                Undone::File(error) => output::complain(&format!("error: {error}\n")),
            }
            code
        }
    }
}

async fn execute(words: &LinkWords, wanted: Output, clock: SystemClock) -> Result<u8, Undone> {
    let mirror = Mirror::of(words)?;
    let done = match &words.verb {
        LinkVerb::List { watch } => {
            let all = format!("{}/links", mirror.url);
            return shown(&mirror, &all, *watch, Shown { wanted, text: told::list }, clock).await;
        }
        LinkVerb::Show { link, watch } => {
            let one = mirror.link(link, "");
            return shown(&mirror, &one, *watch, Shown { wanted, text: told::link }, clock).await;
        }
        LinkVerb::Incidents { verb: Some(verb), .. } => acknowledge::turn(&mirror, verb).await?,
        LinkVerb::Incidents { verb: None, link, watch } => {
            let name_is_missing = || Undone::usage("NAME is missing: which link?");
            let url = mirror.link(link.as_ref().ok_or_else(name_is_missing)?, "/incidents");
            let text = told::incidents;
            return shown(&mirror, &url, *watch, Shown { wanted, text }, clock).await;
        }
        LinkVerb::Wait { link, offset, timeout, .. } => {
            let deadline = clock.monotonic().saturating_add(*timeout);
            let answer = wait(&mirror, link, *offset, deadline, clock).await?;
            let caught_up = answer.get("caught_up") == Some(&Value::Bool(true));
            show(&answer, wanted, &told::waited(&link.name, &answer));
            return Ok(if caught_up { exit::DONE } else { exit::DIFFERENT });
        }
        LinkVerb::Export { names, source } => {
            let (text, document) = export::export(&mirror, names, source.as_deref()).await?;
            show(&document, wanted, &text);
            return Ok(exit::DONE);
        }
        LinkVerb::Create { name, source, settings } => {
            change::create(&mirror, name, source.as_deref(), settings).await?
        }
        LinkVerb::Update { link, settings } => change::update(&mirror, link, settings).await?,
        LinkVerb::Pause { link } => change::act(&mirror, link, Done::Pause).await?,
        LinkVerb::Resume { link, fence_again } => {
            let done = if *fence_again { Done::FenceAgain } else { Done::Resume };
            change::act(&mirror, link, done).await?
        }
        LinkVerb::Reset { link } => change::act(&mirror, link, Done::Reset).await?,
        LinkVerb::Delete { link, purge: true } => change::purge(&mirror, link).await?,
        LinkVerb::Delete { link, purge: false } => change::act(&mirror, link, Done::Delete).await?,
    };
    show(&done.document, wanted, &format!("{}\n", done.text));
    Ok(exit::DONE)
}

/// Shows what is answered, once or for as long as it is watched.
async fn shown(
    mirror: &Mirror,
    url: &str,
    watch: Watch,
    shown: Shown,
    clock: SystemClock,
) -> Result<u8, Undone> {
    if watch.watch {
        return Ok(watch::watch(&mirror.caller, url, shown, clock).await?);
    }
    let document = mirror.ask(Method::GET, url, None).await?;
    show(&document, shown.wanted, &(shown.text)(&document));
    Ok(exit::DONE)
}

/// The last answer: that the link has caught up, that it stands still, or how far it was when the
/// time was over.
async fn wait(
    mirror: &Mirror,
    link: &LinkName,
    offset: Option<u64>,
    deadline: Duration,
    clock: SystemClock,
) -> Result<Value, NoAnswer> {
    let gate = mirror.link(link, "/caught-up");
    let gate = format!("{gate}{}", if link.source.is_some() { '&' } else { '?' });
    let mut question = match offset {
        Some(offset) => format!("{gate}offset={offset}"),
        None => format!("{gate}now=true"),
    };
    let mut stood_still: u32 = 0;
    loop {
        let Answered { status, body } = mirror.caller.ask(Method::GET, &question, None).await?;
        let is_over = clock.monotonic() >= deadline;
        // The source may be away for a moment: then nobody knows its end yet.
        if status == StatusCode::SERVICE_UNAVAILABLE && !is_over {
            clock.sleep(ASK_EVERY).await;
            continue;
        }
        let answer = Caller::accept(Answered { status, body })?;
        let stands = told::stands_still(&answer);
        stood_still = if stands { stood_still.saturating_add(1) } else { 0 };
        let caught_up = answer.get("caught_up") == Some(&Value::Bool(true));
        if is_over || caught_up || stood_still >= STANDS_STILL_AFTER {
            return Ok(answer);
        }
        // What "now" meant is settled by the first answer.
        if let Some(up_to) = answer.get("up_to").and_then(Value::as_i64) {
            question = format!("{gate}offset={up_to}");
        }
        clock.sleep(ASK_EVERY).await;
    }
}

fn show(document: &Value, wanted: Output, text: &str) {
    match wanted {
        Output::Json => output::answer_json(document),
        Output::Table => output::answer(text),
    }
}
