//! Links that could feed themselves.

use std::collections::BTreeSet;

use tempfile::TempDir;

use crate::{
    broker::{Broker, shared_source, shared_target},
    mirror::{LINK_LIMIT, Mirror, checkpoint, write_config},
    process::{new_folder, poll_until},
    records::{fold, schema},
};

/// A cluster by its letter.
type Cluster<'a> = (&'static str, &'a Broker);

/// Clusters in a ring, each with a link to the next one, all in one process. A cluster's letter is
/// the context that its neighbour keeps for it.
struct Ring<'a> {
    name: &'static str,
    clusters: Vec<Cluster<'a>>,
    subjects: &'static str,
    folder: TempDir,
}

impl Ring<'_> {
    fn topic(&self, letter: &str) -> String {
        format!("{}_{letter}", self.name)
    }

    fn state_topic(&self, letter: &str) -> String {
        format!("{}_{letter}_state", self.name)
    }

    fn start(&self) -> Mirror {
        let clusters = self.clusters.iter().map(|(letter, broker)| {
            let (bootstrap, topic) = (broker.bootstrap(), self.topic(letter));
            let state = self.state_topic(letter);
            format!(
                "  {letter}: {{ bootstrap_servers: \"{bootstrap}\", schemas_topic: {topic}, \
                 state_topic: {state} }}\n"
            )
        });
        let links = self.links().map(|((from, _), (to, _))| {
            let subjects = self.subjects;
            format!(
                "  - {{ name: {from}-to-{to}, source: {from}, target: {to}, context: .{from}, \
                 subjects: [\"{subjects}\"] }}\n"
            )
        });
        let (clusters, links): (String, String) = (clusters.collect(), links.collect());
        let text = format!("instance: one\nclusters:\n{clusters}links:\n{links}");
        Mirror::start(&write_config(self.folder.path(), "one", &text), &[])
    }

    /// Each cluster and the next one.
    fn links(&self) -> impl Iterator<Item = (Cluster<'_>, Cluster<'_>)> {
        let next = self.clusters.iter().cycle().skip(1);
        self.clusters.iter().copied().zip(next.copied())
    }

    fn ends(&self) -> Vec<i64> {
        let topics = self.clusters.iter();
        topics.map(|(letter, broker)| broker.watermarks(&self.topic(letter)).1).collect()
    }

    /// Waits until every link has followed its source to the end: nothing can move any more, for
    /// whatever a link writes moves the end of the next one's source.
    fn wait_still(&self) -> Vec<i64> {
        poll_until(LINK_LIMIT, "every link is at its source's end", || {
            let ends = self.ends();
            let followed = self.links().map(|(_, (letter, target))| {
                checkpoint(target, &self.state_topic(letter))?["next"].as_i64()
            });
            let followed: Option<Vec<i64>> = followed.collect();
            (followed? == ends && self.ends() == ends).then_some(ends)
        })
    }

    /// Live subjects of a cluster.
    fn subjects_of(&self, letter: &str) -> BTreeSet<String> {
        let (_, broker) = self.clusters.iter().find(|(known, _)| *known == letter).unwrap();
        let state = fold(&broker.read_all(&self.topic(letter)));
        let schemas = state.into_iter().filter(|(key, _)| key.contains(r#""keytype":"SCHEMA""#));
        schemas.map(|(_, (value, _))| value["subject"].as_str().unwrap().to_owned()).collect()
    }
}

/// Every cluster registers a subject before and one after the links start; in the end each holds
/// these, its own and those that came to it.
#[track_caller]
fn check(ring: &Ring<'_>, expected: &[(&str, &[&str])]) {
    for (id, (letter, broker)) in (1..).zip(&ring.clusters) {
        broker.create_topic(&ring.topic(letter), 1, &[("cleanup.policy", "compact")]);
        broker.produce(&ring.topic(letter), &[schema(&format!("{letter}1"), 1, id)]);
    }
    let mut mirror = ring.start();
    mirror.wait_for_nth("running", ring.clusters.len());
    ring.wait_still();
    for (id, (letter, broker)) in (11..).zip(&ring.clusters) {
        broker.produce(&ring.topic(letter), &[schema(&format!("{letter}2"), 1, id)]);
    }
    let ends = ring.wait_still();
    assert_eq!(mirror.end(), 0);
    for (letter, contexts) in expected {
        let expected: BTreeSet<String> = contexts
            .iter()
            .flat_map(|context| {
                // `.c.b` holds what b registered; what stands without a context is its own.
                let origin = context.rsplit('.').next().unwrap();
                ["1", "2"].map(|number| match *context {
                    "" => format!("{letter}{number}"),
                    _ => format!(":{context}:{origin}{number}"),
                })
            })
            .collect();
        assert_eq!(ring.subjects_of(letter), expected, "in {letter}");
    }
    // Another start finds nothing to do either.
    let mut mirror = ring.start();
    mirror.wait_for_nth("running", ring.clusters.len());
    assert_eq!(ring.wait_still(), ends);
    assert_eq!(mirror.end(), 0);
}

fn face_to_face(name: &'static str, subjects: &'static str) -> Ring<'static> {
    let clusters = vec![("a", shared_source()), ("b", shared_target())];
    Ring { name, clusters, subjects, folder: new_folder(name) }
}

#[test]
fn two_links_face_to_face_stop_after_one_exchange() {
    check(&face_to_face("face_default", "*"), &[("a", &["", ".b"]), ("b", &["", ".a"])]);
}

#[test]
fn two_links_face_to_face_that_copy_every_context_stop_after_one_exchange() {
    check(&face_to_face("face_all", ":*:"), &[("a", &["", ".b"]), ("b", &["", ".a"])]);
}

#[test]
fn a_ring_of_three_that_copies_every_context_stops_after_one_round() {
    let third = Broker::start("ring-third");
    let ring = Ring {
        name: "ring",
        clusters: vec![("a", shared_source()), ("b", shared_target()), ("c", &third)],
        subjects: ":*:",
        folder: new_folder("ring"),
    };
    check(
        &ring,
        &[("a", &["", ".c", ".c.b"]), ("b", &["", ".a", ".a.c"]), ("c", &["", ".b", ".b.a"])],
    );
}
