//! What has to fit between clusters and links, once each of them is right by itself.

use std::collections::BTreeMap;

use crate::config::cluster::ClusterConfig;
use crate::config::defect::Defect;
use crate::config::defect::Refusal;
use crate::config::http::HttpConfig;
use crate::config::http::exposed;
use crate::config::link::ContextChoice;
use crate::config::link::LinkConfig;
use crate::core::rules::Fence;
use crate::core::rules::Placement;
use crate::core::rules::Scope;
use crate::core::rules::Unfit;
use crate::core::subject::ContextName;

type Clusters = BTreeMap<String, ClusterConfig>;

/// A state topic that is the schemas topic of another entry for the same Kafka cluster: our records
/// would stop that registry.
pub(super) fn check_clusters(clusters: &Clusters, defects: &mut Vec<Defect>) {
    for one in clusters.values() {
        for other in clusters.values().filter(|other| other.name != one.name) {
            if one.state_topic == other.schemas_topic && one.is_same_kafka(other) {
                let wrong = format!(
                    "{} is the schemas topic of cluster {}, which has the same brokers",
                    one.state_topic, other.name
                );
                let right = "name another topic: registries read nothing but their own records";
                let path = format!("clusters.{}.state_topic", one.name);
                defects.push(Refusal::new(wrong, right).at(path));
            }
            if is_kept_twice(one, other) {
                let wrong = format!(
                    "cluster {} has the same brokers and the same topic, and links that are made over REST \
                     are kept there for both",
                    other.name
                );
                let right = "name another topic: nobody could tell whose links they are";
                let path = format!("clusters.{}.state_topic", one.name);
                defects.push(Refusal::new(wrong, right).at(path));
            }
            let shared = one.registry_urls.iter().find(|url| other.registry_urls.contains(url));
            if let Some(url) = shared {
                let wrong = format!("{url} is given for cluster {}, too", other.name);
                let right = "a link that names it could mean either: write it once";
                let path = format!("clusters.{}.registry_urls", one.name);
                defects.push(Refusal::new(wrong, right).at(path));
            }
        }
    }
}

/// What has no address is named by no link over REST.
fn is_kept_twice(one: &ClusterConfig, other: &ClusterConfig) -> bool {
    let has_links = |cluster: &ClusterConfig| !cluster.registry_urls.is_empty();
    one.state_topic == other.state_topic
        && one.is_same_kafka(other)
        && has_links(one)
        && has_links(other)
}

/// Addresses of clusters that others can reach without a login, without TLS, or without a word.
pub(super) fn check_exposed(clusters: &Clusters, http: &HttpConfig, defects: &mut Vec<Defect>) {
    let exposed = |cluster: &ClusterConfig| {
        exposed(&format!("clusters.{}.http", cluster.name), cluster.http, http.protection())
    };
    defects.extend(clusters.values().filter_map(exposed));
}

/// Links that would copy a topic onto itself, have one name, or own the same subjects. Each comes
/// with the path it stands at.
pub(super) fn check_links(
    links: &[(String, LinkConfig)],
    clusters: &Clusters,
    defects: &mut Vec<Defect>,
) {
    for (index, (path, link)) in links.iter().enumerate() {
        if let Some(refusal) = onto_itself(link, clusters) {
            defects.push(refusal.at(path));
        }
        if let Some((key, refusal)) = unfit(link) {
            let at =
                if path.starts_with("--") { format!("--{key}") } else { format!("{path}.{key}") };
            defects.push(refusal.at(at));
        }
        for (_, earlier) in links.iter().take(index) {
            if earlier.name == link.name {
                let wrong = format!("another link is named {:?}", link.name);
                let right = "give every link a name of its own";
                defects.push(Refusal::new(wrong, right).at(format!("{path}.name")));
            }
            if let Some(refusal) = overlap(earlier, link, clusters) {
                defects.push(refusal.at(path));
            }
        }
    }
}

fn onto_itself(link: &LinkConfig, clusters: &Clusters) -> Option<Refusal> {
    let source = clusters.get(&link.source)?;
    let target = clusters.get(&link.target)?;
    source.is_same_registry(target).then(|| {
        let wrong = format!(
            "source {} and target {} are the same topic {} of the same Kafka cluster",
            source.name, target.name, source.schemas_topic
        );
        Refusal::new(wrong, "let the link lead to another cluster, or to another schemas_topic")
    })
}

/// What the target's registry can't be given, as far as its dialect is declared.
fn unfit(link: &LinkConfig) -> Option<(&'static str, Refusal)> {
    let dialect = link.target_dialect;
    if link.rules_before_cluster().lacks_context() {
        let wrong = "a list of rules renames into a context only".to_owned();
        return Some((
            "subject_renames",
            Refusal::new(wrong, "give the link a context, or write subject_format"),
        ));
    }
    if let Some(unfit) = link.rules_before_cluster().unfit_for(dialect) {
        let key = match unfit {
            Unfit::Context => "context",
            Unfit::Subjects => "subjects",
        };
        let why = Unfit::WHY;
        let wrong = format!("the registry of target {} is {dialect}: {why}", link.target);
        return Some((key, Refusal::new(wrong, unfit.mend())));
    }
    if !dialect.has_modes() && link.fence != Fence::None {
        let wrong = format!(
            "the registry of target {} is {dialect}: no mode keeps its clients out",
            link.target
        );
        let right = "leave it out, or write none, and keep clients from writing by other means";
        return Some(("fence", Refusal::new(wrong, right)));
    }
    None
}

fn overlap(one: &LinkConfig, other: &LinkConfig, clusters: &Clusters) -> Option<Refusal> {
    let target = clusters.get(&one.target)?;
    if !target.is_same_registry(clusters.get(&other.target)?) {
        return None;
    }
    let theirs = scope(one, clusters)?;
    let own = scope(other, clusters)?;
    own.overlaps(&theirs).then(|| {
        let wrong = format!(
            "links {} and {} would both write {own} in {} at target {}",
            one.name, other.name, target.schemas_topic, target.name
        );
        Refusal::new(wrong, "give one of them another context, or other subjects")
    })
}

/// The scope as far as it is known before the source was asked for its id: one name, which nobody
/// would write, stands for the id of each Kafka cluster.
fn scope(link: &LinkConfig, clusters: &Clusters) -> Option<Scope> {
    let placement = match &link.context {
        ContextChoice::Into(context) => Placement::Into(context.clone()),
        ContextChoice::Same => Placement::Same,
        ContextChoice::Auto => {
            let source = clusters.get(&link.source)?;
            let first = clusters.values().find(|cluster| cluster.is_same_kafka(source))?;
            Placement::Into(ContextName::from_record(&format!(".<id-of-{}>", first.name)))
        }
    };
    Some(link.rules_with(placement).scope())
}

#[cfg(test)]
mod tests {
    use crate::config::Config;
    use crate::config::testing::Given;

    const CLUSTERS: &str = "
clusters:
  source: { bootstrap_servers: 'a:1' }
  alias: { bootstrap_servers: 'b:1,a:1', schemas_topic: other }
  target: { bootstrap_servers: 'c:1' }
  double: { bootstrap_servers: 'd:1,c:1' }
links:
";

    #[track_caller]
    fn check(links: &[&str], expected: &[&str]) {
        let links: Vec<String> = links.iter().map(|link| format!("  - {{ {link} }}\n")).collect();
        let file = format!("{CLUSTERS}{}", links.concat());
        let defects = match Config::parse("file", &file, &Given::default()) {
            Ok(_) => Vec::new(),
            Err(error) => error.defects.iter().map(ToString::to_string).collect(),
        };
        assert_eq!(defects, expected, "{file}");
    }

    #[test]
    fn links_over_rest_are_kept_for_one_cluster_in_a_topic() {
        let check = |more: &str, defects: usize| {
            let file = format!(
                "clusters:\n  a: {{ bootstrap_servers: 'a:1', registry_urls: ['http://a'] }}\n  \
                 b: {{ bootstrap_servers: 'a:1', schemas_topic: other, {more} }}\n"
            );
            let told = match Config::parse("file", &file, &Given::default()) {
                Ok(_) => Vec::new(),
                Err(error) => error.defects.iter().map(ToString::to_string).collect(),
            };
            assert_eq!(told.len(), defects, "{told:?}");
            let is_told = |one: &String| one.contains("are kept there for both");
            assert!(told.iter().all(is_told), "{told:?}");
        };
        check("registry_urls: ['http://b']", 2);
        check("registry_urls: ['http://b'], state_topic: another", 0);
        check("", 0);
    }

    const AUTO: &str = "name: one, source: source, target: target";

    fn two(context: &str) -> String {
        format!("name: two, source: alias, target: double, {context}")
    }

    #[test]
    fn two_links_that_own_the_same_subjects_of_one_target_are_refused_and_both_named() {
        let both = "links[1]: links one and two would both write :.x:* in _schemas at target \
                    target; give one of them another context, or other subjects";
        check(&[&format!("{AUTO}, context: .x"), &two("context: x, subjects: [a]")], &[both]);
        check(&[&format!("{AUTO}, context: .x"), &two("context: .y")], &[]);
    }

    #[test]
    fn two_contexts_named_after_one_source_overlap_and_after_two_they_do_not() {
        let both = "links[1]: links one and two would both write :.<id-of-alias>:* in _schemas at \
                    target target; give one of them another context, or other subjects";
        check(&[AUTO, &two("context: auto")], &[both]);
        check(&[AUTO, "name: two, source: double, target: alias"], &[]);
        check(&[AUTO, &two("context: .x")], &[]);
        check(&[AUTO, &two("context: none")], &[]);
    }

    #[test]
    fn a_name_that_two_links_have_is_refused() {
        let twice =
            "links[1].name: another link is named \"one\"; give every link a name of its own";
        check(&[AUTO, "name: one, source: target, target: source"], &[twice]);
    }

    #[test]
    fn a_link_from_a_topic_to_itself_is_refused_under_any_name() {
        let same = |source: &str, target: &str| {
            format!(
                "links[0]: source {source} and target {target} are the same topic _schemas of the \
                 same Kafka cluster; let the link lead to another cluster, or to another \
                 schemas_topic"
            )
        };
        check(&["name: x, source: source, target: source"], &[&same("source", "source")]);
        check(&["name: x, source: target, target: double"], &[&same("target", "double")]);
        check(&["name: x, source: source, target: alias"], &[]);
    }

    #[test]
    fn a_state_topic_that_another_registry_reads_is_refused() {
        let file = "clusters: { a: { bootstrap_servers: 'a:1', schemas_topic: x }, \
                    b: { bootstrap_servers: 'a:1', state_topic: x } }";
        let error = Config::parse("file", file, &Given::default()).unwrap_err();
        assert_eq!(
            error.to_string(),
            "file: clusters.b.state_topic: x is the schemas topic of cluster a, which has the same \
             brokers; name another topic: registries read nothing but their own records"
        );
    }
}
