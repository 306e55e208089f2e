//! What a link keeps in our own topic on the target's cluster: its claim on a scope, its checkpoint, and
//! the incidents that operators let stand. Losing them loses evidence, never schemas.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::time::Duration;

use serde::Deserialize;
use serde::Serialize;

use crate::core::link::acknowledged::Acknowledged;
use crate::core::link::brake::WINDOW;
use crate::core::record::Offset;
use crate::core::record::Outgoing;
use crate::core::record::Record;
use crate::core::rules::Scope;
use crate::core::value::Digest;
use crate::service::acknowledgements::Acknowledgements;
use crate::service::acknowledgements::KIND as ACKNOWLEDGED;
use crate::service::exported::Exported;
use crate::service::fence_leave::FenceLeave;
use crate::service::ports::Appender;
use crate::service::ports::Clock;
use crate::service::ports::Fault;
use crate::service::ports::TopicSpec;
use crate::service::purged::Removed;

/// Partitions of our topic: each scope belongs to one, whose owner in the group may write it.
pub const PARTITIONS: i32 = 64;

/// The format of the records below. A record of a newer one stops us: we might misread it.
pub const FORMAT: u32 = 1;

/// A link's claim on a part of the target.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claim {
    /// See [`FORMAT`].
    pub format: u32,
    /// The link.
    pub link: String,
    /// What it owns.
    pub scope: Scope,
    /// The id of the cluster that it reads.
    pub source_cluster: String,
    /// The id of the topic that it reads, where the broker tells it.
    pub source_topic_id: Option<String>,
    /// Ids of the clusters whose records it brings.
    pub origins: BTreeSet<String>,
    /// The instance that writes, or wrote last.
    pub writer: String,
    /// Grows with every change of writer.
    pub epoch: u64,
    /// Whether a fence stands on the scope.
    pub fenced: bool,
    /// Records of the scope below this target offset were adopted.
    pub adopted_below: Offset,
    /// The link began at this target offset; 0 in claims of before that was kept.
    #[serde(default)]
    pub began_at: Offset,
    /// Scopes that the link had under former definitions: what it left there stays.
    #[serde(default)]
    pub former: Vec<Scope>,
    /// The link is being purged: what its first look found to take away.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub purge: Option<Removed>,
}

/// How far a link is: everything before `next` is in the target.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checkpoint {
    /// See [`FORMAT`].
    pub format: u32,
    /// The link.
    pub link: String,
    /// The id of the cluster that was read.
    pub source_cluster: String,
    /// The id of the topic that was read, where the broker tells it.
    pub source_topic_id: Option<String>,
    /// Everything before this source offset is in the target.
    pub next: Offset,
    /// The newest record that the link copied, or found there.
    #[serde(default)]
    pub exported: Option<Exported>,
    /// The first offset that the source's log held.
    pub log_start: Offset,
    /// Fingerprint of the link's definition.
    pub definition: String,
    /// The last release of deletes that was used.
    pub released: Option<Offset>,
    /// The brake that halted the link last: a release has to name it.
    #[serde(default)]
    pub braked: Option<Braked>,
    /// What was deleted within the last hour.
    #[serde(default)]
    pub recent_deletes: Vec<RecentDeletes>,
}

impl Checkpoint {
    /// What was deleted within the brake's window before a time in ms since 1970: how long ago, and
    /// how many subjects; the oldest first.
    pub fn deleted_before(&self, wall_ms: i64) -> impl Iterator<Item = (Duration, usize)> {
        let aged = self.recent_deletes.iter().map(move |deletes| {
            let age_ms = u64::try_from(wall_ms.saturating_sub(deletes.at_ms)).unwrap_or(0);
            (Duration::from_millis(age_ms), deletes.subjects)
        });
        aged.filter(|(age, _)| *age <= WINDOW)
    }
}

/// Where the brake halted a link.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Braked {
    /// The source's topic then, where the broker tells its id.
    pub topic_id: Option<String>,
    /// The offset that a release has to name.
    pub offset: Offset,
    /// The first offset that the source's log held then.
    #[serde(default)]
    pub log_start: Offset,
    /// Subjects that would have been deleted: a release covers so many.
    #[serde(default)]
    pub deleted: usize,
}

/// Subjects that were deleted, for the brake's sliding hour.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecentDeletes {
    /// When, in ms since 1970.
    pub at_ms: i64,
    /// How many.
    pub subjects: usize,
}

/// What our topic holds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct State {
    /// Claims by scope.
    pub claims: BTreeMap<String, Claim>,
    /// Checkpoints by scope.
    pub checkpoints: BTreeMap<String, Checkpoint>,
    /// Incidents that operators let stand, by scope.
    pub acknowledged: BTreeMap<String, Acknowledgements>,
    /// Leave to set fences again, by scope.
    pub fence_leaves: BTreeMap<String, FenceLeave>,
}

/// Why our topic can't be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "the state topic holds a record of format {format}, this release knows {FORMAT}: \
     a newer schema-mirror wrote it; run that one"
)]
pub struct NewerFormat {
    /// The format that was found.
    pub format: u64,
}

/// The key of a record of our topic.
#[derive(Debug, Serialize, Deserialize)]
pub(in crate::service) struct StateKey {
    /// What kind of record it is.
    pub(in crate::service) kind: String,
    /// What it is about: a scope, or for an exporter `source/name`.
    pub(in crate::service) scope: String,
}

impl State {
    /// The highest epoch of a link's claims, whatever their scope: a definition that changed back has
    /// to begin above what its former selves wrote.
    #[must_use]
    pub fn last_epoch(&self, link: &str, source_cluster: &str) -> u64 {
        let own = |claim: &&Claim| claim.link == link && claim.source_cluster == source_cluster;
        self.claims.values().filter(own).map(|claim| claim.epoch).max().unwrap_or(0)
    }

    /// Folds the records of our topic, in the order of each partition. Records that nobody of us
    /// wrote are passed over.
    ///
    /// # Errors
    /// A record of a newer format.
    pub fn fold(records: &[Record]) -> Result<Self, NewerFormat> {
        let mut state = Self::default();
        for record in records {
            let Some(key) = record.key.as_deref().and_then(|key| serde_json::from_slice(key).ok())
            else {
                continue;
            };
            state.take(key, record.value.as_deref())?;
        }
        Ok(state)
    }

    fn take(&mut self, key: StateKey, value: Option<&[u8]>) -> Result<(), NewerFormat> {
        let Some(value) = value else {
            match key.kind.as_str() {
                "claim" => drop(self.claims.remove(&key.scope)),
                "checkpoint" => drop(self.checkpoints.remove(&key.scope)),
                ACKNOWLEDGED => drop(self.acknowledged.remove(&key.scope)),
                FenceLeave::KIND => drop(self.fence_leaves.remove(&key.scope)),
                _ => {}
            }
            return Ok(());
        };
        if let Ok(any) = serde_json::from_slice::<serde_json::Value>(value)
            && let Some(format) = any.get("format").and_then(serde_json::Value::as_u64)
            && format > u64::from(FORMAT)
        {
            return Err(NewerFormat { format });
        }
        match key.kind.as_str() {
            "claim" => {
                if let Ok(claim) = serde_json::from_slice(value) {
                    self.claims.insert(key.scope, claim);
                }
            }
            "checkpoint" => {
                if let Ok(checkpoint) = serde_json::from_slice(value) {
                    self.checkpoints.insert(key.scope, checkpoint);
                }
            }
            ACKNOWLEDGED => {
                if let Ok(acknowledged) = serde_json::from_slice(value) {
                    self.acknowledged.insert(key.scope, acknowledged);
                }
            }
            FenceLeave::KIND => {
                if let Ok(leave) = serde_json::from_slice(value) {
                    self.fence_leaves.insert(key.scope, leave);
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// The incidents that operators of a link let stand, whatever its scope was then.
    #[must_use]
    pub fn acknowledged_by(&self, link: &str, source_cluster: &str) -> Acknowledged {
        let all = self.acknowledged.values();
        let own = all.filter(|kept| kept.link == link && kept.source_cluster == source_cluster);
        own.flat_map(|kept| kept.incidents.iter().cloned()).collect()
    }

    /// The leave that a link was given for its scope, has not used, and that counts at this time.
    #[must_use]
    pub fn fence_leave(&self, link: &str, scope: &Scope, wall_ms: i64) -> Option<&FenceLeave> {
        let leave = self.fence_leaves.get(&scope_name(scope))?;
        (leave.link == link && leave.is_valid(wall_ms)).then_some(leave)
    }

    /// Claims of other links that share keys with this one's scope, and those of a link with this
    /// one's name that reads another cluster: their records could not be told apart for long.
    #[must_use]
    pub fn rivals(&self, link: &str, source_cluster: &str, scope: &Scope) -> Vec<&Claim> {
        self.claims
            .values()
            .filter(|claim| claim.link != link || claim.source_cluster != source_cluster)
            .filter(|claim| claim.link == link || claim.scope.overlaps(scope))
            .collect()
    }

    /// Every scope that the same link had before its definition gave it this one.
    #[must_use]
    pub fn former_scopes(&self, link: &str, source_cluster: &str, scope: &Scope) -> Vec<Scope> {
        let own = |claim: &&Claim| claim.link == link && claim.source_cluster == source_cluster;
        let mut former: Vec<Scope> = Vec::new();
        for claim in self.claims.values().filter(own) {
            let left = claim.former.iter().chain((claim.scope != *scope).then_some(&claim.scope));
            for scope in left {
                if !former.contains(scope) {
                    former.push(scope.clone());
                }
            }
        }
        former
    }

    /// Claims that the same link made before its definition gave it another scope.
    pub fn outgrown(
        &self,
        link: &str,
        source_cluster: &str,
        scope: &Scope,
    ) -> impl Iterator<Item = &Claim> {
        self.claims.values().filter(move |claim| {
            claim.link == link && claim.source_cluster == source_cluster && claim.scope != *scope
        })
    }
}

impl Claim {
    /// Whether a fence that is missing was taken away by someone else: a purge that was ended in between
    /// may have done it.
    #[must_use]
    pub fn has_fence(&self) -> bool {
        self.fenced && self.purge.is_none()
    }

    /// The record that makes the claim.
    #[must_use]
    pub fn record(&self) -> Outgoing {
        put("claim", &self.scope, serde_json::to_vec(self).unwrap_or_default())
    }

    /// The record that takes the claim back.
    #[must_use]
    pub fn withdrawal(&self) -> Outgoing {
        Outgoing { key: key("claim", &self.scope), ..Outgoing::default() }
    }

    /// The records that take away all that is kept of the link in this scope. The claim goes last: while
    /// it stands, what could not be taken away is known to be the link's.
    #[must_use]
    pub fn withdrawals(&self) -> [Outgoing; 4] {
        let scope = &self.scope;
        [
            Acknowledgements::withdrawal(scope),
            FenceLeave::withdrawal(scope),
            Checkpoint::withdrawal(scope),
            self.withdrawal(),
        ]
    }
}

impl Checkpoint {
    /// The record that takes the checkpoint of a scope away.
    #[must_use]
    pub fn withdrawal(scope: &Scope) -> Outgoing {
        Outgoing { key: key("checkpoint", scope), ..Outgoing::default() }
    }

    /// The record that keeps the checkpoint.
    #[must_use]
    pub fn record(&self, scope: &Scope) -> Outgoing {
        put("checkpoint", scope, serde_json::to_vec(self).unwrap_or_default())
    }
}

pub(super) fn put(kind: &str, scope: &Scope, value: Vec<u8>) -> Outgoing {
    Outgoing { key: key(kind, scope), value: Some(value), ..Outgoing::default() }
}

pub(super) fn key(kind: &str, scope: &Scope) -> Vec<u8> {
    StateKey::spelled(kind, scope_name(scope))
}

impl StateKey {
    /// The bytes of a key.
    pub(in crate::service) fn spelled(kind: &str, scope: String) -> Vec<u8> {
        serde_json::to_vec(&Self { kind: kind.to_owned(), scope }).unwrap_or_default()
    }
}

/// A scope as one line: the name under which its claim and checkpoint stand.
#[must_use]
pub fn scope_name(scope: &Scope) -> String {
    scope.to_string()
}

/// The partition that a scope belongs to, whatever the topic has besides the [`PARTITIONS`] that
/// it must have: another one would have another owner.
#[must_use]
pub fn partition_of(scope: &Scope) -> i32 {
    let digest = format!("{:?}", Digest::of(scope_name(scope).as_bytes()));
    let number = digest.get(..8).and_then(|hex| i64::from_str_radix(hex, 16).ok()).unwrap_or(0);
    i32::try_from(number.checked_rem(i64::from(PARTITIONS)).unwrap_or(0)).unwrap_or(0)
}

/// The group whose member may write a scope. One for each scope: instances with different links
/// never wait for each other.
#[must_use]
pub fn group_of(state_topic: &str, scope: &Scope) -> String {
    let digest = format!("{:?}", Digest::of(scope_name(scope).as_bytes()));
    format!("{}{}", group_prefix(state_topic), digest.get(..12).unwrap_or(&digest))
}

/// What the names of all groups of a state topic begin with.
#[must_use]
pub fn group_prefix(state_topic: &str) -> String {
    format!("{}-", state_topic.trim_start_matches('_'))
}

/// Our topic as it is created.
#[must_use]
pub fn topic_spec(name: &str, brokers: usize) -> TopicSpec {
    TopicSpec {
        name: name.to_owned(),
        partitions: PARTITIONS,
        replication: i32::try_from(brokers.clamp(1, 3)).unwrap_or(1),
        settings: vec![("cleanup.policy".to_owned(), "compact".to_owned())],
    }
}

/// Appends a record to our topic and waits for its acknowledgement; whether it came within the limit.
///
/// # Errors
/// The appender's fault.
pub async fn append_acked<A: Appender, K: Clock>(
    appender: &mut A,
    record: &Outgoing,
    clock: &K,
    limit: Duration,
) -> Result<bool, Fault> {
    let number = appender.append_when_room(record).await?;
    let deadline = clock.monotonic().saturating_add(limit);
    let mut progress = appender.progress();
    while progress.acked < number {
        if let Some(fault) = progress.failed {
            return Err(fault);
        }
        let rest = deadline.saturating_sub(clock.monotonic());
        tokio::select! {
            biased;
            news = appender.progressed(&progress) => progress = news,
            () = clock.sleep(rest) => return Ok(false),
        }
    }
    Ok(true)
}

/// A record as it is read back.
#[cfg(test)]
pub(in crate::service) fn stored(outgoing: Outgoing) -> Record {
    Record {
        key: Some(outgoing.key.into()),
        value: outgoing.value.map(Into::into),
        headers: outgoing.headers.to_vec(),
        ..Record::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claim(link: &str, pattern: &str) -> Claim {
        Claim {
            format: FORMAT,
            link: link.into(),
            scope: Scope { patterns: vec![pattern.into()], below: None },
            source_cluster: "A".into(),
            source_topic_id: None,
            origins: BTreeSet::new(),
            writer: "w".into(),
            epoch: 1,
            fenced: true,
            adopted_below: 0,
            began_at: 0,
            former: Vec::new(),
            purge: None,
        }
    }

    #[test]
    fn the_last_epoch_is_that_of_all_scopes_of_a_link_from_one_source() {
        let records: Vec<Record> =
            [("l", ":.a:*", "A", 7), ("l", ":.b:*", "A", 3), ("m", ":.c:*", "A", 9)]
                .into_iter()
                .map(|(link, pattern, source, epoch)| {
                    let source_cluster = source.to_owned();
                    stored(Claim { epoch, source_cluster, ..claim(link, pattern) }.record())
                })
                .collect();
        let state = State::fold(&records).unwrap();
        assert_eq!(state.last_epoch("l", "A"), 7);
        assert_eq!(state.last_epoch("l", "B"), 0);
        assert_eq!(state.last_epoch("n", "A"), 0);
    }

    #[test]
    fn a_claim_is_read_back_and_taken_back() {
        let own = claim("l", ":.a:*");
        let state = State::fold(&[stored(own.record())]).unwrap();
        assert_eq!(state.claims.get(":.a:*"), Some(&own));
        let state = State::fold(&[stored(own.record()), stored(own.withdrawal())]).unwrap();
        assert_eq!(state, State::default());
    }

    #[test]
    fn overlapping_claims_of_other_links_are_rivals() {
        let records =
            [stored(claim("one", ":.a:*").record()), stored(claim("two", ":.b:*").record())];
        let state = State::fold(&records).unwrap();
        let scope = Scope { patterns: vec![":.a:*".into()], below: None };
        let rivals: Vec<_> =
            state.rivals("three", "A", &scope).iter().map(|claim| claim.link.clone()).collect();
        assert_eq!(rivals, ["one"]);
        assert!(state.rivals("one", "A", &scope).is_empty());
    }

    #[test]
    fn a_newer_format_stops_us() {
        let mut newer = claim("l", "*");
        newer.format = 2;
        assert_eq!(State::fold(&[stored(newer.record())]), Err(NewerFormat { format: 2 }));
    }
}
