//! Links over REST, and registries, on simulated clusters: what takes a broker that misbehaves, another
//! process, or time.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use schema_mirror::core::dialect::Dialect;
use schema_mirror::core::record::Outgoing;
use schema_mirror::core::registry_url::RegistryUrl;
use schema_mirror::core::rules::Compatibility;
use schema_mirror::service::catalog::CatalogReader;
use schema_mirror::service::catalog::CatalogSource;
use schema_mirror::service::commons::Commons;
use schema_mirror::service::exporter::Asked;
use schema_mirror::service::exporter::Desk;
use schema_mirror::service::exporter::Endpoint;
use schema_mirror::service::exporter::ExporterState;
use schema_mirror::service::exporter::Refused;
use schema_mirror::service::status::Status;
use schema_mirror::service::supervisor::Roster;
use serde_json::json;
use tokio::sync::watch;

use super::ports::SimClock;
use super::ports::SimCluster;
use super::scene;
use super::scene::Start;
use super::swarm::Swarm;
use super::world::Author;
use super::world::Process;
use super::world::Run;
use super::world::SCHEMAS;
use super::world::STATE;
use super::world::Sim;
use super::world::World;

const TARGET: usize = 1;
/// No cluster has this number: whoever asks it falls.
const NOWHERE: usize = 99;
/// Between two looks at what is waited for.
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// What takes longer has failed.
const LIMIT: Duration = Duration::from_secs(120);

/// Two clusters in quiet, and a process that serves them.
struct Stage {
    sim: Sim,
    desk: Desk<SimCluster, SimClock>,
    roster: watch::Receiver<Roster>,
    _told: watch::Sender<bool>,
}

impl Stage {
    /// In a runtime whose time passes when nobody has anything to do.
    fn play(act: impl AsyncFnOnce(Self)) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .unwrap();
        runtime.block_on(async {
            let sim = Sim::new(World::new(0, None, false));
            tokio::spawn(super::group::coordinate(sim.clone()));
            sim.with(|world| {
                world.swarm = Swarm::calm();
                scene::set(world);
                world.links = vec![scene::part(world, ".x", "*")];
                world.links[0].name = "x".to_owned();
                world.stormy = false;
                world.clusters[TARGET].make_topic(STATE, 64);
                world.processes.push(Process { run: Run::Up, thawed_at: None });
            });
            act(Self::open(sim)).await;
        });
    }

    fn open(sim: Sim) -> Self {
        let process = sim.lock().processes.len() - 1;
        let clock = SimClock { sim: sim.clone(), process };
        let broken =
            SimCluster { sim: sim.clone(), process, cluster: NOWHERE, name: "broken".to_owned() };
        let endpoints = BTreeMap::from([
            ("broken".to_owned(), endpoint(broken, None)),
            ("A".to_owned(), endpoint(scene::cluster(&sim, process, 0), None)),
            ("B".to_owned(), endpoint(scene::cluster(&sim, process, TARGET), Some("http://b"))),
        ]);
        let commons = Commons::new(clock.clone());
        let (desk, crew) = Desk::open(endpoints, Vec::new(), &clock, "host-1", &commons);
        let (told, shutdown) = watch::channel(false);
        let (show, roster) = watch::channel(Roster::default());
        tokio::spawn(crew.run(move |links| drop(show.send_replace(links)), shutdown));
        Self { sim, desk, roster, _told: told }
    }

    async fn make(&self, source: &str, name: &str) {
        let url = ("schema.registry.url".to_owned(), "http://b".to_owned());
        let context = Some(name.to_owned());
        let config = Some(BTreeMap::from([url]));
        let asked = Asked { context, config, ..Asked::default() };
        self.desk.create(source, name, asked).await.unwrap();
    }

    async fn until(&self, source: &str, name: &str, state: ExporterState) -> String {
        let reached = async {
            loop {
                let status = self.desk.status(source, name).await.unwrap();
                if status.state == state {
                    return status.trace.unwrap_or_default();
                }
                tokio::time::sleep(LOOK_EVERY).await;
            }
        };
        tokio::time::timeout(LIMIT, reached).await.expect("a state in time")
    }

    /// Where a link's worker says what it does; each has its own.
    fn worker(&self, name: &str) -> watch::Receiver<Status> {
        let roster = self.roster.borrow();
        let link = roster.links.iter().find(|link| link.link == name).unwrap();
        link.status.clone()
    }
}

fn endpoint(cluster: SimCluster, url: Option<&str>) -> Endpoint<SimCluster> {
    Endpoint {
        cluster,
        schemas_topic: SCHEMAS.to_owned(),
        state_topic: STATE.to_owned(),
        registry_urls: url.map(|url| RegistryUrl::parse(url).unwrap()).into_iter().collect(),
        dialect: Dialect::Auto,
        default_compatibility: Compatibility::Backward,
        create_topics: false,
        write_rate_max: None,
    }
}

#[test]
fn a_state_topic_that_is_missing_for_less_than_ten_seconds_ends_no_link() {
    Stage::play(async |stage| {
        stage.make("A", "x").await;
        stage.until("A", "x", ExporterState::Running).await;
        let hide = |seconds| {
            stage.sim.with(|world| {
                let until = world.now() + Duration::from_secs(seconds);
                world.clusters[TARGET].starts_until = until;
            });
        };
        // Shorter than that, with room for requests on their way.
        hide(7);
        for _ in 0..240 {
            assert_eq!(stage.desk.names("A").await, Ok(vec!["x".to_owned()]));
            tokio::time::sleep(LOOK_EVERY).await;
        }
        stage.until("A", "x", ExporterState::Running).await;
        hide(60);
        tokio::time::sleep(Duration::from_secs(30)).await;
        assert_eq!(stage.desk.names("A").await, Ok(Vec::new()), "it is believed to be gone");
    });
}

#[test]
fn a_link_that_fell_is_not_begun_again_until_someone_tells_it_to() {
    Stage::play(async |stage| {
        stage.make("broken", "fallen").await;
        let trace = stage.until("broken", "fallen", ExporterState::Paused).await;
        assert!(trace.starts_with("a fault of schema-mirror itself"), "{trace}");
        let first = stage.worker("fallen");
        // Whatever else happens there.
        stage.make("A", "x").await;
        stage.until("A", "x", ExporterState::Running).await;
        assert!(stage.worker("fallen").same_channel(&first), "it has no other worker");
        stage.desk.resume("broken", "fallen").await.unwrap();
        let is_other = async {
            while stage.worker("fallen").same_channel(&first) {
                tokio::time::sleep(LOOK_EVERY).await;
            }
        };
        tokio::time::timeout(LIMIT, is_other).await.expect("it was told to go on");
    });
}

#[test]
fn a_purge_is_refused_while_another_process_holds_the_scope() {
    Stage::play(async |stage| {
        stage.make("A", "x").await;
        stage.until("A", "x", ExporterState::Running).await;
        stage.desk.pause("A", "x").await.unwrap();
        stage.until("A", "x", ExporterState::Paused).await;
        // The same link in another configuration.
        let mut other = scene::start(&stage.sim, "host-2", Start::default());
        let phase = async {
            while other.status(0).phase.word() != "running" {
                tokio::time::sleep(LOOK_EVERY).await;
            }
        };
        tokio::time::timeout(LIMIT, phase).await.expect("it runs");
        let asked_at = stage.sim.lock().now();
        let refused = stage.desk.purge("A", "x").await.unwrap_err();
        let Refused::NotPaused(reason) = &refused else { panic!("{refused:?}") };
        assert!(reason.contains("another process still holds its scope"), "{reason}");
        let took = stage.sim.lock().now() - asked_at;
        assert!(
            took < Duration::from_secs(15),
            "a purge that goes on is told after 30 s: {took:?}"
        );
        let state = stage.until("A", "x", ExporterState::Paused).await;
        assert_eq!(state, "", "it is paused, and not purged");
        other.stop(&stage.sim).await;
        assert!(stage.desk.purge("A", "x").await.is_ok(), "nobody holds it any more");
    });
}

/// So many versions take several looks to read.
const VERSIONS: usize = 200;

#[test]
fn a_registry_that_is_read_again_keeps_its_trouble_until_that_has_caught_up() {
    Stage::play(async |stage| {
        let Stage { sim, .. } = &stage;
        sim.with(|world| {
            for version in 1..=VERSIONS {
                let key = json!({"keytype": "SCHEMA", "subject": "s", "version": version, "magic": 1});
                let value = json!({"subject": "s", "version": version, "id": version,
                    "schema": format!("{{\"type\":\"fixed\",\"name\":\"F\",\"size\":{version}}}"), "deleted": false});
                let write = Outgoing {
                    key: key.to_string().into_bytes(),
                    value: Some(value.to_string().into_bytes()),
                    ..Outgoing::default()
                };
                world.land(0, SCHEMAS, 0, write, Author::Registry).unwrap();
            }
        });
        let process = sim.lock().processes.len() - 1;
        let clock = SimClock { sim: sim.clone(), process };
        let source = CatalogSource {
            cluster: scene::cluster(sim, process, 0),
            topic: SCHEMAS.to_owned(),
            dialect: Dialect::Auto,
            default_compatibility: Compatibility::Backward,
        };
        let reader = CatalogReader::start(source, clock.clone());
        let first = reader.current(&clock).await.unwrap();
        assert_eq!(first.away, None);
        sim.with(|world| world.reading_refused = true);
        let mut before = 0;
        loop {
            let now = reader.current(&clock).await.unwrap();
            if now.away.is_some() {
                sim.with(|world| world.reading_refused = false);
                break;
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
        loop {
            let now = reader.current(&clock).await.unwrap();
            if !Arc::ptr_eq(&now.held, &first.held) {
                assert_eq!(now.away, None, "it has caught up");
                break;
            }
            assert!(now.away.is_some(), "what is answered is what was read before");
            before += 1;
            tokio::time::sleep(LOOK_EVERY).await;
        }
        assert!(before > 3, "reading again took {before} looks");
    });
}
