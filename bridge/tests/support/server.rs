//! A real nats-server: started on a free port with JetStream in a folder, killed, and started again
//! with the same store.

use super::Folder;
use super::running::{Running, command_after};
use crate::support::harness::skip;
use crate::support::wait_at_most;
use std::ffi::OsStr;
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// Where the reference server is: `SHMQ_NATS_SERVER`, or an installed one. A case that needs it is
/// skipped in words where there is none, unless `SHMQ_NATS_SERVER` was given.
pub fn reference() -> PathBuf {
    found("SHMQ_NATS_SERVER").unwrap_or_else(|| skip("no nats-server: set SHMQ_NATS_SERVER (`.ci/bridge` fetches one)"))
}

/// Where Debian's 2.9.10 is: `SHMQ_NATS_SERVER_OLD`.
pub fn old() -> PathBuf {
    match std::env::var_os("SHMQ_NATS_SERVER_OLD") {
        Some(path) => PathBuf::from(path),
        None => skip("no nats-server 2.9: set SHMQ_NATS_SERVER_OLD (`.ci/bridge` fetches one)"),
    }
}

fn found(variable: &str) -> Option<PathBuf> {
    if let Some(path) = std::env::var_os(variable) {
        let path = PathBuf::from(path);
        assert!(path.is_file(), "{variable} leads to no file: {}", path.display());
        return Some(path);
    }
    let paths = std::env::var_os("PATH")?;
    std::env::split_paths(&paths).map(|folder| folder.join("nats-server")).find(|path| path.is_file())
}

/// What a server is started with.
#[derive(Clone)]
pub struct Settings {
    pub binary: PathBuf,
    pub jetstream: bool,
    /// User and password that clients must give.
    pub user: Option<(String, String)>,
    pub max_payload: Option<u64>,
    /// More lines of its configuration.
    pub more: String,
    /// Address and port; `None`: a free port of 127.0.0.1.
    pub listen: Option<(String, u16)>,
    /// What its command begins with (`nsenter ...`).
    pub prefix: Vec<String>,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            binary: reference(),
            jetstream: true,
            user: None,
            max_payload: None,
            more: String::new(),
            listen: None,
            prefix: Vec::new(),
        }
    }
}

/// A server. Dropping it kills it and removes its store.
pub struct Server {
    settings: Settings,
    address: (String, u16),
    folder: Folder,
    starts: u32,
    running: Option<Running>,
}

/// A port of 127.0.0.1 that was free just now.
pub fn free_port() -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a port of the loopback device");
    listener.local_addr().expect("a bound socket has an address").port()
}

impl Server {
    pub fn start() -> Server {
        Server::start_with(Settings::default())
    }

    pub fn start_with(settings: Settings) -> Server {
        let address = settings.listen.clone().unwrap_or_else(|| ("127.0.0.1".to_string(), free_port()));
        let mut server = Server { settings, address, folder: Folder::new(), starts: 0, running: None };
        server.restart();
        server
    }

    /// Where clients find it.
    pub fn url(&self) -> String {
        format!("nats://{}:{}", self.address.0, self.address.1)
    }

    pub fn address(&self) -> (String, u16) {
        self.address.clone()
    }

    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The folder of JetStream, which survives a kill.
    pub fn store(&self) -> PathBuf {
        self.folder.path().join("store")
    }

    /// SIGKILL. The page cache stays, so its files have all that it wrote.
    pub fn kill(&mut self) {
        self.running = None;
    }

    /// Is it there?
    pub fn is_running(&mut self) -> bool {
        self.running.as_mut().is_some_and(|running| !running.has_ended())
    }

    /// Starts it again on the same port, with the same store, and waits until it is ready.
    pub fn restart(&mut self) {
        self.kill();
        // Another process may have the port for a moment, of a connection that it makes.
        for attempt in 0.. {
            if self.try_start() {
                return;
            }
            assert!(attempt < 5, "nats-server does not start; {}", super::end_of(&self.log()));
            std::thread::sleep(Duration::from_millis(200));
        }
    }

    fn log(&self) -> PathBuf {
        self.folder.path().join(format!("server-{}.log", self.starts))
    }

    fn try_start(&mut self) -> bool {
        self.starts += 1;
        let what = format!("server-{}", self.starts);
        let configuration = self.folder.path().join("server.conf");
        std::fs::write(&configuration, self.configuration()).expect("the case's folder takes a file");
        let mut command = command_after(&self.settings.prefix, self.settings.binary.as_os_str());
        command.arg("--config").arg(&configuration);
        let mut running = Running::start(command, &what, self.folder.path());
        let ready = || {
            let output = running.output();
            output.contains("Server is ready") || running.has_ended()
        };
        let log = self.log();
        wait_at_most(super::SOON, "a server that is ready", ready, || super::end_of(&log));
        let is_ready = !running.has_ended();
        self.running = is_ready.then_some(running);
        is_ready
    }

    fn configuration(&self) -> String {
        let (host, port) = &self.address;
        let mut text = format!("listen: \"{host}:{port}\"\n{}\n", self.settings.more);
        if self.settings.jetstream {
            text += &format!(
                "jetstream {{ store_dir: {:?}, max_memory_store: 64MB, max_file_store: 4GB }}\n",
                self.store().display().to_string()
            );
        }
        if let Some((user, password)) = &self.settings.user {
            text += &format!("authorization {{ user: {user:?}, password: {password:?} }}\n");
        }
        if let Some(bytes) = self.settings.max_payload {
            text += &format!("max_payload: {bytes}\n");
        }
        text
    }
}
