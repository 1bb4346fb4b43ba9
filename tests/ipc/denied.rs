//! The errors where the system refuses something: each names the cause and the object.

use crate::support::harness::{Case, skip};
use crate::support::process::fork;
use crate::support::sandbox::{become_user, is_root, mount_tmpfs, own_mounts, refuse};
use crate::support::unique_name;
use shmq::inspect::Inspector;
use shmq::sync::{Array, Barrier, Event, Mutex, Semaphore};
use shmq::{CreateError, OpenError, Queue, Subject};
use std::ffi::CString;
use std::os::unix::fs::PermissionsExt;

pub fn cases() -> Vec<Case> {
    crate::cases![
        a_directory_that_cannot_be_used_is_named_with_what_is_wrong_with_it,
        what_keeps_a_process_out_of_a_segment_is_reported,
        another_kind_of_file_is_no_segment,
        numbers_out_of_range_are_named,
        errors_name_the_object_and_what_it_is,
    ]
}

/// The error of each verb that makes something.
fn creators() -> Vec<CreateError> {
    vec![
        Queue::<u64>::new(8).unwrap_err(),
        Queue::<u64>::create(unique_name("made"), 8).unwrap_err(),
        Queue::<[u8]>::builder().name(unique_name("both")).open_or_create().unwrap_err(),
        Mutex::new(7u64).unwrap_err(),
        Event::create(unique_name("event")).unwrap_err(),
    ]
}

fn expect_directory(errors: Vec<CreateError>, why: &str) {
    for error in errors {
        let text = error.to_string();
        assert!(matches!(&error, CreateError::Directory { directory, .. } if directory.ends_with("shm")), "{error:?}");
        assert!(text.contains("/dev/shm") && text.contains(why) && !text.contains("another user"), "{text}");
    }
}

fn a_directory_that_cannot_be_used_is_named_with_what_is_wrong_with_it() {
    if !is_root() {
        skip("mounts are root's");
    }
    let in_shm = |what: &'static str, prepare: &dyn Fn(), why: &str| {
        fork(what, || {
            if own_mounts() {
                prepare();
                expect_directory(creators(), why);
                if why == "does not exist" {
                    let error = Queue::<u64>::open("nothing").unwrap_err();
                    assert!(matches!(error, OpenError::Directory { .. }) && error.to_string().contains(why), "{error}");
                }
            }
        })
        .expect_success();
    };
    in_shm("one in a read-only directory", &|| mount_tmpfs(c"/dev/shm", libc::MS_RDONLY, c""), "read-only");
    in_shm(
        "one in root's directory",
        &|| {
            mount_tmpfs(c"/dev/shm", 0, c"mode=0755");
            become_user(1001);
        },
        "mode 0755",
    );
    in_shm("one without a directory", &|| mount_tmpfs(c"/dev", 0, c""), "does not exist");
    fork("one in a small directory", || {
        if own_mounts() {
            mount_tmpfs(c"/dev/shm", 0, c"size=16k");
            let text = Mutex::new([0u8; 1 << 16]).unwrap_err().to_string();
            assert!(text.starts_with("mutex") && text.contains("16384 are free") && !text.contains("queue"), "{text}");
        }
    })
    .expect_success();
}

fn what_keeps_a_process_out_of_a_segment_is_reported() {
    if !is_root() {
        skip("only root can become another user");
    }
    let name = unique_name("private");
    let queue: Queue<u64> = Queue::create(&name, 8).unwrap();
    fork("a stranger", || {
        become_user(1001);
        let error = Queue::<u64>::open(&name).unwrap_err();
        let text = error.to_string();
        assert!(matches!(error, OpenError::PermissionDenied { .. }), "{text}");
        assert!(
            text.contains(&name) && text.contains("uid 0)") && text.contains("0600") && text.contains("QueueBuilder::mode"),
            "{text}"
        );
    })
    .expect_success();
    // The mode lets the other user in; the directory is sticky.
    let shared = Queue::<u64>::builder().name(unique_name("shared")).capacity(8).mode(0o666).create().unwrap();
    fork("a guest", || {
        become_user(1001);
        let text = Queue::<u64>::unlink(shared.name()).unwrap_err().to_string();
        assert!(text.contains("sticky") && text.contains("user 0"), "{text}");
    })
    .expect_success();
    fork("its owner, kept out by the mode", || {
        become_user(1002);
        // SAFETY: umask takes a number and cannot fail.
        unsafe { libc::umask(0o777) };
        let own: Queue<u64> = Queue::create(unique_name("own"), 8).unwrap();
        let path = format!("/dev/shm/shmq.{}", own.name());
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o0)).unwrap();
        let text = Queue::<u64>::open(own.name()).unwrap_err().to_string();
        assert!(text.contains("0000") && text.contains("chmod") && !text.contains("another user"), "{text}");
    })
    .expect_success();
    fork("one behind a filter", || {
        if refuse(&[libc::SYS_openat]) {
            for text in [Queue::<u64>::open(queue.name()).unwrap_err().to_string(), Event::new().unwrap_err().to_string()] {
                assert!(text.contains("seccomp") && !text.contains("another user"), "{text}");
            }
        }
    })
    .expect_success();
}

fn another_kind_of_file_is_no_segment() {
    let at = |name: &str| format!("/dev/shm/shmq.{name}");
    let (directory, link, fifo) = (unique_name("directory"), unique_name("link"), unique_name("fifo"));
    std::fs::create_dir(at(&directory)).unwrap();
    std::os::unix::fs::symlink("/etc/passwd", at(&link)).unwrap();
    let path = CString::new(at(&fifo)).unwrap();
    // SAFETY: a NUL-terminated path that outlives the call.
    assert_eq!(unsafe { libc::mkfifo(path.as_ptr(), 0o600) }, 0);
    for (name, words) in
        [(&directory, ["a directory", "rmdir"]), (&link, ["a symbolic link", "(rm)"]), (&fifo, ["a FIFO", "(rm)"])]
    {
        let (text, created) = (Queue::<u64>::open(name).unwrap_err(), Queue::<u64>::create(name, 3).unwrap_err());
        assert!(
            matches!(text, OpenError::NoSegment { .. }) && matches!(created, CreateError::NoSegment { .. }),
            "{text:?} {created:?}"
        );
        let texts = [
            text.to_string(),
            created.to_string(),
            Queue::<u64>::open_or_create(name, 3).unwrap_err().to_string(),
            Mutex::open_or_create(name, 3u64).unwrap_err().to_string(),
            Queue::<u64>::unlink(name).unwrap_err().to_string(),
            Inspector::open(name).unwrap_err().to_string(),
        ];
        for text in texts {
            let names_it = text.contains(&at(name)) && words.iter().all(|word| text.contains(word));
            assert!(names_it && !text.contains("corrupted"), "{text}");
        }
        assert!(std::fs::symlink_metadata(at(name)).is_ok(), "no process removed it");
    }
    std::fs::remove_dir(at(&directory)).unwrap();
    [link, fifo].iter().for_each(|name| std::fs::remove_file(at(name)).unwrap());
}

fn numbers_out_of_range_are_named() {
    let says = |error: CreateError, words: &[&str]| {
        let text = error.to_string();
        assert!(words.iter().all(|word| text.contains(word)) && !text.contains("from 1 to 0"), "{text}");
    };
    says(Queue::<u64>::builder().capacity(8).max_participants(5000).create().unwrap_err(), &["max_participants 5000", "1023"]);
    says(Array::builder([0u8; 8]).max_participants(0).create().unwrap_err(), &["max_participants 0"]);
    says(Queue::<u64>::new(0).unwrap_err(), &["capacity 0"]);
    says(Queue::<u64>::builder().capacity_bytes(7).create().unwrap_err(), &["capacity_bytes 7"]);
    says(Queue::<[u8]>::builder().capacity_bytes(0).create().unwrap_err(), &["capacity_bytes 0"]);
    says(Array::new([0u8; 0]).unwrap_err(), &["len 0"]);
    says(Barrier::new(0).unwrap_err(), &["parties 0"]);
    #[cfg(feature = "derive")]
    {
        #[shmq::message]
        #[repr(align(8192))]
        struct Wide {
            bytes: [u8; 8192],
        }
        says(Queue::<Wide>::new(8).unwrap_err(), &["aligned to 8192", "4096"]);
    }
}

fn errors_name_the_object_and_what_it_is() {
    let name = unique_name("named");
    let Err(OpenError::NotFound { what }) = Semaphore::open(&name) else { panic!("there is none") };
    assert_eq!((what.kind(), what.name()), ("semaphore", Some(&*name)));
    assert_eq!(Subject::default().kind(), "segment");
    let _mutex = Mutex::create(&name, 1u64).unwrap();
    let texts = [
        Queue::<u64>::open(&name).unwrap_err().to_string(),
        Queue::<u64>::create(&name, 3).unwrap_err().to_string(),
        Queue::<u64>::open_or_create(&name, 3).unwrap_err().to_string(),
    ];
    assert!(texts.iter().all(|text| text.contains(&format!("queue {name:?}"))), "{texts:?}");
    let texts = [Mutex::<u32>::open(&name).unwrap_err().to_string(), Mutex::create(&name, 1u64).unwrap_err().to_string()];
    assert!(texts.iter().all(|text| text.contains(&format!("mutex {name:?}")) && !text.contains("queue")), "{texts:?}");
}
