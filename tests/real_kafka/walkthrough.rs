//! Schema Linking's walkthrough between two real clusters, part by part.

use crate::{
    broker::{shared_source, shared_target},
    mirror::SOURCE_SETTINGS,
    story::{Topics, Walk},
};

fn begin(part: &str) -> Walk {
    let [schemas, state, pageviews, stock_trades] =
        ["schemas", "state", "pageviews", "stock_trades"].map(|topic| format!("{part}_{topic}"));
    for broker in [shared_source(), shared_target()] {
        broker.create_topic(&schemas, 1, &SOURCE_SETTINGS);
    }
    shared_source().create_topic(&pageviews, 1, &[]);
    shared_target().create_topic(&stock_trades, 1, &[]);
    let topics = Topics { schemas, state, pageviews, stock_trades };
    Walk::begin([shared_source().bootstrap(), shared_target().bootstrap()], topics)
}

#[test]
fn part_1_a_passive_site_answers_with_the_same_bytes() {
    begin("walk_1").part_1_active_passive();
}

#[test]
fn part_2_chosen_subjects_of_both_sites_are_read_at_either() {
    begin("walk_2").part_2_chosen_subjects();
}

#[test]
fn part_3_whole_contexts_both_ways_run_on_and_nothing_compounds() {
    begin("walk_3").part_3_whole_contexts();
}

#[test]
fn part_4_contexts_without_a_name_get_one_and_are_read_at_either() {
    begin("walk_4").part_4_auto();
}
