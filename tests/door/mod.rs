//! A door before librdkafka's mock cluster, which knows no SASL: it takes logins by OAUTHBEARER and
//! lets nobody through without one. Or it stands open, before a broker that starts again.

use std::{
    collections::BTreeSet,
    io::{self, Read, Write},
    net::{Shutdown, TcpListener, TcpStream},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use openssl::ssl::SslAcceptor;
use schema_mirror::{
    kafka::MockBroker,
    service::{clock::SystemClock, ports::Clock},
};

/// Keys of Kafka's requests.
pub(crate) const PRODUCE: i16 = 0;
pub(crate) const FETCH: i16 = 1;
pub(crate) const METADATA: i16 = 3;
pub(crate) const JOIN_GROUP: i16 = 11;
const SASL_HANDSHAKE: i16 = 17;
const API_VERSIONS: i16 = 18;
const SASL_AUTHENTICATE: i16 = 36;

/// From this version on metadata are told in the flexible encoding.
const FLEXIBLE_METADATA: i16 = 9;

/// From this version on a request for versions is answered in the flexible encoding (KIP-482).
const FLEXIBLE_VERSIONS: i16 = 3;

/// The host that the mock says its broker has.
const MOCK_HOST: &[u8] = b"127.0.0.1";

/// What no request of these tests is as large as.
const FRAME_BYTES_MAX: usize = 16 * 1024 * 1024;

/// A listener before a mock cluster.
pub(crate) struct Door {
    pub(crate) port: u16,
    hall: Arc<Hall>,
}

struct Hall {
    mock_port: u16,
    port: u16,
    /// After so long a client has to log in again; none where nobody has to log in.
    session: Option<Duration>,
    /// The broker knows none of its cluster yet, itself included.
    is_starting: AtomicBool,
    clock: SystemClock,
    seen: Mutex<Seen>,
}

#[derive(Default)]
struct Seen {
    tokens: Vec<(String, i64)>,
    requests: BTreeSet<i16>,
    clients: Vec<TcpStream>,
    blank_answers: usize,
}

impl Door {
    /// Opens a door of its own port, over TLS where it has a certificate.
    pub(crate) fn before(
        broker: &MockBroker,
        session: Duration,
        tls: Option<Arc<SslAcceptor>>,
    ) -> Self {
        Self::made(broker, Some(session), tls)
    }

    /// Opens one that nobody has to log in at.
    pub(crate) fn open_before(broker: &MockBroker) -> Self {
        Self::made(broker, None, None)
    }

    fn made(broker: &MockBroker, session: Option<Duration>, tls: Option<Arc<SslAcceptor>>) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let (_, mock_port) = broker.bootstrap_servers().rsplit_once(':').unwrap();
        let hall = Arc::new(Hall {
            mock_port: mock_port.parse().unwrap(),
            port,
            session,
            is_starting: AtomicBool::new(false),
            clock: SystemClock::start(),
            seen: Mutex::default(),
        });
        let inner = Arc::clone(&hall);
        thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let (hall, tls) = (Arc::clone(&inner), tls.clone());
                hall.seen().clients.extend(client.try_clone());
                // A client may leave whenever it likes, also amid the greetings of TLS.
                thread::spawn(move || match tls {
                    Some(tls) => tls.accept(client).is_ok_and(|inside| hall.serve(inside).is_ok()),
                    None => hall.serve(client).is_ok(),
                });
            }
        });
        Self { port, hall }
    }

    /// The broker ends, and begins to start: it answers, and lists no broker.
    pub(crate) fn start_again(&self) {
        self.hall.is_starting.store(true, Ordering::Release);
        for client in self.hall.seen().clients.drain(..) {
            // It may have gone already.
            let _gone = client.shutdown(Shutdown::Both);
        }
    }

    /// It has started.
    pub(crate) fn has_started(&self) {
        self.hall.is_starting.store(false, Ordering::Release);
    }

    /// How often it answered that it knows no broker.
    pub(crate) fn blank_answers(&self) -> usize {
        self.hall.seen().blank_answers
    }

    /// Every token that came, in its order, and when: in milliseconds since 1970.
    pub(crate) fn tokens(&self) -> Vec<(String, i64)> {
        self.hall.seen().tokens.clone()
    }

    /// The requests that came behind a login.
    pub(crate) fn requests(&self) -> BTreeSet<i16> {
        self.hall.seen().requests.clone()
    }
}

impl Hall {
    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One connection, request by request: Kafka answers in order.
    fn serve(&self, mut client: impl Read + Write) -> io::Result<()> {
        let mut mock = TcpStream::connect(("127.0.0.1", self.mock_port))?;
        let mut is_inside = self.session.is_none();
        loop {
            let request = take(&mut client)?;
            let [api, version] = [short_at(&request, 0), short_at(&request, 2)];
            let answer = match api {
                SASL_HANDSHAKE => Some(handshake()),
                SASL_AUTHENTICATE => {
                    let token = token_in(&request).ok_or(io::ErrorKind::InvalidData)?;
                    self.seen().tokens.push((token, self.clock.wall_ms()));
                    is_inside = true;
                    Some(self.authenticated())
                }
                _ => None,
            };
            if let Some(answer) = answer {
                give(&mut client, &[&request[4..8], &answer[..]].concat())?;
                continue;
            }
            if api != API_VERSIONS {
                if !is_inside {
                    return Err(io::ErrorKind::PermissionDenied.into());
                }
                self.seen().requests.insert(api);
            }
            let is_starting = self.is_starting.load(Ordering::Acquire);
            if is_starting && ![API_VERSIONS, METADATA].contains(&api) {
                return Err(io::ErrorKind::ConnectionAborted.into());
            }
            give(&mut mock, &request)?;
            let mut answer = take(&mut mock)?;
            if api == API_VERSIONS && self.session.is_some() {
                add_sasl(&mut answer, version);
            }
            if api == METADATA && is_starting {
                take_brokers_out(&mut answer, version);
                self.seen().blank_answers += 1;
            }
            self.lead_back(&mut answer);
            give(&mut client, &answer)?;
        }
    }

    /// That the login is good, and for how long.
    fn authenticated(&self) -> Vec<u8> {
        let session_ms = i64::try_from(self.session.unwrap_or_default().as_millis()).unwrap();
        // No error, no words about it, no bytes, the time.
        [&[0, 0][..], &[0xff, 0xff], &[0; 4], &session_ms.to_be_bytes()].concat()
    }

    /// Writes our own port where the mock tells its address.
    fn lead_back(&self, answer: &mut [u8]) {
        let from = [MOCK_HOST, &u32::from(self.mock_port).to_be_bytes()].concat();
        let to = [MOCK_HOST, &u32::from(self.port).to_be_bytes()].concat();
        for at in 0..answer.len().saturating_sub(from.len()) + 1 {
            if answer[at..].starts_with(&from) {
                answer[at..at + to.len()].copy_from_slice(&to);
            }
        }
    }
}

fn handshake() -> Vec<u8> {
    let name = b"OAUTHBEARER";
    // No error, one mechanism.
    [&[0, 0][..], &[0, 0, 0, 1], &[0, 11], name].concat()
}

/// The token in a first message of OAUTHBEARER (RFC 7628): `n,,\x01auth=Bearer <token>\x01\x01`.
fn token_in(request: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(request);
    let (_, rest) = text.split_once("n,,\u{1}auth=Bearer ")?;
    let token = rest.strip_suffix("\u{1}\u{1}")?;
    Some(token.to_owned())
}

/// Says that logins are known, too.
fn add_sasl(answer: &mut Vec<u8>, version: i16) {
    // Behind the number of the request: an error, then the count.
    if short_at(answer, 4) != 0 {
        return;
    }
    let known = [(SASL_HANDSHAKE, 1), (SASL_AUTHENTICATE, 1)];
    let is_flexible = version >= FLEXIBLE_VERSIONS;
    let from = if is_flexible {
        // One more than the entries; it fits a byte as long as there are fewer than 127.
        answer[6] += u8::try_from(known.len()).unwrap();
        7
    } else {
        answer[9] += u8::try_from(known.len()).unwrap();
        10
    };
    for (api, version_max) in known {
        let range = [api, 0, version_max].map(i16::to_be_bytes).concat();
        let entry = if is_flexible { [&range[..], &[0]].concat() } else { range };
        answer.splice(from..from, entry);
    }
}

/// Takes the list of brokers out of what is told of a cluster.
fn take_brokers_out(answer: &mut Vec<u8>, version: i16) {
    assert!(version >= FLEXIBLE_METADATA, "{version}");
    // Behind the number of the request, no tags, and the time of throttling.
    let list = 4 + 1 + 4;
    let mut at = list + 1;
    // A compact array is one longer than it says.
    for _ in 1..answer[list] {
        // The id, the host, the port, the rack, no tags.
        at += 4;
        at += usize::from(answer[at]).max(1) + 4;
        at += usize::from(answer[at]).max(1) + 1;
    }
    answer.splice(list..at, [1]);
}

fn short_at(bytes: &[u8], at: usize) -> i16 {
    i16::from_be_bytes([bytes[at], bytes[at + 1]])
}

fn take(from: &mut impl Read) -> io::Result<Vec<u8>> {
    let mut length = [0; 4];
    from.read_exact(&mut length)?;
    let length = usize::try_from(u32::from_be_bytes(length)).unwrap();
    assert!((8..FRAME_BYTES_MAX).contains(&length), "{length} bytes");
    let mut frame = vec![0; length];
    from.read_exact(&mut frame)?;
    Ok(frame)
}

fn give(to: &mut impl Write, frame: &[u8]) -> io::Result<()> {
    let length = u32::try_from(frame.len()).unwrap().to_be_bytes();
    to.write_all(&[&length[..], frame].concat())?;
    to.flush()
}
