//! The answer of `inspect`, for people and as JSON.

use crate::cli::args;
use crate::cli::args::Output;
use crate::cli::exit;
use crate::cli::links::Clusters;
use crate::cli::links::Unusable;
use crate::cli::links::property_defects;
use crate::cli::output;
use crate::cli::output::counted;
use crate::cli::patience::answer_of;
use crate::cli::render::Rows;
use crate::cli::render::bytes;
use crate::cli::render::percent;
use crate::cli::render::visible;
use crate::cli::render::visible_json;
use crate::cli::render::wrapped;
use crate::cli::render::wrapped_command;
use crate::config::ClusterConfig;
use crate::config::ConfigError;
use crate::config::ProcessEnvironment;
use crate::service::clock::SystemClock;
use crate::service::inspect::Fate;
use crate::service::inspect::FateReport;
use crate::service::inspect::Inspection;
use crate::service::inspect::SubjectReport;
use crate::service::inspect::TopicReport;
use crate::service::inspect::VersionReport;
use crate::service::inspect::WriterKind;
use crate::service::inspect::inspect;
use crate::service::ports::Clock;
use crate::service::ports::Fault;
use crate::service::worker::ONE_SHOT_LIMIT;

/// Rows of a table of subjects, modes, configs or references; JSON has them all.
const ROWS_MAX: usize = 1_000;
/// Columns of the table of contexts.
const CONTEXTS: [&str; 7] =
    ["context", "listed", "subjects", "all deleted", "versions", "soft-deleted", "highest id"];
/// Columns of the table of subjects.
const SUBJECTS: [&str; 6] = ["context", "subject", "versions", "ids", "type", "references"];
/// Records of one fate that are shown.
const RECORDS_MAX: usize = 20;
/// Versions, or ids, that are written out; of more, the first and the last ones.
const NUMBERS_MAX: usize = 12;
/// Of these, at each end.
const NUMBERS_AT_ENDS: usize = 4;
/// References of a subject that are written out.
const REFERENCES_MAX: usize = 3;

/// Looks at a topic and prints what it says.
pub(super) async fn run(
    what: &args::Inspection,
    wanted: Output,
    clock: SystemClock,
) -> Result<u8, Unusable> {
    let mut config = ClusterConfig::for_inspection(&what.cluster, &ProcessEnvironment)?;
    let defects = property_defects(&config, |property| format!("--property {property}"));
    if !defects.is_empty() {
        return Err(ConfigError { origin: "command line".to_owned(), defects }.into());
    }
    let bootstrap = config.bootstrap_servers.join(",");
    // What a fault calls it: there is no other name for it here.
    config.name.clone_from(&bootstrap);
    let cluster = Clusters::named("inspect".to_owned(), clock).get(&config)?;
    let topic = &config.schemas_topic;
    let inspected = async {
        answer_of(&cluster, clock).await?;
        inspect(&cluster, topic, what.context.as_ref(), what.subject.as_ref()).await
    };
    let answer = tokio::select! {
        answer = inspected => answer.map_err(|fault: Fault| fault.to_string()),
        () = clock.sleep(ONE_SHOT_LIMIT) => {
            Err(format!("no answer from {bootstrap} within {} s", ONE_SHOT_LIMIT.as_secs()))
        }
    };
    Ok(match answer {
        Ok(inspection) => {
            output::answer(&render(&inspection, wanted));
            exit_code(&inspection)
        }
        Err(reason) => {
            match wanted {
                Output::Table => output::complain(&format!("{}\n", visible(&reason))),
                Output::Json => output::answer_json(&serde_json::json!({ "error": reason })),
            }
            exit::UNKNOWN
        }
    })
}

/// The answer as text, with a line feed at its end.
#[must_use]
pub fn render(inspection: &Inspection, output: Output) -> String {
    match output {
        Output::Table => tables(inspection),
        Output::Json => {
            // Plain structs of strings and numbers can't fail to serialise.
            let document = serde_json::to_string_pretty(inspection).unwrap_or_default();
            format!("{}\n", visible_json(&document))
        }
    }
}

/// What the shell is told: whether anything is wrong, or what was asked for is not there.
#[must_use]
pub fn exit_code(inspection: &Inspection) -> u8 {
    let found = inspection.missing.is_none();
    if inspection.sound && found { exit::DONE } else { exit::DIFFERENT }
}

fn tables(inspection: &Inspection) -> String {
    let topic = &inspection.topic;
    let mut out = wrapped(
        "",
        "",
        &format!("{} at {} (cluster {})", topic.name, topic.bootstrap, topic.cluster_id),
    );
    out.push_str(&problems(inspection));
    out.push_str(&section("Topic", &about_topic(inspection)));
    out.push_str(&section(&narrowed("Contexts", inspection), &contexts(inspection)));
    out.push_str(&section(&narrowed("Subjects", inspection), &subjects(&inspection.subjects)));
    out.push_str(&section(&narrowed("Modes", inspection), &modes(inspection)));
    out.push_str(&section(&narrowed("Configs", inspection), &configs(inspection)));
    out.push_str(&section("References that lead to nothing", &dangling(inspection)));
    out.push_str(&section("Subjects open below a fence", &opened(inspection)));
    for report in &inspection.records {
        out.push_str(&section(title(report.fate), &records(report)));
    }
    out.push_str(&section("Kinds of records", &kinds(inspection)));
    out.push_str(&section("Spellings of keys", &spellings(inspection)));
    out.push_str(&section("Writers", &writers(inspection)));
    out
}

fn section(title: &str, body: &str) -> String {
    if body.is_empty() { String::new() } else { format!("\n{title}\n{body}") }
}

fn narrowed(title: &str, inspection: &Inspection) -> String {
    let narrow = &inspection.narrowed_to;
    match (&narrow.subject, &narrow.context) {
        (Some(only), _) | (None, Some(only)) => format!("{title} (only {})", visible(only)),
        (None, None) => title.to_owned(),
    }
}

fn problems(inspection: &Inspection) -> String {
    let mut out = inspection.missing.iter().fold(String::new(), |out, missing| {
        out + "\n" + &wrapped("", "", &format!("The topic holds no {missing}."))
    });
    let verdict = match (inspection.problems.len(), &inspection.missing) {
        (0, None) => "Nothing is wrong.".to_owned(),
        (0, Some(_)) => "Nothing is wrong with the topic.".to_owned(),
        (many, _) => counted(many, "problem"),
    };
    out.extend(["\n", verdict.as_str(), "\n"]);
    for (number, problem) in (1u32..).zip(&inspection.problems) {
        out.push_str(&wrapped(&format!("{number:>3}. "), "     ", &problem.what));
        out.push_str(&wrapped_command("     do: ", "         ", &problem.mend));
    }
    for note in &inspection.notes {
        out.push_str(&wrapped("  note: ", "        ", note));
    }
    out
}

fn about_topic(inspection: &Inspection) -> String {
    let topic = &inspection.topic;
    let TopicReport { partitions, replication, brokers, start, end, records_read, .. } = topic;
    let mut lines = vec![
        format!("topic id {}", topic.topic_id.as_deref().unwrap_or("not told by the broker")),
        format!("partitions {partitions}, replicas {replication}, brokers {brokers}"),
        format!("offsets {start} to {end}, {records_read} records read"),
        format!("dialect {}: {}", inspection.dialect.name, inspection.dialect.why),
    ];
    if let Some(settings) = &topic.settings {
        let number = |value: Option<i64>| value.map_or_else(|| "?".to_owned(), |v| v.to_string());
        lines.push(format!(
            "cleanup.policy={} delete.retention.ms={} min.insync.replicas={} max.message.bytes={} \
             message.timestamp.type={}",
            settings.cleanup_policy,
            number(settings.delete_retention_ms),
            number(settings.min_insync_replicas),
            number(settings.max_message_bytes),
            settings.timestamp_type
        ));
    }
    let compaction = &inspection.compaction;
    let (superseded, records) = (compaction.superseded, compaction.records);
    lines.push(format!(
        "compaction would remove up to {superseded} of {records} records ({}), {} of {}; {} tombstones \
         go delete.retention.ms later",
        percent(superseded, records),
        bytes(compaction.superseded_bytes),
        bytes(compaction.bytes),
        compaction.tombstones
    ));
    lines.iter().map(|line| wrapped("  ", "    ", line)).collect()
}

fn contexts(inspection: &Inspection) -> String {
    let mut rows = Rows::new(&CONTEXTS);
    for context in &inspection.contexts {
        rows.add([
            context.name.clone(),
            if context.declared { "yes" } else { "no" }.to_owned(),
            context.live_subjects.to_string(),
            context.deleted_subjects.to_string(),
            context.live_versions.to_string(),
            context.deleted_versions.to_string(),
            context.highest_id.map_or_else(|| "-".to_owned(), |id| id.to_string()),
        ]);
    }
    rows.text()
}

fn subjects(subjects: &[SubjectReport]) -> String {
    let mut rows = Rows::new(&SUBJECTS).names(&[1, 5]);
    for subject in subjects.iter().take(ROWS_MAX) {
        let versions = subject.versions.iter();
        let marked = versions.map(|v| format!("{}{}", v.version, if v.deleted { "†" } else { "" }));
        let ids = subject.versions.iter().map(|version| version.id.to_string());
        rows.add([
            subject.context.clone(),
            subject.name.clone(),
            numbers(marked.collect()),
            numbers(ids.collect()),
            types(&subject.versions),
            references(&subject.versions),
        ]);
    }
    let mut text = rows.text();
    text.push_str(&rest(subjects.len()));
    if subjects.iter().any(|subject| subject.versions.iter().any(|version| version.deleted)) {
        text.push_str("† soft-deleted\n");
    }
    text
}

fn rest(all: usize) -> String {
    match all.checked_sub(ROWS_MAX) {
        None | Some(0) => String::new(),
        Some(more) => format!("… and {more} more; --output json lists all\n"),
    }
}

fn numbers(all: Vec<String>) -> String {
    if all.len() <= NUMBERS_MAX {
        return all.join(", ");
    }
    let first: Vec<&str> = all.iter().take(NUMBERS_AT_ENDS).map(String::as_str).collect();
    let skipped = all.len().saturating_sub(NUMBERS_AT_ENDS);
    let last: Vec<&str> = all.iter().skip(skipped).map(String::as_str).collect();
    format!("{}, …, {} ({} in all)", first.join(", "), last.join(", "), all.len())
}

fn types(versions: &[VersionReport]) -> String {
    let mut seen: Vec<&str> = versions.iter().map(|version| version.schema_type.as_str()).collect();
    seen.dedup();
    seen.join(", ")
}

/// Each subject that is referenced once, with the newest version that is asked for.
fn references(versions: &[VersionReport]) -> String {
    let mut seen: Vec<(&str, i64)> = Vec::new();
    for reference in versions.iter().rev().flat_map(|version| &version.references) {
        if !seen.iter().any(|(subject, _)| *subject == reference.subject) {
            seen.push((&reference.subject, reference.version));
        }
    }
    let more = seen.len().saturating_sub(REFERENCES_MAX);
    let shown = seen.iter().take(REFERENCES_MAX);
    let mut shown: Vec<String> = shown.map(|(subject, v)| format!("{subject} v{v}")).collect();
    if more > 0 {
        shown.push(format!("and {more} more"));
    }
    shown.join(",\n")
}

fn modes(inspection: &Inspection) -> String {
    let mut rows = Rows::new(&["context", "subject", "mode", "offset"]).fixed(&[2, 3]).names(&[1]);
    for mode in inspection.modes.iter().take(ROWS_MAX) {
        rows.add([
            mode.context.clone(),
            subject_or_reach(mode.subject.as_deref(), &mode.holds_for),
            mode.mode.clone(),
            mode.offset.to_string(),
        ]);
    }
    rows.text() + &rest(inspection.modes.len())
}

fn configs(inspection: &Inspection) -> String {
    let columns = ["context", "subject", "level", "alias", "other settings", "offset"];
    let mut rows = Rows::new(&columns).fixed(&[2, 5]).names(&[1, 3, 4]);
    for config in inspection.configs.iter().take(ROWS_MAX) {
        let deks = config.alias_for_deks.as_ref().map(|alias| format!("{alias} (for deks)"));
        let aliases: Vec<String> = config.alias.clone().into_iter().chain(deks).collect();
        rows.add([
            config.context.clone(),
            subject_or_reach(config.subject.as_deref(), &config.holds_for),
            config.level.clone().unwrap_or_else(|| "-".to_owned()),
            aliases.join("\n"),
            config.others.join("\n"),
            config.offset.to_string(),
        ]);
    }
    rows.text() + &rest(inspection.configs.len())
}

/// No subject's name is taken for this: it stands in parentheses beside the context it is about.
fn subject_or_reach(subject: Option<&str>, holds_for: &str) -> String {
    let reach = holds_for.trim_start_matches("the ");
    subject.map_or_else(|| format!("({reach})"), str::to_owned)
}

fn dangling(inspection: &Inspection) -> String {
    let columns = ["subject", "version", "refers to", "version", "offset"];
    let mut rows = Rows::new(&columns).fixed(&[1, 3, 4]).names(&[0, 2]);
    for reference in inspection.dangling_references.iter().take(ROWS_MAX) {
        rows.add([
            reference.subject.clone(),
            reference.version.to_string(),
            reference.to_subject.clone(),
            reference.to_version.to_string(),
            reference.offset.to_string(),
        ]);
    }
    rows.text() + &rest(inspection.dangling_references.len())
}

fn opened(inspection: &Inspection) -> String {
    let columns = ["subject", "mode", "fence of the context", "offset"];
    let mut rows = Rows::new(&columns).fixed(&[1, 2, 3]).names(&[0]);
    for opened in inspection.opened_subjects.iter().take(ROWS_MAX) {
        let (subject, mode, fence) = (&opened.subject, &opened.mode, &opened.fence);
        rows.add([subject.clone(), mode.clone(), fence.clone(), opened.offset.to_string()]);
    }
    rows.text() + &rest(inspection.opened_subjects.len())
}

fn title(fate: Fate) -> &'static str {
    match fate {
        Fate::Dies => "Records that a registry dies of",
        Fate::Hangs => "Records that a registry hangs at",
        Fate::Misreads => "Records that a registry misreads",
        Fate::Ignores => "Records that a registry ignores",
        Fate::LosesId => "Records whose id is taken by another text",
        Fate::Notable => "Worth knowing",
    }
}

fn records(report: &FateReport) -> String {
    let mut rows = Rows::new(&["offset", "key", "reason"]).fixed(&[0]);
    let shown = report.listed.iter().take(RECORDS_MAX);
    for finding in shown.clone() {
        let releases = finding.releases.as_ref().map(|releases| format!(" (releases: {releases})"));
        rows.add([
            finding.offset.to_string(),
            finding.key.clone(),
            format!("{}{}", finding.reason, releases.unwrap_or_default()),
        ]);
    }
    let shown = u64::try_from(shown.count()).unwrap_or(u64::MAX);
    match report.total.saturating_sub(shown) {
        0 => rows.text(),
        more => format!("{}… and {more} more\n", rows.text()),
    }
}

fn kinds(inspection: &Inspection) -> String {
    let mut rows = Rows::new(&["kind", "records", "of these deletions"]);
    for kind in &inspection.kinds {
        rows.add([kind.kind.clone(), kind.records.to_string(), kind.deletions.to_string()]);
    }
    rows.text()
}

fn spellings(inspection: &Inspection) -> String {
    let mut rows = Rows::new(&["spelling", "records", "for example"]).fixed(&[0, 1]);
    for spelling in &inspection.spellings {
        let (words, example) = (&spelling.words, &spelling.example);
        rows.add([words.clone(), spelling.records.to_string(), example.clone()]);
    }
    rows.text()
}

fn writers(inspection: &Inspection) -> String {
    let mut rows = Rows::new(&["writer", "name", "records", "newest offset"]);
    for writer in &inspection.writers {
        let kind = match writer.writer {
            WriterKind::SchemaMirror => "a link of schema-mirror",
            WriterKind::Karapace => "Karapace",
            WriterKind::Redpanda => "Redpanda",
            WriterKind::Unmarked => "a registry without mark",
        };
        rows.add([
            kind.to_owned(),
            writer.name.clone().unwrap_or_default(),
            writer.records.to_string(),
            writer.last_offset.to_string(),
        ]);
    }
    rows.text()
}
