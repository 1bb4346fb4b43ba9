//! Segments in a directory of the program's choice: by `SHMQ_DIR`, or by a builder.

use crate::support::harness::{Case, skip};
use crate::support::process::{Exit, exit_now, fork, fork_with_code, send_signal};
use crate::support::sandbox::is_root;
use crate::support::{PATIENCE, unique_name, wait_until};
use shmq::inspect::{self, Inspector, Operator};
use shmq::sync::{Event, Mutex, Semaphore};
use shmq::{CreateError, OpenError, Queue};
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

pub fn cases() -> Vec<Case> {
    crate::cases![
        all_that_has_a_name_follows_the_environment,
        a_builders_directory_is_its_own_and_travels_with_handles,
        a_death_in_a_chosen_directory_is_one_like_any_other,
        a_directory_that_others_could_tamper_with_is_refused,
    ]
}

/// Removed at the end, when it must be empty.
struct Folder(PathBuf);

impl Folder {
    fn new(what: &str) -> Folder {
        let path = std::env::temp_dir().join(unique_name(what));
        fs::create_dir(&path).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o700)).unwrap();
        Folder(path)
    }

    fn files(&self) -> Vec<String> {
        let mut files: Vec<String> =
            fs::read_dir(&self.0).unwrap().map(|file| file.unwrap().file_name().to_string_lossy().into_owned()).collect();
        files.sort();
        files
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            assert_eq!(self.files(), Vec::<String>::new(), "left behind");
        }
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// To be called before this process uses anything of the crate.
fn choose(folder: &Path) {
    // SAFETY: this process has one thread, so no other reads the environment.
    unsafe { std::env::set_var("SHMQ_DIR", folder) };
}

fn all_that_has_a_name_follows_the_environment() {
    let folder = Folder::new("environment");
    choose(&folder.0);
    let name = unique_name("jobs");
    let queue: Queue<u64> = Queue::create(&name, 8).unwrap();
    assert_eq!(folder.files(), [format!("shmq.{name}")]);
    // Named, anonymous, and the primitives; by handles as well.
    let (anonymous, total, stop) = (Queue::<[u8]>::builder().create().unwrap(), Mutex::new(1u64).unwrap(), Event::new().unwrap());
    let numbers = Semaphore::create(unique_name("numbers"), 1).unwrap();
    assert_eq!(folder.files().len(), 5, "{:?}", folder.files());
    let letters = [serde_json::to_string(&queue).unwrap(), serde_json::to_string(&anonymous).unwrap()];
    assert!(letters.iter().all(|letter| letter.contains(folder.0.to_str().unwrap())), "{letters:?}");
    queue.put(&1).unwrap();
    let program = std::env::current_exe().unwrap();
    let other = std::process::Command::new(program).args([CHOSEN, &name]).env("SHMQ_DIR", &folder.0).status().unwrap();
    assert!(other.success());
    assert_eq!(queue.get_timeout(PATIENCE).unwrap(), 2);
    // A forked child inherits the directory.
    fork("a child", || {
        queue.put(&3).unwrap();
        anonymous.put(b"four").unwrap();
        *total.lock().unwrap() += 1;
        stop.set();
        numbers.release().unwrap();
    })
    .expect_success();
    assert_eq!((queue.get().unwrap(), anonymous.get().unwrap(), *total.lock().unwrap()), (3, b"four".to_vec(), 2));
    assert!(stop.is_set());
    // Inspection from outside.
    let names: Vec<String> = inspect::list().unwrap().into_iter().map(|found| found.name).collect();
    assert!(names.len() == 5 && names.contains(&name), "{names:?}");
    assert_eq!(Inspector::open(&name).unwrap().snapshot().messages, 0);
    Operator::open(&name).unwrap().close();
    assert!(queue.is_closed());
    Queue::<u64>::unlink(&name).unwrap();
    assert!(!queue.has_name() && matches!(Queue::<u64>::open(&name), Err(OpenError::NotFound { .. })));
    assert!(inspect::nameless().unwrap().iter().any(|found| found.name == name));
    // A killed creator's temporary, and a dead anonymous segment: the next anonymous create removes
    // them.
    let temporary = folder.0.join(".shmq-1-0123456789abcdef");
    fs::write(&temporary, [0; 100]).unwrap();
    let mut dead = fork_with_code("one that is killed", || {
        let _kept = Event::new().unwrap();
        send_signal(std::process::id() as i32, libc::SIGKILL);
        1
    });
    assert_eq!(dead.wait(), Exit::Signal(libc::SIGKILL));
    let before = folder.files().len();
    fork("a creator", || {
        // The temporary is too young to be a dead creator's; the age of the anonymous segment does
        // not count.
        Event::new().unwrap();
    })
    .expect_success();
    assert!(before >= 5 && temporary.exists());
    fs::remove_file(&temporary).unwrap();
    drop((anonymous, total, stop, numbers, queue));
    for file in folder.files() {
        // This process removes them ten seconds after its last scan, other processes at once.
        inspect::remove_stale(file.strip_prefix("shmq.").unwrap(), false).unwrap();
    }
}

/// Role of this program, run by [`all_that_has_a_name_follows_the_environment`].
pub const CHOSEN: &str = "in-a-chosen-directory";

pub fn program_in_a_chosen_directory(name: &str) -> std::process::ExitCode {
    let queue: Queue<u64> = Queue::open(name).unwrap();
    let got = queue.get_timeout(PATIENCE).unwrap();
    queue.put_timeout(&(got + 1), PATIENCE).unwrap();
    std::process::ExitCode::SUCCESS
}

fn a_builders_directory_is_its_own_and_travels_with_handles() {
    let (folder, other) = (Folder::new("builder"), Folder::new("other"));
    let name = unique_name("jobs");
    let (from, to) = std::os::unix::net::UnixDatagram::pair().unwrap();
    // Forked before anything exists: it has no mapping of the segments, and another directory is
    // set for it.
    let reader = fork("one that is sent a handle", || {
        choose(&other.0);
        let mut letter = [0; 4096];
        let length = from.recv(&mut letter).unwrap();
        let (queue, total): (Queue<u64>, Mutex<u64>) = serde_json::from_slice(&letter[..length]).unwrap();
        assert_eq!(queue.get_timeout(PATIENCE).unwrap(), 7);
        *total.lock().unwrap() = 8;
        queue.put(&9).unwrap();
    });
    let there = || Queue::<u64>::builder().directory(&folder.0).name(&name);
    let queue = there().capacity(8).create().unwrap();
    let total = Mutex::builder(1u64).directory(&folder.0).create().unwrap();
    let letter = serde_json::to_string(&(&queue, &total)).unwrap();
    to.send(letter.as_bytes()).unwrap();
    queue.put(&7).unwrap();
    reader.expect_success();
    assert_eq!((queue.get().unwrap(), *total.lock().unwrap()), (9, 8));
    // The same name elsewhere is another queue.
    let elsewhere: Queue<u64> = Queue::create(&name, 3).unwrap();
    assert_eq!((elsewhere.capacity(), there().open().unwrap().capacity()), (3, 8));
    assert!(matches!(there().capacity(8).create(), Err(CreateError::AlreadyExists { in_use: true, .. })));
    assert_eq!(there().capacity(8).open_or_create().unwrap().capacity(), 8);
    there().unlink().unwrap();
    assert!(!queue.has_name() && elsewhere.has_name());
    drop((queue, total));
}

fn a_death_in_a_chosen_directory_is_one_like_any_other() {
    let folder = Folder::new("deaths");
    let there = |name: &str| Queue::<u64>::builder().directory(&folder.0).name(name).capacity(4);
    let queue = there("jobs").create().unwrap();
    queue.put(&1).unwrap();
    let mut dead = fork_with_code("one that dies with a lease", || {
        let _lease = queue.lease().unwrap();
        send_signal(std::process::id() as i32, libc::SIGKILL);
        1
    });
    assert_eq!(dead.wait(), Exit::Signal(libc::SIGKILL));
    let lease = queue.lease_timeout(PATIENCE).unwrap();
    assert_eq!((*lease, lease.deliveries()), (1, 2));
    lease.release();
    drop(queue);
    assert_eq!(folder.files(), Vec::<String>::new(), "the last one out takes the name along");
    // All users are dead: `open_or_create` finds the messages, and a create replaces them.
    let mut dead = fork_with_code("a producer", || {
        let queue = there("left").create().unwrap();
        queue.put(&5).unwrap();
        std::mem::forget(queue);
        exit_now(3)
    });
    assert_eq!(dead.wait(), Exit::Code(3));
    let left = there("left").open_or_create().unwrap();
    assert_eq!(left.get_timeout(PATIENCE).unwrap(), 5);
    drop(left);
    // No space: reported before anything is touched.
    let error = Queue::<[u8]>::builder().directory(&folder.0).capacity_bytes(1 << 45).create().unwrap_err();
    assert!(matches!(error, CreateError::NoSpace { .. } | CreateError::Os { .. }), "{error}");
    wait_until("nothing is left", || folder.files().is_empty(), || format!("{:?}", folder.files()));
}

fn a_directory_that_others_could_tamper_with_is_refused() {
    let folder = Folder::new("checked");
    let refused = |path: &Path, why: &str| {
        let error = Queue::<u64>::builder().directory(path).capacity(3).create().unwrap_err();
        assert!(matches!(&error, CreateError::Directory { directory, .. } if directory == path), "{error:?}");
        assert!(error.to_string().contains(why) && error.to_string().contains(path.to_str().unwrap()), "{error}");
        let error = Mutex::builder(1u64).directory(path).name("x").open().unwrap_err();
        assert!(matches!(error, OpenError::Directory { .. }) && error.to_string().contains(why), "{error}");
    };
    fs::set_permissions(&folder.0, Permissions::from_mode(0o777)).unwrap();
    refused(&folder.0, "sticky");
    fs::set_permissions(&folder.0, Permissions::from_mode(0o1777)).unwrap();
    drop(Queue::<u64>::builder().directory(&folder.0).capacity(3).create().unwrap());
    refused(&folder.0.join("missing"), "does not exist");
    refused(Path::new("/etc/passwd"), "no directory");
    refused(Path::new("/proc/self"), "proc");
    if !is_root() {
        skip("only root can give a directory to another user");
    }
    std::os::unix::fs::chown(&folder.0, Some(1001), None).unwrap();
    refused(&folder.0, "user 1001");
}
