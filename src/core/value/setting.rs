//! CONFIG, MODE and DELETE_SUBJECT values.

use serde_json::Map;
use serde_json::Value;

use super::Digest;
use super::canonical_value;
use super::last_of_each;
use super::meaning_of;
use super::parsed;
use super::read_object;
use super::schema::check_metadata;
use super::schema::check_rule_set;
use crate::core::json::string;
use crate::core::rules::Compatibility;
use crate::core::subject::Subject;

/// What a CONFIG value says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigValue {
    /// The value's own bytes: small, and needed whenever a context's settings are derived anew.
    pub bytes: Box<[u8]>,
    /// The compatibility level, where it has one.
    pub level: Option<Compatibility>,
    /// The subject that look-ups are redirected to, as it is spelled.
    pub alias: Option<Box<str>>,
    /// The same for data encryption keys.
    pub alias_for_deks: Option<Box<str>>,
    /// Digest of everything but the subject.
    pub meaning: Digest,
}

impl ConfigValue {
    /// Whether it holds a compatibility level and nothing else.
    #[must_use]
    pub fn says_level_alone(&self) -> bool {
        self.level.is_some_and(|level| {
            let alone = canonical_value(&format!("{:?}", level.as_str()));
            let mut fields = [("compatibilityLevel".to_owned(), alone)];
            meaning_of(&Digest::of(b"config"), &mut fields) == self.meaning
        })
    }
}

/// Reads a CONFIG value.
///
/// # Errors
/// What a registry would skip, in words.
pub fn read_config(bytes: &[u8]) -> Result<ConfigValue, String> {
    let (object, whole) = read_object(bytes)?;
    let mut config = ConfigValue {
        bytes: bytes.into(),
        level: None,
        alias: None,
        alias_for_deks: None,
        meaning: Digest::of(b""),
    };
    let mut all = Vec::new();
    for field in last_of_each(&object, whole) {
        let (name, raw) = field?;
        let raw = raw.text;
        if raw == "null" || matches!(&*name, "subject" | "offset" | "ts") {
            continue;
        }
        let text = || string(raw).ok_or_else(|| format!("its {name} is no string"));
        match &*name {
            "compatibilityLevel" => {
                let level = text()?;
                let known = Compatibility::parse(&level);
                config.level = Some(known.ok_or_else(|| format!("its level {level} is none"))?);
            }
            "compatibilityPolicy" => {
                let policy = text()?;
                if !matches!(&*policy, "LOGICAL" | "STRICT" | "LENIENT") {
                    return Err(format!("its compatibilityPolicy {policy} is none"));
                }
            }
            "alias" => {
                config.alias = Some(Box::<str>::from(&*text()?)).filter(|alias| !alias.is_empty())
            }
            "aliasForDeks" => {
                config.alias_for_deks =
                    Some(Box::<str>::from(&*text()?)).filter(|alias| !alias.is_empty());
            }
            "compatibilityGroup" => drop(text()?),
            "defaultMetadata" | "overrideMetadata" => check_metadata(&parsed(raw, &name)?)?,
            "defaultRuleSet" | "overrideRuleSet" => check_rule_set(&parsed(raw, &name)?)?,
            "normalize" | "validateFields" | "validateNewSchemas" | "validateRules"
                if !matches!(raw, "true" | "false") =>
            {
                return Err(format!("its {name} is {raw}, not true or false"));
            }
            _ => {}
        }
        all.push((name.into_owned(), canonical_value(raw)));
    }
    config.meaning = meaning_of(&Digest::of(b"config"), &mut all);
    Ok(config)
}

/// A mode of a registry, a context or a subject.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Clients may write.
    Readwrite,
    /// Clients may not write.
    Readonly,
    /// The same, and in releases before 8.0.4 over all subjects and contexts.
    ReadonlyOverride,
    /// Clients may write with ids of their own only; deletions and settings stay open.
    Import,
    /// Clients may write with ids of their own (7.9.6, 8.1.0).
    Forward,
}

impl Mode {
    /// Whether this mode counts as a fence (rulings 12).
    #[must_use]
    pub fn fences(self) -> bool {
        match self {
            Self::Readonly | Self::ReadonlyOverride | Self::Import => true,
            Self::Readwrite | Self::Forward => false,
        }
    }

    /// The mode's name in a record.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Readwrite => "READWRITE",
            Self::Readonly => "READONLY",
            Self::ReadonlyOverride => "READONLY_OVERRIDE",
            Self::Import => "IMPORT",
            Self::Forward => "FORWARD",
        }
    }
}

/// Reads a MODE value.
///
/// # Errors
/// What a registry would skip or be blocked by, in words.
pub fn read_mode(bytes: &[u8]) -> Result<Mode, String> {
    let fields = whole_object(bytes)?;
    let all =
        [Mode::Readwrite, Mode::Readonly, Mode::ReadonlyOverride, Mode::Import, Mode::Forward];
    match fields.get("mode") {
        Some(Value::String(name)) => all
            .into_iter()
            .find(|mode| mode.as_str() == name)
            .ok_or_else(|| format!("its mode {name} is none")),
        Some(_) | None => Err("it names no mode, which blocks every registration".to_owned()),
    }
}

/// Reads a DELETE_SUBJECT value: the subject and the highest version that it deletes.
///
/// # Errors
/// A value that a registry would skip or that names nothing, in words.
pub fn read_delete_subject(bytes: &[u8]) -> Result<(Subject, i64), String> {
    let fields = whole_object(bytes)?;
    let subject = fields
        .get("subject")
        .and_then(Value::as_str)
        .filter(|subject| !subject.is_empty())
        .ok_or("its value names no subject, so nothing is deleted")?;
    let version = match fields.get("version") {
        Some(Value::Number(number)) => number.as_i64(),
        Some(Value::String(digits)) => digits.trim().parse().ok(),
        Some(Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_)) | None => None,
    };
    let version = version.ok_or("its value has no version, so a registry skips it")?;
    Ok((Subject::parse(subject), version))
}

fn whole_object(bytes: &[u8]) -> Result<Map<String, Value>, String> {
    let text = std::str::from_utf8(bytes).map_err(|_| "its value is not UTF-8".to_owned())?;
    let mut values = serde_json::Deserializer::from_str(text).into_iter::<Map<String, Value>>();
    match values.next() {
        Some(Ok(fields)) => Ok(fields),
        Some(Err(fault)) => Err(format!("its value can't be read: {fault}")),
        None => Err("its value is empty".to_owned()),
    }
}
