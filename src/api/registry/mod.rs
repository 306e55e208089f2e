//! A cluster's registry over HTTP, read only, as Confluent's answers (7.9): requests in, answers out,
//! from what its topic says. `docs/registry.md` lists what is answered otherwise, and why.

mod answer;
mod modes;
mod place;
mod reads;
mod writes;

pub use self::answer::Answer;
use self::answer::Refusal;
pub(in crate::api) use self::modes::ModeAsked;
use self::place::Place;
pub(in crate::api) use self::place::decoded;
use crate::core::catalog::Catalog;

/// What is asked.
#[derive(Debug, Clone, Copy)]
pub struct Question<'a> {
    /// The request's method.
    pub method: &'a str,
    /// Its path behind the cluster's name, as it was sent.
    pub path: &'a str,
    /// What stands behind the question mark, as it was sent.
    pub query: &'a str,
    /// What the asker has already, from `If-None-Match`.
    pub has: Option<&'a str>,
    /// Its body.
    pub body: &'a [u8],
}

/// Answers a request to the registry of the Kafka cluster with this id.
#[must_use]
pub fn answer(catalog: &Catalog, kafka_cluster: &str, question: Question<'_>) -> Answer {
    let place = match Place::of(question.path, question.query, catalog) {
        Ok(place) => place,
        Err(refusal) => return refusal.into(),
    };
    let steps: Vec<&str> = place.steps.iter().map(String::as_str).collect();
    let told = match question.method {
        "GET" | "HEAD" => reads::read(catalog, kafka_cluster, &steps, &place.parts),
        method => writes::write(catalog, method, &steps, &place.parts, question.body),
    };
    told.map_or_else(Answer::from, |answer| answer.unless_held(question.has))
}
