//! A network between instances and a broker that can be cut or held up, for each instance apart.

use std::{
    collections::BTreeMap,
    io::{Read, Write},
    net::{Shutdown, TcpListener, TcpStream},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread,
};

use crate::{broker::Broker, process::Port};

/// What becomes of what an instance sends, and of what it is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    Open,
    /// Taken, and passed on when the way is open again. Nobody is told.
    Held,
    /// Connections are closed, new ones too.
    Cut,
}

/// A broker with a second listener, whose advertised address is the proxy's.
pub(super) struct Proxied {
    pub(super) broker: Broker,
    address: String,
    roads: Arc<Roads>,
}

#[derive(Default)]
struct Roads {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    ways: BTreeMap<String, Way>,
    /// What was taken from an instance while its way was held.
    held: BTreeMap<String, Vec<u8>>,
}

impl Proxied {
    pub(super) fn start(name: &str) -> Self {
        let ports = [Port::reserve(), Port::reserve()];
        let (behind, front) = (Port::reserve(), Port::reserve());
        let (client, controller) = (ports[0].number, ports[1].number);
        let (inner, outer) = (behind.number, front.number);
        let listeners = format!(
            "PLAINTEXT://127.0.0.1:{client},CONTROLLER://127.0.0.1:{controller},\
             PROXIED://127.0.0.1:{inner}"
        );
        let advertised = format!("PLAINTEXT://127.0.0.1:{client},PROXIED://127.0.0.1:{outer}");
        let properties = [
            ("listeners", listeners.as_str()),
            ("advertised.listeners", &advertised),
            (
                "listener.security.protocol.map",
                "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,PROXIED:PLAINTEXT",
            ),
            ("inter.broker.listener.name", "PLAINTEXT"),
            // As brokers have it by default: the first member of a group waits 3 s for others.
            ("group.initial.rebalance.delay.ms", "3000"),
        ];
        let broker = Broker::start_on(name, ports, &properties);
        let roads = Arc::<Roads>::default();
        let address = format!("127.0.0.1:{outer}");
        let listener = TcpListener::bind(&address).unwrap();
        let of_all = Arc::clone(&roads);
        thread::spawn(move || {
            // Both ports are ours for as long as somebody may connect.
            let _held = (behind, front);
            for client in listener.incoming().map_while(Result::ok) {
                let roads = Arc::clone(&of_all);
                thread::spawn(move || roads.serve(client, inner));
            }
        });
        Self { broker, address, roads }
    }

    /// The address that instances are given.
    pub(super) fn address(&self) -> &str {
        &self.address
    }

    /// Opens, holds or cuts the way of one instance.
    pub(super) fn set(&self, instance: &str, way: Way) {
        let mut state = self.roads.state();
        state.ways.insert(instance.to_owned(), way);
        state.held.remove(instance);
        self.roads.changed.notify_all();
    }

    /// Whether this text is on its way from an instance, and held.
    pub(super) fn holds(&self, instance: &str, text: &str) -> bool {
        let state = self.roads.state();
        let held = state.held.get(instance).map_or(&[][..], Vec::as_slice);
        held.windows(text.len()).any(|part| part == text.as_bytes())
    }
}

impl Roads {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One connection. Its first request says which instance it is.
    fn serve(self: Arc<Self>, mut client: TcpStream, broker: u16) {
        let mut first = [0; 4096];
        let Ok(bytes) = client.read(&mut first) else { return };
        let Some(instance) = instance_of(&first[..bytes]) else { return };
        if !self.may_pass(&instance, None) {
            return;
        }
        let Ok(mut server) = TcpStream::connect(("127.0.0.1", broker)) else { return };
        if server.write_all(&first[..bytes]).is_err() {
            return;
        }
        let (mut answers, mut back) = (server.try_clone().unwrap(), client.try_clone().unwrap());
        let (roads, name) = (Arc::clone(&self), instance.clone());
        thread::spawn(move || roads.pump(&mut answers, &mut back, &name, Direction::ToInstance));
        self.pump(&mut client, &mut server, &instance, Direction::ToBroker);
    }

    fn pump(&self, from: &mut TcpStream, to: &mut TcpStream, instance: &str, way: Direction) {
        let mut part = [0; 65_536];
        while let Ok(bytes) = from.read(&mut part)
            && bytes > 0
        {
            let sent = (way == Direction::ToBroker).then_some(&part[..bytes]);
            if !self.may_pass(instance, sent) || to.write_all(&part[..bytes]).is_err() {
                break;
            }
        }
        for stream in [from, to] {
            // It may be closed already.
            drop(stream.shutdown(Shutdown::Both));
        }
    }

    /// Waits while the way is held. False when it is cut.
    fn may_pass(&self, instance: &str, sent: Option<&[u8]>) -> bool {
        let mut state = self.state();
        let way = |state: &State| state.ways.get(instance).copied().unwrap_or(Way::Open);
        if way(&state) == Way::Held {
            let held = state.held.entry(instance.to_owned()).or_default();
            held.extend(sent.unwrap_or_default());
        }
        while way(&state) == Way::Held {
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        way(&state) == Way::Open
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Direction {
    ToBroker,
    ToInstance,
}

/// The instance in a request's header: size, kind, version and number of the request, then the
/// client's id with its length.
fn instance_of(request: &[u8]) -> Option<String> {
    let length = u16::from_be_bytes([*request.get(12)?, *request.get(13)?]);
    let id = request.get(14..)?.get(..usize::from(length))?;
    let id = std::str::from_utf8(id).ok()?;
    Some(id.strip_prefix("schema-mirror-").unwrap_or(id).to_owned())
}
