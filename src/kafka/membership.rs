//! Who is a member of a group; and who still is in this process, and the wait until nobody is.
//!
//! A lease leaves its group on a thread of its own. A process that ended meanwhile would stay listed
//! until its session ends (6 s), and whoever wants the scope next would wait for a dead member.

use std::sync::Condvar;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::Duration;

use rdkafka::consumer::Consumer;

use crate::kafka::errors::Place;
use crate::kafka::errors::lock;
use crate::kafka::reading::ReadingConsumer;
use crate::kafka::reading::serve;
use crate::kafka::settings::ANSWER_WITHIN;
use crate::service::ports::Fault;

/// How long the end of a process is held up by groups that are still to be left: a request and its
/// answer. A coordinator that is away takes as long as it likes.
const LEFT_WITHIN: Duration = Duration::from_secs(1);

static MEMBERS: Mutex<usize> = Mutex::new(0);
static LEFT: Condvar = Condvar::new();

/// A client that may be a member of a group; dropped when it no longer is.
#[derive(Debug)]
pub(super) struct Membership(());

impl Membership {
    /// Counts one more.
    pub(super) fn begin() -> Self {
        let mut members = lock(&MEMBERS);
        *members = members.saturating_add(1);
        Self(())
    }
}

impl Drop for Membership {
    fn drop(&mut self) {
        let mut members = lock(&MEMBERS);
        *members = members.saturating_sub(1);
        LEFT.notify_all();
    }
}

/// The members that a group's coordinator lists, in words. Blocks.
///
/// # Errors
///
/// The coordinator's answer, or that there is none.
pub(super) fn members_of(
    prober: &ReadingConsumer,
    group: &str,
    place: &Place,
) -> Result<Vec<String>, Fault> {
    let listed = prober.fetch_group_list(Some(group), ANSWER_WITHIN);
    serve(prober);
    let listed = listed.map_err(|error| place.fault_from(&error, prober.context()))?;
    let members = listed.groups().iter().filter(|known| known.name() == group);
    Ok(members
        .flat_map(|known| known.members())
        .map(|member| {
            // Kafka's brokers write a slash before the address.
            let host = member.client_host().trim_start_matches('/');
            format!("{} at {host}", member.client_id())
        })
        .collect())
}

/// Waits until every lease that was dropped has left its group, at most a second. For the end of a
/// process, when nothing runs any more.
pub fn wait_left() {
    let members = lock(&MEMBERS);
    let waited = LEFT.wait_timeout_while(members, LEFT_WITHIN, |members| *members > 0);
    drop(waited.unwrap_or_else(PoisonError::into_inner));
}
