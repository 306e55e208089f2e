//! Questions to a cluster, and the way to a reader, a writer, a lease.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;
use std::sync::Mutex;
use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::error::RDKafkaErrorCode;
use tokio::runtime::Handle;
use tokio::sync::Semaphore;

use crate::core::record::Offset;
use crate::core::record::Record;
use crate::kafka::admin;
use crate::kafka::admin::Administrator;
use crate::kafka::admin::Intent;
use crate::kafka::appender;
use crate::kafka::appender::KafkaAppender;
use crate::kafka::context::Said;
use crate::kafka::ending::end_behind;
use crate::kafka::errors::Place;
use crate::kafka::errors::lock;
use crate::kafka::hosts::unknown_hosts;
use crate::kafka::lease;
use crate::kafka::lease::KafkaLease;
use crate::kafka::limits;
use crate::kafka::log;
use crate::kafka::log::KafkaLog;
use crate::kafka::member::SharesAnew;
use crate::kafka::reading::ReadingConsumer;
use crate::kafka::reading::Shape;
use crate::kafka::reading::make_consumer;
use crate::kafka::reading::partitions_of;
use crate::kafka::reading::shape;
use crate::kafka::scan;
use crate::kafka::settings::ClusterSettings;
use crate::kafka::settings::RENEWED_AFTER;
use crate::kafka::settings::Secrets;
use crate::kafka::together::Together;
use crate::kafka::tokens::Logins;
use crate::kafka::tokens::Signer;
use crate::service::ports::Clock;
use crate::service::ports::Cluster;
use crate::service::ports::ClusterFacts;
use crate::service::ports::Creation;
use crate::service::ports::Fault;
use crate::service::ports::FaultClass;
use crate::service::ports::LeaseRequest;
use crate::service::ports::Resource;
use crate::service::ports::Rights;
use crate::service::ports::TopicFacts;
use crate::service::ports::TopicSpec;

/// So many clients that write, or are members of groups, are made at once: hundreds of links that begin
/// together would keep each other, and the brokers, from answering in time.
const OPENINGS_MAX: usize = 16;
/// How long a turn is waited for. A few hundred links take 10 s on a small machine.
const OPENED_WITHIN: Duration = Duration::from_secs(60);

/// How long a topic may take from its creation until its brokers tell of it.
const CREATED_WITHIN: Duration = Duration::from_secs(10);

/// An admin client makes so many requests, then another is made: rdkafka (0.39) never takes what
/// librdkafka logs from its queue, which would grow for as long as the client lives.
const ADMINISTRATOR_USES_MAX: usize = 20;

/// The pause between two looks for a new topic.
const LOOK_PAUSE: Duration = Duration::from_millis(50);

/// One Kafka cluster. Clones share their connections.
#[derive(Clone)]
pub struct KafkaCluster {
    inner: Arc<Inner>,
}

pub(super) struct Inner {
    settings: ClusterSettings,
    pub(super) name: Arc<str>,
    secrets: Arc<Secrets>,
    logins: Logins,
    /// The client for questions, made when the first is asked.
    prober: Mutex<Option<Prober>>,
    /// The same for requests of administration, and how many it has made.
    administrator: Mutex<Option<(Arc<Administrator>, usize)>>,
    /// Topics of which the log says already that their settings are not told.
    pub(super) untold: Mutex<BTreeSet<String>>,
    shares_anew: Arc<SharesAnew>,
    /// What links that begin together all ask.
    asked_facts: Together<ClusterFacts>,
    asked_topics: Together<Option<TopicFacts>>,
    asked_records: Together<Vec<Record>>,
    openings: Arc<Semaphore>,
}

/// The client for questions, and when it was made.
struct Prober {
    made: Arc<ReadingConsumer>,
    at: Duration,
}

impl fmt::Debug for KafkaCluster {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KafkaCluster").field("settings", &self.inner.settings).finish()
    }
}

impl KafkaCluster {
    /// A cluster that is asked when something is asked of it; nothing is connected here.
    ///
    /// # Errors
    ///
    /// `Permanent` where librdkafka does not know a property or does not take its value, or this build
    /// lacks the login.
    pub fn new(settings: ClusterSettings) -> Result<Self, Fault> {
        let signer = settings.signer()?;
        Self::made(settings, signer)
    }

    /// The same for a cluster whose clients log in by OAUTHBEARER with tokens from this signer.
    ///
    /// # Errors
    ///
    /// The same.
    pub fn with_signer(settings: ClusterSettings, signer: impl Signer) -> Result<Self, Fault> {
        Self::made(settings, Some(Box::new(signer)))
    }

    fn made(settings: ClusterSettings, signer: Option<Box<dyn Signer>>) -> Result<Self, Fault> {
        let name: Arc<str> = Arc::from(settings.name.as_str());
        let secrets = Arc::new(Secrets::of(&settings));
        let config = settings.reader();
        if let Err(error) = config.create_native_config() {
            return Err(Place::cluster(&name).not_made(&error, &secrets));
        }
        let logins =
            signer.map(|signer| Logins::with(signer, &name, settings.clock)).unwrap_or_default();
        let inner = Inner {
            settings,
            name,
            secrets,
            logins,
            prober: Mutex::default(),
            administrator: Mutex::default(),
            untold: Mutex::default(),
            shares_anew: Arc::default(),
            asked_facts: Together::default(),
            asked_topics: Together::default(),
            asked_records: Together::default(),
            openings: Arc::new(Semaphore::new(OPENINGS_MAX)),
        };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// Makes a client for questions, so that certificates and keys are read now. It blocks for as
    /// long as files are read; nothing is asked of it, and it gets no token.
    ///
    /// # Errors
    ///
    /// `Permanent` where the client can't be made of what the files hold.
    pub fn try_out(&self) -> Result<(), Fault> {
        let Inner { settings, name, secrets, .. } = &*self.inner;
        make_consumer(&settings.prober(), &Place::cluster(name), secrets).map(end_behind)
    }
}

#[cfg(test)]
impl KafkaCluster {
    /// Whether both share their connections.
    pub(crate) fn is_one_with(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.inner, &other.inner)
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        if let Some((administrator, _)) = lock(&self.administrator).take() {
            end_behind(administrator);
        }
    }
}

impl Inner {
    pub(super) fn prober(&self, place: &Place) -> Result<Arc<ReadingConsumer>, Fault> {
        let mut prober = lock(&self.prober);
        if let Some(Prober { made, .. }) = &*prober {
            return Ok(Arc::clone(made));
        }
        let made = self.consumer(&self.settings.prober(), place)?;
        let at = self.settings.clock.monotonic();
        *prober = Some(Prober { made: Arc::clone(&made), at });
        Ok(made)
    }

    fn consumer(
        &self,
        config: &ClientConfig,
        place: &Place,
    ) -> Result<Arc<ReadingConsumer>, Fault> {
        consumer(config, place, &self.secrets, &self.logins)
    }

    /// A question that got no answer ends the clients of questions, see
    /// [`Reader::renew`](super::reader::Reader): the next one is asked of new ones.
    fn renew(&self) {
        let now = self.settings.clock.monotonic();
        let is_old = |prober: &mut Prober| now.saturating_sub(prober.at) >= RENEWED_AFTER;
        let Some(prober) = lock(&self.prober).take_if(is_old) else { return };
        end_behind(prober.made);
        if let Some((administrator, _)) = lock(&self.administrator).take() {
            end_behind(administrator);
        }
    }

    pub(super) fn administrator(&self, place: &Place) -> Result<Arc<Administrator>, Fault> {
        let mut administrator = lock(&self.administrator);
        if let Some((made, uses)) = &mut *administrator
            && *uses < ADMINISTRATOR_USES_MAX
        {
            *uses = uses.saturating_add(1);
            return Ok(Arc::clone(made));
        }
        if let Some((used, _)) = administrator.take() {
            end_behind(used);
        }
        let said = Said::new(&self.name, &self.secrets);
        let made = self.settings.administrator().create_with_context(said);
        let made = Arc::new(made.map_err(|error| place.not_made(&error, &self.secrets))?);
        self.logins.admit(&made, place)?;
        *administrator = Some((Arc::clone(&made), 1));
        Ok(made)
    }

    fn create(&self, spec: &TopicSpec, intent: Intent) -> Result<Creation, Fault> {
        let place = Place::create(&self.name, &spec.name);
        admin::create(&*self.administrator(&place)?, spec, intent, &place)
    }

    fn read(&self, topic: &str, partition: i32, from: Offset) -> Result<KafkaLog, Fault> {
        let place = Place::read(&self.name, topic);
        let (config, of) = (self.settings.reader(), place.clone());
        let (secrets, logins) = (Arc::clone(&self.secrets), self.logins.clone());
        // Tokens are signed in it, and the reader's thread has none of its own.
        let runtime = Handle::current();
        let make = Box::new(move || {
            let _entered = runtime.enter();
            consumer(&config, &of, &secrets, &logins)
        });
        let consumer = make()?;
        let clock = self.settings.clock;
        let topic = topic.to_owned();
        log::open(log::Opening { consumer, make, clock, place, topic, partition, from })
    }

    fn read_all(&self, topic: &str) -> Result<Vec<Record>, Fault> {
        let place = Place::read(&self.name, topic);
        let consumer = self.consumer(&self.settings.reader(), &place)?;
        let records = scan::read_all(&consumer, topic, &place);
        end_behind(consumer);
        records
    }

    fn append_to(
        &self,
        topic: &str,
        partition: i32,
        mut config: ClientConfig,
    ) -> Result<KafkaAppender, Fault> {
        let place = Place::append(&self.name, topic);
        let prober = self.prober(&place)?;
        let Some(Shape { leader, .. }) = shape(&prober, topic, &place)? else {
            return Err(place.fault_of(RDKafkaErrorCode::UnknownTopicOrPartition));
        };
        let topic_max =
            self.settings_or_reason(topic, leader)?.ok().map(|told| told.max_message_bytes);
        appender::open(appender::Opening {
            limit: limits::bound(&mut config, topic_max.flatten()),
            config,
            secrets: Arc::clone(&self.secrets),
            logins: self.logins.clone(),
            place,
            topic: topic.to_owned(),
            partition,
        })
    }

    fn lease(&self, request: LeaseRequest) -> Result<KafkaLease, Fault> {
        let place = Place::join(&self.name, &request.group, &request.topic);
        let prober = self.prober(&place)?;
        let partitions = partitions_of(&prober, &request.topic, &place)?;
        if !partitions.contains(&request.partition) {
            let cause = format!("topic {} has no partition {}", request.topic, request.partition);
            return Err(place.fault(FaultClass::Missing, cause));
        }
        let instance = request.instance.as_deref();
        let instance = instance.filter(|_| !self.shares_anew.take(&request.group));
        lease::open(lease::Opening {
            config: self.settings.member(&request.group, instance),
            shares_anew: Arc::clone(&self.shares_anew),
            secrets: Arc::clone(&self.secrets),
            logins: self.logins.clone(),
            clock: self.settings.clock,
            place,
            request,
        })
    }
}

fn consumer(
    config: &ClientConfig,
    place: &Place,
    secrets: &Arc<Secrets>,
    logins: &Logins,
) -> Result<Arc<ReadingConsumer>, Fault> {
    let made = Arc::new(make_consumer(config, place, secrets)?);
    logins.admit(&made, place)?;
    Ok(made)
}

/// Does on a thread for blocking what blocks.
async fn blocking<T: Send + 'static>(
    inner: &Arc<Inner>,
    act: impl FnOnce(&Inner) -> Result<T, Fault> + Send + 'static,
) -> Result<T, Fault> {
    let ours = Arc::clone(inner);
    let asked = move || {
        act(&ours).inspect_err(|fault| {
            if fault.class == FaultClass::Transient {
                ours.renew();
            }
        })
    };
    match tokio::task::spawn_blocking(asked).await {
        Ok(done) => done,
        Err(error) => {
            let cause = format!("the request did not end: {error}");
            Err(Place::cluster(&inner.name).fault(FaultClass::Permanent, cause))
        }
    }
}

/// The same for what makes a client that writes or is a member of a group, when it is its turn.
async fn opened<T: Send + 'static>(
    inner: &Arc<Inner>,
    act: impl FnOnce(&Inner) -> Result<T, Fault> + Send + 'static,
) -> Result<T, Fault> {
    let turn = Arc::clone(&inner.openings).acquire_owned();
    let clock = inner.settings.clock;
    let turn = tokio::select! {
        biased;
        turn = turn => turn,
        () = clock.sleep(OPENED_WITHIN) => {
            let cause = format!("{OPENINGS_MAX} clients were being made for {} s", OPENED_WITHIN.as_secs());
            return Err(Place::cluster(&inner.name).fault(FaultClass::Transient, cause));
        }
    };
    blocking(inner, move |inner| {
        // It is never closed. Whoever asked may be gone, and the client is still being made.
        let _turn = turn;
        act(inner)
    })
    .await
}

impl Cluster for KafkaCluster {
    type Log = KafkaLog;
    type Appender = KafkaAppender;
    type Lease = KafkaLease;

    fn name(&self) -> &str {
        &self.inner.name
    }

    fn bootstrap_servers(&self) -> &str {
        &self.inner.settings.bootstrap_servers
    }

    fn principal(&self) -> Option<String> {
        self.inner.settings.principal()
    }

    async fn unknown_hosts(&self) -> Vec<(String, String)> {
        let servers = self.inner.settings.bootstrap_servers.clone();
        // A lookup that does not end is one that tells nothing.
        blocking(&self.inner, move |_| Ok(unknown_hosts(&servers))).await.unwrap_or_default()
    }

    async fn rights(&self, resource: &Resource) -> Result<Option<Rights>, Fault> {
        let resource = resource.clone();
        blocking(&self.inner, move |inner| inner.rights(&resource)).await
    }

    async fn may_create(&self, spec: &TopicSpec) -> Result<(), Fault> {
        let spec = spec.clone();
        blocking(&self.inner, move |inner| inner.create(&spec, Intent::Ask)).await.map(drop)
    }

    async fn first_since(&self, topic: &str, time_ms: i64) -> Result<Option<Offset>, Fault> {
        let topic = topic.to_owned();
        blocking(&self.inner, move |inner| inner.first_since(&topic, time_ms)).await
    }

    async fn facts(&self) -> Result<ClusterFacts, Fault> {
        self.inner.asked_facts.ask("", || blocking(&self.inner, Inner::facts)).await
    }

    async fn topic(&self, name: &str) -> Result<Option<TopicFacts>, Fault> {
        let asked = name.to_owned();
        let seek = || blocking(&self.inner, move |inner| inner.topic(&asked));
        self.inner.asked_topics.ask(name, seek).await
    }

    async fn create_topic(&self, spec: &TopicSpec) -> Result<Creation, Fault> {
        let clock = self.inner.settings.clock;
        let started = clock.monotonic();
        let wanted = spec.clone();
        let creation =
            blocking(&self.inner, move |inner| inner.create(&wanted, Intent::Create)).await?;
        // The controller answers before every broker has heard of the topic.
        loop {
            let wanted = spec.clone();
            let told = blocking(&self.inner, move |inner| inner.is_ready(&wanted)).await?;
            if told && self.topic(&spec.name).await.is_ok_and(|facts| facts.is_some()) {
                return Ok(creation);
            }
            if clock.monotonic().saturating_sub(started) > CREATED_WITHIN {
                let place = Place::create(&self.inner.name, &spec.name);
                return Err(place.fault(FaultClass::Transient, "it is created, but has no leaders"));
            }
            clock.sleep(LOOK_PAUSE).await;
        }
    }

    async fn read(&self, topic: &str, partition: i32, from: Offset) -> Result<KafkaLog, Fault> {
        let topic = topic.to_owned();
        blocking(&self.inner, move |inner| inner.read(&topic, partition, from)).await
    }

    async fn read_all(&self, topic: &str) -> Result<Vec<Record>, Fault> {
        let asked = topic.to_owned();
        let seek = || blocking(&self.inner, move |inner| inner.read_all(&asked));
        self.inner.asked_records.ask(topic, seek).await
    }

    async fn append_to(&self, topic: &str, partition: i32) -> Result<KafkaAppender, Fault> {
        let topic = topic.to_owned();
        let config = self.inner.settings.appender();
        opened(&self.inner, move |inner| inner.append_to(&topic, partition, config)).await
    }

    async fn append_in_batches(&self, topic: &str, partition: i32) -> Result<KafkaAppender, Fault> {
        let topic = topic.to_owned();
        let config = self.inner.settings.batch_appender();
        opened(&self.inner, move |inner| inner.append_to(&topic, partition, config)).await
    }

    async fn keep_in(&self, topic: &str, partition: i32) -> Result<KafkaAppender, Fault> {
        let topic = topic.to_owned();
        let config = self.inner.settings.keeper();
        opened(&self.inner, move |inner| inner.append_to(&topic, partition, config)).await
    }

    async fn lease(&self, request: &LeaseRequest) -> Result<KafkaLease, Fault> {
        let request = request.clone();
        opened(&self.inner, move |inner| inner.lease(request)).await
    }

    async fn members(&self, group: &str) -> Result<Vec<String>, Fault> {
        let group = group.to_owned();
        blocking(&self.inner, move |inner| inner.members(&group)).await
    }
}
