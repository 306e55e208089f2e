//! The document that an inspection makes: what `--output json` prints, and what tables are made of.
//!
//! Its fields are stable: new ones may come, none changes its meaning. No text of a schema is in it.

use serde::Serialize;

use super::Fate;
use super::spelling::Spelling;
use crate::core::record::Offset;
use crate::service::ports::TopicSettings;

/// What a schemas topic says, and what endangers it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Inspection {
    /// The format of this document; grows when a field changes its meaning.
    pub format: u32,
    /// Nothing endangers the topic, and a registry takes every record as it was meant.
    pub sound: bool,
    /// What is wrong, the worst first, each with what to do about it.
    pub problems: Vec<Problem>,
    /// The topic and its cluster.
    pub topic: TopicReport,
    /// The registry that the log is taken for where no dialect is declared.
    pub dialect: DialectReport,
    /// What contexts, subjects, modes and configs are narrowed to. Everything else is about the
    /// whole topic.
    pub narrowed_to: Narrow,
    /// The context or the subject that it was narrowed to, where the topic holds no such thing.
    pub missing: Option<String>,
    /// Contexts, by name.
    pub contexts: Vec<ContextReport>,
    /// Subjects with their versions, by context and name.
    pub subjects: Vec<SubjectReport>,
    /// Modes, by context and subject.
    pub modes: Vec<ModeReport>,
    /// Settings, by context and subject.
    pub configs: Vec<ConfigReport>,
    /// Live versions whose references lead to nothing.
    pub dangling_references: Vec<DanglingReference>,
    /// Subjects that accept writes though their context is fenced.
    pub opened_subjects: Vec<OpenedSubject>,
    /// Records that a registry does not take as they were meant, by what it does with them.
    pub records: Vec<FateReport>,
    /// Records by kind of key, the most frequent first.
    pub kinds: Vec<KindReport>,
    /// Records by spelling of their key, the most frequent first.
    pub spellings: Vec<SpellingReport>,
    /// Records by who wrote them, the most frequent first.
    pub writers: Vec<WriterReport>,
    /// What compaction would remove.
    pub compaction: CompactionReport,
    /// What could not be looked at, and why.
    pub notes: Vec<String>,
}

/// The registry that a log is taken for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DialectReport {
    /// Its name in a configuration.
    pub name: &'static str,
    /// What it was concluded from.
    pub why: String,
}

/// Something that is wrong, and what to do about it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// What it is about.
    pub area: Area,
    /// What it is and what follows from it.
    pub what: String,
    /// What mends it: a command, or what to do.
    pub mend: String,
}

/// What a problem is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Area {
    /// The topic and its settings.
    Topic,
    /// Single records.
    Records,
    /// References between schemas.
    References,
    /// A fence with a hole.
    Fence,
    /// Contexts that a registry does not list.
    Contexts,
}

/// The topic and its cluster.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TopicReport {
    /// The id Kafka gave the cluster.
    pub cluster_id: String,
    /// Brokers that are up.
    pub brokers: usize,
    /// The brokers that were asked, as they were given.
    pub bootstrap: String,
    /// The topic's name.
    pub name: String,
    /// The topic's id; null where the broker does not tell (older than 2.8).
    pub topic_id: Option<String>,
    /// Partitions; a registry wants one.
    pub partitions: usize,
    /// Replicas of partition 0.
    pub replication: usize,
    /// The first offset that the log still holds.
    pub start: Offset,
    /// The first offset not yet readable when the inspection began.
    pub end: Offset,
    /// Records that were read.
    pub records_read: u64,
    /// The settings; null where they may not or can't be read.
    pub settings: Option<SettingsReport>,
}

/// Settings of the topic, as the broker applies them; null where the broker names none.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SettingsReport {
    /// `cleanup.policy`
    pub cleanup_policy: String,
    /// `delete.retention.ms`: how long a deletion is kept after compaction.
    pub delete_retention_ms: Option<i64>,
    /// `retention.ms`; only `delete` in the policy makes it matter.
    pub retention_ms: Option<i64>,
    /// `retention.bytes`; the same.
    pub retention_bytes: Option<i64>,
    /// `min.insync.replicas`
    pub min_insync_replicas: Option<i64>,
    /// `max.message.bytes`
    pub max_message_bytes: Option<i64>,
    /// `message.timestamp.type`
    pub timestamp_type: String,
}

impl From<&TopicSettings> for SettingsReport {
    fn from(settings: &TopicSettings) -> Self {
        Self {
            cleanup_policy: settings.cleanup_policy.clone(),
            delete_retention_ms: settings.delete_retention_ms,
            retention_ms: settings.retention_ms,
            retention_bytes: settings.retention_bytes,
            min_insync_replicas: settings.min_insync_replicas,
            max_message_bytes: settings.max_message_bytes,
            timestamp_type: settings.timestamp_type.clone(),
        }
    }
}

/// What the lists are narrowed to; what is checked stays the whole topic.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Narrow {
    /// This context only.
    pub context: Option<String>,
    /// This subject only, as a registry spells it.
    pub subject: Option<String>,
}

/// One context.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ContextReport {
    /// Its name; `.` is the default context.
    pub name: String,
    /// A CONTEXT record makes registries list it. The default context needs none, nor does
    /// `.__GLOBAL`, which holds settings only.
    pub declared: bool,
    /// Subjects with at least one version that is not deleted.
    pub live_subjects: u64,
    /// Subjects whose versions are all deleted softly.
    pub deleted_subjects: u64,
    /// Versions that are not deleted.
    pub live_versions: u64,
    /// Versions that are deleted softly.
    pub deleted_versions: u64,
    /// The highest schema id; null where it holds no schema.
    pub highest_id: Option<i32>,
}

/// One subject.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SubjectReport {
    /// The context it belongs to.
    pub context: String,
    /// Its name inside the context.
    pub name: String,
    /// All its versions are deleted softly.
    pub deleted: bool,
    /// Its versions, ascending.
    pub versions: Vec<VersionReport>,
}

/// One version of a subject.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct VersionReport {
    /// Its place in the subject.
    pub version: u32,
    /// Its schema id, unique in the context.
    pub id: i32,
    /// Deleted softly.
    pub deleted: bool,
    /// AVRO, JSON, PROTOBUF, or what the record says.
    pub schema_type: String,
    /// What it references.
    pub references: Vec<ReferenceReport>,
    /// The offset of its record.
    pub offset: Offset,
}

/// A reference, as the record spells it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ReferenceReport {
    /// The name by which the schema imports it.
    pub name: String,
    /// The subject.
    pub subject: String,
    /// The version; −1 is the latest.
    pub version: i64,
}

/// The mode of a subject or a context.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ModeReport {
    /// The context.
    pub context: String,
    /// The subject; null for the context's own mode.
    pub subject: Option<String>,
    /// READWRITE, READONLY, READONLY_OVERRIDE, IMPORT, FORWARD.
    pub mode: String,
    /// What it holds for, in words.
    pub holds_for: String,
    /// The offset of its record.
    pub offset: Offset,
}

/// The settings of a subject or a context.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ConfigReport {
    /// The context.
    pub context: String,
    /// The subject; null for the context's own settings.
    pub subject: Option<String>,
    /// The compatibility level; null lets the registry's own default hold.
    pub level: Option<String>,
    /// The subject that look-ups are redirected to, as it is spelled.
    pub alias: Option<String>,
    /// The same for data encryption keys.
    pub alias_for_deks: Option<String>,
    /// Names of its other settings.
    pub others: Vec<String>,
    /// What it holds for, in words.
    pub holds_for: String,
    /// The offset of its record.
    pub offset: Offset,
}

/// A live version whose reference leads to nothing: registrations and look-ups that have to resolve
/// it are answered 422 until it is there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DanglingReference {
    /// The subject that refers, as a registry spells it.
    pub subject: String,
    /// Its version.
    pub version: u32,
    /// The subject that is missing, in full.
    pub to_subject: String,
    /// The version that is missing; −1 is the latest.
    pub to_version: i64,
    /// The offset of the record that refers.
    pub offset: Offset,
}

/// A subject whose own mode opens it below a fence.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct OpenedSubject {
    /// The subject, as a registry spells it.
    pub subject: String,
    /// Its mode.
    pub mode: String,
    /// The mode of its context.
    pub fence: String,
    /// The offset of the subject's MODE record.
    pub offset: Offset,
}

/// Records that share a fate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FateReport {
    /// What a registry does with them.
    pub fate: Fate,
    /// How many there are.
    pub total: u64,
    /// The first of them, by offset.
    pub listed: Vec<FindingReport>,
}

/// A record that a registry does not take as it was meant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FindingReport {
    /// Its offset.
    pub offset: Offset,
    /// Its key: in words where it can be read, its bytes otherwise.
    pub key: String,
    /// Why, and what follows.
    pub reason: String,
    /// The releases that it concerns; null for all.
    pub releases: Option<String>,
}

/// Records of one kind.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct KindReport {
    /// The `keytype`; `(none)` where the key names none.
    pub kind: String,
    /// Records, deletions among them.
    pub records: u64,
    /// Records without a value. NOOPs never have one and are none.
    pub deletions: u64,
}

/// Records whose keys are spelled alike.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SpellingReport {
    /// The spelling.
    pub spelling: Spelling,
    /// The same in words.
    pub words: String,
    /// Records.
    pub records: u64,
    /// The first such key.
    pub example: String,
}

/// Records by one writer.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct WriterReport {
    /// What wrote them.
    pub writer: WriterKind,
    /// The link's name, or the registry's release where it says so.
    pub name: Option<String>,
    /// Records.
    pub records: u64,
    /// The offset of the newest.
    pub last_offset: Offset,
}

/// What wrote a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum WriterKind {
    /// A link of schema-mirror, known by its header.
    SchemaMirror,
    /// Karapace, known by its header.
    Karapace,
    /// Redpanda, known by the fields seq and node in its keys.
    Redpanda,
    /// A registry that leaves no mark, as Confluent's does, or some other tool.
    Unmarked,
}

/// What compaction would remove, had it seen every record. The newest segment is left alone by a
/// broker, so that in practice it is less.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct CompactionReport {
    /// Records with a key.
    pub records: u64,
    /// Those that a newer record of the same key bytes replaces.
    pub superseded: u64,
    /// Deletions that are the newest of their key: they go `delete.retention.ms` later.
    pub tombstones: u64,
    /// Bytes of all keys and values.
    pub bytes: u64,
    /// Bytes of the superseded ones.
    pub superseded_bytes: u64,
}
