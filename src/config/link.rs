//! One link: which subjects go from where to where, and how.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::config::cluster::ClusterConfig;
use crate::config::defect::Defect;
use crate::config::defect::Refusal;
use crate::config::keys;
use crate::config::section::Section;
use crate::config::words;
use crate::core::dialect::Dialect;
use crate::core::filter::SubjectFilter;
use crate::core::format::SubjectFormat;
use crate::core::naming::Naming;
use crate::core::record::Offset;
use crate::core::renames::NotARule;
use crate::core::renames::RenameList;
use crate::core::renames::pairs_of;
use crate::core::rules::Compatibility;
use crate::core::rules::DeleteLimit;
use crate::core::rules::DriftPolicy;
use crate::core::rules::Fence;
use crate::core::rules::Placement;
use crate::core::rules::References;
use crate::core::rules::Rules;
use crate::core::subject::ContextName;
use crate::core::subject::NotAContext;

/// What to write where a pattern was refused.
const PATTERN: &str = "write a name, *, a prefix orders*, a regex /orders-.+/, \
                       or :.staging:* for a context of the source";

/// Where subjects go, as far as it is known before the source was asked for its id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ContextChoice {
    /// Into a context of this name.
    Into(ContextName),
    /// Nowhere else: they keep their names.
    Same,
    /// Into a context that has the source's Kafka cluster id for a name.
    Auto,
}

impl ContextChoice {
    /// Reads one as files have it.
    ///
    /// # Errors
    /// What is wrong with it, and what is right.
    pub fn parse(given: &str) -> Result<Self, String> {
        context(&Value::from(given)).map_err(|Refusal { wrong, right }| format!("{wrong}; {right}"))
    }
}

/// A link as it was written, checked.
#[derive(Debug, Clone)]
pub struct LinkConfig {
    /// The link's name.
    pub name: String,
    /// The name of the cluster it reads.
    pub source: String,
    /// The name of the cluster it writes.
    pub target: String,
    /// Where subjects go.
    pub context: ContextChoice,
    /// Which subjects go there.
    pub subjects: SubjectFilter,
    /// What they are called there.
    pub naming: Naming,
    /// The fence on what the link owns.
    pub fence: Fence,
    /// What to do about references that the subjects leave behind.
    pub references: References,
    /// What to do about drift.
    pub drift: DriftPolicy,
    /// Whether keys in the scope that no link wrote become the link's own.
    pub adopt: bool,
    /// When too much is deleted.
    pub delete_limit: DeleteLimit,
    /// A brake that halts the link at or before this offset of the source is released, once.
    pub allow_deletes_until: Option<Offset>,
    /// How the source's registry spells.
    pub source_dialect: Dialect,
    /// How the target's registry spells, and what it reads.
    pub target_dialect: Dialect,
    /// The level of a context whose source says none.
    pub default_compatibility: Compatibility,
}

impl LinkConfig {
    /// A link with defaults for all that is not given.
    #[must_use]
    pub fn new(name: &str, source: &ClusterConfig, target: &ClusterConfig) -> Self {
        // Where no mode keeps anyone out, none is asked for.
        let fence = if target.dialect.has_modes() { Fence::Readonly } else { Fence::None };
        Self {
            name: name.to_owned(),
            source: source.name.clone(),
            target: target.name.clone(),
            context: ContextChoice::Auto,
            subjects: SubjectFilter::default_context(),
            naming: Naming::default(),
            fence,
            references: References::Follow,
            drift: DriftPolicy::Repair,
            adopt: false,
            delete_limit: DeleteLimit::default(),
            allow_deletes_until: None,
            source_dialect: source.dialect,
            target_dialect: target.dialect,
            default_compatibility: source.default_compatibility,
        }
    }

    /// What the link does to records, once the id of the source's Kafka cluster is known.
    ///
    /// # Errors
    /// `auto`, and the cluster has an id that can't be the name of a context.
    pub fn rules(&self, source_cluster_id: &str) -> Result<Rules, NotAContext> {
        let placement = match &self.context {
            ContextChoice::Into(context) => Placement::Into(context.clone()),
            ContextChoice::Same => Placement::Same,
            ContextChoice::Auto => Placement::Into(own_context(source_cluster_id)?),
        };
        Ok(self.rules_with(placement))
    }

    /// The same before any cluster is asked; with `auto` the context stands in until then.
    #[must_use]
    pub fn rules_before_cluster(&self) -> Rules {
        self.rules_with(match &self.context {
            ContextChoice::Into(context) => Placement::Into(context.clone()),
            ContextChoice::Same => Placement::Same,
            ContextChoice::Auto => Placement::Into(ContextName::from_record(".auto")),
        })
    }

    pub(super) fn rules_with(&self, placement: Placement) -> Rules {
        Rules {
            name: self.name.clone(),
            placement,
            filter: self.subjects.clone(),
            naming: self.naming.clone(),
            fence: self.fence,
            references: self.references,
            drift: self.drift,
            default_compatibility: self.default_compatibility,
            source_dialect: self.source_dialect,
            target_dialect: self.target_dialect,
            delete_limit: self.delete_limit,
        }
    }
}

/// A context that is not the default one.
fn own_context(given: &str) -> Result<ContextName, NotAContext> {
    let context = ContextName::new(given)?;
    if context.is_default() {
        let reason = "it is the default context, which a link owns with none only";
        return Err(NotAContext { given: given.to_owned(), reason });
    }
    Ok(context)
}

/// The clusters that a link can name: those that could be read, and the names of all.
#[derive(Debug, Clone, Copy)]
pub(super) struct Known<'a> {
    pub(super) clusters: &'a BTreeMap<String, ClusterConfig>,
    pub(super) names: &'a [&'a str],
}

/// Reads one link; `None` where anything is wrong with it.
pub(super) fn read_link(
    path: &str,
    value: &Value,
    known: Known<'_>,
    defects: &mut Vec<Defect>,
) -> Option<LinkConfig> {
    let given = defects.len();
    let mut section = Section::open(path, value, keys::LINK, defects)?;
    let name = section.required("name", "write a name for logs and metrics", words::name);
    let source = read_end(&mut section, "source", known);
    let target = read_end(&mut section, "target", known);
    // A stand-in for a cluster that could not be read: its links are refused with it.
    let unread = ClusterConfig::new("", Vec::new());
    let cluster =
        |end: Option<&str>| end.and_then(|name| known.clusters.get(name)).unwrap_or(&unread);
    let fallback = LinkConfig::new(&name.unwrap_or_default(), cluster(source), cluster(target));
    let share_max = fallback.delete_limit.share_max;
    let delete_limit = DeleteLimit {
        share_max: section.or("max_delete_share", share_max, words::share),
        ..fallback.delete_limit
    };
    let link = LinkConfig {
        context: section.or("context", fallback.context, context),
        subjects: read_subjects(&mut section).unwrap_or(fallback.subjects),
        naming: read_naming(&mut section).unwrap_or(fallback.naming),
        fence: section.or("fence", fallback.fence, fence),
        references: section.or("references", fallback.references, references),
        drift: section.or("drift", fallback.drift, drift),
        adopt: section.or("adopt", fallback.adopt, words::switch),
        allow_deletes_until: section.optional("allow_deletes_until", words::offset),
        delete_limit,
        ..fallback
    };
    (defects.len() == given).then_some(link)
}

/// Reads which cluster stands at an end of the link.
fn read_end<'a>(section: &mut Section<'a, '_>, key: &str, known: Known<'_>) -> Option<&'a str> {
    let all = known.names.join(", ");
    let right = format!("write the name of a cluster: {all}");
    let value = section.required_raw(key, &right)?;
    match value.as_str() {
        Some(name) if known.names.contains(&name) => Some(name),
        Some(_) | None => {
            let wrong = format!("no cluster is named {}", words::describe(value));
            section.refuse(key, Refusal::new(wrong, right));
            None
        }
    }
}

fn read_subjects(section: &mut Section<'_, '_>) -> Option<SubjectFilter> {
    let value = section.raw("subjects")?;
    let path = section.path_of("subjects");
    let Some(items) = value.as_array().filter(|items| !items.is_empty()) else {
        let wrong = format!("{} is not a list of subjects", words::describe(value));
        section.refuse("subjects", Refusal::new(wrong, "write a list, such as [\"orders*\"]"));
        return None;
    };
    let mut patterns = Vec::new();
    for (index, item) in items.iter().enumerate() {
        let path = format!("{path}[{index}]");
        match item.as_str() {
            Some(pattern) => patterns.push((path, pattern)),
            None => {
                let wrong = format!("{} is not a pattern", words::describe(item));
                section.defects().push(Refusal::new(wrong, PATTERN).at(path));
            }
        }
    }
    subjects(&patterns, section.defects())
}

/// Reads patterns, each from its own path; notes every one that is wrong.
pub(super) fn subjects(
    patterns: &[(String, &str)],
    defects: &mut Vec<Defect>,
) -> Option<SubjectFilter> {
    for (path, pattern) in patterns {
        for fault in SubjectFilter::parse(&[pattern]).err().unwrap_or_default() {
            // A regex that can't be read is drawn over several lines; the last one says why.
            let wrong = match fault.reason.rsplit_once("\nerror: ") {
                Some((_, cause)) => format!("{pattern:?}: not a regex: {cause}"),
                None => fault.to_string(),
            };
            defects.push(Refusal::new(wrong, PATTERN).at(path));
        }
    }
    let all: Vec<&str> = patterns.iter().map(|(_, pattern)| *pattern).collect();
    SubjectFilter::parse(&all).ok()
}

/// Reads where subjects go.
pub(super) fn context(value: &Value) -> Result<ContextChoice, Refusal> {
    const RIGHT: &str = "write the name of a context, such as .source, or none or auto";
    match value.as_str() {
        Some("none") => Ok(ContextChoice::Same),
        Some("auto") => Ok(ContextChoice::Auto),
        Some(given) if ["none", "auto"].iter().any(|word| given.eq_ignore_ascii_case(word)) => {
            let lower = given.to_ascii_lowercase();
            let wrong = format!("{given} would be a context of that name");
            Err(Refusal::new(wrong, format!("write {lower}, or .{given} for the context")))
        }
        Some(given) => own_context(given)
            .map(ContextChoice::Into)
            .map_err(|fault| Refusal::new(fault.to_string(), RIGHT)),
        None => Err(Refusal::new(format!("{} is not a context", words::describe(value)), RIGHT)),
    }
}

/// Reads what subjects are called in the target: by a format, or by a list of rules.
fn read_naming(section: &mut Section<'_, '_>) -> Option<Naming> {
    let format = section.optional("subject_format", subject_format);
    let Some(list) = section.raw("subject_renames") else { return format.map(Naming::Format) };
    if section.raw("subject_format").is_some() {
        let right = "write one of the two: a rule { match: .*, replace: dr-$0 } does what dr-${subject} does";
        section.refuse("subject_renames", Refusal::new("subject_format stands there, too", right));
    }
    match read_renames(list) {
        Ok(list) => Some(Naming::List(list)),
        Err(faults) => {
            let path = section.path_of("subject_renames");
            for (place, refusal) in faults {
                let place = place.map(|place| format!("[{place}]")).unwrap_or_default();
                section.defects().push(refusal.at(format!("{path}{place}")));
            }
            None
        }
    }
}

/// Reads rules; what is wrong with each, by its place in the list.
fn read_renames(list: &Value) -> Result<RenameList, Vec<(Option<usize>, Refusal)>> {
    const RIGHT: &str = "write rules such as { match: \"prod-(.*)\", replace: \"$1\" }";
    let pairs =
        pairs_of(list).map_err(|(place, wrong)| vec![(place, Refusal::new(wrong, RIGHT))])?;
    RenameList::parse(&pairs).map_err(|faults| {
        let refused = |fault: NotARule| {
            let place = (!fault.given.is_empty()).then_some(fault.place);
            (place, Refusal::new(fault.to_string(), RIGHT))
        };
        faults.into_iter().map(refused).collect()
    })
}

/// Reads what subjects are called in the target.
pub(super) fn subject_format(value: &Value) -> Result<SubjectFormat, Refusal> {
    const RIGHT: &str = "write a format, such as dr-${subject}";
    match value.as_str() {
        Some(given) => {
            SubjectFormat::parse(given).map_err(|fault| Refusal::new(fault.to_string(), RIGHT))
        }
        None => Err(Refusal::new(format!("{} is not a format", words::describe(value)), RIGHT)),
    }
}

/// Reads which mode is set on what the link owns.
pub(super) fn fence(value: &Value) -> Result<Fence, Refusal> {
    let words = [("readonly", Fence::Readonly), ("import", Fence::Import), ("none", Fence::None)];
    words::one_of(value, "a fence", &words)
}

/// Reads what is done about references that are left behind.
pub(super) fn references(value: &Value) -> Result<References, Refusal> {
    let words = [("follow", References::Follow), ("hold", References::Hold)];
    words::one_of(value, "a way with references", &words)
}

fn drift(value: &Value) -> Result<DriftPolicy, Refusal> {
    let words = [("repair", DriftPolicy::Repair), ("report", DriftPolicy::Report)];
    words::one_of(value, "a way with drift", &words)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn link(given: &str) -> LinkConfig {
        let source = ClusterConfig::new("source", vec!["a:1".to_owned()]);
        let context = context(&Value::from(given)).unwrap();
        LinkConfig { context, ..LinkConfig::new("link", &source, &source) }
    }

    #[track_caller]
    fn check(context: &str, id: &str, placement: Option<Placement>) {
        assert_eq!(
            link(context).rules(id).ok().map(|rules| rules.placement),
            placement,
            "{context}"
        );
    }

    fn into(name: &str) -> Option<Placement> {
        Some(Placement::Into(ContextName::from_record(name)))
    }

    #[test]
    fn a_context_is_a_name_with_or_without_its_dot_or_none_or_auto() {
        check(".source", "x", into(".source"));
        check("source", "x", into(".source"));
        check(".none", "x", into(".none"));
        check("none", "x", Some(Placement::Same));
        check("auto", "4L6g3nShT-eMCtK--X86sw", into(".4L6g3nShT-eMCtK--X86sw"));
    }

    #[test]
    fn none_and_auto_in_other_letters_are_not_taken_for_contexts() {
        for (given, right) in [("NONE", "write none"), ("Auto", "write auto")] {
            let refused = context(&Value::from(given)).unwrap_err();
            assert!(refused.right.starts_with(right), "{given}: {}", refused.right);
        }
        check(".NONE", "x", into(".NONE"));
    }

    #[test]
    fn an_id_that_names_no_context_never_makes_the_default_one() {
        check("auto", "", None);
        check("auto", ".", None);
        check("auto", "a:b", None);
    }

    #[test]
    fn the_default_context_is_not_a_context_to_go_into() {
        for bad in [".", "", ":.a:", "*", "a b"] {
            assert!(context(&Value::from(bad)).is_err(), "{bad:?}");
        }
    }
}
