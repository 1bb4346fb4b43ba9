//! A relay between a client and the server: it can delay bytes, hold them back, cut connections,
//! and heal.
//!
//! ```text
//!   Open --hold--> Held (bytes are kept, and land after `heal`) --heal--> Open
//!   Open --mute--> Mute (the same, of what clients send) --heal--> Open
//!   Open, Held --cut--> Cut (connections are closed, new ones too) --heal--> Open
//!   Open --hold_back--> HeldBack (bytes to the server pass, those from it are kept) --heal--> Open
//!   strand: clients see their connections close; what they had sent lands after `heal`, while new
//!   connections pass
//! ```

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::Ordering::SeqCst;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

const OPEN: usize = 0;
const HELD: usize = 1;
const CUT: usize = 2;
const MUTE: usize = 4;
const HELD_BACK: usize = 3;

struct Shared {
    target: (String, u16),
    state: AtomicUsize,
    delay_us: AtomicU64,
    ends: AtomicBool,
    connections: Mutex<Vec<TcpStream>>,
    /// Of the connections that are there: its client's end, and what strands it.
    clients: Mutex<Vec<(TcpStream, Arc<AtomicBool>)>>,
    relays: Mutex<Vec<JoinHandle<()>>>,
}

/// A relay on a free port of 127.0.0.1. Dropping it ends its threads.
pub struct Proxy {
    port: u16,
    shared: Arc<Shared>,
    listener: Option<JoinHandle<()>>,
}

impl Proxy {
    pub fn start(target: (String, u16)) -> Proxy {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a port of the loopback device");
        let port = listener.local_addr().expect("a bound socket has an address").port();
        let shared = Arc::new(Shared {
            target,
            state: AtomicUsize::new(OPEN),
            delay_us: AtomicU64::new(0),
            ends: AtomicBool::new(false),
            connections: Mutex::default(),
            clients: Mutex::default(),
            relays: Mutex::default(),
        });
        let accepting = Arc::clone(&shared);
        let listener = std::thread::spawn(move || accept(&listener, &accepting));
        Proxy { port, shared, listener: Some(listener) }
    }

    pub fn url(&self) -> String {
        format!("nats://127.0.0.1:{}", self.port)
    }

    /// Each piece of bytes waits for that long.
    pub fn delay(&self, each: Duration) {
        self.shared.delay_us.store(each.as_micros() as u64, SeqCst);
    }

    /// Connections stay, and nothing passes. What was sent meanwhile lands after `heal`.
    pub fn hold(&self) {
        self.shared.state.store(HELD, SeqCst);
    }

    /// Clients hear the server, and it does not hear them until `heal`.
    pub fn mute(&self) {
        self.shared.state.store(MUTE, SeqCst);
    }

    /// Closes all connections, and each new one.
    pub fn cut(&self) {
        self.shared.state.store(CUT, SeqCst);
        self.shared.close();
    }

    pub fn heal(&self) {
        self.shared.state.store(OPEN, SeqCst);
        self.shared.clients.lock().unwrap().iter().for_each(|(_, is_stranded)| is_stranded.store(false, SeqCst));
    }

    /// What the server sends is kept, and arrives after `heal`.
    pub fn hold_back(&self) {
        self.shared.state.store(HELD_BACK, SeqCst);
    }

    /// Clients see their connections close. What they have sent and the server has not received
    /// lands after `heal`.
    pub fn strand(&self) {
        for (client, is_stranded) in &*self.shared.clients.lock().unwrap() {
            is_stranded.store(true, SeqCst);
            let _ = client.shutdown(Shutdown::Write);
        }
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.shared.ends.store(true, SeqCst);
        self.shared.close();
        // It waits in accept: a connection wakes it.
        let _ = TcpStream::connect(("127.0.0.1", self.port));
        let _ = self.listener.take().map(JoinHandle::join);
        let relays = std::mem::take(&mut *self.shared.relays.lock().unwrap());
        relays.into_iter().for_each(|relay| drop(relay.join()));
    }
}

impl Shared {
    fn close(&self) {
        self.connections.lock().unwrap().drain(..).for_each(|stream| drop(stream.shutdown(Shutdown::Both)));
    }
}

fn accept(listener: &TcpListener, shared: &Arc<Shared>) {
    for client in listener.incoming() {
        if shared.ends.load(SeqCst) {
            return;
        }
        let Ok(client) = client else { continue };
        if shared.state.load(SeqCst) == CUT {
            continue;
        }
        let Ok(server) = TcpStream::connect((shared.target.0.as_str(), shared.target.1)) else { continue };
        let _ = client.set_nodelay(true).and_then(|()| server.set_nodelay(true));
        let copies = [client.try_clone(), server.try_clone(), client.try_clone(), server.try_clone()];
        let [Ok(from_client), Ok(from_server), Ok(to_client), Ok(to_server)] = copies else { continue };
        let is_stranded = Arc::new(AtomicBool::new(false));
        if let Ok(client) = client.try_clone() {
            shared.clients.lock().unwrap().push((client, Arc::clone(&is_stranded)));
        }
        shared.connections.lock().unwrap().extend([client, server]);
        let relays = [(from_client, to_server, MUTE), (from_server, to_client, HELD_BACK)].map(|(from, to, held)| {
            let (shared, is_stranded) = (Arc::clone(shared), Arc::clone(&is_stranded));
            std::thread::spawn(move || {
                let is_held = || {
                    let state = shared.state.load(SeqCst);
                    state == HELD || state == held || is_stranded.load(SeqCst)
                };
                relay(from, to, &shared, is_held)
            })
        });
        shared.relays.lock().unwrap().extend(relays);
    }
}

fn relay(mut from: TcpStream, mut to: TcpStream, shared: &Shared, is_held: impl Fn() -> bool) {
    let mut bytes = vec![0; 64 << 10];
    while let Ok(count) = from.read(&mut bytes) {
        if count == 0 {
            break;
        }
        std::thread::sleep(Duration::from_micros(shared.delay_us.load(SeqCst)));
        while is_held() && !shared.ends.load(SeqCst) {
            std::thread::sleep(Duration::from_millis(1));
        }
        if to.write_all(&bytes[..count]).is_err() {
            break;
        }
    }
    let _ = from.shutdown(Shutdown::Both);
    let _ = to.shutdown(Shutdown::Both);
}
