//! Schema Linking's walkthrough on librdkafka's mock clusters, part by part.

#[cfg(test)]
#[path = "support/output.rs"]
mod output;
#[cfg(test)]
#[path = "walkthrough/story.rs"]
mod story;
#[cfg(test)]
#[path = "support/wait.rs"]
mod wait;

#[cfg(test)]
mod walkthrough {
    use schema_mirror::kafka::MockPair;

    use super::story::Topics;
    use super::story::Walk;

    /// The clusters live as long as the walk.
    fn begin() -> (MockPair, Walk) {
        let mocks = MockPair::start().unwrap();
        mocks.source.create_topic("pageviews", 1).unwrap();
        mocks.target.create_topic("stock_trades", 1).unwrap();
        let topics = Topics {
            schemas: "_schemas".to_owned(),
            state: "_schema_mirror".to_owned(),
            pageviews: "pageviews".to_owned(),
            stock_trades: "stock_trades".to_owned(),
        };
        let brokers =
            [&mocks.source, &mocks.target].map(|mock| mock.bootstrap_servers().to_owned());
        let walk = Walk::begin(brokers, topics);
        (mocks, walk)
    }

    #[test]
    fn part_1_a_passive_site_answers_with_the_same_bytes() {
        let (_mocks, walk) = begin();
        walk.part_1_active_passive();
    }

    #[test]
    fn part_2_chosen_subjects_of_both_sites_are_read_at_either() {
        let (_mocks, walk) = begin();
        walk.part_2_chosen_subjects();
    }

    #[test]
    fn part_3_whole_contexts_both_ways_run_on_and_nothing_compounds() {
        let (_mocks, walk) = begin();
        walk.part_3_whole_contexts();
    }

    #[test]
    fn part_4_contexts_without_a_name_get_one_and_are_read_at_either() {
        let (_mocks, walk) = begin();
        walk.part_4_auto();
    }
}
