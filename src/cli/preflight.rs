//! `preflight`: what a link needs before it starts, each thing passed or with what mends it.

use serde::Serialize;

use crate::cli::args::LinkSource;
use crate::cli::args::Output;
use crate::cli::args::Releases;
use crate::cli::exit;
use crate::cli::links::Link;
use crate::cli::links::Unusable;
use crate::cli::links::assignments;
use crate::cli::output;
use crate::cli::output::visible;
use crate::service::clock::SystemClock;
use crate::service::pipeline::Stop;
use crate::service::ports::Clock;
use crate::service::ports::FaultClass;
use crate::service::preflight::Check;
use crate::service::preflight::Finding;
use crate::service::preflight::Trouble;
use crate::service::preflight::examine;

/// One link, looked at. The fields of the JSON document are stable.
#[derive(Debug, Serialize)]
struct Answer {
    link: String,
    /// `passed`, `failed` (the link would not start) or `unknown` (a cluster could not be asked).
    result: &'static str,
    checks: Vec<CheckShown>,
}

#[derive(Debug, Serialize)]
struct CheckShown {
    /// `source` or `target`.
    side: &'static str,
    cluster: String,
    /// `names`, `reach`, `topic`, `rights`, `settings`, `release`, `clock` or `size`.
    check: &'static str,
    /// `passed`, `untold`, `warning`, `failed` or `unknown`.
    result: &'static str,
    found: String,
    /// The command that mends it.
    mend: Option<String>,
}

#[derive(Debug, Serialize)]
struct Answers {
    links: Vec<Answer>,
}

/// Looks at all links that are asked for.
pub(super) async fn preflight(
    links: &LinkSource,
    wanted: Output,
    clock: SystemClock,
) -> Result<u8, Unusable> {
    let mut answers = Vec::new();
    for link in assignments(links, Releases::default(), clock)? {
        let Link { source, target, definition, .. } = &link;
        let report = examine(source, target, definition, clock.wall_ms()).await;
        answers.push(answer_of(definition.rules.name.clone(), &report.checks));
    }
    let code = code_of(&answers);
    match wanted {
        Output::Table => {
            let texts: Vec<String> = answers.iter().map(text).collect();
            output::answer(&texts.join("\n"));
        }
        Output::Json => output::answer_json(&Answers { links: answers }),
    }
    Ok(code)
}

fn answer_of(link: String, checks: &[Check]) -> Answer {
    let checks: Vec<CheckShown> = checks.iter().map(shown).collect();
    let any = |result| checks.iter().any(|check| check.result == result);
    let result = match (any("unknown"), any("failed")) {
        (true, _) => "unknown",
        (false, true) => "failed",
        (false, false) => "passed",
    };
    Answer { link, result, checks }
}

fn shown(check: &Check) -> CheckShown {
    let (result, found, mend) = match &check.finding {
        Finding::Passed(seen) => ("passed", seen, None),
        Finding::Untold(why) => ("untold", why, None),
        Finding::Warned(Trouble { what, mend }) => ("warning", what, mend.as_deref()),
        Finding::Failed(Trouble { what, mend }, stop) => (result_of(stop), what, mend.as_deref()),
    };
    CheckShown {
        side: check.side.word(),
        cluster: check.cluster.clone(),
        check: check.about.word(),
        result,
        found: visible(found),
        mend: mend.map(visible),
    }
}

/// A right that is not granted is known to be missing; a broker that does not answer, or refuses the
/// login, tells nothing.
fn result_of(stop: &Stop) -> &'static str {
    match stop {
        Stop::Fault(fault) if fault.class == FaultClass::Missing => "failed",
        Stop::Fault(fault)
            if fault.class == FaultClass::NotPermitted && fault.operation != "reach" =>
        {
            "failed"
        }
        Stop::Fault(_) | Stop::LeaseLost | Stop::Shutdown => "unknown",
        Stop::Halt(_) => "failed",
    }
}

fn text(answer: &Answer) -> String {
    let count = |result| answer.checks.iter().filter(|check| check.result == result).count();
    let mut lines = vec![format!(
        "{}: {}; {} passed, {} with a warning, {} failed, {} not told",
        answer.link,
        answer.result,
        count("passed"),
        count("warning"),
        count("failed").saturating_add(count("unknown")),
        count("untold"),
    )];
    for CheckShown { side, check, result, found, mend, .. } in &answer.checks {
        lines.push(format!("{result:>8}  {side}  {check:<8}  {found}"));
        lines.extend(mend.iter().map(|mend| format!("          do: {mend}")));
    }
    let mut text = lines.join("\n");
    text.push('\n');
    text
}

/// The gravest answer decides.
fn code_of(answers: &[Answer]) -> u8 {
    answers
        .iter()
        .map(|answer| match answer.result {
            "passed" => exit::DONE,
            "failed" => exit::DIFFERENT,
            _ => exit::UNKNOWN,
        })
        .max()
        .unwrap_or(exit::DONE)
}
