//! What a registry holds that reads the topic now, as lists.

use std::collections::BTreeSet;

use super::Fate;
use super::document::ConfigReport;
use super::document::ContextReport;
use super::document::DanglingReference;
use super::document::ModeReport;
use super::document::OpenedSubject;
use super::document::ReferenceReport;
use super::document::SubjectReport;
use super::document::VersionReport;
use super::fate::Verdict;
use super::inspector::Inspector;
use super::inspector::spoken;
use crate::core::json::Object;
use crate::core::key::Key;
use crate::core::key::Version;
use crate::core::subject::ContextName;
use crate::core::subject::Subject;
use crate::core::value::Mode;
use crate::core::view::ConfigView;
use crate::core::view::ContextView;
use crate::core::view::ModeView;
use crate::core::view::SubjectView;
use crate::core::view::VersionView;
use crate::core::view::View;

/// What lists are narrowed to.
#[derive(Debug, Clone, Default)]
pub(super) struct Choice {
    pub(super) context: Option<ContextName>,
    pub(super) subject: Option<Subject>,
}

impl Choice {
    /// An unqualified subject beside a context means the subject in that context.
    pub(super) fn new(context: Option<&ContextName>, subject: Option<&Subject>) -> Self {
        let subject = subject.map(|subject| match context {
            Some(context) if subject.context.is_default() => Subject::new(context, &subject.name),
            Some(_) | None => subject.clone(),
        });
        Self { context: context.cloned(), subject }
    }

    fn takes_context(&self, context: &ContextName) -> bool {
        self.context.as_ref().is_none_or(|chosen| chosen == context)
            && self.subject.as_ref().is_none_or(|chosen| chosen.context == *context)
    }

    /// A context's own settings belong to what is shown of its subjects.
    fn takes(&self, subject: &Subject) -> bool {
        self.takes_context(&subject.context)
            && (subject.is_context() || self.subject.as_ref().is_none_or(|s| s == subject))
    }
}

/// The lists, narrowed.
#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) contexts: Vec<ContextReport>,
    pub(super) subjects: Vec<SubjectReport>,
    pub(super) modes: Vec<ModeReport>,
    pub(super) configs: Vec<ConfigReport>,
}

impl State {
    pub(super) fn of(inspector: &Inspector, choice: &Choice) -> Self {
        let mut state = Self::default();
        for (context, view) in inspector.view.contexts() {
            if choice.takes_context(context) {
                state.contexts.push(context_report(context, view));
            }
            for (name, held) in view.subjects() {
                let subject = Subject::new(context, name);
                if choice.takes(&subject) {
                    state.add(inspector, &subject, held);
                }
            }
        }
        state
    }

    /// What was chosen and is not there, in words.
    pub(super) fn missing(&self, choice: &Choice) -> Option<String> {
        if let Some(subject) = &choice.subject {
            let modes = self.modes.iter().map(|mode| &mode.subject);
            let configs = self.configs.iter().map(|config| &config.subject);
            let stands = !self.subjects.is_empty() || modes.chain(configs).any(Option::is_some);
            return (!stands).then(|| format!("subject {subject}"));
        }
        let context = choice.context.as_ref()?;
        let holds = |report: &ContextReport| {
            report.declared || report.live_versions > 0 || report.deleted_versions > 0
        };
        let stands =
            self.contexts.iter().any(holds) || !self.modes.is_empty() || !self.configs.is_empty();
        (!stands).then(|| format!("context {context}"))
    }

    fn add(&mut self, inspector: &Inspector, subject: &Subject, held: &SubjectView) {
        if let Some(mode) = &held.mode {
            self.modes.push(mode_report(subject, mode));
        }
        if let Some(config) = &held.config {
            self.configs.push(config_report(subject, config));
        }
        if !held.versions().is_empty() {
            let versions = held.versions().iter();
            self.subjects.push(SubjectReport {
                context: subject.context.to_string(),
                name: subject.name.to_string(),
                deleted: !held.is_live(),
                versions: versions.map(|held| version_report(inspector, subject, held)).collect(),
            });
        }
    }
}

fn context_report(context: &ContextName, view: &ContextView) -> ContextReport {
    let mut report = ContextReport {
        name: context.to_string(),
        declared: needs_no_record(context) || view.declared.is_some(),
        live_subjects: 0,
        deleted_subjects: 0,
        live_versions: 0,
        deleted_versions: 0,
        highest_id: None,
    };
    for (_, subject) in view.subjects() {
        let (live, deleted): (Vec<_>, Vec<_>) =
            subject.versions().iter().partition(|version| !version.deleted);
        let count = |list: &[&VersionView]| u64::try_from(list.len()).unwrap_or(u64::MAX);
        report.live_versions = report.live_versions.saturating_add(count(&live));
        report.deleted_versions = report.deleted_versions.saturating_add(count(&deleted));
        let (subjects, any) = if live.is_empty() {
            (&mut report.deleted_subjects, !deleted.is_empty())
        } else {
            (&mut report.live_subjects, true)
        };
        *subjects = subjects.saturating_add(u64::from(any));
        let highest = subject.versions().iter().map(|version| version.id).max();
        report.highest_id = report.highest_id.max(highest);
    }
    report
}

/// The default context, and the names that stand for several.
fn needs_no_record(context: &ContextName) -> bool {
    context.is_default() || context.is_global() || context.is_wildcard()
}

fn version_report(inspector: &Inspector, subject: &Subject, held: &VersionView) -> VersionReport {
    let schema_type = inspector.types.get(&(subject.clone(), held.version));
    let references = held.content.references().iter().map(|reference| ReferenceReport {
        name: reference.name.to_string(),
        subject: reference.subject.to_string(),
        version: reference.version,
    });
    VersionReport {
        version: held.version.get(),
        id: held.id,
        deleted: held.deleted,
        schema_type: schema_type.map_or_else(|| "AVRO".to_owned(), String::clone),
        references: references.collect(),
        offset: held.offset,
    }
}

fn mode_report(subject: &Subject, held: &ModeView) -> ModeReport {
    let mut holds_for = holds_for(subject);
    if held.mode == Mode::ReadonlyOverride && subject.is_context() && subject.context.is_default() {
        holds_for = "everything, in releases before 8.0.4".to_owned();
    }
    ModeReport {
        context: subject.context.to_string(),
        subject: named(subject),
        mode: held.mode.as_str().to_owned(),
        holds_for,
        offset: held.stamp.offset,
    }
}

fn config_report(subject: &Subject, held: &ConfigView) -> ConfigReport {
    let known = ["subject", "compatibilityLevel", "alias", "aliasForDeks", "offset", "ts"];
    let bytes = &held.value.bytes;
    let object = Object::parse(bytes).unwrap_or_default();
    let others: BTreeSet<String> = object
        .fields()
        .iter()
        .filter(|field| field.raw(bytes) != "null")
        .filter_map(|field| field.name(bytes).map(|name| name.into_owned()))
        .filter(|name| !known.contains(&name.as_str()))
        .collect();
    ConfigReport {
        context: subject.context.to_string(),
        subject: named(subject),
        level: held.value.level.map(|level| level.as_str().to_owned()),
        alias: held.value.alias.as_deref().map(str::to_owned),
        alias_for_deks: held.value.alias_for_deks.as_deref().map(str::to_owned),
        others: others.into_iter().collect(),
        holds_for: holds_for(subject),
        offset: held.stamp.offset,
    }
}

fn named(subject: &Subject) -> Option<String> {
    (!subject.is_context()).then(|| subject.name.to_string())
}

/// The subject-less settings hold for the default context only (measured: odd-records 6.10, 6.14).
fn holds_for(subject: &Subject) -> String {
    if !subject.is_context() {
        "the subject".to_owned()
    } else if subject.context.is_default() {
        "the default context".to_owned()
    } else if subject.context.is_global() {
        "all contexts, since 7.9.3 and 8.0.1".to_owned()
    } else {
        "the context".to_owned()
    }
}

/// The subject that a reference of a schema of `parent` means: unqualified, the parent's own
/// context; `:.:x` inside a named context is looked for under that odd name (odd-records 4.4).
fn meant(parent: &Subject, spelled: &str) -> Subject {
    let named = Subject::parse(spelled);
    if !named.context.is_default() {
        return named;
    }
    let literal = if parent.context.is_default() { &*named.name } else { spelled };
    Subject::new(&parent.context, literal)
}

/// Live versions whose references lead to nothing. A soft-deleted version can be referenced.
pub(super) fn dangling(view: &View) -> Vec<DanglingReference> {
    let mut found = Vec::new();
    for (context, held) in view.contexts() {
        for (name, held) in held.subjects() {
            let subject = Subject::new(context, name);
            for version in held.versions().iter().filter(|version| !version.deleted) {
                for reference in version.content.references() {
                    let to = meant(&subject, &reference.subject);
                    let is_there = match Version::new(reference.version) {
                        Some(wanted) => view.schema(&to, wanted).is_some(),
                        None => view.subject(&to).is_some_and(SubjectView::is_live),
                    };
                    if !is_there {
                        found.push(DanglingReference {
                            subject: subject.to_string(),
                            version: version.version.get(),
                            to_subject: to.to_string(),
                            to_version: reference.version,
                            offset: version.offset,
                        });
                    }
                }
            }
        }
    }
    found
}

/// Subjects that a mode of their own opens below the fence of their context (odd-records 6.7).
pub(super) fn opened(view: &View) -> Vec<OpenedSubject> {
    let mut found = Vec::new();
    for (context, held) in view.contexts() {
        let own = view.subject(&Subject::of_context(context)).and_then(|own| own.mode);
        let Some(fence) = own.filter(|own| own.mode.fences()) else { continue };
        for (name, held) in held.subjects().filter(|(name, _)| !name.is_empty()) {
            let Some(mode) = held.mode else { continue };
            let closes = match mode.mode {
                Mode::Readonly | Mode::ReadonlyOverride => true,
                Mode::Import => fence.mode == Mode::Import,
                Mode::Readwrite | Mode::Forward => false,
            };
            if !closes {
                found.push(OpenedSubject {
                    subject: Subject::new(context, name).to_string(),
                    mode: mode.mode.as_str().to_owned(),
                    fence: fence.mode.as_str().to_owned(),
                    offset: mode.stamp.offset,
                });
            }
        }
    }
    found
}

/// Contexts that hold subjects and no CONTEXT record makes known.
pub(super) fn undeclared(view: &View) -> Vec<String> {
    let held = view.contexts().filter(|(context, view)| {
        let holds = view.subjects().any(|(_, subject)| !subject.versions().is_empty());
        holds && !needs_no_record(context) && view.declared.is_none()
    });
    held.map(|(context, _)| context.to_string()).collect()
}

/// An alias without its context leads most requests into the default one (odd-records 12.1).
pub(super) fn find_loose_aliases(inspector: &mut Inspector) {
    let mut found = Vec::new();
    for (context, held) in inspector.view.contexts().filter(|(context, _)| !context.is_default()) {
        for (name, held) in held.subjects() {
            let Some(config) = &held.config else { continue };
            let aliases = [&config.value.alias, &config.value.alias_for_deks];
            let loose = aliases.into_iter().flatten().find(|alias| !alias.starts_with(":."));
            if let Some(alias) = loose {
                let key = Key::Config(Subject::new(context, name));
                found.push((config.stamp.offset, spoken(&key), alias.to_string()));
            }
        }
    }
    for (offset, key, alias) in found {
        let reason =
            format!("its alias {alias} names no context: most requests are led to the default one");
        inspector.find(offset, key, Verdict::new(Fate::Misreads, reason));
    }
}
