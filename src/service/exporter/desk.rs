//! Where exporters are asked for, changed and looked at: Schema Linking's verbs.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Mutex;
use tokio::sync::MutexGuard;

use super::Asked;
use super::Crew;
use super::Deleted;
use super::Described;
use super::Endpoint;
use super::Endpoints;
use super::Exporter;
use super::ExporterState;
use super::ExporterStatus;
use super::FixedLink;
use super::Refused;
use super::Wanted;
use super::endpoint::is_target;
use super::endpoint::named;
use super::seen::Posts;
use super::shelf::Kept;
use super::shelf::PARTITION;
use super::shelf::Shelf;
use crate::core::rules::is_link_name;
use crate::service::commons::Commons;
use crate::service::exported::Exported;
use crate::service::past::read_state_if_there;
use crate::service::ports::Clock;
use crate::service::ports::Cluster;
use crate::service::ports::Fault;
use crate::service::ports::FaultClass;
use crate::service::status::Phase;
use crate::service::supervisor::Watched;

/// Links of one process at most: each has clients of its own.
const LINKS_MAX: usize = 1_000;
/// A definition that was kept is read back within this long, or the call gives up.
pub(super) const READ_BACK_WITHIN: Duration = Duration::from_secs(10);
/// What another instance kept is looked up for so long at most.
const LOOK_UP_WITHIN: Duration = Duration::from_secs(3);

/// The exporters of all clusters.
#[derive(Debug)]
pub struct Desk<C, K> {
    pub(super) endpoints: Endpoints<C>,
    pub(super) fixed: Vec<FixedLink>,
    pub(super) shelf: Arc<Shelf>,
    pub(super) posts: Posts,
    pub(super) clock: K,
    pub(super) instance: String,
    /// One change at a time: what it looked at still holds when it is kept.
    gate: Mutex<()>,
}

impl<C: Cluster, K: Clock> Desk<C, K> {
    /// A desk for these clusters beside the links of the file, and the crew that does what is asked
    /// for there.
    pub fn open(
        endpoints: BTreeMap<String, Endpoint<C>>,
        fixed: Vec<FixedLink>,
        clock: &K,
        instance: &str,
        commons: &Commons<K>,
    ) -> (Self, Crew<C, K>) {
        let (endpoints, shelf, posts) = (Arc::new(endpoints), Shelf::new(), Posts::default());
        let crew = Crew {
            endpoints: Arc::clone(&endpoints),
            shelf: Arc::clone(&shelf),
            posts: posts.clone(),
            clock: clock.clone(),
            instance: instance.to_owned(),
            commons: commons.clone(),
            of_file: fixed
                .iter()
                .map(|link| (link.source.clone(), link.described.name.clone()))
                .collect(),
        };
        let (clock, instance) = (clock.clone(), instance.to_owned());
        (Self { endpoints, fixed, shelf, posts, clock, instance, gate: Mutex::default() }, crew)
    }

    /// The clusters, by their names in the configuration.
    pub fn clusters(&self) -> impl Iterator<Item = (&str, &Endpoint<C>)> {
        self.endpoints.iter().map(|(name, endpoint)| (name.as_str(), endpoint))
    }

    /// The exporters of a source, those of the file among them.
    ///
    /// # Errors
    /// A cluster has not told yet which ones it keeps.
    pub async fn names(&self, source: &str) -> Result<Vec<String>, Refused> {
        self.wait_told().await;
        if let Some(refused) = self.untold("list", "exporters") {
            return Err(refused);
        }
        let kept = self.shelf.all().into_iter().map(|kept| kept.exporter);
        let kept = kept.filter(|exporter| exporter.source == source).map(|exporter| exporter.name);
        let fixed = self.fixed.iter().filter(|link| link.source == source);
        let mut names: Vec<String> =
            fixed.map(|link| link.described.name.clone()).chain(kept).collect();
        names.sort();
        names.dedup();
        Ok(names)
    }

    /// What an exporter is told to do.
    ///
    /// # Errors
    /// [`Refused::NotFound`].
    pub async fn describe(&self, source: &str, name: &str) -> Result<Described, Refused> {
        self.wait_told().await;
        if let Some(fixed) = self.fixed(source, name) {
            return Ok(fixed.described.clone());
        }
        let Kept { exporter, .. } = self.kept(source, name)?;
        Ok(Described {
            name: exporter.name,
            subjects: exporter.subjects,
            context_type: exporter.context_type,
            context: exporter.context,
            subject_rename_format: exporter.subject_rename_format,
            kek_rename_format: exporter.kek_rename_format,
            config: exporter.config,
        })
    }

    /// What an exporter is doing. Where another instance writes, what that one kept last counts.
    ///
    /// # Errors
    /// [`Refused::NotFound`].
    pub async fn status(&self, source: &str, name: &str) -> Result<ExporterStatus, Refused> {
        if let Some(fixed) = self.fixed(source, name) {
            return Ok(self.told(&fixed.watched, &fixed.target, name).await);
        }
        self.wait_told().await;
        let all = self.shelf.find(source, name);
        let first = all.first().ok_or_else(|| self.not_found(name))?;
        if all.len() > 1 {
            let targets: Vec<&str> = all.iter().map(|kept| kept.target.as_str()).collect();
            return Ok(ExporterStatus::paused(format!(
                "clusters {} each keep a link {name} from {source}: none of them runs. Delete it here, \
                 which takes all of them away, and create it anew",
                targets.join(" and ")
            )));
        }
        let Kept { exporter, target } = first;
        if exporter.wanted == Wanted::Purging {
            return Ok(self.status_of_purge(first));
        }
        if exporter.wanted == Wanted::Paused {
            let exported = if exporter.reset { None } else { self.kept_on(target, name).await };
            return Ok(ExporterStatus { state: ExporterState::Paused, exported, trace: None });
        }
        if let Some(watched) = self.posts.of(&exporter.id()) {
            return Ok(self.told(&watched, target, name).await);
        }
        Ok(match self.check(exporter) {
            Err(refused) => {
                ExporterStatus::paused(format!("this process does not run it: {refused}"))
            }
            Ok(_) => {
                let state = ExporterState::Starting;
                ExporterStatus { state, exported: None, trace: None }
            }
        })
    }

    /// What a link shows; while it stands by, what the one that writes has kept.
    async fn told(&self, watched: &Watched, target: &str, name: &str) -> ExporterStatus {
        let status = watched.status.borrow().clone();
        let told = ExporterStatus::of(&status);
        if status.phase != Phase::Standby {
            return told;
        }
        match self.kept_on(target, name).await {
            Some(exported) => {
                ExporterStatus { state: ExporterState::Running, exported: Some(exported), ..told }
            }
            None => told,
        }
    }

    /// The newest record that a link copied, as it is kept on its target.
    async fn kept_on(&self, target: &str, name: &str) -> Option<Exported> {
        let endpoint = self.endpoints.get(target)?;
        let state = tokio::select! {
            state = read_state_if_there(&endpoint.cluster, &endpoint.state_topic) => state.ok()?,
            () = self.clock.sleep(LOOK_UP_WITHIN) => return None,
        };
        let own = state.checkpoints.into_values().filter(|checkpoint| checkpoint.link == name);
        own.filter_map(|checkpoint| checkpoint.exported).max_by_key(|last| last.offset)
    }

    /// Makes an exporter.
    ///
    /// # Errors
    /// What is wrong with it, or why it can't be kept.
    pub async fn create(&self, source: &str, name: &str, asked: Asked) -> Result<(), Refused> {
        let _one_at_a_time = self.enter().await;
        if !is_link_name(name) {
            let wrong = "a name has 1 to 100 letters, digits, - _ or .";
            return Err(Refused::Name(wrong.to_owned()));
        }
        if self.fixed(source, name).is_some() {
            return Err(Refused::Exists(format!(
                "exporter {name} exists: a link of the file has the name"
            )));
        }
        asked.refuse_idle_context()?;
        asked.warn_of_no_subjects(source, name);
        let exporter = Exporter::new(source, name, asked);
        let (target, endpoint) = self.check(&exporter)?;
        self.prepare(endpoint).await?;
        // What is kept there already must not be written over.
        self.read_back(endpoint, |shelf| shelf.is_read(target)).await?;
        if !self.shelf.find(source, name).is_empty() {
            return Err(Refused::Exists(format!("exporter {name} exists already")));
        }
        self.refuse_clash(target, &exporter)?;
        let all = self.shelf.all();
        let count = all.len().saturating_add(self.fixed.len());
        if count >= LINKS_MAX {
            return Err(Refused::TooMany(count));
        }
        let other = all.iter().find(|kept| kept.target == target && kept.exporter.name == name);
        let fixed =
            self.fixed.iter().find(|link| link.target == target && link.described.name == name);
        let other =
            other.map(|kept| &kept.exporter.source).or_else(|| fixed.map(|link| &link.source));
        if let Some(other) = other {
            return Err(Refused::Exists(format!(
                "a link {name} writes to {target} from {other}: records there could not be told apart; \
                 give this one another name"
            )));
        }
        self.keep(endpoint, &exporter).await?;
        tracing::info!(link = name, source, target, "link made");
        Ok(())
    }

    /// Changes an exporter. What is left out of `asked` stays. Running, it starts anew with the new
    /// definition; only another target wants it paused.
    ///
    /// # Errors
    /// What is wrong with it, or why it can't be kept.
    pub async fn update(&self, source: &str, name: &str, asked: Asked) -> Result<(), Refused> {
        let _one_at_a_time = self.enter().await;
        let Kept { exporter, target: before } = self.changeable(source, name)?;
        self.refuse_purging(&exporter)?;
        asked.refuse_idle_context()?;
        asked.warn_of_no_subjects(source, name);
        let changed = exporter.changed(asked);
        let (target, endpoint) = self.check(&changed)?;
        self.refuse_clash(target, &changed)?;
        if target == before {
            return self.keep(endpoint, &changed).await;
        }
        if self.is_at_work(&exporter) {
            return Err(Refused::NotPaused(format!(
                "exporter {name} is not paused, and {target} is another target than {before}: pause it first"
            )));
        }
        self.prepare(endpoint).await?;
        // The new one first: if the process ends in between, both are there and none runs.
        self.keep(endpoint, &changed).await?;
        self.take_away(&before, &exporter).await
    }

    /// Has an exporter stand still; one that is being purged keeps what is left of its copy.
    ///
    /// # Errors
    /// There is none, or it can't be kept.
    pub async fn pause(&self, source: &str, name: &str) -> Result<(), Refused> {
        let _one_at_a_time = self.enter().await;
        let Kept { exporter, target } = self.changeable(source, name)?;
        if exporter.wanted == Wanted::Paused {
            return Ok(());
        }
        let paused = Exporter { wanted: Wanted::Paused, ..exporter.next() };
        self.keep(self.target(&target)?, &paused).await
    }

    /// Has an exporter go on, that is paused or stands still for a reason.
    ///
    /// # Errors
    /// There is none, it runs or starts already, or it can't be kept.
    pub async fn resume(&self, source: &str, name: &str) -> Result<(), Refused> {
        let _one_at_a_time = self.enter().await;
        let Kept { exporter, target } = self.changeable(source, name)?;
        self.refuse_purging(&exporter)?;
        if exporter.wanted == Wanted::Running {
            match self.status(source, name).await?.state {
                ExporterState::Running => return Err(Refused::Running(name.to_owned())),
                ExporterState::Starting => return Err(Refused::Starting(name.to_owned())),
                ExporterState::Paused => {}
            }
        }
        let resumed = Exporter { wanted: Wanted::Running, reset: false, ..exporter.next() };
        self.keep(self.target(&target)?, &resumed).await
    }

    /// Has an exporter that is paused begin from nothing when it goes on: everything is compared, and
    /// nothing is written again that is right.
    ///
    /// # Errors
    /// There is none, it is not paused, or it can't be kept.
    pub async fn reset(&self, source: &str, name: &str) -> Result<(), Refused> {
        let _one_at_a_time = self.enter().await;
        let kept = self.changeable(source, name)?;
        self.refuse_at_work(&kept.exporter)?;
        let reset = Exporter { wanted: Wanted::Paused, reset: true, ..kept.exporter.next() };
        self.keep(self.target(&kept.target)?, &reset).await
    }

    /// Takes away an exporter that is paused. What it copied stays.
    ///
    /// # Errors
    /// There is none, it is not paused, or it can't be taken away.
    pub async fn delete(&self, source: &str, name: &str) -> Result<Deleted, Refused> {
        let _one_at_a_time = self.enter().await;
        if self.is_shadowed(source, name) {
            return self.delete_shadowed(source, name).await;
        }
        let first = self.changeable(source, name)?;
        let all = self.shelf.find(source, name);
        if all.len() == 1 {
            self.refuse_at_work(&first.exporter)?;
        }
        for kept in all {
            // The claim first: what fails in between can be asked for again.
            self.forget(&kept).await?;
            self.take_away(&kept.target, &kept.exporter).await?;
        }
        tracing::info!(link = name, source, "link deleted; what it copied stays");
        Ok(Deleted::Link)
    }

    /// Takes the turn to change something, by what clusters have told.
    pub(super) async fn enter(&self) -> MutexGuard<'_, ()> {
        let turn = self.gate.lock().await;
        self.wait_told().await;
        turn
    }

    pub(super) fn refuse_at_work(&self, exporter: &Exporter) -> Result<(), Refused> {
        if self.is_at_work(exporter) {
            let name = &exporter.name;
            return Err(Refused::NotPaused(format!(
                "exporter {name} is not paused: pause it first"
            )));
        }
        Ok(())
    }

    /// Whether it runs or may: a link that halted does not.
    fn is_at_work(&self, exporter: &Exporter) -> bool {
        let halted = |watched: Watched| matches!(watched.status.borrow().phase, Phase::Halted(_));
        exporter.wanted != Wanted::Paused && !self.posts.of(&exporter.id()).is_some_and(halted)
    }

    pub(super) fn fixed(&self, source: &str, name: &str) -> Option<&FixedLink> {
        self.fixed.iter().find(|link| link.source == source && link.described.name == name)
    }

    pub(super) fn kept(&self, source: &str, name: &str) -> Result<Kept, Refused> {
        let kept = self.shelf.find(source, name).into_iter().next();
        kept.ok_or_else(|| self.not_found(name))
    }

    /// Nobody has it, or nobody can tell.
    pub(super) fn not_found(&self, name: &str) -> Refused {
        let untold = self.untold("look for exporter", name);
        untold.unwrap_or_else(|| Refused::NotFound(name.to_owned()))
    }

    /// Gives clusters a moment to tell what they keep, at the start of the process.
    pub(super) async fn wait_told(&self) {
        let mut changes = self.shelf.changes();
        let deadline = self.clock.monotonic().saturating_add(LOOK_UP_WITHIN);
        loop {
            changes.mark_unchanged();
            let rest = deadline.saturating_sub(self.clock.monotonic());
            if rest.is_zero() || self.shelf.unread(&self.endpoints).is_none() {
                return;
            }
            tokio::select! {
                _ = changes.changed() => {}
                () = self.clock.sleep(rest) => {}
            }
        }
    }

    /// Why an answer would be half of one: a cluster has not told yet which links it keeps.
    pub(super) fn untold(&self, operation: &'static str, object: &str) -> Option<Refused> {
        let cluster = self.shelf.unread(&self.endpoints)?;
        Some(Refused::Cluster(Fault {
            operation,
            object: object.to_owned(),
            cluster: cluster.to_owned(),
            cause: "it has not told yet which links it keeps; ask again".to_owned(),
            class: FaultClass::Transient,
        }))
    }

    pub(super) fn changeable(&self, source: &str, name: &str) -> Result<Kept, Refused> {
        if self.fixed(source, name).is_some() {
            return Err(Refused::NotPaused(format!(
                "{name} is a link of the configuration's file: change it there, then send SIGHUP to the \
                 process"
            )));
        }
        self.kept(source, name)
    }

    /// Whether a definition is sound between clusters that are known: gives its target.
    pub(super) fn check(&self, exporter: &Exporter) -> Result<(&str, &Endpoint<C>), Refused> {
        let Some(source) = self.endpoints.get(&exporter.source) else {
            return Err(Refused::Config(format!("no cluster is named {}", exporter.source)));
        };
        let (target, endpoint) = named(&self.endpoints, &exporter.urls()?).map_err(|known| {
            let known = if known.is_empty() {
                "none; give registry_urls to the clusters of the configuration".to_owned()
            } else {
                known.join(", ")
            };
            Refused::Config(format!(
                "no cluster of the configuration has a registry at this schema.registry.url; known are: {known}"
            ))
        })?;
        if target == exporter.source {
            return Err(Refused::Config(format!(
                "schema.registry.url names {target}, which is the source itself"
            )));
        }
        exporter.link(source, endpoint, &self.instance)?;
        Ok((target, endpoint))
    }

    /// Makes our own topic where it is not there yet.
    async fn prepare(&self, target: &Endpoint<C>) -> Result<(), Refused> {
        let (cluster, topic) = (&target.cluster, &target.state_topic);
        if cluster.topic(topic).await?.is_some() {
            return Ok(());
        }
        if !target.create_topics {
            return Err(Refused::Cluster(Fault {
                operation: "create",
                object: format!("topic {topic}"),
                cluster: cluster.name().to_owned(),
                cause: "it does not exist, and create_topics of the cluster is false".to_owned(),
                class: FaultClass::Missing,
            }));
        }
        let facts = cluster.facts().await?;
        cluster.create_topic(&crate::service::state::topic_spec(topic, facts.brokers)).await?;
        Ok(())
    }

    pub(super) fn target(&self, name: &str) -> Result<&Endpoint<C>, Refused> {
        let unknown = || Refused::Config(format!("no cluster is named {name}"));
        self.endpoints.get(name).filter(|endpoint| is_target(endpoint)).ok_or_else(unknown)
    }

    /// Keeps a definition and waits until it is read back.
    pub(super) async fn keep(
        &self,
        target: &Endpoint<C>,
        exporter: &Exporter,
    ) -> Result<(), Refused> {
        let Exporter { source, name, revision, .. } = exporter;
        let cluster = target.cluster.name();
        self.append(target, PARTITION, &Kept::record(exporter)).await?;
        self.read_back(target, |shelf| {
            let kept = shelf.find(source, name);
            kept.iter().any(|kept| kept.target == cluster && kept.exporter.revision >= *revision)
        })
        .await
    }

    pub(super) async fn take_away(&self, target: &str, exporter: &Exporter) -> Result<(), Refused> {
        let Exporter { source, name, .. } = exporter;
        let endpoint = self.target(target)?;
        self.append(endpoint, PARTITION, &Kept::withdrawal(exporter)).await?;
        self.read_back(endpoint, |shelf| {
            !shelf.find(source, name).iter().any(|kept| kept.target == target)
        })
        .await
    }
}
