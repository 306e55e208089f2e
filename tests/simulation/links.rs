//! The links of a run, and what each should make of its source: a small model of its own.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use schema_mirror::core::dialect::Dialect;
use schema_mirror::core::filter::SubjectFilter;
use schema_mirror::core::rules::Compatibility;
use schema_mirror::core::rules::DeleteLimit;
use schema_mirror::core::rules::DriftPolicy;
use schema_mirror::core::rules::Fence;
use schema_mirror::core::rules::Placement;
use schema_mirror::core::rules::References;
use schema_mirror::core::rules::Rules;
use schema_mirror::core::subject::ContextName;
use serde_json::Map;
use serde_json::Value;

use super::registry::Held;
use super::registry::Registry;
use super::said::LogKey;
use super::said::Place;

/// A link as the run knows it.
#[derive(Debug, Clone)]
pub(crate) struct LinkSpec {
    pub(crate) name: String,
    pub(crate) from: usize,
    pub(crate) to: usize,
    /// The context of the target; `None` keeps names.
    pub(crate) into: Option<String>,
    /// `*`, `:*:`, prefixes like `a*`, contexts like `:.x:*`.
    pub(crate) patterns: Vec<String>,
    /// Whether it gives some subjects other names, by [`super::renames`].
    pub(crate) renames: bool,
    pub(crate) follow: bool,
    pub(crate) fence: Fence,
    pub(crate) drift: DriftPolicy,
    pub(crate) delete_limit: DeleteLimit,
}

/// What should stand at a key of the target.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Want {
    Is(String),
    /// Either way is right, or nobody can tell.
    Any,
}

impl LinkSpec {
    pub(crate) fn rules(&self) -> Rules {
        Rules {
            name: self.name.clone(),
            placement: match &self.into {
                Some(context) => Placement::Into(ContextName::new(context).unwrap()),
                None => Placement::Same,
            },
            filter: SubjectFilter::parse(&self.patterns).unwrap(),
            naming: self.naming(),
            fence: self.fence,
            references: if self.follow { References::Follow } else { References::Hold },
            drift: self.drift,
            default_compatibility: Compatibility::Backward,
            source_dialect: Dialect::Auto,
            // Every registry of the simulator is one of Confluent, whatever old keys it has.
            target_dialect: Dialect::Confluent7,
            delete_limit: self.delete_limit,
        }
    }

    pub(crate) fn place(&self, source: &Place) -> Option<Place> {
        if !self.touches(&source.context) {
            return None;
        }
        let context = match &self.into {
            None => source.context.clone(),
            Some(into) if source.context == "." => into.clone(),
            Some(into) => format!("{into}{}", source.context),
        };
        Some(Place { context, name: self.renamed(&source.name) })
    }

    /// The key of the target for one of the source.
    pub(crate) fn moved(&self, source: &LogKey) -> Option<LogKey> {
        Some(at(source, self.place(&source.place())?))
    }

    /// Whether a context of the target is one into which the link copies.
    pub(crate) fn maps_onto(&self, target: &str) -> bool {
        match &self.into {
            None => self.touches(target),
            Some(into) => target
                .strip_prefix(into.as_str())
                .is_some_and(|behind| self.touches(if behind.is_empty() { "." } else { behind })),
        }
    }

    fn touches(&self, context: &str) -> bool {
        context != ".__GLOBAL"
            && self.patterns.iter().any(|p| split(p).0.is_none_or(|c| c == context))
    }

    pub(crate) fn selects(&self, source: &Place) -> bool {
        source.context != ".__GLOBAL"
            && self.patterns.iter().any(|pattern| {
                let (context, name) = split(pattern);
                let prefix = name.strip_suffix('*');
                context.is_none_or(|context| context == source.context)
                    && if source.name.is_empty() {
                        name == "*"
                    } else {
                        prefix.map_or(name == source.name, |p| source.name.starts_with(p))
                    }
            })
    }

    fn is_whole(&self) -> bool {
        self.patterns.iter().all(|pattern| split(pattern).1 == "*")
    }

    /// Whether the link owns a whole context of the target.
    pub(crate) fn owns_context(&self, target: &str) -> bool {
        match &self.into {
            None => self.selects(&Place::new(target, "")),
            Some(into) => {
                target == into
                    || target
                        .strip_prefix(into.as_str())
                        .is_some_and(|rest| rest.starts_with('.') && self.touches(rest))
            }
        }
    }

    /// Whether the link may write here at all.
    pub(crate) fn may_write(&self, key: &LogKey) -> bool {
        let place = key.place();
        let named = self.into.is_none() && !place.name.is_empty();
        let listed = self.into.is_none() && matches!(key, LogKey::Context(_));
        listed
            || self.owns_context(&place.context)
            || (named && (self.follow || self.selects(&place)))
    }

    /// Subjects that are copied: chosen ones, and what they point to.
    pub(crate) fn selected(&self, source: &Registry) -> BTreeSet<Place> {
        let keys = source.keys.keys().map(LogKey::place);
        let mut chosen: BTreeSet<Place> = keys.filter(|place| self.selects(place)).collect();
        if !self.follow || self.is_whole() {
            return chosen;
        }
        let mut open: Vec<Place> = chosen.iter().cloned().collect();
        while let Some(place) = open.pop() {
            for pointed in self.points_to(source, &place) {
                if self.place(&pointed).is_some() && chosen.insert(pointed.clone()) {
                    open.push(pointed);
                }
            }
        }
        chosen
    }

    fn points_to(&self, source: &Registry, place: &Place) -> Vec<Place> {
        let versions = source.versions(place);
        let references = versions.iter().flat_map(|(_, held)| held.references());
        let mut pointed: Vec<Place> =
            references.map(|(subject, _)| meant(place, &subject)).collect();
        pointed.extend(alias(source.config(place)).map(|alias| meant(place, &alias)));
        pointed
    }

    /// What the target's scope should hold.
    pub(crate) fn expected(&self, source: &Registry, target_id: &str) -> BTreeMap<LogKey, Want> {
        let selected = self.selected(source);
        let mut wanted = BTreeMap::new();
        let mut used: BTreeSet<String> = self.into.iter().cloned().collect();
        for (key, held) in &source.keys {
            let place = key.place();
            let came_back =
                held.passport.as_ref().is_some_and(|p| p.path.iter().any(|id| id == target_id));
            let Some(target) = self.place(&place).filter(|_| !came_back) else { continue };
            match key {
                LogKey::Context(context) => {
                    // What another link made of a context is no reason to copy it.
                    let made_here = held.passport.is_none();
                    if made_here && self.selects(&Place::new(context, "")) {
                        used.insert(target.context);
                    }
                }
                LogKey::Mode(_) => {}
                LogKey::Config(_) | LogKey::Schema(..) if !selected.contains(&place) => {}
                LogKey::Config(_) => {
                    if !place.name.is_empty() || held.passport.is_none() {
                        used.insert(target.context.clone());
                    }
                    if !place.name.is_empty() {
                        let want = self.config(source, &selected, &place, held, None);
                        wanted.insert(LogKey::Config(target), want);
                    }
                }
                LogKey::Schema(_, version) => {
                    used.insert(target.context.clone());
                    let back = self.into.is_some()
                        && held.references().iter().any(|reference| {
                            goes_back(source, &place, reference, target_id) && !held.deleted
                        });
                    let want =
                        if back { Want::Any } else { self.schema(source, &selected, &place, held) };
                    wanted.insert(LogKey::Schema(target, *version), want);
                }
            }
        }
        self.add_listed(&used, &mut wanted);
        self.add_contexts(source, &selected, used, target_id, &mut wanted);
        self.add_subject_fences(&mut wanted);
        for key in &source.faulty {
            if let Some(target) = self.place(&key.place()) {
                // Its last good state may stand, and with it the fence and the context.
                let own = Place::new(&target.context, "");
                let fenced = if self.owns_context(&target.context) { &own } else { &target };
                let with_it = [
                    LogKey::Mode(fenced.clone()),
                    LogKey::Config(own.clone()),
                    LogKey::Context(target.context.clone()),
                ];
                for key in with_it.into_iter().filter(|key| self.may_write(key)) {
                    wanted.entry(key).or_insert(Want::Any);
                }
                wanted.insert(at(key, target), Want::Any);
            }
        }
        self.doubt_subject_fences(source, &mut wanted);
        wanted
    }

    /// Whether a place is copied only where something points to it, and what points can't be told:
    /// the last good state of an odd record counts, and compaction decides who still knows it.
    pub(crate) fn is_guess(&self, source: &Registry, target: &Place) -> bool {
        let behind = match &self.into {
            None => Some(target.context.clone()),
            Some(into) if target.context == *into => Some(".".to_owned()),
            Some(into) => target.context.strip_prefix(into.as_str()).map(str::to_owned),
        };
        let name = self.original(&target.name);
        let chosen = behind.is_some_and(|context| self.selects(&Place { context, name }));
        self.follow && !self.is_whole() && !source.faulty.is_empty() && !chosen
    }

    /// What refers to something that is set aside is set aside with it.
    pub(crate) fn hold_referrers(&self, source: &Registry, wanted: &mut BTreeMap<LogKey, Want>) {
        loop {
            let held: Vec<LogKey> = source
                .keys
                .iter()
                .filter_map(|(key, held)| {
                    let LogKey::Schema(place, version) = key else { return None };
                    let own = LogKey::Schema(self.place(place)?, *version);
                    let open = !held.deleted && matches!(wanted.get(&own), Some(Want::Is(_)));
                    let refers = held.references().iter().any(|(subject, version)| {
                        let version = u32::try_from(*version).unwrap_or_default();
                        self.place(&meant(place, subject)).is_some_and(|to| {
                            let to = LogKey::Schema(to, version);
                            to != own && matches!(wanted.get(&to), Some(Want::Any))
                        })
                    });
                    (open && refers).then_some(own)
                })
                .collect();
            if held.is_empty() {
                return;
            }
            wanted.extend(held.into_iter().map(|key| (key, Want::Any)));
        }
    }

    /// Without a context of its own a link sees that those of its subjects are listed.
    fn add_listed(&self, used: &BTreeSet<String>, wanted: &mut BTreeMap<LogKey, Want>) {
        if self.into.is_none() {
            for context in used.iter().filter(|context| *context != ".") {
                let record = format!(r#"{{"context":"{context}","tenant":"default"}}"#);
                wanted.insert(LogKey::Context(context.clone()), Want::Is(record));
            }
        }
    }

    fn schema(
        &self,
        source: &Registry,
        selected: &BTreeSet<Place>,
        place: &Place,
        held: &Held,
    ) -> Want {
        let references = held.references();
        let holds = |(subject, version): &(String, i64)| {
            let means = meant(place, subject);
            let version = u32::try_from(*version).unwrap_or_default();
            self.place(&means).is_none()
                || (!selected.contains(&means) && exists(source, &means))
                || source.faulty.contains(&LogKey::Schema(means, version))
        };
        if !held.deleted && references.iter().any(holds) {
            return Want::Any;
        }
        let mut value = held.value.clone();
        value.insert("deleted".into(), held.deleted.into());
        if let Some(Value::Array(list)) = value.get_mut("references") {
            for reference in list {
                let spelled = reference.get("subject").and_then(Value::as_str).unwrap_or_default();
                let named = Place::parse(spelled);
                let respelled = if named.context == "." {
                    Some(self.renamed(spelled)).filter(|_| self.renames)
                } else {
                    self.place(&named).map(|placed| placed.spelled())
                };
                if let (Some(respelled), Some(slot)) = (respelled, reference.get_mut("subject")) {
                    *slot = respelled.into();
                }
            }
        }
        Want::Is(meaning(&value))
    }

    fn config(
        &self,
        source: &Registry,
        selected: &BTreeSet<Place>,
        place: &Place,
        held: &Held,
        level: Option<&str>,
    ) -> Want {
        let mut value = held.value.clone();
        if let Some(alias) = alias(Some(held)) {
            let means = meant(place, &alias);
            let Some(target) = self.place(&means) else { return Want::Any };
            if !selected.contains(&means) && exists(source, &means) {
                return Want::Any;
            }
            value.insert("alias".into(), target.spelled().into());
        }
        if let Some(level) = level {
            value.insert("compatibilityLevel".into(), level.into());
        }
        Want::Is(meaning(&value))
    }

    fn add_contexts(
        &self,
        source: &Registry,
        selected: &BTreeSet<Place>,
        used: BTreeSet<String>,
        target_id: &str,
        wanted: &mut BTreeMap<LogKey, Want>,
    ) {
        let mut contexts = used;
        contexts.extend(self.into.is_none().then(|| ".".to_owned()));
        contexts.retain(|context| self.owns_context(context));
        for context in contexts {
            let own = Place::new(&context, "");
            if context != "." {
                let record = format!(r#"{{"context":"{context}","tenant":"default"}}"#);
                wanted.insert(LogKey::Context(context.clone()), Want::Is(record));
            }
            let mode = match self.fence {
                Fence::Readonly => Some("READONLY"),
                Fence::Import => Some("IMPORT"),
                Fence::None => None,
            };
            if let Some(mode) = mode {
                let record = format!(r#"{{"mode":"{mode}"}}"#);
                wanted.insert(LogKey::Mode(own.clone()), Want::Is(record));
            }
            let behind = match &self.into {
                Some(into) if context == *into => ".".to_owned(),
                Some(into) => context[into.len()..].to_owned(),
                None => context.clone(),
            };
            let behind = Place::new(&behind, "");
            let want = self.context_config(source, selected, &behind, target_id);
            wanted.insert(LogKey::Config(own), want);
        }
    }

    fn context_config(
        &self,
        source: &Registry,
        selected: &BTreeSet<Place>,
        behind: &Place,
        target_id: &str,
    ) -> Want {
        let own = source.config(behind);
        let came_back = |held: &Held| {
            held.passport.as_ref().is_some_and(|p| p.path.iter().any(|id| id == target_id))
        };
        if own.is_some_and(came_back) {
            return Want::Any;
        }
        let global = source.config(&Place::new(".__GLOBAL", ""));
        let level_of = |held: Option<&Held>| {
            let level = held.and_then(|held| held.value.get("compatibilityLevel"));
            level.and_then(Value::as_str).map(str::to_owned)
        };
        let level = level_of(own.or(global)).unwrap_or_else(|| "BACKWARD".to_owned());
        match own.or(global) {
            Some(held) => self.config(source, selected, behind, held, Some(&level)),
            None => Want::Is(format!(r#"{{"compatibilityLevel":"{level}"}}"#)),
        }
    }

    /// With chosen subjects under their own names the fence stands on each.
    fn add_subject_fences(&self, wanted: &mut BTreeMap<LogKey, Want>) {
        if self.into.is_some() || self.fence == Fence::None {
            return;
        }
        let places: BTreeSet<Place> = wanted.keys().map(LogKey::place).collect();
        for place in places {
            if !place.name.is_empty() && !self.owns_context(&place.context) {
                let mode = if self.fence == Fence::Import { "IMPORT" } else { "READONLY" };
                let record = format!(r#"{{"mode":"{mode}"}}"#);
                wanted.insert(LogKey::Mode(place), Want::Is(record));
            }
        }
    }
}

fn split(pattern: &str) -> (Option<&str>, &str) {
    match pattern.strip_prefix(':').and_then(|rest| rest.split_once(':')) {
        None => (Some("."), pattern),
        Some(("*", name)) => (None, if name.is_empty() { "*" } else { name }),
        Some((context, name)) => (Some(context), if name.is_empty() { "*" } else { name }),
    }
}

/// Whether a reference means a copy of what the target's cluster holds itself.
fn goes_back(
    source: &Registry,
    parent: &Place,
    (subject, version): &(String, i64),
    target_id: &str,
) -> bool {
    let version = u32::try_from(*version).unwrap_or_default();
    let held = source.keys.get(&LogKey::Schema(meant(parent, subject), version));
    let passport = held.and_then(|held| held.passport.as_ref());
    passport.is_some_and(|p| p.path.iter().any(|id| id == target_id))
}

fn exists(source: &Registry, place: &Place) -> bool {
    source.keys.keys().any(|key| key.place() == *place)
}

fn meant(parent: &Place, spelled: &str) -> Place {
    let named = Place::parse(spelled);
    if named.context == "." { Place::new(&parent.context, spelled) } else { named }
}

fn alias(config: Option<&Held>) -> Option<String> {
    config?.value.get("alias").and_then(Value::as_str).map(str::to_owned)
}

fn at(key: &LogKey, target: Place) -> LogKey {
    match key {
        LogKey::Context(_) => LogKey::Context(target.context),
        LogKey::Mode(_) => LogKey::Mode(target),
        LogKey::Config(_) => LogKey::Config(target),
        LogKey::Schema(_, version) => LogKey::Schema(target, *version),
    }
}

/// A value without what the place says already and what a leader adds, its fields in order.
pub(crate) fn meaning(value: &Map<String, Value>) -> String {
    let mut fields: BTreeMap<&str, &Value> = BTreeMap::new();
    for (name, value) in value {
        let own = matches!(name.as_str(), "subject" | "offset" | "ts" | "version");
        let empty = name == "references" && value.as_array().is_some_and(Vec::is_empty);
        let default = empty || (name == "schemaType" && value == "AVRO");
        if !own && !default && !value.is_null() {
            fields.insert(name, value);
        }
    }
    serde_json::to_string(&fields).unwrap()
}

/// What the target holds of a link's scope.
pub(crate) fn actual(target: &Registry, link: &LinkSpec) -> BTreeMap<LogKey, String> {
    let mut found = BTreeMap::new();
    for (key, held) in &target.keys {
        if !link.may_write(key) {
            continue;
        }
        let mut value = held.value.clone();
        if matches!(key, LogKey::Schema(..)) {
            value.insert("deleted".into(), held.deleted.into());
        }
        found.insert(key.clone(), meaning(&value));
    }
    found
}
