//! Machines: network namespaces, each with a `/dev/shm` of its own, joined to the server's by a
//! veth pair. Where namespaces are not permitted, all of it is on this machine, and the link is a
//! proxy.
//!
//! ```text
//!    machine 0 [10.77.0.2] --veth-- [10.77.0.1] hub (server) [10.77.1.1] --veth-- [10.77.1.2] machine 1
//! ```
//!
//! A namespace lives as long as its holder, a `cat` that this case started: nothing has a name
//! below `/run/netns`, so nothing is left.

use super::running::Running;
use super::{Folder, Proxy, Server, server};
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// Several machines and the server between them.
pub struct Network {
    pub server: Server,
    pub machines: Vec<Machine>,
    _hub: Option<Holder>,
    _folder: Folder,
}

/// One machine, as its processes see it.
pub struct Machine {
    /// The server's address from there.
    pub url: String,
    /// What each command there begins with.
    pub prefix: Vec<String>,
    link: Link,
    _holder: Option<Holder>,
}

enum Link {
    /// The hub's end of a veth pair.
    Device {
        hub: u32,
        name: String,
    },
    Relay(Proxy),
}

/// The process that keeps a namespace.
struct Holder(Child);

impl Holder {
    fn new() -> Option<Holder> {
        let mut command = Command::new("unshare");
        command.args(["--net", "--mount", "--propagation", "private", "sh", "-c"]);
        command.arg("mount -t tmpfs -o mode=1777 tmpfs /dev/shm && ip link set lo up && echo up && exec cat");
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        use std::os::unix::process::CommandExt;
        // SAFETY: prctl is async-signal-safe, and touches no memory.
        unsafe {
            command.pre_exec(|| {
                libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL);
                Ok(())
            })
        };
        let mut child = command.spawn().ok()?;
        let mut said = [0; 3];
        let is_up = std::io::Read::read_exact(child.stdout.as_mut()?, &mut said).is_ok();
        let holder = Holder(child);
        is_up.then_some(holder)
    }

    fn pid(&self) -> u32 {
        self.0.id()
    }
}

impl Drop for Holder {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn enter(pid: u32) -> Vec<String> {
    ["nsenter", "--target", &pid.to_string(), "--net", "--mount", "--"].map(String::from).to_vec()
}

fn ip(prefix: &[String], arguments: &str) -> bool {
    let mut command = super::running::command_after(prefix, "ip".as_ref());
    let output = command.args(arguments.split(' ')).output();
    output.is_ok_and(|output| output.status.success())
}

impl Network {
    /// A server and `count` machines, with links that can be cut.
    pub fn new(count: usize, settings: server::Settings) -> Network {
        Network::of_namespaces(count, &settings).unwrap_or_else(|| Network::of_relays(count, settings))
    }

    /// Is each machine a namespace of its own?
    pub fn has_namespaces(&self) -> bool {
        self._hub.is_some()
    }

    fn of_namespaces(count: usize, settings: &server::Settings) -> Option<Network> {
        if std::env::var_os("SHMQ_NO_NAMESPACES").is_some() {
            return None;
        }
        let hub = Holder::new()?;
        let hub_prefix = enter(hub.pid());
        let mut machines = Vec::new();
        for number in 0..count {
            let holder = Holder::new()?;
            let (name, prefix) = (format!("hub{number}"), enter(holder.pid()));
            let is_joined = ip(&hub_prefix, &format!("link add {name} type veth peer name eth0 netns {}", holder.pid()))
                && ip(&hub_prefix, &format!("addr add 10.77.{number}.1/24 dev {name}"))
                && ip(&hub_prefix, &format!("link set {name} up"))
                && ip(&prefix, &format!("addr add 10.77.{number}.2/24 dev eth0"))
                && ip(&prefix, "link set eth0 up");
            if !is_joined {
                return None;
            }
            let url = format!("nats://10.77.{number}.1:4222");
            let link = Link::Device { hub: hub.pid(), name };
            machines.push(Machine { url, prefix, link, _holder: Some(holder) });
        }
        let settings = server::Settings { listen: Some(("0.0.0.0".to_string(), 4222)), prefix: hub_prefix, ..settings.clone() };
        Some(Network { server: Server::start_with(settings), machines, _hub: Some(hub), _folder: Folder::new() })
    }

    fn of_relays(count: usize, settings: server::Settings) -> Network {
        let server = Server::start_with(settings);
        let machine = |_| {
            let proxy = Proxy::start(server.address());
            Machine { url: proxy.url(), prefix: Vec::new(), link: Link::Relay(proxy), _holder: None }
        };
        let machines = (0..count).map(machine).collect();
        Network { server, machines, _hub: None, _folder: Folder::new() }
    }
}

impl Machine {
    /// Takes the link down: of a device, packets are lost, and connections stay until they are
    /// found dead; of a relay, connections are closed.
    pub fn cut(&self) {
        match &self.link {
            Link::Device { hub, name } => assert!(ip(&enter(*hub), &format!("link set {name} down"))),
            Link::Relay(proxy) => proxy.cut(),
        }
    }

    pub fn heal(&self) {
        match &self.link {
            Link::Device { hub, name } => assert!(ip(&enter(*hub), &format!("link set {name} up"))),
            Link::Relay(proxy) => proxy.heal(),
        }
    }

    /// Starts a command there; the first element of `command` is the program.
    pub fn start(&self, program: &Path, arguments: &[&str], what: &str, folder: &Path) -> Running {
        let mut command = super::running::command_after(&self.prefix, program.as_os_str());
        command.args(arguments);
        Running::start(command, what, folder)
    }
}
