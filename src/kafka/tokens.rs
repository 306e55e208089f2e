//! Tokens that we sign ourselves, for clients that log in by OAUTHBEARER.
//!
//! librdkafka (2.12) asks for a token on a client's queue of events. Nobody looks there before the
//! first answer to a client that only asks questions, nor ever with an `AdminClient` of rdkafka
//! (0.39), nor while a reader waits for room. So nobody waits to be asked: each client is given a
//! token before anything is asked of it, and another one long before that ends, whatever its
//! threads do. Logins that librdkafka makes by itself (OIDC) are not touched.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::OnceLock;
use std::sync::Weak;
use std::time::Duration;

use rdkafka::ClientContext;
use rdkafka::admin::AdminClient;
use rdkafka::client::NativeClient;
use rdkafka::consumer::BaseConsumer;
use rdkafka::consumer::Consumer;
use rdkafka::consumer::ConsumerContext;
use rdkafka::producer::BaseProducer;
use rdkafka::producer::Producer;
use rdkafka::producer::ProducerContext;
use tokio::runtime::Handle;
use tokio::task::AbortHandle;

use crate::kafka::ending::end_behind;
use crate::kafka::errors::Place;
use crate::kafka::errors::lock;
use crate::kafka::native::set_no_token;
use crate::kafka::native::set_token;
use crate::service::clock::SystemClock;
use crate::service::ports::Clock;
use crate::service::ports::Fault;
use crate::service::ports::FaultClass;

/// How long a signature may take, with all that is asked for on the way: longer than a chain of
/// sources for credentials takes of which none answers.
const SIGNED_WITHIN: Duration = Duration::from_secs(10);

/// How often it is looked whether a new token is due, as librdkafka does. Short, since a machine that
/// was suspended wakes up with tokens that are over.
const LOOK_AGAIN_AFTER: Duration = Duration::from_secs(1);

/// The pause after a token could not be signed, as librdkafka has it.
const RETRY_AFTER_MS: i64 = 10_000;

const NO_TOKEN: &str = "no token to log in with";

/// What a client logs in with by OAUTHBEARER.
#[derive(Clone)]
pub struct Token {
    value: String,
    /// When it ends, in milliseconds since 1970.
    until_ms: i64,
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Token").field("until_ms", &self.until_ms).finish_non_exhaustive()
    }
}

impl Token {
    /// A token as brokers take it, and when it ends, in milliseconds since 1970.
    #[must_use]
    pub fn new(value: String, until_ms: i64) -> Self {
        Self { value, until_ms }
    }

    /// The token itself, for the client that needs it.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.value
    }

    /// When it ends, in milliseconds since 1970.
    #[must_use]
    pub fn until_ms(&self) -> i64 {
        self.until_ms
    }
}

/// Why there is no token. The cause names no secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unsigned {
    /// What can be done about it.
    pub class: FaultClass,
    /// In words.
    pub cause: String,
}

/// What a signer comes to.
pub type Signing<'a> = Pin<Box<dyn Future<Output = Result<Token, Unsigned>> + Send + 'a>>;

/// Whoever signs the tokens of a cluster.
pub trait Signer: Send + Sync + 'static {
    /// Signs a new token. It is dropped where it takes longer than ten seconds.
    fn sign(&self) -> Signing<'_>;
}

/// A client that can be given a token.
pub(super) trait Bearer: Send + Sync {
    fn native(&self) -> &NativeClient;
}

impl<C: ConsumerContext> Bearer for BaseConsumer<C> {
    fn native(&self) -> &NativeClient {
        self.client().native_client()
    }
}

impl<C: ProducerContext> Bearer for BaseProducer<C> {
    fn native(&self) -> &NativeClient {
        self.client().native_client()
    }
}

impl<C: ClientContext> Bearer for AdminClient<C> {
    fn native(&self) -> &NativeClient {
        self.inner().native_client()
    }
}

/// How the clients of a cluster log in, as far as librdkafka can't do that by itself.
#[derive(Clone, Default)]
pub(super) struct Logins(Option<Arc<Desk>>);

impl Logins {
    /// Tokens from a signer for all clients of a cluster.
    pub(super) fn with(signer: Box<dyn Signer>, cluster: &Arc<str>, clock: SystemClock) -> Self {
        let cluster = Arc::clone(cluster);
        let (state, renewing) = (Mutex::default(), OnceLock::new());
        Self(Some(Arc::new(Desk { cluster, clock, signer, state, renewing })))
    }

    /// Gives a client its token, and new ones for as long as it lives. Blocks while one is signed; it
    /// is called on threads made for that.
    ///
    /// # Errors
    ///
    /// No token, with the reason.
    pub(super) fn admit<B: Bearer + 'static>(
        &self,
        client: &Arc<B>,
        place: &Place,
    ) -> Result<(), Fault> {
        let Some(desk) = &self.0 else { return Ok(()) };
        let runtime = Handle::current();
        if !desk.is_fresh() {
            match runtime.block_on(desk.sign()) {
                Ok(token) => desk.hand_out(token),
                // What the other clients have does for this one as well.
                Err(_) if desk.left_ms() > 0 => {}
                Err(Unsigned { class, cause }) => {
                    return Err(place.fault(class, format!("{NO_TOKEN}: {cause}")));
                }
            }
        }
        let weak = Arc::downgrade(client);
        desk.enlist(weak).map_err(|cause| place.fault(FaultClass::Permanent, cause))?;
        desk.renewing.get_or_init(|| runtime.spawn(renew(Arc::downgrade(desk))).abort_handle());
        Ok(())
    }
}

/// The last token, and who has it.
struct Desk {
    cluster: Arc<str>,
    clock: SystemClock,
    signer: Box<dyn Signer>,
    state: Mutex<State>,
    renewing: OnceLock<AbortHandle>,
}

#[derive(Default)]
struct State {
    token: Option<Token>,
    /// When the next one is to be signed: half of the last one's life after it was.
    due_ms: i64,
    /// Not before this time, where the last attempt came to nothing.
    retry_ms: i64,
    fails: bool,
    clients: Vec<Weak<dyn Bearer>>,
}

impl Drop for Desk {
    fn drop(&mut self) {
        if let Some(renewing) = self.renewing.get() {
            renewing.abort();
        }
    }
}

impl Desk {
    fn is_fresh(&self) -> bool {
        self.clock.wall_ms() < lock(&self.state).due_ms
    }

    /// What is left of the last token's life.
    fn left_ms(&self) -> i64 {
        let until_ms = lock(&self.state).token.as_ref().map_or(0, Token::until_ms);
        until_ms.saturating_sub(self.clock.wall_ms()).max(0)
    }

    fn is_due(&self) -> bool {
        !self.is_fresh() && self.clock.wall_ms() >= lock(&self.state).retry_ms
    }

    async fn sign(&self) -> Result<Token, Unsigned> {
        match tokio::time::timeout(SIGNED_WITHIN, self.signer.sign()).await {
            Ok(signed) => signed,
            Err(_) => {
                let cause = format!("nobody signed one within {} s", SIGNED_WITHIN.as_secs());
                Err(Unsigned { class: FaultClass::Transient, cause })
            }
        }
    }

    /// Gives a new token to every client that lives.
    fn hand_out(&self, token: Token) {
        let now = self.clock.wall_ms();
        let mut state = lock(&self.state);
        let living = state.living();
        for client in &living {
            if let Err(code) = set_token(client.native(), &token.value, token.until_ms) {
                tracing::warn!(
                    cluster = &*self.cluster,
                    "a client does not take its token: {code}"
                );
            }
        }
        state.due_ms = now.saturating_add(token.until_ms.saturating_sub(now) / 2);
        state.token = Some(token);
        state.fails = false;
        drop(state);
        // One may have been dropped meanwhile by everybody else, and its end takes a moment.
        end_behind(living);
    }

    /// Gives a new client the last token, and keeps it in mind.
    fn enlist(&self, client: Weak<dyn Bearer>) -> Result<(), String> {
        let mut state = lock(&self.state);
        if let (Some(token), Some(living)) = (&state.token, client.upgrade()) {
            let taken = set_token(living.native(), &token.value, token.until_ms);
            taken.map_err(|code| format!("the client does not take its token: {code}"))?;
        }
        state.clients.retain(|known| known.strong_count() > 0);
        state.clients.push(client);
        Ok(())
    }

    /// Nobody signs: said once, and to the clients when what they have is over.
    fn go_on_without(&self, cause: &str) {
        let left_ms = self.left_ms();
        let mut state = lock(&self.state);
        state.retry_ms = self.clock.wall_ms().saturating_add(RETRY_AFTER_MS);
        if !std::mem::replace(&mut state.fails, true) {
            let (cluster, left_s) = (&*self.cluster, left_ms / 1000);
            tracing::warn!(cluster, left_s, "{NO_TOKEN}, the last one is good for left_s: {cause}");
        }
        if left_ms > 0 {
            return;
        }
        let living = state.living();
        for client in &living {
            set_no_token(client.native(), cause);
        }
        drop(state);
        end_behind(living);
    }
}

impl State {
    fn living(&self) -> Vec<Arc<dyn Bearer>> {
        self.clients.iter().filter_map(Weak::upgrade).collect()
    }
}

/// Signs a token whenever one is due, until the last client's cluster is gone.
async fn renew(desk: Weak<Desk>) {
    while let Some(living) = desk.upgrade() {
        if living.is_due() {
            match living.sign().await {
                Ok(token) => living.hand_out(token),
                Err(Unsigned { cause, .. }) => living.go_on_without(&cause),
            }
        }
        let clock = living.clock;
        drop(living);
        clock.sleep(LOOK_AGAIN_AFTER).await;
    }
}
