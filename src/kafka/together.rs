//! Questions that many links ask at about one time: one answer serves all who asked before it was
//! sought, and is no older than any of their questions.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;

use crate::kafka::errors::lock;
use crate::service::ports::Fault;
use crate::service::ports::FaultClass;

/// A kind of question, by what it is about: a few topics, which are never forgotten.
pub(super) struct Together<T>(Mutex<BTreeMap<String, Arc<Question<T>>>>);

impl<T> Default for Together<T> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

struct Question<T> {
    /// How often it was asked.
    asked: AtomicU64,
    /// How many wait for an answer.
    waiting: AtomicUsize,
    /// The last answer, for as long as someone waits who may take it. Who holds this seeks one.
    last: tokio::sync::Mutex<Option<Answer<T>>>,
}

impl<T> Default for Question<T> {
    fn default() -> Self {
        Self {
            asked: AtomicU64::new(0),
            waiting: AtomicUsize::new(0),
            last: tokio::sync::Mutex::default(),
        }
    }
}

struct Answer<T> {
    /// Who asked when it was found.
    asked: u64,
    /// Who had asked when it began to be sought.
    asked_before: u64,
    told: Result<T, Fault>,
}

impl<T: Clone> Answer<T> {
    /// A fault that may pass is news also to those who asked while it showed: each of them would wait
    /// as long for the same. Whatever else is told holds for those who had asked before.
    fn serves(&self, number: u64) -> bool {
        let is_away = self.told.as_ref().is_err_and(|fault| fault.class == FaultClass::Transient);
        number <= if is_away { self.asked } else { self.asked_before }
    }
}

impl<T: Clone> Together<T> {
    /// The answer of `seek`, or that of someone else who began to seek it after this was called.
    /// Safe to cancel.
    ///
    /// # Errors
    ///
    /// Those of whoever sought it.
    pub(super) async fn ask<F>(&self, about: &str, seek: impl FnOnce() -> F) -> Result<T, Fault>
    where
        F: Future<Output = Result<T, Fault>>,
    {
        let question = Arc::clone(lock(&self.0).entry(about.to_owned()).or_default());
        let _waiting = Waiting::begin(&question);
        let number = question.asked.fetch_add(1, Ordering::AcqRel).saturating_add(1);
        let mut last = question.last.lock().await;
        if let Some(answer) = &*last
            && answer.serves(number)
        {
            return answer.told.clone();
        }
        let asked_before = question.asked.load(Ordering::Acquire);
        let told = seek().await;
        let asked = question.asked.load(Ordering::Acquire);
        *last = Some(Answer { asked, asked_before, told: told.clone() });
        told
    }
}

/// Someone who waits for an answer. With the last of them it is let go of.
struct Waiting<'a, T>(&'a Question<T>);

impl<'a, T> Waiting<'a, T> {
    fn begin(question: &'a Question<T>) -> Self {
        question.waiting.fetch_add(1, Ordering::AcqRel);
        Self(question)
    }
}

impl<T> Drop for Waiting<'_, T> {
    fn drop(&mut self) {
        // Who holds the answer meanwhile waits too, and lets it go later.
        if self.0.waiting.fetch_sub(1, Ordering::AcqRel) == 1
            && let Ok(mut last) = self.0.last.try_lock()
        {
            *last = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn fault(class: FaultClass) -> Fault {
        Fault {
            operation: "describe",
            object: "topic _schemas".to_owned(),
            cluster: "here".to_owned(),
            cause: "why".to_owned(),
            class,
        }
    }

    /// Five questions, of which the first is being answered when the others are asked; how often an
    /// answer was sought, and which each was given.
    async fn five_at_once(first: Result<u64, Fault>) -> (u64, Vec<Result<u64, Fault>>) {
        let together = Arc::new(Together::default());
        let sought = Arc::new(AtomicU64::new(0));
        let mut asked = Vec::new();
        for _ in 0..5 {
            let (together, sought, first) =
                (Arc::clone(&together), Arc::clone(&sought), first.clone());
            asked.push(tokio::spawn(async move {
                let seek = || async {
                    let number = sought.fetch_add(1, Ordering::AcqRel).saturating_add(1);
                    tokio::time::sleep(Duration::from_secs(1)).await;
                    if number == 1 { first } else { Ok(number) }
                };
                together.ask("topic", seek).await
            }));
            // The first one is on its way before the others ask.
            tokio::task::yield_now().await;
        }
        let mut told = Vec::new();
        for answer in asked {
            told.push(answer.await.unwrap());
        }
        let question = Arc::clone(&lock(&together.0)["topic"]);
        assert!(question.last.lock().await.is_none(), "nothing is kept for nobody");
        (sought.load(Ordering::Acquire), told)
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_that_was_sought_before_a_question_does_not_serve_it() {
        let (sought, told) = five_at_once(Ok(1)).await;
        assert_eq!(sought, 2, "one for the first, one for all that asked meanwhile");
        assert_eq!(told, [Ok(1), Ok(2), Ok(2), Ok(2), Ok(2)]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_cluster_that_is_away_is_asked_once_for_all_that_wait() {
        let away = fault(FaultClass::Transient);
        let (sought, told) = five_at_once(Err(away.clone())).await;
        assert_eq!(sought, 1);
        assert_eq!(told, vec![Err(away); 5]);
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_missing_may_have_been_made_before_the_next_question() {
        let missing = fault(FaultClass::Missing);
        let (sought, told) = five_at_once(Err(missing.clone())).await;
        assert_eq!(sought, 2);
        assert_eq!(told, [Err(missing), Ok(2), Ok(2), Ok(2), Ok(2)]);
    }
}
