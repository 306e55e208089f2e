//! What an exporter is told to do, as it is asked for and as it is kept.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde::Serialize;

use super::Asked;
use super::Endpoint;
use super::Refused;
use crate::core::dialect::Dialect;
use crate::core::filter::SubjectFilter;
use crate::core::format::SubjectFormat;
use crate::core::link::leave::Steered;
use crate::core::naming::Naming;
use crate::core::record::Offset;
use crate::core::registry_url::RegistryUrl;
use crate::core::renames::RenameList;
use crate::core::renames::pairs_of;
use crate::core::rules::DeleteLimit;
use crate::core::rules::DriftPolicy;
use crate::core::rules::Fence;
use crate::core::rules::Placement;
use crate::core::rules::References;
use crate::core::rules::Rules;
use crate::core::subject::ContextName;
use crate::service::definition::ContextNamedBy;
use crate::service::definition::LinkDefinition;
use crate::service::definition::Once;
use crate::service::ports::Cluster;
use crate::service::state::FORMAT;

/// The key of the configuration that names the target.
pub(super) const URL_KEY: &str = "schema.registry.url";
/// Keys of ours begin so.
const OWN_KEYS: &str = "mirror.";
/// The one that releases the brake on deletions.
const RELEASE_KEY: &str = "allow_deletes_until";
/// The key of ours for the fence.
pub(super) const FENCE_KEY: &str = "mirror.fence";
/// The key of ours for a list of rules that renames subjects, as JSON.
pub const RENAMES_KEY: &str = "mirror.subject_renames";
/// What is kept of a configuration besides [`URL_KEY`] and our own keys. Nothing else is: it may be a
/// secret, and access to Kafka comes from the file.
const KEPT_KEYS: [&str; 2] = ["basic.auth.credentials.source", "bearer.auth.credentials.source"];

/// Where subjects go.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum ContextType {
    /// Into a context named after the source's cluster.
    #[default]
    Auto,
    /// Into the context that is given.
    Custom,
    /// They keep their names.
    None,
    /// Into the default context.
    Default,
}

impl ContextType {
    const ALL: [(&str, Self); 4] = [
        ("AUTO", Self::Auto),
        ("CUSTOM", Self::Custom),
        ("NONE", Self::None),
        ("DEFAULT", Self::Default),
    ];

    /// Reads one as it is spelled, in capital letters or not.
    #[must_use]
    pub fn parse(given: &str) -> Option<Self> {
        let found = Self::ALL.iter().find(|(word, _)| word.eq_ignore_ascii_case(given));
        found.map(|(_, context_type)| *context_type)
    }
}

/// What an operator wants of an exporter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Wanted {
    /// It is to run.
    Running,
    /// It is to stand still.
    Paused,
    /// It is to take away what it wrote, and then to be no more.
    Purging,
}

/// An exporter as it is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Exporter {
    /// See [`FORMAT`].
    pub format: u32,
    /// Its name.
    pub name: String,
    /// The cluster that it reads, by its name in the configuration.
    pub source: String,
    /// Where subjects go.
    pub context_type: ContextType,
    /// The context that is given with [`ContextType::Custom`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub context: Option<String>,
    /// Which subjects.
    pub subjects: Vec<String>,
    /// What they are called in the target.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject_rename_format: Option<String>,
    /// What keys of encryption are called; kept for whoever asks, as none are copied.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kek_rename_format: Option<String>,
    /// Its configuration, without credentials.
    pub config: BTreeMap<String, String>,
    /// Whether it is to run.
    pub wanted: Wanted,
    /// Grows with every change, and with every time that it is told to go on.
    pub revision: u64,
    /// It was reset and has not begun again.
    #[serde(default)]
    pub reset: bool,
}

impl Exporter {
    /// The first definition of an exporter.
    pub(super) fn new(source: &str, name: &str, asked: Asked) -> Self {
        let blank = Self {
            format: FORMAT,
            name: name.to_owned(),
            source: source.to_owned(),
            context_type: ContextType::default(),
            context: None,
            subjects: vec!["*".to_owned()],
            subject_rename_format: None,
            kek_rename_format: None,
            config: BTreeMap::new(),
            wanted: Wanted::Running,
            revision: 0,
            reset: false,
        };
        blank.changed(asked)
    }

    /// The definition with what is asked for.
    #[must_use]
    pub(super) fn changed(&self, asked: Asked) -> Self {
        let Asked { context_type, context, subjects, subject_rename_format, .. } = asked;
        let mut changed = self.next();
        // A context alone is meant as one.
        let implied = context.is_some().then_some(ContextType::Custom);
        changed.context_type = context_type.or(implied).unwrap_or(self.context_type);
        changed.context = match changed.context_type {
            ContextType::Custom => context.or(changed.context),
            ContextType::Auto | ContextType::None | ContextType::Default => None,
        };
        changed.subjects = subjects.filter(|all| !all.is_empty()).unwrap_or(changed.subjects);
        changed.subject_rename_format =
            subject_rename_format.or(changed.subject_rename_format).filter(|f| !f.is_empty());
        changed.kek_rename_format =
            asked.kek_rename_format.or(changed.kek_rename_format).filter(|f| !f.is_empty());
        if let Some(config) = asked.config {
            changed.config = kept(config);
        }
        changed
    }

    /// Its source and its name.
    pub(super) fn id(&self) -> (String, String) {
        (self.source.clone(), self.name.clone())
    }

    /// The next revision of the same.
    #[must_use]
    pub(super) fn next(&self) -> Self {
        Self { revision: self.revision.saturating_add(1), ..self.clone() }
    }

    /// The registries that its configuration names.
    ///
    /// # Errors
    /// It names none, or something else.
    pub(super) fn urls(&self) -> Result<Vec<RegistryUrl>, Refused> {
        let given = self.config.get(URL_KEY).ok_or_else(|| {
            Refused::Config(format!("{URL_KEY} is missing from the config: it names the target"))
        })?;
        RegistryUrl::parse_list(given)
            .map_err(|fault| Refused::Config(format!("{URL_KEY} of the config: {fault}")))
    }

    /// The link that does what the exporter is told to.
    ///
    /// # Errors
    /// What is wrong with the definition.
    pub(super) fn link<C: Cluster>(
        &self,
        source: &Endpoint<C>,
        target: &Endpoint<C>,
        instance: &str,
    ) -> Result<LinkDefinition, Refused> {
        let (placement, named_by) = self.placement()?;
        let rules = Rules {
            name: self.name.clone(),
            placement,
            naming: self.naming()?,
            filter: self.filter()?,
            fence: self.fence(target.cluster.name(), target.dialect)?,
            references: self
                .own("references", &[("follow", References::Follow), ("hold", References::Hold)])?
                .unwrap_or(References::Follow),
            drift: self
                .own("drift", &[("repair", DriftPolicy::Repair), ("report", DriftPolicy::Report)])?
                .unwrap_or(DriftPolicy::Repair),
            default_compatibility: source.default_compatibility,
            source_dialect: source.dialect,
            target_dialect: target.dialect,
            delete_limit: DeleteLimit::default(),
        };
        if rules.lacks_context() {
            let wrong = "mirror.subject_renames of the config renames into a context only: give contextType \
                         CUSTOM or AUTO, or subjectRenameFormat";
            return Err(Refused::Config(wrong.to_owned()));
        }
        if let Some(unfit) = rules.unfit_for(target.dialect) {
            return Err(Refused::Config(format!(
                "the target's registry can't hold that: {}; {}",
                crate::core::rules::Unfit::WHY,
                unfit.mend()
            )));
        }
        let is_known = |key: &&String| {
            ["fence", "references", "drift", "adopt", "subject_renames", RELEASE_KEY]
                .iter()
                .any(|own| key.strip_prefix(OWN_KEYS) == Some(own))
        };
        let own = self.config.keys().filter(|key| key.starts_with(OWN_KEYS));
        if let Some(unknown) = own.into_iter().find(|key| !is_known(key)) {
            return Err(Refused::Config(format!(
                "{unknown} of the config is not known; there are {OWN_KEYS}fence, {OWN_KEYS}references, \
                 {OWN_KEYS}drift, {OWN_KEYS}adopt, {RENAMES_KEY} and {OWN_KEYS}{RELEASE_KEY}"
            )));
        }
        Ok(LinkDefinition {
            rules,
            context: named_by,
            source_topic: source.schemas_topic.clone(),
            target_topic: target.schemas_topic.clone(),
            state_topic: target.state_topic.clone(),
            source_state_topic: source.state_topic.clone(),
            create_topics: target.create_topics,
            adopt: self.own("adopt", &[("true", true), ("false", false)])?.unwrap_or(false),
            allow_deletes_until: self.release()?,
            once: Once::default(),
            steered: Steered::OverRest,
            instance: instance.to_owned(),
        })
    }

    fn placement(&self) -> Result<(Placement, ContextNamedBy), Refused> {
        let named_by = ContextNamedBy::Configuration;
        match self.context_type {
            ContextType::None | ContextType::Default => Ok((Placement::Same, named_by)),
            ContextType::Custom => {
                let given = self.context.as_deref().unwrap_or_default();
                let context = ContextName::new(given).map_err(|fault| {
                    Refused::Config(format!("contextType CUSTOM: {fault}; give one such as source"))
                })?;
                if context.is_default() {
                    let reason =
                        "contextType CUSTOM: . is the default context; that is contextType NONE";
                    return Err(Refused::Config(reason.to_owned()));
                }
                Ok((Placement::Into(context), named_by))
            }
            // It stands in until the source's cluster tells its id.
            ContextType::Auto => Ok((
                Placement::Into(ContextName::from_record(".auto")),
                ContextNamedBy::SourceCluster,
            )),
        }
    }

    fn filter(&self) -> Result<SubjectFilter, Refused> {
        let filter = SubjectFilter::parse(&self.subjects).map_err(|faults| {
            let faults: Vec<String> = faults.iter().map(ToString::to_string).collect();
            Refused::Subjects(format!(
                "subjects: {}; give names, prefixes like orders*, * or :.context:*",
                faults.join("; ")
            ))
        })?;
        let leaves_default = filter.touches_all_contexts()
            || filter.named_contexts().iter().any(|context| !context.is_default());
        if self.context_type == ContextType::Default && leaves_default {
            let reason = "contextType DEFAULT takes subjects of the default context only: subjects of \
                          others would fall together; NONE keeps them apart";
            return Err(Refused::Subjects(reason.to_owned()));
        }
        Ok(filter)
    }

    fn naming(&self) -> Result<Naming, Refused> {
        match (&self.subject_rename_format, self.config.get(RENAMES_KEY)) {
            (None, None) => Ok(Naming::default()),
            (Some(given), None) => SubjectFormat::parse(given)
                .map(Naming::Format)
                .map_err(|fault| Refused::Config(format!("subjectRenameFormat: {fault}"))),
            (None, Some(given)) => renames(given)
                .map(Naming::List)
                .map_err(|wrong| Refused::Config(format!("{RENAMES_KEY} of the config: {wrong}"))),
            (Some(_), Some(_)) => Err(Refused::Config(format!(
                "subjectRenameFormat and {RENAMES_KEY} of the config exclude each other: take one out; a \
                 rule with match .* and replace dr-$0 does what dr-${{subject}} does"
            ))),
        }
    }

    fn fence(&self, target: &str, dialect: Dialect) -> Result<Fence, Refused> {
        let fallback = if dialect.has_modes() { Fence::Readonly } else { Fence::None };
        let words =
            [Fence::Readonly, Fence::Import, Fence::None].map(|fence| (fence.as_str(), fence));
        let given = self.own("fence", &words)?;
        if !dialect.has_modes() && given.is_some_and(|fence| fence != Fence::None) {
            return Err(Refused::Config(format!(
                "{FENCE_KEY} of the config: the registry of {target} is {dialect}: no mode keeps its clients \
                 out; leave it out, or write none, and keep clients from writing by other means"
            )));
        }
        Ok(given.unwrap_or(fallback))
    }

    /// Reads one of our own keys.
    /// The offset of the source up to which the brake on deletions is released, once.
    fn release(&self) -> Result<Option<Offset>, Refused> {
        let key = format!("{OWN_KEYS}{RELEASE_KEY}");
        let Some(given) = self.config.get(&key) else { return Ok(None) };
        let offset = given.parse().ok().filter(|offset| *offset >= 0);
        let wrong = || {
            Refused::Config(format!(
                "{key} of the config is an offset of the source, as the link's trace names it"
            ))
        };
        offset.ok_or_else(wrong).map(Some)
    }

    fn own<T: Copy>(&self, key: &str, words: &[(&str, T)]) -> Result<Option<T>, Refused> {
        let Some(given) = self.config.get(&format!("{OWN_KEYS}{key}")) else { return Ok(None) };
        match words.iter().find(|(word, _)| word == given) {
            Some((_, value)) => Ok(Some(*value)),
            None => {
                let right: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
                Err(Refused::Config(format!(
                    "{OWN_KEYS}{key} of the config is one of {}",
                    right.join(", ")
                )))
            }
        }
    }
}

/// Reads a list of rules from a value of the configuration, which is one text.
fn renames(given: &str) -> Result<RenameList, String> {
    let right = r#"give JSON such as [{"match":"prod-(.*)","replace":"$1"}]"#;
    let list = serde_json::from_str(given).map_err(|fault| format!("{fault}; {right}"))?;
    let pairs = pairs_of(&list).map_err(|(place, wrong)| match place {
        Some(place) => format!("rule {place}: {wrong}; {right}"),
        None => format!("{wrong}; {right}"),
    })?;
    RenameList::parse(&pairs).map_err(|faults| {
        let said = faults.iter().map(|fault| format!("rule {}: {fault}", fault.place));
        said.collect::<Vec<_>>().join("; ")
    })
}

/// A configuration without what may be a secret.
fn kept(config: BTreeMap<String, String>) -> BTreeMap<String, String> {
    let mut kept = BTreeMap::new();
    for (key, value) in config {
        if key == URL_KEY {
            kept.insert(key, without_logins(&value));
        } else if key.starts_with(OWN_KEYS) || KEPT_KEYS.contains(&key.as_str()) {
            kept.insert(key, value);
        }
    }
    kept
}

/// Addresses as they were given, but for the logins in them.
fn without_logins(urls: &str) -> String {
    let without = |url: &str| match url.split_once("://") {
        Some((scheme, rest)) => {
            let end = rest.find('/').unwrap_or(rest.len());
            let (authority, path) = rest.split_at(end);
            let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
            format!("{scheme}://{host}{path}")
        }
        None => url.rsplit_once('@').map_or(url, |(_, host)| host).to_owned(),
    };
    let urls: Vec<String> = urls.split(',').map(without).collect();
    urls.join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(config: &[(&str, &str)]) -> Asked {
        let pair = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
        Asked { config: Some(config.iter().map(pair).collect()), ..Asked::default() }
    }

    #[test]
    fn credentials_are_not_kept() {
        let exporter = Exporter::new(
            "a",
            "x",
            asked(&[
                ("schema.registry.url", "http://me:hunter2@t:8081/,http://u:hunter2@v"),
                ("basic.auth.credentials.source", "USER_INFO"),
                ("basic.auth.user.info", "me:hunter2"),
                ("schema.registry.ssl.key.password", "hunter2"),
                ("anything.else", "hunter2"),
                ("mirror.adopt", "true"),
            ]),
        );
        let kept = serde_json::to_string(&exporter).unwrap();
        assert!(!kept.contains("hunter2"), "{kept}");
        assert_eq!(exporter.config["schema.registry.url"], "http://t:8081/,http://v");
        assert_eq!(exporter.config.len(), 3);
    }

    #[test]
    fn what_is_left_out_of_a_change_stays() {
        let context = Some("source".to_owned());
        let first = Exporter::new("a", "x", Asked { context, ..Asked::default() });
        assert_eq!((first.context_type, first.revision), (ContextType::Custom, 1));
        let subjects = Some(vec!["orders".to_owned()]);
        let second = first.changed(Asked { subjects, ..Asked::default() });
        assert_eq!(second.context.as_deref(), Some("source"));
        assert_eq!((second.subjects, second.revision), (vec!["orders".to_owned()], 2));
        let to_none = Asked { context_type: Some(ContextType::None), ..Asked::default() };
        assert_eq!(first.changed(to_none).context, None);
    }

    #[test]
    fn a_registry_without_modes_is_given_no_fence() {
        let fence = |given: &[(&str, &str)], dialect| {
            let fence = Exporter::new("a", "x", asked(given)).fence("b", dialect);
            fence.map_err(|refused| refused.to_string())
        };
        let readonly = [("mirror.fence", "readonly")];
        assert_eq!(fence(&readonly, Dialect::Auto), Ok(Fence::Readonly));
        assert_eq!(fence(&[], Dialect::Karapace), Ok(Fence::None));
        assert_eq!(fence(&[("mirror.fence", "none")], Dialect::Karapace), Ok(Fence::None));
        let refused = fence(&readonly, Dialect::Karapace).unwrap_err();
        assert!(refused.contains("the registry of b is karapace"), "{refused}");
    }

    #[test]
    fn the_brake_is_released_by_an_offset_and_by_nothing_else() {
        let released = |given| {
            Exporter::new("a", "x", asked(&[("mirror.allow_deletes_until", given)])).release()
        };
        assert_eq!(released("4711").unwrap(), Some(4711));
        assert!(released("-1").is_err() && released("true").is_err());
        assert_eq!(Exporter::new("a", "x", Asked::default()).release().unwrap(), None);
    }

    #[test]
    fn a_definition_reads_back_as_it_was_kept() {
        let exporter = Exporter::new("a", "x", asked(&[("schema.registry.url", "http://t")]));
        let kept = serde_json::to_vec(&exporter).unwrap();
        assert_eq!(serde_json::from_slice::<Exporter>(&kept).unwrap(), exporter);
        let text = String::from_utf8(kept).unwrap();
        assert!(text.contains(r#""contextType":"AUTO""#) && text.contains(r#""wanted":"running""#));
    }
}
