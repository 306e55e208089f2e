//! Incidents that operators let stand: how they are kept in our own topic, and how a link that runs is
//! asked to let them.

use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;
use serde::Serialize;
use tokio::sync::Mutex;
use tokio::sync::mpsc;
use tokio::sync::oneshot;

use crate::core::link::acknowledged::Acknowledged;
use crate::core::link::acknowledged::Acknowledgement;
use crate::core::link::turn::NotTurned;
use crate::core::link::turn::Turn;
use crate::core::link::turn::Which;
use crate::core::record::Outgoing;
use crate::core::rules::Scope;
use crate::service::ports::Clock;
use crate::service::state::FORMAT;
use crate::service::state::key;
use crate::service::state::put;

/// What such records are called in our topic.
pub(super) const KIND: &str = "acknowledged";
/// Requests that wait for a link at once: they come from people.
const WAITING_MAX: usize = 16;
/// A link that follows answers within this long, or the call gives up: its target takes as long to
/// acknowledge a record, or is away.
const ANSWERED_WITHIN: Duration = Duration::from_secs(10);

/// All acknowledgements of a link, in one record of its scope: they are kept, or none of them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Acknowledgements {
    /// See [`FORMAT`].
    pub format: u32,
    /// The link.
    pub link: String,
    /// The id of the cluster that it reads.
    pub source_cluster: String,
    /// One for each incident.
    pub incidents: Vec<Acknowledgement>,
}

impl Acknowledgements {
    /// The record that keeps what a link's operators let stand; without a value where that is nothing.
    #[must_use]
    pub fn record(
        link: &str,
        source_cluster: &str,
        scope: &Scope,
        acknowledged: &Acknowledged,
    ) -> Outgoing {
        if acknowledged.is_empty() {
            return Self::withdrawal(scope);
        }
        let all = Self {
            format: FORMAT,
            link: link.to_owned(),
            source_cluster: source_cluster.to_owned(),
            incidents: acknowledged.iter().cloned().collect(),
        };
        put(KIND, scope, serde_json::to_vec(&all).unwrap_or_default())
    }

    /// The record that takes the acknowledgements of a scope away.
    #[must_use]
    pub fn withdrawal(scope: &Scope) -> Outgoing {
        Outgoing { key: key(KIND, scope), ..Outgoing::default() }
    }
}

/// Why incidents are as they were.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unturned {
    /// No incident is meant, or there are too many.
    #[error(transparent)]
    Refused(NotTurned),
    /// Nobody can tell whether it was kept: asking again does no harm.
    #[error("{0}")]
    NotKept(String),
}

/// A request that a link has to answer.
#[derive(Debug)]
pub struct Ask {
    /// Which incidents.
    pub which: Which,
    /// What is to become of them.
    pub turn: Turn,
    reply: oneshot::Sender<Result<Vec<String>, Unturned>>,
}

impl Ask {
    /// Whether nobody waits for the answer any more: nothing is done then.
    #[must_use]
    pub fn is_given_up(&self) -> bool {
        self.reply.is_closed()
    }

    /// Answers with the keys of the incidents that were meant.
    pub fn answer(self, answer: Result<Vec<String>, Unturned>) {
        // Who has given up meanwhile was told that it may be kept all the same.
        drop(self.reply.send(answer));
    }
}

/// Where a link is asked.
#[derive(Debug, Clone)]
pub struct Asks(mpsc::Sender<Ask>);

/// Where a link hears what it is asked; one life of it at a time listens.
#[derive(Debug, Clone)]
pub struct Asked(Arc<Mutex<mpsc::Receiver<Ask>>>);

/// Both ends.
#[must_use]
pub fn asks() -> (Asks, Asked) {
    let (asks, asked) = mpsc::channel(WAITING_MAX);
    (Asks(asks), Asked(Arc::new(Mutex::new(asked))))
}

impl Asked {
    /// The next request that someone waits for; for ever where nobody can ask any more. Safe to cancel.
    pub async fn next(&self) -> Ask {
        let mut asked = self.0.lock().await;
        loop {
            match asked.recv().await {
                Some(ask) if ask.is_given_up() => {}
                Some(ask) => return ask,
                None => return std::future::pending().await,
            }
        }
    }
}

impl Asks {
    /// Asks the link, and waits for its answer: the keys of the incidents that were meant.
    ///
    /// # Errors
    /// What the link says, or that it does not answer.
    pub async fn turn<K: Clock>(
        &self,
        which: Which,
        turn: Turn,
        clock: &K,
    ) -> Result<Vec<String>, Unturned> {
        let (reply, answer) = oneshot::channel();
        if self.0.try_send(Ask { which, turn, reply }).is_err() {
            let why = "the link has ended, or is asked for too much at once; ask again";
            return Err(Unturned::NotKept(why.to_owned()));
        }
        tokio::select! {
            answered = answer => answered.unwrap_or_else(|_| {
                let why = "the link began anew while it was asked, and may have kept it or not; ask again";
                Err(Unturned::NotKept(why.to_owned()))
            }),
            () = clock.sleep(ANSWERED_WITHIN) => Err(Unturned::NotKept(format!(
                "the link did not answer within {} s, and may keep it yet; ask again",
                ANSWERED_WITHIN.as_secs()
            ))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::link::turn::ACKNOWLEDGED_MAX;
    use crate::core::record::Record;
    use crate::service::clock::SystemClock;
    use crate::service::state::NewerFormat;
    use crate::service::state::State;
    use crate::service::state::stored;

    fn scope(pattern: &str) -> Scope {
        Scope { patterns: vec![pattern.to_owned()], below: None }
    }

    fn kept(mark: &str) -> Acknowledged {
        let one = Acknowledgement {
            mark: mark.to_owned(),
            change: Some("a7".to_owned()),
            key: "users v1".to_owned(),
            offset: Some(12),
            by: "alice".to_owned(),
            why: "nobody reads it".to_owned(),
            at_ms: 1_795_857_240_000,
        };
        Acknowledged::from_iter([one])
    }

    fn record(link: &str, pattern: &str, mark: &str) -> Record {
        stored(Acknowledgements::record(link, "A", &scope(pattern), &kept(mark)))
    }

    #[test]
    fn acknowledgements_are_one_record_of_their_scope() {
        let record = Acknowledgements::record("dr", "A", &scope(":.a:*"), &kept("2f"));
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        assert_eq!(text(record.key), r#"{"kind":"acknowledged","scope":":.a:*"}"#);
        assert_eq!(
            text(record.value.unwrap()),
            concat!(
                r#"{"format":1,"link":"dr","source_cluster":"A","incidents":[{"mark":"2f","change":"a7","key":"users v1","#,
                r#""offset":12,"by":"alice","why":"nobody reads it","at_ms":1795857240000}]}"#
            )
        );
        let none = Acknowledgements::record("dr", "A", &scope(":.a:*"), &Acknowledged::default());
        assert_eq!(none.value, None);
    }

    #[test]
    fn a_link_finds_its_own_acknowledgements_whatever_its_scope_was_and_nobody_else_s() {
        let records =
            [record("dr", ":.a:*", "1"), record("dr", ":.b:*", "2"), record("other", ":.c:*", "3")];
        let state = State::fold(&records).unwrap();
        let marks = |link: &str, source: &str| -> Vec<String> {
            state.acknowledged_by(link, source).iter().map(|one| one.mark.clone()).collect()
        };
        assert_eq!(marks("dr", "A"), ["1", "2"]);
        assert_eq!(marks("dr", "B"), [""; 0]);
        let withdrawn = stored(Acknowledgements::withdrawal(&scope(":.a:*")));
        let [first, second, _] = records;
        let state = State::fold(&[first, second, withdrawn]).unwrap();
        assert_eq!(state.acknowledged_by("dr", "A").len(), 1);
    }

    #[test]
    fn acknowledgements_of_a_newer_format_stop_us() {
        let mut newer = record("dr", ":.a:*", "1");
        newer.value = Some(br#"{"format":2}"#.to_vec().into());
        assert_eq!(State::fold(&[newer]), Err(NewerFormat { format: 2 }));
    }

    #[test]
    fn the_longest_acknowledgements_fit_a_topic_s_default() {
        let wide = "\u{1f600}";
        let one = |number: usize| Acknowledgement {
            mark: format!("{number:032}"),
            change: Some(format!("{number:032}")),
            key: wide.repeat(200),
            offset: Some(i64::MAX),
            by: wide.repeat(100),
            why: wide.repeat(500),
            at_ms: i64::MAX,
        };
        let all = (0..ACKNOWLEDGED_MAX).map(one).collect();
        let record = Acknowledgements::record("dr", "A", &scope(":.a:*"), &all);
        let bytes = record.value.unwrap().len();
        assert!((800_000..1_000_000).contains(&bytes), "{bytes}");
    }

    fn turn() -> Turn {
        Turn::Withdraw
    }

    #[tokio::test(start_paused = true)]
    async fn a_link_that_does_not_answer_is_given_up_and_does_nothing_later() {
        let (asks, asked) = asks();
        let clock = SystemClock::start();
        let why = asks.turn(Which::All, turn(), &clock).await.unwrap_err();
        assert!(why.to_string().contains("did not answer within 10 s"), "{why}");
        let (answer, ()) = tokio::join!(asks.turn(named("b"), turn(), &clock), async {
            let ask = asked.next().await;
            assert_eq!(ask.which, named("b"), "the first one is passed over");
            ask.answer(Ok(vec!["b".to_owned()]));
        });
        assert_eq!(answer, Ok(vec!["b".to_owned()]));
    }

    #[tokio::test]
    async fn a_link_that_has_ended_or_ends_while_it_is_asked_says_so() {
        let (asks, asked) = asks();
        let clock = SystemClock::start();
        let (answer, ()) = tokio::join!(asks.turn(Which::All, turn(), &clock), async {
            drop(asked.next().await);
        });
        assert!(answer.unwrap_err().to_string().contains("began anew"));
        drop(asked);
        let answer = asks.turn(Which::All, turn(), &clock).await;
        assert!(answer.unwrap_err().to_string().contains("has ended"));
    }

    fn named(key: &str) -> Which {
        Which::Key(key.to_owned())
    }
}
